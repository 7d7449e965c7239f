//! Why a text is no message, and what may be said to its sender.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::wire::fault::Fault;
use crate::wire::id::{CallId, Id};

/// A text that is no message.
///
/// Carries the id if one could be read and is valid, so that the sender can be answered at once and
/// not by a timeout; never an id that the text names twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadMessage {
    pub id: Option<Id>,
    pub kind: BadKind,
    /// For people: what is wrong, in words of ours; nothing of the text itself.
    pub why: Cow<'static, str>,
    /// It has a result or an error and no method: an answer, which is not to be answered.
    pub response: bool,
    /// Our own id that the text answers, if it is a broken answer.
    pub call: Option<CallId>,
    /// The text itself, for whoever may show it; empty where a whole batch is refused.
    pub text: Bytes,
}

/// What is wrong with a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadKind {
    /// Not UTF-8.
    Encoding,
    /// Not JSON.
    Syntax,
    /// An array where one message is allowed.
    Batch,
    /// JSON, but not an object.
    Object,
    /// `jsonrpc` is not `"2.0"`.
    Version,
    /// Neither a request, nor a notification, nor a response; or more than one of them.
    Shape,
    /// An id that is no string and no integer, or too long.
    Id,
    /// `method` is no string, or longer than [`METHOD_BYTES_MAX`](crate::wire::message::METHOD_BYTES_MAX).
    Method,
    /// `params` or `params._meta` is no object.
    Params,
    /// A progress token that is no string and no number, or too long.
    Token,
    /// A member twice in the message, its `params` or its `_meta`.
    Duplicate,
    /// A member that other readers may take for a routed one: `Name` beside `name`.
    Variant,
    /// A key longer than [`KEY_BYTES_MAX`](crate::wire::message::KEY_BYTES_MAX), or more members than
    /// [`MEMBERS_MAX`](crate::wire::message::MEMBERS_MAX).
    Keys,
    /// Nested too deep.
    Depth,
    /// Too many values, or too many messages in a batch.
    Elements,
    /// Longer than a span can say.
    Size,
}

impl BadMessage {
    #[cold]
    pub(super) fn new(kind: BadKind, why: impl Into<Cow<'static, str>>) -> Self {
        Self { id: None, kind, why: why.into(), response: false, call: None, text: Bytes::new() }
    }

    /// With the raw JSON of the id, if there is one, and whether it is an answer.
    pub(super) fn of(mut self, raw_id: Option<Bytes>, response: bool) -> Self {
        // What is no id of a request may be one of ours: `7.0` is an answer to our 7.
        let raw = raw_id.as_ref().filter(|_| response).and_then(|raw| std::str::from_utf8(raw).ok());
        self.call = raw.and_then(CallId::read);
        self.id = raw_id.and_then(Id::parse);
        self.response = response;
        self
    }

    /// With the text that it is said of.
    pub(super) fn in_text(self, text: Bytes) -> Self {
        Self { text, ..self }
    }

    /// The JSON-RPC code: -32700 if it is no JSON, -32600 if it is no message.
    pub fn code(&self) -> i32 {
        match self.kind {
            BadKind::Encoding | BadKind::Syntax => -32700,
            BadKind::Batch
            | BadKind::Object
            | BadKind::Version
            | BadKind::Shape
            | BadKind::Id
            | BadKind::Method
            | BadKind::Params
            | BadKind::Token
            | BadKind::Duplicate
            | BadKind::Variant
            | BadKind::Keys
            | BadKind::Depth
            | BadKind::Elements
            | BadKind::Size => -32600,
        }
    }

    /// What its sender is told.
    pub fn fault(&self) -> Fault {
        match self.code() {
            -32700 => Fault::parse_error(self.why.clone()),
            _ => Fault::invalid_request(self.why.clone()),
        }
    }
}

impl fmt::Display for BadMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for BadMessage {}
