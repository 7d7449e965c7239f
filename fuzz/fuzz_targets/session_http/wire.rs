//! One connection from the client's side: what is to be written, and the answers that are read, each held against
//! what it answers.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll};

use mcp_braid::wire::sse::SseDecoder;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::time::Instant;

use crate::book::{Book, Came, Opened, id};

/// What a request was, as far as its answer must fit it.
pub struct Asked {
    pub what: What,
    /// The session that it names.
    pub session: Option<usize>,
    /// Other statuses are wrong.
    pub allowed: Vec<u16>,
    pub sent: Instant,
    pub has_body: bool,
    /// Requests before it on this connection had their answers.
    pub alone: bool,
    /// So many sessions had ended by then.
    pub over: usize,
}

#[derive(Clone, PartialEq, Eq)]
pub enum What {
    /// The revision asked for, and the door.
    Begin(&'static str, usize),
    /// The requests in it, and whether their session has them as one batch.
    Post(Vec<usize>),
    /// The event after which it reads on.
    Get(Option<(String, u64)>),
    Delete,
    /// The stream of a client of 2024.
    Pipe,
    /// Something else, or something for a pipe; the answer is looked at for itself.
    Other,
    /// Its answer has no body.
    Head,
}

/// What the world must hear of.
pub enum News {
    /// A session, and by which name.
    Begun { asked: Asked, name: String },
    /// An answer's head, of what it answers.
    Status {
        status: u16,
        what: What,
        session: Option<usize>,
        sent: Instant,
        alone: bool,
        over: usize,
        busy: bool,
    },
}

pub struct Connection {
    book: Book,
    end: Option<DuplexStream>,
    outbox: VecDeque<u8>,
    /// What is held back of a request that was cut.
    pub held: VecDeque<u8>,
    pub shut: bool,
    pub reading: bool,
    pub eof: bool,
    pub asked: VecDeque<Asked>,
    /// What was written is no sequence of requests that we know.
    pub wild: bool,
    /// What was written so.
    strange: Vec<u8>,
    /// The answers' ends cannot be known: one may be to a HEAD.
    blind: bool,
    /// It may be closed before everything is answered.
    pub excused: bool,
    /// Sessions that were named on it.
    pub named: HashSet<usize>,
    /// A Unix socket: any host will do.
    pub is_unix: bool,
    got: Vec<u8>,
    answer: Option<Answer>,
    pub news: Vec<News>,
}

struct Answer {
    asked: Option<Asked>,
    frame: Frame,
    body: Body,
    /// Numbers of its events, and whether its answer was among them.
    label: Option<String>,
    last: Option<u64>,
    session: Option<usize>,
    left: Vec<usize>,
    status: u16,
    closes: bool,
}

#[derive(Debug)]
enum Frame {
    Length(usize),
    /// So much of a chunk and its end is to come; at 0 the next chunk's size.
    Chunk(usize),
    UntilClose,
}

enum Body {
    Json(Vec<u8>),
    Events(Box<SseDecoder>),
    Other,
}

struct Head {
    status: u16,
    lines: Vec<(String, String)>,
}

impl Head {
    fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.lines.iter().filter(|(known, _)| known == name);
        let first = values.next();
        assert!(values.next().is_none(), "{name} twice");
        first.map(|(_, value)| value.as_str())
    }

    fn parse(text: &[u8]) -> Self {
        let text = std::str::from_utf8(text).expect("a head is text");
        let mut lines = text.split("\r\n");
        let status = lines.next().unwrap_or_default();
        let (version, rest) = status.split_at_checked(9).expect("a status line");
        assert!(version == "HTTP/1.1 " || version == "HTTP/1.0 ", "{status}");
        let code = rest.get(..3).and_then(|code| code.parse().ok()).expect("a status");
        assert!(rest.len() == 3 || rest.as_bytes()[3] == b' ', "{status}");
        let lines = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line}"));
            assert!(
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
                "{line}"
            );
            assert!(value.bytes().all(|b| (0x20..0x7f).contains(&b)), "{line}");
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Self { status: code, lines: lines.collect() }
    }
}

impl Connection {
    pub fn new(end: DuplexStream, is_unix: bool, book: Book) -> Self {
        Self {
            book,
            end: Some(end),
            outbox: VecDeque::new(),
            held: VecDeque::new(),
            shut: false,
            reading: true,
            eof: false,
            asked: VecDeque::new(),
            wild: false,
            strange: Vec::new(),
            blind: false,
            excused: false,
            named: HashSet::new(),
            is_unix,
            got: Vec::new(),
            answer: None,
            news: Vec::new(),
        }
    }

