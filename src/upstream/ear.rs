//! One who hears what a server says: each message, and whom it is for.
//!
//! One ear per stream of messages: the bytes of a pipe, or one response over HTTP, whose call it then knows. An answer
//! goes to its request, progress to its call, the rest through the `Audience`. It never waits for a client: a note that
//! finds no place is offered a few times more and then dropped and counted; an answer always has its place. It knows
//! nothing of how messages are told apart on the wire.

use super::arrivals::Untold;
use super::audience::{HeardAsk, Member, Parcel};
use super::mail::Letter;
use super::memory::NoRoom;
use super::stream::{Arrival, Stream};
use crate::mcp::caller::ClientId;
use crate::mcp::method::Method;
use crate::wire::batch::{batch, is_batch};
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::{CallId, Id};
use crate::wire::lines::Line;
use crate::wire::members::members;
use crate::wire::message::{BadMessage, Head, Message, Outcome, Params, SUBSCRIPTION_KEY};
use crate::wire::splice::Splice;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// What is kept from message to message of one stream.
pub(super) struct Ear {
    stream: Arc<Stream>,
    source: Option<Source>,
    noise: Noise,
    /// On whom a note was pressed in vain, and when: for a while, more would only cost time.
    full: HashMap<Addressee, Instant>,
}

/// The call on whose own response a message came.
struct Source {
    call: CallId,
    /// Whose call it was when its response began.
    owner: Owner,
    answered: bool,
}

/// Whose a call is on whose response something comes.
#[derive(Clone)]
pub(super) enum Owner {
    /// It is no client's.
    Ours,
    Client(Arc<Member>),
    /// Nobody waits for it any more, and whose it was is forgotten: what comes with it is nobody's.
    Over,
}

/// A text as it was read, before anything becomes of it.
pub(super) enum Read {
    One(Result<Box<Message>, Box<BadMessage>>),
    /// It begins like one.
    Batch(Bytes),
    /// It is over the limit, and not here any more.
    TooLong {
        id: Option<Bytes>,
        bytes: u64,
        response: bool,
    },
}

/// So much that is no message has no sense to be read on.
pub(super) struct OnlyNoise;

/// Whose a note is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Addressee {
    Call(CallId),
    Client(ClientId),
    Server,
}

/// What found no place.
pub(super) enum Crowded {
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

impl Ear {
    /// Hears what may be about anything.
    pub(super) fn new(stream: Arc<Stream>) -> Self {
        Self { stream, source: None, noise: Noise::new(), full: HashMap::new() }
    }

    /// Hears what comes on the response to one call, and belongs to it.
    pub(super) fn of_call(stream: Arc<Stream>, call: CallId) -> Self {
        let source = Source { call, owner: stream.owner(call), answered: false };
        Self { source: Some(source), ..Self::new(stream) }
    }

    /// Whether its call has been answered here.
    pub(super) fn has_answer(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.answered)
    }

    /// A text of the server's: a message, several of them where that was agreed, or none.
    pub(super) async fn hear(&mut self, text: Bytes) -> Result<(), OnlyNoise> {
        self.hear_read(Self::read(text)).await
    }

    /// Reads a text of the server's; nothing becomes of it by that.
    pub(super) fn read(text: Bytes) -> Read {
        match is_batch(&text) {
            true => Read::Batch(text),
            false => Read::One(one(text)),
        }
    }

    /// The same of a line.
    pub(super) fn read_line(line: Line) -> Read {
        match line {
            Line::Text(text) => Self::read(text),
            Line::TooLong { id, bytes, response } => Read::TooLong { id, bytes, response },
        }
    }

    /// What was read, in the order in which it came.
    pub(super) async fn hear_read(&mut self, read: Read) -> Result<(), OnlyNoise> {
        match read {
            Read::One(message) => self.one(message).await,
            Read::Batch(text) => {
                // Whether it may be one is known by now.
                let texts = match self.stream.batches().then(|| batch(&text, BATCH_MAX)).flatten() {
                    Some(Ok(texts)) => texts,
                    Some(Err(_)) | None => vec![text],
                };
                for text in texts {
                    self.one(one(text)).await?;
                }
                Ok(())
            }
            Read::TooLong { id, bytes, response } => {
                self.overlong(id, bytes, response);
                Ok(())
            }
        }
    }

    /// What stands at the end of a stream without an end of its own: a message if it is whole. Half of one is no answer, and
    /// what became of its call is said by the end of the stream.
    pub(super) async fn last(&mut self, text: Bytes) {
        let is_batch = self.stream.batches() && text.first() == Some(&b'[');
        if is_batch || Message::parse_server(text.clone()).is_ok() {
            self.hear(text).await.ok();
        }
    }

