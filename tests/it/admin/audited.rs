//! C-07: no outcome is heard whose line is not there, whenever a run is killed.

use super::nest::{DEMO, Nest};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn config(more: &str) -> String {
    format!("[admin]\nsocket = \"off\"\naudit = \"audit.jsonl\"\n{more}{DEMO}")
}

fn lines(nest: &Nest) -> Vec<Value> {
    let text = std::fs::read_to_string(nest.path().join("audit.jsonl")).unwrap();
    // What was written as it was killed may be there in part.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// How often a run is killed.
fn cycles() -> usize {
    std::env::var("BRAID_TEST_AUDITS").ok().and_then(|cycles| cycles.parse().ok()).unwrap_or(8)
}

#[test]
fn c07_a_kill_leaves_no_outcome_without_its_line() {
    let nest = Nest::new(&config(""));
    for cycle in 0..cycles() {
        std::fs::remove_file(nest.path().join("audit.jsonl")).ok();
        let mut client = nest.client(&[]);
        client.call("workshop__add", json!({"a": 1, "b": 1}));
        for n in 0..40 {
            client.send("tools/call", json!({"name": "workshop__add", "arguments": {"a": cycle, "b": n}}));
        }
        let kill = client.pid();
        let killer = std::thread::spawn(move || {
            std::thread::park_timeout(Duration::from_micros(500 * (1 + cycle as u64 * 7 % 40)));
            let pid = rustix::process::Pid::from_raw(kill as i32).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
        });
        let mut heard = 1;
        while client.hear().is_some() {
            heard += 1;
        }
        killer.join().unwrap();
        let written = lines(&nest).iter().filter(|line| line["outcome"] == "ok").count();
        assert!(heard <= written, "cycle {cycle}: {heard} answers, {written} lines");
    }
}

#[test]
fn a_call_over_a_rate_has_its_line_and_its_place_in_the_status() {
    let text =
        format!("[admin]\naudit = \"audit.jsonl\"\n{DEMO}[servers.workshop.tool.add]\nrate = \"2/day\"\n");
    let nest = Nest::new(&text);
    let mut client = nest.client(&[]);
    for n in 0..5 {
        let answer = client.call("workshop__add", json!({"a": 1, "b": n}));
        assert_eq!(
            answer["error"]["data"]["reason"],
            if n < 2 { Value::Null } else { "rate".into() },
            "{answer}"
        );
    }
    let written = lines(&nest);
    let said: Vec<_> =
        written.iter().map(|line| (&line["item"], &line["outcome"], &line["result_bytes"] == 0)).collect();
    let (fine, over) = ((&json!("add"), &json!("ok"), false), (&json!("add"), &json!("rate"), true));
    assert_eq!(said, [fine, fine, over, over, over]);
    assert!(written.iter().all(|line| line["server"] == "workshop" && line["arguments_sha256"].is_string()));
    let workshop = nest.server_once("workshop", |server| server["calls"] == 2);
    assert_eq!((&workshop["over_rate"]["tool"], &workshop["errors"]), (&json!(3), &json!(0)));
    let shown = nest.braid(&["status"]).with_code(0).out;
    assert!(shown.contains("refused over a rate: 3 tool"), "{shown}");
    client.leave();
}

#[test]
fn one_line_for_each_call_however_it_ended() {
    let nest = Nest::new(&config(""));
    let mut client = nest.client(&[]);
    client.call("workshop__add", json!({"a": 2, "b": 3}));
    client.call("workshop__add", json!({"a": "x"}));
    client.call("nobody__has", json!({}));
    client.ask("resources/read", json!({"uri": "notes+note://none"}));
    client.ask("tools/list", json!({}));
    let id = client.send("tools/call", json!({"name": "workshop__countdown", "arguments": {"steps": 1000}}));
    client.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    client.ask("ping", json!({}));
    client.leave();
    let lines = lines(&nest);
    let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["ok", "tool_error", "refused", "error", "cancelled"]);
    assert_eq!((&lines[0]["server"], &lines[0]["item"]), (&json!("workshop"), &json!("add")));
    assert_eq!((&lines[2]["item"], &lines[2]["code"]), (&json!("nobody__has"), &json!(-32602)));
    assert!(lines.iter().all(|line| line["principal"] == "local" && line["duration_ms"].is_number()));
    let mode = std::fs::metadata(nest.path().join("audit.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_full_disk_is_said_and_calls_go_on_unless_they_must_not() {
    for (required, fails) in [("false", false), ("true", true)] {
        let full =
            format!("[admin]\nsocket = \"off\"\naudit = \"/dev/full\"\naudit_required = {required}\n{DEMO}");
        let nest = Nest::new(&full);
        let mut client = nest.client(&[]);
        let first = client.call("workshop__add", json!({"a": 2, "b": 3}));
        let second = client.call("workshop__add", json!({"a": 2, "b": 3}));
        assert_eq!(!first["error"].is_null(), fails, "{first}");
        assert_eq!(!second["error"].is_null(), fails, "{second}");
        if fails {
            assert_eq!(first["error"]["data"]["outcome"], "unknown");
            assert_eq!(second["error"]["data"]["outcome"], "not_sent");
        }
        client.leave();
        assert_eq!(nest.logs().matches("calls are not written down").count(), 1, "{}", nest.logs());
    }
}

#[test]
fn a_file_that_cannot_be_opened_ends_the_run_with_a_sentence() {
    let nest = Nest::new(&format!("[admin]\naudit = \"no/such/folder/a\"\n{DEMO}"));
    let said = nest.braid(&["stdio"]).with_code(1);
    assert!(said.err.contains("no/such/folder/a` (admin.audit): "), "{said:?}");
}
