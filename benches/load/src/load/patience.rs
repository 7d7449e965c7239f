//! How long whoever has one call open waits for it.
//!
//! Owns one timer for all calls of a slot. It is looked at now and then and not set anew with each call: setting a timer wakes
//! the runtime by a system call where no other timer is set.

use super::shared::Shared;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::{Interval, MissedTickBehavior, interval};

#[derive(Debug)]
pub struct Patience {
    patience: Duration,
    glance: Interval,
}

impl Patience {
    pub fn new(shared: &Shared) -> Self {
        let mut glance = interval(shared.glance());
        glance.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { patience: shared.patience, glance }
    }

    /// What comes of the work; `None` if patience ends first, by a glance later at most.
    pub async fn lasts<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let start = Instant::now();
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                _ = self.glance.tick() => {
                    if start.elapsed() >= self.patience {
                        return None;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::asking::tests::run;
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn what_is_done_is_handed_on_and_what_is_not_ends() {
        let shared = Shared::new(&run("--patience 0.02"));
        let mut patience = Patience::new(&shared);
        assert_eq!(patience.lasts(ready(7)).await, Some(7));
        let start = Instant::now();
        assert_eq!(patience.lasts(pending::<()>()).await, None);
        assert!(start.elapsed() >= Duration::from_millis(20));
    }
}
