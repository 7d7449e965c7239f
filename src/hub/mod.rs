//! FLOOR 4. The corridor between doors and windows: everything of one run that outlives a request.
//!
//! Owns the servers, the catalog, and the limits that all clients share; there is no global state. For each request
//! it decides: an answer now, or an exchange. It names no transport and no era; doors and windows do. It starts
//! nothing by itself: `open` does, when a door has a client. Stopping it ends every process that it started.

pub mod begin;

pub mod entrance;

pub mod seat;

pub mod views;

pub mod lists;

pub mod catalog_cache;

pub mod readiness;

pub mod parked;

pub mod survey;

use self::catalog_cache::{CatalogCache, Whose};
use self::entrance::{Entrance, Entrances, Naming};
use self::parked::Parked;
use self::seat::Seat;
use self::views::{Plans, View, Views};
use crate::config::{Config, Prefix};
use crate::mcp::caller::{Caller, ClientId, Company, Principal};
use crate::routing::names::NamePlan;
use crate::routing::task_ids::{KEY_BYTES, TaskIds};
use crate::upstream::allowance::Allowance;
use crate::upstream::budget::{self, Budget};
use crate::upstream::connect::Introduction;
use crate::upstream::dial::Dial;
use crate::upstream::link::State;
use crate::upstream::lookout::Lookout;
use crate::upstream::memory::Memory;
use crate::upstream::process::Pace;
use crate::upstream::server::{Server, Surroundings, Watched};
use crate::wire::fault::Fault;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What serves every client of a run.
pub struct Hub {
    config: Arc<Config>,
    servers: Vec<Arc<Server>>,
    entrances: Entrances,
    views: Views,
    total: Arc<Budget>,
    /// `None`: without randomness there is no seal, and no task.
    task_ids: Option<Arc<TaskIds>>,
    parked: Arc<Parked>,
    memory: Arc<Memory>,
    lookout: Arc<Lookout>,
    catalog_cache: OnceLock<Arc<CatalogCache>>,
    tracker: TaskTracker,
    stopping: CancellationToken,
    clients: AtomicU64,
}

/// A server as people ask about it.
pub struct Report {
    /// Its place in the configuration.
    pub at: usize,
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
        let prefixed = NamePlan::new(&config.names, &named);
        // Each server as if it were the only one. No two of them are ever shown together.
        let bare: Vec<_> = named.iter().map(|(key, _, uris)| (*key, &Prefix::Bare, *uris)).collect();
        let plans = Plans::new(prefixed, NamePlan::new(&config.names, &bare));
        let memory = Memory::new(config.limits.buffered_bytes_max);
        let lookout = Lookout::new(config.admin.labels_tools);
        let surroundings = Surroundings {
            lookout: lookout.clone(),
            memory: memory.clone(),
            limits: Arc::new(config.limits.clone()),
            introduction: Introduction {
                name: Arc::from(config.identity.name.as_str()),
                version: env!("CARGO_PKG_VERSION"),
                hops: Arc::from(hops),
            },
            starting: Arc::new(Semaphore::new(config.limits.starting_max)),
            tracker: tracker.clone(),
        };
        let made = plans.of(Naming::Prefixed).servers().iter().zip(&config.servers).zip(dials);
        let made = made.map(|((name, settings), dial)| {
            Arc::new(Server::new(name.clone(), settings.clone(), surroundings.clone(), dial))
        });
        let servers = made.collect();
        Arc::new(Self {
            entrances: Entrances::new(&plans, &config.servers, &config.groups),
            views: Views::new(plans, config.limits.page_items_max),
            total: Budget::new(config.limits.total_in_flight_max),
            task_ids: task_ids(),
            parked: Arc::new(Parked::new(config.limits.parked_max)),
            memory,
            lookout,
            catalog_cache: OnceLock::new(),
            servers,
            config,
            tracker,
            stopping: CancellationToken::new(),
            clients: AtomicU64::new(0),
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// Who looks on.
    pub fn lookout(&self) -> &Arc<Lookout> {
        &self.lookout
    }

    /// From now on lists are kept for the next run there, and shown as another kept them until their servers are heard.
    /// Of two the first holds. Servers that run already go without.
    pub fn recalls(&self, cache: CatalogCache) {
        self.catalog_cache.set(Arc::new(cache)).ok();
    }

    fn catalog_cache(&self) -> Option<&Arc<CatalogCache>> {
        self.catalog_cache.get()
    }

    /// What names the next client.
    pub fn next_client(&self) -> ClientId {
        ClientId(self.clients.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The entrance to every server.
    pub fn entrance_all(&self) -> Entrance {
        self.entrances.all()
    }

    /// The entrance to the servers of a group, called as by the entrance to all.
    pub fn entrance_group(&self, name: &str) -> Option<Entrance> {
        self.entrances.group(name)
    }

    /// The entrance to one server alone, by its key, with every name and URI as it writes them.
    pub fn entrance_server(&self, key: &str) -> Option<Entrance> {
        self.entrances.server(key)
    }

    /// What whoever comes by another entrance with the same links sees.
    pub fn view(&self, caller: &Caller, entrance: &Entrance) -> Arc<View> {
        self.views.of(seat::sight(self, caller, entrance))
    }

    /// A place for a client that comes by this entrance; nothing is started before it is opened.
    pub fn seat(self: &Arc<Self>, caller: Caller, entrance: &Entrance) -> Seat {
        Seat::new(self.clone(), caller, entrance.clone())
    }

    /// Starts whatever a principal's network clients will share, before the first of them is there. Servers of which
    /// each client gets its own are started when it comes. The faults are of links that could not be made.
    pub fn warm(self: &Arc<Self>, principal: &Principal) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (at, server) in self.servers.iter().enumerate() {
            match server.warm(principal) {
                Some(Ok(watched)) => self.follow(at, watched, Whose::Everybodys),
                Some(Err(fault)) => faults.push(fault),
                None => {}
            }
        }
        faults
    }

    /// Keeps the lists of a link from now on, unless somebody does already.
    fn follow(self: &Arc<Self>, at: usize, watched: Watched, whose: Whose) {
        if watched.was_open {
            return;
        }
        let kept = lists::keep(self.clone(), at, watched, whose);
        self.tracker.spawn(self.stopping.clone().run_until_cancelled_owned(kept));
    }

    /// The state of each server behind an entrance, as this caller finds it, in the order of the configuration.
    pub fn reports(&self, caller: &Caller, entrance: &Entrance) -> Vec<Report> {
        let servers = self.servers.iter().enumerate().filter(|(at, _)| entrance.look(*at).is_some());
        servers
            .map(|(at, server)| Report {
                at,
                key: server.name().key().to_owned(),
                title: server.settings().title.clone(),
                transport: server.transport(),
                required: server.settings().required,
                state: server.state(&server.link_key(caller)),
            })
            .collect()
    }

    /// A place among all requests in flight.
    fn place(&self) -> Option<budget::Taken> {
        self.total.take(1)
    }

    /// Requests that are at a server, of all clients.
    pub fn in_flight(&self) -> usize {
        self.config.limits.total_in_flight_max.saturating_sub(self.total.left() as usize)
    }

    /// What one client's requests may take of the memory: for one over 64 KiB up to 85 % of `limits.buffered`, for any up
    /// to 95 %; and of that a quarter, if the client is not alone.
    pub fn allowance(&self, company: Company) -> Allowance {
        Allowance::new(&self.memory, company)
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
}

/// The ids of tasks, under a key of this run's.
fn task_ids() -> Option<Arc<TaskIds>> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).ok()?;
    Some(Arc::new(TaskIds::new(key)))
}
