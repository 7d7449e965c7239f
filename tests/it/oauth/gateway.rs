//! `braid serve` with two holders of tokens before a server that wants a login.

use super::home::Home;
use super::issuer::Issuer;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

pub(super) const ALICE: &str = "alices-token-that-only-this-test-knows";
pub(super) const BOB: &str = "bobs-token-that-only-this-test-knows-too";

/// `braid serve`, for as long as it lives.
pub(super) struct Gateway {
    child: Child,
    pub(super) port: u16,
}

impl Gateway {
    pub(super) fn of(home: &Home) -> Self {
        let mut child = home.command(&["serve"]).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on http") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "it does not listen");
        }
        let port = line.split("127.0.0.1:").nth(1).unwrap();
        let port = port.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
        // What it says from then on is read, so that it never waits.
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
        Self { child, port }
    }

    /// One POST of a client: the session that the answer gives, and the answer.
    pub(super) fn post(&self, headers: &str, message: &Value) -> (String, Value) {
        let body = message.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAccept: application/json, text/event-stream\r\n\
             Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let answer = text.lines().find_map(|line| {
            let line = line.strip_prefix("data: ").unwrap_or(line);
            serde_json::from_str::<Value>(line).ok().filter(|value| value["jsonrpc"] == "2.0")
        });
        (field("mcp-session-id").unwrap_or_default(), answer.unwrap_or_default())
    }

    /// A call of whoever shows this token, and sends these headers besides.
    pub(super) fn call(&self, token: &str, more: &str) -> Value {
        let mut headers = format!("Authorization: Bearer {token}\r\n{more}");
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}});
        let (session, answer) = self.post(&headers, &hello);
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18", "{answer}");
        write!(headers, "Mcp-Session-Id: {session}\r\n").unwrap();
        self.post(&headers, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        self.post(&headers, &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}));
        let call = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {
            "name": "far__echo", "arguments": {"text": token}}});
        self.post(&headers, &call).1
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(super) fn home(issuer: &Issuer, oauth: &str) -> Home {
    let home = Home::before(issuer, "");
    let config = format!(
        "[listen]\nhttp = [\"127.0.0.1:0\"]\ntokens = {{ alice = \"{ALICE}\", bob = \"{BOB}\" }}\n\n\
         [servers.far]\nurl = \"{}/mcp\"\noauth = {{ {oauth} }}\n",
        issuer.base
    );
    std::fs::write(home.folder.path().join("braid.toml"), config).unwrap();
    home
}
