//! The loop of one client connection that is a stream of lines: requests in, answers and notes out.
//!
//! One task serves the client; each open request is a future in it, so dropping the door drops every request.
//! It never stops reading while the client reads; a client that does not read stops only itself.

use super::asks::Asks;
use super::delivery::{Delivery, fit_response};
use super::news::{Given, News};
use super::session::Session;
use crate::config::Limits;
use crate::hub::Hub;
use crate::hub::begin::{Answer, Asked, response};
use crate::hub::seat::Seat;
use crate::mcp::capabilities;
use crate::mcp::method::Method;
use crate::mcp::revision::Revision;
use crate::upstream::exchange::Step;
use crate::wire::batch::batch;
use crate::wire::caps::Caps;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::flaw::BadMessage;
use crate::wire::id::Id;
use crate::wire::lines::{Line, Lines, one_line};
use crate::wire::members::{member, quote, string};
use crate::wire::message::{Head, Message, Params};
use bytes::{BufMut, Bytes, BytesMut};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use futures::stream::{AbortHandle, Abortable, FuturesUnordered, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// One client's connection: chunks of bytes from it, whole lines to it.
pub struct Door {
    session: Session,
    outbox: mpsc::Sender<Bytes>,
    /// What the servers say beside their answers.
    delivery: Delivery,
    /// Requests that have begun; the rest wait their turn.
    turns: Arc<Semaphore>,
    /// Our own mark, by which we know ourselves behind ourselves.
    identity: Arc<str>,
    /// We were started by ourselves: nothing is served, and the client hears why.
    behind_itself: bool,
    given: Given,
    calls: FuturesUnordered<BoxFuture<'static, ()>>,
}

/// Why a door closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The client closed its side, or nobody reads ours.
    Client,
    /// We are stopping.
    Us,
}

impl Door {
    pub fn new(session: Session, outbox: mpsc::Sender<Bytes>, identity: &str, behind_itself: bool) -> Self {
        let turns = Arc::new(Semaphore::new(session.seat.hub().config().limits.session_in_flight_max));
        let identity = Arc::from(identity);
        let (given, calls) = (Given::default(), FuturesUnordered::new());
        let delivery = Delivery {
            mail: session.seat.mail().clone(),
            asks: Asks::new(session.seat.mail().clone()),
            outbox: outbox.clone(),
            revision: Arc::default(),
            answered: CancellationToken::new(),
            begun: CancellationToken::new(),
        };
        Self { session, outbox, delivery, turns, identity, behind_itself, given, calls }
    }

    fn hub(&self) -> &Arc<Hub> {
        self.session.seat.hub()
    }

    /// Serves the client until either side is done.
    pub async fn serve(mut self, mut inbox: mpsc::Receiver<Bytes>) -> Closed {
        let seat = self.session.seat.clone();
        let limits = &seat.hub().config().limits;
        let stopping = seat.hub().stopping();
        let mut lines = Lines::new(limits.client_message_bytes_max);
        let mut news = News::new(seat.view(), self.given.clone());
        let (outbox, delivery) = (self.outbox.clone(), self.delivery.clone());
        let waiting_max = 2 * (limits.session_in_flight_max + limits.session_waiting_max);
        let ready = delivery.ready();
        let expired = delivery.asks.expired();
        tokio::pin!(ready, expired);
        loop {
            tokio::select! {
                // In this order: what a call has to say was said before what waits in the mail by now.
                biased;
                () = stopping.cancelled() => return Closed::Us,
                () = outbox.closed() => return Closed::Client,
                Some(()) = self.calls.next() => {}
                // A client that sends and never reads is not read either, from some point on.
                chunk = inbox.recv(), if self.calls.len() < waiting_max => match chunk {
                    Some(chunk) => {
                        lines.feed(&chunk);
                        while let Some(line) = lines.next() {
                            match line {
                                Ok(line) => self.hear(line),
                                Err(_) => return Closed::Client,
                            }
                        }
                    }
                    None => {
                        if let Some(line) = lines.finish() {
                            self.hear(line);
                        }
                        self.drain().await;
                        return Closed::Client;
                    }
                },
                note = news.next() => {
                    // A client that does not read gets the news when it reads again.
                    if note.texts().all(|text| outbox.try_send(text).is_ok()) {
                        news.told(&note);
                    }
                }
                room = &mut ready => {
                    // What came to a call in the meantime came before.
                    while let Some(Some(())) = self.calls.next().now_or_never() {}
                    delivery.deliver(room);
                    ready.set(delivery.ready());
                }
                texts = &mut expired => {
                    texts.into_iter().for_each(|text| self.send(text));
                    expired.set(delivery.asks.expired());
                }
            }
        }
    }

