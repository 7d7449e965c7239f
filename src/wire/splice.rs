//! Replaces spans of a text; the rest is copied byte for byte.
//!
//! The only way in which a forwarded message ever changes. It knows nothing of what the spans mean.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::wire::message::{Message, Span};

/// Edits to one message, applied in one copy.
///
/// They may come in any order. Two inserts at one place stand in the order in which they were given.
#[derive(Debug)]
pub struct Splice<'a> {
    message: &'a Message,
    edits: SmallVec<[(Span, New<'a>); 4]>,
}

/// What stands in a text from now on.
#[derive(Debug)]
pub enum New<'a> {
    Lent(&'a [u8]),
    Own(Bytes),
    Short(Short),
}

/// A text that is short enough to take no place on the heap.
#[derive(Debug)]
pub struct Short {
    bytes: [u8; SHORT_BYTES_MAX],
    length: u8,
}

impl AsRef<[u8]> for New<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Lent(text) => text,
            Self::Own(text) => text,
            Self::Short(Short { bytes, length }) => bytes.get(..usize::from(*length)).unwrap_or_default(),
        }
    }
}

impl New<'_> {
    /// All pieces in one text. Inlined, so that pieces which are known beforehand are put down without being copied.
    #[inline(always)]
    pub(super) fn joined<const N: usize>(pieces: [&str; N]) -> Self {
        let mut short = Short { bytes: [0; SHORT_BYTES_MAX], length: 0 };
        for piece in pieces {
            let at = usize::from(short.length);
            match short.bytes.get_mut(at..at + piece.len()) {
                Some(place) => place.copy_from_slice(piece.as_bytes()),
                None => return Self::long(&pieces),
            }
            short.length += piece.len() as u8;
        }
        Self::Short(short)
    }

    #[cold]
    fn long(pieces: &[&str]) -> Self {
        Self::Own(pieces.concat().into())
    }
}

impl<'a> From<&'a str> for New<'a> {
    fn from(text: &'a str) -> Self {
        Self::Lent(text.as_bytes())
    }
}

impl From<Bytes> for New<'_> {
    fn from(text: Bytes) -> Self {
        Self::Own(text)
    }
}

impl From<String> for New<'_> {
    fn from(text: String) -> Self {
        Self::Own(text.into())
    }
}

impl<'a> Splice<'a> {
    pub fn new(message: &'a Message) -> Self {
        Self { message, edits: SmallVec::new() }
    }

    /// Puts `new` where `span` was.
    #[must_use]
    pub fn replace(mut self, span: Span, new: impl Into<New<'a>>) -> Self {
        self.edits.push((span, new.into()));
        self
    }

    /// Puts `new` before the byte at `at`.
    #[must_use]
    pub fn insert(self, at: u32, new: impl Into<New<'a>>) -> Self {
        self.replace(Span { start: at, end: at }, new)
    }

    /// How many edits there are.
    pub fn count(&self) -> usize {
        self.edits.len()
    }

    /// The edited text. Without edits it is the message's own, not copied.
    pub fn finish(mut self) -> Bytes {
        if self.edits.is_empty() {
            return self.message.text().clone();
        }
        splice(self.message.text(), &mut self.edits)
    }
}

