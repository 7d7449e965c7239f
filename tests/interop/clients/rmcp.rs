//! The official Rust SDK's client, as the other client programs of the interop run: a plan on stdin, one line of JSON
//! per target on stdout (see `plan.py`). It knows nothing of servers or proxies.
#![expect(clippy::disallowed_types, reason = "what a client makes of an answer is only compared")]

use rmcp::model::{ClientConfig, ClientRequest, ProgressNotificationParam, ServerResult};
use rmcp::service::{NotificationContext, PeerRequestOptions, RunningService, ServiceError};
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

/// Keeps what is told about requests.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<ProgressNotificationParam>>>);

impl ClientHandler for Ear {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::default()
    }

    async fn on_progress(&self, note: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note);
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
        let ear = Ear::default();
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
        let mut notes = self.ear.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
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
        outcome["asks"] = json!([]);
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
