//! A server on the official Rust SDK that does everything a server can do toward its client: the back-flows.
//! Its tools are those that `flowparts.py` knows: each provokes one flow and says in its result what the client answered.
//! It heeds the log level by itself. Built as the example `flows_rmcp_server`; no user needs it.
#![expect(clippy::disallowed_types, reason = "what a client answered is only told")]
#![expect(deprecated, reason = "the SDK marks what 2026-07-28 removed; these flows are older than that")]

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientResult, CustomNotification, ErrorCode,
    ErrorData, ListPromptsResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams, ServerConfig,
    ServerNotification, ServerRequest, SetLevelRequestParams, SubscribeRequestParams,
    UnsubscribeRequestParams,
};
use rmcp::service::{NotificationContext, Peer, PeerRequestOptions, RequestContext, ServiceError};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, ServerHandler, ServiceExt};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

const PACE: Duration = Duration::from_millis(30);
const WAIT_MAX: Duration = Duration::from_secs(2);
const SLEEP_MAX: Duration = Duration::from_secs(10);
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
const TOOLS: [&str; 15] = [
    "count",
    "talk",
    "sleep",
    "was_cancelled",
    "grow",
    "touch",
    "elicit",
    "elicit_url",
    "url_required",
    "sample",
    "sample_tools",
    "roots",
    "roots_log",
    "withdraw",
    "give_up",
];

/// What this server was told outside of calls, and what it lists.
struct Memory {
    level: usize,
    cancelled: usize,
    given_up: bool,
    roots: Vec<Value>,
    subscribed: BTreeSet<String>,
    tools: Vec<String>,
    prompts: Vec<String>,
    resources: Vec<String>,
}

#[derive(Clone)]
struct Flows {
    memory: Arc<Mutex<Memory>>,
    news: Arc<Notify>,
}

