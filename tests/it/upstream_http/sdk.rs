//! The official Rust SDK as the server: a peer that we did not write, with a session of its own for each client.

use super::far::Far;
use super::stage::{Client, Stage};
use mcp_braid::config::{Reach, Sharing, Transport};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientResult, ErrorData, ListToolsResult,
    PaginatedRequestParams, ServerConfig, ServerRequest,
};
use rmcp::service::{Peer, RequestContext, ServiceError};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A server of the SDK at a port of its own.
struct Peers {
    url: String,
    sessions: Arc<LocalSessionManager>,
    cancelled: watch::Sender<usize>,
    down: CancellationToken,
}

#[derive(Clone)]
struct Handler(watch::Sender<usize>);

fn typed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

async fn note(peer: &Peer<RoleServer>, method: &str, params: Value) {
    peer.send_notification(typed(json!({"method": method, "params": params}))).await.unwrap();
}

async fn asked(peer: &Peer<RoleServer>, method: &str, params: Value) -> Value {
    let request: ServerRequest = typed(json!({"method": method, "params": params}));
    let value = |result: &ClientResult| serde_json::to_value(result).unwrap();
    match peer.send_request(request).await {
        Ok(result) => value(&result),
        Err(ServiceError::McpError(error)) => json!({"error": error}),
        Err(error) => json!({"fault": error.to_string()}),
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        typed(
            json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {"listChanged": true}, "logging": {}},
            "serverInfo": {"name": "sdk", "version": "0"}}),
        )
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools =
            ["count", "ask", "sleep"].map(|name| json!({"name": name, "inputSchema": {"type": "object"}}));
        Ok(typed(json!({"tools": tools})))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let peer = &context.peer;
        let text = match &*request.name {
            "count" => {
                let token = context.meta.get_progress_token();
                for step in 1..=5 {
                    note(peer, "notifications/progress", json!({"progressToken": token, "progress": step}))
                        .await;
                    note(peer, "notifications/message", json!({"level": "info", "data": step})).await;
                }
                "counted".to_owned()
            }
            "ask" => {
                let form = json!({"mode": "form", "message": "who", "requestedSchema": {"type": "object", "properties": {}}});
                let model = json!({"maxTokens": 1, "messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}]});
                let person = asked(peer, "elicitation/create", form).await;
                let model = asked(peer, "sampling/createMessage", model).await;
                json!([person, model]).to_string()
            }
            "sleep" => {
                context.ct.cancelled().await;
                self.0.send_modify(|count| *count += 1);
                "slept".to_owned()
            }
            other => return Err(ErrorData::invalid_params(format!("no tool {other}"), None)),
        };
        let result: CallToolResult = typed(json!({"content": [{"type": "text", "text": text}]}));
        Ok(result.into())
    }
}

impl Peers {
    async fn open(keep: impl FnOnce(&mut StreamableHttpServerConfig)) -> Self {
        let (sessions, cancelled) = (Arc::new(LocalSessionManager::default()), watch::Sender::new(0));
        let mut config = StreamableHttpServerConfig::default();
        keep(&mut config);
        let handler = Handler(cancelled.clone());
        let service = StreamableHttpService::new(move || Ok(handler.clone()), sessions.clone(), config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let down = CancellationToken::new();
        let until = down.clone();
        tokio::spawn(async move {
            let router = axum::Router::new().route_service("/mcp", service);
            tokio::select! {
                served = axum::serve(listener, router) => served.unwrap(),
                () = until.cancelled() => {}
            }
        });
        Self { url, sessions, cancelled, down }
    }

    async fn stage(&self, transport: Transport, sharing: Sharing) -> Stage {
        // Only its address is taken: nobody listens at the other.
        let far = Far::at_a_port().await;
        let url = self.url.clone();
        Stage::with(&far, |server| {
            let Reach::Http(remote) = &mut server.reach else { panic!("a URL") };
            (remote.url, remote.transport, server.sharing) = (url, transport, sharing);
        })
    }
}

/// What takes longer than this will not come.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.expect("it takes too long")
}

