//! One pass over a message's text: checks the envelope and finds the places that matter.
//!
//! Reads with serde_json's borrowing reader and builds nothing but spans. A flaw does not end the pass:
//! it is remembered and the rest is read, so that the id is known wherever it stands and so that only
//! text that is no JSON is called that.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Error};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::wire::flaw::{BadKind, BadMessage};
use crate::wire::id::Id;
use crate::wire::members::{inner, string};
use crate::wire::message::{
    HOP_KEY, Head, KEY_BYTES_MAX, MEMBERS_MAX, METHOD_BYTES_MAX, Meta, Outcome, PLACES_MAX, Params, Places,
    Reference, Span, TOKEN_BYTES_MAX, Text,
};

/// The keys that are read in the message itself.
const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// The keys that are read in `params`.
const PARAMS: [&str; 9] =
    ["name", "uri", "cursor", "level", "ref", "requestId", "progressToken", "progress", "_meta"];

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// The keys that are read in `params._meta`.
const META: [&str; 3] = ["progressToken", VERSION_KEY, HOP_KEY];

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
    places: Places,
    /// The result has a shape in which no place can be named.
    odd: bool,
    /// The first thing that is wrong.
    flaw: Option<BadMessage>,
}

/// Reads a text that starts with `{`. An error means that it is no JSON.
pub(super) fn skim(whole: &str) -> Result<Skim<'_>, serde_json::Error> {
    // The second pass is for a result in which the first one stumbles over what is valid but odd: it is
    // nested deep along `content`, say. Then it has no places, and all else is found again.
    pass(whole, Look::Inside).or_else(|_| pass(whole, Look::Outside))
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
        places: Places::default(),
        odd: false,
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
        if self.jsonrpc.and_then(string).as_deref() != Some("2.0") {
            return bad(BadKind::Version, "`jsonrpc` is not \"2.0\"");
        }
        let whole = self.whole;
        match (self.method, self.id, self.result, self.error) {
            (Some(method), id, None, None) => {
                let Some(method) = text(whole, method) else {
                    return bad(BadKind::Method, "`method` is not a string");
                };
                if said(whole, &method).len() > METHOD_BYTES_MAX {
                    return bad(BadKind::Method, "`method` is too long");
                }
                let params = self.params;
                match id {
                    None => Ok(Head::Notification { method, params }),
                    Some(id) if is_request_id(id) => {
                        Ok(Head::Request { id: span(whole, id), method, params })
                    }
                    Some(_) => bad(BadKind::Id, "`id` is not a string or an integer of allowed length"),
                }
            }
            (None, Some(id), Some(value), None) if is_response_id(id) => {
                let places = if self.odd { Places::default() } else { self.places };
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

/// What is read of an object or an array; anything else is passed over.
trait Shape<'a>: Sized {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while map.next_entry::<&RawValue, IgnoredAny>()?.is_some() {}
        Ok(())
    }
    fn array<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Reads any value by its shape.
struct Lenient<T>(T);

impl<'a, T: Shape<'a>> DeserializeSeed<'a> for Lenient<T> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'a, T: Shape<'a>> Visitor<'a> for Lenient<T> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_map<M: MapAccess<'a>>(self, map: M) -> Result<(), M::Error> {
        self.0.object(map)
    }
    fn visit_seq<S: SeqAccess<'a>>(self, seq: S) -> Result<(), S::Error> {
        self.0.array(seq)
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key of an object: what it says, where it ends, and so what its value starts with.
struct Key<'a> {
    says: Cow<'a, [u8]>,
    start: u32,
    value_start: u32,
    first: u8,
}

