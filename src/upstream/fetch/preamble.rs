//! What stands in the head of a request, and how that is written (RFC 9112).
//!
//! What many requests say alike is written once for all of them. Pure.

use http::header::{ACCEPT, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use std::sync::{Arc, OnceLock};

use super::address::{Origin, Place};

/// Headers that many requests have.
#[derive(Default)]
pub struct Common {
    headers: HeaderMap,
    /// The same as it is sent.
    text: Vec<u8>,
    accepts: bool,
    has_host: bool,
    /// How a POST begins, at the first place that one went to.
    posts: OnceLock<(Arc<Origin>, Vec<u8>)>,
}

impl Common {
    pub fn new(headers: HeaderMap) -> Self {
        let mut text = Vec::new();
        headers.iter().for_each(|(name, value)| write(&mut text, name, value));
        let (accepts, has_host) = (headers.contains_key(ACCEPT), headers.contains_key(HOST));
        Self { headers, text, accepts, has_host, posts: OnceLock::new() }
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// How a POST begins that says nothing else, up to the length of its body, if it is known for this place.
    fn post(&self, place: &Place) -> Option<&[u8]> {
        let (origin, text) = self.posts.get_or_init(|| {
            let mut text = Vec::new();
            write_beginning(&mut text, &Method::POST, place, (self, &HeaderMap::new()));
            text.extend_from_slice(LENGTH);
            (place.origin.clone(), text)
        });
        // Each place has one of its own.
        Arc::ptr_eq(origin, &place.origin).then_some(text)
    }

    /// With those of one request beside them and in their place.
    pub(super) fn with(&self, own: &HeaderMap) -> HeaderMap {
        let mut all = self.headers.clone();
        if !own.is_empty() {
            all.extend(own.clone());
        }
        all
    }
}

/// Writes the head of a request with a body of this length.
pub(super) fn write_head(
    into: &mut Vec<u8>,
    method: &Method,
    place: &Place,
    (common, own): (&Common, &HeaderMap),
    length: usize,
) {
    let post = (own.is_empty() && *method == Method::POST).then(|| common.post(place)).flatten();
    if let Some(post) = post {
        into.extend_from_slice(post);
        write_length(into, length);
    } else {
        write_beginning(into, method, place, (common, own));
        if length > 0 || *method == Method::POST {
            into.extend_from_slice(LENGTH);
            write_length(into, length);
        }
    }
    into.extend_from_slice(b"\r\n");
}

/// What does not depend on the body.
fn write_beginning(into: &mut Vec<u8>, method: &Method, place: &Place, (common, own): (&Common, &HeaderMap)) {
    into.reserve(common.text.len() + HEAD_BYTES);
    for piece in [method.as_str(), " ", place.path.as_str(), " HTTP/1.1\r\n"] {
        into.extend_from_slice(piece.as_bytes());
    }
    if own.is_empty() {
        into.extend_from_slice(&common.text);
    } else {
        let others = common.headers.iter().filter(|(name, _)| !own.contains_key(*name));
        others.chain(own).for_each(|(name, value)| write(into, name, value));
    }
    if !common.accepts && !own.contains_key(ACCEPT) {
        into.extend_from_slice(b"accept: */*\r\n");
    }
    if !common.has_host && !own.contains_key(HOST) {
        write(into, &HOST, &place.host);
    }
}

fn write_length(into: &mut Vec<u8>, length: usize) {
    into.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    into.extend_from_slice(b"\r\n");
}

fn write(into: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
        into.extend_from_slice(piece);
    }
}

const LENGTH: &[u8] = b"content-length: ";
/// As long as a head is beside what is said alike, as a rule.
const HEAD_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::fetch::Address;

    fn map(headers: &[(&str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &'static str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(value))
        };
        headers.iter().map(header).collect()
    }

    fn head(
        method: &Method,
        common: &[(&str, &'static str)],
        own: &[(&str, &'static str)],
        length: usize,
    ) -> String {
        let address = Address::new("http://h.test/mcp?a=b");
        let (mut text, common) = (Vec::new(), Common::new(map(common)));
        write_head(&mut text, method, address.place().unwrap(), (&common, &map(own)), length);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_head_says_what_is_common_and_what_is_its_own() {
        let common = [("accept", "a/b"), ("x-one", "1"), ("host", "else.test")];
        assert_eq!(
            head(&Method::POST, &common, &[], 12),
            "POST /mcp?a=b HTTP/1.1\r\naccept: a/b\r\nx-one: 1\r\nhost: else.test\r\ncontent-length: 12\r\n\r\n"
        );
        assert_eq!(
            head(&Method::POST, &common, &[("x-one", "2"), ("x-two", "2")], 1),
            "POST /mcp?a=b HTTP/1.1\r\naccept: a/b\r\nhost: else.test\r\nx-one: 2\r\nx-two: 2\r\n\
             content-length: 1\r\n\r\n"
        );
    }

    #[test]
    fn what_is_said_alike_is_said_at_each_place_as_it_is_there() {
        let common = Common::new(map(&[("x-one", "1")]));
        let places =
            ["http://h.test/a", "http://h.test/b", "http://g.test/a", "http://h.test/a"].map(Address::new);
        for place in places.iter().chain(&places).map(|address| address.place().unwrap()) {
            let mut text = Vec::new();
            write_head(&mut text, &Method::POST, place, (&common, &HeaderMap::new()), 7);
            let (path, host) = (place.path.as_str(), place.host.to_str().unwrap());
            assert_eq!(
                String::from_utf8(text).unwrap(),
                format!(
                    "POST {path} HTTP/1.1\r\nx-one: 1\r\naccept: */*\r\nhost: {host}\r\ncontent-length: 7\r\n\r\n"
                )
            );
        }
    }

    #[test]
    fn a_head_has_what_none_may_lack() {
        let rest = "/mcp?a=b HTTP/1.1\r\naccept: */*\r\nhost: h.test\r\n";
        assert_eq!(head(&Method::GET, &[], &[], 0), format!("GET {rest}\r\n"));
        assert_eq!(head(&Method::DELETE, &[], &[], 0), format!("DELETE {rest}\r\n"));
        assert_eq!(head(&Method::POST, &[], &[], 0), format!("POST {rest}content-length: 0\r\n\r\n"));
    }
}
