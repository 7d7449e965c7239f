//! How the pass reads one value, and where in the text that value stands.
//!
//! By its shape if it is an object or an array, else as text: numbers and strings are not interpreted
//! on the way, so that none of them can fail. The reader tells no positions; they follow from where in
//! the text a key or a value was borrowed.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use crate::wire::members::inner;
use crate::wire::message::{Span, Text};

/// What is read of an object or an array; anything else is passed over.
pub(super) trait Shape<'a>: Sized {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while map.next_entry::<&RawValue, IgnoredAny>()?.is_some() {}
        Ok(())
    }
    fn array<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Reads any value by its shape.
pub(super) struct Lenient<T>(pub(super) T);

impl<'a, T: Shape<'a>> DeserializeSeed<'a> for Lenient<T> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'a, T: Shape<'a>> Visitor<'a> for Lenient<T> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_map<M: MapAccess<'a>>(self, map: M) -> Result<(), M::Error> {
        self.0.object(map)
    }
    fn visit_seq<S: SeqAccess<'a>>(self, seq: S) -> Result<(), S::Error> {
        self.0.array(seq)
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key of an object, and what its value starts with.
pub(super) struct Key<'a> {
    /// Decoded.
    pub(super) says: Cow<'a, [u8]>,
    pub(super) start: u32,
    pub(super) value_start: u32,
    /// The first byte of the value.
    pub(super) first: u8,
}

impl<'a> Key<'a> {
    pub(super) fn next<M: MapAccess<'a>>(whole: &'a str, map: &mut M) -> Result<Option<Self>, M::Error> {
        let Some(raw) = map.next_key::<&RawValue>()? else { return Ok(None) };
        let raw = raw.get();
        let place = span(whole, raw);
        let after = whole.as_bytes().get(place.end as usize..).unwrap_or_default();
        let skipped = after.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b':'));
        let value_start = place.end.saturating_add(skipped.count() as u32);
        let first = whole.as_bytes().get(value_start as usize).copied().unwrap_or_default();
        Ok(Some(Self { says: key_bytes(raw), start: place.start, value_start, first }))
    }

    /// Reads the value by its shape if it is an object or an array, else passes over it.
    pub(super) fn value<M: MapAccess<'a>>(&self, map: &mut M, shape: impl Shape<'a>) -> Result<(), M::Error> {
        match self.first {
            b'{' | b'[' => map.next_value_seed(Lenient(shape)),
            _ => map.next_value::<IgnoredAny>().map(|_| ()),
        }
    }
}

/// The value of the key before, as it stands.
pub(super) fn raw<'a, M: MapAccess<'a>>(map: &mut M) -> Result<&'a str, M::Error> {
    map.next_value::<&RawValue>().map(RawValue::get)
}

/// The end of a span that is not known yet.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// Where `part`, which was borrowed from `whole`, stands in it.
pub(super) fn span(whole: &str, part: &str) -> Span {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    // The whole is shorter than 4 GiB.
    Span { start: start as u32, end: (start + part.len()) as u32 }
}

/// Where the value ends that stands before the key at `next`: a comma and white space lie between.
pub(super) fn value_end(whole: &str, next: u32) -> u32 {
    let before = whole.get(..next as usize).unwrap_or_default().trim_end_matches(WHITE);
    before.strip_suffix(',').unwrap_or(before).trim_end_matches(WHITE).len() as u32
}

/// Where the last value ends of the object that ends at `end`.
pub(super) fn last_value_end(whole: &str, end: u32) -> u32 {
    let before = whole.get(..end as usize).unwrap_or_default();
    before.strip_suffix('}').unwrap_or(before).trim_end_matches(WHITE).len() as u32
}

const WHITE: [char; 4] = [' ', '\t', '\n', '\r'];

/// A raw value as a text, if it is a string and Unicode.
pub(super) fn text(whole: &str, raw: &str) -> Option<Text> {
    if !raw.starts_with('"') {
        return None;
    }
    let unescaped = match memchr::memchr(b'\\', raw.as_bytes()) {
        Some(_) => Some(serde_json::from_str::<Box<str>>(raw).ok()?),
        None => None,
    };
    Some(Text::new(span(whole, raw), unescaped))
}

/// What a key says. Bytes, because half a surrogate pair is no Unicode text and may still stand there.
fn key_bytes(raw: &str) -> Cow<'_, [u8]> {
    struct Says(Vec<u8>);
    impl<'de> Deserialize<'de> for Says {
        fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
            struct Bytes;
            impl Visitor<'_> for Bytes {
                type Value = Says;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a string")
                }
                fn visit_bytes<E: Error>(self, says: &[u8]) -> Result<Says, E> {
                    Ok(Says(says.to_vec()))
                }
            }
            reader.deserialize_bytes(Bytes)
        }
    }
    let plain = inner(raw).as_bytes();
    if memchr::memchr(b'\\', plain).is_none() {
        return Cow::Borrowed(plain);
    }
    serde_json::from_str::<Says>(raw).map_or(Cow::Borrowed(plain), |says| Cow::Owned(says.0))
}
