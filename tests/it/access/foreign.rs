//! What was made for one principal, or under one grant, and is shown by another: the same answer as to what was never made.

use super::{Grant, Principal, Scopes};
use crate::http::house::{Client, House, call, settled};
use crate::http::server::Server;
use crate::modern::client::Client as Alone;
use axum::body::Body;
use http::Request;
use mcp_braid::config::{AccessRule, Sharing};
use serde_json::{Value, json};

/// Whoever made something, and everybody else. All of them may use everything.
pub(super) fn maker() -> Grant {
    named(Principal::token("ana"), &["read"])
}

pub(super) fn others() -> Vec<Grant> {
    vec![
        named(Principal::token("bob"), &["read"]),
        named(Principal::oauth("ana"), &["read"]),
        named(Principal::certificate("ana"), &["read"]),
        named(Principal::bearer(), &[]),
        named(Principal::anonymous(), &[]),
        // Whose token says less or more has none of what was begun with another.
        named(Principal::token("ana"), &[]),
        named(Principal::token("ana"), &["read", "write"]),
    ]
}

pub(super) fn named(principal: Principal, scopes: &[&str]) -> Grant {
    Grant::of(principal, Scopes::of(scopes.iter().copied()).unwrap())
}

/// One server called `s`.
fn house(server: &Server) -> House {
    House::new(&[("s", server)], Sharing::Shared, |config| {
        config.limits.page_items_max = 1;
        config.access = vec![AccessRule::new("everybody")];
    })
}

/// The same, where everybody may use everything.
pub(super) fn everybodys(server: &Server, sharing: Sharing) -> House {
    House::new(&[("s", server)], sharing, |config| config.access = vec![AccessRule::new("everybody")])
}

/// All that an answer says.
pub(super) async fn said(reply: crate::http::house::Reply) -> (u16, String, String) {
    (reply.status.as_u16(), format!("{:?}", reply.headers), reply.text().await)
}

#[tokio::test(start_paused = true)]
async fn s01_a_session_of_another_is_answered_as_one_that_never_was() {
    let server = Server::new(&["echo"]);
    let house = house(&server);
    let mine = house.stranger_of(&maker()).begun().await;
    for other in others() {
        let theirs = Client { session: mine.session.clone(), ..house.stranger_of(&other) };
        let never = Client { session: Some("0".repeat(64)), ..theirs.clone() };
        let ask = || call(1, "s__echo", json!({}));
        assert_eq!(
            said(theirs.post(ask()).await.unwrap()).await,
            said(never.post(ask()).await.unwrap()).await
        );
        for after in [None, Some("g1-0"), Some("a1-1")] {
            let (theirs, never) = (theirs.get(after).await.unwrap(), never.get(after).await.unwrap());
            assert_eq!(said(theirs).await, said(never).await, "{other:?}");
        }
        assert_eq!(said(theirs.delete().await.unwrap()).await, said(never.delete().await.unwrap()).await);
        // A cancel of a request of the same number is of the session that it comes in.
        let own = house.stranger_of(&other).begun().await;
        let running = mine.post(call(9, "s__echo", json!({"n": 9})));
        own.post(crate::http::house::cancel(9)).await.unwrap();
        assert_eq!(running.await.unwrap().status, 200);
    }
    assert_eq!(mine.post(call(2, "s__echo", json!({}))).await.unwrap().status, 200);
    server.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn s01_a_stream_of_2024_takes_posts_of_its_own_grant_alone() {
    let server = Server::new(&["echo"]);
    let house = house(&server);
    let mine = house.stranger_of(&maker());
    let open = Request::get("/sse").header("accept", "text/event-stream").body(Body::empty()).unwrap();
    let mut events = mine.send(open).await.unwrap().events();
    let Some(crate::http::events::Said::Event { data: place, .. }) = events.next().await else { panic!() };
    for other in others() {
        let theirs = house.stranger_of(&other);
        let mut answers = Vec::new();
        for place in [place.clone(), format!("/messages?sessionId={}", "0".repeat(64))] {
            let request = Request::post(place).header("content-type", "application/json");
            let request = request.body(Body::from(call(1, "s__echo", json!({})).to_string())).unwrap();
            answers.push(said(theirs.send(request).await.unwrap()).await);
        }
        assert_eq!(answers[0], answers[1], "{other:?}");
        assert_eq!(answers[0].0, 404);
    }
}

#[tokio::test(start_paused = true)]
async fn s01_a_cursor_of_another_is_none_though_the_list_is_the_same() {
    let server = Server::new(&["one", "two"]);
    let house = house(&server);
    let list = |cursor: Option<&str>| {
        let params = cursor.map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}));
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params})
    };
    let first = async |client: &Client| client.post(list(None)).await.unwrap().json().await["result"].clone();
    let mine = house.stranger_of(&maker()).begun().await;
    let page = first(&mine).await;
    let cursor = page["nextCursor"].as_str().unwrap().to_owned();
    for other in others().into_iter().filter(|other| other.principal != maker().principal) {
        let theirs = house.stranger_of(&other).begun().await;
        let same = first(&theirs).await;
        assert_eq!(same["tools"], page["tools"]);
        let never = cursor.replace('1', "2");
        let [shown, forged] = [&*cursor, &*never].map(|cursor| theirs.post(list(Some(cursor))));
        let (shown, forged) = (said(shown.await.unwrap()).await, said(forged.await.unwrap()).await);
        assert_eq!(shown, forged, "{other:?}");
        assert!(shown.2.contains("-32602"), "{shown:?}");
    }
    let second = mine.post(list(Some(&cursor))).await.unwrap().json().await;
    assert_eq!(second["result"]["tools"][0]["name"], "s__two");
}

