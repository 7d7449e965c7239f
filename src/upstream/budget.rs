//! So many units that may be taken, and nobody who waits for one.
//!
//! A count that is shared: what is taken is a guard and comes back by being dropped. It knows neither what a unit is nor
//! who takes it. Where somebody waits for what comes back, a semaphore is the thing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What is left to be taken.
#[derive(Debug)]
pub struct Budget(AtomicU32);

/// What was taken. Given back by being dropped.
#[derive(Debug)]
pub struct Taken {
    budget: Arc<Budget>,
    units: u32,
}

impl Budget {
    pub fn new(units: u32) -> Arc<Self> {
        Arc::new(Self(AtomicU32::new(units)))
    }

    /// How many units are left; others may take or give back at any time.
    pub fn left(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// All of these units, or none.
    pub fn take(self: &Arc<Self>, units: u32) -> Option<Taken> {
        let less = |left: u32| left.checked_sub(units);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).ok()?;
        Some(Taken { budget: self.clone(), units })
    }
}

impl Taken {
    pub fn units(&self) -> u32 {
        self.units
    }

    /// Both are of one budget; what is of another stays as it is, and is given back.
    pub fn merge(&mut self, mut more: Self) {
        if Arc::ptr_eq(&self.budget, &more.budget) {
            self.units += std::mem::take(&mut more.units);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.units, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back_once() {
        let budget = Budget::new(5);
        let mut three = budget.take(3).unwrap();
        assert!(budget.take(3).is_none());
        three.merge(budget.take(2).unwrap());
        assert_eq!((three.units(), budget.left()), (5, 0));
        assert!(budget.take(0).is_some() && budget.take(1).is_none());
        drop(three);
        assert_eq!(budget.left(), 5);
    }

    #[test]
    fn what_is_of_another_budget_is_not_mixed_with_it() {
        let (one, other) = (Budget::new(1), Budget::new(1));
        let mut taken = one.take(1).unwrap();
        taken.merge(other.take(1).unwrap());
        assert_eq!((taken.units(), one.left(), other.left()), (1, 0, 1));
    }

    #[test]
    fn many_threads_take_no_more_than_there_is() {
        let budget = Budget::new(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if let Some(taken) = budget.take(2) {
                            assert!(budget.left() <= 1);
                            drop(taken);
                        }
                    }
                });
            }
        });
        assert_eq!(budget.left(), 3);
    }
}