    pub fn is_open(&self) -> bool {
        self.end.is_some() && !self.eof && !self.shut
    }

    /// A request, of which this many bytes are held back.
    pub fn send(&mut self, bytes: &[u8], cut: usize, asked: Asked) {
        self.named.extend(asked.session);
        match self.wild {
            true => self.blind |= asked.what == What::Head,
            false => self.asked.push_back(asked),
        }
        self.write(bytes, cut);
    }

    /// Bytes that we know nothing of.
    pub fn send_wild(&mut self, bytes: &[u8]) {
        self.wild = true;
        // What came before may go on in them.
        self.blind |= self.asked.iter().any(|asked| asked.what == What::Head);
        self.asked.clear();
        if let Some(answer) = &mut self.answer {
            (answer.asked, answer.session) = (None, None);
            answer.left.clear();
        }
        self.strange.extend_from_slice(bytes);
        self.blind |= self.strange.windows(4).any(|four| four == b"HEAD");
        self.write(bytes, 0);
    }

    fn write(&mut self, bytes: &[u8], cut: usize) {
        if !self.held.is_empty() {
            self.held.extend(bytes);
            return;
        }
        let (now, later) = bytes.split_at(bytes.len() - cut.min(bytes.len()));
        self.outbox.extend(now);
        self.held.extend(later);
    }

    pub fn release(&mut self) {
        self.outbox.append(&mut self.held);
    }

    /// Everything was written, and nothing is answered any more.
    pub fn is_answered(&self) -> bool {
        // What was asked after a stream waits for its end.
        self.eof || self.wild || self.answer.as_ref().map_or(self.asked.is_empty(), Answer::may_stay)
    }

    /// Requests that were not answered to their end.
    pub fn waiting(&self) -> usize {
        self.asked.len() + usize::from(self.answer.is_some())
    }

    /// The stream of this pipe is gone.
    pub fn pipe(&self) -> Option<usize> {
        let answer = self.answer.as_ref()?;
        let asked = answer.asked.as_ref()?;
        if asked.what == What::Pipe { answer.session } else { None }
    }

    /// Writes and reads what can be.
    pub fn pump(&mut self, cx: &mut Context<'_>) {
        let Some(mut end) = self.end.take() else { return };
        self.pump_out(&mut end, cx);
        if self.reading && !self.eof {
            self.pump_in(&mut end, cx);
        }
        self.end = Some(end);
    }

    fn pump_out(&mut self, end: &mut DuplexStream, cx: &mut Context<'_>) {
        while !self.outbox.is_empty() {
            let (bytes, _) = self.outbox.as_slices();
            match Pin::new(&mut *end).poll_write(cx, bytes) {
                Poll::Ready(Ok(count)) => drop(self.outbox.drain(..count)),
                Poll::Ready(Err(_)) => self.outbox.clear(),
                Poll::Pending => return,
            }
        }
        if self.shut && self.held.is_empty() {
            let _ = Pin::new(end).poll_shutdown(cx);
        }
    }

