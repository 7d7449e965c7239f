//! How long a person has been asked so far.
//!
//! Owns one sum. While a person is being asked, the call behind the question costs no time: its deadline is
//! extended by as much as this sum has grown. Like the deadline it reads no clock.

use std::time::{Duration, Instant};

/// The time during which at least one question was open. Questions may overlap; what overlaps counts once.
#[derive(Debug, Clone, Default)]
pub struct Held {
    open: usize,
    since: Option<Instant>,
    before: Duration,
}

impl Held {
    /// A question is put.
    pub fn hold(&mut self, now: Instant) {
        self.open = self.open.saturating_add(1);
        self.since.get_or_insert(now);
    }

    /// A question has its answer, or is withdrawn. One more than there were questions changes nothing.
    pub fn release(&mut self, now: Instant) {
        self.open = self.open.saturating_sub(1);
        if self.open == 0
            && let Some(since) = self.since.take()
        {
            self.before += now.saturating_duration_since(since);
        }
    }

    /// A question is open.
    pub fn is_held(&self) -> bool {
        self.open > 0
    }

    /// All of it up to now, the open question included. Never less than before, if `now` never is.
    pub fn total(&self, now: Instant) -> Duration {
        let open = self.since.map(|since| now.saturating_duration_since(since));
        self.before + open.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_open_question_counts_as_it_goes() {
        let (start, mut held) = (Instant::now(), Held::default());
        assert_eq!(held.total(start), Duration::ZERO);
        held.hold(start + SECOND);
        assert_eq!(held.total(start + 3 * SECOND), 2 * SECOND);
        held.release(start + 4 * SECOND);
        assert_eq!(held.total(start + 9 * SECOND), 3 * SECOND);
    }

    #[test]
    fn questions_that_overlap_count_once() {
        let (start, mut held) = (Instant::now(), Held::default());
        held.hold(start);
        held.hold(start + SECOND);
        held.release(start + 2 * SECOND);
        assert_eq!(held.total(start + 3 * SECOND), 3 * SECOND);
        held.release(start + 4 * SECOND);
        held.release(start + 5 * SECOND);
        assert_eq!(held.total(start + 6 * SECOND), 4 * SECOND);
    }

    proptest! {
        /// The sum is the number of seconds at whose beginning a question was open.
        #[test]
        fn it_is_the_time_with_a_question_open(ops in prop::collection::vec(any::<Option<bool>>(), 0..64)) {
            let (mut now, mut held) = (Instant::now(), Held::default());
            let (mut open, mut seconds) = (0_u32, 0);
            for op in ops {
                match op {
                    Some(true) => {
                        held.hold(now);
                        open += 1;
                    }
                    Some(false) => {
                        held.release(now);
                        open = open.saturating_sub(1);
                    }
                    None => {
                        now += SECOND;
                        seconds += u32::from(open > 0);
                    }
                }
                prop_assert_eq!(held.total(now), seconds * SECOND);
            }
        }
    }
}
