//! Newline framing: bytes in any chunks become lines.
//!
//! Owns the bytes that are not a line yet. Each byte is looked at once and a line is a slice of the
//! buffer it was read into. A line over the cap is watched while it is thrown away, so that its request
//! can be failed, and the next line is served. Never reads by itself: its owner fills the buffer.

use bytes::{Buf, Bytes, BytesMut};
use std::borrow::Cow;

use crate::wire::amend::ROOM_BYTES;
use crate::wire::glimpse::Glimpse;
pub use crate::wire::glimpse::readable_id;

/// How much of one overlong line is thrown away, beyond the cap, before the connection is given up.
pub const DISCARD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A buffer that has grown beyond this goes back to the allocator once it is empty enough.
pub const BUFFER_KEPT_BYTES_MAX: usize = 256 * 1024;

/// So many lines are read before anything becomes of the first. Reading a message and acting on it are each about as much
/// program as a processor has at hand: in turns, either would drive out the other with every message.
const TOGETHER_MAX: usize = 32;

/// A byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How much room [`Lines::buffer`] makes as long as lines are short: one read.
const READ_BYTES: usize = 16 * 1024;

/// Where less room is left, more is made.
const ROOM_BYTES_MIN: usize = READ_BYTES / 4;

/// Room for the next line where the last one was long, before any of it is there: what a pipe holds, and more.
const WAITING_BYTES_MAX: usize = 128 * 1024;

/// A long line keeps no memory that is more than so many times as long.
const LOOSE_TIMES: usize = 4;

/// How much a buffer of unknown need grows at once, unless it holds as much already.
const STEP_BYTES_MAX: usize = 1024 * 1024;

/// From here on it grows faster.
const HUGE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes in any chunks to lines. What comes out does not depend on the chunks.
#[derive(Debug)]
pub struct Lines {
    line_bytes_max: usize,
    buffer: BytesMut,
    /// How far into `buffer` there is no newline.
    scanned: usize,
    /// So many blanks in `buffer` come before what was read: room for a long line (`wire::amend`).
    lead: usize,
    /// Long lines are given that.
    leads: bool,
    /// The buffer holds, or has held, more than it keeps.
    grown: bool,
    /// It is larger than short lines need: they must not keep it.
    roomy: bool,
    /// How long the last line was, if it was long: the next is likely to be so too. 0: it was not.
    long: usize,
    /// The present line is over the cap.
    over: Option<Over>,
    broken: bool,
}

/// A line that is being thrown away.
#[derive(Debug, Default)]
struct Over {
    glimpse: Glimpse,
    bytes: u64,
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// Without its newline, a carriage return before that, and a byte order mark. Never blank.
    Text(Bytes),
    /// Over the cap, and thrown away.
    TooLong {
        /// The raw JSON of its `id` member, wherever in the line it stood, if it could be read.
        id: Option<Bytes>,
        /// It has a result or an error and no method.
        response: bool,
        /// How long it was, without its newline.
        bytes: u64,
    },
}

/// The stream cannot be brought back into step: the connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Broken {
    #[error("a line of more than {bytes} bytes without an end")]
    Endless { bytes: u64 },
}

impl Lines {
    /// `line_bytes_max` counts a line without its newline.
    pub fn new(line_bytes_max: usize) -> Self {
        let buffer = BytesMut::new();
        Self {
            line_bytes_max,
            buffer,
            scanned: 0,
            lead: 0,
            leads: false,
            grown: false,
            roomy: false,
            long: 0,
            over: None,
            broken: false,
        }
    }

    /// The same, and a long line has memory of its own where it can, with blanks before it: a change need not copy it.
    pub fn roomy(line_bytes_max: usize) -> Self {
        Self { leads: true, ..Self::new(line_bytes_max) }
    }

    /// Where to append what was read; has room for one read. Ask [`next`](Self::next) after each.
    pub fn buffer(&mut self) -> &mut BytesMut {
        if self.roomy && self.long == 0 && self.held() <= ROOM_BYTES_MIN {
            self.renew();
        }
        let (held, room) = (self.held(), self.buffer.capacity() - self.buffer.len());
        let (enough, wanted) = self.wanted(held);
        if room < enough {
            if self.leads && self.lead == 0 && (self.long > 0 || held >= READ_BYTES) {
                self.lead(wanted);
            } else {
                self.buffer.reserve(wanted);
            }
            self.roomy |= held + wanted > READ_BYTES * 2;
            self.grown |= held + wanted > BUFFER_KEPT_BYTES_MAX;
        }
        &mut self.buffer
    }

