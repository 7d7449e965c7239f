//! The workshop, tool by tool.

use std::time::Duration;

use serde_json::{Value, json};

use super::talk::Talk;
use crate::demo::countdown::Countdown;
use crate::demo::message::Id;
use crate::demo::revision::Revision;
use crate::demo::server::OPEN_MAX;
use crate::demo::workshop::{DELAY_MS_MAX, STEPS_MAX};

const LATEST: Revision = Revision::V2025_11_25;

fn workshop() -> Talk {
    Talk::workshop(LATEST, json!({}))
}

fn asker() -> Talk {
    Talk::workshop(LATEST, json!({ "elicitation": {} }))
}

#[test]
fn an_echo_keeps_every_digit_and_every_space() {
    let arguments = r#"{ "b": 1.50e2, "a":12345678901234567890123,"a":"\u00e9/\/" }"#;
    let line = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{arguments}}}}}"#
    );
    let heard = workshop().hear(&line);
    assert_eq!(heard[0]["result"]["content"][0]["text"], arguments);
}

#[test]
fn an_echo_of_nothing_is_an_empty_object() {
    for params in [json!({ "name": "echo" }), json!({ "name": "echo", "arguments": null })] {
        let result = workshop().ask("tools/call", params).unwrap();
        assert_eq!(result["content"][0]["text"], "{}");
    }
}

#[test]
fn whole_numbers_are_added_with_all_their_digits() {
    let mut talk = workshop();
    let mut sum =
        |a: Value, b: Value| talk.call("add", json!({ "a": a, "b": b }))["structuredContent"]["sum"].take();
    assert_eq!(sum(json!(2), json!(3)), 5);
    assert_eq!(sum(json!(9_007_199_254_740_993_i64), json!(0)), 9_007_199_254_740_993_i64);
    assert_eq!(sum(json!(0.5), json!(1)), 1.5);
    assert_eq!(sum(json!(i64::MAX), json!(1)), 9_223_372_036_854_775_808.0);
    assert_eq!(talk.failure("add", json!({ "a": 1e308, "b": 1e308 })), "the sum is too large for a number");
    assert_eq!(talk.failure("add", json!({ "a": 1 })), "`b` is missing");
    assert_eq!(talk.failure("add", json!({ "a": 1, "b": "2" })), "`b` must be a number");
}

#[test]
fn a_countdown_counts_when_its_time_has_come() {
    let mut talk = workshop();
    let (id, heard) = countdown(&mut talk, json!({ "steps": 2, "delay_ms": 1000 }), json!("t"));
    assert!(heard.is_empty());
    assert_eq!(talk.due(), Some(Duration::from_secs(1)));
    assert!(talk.pass(Duration::from_millis(999)).is_empty());
    let heard = talk.pass(Duration::from_millis(1));
    assert_eq!(
        heard[0]["params"],
        json!({ "progressToken": "t", "progress": 1, "total": 2, "message": "1 to go" })
    );
    // Meanwhile others are served.
    assert_eq!(talk.ask("ping", json!({})), Ok(json!({})));
    let heard = talk.pass(Duration::from_secs(1));
    let [progress, answer] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(progress["params"]["progress"], 2);
    assert_eq!(answer["id"], id);
    assert_eq!(answer["result"]["content"][0]["text"], "counted down 2 steps of 1000 ms");
    assert_eq!(talk.due(), None);
}

#[test]
fn without_delay_a_countdown_is_over_at_once() {
    let (id, heard) = countdown(&mut workshop(), json!({ "steps": 3, "delay_ms": 0 }), json!(7));
    let progress: Vec<_> = heard.iter().filter_map(|note| note["params"]["progress"].as_u64()).collect();
    assert_eq!(progress, [1, 2, 3]);
    assert!(heard.iter().take(3).all(|note| note["params"]["progressToken"] == 7));
    assert_eq!(heard[3]["id"], id);
}

