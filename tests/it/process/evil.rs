//! The evil server does what its flags say: what the fault tests stand on.
//!
//! It is spoken to directly, line by line, with nothing of ours between but the process it runs in.

use std::fs;
use std::path::Path;

use mcp_braid::config::{Command, Stderr};
use mcp_braid::upstream::process::{Pace, Process, Spawned};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

use super::{soon, unguarded};

struct Evil {
    process: Process,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Evil {
    fn with(flags: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/evil.py");
        let args = [script.to_str().unwrap()].into_iter().chain(flags.split_whitespace());
        let command = Command {
            program: "python3".into(),
            args: args.map(str::to_owned).collect(),
            env: vec![],
            folder: "/".into(),
            inherit_env: vec![],
        };
        let Spawned { process, stdin, stdout } = Process::spawn(&command, "evil", Stderr::Log, &unguarded())
            .unwrap_or_else(|error| panic!("the evil server needs Python 3: {error}"));
        Self { process, stdin: Some(stdin), stdout: BufReader::new(stdout) }
    }

    async fn say(&mut self, line: &str) {
        let line = format!("{line}\n");
        soon(self.stdin.as_mut().unwrap().write_all(line.as_bytes())).await.unwrap();
    }

    /// The next line, without its end. Empty at the end of its stdout.
    async fn hear(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        soon(self.stdout.read_until(b'\n', &mut line)).await.unwrap();
        line.pop_if(|last| *last == b'\n');
        line
    }

    async fn ask(&mut self, line: &str) -> String {
        self.say(line).await;
        String::from_utf8(self.hear().await).unwrap()
    }

    async fn call(&mut self, tool: &str, arguments: &str) -> String {
        self.ask(&call(7, tool, arguments)).await
    }

    async fn stop(&mut self, pace: Pace) -> String {
        self.stdin = None;
        soon(self.process.stop(pace)).await.status
    }

    /// Nothing is said before the answer to a ping is. Only for a server that answers pings.
    async fn says_nothing_but_pong(&mut self) {
        assert_eq!(
            self.ask(r#"{"jsonrpc":"2.0","id":99,"method":"ping"}"#).await,
            r#"{"jsonrpc":"2.0","id":99,"result":{}}"#
        );
    }
}

fn call(id: u32, tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    )
}

fn text(id: u32, text: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"{text}"}}],"isError":false}}}}"#
    )
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
const HELLO: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#;

