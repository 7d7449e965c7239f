//! What was measured: counts, and how long answers took.
//!
//! Owns the histogram; nanoseconds, three digits. Knows no clock.

use hdrhistogram::Histogram;
use std::time::Duration;

/// One course of calls.
#[derive(Debug)]
pub struct Tally {
    /// Those that were answered rightly; the histogram holds these alone.
    pub calls: u64,
    pub wrong: u64,
    pub lost: u64,
    pub notes: u64,
    /// Of right answers, without framing.
    pub bytes: u64,
    /// What was wrong first, for people.
    pub first_wrong: Option<String>,
    latencies: Option<Histogram<u64>>,
}

impl Tally {
    pub fn right(&mut self, latency: Duration, bytes: usize) {
        self.calls += 1;
        self.bytes += bytes as u64;
        if let Some(latencies) = &mut self.latencies {
            latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    pub fn wrong(&mut self, why: &str, message: &[u8]) {
        self.wrong += 1;
        self.first_wrong.get_or_insert_with(|| {
            let shown = message.get(..SHOWN_BYTES_MAX).unwrap_or(message);
            format!("{why}: {}", String::from_utf8_lossy(shown))
        });
    }

    pub fn lost(&mut self, count: u64) {
        self.lost += count;
    }

    pub fn note(&mut self) {
        self.notes += 1;
    }

    /// Under which so many percent of the answers are, in microseconds; `None` without answers.
    pub fn percentile_us(&self, percent: f64) -> Option<f64> {
        let latencies = self.latencies.as_ref().filter(|latencies| !latencies.is_empty())?;
        Some(micros(latencies.value_at_percentile(percent)))
    }

    pub fn max_us(&self) -> Option<f64> {
        let latencies = self.latencies.as_ref().filter(|latencies| !latencies.is_empty())?;
        Some(micros(latencies.max()))
    }
}

impl Default for Tally {
    fn default() -> Self {
        // With these bounds there is always one.
        let latencies = Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, 3).ok();
        Self { calls: 0, wrong: 0, lost: 0, notes: 0, bytes: 0, first_wrong: None, latencies }
    }
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

/// An hour.
const LATENCY_NANOS_MAX: u64 = 3_600_000_000_000;
const SHOWN_BYTES_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_keep_three_digits() {
        let mut tally = Tally::default();
        assert_eq!((tally.percentile_us(50.0), tally.max_us()), (None, None));
        for micros in 1..=1000 {
            tally.right(Duration::from_micros(micros), 10);
        }
        for (percent, expected) in [(50.0, 500.0), (99.0, 990.0), (99.9, 999.0)] {
            let found = tally.percentile_us(percent).unwrap();
            assert!((found - expected).abs() <= expected / 500.0, "{percent}: {found}");
        }
        assert!((tally.max_us().unwrap() - 1000.0).abs() <= 1.0);
        assert_eq!((tally.calls, tally.bytes), (1000, 10_000));
    }

    #[test]
    fn what_is_longer_than_an_hour_counts_as_an_hour() {
        let mut tally = Tally::default();
        tally.right(Duration::from_secs(7200), 0);
        assert!(tally.max_us().unwrap() > 3.5e9);
    }

    #[test]
    fn the_first_wrong_message_is_kept() {
        let mut tally = Tally::default();
        tally.wrong("a", &[b'x'; 500]);
        tally.wrong("b", b"y");
        assert_eq!(tally.wrong, 2);
        assert_eq!(tally.first_wrong.map(|text| text.len()), Some(3 + SHOWN_BYTES_MAX));
    }
}
