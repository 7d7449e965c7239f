//! The official Rust SDK's client, for the back-flows: parts on stdin, what it heard on stdout (see `flowclient.py`).
//! What arrived is written down at the transport, in order; handlers note what the SDK handed over. A target's `mode` is
//! `legacy`, `auto` or `modern`.
#![expect(clippy::disallowed_types, reason = "what a client makes of a message is only compared")]
#![expect(deprecated, reason = "the SDK marks what 2026-07-28 removed; these flows are older than that")]

use rmcp::model::{
    CallToolRequestParams, CancelledNotificationParam, ClientConfig, ClientNotification, ClientRequest,
    CreateMessageRequestParams, CreateMessageResult, CustomNotification, ElicitRequestParams, ElicitResult,
    ErrorData, JsonRpcMessage, ListRootsResult, LoggingMessageNotificationParam, ProgressNotificationParam,
    ProtocolVersion, ResourceUpdatedNotificationParam, ServerResult, SubscriptionFilter,
};
use rmcp::service::{
    NotificationContext, PeerRequestOptions, RequestContext, RequestHandle, RunningService, RxJsonRpcMessage,
    ServiceError, TxJsonRpcMessage,
};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess, Transport};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

const REQUEST_MAX: Duration = Duration::from_secs(6);
const HEAR_MAX: Duration = Duration::from_secs(5);
const PART_MAX: Duration = Duration::from_secs(20);
const READY_MAX: Duration = Duration::from_secs(15);
const HANG_MAX: Duration = Duration::from_secs(2);
const QUIET: Duration = Duration::from_millis(300);
const RELIST: Duration = Duration::from_millis(500);
const PAGES_MAX: usize = 50;
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What came, in order, and how asks are answered now.
#[derive(Default)]
struct Diary {
    events: Vec<Value>,
    heard: Vec<(String, String)>,
    cancelled: Vec<Value>,
    roots: Vec<Value>,
    elicitation: Value,
    sampling: Vec<Value>,
    /// Whether there is no session: then questions come in results, and are noted where the SDK hands them over.
    modern: bool,
}

#[derive(Clone, Default)]
struct Ear {
    diary: Arc<Mutex<Diary>>,
    news: Arc<Notify>,
}

impl Ear {
    fn diary(&self) -> MutexGuard<'_, Diary> {
        self.diary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, method: &str, params: &impl serde::Serialize) {
        let text = serde_json::to_string(params).unwrap_or_default();
        self.diary().heard.push((method.to_owned(), text));
        self.news.notify_waiters();
    }

    /// A question, with its place among what arrived where it was no message of its own.
    fn asked(&self, method: &str, params: &impl serde::Serialize) {
        self.hear(method, params);
        let mut diary = self.diary();
        if diary.modern {
            let params = serde_json::to_value(params).unwrap_or_default();
            diary.events.push(json!({ "ask": method, "params": params }));
        }
    }

    fn arrived(&self, message: &RxJsonRpcMessage<RoleClient>) {
        let value = serde_json::to_value(message).unwrap_or_default();
        let mut diary = self.diary();
        let event = match message {
            JsonRpcMessage::Notification(_) => json!({ "note": value["method"], "params": value["params"] }),
            JsonRpcMessage::Request(_) => json!({ "ask": value["method"], "params": value["params"] }),
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {
                json!({ "answer": true, "late": diary.cancelled.contains(&value["id"]) })
            }
        };
        diary.events.push(event);
    }

    fn count(&self, method: &str, part: &str) -> usize {
        self.diary().heard.iter().filter(|(name, text)| name == method && text.contains(part)).count()
    }

    /// Whether something was heard so often before patience ended.
    async fn await_heard(&self, method: &str, part: &str, least: usize, patience: Duration) -> bool {
        let reached = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if self.count(method, part) >= least {
                    return;
                }
                news.await;
            }
        };
        timeout(patience, reached).await.is_ok()
    }
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// The planned answer: a result or an error.
fn planned<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, ErrorData> {
    match answer.get("error") {
        Some(error) => Err(typed(error.clone())?),
        None => typed(answer["result"].clone()),
    }
}

