//! With us as without us.

use super::client::Client;
use super::house::{House, PAGE_ITEMS, braid, server};
use super::terms::Terms;
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

#[tokio::test]
async fn every_list_is_the_servers_lists_one_after_the_other() {
    let house = House::open().await;
    check_lists(&house).await;
    house.close().await;
}

async fn check_lists(house: &House) {
    for (method, member) in [
        ("tools/list", "tools"),
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ] {
        let pages = house.braided.pages(method, member).await;
        let mut expected = Vec::new();
        for key in house.keys() {
            let own = house.direct(key).pages(method, member).await.concat();
            let Value::Array(items) = Terms(key).result(json!({ member: own }))[member].take() else {
                panic!("no list")
            };
            expected.extend(items);
        }
        assert_eq!(pages.len(), expected.len().div_ceil(PAGE_ITEMS), "{method}: {pages:?}");
        assert_eq!(json!(pages.concat()), json!(expected), "{method}");
    }
}

#[tokio::test]
async fn every_result_is_the_servers_own() {
    let house = House::open().await;
    check_results(&house, demo_requests()).await;
    let peer_requests = vec![
        ("peer", "tools/call", call("show", json!({ "uri": "clock://time", "name": "show" }))),
        ("peer", "tools/call", json!({ "name": "show" })),
        ("peer", "tools/call", call("fail", json!({}))),
        ("peer", "tools/call", call("steps", json!({}))),
        ("peer", "resources/read", json!({ "uri": "clock://time" })),
        ("peer", "resources/read", json!({ "uri": "clock://zone/Bern" })),
        ("peer", "resources/read", json!({ "uri": "ui://clock/face.html" })),
        ("peer", "resources/read", json!({ "uri": "https://example.org/manual" })),
        ("peer", "prompts/get", call("explain", json!({ "zone": "Bern", "tone": "dry" }))),
    ];
    check_results(&house, peer_requests).await;
    house.close().await;
}

/// The demo servers speak every revision as it was, which a server of the SDK does not.
#[tokio::test]
async fn a_client_of_an_older_revision_gets_what_it_gets_without_us() {
    for revision in ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_06_18) {
        let house = House::of(&["notes", "workshop"], revision.clone()).await;
        assert_eq!(house.braided.server().protocol_version, *revision);
        check_lists(&house).await;
        check_results(&house, demo_requests()).await;
        house.close().await;
    }
}

async fn check_results(house: &House, requests: Vec<(&'static str, &str, Value)>) {
    for (key, method, params) in requests {
        let result = house.same(key, method, params.clone()).await;
        assert!(result.is_ok(), "{key} refuses {method} {params}: {result:?}");
    }
}

fn demo_requests() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("notes", "ping", json!({})),
        ("notes", "tools/call", call("list", json!({}))),
        ("notes", "tools/call", call("search", json!({ "query": "tea" }))),
        ("notes", "tools/call", call("add", json!({ "title": "Über „alles“", "text": "\u{1f375}\n\"\\" }))),
        ("notes", "tools/call", call("search", json!({ "query": "alles" }))),
        ("notes", "tools/call", call("delete", json!({ "id": "welcome" }))),
        ("notes", "tools/call", call("delete", json!({ "id": "welcome" }))),
        ("notes", "resources/read", json!({ "uri": "note://shopping" })),
        ("notes", "prompts/get", call("summarise", json!({ "id": "ideas" }))),
        ("notes", "prompts/get", call("plan", json!({ "goal": "rest", "days": "7" }))),
        (
            "notes",
            "completion/complete",
            complete(json!({ "type": "ref/prompt", "name": "plan" }), "days", "3"),
        ),
        ("workshop", "tools/call", call("echo", json!({ "uri": "note://x", "n": [1, -2.5, 1e300, null] }))),
        ("workshop", "tools/call", json!({ "name": "echo" })),
        ("workshop", "tools/call", call("add", json!({ "a": 9_007_199_254_740_993_i64, "b": 1 }))),
        ("workshop", "tools/call", call("add", json!({ "a": "1", "b": 1 }))),
        ("workshop", "tools/call", call("countdown", json!({ "steps": 2, "delay_ms": 1 }))),
        ("workshop", "tools/call", call("fail", json!({ "message": "as asked" }))),
        ("workshop", "tools/call", call("picture", json!({ "side": 3 }))),
        ("workshop", "tools/call", call("ask", json!({}))),
        ("workshop", "resources/read", json!({ "uri": "workshop://pictures/sign" })),
        ("workshop", "resources/read", json!({ "uri": "workshop://tools/saw" })),
        ("workshop", "prompts/get", call("greet", json!({ "name": "Ada" }))),
        (
            "workshop",
            "completion/complete",
            complete(json!({ "type": "ref/resource", "uri": "workshop://tools/{name}" }), "name", ""),
        ),
    ]
}

fn call(name: &str, arguments: Value) -> Value {
    json!({ "name": name, "arguments": arguments })
}

fn complete(reference: Value, argument: &str, value: &str) -> Value {
    json!({ "ref": reference, "argument": { "name": argument, "value": value } })
}

/// The answer names what was asked about, so that what the server was asked shows.
#[tokio::test]
async fn a_completion_is_asked_of_the_server_in_its_own_terms() {
    let house = House::open().await;
    for reference in [
        json!({ "type": "ref/prompt", "name": "explain" }),
        json!({ "type": "ref/resource", "uri": "clock://zone/{name}" }),
        json!({ "type": "ref/resource", "uri": "clock://{+path}" }),
    ] {
        let own = reference.get("name").or_else(|| reference.get("uri")).unwrap().clone();
        let context = json!({ "arguments": { "tone": "dry" } });
        let mut params = complete(reference, "zone", "L");
        params["context"] = context.clone();
        let result = house.same("peer", "completion/complete", params).await.unwrap();
        assert_eq!(result["completion"]["values"], json!(["Lugano", own, context.to_string()]));
    }
    house.close().await;
}

