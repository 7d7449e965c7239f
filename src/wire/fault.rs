//! A JSON-RPC error on its way to a client, and whose it is.
//!
//! Faults are made where something is known to have failed and rendered once, at the door. A server's
//! own error is not a fault: it passes as the text it came in.

use std::fmt;

use bytes::Bytes;

use crate::config::codes::Code;
use crate::wire::id::Id;
use crate::wire::members::quote;

/// A JSON-RPC error on its way to a client.
///
/// With a reason, a server or an outcome it is Braid's own and its `data` says so; without all three it
/// is a plain protocol error and carries `data` only if some was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub code: i32,
    /// For people: what happened, to which server, what to do.
    pub text: String,
    pub reason: Option<Reason>,
    /// The server's name as the configuration writes it.
    pub server: Option<String>,
    pub outcome: Option<CallOutcome>,
    /// What `braid explain` has more to say about.
    pub explain: Option<Code>,
    /// In how many milliseconds the same would be taken, where that is known.
    pub retry_ms: Option<u32>,
    /// Raw JSON that a protocol error must carry, such as the versions that are supported.
    pub data: Option<Bytes>,
}

/// Why Braid itself gives up. Decides the code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// No sign of life in time.
    Timeout,
    /// The absolute maximum is reached.
    TimeoutMax,
    /// The server is gone.
    Gone,
    /// The server is being started.
    Starting,
    /// The server was never reached.
    Unreachable,
    /// Too many in flight, or a queue is full.
    Busy,
    /// Over its rate.
    Rate,
    /// Over a size limit.
    TooLarge,
    /// Refused by a filter.
    Refused,
    /// The call came back through ourselves.
    Loop,
    /// We are stopping.
    Stopping,
    /// A fault of ours.
    Internal,
}

/// What is known of a call that got no answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallOutcome {
    /// No byte of it has left: safe to repeat.
    NotSent,
    /// It may have run: not safe to repeat.
    Unknown,
}

