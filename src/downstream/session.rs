//! One client of the handshake revisions, from its first message to its last: what each of them means.
//!
//! Owns what `initialize` agreed on and the requests that are open. How messages come and go is its door's affair:
//! it is given texts, and it returns what is to be answered now or what will be.

use super::asks::Asks;
use super::call::{Call, Client, Risen, Waits};
use super::delivery::Delivery;
use super::introduction::{implementation, refuse_loops};
use super::login::Invitation;
use super::modern::beside::Beside;
use super::modern::ladder;
use super::news::{Given, News};
use super::open::{Entry, Ids, Open, refuse_long_ids};
use super::outlet::{Outlet, Outlets};
use crate::config::Limits;
use crate::hub::Hub;
use crate::hub::begin::{Answer, response};
use crate::hub::seat::Seat;
use crate::mcp::capabilities;
use crate::mcp::method::Method;
use crate::mcp::revision::Revision;
use crate::upstream::allowance::Held;
use crate::upstream::budget::Budget;
use crate::upstream::exchange::{Arrived, Berth};
use crate::upstream::hearing::Hearing;
use crate::upstream::lookout::{Came, Lookout};
use crate::upstream::queue::Filler;
use crate::wire::batch::{batch, is_batch};
use crate::wire::caps::Caps;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::Id;
use crate::wire::keeping::keeping;
use crate::wire::lines::{Line, one_line};
use crate::wire::members::{member, quote, string};
use crate::wire::message::{BadMessage, Head, Message, Params};
use bytes::{BufMut, Bytes, BytesMut};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all, ready};
use futures::stream::{AbortRegistration, Abortable};
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One client, from its first byte to its last.
pub struct Session {
    client: Arc<Client>,
    agreed: OnceLock<Agreed>,
    open: Open,
    /// Our own mark, by which we know ourselves behind ourselves.
    identity: Arc<str>,
    /// We were started by ourselves: nothing is served, and the client hears why.
    behind_itself: bool,
    /// Requests that stand by themselves come here as well, and nothing is started before it is needed.
    beside: Option<Beside>,
    stay: Stay,
}

/// How long the client is here. It is counted when this is dropped.
struct Stay {
    lookout: Arc<Lookout>,
    came: Came,
    since: OnceLock<Instant>,
}

impl Drop for Stay {
    fn drop(&mut self) {
        if let Some(since) = self.since.get() {
            self.lookout.leaves(self.came, since.elapsed());
        }
    }
}

/// What `initialize` settled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreed {
    pub(super) revision: Revision,
    /// Until when its lists wait for servers that were not heard yet.
    pub(super) patience: Instant,
}

/// A text as it was read, before anything becomes of it.
pub(super) enum Read {
    One(Result<Message, BadMessage>),
    /// It begins like one.
    Batch(Bytes),
    /// It is over the limit, and not here any more.
    TooLong {
        id: Option<Bytes>,
        bytes: u64,
        response: bool,
    },
}

/// What becomes of a text.
pub(super) enum Reply {
    /// Nothing is answered to notifications and answers.
    Nothing,
    Now(Bytes),
    /// The text was no message, or not one that may come so.
    Refused(Bytes),
    /// The answer, unless the request is withdrawn. A batch has no id.
    Later {
        id: Option<Id>,
        call: BoxFuture<'static, Option<Bytes>>,
        /// By which its door can be told to end it, if it can be withdrawn so.
        number: Option<u64>,
    },
    /// The answer comes by itself. Whoever lies there is the door's to end.
    Lies(Berth<Arrived>),
    /// The request with this number is withdrawn.
    Ends(u64),
}

impl Session {
    pub fn new(seat: Arc<Seat>, outlets: Outlets, ids: Ids, identity: &str, behind_itself: bool) -> Self {
        Self::with(seat, outlets, ids, identity, behind_itself, None)
    }

