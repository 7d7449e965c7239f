//! What servers ask of clients over HTTP.

use super::house::{House, call, settled};
use super::server::Server;
use mcp_braid::config::{Config, Sharing};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

fn accepted(ask: &Value) -> Value {
    assert_eq!(ask["method"], "elicitation/create", "{ask}");
    json!({"jsonrpc": "2.0", "id": ask["id"], "result": {"action": "accept", "content": {"yes": true}}})
}

#[tokio::test(start_paused = true)]
async fn an_ask_goes_to_the_newest_get_and_its_answer_is_a_post() {
    let server = Server::new(&["slow"]);
    let client = House::own(&server).client().await;
    let (mut older, mut newest) = (client.listen().await, client.listen().await);
    server.ask(0, 70).await;
    let (_, ask) = newest.message().await;
    older.is_silent().await;
    let answer = accepted(&ask);
    let reply = client.post(answer.clone()).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.text().await.as_str()), (202, ""));
    let heard = server.hear().await;
    assert_eq!(
        (&heard.message["id"], &heard.message["result"]["content"]),
        (&json!(70), &json!({"yes": true}))
    );
    // A second answer is nobody's.
    assert_eq!(client.post(answer).await.unwrap().status, 202);
    server.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_get_an_ask_comes_before_the_answer_that_is_awaited() {
    for sharing in [Sharing::Session, Sharing::Shared] {
        let server = Server::new(&["slow"]);
        let client = House::new(&[("s", &server)], sharing, |_| {}).client().await;
        let reply = client.post(call(1, "s__slow", json!({})));
        let heard = server.hear_method("tools/call").await;
        server.ask(0, 70).await;
        let mut events = reply.await.unwrap().events();
        events.opened(client.revision).await;
        let (_, ask) = events.message().await;
        assert_eq!(client.post(accepted(&ask)).await.unwrap().status, 202);
        assert_eq!(server.hear().await.message["id"], 70);
        server.answer(&heard, json!({})).await;
        assert_eq!(events.message().await.1["id"], 1);
        events.ends().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_ask_waits_for_somebody_who_listens() {
    let server = Server::new(&["slow"]);
    let client = House::own(&server).client().await;
    server.ask(0, 70).await;
    settled().await;
    let mut general = client.listen().await;
    let (_, ask) = general.message().await;
    assert_eq!(client.post(accepted(&ask)).await.unwrap().status, 202);
    assert_eq!(server.hear().await.message["id"], 70);
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_another_session_is_nobodys() {
    let server = Server::new(&["slow"]);
    let house = House::own(&server);
    let (one, other) = (house.client().await, house.client().await);
    let mut general = one.listen().await;
    server.ask(0, 70).await;
    let (_, ask) = general.message().await;
    assert_eq!(other.post(accepted(&ask)).await.unwrap().status, 202);
    server.is_silent().await;
    assert_eq!(one.post(accepted(&ask)).await.unwrap().status, 202);
    let heard = server.hear().await;
    assert_eq!((heard.life, &heard.message["id"]), (0, &json!(70)));
}

fn impatient(config: &mut Config) {
    config.servers[0].timeouts.ask = Duration::from_secs(20);
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_is_not_answered_ends_and_both_sides_hear_it() {
    let server = Server::new(&["slow"]);
    let client = House::new(&[("s", &server)], Sharing::Session, impatient).client().await;
    let mut general = client.listen().await;
    let begun = Instant::now();
    server.ask(0, 70).await;
    let (_, ask) = general.message().await;
    let (_, taken_back) = general.message().await;
    assert_eq!(begun.elapsed(), Duration::from_secs(20));
    assert_eq!(taken_back["method"], "notifications/cancelled");
    assert_eq!(taken_back["params"]["requestId"], ask["id"]);
    let heard = server.hear().await;
    assert_eq!(heard.message["id"], 70);
    assert!(heard.message["error"]["code"].is_i64(), "{}", heard.message);
    // It came too late.
    assert_eq!(client.post(accepted(&ask)).await.unwrap().status, 202);
    server.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_nobody_listened_to_ends_as_well() {
    let server = Server::new(&["slow"]);
    let client = House::new(&[("s", &server)], Sharing::Session, impatient).client().await;
    let begun = Instant::now();
    server.ask(0, 70).await;
    let heard = server.hear().await;
    assert_eq!(begun.elapsed(), Duration::from_secs(20));
    assert!(heard.message["error"]["code"].is_i64(), "{}", heard.message);
    // And who listens later hears nothing of it.
    client.listen().await.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_its_server_takes_back_is_taken_back_from_the_client() {
    let server = Server::new(&["slow"]);
    let client = House::own(&server).client().await;
    let mut general = client.listen().await;
    server.ask(0, 70).await;
    let (_, ask) = general.message().await;
    let params = json!({"requestId": 70, "reason": "never mind"});
    server.say(0, json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})).await;
    let (_, taken_back) = general.message().await;
    assert_eq!(taken_back["method"], "notifications/cancelled");
    assert_eq!(taken_back["params"]["requestId"], ask["id"]);
    assert_eq!(client.post(accepted(&ask)).await.unwrap().status, 202);
    server.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn asks_of_a_session_that_ends_are_refused() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let client = house.client().await;
    let reply = client.post(call(1, "s__slow", json!({})));
    server.hear_method("tools/call").await;
    server.ask(0, 70).await;
    let mut events = reply.await.unwrap().events();
    events.opened(client.revision).await;
    events.message().await;
    assert_eq!(client.delete().await.unwrap().status, 204);
    let (_, over) = events.message().await;
    assert_eq!((&over["id"], &over["error"]["data"]["reason"]), (&json!(1), &json!("gone")));
    events.ends().await;
    let mut heard = [server.hear().await.message, server.hear().await.message];
    heard.sort_by_key(|message| message["method"].is_null());
    assert_eq!(heard[0]["method"], "notifications/cancelled");
    assert_eq!(heard[1]["id"], 70);
    assert!(heard[1]["error"]["code"].is_i64(), "{}", heard[1]);
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_not_said_where_nobody_can_read_it_any_more() {
    let (slow, other) = (Server::new(&["slow"]), Server::new(&["echo"]));
    let house = House::new(&[("s", &slow), ("t", &other)], Sharing::Shared, |_| {});
    let client = house.client_of("2025-06-18").await;
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = slow.hear_method("tools/call").await;
    drop(reply.await.unwrap().events());
    settled().await;
    other.log(0, "of no call").await;
    settled().await;
    slow.answer(&heard, json!({})).await;
    settled().await;
    let (_, letter) = client.listen().await.message().await;
    assert_eq!(letter["params"]["data"], "of no call");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_to_a_client_before_it_works() {
    let server = Server::new(&["slow"]);
    let client = House::own(&server).stranger().greeted().await;
    let mut general = client.listen().await;
    settled().await;
    server.ask(0, 70).await;
    server.log(0, "early").await;
    general.is_silent().await;
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(client.post(initialized).await.unwrap().status, 202);
    assert_eq!(general.message().await.1["method"], "elicitation/create");
    assert_eq!(general.message().await.1["params"]["data"], "early");
}

#[tokio::test(start_paused = true)]
async fn what_a_call_says_that_lost_its_connection_goes_to_a_client_that_listens() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    for (revision, has_stream) in [("2025-06-18", false), ("2025-06-18", true), ("2025-11-25", false)] {
        let client = house.client_of(revision).await;
        let reply = client.post(call(1, "s__slow", json!({})));
        let heard = server.hear_method("tools/call").await;
        // It goes before it had an id to come back by.
        match has_stream {
            true => drop(reply.await.unwrap().events()),
            false => reply.abort(),
        }
        settled().await;
        let mut general = client.listen().await;
        server.progress(&heard, 1).await;
        assert_eq!(general.message().await.1["params"]["progress"], 1);
        server.ask(0, 70).await;
        let (_, ask) = general.message().await;
        assert_eq!(client.post(accepted(&ask)).await.unwrap().status, 202);
        assert_eq!(server.hear().await.message["id"], 70);
        server.answer(&heard, json!({})).await;
        general.is_silent().await;
    }
}
