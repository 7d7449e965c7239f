//! Splits a batch into the texts of its messages.
//!
//! Only the 2025-03-26 revision has batches (basic/index, "Batching"). Each text then goes through the
//! whole parser by itself; nothing of a batch is accepted here.

use std::fmt;

use bytes::Bytes;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::wire::flaw::{BadKind, BadMessage};

/// The texts in a batch, each a copy of its own: a message must not keep the whole batch that it came in. `None` if the
/// text does not start as an array.
///
/// An empty batch, or one of more than `elements_max`, is refused as a whole.
pub fn batch(text: &Bytes, elements_max: usize) -> Option<Result<Vec<Bytes>, BadMessage>> {
    is_batch(text).then(|| split(text, elements_max))
}

/// Whether the text starts as an array.
pub fn is_batch(text: &[u8]) -> bool {
    text.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) == Some(&b'[')
}

fn split(text: &Bytes, elements_max: usize) -> Result<Vec<Bytes>, BadMessage> {
    let whole = std::str::from_utf8(text)
        .map_err(|_| BadMessage::new(BadKind::Encoding, "the batch is not UTF-8"))?;
    let mut over = false;
    let mut reader = serde_json::Deserializer::from_str(whole);
    let elements = reader.deserialize_seq(Split { elements_max, over: &mut over });
    if over {
        let why = format!("the batch holds more than {elements_max} messages");
        return Err(BadMessage::new(BadKind::Elements, why));
    }
    let elements = elements
        .and_then(|elements| reader.end().map(|()| elements))
        .map_err(|error| BadMessage::new(BadKind::Syntax, format!("the batch is not JSON: {error}")))?;
    if elements.is_empty() {
        return Err(BadMessage::new(BadKind::Elements, "the batch is empty"));
    }
    Ok(elements)
}

struct Split<'s> {
    elements_max: usize,
    over: &'s mut bool,
}

impl<'de> Visitor<'de> for Split<'_> {
    type Value = Vec<Bytes>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element::<&RawValue>()? {
            if elements.len() == self.elements_max {
                *self.over = true;
                return Err(S::Error::custom("too many"));
            }
            elements.push(Bytes::copy_from_slice(element.get().as_bytes()));
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str, elements_max: usize) -> Option<Result<Vec<Bytes>, BadKind>> {
        batch(&Bytes::from_static(text.as_bytes()), elements_max).map(|found| found.map_err(|bad| bad.kind))
    }

    #[test]
    fn one_message_is_no_batch() {
        assert_eq!(of(" {\"a\":[1]}", 9), None);
        assert_eq!(of("", 9), None);
        assert_eq!(of("  ", 9), None);
    }

    #[test]
    fn a_batch_is_its_texts() {
        assert_eq!(
            of("\r\n [ {\"a\":1} , 7,\n\"x\" ] ", 3),
            Some(Ok(vec!["{\"a\":1}".into(), "7".into(), "\"x\"".into()]))
        );
    }

    #[test]
    fn a_message_keeps_nothing_of_the_batch_that_it_came_in() {
        let whole = Bytes::from(b"[{\"a\":1},7]".to_vec());
        let texts = batch(&whole, 9).unwrap().unwrap();
        assert!(whole.is_unique() && texts.iter().all(Bytes::is_unique));
    }

    #[test]
    fn a_batch_ends_at_its_bound() {
        assert!(matches!(of("[1,2]", 2), Some(Ok(_))));
        assert_eq!(of("[1,2,3]", 2), Some(Err(BadKind::Elements)));
        assert_eq!(of("[]", 2), Some(Err(BadKind::Elements)));
    }

    #[test]
    fn a_broken_batch_is_refused_whole() {
        assert_eq!(of("[1,", 9), Some(Err(BadKind::Syntax)));
        assert_eq!(of("[1] 2", 9), Some(Err(BadKind::Syntax)));
        let bad = batch(&Bytes::from_static(b"[\"\xff\"]"), 9).unwrap().unwrap_err();
        assert_eq!((bad.kind, bad.code()), (BadKind::Encoding, -32700));
    }
}
