//! The generator directly in front of the mock: both binaries, each transport, each era.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde::Deserialize;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

const MOCK: &str = env!("CARGO_BIN_EXE_mock");
const LOAD: &str = env!("CARGO_BIN_EXE_load");

/// A mock that listens; it ends with this.
struct Mock {
    child: Child,
    address: String,
}

impl Mock {
    fn start(transport: &str, options: &[&str]) -> Self {
        let mut command = Command::new(MOCK);
        command.arg(transport).args(options).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, address }
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Deserialize, Debug)]
struct Report {
    calls: u64,
    wrong: u64,
    lost: u64,
    notes: u64,
    seconds: f64,
    calls_per_second: f64,
    bytes_per_second: f64,
    p50_us: Option<f64>,
    p90_us: Option<f64>,
    p99_us: Option<f64>,
    p999_us: Option<f64>,
    max_us: Option<f64>,
    cpu_us_per_call: Option<f64>,
    own_cpu_us_per_call: Option<f64>,
    rss_kib: Option<u64>,
    first_wrong: Option<String>,
}

fn print<T: for<'a> Deserialize<'a>>(arguments: &[&str]) -> T {
    let output = Command::new(LOAD).args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{arguments:?}: {err}");
    serde_json::from_str(&out).unwrap()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Runs every kind of load against one target.
fn check(target: &[&str], eras: &[&str]) {
    for era in eras {
        let run = |line: &str| {
            let arguments = [target, &["--era", era], &words(line)].concat();
            let report: Report = print(&arguments);
            assert_eq!((report.wrong, report.lost), (0, 0), "{arguments:?} {report:?}");
            report
        };
        let calls =
            run("--calls 400 --warmup 50 --in-flight 8 --sessions 2 --bytes 2000 --tool work --tool t1");
        assert_eq!((calls.calls, calls.notes), (400, 0));
        let bytes = calls.bytes_per_second * calls.seconds;
        assert!((400.0 * 2000.0..400.0 * 2200.0).contains(&bytes), "{calls:?}");
        assert!((calls.calls_per_second * calls.seconds - 400.0).abs() < 1.0, "{calls:?}");
        let rising = [calls.p50_us, calls.p90_us, calls.p99_us, calls.p999_us, calls.max_us];
        let rising: Vec<f64> = rising.into_iter().flatten().collect();
        assert!(rising.len() == 5 && rising.is_sorted(), "{calls:?}");
        assert!(calls.own_cpu_us_per_call.unwrap() > 0.0 && calls.first_wrong.is_none());

        let large = run("--calls 6 --in-flight 3 --bytes 1500000");
        assert_eq!(large.calls, 6);
        let notes = run("--calls 20 --in-flight 4 --notes 3 --ms 2");
        assert_eq!((notes.calls, notes.notes), (20, 60));
        assert!(notes.p50_us.unwrap() >= 2000.0);
        let lists = run("--calls 50 --in-flight 4 --method tools/list");
        assert!(lists.bytes_per_second * lists.seconds > 50.0 * 300.0);
        let timed = run("--seconds 0.2 --in-flight 2");
        assert!(timed.calls > 0 && timed.seconds >= 0.2);
        let paced = run("--calls 60 --in-flight 4 --rate 300");
        assert!(paced.calls == 60 && paced.seconds >= 59.0 / 300.0, "{paced:?}");
        let threads = run("--calls 200 --in-flight 4 --sessions 4 --threads 2");
        assert_eq!(threads.calls, 200);
    }
}

#[test]
fn stdio_answers_both_eras() {
    check(&["--stdio", &format!("{MOCK} stdio --tools 3")], &["legacy", "modern"]);
}

#[test]
fn streamable_http_answers_both_eras() {
    let mock = Mock::start("http", &["--tools", "3"]);
    let url = format!("http://{}/mcp", mock.address);
    check(&["--http", &url, "--pid", &mock.pid(), "--header", "X-A: b"], &["legacy", "modern"]);
}

#[test]
fn http_and_sse_answers_the_older_one() {
    let mock = Mock::start("sse", &["--tools", "3"]);
    let url = format!("http://{}/sse", mock.address);
    check(&["--sse", &url, "--pid", &mock.pid()], &["legacy"]);
}

#[test]
fn more_sessions_than_calls_take_turns() {
    let mock = Mock::start("http", &[]);
    let url = format!("http://{}/mcp", mock.address);
    let report: Report = print(&words(&format!("--http {url} --sessions 7 --in-flight 3 --calls 100")));
    assert_eq!((report.calls, report.wrong, report.lost), (100, 0, 0));
}

#[test]
fn what_a_tree_costs_is_told_unless_it_is_excluded() {
    let target = format!("{MOCK} stdio");
    let arguments = ["--stdio", &target, "--calls", "20000", "--in-flight", "16"];
    let report: Report = print(&arguments);
    assert!(report.cpu_us_per_call.unwrap() > 0.0 && report.rss_kib.unwrap() > 100, "{report:?}");
    let report: Report = print(&[&arguments[..], &["--exclude", "mock"]].concat());
    assert_eq!((report.cpu_us_per_call, report.rss_kib), (Some(0.0), Some(0)));
}

#[test]
fn errors_are_wrong_and_silence_is_lost() {
    let mock = Mock::start("http", &[]);
    let url = format!("http://{}/mcp", mock.address);
    let stdio = format!("{MOCK} stdio");
    for target in [["--http", &url], ["--stdio", &stdio]] {
        let report: Report = print(&[&target[..], &["--calls", "10", "--tool", "nobody"]].concat());
        assert_eq!((report.calls, report.wrong, report.lost), (0, 10, 0));
        assert!(report.first_wrong.unwrap().contains("-32602") && report.p50_us.is_none());
    }
    let silent = Mock::start("http", &["--hang"]);
    let url = format!("http://{}/mcp", silent.address);
    let stdio = format!("{MOCK} stdio --hang");
    for target in [["--http", &url], ["--stdio", &stdio]] {
        let patience = ["--era", "modern", "--calls", "1000", "--in-flight", "3", "--patience", "0.1"];
        let report: Report = print(&[&target[..], &patience].concat());
        assert_eq!((report.calls, report.wrong, report.lost), (0, 0, 3));
    }
}

#[test]
fn second_answers_and_texts_of_others_are_wrong() {
    let run = |edit: &str| -> Report {
        let target = format!("sh -c '{MOCK} stdio | sed -u {edit}'");
        print(&["--stdio", &target, "--calls", "10"])
    };
    // The one to `initialize` too; the last one may come too late to be seen.
    let report = run("p");
    assert_eq!((report.calls, report.lost), (10, 0));
    assert!((10..=11).contains(&report.wrong), "{report:?}");
    let report = run("s/#0[.]/#1./");
    assert_eq!((report.calls, report.wrong, report.lost), (0, 10, 0));
    assert!(report.first_wrong.unwrap().contains("#1."));
}

#[test]
fn at_a_rate_waiting_for_a_turn_counts() {
    // One call at a time of 10 ms, 1000 in a second: the last of 20 is due after 19 ms and begins after 190.
    let target = format!("{MOCK} stdio");
    let line = "--calls 20 --in-flight 1 --rate 1000 --ms 10";
    let report: Report = print(&[&["--stdio", &target], &words(line)[..]].concat());
    assert_eq!(report.calls, 20);
    assert!(report.max_us.unwrap() >= 170_000.0, "{report:?}");
    assert!(report.p50_us.unwrap() >= 80_000.0, "{report:?}");
}

#[test]
fn idle_sessions_are_weighed() {
    #[derive(Deserialize)]
    struct Idle {
        sessions: usize,
        rss_before_kib: u64,
        rss_after_kib: u64,
        per_session_bytes: f64,
    }
    let mock = Mock::start("http", &[]);
    let url = format!("http://{}/mcp", mock.address);
    for listen in [&[][..], &["--listen"]] {
        let arguments =
            ["idle", "--http", &url, "--sessions", "30", "--pid", &mock.pid(), "--seconds", "0.1"];
        let idle: Idle = print(&[&arguments[..], listen].concat());
        assert!(idle.sessions == 30 && idle.rss_before_kib > 0);
        let grown = (idle.rss_after_kib as f64 - idle.rss_before_kib as f64) * 1024.0 / 30.0;
        assert!((idle.per_session_bytes - grown).abs() < 1.0);
    }
}

#[test]
fn a_start_is_timed_until_the_list_is_complete() {
    #[derive(Deserialize)]
    struct Start {
        initialize_ms: f64,
        list_ms: f64,
        tools: usize,
        lists: u64,
    }
    let target = format!("{MOCK} stdio --tools 4 --start-ms 150");
    let start: Start = print(&["start", "--stdio", &target, "--tools", "5"]);
    assert!(start.initialize_ms >= 150.0 && start.list_ms >= start.initialize_ms);
    assert_eq!((start.tools, start.lists), (5, 1));
    let refused = ["start", "--stdio", &target, "--tools", "6", "--patience", "0.5"];
    assert!(!Command::new(LOAD).args(refused).output().unwrap().status.success());
}
