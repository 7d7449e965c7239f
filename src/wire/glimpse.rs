//! What a text that cannot be parsed still tells: whose it is, and whether it is an answer.
//!
//! A small machine over bytes in any chunks, in constant memory, so that it can also watch a line that
//! is being thrown away. It believes only what stands before the text stops making sense. Never used
//! for a text that parses.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::wire::id::{ID_BYTES_MAX, ID_DIGITS_MAX};

/// The machine. Feed it the text from its first byte, then ask.
#[derive(Clone, Debug, Default)]
pub struct Glimpse {
    at: At,
    /// The present key of the outermost object, as far as it matters.
    key: Short,
    /// The value of `id`, as far as it has been read.
    id: Short,
    ids: u8,
    id_whole: bool,
    method: bool,
    outcome: bool,
}

/// Where in the text the machine is. The outermost object's members are told apart; what lies deeper is
/// only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Start,
    Key,
    InKey,
    KeyEscape,
    Colon,
    Value,
    InString,
    StringEscape,
    Scalar,
    AfterValue,
    Deep(u32),
    DeepString(u32),
    DeepEscape(u32),
    /// The object has ended, or the text stopped making sense.
    End,
}

/// A few bytes; what does not fit is forgotten, and that is remembered.
#[derive(Clone, Debug, Default)]
struct Short {
    bytes: Vec<u8>,
    over: bool,
}

impl Glimpse {
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.at == At::End {
                return;
            }
            // Most of a long text lies inside strings that nobody reads.
            if let At::DeepString(depth) = self.at {
                let Some(found) = memchr::memchr2(b'"', b'\\', bytes) else { return };
                let escape = bytes.get(found) == Some(&b'\\');
                self.at = if escape { At::DeepEscape(depth) } else { At::Deep(depth) };
                bytes = bytes.get(found + 1..).unwrap_or_default();
                continue;
            }
            self.at = self.step(byte);
            bytes = rest;
        }
    }

    /// The raw JSON of the id, if exactly one was read to its end and is a string or a number.
    pub fn id(&self) -> Option<Bytes> {
        if self.ids != 1 || !self.id_whole || self.id.over {
            return None;
        }
        let text = std::str::from_utf8(&self.id.bytes).ok()?;
        let scalar = text.starts_with(['"', '-']) || text.starts_with(|first: char| first.is_ascii_digit());
        let valid = serde_json::from_str::<&RawValue>(text).is_ok();
        (scalar && valid).then(|| Bytes::copy_from_slice(text.as_bytes()))
    }

    /// It has a result or an error and no method.
    pub fn is_response(&self) -> bool {
        self.outcome && !self.method
    }

    fn step(&mut self, byte: u8) -> At {
        let white = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match (self.at, byte) {
            (At::Start | At::Key | At::Colon | At::Value | At::AfterValue, _) if white => self.at,
            // A byte order mark.
            (At::Start, 0xef | 0xbb | 0xbf) => At::Start,
            (At::Start, b'{') => At::Key,
            (At::Key, b'"') => {
                self.key = Short::default();
                At::InKey
            }
            (At::InKey, b'\\') => {
                self.key.over = true;
                At::KeyEscape
            }
            (At::InKey, b'"') => {
                self.name();
                At::Colon
            }
            (At::InKey, _) => {
                self.key.push(byte, "method".len());
                At::InKey
            }
            (At::KeyEscape, _) => At::InKey,
            (At::Colon, b':') => At::Value,
            (At::Value, b'{' | b'[') => At::Deep(1),
            (At::Value, b'"') => {
                self.keep(byte);
                At::InString
            }
            (At::Value, b'-' | b'0'..=b'9' | b'a'..=b'z') => {
                self.keep(byte);
                At::Scalar
            }
            (At::InString, _) => {
                self.keep(byte);
                match byte {
                    b'\\' => At::StringEscape,
                    b'"' => self.value_end(),
                    _ => At::InString,
                }
            }
            (At::StringEscape, _) => {
                self.keep(byte);
                At::InString
            }
            (At::Scalar, b',' | b'}') => {
                self.value_end();
                if byte == b',' { At::Key } else { At::End }
            }
            (At::Scalar, _) if white => self.value_end(),
            (At::Scalar, b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E') => {
                self.keep(byte);
                At::Scalar
            }
            (At::AfterValue, b',') => At::Key,
            (At::Deep(depth), b'{' | b'[') => At::Deep(depth.saturating_add(1)),
            (At::Deep(1), b'}' | b']') => At::AfterValue,
            (At::Deep(depth), b'}' | b']') => At::Deep(depth - 1),
            (At::Deep(depth), b'"') => At::DeepString(depth),
            (At::Deep(depth), _) => At::Deep(depth),
            (At::DeepEscape(depth) | At::DeepString(depth), _) => At::DeepString(depth),
            (At::Start | At::Key | At::Colon | At::Value | At::Scalar | At::AfterValue | At::End, _) => {
                At::End
            }
        }
    }

    /// A key of the outermost object is whole.
    fn name(&mut self) {
        match self.key.bytes.as_slice() {
            _ if self.key.over => {}
            b"id" => {
                self.ids = self.ids.saturating_add(1);
                self.id = Short::default();
                self.id_whole = false;
            }
            b"method" => self.method = true,
            b"result" | b"error" => self.outcome = true,
            _ => {}
        }
    }

    fn is_id(&self) -> bool {
        !self.key.over && self.key.bytes == b"id"
    }

    fn keep(&mut self, byte: u8) {
        if self.is_id() {
            self.id.push(byte, VALUE_BYTES_MAX);
        }
    }

    fn value_end(&mut self) -> At {
        self.id_whole |= self.is_id();
        At::AfterValue
    }
}