impl<'a> Key<'a> {
    fn next<M: MapAccess<'a>>(whole: &'a str, map: &mut M) -> Result<Option<Self>, M::Error> {
        let Some(raw) = map.next_key::<&RawValue>()? else { return Ok(None) };
        let raw = raw.get();
        let place = span(whole, raw);
        let after = whole.as_bytes().get(place.end as usize..).unwrap_or_default();
        let skipped = after.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b':'));
        let value_start = place.end.saturating_add(skipped.count() as u32);
        let first = whole.as_bytes().get(value_start as usize).copied().unwrap_or_default();
        Ok(Some(Self { says: key_bytes(raw), start: place.start, value_start, first }))
    }

    /// Reads the value by its shape if it is an object or an array, else hands back its text. Numbers and
    /// strings are not interpreted, so that none can fail.
    fn value<M: MapAccess<'a>>(&self, map: &mut M, shape: impl Shape<'a>) -> Result<(), M::Error> {
        match self.first {
            b'{' | b'[' => map.next_value_seed(Lenient(shape)),
            _ => map.next_value::<IgnoredAny>().map(|_| ()),
        }
    }
}

fn raw<'a, M: MapAccess<'a>>(map: &mut M) -> Result<&'a str, M::Error> {
    map.next_value::<&RawValue>().map(RawValue::get)
}

/// The keys of one object so far, to find one that stands twice, or beside a variant of itself.
struct Keys<'a> {
    routed: &'static [&'static str],
    /// The first few, where looking at each is cheapest.
    few: [&'a [u8]; 12],
    count: usize,
    many: Option<HashSet<Cow<'a, [u8]>>>,
    /// One bit per routed key: it is there; another reader may take something else for it.
    real: u32,
    variant: u32,
}

impl<'a> Keys<'a> {
    fn new(routed: &'static [&'static str]) -> Self {
        Self { routed, few: [&[]; 12], count: 0, many: None, real: 0, variant: 0 }
    }

    /// Notes a key, and says what is wrong with it.
    fn note(&mut self, key: &Key<'a>) -> Option<BadKind> {
        let says: &[u8] = &key.says;
        if says.len() > KEY_BYTES_MAX || self.count == MEMBERS_MAX {
            return Some(BadKind::Keys);
        }
        let few = self.few.get(..self.count.min(self.few.len())).unwrap_or_default();
        let twice = few.contains(&says) || self.many.as_ref().is_some_and(|many| many.contains(says));
        if twice {
            return Some(BadKind::Duplicate);
        }
        match (&key.says, self.few.get_mut(self.count)) {
            (Cow::Borrowed(says), Some(free)) => *free = says,
            _ => {
                self.many.get_or_insert_default().insert(key.says.clone());
                // A key that was decoded lies in no place of the text, and leaves its place empty, which
                // is the empty key's: fill it with what no other key can be.
                if let Some(free) = self.few.get_mut(self.count) {
                    *free = NO_KEY;
                }
            }
        }
        self.count += 1;
        for (bit, routed) in self.routed.iter().enumerate() {
            if says == routed.as_bytes() {
                self.real |= 1 << bit;
            } else if is_variant(says, routed) {
                self.variant |= 1 << bit;
            }
        }
        None
    }
}

/// No JSON key decodes to this: it is not even WTF-8.
const NO_KEY: &[u8] = b"\xff";