    /// The same of a door with one stream for all that follows who has risen, where all is done on one thread: whoever lies
    /// at his exchange is given his answer there, past the door.
    pub(super) fn at_door(
        seat: Arc<Seat>,
        outlets: Outlets,
        identity: &str,
        behind_itself: bool,
        risen: Filler<Risen>,
    ) -> Self {
        Self::with(seat, outlets, Ids::Unique, identity, behind_itself, Some(risen))
    }

    fn with(
        seat: Arc<Seat>,
        outlets: Outlets,
        ids: Ids,
        identity: &str,
        behind_itself: bool,
        risen: Option<Filler<Risen>>,
    ) -> Self {
        let turns = Budget::new(seat.hub().config().limits.session_in_flight_max);
        let came = match (&outlets, seat.caller().alone) {
            (Outlets::Streams(_), _) => Came::Http,
            (Outlets::Lines(_), true) => Came::Stdio,
            (Outlets::Lines(_), false) => Came::Sse,
        };
        let stay = Stay { lookout: seat.hub().lookout().clone(), came, since: OnceLock::new() };
        let delivery = Arc::new(Delivery {
            mail: seat.mail().clone(),
            asks: Asks::new(seat.mail().clone()),
            outlets,
            revision: OnceLock::new(),
            answered: CancellationToken::new(),
            begun: CancellationToken::new(),
            saying: Default::default(),
        });
        Self {
            client: Arc::new(Client {
                seat,
                delivery,
                given: Given::default(),
                invitation: Invitation::default(),
                turns,
                risen,
            }),
            agreed: OnceLock::new(),
            open: Open::new(ids),
            identity: Arc::from(identity),
            behind_itself,
            beside: None,
            stay,
        }
    }

