//! One pass over a message's text: checks the envelope and finds the places that matter.
//!
//! Builds nothing but spans. A flaw does not end the pass: it is remembered and the rest is read, so that the id is known
//! wherever it stands and so that only text that is no JSON is called that.

mod keys;

mod places;

use std::borrow::Cow;

use self::keys::{Keys, Routes};
use self::places::Gather;
use crate::wire::caps::Caps;
use crate::wire::cursor::{Cursor, Name, Sort, Value, Walk};
use crate::wire::flaw::{BadKind, BadMessage};
use crate::wire::id::{ID_BYTES_MAX, ID_DIGITS_MAX};
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

const ENVELOPE: &Routes<InEnvelope, 6> = &Routes::new([
    (Name::new("jsonrpc"), InEnvelope::Jsonrpc),
    (Name::new("id"), InEnvelope::Id),
    (Name::new("method"), InEnvelope::Method),
    (Name::new("params"), InEnvelope::Params),
    (Name::new("result"), InEnvelope::Result),
    (Name::new("error"), InEnvelope::Error),
]);

/// As many messages begin, with the first of the routed keys.
const BEGINNING: &str = r#"{"jsonrpc":"2.0","#;
/// Where the version stands in it.
const BEGINNING_VERSION: Span = Span { start: 11, end: 16 };

/// The keys that are read in `params`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InParams {
    Name,
    Arguments,
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

const PARAMS: &Routes<InParams, 14> = &Routes::new([
    (Name::new("name"), InParams::Name),
    (Name::new("arguments"), InParams::Arguments),
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
]);

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

const META: &Routes<InMeta, 7> = &Routes::new([
    (Name::new("progressToken"), InMeta::Token),
    (Name::new(VERSION_KEY), InMeta::Version),
    (Name::new(CLIENT_INFO_KEY), InMeta::ClientInfo),
    (Name::new(CAPABILITIES_KEY), InMeta::Capabilities),
    (Name::new(LOG_LEVEL_KEY), InMeta::LogLevel),
    (Name::new(SUBSCRIPTION_KEY), InMeta::Subscription),
    (Name::new(HOP_KEY), InMeta::Hop),
]);

/// The keys that are read in `params.ref`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InReference {
    Name,
    Uri,
}

const REFERENCE: &Routes<InReference, 2> =
    &Routes::new([(Name::new("name"), InReference::Name), (Name::new("uri"), InReference::Uri)]);

/// What one pass finds.
pub(super) struct Skim<'a> {
    whole: &'a str,
    jsonrpc: Option<Value>,
    id: Option<Value>,
    method: Option<Value>,
    params: Params,
    result: Option<Span>,
    error: Option<Span>,
    code: Option<i64>,
    error_uri: Option<Text>,
    places: Gather,
    is_on_one_line: bool,
    flaw: Flaw,
}