async fn call(client: &Client, id: u64, name: &str) {
    let name = format!("far__{name}");
    let params = json!({"name": name, "arguments": {}, "_meta": {"progressToken": id}});
    client.say(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})).await;
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn an_official_server_counts_asks_and_is_cancelled() {
    let peers = Peers::open(|_| {}).await;
    for sharing in [Sharing::Session, Sharing::Shared] {
        let mut stage = peers.stage(Transport::Auto, sharing).await;
        let mut client = stage.client("2025-11-25", json!({"elicitation": {}, "sampling": {}})).await;
        client.say(json!({"jsonrpc": "2.0", "id": "l", "method": "logging/setLevel", "params": {"level": "debug"}})).await;
        client.answer(&json!("l")).await;
        call(&client, 1, "count").await;
        for step in 1..=5 {
            let progress = client.method("notifications/progress").await;
            assert_eq!(progress["params"]["progress"].as_f64(), Some(f64::from(step)));
            assert_eq!(client.method("notifications/message").await["params"]["data"], step);
        }
        assert_eq!(text(&client.answer(&json!(1)).await), "counted");
        // Two at once: each ask is its own call's.
        call(&client, 2, "ask").await;
        call(&client, 3, "ask").await;
        for method in ["elicitation/create", "sampling/createMessage"] {
            let (one, other) = (client.method(method).await, client.method(method).await);
            for ask in [other, one] {
                let result = match method {
                    "elicitation/create" => json!({"action": "accept", "content": {}}),
                    _ => {
                        json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "ho"}})
                    }
                };
                client.say(json!({"jsonrpc": "2.0", "id": ask["id"], "result": result})).await;
            }
        }
        for id in [2, 3] {
            let answer = client.answer(&json!(id)).await;
            let said = text(&answer);
            assert!(said.contains(r#""action":"accept""#) && said.contains(r#""text":"ho""#), "{said}");
        }
        let mut cancelled = peers.cancelled.subscribe();
        let before = *cancelled.borrow();
        call(&client, 4, "sleep").await;
        call(&client, 5, "count").await;
        client.answer(&json!(5)).await;
        client
            .say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 4}}))
            .await;
        soon(cancelled.wait_for(|count| *count == before + 1)).await.unwrap();
        assert_eq!((peers.sessions.sessions.read().await.len(), stage.transport()), (1, "http"));
        stage.close().await;
        assert_eq!(peers.sessions.sessions.read().await.len(), 0, "the session was ended there");
    }
    peers.down.cancel();
}

#[tokio::test]
async fn a_session_that_an_official_server_forgot_is_begun_anew() {
    let peers = Peers::open(|_| {}).await;
    let mut stage = peers.stage(Transport::Http, Sharing::Session).await;
    let mut client = stage.client("2025-11-25", json!({})).await;
    call(&client, 1, "count").await;
    assert_eq!(text(&client.answer(&json!(1)).await), "counted");
    peers.sessions.sessions.write().await.clear();
    call(&client, 2, "count").await;
    let (said, _, outcome) = client.fault(&json!(2)).await;
    assert!(said.contains("ended the session"), "{said}");
    assert_eq!(outcome, "not_sent");
    call(&client, 3, "count").await;
    assert_eq!(text(&client.answer(&json!(3)).await), "counted");
    stage.close().await;
    peers.down.cancel();
}

#[tokio::test]
async fn an_official_server_without_sessions_is_served_as_well() {
    let peers = Peers::open(|config| {
        config.legacy_session_mode = false;
        config.json_response = true;
    })
    .await;
    let mut stage = peers.stage(Transport::Auto, Sharing::Shared).await;
    let mut client = stage.client("2025-06-18", json!({})).await;
    for id in 1..=20 {
        call(&client, id, "count").await;
    }
    for id in 1..=20 {
        assert_eq!(text(&client.answer(&json!(id)).await), "counted");
    }
    stage.close().await;
    peers.down.cancel();
}
