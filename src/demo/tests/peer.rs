//! The official SDK as client: somebody else's reading of the same specification.

use std::os::unix::net::UnixStream;
use std::thread;

use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
    ElicitationAction, GetPromptRequestParams, ProgressNotificationParam, ReadResourceRequestParams,
};
use rmcp::service::{NotificationContext, RequestContext, RunningService};
use rmcp::{ClientHandler, ErrorData, RoleClient, ServiceExt};
use serde_json::json;
use tokio::sync::mpsc;

use crate::demo::run;

/// Fills in every form, and passes on the name of each notification.
struct Person(mpsc::Sender<&'static str>);

impl ClientHandler for Person {
    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::default();
        info.capabilities = ClientCapabilities::builder().enable_elicitation().build();
        info
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({ "thing": "box" })))
    }

    async fn on_progress(&self, _: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.0.send("progress").await.unwrap();
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.send("changed").await.unwrap();
    }
}

#[tokio::test]
async fn the_official_sdk_understands_the_notebook() {
    let (sender, mut notes) = mpsc::channel(8);
    let (client, server) = connect("notes", sender).await;
    assert_eq!(client.list_all_tools().await.unwrap().len(), 4);
    assert_eq!(client.list_all_resources().await.unwrap().len(), 3);
    assert_eq!(client.list_all_resource_templates().await.unwrap().len(), 1);
    assert_eq!(client.list_all_prompts().await.unwrap().len(), 2);

    let add = call("add", json!({ "title": "Box", "text": "Of oak." }));
    assert_eq!(client.call_tool(add).await.unwrap().structured_content.unwrap()["id"], "box");
    let found = client.call_tool(call("search", json!({ "query": "oak" }))).await.unwrap();
    assert_eq!(found.content[1].as_resource_link().unwrap().uri, "note://box");
    let read = client.read_resource(ReadResourceRequestParams::new("note://box")).await.unwrap();
    assert_eq!(read.contents.len(), 1);

    let mut prompt = GetPromptRequestParams::new("summarise");
    prompt.arguments = json!({ "id": "box" }).as_object().cloned();
    assert_eq!(client.get_prompt(prompt).await.unwrap().messages.len(), 2);

    let ids = client.complete_resource_simple("note://{id}", "id", "b").await.unwrap();
    assert_eq!(ids, ["box"]);

    assert_eq!(notes.recv().await, Some("changed"));
    client.cancel().await.unwrap();
    server.join().unwrap();
}

#[tokio::test]
async fn the_official_sdk_understands_the_workshop() {
    let (sender, mut notes) = mpsc::channel(8);
    let (client, server) = connect("workshop", sender).await;
    assert_eq!(client.list_all_tools().await.unwrap().len(), 6);

    let picture = client.call_tool(call("picture", json!({}))).await.unwrap();
    assert_eq!(picture.content[1].as_image().unwrap().mime_type, "image/png");
    let failed = client.call_tool(call("fail", json!({}))).await.unwrap();
    assert_eq!(failed.is_error, Some(true));
    assert!(client.call_tool(call("crash", json!({}))).await.is_err());

    let asked = client.call_tool(call("ask", json!({}))).await.unwrap();
    assert_eq!(asked.content[0].as_text().unwrap().text, r#"ordered: {"thing":"box"}"#);
    let counted = client.call_tool(call("countdown", json!({ "steps": 3, "delay_ms": 0 }))).await.unwrap();
    assert_eq!(counted.content[0].as_text().unwrap().text, "counted down 3 steps of 0 ms");
    for _ in 0..3 {
        assert_eq!(notes.recv().await, Some("progress"));
    }

    client.cancel().await.unwrap();
    server.join().unwrap();
}

async fn connect(
    name: &'static str,
    notes: mpsc::Sender<&'static str>,
) -> (RunningService<RoleClient, Person>, thread::JoinHandle<std::process::ExitCode>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let output = theirs.try_clone().unwrap();
    let server = thread::spawn(move || run(name, theirs, output));
    ours.set_nonblocking(true).unwrap();
    let ours = tokio::net::UnixStream::from_std(ours).unwrap();
    (Person(notes).serve(ours).await.unwrap(), server)
}

fn call(tool: &'static str, arguments: serde_json::Value) -> CallToolRequestParams {
    CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone())
}
