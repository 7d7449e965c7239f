//! A shared connection to one server: who waits for what, whatever carries it.
//!
//! Owns the ledger of open exchanges, the server's own open requests, and the queue of what is on its way; what takes
//! them there is a `Carry`, what hears the server an `Ear`. It knows JSON-RPC and no MCP: whose a message is, the
//! `Audience` decides.

use super::allowance::Permits;
use super::arrivals::{Arrivals, Next, Teller, Untold, arrivals};
use super::ask::Ends;
use super::audience::{Audience, HeardAsk, Member, Parcel, Whose};
use super::budget::{Budget, Taken};
use super::carry::{Carry, Express};
use super::ear::Owner;
use super::echo::REPEATED;
use super::frame::{Fate, Frame, Freight, Places};
use super::http::Journey;
use super::mail::Letter;
use super::memory::{NoRoom, Room};
use super::open_asks::OpenAsks;
use super::overseer::oversee;
use super::queue::{Filler, queue};
use super::standing::{Standing, with_meta};
use super::stderr::escaped;
use super::tally::{Piece, Tally, Way};
use super::task::{related_task, task_id, task_params};
use crate::config::Limits;
use crate::mcp::caller::ClientId;
use crate::mcp::method::cancelled;
use crate::mcp::revision::Revision;
use crate::routing::asking::URL_REQUIRED;
use crate::routing::ledger::Ledger;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::CallId;
use crate::wire::message::{Head, Message, Outcome};
use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::smallvec;
use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a stream hears about one request.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Progress, as the server wrote it.
    Note(Box<Message>),
    /// What the server said beside it while this was its client's only call here.
    Letter(Letter),
    /// The call runs as a task from now on.
    Created(Box<Message>),
    /// The task is asked about, and known.
    Lives,
    Done(Box<Message>),
    Failed(Box<Fault>),
}

/// The same, and how many letters its client had been sent by then: those come first.
#[derive(Debug)]
pub struct Arrived {
    pub(super) after: u64,
    pub(super) arrival: Arrival,
    /// What its text takes of the memory that there is for what servers say.
    pub(super) room: Option<Room>,
}

/// Where an ear puts what it hears about one request. The place for the end is kept from the start.
struct Listener {
    teller: Teller<Arrived>,
    fate: Arc<Fate>,
    owner: Option<Arc<Member>>,
    stage: Stage,
    /// When its time may be over.
    look_at: Option<Instant>,
}

impl Listener {
    fn stamped(&self, arrival: Arrival, room: Option<Room>) -> Arrived {
        Arrived { after: self.owner.as_ref().map_or(0, |owner| owner.mail.sent()), arrival, room }
    }

    fn end(self, arrival: Arrival) {
        self.end_with(arrival, None);
    }

    fn end_with(self, arrival: Arrival, room: Option<Room>) {
        let arrived = self.stamped(arrival, room);
        self.fate.end();
        self.teller.end(arrived);
    }

    /// A request without a session, at a door that serves nobody else.
    fn is_of_one(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.is_guest && owner.is_alone)
    }

    fn is_of(&self, client: ClientId) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.client == client)
    }
}

/// Whether the next answer is the end of a request.
enum Stage {
    Call,
    /// It asks for a task.
    Asked,
    /// It runs as the task with this id.
    Running(Box<str>),
    /// It has an answer only when nothing more is told: nobody waits for that.
    Stays,
}

/// What a request takes and whose it is.
pub(super) struct Posting {
    /// Held until the end of the exchange and of what is written for it.
    pub(super) places: Arc<Places>,
    /// Held until the request is written.
    pub(super) room: Permits,
    /// The client whose call it is; `None`: it is ours.
    pub(super) owner: Option<Arc<Member>>,
    /// It starts a task: its answer is not its end.
    pub(super) is_task: bool,
    /// It stays open for as long as there is anything to tell.
    pub(super) stays: bool,
    /// What it is to whoever carries it.
    pub(super) freight: fn(CallId) -> Freight,
    /// What of it stands in headers as well, where there are any: names and values.
    pub(super) mirrored: Vec<(String, String)>,
    /// When whoever waits is to be rung: its time may be over.
    pub(super) look_at: Instant,
}

impl Posting {
    /// A request of our own, which takes no place among those of clients.
    pub(super) fn ours(freight: fn(CallId) -> Freight, look_at: Instant) -> Self {
        Self {
            places: Arc::default(),
            room: Permits::new(),
            owner: None,
            is_task: false,
            stays: false,
            freight,
            mirrored: Vec::new(),
            look_at,
        }
    }
}

/// A request that was put on the stream.
pub(super) struct Posted {
    pub(super) id: CallId,
    pub(super) arrivals: Arrivals<Arrived>,
    /// Its way there, as far as whoever hears has to move it.
    pub(super) journey: Journey,
}

