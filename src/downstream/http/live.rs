//! One session over HTTP while it lives: its streams, its requests, and when it ends.
//!
//! One task per session carries what belongs to no request, and ends the session when nobody has used it for long.
//! Each request runs where its answer is awaited, and in a task of its own from when nobody waits there any more: a client
//! that loses its connection has not cancelled it (2025-11-25, basic/transports, sending messages).

use super::endpoint::Posting;
use super::sessions::Admission;
use crate::downstream::events::{Cursor, Events};
use crate::downstream::news::{News, Note};
use crate::downstream::outlet::Outlet;
use crate::downstream::session::{Reply, Session};
use crate::downstream::streams::Streams;
use crate::mcp::caller::Grant;
use crate::mcp::revision::Revision;
use crate::upstream::allowance::Allowance;
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// A session and what runs in it.
pub(crate) struct Live {
    session: Session,
    streams: Arc<Streams>,
    /// Whose it is.
    grant: Grant,
    /// The route at which it was begun; it is unknown at every other.
    door: Arc<str>,
    /// When it was used last.
    used: Mutex<Instant>,
    idle_max: Duration,
    over: CancellationToken,
    /// The same for those who only look.
    is_over: AtomicBool,
    tracker: TaskTracker,
    /// Its place among the sessions, until it ends: what still holds it then is on its way out.
    admission: Mutex<Option<Admission>>,
}

/// A request while it runs. However it ends, its stream does too.
struct Running {
    live: Arc<Live>,
    events: Arc<Events>,
    /// Whoever waits for all requests waits for it.
    _counted: TaskTrackerToken,
}

/// A request that runs for whoever waits for its answer.
pub(super) struct Awaited {
    here: Here,
    cursor: Cursor,
}

/// What runs here until it is done; dropped before, it goes on in a task of its own.
struct Here(Option<(Running, BoxFuture<'static, Option<Bytes>>)>);

/// What comes first of an answer.
pub(super) enum Came {
    Answer(Bytes),
    /// Something that is said before it.
    Word,
    /// There is no answer.
    Nothing,
}

/// What a POST brought.
pub(super) enum Posted {
    /// Nothing is to be answered.
    Nothing,
    Now(Bytes),
    Refused(Bytes),
    Later(Awaited),
}

/// What a session is made of.
pub(super) struct Parts {
    pub(super) session: Session,
    pub(super) streams: Arc<Streams>,
    pub(super) grant: Grant,
    pub(super) door: Arc<str>,
    pub(super) idle_max: Duration,
    pub(super) tracker: TaskTracker,
    pub(super) admission: Admission,
}

impl Live {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let Parts { session, streams, grant, door, idle_max, tracker, admission } = parts;
        let (used, over) = (Mutex::new(Instant::now()), CancellationToken::new());
        Arc::new(Self {
            session,
            streams,
            grant,
            door,
            used,
            idle_max,
            over,
            is_over: AtomicBool::new(false),
            tracker,
            admission: Mutex::new(Some(admission)),
        })
    }

    pub(super) fn grant(&self) -> &Grant {
        &self.grant
    }

    pub(super) fn door(&self) -> &str {
        &self.door
    }

    pub(super) fn streams(&self) -> &Arc<Streams> {
        &self.streams
    }

    pub(super) fn allowance(&self) -> &Allowance {
        self.session.seat().allowance()
    }

    /// What was agreed on; the latest before that.
    pub(super) fn revision(&self) -> Revision {
        self.session.agreed().map_or(Revision::LATEST, |agreed| agreed.revision)
    }

    pub(super) fn has_agreed(&self) -> bool {
        self.session.agreed().is_some()
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Ends it now: its requests are cancelled, its own servers end.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.over.cancel();
        self.streams.end();
        self.admission.lock().take();
    }

    /// It is used, so it does not end for being idle.
    pub(super) fn touch(&self) {
        *self.used.lock() = Instant::now();
    }

    /// One text of the client's.
    pub(super) fn post(self: &Arc<Self>, posting: Posting) -> Posted {
        let Posting { text, memory } = posting;
        self.touch();
        let cursor = self.streams.answer();
        let events = cursor.events().clone();
        match self.session.hear(text, memory, &Outlet::Events(events.clone())) {
            Reply::Nothing | Reply::Ends(_) => Posted::Nothing,
            // Nobody lies anywhere but at a door of one thread.
            Reply::Lies(berth) => {
                berth.raise();
                Posted::Nothing
            }
            Reply::Now(text) => Posted::Now(text),
            Reply::Refused(text) => Posted::Refused(text),
            Reply::Later { id, call, .. } => {
                events.is_asked_by(id);
                self.streams.awaits(&events);
                Posted::Later(Awaited { here: self.run(call, events), cursor })
            }
        }
    }

    fn run(self: &Arc<Self>, call: BoxFuture<'static, Option<Bytes>>, events: Arc<Events>) -> Here {
        let running = Running { live: self.clone(), events, _counted: self.tracker.token() };
        Here(Some((running, call)))
    }

    /// Carries what belongs to no request, until the session is over.
    pub(super) async fn serve(self: Arc<Self>, stopping: CancellationToken) {
        let delivery = self.session.delivery().clone();
        let mut news = self.session.news();
        let ready = delivery.ready();
        let expired = delivery.asks.expired();
        tokio::pin!(ready, expired);
        let mut next_look = Instant::now() + LOOK;
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => {
                    self.drain().await;
                    break;
                }
                () = self.over.cancelled() => break,
                room = &mut ready => {
                    delivery.deliver(room);
                    ready.set(delivery.ready());
                }
                note = self.hears_of(&mut news) => {
                    // A client that does not read gets the news when it reads again.
                    let said = |text| self.streams.try_general_place().map(|place| place.say(text)).is_some();
                    if note.texts().all(said) {
                        news.told(&note);
                    }
                }
                texts = &mut expired => {
                    for text in texts {
                        // A client that listens to nothing has nothing to take back.
                        if let Some(place) = self.streams.try_place() {
                            place.say(text);
                        }
                    }
                    expired.set(delivery.asks.expired());
                }
                () = sleep_until(next_look) => {
                    let now = Instant::now();
                    self.streams.sweep(now);
                    if self.is_idle(now) {
                        tracing::debug!("nobody used a session for long");
                        break;
                    }
                    next_look = now + LOOK;
                }
            }
        }
        self.end();
        tracing::debug!(ambiguous_cancels = self.session.ambiguous_cancels(), "a session is over");
    }

    /// The servers end, and with them what is in flight: its clients hear why before their streams end.
    async fn drain(&self) {
        let answered = async {
            while self.session.in_flight() > 0 {
                sleep(SOON).await;
            }
        };
        timeout(DRAIN, answered).await.ok();
    }

    /// News for a client that listens. Cancel-safe.
    async fn hears_of(&self, news: &mut News) -> Note {
        loop {
            self.streams.listening().await;
            let note = news.next().await;
            if self.streams.listens() {
                return note;
            }
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        if self.streams.is_read() || self.session.in_flight() > 0 {
            // Its time begins when that is over.
            self.touch();
            return false;
        }
        // One that was begun and never worked with makes room soon.
        let patience = if self.session.has_begun() { self.idle_max } else { self.idle_max.min(BEGIN) };
        *self.used.lock() + patience <= now
    }
}

