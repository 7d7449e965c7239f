//! Who is waiting for what: the requests in flight toward one peer.
//!
//! A `Ledger` mints ids and keeps one entry per id until it is closed. It neither sends nor waits;
//! its owner does both. Closing takes the entry, so a second answer to an id finds nothing.

use crate::wire::id::{CallId, MintedMap};

/// Requests in flight toward one peer. Each id enters once and leaves once, and is never used again.
#[derive(Debug)]
pub struct Ledger<T> {
    next: u64,
    open: MintedMap<CallId, T>,
}

impl<T> Ledger<T> {
    pub fn new() -> Self {
        Self { next: 1, open: MintedMap::default() }
    }

    pub fn open(&mut self, entry: T) -> CallId {
        let id = self.mint();
        self.open.insert(id, entry);
        id
    }

    /// An id for a request whose answer nobody waits for.
    pub fn mint(&mut self) -> CallId {
        let id = CallId(self.next);
        self.next += 1;
        id
    }

    pub fn get_mut(&mut self, id: CallId) -> Option<&mut T> {
        self.open.get_mut(&id)
    }

    /// Takes the entry out.
    pub fn close(&mut self, id: CallId) -> Option<T> {
        self.open.remove(&id)
    }

    pub fn get(&self, id: CallId) -> Option<&T> {
        self.open.get(&id)
    }

    /// What is open, in no order.
    pub fn entries(&self) -> impl Iterator<Item = (CallId, &T)> {
        self.open.iter().map(|(id, entry)| (*id, entry))
    }

    /// Takes the entry out by its id as a peer writes it.
    pub fn close_as_written(&mut self, raw: &str) -> Option<T> {
        self.close(CallId::read(raw)?)
    }

    /// Finds the entry by its id as a peer writes it.
    pub fn get_as_written(&self, raw: &str) -> Option<&T> {
        self.get(CallId::read(raw)?)
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes every entry out, oldest first.
    pub fn drain(&mut self) -> Vec<T> {
        let mut entries: Vec<_> = self.open.drain().collect();
        entries.sort_by_key(|(id, _)| *id);
        entries.into_iter().map(|(_, entry)| entry).collect()
    }
}

impl<T> Default for Ledger<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_second_answer_finds_nothing() {
        let mut ledger = Ledger::new();
        let id = ledger.open("a");
        assert_eq!(ledger.close(id), Some("a"));
        assert_eq!(ledger.close(id), None);
    }

    proptest! {
        #[test]
        fn each_entry_comes_back_once_and_no_id_twice(ops in prop::collection::vec((any::<bool>(), 0usize..64), 0..400)) {
            let (mut ledger, mut live, mut seen) = (Ledger::new(), Vec::new(), std::collections::HashSet::new());
            for (n, (open, pick)) in ops.into_iter().enumerate() {
                if open || live.is_empty() {
                    let id = ledger.open(n);
                    prop_assert!(seen.insert(id));
                    live.push((id, n));
                } else {
                    let (id, entry) = live.swap_remove(pick % live.len());
                    prop_assert_eq!(ledger.close(id), Some(entry));
                    prop_assert_eq!(ledger.close(id), None);
                }
                prop_assert_eq!(ledger.len(), live.len());
                prop_assert_eq!(ledger.entries().count(), live.len());
            }
            let mut rest: Vec<_> = live.into_iter().map(|(_, entry)| entry).collect();
            rest.sort_unstable();
            prop_assert_eq!(ledger.drain(), rest);
            prop_assert!(ledger.is_empty());
        }
    }
}
