//! FLOOR 4. The corridor between doors and windows: everything of one run that outlives a request.
//!
//! Owns the servers, the catalog, and the limits that all clients share; there is no global state. For each request
//! it decides: an answer now, or an exchange. It names no transport and no era; doors and windows do. It starts
//! nothing by itself: `open` does, when a door has a client. Stopping it ends every process that it started.

pub mod begin;

pub mod lists;

use crate::config::{Config, Instructions};
use crate::mcp::caller::{Caller, Told};
use crate::mcp::instructions::{self, Speaker};
use crate::mcp::method::Kind;
use crate::routing::catalog::{Catalog, Offer};
use crate::routing::names::NamePlan;
use crate::upstream::connect::Introduction;
use crate::upstream::dial::Dial;
use crate::upstream::link::{Link, State};
use crate::upstream::process::Pace;
use crate::upstream::server::{LinkKey, Server, Surroundings};
use crate::wire::fault::Fault;
use futures::future::join_all;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What serves every client of a run.
pub struct Hub {
    config: Arc<Config>,
    plan: NamePlan,
    servers: Vec<Arc<Server>>,
    offers: Mutex<Vec<Offer>>,
    catalog: watch::Sender<Arc<Catalog>>,
    /// Servers, by place, whose lists were heard at least once.
    heard: Mutex<HashSet<usize>>,
    /// What is wrong with each server's lists, by place and kind.
    troubles: Mutex<Vec<[Option<String>; 4]>>,
    /// Servers, by place, whose lists were heard or that failed to start: the first list waits for all.
    settled: watch::Sender<Vec<bool>>,
    total: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    tracker: TaskTracker,
    stopping: CancellationToken,
}

/// A server as people ask about it.
pub struct Report {
    pub key: String,
    pub title: Option<String>,
    pub transport: &'static str,
    pub required: bool,
    pub state: State,
}

impl Hub {
    /// `dials` in the order of the configuration's servers. `hops` marks us among proxies behind proxies.
    pub fn new(
        config: Arc<Config>,
        dials: Vec<Arc<dyn Dial>>,
        hops: &str,
        tracker: TaskTracker,
    ) -> Arc<Self> {
        let named: Vec<_> = config.servers.iter().map(|s| (s.key.as_str(), &s.prefix, s.uris)).collect();
        let plan = NamePlan::new(&config.names, &named);
        let surroundings = Surroundings {
            limits: Arc::new(config.limits.clone()),
            introduction: Introduction {
                name: Arc::from(config.identity.name.as_str()),
                version: env!("CARGO_PKG_VERSION"),
                hops: Arc::from(hops),
            },
            starting: Arc::new(Semaphore::new(config.limits.starting_max)),
            tracker: tracker.clone(),
        };
        let made = plan.servers().iter().zip(&config.servers).zip(dials);
        let servers: Vec<_> = made
            .map(|((name, settings), dial)| {
                Arc::new(Server::new(name.clone(), settings.clone(), surroundings.clone(), dial))
            })
            .collect();
        let offers = vec![Offer::default(); servers.len()];
        let catalog = Catalog::merge(&plan, &offers, config.limits.page_items_max);
        Arc::new(Self {
            plan,
            offers: Mutex::new(offers),
            catalog: watch::Sender::new(Arc::new(catalog)),
            heard: Mutex::default(),
            troubles: Mutex::new(vec![Default::default(); servers.len()]),
            settled: watch::Sender::new(vec![false; servers.len()]),
            total: Arc::new(Semaphore::new(config.limits.total_in_flight_max)),
            memory: Arc::new(Semaphore::new(
                kib(config.limits.buffered_bytes_max / 100 * BUFFERED_PERCENT) as usize
            )),
            servers,
            config,
            tracker,
            stopping: CancellationToken::new(),
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// Starts every server for a client. Programs start at once; they are greeted when `told` is known.
    pub fn open(self: &Arc<Self>, caller: &Caller, told: &watch::Receiver<Option<Told>>) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (at, server) in self.servers.iter().enumerate() {
            match server.open(server.link_key(caller), told.clone()) {
                Ok(watched) => {
                    let kept = lists::keep(self.clone(), at, watched);
                    self.tracker.spawn(self.stopping.clone().run_until_cancelled_owned(kept));
                }
                Err(fault) => faults.push(fault),
            }
        }
        faults
    }

    /// The catalog of this moment.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.borrow().clone()
    }

    /// Resolves anew for each change of the catalog.
    pub fn watch_catalog(&self) -> watch::Receiver<Arc<Catalog>> {
        self.catalog.subscribe()
    }

    /// Waits until every server was heard or has failed, and for no longer than `until`.
    pub async fn settled(&self, until: Instant) {
        let mut settled = self.settled.subscribe();
        timeout_at(until, settled.wait_for(|all| all.iter().all(|one| *one))).await.ok();
    }

    /// Resolves anew for each server that was heard or has failed.
    pub fn watch_settled(&self) -> watch::Receiver<Vec<bool>> {
        self.settled.subscribe()
    }

    pub fn is_settled(&self) -> bool {
        self.settled.borrow().iter().all(|one| *one)
    }

    /// The servers' instructions, merged, as far as they are known within `patience`.
    pub async fn instructions(&self, caller: &Caller, patience: Duration) -> Option<String> {
        let max = self.config.identity.instructions_bytes_max;
        match &self.config.identity.instructions {
            Instructions::None => None,
            Instructions::Text(text) => Some(text.clone()),
            Instructions::Merge => {
                let until = Instant::now() + patience;
                let links = join_all(self.servers.iter().map(|server| {
                    let key = server.link_key(caller);
                    async move { timeout_at(until, server.greeted(&key)).await.ok().flatten() }
                }))
                .await;
                let fronts: Vec<String> = self.servers.iter().map(|server| self.front(server)).collect();
                let speakers: Vec<Speaker<'_>> = self
                    .servers
                    .iter()
                    .zip(&links)
                    .zip(&fronts)
                    .map(|((server, link), front)| Speaker {
                        key: server.name().key(),
                        front,
                        title: server.settings().title.as_deref().unwrap_or_default(),
                        instructions: link.as_ref().and_then(|link| link.greeting().instructions.as_deref()),
                    })
                    .collect();
                instructions::merge(&speakers, max)
            }
        }
    }

    /// What a server's names begin with.
    fn front(&self, server: &Server) -> String {
        match server.name().name_prefix() {
            "" => String::new(),
            prefix => format!("{prefix}{}", self.plan.separator()),
        }
    }

    /// The server that a name must belong to by its front, if that server's lists were never heard.
    fn unheard_front(&self, name: &str) -> Option<usize> {
        let heard = self.heard.lock();
        let unheard = self.servers.iter().enumerate().filter(|(at, _)| !heard.contains(at));
        let mut fronts = unheard.map(|(at, server)| (at, self.front(server)));
        fronts.find(|(_, front)| !front.is_empty() && name.starts_with(front.as_str())).map(|(at, _)| at)
    }

    /// Each server's state, in the order of the configuration.
    pub fn reports(&self, caller: &Caller) -> Vec<Report> {
        let servers = self.servers.iter();
        servers
            .map(|server| Report {
                key: server.name().key().to_owned(),
                title: server.settings().title.clone(),
                transport: server.transport(),
                required: server.settings().required,
                state: server.state(&server.link_key(caller)),
            })
            .collect()
    }

    /// A place among all requests in flight.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.total.clone().try_acquire_owned().ok()
    }

