//! Servers without a handshake over HTTP: how they are found, and what stands in the head of each request.

use super::far::{Far, Seen};
use super::stage::{Client, Stage, greeting, greets, result, tools};
use http::Method;
use mcp_braid::config::{Protocol, Secret, ServerConfig, ToolConfig};
use serde_json::{Value, json};

fn asked(server: &mut ServerConfig) {
    server.protocol = Protocol::Auto;
}

fn discovered(id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete", "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"}})
}

fn error(id: &Value, code: i64) -> String {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "m",
        "data": {"supported": ["2026-07-28"], "requested": "2026-07-28"}}})
    .to_string()
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// A server that was found, with these tools, and its client.
async fn found(list: Value) -> (Far, Stage, Client) {
    found_as(list, asked).await
}

/// The same with other settings.
async fn found_as(list: Value, set: impl FnOnce(&mut ServerConfig)) -> (Far, Stage, Client) {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, set);
    let client = stage.client("2025-11-25", json!({"elicitation": {}})).await;
    let probe = far.post("server/discover").await;
    assert_eq!(said(&probe), ["2026-07-28", "server/discover", ""]);
    let id = probe.id();
    probe.json(&discovered(&id));
    let lists = far.post("tools/list").await;
    assert_eq!(said(&lists), ["2026-07-28", "tools/list", ""]);
    let declared = &lists.message()["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(declared, &json!({"elicitation": {}}));
    lists.result(list);
    (far, stage, client)
}

/// The headers that every request has.
fn said(seen: &Seen) -> [&str; 3] {
    assert_eq!(seen.header("mcp-session-id"), None);
    ["mcp-protocol-version", "mcp-method", "mcp-name"].map(|name| seen.header(name).unwrap_or_default())
}

async fn ends(far: &mut Far, stage: Stage) {
    assert_eq!(far.left(), Vec::<String>::new());
    stage.close().await;
    // There is no session to end.
    assert_eq!(far.left(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_a_request_is_stands_in_its_head() {
    let (mut far, stage, mut client) = found(tools()).await;
    client.call(json!(7)).await;
    let call = far.post("tools/call").await;
    assert_eq!(said(&call), ["2026-07-28", "tools/call", "t"]);
    let id = call.id();
    let events = call.events();
    events.say(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": id, "progress": 1}})).await;
    assert_eq!(client.method("notifications/progress").await["params"]["progressToken"], json!(7));
    events.say(&result(&id, "pong")).await;
    assert_eq!(client.answer(&json!(7)).await, result(&json!(7), "pong"));
    ends(&mut far, stage).await;
}

#[tokio::test(start_paused = true)]
async fn to_cancel_a_call_is_to_close_its_answer() {
    let (mut far, stage, mut client) = found(tools()).await;
    client.call(json!(7)).await;
    let call = far.post("tools/call").await;
    let events = call.events();
    client.call(json!(8)).await;
    // One whose answer has not begun.
    let silent = far.post("tools/call").await;
    for id in [7, 8] {
        client
            .say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}))
            .await;
    }
    events.is_left().await;
    silent.let_go().await;
    client.call(json!(9)).await;
    let call = far.post("tools/call").await;
    let id = call.id();
    call.json(&result(&id, "fine"));
    client.answer(&json!(9)).await;
    ends(&mut far, stage).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_is_not_asked_for_again() {
    let (mut far, stage, mut client) = found(tools()).await;
    client.call(json!(7)).await;
    let events = far.post("tools/call").await.events();
    events.say_as("1", &json!({"jsonrpc": "2.0", "method": "notifications/x"})).await;
    drop(events);
    let (_, reason, outcome) = client.fault(&json!(7)).await;
    assert_eq!((reason.as_str(), outcome.as_str()), ("gone", "unknown"));
    ends(&mut far, stage).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_put_into_a_call_stands_in_its_head_as_well() {
    let region = json!({"type": "string", "x-mcp-header": "Region"});
    let schema = json!({"type": "object", "properties": {"region": region}, "required": ["region"]});
    let set = |server: &mut ServerConfig| {
        asked(server);
        let tool = ToolConfig {
            name: Some("u".to_owned()),
            defaults: vec![("region".to_owned(), Secret::new("\"Köln\""))],
            hidden: vec!["region".to_owned()],
            ..ToolConfig::default()
        };
        server.tools.insert("t".to_owned(), tool);
    };
    let (mut far, stage, mut client) =
        found_as(json!({"tools": [{"name": "t", "inputSchema": schema}]}), set).await;
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "far__u"}});
    client.say(call).await;
    let seen = far.post("tools/call").await;
    assert_eq!(said(&seen), ["2026-07-28", "tools/call", "t"]);
    assert_eq!(seen.header("mcp-param-region"), Some("=?base64?S8O2bG4=?="));
    assert_eq!(seen.message()["params"]["arguments"], json!({"region": "Köln"}));
    let id = seen.id();
    seen.json(&result(&id, "fine"));
    client.answer(&json!(7)).await;
    ends(&mut far, stage).await;
}

