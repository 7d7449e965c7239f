//! A text that was made of others, and what it must not outlive.
//!
//! What a text took in memory is given back with the last of it. One that was made of it by an edit is in memory as well,
//! so it keeps the first for as long as it is there.

use bytes::Bytes;

struct Made<K> {
    text: Bytes,
    _of: K,
}

impl<K> AsRef<[u8]> for Made<K> {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// The text, which keeps what it was made of until the last of it is dropped.
pub fn keeping<K: Send + 'static>(text: Bytes, of: K) -> Bytes {
    Bytes::from_owner(Made { text, _of: of })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_a_text_was_made_of_goes_with_the_last_of_it() {
        let room = Arc::new(());
        let text = keeping(Bytes::from_static(b"abc"), room.clone());
        let part = text.slice(1..2);
        drop(text);
        assert_eq!((&part[..], Arc::strong_count(&room)), (&b"b"[..], 2));
        drop(part);
        assert_eq!(Arc::strong_count(&room), 1);
    }
}
