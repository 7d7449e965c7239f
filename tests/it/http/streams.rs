//! Which of a session's streams gets what.

use super::house::{House, call, settled, wait};
use super::server::Server;
use mcp_braid::config::Sharing;
use serde_json::{Value, json};
use std::time::Duration;

fn data(message: &Value) -> &str {
    message["params"]["data"].as_str().unwrap_or_else(|| panic!("no log: {message}"))
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_no_request_goes_to_the_newest_get_and_to_that_alone() {
    let server = Server::new(&["slow"]);
    let client = House::own(&server).client().await;
    let mut first = client.listen().await;
    server.log(0, "a").await;
    assert_eq!(data(&first.message().await.1), "a");
    let mut second = client.listen().await;
    server.log(0, "b").await;
    assert_eq!(data(&second.message().await.1), "b");
    first.is_silent().await;
    drop(second);
    server.log(0, "c").await;
    assert_eq!(data(&first.message().await.1), "c");
    drop(first);
    server.log(0, "d").await;
    settled().await;
    // Nobody listens: it waits.
    let mut third = client.listen().await;
    assert_eq!(data(&third.message().await.1), "d");
    third.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_call_is_open_goes_with_the_call() {
    let server = Server::new(&["slow"]);
    let client = House::own(&server).client().await;
    let mut general = client.listen().await;
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    server.log(0, "of the call").await;
    let mut events = reply.await.unwrap().events();
    events.opened(client.revision).await;
    assert_eq!(data(&events.message().await.1), "of the call");
    server.answer(&heard, json!({})).await;
    assert_eq!(events.message().await.1["id"], 1);
    general.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn four_gets_may_be_open_and_a_fifth_ends_the_oldest() {
    let server = Server::new(&["slow"]);
    let client = House::own(&server).client().await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(client.listen().await);
    }
    let newest = client.listen().await;
    open.remove(0).ends().await;
    for events in &mut open {
        events.is_silent().await;
    }
    open.push(newest);
    server.log(0, "to the newest").await;
    assert_eq!(data(&open[3].message().await.1), "to the newest");
    // Where one has ended there is room for another.
    drop(open.remove(1));
    open.push(client.listen().await);
    for events in &mut open {
        events.is_silent().await;
    }
}

/// What a client hears of its server's tools when they are others by now.
async fn changed(server: &Server) {
    server.offer(&["slow", "quick"]);
    server.say(0, json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})).await;
    wait(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn only_who_asked_for_a_list_hears_that_it_changed() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let (asked, other) = (house.client().await, house.client().await);
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert_eq!(asked.post(list.clone()).await.unwrap().json().await["result"]["tools"][0]["name"], "s__slow");
    let (mut asked_hears, mut other_hears) = (asked.listen().await, other.listen().await);
    changed(&server).await;
    let (_, note) = asked_hears.message().await;
    assert_eq!(note, json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
    other_hears.is_silent().await;
    // Once, until it has asked again.
    asked_hears.is_silent().await;
    assert_eq!(asked.post(list).await.unwrap().json().await["result"]["tools"][1]["name"], "s__quick");
}

#[tokio::test(start_paused = true)]
async fn that_a_list_changed_waits_until_somebody_listens() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert_eq!(client.post(list).await.unwrap().status, 200);
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    changed(&server).await;
    server.answer(&heard, json!({})).await;
    // It is no affair of the call.
    let mut events = reply.await.unwrap().events();
    events.opened(client.revision).await;
    assert_eq!(events.message().await.1["id"], 1);
    events.ends().await;
    let mut general = client.listen().await;
    assert_eq!(general.message().await.1["method"], "notifications/tools/list_changed");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_stops_only_itself() {
    let servers = [Server::new(&["slow"]), Server::new(&["echo"])];
    let house = House::new(&[("s", &servers[0]), ("e", &servers[1])], Sharing::Shared, |_| {});
    let (lazy, busy) = (house.client().await, house.client().await);
    let reply = lazy.post(call(1, "s__slow", json!({})));
    let heard = servers[0].hear_method("tools/call").await;
    let unread = reply.await.unwrap().events();
    for at in 1..=500 {
        servers[0].progress(&heard, at).await;
    }
    settled().await;
    for id in 0..10 {
        assert_eq!(busy.post(call(id, "e__echo", json!({}))).await.unwrap().json().await["id"], id);
        assert_eq!(lazy.post(call(id, "e__echo", json!({}))).await.unwrap().json().await["id"], id);
    }
    servers[0].answer(&heard, json!({})).await;
    // What it has missed of the progress, it has missed; the answer is there, and nothing came out of order.
    let (mut unread, mut last) = (unread, 0);
    unread.opened(lazy.revision).await;
    loop {
        let (_, message) = unread.message().await;
        if message["id"] == 1 {
            break;
        }
        let progress = message["params"]["progress"].as_u64().unwrap();
        assert!(progress > last);
        last = progress;
    }
    unread.ends().await;
}

/// On real threads: while a note of the client's passes through, no letter may be given to the stream that it would have
/// had if it were a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_letter_goes_with_a_post_that_has_no_answer() {
    const LETTERS: usize = 600;
    let server = Server::new(&["slow"]);
    let client = House::own(&server).client().await;
    let mut seen = 0;
    for at in 0..LETTERS {
        server.log(0, &at.to_string()).await;
        let pad = "x".repeat(if at % 2 == 0 { 10 } else { 50_000 });
        let params = json!({"progressToken": "none", "progress": 1, "message": pad});
        let note = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
        assert_eq!(client.post(note).await.unwrap().status, 202);
        if at % 20 == 19 {
            // No more than may wait: all of them are there, or one is lost.
            let mut general = client.listen().await;
            while seen <= at {
                let (_, message) =
                    tokio::time::timeout(Duration::from_secs(20), general.message()).await.unwrap();
                assert_eq!(data(&message), seen.to_string());
                seen += 1;
            }
        }
    }
    assert_eq!(seen, LETTERS);
}
