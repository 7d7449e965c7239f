//! Everything that a request of those who look after us finds.
//!
//! Made once for a run. It owns nothing of what it shows.

use super::metrics::metrics;
use super::redaction::Redaction;
use super::status::status;
use crate::hub::Hub;
use crate::hub::adopt::Changes;
use crate::upstream::journal::Journals;
use futures::future::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// What a run says of itself.
#[derive(Debug, Clone)]
pub struct About {
    pub pid: u32,
    pub version: &'static str,
    /// The command that it is: `stdio`, `serve`.
    pub mode: &'static str,
    /// Where its configuration came from, in words for people: a path, or `command line`.
    pub config: String,
    /// The same as a whole path, if it is a file.
    pub config_file: Option<PathBuf>,
    pub started: SystemTime,
    /// What it listens on, for clients and for those who look after it.
    pub listening: Vec<String>,
    pub socket: Option<PathBuf>,
}

/// So many clients, by how they came and whether they have a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guests {
    pub transport: &'static str,
    pub era: &'static str,
    pub count: usize,
}

/// Who and what is at the doors now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present {
    pub guests: Vec<Guests>,
    /// Bytes kept of streams for clients that come back.
    pub replay_bytes: u64,
}

/// What came of reading the configuration anew: what changed, or why nothing did.
pub type Reloaded = Result<Taken, Refused>;

/// A configuration that was found good and holds from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub at: SystemTime,
    pub changes: Changes,
    /// Keys of the file that are other than at the start of the run, and need another one.
    pub needs_restart: Vec<&'static str>,
}

/// One that is not taken: the one before it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Since when none could be taken, and when that was found the last time.
    pub since: SystemTime,
    pub at: SystemTime,
    /// Of the first error; `braid explain` says more of it.
    pub code: Option<&'static str>,
    /// What it says, on one line.
    pub text: String,
    /// All errors, as they are drawn at a start. Without any secret.
    pub page: String,
}

/// All that is known of it.
#[derive(Debug, Clone, Default)]
pub struct Reloads {
    /// The last time that it was done, by whomever.
    pub last: Option<Reloaded>,
    /// When one was taken the last time.
    pub taken: Option<SystemTime>,
    /// How often it went well, and did not.
    pub counts: [u64; 2],
}

/// Reads the configuration anew. What changes is its affair.
pub trait Reload: Send + Sync {
    /// Does it, one after the other.
    fn reload(&self) -> BoxFuture<'_, Reloaded>;

    fn known(&self) -> Reloads;
}

/// What requests find.
pub struct House {
    pub hub: Arc<Hub>,
    pub about: About,
    pub journals: Journals,
    /// Who and what is there now.
    pub present: Arc<dyn Fn() -> Present + Send + Sync>,
    /// `None`: this run's configuration cannot be read anew.
    pub reload: Option<Arc<dyn Reload>>,
    pub(super) redaction: Redaction,
}

impl House {
    /// What the configuration calls secret is shown to nobody.
    pub fn new(
        hub: Arc<Hub>,
        about: About,
        journals: Journals,
        present: Arc<dyn Fn() -> Present + Send + Sync>,
        reload: Option<Arc<dyn Reload>>,
    ) -> Self {
        let redaction = Redaction::new(&hub.config().log.redact);
        Self { hub, about, journals, present, reload, redaction }
    }

    /// What is counted, as OpenMetrics text.
    pub fn metrics(&self) -> String {
        metrics(self)
    }

    /// How everything stands, as one JSON object.
    pub fn status(&self) -> String {
        status(self)
    }
}
