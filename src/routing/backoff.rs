//! When to start a failed server again.
//!
//! Pure: it is told the time and a number for the jitter, and says how long to wait. It never says "never":
//! a server that keeps failing is parked and probed at the longest pause for ever.

use std::time::{Duration, Instant};

/// Exponential from `min` to `max` with full jitter; from the fifth failure within a minute on, `max` exactly.
#[derive(Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    reset_after: Duration,
    /// When each recent failure was, oldest first; never more than `FAILURES`.
    failures: Vec<Instant>,
    streak: u32,
    parked: bool,
}

impl Backoff {
    pub fn new(min: Duration, max: Duration, reset_after: Duration) -> Self {
        Self { min, max: max.max(min), reset_after, failures: Vec::new(), streak: 0, parked: false }
    }

    /// A link ended after it had been healthy since `since`, if it ever was.
    /// `jitter` is any number from 0 to `u32::MAX`, evenly spread. Returns the pause before the next start.
    pub fn failed(&mut self, now: Instant, since: Option<Instant>, jitter: u32) -> Duration {
        if since.is_some_and(|since| now.saturating_duration_since(since) >= self.reset_after) {
            self.failures.clear();
            self.streak = 0;
            self.parked = false;
        }
        self.failures.push(now);
        if self.failures.len() > FAILURES {
            self.failures.remove(0);
        }
        if let (FAILURES, Some(first)) = (self.failures.len(), self.failures.first())
            && now.saturating_duration_since(*first) <= WINDOW
        {
            self.parked = true;
        }
        let ceiling = self.min.saturating_mul(1 << self.streak.min(16)).min(self.max);
        self.streak = self.streak.saturating_add(1);
        if self.parked {
            return self.max;
        }
        ceiling.mul_f64(f64::from(jitter) / f64::from(u32::MAX))
    }

    /// Whether the server failed so often that it is only probed.
    pub fn parked(&self) -> bool {
        self.parked
    }
}

/// So many failures within `WINDOW` park a server.
const FAILURES: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn usual() -> Backoff {
        Backoff::new(SECOND, 60 * SECOND, 60 * SECOND)
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = usual();
        let mut now = Instant::now();
        let pauses: Vec<u64> = (0..9)
            .map(|_| {
                now += 61 * SECOND;
                backoff.failed(now, None, u32::MAX).as_secs()
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!backoff.parked());
    }

    #[test]
    fn a_crash_loop_is_parked_and_probed_for_ever() {
        for jitter in [0, u32::MAX / 2, u32::MAX] {
            let mut backoff = usual();
            let start = Instant::now();
            let (mut now, mut spawns) = (start, 0);
            while now < start + 3600 * SECOND {
                spawns += 1;
                now += backoff.failed(now, None, jitter);
            }
            assert!(backoff.parked());
            assert!((59..=70).contains(&spawns), "{spawns} spawns in an hour");
        }
    }

    #[test]
    fn a_healthy_minute_forgives() {
        let mut backoff = usual();
        let start = Instant::now();
        for _ in 0..5 {
            backoff.failed(start, None, 0);
        }
        assert!(backoff.parked());
        let pause = backoff.failed(start + 100 * SECOND, Some(start + 40 * SECOND), u32::MAX);
        assert_eq!((pause, backoff.parked()), (SECOND, false));
    }
}
