//! A server in memory that lists what it is given and does whatever it is asked, and remembers what that was.

use futures::FutureExt;
use futures::future::BoxFuture;
use mcp_braid::upstream::dial::{Dial, Dialed};
use mcp_braid::wire::fault::Fault;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::mpsc;

/// What it lists, by the member of the result, and what it was asked for.
#[derive(Clone)]
pub(crate) struct Server(Arc<Inner>);

struct Inner {
    lists: Value,
    asked: Mutex<Vec<Value>>,
    /// To each of those who are connected.
    lives: Mutex<Vec<mpsc::Sender<Value>>>,
}

impl Server {
    pub(crate) fn new(lists: Value) -> Self {
        Self(Arc::new(Inner { lists, asked: Mutex::default(), lives: Mutex::default() }))
    }

    /// The requests that are about an item, since the last time.
    pub(crate) fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.asked.lock())
    }

    /// Says something by itself, to everybody who is connected.
    pub(crate) fn tell(&self, message: &Value) {
        for life in self.0.lives.lock().iter() {
            life.try_send(message.clone()).ok();
        }
    }

    fn reply(&self, message: &Value) -> Option<Value> {
        let id = message.get("id")?;
        let listed = |member: &str| json!({ member: self.0.lists[member] });
        let result = match message["method"].as_str()? {
            "initialize" => json!({"protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}, "prompts": {}, "resources": {"subscribe": true}, "completions": {}},
                "serverInfo": {"name": "memory", "version": "1"},
                "instructions": self.0.lists["instructions"].as_str().unwrap_or_default()}),
            "ping" => json!({}),
            "tools/list" => listed("tools"),
            "prompts/list" => listed("prompts"),
            "resources/list" => listed("resources"),
            "resources/templates/list" => listed("resourceTemplates"),
            method => {
                self.0.asked.lock().push(message.clone());
                match method {
                    "tools/call" => json!({"content": [], "structuredContent": message["params"]}),
                    "prompts/get" => json!({"messages": []}),
                    "resources/read" => json!({"contents": []}),
                    "completion/complete" => json!({"completion": {"values": ["x"]}}),
                    _ => json!({}),
                }
            }
        };
        Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
    }
}

impl Dial for Server {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        let (writer, stdin) = duplex(1 << 16);
        let (stdout, reader) = duplex(1 << 16);
        tokio::spawn(live(self.clone(), stdin, stdout));
        std::future::ready(Ok(Dialed::piped(reader, writer))).boxed()
    }

    fn transport(&self) -> &'static str {
        "memory"
    }
}

async fn live(server: Server, stdin: DuplexStream, mut stdout: DuplexStream) {
    let mut lines = BufReader::new(stdin).lines();
    let (tell, mut told) = mpsc::channel(16);
    server.0.lives.lock().push(tell);
    loop {
        let reply = tokio::select! {
            Ok(Some(line)) = lines.next_line() => {
                let message: Value = serde_json::from_str(&line).expect("a message is one line");
                server.reply(&message)
            }
            Some(message) = told.recv() => Some(message),
            else => return,
        };
        let Some(reply) = reply else { continue };
        if stdout.write_all(format!("{reply}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}