    /// How much was read and is no line yet.
    fn held(&self) -> usize {
        self.buffer.len() - self.lead
    }

    /// A new allocation with blanks first, and so much room.
    fn lead(&mut self, room: usize) {
        let mut buffer = BytesMut::with_capacity(ROOM_BYTES + self.buffer.len() + room);
        buffer.resize(ROOM_BYTES, b' ');
        buffer.extend_from_slice(&self.buffer);
        self.buffer = buffer;
        self.lead = ROOM_BYTES;
        self.scanned += ROOM_BYTES;
    }

    /// Without them; says how many there were.
    fn bare(&mut self) -> usize {
        let lead = std::mem::take(&mut self.lead);
        self.buffer.advance(lead);
        self.scanned = self.scanned.saturating_sub(lead);
        lead
    }

    /// How much room is enough where so much is held, and how much is made where there is less.
    fn wanted(&self, held: usize) -> (usize, usize) {
        let line = match self.long {
            0 => 0,
            long if held < READ_BYTES => (long + ROOM_BYTES_MIN).min(WAITING_BYTES_MAX),
            long => long + ROOM_BYTES_MIN,
        };
        match line.checked_sub(held) {
            Some(rest @ 1..) => (rest, rest),
            Some(0) | None => {
                let grown = match held < HUGE_BYTES {
                    true => READ_BYTES.max(held).max(STEP_BYTES_MAX.min(3 * held)),
                    // It is moved once or twice more: what it leaves behind is still ours for a moment.
                    false => 3 * held,
                };
                // No line that is kept is longer.
                let left = self.line_bytes_max.saturating_add(READ_BYTES).saturating_sub(held);
                (ROOM_BYTES_MIN, grown.min(left.max(READ_BYTES)))
            }
        }
    }

    /// Appends a chunk, for owners that have one already.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next line, or `None` until more is read. After `Broken` there are no lines any more.
    #[expect(clippy::should_implement_trait, reason = "it is no iterator: after None there may be more")]
    pub fn next(&mut self) -> Option<Result<Line, Broken>> {
        loop {
            if self.broken {
                self.buffer.clear();
                return None;
            }
            self.grown |= self.buffer.len() > BUFFER_KEPT_BYTES_MAX;
            self.roomy |= self.buffer.len() > READ_BYTES * 2;
            let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(found) = memchr::memchr(b'\n', fresh) else {
                self.scanned = self.buffer.len();
                return self.rest().map(Err);
            };
            let end = self.scanned + found;
            let length = end - self.lead;
            self.scanned = 0;
            if self.over.is_some() || length > self.line_bytes_max {
                self.bare();
                let line = self.buffer.split_to(length);
                self.discard(1);
                return Some(self.throw(&line).map(|()| self.thrown()));
            }
            self.long = if length > READ_BYTES { length } else { 0 };
            if let Some(text) = trim(self.take(end)) {
                return Some(Ok(Line::Text(text)));
            }
        }
    }

    /// Reads some of the lines that are there, for whoever acts on all of them afterwards; whether there were any.
    pub fn together<T>(
        &mut self,
        read: &mut Vec<Result<T, Broken>>,
        mut reads: impl FnMut(Line) -> T,
    ) -> bool {
        let some = std::iter::from_fn(|| self.next()).take(TOGETHER_MAX);
        read.extend(some.map(|line| line.map(&mut reads)));
        !read.is_empty()
    }

    /// The line that ends there, and what ends it is gone.
    fn take(&mut self, end: usize) -> Bytes {
        let is_loose = self.buffer.capacity() / LOOSE_TIMES > end;
        if self.lead > 0 && self.long > 0 && self.is_alone(end) && !is_loose {
            let behind = BytesMut::from(self.buffer.get(end + 1..).unwrap_or_default());
            let mut line = std::mem::replace(&mut self.buffer, behind);
            (self.lead, self.grown, self.roomy) = (0, false, false);
            line.truncate(end);
            return line.freeze();
        }
        let end = end - self.bare();
        if self.roomy && end <= ROOM_BYTES_MIN {
            let line = Bytes::copy_from_slice(self.buffer.get(..end).unwrap_or_default());
            self.discard(end + 1);
            return line;
        }
        let mut line = self.buffer.split_to(end + 1).freeze();
        line.truncate(end);
        line
    }

