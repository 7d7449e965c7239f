//! The program under test: `braid stdio` with a client, and `braid serve`.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const BRAID: &str = env!("CARGO_BIN_EXE_braid");
/// What takes longer than this will not come.
const SOON: Duration = Duration::from_secs(60);

/// A folder with a configuration: a server `w` whose environment and input are written down.
pub(crate) struct Home {
    pub(crate) folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        let script = format!("env > {path}/env; tee {path}/heard | {BRAID} demo-server workshop");
        let server = format!("[servers.w]\ncommand = \"sh\"\nargs = [\"-c\", \"{script}\"]\n");
        let home = Self { folder };
        home.write(&server);
        home
    }

    /// A server at a URL instead.
    pub(crate) fn with_remote(url: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        home.write(&format!("[servers.w]\nurl = \"{url}\"\n"));
        home
    }

    fn write(&self, servers: &str) {
        let rest = "[listen]\nhttp = [\"127.0.0.1:0\"]\nauth = \"none\"\n[admin]\nsocket = \"off\"\n";
        std::fs::write(self.path().join("braid.toml"), format!("{rest}{servers}")).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn start(&self, mode: &str, variables: &[(&str, &str)]) -> Child {
        let config = self.path().join("braid.toml");
        let mut command = Command::new(BRAID);
        command.args([mode, "--log-level", "trace", "--config"]).arg(config).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.path());
        command.env("XDG_STATE_HOME", self.path()).env("XDG_RUNTIME_DIR", self.path());
        command.envs(variables.iter().copied()).current_dir(self.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// How a run ended: what it wrote to stderr.
pub(crate) fn ended(mut child: Child, log: JoinHandle<String>) -> String {
    // One that does not end is ended by whoever runs the tests.
    let status = child.wait().unwrap();
    let log = log.join().unwrap();
    assert!(status.success(), "{status}\n{log}");
    log
}

/// `braid stdio`, greeted.
pub(crate) struct Client {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    log: JoinHandle<String>,
    /// All that was answered.
    pub(crate) said: Vec<String>,
}

impl Client {
    pub(crate) fn start(home: &Home, variables: &[(&str, &str)]) -> Self {
        let mut child = home.start("stdio", variables);
        let stdin = child.stdin.take().unwrap();
        let (out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (say, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                say.send(line).ok();
            }
        });
        let log = thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).unwrap();
            text
        });
        let mut client = Self { child, stdin, lines, log, said: Vec::new() };
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
        client.ask(json!(0), "initialize", params);
        client.tell("notifications/initialized", json!({}));
        client
    }

    pub(crate) fn tell(&mut self, method: &str, params: Value) {
        self.write(&json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string());
    }

    pub(crate) fn write(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub(crate) fn ask(&mut self, id: Value, method: &str, params: Value) -> Value {
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        self.answer(&id)
    }

    fn answer(&mut self, id: &Value) -> Value {
        self.hear(|message| message["id"] == *id && message.get("method").is_none())
    }

    /// The next message of this kind.
    pub(crate) fn hear(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(SOON).expect("a message");
            let message: Value = serde_json::from_str(&line).unwrap();
            self.said.push(line);
            if is_it(&message) {
                return message;
            }
        }
    }

    /// The client leaves; what Braid wrote to stderr until it was gone.
    pub(crate) fn leave(self) -> String {
        drop(self.stdin);
        ended(self.child, self.log)
    }
}

/// `braid serve`, listening.
pub(crate) struct Serving {
    child: Child,
    log: JoinHandle<String>,
    pub(crate) url: String,
    address: String,
}

impl Serving {
    pub(crate) fn start(home: &Home, variables: &[(&str, &str)]) -> Self {
        let mut child = home.start("serve", variables);
        let err = child.stderr.take().unwrap();
        let (say, heard) = channel();
        let log = thread::spawn(move || {
            let mut text = String::new();
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                if let Some(url) = line.strip_prefix("listening on ") {
                    say.send(url.to_owned()).ok();
                }
                text.push_str(&line);
                text.push('\n');
            }
            text
        });
        let url = heard.recv_timeout(SOON).expect("it listens");
        let address = url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
        Self { child, log, url, address }
    }

    /// A request of 2026-07-28, which needs no session.
    pub(crate) fn ask(&self, id: Value, method: &str, name: &str, mut params: Value) -> Value {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        params["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({"name": "c", "version": "1"});
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\n\
             mcp-method: {method}\r\nmcp-name: {name}\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        // Alone, or as the data of an event.
        let (start, end) = (body.find('{').unwrap(), body.rfind('}').unwrap());
        serde_json::from_str(&body[start..=end]).unwrap_or_else(|_| panic!("{answer}"))
    }

    /// It is asked to leave; what it wrote to stderr until it was gone.
    pub(crate) fn stop(self) -> String {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        ended(self.child, self.log)
    }
}
