//! What an answer says in its head, as it stands there.
//!
//! Few of its fields are ever asked for, so they stay where they are in the bytes until one is: each on a line of its
//! own, none folded. Pure; whether a head may be read at all, `reply` says.

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName};
use memchr::memchr;
use std::fmt;

/// Cheap to make. Its `Debug` shows no values.
#[derive(Clone, Default)]
pub struct Fields(Bytes);

impl Fields {
    /// Those of a head that was read, the line before them included.
    pub(super) fn of_head(mut head: Bytes) -> Self {
        let first = memchr(b'\n', &head).map_or(head.len(), |end| end + 1);
        head.advance(first);
        Self(head)
    }

    /// The first of this name.
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The same as text, if it is one of visible ASCII.
    pub fn text(&self, name: &HeaderName) -> Option<&str> {
        let is_visible = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
        let value = self.get(name).filter(|value| value.iter().all(is_visible))?;
        std::str::from_utf8(value).ok()
    }

    /// All of this name, in their order.
    pub fn get_all(&self, name: &HeaderName) -> impl Iterator<Item = &[u8]> {
        let wanted = name.as_str().as_bytes();
        self.lines()
            .filter(move |line| {
                line.get(wanted.len()) == Some(&b':') && line[..wanted.len()].eq_ignore_ascii_case(wanted)
            })
            .map(move |line| line[wanted.len() + 1..].trim_ascii())
    }

    /// Their names, as they are written.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.lines().filter_map(|line| line.get(..memchr(b':', line)?))
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let end = memchr(b'\n', rest)?;
            let line = &rest[..end];
            rest = &rest[end + 1..];
            Some(line)
        })
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names().map(String::from_utf8_lossy)).finish()
    }
}

impl From<HeaderMap> for Fields {
    fn from(headers: HeaderMap) -> Self {
        let mut text = Vec::new();
        for (name, value) in &headers {
            for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                text.extend_from_slice(piece);
            }
        }
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};

    fn all(fields: &Fields, name: &HeaderName) -> Vec<String> {
        fields.get_all(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    #[test]
    fn a_field_is_found_by_its_name_however_that_is_written() {
        let head = "HTTP/1.1 200 location: no\r\nContent-TYPE:\t a/b; c \r\nset-cookie:1\nSet-Cookie: 2:3\r\n\
                    content-type-x: no\r\nlocation:\r\n\r\n";
        let fields = Fields::of_head(Bytes::from(head));
        assert_eq!(fields.get(&CONTENT_TYPE), Some(&b"a/b; c"[..]));
        assert_eq!(all(&fields, &SET_COOKIE), ["1", "2:3"]);
        assert_eq!(fields.text(&LOCATION), Some(""));
        assert_eq!(fields.get(&HeaderName::from_static("cookie")), None);
        let names: Vec<_> = fields.names().map(String::from_utf8_lossy).collect();
        assert_eq!(names, ["Content-TYPE", "set-cookie", "Set-Cookie", "content-type-x", "location"]);
    }

    #[test]
    fn what_is_no_visible_text_is_none() {
        let fields = Fields::of_head(Bytes::from_static(b"HTTP/1.1 200 OK\r\nlocation: /\xc3\xa4\r\n\r\n"));
        assert_eq!((fields.get(&LOCATION), fields.text(&LOCATION)), (Some(&b"/\xc3\xa4"[..]), None));
    }

    #[test]
    fn those_of_a_map_are_the_same() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("a=1"));
        headers.append(SET_COOKIE, HeaderValue::from_static("b: 2"));
        assert_eq!(all(&Fields::from(headers), &SET_COOKIE), ["a=1", "b: 2"]);
        assert_eq!(Fields::default().names().count(), 0);
    }
}
