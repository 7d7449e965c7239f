//! The places of a result that name a resource.
//!
//! Knows where results of MCP have content blocks. What has another shape is passed over; what could be
//! read in two ways makes the whole result odd, and an odd result has no places and passes as it is.

use std::borrow::Cow;

use crate::wire::cursor::{Cursor, Name, Sort, Walk};
use crate::wire::members::{inner, string};
use crate::wire::message::{PLACES_MAX, Places, Text};
use crate::wire::skim::{said, text};

/// The places found so far.
#[derive(Default)]
pub(super) struct Gather {
    places: Places,
    odd: bool,
}

impl Gather {
    pub(super) fn finish(self) -> Places {
        match self.odd {
            true => Places {
                result_type: self.places.result_type,
                is_error: self.places.is_error,
                ..Places::default()
            },
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
    fn once(&mut self, bit: u8, gather: &mut Gather) {
        gather.odd |= self.0 & bit != 0;
        self.0 |= bit;
    }
}

/// The value of `result`.
pub(super) fn result(cursor: &mut Cursor<'_>, gather: &mut Gather) -> Walk<()> {
    if cursor.first() != b'{' {
        return pass(cursor);
    }
    let whole = cursor.whole();
    let mut seen = Seen::default();
    cursor.object(|cursor, key| {
        match () {
            () if key.is(&CONTENT) => {
                seen.once(1, gather);
                blocks(cursor, gather)?;
            }
            () if key.is(&MESSAGES) => {
                seen.once(2, gather);
                items(cursor, gather, Hold::Content)?;
            }
            () if key.is(&CONTENTS) => {
                seen.once(4, gather);
                items(cursor, gather, Hold::Uri)?;
            }
            () if key.is(&NEXT_CURSOR) => {
                seen.once(8, gather);
                gather.places.next_cursor = said(cursor)?;
            }
            () if key.is(&RESULT_TYPE) => {
                seen.once(16, gather);
                let value = cursor.skip()?;
                // What is no string says what it is.
                let says = text(whole, value).unwrap_or_else(|| Text::new(value.span, None));
                gather.places.result_type = Some((cursor.since(key.span.start), says));
            }
            () if key.is(&IS_ERROR) => gather.places.is_error = cursor.raw()? == "true",
            () => pass(cursor)?,
        }
        Ok(())
    })
}

/// An array of messages.
pub(super) fn messages(cursor: &mut Cursor<'_>, gather: &mut Gather) -> Walk<()> {
    items(cursor, gather, Hold::Content)
}

/// The value of `error`: its code, and the resource that its data names.
pub(super) fn failure(cursor: &mut Cursor<'_>, code: &mut Option<i64>, uri: &mut Option<Text>) -> Walk<()> {
    if cursor.first() != b'{' {
        return pass(cursor);
    }
    cursor.object(|cursor, key| {
        match () {
            () if key.is(&CODE) => *code = cursor.raw()?.parse().ok(),
            () if key.is(&DATA) => {
                let mut data = Gather::default();
                item(cursor, &mut data, Hold::Uri)?;
                *uri = data.finish().uris.into_iter().next();
            }
            () => pass(cursor)?,
        }
        Ok(())
    })
}

fn pass(cursor: &mut Cursor<'_>) -> Walk<()> {
    cursor.pass().map(|_| ())
}

/// What matters of an item: the uri of resource contents, the content of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    Uri,
    Content,
}

/// An array of items.
fn items(cursor: &mut Cursor<'_>, gather: &mut Gather, hold: Hold) -> Walk<()> {
    match cursor.first() {
        b'[' => cursor.array(|cursor| item(cursor, gather, hold)),
        _ => pass(cursor),
    }
}

fn item(cursor: &mut Cursor<'_>, gather: &mut Gather, hold: Hold) -> Walk<()> {
    if cursor.first() != b'{' {
        return pass(cursor);
    }
    let mut seen = Seen::default();
    cursor.object(|cursor, key| {
        match hold {
            Hold::Uri if key.is(&URI) => {
                seen.once(1, gather);
                let uri = said(cursor)?;
                gather.place(uri);
            }
            Hold::Content if key.is(&CONTENT) => {
                seen.once(1, gather);
                blocks(cursor, gather)?;
            }
            Hold::Uri | Hold::Content => pass(cursor)?,
        }
        Ok(())
    })
}

/// One content block, or an array of them.
fn blocks(cursor: &mut Cursor<'_>, gather: &mut Gather) -> Walk<()> {
    match cursor.first() {
        b'[' => cursor.array(|cursor| block(cursor, gather)),
        _ => block(cursor, gather),
    }
}

/// One content block.
fn block(cursor: &mut Cursor<'_>, gather: &mut Gather) -> Walk<()> {
    if cursor.first() != b'{' {
        return pass(cursor);
    }
    if cursor.depth() > DEPTH_MAX {
        gather.odd = true;
        return pass(cursor);
    }
    let mut seen = Seen::default();
    // The type may come last, so what the other members hold is kept or dropped at the end.
    let (mut kind, mut link) = (None, None);
    let before = gather.places.uris.len();
    let (mut resource, mut nested) = (before..before, before..before);
    cursor.object(|cursor, key| {
        let from = gather.places.uris.len();
        match () {
            () if key.is(&TYPE) => {
                seen.once(1, gather);
                let value = cursor.skip()?;
                let raw = cursor.text(value.span);
                kind = match value.sort {
                    Sort::Plain => Some(Cow::Borrowed(inner(raw))),
                    Sort::Escaped => string(raw),
                    Sort::Integer | Sort::Number | Sort::Word | Sort::Container => None,
                };
            }
            () if key.is(&URI) => {
                seen.once(2, gather);
                link = said(cursor)?;
            }
            () if key.is(&RESOURCE) => {
                seen.once(4, gather);
                item(cursor, gather, Hold::Uri)?;
                resource = from..gather.places.uris.len();
            }
            () if key.is(&CONTENT) => {
                seen.once(8, gather);
                blocks(cursor, gather)?;
                nested = from..gather.places.uris.len();
            }
            () => pass(cursor)?,
        }
        Ok(())
    })?;
    let kept = match kind.as_deref() {
        Some("resource") => resource,
        Some("tool_result") => nested,
        Some(_) | None => before..before,
    };
    if gather.places.uris.len() > before {
        gather.places.uris.truncate(kept.end);
        gather.places.uris.drain(before..kept.start);
    }
    if kind.as_deref() == Some("resource_link") {
        gather.place(link);
    }
    Ok(())
}

const CONTENT: Name = Name::new("content");
const MESSAGES: Name = Name::new("messages");
const CONTENTS: Name = Name::new("contents");
const NEXT_CURSOR: Name = Name::new("nextCursor");
const RESULT_TYPE: Name = Name::new("resultType");
const IS_ERROR: Name = Name::new("isError");
const CODE: Name = Name::new("code");
const DATA: Name = Name::new("data");
const URI: Name = Name::new("uri");
const TYPE: Name = Name::new("type");
const RESOURCE: Name = Name::new("resource");

/// Blocks are read within one another as deep as this, for each takes a piece of the stack.
const DEPTH_MAX: usize = 120;
