//! A server made with the SDK, in a process of its own.
//!
//! The process is this test binary again, told to run `serve` alone. What the test harness prints would break
//! the protocol, so a shell hands it the pipe to the client as descriptor 3 and throws its stdout away. That
//! needs no second binary, and it is never older than the tests.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    CompletionInfo, ContentBlock, ErrorCode, ErrorData, GetPromptRequestParams, GetPromptResponse,
    GetPromptResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, Reference, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler, ServiceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// The program and its arguments.
pub(super) fn command() -> (&'static str, [String; 3]) {
    let script = format!(
        r#"exec 3>&1 >/dev/null; export {ROLE}=server; exec "$0" --exact sdk::peer::serve --nocapture"#
    );
    let own = std::env::current_exe().unwrap().into_os_string().into_string().unwrap();
    ("/bin/sh", ["-c".to_owned(), script, own])
}

const ROLE: &str = "BRAID_TEST_SDK_ROLE";

/// A test of nothing when it runs among the others: only `command` makes it a server.
#[tokio::test]
async fn serve() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let to_client = fs::File::options().write(true).open("/dev/fd/3").unwrap();
    let pipes = (tokio::io::stdin(), tokio::fs::File::from_std(to_client));
    Peer::default().serve(pipes).await.unwrap().waiting().await.unwrap();
}

/// A clock that can be asked about, and what a proxy must carry that no clock has.
struct Peer {
    grown: AtomicUsize,
    cancelled: watch::Sender<usize>,
}

impl Default for Peer {
    fn default() -> Self {
        Self { grown: AtomicUsize::new(0), cancelled: watch::Sender::new(0) }
    }
}

impl Peer {
    fn tools(&self) -> Vec<Value> {
        let schema = json!({ "type": "object", "properties": { "uri": { "type": "string" } } });
        let tool = |name: &str| json!({ "name": name, "description": name, "inputSchema": schema });
        let mut tools: Vec<_> =
            ["show", "steps", "wait", "cancelled", "refuse", "fail", "grow"].map(tool).into();
        tools[0]["title"] = json!("Zeig die Uhr – 時計");
        tools[0]["annotations"] = json!({ "readOnlyHint": true });
        tools[0]["_meta"] = json!({ "ui": { "resourceUri": FACE }, "example.org/kept": [1, null, "x"] });
        tools[0]["outputSchema"] = json!({ "type": "object", "properties": { "uri": { "type": "string" } } });
        tools.extend((0..self.grown.load(Ordering::SeqCst)).map(|n| tool(&format!("sprout_{n}"))));
        tools
    }

    /// Says that it has begun, and goes on until it is cancelled.
    async fn wait(&self, context: &RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
        progress(context, &[json!({ "progress": 1 })]).await;
        context.ct.cancelled().await;
        self.cancelled.send_modify(|count| *count += 1);
        Err(ErrorData::internal_error("nobody reads this", None))
    }

    /// Answers when something was cancelled.
    async fn cancelled(&self) -> CallToolResult {
        let mut cancelled = self.cancelled.subscribe();
        let count = *cancelled.wait_for(|count| *count > 0).await.unwrap();
        CallToolResult::structured(json!({ "cancelled": count }))
    }

    async fn grow(&self, context: &RequestContext<RoleServer>) -> CallToolResult {
        self.grown.fetch_add(1, Ordering::SeqCst);
        context.peer.notify_tool_list_changed().await.unwrap();
        CallToolResult::success(vec![ContentBlock::text("one more")])
    }
}

