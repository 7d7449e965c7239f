//! Answers that are not due yet, and the thread that writes them when they are.
//!
//! Owns their order. What is due at one time is written at once.

use bytes::BytesMut;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Dropping it leaves what is not due.
#[derive(Debug)]
pub struct Delays {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// What waits, the next one first; those of one instant in the order in which they came.
#[derive(Debug, Default)]
struct Waiting {
    heap: BinaryHeap<Reverse<(Instant, u64, BytesMut)>>,
    count: u64,
}

impl Delays {
    /// The thread ends when nobody reads `output`.
    pub fn start(output: File) -> Self {
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        thread::spawn(move || write(&own, output));
        Self { shared }
    }

    pub fn put(&self, after: Duration, text: BytesMut) {
        let mut waiting = self.shared.lock();
        waiting.put(Instant::now() + after, text);
        drop(waiting);
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn put(&mut self, due: Instant, text: BytesMut) {
        self.count += 1;
        self.heap.push(Reverse((due, self.count, text)));
    }

    /// What is due, as one text.
    fn take(&mut self, now: Instant) -> BytesMut {
        let mut due = BytesMut::new();
        while self.next().is_some_and(|next| next <= now) {
            if let Some(Reverse((_, _, text))) = self.heap.pop() {
                due.extend_from_slice(&text);
            }
        }
        due
    }

    fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, ..))| *due)
    }
}

fn write(shared: &Shared, mut output: File) {
    let mut waiting = shared.lock();
    loop {
        let now = Instant::now();
        let due = waiting.take(now);
        if !due.is_empty() {
            drop(waiting);
            if output.write_all(&due).is_err() {
                return;
            }
            waiting = shared.lock();
            continue;
        }
        waiting = match waiting.next() {
            None => shared.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            Some(next) => {
                let pause = next.saturating_duration_since(now);
                let woken = shared.changed.wait_timeout(waiting, pause);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_its_order_and_the_rest_stays() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut waiting = Waiting::default();
        for (ms, text) in [(5, "c"), (1, "a"), (9, "d"), (1, "b")] {
            waiting.put(at(ms), BytesMut::from(text));
        }
        assert_eq!(waiting.take(at(0)), "");
        assert_eq!(waiting.take(at(5)), "abc");
        assert_eq!(waiting.next(), Some(at(9)));
        assert_eq!(waiting.take(at(10)), "d");
        assert_eq!(waiting.next(), None);
    }
}