impl Short {
    fn push(&mut self, byte: u8, bytes_max: usize) {
        if self.bytes.len() < bytes_max {
            self.bytes.push(byte);
        } else {
            self.over = true;
        }
    }
}

/// Longest raw id worth keeping: a string with its quotes, or a signed integer.
const VALUE_BYTES_MAX: usize =
    if ID_BYTES_MAX + 2 > ID_DIGITS_MAX + 1 { ID_BYTES_MAX + 2 } else { ID_DIGITS_MAX + 1 };

/// The `id` member of a broken text, as raw JSON, if it can be read.
pub fn readable_id(text: &[u8]) -> Option<Bytes> {
    let mut glimpse = Glimpse::default();
    glimpse.feed(text);
    glimpse.id()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: impl AsRef<[u8]>) -> Option<String> {
        readable_id(text.as_ref()).map(|raw| String::from_utf8(raw.to_vec()).unwrap())
    }

    #[test]
    fn the_id_is_read_wherever_it_stands() {
        assert_eq!(id(r#"{"id":7,"#).as_deref(), Some("7"));
        assert_eq!(id("\u{feff} { \"id\" : \"a\\\"b\" "), Some(r#""a\"b""#.into()));
        assert_eq!(id(r#"{"result":{"id":1,"x":["}\"]",{}]},"id":-2}"#).as_deref(), Some("-2"));
        assert_eq!(id(b"{\"result\":\"\xff\",\"id\":7.0}").as_deref(), Some("7.0"));
        assert_eq!(id(b"{\"x\":{\"y\":\"\xff\0\"},\"id\":7\r\n,oops").as_deref(), Some("7"));
    }

    #[test]
    fn half_an_id_is_none() {
        for text in ["{\"id\":7", "{\"id\":\"7", "{\"id\"", "{\"id\":", "{\"i", "{", ""] {
            assert_eq!(id(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_id_is_not_read_as_one() {
        for text in [
            r#"{"id":null,"#,
            r#"{"id":true,"#,
            r#"{"id":{"id":1},"#,
            r#"{"id":[1],"#,
            r#"{"x":{"id":1}}"#,
            r#"{"x":"id","y":1}"#,
            r#"{"x":"\"id\":1,"#,
            r#"[{"id":1}]"#,
            r#"hello {"id":1}"#,
            r#"{"ids":1,"#,
            r#"{"id":1-,"#,
            r#"{"id":01,"#,
            "{\"id\":\"\n\",",
        ] {
            assert_eq!(id(text), None, "{text}");
        }
    }

    #[test]
    fn two_ids_are_none() {
        assert_eq!(id(r#"{"id":1,"id":2,"#), None);
        assert_eq!(id(r#"{"id":1,"id":"#), None);
    }

    #[test]
    fn an_id_ends_at_its_bound() {
        assert!(id(format!("{{\"id\":\"{}\",", "x".repeat(ID_BYTES_MAX))).is_some());
        assert!(id(format!("{{\"id\":\"{}\",", "x".repeat(ID_BYTES_MAX + 1))).is_none());
    }

    #[test]
    fn an_answer_is_told_from_a_request() {
        let response = |text: &str| {
            let mut glimpse = Glimpse::default();
            glimpse.feed(text.as_bytes());
            glimpse.is_response()
        };
        assert!(response(r#"{"id":1,"result":{"#));
        assert!(response(r#"{"error":{"method":1}"#));
        assert!(!response(r#"{"result":{},"method":"x""#));
        assert!(!response(r#"{"params":{"result":1},"#));
        assert!(!response(r#"{"resul"#));
    }

    #[test]
    fn depth_costs_no_memory() {
        let text = format!("{{\"a\":{}{},\"id\":5}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(id(text).as_deref(), Some("5"));
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(text in r#"\{?("(id|method|x|\\u0069d)" ?: ?("[a\\"]{0,3}"|[0-9]{1,3}|\{"id":1\}|\["a]?)[ ,}]?){0,4}"#, cut in any::<prop::sample::Index>()) {
            let bytes = text.as_bytes();
            let mut whole = Glimpse::default();
            whole.feed(bytes);
            let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
            let mut parts = Glimpse::default();
            parts.feed(head);
            parts.feed(tail);
            prop_assert_eq!(whole.id(), parts.id());
            prop_assert_eq!(whole.is_response(), parts.is_response());
        }

        #[test]
        fn a_whole_message_tells_its_own_id(n in any::<i64>(), before in ".{0,20}", after in ".{0,20}") {
            let quote = crate::wire::members::quote;
            let text = format!("{{\"a\":{},\"id\": {n} ,\"b\":{{\"c\":{}}}}}", quote(&before), quote(&after));
            prop_assert_eq!(id(&text), Some(n.to_string()));
        }
    }
}
