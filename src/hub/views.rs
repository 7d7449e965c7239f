//! What each link offers, and the catalogs that are made of it.
//!
//! Owns the last good lists of every link, and one `View` for each set of links that some client sees: clients that
//! share all their servers share a view. A change of a link's lists makes the next catalog of the views that have
//! it, and of no other: what one client's own server offers is nobody else's.

use super::lists::Lists;
use crate::mcp::capabilities::Capabilities;
use crate::mcp::method::Kind;
use crate::mcp::revision::Revision;
use crate::routing::catalog::{Catalog, Offer};
use crate::routing::names::NamePlan;
use crate::upstream::server::LinkKey;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How far a server's lists are known. It only ever rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Standing {
    #[default]
    Awaited,
    /// It failed to start or went away before it was heard.
    Failed,
    /// All its lists were asked for at least once.
    Heard,
}

/// The servers as one set of links shows them. Never empty of servers: one place each, in the configuration's order.
#[derive(Debug)]
pub struct View {
    keys: Vec<LinkKey>,
    catalog: watch::Sender<Arc<Catalog>>,
    standings: watch::Sender<Vec<Standing>>,
}

/// The views of a run, and the lists behind them.
#[derive(Debug)]
pub(super) struct Views {
    plan: NamePlan,
    page_items_max: usize,
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    /// By place and link; as many as there are links.
    kept: HashMap<(usize, LinkKey), Kept>,
    /// As many as there are clients.
    views: Vec<Weak<View>>,
}

/// What is known of one link's lists.
#[derive(Debug, Clone, Default)]
struct Kept {
    offer: Offer,
    standing: Standing,
    /// What is wrong with the lists, by kind.
    troubles: [Option<String>; 4],
}

impl View {
    /// The catalog of this moment.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.borrow().clone()
    }

    /// Resolves anew for each change of the catalog.
    pub fn watch_catalog(&self) -> watch::Receiver<Arc<Catalog>> {
        self.catalog.subscribe()
    }

    /// Resolves anew for each server that was heard or has failed.
    pub fn watch_standings(&self) -> watch::Receiver<Vec<Standing>> {
        self.standings.subscribe()
    }

    /// Waits until every server was heard or has failed, and for no longer than `until`.
    pub async fn settled(&self, until: Instant) {
        let mut standings = self.standings.subscribe();
        timeout_at(until, standings.wait_for(|all| all.iter().all(|one| *one != Standing::Awaited)))
            .await
            .ok();
    }

    pub fn is_settled(&self) -> bool {
        self.standings.borrow().iter().all(|one| *one != Standing::Awaited)
    }

    /// The server at this place could not be opened for whoever looks: it is not waited for.
    pub(super) fn fails(&self, at: usize) {
        self.raise(at, Standing::Failed);
    }

    fn raise(&self, at: usize, standing: Standing) {
        self.standings.send_if_modified(|all| match all.get_mut(at) {
            Some(one) if *one < standing => {
                *one = standing;
                true
            }
            Some(_) | None => false,
        });
    }

    pub(super) fn is_heard(&self, at: usize) -> bool {
        self.standings.borrow().get(at) == Some(&Standing::Heard)
    }
}

impl Views {
    pub(super) fn new(plan: NamePlan, page_items_max: usize) -> Self {
        Self { plan, page_items_max, shelves: Mutex::default() }
    }

    pub(super) fn plan(&self) -> &NamePlan {
        &self.plan
    }

    /// The view of these links, one per server.
    pub(super) fn of(&self, keys: Vec<LinkKey>) -> Arc<View> {
        let mut shelves = self.shelves.lock();
        shelves.views.retain(|view| view.strong_count() > 0);
        if let Some(view) = shelves.views.iter().filter_map(Weak::upgrade).find(|view| view.keys == keys) {
            return view;
        }
        let (catalog, standings) = shelves.look(&keys, &self.plan, self.page_items_max);
        let view = Arc::new(View {
            keys,
            catalog: watch::Sender::new(Arc::new(catalog)),
            standings: watch::Sender::new(standings),
        });
        shelves.views.push(Arc::downgrade(&view));
        view
    }

    /// Puts lists of a link into the next catalogs.
    pub(super) fn publish(
        &self,
        (at, key): (usize, &LinkKey),
        capabilities: &Capabilities,
        revision: Revision,
        lists: Lists,
    ) {
        let mut shelves = self.shelves.lock();
        let offer = &mut shelves.kept.entry((at, key.clone())).or_default().offer;
        offer.capabilities = capabilities.clone();
        offer.completes = capabilities.completes(revision);
        for (kind, list) in lists {
            if let Some(place) = offer.lists.get_mut(kind.index()) {
                *place = list;
            }
        }
        for view in shelves.showing(at, key) {
            let (catalog, _) = shelves.look(&view.keys, &self.plan, self.page_items_max);
            view.catalog.send_replace(Arc::new(catalog));
        }
    }

    /// A server was heard, or has failed.
    pub(super) fn stands(&self, at: usize, key: &LinkKey, standing: Standing) {
        let mut shelves = self.shelves.lock();
        let kept = &mut shelves.kept.entry((at, key.clone())).or_default().standing;
        let higher = standing.max(*kept);
        *kept = higher;
        for view in shelves.showing(at, key) {
            view.raise(at, higher);
        }
    }

    pub(super) fn note_trouble(&self, at: usize, key: &LinkKey, kind: Kind, trouble: Option<String>) {
        let mut shelves = self.shelves.lock();
        let troubles = &mut shelves.kept.entry((at, key.clone())).or_default().troubles;
        if let Some(place) = troubles.get_mut(kind.index()) {
            *place = trouble;
        }
    }

    /// What is wrong with a link's lists, a sentence each.
    pub(super) fn troubles(&self, at: usize, key: &LinkKey) -> Vec<String> {
        let shelves = self.shelves.lock();
        let kept = shelves.kept.get(&(at, key.clone()));
        kept.into_iter().flat_map(|kept| kept.troubles.iter().flatten().cloned()).collect()
    }

    /// A link has ended for good.
    pub(super) fn forget(&self, at: usize, key: &LinkKey) {
        self.shelves.lock().kept.remove(&(at, key.clone()));
    }
}

impl Shelves {
    /// The views that show this link.
    fn showing(&self, at: usize, key: &LinkKey) -> Vec<Arc<View>> {
        let views = self.views.iter().filter_map(Weak::upgrade);
        views.filter(|view| view.keys.get(at) == Some(key)).collect()
    }

    fn look(&self, keys: &[LinkKey], plan: &NamePlan, page_items_max: usize) -> (Catalog, Vec<Standing>) {
        let kept: Vec<Option<&Kept>> =
            keys.iter().enumerate().map(|(at, key)| self.kept.get(&(at, key.clone()))).collect();
        let offers: Vec<Offer> =
            kept.iter().map(|kept| kept.map(|kept| kept.offer.clone()).unwrap_or_default()).collect();
        let standings = kept.iter().map(|kept| kept.map(|kept| kept.standing).unwrap_or_default()).collect();
        (Catalog::merge(plan, &offers, page_items_max), standings)
    }
}
