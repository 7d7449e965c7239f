//! How long things took, as counts between bounds that never change.
//!
//! Counting takes two steps and no lock, so it may be done for every call. What is read may be of a moment in between:
//! it is for people and for graphs. It knows nothing of what is measured.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in microseconds, the last of them ten minutes; what is longer has a place of its own.
pub const BOUNDS_US: [u64; 18] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
    600_000_000,
];
const PLACES: usize = BOUNDS_US.len() + 1;

/// Counts that go on.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; PLACES],
    sum_us: AtomicU64,
}

/// The same as it was at some moment; several can be added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    counts: [u64; PLACES],
    sum_us: u64,
}

impl Histogram {
    /// One more that took so long.
    pub fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // From the shortest on: most are short.
        let place = BOUNDS_US.iter().position(|bound| us <= *bound).unwrap_or(BOUNDS_US.len());
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub fn read(&self) -> Spread {
        let counts =
            std::array::from_fn(|at| self.counts.get(at).map_or(0, |count| count.load(Ordering::Relaxed)));
        Spread { counts, sum_us: self.sum_us.load(Ordering::Relaxed) }
    }
}

impl Spread {
    pub fn add(&mut self, other: &Self) {
        for (own, others) in self.counts.iter_mut().zip(other.counts) {
            *own = own.saturating_add(others);
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// All that they took, in seconds.
    pub fn seconds(&self) -> f64 {
        Duration::from_micros(self.sum_us).as_secs_f64()
    }

    /// How many took so long and no longer, by the upper bound of each place in seconds; the last has none.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<f64>, u64)> {
        let bounds = BOUNDS_US.iter().map(|us| Some(Duration::from_micros(*us).as_secs_f64()));
        bounds.chain([None]).zip(self.counts)
    }

    /// How long this part of them took at most, out of a hundred: as if they lay evenly between two bounds. Nothing of
    /// nothing; beyond the last bound, that.
    pub fn percentile(&self, part: u64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let wanted = count.saturating_mul(part).div_ceil(100).max(1);
        let (mut below, mut lower) = (0_u64, 0_u64);
        for (upper, here) in BOUNDS_US.iter().zip(self.counts) {
            if here > 0 && below + here >= wanted {
                let share = (upper - lower).saturating_mul(wanted - below) / here;
                return Some(Duration::from_micros(lower + share));
            }
            (below, lower) = (below + here, *upper);
        }
        Some(Duration::from_micros(lower))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn each_is_counted_at_the_first_bound_that_it_does_not_exceed() {
        let histogram = Histogram::default();
        for took in [Duration::ZERO, MS, MS + Duration::from_nanos(1500), 600_000 * MS, 600_001 * MS] {
            histogram.record(took);
        }
        let spread = histogram.read();
        let found: Vec<_> = spread.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(found, [(Some(0.001), 2), (Some(0.002), 1), (Some(600.0), 1), (None, 1)]);
        assert_eq!(spread.count(), 5);
        assert!((spread.seconds() - 1_200.003_001).abs() < 1e-6);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.read().count(), 6);
    }

    #[test]
    fn a_percentile_lies_between_its_bounds() {
        let histogram = Histogram::default();
        assert_eq!(histogram.read().percentile(50), None);
        (0..90).for_each(|_| histogram.record(15 * MS));
        (0..10).for_each(|_| histogram.record(1500 * MS));
        let spread = histogram.read();
        let (half, most) = (spread.percentile(50).unwrap(), spread.percentile(95).unwrap());
        assert!(half > 10 * MS && half <= 20 * MS, "{half:?}");
        assert!(most > 1000 * MS && most <= 2000 * MS, "{most:?}");
        let mut both = spread.clone();
        both.add(&spread);
        assert_eq!((both.count(), both.percentile(50)), (200, Some(half)));
        let long = Histogram::default();
        long.record(Duration::MAX);
        assert_eq!(long.read().percentile(50), Some(600_000 * MS), "no more is known of it");
    }
}
