//! A hub with servers in memory, and the routes over it: called as a service, without sockets, on the paused clock.

use super::events::Events;
use super::server::Server;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use mcp_braid::config::{Command, Config, Group, Protocol, Reach, ServerConfig, Sharing};
use mcp_braid::downstream::edge::alarm::Alarm;
use mcp_braid::downstream::edge::cors::Cors;
use mcp_braid::downstream::edge::guard::Admitted;
use mcp_braid::downstream::edge::serve::Serve;
use mcp_braid::downstream::edge::source::Peer;
use mcp_braid::downstream::http::endpoint::Front;
use mcp_braid::downstream::http::routes::Routes;
use mcp_braid::hub::Hub;
use mcp_braid::mcp::caller::{Grant, Principal, Scopes};
use mcp_braid::upstream::dial::Dial;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// Everything that serves.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) hub: Arc<Hub>,
    pub(crate) front: Arc<Front>,
    routes: Arc<Routes>,
}

/// One client: who it is, where it comes in, and the session that it has.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) house: House,
    pub(crate) path: &'static str,
    pub(crate) principal: Principal,
    pub(crate) scopes: Scopes,
    pub(crate) session: Option<String>,
    pub(crate) revision: &'static str,
}

/// An answer whose body has not been read.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Body,
}

impl House {
    /// Servers by name, shared or not, and settings of the whole.
    pub(crate) fn new(servers: &[(&str, &Server)], sharing: Sharing, set: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("a house", Path::new("/"));
        let dials = servers.iter().map(|(_, server)| -> Arc<dyn Dial> { Arc::new((*server).clone()) });
        let dials: Vec<_> = dials.collect();
        config.servers = servers
            .iter()
            .map(|(name, server)| {
                let reach = Reach::Stdio(Command::new("memory", Path::new("/")));
                let protocol = if server.is_modern() { Protocol::Auto } else { Protocol::Handshake };
                ServerConfig { sharing, protocol, ..ServerConfig::new(name, reach) }
            })
            .collect();
        set(&mut config);
        Self::over(config, dials)
    }

    /// Over whatever is reached so.
    pub(crate) fn over(config: Config, dials: Vec<Arc<dyn Dial>>) -> Self {
        let listen = config.listen.clone();
        let hub = Hub::new(Arc::new(config), dials, "", TaskTracker::new());
        let front = Front::new(hub.clone(), listen, "a mark", false, Principal::anonymous());
        let routes = Arc::new(Routes::new(front.clone()));
        Self { hub, front, routes }
    }

    /// One server called `s`, shared.
    pub(crate) fn shared(server: &Server) -> Self {
        Self::new(&[("s", server)], Sharing::Shared, |_| {})
    }

    /// One server called `s`, and each client has its own.
    pub(crate) fn own(server: &Server) -> Self {
        Self::new(&[("s", server)], Sharing::Session, |_| {})
    }

    pub(crate) async fn send(&self, who: Principal, request: Request<Body>) -> Reply {
        self.send_as(&Grant::plain(who), request).await
    }

    /// The same of somebody whose token says more.
    pub(crate) async fn send_as(&self, grant: &Grant, request: Request<Body>) -> Reply {
        self.send_until(None, grant, request).await
    }

    /// The same with a token that ends.
    pub(crate) async fn send_until(
        &self,
        ends: Option<Instant>,
        grant: &Grant,
        request: Request<Body>,
    ) -> Reply {
        let Grant { principal, scopes, own_token } = grant.clone();
        let ends = ends.map(Instant::into_std);
        let admitted = Admitted { principal, scopes, ends, own_token, peer: Peer::Unix, cors: Cors::Off };
        let (head, body) = request.into_parts();
        let answered = self.routes.serve(admitted, head, body, &Alarm::default()).await;
        let (head, body) = answered.into_parts();
        Reply { status: head.status, headers: head.headers, body: Body::new(body) }
    }

    /// A client that has said nothing yet.
    pub(crate) fn stranger(&self) -> Client {
        Client {
            house: self.clone(),
            path: "/mcp",
            principal: Principal::anonymous(),
            scopes: Scopes::default(),
            session: None,
            revision: "2025-11-25",
        }
    }

    /// The same in this name.
    pub(crate) fn stranger_of(&self, grant: &Grant) -> Client {
        let Grant { principal, scopes, .. } = grant.clone();
        Client { principal, scopes, ..self.stranger() }
    }

