//! Servers in memory that make it easy to see a stray: all of them use the same ids and the same progress values, and
//! whatever they say carries whom it is for.

use super::tally::Tally;
use futures::FutureExt;
use futures::future::BoxFuture;
use mcp_braid::config::Sharing;
use mcp_braid::upstream::dial::{Dial, Dialed};
use mcp_braid::wire::fault::Fault;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// One server over all its links.
#[derive(Clone)]
pub(super) struct Crowded {
    pub(super) sharing: Sharing,
    pub(super) tally: Arc<Tally>,
}

impl Dial for Crowded {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        let (writer, stdin) = duplex(1 << 16);
        let (stdout, reader) = duplex(1 << 16);
        let (says, said) = mpsc::channel(1024);
        tokio::spawn(write(stdout, said));
        let link = Link {
            server: self.clone(),
            says,
            owner: None,
            hanging: HashMap::new(),
            asking: HashMap::new(),
            asks: 0,
        };
        tokio::spawn(link.serve(stdin));
        std::future::ready(Ok(Dialed::piped(reader, writer))).boxed()
    }

    fn transport(&self) -> &'static str {
        "memory"
    }
}

async fn write(mut stdout: DuplexStream, mut said: mpsc::Receiver<Value>) {
    while let Some(message) = said.recv().await {
        if stdout.write_all(format!("{message}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// One link of a server.
struct Link {
    server: Crowded,
    says: mpsc::Sender<Value>,
    /// Whose it is, on a server of which each session has its own.
    owner: Option<Value>,
    /// Calls that only a cancel ends, by our ids: their nonces.
    hanging: HashMap<u64, u64>,
    /// Calls that wait for a person, by the ids of the asks: their own ids and arguments.
    asking: HashMap<u64, (u64, Value)>,
    asks: u64,
}

impl Link {
    async fn serve(mut self, stdin: DuplexStream) {
        let mut lines = BufReader::new(stdin).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let message: Value = serde_json::from_str(&line).unwrap();
            self.hear(message).await;
        }
        if !self.hanging.is_empty() || !self.asking.is_empty() {
            self.server.tally.stray(format!("left: {:?} {:?}", self.hanging, self.asking));
        }
    }

    async fn hear(&mut self, mut message: Value) {
        let id = message["id"].as_u64();
        match (message["method"].as_str(), id) {
            (Some("initialize"), Some(id)) => {
                let result = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "logging": {}},
                    "serverInfo": {"name": "crowded", "version": "1"}});
                self.answer(id, result).await;
            }
            (Some("tools/list"), Some(id)) => {
                let tools =
                    ["echo", "progress", "hang", "ask"].map(|name| json!({"name": name, "inputSchema": {}}));
                self.answer(id, json!({"tools": tools})).await;
            }
            (Some("tools/call"), Some(id)) => self.call(id, message["params"].take()).await,
            (Some("notifications/cancelled"), None) => self.cancel(&message["params"]["requestId"]).await,
            (Some("notifications/initialized"), None) => {}
            (None, Some(id)) => self.answered(id, &message).await,
            (Some(_) | None, _) => self.server.tally.stray(format!("a server heard {message}")),
        }
    }

    async fn call(&mut self, id: u64, mut params: Value) {
        let arguments = params["arguments"].take();
        if self.server.sharing == Sharing::Session {
            let owner = self.owner.get_or_insert_with(|| arguments["who"].clone());
            if *owner != arguments["who"] {
                self.server.tally.stray(format!("a call of {arguments} at the server of {owner}"));
            }
        }
        let nonce = arguments["nonce"].as_u64().unwrap();
        let progress = |done: u64| {
            let params = json!({"progressToken": params["_meta"]["progressToken"], "progress": done,
                "message": nonce.to_string()});
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        };
        match params["name"].as_str().unwrap() {
            // Some take a moment, so that answers come in another order than calls.
            "echo" if nonce.is_multiple_of(4) => {
                let (says, said) = (self.says.clone(), result(id, arguments));
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(nonce / 4 % 8)).await;
                    says.send(said).await.ok();
                });
            }
            "echo" => self.answer(id, arguments).await,
            "progress" => {
                for done in 1..=2 {
                    self.say(progress(done)).await;
                }
                self.answer(id, arguments).await;
            }
            "hang" => {
                self.hanging.insert(id, nonce);
                self.say(progress(1)).await;
            }
            "ask" => {
                self.asks += 1;
                let log = json!({"level": "error", "data": arguments["who"]});
                self.say(json!({"jsonrpc": "2.0", "method": "notifications/message", "params": log})).await;
                let ask = json!({"message": arguments.to_string(),
                    "requestedSchema": {"type": "object", "properties": {}}});
                self.asking.insert(self.asks, (id, arguments));
                self.say(
                    json!({"jsonrpc": "2.0", "id": self.asks, "method": "elicitation/create", "params": ask}),
                )
                .await;
            }
            other => self.server.tally.stray(format!("no such tool: {other}")),
        }
    }

    /// A cancelled call is answered all the same: nobody may hear of it.
    async fn cancel(&mut self, id: &Value) {
        let now = Instant::now();
        match id.as_u64().and_then(|id| Some((id, self.hanging.remove(&id)?))) {
            Some((id, nonce)) => {
                self.server.tally.cancelled.lock().push((nonce, now));
                self.answer(id, json!({"nonce": "late"})).await;
            }
            None => self.server.tally.stray(format!("a cancel of {id}, which does not hang")),
        }
    }

    async fn answered(&mut self, ask: u64, message: &Value) {
        let Some((call, arguments)) = self.asking.remove(&ask) else {
            return self.server.tally.stray(format!("an answer to nothing asked: {message}"));
        };
        if message["result"]["content"] == arguments {
            self.server.tally.answered_asks.fetch_add(1, Ordering::Relaxed);
        } else {
            self.server.tally.stray(format!("another's answer to {arguments}: {message}"));
        }
        self.answer(call, arguments).await;
    }

    async fn answer(&self, id: u64, content: Value) {
        self.say(result(id, content)).await;
    }

    async fn say(&self, message: Value) {
        // A link that ends has nobody to say it to.
        self.says.send(message).await.ok();
    }
}

/// The greeting and the lists are their own result; whatever a call says stands in one place of it.
fn result(id: u64, content: Value) -> Value {
    let is_call = content.get("nonce").is_some();
    let result = if is_call { json!({"content": [], "structuredContent": content}) } else { content };
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}
