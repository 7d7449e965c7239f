//! Requests of 2026-07-28 over HTTP: each is a POST of its own, and its answer is that POST's.
//!
//! Owns the bases of all doors while they are used, and the forms of an answer: JSON if it is the first that is said and
//! comes soon, else a stream of events that ends with it. The client that does not read it any more has cancelled the
//! request (2026-07-28, basic/transports/streamable-http, cancellation): what runs for a request belongs to its response.

use super::answer::Answer;
use super::base::{Admission, Base, Room};
use super::call::Call;
use super::discover::discovered;
use super::ladder::{self, Fit, Head};
use super::listen::Listen;
use super::lobby::Lobby;
use crate::config::Listen as Listening;
use crate::downstream::edge::alarm::Alarm;
use crate::downstream::edge::content::Response;
use crate::downstream::http::endpoint::{Gate, Posting};
use crate::downstream::http::replies;
use crate::hub::entrance::Entrance;
use crate::mcp::caller::{Caller, Company, Grant};
use crate::mcp::method::Method;
use crate::mcp::mirror::Found;
use crate::upstream::allowance::Allowance;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::Id;
use crate::wire::message::{Head as Shape, Message};
use crate::wire::sse::{SsePieces, sse_comment};
use bytes::Bytes;
use foldhash::fast::RandomState;
use futures::future::BoxFuture;
use futures::{FutureExt, stream};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use std::any::Any;
use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// What they find.
pub(crate) struct Posts {
    lobby: Lobby,
    bases: Mutex<HashMap<Whose, Arc<Base>, RandomState>>,
    /// What those may have in memory together whose door was not opened yet.
    greeting: Allowance,
    room: Room,
    idle_max: Duration,
    stream_after: Duration,
    keep_alive: Duration,
    /// The tasks of requests.
    calls: TaskTracker,
    /// The tasks that forget bases. Nobody waits for them: what they keep is nobody's.
    keepers: TaskTracker,
}

/// Who comes in where.
type Whose = (Grant, Arc<str>);

impl Head for HeaderMap {
    fn header(&self, name: &str) -> Found<'_> {
        let mut values = self.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Found::Nothing,
            (Some(_), Some(_)) => Found::Repeated,
            (Some(value), None) => value.to_str().map_or(Found::Odd, |value| Found::Once(value.trim())),
        }
    }
}

impl Posts {
    pub(crate) fn new(lobby: Lobby, listen: &Listening, calls: TaskTracker) -> Self {
        let limits = &lobby.hub.config().limits;
        // As many as all the sessions that one principal may have could.
        let of_all = |each: usize| {
            each.saturating_mul(listen.limits.sessions_per_principal_max).min(limits.total_in_flight_max)
        };
        let room = Room {
            turns_max: of_all(limits.session_in_flight_max),
            waiting_max: of_all(limits.session_waiting_max),
        };
        Self {
            greeting: lobby.hub.allowance(Company::Many),
            bases: Mutex::default(),
            room,
            idle_max: listen.session_idle,
            stream_after: listen.stream_after,
            keep_alive: listen.keep_alive,
            calls,
            keepers: TaskTracker::new(),
            lobby,
        }
    }

    /// At how many doors somebody comes without a session, now or a while ago.
    pub(crate) fn len(&self) -> usize {
        self.bases.lock().len()
    }

    /// What a request may take of the memory while it is read.
    pub(crate) fn allowance(&self, grant: &Grant, entrance: &Entrance) -> Allowance {
        let base = self.bases.lock().get(&whose(grant, entrance)).cloned();
        base.map_or_else(|| self.greeting.clone(), |base| base.allowance().clone())
    }

