//! The SDK's client, and what it is told while nobody asks.
//!
//! Requests are built from JSON and results turned back into it, both by way of the SDK's own types, so that
//! what it cannot read fails here.

use super::soon;
use rmcp::model::{
    ClientConfig, ClientRequest, ProgressNotificationParam, ProgressToken, ProtocolVersion, ServerPeerInfo,
    ServerResult,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, NotificationContext, PeerRequestOptions, RequestHandle,
    RunningService, ServiceError,
};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientHandler, RoleClient};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::process::Command;
use tokio::sync::watch;

/// One connection to one program.
pub(super) struct Client {
    service: RunningService<RoleClient, Ear>,
    heard: watch::Receiver<Heard>,
}

/// What came without having been asked for. The SDK hands it over in any order.
#[derive(Default)]
pub(super) struct Heard {
    progress: Vec<ProgressNotificationParam>,
    pub(super) tools_changed: usize,
    pub(super) resources_changed: usize,
}

/// A request in flight.
pub(super) struct Asked(RequestHandle<RoleClient>);

struct Ear {
    revision: ProtocolVersion,
    heard: watch::Sender<Heard>,
}

impl Client {
    /// Starts a program and asks it for a revision, by the handshake.
    pub(super) async fn connect(command: Command, revision: ProtocolVersion) -> Self {
        Self::greet(command, revision, ClientLifecycleMode::Initialize).await
    }

    /// The same, but asks first whether the program is of the era without a handshake.
    pub(super) async fn probe(command: Command) -> Self {
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        let lifecycle = ClientLifecycleMode::Auto { preferred_versions, legacy_version: None };
        Self::greet(command, ProtocolVersion::LATEST, lifecycle).await
    }

    async fn greet(command: Command, revision: ProtocolVersion, lifecycle: ClientLifecycleMode) -> Self {
        let (sender, heard) = watch::channel(Heard::default());
        let ear = Ear { revision, heard: sender };
        let transport = TokioChildProcess::new(command).unwrap();
        let service = soon(ear.serve_with_lifecycle(transport, lifecycle)).await.unwrap();
        Self { service, heard }
    }

    /// What the other side said of itself.
    pub(super) fn server(&self) -> Arc<ServerPeerInfo> {
        self.service.peer_info().unwrap()
    }

    /// A request to its end: the result, or the error.
    pub(super) async fn ask(&self, method: &str, params: Value) -> Result<Value, Value> {
        self.begin(method, params).await.answer().await
    }

    pub(super) async fn begin(&self, method: &str, params: Value) -> Asked {
        let request: ClientRequest =
            serde_json::from_value(json!({ "method": method, "params": params })).unwrap();
        assert!(!matches!(request, ClientRequest::CustomRequest(_)), "the SDK does not know {method}");
        let options = PeerRequestOptions::no_options();
        Asked(soon(self.service.send_cancellable_request(request, options)).await.unwrap())
    }

    /// A list page by page; `member` holds the items.
    pub(super) async fn pages(&self, method: &str, member: &str) -> Vec<Vec<Value>> {
        let (mut pages, mut params) = (Vec::new(), json!({}));
        loop {
            let mut result = self.ask(method, params).await.unwrap();
            let Value::Array(items) = result[member].take() else { panic!("{method} without {member}") };
            pages.push(items);
            let Some(cursor) = result["nextCursor"].as_str() else { return pages };
            params = json!({ "cursor": cursor });
        }
    }

    /// Waits until what was heard is enough.
    pub(super) async fn until(&self, enough: impl FnMut(&Heard) -> bool) {
        soon(self.heard.clone().wait_for(enough)).await.unwrap();
    }

    /// What was heard under a token so far, in the order of its numbers.
    pub(super) fn progress(&self, token: &ProgressToken) -> Vec<Value> {
        let mut notes: Vec<_> = self
            .heard
            .borrow()
            .progress
            .iter()
            .filter(|note| note.progress_token == *token)
            .cloned()
            .collect();
        notes.sort_by(|a, b| a.progress.total_cmp(&b.progress));
        notes
            .into_iter()
            .map(|note| {
                let mut note = serde_json::to_value(note).unwrap();
                note.as_object_mut().unwrap().remove("progressToken");
                note
            })
            .collect()
    }

    /// Every token that something was heard under.
    pub(super) fn tokens(&self) -> HashSet<ProgressToken> {
        self.heard.borrow().progress.iter().map(|note| note.progress_token.clone()).collect()
    }

    /// Closes the connection and waits for the program to end.
    pub(super) async fn leave(self) {
        soon(self.service.cancel()).await.unwrap();
    }
}

impl Heard {
    /// The notes about one request.
    pub(super) fn under(&self, token: &ProgressToken) -> impl Iterator<Item = &ProgressNotificationParam> {
        self.progress.iter().filter(move |note| note.progress_token == *token)
    }
}

impl Asked {
    pub(super) fn token(&self) -> ProgressToken {
        self.0.progress_token.clone()
    }

    pub(super) async fn answer(self) -> Result<Value, Value> {
        match soon(self.0.await_response()).await {
            Ok(ServerResult::CustomResult(result)) => panic!("the SDK cannot read {:?}", result.0),
            Ok(result) => Ok(serde_json::to_value(result).unwrap()),
            Err(ServiceError::McpError(error)) => Err(serde_json::to_value(error).unwrap()),
            Err(error) => panic!("no answer: {error}"),
        }
    }

    pub(super) async fn cancel(self) {
        soon(self.0.cancel(Some("changed my mind".to_owned()))).await.unwrap();
    }
}

impl ClientHandler for Ear {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::default().with_protocol_version(self.revision.clone())
    }

    async fn on_progress(&self, note: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.heard.send_modify(|heard| heard.progress.push(note));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard.send_modify(|heard| heard.tools_changed += 1);
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard.send_modify(|heard| heard.resources_changed += 1);
    }
}