#[tokio::test(start_paused = true)]
async fn arguments_stand_in_headers_where_the_tool_wants_that() {
    let schema = |header: &str| {
        json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": header}, "n": {"type": "integer", "x-mcp-header": "N"}}})
    };
    let list = |header: &str| json!({"tools": [{"name": "t", "inputSchema": schema(header)}, {"name": "odd", "inputSchema": schema("n")}]});
    let (mut far, stage, mut client) = found(list("Region")).await;
    let call = |id: u64| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "far__t",
            "arguments": {"region": "Köln", "n": 5}}})
    };
    client.say(call(7)).await;
    let seen = far.post("tools/call").await;
    assert_eq!(seen.header("mcp-param-region"), Some("=?base64?S8O2bG4=?="));
    assert_eq!(seen.header("mcp-param-n"), Some("5"));
    // It wants others by now: the list is read again, and the call sent once more.
    let id = seen.id();
    seen.answer(400, JSON, &error(&id, -32020));
    far.post("tools/list").await.result(list("Where"));
    let seen = far.post("tools/call").await;
    assert_ne!(seen.id(), id);
    assert_eq!(
        (seen.header("mcp-param-region"), seen.header("mcp-param-where")),
        (None, Some("=?base64?S8O2bG4=?="))
    );
    let id = seen.id();
    seen.answer(400, JSON, &error(&id, -32020));
    // Once, and what is between us and the server is not the client's affair.
    let answer = client.answer(&json!(7)).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    // The catalog learns of it.
    far.post("tools/list").await.result(list("Where"));
    // A tool with two headers of one name cannot be called.
    client.say(json!({"jsonrpc": "2.0", "id": 8, "method": "tools/list"})).await;
    let listed = client.answer(&json!(8)).await;
    let names: Vec<_> =
        listed["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["far__t"]);
    ends(&mut far, stage).await;
}

