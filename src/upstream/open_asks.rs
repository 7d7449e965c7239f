//! The requests of one connection's server that are open: with a client, or on their way to one.
//!
//! Owns their bounds and what finds each of them again. One leaves when it has its answer, when its server withdraws
//! it, or with what it belongs to; whoever was asked is then told through its mail. It knows no text.

use super::ask::{Ends, Slip};
use super::mail::{Letter, Mail};
use crate::mcp::caller::Company;
use crate::wire::id::Id;
use crate::wire::message::Message;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Open asks, each once.
pub(super) struct OpenAsks {
    open: Mutex<Vec<Arc<Slip>>>,
    /// There was ever one: few servers ask anything.
    has_been: AtomicBool,
    places: Arc<Semaphore>,
    /// Their texts, in KiB.
    room: Arc<Semaphore>,
}

impl OpenAsks {
    /// `company`: who may be asked.
    pub(super) fn new(company: Company) -> Self {
        let places_max = match company {
            Company::One => CLIENT_ASKS_MAX,
            Company::Many => ASKS_MAX,
        };
        Self {
            open: Mutex::default(),
            has_been: AtomicBool::new(false),
            places: Arc::new(Semaphore::new(places_max)),
            room: Arc::new(Semaphore::new(ASK_KIB_MAX as usize)),
        }
    }

    /// A place, from the ask to the last byte of its answer, and room for its text. `None` when too many are open, or have
    /// answers that their server does not read.
    pub(super) fn place(&self, bytes: usize) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let kib = u32::try_from(bytes.div_ceil(1024)).ok()?.max(1);
        let place = self.places.clone().try_acquire_owned().ok()?;
        Some((place, self.room.clone().try_acquire_many_owned(kib).ok()?))
    }

    /// Whether this client, on a link of several, is asked as much as one may be.
    pub(super) fn is_full_for(&self, mail: &Arc<Mail>) -> bool {
        let open = self.open.lock();
        open.iter().filter(|slip| Arc::ptr_eq(&slip.mail, mail)).count() >= CLIENT_ASKS_MAX
    }

    pub(super) fn enter(&self, slip: &Arc<Slip>) {
        self.has_been.store(true, Ordering::Release);
        self.open.lock().push(slip.clone());
    }

    /// It has its answer.
    pub(super) fn leave(&self, slip: &Arc<Slip>) {
        self.open.lock().retain(|open| !Arc::ptr_eq(open, slip));
    }

    /// Its server takes it back; unknown ones are ignored, as the spec asks.
    pub(super) fn withdraw(&self, id: &Id, note: &Message) {
        for slip in self.open.lock().extract_if(.., |slip| slip.id == *id) {
            slip.withdrawn.get_or_init(|| note.clone());
            end(slip);
        }
    }

    /// Those that belong to this are over.
    pub(super) fn end(&self, belongs: impl Fn(Ends) -> bool) {
        for slip in self.open.lock().extract_if(.., |slip| belongs(slip.ends)) {
            end(slip);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.lock().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.has_been.load(Ordering::Acquire) || self.open.lock().is_empty()
    }
}

/// Tells the client that nobody waits for its answer any more.
fn end(slip: Arc<Slip>) {
    slip.over.store(true, Ordering::Release);
    let mail = slip.mail.clone();
    mail.put(Letter::Withdrawn(slip));
}

/// Asks of one client that may be open at one connection.
const CLIENT_ASKS_MAX: usize = 64;
/// Asks of one connection that may be open, where there are many to be asked.
const ASKS_MAX: usize = 4096;
/// The same in KiB of their texts: 64 MiB.
const ASK_KIB_MAX: u32 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_are_bounded_in_number_and_in_bytes() {
        for (company, max) in [(Company::One, CLIENT_ASKS_MAX), (Company::Many, ASKS_MAX)] {
            let asks = OpenAsks::new(company);
            let places: Vec<_> = (0..max).map_while(|_| asks.place(1)).collect();
            assert_eq!(places.len(), max);
            assert!(asks.place(1).is_none());
            drop(places);
            assert!(asks.place(1).is_some());
        }
        let asks = OpenAsks::new(Company::Many);
        let all = asks.place(ASK_KIB_MAX as usize * 1024);
        assert!(all.is_some() && asks.place(1).is_none());
        drop(all);
        assert!(asks.place(ASK_KIB_MAX as usize * 1024 + 1).is_none(), "more than there ever is");
        assert!(asks.place(1).is_some());
    }
}
