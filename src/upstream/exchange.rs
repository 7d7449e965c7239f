//! One request in flight at one server.
//!
//! Owns the wait: its deadline, its place in the ledger, and the client's own id and token, which it puts back
//! into everything it yields. Dropping it before its end cancels it at the server. It sends nothing again that may have
//! run: only what its server has answered with a question, or refused for its head.

use super::account::Account;
use super::allowance::{Permit, Permits};
use super::arrivals::Next;
pub use super::arrivals::{Awaiting, Berth};
use super::ask::Ask;
use super::budget::Taken;
use super::cache::Bearing;
use super::clock::Clock;
use super::frame::{Freight, Places};
use super::mail::{Letter, Note};
use super::memory::Room;
use super::round::{self, Kept, Round, Says};
use super::shown::{Origin, Shown, Subscribing};
use super::stderr::escaped;
pub use super::stream::Arrived;
use super::stream::{Arrival, Parting, Posted, Posting, Stream};
use super::subject::{Setting, Subject};
use super::tally::{Asked, End};
use super::task::{TaskCall, TaskStep};
use crate::mcp::method::Kind;
use crate::routing::deadline::Expiry;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::{CallId, Id, Raw};
use crate::wire::lines::one_line;
use crate::wire::members::{elements, member, members, quote, string};
use crate::wire::message::{Head, Message, Outcome};
use crate::wire::splice::Splice;
use bytes::Bytes;
use smallvec::smallvec;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// What a server does next about one request. Texts are in the client's terms: its ids, tokens, URIs. Each keeps its
/// room in memory until the last of it is dropped, and is to be dropped when it is written.
#[derive(Debug)]
pub enum Step {
    /// A notification for the client that asked.
    Notify(Bytes),
    /// The server wants something of the client first.
    Ask(Box<Ask>),
    /// The end: a whole response for the client, on one line, or why there is none.
    Done(Result<Bytes, Fault>),
}

/// What comes of a request of ours that stays open.
pub(super) enum Word {
    Note(Box<Message>),
    End(Result<Box<Message>, Fault>),
}

/// One request in flight. Yields any number of notes, then one end, then nothing.
pub struct Exchange {
    stream: Arc<Stream>,
    posted: Posted,
    places: Arc<Places>,
    clock: Clock,
    /// When it is looked whether its time is over.
    looks_at: Instant,
    origin: Option<Origin>,
    subject: Subject,
    progress: Option<f64>,
    cancellable: bool,
    over: bool,
    /// What became of it when it was given up.
    parting: Option<Parting>,
    /// How many letters its client had been sent before what came last.
    after: u64,
    /// The room of what came last.
    room: Option<Room>,
    /// What the call runs as, once its server has said so.
    task: Option<Box<TaskCall>>,
    /// The request, if it may have to be sent again with answers.
    kept: Option<Box<Kept>>,
    /// Its server did not take its headers: the tool is looked up as it is listed now.
    stale: bool,
    /// What the client is being asked for that.
    round: Option<Box<Round>>,
    /// What it is to what is kept of its server's results, where anything is.
    bearing: Option<Bearing>,
    /// Where it is written down, if it is.
    account: Option<Box<Account>>,
    /// How it ended is counted: with how long it took its server.
    is_counted: bool,
    took: Duration,
    /// What the request holds until its end, however long its server takes to read what is written to it.
    _turns: Permits,
}

impl Exchange {
    pub(super) fn new(
        stream: Arc<Stream>,
        posted: Posted,
        places: Arc<Places>,
        clock: Clock,
        origin: Option<Origin>,
        subject: Subject,
    ) -> Self {
        Self {
            stream,
            posted,
            places,
            looks_at: clock.next(),
            clock,
            origin,
            subject,
            progress: None,
            cancellable: true,
            over: false,
            parting: None,
            after: 0,
            room: None,
            task: None,
            kept: None,
            stale: false,
            round: None,
            bearing: None,
            account: None,
            is_counted: false,
            took: Duration::ZERO,
            _turns: Permits::new(),
        }
    }

