//! One pass over a message's text: checks the envelope and finds the places that matter.
//!
//! Reads with serde_json's borrowing reader and builds nothing but spans. A flaw does not end the pass:
//! it is remembered and the rest is read, so that the id is known wherever it stands and so that only
//! text that is no JSON is called that.

mod shape;

mod keys;

mod places;

use std::borrow::Cow;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess};

use self::keys::Keys;
use self::places::{Failure, Found, Gather, Messages};
use self::shape::{Key, Lenient, Shape, UNKNOWN, last_value_end, raw, span, text, value_end};
use crate::wire::flaw::{BadKind, BadMessage};
use crate::wire::id::is_id;
use crate::wire::members::string;
use crate::wire::message::{
    CAPABILITIES_KEY, CLIENT_INFO_KEY, HOP_KEY, Head, LOG_LEVEL_KEY, METHOD_BYTES_MAX, Meta, Outcome, Params,
    Places, Reference, SUBSCRIPTION_KEY, Span, TOKEN_BYTES_MAX, Text, VERSION_KEY,
};

/// The keys that are read in the message itself.
const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// The keys that are read in `params`.
const PARAMS: [&str; 13] = [
    "name",
    "uri",
    "cursor",
    "level",
    "ref",
    "requestId",
    "progressToken",
    "progress",
    "task",
    "taskId",
    "requestState",
    "inputResponses",
    "_meta",
];

/// The keys that are read in `params._meta`.
const META: [&str; 7] = [
    "progressToken",
    VERSION_KEY,
    CLIENT_INFO_KEY,
    CAPABILITIES_KEY,
    LOG_LEVEL_KEY,
    SUBSCRIPTION_KEY,
    HOP_KEY,
];

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
    places: Gather<'a>,
    /// The first thing that is wrong.
    flaw: Option<BadMessage>,
}

/// Reads a text that starts with `{`. An error means that it is no JSON.
pub(super) fn skim(whole: &str) -> Result<Skim<'_>, serde_json::Error> {
    // The second pass is for a result in which the first one stumbles over what is valid but odd: it is
    // nested deep along `content`, say. Then it has no places, and all else is found again.
    pass(whole, Look::Inside).or_else(|_| pass(whole, Look::Outside))
}

/// The places in an array of messages, which is a slice of `whole`. None if it is nested too deep.
pub(super) fn messages(whole: &str, messages: &str) -> Places {
    let mut places = Gather::new(whole);
    let mut reader = serde_json::Deserializer::from_str(messages);
    let read = Lenient(Messages(&mut places)).deserialize(&mut reader);
    read.map_or_else(|_| Places::default(), |()| places.finish())
}

/// Whether places are looked for inside results and errors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Inside,
    Outside,
}

fn pass(whole: &str, look: Look) -> Result<Skim<'_>, serde_json::Error> {
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
        places: Gather::new(whole),
        flaw: None,
    };
    let mut reader = serde_json::Deserializer::from_str(whole);
    Lenient(Envelope { skim: &mut skim, look }).deserialize(&mut reader)?;
    reader.end()?;
    Ok(skim)
}

impl<'a> Skim<'a> {
    /// The raw id, valid or not; none if it stands there twice.
    pub(super) fn id(&self) -> Option<&'a str> {
        self.id
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

    /// The end of the params and, if that is its last member, of the `_meta` in it.
    fn close_params(&mut self, end: u32) {
        let Some(object) = &mut self.params.object else { return };
        object.end = end;
        if let Some(meta) = self.params.meta.as_mut().filter(|meta| meta.object.end == UNKNOWN) {
            meta.object.end = last_value_end(self.whole, end);
        }
    }
}

/// The message itself.
struct Envelope<'s, 'a> {
    skim: &'s mut Skim<'a>,
    look: Look,
}

/// The member whose end is not known until the next one starts.
#[derive(Clone, Copy)]
enum Open {
    Nothing,
    Params,
    Result,
    Error,
}

