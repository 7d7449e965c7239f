//! One request on its way over HTTP, moved by whoever waits for its answer.
//!
//! Owns the wait for the head of the answer. A short answer that comes with it is heard in place, so that no other task is
//! made or woken for a call; what turns out to take its time, and what nobody waits for any more, goes on in a task of its
//! own. How an answer is heard, `posting` knows.

use super::super::ear::Ear;
use super::super::fetch::{FetchError, FetchResponse};
use super::super::frame::Fate;
use super::courier::{Courier, Outgoing};
use super::posting;
use crate::wire::id::CallId;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Dropped before its end, it goes on.
pub(in super::super) struct Journey(Option<Underway>);

struct Underway {
    courier: Arc<Courier>,
    outgoing: Outgoing,
    call: CallId,
    fate: Arc<Fate>,
    /// Whoever waits for all that is sent waits for it.
    counted: TaskTrackerToken,
}

impl Journey {
    /// That of a request which others bring there.
    pub(in super::super) fn of_others() -> Self {
        Self(None)
    }

    pub(super) fn new(courier: Arc<Courier>, outgoing: Outgoing, call: CallId, fate: Arc<Fate>) -> Self {
        let counted = courier.counted();
        Self(Some(Underway { courier, outgoing, call, fate, counted }))
    }

    /// Whether whoever waits for the answer has to move it.
    pub(in super::super) fn is_moved(&self) -> bool {
        self.0.is_some()
    }

    /// Lets it get on.
    pub(in super::super) fn poll(&mut self, context: &mut Context<'_>) {
        let Some(underway) = &mut self.0 else { return };
        if let Poll::Ready(fetched) = underway.outgoing.poll(context)
            && let Some(underway) = self.0.take()
        {
            underway.arrived(fetched, context);
        }
    }

    /// What is left of it needs nobody to move it from now on.
    pub(in super::super) fn goes_on(&mut self) {
        let Some(Underway { courier, outgoing, call, fate, counted }) = self.0.take() else { return };
        // Where nothing runs any more, it ends with the rest.
        if Handle::try_current().is_ok() {
            courier.clone().spawn(posting::request(courier, outgoing, call, fate));
        }
        drop(counted);
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        self.goes_on();
    }
}

impl Underway {
    /// There is a head, or there will be none.
    fn arrived(self, fetched: Result<FetchResponse, FetchError>, context: &mut Context<'_>) {
        let fetched = match fetched {
            Ok(response) => match self.heard_at_once(response) {
                Ok(()) => return,
                Err(response) => Ok(response),
            },
            Err(error) => Err(error),
        };
        let Self { courier, outgoing, call, fate, counted: _counted } = self;
        let rest = posting::request(courier.clone(), outgoing.with(fetched), call, fate);
        let mut rest = Box::pin(rest);
        // As a rule all of it is here.
        if rest.as_mut().poll(context).is_pending() {
            courier.spawn(rest);
        }
    }

