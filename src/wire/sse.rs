//! Server-sent events: bytes in any chunks become events, and an event becomes bytes.
//!
//! Owns what is not an event yet. Reads as the HTML standard says ("event stream interpretation"), except
//! that an event has a bound: one over it is watched while it is thrown away, so that its request can be
//! failed, and the next one is served. Never reads by itself, and never knows what an event means.

use bytes::{Buf, Bytes, BytesMut};

use crate::wire::glimpse::Glimpse;
use crate::wire::lines::{BUFFER_KEPT_BYTES_MAX, DISCARD_BYTES_MAX};

/// An event id longer than this is none, like one that is not UTF-8: what cannot be kept as it came cannot be
/// resumed from.
pub const EVENT_ID_BYTES_MAX: usize = 1024;

/// A name is cut here; none that means anything is as long.
pub const EVENT_NAME_BYTES_MAX: usize = 256;

/// How much longer than the data that still fits a line may grow before it is judged unfinished. The
/// longest id with its field's name fits, so what a line says does not depend on where it was cut.
const LINE_BYTES_BEYOND: usize = EVENT_ID_BYTES_MAX + 16;

/// Digits of a time to wait, leading zeros included; more are none.
const RETRY_DIGITS_MAX: usize = 1024;

/// A text up to this is copied into what is written around it.
const COPIED_BYTES_MAX: usize = 16 * 1024;
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes in any chunks to events. What comes out does not depend on the chunks.
///
/// What is held is at most twice the bound of an event, and the chunk that was fed last.
#[derive(Debug)]
pub struct SseDecoder {
    event_bytes_max: usize,
    buffer: BytesMut,
    /// How far into `buffer` there is no end of a line.
    scanned: usize,
    /// The buffer holds, or has held, more than it keeps.
    grown: bool,
    /// The byte order mark is past, or there was none.
    begun: bool,
    /// The last line ended with a carriage return: a newline now belongs to it.
    after_return: bool,
    /// The present line is too long to be kept.
    long: Option<Long>,
    name: Option<Bytes>,
    data: Option<Data>,
    /// What the present event said its id is; the inner `None` is "no id any more".
    id: Option<Option<String>>,
    /// The present event is over its bound.
    over: Option<Over>,
    last_id: Option<String>,
    /// An event said what its id is, be it none.
    id_was_said: bool,
    retry_ms: Option<u64>,
}

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SseEvent {
    /// `None` is `message`, said or not. At most [`EVENT_NAME_BYTES_MAX`] bytes.
    pub name: Option<Bytes>,
    /// Its lines of data, joined by newlines; not checked to be UTF-8. One line is a slice of what was
    /// fed. Empty if it only said `data:`, as the event does that gives the first id (2025-11-25,
    /// basic/transports).
    pub data: Bytes,
}

/// An event over the bound, thrown away. Told once: at its end, or once [`DISCARD_BYTES_MAX`] of it are gone.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an event of {bytes} bytes is over the limit")]
pub struct EventTooLong {
    /// The raw JSON of the `id` member of its message, if it could be read.
    pub id: Option<Bytes>,
    /// The message has a result or an error and no method.
    pub response: bool,
    /// How long its data was, as far as it was looked at.
    pub bytes: u64,
}

/// What goes on with the rest of a line that is too long.
#[derive(Clone, Copy, Debug)]
enum Long {
    Data,
    Ignored,
}

#[derive(Debug)]
enum Data {
    One(Bytes),
    Joined(BytesMut),
}

/// An event that is being thrown away.
#[derive(Debug, Default)]
struct Over {
    glimpse: Glimpse,
    bytes: u64,
    told: bool,
}

