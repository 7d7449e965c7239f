//! The reading half of a stream: each line of a server, and whom it is for.
//!
//! One task per stream. An answer goes to its request, progress to its call, the rest through the `Audience`. It
//! never waits for a client: a note that finds no place is offered a few times more and then dropped and counted;
//! an answer always has its place. What it cannot read it skips, and gives the stream up when there is too much.

use super::audience::{HeardAsk, Parcel};
use super::mail::Letter;
use super::stream::{Arrival, Stream};
use crate::mcp::caller::ClientId;
use crate::mcp::method::Method;
use crate::wire::batch::batch;
use crate::wire::fault::{Fault, Reason};
use crate::wire::id::{CallId, Id};
use crate::wire::lines::{Line, Lines};
use crate::wire::message::{Head, Message, Params};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

/// What the reading task keeps from line to line.
pub(super) struct Reader {
    stream: Arc<Stream>,
    lines: Lines,
    line_bytes_max: usize,
    noise: Noise,
    /// On whom a note was pressed in vain, and when: for a while, more would only cost time.
    full: HashMap<Addressee, Instant>,
}

/// Why a stream is read no further.
struct GivenUp(&'static str);

/// Whose a note is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Addressee {
    Call(CallId),
    Client(ClientId),
    Server,
}

/// What found no place.
enum Crowded {
    Progress(CallId, Box<Message>),
    Parcel(Box<Parcel>),
    /// An answer to the server, which has not read those before.
    Answer(Bytes),
}

impl Crowded {
    fn addressee(&self) -> Addressee {
        match self {
            Self::Progress(id, _) => Addressee::Call(*id),
            Self::Parcel(parcel) => Addressee::Client(parcel.member.client),
            Self::Answer(_) => Addressee::Server,
        }
    }
}

impl Reader {
    pub(super) fn new(stream: Arc<Stream>, line_bytes_max: usize) -> Self {
        let lines = Lines::new(line_bytes_max);
        Self { stream, lines, line_bytes_max, noise: Noise::new(), full: HashMap::new() }
    }

    /// Reads until the end of the pipe, or until there is no sense in reading on.
    pub(super) async fn run(mut self, mut pipe: impl AsyncRead + Unpin) {
        let stream = self.stream.clone();
        loop {
            let read = tokio::select! {
                read = pipe.read_buf(self.lines.buffer()) => read,
                () = stream.deaf() => return,
            };
            match read {
                Ok(count) if count > 0 => stream.first_byte(),
                Ok(_) | Err(_) => break,
            }
            while let Some(line) = self.lines.next() {
                let heard = match line {
                    Ok(line) => self.line(line).await,
                    Err(_) => Err(GivenUp("its line on stdout did not end")),
                };
                if let Err(GivenUp(why)) = heard {
                    return stream.give_up(why);
                }
            }
        }
        if let Some(line @ Line::Text(_)) = self.lines.finish() {
            self.line(line).await.ok();
        }
        stream.at_end();
    }

    async fn line(&mut self, line: Line) -> Result<(), GivenUp> {
        match line {
            Line::Text(text) => self.text(text).await,
            Line::TooLong { id, bytes, response: true } => {
                self.overlong(id, bytes);
                Ok(())
            }
            Line::TooLong { id, bytes, response: false } => {
                self.overlong_ask(id.and_then(Id::parse), bytes);
                Ok(())
            }
        }
    }

    async fn text(&mut self, text: Bytes) -> Result<(), GivenUp> {
        match self.stream.batches().then(|| batch(&text, usize::MAX)).flatten() {
            Some(Ok(texts)) => {
                for text in texts {
                    self.one(text).await?;
                }
                Ok(())
            }
            Some(Err(_)) | None => self.one(text).await,
        }
    }

    /// One message, or what is none.
    async fn one(&mut self, text: Bytes) -> Result<(), GivenUp> {
        let message = match Message::parse_server(text.clone()) {
            Ok(message) => message,
            Err(bad) => {
                self.stream.counters().noise.fetch_add(1, Ordering::Relaxed);
                let (server, excerpt) = (self.stream.server(), excerpt(&text));
                tracing::warn!(%server, line = %excerpt, "not a message on stdout; skipped");
                if let Some(id) = bad.call_id() {
                    let what = "answered with a line that is not JSON-RPC";
                    self.stream.fail(id, Fault::ours(Reason::Internal, format!("{server}: {what}")));
                }
                if let (false, Some(id)) = (bad.response, &bad.id) {
                    // A request that two readers could read differently, say: it must not wait for ever.
                    for crowded in self.answer(bad.fault().render(Some(id))) {
                        self.press(crowded).await;
                    }
                }
                return self.noise.another();
            }
        };
        self.noise.quiet();
        for crowded in self.message(message) {
            self.press(crowded).await;
        }
        Ok(())
    }

