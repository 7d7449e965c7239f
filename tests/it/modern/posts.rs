//! How a request over HTTP is answered, and what ends it.

use super::client::{Client, message};
use crate::http::events::Said;
use crate::http::house::{House, settled, wait};
use crate::http::server::Server;
use mcp_braid::config::Sharing;
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_first_is_json_and_one_after_a_note_is_a_stream() {
    let server = Server::new(&["slow"]);
    let client = Client::of(&House::shared(&server));
    let call = || client.post("tools/call", json!({"name": "s__slow", "_meta": {"progressToken": "t"}}));
    let reply = call();
    let heard = server.hear_method("tools/call").await;
    server.answer(&heard, json!({"n": 1})).await;
    assert_eq!(reply.await.unwrap().json().await["result"]["n"], 1);

    let reply = call();
    let heard = server.hear_method("tools/call").await;
    server.progress(&heard, 1).await;
    let mut events = reply.await.unwrap().events();
    let note = message(&mut events).await;
    assert_eq!(
        (&note["method"], &note["params"]["progressToken"]),
        (&json!("notifications/progress"), &json!("t"))
    );
    server.log(0, "for nobody").await;
    wait(Duration::from_secs(15)).await;
    assert_eq!(events.next().await, Some(Said::Comment("alive".to_owned())));
    server.answer(&heard, json!({"n": 2})).await;
    let answer = message(&mut events).await;
    assert_eq!((&answer["id"], &answer["result"]["n"]), (&json!("i"), &json!(2)));
    events.ends().await;

    // One that takes long is a stream before anything is said; its error is within.
    let reply = call();
    let heard = server.hear_method("tools/call").await;
    wait(Duration::from_secs(60)).await;
    let mut events = reply.await.unwrap().events();
    let error = json!({"code": -32601, "message": "no"});
    server.say(0, json!({"jsonrpc": "2.0", "id": heard.message["id"], "error": error})).await;
    assert_eq!(message(&mut events).await["error"], error);
    events.ends().await;
    // In time its status says it too.
    let reply = call();
    let heard = server.hear_method("tools/call").await;
    server.say(0, json!({"jsonrpc": "2.0", "id": heard.message["id"], "error": error})).await;
    assert_eq!(reply.await.unwrap().status, 404);
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_read_its_answer_has_cancelled_it() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let client = Client::of(&house);
    let call = || client.post("tools/call", json!({"name": "s__slow", "_meta": {"progressToken": "t"}}));
    // Before anything is answered,
    let reply = call();
    let first = server.hear_method("tools/call").await;
    reply.abort();
    let cancelled = server.hear_method("notifications/cancelled").await;
    assert_eq!(cancelled.message["params"]["requestId"], first.message["id"]);
    // in the middle of a stream,
    let reply = call();
    let second = server.hear_method("tools/call").await;
    server.progress(&second, 1).await;
    let mut events = reply.await.unwrap().events();
    message(&mut events).await;
    drop(events);
    let cancelled = server.hear_method("notifications/cancelled").await;
    assert_eq!(cancelled.message["params"]["requestId"], second.message["id"]);
    settled().await;
    assert_eq!(house.hub.in_flight(), 0);
    // and while it waits with more to say than is read.
    let reply = call();
    let third = server.hear_method("tools/call").await;
    for done in 1..200 {
        server.progress(&third, done).await;
    }
    settled().await;
    drop(reply.await.unwrap());
    let cancelled = server.hear_method("notifications/cancelled").await;
    assert_eq!(cancelled.message["params"]["requestId"], third.message["id"]);
    settled().await;
    assert!(house.hub.in_flight() == 0 && house.front.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_server_logs_goes_to_the_one_request_that_asked_for_it() {
    let server = Server::new(&["slow"]);
    let client = Client::of(&House::shared(&server));
    let call = |level: Option<&str>| {
        let meta =
            level.map_or_else(|| json!({}), |level| json!({"io.modelcontextprotocol/logLevel": level}));
        client.post("tools/call", json!({"name": "s__slow", "_meta": meta}))
    };
    let loud = call(Some("debug"));
    let level = server.hear_method("logging/setLevel").await;
    server.answer(&level, json!({})).await;
    let first = server.hear_method("tools/call").await;
    let quiet = call(None);
    let second = server.hear_method("tools/call").await;
    server.log(0, "x").await;
    server.answer(&second, json!({})).await;
    quiet.await.unwrap().json().await;
    let mut events = loud.await.unwrap().events();
    assert_eq!(message(&mut events).await["params"]["data"], "x");
    server.answer(&first, json!({})).await;
    message(&mut events).await;
    events.ends().await;
}

#[tokio::test(start_paused = true)]
async fn servers_of_ones_own_are_one_for_all_requests_and_end_when_nobody_comes() {
    let server = Server::new(&["echo"]);
    let house = House::new(&[("s", &server)], Sharing::Session, |config| {
        config.listen.session_idle = Duration::from_secs(60);
    });
    let client = Client::of(&house);
    for _ in 0..3 {
        assert_eq!(client.call("s__echo", json!({})).await.0, 200);
    }
    assert_eq!(server.living(), 1);
    wait(Duration::from_secs(50)).await;
    client.call("s__echo", json!({})).await;
    wait(Duration::from_secs(50)).await;
    assert_eq!((server.lives(), server.living()), (1, 1));
    wait(Duration::from_secs(70)).await;
    assert_eq!(server.living(), 0);
    assert_eq!(client.call("s__echo", json!({})).await.0, 200);
    assert_eq!((server.lives(), server.living()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_room_until_it_is_read() {
    let server = Server::new(&["slow"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| {
        config.limits.buffered_bytes_max = 16 << 20;
    });
    let client = Client::of(&house);
    let answered = async || {
        let reply = client.post("tools/call", json!({"name": "s__slow"}));
        let heard = server.hear_method("tools/call").await;
        server.answer(&heard, json!({"x": "x".repeat(900 << 10)})).await;
        reply.await.unwrap()
    };
    // A quarter of it is for one server.
    let mut unread = Vec::new();
    for _ in 0..4 {
        unread.push(answered().await);
    }
    let refused = answered().await.json().await;
    assert_eq!(refused["error"]["data"]["reason"], "busy", "{refused}");
    unread.pop();
    assert!(answered().await.json().await["result"].is_object());
}

#[tokio::test(start_paused = true)]
async fn a_call_has_its_time_though_nobody_reads() {
    let server = Server::new(&["slow"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| {
        config.servers[0].timeouts.call_max = Some(Duration::from_secs(60));
    });
    let client = Client::of(&house);
    let reply = client.post("tools/call", json!({"name": "s__slow", "_meta": {"progressToken": "t"}}));
    let call = server.hear_method("tools/call").await;
    for done in 1..=64 {
        server.progress(&call, done).await;
        settled().await;
    }
    let mut events = reply.await.unwrap().events();
    wait(Duration::from_secs(61)).await;
    let cancelled = server.hear_method("notifications/cancelled").await;
    assert_eq!(cancelled.message["params"]["requestId"], call.message["id"]);
    assert_eq!(house.hub.in_flight(), 0);
    // What was held is there, in its order and before the end.
    let mut last = 0;
    loop {
        let said = message(&mut events).await;
        let Some(done) = said["params"]["progress"].as_u64() else {
            assert_eq!(said["error"]["data"]["reason"], "timeout_max", "{said}");
            break;
        };
        assert!(done > last, "{done}");
        last = done;
    }
    assert!(last >= 40, "{last}");
    events.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_question_has_its_time_though_nobody_reads() {
    let server = Server::new(&["slow"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| {
        config.servers[0].timeouts.ask = Duration::from_secs(60);
    });
    let client = Client::of(&house);
    let reply = client.post("tools/call", json!({"name": "s__slow", "_meta": {"progressToken": "t"}}));
    let call = server.hear_method("tools/call").await;
    for done in 1..=20 {
        server.progress(&call, done).await;
        settled().await;
    }
    server.ask(0, 70).await;
    let mut events = reply.await.unwrap().events();
    wait(Duration::from_secs(61)).await;
    let refused = server.hear().await.message;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(70), &json!(1001)));
    // It goes on, and nobody is asked what is over.
    server.answer(&call, json!({"n": 1})).await;
    loop {
        let said = message(&mut events).await;
        if said["params"].is_null() {
            assert_eq!(said["result"]["n"], 1, "{said}");
            break;
        }
    }
}
