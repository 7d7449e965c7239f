//! What the texts of clients hold in memory, and for how long.

use super::house::{Client, House, call, cancel, settled};
use super::server::Server;
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Method, Request};
use mcp_braid::config::Sharing;
use mcp_braid::hub::begin::{Answer, Asked};
use mcp_braid::mcp::caller::{Caller, Principal};
use mcp_braid::mcp::revision::Revision;
use mcp_braid::upstream::hearing::Hearing;
use mcp_braid::upstream::lookout::Came;
use mcp_braid::wire::id::Id;
use mcp_braid::wire::message::{Caps, Message};
use serde_json::json;
use std::sync::Arc;
use tokio::time::Instant;

/// A text that somebody counts.
struct Counted {
    text: String,
    _count: Arc<()>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_keeps_nothing_of_a_text_that_was_sent_on() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let caller = Caller {
        principal: Principal::anonymous(),
        scopes: Default::default(),
        client: house.hub.next_client(),
        alone: false,
        guest_of: None,
    };
    let seat = house.hub.seat(caller, &house.hub.entrance_all());
    assert!(seat.open().is_empty());
    let count = Arc::new(());
    let text = call(7, "s__slow", json!({})).to_string();
    let text = Bytes::from_owner(Counted { text, _count: count.clone() });
    let message = Message::parse_client(text, Caps { depth_max: 64, elements_max: 1000 }).unwrap();
    let asked = Asked {
        seat: &seat,
        id: &Id::parse(Bytes::from_static(b"7")).unwrap(),
        message: &message,
        hearing: Hearing::now(Came::Stdio, Revision::LATEST),
        revision: Revision::LATEST,
        patience: Instant::now() + std::time::Duration::from_secs(1),
        turns: Default::default(),
        memory: None,
        again: None,
    };
    let Answer::Later(exchange) = house.hub.begin(asked).await else { panic!("it is sent on") };
    drop(message);
    server.hear_method("tools/call").await;
    settled().await;
    assert_eq!(Arc::strong_count(&count), 1);
    drop(exchange);
}

#[tokio::test(start_paused = true)]
async fn one_client_with_much_that_waits_leaves_room_for_another() {
    let (busy, free) = (Server::new(&["slow"]), Server::new(&["echo"]));
    let house = House::new(&[("s", &busy), ("t", &free)], Sharing::Shared, |config| {
        config.servers[0].in_flight_max = 1;
        config.limits.buffered_bytes_max = 16 << 20;
    });
    let (greedy, other) = (house.client().await, house.client().await);
    let large = || json!({"x": "x".repeat((1 << 20) - 1024)});
    let first = greedy.post(call(0, "s__slow", large()));
    busy.hear_method("tools/call").await;
    // It was written and takes no more room; these wait for their turn.
    let waiting: Vec<_> = (1..=3).map(|id| greedy.post(call(id, "s__slow", large()))).collect();
    settled().await;
    let refused = greedy.post(call(4, "t__echo", large())).await.unwrap();
    assert_eq!(refused.status, 503);
    let said = refused.json().await["error"]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("(limits.buffered)"), "{said}");
    // It can still take back what it sent.
    assert_eq!(greedy.post(cancel(3)).await.unwrap().status, 202);
    settled().await;
    assert_eq!(greedy.post(call(5, "t__echo", large())).await.unwrap().status, 200);
    let again = greedy.post(call(6, "s__slow", large()));
    settled().await;
    let hundred = json!({"x": "x".repeat(100_000)});
    let answered = async |client: &Client| {
        client.post(call(7, "t__echo", hundred.clone())).await.unwrap().json().await["result"].is_object()
    };
    assert!(answered(&other).await);
    // Who has ended takes nothing any more.
    assert_eq!(greedy.delete().await.unwrap().status, 204);
    busy.hear_method("notifications/cancelled").await;
    drop((first, waiting, again));
    assert!(answered(&house.client().await).await);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_session_takes_no_room_of_those_who_have_one() {
    let server = Server::new(&["echo"]);
    let house = House::new(&[("t", &server)], Sharing::Shared, |config| {
        config.limits.buffered_bytes_max = 16 << 20;
    });
    let client = house.client().await;
    let strangers: Vec<_> = (0..4).map(|_| house.stranger()).collect();
    let held: Vec<_> = strangers.iter().map(|stranger| stranger.send(half_a_body(stranger))).collect();
    settled().await;
    let large = json!({"x": "x".repeat(200_000)});
    assert_eq!(client.post(call(7, "t__echo", large)).await.unwrap().status, 200);
    drop(held);
}

/// A request whose body says that it is long, and does not come to its end.
fn half_a_body(stranger: &Client) -> Request<Body> {
    let begun = Bytes::from(vec![b' '; 9 << 19]);
    let body = stream::iter([Ok::<_, std::io::Error>(begun)]).chain(stream::pending());
    stranger.request(Method::POST).body(Body::from_stream(body)).unwrap()
}
