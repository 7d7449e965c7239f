//! The official Rust SDK's client, as the other client programs of the interop run: a plan on stdin, one line of JSON
//! per target on stdout (see `plan.py`). It knows nothing of servers or proxies.
#![expect(clippy::disallowed_types, reason = "what a client makes of an answer is only compared")]
#![expect(deprecated, reason = "the SDK marks what 2026-07-28 removed; servers of today ask for it")]

use rmcp::model::{
    ClientConfig, ClientRequest, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, ErrorData, ListRootsResult, ProgressNotificationParam, ServerResult,
};
use rmcp::service::{NotificationContext, PeerRequestOptions, RequestContext, RunningService, ServiceError};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientHandler, RoleClient, ServiceExt};
use serde_json::{Map, Value, json};
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(40);
const TARGET_MAX: Duration = Duration::from_secs(170);
const GATHER_ROUNDS_MAX: usize = 60;
const LISTS: [(&str, &str); 4] = [
    ("tools/list", "tools"),
    ("resources/list", "resources"),
    ("resources/templates/list", "resourceTemplates"),
    ("prompts/list", "prompts"),
];

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Keeps what is told about requests, and answers what is asked.
#[derive(Clone, Default)]
struct Ear {
    notes: Arc<Mutex<Vec<ProgressNotificationParam>>>,
    asks: Arc<Mutex<Vec<Value>>>,
    /// The URIs of the roots; `None` if nothing can be asked.
    roots: Option<Value>,
}

impl Ear {
    fn asked(&self, method: &str, params: &impl serde::Serialize) {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).push(json!([method, params]));
    }
}

/// A typed value from JSON that this file wrote itself.
fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// A value for a property that an elicitation asks for, as the other client programs choose it.
fn filled_in(property: &Value) -> Value {
    let format = property["format"].as_str().unwrap_or_default();
    if let Some(default) = property.get("default") {
        return default.clone();
    }
    if let Some(first) = property["enum"].get(0) {
        return first.clone();
    }
    if let Some(first) = property["oneOf"].get(0) {
        return first["const"].clone();
    }
    match property["type"].as_str().unwrap_or_default() {
        "integer" | "number" => property.get("minimum").cloned().unwrap_or_else(|| json!(7)),
        "boolean" => json!(true),
        "array" => {
            let items = &property["items"];
            let first =
                items["enum"].get(0).or_else(|| items["anyOf"].get(0).and_then(|one| one.get("const")));
            json!(first.into_iter().collect::<Vec<_>>())
        }
        _ => match format {
            "email" => json!("ana@example.org"),
            "uri" => json!("https://example.org/"),
            "date" => json!("2025-01-02"),
            "date-time" => json!("2025-01-02T03:04:05Z"),
            _ => json!("Ana"),
        },
    }
}

impl ClientHandler for Ear {
    fn get_info(&self) -> ClientConfig {
        let mut config = ClientConfig::default();
        if self.roots.is_some() {
            let declared = json!({ "roots": { "listChanged": true }, "sampling": {}, "elicitation": { "form": {}, "url": {} } });
            config.capabilities = typed(declared).unwrap_or_default();
        }
        config
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.asked("sampling/createMessage", &params);
        typed(
            json!({ "role": "assistant", "content": { "type": "text", "text": "sampled" }, "model": "still", "stopReason": "endTurn" }),
        )
    }

    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.asked("elicitation/create", &params);
        let params = json!(params);
        if params["mode"] == "url" {
            return typed(json!({ "action": "accept" }));
        }
        let properties = params["requestedSchema"]["properties"].as_object();
        let content: Map<String, Value> = properties
            .into_iter()
            .flatten()
            .map(|(name, property)| (name.clone(), filled_in(property)))
            .collect();
        typed(json!({ "action": "accept", "content": content }))
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        let uris = self.roots.iter().filter_map(Value::as_array).flatten();
        let roots: Vec<Value> = uris.map(|uri| json!({ "uri": uri, "name": "work" })).collect();
        typed(json!({ "roots": roots }))
    }

    async fn on_progress(&self, note: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }
}

struct Client {
    service: RunningService<RoleClient, Ear>,
    ear: Ear,
}

impl Client {
    async fn connect(target: &Value) -> Result<Self, Failure> {
        let words: Vec<&str> =
            target["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let (program, arguments) = words.split_first().ok_or("a target without a command")?;
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).env_clear().stderr(Stdio::null());
        for (name, value) in target["env"].as_object().into_iter().flatten() {
            command.env(name, value.as_str().unwrap_or_default());
        }
        command.current_dir(target["cwd"].as_str().unwrap_or("."));
        let (transport, _) = TokioChildProcess::builder(command).stderr(Stdio::null()).spawn()?;
        let roots = (target["asks"] == true).then(|| target["roots"].clone());
        let ear = Ear { roots, ..Ear::default() };
        let service = timeout(PATIENCE, ear.clone().serve(transport)).await??;
        Ok(Self { service, ear })
    }