    /// Brings a message to whom it is for. What found no place is given back.
    fn message(&self, message: Message) -> Vec<Crowded> {
        match message.head() {
            Head::Response { id, .. } => {
                let id = id.and_then(|id| CallId::read(message.str(id)));
                self.stream.answered(id, message);
                Vec::new()
            }
            Head::Notification { method, params } => {
                let (method, params) = (Method::parse(method.as_str(&message)), params.clone());
                self.notification(method, &params, message)
            }
            Head::Request { method, .. } => {
                let method = Method::parse(method.as_str(&message));
                let Some(id) = message.id() else { return Vec::new() };
                self.request(id, method, message)
            }
        }
    }

    fn notification(&self, method: Method, params: &Params, message: Message) -> Vec<Crowded> {
        let audience = self.stream.audience();
        if message.text().len() > NOTE_BYTES_MAX {
            self.dropped();
            return Vec::new();
        }
        match method {
            Method::Progress => {
                let id = params.progress_token.and_then(|token| CallId::read(message.str(token)));
                self.progress(id, Box::new(message)).err().into_iter().collect()
            }
            Method::ListChanged(kind) => {
                audience.changed().raise(kind);
                Vec::new()
            }
            Method::Log => self.deliver(audience.logged(&message)),
            Method::Updated => self.deliver(audience.updated(&message)),
            Method::ElicitationComplete => self.deliver(audience.completed(&message)),
            Method::Cancelled => {
                let id = params.request_id.and_then(|id| Id::parse(message.slice(id)));
                if let Some(id) = id {
                    self.stream.asks().withdraw(&id, &message);
                }
                Vec::new()
            }
            Method::Initialize
            | Method::Initialized
            | Method::Ping
            | Method::List(_)
            | Method::ToolsCall
            | Method::PromptsGet
            | Method::ResourcesRead
            | Method::Complete
            | Method::SetLevel
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::Ask(_)
            | Method::RootsChanged
            | Method::Other => {
                let (server, method) = (self.stream.server(), message.method());
                tracing::trace!(%server, method, "a note for nobody");
                Vec::new()
            }
        }
    }

    fn request(&self, id: Id, method: Method, message: Message) -> Vec<Crowded> {
        let fault = match method {
            Method::Ping => {
                return self.answer(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into());
            }
            Method::Ask(want) => {
                let asked = match self.stream.asks().place(message.text().len()) {
                    Some((place, room)) => {
                        let heard = HeardAsk { id: id.clone(), want, message, place, room };
                        self.stream.asked(heard).map_err(|fault| *fault)
                    }
                    None => Err(Fault::ours(Reason::Busy, "too much is asked and not answered yet")),
                };
                match asked {
                    Ok(parcel) => return self.deliver(vec![parcel]),
                    Err(fault) => fault,
                }
            }
            Method::Initialize
            | Method::Initialized
            | Method::List(_)
            | Method::ToolsCall
            | Method::PromptsGet
            | Method::ResourcesRead
            | Method::Complete
            | Method::Cancelled
            | Method::Progress
            | Method::ListChanged(_)
            | Method::SetLevel
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::Log
            | Method::Updated
            | Method::RootsChanged
            | Method::ElicitationComplete
            | Method::Other => Fault::method_not_found(message.method().unwrap_or_default()),
        };
        let (server, why) = (self.stream.server(), &fault.text);
        tracing::debug!(%server, why, "an ask is refused");
        self.answer(fault.render(Some(&id)))
    }

    /// Answers the server at once.
    fn answer(&self, text: Bytes) -> Vec<Crowded> {
        self.stream.answer(text).err().map(Crowded::Answer).into_iter().collect()
    }

    /// Hands a note to whoever waits for its request; one for nobody is dropped and counted.
    fn progress(&self, id: Option<CallId>, message: Box<Message>) -> Result<(), Crowded> {
        match id.map(|id| (id, self.stream.arrive(id, Arrival::Note(message)))) {
            Some((_, Ok(()))) => {}
            Some((id, Err(TrySendError::Full(Arrival::Note(note))))) => {
                return Err(Crowded::Progress(id, note));
            }
            Some((_, Err(_))) | None => self.dropped(),
        }
        Ok(())
    }

    fn deliver(&self, parcels: Vec<Parcel>) -> Vec<Crowded> {
        let crowded = parcels.into_iter().filter_map(|parcel| self.parcel(parcel).err());
        crowded.map(Crowded::Parcel).collect()
    }

