//! The real binary with a configuration of its own, driven line by line by a client that never waits for ever.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// No step of a test takes longer, on however busy a machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// `braid stdio` behind a client that has done its handshake.
pub(super) struct Braid {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Heard and not asked for yet.
    heard: Vec<serde_json::Value>,
    next: u64,
    folder: tempfile::TempDir,
}

impl Braid {
    /// Starts with this `braid.toml`; `{evil}` stands for the evil server's script.
    pub(super) fn start(config: &str) -> Self {
        Self::start_with(config, Stdio::piped())
    }

    pub(super) fn start_with(config: &str, stdout: Stdio) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let evil = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/evil.py");
        let text = config.replace("{evil}", evil).replace("{folder}", folder.path().to_str().unwrap());
        std::fs::write(folder.path().join("braid.toml"), text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_braid"))
            .args(["stdio", "-c"])
            .arg(folder.path().join("braid.toml"))
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::from(std::fs::File::create(folder.path().join("stderr")).unwrap()))
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines() {
                    let Ok(line) = line else { return };
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let stdin = child.stdin.take();
        Self { child, stdin, lines, heard: Vec::new(), next: 0, folder }
    }

    /// Starts and shakes hands; how long the handshake took is the second value.
    pub(super) fn greeted(config: &str) -> (Self, Duration) {
        let mut braid = Self::start(config);
        let before = Instant::now();
        braid.initialize("2025-11-25");
        (braid, before.elapsed())
    }

    pub(super) fn initialize(&mut self, revision: &str) -> serde_json::Value {
        let params = format!(
            r#"{{"protocolVersion":"{revision}","capabilities":{{}},"clientInfo":{{"name":"test","version":"1"}}}}"#
        );
        let id = self.ask("initialize", &params);
        let answer = self.answer(id);
        self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        answer
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn stderr(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("stderr")).unwrap()).into_owned()
    }

    pub(super) fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).unwrap();
        stdin.write_all(b"\n").unwrap();
        stdin.flush().unwrap();
    }

    /// Sends a request and returns its id.
    pub(super) fn ask(&mut self, method: &str, params: &str) -> u64 {
        self.next += 1;
        let id = self.next;
        self.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#));
        id
    }

    pub(super) fn call(&mut self, tool: &str, arguments: &str) -> u64 {
        self.ask("tools/call", &format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#))
    }

    /// The answer to one request; whatever else is heard meanwhile is kept.
    pub(super) fn answer(&mut self, id: u64) -> serde_json::Value {
        let wanted = |message: &serde_json::Value| message["id"] == id && message.get("method").is_none();
        if let Some(at) = self.heard.iter().position(wanted) {
            return self.heard.remove(at);
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let line = match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("no answer to {id}; stderr:\n{}", self.stderr()),
                Err(RecvTimeoutError::Disconnected) => panic!("stdout ended; stderr:\n{}", self.stderr()),
            };
            let message: serde_json::Value = serde_json::from_str(&line).expect("stdout carries MCP only");
            if wanted(&message) {
                return message;
            }
            self.heard.push(message);
        }
    }

    /// Calls a tool and waits for what comes.
    pub(super) fn called(&mut self, tool: &str, arguments: &str) -> serde_json::Value {
        let id = self.call(tool, arguments);
        self.answer(id)
    }

    /// The exposed names of all tools.
    pub(super) fn tools(&mut self) -> Vec<String> {
        let id = self.ask("tools/list", "{}");
        let answer = self.answer(id);
        let tools = answer["result"]["tools"].as_array().unwrap().iter();
        tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Asks until `done`, for what becomes true by itself.
    pub(super) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < until, "{what} never came true; stderr:\n{}", self.stderr());
            std::thread::yield_now();
        }
    }

    /// The other server is as well as ever.
    pub(super) fn others_are_well(&mut self) {
        let answer = self.called("notes__list", "{}");
        assert_eq!(answer["result"]["structuredContent"]["notes"][0]["id"], "welcome", "{answer}");
    }

    pub(super) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for the exit, and says how long it took.
    pub(super) fn exited(&mut self) -> (ExitStatus, Duration) {
        let before = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, before.elapsed());
            }
            assert!(before.elapsed() < PATIENCE, "it does not exit; stderr:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Hangs up and leaves; nothing of it may be left.
    pub(super) fn leave(mut self) {
        let marks = marked(self.id());
        self.close_stdin();
        let (status, _) = self.exited();
        assert!(status.success(), "{status}; stderr:\n{}", self.stderr());
        assert_eq!(survivors(&marks), Vec::<u32>::new());
    }
}

impl Drop for Braid {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The runs, as their marks in the environment say, of the children of a process.
pub(super) fn marked(parent: u32) -> Vec<String> {
    let mut runs = Vec::new();
    for pid in processes() {
        let Some(environ) = environ(pid) else { continue };
        if parent_of(pid) == Some(parent)
            && let Some(run) = run_of(&environ)
            && !runs.contains(&run)
        {
            runs.push(run);
        }
    }
    runs
}

/// Processes that carry one of these marks.
pub(super) fn survivors(runs: &[String]) -> Vec<u32> {
    let carries = |pid: &u32| environ(*pid).and_then(|e| run_of(&e)).is_some_and(|run| runs.contains(&run));
    processes().into_iter().filter(carries).collect()
}

/// Children that ended and were not waited for.
pub(super) fn zombies(parent: u32) -> usize {
    let is_zombie = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
    };
    processes().into_iter().filter(|pid| parent_of(*pid) == Some(parent)).filter(is_zombie).count()
}

fn processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn environ(pid: u32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The run is the last mark's first part.
fn run_of(environ: &str) -> Option<String> {
    let marks = environ.split('\0').find_map(|variable| variable.strip_prefix("BRAID_RUN="))?;
    Some(marks.rsplit(',').next()?.split('.').next()?.to_owned())
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}
