//! What a client of a revision may hear, and where.

use super::{Heard, Open, Place};
use crate::matrix::endpoint::{Endpoint, Revision, Transport};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is wrong with a message. `open`: the requests that have no answer yet.
pub(super) fn fault(endpoint: Endpoint, open: &BTreeMap<u64, Open>, heard: &Heard) -> Option<&'static str> {
    let Heard { place, message } = heard;
    if message["jsonrpc"] != "2.0" {
        return Some("no JSON-RPC");
    }
    match (message["method"].as_str(), message.get("id")) {
        (Some(method), Some(_)) => request(endpoint, *place, method, &message["params"]),
        (Some(method), None) => notification(endpoint, open, *place, method, &message["params"]),
        (None, Some(id)) => {
            let asked = id.as_u64().and_then(|id| Some((id, open.get(&id)?)));
            let Some((id, asked)) = asked else { return Some("an answer to no open request") };
            match endpoint.transport == Transport::Http && *place != Place::Post(id) {
                true => Some("an answer on another stream than its request's"),
                false => response(endpoint.revision, asked, message),
            }
        }
        (None, None) => Some("neither a request nor an answer"),
    }
}

fn request(endpoint: Endpoint, place: Place, method: &str, params: &Value) -> Option<&'static str> {
    let revision = endpoint.revision;
    if revision.is_modern() {
        return Some("a request of a server's");
    }
    if has_foreign_meta(params) {
        return Some("words of 2026-07-28");
    }
    if endpoint.transport == Transport::Http && place == Place::Beside {
        return Some("a question of a call beside the call's stream");
    }
    match method {
        "ping" | "roots/list" | "sampling/createMessage" => None,
        "elicitation/create" if revision >= Revision::V2025_06_18 => {
            match (params["mode"].as_str(), &params["elicitationId"]) {
                (Some("url"), Value::String(_)) if revision == Revision::V2025_11_25 => None,
                (Some("url"), _) => Some("a page that its revision does not have"),
                (Some(_) | None, Value::Null) => None,
                (Some(_) | None, _) => Some("a form with the id of a page"),
            }
        }
        _ => Some("a question that its revision does not have"),
    }
}

fn notification(
    endpoint: Endpoint,
    open: &BTreeMap<u64, Open>,
    place: Place,
    method: &str,
    params: &Value,
) -> Option<&'static str> {
    let (revision, is_http) = (endpoint.revision, endpoint.transport == Transport::Http);
    if !revision.is_modern() && has_foreign_meta(params) {
        return Some("words of 2026-07-28");
    }
    match method {
        "notifications/progress" => {
            let whose = open.iter().find(|(_, open)| open.token == params["progressToken"]);
            match whose {
                None => Some("progress of no open request"),
                Some((id, _)) if is_http && place != Place::Post(*id) => {
                    Some("progress on another stream than its request's")
                }
                Some(_) if revision == Revision::V2024_11_05 && !params["message"].is_null() => {
                    Some("progress with a message")
                }
                Some(_) => None,
            }
        }
        // In a call: no server here says anything else.
        "notifications/message" => match place {
            Place::Post(_) | Place::Pipe => None,
            Place::Beside => Some("a log of a call beside the call's stream"),
        },
        "notifications/cancelled" if !revision.is_modern() => None,
        "notifications/tools/list_changed"
        | "notifications/prompts/list_changed"
        | "notifications/resources/list_changed"
        | "notifications/resources/updated"
            if !revision.is_modern() =>
        {
            (is_http && place != Place::Beside).then_some("news on the stream of a request")
        }
        "notifications/subscriptions/acknowledged"
        | "notifications/tools/list_changed"
        | "notifications/prompts/list_changed"
        | "notifications/resources/list_changed"
        | "notifications/resources/updated"
            if revision.is_modern() =>
        {
            listened(open, place, params)
        }
        "notifications/elicitation/complete" if revision == Revision::V2025_11_25 => None,
        _ => Some("a notification that its revision does not have"),
    }
}

/// What is said to who listens carries the id of that request (2026-07-28, basic/patterns/subscriptions).
fn listened(open: &BTreeMap<u64, Open>, place: Place, params: &Value) -> Option<&'static str> {
    let id = params["_meta"]["io.modelcontextprotocol/subscriptionId"].as_u64();
    let listens = id.and_then(|id| Some((id, open.get(&id)?)));
    match listens.filter(|(_, open)| open.method == "subscriptions/listen") {
        None => Some("news for nobody who listens"),
        Some((id, _)) => {
            let here = place == Place::Pipe || place == Place::Post(id);
            (!here).then_some("news on another stream than its listener's")
        }
    }
}

fn response(revision: Revision, asked: &Open, message: &Value) -> Option<&'static str> {
    if let Some(code) = message["error"]["code"].as_i64() {
        return match (revision.is_modern(), code) {
            (false, -32022..=-32020) | (true, -32002 | -32042) => Some("a code of another era"),
            _ => None,
        };
    }
    let Some(result) = message["result"].as_object() else { return Some("neither a result nor an error") };
    match revision.is_modern() {
        true => modern_result(&asked.method, result),
        false => older_result(revision, &asked.method, result),
    }
}

fn modern_result(method: &str, result: &Map<String, Value>) -> Option<&'static str> {
    let text = |key: &str| result.get(key).and_then(Value::as_str);
    let may_ask = ["tools/call", "prompts/get", "resources/read"].contains(&method);
    let is_kept = method.ends_with("/list") || ["server/discover", "resources/read"].contains(&method);
    let has_hints = result.get("ttlMs").is_some_and(Value::is_u64)
        && matches!(text("cacheScope"), Some("private" | "public"));
    match text("resultType") {
        Some("complete") if is_kept && !has_hints => Some("a result without `ttlMs` or `cacheScope`"),
        Some("complete") => None,
        Some("input_required") if may_ask && !has_hints => None,
        Some("input_required") => Some("`input_required` where nothing can be"),
        Some(_) | None => Some("a result without `resultType`"),
    }
}

fn older_result(revision: Revision, method: &str, result: &Map<String, Value>) -> Option<&'static str> {
    let modern = ["resultType", "ttlMs", "cacheScope", "inputRequests", "requestState"];
    if modern.iter().any(|key| result.contains_key(*key)) || has_foreign_meta(&Value::Object(result.clone()))
    {
        return Some("words of 2026-07-28");
    }
    let content = || result.get("content").and_then(Value::as_array).into_iter().flatten();
    let holds = |kind: &str| content().any(|part| part["type"] == kind);
    let tools = || result.get("tools").and_then(Value::as_array).into_iter().flatten();
    match method {
        "tools/call" if revision < Revision::V2025_06_18 && result.contains_key("structuredContent") => {
            Some("`structuredContent`")
        }
        "tools/call" if revision < Revision::V2025_06_18 && holds("resource_link") => Some("a link"),
        "tools/call" if revision < Revision::V2025_03_26 && holds("audio") => Some("audio"),
        "tools/list"
            if revision < Revision::V2025_06_18 && tools().any(|tool| !tool["outputSchema"].is_null()) =>
        {
            Some("`outputSchema`")
        }
        _ => None,
    }
}

fn has_foreign_meta(holder: &Value) -> bool {
    let meta = holder["_meta"].as_object();
    meta.is_some_and(|meta| meta.keys().any(|key| key.starts_with("io.modelcontextprotocol/")))
}
