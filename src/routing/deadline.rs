//! When to give up on a request: after silence, or in all.
//!
//! Owns two instants and moves the first. It reads no clock: every `now` is given, so the paused clock of
//! a test reaches it. The spec asks for both bounds (2025-11-25, basic/lifecycle, timeouts).

use std::time::{Duration, Instant};

/// `idle` moves on each sign of life, `total` does not; both move by what someone else was waited for.
#[derive(Debug, Clone)]
pub struct Deadline {
    idle: Instant,
    total: Option<Instant>,
    patience: Duration,
}

/// Which of the two bounds ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    Idle,
    Total,
}

impl Deadline {
    pub fn new(now: Instant, patience: Duration, total: Option<Duration>) -> Self {
        Self { idle: now + patience, total: total.map(|total| now + total), patience }
    }

    /// A sign of life.
    pub fn renew(&mut self, now: Instant) {
        self.idle = now + self.patience;
    }

    /// So much of the time that has passed counts for neither bound: a person was being asked.
    pub fn extend(&mut self, by: Duration) {
        self.idle += by;
        self.total = self.total.map(|total| total + by);
    }

    /// When to look again.
    pub fn next(&self) -> Instant {
        self.total.map_or(self.idle, |total| total.min(self.idle))
    }

    pub fn expired(&self, now: Instant) -> Option<Expiry> {
        if self.total.is_some_and(|total| total <= now) {
            return Some(Expiry::Total);
        }
        (self.idle <= now).then_some(Expiry::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_ends_it_and_life_renews_it() {
        let start = Instant::now();
        let mut deadline = Deadline::new(start, 10 * SECOND, None);
        assert_eq!(deadline.expired(start + 9 * SECOND), None);
        deadline.renew(start + 9 * SECOND);
        assert_eq!(deadline.expired(start + 18 * SECOND), None);
        assert_eq!(deadline.expired(start + 19 * SECOND), Some(Expiry::Idle));
    }

    #[test]
    fn the_total_is_never_renewed() {
        let start = Instant::now();
        let mut deadline = Deadline::new(start, 10 * SECOND, Some(15 * SECOND));
        deadline.renew(start + 9 * SECOND);
        assert_eq!(deadline.next(), start + 15 * SECOND);
        assert_eq!(deadline.expired(start + 15 * SECOND), Some(Expiry::Total));
    }

    #[test]
    fn a_person_who_thinks_costs_no_time() {
        let start = Instant::now();
        let mut deadline = Deadline::new(start, 10 * SECOND, Some(15 * SECOND));
        deadline.extend(100 * SECOND);
        assert_eq!(deadline.next(), start + 110 * SECOND);
        assert_eq!(deadline.expired(start + 109 * SECOND), None);
        assert_eq!(deadline.expired(start + 110 * SECOND), Some(Expiry::Idle));
        deadline.renew(start + 109 * SECOND);
        assert_eq!(deadline.expired(start + 115 * SECOND), Some(Expiry::Total));
    }
}