    /// The answer to what was posted.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        gate: &Gate,
        grant: Grant,
        head: HeaderMap,
        message: Message,
        posting: Posting,
        alarm: &Alarm,
    ) -> Response {
        let refused = |fault: &Fault| replies::refusal(StatusCode::BAD_REQUEST, fault);
        match message.head() {
            Shape::Response { .. } => {
                return refused(&Fault::invalid_request("a client of this revision sends no responses"));
            }
            Shape::Notification { .. } => {
                let is_claimed = ladder::claims(&message);
                return match is_claimed.then(|| ladder::revision(&message, Some(&head))) {
                    Some(Err(fault)) => refused(&fault),
                    // None of them means anything over HTTP (2026-07-28, basic/transports/streamable-http).
                    Some(Ok(())) | None => replies::status(StatusCode::ACCEPTED),
                };
            }
            Shape::Request { .. } => {}
        }
        let id = message.id();
        match self.begin(gate, grant, head, message, posting) {
            Ok(Begun::Now(text)) => replies::json(StatusCode::OK, text),
            Ok(Begun::Later(flow)) => self.flowing(flow, alarm).await,
            Err(fault) => {
                let answer = Answer::fault(&fault, id.as_ref());
                replies::json(status(answer.code), answer.text)
            }
        }
    }

    fn begin(
        self: &Arc<Self>,
        gate: &Gate,
        grant: Grant,
        head: HeaderMap,
        message: Message,
        posting: Posting,
    ) -> Result<Begun, Fault> {
        let fit = match ladder::claims(&message) {
            true => ladder::climb(&message, Some(&head))?,
            false => return Err(ladder::unclaimed()),
        };
        self.lobby.refuse_loops(&message)?;
        self.lobby.refuse_long_ids(&message)?;
        if fit.method == Method::Discover {
            return Ok(Begun::Now(discovered(&self.lobby, &fit.id)));
        }
        let admission = self.admit(grant, &gate.entrance)?;
        let allowance = admission.0.allowance();
        let Some(memory) = posting.memory.or_else(|| allowance.request(message.text().len())) else {
            let text = "too much is waiting in memory (limits.buffered)";
            return Err(Fault::ours(Reason::Busy, text).outcome(CallOutcome::NotSent));
        };
        drop(posting.text);
        let (notes, said) = mpsc::channel(NOTES_MAX);
        let Fit { id, method, .. } = &fit;
        let (id, lobby) = (id.clone(), self.lobby.clone());
        let answer = match *method == Method::Listen {
            true => {
                let listen = Listen { lobby, admission, id: id.clone(), message, notes };
                let listening = async move {
                    let _memory = memory;
                    listen.run().await
                };
                AssertUnwindSafe(listening).catch_unwind().boxed()
            }
            false => {
                let call = Call { lobby, admission, fit, message, memory, head: Some(head), notes };
                AssertUnwindSafe(call.run()).catch_unwind().boxed()
            }
        };
        let runs = Runs::Here(answer, self.calls.token());
        Ok(Begun::Later(Flow { id, notes: said, runs }))
    }

    /// A place at what is kept for a grant at a door, from its first request on. It is taken under the lock under which
    /// what nobody uses is forgotten: two would else be kept for one.
    fn admit(self: &Arc<Self>, grant: Grant, entrance: &Entrance) -> Result<Admission, Fault> {
        let mut bases = self.bases.lock();
        let whose = whose(&grant, entrance);
        if let Some(base) = bases.get(&whose) {
            return base.admit();
        }
        if bases.len() >= BASES_MAX {
            let text = format!("{BASES_MAX} doors are in use at once; try again later");
            return Err(Fault::ours(Reason::Busy, text).outcome(CallOutcome::NotSent));
        }
        let hub = &self.lobby.hub;
        let client = hub.next_client();
        let caller = Caller { guest_of: Some(client), ..grant.caller(client) };
        let base = Base::open(hub.seat(caller, entrance), Base::SHARED, self.room);
        bases.insert(whose.clone(), base.clone());
        let admission = base.admit();
        self.keepers.spawn(hub.stopping().run_until_cancelled_owned(self.clone().keep(whose, base)));
        admission
    }

    /// Keeps a base until nobody has used it for long.
    async fn keep(self: Arc<Self>, whose: Whose, base: Arc<Base>) {
        loop {
            sleep(base.keeps(self.idle_max)).await;
            let mut bases = self.bases.lock();
            if base.keeps(self.idle_max).is_zero() {
                let gone = bases.remove(&whose);
                drop(bases);
                drop(gone);
                return tracing::debug!("nobody used a door without sessions for long");
            }
        }
    }

    /// Forgets every base: what they keep ends with what still uses it.
    #[expect(clippy::mutable_key_type, reason = "what a grant holds makes it no other key")]
    pub(crate) fn close(&self) {
        let gone = std::mem::take(&mut *self.bases.lock());
        drop(gone);
    }

    /// JSON if the answer is the first that is said and comes soon, else a stream.
    async fn flowing(&self, mut flow: Flow, alarm: &Alarm) -> Response {
        let mut until = None;
        let said = poll_fn(|cx| match flow.poll_next(cx) {
            Poll::Ready(said) => Poll::Ready(Some(said)),
            Poll::Pending => {
                let until = *until.get_or_insert_with(|| Instant::now() + self.stream_after);
                alarm.poll(cx, until).map(|()| None)
            }
        });
        let first = match said.await {
            Some(Said::Answer(answer)) => return replies::json(status(answer.code), answer.text),
            Some(Said::Note(text)) => Some(text),
            None => None,
        };
        flow.goes_on(&self.calls);
        Self::streamed(flow, first, self.keep_alive)
    }

    fn streamed(flow: Flow, first: Option<Bytes>, keep_alive: Duration) -> Response {
        let mut out = SsePieces::default();
        match first {
            Some(text) => out.event(None, Some(MESSAGE), &text),
            // Something at once, so that whatever stands between us lets the stream through.
            None => sse_comment(out.open(), "open"),
        }
        let rest = stream::unfold((Some(flow), Some(out)), move |(flow, first)| async move {
            let mut flow = flow?;
            if let Some(first) = first {
                return Some((first, (Some(flow), None)));
            }
            let mut out = SsePieces::default();
            let rest = match timeout(keep_alive, flow.next()).await {
                Ok(Said::Note(text)) => {
                    out.event(None, Some(MESSAGE), &text);
                    Some(flow)
                }
                Ok(Said::Answer(answer)) => {
                    out.event(None, Some(MESSAGE), &answer.text);
                    None
                }
                Err(_) => {
                    sse_comment(out.open(), "alive");
                    Some(flow)
                }
            };
            Some((out, (rest, None)))
        });
        replies::event_stream(rest)
    }
}

