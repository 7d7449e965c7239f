//! How many bytes may wait in memory: requests on their way to servers, and what servers say on its way to clients.
//!
//! One budget for a run. Requests are refused before it is full, large ones first: nothing of a refused one has left;
//! what one client may have of it is its `Allowance`.
//! What one server says has a quarter of it at most, and what is large of all of them half, so that a server whose clients
//! do not read leaves room for the requests and answers of all others; an answer that is still coming counts as well. Of a link that many clients share, what one of
//! them has not read takes a quarter, for the same reason. Room is a guard, given back by being dropped. It waits for
//! nobody.

use super::budget::Budget;
use crate::mcp::caller::Company;
use bytes::Bytes;
use std::sync::Arc;

/// The memory of a run, in KiB: every text takes at least one.
#[derive(Debug)]
pub struct Memory {
    room: Budget,
    kib: u32,
    /// What servers say, of all links, as far as it is large.
    said: Budget,
}

/// What one link's server may have in memory at a time.
#[derive(Debug, Clone)]
pub(super) struct Share(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    memory: Arc<Memory>,
    own: Budget,
    kib: u32,
}

/// What one client of a link may leave unread of what its server says. `None`: it is alone, and the share itself is its bound.
#[derive(Debug, Clone)]
pub(super) struct Part(Option<Bound>);

#[derive(Debug, Clone)]
struct Bound {
    own: Arc<Budget>,
    kib: u32,
}

/// The room of an answer that is still coming. What is not large needs none yet; what has come takes it in steps.
#[derive(Debug)]
pub(super) struct Growing {
    share: Share,
    steps: Vec<Room>,
    kib: u32,
}

/// Nothing may wait any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

/// The room of one text. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    share: Share,
    /// That of one client, where there is one.
    part: Option<Arc<Budget>>,
    /// In KiB: of the share, of what is large of all servers, of all, and of the part.
    own: u32,
    said: u32,
    all: u32,
    of_part: u32,
}

impl Memory {
    /// `bytes_max`: all that may wait at once.
    pub fn new(bytes_max: usize) -> Arc<Self> {
        let kib = kib(bytes_max);
        Arc::new(Self { room: Budget::of(kib), kib, said: Budget::of(kib / 2) })
    }

    pub(super) fn kib(&self) -> u32 {
        self.kib
    }

    /// Bytes that wait, in steps of a KiB.
    pub fn waiting_bytes(&self) -> u64 {
        u64::from(self.kib.saturating_sub(self.room.left())) * 1024
    }

    /// Room for so many more bytes of a request of which there are some already, in KiB, for whoever gives it back; `None`
    /// when too much is taken.
    pub(super) fn draw_for_request(&self, before: usize, bytes: usize) -> Option<u32> {
        let kib_max = match is_large(before.saturating_add(bytes)) {
            true => large_max(self.kib),
            false => (self.kib * SMALL_PERCENT_MAX).div_ceil(100),
        };
        // What servers say may take of what is kept free.
        let kib = kib(bytes);
        self.room.draw_above(self.kib - kib_max, kib).then_some(kib)
    }

    pub(super) fn give_back(&self, kib: u32) {
        self.room.give_back(kib);
    }

    /// The share of one link.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        let kib = self.kib / 4;
        Share(Arc::new(Shared { memory: self.clone(), own: Budget::of(kib), kib }))
    }
}

impl Share {
    /// Room for something that the link's server says; none when too much of it waits, or too much that is large of all
    /// servers together.
    pub(super) fn take(&self, bytes: usize) -> Result<Room, NoRoom> {
        self.take_of(&Part(None), bytes)
    }

    /// What is drawn for it is given back with it, however far that comes.
    fn no_room_yet(&self) -> Room {
        Room { share: self.clone(), part: None, own: 0, said: 0, all: 0, of_part: 0 }
    }

    /// For one answer that is about to come.
    pub(super) fn growing(&self) -> Growing {
        Growing { share: self.clone(), steps: Vec::new(), kib: 0 }
    }

