//! What a client can be asked, and what it says.

use crate::matrix::endpoint::Revision;
use serde_json::{Value, json};

/// All that a client of this revision can declare.
pub(super) fn declared(revision: Revision) -> Value {
    let roots = match revision.is_modern() {
        true => json!({}),
        false => json!({"listChanged": true}),
    };
    let mut declared = json!({"roots": roots, "sampling": {}});
    if revision >= Revision::V2025_06_18 {
        declared["elicitation"] = json!({});
    }
    if revision >= Revision::V2025_11_25 {
        declared["elicitation"] = json!({"form": {}, "url": {}});
    }
    declared
}

/// The answer to a question; `None`: it was not declared that it may be asked.
pub(super) fn answer(revision: Revision, ask: &Value) -> Option<Value> {
    let can = declared(revision);
    let params = &ask["params"];
    match (ask["method"].as_str()?, params["mode"].as_str().unwrap_or("form")) {
        ("roots/list", _) => Some(json!({"roots": [{"uri": ROOT, "name": "work"}]})),
        ("sampling/createMessage", _) => {
            let content = json!({"type": "text", "text": SAMPLE});
            Some(json!({"role": "assistant", "content": content, "model": "m", "stopReason": "endTurn"}))
        }
        ("elicitation/create", "form") if can["elicitation"].is_object() => {
            Some(json!({"action": "accept", "content": {"name": NAME}}))
        }
        ("elicitation/create", "url") if can["elicitation"]["url"].is_object() => {
            Some(json!({"action": PAGE}))
        }
        ("ping", _) if !revision.is_modern() => Some(json!({})),
        (_, _) => None,
    }
}

pub(in crate::matrix) const ROOT: &str = "file:///work";
pub(in crate::matrix) const SAMPLE: &str = "42";
pub(in crate::matrix) const NAME: &str = "Ada";
pub(in crate::matrix) const PAGE: &str = "accept";
