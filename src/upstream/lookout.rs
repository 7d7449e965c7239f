//! Who looks on: what all servers of a run share for those who look after it.
//!
//! Owns the tap, the audit file where there is one, and how many labels there may be. What nobody looks at costs a call
//! one look at a flag. It changes nothing of what it sees.

use super::audit::Audit;
use super::tap::Tap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// What looks on.
#[derive(Debug)]
pub struct Lookout {
    tap: Tap,
    audit: OnceLock<Arc<Audit>>,
    labels_tools: bool,
    labels: AtomicUsize,
    /// What numbers connections.
    connections: AtomicU64,
}

impl Lookout {
    /// `labels_tools`: whether tools are counted each by itself.
    pub fn new(labels_tools: bool) -> Arc<Self> {
        Arc::new(Self {
            tap: Tap::default(),
            audit: OnceLock::new(),
            labels_tools,
            labels: AtomicUsize::new(0),
            connections: AtomicU64::new(0),
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

    pub(super) fn labels_tools(&self) -> bool {
        self.labels_tools
    }

    /// A place for one more label, if there is one. It is never given back: what is counted goes on.
    pub(super) fn takes_label(&self) -> bool {
        let one_more = |taken: usize| (taken < LABELS_MAX).then_some(taken + 1);
        self.labels.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    pub(super) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Tools of all servers that are counted each by itself, and their failures by kind.
pub const LABELS_MAX: usize = 500;
