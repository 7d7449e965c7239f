//! One JSON-RPC message: its text, and where in it routing looks.
//!
//! Parsing builds no tree. It checks the envelope, refuses what two readers could read differently, and
//! remembers where the few members stand that Braid ever reads or replaces. All else is opaque.

use bytes::Bytes;
use bytestring::ByteString;
use serde_json::value::RawValue;
use std::ops::Deref;

use crate::wire::amend::{LONG_BYTES_MIN, ROOM_BYTES, amended};
pub use crate::wire::batch::batch;
pub use crate::wire::caps::Caps;
use crate::wire::caps::Over;
use crate::wire::cursor::Stop;
pub use crate::wire::flaw::{BadKind, BadMessage};
use crate::wire::glimpse::Glimpse;
use crate::wire::id::Id;
use crate::wire::skim::{self, Skim};
use crate::wire::splice::{New, first_place, one_splice};

/// The `_meta` key under which a call carries the run cookies of the Braids it came through.
pub const HOP_KEY: &str = "dev.braid/hop";

/// The `_meta` keys of 2026-07-28 (basic/index, _meta): what each request says of its client,
pub const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
pub const CLIENT_INFO_KEY: &str = "io.modelcontextprotocol/clientInfo";
pub const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
pub const LOG_LEVEL_KEY: &str = "io.modelcontextprotocol/logLevel";
/// which `subscriptions/listen` a notification belongs to,
pub const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";
/// and what each result says of its server.
pub const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// Longest method, in bytes of what it says.
pub const METHOD_BYTES_MAX: usize = 256;

/// Longest key in the message, its `params` and its `_meta`, in bytes as it stands.
pub const KEY_BYTES_MAX: usize = 1024;

/// Most members that the message, its `params` and its `_meta` may have each.
pub const MEMBERS_MAX: usize = 4096;

/// Longest progress token, in bytes as it stands, without quotes.
pub const TOKEN_BYTES_MAX: usize = 1024;

/// Most resource URIs found in one result; a result with more is passed on as if it had none.
pub const PLACES_MAX: usize = 100_000;

/// Half-open byte range of a message's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

/// A JSON string as it stands in the text: where (quotes included), and what it says when unescaped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    span: Span,
    /// None: no escapes, the text itself says it. Seldom there, and so no larger than it must be.
    unescaped: Option<Box<Box<str>>>,
}

/// One JSON-RPC message.
///
/// The text is valid UTF-8 and exactly one JSON object from its first byte to its last, and every span
/// of the head lies within it. Cloning copies no text.
#[derive(Clone, Debug)]
pub struct Message {
    text: ByteString,
    head: Head,
    is_on_one_line: bool,
    /// What a long text came in, if there were blanks before it: room for an edit, and where the text begins in it.
    whole: Option<Box<(Bytes, u32)>>,
}

/// What kind of message it is. Closed: nothing else is ever forwarded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Head {
    Request {
        id: Span,
        method: Text,
        params: Params,
    },
    Notification {
        method: Text,
        params: Params,
    },
    /// `id` is None only for an error without an id, or with the id null: its sender could not read ours.
    Response {
        id: Option<Span>,
        outcome: Outcome,
    },
}

/// The members of `params` that routing may look at. All spans include quotes and braces.
///
/// A member of another type than its name promises (a number as `name`) counts as missing: whether that
/// matters is known where the method is. What few messages have is read as if it stood here, and takes room only in
/// those.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Params {
    /// The whole params object, if present.
    pub object: Option<Span>,
    pub name: Option<Text>,
    pub meta: Option<Meta>,
    rare: Option<Box<Rare>>,
}

/// The members of [`Params`] that few messages have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rare {
    /// `params` is there but null: replace it, do not add another.
    pub null: Option<Span>,
    pub uri: Option<Text>,
    pub cursor: Option<Text>,
    pub level: Option<Text>,
    /// `ref` of completion/complete.
    pub reference: Option<Reference>,
    /// `requestId` of notifications/cancelled.
    pub request_id: Option<Span>,
    /// `progressToken` of notifications/progress.
    pub progress_token: Option<Span>,
    pub progress: Option<Span>,
    /// `task` of 2025-11-25, from its key to the end of its value.
    pub task: Option<Span>,
    /// Of a request about a task.
    pub task_id: Option<Text>,
    /// What a server gave its client to bring back (2026-07-28, basic/patterns/mrtr), from its key to the end of its value,
    /// and what it says; nothing, if it is no text.
    pub request_state: Option<(Span, Option<Text>)>,
    /// What a client answers to what its server wanted of it (2026-07-28), from its key to the end of its value, and its
    /// value.
    pub input_responses: Option<(Span, Span)>,
    /// `_meta` is there but null: replace it, do not add another.
    pub meta_null: Option<Span>,
}