impl SseDecoder {
    /// `event_bytes_max` counts an event's data, its lines joined.
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            buffer: BytesMut::new(),
            scanned: 0,
            grown: false,
            begun: false,
            after_return: false,
            long: None,
            name: None,
            data: None,
            id: None,
            over: None,
            last_id: None,
            id_was_said: false,
            retry_ms: None,
        }
    }

    /// Appends a chunk. Ask [`next`](Self::next) after each, until there is none.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next event, or `None` until more is fed. What has no blank line after it when the stream ends
    /// is no event: its owner drops the decoder.
    #[expect(clippy::should_implement_trait, reason = "it is no iterator: after None there may be more")]
    pub fn next(&mut self) -> Option<Result<SseEvent, EventTooLong>> {
        loop {
            self.grown |= self.buffer.len() > BUFFER_KEPT_BYTES_MAX;
            if !self.begin() {
                return None;
            }
            let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'\n', b'\r', fresh) else {
                return self.rest().map(Err);
            };
            let end = self.scanned + found;
            self.scanned = 0;
            self.after_return = self.buffer.get(end) == Some(&b'\r');
            let line = self.buffer.split_to(end).freeze();
            self.buffer.advance(1);
            let told = match self.long.take() {
                Some(Long::Data) => self.throw(&line).map(Err),
                Some(Long::Ignored) => None,
                None if line.is_empty() => self.dispatch(),
                None => self.field(&line).map(Err),
            };
            if told.is_some() {
                return told;
            }
        }
    }

    /// How many bytes are held of what is no event yet.
    pub fn held(&self) -> usize {
        self.buffer.len() + self.data.as_ref().map_or(0, Data::len)
    }

    /// What to resume after: the id that stands since the last event that came whole, one without data
    /// included. `None` if there is none or the server took it back with an empty one.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Whether there is no id because an event said so, and not because none said anything of it.
    pub fn id_is_taken_back(&self) -> bool {
        self.id_was_said && self.last_id.is_none()
    }

    /// How long the server asks to wait before connecting again, in milliseconds, as it last said.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Passes what belongs to no line. `false` if that cannot be told before more is fed.
    fn begin(&mut self) -> bool {
        if !self.begun {
            if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
                return false;
            }
            if self.buffer.starts_with(MARK) {
                self.buffer.advance(MARK.len());
            }
            self.begun = true;
        }
        if self.after_return {
            let Some(first) = self.buffer.first() else { return false };
            if *first == b'\n' {
                self.buffer.advance(1);
            }
            self.after_return = false;
        }
        true
    }

    /// No end of a line in the whole buffer: keeps a part of a line, or throws away a part of one too long.
    fn rest(&mut self) -> Option<EventTooLong> {
        if let Some(long) = self.long {
            let part = self.part();
            return match long {
                Long::Data => self.throw(&part),
                Long::Ignored => None,
            };
        }
        let held = self.data.as_ref().map_or(0, Data::len);
        let room = if self.over.is_some() { 0 } else { self.event_bytes_max.saturating_sub(held) };
        if self.buffer.len() > room.saturating_add(LINE_BYTES_BEYOND) {
            let part = self.part();
            let data = part.starts_with(b"data:");
            self.long = Some(if data { Long::Data } else { Long::Ignored });
            return self.field(&part);
        }
        self.scanned = self.buffer.len();
        if self.grown && self.buffer.len() <= BUFFER_KEPT_BYTES_MAX / 4 {
            // A new allocation, because the old one is large and every event still in use shares it.
            self.buffer = BytesMut::from(self.buffer.as_ref());
            self.grown = false;
        }
        None
    }

    fn part(&mut self) -> Bytes {
        self.scanned = 0;
        self.grown = false;
        std::mem::take(&mut self.buffer).freeze()
    }

    /// A line, or as much of it as decides what becomes of the rest.
    fn field(&mut self, line: &Bytes) -> Option<EventTooLong> {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (field, rest) = line.split_at(colon);
        let spaced = rest.starts_with(b": ");
        let value = line.slice((colon + 1 + usize::from(spaced)).min(line.len())..);
        match field {
            b"data" => return self.more_data(value),
            b"event" => {
                let name = value.slice(..value.len().min(EVENT_NAME_BYTES_MAX));
                self.name = Some(name).filter(|name| !name.is_empty() && name != "message");
            }
            b"id" if memchr::memchr(0, &value).is_none() || value.len() > EVENT_ID_BYTES_MAX => {
                // One that is not UTF-8 could not be sent back as it came.
                let id = std::str::from_utf8(&value).ok();
                let id = id.filter(|id| !id.is_empty() && id.len() <= EVENT_ID_BYTES_MAX);
                self.id = Some(id.map(str::to_owned));
            }
            b"retry" if !value.is_empty() && value.len() <= RETRY_DIGITS_MAX => {
                let digits = std::str::from_utf8(&value).ok().filter(|text| !text.starts_with('+'));
                self.retry_ms = digits.and_then(|text| text.parse().ok()).or(self.retry_ms);
            }
            // Comments, whose field has no name, and what the standard does not know.
            _ => {}
        }
        None
    }

    fn more_data(&mut self, line: Bytes) -> Option<EventTooLong> {
        let held = self.data.as_ref().map(Data::len);
        let bytes = held.map_or(0, |held| held.saturating_add(1)).saturating_add(line.len());
        if self.over.is_none() && bytes <= self.event_bytes_max {
            self.data = Some(match self.data.take() {
                None => Data::One(line),
                Some(data) => Data::Joined(data.join(&line)),
            });
            return None;
        }
        let first = self.over.is_none() && held.is_none();
        self.over.get_or_insert_default();
        let held = self.data.take();
        let told = held.and_then(|held| self.throw(&held.bytes()));
        let told = told.or_else(|| if first { None } else { self.throw(b"\n") });
        told.or_else(|| self.throw(&line))
    }

    fn throw(&mut self, part: &[u8]) -> Option<EventTooLong> {
        let over = self.over.as_mut().filter(|over| !over.told)?;
        let bytes_max = (self.event_bytes_max as u64).saturating_add(DISCARD_BYTES_MAX as u64);
        let left = usize::try_from(bytes_max - over.bytes).unwrap_or(usize::MAX);
        let looked = part.get(..left).unwrap_or(part);
        over.glimpse.feed(looked);
        over.bytes += looked.len() as u64;
        if looked.len() == part.len() {
            return None;
        }
        over.told = true;
        Some(over.error())
    }

    /// A blank line.
    fn dispatch(&mut self) -> Option<Result<SseEvent, EventTooLong>> {
        if let Some(id) = self.id.take() {
            self.last_id = id;
            self.id_was_said = true;
        }
        let (name, data) = (self.name.take(), self.data.take());
        if let Some(over) = self.over.take() {
            return (!over.told).then(|| Err(over.error()));
        }
        data.map(|data| Ok(SseEvent { name, data: data.bytes() }))
    }
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::One(data) => data.len(),
            Self::Joined(data) => data.len(),
        }
    }

    fn join(self, line: &[u8]) -> BytesMut {
        let mut joined = match self {
            Self::One(data) => BytesMut::from(data.as_ref()),
            Self::Joined(data) => data,
        };
        joined.extend_from_slice(b"\n");
        joined.extend_from_slice(line);
        joined
    }

    fn bytes(self) -> Bytes {
        match self {
            Self::One(data) => data,
            Self::Joined(data) => data.freeze(),
        }
    }
}

