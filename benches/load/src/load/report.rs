//! What is printed: one JSON object for each command.
//!
//! Owns the names of its members, which others read.

use super::tally::Tally;
use serde::Serialize;

/// Of a run. What is not known is `null`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Measured and right.
    pub calls: u64,
    /// Answers to nothing, second answers, errors, other texts; warm-up included.
    pub wrong: u64,
    /// Calls without an answer, or that never had a chance to be sent; warm-up included.
    pub lost: u64,
    pub notes: u64,
    pub seconds: f64,
    pub calls_per_second: f64,
    /// Of messages that were answers.
    pub bytes_per_second: f64,
    pub p50_us: Option<f64>,
    pub p90_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub p999_us: Option<f64>,
    pub max_us: Option<f64>,
    /// Of the trees that were asked for.
    pub cpu_us_per_call: Option<f64>,
    /// Of the generator itself.
    pub own_cpu_us_per_call: Option<f64>,
    pub rss_kib: Option<u64>,
    pub first_wrong: Option<String>,
}

/// What was used while it was measured.
#[derive(Debug)]
pub struct Used {
    pub seconds: f64,
    pub cpu_nanos: Option<u64>,
    pub own_cpu_nanos: u64,
    pub rss_kib: Option<u64>,
}

impl Report {
    pub fn new(warmup: Tally, tally: Tally, used: &Used) -> Self {
        let percentile = |percent| tally.percentile_us(percent).map(tenths);
        let each =
            |nanos: u64| (tally.calls > 0).then(|| hundredths(nanos as f64 / 1000.0 / tally.calls as f64));
        Self {
            calls: tally.calls,
            wrong: tally.wrong + warmup.wrong,
            lost: tally.lost + warmup.lost,
            notes: tally.notes,
            seconds: used.seconds,
            calls_per_second: tenths(tally.calls as f64 / used.seconds),
            bytes_per_second: tenths(tally.bytes as f64 / used.seconds),
            p50_us: percentile(50.0),
            p90_us: percentile(90.0),
            p99_us: percentile(99.0),
            p999_us: percentile(99.9),
            max_us: tally.max_us().map(tenths),
            cpu_us_per_call: used.cpu_nanos.and_then(each),
            own_cpu_us_per_call: each(used.own_cpu_nanos),
            rss_kib: used.rss_kib,
            first_wrong: warmup.first_wrong.or(tally.first_wrong),
        }
    }
}

/// Of `load idle`.
#[derive(Debug, Serialize)]
pub struct IdleReport {
    pub sessions: usize,
    pub seconds_to_open: f64,
    pub rss_before_kib: u64,
    pub rss_after_kib: u64,
    pub per_session_bytes: f64,
}

/// Of `load start`.
#[derive(Debug, Serialize)]
pub struct StartReport {
    /// From before the start of the process to the answer to `initialize`.
    pub initialize_ms: f64,
    /// And to a list that is complete.
    pub list_ms: f64,
    pub tools: usize,
    /// How often the list was asked for.
    pub lists: u64,
}

pub fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

pub fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_went_wrong_while_warming_up_is_told_too() {
        let (mut warmup, mut tally) = (Tally::default(), Tally::default());
        warmup.wrong("a", b"b");
        warmup.right(Duration::from_secs(9), 1);
        tally.right(Duration::from_micros(5), 100);
        let used = Used { seconds: 2.0, cpu_nanos: None, own_cpu_nanos: 1500, rss_kib: None };
        let report = Report::new(warmup, tally, &used);
        assert_eq!((report.calls, report.wrong, report.lost), (1, 1, 0));
        assert_eq!(report.first_wrong.as_deref(), Some("a: b"));
        assert_eq!((report.cpu_us_per_call, report.own_cpu_us_per_call), (None, Some(1.5)));
        assert_eq!(report.bytes_per_second, 50.0);
    }
}
