//! What a server's tools do.

use super::asking::Question;
use super::request::{Refusal, Request};
use crate::matrix::endpoint::Revision;
use serde_json::{Value, json};
use std::future::pending;

/// From the mildest on.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

impl Request<'_> {
    pub(super) async fn called(&self) -> Result<Value, Refusal> {
        let name = self.params()["name"].as_str().unwrap_or_default();
        self.life.desk.note(format!("called {name}"));
        match name {
            "echo" => Ok(self.echo()),
            "steps" => {
                self.progress(1).await;
                self.progress(2).await;
                Ok(text("went"))
            }
            "chatty" => {
                self.log("debug", "a whisper").await;
                self.log("warning", "take care").await;
                Ok(text("said"))
            }
            "slow" | "silent" => pending().await,
            "mortal" => {
                self.life.desk.die();
                pending().await
            }
            "form" => self.ask(Question::Form).await,
            "page" => self.ask(Question::Page).await,
            "login" => self.require(),
            "sample" => self.ask(Question::Sample).await,
            "roots" => self.ask(Question::Roots).await,
            other => Err(Refusal::new(-32602, format!("unknown tool: {other}"))),
        }
    }

    /// What it was given, in everything that its revision has for that.
    fn echo(&self) -> Value {
        let said = self.params()["arguments"]["text"].as_str().unwrap_or_default();
        let mut result = text(said);
        let content = result["content"].as_array_mut().unwrap();
        if self.life.revision() >= Revision::V2025_03_26 {
            content.push(json!({"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}));
        }
        if self.life.revision() >= Revision::V2025_06_18 {
            content.push(json!({"type": "resource_link", "uri": "demo://a", "name": "a"}));
            result["structuredContent"] = json!({"text": said});
        }
        result
    }

    async fn progress(&self, done: u64) {
        let token = &self.params()["_meta"]["progressToken"];
        if token.is_null() {
            return self.life.desk.fault("no token came with a request for progress".to_owned());
        }
        let mut params = json!({"progressToken": token, "progress": done, "total": 2});
        if self.life.revision() >= Revision::V2025_03_26 {
            params["message"] = json!("on the way");
        }
        self.say("notifications/progress", params).await;
    }

    /// Says it if whoever called wants to hear what is so important.
    async fn log(&self, level: &str, data: &str) {
        let wanted = match self.life.revision().is_modern() {
            true => self.params()["_meta"]["io.modelcontextprotocol/logLevel"].as_str().map(str::to_owned),
            false => self.life.state.lock().level.clone(),
        };
        let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
        if wanted.is_some_and(|wanted| rank(level) >= rank(&wanted)) {
            let params = json!({"level": level, "logger": "l", "data": data});
            self.say("notifications/message", params).await;
        }
    }

    async fn say(&self, method: &str, params: Value) {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.outlet.send(message).await.ok();
    }
}

pub(super) fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}
