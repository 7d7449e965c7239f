//! What each link offers, and the catalogs that are made of it.
//!
//! Owns the last good lists of every link, and one `View` for each `Sight` that some client has: clients that share all
//! their servers and call them alike share a view. A change of a link's lists makes the next catalog of the views that
//! have it, and of no other: what one client's own server offers is nobody else's. Catalogs are made under the lock of
//! their view alone, and of lists of which none has changed nothing is made again.

use super::entrance::Naming;
use super::lists::Lists;
use crate::mcp::capabilities::Capabilities;
use crate::mcp::method::Kind;
use crate::mcp::revision::Revision;
use crate::routing::catalog::{Catalog, Holds, Offer, Presence};
use crate::routing::exposure::Exposure;
use crate::routing::item::Item;
use crate::routing::names::NamePlan;
use crate::upstream::server::LinkKey;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

/// How far a server's lists are known. It only ever rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Standing {
    #[default]
    Awaited,
    /// Its lists are those of another run; it is not heard yet.
    Recalled,
    /// It failed to start or went away before it was heard.
    Failed,
    /// All its lists were asked for at least once.
    Heard,
    /// It is not behind the entrance: nobody waits for it.
    Absent,
}

/// What one server is to those who share a view.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Shown(LinkKey),
    /// Not behind the entrance; but the others are called as where it is, and that may depend on what it lists.
    Named(LinkKey),
    /// Not there at all.
    Absent,
}

/// What a client sees: a place for each server, in the configuration's order, what of it is shown, and what they are called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Sight {
    pub(super) naming: Naming,
    pub(super) places: Vec<Place>,
    /// What is shown of each server, and what its things are called.
    pub(super) exposures: Vec<Option<Arc<Exposure>>>,
}

/// The servers as one sight shows them. Never empty of servers: one place each, in the configuration's order.
#[derive(Debug)]
pub struct View {
    sight: Sight,
    /// There is something that the catalog does not have yet.
    stale: AtomicBool,
    /// Some lists are those of another run: they may be shown, and nothing is sent because of them.
    recalls: AtomicBool,
    /// Held while a catalog is made, so that the one of the latest lists is the last.
    renewing: Mutex<()>,
    catalog: watch::Sender<Arc<Catalog>>,
    standings: watch::Sender<Vec<Standing>>,
}

/// How servers are called, both ways.
#[derive(Debug)]
pub(super) struct Plans {
    prefixed: NamePlan,
    bare: NamePlan,
}

/// The views of a run, and the lists behind them.
#[derive(Debug)]
pub(super) struct Views {
    plans: Plans,
    page_items_max: usize,
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    /// By place and link; as many as there are links.
    kept: HashMap<(usize, LinkKey), Kept>,
    /// As many as there are clients.
    views: HashMap<Sight, Weak<View>>,
}

/// What is known of one link's lists.
#[derive(Debug, Clone, Default)]
struct Kept {
    offer: Offer,
    standing: Standing,
    /// What is wrong with the lists, by kind.
    troubles: [Option<String>; 4],
    /// Which lists were fetched, or are those of another run; the others are empty because nothing is known of them.
    known: [bool; 4],
    /// The lists are those of another run, as long as the server was not heard in this one.
    recalled: Option<Recollection>,
}

/// What is known of a server from another run.
#[derive(Debug, Clone)]
pub(super) struct Recollection {
    pub(super) capabilities: Capabilities,
    pub(super) revision: Revision,
    pub(super) instructions: Option<Arc<str>>,
}

/// All lists of a link, once each is known.
pub(super) type Whole = [Arc<Vec<Item>>; 4];

impl Place {
    fn shows(&self, key: &LinkKey) -> bool {
        match self {
            Self::Shown(shown) => shown == key,
            Self::Named(_) | Self::Absent => false,
        }
    }

    fn heeds(&self, key: &LinkKey) -> bool {
        match self {
            Self::Shown(heeded) | Self::Named(heeded) => heeded == key,
            Self::Absent => false,
        }
    }
}

