//! Accepts connections, and gives each a place and a task.
//!
//! Where no place is left, a client is told so and sent away; where the system has no descriptors left, we wait
//! and go on. Ends when it is told to and every connection is gone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures::FutureExt;
use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, debug_span, warn};

use super::bound::{Accepted, Bound, Duplex, Listener};
use super::connection;
use super::guard::Guard;
use super::places::{Full, Places};
use super::source::Peer;
use crate::config::ListenLimits;

/// What every connection needs.
pub struct Front {
    pub guard: Guard,
    /// Finds `guard::Admitted` in the extensions of every request.
    pub router: Router,
    pub limits: ListenLimits,
}

/// How a server of ours is told to end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Accept nobody any more; what is in flight is finished, and no connection waits for another request.
    pub closing: CancellationToken,
    /// Drop what is left. Says nothing without `closing`.
    pub now: CancellationToken,
}

/// Serves until `stop.closing`, and then until every connection is gone. What was listened on is free again at once.
pub async fn serve(bound: Bound, front: Front, stop: Stop) {
    let tracker = TaskTracker::new();
    let entrance = Entrance {
        places: Places::new(front.limits.connections_max, front.limits.connections_per_address_max),
        refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
        front: Arc::new(front),
        tracker: tracker.clone(),
        stop,
    };
    join_all(bound.listeners.into_iter().map(|listener| entrance.open(listener))).await;
    tracker.close();
    tracker.wait().await;
}

/// Where connections come in.
struct Entrance {
    front: Arc<Front>,
    places: Arc<Places>,
    /// Clients that are being sent away, at once.
    refusals: Arc<Semaphore>,
    tracker: TaskTracker,
    stop: Stop,
}

impl Entrance {
    async fn open(&self, listener: Listener) {
        let mut spare = Spare::new();
        let mut pause = PAUSE_MIN;
        while let Some(accepted) = self.stop.closing.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok(accepted) => {
                    pause = PAUSE_MIN;
                    self.enter(accepted, &listener);
                }
                Err(error) => {
                    // Most often the system has no descriptors left: asking again at once would only burn time.
                    warn!("cannot accept on {listener:?}: {error}");
                    spare.lend(|| self.turn_away(&listener));
                    self.stop.closing.run_until_cancelled(sleep(pause)).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    fn enter(&self, accepted: Accepted, listener: &Listener) {
        let guard = &self.front.guard;
        let source = (!guard.is_exempt(&accepted.peer)).then(|| accepted.peer.source());
        let place = match self.places.take(source) {
            Ok(place) => place,
            Err(full) => return self.refuse(accepted, full, listener),
        };
        let span = debug_span!("connection", peer = %accepted.peer);
        let (front, stop, tls) = (Arc::clone(&self.front), self.stop.clone(), listener.tls().cloned());
        self.tracker.spawn(
            async move {
                let now = stop.now.clone();
                now.run_until_cancelled(connection::keep(accepted, tls, front, stop)).await;
                drop(place);
            }
            .instrument(span),
        );
    }

    /// Says so if that can be said at once and in clear text, and hears the client out for a moment.
    fn refuse(&self, accepted: Accepted, full: Full, listener: &Listener) {
        debug!(peer = %accepted.peer, ?full, "no place for a connection");
        if listener.tls().is_some() {
            return;
        }
        let Ok(permit) = self.refusals.clone().try_acquire_owned() else { return };
        let now = self.stop.now.clone();
        self.tracker.spawn(async move {
            now.run_until_cancelled(timeout(REFUSED_WITHIN, send_away(accepted.stream))).await;
            drop(permit);
        });
    }

    /// There is one descriptor for a moment: enough to say no to those who wait, one after the other.
    fn turn_away(&self, listener: &Listener) {
        for _ in 0..TURNED_AWAY_MAX {
            let Some(Ok(mut accepted)) = listener.accept().now_or_never() else { return };
            if listener.tls().is_none() {
                accepted.stream.write_all(NO_PLACE).now_or_never();
                accepted.stream.shutdown().now_or_never();
            }
        }
    }
}

async fn send_away(mut stream: Box<dyn Duplex>) {
    if stream.write_all(NO_PLACE).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let (mut scrap, mut left) = (vec![0; 4096], REFUSED_BYTES_MAX);
    while let Ok(count @ 1..) = stream.read(&mut scrap).await
        && left > 0
    {
        left = left.saturating_sub(count);
    }
}

/// A descriptor in reserve, so that there is one to say no with when there are none.
struct Spare(Option<std::fs::File>);

impl Spare {
    fn new() -> Self {
        Self(if cfg!(unix) { std::fs::File::open("/dev/null").ok() } else { None })
    }

    fn lend(&mut self, with: impl FnOnce()) {
        if self.0.take().is_some() {
            with();
        }
        *self = Self::new();
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("guard", &self.guard)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { remote, .. } => write!(f, "{remote}"),
            Self::Unix => f.write_str("unix"),
        }
    }
}

const NO_PLACE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
/// Clients that are told of it at once; more are sent away without a word.
const REFUSALS_MAX: usize = 64;
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
const REFUSED_BYTES_MAX: usize = 64 * 1024;
/// Clients that are sent away between two pauses when there are no descriptors.
const TURNED_AWAY_MAX: usize = 16;
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);
