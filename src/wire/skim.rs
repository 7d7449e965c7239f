//! One pass over a message's text: checks the envelope and finds the places that matter.
//!
//! Builds nothing but spans. A flaw does not end the pass: it is remembered and the rest is read, so that the id is known
//! wherever it stands and so that only text that is no JSON is called that.

mod keys;

mod places;

use std::borrow::Cow;

use self::keys::Keys;
use self::places::Gather;
use crate::wire::caps::Caps;
use crate::wire::cursor::{Cursor, Literal, Name, Stop, Walk};
use crate::wire::flaw::{BadKind, BadMessage};
use crate::wire::id::is_id;
use crate::wire::members::string;
use crate::wire::message::{
    CAPABILITIES_KEY, CLIENT_INFO_KEY, HOP_KEY, Head, LOG_LEVEL_KEY, METHOD_BYTES_MAX, Meta, Outcome, Params,
    Places, Reference, SUBSCRIPTION_KEY, Span, TOKEN_BYTES_MAX, Text, VERSION_KEY,
};

/// The keys that are read in the message itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InEnvelope {
    Jsonrpc,
    Id,
    Method,
    Params,
    Result,
    Error,
}

const ENVELOPE: &[(Name, InEnvelope)] = &[
    (Name::new("jsonrpc"), InEnvelope::Jsonrpc),
    (Name::new("id"), InEnvelope::Id),
    (Name::new("method"), InEnvelope::Method),
    (Name::new("params"), InEnvelope::Params),
    (Name::new("result"), InEnvelope::Result),
    (Name::new("error"), InEnvelope::Error),
];

/// The keys that are read in `params`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InParams {
    Name,
    Uri,
    Cursor,
    Level,
    Reference,
    RequestId,
    ProgressToken,
    Progress,
    Task,
    TaskId,
    RequestState,
    InputResponses,
    Meta,
}

const PARAMS: &[(Name, InParams)] = &[
    (Name::new("name"), InParams::Name),
    (Name::new("uri"), InParams::Uri),
    (Name::new("cursor"), InParams::Cursor),
    (Name::new("level"), InParams::Level),
    (Name::new("ref"), InParams::Reference),
    (Name::new("requestId"), InParams::RequestId),
    (Name::new("progressToken"), InParams::ProgressToken),
    (Name::new("progress"), InParams::Progress),
    (Name::new("task"), InParams::Task),
    (Name::new("taskId"), InParams::TaskId),
    (Name::new("requestState"), InParams::RequestState),
    (Name::new("inputResponses"), InParams::InputResponses),
    (Name::new("_meta"), InParams::Meta),
];

/// The keys that are read in `params._meta`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InMeta {
    Token,
    Version,
    ClientInfo,
    Capabilities,
    LogLevel,
    Subscription,
    Hop,
}

const META: &[(Name, InMeta)] = &[
    (Name::new("progressToken"), InMeta::Token),
    (Name::new(VERSION_KEY), InMeta::Version),
    (Name::new(CLIENT_INFO_KEY), InMeta::ClientInfo),
    (Name::new(CAPABILITIES_KEY), InMeta::Capabilities),
    (Name::new(LOG_LEVEL_KEY), InMeta::LogLevel),
    (Name::new(SUBSCRIPTION_KEY), InMeta::Subscription),
    (Name::new(HOP_KEY), InMeta::Hop),
];

/// The keys that are read in `params.ref`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InReference {
    Name,
    Uri,
}

const REFERENCE: &[(Name, InReference)] =
    &[(Name::new("name"), InReference::Name), (Name::new("uri"), InReference::Uri)];

/// What one pass finds.
pub(super) struct Skim<'a> {
    whole: &'a str,
    jsonrpc: Option<&'a str>,
    id: Option<&'a str>,
    method: Option<&'a str>,
    params: Params,
    result: Option<Span>,
    error: Option<Span>,
    code: Option<i64>,
    error_uri: Option<Text>,
    places: Gather,
    is_on_one_line: bool,
    /// The first thing that is wrong.
    flaw: Option<BadMessage>,
}

