//! What a server asks its client within a call, as its revision does it.
//!
//! Up to 2025-11-25 it sends a request of its own; in 2026-07-28 the answer to the call says what is wanted, and the call
//! comes again with it. Who declared nothing is not asked.

use super::request::{CAPABILITIES, Refusal, Request};
use super::tools::text;
use crate::matrix::endpoint::Revision;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Form,
    Page,
    Sample,
    Roots,
}

impl Question {
    /// The first revision that has a word for it.
    fn since(self) -> Revision {
        match self {
            Self::Form => Revision::V2025_06_18,
            Self::Page => Revision::V2025_11_25,
            Self::Sample | Self::Roots => Revision::V2024_11_05,
        }
    }

    fn method(self) -> &'static str {
        match self {
            Self::Form | Self::Page => "elicitation/create",
            Self::Sample => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
    }

    fn params(self, revision: Revision) -> Option<Value> {
        match self {
            Self::Form => {
                let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
                let mut params = json!({"message": "Who?", "requestedSchema": schema});
                if revision >= Revision::V2025_11_25 {
                    params["mode"] = json!("form");
                }
                Some(params)
            }
            Self::Page => {
                let mut params =
                    json!({"mode": "url", "message": "Look.", "url": "https://example.com/a?b=c"});
                if revision == Revision::V2025_11_25 {
                    params["elicitationId"] = json!("e-1");
                }
                Some(params)
            }
            Self::Sample => {
                let message = json!({"role": "user", "content": {"type": "text", "text": "6 * 7?"}});
                Some(json!({"messages": [message], "maxTokens": 10}))
            }
            Self::Roots => None,
        }
    }

    /// What a client declares that can be asked this (2025-11-25, client/elicitation, capabilities: an empty object means
    /// forms).
    fn needs(self) -> Value {
        match self {
            Self::Form => json!({"elicitation": {"form": {}}}),
            Self::Page => json!({"elicitation": {"url": {}}}),
            Self::Sample => json!({"sampling": {}}),
            Self::Roots => json!({"roots": {}}),
        }
    }

    fn is_declared(self, capabilities: &Value) -> bool {
        match self {
            Self::Form => {
                let declared = &capabilities["elicitation"];
                declared["form"].is_object() || declared.as_object().is_some_and(serde_json::Map::is_empty)
            }
            Self::Page => capabilities["elicitation"]["url"].is_object(),
            Self::Sample => capabilities["sampling"].is_object(),
            Self::Roots => capabilities["roots"].is_object(),
        }
    }

    /// What the answer comes to.
    fn read(self, result: &Value) -> Option<&str> {
        match self {
            Self::Form => result["content"]["name"].as_str().filter(|_| result["action"] == "accept"),
            Self::Page => result["action"].as_str(),
            Self::Sample => result["content"]["text"].as_str().filter(|_| result["role"] == "assistant"),
            Self::Roots => result["roots"][0]["uri"].as_str(),
        }
    }
}

impl Request<'_> {
    pub(super) async fn ask(&self, question: Question) -> Result<Value, Refusal> {
        if self.life.revision() < question.since() {
            return Ok(refused("there is no word for that"));
        }
        match self.life.revision().is_modern() {
            true => self.ask_in_the_answer(question),
            false => Ok(self.ask_beside(question).await),
        }
    }

    async fn ask_beside(&self, question: Question) -> Value {
        let revision = self.life.revision();
        if !question.is_declared(&self.life.state.lock().capabilities) {
            return refused("the client cannot be asked that");
        }
        let answer = self.life.ask(question.method(), question.params(revision), self.outlet).await;
        match (question.read(&answer["result"]), answer["error"]["code"].as_i64()) {
            (Some(said), None) => text(said),
            (None, Some(-32601 | -32602)) => refused("the client refused that"),
            (Some(_) | None, _) => {
                self.life.desk.fault(format!("no answer to {question:?}: {answer}"));
                refused("the client said something odd")
            }
        }
    }

    /// The other way of 2025-11-25 to send a client to a page: the call is refused, and comes again (client/elicitation, URL
    /// elicitation required).
    pub(super) fn require(&self) -> Result<Value, Refusal> {
        let mut state = self.life.state.lock();
        if std::mem::replace(&mut state.is_sent, true) {
            return Ok(text("in"));
        }
        let page = Question::Page.params(Revision::V2025_11_25);
        Err(Refusal { data: json!({"elicitations": [page]}), ..Refusal::new(-32042, "log in first") })
    }

    /// 2026-07-28, basic/patterns/mrtr.
    fn ask_in_the_answer(&self, question: Question) -> Result<Value, Refusal> {
        let params = self.params();
        if !question.is_declared(&params["_meta"][CAPABILITIES]) {
            let data = json!({"requiredCapabilities": question.needs()});
            return Err(Refusal { data, ..Refusal::new(-32021, "the client cannot be asked that") });
        }
        let Some(answers) = params["inputResponses"].as_object() else {
            let mut ask = json!({"method": question.method()});
            if let Some(params) = question.params(self.life.revision()) {
                ask["params"] = params;
            }
            return Ok(
                json!({"resultType": "input_required", "inputRequests": {KEY: ask}, "requestState": STATE}),
            );
        };
        if params["requestState"] != STATE || answers.len() != 1 {
            self.life.desk.fault(format!("answers to something else: {params}"));
        }
        let said = answers.get(KEY).and_then(|answer| question.read(answer));
        said.map(text).ok_or_else(|| {
            self.life.desk.fault(format!("no answer to {question:?}: {params}"));
            Refusal::new(-32602, "that is no answer")
        })
    }
}

fn refused(why: &str) -> Value {
    let mut result = text(why);
    result["isError"] = json!(true);
    result
}

/// Under which it asks, and what it wants back: both are its own affair.
const KEY: &str = "k 1";
const STATE: &str = "s:\u{e9}\"/1";