    /// The outcome of one request, and the notes about it.
    async fn ask(&self, method: &str, params: &Value) -> Result<(Value, Vec<Value>), Failure> {
        let request: ClientRequest = serde_json::from_value(json!({ "method": method, "params": params }))?;
        let asked = self.service.send_cancellable_request(request, PeerRequestOptions::no_options()).await?;
        let token = asked.progress_token.clone();
        let outcome = match timeout(PATIENCE, asked.await_response()).await? {
            Ok(ServerResult::CustomResult(result)) => {
                json!({ "fault": format!("not understood: {:?}", result.0) })
            }
            Ok(result) => json!({ "result": serde_json::to_value(result)? }),
            Err(ServiceError::McpError(error)) => json!({ "error": serde_json::to_value(error)? }),
            Err(error) => return Err(error.into()),
        };
        // The SDK hands notes over beside the answer, in any order.
        let mut notes = self.ear.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        notes.retain(|note| note.progress_token == token);
        notes.sort_by(|a, b| a.progress.total_cmp(&b.progress));
        let notes = notes.into_iter().map(|note| json!([note.progress, note.total, note.message])).collect();
        Ok((outcome, notes))
    }

    /// All pages of all lists. A server without a method has an empty list.
    async fn lists(&self) -> Result<Map<String, Value>, Failure> {
        let mut found = Map::new();
        for (method, member) in LISTS {
            let (mut items, mut params) = (Vec::new(), json!({}));
            loop {
                let (mut outcome, _) = self.ask(method, &params).await?;
                match outcome.get("error").map(|error| error["code"] == -32601) {
                    Some(true) => break,
                    Some(false) => return Err(format!("{method}: {outcome}").into()),
                    None => {}
                }
                if let Value::Array(page) = outcome["result"][member].take() {
                    items.extend(page);
                }
                let Value::String(cursor) = outcome["result"]["nextCursor"].take() else { break };
                params = json!({ "cursor": cursor });
            }
            found.insert(method.to_owned(), items.into());
        }
        Ok(found)
    }
}

async fn carried_out(target: &Value) -> Result<Value, Failure> {
    let client = Client::connect(target).await?;
    sleep(Duration::from_secs_f64(target["quiet"].as_f64().unwrap_or_default())).await;
    let mut lists = client.lists().await?;
    for _ in 0..GATHER_ROUNDS_MAX {
        let length = |method: &str| lists.get(method).and_then(Value::as_array).map_or(0, Vec::len) as u64;
        let counts = target["counts"].as_object();
        if counts
            .into_iter()
            .flatten()
            .all(|(method, count)| length(method) >= count.as_u64().unwrap_or_default())
        {
            break;
        }
        sleep(Duration::from_millis(500)).await;
        lists = client.lists().await?;
    }
    let mut outcomes = Vec::new();
    for operation in target["operations"].as_array().into_iter().flatten() {
        let method = operation["method"].as_str().unwrap_or_default();
        let (mut outcome, notes) = match client.ask(method, &operation["params"]).await {
            Ok(answered) => answered,
            Err(failure) => (json!({ "fault": failure.to_string() }), Vec::new()),
        };
        outcome["asks"] =
            std::mem::take(&mut *client.ear.asks.lock().unwrap_or_else(PoisonError::into_inner)).into();
        outcome["progress"] = if operation["progress"] == true { notes.into() } else { json!([]) };
        outcomes.push(outcome);
    }
    let negotiated = serde_json::to_value(client.service.peer_info())?["protocolVersion"].take();
    timeout(PATIENCE, client.service.cancel()).await??;
    Ok(json!({ "negotiated": negotiated, "lists": lists, "outcomes": outcomes }))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut plan = String::new();
    std::io::stdin().read_to_string(&mut plan)?;
    let plan: Value = serde_json::from_str(&plan)?;
    for target in plan["targets"].as_array().into_iter().flatten() {
        let mut report = match timeout(TARGET_MAX, carried_out(target)).await {
            Ok(Ok(report)) => report,
            Ok(Err(failure)) => json!({ "fault": failure.to_string() }),
            Err(_) => json!({ "fault": "it took too long" }),
        };
        report["name"] = target["name"].clone();
        writeln!(std::io::stdout(), "{report}")?;
    }
    Ok(())
}
