//! The requests of one client that are open, by the client's own ids.
//!
//! Owns the handles by which a cancel ends them, where their door does not end them itself. An entry leaves when it is dropped, so an id is free as soon as its
//! request is over, however it ended.

use crate::wire::fault::Fault;
use crate::wire::id::Id;
use crate::wire::message::Message;
use foldhash::fast::RandomState;
use futures::stream::{AbortHandle, AbortRegistration};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Refuses an id or a progress token over `max` bytes: both are kept as long as their request is open.
pub(super) fn refuse_long_ids(id: Option<&Id>, message: &Message, max: usize) -> Result<(), Fault> {
    let id = id.map(|id| id.as_bytes().len()).unwrap_or_default();
    let token = message.params().and_then(|params| params.meta.as_ref()).and_then(|meta| meta.progress_token);
    let token = token.map(|token| message.str(token).len()).unwrap_or_default();
    match id.max(token) > max {
        true => Err(Fault::invalid_request(format!("an id or a token over {max} bytes (limits.id)"))),
        false => Ok(()),
    }
}

/// Whether a client may have two requests open under one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// No: its answers come on one stream, and only the id tells them apart.
    Unique,
    /// Yes: each answer goes to the exchange that asked. Some clients use one id for everything.
    PerExchange,
}

/// The open requests of one client.
#[derive(Debug, Clone)]
pub(super) struct Open {
    ids: Ids,
    calls: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    calls: Mutex<Calls>,
    /// How many there are, for those who only look. It is set under the lock.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Calls {
    by_id: HashMap<Id, Same, RandomState>,
    next: u64,
    /// Cancels that named more than one open request.
    ambiguous: u64,
}

/// The requests of one id: seldom more than one. Without a handle, its door ends it by its number.
type Same = SmallVec<[(u64, Option<AbortHandle>); 1]>;

/// A request's place among the open ones, until it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    calls: Arc<Shared>,
    id: Id,
    number: u64,
}

impl Shared {
    /// So many more are open. For whoever holds the lock.
    fn add(&self, more: isize) {
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count.saturating_add_signed(more), Ordering::Release);
    }
}

impl Open {
    pub(super) fn new(ids: Ids) -> Self {
        Self { ids, calls: Arc::default() }
    }

    /// Enters a request; `None` if its id is in use and must not be used twice.
    #[inline(never)]
    pub(super) fn enter(&self, id: &Id) -> Option<(Entry, AbortRegistration)> {
        let (handle, registration) = AbortHandle::new_pair();
        Some((self.enter_as(id, Some(handle))?, registration))
    }

    /// The same of one that its door ends.
    pub(super) fn enter_at_door(&self, id: &Id) -> Option<Entry> {
        self.enter_as(id, None)
    }

    fn enter_as(&self, id: &Id, handle: Option<AbortHandle>) -> Option<Entry> {
        let mut calls = self.calls.calls.lock();
        let number = calls.next;
        let same = calls.by_id.entry(id.clone()).or_default();
        if self.ids == Ids::Unique && !same.is_empty() {
            return None;
        }
        same.push((number, handle));
        calls.next += 1;
        self.calls.add(1);
        Some(Entry { calls: self.calls.clone(), id: id.clone(), number })
    }

    pub(super) fn len(&self) -> usize {
        self.calls.count.load(Ordering::Acquire)
    }

    /// Ends the request with this id that the client does not want any more. Unknown ids are ignored, as the
    /// specification asks; and so is one that names several, because nothing says which is meant. The number: its door
    /// is to end it.
    pub(super) fn cancel(&self, id: &Id) -> Option<u64> {
        let mut calls = self.calls.calls.lock();
        let (number, handle) = match calls.by_id.get(id).map(Same::as_slice) {
            Some([(number, handle)]) => (*number, handle.clone()),
            Some([]) | None => return None,
            Some([_, ..]) => {
                calls.ambiguous += 1;
                tracing::debug!(%id, "a cancel that names several open requests; ignored");
                return None;
            }
        };
        // At once: the next message may use the id again.
        calls.by_id.remove(id);
        self.calls.add(-1);
        drop(calls);
        match handle {
            Some(handle) => {
                handle.abort();
                None
            }
            None => Some(number),
        }
    }

    /// Cancels that were ignored because they named several requests.
    pub(super) fn ambiguous(&self) -> u64 {
        self.calls.calls.lock().ambiguous
    }
}

impl Entry {
    /// By which its door knows it.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// By which its client knows it.
    pub(super) fn id(&self) -> &Id {
        &self.id
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut calls = self.calls.calls.lock();
        let Some(mut same) = calls.by_id.remove(&self.id) else { return };
        if matches!(same.as_slice(), [(number, _)] if *number == self.number) {
            // As it nearly always is.
            return self.calls.add(-1);
        }
        let before = same.len();
        same.retain(|(number, _)| *number != self.number);
        self.calls.add(-((before - same.len()) as isize));
        if !same.is_empty() {
            calls.by_id.insert(self.id.clone(), same);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn id(text: &'static str) -> Id {
        Id::parse(Bytes::from_static(text.as_bytes())).unwrap()
    }

    #[test]
    fn a_cancel_that_names_several_ends_none() {
        let open = Open::new(Ids::PerExchange);
        let (first, one) = open.enter(&id("1")).unwrap();
        let (second, other) = open.enter(&id("1")).unwrap();
        open.cancel(&id("1"));
        assert_eq!((open.ambiguous(), open.len()), (1, 2));
        assert!(!one.handle().is_aborted() && !other.handle().is_aborted());
        drop(first);
        open.cancel(&id("1"));
        assert!(!one.handle().is_aborted() && other.handle().is_aborted());
        drop(second);
        assert_eq!(open.len(), 0);
    }

    #[test]
    fn where_ids_tell_answers_apart_one_is_used_once_at_a_time() {
        let open = Open::new(Ids::Unique);
        let first = open.enter(&id("\"a\"")).unwrap();
        assert!(open.enter(&id("\"a\"")).is_none());
        assert!(open.enter(&id("1")).is_some());
        drop(first);
        assert!(open.enter(&id("\"a\"")).is_some());
    }

    #[test]
    fn what_its_door_ends_is_named_to_it() {
        let open = Open::new(Ids::Unique);
        let (one, other) = (open.enter_at_door(&id("1")).unwrap(), open.enter(&id("2")).unwrap());
        assert_eq!(
            (open.cancel(&id("1")), open.cancel(&id("2")), open.cancel(&id("3"))),
            (Some(one.number()), None, None)
        );
        assert!(other.1.handle().is_aborted() && open.len() == 0);
        let again = open.enter_at_door(&id("1")).unwrap();
        drop(one);
        assert_eq!((open.len(), open.cancel(&id("1"))), (1, Some(again.number())));
    }
}
