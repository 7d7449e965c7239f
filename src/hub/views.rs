//! What each link offers, and the catalogs that are made of it.
//!
//! Owns the last good lists of every link, and one `View` for each `Sight` that some client has: clients that share all
//! their servers and call them alike share a view. A change of a link's lists makes the next catalog of the views that
//! have it, and of no other: what one client's own server offers is nobody else's. Catalogs are made under the lock of
//! their view alone, and of lists of which none has changed nothing is made again.

use super::edition::Edition;
use super::entrance::Naming;
use super::lists::Lists;
use crate::mcp::caller::Principal;
use crate::mcp::capabilities::Capabilities;
use crate::mcp::method::Kind;
use crate::mcp::revision::Revision;
use crate::routing::catalog::{Catalog, Holds, Offer, Presence};
use crate::routing::exposure::Exposure;
use crate::routing::item::Item;
use crate::upstream::server::{LinkKey, ServerId};
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
    /// The number of the edition whose places they are.
    pub(super) edition: u64,
    /// Whose cursors are no other's, though what is shown may be the same.
    pub(super) whose: Principal,
    pub(super) naming: Naming,
    pub(super) places: Vec<Place>,
    /// What is shown of each server, and what its things are called.
    pub(super) exposures: Vec<Option<Arc<Exposure>>>,
}

/// The servers as one sight shows them. Never empty of servers: one place each, in the configuration's order.
#[derive(Debug)]
pub struct View {
    edition: Arc<Edition>,
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

/// The views of a run, and the lists behind them.
#[derive(Debug)]
pub(super) struct Views {
    page_items_max: usize,
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    /// By server and link; as many as there are links.
    kept: HashMap<(ServerId, LinkKey), Kept>,
    /// By which edition of its setup a server is reached that was replaced; as many as there are servers.
    awaited: HashMap<ServerId, u64>,
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
    /// By which edition of the server's setup each list was fetched, by this run or another; the others are empty because
    /// nothing is known of them.
    known: [Option<u64>; 4],
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

impl Standing {
    /// Each was heard or has failed.
    pub fn are_settled(all: &[Self]) -> bool {
        all.iter().all(|one| *one > Self::Recalled)
    }

    /// Of each there are lists, be they of another run, or it has failed.
    fn are_listed(all: &[Self]) -> bool {
        all.iter().all(|one| *one != Self::Awaited)
    }
}

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
        self.stand(until, Standing::are_settled).await;
    }

    /// The same, but lists of another run are enough.
    pub(super) async fn listed(&self, until: Instant) {
        self.stand(until, Standing::are_listed).await;
    }

    /// Waits until the server at this place was heard, though it may have failed before, and for no longer than `until`.
    pub(super) async fn heard(&self, at: usize, until: Instant) {
        self.stand(until, |all| all.get(at).is_none_or(|one| *one >= Standing::Heard)).await;
    }

    async fn stand(&self, until: Instant, are_so: impl Fn(&[Standing]) -> bool) {
        let mut standings = self.standings.subscribe();
        timeout_at(until, standings.wait_for(|all| are_so(all))).await.ok();
    }

    pub fn is_settled(&self) -> bool {
        Standing::are_settled(&self.standings.borrow())
    }

    /// The same, but lists of another run are enough.
    pub(super) fn is_listed(&self) -> bool {
        Standing::are_listed(&self.standings.borrow())
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
    #[inline(never)]
    pub(super) fn is_heard(&self, at: usize) -> bool {
        self.standings.borrow().get(at).is_some_and(|standing| *standing >= Standing::Heard)
    }
}

impl Views {
    pub(super) fn new(page_items_max: usize) -> Self {
        Self { page_items_max, shelves: Mutex::default() }
    }