impl Over {
    fn error(&self) -> EventTooLong {
        EventTooLong { id: self.glimpse.id(), response: self.glimpse.is_response(), bytes: self.bytes }
    }
}

/// Writes one event. A line end within the data begins another line of data, so it arrives as a newline;
/// one in an id or a name becomes a space, so that neither can say more than it is.
pub fn sse_event(out: &mut BytesMut, id: Option<&str>, name: Option<&str>, data: &[u8]) {
    out.reserve(data.len() + id.map_or(0, str::len) + name.map_or(0, str::len) + 32);
    names(out, id, name);
    let mut rest = data;
    while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
        let (line, after) = rest.split_at(end);
        data_line(out, line);
        rest = after.strip_prefix(b"\r\n").or_else(|| after.get(1..)).unwrap_or_default();
    }
    data_line(out, rest);
    out.extend_from_slice(b"\n");
}

fn names(out: &mut BytesMut, id: Option<&str>, name: Option<&str>) {
    if let Some(id) = id {
        field(out, b"id: ", id);
    }
    if let Some(name) = name {
        field(out, b"event: ", name);
    }
}

/// Events on their way out, in pieces. A long text is a piece of its own and not a copy, so that the room that it
/// holds is held until it has left.
#[derive(Debug, Default)]
pub struct SsePieces {
    done: Vec<Bytes>,
    open: BytesMut,
}

impl SsePieces {
    /// The same as `sse_event`.
    pub fn event(&mut self, id: Option<&str>, name: Option<&str>, data: &Bytes) {
        if data.len() <= COPIED_BYTES_MAX || memchr::memchr2(b'\n', b'\r', data).is_some() {
            return sse_event(&mut self.open, id, name, data);
        }
        names(&mut self.open, id, name);
        self.open.extend_from_slice(b"data: ");
        self.done.extend([self.open.split().freeze(), data.clone()]);
        self.open.extend_from_slice(b"\n\n");
    }

    /// Where whatever is short is written.
    pub fn open(&mut self) -> &mut BytesMut {
        &mut self.open
    }

    pub fn is_empty(&self) -> bool {
        self.done.is_empty() && self.open.is_empty()
    }

    /// In their order, none of them empty.
    pub fn into_pieces(mut self) -> Vec<Bytes> {
        if !self.open.is_empty() {
            self.done.push(self.open.freeze());
        }
        self.done
    }
}

/// Writes how long a client is to wait before it connects again, in milliseconds. No event.
pub fn sse_retry(out: &mut BytesMut, retry_ms: u64) {
    field(out, b"retry: ", &retry_ms.to_string());
    out.extend_from_slice(b"\n");
}

/// Writes a comment: what keeps a silent connection open. No event.
pub fn sse_comment(out: &mut BytesMut, text: &str) {
    field(out, b": ", text);
    out.extend_from_slice(b"\n");
}

fn data_line(out: &mut BytesMut, line: &[u8]) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(line);
    out.extend_from_slice(b"\n");
}

fn field(out: &mut BytesMut, start: &[u8], value: &str) {
    out.extend_from_slice(start);
    let from = out.len();
    out.extend_from_slice(value.as_bytes());
    for byte in out.iter_mut().skip(from) {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\n");
}

#[cfg(test)]
mod tests;
