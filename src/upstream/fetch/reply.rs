//! An answer over HTTP/1.1, as it stands in the bytes of a connection (RFC 9112).
//!
//! Owns where its head ends, where its body does, and whether another may follow it; each with a bound. Pure: fed in any
//! pieces, it waits for nothing and knows no socket.

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use memchr::memchr;
use std::mem::MaybeUninit;

use super::fields::Fields;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) fields: Fields,
    pub(super) rest: Rest,
    /// Another request may follow on the connection.
    pub(super) keeps: bool,
}

/// What is to come of a body, and how that is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Length(u64),
    Chunks(Chunks),
    /// All that comes until the connection ends.
    All,
}

/// Where a body of chunks stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    at: At,
    /// What came that is neither data nor its length.
    extra: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum At {
    Size,
    Data(u64),
    /// The line that ends a chunk.
    Behind,
    Trailers,
    End,
    /// At what cannot be read.
    Garbled,
}

/// The next of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Data(Bytes),
    /// More has to come first.
    None,
    End,
}

/// What came cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Garbled {
    NoHttp,
    HeadTooLarge,
}

/// Looks for the head of one answer.
pub(super) struct Heads {
    /// So much of what is there holds no end of a head.
    looked: usize,
    /// Heads before it that were none of an answer yet.
    interim: u32,
    /// An answer has no body, whatever it says.
    is_bare: bool,
}

impl Heads {
    pub(super) fn to(method: &Method) -> Self {
        Self { looked: 0, interim: 0, is_bare: method == Method::HEAD }
    }

    /// Takes the head out of what is there; `None`: more has to come first.
    pub(super) fn take(&mut self, input: &mut BytesMut) -> Result<Option<Head>, Garbled> {
        loop {
            if !input.starts_with(&PROTOCOL[..PROTOCOL.len().min(input.len())]) {
                return Err(Garbled::NoHttp);
            }
            // As a rule all of it is here when it is first looked at. What comes in pieces is read when its end is there.
            let is_whole = self.looked == 0 || end_of_head(input, self.looked).is_some();
            let Some((end, head)) = (if is_whole { self.read(input)? } else { None }) else {
                if end_of_head(input, self.looked).is_some() {
                    return Err(Garbled::NoHttp);
                }
                // The end may have come but for its last byte or two.
                self.looked = input.len().saturating_sub(2);
                return if input.len() > HEAD_BYTES_MAX { Err(Garbled::HeadTooLarge) } else { Ok(None) };
            };
            if end > HEAD_BYTES_MAX {
                return Err(Garbled::HeadTooLarge);
            }
            self.looked = 0;
            let text = input.split_to(end).freeze();
            if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                self.interim += 1;
                if self.interim > INTERIM_MAX {
                    return Err(Garbled::HeadTooLarge);
                }
                continue;
            }
            return Ok(Some(Head { fields: Fields::of_head(text), ..head }));
        }
    }

    /// Where the head ends, and what it says, but for its fields; `None`: not all of it is here.
    fn read(&self, text: &[u8]) -> Result<Option<(usize, Head)>, Garbled> {
        let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut read = httparse::Response::new(&mut []);
        let parsed =
            httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut read, text, &mut room);
        let end = match parsed {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Garbled::HeadTooLarge),
            Err(_) => return Err(Garbled::NoHttp),
        };
        let status = read.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Garbled::NoHttp)?;
        let is_older = read.version != Some(1);
        let (mut length, mut encoding) = (None, None);
        let (mut closes, mut asks) = (false, false);
        for header in read.headers.iter() {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let said = Some(length_of(header.value)?);
                if length.is_some() && length != said {
                    return Err(Garbled::NoHttp);
                }
                length = said;
            } else if is("transfer-encoding") {
                // The last of several is the last that was put on.
                encoding = Some(last(header.value).eq_ignore_ascii_case(b"chunked"));
            } else if is("connection") {
                for word in header.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    closes |= word.eq_ignore_ascii_case(b"close");
                    asks |= word.eq_ignore_ascii_case(b"keep-alive");
                }
            }
        }
        // Whoever says both closes it (RFC 9112, Persistence).
        let mut keeps = !closes && (!is_older || asks);
        let rest = match (encoding, length) {
            _ if self.is_bare || is_bare(status) => Rest::Length(0),
            (Some(_), _) if is_older => return Err(Garbled::NoHttp),
            (Some(true), length) => {
                // Whoever says both is believed in one, and not heard any further.
                keeps &= length.is_none();
                Rest::Chunks(Chunks { at: At::Size, extra: 0 })
            }
            (None, Some(length)) => Rest::Length(length),
            (Some(false), _) | (None, None) => Rest::All,
        };
        keeps &= status != StatusCode::SWITCHING_PROTOCOLS && rest != Rest::All;
        Ok(Some((end, Head { status, fields: Fields::default(), rest, keeps })))
    }
}