impl Posted {
    /// What comes next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Next<Arrived> {
        poll_fn(|context| {
            if self.journey.is_moved() {
                // Whoever is here need not be woken by what comes of it.
                self.arrivals.is_here();
                self.journey.poll(context);
            }
            self.arrivals.poll_next(context)
        })
        .await
    }
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

/// Why we gave a connection up.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub(super) why: Cow<'static, str>,
    pub(super) reason: Reason,
    pub(super) again: Again,
}

/// When a server that was lost is reached for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// When its backoff says so.
    InTime,
    /// At once: it said itself that only this connection is over.
    AtOnce,
    /// Not before that, however urgently it is needed: trying again would be refused again.
    NotSooner,
    /// At once, and it is greeted otherwise.
    Otherwise,
    /// At once: whoever looks after it wants that.
    Asked,
    /// When somebody needs it: only a caller brings what is lacking.
    WhenNeeded,
}

impl Lost {
    /// What came could not be understood any more.
    pub(super) fn broken(why: &'static str) -> Self {
        Self { why: Cow::Borrowed(why), reason: Reason::Gone, again: Again::InTime }
    }
}

/// Whether words repeat what a server was sent.
type Repeats = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// A connection to one server, from its first byte to its last.
pub struct Stream {
    server: Arc<str>,
    /// Its number among all connections of the run.
    number: u64,
    /// What is counted of its server.
    tally: Arc<Tally>,
    /// Bounded by `Places`, a request and its cancel per place, and by the bounds of asks and of what is passed.
    outbox: Filler<Frame>,
    /// Past that, once nothing is to be there before a request.
    express: OnceLock<Weak<dyn Express>>,
    /// Whether words repeat a secret that the server was sent; nothing if it is sent none.
    repeats: OnceLock<Repeats>,
    open: Mutex<Open>,
    audience: Arc<Audience>,
    asks: OpenAsks,
    /// Bytes waiting to be written, in KiB, and how many there may be.
    room: Arc<Budget>,
    room_kib: u32,
    passing: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    /// What was agreed on; nothing before the answer to `initialize` or `server/discover`.
    revision: OnceLock<Revision>,
    /// What requests say of us, where there was no handshake to say it.
    standing: OnceLock<Standing>,
    /// Its carrier has seen that it does without a handshake, whatever its answer says.
    found_stateless: AtomicBool,
    /// The longest message of the server's that is read.
    message_bytes_max: usize,
    counters: Counters,
    /// Why we gave the stream up, if it was us.
    given_up: OnceLock<Lost>,
    begun: Instant,
    /// How long after that something came last, in nanoseconds.
    heard_after: AtomicU64,
    heard: CancellationToken,
    /// The same for those who only look.
    is_heard: AtomicBool,
    /// Rung when it is in doubt whether the server knows us.
    doubt: Notify,
    ended: CancellationToken,
    hang_up: CancellationToken,
    /// The same for those who only look.
    has_hung_up: AtomicBool,
    deaf: CancellationToken,
    /// Rung for the overseer: it is to look sooner than it means to.
    sooner: Arc<Notify>,
}

struct Open {
    ledger: Ledger<Listener>,
    /// When the overseer looks next.
    look_at: Option<Instant>,
    /// Calls that nobody waits for and that may yet become tasks.
    abandoned: HashSet<CallId>,
    /// Calls that were cancelled a moment ago, and whose they were: their server may not know yet.
    lingering: VecDeque<(CallId, ClientId, Instant)>,
    /// Questions that follow a cancel: once one has its answer the server has read the cancel, and that call lingers no
    /// more.
    fences: VecDeque<(CallId, CallId)>,
    closed: Option<Fault>,
}

impl Open {
    /// Whether an answer may say that its call runs as a task from now on.
    fn may_become_task(&self, id: CallId) -> bool {
        let asked = |listener: &Listener| matches!(listener.stage, Stage::Asked);
        self.abandoned.contains(&id) || self.ledger.get(id).is_some_and(asked)
    }

    /// Remembers a call whose task must be cancelled as soon as its server names it.
    fn abandon(&mut self, id: CallId) -> bool {
        self.closed.is_none() && self.abandoned.len() < ABANDONED_MAX && self.abandoned.insert(id)
    }

    /// Whether the overseer does not know yet that it is to look then.
    fn looks_sooner(&mut self, at: Instant) -> bool {
        let is_sooner = self.look_at.is_none_or(|next| at < next);
        if is_sooner {
            self.look_at = Some(at);
        }
        is_sooner
    }

    /// A question follows the cancel of a call. The oldest is forgotten first.
    fn fence(&mut self, question: CallId, call: CallId) {
        if self.fences.len() >= LINGERING_MAX {
            self.fences.pop_front();
        }
        self.fences.push_back((question, call));
    }

    /// The answer to such a question: `false`, if it is none.
    fn passed(&mut self, question: CallId) -> bool {
        let Some(at) = self.fences.iter().position(|(id, _)| *id == question) else { return false };
        if let Some((_, call)) = self.fences.remove(at) {
            self.lingering.retain(|(id, _, _)| *id != call);
        }
        true
    }

