//! How long an exchange still waits.
//!
//! Owns its deadline, and moves it by the time in which a person was being asked: while one thinks, no call of that
//! client at that server grows older. It reads the clock, and decides nothing.

use crate::routing::deadline::{Deadline, Expiry};
use crate::routing::held::Held;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A deadline that stands still while its client is asked.
#[derive(Debug)]
pub(super) struct Clock {
    deadline: Deadline,
    held: Arc<Mutex<Held>>,
    /// How much of the time held the deadline knows of.
    counted: Duration,
}

impl Clock {
    /// From now on.
    pub(super) fn start(patience: Duration, total: Option<Duration>, held: Arc<Mutex<Held>>) -> Self {
        let now = Instant::now().into_std();
        let counted = held.lock().total(now);
        Self { deadline: Deadline::new(now, patience, total), held, counted }
    }

    /// A clock that nobody holds.
    pub(super) fn plain(patience: Duration) -> Self {
        Self::start(patience, None, Arc::default())
    }

    /// For what stays open: it never runs out.
    pub(super) fn endless() -> Self {
        Self::plain(ENDLESS)
    }

    /// A sign of life.
    pub(super) fn renew(&mut self) {
        let now = Instant::now().into_std();
        self.count(now);
        self.deadline.renew(now);
    }

    pub(super) fn expired(&mut self) -> Option<Expiry> {
        let now = Instant::now().into_std();
        self.count(now);
        self.deadline.expired(now)
    }

    /// When to look again.
    pub(super) fn next(&self) -> Instant {
        let next = Instant::from_std(self.deadline.next());
        match self.held.lock().is_held() {
            // The deadline moves on as long as it is held, so that there is nothing to see at its very moment.
            true => next.max(Instant::now() + (self.counted / LOOKS).clamp(LOOK_AGAIN, LOOK_AGAIN_MAX)),
            false => next,
        }
    }

    fn count(&mut self, now: std::time::Instant) {
        let total = self.held.lock().total(now);
        self.deadline.extend(total.saturating_sub(self.counted));
        self.counted = total;
    }
}

/// Longer than any connection lasts.
const ENDLESS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How often a held deadline is looked at, at most; ever more seldom, since thousands may be held for long.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(5);
/// How many times as long as until the next look it has been held already.
const LOOKS: u32 = 32;
