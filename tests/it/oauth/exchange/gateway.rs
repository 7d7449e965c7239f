//! `braid serve` before the world's server, and those who call it, each with a token of his.

use super::world::World;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// It ends when it is dropped.
pub(super) struct Gateway {
    child: Child,
    port: u16,
    pub(super) folder: tempfile::TempDir,
    /// What it wrote to stderr, at the level at which most is written.
    pub(super) log: Arc<Mutex<String>>,
}

/// What was answered.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) session: String,
    pub(super) message: Value,
}

/// What a `braid.toml` says: who lets clients in, and how the server is reached.
pub(super) fn config(world: &World, server: &str) -> String {
    format!(
        "[listen]\nhttp = [\"127.0.0.1:0\"]\nauth = \"oauth\"\n\
         tokens = {{ nightly = \"nightlys-token-that-only-this-test-knows\" }}\n\
         [listen.oauth]\nissuer = \"{issuer}\"\nresource = \"https://gw.example.com/mcp\"\n\
         introspection = {{ client_id = \"gateway\", client_secret = \"s3cret-of-ours\" }}\n\
         [admin]\naudit = \"audit.jsonl\"\n\
         [servers.far]\nurl = \"{far}/mcp\"\n{server}\n\
         [servers.far.oauth]\ngrant = \"token_exchange\"\nclient_id = \"gateway\"\nclient_secret = \"s3cret-of-ours\"\n",
        issuer = world.issuer,
        far = world.server
    )
}

pub(super) fn braid(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_braid"));
    for ours in ["BRAID_CONFIG", "BRAID_LOG", "BRAID_RUN", "BROWSER", "XDG_STATE_HOME"] {
        command.env_remove(ours);
    }
    command.args(words).args(["-c", "braid.toml"]).current_dir(folder).stdin(Stdio::null());
    command.env("HOME", folder).env("XDG_CONFIG_HOME", folder).env("XDG_RUNTIME_DIR", folder);
    command
}

impl Gateway {
    pub(super) fn of(world: &World) -> Self {
        Self::with(&config(world, ""))
    }

    pub(super) fn with(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("braid.toml"), config).unwrap();
        let mut command = braid(folder.path(), &["serve", "--log-level", "trace"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::<Mutex<String>>::default();
        let mut line = String::new();
        while !line.contains("listening on http") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "it does not listen: {}", log.lock().unwrap());
            log.lock().unwrap().push_str(&line);
        }
        let port = line.split("127.0.0.1:").nth(1).unwrap();
        let port = port.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
        let kept = log.clone();
        std::thread::spawn(move || {
            let mut line = String::new();
            while said.read_line(&mut line).is_ok_and(|read| read > 0) {
                kept.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Self { child, port, folder, log }
    }

    /// One POST on a connection of its own.
    pub(super) fn post(&self, token: &str, headers: &str, message: &Value) -> Answered {
        self.send("POST", token, headers, &message.to_string())
    }

    /// Ends a session: the status that is answered.
    pub(super) fn leave(&self, token: &str, session: &str) -> u16 {
        self.send("DELETE", token, session, "").status
    }

    /// How many links there are to the server.
    pub(super) fn links(&self) -> u64 {
        let status: Value = serde_json::from_str(&self.braid(&["status", "--json"])).unwrap();
        let servers = status["instances"][0]["servers"].as_array().unwrap();
        let far = servers.iter().find(|server| server["name"] == "far").unwrap();
        far["links"].as_u64().unwrap()
    }

    /// Waits until it is so; not for ever.
    pub(super) fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never is");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn send(&self, method: &str, token: &str, headers: &str, body: &str) -> Answered {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "{method} /mcp HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAccept: application/json, text/event-stream\r\n\
             Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\
             Authorization: Bearer {token}\r\n{headers}\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let message = text.lines().find_map(|line| {
            let line = line.strip_prefix("data: ").unwrap_or(line);
            serde_json::from_str::<Value>(line).ok().filter(|value| value["jsonrpc"] == "2.0")
        });
        let session = field("mcp-session-id").unwrap_or_default();
        Answered { status, session, message: message.unwrap_or(Value::String(text)) }
    }

    /// Begins a session.
    pub(super) fn session(&self, token: &str) -> String {
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}});
        let begun = self.post(token, "", &hello);
        assert_eq!(begun.message["result"]["protocolVersion"], "2025-11-25", "{}", begun.message);
        let of = format!("Mcp-Session-Id: {}\r\n", begun.session);
        self.post(token, &of, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        of
    }

    /// A call in a session: what the server says, or the error.
    pub(super) fn call(&self, token: &str, session: &str) -> String {
        said(&self.post(token, session, &call(json!({}))).message)
    }

    /// A call without a session.
    pub(super) fn call_alone(&self, token: &str) -> String {
        let meta = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}}});
        let mut headers = String::new();
        let names =
            [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "far__who")];
        for (name, value) in names {
            write!(headers, "{name}: {value}\r\n").unwrap();
        }
        said(&self.post(token, &headers, &call(meta)).message)
    }

    /// A command beside it.
    pub(super) fn braid(&self, words: &[&str]) -> String {
        let out = braid(self.folder.path(), words).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
    }
}

fn call(mut params: Value) -> Value {
    params["name"] = "far__who".into();
    params["arguments"] = json!({});
    json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params})
}

fn said(message: &Value) -> String {
    let text = message["result"]["content"][0]["text"].as_str();
    text.map_or_else(|| message.to_string(), str::to_owned)
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
