//! What all requests of one connection over HTTP have in common.
//!
//! Owns the headers that go with each: those of the configuration (`Headers`), the session that the server gave, the revision that
//! was agreed on. No header of a client ever comes here. It sends, and tells its stream what a failure means for the
//! whole connection; what an answer says, others read.

use super::super::carry::Express;
use super::super::fetch::{Address, Common, Fetch, FetchError, FetchRequest, FetchResponse};
use super::super::frame::{Frame, Freight, Load};
use super::super::oauth::TokenSource;
use super::super::stream::{Again, Lost, Stream};
use super::headers::{Credentials, Headers, Renewal, Worn};
use super::journey::Journey;
use super::mirrors;
use super::posting;
use super::refusal::{Refusal, Verdict};
use crate::config::Secret;
use crate::mcp::revision::Revision;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::CallId;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::future::ready;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Sends what one connection has to send.
pub(super) struct Courier {
    stream: Arc<Stream>,
    fetch: Arc<dyn Fetch>,
    url: Address,
    headers: Headers,
    /// Whose login its requests may show.
    login: Option<TokenSource>,
    session: OnceLock<HeaderValue>,
    /// What the last message said beside itself, and what the next says too if nothing of that has changed.
    said: Mutex<Option<Said>>,
    /// Places for what is still heard although nobody waits for it.
    lingering: Semaphore,
    tracker: TaskTracker,
    /// What is still said although the connection ends.
    last_words: TaskTracker,
}

/// What a request says beside itself.
#[derive(Clone)]
pub(super) struct Said {
    headers: Arc<Common>,
    /// What it wears of the configuration.
    worn: Arc<Worn>,
    has_session: bool,
    has_revision: bool,
}

/// A request that is on its way once it is awaited.
pub(super) struct Outgoing {
    fetching: BoxFuture<'static, Result<FetchResponse, FetchError>>,
    worn: Arc<Worn>,
}

/// Why there is no answer that says anything about the request.
#[derive(Debug)]
pub(super) enum Setback {
    Fetch(FetchError),
    /// The server wants other credentials than it has taken so far.
    Refused(Refusal),
    /// The same, and there are others by now.
    Renewed(Refusal),
}

impl Outgoing {
    /// Lets it get on.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<FetchResponse, FetchError>> {
        self.fetching.as_mut().poll(context)
    }

    /// The same request, of which that has come.
    pub(super) fn with(self, fetched: Result<FetchResponse, FetchError>) -> Self {
        Self { fetching: Box::pin(ready(fetched)), ..self }
    }
}

