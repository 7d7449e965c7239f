//! Many clients at once, on as many threads as there are: whatever a server asks and tells reaches its own client.
//!
//! Servers and clients live in memory and are written to catch a stray: every server uses the same ids, every question
//! and every log line names whose it is, and every answer says who gave it. Each client answers twice.
#![expect(clippy::disallowed_types, reason = "the parties of a test make their own messages")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use mcp_braid::config::{Command, Config, Protocol, Reach, ServerConfig, Sharing};
use mcp_braid::downstream::door::{Door, Heard};
use mcp_braid::hub::Hub;
use mcp_braid::mcp::caller::{Caller, ClientId, Principal};
use mcp_braid::upstream::dial::{Dial, Dialed};
use mcp_braid::upstream::process::Pace;
use mcp_braid::wire::fault::Fault;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

const CLIENTS: u64 = 8;
const SERVERS: usize = 4;
/// Calls that a client has open at once.
const WINDOW: usize = 16;

/// Dials a server that asks back before it answers, and counts the answers.
#[derive(Clone)]
struct Asking {
    sharing: Sharing,
    answered: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Asking {
    fn new(sharing: Sharing) -> Self {
        Self { sharing, answered: Arc::default(), refused: Arc::default() }
    }
}

impl Dial for Asking {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        let (writer, stdin) = duplex(1 << 16);
        let (stdout, reader) = duplex(1 << 16);
        tokio::spawn(serve(stdin, stdout, self.clone()));
        let dialed = Dialed::piped(reader, writer);
        std::future::ready(Ok(dialed)).boxed()
    }

    fn transport(&self) -> &'static str {
        "memory"
    }
}

