//! How often a source failed to show the token of late.
//!
//! Pure: its caller says what time it is. Bounded in sources: those that find no place are counted together.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::source::Source;

#[derive(Debug, Default)]
pub(super) struct Failures {
    by_source: HashMap<Source, Recent>,
    /// Of all sources that found no place of their own.
    others: Recent,
    swept: Option<Instant>,
}

/// The last failures that were answered as such, oldest first.
#[derive(Debug, Default)]
struct Recent(VecDeque<Instant>);

impl Failures {
    /// Counts a failure. `Err`: one too many, and how long until the next may be tried.
    pub(super) fn count(&mut self, source: Source, now: Instant) -> Result<(), Duration> {
        if !self.by_source.contains_key(&source) && self.by_source.len() >= SOURCES_MAX {
            self.sweep(now);
        }
        if self.by_source.contains_key(&source) || self.by_source.len() < SOURCES_MAX {
            self.by_source.entry(source).or_default().count(now)
        } else {
            self.others.count(now)
        }
    }

    /// How long a source has to wait that has failed too often. Counts nothing.
    pub(super) fn rest(&self, source: Source, now: Instant) -> Option<Duration> {
        let recent = match self.by_source.get(&source) {
            Some(recent) => recent,
            None if self.by_source.len() >= SOURCES_MAX => &self.others,
            None => return None,
        };
        recent.rest(now)
    }

    /// Forgets who has not failed for a while; once a second at most, so that a flood pays no more for it.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.duration_since(swept) < SWEEP_EVERY) {
            return;
        }
        self.swept = Some(now);
        self.by_source
            .retain(|_, recent| recent.0.back().is_some_and(|last| now.duration_since(*last) < WINDOW));
    }
}

impl Recent {
    fn rest(&self, now: Instant) -> Option<Duration> {
        let within = |failed: &&Instant| now.duration_since(**failed) < WINDOW;
        let first = self.0.iter().find(within)?;
        let count = self.0.iter().filter(within).count();
        (count >= FAILURES_MAX).then(|| WINDOW - now.duration_since(*first))
    }

    fn count(&mut self, now: Instant) -> Result<(), Duration> {
        while self.0.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            self.0.pop_front();
        }
        match self.0.front() {
            Some(first) if self.0.len() >= FAILURES_MAX => Err(WINDOW - now.duration_since(*first)),
            Some(_) | None => {
                self.0.push_back(now);
                Ok(())
            }
        }
    }
}

/// Failures of one source within the window.
pub(super) const FAILURES_MAX: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Sources that are counted for themselves.
const SOURCES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn source(number: u32) -> Source {
        Source::V4(Ipv4Addr::from_bits(number))
    }

    #[test]
    fn no_minute_has_more_than_ten() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..10 {
            assert_eq!(failures.count(source(1), at(second)), Ok(()));
        }
        assert_eq!(failures.count(source(1), at(10)), Err(Duration::from_secs(50)));
        assert_eq!(failures.rest(source(1), at(10)), Some(Duration::from_secs(50)));
        assert_eq!((failures.rest(source(2), at(10)), failures.rest(source(1), at(60))), (None, None));
        assert_eq!(failures.count(source(2), at(10)), Ok(()), "another's failures are its own");
        assert_eq!(failures.count(source(1), at(59)), Err(Duration::from_secs(1)));
        assert_eq!(failures.count(source(1), at(60)), Ok(()));
        assert_eq!(failures.count(source(1), at(60)), Err(Duration::from_secs(1)));
    }

    #[test]
    fn sources_without_a_place_are_counted_together() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for number in 0..SOURCES_MAX as u32 {
            assert_eq!(failures.count(source(number), now), Ok(()));
        }
        let beyond = SOURCES_MAX as u32;
        for number in 0..FAILURES_MAX as u32 {
            assert_eq!(failures.count(source(beyond + number), now), Ok(()));
        }
        assert!(failures.count(source(beyond + 99), now).is_err());
        assert_eq!(failures.count(source(0), now), Ok(()), "who has a place keeps it");
        assert_eq!(failures.by_source.len(), SOURCES_MAX);
        assert_eq!(failures.count(source(beyond), now + WINDOW), Ok(()));
        assert_eq!(failures.by_source.len(), 1, "who failed long ago is forgotten");
    }
}
