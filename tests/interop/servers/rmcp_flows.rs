//! A server on the official Rust SDK that does everything a server can do toward its client: the back-flows.
//! Its tools are those that `flowparts.py` and `eraparts.py` know: each provokes one flow and says in its result what the
//! client answered. It heeds the log level by itself, and its lists come in pages. Built as the example `flows_rmcp_server`;
//! no user needs it: `flows_rmcp_server [PORT] [modern]`. With `modern` it knows nothing but 2026-07-28, where it asks in
//! results, without it nothing but what has a handshake.
#![expect(clippy::disallowed_types, reason = "what a client answered is only told")]
#![expect(deprecated, reason = "the SDK marks what 2026-07-28 removed; these flows are older than that")]

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientResult, CompleteRequestParams,
    CompleteResult, CustomNotification, ErrorCode, ErrorData, GetPromptRequestParams, GetPromptResponse,
    GetPromptResult, InputRequiredResult, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, ServerConfig, ServerNotification, ServerRequest,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::{
    NotificationContext, Peer, PeerRequestOptions, RequestContext, ServiceError, SubscriptionContext,
    SubscriptionSink,
};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, ServerHandler, ServiceExt};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

const PACE: Duration = Duration::from_millis(30);
const WAIT_MAX: Duration = Duration::from_secs(2);
const SLEEP_MAX: Duration = Duration::from_secs(10);
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
/// How many items a page has; a client walks from one to the next.
const PAGE: usize = 7;
const KEPT_MILLISECONDS: u64 = 60_000;
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
const TOOLS: [&str; 19] = [
    "echo",
    "fail",
    "elicit_twice",
    "die",
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
    listeners: Vec<SubscriptionSink>,
    /// How many were promised that they are told, and how many of them have come. The SDK gives its word before it asks us.
    promised: usize,
    come: usize,
}

#[derive(Clone)]
struct Flows {
    /// Whether it knows nothing but the revision without a handshake.
    modern: bool,
    memory: Arc<Mutex<Memory>>,
    news: Arc<Notify>,
}