    fn pump_in(&mut self, end: &mut DuplexStream, cx: &mut Context<'_>) {
        let mut scrap = [0; 8192];
        loop {
            let mut buffer = ReadBuf::new(&mut scrap);
            match Pin::new(&mut *end).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.got.extend_from_slice(buffer.filled());
                    self.understand();
                }
                Poll::Ready(_) => return self.ends(),
                Poll::Pending => return,
            }
        }
    }

    fn ends(&mut self) {
        self.eof = true;
        if self.blind {
            return;
        }
        match self.answer.take() {
            Some(answer) if matches!(answer.frame, Frame::UntilClose) => self.complete(answer),
            Some(answer) => {
                // A stream may break off where we did not read for long.
                assert!(self.excused || self.wild, "an answer breaks off");
                if let (Some(session), true) = (answer.session, answer.is_pipe()) {
                    self.book.open().sessions[session].ended = true;
                }
            }
            None => assert!(self.got.is_empty() || self.excused, "a head breaks off"),
        }
        assert!(
            self.excused || self.wild || self.asked.is_empty(),
            "closed without an answer to {} requests",
            self.asked.len()
        );
    }

    /// Takes as much of what was read as can be understood.
    fn understand(&mut self) {
        while !self.blind {
            let done = match self.answer.take() {
                Some(answer) => self.more(answer),
                None => self.begin(),
            };
            if !done {
                return;
            }
        }
        self.got.clear();
    }

    /// The next head, if it is there.
    fn begin(&mut self) -> bool {
        let Some(end) = self.got.windows(4).position(|four| four == b"\r\n\r\n") else {
            assert!(self.got.len() < 1 << 16, "a head without end");
            return false;
        };
        let head = Head::parse(&self.got[..end]);
        let is_old = self.got.starts_with(b"HTTP/1.0");
        self.got.drain(..end + 4);
        if head.status == 100 {
            return true;
        }
        let asked = self.asked.pop_front();
        let closes = head.one("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        self.excused |= closes;
        if asked.is_none() && !self.wild {
            // What comes after a request that was cut short, or too slow, is no answer to one.
            assert!(self.excused && [400, 408].contains(&head.status), "nothing was asked: {}", head.status);
        }
        let length = head.one("content-length").map(|length| length.parse().expect("a length"));
        let chunked = head.one("transfer-encoding").map(|coding| assert_eq!(coding, "chunked")).is_some();
        assert!(!(chunked && (length.is_some() || is_old)), "framed twice");
        let bodiless =
            matches!(head.status, 204 | 304) || asked.as_ref().is_some_and(|a| a.what == What::Head);
        let frame = match (bodiless, length, chunked) {
            (true, _, _) => Frame::Length(0),
            (false, Some(length), _) => Frame::Length(length),
            (false, None, true) => Frame::Chunk(0),
            (false, None, false) => Frame::UntilClose,
        };
        let body = match head.one("content-type") {
            Some("application/json") if !bodiless => Body::Json(Vec::new()),
            Some("text/event-stream") if !bodiless => Body::Events(Box::new(SseDecoder::new(1 << 20))),
            kind => {
                assert!(matches!(kind, None | Some("application/json" | "text/plain; charset=utf-8")));
                Body::Other
            }
        };
        self.judge(&head, asked, frame, body, closes)
    }

    /// Whether the head fits what was asked.
    fn judge(&mut self, head: &Head, asked: Option<Asked>, frame: Frame, body: Body, closes: bool) -> bool {
        let status = head.status;
        assert!(status < 500 || status == 503, "{status}");
        if status == 405 {
            assert!(head.one("allow").is_some());
        }
        if status == 401 {
            assert!(head.one("www-authenticate").is_some());
        }
        if status == 429 {
            assert!(head.one("retry-after").is_some());
        }
        let mut answer = Answer {
            frame,
            body,
            label: None,
            last: None,
            session: None,
            left: Vec::new(),
            status,
            closes,
            asked: None,
        };
        // What has a body that nobody read may end its connection.
        self.excused |= status >= 400 && asked.as_ref().is_some_and(|asked| asked.has_body);
        let name = head.one("mcp-session-id");
        let Some(asked) = asked else {
            self.answer = Some(answer);
            return true;
        };
        // Whoever asked before we began to stop is told so as well.
        let is_late = status == 503 && self.book.open().closing;
        assert!(
            is_late || asked.allowed.contains(&status),
            "{status} instead of {:?}; {:?}",
            asked.allowed,
            String::from_utf8_lossy(&self.got)
        );
        answer.session = asked.session;
        self.news.push(News::Status {
            status,
            what: asked.what.clone(),
            session: asked.session,
            sent: asked.sent,
            alone: asked.alone,
            over: asked.over,
            busy: status == 503,
        });
        match (&asked.what, name) {
            (What::Begin(..), Some(name)) => {
                assert_eq!(status, 200);
                assert!(name.len() >= 43 && name.bytes().all(|b| b.is_ascii_graphic()), "{name}");
                let again = Asked { what: asked.what.clone(), allowed: Vec::new(), ..asked };
                self.news.push(News::Begun { asked: again, name: name.to_owned() });
            }
            (_, name) => assert!(name.is_none(), "a session's id to nobody"),
        }
        if let (What::Post(requests), 200) = (&asked.what, status) {
            answer.left = requests.clone();
        }
        if let What::Get(Some((label, after))) = &asked.what {
            answer.label = Some(label.clone());
            answer.last = Some(*after);
        }
        answer.asked = Some(asked);
        self.answer = Some(answer);
        true
    }

    /// More of a body; `false`: more must be read.
    fn more(&mut self, mut answer: Answer) -> bool {
        let (piece, is_end) = match answer.frame {
            Frame::Length(length) => {
                let count = length.min(self.got.len());
                answer.frame = Frame::Length(length - count);
                (self.got.drain(..count).collect::<Vec<u8>>(), count == length)
            }
            Frame::UntilClose => (std::mem::take(&mut self.got), false),
            Frame::Chunk(0) => {
                let Some(end) = self.got.windows(2).position(|two| two == b"\r\n") else {
                    assert!(self.got.len() < 32, "no chunk: {:?}", String::from_utf8_lossy(&self.got));
                    self.answer = Some(answer);
                    return false;
                };
                let size = std::str::from_utf8(&self.got[..end]).ok();
                let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()) else {
                    return self.is_mixed("a chunk's size");
                };
                if size == 0 {
                    if self.got.len() < end + 4 {
                        self.answer = Some(answer);
                        return false;
                    }
                    if &self.got[end..end + 4] != b"\r\n\r\n" {
                        return self.is_mixed("a trailer");
                    }
                    self.got.drain(..end + 4);
                    self.complete(answer);
                    return true;
                }
                self.got.drain(..end + 2);
                answer.frame = Frame::Chunk(size + 2);
                self.answer = Some(answer);
                return true;
            }
            Frame::Chunk(left) => {
                let count = left.min(self.got.len());
                // The last two bytes are a line's end.
                let data = count.min(left.saturating_sub(2));
                let mut piece: Vec<u8> = self.got.drain(..count).collect();
                if !b"\r\n".ends_with(&piece[data..]) && !b"\r".ends_with(&piece[data..]) {
                    return self.is_mixed("a chunk's end");
                }
                piece.truncate(data);
                answer.frame = Frame::Chunk(left - count);
                if count == 0 {
                    self.answer = Some(answer);
                    return false;
                }
                (piece, false)
            }
        };
        let is_nothing = piece.is_empty() && matches!(answer.frame, Frame::Length(_) | Frame::UntilClose);
        match &mut answer.body {
            Body::Json(text) => text.extend_from_slice(&piece),
            Body::Other => {}
            Body::Events(decoder) => {
                decoder.feed(&piece);
                self.events(&mut answer);
            }
        }
        if is_end {
            self.complete(answer);
            return true;
        }
        self.answer = Some(answer);
        !is_nothing
    }

    /// The events that are whole.
    fn events(&mut self, answer: &mut Answer) {
        loop {
            let Body::Events(decoder) = &mut answer.body else { return };
            let Some(event) = decoder.next() else { return };
            let event = event.expect("no event is as long");
            let number = decoder.last_id().map(numbered);
            let text = std::str::from_utf8(&event.data).expect("events are text").to_owned();
            let named = |name: &str| event.name.as_deref() == Some(name.as_bytes());
            if answer.asked.is_none() {
                if !named("endpoint") && !text.is_empty() {
                    self.look(&text);
                }
                continue;
            }
            if named("endpoint") {
                assert!(answer.label.is_none() && answer.session.is_none(), "a second endpoint");
                answer.session = Some(self.begins_pipe(text));
                continue;
            }
            let session = answer.session.expect("events are of some session");
            match number {
                None => {
                    assert!(answer.is_pipe(), "an event without an id");
                    self.book.open().hears(session, &text, Came::First);
                    answer.hears(&self.book, &text);
                }
                Some((label, number)) => self.event(answer, session, &label, number, &text),
            }
        }
    }

    fn event(&mut self, answer: &mut Answer, session: usize, label: &str, number: u64, text: &str) {
        let after = match answer.asked.as_ref().map(|asked| &asked.what) {
            Some(What::Get(after)) => after.clone(),
            Some(What::Post(_)) => {
                assert!(label.starts_with('a'), "{label} answers a POST");
                None
            }
            Some(What::Begin(..) | What::Delete | What::Pipe | What::Other | What::Head) | None => {
                panic!("events answer that")
            }
        };
        let opened = match after.as_ref().is_some_and(|(before, _)| before == label) {
            true => Opened::ReadOn,
            false => Opened::Anew,
        };
        if answer.label.as_deref() != Some(label) {
            // A stream that is forgotten is another's beginning.
            assert!(
                answer.label.is_none() || answer.last == after.as_ref().map(|(_, number)| *number),
                "mixed"
            );
            assert!(label.starts_with('g') || answer.label.is_none(), "{label} goes on as another");
            answer.label = Some(label.to_owned());
            answer.last = None;
        }
        if text.is_empty() {
            assert!(answer.last.is_none() || answer.last == Some(number), "it begins elsewhere");
            answer.last = Some(number);
            return;
        }
        let mut book = self.book.open();
        let is_known = book.sessions[session].events.contains_key(&(label.to_owned(), number));
        if let Some(last) = answer.last {
            // One that names an event which never was begins with the next.
            assert!(number > last || (opened == Opened::ReadOn && !is_known), "{number} after {last}");
            assert!(
                book.is_tight || number <= last.saturating_add(1),
                "events are lost between {last} and {number}"
            );
        }
        answer.last = Some(number);
        book.event(session, label, number, text, opened);
        drop(book);
        answer.hears(&self.book, text);
    }

    /// A message of which we do not know whose it is.
    fn look(&self, text: &str) {
        let value: Result<Value, _> = serde_json::from_str(text);
        assert!(value.is_ok(), "{text}");
        let named: Vec<usize> = self.named.iter().copied().collect();
        self.book.open().keeps_apart(text, &named);
    }

    fn begins_pipe(&mut self, place: String) -> usize {
        assert!(place.starts_with("/messages?sessionId="), "{place}");
        let mut book = self.book.open();
        let session = book.begins(place, 0, "2024-11-05");
        book.sessions[session].is_pipe = true;
        drop(book);
        self.named.insert(session);
        session
    }

    /// What came is not what it should be. That happens where what is no request was sent behind one whose answer was not
    /// read yet: it is answered at once, in the middle of what waits to be written (hyper 1.12). Nothing that comes on that
    /// connection can be understood any more.
    fn is_mixed(&mut self, what: &str) -> bool {
        assert!(self.wild, "{what}");
        self.blind = true;
        false
    }

    fn complete(&mut self, mut answer: Answer) {
        if let Body::Events(decoder) = &answer.body {
            assert_eq!(decoder.held(), 0, "a stream ends in the middle");
        }
        if let Body::Json(text) = &answer.body {
            let text = String::from_utf8(text.clone()).expect("JSON is text");
            if self.wild && serde_json::from_str::<Value>(&text).is_err() {
                self.is_mixed("JSON");
                return;
            }
            match (&answer.asked, answer.session) {
                (Some(Asked { what: What::Post(_), .. }), Some(session)) if answer.status == 200 => {
                    self.book.open().hears(session, &text, Came::First);
                    answer.hears(&self.book, &text);
                }
                (Some(Asked { what: What::Begin(..), .. }), _) if answer.status == 200 => {
                    let greeting: Value = serde_json::from_str(&text).unwrap_or_default();
                    assert_eq!((&greeting["jsonrpc"], &greeting["id"]), (&"2.0".into(), &0.into()), "{text}");
                    self.look(&text);
                }
                _ => self.look(&text),
            }
        }
        if let (Some(session), false) = (answer.session, answer.left.is_empty()) {
            self.book.open().is_unanswered(session, &answer.left);
        }
        if let (Some(session), true) = (answer.session, answer.is_pipe()) {
            self.book.open().sessions[session].ended = true;
        }
        self.excused |= answer.closes;
    }
}

