//! A server in memory that greets and lists by itself; what else it hears waits for the test. A tool whose name begins with
//! `ro_` says that it changes nothing.
//!
//! Each dial begins a life of its own, numbered from 0. A tool named `echo` is answered with its arguments at once.
//! One named `state` is answered at once with a request for its client's roots and a state to bring back, and when it is
//! brought back, with that.

use futures::FutureExt;
use futures::future::BoxFuture;
use mcp_braid::upstream::dial::{Dial, Dialed};
use mcp_braid::wire::fault::Fault;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

/// One server over all its lives.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Inner>);

#[derive(Default)]
struct Inner {
    tools: Mutex<Vec<String>>,
    lives: Mutex<Vec<mpsc::Sender<Value>>>,
    heard: Mutex<VecDeque<Heard>>,
    bell: Notify,
    /// It does without a handshake.
    is_modern: AtomicBool,
    /// Greetings wait for the test as well.
    is_reserved: AtomicBool,
}

/// A message, and which life heard it.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) life: usize,
    pub(crate) message: Value,
}

impl Server {
    pub(crate) fn new(tools: &[&str]) -> Self {
        let server = Self::default();
        server.offer(tools);
        server
    }

    /// One that does without a handshake.
    pub(crate) fn modern(tools: &[&str]) -> Self {
        let server = Self::new(tools);
        server.0.is_modern.store(true, Ordering::Release);
        server
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.0.is_modern.load(Ordering::Acquire)
    }

    /// Whether greetings wait for the test from now on.
    pub(crate) fn reserves_greetings(&self, reserved: bool) {
        self.0.is_reserved.store(reserved, Ordering::Release);
    }

    /// What it lists from now on.
    pub(crate) fn offer(&self, tools: &[&str]) {
        *self.0.tools.lock() = tools.iter().map(|&tool| tool.to_owned()).collect();
    }

    /// The next message that is the test's to answer.
    pub(crate) async fn hear(&self) -> Heard {
        let heard = async {
            loop {
                let bell = self.0.bell.notified();
                if let Some(heard) = self.0.heard.lock().pop_front() {
                    return heard;
                }
                bell.await;
            }
        };
        timeout(PATIENCE, heard).await.expect("the server hears something")
    }

    /// The same; it must be this request or notification.
    pub(crate) async fn hear_method(&self, method: &str) -> Heard {
        let heard = self.hear().await;
        assert_eq!(heard.message["method"], method, "{}", heard.message);
        heard
    }

    /// Everything has happened that can, and nothing is heard.
    pub(crate) async fn is_silent(&self) {
        super::house::settled().await;
        let heard = self.0.heard.lock();
        assert!(heard.is_empty(), "{heard:?}");
    }

    pub(crate) fn lives(&self) -> usize {
        self.0.lives.lock().len()
    }

    /// Lives that are not over.
    pub(crate) fn living(&self) -> usize {
        self.0.lives.lock().iter().filter(|life| !life.is_closed()).count()
    }

    pub(crate) async fn say(&self, life: usize, message: Value) {
        let lines = self.0.lives.lock()[life].clone();
        lines.send(message).await.expect("it lives");
    }

    pub(crate) async fn answer(&self, to: &Heard, result: Value) {
        self.say(to.life, json!({"jsonrpc": "2.0", "id": to.message["id"], "result": result})).await;
    }

    /// Progress of a call, by the token that the server was given.
    pub(crate) async fn progress(&self, of: &Heard, done: u64) {
        let token = &of.message["params"]["_meta"]["progressToken"];
        assert!(!token.is_null(), "no token: {}", of.message);
        let params = json!({"progressToken": token, "progress": done});
        self.say(of.life, json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))
            .await;
    }

    pub(crate) async fn log(&self, life: usize, data: &str) {
        let params = json!({"level": "error", "data": data});
        self.say(life, json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params})).await;
    }

    /// Asks for a form.
    pub(crate) async fn ask(&self, life: usize, id: u64) {
        let params = json!({"message": "?", "requestedSchema": {"type": "object", "properties": {}}});
        self.say(life, json!({"jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": params}))
            .await;
    }

    /// Whether it answered by itself.
    fn reply(&self, message: &Value) -> Option<Value> {
        let result = match message["method"].as_str()? {
            "server/discover" if self.is_modern() => {
                json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
            }
            "initialize" if self.0.is_reserved.load(Ordering::Acquire) => return None,
            "initialize" => json!({"protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {"listChanged": true}, "logging": {}},
                "serverInfo": {"name": "memory", "version": "1"}}),
            "notifications/initialized" => return Some(Value::Null),
            "ping" => json!({}),
            "tools/list" => {
                let tools = self.0.tools.lock();
                let tool = |name: &String| {
                    let mut tool = json!({"name": name, "inputSchema": schema(name)});
                    if name.starts_with("ro_") {
                        tool["annotations"] = json!({"readOnlyHint": true});
                    }
                    tool
                };
                json!({"tools": tools.iter().map(tool).collect::<Vec<_>>()})
            }
            "tools/call" if message["params"]["name"] == "echo" => {
                json!({"content": [], "structuredContent": message["params"]["arguments"]})
            }
            "tools/call" if message["params"]["name"] == "state" => {
                match message["params"].get("requestState") {
                    Some(state) => json!({"content": [], "structuredContent": {"state": state}}),
                    None => {
                        json!({"resultType": "input_required", "requestState": message["params"]["arguments"]["state"],
                        "inputRequests": {"r": {"method": "roots/list"}}})
                    }
                }
            }
            _ => return None,
        };
        Some(json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
    }
}

impl Dial for Server {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        let (writer, stdin) = duplex(1 << 16);
        let (stdout, reader) = duplex(1 << 16);
        let (says, said) = mpsc::channel(64);
        let life = {
            let mut lives = self.0.lives.lock();
            lives.push(says);
            lives.len() - 1
        };
        tokio::spawn(live(self.clone(), life, stdin, stdout, said));
        std::future::ready(Ok(Dialed::piped(reader, writer))).boxed()
    }

    fn transport(&self) -> &'static str {
        "memory"
    }
}

async fn live(
    server: Server,
    life: usize,
    stdin: DuplexStream,
    mut stdout: DuplexStream,
    mut said: mpsc::Receiver<Value>,
) {
    let mut lines = BufReader::new(stdin).lines();
    loop {
        let line = tokio::select! {
            biased;
            line = lines.next_line() => match line {
                Ok(Some(line)) => {
                    let message: Value = serde_json::from_str(&line).expect("a message is one line");
                    match server.reply(&message) {
                        Some(Value::Null) => continue,
                        Some(reply) => reply,
                        None => {
                            server.0.heard.lock().push_back(Heard { life, message });
                            server.0.bell.notify_waiters();
                            continue;
                        }
                    }
                }
                Ok(None) | Err(_) => return,
            },
            Some(message) = said.recv() => message,
        };
        if stdout.write_all(format!("{line}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The tool `regional` wants its region in the head of its calls.
fn schema(tool: &str) -> Value {
    match tool {
        "regional" => {
            let region = json!({"type": "string", "x-mcp-header": "Region"});
            json!({"type": "object", "properties": {"region": region}})
        }
        _ => json!({"type": "object"}),
    }
}

/// More than anything takes that is tested.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