    /// What it is to what is kept of its server's results.
    pub(super) fn bears(&mut self, bearing: Option<Bearing>) {
        self.bearing = bearing;
    }

    /// How it ends is written down there.
    pub(super) fn is_written_down(&mut self, account: Option<Box<Account>>) {
        self.account = account;
    }

    /// A request of our own, answered in the server's own terms within `timeouts.list`. `params` is a JSON object.
    /// It is on its way when this returns.
    pub(super) fn ours(
        stream: &Arc<Stream>,
        freight: fn(CallId) -> Freight,
        method: &str,
        params: &str,
        patience: Duration,
    ) -> Result<Self, Fault> {
        let clock = Clock::plain(patience);
        let posting = Posting::ours(freight, clock.next());
        let mut posted = stream.post(posting, |id| stream.ours(id, method, params).into())?;
        posted.journey.goes_on();
        let subject = Subject::ours(method, Setting::List, patience);
        Ok(Self::new(stream.clone(), posted, Arc::default(), clock, None, subject))
    }

    /// The same, but it stays open for as long as it is of use. `room`: that of its text in the queue.
    pub(super) fn open(stream: &Arc<Stream>, method: &str, params: &str, room: Taken) -> Result<Self, Fault> {
        let clock = Clock::endless();
        let ours = Posting::ours(Freight::Request, clock.next());
        let posting = Posting { stays: true, room: smallvec![room.into()], ..ours };
        let mut posted = stream.post(posting, |id| stream.ours(id, method, params).into())?;
        posted.journey.goes_on();
        let subject = Subject::ours(method, Setting::List, Duration::MAX);
        Ok(Self::new(stream.clone(), posted, Arc::default(), clock, None, subject))
    }

    pub(super) fn hold(&mut self, turns: Permits) {
        self._turns = turns;
    }

    /// What a server without a handshake wants to know first is asked of the client, and the request sent again.
    pub(super) fn keep(&mut self, kept: Option<Box<Kept>>) {
        self.kept = kept;
    }

    /// Nobody waits for it for a while: what it holds goes to others. Its server goes on working at it beyond its places;
    /// who lets it wait bounds how many do.
    pub fn step_aside(&mut self) {
        self.goes_on_beside();
        self._turns.clear();
        self.places = Arc::default();
    }

    /// Whoever waits for it does something else for a while: what is on its way goes on meanwhile.
    pub fn goes_on_beside(&mut self) {
        self.posted.journey.goes_on();
    }

    /// Somebody waits for it again, under another id and token. Progress goes on from where it was.
    pub fn goes_on(&mut self, id: &Id, token: Option<Raw>, turns: Permits) {
        self.goes_on_beside();
        self._turns = turns;
        if let Some(origin) = &mut self.origin {
            (origin.id, origin.token) = (id.clone(), token);
        }
    }

    /// `initialize` is never cancelled (2025-11-25, basic/utilities/cancellation).
    pub(super) fn never_cancelled(mut self) -> Self {
        self.cancellable = false;
        self
    }

    /// What happens next. After `Done` it yields `Done` with a fault of ours.
    ///
    /// What seldom happens has a place of its own: every request in flight is as large as all that may become of it.
    pub async fn next(&mut self) -> Step {
        loop {
            if self.stale {
                match Box::pin(self.remirrored()).await {
                    Ok(()) => continue,
                    Err(fault) => return Step::Done(Err(self.failed(fault))),
                }
            }
            if self.round.is_some() {
                match Box::pin(self.turn()).await {
                    Some(Step::Done(Err(fault))) => return Step::Done(Err(self.failed(fault))),
                    Some(step) => return step,
                    None => continue,
                }
            }
            match self.arrival().await {
                Arrival::Note(note) => {
                    if let Some(text) = self.note(&note) {
                        return Step::Notify(kept(text, self.room.take()));
                    }
                }
                Arrival::Letter(Letter::Note(Note { text, .. })) => return Step::Notify(text),
                Arrival::Letter(Letter::Ask(ask)) => return Step::Ask(ask),
                // That goes through the mail: the ask may have left here long ago.
                Arrival::Letter(Letter::Withdrawn(_)) => {}
                Arrival::Created(_) | Arrival::Lives => {}
                Arrival::Done(response) => {
                    self.subscribed(&response);
                    match self.ended(response) {
                        Some(end) => return Step::Done(end),
                        None => continue,
                    }
                }
                Arrival::Failed(fault) => {
                    let fault = self.honest(*fault);
                    return Step::Done(Err(self.failed(fault)));
                }
            }
        }
    }

