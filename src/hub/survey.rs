//! How everything stands, for whoever looks after a run.
//!
//! Reads what each server, the catalog and the bounds say of themselves at one moment, as plain data. It changes nothing,
//! and holds nothing that a call would wait for. It knows no form in which it is shown.

use super::Hub;
use super::edition::Edition;
use crate::mcp::method::Kind;
use crate::routing::catalog::Entry;
use crate::routing::names::Change;
use crate::upstream::link::State;
use crate::upstream::server::{LinkKey, Server};
use crate::upstream::tally::Counts;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Everything at one moment.
#[derive(Debug, Clone)]
pub struct Survey {
    pub stopping: bool,
    /// In the order of the configuration.
    pub servers: Vec<Surveyed>,
    /// Requests of all clients that are at a server, and how many there may be.
    pub in_flight: usize,
    pub in_flight_max: usize,
    /// What waits for clients to come back, and how much may.
    pub parked: usize,
    pub parked_max: usize,
    /// What waits in memory, and how much may.
    pub buffered_bytes: u64,
    pub buffered_bytes_max: usize,
    pub audit: Option<Audited>,
}

/// What is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    pub path: PathBuf,
    pub written: u64,
    pub lost: u64,
}

/// One server at one moment.
#[derive(Debug, Clone)]
pub struct Surveyed {
    pub key: String,
    pub title: Option<String>,
    pub transport: &'static str,
    pub required: bool,
    pub condition: Condition,
    /// Since when; nothing, as long as nobody has needed it.
    pub since: Option<SystemTime>,
    /// Why it is not there, and how long until it is tried again.
    pub why: Option<String>,
    pub retry: Option<Duration>,
    pub revision: Option<&'static str>,
    pub links: usize,
    /// What it lists, by `Kind::index`.
    pub offered: [usize; 4],
    /// That is what another run kept of it: it is not heard yet.
    pub recalled: bool,
    /// Of that, what could not be shown, and whose names had to be shortened.
    pub conflicts: usize,
    pub shortened: usize,
    pub in_flight: usize,
    pub waiting: usize,
    pub counts: Counts,
    /// What is wrong with its lists, a sentence each.
    pub troubles: Vec<String>,
}

/// How a server is, of all its links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nobody has needed it yet.
    Idle,
    Starting,
    /// The same, and it was there before.
    Restarting,
    Ready,
    /// It is there, but something of it is not.
    Degraded,
    /// It is tried again by itself.
    Failed,
    /// It is not, before somebody needs it.
    Stopped,
}

impl Condition {
    pub const ALL: [Self; 7] = [
        Self::Idle,
        Self::Starting,
        Self::Restarting,
        Self::Ready,
        Self::Degraded,
        Self::Failed,
        Self::Stopped,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Restarting => "restarting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    pub fn is_up(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }

    /// Whether it is out of order, rather than on its way or not needed.
    pub fn is_down(self) -> bool {
        matches!(self, Self::Failed | Self::Stopped)
    }
}

impl Survey {
    /// Servers that must be there and are not, though each had its time to come.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        let missing = |server: &&Surveyed| {
            server.required
                && match server.condition {
                    Condition::Idle | Condition::Ready | Condition::Degraded => false,
                    Condition::Starting => server.counts.has_failed,
                    Condition::Restarting | Condition::Failed | Condition::Stopped => true,
                }
        };
        self.servers.iter().filter(missing).map(|server| server.key.as_str())
    }

    /// Servers that are on their way for the first time.
    pub fn awaited(&self) -> impl Iterator<Item = &str> {
        let awaited =
            |server: &&Surveyed| server.condition == Condition::Starting && !server.counts.has_failed;
        self.servers.iter().filter(awaited).map(|server| server.key.as_str())
    }

    /// Whether whoever comes now is served as the configuration means it.
    pub fn is_ready(&self) -> bool {
        !self.stopping && self.missing().next().is_none() && self.awaited().next().is_none()
    }
}

