//! One request again and again, from the client's bytes to those of its answer, in memory and on one thread.
//!
//! What the client says is written before the first of it is needed, and the server keeps nothing: what is counted
//! while a course is run, instructions or allocations, is Braid's.

use std::sync::Arc;
use std::vec::IntoIter;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use mcp_braid::downstream::door::{Door, Heard};
use mcp_braid::downstream::edge::alarm::Alarm;
use mcp_braid::downstream::http::endpoint::{Front, Gate};
use mcp_braid::downstream::modern::lobby::Lobby;
use mcp_braid::hub::Hub;
use mcp_braid::mcp::caller::{Caller, Grant, Principal};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio_util::sync::CancellationToken;

use super::echo::{Echo, Era};

/// What is asked, and by which ways.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) by: By,
    pub(crate) client: Era,
    pub(crate) server: Era,
    pub(crate) asks: Asks,
}

/// How the client comes to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Stdio,
    Http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// A tool, by its prefixed name and with a progress token.
    Call,
    /// The list of so many tools, which was made before.
    List(usize),
}

/// A client that has been greeted, and what it will say.
pub(crate) struct Course {
    texts: IntoIter<Bytes>,
    way: Way,
    /// How long every answer is. Ids are of one length.
    length: Option<usize>,
}

enum Way {
    Lines(mpsc::Sender<Heard>, mpsc::Receiver<Bytes>),
    Posts(Box<Poster>),
}

struct Poster {
    front: Arc<Front>,
    gate: Gate,
    grant: Grant,
    head: HeaderMap,
    alarm: Alarm,
}

impl Course {
    /// Ready for so many requests. On a runtime of one thread, within a `LocalSet`.
    pub(crate) async fn open(plan: Plan, requests: usize) -> Self {
        let tools = match plan.asks {
            Asks::Call => 1,
            Asks::List(tools) => tools,
        };
        let hub = Echo::with(plan.server, tools).hub();
        let way = match plan.by {
            By::Stdio => lines(&hub, plan.client).await,
            By::Http => posts(&hub, plan).await,
        };
        let text: String = (0..requests + 2).map(|number| request(plan, FIRST_ID + number)).collect();
        let text = Bytes::from(text);
        let ends = memchr::memchr_iter(b'\n', &text).map(|end| end + 1);
        let mut texts = Vec::with_capacity(requests + 2);
        ends.fold(0, |start, end| {
            texts.push(text.slice(start..end));
            end
        });
        let mut course = Self { texts: texts.into_iter(), way, length: None };
        // It waits until the server is there, and where that takes long its answer has another form.
        course.ask().await;
        let answer = course.ask().await;
        let is_good = memchr::memmem::find(&answer, br#""tools":[{"#).is_some()
            || memchr::memmem::find(&answer, br#""isError":false"#).is_some();
        assert!(is_good, "{plan:?}: {}", String::from_utf8_lossy(&answer));
        course.length = Some(answer.len());
        course
    }

    /// So many requests to their ends, one after the other.
    pub(crate) async fn run(&mut self, requests: usize) {
        for _ in 0..requests {
            let answer = self.ask().await;
            assert_eq!(Some(answer.len()), self.length, "{}", String::from_utf8_lossy(&answer));
        }
    }

    async fn ask(&mut self) -> Bytes {
        let text = self.texts.next().expect("a text that was written before");
        match &mut self.way {
            Way::Lines(inbox, outbox) => {
                inbox.send(Heard::Chunk(text)).await.expect("a door that is open");
                outbox.recv().await.expect("an answer")
            }
            Way::Posts(poster) => poster.post(text).await.0,
        }
    }
}

impl Poster {
    async fn post(&self, text: Bytes) -> (Bytes, HeaderMap) {
        let mut request = Request::new(Body::from(text));
        *request.method_mut() = Method::POST;
        request.headers_mut().clone_from(&self.head);
        let answered = self.front.handle(&self.gate, self.grant.clone(), request, &self.alarm).await;
        let (head, body) = answered.into_parts();
        assert!(matches!(head.status, StatusCode::OK | StatusCode::ACCEPTED), "{head:?}");
        (to_bytes(Body::new(body), ANSWER_BYTES_MAX).await.expect("a body"), head.headers)
    }
}

/// The client of a door.
async fn lines(hub: &Arc<Hub>, client: Era) -> Way {
    let caller = Caller {
        principal: Principal::local(),
        scopes: Default::default(),
        client: hub.next_client(),
        alone: true,
        guest_of: None,
    };
    let seat = hub.seat(caller, &hub.entrance_all());
    let (inbox, chunks) = mpsc::channel(4);
    let (sender, mut outbox) = mpsc::channel(64);
    let lobby = Lobby::new(hub.clone(), "", false, CancellationToken::new());
    spawn_local(Door::new(seat, sender, "", false).for_any_era(lobby).serve(chunks));
    if client == Era::Handshake {
        for text in [INITIALIZE, INITIALIZED] {
            inbox.send(Heard::Chunk(Bytes::from([text, "\n"].concat()))).await.expect("a door that is open");
        }
        outbox.recv().await.expect("a greeting");
    }
    Way::Lines(inbox, outbox)
}

/// A client that posts.
async fn posts(hub: &Arc<Hub>, plan: Plan) -> Way {
    let principal = Principal::anonymous();
    let front = Front::new(hub.clone(), hub.config().listen.clone(), "", false, principal.clone());
    let grant = Grant::plain(principal);
    let gate = Gate { path: Arc::from("/mcp"), entrance: hub.entrance_all() };
    let mut head = HeaderMap::new();
    let mut say = |name: &'static str, value: &'static str| {
        head.insert(name, HeaderValue::from_static(value));
    };
    say("content-type", "application/json");
    say("accept", "application/json, text/event-stream");
    match plan.client {
        Era::Handshake => say("mcp-protocol-version", "2025-11-25"),
        Era::Stateless => {
            say("mcp-protocol-version", "2026-07-28");
            match plan.asks {
                Asks::Call => {
                    say("mcp-method", "tools/call");
                    say("mcp-name", TOOL);
                }
                Asks::List(_) => say("mcp-method", "tools/list"),
            }
        }
    }
    let mut poster = Poster { front, gate, grant, head, alarm: Alarm::default() };
    if plan.client == Era::Handshake {
        let (_, answered) = poster.post(Bytes::from_static(INITIALIZE.as_bytes())).await;
        let session = answered.get(SESSION).expect("a session").clone();
        poster.head.insert(SESSION, session);
        poster.post(Bytes::from_static(INITIALIZED.as_bytes())).await;
    }
    Way::Posts(Box::new(poster))
}

/// A line.
fn request(plan: Plan, id: usize) -> String {
    let (method, rest) = match plan.asks {
        Asks::Call => ("tools/call", format!(r#""name":"{TOOL}","arguments":{{"path":"src/main.rs"}},"#)),
        Asks::List(_) => ("tools/list", String::new()),
    };
    let stands = match plan.client {
        Era::Handshake => "",
        Era::Stateless => STANDS,
    };
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{rest}"_meta":{{{stands}"progressToken":{id}}}}}}}"#
    ) + "\n"
}

const TOOL: &str = "echo__read_0";
const SESSION: &str = "mcp-session-id";
/// All ids after it have as many digits.
const FIRST_ID: usize = 1_000_000;
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

const STANDS: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"#;
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"bench","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