    /// Where whoever waits for it can be taken in, if its end is all that is to be waited for by now.
    pub fn berth(&self) -> Option<Berth<Arrived>> {
        let moves =
            self.posted.journey.is_moved() || self.task.is_some() || self.round.is_some() || self.stale;
        (!moves).then(|| self.posted.arrivals.berth())
    }

    /// What the end, given to whoever awaits it, is to the client; `None`: it is none, and is to be waited for further.
    /// `end`: none, if there will be none.
    pub fn concludes(&mut self, end: Option<Arrived>) -> Option<Result<Bytes, Fault>> {
        self.posted.arrivals.is_over();
        let Arrived { after, arrival, room } = end.unwrap_or_else(unanswered);
        (self.after, self.room, self.over) = (after, room, true);
        match arrival {
            Arrival::Done(response) => {
                self.subscribed(&response);
                self.ended(response)
            }
            Arrival::Failed(fault) => {
                let fault = self.honest(*fault);
                Some(Err(self.failed(fault)))
            }
            Arrival::Note(_) | Arrival::Letter(_) | Arrival::Created(_) | Arrival::Lives => {
                Some(Err(Fault::ours(Reason::Internal, "what ended the request is no end")))
            }
        }
    }

    /// What was sent once and answered with a question has run as far as that, whatever became of the rest.
    fn honest(&self, fault: Fault) -> Fault {
        match self.kept.as_ref().is_some_and(|kept| kept.has_run()) {
            true => fault.outcome(CallOutcome::Unknown),
            false => fault,
        }
    }

    /// What the answer is to the client; nothing, if its server wants to know something first.
    fn ended(&mut self, response: Box<Message>) -> Option<Result<Bytes, Fault>> {
        let end = match response.head() {
            Head::Response { outcome: Outcome::Result { places, .. }, .. } if places.is_error => {
                End::ToolError
            }
            Head::Response { outcome: Outcome::Error { code, .. }, .. } => End::Error(*code),
            Head::Response { .. } | Head::Request { .. } | Head::Notification { .. } => End::Fine,
        };
        match self.bearing.take() {
            Some(Bearing::Asks(asking)) => asking.ends(&response),
            writes @ Some(Bearing::Writes(_)) => self.bearing = writes,
            None => {}
        }
        let mut judged = self.judged(response);
        match &judged {
            // Looked at where it lies: it is not moved for this.
            Some(Ok(text)) => {
                if let Err(fault) = self.closes(end, text.len()) {
                    judged = Some(Err(fault));
                }
            }
            Some(Err(_)) => judged = judged.map(|judged| judged.map_err(|fault| self.failed(fault))),
            None => {}
        }
        judged
    }

    /// A fault that ends it.
    fn failed(&mut self, fault: Fault) -> Fault {
        if self.origin.is_some() && !self.is_counted {
            self.stream.tally().is_troubled(&fault.text);
        }
        let end = End::of(&fault);
        self.closes(end, 0).err().unwrap_or(fault)
    }

    /// It is over: it is counted, logged and written down before anybody hears of it. The fault: it cannot be written
    /// down, and must be.
    fn closes(&mut self, end: End, bytes: usize) -> Result<(), Fault> {
        let Some(origin) = self.origin.as_ref().filter(|_| !self.is_counted) else { return Ok(()) };
        self.is_counted = true;
        let until = match end {
            // The moment in which it came: no clock has to be read for it.
            End::Fine | End::ToolError | End::Error(_) => self.stream.heard_at(),
            End::Fault(..) | End::Cancelled => Instant::now(),
        };
        let took = until.saturating_duration_since(self.clock.begun());
        self.took = took;
        self.stream.tally().ended(origin.asked, self.subject.own(), took, end);
        if tracing::enabled!(tracing::Level::DEBUG) {
            self.is_logged(origin, end, took);
        }
        match self.account.take() {
            None => Ok(()),
            Some(account) => account.close(end, bytes),
        }
    }

