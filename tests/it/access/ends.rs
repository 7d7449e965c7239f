//! Tokens that end while something is open: whoever only listens is let go, whoever waits for an answer gets it.

use super::foreign::{alone, everybodys, maker};
use crate::http::events::{Events, Said};
use crate::http::house::{House, Reply, call, settled, wait};
use crate::http::server::Server;
use axum::body::Body;
use http::{Method, Request};
use mcp_braid::config::Sharing;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout};

const LEFT: Duration = Duration::from_secs(40);

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// A request with a token that has so much time left.
async fn with(house: &House, left: Option<Duration>, request: Request<Body>) -> Reply {
    house.send_until(left.map(|left| Instant::now() + left), &maker(), request).await
}

/// Reads to the end; when that was, and what was said.
async fn to_the_end(mut events: Events) -> (Instant, Vec<String>) {
    let mut said = Vec::new();
    while let Some(next) = events.next().await {
        match next {
            Said::Event { data, .. } => said.push(data),
            Said::Comment(_) | Said::Retry(_) => {}
        }
    }
    (Instant::now(), said)
}

fn listen(house: &House) -> Request<Body> {
    let message = alone(house, &maker()).message("subscriptions/listen", json!({"notifications": {}}));
    Request::post("/mcp")
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "subscriptions/listen")
        .body(Body::from(message.to_string()))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn h06_what_only_listens_ends_with_its_token() {
    let server = Server::new(&["echo"]);
    let house = everybodys(&server, Sharing::Session);
    for door in ["/mcp", "/servers/s/mcp"] {
        let mut client = house.stranger_of(&maker());
        client.path = door;
        let client = client.begun().await;
        let get = || client.request(Method::GET).body(Body::empty()).unwrap();
        let begun = Instant::now();
        let general = with(&house, Some(LEFT), get()).await.events();
        let (over, _) = to_the_end(general).await;
        assert_eq!(over - begun, LEFT, "{door}");
        // Whoever comes back with another finds the session as it was.
        let mut again = with(&house, Some(LEFT), get()).await.events();
        again.opened(client.revision).await;
        server.log(server.lives() - 1, "news").await;
        let (id, note) = again.message().await;
        assert_eq!(note["params"]["data"], "news");
        to_the_end(again).await;
        server.log(server.lives() - 1, "more").await;
        settled().await;
        assert_eq!(client.read_on(&id).await.message().await.1["params"]["data"], "more");
        // One that does not end is not ended, nor is one of whoever has a name here.
        let mut general = with(&house, None, get()).await.events();
        general.opened(client.revision).await;
        let waited = timeout(seconds(3600), to_the_end(general)).await;
        assert!(waited.is_err(), "{door}: it has ended");
    }
    let begun = Instant::now();
    let (over, said) = to_the_end(with(&house, Some(LEFT), listen(&house)).await.events()).await;
    assert_eq!(over - begun, LEFT);
    assert!(said[0].contains("acknowledged") && said.len() == 1, "{said:?}");
    let waited = timeout(seconds(3600), to_the_end(with(&house, None, listen(&house)).await.events())).await;
    assert!(waited.is_err(), "it has ended");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_let_in_is_answered_though_its_token_ends() {
    let server = Server::new(&["slow"]);
    let house = everybodys(&server, Sharing::Shared);
    let client = house.stranger_of(&maker()).begun().await;
    let guest = alone(&house, &maker());
    let params = json!({"name": "s__slow", "arguments": {}, "_meta": {"progressToken": "t"}});
    let of_session = (client.request(Method::POST), call(1, "s__slow", json!({})));
    let stateless = client.house.stranger_of(&maker()).request(Method::POST);
    let stateless = stateless.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call");
    let by_itself = (stateless.header("mcp-name", "s__slow"), guest.message("tools/call", params));
    for (head, message) in [of_session, by_itself] {
        let request = head.body(Body::from(message.to_string())).unwrap();
        let asked = tokio::spawn({
            let house = house.clone();
            async move { with(&house, Some(seconds(1)), request).await }
        });
        let heard = server.hear_method("tools/call").await;
        server.progress(&heard, 1).await;
        let events = asked.await.unwrap().events();
        wait(seconds(30)).await;
        server.progress(&heard, 2).await;
        server.answer(&heard, json!({"content": [], "late": true})).await;
        let (_, said) = to_the_end(events).await;
        let last: Value = serde_json::from_str(said.last().unwrap()).unwrap();
        assert_eq!(last["result"]["late"], true, "{said:?}");
    }
    server.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_of_2024_lasts_as_long_as_the_last_token_that_was_shown_for_it() {
    let server = Server::new(&["echo"]);
    let house = everybodys(&server, Sharing::Shared);
    let open = || Request::get("/sse").header("accept", "text/event-stream").body(Body::empty()).unwrap();
    for (shown, lasts) in [
        (vec![], Some(LEFT)),
        (vec![Some(seconds(50))], Some(seconds(10) + seconds(50))),
        // A shorter one takes nothing away.
        (vec![Some(seconds(50)), Some(seconds(1))], Some(seconds(10) + seconds(50))),
        (vec![None], None),
    ] {
        let begun = Instant::now();
        let mut events = with(&house, Some(LEFT), open()).await.events();
        let Some(Said::Event { data: place, .. }) = events.next().await else {
            panic!("no place to post to")
        };
        let params = json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
        let greeting = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let post = |message: &Value| {
            let post = Request::post(&place).header("content-type", "application/json");
            post.body(Body::from(message.to_string())).unwrap()
        };
        assert_eq!(with(&house, Some(seconds(1)), post(&greeting)).await.status, 202);
        wait(seconds(10)).await;
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        for left in &shown {
            assert_eq!(with(&house, *left, post(&ping)).await.status, 202);
        }
        let ended = timeout(seconds(3600), to_the_end(events)).await;
        assert_eq!(ended.ok().map(|(over, _)| over - begun), lasts, "{shown:?}");
        settled().await;
        if lasts.is_some() {
            assert_eq!(with(&house, None, post(&ping)).await.status, 404, "it has ended with its stream");
        }
    }
}