    fn linger(&mut self, id: CallId, client: ClientId) {
        let now = Instant::now();
        self.lingering.retain(|(_, _, until)| *until > now);
        if self.lingering.len() >= LINGERING_MAX {
            self.lingering.pop_front();
        }
        self.lingering.push_back((id, client, now + LINGER));
    }

    /// Whose calls are open, as far as the server may have seen them.
    fn calls(&self) -> impl Iterator<Item = (CallId, ClientId)> {
        let now = Instant::now();
        let open = self.ledger.entries().filter_map(|(call, listener)| {
            let owner = listener.owner.as_ref().filter(|_| listener.fate.has_left())?;
            Some((call, owner.client))
        });
        let lingering = self.lingering.iter().filter(move |(_, _, until)| *until > now);
        open.chain(lingering.map(|(call, client, _)| (*call, *client)))
    }

    /// Whether what an ask belongs to is still open.
    fn has(&self, ends: Ends) -> bool {
        match ends {
            Ends::Client => true,
            Ends::Call(call) => self.ledger.get(call).is_some(),
            Ends::CallsOf(client) => self.ledger.entries().any(|(_, listener)| listener.is_of(client)),
            Ends::CallsOfOne => self.ledger.entries().any(|(_, listener)| listener.is_of_one()),
        }
    }
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
    pub(super) fn start(
        server: &str,
        carry: Box<dyn Carry>,
        audience: Arc<Audience>,
        limits: &Limits,
        (tally, tracker): (&Arc<Tally>, &TaskTracker),
    ) -> Arc<Self> {
        let (outbox, outgoing) = queue();
        let company = audience.company();
        let stream = Arc::new(Self {
            server: Arc::from(server),
            number: tally.lookout().next_connection(),
            tally: tally.clone(),
            outbox,
            express: OnceLock::new(),
            repeats: OnceLock::new(),
            open: Mutex::new(Open {
                ledger: Ledger::new(),
                look_at: None,
                abandoned: HashSet::new(),
                lingering: VecDeque::new(),
                fences: VecDeque::new(),
                closed: None,
            }),
            audience,
            asks: OpenAsks::new(company),
            room: Budget::new(kib(limits.link_bytes_max)),
            room_kib: kib(limits.link_bytes_max),
            passing: Arc::new(Semaphore::new(PASSING_MAX)),
            answers: Arc::new(Semaphore::new(ANSWERS_MAX)),
            revision: OnceLock::new(),
            standing: OnceLock::new(),
            found_stateless: AtomicBool::new(false),
            message_bytes_max: limits.server_message_bytes_max,
            counters: Counters::default(),
            given_up: OnceLock::new(),
            begun: Instant::now(),
            heard_after: AtomicU64::new(0),
            heard: CancellationToken::new(),
            is_heard: AtomicBool::new(false),
            doubt: Notify::new(),
            ended: CancellationToken::new(),
            hang_up: CancellationToken::new(),
            has_hung_up: AtomicBool::new(false),
            deaf: CancellationToken::new(),
            sooner: Arc::default(),
        });
        tracker.spawn(oversee(Arc::downgrade(&stream), stream.sooner.clone()));
        carry.start(&stream, outgoing, tracker);
        stream
    }

    /// Puts a request on the stream; `build` writes it for the id that it gets.
    pub(super) fn post(
        &self,
        posting: Posting,
        build: impl FnOnce(CallId) -> Bytes,
    ) -> Result<Posted, Fault> {
        let Posting { places, room, owner, is_task, stays, freight, mirrored, look_at } = posting;
        let (teller, arrivals) = arrivals(NOTES_MAX);
        let stage = match is_task {
            true => Stage::Asked,
            false if stays => Stage::Stays,
            false => Stage::Call,
        };
        let fate = Arc::new(Fate::default());
        let listener = Listener { teller, fate: fate.clone(), owner, stage, look_at: Some(look_at) };
        let (id, is_sooner) = {
            let mut open = self.open.lock();
            if let Some(why) = &open.closed {
                return Err(why.clone().outcome(CallOutcome::NotSent));
            }
            (open.ledger.open(listener), open.looks_sooner(look_at))
        };
        if is_sooner {
            self.sooner.notify_one();
        }
        // A carrier that is gone means a stream about to be closed, which fails whatever is open.
        let text = build(id);
        let frame =
            Frame { text, freight: freight(id), mirrored, fate: Some(fate), follows: None, places, room };
        self.sends(&frame.text, Piece::Request);
        let journey = match self.express(frame.freight) {
            Some(express) => express.post(frame),
            None => {
                self.outbox.put(frame).ok();
                Journey::of_others()
            }
        };
        Ok(Posted { id, arrivals, journey })
    }