impl ClientHandler for Ear {
    fn get_info(&self) -> ClientConfig {
        typed(json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {
                "roots": { "listChanged": true }, "sampling": { "tools": {} }, "elicitation": { "form": {}, "url": {} },
            },
            "clientInfo": { "name": "flows-rmcp", "version": "0" },
        }))
        .unwrap_or_default()
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.asked("sampling/createMessage", &params);
        let answer = {
            let mut diary = self.diary();
            if diary.sampling.len() > 1 { diary.sampling.remove(0) } else { diary.sampling[0].clone() }
        };
        planned(answer)
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        self.asked("roots/list", &Value::Null);
        let roots = self.diary().roots.clone();
        typed(json!({ "roots": roots }))
    }

    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.asked("elicitation/create", &params);
        let answer = self.diary().elicitation.clone();
        if answer == "hang" {
            if timeout(HANG_MAX, context.ct.cancelled()).await.is_ok() {
                self.hear("withdrawn", &Value::Null);
            }
            return typed(json!({ "action": "cancel" }));
        }
        planned(answer)
    }

    async fn on_progress(&self, note: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.hear("notifications/progress", &note);
    }

    async fn on_cancelled(&self, note: CancelledNotificationParam, _: NotificationContext<RoleClient>) {
        self.hear("notifications/cancelled", &note);
    }

    async fn on_logging_message(
        &self,
        note: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.hear("notifications/message", &note);
    }

    async fn on_resource_updated(
        &self,
        note: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.hear("notifications/resources/updated", &note);
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.hear("notifications/resources/list_changed", &Value::Null);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.hear("notifications/tools/list_changed", &Value::Null);
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.hear("notifications/prompts/list_changed", &Value::Null);
    }

    async fn on_custom_notification(&self, note: CustomNotification, _: NotificationContext<RoleClient>) {
        self.hear(&note.method, &note.params);
    }
}