    /// One message, or what is none, without waiting for anybody. What found no place is given back, to be pressed on whom it
    /// is for.
    pub(super) fn hear_one(&mut self, text: Bytes) -> Vec<Crowded> {
        self.heard(one(text)).0
    }

    /// One message, or what is none.
    async fn one(&mut self, read: Result<Box<Message>, Box<BadMessage>>) -> Result<(), OnlyNoise> {
        let (crowded, heard) = self.heard(read);
        if !crowded.is_empty() {
            // Seldom, and whatever hears need not be as large as that.
            Box::pin(self.press_all(crowded)).await;
        }
        heard
    }

    /// The same without waiting. What found no place is given back.
    fn heard(
        &mut self,
        read: Result<Box<Message>, Box<BadMessage>>,
    ) -> (Vec<Crowded>, Result<(), OnlyNoise>) {
        let message = match read {
            Ok(message) => message,
            Err(bad) => {
                self.stream.counters().noise.fetch_add(1, Ordering::Relaxed);
                let (server, excerpt) = (self.stream.server(), excerpt(&bad.text));
                tracing::warn!(%server, text = %excerpt, "not a message; skipped");
                if let Some(id) = bad.call.filter(|id| self.may_answer(*id)) {
                    let what = "answered with a line that is not JSON-RPC";
                    let fault = Fault::ours(Reason::Internal, format!("{server}: {what}"));
                    self.stream.fail(id, fault, CallOutcome::Unknown);
                }
                let crowded = match (bad.response, &bad.id) {
                    // A request that two readers could read differently, say: it must not wait for ever.
                    (false, Some(id)) => self.answer(bad.fault().render(Some(id))),
                    (true, _) | (false, None) => Vec::new(),
                };
                return (crowded, self.noise.another());
            }
        };
        self.noise.quiet();
        (self.message(message), Ok(()))
    }

    pub(super) async fn press_all(&mut self, crowded: Vec<Crowded>) {
        for crowded in crowded {
            self.press(crowded).await;
        }
    }

