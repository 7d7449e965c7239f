//! FLOOR 4. The corridor between doors and windows: everything of one run that outlives a request.
//!
//! Owns the servers, the catalog, and the limits that all clients share; there is no global state. For each request
//! it decides: an answer now, or an exchange. It names no transport and no era; doors and windows do. It starts
//! nothing by itself: `open` does, when a door has a client. Stopping it ends every process that it started.

pub mod begin;

pub mod edition;

pub mod entrance;

mod outlook;

pub mod seat;

mod seats;

pub mod adopt;

pub mod views;

pub mod lists;

pub mod logins;

pub mod catalog_cache;

pub mod readiness;

pub mod parked;

pub mod rates;

pub mod survey;

use self::catalog_cache::{CatalogCache, Whose};
use self::edition::Edition;
use self::entrance::Entrance;
use self::logins::Logins;
use self::outlook::Outlook;
use self::parked::Parked;
use self::seat::Seat;
use self::seats::Seats;
use self::views::{View, Views};
use crate::config::{Config, ServerConfig};
use crate::mcp::caller::{Caller, ClientId, Company, Grant, Principal, Scopes};
use crate::routing::access::{Access, Rights};
use crate::routing::task_ids::{KEY_BYTES, TaskIds};
use crate::upstream::allowance::Allowance;
use crate::upstream::budget::{self, Budget};
use crate::upstream::connect::Introduction;
use crate::upstream::dial::Dial;
use crate::upstream::link::State;
use crate::upstream::lookout::Lookout;
use crate::upstream::memory::Memory;
use crate::upstream::process::Pace;
use crate::upstream::server::{Server, ServerId, Surroundings, Watched};
use crate::wire::fault::{CallOutcome, Fault, Reason};
use parking_lot::{Mutex, RwLock};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What serves every client of a run.
pub struct Hub {
    /// As the run was started. What may be another by now stands in the edition.
    config: Arc<Config>,
    edition: RwLock<Arc<Edition>>,
    views: Views,
    seats: Seats,
    surroundings: Surroundings,
    /// Servers that are in the configuration no more, until nothing of them is left.
    retired: Mutex<Vec<Arc<Server>>>,
    /// For whom shared servers are started before anybody comes.
    warmed: Mutex<Vec<Principal>>,
    total: Arc<Budget>,
    /// `None`: without randomness there is no seal, and no task.
    task_ids: Option<Arc<TaskIds>>,
    parked: Arc<Parked>,
    memory: Arc<Memory>,
    lookout: Arc<Lookout>,
    catalog_cache: OnceLock<Arc<CatalogCache>>,
    logins: OnceLock<Logins>,
    tracker: TaskTracker,
    stopping: CancellationToken,
    clients: AtomicU64,
    /// Servers that there ever were.
    numbers: AtomicU64,
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
        let settings: Vec<Arc<ServerConfig>> = config.servers.iter().cloned().map(Arc::new).collect();
        let made = settings.iter().zip(dials).zip(0..).map(|((settings, dial), number)| {
            Arc::new(Server::new(ServerId(number), settings.clone(), surroundings.clone(), dial))
        });
        let servers: Vec<Arc<Server>> = made.collect();
        let numbers = AtomicU64::new(servers.len() as u64);
        Arc::new(Self {
            views: Views::new(config.limits.page_items_max),
            total: Budget::new(config.limits.total_in_flight_max),
            task_ids: task_ids(),
            parked: Arc::new(Parked::new(config.limits.parked_max)),
            memory,
            lookout,
            edition: RwLock::new(Arc::new(Edition::new(0, config.clone(), settings, servers))),
            seats: Seats::default(),
            surroundings,
            retired: Mutex::default(),
            warmed: Mutex::default(),
            catalog_cache: OnceLock::new(),
            logins: OnceLock::new(),
            config,
            tracker,
            stopping: CancellationToken::new(),
            clients: AtomicU64::new(0),
            numbers,
        })
    }

    /// The configuration that the run was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What holds of the configuration now.
    pub fn edition(&self) -> Arc<Edition> {
        self.edition.read().clone()
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
        Entrance::all()
    }

    /// The entrance to the servers of a group, called as by the entrance to all.
    pub fn entrance_group(&self, name: &str) -> Option<Entrance> {
        self.edition().entrances.has_group(name).then(|| Entrance::group(name))
    }

    /// The entrance to one server alone, by its key, with every name and URI as it writes them.
    pub fn entrance_server(&self, key: &str) -> Option<Entrance> {
        self.edition().entrances.has_server(key).then(|| Entrance::server(key))
    }

    /// Whether an entrance leads anywhere for whoever comes in this name. That to all servers is there for everybody who is
    /// let in.
    pub fn admits(&self, entrance: &Entrance, grant: &Grant) -> bool {
        let edition = self.edition();
        edition.rights(&grant.principal, &grant.scopes).is_none()
            || edition.behind(entrance, &grant.principal, &grant.scopes).leads_anywhere()
    }

    /// What whoever comes by another entrance with the same links sees.
    pub fn view(&self, caller: &Caller, entrance: &Entrance) -> Arc<View> {
        Outlook::new(&self.views, self.edition(), caller, entrance).view
    }

    /// What somebody who has these rights would see by the links of this caller.
    pub fn view_with(
        &self,
        caller: &Caller,
        entrance: &Entrance,
        (access, rights): (&Access, &Rights),
    ) -> Arc<View> {
        let edition = self.edition();
        let behind = edition.ruled(entrance, access, rights);
        Outlook::of(&self.views, edition, caller, behind).view
    }

    /// A place for a client that comes by this entrance; nothing is started before it is opened.
    pub fn seat(self: &Arc<Self>, caller: Caller, entrance: &Entrance) -> Arc<Seat> {
        self.seats.enter(self, Seat::new(self.clone(), self.edition(), caller, entrance.clone()))
    }

    /// Starts whatever a principal's network clients will share, before the first of them is there. Servers of which
    /// each client gets its own are started when it comes. The faults are of links that could not be made.
    pub fn warm(self: &Arc<Self>, principal: &Principal) -> Vec<Fault> {
        {
            let mut warmed = self.warmed.lock();
            if !warmed.contains(principal) {
                warmed.push(principal.clone());
            }
        }
        let edition = self.edition();
        let usable = edition.behind(&Entrance::all(), principal, &Scopes::default());
        let servers = edition.servers().iter().enumerate().filter(|(at, _)| usable.look(*at).is_some());
        servers.filter_map(|(_, server)| self.warm_one(server, principal).err()).collect()
    }

    fn warm_one(self: &Arc<Self>, server: &Arc<Server>, principal: &Principal) -> Result<(), Fault> {
        match server.warm(principal) {
            Some(watched) => watched.map(|watched| self.follow(server, watched, Whose::Everybodys)),
            None => Ok(()),
        }
    }

    /// Keeps the lists of a link from now on, unless somebody does already.
    fn follow(self: &Arc<Self>, server: &Arc<Server>, watched: Watched, whose: Whose) {
        if watched.was_open {
            return;
        }
        let kept = lists::keep(self.clone(), server.clone(), watched, whose);
        self.tracker.spawn(self.stopping.clone().run_until_cancelled_owned(kept));
    }

    /// The state of each server behind an entrance, as this caller finds it, in the order of the configuration.
    pub fn reports(&self, caller: &Caller, entrance: &Entrance) -> Vec<Report> {
        let edition = self.edition();
        let behind = edition.behind(entrance, &caller.principal, &caller.scopes);
        let servers = edition.servers().iter().zip(&edition.settings).enumerate();
        servers
            .filter(|(at, _)| behind.look(*at).is_some())
            .map(|(at, (server, settings))| Report {
                at,
                key: settings.key.clone(),
                title: settings.title.clone(),
                transport: server.transport(),
                required: settings.required,
                state: server.state(&server.link_key(caller)),
            })
            .collect()
    }

    /// A place among all requests in flight.
    fn place(&self) -> Option<budget::Taken> {
        self.total.take(1)
    }

    /// The same, or what is said where there is none.
    fn place_or_busy(&self) -> Result<budget::Taken, Fault> {
        let text = "too many requests in flight (limits.total_in_flight)";
        self.place().ok_or_else(|| Fault::ours(Reason::Busy, text).outcome(CallOutcome::NotSent))
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
        for server in self.edition().servers().iter().chain(self.retired.lock().iter()) {
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
