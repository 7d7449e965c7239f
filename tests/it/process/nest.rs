//! The real binary with real servers of four kinds, each with a tree of its own, and who is left of them.
//!
//! Every nest has a tag, which is in the environment or the arguments of whatever its servers start. Survivors
//! are counted by the tag alone, not by the mark that Braid itself goes by.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Like `npx`: a shell that starts the server and waits for it.
pub(super) const WRAPPER: &str = r#"'{braid}' demo-server notes; exit"#;
/// Ignores what asks it to leave, and has a child that does too.
pub(super) const STUBBORN: &str =
    r#"trap '' TERM HUP INT; sleep {nap} & '{braid}' demo-server workshop; wait"#;
/// Two descendants that were forked twice, so that init is their parent: one of them in its own session.
pub(super) const DAEMON: &str =
    r#"(setsid sleep {nap} &); (sleep {nap} &); exec '{braid}' demo-server notes"#;
/// The server is in a session of its own; whoever it started before is in the group.
pub(super) const APART: &str = r#"sleep {nap} & exec setsid -w '{braid}' demo-server notes"#;

/// No step of a test takes longer, on however busy a machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Nest {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<()>,
    tag: String,
    next: u64,
    _folder: tempfile::TempDir,
}

impl Nest {
    /// Starts `braid stdio` with a server for each script. `{braid}` is the binary, `{nap}` a time to sleep
    /// that nobody else sleeps, and `{tag}` the tag.
    pub(super) fn start(scripts: &[&str]) -> Self {
        let mut random = [0; 4];
        getrandom::fill(&mut random).unwrap();
        let tag = format!("{:010}", u32::from_ne_bytes(random));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("braid.toml");
        fs::write(&file, config(scripts, &tag, folder.path())).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_braid"))
            .args(["stdio", "--log-level", "debug", "-c"])
            .arg(file)
            .env_remove("BRAID_RUN")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = child.stdout.take().unwrap();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        let (end, errors) = channel();
        let mut stderr = child.stderr.take().unwrap();
        thread::spawn(move || {
            stderr.read_to_end(&mut Vec::new()).unwrap();
            drop(end);
        });
        let stdin = child.stdin.take();
        Self { child, stdin, lines, errors, tag, next: 0, _folder: folder }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    pub(super) fn ask(&mut self, method: &str, params: &str) -> u64 {
        self.next += 1;
        let line = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"{method}\",\"params\":{params}}}\n",
            self.next
        );
        // It may be dead already.
        self.stdin.as_mut().unwrap().write_all(line.as_bytes()).ok();
        self.next
    }

    /// The answer to the last request; what else is said is not heard.
    pub(super) fn answer(&mut self) -> String {
        let id = format!("\"id\":{},", self.next);
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap();
            if line.contains(&id) {
                return line;
            }
        }
    }

    /// Shakes hands and waits until all servers are there.
    pub(super) fn greet(&mut self) {
        self.initialize();
        self.answer();
        // The first list waits for the servers.
        self.ask("tools/list", "{}");
        self.answer();
    }

    pub(super) fn initialize(&mut self) {
        let client = r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}"#;
        self.ask("initialize", client);
        let line = b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
        self.stdin.as_mut().unwrap().write_all(line).ok();
    }

    pub(super) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Lets time pass, or what is said be said.
    pub(super) fn pass(&self, time: Duration) {
        let until = Instant::now() + time;
        while self.lines.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
        if let Some(rest) = until.checked_duration_since(Instant::now()) {
            thread::park_timeout(rest);
        }
    }

    /// Its guardian, once there is one.
    pub(super) fn guardian(&self) -> Option<u32> {
        processes().find(|pid| {
            parent(*pid) == Some(self.id())
                && read(*pid, "cmdline").starts_with(b"braid\0guardian\0")
                && is_alive(*pid)
        })
    }

    /// Kills Braid itself, reaps it, and returns when that began.
    pub(super) fn kill(&mut self) -> Instant {
        let start = Instant::now();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        start
    }

    /// Returns when stdout and stderr have ended.
    pub(super) fn hears_the_end(&self) {
        while self.lines.recv_timeout(PATIENCE).map_err(|error| assert_eq!(error, ENDED)).is_ok() {}
        assert_eq!(self.errors.recv_timeout(PATIENCE), Err(ENDED));
    }

    /// Hangs up and waits for the exit.
    pub(super) fn leave(&mut self) -> ExitStatus {
        self.hang_up();
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < limit, "it does not exit");
            thread::park_timeout(Duration::from_millis(2));
        }
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The `braid.toml` of servers with these scripts.
pub(super) fn config(scripts: &[&str], tag: &str, folder: &Path) -> String {
    let servers = scripts.iter().enumerate().map(|(at, script)| {
        let script = script
            .replace("{braid}", env!("CARGO_BIN_EXE_braid"))
            .replace("{nap}", &format!("86400.{tag}"))
            .replace("{tag}", tag)
            .replace("{folder}", folder.to_str().unwrap());
        format!(
            "[servers.s{at}]\ncommand = \"sh\"\nargs = [\"-c\", {script:?}]\n\
             env = {{ BRAID_TEST_TAG = \"{tag}\" }}\n"
        )
    });
    servers.collect()
}

/// Everyone alive with one of these tags, as a command line. A fork that has not become its program yet has
/// none, so look again later.
pub(super) fn survivors(tags: &[&str]) -> Vec<String> {
    let has_tag = |pid: u32| {
        let (line, environ) = (read(pid, "cmdline"), read(pid, "environ"));
        let holds = |text: &[u8], tag: &&str| text.windows(tag.len()).any(|part| part == tag.as_bytes());
        tags.iter().any(|tag| holds(&line, tag) || holds(&environ, tag))
    };
    let found = processes().filter(|pid| has_tag(*pid) && is_alive(*pid));
    found.map(|pid| format!("{pid} {}", String::from_utf8_lossy(&read(pid, "cmdline")))).collect()
}

/// Waits until it holds, as only the system can tell.
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < limit, "not in time: {what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

pub(super) fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

pub(super) fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

pub(super) fn read(pid: u32, file: &str) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default()
}

/// It exists and has not exited.
pub(super) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// Children that have exited and were not waited for.
pub(super) fn zombies(of: u32) -> usize {
    processes().filter(|pid| stat(*pid) == Some(('Z', of))).count()
}

fn parent(pid: u32) -> Option<u32> {
    Some(stat(pid)?.1)
}

fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = String::from_utf8_lossy(&read(pid, "stat")).into_owned();
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

const ENDED: RecvTimeoutError = RecvTimeoutError::Disconnected;
