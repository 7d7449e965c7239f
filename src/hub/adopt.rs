//! Another configuration takes the place of the one before, while everything runs.
//!
//! Compares the two, server by server, and touches what differs: a new server is started, one that is there no more is
//! stopped once its calls had their time, one that is reached otherwise is begun anew for the clients that it has, and
//! everything else is a matter of the edition alone. Then each seat moves, and the next request of its client is of the new
//! edition. It reads no file, and decides nothing of what only a new run can change.

use super::Hub;
use super::edition::Edition;
use super::entrance::Entrance;
use crate::config::{Config, ServerConfig};
use crate::mcp::caller::Scopes;
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
    /// They are reached or shared otherwise, or their results kept otherwise, and so started anew.
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

/// The next edition, as it is being made.
#[derive(Default)]
struct Draft {
    changes: Changes,
    servers: Vec<Arc<Server>>,
    settings: Vec<Arc<ServerConfig>>,
    replaced: Vec<Replaced>,
}

/// A server, and what it is to be.
type Replaced = (Arc<Server>, Arc<ServerConfig>, Arc<dyn Dial>);

impl Draft {
    fn takes(&mut self, server: Arc<Server>, settings: Arc<ServerConfig>) {
        self.servers.push(server);
        self.settings.push(settings);
    }
}

/// What is to be done with one server.
enum Fate {
    Stays,
    IsSet,
    IsReplaced,
    /// Who shares it is another, or what is kept of it: no link of the one before serves anybody.
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
        let mut draft = Draft::default();
        draft.changes.others = !is_alike(&before.config, &config);
        for wanted in &config.servers {
            let found = before.servers.iter().zip(&before.settings).find(|(_, had)| had.key == wanted.key);
            self.settle(&mut draft, found, wanted, &dial);
        }
        let Draft { mut changes, servers, settings, replaced } = draft;
        let is_gone = |had: &&Arc<ServerConfig>| !config.servers.iter().any(|wanted| wanted.key == had.key);
        changes.removed = before.settings.iter().filter(is_gone).map(|had| had.key.clone()).collect();
        let is_moved = before.settings.iter().map(|had| &had.key).ne(config.servers.iter().map(|it| &it.key));
        changes.others |= is_moved && changes.added.is_empty() && changes.removed.is_empty();
        if changes.any() {
            let edition = Edition::new(before.number + 1, Arc::new(config), settings, servers);
            self.moves(&before, Arc::new(edition.after(&before))).await;
            // Only now: whoever has not moved yet would hear of their lists, and once more when it has.
            replaced.into_iter().for_each(|(server, settings, dial)| server.replace(settings, dial));
        }
        changes
    }

    /// What one server of the next edition is.
    fn settle(
        &self,
        draft: &mut Draft,
        found: Option<(&Arc<Server>, &Arc<ServerConfig>)>,
        wanted: &ServerConfig,
        dial: impl Fn(&ServerConfig) -> Arc<dyn Dial>,
    ) {
        let (key, settings) = (wanted.key.clone(), Arc::new(wanted.clone()));
        let Some((server, had)) = found else {
            draft.changes.added.push(key);
            let server = self.make(&settings, dial(wanted));
            return draft.takes(server, settings);
        };
        match fate(had, wanted) {
            Fate::Stays => {
                draft.changes.unchanged.push(key);
                draft.takes(server.clone(), had.clone());
            }
            Fate::IsSet => {
                draft.changes.adjusted.push(key);
                server.set(settings.clone());
                draft.takes(server.clone(), settings);
            }
            Fate::IsReplaced => {
                draft.changes.restarted.push(key);
                self.views.awaits(server.id(), server.settings_and_edition().1 + 1);
                draft.replaced.push((server.clone(), settings.clone(), dial(wanted)));
                draft.takes(server.clone(), settings);
            }
            Fate::IsAnother => {
                draft.changes.restarted.push(key);
                let server = self.make(&settings, dial(wanted));
                draft.takes(server, settings);
            }
        }
    }

    fn make(&self, settings: &Arc<ServerConfig>, dial: Arc<dyn Dial>) -> Arc<Server> {
        let id = ServerId(self.numbers.fetch_add(1, Ordering::Relaxed));
        Arc::new(Server::new(id, settings.clone(), self.surroundings.clone(), dial))
    }

    /// Everybody comes to another edition.
    async fn moves(self: &Arc<Self>, before: &Edition, now: Arc<Edition>) {
        *self.edition.write() = now.clone();
        let warmed = self.warmed.lock().clone();
        for principal in &warmed {
            let behind = |edition: &Edition| edition.behind(&Entrance::all(), principal, &Scopes::default());
            let (saw, sees) = (behind(before), behind(&now));
            for (_, server) in now.servers().iter().enumerate().filter(|(at, _)| sees.look(*at).is_some()) {
                let had = before.place_of(server.id()).and_then(|at| saw.look(at));
                if had.is_none()
                    && let Err(fault) = self.warm_one(server, principal)
                {
                    tracing::warn!(why = fault.text, "not started");
                }
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
        self.views.retires(server.id());
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
        allow_anonymous,
        timeouts: _,
        filters: _,
        tools: _,
        restart: _,
        backoff: _,
        in_flight_max: _,
        waiting_max: _,
        rate: _,
        result_bytes_max: _,
        cache,
        stderr,
        path_from_shell,
    } = had;
    // Who may use it may be a matter of with what it is reached.
    let is_reached_alike = *reach == wanted.reach
        && *allow_anonymous == wanted.allow_anonymous
        && *protocol == wanted.protocol
        && *stderr == wanted.stderr
        && *path_from_shell == wanted.path_from_shell;
    match () {
        () if had == wanted => Fate::Stays,
        // What is kept of results is made with the server.
        () if *sharing != wanted.sharing || *cache != wanted.cache => Fate::IsAnother,
        // Whose a link is would be asked otherwise.
        () if had.is_reached_by_grant() != wanted.is_reached_by_grant() => Fate::IsAnother,
        () if !is_reached_alike => Fate::IsReplaced,
        () => Fate::IsSet,
    }
}

/// Whether two configurations mean the same for an edition, servers aside.
fn is_alike(had: &Config, wanted: &Config) -> bool {
    had.names == wanted.names
        && had.groups == wanted.groups
        && had.access == wanted.access
        && had.first_list == wanted.first_list
        && had.limits.rate == wanted.limits.rate
        && had.identity.instructions == wanted.identity.instructions
        && had.identity.instructions_bytes_max == wanted.identity.instructions_bytes_max
}

/// How long calls may take to end at a server that is in the configuration no more, before it is ended with them.
pub const RETIRE_GRACE: Duration = Duration::from_secs(10);
const RETIRE_LOOK: Duration = Duration::from_millis(50);
