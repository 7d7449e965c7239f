//! What a door knows of one client of the handshake revisions.
//!
//! Owns what `initialize` agreed on and the requests that are open, by the client's own ids. It sends nothing.

use crate::mcp::caller::{Caller, Told};
use crate::mcp::revision::Revision;
use crate::wire::id::Id;
use futures::stream::AbortHandle;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// One client, from its first byte to its last.
pub struct Session {
    pub(super) caller: Caller,
    agreed: Option<Agreed>,
    told: watch::Sender<Option<Told>>,
    pub(super) open: Open,
}

/// What `initialize` settled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreed {
    pub(super) revision: Revision,
    pub(super) since: Instant,
}

impl Session {
    /// `told` is where servers learn about this client.
    pub fn new(caller: Caller, told: watch::Sender<Option<Told>>) -> Self {
        Self { caller, agreed: None, told, open: Open::default() }
    }

    pub(super) fn agreed(&self) -> Option<Agreed> {
        self.agreed
    }

    /// Settles on a revision, once, and lets the servers be greeted.
    pub(super) fn agree(&mut self, revision: Revision) {
        self.agreed = Some(Agreed { revision, since: Instant::now() });
        // Servers are told that this client can be asked for nothing: what we cannot carry, we do not promise.
        self.told.send_replace(Some(Told { revision, capabilities: Arc::from("{}") }));
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