impl Awaited {
    /// What comes first. Once it is there, this is asked no more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Came> {
        if let Some(text) = self.here.poll(cx, &self.cursor) {
            return Poll::Ready(Came::Answer(text));
        }
        match ready!(self.cursor.poll_answered(cx)) {
            Some(true) => {
                let said = ready!(self.cursor.poll_next(cx));
                Poll::Ready(said.map_or(Came::Nothing, |said| Came::Answer(said.text)))
            }
            Some(false) => Poll::Ready(Came::Word),
            None => Poll::Ready(Came::Nothing),
        }
    }

    pub(super) fn events(&self) -> &Arc<Events> {
        self.cursor.events()
    }

    /// Lets it go on beside whoever reads what it says.
    pub(super) fn beside(self) -> Cursor {
        self.cursor
    }
}

impl Here {
    /// Lets it get on. Its answer, if that is all it said; however else it ended, its stream says so.
    fn poll(&mut self, cx: &mut Context<'_>, cursor: &Cursor) -> Option<Bytes> {
        let (running, call) = self.0.as_mut()?;
        let ended = match running.live.is_over() {
            true => Ok(None),
            // A fault of ours ends this request, and not all that comes by its connection.
            false => match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
                Ok(Poll::Pending) => return None,
                Ok(Poll::Ready(answered)) => Ok(answered),
                Err(panic) => Err(panic),
            },
        };
        let (running, call) = self.0.take()?;
        drop(call);
        match ended {
            Ok(Some(text)) => return running.events.answer_at_once(text, cursor),
            Ok(None) => running.ends_with(None),
            // Its end says why.
            Err(_) => {}
        }
        None
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let Some((running, call)) = self.0.take() else { return };
        // Where nothing runs any more, it ends with the rest.
        if Handle::try_current().is_err() {
            return;
        }
        let tracker = running.live.tracker.clone();
        tracker.spawn(async move {
            let answered = running.live.over.run_until_cancelled(call).await.flatten();
            running.ends_with(answered);
        });
    }
}

