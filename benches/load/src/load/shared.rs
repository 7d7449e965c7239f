//! What all sessions of a run share.
//!
//! Owns the tally of the present course. Its lock is held for one batch of messages and never while anybody waits.

use super::args::Run;
use super::asking::Asking;
use super::tally::Tally;
use super::verdict::Judge;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Shared {
    pub asking: Asking,
    pub judge: Judge,
    pub patience: Duration,
    tally: Mutex<Tally>,
}

impl Shared {
    pub fn new(run: &Run) -> Self {
        Self {
            asking: Asking::new(run),
            judge: Judge::new(run),
            patience: Duration::from_secs_f64(run.patience),
            tally: Mutex::new(Tally::default()),
        }
    }

    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted until now; counting begins anew.
    pub fn take_tally(&self) -> Tally {
        std::mem::take(&mut *self.tally())
    }

    /// Whether a call was due so long ago that it is lost without having been sent.
    pub fn is_lost(&self, due: Instant, now: Instant) -> bool {
        now.saturating_duration_since(due) > self.patience
    }

    /// How often whoever waits for many looks whether its patience has ended.
    pub fn glance(&self) -> Duration {
        (self.patience / 4).clamp(Duration::from_millis(1), Duration::from_millis(250))
    }
}