    /// Brings a message to whom it is for. What found no place is given back.
    fn message(&mut self, message: Box<Message>) -> Vec<Crowded> {
        self.stream.hears(&message);
        match message.head() {
            Head::Response { id, outcome } => {
                let read = id.and_then(|id| CallId::read(message.str(id)));
                match (&mut self.source, id, outcome) {
                    (None, _, _) => self.stream.answered(read, message),
                    (Some(source), Some(_), _) => {
                        let own = read.filter(|id| *id == source.call);
                        source.answered |= own.is_some();
                        self.stream.answered(own, message);
                    }
                    (Some(source), None, Outcome::Error { value, .. }) => {
                        // Its server could not read our id, but where it says so tells which it was.
                        let (call, error) = (source.call, message.str(*value));
                        let text = format!(r#"{{"jsonrpc":"2.0","id":{call},"error":{error}}}"#);
                        if let Ok(message) = Message::parse_server(text.into()).map(Box::new) {
                            source.answered = true;
                            self.stream.answered(Some(call), message);
                        }
                    }
                    (Some(_), None, Outcome::Result { .. }) => self.stream.answered(None, message),
                }
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

    /// Whether this id may be answered here.
    fn may_answer(&self, id: CallId) -> bool {
        self.source.as_ref().is_none_or(|source| source.call == id)
    }

    /// A log message, for all who want it; on the response to a client's call for that client alone. Where there is no
    /// handshake it belongs to a request, and only one of a single client's can be told to be that.
    fn logged(&self, message: &Message) -> Result<Vec<Parcel>, NoRoom> {
        if let (None, Some(_)) = (&self.source, self.stream.standing()) {
            let Some(sole) = self.stream.sole_listener() else { return Ok(Vec::new()) };
            let mut parcels = self.stream.audience().logged(message)?;
            parcels.retain(|parcel| parcel.member.client == sole);
            return Ok(parcels);
        }
        match self.source.as_ref().map_or(&Owner::Ours, |source| &source.owner) {
            Owner::Ours => self.stream.audience().logged(message),
            Owner::Client(owner) => {
                let mut parcels = self.stream.audience().logged(message)?;
                parcels.retain(|parcel| parcel.member.client == owner.client);
                Ok(parcels)
            }
            Owner::Over => Ok(Vec::new()),
        }
    }

    fn notification(&self, method: Method, params: &Params, message: Box<Message>) -> Vec<Crowded> {
        let audience = self.stream.audience();
        if message.text().len() > NOTE_BYTES_MAX {
            // Whatever it says.
            audience.stales();
            self.dropped();
            return Vec::new();
        }
        match method {
            Method::Progress => {
                let id = params.progress_token.and_then(|token| CallId::read(message.str(token)));
                self.progress(id, message).err().into_iter().collect()
            }
            Method::ListChanged(kind) => {
                audience.stales();
                audience.changed().raise(kind);
                Vec::new()
            }
            Method::Log => self.tell(self.logged(&message)),
            Method::Updated => {
                audience.stales();
                self.tell(audience.updated(&unmarked(*message)))
            }
            Method::Acknowledged => {
                let meta = params.meta.as_ref().and_then(|meta| meta.subscription);
                let id = meta.and_then(|id| CallId::read(message.str(id)));
                self.progress(id, message).err().into_iter().collect()
            }
            Method::ElicitationComplete => self.tell(audience.completed(&message)),
            Method::Cancelled => {
                if self.stream.standing().is_some() {
                    // Nothing else is ever taken back (2026-07-28, basic/patterns/cancellation, Behavior Requirements).
                    let id = params.request_id.and_then(|id| CallId::read(message.str(id)));
                    if let Some(id) = id.filter(|id| self.may_answer(*id)) {
                        self.stream.stays_no_longer(id);
                    }
                } else if let Some(id) = params.request_id.and_then(|id| Id::parse(message.slice(id))) {
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
            | Method::Discover
            | Method::Listen
            | Method::Task
            | Method::Other => {
                let (server, method) = (self.stream.server(), message.method());
                tracing::trace!(%server, method, "a note for nobody");
                Vec::new()
            }
        }
    }

    fn request(&self, id: Id, method: Method, message: Box<Message>) -> Vec<Crowded> {
        if self.stream.standing().is_some() {
            // It may not ask, and nobody may answer it (2026-07-28, basic/transports).
            self.stream.counters().noise.fetch_add(1, Ordering::Relaxed);
            return Vec::new();
        }
        let fault = match method {
            Method::Ping => {
                return self.answer(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into());
            }
            Method::Ask(want) => {
                let asked = match self.stream.asks().place(message.text().len()) {
                    Some((place, room)) => {
                        let heard = HeardAsk { id: id.clone(), want, message: *message, place, room };
                        self.stream
                            .asked(heard, self.source.as_ref().map(|source| source.call))
                            .map_err(|fault| *fault)
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
            | Method::Discover
            | Method::Listen
            | Method::Acknowledged
            | Method::Task
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
            Some((id, Err(Untold::Full(Arrival::Note(note))))) => {
                return Err(Crowded::Progress(id, note));
            }
            Some((_, Err(_))) | None => self.dropped(),
        }
        Ok(())
    }

    /// Delivers a note; one for which there is no memory is dropped and counted.
    fn tell(&self, parcels: Result<Vec<Parcel>, NoRoom>) -> Vec<Crowded> {
        parcels.map(|parcels| self.deliver(parcels)).unwrap_or_else(|NoRoom| {
            self.dropped();
            Vec::new()
        })
    }

    fn deliver(&self, parcels: Vec<Parcel>) -> Vec<Crowded> {
        let crowded = parcels.into_iter().filter_map(|parcel| self.parcel(parcel).err());
        crowded.map(Crowded::Parcel).collect()
    }

    /// What comes on the response to a call of its client, or while its client has one call open here, goes with that call,
    /// in its order; all else is mailed. An ask goes with a call only if it ends with it: the client's own must be
    /// answered in time, however long a call waits.
    fn parcel(&self, mut parcel: Parcel) -> Result<(), Box<Parcel>> {
        let call = self.call_of(parcel.member.client);
        if let Letter::Ask(ask) = &parcel.letter
            && !ask.is_of_call()
        {
            if let Some(call) = call {
                // It was asked in the course of that call: a sign of life.
                self.stream.arrive(call, Arrival::Lives).ok();
            }
            return parcel.mail();
        }
        let Some(call) = call else { return parcel.mail() };
        let back = match self.stream.arrive(call, Arrival::Letter(parcel.letter)) {
            Ok(()) => return Ok(()),
            Err(back) => back,
        };
        let is_full = matches!(back, Untold::Full(_));
        let (Untold::Full(back) | Untold::Deaf(back)) = back;
        let Arrival::Letter(letter) = back else { return Ok(()) };
        let is_note = matches!(letter, Letter::Note(_));
        parcel.letter = letter;
        // An ask is never given back: it has a place of its own wherever it waits.
        if is_full && is_note { Err(Box::new(parcel)) } else { parcel.mail() }
    }

    /// With which call goes what this client is told.
    fn call_of(&self, client: ClientId) -> Option<CallId> {
        match &self.source {
            Some(Source { call, owner: Owner::Client(owner), .. }) if owner.client == client => Some(*call),
            Some(_) | None => self.stream.sole_call(client),
        }
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

    /// There is no room for what comes on the response to its call: that one fails. `bytes`: how many there are so far.
    pub(super) fn no_room(&mut self, bytes: usize) {
        let Some(source) = &mut self.source else { return };
        source.answered = true;
        self.stream.fail(source.call, self.stream.no_room(bytes), CallOutcome::Unknown);
    }

    /// A message over the limit, which its framing has thrown away. `id` is raw JSON.
    pub(super) fn overlong(&mut self, id: Option<Bytes>, bytes: u64, response: bool) {
        let (server, max) = (self.stream.server(), self.stream.message_bytes_max());
        tracing::warn!(%server, bytes, max, "a message over the limit; skipped");
        if response {
            let id = id.as_deref().and_then(|id| std::str::from_utf8(id).ok()).and_then(CallId::read);
            if let Some(id) = id.filter(|id| self.may_answer(*id)) {
                self.source.iter_mut().for_each(|source| source.answered = true);
                let text = format!(
                    "{server}: the answer has {bytes} bytes, over the limit of {max} (limits.server_message)"
                );
                self.stream.fail(id, Fault::ours(Reason::TooLarge, text), CallOutcome::Unknown);
            }
        } else if let Some(id) = id.and_then(Id::parse) {
            let text =
                format!("the request has {bytes} bytes, over the limit of {max} (limits.server_message)");
            self.stream.answer(Fault::ours(Reason::TooLarge, text).render(Some(&id))).ok();
        }
    }
}

/// How much of what a server says is no message.
struct Noise {
    in_a_row: u32,
    this_second: u32,
    /// When it began; nothing before the first.
    second: Option<Instant>,
}

impl Noise {
    fn new() -> Self {
        Self { in_a_row: 0, this_second: 0, second: None }
    }

    fn quiet(&mut self) {
        self.in_a_row = 0;
    }

    fn another(&mut self) -> Result<(), OnlyNoise> {
        if self.second.is_none_or(|second| second.elapsed().as_secs() >= 1) {
            self.second = Some(Instant::now());
            self.this_second = 0;
        }
        self.in_a_row += 1;
        self.this_second += 1;
        match self.in_a_row > NOISE_IN_A_ROW_MAX || self.this_second > NOISE_PER_SECOND_MAX {
            true => Err(OnlyNoise),
            false => Ok(()),
        }
    }
}

/// A notification without the mark of the request of ours that it came by: clients have their own.
fn unmarked(note: Message) -> Message {
    let meta = note.params().and_then(|params| params.meta.as_ref());
    let Some(meta) = meta.filter(|meta| meta.subscription.is_some()) else { return note };
    let kept = members(note.str(meta.object)).unwrap_or_default();
    let kept = kept.iter().filter(|member| member.key != SUBSCRIPTION_KEY);
    let kept: Vec<String> = kept.map(|member| format!("{}:{}", member.key_raw, member.value)).collect();
    let text = Splice::new(&note).replace(meta.object, format!("{{{}}}", kept.join(","))).finish();
    Message::parse_server(text).unwrap_or(note)
}

/// One message, or what is none. Boxed, because most are answers, which are handed on so.
fn one(text: Bytes) -> Result<Box<Message>, Box<BadMessage>> {
    Message::parse_server(text).map(Box::new).map_err(Box::new)
}

/// The beginning of a foreign text, made harmless for a log.
fn excerpt(text: &[u8]) -> String {
    let head = text.get(..EXCERPT_BYTES_MAX).unwrap_or(text);
    String::from_utf8_lossy(head).escape_debug().collect()
}

/// Messages that a server may send as one array.
const BATCH_MAX: usize = 16 * 1024;
/// A longer note is dropped.
const NOTE_BYTES_MAX: usize = 256 * 1024;
/// How often a note is offered before it is dropped.
const PRESSES_MAX: usize = 4;
/// How many are remembered who had no place.
const FULL_MAX: usize = 1024;
const FULL: Duration = Duration::from_millis(250);
const EXCERPT_BYTES_MAX: usize = 200;
/// Beyond either, what a server says is no protocol.
const NOISE_IN_A_ROW_MAX: u32 = 10_000;
const NOISE_PER_SECOND_MAX: u32 = 1_000;
