//! Whether what a server says repeats what it was sent: then it is quoted to nobody.
//!
//! Pure. Servers cut what they repeat, so a piece is enough.

use crate::config::Secret;
use memchr::memmem;

/// Whether a text has one of these in it, or a piece of one.
pub(super) fn repeats(said: &str, sent: &[Secret]) -> bool {
    let sent = || sent.iter().map(|secret| secret.expose().as_bytes());
    let whole = |secret: &[u8]| memmem::find(said.as_bytes(), secret).is_some();
    sent().any(|secret| (WHOLE_BYTES_MIN..PIECE_BYTES).contains(&secret.len()) && whole(secret))
        || said
            .as_bytes()
            .windows(PIECE_BYTES)
            .any(|piece| sent().any(|secret| memmem::find(secret, piece).is_some()))
}

/// What is said in place of such words; follows on what the server did.
pub(super) const REPEATED: &str = "in words that repeat what it was sent";
/// So much of a secret is one.
const PIECE_BYTES: usize = 8;
/// What is shorter may be any word.
const WHOLE_BYTES_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_what_was_sent_is_enough() {
        let sent = ["Bearer s3cretword-1", "pin5", "abc"].map(Secret::new);
        for said in
            ["bad key s3cretwo…", "s3cretword-1", "Bearer s3cretword-1", "etword-1 is no key", "no pin5"]
        {
            assert!(repeats(said, &sent), "{said}");
        }
        for said in ["", "a Bearer token is missing", "s3cretw", "abc", "pin", "word"] {
            assert!(!repeats(said, &sent), "{said}");
        }
        assert!(!repeats("anything at all", &[]));
    }
}
