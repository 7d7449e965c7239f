//! Streamable HTTP: the requests of one connection, and what becomes of every kind of answer.

use super::far::{Far, Seen, Takes};
use super::stage::{Client, Stage, greeting, greets, result, tools};
use http::Method;
use mcp_braid::config::{Reach, Sharing};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A server in memory, and one client with a call under the id 7, which the server has.
async fn one_call() -> (Far, Stage, Client, Seen) {
    let (mut far, stage, mut client) = nothing_yet().await;
    let call = called(&mut far, &mut client, 7).await;
    (far, stage, client, call)
}

async fn nothing_yet() -> (Far, Stage, Client) {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let (client, events) = stage.ready(&mut far).await;
    events.keep();
    (far, stage, client)
}

async fn called(far: &mut Far, client: &mut Client, id: u64) -> Seen {
    client.call(json!(id)).await;
    far.post("tools/call").await
}

/// The link is as good as before: a call goes through.
async fn still_works(far: &mut Far, client: &mut Client) {
    let call = called(far, client, 99).await;
    let id = call.id();
    call.json(&result(&id, "fine"));
    assert_eq!(client.answer(&json!(99)).await, result(&json!(99), "fine"));
}

fn progress(token: &Value, progress: u64) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": progress}})
}

fn log(text: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": text}})
}

fn ask(id: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "elicitation/create",
        "params": {"message": "why", "requestedSchema": {"type": "object", "properties": {}}}})
}

#[tokio::test]
async fn a_call_goes_there_and_back_over_a_real_socket() {
    let mut far = Far::at_a_port().await;
    let mut stage = Stage::before(&far);
    let (mut client, _events) = stage.ready(&mut far).await;
    client.call(json!(7)).await;
    let post = far.post("tools/call").await;
    assert_eq!((post.path.as_str(), &post.message()["params"]["name"]), ("/mcp", &json!("t")));
    let id = post.id();
    post.json(&result(&id, "pong"));
    assert_eq!(client.answer(&json!(7)).await, result(&json!(7), "pong"));
    let call = called(&mut far, &mut client, 8).await;
    let id = call.id();
    let events = call.events();
    events.say(&progress(&id, 1)).await;
    assert_eq!(client.next().await, progress(&json!(8), 1), "it comes before the stream ends");
    events.say(&result(&id, "streamed")).await;
    assert_eq!(client.answer(&json!(8)).await, result(&json!(8), "streamed"));
    drop(events);
    let ends = tokio::join!(stage.close(), async { far.delete().await.answer(200, &[], "") });
    assert_eq!(ends, ((), ()));
}