    /// Room in memory for so many bytes of a request; `None` when too much is buffered already.
    pub fn buffer(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.memory.clone().try_acquire_many_owned(kib(bytes)).ok()
    }

    /// Ends every server and waits until nothing of them is left, or `patience` is over.
    pub async fn stop(&self, pace: Pace, patience: Duration) {
        self.stopping.cancel();
        for server in &self.servers {
            server.stop(pace);
        }
        self.tracker.close();
        timeout(patience, self.tracker.wait()).await.ok();
    }

    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    fn key_of(&self, at: usize, caller: &Caller) -> Option<(&Arc<Server>, LinkKey)> {
        self.servers.get(at).map(|server| (server, server.link_key(caller)))
    }

    /// Puts a server's lists into the next catalog.
    fn publish(&self, at: usize, link: &Link, lists: lists::Lists) {
        let mut offers = self.offers.lock();
        let Some(offer) = offers.get_mut(at) else { return };
        offer.capabilities = link.greeting().capabilities.clone();
        offer.completes = link.greeting().capabilities.completes(link.greeting().revision);
        for (kind, list) in lists {
            if let Some(place) = offer.lists.get_mut(kind.index()) {
                *place = list;
            }
        }
        let next = Catalog::merge(&self.plan, &offers, self.config.limits.page_items_max);
        self.catalog.send_replace(Arc::new(next));
    }

    fn note_trouble(&self, at: usize, kind: Kind, trouble: Option<String>) {
        if let Some(place) = self.troubles.lock().get_mut(at).and_then(|kinds| kinds.get_mut(kind.index())) {
            *place = trouble;
        }
    }

    /// What is wrong with a server's lists, a sentence each.
    pub fn troubles(&self, at: usize) -> Vec<String> {
        self.troubles.lock().get(at).into_iter().flatten().flatten().cloned().collect()
    }

    /// All lists of a server were asked for.
    fn hear(&self, at: usize) {
        self.heard.lock().insert(at);
        self.settle(at);
    }

    fn settle(&self, at: usize) {
        self.settled.send_if_modified(|all| match all.get_mut(at) {
            Some(one) if !*one => {
                *one = true;
                true
            }
            Some(_) | None => false,
        });
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX >> 4).min(u32::MAX >> 4)
}

/// New requests are refused when this much of the budget is taken.
const BUFFERED_PERCENT: usize = 85;
