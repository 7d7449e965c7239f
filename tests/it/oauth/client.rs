//! One client of `braid stdio`.

use super::home::Home;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

pub(super) struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Client {
    /// One that has seen the tools; `capabilities`: what it declares.
    pub(super) fn of(home: &Home) -> Self {
        Self::able(home, &json!({}))
    }

    pub(super) fn able(home: &Home, capabilities: &Value) -> Self {
        let mut client = Self::greets(home, capabilities);
        client.say(&json!({"jsonrpc": "2.0", "id": 0, "method": "tools/list"}));
        let list = client.answer();
        assert_eq!(list["result"]["tools"][0]["name"], "far__echo", "{list}");
        client
    }

    /// The same before it asks for anything.
    pub(super) fn greets(home: &Home, capabilities: &Value) -> Self {
        let mut child = home
            .command(&["stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut client = Self { child, stdin, stdout };
        client.say(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "c", "version": "1"}}}));
        client.answer();
        client.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    pub(super) fn say(&mut self, message: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    /// The next that it is told.
    pub(super) fn told(&mut self) -> Value {
        let mut line = String::new();
        assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "it has left");
        serde_json::from_str(&line).unwrap()
    }

    /// The next answer; what is none is passed over.
    pub(super) fn answer(&mut self) -> Value {
        loop {
            let message = self.told();
            if !message["id"].is_null() && message["method"].is_null() {
                return message;
            }
        }
    }

    /// So many calls at once; their answers, which may come in any order.
    pub(super) fn calls(&mut self, count: usize) -> Vec<Value> {
        for number in 1..=count {
            self.say(&json!({"jsonrpc": "2.0", "id": number, "method": "tools/call",
                "params": {"name": "far__echo", "arguments": {"text": number.to_string()}}}));
        }
        let answers: Vec<Value> = (0..count).map(|_| self.answer()).collect();
        let ids: BTreeSet<u64> = answers.iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), count);
        answers
    }

    pub(super) fn all_fine(&mut self, count: usize) {
        for answer in self.calls(count) {
            assert_eq!(answer["result"]["content"][0]["text"], answer["id"].to_string(), "{answer}");
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.stdin.take());
        self.child.wait().ok();
    }
}
