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
    /// The budget for all that is kept.
    pub(super) units: u32,
    total: Arc<Semaphore>,
}

impl Replay {
    pub fn new(limits: &ListenLimits) -> Self {
        let units = limits.replay_total_bytes_max.div_ceil(UNIT_BYTES);
        let units = u32::try_from(units).unwrap_or(UNITS_MAX).min(UNITS_MAX);
        Self {
            events_max: limits.replay_events_max,
            bytes_max: limits.replay_bytes_max,
            kept: limits.replay_kept,
            units,
            total: Arc::new(Semaphore::new(units as usize)),
        }
    }

    /// What is kept, in steps of a unit.
    pub(super) fn kept_bytes(&self) -> u64 {
        let taken = (self.units as usize).saturating_sub(self.total.available_permits());
        (taken * UNIT_BYTES) as u64
    }

    /// What an event takes of the budget; `None` for one that is too long to be kept.
    pub(super) fn units_of(&self, bytes: usize) -> Option<u32> {
        if bytes > self.bytes_max {
            return None;
        }
        u32::try_from(bytes.div_ceil(UNIT_BYTES).max(1)).ok()
    }

    pub(super) fn take(&self, units: u32) -> Option<OwnedSemaphorePermit> {
        self.total.clone().try_acquire_many_owned(units).ok()
    }
}

/// What the budget counts in.
const UNIT_BYTES: usize = 256;
/// The most that a semaphore counts.
const UNITS_MAX: u32 = u32::MAX >> 7;