    /// The client hung up: what is about to be answered still may be.
    async fn drain(&mut self) {
        let answered = async { while self.calls.next().await.is_some() {} };
        timeout(DRAIN, answered).await.ok();
    }

    fn hear(&mut self, line: Line) {
        match line {
            Line::Text(text) => self.hear_text(text),
            Line::TooLong { id, bytes, response } => {
                let max = self.hub().config().limits.client_message_bytes_max;
                tracing::warn!(bytes, max, "a message over the limit from the client; skipped");
                let (id, text) = (
                    id.and_then(Id::parse),
                    format!("the message has {bytes} bytes, over the limit of {max} (limits.client_message)"),
                );
                match (response, id) {
                    (false, id) => {
                        let fault = Fault::ours(Reason::TooLarge, text).outcome(CallOutcome::NotSent);
                        self.send(fault.render(id.as_ref()));
                    }
                    (true, Some(id)) => self.delivery.asks.spoil(id.as_str(), &text),
                    (true, None) => {}
                }
            }
        }
    }

    fn hear_text(&mut self, text: Bytes) {
        let batches = self.session.agreed().is_some_and(|agreed| agreed.revision.batches());
        let limits = &self.hub().config().limits;
        match batch(&text, limits.batch_max) {
            None => {
                let reply =
                    self.parsed(text).map_or_else(|refusal| refusal, |message| self.hear_one(message));
                if let Some(reply) = reply {
                    self.take(reply);
                }
            }
            Some(_) if !batches => {
                let text = "a batch: only 2025-03-26 has them, and only after initialize";
                self.send(Fault::invalid_request(text).render(None));
            }
            Some(Err(bad)) => self.send(refuse(&bad)),
            Some(Ok(texts)) => self.hear_batch(texts),
        }
    }

    /// Each element goes the way of a single message; the answers come back together.
    fn hear_batch(&mut self, texts: Vec<Bytes>) {
        let mut pending = Vec::new();
        for text in texts {
            let reply = match self.parsed(text) {
                Ok(message) if message.method() == Some("initialize") => {
                    let fault = Fault::invalid_request("`initialize` must not be part of a batch");
                    Some(Reply::Now(fault.render(message.id().as_ref())))
                }
                Ok(message) => self.hear_one(message),
                Err(refusal) => refusal,
            };
            match reply {
                None => {}
                Some(Reply::Now(text)) => pending.push(futures::future::ready(Some(text)).boxed()),
                Some(Reply::Later(call)) => pending.push(call),
            }
        }
        if pending.is_empty() {
            return;
        }
        let outbox = self.outbox.clone();
        self.calls.push(
            async move {
                let mut line = BytesMut::from(&b"["[..]);
                for text in join_all(pending).await.into_iter().flatten() {
                    if line.len() > 1 {
                        line.put_u8(b',');
                    }
                    line.put_slice(&text);
                }
                line.put_u8(b']');
                if line.len() > 2 {
                    outbox.send(one_line(line.freeze())).await.ok();
                }
            }
            .boxed(),
        );
    }

    /// Sends what is there, or lets a call go on beside the others.
    fn take(&mut self, reply: Reply) {
        match reply {
            Reply::Now(text) => self.send(text),
            Reply::Later(call) => {
                let outbox = self.outbox.clone();
                let answered = async move {
                    if let Some(text) = call.await {
                        outbox.send(text).await.ok();
                    }
                };
                self.calls.push(answered.boxed());
            }
        }
    }

    /// A text as a message; or what is said to a text that is none, which is nothing to a broken answer.
    fn parsed(&self, text: Bytes) -> Result<Message, Option<Reply>> {
        let parsed = Message::parse_client(text, caps(&self.hub().config().limits));
        parsed.map_err(|bad| {
            if let (true, Some(id)) = (bad.response, &bad.id) {
                self.delivery.asks.spoil(id.as_str(), &bad.fault().text);
            }
            (!bad.response).then(|| Reply::Now(refuse(&bad)))
        })
    }