    #[cold]
    fn is_logged(&self, origin: &Origin, end: End, took: Duration) {
        tracing::debug!(
            event = "call",
            server = %self.stream.server(),
            method = self.subject.method(),
            tool = self.subject.own().filter(|_| origin.asked == Asked::Call).map(|own| &**own),
            item = self.subject.own().filter(|_| origin.asked != Asked::Call).map(|own| &**own),
            client = origin.owner.as_ref().map(|owner| owner.client.0),
            upstream_id = self.posted.id.0,
            duration_ms = took.as_secs_f64() * 1000.0,
            outcome = end.error_type().unwrap_or("ok"),
            code = end.code(),
            "done"
        );
    }

    fn judged(&mut self, response: Box<Message>) -> Option<Result<Bytes, Fault>> {
        let stands = self.origin.as_ref().is_some_and(|origin| origin.stands);
        let is_stateless = self.stream.standing().is_some();
        if is_stateless || stands {
            match round::says(&response) {
                Says::Complete => {}
                Says::InputRequired if is_stateless => match self.begin_round(&response) {
                    Some(Ok(())) => return None,
                    Some(Err(fault)) => return Some(Err(self.faulty(fault))),
                    None => {}
                },
                Says::Task
                    if is_stateless && self.origin.as_ref().is_some_and(|origin| origin.tasks.is_some()) => {}
                Says::InputRequired | Says::Task | Says::Other(_) => {
                    let what = match round::says(&response) {
                        Says::Other(what) => what,
                        Says::InputRequired => "input_required".to_owned(),
                        Says::Task | Says::Complete => "task".to_owned(),
                    };
                    let fault = Fault::ours(
                        Reason::Internal,
                        format!("its result is of the type `{}`, which nobody asked for", escaped(&what)),
                    );
                    return Some(Err(self.faulty(fault)));
                }
            }
            if self.is_mismatch(&response) && self.kept.as_mut().is_some_and(|kept| kept.remirrors()) {
                self.stale = true;
                self.over = false;
                return None;
            }
            if let Some(fault) = self.consumed(&response) {
                return Some(Err(self.faulty(fault)));
            }
        }
        let text = match &self.origin {
            Some(origin) => {
                let (server, own) = (self.stream.server(), self.subject.own());
                Shown { origin, server, own, is_stateless }.text(response)
            }
            None => one_line(response.text().clone()),
        };
        Some(Ok(kept(text, self.room.take())))
    }

    fn is_mismatch(&self, response: &Message) -> bool {
        let Head::Response { outcome: Outcome::Error { code, .. }, .. } = response.head() else {
            return false;
        };
        *code == Some(HEADER_MISMATCH)
    }

    /// Sends the request once more with the headers that its tool wants by now: it was refused for them, and not carried
    /// out (2026-07-28, basic/transports/streamable-http, Client Behavior). Cancel-safe: what was looked up is again.
    async fn remirrored(&mut self) -> Result<(), Fault> {
        let name = self.kept.as_ref().and_then(|kept| kept.name()).unwrap_or_default();
        let tool = timeout_at(self.clock.next(), listed(&self.stream, &name)).await.ok().flatten();
        // Others may have it as it was.
        self.stream.audience().changed().raise(Kind::Tools);
        let is_mirrored = match (tool, &mut self.kept) {
            (Some(tool), Some(kept)) => kept.mirror(&tool),
            (Some(_) | None, _) => false,
        };
        let sent = match is_mirrored {
            true => self.again().await,
            false => {
                let text = "did not take the headers of the request, and does not list the tool so that they can be made";
                Err(self.faulty(Fault::ours(Reason::Internal, text)))
            }
        };
        self.stale = false;
        self.over = sent.is_err();
        sent
    }

