//! A client that has run away, and the real program over HTTP: it gets its rate, everybody else all that they ask for.
//!
//! Real time passes, as a rate is about nothing else; what is asserted are counts, within what the time that passed allows.

use crate::crowd_http::wire::{Form, Line};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// Calls of the one that has run away, a hundred a second.
const CALLS: u64 = 400;
const BETWEEN: Duration = Duration::from_millis(10);
/// Of each so many of them, one goes to the other server as well.
const BESIDE: u64 = 10;
/// Calls of the other client to each server: fewer than its rate allows at once.
const CALM: u64 = 50;

/// `braid serve` with two demo servers, the first with a rate.
struct Braid {
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Braid {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = |name: &str| {
            format!("[servers.{name}]\ncommand = \"${{braid}}\"\nargs = [\"demo-server\", \"workshop\"]\n")
        };
        // However slow the machine is, an answer comes as one text.
        let listen = "[listen]\nhttp = [\"127.0.0.1:0\"]\nauth = \"none\"\nstream_after = \"1m\"\n";
        let text = format!("{}rate = \"60/min\"\n{}{listen}", server("rated"), server("free"));
        let file = folder.path().join("braid.toml");
        std::fs::write(&file, text).unwrap();
        std::fs::create_dir(folder.path().join("rt")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_braid"))
            .args(["serve", "-c"])
            .arg(&file)
            .env("HOME", folder.path())
            .env("XDG_RUNTIME_DIR", folder.path().join("rt"))
            .env_remove("XDG_STATE_HOME")
            .env_remove("BRAID_LOG")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "it ended before it listened");
            if let Some((_, rest)) = line.split_once("listening on http://") {
                break rest.split('/').next().unwrap().parse().unwrap();
            }
        };
        // Its log is read to the end, or it would write to nobody.
        thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { child, address, folder }
    }

    /// What `/metrics` says of these series, added up; what never happened has none.
    fn counted(&self, name: &str, labels: &[&str]) -> u64 {
        let sockets = std::fs::read_dir(self.folder.path().join("rt/braid")).unwrap();
        let mut stream = UnixStream::connect(sockets.last().unwrap().unwrap().path()).unwrap();
        write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let is_meant = |line: &&str| {
            line.split('{').next() == Some(name) && labels.iter().all(|label| line.contains(label))
        };
        let series = text.lines().filter(is_meant);
        series.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Braid {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One client: a session, a connection, and how many of its calls each server has answered.
struct Client {
    line: Line,
    session: String,
    next: u64,
}

impl Client {
    async fn begin(address: SocketAddr) -> Self {
        let mut line = Line::to(address).await;
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
        let text = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string();
        let head = line.ask("POST", None, &text).await;
        let Form::Whole(length) = head.form else { panic!("{head:?}") };
        line.whole(length).await.unwrap();
        let mut client = Self { line, session: head.session.unwrap(), next: 0 };
        let head = client.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        assert_eq!(head, None);
        client
    }

    async fn post(&mut self, message: &Value) -> Option<Value> {
        let head = self.line.ask("POST", Some(&self.session), &message.to_string()).await;
        let Form::Whole(length) = head.form else { panic!("{head:?}") };
        self.line.whole(length).await
    }

    /// Adds two numbers that no other call has; `None` if that was done, and what it was refused with if not.
    async fn add(&mut self, server: &str) -> Option<Value> {
        self.next += 1;
        let params = json!({"name": format!("{server}__add"), "arguments": {"a": self.next, "b": 1000}});
        let call = json!({"jsonrpc": "2.0", "id": self.next, "method": "tools/call", "params": params});
        let mut answer = self.post(&call).await.unwrap();
        assert_eq!(answer["id"], self.next);
        if answer["error"].is_null() {
            assert_eq!(answer["result"]["structuredContent"], json!({"sum": self.next + 1000}), "{answer}");
            return None;
        }
        Some(answer["error"].take())
    }
}

/// What a model must understand of a refusal: whose rate, that nothing was done, and when to ask again.
fn retry_after(error: &Value) -> Duration {
    let data = &error["data"];
    assert_eq!(
        (&error["code"], &data["reason"], &data["outcome"], &data["code"]),
        (&json!(1003), &json!("rate"), &json!("not_sent"), &json!("BRAID-L003")),
        "{error}"
    );
    let message = error["message"].as_str().unwrap();
    for part in [
        "rated: this client is over its rate of 60/min",
        "the request was not sent: wait ",
        "other servers are not held back",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let retry = data["retry_after_ms"].as_u64().unwrap();
    assert!((1..=1000).contains(&retry), "{error}");
    Duration::from_millis(retry)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_run_away_harms_itself_alone() {
    let braid = Braid::start();
    let (mut runaway, mut calm) = (Client::begin(braid.address).await, Client::begin(braid.address).await);
    let other = tokio::spawn(async move {
        for _ in 0..CALM {
            for server in ["rated", "free"] {
                assert_eq!(calm.add(server).await, None, "another client is not held back");
            }
            sleep(BETWEEN).await;
        }
    });
    let mut clock = interval(BETWEEN);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begun = Instant::now();
    let (mut fine, mut refused, mut last) = (0, 0, None);
    for at in 0..CALLS {
        clock.tick().await;
        last = runaway.add("rated").await;
        match &last {
            None => fine += 1,
            Some(error) => {
                retry_after(error);
                refused += 1;
            }
        }
        if at % BESIDE == 0 {
            assert_eq!(runaway.add("free").await, None, "another server is not held back");
        }
    }
    // What it had, and one a second for as long as that took.
    let most = 60 + begun.elapsed().as_secs() + 1;
    assert!((60..=most).contains(&fine), "{fine} of {CALLS}, at most {most}");
    assert!(refused > 0, "it was never over its rate");
    other.await.unwrap();
    if let Some(error) = last {
        sleep(retry_after(&error)).await;
        assert_eq!(runaway.add("rated").await, None, "who waits as long as it is told is answered");
        fine += 1;
    }
    let counted = |name: &str, labels: &[&str]| braid.counted(name, labels);
    assert_eq!(counted("braid_rate_limited_total", &[r#"server="rated""#, r#"limit="server""#]), refused);
    assert_eq!(counted("braid_rejected_total", &[r#"server="rated""#]), refused);
    assert_eq!(counted("braid_rejected_total", &[r#"server="free""#]), 0);
    assert_eq!(counted("braid_rate_limited_total", &[r#"server="free""#]), 0);
    let calls = |server: &str| {
        let labels = [server, r#"mcp_method_name="tools/call""#];
        counted("mcp_client_operation_duration_seconds_count", &labels)
    };
    assert_eq!(calls(r#"server="rated""#), fine + CALM);
    assert_eq!(calls(r#"server="free""#), CALLS / BESIDE + CALM);
}
