//! HTTP+SSE, and how it is found out which transport a server speaks.

use super::far::{Events, Far, Seen};
use super::stage::{Client, Stage, greeting, result, tools};
use http::Method;
use mcp_braid::config::{Reach, ServerConfig, Transport};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn speaking(transport: Transport) -> impl FnOnce(&mut ServerConfig) {
    move |server| {
        let Reach::Http(remote) = &mut server.reach else { panic!("a URL") };
        remote.transport = transport;
    }
}

/// The server's side of a handshake on a stream of events that was just asked for.
async fn greets(far: &mut Far, get: Seen, endpoint: &str) -> Events {
    let events = get.events();
    events.raw(&format!("event: endpoint\ndata: {endpoint}\n\n")).await;
    greeted(far, &events).await;
    events
}

async fn greeted(far: &mut Far, events: &Events) {
    let hello = far.post("initialize").await;
    let id = hello.id();
    hello.accepted();
    events.raw(&format!("event: message\ndata: {}\n\n", greeting(&id, "2024-11-05"))).await;
    far.post("notifications/initialized").await.accepted();
    let list = far.post("tools/list").await;
    events.say(&json!({"jsonrpc": "2.0", "id": list.id(), "result": tools()})).await;
    list.accepted();
}

async fn ready() -> (Far, Stage, Client, Events) {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, speaking(Transport::Sse));
    let client = stage.client("2025-11-25", json!({"elicitation": {}})).await;
    let get = far.get().await;
    let events = greets(&mut far, get, "/messages?session=1").await;
    (far, stage, client, events)
}

async fn called(far: &mut Far, client: &mut Client, id: u64) -> Seen {
    client.call(json!(id)).await;
    far.post("tools/call").await
}

async fn answered(far: &mut Far, client: &mut Client, events: &Events, id: u64) {
    let call = called(far, client, id).await;
    let own = call.id();
    call.accepted();
    events.say(&result(&own, "fine")).await;
    assert_eq!(client.answer(&json!(id)).await, result(&json!(id), "fine"));
}

#[tokio::test]
async fn everything_goes_to_the_endpoint_and_comes_with_the_events() {
    let mut far = Far::at_a_port().await;
    let mut stage = Stage::with(&far, speaking(Transport::Sse));
    let mut client = stage.client("2025-11-25", json!({"elicitation": {}})).await;
    let get = far.get().await;
    assert_eq!((get.path.as_str(), get.header("accept")), ("/mcp", Some("text/event-stream")));
    assert_eq!(get.header("x-key"), Some("s3cret"));
    let events = greets(&mut far, get, "messages?session=1").await;
    let call = called(&mut far, &mut client, 7).await;
    assert_eq!((call.path.as_str(), call.header("x-key")), ("/messages?session=1", Some("s3cret")));
    assert_eq!((call.header("mcp-protocol-version"), call.header("mcp-session-id")), (None, None));
    let id = call.id();
    call.accepted();
    events
        .say(&json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create",
        "params": {"message": "why", "requestedSchema": {"type": "object", "properties": {}}}}))
        .await;
    let asked = client.method("elicitation/create").await;
    client.say(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}})).await;
    let answer = far.reply().await;
    assert_eq!((answer.path.as_str(), &answer.message()["id"]), ("/messages?session=1", &json!("q")));
    answer.accepted();
    events.say(&result(&id, "fine")).await;
    assert_eq!(client.answer(&json!(7)).await, result(&json!(7), "fine"));
    assert_eq!(stage.transport(), "sse");
    stage.close().await;
    events.is_left().await;
}

