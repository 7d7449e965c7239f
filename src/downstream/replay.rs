//! What may be kept of events that were sent, for clients that come back.
//!
//! Bounds per stream and a budget for all streams together. It keeps nothing itself.

use crate::config::ListenLimits;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bounds of what is kept.
#[derive(Debug)]
pub struct Replay {
    pub(super) events_max: usize,
    pub(super) bytes_max: usize,
    /// How long a stream is kept that nobody reads.
    pub(super) kept: Duration,
    total: Arc<Semaphore>,
}

impl Replay {
    pub fn new(limits: &ListenLimits) -> Self {
        Self {
            events_max: limits.replay_events_max,
            bytes_max: limits.replay_bytes_max,
            kept: limits.replay_kept,
            total: Arc::new(Semaphore::new(limits.replay_total_bytes_max.div_ceil(UNIT_BYTES))),
        }
    }

    /// Room for an event among all that is kept; `None` when there is none, or the event is too long to be kept.
    pub(super) fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        if bytes > self.bytes_max {
            return None;
        }
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES).max(1)).ok()?;
        self.total.clone().try_acquire_many_owned(units).ok()
    }
}

/// What the budget counts in.
const UNIT_BYTES: usize = 256;