    /// The view of whoever sees this of an edition.
    pub(super) fn of(&self, edition: &Arc<Edition>, sight: Sight) -> Arc<View> {
        let view = {
            let mut shelves = self.shelves.lock();
            shelves.views.retain(|_, view| view.strong_count() > 0);
            match shelves.views.get(&sight).and_then(Weak::upgrade) {
                Some(view) => view,
                None => {
                    let nothing = Catalog::merge(edition.plans.of(sight.naming), &[], self.page_items_max);
                    let nothing = nothing.of(&sight.whose);
                    let view = Arc::new(View {
                        stale: AtomicBool::new(true),
                        recalls: AtomicBool::new(shelves.recalls(edition, &sight)),
                        renewing: Mutex::default(),
                        catalog: watch::Sender::new(Arc::new(nothing)),
                        standings: watch::Sender::new(shelves.standings(edition, &sight)),
                        edition: edition.clone(),
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

    /// Puts lists of a link into the next catalogs. `setup`: the edition of the server's setup by which they were fetched.
    pub(super) async fn publish(
        &self,
        (server, key): (ServerId, &LinkKey),
        setup: u64,
        capabilities: &Capabilities,
        revision: Revision,
        lists: Lists,
    ) {
        let heeding = {
            let mut shelves = self.shelves.lock();
            let kept = shelves.kept.entry((server, key.clone())).or_default();
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
                    *known = Some(setup);
                }
            }
            let heeding = shelves.views_where(server, |place| place.heeds(key));
            heeding.iter().for_each(|(view, _)| view.stale.store(true, Ordering::Release));
            heeding
        };
        for (renewed, (view, _)) in heeding.iter().enumerate() {
            // A shared server may be in as many views as there are clients: others have their turn in between.
            if renewed > 0 {
                yield_now().await;
            }
            self.renew(view);
        }
    }

    /// Puts lists of another run into the next catalogs, until the server is heard; unless it is reached otherwise by now
    /// than by this edition of its setup.
    pub(super) async fn recall(
        &self,
        whose: (ServerId, &LinkKey),
        setup: u64,
        recollection: Recollection,
        lists: Lists,
    ) {
        let (server, key) = whose;
        let Recollection { capabilities, revision, .. } = recollection.clone();
        {
            let mut shelves = self.shelves.lock();
            if shelves.awaited.get(&server).is_some_and(|awaited| setup < *awaited) {
                return;
            }
            shelves.kept.entry((server, key.clone())).or_default().recalled = Some(recollection);
            // Before the first catalog has them.
            for (view, _) in shelves.views_where(server, |place| place.shows(key)) {
                view.recalls.store(true, Ordering::Release);
            }
        }
        self.publish(whose, setup, &capabilities, revision, lists).await;
        self.stands(server, key, Standing::Recalled);
    }

    /// What is known of a link's server from another run alone.
    pub(super) fn recalled(&self, server: ServerId, key: &LinkKey) -> Option<Recollection> {
        self.shelves.lock().kept.get(&(server, key.clone()))?.recalled.clone()
    }

    /// Every list of a link, if each was fetched at least once by this edition of the server's setup.
    pub(super) fn whole(&self, server: ServerId, key: &LinkKey, setup: u64) -> Option<Whole> {
        let shelves = self.shelves.lock();
        let kept = shelves.kept.get(&(server, key.clone()))?;
        kept.known.iter().all(|known| *known == Some(setup)).then(|| kept.offer.lists.clone())
    }

    /// Makes the catalog of the lists of this moment, unless somebody has since they changed.
    fn renew(&self, view: &View) {
        let _renewing = view.renewing.lock();
        if !view.stale.swap(false, Ordering::AcqRel) {
            return;
        }
        let offers = self.shelves.lock().offers(&view.edition, &view.sight);
        let plan = view.edition.plans.of(view.sight.naming);
        let catalog = view.catalog().renewed(plan, &offers);
        view.catalog.send_replace(Arc::new(catalog));
    }

    /// A server was heard, or has failed.
    pub(super) fn stands(&self, server: ServerId, key: &LinkKey, standing: Standing) {
        let mut shelves = self.shelves.lock();
        let kept = shelves.kept.entry((server, key.clone())).or_default();
        let higher = standing.max(kept.standing);
        kept.standing = higher;
        if higher >= Standing::Heard {
            kept.recalled = None;
        }
        for (view, at) in shelves.views_where(server, |place| place.shows(key)) {
            view.raise(at, higher);
        }
    }

    /// A server is another from now on: its lists are shown as they were until it is heard, and waited for; but what another
    /// run kept of the one before is not. `setup`: by which edition of its setup it will be reached.
    pub(super) fn awaits(&self, server: ServerId, setup: u64) {
        let mut shelves = self.shelves.lock();
        shelves.awaited.insert(server, setup);
        for (_, kept) in shelves.kept.iter_mut().filter(|((kept, _), _)| *kept == server) {
            kept.standing = Standing::Awaited;
            if kept.recalled.take().is_some() {
                kept.offer = Offer::default();
            }
        }
    }

    /// A server is in the configuration no more.
    pub(super) fn retires(&self, server: ServerId) {
        self.shelves.lock().awaited.remove(&server);
    }

    pub(super) fn standing(&self, server: ServerId, key: &LinkKey) -> Standing {
        let shelves = self.shelves.lock();
        shelves.kept.get(&(server, key.clone())).map(|kept| kept.standing).unwrap_or_default()
    }

    pub(super) fn note_trouble(&self, server: ServerId, key: &LinkKey, kind: Kind, trouble: Option<String>) {
        let mut shelves = self.shelves.lock();
        let troubles = &mut shelves.kept.entry((server, key.clone())).or_default().troubles;
        if let Some(place) = troubles.get_mut(kind.index()) {
            *place = trouble;
        }
    }

    /// Whether a list was to be kept until now.
    pub(super) fn is_doubtful(&self, server: ServerId, key: &LinkKey, kind: Kind) -> bool {
        let now = Instant::now().into_std();
        let shelves = self.shelves.lock();
        let holds =
            shelves.kept.get(&(server, key.clone())).and_then(|kept| kept.offer.holds.get(kind.index()));
        match holds {
            Some(Holds::Until(until)) => *until <= now,
            Some(Holds::Unsaid | Holds::Ever) | None => false,
        }
    }

    /// What is wrong with a link's lists, a sentence each.
    pub(super) fn troubles(&self, server: ServerId, key: &LinkKey) -> Vec<String> {
        let shelves = self.shelves.lock();
        let kept = shelves.kept.get(&(server, key.clone()));
        kept.into_iter().flat_map(|kept| kept.troubles.iter().flatten().cloned()).collect()
    }

    /// How many items a link lists, by `Kind::index`.
    pub(super) fn offered(&self, server: ServerId, key: &LinkKey) -> [usize; 4] {
        let shelves = self.shelves.lock();
        let kept = shelves.kept.get(&(server, key.clone()));
        kept.map(|kept| kept.offer.lists.each_ref().map(|list| list.len())).unwrap_or_default()
    }

    /// The catalog of the view that shows most of all that clients have of an edition, under the names that tell servers
    /// apart.
    pub(super) fn widest(&self, edition: &Edition) -> Option<Arc<Catalog>> {
        let shelves = self.shelves.lock();
        let shown =
            |view: &View| view.sight.places.iter().filter(|place| matches!(place, Place::Shown(_))).count();
        let views = shelves.views.values().filter_map(Weak::upgrade);
        let prefixed = views
            .filter(|view| view.sight.naming == Naming::Prefixed && view.sight.edition == edition.number);
        prefixed.max_by_key(|view| shown(view)).map(|view| view.catalog())
    }

    /// A link has ended for good.
    pub(super) fn forget(&self, server: ServerId, key: &LinkKey) {
        self.shelves.lock().kept.remove(&(server, key.clone()));
    }
}

impl Shelves {
    /// The views in which the place of a server is such a one, and which place that is.
    fn views_where(&self, server: ServerId, is_such: impl Fn(&Place) -> bool) -> Vec<(Arc<View>, usize)> {
        let views = self.views.values().filter_map(Weak::upgrade);
        let placed = views.filter_map(|view| {
            let at = view.edition.place_of(server)?;
            view.sight.places.get(at).is_some_and(&is_such).then_some((view, at))
        });
        placed.collect()
    }

    /// Whether lists of another run are among what is shown.
    fn recalls(&self, edition: &Edition, sight: &Sight) -> bool {
        let is_recalled = |at: usize, key: &LinkKey| {
            let id = edition.servers.get(at)?.id();
            self.kept.get(&(id, key.clone())).map(|kept| kept.recalled.is_some())
        };
        sight.places.iter().enumerate().any(|(at, place)| match place {
            Place::Shown(key) => is_recalled(at, key).unwrap_or_default(),
            Place::Named(_) | Place::Absent => false,
        })
    }

    fn offers(&self, edition: &Edition, sight: &Sight) -> Vec<Offer> {
        let offer = |at: usize, key: &LinkKey| {
            let id = edition.servers.get(at)?.id();
            self.kept.get(&(id, key.clone())).map(|kept| kept.offer.clone())
        };
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

    fn standings(&self, edition: &Edition, sight: &Sight) -> Vec<Standing> {
        let kept = |at: usize, key: &LinkKey| {
            let id = edition.servers.get(at)?.id();
            self.kept.get(&(id, key.clone())).map(|kept| kept.standing)
        };
        let places = sight.places.iter().enumerate();
        let standings = places.map(|(at, place)| match place {
            Place::Shown(key) => kept(at, key).unwrap_or_default(),
            Place::Named(_) | Place::Absent => Standing::Absent,
        });
        standings.collect()
    }
}