impl Flows {
    fn new(modern: bool) -> Self {
        let texts = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let memory = Memory {
            level: 0,
            cancelled: 0,
            given_up: false,
            roots: Vec::new(),
            subscribed: BTreeSet::new(),
            tools: texts(&TOOLS),
            prompts: std::iter::once("plan".to_owned()).chain((0..9).map(|n| format!("page_{n}"))).collect(),
            resources: ["flows://doc".to_owned(), "flows://doc/part".to_owned()]
                .into_iter()
                .chain((0..9).map(|n| format!("flows://shelf/{n}")))
                .collect(),
            listeners: Vec::new(),
            promised: 0,
            come: 0,
        };
        Self { modern, memory: Arc::new(Mutex::new(memory)), news: Arc::new(Notify::new()) }
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

    /// The least level that this request wants to hear of, by its place in `LEVELS`; the last place and one more is none.
    fn least_level(&self, context: &RequestContext<RoleServer>) -> usize {
        if !self.modern {
            return self.memory().level;
        }
        let meta = serde_json::to_value(&context.meta).unwrap_or_default();
        LEVELS.iter().position(|&name| meta[LOG_LEVEL] == name).unwrap_or(LEVELS.len())
    }

    async fn log(&self, peer: &Peer<RoleServer>, level: usize, logger: Option<&str>, data: Value) {
        let mut params = json!({ "level": LEVELS[level], "data": data });
        if let Some(logger) = logger {
            params["logger"] = logger.into();
        }
        note(peer, "notifications/message", params).await;
    }

    async fn learn_roots(&self, peer: &Peer<RoleServer>) {
        let answer = ask(peer, json!({ "method": "roots/list" })).await;
        let count = answer["roots"].as_array().map_or(0, Vec::len);
        self.memory().roots.push(answer);
        self.news.notify_waiters();
        if self.memory().level > 1 {
            return;
        }
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
                    if number >= self.least_level(context) {
                        self.log(peer, number, (number % 3 != 0).then_some("flows/inner"), data).await;
                    }
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
                let least = arguments["least"].as_u64().unwrap_or(1);
                self.until(|memory| memory.cancelled as u64 >= least).await;
                format!("cancelled {}", self.memory().cancelled)
            }
            "grow" => self.grow(arguments, peer).await,
            "touch" => {
                let uri = arguments["uri"].as_str().unwrap_or_default();
                let concerned = |known: &String| uri == known || uri.starts_with(&format!("{known}/"));
                let subscribed = self.memory().subscribed.iter().any(concerned);
                if subscribed {
                    note(peer, "notifications/resources/updated", json!({ "uri": uri })).await;
                }
                for listener in self.listeners().await {
                    let _ = listener.notify_resource_updated(uri).await;
                }
                format!("touched {uri}")
            }
            "elicit_url" => {
                let answer = ask(peer, questions(name, arguments).remove(0).1).await;
                if answer["action"] == "accept" {
                    let params = json!({ "elicitationId": arguments["id"] });
                    let complete =
                        CustomNotification::new("notifications/elicitation/complete", Some(params));
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
            "elicit" | "elicit_twice" | "sample" | "roots" => {
                let mut answers = Vec::new();
                for (_, request) in questions(name, arguments) {
                    answers.push(ask(peer, request).await);
                }
                joined(answers)
            }
            "fail" | "echo" => return Err(ErrorData::internal_error("a whole result", None)),
            "die" => std::process::exit(7),
            "sample_tools" => told(&sampled_with_tools(peer).await),
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
        let kind = arguments["kind"].as_str().unwrap_or_default();
        match kind {
            "tools" => self.memory().tools.push(name),
            "prompts" => self.memory().prompts.push(name),
            _ => self.memory().resources.push(format!("flows://{name}")),
        }
        for listener in self.listeners().await {
            let _ = match kind {
                "tools" => listener.notify_tool_list_changed().await,
                "prompts" => listener.notify_prompt_list_changed().await,
                _ => listener.notify_resource_list_changed().await,
            };
        }
        if !self.modern {
            let _ = match kind {
                "tools" => peer.notify_tool_list_changed().await,
                "prompts" => peer.notify_prompt_list_changed().await,
                _ => peer.notify_resource_list_changed().await,
            };
        }
        said
    }

    /// All that were promised to be told.
    async fn listeners(&self) -> Vec<SubscriptionSink> {
        self.until(|memory| memory.come >= memory.promised).await;
        self.memory().listeners.clone()
    }

    /// A page of items, and where the next one starts.
    fn page(items: Vec<Value>, request: Option<PaginatedRequestParams>) -> (Vec<Value>, Option<String>) {
        let start: usize =
            request.and_then(|params| params.cursor).and_then(|at| at.parse().ok()).unwrap_or(0);
        let next = (start + PAGE < items.len()).then(|| (start + PAGE).to_string());
        (items.into_iter().skip(start).take(PAGE).collect(), next)
    }
}

/// What a tool asks its client, one after the other: by its key among the answers, the request.
fn questions(tool: &str, arguments: &Value) -> Vec<(&'static str, Value)> {
    let form = |message: &Value| {
        let schema = json!({ "type": "object", "properties": {
            "name": { "type": "string", "title": "Näme", "description": "Your name" },
            "age": { "type": "integer", "minimum": 0 },
        }, "required": ["name"] });
        json!({ "method": "elicitation/create", "params": { "mode": "form", "message": message, "requestedSchema": schema } })
    };
    match tool {
        "elicit" => vec![("answer", form(&arguments["message"]))],
        "elicit_twice" => {
            vec![("first", form(&json!("flows: first"))), ("second", form(&json!("flows: second")))]
        }
        "elicit_url" => vec![(
            "answer",
            json!({ "method": "elicitation/create", "params": { "mode": "url",
            "message": "Please sign in", "url": "https://flows.example.org/sign-in", "elicitationId": arguments["id"] } }),
        )],
        "sample" => vec![(
            "answer",
            json!({ "method": "sampling/createMessage", "params": {
            "messages": [{ "role": "user", "content": { "type": "text", "text": "Say “hello”" } }],
            "maxTokens": 9, "systemPrompt": "Be short", "temperature": 0.5, "metadata": { "flows": [1, null] } } }),
        )],
        "roots" => vec![("answer", json!({ "method": "roots/list" }))],
        _ => Vec::new(),
    }
}

/// What a tool says of its answers: the one, or all.
fn joined(mut answers: Vec<Value>) -> String {
    if answers.len() == 1 { answers.remove(0).to_string() } else { json!(answers).to_string() }
}

/// Without a session a tool asks in its result, and is called again with the answers so far.
fn asked_in_result(tool: &str, request: &CallToolRequestParams) -> Result<CallToolResponse, ErrorData> {
    let arguments = json!(request.arguments);
    let mut answered: Value = request
        .request_state
        .as_deref()
        .map_or_else(|| Ok(json!({})), serde_json::from_str)
        .unwrap_or_default();
    for (key, answer) in json!(request.input_responses).as_object().into_iter().flatten() {
        answered[key] = answer.clone();
    }
    let mut answers = Vec::new();
    for (key, mut question) in questions(tool, &arguments) {
        if answered[key].is_null() {
            if let Some(params) = question["params"].as_object_mut() {
                // This revision has no such ids.
                params.remove("elicitationId");
            }
            let result: InputRequiredResult = typed(json!({ "resultType": "input_required",
                "inputRequests": { key: question }, "requestState": answered.to_string() }))?;
            return Ok(result.into());
        }
        answers.push(answered[key].clone());
    }
    let result: CallToolResult =
        told(true, json!({ "content": [{ "type": "text", "text": joined(answers) }] }))?;
    Ok(result.into())
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
async fn ask(peer: &Peer<RoleServer>, request: Value) -> Value {
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
    let first = ask(peer, json!({ "method": "sampling/createMessage", "params": params })).await;
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
    let second = ask(peer, json!({ "method": "sampling/createMessage", "params": params })).await;
    json!({ "use": used, "then": second })
}

/// A typed result from JSON that this file wrote itself; in the revision without a handshake it says that it is one, and
/// how long a list may be kept.
fn told<T: serde::de::DeserializeOwned>(modern: bool, mut value: Value) -> Result<T, ErrorData> {
    if modern {
        value["resultType"] = "complete".into();
        value["ttlMs"] = KEPT_MILLISECONDS.into();
        value["cacheScope"] = "private".into();
    }
    typed(value)
}

/// A typed value from JSON that this file wrote itself.
fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

impl ServerHandler for Flows {
    fn get_info(&self) -> ServerConfig {
        typed(json!({
            "protocolVersion": if self.modern { "2026-07-28" } else { "2025-11-25" },
            "capabilities": {
                "tools": { "listChanged": true }, "prompts": { "listChanged": true },
                "resources": { "listChanged": true, "subscribe": true }, "logging": {}, "completions": {},
            },
            "serverInfo": { "name": "rmcp-flows", "version": "0" },
        }))
        .unwrap_or_default()
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        if self.modern {
            Cow::Borrowed(&[ProtocolVersion::V_2026_07_28])
        } else {
            Cow::Borrowed(ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25))
        }
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.memory().promised += 1;
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        {
            let mut memory = self.memory();
            memory.listeners.push(context.sink().clone());
            memory.come += 1;
        }
        self.news.notify_waiters();
        context.cancelled().await;
        let id = context.sink().id();
        self.memory().listeners.retain(|listener| listener.id() != id);
        Ok(())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let begun = request.argument.value.as_str();
        let values: Vec<&str> =
            ["rope", "rowing", "sail"].into_iter().filter(|word| word.starts_with(begun)).collect();
        told(
            self.modern,
            json!({ "completion": { "values": values, "total": values.len(), "hasMore": false } }),
        )
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = json!(request.arguments);
        let text = format!("Plan {}", arguments["topic"].as_str().unwrap_or_default());
        let message = json!({ "role": "user", "content": { "type": "text", "text": text } });
        let result: GetPromptResult = told(self.modern, json!({ "messages": [message] }))?;
        Ok(result.into())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let text = match uri.strip_prefix("flows://") {
            Some("doc") => "a document".to_owned(),
            Some(rest) if rest.starts_with("item/") => rest.replacen('/', " ", 1),
            _ => {
                return Err(ErrorData::resource_not_found("Resource not found", Some(json!({ "uri": uri }))));
            }
        };
        let contents = json!([{ "uri": uri, "mimeType": "text/plain", "text": text }]);
        let result: ReadResourceResult = told(self.modern, json!({ "contents": contents }))?;
        Ok(result.into())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        told(
            self.modern,
            json!({ "resourceTemplates": [{ "uriTemplate": "flows://item/{id}", "name": "item" }] }),
        )
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
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let item = |name: &String| json!({ "name": name, "inputSchema": { "type": "object" } });
        let (items, next) = Self::page(self.memory().tools.iter().map(item).collect(), request);
        told(self.modern, json!({ "tools": items, "nextCursor": next }))
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let item = |name: &String| json!({ "name": name });
        let (items, next) = Self::page(self.memory().prompts.iter().map(item).collect(), request);
        told(self.modern, json!({ "prompts": items, "nextCursor": next }))
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let item = |uri: &String| json!({ "uri": uri, "name": uri });
        let (items, next) = Self::page(self.memory().resources.iter().map(item).collect(), request);
        told(self.modern, json!({ "resources": items, "nextCursor": next }))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = json!(request.arguments);
        if let Some(result) = whole_result(&request.name, &arguments) {
            return told::<CallToolResult>(self.modern, result).map(Into::into);
        }
        if self.modern && !questions(&request.name, &arguments).is_empty() {
            return asked_in_result(&request.name, &request);
        }
        let text = Box::pin(self.called(&request.name, &arguments, &context)).await?;
        let result: CallToolResult =
            told(self.modern, json!({ "content": [{ "type": "text", "text": text }] }))?;
        Ok(result.into())
    }
}

/// What a tool says where it is more than a text.
fn whole_result(tool: &str, arguments: &Value) -> Option<Value> {
    let text = arguments["text"].as_str().unwrap_or_default();
    match tool {
        "echo" => Some(json!({ "content": [{ "type": "text", "text": text }],
            "structuredContent": { "text": text, "length": text.chars().count() } })),
        "fail" => Some(json!({ "content": [{ "type": "text", "text": "flows: refused" }], "isError": true })),
        _ => None,
    }
}

/// Streamable HTTP at `/mcp`: every session has a memory of its own, and what has no session has one.
async fn listen(port: u16, modern: bool) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let shared = Flows::new(modern);
    let service = StreamableHttpService::new(
        move || Ok(if modern { shared.clone() } else { Flows::new(false) }),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, axum::Router::new().route_service("/mcp", service)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let modern = words.iter().any(|word| word == "modern");
    // With a port among its arguments it listens there.
    if let Some(port) = words.iter().find_map(|word| word.parse().ok()) {
        return listen(port, modern).await;
    }
    Flows::new(modern).serve(rmcp::transport::stdio()).await?.waiting().await?;
    Ok(())
}
