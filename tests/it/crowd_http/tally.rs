//! What was counted, by both sides.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Default)]
pub(super) struct Tally {
    /// Answers that carried what was asked.
    pub(super) answered: AtomicU64,
    /// Progress that reached its call, in its order.
    pub(super) progress: AtomicU64,
    /// Asks that reached their session, and answers to them that reached their server.
    pub(super) asked: AtomicU64,
    pub(super) answered_asks: AtomicU64,
    /// Log lines that reached their session.
    pub(super) logs: AtomicU64,
    /// Whom a client cancelled, and when.
    pub(super) cancels: Mutex<HashMap<u64, Instant>>,
    /// Whom a server heard to be cancelled, and when.
    pub(super) cancelled: Mutex<Vec<(u64, Instant)>>,
    /// Whatever reached anybody else.
    strays: Mutex<Strays>,
}

#[derive(Default)]
struct Strays {
    count: u64,
    first: Vec<String>,
}

impl Tally {
    pub(super) fn count(&self, what: &AtomicU64) {
        what.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stray(&self, what: String) {
        let mut strays = self.strays.lock();
        strays.count += 1;
        if strays.first.len() < 8 {
            strays.first.push(what);
        }
    }

    /// How many strays there were, and the first of them.
    pub(super) fn strays(&self) -> (u64, Vec<String>) {
        let strays = self.strays.lock();
        (strays.count, strays.first.clone())
    }

    /// How long cancels took to their servers, shortest first. Each was asked for, and each came once.
    pub(super) fn cancels_took(&self) -> Vec<Duration> {
        let mut cancels = self.cancels.lock().clone();
        let took = |(nonce, at): &(u64, Instant)| {
            let sent = cancels.remove(nonce).unwrap_or_else(|| panic!("nobody cancelled {nonce}"));
            at.duration_since(sent)
        };
        let mut took: Vec<_> = self.cancelled.lock().iter().map(took).collect();
        took.sort();
        assert!(cancels.is_empty(), "cancels that reached no server: {cancels:?}");
        took
    }
}
