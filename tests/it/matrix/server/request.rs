//! One request to a server: whether it may be said so, and what the answer is.

use super::Outlet;
use super::life::{Life, Listen, SUBSCRIPTION_ID};
use super::offer;
use crate::matrix::endpoint::Revision;
use serde_json::{Value, json};
use std::future::pending;
use std::sync::Arc;

pub(super) struct Request<'a> {
    pub(super) life: &'a Arc<Life>,
    pub(super) message: &'a Value,
    pub(super) outlet: &'a Outlet,
}

/// Why there is no result.
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Value,
}

impl Refusal {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: Value::Null }
    }
}

/// What is wrong with a request at this moment of this life.
pub(super) fn unfit(life: &Life, message: &Value) -> Option<String> {
    let method = message["method"].as_str().unwrap_or_default();
    let meta = &message["params"]["_meta"];
    if life.revision().is_modern() {
        let said = meta[PROTOCOL_VERSION].as_str();
        return match said == Some(Revision::V2026_07_28.as_str()) && meta[CAPABILITIES].is_object() {
            true => None,
            false => Some("a request that does not stand by itself".to_owned()),
        };
    }
    // A question of another era is answered, and is nothing else.
    if method == "server/discover" {
        return None;
    }
    let foreign = meta.as_object().is_some_and(|meta| meta.keys().any(|key| key.starts_with(RESERVED)));
    let state = life.state.lock();
    match (method, foreign, state.is_initialized, state.capabilities.is_null()) {
        (_, true, _, _) => Some("words of 2026-07-28".to_owned()),
        ("ping", false, _, _) | ("initialize", false, false, true) | (_, false, true, false) => None,
        (_, false, _, _) => Some("a request at the wrong time".to_owned()),
    }
}

