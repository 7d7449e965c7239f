//! Which calls are open.
//!
//! Owns the ids: each says which slot it is of and how often that was used, so an id is never used twice and an answer to one
//! that is closed finds nothing. Sends nothing and judges nothing.

use std::time::{Duration, Instant};

/// Entries for so many calls at once; each is closed once.
#[derive(Debug)]
pub struct Book {
    /// The number of its first slot, where several books share a session.
    base: u64,
    slots: Vec<Slot>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Slot {
    generation: u64,
    open: Option<Entry>,
}

/// An open call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Latency counts from here.
    pub due: Instant,
    /// Patience counts from here.
    pub sent: Instant,
}

impl Book {
    pub fn new(base: usize, slots: usize) -> Self {
        let slot = || Slot { generation: 0, open: None };
        Self {
            base: base as u64,
            slots: std::iter::repeat_with(slot).take(slots).collect(),
            free: (0..slots).rev().collect(),
        }
    }

    /// `None`: all are in use.
    pub fn open(&mut self, entry: Entry) -> Option<u64> {
        let index = self.free.pop()?;
        let slot = self.slots.get_mut(index)?;
        slot.generation += 1;
        slot.open = Some(entry);
        Some(slot.generation * SLOTS_MAX + self.base + index as u64)
    }

    /// Takes the entry out. `None`: no call of this id is open.
    pub fn close(&mut self, id: u64) -> Option<Entry> {
        let index = self.index(id)?;
        let entry = self.slots.get_mut(index)?.open.take()?;
        self.free.push(index);
        Some(entry)
    }

    pub fn is_open(&self, id: u64) -> bool {
        self.index(id).is_some()
    }

    pub fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Closes what was sent longer ago, and says how many.
    pub fn give_up(&mut self, now: Instant, patience: Duration) -> u64 {
        let mut count = 0;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.open.is_some_and(|entry| now.saturating_duration_since(entry.sent) >= patience) {
                slot.open = None;
                self.free.push(index);
                count += 1;
            }
        }
        count
    }

    fn index(&self, id: u64) -> Option<usize> {
        let index = usize::try_from((id % SLOTS_MAX).checked_sub(self.base)?).ok()?;
        let slot = self.slots.get(index)?;
        (slot.generation == id / SLOTS_MAX && slot.open.is_some()).then_some(index)
    }
}

/// The number of the slot that an id is of.
pub fn slot_of(id: u64) -> usize {
    usize::try_from(id % SLOTS_MAX).unwrap_or(0)
}

/// More calls are not open in one session.
pub const SLOTS_MAX: u64 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(now: Instant) -> Entry {
        Entry { due: now, sent: now }
    }

    #[test]
    fn each_id_is_closed_once() {
        let now = Instant::now();
        let mut book = Book::new(0, 2);
        let (first, second) = (book.open(entry(now)).unwrap(), book.open(entry(now)).unwrap());
        assert_eq!(book.open(entry(now)), None);
        assert!(first != second && book.is_open(first));
        assert_eq!(book.close(first), Some(entry(now)));
        assert_eq!(book.close(first), None);
        assert!(!book.is_open(first) && book.has_room() && !book.is_empty());
        let third = book.open(entry(now)).unwrap();
        assert!(third != first && slot_of(third) == slot_of(first));
        assert_eq!(book.close(first), None);
        assert!(book.close(third).is_some() && book.close(second).is_some() && book.is_empty());
    }

    #[test]
    fn what_was_never_open_is_nobodys() {
        let mut book = Book::new(5, 2);
        for id in [0, 5, 65_536, 65_536 + 5, 65_536 + 7, u64::MAX] {
            assert_eq!(book.close(id), None, "{id}");
        }
        let id = book.open(entry(Instant::now())).unwrap();
        assert_eq!((id, slot_of(id)), (65_536 + 5, 5));
        assert!(book.close(id).is_some());
    }

    #[test]
    fn only_what_is_old_is_given_up() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut book = Book::new(0, 3);
        let (old, young) = (book.open(entry(at(0))).unwrap(), book.open(entry(at(5))).unwrap());
        assert_eq!(book.give_up(at(10), Duration::from_millis(10)), 1);
        assert!(!book.is_open(old) && book.is_open(young));
        assert_eq!(book.close(old), None);
    }
}