    /// What comes while its client has one call open here goes with that call, in its order; all else is mailed. An ask
    /// goes with a call only if it ends with it: the client's own must be answered in time, however long a call waits.
    fn parcel(&self, mut parcel: Parcel) -> Result<(), Box<Parcel>> {
        if let Letter::Ask(ask) = &parcel.letter
            && !ask.is_of_call()
        {
            if let Some(call) = self.stream.sole_call(parcel.member.client) {
                // It was asked in the course of that call: a sign of life.
                self.stream.arrive(call, Arrival::Lives).ok();
            }
            return parcel.mail();
        }
        let Some(call) = self.stream.sole_call(parcel.member.client) else { return parcel.mail() };
        let back = match self.stream.arrive(call, Arrival::Letter(parcel.letter)) {
            Ok(()) => return Ok(()),
            Err(back) => back,
        };
        let is_full = matches!(back, TrySendError::Full(_));
        let Arrival::Letter(letter) = back.into_inner() else { return Ok(()) };
        let is_note = matches!(letter, Letter::Note(_));
        parcel.letter = letter;
        // An ask is never given back: it has a place of its own wherever it waits.
        if is_full && is_note { Err(Box::new(parcel)) } else { parcel.mail() }
    }

    /// Offers a note again, after those who wait have had their turn; then it is dropped and counted.
    async fn press(&mut self, mut crowded: Crowded) {
        let addressee = crowded.addressee();
        let in_vain = self.full.get(&addressee).is_some_and(|since| since.elapsed() < FULL);
        let presses = if in_vain { 0 } else { PRESSES_MAX };
        for _ in 0..presses {
            tokio::task::yield_now().await;
            let again = match crowded {
                Crowded::Progress(id, note) => self.progress(Some(id), note),
                Crowded::Parcel(parcel) => self.parcel(*parcel).map_err(Crowded::Parcel),
                Crowded::Answer(text) => self.stream.answer(text).map_err(Crowded::Answer),
            };
            match again {
                Ok(()) => return,
                Err(again) => crowded = again,
            }
        }
        self.dropped();
        if self.full.len() >= FULL_MAX {
            self.full.clear();
        }
        self.full.insert(addressee, Instant::now());
    }

    fn dropped(&self) {
        self.stream.counters().notes.fetch_add(1, Ordering::Relaxed);
    }

    /// A request of the server's that is too long to be passed on, or a note.
    fn overlong_ask(&self, id: Option<Id>, bytes: u64) {
        let (server, max) = (self.stream.server(), self.line_bytes_max);
        tracing::warn!(%server, bytes, max, "a line over the limit; skipped");
        if let Some(id) = id {
            let text =
                format!("the request has {bytes} bytes, over the limit of {max} (limits.server_message)");
            self.stream.answer(Fault::ours(Reason::TooLarge, text).render(Some(&id))).ok();
        }
    }

    fn overlong(&self, id: Option<Bytes>, bytes: u64) {
        let (server, max) = (self.stream.server(), self.line_bytes_max);
        tracing::warn!(%server, bytes, max, "a line over the limit; skipped");
        let id = id.as_deref().and_then(|id| std::str::from_utf8(id).ok()).and_then(CallId::read);
        if let Some(id) = id {
            let text = format!(
                "{server}: the answer has {bytes} bytes, over the limit of {max} (limits.server_message)"
            );
            self.stream.fail(id, Fault::ours(Reason::TooLarge, text));
        }
    }
}

/// How much of what a server prints is no message.
struct Noise {
    in_a_row: u32,
    this_second: u32,
    second: Instant,
}

impl Noise {
    fn new() -> Self {
        Self { in_a_row: 0, this_second: 0, second: Instant::now() }
    }

    fn quiet(&mut self) {
        self.in_a_row = 0;
    }

    fn another(&mut self) -> Result<(), GivenUp> {
        if self.second.elapsed().as_secs() >= 1 {
            self.second = Instant::now();
            self.this_second = 0;
        }
        self.in_a_row += 1;
        self.this_second += 1;
        match self.in_a_row > NOISE_IN_A_ROW_MAX || self.this_second > NOISE_PER_SECOND_MAX {
            true => Err(GivenUp("there was too much on its stdout that is no message")),
            false => Ok(()),
        }
    }
}

/// The beginning of a foreign line, made harmless for a log.
fn excerpt(text: &[u8]) -> String {
    let head = text.get(..EXCERPT_BYTES_MAX).unwrap_or(text);
    String::from_utf8_lossy(head).escape_debug().collect()
}

/// A longer note is dropped.
const NOTE_BYTES_MAX: usize = 256 * 1024;
/// How often a note is offered before it is dropped.
const PRESSES_MAX: usize = 4;
/// How many are remembered who had no place.
const FULL_MAX: usize = 1024;
const FULL: Duration = Duration::from_millis(250);
const EXCERPT_BYTES_MAX: usize = 200;
/// Beyond either, what a server prints is no protocol.
const NOISE_IN_A_ROW_MAX: u32 = 10_000;
const NOISE_PER_SECOND_MAX: u32 = 1_000;
