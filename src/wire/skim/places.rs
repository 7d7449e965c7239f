//! The places of a result that name a resource.
//!
//! Knows where results of MCP have content blocks. What has another shape is passed over; what could be
//! read in two ways makes the whole result odd, and an odd result has no places and passes as it is.

use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use crate::wire::members::string;
use crate::wire::message::{PLACES_MAX, Places, Span, Text};
use crate::wire::skim::shape::{Key, Lenient, Shape, raw, span, text};

/// The places found so far.
pub(super) struct Gather<'a> {
    whole: &'a str,
    places: Places,
    odd: bool,
}

impl<'a> Gather<'a> {
    pub(super) fn new(whole: &'a str) -> Self {
        Self { whole, places: Places::default(), odd: false }
    }

    pub(super) fn finish(self) -> Places {
        match self.odd {
            true => Places { result_type: self.places.result_type, ..Places::default() },
            false => self.places,
        }
    }

    fn place(&mut self, uri: Option<Text>) {
        if self.places.uris.len() >= PLACES_MAX {
            self.odd = true;
            return;
        }
        self.places.uris.extend(uri);
    }
}

/// Which of an object's keys have been there: one twice makes the whole result odd.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    fn once(&mut self, bit: u8, gather: &mut Gather<'_>) {
        gather.odd |= self.0 & bit != 0;
        self.0 |= bit;
    }
}

/// The value of `result`.
pub(super) struct Found<'s, 'a>(pub(super) &'s mut Gather<'a>);

impl<'a> Shape<'a> for Found<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let gather = self.0;
        let whole = gather.whole;
        let mut seen = Seen::default();
        while let Some(key) = Key::next(whole, &mut map)? {
            match &*key.says {
                b"content" => {
                    seen.once(1, gather);
                    key.value(&mut map, Blocks(gather))?;
                }
                b"messages" => {
                    seen.once(2, gather);
                    key.value(&mut map, Items { gather, hold: Hold::Content })?;
                }
                b"contents" => {
                    seen.once(4, gather);
                    key.value(&mut map, Items { gather, hold: Hold::Uri })?;
                }
                b"nextCursor" => {
                    seen.once(8, gather);
                    gather.places.next_cursor = text(whole, raw(&mut map)?);
                }
                b"resultType" => {
                    seen.once(16, gather);
                    let value = raw(&mut map)?;
                    let member = Span { start: key.start, end: span(whole, value).end };
                    // What is no string says what it is.
                    let says = text(whole, value).unwrap_or_else(|| Text::new(span(whole, value), None));
                    gather.places.result_type = Some((member, says));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// An array of messages.
pub(super) struct Messages<'s, 'a>(pub(super) &'s mut Gather<'a>);

impl<'a> Shape<'a> for Messages<'_, 'a> {
    fn array<S: SeqAccess<'a>>(self, seq: S) -> Result<(), S::Error> {
        Items { gather: self.0, hold: Hold::Content }.array(seq)
    }
}

/// What matters of an item: the uri of resource contents, the content of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    Uri,
    Content,
}

/// An array of items.
struct Items<'s, 'a> {
    gather: &'s mut Gather<'a>,
    hold: Hold,
}

impl<'a> Shape<'a> for Items<'_, 'a> {
    fn array<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        let Self { gather, hold } = self;
        while seq.next_element_seed(Lenient(Item { gather: &mut *gather, hold }))?.is_some() {}
        Ok(())
    }
}

struct Item<'s, 'a> {
    gather: &'s mut Gather<'a>,
    hold: Hold,
}

impl<'a> Shape<'a> for Item<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let Self { gather, hold } = self;
        let whole = gather.whole;
        let mut seen = Seen::default();
        while let Some(key) = Key::next(whole, &mut map)? {
            match (hold, &*key.says) {
                (Hold::Uri, b"uri") => {
                    seen.once(1, gather);
                    let uri = text(whole, raw(&mut map)?);
                    gather.place(uri);
                }
                (Hold::Content, b"content") => {
                    seen.once(1, gather);
                    key.value(&mut map, Blocks(gather))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// One content block, or an array of them.
struct Blocks<'s, 'a>(&'s mut Gather<'a>);

impl<'a> Shape<'a> for Blocks<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, map: M) -> Result<(), M::Error> {
        Block(self.0).object(map)
    }
    fn array<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        while seq.next_element_seed(Lenient(Block(&mut *self.0)))?.is_some() {}
        Ok(())
    }
}

/// One content block.
struct Block<'s, 'a>(&'s mut Gather<'a>);

impl<'a> Shape<'a> for Block<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let gather = self.0;
        let whole = gather.whole;
        let mut seen = Seen::default();
        let (mut kind, mut link) = (None, None);
        // The type may come last, so what the other members hold is kept or dropped at the end.
        let before = gather.places.uris.len();
        let (mut resource, mut nested) = (before..before, before..before);
        while let Some(key) = Key::next(whole, &mut map)? {
            let from = gather.places.uris.len();
            match &*key.says {
                b"type" => {
                    seen.once(1, gather);
                    kind = string(raw(&mut map)?);
                }
                b"uri" => {
                    seen.once(2, gather);
                    link = text(whole, raw(&mut map)?);
                }
                b"resource" => {
                    seen.once(4, gather);
                    key.value(&mut map, Item { gather, hold: Hold::Uri })?;
                    resource = from..gather.places.uris.len();
                }
                b"content" => {
                    seen.once(8, gather);
                    key.value(&mut map, Blocks(gather))?;
                    nested = from..gather.places.uris.len();
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
        gather.places.uris.truncate(kept.end);
        gather.places.uris.drain(before..kept.start);
        if kind.as_deref() == Some("resource_link") {
            gather.place(link);
        }
        Ok(())
    }
}

/// The value of `error`: its code, and the resource that its data names.
pub(super) struct Failure<'s, 'a> {
    pub(super) whole: &'a str,
    pub(super) code: &'s mut Option<i64>,
    pub(super) uri: &'s mut Option<Text>,
}

impl<'a> Shape<'a> for Failure<'_, 'a> {
    fn object<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = Key::next(self.whole, &mut map)? {
            match &*key.says {
                b"code" => *self.code = raw(&mut map)?.parse().ok(),
                b"data" => {
                    let mut data = Gather::new(self.whole);
                    key.value(&mut map, Item { gather: &mut data, hold: Hold::Uri })?;
                    *self.uri = data.finish().uris.into_iter().next();
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}
