//! The requests of one door that await nothing but their answers, and lie where those arrive.
//!
//! Owns where each lies, so that its door can end it. Who has his answer by now is forgotten as others come. It knows
//! nothing of what they wait for.

use crate::upstream::exchange::{Arrived, Berth};

/// Where they are, and where some were. Dropped, it ends all of them.
#[derive(Default)]
pub(super) struct Berths(Vec<Berth<Arrived>>);

impl Berths {
    /// One more. `open`: how many requests there are at most by now.
    pub(super) fn push(&mut self, berth: Berth<Arrived>, open: usize) {
        if self.0.len() >= 2 * open + SPARE {
            self.forgets();
        }
        self.0.push(berth);
    }

    #[cold]
    fn forgets(&mut self) {
        self.0.retain(|berth| !berth.is_empty());
    }

    /// Ends the one with this number, if it is here: it says nothing.
    pub(super) fn end(&mut self, number: u64) -> bool {
        let found =
            self.0.iter().enumerate().rev().find_map(|(at, berth)| Some((at, berth.let_out(Some(number))?)));
        let Some((at, whoever)) = found else { return false };
        self.0.swap_remove(at);
        drop(whoever);
        true
    }

    /// All are to be followed.
    pub(super) fn rise(&mut self) {
        self.0.drain(..).for_each(|berth| berth.raise());
    }
}

impl Drop for Berths {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|berth| drop(berth.let_out(None)));
    }
}

/// As many are kept who have their answers already.
const SPARE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::exchange::Awaiting;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts those that rise.
    struct One(u64, Arc<AtomicUsize>);

    impl Awaiting<Arrived> for One {
        fn number(&self) -> u64 {
            self.0
        }

        fn ends(self: Box<Self>, _: Option<Arrived>) {}

        fn rises(self: Box<Self>) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_has_his_answer_is_forgotten_as_others_come() {
        let (mut berths, risen) = (Berths::default(), Arc::default());
        let mut open = Vec::new();
        for number in 0..100 * SPARE as u64 {
            let (berth, there) = Berth::of(Box::new(One(number, Arc::clone(&risen))));
            berths.push(berth, open.len() + 1);
            open.push(there);
            if open.len() > 10 {
                open.remove(0);
            }
            assert!(berths.0.len() <= 2 * (open.len() + 1) + SPARE);
        }
        let last = 100 * SPARE as u64 - 1;
        assert!(berths.end(last) && !berths.end(last) && !berths.end(0));
        berths.rise();
        assert_eq!((risen.load(Ordering::Relaxed), berths.0.len()), (9, 0));
    }

    #[test]
    fn with_its_door_all_end() {
        let (mut berths, counted) = (Berths::default(), Arc::default());
        let (berth, _there) = Berth::of(Box::new(One(1, Arc::clone(&counted))));
        berths.push(berth, 1);
        assert_eq!(Arc::strong_count(&counted), 2);
        drop(berths);
        assert_eq!(Arc::strong_count(&counted), 1);
    }
}