#[tokio::test(start_paused = true)]
async fn each_request_says_what_it_must_and_nothing_else() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let mut client = stage.client("2025-11-25", json!({})).await;
    let hello = far.post("initialize").await;
    let named = |seen: &Seen| {
        let mut names: Vec<String> = seen.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(named(&hello), "accept content-type user-agent x-key");
    assert_eq!(hello.header("accept"), Some("application/json, text/event-stream"));
    assert_eq!(hello.header("content-type"), Some("application/json"));
    assert_eq!(hello.header("x-key"), Some("s3cret"));
    assert_eq!(hello.header("user-agent"), Some(concat!("braid/", env!("CARGO_PKG_VERSION"))));
    hello.greet("2025-11-25", Some("s-1"));
    let initialized = far.post("notifications/initialized").await;
    let with = "accept content-type mcp-protocol-version mcp-session-id user-agent x-key";
    assert_eq!(named(&initialized), with);
    initialized.accepted();
    let get = far.get().await;
    assert_eq!(named(&get), "accept mcp-protocol-version mcp-session-id user-agent x-key");
    assert_eq!(get.header("accept"), Some("text/event-stream"));
    assert_eq!(get.header("mcp-session-id"), Some("s-1"));
    assert_eq!(get.header("mcp-protocol-version"), Some("2025-11-25"));
    get.answer(405, &[], "");
    far.post("tools/list").await.lists();
    let call = called(&mut far, &mut client, 7).await;
    assert_eq!(named(&call), with);
    call.accepted();
    let end = async {
        let delete = far.delete().await;
        assert_eq!(named(&delete), "mcp-protocol-version mcp-session-id user-agent x-key");
        delete.answer(405, &[], "");
    };
    tokio::join!(stage.close(), end);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_configured_stands_for_ours() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| {
        let Reach::Http(remote) = &mut server.reach else { panic!("a URL") };
        remote.headers = vec![("User-Agent".to_owned(), mcp_braid::config::Secret::new("other/1"))];
    });
    let _client = stage.client("2025-11-25", json!({})).await;
    assert_eq!(far.post("initialize").await.header("user-agent"), Some("other/1"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_revision_without_the_version_header_goes_without_it() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let _client = stage.client("2025-03-26", json!({})).await;
    far.post("initialize").await.greet("2025-03-26", None);
    let initialized = far.post("notifications/initialized").await;
    assert_eq!(
        (initialized.header("mcp-protocol-version"), initialized.header("mcp-session-id")),
        (None, None)
    );
    initialized.accepted();
    // Without a session there is none to end.
    stage.close().await;
    assert!(far.left().iter().all(|left| !left.starts_with("DELETE")), "{:?}", far.left());
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_initialized() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let client = stage.client("2025-11-25", json!({})).await;
    far.post("initialize").await.greet("2025-11-25", None);
    let initialized = far.post("notifications/initialized").await;
    client.call(json!(7)).await;
    sleep(Duration::from_secs(9)).await;
    assert_eq!(far.left(), Vec::<String>::new());
    initialized.accepted();
    far.get().await.answer(405, &[], "");
    far.post("tools/list").await.lists();
    far.post("tools/call").await.accepted();
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_takes_initialized_is_waited_for_ten_seconds() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.timeouts.list = Duration::from_secs(60));
    let _client = stage.client("2025-11-25", json!({})).await;
    far.post("initialize").await.greet("2025-11-25", None);
    let _initialized = far.post("notifications/initialized").await;
    let since = Instant::now();
    far.get().await.answer(405, &[], "");
    far.post("tools/list").await.lists();
    assert_eq!(since.elapsed().as_secs(), 10);
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_is_posted_when_the_stream_beside_is_open_or_refused() {
    for refuses in [true, false] {
        let mut far = Far::in_memory();
        let mut stage = Stage::before(&far);
        let client = stage.client("2025-11-25", json!({})).await;
        far.post("initialize").await.greet("2025-11-25", None);
        client.call(json!(7)).await;
        far.post("notifications/initialized").await.accepted();
        let get = far.get().await;
        sleep(Duration::from_millis(999)).await;
        assert_eq!(far.left(), Vec::<String>::new());
        if refuses {
            get.answer(405, &[], "")
        } else {
            get.events().keep()
        }
        let since = Instant::now();
        far.post("tools/list").await.lists();
        far.post("tools/call").await.accepted();
        assert_eq!(since.elapsed(), Duration::ZERO);
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_beside_whose_head_does_not_come_is_waited_for_one_second() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let client = stage.client("2025-11-25", json!({})).await;
    far.post("initialize").await.greet("2025-11-25", None);
    client.call(json!(7)).await;
    far.post("notifications/initialized").await.accepted();
    let since = Instant::now();
    let get = far.get().await;
    far.post("tools/list").await.lists();
    far.post("tools/call").await.accepted();
    assert_eq!(since.elapsed(), Duration::from_secs(1));
    get.events().keep();
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_our_leaving_holds_us_one_second() {
    let (mut far, stage, _client) = nothing_yet().await;
    let since = Instant::now();
    stage.close().await;
    assert_eq!(since.elapsed().as_secs(), 1);
    far.delete().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_id_that_is_none_is_refused() {
    for id in ["a b", "ä", "", &"x".repeat(5000)] {
        let mut far = Far::in_memory();
        let mut stage = Stage::before(&far);
        let client = stage.client("2025-11-25", json!({})).await;
        let hello = far.post("initialize").await;
        let body = greeting(&hello.id(), "2025-11-25").to_string();
        hello.answer(200, &[("content-type", "application/json"), ("mcp-session-id", id)], &body);
        sleep(Duration::from_millis(1)).await;
        let why = stage.down(&client).unwrap();
        assert!(why.starts_with("far: gave a session id that is none"), "{why}");
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_posted_beside_each_other() {
    let (mut far, stage, mut client) = nothing_yet().await;
    let mut open = Vec::new();
    for id in 0..64 {
        open.push((id, called(&mut far, &mut client, id).await));
    }
    for (number, call) in open.into_iter().rev() {
        let id = call.id();
        call.json(&result(&id, "x"));
        assert_eq!(client.answer(&json!(number)).await["id"], number);
    }
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_before_its_answer_comes_before_it() {
    let (_far, stage, mut client, call) = one_call().await;
    let id = call.id();
    let events = call.events();
    for n in 1..=20 {
        events.say(&progress(&id, n)).await;
        events.say(&log(&n.to_string())).await;
    }
    events.say(&result(&id, "done")).await;
    for n in 1..=20 {
        assert_eq!(client.next().await, progress(&json!(7), n));
        assert_eq!(client.next().await, log(&n.to_string()));
    }
    assert_eq!(client.next().await, result(&json!(7), "done"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn comments_other_events_and_events_without_data_are_passed_over() {
    let (_far, stage, mut client, call) = one_call().await;
    let id = call.id();
    let events = call.events();
    events.raw("id: 1\ndata: \n\n: keep-alive\n\nevent: ping\ndata: {}\n\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\r\n").await;
    events.raw(&format!("data: \"id\":{id},\"result\":{{}}}}\r\n\r\n")).await;
    assert_eq!(client.next().await, json!({"jsonrpc": "2.0", "id": 7, "result": {}}));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_array_of_messages_is_read_where_that_was_agreed() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let mut client = stage.client("2025-03-26", json!({})).await;
    let _events = greets(&mut far, "2025-03-26", None).await;
    let call = called(&mut far, &mut client, 7).await;
    let id = call.id();
    call.json(&json!([progress(&id, 1), result(&id, "x")]));
    assert_eq!(client.next().await, progress(&json!(7), 1));
    assert_eq!(client.next().await, result(&json!(7), "x"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_holds_no_answer_fails_its_call_alone() {
    let json_type = [("content-type", "application/json; charset=utf-8")];
    let other = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let text = [("content-type", "text/html; charset=utf-8")];
    for (status, headers, body, why) in [
        (202, [].as_slice(), "", "answered 202 without an answer: it has no body that could be one"),
        (200, &text, "<p>", "answered 200 without an answer: its body is `text/html; charset=utf-8`"),
        (200, &json_type, "{}", "answered with a body that holds no answer to the call"),
        (200, &json_type, "", "answered with a body that holds no answer to the call"),
        (200, &json_type, other, "answered with a body that holds no answer to the call"),
    ] {
        let (mut far, stage, mut client, call) = one_call().await;
        call.answer(status, headers, body);
        let (text, _, outcome) = client.fault(&json!(7)).await;
        assert_eq!((text, outcome.as_str()), (format!("far: {why}"), "unknown"));
        still_works(&mut far, &mut client).await;
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_end_without_the_answer_fail_their_call_alone() {
    let (mut far, stage, mut client, call) = one_call().await;
    drop(call.events());
    let (text, reason, outcome) = client.fault(&json!(7)).await;
    assert_eq!(text, "far: the answer ended before it was there");
    assert_eq!((reason.as_str(), outcome.as_str()), ("gone", "unknown"));
    still_works(&mut far, &mut client).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_call_is_nobodys() {
    let (mut far, stage, mut client, first) = one_call().await;
    let second = called(&mut far, &mut client, 8).await;
    let (own, other) = (first.id(), second.id());
    let events = first.events();
    events.say(&result(&other, "forged")).await;
    events.say(&result(&json!("x"), "forged")).await;
    let error = json!({"jsonrpc": "2.0", "id": other, "error": {"code": 1, "message": "forged"}});
    events.say(&error).await;
    events
        .say(&json!({"jsonrpc": "2.0", "id": "server-error", "error": {"code": 1, "message": "forged"}}))
        .await;
    events.say(&result(&own, "mine")).await;
    assert_eq!(client.next().await, result(&json!(7), "mine"));
    second.json(&result(&other, "yours"));
    assert_eq!(client.next().await, result(&json!(8), "yours"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_servers_own_error_passes_whatever_the_status() {
    let error = json!({"code": -32000, "message": "no", "data": {"x": 1}});
    for (status, id) in
        [(400, None), (400, Some(Value::Null)), (500, None), (200, Some(Value::Null)), (429, None)]
    {
        for own in [true, false] {
            let (mut far, stage, mut client, call) = one_call().await;
            let id = if own { Some(call.id()) } else { id.clone() };
            let mut body = json!({"jsonrpc": "2.0", "error": error});
            if let Some(id) = id {
                body["id"] = id;
            }
            call.answer(status, &[("content-type", "application/json")], &body.to_string());
            assert_eq!(client.next().await, json!({"jsonrpc": "2.0", "id": 7, "error": error}));
            still_works(&mut far, &mut client).await;
            stage.close().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_is_said_with_what_the_server_says_of_it() {
    let error = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"bad\nthing"}}"#;
    for (status, body, why, reason) in [
        (500, "", "answered 500 Internal Server Error", "gone"),
        (502, "<html>", "answered 502 Bad Gateway", "gone"),
        (503, "later", "answered 503 Service Unavailable: later", "busy"),
        (429, "", "answered 429 Too Many Requests", "rate"),
        (400, error, r"answered 400 Bad Request: bad\u{a}thing", "unreachable"),
        (599, "", "answered 599", "gone"),
        (302, "", "answered 302 Found", "unreachable"),
    ] {
        let (mut far, stage, mut client, call) = one_call().await;
        call.answer(status, &[], body);
        let (text, said, outcome) = client.fault(&json!(7)).await;
        assert_eq!((text, said.as_str(), outcome.as_str()), (format!("far: {why}"), reason, "unknown"));
        still_works(&mut far, &mut client).await;
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_name_the_setting_and_cost_one_call() {
    for (status, why) in [
        (401, "answered 401 Unauthorized: it wants other credentials (servers.far.headers)"),
        (403, "answered 403 Forbidden: these credentials may not do that (servers.far.headers)"),
    ] {
        let (mut far, stage, mut client, call) = one_call().await;
        let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"s3cret"}}"#;
        call.answer(status, &[("content-type", "application/json")], body);
        let (text, _, outcome) = client.fault(&json!(7)).await;
        assert_eq!((text, outcome.as_str()), (format!("far: {why}"), "not_sent"));
        still_works(&mut far, &mut client).await;
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_leaves_the_outcome_unknown_and_the_link_alone() {
    let (mut far, stage, mut client, call) = one_call().await;
    call.breaks();
    let (text, _, outcome) = client.fault(&json!(7)).await;
    assert_eq!((text.as_str(), outcome.as_str()), ("far: far.test closed the connection", "unknown"));
    let call = called(&mut far, &mut client, 8).await;
    call.events().breaks().await;
    let (text, _, outcome) = client.fault(&json!(8)).await;
    assert_eq!((text.as_str(), outcome.as_str()), ("far: far.test broke off", "unknown"));
    still_works(&mut far, &mut client).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_over_the_limit_fails_its_call_alone() {
    let mut far = Far::in_memory();
    let mut stage = Stage::limited(&far, 2000);
    let (mut client, _events) = stage.ready(&mut far).await;
    let long = "x".repeat(2000);
    let call = called(&mut far, &mut client, 7).await;
    let id = call.id();
    call.json(&result(&id, &long));
    let (text, reason, outcome) = client.fault(&json!(7)).await;
    assert_eq!(text, "far: the answer has more than 2000 bytes (limits.server_message)");
    assert_eq!((reason.as_str(), outcome.as_str()), ("too_large", "unknown"));
    let call = called(&mut far, &mut client, 8).await;
    let id = call.id();
    let events = call.events();
    events.say(&result(&id, &long)).await;
    let (text, reason, _) = client.fault(&json!(8)).await;
    assert!(text.contains("over the limit of 2000 (limits.server_message)"), "{text}");
    assert_eq!(reason, "too_large");
    still_works(&mut far, &mut client).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_over_the_limit_is_not_asked_for_again() {
    let mut far = Far::in_memory();
    let mut stage = Stage::limited(&far, 2000);
    let (mut client, beside) = stage.ready(&mut far).await;
    beside.keep();
    let call = called(&mut far, &mut client, 7).await;
    let id = call.id();
    let events = call.events();
    events.say_as("e-1", &progress(&id, 1)).await;
    events.say_as("e-2", &result(&id, &"x".repeat(2000))).await;
    assert_eq!(client.fault(&json!(7)).await.1, "too_large");
    drop(events);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(far.left(), Vec::<String>::new());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_what_is_no_message_fails_its_call_alone() {
    let (mut far, stage, mut client, call) = one_call().await;
    let events = call.events();
    events.raw("data: hello\n\n").await;
    events.raw(&"data: hello\n\n".repeat(2000)).await;
    let (text, _, outcome) = client.fault(&json!(7)).await;
    assert_eq!(
        (text.as_str(), outcome.as_str()),
        ("far: answered with too much that is no message", "unknown")
    );
    still_works(&mut far, &mut client).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_taken_up_after_its_last_event() {
    let (mut far, stage, mut client, call) = one_call().await;
    let id = call.id();
    let events = call.events();
    events.say_as("e-1", &progress(&id, 1)).await;
    events.say_as("e-2", &progress(&id, 2)).await;
    events.breaks().await;
    let since = Instant::now();
    let get = far.get().await;
    assert_eq!((since.elapsed(), get.header("last-event-id")), (Duration::from_secs(1), Some("e-2")));
    let events = get.events();
    events.raw("retry: 2500\n\n").await;
    events.say_as("e-3", &progress(&id, 3)).await;
    drop(events);
    let since = Instant::now();
    let get = far.get().await;
    assert_eq!((since.elapsed(), get.header("last-event-id")), (Duration::from_millis(2500), Some("e-3")));
    get.events().say(&result(&id, "at last")).await;
    for n in 1..=3 {
        assert_eq!(client.next().await, progress(&json!(7), n));
    }
    assert_eq!(client.next().await, result(&json!(7), "at last"));
    assert_eq!(client.left(), Vec::<Value>::new());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_may_let_go_at_once_and_be_polled() {
    let (mut far, stage, mut client, call) = one_call().await;
    let id = call.id();
    call.events().raw("id: p\nretry: 200\ndata: \n\n").await;
    for _ in 0..100 {
        let since = Instant::now();
        let get = far.get().await;
        assert_eq!((since.elapsed(), get.header("last-event-id")), (Duration::from_millis(200), Some("p")));
        drop(get.events());
    }
    far.get().await.events().say(&result(&id, "at last")).await;
    assert_eq!(client.next().await, result(&json!(7), "at last"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_calls_own_clock_rules_over_polling() {
    let (mut far, stage, mut client, call) = one_call().await;
    let since = Instant::now();
    call.events().raw("id: p\nretry: 50000\ndata: \n\n").await;
    for _ in 0..2 {
        drop(far.get().await.events());
    }
    let (text, reason, outcome) = client.fault(&json!(7)).await;
    assert_eq!(
        (since.elapsed().as_secs(), reason.as_str(), outcome.as_str()),
        (120, "timeout", "unknown"),
        "{text}"
    );
    far.post("notifications/cancelled").await.accepted();
    sleep(Duration::from_secs(60)).await;
    assert!(!far.left().iter().any(|left| left.starts_with("GET")), "it is not polled any more");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_taken_up_fails_its_call() {
    for status in [400, 404, 405] {
        let (mut far, stage, mut client, call) = one_call().await;
        call.events().raw("id: p\ndata: \n\n").await;
        far.get().await.answer(status, &[], "");
        let (text, _, outcome) = client.fault(&json!(7)).await;
        assert_eq!(
            (text.as_str(), outcome.as_str()),
            ("far: the answer ended before it was there", "unknown")
        );
        still_works(&mut far, &mut client).await;
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_an_id_that_cannot_be_sent_is_not_taken_up() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.timeouts.ping = None);
    let (mut client, beside) = stage.ready(&mut far).await;
    let call = called(&mut far, &mut client, 7).await;
    let id = call.id();
    let events = call.events();
    events.say_as("e-1", &progress(&id, 1)).await;
    events.say_as("e\u{1}", &progress(&id, 2)).await;
    drop(events);
    let (text, _, outcome) = client.fault(&json!(7)).await;
    assert_eq!((text.as_str(), outcome.as_str()), ("far: the answer ended before it was there", "unknown"));
    assert_eq!(far.left(), Vec::<String>::new());
    // Beside the answers it is asked for as if nothing had come.
    beside.say_as("e-1", &log("a")).await;
    beside.say_as("e\u{1}", &log("b")).await;
    drop(beside);
    assert_eq!(far.get().await.header("last-event-id"), None);
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_id_that_was_taken_back_is_not_resumed_from() {
    let (mut far, stage, mut client, call) = one_call().await;
    call.events().raw("id: e-1\ndata: \n\n").await;
    let get = far.get().await;
    assert_eq!(get.header("last-event-id"), Some("e-1"));
    get.events().raw("id\ndata: \n\n").await;
    let (text, _, outcome) = client.fault(&json!(7)).await;
    assert_eq!((text.as_str(), outcome.as_str()), ("far: the answer ended before it was there", "unknown"));
    assert_eq!(far.left(), Vec::<String>::new());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn taking_a_stream_up_is_tried_32_times_in_a_row() {
    let (mut far, stage, mut client, call) = one_call().await;
    call.events().raw("id: p\ndata: \n\n").await;
    for _ in 0..32 {
        far.get().await.answer(503, &[], "");
    }
    let (_, _, outcome) = client.fault(&json!(7)).await;
    assert_eq!(outcome, "unknown");
    assert_eq!(far.left(), Vec::<String>::new());
    still_works(&mut far, &mut client).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_a_server_that_refuses_connections() {
    let (mut far, stage, mut client, call) = one_call().await;
    call.events().raw("id: p\ndata: \n\n").await;
    for _ in 0..2 {
        far.get().await.was_not_sent();
    }
    let (_, reason, outcome) = client.fault(&json!(7)).await;
    assert_eq!((reason.as_str(), outcome.as_str()), ("gone", "unknown"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_stream_beside_its_answers_is_asked_for_it_once() {
    for (status, headers) in [
        (405, [].as_slice()),
        (404, &[]),
        (400, &[]),
        (401, &[]),
        (501, &[]),
        (200, &[("content-type", "text/html")]),
    ] {
        let mut far = Far::in_memory();
        let mut stage = Stage::before(&far);
        let mut client = stage.client("2025-11-25", json!({})).await;
        far.post("initialize").await.greet("2025-11-25", Some("s-1"));
        far.post("notifications/initialized").await.accepted();
        far.get().await.answer(status, headers, "");
        far.post("tools/list").await.lists();
        still_works(&mut far, &mut client).await;
        sleep(Duration::from_secs(20)).await;
        assert_eq!(far.left(), Vec::<String>::new());
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_stream_beside_is_asked_for_ever_more_slowly_and_taken_up() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.timeouts.ping = None);
    let (mut client, events) = stage.ready(&mut far).await;
    events.say_as("e-1", &log("a")).await;
    assert_eq!(client.next().await, log("a"));
    events.breaks().await;
    let mut pauses = Vec::new();
    for n in 0..9 {
        let since = Instant::now();
        let get = far.get().await;
        pauses.push(since.elapsed().as_secs());
        assert_eq!(get.header("last-event-id"), Some("e-1"));
        match n % 3 {
            0 => get.answer(429, &[], ""),
            1 => get.answer(500, &[], ""),
            _ => get.breaks(),
        }
    }
    assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 32, 60, 60]);
    let events = far.get().await.events();
    events.say_as("e-2", &log("b")).await;
    assert_eq!(client.next().await, log("b"));
    drop(events);
    let since = Instant::now();
    assert_eq!(far.get().await.header("last-event-id"), Some("e-2"));
    assert_eq!(since.elapsed().as_secs(), 1);
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_of_the_stream_beside_all_lists_are_looked_at_once_a_minute() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.timeouts.ping = None);
    let (mut client, mut events) = stage.ready(&mut far).await;
    client.say(json!({"jsonrpc": "2.0", "id": "list", "method": "tools/list", "params": {}})).await;
    client.answer(&json!("list")).await;
    sleep(Duration::from_secs(100)).await;
    drop(events);
    events = far.get().await.events();
    far.post("tools/list").await.result(tools());
    sleep(Duration::from_secs(10)).await;
    assert_eq!(client.left(), Vec::<Value>::new(), "the same is no news");
    let since = Instant::now();
    for _ in 0..5 {
        events.raw(": here\n\n").await;
        drop(events);
        events = far.get().await.events();
        assert!(!far.left().iter().any(|left| left.contains("tools/list")));
    }
    let other = json!({"tools": [{"name": "u", "inputSchema": {"type": "object"}}]});
    far.post("tools/list").await.result(other);
    assert!((45..=51).contains(&since.elapsed().as_secs()), "{:?}", since.elapsed());
    client.method("notifications/tools/list_changed").await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(far.left(), Vec::<String>::new());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_beside_its_answers_is_heard() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let (mut client, events) = stage.ready(&mut far).await;
    events.say(&json!({"jsonrpc": "2.0", "id": "p", "method": "ping"})).await;
    assert_eq!(far.reply().await.message(), json!({"jsonrpc": "2.0", "id": "p", "result": {}}));
    events.say(&ask("q")).await;
    let asked = client.method("elicitation/create").await;
    client
        .say(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {}}}))
        .await;
    let answer = far.reply().await;
    assert_eq!(
        answer.message(),
        json!({"jsonrpc": "2.0", "id": "q", "result": {"action": "accept", "content": {}}})
    );
    assert_eq!((&answer.method, answer.header("mcp-session-id")), (&Method::POST, Some("s-1")));
    answer.accepted();
    events.say(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})).await;
    far.post("tools/list").await.result(tools());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn on_a_link_of_its_own_an_ask_outlives_the_call_that_it_came_with() {
    let (mut far, stage, mut client, call) = one_call().await;
    let id = call.id();
    let events = call.events();
    events.say(&ask("q")).await;
    let asked = client.method("elicitation/create").await;
    events.say(&result(&id, "never mind")).await;
    assert_eq!(client.answer(&json!(7)).await, result(&json!(7), "never mind"));
    client.say(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}})).await;
    let answered = far.reply().await;
    assert_eq!(answered.message(), json!({"jsonrpc": "2.0", "id": "q", "result": {"action": "decline"}}));
    answered.accepted();
    assert_eq!(client.left(), Vec::<Value>::new());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn on_a_shared_link_an_ask_with_a_call_ends_with_the_call() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.sharing = Sharing::Shared);
    let mut client = stage.client("2025-11-25", json!({"elicitation": {}})).await;
    let _beside = greets(&mut far, "2025-11-25", Some("s-1")).await;
    let call = called(&mut far, &mut client, 7).await;
    let id = call.id();
    let events = call.events();
    events.say(&ask("q")).await;
    let asked = client.method("elicitation/create").await;
    events.say(&result(&id, "never mind")).await;
    assert_eq!(client.answer(&json!(7)).await, result(&json!(7), "never mind"));
    let cancelled = client.method("notifications/cancelled").await;
    assert_eq!(cancelled["params"]["requestId"], asked["id"]);
    let refused = far.reply().await;
    assert_eq!((&refused.message()["id"], refused.message()["error"]["code"].is_i64()), (&json!("q"), true));
    refused.accepted();
    events.say(&ask("r")).await;
    let refused = far.reply().await.message();
    assert_eq!(
        (&refused["id"], &refused["error"]["message"]),
        (&json!("r"), &json!("the call that this came with is over"))
    );
    assert_eq!(client.left(), Vec::<Value>::new());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn on_a_shared_link_a_calls_own_stream_says_whose_it_is() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.sharing = Sharing::Shared);
    let can = json!({"elicitation": {}});
    let mut one = stage.client("2025-11-25", can.clone()).await;
    let beside = greets(&mut far, "2025-11-25", Some("s-1")).await;
    let mut other = stage.client("2025-11-25", can).await;
    for client in [&mut one, &mut other] {
        client.say(json!({"jsonrpc": "2.0", "id": "l", "method": "logging/setLevel", "params": {"level": "debug"}})).await;
    }
    far.post("logging/setLevel").await.result(json!({}));
    one.answer(&json!("l")).await;
    other.answer(&json!("l")).await;
    let (first, second) = (called(&mut far, &mut one, 1).await, called(&mut far, &mut other, 2).await);
    let (first_id, second_id) = (first.id(), second.id());
    let (first, second) = (first.events(), second.events());
    first.say(&log("for one")).await;
    second.say(&log("for the other")).await;
    first.say(&ask("a")).await;
    second.say(&ask("b")).await;
    assert_eq!(one.next().await, log("for one"));
    assert_eq!(other.next().await, log("for the other"));
    for (client, id) in [(&mut one, "a"), (&mut other, "b")] {
        let asked = client.next().await;
        assert_eq!(asked["method"], "elicitation/create", "{asked}");
        client.say(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}})).await;
        let answer = far.reply().await;
        assert_eq!(answer.message()["id"], id);
        answer.accepted();
    }
    // Beside the calls nothing says whose an ask is, and a log is everyone's.
    beside.say(&ask("c")).await;
    assert_eq!(far.reply().await.message()["error"]["code"], -32602);
    beside.say(&log("for all")).await;
    assert_eq!((one.next().await, other.next().await), (log("for all"), log("for all")));
    first.say(&result(&first_id, "x")).await;
    second.say(&result(&second_id, "y")).await;
    assert_eq!(one.next().await, result(&json!(1), "x"));
    assert_eq!(other.next().await, result(&json!(2), "y"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn on_a_shared_link_what_comes_with_a_call_that_is_over_is_nobodys() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.sharing = Sharing::Shared);
    let can = json!({"elicitation": {}});
    let mut one = stage.client("2025-11-25", can.clone()).await;
    let beside = greets(&mut far, "2025-11-25", Some("s-1")).await;
    let mut other = stage.client("2025-11-25", can).await;
    for client in [&mut one, &mut other] {
        client.say(json!({"jsonrpc": "2.0", "id": "l", "method": "logging/setLevel", "params": {"level": "debug"}})).await;
    }
    far.post("logging/setLevel").await.result(json!({}));
    one.answer(&json!("l")).await;
    other.answer(&json!("l")).await;
    let call = called(&mut far, &mut one, 1).await;
    one.say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})).await;
    far.post("notifications/cancelled").await.accepted();
    // Its head comes only now.
    let events = call.events();
    events.say(&log("for one")).await;
    events.say(&ask("q")).await;
    let refused = far.reply().await.message();
    assert_eq!((&refused["id"], refused["error"]["code"].is_i64()), (&json!("q"), true));
    beside.say(&log("for all")).await;
    assert_eq!((one.next().await, other.next().await), (log("for all"), log("for all")));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn on_a_shared_link_an_ask_with_a_request_of_ours_is_nobodys() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.sharing = Sharing::Shared);
    let mut client = stage.client("2025-11-25", json!({"elicitation": {}})).await;
    far.post("initialize").await.greet("2025-11-25", None);
    far.post("notifications/initialized").await.accepted();
    let list = far.post("tools/list").await;
    let id = list.id();
    let events = list.events();
    events.say(&ask("q")).await;
    assert_eq!(far.reply().await.message()["error"]["code"], -32602);
    events.say(&json!({"jsonrpc": "2.0", "id": id, "result": tools()})).await;
    still_works(&mut far, &mut client).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_is_cancelled_there_and_its_stream_let_go() {
    let (mut far, stage, mut client, call) = one_call().await;
    let id = call.id();
    let events = call.events();
    client
        .say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}))
        .await;
    let cancel = far.post("notifications/cancelled").await;
    assert_eq!(cancel.message()["params"]["requestId"], id);
    cancel.accepted();
    let since = Instant::now();
    sleep(Duration::from_secs(4)).await;
    assert!(events.is_read());
    events.say(&ask("q")).await;
    // It comes too late for the call, and is the client's all the same.
    let asked = client.method("elicitation/create").await;
    client.say(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "cancel"}})).await;
    let answered = far.reply().await;
    assert_eq!(answered.message()["id"], "q");
    answered.accepted();
    events.is_left().await;
    assert_eq!(since.elapsed().as_secs(), 5);
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_gives_its_request_a_start() {
    let (mut far, stage, client, call) = one_call().await;
    let since = Instant::now();
    client
        .say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}))
        .await;
    far.post("notifications/cancelled").await.accepted();
    assert_eq!(since.elapsed(), Duration::from_millis(100), "the answer to the request has not begun");
    drop(call);
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_waits_until_its_request_is_written() {
    let (mut far, stage, client) = nothing_yet().await;
    let cancelled =
        |id| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    far.takes(Takes::Heads);
    client.call(json!(7)).await;
    sleep(Duration::from_millis(1)).await;
    client.say(cancelled(7)).await;
    sleep(Duration::from_secs(4)).await;
    far.takes(Takes::All);
    let _call = far.post("tools/call").await;
    let since = Instant::now();
    far.post("notifications/cancelled").await.accepted();
    assert_eq!(since.elapsed(), Duration::from_millis(100));
    // One that is not written by then is let go, and never there as a whole.
    far.takes(Takes::Heads);
    client.call(json!(8)).await;
    sleep(Duration::from_millis(1)).await;
    client.say(cancelled(8)).await;
    sleep(Duration::from_secs(6)).await;
    far.takes(Takes::All);
    far.post("notifications/cancelled").await.accepted();
    assert_eq!(far.left(), Vec::<String>::new());
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_over_before_there_is_a_connection_was_never_sent() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.timeouts.ping = None);
    let (mut client, events) = stage.ready(&mut far).await;
    events.keep();
    far.takes(Takes::Nothing);
    client.call(json!(7)).await;
    let (text, reason, outcome) = client.fault(&json!(7)).await;
    assert!(text.ends_with("; it was never sent"), "{text}");
    assert_eq!((reason.as_str(), outcome.as_str()), ("timeout", "not_sent"));
    far.takes(Takes::All);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(far.left(), Vec::<String>::new(), "neither the call nor a cancel");
    still_works(&mut far, &mut client).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_written_leaves_its_room_to_others() {
    let mut far = Far::in_memory();
    let mut stage = Stage::narrow(&far, 64 * 1024);
    let (mut client, events) = stage.ready(&mut far).await;
    events.keep();
    let mut open = Vec::new();
    for id in 0..5 {
        client
            .say(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "far__t",
                "arguments": {"pad": "x".repeat(40 * 1024)}}}))
            .await;
        open.push(far.post("tools/call").await);
    }
    still_works(&mut far, &mut client).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_place_is_anothers_as_soon_as_the_cancel_was_taken() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| server.in_flight_max = 1);
    let (mut client, events) = stage.ready(&mut far).await;
    events.keep();
    let _call = called(&mut far, &mut client, 7).await;
    client.call(json!(8)).await;
    client
        .say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}))
        .await;
    let cancel = far.post("notifications/cancelled").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(far.left(), Vec::<String>::new(), "the server may not have heard that the place is free");
    cancel.accepted();
    let since = Instant::now();
    let next = far.post("tools/call").await;
    assert_eq!(since.elapsed(), Duration::ZERO);
    let id = next.id();
    next.json(&result(&id, "fine"));
    assert_eq!(client.answer(&json!(8)).await, result(&json!(8), "fine"));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn of_the_calls_that_nobody_waits_for_256_are_still_heard() {
    let (mut far, stage, mut client) = nothing_yet().await;
    let mut heard = Vec::new();
    for id in 0..257 {
        let events = called(&mut far, &mut client, id).await.events();
        client
            .say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}))
            .await;
        far.post("notifications/cancelled").await.accepted();
        heard.push(events);
    }
    let since = Instant::now();
    heard.pop().unwrap().is_left().await;
    assert_eq!(since.elapsed(), Duration::ZERO);
    assert!(heard.iter().all(super::far::Events::is_read));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_open_when_we_leave_are_cancelled_there() {
    let (mut far, stage, client, call) = one_call().await;
    drop(client);
    let cancel = far.post("notifications/cancelled").await;
    assert_eq!(cancel.message()["params"]["requestId"], call.id());
    cancel.accepted();
    far.delete().await.answer(204, &[], "");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_runs_when_we_leave_is_cancelled_there() {
    let mut far = Far::in_memory();
    let mut stage = Stage::before(&far);
    let client = stage.client("2025-11-25", json!({})).await;
    let hello = far.post("initialize").await;
    let mut greeted = greeting(&hello.id(), "2025-11-25");
    greeted["result"]["capabilities"]["tasks"] = json!({"requests": {"tools": {"call": {}}}, "cancel": {}});
    hello.json(&greeted);
    far.post("notifications/initialized").await.accepted();
    far.get().await.answer(405, &[], "");
    far.post("tools/list").await.result(
        json!({"tools": [{"name": "t", "execution": {"taskSupport": "required"}, "inputSchema": {}}]}),
    );
    client.call(json!(7)).await;
    let call = far.post("tools/call").await;
    call.result(json!({"task": {"taskId": "t-1", "status": "working", "pollInterval": 60_000}}));
    sleep(Duration::from_millis(1)).await;
    drop(client);
    let cancel = far.post("tasks/cancel").await;
    assert_eq!(cancel.message()["params"], json!({"taskId": "t-1"}));
    cancel.result(json!({"taskId": "t-1", "status": "cancelled"}));
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_header_that_cannot_be_sent_is_said_and_not_shown() {
    let far = Far::in_memory();
    let mut stage = Stage::with(&far, |server| {
        let Reach::Http(remote) = &mut server.reach else { return };
        remote.headers = vec![("x-key".to_owned(), mcp_braid::config::Secret::new("s3cret\n"))];
    });
    let client = stage.client("2025-11-25", json!({})).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(stage.down(&client).unwrap(), "far: the header `x-key` cannot be sent");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_word_about_a_subscription_arrives_last() {
    let (mut far, stage, mut client) = nothing_yet().await;
    let params = json!({"uri": "far+x://a"});
    for (id, word) in [(1, "subscribe"), (2, "unsubscribe"), (3, "subscribe")] {
        client
            .say(json!({"jsonrpc": "2.0", "id": id, "method": format!("resources/{word}"), "params": params}))
            .await;
    }
    let first = far.post("resources/subscribe").await;
    // Calls need not wait for it.
    still_works(&mut far, &mut client).await;
    sleep(Duration::from_secs(9)).await;
    assert_eq!(far.left(), Vec::<String>::new());
    first.result(json!({}));
    let second = far.post("resources/unsubscribe").await;
    assert_eq!(far.left(), Vec::<String>::new());
    second.result(json!({}));
    far.post("resources/subscribe").await.result(json!({}));
    for id in 1..=3 {
        assert_eq!(client.answer(&json!(id)).await["result"], json!({}));
    }
    stage.close().await;
}

/// As many calls as have room are kept while their answers are coming, in this form; the others fail at once.
async fn answers_that_grow(content_type: &str, before: &str, after: &str) {
    const MIB: usize = 1024 * 1024;
    let mut far = Far::in_memory();
    // A server has a quarter of it: 4 MiB, and an eighth of that is for what is small.
    let mut stage = Stage::buffering(&far, 16 * MIB);
    let (mut client, beside) = stage.ready(&mut far).await;
    beside.keep();
    let text = "x".repeat(MIB);
    let mut coming = Vec::new();
    for id in 0..8_u64 {
        let call = called(&mut far, &mut client, id).await;
        let whole = format!("{before}{}{after}", result(&call.id(), &text));
        let (most, rest) = whole.split_at(MIB);
        let body = call.begins(content_type);
        body.raw(most).await;
        coming.push((id, body, rest.to_owned()));
    }
    for _ in 0..5 {
        let fault = client.hear("a fault", |message| !message["error"].is_null()).await;
        let data = &fault["error"]["data"];
        assert_eq!((&data["reason"], &data["outcome"]), (&json!("busy"), &json!("unknown")), "{fault}");
        let at = coming.iter().position(|(id, ..)| fault["id"] == json!(id)).unwrap();
        coming.remove(at).1.is_left().await;
    }
    // The others are still read, and what is small passes them.
    still_works(&mut far, &mut client).await;
    assert_eq!(client.left(), Vec::<Value>::new());
    for (id, body, rest) in coming {
        assert!(body.is_read());
        body.raw(&rest).await;
        drop(body);
        assert_eq!(client.answer(&json!(id)).await, result(&json!(id), &text));
    }
    // All room is there again: one alone may be larger than what they had together.
    let call = called(&mut far, &mut client, 9).await;
    let whole = format!("{before}{}{after}", result(&call.id(), &"x".repeat(5 * MIB)));
    let body = call.begins(content_type);
    for piece in whole.as_bytes().chunks(MIB) {
        body.raw(std::str::from_utf8(piece).unwrap()).await;
    }
    drop(body);
    assert_eq!(
        client.answer(&json!(9)).await["result"]["content"][0]["text"].as_str().unwrap().len(),
        5 * MIB
    );
}

#[tokio::test(start_paused = true)]
async fn bodies_that_grow_take_room_before_they_are_whole() {
    answers_that_grow("application/json", "", "").await;
}

#[tokio::test(start_paused = true)]
async fn events_that_grow_take_room_before_they_are_whole() {
    answers_that_grow("text/event-stream", "data: ", "\n\n").await;
}
