//! The notebook, method by method.

use serde_json::{Value, json};

use super::talk::Talk;
use crate::demo::notes::{LINKS_MAX, NOTES_MAX, TEXT_BYTES_MAX, TITLE_BYTES_MAX};
use crate::demo::revision::Revision;

const LATEST: Revision = Revision::V2025_11_25;

#[test]
fn tools_say_what_they_do_to_the_notes() {
    let tools = Talk::notes(LATEST).ask("tools/list", json!({})).unwrap();
    let hints: Vec<_> = tools["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| (tool["name"].as_str().unwrap(), tool["annotations"]["readOnlyHint"].as_bool().unwrap()))
        .collect();
    assert_eq!(hints, [("add", false), ("list", true), ("search", true), ("delete", false)]);
    assert!(tools["tools"].as_array().unwrap().iter().all(|tool| tool.get("outputSchema").is_some()));
}

#[test]
fn an_added_note_is_announced_listed_and_read() {
    let mut talk = Talk::notes(LATEST);
    let note = json!({ "title": "Café, 2 o'clock!", "text": "With Ana." });
    let (id, heard) = talk.request("tools/call", json!({ "name": "add", "arguments": note }));
    let [announced, answer] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(announced["method"], "notifications/resources/list_changed");
    assert_eq!(answer["id"], id);
    let added = &answer["result"]["structuredContent"];
    assert_eq!(
        *added,
        json!({ "id": "caf-2-o-clock", "title": "Café, 2 o'clock!", "uri": "note://caf-2-o-clock" })
    );

    let resources = talk.ask("resources/list", json!({})).unwrap();
    assert_eq!(uris(&resources["resources"]).last(), Some(&"note://caf-2-o-clock"));
    let read = talk.ask("resources/read", json!({ "uri": added["uri"] })).unwrap();
    assert_eq!(read["contents"][0]["text"], "With Ana.");
    assert_eq!(read["contents"][0]["uri"], added["uri"]);
}

#[test]
fn notes_of_one_title_have_ids_of_their_own() {
    let mut talk = Talk::notes(LATEST);
    let mut id = |title: &str| {
        let result = talk.call("add", json!({ "title": title, "text": "" }));
        result["structuredContent"]["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(["Ideas", "ideas", "¿?", "??"].map(&mut id), ["ideas-2", "ideas-3", "note", "note-2"]);
}

#[test]
fn a_note_is_found_in_any_case_and_linked() {
    let result = Talk::notes(LATEST).call("search", json!({ "query": "TEA" }));
    assert_eq!(uris(&result["structuredContent"]["notes"]), ["note://shopping", "note://ideas"]);
    assert_eq!(result["content"][1]["type"], "resource_link");
    assert_eq!(result["content"][1]["uri"], "note://shopping");
    assert_eq!(result["content"][1]["name"], "shopping");
}

#[test]
fn where_links_are_not_known_they_are_lines_of_text() {
    for revision in [Revision::V2024_11_05, Revision::V2025_03_26] {
        let result = Talk::notes(revision).call("search", json!({ "query": "apples" }));
        assert_eq!(
            result["content"][1],
            json!({ "type": "text", "text": "note://shopping (Shopping list)" })
        );
        assert!(result.get("structuredContent").is_none());
        assert!(result["content"][0]["text"].as_str().unwrap().contains("shopping"));
    }
}

#[test]
fn a_deleted_note_is_gone() {
    let mut talk = Talk::notes(LATEST);
    let (_, heard) = talk.request("tools/call", json!({ "name": "delete", "arguments": { "id": "ideas" } }));
    assert_eq!(heard[0]["method"], "notifications/resources/list_changed");
    assert_eq!(heard[1]["result"]["structuredContent"], json!({ "deleted": "ideas" }));
    let left = talk.call("list", json!({}));
    assert_eq!(uris(&left["structuredContent"]["notes"]), ["note://welcome", "note://shopping"]);
    assert!(talk.ask("resources/read", json!({ "uri": "note://ideas" })).is_err());
    assert!(talk.failure("delete", json!({ "id": "ideas" })).contains("no note `ideas`"));
}

#[test]
fn an_unknown_tool_is_an_error_of_the_request() {
    let error = Talk::notes(LATEST).ask("tools/call", json!({ "name": "burn" })).unwrap_err();
    assert_eq!(error["code"], -32602);
}

#[test]
fn an_unknown_resource_is_named_in_the_error() {
    let mut talk = Talk::notes(LATEST);
    for uri in ["note://nowhere", "note://", "file:///etc/passwd", "", "note://Welcome"] {
        let error = talk.ask("resources/read", json!({ "uri": uri })).unwrap_err();
        assert_eq!((&error["code"], &error["data"]), (&json!(-32002), &json!({ "uri": uri })));
    }
    assert_eq!(talk.ask("resources/read", json!({})).unwrap_err()["code"], -32602);
}

#[test]
fn arguments_of_the_wrong_kind_fail_in_a_sentence() {
    let mut talk = Talk::notes(LATEST);
    assert_eq!(talk.failure("add", json!({})), "`title` is missing");
    assert_eq!(talk.failure("add", json!({ "title": 1, "text": "" })), "`title` must be a string");
    assert_eq!(talk.failure("add", json!({ "title": " ", "text": "" })), "`title` must not be empty");
    assert_eq!(talk.failure("search", json!({ "query": null })), "`query` must be a string");
}

#[test]
fn a_note_and_the_notebook_have_their_bounds() {
    let mut talk = Talk::notes(LATEST);
    let long = |title: usize, text: usize| json!({ "title": "t".repeat(title), "text": "x".repeat(text) });
    assert!(talk.failure("add", long(TITLE_BYTES_MAX + 1, 0)).contains("200 bytes of title"));
    assert!(talk.failure("add", long(1, TEXT_BYTES_MAX + 1)).contains("16384 of text"));
    talk.call("add", long(TITLE_BYTES_MAX, TEXT_BYTES_MAX));
    for number in 4..NOTES_MAX {
        let result = talk.call("add", json!({ "title": format!("n{number}"), "text": "" }));
        assert!(result.get("isError").is_none());
    }
    assert!(talk.failure("add", long(1, 1)).contains("1000 notes already"));
    let found = talk.call("search", json!({ "query": "n" }));
    assert!(found["structuredContent"]["notes"].as_array().unwrap().len() > LINKS_MAX);
    assert_eq!(found["content"].as_array().unwrap().len(), 1 + LINKS_MAX);
    let completion = complete(&mut talk, json!({ "type": "ref/resource", "uri": "note://{id}" }), "id", "n");
    assert_eq!(completion["values"].as_array().unwrap().len(), 100);
    assert_eq!(completion["hasMore"], true);
    assert_eq!(completion["total"], NOTES_MAX - 4);
}

#[test]
fn ids_are_completed_for_the_template_and_the_prompt() {
    for revision in Revision::ALL {
        let mut talk = Talk::notes(revision);
        let template = json!({ "type": "ref/resource", "uri": "note://{id}" });
        assert_eq!(complete(&mut talk, template, "id", "s")["values"], json!(["shopping"]));
        let prompt = json!({ "type": "ref/prompt", "name": "summarise" });
        let all = complete(&mut talk, prompt, "id", "");
        assert_eq!(all, json!({ "values": ["welcome", "shopping", "ideas"], "total": 3, "hasMore": false }));
        let plan = json!({ "type": "ref/prompt", "name": "plan" });
        assert_eq!(complete(&mut talk, plan, "days", "3")["values"], json!(["30"]));
    }
}

#[test]
fn what_is_not_there_is_not_completed() {
    let mut talk = Talk::notes(LATEST);
    for (reference, argument) in [
        (json!({ "type": "ref/prompt", "name": "nothing" }), "id"),
        (json!({ "type": "ref/prompt", "name": "summarise" }), "nothing"),
        (json!({ "type": "ref/resource", "uri": "note://welcome" }), "id"),
        (json!({ "type": "ref/tool", "name": "add" }), "id"),
        (json!({}), "id"),
    ] {
        let params = json!({ "ref": reference, "argument": { "name": argument, "value": "" } });
        assert_eq!(talk.ask("completion/complete", params).unwrap_err()["code"], -32602);
    }
}

#[test]
fn a_prompt_carries_the_note_that_it_is_about() {
    let mut talk = Talk::notes(LATEST);
    let params = json!({ "name": "summarise", "arguments": { "id": "welcome" } });
    let prompt = talk.ask("prompts/get", params).unwrap();
    assert_eq!(prompt["messages"][1]["content"]["resource"]["uri"], "note://welcome");

    let params = json!({ "name": "plan", "arguments": { "goal": "rest", "days": "2" } });
    let plan = talk.ask("prompts/get", params).unwrap();
    let request = plan["messages"][0]["content"]["text"].as_str().unwrap();
    assert_eq!(
        request,
        "Plan how to reach this goal in 2 days: rest. Mind my notes: Welcome, Shopping list, Ideas."
    );
}

#[test]
fn a_prompt_without_what_it_needs_is_refused() {
    let mut talk = Talk::notes(LATEST);
    for params in [
        json!({ "name": "nothing" }),
        json!({ "name": "summarise" }),
        json!({ "name": "summarise", "arguments": { "id": "nowhere" } }),
        json!({ "name": "summarise", "arguments": { "id": 7 } }),
        json!({}),
    ] {
        assert_eq!(talk.ask("prompts/get", params).unwrap_err()["code"], -32602);
    }
}

#[test]
fn there_is_one_page_and_no_cursor() {
    let mut talk = Talk::notes(LATEST);
    for method in ["tools/list", "resources/list", "resources/templates/list", "prompts/list"] {
        assert_eq!(talk.ask(method, json!({ "cursor": "2" })).unwrap_err()["code"], -32602);
    }
}

fn complete(talk: &mut Talk, reference: Value, argument: &str, value: &str) -> Value {
    let params = json!({ "ref": reference, "argument": { "name": argument, "value": value } });
    talk.ask("completion/complete", params).unwrap()["completion"].take()
}

fn uris(things: &Value) -> Vec<&str> {
    things.as_array().unwrap().iter().map(|thing| thing["uri"].as_str().unwrap()).collect()
}