impl Flows {
    fn new() -> Self {
        let texts = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let memory = Memory {
            level: 0,
            cancelled: 0,
            given_up: false,
            roots: Vec::new(),
            subscribed: BTreeSet::new(),
            tools: texts(&TOOLS),
            prompts: texts(&["plan"]),
            resources: texts(&["flows://doc", "flows://doc/part"]),
        };
        Self { memory: Arc::new(Mutex::new(memory)), news: Arc::new(Notify::new()) }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something is so, or for no longer than patience lasts.
    async fn until(&self, so: impl Fn(&Memory) -> bool) {
        let reached = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if so(&self.memory()) {
                    return;
                }
                news.await;
            }
        };
        let _ = timeout(WAIT_MAX, reached).await;
    }

    async fn log(&self, peer: &Peer<RoleServer>, level: usize, logger: Option<&str>, data: Value) {
        if level < self.memory().level {
            return;
        }
        let mut params = json!({ "level": LEVELS[level], "data": data });
        if let Some(logger) = logger {
            params["logger"] = logger.into();
        }
        note(peer, "notifications/message", params).await;
    }

    async fn learn_roots(&self, peer: &Peer<RoleServer>) {
        let answer = ask(peer, "roots/list", None).await;
        let count = answer["roots"].as_array().map_or(0, Vec::len);
        self.memory().roots.push(answer);
        self.news.notify_waiters();
        self.log(peer, 1, None, json!(format!("rmcp: roots now {count}"))).await;
    }

    async fn called(
        &self,
        name: &str,
        arguments: &Value,
        context: &RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        let peer = &context.peer;
        let told = |value: &Value| value.to_string();
        Ok(match name {
            "count" => {
                let steps = arguments["steps"].as_u64().unwrap_or_default();
                for step in 1..=steps {
                    progress(context, step, Some(steps)).await;
                    sleep(PACE).await;
                }
                format!("counted to {steps}")
            }
            "talk" => {
                for (number, level) in LEVELS.iter().enumerate() {
                    let data = if number % 2 == 0 {
                        json!(format!("flows: {level}"))
                    } else {
                        json!({ "text": format!("flows: {level} “ü”"), "n": number, "deep": { "b": [null], "a": 0.5 } })
                    };
                    self.log(peer, number, (number % 3 != 0).then_some("flows/inner"), data).await;
                }
                sleep(PACE).await;
                "talked".to_owned()
            }
            "sleep" => {
                progress(context, 1, None).await;
                if timeout(SLEEP_MAX, context.ct.cancelled()).await.is_ok() {
                    self.memory().cancelled += 1;
                    self.news.notify_waiters();
                }
                "slept".to_owned()
            }
            "was_cancelled" => {
                self.until(|memory| memory.cancelled > 0).await;
                format!("cancelled {}", self.memory().cancelled)
            }
            "grow" => self.grow(arguments, peer).await,
            "touch" => {
                let uri = arguments["uri"].as_str().unwrap_or_default();
                let concerned = |known: &String| uri == known || uri.starts_with(&format!("{known}/"));
                if self.memory().subscribed.iter().any(concerned) {
                    note(peer, "notifications/resources/updated", json!({ "uri": uri })).await;
                }
                format!("touched {uri}")
            }
            "elicit" => {
                let schema = json!({ "type": "object", "properties": {
                    "name": { "type": "string", "title": "Näme", "description": "Your name" },
                    "age": { "type": "integer", "minimum": 0 },
                }, "required": ["name"] });
                let params = json!({ "mode": "form", "message": arguments["message"], "requestedSchema": schema });
                told(&ask(peer, "elicitation/create", Some(params)).await)
            }
            "elicit_url" => {
                let id = &arguments["id"];
                let params = json!({ "mode": "url", "message": "Please sign in", "url": "https://flows.example.org/sign-in", "elicitationId": id });
                let answer = ask(peer, "elicitation/create", Some(params)).await;
                if answer["action"] == "accept" {
                    let params = json!({ "elicitationId": id });
                    let complete = CustomNotification::new("notifications/elicitation/complete", Some(params));
                    let _ = peer.send_notification(ServerNotification::CustomNotification(complete)).await;
                    sleep(PACE).await;
                }
                told(&answer)
            }
            "url_required" => {
                let wanted = json!({ "elicitations": [{ "mode": "url", "message": "Please sign in first",
                    "url": "https://flows.example.org/first", "elicitationId": "first-1" }] });
                return Err(ErrorData::new(ErrorCode(-32042), "sign in first", Some(wanted)));
            }
            "sample" => told(
                &ask(peer, "sampling/createMessage", Some(json!({
                    "messages": [{ "role": "user", "content": { "type": "text", "text": "Say “hello”" } }],
                    "maxTokens": 9, "systemPrompt": "Be short", "temperature": 0.5, "metadata": { "flows": [1, null] },
                })))
                .await,
            ),
            "sample_tools" => told(&sampled_with_tools(peer).await),
            "roots" => told(&ask(peer, "roots/list", None).await),
            "roots_log" => {
                let least = arguments["least"].as_u64().unwrap_or_default();
                self.until(|memory| memory.roots.len() as u64 >= least).await;
                told(&json!(self.memory().roots))
            }
            "withdraw" => self.withdrawn(peer).await.unwrap_or_else(|error| error.to_string()),
            "give_up" => {
                self.memory().given_up = true;
                self.news.notify_waiters();
                "given up".to_owned()
            }
            _ => return Err(ErrorData::invalid_params(format!("no tool {name}"), None)),
        })
    }

    /// Asks, takes it back when the client calls `give_up`, and tells whether it was answered nevertheless.
    async fn withdrawn(
        &self,
        peer: &Peer<RoleServer>,
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let request = serde_json::from_value(json!({ "method": "elicitation/create", "params": {
            "mode": "form", "message": "never mind", "requestedSchema": { "type": "object", "properties": {} } } }))?;
        let mut asked = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await?;
        self.until(|memory| memory.given_up).await;
        if asked.rx.try_recv().is_ok() {
            return Ok("answered first".to_owned());
        }
        asked.cancel(Some("no longer needed".to_owned())).await?;
        Ok("withdrawn".to_owned())
    }

    async fn grow(&self, arguments: &Value, peer: &Peer<RoleServer>) -> String {
        let name = arguments["name"].as_str().unwrap_or_default().to_owned();
        let said = format!("grew {name}");
        let _ = match arguments["kind"].as_str().unwrap_or_default() {
            "tools" => {
                self.memory().tools.push(name);
                peer.notify_tool_list_changed().await
            }
            "prompts" => {
                self.memory().prompts.push(name);
                peer.notify_prompt_list_changed().await
            }
            _ => {
                self.memory().resources.push(format!("flows://{name}"));
                peer.notify_resource_list_changed().await
            }
        };
        said
    }
}

async fn progress(context: &RequestContext<RoleServer>, step: u64, total: Option<u64>) {
    let Some(token) = context.meta.get_progress_token() else { return };
    let mut params = json!({ "progressToken": token, "progress": step });
    if let Some(total) = total {
        params["total"] = total.into();
        params["message"] = format!("step {step} of {total}").into();
    }
    note(&context.peer, "notifications/progress", params).await;
}