    /// An error between us and the server, and none of the client's affair (2026-07-28, basic/index, Error Codes).
    fn consumed(&self, response: &Message) -> Option<Fault> {
        let Head::Response { outcome: Outcome::Error { value, code, .. }, .. } = response.head() else {
            return None;
        };
        let error = response.str(*value);
        let said = member(error, "message").and_then(string).unwrap_or_default();
        let said = self.stream.quoted(&said, SAID_CHARS_MAX);
        let stands = self.origin.as_ref().is_some_and(|origin| origin.stands);
        match (*code)? {
            HEADER_MISMATCH => Some(Fault::ours(
                Reason::Internal,
                format!("did not take the headers of the request: {said}"),
            )),
            UNSUPPORTED_VERSION => {
                Some(Fault::ours(Reason::Internal, format!("does not speak its revision any more: {said}")))
            }
            MISSING_CAPABILITY => {
                let needed = member(error, "data").and_then(|data| member(data, "requiredCapabilities"));
                let needed = needed.and_then(members).unwrap_or_default();
                let names: Vec<_> = needed.iter().map(|member| member.key.as_ref()).collect();
                let names = escaped(&names.join(", "));
                let owner = self.origin.as_ref().and_then(|origin| origin.owner.as_ref());
                let askable = owner.map(|owner| owner.mail.askable()).unwrap_or_default();
                match stands {
                    // It says what this client lacks, unless the client has it.
                    true if !askable.has(&needed) => None,
                    true => Some(Fault::ours(
                        Reason::Internal,
                        format!("says that the client did not declare what it did: {names}"),
                    )),
                    false => Some(Fault::ours(
                        Reason::Refused,
                        format!("needs of the client what that did not declare: {names}"),
                    )),
                }
            }
            _ => None,
        }
    }

    /// The fault of an answer that is of no use to the client.
    fn faulty(&self, fault: Fault) -> Fault {
        let server = self.stream.server();
        let text = format!("{server}: {}: {}", self.subject.what(), fault.text);
        Fault { text, ..fault }.server(&**server).outcome(CallOutcome::Unknown)
    }

    /// Puts what the server wants to know to the client. `None`: the client reads that itself.
    fn begin_round(&mut self, response: &Message) -> Option<Result<(), Fault>> {
        let origin = self.origin.as_ref().filter(|origin| !origin.stands)?;
        let (Some(owner), Some(kept)) = (&origin.owner, &mut self.kept) else {
            let text = "wants to know something where it may not ask";
            return Some(Err(Fault::ours(Reason::Internal, text)));
        };
        if !kept.begins() {
            return Some(Err(Fault::ours(Reason::Refused, "wants to know ever more")));
        }
        let round = Round::of(&self.stream, owner, self.posted.id, response);
        Some(round.map(|round| {
            self.round = Some(Box::new(round));
            self.over = false;
        }))
    }

    /// The next thing of a round: a question, or the end of the call. `None`: the request is on its way again.
    async fn turn(&mut self) -> Option<Step> {
        let round = self.round.as_mut()?;
        if let Some(ask) = round.next_ask() {
            return Some(Step::Ask(ask));
        }
        let answered = loop {
            if let Some(Expiry::Total) = self.clock.expired() {
                break None;
            }
            match timeout_at(self.clock.next(), round.answered()).await {
                Ok(answered) => break Some(answered),
                Err(_) if self.clock.expired().is_some() => break None,
                Err(_) => {}
            }
        };
        let sent = match answered {
            Some(Ok(())) => self.again().await.map_err(|fault| self.honest(fault)),
            // Where the server is gone, that is why.
            Some(Err(fault)) => Err(match self.stream.closed() {
                Some(closed) => closed.outcome(CallOutcome::Unknown),
                None => self.faulty(fault),
            }),
            None => {
                let text = format!("{}: the client did not answer in time", self.stream.server());
                let fault = Fault::ours(Reason::Timeout, text).server(&**self.stream.server());
                Err(fault.outcome(CallOutcome::Unknown))
            }
        };
        self.end_round();
        match sent {
            Ok(()) => None,
            Err(fault) => {
                self.over = true;
                // What ends with it is said before it.
                self.after = u64::MAX;
                Some(Step::Done(Err(fault)))
            }
        }
    }