    /// What one of the link's clients may have of it: all of it, if there is no other.
    pub(super) fn part(&self, company: Company) -> Part {
        let kib = self.0.kib / PARTS;
        Part((company == Company::Many).then(|| Bound { own: Budget::new(kib), kib }))
    }

    /// Room for something that is for one client; none either when too much waits for it.
    pub(super) fn take_of(&self, part: &Part, bytes: usize) -> Result<Room, NoRoom> {
        let mut room = self.no_room_yet();
        if let Some(part) = &part.0 {
            // First: what is refused for that has taken nothing of the others', not even for a moment.
            room.of_part = drawn(&part.own, 0, part.of(bytes))?;
            room.part = Some(part.own.clone());
        }
        // One text over the whole share takes all of it.
        room.draws(0, kib(bytes).min(self.0.kib), is_large(bytes))?;
        Ok(room)
    }

    /// The same for an answer to a request of ours. A small one needs none: what we ask and learn of a server must not
    /// depend on what its clients leave unread.
    pub(super) fn take_for_us(&self, bytes: usize) -> Result<Option<Room>, NoRoom> {
        is_large(bytes).then(|| self.take(bytes)).transpose()
    }

    /// The text with room of its own.
    pub(super) fn keep(&self, text: Bytes) -> Result<Bytes, NoRoom> {
        Ok(self.take(text.len())?.of(text))
    }
}

impl Growing {
    /// Room for so many bytes in all, asked for before they are kept. What is no longer large gives its room back.
    pub(super) fn reach(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if !is_large(bytes) {
            self.give_back();
            return Ok(());
        }
        let share = &self.share;
        let spared = share.0.kib / SPARED;
        // One text over all that may be had takes all of it.
        let kib_max = share.0.kib - spared;
        if kib(bytes).min(kib_max) <= self.kib {
            return Ok(());
        }
        let wanted = kib(bytes).saturating_add(STEP_KIB).min(kib_max);
        let kib = wanted - self.kib;
        let mut step = share.no_room_yet();
        step.draws(spared, kib, true)?;
        self.steps.push(step);
        self.kib = wanted;
        Ok(())
    }

    pub(super) fn give_back(&mut self) {
        self.steps.clear();
        self.kib = 0;
    }
}

impl Part {
    /// A text that has room already, as it waits for this client.
    pub(super) fn keep(&self, text: Bytes) -> Result<Bytes, NoRoom> {
        let Some(part) = &self.0 else { return Ok(text) };
        let room = part.own.take(part.of(text.len())).ok_or(NoRoom)?;
        Ok(Bytes::from_owner(Kept { text, _room: room }))
    }
}

impl Bound {
    /// What a text of so many bytes takes of it: one that is over the whole takes all.
    fn of(&self, bytes: usize) -> u32 {
        kib(bytes).min(self.kib)
    }
}

impl Room {
    /// So many KiB, if as many as `spared` are left of the share then.
    fn draws(&mut self, spared: u32, kib: u32, is_large: bool) -> Result<(), NoRoom> {
        let Shared { memory, own, .. } = &*self.share.0;
        self.own = drawn(own, spared, kib)?;
        if is_large {
            self.said = drawn(&memory.said, 0, kib)?;
        }
        self.all = drawn(&memory.room, 0, kib)?;
        Ok(())
    }

    /// The text with its room: given back with the last that is left of it.
    pub(super) fn of(self, text: Bytes) -> Bytes {
        Bytes::from_owner(Kept { text, _room: self })
    }
}

/// A text and its room.
struct Kept<R> {
    text: Bytes,
    _room: R,
}

impl<R> AsRef<[u8]> for Kept<R> {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Shared { memory, own, .. } = &*self.share.0;
        own.give_back(self.own);
        if self.said > 0 {
            memory.said.give_back(self.said);
        }
        memory.room.give_back(self.all);
        if let Some(part) = &self.part {
            part.give_back(self.of_part);
        }
    }
}

