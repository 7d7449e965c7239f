//! One session over HTTP while it lives: its streams, its requests, and when it ends.
//!
//! One task per session carries what belongs to no request, and ends the session when nobody has used it for long.
//! Each request runs in a task of its own, because a client that loses its connection has not cancelled it
//! (2025-11-25, basic/transports, sending messages).

use super::endpoint::Posting;
use super::sessions::Admission;
use crate::downstream::events::{Cursor, Events};
use crate::downstream::news::{News, Note};
use crate::downstream::outlet::Outlet;
use crate::downstream::session::{Reply, Session};
use crate::downstream::streams::Streams;
use crate::mcp::caller::Principal;
use crate::mcp::revision::Revision;
use crate::upstream::allowance::Allowance;
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A session and what runs in it.
pub(crate) struct Live {
    session: Session,
    streams: Arc<Streams>,
    principal: Principal,
    /// The route at which it was begun; it is unknown at every other.
    door: Arc<str>,
    /// When it was used last.
    used: Mutex<Instant>,
    idle_max: Duration,
    over: CancellationToken,
    tracker: TaskTracker,
    /// Its place among the sessions, until it ends: what still holds it then is on its way out.
    admission: Mutex<Option<Admission>>,
}

/// A request while it runs. However it ends, its stream does too.
struct Running {
    live: Arc<Live>,
    events: Arc<Events>,
}

/// What a POST brought.
pub(super) enum Posted {
    /// Nothing is to be answered.
    Nothing,
    Now(Bytes),
    Refused(Bytes),
    /// The answer comes on this stream, after what comes before it.
    Later(Cursor),
}

/// What a session is made of.
pub(super) struct Parts {
    pub(super) session: Session,
    pub(super) streams: Arc<Streams>,
    pub(super) principal: Principal,
    pub(super) door: Arc<str>,
    pub(super) idle_max: Duration,
    pub(super) tracker: TaskTracker,
    pub(super) admission: Admission,
}

impl Live {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let Parts { session, streams, principal, door, idle_max, tracker, admission } = parts;
        let (used, over) = (Mutex::new(Instant::now()), CancellationToken::new());
        Arc::new(Self {
            session,
            streams,
            principal,
            door,
            used,
            idle_max,
            over,
            tracker,
            admission: Mutex::new(Some(admission)),
        })
    }

    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(super) fn door(&self) -> &str {
        &self.door
    }

    pub(super) fn streams(&self) -> &Arc<Streams> {
        &self.streams
    }

    pub(super) fn allowance(&self) -> &Allowance {
        self.session.seat.allowance()
    }

    /// What was agreed on; the latest before that.
    pub(super) fn revision(&self) -> Revision {
        self.session.agreed().map_or(Revision::LATEST, |agreed| agreed.revision)
    }

    pub(super) fn has_agreed(&self) -> bool {
        self.session.agreed().is_some()
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Ends it now: its requests are cancelled, its own servers end.
    pub(super) fn end(&self) {
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
            Reply::Nothing => Posted::Nothing,
            Reply::Now(text) => Posted::Now(text),
            Reply::Refused(text) => Posted::Refused(text),
            Reply::Later { id, call } => {
                events.is_asked_by(id);
                self.streams.awaits(&events);
                self.run(call, events);
                Posted::Later(cursor)
            }
        }
    }

    /// Lets a request go on beside whoever waits for it.
    fn run(self: &Arc<Self>, call: BoxFuture<'static, Option<Bytes>>, events: Arc<Events>) {
        let running = Running { live: self.clone(), events };
        self.tracker.spawn(async move {
            let answered = running.live.over.run_until_cancelled(call).await.flatten();
            match answered {
                Some(text) => running.events.answer(text),
                None if running.live.is_over() => running.events.cut_off(),
                // It was cancelled.
                None => running.events.end(),
            }
        });
    }

    /// Carries what belongs to no request, until the session is over.
    pub(super) async fn serve(self: Arc<Self>, stopping: CancellationToken) {
        let delivery = self.session.delivery.clone();
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

impl Drop for Running {
    fn drop(&mut self) {
        // What has ended by now stays as it ended: this is for a task that did not come so far.
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
    use crate::mcp::caller::Caller;
    use crate::wire::id::Id;
    use futures::FutureExt;
    use std::path::Path;

    fn live() -> Arc<Live> {
        let hub = Hub::new(Arc::new(Config::new("a house", Path::new("/"))), vec![], "", TaskTracker::new());
        let principal = Principal::anonymous();
        let caller =
            Caller { principal: principal.clone(), client: hub.next_client(), alone: false, guest_of: None };
        let seat = Arc::new(hub.seat(caller, &hub.entrance_all()));
        let streams = Streams::new(&Arc::new(Replay::new(&ListenLimits::default())));
        let outlets = Outlets::Streams(streams.clone());
        Live::new(Parts {
            session: Session::new(seat, outlets, Ids::PerExchange, "a mark", false),
            streams,
            door: Arc::from("/mcp"),
            idle_max: Duration::MAX,
            tracker: TaskTracker::new(),
            admission: Sessions::new(1, 1).admit(&principal).unwrap(),
            principal,
        })
    }

    #[tokio::test]
    async fn a_call_that_panics_has_an_answer_all_the_same() {
        let live = live();
        let mut cursor = live.streams.answer();
        let events = cursor.events().clone();
        events.is_asked_by(Id::parse(Bytes::from_static(b"\"a\"")));
        live.streams.awaits(&events);
        live.run(async { panic!("a fault of ours") }.boxed(), events);
        let said = cursor.next().await.unwrap().text;
        let said = std::str::from_utf8(&said).unwrap();
        assert!(said.contains(r#""id":"a""#) && said.contains("-32603"), "{said}");
        assert!(cursor.next().await.is_none() && !live.streams.is_read());
    }
}
