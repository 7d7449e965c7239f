//! How long an exchange still waits.
//!
//! Owns its deadline, and moves it by the time in which a person was being asked: while one thinks, no call of that
//! client at that server grows older. It reads the clock, and decides nothing.

use crate::routing::deadline::{Deadline, Expiry};
use crate::routing::held::Held;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A deadline that stands still while its client is asked.
#[derive(Debug)]
pub(super) struct Clock {
    deadline: Deadline,
    begun: Instant,
    standstill: Option<Arc<Standstill>>,
    /// How much of the standstill the deadline knows of.
    counted: Duration,
    /// There was a sign of life since the deadline was looked at.
    is_renewed: bool,
}

/// The time in which a client was asked at one server. Its calls look at it often, and few clients ever are.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    has_been: AtomicBool,
    held: Mutex<Held>,
}

impl Standstill {
    /// A question is put.
    pub(super) fn begin(&self) {
        let mut held = self.held.lock();
        self.has_been.store(true, Ordering::Release);
        held.hold(Instant::now().into_std());
    }

    /// A question has its answer, or is withdrawn.
    pub(super) fn end(&self) {
        self.held.lock().release(Instant::now().into_std());
    }

    fn total(&self, now: std::time::Instant) -> Duration {
        match self.has_been.load(Ordering::Acquire) {
            true => self.held.lock().total(now),
            false => Duration::ZERO,
        }
    }

    fn is_on(&self) -> bool {
        self.has_been.load(Ordering::Acquire) && self.held.lock().is_held()
    }
}

impl Clock {
    /// From now on.
    pub(super) fn start(
        patience: Duration,
        total: Option<Duration>,
        standstill: Option<Arc<Standstill>>,
    ) -> Self {
        let begun = Instant::now();
        let now = begun.into_std();
        let counted = standstill.as_ref().map(|it| it.total(now)).unwrap_or_default();
        let deadline = Deadline::new(now, patience, total);
        Self { deadline, begun, standstill, counted, is_renewed: false }
    }

    /// Since when it goes.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// A clock that nobody holds.
    pub(super) fn plain(patience: Duration) -> Self {
        Self::start(patience, None, None)
    }

    /// For what stays open: it never runs out.
    pub(super) fn endless() -> Self {
        Self::plain(ENDLESS)
    }

    /// A sign of life.
    pub(super) fn renew(&mut self) {
        let now = Instant::now().into_std();
        self.count(now);
        self.is_renewed = true;
        self.deadline.renew(now);
    }

    pub(super) fn expired(&mut self) -> Option<Expiry> {
        let now = Instant::now().into_std();
        self.count(now);
        self.is_renewed = false;
        self.deadline.expired(now)
    }

    /// The same after a sign of life, which has moved one of its bounds and not the other. Without one, whoever waits for
    /// [`next`](Self::next) hears of both.
    pub(super) fn expired_anew(&mut self) -> Option<Expiry> {
        if self.is_renewed { self.expired() } else { None }
    }

    /// When to look again.
    pub(super) fn next(&self) -> Instant {
        let next = Instant::from_std(self.deadline.next());
        match self.standstill.as_ref().is_some_and(|it| it.is_on()) {
            true => self.next_of_still(next),
            false => next,
        }
    }

    /// The deadline moves on as long as it stands still, so that there is nothing to see at its very moment.
    #[inline(never)]
    fn next_of_still(&self, next: Instant) -> Instant {
        next.max(Instant::now() + (self.counted / LOOKS).clamp(LOOK_AGAIN, LOOK_AGAIN_MAX))
    }

    fn count(&mut self, now: std::time::Instant) {
        let Some(standstill) = &self.standstill else { return };
        let total = standstill.total(now);
        self.deadline.extend(total.saturating_sub(self.counted));
        self.counted = total;
    }
}

/// Longer than any connection lasts.
const ENDLESS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How often a deadline that stands still is looked at, at most; ever more seldom, since thousands may do so for long.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(5);
/// How many times as long as until the next look it has stood still already.
const LOOKS: u32 = 32;