#[tokio::test(start_paused = true)]
async fn a_status_tells_which_servers_need_a_handshake() {
    for (status, body) in [
        (400, String::new()),
        (400, error(&json!("server-error"), -32600)),
        (404, "<html>".to_owned()),
        (405, String::new()),
        (406, String::new()),
    ] {
        let mut far = Far::in_memory();
        let mut stage = Stage::with(&far, asked);
        let _client = stage.client("2025-11-25", json!({})).await;
        far.post("server/discover").await.answer(status, JSON, &body);
        let initialize = far.post("initialize").await;
        assert_eq!(initialize.header("mcp-method"), None, "{status}");
        assert_eq!(initialize.header("mcp-protocol-version"), None);
        initialize.greet("2025-11-25", Some("s-1"));
        far.post("notifications/initialized").await.accepted();
        far.get().await.answer(405, &[], "");
        let lists = far.post("tools/list").await;
        assert_eq!((lists.header("mcp-session-id"), lists.header("mcp-method")), (Some("s-1"), None));
        lists.lists();
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_a_probe_with_an_error_of_its_own_is_greeted() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, asked);
    let _client = stage.client("2025-11-25", json!({})).await;
    let probe = far.post("server/discover").await;
    let id = probe.id();
    probe.answer(200, JSON, &error(&id, -32601));
    let initialize = far.post("initialize").await;
    let id = initialize.id();
    initialize.json(&greeting(&id, "2025-11-25"));
    far.post("notifications/initialized").await.accepted();
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_a_probe_and_does_not_answer_it_is_greeted() {
    const EVENTS: &[(&str, &str)] = &[("content-type", "text/event-stream")];
    for (status, headers, body) in [
        (202, &[][..], ""),
        (204, &[], ""),
        (200, &[("content-type", "text/html")], "<html>"),
        (200, JSON, ""),
        (200, JSON, r#"{"status":"ok"}"#),
        (200, JSON, r#"{"jsonrpc":"2.0","id":"another","result":{}}"#),
        (200, EVENTS, ""),
        (200, EVENTS, ": nothing\n\n"),
    ] {
        let mut far = Far::in_memory();
        let mut stage = Stage::with(&far, asked);
        let _client = stage.client("2025-11-25", json!({})).await;
        far.post("server/discover").await.answer(status, headers, body);
        let asked_for = far.expect("a request", |seen| seen.method == Method::POST).await;
        assert_eq!(asked_for.message()["method"], "initialize", "{status} {body}");
        asked_for.greet("2025-11-25", None);
        far.post("notifications/initialized").await.accepted();
        stage.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_probe_that_breaks_is_no_verdict() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, asked);
    let client = stage.client("2025-11-25", json!({})).await;
    far.post("server/discover").await.events().breaks().await;
    down(&stage, &client).await;
    far.post("server/discover").await.breaks();
    ends(&mut far, stage).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_without_discovery_is_found_by_how_it_says_so() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, asked);
    let mut client = stage.client("2025-11-25", json!({})).await;
    let probe = far.post("server/discover").await;
    let id = probe.id();
    probe.answer(404, JSON, &error(&id, -32601));
    // Four lists, and what it may tell beside.
    for _ in 0..5 {
        let list = far.expect("a request", |seen| seen.method == Method::POST).await;
        assert_eq!(list.header("mcp-protocol-version"), Some("2026-07-28"));
        match list.message()["method"].as_str() {
            Some("tools/list") => list.lists(),
            _ => {
                let id = list.id();
                list.answer(404, JSON, &error(&id, -32601));
            }
        }
    }
    client.call(json!(7)).await;
    let call = far.post("tools/call").await;
    let id = call.id();
    call.json(&result(&id, "pong"));
    assert_eq!(client.answer(&json!(7)).await, result(&json!(7), "pong"));
    ends(&mut far, stage).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_names_our_revision_is_asked_again() {
    let mut far = Far::in_memory();
    let mut stage = Stage::with(&far, asked);
    let _client = stage.client("2025-11-25", json!({})).await;
    let probe = far.post("server/discover").await;
    let id = probe.id();
    probe.answer(400, JSON, &error(&id, -32022));
    let probe = far.post("server/discover").await;
    let id = probe.id();
    probe.json(&discovered(&id));
    far.post("tools/list").await.lists();
    ends(&mut far, stage).await;
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_about_a_server_is_no_verdict() {
    for status in [401, 403, 408, 429, 500, 501, 503] {
        // An error in the body may be of what stands before the server.
        for code in [None, Some(-32603), Some(-32601), Some(-32022)] {
            let mut far = Far::in_memory();
            let mut stage = Stage::with(&far, asked);
            let client = stage.client("2025-11-25", json!({})).await;
            let probe = far.post("server/discover").await;
            let body = code.map(|code| error(&probe.id(), code)).unwrap_or_default();
            probe.answer(status, JSON, &body);
            let why = down(&stage, &client).await;
            assert!(why.contains(&status.to_string()), "{why}");
            // It is asked the same again.
            far.post("server/discover").await.answer(status, JSON, &body);
            ends(&mut far, stage).await;
        }
    }
}

/// Why the server is down, as soon as it is.
async fn down(stage: &Stage, client: &Client) -> String {
    loop {
        match stage.down(client) {
            Some(why) => return why,
            None => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_known_to_do_without_a_handshake_may_be_silent_once() {
    let (mut far, mut stage, client) = found(tools()).await;
    drop(client);
    let _another = stage.client("2025-11-25", json!({})).await;
    let _silent = far.post("server/discover").await;
    let again = far.expect("a request", |seen| seen.method == Method::POST).await;
    assert_eq!(again.message()["method"], "server/discover");
    // Perhaps it is another by now.
    let greeted = far.expect("a request", |seen| seen.method == Method::POST).await;
    assert_eq!(greeted.message()["method"], "initialize");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_suspicion_that_proves_true_is_remembered() {
    for garbled in [None, Some(json!({"status": "no such method"}))] {
        let mut far = Far::in_memory();
        let mut stage = Stage::with(&far, asked);
        let _client = stage.client("2025-11-25", json!({})).await;
        let probe = far.post("server/discover").await;
        let mut silent = None;
        match garbled {
            None => silent = Some(probe),
            // It names the question, but is no answer.
            Some(mut body) => {
                body["id"] = probe.id();
                probe.json(&body);
            }
        }
        let _events = greets(&mut far, "2025-11-25", Some("s-1")).await;
        // Longer than a suspicion, and shorter than a finding.
        tokio::time::sleep(std::time::Duration::from_secs(1800)).await;
        let _another = stage.client("2025-11-25", json!({})).await;
        let greeted = far.expect("a greeting", |seen| {
            matches!(seen.message()["method"].as_str(), Some("initialize" | "server/discover"))
        });
        assert_eq!(greeted.await.message()["method"], "initialize");
        drop(silent);
        stage.close().await;
    }
}