impl View {
    /// The catalog of this moment.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.borrow().clone()
    }

    /// The same for one look, which must be short: whoever changes the catalog waits for it.
    pub fn with_catalog<R>(&self, look: impl FnOnce(&Catalog) -> R) -> R {
        look(&self.catalog.borrow())
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
        timeout_at(until, standings.wait_for(|all| all.iter().all(|one| *one > Standing::Recalled)))
            .await
            .ok();
    }

    /// The same, but lists of another run are enough.
    pub(super) async fn listed(&self, until: Instant) {
        let mut standings = self.standings.subscribe();
        timeout_at(until, standings.wait_for(|all| all.iter().all(|one| *one != Standing::Awaited)))
            .await
            .ok();
    }

    /// Waits until the server at this place was heard, though it may have failed before, and for no longer than `until`.
    pub(super) async fn heard(&self, at: usize, until: Instant) {
        let mut standings = self.standings.subscribe();
        let is_heard = |all: &Vec<Standing>| all.get(at).is_none_or(|one| *one >= Standing::Heard);
        timeout_at(until, standings.wait_for(is_heard)).await.ok();
    }

    pub fn is_settled(&self) -> bool {
        self.standings.borrow().iter().all(|one| *one > Standing::Recalled)
    }

    /// The same, but lists of another run are enough.
    pub(super) fn is_listed(&self) -> bool {
        self.standings.borrow().iter().all(|one| *one != Standing::Awaited)
    }

    /// Whether what the catalog says of the server at this place may come from another run. Then it is shown, and the
    /// server is heard before anything is sent to it.
    pub(super) fn is_hearsay(&self, at: usize) -> bool {
        self.recalls.load(Ordering::Acquire) && !self.is_heard(at)
    }

    /// The server at this place could not be opened for whoever looks: it is not waited for.
    pub(super) fn fails(&self, at: usize) {
        self.raise(at, Standing::Failed);
    }

    fn raise(&self, at: usize, standing: Standing) {
        self.standings.send_if_modified(|all| match all.get_mut(at) {
            Some(one) if *one < standing => {
                *one = standing;
                if all.iter().all(|one| *one >= Standing::Heard) {
                    self.recalls.store(false, Ordering::Release);
                }
                true
            }
            Some(_) | None => false,
        });
    }

    /// Whether there is nothing to wait for at this place.
    pub(super) fn is_heard(&self, at: usize) -> bool {
        self.standings.borrow().get(at).is_some_and(|standing| *standing >= Standing::Heard)
    }
}

impl Plans {
    /// Of the same servers in the same order.
    pub(super) fn new(prefixed: NamePlan, bare: NamePlan) -> Self {
        Self { prefixed, bare }
    }

    pub(super) fn of(&self, naming: Naming) -> &NamePlan {
        match naming {
            Naming::Prefixed => &self.prefixed,
            Naming::Bare => &self.bare,
        }
    }
}

impl Views {
    pub(super) fn new(plans: Plans, page_items_max: usize) -> Self {
        Self { plans, page_items_max, shelves: Mutex::default() }
    }

    pub(super) fn plans(&self) -> &Plans {
        &self.plans
    }

    /// The view of whoever sees this.
    pub(super) fn of(&self, sight: Sight) -> Arc<View> {
        let view = {
            let mut shelves = self.shelves.lock();
            shelves.views.retain(|_, view| view.strong_count() > 0);
            match shelves.views.get(&sight).and_then(Weak::upgrade) {
                Some(view) => view,
                None => {
                    let nothing = Catalog::merge(self.plans.of(sight.naming), &[], self.page_items_max);
                    let view = Arc::new(View {
                        stale: AtomicBool::new(true),
                        recalls: AtomicBool::new(shelves.recalls(&sight)),
                        renewing: Mutex::default(),
                        catalog: watch::Sender::new(Arc::new(nothing)),
                        standings: watch::Sender::new(shelves.standings(&sight)),
                        sight: sight.clone(),
                    });
                    shelves.views.insert(sight, Arc::downgrade(&view));
                    view
                }
            }
        };
        // Whoever gets it sees all that is known by now, whoever else is making the catalog of it.
        self.renew(&view);
        view
    }

