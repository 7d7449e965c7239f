//! What the commands say of a run, and what they let it do.

use super::nest::{DEMO, Nest, PATIENCE, until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// A command that goes on, line by line.
struct Going {
    child: Child,
    lines: Receiver<String>,
}

impl Going {
    fn begin(nest: &Nest, args: &[&str]) -> Self {
        let mut child = nest.command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines() {
                if line.is_ok_and(|line| tell.send(line).is_ok()) {
                    continue;
                }
                return;
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    fn next_json(&self) -> Value {
        serde_json::from_str(&self.next()).unwrap()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn each_call_is_counted_by_how_it_ended() {
    let nest = Nest::demo();
    let mut client = nest.client(&[]);
    for _ in 0..3 {
        client.call("workshop__add", json!({"a": 2, "b": 3}));
    }
    assert_eq!(client.call("workshop__add", json!({"a": "x"}))["result"]["isError"], true);
    client.ask("resources/read", json!({"uri": "notes+note://none"}));
    client.call("nobody__has", json!({}));
    let workshop = nest.server_once("workshop", |server| server["calls"] == 4);
    assert_eq!((&workshop["errors"], &workshop["errors_by"]), (&json!(1), &json!({"tool_error": 1})));
    assert_eq!((&workshop["state"], &workshop["tools"]), (&json!("ready"), &json!(6)));
    assert!(workshop["p50_ms"].is_number() && workshop["revision"] == "2025-11-25", "{workshop}");
    let (sent, received) = (&workshop["sent"]["messages"], &workshop["received"]["messages"]);
    assert!(sent.as_u64() > Some(4) && received.as_u64() > Some(4), "{workshop}");
    let notes = nest.server_once("notes", |server| server["calls"] == 1);
    assert_eq!(notes["errors_by"], json!({"-32002": 1}));
    let text = nest.braid(&["status"]).with_code(0).out;
    let row = text.lines().find(|line| line.starts_with("workshop")).unwrap();
    assert_eq!(row.split_whitespace().nth(1), Some("ready"), "{text}");
    assert_eq!(nest.braid(&["status", "--ready"]).with_code(0).out, "ready\n");
    client.leave();
}

#[test]
fn whether_all_is_well_is_an_exit_code() {
    let nest = Nest::new(&format!("{DEMO}[servers.gone]\ncommand = \"false\"\nrequired = true\n"));
    let client = nest.client(&[]);
    let said = until(|| {
        let said = nest.braid(&["status", "--ready"]);
        said.err.contains("required and not there: gone").then_some(said)
    });
    said.with_code(4);
    let gone = nest.server_once("gone", |server| server["state"] == "failed");
    assert_eq!(gone["why"], "gone: it exited with status 1");
    assert!(nest.braid(&["status"]).out.contains("gone: it exited with status 1; again in"));
    client.leave();
}

#[test]
fn what_a_server_wrote_is_there_when_it_is_asked_for() {
    let script = r#"printf 'one\n\033[2Jtwo\n' >&2; while read line; do echo "$line" >&2; done"#;
    let nest = Nest::new(&format!(
        "{DEMO}[servers.loud]\ncommand = \"/bin/sh\"\nargs = ['-c', '''{script}''']\nstderr = \"drop\"\n"
    ));
    let client = nest.client(&[]);
    let said = until(|| {
        let said = nest.braid(&["logs", "loud"]).with_code(0).out;
        said.contains("two").then_some(said)
    });
    assert!(said.starts_with("one\n\\u{1b}[2Jtwo\n"), "{said}");
    let following = Going::begin(&nest, &["logs", "loud", "-f", "--json"]);
    let first = following.next_json();
    assert_eq!(first["text"], "one");
    assert!(first["at"].as_str().unwrap().ends_with('Z'));
    until(|| following.next().contains("initialize").then_some(()));
    let none = nest.braid(&["logs", "nobody"]).with_code(2);
    assert!(none.err.contains("no server `nobody`; there are notes, workshop, loud"), "{none:?}");
    client.leave();
}

#[test]
fn what_passes_is_seen_as_it_passes() {
    let nest = Nest::demo();
    let mut client = nest.client(&[]);
    client.call("workshop__add", json!({"a": 2, "b": 3}));
    let plain = Going::begin(&nest, &["tap", "--json", "--server", "workshop", "--method", "tools/call"]);
    let reading = Going::begin(&nest, &["tap", "--json", "--payload"]);
    let call = json!({"a": 2, "b": 3, "api_key": "s3cr3tcanary"});
    // Until both look: nobody is told when they begin to.
    let (mut first, mut also) = (None, None);
    let seen = until(|| {
        client.call("workshop__add", call.clone());
        // What one has seen is kept until the other sees something.
        first = first.take().or_else(|| plain.lines.try_recv().ok());
        also = also.take().or_else(|| reading.lines.try_recv().ok());
        let both = first.is_some() && also.is_some();
        both.then(|| (first.take().unwrap(), also.take().unwrap()))
    });
    let request: Value = serde_json::from_str(&seen.0).unwrap();
    assert_eq!((&request["way"], &request["item"]), (&json!("to_server"), &json!("add")));
    assert!(request.get("payload").is_none());
    let answer = plain.next_json();
    assert_eq!((&answer["way"], &answer["method"]), (&json!("from_server"), &json!("tools/call")));
    assert_eq!((&answer["id"], &answer["outcome"]), (&request["id"], &json!("ok")));
    assert!(answer["took_ms"].is_number() && answer["bytes"].as_u64() > Some(50), "{answer}");
    client.call("workshop__add", call);
    let mut read = vec![seen.1];
    until(|| {
        read.push(reading.next());
        (read.last().unwrap().contains(r#""sum\":5"#)).then_some(())
    });
    let all = read.join("\n");
    assert!(all.contains(r#""api_key":"[redacted]""#) && !all.contains("s3cr3tcanary"), "{all}");
    let text = Going::begin(&nest, &["tap"]);
    let line = until(|| {
        client.call("workshop__add", json!({"a": 1, "b": 1}));
        text.lines.try_recv().ok()
    });
    assert!(line.contains(" workshop tools/call add #"), "{line}");
    client.leave();
}

#[test]
fn a_server_is_restarted_when_that_is_asked_for() {
    let nest = Nest::demo();
    let mut client = nest.client(&[]);
    client.call("workshop__add", json!({"a": 2, "b": 3}));
    assert_eq!(nest.braid(&["restart", "workshop"]).with_code(0).out, "workshop: is being restarted\n");
    let after = nest.server_once("workshop", |server| server["restarts"] == 1 && server["state"] == "ready");
    assert_eq!(after["restarts_by"], json!({"asked": 1}));
    assert!(client.call("workshop__add", json!({"a": 2, "b": 3}))["error"].is_null());
    let none = nest.braid(&["restart", "nobody"]).with_code(2);
    assert!(none.err.contains("no server `nobody`; there are notes, workshop"), "{none:?}");
    client.leave();
}

#[test]
fn top_needs_a_terminal_and_says_so() {
    let nest = Nest::demo();
    let client = nest.client(&[]);
    let said = nest.braid(&["top"]).with_code(2);
    assert_eq!(said.err, "braid: `braid top` needs a terminal; use `braid status`\n");
    client.leave();
}

#[test]
fn the_log_is_a_line_for_each_call_and_goes_where_it_is_told() {
    let nest =
        Nest::new(&format!("[log]\nlevel = \"debug\"\nformat = \"json\"\nfile = \"braid.out\"\n{DEMO}"));
    let mut client = nest.client(&[]);
    client.call("workshop__add", json!({"a": 2, "b": 3}));
    client.leave();
    let text = std::fs::read_to_string(nest.path().join("braid.out")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let call = lines.iter().find(|line| line["event"] == "call").expect("a line for the call");
    for (key, value) in
        [("server", json!("workshop")), ("tool", json!("add")), ("method", json!("tools/call"))]
    {
        assert_eq!(call[key], value, "{call}");
    }
    assert!(call["duration_ms"].is_number() && call["upstream_id"].is_number() && call["client"].is_number());
    assert!(lines.iter().any(|line| line["event"] == "ready" && line["server"] == "workshop"));
    assert!(lines.iter().all(|line| line["ts"].is_string() && line["level"].is_string()), "{text}");
    assert_eq!(nest.logs(), "", "nothing on stderr");
}
