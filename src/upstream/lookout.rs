//! Who looks on: what all servers of a run share for those who look after it.
//!
//! Owns the tap, the audit file and the traces where there are some, and how many labels there may be. What nobody looks
//! at costs a call one look at a flag. It changes nothing of what it sees.

use super::audit::Audit;
use super::histogram::{Histogram, Spread};
use super::tally::Asked;
use super::tap::Tap;
#[cfg(feature = "otel")]
use super::trace::Tracing;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What looks on.
#[derive(Debug)]
pub struct Lookout {
    tap: Tap,
    audit: OnceLock<Arc<Audit>>,
    #[cfg(feature = "otel")]
    tracing: OnceLock<Arc<Tracing>>,
    labels_tools: bool,
    labels: AtomicUsize,
    /// What numbers connections.
    connections: AtomicU64,
    /// How long calls were with us rather than with their servers: of some of them, a hundred times as long.
    spent: [Histogram; Asked::ALL.len()],
    /// How long clients stayed: a hundredth of it.
    visits: [Histogram; Came::ALL.len()],
}

/// How a client came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    Stdio,
    Http,
    Sse,
}

impl Came {
    pub const ALL: [Self; 3] = [Self::Stdio, Self::Http, Self::Sse];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Sse => "sse",
        }
    }
}

impl Lookout {
    /// `labels_tools`: whether tools are counted each by itself.
    pub fn new(labels_tools: bool) -> Arc<Self> {
        Arc::new(Self {
            tap: Tap::default(),
            audit: OnceLock::new(),
            #[cfg(feature = "otel")]
            tracing: OnceLock::new(),
            labels_tools,
            labels: AtomicUsize::new(0),
            connections: AtomicU64::new(0),
            spent: Default::default(),
            visits: Default::default(),
        })
    }

    /// Who wants to see each message.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Every call is written down from now on. Only the first counts.
    pub fn writes_down(&self, audit: Audit) {
        self.audit.get_or_init(|| Arc::new(audit));
    }

    pub fn audit(&self) -> Option<&Arc<Audit>> {
        self.audit.get()
    }

    /// Every call is traced from now on. Only the first counts.
    #[cfg(feature = "otel")]
    pub fn traces(&self, tracing: Arc<Tracing>) {
        self.tracing.set(tracing).ok();
    }

    #[cfg(feature = "otel")]
    pub fn tracing(&self) -> Option<&Arc<Tracing>> {
        self.tracing.get()
    }

    /// Whether calls are to be followed from their beginning to their end, each by itself.
    #[cfg(feature = "otel")]
    pub fn follows_calls(&self) -> bool {
        self.audit.get().is_some() || self.tracing.get().is_some()
    }

    /// Whether calls are to be followed from their beginning to their end, each by itself.
    #[cfg(not(feature = "otel"))]
    pub fn follows_calls(&self) -> bool {
        self.audit.get().is_some()
    }

    /// A call was with us for so long, its time at the server not counted.
    pub fn spends(&self, asked: Asked, time: Duration) {
        if let Some(spent) = self.spent.get(asked as usize) {
            spent.record(time.saturating_mul(SPENT_SCALE));
        }
    }

    /// A client has left that was there for so long.
    pub fn leaves(&self, came: Came, time: Duration) {
        if let Some(visits) = self.visits.get(came as usize) {
            visits.record(time / VISIT_SCALE);
        }
    }

    /// How long calls were with us; to be divided by `SPENT_SCALE`.
    pub fn spent(&self) -> Vec<(Asked, Spread)> {
        Asked::ALL.into_iter().zip(self.spent.iter().map(Histogram::read)).collect()
    }

    /// How long clients stayed; to be multiplied by `VISIT_SCALE`.
    pub fn visits(&self) -> Vec<(Came, Spread)> {
        Came::ALL.into_iter().zip(self.visits.iter().map(Histogram::read)).collect()
    }

    pub(super) fn labels_tools(&self) -> bool {
        self.labels_tools
    }

    /// Whether there may be a place for one more label.
    pub(super) fn has_label(&self) -> bool {
        self.labels.load(Ordering::Relaxed) < LABELS_MAX
    }

    /// A place for one more label, if there is one. What is counted goes on, for as long as its server is there.
    pub(super) fn takes_label(&self) -> bool {
        let one_more = |taken: usize| (taken < LABELS_MAX).then_some(taken + 1);
        self.labels.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// So many places are free again.
    pub(super) fn gives_labels(&self, labels: usize) {
        self.labels.fetch_sub(labels, Ordering::Relaxed);
    }

    pub(super) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// What takes microseconds, and what takes hours, is counted between the same bounds.
pub const SPENT_SCALE: u32 = 100;
pub const VISIT_SCALE: u32 = 100;
/// Tools of all servers that are counted each by itself, and their failures by kind.
pub const LABELS_MAX: usize = 500;