#[test]
fn a_token_longer_than_any_number_type_comes_back_whole() {
    let token = Id::Number("123456789012345678901234567890".to_owned());
    let countdown = Countdown::new(Some(token), 1, Duration::ZERO, std::time::Instant::now());
    assert!(countdown.progress(true).unwrap().contains(r#""progressToken":123456789012345678901234567890,"#));
}

#[test]
fn who_asks_for_no_progress_gets_none() {
    let params = json!({ "name": "countdown", "arguments": { "steps": 3, "delay_ms": 0 } });
    let (id, heard) = workshop().request("tools/call", params);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["id"], id);
}

#[test]
fn the_first_revision_gets_progress_without_words() {
    let mut talk = Talk::workshop(Revision::V2024_11_05, json!({}));
    let (_, heard) = countdown(&mut talk, json!({ "steps": 1, "delay_ms": 0 }), json!("t"));
    assert_eq!(heard[0]["params"], json!({ "progressToken": "t", "progress": 1, "total": 1 }));
}

#[test]
fn a_cancelled_countdown_is_never_answered() {
    let mut talk = workshop();
    let (id, _) = countdown(&mut talk, json!({ "steps": 2, "delay_ms": 1000 }), json!("t"));
    talk.pass(Duration::from_secs(1));
    assert!(cancel(&mut talk, json!(id)).is_empty());
    assert_eq!(talk.due(), None);
    assert!(talk.pass(Duration::from_secs(60)).is_empty());
    // Its id is free again.
    assert!(talk.ask("ping", json!({})).is_ok());
}

#[test]
fn a_cancel_of_nothing_is_ignored() {
    let mut talk = workshop();
    let (id, _) = countdown(&mut talk, json!({ "delay_ms": 1000 }), json!("t"));
    for other in [json!(id.to_string()), json!(id + 1), json!(null), json!(1.5), json!({})] {
        assert!(cancel(&mut talk, other).is_empty());
    }
    assert!(talk.hear(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#).is_empty());
    assert!(talk.due().is_some());
}

#[test]
fn a_countdown_has_its_bounds() {
    let mut talk = workshop();
    for steps in [json!(0), json!(STEPS_MAX + 1), json!(1.5), json!("3"), json!(1e300)] {
        assert!(talk.failure("countdown", json!({ "steps": steps })).contains("from 1 to 1000"));
    }
    for delay in [-1, DELAY_MS_MAX + 1] {
        assert!(talk.failure("countdown", json!({ "delay_ms": delay })).contains("from 0 to 60000"));
    }
    let (_, heard) = countdown(&mut talk, json!({ "steps": STEPS_MAX as f64, "delay_ms": 0 }), json!("t"));
    assert_eq!(heard.len(), 1001);
}

#[test]
fn calls_that_wait_have_a_bound() {
    let mut talk = asker();
    for _ in 1..OPEN_MAX {
        countdown(&mut talk, json!({ "delay_ms": 1000 }), json!("t"));
    }
    let (last, _) = talk.request("tools/call", json!({ "name": "ask" }));
    assert!(talk.failure("ask", json!({})).contains("64 calls are open already"));
    assert!(talk.failure("countdown", json!({})).contains("64 calls are open already"));
    cancel(&mut talk, json!(last));
    countdown(&mut talk, json!({ "delay_ms": 1000 }), json!("t"));
}

#[test]
fn an_id_in_use_is_not_taken_twice() {
    let mut talk = workshop();
    let line = |tool: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":"one","method":"tools/call","params":{{"name":"{tool}"}}}}"#)
    };
    assert!(talk.hear(&line("countdown")).is_empty());
    assert_eq!(talk.hear(&line("echo"))[0]["error"]["code"], -32600);
}

#[test]
fn a_failure_is_a_result() {
    let mut talk = workshop();
    assert_eq!(talk.failure("fail", json!({})), "this tool fails, always");
    assert_eq!(talk.failure("fail", json!({ "message": "out of wood" })), "out of wood");
}

#[test]
fn a_picture_is_a_png() {
    let result = workshop().call("picture", json!({ "side": 8 }));
    assert_eq!(result["content"][1]["mimeType"], "image/png");
    assert!(result["content"][1]["data"].as_str().unwrap().starts_with("iVBORw0KGgo"));
    assert!(workshop().failure("picture", json!({ "side": 65 })).contains("from 1 to 64"));
}

#[test]
fn a_client_without_forms_is_told_so() {
    for (revision, capabilities) in [
        (LATEST, json!({})),
        (LATEST, json!({ "elicitation": { "url": {} } })),
        (LATEST, json!({ "elicitation": true })),
        // Declared, and the revision has no such request.
        (Revision::V2025_03_26, json!({ "elicitation": {} })),
    ] {
        let mut talk = Talk::workshop(revision, capabilities);
        assert!(talk.failure("ask", json!({})).starts_with("this client cannot show a form"));
    }
}

#[test]
fn a_form_is_shown_and_its_content_is_the_result() {
    for (revision, elicitation) in
        [(Revision::V2025_06_18, json!({})), (LATEST, json!({})), (LATEST, json!({ "form": {}, "url": {} }))]
    {
        let mut talk = Talk::workshop(revision, json!({ "elicitation": elicitation }));
        let question = json!({ "name": "ask", "arguments": { "question": "What now?" } });
        let (id, heard) = talk.request("tools/call", question);
        assert_eq!(heard[0]["params"]["message"], "What now?");
        let content = json!({ "thing": "hammer", "pieces": 2 });
        let heard = answer(&mut talk, &heard[0]["id"], json!({ "action": "accept", "content": content }));
        assert_eq!(heard[0]["id"], id);
        assert_eq!(heard[0]["result"]["content"][0]["text"], r#"ordered: {"pieces":2,"thing":"hammer"}"#);
    }
}

#[test]
fn whatever_comes_back_from_a_form_ends_the_call() {
    for (result, failed, words) in [
        (json!({ "action": "decline" }), false, "declined"),
        (json!({ "action": "cancel" }), false, "closed the form"),
        (json!({ "action": "accept" }), true, "left out its content"),
        (json!({ "action": "shrug" }), true, "no `action`"),
        (json!(null), true, "no `action`"),
    ] {
        let mut talk = asker();
        let (id, heard) = talk.request("tools/call", json!({ "name": "ask" }));
        let heard = answer(&mut talk, &heard[0]["id"], result);
        assert_eq!(heard[0]["id"], id);
        assert_eq!(heard[0]["result"]["isError"] == true, failed);
        assert!(heard[0]["result"]["content"][0]["text"].as_str().unwrap().contains(words));
    }
}

#[test]
fn an_error_instead_of_a_form_is_passed_on_in_words() {
    let mut talk = asker();
    let (_, heard) = talk.request("tools/call", json!({ "name": "ask" }));
    let ask = &heard[0]["id"];
    let line = format!(r#"{{"jsonrpc":"2.0","id":{ask},"error":{{"code":-1,"message":"nobody home"}}}}"#);
    let heard = talk.hear(&line);
    assert_eq!(heard[0]["result"]["content"][0]["text"], "the client could not ask: nobody home");
}

#[test]
fn each_answer_finds_its_own_form() {
    let mut talk = asker();
    let asks: Vec<_> = (0..3).map(|_| talk.request("tools/call", json!({ "name": "ask" }))).collect();
    for (id, heard) in asks.iter().rev() {
        let heard = answer(&mut talk, &heard[0]["id"], json!({ "action": "decline" }));
        assert_eq!(heard[0]["id"], *id);
    }
}

#[test]
fn an_answer_nobody_waits_for_is_nobodys() {
    let mut talk = asker();
    let (_, heard) = talk.request("tools/call", json!({ "name": "ask" }));
    let ask = heard[0]["id"].clone();
    for stray in [json!("ask-99"), json!(1)] {
        assert!(answer(&mut talk, &stray, json!({ "action": "decline" })).is_empty());
    }
    assert_eq!(answer(&mut talk, &ask, json!({ "action": "decline" })).len(), 1);
    assert!(answer(&mut talk, &ask, json!({ "action": "decline" })).is_empty());
}

#[test]
fn a_cancelled_call_takes_its_form_back() {
    let mut talk = asker();
    let (id, heard) = talk.request("tools/call", json!({ "name": "ask" }));
    let ask = heard[0]["id"].clone();
    let heard = cancel(&mut talk, json!(id));
    assert_eq!(heard[0]["method"], "notifications/cancelled");
    assert_eq!(heard[0]["params"]["requestId"], ask);
    assert!(answer(&mut talk, &ask, json!({ "action": "decline" })).is_empty());
}

#[test]
fn resources_are_text_or_bytes() {
    let mut talk = workshop();
    let listed = talk.ask("resources/list", json!({})).unwrap();
    assert_eq!(listed["resources"].as_array().unwrap().len(), 2);
    for (uri, member) in [
        ("workshop://tools/hammer", "text"),
        ("workshop://tools/saw", "text"),
        ("workshop://pictures/sign", "blob"),
    ] {
        let read = talk.ask("resources/read", json!({ "uri": uri })).unwrap();
        assert!(read["contents"][0].get(member).is_some());
    }
    assert_eq!(
        talk.ask("resources/read", json!({ "uri": "workshop://tools/axe" })).unwrap_err()["code"],
        -32002
    );
}

#[test]
fn names_and_moods_are_completed() {
    let mut talk = workshop();
    let mut values = |reference: Value, argument: &str, value: &str| {
        let params = json!({ "ref": reference, "argument": { "name": argument, "value": value } });
        talk.ask("completion/complete", params).unwrap()["completion"]["values"].take()
    };
    let template = json!({ "type": "ref/resource", "uri": "workshop://tools/{name}" });
    assert_eq!(values(template, "name", ""), json!(["hammer", "plane", "saw"]));
    let prompt = json!({ "type": "ref/prompt", "name": "greet" });
    assert_eq!(values(prompt.clone(), "mood", "f"), json!(["formal", "friendly"]));
    assert_eq!(values(prompt, "name", "A"), json!([]));
}

#[test]
fn a_visitor_is_greeted() {
    let mut talk = workshop();
    let greet = |arguments: Value| json!({ "name": "greet", "arguments": arguments });
    let prompt = talk.ask("prompts/get", greet(json!({ "name": "Ana", "mood": "brief" }))).unwrap();
    let text = &prompt["messages"][0]["content"]["text"];
    assert_eq!(text, "Greet Ana, who just came into the workshop. Sound brief.");
    assert_eq!(talk.ask("prompts/get", greet(json!({}))).unwrap_err()["code"], -32602);
    assert_eq!(talk.ask("prompts/get", json!({ "name": "shout" })).unwrap_err()["code"], -32602);
}

fn countdown(talk: &mut Talk, arguments: Value, token: Value) -> (u64, Vec<Value>) {
    let params = json!({ "name": "countdown", "arguments": arguments, "_meta": { "progressToken": token } });
    talk.request("tools/call", params)
}

fn cancel(talk: &mut Talk, id: Value) -> Vec<Value> {
    let params = json!({ "requestId": id });
    let line = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
    talk.hear(&line.to_string())
}

fn answer(talk: &mut Talk, ask: &Value, result: Value) -> Vec<Value> {
    talk.hear(&json!({ "jsonrpc": "2.0", "id": ask, "result": result }).to_string())
}