    /// Hears an answer that is here and holds one message; else it is given back.
    fn heard_at_once(&self, mut response: FetchResponse) -> Result<(), FetchResponse> {
        let Self { courier, outgoing, call, fate, .. } = self;
        if courier.stream().batches() {
            return Err(response);
        }
        let Some(text) = posting::at_hand(courier, &mut response) else { return Err(response) };
        courier.accepts(outgoing);
        fate.arrives();
        let mut ear = Ear::of_call(courier.stream().clone(), *call);
        let crowded = ear.hear_one(text);
        if crowded.is_empty() {
            posting::answered(courier, *call, &ear);
        } else {
            let (own, call) = (courier.clone(), *call);
            courier.spawn(async move {
                ear.press_all(crowded).await;
                posting::answered(&own, call, &ear);
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::arrivals::Next;
    use super::super::super::audience::Audience;
    use super::super::super::carry::{Carry, Express, Frames};
    use super::super::super::fetch::{Address, Fetch, FetchRequest};
    use super::super::super::frame::Freight;
    use super::super::super::lookout::Lookout;
    use super::super::super::memory::Memory;
    use super::super::super::process::Nursery;
    use super::super::super::stream::{Arrival, Posted, Posting, Stream};
    use super::super::super::tally::Tally;
    use super::super::headers::Headers;
    use super::*;
    use crate::config::{Limits, Remote, Transport};
    use crate::mcp::caller::Company;
    use crate::mcp::revision::Revision;
    use crate::upstream::environment::Cookie;
    use crate::upstream::guardian::Guardian;
    use bytes::Bytes;
    use futures::future::BoxFuture;
    use futures::{FutureExt, StreamExt, stream};
    use http::header::CONTENT_TYPE;
    use http::{HeaderMap, HeaderValue, StatusCode};
    use parking_lot::Mutex;
    use std::time::Duration;
    use tokio::sync::oneshot;
    use tokio::task::yield_now;
    use tokio::time::Instant;
    use tokio_util::task::TaskTracker;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// What is in the queue goes nowhere.
    struct Nowhere;

    impl Carry for Nowhere {
        fn start(self: Box<Self>, _: &Arc<Stream>, _: Frames, _: &TaskTracker) {}
    }

    /// Answers with what it is given.
    struct Given(Mutex<Option<oneshot::Receiver<FetchResponse>>>);

    impl Fetch for Given {
        fn fetch(&self, _: FetchRequest) -> BoxFuture<'static, Result<FetchResponse, FetchError>> {
            let given = self.0.lock().take().unwrap();
            given.map(|given| given.map_err(|_| FetchError::Broken("it broke".to_owned()))).boxed()
        }
    }

    /// A request on its way, what counts its tasks, and how it is answered.
    async fn request() -> (Posted, TaskTracker, oneshot::Sender<FetchResponse>) {
        let tracker = TaskTracker::new();
        let cookie = Arc::new(Cookie::new("1d").unwrap());
        let guardian = Arc::new(Guardian::new(&cookie, None));
        let nursery = Nursery::new(cookie, guardian, TaskTracker::new());
        let remote = Remote { transport: Transport::Http, ..Remote::new("http://far.test/mcp") };
        let headers = Headers::make("far", &remote, &nursery).await.unwrap();
        let memory = Memory::new(1024 * 1024);
        let audience = Audience::new(Company::One, memory.share(), Duration::from_secs(1));
        // Its own tasks are not those that are counted.
        let (audience, others) = (Arc::new(audience), TaskTracker::new());
        let tally = Arc::new(Tally::new(&Lookout::new(true)));
        let stream = Stream::start("far", Box::new(Nowhere), audience, &Limits::default(), (&tally, &others));
        stream.agree(Revision::LATEST);
        let (answers, given) = oneshot::channel();
        let fetch = Arc::new(Given(Mutex::new(Some(given))));
        let courier =
            Courier::new(stream.clone(), fetch, Address::new(&remote.url), (headers, None), tracker.clone());
        // What it sends keeps it.
        let express: Arc<dyn Express> = courier;
        stream.goes_express(Arc::downgrade(&express));
        let posted = stream
            .post(Posting::ours(Freight::Request, Instant::now() + DAY), |id| {
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#).into()
            })
            .unwrap();
        assert!(posted.journey.is_moved());
        (posted, tracker, answers)
    }

    fn answer(call: CallId) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{call},"result":{{}}}}"#)
    }

    fn response(
        kind: &'static str,
        body: stream::BoxStream<'static, Result<Bytes, FetchError>>,
    ) -> FetchResponse {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        FetchResponse { status: StatusCode::OK, headers: headers.into(), body: body.into() }
    }

    #[tokio::test]
    async fn what_is_all_here_is_heard_by_whoever_waits() {
        for (kind, event) in [("application/json", false), ("text/event-stream", true)] {
            let (mut posted, tracker, answers) = request().await;
            assert!(posted.next().now_or_never().is_none());
            let answer = answer(posted.id);
            let text = if event { format!("data: {answer}\n\n") } else { answer };
            answers.send(response(kind, stream::iter([Ok(text.into())]).boxed())).unwrap();
            let heard = posted.next().now_or_never().and_then(Next::told);
            assert!(matches!(heard.map(|heard| heard.arrival), Some(Arrival::Done(_))), "{kind}");
            assert!(!posted.journey.is_moved() && tracker.is_empty(), "{kind}: no task was made");
        }
    }

    #[tokio::test]
    async fn what_takes_its_time_goes_on_by_itself() {
        let (mut posted, tracker, answers) = request().await;
        assert!(posted.next().now_or_never().is_none());
        let (says, said) = oneshot::channel::<String>();
        let body = stream::once(said.map(|said| Ok(said.unwrap_or_default().into()))).boxed();
        answers.send(response("application/json", body)).unwrap();
        assert!(posted.next().now_or_never().is_none());
        assert!(!posted.journey.is_moved() && tracker.len() == 1);
        says.send(answer(posted.id)).unwrap();
        tracker.close();
        tracker.wait().await;
        let heard = posted.next().now_or_never().and_then(Next::told);
        assert!(matches!(heard.map(|heard| heard.arrival), Some(Arrival::Done(_))));
    }

    #[tokio::test]
    async fn what_nobody_moves_any_more_goes_on_by_itself() {
        for is_dropped in [true, false] {
            let (mut posted, tracker, answers) = request().await;
            assert!(posted.next().now_or_never().is_none());
            let call = posted.id;
            let mut kept = Some(posted);
            match &mut kept {
                Some(posted) if !is_dropped => posted.journey.goes_on(),
                Some(_) | None => kept = None,
            }
            yield_now().await;
            assert!(tracker.len() == 1 && !answers.is_closed());
            answers
                .send(response("application/json", stream::iter([Ok(answer(call).into())]).boxed()))
                .unwrap();
            tracker.close();
            tracker.wait().await;
            let heard = kept.and_then(|mut posted| posted.next().now_or_never().and_then(Next::told));
            assert_eq!(matches!(heard.map(|heard| heard.arrival), Some(Arrival::Done(_))), !is_dropped);
        }
    }
}