impl ServerHandler for Peer {
    fn get_info(&self) -> ServerConfig {
        made(json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {
                "tools": { "listChanged": true },
                "prompts": {},
                "resources": {},
                "completions": {},
            },
            "serverInfo": { "name": "clock", "title": "A clock", "version": "1.2.3" },
            "instructions": "Look at the clock.",
        }))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        page("tools", self.tools(), request)
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let arguments = json!([
            { "name": "zone", "description": "Where", "required": true },
            { "name": "tone", "title": "How it sounds" },
        ]);
        let prompts = ["explain", "compare", "praise"]
            .map(|name| json!({ "name": name, "title": "A prompt", "arguments": arguments }));
        page("prompts", prompts.into(), request)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resource = |uri: &str| json!({ "uri": uri, "name": "face", "mimeType": "text/html", "size": 7 });
        page("resources", [TIME, FACE, MANUAL].map(resource).into(), request)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = |uri: &str| json!({ "uriTemplate": uri, "name": "zone", "description": "By name" });
        let templates = [ZONE, "clock://{+path}", "clock:{?query*}"].map(template);
        page("resourceTemplates", templates.into(), request)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let result = match &*request.name {
            "show" => show(&request),
            "steps" => {
                let notes = [1.0, 2.5, 3.0, 10.25].map(
                    |done| json!({ "progress": done, "total": 10.25, "message": format!("{done} – ✓") }),
                );
                progress(&context, &notes).await;
                CallToolResult::success(vec![ContentBlock::text("there")])
            }
            "wait" => self.wait(&context).await?,
            "cancelled" => self.cancelled().await,
            "refuse" => {
                let data =
                    json!({ "why": ["out of order", 7.5, null], "uri": TIME, "nested": { "uri": TIME } });
                return Err(ErrorData::new(ErrorCode(-31_999), "not \"today\" – 今日", Some(data)));
            }
            "fail" => CallToolResult::error(vec![ContentBlock::text("the spring is broken")]),
            "grow" => self.grow(&context).await,
            name if name.starts_with("sprout_") => {
                CallToolResult::success(vec![ContentBlock::text(name.to_owned())])
            }
            name => return Err(ErrorData::invalid_params(format!("unknown tool {name}"), None)),
        };
        Ok(result.into())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let Some(zone) = request.arguments.as_ref().and_then(|arguments| arguments.get("zone")) else {
            return Err(ErrorData::invalid_params("zone is missing", Some(json!({ "missing": ["zone"] }))));
        };
        let resource = json!({ "uri": TIME, "mimeType": "text/plain", "text": "noon" });
        let result: GetPromptResult = made(json!({
            "description": request.name,
            "messages": [
                { "role": "user", "content": { "type": "text", "text": format!("What time is it in {zone}?") } },
                { "role": "user", "content": { "type": "resource", "resource": resource } },
                { "role": "assistant", "content": { "type": "resource_link", "uri": MANUAL, "name": "manual" } },
            ],
        }));
        Ok(result.into())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri;
        if ![TIME, FACE, MANUAL].contains(&&*uri) && !uri.starts_with("clock://zone/") {
            let text = format!("there is no {uri}");
            return Err(ErrorData::resource_not_found(text, Some(json!({ "uri": uri }))));
        }
        let result: ReadResourceResult = made(json!({ "contents": [
            { "uri": uri, "mimeType": "text/plain", "text": format!("this is {uri}") },
            { "uri": FACE, "mimeType": "image/png", "blob": "iVBORw0KGgo=", "_meta": { "uri": "kept" } },
        ] }));
        Ok(result.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let what = match &request.r#ref {
            Reference::Prompt(prompt) => prompt.name.clone(),
            Reference::Resource(resource) => resource.uri.clone(),
            other => return Err(ErrorData::invalid_params(format!("{other:?}"), None)),
        };
        let context = request.context.map(|context| json!(context).to_string()).unwrap_or_default();
        let values = vec![request.argument.value + "ugano", what, context];
        Ok(CompleteResult::new(CompletionInfo::with_pagination(values, Some(17), true).unwrap()))
    }
}

/// Every kind of content block; what was asked for stands in it.
fn show(request: &CallToolRequestParams) -> CallToolResult {
    let asked = json!(request.arguments);
    made(json!({
        "content": [
            { "type": "text", "text": asked.to_string(), "annotations": { "audience": ["user"], "priority": 0.5 } },
            { "type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png" },
            { "type": "audio", "data": "UklGRg==", "mimeType": "audio/wav" },
            { "type": "resource_link", "uri": TIME, "name": "time", "title": "The time" },
            { "type": "resource", "resource": { "uri": FACE, "mimeType": "text/html", "text": "<p>12:00" } },
        ],
        "structuredContent": { "uri": TIME, "asked": asked },
        "_meta": { "example.org/kept": { "uri": "kept" } },
    }))
}

/// Sends notes about a request, if its client wants them.
async fn progress(context: &RequestContext<RoleServer>, notes: &[Value]) {
    let Some(token) = context.meta.get_progress_token() else { return };
    for note in notes {
        let mut note = note.clone();
        note["progressToken"] = json!(token);
        let note: ProgressNotificationParam = made(note);
        context.peer.notify_progress(note).await.unwrap();
    }
}

/// Two items at a time; the cursor says how many came before.
fn page<T: DeserializeOwned>(
    member: &str,
    items: Vec<Value>,
    request: Option<PaginatedRequestParams>,
) -> Result<T, ErrorData> {
    let cursor = request.and_then(|request| request.cursor).unwrap_or_else(|| "after 0".to_owned());
    let Some(start) = cursor.strip_prefix("after ").and_then(|start| start.parse().ok()) else {
        return Err(ErrorData::invalid_params("no cursor of mine", None));
    };
    let total = items.len();
    let items: Vec<_> = items.into_iter().skip(start).take(2).collect();
    let end = start + items.len();
    Ok(made(match end < total {
        true => json!({ member: items, "nextCursor": format!("after {end}") }),
        false => json!({ member: items }),
    }))
}

/// A thing of the SDK's from what it is on the wire.
fn made<T: DeserializeOwned>(wire: Value) -> T {
    serde_json::from_value(wire).unwrap()
}

const TIME: &str = "clock://time";
const FACE: &str = "ui://clock/face.html";
const MANUAL: &str = "https://example.org/manual";
const ZONE: &str = "clock://zone/{name}";
