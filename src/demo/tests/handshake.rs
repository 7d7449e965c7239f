//! The handshake, and what needs none.

use serde_json::{Value, json};

use super::talk::Talk;
use crate::demo::revision::Revision;

#[test]
fn each_revision_gets_lists_in_its_own_words() {
    for revision in Revision::ALL {
        for mut talk in [Talk::notes(revision), Talk::workshop(revision, json!({}))] {
            for method in ["tools/list", "resources/list", "resources/templates/list", "prompts/list"] {
                talk.ask(method, json!({})).unwrap();
            }
        }
    }
}

#[test]
fn a_revision_of_the_next_era_is_answered_with_our_latest() {
    let mut talk = Talk::stranger();
    let hello = json!({ "protocolVersion": "2026-07-28", "capabilities": {}, "clientInfo": {} });
    assert_eq!(talk.ask("initialize", hello).unwrap()["protocolVersion"], "2025-11-25");
}

#[test]
fn only_what_is_offered_is_declared() {
    for (mut talk, resources) in
        [(Talk::stranger_to_notes(), json!({ "listChanged": true })), (Talk::stranger(), json!({}))]
    {
        let result = talk.ask("initialize", hello()).unwrap();
        let declared = json!({ "tools": {}, "prompts": {}, "completions": {}, "resources": resources });
        assert_eq!(result["capabilities"], declared);
        for (method, params) in [
            ("resources/subscribe", json!({ "uri": "note://welcome" })),
            ("logging/setLevel", json!({ "level": "debug" })),
            ("tasks/list", json!({})),
        ] {
            assert_eq!(talk.ask(method, params).unwrap_err()["code"], -32601);
        }
    }
}

#[test]
fn a_ping_is_answered_at_any_time() {
    let mut talk = Talk::stranger();
    assert_eq!(talk.ask("ping", json!({})), Ok(json!({})));
    talk.ask("initialize", hello()).unwrap();
    assert_eq!(talk.ask("ping", json!({})), Ok(json!({})));
}

#[test]
fn before_the_handshake_a_known_method_is_refused_and_a_foreign_one_unknown() {
    let mut talk = Talk::stranger();
    assert_eq!(talk.ask("tools/list", json!({})).unwrap_err()["code"], -32600);
    assert_eq!(talk.ask("server/discover", json!({})).unwrap_err()["code"], -32601);
    // Neither of them is held against the client.
    assert!(talk.ask("initialize", hello()).is_ok());
}

#[test]
fn a_second_handshake_is_refused_and_changes_nothing() {
    let mut talk = Talk::notes(Revision::V2024_11_05);
    assert_eq!(talk.ask("initialize", hello()).unwrap_err()["code"], -32600);
    talk.ask("tools/list", json!({})).unwrap();
}

#[test]
fn a_handshake_without_a_revision_is_refused() {
    let mut talk = Talk::stranger();
    for params in [json!({}), json!({ "protocolVersion": 1 })] {
        assert_eq!(talk.ask("initialize", params).unwrap_err()["code"], -32602);
    }
}

fn hello() -> Value {
    json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": { "name": "talk", "version": "0" },
    })
}