fn drawn(of: &Budget, spared: u32, kib: u32) -> Result<u32, NoRoom> {
    of.draw_above(spared, kib).then_some(kib).ok_or(NoRoom)
}

/// How much of so many KiB may be taken after a large request.
pub(super) fn large_max(kib: u32) -> u32 {
    (kib * LARGE_PERCENT_MAX).div_ceil(100)
}

pub(super) fn is_large(bytes: usize) -> bool {
    bytes > LARGE_BYTES
}

pub(super) fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(KIB_MAX).clamp(1, KIB_MAX)
}

/// A text over this is large.
const LARGE_BYTES: usize = 64 * 1024;
/// How much may be taken after a large request, and after any.
const LARGE_PERCENT_MAX: u32 = 85;
const SMALL_PERCENT_MAX: u32 = 95;
/// Into how many parts the share of a link with many clients is divided; a client has one of them at most.
const PARTS: u32 = 4;
/// An answer that is still coming takes so much at once.
const STEP_KIB: u32 = 64;
/// Answers that are still coming leave this part of their link's share for what is there: a small one passes them.
const SPARED: u32 = 8;
/// The most that is counted.
const KIB_MAX: u32 = u32::MAX >> 7;

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;

    impl Memory {
        /// How many KiB are free.
        pub(in crate::upstream) fn free(&self) -> usize {
            self.room.left() as usize
        }

        fn request(self: &Arc<Self>, bytes: usize) -> Option<Requested> {
            self.draw_for_request(0, bytes).map(|kib| Requested(self.clone(), kib))
        }
    }

    struct Requested(Arc<Memory>, u32);

    impl Drop for Requested {
        fn drop(&mut self) {
            self.0.give_back(self.1);
        }
    }

    /// With what `Bytes` counts by, it is less than a class of the allocator's blocks (ARCHITECTURE.md, what a call costs).
    #[test]
    fn a_text_and_its_room_are_of_an_odd_size() {
        assert!(size_of::<Kept<Room>>() + size_of::<usize>() <= 72, "{}", size_of::<Kept<Room>>());
    }

    #[test]
    fn large_requests_are_refused_at_85_percent_and_all_at_95() {
        let memory = Memory::new(100 * MIB);
        let most = memory.request(84 * MIB).unwrap();
        // Up to the mark, and not over it.
        assert!(memory.request(MIB + 1).is_none());
        let mark = memory.request(MIB).unwrap();
        assert!(memory.request(LARGE_BYTES + 1).is_none());
        let small: Vec<_> = std::iter::from_fn(|| memory.request(LARGE_BYTES)).collect();
        assert_eq!(small.len(), 10 * MIB / LARGE_BYTES);
        assert!(memory.request(1).is_none());
        drop((most, mark, small));
        assert!(memory.request(85 * MIB).is_some() && memory.free() == 100 * KIB);
    }

    #[test]
    fn what_servers_say_has_half_and_one_link_half_of_that() {
        let memory = Memory::new(128 * MIB);
        let (one, two, three) = (memory.share(), memory.share(), memory.share());
        let held: Vec<_> = std::iter::from_fn(|| one.take(8 * MIB).ok()).collect();
        assert_eq!(held.len(), 4);
        let more: Vec<_> = std::iter::from_fn(|| two.take(8 * MIB).ok()).collect();
        assert_eq!(more.len(), 4);
        assert!(three.take(LARGE_BYTES + 1).is_err());
        // Requests go on, and what is small.
        assert!(memory.request(32 * MIB).is_some() && three.take(LARGE_BYTES).is_ok());
        drop(held);
        assert!(three.take(8 * MIB).is_ok() && two.take(1).is_err());
        // We hear of a server nevertheless.
        assert!(two.take_for_us(1).is_ok() && two.take_for_us(LARGE_BYTES + 1).is_err());
        drop(more);
        assert_eq!(memory.free(), 128 * KIB);
    }

    #[test]
    fn what_servers_say_has_room_where_requests_have_none() {
        let memory = Memory::new(100 * MIB);
        let requests = (memory.request(85 * MIB).unwrap(), memory.request(1).unwrap());
        assert!(memory.share().take(4 * MIB).is_ok());
        drop(requests);
    }

    #[test]
    fn of_a_shared_link_one_client_leaves_room_for_the_others() {
        let memory = Memory::new(128 * MIB);
        let share = memory.share();
        let (lazy, other) = (share.part(Company::Many), share.part(Company::Many));
        let unread: Vec<_> = std::iter::from_fn(|| share.take_of(&lazy, MIB).ok()).collect();
        assert_eq!(unread.len(), 8);
        assert!(share.take_of(&lazy, 1).is_err() && lazy.keep(Bytes::from_static(b"x")).is_err());
        // What was refused has taken nothing, and the others go on.
        assert_eq!(memory.free(), 120 * KIB);
        let read: Vec<_> = std::iter::from_fn(|| share.take_of(&other, MIB).ok()).collect();
        assert_eq!(read.len(), 8);
        drop(unread);
        // One that is larger is alone; a text that all are told counts for each.
        let large = share.take_of(&lazy, 9 * MIB).unwrap();
        assert!(share.take_of(&lazy, 1).is_err());
        drop((large, read));
        let told = lazy.keep(share.keep(Bytes::from(vec![b'x'; 8 * MIB])).unwrap()).unwrap();
        assert!(share.take_of(&lazy, 1).is_err() && share.take_of(&other, 1).is_ok());
        drop(told);
        assert!(share.take_of(&lazy, 8 * MIB).is_ok() && memory.free() == 128 * KIB);
    }

    #[test]
    fn the_only_client_of_a_link_has_all_of_its_share() {
        let share = Memory::new(128 * MIB).share();
        let part = share.part(Company::One);
        let unread: Vec<_> = std::iter::from_fn(|| share.take_of(&part, 8 * MIB).ok()).collect();
        assert_eq!(unread.len(), 4);
    }

    #[test]
    fn a_text_over_the_whole_share_is_alone() {
        let memory = Memory::new(4 * MIB);
        let share = memory.share();
        let large = share.take(64 * MIB).unwrap();
        assert!(share.take(1).is_err());
        drop(large);
        assert!(share.take(1).is_ok());
    }

    #[test]
    fn an_answer_takes_room_as_it_grows_and_spares_some_for_small_ones() {
        let memory = Memory::new(16 * MIB);
        let share = memory.share();
        let (mut one, mut two) = (share.growing(), share.growing());
        assert!(one.reach(LARGE_BYTES).is_ok() && memory.free() == 16 * KIB);
        for bytes in (0..=3 * MIB).step_by(10_000) {
            one.reach(bytes).unwrap();
            let taken = (16 * KIB - memory.free()) * KIB;
            assert!(
                bytes <= LARGE_BYTES || (bytes..=bytes + 2 * LARGE_BYTES).contains(&taken),
                "{taken} for {bytes}"
            );
        }
        assert!(two.reach(LARGE_BYTES).is_ok() && two.reach(MIB).is_err() && share.take(MIB / 4).is_ok());
        // One alone may be as large as it likes, and what is refused has taken nothing.
        one.reach(64 * MIB).unwrap();
        assert!(two.reach(LARGE_BYTES + 1).is_err() && share.take(MIB / 4).is_ok());
        one.reach(1).unwrap();
        assert!(memory.free() == 16 * KIB && two.reach(MIB).is_ok());
        drop(two);
        assert_eq!(memory.free(), 16 * KIB);
    }

    #[test]
    fn room_is_given_back_with_the_last_of_a_text() {
        let memory = Memory::new(4 * MIB);
        let text = memory.share().keep(Bytes::from(vec![b'x'; 4096])).unwrap();
        let part = text.slice(1..2);
        drop(text);
        assert_eq!((&part[..], memory.free()), (&b"x"[..], 4 * KIB - 4));
        drop(part);
        assert_eq!(memory.free(), 4 * KIB);
    }
}
