//! Since when something is as it is.
//!
//! A moment that is set and read without waiting. It is for people: no decision hangs on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// In milliseconds since 1970.
#[derive(Debug)]
pub(super) struct Since(AtomicU64);

impl Since {
    pub(super) fn now() -> Self {
        Self(AtomicU64::new(now()))
    }

    pub(super) fn set(&self) {
        self.0.store(now(), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2)
}