    /// Requests that stand by themselves may come as well.
    pub(super) fn beside(self, beside: Beside) -> Self {
        Self { beside: Some(beside), ..self }
    }

    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.client.seat
    }

    /// What the servers say beside their answers goes by it.
    pub(super) fn delivery(&self) -> &Arc<Delivery> {
        &self.client.delivery
    }

    fn hub(&self) -> &Arc<Hub> {
        self.client.seat.hub()
    }

    pub(super) fn agreed(&self) -> Option<Agreed> {
        self.agreed.get().copied()
    }

    /// The lists as this client hears of them.
    pub(super) fn news(&self) -> News {
        News::new(&self.client.seat, self.client.given.clone())
    }

    /// Cancels that were ignored because they named several open requests.
    pub(super) fn ambiguous_cancels(&self) -> u64 {
        self.open.ambiguous()
    }

    /// Whether the client has said that it works by now, or has begun to.
    pub(super) fn has_begun(&self) -> bool {
        self.client.delivery.begun.is_cancelled()
    }

    /// Requests that have no answer yet.
    pub(super) fn in_flight(&self) -> usize {
        self.open.len()
    }

    /// A message over the limit, which is not here any more; what is said to it.
    #[cold]
    fn hear_overlong(&self, id: Option<Bytes>, bytes: u64, is_response: bool) -> Option<Bytes> {
        let max = self.hub().config().limits.client_message_bytes_max;
        tracing::warn!(bytes, max, "a message over the limit from the client; skipped");
        let id = id.and_then(Id::parse);
        let text = format!("the message has {bytes} bytes, over the limit of {max} (limits.client_message)");
        match (is_response, id) {
            (false, id) => {
                let fault = Fault::ours(Reason::TooLarge, text).outcome(CallOutcome::NotSent);
                Some(fault.render(id.as_ref()))
            }
            (true, Some(id)) => {
                self.client.delivery.asks.spoil(id.as_str(), &text);
                None
            }
            (true, None) => None,
        }
    }

    /// A text of the client's: one message, or a batch where its revision has them. `memory`: the room that the text
    /// has taken already, if its door took it.
    pub(super) fn hear(&self, text: Bytes, memory: Option<Held>, outlet: &Outlet) -> Reply {
        self.hear_read(self.read(text), memory, outlet)
    }

    /// Reads a text of the client's; nothing becomes of it by that. What it may be is judged when it is heard.
    pub(super) fn read(&self, text: Bytes) -> Read {
        match is_batch(&text) {
            true => Read::Batch(text),
            false => Read::One(self.parsed(text)),
        }
    }

    /// The same of a line.
    pub(super) fn read_line(&self, line: Line) -> Read {
        match line {
            Line::Text(text) => self.read(text),
            Line::TooLong { id, bytes, response } => Read::TooLong { id, bytes, response },
        }
    }

    /// What was read, in the order in which it came.
    pub(super) fn hear_read(&self, read: Read, memory: Option<Held>, outlet: &Outlet) -> Reply {
        let text = match read {
            Read::One(Ok(message)) => return self.hear_one(message, memory, outlet),
            Read::One(Err(bad)) => return self.refused(&bad),
            Read::Batch(text) => text,
            Read::TooLong { id, bytes, response } => {
                return self.hear_overlong(id, bytes, response).map_or(Reply::Nothing, Reply::Now);
            }
        };
        if !self.agreed().is_some_and(|agreed| agreed.revision.batches()) {
            let text = "a batch: only 2025-03-26 has them, and only after initialize";
            return Reply::Refused(Fault::invalid_request(text).render(None));
        }
        match batch(&text, self.hub().config().limits.batch_max) {
            Some(Ok(texts)) => {
                // Each message has its own text by now, and takes room for that.
                drop((text, memory));
                self.hear_batch(texts, outlet)
            }
            Some(Err(bad)) => Reply::Refused(bad.fault().render(bad.id.as_ref())),
            None => Reply::Nothing,
        }
    }

    /// Each element goes the way of a single message; the answers come back together.
    #[cold]
    fn hear_batch(&self, texts: Vec<Bytes>, outlet: &Outlet) -> Reply {
        let mut pending = Vec::new();
        for text in texts {
            let reply = match self.parsed(text) {
                Ok(message) if message.method() == Some("initialize") => {
                    let fault = Fault::invalid_request("`initialize` must not be part of a batch");
                    Reply::Now(fault.render(message.id().as_ref()))
                }
                // Its revision has no batches, and a listener's answer would keep back all the others'.
                Ok(message) if ladder::claims(&message) && message.id().is_some() => {
                    let fault =
                        Fault::invalid_request("a request of this revision must not be part of a batch");
                    Reply::Now(fault.render(message.id().as_ref()))
                }
                Ok(message) => self.hear_one(message, None, outlet),
                Err(bad) => self.refused(&bad),
            };
            match reply {
                Reply::Nothing | Reply::Ends(_) => {}
                Reply::Now(text) | Reply::Refused(text) => {
                    pending.push(ready(Some(text)).boxed());
                }
                Reply::Later { call, .. } => pending.push(call),
                // Nobody lies anywhere where there are batches.
                Reply::Lies(berth) => berth.raise(),
            }
        }
        if pending.is_empty() {
            return Reply::Nothing;
        }
        let call = async move {
            let mut line = BytesMut::from(&b"["[..]);
            let parts: Vec<Bytes> = join_all(pending).await.into_iter().flatten().collect();
            for text in &parts {
                if line.len() > 1 {
                    line.put_u8(b',');
                }
                line.put_slice(text);
            }
            line.put_u8(b']');
            let line = one_line(line.freeze());
            // What the parts took in memory is theirs until the whole has left.
            (line.len() > 2).then(|| keeping(line, parts))
        };
        Reply::Later { id: None, call: call.boxed(), number: None }
    }

    fn parsed(&self, text: Bytes) -> Result<Message, BadMessage> {
        Message::parse_client(text, caps(&self.hub().config().limits))
    }

    /// What is said to a text that is no message, which is nothing to a broken answer.
    #[cold]
    fn refused(&self, bad: &BadMessage) -> Reply {
        if let (true, Some(id)) = (bad.response, &bad.id) {
            self.client.delivery.asks.spoil(id.as_str(), &bad.fault().text);
        }
        match bad.response {
            true => Reply::Nothing,
            false => Reply::Refused(bad.fault().render(bad.id.as_ref())),
        }
    }

    /// One message. What it needs is decided here; what it waits for is in what it returns.
    fn hear_one(&self, message: Message, memory: Option<Held>, outlet: &Outlet) -> Reply {
        match message.head() {
            Head::Request { method, .. } => {
                if let (Some(beside), Outlet::Lines(outbox), true) =
                    (&self.beside, outlet, ladder::claims(&message))
                {
                    return beside.hear(&self.client.seat, &self.open, message, memory, outbox);
                }
                let method = Method::parse(method.as_str(&message));
                match message.id() {
                    Some(id) if self.is_unclaimed(method, &message) => {
                        Reply::Now(ladder::unclaimed().render(Some(&id)))
                    }
                    Some(id) => self.request(id, method, message, memory, outlet),
                    None => Reply::Nothing,
                }
            }
            Head::Notification { method, params } => {
                match self.notification(Method::parse(method.as_str(&message)), params, &message) {
                    Some(number) => Reply::Ends(number),
                    None => Reply::Nothing,
                }
            }
            Head::Response { id, .. } => {
                let id = id.map(|id| message.str(id)).unwrap_or_default();
                self.client.delivery.asks.answer(id, &message);
                Reply::Nothing
            }
        }
    }

    /// Whether a request is of the revision without a handshake and does not say so: it is no other's by that.
    fn is_unclaimed(&self, method: Method, message: &Message) -> bool {
        let has_greeted = self.agreed().is_some();
        self.beside.is_some()
            && (ladder::stands_unclaimed(message) || (!has_greeted && ladder::is_modern(method)))
    }

    /// The number: that of a request which its door is to end.
    #[inline(never)]
    fn notification(&self, method: Method, params: &Params, message: &Message) -> Option<u64> {
        match method {
            Method::Cancelled => {
                let id = params.request_id.and_then(|id| Id::parse(message.slice(id)));
                return id.and_then(|id| self.open.cancel(&id));
            }
            Method::Progress => {
                if let Some(token) = params.progress_token {
                    self.client.delivery.asks.progress(message.str(token), message);
                }
            }
            Method::Initialized => self.client.delivery.begin(),
            Method::RootsChanged => self.client.seat.roots_changed(message.text()),
            Method::Initialize
            | Method::Ping
            | Method::List(_)
            | Method::ToolsCall
            | Method::PromptsGet
            | Method::ResourcesRead
            | Method::Complete
            | Method::SetLevel
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::ListChanged(_)
            | Method::Log
            | Method::Updated
            | Method::Ask(_)
            | Method::ElicitationComplete
            | Method::Discover
            | Method::Listen
            | Method::Acknowledged
            | Method::Task
            | Method::Other => {}
        }
        None
    }

    fn request(
        &self,
        id: Id,
        method: Method,
        message: Message,
        memory: Option<Held>,
        outlet: &Outlet,
    ) -> Reply {
        let refused = |fault: Fault| Reply::Now(fault.render(Some(&id)));
        match (method, self.agreed()) {
            (Method::Ping, _) => Reply::Now(response(&id, b"{}")),
            (Method::Initialize, None) => self.initialize(id, &message),
            (Method::Initialize, Some(_)) => refused(Fault::invalid_request("`initialize` came before")),
            (Method::Other | Method::Discover | Method::Listen | Method::Acknowledged | Method::Task, _) => {
                refused(Fault::method_not_found(message.method().unwrap_or_default()))
            }
            (_, None) => refused(Fault::invalid_request("`initialize` must come first")),
            (_, Some(agreed)) => {
                // Some clients forget to say that they are initialized.
                self.client.delivery.begin();
                match self.begin((&id, method), agreed, message, memory, outlet) {
                    Ok(reply) => reply,
                    Err(fault) => refused(fault),
                }
            }
        }
    }

    /// Enters a request among the open ones.
    fn begin(
        &self,
        (id, method): (&Id, Method),
        agreed: Agreed,
        message: Message,
        memory: Option<Held>,
        outlet: &Outlet,
    ) -> Result<Reply, Fault> {
        let limits = &self.hub().config().limits;
        refuse_long_ids(Some(id), &message, limits.id_bytes_max)?;
        if self.open.len() >= limits.session_in_flight_max + limits.session_waiting_max {
            let text = "too many requests at once (limits.session_in_flight, limits.session_waiting)";
            return Err(too_much(text));
        }
        let Some(memory) = memory.or_else(|| self.client.seat.allowance().request(message.text().len()))
        else {
            return Err(too_much("too much is waiting in memory (limits.buffered)"));
        };
        // A door with one stream for all has its calls in its hand; those of a batch are in the hand of that.
        let entered = match outlet {
            Outlet::Lines(_) if !agreed.revision.batches() => {
                self.open.enter_at_door(id).map(|entry| (entry, None))
            }
            Outlet::Lines(_) | Outlet::Events(_) => {
                self.open.enter(id).map(|(entry, registration)| (entry, Some(registration)))
            }
        };
        let Some((entry, registration)) = entered else {
            return Err(Fault::invalid_request("a request with this id is open already"));
        };
        let number = registration.is_none().then(|| entry.number());
        let call = Call {
            client: self.client.clone(),
            revision: agreed.revision,
            outlet: outlet.clone(),
            patience: agreed.patience,
            hearing: Hearing::now(self.stay.came, agreed.revision),
            heard: (entry.number() % MEASURED == 0).then(Instant::now),
        };
        let call = match call.begin_now(id, &message, memory) {
            Ok(Answer::Later(exchange)) => {
                let is_doors = registration.is_none() && self.client.risen.is_some();
                match exchange.berth().filter(|_| is_doors) {
                    None => ended(entry, registration, call.follow(exchange, id.clone(), method)),
                    Some(berth) => {
                        let waits = Waits { call, exchange, method, entry };
                        return Ok(match berth.take_in(Box::new(waits)) {
                            Ok(()) => Reply::Lies(berth),
                            Err(waits) => {
                                // Something has come already: the door follows it.
                                waits.rises();
                                Reply::Nothing
                            }
                        });
                    }
                }
            }
            Ok(answer @ (Answer::Now(_) | Answer::List { .. })) => {
                drop((entry, registration));
                answered(&call, answer, id, method)
            }
            Err(memory) => begun_later(call, (entry, registration), id.clone(), message, memory),
        };
        Ok(Reply::Later { id: Some(id.clone()), call, number })
    }

    #[cold]
    fn initialize(&self, id: Id, message: &Message) -> Reply {
        let asked = match asked_revision(message, &self.identity, self.behind_itself) {
            Ok(asked) => asked,
            Err(fault) => return Reply::Now(fault.render(Some(&id))),
        };
        let revision = Revision::negotiate(&asked);
        if self.beside.is_some() {
            for fault in self.client.seat.open() {
                tracing::warn!(why = fault.text, "not started");
            }
        }
        let params = message.params().and_then(|params| params.object).map(|span| message.str(span));
        let capabilities = params.and_then(|params| member(params, "capabilities")).unwrap_or("{}");
        self.agree(revision, capabilities);
        let (seat, answered) = (self.client.seat.clone(), self.client.delivery.answered.clone());
        let own = id.clone();
        let call = async move {
            let instructions = seat.instructions(GREETING).await;
            // Whatever waits leaves after the answer, which is on its way in the same breath.
            answered.cancel();
            Some(response(&own, greeting(seat.hub(), revision, instructions.as_deref()).as_bytes()))
        };
        Reply::Later { id: Some(id), call: call.boxed(), number: None }
    }

    /// Settles on a revision, once, and lets the client's own servers be greeted with what it declared.
    fn agree(&self, revision: Revision, capabilities: &str) {
        self.client.delivery.revision.get_or_init(|| revision);
        let since = Instant::now();
        let patience = since + self.hub().edition().config().first_list;
        self.agreed.get_or_init(|| Agreed { revision, patience });
        self.stay.since.get_or_init(|| since);
        self.client.seat.introduce(revision, capabilities);
    }
}