/// The members of `params._meta` that routing may look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meta {
    /// From `{` to `}`.
    pub object: Span,
    /// A string, a number or null, within [`TOKEN_BYTES_MAX`]. Null asks for no progress.
    pub progress_token: Option<Span>,
    /// `io.modelcontextprotocol/protocolVersion` (2026-07-28).
    pub protocol_version: Option<Text>,
    /// It is there, and perhaps no text.
    pub has_version: bool,
    /// `io.modelcontextprotocol/clientInfo` (2026-07-28).
    pub client_info: Option<Span>,
    /// `io.modelcontextprotocol/clientCapabilities` (2026-07-28).
    pub client_capabilities: Option<Span>,
    /// `io.modelcontextprotocol/logLevel` (2026-07-28).
    pub log_level: Option<Span>,
    /// `io.modelcontextprotocol/subscriptionId` of a notification (2026-07-28).
    pub subscription: Option<Span>,
    /// The value of [`HOP_KEY`].
    pub hop: Option<Span>,
}

/// What a completion is asked for: a prompt by its name, or a resource template by its uri.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reference {
    pub name: Option<Text>,
    pub uri: Option<Text>,
}

/// How a request ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Result {
        value: Span,
        places: Places,
    },
    Error {
        value: Span,
        /// None: the error has no code, or none that is an integer.
        code: Option<i64>,
        /// `error.data.uri`
        uri: Option<Text>,
    },
}

/// Every place of a result that names a resource, in the order of the text, found in the same pass:
/// `content[].uri` of a `resource_link`, `content[].resource.uri` of a `resource`, the same within
/// `messages[].content` and within a `tool_result` (each one block or an array of them), and
/// `contents[].uri`. Empty for a result of an odd shape, which passes as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places {
    pub uris: Vec<Text>,
    pub next_cursor: Option<Text>,
    /// `resultType` (2026-07-28), from its key to the end of its value, and what it says; known of an odd shape as well.
    pub result_type: Option<(Span, Text)>,
    /// `isError` is true: a tool says that it failed. Known of an odd shape as well.
    pub is_error: bool,
}

impl Span {
    /// Where `part`, a slice of `whole`, stands in it. `None` for a text that is no slice of it.
    pub fn of(whole: &str, part: &str) -> Option<Self> {
        let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
        let end = start.checked_add(part.len())?;
        if end > whole.len() {
            return None;
        }
        Some(Self { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
    }
}

impl Rare {
    const NONE: &Self = &Self {
        null: None,
        uri: None,
        cursor: None,
        level: None,
        reference: None,
        request_id: None,
        progress_token: None,
        progress: None,
        task: None,
        task_id: None,
        request_state: None,
        input_responses: None,
        meta_null: None,
    };
}

impl Deref for Params {
    type Target = Rare;

    fn deref(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(Rare::NONE)
    }
}

impl Params {
    /// Where one of them is noted.
    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_with(|| Box::new(Rare::NONE.clone()))
    }
}

impl Meta {
    pub(super) fn at(object: Span) -> Self {
        Self {
            object,
            progress_token: None,
            protocol_version: None,
            has_version: false,
            client_info: None,
            client_capabilities: None,
            log_level: None,
            subscription: None,
            hop: None,
        }
    }
}

impl Places {
    /// The places in an array of messages with content, as a prompt has them and as a server gives them to
    /// the client's model. `messages` is a slice of the message's text. Empty for an odd shape.
    pub fn of_messages(message: &Message, messages: &str) -> Self {
        let whole = Span { start: 0, end: message.text.len() as u32 };
        skim::messages(message.str(whole), messages)
    }
}

impl Message {
    /// Parses a message from a client. Depth and number of values are bounded by `caps`.
    pub fn parse_client(text: Bytes, caps: Caps) -> Result<Self, BadMessage> {
        Self::parse(text, Some(caps))
    }

    /// Parses a message from a server: the same envelope, but depth and number of values are not
    /// bounded, because a result passes on its bytes alone.
    pub fn parse_server(text: Bytes) -> Result<Self, BadMessage> {
        Self::parse(text, None)
    }