#[tokio::test]
async fn every_error_is_the_servers_own() {
    let house = House::open().await;
    for (key, method, params, code) in [
        ("notes", "resources/read", json!({ "uri": "note://nobody" }), -32002),
        ("notes", "prompts/get", call("summarise", json!({})), -32602),
        (
            "notes",
            "completion/complete",
            complete(json!({ "type": "ref/prompt", "name": "plan" }), "x", ""),
            -32602,
        ),
        ("peer", "tools/call", json!({ "name": "refuse" }), -31_999),
        ("peer", "resources/read", json!({ "uri": "clock://nowhere" }), -32002),
        ("peer", "prompts/get", json!({ "name": "explain" }), -32602),
    ] {
        let error = house.same(key, method, params.clone()).await.unwrap_err();
        assert_eq!(error["code"], code, "{key}: {method} {params}");
    }
    house.close().await;
}

#[tokio::test]
async fn progress_comes_under_the_token_that_its_client_chose() {
    let house = House::open().await;
    for (key, params, notes) in [
        ("peer", call("steps", json!({})), 4),
        ("workshop", call("countdown", json!({ "steps": 3, "delay_ms": 1 })), 3),
    ] {
        // Two at a time, so that each must get its own.
        let direct = house.direct(key).begin("tools/call", params.clone()).await;
        let one = house.braided.begin("tools/call", Terms(key).params(params.clone())).await;
        let two = house.braided.begin("tools/call", Terms(key).params(params)).await;
        let (expected, one_token, two_token) = (direct.token(), one.token(), two.token());
        let result = direct.answer().await.unwrap();
        for (asked, token) in [(one, one_token), (two, two_token)] {
            assert_eq!(asked.answer().await.unwrap(), result);
            house.direct(key).until(|heard| heard.under(&expected).count() >= notes).await;
            house.braided.until(|heard| heard.under(&token).count() >= notes).await;
            assert_eq!(house.braided.progress(&token), house.direct(key).progress(&expected), "{key}");
        }
    }
    let tokens = house.braided.tokens();
    assert_eq!(tokens.len(), 4, "a note under a token of nobody: {tokens:?}");
    house.close().await;
}

#[tokio::test]
async fn a_cancel_reaches_the_server_that_works_on_it() {
    let house = House::open().await;
    let wait = json!({ "name": "wait" });
    let direct = house.direct("peer").begin("tools/call", wait.clone()).await;
    let braided = house.braided.begin("tools/call", Terms("peer").params(wait)).await;
    for (client, asked) in [(house.direct("peer"), direct), (&house.braided, braided)] {
        let token = asked.token();
        client.until(|heard| heard.under(&token).count() > 0).await;
        asked.cancel().await;
    }
    let counted = house.same("peer", "tools/call", json!({ "name": "cancelled" })).await.unwrap();
    assert_eq!(counted["structuredContent"], json!({ "cancelled": 1 }));
    house.close().await;
}

#[tokio::test]
async fn what_a_server_adds_is_announced_and_there() {
    let house = House::open().await;
    let (tools, resources) = (("tools/list", "tools"), ("resources/list", "resources"));
    let before = house.braided.pages(tools.0, tools.1).await.concat();
    let read_before = house.braided.pages(resources.0, resources.1).await.concat();

    house.same("peer", "tools/call", json!({ "name": "grow" })).await.unwrap();
    house.direct("peer").until(|heard| heard.tools_changed > 0).await;
    house.braided.until(|heard| heard.tools_changed > 0).await;
    let after = house.braided.pages(tools.0, tools.1).await.concat();
    let added: Vec<_> = after.iter().filter(|tool| !before.contains(tool)).collect();
    assert_eq!(added.len(), 1);
    assert_eq!((&added[0]["name"], after.len()), (&json!("peer__sprout_0"), before.len() + 1));
    house.same("peer", "tools/call", json!({ "name": "sprout_0" })).await.unwrap();

    let note = call("add", json!({ "title": "New", "text": "" }));
    house.same("notes", "tools/call", note).await.unwrap();
    house.braided.until(|heard| heard.resources_changed > 0).await;
    let read_after = house.braided.pages(resources.0, resources.1).await.concat();
    let added: Vec<_> = read_after.iter().filter(|resource| !read_before.contains(resource)).collect();
    assert_eq!(added.len(), 1);
    assert_eq!(added[0]["uri"], "notes+note://new");
    house.same("notes", "resources/read", json!({ "uri": "note://new" })).await.unwrap();
    house.close().await;
}

#[tokio::test]
async fn a_client_of_the_next_era_needs_no_handshake() {
    let (_folder, braid) = braid(&["peer"]);
    let (braided, direct) =
        tokio::join!(Client::probe(braid), Client::connect(server("peer"), ProtocolVersion::LATEST));
    assert_eq!(braided.server().protocol_version, ProtocolVersion::V_2026_07_28);
    assert_eq!(braided.server().server_info.as_ref().unwrap().name, "braid");
    let pages = braided.pages("tools/list", "tools").await;
    assert!(pages.concat().iter().any(|tool| tool["name"] == "peer__show"));
    tokio::join!(braided.leave(), direct.leave());
}