impl Courier {
    pub(super) fn new(
        stream: Arc<Stream>,
        fetch: Arc<dyn Fetch>,
        url: Address,
        (headers, login): (Headers, Option<TokenSource>),
        tracker: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            stream,
            fetch,
            url,
            headers,
            login,
            session: OnceLock::new(),
            said: Mutex::default(),
            lingering: Semaphore::new(LINGERING_MAX),
            tracker,
            last_words: TaskTracker::new(),
        })
    }

    pub(super) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    pub(super) fn url(&self) -> &Address {
        &self.url
    }

    pub(super) fn credentials(&self) -> Credentials {
        self.headers.credentials()
    }

    /// What the server is sent and nobody else may read.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let session = self.session.get().and_then(|id| id.to_str().ok()).map(Secret::new);
        let mut secrets = self.headers.worn().secrets();
        let login = self.login.iter().flat_map(|login| login.secrets());
        secrets.extend(self.url.secrets().into_iter().chain(session).chain(login));
        secrets
    }

    /// Runs beside the others, and is waited for when the whole ends.
    pub(super) fn spawn(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        self.tracker.spawn(work)
    }

    /// The same of what runs elsewhere.
    pub(super) fn counted(&self) -> TaskTrackerToken {
        self.tracker.token()
    }

    /// The same, but the end of the connection waits for it a little.
    pub(super) fn spawn_last_words(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.last_words.spawn(self.tracker.track_future(work));
    }

    /// Resolves when all that is said.
    pub(super) async fn last_words(&self) {
        self.last_words.close();
        self.last_words.wait().await;
    }

    /// Says what is no request. What was refused for its credentials was not taken, and nobody else would say it again: it
    /// goes once more, with others.
    pub(super) async fn say(&self, url: &Address, text: Bytes, load: Load) -> Result<FetchResponse, Setback> {
        let again = (text.len() <= AGAIN_BYTES_MAX).then(|| text.clone());
        match (self.sent(self.posting(url, text, load, &[]), None).await, again) {
            (Err(Setback::Renewed(_)), Some(text)) => {
                self.sent(self.posting(url, text, Load::nothing(), &[]), None).await
            }
            (posted, _) => posted,
        }
    }

    /// A message to be posted. `load` is dropped when it is written; `mirrored` is what of it stands in headers as well.
    pub(super) fn posting(
        &self,
        url: &Address,
        text: Bytes,
        load: Load,
        mirrored: &[(String, String)],
    ) -> Outgoing {
        let mut headers = HeaderMap::new();
        // Nothing that goes to a server of the handshake stands by itself, so none of it has to be read for that.
        if self.stream.revision().is_none_or(Revision::is_modern) {
            mirrors::put_on(&mut headers, &text, mirrored);
        }
        let said = self.said();
        let request = FetchRequest {
            method: Method::POST,
            url: url.clone(),
            common: said.headers,
            headers,
            body: text,
            departure: Some(Box::new(load)),
        };
        Outgoing { fetching: self.fetch.fetch(request), worn: said.worn }
    }

    /// What messages say beside themselves now.
    fn said(&self) -> Said {
        let worn = self.headers.worn();
        let (has_session, has_revision) = (self.has_session(), self.stream.revision().is_some());
        let mut last = self.said.lock();
        if let Some(said) = &*last
            && Arc::ptr_eq(&said.worn, &worn)
            && (said.has_session, said.has_revision) == (has_session, has_revision)
        {
            return said.clone();
        }
        let mut headers = self.headers_of(&worn, Some("application/json, text/event-stream"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let said = Said { headers: Arc::new(Common::new(headers)), worn, has_session, has_revision };
        last.insert(said).clone()
    }

    /// Asks for a stream of events; for the rest of one, after the event with this id.
    pub(super) async fn events(&self, after: Option<&HeaderValue>) -> Result<FetchResponse, Setback> {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(LAST_EVENT_ID, after.clone());
        }
        self.sent(self.bare(Method::GET, Some("text/event-stream"), headers), None).await
    }

    /// Ends the session at the server, if there is one.
    pub(super) async fn end_session(&self) {
        if self.session.get().is_some() {
            self.bare(Method::DELETE, None, HeaderMap::new()).fetching.await.ok();
        }
    }

    /// A request without a body.
    fn bare(&self, method: Method, accept: Option<&'static str>, headers: HeaderMap) -> Outgoing {
        let worn = self.headers.worn();
        let common = Arc::new(Common::new(self.headers_of(&worn, accept)));
        let url = self.url.clone();
        let request = FetchRequest { method, url, common, headers, body: Bytes::new(), departure: None };
        Outgoing { fetching: self.fetch.fetch(request), worn }
    }

    /// What stands in the head of a request to this server.
    fn headers_of(&self, worn: &Worn, accept: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(session) = self.session.get() {
            headers.insert(SESSION_ID, session.clone());
        }
        if let Some(revision) = self.stream.revision().filter(|revision| *revision >= Revision::V2025_06_18) {
            headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(revision.as_str()));
        }
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        }
        worn.put_on(&mut headers);
        headers
    }

    /// The server has taken what such a request wears, and answered it.
    pub(super) fn accepts(&self, outgoing: &Outgoing) {
        self.stream.comes();
        outgoing.worn.accepted();
    }

    /// Sends it; of a request, `call` is which.
    pub(super) async fn sent(
        &self,
        outgoing: Outgoing,
        call: Option<CallId>,
    ) -> Result<FetchResponse, Setback> {
        let Outgoing { fetching, worn } = outgoing;
        let response = fetching.await.map_err(Setback::Fetch)?;
        self.stream.comes();
        if response.status != StatusCode::UNAUTHORIZED {
            worn.accepted();
            return Ok(response);
        }
        Box::pin(self.refused_credentials(response, &worn, call)).await
    }

    /// The server wants other credentials than these.
    async fn refused_credentials(
        &self,
        response: FetchResponse,
        worn: &Arc<Worn>,
        call: Option<CallId>,
    ) -> Result<FetchResponse, Setback> {
        let others = self.stream.in_flight().saturating_sub(usize::from(call.is_some()));
        let renewal = self.headers.refused(worn, others).await;
        let refusal = || Refusal::of_credentials(self.stream.server(), &renewal);
        match renewal {
            Renewal::None => Ok(response),
            Renewal::Done => Err(Setback::Renewed(refusal())),
            Renewal::Failed(_) | Renewal::InVain => Err(Setback::Refused(refusal())),
        }
    }

    /// Takes the session that an answer to `initialize` gives. An id with other than visible ASCII is none
    /// (2025-11-25, basic/transports, Session Management).
    pub(super) fn take_session(&self, response: &FetchResponse) -> Result<(), Fault> {
        let Some(bytes) = response.headers.get(&SESSION_ID) else { return Ok(()) };
        let is_visible = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
        if !is_visible || bytes.len() > SESSION_ID_BYTES_MAX {
            let text = "gave a session id that is none: empty, too long, or not visible ASCII";
            return Err(self.fault(Reason::Unreachable, text));
        }
        // A copy: the text is a piece of all that was read with it, and stays as long as the session.
        let copied = HeaderValue::from_bytes(bytes);
        let mut id = copied.map_err(|_| self.fault(Reason::Unreachable, "gave a session id that is none"))?;
        id.set_sensitive(true);
        self.session.get_or_init(|| id);
        Ok(())
    }

    pub(super) fn has_session(&self) -> bool {
        self.session.get().is_some()
    }

    /// A place to be heard although nobody waits, if there is one.
    pub(super) fn lingers(&self) -> Option<SemaphorePermit<'_>> {
        self.lingering.try_acquire().ok()
    }

    /// A request was not sent, or there is no answer: the call fails. If nothing could be sent the connection is given up
    /// with it, unless others are still answered: what keeps us from sending, a shortage of our own say, is no word of theirs.
    pub(super) fn failed(&self, call: Option<CallId>, setback: &Setback) {
        match setback {
            Setback::Refused(refusal) | Setback::Renewed(refusal) => self.refused(call, refusal),
            Setback::Fetch(FetchError::NotSent(why)) => {
                self.fail(call, self.fault(Reason::Unreachable, why), CallOutcome::NotSent);
                if self.stream.in_flight() == 0 {
                    self.give_up(why.clone(), Reason::Unreachable, Again::InTime);
                }
            }
            Setback::Fetch(FetchError::Broken(why)) => {
                self.fail(call, self.fault(Reason::Gone, why), CallOutcome::Unknown);
            }
            Setback::Fetch(FetchError::Refused { why, wants_login }) => {
                let others = self.stream.in_flight().saturating_sub(usize::from(call.is_some()));
                let is_greeting = self.stream.revision().is_none();
                self.refused(call, &Refusal::of_login(why, *wants_login, is_greeting && others == 0));
            }
        }
    }

    /// The server has refused a request: so fails the call, and what it says about the connection is done.
    pub(super) fn refused(&self, call: Option<CallId>, refusal: &Refusal) {
        let fault = Fault { explain: refusal.explain, ..self.fault(refusal.reason, &refusal.why) };
        self.fail(call, fault, refusal.outcome);
        match &refusal.verdict {
            Verdict::Stays => {}
            Verdict::Lost { again, why } => self.give_up(why.clone(), refusal.reason, *again),
        }
    }

    pub(super) fn fail(&self, call: Option<CallId>, fault: Fault, outcome: CallOutcome) {
        match call {
            Some(call) => self.stream.fail(call, fault, outcome),
            None => tracing::warn!(why = fault.text, "a message could not be delivered"),
        }
    }

    pub(super) fn give_up(&self, why: impl Into<Cow<'static, str>>, reason: Reason, again: Again) {
        self.stream.give_up(Lost { why: why.into(), reason, again });
    }

    /// A fault about this server. `why` goes on after its name.
    pub(super) fn fault(&self, reason: Reason, why: &str) -> Fault {
        Fault::ours(reason, format!("{}: {why}", self.stream.server()))
    }
}

impl Express for Courier {
    fn post(self: Arc<Self>, request: Frame) -> Journey {
        match request.freight {
            Freight::Request(call) => posting::journey(self.clone(), &self.url, request, call),
            Freight::Setting(_)
            | Freight::Ping(_)
            | Freight::Probe(_)
            | Freight::Plain
            | Freight::First
            | Freight::Cancel(_) => Journey::of_others(),
        }
    }
}

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// A longer text that is no request is not kept to be said again.
const AGAIN_BYTES_MAX: usize = 64 * 1024;
/// Requests that nobody waits for and whose responses are still heard: their places at the server are others' by then.
const LINGERING_MAX: usize = 256;
/// A longer session id is not sent with every request.
const SESSION_ID_BYTES_MAX: usize = 4096;