impl Request<'_> {
    pub(super) fn params(&self) -> &Value {
        &self.message["params"]
    }

    pub(super) fn method(&self) -> &str {
        self.message["method"].as_str().unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.params()["name"].as_str().unwrap_or_else(|| self.method())
    }

    pub(super) fn is_cancelled(&self) {
        if self.method() == "subscriptions/listen" {
            return self.is_left();
        }
        self.life.desk.note(format!("cancelled {}", self.name()));
    }

    /// The whole answer.
    pub(super) async fn served(&self) -> Value {
        let id = &self.message["id"];
        match self.result().await {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": self.standing(result)}),
            Err(Refusal { code, message, data }) => {
                let mut error = json!({"code": code, "message": message});
                if !data.is_null() {
                    error["data"] = data;
                }
                json!({"jsonrpc": "2.0", "id": id, "error": error})
            }
        }
    }

    /// What every result of 2026-07-28 says besides (basic/index, result types; server/utilities/caching).
    fn standing(&self, mut result: Value) -> Value {
        if !self.life.revision().is_modern() {
            return result;
        }
        if result["resultType"].is_null() {
            result["resultType"] = json!("complete");
        }
        result["_meta"]["io.modelcontextprotocol/serverInfo"] = json!({"name": "s", "version": "1"});
        let is_kept = self.method().ends_with("/list")
            || ["server/discover", "resources/read"].contains(&self.method());
        if is_kept && result["resultType"] == "complete" {
            (result["ttlMs"], result["cacheScope"]) = (json!(0), json!("private"));
        }
        result
    }

    async fn result(&self) -> Result<Value, Refusal> {
        let revision = self.life.revision();
        if let Some(page) = offer::page(self) {
            return page;
        }
        match (self.method(), revision.is_modern()) {
            ("tools/call", _) => self.called().await,
            ("resources/read", _) => self.read(),
            ("prompts/get", _) => Ok(self.prompt()),
            ("completion/complete", _) => Ok(self.completion()),
            ("initialize", false) => Ok(self.greeted()),
            ("ping", false) => Ok(json!({})),
            ("logging/setLevel", false) => {
                self.life.state.lock().level = self.params()["level"].as_str().map(str::to_owned);
                Ok(json!({}))
            }
            ("resources/subscribe", false) => {
                let uri = self.uri();
                self.life.state.lock().subscribed.insert(uri.clone());
                self.life.desk.note(format!("subscribed {uri}"));
                Ok(json!({}))
            }
            ("resources/unsubscribe", false) => {
                let uri = self.uri();
                self.life.state.lock().subscribed.remove(&uri);
                self.life.desk.note(format!("unsubscribed {uri}"));
                Ok(json!({}))
            }
            ("server/discover", true) => Ok(offer::discovered(revision)),
            ("subscriptions/listen", true) => self.listened().await,
            (method, _) => {
                if method != "server/discover" {
                    self.life.desk.fault(format!("a method of no revision of its own: {method}"));
                }
                Err(Refusal::new(-32601, format!("method not found: {method}")))
            }
        }
    }

    fn uri(&self) -> String {
        self.params()["uri"].as_str().unwrap_or_default().to_owned()
    }

    fn greeted(&self) -> Value {
        let params = self.params();
        if !params["capabilities"].is_object() || !params["clientInfo"].is_object() {
            self.life.desk.fault(format!("half an `initialize`: {params}"));
        }
        self.life.state.lock().capabilities = params["capabilities"].clone();
        offer::greeting(self.life.revision())
    }

    fn read(&self) -> Result<Value, Refusal> {
        let uri = self.uri();
        match offer::is_resource(&uri) {
            true => {
                Ok(json!({"contents": [{"uri": uri, "mimeType": "text/plain", "text": format!("of {uri}")}]}))
            }
            false => {
                // 2025-11-25 and 2026-07-28, server/resources, error handling.
                let code = if self.life.revision().is_modern() { -32602 } else { -32002 };
                let data = json!({"uri": uri});
                Err(Refusal { data, ..Refusal::new(code, "resource not found") })
            }
        }
    }

    fn prompt(&self) -> Value {
        let who = &self.params()["arguments"]["who"];
        let text = format!("hello {}", who.as_str().unwrap_or_default());
        json!({"messages": [{"role": "user", "content": {"type": "text", "text": text}}]})
    }

    /// What there is for the argument depends on what it is about, so that a wrong name is seen.
    fn completion(&self) -> Value {
        let params = self.params();
        let about = match params["ref"]["type"].as_str() {
            Some("ref/prompt") => &params["ref"]["name"],
            _ => &params["ref"]["uri"],
        };
        let values = format!("{} of {}", params["argument"]["value"], about).replace('"', "");
        json!({"completion": {"values": [values], "total": 1, "hasMore": false}})
    }

    /// Tells what is wanted until nobody listens any more.
    async fn listened(&self) -> Result<Value, Refusal> {
        let (id, wants) = (&self.message["id"], &self.params()["notifications"]);
        let acknowledged = json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
            "params": {"_meta": {SUBSCRIPTION_ID: id}, "notifications": wants}});
        self.outlet.send(acknowledged).await.ok();
        for uri in wants["resourceSubscriptions"].as_array().into_iter().flatten() {
            if !self.life.is_listened_to_for(uri) {
                self.life.desk.note(format!("subscribed {}", uri.as_str().unwrap_or_default()));
            }
        }
        let listen = Listen { id: id.clone(), wants: wants.clone(), outlet: self.outlet.clone() };
        self.life.state.lock().listens.insert(id.to_string(), listen);
        self.life.desk.ring();
        pending().await
    }

    fn is_left(&self) {
        self.life.state.lock().listens.remove(&self.message["id"].to_string());
        let wants = &self.params()["notifications"];
        for uri in wants["resourceSubscriptions"].as_array().into_iter().flatten() {
            if !self.life.is_listened_to_for(uri) {
                self.life.desk.note(format!("unsubscribed {}", uri.as_str().unwrap_or_default()));
            }
        }
    }
}

pub(super) const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const RESERVED: &str = "io.modelcontextprotocol/";