impl Fault {
    /// A fault of Braid's own.
    #[cold]
    pub fn ours(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason: Some(reason), ..Self::plain(reason.code(), text) }
    }

    #[cold]
    pub fn method_not_found(method: &str) -> Self {
        Self::plain(-32601, format!("method not found: {method}"))
    }

    #[cold]
    pub fn invalid_params(text: impl Into<String>) -> Self {
        Self::plain(-32602, text)
    }

    #[cold]
    pub fn invalid_request(text: impl Into<String>) -> Self {
        Self::plain(-32600, text)
    }

    #[cold]
    pub fn parse_error(text: impl Into<String>) -> Self {
        Self::plain(-32700, text)
    }

    /// A protocol error with any code: what the specification has a number for and this file has no name.
    #[cold]
    pub fn plain(code: i32, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            reason: None,
            server: None,
            outcome: None,
            explain: None,
            retry_ms: None,
            data: None,
        }
    }

    #[must_use]
    pub fn server(mut self, name: impl Into<String>) -> Self {
        self.server = Some(name.into());
        self
    }

    #[must_use]
    pub fn outcome(mut self, outcome: CallOutcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// With the code by which the long help is found.
    #[must_use]
    pub fn explained(mut self, code: Code) -> Self {
        self.explain = Some(code);
        self
    }

    /// With the time after which the same would be taken.
    #[must_use]
    pub fn retry(mut self, ms: u32) -> Self {
        self.retry_ms = Some(ms);
        self
    }

    /// Raw JSON as the `data` of a plain protocol error; a fault of ours writes its own.
    #[must_use]
    pub fn data(mut self, json: impl Into<Bytes>) -> Self {
        self.data = Some(json.into());
        self
    }

    /// The whole response for `id`, on one line without a newline. Without an id the member is left out.
    #[cold]
    pub fn render(&self, id: Option<&Id>) -> Bytes {
        let mut out = String::with_capacity(192 + self.text.len());
        out.push_str(r#"{"jsonrpc":"2.0","#);
        if let Some(id) = id {
            out.push_str(r#""id":"#);
            out.push_str(id.as_str());
            out.push(',');
        }
        out.push_str(r#""error":"#);
        self.write_error(&mut out);
        out.push('}');
        out.into()
    }

    /// The error object alone.
    #[cold]
    pub fn render_error(&self) -> Bytes {
        let mut out = String::with_capacity(160 + self.text.len());
        self.write_error(&mut out);
        out.into()
    }

    fn write_error(&self, out: &mut String) {
        out.push_str(r#"{"code":"#);
        out.push_str(&self.code.to_string());
        out.push_str(r#","message":"#);
        out.push_str(&quote(&self.text));
        if self.is_ours() {
            out.push_str(r#","data":{"source":"braid""#);
            let server = self.server.as_deref().map(quote);
            let reason = self.reason.map(|reason| quote(reason.as_str()));
            let outcome = self.outcome.map(|outcome| quote(outcome.as_str()));
            let code = self.explain.map(|code| quote(code.id()));
            let retry = self.retry_ms.map(|ms| ms.to_string());
            let members = [
                ("server", server),
                ("reason", reason),
                ("outcome", outcome),
                ("code", code),
                ("retry_after_ms", retry),
            ];
            for (key, value) in members {
                if let Some(value) = value {
                    out.push_str(&format!(r#","{key}":{value}"#));
                }
            }
            out.push('}');
        } else if let Some(data) = self.data.as_deref().and_then(|data| std::str::from_utf8(data).ok()) {
            out.push_str(r#","data":"#);
            out.push_str(data);
        }
        out.push('}');
    }

    fn is_ours(&self) -> bool {
        self.reason.is_some() || self.server.is_some() || self.outcome.is_some()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

impl Reason {
    /// The code of an error with this reason. Ours are positive, so that no SDK mistakes them.
    pub fn code(self) -> i32 {
        match self {
            Self::Timeout | Self::TimeoutMax => 1001,
            Self::Gone | Self::Starting | Self::Unreachable => 1002,
            Self::Busy | Self::Rate => 1003,
            Self::TooLarge => 1004,
            Self::Refused | Self::Loop => 1005,
            Self::Stopping => 1006,
            Self::Internal => -32603,
        }
    }

    /// As it stands in `data.reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::TimeoutMax => "timeout_max",
            Self::Gone => "gone",
            Self::Starting => "starting",
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
            Self::Rate => "rate",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::Loop => "loop",
            Self::Stopping => "stopping",
            Self::Internal => "internal",
        }
    }
}

impl CallOutcome {
    /// As it stands in `data.outcome`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
        }
    }
}

/// The beginning of a text, of so many characters at most: a peer's within our sentence is no longer than a line.
pub fn brief(text: &str, chars_max: usize) -> &str {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::{Head, Message, Outcome};

    fn id(raw: &'static str) -> Id {
        Id::parse(Bytes::from_static(raw.as_bytes())).unwrap()
    }

    #[test]
    fn a_fault_of_ours_says_whose_it_is() {
        let fault = Fault::ours(Reason::Timeout, "github: no answer for 120 s")
            .server("github")
            .outcome(CallOutcome::Unknown);
        assert_eq!(
            fault.render(Some(&id("\"a\""))),
            r#"{"jsonrpc":"2.0","id":"a","error":{"code":1001,"message":"github: no answer for 120 s","data":{"source":"braid","server":"github","reason":"timeout","outcome":"unknown"}}}"#
        );
    }

    #[test]
    fn a_protocol_error_is_plain() {
        assert_eq!(
            Fault::method_not_found("tools/\"x\"").render(None),
            r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"method not found: tools/\"x\""}}"#
        );
        assert_eq!(
            Fault::plain(-32602, "no").data(r#"{"supported":["1"]}"#).render(Some(&id("1"))),
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no","data":{"supported":["1"]}}}"#
        );
    }

    #[test]
    fn hostile_words_stay_within_one_line() {
        let line = Fault::ours(Reason::Gone, "a\n\"b\"\r\u{0}").server("x\ny").render(Some(&id("1")));
        assert_eq!(memchr::memchr2(b'\n', b'\r', &line), None);
        let message = Message::parse_server(line).unwrap();
        assert!(matches!(
            message.head(),
            Head::Response { id: Some(_), outcome: Outcome::Error { code: Some(1002), .. } }
        ));
    }

    #[test]
    fn every_reason_has_the_code_of_the_table() {
        use Reason::*;
        let table = [
            (1001, [Timeout, TimeoutMax].as_slice()),
            (1002, &[Gone, Starting, Unreachable]),
            (1003, &[Busy, Rate]),
            (1004, &[TooLarge]),
            (1005, &[Refused, Loop]),
            (1006, &[Stopping]),
            (-32603, &[Internal]),
        ];
        for (code, reasons) in table {
            for reason in reasons {
                assert_eq!(Fault::ours(*reason, "").code, code);
            }
        }
    }
}
