//! What of a message stands in headers as well, where each request stands by itself.
//!
//! 2026-07-28, basic/transports/streamable-http, Request Metadata. Owns which members are said again and how; it says what
//! goes to the server, in the server's own names, and nothing that a client sent in a header.

use crate::mcp::method::Method;
use crate::mcp::mirror::{encode, named};
use crate::wire::message::Message;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Puts them on for a message that says which revision it is of; another has none. `mirrored`: those of its arguments.
pub(super) fn put_on(headers: &mut HeaderMap, text: &Bytes, mirrored: &[(String, String)]) {
    let Ok(message) = Message::parse_server(text.clone()) else { return };
    let Some(params) = message.params() else { return };
    let Some(version) = params.meta.as_ref().and_then(|meta| meta.protocol_version.as_ref()) else { return };
    let method = message.method().unwrap_or_default();
    let name = named(Method::parse(method), params).and_then(|(_, name)| name);
    say(headers, VERSION, version.as_str(&message));
    say(headers, METHOD, method);
    if let Some(name) = name {
        say(headers, NAME, name.as_str(&message));
    }
    for (name, value) in mirrored {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            put(headers, name, value);
        }
    }
}

fn say(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    put(headers, name, &encode(value));
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
