//! A crowd over real sockets: 64 clients, 8 servers, one id and one progress token for everything.
//!
//! Half of the clients have a session each, the others share four; half of the servers are shared by all, of the others
//! each session has its own. Whatever reaches anybody but whom it is for is a stray, and there is none.
#![expect(clippy::disallowed_types, reason = "the parties of a test make their own messages")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod client;
mod server;
mod tally;
pub(crate) mod wire;

use client::{Client, ROUND, Session};
use futures::future::join_all;
use mcp_braid::config::{Address, Auth, Command, Config, Protocol, Reach, ServerConfig, Sharing};
use mcp_braid::downstream::edge::accept::{self, Stop};
use mcp_braid::downstream::edge::bound::Bound;
use mcp_braid::downstream::edge::guard::Guard;
use mcp_braid::downstream::http::endpoint::Front;
use mcp_braid::downstream::http::routes::Routes;
use mcp_braid::hub::Hub;
use mcp_braid::mcp::caller::Principal;
use mcp_braid::upstream::dial::Dial;
use mcp_braid::upstream::process::Pace;
use server::Crowded;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tally::Tally;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

const CLIENTS: u64 = 64;
const SERVERS: usize = 8;
/// Clients that have a session each; eight of the others share one.
const ALONE: u64 = 32;
const SHARING: u64 = 8;

/// Braid, listening.
struct Served {
    hub: Arc<Hub>,
    address: SocketAddr,
    stop: Stop,
    serving: JoinHandle<()>,
}

impl Served {
    /// `own`: what is set for the servers of which each session should have its own.
    async fn start(tally: &Arc<Tally>, own: Sharing) -> Self {
        let mut config = Config::new("a crowd", Path::new("/"));
        config.listen.addresses = vec![Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))];
        config.listen.auth = Auth::None;
        let mut dials: Vec<Arc<dyn Dial>> = Vec::new();
        for at in 0..SERVERS {
            let (meant, sharing) = match at < SERVERS / 2 {
                true => (Sharing::Shared, Sharing::Shared),
                false => (Sharing::Session, own),
            };
            let reach = Reach::Stdio(Command::new("crowded", Path::new("/")));
            config.servers.push(ServerConfig {
                sharing,
                protocol: Protocol::Handshake,
                ..ServerConfig::new(&format!("s{at}"), reach)
            });
            dials.push(Arc::new(Crowded { sharing: meant, tally: tally.clone() }));
        }
        let listen = config.listen.clone();
        let hub = Hub::new(Arc::new(config), dials, "", TaskTracker::new());
        let bound = Bound::bind(&listen.addresses, None).await.unwrap();
        let addresses = bound.addresses();
        let guard = Guard::new(&listen, &addresses, None).unwrap();
        let front = Front::new(hub.clone(), listen.clone(), "a mark", false, Principal::anonymous());
        let edge = accept::Front { guard, router: Routes::new(front), limits: listen.limits };
        let stop = Stop::default();
        let serving = tokio::spawn(accept::serve(bound, edge, stop.clone()));
        let Address::Tcp(address) = addresses[0] else { panic!("no TCP") };
        Self { hub, address, stop, serving }
    }

    async fn stop(self) {
        self.stop.closing.cancel();
        self.hub.stop(Pace::NOW, Duration::from_secs(5)).await;
        self.serving.await.unwrap();
    }
}

/// All clients at once: their sessions begun, their work done, their sessions ended.
async fn crowd(address: SocketAddr, tally: &Arc<Tally>, rounds: u64) {
    let alone = (0..ALONE).map(|number| (number, 1));
    let shared = (ALONE..CLIENTS).step_by(SHARING as usize).map(|number| (number, SHARING));
    let sessions = alone.chain(shared).map(|(first, count)| {
        let tally = tally.clone();
        tokio::spawn(async move {
            let session = Session::begin(address, format!("session {first}"), tally).await;
            // Some listen, so that asks have two ways to come.
            let listening = first.is_multiple_of(16).then(|| tokio::spawn(session.clone().listen()));
            let clients = (first..first + count).map(|number| {
                let session = session.clone();
                tokio::spawn(async move { Client::of(session, number, count == 1).await.work(rounds).await })
            });
            for client in join_all(clients).await {
                client.unwrap();
            }
            session.end().await;
            if let Some(listening) = listening {
                listening.await.unwrap();
            }
        })
    });
    for session in join_all(sessions).await {
        session.unwrap();
    }
}

/// `BRAID_TEST_CROWD` calls instead of 20 000.
#[expect(clippy::print_stderr, reason = "a measurement is for whoever runs the test with --nocapture")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r01_to_r06_r11_r14_nothing_is_crossed_lost_or_out_of_order_over_http() {
    let calls = std::env::var("BRAID_TEST_CROWD").ok().and_then(|calls| calls.parse().ok()).unwrap_or(20_000);
    let rounds = u64::div_ceil(calls, CLIENTS * (ROUND - 1));
    let each = rounds * CLIENTS;
    let tally = Arc::new(Tally::default());
    let served = Served::start(&tally, Sharing::Session).await;
    let begun = Instant::now();
    let patience = Duration::from_secs(120) + Duration::from_micros(calls * 500);
    timeout(patience, crowd(served.address, &tally, rounds)).await.expect("nobody waits for ever");
    let took = begun.elapsed();
    assert_eq!(served.hub.in_flight(), 0);
    served.stop().await;
    let cancels = tally.cancels_took();
    let [answered, progress, asked, answered_asks, logs] =
        [&tally.answered, &tally.progress, &tally.asked, &tally.answered_asks, &tally.logs]
            .map(|count| count.load(Ordering::Relaxed));
    let (strays, first) = tally.strays();
    eprintln!(
        "{answered} answers, {progress} progress messages, {} cancels (p99 {:?}, longest {:?}), {asked} asks, {logs} log \
         lines in {took:?}; {strays} strays {first:#?}",
        cancels.len(),
        cancels[cancels.len() * 99 / 100],
        cancels[cancels.len() - 1],
    );
    assert_eq!((strays, first), (0, Vec::new()));
    assert_eq!(answered, each * (ROUND - 1));
    assert_eq!(progress, each * 5);
    assert_eq!(cancels.len() as u64, each);
    assert_eq!((asked, answered_asks), (each, each));
    assert_eq!(logs, each);
    assert!(answered >= calls);
}

/// What finds no stray must be able to find one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_crowd_notices_servers_that_serve_strangers() {
    let tally = Arc::new(Tally::default());
    let served = Served::start(&tally, Sharing::Shared).await;
    timeout(Duration::from_secs(60), crowd(served.address, &tally, 1)).await.expect("nobody waits for ever");
    served.stop().await;
    let (strays, first) = tally.strays();
    // One session finds each server first; of the others' three calls there, nearly all are strange.
    assert!(strays > CLIENTS, "{strays} {first:?}");
}
