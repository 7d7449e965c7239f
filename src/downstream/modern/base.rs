//! What is kept for all requests that come by one door without a session: the links, and how many may be at work.
//!
//! Its seat is nobody's: each request is a guest there. Dropping it ends the servers that are its own.

use crate::hub::seat::Seat;
use crate::mcp::askable::Askable;
use crate::mcp::revision::Revision;
use crate::upstream::allowance::Allowance;
use crate::upstream::budget::Budget;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// What the requests of one door have in common.
pub(crate) struct Base {
    pub(super) seat: Arc<Seat>,
    /// Until when a list waits for servers that were not heard yet.
    pub(super) patience: Instant,
    /// Requests that have begun; the rest wait their turn.
    pub(super) turns: Arc<Budget>,
    open: AtomicUsize,
    open_max: usize,
    listens: Arc<Semaphore>,
    used: Mutex<Instant>,
}

/// How many requests may be at work at one door, and how many may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) turns_max: usize,
    pub(crate) waiting_max: usize,
}

/// A request's place among the open ones, until it is dropped.
pub(crate) struct Admission(pub(super) Arc<Base>);

impl Base {
    /// Starts the servers behind the seat. `capabilities`: what those of them are told that serve nobody else.
    pub(crate) fn open(seat: Arc<Seat>, capabilities: &str, room: Room) -> Arc<Self> {
        for fault in seat.open() {
            tracing::warn!(why = fault.text, "not started");
        }
        seat.introduce(Revision::LATEST, capabilities);
        let now = Instant::now();
        Arc::new(Self {
            patience: now + seat.hub().edition().config().first_list,
            turns: Budget::new(room.turns_max),
            open: AtomicUsize::new(0),
            open_max: room.turns_max + room.waiting_max,
            listens: Arc::new(Semaphore::new(LISTENS_MAX)),
            used: Mutex::new(now),
            seat,
        })
    }

    /// All that can be carried, for whichever client it may be.
    pub(crate) const SHARED: &str = Askable::SHARED;

    pub(crate) fn allowance(&self) -> &Allowance {
        self.seat.allowance()
    }

    /// A place among the open requests.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Admission, Fault> {
        self.touch();
        if self.open.fetch_add(1, Ordering::AcqRel) >= self.open_max {
            self.open.fetch_sub(1, Ordering::AcqRel);
            let text = "too many requests at once (limits.session_in_flight, limits.session_waiting)";
            return Err(Fault::ours(Reason::Busy, text).outcome(CallOutcome::NotSent));
        }
        Ok(Admission(self.clone()))
    }

    /// A place among the requests that listen.
    pub(super) fn listening(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.listens.clone().try_acquire_owned().map_err(|_| {
            let text = format!("{LISTENS_MAX} subscriptions/listen are open; end one first");
            Fault::ours(Reason::Busy, text).outcome(CallOutcome::NotSent)
        })
    }

    fn touch(&self) {
        *self.used.lock() = Instant::now();
    }

    /// How much longer it is kept if nobody uses it; nothing: its time is over.
    pub(crate) fn keeps(&self, idle_max: Duration) -> Duration {
        match self.open.load(Ordering::Acquire) {
            0 => (*self.used.lock() + idle_max).saturating_duration_since(Instant::now()),
            _ => idle_max,
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.touch();
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// `subscriptions/listen` that may be open at one door.
const LISTENS_MAX: usize = 1024;
