//! What is left to whom of how many rates: one bucket for each, which fills evenly and never beyond its rate's number.
//!
//! A bucket is one number: when it will be full again. One that is full says nothing, and need not be kept; that, and
//! `buckets_max`, bounds the table whoever comes. Times are nanoseconds of the caller's clock. It knows no clock itself.

use crate::config::Rate;
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// Whose bucket of what: numbers that are ours.
pub type Key = (u64, u32);

/// A table of buckets.
#[derive(Debug)]
pub struct Buckets {
    /// When each is full again.
    full_at: HashMap<Key, u64, RandomState>,
    buckets_max: usize,
}

/// One of several buckets is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Empty {
    /// Which of those that were asked for: the one that takes longest.
    pub which: usize,
    /// Until there is something in it, in nanoseconds; never none.
    pub wait_ns: u64,
}

impl Buckets {
    pub fn new(buckets_max: usize) -> Self {
        Self { full_at: HashMap::default(), buckets_max: buckets_max.max(1) }
    }

    /// Takes one out of each bucket, or nothing out of any if one of them is empty.
    pub fn take(&mut self, wanted: &[(Key, Rate)], now: u64) -> Result<(), Empty> {
        let waits = wanted.iter().enumerate().map(|(which, (key, rate))| {
            // Full, but for what is missing until then. With one more missing than it holds it is empty.
            let missing = self.full_at(key, now).saturating_sub(now).saturating_add(rate.interval_ns());
            let holds = rate.interval_ns().saturating_mul(u64::from(rate.count));
            Empty { which, wait_ns: missing.saturating_sub(holds) }
        });
        match waits.filter(|empty| empty.wait_ns > 0).max_by_key(|empty| empty.wait_ns) {
            Some(empty) => Err(empty),
            None => {
                for (key, rate) in wanted {
                    let full_at = self.full_at(key, now).saturating_add(rate.interval_ns());
                    self.put(*key, full_at, now);
                }
                Ok(())
            }
        }
    }

    fn full_at(&self, key: &Key, now: u64) -> u64 {
        self.full_at.get(key).copied().unwrap_or(now).max(now)
    }

    fn put(&mut self, key: Key, full_at: u64, now: u64) {
        if self.full_at.len() >= self.buckets_max && !self.full_at.contains_key(&key) {
            self.make_room(now);
        }
        self.full_at.insert(key, full_at);
    }

    /// Full buckets go, and lose nothing by it. Where there is none, the one goes that would be full first.
    fn make_room(&mut self, now: u64) {
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() >= self.buckets_max
            && let Some(first) = self.full_at.iter().min_by_key(|(key, full_at)| (**full_at, **key))
        {
            let first = *first.0;
            self.full_at.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    /// How many of so many are taken one right after the other.
    fn taken(buckets: &mut Buckets, key: Key, text: &str, now: u64, tries: usize) -> usize {
        (0..tries).filter(|_| buckets.take(&[(key, rate(text))], now).is_ok()).count()
    }

    #[test]
    fn as_many_as_the_number_come_at_once_and_then_one_in_each_part_of_the_time() {
        let mut buckets = Buckets::new(9);
        let key = (1, 0);
        assert_eq!(taken(&mut buckets, key, "60/min", 0, 100), 60);
        assert_eq!(taken(&mut buckets, key, "60/min", SECOND - 1, 100), 0);
        assert_eq!(taken(&mut buckets, key, "60/min", SECOND, 100), 1);
        assert_eq!(taken(&mut buckets, key, "60/min", 4 * SECOND, 100), 3);
        assert_eq!(taken(&mut buckets, key, "60/min", 1000 * SECOND, 100), 60, "and no more than the number");
        assert_eq!(taken(&mut buckets, (2, 0), "60/min", 1000 * SECOND, 100), 60, "another's is another");
    }

    #[test]
    fn the_wait_is_exactly_until_the_next_is_taken() {
        for text in ["1/s", "7/s", "3/min", "9999/s", "10007/day", "9973/hour"] {
            let mut buckets = Buckets::new(9);
            let wanted = [((1, 0), rate(text))];
            let mut now = 5;
            for _ in 0..rate(text).count {
                buckets.take(&wanted, now).unwrap();
            }
            for _ in 0..20 {
                let Empty { wait_ns, .. } = buckets.take(&wanted, now).unwrap_err();
                assert_eq!(
                    buckets.take(&wanted, now + wait_ns - 1),
                    Err(Empty { which: 0, wait_ns: 1 }),
                    "{text}"
                );
                now += wait_ns;
                assert_eq!(buckets.take(&wanted, now), Ok(()), "{text}");
            }
            assert!(now - 5 >= 20 * rate(text).interval_ns(), "{text}");
        }
    }

    #[test]
    fn of_several_all_are_taken_from_or_none() {
        let mut buckets = Buckets::new(9);
        let (wide, narrow) = (((1, 0), rate("3/min")), ((1, 1), rate("1/min")));
        assert_eq!(buckets.take(&[wide, narrow], 0), Ok(()));
        for _ in 0..5 {
            assert_eq!(buckets.take(&[wide, narrow], 0), Err(Empty { which: 1, wait_ns: 60 * SECOND }));
        }
        assert_eq!(taken(&mut buckets, wide.0, "3/min", 0, 9), 2, "what was refused took nothing");
        assert_eq!(
            buckets.take(&[wide, narrow], 0),
            Err(Empty { which: 1, wait_ns: 60 * SECOND }),
            "the longer wait is the one that is said"
        );
    }

    #[test]
    fn a_full_table_forgets_who_has_lost_nothing_by_it_and_else_who_loses_least() {
        let mut buckets = Buckets::new(3);
        let one = |buckets: &mut Buckets, client, now| buckets.take(&[((client, 0), rate("2/min"))], now);
        for client in [1, 2, 3] {
            one(&mut buckets, client, client).unwrap();
        }
        // Nobody's is full again: that of the first is the nearest to it.
        one(&mut buckets, 4, 10).unwrap();
        assert_eq!(buckets.full_at.len(), 3);
        let mut kept: Vec<_> = buckets.full_at.keys().map(|key| key.0).collect();
        kept.sort_unstable();
        assert_eq!(kept, [2, 3, 4]);
        // Now those of 2 and 3 are, and the one of 4 is not: it has two missing.
        one(&mut buckets, 4, 11).unwrap();
        one(&mut buckets, 5, 40 * SECOND).unwrap();
        let mut kept: Vec<_> = buckets.full_at.keys().map(|key| key.0).collect();
        kept.sort_unstable();
        assert_eq!(kept, [4, 5]);
        assert!(one(&mut buckets, 4, 40 * SECOND).is_ok(), "one has come anew");
        assert!(one(&mut buckets, 4, 40 * SECOND).is_err(), "and what it used is not forgotten");
    }

    #[test]
    fn any_number_of_clients_take_no_more_than_the_table_has() {
        let mut buckets = Buckets::new(64);
        for client in 0..10_000 {
            buckets.take(&[((client, 0), rate("5/hour")), ((client, 1), rate("9/hour"))], client).unwrap();
            assert!(buckets.full_at.len() <= 64);
        }
    }

    #[test]
    fn the_end_of_time_takes_nothing_and_overflows_nowhere() {
        let mut buckets = Buckets::new(9);
        let wanted = [((1, 0), rate("1/day"))];
        assert_eq!(buckets.take(&wanted, u64::MAX), Ok(()));
        assert_eq!(taken(&mut buckets, (2, 0), "1000000/day", u64::MAX, 10), 10);
    }
}
