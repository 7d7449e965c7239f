//! One server behind a hub, and who asks: a caller of the hub itself, or the client of a door.

use std::cell::Cell;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use mcp_braid::config::{Command, Config, Reach, ServerConfig};
use mcp_braid::downstream::door::Door;
use mcp_braid::hub::Hub;
use mcp_braid::hub::begin::{Answer, Asked};
use mcp_braid::hub::seat::Seat;
use mcp_braid::mcp::caller::{Caller, ClientId, Principal};
use mcp_braid::mcp::method::Kind;
use mcp_braid::mcp::revision::Revision;
use mcp_braid::upstream::dial::Dial;
use mcp_braid::upstream::exchange::Step;
use mcp_braid::wire::id::Id;
use mcp_braid::wire::message::{Caps, Message};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio_util::task::TaskTracker;

use super::echo::{Client, Echo, Line};

/// A hub with one server, and its only caller.
pub(crate) struct Through {
    hub: Arc<Hub>,
    seat: Seat,
}

impl Through {
    pub(crate) async fn open(server: Echo) -> Self {
        let (hub, seat) = opened(server);
        seat.introduce(Revision::LATEST, "{}");
        settled(&seat).await;
        Self { hub, seat }
    }

    /// So many calls to their ends, so many of them at a time.
    pub(crate) async fn calls(&self, call: &Request, calls: u64, in_flight: u64) {
        let left = Cell::new(calls);
        let one = async || {
            while let Some(less) = left.get().checked_sub(1) {
                left.set(less);
                black_box(self.ask(call).await);
            }
        };
        join_all((0..in_flight).map(|_| one())).await;
    }

    /// From begin to done.
    pub(crate) async fn ask(&self, request: &Request) -> Bytes {
        let asked = Asked {
            seat: &self.seat,
            id: &request.id,
            message: &request.message,
            revision: Revision::LATEST,
            patience: tokio::time::Instant::now(),
            turns: Default::default(),
            memory: None,
            again: None,
        };
        match self.hub.begin(asked).await {
            Answer::Now(answer) => answer.expect("an answer"),
            Answer::List { text, .. } => text,
            Answer::Later(mut exchange) => loop {
                match exchange.next().await {
                    Step::Notify(_) | Step::Ask(_) => {}
                    Step::Done(answer) => break answer.expect("an answer"),
                }
            },
        }
    }
}

/// A request as a door hands it to a hub.
pub(crate) struct Request {
    id: Id,
    message: Message,
}

impl Request {
    pub(crate) fn new(text: &'static str) -> Self {
        let message = Message::parse_client(Bytes::from_static(text.as_bytes()), Caps::default());
        let message = message.expect("a message");
        Self { id: message.id().expect("an id"), message }
    }
}

/// A client of a door, greeted and with the server there.
pub(crate) async fn door() -> Client {
    let (_, seat) = opened(Echo::with(1));
    let seat = Arc::new(seat);
    let (inbox, chunks) = mpsc::channel(4);
    let (lines, outbox) = mpsc::channel(64);
    let door = Door::new(seat.clone(), lines, "", false);
    spawn_local(door.serve(chunks));
    let mut line = Line::Door(inbox, outbox);
    line.send(Bytes::from_static(INITIALIZE)).await;
    line.answers().await;
    settled(&seat).await;
    Client { line, tool: "echo__read_0", next_id: 0 }
}

fn opened(server: Echo) -> (Arc<Hub>, Seat) {
    let folder = Path::new("/");
    let mut config = Config::new("a bench", folder);
    config.servers = vec![ServerConfig::new("echo", Reach::Stdio(Command::new("echo", folder)))];
    let dials: Vec<Arc<dyn Dial>> = vec![Arc::new(server)];
    let hub = Hub::new(Arc::new(config), dials, "", TaskTracker::new());
    let caller = Caller { principal: Principal::local(), client: ClientId(1), alone: true, guest_of: None };
    let seat = hub.seat(caller, &hub.entrance_all());
    assert!(seat.open().is_empty(), "the server cannot be opened");
    (hub, seat)
}

async fn settled(seat: &Seat) {
    seat.view().settled(tokio::time::Instant::now() + Duration::from_secs(10)).await;
    assert!(!seat.view().catalog().entries(Kind::Tools).is_empty(), "the server was not heard");
}

const INITIALIZE: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
"#;
