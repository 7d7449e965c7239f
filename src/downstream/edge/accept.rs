//! Accepts connections, and gives each a place and a task.
//!
//! Where no place is left, the connection that is silent longest makes way; where none is silent, a client is told so and
//! sent away. Where the system has no descriptors left, we wait
//! and go on. Ends when it is told to and every connection is gone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures::FutureExt;
use futures::future::join_all;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, debug_span, info, warn};

use super::bound::{Accepted, Bound, Duplex, Listener};
use super::connection;
use super::guard::Guard;
use super::places::{Full, Places};
use super::serve::Serve;
use super::silence::Silence;
use super::source::Peer;
use crate::config::ListenLimits;
use crate::system::{Here, System};

/// What every connection needs.
pub struct Front<S = Router> {
    pub guard: Guard,
    /// What answers whoever was let in.
    pub router: S,
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
pub async fn serve(bound: Bound, front: Front<impl Serve>, stop: Stop) {
    let entrance = Entrance::new(front, stop);
    join_all(bound.listeners.into_iter().map(|listener| entrance.open(listener))).await;
    entrance.tracker.close();
    entrance.tracker.wait().await;
}

/// Serves one connection in clear text that came by no listener, as if it were this peer's. Ends with it.
pub async fn serve_stream(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: Peer,
    front: Arc<Front<impl Serve>>,
    stop: Stop,
) {
    // The only one there is: it makes way for nobody.
    let Ok(place) = Places::new(1, 1).take(None) else { return };
    let stay = Arc::new(Silence::new(1).enter(place));
    connection::keep(Accepted { stream: Box::new(stream), peer }, None, front, stop, stay).await;
}

/// Where connections come in.
struct Entrance<S> {
    front: Arc<Front<S>>,
    places: Arc<Places>,
    silence: Arc<Silence>,
    /// Clients that are being sent away, at once.
    refusals: Arc<Semaphore>,
    tracker: TaskTracker,
    stop: Stop,
}

impl<S: Serve> Entrance<S> {
    /// Servers need descriptors too, and most of all when they are started again: clients get half of them, and those
    /// that are sent away an eighth.
    fn new(front: Front<S>, stop: Stop) -> Self {
        let limits = &front.limits;
        let descriptors_max = Here::descriptors_max().unwrap_or(usize::MAX);
        let connections_max = limits.connections_max.min(descriptors_max / 2);
        if connections_max < limits.connections_max {
            info!(
                connections_max,
                "fewer connections than configured: half of the descriptors that we may have (ulimit -n)"
            );
        }
        Self {
            silence: Silence::new(connections_max),
            places: Places::new(connections_max, limits.connections_per_address_max),
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX.min(descriptors_max / 8))),
            front: Arc::new(front),
            tracker: TaskTracker::new(),
            stop,
        }
    }

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
                    // It is said once, and again only when it had passed.
                    if pause == PAUSE_MIN {
                        warn!("cannot accept on {listener:?}: {error}");
                    }
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
            Err(Full::All) if self.silence.put_out() => self.places.take(source),
            taken => taken,
        };
        let stay = match place {
            Ok(place) => Arc::new(self.silence.enter(place)),
            Err(full) => return self.refuse(accepted, full, listener),
        };
        let span = debug_span!("connection", peer = %accepted.peer);
        let (front, stop, tls) = (Arc::clone(&self.front), self.stop.clone(), listener.tls().cloned());
        self.tracker.spawn(connection::keep(accepted, tls, front, stop, stay).instrument(span));
    }

    /// Says so if that can be said at once and in clear text, and hears the client out for a moment.
    fn refuse(&self, accepted: Accepted, full: Full, listener: &Listener) {
        debug!(peer = %accepted.peer, ?full, "no place for a connection");
        if listener.tls().is_some() {
            return;
        }
        let Ok(permit) = self.refusals.clone().try_acquire_owned() else {
            return dismiss(accepted.stream);
        };
        let now = self.stop.now.clone();
        self.tracker.spawn(async move {
            now.run_until_cancelled(timeout(REFUSED_WITHIN, send_away(accepted.stream))).await;
            drop(permit);
        });
    }

    /// There is one descriptor for a moment: enough to say no to those who wait, one after the other.
    fn turn_away(&self, listener: &Listener) {
        for _ in 0..TURNED_AWAY_MAX {
            let Some(Ok(accepted)) = listener.accept().now_or_never() else { return };
            if listener.tls().is_none() {
                dismiss(accepted.stream);
            }
        }
    }
}

