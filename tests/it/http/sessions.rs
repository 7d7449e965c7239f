//! How a session lives: who may use it, when it ends, and how many there may be.

use super::house::{Client, House, call, cancel, group, settled, wait};
use super::server::Server;
use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::Method;
use mcp_braid::config::{Config, Sharing};
use mcp_braid::mcp::caller::Principal;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

fn ping() -> Value {
    json!({"jsonrpc": "2.0", "id": 9, "method": "ping"})
}

async fn is_alive(client: &Client) -> bool {
    let reply = client.post(ping()).await.unwrap();
    match reply.status.as_u16() {
        200 => true,
        404 => false,
        other => panic!("{other}"),
    }
}

fn house(set: impl FnOnce(&mut Config)) -> (Server, House) {
    let server = Server::new(&["slow"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, set);
    (server, house)
}

#[tokio::test(start_paused = true)]
async fn ids_are_visible_ascii_long_and_never_the_same() {
    let (_, house) = house(|_| {});
    let mut ids = HashSet::new();
    for _ in 0..32 {
        let id = house.client().await.session.unwrap();
        assert!(id.len() >= 43 && id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{id}");
        assert!(ids.insert(id));
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_ends() {
    let (_, house) = house(|config| config.listen.session_idle = Duration::from_secs(600));
    let (used, idle) = (house.client().await, house.client().await);
    wait(Duration::from_secs(590)).await;
    assert!(is_alive(&used).await);
    wait(Duration::from_secs(20)).await;
    assert!(!is_alive(&idle).await);
    assert!(is_alive(&used).await);
}

#[tokio::test(start_paused = true)]
async fn a_session_in_which_somebody_listens_or_waits_does_not_end() {
    let (server, house) = house(|config| {
        config.listen.session_idle = Duration::from_secs(60);
        config.servers[0].timeouts.call = Duration::from_secs(3600);
    });
    let (listening, waiting) = (house.client().await, house.client().await);
    let general = listening.listen().await;
    let reply = waiting.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    reply.abort();
    wait(Duration::from_secs(1000)).await;
    // What is over ends no session at once: its time begins then.
    drop(general);
    server.answer(&heard, json!({})).await;
    wait(Duration::from_secs(50)).await;
    assert!(is_alive(&listening).await && is_alive(&waiting).await);
    wait(Duration::from_secs(70)).await;
    assert!(!is_alive(&listening).await && !is_alive(&waiting).await);
    assert!(house.front.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_never_begun_ends_after_half_a_minute() {
    let (_, house) = house(|_| {});
    let early = house.stranger().greeted().await;
    let late = house.stranger().greeted().await;
    let begun = house.client().await;
    wait(Duration::from_secs(25)).await;
    assert!(is_alive(&early).await);
    wait(Duration::from_secs(11)).await;
    assert!(!is_alive(&late).await);
    assert!(is_alive(&begun).await);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_its_client_ended_is_unknown() {
    let (_, house) = house(|_| {});
    let client = house.client().await;
    let general = client.listen().await;
    let reply = client.delete().await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.text().await.as_str()), (204, ""));
    general.ends().await;
    for reply in [client.post(ping()), client.get(None), client.delete(), client.post(cancel(1))] {
        let reply = reply.await.unwrap();
        assert_eq!(reply.status, 404);
        assert!(reply.json().await["error"]["message"].as_str().unwrap().contains("initialize"));
    }
    // It begins anew, and is another.
    let again = Client { session: None, ..client.clone() }.begun().await;
    assert_ne!(again.session, client.session);
}

/// Every way to use a session is answered as if there were none.
async fn is_unknown_to(client: &Client) {
    for reply in [client.post(ping()), client.get(None), client.get(Some("g1-0")), client.delete()] {
        let reply = reply.await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.header("mcp-session-id")), (404, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_unknown_to_whoever_did_not_begin_it() {
    let (_, house) = house(|config| config.groups.push(group("work", &["s"])));
    let client = house.client().await;
    is_unknown_to(&Client { session: Some("0".repeat(64)), ..client.clone() }).await;
    is_unknown_to(&Client { principal: Principal::bearer(), ..client.clone() }).await;
    is_unknown_to(&Client { path: "/mcp/work", ..client.clone() }).await;
    is_unknown_to(&Client { path: "/servers/s/mcp", ..client.clone() }).await;
    let upper = client.session.clone().unwrap().to_uppercase();
    is_unknown_to(&Client { session: Some(upper), ..client.clone() }).await;
    assert!(is_alive(&client).await);
}

#[tokio::test(start_paused = true)]
async fn each_door_has_its_own_sessions_and_leads_to_its_own_servers() {
    let servers = [Server::new(&["echo"]), Server::new(&["echo"])];
    let named = [("s", &servers[0]), ("t", &servers[1])];
    let house = House::new(&named, Sharing::Shared, |config| config.groups.push(group("work", &["t"])));
    let listed = async |path: &'static str| -> Vec<String> {
        let client = Client { path, ..house.stranger() }.begun().await;
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        let tools = client.post(list).await.unwrap().json().await["result"]["tools"].clone();
        tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed("/mcp").await, ["s__echo", "t__echo"]);
    assert_eq!(listed("/mcp/work").await, ["t__echo"]);
    assert_eq!(listed("/servers/s/mcp").await, ["echo"]);
    for path in [
        "/mcp/none",
        "/servers/none/mcp",
        "/",
        "/mcp/work/more",
        "/servers/s",
        "/mcp/%ff",
        "/servers/%ff/mcp",
    ] {
        assert_eq!(Client { path, ..house.stranger() }.greet().await.status, 404, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn over_the_bound_nobody_is_let_in_and_nobody_is_put_out() {
    let (_, house) = house(|config| config.listen.limits.sessions_max = 3);
    let refused = async |who: &Client| {
        let reply = who.greet().await;
        assert_eq!(reply.status, 503);
        assert_eq!(reply.header("mcp-session-id"), None);
        assert!(reply.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()));
        let said = reply.json().await["error"]["message"].as_str().unwrap().to_owned();
        assert!(said.contains("(limits.sessions)"), "{said}");
    };
    let (one, two) = (house.client().await, house.client().await);
    let other = Client { principal: Principal::bearer(), ..house.stranger() };
    let three = other.clone().begun().await;
    refused(&other).await;
    refused(&house.stranger()).await;
    for client in [&one, &two, &three] {
        assert!(is_alive(client).await);
    }
    // Whose session has ended has room at once, and nobody else's is touched.
    assert_eq!(one.delete().await.unwrap().status, 204);
    let four = house.client().await;
    refused(&house.stranger()).await;
    for client in [&two, &three, &four] {
        assert!(is_alive(client).await);
    }
}

#[tokio::test(start_paused = true)]
async fn one_principal_leaves_room_for_others() {
    let (_, house) = house(|config| config.listen.limits.sessions_per_principal_max = 1);
    let one = house.client().await;
    let reply = house.stranger().greet().await;
    assert_eq!(reply.status, 503);
    let said = reply.json().await["error"]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("(limits.sessions_per_principal)"), "{said}");
    let other = Client { principal: Principal::bearer(), ..house.stranger() }.begun().await;
    assert!(is_alive(&one).await && is_alive(&other).await);
}

#[tokio::test(start_paused = true)]
async fn an_initialize_that_fails_leaves_no_session() {
    let (_, house) = house(|config| config.listen.limits.sessions_max = 1);
    for _ in 0..3 {
        let bad = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}});
        let reply = house.stranger().post(bad).await.unwrap();
        assert_eq!(reply.header("mcp-session-id"), None);
        assert_eq!(reply.json().await["error"]["code"], -32602);
    }
    assert!(is_alive(&house.client().await).await);
}

#[tokio::test(start_paused = true)]
async fn a_client_declares_64_kib_and_no_more() {
    let (_, house) = house(|_| {});
    let greet = |bytes: usize| {
        let padding = "x".repeat(bytes - json!({"x": ""}).to_string().len());
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {"x": padding},
            "clientInfo": {"name": "c", "version": "1"}});
        house.stranger().post(json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}))
    };
    let begun = greet(64 * 1024).await.unwrap();
    assert!(begun.header("mcp-session-id").is_some());
    let refused = greet(64 * 1024 + 1).await.unwrap();
    assert_eq!(refused.header("mcp-session-id"), None);
    assert_eq!(refused.json().await["error"]["code"], -32602);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_session_ends_under_it_is_told_so() {
    let (server, house) = house(|_| {});
    let client = house.client().await;
    let reply = client.post(call(1, "s__slow", json!({})));
    server.hear_method("tools/call").await;
    assert_eq!(client.delete().await.unwrap().status, 204);
    // It was begun: 404 would say that it was not.
    let reply = reply.await.unwrap();
    assert_eq!(reply.status, 200);
    let told = reply.json().await;
    assert_eq!((&told["id"], &told["error"]["data"]["outcome"]), (&json!(1), &json!("unknown")));
    assert_eq!(client.post(call(2, "s__slow", json!({}))).await.unwrap().status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_session_ends_under_it_has_no_answer_without_an_id() {
    let (server, house) = house(|_| {});
    let client = house.client_of("2025-03-26").await;
    let reply = client.post(json!([call(1, "s__slow", json!({})), call(2, "s__slow", json!({}))]));
    server.hear_method("tools/call").await;
    assert_eq!(client.delete().await.unwrap().status, 204);
    assert_eq!(reply.await.unwrap().status, 404);
}

#[tokio::test(start_paused = true)]
async fn who_ends_a_session_may_begin_another_at_once() {
    let (server, house) = house(|config| config.listen.limits.sessions_max = 1);
    let client = house.client().await;
    let held = client.send(client.request(Method::POST).body(endless_body()).unwrap());
    let reply = client.post(call(1, "s__slow", json!({})));
    server.hear_method("tools/call").await;
    // A request whose body still comes holds the old session, and its place no more.
    assert_eq!(client.delete().await.unwrap().status, 204);
    assert_eq!(house.stranger().greet().await.status, 200);
    drop((held, reply));
}

/// A body that never comes.
fn endless_body() -> Body {
    Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())
}

#[tokio::test(start_paused = true)]
async fn a_session_of_its_own_servers_ends_with_them() {
    let server = Server::new(&["echo"]);
    let house = House::own(&server);
    let (one, other) = (house.client().await, house.client().await);
    for client in [&one, &other] {
        assert_eq!(client.post(call(1, "s__echo", json!({}))).await.unwrap().status, 200);
    }
    assert_eq!((server.lives(), server.living()), (2, 2));
    assert_eq!(one.delete().await.unwrap().status, 204);
    wait(Duration::from_secs(10)).await;
    assert_eq!((server.lives(), server.living()), (2, 1));
    assert_eq!(other.post(call(1, "s__echo", json!({}))).await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn on_the_way_out_nothing_begins_streams_end_and_answers_still_come() {
    let (server, house) = house(|_| {});
    let client = house.client().await;
    let mut general = client.listen().await;
    let reply = client.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    let mut events = reply.await.unwrap().events();
    events.opened(client.revision).await;
    house.front.close();
    for reply in [client.post(ping()), client.get(None)] {
        let reply = reply.await.unwrap();
        assert_eq!(reply.status, 503);
        assert!(reply.header("retry-after").is_some());
    }
    assert_eq!(house.stranger().greet().await.status, 503);
    assert_eq!(general.next().await, Some(super::events::Said::Retry(1000)));
    general.next().await;
    general.ends().await;
    let front = house.front.clone();
    let quiet = tokio::spawn(async move { front.quiet().await });
    settled().await;
    assert!(!quiet.is_finished());
    server.answer(&heard, json!({})).await;
    assert_eq!(events.message().await.1["id"], 1);
    quiet.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_while_a_body_comes_is_unknown_after_it() {
    let server = Server::new(&["slow"]);
    let client = House::shared(&server).client().await;
    let (rest, body) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(4);
    let body = stream::unfold(body, |mut body| async move { body.recv().await.map(|piece| (piece, body)) });
    let reply = client.send(client.request(Method::POST).body(Body::from_stream(body)).unwrap());
    rest.send(Ok(Bytes::from_static(b" "))).await.unwrap();
    settled().await;
    assert_eq!(client.delete().await.unwrap().status, 204);
    rest.send(Ok(Bytes::from(call(1, "s__slow", json!({})).to_string()))).await.unwrap();
    drop(rest);
    assert_eq!(reply.await.unwrap().status, 404);
}
