//! A hub with one far server, and its clients.

use super::far::{Events, Far};
use bytes::Bytes;
use mcp_braid::config::{Config, Protocol, Reach, Remote, Secret, ServerConfig, Sharing, Transport};
use mcp_braid::downstream::door::{Closed, Door, Heard};
use mcp_braid::hub::Hub;
use mcp_braid::mcp::caller::{Caller, ClientId, Principal};
use mcp_braid::upstream::dial::Dial;
use mcp_braid::upstream::environment::Cookie;
use mcp_braid::upstream::guardian::Guardian;
use mcp_braid::upstream::http::HttpDial;
use mcp_braid::upstream::link::State;
use mcp_braid::upstream::process::{Nursery, Pace};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// The hub.
pub(super) struct Stage {
    pub(super) hub: Arc<Hub>,
    tracker: TaskTracker,
    clients: u64,
}

/// One client at its door.
pub(super) struct Client {
    pub(super) caller: Caller,
    inbox: mpsc::Sender<Heard>,
    outbox: mpsc::Receiver<Bytes>,
    heard: VecDeque<Value>,
    _door: JoinHandle<Closed>,
}

impl Stage {
    /// A hub before this server, each client with a link of its own.
    pub(super) fn before(far: &Far) -> Self {
        Self::with(far, |_| {})
    }

    pub(super) fn with(far: &Far, change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::of(far, change, |_| {})
    }

    /// The same, with so many bytes for a message of the server's.
    pub(super) fn limited(far: &Far, bytes_max: usize) -> Self {
        Self::of(far, |_| {}, |config| config.limits.server_message_bytes_max = bytes_max)
    }

    /// The same, with so many bytes for all that waits in memory.
    pub(super) fn buffering(far: &Far, bytes_max: usize) -> Self {
        Self::of(far, |_| {}, |config| config.limits.buffered_bytes_max = bytes_max)
    }

    /// The same, with so many bytes that wait to be written to the server.
    pub(super) fn narrow(far: &Far, bytes_max: usize) -> Self {
        Self::of(far, |_| {}, |config| config.limits.link_bytes_max = bytes_max)
    }

    fn of(far: &Far, change: impl FnOnce(&mut ServerConfig), configure: impl FnOnce(&mut Config)) -> Self {
        let remote = Remote {
            url: far.url.clone(),
            is_referred: false,
            transport: Transport::Http,
            headers: vec![("x-key".to_owned(), Secret::new("s3cret"))],
            headers_command: None,
            ca_file: None,
            oauth: None,
        };
        let mut server = ServerConfig::new("far", Reach::Http(remote));
        server.sharing = Sharing::Session;
        server.protocol = Protocol::Handshake;
        // A pause is random: in a test that looks at what is down it must not be over already.
        (server.backoff.min, server.backoff.max) = (PAUSE, PAUSE);
        change(&mut server);
        let Reach::Http(remote) = server.reach.clone() else { panic!("a URL") };
        let dial = HttpDial::new("far", remote, unguarded());
        let dial = match far.fetch() {
            Some(fetch) => dial.over(fetch),
            None => dial,
        };
        let mut config = Config::new("test", Path::new("/"));
        config.servers.push(server);
        configure(&mut config);
        let tracker = TaskTracker::new();
        let dials: Vec<Arc<dyn Dial>> = vec![Arc::new(dial)];
        let hub = Hub::new(Arc::new(config), dials, "hop", tracker.clone());
        Self { hub, tracker, clients: 0 }
    }

    /// A client that has said what it can, and greeted.
    pub(super) async fn client(&mut self, revision: &str, capabilities: Value) -> Client {
        self.clients += 1;
        let caller = Caller {
            principal: Principal::local(),
            scopes: Default::default(),
            client: ClientId(self.clients),
            alone: false,
            guest_of: None,
        };
        let seat = self.hub.seat(caller.clone(), &self.hub.entrance_all());
        assert!(seat.open().is_empty());
        let (inbox, chunks) = mpsc::channel(1024);
        let (lines, outbox) = mpsc::channel(1024);
        let door = tokio::spawn(Door::new(seat, lines, "", false).serve(chunks));
        let mut client = Client { caller, inbox, outbox, heard: VecDeque::new(), _door: door };
        client
            .say(json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {
                "protocolVersion": revision, "capabilities": capabilities,
                "clientInfo": {"name": "c", "version": "1"}}}))
            .await;
        client.answer(&json!("hello")).await;
        client.say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        client
    }

    /// The same, with the server having greeted back, listed one tool `t` and kept a stream open beside.
    pub(super) async fn ready(&mut self, far: &mut Far) -> (Client, Events) {
        let client = self.client("2025-11-25", json!({"sampling": {}, "elicitation": {}})).await;
        let events = greets(far, "2025-11-25", Some("s-1")).await;
        (client, events)
    }

    /// What `check` would say of the server.
    pub(super) fn down(&self, client: &Client) -> Option<String> {
        match self.hub.reports(&client.caller, &self.hub.entrance_all()).remove(0).state {
            State::Down { why, .. } => Some(why.text),
            State::Connecting | State::Ready(_) => None,
        }
    }

    pub(super) fn transport(&self) -> &'static str {
        self.hub.edition().servers()[0].transport()
    }

    /// Leaves, and claims that nothing is left running.
    pub(super) async fn close(self) {
        self.hub.stop(Pace::NOW, Duration::from_secs(10)).await;
        assert!(self.tracker.is_empty(), "tasks are left");
    }
}