    /// Sends the request once more, with what came of the round.
    async fn again(&mut self) -> Result<(), Fault> {
        let Some(bytes) = self.kept.as_ref().map(|kept| kept.bytes()) else { return Ok(()) };
        self.clock.renew();
        let room = timeout_at(self.clock.next(), self.stream.room(bytes)).await;
        let answers = self.round.as_mut().map(|round| round.room()).unwrap_or_default();
        let (Some(kept), round) = (&self.kept, self.round.as_deref()) else { return Ok(()) };
        let Ok(room) = room else {
            let text = "no room for another request (limits.link_buffer)";
            return Err(self.faulty(Fault::ours(Reason::Busy, text)));
        };
        let posting = Posting {
            places: self.places.clone(),
            room: [Permit::Taken(room)].into_iter().chain(answers).collect(),
            owner: self.origin.as_ref().and_then(|origin| origin.owner.clone()),
            is_task: false,
            stays: false,
            freight: Freight::Request,
            mirrored: kept.mirrored(),
            look_at: self.clock.next(),
        };
        self.looks_at = self.clock.next();
        self.posted = self.stream.post(posting, |id| kept.again(id, round))?;
        self.over = false;
        Ok(())
    }

    fn end_round(&mut self) {
        if let Some(mut round) = self.round.take() {
            round.end(&self.stream);
        }
    }

    /// How long it took its server, once it is over.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// How many letters its client had been sent before what was yielded last: to be delivered before it.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// The room of what came last, for whoever passes it on.
    pub(super) fn room(&mut self) -> Option<Room> {
        self.room.take()
    }

    /// The server's own response, untouched; for requests that are ours.
    pub(super) async fn response(mut self) -> Result<Message, Fault> {
        self.answer().await
    }

    /// The same, without giving the request up when nobody waits for a while. Cancel-safe.
    pub(super) async fn answer(&mut self) -> Result<Message, Fault> {
        loop {
            match self.arrival().await {
                Arrival::Note(_) | Arrival::Letter(_) | Arrival::Created(_) | Arrival::Lives => {}
                Arrival::Done(response) => return Ok(*response),
                Arrival::Failed(fault) => return Err(*fault),
            }
        }
    }

    /// What comes next of a request of ours that stays open. Cancel-safe.
    pub(super) async fn word(&mut self) -> Word {
        loop {
            match self.arrival().await {
                Arrival::Note(note) => return Word::Note(note),
                Arrival::Letter(_) | Arrival::Created(_) | Arrival::Lives => {}
                Arrival::Done(response) => return Word::End(Ok(response)),
                Arrival::Failed(fault) => return Word::End(Err(*fault)),
            }
        }
    }

    async fn arrival(&mut self) -> Arrival {
        if self.over {
            return Arrival::Failed(Box::new(Fault::ours(Reason::Internal, "the request is over already")));
        }
        let arrival = loop {
            // Looked at first: a server that never stops sending notes must not outlast its time in all.
            match self.clock.expired_anew() {
                Some(Expiry::Total) => break Box::pin(self.give_up(Expiry::Total)).await,
                Some(Expiry::Idle) | None => {}
            }
            // As long as a clock stands still it is looked at seldom.
            if self.clock.next() < self.looks_at {
                self.look_again();
            }
            match happens(&mut self.posted, self.task.as_deref_mut()).await {
                Some(Arrived { after, arrival, room }) => {
                    (self.after, self.room) = (after, room);
                    break arrival;
                }
                None => match self.clock.expired() {
                    Some(expiry) => break Box::pin(self.give_up(expiry)).await,
                    None => self.look_again(),
                },
            }
        };
        // Whoever is told this may be busy with it for long.
        self.posted.journey.goes_on();
        match arrival {
            Arrival::Note(_) | Arrival::Letter(_) | Arrival::Lives => self.clock.renew(),
            Arrival::Created(created) => {
                self.clock.renew();
                // What runs as a task is not kept.
                self.bearing.take_if(|bearing| matches!(bearing, Bearing::Asks(_)));
                self.task = self.tasked(&created);
                return Arrival::Lives;
            }
            Arrival::Done(_) | Arrival::Failed(_) => {
                self.over = true;
                if let Some(mut task) = self.task.take() {
                    self.room = self.room.take().or_else(|| task.room());
                    self.stream.forget(self.posted.id);
                }
            }
        }
        arrival
    }

