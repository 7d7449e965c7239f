//! A server that misbehaves, and the others that must not notice.

use super::braid::{Braid, marked, survivors, zombies};
use std::time::Duration;

/// A configuration of the evil server with these flags, and a good one.
fn beside(flags: &[&str]) -> String {
    patient(flags, "30s")
}

/// The same with this much silence allowed in a call to the evil server.
fn patient(flags: &[&str], call: &str) -> String {
    timed(flags, &format!("start = \"20s\", list = \"2s\", call = \"{call}\", call_max = \"60s\""))
}

/// The same, where no time of the evil server's runs out, on however busy a machine.
fn unhurried(flags: &[&str]) -> String {
    timed(flags, "start = \"1h\", list = \"1h\", call = \"1h\", call_max = \"1h\"")
}

fn timed(flags: &[&str], timeouts: &str) -> String {
    let flags: String = flags.iter().map(|flag| format!(", \"{flag}\"")).collect();
    format!(
        "[timeouts]\nfirst_list = \"1s\"\n\
         [servers.evil]\ncommand = \"python3\"\nargs = [\"{{evil}}\"{flags}]\ntimeouts = {{ {timeouts} }}\n\
         [servers.notes]\ncommand = \"${{braid}}\"\nargs = [\"demo-server\", \"notes\"]\n"
    )
}

/// Waits until the evil server's tools are listed.
fn with_evil_tools(flags: &[&str]) -> Braid {
    listed(&beside(flags))
}

fn listed(config: &str) -> Braid {
    let (mut braid, _) = Braid::greeted(config);
    braid.until("the evil server's list", |braid| braid.tools().iter().any(|name| name == "evil__echo"));
    braid
}

fn error(answer: &serde_json::Value, code: i64, reason: &str, outcome: &str) {
    let error = &answer["error"];
    assert_eq!(error["code"], code, "{answer}");
    assert_eq!(error["data"]["source"], "braid", "{answer}");
    assert_eq!(error["data"]["server"], "evil", "{answer}");
    assert_eq!(error["data"]["reason"], reason, "{answer}");
    assert_eq!(error["data"]["outcome"], outcome, "{answer}");
    assert!(error["message"].as_str().unwrap().starts_with("evil: "), "{answer}");
}

#[test]
fn a_server_that_never_answers_initialize_harms_nobody() {
    let (mut braid, took) = Braid::greeted(&beside(&["--mute"]));
    // 250 ms on a machine of one's own; the paused clock of a transcript holds it exactly.
    assert!(took < Duration::from_secs(5), "initialize took {took:?}");
    assert!(braid.tools().iter().all(|name| name.starts_with("notes__")));
    braid.others_are_well();
    braid.leave();
}

#[test]
fn all_servers_hung_and_initialize_is_answered() {
    let hung: String = (0..10)
        .map(|n| format!("[servers.hung{n}]\ncommand = \"python3\"\nargs = [\"{{evil}}\", \"--mute\"]\n"))
        .collect();
    let (mut braid, took) = Braid::greeted(&format!("[timeouts]\nfirst_list = \"1s\"\n{hung}"));
    assert!(took < Duration::from_secs(5), "initialize took {took:?}");
    assert_eq!(braid.tools(), Vec::<String>::new());
    braid.leave();
}

#[test]
fn a_server_that_hangs_in_a_list_harms_nobody() {
    let (mut braid, _) = Braid::greeted(&beside(&["--hang-list"]));
    assert!(braid.tools().iter().all(|name| name.starts_with("notes__")));
    braid.others_are_well();
    braid.leave();
}

#[test]
fn a_server_that_exits_at_start_says_why() {
    let (mut braid, _) = Braid::greeted(&beside(&["--exit-at-start", "3"]));
    assert!(braid.tools().iter().all(|name| name.starts_with("notes__")));
    braid.others_are_well();
    // The log is written beside the answers.
    for words in ["exited with status 3", "cannot find my configuration"] {
        braid.until(words, |braid| braid.stderr().contains(words));
    }
    braid.leave();
}