/// The SDK's transport, with an ear at it.
struct Tap<T> {
    inner: T,
    ear: Ear,
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Tap<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.inner.receive().await?;
        self.ear.arrived(&message);
        Some(message)
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

/// The server of a target, as a process.
fn process(target: &Value) -> Result<TokioChildProcess, Failure> {
    let words: Vec<&str> =
        target["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (program, arguments) = words.split_first().ok_or("a target without a command")?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).env_clear().current_dir(target["cwd"].as_str().unwrap_or("."));
    for (name, value) in target["env"].as_object().into_iter().flatten() {
        command.env(name, value.as_str().unwrap_or_default());
    }
    let log =
        std::fs::File::create(format!("{}/client-server-stderr.txt", target["cwd"].as_str().unwrap_or(".")))?;
    Ok(TokioChildProcess::builder(command).stderr(Stdio::from(log)).spawn()?.0)
}

/// How a target at a URL is reached; its headers are one token, if there is one.
fn remote(target: &Value) -> StreamableHttpClientTransportConfig {
    let config =
        StreamableHttpClientTransportConfig::with_uri(target["url"].as_str().unwrap_or_default().to_owned());
    match target["headers"]["Authorization"].as_str().and_then(|value| value.strip_prefix("Bearer ")) {
        Some(token) => config.auth_header(token),
        None => config,
    }
}

struct Client {
    service: RunningService<RoleClient, Ear>,
    ear: Ear,
    /// The request that runs beside the steps.
    begun: Option<RequestHandle<RoleClient>>,
    /// Whether there is no session.
    modern: bool,
    /// The level of the log that each request asks for, where there is no session.
    level: Option<Value>,
    /// Ends the stream of changes when dropped, where there is no session.
    watching: Option<oneshot::Sender<()>>,
}

/// How it comes to terms with the server: by a handshake, or by asking what the server knows.
fn lifecycle(mode: &Value) -> ClientLifecycleMode {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    match mode.as_str() {
        Some("modern") => ClientLifecycleMode::Discover { preferred_versions },
        Some("auto") => ClientLifecycleMode::Auto { preferred_versions, legacy_version: None },
        _ => ClientLifecycleMode::Initialize,
    }
}

impl Client {
    async fn connect(target: &Value) -> Result<Self, Failure> {
        let ear = Ear::default();
        {
            let mut diary = ear.diary();
            diary.roots = roots_of(&target["roots"]);
            diary.elicitation = json!({ "result": { "action": "decline" } });
            diary.sampling = vec![json!({ "error": { "code": -1, "message": "no answer is planned" } })];
        }
        let service = match target["transport"].as_str() {
            Some("http") => {
                let inner = StreamableHttpClientTransport::from_config(remote(target));
                let tap = Tap { inner, ear: ear.clone() };
                timeout(READY_MAX, ear.clone().serve_with_lifecycle(tap, lifecycle(&target["mode"])))
                    .await??
            }
            Some("stdio") | None => {
                let inner = process(target)?;
                let tap = Tap { inner, ear: ear.clone() };
                timeout(READY_MAX, ear.clone().serve_with_lifecycle(tap, lifecycle(&target["mode"])))
                    .await??
            }
            Some(other) => return Err(format!("this SDK has no transport {other}").into()),
        };
        let negotiated = serde_json::to_value(service.peer_info())?["protocolVersion"].take();
        let modern = negotiated == "2026-07-28";
        ear.diary().modern = modern;
        Ok(Self { service, ear, begun: None, modern, level: None, watching: None })
    }

    /// A request's params with what each request says of itself.
    fn params(&self, step: &Value) -> Value {
        let mut params = step["params"].clone();
        if let (Some(level), Value::Object(members)) = (&self.level, &mut params) {
            members.insert("_meta".to_owned(), json!({ LOG_LEVEL: level }));
        }
        params
    }

    /// A call that may ask in its result: the SDK answers and calls again.
    async fn call(&self, step: &Value) -> Result<Value, Failure> {
        let params: CallToolRequestParams = serde_json::from_value(self.params(step))?;
        Ok(match timeout(REQUEST_MAX, self.service.call_tool(params)).await {
            Err(_) => json!({ "fault": "no answer in time" }),
            Ok(Ok(result)) => json!({ "result": result }),
            Ok(Err(ServiceError::McpError(error))) => json!({ "error": error }),
            Ok(Err(error)) => json!({ "fault": error.to_string() }),
        })
    }

    async fn watch(&mut self, uris: &Value) -> Result<Value, Failure> {
        if !self.modern {
            return self.of_each(uris, "resources/subscribe").await;
        }
        let filter: SubscriptionFilter = serde_json::from_value(json!({ "toolsListChanged": true,
            "promptsListChanged": true, "resourcesListChanged": true, "resourceSubscriptions": uris }))?;
        let mut stream = timeout(REQUEST_MAX, self.service.listen(filter)).await??;
        let (stop, mut stopped) = oneshot::channel();
        let ear = self.ear.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    next = stream.next() => {
                        let Ok(Some(note)) = next else { return };
                        let note = serde_json::to_value(&note).unwrap_or_default();
                        ear.hear(note["method"].as_str().unwrap_or_default(), &note["params"]);
                    }
                    _ = &mut stopped => {
                        let _ = stream.cancel().await;
                        return;
                    }
                }
            }
        });
        self.watching = Some(stop);
        Ok(Value::Null)
    }

    async fn of_each(&self, uris: &Value, method: &str) -> Result<Value, Failure> {
        for uri in uris.as_array().into_iter().flatten() {
            let handle = self.begin(&json!({ "method": method, "params": { "uri": uri } })).await?;
            let outcome = self.finish(handle).await?;
            if outcome.get("result").is_none() {
                return Ok(outcome);
            }
        }
        Ok(Value::Null)
    }

    async fn begin(&self, step: &Value) -> Result<RequestHandle<RoleClient>, Failure> {
        let mut request = json!({ "method": step["method"] });
        if !step["params"].is_null() {
            request["params"] = self.params(step);
        }
        let options = match step["seconds"].as_f64() {
            Some(seconds) => PeerRequestOptions::with_timeout(Duration::from_secs_f64(seconds)),
            None => PeerRequestOptions::no_options(),
        };
        let request: ClientRequest = serde_json::from_value(request)?;
        Ok(self.service.send_cancellable_request(request, options).await?)
    }

    async fn finish(&self, handle: RequestHandle<RoleClient>) -> Result<Value, Failure> {
        let token = json!(handle.progress_token);
        let mut outcome = match timeout(REQUEST_MAX, handle.await_response()).await {
            Err(_) => json!({ "fault": "no answer in time" }),
            Ok(Ok(ServerResult::CustomResult(result))) => json!({ "result": result.0 }),
            Ok(Ok(result)) => json!({ "result": result }),
            Ok(Err(ServiceError::McpError(error))) => json!({ "error": error }),
            Ok(Err(error)) => json!({ "fault": error.to_string() }),
        };
        let own = format!("\"progressToken\":{token}");
        let notes = self
            .ear
            .diary()
            .heard
            .iter()
            .filter(|(method, text)| method == "notifications/progress" && text.contains(&own))
            .count();
        outcome["handed_over"] = notes.into();
        Ok(outcome)
    }

    /// The names or URIs of a whole list.
    async fn list(&self, method: &str) -> Result<Vec<Value>, Failure> {
        let (member, key) = match method {
            "tools/list" => ("tools", "name"),
            "prompts/list" => ("prompts", "name"),
            "resources/templates/list" => ("resourceTemplates", "uriTemplate"),
            _ => ("resources", "uri"),
        };
        let (mut found, mut params) = (Vec::new(), json!({}));
        for _ in 0..PAGES_MAX {
            let handle = self.begin(&json!({ "method": method, "params": params })).await?;
            let mut outcome = self.finish(handle).await?;
            if outcome.get("result").is_none() {
                return Err(format!("{method}: {outcome}").into());
            }
            let result = outcome["result"].take();
            found.extend(result[member].as_array().into_iter().flatten().map(|item| item[key].clone()));
            let Value::String(cursor) = result["nextCursor"].clone() else { return Ok(found) };
            params = json!({ "cursor": cursor });
        }
        Err(format!("{method} does not end").into())
    }

    /// The list once all these are in it, or as it is when patience ends.
    async fn list_until(
        &self,
        method: &str,
        wanted: &[Value],
        patience: Duration,
    ) -> Result<Vec<Value>, Failure> {
        let end = tokio::time::Instant::now() + patience;
        let news = format!("notifications/{method}_changed");
        loop {
            let seen = self.ear.count(&news, "");
            let found = self.list(method).await?;
            if wanted.iter().all(|name| found.contains(name)) || tokio::time::Instant::now() > end {
                return Ok(found);
            }
            self.ear.await_heard(&news, "", seen + 1, RELIST).await;
        }
    }

    async fn step(&mut self, step: &Value) -> Result<Value, Failure> {
        Ok(match step["do"].as_str().unwrap_or_default() {
            "ask"
                if self.modern
                    && step["method"] == "tools/call"
                    && step["progress"] != true
                    && step["seconds"].is_null() =>
            {
                self.call(step).await?
            }
            "ask" => {
                let handle = self.begin(step).await?;
                self.finish(handle).await?
            }
            "begin" => {
                self.begun = Some(self.begin(step).await?);
                Value::Null
            }
            "end" => match self.begun.take() {
                Some(handle) => self.finish(handle).await?,
                None => json!({ "fault": "nothing was begun" }),
            },
            "cancel" => {
                if let Some(handle) = self.begun.take() {
                    self.ear.diary().cancelled.push(json!(handle.id));
                    handle.cancel(Some("no longer needed".to_owned())).await?;
                }
                Value::Null
            }
            "await" => {
                let (method, part) =
                    (step["heard"].as_str().unwrap_or_default(), step["where"].as_str().unwrap_or_default());
                let least = step["count"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
                if self.ear.await_heard(method, part, least, HEAR_MAX).await {
                    Value::Null
                } else {
                    json!({ "fault": format!("heard {} of {least} {method} {part}", self.ear.count(method, part)) })
                }
            }
            "quiet" => {
                let handle = self.begin(&json!({ "method": "ping" })).await?;
                let answered = self.finish(handle).await?;
                sleep(step["ms"].as_u64().map_or(QUIET, Duration::from_millis)).await;
                if answered.get("result").is_some() { Value::Null } else { answered }
            }
            "answer" => {
                let mut diary = self.ear.diary();
                if !step["elicitation"].is_null() {
                    diary.elicitation = step["elicitation"].clone();
                }
                if let Some(answers) = step["sampling"].as_array() {
                    diary.sampling.clone_from(answers);
                }
                Value::Null
            }
            "watch" => self.watch(&step["uris"]).await?,
            "unwatch" if self.modern => {
                self.watching = None;
                Value::Null
            }
            "unwatch" => self.of_each(&step["uris"], "resources/unsubscribe").await?,
            "level" if self.modern => {
                self.level = (!step["level"].is_null()).then(|| step["level"].clone());
                Value::Null
            }
            "level" => {
                let level = if step["level"].is_null() { json!("debug") } else { step["level"].clone() };
                let handle = self
                    .begin(&json!({ "method": "logging/setLevel", "params": { "level": level } }))
                    .await?;
                self.finish(handle).await?
            }
            "pause" => {
                sleep(step["ms"].as_u64().map_or(QUIET, Duration::from_millis)).await;
                Value::Null
            }
            "roots" => {
                self.ear.diary().roots = roots_of(&step["uris"]);
                let note: ClientNotification =
                    serde_json::from_value(json!({ "method": "notifications/roots/list_changed" }))?;
                self.service.send_notification(note).await?;
                Value::Null
            }
            "list" => {
                let wanted: Vec<Value> = step.get("until").into_iter().cloned().collect();
                json!({ "names": self.list_until(step["method"].as_str().unwrap_or_default(), &wanted, HEAR_MAX).await? })
            }
            other => json!({ "fault": format!("no step {other}") }),
        })
    }

    async fn part(&mut self, part: &Value) -> Value {
        self.ear.diary().heard.clear();
        let mut steps = Vec::new();
        let mut fault = Value::Null;
        let all = async {
            for step in part["steps"].as_array().into_iter().flatten() {
                let outcome = match self.step(step).await {
                    Ok(outcome) => outcome,
                    Err(failure) => json!({ "fault": failure.to_string() }),
                };
                let events = std::mem::take(&mut self.ear.diary().events);
                steps.push(json!({ "outcome": outcome, "events": events }));
            }
        };
        if timeout(PART_MAX, all).await.is_err() {
            fault = json!("the part took too long");
        }
        let heard: Vec<String> = self.ear.diary().heard.iter().map(|(method, _)| method.clone()).collect();
        json!({ "name": part["name"], "steps": steps, "heard": heard, "fault": fault })
    }
}