impl Running {
    fn ends_with(&self, answered: Option<Bytes>) {
        match answered {
            Some(text) => self.events.answer(text),
            None if self.live.is_over() => self.events.cut_off(),
            // It was cancelled.
            None => self.events.end(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What has ended by now stays as it ended: this is for what did not come so far.
        self.events.fail();
        self.live.streams.settle(&self.events);
        self.live.touch();
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Live({})", self.door)
    }
}

/// How often a session looks whether it is still used, and what may be forgotten.
const LOOK: Duration = Duration::from_secs(5);
/// How long after `initialize` a client has to begin.
const BEGIN: Duration = Duration::from_secs(30);
/// How long requests may take to end with their servers, when we leave; and how often we look.
const DRAIN: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ListenLimits};
    use crate::downstream::http::sessions::Sessions;
    use crate::downstream::open::Ids;
    use crate::downstream::outlet::Outlets;
    use crate::downstream::replay::Replay;
    use crate::hub::Hub;
    use crate::mcp::caller::Principal;
    use crate::wire::id::Id;
    use futures::FutureExt;
    use std::future::poll_fn;
    use std::path::Path;

    fn live() -> Arc<Live> {
        let hub = Hub::new(Arc::new(Config::new("a house", Path::new("/"))), vec![], "", TaskTracker::new());
        let grant = Grant::plain(Principal::anonymous());
        let caller = grant.caller(hub.next_client());
        let seat = hub.seat(caller, &hub.entrance_all());
        let streams = Streams::new(&Arc::new(Replay::new(&ListenLimits::default())));
        let outlets = Outlets::Streams(streams.clone());
        Live::new(Parts {
            session: Session::new(seat, outlets, Ids::PerExchange, "a mark", false),
            streams,
            door: Arc::from("/mcp"),
            idle_max: Duration::MAX,
            tracker: TaskTracker::new(),
            admission: Sessions::new(1, 1).admit(&grant.principal).unwrap(),
            grant,
        })
    }

    /// A request with the id `a`.
    fn asks(live: &Arc<Live>, call: BoxFuture<'static, Option<Bytes>>) -> Awaited {
        let cursor = live.streams.answer();
        let events = cursor.events().clone();
        events.is_asked_by(Id::parse(Bytes::from_static(b"\"a\"")));
        live.streams.awaits(&events);
        Awaited { here: live.run(call, events), cursor }
    }

    async fn came(mut awaited: Awaited) -> String {
        match poll_fn(|cx| awaited.poll(cx)).await {
            Came::Answer(text) => String::from_utf8(text.to_vec()).unwrap(),
            Came::Word => "a word".to_owned(),
            Came::Nothing => "nothing".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_call_that_panics_has_an_answer_all_the_same() {
        let live = live();
        let mut cursor = asks(&live, async { panic!("a fault of ours") }.boxed()).beside();
        let said = cursor.next().await.unwrap().text;
        let said = std::str::from_utf8(&said).unwrap();
        assert!(said.contains(r#""id":"a""#) && said.contains("-32603"), "{said}");
        assert!(cursor.next().await.is_none() && !live.streams.is_read());
        // Where it is awaited, too.
        let said = came(asks(&live, async { panic!("a fault of ours") }.boxed())).await;
        assert!(said.contains(r#""id":"a""#) && said.contains("-32603"), "{said}");
        assert!(!live.streams.is_read() && live.tracker.is_empty());
    }

    #[tokio::test]
    async fn a_call_whose_client_is_gone_goes_on_and_can_still_be_read() {
        let live = live();
        let (sender, answer) = tokio::sync::oneshot::channel();
        let mut awaited = asks(&live, async { answer.await.ok() }.boxed());
        assert!(poll_fn(|cx| Poll::Ready(awaited.poll(cx))).await.is_pending());
        let events = awaited.cursor.events().clone();
        live.streams.keep(&events);
        drop(awaited);
        assert!(!events.is_ending() && !live.tracker.is_empty());
        sender.send(Bytes::from_static(b"answer")).unwrap();
        assert_eq!(events.read(None).next().await.unwrap().text, "answer");
        assert!(live.tracker.is_empty());
    }

    #[tokio::test]
    async fn who_waits_hears_that_the_session_has_ended() {
        let live = live();
        let waiting = tokio::spawn(came(asks(&live, futures::future::pending().boxed())));
        tokio::task::yield_now().await;
        live.end();
        let said = waiting.await.unwrap();
        assert!(said.contains(r#""id":"a""#) && said.contains("the session ended"), "{said}");
        assert!(live.tracker.is_empty());
    }
}
