//! Calls that wait for one person, thousands of them: each runs once, none holds up the others, and what nobody comes back for
//! is cancelled.

use futures::FutureExt;
use futures::future::BoxFuture;
use mcp_braid::config::{Command, Config, Protocol, Reach, ServerConfig};
use mcp_braid::downstream::door::{Door, Heard};
use mcp_braid::downstream::modern::lobby::Lobby;
use mcp_braid::hub::Hub;
use mcp_braid::mcp::caller::{Caller, ClientId, Principal};
use mcp_braid::upstream::dial::{Dial, Dialed};
use mcp_braid::upstream::process::Pace;
use mcp_braid::wire::fault::Fault;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

const SERVERS: usize = 4;
/// `BRAID_TEST_PARKED` for more.
const CALLS: usize = 1_000;

/// Dials a server that asks back before it answers, and counts.
#[derive(Clone, Default)]
struct Asking {
    ran: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    cancelled: Arc<AtomicUsize>,
}

impl Dial for Asking {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        let (writer, stdin) = duplex(1 << 20);
        let (stdout, reader) = duplex(1 << 20);
        tokio::spawn(serve(stdin, stdout, self.clone()));
        std::future::ready(Ok(Dialed::piped(reader, writer))).boxed()
    }

    fn transport(&self) -> &'static str {
        "memory"
    }
}

async fn serve(stdin: DuplexStream, mut stdout: DuplexStream, asking: Asking) {
    let mut lines = BufReader::new(stdin).lines();
    let mut seen = HashSet::new();
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Value = serde_json::from_str(&line).unwrap();
        let id = &message["id"];
        let said = match message["method"].as_str() {
            Some("initialize") => json!({"jsonrpc": "2.0", "id": id, "result": {
                "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                "serverInfo": {"name": "asking", "version": "1"}}}),
            Some("tools/list") => json!({"jsonrpc": "2.0", "id": id,
                "result": {"tools": [{"name": "t", "inputSchema": {}}]}}),
            Some("tools/call") => {
                asking.ran.fetch_add(1, Ordering::Relaxed);
                assert!(
                    seen.insert(message["params"]["arguments"]["n"].to_string()),
                    "it runs twice: {message}"
                );
                json!({"jsonrpc": "2.0", "id": format!("ask {id}"), "method": "elicitation/create",
                    "params": {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}})
            }
            Some("notifications/cancelled") => {
                asking.cancelled.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            Some(_) => continue,
            None if message["error"].is_object() => {
                asking.refused.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            None => {
                asking.answered.fetch_add(1, Ordering::Relaxed);
                let call = id.as_str().unwrap().strip_prefix("ask ").unwrap();
                let call: Value = serde_json::from_str(call).unwrap();
                json!({"jsonrpc": "2.0", "id": call, "result": {"content": [], "n": message["result"]["content"]["n"]}})
            }
        };
        if stdout.write_all(format!("{said}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A client of 2026-07-28 over stdin.
struct Client {
    inbox: mpsc::Sender<Heard>,
    outbox: mpsc::Receiver<bytes::Bytes>,
}

impl Client {
    async fn call(&mut self, id: usize, n: usize, more: Value) -> Value {
        let mut params = json!({"name": format!("s{}__t", n % SERVERS), "arguments": {"n": n}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        self.inbox.send(Heard::Text(call.to_string().into(), None)).await.unwrap();
        let line = self.outbox.recv().await.expect("the door is open");
        let answer: Value = serde_json::from_str(std::str::from_utf8(&line).unwrap()).unwrap();
        assert_eq!(answer["id"], id);
        answer
    }
}

#[tokio::test(start_paused = true)]
async fn r07_calls_that_wait_are_many_and_none_runs_twice() {
    let calls = std::env::var("BRAID_TEST_PARKED").ok().and_then(|calls| calls.parse().ok()).unwrap_or(CALLS);
    let asking = Asking::default();
    let mut config = Config::new("a crowd", Path::new("/"));
    let reach = || Reach::Stdio(Command::new("asking", Path::new("/")));
    config.servers = (0..SERVERS)
        .map(|at| ServerConfig {
            protocol: Protocol::Handshake,
            ..ServerConfig::new(&format!("s{at}"), reach())
        })
        .collect();
    let dials = (0..SERVERS).map(|_| -> Arc<dyn Dial> { Arc::new(asking.clone()) });
    let hub = Hub::new(Arc::new(config), dials.collect(), "", TaskTracker::new());
    let caller = Caller {
        principal: Principal::local(),
        scopes: Default::default(),
        client: ClientId(1),
        alone: true,
        guest_of: None,
    };
    let seat = hub.seat(caller, &hub.entrance_all());
    let (inbox, chunks) = mpsc::channel(64);
    let (lines, outbox) = mpsc::channel(64);
    let lobby = Lobby::new(hub.clone(), "", false, hub.stopping());
    let door = tokio::spawn(Door::new(seat, lines, "", false).for_any_era(lobby).serve(chunks));
    let mut client = Client { inbox, outbox };
    let mut handles = Vec::new();
    for n in 0..calls {
        let answer = client.call(n, n, json!({})).await;
        assert_eq!(answer["result"]["resultType"], "input_required", "{answer}");
        handles.push(answer["result"]["requestState"].as_str().unwrap().to_owned());
    }
    assert_eq!((hub.parked(), hub.in_flight()), (calls, 0), "they hold no turn");
    // Half of them are come back for, in any order, and once more.
    let mut back = 0;
    for n in (0..calls).rev().step_by(2) {
        let more = json!({"requestState": handles[n],
            "inputResponses": {"ask-1": {"action": "accept", "content": {"n": n}}}});
        let answer = client.call(calls + n, n, more.clone()).await;
        assert_eq!(answer["result"]["n"], n, "its own answer");
        let again = client.call(calls + n, n, more).await;
        assert_eq!(again["error"]["code"], -32602, "it works once");
        back += 1;
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    assert_eq!((count(&asking.ran), count(&asking.answered), hub.parked()), (calls, back, calls - back));
    // Nobody comes for the others.
    tokio::time::sleep(Duration::from_secs(601)).await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(hub.parked(), 0);
    assert_eq!((count(&asking.refused), count(&asking.cancelled)), (calls - back, calls - back));
    assert_eq!(count(&asking.ran), calls);
    drop(client);
    door.await.unwrap();
    hub.stop(Pace::NOW, Duration::from_secs(5)).await;
}