impl Hub {
    /// How everything stands now.
    pub fn survey(&self) -> Survey {
        let limits = &self.config.limits;
        let edition = self.edition();
        let (conflicts, shortened) = self.odd_names(&edition);
        let servers = edition.servers().iter().enumerate().map(|(at, server)| Surveyed {
            conflicts: conflicts.get(at).copied().unwrap_or_default(),
            shortened: shortened.get(at).copied().unwrap_or_default(),
            ..self.surveyed(server)
        });
        let audit = self.lookout.audit().map(|audit| {
            let (written, lost) = audit.counts();
            Audited { path: audit.path().to_owned(), written, lost }
        });
        Survey {
            stopping: self.stopping.is_cancelled(),
            servers: servers.collect(),
            in_flight: self.in_flight(),
            in_flight_max: limits.total_in_flight_max,
            parked: self.parked.len(),
            parked_max: limits.parked_max,
            buffered_bytes: self.memory.waiting_bytes(),
            buffered_bytes_max: limits.buffered_bytes_max,
            audit,
        }
    }

    /// How many items of each server cannot be shown, and how many have shorter names than their server gave them.
    fn odd_names(&self, edition: &Edition) -> (Vec<usize>, Vec<usize>) {
        let count = edition.servers().len();
        let (mut conflicts, mut shortened) = (vec![0; count], vec![0; count]);
        let Some(catalog) = self.views.widest(edition) else { return (conflicts, shortened) };
        let count = |counts: &mut Vec<usize>, entry: &Entry| {
            if let Some(count) = counts.get_mut(entry.server) {
                *count += 1;
            }
        };
        for kind in Kind::ALL {
            catalog.hidden(kind).iter().for_each(|entry| count(&mut conflicts, entry));
            let entries = catalog.entries(kind).iter();
            let cut = entries.filter(|entry| entry.change == Change::Shortened);
            cut.for_each(|entry| count(&mut shortened, entry));
        }
        (conflicts, shortened)
    }

    fn surveyed(&self, server: &Server) -> Surveyed {
        let links = server.links();
        let troubles: Vec<String> = links
            .iter()
            .flat_map(|(key, _, _)| self.views.troubles(server.id(), key))
            .take(TROUBLES_MAX)
            .collect();
        let mut counts = server.tally().read();
        for (_, state, _) in &links {
            if let State::Ready(link) = state {
                let dropped = link.stream().counters().read();
                counts.dropped.iter_mut().zip(dropped).for_each(|(sum, more)| *sum += more);
            }
        }
        let (in_flight, waiting) = server.crowd();
        let offered = links.iter().map(|(key, _, _)| self.views.offered(server.id(), key));
        let offered = offered.max_by_key(|offered| offered.iter().sum::<usize>()).unwrap_or_default();
        let mut surveyed = Surveyed {
            key: server.key().to_owned(),
            title: server.settings().title.clone(),
            transport: server.transport(),
            required: server.settings().required,
            condition: Condition::Idle,
            since: None,
            why: None,
            retry: None,
            revision: None,
            links: links.len(),
            offered,
            recalled: links.iter().any(|(key, _, _)| self.views.recalled(server.id(), key).is_some()),
            conflicts: 0,
            shortened: 0,
            in_flight,
            waiting,
            counts,
            troubles,
        };
        surveyed.judge(&links);
        surveyed
    }
}

impl Surveyed {
    /// The best of its links says how it is; if others are worse, that it is not whole.
    fn judge(&mut self, links: &[(LinkKey, State, SystemTime)]) {
        let was_there = self.counts.spoke.is_some();
        let rank = |state: &State| match state {
            State::Ready(_) => 2,
            State::Connecting => 1,
            State::Down { .. } => 0,
        };
        let best = links.iter().max_by_key(|(_, state, since)| (rank(state), *since));
        let Some((_, state, since)) = best else { return };
        self.since = Some(*since);
        let down = links.iter().find_map(|(_, state, _)| match state {
            State::Down { why, last_words, retry_at } => Some((last_words.without(&why.text), *retry_at)),
            State::Ready(_) | State::Connecting => None,
        });
        if let Some((why, retry_at)) = down {
            self.why = Some(why.to_owned());
            self.retry = retry_at.map(|at| at.saturating_duration_since(Instant::now()));
        }
        self.condition = match state {
            State::Ready(link) => {
                self.revision = Some(link.greeting().revision.as_str());
                match down.is_some() || !self.troubles.is_empty() {
                    true => Condition::Degraded,
                    false => Condition::Ready,
                }
            }
            State::Connecting if was_there => Condition::Restarting,
            State::Connecting => Condition::Starting,
            State::Down { retry_at: Some(_), .. } => Condition::Failed,
            State::Down { retry_at: None, .. } => Condition::Stopped,
        };
    }
}

/// Sentences about one server's lists.
const TROUBLES_MAX: usize = 16;