    fn parse(text: Bytes, caps: Option<Caps>) -> Result<Self, BadMessage> {
        let came = (text.len() > LONG_BYTES_MIN && text.starts_with(b" ")).then(|| text.clone());
        let text = trim(text);
        let whole = came.and_then(|came| roomy(came, &text)).map(Box::new);
        if u32::try_from(text.len()).is_err() {
            return Err(unread(BadKind::Size, "the message is longer than 4 GiB", text));
        }
        // Once over the whole text: nobody looks at its encoding again.
        let Ok(text) = ByteString::try_from(text.clone()) else {
            return Err(unread(BadKind::Encoding, "the message is not UTF-8", text));
        };
        let mut is_on_one_line = false;
        match head(&text, caps, &mut is_on_one_line) {
            Ok(head) => Ok(Self { text, head, is_on_one_line, whole }),
            Err(Refusal::Read { bad, id, response }) => {
                let id = id.and_then(|id| text.get(id.start as usize..id.end as usize));
                let id = id.map(|id| Bytes::copy_from_slice(id.as_bytes()));
                Err(bad.of(id, response).in_text(text.into_bytes()))
            }
            Err(Refusal::Unread(bad)) => Err(glimpsed(*bad, text.into_bytes())),
        }
    }

    pub fn text(&self) -> &Bytes {
        self.text.as_bytes()
    }

    /// The text with `new` at `span`. A long one that nobody else has stays where it is, if it can; any other is copied.
    pub fn replaced(self: Box<Self>, span: Span, new: &[u8]) -> Bytes {
        if self.text.len() < LONG_BYTES_MIN {
            return one_splice(self.text(), span, new);
        }
        let Self { text, whole, .. } = *self;
        let (whole, start) = match whole {
            Some(whole) => *whole,
            None => (text.clone().into_bytes(), 0),
        };
        drop(text);
        let start = start as usize;
        let amended = amended(whole, start, span, new);
        amended.unwrap_or_else(|whole| one_splice(whole.get(start..).unwrap_or_default(), span, new))
    }

    /// Whether the text holds no raw line break, for sure: nobody need look for one.
    pub fn is_on_one_line(&self) -> bool {
        self.is_on_one_line
    }

    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What stands at `span`, as a slice of the text: it keeps the whole text in memory. Empty for a
    /// span of another message that lies outside this one.
    pub fn slice(&self, span: Span) -> Bytes {
        match self.text().get(span.start as usize..span.end as usize) {
            Some(part) => self.text().slice_ref(part),
            None => Bytes::new(),
        }
    }

    /// What stands at `span`. Empty for a span of another message that lies outside this one.
    ///
    /// In one place: that it looks whether characters are whole is long, and it is asked all along the way of a message.
    #[inline(never)]
    pub fn str(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The id of a request, or of a response if it is one that a request can have. A copy of its own,
    /// because ids outlive their messages.
    pub fn id(&self) -> Option<Id> {
        match &self.head {
            Head::Request { id, .. } => Some(Id::read(self.str(*id))),
            Head::Response { id, .. } => Id::parse(self.str((*id)?)),
            Head::Notification { .. } => None,
        }
    }

    /// Whether it is a response that is no error.
    pub fn is_result(&self) -> bool {
        matches!(self.head, Head::Response { outcome: Outcome::Result { .. }, .. })
    }

    pub fn method(&self) -> Option<&str> {
        match &self.head {
            Head::Request { method, .. } | Head::Notification { method, .. } => Some(method.as_str(self)),
            Head::Response { .. } => None,
        }
    }

    pub fn params(&self) -> Option<&Params> {
        match &self.head {
            Head::Request { params, .. } | Head::Notification { params, .. } => Some(params),
            Head::Response { .. } => None,
        }
    }

    /// The token, as written, under which its sender wants to hear of progress. Null asks for none.
    pub fn wants_progress(&self) -> Option<&str> {
        let token = self.params()?.meta.as_ref()?.progress_token?;
        Some(self.str(token)).filter(|token| *token != "null")
    }

    /// The edit that puts a member first into `params._meta`, which it makes where it is missing. The key
    /// is JSON with its quotes, and must not be there yet. One such edit per splice: several members go
    /// in as one, `"a":1,"b"` and the value of `b`.
    pub fn meta_member(&self, key_json: &str, value_json: &str) -> (Span, New<'static>) {
        if let Some(params) = self.params()
            && let (Some(object), None, None) = (params.object, &params.meta, params.meta_null)
        {
            let (at, comma) = first_place(self.text(), object);
            let new = New::joined(["\"_meta\":{", key_json, ":", value_json, "}", comma]);
            return (Span { start: at, end: at }, new);
        }
        self.meta_member_elsewhere(key_json, value_json)
    }

    /// The same where there is `_meta` already, or nothing to put it into.
    #[inline(never)]
    fn meta_member_elsewhere(&self, key_json: &str, value_json: &str) -> (Span, New<'static>) {
        let first = |object: Span| {
            let (at, comma) = first_place(self.text(), object);
            (Span { start: at, end: at }, comma)
        };
        let (found, meta_null, null) = match self.params() {
            Some(params) => (params.meta.as_ref(), params.meta_null, params.null),
            None => (None, None, None),
        };
        match (found, meta_null, null) {
            (Some(found), _, _) => {
                let (at, comma) = first(found.object);
                (at, New::joined([key_json, ":", value_json, comma]))
            }
            (None, Some(null), _) => (null, New::joined(["{", key_json, ":", value_json, "}"])),
            (None, None, Some(null)) => {
                (null, New::joined(["{\"_meta\":{", key_json, ":", value_json, "}}"]))
            }
            (None, None, None) => {
                let (at, comma) = first(Span { start: 0, end: self.text.len() as u32 });
                (at, New::joined(["\"params\":{\"_meta\":{", key_json, ":", value_json, "}}", comma]))
            }
        }
    }
}

impl Text {
    pub(super) fn new(span: Span, unescaped: Option<Box<str>>) -> Self {
        Self { span, unescaped: unescaped.map(Box::new) }
    }

