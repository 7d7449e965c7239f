//! What a door knows of one client of the handshake revisions.
//!
//! Owns what `initialize` agreed on and the requests that are open, by the client's own ids. It sends nothing.

use crate::mcp::caller::{Caller, Told};
use crate::mcp::revision::Revision;
use crate::wire::id::Id;
use futures::stream::AbortHandle;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// One client, from its first byte to its last.
pub struct Session {
    pub(super) caller: Caller,
    agreed: Option<Agreed>,
    told: watch::Sender<Option<Told>>,
    open: HashMap<Id, AbortHandle>,
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
        Self { caller, agreed: None, told, open: HashMap::new() }
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

    /// Enters a request; `false` if its id is in use.
    pub(super) fn enter(&mut self, id: &Id, handle: AbortHandle) -> bool {
        match self.open.contains_key(id) {
            true => false,
            false => self.open.insert(id.clone(), handle).is_none(),
        }
    }

    pub(super) fn leave(&mut self, id: &Id) {
        self.open.remove(id);
    }

    /// Ends a request that the client does not want any more; unknown ids are ignored, as the spec asks.
    pub(super) fn cancel(&mut self, id: &Id) {
        if let Some(handle) = self.open.remove(id) {
            handle.abort();
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.open.len()
    }
}
