//! Runs of ours on this machine, as they say of themselves how they stand.
//!
//! Finds their sockets, asks each, and picks the one that is meant. Sockets that nobody answers on are passed over.

use super::exit::Exit;
use super::{Globals, out, socket};
use crate::downstream::admin::place;
use clap::Args;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Which run is meant.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Which {
    /// The run behind this socket; `braid status` says where each has its own
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub(super) socket: Option<PathBuf>,
    /// The run that serves this configuration
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// One run.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) socket: PathBuf,
    pub(super) status: Status,
    /// The same as it was written.
    pub(super) json: String,
}

/// What a run says of itself. Newer ones may say more.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Status {
    pub(super) instance: About,
    pub(super) ready: bool,
    #[serde(default)]
    pub(super) missing: Vec<String>,
    #[serde(default)]
    pub(super) awaited: Vec<String>,
    pub(super) servers: Vec<Server>,
    #[serde(default)]
    pub(super) sessions: Vec<Sessions>,
    pub(super) reload: Option<Reload>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct About {
    pub(super) pid: u32,
    pub(super) version: String,
    pub(super) mode: String,
    pub(super) config: String,
    pub(super) config_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) uptime_s: u64,
    #[serde(default)]
    pub(super) listening: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) why: Option<String>,
    pub(super) retry_in_ms: Option<f64>,
    pub(super) revision: Option<String>,
    pub(super) transport: String,
    #[serde(default)]
    pub(super) tools: u64,
    #[serde(default)]
    pub(super) in_flight: u64,
    #[serde(default)]
    pub(super) waiting: u64,
    #[serde(default)]
    pub(super) calls: u64,
    #[serde(default)]
    pub(super) errors: u64,
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    #[serde(default)]
    pub(super) restarts: u64,
    /// Requests of clients that asked too often, by which rate.
    #[serde(default)]
    pub(super) over_rate: BTreeMap<String, u64>,
    pub(super) last_error: Option<LastError>,
    /// How long it has been in its state, by the run's own clock.
    pub(super) since_s: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct LastError {
    pub(super) at: Option<String>,
    pub(super) text: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Sessions {
    pub(super) transport: String,
    pub(super) era: String,
    pub(super) count: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reload {
    pub(super) at: Option<String>,
    /// Since when none could be taken.
    pub(super) since: Option<String>,
    pub(super) ok: bool,
    pub(super) text: String,
}

impl Instance {
    /// Asks the run behind a socket how it stands.
    pub(super) fn at(socket: &Path) -> io::Result<Self> {
        let json = socket::ask(socket, "GET", "/status")?.text()?;
        let json = json.trim_end().to_owned();
        let status = serde_json::from_str(&json).map_err(io::Error::from)?;
        Ok(Self { socket: socket.to_owned(), status, json })
    }

    /// In words, on one line.
    pub(super) fn said(&self) -> String {
        let About { pid, mode, config, .. } = &self.status.instance;
        format!("pid {pid}  {mode}  {config}  --socket {}", self.socket.display())
    }

    /// Whether its file is this one, by the same path or whatever both lead to now: a link may be another by then, and the
    /// file gone.
    fn serves(&self, file: &Path) -> bool {
        let Some(own) = &self.status.instance.config_file else { return false };
        let led = |path: &Path| std::fs::canonicalize(path).ok();
        std::path::absolute(file).is_ok_and(|file| file == *own)
            || led(own).is_some_and(|own| led(file) == Some(own))
    }
}

/// Every run of this user that answers, if there is any.
pub(super) fn running() -> Vec<Instance> {
    let folder = place::folder(|name| std::env::var_os(name)).filter(|folder| place::is_ours(folder));
    if let Some(folder) = &folder {
        place::sweep(folder);
    }
    let sockets = folder.as_deref().map(place::sockets).unwrap_or_default();
    sockets.iter().filter_map(|path| Instance::at(path).ok()).collect()
}

/// Every run of this user that answers; only those that are meant, if that is said.
pub(super) fn all(which: &Which, globals: &Globals) -> Result<Vec<Instance>, Exit> {
    if let Some(path) = &which.socket {
        return match Instance::at(path) {
            Ok(instance) => Ok(vec![instance]),
            Err(error) => {
                let text = format!("no run answers on `{}`: {error}", path.display());
                Err(out::fail(Exit::Unreachable, &text, globals))
            }
        };
    }
    let instances = running();
    let Some(file) = &which.config else {
        return match instances.is_empty() {
            false => Ok(instances),
            true => {
                let text = "no run of Braid was found; one is there while `braid serve` or a client's `braid stdio` runs \
                            (or its `admin.socket` is elsewhere: say `--socket PATH`)";
                Err(out::fail(Exit::Unreachable, text, globals))
            }
        };
    };
    let serving: Vec<Instance> = instances.into_iter().filter(|instance| instance.serves(file)).collect();
    match serving.is_empty() {
        false => Ok(serving),
        true => {
            let text = format!("no run serves `{}`", file.display());
            Err(out::fail(Exit::Unreachable, &text, globals))
        }
    }
}

/// The one that is meant.
pub(super) fn one(which: &Which, globals: &Globals) -> Result<Instance, Exit> {
    let mut instances = all(which, globals)?;
    match (instances.pop(), instances.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            let others = instances.iter().chain([&last]).map(|instance| format!("  {}", instance.said()));
            let list: Vec<String> = others.collect();
            let text = format!(
                "{} runs are there; say which is meant, with `-c FILE` or `--socket PATH`:\n{}",
                list.len(),
                list.join("\n")
            );
            Err(out::fail(Exit::Usage, &text, globals))
        }
        (None, _) => Err(out::fail(Exit::Unreachable, "no run of Braid was found", globals)),
    }
}
