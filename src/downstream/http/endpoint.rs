//! The Streamable HTTP endpoint: POST, GET and DELETE, each to its status code.
//!
//! Owns nothing but the order of the checks: head, session, body. What a message means is the session's affair, who
//! may come at all the edge's.

use super::head::{self, LAST_EVENT_ID, SESSION_ID};
use super::live::{self, Came, Live, Posted};
use super::replies::{self, Opening};
use super::sessions::{SessionId, Sessions};
use crate::config::{Auth, Listen};
use crate::downstream::admin::{Guests, Present};
use crate::downstream::edge::alarm::Alarm;
use crate::downstream::edge::body::{Whole, read_body};
use crate::downstream::edge::content::Response;
use crate::downstream::edge::serve::Asking;
use crate::downstream::events::Label;
use crate::downstream::login::Pages;
use crate::downstream::modern::ladder::{self, Claims};
use crate::downstream::modern::lobby::Lobby;
use crate::downstream::modern::posts::Posts;
use crate::downstream::oauth::Resource;
use crate::downstream::open::Ids;
use crate::downstream::outlet::Outlets;
use crate::downstream::replay::Replay;
use crate::downstream::session::{Session, asked_revision};
use crate::downstream::sse::Pipes;
use crate::downstream::streams::{Resumed, Streams};
use crate::hub::Hub;
use crate::hub::entrance::Entrance;
use crate::hub::seat::Seat;
use crate::mcp::caller::{Caller, Company, Grant, Principal};
use crate::mcp::revision::Revision;
use crate::upstream::allowance::{Allowance, Held};
use crate::wire::caps::Caps;
use crate::wire::fault::Fault;
use crate::wire::message::Message;
use bytes::Bytes;
use futures::FutureExt;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body::Body;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A path, and the servers that it leads to.
#[derive(Debug, Clone)]
pub struct Gate {
    pub path: Arc<str>,
    pub entrance: Entrance,
}

/// What a client posted.
#[derive(Debug)]
pub struct Posting {
    pub text: Bytes,
    /// Its room in memory.
    pub memory: Option<Held>,
}

/// What every request over HTTP finds.
pub struct Front {
    pub(crate) hub: Arc<Hub>,
    pub(crate) listen: Listen,
    pub(crate) sessions: Sessions,
    pub(crate) pipes: Pipes,
    replay: Arc<Replay>,
    pub(crate) identity: Arc<str>,
    pub(crate) behind_itself: bool,
    /// What those may have in memory together who have no session yet.
    greeting: Allowance,
    /// For whom the shared servers were started before anybody came, if it was known who would.
    pub(crate) warmed: Option<Principal>,
    /// What is told of us to those who need a token of an identity provider.
    pub(crate) resource: Option<Resource>,
    /// Where people log in, if there is such a place. Said before anybody is served.
    pub(crate) pages: OnceLock<Arc<Pages>>,
    /// The tasks of sessions.
    pub(crate) tracker: TaskTracker,
    /// The tasks of requests.
    calls: TaskTracker,
    /// Nothing new is begun any more.
    closing: CancellationToken,
    /// The same for those who only look.
    is_closing: AtomicBool,
    /// Requests that stand by themselves.
    modern: Arc<Posts>,
    claims: Claims,
}

impl Front {
    pub fn new(
        hub: Arc<Hub>,
        listen: Listen,
        identity: &str,
        behind_itself: bool,
        warmed: impl Into<Option<Principal>>,
    ) -> Arc<Self> {
        let (calls, closing) = (TaskTracker::new(), CancellationToken::new());
        let lobby = Lobby::new(hub.clone(), identity, behind_itself, closing.clone());
        Arc::new(Self {
            modern: Arc::new(Posts::new(lobby, &listen, calls.clone())),
            greeting: hub.allowance(Company::Many),
            hub,
            sessions: Sessions::new(listen.limits.sessions_max, listen.limits.sessions_per_principal_max),
            pipes: Pipes::default(),
            replay: Arc::new(Replay::new(&listen.limits)),
            resource: listen.oauth.as_ref().filter(|_| listen.auth == Auth::OAuth).map(Resource::new),
            listen,
            identity: Arc::from(identity),
            behind_itself,
            warmed: warmed.into(),
            pages: OnceLock::new(),
            tracker: TaskTracker::new(),
            calls,
            closing,
            is_closing: AtomicBool::new(false),
            claims: Claims::default(),
        })
    }

