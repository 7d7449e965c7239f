//! What no client should say, and batches, which only some may.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::talk::Talk;
use crate::demo::revision::Revision;
use crate::demo::server::BATCH_MAX;

fn workshop() -> Talk {
    Talk::workshop(Revision::V2025_11_25, json!({}))
}

fn batcher() -> Talk {
    Talk::workshop(Revision::V2025_03_26, json!({}))
}

#[test]
fn what_is_not_json_is_a_parse_error_without_an_id() {
    for line in [&b"{"[..], b"nonsense", b"{\"id\":1} {\"id\":2}", b"\xff\xfe", b"\"\xc3\"", b"[1,]"] {
        let heard = workshop().hear_bytes(line);
        assert_eq!(heard.len(), 1);
        assert_eq!(heard[0]["error"]["code"], -32700);
        assert!(heard[0].get("id").is_none());
    }
}

#[test]
fn what_is_no_message_is_refused_with_its_id_where_it_has_one() {
    for (line, id) in [
        ("1", None),
        ("null", None),
        ("\"ping\"", None),
        ("{}", None),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, None),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, None),
        (r#"{"jsonrpc":"2.0","id":1}"#, Some(json!(1))),
        (r#"{"jsonrpc":"1.0","id":"a","method":"ping"}"#, Some(json!("a"))),
        (r#"{"id":"a","method":"ping"}"#, Some(json!("a"))),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, Some(json!(1))),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, Some(json!(1))),
        (r#"{"jsonrpc":"2.0","result":{}}"#, None),
    ] {
        let heard = workshop().hear(line);
        assert_eq!(heard[0]["error"]["code"], -32600, "{line}");
        assert_eq!(heard[0].get("id"), id.as_ref(), "{line}");
    }
}

#[test]
fn params_that_are_no_object_are_invalid() {
    for params in ["[]", "[\"echo\"]", "1", "\"x\"", r#"{"name":"echo","arguments":[]}"#, r#"{"name":7}"#] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        assert_eq!(workshop().hear(&line)[0]["error"]["code"], -32602, "{params}");
    }
    let line = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"progressToken":[]}}}"#;
    assert_eq!(workshop().hear(line)[0]["error"]["code"], -32602);
}

#[test]
fn an_unknown_notification_is_ignored() {
    for line in [
        r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#,
        r#"{"jsonrpc":"2.0","method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","method":"x","params":7}"#,
    ] {
        assert!(workshop().hear(line).is_empty());
    }
}

#[test]
fn depth_is_nobodys_stack() {
    let deep = 100_000;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nest = format!("{}1{}", open.repeat(deep), close.repeat(deep));
        for tool in ["echo", "add"] {
            let line = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{"a":{nest}}}}}}}"#
            );
            let heard = workshop().hear(&line);
            assert_eq!(heard[0]["result"].get("isError").is_some(), tool == "add");
        }
        let line =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"capabilities":{nest}}}}}"#);
        assert_eq!(Talk::stranger().hear(&line)[0]["error"]["code"], -32602);
        assert_eq!(workshop().hear(&nest).len(), 1);
    }
}

#[test]
fn a_batch_is_answered_in_one_array() {
    let heard = batcher().hear(
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},
            {"jsonrpc":"2.0","method":"notifications/initialized"},
            7,
            {"jsonrpc":"2.0","id":"b","method":"nothing"}]"#,
    );
    let [batch] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(batch[0], json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
    assert_eq!(batch[1]["error"]["code"], -32600);
    assert_eq!((&batch[2]["id"], &batch[2]["error"]["code"]), (&json!("b"), &json!(-32601)));
    assert_eq!(batch.as_array().unwrap().len(), 3);
}

#[test]
fn a_batch_waits_for_its_slowest_and_not_for_the_cancelled() {
    let mut talk = batcher();
    let call = |id: u64, delay_ms: u64| {
        let arguments = json!({ "steps": 1, "delay_ms": delay_ms });
        let params = json!({ "name": "countdown", "arguments": arguments });
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
    };
    let ping = json!({ "jsonrpc": "2.0", "id": 3, "method": "ping" });
    assert!(talk.hear(&json!([call(1, 50), call(2, 9000), ping]).to_string()).is_empty());
    assert!(talk.pass(std::time::Duration::from_millis(50)).is_empty());
    let cancel = json!({
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": { "requestId": 2 },
    });
    let heard = talk.hear(&cancel.to_string());
    let ids: Vec<_> = heard[0].as_array().unwrap().iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [&json!(3), &json!(1)]);
}

#[test]
fn a_batch_without_requests_is_not_answered() {
    let notice = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert!(batcher().hear(&json!([notice, notice]).to_string()).is_empty());
}

#[test]
fn a_batch_has_a_least_and_a_most() {
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let batch = |count: usize| Value::from(vec![ping.clone(); count]).to_string();
    assert_eq!(batcher().hear(&batch(0))[0]["error"]["code"], -32600);
    assert_eq!(batcher().hear(&batch(BATCH_MAX))[0].as_array().unwrap().len(), BATCH_MAX);
    assert_eq!(batcher().hear(&batch(BATCH_MAX + 1))[0]["error"]["code"], -32600);
}

#[test]
fn batches_are_of_one_revision_only() {
    let ping = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#;
    assert_eq!(Talk::stranger().hear(ping)[0]["error"]["code"], -32600);
    for revision in Revision::ALL {
        let heard = Talk::workshop(revision, json!({})).hear(ping);
        assert_eq!(heard[0].is_array(), revision == Revision::V2025_03_26);
    }
}

proptest! {
    /// `shape` checks every line that comes back.
    #[test]
    fn any_line_gets_sound_messages_or_silence(line in line()) {
        let mut talk = batcher();
        let heard = talk.hear(&line);
        prop_assert!(heard.len() <= 1 || line.contains("countdown"));
        prop_assert_eq!(talk.ask("ping", json!({})), Ok(json!({})));
    }
}

/// Text close to a message: sound members with unsound values, in any number.
fn line() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("1".to_owned()),
        Just("null".to_owned()),
        Just("\"2.0\"".to_owned()),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
        Just("-1e999".to_owned()),
        Just("\"tools/call\"".to_owned()),
        Just("\"initialize\"".to_owned()),
        Just("\"completion/complete\"".to_owned()),
        Just(
            r#"{"name":"countdown","arguments":{"steps":2,"delay_ms":0},"_meta":{"progressToken":0}}"#
                .to_owned()
        ),
        Just(r#"{"name":"picture","arguments":{"side":-0}}"#.to_owned()),
        Just(
            r#"{"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"mood","value":""}}"#
                .to_owned()
        ),
        ".{0,12}",
    ];
    let member = prop_oneof![
        Just("jsonrpc"),
        Just("id"),
        Just("method"),
        Just("params"),
        Just("result"),
        Just("error"),
        Just("x"),
    ];
    let object = prop::collection::vec((member, value), 0..6).prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    });
    prop_oneof![
        object.clone(),
        object.prop_map(|rest| rest.replacen('{', r#"{"jsonrpc":"2.0","id":7,"#, 1).replace(",}", "}")),
        ".{0,40}",
    ]
}
