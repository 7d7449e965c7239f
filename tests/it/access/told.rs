//! What somebody is told beside lists: nothing of what they may not use.

use super::{CONFIG, Grant, Principal, Scopes, Server, config, house};
use crate::http::events::{Events, Said};
use crate::http::house::{Client, settled};
use crate::modern::client::{Client as Alone, message};
use futures::FutureExt;
use mcp_braid::config::ServerConfig;
use mcp_braid::upstream::dial::Dial;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a client is greeted with.
async fn greeting(client: Client) -> Value {
    client.greet().await.json().await["result"].clone()
}

fn named(principal: Principal, scopes: &[&str]) -> Grant {
    Grant::of(principal, Scopes::of(scopes.iter().copied()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn s10_instructions_are_of_servers_that_somebody_may_use() {
    let (house, _) = house();
    for (grant, path, expected) in [
        (named(Principal::token("ci"), &[]), "/mcp", &["files"][..]),
        (named(Principal::token("ana"), &["read"]), "/mcp", &["files", "notes"]),
        (named(Principal::token("ana"), &["write"]), "/mcp", &["notes"]),
        (named(Principal::bearer(), &[]), "/mcp", &[]),
        (named(Principal::bearer(), &[]), "/mcp/dev", &["files"]),
        (named(Principal::token("bob"), &[]), "/mcp", &[]),
        (named(Principal::anonymous(), &[]), "/mcp", &["notes"]),
    ] {
        // The first comes before anything is known of what its servers list.
        let client = Client { path, ..house.stranger_of(&grant) };
        let first = greeting(client.clone()).await;
        settled().await;
        let said = greeting(client).await;
        for known in ["files", "notes", "far"] {
            let is_said = |greeting: &Value| greeting["instructions"].to_string().contains(known);
            assert_eq!(is_said(&said), expected.contains(&known), "{grant:?} {path}: {said}");
            assert!(!is_said(&first) || expected.contains(&known), "{grant:?} {path}: {first}");
        }
        let rest = |greeting: &Value| {
            let mut rest = greeting.clone();
            rest.as_object_mut().unwrap().remove("instructions");
            rest
        };
        // What we can do is the same for everybody.
        let nobody = greeting(house.stranger_of(&named(Principal::token("bob"), &[]))).await;
        assert_eq!(rest(&said), rest(&nobody));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_nobody_may_use_is_not_started_for_them() {
    let (house, servers) = house();
    house.hub.warm(&Principal::anonymous());
    settled().await;
    let (_, links): (Vec<_>, Vec<_>) =
        house.hub.survey().servers.iter().map(|it| (it.key.clone(), it.links)).unzip();
    assert_eq!(links, [0, 1, 0]);
    assert!(house.hub.readiness(&Principal::anonymous()).is_ready());
    let bob = Client { ..house.stranger_of(&named(Principal::token("bob"), &["read"])) }.begun().await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let listed = bob.post(list).await.unwrap().json().await;
    assert_eq!(listed["result"]["tools"], json!([]));
    settled().await;
    let links: Vec<usize> = house.hub.survey().servers.iter().map(|it| it.links).collect();
    assert_eq!(links, [0, 1, 0]);
    assert!(servers.iter().all(|server| server.asked().is_empty()));
}

#[tokio::test(start_paused = true)]
async fn who_listens_is_told_yes_of_what_it_may_read_alone() {
    let (house, servers) = house();
    let wanted = ["files+demo://a", "files+other://1", "notes+note://1", "far+x://1", "nobody+x://1"];
    for (grant, honored) in [
        (named(Principal::token("ci"), &[]), &["files+demo://a"][..]),
        (named(Principal::token("ana"), &["read"]), &["files+demo://a", "files+other://1", "notes+note://1"]),
        (named(Principal::token("bob"), &["read"]), &[]),
    ] {
        let Grant { principal, scopes, .. } = grant.clone();
        let client = Alone { principal, scopes, ..Alone::of(&house) };
        let notifications = json!({"toolsListChanged": true, "resourceSubscriptions": wanted});
        let reply = client.post("subscriptions/listen", json!({"notifications": notifications}));
        let mut events = reply.await.unwrap().events();
        let said = message(&mut events).await;
        assert_eq!(said["method"], "notifications/subscriptions/acknowledged", "{said}");
        let told = said["params"]["notifications"]["resourceSubscriptions"].clone();
        let expected = if honored.is_empty() { Value::Null } else { json!(honored) };
        assert_eq!(told, expected, "{grant:?}");
        let asked = servers.iter().flat_map(Server::asked);
        let begun = asked.filter(|asked| asked["method"] == "resources/subscribe").count();
        assert_eq!(begun, honored.len(), "{grant:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn lists_are_made_once_for_those_of_a_principal_who_have_the_same_rights() {
    let (house, _) = house();
    let seat = |principal: Principal, scopes: &[&str]| {
        let caller = named(principal, scopes).caller(house.hub.next_client());
        house.hub.seat(caller, &house.hub.entrance_all())
    };
    let ci = || Principal::token("ci");
    let (one, other) = (seat(ci(), &[]), seat(ci(), &["of-no-matter"]));
    assert!(Arc::ptr_eq(&one.view(), &other.view()));
    let (reads, writes) =
        (seat(Principal::token("ana"), &["read"]), seat(Principal::token("ana"), &["write"]));
    assert!(!Arc::ptr_eq(&reads.view(), &writes.view()));
    // Two who may use nothing have the same lists, and each its own cursors.
    let (bob, eve) = (seat(Principal::token("bob"), &[]), seat(Principal::token("eve"), &[]));
    assert!(!Arc::ptr_eq(&bob.view(), &eve.view()));
}

/// Which notifications have come on a stream by now.
async fn heard(events: &mut Events) -> Vec<String> {
    settled().await;
    let mut heard = Vec::new();
    while let Some(Some(Said::Event { data, .. })) = events.next().now_or_never() {
        let message: Value = serde_json::from_str(&data).unwrap();
        heard.push(message["method"].as_str().unwrap().to_owned());
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn who_lost_a_right_hears_no_more_of_what_it_had_subscribed_to() {
    const UPDATED: &str = "notifications/resources/updated";
    let (house, servers) = house();
    let client = house.stranger_of(&named(Principal::token("ana"), &["read"])).begun().await;
    let mut events = client.listen().await;
    let subscribe = json!({"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe",
        "params": {"uri": "notes+note://1"}});
    let answer = client.post(subscribe).await.unwrap().json().await;
    assert!(answer["result"].is_object(), "{answer}");
    let update = json!({"jsonrpc": "2.0", "method": UPDATED, "params": {"uri": "note://1"}});
    servers[1].tell(&update);
    assert_eq!(heard(&mut events).await, [UPDATED]);
    let readers = "servers = [\"files\", \"notes\"]\nread_only";
    for (less, hears) in [
        // The resource alone, the server, and what it was in the beginning.
        ("resources = [\"files/*\", \"notes/note://2\"]\nread_only", &[][..]),
        ("servers = [\"files\"]\nread_only", &[]),
        (readers, &[UPDATED]),
    ] {
        let config = config(&CONFIG.replacen(readers, less, 1));
        let by_key = |key: &str| ["files", "notes", "far"].iter().position(|known| *known == key).unwrap();
        let dial =
            |wanted: &ServerConfig| -> Arc<dyn Dial> { Arc::new(servers[by_key(&wanted.key)].clone()) };
        house.hub.adopt(config, dial).await;
        settled().await;
        if !hears.is_empty() {
            // It was left, and must be asked to tell again.
            let again = json!({"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe",
                "params": {"uri": "notes+note://1"}});
            assert!(client.post(again).await.unwrap().json().await["result"].is_object());
        }
        servers[1].tell(&update);
        assert_eq!(heard(&mut events).await, hears, "{less}");
    }
}