#[tokio::test]
async fn without_flags_it_is_honest() {
    let folder = tempfile::tempdir().unwrap();
    let (counted, heard) = (folder.path().join("counted"), folder.path().join("heard"));
    let mut evil = Evil::with(&format!("--count-file {} --journal {}", counted.display(), heard.display()));
    assert!(evil.ask(HELLO).await.contains(r#""protocolVersion":"2025-06-18""#));
    let discover = r#"{"jsonrpc":"2.0","id":"d","method":"server/discover"}"#;
    assert!(evil.ask(discover).await.contains("-32601"));
    assert!(evil.ask(LIST).await.contains(r#""name":"echo""#));
    assert_eq!(evil.call("echo", r#"{"text":"hi","nonce":"n1"}"#).await, text(7, "hi"));
    assert_eq!(evil.call("count", r#"{"nonce":"n2"}"#).await, text(7, "2"));
    assert!(evil.call("none", "{}").await.contains("-32602"));
    let slow = r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"slow","arguments":{"ms":4,"steps":2},"_meta":{"progressToken":"t"}}}"#;
    for step in 1..=2 {
        let note = if step == 1 { evil.ask(slow).await.into_bytes() } else { evil.hear().await };
        let progress = format!(r#""params":{{"progressToken":"t","progress":{step},"total":2}}"#);
        assert!(String::from_utf8(note).unwrap().contains(&progress));
    }
    assert_eq!(evil.hear().await, text(8, "done").into_bytes());
    // Cancelled, it never answers.
    evil.say(&call(9, "slow", r#"{"ms":600000}"#)).await;
    evil.say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}"#).await;
    evil.says_nothing_but_pong().await;
    assert_eq!(fs::read_to_string(counted).unwrap(), "n1\nn2\n-\n-\n-\n");
    assert_eq!(fs::read_to_string(heard).unwrap().lines().count(), 10);
    assert_eq!(evil.stop(Pace::CALM).await, "exited with status 0");
}

#[tokio::test]
async fn a_mute_one_says_nothing_and_reads_on() {
    let mut evil = Evil::with("--mute --journal /dev/null");
    for _ in 0..1000 {
        evil.say(HELLO).await;
    }
    evil.stop(Pace::CALM).await;
    assert_eq!(evil.hear().await, b"");
}

#[tokio::test]
async fn one_that_exits_at_its_start_says_why() {
    let evil = Evil::with("--exit-at-start 3");
    assert_eq!(soon(evil.process.ended()).await.status, "exited with status 3");
    assert_eq!(evil.process.stderr_tail(), "evil: cannot find my configuration");
}

#[tokio::test]
async fn one_that_dies_on_a_call_has_executed_it() {
    let folder = tempfile::tempdir().unwrap();
    let counted = folder.path().join("counted");
    let mut evil = Evil::with(&format!("--die-on-call 18 --count-file {}", counted.display()));
    assert_eq!(evil.call("echo", r#"{"nonce":"once"}"#).await, r#"{"jsonrpc": "2.0","#);
    assert_eq!(soon(evil.process.ended()).await.status, "was killed by signal 9");
    assert_eq!(fs::read_to_string(counted).unwrap(), "once\n");
}

#[tokio::test]
async fn lists_hang_go_on_for_ever_go_round_or_are_unknown() {
    let mut evil = Evil::with("--hang-list");
    evil.say(LIST).await;
    evil.says_nothing_but_pong().await;

    let mut evil = Evil::with("--endless-pages");
    assert!(evil.ask(LIST).await.contains(r#""nextCursor":"1""#));
    let next = r#"{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"cursor":"41"}}"#;
    let page = evil.ask(next).await;
    assert!(page.contains(r#""name":"page41""#) && page.contains(r#""nextCursor":"42""#));

    let mut evil = Evil::with("--cursor-loop");
    assert!(evil.ask(LIST).await.contains(r#""nextCursor":"again""#));
    assert!(evil.ask(next).await.contains(r#""nextCursor":"again""#));

    let mut evil = Evil::with("--list-32601");
    assert!(evil.ask(HELLO).await.contains(r#""prompts":{}"#));
    assert!(evil.ask(LIST).await.contains("-32601"));
}

#[tokio::test]
async fn a_banner_stands_between_messages_and_harms_none() {
    let mut evil = Evil::with("--banner");
    let (mut junk, mut answers) = (0, 0);
    for _ in 0..8 {
        evil.say(&call(7, "echo", r#"{"text":"x"}"#)).await;
        while evil.hear().await != text(7, "x").into_bytes() {
            junk += 1;
        }
        answers += 1;
    }
    assert_eq!((junk, answers), (16, 8));
}

#[tokio::test]
async fn answers_are_foreign_double_late_or_missing() {
    let mut evil = Evil::with("--foreign-ids --twice");
    evil.say(&call(7, "echo", r#"{"text":"real"}"#)).await;
    let mut said = Vec::new();
    for _ in 0..13 {
        said.push(String::from_utf8(evil.hear().await).unwrap());
    }
    assert_eq!(said.iter().filter(|line| line.contains("BOGUS")).count(), 10);
    assert!(said[1..11].iter().all(|line| !line.contains(r#""id":7,"#)));
    assert_eq!(said[11..], [text(7, "real"), text(7, "SECOND")]);
    // The next time, the answer to the first is given once more.
    evil.say(&call(8, "echo", "{}")).await;
    evil.hear().await;
    assert_eq!(
        evil.hear().await,
        br#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"BOGUS"}],"isError":false}}"#
    );

    let mut evil = Evil::with("--late 1");
    evil.say(&call(9, "slow", r#"{"ms":20}"#)).await;
    evil.say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}"#).await;
    assert_eq!(evil.hear().await, text(9, "done").into_bytes());

    let mut evil = Evil::with("--no-answer");
    evil.say(&call(7, "echo", "{}")).await;
    evil.says_nothing_but_pong().await;
}

#[tokio::test]
async fn answers_are_big_endless_or_spoilt() {
    let mut evil = Evil::with("--big 3000000");
    assert_eq!(evil.call("echo", "{}").await.len(), text(7, "").len() + 3_000_000);

    let mut evil = Evil::with("--endless 5000000");
    let line = evil.call("echo", "{}").await;
    assert!(
        line.len() == 5_000_000 && line.starts_with(r#"{"jsonrpc":"2.0","id":7,"#) && line.ends_with('x')
    );
    evil.says_nothing_but_pong().await;

    for (spoil, sign) in [("bom", &b"\xef\xbb\xbf{"[..]), ("utf8", b"\xc3\x28"), ("cut", b"\"isErr")] {
        let mut evil = Evil::with(&format!("--spoil {spoil}"));
        evil.say(&call(7, "echo", "{}")).await;
        let line = evil.hear().await;
        assert!(line.windows(sign.len()).any(|part| part == sign), "{spoil}");
        assert!(!line.ends_with(b"}}") || spoil != "cut");
    }
}

#[tokio::test]
async fn a_flood_on_stderr_comes_before_each_answer() {
    let mut evil = Evil::with("--stderr 1000000");
    evil.says_nothing_but_pong().await;
    evil.stop(Pace::CALM).await;
    assert!(evil.process.stderr_text().len() > 60_000);
}

#[tokio::test]
async fn one_that_reads_slowly_fills_its_pipe() {
    let mut evil = Evil::with("--read-slowly 1000");
    let big = call(7, "echo", &format!(r#"{{"text":"{}"}}"#, "x".repeat(1 << 20)));
    let stdin = evil.stdin.as_mut().unwrap();
    let writing =
        tokio::time::timeout(std::time::Duration::from_millis(100), stdin.write_all(big.as_bytes()));
    assert!(writing.await.is_err());
    evil.stop(Pace::NOW).await;
}

#[tokio::test]
async fn one_that_ignores_everything_and_forks_still_ends_whole() {
    let mut evil = Evil::with("--ignore-eof --ignore-term --fork");
    evil.says_nothing_but_pong().await;
    let quick = Pace { after_eof: std::time::Duration::from_millis(30), ..Pace::NOW };
    assert_eq!(evil.stop(quick).await, "was killed by signal 9");
    // Its children kept our pipe open; that it ends says that they have.
    let mut rest = String::new();
    soon(evil.stdout.read_to_string(&mut rest)).await.unwrap();
    assert_eq!(rest, "");
}