/// One that has its answer already. Not where calls go through, as is what is begun later.
#[inline(never)]
fn answered(call: &Call, answer: Answer, id: &Id, method: Method) -> BoxFuture<'static, Option<Bytes>> {
    ready(Some(call.told(answer, id, method))).boxed()
}

/// Why a request is not begun: there is too much of them, and nothing of it has left.
#[cold]
fn too_much(text: &'static str) -> Fault {
    Fault::ours(Reason::Busy, text).outcome(CallOutcome::NotSent)
}

/// One for which something must be waited for, as far as it comes now: what the client says after it must not be there
/// before it.
#[inline(never)]
fn begun_later(
    call: Call,
    (entry, registration): (Entry, Option<AbortRegistration>),
    id: Id,
    message: Message,
    memory: Option<Held>,
) -> BoxFuture<'static, Option<Bytes>> {
    // What must wait says nothing of what we take.
    let run = Call { heard: None, ..call }.run(id, message, memory);
    let mut call = ended(entry, registration, run);
    match (&mut call).now_or_never() {
        Some(text) => ready(text).boxed(),
        None => call,
    }
}

/// The answer of an open request, unless it is withdrawn. No future of its own: one would hold what it waits for twice.
pub(super) fn ended(
    entry: Entry,
    registration: Option<AbortRegistration>,
    answered: impl Future<Output = Bytes> + Send + 'static,
) -> BoxFuture<'static, Option<Bytes>> {
    let ended = move |text| {
        // Before the answer leaves: the client may use the id again as soon as it has it.
        drop(entry);
        text
    };
    match registration {
        Some(registration) => Abortable::new(answered, registration).map(|text| ended(text.ok())).boxed(),
        None => answered.map(|text| ended(Some(text))).boxed(),
    }
}