enum Begun {
    Now(Bytes),
    Later(Flow),
}

/// What one request is answered with. Dropped before its end it ends the request.
struct Flow {
    id: Id,
    notes: mpsc::Receiver<Bytes>,
    runs: Runs,
}

type Ended = Result<Answer, Box<dyn Any + Send>>;

/// A request until it has its answer.
enum Runs {
    /// Where its answer is awaited. Whoever waits for all requests waits for it.
    Here(BoxFuture<'static, Ended>, TaskTrackerToken),
    /// Beside whoever reads what it says, however slowly.
    Beside(AbortOnDropHandle<Ended>),
    /// Its answer waits for what was said before.
    Done(Option<Answer>),
}

enum Said {
    Note(Bytes),
    Answer(Answer),
}

impl Flow {
    /// What is said next.
    async fn next(&mut self) -> Said {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Said> {
        if let Poll::Ready(Some(text)) = self.notes.poll_recv(cx) {
            return Poll::Ready(Said::Note(text));
        }
        let answer = ready!(self.runs.poll(cx)).unwrap_or_else(|| {
            let fault = Fault::ours(Reason::Internal, "a fault of ours ended the request");
            Answer::fault(&fault.outcome(CallOutcome::Unknown), Some(&self.id))
        });
        // What was said while we looked comes first.
        match self.notes.try_recv() {
            Ok(text) => {
                self.runs = Runs::Done(Some(answer));
                Poll::Ready(Said::Note(text))
            }
            Err(_) => Poll::Ready(Said::Answer(answer)),
        }
    }

    /// From now on it runs beside whoever reads.
    fn goes_on(&mut self, calls: &TaskTracker) {
        self.runs = match std::mem::replace(&mut self.runs, Runs::Done(None)) {
            Runs::Here(call, _counted) => Runs::Beside(AbortOnDropHandle::new(calls.spawn(call))),
            runs @ (Runs::Beside(_) | Runs::Done(_)) => runs,
        };
    }
}

impl Runs {
    /// `None`: it ended without an answer.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Answer>> {
        match self {
            Self::Here(call, _) => call.as_mut().poll(cx).map(Result::ok),
            Self::Beside(task) => Pin::new(task).poll(cx).map(|ended| ended.ok().and_then(Result::ok)),
            Self::Done(answer) => Poll::Ready(answer.take()),
        }
    }
}

fn whose(grant: &Grant, entrance: &Entrance) -> Whose {
    (grant.clone(), entrance.label().clone())
}

/// What an answer is to HTTP, whoever made the error: a client before us and one before the server see the same. Where
/// nothing is said it is a success of HTTP, whatever the answer is; so is all that comes after a stream has begun.
///
/// What the official suite looks at, by scenario (2026-07-28): `server-stateless` wants 404 of -32601 for removed and unknown
/// methods, and 400 of -32602 for a `_meta` that lacks something, of -32020, of -32021 that the server raised, and of -32022;
/// `http-header-validation` and `http-custom-header-server-validation` want 400 of -32020. It leaves open what a server's
/// -32602 is (`sep-2164-resource-not-found`, `input-required-result-tampered-state` read the body alone), and asks for no
/// tool, prompt or cursor that is not there: there the servers of the official SDKs answer 400, and so do we.
fn status(code: Option<i64>) -> StatusCode {
    match code {
        Some(-32601) => StatusCode::NOT_FOUND,
        Some(-32700 | -32600 | -32602 | -32020 | -32021 | -32022) => StatusCode::BAD_REQUEST,
        Some(_) | None => StatusCode::OK,
    }
}

/// The name of an event that is a message.
const MESSAGE: &str = "message";
/// Notes that may wait for a client that reads slowly; what comes after waits at its server.
const NOTES_MAX: usize = 8;
/// Doors, each of one grant, that are kept at once.
const BASES_MAX: usize = 4096;