async fn note(peer: &Peer<RoleServer>, method: &str, params: Value) {
    if let Ok(note) = serde_json::from_value(json!({ "method": method, "params": params })) {
        let _ = peer.send_notification(note).await;
    }
}

/// Asks the client; its error, or that it could not be asked, is told as `{"error": …}`.
async fn ask(peer: &Peer<RoleServer>, method: &str, params: Option<Value>) -> Value {
    let mut request = json!({ "method": method });
    if let Some(params) = params {
        request["params"] = params;
    }
    let request: ServerRequest = match serde_json::from_value(request) {
        Ok(request) => request,
        Err(error) => return json!({ "fault": error.to_string() }),
    };
    let value = |result: &ClientResult| serde_json::to_value(result).unwrap_or_default();
    match peer.send_request(request).await {
        Ok(result) => value(&result),
        Err(ServiceError::McpError(error)) => json!({ "error": error }),
        Err(error) => json!({ "fault": error.to_string() }),
    }
}

async fn sampled_with_tools(peer: &Peer<RoleServer>) -> Value {
    let tools = json!([{ "name": "look_up", "description": "Looks up a word",
        "inputSchema": { "type": "object", "properties": { "word": { "type": "string" } } } }]);
    let question = json!({ "role": "user", "content": { "type": "text", "text": "What is a rope?" } });
    let params =
        json!({ "messages": [question], "maxTokens": 50, "tools": tools, "toolChoice": { "mode": "auto" } });
    let first = ask(peer, "sampling/createMessage", Some(params)).await;
    let content = &first["content"];
    let used = content.get(0).unwrap_or(content).clone();
    if used["id"].is_null() {
        return first;
    }
    let result = json!({ "role": "user", "content": { "type": "tool_result", "toolUseId": used["id"], "content": [
        { "type": "text", "text": "strands" },
        { "type": "resource_link", "uri": "flows://doc", "name": "doc" },
    ] } });
    let said = json!({ "role": "assistant", "content": used });
    let params = json!({ "messages": [question, said, result], "maxTokens": 50, "tools": tools, "toolChoice": { "mode": "none" } });
    let second = ask(peer, "sampling/createMessage", Some(params)).await;
    json!({ "use": used, "then": second })
}

/// A typed value from JSON that this file wrote itself.
fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

impl ServerHandler for Flows {
    fn get_info(&self) -> ServerConfig {
        typed(json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {
                "tools": { "listChanged": true }, "prompts": { "listChanged": true },
                "resources": { "listChanged": true, "subscribe": true }, "logging": {},
            },
            "serverInfo": { "name": "rmcp-flows", "version": "0" },
        }))
        .unwrap_or_default()
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.learn_roots(&context.peer).await;
    }

    async fn on_roots_list_changed(&self, context: NotificationContext<RoleServer>) {
        self.learn_roots(&context.peer).await;
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let level = json!(request.level);
        self.memory().level = LEVELS.iter().position(|&name| level == name).unwrap_or_default();
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.memory().subscribed.insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.memory().subscribed.remove(&request.uri);
        Ok(())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let item = |name: &String| json!({ "name": name, "inputSchema": { "type": "object" } });
        let items: Vec<Value> = self.memory().tools.iter().map(item).collect();
        typed(json!({ "tools": items }))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let items: Vec<Value> = self.memory().prompts.iter().map(|name| json!({ "name": name })).collect();
        typed(json!({ "prompts": items }))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let item = |uri: &String| json!({ "uri": uri, "name": uri });
        let items: Vec<Value> = self.memory().resources.iter().map(item).collect();
        typed(json!({ "resources": items }))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = json!(request.arguments);
        let text = Box::pin(self.called(&request.name, &arguments, &context)).await?;
        let result: CallToolResult = typed(json!({ "content": [{ "type": "text", "text": text }] }))?;
        Ok(result.into())
    }
}

/// Streamable HTTP at `/mcp`: every session has a memory of its own.
async fn listen(port: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let service = StreamableHttpService::new(
        || Ok(Flows::new()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    axum::serve(listener, axum::Router::new().route_service("/mcp", service)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // With a port as its argument it listens there.
    if let Some(port) = std::env::args().nth(1) {
        return listen(&port).await;
    }
    Flows::new().serve(rmcp::transport::stdio()).await?.waiting().await?;
    Ok(())
}
