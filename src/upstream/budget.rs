//! So many units that may be taken, at once or in the order of those who wait for them.
//!
//! A count that is shared: what is taken is a guard and comes back by being dropped. As long as nobody waits, which is
//! mostly, taking and giving back is one step each; who waits does so at a semaphore, where all units are then. It knows
//! neither what a unit is nor who takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};
use tokio::sync::Semaphore;

/// What is left to be taken.
#[derive(Debug)]
pub struct Budget {
    left: AtomicU32,
    waiting: AtomicU32,
    /// Where those wait who found too little, and all that is left for as long as anybody does.
    crowd: Semaphore,
}

/// What was taken. Given back by being dropped.
#[derive(Debug)]
pub struct Taken {
    budget: Arc<Budget>,
    units: u32,
}

impl Budget {
    /// Of as many as can be counted, if it is more.
    pub fn new(units: impl TryInto<u32>) -> Arc<Self> {
        Arc::new(Self::of(units))
    }

    /// The same, for whoever keeps it in something that is shared already.
    pub fn of(units: impl TryInto<u32>) -> Self {
        let most = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let units = units.try_into().map_or(most, |units| units.min(most));
        let (left, waiting) = (AtomicU32::new(units), AtomicU32::new(0));
        Self { left, waiting, crowd: Semaphore::const_new(0) }
    }

    /// How many units are left; others may take or give back at any time.
    pub fn left(&self) -> u32 {
        let crowd = u32::try_from(self.crowd.available_permits()).unwrap_or(u32::MAX);
        self.left.load(Ordering::SeqCst).saturating_add(crowd)
    }

    /// All of these units, or none. Nothing is taken from under those who wait.
    pub fn take(self: &Arc<Self>, units: u32) -> Option<Taken> {
        self.draw_above(0, units).then(|| Taken { budget: self.clone(), units })
    }

    /// The same, if as many as `spared` are left then, and without anything that gives them back: [`give_back`](Self::give_back)
    /// is to.
    pub fn draw_above(&self, spared: u32, units: u32) -> bool {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            return false;
        }
        let less = |left: u32| left.checked_sub(units).filter(|left| *left >= spared);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }

    /// Gives back what was drawn, once.
    pub fn give_back(&self, units: u32) {
        self.left.fetch_add(units, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.settle();
        }
    }

    /// All of these units, once it is one's turn. Cancel-safe: who stops waiting has taken nothing. More than there ever
    /// are, are waited for in vain.
    pub async fn wait(self: &Arc<Self>, units: u32) -> Taken {
        if let Some(taken) = self.take(units) {
            return taken;
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waits = Waits(self);
        self.settle();
        match self.crowd.acquire_many(units).await {
            Ok(permit) => permit.forget(),
            // Nobody closes it.
            Err(_) => std::future::pending().await,
        }
        Taken { budget: self.clone(), units }
    }

    /// Brings what is left to where it is looked for: to those who wait, or to nobody. Whoever has changed either number
    /// calls it afterwards, so that the last of them leaves it right.
    fn settle(&self) {
        loop {
            let crowded = self.waiting.load(Ordering::SeqCst) > 0;
            match crowded {
                true => self.crowd.add_permits(self.left.swap(0, Ordering::SeqCst) as usize),
                false => {
                    let back = self.crowd.forget_permits(Semaphore::MAX_PERMITS);
                    self.left.fetch_add(u32::try_from(back).unwrap_or_default(), Ordering::SeqCst);
                }
            }
            // What was brought there comes before this look at who waits.
            fence(Ordering::SeqCst);
            if crowded == (self.waiting.load(Ordering::SeqCst) > 0) {
                return;
            }
        }
    }
}

/// Somebody waits as long as this is there.
struct Waits<'a>(&'a Budget);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.settle();
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.budget.give_back(self.units);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::join_all;
    use std::time::Duration;
    use tokio::time::timeout;

    #[test]
    fn what_is_taken_comes_back_once() {
        let budget = Budget::new(5u32);
        let three = budget.take(3).unwrap();
        assert!(budget.take(3).is_none());
        let two = budget.take(2).unwrap();
        assert_eq!((three.units, budget.left()), (3, 0));
        assert!(budget.take(0).is_some() && budget.take(1).is_none());
        drop((three, two));
        assert_eq!(budget.left(), 5);
    }

    #[test]
    fn what_is_spared_is_left() {
        let budget = Budget::new(5u32);
        assert!(!budget.draw_above(3, 3) && !budget.draw_above(6, 0));
        assert!(budget.draw_above(3, 2) && !budget.draw_above(3, 1) && budget.draw_above(3, 0));
        assert!(budget.take(3).is_some_and(|taken| taken.units == 3) && budget.left() == 3);
        budget.give_back(2);
        assert_eq!(budget.left(), 5);
    }

    #[test]
    fn many_threads_take_no_more_than_there_is() {
        let budget = Budget::new(3u32);
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

    #[test]
    fn who_waits_is_served_in_turn_and_nobody_before() {
        let budget = Budget::new(2u32);
        let (one, other) = (budget.take(1).unwrap(), budget.take(1).unwrap());
        let mut both = Box::pin(budget.wait(2));
        let mut next = Box::pin(budget.wait(1));
        assert!((&mut both).now_or_never().is_none() && (&mut next).now_or_never().is_none());
        drop(one);
        assert!((&mut next).now_or_never().is_none() && budget.take(1).is_none(), "it is not their turn");
        drop(other);
        let both = both.now_or_never().unwrap();
        assert!(both.units == 2 && (&mut next).now_or_never().is_none());
        drop(both);
        drop(next.now_or_never().unwrap());
        assert_eq!((budget.left(), budget.take(2).map(|taken| taken.units)), (2, Some(2)));
    }

    #[test]
    fn who_stops_waiting_has_taken_nothing() {
        let budget = Budget::new(2u32);
        let one = budget.take(1).unwrap();
        let mut both = Box::pin(budget.wait(2));
        assert!((&mut both).now_or_never().is_none());
        drop(one);
        // It is served by now, and never looks.
        drop(both);
        assert_eq!((budget.left(), budget.take(2).map(|taken| taken.units)), (2, Some(2)));
    }

    /// Many who take, wait or give up on several threads: never more than there is, nobody waits for ever, and at the end
    /// all is back and can be taken at once.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nothing_is_lost_whoever_waits_or_gives_up() {
        const UNITS: u32 = 5;
        let budget = Budget::new(UNITS);
        let taken = Arc::new(AtomicU32::new(0));
        let tasks = (0..8_u32).map(|number| {
            let (budget, taken) = (budget.clone(), taken.clone());
            tokio::spawn(async move {
                for round in 0..2_000_u32 {
                    let units = 1 + (round + number) % 3;
                    let mut waits = Box::pin(budget.wait(units));
                    let got = match (round ^ number) % 4 {
                        0 => budget.take(units),
                        1 => (&mut waits).now_or_never(),
                        _ => Some(waits.await),
                    };
                    let Some(got) = got else { continue };
                    assert!(taken.fetch_add(units, Ordering::SeqCst) + units <= UNITS);
                    if round % 5 == 0 {
                        tokio::task::yield_now().await;
                    }
                    taken.fetch_sub(units, Ordering::SeqCst);
                    drop(got);
                }
            })
        });
        let all = timeout(Duration::from_secs(60), join_all(tasks.collect::<Vec<_>>())).await;
        all.expect("nobody waits for ever").into_iter().for_each(|task| task.unwrap());
        assert_eq!(budget.take(UNITS).map(|taken| taken.units), Some(UNITS));
    }
}