fn roots_of(uris: &Value) -> Vec<Value> {
    uris.as_array().into_iter().flatten().map(|uri| json!({ "uri": uri, "name": "work" })).collect()
}

async fn carried_out(target: &Value) -> Result<Value, Failure> {
    let mut client = Client::connect(target).await?;
    let ready: Vec<Value> = target["ready"].as_array().cloned().unwrap_or_default();
    let tools = client.list_until("tools/list", &ready, READY_MAX).await?;
    let start = std::mem::take(&mut client.ear.diary().events);
    let mut parts = Vec::new();
    for part in target["parts"].as_array().into_iter().flatten() {
        parts.push(client.part(part).await);
    }
    let negotiated = serde_json::to_value(client.service.peer_info())?["protocolVersion"].take();
    // Where a server died there may be nobody to say goodbye to.
    let _ = timeout(REQUEST_MAX, client.service.cancel()).await;
    Ok(json!({ "negotiated": negotiated, "tools": tools, "start": start, "parts": parts }))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // The HTTP client wants one even where it speaks no TLS; that there is one already would be as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut plan = String::new();
    std::io::stdin().read_to_string(&mut plan)?;
    let target: Value = serde_json::from_str(&plan)?;
    let report = match carried_out(&target).await {
        Ok(report) => report,
        Err(failure) => json!({ "fault": failure.to_string() }),
    };
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}
