//! Clients of 2024-11-05: one stream of events, and a place to post to.

use super::events::{Events, Said};
use super::house::{Client, House, Reply, call, cancel, settled, wait};
use super::server::Server;
use axum::body::Body;
use http::Request;
use mcp_braid::config::Sharing;
use mcp_braid::mcp::caller::Principal;
use serde_json::{Value, json};
use std::time::Duration;

/// A client with its one stream.
struct Pipe {
    client: Client,
    place: String,
    events: Events,
}

impl Pipe {
    async fn open(house: &House) -> Self {
        let client = Client { revision: "2024-11-05", ..house.stranger() };
        let mut events = open(&client).await.events();
        let place = match events.next().await {
            Some(Said::Event { id: None, name: Some(name), data }) if name == "endpoint" => data,
            other => panic!("no endpoint: {other:?}"),
        };
        assert!(place.starts_with("/messages?sessionId="), "{place}");
        Self { client, place, events }
    }

    async fn begun(house: &House) -> Self {
        let mut pipe = Self::open(house).await;
        let params = json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
        pipe.posts(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await;
        assert_eq!(pipe.message().await["result"]["protocolVersion"], "2024-11-05");
        pipe.posts(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        pipe
    }

    async fn posts(&self, message: Value) {
        let reply = post(&self.client, &self.place, message).await;
        assert_eq!((reply.status.as_u16(), reply.text().await.as_str()), (202, ""));
    }

    async fn message(&mut self) -> Value {
        loop {
            match self.events.next().await.expect("the stream goes on") {
                Said::Event { id: None, name, data } => {
                    assert_eq!(name.as_deref(), Some("message"));
                    return serde_json::from_str(&data).unwrap();
                }
                Said::Comment(text) => assert_eq!(text, "alive"),
                Said::Event { .. } | Said::Retry(_) => panic!("no plain message"),
            }
        }
    }
}

async fn open(client: &Client) -> Reply {
    let request = Request::get("/sse").header("accept", "text/event-stream");
    client.send(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn post(client: &Client, place: &str, message: Value) -> Reply {
    let request = Request::post(place).header("content-type", "application/json");
    client.send(request.body(Body::from(message.to_string())).unwrap()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_stream_begins_with_where_to_post_and_carries_every_answer() {
    let server = Server::new(&["slow", "echo"]);
    let mut pipe = Pipe::begun(&House::shared(&server)).await;
    pipe.posts(call(1, "s__slow", json!({}))).await;
    let heard = server.hear_method("tools/call").await;
    server.progress(&heard, 1).await;
    assert_eq!(pipe.message().await["params"]["progress"], 1);
    pipe.posts(call(2, "s__echo", json!({}))).await;
    assert_eq!(pipe.message().await["id"], 2);
    server.answer(&heard, json!({})).await;
    assert_eq!(pipe.message().await["id"], 1);
    pipe.events.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn two_open_requests_of_one_id_are_told_apart_by_refusing_the_second() {
    let server = Server::new(&["slow"]);
    let mut pipe = Pipe::begun(&House::shared(&server)).await;
    pipe.posts(call(1, "s__slow", json!({}))).await;
    let heard = server.hear_method("tools/call").await;
    pipe.posts(call(1, "s__slow", json!({}))).await;
    assert_eq!(pipe.message().await["error"]["code"], -32600);
    server.answer(&heard, json!({"first": true})).await;
    assert_eq!(pipe.message().await["result"]["first"], true);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_and_the_end_of_the_stream_both_reach_the_server() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let pipe = Pipe::begun(&house).await;
    pipe.posts(call(1, "s__slow", json!({}))).await;
    let first = server.hear_method("tools/call").await;
    pipe.posts(cancel(1)).await;
    let cancelled = server.hear_method("notifications/cancelled").await;
    assert_eq!(cancelled.message["params"]["requestId"], first.message["id"]);
    pipe.posts(call(2, "s__slow", json!({}))).await;
    let second = server.hear_method("tools/call").await;
    let Pipe { client, place, events } = pipe;
    drop(events);
    let cancelled = server.hear_method("notifications/cancelled").await;
    assert_eq!(cancelled.message["params"]["requestId"], second.message["id"]);
    assert_eq!(house.hub.in_flight(), 0);
    assert_eq!(post(&client, &place, cancel(1)).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn nobody_else_posts_to_a_stream() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let mut pipe = Pipe::begun(&house).await;
    let other = Client { principal: Principal::bearer(), ..pipe.client.clone() };
    assert_eq!(post(&other, &pipe.place, call(1, "s__slow", json!({}))).await.status, 404);
    for place in ["/messages", "/messages?sessionId=", "/messages?sessionId=0", "/messages?session_id=0"] {
        assert_eq!(post(&pipe.client, place, call(1, "s__slow", json!({}))).await.status, 404, "{place}");
    }
    // The id of a stream is no session of the other transport.
    let id = pipe.place.split_once('=').unwrap().1.to_owned();
    let mixed = Client { session: Some(id), ..house.stranger() };
    assert_eq!(mixed.post(call(1, "s__slow", json!({}))).await.unwrap().status, 404);
    server.is_silent().await;
    pipe.events.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn streams_have_a_place_among_the_sessions_and_give_it_back() {
    let server = Server::new(&["slow"]);
    let house =
        House::new(&[("s", &server)], Sharing::Shared, |config| config.listen.limits.sessions_max = 2);
    let (_one, two) = (house.client().await, Pipe::begun(&house).await);
    let refused = open(&two.client).await;
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    drop(two);
    settled().await;
    Pipe::begun(&house).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_pipe_is_kept_alive_and_does_not_end() {
    let server = Server::new(&["echo"]);
    let mut pipe = Pipe::begun(&House::shared(&server)).await;
    for _ in 0..3 {
        assert_eq!(pipe.events.next().await, Some(Said::Comment("alive".to_owned())));
    }
    wait(Duration::from_secs(3600)).await;
    pipe.posts(call(2, "s__echo", json!({}))).await;
    assert_eq!(pipe.message().await["id"], 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_posted_must_be_json_and_what_is_wrong_with_it_comes_on_the_stream() {
    let server = Server::new(&["echo"]);
    let mut pipe = Pipe::begun(&House::shared(&server)).await;
    let send = async |kind: &str, text: &'static str| {
        let request = Request::post(&pipe.place).header("content-type", kind);
        pipe.client.send(request.body(Body::from(text)).unwrap()).await.unwrap().status.as_u16()
    };
    assert_eq!(send("text/plain", "{}").await, 415);
    assert_eq!(send("application/json", "{").await, 202);
    assert_eq!(pipe.message().await["error"]["code"], -32700);
}

#[tokio::test(start_paused = true)]
async fn where_it_is_switched_off_there_is_nothing() {
    let server = Server::new(&["echo"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| config.listen.legacy_sse = false);
    let client = house.stranger();
    assert_eq!(open(&client).await.status, 404);
    assert_eq!(post(&client, "/messages?sessionId=0", cancel(1)).await.status, 404);
}