/// A client without a session in this name, which knows of tasks and can be asked.
pub(super) fn alone(house: &House, grant: &Grant) -> Alone {
    let Grant { principal, scopes, .. } = grant.clone();
    let capabilities =
        json!({"elicitation": {}, "roots": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}});
    Alone { principal, scopes, capabilities, ..Alone::of(house) }
}

#[tokio::test(start_paused = true)]
async fn s01_s07_what_waits_for_one_is_nothing_to_another() {
    let (slow, state) = (Server::new(&["slow"]), Server::modern(&["state"]));
    let house = House::new(&[("s", &slow), ("t", &state)], Sharing::Shared, |config| {
        config.access = vec![AccessRule::new("everybody")];
    });
    let mine = alone(&house, &maker());
    // A call that is open at its server, and what a server gave to bring back.
    let reply = mine.post("tools/call", json!({"name": "s__slow", "arguments": {}}));
    slow.hear_method("tools/call").await;
    slow.ask(0, 70).await;
    let handle = |answer: &Value| answer["result"]["requestState"].as_str().unwrap().to_owned();
    let parked = handle(&reply.await.unwrap().json().await);
    let (_, answer) = mine.call("t__state", json!({"arguments": {"state": "x"}})).await;
    let given = handle(&answer);
    let back = |handle: &str| {
        json!({"arguments": {}, "requestState": handle,
            "inputResponses": {"ask-1": {"action": "accept", "content": {}}}})
    };
    let given_back = |handle: &str| json!({"arguments": {"state": "x"}, "requestState": handle, "inputResponses": {"r": {"roots": []}}});
    for other in others() {
        let theirs = alone(&house, &other);
        let never = "0".repeat(64);
        let shown = theirs.call("s__slow", back(&parked)).await;
        assert_eq!(shown, theirs.call("s__slow", back(&never)).await);
        assert!(shown.1.to_string().contains("none that waits for this request"), "{shown:?}");
        assert_eq!(
            theirs.call("t__state", given_back(&given)).await,
            theirs.call("t__state", given_back(&never)).await
        );
    }
    slow.is_silent().await;
    assert_eq!(house.hub.parked(), 2);
    // It works for whom it was made.
    assert_eq!(mine.call("t__state", given_back(&given)).await.0, 200);
    let mut more = back(&parked);
    more["name"] = "s__slow".into();
    let reply = mine.post("tools/call", more);
    assert_eq!(slow.hear().await.message["id"], 70);
    drop(reply);
}

#[tokio::test(start_paused = true)]
async fn s01_a_task_of_another_is_answered_as_one_that_never_was() {
    let server = Server::modern(&["slow"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| {
        config.access = vec![AccessRule::new("everybody")];
    });
    let mine = alone(&house, &maker());
    let reply = mine.post("tools/call", json!({"name": "s__slow", "arguments": {}}));
    let heard = server.hear_method("tools/call").await;
    let task = json!({"resultType": "task", "taskId": "t-1", "status": "working", "createdAt": "x",
        "lastUpdatedAt": "x", "ttlMs": null});
    server.answer(&heard, task).await;
    let id = reply.await.unwrap().json().await["result"]["taskId"].as_str().unwrap().to_owned();
    let other_principals = others().into_iter().filter(|other| other.principal != maker().principal);
    for other in other_principals {
        let theirs = alone(&house, &other);
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let ask = |id: &str| theirs.post(method, json!({"taskId": id, "inputResponses": {}}));
            let (shown, never) = (ask(&id).await.unwrap(), ask("task-00-00").await.unwrap());
            let (shown, never) = (said(shown).await, said(never).await);
            assert_eq!(shown, never, "{method} {other:?}");
            assert!(shown.2.contains("unknown task"), "{shown:?}");
        }
    }
    settled().await;
    server.is_silent().await;
    let asked = mine.post("tasks/get", json!({"taskId": id}));
    let heard = server.hear_method("tasks/get").await;
    assert_eq!(heard.message["params"]["taskId"], "t-1");
    server.answer(&heard, json!({"resultType": "complete", "taskId": "t-1", "status": "working"})).await;
    assert_eq!(asked.await.unwrap().status, 200);
}