    /// Puts lists of a link into the next catalogs.
    pub(super) async fn publish(
        &self,
        (at, key): (usize, &LinkKey),
        capabilities: &Capabilities,
        revision: Revision,
        lists: Lists,
    ) {
        let heeding = {
            let mut shelves = self.shelves.lock();
            let kept = shelves.kept.entry((at, key.clone())).or_default();
            let offer = &mut kept.offer;
            offer.capabilities = capabilities.clone();
            offer.completes = capabilities.completes(revision);
            offer.spoken = Some(revision);
            for (kind, list) in lists {
                if let (Some(items), Some(holds)) =
                    (offer.lists.get_mut(kind.index()), offer.holds.get_mut(kind.index()))
                {
                    (*items, *holds) = (list.items, list.holds);
                }
                if let Some(known) = kept.known.get_mut(kind.index()) {
                    *known = true;
                }
            }
            let heeding = shelves.views_where(at, |place| place.heeds(key));
            heeding.iter().for_each(|view| view.stale.store(true, Ordering::Release));
            heeding
        };
        for (renewed, view) in heeding.iter().enumerate() {
            // A shared server may be in as many views as there are clients: others have their turn in between.
            if renewed > 0 {
                yield_now().await;
            }
            self.renew(view);
        }
    }

    /// Puts lists of another run into the next catalogs, until the server is heard.
    pub(super) async fn recall(&self, whose: (usize, &LinkKey), recollection: Recollection, lists: Lists) {
        let (at, key) = whose;
        let Recollection { capabilities, revision, .. } = recollection.clone();
        {
            let mut shelves = self.shelves.lock();
            shelves.kept.entry((at, key.clone())).or_default().recalled = Some(recollection);
            // Before the first catalog has them.
            for view in shelves.views_where(at, |place| place.shows(key)) {
                view.recalls.store(true, Ordering::Release);
            }
        }
        self.publish(whose, &capabilities, revision, lists).await;
        self.stands(at, key, Standing::Recalled);
    }

    /// What is known of a link's server from another run alone.
    pub(super) fn recalled(&self, at: usize, key: &LinkKey) -> Option<Recollection> {
        self.shelves.lock().kept.get(&(at, key.clone()))?.recalled.clone()
    }

    /// Every list of a link, if each was fetched at least once.
    pub(super) fn whole(&self, at: usize, key: &LinkKey) -> Option<Whole> {
        let shelves = self.shelves.lock();
        let kept = shelves.kept.get(&(at, key.clone()))?;
        kept.known.iter().all(|known| *known).then(|| kept.offer.lists.clone())
    }

    /// Makes the catalog of the lists of this moment, unless somebody has since they changed.
    fn renew(&self, view: &View) {
        let _renewing = view.renewing.lock();
        if !view.stale.swap(false, Ordering::AcqRel) {
            return;
        }
        let offers = self.shelves.lock().offers(&view.sight);
        let plan = self.plans.of(view.sight.naming);
        let catalog = view.catalog().renewed(plan, &offers);
        view.catalog.send_replace(Arc::new(catalog));
    }

    /// A server was heard, or has failed.
    pub(super) fn stands(&self, at: usize, key: &LinkKey, standing: Standing) {
        let mut shelves = self.shelves.lock();
        let kept = shelves.kept.entry((at, key.clone())).or_default();
        let higher = standing.max(kept.standing);
        kept.standing = higher;
        if higher >= Standing::Heard {
            kept.recalled = None;
        }
        for view in shelves.views_where(at, |place| place.shows(key)) {
            view.raise(at, higher);
        }
    }

    pub(super) fn standing(&self, at: usize, key: &LinkKey) -> Standing {
        let shelves = self.shelves.lock();
        shelves.kept.get(&(at, key.clone())).map(|kept| kept.standing).unwrap_or_default()
    }

    pub(super) fn note_trouble(&self, at: usize, key: &LinkKey, kind: Kind, trouble: Option<String>) {
        let mut shelves = self.shelves.lock();
        let troubles = &mut shelves.kept.entry((at, key.clone())).or_default().troubles;
        if let Some(place) = troubles.get_mut(kind.index()) {
            *place = trouble;
        }
    }