impl Answer {
    fn is_pipe(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.what == What::Pipe)
    }

    /// A stream on which nothing is awaited.
    fn may_stay(&self) -> bool {
        matches!(self.asked.as_ref().map(|asked| &asked.what), Some(What::Get(_) | What::Pipe) | None)
    }

    /// Takes the answers in a text from what is left to be answered.
    fn hears(&mut self, book: &Book, text: &str) {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let one = std::slice::from_ref(&value);
        for message in value.as_array().map_or(one, Vec::as_slice) {
            if message.get("method").is_some() || self.is_pipe() {
                continue;
            }
            let Some(What::Post(requests)) = self.asked.as_ref().map(|asked| &asked.what) else {
                let general = self.label.as_ref().is_some_and(|label| label.starts_with('g'));
                assert!(!general, "an answer on a stream of its own: {message}");
                continue;
            };
            // What is no request is refused without an id, or with one that we do not know.
            if requests.is_empty() {
                continue;
            }
            let book = book.open();
            let text = message.to_string();
            let is_its = |request: &usize| {
                let known = &book.requests[*request];
                let marked =
                    !known.marked || message.get("error").is_some() || text.contains(&book.mark(*request));
                message["id"] == id(&known.id) && marked
            };
            let at = self.left.iter().position(is_its);
            let at = at.unwrap_or_else(|| panic!("no answer to this POST: {message}"));
            self.left.remove(at);
        }
    }
}

/// `a1-2` is the second event of the stream `a1`.
fn numbered(id: &str) -> (String, u64) {
    let (label, number) = id.rsplit_once('-').unwrap_or_else(|| panic!("an id: {id}"));
    (label.to_owned(), number.parse().unwrap_or_else(|_| panic!("an id: {id}")))
}