    /// A client that has begun, can be asked for forms, and works.
    pub(crate) async fn client(&self) -> Client {
        self.stranger().begun().await
    }

    pub(crate) async fn client_of(&self, revision: &'static str) -> Client {
        Client { revision, ..self.stranger() }.begun().await
    }
}

impl Client {
    /// Greets, and says that it is initialized.
    pub(crate) async fn begun(self) -> Self {
        let client = self.greeted().await;
        let said =
            client.post(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await.unwrap();
        assert_eq!(said.status, StatusCode::ACCEPTED);
        client
    }

    /// Greets.
    pub(crate) async fn greeted(mut self) -> Self {
        let reply = self.greet().await;
        assert_eq!(reply.status, StatusCode::OK);
        self.session = Some(reply.header("mcp-session-id").expect("a session"));
        let greeting = reply.json().await;
        assert_eq!(greeting["result"]["protocolVersion"], self.revision);
        self
    }

    pub(crate) async fn greet(&self) -> Reply {
        let params = json!({"protocolVersion": self.revision, "capabilities": {"elicitation": {}},
            "clientInfo": {"name": "c", "version": "1"}});
        let stranger = Self { session: None, ..self.clone() };
        stranger
            .post(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}))
            .await
            .unwrap()
    }

    /// A POST as it should be, on its way in a task of its own.
    pub(crate) fn post(&self, message: Value) -> JoinHandle<Reply> {
        self.post_text(message.to_string())
    }

    pub(crate) fn post_text(&self, text: impl Into<String>) -> JoinHandle<Reply> {
        self.send(self.request(Method::POST).body(Body::from(text.into())).unwrap())
    }

    /// A GET, after this event if one is named.
    pub(crate) fn get(&self, after: Option<&str>) -> JoinHandle<Reply> {
        let mut request = self.request(Method::GET);
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        self.send(request.body(Body::empty()).unwrap())
    }

    /// A stream that was opened by GET.
    pub(crate) async fn listen(&self) -> Events {
        let mut events = self.get(None).await.unwrap().events();
        events.opened(self.revision).await;
        events
    }

    /// A stream read on after this event.
    pub(crate) async fn read_on(&self, after: &str) -> Events {
        let mut events = self.get(Some(after)).await.unwrap().events();
        events.opened(self.revision).await;
        events
    }

    pub(crate) fn delete(&self) -> JoinHandle<Reply> {
        self.send(self.request(Method::DELETE).body(Body::empty()).unwrap())
    }

    pub(crate) fn send(&self, request: Request<Body>) -> JoinHandle<Reply> {
        let (house, principal, scopes) = (self.house.clone(), self.principal.clone(), self.scopes.clone());
        tokio::spawn(async move { house.send_as(&Grant::of(principal, scopes), request).await })
    }

    /// A head as it should be.
    pub(crate) fn request(&self, method: Method) -> http::request::Builder {
        let accepted = match method {
            Method::GET => "text/event-stream",
            _ => "application/json, text/event-stream",
        };
        let mut request = Request::builder().method(method).uri(self.path).header("accept", accepted);
        request = request.header("content-type", "application/json");
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
            request = request.header("mcp-protocol-version", self.revision);
        }
        request
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    pub(crate) async fn text(self) -> String {
        let bytes = axum::body::to_bytes(self.body, 1 << 26).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    pub(crate) async fn json(self) -> Value {
        assert_eq!(self.header("content-type").as_deref(), Some("application/json"));
        serde_json::from_str(&self.text().await).unwrap()
    }

    pub(crate) fn events(self) -> Events {
        assert_eq!(self.header("content-type").as_deref(), Some("text/event-stream"), "{}", self.status);
        assert_eq!(self.header("x-accel-buffering").as_deref(), Some("no"));
        Events::new(self.body)
    }
}

/// A call of a tool, with a progress token.
pub(crate) fn call(id: u64, tool: &str, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments, "_meta": {"progressToken": "t"}}})
}

pub(crate) fn cancel(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
}

/// A door to some servers.
pub(crate) fn group(name: &str, servers: &[&str]) -> Group {
    Group::new(name, servers.iter().map(|&key| key.to_owned()).collect())
}

/// Everything has happened that can without time.
pub(crate) async fn settled() {
    for _ in 0..256 {
        yield_now().await;
    }
}

/// Lets time pass, and all that is due with it.
pub(crate) async fn wait(time: Duration) {
    tokio::time::sleep(time).await;
    settled().await;
}