    /// Rings those whose time may be over; when to look next, if anybody waits, and how many were looked at.
    pub(super) fn ring_overdue(&self, now: Instant) -> (Option<Instant>, usize) {
        let mut open = self.open.lock();
        let (mut next, mut due): (Option<Instant>, _) = (None, Vec::new());
        for (call, listener) in open.ledger.entries() {
            match listener.look_at {
                Some(at) if at <= now => due.push(call),
                Some(at) => next = Some(next.map_or(at, |next| next.min(at))),
                None => {}
            }
        }
        // In the order in which they were sent.
        due.sort_unstable();
        for call in due {
            if let Some(listener) = open.ledger.get_mut(call) {
                listener.look_at = None;
                listener.teller.ring();
            }
        }
        open.look_at = next;
        (next, open.ledger.len())
    }

    /// The time of a request that was rung is not over before that.
    pub(super) fn look_again(&self, id: CallId, at: Instant) {
        let mut open = self.open.lock();
        let Some(listener) = open.ledger.get_mut(id) else { return };
        listener.look_at = Some(at);
        let is_sooner = open.looks_sooner(at);
        drop(open);
        if is_sooner {
            self.sooner.notify_one();
        }
    }

    /// Nobody listens any more.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.is_cancelled()
    }

    /// How it is known that words repeat a secret that the server was sent. Said once, before anything is sent.
    pub(super) fn keeps_secret(&self, repeats: Repeats) {
        self.repeats.set(repeats).ok();
    }

    /// Words of the server's as they may stand in our own, at most so many characters: escaped, and without what it was sent.
    pub fn quoted(&self, said: &str, chars_max: usize) -> String {
        let said: String = said.chars().take(chars_max).collect();
        match self.repeats.get() {
            Some(repeats) if repeats(&said) => REPEATED.to_owned(),
            Some(_) | None => escaped(&said),
        }
    }

    /// From now on requests need not wait for what is in the queue.
    pub(super) fn goes_express(&self, express: Weak<dyn Express>) {
        self.express.get_or_init(|| express);
    }

    /// The way past the queue, if this may take it and nobody has hung up.
    fn express(&self, freight: Freight) -> Option<Arc<dyn Express>> {
        let express = self.express.get().filter(|_| matches!(freight, Freight::Request(_)))?;
        self.unless_hung_up(express)
    }

    /// The way, if it is still there. Beside [`express`](Self::express), since a pipe has none.
    #[inline(never)]
    fn unless_hung_up(&self, express: &Weak<dyn Express>) -> Option<Arc<dyn Express>> {
        express.upgrade().filter(|_| !self.has_hung_up.load(Ordering::Acquire))
    }

    /// Agrees on a revision and says so; nothing that is sent after it is there before it.
    pub(super) fn agree(&self, revision: Revision) {
        self.revision.get_or_init(|| revision);
        let text = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        self.sends(&text, Piece::Notification);
        self.outbox.put(Frame::small(text, Freight::First, Arc::default())).ok();
    }

    /// Each request to the server stands by itself from now on.
    pub(super) fn stand(&self, revision: Revision, standing: Standing) {
        self.standing.get_or_init(|| standing);
        self.revision.get_or_init(|| revision);
    }

    /// What requests say of us, where each stands by itself.
    pub(super) fn standing(&self) -> Option<&Standing> {
        self.standing.get()
    }

    /// Its carrier has seen that it does without a handshake.
    pub(super) fn find_stateless(&self) {
        self.found_stateless.store(true, Ordering::Release);
    }

    pub(super) fn is_found_stateless(&self) -> bool {
        self.found_stateless.load(Ordering::Acquire)
    }

    /// Ends a request that nobody waits for any more. What has not left is taken back; what has is cancelled, in
    /// the queue that it went through, so that a cancel never overtakes its request.
    pub(super) fn cancel(&self, id: CallId, places: &Arc<Places>, why: &str) -> Parting {
        let (listener, abandoned) = {
            let mut open = self.open.lock();
            let Some(listener) = open.ledger.close(id) else { return Parting::Over };
            let taken_back = listener.fate.withdraw();
            listener.fate.end();
            if taken_back {
                drop(open);
                self.call_is_over(id, listener.owner.as_deref());
                return Parting::TakenBack;
            }
            if let Some(owner) = &listener.owner {
                open.linger(id, owner.client);
            }
            let abandoned = matches!(listener.stage, Stage::Asked) && open.abandon(id);
            (listener, abandoned)
        };
        self.call_is_over(id, listener.owner.as_deref());
        let (text, freight) = match listener.stage {
            // A task is cancelled by its own id and by nothing else, once it has one.
            Stage::Running(task) => {
                let (_, text) = self.ordered("tasks/cancel", &task_params(&task));
                (text, Freight::Cancel(id))
            }
            Stage::Asked if abandoned => return Parting::Told,
            Stage::Asked | Stage::Call | Stage::Stays => (cancelled(id, why), Freight::Cancel(id)),
        };
        let frame =
            Frame { follows: Some(listener.fate), ..Frame::small(text.into(), freight, places.clone()) };
        self.sends(&frame.text, Piece::Notification);
        match self.outbox.put(frame) {
            Ok(()) => {
                if listener.owner.as_ref().is_some_and(|owner| owner.is_guest && !owner.is_alone) {
                    self.fence(id);
                }
                Parting::Told
            }
            Err(_) => Parting::Forgotten,
        }
    }

    /// Asks for a sign that a cancel was read. Every request without a session is a client of its own, so that one that was
    /// cancelled a moment ago would keep the next from being asked.
    fn fence(&self, call: CallId) {
        if self.standing.get().is_some() {
            return;
        }
        let (id, text) = self.ordered("ping", "{}");
        self.open.lock().fence(id, call);
        self.pass_as(Freight::Request(id), text.into());
    }

    /// Forgets a request without telling the server: `initialize` is never cancelled.
    pub(super) fn forget(&self, id: CallId) -> Parting {
        let listener = self.open.lock().ledger.close(id);
        let Some(listener) = listener else { return Parting::Over };
        listener.fate.end();
        self.call_is_over(id, listener.owner.as_deref());
        Parting::Forgotten
    }

    /// Room for so many bytes in the writer's queue. A text over all the room waits for all of it.
    pub(super) async fn room(&self, bytes: usize) -> Taken {
        self.room.wait(self.room_of(bytes)).await
    }

    /// The same, if there is room now.
    pub(super) fn room_now(&self, bytes: usize) -> Option<Taken> {
        self.room.take(self.room_of(bytes))
    }

    fn room_of(&self, bytes: usize) -> u32 {
        kib(bytes).max(1).min(self.room_kib)
    }

    /// What was agreed on, once it is.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.revision.get().copied()
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
    pub(super) fn given_up(&self) -> Option<&Lost> {
        self.given_up.get()
    }

    /// Closes our side: the server reads end of file.
    pub(super) fn hang_up(&self) {
        self.has_hung_up.store(true, Ordering::Release);
        self.hang_up.cancel();
    }

    /// Fails whatever is open, and whatever is posted from now on, and stops reading.
    pub(super) fn close(&self, why: &Fault) {
        let drained = {
            let mut open = self.open.lock();
            open.closed.get_or_insert_with(|| why.clone());
            open.ledger.drain()
        };
        self.asks.end(|_| true);
        for listener in drained {
            listener.fate.withdraw();
            let fault = why.clone().outcome(listener.fate.outcome());
            listener.end(Arrival::Failed(Box::new(fault)));
        }
        self.hang_up();
        self.deaf.cancel();
        self.ended.cancel();
        self.sooner.notify_one();
    }

    /// Why nothing more can be sent.
    pub(super) fn closed(&self) -> Option<Fault> {
        self.open.lock().closed.clone()
    }

    /// Requests that somebody waits for.
    pub fn in_flight(&self) -> usize {
        let stays = |listener: &Listener| matches!(listener.stage, Stage::Stays);
        self.open.lock().ledger.entries().filter(|(_, listener)| !stays(listener)).count()
    }

    /// Requests of the server's own that have neither an answer nor been withdrawn.
    pub fn asks_open(&self) -> usize {
        self.asks.len()
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What is counted of its server.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// A message is handed to what carries it.
    fn sends(&self, text: &Bytes, piece: Piece) {
        self.tally.moves(Way::ToServer, piece, text.len());
        let tap = self.tally.lookout().tap();
        if tap.is_on()
            && let Ok(message) = Message::parse_server(text.clone())
        {
            tap.passes(&self.server, self.number, Way::ToServer, &message);
        }
    }

    /// A message of the server's has come.
    pub(super) fn hears(&self, message: &Message) {
        let piece = match message.head() {
            Head::Request { .. } => Piece::Request,
            Head::Response { .. } => Piece::Response,
            Head::Notification { .. } => Piece::Notification,
        };
        self.tally.moves(Way::FromServer, piece, message.text().len());
        let tap = self.tally.lookout().tap();
        if tap.is_on() {
            tap.passes(&self.server, self.number, Way::FromServer, message);
        }
    }

    pub(super) fn server(&self) -> &Arc<str> {
        &self.server
    }

    /// What tells it from every other connection of the run.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn audience(&self) -> &Arc<Audience> {
        &self.audience
    }

    /// Whether arrays of messages are read.
    pub(super) fn batches(&self) -> bool {
        self.revision.get().is_some_and(|revision| revision.batches())
    }

    /// The longest message of the server's that is read.
    pub(super) fn message_bytes_max(&self) -> usize {
        self.message_bytes_max
    }

    /// Something has come.
    pub(super) fn comes(&self) {
        let after = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.heard_after.store(after, Ordering::Relaxed);
        if !self.is_heard.load(Ordering::Relaxed) {
            self.is_heard.store(true, Ordering::Relaxed);
            self.heard.cancel();
        }
    }

    /// When something came last; at its beginning, if nothing has.
    pub(super) fn heard_at(&self) -> Instant {
        self.begun + Duration::from_nanos(self.heard_after.load(Ordering::Relaxed))
    }

    /// Its server answers, but perhaps does not know us any more.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Resolves after that, once for however many doubts.
    pub(super) async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// The signals of its ends, for what carries it: one to raise when a direction has ended, one that says when to let
    /// the server go.
    pub(super) fn ends(&self) -> (CancellationToken, CancellationToken) {
        (self.ended.clone(), self.hang_up.clone())
    }

    /// Whose call this is, while it is open.
    pub(super) fn owner(&self, call: CallId) -> Owner {
        match self.open.lock().ledger.get(call) {
            Some(Listener { owner: Some(owner), .. }) => Owner::Client(owner.clone()),
            Some(Listener { owner: None, .. }) => Owner::Ours,
            None => Owner::Over,
        }
    }

    /// Whether an answer to this would still be of use: somebody waits for it, or it may name a task that must be
    /// cancelled.
    pub(super) fn awaits(&self, call: CallId) -> bool {
        let open = self.open.lock();
        open.ledger.get(call).is_some() || open.abandoned.contains(&call)
    }

    /// Nothing more will come.
    pub(super) fn at_end(&self) {
        self.ended.cancel();
    }

    /// Resolves when nobody listens any more.
    pub(super) async fn deaf(&self) {
        self.deaf.cancelled().await;
    }

    /// Brings an answer to its request; one to nothing open is dropped and counted.
    pub(super) fn answered(&self, id: Option<CallId>, response: Box<Message>) {
        let mut open = self.open.lock();
        if let Some(id) = id.filter(|id| open.may_become_task(*id)) {
            drop(open);
            if self.becomes_task(id, &response) {
                return;
            }
            open = self.open.lock();
        }
        let listener = id.and_then(|id| Some((id, open.ledger.close(id)?)));
        drop(open);
        match listener {
            Some((id, listener)) => {
                self.call_is_over(id, listener.owner.as_deref());
                if let (Some(owner), Head::Response { outcome: Outcome::Error { value, code, .. }, .. }) =
                    (&listener.owner, response.head())
                    && *code == Some(URL_REQUIRED)
                {
                    // Here and not later: that a page is done may be said in the next line.
                    self.audience.required(response.str(*value), owner.client);
                }
                let bytes = response.text().len();
                match self.audience.room(listener.owner.as_deref(), bytes) {
                    Ok(room) => listener.end_with(Arrival::Done(response), room),
                    Err(NoRoom) => listener.end(Arrival::Failed(Box::new(self.no_room(bytes)))),
                }
            }
            None if id.is_some_and(|id| self.open.lock().passed(id)) => {}
            None => {
                self.counters.strays.fetch_add(1, Ordering::Relaxed);
                if let Some(id) = id {
                    // It was cancelled, and its server has done with it.
                    self.open.lock().lingering.retain(|(call, _, _)| *call != id);
                }
                tracing::debug!(server = %self.server, "an answer to no open request; dropped");
            }
        }
    }

    /// There is no room for an answer of so many bytes, or for more than so many of it.
    pub(super) fn no_room(&self, bytes: usize) -> Fault {
        let server = &*self.server;
        let text = format!(
            "{server}: it answered with {bytes} bytes while too much that servers say is waiting in memory (limits.buffered)"
        );
        Fault::ours(Reason::Busy, text).server(server).outcome(CallOutcome::Unknown)
    }

    /// Whether an answer to one that may says that its call runs as a task from now on; if so it is taken care of.
    fn becomes_task(&self, id: CallId, response: &Message) -> bool {
        let created = match response.head() {
            // One that is too long is no word that there is a task: nothing else bounds what waits of them.
            Head::Response { outcome: Outcome::Result { value, .. }, .. }
                if response.text().len() <= CREATED_BYTES_MAX =>
            {
                task_id(response.str(*value))
            }
            Head::Response { .. } | Head::Request { .. } | Head::Notification { .. } => None,
        };
        let mut open = self.open.lock();
        open.abandoned.remove(&id);
        let listener = open.ledger.get_mut(id).filter(|listener| matches!(listener.stage, Stage::Asked));
        match (created, listener) {
            (Some(task), Some(listener)) => {
                let arrived = listener.stamped(Arrival::Created(Box::new(response.clone())), None);
                listener.stage = Stage::Running(task);
                listener.teller.tell_once(arrived);
                true
            }
            (Some(task), None) => {
                drop(open);
                self.order(|_| Freight::Cancel(id), "tasks/cancel", &task_params(&task));
                true
            }
            // What was abandoned is over; what waits has its answer.
            (None, None) => {
                open.lingering.retain(|(call, _, _)| *call != id);
                true
            }
            (None, Some(_)) => false,
        }
    }

    /// The call that runs as this task.
    fn running(open: &Open, task: &str) -> Option<CallId> {
        let runs = |listener: &Listener| matches!(&listener.stage, Stage::Running(id) if **id == *task);
        open.ledger.entries().find(|(_, listener)| runs(listener)).map(|(call, _)| call)
    }

    /// Hands something to whoever waits for a request; given back if there is no room, or nobody waits.
    pub(super) fn arrive(&self, id: CallId, arrival: Arrival) -> Result<(), Untold<Arrival>> {
        match self.open.lock().ledger.get(id) {
            Some(listener) => {
                let room = match &arrival {
                    Arrival::Note(note) => {
                        match self.audience.room(listener.owner.as_deref(), note.text().len()) {
                            Ok(room) => room,
                            Err(NoRoom) => return Err(Untold::Full(arrival)),
                        }
                    }
                    // A letter brings its own; the others have no text, or one that is short.
                    Arrival::Letter(_)
                    | Arrival::Created(_)
                    | Arrival::Lives
                    | Arrival::Done(_)
                    | Arrival::Failed(_) => None,
                };
                listener.teller.tell(listener.stamped(arrival, room)).map_err(|back| match back {
                    Untold::Full(arrived) => Untold::Full(arrived.arrival),
                    Untold::Deaf(arrived) => Untold::Deaf(arrived.arrival),
                })
            }
            None => Err(Untold::Deaf(arrival)),
        }
    }

    /// The only call that this client has open here.
    pub(super) fn sole_call(&self, client: ClientId) -> Option<CallId> {
        let open = self.open.lock();
        let mut calls = open.ledger.entries().filter(|(_, listener)| listener.is_of(client));
        match (calls.next(), calls.next()) {
            (Some((call, _)), None) => Some(call),
            (None, _) | (Some(_), Some(_)) => None,
        }
    }

    /// The only client with calls open here that wants to hear the log.
    pub(super) fn sole_listener(&self) -> Option<ClientId> {
        let calling: HashSet<ClientId> = self.open.lock().calls().map(|(_, client)| client).collect();
        let mut listening = calling.into_iter().filter(|client| self.audience.level_of(*client).is_some());
        match (listening.next(), listening.next()) {
            (Some(client), None) => Some(client),
            (None, _) | (Some(_), Some(_)) => None,
        }
    }

    /// Attributes a request of the server's, and opens it. `source`: the call on whose response it came. The fault is for
    /// the server.
    pub(super) fn asked(
        self: &Arc<Self>,
        heard: HeardAsk,
        source: Option<CallId>,
    ) -> Result<Parcel, Box<Fault>> {
        let task = related_task(&heard.message);
        let whose = {
            let open = self.open.lock();
            // On a link of its own a client may answer as long as its server waits, whatever became of the call; a request
            // without a session may not.
            let is_guests = |call: &CallId| {
                let owner = open.ledger.get(*call).and_then(|listener| listener.owner.as_ref());
                owner.is_some_and(|owner| owner.is_guest)
            };
            let source = source.filter(|call| !self.audience.is_own() || is_guests(call));
            match (task.as_deref().map(|task| Self::running(&open, task)), source) {
                (None, None) => self.audience.whose(open.calls()),
                (None, Some(call)) => match open.ledger.get(call) {
                    Some(Listener { owner: Some(member), .. }) => {
                        Ok(Whose { member: member.clone(), ends: Ends::Call(call) })
                    }
                    // With a request of ours: no client's.
                    Some(_) => self.audience.whose(std::iter::empty()),
                    None => Err(Fault::invalid_params("the call that this came with is over")),
                },
                // What belongs to a task is nobody's but its client's, and nobody's when the task is gone.
                (Some(running), _) => {
                    self.audience.whose(open.calls().filter(|(call, _)| running == Some(*call)))
                }
            }
        };
        if whose.as_ref().is_ok_and(|whose| self.asks.is_full_for(&whose.member.mail)) {
            let text = "too much is asked of this client and not answered yet";
            return Err(Box::new(Fault::ours(Reason::Busy, text)));
        }
        let parcel = self.audience.asked(self, heard, whose)?;
        if let Letter::Ask(ask) = &parcel.letter {
            let slip = ask.slip();
            self.asks.enter(slip);
            // What it belongs to may have ended while we looked at what it asks.
            let is_over = {
                let open = self.open.lock();
                open.closed.is_some() || !open.has(slip.ends)
            };
            if is_over {
                self.asks.end(|ends| ends == slip.ends);
            }
        }
        Ok(parcel)
    }

    /// The asks that belong to a call end with it, or with the last of its client's calls.
    fn call_is_over(&self, call: CallId, owner: Option<&Member>) {
        if self.asks.is_empty() {
            return;
        }
        let last =
            owner.map(|owner| owner.client).filter(|client| !self.open.lock().has(Ends::CallsOf(*client)));
        let none_of_one = !self.open.lock().has(Ends::CallsOfOne);
        self.asks.end(|ends| match ends {
            Ends::CallsOfOne => none_of_one,
            Ends::Client => false,
            Ends::Call(with) => with == call,
            Ends::CallsOf(client) => last == Some(client),
        });
    }

    /// The server's own requests that are open.
    pub(super) fn asks(&self) -> &OpenAsks {
        &self.asks
    }

    pub(super) fn reply(&self, text: Bytes, place: Arc<Places>) {
        self.sends(&text, Piece::Response);
        self.outbox.put(Frame::small(text, Freight::Plain, place)).ok();
    }

    /// Sends a notification of a client's; dropped and counted when it is too long, or too many wait to be written: who
    /// does not read cannot be told.
    pub(super) fn pass(&self, text: Bytes) {
        self.pass_as(Freight::Plain, text);
    }

    fn pass_as(&self, freight: Freight, text: Bytes) {
        match self.passing.clone().try_acquire_owned() {
            Ok(place) if text.len() <= PASSED_BYTES_MAX => {
                let piece = freight.request().map_or(Piece::Notification, |_| Piece::Request);
                self.sends(&text, piece);
                self.outbox.put(Frame::small(text, freight, Places::new(smallvec![place.into()]))).ok();
            }
            Ok(_) | Err(_) => {
                self.counters.notes.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Sends an answer of ours to a request of the server's; given back when too many wait to be written. One that has no
    /// handshake asks nothing that is answered.
    pub(super) fn answer(&self, text: Bytes) -> Result<(), Bytes> {
        if self.standing.get().is_some() {
            return Ok(());
        }
        match self.answers.clone().try_acquire_owned() {
            Ok(place) => {
                self.reply(text, Places::new(smallvec![place.into()]));
                Ok(())
            }
            Err(_) => Err(text),
        }
    }

    /// A request whose answer changes nothing, and is not waited for.
    pub(super) fn order(&self, freight: impl FnOnce(CallId) -> Freight, method: &str, params: &str) {
        let (id, text) = self.ordered(method, params);
        self.pass_as(freight(id), text.into());
    }

    fn ordered(&self, method: &str, params: &str) -> (CallId, String) {
        let id = self.open.lock().ledger.mint();
        (id, self.ours(id, method, params))
    }

    /// A request of our own as this server reads it. `params` is a JSON object.
    pub(super) fn ours(&self, id: CallId, method: &str, params: &str) -> String {
        match self.standing.get() {
            Some(standing) => ours(id, method, &with_meta(params, &standing.own())),
            None => ours(id, method, params),
        }
    }

    /// Ends one request with a fault of its own; the others go on.
    pub(super) fn fail(&self, id: CallId, fault: Fault, outcome: CallOutcome) {
        let listener = self.open.lock().ledger.close(id);
        if let Some(listener) = listener {
            let fault = fault.server(&*self.server).outcome(outcome);
            self.call_is_over(id, listener.owner.as_deref());
            listener.end(Arrival::Failed(Box::new(fault)));
        }
    }

    /// Its server tells no more by a request that stays open; any other has its answer to come.
    pub(super) fn stays_no_longer(&self, id: CallId) {
        let listener = {
            let mut open = self.open.lock();
            let stays = open.ledger.get(id).is_some_and(|listener| matches!(listener.stage, Stage::Stays));
            stays.then(|| open.ledger.close(id)).flatten()
        };
        if let Some(listener) = listener {
            let fault = Fault::ours(Reason::Gone, format!("{}: tells no more", self.server));
            listener.end(Arrival::Failed(Box::new(fault)));
        }
    }

    /// Ends it for good: what comes cannot be understood any more, or nothing comes.
    pub(super) fn give_up(&self, lost: Lost) {
        if self.given_up.get().is_none() {
            tracing::warn!(server = %self.server, why = %lost.why, "the link is given up");
        }
        self.given_up.get_or_init(|| lost);
        self.ended.cancel();
    }
}

impl Counters {
    /// Answers to nothing, notes, lines that are no message.
    pub fn read(&self) -> [u64; 3] {
        [&self.strays, &self.notes, &self.noise].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.tally.had_dropped(self.counters.read());
        self.sooner.notify_one();
    }
}

/// A request of our own. `params` is a JSON object.
pub(super) fn ours(id: CallId, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(KIB_MAX).min(KIB_MAX)
}

/// Notes of one request that may wait for its client.
const NOTES_MAX: usize = 32;
/// The longest answer that says that a call runs as a task.
const CREATED_BYTES_MAX: usize = 64 * 1024;
/// Calls that may become tasks after nobody waits for them any more.
const ABANDONED_MAX: usize = 256;
/// How long a cancelled call may still have asked something, and how many such calls are remembered.
const LINGER: Duration = Duration::from_secs(5);
const LINGERING_MAX: usize = 256;
/// Answers of ours to the server's own requests that may wait to be written.
const ANSWERS_MAX: usize = 64;
/// Notifications of clients that may wait to be written.
const PASSING_MAX: usize = 64;
const PASSED_BYTES_MAX: usize = 256 * 1024;
/// The most that a semaphore of the writer's room counts.
const KIB_MAX: u32 = 1 << 24;
