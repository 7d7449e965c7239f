//! Every status code, by what is asked.

use super::house::{Client, House, call, cancel};
use super::server::Server;
use axum::body::Body;
use http::{HeaderMap, Method, Request};
use serde_json::{Value, json};

async fn client() -> (Server, Client) {
    let server = Server::new(&["echo"]);
    let client = House::shared(&server).client().await;
    (server, client)
}

fn ping() -> Value {
    json!({"jsonrpc": "2.0", "id": 9, "method": "ping"})
}

/// The status of a POST of a ping whose head is as `set` makes it.
async fn status(client: &Client, set: impl FnOnce(&mut HeaderMap)) -> u16 {
    let mut request = client.request(Method::POST).body(Body::from(ping().to_string())).unwrap();
    set(request.headers_mut());
    client.send(request).await.unwrap().status.as_u16()
}

#[tokio::test(start_paused = true)]
async fn notifications_and_answers_are_accepted_without_a_body() {
    let (_server, client) = client().await;
    let answer = json!({"jsonrpc": "2.0", "id": 77, "result": {}});
    for message in [cancel(5), answer, json!({"jsonrpc": "2.0", "method": "notifications/unheard/of"})] {
        let reply = client.post(message).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.text().await.as_str()), (202, ""));
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_a_request_are_answers() {
    let (_server, client) = client().await;
    for (message, code) in [
        (json!({"jsonrpc": "2.0", "id": 1, "method": "no/such"}), -32601),
        (call(1, "nobody__knows", json!({})), -32602),
        (
            json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}),
            -32600,
        ),
    ] {
        let reply = client.post(message).await.unwrap();
        assert_eq!(reply.status, 200);
        let answer = reply.json().await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(code)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_is_refused() {
    let (_server, client) = client().await;
    for (text, code) in [
        ("{", -32700),
        ("", -32700),
        ("7", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        ("[]", -32600),
    ] {
        for client in [client.clone(), Client { session: None, ..client.clone() }] {
            let reply = client.post_text(text).await.unwrap();
            assert_eq!(reply.status, 400, "{text}");
            let error = reply.json().await;
            assert_eq!(error["error"]["code"], code, "{text}: {error}");
        }
    }
    let bytes = client
        .request(Method::POST)
        .body(Body::from(&b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}"[..]));
    assert_eq!(client.send(bytes.unwrap()).await.unwrap().status, 400);
}

#[tokio::test(start_paused = true)]
async fn without_a_session_only_initialize_is_heard() {
    let (_server, client) = client().await;
    let nobody = Client { session: None, ..client };
    for message in
        [ping(), call(1, "s__echo", json!({})), cancel(1), json!({"jsonrpc": "2.0", "id": 1, "result": {}})]
    {
        let reply = nobody.post(message).await.unwrap();
        assert_eq!(reply.status, 400);
        assert!(reply.json().await["error"]["message"].as_str().unwrap().contains("Mcp-Session-Id"));
    }
    for reply in [nobody.get(None), nobody.delete()] {
        assert_eq!(reply.await.unwrap().status, 400);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_id_is_given_once_and_is_text() {
    let (_server, client) = client().await;
    let id = client.session.clone().unwrap();
    assert_eq!(
        status(&client, |head| assert!(head.append("mcp-session-id", id.parse().unwrap()))).await,
        400
    );
    let odd = http::HeaderValue::from_bytes(b"\xff").unwrap();
    assert_eq!(status(&client, |head| drop(head.insert("mcp-session-id", odd))).await, 400);
    assert_eq!(status(&client, |head| drop(head.insert("mcp-session-id", "".parse().unwrap()))).await, 404);
    // The spaces around a value are none of it.
    assert_eq!(
        status(&client, |head| drop(head.insert("mcp-session-id", format!("{id} ").parse().unwrap()))).await,
        200
    );
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_is_not_spoken_is_refused_and_none_is_not() {
    let (_server, client) = client().await;
    let said = |version: &'static str| {
        move |head: &mut HeaderMap| {
            head.insert("mcp-protocol-version", version.parse().unwrap());
        }
    };
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        assert_eq!(status(&client, said(version)).await, 200, "{version}");
    }
    for version in ["", "1.0", "2025-11-26", "2026-07-28", "2025-11-25, 2025-06-18"] {
        assert_eq!(status(&client, said(version)).await, 400, "{version}");
    }
    assert_eq!(status(&client, |head| drop(head.remove("mcp-protocol-version"))).await, 200);
    let twice =
        |head: &mut HeaderMap| assert!(head.append("mcp-protocol-version", "2025-11-25".parse().unwrap()));
    assert_eq!(status(&client, twice).await, 400);
    for (method, expected) in [(Method::GET, 400), (Method::DELETE, 400)] {
        let mut request = client.request(method).body(Body::empty()).unwrap();
        said("1.0")(request.headers_mut());
        assert_eq!(client.send(request).await.unwrap().status, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_its_client_would_not_take_is_not_begun() {
    let (_server, client) = client().await;
    let accepts = |value: &'static str| {
        move |head: &mut HeaderMap| {
            head.insert("accept", value.parse().unwrap());
        }
    };
    for value in [
        "application/json, text/event-stream",
        "text/event-stream;q=0.5,application/json",
        "*/*",
        "text/*, application/*",
        "Application/JSON, TEXT/Event-Stream",
    ] {
        assert_eq!(status(&client, accepts(value)).await, 200, "{value}");
    }
    for value in
        ["application/json", "text/event-stream", "text/html", "application/json, text/event-stream;q=0", ""]
    {
        assert_eq!(status(&client, accepts(value)).await, 406, "{value}");
    }
    assert_eq!(status(&client, |head| drop(head.remove("accept"))).await, 200);
    let mut request = client.request(Method::GET).body(Body::empty()).unwrap();
    accepts("application/json")(request.headers_mut());
    assert_eq!(client.send(request).await.unwrap().status, 406);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_json_or_too_long_is_not_read() {
    let (_server, client) = client().await;
    let kinds = [
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("text/plain", 415),
        ("application/jsonp", 415),
    ];
    for (kind, expected) in kinds {
        let kind = |head: &mut HeaderMap| drop(head.insert("content-type", kind.parse().unwrap()));
        assert_eq!(status(&client, kind).await, expected);
    }
    assert_eq!(status(&client, |head| drop(head.remove("content-type"))).await, 415);
    for (coding, expected) in [("identity", 200), ("gzip", 415), ("identity, gzip", 415)] {
        let coded = |head: &mut HeaderMap| drop(head.insert("content-encoding", coding.parse().unwrap()));
        assert_eq!(status(&client, coded).await, expected);
    }
    let max = mcp_braid::config::Limits::default().client_message_bytes_max;
    let reply = client.post_text(" ".repeat(max + 1)).await.unwrap();
    assert_eq!(reply.status, 413);
    assert!(reply.json().await["error"]["message"].as_str().unwrap().contains("nothing of it was sent on"));
}

#[tokio::test(start_paused = true)]
async fn other_methods_are_told_which_there_are() {
    let (_server, client) = client().await;
    for method in [Method::PUT, Method::PATCH, Method::HEAD, Method::OPTIONS, Method::TRACE] {
        let reply = client.send(client.request(method).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), reply.header("allow").as_deref()),
            (405, Some("GET, POST, DELETE"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_id_that_nobody_gave_is_refused() {
    let (_server, client) = client().await;
    for id in ["", "7", "a1", "a1-", "x1-1", "a-1-1", "a1-1-1", "a99-1", "a1-99999999999999999999"] {
        assert_eq!(client.get(Some(id)).await.unwrap().status, 400, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn batches_are_for_2025_03_26_alone() {
    let server = Server::new(&["echo"]);
    let house = House::shared(&server);
    let batch = json!([ping(), cancel(4), call(1, "s__echo", json!({"n": 1}))]);
    for revision in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let client = house.client_of(revision).await;
        let reply = client.post(batch.clone()).await.unwrap();
        assert_eq!(reply.status, 400);
        assert_eq!(reply.json().await["error"]["code"], -32600);
    }
    let client = house.client_of("2025-03-26").await;
    let answers = client.post(batch).await.unwrap().json().await;
    assert_eq!(answers.as_array().unwrap().len(), 2);
    assert_eq!((&answers[0]["id"], &answers[1]["result"]["structuredContent"]), (&json!(9), &Value::Null));
    // Nothing in it asks for an answer.
    let silent = client.post(json!([cancel(4), {"jsonrpc": "2.0", "id": 3, "result": {}}])).await.unwrap();
    assert_eq!((silent.status.as_u16(), silent.text().await.as_str()), (202, ""));
    // Not the first message of all either.
    let greeting = json!([{"jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}}]);
    assert_eq!(house.stranger().post(greeting).await.unwrap().status, 400);
    let many = Value::Array(vec![ping(); 33]);
    assert_eq!(client.post(many).await.unwrap().status, 400);
}

#[tokio::test(start_paused = true)]
async fn health_is_told_and_all_else_is_nothing() {
    let (_server, client) = client().await;
    let get = |path: &str| client.send(Request::get(path).body(Body::empty()).unwrap());
    assert_eq!(get("/healthz").await.unwrap().text().await, "ok\n");
    assert_eq!(get("/readyz").await.unwrap().json().await["state"], "ready");
    for path in ["/", "/mcp/", "/healthz/x", "/sse/", "/messages/"] {
        assert_eq!(get(path).await.unwrap().status, 404, "{path}");
    }
}