/// The first thing that is wrong.
#[derive(Default)]
struct Flaw(Option<(BadKind, Cow<'static, str>)>);

impl Flaw {
    #[cold]
    fn note(&mut self, kind: BadKind, why: impl Into<Cow<'static, str>>) {
        if self.0.is_none() {
            self.0 = Some((kind, why.into()));
        }
    }

    #[cold]
    fn note_key(&mut self, kind: BadKind, place: &str) {
        self.note(kind, about_key(kind, place));
    }
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
#[inline]
fn said(cursor: &mut Cursor<'_>) -> Walk<Option<Text>> {
    let value = cursor.skip()?;
    Ok(text(cursor.whole(), value))
}

/// A value as a text, if it is a string and Unicode.
#[inline]
fn text(whole: &str, value: Value) -> Option<Text> {
    match value.sort {
        Sort::Plain => Some(Text::new(value.span, None)),
        Sort::Escaped => unescaped(whole, value.span),
        Sort::Integer | Sort::Number | Sort::Word | Sort::Container => None,
    }
}

#[cold]
fn unescaped(whole: &str, span: Span) -> Option<Text> {
    let says = serde_json::from_str::<Box<str>>(at(whole, span)).ok()?;
    Some(Text::new(span, Some(says)))
}

/// What stands there.
#[inline]
fn at(whole: &str, span: Span) -> &str {
    whole.get(span.start as usize..span.end as usize).unwrap_or_default()
}

impl<'a> Skim<'a> {
    /// Of a text that starts with `{`, before the pass.
    pub(super) fn new(whole: &'a str) -> Self {
        Self {
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
            flaw: Flaw::default(),
        }
    }

    /// The pass. The text is no JSON, or is over the caps, where it stops.
    #[inline]
    pub(super) fn read(&mut self, caps: Option<Caps>) -> Walk<()> {
        let mut cursor = Cursor::new(self.whole, caps);
        self.envelope(&mut cursor)?;
        cursor.end()?;
        self.is_on_one_line = cursor.is_on_one_line();
        Ok(())
    }

    /// Where the id stands, valid or not; nowhere if it stands there twice.
    pub(super) fn id(&self) -> Option<Span> {
        self.id.map(|id| id.span)
    }

    /// Whether the text holds no raw line break, for sure.
    pub(super) fn is_on_one_line(&self) -> bool {
        self.is_on_one_line
    }

    pub(super) fn is_response(&self) -> bool {
        self.method.is_none() && (self.result.is_some() || self.error.is_some())
    }

    /// The one kind of message that it is. Asked once, as it takes what was found; not by value, as that would be copied as a whole.
    #[inline(always)]
    pub(super) fn head(&mut self) -> Result<Head, BadMessage> {
        let bad = |kind, why: &'static str| Err(BadMessage::new(kind, why));
        if let Some((kind, why)) = self.flaw.0.take() {
            return Err(BadMessage::new(kind, why));
        }
        let whole = self.whole;
        let jsonrpc = self.jsonrpc.map_or("", |value| at(whole, value.span));
        if jsonrpc != "\"2.0\"" && string(jsonrpc).as_deref() != Some("2.0") {
            return bad(BadKind::Version, "`jsonrpc` is not \"2.0\"");
        }
        match (self.method, self.id, self.result, self.error) {
            (Some(method), id, None, None) => {
                let Some(method) = text(whole, method) else {
                    return bad(BadKind::Method, "`method` is not a string");
                };
                if method.len() > METHOD_BYTES_MAX {
                    return bad(BadKind::Method, "`method` is too long");
                }
                match id {
                    None => Ok(Head::Notification { method, params: std::mem::take(&mut self.params) }),
                    Some(id) if is_request_id(whole, id) => {
                        Ok(Head::Request { id: id.span, method, params: std::mem::take(&mut self.params) })
                    }
                    Some(_) => bad(BadKind::Id, "`id` is not a string or an integer of allowed length"),
                }
            }
            (None, Some(id), Some(value), None) if is_response_id(id) => {
                let places = std::mem::take(&mut self.places).finish();
                Ok(Head::Response { id: Some(id.span), outcome: Outcome::Result { value, places } })
            }
            (None, id, None, Some(value)) => {
                let id = match id {
                    Some(id) if is_response_id(id) => Some(id.span),
                    Some(id) if at(whole, id.span) != "null" => {
                        return bad(BadKind::Id, "`id` is not a string or a number of allowed length");
                    }
                    None | Some(_) => None,
                };
                let outcome = Outcome::Error { value, code: self.code, uri: self.error_uri.take() };
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

    /// The message itself.
    fn envelope(&mut self, cursor: &mut Cursor<'a>) -> Walk<()> {
        let mut keys = Keys::new(ENVELOPE, "the message");
        if cursor.opens(BEGINNING, 2) {
            keys.note_first();
            self.jsonrpc = Some(Value { span: BEGINNING_VERSION, sort: Sort::Plain });
        } else if cursor.open(b'{')? {
            return Ok(());
        }
        let mut id_twice = false;
        cursor.members(|cursor, key| {
            let routed = keys.note(key, &mut self.flaw);
            let start = cursor.at();
            match routed {
                Some(InEnvelope::Jsonrpc) => self.jsonrpc = Some(cursor.skip()?),
                Some(InEnvelope::Id) => {
                    let id = cursor.skip()?;
                    id_twice |= self.id.replace(id).is_some();
                }
                Some(InEnvelope::Method) => self.method = Some(cursor.skip()?),
                Some(InEnvelope::Params) => match cursor.first() {
                    b'{' => {
                        self.params(cursor)?;
                        self.params.object = Some(cursor.since(start));
                    }
                    b'n' => self.params.rare().null = Some(cursor.skip()?.span),
                    _ => {
                        cursor.pass()?;
                        self.flaw.note(BadKind::Params, "`params` is not an object");
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
                    cursor.pass()?;
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
            self.flaw
                .note(BadKind::Variant, "the message has a key that only case tells from one of JSON-RPC");
        }
        Ok(())
    }

    fn params(&mut self, cursor: &mut Cursor<'a>) -> Walk<()> {
        let whole = self.whole;
        let mut keys = Keys::new(PARAMS, "`params`");
        cursor.object(|cursor, key| {
            let routed = keys.note(key, &mut self.flaw);
            match routed {
                Some(InParams::Name) => self.params.name = said(cursor)?,
                Some(InParams::Uri) => self.params.rare().uri = said(cursor)?,
                Some(InParams::Cursor) => self.params.rare().cursor = said(cursor)?,
                Some(InParams::Level) => self.params.rare().level = said(cursor)?,
                Some(InParams::RequestId) => self.params.rare().request_id = Some(cursor.skip()?.span),
                Some(InParams::ProgressToken) => {
                    self.params.rare().progress_token = Some(cursor.skip()?.span)
                }
                Some(InParams::Progress) => self.params.rare().progress = Some(cursor.skip()?.span),
                Some(InParams::Task) => {
                    cursor.pass()?;
                    self.params.rare().task = Some(cursor.since(key.span.start));
                }
                Some(InParams::TaskId) => self.params.rare().task_id = said(cursor)?,
                Some(InParams::RequestState) => {
                    let value = cursor.skip()?;
                    self.params.rare().request_state =
                        Some((cursor.since(key.span.start), text(whole, value)));
                }
                Some(InParams::InputResponses) => {
                    let value = cursor.skip()?;
                    self.params.rare().input_responses = Some((cursor.since(key.span.start), value.span));
                }
                Some(InParams::Reference) => {
                    let reference = self.reference(cursor)?;
                    self.params.rare().reference = reference;
                }
                Some(InParams::Meta) => match cursor.first() {
                    b'{' => self.meta(cursor)?,
                    b'n' => self.params.rare().meta_null = Some(cursor.skip()?.span),
                    _ => {
                        cursor.pass()?;
                        self.flaw.note(BadKind::Params, "`params._meta` is not an object");
                    }
                },
                // Nobody else may take other arguments for those that are judged (`routing::tool_look`).
                Some(InParams::Arguments) | None => {
                    cursor.pass()?;
                }
            }
            Ok(())
        })?;
        if keys.has_rivals() {
            self.flaw.note(BadKind::Variant, "`params` has two keys that only case tells apart");
        }
        Ok(())
    }

    fn reference(&mut self, cursor: &mut Cursor<'a>) -> Walk<Option<Reference>> {
        if cursor.first() != b'{' {
            cursor.pass()?;
            return Ok(None);
        }
        let whole = self.whole;
        let mut reference = Reference::default();
        // Routed by its members, so what holds for `params` holds here.
        let mut keys = Keys::new(REFERENCE, "`params.ref`");
        cursor.object(|cursor, key| {
            let routed = keys.note(key, &mut self.flaw);
            let value = cursor.skip()?;
            match routed {
                Some(InReference::Name) => reference.name = text(whole, value),
                Some(InReference::Uri) => reference.uri = text(whole, value),
                None => {}
            }
            Ok(())
        })?;
        if keys.has_rivals() {
            self.flaw.note(BadKind::Variant, "`params.ref` has two keys that only case tells apart");
        }
        Ok(Some(reference))
    }

    fn meta(&mut self, cursor: &mut Cursor<'a>) -> Walk<()> {
        let whole = self.whole;
        let start = cursor.at();
        let meta = self.params.meta.insert(Meta::at(Span { start, end: start }));
        let mut keys = Keys::new(META, "`params._meta`");
        cursor.object(|cursor, key| {
            let routed = keys.note(key, &mut self.flaw);
            let value = cursor.skip()?;
            let place = Some(value.span);
            match routed {
                Some(InMeta::Token) => {
                    if !is_token(whole, value) {
                        self.flaw.note(
                            BadKind::Token,
                            "`progressToken` is not a string or a number of allowed length",
                        );
                    }
                    meta.progress_token = place;
                }
                Some(InMeta::Version) => {
                    meta.has_version = true;
                    meta.protocol_version = text(whole, value);
                }
                Some(InMeta::ClientInfo) => meta.client_info = place,
                Some(InMeta::Capabilities) => meta.client_capabilities = place,
                Some(InMeta::LogLevel) => meta.log_level = place,
                Some(InMeta::Subscription) => meta.subscription = place,
                Some(InMeta::Hop) => meta.hop = place,
                None => {}
            }
            Ok(())
        })?;
        meta.object = cursor.since(start);
        if keys.has_rivals() {
            self.flaw.note(BadKind::Variant, "`params._meta` has two keys that only case tells apart");
        }
        Ok(())
    }
}

/// A string or an integer within the bounds of an [`Id`](crate::wire::id::Id), as which it is read again.
#[inline]
fn is_request_id(whole: &str, value: Value) -> bool {
    let length = value.span.end - value.span.start;
    match value.sort {
        Sort::Plain | Sort::Escaped => length as usize <= ID_BYTES_MAX + 2,
        Sort::Integer => {
            let digits = ID_DIGITS_MAX + usize::from(at(whole, value.span).starts_with('-'));
            length as usize <= digits
        }
        Sort::Number | Sort::Word | Sort::Container => false,
    }
}

/// Wider than for a request: a peer may write our `7` as `7.0`.
fn is_response_id(value: Value) -> bool {
    match value.sort {
        Sort::Plain | Sort::Escaped | Sort::Integer | Sort::Number => {
            (value.span.end - value.span.start) as usize <= TOKEN_BYTES_MAX + 2
        }
        Sort::Word | Sort::Container => false,
    }
}

/// A string, a number or null, of allowed length.
fn is_token(whole: &str, value: Value) -> bool {
    is_response_id(value) || at(whole, value.span) == "null"
}

fn about_key(kind: BadKind, place: &str) -> String {
    if kind == BadKind::Duplicate {
        format!("{place} has a member twice")
    } else {
        format!("{place} has too many members or too long a key")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::id::Id;

    fn value(raw: &str) -> Value {
        Cursor::new(raw, None).skip().unwrap()
    }

    #[test]
    fn the_beginning_holds_a_version() {
        assert_eq!(at(BEGINNING, BEGINNING_VERSION), "\"2.0\"");
        assert!(matches!(value(at(BEGINNING, BEGINNING_VERSION)).sort, Sort::Plain));
        let (first, _) = &ENVELOPE.names[0];
        assert_eq!(BEGINNING, format!("{{\"{}\":\"2.0\",", first.text));
    }

    #[test]
    fn an_id_at_its_bounds_is_judged_as_it_is_when_it_is_read_again() {
        for length in [ID_DIGITS_MAX, ID_DIGITS_MAX + 1] {
            for raw in ["1".repeat(length), format!("-{}", "1".repeat(length))] {
                assert_eq!(is_request_id(&raw, value(&raw)), Id::parse(&raw).is_some(), "{raw}");
            }
        }
        for length in [ID_BYTES_MAX, ID_BYTES_MAX + 1] {
            for filler in ["x", "\\n"] {
                let raw = format!("\"{}\"", &filler.repeat(length)[..length / 2 * 2]);
                assert_eq!(is_request_id(&raw, value(&raw)), Id::parse(&raw).is_some(), "{raw}");
            }
        }
    }

    proptest! {
        #[test]
        fn an_id_is_judged_as_it_is_when_it_is_read_again(
            raw in r#"("([ -!#-\[\]-~\u{e4}]|\\u[0-9a-f]{4}|\\[nt"/\\]){0,40}")|-?(0|[1-9][0-9]{0,70})(\.[0-9])?(e[0-9])?|null|true|\[\]|\{\}"#
        ) {
            prop_assert_eq!(is_request_id(&raw, value(&raw)), Id::parse(&raw).is_some());
        }
    }
}
