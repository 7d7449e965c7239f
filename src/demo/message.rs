//! One message from a client: what kind it is, and the parts that a server looks at.
//!
//! Parsing borrows from the line, and `params` stays text: `echo` gives digits back as they came. Whatever a client
//! writes, the outcome is a message or a `Fault`, never a panic.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::fault::Fault;

/// A request id or a progress token: a string, or an integer kept as it was written, however long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Id {
    Number(String),
    Text(String),
}

pub(super) enum Incoming<'a> {
    Request { id: Id, method: String, params: Option<&'a RawValue> },
    Notice { method: String, params: Option<&'a RawValue> },
    Answer { id: Id, outcome: Result<&'a RawValue, &'a RawValue> },
}

/// A message that cannot be served, with its id where that much could be read.
pub(super) struct Unreadable {
    pub(super) id: Option<Id>,
    pub(super) fault: Fault,
}

/// A line: one message, or the elements of an array.
pub(super) enum Reading<'a> {
    One(&'a RawValue),
    Many(Vec<&'a RawValue>),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    jsonrpc: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

impl<'a> Reading<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(line).map_err(|_| Fault::parse("a line must be UTF-8"))?.trim();
        let message: &RawValue = serde_json::from_str(text)
            .map_err(|error| Fault::parse(format!("a line must be JSON: {error}")))?;
        if !message.get().starts_with('[') {
            return Ok(Self::One(message));
        }
        let many = serde_json::from_str(message.get()).map_err(|error| Fault::parse(error.to_string()))?;
        Ok(Self::Many(many))
    }
}

impl<'a> Incoming<'a> {
    pub(super) fn parse(message: &'a RawValue) -> Result<Self, Unreadable> {
        let nameless = |message: &str| Unreadable { id: None, fault: Fault::invalid_request(message) };
        // A derived struct would also accept an array, member by member.
        if !message.get().starts_with('{') {
            return Err(nameless("a message must be an object"));
        }
        let envelope: Envelope<'a> =
            serde_json::from_str(message.get()).map_err(|error| nameless(&error.to_string()))?;
        let id = match envelope.id.map(Id::parse) {
            None => None,
            Some(Some(id)) => Some(id),
            Some(None) => return Err(nameless("`id` must be a string or an integer")),
        };
        if envelope.jsonrpc.as_deref() != Some("2.0") {
            return Err(Unreadable { id, fault: Fault::invalid_request("`jsonrpc` must be \"2.0\"") });
        }
        match (envelope.method, id, envelope.result, envelope.error) {
            (Some(method), Some(id), None, None) => Ok(Self::Request { id, method, params: envelope.params }),
            (Some(method), None, None, None) => Ok(Self::Notice { method, params: envelope.params }),
            (None, Some(id), Some(result), None) => Ok(Self::Answer { id, outcome: Ok(result) }),
            (None, Some(id), None, Some(error)) => Ok(Self::Answer { id, outcome: Err(error) }),
            (_, id, ..) => {
                let fault = Fault::invalid_request("neither a request, nor a notification, nor a response");
                Err(Unreadable { id, fault })
            }
        }
    }
}

impl Id {
    pub(super) fn parse(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        if text.starts_with('"') {
            return serde_json::from_str(text).ok().map(Self::Text);
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| Self::Number(text.to_owned()))
    }
}

/// As JSON.
impl std::fmt::Display for Id {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(digits) => formatter.write_str(digits),
            Self::Text(text) => write!(formatter, "{}", serde_json::Value::from(text.as_str())),
        }
    }
}

/// Tells `null` from nothing: an `Option` alone takes them for the same.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Option<String> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        Id::parse(raw).map(|id| id.to_string())
    }

    #[test]
    fn an_id_is_given_back_as_it_was_written() {
        for text in ["0", "-7", "123456789012345678901234567890", "\"\"", "\"a b\"", "\"\\n\""] {
            assert_eq!(id(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_neither_string_nor_integer_is_no_id() {
        for text in ["null", "true", "1.0", "1e3", "{}", "[1]", "\"\\ud800\""] {
            assert_eq!(id(text), None, "{text}");
        }
    }
}