/// The revision that an `initialize` asks for; or why it cannot begin anything: it asks for none, or declares more than
/// is kept of a client, or it comes from ourselves, whom we know by our mark among those that the message has passed.
pub(super) fn asked_revision<'a>(
    message: &'a Message,
    identity: &str,
    behind_itself: bool,
) -> Result<Cow<'a, str>, Fault> {
    let params = message.params().and_then(|params| params.object).map(|span| message.str(span));
    let asked = params.and_then(|params| member(params, "protocolVersion")).and_then(string);
    let asked = asked.ok_or_else(|| Fault::invalid_params("`params.protocolVersion` must be a string"))?;
    let declared = params.and_then(|params| member(params, "capabilities")).unwrap_or_default();
    if declared.len() > CAPABILITIES_BYTES_MAX {
        let text = format!("`params.capabilities` has more than {CAPABILITIES_BYTES_MAX} bytes");
        return Err(Fault::invalid_params(text));
    }
    refuse_loops(message, identity, behind_itself)?;
    Ok(asked)
}

/// The `result` of initialize.
fn greeting(hub: &Hub, revision: Revision, instructions: Option<&str>) -> String {
    let instructions =
        instructions.map(|text| format!(r#","instructions":{}"#, quote(text))).unwrap_or_default();
    format!(
        r#"{{"protocolVersion":"{}","capabilities":{},"serverInfo":{}{instructions}}}"#,
        revision.as_str(),
        capabilities::ours(revision),
        implementation(&hub.config().identity),
    )
}

fn caps(limits: &Limits) -> Caps {
    Caps { depth_max: limits.depth_max, elements_max: limits.elements_max }
}

/// Of so many requests the time of one with us is measured: reading the clock for each would be most of what that takes.
const MEASURED: u64 = 16;
/// The most that a client may declare: it is kept as long as the client is there, and told to servers of its own.
const CAPABILITIES_BYTES_MAX: usize = 64 * 1024;
/// How long `initialize` waits for the servers' instructions.
const GREETING: Duration = Duration::from_millis(25);