#[test]
fn a_server_that_dies_mid_call_fails_that_call_and_comes_back() {
    let mut braid = with_evil_tools(&["--die-on-call", "--count-file", "{folder}/count"]);
    let answer = braid.called("evil__echo", r#"{"text":"x","nonce":"n1"}"#);
    error(&answer, 1002, "gone", "unknown");
    assert!(answer["error"]["message"].as_str().unwrap().contains("killed by signal 9"), "{answer}");
    braid.others_are_well();
    // It is started again; a later call reaches it and is executed once, as the first was.
    braid.until("the restart", |braid| {
        let answer = braid.called("evil__echo", r#"{"text":"x","nonce":"n2"}"#);
        let outcome = answer["error"]["data"]["outcome"].clone();
        assert!(outcome == "not_sent" || outcome == "unknown", "{answer}");
        outcome == "unknown"
    });
    let counted = std::fs::read_to_string(braid.folder().join("count")).unwrap();
    assert_eq!(counted, "n1\nn2\n");
    assert_eq!(zombies(braid.id()), 0);
    braid.leave();
}

#[test]
fn a_server_that_is_killed_from_outside_comes_back() {
    let mut braid = with_evil_tools(&["--fork"]);
    let slow = braid.call("evil__slow", r#"{"ms":60000}"#);
    let runs = marked(braid.id());
    let evil = survivors(&runs).into_iter().find(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("evil.py"))
    });
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(evil.unwrap() as i32).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    error(&braid.answer(slow), 1002, "gone", "unknown");
    braid.others_are_well();
    braid.until("the restart", |braid| braid.called("evil__echo", r#"{"text":"x"}"#).get("result").is_some());
    braid.leave();
}

#[test]
fn text_half_lines_and_bad_bytes_on_stdout_are_skipped() {
    let mut braid = with_evil_tools(&["--banner"]);
    for n in 0..20 {
        let answer = braid.called("evil__echo", &format!(r#"{{"text":"t{n}"}}"#));
        assert_eq!(answer["result"]["content"][0]["text"], format!("t{n}"), "{answer}");
    }
    braid.others_are_well();
    braid.leave();
}

#[test]
fn a_broken_answer_fails_its_call_at_once() {
    for spoil in ["utf8", "cut"] {
        let mut braid = with_evil_tools(&["--spoil", spoil]);
        let answer = braid.called("evil__echo", r#"{"text":"x"}"#);
        error(&answer, -32603, "internal", "unknown");
        braid.others_are_well();
        braid.leave();
    }
    let mut braid = with_evil_tools(&["--spoil", "bom"]);
    let answer = braid.called("evil__echo", r#"{"text":"x"}"#);
    assert_eq!(answer["result"]["content"][0]["text"], "x", "a byte order mark is no part of the message");
    braid.leave();
}

#[test]
fn an_answer_of_60_mib_passes_whole() {
    const BYTES: usize = 60 * 1024 * 1024;
    let mut braid = with_evil_tools(&["--big", &BYTES.to_string()]);
    let answer = braid.called("evil__echo", "{}");
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(text.len(), BYTES);
    assert!(text.as_bytes().chunks(16).all(|chunk| chunk == b"0123456789abcdef"));
    braid.others_are_well();
    braid.leave();
}

#[test]
fn an_answer_of_65_mib_fails_alone() {
    let mut braid = with_evil_tools(&["--big", &(65 * 1024 * 1024).to_string()]);
    let answer = braid.called("evil__echo", "{}");
    error(&answer, 1004, "too_large", "unknown");
    assert!(answer["error"]["message"].as_str().unwrap().contains("limits.server_message"), "{answer}");
    braid.others_are_well();
    // The stream is in step again: the same link answers what is small.
    let id = braid.ask("tools/call", r#"{"name":"evil__nothing"}"#);
    assert_eq!(braid.answer(id)["error"]["code"], -32602);
    let again = braid.called("evil__echo", "{}");
    error(&again, 1004, "too_large", "unknown");
    braid.leave();
}

#[test]
fn a_line_that_never_ends_takes_bounded_memory() {
    let mut braid = with_evil_tools(&["--endless", &(256 * 1024 * 1024).to_string()]);
    let answer = braid.called("evil__echo", "{}");
    error(&answer, 1002, "gone", "unknown");
    braid.others_are_well();
    let status = std::fs::read_to_string(format!("/proc/{}/status", braid.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: usize = peak.split_whitespace().next().unwrap().parse().unwrap();
    // The cap of 64 MiB, its buffer while it grows, and the program itself.
    assert!(peak < (64 + 64 + 64) * 1024, "peak of {peak} KiB");
    braid.leave();
}

#[test]
fn a_server_that_answers_nothing_is_given_up_on() {
    let mut braid = listed(&patient(&["--no-answer", "--count-file", "{folder}/count"], "2s"));
    let answer = braid.called("evil__echo", r#"{"text":"x","nonce":"once"}"#);
    error(&answer, 1001, "timeout", "unknown");
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("no answer to tools/call echo for 2 s (servers.evil.timeouts.call)"), "{text}");
    assert_eq!(std::fs::read_to_string(braid.folder().join("count")).unwrap(), "once\n");
    braid.others_are_well();
    braid.leave();
}

#[test]
fn progress_keeps_a_long_call_alive() {
    let mut braid = listed(&patient(&[], "2s"));
    let answer = braid.called("evil__slow", r#"{"ms":5000,"steps":10}"#);
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    braid.leave();
}

#[test]
fn answers_that_nobody_asked_for_reach_nobody() {
    let mut braid = with_evil_tools(&["--foreign-ids", "--twice"]);
    // One at a time: a guess that hits another open request of the same server is that server's own word.
    for n in 0..200 {
        let answer = braid.called("evil__echo", &format!(r#"{{"text":"t{n}"}}"#));
        assert_eq!(answer["result"]["content"][0]["text"], format!("t{n}"), "{answer}");
    }
    braid.others_are_well();
    braid.leave();
}

#[test]
fn lists_that_do_not_end_end() {
    for flag in ["--endless-pages", "--cursor-loop"] {
        let mut braid = with_evil_tools(&[flag]);
        assert!(braid.tools().len() >= 7);
        braid.others_are_well();
        braid.leave();
    }
}

#[test]
fn a_capability_without_its_method_is_an_empty_list() {
    let (mut braid, _) = Braid::greeted(&beside(&["--list-32601"]));
    assert!(braid.tools().iter().all(|name| name.starts_with("notes__")));
    let id = braid.ask("prompts/list", "{}");
    assert_eq!(braid.answer(id)["result"]["prompts"].as_array().unwrap().len(), 2);
    braid.leave();
}

#[test]
fn a_flood_on_stderr_stops_nobody() {
    // Before each answer, that to `initialize` and those of lists among them.
    let mut braid = listed(&unhurried(&["--stderr", &(8 * 1024 * 1024).to_string()]));
    for n in 0..3 {
        let answer = braid.called("evil__echo", &format!(r#"{{"text":"t{n}"}}"#));
        assert_eq!(answer["result"]["content"][0]["text"], format!("t{n}"), "{answer}");
    }
    braid.leave();
}

#[test]
fn a_server_that_reads_slowly_delays_only_itself() {
    let mut braid = listed(&patient(&["--read-slowly", "4000"], "2s"));
    let big = "x".repeat(1024 * 1024);
    let slow = braid.call("evil__echo", &format!(r#"{{"text":"{big}"}}"#));
    for _ in 0..5 {
        braid.others_are_well();
    }
    error(&braid.answer(slow), 1001, "timeout", "unknown");
    braid.leave();
}