    /// One message. What it needs is decided here; what it waits for is in the future that it returns.
    fn hear_one(&mut self, message: Message) -> Option<Reply> {
        match message.head() {
            Head::Request { method, .. } => {
                let method = Method::parse(method.as_str(&message));
                let id = message.id()?;
                Some(self.request(id, method, message))
            }
            Head::Notification { method, params } => {
                self.notification(Method::parse(method.as_str(&message)), params, &message);
                None
            }
            Head::Response { id, .. } => {
                let id = id.map(|id| message.str(id)).unwrap_or_default();
                self.delivery.asks.answer(id, &message);
                None
            }
        }
    }

    fn notification(&self, method: Method, params: &Params, message: &Message) {
        match method {
            Method::Cancelled => {
                if let Some(id) = params.request_id.and_then(|id| Id::parse(message.slice(id))) {
                    self.session.open.cancel(&id);
                }
            }
            Method::Progress => {
                if let Some(token) = params.progress_token {
                    self.delivery.asks.progress(message.str(token), message);
                }
            }
            Method::Initialized => self.delivery.begun.cancel(),
            Method::RootsChanged => self.session.seat.roots_changed(message.text()),
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
            | Method::Other => {}
        }
    }

    fn request(&mut self, id: Id, method: Method, message: Message) -> Reply {
        let refused = |fault: Fault| Reply::Now(fault.render(Some(&id)));
        match (method, self.session.agreed()) {
            (Method::Ping, _) => Reply::Now(response(&id, b"{}")),
            (Method::Initialize, None) => self.initialize(id, &message),
            (Method::Initialize, Some(_)) => refused(Fault::invalid_request("`initialize` came before")),
            (Method::Other, _) => refused(Fault::method_not_found(message.method().unwrap_or_default())),
            (_, None) => refused(Fault::invalid_request("`initialize` must come first")),
            (_, Some(agreed)) => {
                // Some clients forget to say that they are initialized.
                self.delivery.begun.cancel();
                let limits = &self.hub().config().limits;
                let token =
                    message.params().and_then(|p| p.meta.as_ref()).and_then(|meta| meta.progress_token);
                let token = token.map(|token| message.str(token).len()).unwrap_or_default();
                if id.as_str().len().max(token) > limits.id_bytes_max {
                    let text = format!("an id or a token over {} bytes (limits.id)", limits.id_bytes_max);
                    return refused(Fault::invalid_request(text));
                }
                let waiting = limits.session_in_flight_max + limits.session_waiting_max;
                if self.session.open.len() >= waiting {
                    let text = "too many requests at once (limits.session_in_flight, limits.session_waiting)";
                    return refused(Fault::ours(Reason::Busy, text).outcome(CallOutcome::NotSent));
                }
                let Some(memory) = self.hub().buffer(message.text().len()) else {
                    let text = "too much is waiting in memory (limits.buffered)";
                    return refused(Fault::ours(Reason::Busy, text).outcome(CallOutcome::NotSent));
                };
                let patience = agreed.since + self.hub().config().first_list;
                let (handle, registration) = AbortHandle::new_pair();
                if !self.session.open.enter(&id, handle) {
                    return refused(Fault::invalid_request("a request with this id is open already"));
                }
                let call = Call {
                    seat: self.session.seat.clone(),
                    revision: agreed.revision,
                    turns: self.turns.clone(),
                    delivery: self.delivery.clone(),
                    given: self.given.clone(),
                    patience,
                    memory,
                };
                let answered = Abortable::new(call.run(id.clone(), message), registration);
                let open = self.session.open.clone();
                Reply::Later(
                    async move {
                        let text = answered.await.ok();
                        // Before the answer leaves: the client may use the id again as soon as it has it.
                        if text.is_some() {
                            open.leave(&id);
                        }
                        text
                    }
                    .boxed(),
                )
            }
        }
    }

    fn initialize(&mut self, id: Id, message: &Message) -> Reply {
        let params = message.params().and_then(|params| params.object).map(|span| message.str(span));
        let asked = params.and_then(|params| member(params, "protocolVersion")).and_then(string);
        let Some(asked) = asked else {
            let fault = Fault::invalid_params("`params.protocolVersion` must be a string");
            return Reply::Now(fault.render(Some(&id)));
        };
        if self.is_behind_itself(message) {
            let text = "this proxy is behind itself: one of its servers leads back to it";
            return Reply::Now(
                Fault::ours(Reason::Loop, text).outcome(CallOutcome::NotSent).render(Some(&id)),
            );
        }
        let revision = Revision::negotiate(&asked);
        let capabilities = params.and_then(|params| member(params, "capabilities")).unwrap_or("{}");
        self.delivery.revision.get_or_init(|| revision);
        self.session.agree(revision, capabilities);
        let (seat, answered) = (self.session.seat.clone(), self.delivery.answered.clone());
        Reply::Later(
            async move {
                let instructions = seat.hub().instructions(seat.caller(), GREETING).await;
                // Whatever waits leaves after the answer, which is on its way in the same breath.
                answered.cancel();
                Some(response(&id, greeting(seat.hub(), revision, instructions.as_deref()).as_bytes()))
            }
            .boxed(),
        )
    }

