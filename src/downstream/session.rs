//! What a door knows of one client of the handshake revisions.
//!
//! Owns what `initialize` agreed on and the requests that are open, by the client's own ids. It sends nothing.

use crate::hub::seat::Seat;
use crate::mcp::revision::Revision;
use crate::wire::id::Id;
use futures::stream::AbortHandle;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use tokio::time::Instant;

/// One client, from its first byte to its last.
pub struct Session {
    pub(super) seat: Arc<Seat>,
    agreed: Option<Agreed>,
    pub(super) open: Open,
}

/// What `initialize` settled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreed {
    pub(super) revision: Revision,
    pub(super) since: Instant,
}

impl Session {
    pub fn new(seat: Arc<Seat>) -> Self {
        Self { seat, agreed: None, open: Open::default() }
    }

    pub(super) fn agreed(&self) -> Option<Agreed> {
        self.agreed
    }

    /// Settles on a revision, once, and lets the client's own servers be greeted with what it declared.
    pub(super) fn agree(&mut self, revision: Revision, capabilities: &str) {
        self.agreed = Some(Agreed { revision, since: Instant::now() });
        self.seat.introduce(revision, capabilities);
    }
}

/// The requests of one client that are open, by its own ids.
#[derive(Debug, Clone, Default)]
pub(super) struct Open(Arc<Mutex<HashMap<Id, AbortHandle>>>);

impl Open {
    /// Enters a request; `false` if its id is in use.
    pub(super) fn enter(&self, id: &Id, handle: AbortHandle) -> bool {
        match self.0.lock().entry(id.clone()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(handle);
                true
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// A request has its answer: from now on its id is free, and a cancel of it comes too late.
    pub(super) fn leave(&self, id: &Id) {
        self.0.lock().remove(id);
    }

    /// Ends a request that the client does not want any more; unknown ids are ignored, as the spec asks.
    pub(super) fn cancel(&self, id: &Id) {
        if let Some(handle) = self.0.lock().remove(id) {
            handle.abort();
        }
    }
}
