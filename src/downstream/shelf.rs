//! What is kept of one session's streams for its client when it comes back.
//!
//! A session has a part of the budget for all that is kept; at its limit the oldest streams that have their answer go
//! first, because who has not come back for them by then hardly will. It waits for nobody.

use super::events::Events;
use super::replay::Replay;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The room of one session. Its streams hold it; it holds none of them.
#[derive(Debug)]
pub(super) struct Shelf {
    replay: Arc<Replay>,
    own: Arc<Semaphore>,
    units: u32,
    answered: Weak<Answered>,
}

/// The streams of requests that have their answer, for a client that has not got it; oldest first.
#[derive(Debug, Default)]
pub(super) struct Answered(Mutex<VecDeque<Arc<Events>>>);

/// The room of one event. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Kept {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Shelf {
    pub(super) fn new(replay: &Arc<Replay>, answered: &Arc<Answered>) -> Arc<Self> {
        let units = replay.units / PARTS;
        let own = Arc::new(Semaphore::new(units as usize));
        Arc::new(Self { replay: replay.clone(), own, units, answered: Arc::downgrade(answered) })
    }

    /// The bounds of one stream.
    pub(super) fn bounds(&self) -> &Replay {
        &self.replay
    }

    /// Room for an event among all that is kept; `None` when there is none, or the event is too long to be kept.
    pub(super) fn room(&self, bytes: usize) -> Option<Kept> {
        let units = self.replay.units_of(bytes)?;
        loop {
            if let Some(kept) = self.take(units) {
                return Some(kept);
            }
            if !self.answered.upgrade()?.drop_oldest() {
                return None;
            }
        }
    }

    fn take(&self, units: u32) -> Option<Kept> {
        // One event over the whole part takes all of it.
        let own = self.own.clone().try_acquire_many_owned(units.min(self.units)).ok()?;
        Some(Kept { _all: self.replay.take(units)?, _own: own })
    }
}

// A stream may ask for room while it is locked: so none is looked into while these are.
impl Answered {
    pub(super) fn push(&self, events: Arc<Events>) {
        let mut all = self.0.lock();
        let oldest = if all.len() >= ANSWERED_MAX { all.pop_front() } else { None };
        all.push_back(events);
        drop(all);
        drop(oldest);
    }

    pub(super) fn all(&self) -> Vec<Arc<Events>> {
        self.0.lock().iter().cloned().collect()
    }

    pub(super) fn forget(&self, these: &[Arc<Events>]) {
        self.0.lock().retain(|events| !these.iter().any(|other| Arc::ptr_eq(other, events)));
    }

    /// Forgets the oldest that nobody uses; `false` when there is none.
    fn drop_oldest(&self) -> bool {
        let mut all = self.0.lock();
        let unused = all.iter().position(|events| Arc::strong_count(events) == 1);
        let unused = unused.and_then(|at| all.remove(at));
        drop(all);
        unused.is_some()
    }
}

/// Into how many parts the budget is divided; a session has one of them at most.
const PARTS: u32 = 4;
/// Answers that are kept for a client that comes back.
const ANSWERED_MAX: usize = 64;
