//! Another configuration takes the place of the one before, while everything runs.
//!
//! Compares the two, server by server, and touches what differs: a new server is started, one that is there no more is
//! stopped once its calls had their time, one that is reached otherwise is begun anew for the clients that it has, and
//! everything else is a matter of the edition alone. Then each seat moves, and the next request of its client is of the new
//! edition. It reads no file, and decides nothing of what only a new run can change.

use super::Hub;
use super::edition::Edition;
use crate::config::{Config, ServerConfig};
use crate::upstream::dial::Dial;
use crate::upstream::process::Pace;
use crate::upstream::server::{Server, ServerId};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

/// What became of the servers, by their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    /// They are reached or shared otherwise, and so started anew.
    pub restarted: Vec<String>,
    /// Something of them is other, for which they need not be touched.
    pub adjusted: Vec<String>,
    pub unchanged: Vec<String>,
    /// Names, groups or something else that is no server's own.
    pub others: bool,
}

impl Changes {
    /// Whether anything is other than before.
    pub fn any(&self) -> bool {
        let Self { added, removed, restarted, adjusted, unchanged: _, others } = self;
        *others || ![added, removed, restarted, adjusted].into_iter().all(Vec::is_empty)
    }
}

/// What is to be done with one server.
enum Fate {
    Stays,
    IsSet,
    IsReplaced,
    /// Who shares it is another: no link of the one before serves anybody.
    IsAnother,
}

impl Hub {
    /// Takes a configuration that is valid. One at a time: whoever calls sees to that.
    pub async fn adopt(
        self: &Arc<Self>,
        config: Config,
        dial: impl Fn(&ServerConfig) -> Arc<dyn Dial>,
    ) -> Changes {
        let before = self.edition();
        let mut changes = Changes { others: !is_alike(&before.config, &config), ..Changes::default() };
        let (mut settings, mut servers, mut replaced) = (Vec::new(), Vec::new(), Vec::new());
        for wanted in &config.servers {
            let found = before.servers.iter().zip(&before.settings).find(|(_, had)| had.key == wanted.key);
            let (had, (server, kept)) = match found {
                None => {
                    changes.added.push(wanted.key.clone());
                    let wanted = Arc::new(wanted.clone());
                    servers.push(self.make(&wanted, dial(&wanted)));
                    settings.push(wanted);
                    continue;
                }
                Some((server, had)) => (had, (server.clone(), Arc::new(wanted.clone()))),
            };
            let key = wanted.key.clone();
            let (server, kept) = match fate(had, wanted) {
                Fate::Stays => {
                    changes.unchanged.push(key);
                    (server, had.clone())
                }
                Fate::IsSet => {
                    changes.adjusted.push(key);
                    server.set(kept.clone());
                    (server, kept)
                }
                Fate::IsReplaced => {
                    changes.restarted.push(key);
                    self.views.awaits(server.id());
                    replaced.push((server.clone(), kept.clone(), dial(wanted)));
                    (server, kept)
                }
                Fate::IsAnother => {
                    changes.restarted.push(key);
                    (self.make(&kept, dial(wanted)), kept)
                }
            };
            servers.push(server);
            settings.push(kept);
        }
        let stays = |had: &&Arc<ServerConfig>| config.servers.iter().any(|wanted| wanted.key == had.key);
        changes.removed = before.settings.iter().filter(|had| !stays(had)).map(|it| it.key.clone()).collect();
        let is_moved = before.servers.iter().map(|server| server.id()).ne(servers.iter().map(|it| it.id()));
        changes.others |= is_moved && changes.added.is_empty() && changes.removed.is_empty();
        if changes.any() {
            let edition = Edition::new(before.number + 1, Arc::new(config), settings, servers);
            self.moves(&before, Arc::new(edition)).await;
            // Only now: whoever has not moved yet would hear of their lists, and once more when it has.
            replaced.into_iter().for_each(|(server, settings, dial)| server.replace(settings, dial));
        }
        changes
    }

    fn make(&self, settings: &Arc<ServerConfig>, dial: Arc<dyn Dial>) -> Arc<Server> {
        let id = ServerId(self.numbers.fetch_add(1, Ordering::Relaxed));
        Arc::new(Server::new(id, settings.clone(), self.surroundings.clone(), dial))
    }

    /// Everybody comes to another edition.
    async fn moves(self: &Arc<Self>, before: &Edition, now: Arc<Edition>) {
        *self.edition.write() = now.clone();
        let warmed = self.warmed.lock().clone();
        let is_new = |server: &&Arc<Server>| before.place_of(server.id()).is_none();
        for server in now.servers().iter().filter(is_new) {
            for fault in warmed.iter().filter_map(|principal| self.warm_one(server, principal).err()) {
                tracing::warn!(why = fault.text, "not started");
            }
        }
        for (moved, seat) in self.seats.all().into_iter().enumerate() {
            // There may be as many as there are clients: their requests have their turn in between.
            if moved > 0 {
                yield_now().await;
            }
            seat.moves(&now);
        }
        let gone = before.servers().iter().filter(|server| now.place_of(server.id()).is_none());
        gone.for_each(|server| self.retire(server));
    }

    /// Lets a server end that is in the configuration no more: at once if nothing is in flight there, else when its calls
    /// had their time.
    fn retire(self: &Arc<Self>, server: &Arc<Server>) {
        server.retire();
        {
            let mut retired = self.retired.lock();
            retired.retain(|server| !server.has_ended());
            retired.push(server.clone());
        }
        let server = server.clone();
        let ended = async move {
            let until = Instant::now() + RETIRE_GRACE;
            while !server.is_quiet() && Instant::now() < until {
                sleep(RETIRE_LOOK).await;
            }
            server.stop(Pace::CALM);
        };
        self.tracker.spawn(self.stopping.clone().run_until_cancelled_owned(ended));
    }
}

/// What another configuration means for one server.
fn fate(had: &ServerConfig, wanted: &ServerConfig) -> Fate {
    // All of them are named, so that whoever adds one decides what it means here.
    let ServerConfig {
        key: _,
        title: _,
        reach,
        prefix: _,
        uris: _,
        sharing,
        protocol,
        required: _,
        timeouts: _,
        filters: _,
        tools: _,
        restart: _,
        backoff: _,
        in_flight_max: _,
        waiting_max: _,
        stderr,
        path_from_shell,
    } = had;
    let is_reached_alike = *reach == wanted.reach
        && *protocol == wanted.protocol
        && *stderr == wanted.stderr
        && *path_from_shell == wanted.path_from_shell;
    match () {
        () if had == wanted => Fate::Stays,
        () if *sharing != wanted.sharing => Fate::IsAnother,
        () if !is_reached_alike => Fate::IsReplaced,
        () => Fate::IsSet,
    }
}

/// Whether two configurations mean the same for an edition, servers aside.
fn is_alike(had: &Config, wanted: &Config) -> bool {
    had.names == wanted.names
        && had.groups == wanted.groups
        && had.first_list == wanted.first_list
        && had.identity.instructions == wanted.identity.instructions
        && had.identity.instructions_bytes_max == wanted.identity.instructions_bytes_max
}

/// How long calls may take to end at a server that is in the configuration no more, before it is ended with them.
pub const RETIRE_GRACE: Duration = Duration::from_secs(10);
const RETIRE_LOOK: Duration = Duration::from_millis(50);