impl<'a> Shape<'a> for Envelope<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let Self { skim, look } = self;
        let whole = skim.whole;
        let mut keys = Keys::new(&ENVELOPE);
        let mut open = Open::Nothing;
        let mut id_twice = false;
        while let Some(key) = Key::next(whole, &mut map)? {
            close(skim, open, value_end(whole, key.start));
            open = Open::Nothing;
            if let Some(kind) = keys.note(&key) {
                skim.flaw(kind, about_key(kind, "the message"));
                id_twice |= kind == BadKind::Duplicate && *key.says == *b"id";
            }
            let started = Some(Span { start: key.value_start, end: UNKNOWN });
            match &*key.says {
                b"jsonrpc" => skim.jsonrpc = Some(raw(&mut map)?),
                b"id" => skim.id = Some(raw(&mut map)?),
                b"method" => skim.method = Some(raw(&mut map)?),
                b"params" => match key.first {
                    b'{' => {
                        skim.params.object = started;
                        map.next_value_seed(Lenient(ParamsShape(skim)))?;
                        open = Open::Params;
                    }
                    b'n' => skim.params.null = Some(span(whole, raw(&mut map)?)),
                    _ => {
                        raw(&mut map)?;
                        skim.flaw(BadKind::Params, "`params` is not an object");
                    }
                },
                b"result" => {
                    skim.result = started;
                    open = Open::Result;
                    match look {
                        Look::Inside => key.value(&mut map, Found(&mut skim.places))?,
                        Look::Outside => map.next_value::<IgnoredAny>().map(|_| ())?,
                    }
                }
                b"error" => {
                    skim.error = started;
                    open = Open::Error;
                    match look {
                        Look::Inside => key.value(
                            &mut map,
                            Failure { whole, code: &mut skim.code, uri: &mut skim.error_uri },
                        )?,
                        Look::Outside => map.next_value::<IgnoredAny>().map(|_| ())?,
                    }
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        close(skim, open, last_value_end(whole, whole.len() as u32));
        if id_twice {
            skim.id = None;
        }
        // Alone as well: where a missing member has a meaning (no id: a notification), a reader that
        // takes `Id` for it reads another message than we do.
        if keys.has_variant() {
            skim.flaw(BadKind::Variant, "the message has a key that only case tells from one of JSON-RPC");
        }
        Ok(())
    }
}

fn close(skim: &mut Skim<'_>, open: Open, end: u32) {
    match open {
        Open::Nothing => {}
        Open::Params => skim.close_params(end),
        Open::Result => {
            if let Some(value) = &mut skim.result {
                value.end = end;
            }
        }
        Open::Error => {
            if let Some(value) = &mut skim.error {
                value.end = end;
            }
        }
    }
}

struct ParamsShape<'s, 'a>(&'s mut Skim<'a>);

impl<'a> Shape<'a> for ParamsShape<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let skim = self.0;
        let whole = skim.whole;
        let mut keys = Keys::new(&PARAMS);
        let mut open = false;
        while let Some(key) = Key::next(whole, &mut map)? {
            if let Some(meta) = skim.params.meta.as_mut().filter(|_| open) {
                meta.object.end = value_end(whole, key.start);
            }
            open = false;
            if let Some(kind) = keys.note(&key) {
                skim.flaw(kind, about_key(kind, "`params`"));
            }
            match &*key.says {
                b"name" => skim.params.name = text(whole, raw(&mut map)?),
                b"uri" => skim.params.uri = text(whole, raw(&mut map)?),
                b"cursor" => skim.params.cursor = text(whole, raw(&mut map)?),
                b"level" => skim.params.level = text(whole, raw(&mut map)?),
                b"requestId" => skim.params.request_id = Some(span(whole, raw(&mut map)?)),
                b"progressToken" => skim.params.progress_token = Some(span(whole, raw(&mut map)?)),
                b"progress" => skim.params.progress = Some(span(whole, raw(&mut map)?)),
                b"task" => {
                    let value = span(whole, raw(&mut map)?);
                    skim.params.task = Some(Span { start: key.start, end: value.end });
                }
                b"taskId" => skim.params.task_id = text(whole, raw(&mut map)?),
                b"requestState" => {
                    let value = raw(&mut map)?;
                    let whole_member = Span { start: key.start, end: span(whole, value).end };
                    skim.params.request_state = Some((whole_member, text(whole, value)));
                }
                b"inputResponses" => {
                    let value = span(whole, raw(&mut map)?);
                    skim.params.input_responses = Some((Span { start: key.start, end: value.end }, value));
                }
                b"ref" => {
                    let mut reference = Reference::default();
                    key.value(&mut map, ReferenceShape { whole, reference: &mut reference, skim })?;
                    skim.params.reference = (key.first == b'{').then_some(reference);
                }
                b"_meta" => match key.first {
                    b'{' => {
                        let object = Span { start: key.value_start, end: UNKNOWN };
                        let mut meta = Meta::at(object);
                        map.next_value_seed(Lenient(MetaShape { skim, meta: &mut meta }))?;
                        skim.params.meta = Some(meta);
                        open = true;
                    }
                    b'n' => skim.params.meta_null = Some(span(whole, raw(&mut map)?)),
                    _ => {
                        raw(&mut map)?;
                        skim.flaw(BadKind::Params, "`params._meta` is not an object");
                    }
                },
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if keys.has_rivals() {
            skim.flaw(BadKind::Variant, "`params` has two keys that only case tells apart");
        }
        Ok(())
    }
}

struct ReferenceShape<'s, 'a> {
    whole: &'a str,
    reference: &'s mut Reference,
    skim: &'s mut Skim<'a>,
}

impl<'a> Shape<'a> for ReferenceShape<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let mut keys = Keys::new(&["name", "uri"]);
        while let Some(key) = Key::next(self.whole, &mut map)? {
            // Routed by its members, so what holds for `params` holds here.
            if let Some(kind) = keys.note(&key) {
                self.skim.flaw(kind, about_key(kind, "`params.ref`"));
            }
            match &*key.says {
                b"name" => self.reference.name = text(self.whole, raw(&mut map)?),
                b"uri" => self.reference.uri = text(self.whole, raw(&mut map)?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if keys.has_rivals() {
            self.skim.flaw(BadKind::Variant, "`params.ref` has two keys that only case tells apart");
        }
        Ok(())
    }
}

struct MetaShape<'s, 'a> {
    skim: &'s mut Skim<'a>,
    meta: &'s mut Meta,
}

impl<'a> Shape<'a> for MetaShape<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let Self { skim, meta } = self;
        let whole = skim.whole;
        let mut keys = Keys::new(&META);
        while let Some(key) = Key::next(whole, &mut map)? {
            if let Some(kind) = keys.note(&key) {
                skim.flaw(kind, about_key(kind, "`params._meta`"));
            }
            match std::str::from_utf8(&key.says) {
                Ok("progressToken") => {
                    let token = raw(&mut map)?;
                    if !is_token(token) {
                        skim.flaw(
                            BadKind::Token,
                            "`progressToken` is not a string or a number of allowed length",
                        );
                    }
                    meta.progress_token = Some(span(whole, token));
                }
                Ok(VERSION_KEY) => {
                    meta.has_version = true;
                    meta.protocol_version = text(whole, raw(&mut map)?);
                }
                Ok(CLIENT_INFO_KEY) => meta.client_info = Some(span(whole, raw(&mut map)?)),
                Ok(CAPABILITIES_KEY) => meta.client_capabilities = Some(span(whole, raw(&mut map)?)),
                Ok(LOG_LEVEL_KEY) => meta.log_level = Some(span(whole, raw(&mut map)?)),
                Ok(SUBSCRIPTION_KEY) => meta.subscription = Some(span(whole, raw(&mut map)?)),
                Ok(HOP_KEY) => meta.hop = Some(span(whole, raw(&mut map)?)),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if keys.has_rivals() {
            skim.flaw(BadKind::Variant, "`params._meta` has two keys that only case tells apart");
        }
        Ok(())
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
