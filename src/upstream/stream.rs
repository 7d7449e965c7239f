//! A shared byte stream to one server: a reader task, a writer task, and who waits for what.
//!
//! Owns the two tasks, the ledger of open exchanges and the queue to the writer. The reader never waits for
//! a client: notes that find no room are dropped and counted, and an answer always has its place. It knows
//! JSON-RPC and no MCP beyond progress, `ping` and `list_changed`.

use super::changed::Changed;
use super::writer::{Fate, Frame, Places, write};
use crate::config::Limits;
use crate::mcp::method::Method;
use crate::routing::ledger::Ledger;
use crate::wire::batch::batch;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::CallId;
use crate::wire::lines::{Line, Lines};
use crate::wire::message::{Head, Message};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a stream hears about one request.
#[derive(Debug)]
pub(super) enum Arrival {
    Note(Message),
    Done(Message),
    Failed(Fault),
}

/// Where the reader puts what it hears about one request. The place for the end is kept from the start.
struct Listener {
    arrivals: mpsc::Sender<Arrival>,
    end: mpsc::OwnedPermit<Arrival>,
    fate: Arc<Fate>,
}

/// A request that was put on the stream.
pub(super) struct Posted {
    pub(super) id: CallId,
    pub(super) arrivals: mpsc::Receiver<Arrival>,
}

/// What becomes of a request that nobody waits for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// The server is told.
    Told,
    /// Nothing of it had left.
    TakenBack,
    /// The server is not told: it may answer, to nobody.
    Forgotten,
    /// It had its end before: that is on its way to whoever waited.
    Over,
}

/// A byte stream to one server, from the first byte to the last.
pub struct Stream {
    server: Arc<str>,
    outbox: mpsc::UnboundedSender<Frame>,
    open: Mutex<Open>,
    changed: Arc<Changed>,
    /// Bytes waiting to be written, in KiB, and how many there may be.
    room: Arc<Semaphore>,
    room_kib: u32,
    /// Answers to the server's own requests that may wait to be written.
    answers: Arc<Semaphore>,
    batches: AtomicBool,
    counters: Counters,
    /// Why we gave the stream up, if it was us.
    given_up: OnceLock<&'static str>,
    heard: CancellationToken,
    ended: CancellationToken,
    hang_up: CancellationToken,
    deaf: CancellationToken,
}

struct Open {
    ledger: Ledger<Listener>,
    closed: Option<Fault>,
}

/// What a stream dropped, for logs and tests.
#[derive(Debug, Default)]
pub struct Counters {
    /// Answers to no open request.
    pub strays: AtomicU64,
    /// Notes that found no room, or belong to no open request.
    pub notes: AtomicU64,
    /// Lines that are no message.
    pub noise: AtomicU64,
}

