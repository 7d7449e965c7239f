//! Changes one span of a long text in the memory in which it came.
//!
//! Owns when that may be: nobody else has that memory, it is not much larger than the text, and the shorter side of the
//! text has room to move. Else whoever asks copies the text. It knows nothing of what the span means.

use bytes::Bytes;

use crate::wire::message::Span;

/// Blanks before a text that is read into a place of its own, and free bytes behind it: as much as it may grow there by.
pub const ROOM_BYTES: usize = 64;

/// A shorter text is copied: that costs little, and is to the byte what is kept of it then.
pub const LONG_BYTES_MIN: usize = 16 * 1024;

/// The text that begins in `whole` at `start`, and goes on to its end, with `new` at `span`; what stood before it is gone.
/// The error: as it was.
pub(super) fn amended(whole: Bytes, start: usize, span: Span, new: &[u8]) -> Result<Bytes, Bytes> {
    let (from, to) = (start + span.start as usize, start + span.end as usize);
    if whole.len() < start + LONG_BYTES_MIN || from > to || to > whole.len() {
        return Err(whole);
    }
    let mut whole = whole.try_into_mut()?;
    // As much that is free before it is seen only when it is moved there.
    let _ = whole.try_reclaim(whole.capacity() - whole.len() + 1);
    let is_loose = whole.capacity() - whole.len() > whole.len() / LOOSE_PART;
    let (before, behind) = (from - start, whole.len() - to);
    if is_loose || before.min(behind) > MOVED_BYTES_MAX {
        return Err(whole.freeze());
    }
    if before <= behind {
        // Its end stays, its beginning is moved.
        let Some(first) = (start + (to - from)).checked_sub(new.len()) else { return Err(whole.freeze()) };
        whole.copy_within(start..from, first);
        if let Some(place) = whole.get_mut(to - new.len()..to) {
            place.copy_from_slice(new);
        }
        Ok(whole.freeze().slice(first..))
    } else {
        let (old, length) = (whole.len(), whole.len() - (to - from) + new.len());
        if length > whole.capacity() {
            return Err(whole.freeze());
        }
        whole.resize(length.max(old), b' ');
        whole.copy_within(to..old, from + new.len());
        if let Some(place) = whole.get_mut(from..from + new.len()) {
            place.copy_from_slice(new);
        }
        whole.truncate(length);
        Ok(whole.freeze().slice(start..))
    }
}

/// As much of a text is moved at most.
const MOVED_BYTES_MAX: usize = 4 * 1024;
/// Memory of which more is free than this part of what is in it is not kept for it.
const LOOSE_PART: usize = 4;

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::splice::splice;

    fn held(text: &[u8], before: usize, behind: usize) -> Bytes {
        let mut whole = BytesMut::with_capacity(before + text.len() + behind);
        whole.resize(before, b' ');
        whole.extend_from_slice(text);
        whole.freeze()
    }

    fn span(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    const LONG: usize = LONG_BYTES_MIN + 99;

    #[test]
    fn a_text_stays_where_it_is() {
        for (at, new) in [(20, "7"), (20, "1234567"), (LONG - 20, "7"), (LONG - 20, "1234567")] {
            let whole = held(&[b'x'; LONG], ROOM_BYTES, ROOM_BYTES);
            let place = whole.as_ptr_range();
            let text = amended(whole, ROOM_BYTES, span(at, at + 3), new.as_bytes()).unwrap();
            assert!(place.contains(&text.as_ptr()));
            assert_eq!(text.len(), LONG - 3 + new.len());
            assert_eq!(&text[at..at + new.len()], new.as_bytes());
        }
    }

    #[test]
    fn what_others_have_is_not_touched() {
        let whole = held(&[b'x'; LONG], ROOM_BYTES, ROOM_BYTES);
        let other = whole.clone();
        assert_eq!(amended(whole, ROOM_BYTES, span(20, 23), b"7"), Err(other));
    }

    #[test]
    fn what_is_not_worth_it_is_left_alone() {
        let wide = ROOM_BYTES + LONG / LOOSE_PART + 99;
        for (length, before, behind, at, new) in [
            (LONG_BYTES_MIN - 1, ROOM_BYTES, 0, 20, 1),
            (LONG, 0, 0, 20, 4),
            (LONG, ROOM_BYTES, 0, LONG - 20, 4),
            (LONG, ROOM_BYTES, 0, LONG / 2, 1),
            (LONG, ROOM_BYTES, wide, 20, 1),
            (LONG, ROOM_BYTES, 0, LONG - 1, 1),
        ] {
            let whole = held(&vec![b'x'; length], before, behind);
            let left = amended(whole, before, span(at, at + 3), &vec![b'7'; new]);
            assert_eq!(left.unwrap_err(), held(&vec![b'x'; length], before, 0));
        }
    }

    #[test]
    fn what_lies_behind_much_that_is_free_is_left_alone() {
        let whole = held(&[b'x'; LONG], 10 * LONG, ROOM_BYTES);
        let text = whole.slice(10 * LONG..);
        drop(whole);
        assert!(amended(text, 0, span(20, 23), b"7").is_err());
    }

    proptest! {
        #[test]
        fn it_is_what_a_splice_makes(
            (before, behind) in (0usize..99, 0usize..99),
            at in prop_oneof![0usize..3000, LONG - 3000..LONG],
            old in 0usize..40,
            new in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            let text: Vec<u8> = (0..LONG).map(|n| (n % 251) as u8).collect();
            let span = span(at, (at + old).min(LONG));
            let want = splice(&text, &mut [(span, Bytes::from(new.clone()))]);
            match amended(held(&text, before, behind), before, span, &new) {
                Ok(found) => prop_assert!(found == want),
                Err(whole) => prop_assert!(whole[before..] == text),
            }
        }
    }
}