    /// People log in there from now on. Of two the first holds; to be said before the routes are made.
    pub fn has_pages(&self, pages: Arc<Pages>) {
        self.pages.set(pages).ok();
    }

    /// We are about to stop: nothing new is begun, and streams on which nothing is awaited end.
    pub fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        self.closing.cancel();
        self.calls.close();
        self.modern.close();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    /// Who is there now. Of clients without a session, the doors that they come by are counted.
    pub fn present(&self) -> Present {
        let guests = |transport, era, count| Guests { transport, era, count };
        let guests = vec![
            guests("http", "handshake", self.sessions.len()),
            guests("sse", "handshake", self.pipes.len()),
            guests("http", "stateless", self.modern.len()),
        ];
        Present { guests, replay_bytes: self.replay.kept_bytes() }
    }

    /// Whether nothing is left of any client: no session, no stream of 2024, no request and no task of theirs.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.pipes.is_empty() && self.tracker.is_empty() && self.calls.is_empty()
    }

    /// Resolves when every request has its answer.
    pub async fn quiet(&self) {
        self.calls.wait().await;
        while self.hub.in_flight() > 0 {
            sleep(LOOK).await;
        }
    }

    /// One request at a door. `alarm`: one that its client waits by for nothing else.
    pub async fn handle<B: Asking>(
        self: &Arc<Self>,
        gate: &Gate,
        grant: Grant,
        request: Request<B>,
        alarm: &Alarm,
    ) -> Response {
        let (Parts { method, headers, .. }, body) = request.into_parts();
        if method == Method::POST {
            return self.post(gate, grant, headers, body, alarm).await;
        }
        if self.is_closing() {
            return replies::stopping();
        }
        let answered = match method {
            Method::GET | Method::DELETE if head::is_modern(&headers) => Ok(replies::wrong_method("POST")),
            Method::GET => self.get(&gate.path, &grant, &headers),
            Method::DELETE => self.delete(&gate.path, &grant, &headers),
            _ => Ok(replies::wrong_method("GET, POST, DELETE")),
        };
        answered.unwrap_or_else(|refusal| *refusal)
    }

    /// A POST at a door.
    pub(super) fn post<'a, B: Asking>(
        self: &'a Arc<Self>,
        gate: &'a Gate,
        grant: Grant,
        headers: HeaderMap,
        body: B,
        alarm: &'a Alarm,
    ) -> impl Future<Output = Response> + Send + 'a {
        let posting = self.posting(gate, grant, headers, body, alarm);
        posting.map(|answered| answered.unwrap_or_else(|refusal| *refusal))
    }

    async fn posting<B: Asking>(
        self: &Arc<Self>,
        gate: &Gate,
        grant: Grant,
        headers: HeaderMap,
        mut body: B,
        alarm: &Alarm,
    ) -> Result<Response, Box<Response>> {
        if self.is_closing() {
            return Err(Box::new(replies::stopping()));
        }
        let named = match head::usual(&headers) {
            Some(head::Usual { session }) => session,
            None => {
                fit(head::fit_post(&headers))?;
                if !head::is_of_session(&headers) {
                    return Box::pin(self.post_alone(gate, grant, headers, body, alarm)).await;
                }
                fit(head::session_id(&headers))?
            }
        };
        let known = match named {
            Some(id) => Some(self.find(id, &grant, &gate.path)?),
            None => None,
        };
        // Who has no session yet has no part of the memory either: it can only begin one.
        let allowance = known.as_ref().map_or(&self.greeting, |live| live.allowance());
        let posting = self.read(&mut body, allowance, alarm).await?;
        if let (false, Some(message)) = (self.is_closing(), self.claimed(&posting)) {
            let answer = self.modern.answer(gate, grant, headers, message, posting, alarm);
            return Ok(Box::pin(answer).await);
        }
        // A body takes its time: what was so before it may be over.
        match known {
            _ if self.is_closing() => Err(Box::new(replies::stopping())),
            Some(live) if live.is_over() => Err(Box::new(replies::unknown_session())),
            Some(live) => {
                let posted = live.post(posting);
                Ok(self.posted(&live, posted, self.listen.stream_after, headers, alarm).await)
            }
            None => Box::pin(self.begin(gate, grant, posting, alarm)).await,
        }
    }

    /// A POST whose head says that it stands by itself, or that it is of a revision that nobody speaks.
    async fn post_alone<B: Asking>(
        self: &Arc<Self>,
        gate: &Gate,
        grant: Grant,
        head: HeaderMap,
        body: B,
        alarm: &Alarm,
    ) -> Result<Response, Box<Response>> {
        let allowance = self.modern.allowance(&grant, &gate.entrance);
        let posting = self.read(body, &allowance, alarm).await?;
        if self.is_closing() {
            return Err(Box::new(replies::stopping()));
        }
        let message = Message::parse_client(posting.text.clone(), self.caps()).map_err(|bad| {
            Box::new(replies::json(StatusCode::BAD_REQUEST, bad.fault().render(bad.id.as_ref())))
        })?;
        match ladder::claims(&message) || head::is_modern(&head) {
            true => Ok(self.modern.answer(gate, grant, head, message, posting, alarm).await),
            false => {
                fit(head::fit_version(&head))?;
                Ok(replies::status(StatusCode::BAD_REQUEST))
            }
        }
    }

    /// The message, if it says by itself which revision it is of, whatever its head says.
    fn claimed(&self, posting: &Posting) -> Option<Message> {
        if !self.claims.may_be_in(&posting.text) {
            return None;
        }
        let message = Message::parse_client(posting.text.clone(), self.caps()).ok()?;
        ladder::claims(&message).then_some(message)
    }

    fn caps(&self) -> Caps {
        let limits = &self.hub.config().limits;
        Caps { depth_max: limits.depth_max, elements_max: limits.elements_max }
    }

    /// A place at the hub, its servers started.
    pub(crate) fn seat(&self, caller: Caller, entrance: &Entrance) -> Arc<Seat> {
        let seat = self.hub.seat(caller, entrance);
        if self.behind_itself {
            return seat;
        }
        for fault in seat.open() {
            tracing::warn!(why = fault.text, "not started");
        }
        seat
    }

    /// A body, and its room in memory, of what its client is allowed.
    pub(crate) async fn read(
        &self,
        body: impl Body<Data = Bytes> + Unpin,
        allowance: &Allowance,
        alarm: &Alarm,
    ) -> Result<Posting, Box<Response>> {
        let max = self.hub.config().limits.client_message_bytes_max;
        match read_body(body, max, self.listen.limits.body_within, alarm, allowance.pieces()).await {
            Ok(Whole { bytes, memory }) => {
                let memory = memory.into_iter().reduce(|mut all, more| {
                    all.merge(more);
                    all
                });
                Ok(Posting { text: bytes, memory })
            }
            Err(unread) => Err(Box::new(unread.response())),
        }
    }

    /// A text without a session: it must begin one.
    async fn begin(
        self: &Arc<Self>,
        gate: &Gate,
        grant: Grant,
        posting: Posting,
        alarm: &Alarm,
    ) -> Result<Response, Box<Response>> {
        let caps = self.caps();
        let refused = |fault: Fault| Box::new(replies::refusal(StatusCode::BAD_REQUEST, &fault));
        let message =
            Message::parse_client(posting.text.clone(), caps).map_err(|bad| refused(bad.fault()))?;
        if message.method() != Some("initialize") || message.id().is_none() {
            let text = "`Mcp-Session-Id` is missing; `initialize` begins a session";
            return Err(refused(Fault::invalid_request(text)));
        }
        // Nothing is started for one who cannot begin.
        if let Err(fault) = asked_revision(&message, &self.identity, self.behind_itself) {
            return Ok(replies::json(StatusCode::OK, fault.render(message.id().as_ref())));
        }
        let admission = self.sessions.admit(&grant.principal).map_err(|setting| {
            Box::new(replies::busy(format!("too many sessions ({setting}); end one with DELETE")))
        })?;
        let id = SessionId::new().ok_or_else(|| Box::new(replies::no_randomness()))?;
        let caller = grant.caller(self.hub.next_client());
        let streams = Streams::new(&self.replay);
        let outlets = Outlets::Streams(streams.clone());
        let session = Session::new(
            self.seat(caller, &gate.entrance),
            outlets,
            Ids::PerExchange,
            &self.identity,
            self.behind_itself,
        );
        let live = Live::new(live::Parts {
            session,
            streams,
            grant,
            door: gate.path.clone(),
            idle_max: self.listen.session_idle,
            tracker: self.calls.clone(),
            admission,
        });
        let posted = live.post(posting);
        if !live.has_agreed() {
            // It has failed, and nothing is left of it.
            return Ok(self.posted(&live, posted, GREETED, HeaderMap::new(), alarm).await);
        }
        let key = id.key();
        self.sessions.enter(key, live.clone());
        let (front, served) = (self.clone(), live.clone());
        self.tracker.spawn(async move {
            served.serve(front.hub.stopping()).await;
            front.sessions.leave(&key);
        });
        let within = GREETED.max(self.listen.stream_after);
        let mut response = self.posted(&live, posted, within, HeaderMap::new(), alarm).await;
        if let Ok(value) = HeaderValue::from_str(id.expose()) {
            response.headers_mut().insert(SESSION_ID, value);
        }
        Ok(response)
    }

    /// The answer to a POST: JSON if it comes first and within this time, else a stream. `room`: the head of the POST, that of
    /// the answer takes its place.
    async fn posted(
        &self,
        live: &Live,
        posted: Posted,
        within: Duration,
        room: HeaderMap,
        alarm: &Alarm,
    ) -> Response {
        let mut awaited = match posted {
            Posted::Nothing => return replies::status(StatusCode::ACCEPTED),
            Posted::Now(text) => return replies::json(StatusCode::OK, text),
            Posted::Refused(text) => return replies::json(StatusCode::BAD_REQUEST, text),
            Posted::Later(awaited) => awaited,
        };
        let mut until = None;
        let came = poll_fn(|cx| match awaited.poll(cx) {
            Poll::Ready(came) => Poll::Ready(Some(came)),
            Poll::Pending => {
                let until = *until.get_or_insert_with(|| Instant::now() + within);
                alarm.poll(cx, until).map(|()| None)
            }
        });
        let opening = match came.await {
            Some(Came::Answer(text)) => return replies::json_in(room, text),
            // Its session has ended, and it with it.
            Some(Came::Nothing) if live.is_over() => return replies::unknown_session(),
            // It was cancelled: nothing will come, and there is nothing to come back for.
            Some(Came::Nothing) => Opening::Plain,
            Some(Came::Word) | None => {
                // Before anything of it is read: from now on all of it can be read again.
                live.streams().keep(awaited.events());
                opening(live.revision(), 0)
            }
        };
        let closing = CancellationToken::new();
        replies::Stream { cursor: awaited.beside(), opening, closing }.response(self.listen.keep_alive)
    }

    fn get(&self, door: &str, grant: &Grant, headers: &HeaderMap) -> Result<Response, Box<Response>> {
        fit(head::fit_get(headers))?;
        fit(head::fit_version(headers))?;
        let live = self.named(headers, grant, door)?;
        let (cursor, before) = match resumed(headers)? {
            Some((label, after)) => match (live.streams().resume(label, after), label) {
                (Resumed::Reads(cursor), _) => (cursor, after),
                // A stream that ends at once would be asked for again, and for ever; who is told this comes no more.
                (Resumed::Over, _) => return Ok(replies::status(StatusCode::NO_CONTENT)),
                // A general stream that is forgotten is as good as a new one: nothing waits on it.
                (Resumed::Forgotten, Label::General(_)) => (live.streams().general(), 0),
                (Resumed::Forgotten, Label::Answer(_)) => {
                    let fault =
                        Fault::invalid_request("nothing is kept of the stream of this `Last-Event-ID`");
                    return Err(Box::new(replies::refusal(StatusCode::BAD_REQUEST, &fault)));
                }
            },
            None => (live.streams().general(), 0),
        };
        if live.is_over() {
            // Its streams have ended meanwhile, and nobody would end this one.
            return Err(Box::new(replies::unknown_session()));
        }
        live.streams().keep(cursor.events());
        // Where an answer is awaited it is still given when we stop; what only waits for news ends.
        let closing = match cursor.events().label() {
            Label::Answer(_) => CancellationToken::new(),
            Label::General(_) => self.closing.clone(),
        };
        let events = replies::Stream { cursor, opening: opening(live.revision(), before), closing };
        Ok(events.response(self.listen.keep_alive))
    }

    fn delete(&self, door: &str, grant: &Grant, headers: &HeaderMap) -> Result<Response, Box<Response>> {
        fit(head::fit_version(headers))?;
        self.named(headers, grant, door)?.end();
        Ok(replies::status(StatusCode::NO_CONTENT))
    }

    /// The session that a request must name.
    fn named(&self, headers: &HeaderMap, grant: &Grant, door: &str) -> Result<Arc<Live>, Box<Response>> {
        match fit(head::session_id(headers))? {
            Some(id) => self.find(id, grant, door),
            None => {
                let fault = Fault::invalid_request("`Mcp-Session-Id` is missing");
                Err(Box::new(replies::refusal(StatusCode::BAD_REQUEST, &fault)))
            }
        }
    }

    fn find(&self, id: &str, grant: &Grant, door: &str) -> Result<Arc<Live>, Box<Response>> {
        let live = self.sessions.find(id, grant, door);
        let live = live.ok_or_else(|| Box::new(replies::unknown_session()))?;
        live.touch();
        Ok(live)
    }
}