    /// How many bytes it says.
    pub(super) fn len(&self) -> usize {
        match &self.unescaped {
            Some(text) => text.len(),
            None => (self.span.end - self.span.start).saturating_sub(2) as usize,
        }
    }

    /// Where it stands, quotes included.
    pub fn span(&self) -> Span {
        self.span
    }

    /// What it says. `message` is the one that it was found in, or a clone.
    pub fn as_str<'a>(&'a self, message: &'a Message) -> &'a str {
        match &self.unescaped {
            Some(text) => text,
            // Without its quotes.
            None => message.str(Span { start: self.span.start + 1, end: self.span.end.saturating_sub(1) }),
        }
    }
}

/// Why there is no head: with what the parser had found of the id by then, or without, because it did
/// not come to the end.
enum Refusal {
    Read { bad: Box<BadMessage>, id: Option<Span>, response: bool },
    Unread(Box<BadMessage>),
}

fn unread(kind: BadKind, why: &'static str, text: Bytes) -> BadMessage {
    glimpsed(BadMessage::new(kind, why), text)
}

/// With what can be seen of the id in a text that was not read.
fn glimpsed(bad: BadMessage, text: Bytes) -> BadMessage {
    let mut glimpse = Glimpse::default();
    glimpse.feed(&text);
    bad.of(glimpse.id(), glimpse.is_response()).in_text(text)
}

/// What kind of message it is. `is_on_one_line`: it is so for sure.
#[inline(always)]
fn head(whole: &str, caps: Option<Caps>, is_on_one_line: &mut bool) -> Result<Head, Refusal> {
    let unread = |kind, why: &'static str| Err(Refusal::Unread(Box::new(BadMessage::new(kind, why))));
    if !whole.starts_with('{') {
        // What is no JSON at all is told from what is no message.
        if let Some(syntax) = syntax_of(whole) {
            return Err(Refusal::Unread(Box::new(syntax)));
        }
        if whole.starts_with('[') {
            return unread(BadKind::Batch, "a batch is not allowed here");
        }
        return unread(BadKind::Object, "the message is not a JSON object");
    }
    let mut found = Skim::new(whole);
    match found.read(caps) {
        Ok(()) => {}
        Err(Stop::Over(Over::Depth)) => return unread(BadKind::Depth, "the message is nested too deep"),
        Err(Stop::Over(Over::Elements)) => {
            return unread(BadKind::Elements, "the message holds too many values");
        }
        Err(Stop::Syntax) => {
            let plain = || BadMessage::new(BadKind::Syntax, "the message is not JSON");
            return Err(Refusal::Unread(Box::new(syntax_of(whole).unwrap_or_else(plain))));
        }
    }
    *is_on_one_line = found.is_on_one_line();
    let (id, response) = (found.id(), found.is_response());
    found.head().map_err(|bad| Refusal::Read { bad: Box::new(bad), id, response })
}

/// Where a text stops being JSON, in words.
#[cold]
fn syntax_of(whole: &str) -> Option<BadMessage> {
    let error = serde_json::from_str::<&RawValue>(whole).err()?;
    Some(BadMessage::new(BadKind::Syntax, format!("the message is not JSON: {error}")))
}

/// What a long text came in, if it has room there: a few blanks before it, and nothing behind it.
fn roomy(came: Bytes, text: &[u8]) -> Option<(Bytes, u32)> {
    let start = came.len() - text.len();
    let is_at_end = came.as_ptr_range().end == text.as_ptr_range().end;
    (start <= ROOM_BYTES && text.len() >= LONG_BYTES_MIN && is_at_end).then_some((came, start as u32))
}

/// Without white space around it: a body may end in a newline.
fn trim(text: Bytes) -> Bytes {
    let white = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let start = text.iter().take_while(|byte| white(byte)).count();
    let end = text.len() - text.iter().rev().take_while(|byte| white(byte)).count();
    if start == 0 && end == text.len() {
        return text;
    }
    if start < end { text.slice(start..end) } else { Bytes::new() }
}

#[cfg(test)]
mod tests;