    /// Whether our own mark is among those that the message has passed.
    fn is_behind_itself(&self, message: &Message) -> bool {
        let hops = message.params().and_then(|params| params.meta.as_ref()).and_then(|meta| meta.hop);
        let hops = hops.and_then(|span| string(message.str(span)));
        self.behind_itself || hops.is_some_and(|hops| hops.split(' ').any(|hop| hop == &*self.identity))
    }

    /// Sends now, or beside the calls when the client is slow to read: the door itself never waits for it.
    fn send(&mut self, text: Bytes) {
        if let Err(TrySendError::Full(text)) = self.outbox.try_send(text) {
            let outbox = self.outbox.clone();
            self.calls.push(async move { outbox.send(text).await.unwrap_or_default() }.boxed());
        }
    }
}

/// What becomes of one message.
enum Reply {
    Now(Bytes),
    /// The answer, unless the request is withdrawn.
    Later(BoxFuture<'static, Option<Bytes>>),
}

/// One request on its way through the hub and back.
struct Call {
    seat: Arc<Seat>,
    revision: Revision,
    turns: Arc<Semaphore>,
    delivery: Delivery,
    given: Given,
    patience: Instant,
    memory: OwnedSemaphorePermit,
}

impl Call {
    async fn run(self, id: Id, message: Message) -> Bytes {
        let Ok(turn) = self.turns.clone().acquire_owned().await else {
            return Fault::ours(Reason::Stopping, "Braid is stopping").render(Some(&id));
        };
        let asked = Asked {
            seat: &self.seat,
            id: &id,
            message: &message,
            revision: self.revision,
            patience: self.patience,
            turns: vec![turn],
            memory: Some(self.memory),
        };
        let answer = self.seat.hub().begin(asked).await;
        let method = message.method().unwrap_or_default().to_owned();
        // What it asks is on its way: its text need not wait here for the answer.
        drop(message);
        let reply = match answer {
            Answer::Now(reply) => reply,
            Answer::List { text, kind, edition } => {
                self.given.give(kind, edition);
                return text;
            }
            Answer::Later(mut exchange) => loop {
                match exchange.next().await {
                    Step::Notify(note) => self.delivery.note(note, exchange.after()).await,
                    Step::Ask(ask) => self.delivery.ask(ask, exchange.after()).await,
                    Step::Done(reply) => {
                        // What its server said before the end must not come after it.
                        self.delivery.flush(exchange.after()).await;
                        break reply;
                    }
                }
            },
        };
        match reply {
            Ok(text) => one_line(fit_response(text, &method, self.revision)),
            Err(fault) => fault.render(Some(&id)),
        }
    }
}

/// The `result` of initialize.
fn greeting(hub: &Hub, revision: Revision, instructions: Option<&str>) -> String {
    let identity = &hub.config().identity;
    let title =
        identity.title.as_ref().map(|title| format!(r#","title":{}"#, quote(title))).unwrap_or_default();
    let instructions =
        instructions.map(|text| format!(r#","instructions":{}"#, quote(text))).unwrap_or_default();
    format!(
        r#"{{"protocolVersion":"{}","capabilities":{},"serverInfo":{{"name":{}{title},"version":"{}"}}{instructions}}}"#,
        revision.as_str(),
        capabilities::ours(revision),
        quote(&identity.name),
        env!("CARGO_PKG_VERSION"),
    )
}

/// The answer to a text that is no message, under its id if one can be read.
fn refuse(bad: &BadMessage) -> Bytes {
    bad.fault().render(bad.id.as_ref())
}

fn caps(limits: &Limits) -> Caps {
    Caps { depth_max: limits.depth_max, elements_max: limits.elements_max }
}

/// How long a client that hung up may still be answered.
const DRAIN: Duration = Duration::from_millis(150);
/// How long `initialize` waits for the servers' instructions.
const GREETING: Duration = Duration::from_millis(150);
