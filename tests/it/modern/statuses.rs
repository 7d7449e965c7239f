//! Every status code, by what is asked.

use super::client::Client;
use crate::http::house::{House, settled};
use crate::http::server::Server;
use http::{HeaderMap, HeaderValue, Method, Request};
use serde_json::{Value, json};

fn house() -> (Server, House) {
    let server = Server::new(&["echo", "slow", "regional"]);
    (server.clone(), House::shared(&server))
}

async fn answered(client: &Client, message: Value, set: impl FnOnce(&mut HeaderMap)) -> (u16, Value) {
    let reply = client.post_with(message, set).await.unwrap();
    assert!(reply.header("mcp-session-id").is_none());
    (reply.status.as_u16(), reply.json().await)
}

#[tokio::test(start_paused = true)]
async fn who_only_discovers_starts_nothing() {
    let (server, house) = house();
    let client = Client::of(&house);
    let found = answered(&client, client.message("server/discover", json!({})), |_| {}).await;
    assert_eq!(found.0, 200);
    let result = &found.1["result"];
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "braid");
    settled().await;
    assert_eq!(server.lives(), 0);
    let reply = client.post("tools/list", json!({})).await.unwrap().json().await;
    assert_eq!(reply["result"]["tools"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&reply["result"]["resultType"], &reply["result"]["cacheScope"]),
        (&json!("complete"), &json!("private"))
    );
    assert_eq!(server.lives(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_request_must_say_of_itself_has_its_code_and_status() {
    let (server, house) = house();
    let client = Client::of(&house);
    let meta = |meta: Value| json!({"jsonrpc": "2.0", "id": "i", "method": "server/discover", "params": {"_meta": meta}});
    let version = "io.modelcontextprotocol/protocolVersion";
    for (message, status, code) in [
        (json!({"jsonrpc": "2.0", "id": "i", "method": "server/discover", "params": {}}), 400, -32602),
        (json!({"jsonrpc": "2.0", "id": "i", "method": "ping"}), 400, -32602),
        (meta(json!({})), 400, -32602),
        (meta(json!({"io.modelcontextprotocol/clientCapabilities": {}})), 400, -32602),
        (meta(json!({version: "2026-07-28"})), 400, -32602),
        (meta(json!({version: "v9"})), 400, -32020),
        (client.message("initialize", json!({})), 404, -32601),
        (client.message("ping", json!({})), 404, -32601),
        (client.message("logging/setLevel", json!({"level": "info"})), 404, -32601),
        (client.message("resources/subscribe", json!({"uri": "a:b"})), 404, -32601),
        (client.message("un/known", json!({})), 404, -32601),
        (client.message("tools/call", json!({"name": "nobody"})), 400, -32602),
        (client.message("tools/call", json!({})), 400, -32602),
        (client.message("resources/read", json!({"uri": "a:b"})), 400, -32602),
        (client.message("tools/list", json!({"cursor": "x"})), 400, -32602),
        (
            client.message("tools/list", json!({"_meta": {"io.modelcontextprotocol/logLevel": "loud"}})),
            400,
            -32602,
        ),
        (client.message("subscriptions/listen", json!({})), 400, -32602),
    ] {
        let said = answered(&client, message.clone(), |_| {}).await;
        assert_eq!((said.0, &said.1["error"]["code"]), (status, &json!(code)), "{message}: {}", said.1);
        assert_eq!(said.1["id"], "i");
    }
    let said = answered(&client, meta(json!({version: "v9"})), |head| {
        head.insert("mcp-protocol-version", HeaderValue::from_static("v9"));
    });
    let said = said.await;
    assert_eq!((said.0, &said.1["error"]["code"]), (400, &json!(-32022)));
    assert_eq!(said.1["error"]["data"], json!({"supported": ["2026-07-28"], "requested": "v9"}));
    server.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_says_something_else_is_refused() {
    let (server, house) = house();
    let client = Client::of(&house);
    let call = || client.message("tools/call", json!({"name": "s__slow"}));
    let set = |name: &'static str, value: &'static [u8]| {
        move |head: &mut HeaderMap| drop(head.insert(name, HeaderValue::from_bytes(value).unwrap()))
    };
    for (name, value) in [
        ("mcp-method", &b"TOOLS/CALL"[..]),
        ("mcp-method", b"tools/list"),
        ("mcp-name", b"s__Slow"),
        ("mcp-name", b"=?base64?c19fc2xvdw?="),
        ("mcp-name", b"\xff"),
        ("mcp-protocol-version", b"2025-11-25"),
    ] {
        let said = answered(&client, call(), set(name, value)).await;
        assert_eq!(
            (said.0, &said.1["error"]["code"], &said.1["id"]),
            (400, &json!(-32020), &json!("i")),
            "{name}"
        );
    }
    for name in ["mcp-method", "mcp-name", "mcp-protocol-version"] {
        let said = answered(&client, call(), |head| drop(head.remove(name))).await;
        assert_eq!((said.0, &said.1["error"]["code"]), (400, &json!(-32020)), "{name}");
        let twice = |head: &mut HeaderMap| {
            let value = head[name].clone();
            head.append(name, value);
        };
        let said = answered(&client, call(), twice).await;
        assert_eq!((said.0, &said.1["error"]["code"]), (400, &json!(-32020)), "{name}");
    }
    server.is_silent().await;
    // What is encoded says the same, and what nobody asks for is nobody's.
    let echo = client.message("tools/call", json!({"name": "s__echo"}));
    let said = answered(&client, echo, |head| {
        head.insert("mcp-name", HeaderValue::from_static("=?base64?c19fZWNobw==?="));
        head.insert("mcp-param-other", HeaderValue::from_static("x"));
        head.insert("mcp-session-id", HeaderValue::from_static("nobody's"));
        head.insert("last-event-id", HeaderValue::from_static("a1-1"));
    });
    assert_eq!(said.await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn arguments_that_a_tool_wants_in_the_head_must_be_there() {
    let (server, house) = house();
    let client = Client::of(&house);
    let call = |region: Value| {
        client.message("tools/call", json!({"name": "s__regional", "arguments": {"region": region}}))
    };
    let region = |value: &'static str| {
        move |head: &mut HeaderMap| drop(head.insert("mcp-param-region", HeaderValue::from_static(value)))
    };
    for set in [region("eu"), region("=?base64?dXM?="), region("US")] {
        let said = answered(&client, call(json!("us")), set).await;
        assert_eq!((said.0, &said.1["error"]["code"]), (400, &json!(-32020)));
    }
    let said = answered(&client, call(json!("us")), |_| {}).await;
    assert_eq!((said.0, &said.1["error"]["code"]), (400, &json!(-32020)));
    server.is_silent().await;
    for (value, head) in
        [(json!("us"), Some("us")), (json!("us"), Some("=?base64?dXM=?=")), (Value::Null, None)]
    {
        let reply = client.post_with(call(value), |map| {
            if let Some(head) = head {
                region(head)(map);
            }
        });
        let heard = server.hear_method("tools/call").await;
        server.answer(&heard, json!({})).await;
        assert_eq!(reply.await.unwrap().status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn notifications_are_accepted_and_responses_are_not() {
    let (_server, house) = house();
    let client = Client::of(&house);
    let note = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "i"}});
    let reply = client.post_with(note, |_| {}).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.text().await.as_str()), (202, ""));
    let version = "io.modelcontextprotocol/protocolVersion";
    let odd = json!({"jsonrpc": "2.0", "method": "notifications/x", "params": {"_meta": {version: "v9"}}});
    assert_eq!(client.post_with(odd, |_| {}).await.unwrap().status, 400);
    for (text, code) in [
        (json!({"jsonrpc": "2.0", "id": 1, "result": {}}), -32600),
        (json!([]), -32600),
        (json!(7), -32600),
        (json!({"jsonrpc": "2.0", "id": null, "method": "ping"}), -32600),
    ] {
        let said = answered(&client, text.clone(), |_| {}).await;
        assert_eq!((said.0, &said.1["error"]["code"]), (400, &json!(code)), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_nothing_to_get_and_nothing_to_delete() {
    let (_server, house) = house();
    let client = Client::of(&house);
    for method in [Method::GET, Method::DELETE] {
        let request = Request::builder()
            .method(method)
            .uri("/mcp")
            .header("accept", "text/event-stream")
            .header("mcp-protocol-version", "2026-07-28");
        let request = request.body(axum::body::Body::empty()).unwrap();
        let reply = house.send(client.principal.clone(), request).await;
        assert_eq!((reply.status.as_u16(), reply.header("allow").as_deref()), (405, Some("POST")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_on_beside_requests_without_one() {
    let (server, house) = house();
    let (session, client) = (house.client().await, Client::of(&house));
    let listed = session.post(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await.unwrap();
    assert!(listed.json().await["result"].get("resultType").is_none());
    // By its body it is one without, whatever its head names.
    let id = session.session.clone().unwrap();
    let said = answered(&client, client.message("tools/list", json!({})), |head| {
        head.insert("mcp-session-id", id.parse().unwrap());
    });
    assert_eq!(said.await.1["result"]["resultType"], "complete");
    let unclaimed = session.post(client.message("tools/list", json!({}))).await.unwrap();
    assert_eq!(unclaimed.status, 400);
    assert_eq!(unclaimed.json().await["error"]["code"], -32020);
    assert_eq!(server.lives(), 1);
}