/// Reads a text that starts with `{`. It is no JSON, or is over the caps, where it stops.
pub(super) fn skim(whole: &str, caps: Option<Caps>) -> Result<Skim<'_>, Stop> {
    let mut skim = Skim {
        whole,
        jsonrpc: None,
        id: None,
        method: None,
        params: Params::default(),
        result: None,
        error: None,
        code: None,
        error_uri: None,
        places: Gather::default(),
        is_on_one_line: false,
        flaw: None,
    };
    let mut cursor = Cursor::new(whole, caps);
    skim.envelope(&mut cursor)?;
    cursor.end()?;
    skim.is_on_one_line = cursor.is_on_one_line();
    Ok(skim)
}

/// The places in an array of messages, which is a slice of `whole`. None if it is no JSON.
pub(super) fn messages(whole: &str, messages: &str) -> Places {
    let mut found = Gather::default();
    let Some(at) = Span::of(whole, messages) else { return Places::default() };
    let Some(until) = whole.get(..at.end as usize) else { return Places::default() };
    let mut cursor = Cursor::at_place(until, at.start);
    match places::messages(&mut cursor, &mut found) {
        Ok(()) => found.finish(),
        Err(_) => Places::default(),
    }
}

/// The value that comes as a text, if it is a string and Unicode.
fn said(cursor: &mut Cursor<'_>) -> Walk<Option<Text>> {
    let Some(Literal { span, escaped }) = cursor.string()? else { return Ok(None) };
    match escaped {
        false => Ok(Some(Text::new(span, None))),
        true => Ok(text(cursor.whole(), cursor.text(span))),
    }
}

/// A raw value as a text, if it is a string and Unicode.
fn text(whole: &str, raw: &str) -> Option<Text> {
    if !raw.starts_with('"') {
        return None;
    }
    let unescaped = match memchr::memchr(b'\\', raw.as_bytes()) {
        Some(_) => Some(serde_json::from_str::<Box<str>>(raw).ok()?),
        None => None,
    };
    Some(Text::new(span(whole, raw), unescaped))
}

/// Where `part`, which is a slice of `whole`, stands in it.
fn span(whole: &str, part: &str) -> Span {
    Span::of(whole, part).unwrap_or(Span { start: 0, end: 0 })
}

