//! Where a page of one of our own lists begins, as an opaque text for the client.
//!
//! Made of nothing but the kind, the content of the list, whose it is and the offset, so that the same list gives the
//! same cursors after a restart. A cursor of another kind or principal, or of a list that has changed since, is none.

use crate::mcp::method::Kind;
use crate::wire::hex::hex;
use sha2::{Digest, Sha256};

/// The content of a whole list, in 32 bytes: its edition.
pub type ListDigest = [u8; 32];

/// A list, and the principal who is shown it.
pub type Whose<'a> = (&'a ListDigest, &'a str);

/// The cursor for the page of `kind` that begins at `offset`.
pub fn write(kind: Kind, whose: Whose<'_>, offset: usize) -> String {
    format!("{offset}-{}", seal(kind, whose, offset))
}

/// The offset that a cursor stands for; `None` for anything that `write` did not make of this very list.
pub fn read(kind: Kind, whose: Whose<'_>, cursor: &str) -> Option<usize> {
    let offset = cursor.split_once('-')?.0.parse().ok()?;
    (cursor == write(kind, whose, offset)).then_some(offset)
}

fn seal(kind: Kind, (digest, principal): Whose<'_>, offset: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(kind.list_method());
    hash.update(digest);
    hash.update((offset as u64).to_be_bytes());
    hash.update(principal);
    let mut seal = hex(&hash.finalize());
    seal.truncate(24);
    seal
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOSE: Whose<'static> = (&[7; 32], "ana");

    #[test]
    fn a_cursor_leads_back_to_its_offset() {
        let cursor = write(Kind::Tools, WHOSE, 2000);
        assert_eq!(read(Kind::Tools, WHOSE, &cursor), Some(2000));
    }

    #[test]
    fn s01_a_cursor_of_another_list_or_principal_is_none() {
        let cursor = write(Kind::Tools, WHOSE, 2000);
        assert_eq!(read(Kind::Prompts, WHOSE, &cursor), None);
        assert_eq!(read(Kind::Tools, (&[8; 32], "ana"), &cursor), None);
        assert_eq!(read(Kind::Tools, (&[7; 32], "bob"), &cursor), None);
        for forged in ["", "2000", "-", "2001-", &cursor.replace("2000", "1000"), &format!("+{cursor}")] {
            assert_eq!(read(Kind::Tools, WHOSE, forged), None, "{forged}");
        }
    }
}
