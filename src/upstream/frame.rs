//! One message on its way to a server, and what it holds until it has left.
//!
//! Owns the places and the room that it takes, and whether its bytes may have left us. Whatever carries it writes it
//! once; it knows no JSON-RPC beyond the id that we gave it.

use super::allowance::Permits;
use super::fetch::Departure;
use crate::wire::fault::CallOutcome;
use crate::wire::id::CallId;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The places that a request takes, given back when the last of its frames is written or dropped.
#[derive(Debug, Default)]
pub(super) struct Places {
    _held: Permits,
}

impl Places {
    pub(super) fn new(held: Permits) -> Arc<Self> {
        Arc::new(Self { _held: held })
    }
}

/// Whether a request's bytes may have left us.
#[derive(Debug, Default)]
pub(super) struct Fate {
    state: AtomicU8,
    over: Notify,
}

impl Fate {
    const QUEUED: u8 = 0;
    const LEFT: u8 = 1;
    const WITHDRAWN: u8 = 2;

    /// The carrier writes the frame; `false` if it was withdrawn.
    fn leave(&self) -> bool {
        self.state.compare_exchange(Self::QUEUED, Self::LEFT, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Takes back what the carrier has not begun to write; `false` if it is too late.
    pub(super) fn withdraw(&self) -> bool {
        self.state
            .compare_exchange(Self::QUEUED, Self::WITHDRAWN, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// It was taken back.
    pub(super) fn is_withdrawn(&self) -> bool {
        self.state.load(Ordering::Acquire) == Self::WITHDRAWN
    }

    /// Its server may have seen it.
    pub(super) fn has_left(&self) -> bool {
        self.state.load(Ordering::Acquire) == Self::LEFT
    }

    /// Nobody waits for an answer any more, or it has come.
    pub(super) fn end(&self) {
        self.over.notify_one();
    }

    /// Resolves after that; for the one who carries it.
    pub(super) async fn ended(&self) {
        self.over.notified().await;
    }

    /// What may be said of the call if it fails now.
    pub(super) fn outcome(&self) -> CallOutcome {
        match self.state.load(Ordering::Acquire) {
            Self::LEFT => CallOutcome::Unknown,
            _ => CallOutcome::NotSent,
        }
    }
}

/// What a message is to whoever carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freight {
    /// A request with an id of ours: its server owes an answer.
    Request(CallId),
    /// The same, and of several the last word must be the last: a level of the log, a subscription.
    Setting(CallId),
    /// The same, and it only asks whether the server is there.
    Ping(CallId),
    /// The same, and it asks whether the server does without a handshake: the first of all frames.
    Probe(CallId),
    /// A notification, or an answer to the server.
    Plain,
    /// The same, and nothing after it may be there before it.
    First,
    /// The cancelling of this request, which must not be there before it.
    Cancel(CallId),
}

impl Freight {
    /// The request that it is, if it is one.
    pub(super) fn request(self) -> Option<CallId> {
        match self {
            Self::Request(call) | Self::Setting(call) | Self::Ping(call) | Self::Probe(call) => Some(call),
            Self::Plain | Self::First | Self::Cancel(_) => None,
        }
    }
}

pub(super) struct Frame {
    pub(super) text: Bytes,
    pub(super) freight: Freight,
    /// What of its text stands in headers as well, where its carrier has any.
    pub(super) mirrored: Vec<(String, String)>,
    pub(super) fate: Option<Arc<Fate>>,
    pub(super) places: Arc<Places>,
    /// What bounds the queue: given back when the frame is written.
    pub(super) room: Permits,
}

/// What a frame holds beside its text: given back when that is written, or will not be.
pub(super) struct Load {
    fate: Option<Arc<Fate>>,
    _places: Arc<Places>,
    _room: Permits,
    _written: DropGuard,
}

impl Frame {
    /// A frame that is not taken back and takes no room of its own.
    pub(super) fn small(text: Bytes, freight: Freight, places: Arc<Places>) -> Self {
        Self { text, freight, mirrored: Vec::new(), fate: None, places, room: Permits::new() }
    }

    /// Begins to write it, once; `false` if it was withdrawn.
    pub(super) fn leave(&self) -> bool {
        self.fate.as_ref().is_none_or(|fate| fate.leave())
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        self.fate.as_ref().is_some_and(|fate| fate.is_withdrawn())
    }

    /// Its text, and what is held for it. `written` is told when that is over.
    pub(super) fn unload(self, written: CancellationToken) -> (Bytes, Load) {
        let Self { text, fate, places, room, .. } = self;
        (text, Load { fate, _places: places, _room: room, _written: written.drop_guard() })
    }
}

impl Load {
    /// Nothing is held, and nobody is told.
    pub(super) fn nothing() -> Self {
        let written = CancellationToken::new().drop_guard();
        Self { fate: None, _places: Arc::default(), _room: Permits::new(), _written: written }
    }
}

impl Departure for Load {
    fn begins(&self) -> bool {
        self.fate.as_ref().is_none_or(|fate| fate.leave())
    }
}