async fn serve(stdin: DuplexStream, mut stdout: DuplexStream, asking: Asking) {
    let mut lines = BufReader::new(stdin).lines();
    // Whose this server is, and by the ask: the call that waits for it, and its number.
    let (mut owner, mut waiting, mut next) = (None, HashMap::new(), 0_u64);
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Value = serde_json::from_str(&line).unwrap();
        let said = match message["method"].as_str() {
            Some("initialize") => json!({"jsonrpc": "2.0", "id": message["id"], "result": {
                "protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "logging": {}},
                "serverInfo": {"name": "asking", "version": "1"}}}),
            Some("tools/list") => json!({"jsonrpc": "2.0", "id": message["id"],
                "result": {"tools": [{"name": "t", "inputSchema": {}}]}}),
            Some("tools/call") => {
                let arguments = &message["params"]["arguments"];
                if asking.sharing == Sharing::Session {
                    assert_eq!(
                        owner.get_or_insert_with(|| arguments["who"].clone()),
                        &arguments["who"],
                        "a stranger"
                    );
                }
                next += 1;
                waiting.insert(next, (message["id"].clone(), arguments.clone()));
                let ask = json!({"jsonrpc": "2.0", "id": next, "method": "elicitation/create", "params": {
                    "message": arguments.to_string(), "requestedSchema": {"type": "object", "properties": {}}}});
                if asking.sharing == Sharing::Session {
                    let log = json!({"jsonrpc": "2.0", "method": "notifications/message",
                        "params": {"level": "info", "data": arguments["who"]}});
                    stdout.write_all(format!("{log}\n").as_bytes()).await.unwrap();
                }
                ask
            }
            Some(_) => continue,
            None => {
                let id = message["id"].as_u64().unwrap();
                let (call, arguments) = waiting.remove(&id).expect("no second answer reaches a server");
                // Never guessed: either the right client was asked, or none.
                if message["error"]["code"] == json!(-32602) && asking.sharing == Sharing::Shared {
                    asking.refused.fetch_add(1, Ordering::Relaxed);
                } else {
                    assert_eq!(message["result"]["content"], arguments, "another's answer");
                    asking.answered.fetch_add(1, Ordering::Relaxed);
                }
                json!({"jsonrpc": "2.0", "id": call, "result": {"content": [], "structuredContent": arguments}})
            }
        };
        if stdout.write_all(format!("{said}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// One client that makes `calls` at every server and answers what it is asked.
async fn client(hub: Arc<Hub>, number: u64, calls: usize) {
    let caller = Caller {
        principal: Principal::local(),
        scopes: Default::default(),
        client: ClientId(number),
        alone: false,
        guest_of: None,
    };
    let seat = hub.seat(caller, &hub.entrance_all());
    assert!(seat.open().is_empty());
    let (inbox, chunks) = mpsc::channel(1024);
    let (lines, mut outbox) = mpsc::channel(64);
    let door = tokio::spawn(Door::new(seat, lines, "", false).serve(chunks));
    let say =
        async |message: Value| inbox.send(Heard::Text(format!("{message}").into(), None)).await.unwrap();
    say(json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {"protocolVersion": "2025-11-25",
        "capabilities": {"elicitation": {}}, "clientInfo": {"name": "c", "version": "1"}}}))
    .await;
    let (mut sent, mut done) = (0, 0);
    let who = json!(format!("c{number}"));
    let call = |at: usize| {
        json!({"jsonrpc": "2.0", "id": at, "method": "tools/call", "params": {"name": format!("s{}__t", at % SERVERS),
            "arguments": {"who": who, "nonce": at}}})
    };
    while done < calls * SERVERS {
        let line = outbox.recv().await.expect("the door is open");
        let message: Value = serde_json::from_str(std::str::from_utf8(&line).unwrap()).unwrap();
        match message["method"].as_str() {
            Some("elicitation/create") => {
                let (server, said) = message["params"]["message"].as_str().unwrap().split_once("] ").unwrap();
                let arguments: Value = serde_json::from_str(said).unwrap();
                assert_eq!(arguments["who"], who, "another's question");
                let at = arguments["nonce"].as_u64().unwrap() as usize;
                assert_eq!(server, format!("[s{}", at % SERVERS));
                let answer = json!({"jsonrpc": "2.0", "id": message["id"],
                    "result": {"action": "accept", "content": arguments}});
                say(answer.clone()).await;
                say(answer).await;
            }
            Some("notifications/message") => assert_eq!(message["params"]["data"], who, "another's log"),
            Some(other) => panic!("{other} is not for a client"),
            None if message["id"] == json!("hello") => {
                say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
                for at in 0..WINDOW.min(calls * SERVERS) {
                    say(call(at)).await;
                    sent += 1;
                }
            }
            None => {
                let given = &message["result"]["structuredContent"];
                assert_eq!((&given["who"], &given["nonce"]), (&who, &message["id"]), "{message}");
                done += 1;
                if sent < calls * SERVERS {
                    say(call(sent)).await;
                    sent += 1;
                }
            }
        }
    }
    drop(inbox);
    door.await.unwrap();
}

/// Lets the crowd in, `BRAID_TEST_ASKS` for more than a thousand questions per client, and returns how many there were.
async fn crowd(asking: &Asking) -> usize {
    let asks = std::env::var("BRAID_TEST_ASKS").ok().and_then(|asks| asks.parse().ok()).unwrap_or(8_000);
    let calls = asks / (CLIENTS as usize * SERVERS);
    let hub = hub(None, asking);
    let clients = (1..=CLIENTS).map(|number| tokio::spawn(client(hub.clone(), number, calls)));
    let all = tokio::time::timeout(Duration::from_secs(600), join_all(clients)).await;
    all.expect("nobody waits for ever").into_iter().for_each(|client| client.unwrap());
    hub.stop(Pace::NOW, Duration::from_secs(5)).await;
    calls * SERVERS * CLIENTS as usize
}

/// A hub with servers that ask.
fn hub(links_max: Option<usize>, asking: &Asking) -> Arc<Hub> {
    let mut config = Config::new("a crowd", Path::new("/"));
    config.limits.links_max = links_max.unwrap_or(config.limits.links_max);
    config.servers = (0..SERVERS)
        .map(|at| {
            let reach = Reach::Stdio(Command::new("asking", Path::new("/")));
            ServerConfig {
                sharing: asking.sharing,
                protocol: Protocol::Handshake,
                ..ServerConfig::new(&format!("s{at}"), reach)
            }
        })
        .collect();
    let dials = (0..SERVERS).map(|_| -> Arc<dyn Dial> { Arc::new(asking.clone()) });
    Hub::new(Arc::new(config), dials.collect(), "", TaskTracker::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r14_every_question_reaches_its_own_client_and_every_answer_its_server() {
    let asking = Asking::new(Sharing::Session);
    assert_eq!(crowd(&asking).await, asking.answered.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shared_server_asks_whom_it_means_or_nobody() {
    let asking = Asking::new(Sharing::Shared);
    let asks = crowd(&asking).await;
    let (answered, refused) =
        (asking.answered.load(Ordering::Relaxed), asking.refused.load(Ordering::Relaxed));
    assert_eq!(asks, answered + refused);
    assert!(refused > 0, "the clients were never there at once");
}

#[tokio::test(start_paused = true)]
async fn a_link_over_the_bound_is_refused_and_one_that_ended_makes_room() {
    let hub = hub(Some(2), &Asking::new(Sharing::Session));
    let caller = |number| Caller {
        principal: Principal::local(),
        scopes: Default::default(),
        client: ClientId(number),
        alone: false,
        guest_of: None,
    };
    let seat = |number| hub.seat(caller(number), &hub.entrance_all());
    let (first, second, third) = (seat(1), seat(2), seat(3));
    assert!(first.open().is_empty() && second.open().is_empty());
    let refused = third.open();
    assert_eq!(refused.len(), SERVERS);
    assert!(
        refused
            .iter()
            .all(|fault| fault.code == 1003 && fault.text.ends_with("too many links (limits.links)"))
    );
    // Nothing is awaited for who has nothing.
    assert!(third.view().is_settled());
    drop(first);
    // More than a link takes to end.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(third.open().is_empty());
    drop((second, third));
    hub.stop(Pace::NOW, Duration::from_secs(5)).await;
}
