//! FLOOR 4. The corridor between doors and windows: everything of one run that outlives a request.
//!
//! Owns the servers, the catalog, and the limits that all clients share; there is no global state. For each request
//! it decides: an answer now, or an exchange. It names no transport and no era; doors and windows do. It starts
//! nothing by itself: `open` does, when a door has a client. Stopping it ends every process that it started.

pub mod begin;

pub mod seat;

pub mod views;

pub mod lists;

use self::seat::Seat;
use self::views::{View, Views};
use crate::config::{Config, Instructions};
use crate::mcp::caller::{Caller, ClientId};
use crate::mcp::instructions::{self, Speaker};
use crate::routing::names::NamePlan;
use crate::upstream::connect::Introduction;
use crate::upstream::dial::Dial;
use crate::upstream::link::State;
use crate::upstream::process::Pace;
use crate::upstream::server::{LinkKey, Server, Surroundings, Watched};
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What serves every client of a run.
pub struct Hub {
    config: Arc<Config>,
    servers: Vec<Arc<Server>>,
    views: Views,
    total: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    tracker: TaskTracker,
    stopping: CancellationToken,
    clients: AtomicU64,
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
        let alone = plan.servers().len() == 1;
        let made = plan.servers().iter().zip(&config.servers).zip(dials);
        let servers: Vec<_> = made
            .map(|((name, settings), dial)| {
                // One server without a name in front is all that the client knows: there is nobody to tell it from.
                let named = !(alone && name.name_prefix().is_empty());
                let label = named.then(|| Arc::from(name.key()));
                Arc::new(Server::new(name.clone(), settings.clone(), surroundings.clone(), dial, label))
            })
            .collect();
        Arc::new(Self {
            views: Views::new(plan, config.limits.page_items_max),
            total: Arc::new(Semaphore::new(config.limits.total_in_flight_max)),
            memory: Arc::new(Semaphore::new(
                kib(config.limits.buffered_bytes_max / 100 * BUFFERED_PERCENT) as usize
            )),
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

    /// What names the next client.
    pub fn next_client(&self) -> ClientId {
        ClientId(self.clients.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A place for a client; nothing is started before it is opened.
    pub fn seat(self: &Arc<Self>, caller: Caller) -> Seat {
        Seat::new(self.clone(), caller)
    }

    /// Keeps the lists of a link from now on.
    fn follow(self: &Arc<Self>, at: usize, watched: Watched) {
        let kept = lists::keep(self.clone(), at, watched);
        self.tracker.spawn(self.stopping.clone().run_until_cancelled_owned(kept));
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
            prefix => format!("{prefix}{}", self.views.plan().separator()),
        }
    }

    /// The server that a name must belong to by its front, if that server's lists were never heard.
    fn unheard_front(&self, view: &View, name: &str) -> Option<usize> {
        let unheard = self.servers.iter().enumerate().filter(|(at, _)| !view.is_heard(*at));
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

    /// What is wrong with a server's lists, a sentence each.
    pub fn troubles(&self, at: usize, caller: &Caller) -> Vec<String> {
        self.key_of(at, caller).map(|(_, key)| self.views.troubles(at, &key)).unwrap_or_default()
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX >> 4).min(u32::MAX >> 4)
}

/// New requests are refused when this much of the budget is taken.
const BUFFERED_PERCENT: usize = 85;
