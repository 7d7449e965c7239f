//! Which lists are other than what a client was last given.
//!
//! A client hears `list_changed` about a list that it has asked for and that differs, byte by byte, from what
//! it got; at most once in a while, however often the catalog changes. After the configuration was read anew it hears
//! once, when the servers that are new in it were heard, or had the time that a first list waits. It sends nothing itself.

use crate::hub::seat::{Seat, Watch};
use crate::hub::views::{Standing, View};
use crate::mcp::method::Kind;
use crate::routing::catalog::Catalog;
use crate::routing::cursor::ListDigest;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

/// What a client was last given of each kind; nothing for lists that it never asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Given(Arc<watch::Sender<Digests>>);

type Digests = [Option<ListDigest>; 4];

impl Given {
    pub(super) fn give(&self, kind: Kind, edition: ListDigest) {
        self.0.send_if_modified(|given| match given.get_mut(kind.index()) {
            Some(place) if *place != Some(edition) => {
                *place = Some(edition);
                true
            }
            Some(_) | None => false,
        });
    }
}

/// Whether a client has a list that is another by now.
fn differs(given: &Digests, kind: Kind, now: &Catalog) -> bool {
    given.get(kind.index()).is_some_and(|given| given.is_some_and(|given| given != *now.digest(kind)))
}

/// The catalog as one client hears of it.
pub(super) struct News {
    watch: Watch,
    catalog: watch::Receiver<Arc<Catalog>>,
    standings: watch::Receiver<Vec<Standing>>,
    given: Given,
    /// The same, as it was looked at last.
    known: watch::Receiver<Digests>,
    next: Instant,
    /// Until when servers are waited for that came with another edition.
    settling: Option<Instant>,
}

/// What there is to tell a client.
pub(super) struct Note {
    catalog: Arc<Catalog>,
    changed: Vec<Kind>,
}

impl News {
    pub(super) fn new(seat: &Seat, given: Given) -> Self {
        let mut watch = seat.watch_view();
        let view = watch.take();
        let (catalog, standings) = (view.watch_catalog(), view.watch_standings());
        let known = given.0.subscribe();
        Self { watch, catalog, standings, given, known, next: Instant::now(), settling: None }
    }

    /// Resolves when there is something to tell, and `BETWEEN_NEWS` after the last time at the earliest.
    /// The same is due again until `told`. Cancel-safe.
    pub(super) async fn next(&mut self) -> Note {
        loop {
            if let Some(until) = self.settling {
                let settled = self.standings.wait_for(|all| Standing::are_settled(all));
                let is_moved = tokio::select! {
                    biased;
                    () = self.watch.changed() => true,
                    _ = timeout_at(until, settled) => false,
                };
                match is_moved {
                    true => self.moves(),
                    false => self.settling = None,
                }
                continue;
            }
            let catalog = self.catalog.borrow_and_update().clone();
            let changed: Vec<Kind> = {
                let given = self.known.borrow_and_update();
                Kind::ALL.into_iter().filter(|kind| differs(&given, *kind, &catalog)).collect()
            };
            let is_due = self.next <= Instant::now();
            let is_moved = tokio::select! {
                biased;
                () = self.watch.changed() => true,
                () = sleep_until(self.next), if !changed.is_empty() => false,
                Ok(()) = self.catalog.changed(), if changed.is_empty() => false,
                // It may be given what was another already.
                Ok(()) = self.known.changed(), if changed.is_empty() => false,
            };
            if is_moved {
                self.moves();
            } else if is_due && !changed.is_empty() {
                self.next = Instant::now() + BETWEEN_NEWS;
                return Note { catalog, changed };
            }
        }
    }

    /// The same for whoever waits for much else beside it.
    pub(super) async fn into_next(mut self) -> (Note, Self) {
        (self.next().await, self)
    }

    /// There is another view.
    fn moves(&mut self) {
        let view: Arc<View> = self.watch.take();
        (self.catalog, self.standings) = (view.watch_catalog(), view.watch_standings());
        // One change after the other must not put the news off for ever.
        let until = Instant::now() + self.watch.patience();
        self.settling = Some(self.settling.map_or(until, |before| before.min(until)));
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