/// Where a client reads on: the stream and the last event that it has got.
fn resumed(headers: &HeaderMap) -> Result<Option<(Label, u64)>, Box<Response>> {
    if !headers.contains_key(LAST_EVENT_ID) {
        return Ok(None);
    }
    let id = head::one(headers, &LAST_EVENT_ID).and_then(|id| id.rsplit_once('-'));
    let read = id.and_then(|(label, number)| Some((Label::parse(label)?, number.parse().ok()?)));
    match read {
        Some(read) => Ok(Some(read)),
        None => {
            let fault = Fault::invalid_request("`Last-Event-ID` is none of this session's");
            Err(Box::new(replies::refusal(StatusCode::BAD_REQUEST, &fault)))
        }
    }
}

fn opening(revision: Revision, before: u64) -> Opening {
    if revision >= Revision::V2025_11_25 { Opening::Primed(before) } else { Opening::Plain }
}

fn fit<T>(checked: Result<T, head::Unfit>) -> Result<T, Box<Response>> {
    checked.map_err(|unfit| Box::new(replies::unfit(unfit)))
}

/// How long `initialize` may take to be answered as JSON: longer than it waits for the servers' instructions.
const GREETED: Duration = Duration::from_millis(500);
/// How often we look whether the last request is done, on the way out.
const LOOK: Duration = Duration::from_millis(20);