    /// Whether little is there but the line that ends there, and nothing is to be cut from before it.
    fn is_alone(&self, end: usize) -> bool {
        let is_marked = self.buffer.get(self.lead..).is_some_and(|line| line.starts_with(MARK));
        !is_marked && self.buffer.len() - end <= ROOM_BYTES_MIN
    }

    /// The last line at the end of the stream, if it had no newline. `None` if it is blank.
    pub fn finish(&mut self) -> Option<Line> {
        if self.broken {
            return None;
        }
        self.bare();
        self.scanned = 0;
        let line = std::mem::take(&mut self.buffer);
        if self.over.is_some() || line.len() > self.line_bytes_max {
            return self.throw(&line).ok().map(|()| self.thrown());
        }
        trim(line.freeze()).map(Line::Text)
    }

    /// No newline in the whole buffer: keeps a part of a line, or throws away a part of one too long.
    fn rest(&mut self) -> Option<Broken> {
        if self.over.is_some() || self.held() > self.line_bytes_max {
            self.bare();
            let part = std::mem::take(&mut self.buffer);
            self.scanned = 0;
            (self.grown, self.roomy, self.long) = (false, false, 0);
            return self.throw(&part).err();
        }
        if self.grown && self.held() <= READ_BYTES {
            self.renew();
        }
        None
    }

    /// A new allocation, because the old one is large and every line still in use shares it.
    fn renew(&mut self) {
        self.bare();
        self.buffer = BytesMut::from(self.buffer.as_ref());
        (self.grown, self.roomy) = (false, false);
    }

    fn throw(&mut self, part: &[u8]) -> Result<(), Broken> {
        let over = self.over.get_or_insert_default();
        over.bytes = over.bytes.saturating_add(part.len() as u64);
        let bytes_max = (self.line_bytes_max as u64).saturating_add(DISCARD_BYTES_MAX as u64);
        if over.bytes > bytes_max {
            self.broken = true;
            self.over = None;
            self.buffer = BytesMut::new();
            return Err(Broken::Endless { bytes: bytes_max });
        }
        over.glimpse.feed(part);
        Ok(())
    }

    fn thrown(&mut self) -> Line {
        let Over { glimpse, bytes } = self.over.take().unwrap_or_default();
        Line::TooLong { id: glimpse.id(), response: glimpse.is_response(), bytes }
    }

    fn discard(&mut self, count: usize) {
        let _ = self.buffer.split_to(count.min(self.buffer.len()));
    }
}

/// A text as one line: a raw newline or carriage return, which valid JSON has only between tokens,
/// becomes a space. Copies only if there is one.
///
/// Without this a pretty-printed message would be several lines to a peer on a pipe, and one of them may
/// be a whole message that nobody has checked.
pub fn one_line(text: Bytes) -> Bytes {
    match on_one_line(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(line) => line.into(),
    }
}

