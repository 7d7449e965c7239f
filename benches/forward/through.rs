//! One server behind a hub, and who asks: a caller of the hub itself, or the client of a door.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use mcp_braid::downstream::door::Door;
use mcp_braid::downstream::modern::lobby::Lobby;
use mcp_braid::hub::Hub;
use mcp_braid::hub::begin::{Answer, Asked};
use mcp_braid::hub::seat::Seat;
use mcp_braid::mcp::caller::{Caller, Principal};
use mcp_braid::mcp::method::Kind;
use mcp_braid::mcp::revision::Revision;
use mcp_braid::upstream::exchange::Step;
use mcp_braid::upstream::hearing::Hearing;
use mcp_braid::upstream::lookout::Came;
use mcp_braid::wire::id::Id;
use mcp_braid::wire::message::{Caps, Message};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio_util::sync::CancellationToken;

use super::client::{Client, Line};
use super::echo::{Echo, Era};

/// A hub with one server, and its only caller.
pub(crate) struct Through {
    hub: Arc<Hub>,
    seat: Arc<Seat>,
}

impl Through {
    pub(crate) async fn open(server: Echo) -> Self {
        let (hub, seat) = seated(server);
        assert!(seat.open().is_empty(), "the server cannot be opened");
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
            hearing: Hearing::now(Came::Stdio, Revision::LATEST),
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

/// A client of a door with the server there: greeted, or one that says with each request who it is.
pub(crate) async fn door(client: Era, server: Era) -> Client {
    let (hub, seat) = seated(Echo::with(server, 1));
    let (inbox, chunks) = mpsc::channel(4);
    let (lines, outbox) = mpsc::channel(64);
    let lobby = Lobby::new(hub, "", false, CancellationToken::new());
    spawn_local(Door::new(seat.clone(), lines, "", false).for_any_era(lobby).serve(chunks));
    let line = Line::Door(inbox, outbox);
    match client {
        Era::Handshake => {
            let mut client = Client { line, tool: "echo__read_0", says: "", next_id: 0 };
            client.line.send(Bytes::from_static(INITIALIZE)).await;
            client.line.answers().await;
            settled(&seat).await;
            client
        }
        Era::Stateless => {
            let mut client = Client { line, tool: "echo__read_0", says: STANDS, next_id: 0 };
            // Its answer waits for the server.
            client.calls(1, 1).await;
            client
        }
    }
}

fn seated(server: Echo) -> (Arc<Hub>, Arc<Seat>) {
    let hub = server.hub();
    let client = hub.next_client();
    let caller = Caller {
        principal: Principal::local(),
        scopes: Default::default(),
        client,
        alone: true,
        guest_of: None,
    };
    let seat = hub.seat(caller, &hub.entrance_all());
    (hub, seat)
}

async fn settled(seat: &Seat) {
    seat.view().settled(tokio::time::Instant::now() + Duration::from_secs(10)).await;
    assert!(!seat.view().catalog().entries(Kind::Tools).is_empty(), "the server was not heard");
}

const INITIALIZE: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
"#;

const STANDS: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}},"#;
