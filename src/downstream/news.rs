//! Which lists are other than what a client was last given.
//!
//! A client hears `list_changed` about a list that it has asked for and that differs, byte by byte, from what
//! it got; at most once in a while, however often the catalog changes. It sends nothing itself.

use crate::hub::views::View;
use crate::mcp::method::Kind;
use crate::routing::catalog::Catalog;
use crate::routing::cursor::ListDigest;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// What a client was last given of each kind; nothing for lists that it never asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Given(Arc<Mutex<[Option<ListDigest>; 4]>>);

impl Given {
    pub(super) fn give(&self, kind: Kind, edition: ListDigest) {
        if let Some(place) = self.0.lock().get_mut(kind.index()) {
            *place = Some(edition);
        }
    }

    fn differs(&self, kind: Kind, now: &Catalog) -> bool {
        let given = self.0.lock();
        given.get(kind.index()).is_some_and(|given| given.is_some_and(|given| given != *now.digest(kind)))
    }
}

/// The catalog as one client hears of it.
pub(super) struct News {
    catalog: watch::Receiver<Arc<Catalog>>,
    given: Given,
    next: Instant,
}

/// What there is to tell a client.
pub(super) struct Note {
    catalog: Arc<Catalog>,
    changed: Vec<Kind>,
}

impl News {
    pub(super) fn new(view: &View, given: Given) -> Self {
        Self { catalog: view.watch_catalog(), given, next: Instant::now() }
    }

    /// Resolves when there is something to tell, and `BETWEEN_NEWS` after the last time at the earliest.
    /// The same is due again until `told`. Cancel-safe.
    pub(super) async fn next(&mut self) -> Note {
        loop {
            let catalog = self.catalog.borrow_and_update().clone();
            let changed: Vec<Kind> =
                Kind::ALL.into_iter().filter(|kind| self.given.differs(*kind, &catalog)).collect();
            if changed.is_empty() {
                if self.catalog.changed().await.is_err() {
                    return std::future::pending().await;
                }
                continue;
            }
            if self.next <= Instant::now() {
                self.next = Instant::now() + BETWEEN_NEWS;
                return Note { catalog, changed };
            }
            sleep_until(self.next).await;
        }
    }

    /// The client has been told.
    pub(super) fn told(&self, note: &Note) {
        for kind in &note.changed {
            self.given.give(*kind, *note.catalog.digest(*kind));
        }
    }
}

impl Note {
    /// The notifications; templates have none of their own.
    pub(super) fn texts(&self) -> impl Iterator<Item = Bytes> {
        let methods: BTreeSet<&str> = self.changed.iter().map(|kind| kind.changed_method()).collect();
        methods.into_iter().map(|method| format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#).into())
    }
}

/// The shortest time between two notes about the same lists.
const BETWEEN_NEWS: Duration = Duration::from_millis(250);