    /// Whether a list was to be kept until now.
    pub(super) fn is_doubtful(&self, at: usize, key: &LinkKey, kind: Kind) -> bool {
        let now = Instant::now().into_std();
        let shelves = self.shelves.lock();
        let holds = shelves.kept.get(&(at, key.clone())).and_then(|kept| kept.offer.holds.get(kind.index()));
        match holds {
            Some(Holds::Until(until)) => *until <= now,
            Some(Holds::Unsaid | Holds::Ever) | None => false,
        }
    }

    /// What is wrong with a link's lists, a sentence each.
    pub(super) fn troubles(&self, at: usize, key: &LinkKey) -> Vec<String> {
        let shelves = self.shelves.lock();
        let kept = shelves.kept.get(&(at, key.clone()));
        kept.into_iter().flat_map(|kept| kept.troubles.iter().flatten().cloned()).collect()
    }

    /// How many items a link lists, by `Kind::index`.
    pub(super) fn offered(&self, at: usize, key: &LinkKey) -> [usize; 4] {
        let shelves = self.shelves.lock();
        let kept = shelves.kept.get(&(at, key.clone()));
        kept.map(|kept| kept.offer.lists.each_ref().map(|list| list.len())).unwrap_or_default()
    }

    /// The catalog of the view that shows most of all that clients have now, under the names that tell servers apart.
    pub(super) fn widest(&self) -> Option<Arc<Catalog>> {
        let shelves = self.shelves.lock();
        let shown =
            |view: &View| view.sight.places.iter().filter(|place| matches!(place, Place::Shown(_))).count();
        let views = shelves.views.values().filter_map(Weak::upgrade);
        let prefixed = views.filter(|view| view.sight.naming == Naming::Prefixed);
        prefixed.max_by_key(|view| shown(view)).map(|view| view.catalog())
    }

    /// A link has ended for good.
    pub(super) fn forget(&self, at: usize, key: &LinkKey) {
        self.shelves.lock().kept.remove(&(at, key.clone()));
    }
}

impl Shelves {
    /// The views in which the place of a server is such a one.
    fn views_where(&self, at: usize, is_such: impl Fn(&Place) -> bool) -> Vec<Arc<View>> {
        let views = self.views.iter().filter(|(sight, _)| sight.places.get(at).is_some_and(&is_such));
        views.filter_map(|(_, view)| view.upgrade()).collect()
    }

    /// Whether lists of another run are among what is shown.
    fn recalls(&self, sight: &Sight) -> bool {
        let kept = |at: usize, key: &LinkKey| self.kept.get(&(at, key.clone()));
        sight.places.iter().enumerate().any(|(at, place)| match place {
            Place::Shown(key) => kept(at, key).is_some_and(|kept| kept.recalled.is_some()),
            Place::Named(_) | Place::Absent => false,
        })
    }

    fn offers(&self, sight: &Sight) -> Vec<Offer> {
        let offer =
            |at: usize, key: &LinkKey| self.kept.get(&(at, key.clone())).map(|kept| kept.offer.clone());
        let places = sight.places.iter().zip(&sight.exposures).enumerate();
        let offers = places.map(|(at, (place, exposure))| {
            let offer = match place {
                Place::Shown(key) => offer(at, key).unwrap_or_default(),
                Place::Named(key) => {
                    Offer { presence: Presence::Named, ..offer(at, key).unwrap_or_default() }
                }
                Place::Absent => Offer { presence: Presence::Named, ..Offer::default() },
            };
            Offer { exposure: exposure.clone(), ..offer }
        });
        offers.collect()
    }

    fn standings(&self, sight: &Sight) -> Vec<Standing> {
        let kept = |at: usize, key: &LinkKey| self.kept.get(&(at, key.clone())).map(|kept| kept.standing);
        let places = sight.places.iter().enumerate();
        let standings = places.map(|(at, place)| match place {
            Place::Shown(key) => kept(at, key).unwrap_or_default(),
            Place::Named(_) | Place::Absent => Standing::Absent,
        });
        standings.collect()
    }
}
