//! How much the requests of one client may take of the memory, as long as they wait.
//!
//! A client among many has a quarter of it at most, so that those of others find room whatever it sends; of that, large
//! ones leave room for small ones. Where it is alone it has all of it. Every request counts in the whole memory as well.
//! It waits for nobody.

use super::budget::{Budget, Taken};
use super::memory::{Memory, is_large, kib, large_max};
use crate::mcp::caller::Company;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::OwnedSemaphorePermit;

/// What one client may have in memory of its requests at a time.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<Purse>);

#[derive(Debug)]
struct Purse {
    memory: Arc<Memory>,
    /// Its part; `None`: it is alone, and the memory itself is its bound.
    part: Option<Part>,
}

#[derive(Debug)]
struct Part {
    own: Budget,
    kib: u32,
    /// What requests may have of it after a large one.
    large_kib_max: u32,
}

/// The room of one request, or of a piece of it: in the whole memory and in its client's part. Given back when it is
/// dropped.
#[derive(Debug)]
pub struct Held {
    of: Arc<Purse>,
    /// In KiB.
    all: u32,
    own: u32,
}

/// What one request holds: its turns and places, its room. Seldom more than fits without a place of its own on the heap.
pub type Permits = SmallVec<[Permit; 2]>;

/// One of these.
#[derive(Debug)]
pub enum Permit {
    Place(OwnedSemaphorePermit),
    Taken(Taken),
    Room(Held),
}

impl From<OwnedSemaphorePermit> for Permit {
    fn from(place: OwnedSemaphorePermit) -> Self {
        Self::Place(place)
    }
}

impl From<Taken> for Permit {
    fn from(taken: Taken) -> Self {
        Self::Taken(taken)
    }
}

impl From<Held> for Permit {
    fn from(room: Held) -> Self {
        Self::Room(room)
    }
}

impl Allowance {
    pub fn new(memory: &Arc<Memory>, company: Company) -> Self {
        let kib = memory.kib() / PARTS;
        let part = || Part { own: Budget::of(kib), kib, large_kib_max: large_max(kib) };
        Self(Arc::new(Purse { memory: memory.clone(), part: (company == Company::Many).then(part) }))
    }

    /// Room for so many bytes of a request; `None` when too much is taken already, by this client or by all.
    pub fn request(&self, bytes: usize) -> Option<Held> {
        self.more_of_request(0, bytes)
    }

    /// Room for a request that comes in pieces, asked for with the size of each before it is kept. What counts is how
    /// large the whole has become. What is given for one request can be merged.
    pub fn pieces(&self) -> impl Fn(usize) -> Option<Held> + Send + Sync + use<> {
        let (allowance, before) = (self.clone(), AtomicUsize::new(0));
        move |bytes| {
            let held = allowance.more_of_request(before.load(Ordering::Acquire), bytes)?;
            before.fetch_add(bytes, Ordering::AcqRel);
            Some(held)
        }
    }

    fn more_of_request(&self, before: usize, bytes: usize) -> Option<Held> {
        let Purse { memory, part } = &*self.0;
        let own = match part {
            Some(part) => part.draw(before, bytes)?,
            None => 0,
        };
        let mut held = Held { of: self.0.clone(), all: 0, own };
        held.all = memory.draw_for_request(before, bytes)?;
        Some(held)
    }
}

impl Part {
    /// Room for so many more bytes, in KiB, for whoever gives it back.
    fn draw(&self, before: usize, bytes: usize) -> Option<u32> {
        let whole = before.saturating_add(bytes);
        // What is large leaves room for what is small: who sends much must still be able to cancel it, and to answer.
        let max = if is_large(whole) { self.large_kib_max } else { self.kib };
        // One text over all that it may have takes all of it.
        let part = |bytes: usize| if bytes == 0 { 0 } else { kib(bytes).min(max) };
        let more = part(whole) - part(before);
        self.own.draw_above(self.kib - max, more).then_some(more)
    }
}

impl Held {
    /// Both are of one request.
    pub fn merge(&mut self, mut more: Self) {
        if Arc::ptr_eq(&self.of, &more.of) {
            self.all += std::mem::take(&mut more.all);
            self.own += std::mem::take(&mut more.own);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(part) = &self.of.part {
            part.own.give_back(self.own);
        }
        self.of.memory.give_back(self.all);
    }
}

/// Into how many parts the memory is divided for clients among many; each has one of them at most.
const PARTS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;

    fn one_of(memory: &Arc<Memory>, company: Company) -> Allowance {
        Allowance::new(memory, company)
    }

    #[test]
    fn a_request_in_pieces_is_as_large_as_it_has_become() {
        // Either has 100 MiB; only one among many counts them as its own.
        for (company, mib, own) in [(Company::One, 100, 0), (Company::Many, 400, 65)] {
            let memory = Memory::new(mib * MIB);
            let allowance = one_of(&memory, company);
            let most = allowance.request(85 * MIB).unwrap();
            let more = allowance.pieces();
            let mut all = more(64 * KIB).unwrap();
            assert!(more(1).is_none(), "it would be large");
            drop(most);
            all.merge(more(1).unwrap());
            assert_eq!((all.all, all.own), (65, own));
            drop(all);
            assert_eq!(memory.free(), mib * KIB);
        }
    }

    #[test]
    fn one_client_among_many_has_a_quarter_and_leaves_the_rest() {
        let memory = Memory::new(80 * MIB);
        let (greedy, other) = (one_of(&memory, Company::Many), one_of(&memory, Company::Many));
        let large: Vec<_> = std::iter::from_fn(|| greedy.request(8 * MIB)).collect();
        assert_eq!(large.len(), 2);
        let mark = greedy.request(MIB).unwrap();
        // What is refused has taken nothing, neither of the whole nor of the part.
        assert!(greedy.request(64 * KIB + 1).is_none() && greedy.pieces()(65 * KIB).is_none());
        assert_eq!(memory.free(), 63 * KIB);
        assert!(other.request(8 * MIB).is_some());
        // Small ones go on.
        let small: Vec<_> = std::iter::from_fn(|| greedy.request(64 * KIB)).collect();
        assert_eq!(small.len(), 3 * MIB / (64 * KIB));
        assert!(greedy.request(1).is_none() && other.request(1).is_some());
        drop((large, mark, small));
        assert!(greedy.request(17 * MIB).is_some() && memory.free() == 80 * KIB);
    }

    #[test]
    fn a_request_over_the_whole_part_is_alone() {
        let memory = Memory::new(64 * MIB);
        let allowance = one_of(&memory, Company::Many);
        let other = allowance.request(65 * KIB).unwrap();
        let more = allowance.pieces();
        let mut all = more(8 * MIB).unwrap();
        assert!(more(16 * MIB).is_none(), "another waits");
        drop(other);
        for _ in 0..3 {
            all.merge(more(8 * MIB).unwrap());
        }
        assert!(allowance.request(65 * KIB).is_none() && allowance.request(1).is_some());
        drop(all);
        assert!(allowance.request(1).is_some() && memory.free() == 64 * KIB);
    }

    #[test]
    fn a_client_that_is_alone_may_use_all() {
        let allowance = one_of(&Memory::new(64 * MIB), Company::One);
        let held: Vec<_> = std::iter::from_fn(|| allowance.request(8 * MIB)).collect();
        assert_eq!(held.len(), 6);
    }
}