/// Whether a reader that folds case may take `key` for `routed`.
fn is_variant(key: &[u8], routed: &str) -> bool {
    if key.is_ascii() {
        return key.eq_ignore_ascii_case(routed.as_bytes());
    }
    let Ok(key) = std::str::from_utf8(key) else { return false };
    // By way of upper case, because `ſ` and `ı` are lower case already and still become `S` and `I`.
    let fold = |text: &str| -> String {
        text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
    };
    fold(key) == fold(routed)
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
                        Look::Inside => key.value(&mut map, ResultShape(skim))?,
                        Look::Outside => map.next_value::<IgnoredAny>().map(|_| ())?,
                    }
                }
                b"error" => {
                    skim.error = started;
                    open = Open::Error;
                    match look {
                        Look::Inside => key.value(&mut map, ErrorShape(skim))?,
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
        if keys.variant != 0 {
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
                b"ref" => {
                    let mut reference = Reference::default();
                    key.value(&mut map, ReferenceShape { whole, reference: &mut reference, skim })?;
                    skim.params.reference = (key.first == b'{').then_some(reference);
                }
                b"_meta" => match key.first {
                    b'{' => {
                        let object = Span { start: key.value_start, end: UNKNOWN };
                        let mut meta =
                            Meta { object, progress_token: None, protocol_version: None, hop: None };
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
        if keys.variant & keys.real != 0 {
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
        if keys.variant & keys.real != 0 {
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
                Ok(VERSION_KEY) => meta.protocol_version = text(whole, raw(&mut map)?),
                Ok(HOP_KEY) => meta.hop = Some(span(whole, raw(&mut map)?)),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if keys.variant & keys.real != 0 {
            skim.flaw(BadKind::Variant, "`params._meta` has two keys that only case tells apart");
        }
        Ok(())
    }
}

/// The value of `result`.
struct ResultShape<'s, 'a>(&'s mut Skim<'a>);

impl<'a> Shape<'a> for ResultShape<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let skim = self.0;
        let whole = skim.whole;
        let mut seen = Seen::default();
        while let Some(key) = Key::next(whole, &mut map)? {
            match &*key.says {
                b"content" => {
                    seen.once(1, skim);
                    key.value(&mut map, Blocks(skim))?;
                }
                b"messages" => {
                    seen.once(2, skim);
                    key.value(&mut map, Each(Holder { skim, key: b"content" }))?;
                }
                b"contents" => {
                    seen.once(4, skim);
                    key.value(&mut map, Each(Holder { skim, key: b"uri" }))?;
                }
                b"nextCursor" => {
                    seen.once(8, skim);
                    skim.places.next_cursor = text(whole, raw(&mut map)?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Which of an object's keys have been there: one twice makes the whole result odd.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    fn once(&mut self, bit: u8, skim: &mut Skim<'_>) {
        skim.odd |= self.0 & bit != 0;
        self.0 |= bit;
    }
}

/// An array of which each object is read in the same way.
struct Each<'s, 'a>(Holder<'s, 'a>);

/// An object of which one member matters: the uri of an item of `contents`, the content of a message.
struct Holder<'s, 'a> {
    skim: &'s mut Skim<'a>,
    key: &'static [u8],
}

impl<'a> Shape<'a> for Each<'_, 'a> {
    fn array<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        let Holder { skim, key } = self.0;
        while seq.next_element_seed(Lenient(Holder { skim: &mut *skim, key }))?.is_some() {}
        Ok(())
    }
}

impl<'a> Shape<'a> for Holder<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let Self { skim, key: wanted } = self;
        let whole = skim.whole;
        let mut seen = Seen::default();
        while let Some(key) = Key::next(whole, &mut map)? {
            if *key.says != *wanted {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            seen.once(1, skim);
            if wanted == b"uri" {
                let uri = text(whole, raw(&mut map)?);
                place(skim, uri);
            } else {
                key.value(&mut map, Blocks(skim))?;
            }
        }
        Ok(())
    }
}

/// One content block, or an array of them.
struct Blocks<'s, 'a>(&'s mut Skim<'a>);

impl<'a> Shape<'a> for Blocks<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, map: M) -> Result<(), M::Error> {
        Block(self.0).object(map)
    }
    fn array<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        while seq.next_element_seed(Lenient(Block(&mut *self.0)))?.is_some() {}
        Ok(())
    }
}

struct Block<'s, 'a>(&'s mut Skim<'a>);

impl<'a> Shape<'a> for Block<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let skim = self.0;
        let whole = skim.whole;
        let mut seen = Seen::default();
        let mut kind = None;
        let mut link = None;
        // The type may come last, so what the others hold is kept or dropped at the end.
        let before = skim.places.uris.len();
        let mut resource = before..before;
        let mut nested = before..before;
        while let Some(key) = Key::next(whole, &mut map)? {
            let from = skim.places.uris.len();
            match &*key.says {
                b"type" => {
                    seen.once(1, skim);
                    kind = string(raw(&mut map)?);
                }
                b"uri" => {
                    seen.once(2, skim);
                    link = text(whole, raw(&mut map)?);
                }
                b"resource" => {
                    seen.once(4, skim);
                    key.value(&mut map, Holder { skim, key: b"uri" })?;
                    resource = from..skim.places.uris.len();
                }
                b"content" => {
                    seen.once(8, skim);
                    key.value(&mut map, Blocks(skim))?;
                    nested = from..skim.places.uris.len();
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let kept = match kind.as_deref() {
            Some("resource") => resource,
            Some("tool_result") => nested,
            Some(_) | None => before..before,
        };
        skim.places.uris.truncate(kept.end.max(before));
        skim.places.uris.drain(before..kept.start.max(before).min(skim.places.uris.len()));
        if kind.as_deref() == Some("resource_link") {
            place(skim, link);
        }
        Ok(())
    }
}

fn place(skim: &mut Skim<'_>, uri: Option<Text>) {
    if skim.places.uris.len() >= PLACES_MAX {
        skim.odd = true;
        return;
    }
    skim.places.uris.extend(uri);
}

/// The value of `error`.
struct ErrorShape<'s, 'a>(&'s mut Skim<'a>);

impl<'a> Shape<'a> for ErrorShape<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let skim = self.0;
        let whole = skim.whole;
        while let Some(key) = Key::next(whole, &mut map)? {
            match &*key.says {
                b"code" => skim.code = raw(&mut map)?.parse().ok(),
                b"data" => {
                    let before = skim.places.uris.len();
                    key.value(&mut map, Holder { skim, key: b"uri" })?;
                    skim.error_uri = skim.places.uris.drain(before..).next();
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Half of a span whose other half is not known yet.
const UNKNOWN: u32 = u32::MAX;

/// Where `part`, which was borrowed from `whole`, stands in it.
fn span(whole: &str, part: &str) -> Span {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    // The whole is shorter than 4 GiB.
    Span { start: start as u32, end: (start + part.len()) as u32 }
}

/// Where the value ends that stands before the key at `next`: a comma and white space lie between.
fn value_end(whole: &str, next: u32) -> u32 {
    let before = whole.get(..next as usize).unwrap_or_default().trim_end_matches(WHITE);
    before.strip_suffix(',').unwrap_or(before).trim_end_matches(WHITE).len() as u32
}

/// Where the last value ends of the object that ends at `end`.
fn last_value_end(whole: &str, end: u32) -> u32 {
    let before = whole.get(..end as usize).unwrap_or_default();
    before.strip_suffix('}').unwrap_or(before).trim_end_matches(WHITE).len() as u32
}

const WHITE: [char; 4] = [' ', '\t', '\n', '\r'];

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

fn said<'t>(whole: &'t str, text: &'t Text) -> Cow<'t, str> {
    let Span { start, end } = text.span();
    whole.get(start as usize..end as usize).and_then(string).unwrap_or_default()
}

/// What a key says. Bytes, because half a surrogate pair is no Unicode text and may still stand there.
fn key_bytes(raw: &str) -> Cow<'_, [u8]> {
    struct Says(Vec<u8>);
    impl<'de> Deserialize<'de> for Says {
        fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
            struct Bytes;
            impl Visitor<'_> for Bytes {
                type Value = Says;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a string")
                }
                fn visit_bytes<E: Error>(self, says: &[u8]) -> Result<Says, E> {
                    Ok(Says(says.to_vec()))
                }
            }
            reader.deserialize_bytes(Bytes)
        }
    }
    let plain = inner(raw).as_bytes();
    if memchr::memchr(b'\\', plain).is_none() {
        return Cow::Borrowed(plain);
    }
    serde_json::from_str::<Says>(raw).map_or(Cow::Borrowed(plain), |says| Cow::Owned(says.0))
}

fn is_request_id(raw: &str) -> bool {
    Id::parse(bytes::Bytes::copy_from_slice(raw.as_bytes())).is_some()
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
