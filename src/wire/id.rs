//! Ids: a peer's own, kept as it wrote them, and those we mint.
//!
//! A peer's id is text to us. It is compared and echoed byte for byte and never becomes a number, so
//! `18446744073709551616` and `"\u0061"` come back as they came.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use serde_json::value::RawValue;

use crate::wire::cursor::is_plain_string;

/// Longest string id, in bytes between its quotes as they stand in the text.
pub const ID_BYTES_MAX: usize = 1024;

/// As many bytes of an id need no place of their own on the heap: most ids have a few.
const INLINE_BYTES: usize = 22;

/// Most digits of an integer id.
pub const ID_DIGITS_MAX: usize = 64;

/// A peer's id exactly as it wrote it, compared and echoed as text.
///
/// Invariant: a JSON string of at most [`ID_BYTES_MAX`] bytes or an integer of at most
/// [`ID_DIGITS_MAX`] digits (schema: `RequestId`), without white space around it; so it is UTF-8 and
/// holds no control character.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(Raw);

/// A short JSON text of a peer's exactly as it wrote it, in a place of its own: it outlives its message.
pub struct Raw(Place);

/// Where it is.
enum Place {
    Here { length: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Box<[u8]>),
}

impl Raw {
    #[inline]
    pub fn new(json: &str) -> Self {
        let mut bytes = [0; INLINE_BYTES];
        Self(match bytes.get_mut(..json.len()) {
            Some(place) => {
                place.copy_from_slice(json.as_bytes());
                Place::Here { length: json.len() as u8, bytes }
            }
            None => Place::long(json.as_bytes()),
        })
    }

    pub fn as_str(&self) -> &str {
        // It was made of text.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The same as bytes, for whoever need not know that it is text: that would be looked at once more.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Place::Here { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Place::Heap(bytes) => bytes,
        }
    }
}

impl Place {
    #[cold]
    fn long(bytes: &[u8]) -> Self {
        Self::Heap(bytes.into())
    }
}

impl Clone for Raw {
    #[inline]
    fn clone(&self) -> Self {
        Self(match &self.0 {
            // As a whole, and not byte by byte.
            Place::Here { length, bytes } => Place::Here { length: *length, bytes: *bytes },
            Place::Heap(bytes) => Place::long(bytes),
        })
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Raw {}

impl Hash for Raw {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Id {
    /// Takes the raw JSON of an id. `None` for anything but a string or an integer within the bounds.
    pub fn parse(raw: impl AsRef<[u8]>) -> Option<Self> {
        Self::parse_bytes(raw.as_ref())
    }

    #[inline(never)]
    fn parse_bytes(raw: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(raw).ok()?;
        is_id(text).then(|| Self(Raw::new(text)))
    }

    /// The same of what a message was found to have for its id.
    pub(super) fn read(raw: &str) -> Self {
        Self(Raw::new(raw))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The same as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.as_str())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An id we minted. Unique on its stream for the stream's life; never reused, so a late answer is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct CallId(pub u64);

impl CallId {
    /// Reads what a peer sends back for an id of ours: `7`, or `7.0`, because some languages have one
    /// number type and write either. Nothing else is taken for it: not `"7"`, `7e0`, `07` or `-7`.
    pub fn read(raw: &str) -> Option<Self> {
        let digits = raw.strip_suffix(".0").unwrap_or(raw);
        if !is_integer(digits) || digits.starts_with('-') {
            return None;
        }
        digits.parse().ok().map(Self)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A map by ids that we minted: nobody else chooses them, so nothing is won by finding two that hash alike.
pub type MintedMap<K, V> = HashMap<K, V, BuildHasherDefault<MintedHasher>>;

/// Spreads numbers that follow one another.
#[derive(Debug, Default, Clone, Copy)]
pub struct MintedHasher(u64);

impl Hasher for MintedHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // Odd, so that the low bits stay apart, and with its bits all over, so that the high ones come to be.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Whether this raw JSON is an id that a request can have.
fn is_id(text: &str) -> bool {
    if text.starts_with('"') { is_string(text) } else { is_integer(text) }
}

fn is_string(text: &str) -> bool {
    text.len() <= ID_BYTES_MAX + 2
        && (is_plain_string(text)
            || serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get().len() == text.len()))
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain && digits.len() <= ID_DIGITS_MAX && (digits == "0" || !digits.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(raw: &str) -> Option<Id> {
        Id::parse(raw)
    }

    #[test]
    fn strings_and_integers_are_ids() {
        for raw in
            [r#""""#, r#""a""#, r#""\ud800""#, r#""\u0061\/""#, "0", "-0", "7", "-12", "18446744073709551616"]
        {
            assert_eq!(parse(raw).as_ref().map(Id::as_str), Some(raw));
        }
    }

    #[test]
    fn nothing_else_is_an_id() {
        for raw in [
            "",
            " 1",
            "1 ",
            "01",
            "1.0",
            "1e3",
            "+1",
            "-",
            "null",
            "true",
            "{}",
            "[1]",
            r#""a"#,
            r#""a" "#,
            r#""a""b""#,
            "\"\n\"",
            r#""\x""#,
            "\"a\\\"",
        ] {
            assert_eq!(parse(raw), None, "{raw}");
        }
    }

    #[test]
    fn an_id_ends_at_its_bounds() {
        assert!(parse(&"1".repeat(ID_DIGITS_MAX)).is_some());
        assert!(parse(&"1".repeat(ID_DIGITS_MAX + 1)).is_none());
        assert!(parse(&format!("-{}", "1".repeat(ID_DIGITS_MAX))).is_some());
        assert!(parse(&format!("\"{}\"", "x".repeat(ID_BYTES_MAX))).is_some());
        assert!(parse(&format!("\"{}\"", "x".repeat(ID_BYTES_MAX + 1))).is_none());
    }

    #[test]
    fn our_own_id_comes_back_as_either_number() {
        assert_eq!(CallId::read("7"), Some(CallId(7)));
        assert_eq!(CallId::read("7.0"), Some(CallId(7)));
        assert_eq!(CallId::read("0"), Some(CallId(0)));
        assert_eq!(CallId::read("18446744073709551615"), Some(CallId(u64::MAX)));
        for raw in [
            "",
            "\"7\"",
            "7e0",
            "-7",
            "-0",
            "07",
            "7.00",
            "7.",
            ".0",
            "+7",
            "18446744073709551616",
            "null",
            " 7",
        ] {
            assert_eq!(CallId::read(raw), None, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_the_bytes_it_came_as(raw in r#"("([ -!#-\[\]-~äあ]|\\u[0-9a-f]{4}|\\[nt"/\\]){0,40}")|-?[1-9][0-9]{0,63}"#) {
            let id = parse(&raw).expect("a valid id");
            prop_assert_eq!(id.as_str(), &raw);
            let again = std::collections::HashSet::from([id.clone()]);
            prop_assert!(again.contains(&id) && id.clone() == id);
            prop_assert_eq!(id.as_str(), raw);
        }

        #[test]
        fn our_own_id_survives_the_round_trip(n in any::<u64>()) {
            prop_assert_eq!(CallId::read(&CallId(n).to_string()), Some(CallId(n)));
        }
    }
}