    /// Says when its time may be over.
    fn look_again(&mut self) {
        self.looks_at = self.clock.next();
        self.stream.look_again(self.posted.id, self.looks_at);
    }

    fn tasked(&self, created: &Message) -> Option<Box<TaskCall>> {
        let Head::Response { outcome: Outcome::Result { value, .. }, .. } = created.head() else {
            return None;
        };
        TaskCall::new(self.stream.clone(), created.str(*value), INQUIRY).map(Box::new)
    }

    /// The fault of a bound that ran out; or the answer, if it came in the same moment.
    async fn give_up(&mut self, expiry: Expiry) -> Arrival {
        let server = self.stream.server().clone();
        let (text, reason, why) = match expiry {
            Expiry::Idle => (self.subject.silent(&server), Reason::Timeout, "no sign of life in time"),
            Expiry::Total => (self.subject.endless(&server), Reason::TimeoutMax, "took too long in all"),
        };
        // What ends with it is said before it.
        self.after = u64::MAX;
        let (end, outcome) = match self.end(why) {
            Parting::Told => ("; the call was cancelled there", CallOutcome::Unknown),
            Parting::TakenBack => ("; it was never sent", CallOutcome::NotSent),
            Parting::Forgotten => ("", CallOutcome::Unknown),
            Parting::Over => loop {
                let Some(Arrived { arrival, room, .. }) = heard(&mut self.posted).await else { continue };
                self.room = room;
                match arrival {
                    Arrival::Letter(letter) => {
                        if let Some(owner) = self.origin.as_ref().and_then(|origin| origin.owner.as_ref()) {
                            owner.mail(letter);
                        }
                    }
                    Arrival::Note(_) | Arrival::Created(_) | Arrival::Lives => {}
                    end @ (Arrival::Done(_) | Arrival::Failed(_)) => return end,
                }
            },
        };
        // Greetings and lists are our own affair.
        if self.origin.is_some() {
            self.stream.tally().timed_out(expiry == Expiry::Total);
        }
        let fault = Fault::ours(reason, format!("{server}: {text}{end}"));
        Arrival::Failed(Box::new(fault.server(&*server).outcome(outcome)))
    }

    /// Leaves the ledger, and tells the server if it may know of the request.
    fn end(&mut self, why: &str) -> Parting {
        let parting = match self.cancellable {
            true => self.stream.cancel(self.posted.id, &self.places, why),
            false => self.stream.forget(self.posted.id),
        };
        self.parting = Some(parting);
        parting
    }

    /// A progress note in the client's terms; `None` if it gave no token, or the note does not move forward
    /// (2025-11-25, basic/utilities/progress: the value must increase).
    fn note(&mut self, note: &Message) -> Option<Bytes> {
        let token = self.origin.as_ref()?.token.as_ref()?;
        let params = note.params()?;
        let progress = params.progress.and_then(|span| note.str(span).parse::<f64>().ok());
        if let (Some(now), Some(before)) = (progress, self.progress)
            && now <= before
        {
            return None;
        }
        self.progress = progress.or(self.progress);
        Some(Splice::new(note).replace(params.progress_token?, token.as_str()).finish())
    }

    /// What the server said beside this call is its client's, even when the call is over.
    fn leave_letters(&mut self) {
        let Some(owner) = self.origin.as_ref().and_then(|origin| origin.owner.as_ref()) else { return };
        while let Some(arrived) = self.posted.arrivals.now() {
            if let Arrival::Letter(letter) = arrived.arrival {
                owner.mail(letter);
            }
        }
    }

    /// The server has said whether it takes a subscription.
    fn subscribed(&mut self, response: &Message) {
        let subscribing = self.origin.as_mut().and_then(|origin| origin.subscribing.take());
        if let (Some(Subscribing { client, uri }), Head::Response { outcome, .. }) =
            (subscribing, response.head())
        {
            match outcome {
                Outcome::Result { .. } => self.stream.audience().confirmed(&uri),
                Outcome::Error { .. } => self.stream.audience().refused(client, &uri),
            }
        }
    }