/// Applies `edits` to `text`, and leaves them in the order of the text.
///
/// Spans lie within the text and do not overlap; an edit that breaks this is a programming error and is
/// left out, because a forwarder does not end over it.
pub fn splice<N: AsRef<[u8]>>(text: &[u8], edits: &mut [(Span, N)]) -> Bytes {
    // The end counts too, so that an insert stands before the replacement that starts at its place. Mostly they are in order.
    if !edits.is_sorted_by_key(|(span, _)| *span) {
        edits.sort_by_key(|(span, _)| *span);
    }
    let grown: usize = edits.iter().map(|(_, new)| new.as_ref().len()).sum();
    let gone: usize = edits.iter().map(|(span, _)| span.end.saturating_sub(span.start) as usize).sum();
    // To the byte: what is to be shared later then needs no more room.
    let mut out = Vec::with_capacity((text.len() + grown).saturating_sub(gone));
    let mut at = 0;
    for (span, new) in edits.iter() {
        let new = new.as_ref();
        let between = text.get(at..span.start as usize);
        let inside = span.start <= span.end && (span.end as usize) <= text.len();
        debug_assert!(between.is_some() && inside, "edits overlap or lie outside the text: {span:?}");
        let (Some(between), true) = (between, inside) else { continue };
        out.extend_from_slice(between);
        out.extend_from_slice(new);
        at = span.end as usize;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out.into()
}

/// The same of one edit, for whoever has no other.
pub(super) fn one_splice(text: &[u8], span: Span, new: &[u8]) -> Bytes {
    let (before, behind) = (text.get(..span.start as usize), text.get(span.end as usize..));
    debug_assert!(
        before.is_some() && behind.is_some() && span.start <= span.end,
        "outside the text: {span:?}"
    );
    match (before, behind) {
        (Some(before), Some(behind)) if span.start <= span.end => [before, new, behind].concat().into(),
        _ => Bytes::copy_from_slice(text),
    }
}

/// The insert that makes `member` the first member of the object at `object`, empty or not.
///
/// It is JSON already, key, colon and value, in pieces. The object must not have the key yet.
pub fn member_first(text: &[u8], object: Span, member: &[&str]) -> (u32, New<'static>) {
    let (at, comma) = first_place(text, object);
    (at, New::from([member, &[comma]].concat().concat()))
}

/// Where the first member of an object stands or would stand, and what parts a new one from it.
#[inline]
pub(super) fn first_place(text: &[u8], object: Span) -> (u32, &'static str) {
    let at = object.start.saturating_add(1);
    let rest = text.get(at as usize..).unwrap_or_default();
    let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
    (at, if next == Some(&b'}') { "" } else { "," })
}

/// What is to be cut so that the member from `start`, where its key begins, to `end`, where its value ends, is gone,
/// and with it one comma, if there is one.
pub fn member_cut(text: &[u8], start: u32, end: u32) -> Span {
    let white = |byte: &u8| byte.is_ascii_whitespace();
    let before = text.get(..start as usize).unwrap_or_default();
    let skipped = before.iter().rev().take_while(|byte| white(byte)).count();
    let comma_at = before.len().saturating_sub(skipped + 1);
    if before.get(comma_at) == Some(&b',') {
        return Span { start: comma_at as u32, end };
    }
    let after = text.get(end as usize..).unwrap_or_default();
    let skipped = after.iter().take_while(|byte| white(byte)).count();
    match after.get(skipped) {
        Some(b',') => Span { start, end: end.saturating_add(skipped as u32 + 1) },
        Some(_) | None => Span { start, end },
    }
}

/// As long as a progress token of ours with its key, and as short as leaves an edit small.
const SHORT_BYTES_MAX: usize = 38;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(start: u32, end: u32) -> Span {
        Span { start, end }
    }

    fn message(text: &'static str) -> Message {
        Message::parse_client(Bytes::from_static(text.as_bytes()), crate::wire::caps::Caps::default())
            .unwrap()
    }

    #[test]
    fn edits_come_in_any_order() {
        let message = message(r#"{"jsonrpc":"2.0","id":"x","method":"m"}"#);
        let out = Splice::new(&message)
            .replace(span(35, 38), "\"n\"")
            .insert(1, "\"b\":2,")
            .replace(span(22, 25), "7")
            .insert(1, "\"c\":3,")
            .finish();
        assert_eq!(out, r#"{"b":2,"c":3,"jsonrpc":"2.0","id":7,"method":"n"}"#);
    }

    #[test]
    fn without_edits_nothing_is_copied() {
        let message = message(r#"{"jsonrpc":"2.0","method":"m"}"#);
        assert_eq!(Splice::new(&message).finish().as_ptr(), message.text().as_ptr());
    }

    #[test]
    fn an_insert_stands_before_what_is_replaced_at_its_place() {
        let mut edits = vec![(span(1, 2), Bytes::from_static(b"X")), (span(1, 1), Bytes::from_static(b"-"))];
        assert_eq!(splice(b"abc", &mut edits), "a-Xc");
    }

    #[test]
    #[cfg(not(debug_assertions))]
    fn an_edit_that_overlaps_is_left_out() {
        let mut edits = vec![(span(1, 3), Bytes::from_static(b"X")), (span(2, 4), Bytes::from_static(b"Y"))];
        assert_eq!(splice(b"abcde", &mut edits), "aXde");
        let mut edits = vec![(span(4, 9), Bytes::from_static(b"Y")), (span(2, 1), Bytes::from_static(b"Z"))];
        assert_eq!(splice(b"abcde", &mut edits), "abcde");
    }

    #[test]
    fn a_first_member_fits_any_object() {
        for (object, after) in [
            ("{}", "{\"k\":1}"),
            ("{ \n }", "{\"k\":1 \n }"),
            ("{\"a\":2}", "{\"k\":1,\"a\":2}"),
            ("{ \"a\":2}", "{\"k\":1, \"a\":2}"),
        ] {
            let whole = span(0, object.len() as u32);
            let (at, new) = member_first(object.as_bytes(), whole, &["\"k\":", "1"]);
            assert_eq!(splice(object.as_bytes(), &mut [(span(at, at), new)]), after);
        }
    }

    #[test]
    fn a_cut_member_leaves_an_object() {
        for (object, after) in [
            (r#"{"k":{}}"#, "{}"),
            (r#"{ "k" : [1] }"#, "{  }"),
            (r#"{"k":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"k":1 , "a":2}"#, r#"{ "a":2}"#),
            (r#"{"a":2 , "k":"x"}"#, r#"{"a":2 }"#),
            (r#"{"a":2,"k":"x","b":3}"#, r#"{"a":2,"b":3}"#),
        ] {
            let found = crate::wire::members::members(object).unwrap();
            let member = found.iter().find(|member| member.key == "k").unwrap();
            let start = member.key_raw.as_ptr() as usize - object.as_ptr() as usize;
            let end = member.value.as_ptr() as usize - object.as_ptr() as usize + member.value.len();
            let cut = member_cut(object.as_bytes(), start as u32, end as u32);
            assert_eq!(splice(object.as_bytes(), &mut [(cut, Bytes::new())]), after);
        }
    }

    proptest! {
        #[test]
        fn a_splice_touches_only_its_spans(
            parts in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>(), any::<Vec<u8>>()), 0..8),
            tail in any::<Vec<u8>>(),
            order in any::<u64>(),
        ) {
            let (mut text, mut want, mut edits) = (Vec::new(), Vec::new(), Vec::new());
            for (kept, old, new) in &parts {
                // One byte apart, so that no two edits start at one place and any order is the same.
                text.extend_from_slice(kept);
                text.push(b'|');
                want.extend_from_slice(kept);
                want.push(b'|');
                let start = text.len() as u32;
                text.extend_from_slice(old);
                want.extend_from_slice(new);
                edits.push((span(start, text.len() as u32), Bytes::from(new.clone())));
            }
            text.extend_from_slice(&tail);
            want.extend_from_slice(&tail);
            let turn = if edits.is_empty() { 0 } else { order as usize % edits.len() };
            edits.rotate_left(turn);
            prop_assert_eq!(splice(&text, &mut edits), want);
        }
    }
}