/// A run without a guardian: what ends as it should needs none.
fn unguarded() -> Nursery {
    let cookie = Arc::new(Cookie::new("1d").unwrap());
    let guardian = Arc::new(Guardian::new(&cookie, None));
    Nursery::new(cookie, guardian, TaskTracker::new())
}

/// The server's side of a handshake: a session, one tool, a log, and a stream beside the answers.
pub(super) async fn greets(far: &mut Far, revision: &str, session: Option<&str>) -> Events {
    far.post("initialize").await.greet(revision, session);
    far.post("notifications/initialized").await.accepted();
    let events = far.get().await.events();
    far.post("tools/list").await.lists();
    events
}

impl super::far::Seen {
    /// Answers `initialize`.
    pub(super) fn greet(self, revision: &str, session: Option<&str>) {
        let id = self.id();
        let body = greeting(&id, revision).to_string();
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(session.map(|session| ("Mcp-Session-Id", session)));
        self.answer(200, &headers, &body);
    }

    /// Answers `tools/list` with the tool `t`.
    pub(super) fn lists(self) {
        self.result(tools());
    }
}

pub(super) fn tools() -> Value {
    json!({"tools": [{"name": "t", "inputSchema": {"type": "object"}}]})
}

pub(super) fn greeting(id: &Value, revision: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": revision,
        "capabilities": {"tools": {}, "logging": {}}, "serverInfo": {"name": "far", "version": "1"}}})
}

pub(super) fn result(id: &Value, text: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": text}]}})
}

impl Client {
    pub(super) async fn say(&self, message: Value) {
        self.inbox.send(Heard::Text(message.to_string().into(), None)).await.unwrap();
    }

    /// Calls the tool `t` under this id.
    pub(super) async fn call(&self, id: Value) {
        self.say(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "far__t",
            "arguments": {}, "_meta": {"progressToken": id}}}))
            .await;
    }

    /// The first message that is so; what came before it stays.
    pub(super) async fn hear(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.heard.iter().position(&is) {
            return self.heard.remove(at).unwrap();
        }
        loop {
            let Ok(Some(line)) = timeout(WAIT_MAX, self.outbox.recv()).await else {
                panic!("{what} did not come, but {:#?}", self.heard);
            };
            let message: Value = serde_json::from_str(std::str::from_utf8(&line).unwrap()).unwrap();
            if is(&message) {
                return message;
            }
            self.heard.push_back(message);
        }
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Value {
        self.hear("a message", |_| true).await
    }

    pub(super) async fn answer(&mut self, id: &Value) -> Value {
        let is = |message: &Value| message["method"].is_null() && message["id"] == *id;
        self.hear(&format!("the answer to {id}"), is).await
    }

    pub(super) async fn method(&mut self, method: &str) -> Value {
        self.hear(method, |message| message["method"] == method).await
    }

    /// The text of an error of ours, its reason and what became of the call.
    pub(super) async fn fault(&mut self, id: &Value) -> (String, String, String) {
        let answer = self.answer(id).await;
        let error = &answer["error"];
        assert_eq!(error["data"]["source"], "braid", "{answer}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&error["message"]), text(&error["data"]["reason"]), text(&error["data"]["outcome"]))
    }

    /// Everything that is there by now and was not asked for.
    pub(super) fn left(&mut self) -> Vec<Value> {
        while let Ok(line) = self.outbox.try_recv() {
            self.heard.push_back(serde_json::from_str(std::str::from_utf8(&line).unwrap()).unwrap());
        }
        self.heard.iter().cloned().collect()
    }
}

const PAUSE: Duration = Duration::from_secs(3600);
const WAIT_MAX: Duration = Duration::from_secs(4000);