    /// What is left to do for one that is dropped; whether there is any of it, `drop` looks first.
    #[inline(never)]
    fn gives_up_rest(&mut self) {
        self.end_round();
        if !self.over {
            self.end("the client does not wait any longer");
        }
        self.closes(End::Cancelled, 0).ok();
        let subscribing = self.origin.as_mut().and_then(|origin| origin.subscribing.take());
        if let Some(Subscribing { client, uri }) = subscribing {
            self.stream.audience().refused(client, &uri);
            // It may have agreed by now, and nobody would ever take it back.
            if self.parting == Some(Parting::Told) && !self.stream.audience().is_wanted(&uri) {
                let params = format!(r#"{{"uri":{}}}"#, quote(&uri));
                self.stream.order(Freight::Setting, "resources/unsubscribe", &params);
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let is_subscribing = self.origin.as_ref().is_some_and(|origin| origin.subscribing.is_some());
        // Mostly nothing is: it has had its end.
        if !self.over || !self.is_counted || self.round.is_some() || is_subscribing {
            self.gives_up_rest();
        }
        self.leave_letters();
    }
}

/// A tool as its server lists it now, by its own name for it.
async fn listed(stream: &Arc<Stream>, name: &str) -> Option<String> {
    let mut cursor = None;
    for _ in 0..RELISTED_PAGES_MAX {
        let params = cursor.map_or_else(|| "{}".to_owned(), |cursor| format!(r#"{{"cursor":{cursor}}}"#));
        let page = Exchange::ours(stream, Freight::Request, "tools/list", &params, INQUIRY).ok()?;
        let page = page.response().await.ok()?;
        let Head::Response { outcome: Outcome::Result { value, .. }, .. } = page.head() else { return None };
        let result = page.str(*value);
        let tools = member(result, "tools").and_then(elements)?;
        let is_it = |tool: &&&str| member(tool, "name").and_then(string).as_deref() == Some(name);
        if let Some(tool) = tools.iter().find(is_it) {
            return Some((*tool).to_owned());
        }
        cursor = Some(member(result, "nextCursor").filter(|cursor| cursor.starts_with('"'))?.to_owned());
    }
    None
}

/// What a server says about a request next, or about the task that it became; `None`: its time may be over.
async fn happens(posted: &mut Posted, task: Option<&mut TaskCall>) -> Option<Arrived> {
    let Some(task) = task else { return heard(posted).await };
    tokio::select! {
        biased;
        arrival = heard(posted) => arrival,
        step = task.step() => {
            let arrival = match step {
                TaskStep::Lives => Arrival::Lives,
                TaskStep::Done(response) => Arrival::Done(response),
                TaskStep::Failed(fault) => Arrival::Failed(fault),
            };
            Some(Arrived { after: u64::MAX, arrival, room: None })
        }
    }
}

async fn heard(posted: &mut Posted) -> Option<Arrived> {
    match posted.next().await {
        Next::Told(arrived) => Some(arrived),
        Next::Rung => None,
        Next::Over => Some(unanswered()),
    }
}

fn unanswered() -> Arrived {
    let fault = Fault::ours(Reason::Internal, "nobody will answer");
    Arrived { after: 0, arrival: Arrival::Failed(Box::new(fault)), room: None }
}

fn kept(text: Bytes, room: Option<Room>) -> Bytes {
    match room {
        Some(room) => room.of(text),
        None => text,
    }
}

/// Pages of tools in which one is looked for whose headers were not taken.
const RELISTED_PAGES_MAX: usize = 64;
const HEADER_MISMATCH: i64 = -32020;
const MISSING_CAPABILITY: i64 = -32021;
const UNSUPPORTED_VERSION: i64 = -32022;
const SAID_CHARS_MAX: usize = 200;
/// How long a server may take to say how a task is.
const INQUIRY: Duration = Duration::from_secs(10);
