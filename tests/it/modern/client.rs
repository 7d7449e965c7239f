//! A client without a session, and how it posts.

use crate::http::events::{Events, Said};
use crate::http::house::{House, Reply};
use axum::body::Body;
use http::{HeaderMap, Method, Request};
use mcp_braid::mcp::caller::{Grant, Principal, Scopes};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// Who it is, where it comes in, and what it can be asked.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) house: House,
    pub(crate) path: &'static str,
    pub(crate) principal: Principal,
    pub(crate) scopes: Scopes,
    pub(crate) capabilities: Value,
}

impl Client {
    pub(crate) fn of(house: &House) -> Self {
        Self {
            house: house.clone(),
            path: "/mcp",
            principal: Principal::anonymous(),
            scopes: Scopes::default(),
            capabilities: json!({"elicitation": {}, "roots": {}}),
        }
    }

    /// A whole request.
    pub(crate) fn message(&self, method: &str, mut params: Value) -> Value {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        json!({"jsonrpc": "2.0", "id": "i", "method": method, "params": params})
    }

    /// A POST as it should be, on its way in a task of its own.
    pub(crate) fn post(&self, method: &str, params: Value) -> JoinHandle<Reply> {
        self.post_with(self.message(method, params), |_| {})
    }

    /// The same with a head that is changed by `set`.
    pub(crate) fn post_with(&self, message: Value, set: impl FnOnce(&mut HeaderMap)) -> JoinHandle<Reply> {
        let text = message.to_string();
        self.post_text(&message, text, set)
    }

    /// The same with another text of the message than is written by itself.
    pub(crate) fn post_text(
        &self,
        message: &Value,
        text: String,
        set: impl FnOnce(&mut HeaderMap),
    ) -> JoinHandle<Reply> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.path)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2026-07-28");
        if let Some(method) = message["method"].as_str() {
            request = request.header("mcp-method", method);
        }
        let params = &message["params"];
        let named = [&params["name"], &params["uri"], &params["taskId"]];
        if let Some(name) = named.into_iter().find_map(Value::as_str) {
            request = request.header("mcp-name", name);
        }
        let mut request = request.body(Body::from(text)).unwrap();
        set(request.headers_mut());
        let (house, principal, scopes) = (self.house.clone(), self.principal.clone(), self.scopes.clone());
        tokio::spawn(async move { house.send_as(&Grant::of(principal, scopes), request).await })
    }

    /// A call of a tool that brings this back, as it stands.
    pub(crate) fn bring_back(&self, tool: &str, mut more: Value, state: &str) -> JoinHandle<Reply> {
        more["name"] = tool.into();
        more["requestState"] = PLACE.into();
        let message = self.message("tools/call", more);
        let text = message.to_string().replace(&format!("\"{PLACE}\""), state);
        self.post_text(&message, text, |_| {})
    }

    /// A call of a tool, to its answer, which must be JSON.
    pub(crate) async fn call(&self, tool: &str, mut more: Value) -> (u16, Value) {
        more["name"] = tool.into();
        let reply = self.post("tools/call", more).await.unwrap();
        (reply.status.as_u16(), reply.json().await)
    }
}

/// The next message of a stream; none of them has an id to come back by.
pub(crate) async fn message(events: &mut Events) -> Value {
    loop {
        match events.next().await.expect("the stream goes on") {
            Said::Event { id: None, name, data } => {
                assert_eq!(name.as_deref(), Some("message"));
                return serde_json::from_str(&data).unwrap();
            }
            Said::Comment(_) => {}
            other @ (Said::Event { .. } | Said::Retry(_)) => panic!("{other:?}"),
        }
    }
}

/// Stands where something is to stand that cannot be written otherwise.
const PLACE: &str = "what is brought back";