impl<'a> Skim<'a> {
    /// The raw id, valid or not; none if it stands there twice.
    pub(super) fn id(&self) -> Option<&'a str> {
        self.id
    }

    /// Whether the text holds no raw line break, for sure.
    pub(super) fn is_on_one_line(&self) -> bool {
        self.is_on_one_line
    }

    pub(super) fn is_response(&self) -> bool {
        self.method.is_none() && (self.result.is_some() || self.error.is_some())
    }

    /// The one kind of message that it is.
    pub(super) fn head(self) -> Result<Head, BadMessage> {
        if let Some(flaw) = self.flaw {
            return Err(flaw);
        }
        let bad = |kind, why: &'static str| Err(BadMessage::new(kind, why));
        if self.jsonrpc != Some("\"2.0\"") && self.jsonrpc.and_then(string).as_deref() != Some("2.0") {
            return bad(BadKind::Version, "`jsonrpc` is not \"2.0\"");
        }
        let whole = self.whole;
        match (self.method, self.id, self.result, self.error) {
            (Some(method), id, None, None) => {
                let Some(method) = text(whole, method) else {
                    return bad(BadKind::Method, "`method` is not a string");
                };
                if method.len() > METHOD_BYTES_MAX {
                    return bad(BadKind::Method, "`method` is too long");
                }
                let params = self.params;
                match id {
                    None => Ok(Head::Notification { method, params }),
                    Some(id) if is_id(id) => Ok(Head::Request { id: span(whole, id), method, params }),
                    Some(_) => bad(BadKind::Id, "`id` is not a string or an integer of allowed length"),
                }
            }
            (None, Some(id), Some(value), None) if is_response_id(id) => {
                let places = self.places.finish();
                Ok(Head::Response { id: Some(span(whole, id)), outcome: Outcome::Result { value, places } })
            }
            (None, id, None, Some(value)) => {
                let id = match id {
                    None | Some("null") => None,
                    Some(id) if is_response_id(id) => Some(span(whole, id)),
                    Some(_) => return bad(BadKind::Id, "`id` is not a string or a number of allowed length"),
                };
                let outcome = Outcome::Error { value, code: self.code, uri: self.error_uri };
                Ok(Head::Response { id, outcome })
            }
            (None, Some(_), Some(_), None) => {
                bad(BadKind::Id, "`id` is not a string or a number of allowed length")
            }
            (None, None, Some(_), None) => bad(BadKind::Id, "a result without `id`"),
            (None, _, Some(_), Some(_)) => bad(BadKind::Shape, "both `result` and `error`"),
            (Some(_), _, _, _) => bad(BadKind::Shape, "`method` beside `result` or `error`"),
            (None, _, None, None) => bad(BadKind::Shape, "none of `method`, `result` and `error`"),
        }
    }

    fn flaw(&mut self, kind: BadKind, why: impl Into<Cow<'static, str>>) {
        if self.flaw.is_none() {
            self.flaw = Some(BadMessage::new(kind, why));
        }
    }

    /// The message itself.
    fn envelope(&mut self, cursor: &mut Cursor<'a>) -> Walk<()> {
        let mut keys = Keys::new(ENVELOPE);
        let mut id_twice = false;
        cursor.object(|cursor, key| {
            let noted = keys.note(&key);
            if let Some(kind) = noted.flaw {
                self.flaw(kind, about_key(kind, "the message"));
                id_twice |= kind == BadKind::Duplicate && noted.routed == Some(InEnvelope::Id);
            }
            let start = cursor.at();
            match noted.routed {
                Some(InEnvelope::Jsonrpc) => self.jsonrpc = Some(cursor.raw()?),
                Some(InEnvelope::Id) => self.id = Some(cursor.raw()?),
                Some(InEnvelope::Method) => self.method = Some(cursor.raw()?),
                Some(InEnvelope::Params) => match key.first {
                    b'{' => {
                        self.params(cursor)?;
                        self.params.object = Some(cursor.since(start));
                    }
                    b'n' => self.params.rare().null = Some(cursor.skip()?),
                    _ => {
                        cursor.skip()?;
                        self.flaw(BadKind::Params, "`params` is not an object");
                    }
                },
                Some(InEnvelope::Result) => {
                    places::result(cursor, &mut self.places)?;
                    self.result = Some(cursor.since(start));
                }
                Some(InEnvelope::Error) => {
                    places::failure(cursor, &mut self.code, &mut self.error_uri)?;
                    self.error = Some(cursor.since(start));
                }
                None => {
                    cursor.skip()?;
                }
            }
            Ok(())
        })?;
        if id_twice {
            self.id = None;
        }
        // Alone as well: where a missing member has a meaning (no id: a notification), a reader that
        // takes `Id` for it reads another message than we do.
        if keys.has_variant() {
            self.flaw(BadKind::Variant, "the message has a key that only case tells from one of JSON-RPC");
        }
        Ok(())
    }

    fn params(&mut self, cursor: &mut Cursor<'a>) -> Walk<()> {
        let whole = self.whole;
        let mut keys = Keys::new(PARAMS);
        cursor.object(|cursor, key| {
            let noted = keys.note(&key);
            if let Some(kind) = noted.flaw {
                self.flaw(kind, about_key(kind, "`params`"));
            }
            match noted.routed {
                Some(InParams::Name) => self.params.name = said(cursor)?,
                Some(InParams::Uri) => self.params.rare().uri = said(cursor)?,
                Some(InParams::Cursor) => self.params.rare().cursor = said(cursor)?,
                Some(InParams::Level) => self.params.rare().level = said(cursor)?,
                Some(InParams::RequestId) => self.params.rare().request_id = Some(cursor.skip()?),
                Some(InParams::ProgressToken) => self.params.rare().progress_token = Some(cursor.skip()?),
                Some(InParams::Progress) => self.params.rare().progress = Some(cursor.skip()?),
                Some(InParams::Task) => {
                    cursor.skip()?;
                    self.params.rare().task = Some(cursor.since(key.span.start));
                }
                Some(InParams::TaskId) => self.params.rare().task_id = said(cursor)?,
                Some(InParams::RequestState) => {
                    let value = cursor.raw()?;
                    self.params.rare().request_state =
                        Some((cursor.since(key.span.start), text(whole, value)));
                }
                Some(InParams::InputResponses) => {
                    let value = cursor.skip()?;
                    self.params.rare().input_responses = Some((cursor.since(key.span.start), value));
                }
                Some(InParams::Reference) => {
                    let reference = self.reference(cursor)?;
                    self.params.rare().reference = reference;
                }
                Some(InParams::Meta) => match key.first {
                    b'{' => {
                        let meta = self.meta(cursor)?;
                        self.params.meta = Some(meta);
                    }
                    b'n' => self.params.rare().meta_null = Some(cursor.skip()?),
                    _ => {
                        cursor.skip()?;
                        self.flaw(BadKind::Params, "`params._meta` is not an object");
                    }
                },
                None => {
                    cursor.skip()?;
                }
            }
            Ok(())
        })?;
        if keys.has_rivals() {
            self.flaw(BadKind::Variant, "`params` has two keys that only case tells apart");
        }
        Ok(())
    }

    fn reference(&mut self, cursor: &mut Cursor<'a>) -> Walk<Option<Reference>> {
        if cursor.first() != b'{' {
            cursor.skip()?;
            return Ok(None);
        }
        let whole = self.whole;
        let mut reference = Reference::default();
        let mut keys = Keys::new(REFERENCE);
        cursor.object(|cursor, key| {
            let noted = keys.note(&key);
            // Routed by its members, so what holds for `params` holds here.
            if let Some(kind) = noted.flaw {
                self.flaw(kind, about_key(kind, "`params.ref`"));
            }
            let value = cursor.raw()?;
            match noted.routed {
                Some(InReference::Name) => reference.name = text(whole, value),
                Some(InReference::Uri) => reference.uri = text(whole, value),
                None => {}
            }
            Ok(())
        })?;
        if keys.has_rivals() {
            self.flaw(BadKind::Variant, "`params.ref` has two keys that only case tells apart");
        }
        Ok(Some(reference))
    }

    fn meta(&mut self, cursor: &mut Cursor<'a>) -> Walk<Meta> {
        let whole = self.whole;
        let start = cursor.at();
        let mut meta = Meta::at(Span { start, end: start });
        let mut keys = Keys::new(META);
        cursor.object(|cursor, key| {
            let noted = keys.note(&key);
            if let Some(kind) = noted.flaw {
                self.flaw(kind, about_key(kind, "`params._meta`"));
            }
            let value = cursor.raw()?;
            let place = span(whole, value);
            match noted.routed {
                Some(InMeta::Token) => {
                    if !is_token(value) {
                        self.flaw(
                            BadKind::Token,
                            "`progressToken` is not a string or a number of allowed length",
                        );
                    }
                    meta.progress_token = Some(place);
                }
                Some(InMeta::Version) => {
                    meta.has_version = true;
                    meta.protocol_version = text(whole, value);
                }
                Some(InMeta::ClientInfo) => meta.client_info = Some(place),
                Some(InMeta::Capabilities) => meta.client_capabilities = Some(place),
                Some(InMeta::LogLevel) => meta.log_level = Some(place),
                Some(InMeta::Subscription) => meta.subscription = Some(place),
                Some(InMeta::Hop) => meta.hop = Some(place),
                None => {}
            }
            Ok(())
        })?;
        meta.object = cursor.since(start);
        if keys.has_rivals() {
            self.flaw(BadKind::Variant, "`params._meta` has two keys that only case tells apart");
        }
        Ok(meta)
    }
}

/// Wider than for a request: a peer may write our `7` as `7.0`.
fn is_response_id(raw: &str) -> bool {
    raw != "null" && is_token(raw)
}

/// A string, a number or null, of allowed length.
fn is_token(raw: &str) -> bool {
    let scalar = raw.starts_with(|first: char| matches!(first, '"' | '-' | '0'..='9'));
    (scalar && raw.len() <= TOKEN_BYTES_MAX + 2) || raw == "null"
}

fn about_key(kind: BadKind, place: &str) -> String {
    if kind == BadKind::Duplicate {
        format!("{place} has a member twice")
    } else {
        format!("{place} has too many members or too long a key")
    }
}