impl Stream {
    pub fn start(
        server: &str,
        reader: impl AsyncRead + Unpin + Send + 'static,
        writer: impl AsyncWrite + Unpin + Send + 'static,
        changed: Arc<Changed>,
        limits: &Limits,
        tracker: &TaskTracker,
    ) -> Arc<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "bounded by `Places`: a request and its cancel per place, and `answers`"
        )]
        let (outbox, outgoing) = mpsc::unbounded_channel();
        let stream = Arc::new(Self {
            server: Arc::from(server),
            outbox,
            open: Mutex::new(Open { ledger: Ledger::new(), closed: None }),
            changed,
            room: Arc::new(Semaphore::new(kib(limits.link_bytes_max) as usize)),
            room_kib: kib(limits.link_bytes_max),
            answers: Arc::new(Semaphore::new(ANSWERS_MAX)),
            batches: AtomicBool::new(false),
            counters: Counters::default(),
            given_up: OnceLock::new(),
            heard: CancellationToken::new(),
            ended: CancellationToken::new(),
            hang_up: CancellationToken::new(),
            deaf: CancellationToken::new(),
        });
        let lines = Lines::new(limits.server_message_bytes_max);
        tracker.spawn(write(writer, outgoing, stream.ended.clone(), stream.hang_up.clone()));
        tracker.spawn(read(reader, lines, limits.server_message_bytes_max, stream.clone()));
        stream
    }

    /// Puts a request on the stream; `build` writes it for the id that it gets. `places` are held until the end of
    /// the exchange and of what is written for it, `room` until the request is written.
    pub(super) fn post(
        &self,
        places: &Arc<Places>,
        room: Vec<OwnedSemaphorePermit>,
        build: impl FnOnce(CallId) -> Bytes,
    ) -> Result<Posted, Fault> {
        let (sender, arrivals) = mpsc::channel(1 + NOTES_MAX);
        let Ok(end) = sender.clone().try_reserve_owned() else {
            return Err(Fault::ours(Reason::Internal, "no place for an answer"));
        };
        let fate = Arc::new(Fate::default());
        let listener = Listener { arrivals: sender, end, fate: fate.clone() };
        let id = {
            let mut open = self.open.lock();
            if let Some(why) = &open.closed {
                return Err(why.clone().outcome(CallOutcome::NotSent));
            }
            open.ledger.open(listener)
        };
        // A writer that is gone means a stream about to be closed, which fails whatever is open.
        let frame = Frame { text: build(id), fate: Some(fate), _places: places.clone(), _room: room };
        self.outbox.send(frame).ok();
        Ok(Posted { id, arrivals })
    }

    /// Sends a notification of ours.
    pub(super) fn notify(&self, text: Bytes) {
        self.outbox.send(Frame::small(text, Arc::default())).ok();
    }

    /// Ends a request that nobody waits for any more. What has not left is taken back; what has is cancelled, in
    /// the queue that it went through, so that a cancel never overtakes its request.
    pub(super) fn cancel(&self, id: CallId, places: &Arc<Places>, why: &str) -> Parting {
        let Some(listener) = self.open.lock().ledger.close(id) else { return Parting::Over };
        if listener.fate.withdraw() {
            return Parting::TakenBack;
        }
        let reason = crate::wire::members::quote(why);
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":{reason}}}}}"#
        );
        match self.outbox.send(Frame::small(text.into(), places.clone())) {
            Ok(()) => Parting::Told,
            Err(_) => Parting::Forgotten,
        }
    }

    /// Forgets a request without telling the server: `initialize` is never cancelled.
    pub(super) fn forget(&self, id: CallId) -> Parting {
        match self.open.lock().ledger.close(id) {
            Some(_) => Parting::Forgotten,
            None => Parting::Over,
        }
    }

    /// Room for so many bytes in the writer's queue. A text over all the room waits for all of it.
    pub(super) async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.room.clone().acquire_many_owned(kib(bytes).max(1).min(self.room_kib)).await.ok()
    }

    /// From now on arrays of messages are read: 2025-03-26 was agreed.
    pub(super) fn expect_batches(&self) {
        self.batches.store(true, Ordering::Release);
    }

    /// Resolves when the first byte has come, or the stream has ended.
    pub(super) async fn heard(&self) {
        tokio::select! {
            () = self.heard.cancelled() => {}
            () = self.ended.cancelled() => {}
        }
    }

    /// Resolves when either direction has ended.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Why we do not read any further, if it was us who stopped.
    pub(super) fn given_up(&self) -> Option<&'static str> {
        self.given_up.get().copied()
    }

    /// Closes our side: the server reads end of file.
    pub(super) fn hang_up(&self) {
        self.hang_up.cancel();
    }

    /// Fails whatever is open, and whatever is posted from now on, and stops reading.
    pub(super) fn close(&self, why: &Fault) {
        let drained = {
            let mut open = self.open.lock();
            open.closed.get_or_insert_with(|| why.clone());
            open.ledger.drain()
        };
        for listener in drained {
            listener.fate.withdraw();
            let fault = why.clone().outcome(listener.fate.outcome());
            listener.end.send(Arrival::Failed(fault));
        }
        self.hang_up.cancel();
        self.deaf.cancel();
        self.ended.cancel();
    }

    pub fn in_flight(&self) -> usize {
        self.open.lock().ledger.len()
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// One line that is text.
    fn hear(&self, text: Bytes, noise: &mut Noise) -> Heard {
        if self.batches.load(Ordering::Acquire)
            && let Some(Ok(texts)) = batch(&text, usize::MAX)
        {
            noise.quiet();
            for text in texts {
                if let Heard::Crowded(..) = self.hear_one(text, noise) {
                    self.counters.notes.fetch_add(1, Ordering::Relaxed);
                }
            }
            return Heard::Fine;
        }
        self.hear_one(text, noise)
    }

    fn hear_one(&self, text: Bytes, noise: &mut Noise) -> Heard {
        let message = match Message::parse_server(text.clone()) {
            Ok(message) => message,
            Err(bad) => {
                self.counters.noise.fetch_add(1, Ordering::Relaxed);
                let excerpt = excerpt(&text);
                tracing::warn!(server = %self.server, line = %excerpt, "not a message on stdout; skipped");
                if let Some(id) = bad.call_id() {
                    let what = "answered with a line that is not JSON-RPC";
                    self.fail(id, Fault::ours(Reason::Internal, format!("{}: {what}", self.server)));
                }
                return noise.another();
            }
        };
        noise.quiet();
        match message.head() {
            Head::Response { id, .. } => {
                let id = id.and_then(|id| CallId::read(message.str(id)));
                match id.and_then(|id| self.open.lock().ledger.close(id)) {
                    Some(listener) => {
                        listener.end.send(Arrival::Done(message));
                    }
                    None => {
                        self.counters.strays.fetch_add(1, Ordering::Relaxed);
                        tracing::debug!(server = %self.server, "an answer to no open request; dropped");
                    }
                }
            }
            Head::Notification { method, params } => match Method::parse(method.as_str(&message)) {
                Method::Progress => {
                    let id = params.progress_token.and_then(|token| CallId::read(message.str(token)));
                    return self.note(id, message);
                }
                Method::ListChanged(kind) => self.changed.raise(kind),
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
                | Method::RootsList
                | Method::Sampling
                | Method::Elicitation
                | Method::Cancelled
                | Method::Log
                | Method::Updated
                | Method::RootsChanged
                | Method::ElicitationComplete
                | Method::Other => {
                    tracing::trace!(server = %self.server, method = method.as_str(&message), "a note for nobody");
                }
            },
            Head::Request { id, method, .. } => {
                let id = message.str(*id);
                let text = if Method::parse(method.as_str(&message)) == Method::Ping {
                    Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#))
                } else {
                    // We declared nothing that a server could ask of a client.
                    Fault::method_not_found(method.as_str(&message)).render(message.id().as_ref())
                };
                self.reply(text);
            }
        }
        Heard::Fine
    }

    /// Hands a note to whoever waits for its request; one for nobody is dropped and counted.
    fn note(&self, id: Option<CallId>, message: Message) -> Heard {
        let known = id.filter(|_| message.text().len() <= NOTE_BYTES_MAX);
        let sent = known.and_then(|id| {
            let open = self.open.lock();
            let listener = open.ledger.get(id)?;
            Some((id, listener.arrivals.try_send(Arrival::Note(message))))
        });
        match sent {
            Some((_, Ok(()))) => return Heard::Fine,
            Some((id, Err(TrySendError::Full(Arrival::Note(note))))) => {
                return Heard::Crowded(id, Box::new(note));
            }
            Some((_, Err(_))) | None => self.counters.notes.fetch_add(1, Ordering::Relaxed),
        };
        Heard::Fine
    }

    /// Offers a note again, after those who wait have had their turn; then it is dropped and counted, and whose it
    /// was is returned.
    async fn press(&self, id: CallId, mut note: Box<Message>) -> Option<CallId> {
        for _ in 0..PRESSES_MAX {
            tokio::task::yield_now().await;
            match self.note(Some(id), *note) {
                Heard::Crowded(_, again) => note = again,
                Heard::Fine | Heard::TooMuchNoise => return None,
            }
        }
        self.counters.notes.fetch_add(1, Ordering::Relaxed);
        Some(id)
    }

    /// Answers a request of the server's; dropped when it asks faster than it reads.
    fn reply(&self, text: Bytes) {
        let Ok(place) = self.answers.clone().try_acquire_owned() else {
            self.counters.notes.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.outbox.send(Frame::small(text, Places::new(vec![place]))).ok();
    }

    /// Ends one request with a fault of its own; the others go on.
    fn fail(&self, id: CallId, fault: Fault) {
        if let Some(listener) = self.open.lock().ledger.close(id) {
            let fault = fault.server(&*self.server).outcome(CallOutcome::Unknown);
            listener.end.send(Arrival::Failed(fault));
        }
    }

    /// Stops reading: what comes cannot be understood any more.
    fn give_up(&self, why: &'static str) {
        tracing::warn!(server = %self.server, why, "the link is given up");
        self.given_up.get_or_init(|| why);
        self.ended.cancel();
    }

    fn overlong(&self, id: Option<Bytes>, bytes: u64, line_bytes_max: usize) {
        tracing::warn!(server = %self.server, bytes, max = line_bytes_max, "a line over the limit; skipped");
        if let Some(id) = id.as_deref().and_then(call_id) {
            let text = format!(
                "{}: the answer has {bytes} bytes, over the limit of {line_bytes_max} (limits.server_message)",
                self.server
            );
            self.fail(id, Fault::ours(Reason::TooLarge, text));
        }
    }
}

enum Heard {
    Fine,
    /// A note that finds no room: so many came at once that nobody could take the others away.
    Crowded(CallId, Box<Message>),
    TooMuchNoise,
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

    fn another(&mut self) -> Heard {
        if self.second.elapsed().as_secs() >= 1 {
            self.second = Instant::now();
            self.this_second = 0;
        }
        self.in_a_row += 1;
        self.this_second += 1;
        match self.in_a_row > NOISE_IN_A_ROW_MAX || self.this_second > NOISE_PER_SECOND_MAX {
            true => Heard::TooMuchNoise,
            false => Heard::Fine,
        }
    }
}

async fn read(
    mut reader: impl AsyncRead + Unpin,
    mut lines: Lines,
    line_bytes_max: usize,
    stream: Arc<Stream>,
) {
    let mut noise = Noise::new();
    // Whom a note was pressed on in vain: until something else gets through, more would only cost time.
    let mut full: Option<CallId> = None;
    let deaf = stream.deaf.clone();
    loop {
        let read = tokio::select! {
            read = reader.read_buf(lines.buffer()) => read,
            () = deaf.cancelled() => return,
        };
        match read {
            Ok(count) if count > 0 => stream.heard.cancel(),
            Ok(_) | Err(_) => break,
        }
        while let Some(line) = lines.next() {
            let heard = match line {
                Ok(Line::Text(text)) => stream.hear(text, &mut noise),
                Ok(Line::TooLong { id, bytes, response }) => {
                    stream.overlong(id.filter(|_| response), bytes, line_bytes_max);
                    Heard::Fine
                }
                Err(_) => {
                    return stream.give_up("its line on stdout did not end");
                }
            };
            match heard {
                Heard::Fine => full = None,
                Heard::Crowded(id, _) if full == Some(id) => {
                    stream.counters.notes.fetch_add(1, Ordering::Relaxed);
                }
                Heard::Crowded(id, note) => full = stream.press(id, note).await,
                Heard::TooMuchNoise => {
                    return stream.give_up("there was too much on its stdout that is no message");
                }
            }
        }
    }
    if let Some(Line::Text(text)) = lines.finish() {
        stream.hear(text, &mut noise);
    }
    stream.ended.cancel();
}

fn call_id(raw: &[u8]) -> Option<CallId> {
    std::str::from_utf8(raw).ok().and_then(CallId::read)
}

/// The beginning of a foreign line, made harmless for a log.
fn excerpt(text: &[u8]) -> String {
    let head = text.get(..EXCERPT_BYTES_MAX).unwrap_or(text);
    String::from_utf8_lossy(head).escape_debug().collect()
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(KIB_MAX).min(KIB_MAX)
}

/// Notes of one request that may wait for its client.
const NOTES_MAX: usize = 32;
/// A longer note is dropped.
const NOTE_BYTES_MAX: usize = 256 * 1024;
/// How often a note is offered before it is dropped.
const PRESSES_MAX: usize = 4;
/// Answers to a server's own requests that may wait to be written.
const ANSWERS_MAX: usize = 64;
const EXCERPT_BYTES_MAX: usize = 200;
/// Beyond either, what a server prints is no protocol.
const NOISE_IN_A_ROW_MAX: u32 = 10_000;
const NOISE_PER_SECOND_MAX: u32 = 1_000;
/// The most that a semaphore of the writer's room counts.
const KIB_MAX: u32 = 1 << 24;
