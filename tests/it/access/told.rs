//! What somebody is told beside lists: nothing of what they may not use.

use super::{Grant, Principal, Scopes, house};
use crate::http::house::{Client, settled};
use serde_json::{Value, json};

/// What a client is greeted with.
async fn greeting(client: Client) -> Value {
    client.greet().await.json().await["result"].clone()
}

fn named(principal: Principal, scopes: &[&str]) -> Grant {
    Grant { principal, scopes: Scopes::of(scopes.iter().copied()).unwrap() }
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