#[tokio::test(start_paused = true)]
async fn calls_are_posted_beside_each_other() {
    let (mut far, stage, mut client, events) = ready().await;
    let since = Instant::now();
    let mut open = Vec::new();
    for id in 0..40 {
        open.push((id, called(&mut far, &mut client, id).await));
    }
    // A server that answers no POST before it has done with it holds nobody.
    assert_eq!(since.elapsed(), Duration::ZERO);
    for (id, call) in open.into_iter().rev() {
        events.say(&result(&call.id(), "x")).await;
        assert_eq!(client.answer(&json!(id)).await, result(&json!(id), "x"));
        call.accepted();
    }
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_must_keep_its_order_keeps_it() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, speaking(Transport::Sse));
    let client = stage.client("2025-11-25", json!({})).await;
    let events = far.get().await.events();
    events.raw("event: endpoint\ndata: /messages\n\n").await;
    let hello = far.post("initialize").await;
    let id = hello.id();
    hello.accepted();
    events.say(&greeting(&id, "2024-11-05")).await;
    let initialized = far.post("notifications/initialized").await;
    client.call(json!(7)).await;
    sleep(Duration::from_secs(9)).await;
    assert_eq!(far.left(), Vec::<String>::new(), "nothing overtakes it");
    initialized.accepted();
    let list = far.post("tools/list").await;
    events.say(&json!({"jsonrpc": "2.0", "id": list.id(), "result": tools()})).await;
    let call = far.post("tools/call").await;
    client
        .say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}))
        .await;
    let since = Instant::now();
    let cancel = far.post("notifications/cancelled").await;
    assert_eq!(since.elapsed(), Duration::from_millis(100), "the call is not taken yet");
    assert_eq!(cancel.message()["params"]["requestId"], call.id());
    cancel.accepted();
    for (id, word) in [(1, "subscribe"), (2, "unsubscribe")] {
        let params = json!({"uri": "far+x://a"});
        client
            .say(json!({"jsonrpc": "2.0", "id": id, "method": format!("resources/{word}"), "params": params}))
            .await;
    }
    let first = far.post("resources/subscribe").await;
    sleep(Duration::from_secs(9)).await;
    assert_eq!(far.left(), Vec::<String>::new());
    first.accepted();
    far.post("resources/unsubscribe").await.accepted();
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_events_is_the_end_of_the_connection() {
    for breaks in [true, false] {
        let (mut far, stage, mut client, events) = ready().await;
        called(&mut far, &mut client, 7).await.accepted();
        sleep(Duration::from_millis(1)).await;
        if breaks {
            events.breaks().await
        } else {
            drop(events)
        }
        let (text, reason, outcome) = client.fault(&json!(7)).await;
        let why = if breaks { "far: far.test broke off" } else { "far: ended its stream of events" };
        assert_eq!((text.as_str(), reason.as_str(), outcome.as_str()), (why, "gone", "unknown"));
        let get = far.get().await;
        let events = greets(&mut far, get, "/messages?session=2").await;
        answered(&mut far, &mut client, &events, 8).await;
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_taken_fails_its_call() {
    let (mut far, stage, mut client, events) = ready().await;
    called(&mut far, &mut client, 7).await.answer(500, &[], "oh");
    let (text, _, outcome) = client.fault(&json!(7)).await;
    assert_eq!((text.as_str(), outcome.as_str()), ("far: answered 500 Internal Server Error: oh", "unknown"));
    called(&mut far, &mut client, 8).await.breaks();
    assert_eq!(client.fault(&json!(8)).await.2, "unknown");
    let error = r#"{"jsonrpc":"2.0","error":{"code":7,"message":"own"}}"#;
    called(&mut far, &mut client, 9).await.answer(400, &[], error);
    assert_eq!(client.answer(&json!(9)).await["error"], json!({"code": 7, "message": "own"}));
    answered(&mut far, &mut client, &events, 10).await;
    // The session in the endpoint is over.
    called(&mut far, &mut client, 11).await.answer(404, &[], "");
    assert_eq!(client.fault(&json!(11)).await.2, "not_sent");
    let get = far.get().await;
    let events = greets(&mut far, get, "/messages?session=2").await;
    answered(&mut far, &mut client, &events, 12).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_speak_it_is_told_so() {
    type Answer = fn(Seen) -> Option<Events>;
    let cases: [(Answer, &str); 5] = [
        (
            |get| {
                get.answer(200, &[("content-type", "text/html")], "");
                None
            },
            "far: answered a GET with something else than events: it does not speak HTTP+SSE",
        ),
        (
            |get| {
                get.answer(405, &[], "");
                None
            },
            "far: answered 405 Method Not Allowed",
        ),
        (
            |get| {
                get.answer(401, &[], "");
                None
            },
            "far: answered 401 Unauthorized: it wants other credentials (servers.far.headers)",
        ),
        (
            |get| {
                get.was_not_sent();
                None
            },
            "far: far.test refuses connections",
        ),
        (|get| Some(get.events()), "far: its events named no `endpoint` in time: it does not speak HTTP+SSE"),
    ];
    for (answer, why) in cases {
        let mut far = Far::in_memory();
        let mut stage = Stage::with(&far, speaking(Transport::Sse));
        let client = stage.client("2025-11-25", json!({})).await;
        let since = Instant::now();
        let kept = answer(far.get().await);
        sleep(Duration::from_secs(if kept.is_some() { 10 } else { 0 }) + Duration::from_millis(5)).await;
        assert!(since.elapsed() < Duration::from_secs(11));
        assert_eq!(stage.down(&client).as_deref(), Some(why));
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_at_another_origin_gets_nothing() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, speaking(Transport::Sse));
    let client = stage.client("2025-11-25", json!({})).await;
    let events = far.get().await.events();
    events.raw("event: endpoint\ndata: http://evil.test/messages?k=v\n\n").await;
    sleep(Duration::from_millis(1)).await;
    let why = "far: named an `endpoint` at another origin: http://evil.test/messages";
    assert_eq!(stage.down(&client).as_deref(), Some(why));
    events.is_left().await;
    assert!(!far.left().iter().any(|left| left.starts_with("POST")));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_older_server_is_found_and_remembered_until_that_is_not_true() {
    for status in [400, 404, 405] {
        let mut far = Far::in_memory();
        let mut stage = Stage::with(&far, speaking(Transport::Auto));
        let mut client = stage.client("2025-11-25", json!({})).await;
        assert_eq!(stage.transport(), "http");
        far.post("initialize").await.answer(status, &[], "Not here");
        let get = far.get().await;
        let events = greets(&mut far, get, "/messages").await;
        answered(&mut far, &mut client, &events, 7).await;
        assert_eq!(stage.transport(), "sse");
        // The next connection begins as the last.
        drop(events);
        let get = far.expect("a request", |_| true).await;
        assert_eq!(get.method, Method::GET);
        let events = greets(&mut far, get, "/messages").await;
        answered(&mut far, &mut client, &events, 8).await;
        // And when it does not hold any more, it is found out anew.
        drop(events);
        far.get().await.answer(400, &[], "");
        let hello = far.post("initialize").await;
        assert_eq!(stage.transport(), "http");
        hello.greet("2025-11-25", Some("s"));
        far.post("notifications/initialized").await.accepted();
        far.get().await.answer(405, &[], "");
        far.post("tools/list").await.lists();
        let call = called(&mut far, &mut client, 9).await;
        let id = call.id();
        call.json(&result(&id, "x"));
        assert_eq!(client.answer(&json!(9)).await, result(&json!(9), "x"));
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_found_holds_while_a_server_refuses_or_is_away() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, speaking(Transport::Auto));
    let mut client = stage.client("2025-11-25", json!({})).await;
    far.post("initialize").await.answer(405, &[], "");
    let get = far.get().await;
    let mut events = greets(&mut far, get, "/messages").await;
    let refuses: [fn(Seen); 5] = [
        |get| get.answer(401, &[], ""),
        |get| get.answer(403, &[], ""),
        |get| get.answer(500, &[], ""),
        |get| get.answer(503, &[], ""),
        Seen::was_not_sent,
    ];
    for refuse in refuses {
        drop(events);
        refuse(far.get().await);
        assert_eq!(stage.transport(), "sse");
        let get = far.expect("a request", |_| true).await;
        assert_eq!(get.method, Method::GET);
        events = greets(&mut far, get, "/messages").await;
        answered(&mut far, &mut client, &events, 8).await;
    }
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_older_server_that_wants_credentials_is_said_to_want_them() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, speaking(Transport::Auto));
    let client = stage.client("2025-11-25", json!({})).await;
    far.post("initialize").await.answer(405, &[], "");
    far.get().await.answer(401, &[], "");
    sleep(Duration::from_millis(1)).await;
    let why = "far: answered 401 Unauthorized: it wants other credentials (servers.far.headers)";
    assert_eq!(stage.down(&client).as_deref(), Some(why));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_initialize_is_no_older_one() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, speaking(Transport::Auto));
    let (mut client, _events) = stage.ready(&mut far).await;
    let call = called(&mut far, &mut client, 9).await;
    let id = call.id();
    call.json(&result(&id, "x"));
    assert_eq!(client.answer(&json!(9)).await, result(&json!(9), "x"));
    assert_eq!(stage.transport(), "http");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_evidence_leads_to_no_other_transport() {
    let modern = |code: i64| {
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "modern"}}).to_string()
    };
    for (status, body, why) in [
        (401, String::new(), "answered 401 Unauthorized: it wants other credentials (servers.far.headers)"),
        (
            403,
            String::new(),
            "answered 403 Forbidden: these credentials may not do that (servers.far.headers)",
        ),
        (500, String::new(), "answered 500 Internal Server Error"),
        (503, String::new(), "answered 503 Service Unavailable"),
        (400, modern(-32022), "refused initialize: modern (-32022)"),
        (400, modern(-32020), "refused initialize: modern (-32020)"),
        (404, modern(-32601), "refused initialize: modern (-32601)"),
    ] {
        let mut far = Far::in_memory();
        let mut stage = Stage::with(&far, speaking(Transport::Auto));
        let client = stage.client("2025-11-25", json!({})).await;
        far.post("initialize").await.answer(status, &[("content-type", "application/json")], &body);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(stage.down(&client), Some(format!("far: {why}")));
        assert_eq!(far.left(), Vec::<String>::new());
        stage.close().await;
    }
    for fails in [Seen::was_not_sent as fn(Seen), Seen::breaks] {
        let mut far = Far::in_memory();
        let mut stage = Stage::with(&far, speaking(Transport::Auto));
        let client = stage.client("2025-11-25", json!({})).await;
        fails(far.post("initialize").await);
        sleep(Duration::from_millis(1)).await;
        assert!(stage.down(&client).is_some());
        assert_eq!(far.left(), Vec::<String>::new());
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_of_neither_kind_is_refused_as_it_said_first() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, speaking(Transport::Auto));
    let client = stage.client("2025-11-25", json!({})).await;
    let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"first"}}"#;
    far.post("initialize").await.answer(400, &[("content-type", "application/json")], body);
    far.get().await.answer(405, &[], "");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(stage.down(&client).as_deref(), Some("far: refused initialize: first (-32000)"));
    assert_eq!(far.left(), Vec::<Value>::new());
    stage.close().await;
}
