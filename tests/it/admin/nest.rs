//! A folder in which runs and commands find each other and nothing else, and a client of a run.

pub(super) use crate::said::PATIENCE;
use crate::said::{Said, read};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(super) struct Nest(tempfile::TempDir);

impl Said {
    #[track_caller]
    pub(super) fn json(self) -> Value {
        serde_json::from_str(&self.with_code(0).out).unwrap()
    }
}

impl Nest {
    /// With this `braid.toml`.
    pub(super) fn new(config: &str) -> Self {
        let nest = Self(tempfile::tempdir().unwrap());
        nest.write("braid.toml", config);
        fs::create_dir(nest.runtime()).unwrap();
        nest
    }

    /// With the two demo servers.
    pub(super) fn demo() -> Self {
        Self::new(DEMO)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn runtime(&self) -> PathBuf {
        self.path().join("rt")
    }

    /// The sockets that are there.
    pub(super) fn sockets(&self) -> Vec<PathBuf> {
        let Ok(found) = fs::read_dir(self.runtime().join("braid")) else { return Vec::new() };
        found.map(|entry| entry.unwrap().path()).collect()
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_braid"));
        for ours in ["BRAID_CONFIG", "BRAID_LOG", "BRAID_RUN", "CLICOLOR_FORCE", "NO_COLOR", "XDG_STATE_HOME"]
        {
            command.env_remove(ours);
        }
        command.args(args).current_dir(self.path()).env("HOME", self.path());
        command.env("XDG_CONFIG_HOME", self.path()).env("XDG_RUNTIME_DIR", self.runtime());
        command
    }

    /// Runs a command to its end.
    pub(super) fn braid(&self, args: &[&str]) -> Said {
        Said::of(&mut self.command(args), "")
    }

    /// `braid stdio` with a client that has greeted it.
    pub(super) fn client(&self, more: &[&str]) -> Client {
        let mut client = self.silent_client(more);
        client.greet();
        client
    }

    /// The same, and nothing has been said.
    pub(super) fn silent_client(&self, more: &[&str]) -> Client {
        self.begun(self.command(&[&["stdio"], more].concat()))
    }

    /// The same of a command that was made elsewhere; it has greeted.
    pub(super) fn client_of(&self, command: Command) -> Client {
        let mut client = self.begun(command);
        client.greet();
        client
    }

    fn begun(&self, mut command: Command) -> Client {
        let log = fs::File::create(self.path().join(format!("{}.log", fastrand()))).unwrap();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Client { child, stdin, stdout, next: 0 }
    }

    /// What the only run answers to this over its socket.
    pub(super) fn get(&self, target: &str) -> String {
        let socket = self.sockets().pop().unwrap();
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        write!(stream, "GET {target} HTTP/1.0\r\n\r\n").unwrap();
        read(&mut stream)
    }

    /// What all runs have logged.
    pub(super) fn logs(&self) -> String {
        let entries = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs = entries.filter(|path| path.extension().is_some_and(|end| end == "log"));
        logs.map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()).collect()
    }

    /// How the only run stands.
    pub(super) fn status(&self) -> Value {
        let all = self.braid(&["status", "--json"]).json();
        let all = all["instances"].as_array().unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    /// The same, of one of its servers, once this is so of it.
    pub(super) fn server_once(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        until(|| {
            let status = self.status();
            let servers = status["servers"].as_array().unwrap().clone();
            servers.into_iter().find(|server| server["name"] == name).filter(|server| is_so(server))
        })
    }
}

/// A number for a name.
fn fastrand() -> u64 {
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    u64::from_ne_bytes(random)
}

/// What there is once there is something.
#[track_caller]
pub(super) fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < limit, "it does not happen");
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// A client of one run, on its stdin and stdout.
pub(super) struct Client {
    pub(super) child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    next: u64,
}

impl Client {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn say(&mut self, message: &Value) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    fn greet(&mut self) {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "c", "version": "1"}});
        self.ask("initialize", params);
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    }

    /// Sends a request, and says under which id.
    pub(super) fn send(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        self.say(&json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}));
        self.next
    }

    /// The next answer; nothing, if there is none any more.
    pub(super) fn hear(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).unwrap_or(0) == 0 || !line.ends_with('\n') {
                return None;
            }
            let message: Value = serde_json::from_str(&line).unwrap();
            if message.get("method").is_none() {
                return Some(message);
            }
        }
    }

    /// A request and its answer.
    pub(super) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        let answer = self.hear().expect("an answer");
        assert_eq!(answer["id"], id);
        answer
    }

    pub(super) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Hangs up, and waits for the run to end.
    pub(super) fn leave(mut self) {
        drop(self.stdin.take());
        while self.hear().is_some() {}
        self.child.wait().unwrap();
    }

    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(super) const DEMO: &str = "[servers.notes]\ncommand = \"${braid}\"\nargs = [\"demo-server\", \"notes\"]\n\
     [servers.workshop]\ncommand = \"${braid}\"\nargs = [\"demo-server\", \"workshop\"]\n";
