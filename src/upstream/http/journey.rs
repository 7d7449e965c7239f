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