/// Says so and does not wait: who is still sending may never read it.
fn dismiss(mut stream: Box<dyn Duplex>) {
    stream.write_all(NO_PLACE).now_or_never();
    stream.shutdown().now_or_never();
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

impl<S> fmt::Debug for Front<S> {
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
/// Clients that are heard out at once while they are told of it.
const REFUSALS_MAX: usize = 64;
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
const REFUSED_BYTES_MAX: usize = 64 * 1024;
/// Clients that are sent away between two pauses when there are no descriptors.
const TURNED_AWAY_MAX: usize = 16;
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Address, Auth, Listen};
    use std::net::SocketAddr;
    use tokio::io::{DuplexStream, duplex};

    async fn entrance(change: impl FnOnce(&mut Listen)) -> (Entrance<Router>, Listener) {
        let mut listen = Listen { auth: Auth::None, ..Listen::default() };
        change(&mut listen);
        let limits = listen.limits.clone();
        let front = Front { guard: Guard::new(&listen, &[], None).unwrap(), router: Router::new(), limits };
        let bound = Bound::bind(&[Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))], None).await.unwrap();
        let entrance = Entrance::new(front, Stop::default());
        (entrance, bound.listeners.into_iter().next().unwrap())
    }

    /// As if it came from there.
    fn from(ip: &str) -> (Accepted, DuplexStream) {
        let (client, server) = duplex(1 << 16);
        let peer = Peer::tcp(SocketAddr::new(ip.parse().unwrap(), 9), SocketAddr::from(([10, 0, 0, 1], 80)));
        (Accepted { stream: Box::new(server), peer }, client)
    }

    async fn said(mut client: DuplexStream) -> String {
        client.write_all(b"GET / HTTP/1.0\r\nHost: 10.0.0.1\r\n\r\n").await.ok();
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        said.split("\r\n").next().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn h14_one_address_has_so_many_places_and_others_have_their_own() {
        let (entrance, listener) = entrance(|listen| {
            listen.limits.connections_per_address_max = 2;
            listen.trusted_proxy = Some("10.9.0.0/16".to_owned());
        })
        .await;
        let enter = |ip: &str| {
            let (accepted, client) = from(ip);
            entrance.enter(accepted, &listener);
            client
        };
        let (first, second) = (enter("203.0.113.1"), enter("203.0.113.1"));
        assert_eq!(said(enter("203.0.113.1")).await, "HTTP/1.1 503 Service Unavailable");
        assert_eq!(said(enter("::ffff:203.0.113.1")).await, "HTTP/1.1 503 Service Unavailable");
        assert_eq!(said(enter("203.0.113.2")).await, "HTTP/1.0 404 Not Found");
        assert_eq!(said(first).await, "HTTP/1.0 404 Not Found");
        // Its place is given back by its task, which ends a moment after the client has read the end.
        while entrance.tracker.len() > 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(said(enter("203.0.113.1")).await, "HTTP/1.0 404 Not Found");
        drop(second);
        let neighbours: Vec<_> = (1..=2).map(|end| enter(&format!("2001:db8::{end}"))).collect();
        assert_eq!(said(enter("2001:db8::3")).await, "HTTP/1.1 503 Service Unavailable");
        drop(neighbours);
        for exempt in ["127.0.0.1", "::1", "10.9.1.1"] {
            let many: Vec<_> = (0..10).map(|_| enter(exempt)).collect();
            assert_eq!(said(enter(exempt)).await, "HTTP/1.0 404 Not Found", "{exempt}");
            drop(many);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_sent_away_is_heard_out_for_a_moment_only() {
        let (entrance, listener) = entrance(|listen| listen.limits.connections_max = 0).await;
        let mut silent = Vec::new();
        assert!((1..=REFUSALS_MAX).contains(&entrance.refusals.available_permits()));
        while entrance.refusals.available_permits() > 0 {
            let (accepted, client) = from("127.0.0.1");
            entrance.enter(accepted, &listener);
            silent.push(client);
        }
        let (accepted, mut client) = from("127.0.0.1");
        entrance.enter(accepted, &listener);
        let mut said = Vec::new();
        client.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, NO_PLACE, "without room to be heard out it is told all the same");
        let start = tokio::time::Instant::now();
        entrance.tracker.close();
        entrance.tracker.wait().await;
        assert_eq!(start.elapsed().as_secs(), REFUSED_WITHIN.as_secs());
    }
}