/// The same of a text that stays where it is.
pub fn on_one_line(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr2(b'\n', b'\r', text) else { return Cow::Borrowed(text) };
    let mut line = text.to_owned();
    for byte in line.iter_mut().skip(first) {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    Cow::Owned(line)
}

/// A line without a byte order mark before it and a carriage return after it; `None` if it is blank.
fn trim(mut line: Bytes) -> Option<Bytes> {
    if line.starts_with(MARK) {
        line.advance(MARK.len());
    }
    if line.ends_with(b"\r") {
        line.truncate(line.len() - 1);
    }
    let blank = line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
    (!blank).then_some(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(lines: &mut Lines, out: &mut Vec<Result<Line, Broken>>) {
        while let Some(line) = lines.next() {
            out.push(line);
        }
    }

    fn frame<'a>(
        chunks: impl IntoIterator<Item = &'a [u8]>,
        line_bytes_max: usize,
    ) -> Vec<Result<Line, Broken>> {
        let mut lines = Lines::new(line_bytes_max);
        let mut out = Vec::new();
        for chunk in chunks {
            lines.feed(chunk);
            read(&mut lines, &mut out);
        }
        out.extend(lines.finish().map(Ok));
        out
    }

    fn text(text: &'static str) -> Result<Line, Broken> {
        Ok(Line::Text(Bytes::from_static(text.as_bytes())))
    }

    #[test]
    fn blank_lines_marks_and_carriage_returns_are_not_text() {
        let stream = b"\n\r\n \t\r\n\xef\xbb\xbfa\r\nb\n\xef\xbb\xbf\n\xef\xbb\xbf\r\nc\0\rd\r\r\nlast";
        assert_eq!(frame([stream.as_slice()], 99), [text("a"), text("b"), text("c\0\rd\r"), text("last")]);
    }

    #[test]
    fn a_line_is_a_slice_of_what_was_read() {
        let mut lines = Lines::new(99);
        lines.buffer().extend_from_slice(b"one\ntwo\n");
        let at = lines.buffer().as_ptr();
        let Some(Ok(Line::Text(one))) = lines.next() else { panic!("no line") };
        assert_eq!(one.as_ptr(), at);
    }

    #[test]
    fn the_line_after_one_too_long_is_served() {
        let stream = b"12345\n123456\n12345\n";
        let long = Ok(Line::TooLong { id: None, response: false, bytes: 6 });
        assert_eq!(frame([stream.as_slice()], 5), [text("12345"), long.clone(), text("12345")]);
        assert_eq!(frame(stream.chunks(1), 5), [text("12345"), long, text("12345")]);
    }

    #[test]
    fn a_line_too_long_tells_whose_it_is() {
        let line = format!("{{\"result\":{{\"x\":\"{}\"}},\"id\":7}}\n", "x".repeat(500));
        for size in [1, 7, 64, 4096] {
            let bytes = line.len() as u64 - 1;
            let want = Line::TooLong { id: Some(Bytes::from_static(b"7")), response: true, bytes };
            assert_eq!(frame(line.as_bytes().chunks(size), 20), [Ok(want)]);
        }
    }

    #[test]
    fn a_half_line_too_long_at_the_end_is_told() {
        let long = Line::TooLong { id: Some(Bytes::from_static(b"1")), response: false, bytes: 12 };
        assert_eq!(frame([b"{\"id\":1,\"abc".as_slice()], 5), [Ok(long.clone())]);
        assert_eq!(frame([b"{\"id\":1".as_slice(), b",\"abc"], 5), [Ok(long)]);
    }

    #[test]
    fn a_line_without_end_breaks_the_stream_once() {
        let chunk = vec![b'x'; 1024 * 1024];
        let mut lines = Lines::new(10);
        let mut broken = None;
        let mut fed = 0;
        while broken.is_none() {
            lines.buffer().extend_from_slice(&chunk);
            fed += chunk.len();
            broken = lines.next();
        }
        let bytes = (DISCARD_BYTES_MAX + 10) as u64;
        assert_eq!(broken, Some(Err(Broken::Endless { bytes })));
        assert_eq!(fed, DISCARD_BYTES_MAX + chunk.len());
        lines.feed(b"\n{}\n");
        assert_eq!((lines.next(), lines.finish()), (None, None));
        assert!(lines.buffer().is_empty());
    }

    #[test]
    fn the_whole_endless_line_at_once_breaks_it_as_well() {
        let mut line = vec![b'x'; DISCARD_BYTES_MAX + 11];
        line.push(b'\n');
        assert!(matches!(frame([line.as_slice()], 10)[..], [Err(Broken::Endless { .. })]));
        assert!(matches!(frame([&line[1..]], 10)[..], [Ok(Line::TooLong { .. })]));
    }

    #[test]
    fn a_large_buffer_is_given_back() {
        let mut lines = Lines::new(4 * 1024 * 1024);
        for _ in 0..3 {
            lines.feed(&vec![b'x'; 2 * 1024 * 1024]);
            assert_eq!(lines.next(), None);
            lines.feed(b"\nhalf");
            assert!(matches!(lines.next(), Some(Ok(Line::Text(line))) if line.len() > 2 * 1024 * 1024 - 1));
            assert_eq!(lines.next(), None);
            assert!(lines.buffer().capacity() <= WAITING_BYTES_MAX);
            lines.feed(b"\n");
            assert!(matches!(lines.next(), Some(Ok(Line::Text(line))) if line == "half"));
        }
    }

    /// Reads a stream as its owner does, so much at a time at most. `each` is told of what was made of it so far.
    fn read_from(
        mut stream: &[u8],
        at_once_max: usize,
        mut lines: Lines,
        mut each: impl FnMut(&mut Lines, &[Result<Line, Broken>]),
    ) -> Vec<Result<Line, Broken>> {
        let mut out = Vec::new();
        while !stream.is_empty() {
            let buffer = lines.buffer();
            let room = buffer.capacity() - buffer.len();
            assert!(room > 0);
            let (now, later) = stream.split_at(stream.len().min(room).min(at_once_max));
            buffer.extend_from_slice(now);
            stream = later;
            read(&mut lines, &mut out);
            each(&mut lines, &out);
        }
        out.extend(lines.finish().map(Ok));
        out
    }

    /// Without the room before a long line.
    fn unled(line: &mut Result<Line, Broken>) {
        if let Ok(Line::Text(text)) = line
            && text.len() > READ_BYTES
        {
            *text = text.slice(text.len() - text.trim_ascii_start().len()..);
        }
    }

    #[test]
    fn lines_of_any_length_are_read_in_any_order() {
        const LINE_BYTES_MAX: usize = 2_000_000;
        let lengths =
            [9, 70_000, 70_004, 3, 20_000, 300_000, 5, 1_100_000, 1_100_001, 2_000_000, 9, 9, 131_000];
        let lines: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
        let stream = lines.join("\n") + "\n";
        let want: Vec<_> = lines.iter().map(|line| Ok(Line::Text(line.clone().into()))).collect();
        for at_once_max in [1_000, 65_536, usize::MAX] {
            for lines in [Lines::new(LINE_BYTES_MAX), Lines::roomy(LINE_BYTES_MAX)] {
                let mut out = read_from(stream.as_bytes(), at_once_max, lines, |lines, _| {
                    let room_max = LINE_BYTES_MAX.max(2 * lines.buffer.len()) + STEP_BYTES_MAX;
                    assert!(lines.buffer().capacity() <= room_max);
                });
                out.iter_mut().for_each(unled);
                assert!(out == want, "{at_once_max}");
            }
        }
    }

    #[test]
    fn after_a_long_line_there_is_room_for_another() {
        for length in [70_000, 1_000_000] {
            let line = "x".repeat(length) + "\n";
            let mut places = Vec::new();
            read_from(line.repeat(3).as_bytes(), 65_536, Lines::new(2_000_000), |lines, out| {
                if out.len() == 2 {
                    places.push(lines.buffer().as_ptr());
                }
                if lines.buffer.is_empty() {
                    let capacity = lines.buffer().capacity();
                    assert!(
                        capacity > length.min(WAITING_BYTES_MAX - 1) && capacity <= 2 * WAITING_BYTES_MAX
                    );
                }
            });
            places.dedup();
            assert!(places.len() <= 2, "it was moved more than once");
        }
    }

    #[test]
    fn a_long_line_has_memory_of_its_own_with_room_before_it() {
        let line = "x".repeat(70_000);
        let stream = format!("{line}\n{line}\r\n\u{feff}{line}\nshort\n{line}");
        let out = read_from(stream.as_bytes(), 1_000, Lines::roomy(100_000), |_, _| {});
        let texts: Vec<Bytes> = out
            .into_iter()
            .map(|line| match line {
                Ok(Line::Text(text)) => text,
                other => panic!("{other:?}"),
            })
            .collect();
        let leads: Vec<usize> = texts.iter().map(|text| text.len() - text.trim_ascii_start().len()).collect();
        // Behind a mark and at the end there is none.
        assert_eq!(leads, [ROOM_BYTES, ROOM_BYTES, 0, 0, 0]);
        assert!(texts.iter().all(|text| text.ends_with(line.as_bytes()) || text == "short"));
        assert!(texts.iter().take(2).all(Bytes::is_unique));
    }

    #[test]
    fn a_long_line_over_the_cap_is_thrown_away_whatever_its_room() {
        let stream =
            format!("{}\n{}\n{}\nshort\n", "x".repeat(50_000), "x".repeat(50_001), "x".repeat(50_000));
        let mut out = read_from(stream.as_bytes(), 10_000, Lines::roomy(50_000), |_, _| {});
        out.iter_mut().for_each(unled);
        let line = || Ok(Line::Text("x".repeat(50_000).into()));
        let long = Ok(Line::TooLong { id: None, response: false, bytes: 50_001 });
        assert!(out == [line(), long, line(), text("short")]);
    }

    #[test]
    fn a_short_line_keeps_no_large_buffer() {
        let mut lines = Lines::new(2_000_000);
        lines.buffer().extend_from_slice(&[b'x'; READ_BYTES]);
        assert_eq!(lines.next(), None);
        lines.buffer().extend_from_slice(&[b'x'; READ_BYTES * 2]);
        lines.buffer().extend_from_slice(b"\nshort\nhalf");
        let large = lines.buffer.as_ptr_range();
        let Some(Ok(Line::Text(long))) = lines.next() else { panic!("no line") };
        let Some(Ok(Line::Text(short))) = lines.next() else { panic!("no line") };
        assert_eq!((long.len(), short.as_ref()), (READ_BYTES * 3, b"short".as_slice()));
        assert!(!large.contains(&short.as_ptr()));
        assert_eq!(lines.next(), None);
        // And neither does what is no line yet.
        assert!(lines.buffer().capacity() <= READ_BYTES + ROOM_BYTES_MIN);
        assert!(!large.contains(&lines.buffer().as_ptr()));
        lines.buffer().extend_from_slice(b"\n");
        assert_eq!(lines.next(), Some(text("half")));
    }

    #[test]
    fn a_text_without_newlines_is_not_copied() {
        let text = Bytes::from_static(b"{\"a\":\"\\n\"}");
        assert_eq!(one_line(text.clone()).as_ptr(), text.as_ptr());
        assert_eq!(one_line(Bytes::from_static(b"\r{\n\"a\":\r\n1}\n")), " { \"a\":  1} ");
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\xef\xbb\xbf".to_vec()),
            Just(b" ".to_vec()),
            Just(b"{\"id\":12,\"result\":{}".to_vec()),
            Just(b"\"x".to_vec()),
            Just(b"}".to_vec()),
            prop::collection::vec(any::<u8>(), 0..12),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn framing_does_not_depend_on_chunks(stream in bytes(), sizes in prop::collection::vec(1usize..9, 1..20), line_bytes_max in 0usize..40) {
            let whole = frame([stream.as_slice()], line_bytes_max);
            prop_assert_eq!(&frame(stream.chunks(1), line_bytes_max), &whole);
            let (mut chunks, mut rest) = (Vec::new(), stream.as_slice());
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (head, tail) = rest.split_at((*size).min(rest.len()));
                chunks.push(head);
                rest = tail;
            }
            prop_assert_eq!(&frame(chunks, line_bytes_max), &whole);
        }

        #[test]
        fn what_is_read_is_what_is_fed(stream in bytes(), at_once_max in 1usize..9, line_bytes_max in 0usize..40) {
            let whole = frame([stream.as_slice()], line_bytes_max);
            prop_assert_eq!(read_from(&stream, at_once_max, Lines::new(line_bytes_max), |_, _| {}), whole);
        }

        #[test]
        fn short_lines_are_the_streams_own(stream in bytes()) {
            let want: Vec<Vec<u8>> = stream
                .split(|byte| *byte == b'\n')
                .map(|line| line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line))
                .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
                .filter(|line| line.iter().any(|byte| !b" \t\r".contains(byte)))
                .map(<[u8]>::to_vec)
                .collect();
            let got: Vec<Vec<u8>> = frame([stream.as_slice()], usize::MAX - DISCARD_BYTES_MAX)
                .into_iter()
                .map(|line| match line {
                    Ok(Line::Text(text)) => text.to_vec(),
                    other => panic!("{other:?}"),
                })
                .collect();
            prop_assert_eq!(got, want);
        }
    }
}
