//! Whose turn it is on one connection: the client's, to send a head, or ours, to answer.
//!
//! The socket asks it whether a read may wait; the service tells it what was read and answered. hyper alone knows
//! when a head is whole, and it neither tells its socket nor tells waiting for a head from reading one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::hush::Hush;
use super::silence::Stay;

/// Shared by the socket and the service of one connection.
#[derive(Debug)]
pub(super) struct Turn {
    state: Mutex<State>,
    within: Within,
    stay: Arc<Stay>,
    /// What wakes the connection.
    pub(super) hush: Arc<Hush>,
}

/// What the client's turn may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within {
    /// A head, from its first byte on; the first one from the connection on.
    pub(super) head: Duration,
    /// The next request, its head included.
    pub(super) idle: Duration,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// A request's body was left unread.
    unread: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Connected, and nothing came yet.
    Opened { until: Instant },
    /// A part of a head came.
    Head { until: Instant },
    /// A request is being answered.
    Serving,
    /// Answered, and the answer is being written.
    Answered,
    /// The answer has left; another request may come.
    Waiting { until: Instant },
}

impl Turn {
    pub(super) fn opened(now: Instant, within: Within, stay: Arc<Stay>) -> Arc<Self> {
        let phase = Phase::Opened { until: now + within.head };
        Arc::new(Self { state: Mutex::new(State { phase, unread: false }), within, stay, hush: Hush::new() })
    }

    /// Bytes came.
    pub(super) fn heard(&self) {
        let mut state = self.state.lock();
        let of_head = || Instant::now() + self.within.head;
        let until = match state.phase {
            Phase::Opened { until } => until,
            Phase::Answered => of_head(),
            Phase::Waiting { until } => of_head().min(until),
            Phase::Head { .. } | Phase::Serving => return,
        };
        let unread = state.unread && matches!(state.phase, Phase::Opened { .. });
        *state = State { phase: Phase::Head { until }, unread };
        self.stay.stirs();
    }

    /// Until when we wait for the end of a head. `None`: we do not.
    pub(super) fn head_until(&self) -> Option<Instant> {
        match self.state.lock().phase {
            Phase::Opened { until } | Phase::Head { until } | Phase::Waiting { until } => Some(until),
            Phase::Serving | Phase::Answered => None,
        }
    }

    /// A head was read. `false`: the connection was put out before, and ends.
    pub(super) fn serve(&self) -> bool {
        *self.state.lock() = State { phase: Phase::Serving, unread: false };
        self.stay.asks()
    }

    /// All that was said has left. Until when we wait for another request, if that begins with it.
    pub(super) fn flushed(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        if state.phase != Phase::Answered {
            return None;
        }
        let until = Instant::now() + self.within.idle;
        state.phase = Phase::Waiting { until };
        self.stay.falls_silent();
        Some(until)
    }

    /// We are leaving: who has asked nothing just now need not be heard out.
    pub(super) fn leave(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Answered | Phase::Waiting { .. }) {
            state.unread = false;
        }
    }

    /// Whether the client may still be sending what we did not read.
    pub(super) fn is_unread(&self) -> bool {
        let state = self.state.lock();
        state.unread || matches!(state.phase, Phase::Head { .. })
    }
}

/// A request's body. Dropped before its end, it was left unread.
pub(super) struct Asked<B: Body> {
    body: B,
    ended: bool,
    turn: Arc<Turn>,
}

impl<B: Body> Asked<B> {
    pub(super) fn new(body: B, turn: &Arc<Turn>) -> Self {
        Self { body, ended: false, turn: Arc::clone(turn) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Asked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let (polled, woke) = this.turn.hush.quietly(|| Pin::new(&mut this.body).poll_frame(cx));
        // Where more is to come, whoever reads it must go on.
        if woke && !this.body.is_end_stream() {
            cx.waker().wake_by_ref();
        }
        this.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body> Drop for Asked<B> {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.turn.state.lock().unread = true;
        }
    }
}

/// A response's body. With its end the turn is the client's again.
pub(super) struct Answered<B> {
    body: B,
    turn: Arc<Turn>,
}

impl<B> Answered<B> {
    pub(super) fn new(body: B, turn: &Arc<Turn>) -> Self {
        Self { body, turn: Arc::clone(turn) }
    }
}

impl<B: Body + Unpin> Body for Answered<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Answered<B> {
    fn drop(&mut self) {
        self.turn.state.lock().phase = Phase::Answered;
    }
}
