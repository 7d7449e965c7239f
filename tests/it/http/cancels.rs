//! What ends a request and what does not.

use super::events::Said;
use super::house::{House, call, cancel, settled};
use super::server::Server;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_cancels_nothing() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let client = house.client().await;
    // Before anything is answered, and in the middle of a stream.
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = [server.hear_method("tools/call").await];
    reply.abort();
    assert!(reply.await.is_err_and(|error| error.is_cancelled()));
    let reply = client.post(call(2, "s__slow", json!({})));
    let heard = [heard[0].clone(), server.hear_method("tools/call").await];
    let mut events = reply.await.unwrap().events();
    events.opened(client.revision).await;
    drop(events);
    server.is_silent().await;
    assert_eq!(house.hub.in_flight(), 2);
    for heard in &heard {
        server.answer(heard, json!({})).await;
    }
    settled().await;
    assert_eq!(house.hub.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_reaches_the_server_with_its_own_id_and_ends_the_stream() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let client = house.client().await;
    let mut replies = Vec::new();
    let mut heard = Vec::new();
    for id in 1..=3 {
        replies.push(client.post(call(id, "s__slow", json!({}))));
        heard.push(server.hear_method("tools/call").await);
    }
    assert_eq!(client.post(cancel(2)).await.unwrap().status, 202);
    let cancelled = server.hear_method("notifications/cancelled").await;
    assert_eq!(cancelled.message["params"]["requestId"], heard[1].message["id"]);
    server.is_silent().await;
    assert_eq!(house.hub.in_flight(), 2);
    let mut events = replies.remove(1).await.unwrap().events();
    // There is no answer to what nobody wants any more, and no id to come back for it.
    assert_eq!(events.next().await, Some(Said::Comment("open".to_owned())));
    events.ends().await;
    server.answer(&heard[0], json!({"first": true})).await;
    server.answer(&heard[2], json!({"third": true})).await;
    for (reply, name) in replies.into_iter().zip(["first", "third"]) {
        assert_eq!(reply.await.unwrap().json().await["result"][name], true);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_names_several_calls_ends_none() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let replies = [1, 2].map(|nonce| client.post(call(1, "s__slow", json!({"nonce": nonce}))));
    let heard = [server.hear_method("tools/call").await, server.hear_method("tools/call").await];
    assert_eq!(client.post(cancel(1)).await.unwrap().status, 202);
    server.is_silent().await;
    // As soon as it names one alone, it is meant.
    server.answer(&heard[0], json!({})).await;
    let [first, second] = replies;
    assert_eq!(first.await.unwrap().json().await["id"], 1);
    assert_eq!(client.post(cancel(1)).await.unwrap().status, 202);
    let cancelled = server.hear_method("notifications/cancelled").await;
    assert_eq!(cancelled.message["params"]["requestId"], heard[1].message["id"]);
    assert_eq!(second.await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_ends_nothing_of_another_session() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let (one, other) = (house.client().await, house.client().await);
    let reply = one.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    assert_eq!(other.post(cancel(1)).await.unwrap().status, 202);
    server.is_silent().await;
    server.answer(&heard, json!({})).await;
    assert_eq!(reply.await.unwrap().json().await["id"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_ended_cancels_its_calls_and_nobody_elses() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let (one, other) = (house.client().await, house.client().await);
    let mut replies = [one.post(call(1, "s__slow", json!({}))), other.post(call(1, "s__slow", json!({})))];
    let heard = [server.hear_method("tools/call").await, server.hear_method("tools/call").await];
    assert_eq!(one.delete().await.unwrap().status, 204);
    let cancelled = server.hear_method("notifications/cancelled").await;
    assert_eq!(cancelled.message["params"]["requestId"], heard[0].message["id"]);
    server.is_silent().await;
    server.answer(&heard[1], json!({})).await;
    assert_eq!((&mut replies[1]).await.unwrap().json().await["id"], 1);
}