impl Rest {
    /// The next of the body, out of what is there.
    pub(super) fn take(&mut self, input: &mut BytesMut) -> Result<Piece, Garbled> {
        match self {
            Self::Length(0) => Ok(Piece::End),
            Self::Length(length) => Ok(data(input, length)),
            Self::Chunks(chunks) => chunks.take(input),
            Self::All => Ok(data(input, &mut u64::MAX.clone())),
        }
    }

    /// Whether its end is here, as far as that is known without more of the body.
    pub(super) fn is_over(&mut self, input: &mut BytesMut) -> bool {
        match self {
            Self::Length(length) => *length == 0,
            Self::Chunks(chunks) => {
                chunks.go_on(input);
                chunks.at == At::End
            }
            Self::All => false,
        }
    }

    /// Whether all of it is here once nothing more comes.
    pub(super) fn may_end(&self) -> bool {
        *self == Self::All
    }
}

impl Chunks {
    fn take(&mut self, input: &mut BytesMut) -> Result<Piece, Garbled> {
        self.go_on(input);
        match &mut self.at {
            At::Data(left) => {
                let piece = data(input, left);
                if *left == 0 {
                    self.at = At::Behind;
                }
                Ok(piece)
            }
            At::Size | At::Behind | At::Trailers => Ok(Piece::None),
            At::End => Ok(Piece::End),
            At::Garbled => Err(Garbled::NoHttp),
        }
    }

    /// Reads what is there and no data.
    fn go_on(&mut self, input: &mut BytesMut) {
        while let At::Size | At::Behind | At::Trailers = self.at {
            match self.line(input).and_then(|line| line.map(|line| self.behind(&line)).transpose()) {
                Ok(Some(next)) => self.at = next,
                Ok(None) => return,
                Err(_) => self.at = At::Garbled,
            }
        }
    }

    /// Where it stands behind a line.
    fn behind(&mut self, line: &[u8]) -> Result<At, Garbled> {
        match self.at {
            At::Size => {
                let end = memchr(b';', line).unwrap_or(line.len());
                let digits = line[..end].trim_ascii_end();
                self.extra(line.len() - end)?;
                match size_of(digits)? {
                    0 => Ok(At::Trailers),
                    size => Ok(At::Data(size)),
                }
            }
            At::Behind if line.is_empty() => Ok(At::Size),
            At::Trailers if line.is_empty() => Ok(At::End),
            At::Trailers => self.extra(line.len()).map(|()| At::Trailers),
            At::Behind | At::Data(_) | At::End | At::Garbled => Err(Garbled::NoHttp),
        }
    }

    /// A line without its end, if it is there.
    fn line(&self, input: &mut BytesMut) -> Result<Option<Bytes>, Garbled> {
        let end = memchr(b'\n', &input[..input.len().min(LINE_BYTES_MAX)]);
        let Some(end) = end else {
            return if input.len() < LINE_BYTES_MAX { Ok(None) } else { Err(Garbled::NoHttp) };
        };
        let mut line = input.split_to(end + 1).freeze();
        if !line.ends_with(b"\r\n") {
            return Err(Garbled::NoHttp);
        }
        line.truncate(end - 1);
        Ok(Some(line))
    }

    fn extra(&mut self, bytes: usize) -> Result<(), Garbled> {
        self.extra = self.extra.saturating_add(bytes);
        if self.extra > EXTRA_BYTES_MAX { Err(Garbled::NoHttp) } else { Ok(()) }
    }
}

/// As much of what is there as belongs to the body.
fn data(input: &mut BytesMut, left: &mut u64) -> Piece {
    if input.is_empty() {
        return Piece::None;
    }
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *left -= count as u64;
    Piece::Data(input.split_to(count).freeze())
}

/// Behind the empty line, if it is there.
fn end_of_head(input: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr(b'\n', &input[at..])? + 1;
        match &input[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

/// Whether an answer never has a body.
fn is_bare(status: StatusCode) -> bool {
    status.is_informational() || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}

/// One length, or several times the same.
fn length_of(value: &[u8]) -> Result<u64, Garbled> {
    let mut found = None;
    for part in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        let is_number = !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(part).ok().filter(|_| is_number).and_then(|part| part.parse().ok());
        let number: u64 = number.ok_or(Garbled::NoHttp)?;
        if found.is_some_and(|found| found != number) {
            return Err(Garbled::NoHttp);
        }
        found = Some(number);
    }
    found.ok_or(Garbled::NoHttp)
}

fn size_of(digits: &[u8]) -> Result<u64, Garbled> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_number);
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(Garbled::NoHttp)
}

fn last(value: &[u8]) -> &[u8] {
    value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii()
}

const PROTOCOL: &[u8] = b"HTTP/1.";
/// The longest head, and the most headers in it.
const HEAD_BYTES_MAX: usize = 400 * 1024;
const HEADERS_MAX: usize = 100;
/// Heads that say that the answer is yet to come.
const INTERIM_MAX: u32 = 64;
/// The longest line between chunks, and what there may be of such lines in one body beside lengths.
const LINE_BYTES_MAX: usize = 8 * 1024;
const EXTRA_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests;
