//! What a server says of itself and lists, in the words of its revision.

use super::request::{Refusal, Request};
use crate::matrix::endpoint::Revision;
use serde_json::{Value, json};

/// Its tools; the last is there only once it has grown.
const TOOLS: [&str; 12] = [
    "echo", "steps", "chatty", "slow", "silent", "mortal", "form", "page", "sample", "roots", "login",
    "fresh",
];
const PROMPTS: [&str; 3] = ["greet", "praise", "part"];
const RESOURCES: [&str; 3] = ["demo://a", "demo://b", "demo://c"];
const TEMPLATES: [&str; 2] = ["demo://{id}", "demo://{id}/more"];

/// Of each list, in one answer.
const ITEMS_MAX: usize = 2;

pub(super) fn is_resource(uri: &str) -> bool {
    RESOURCES.contains(&uri)
}

pub(super) fn greeting(revision: Revision) -> Value {
    json!({"protocolVersion": revision.as_str(), "capabilities": capabilities(revision),
        "serverInfo": {"name": "s", "version": "1"}, "instructions": "Ask."})
}

pub(super) fn discovered(revision: Revision) -> Value {
    json!({"supportedVersions": [revision.as_str()], "capabilities": capabilities(revision), "instructions": "Ask."})
}

/// 2024-11-05 has completions, but no word to declare them.
fn capabilities(revision: Revision) -> Value {
    let mut declared = json!({"tools": {"listChanged": true}, "prompts": {"listChanged": true},
        "resources": {"listChanged": true, "subscribe": true}, "logging": {}});
    if revision >= Revision::V2025_03_26 {
        declared["completions"] = json!({});
    }
    declared
}

/// A page of a list, if it is one that is asked for.
pub(super) fn page(request: &Request<'_>) -> Option<Result<Value, Refusal>> {
    let revision = request.life.revision();
    let (member, items): (_, Vec<Value>) = match request.method() {
        "tools/list" => {
            let count = if request.life.desk.is_grown() { TOOLS.len() } else { TOOLS.len() - 1 };
            ("tools", TOOLS.iter().take(count).map(|name| tool(name, revision)).collect())
        }
        "prompts/list" => {
            let prompt =
                |name: &&str| json!({"name": name, "arguments": [{"name": "who", "required": false}]});
            ("prompts", PROMPTS.iter().map(prompt).collect())
        }
        "resources/list" => {
            ("resources", RESOURCES.iter().map(|uri| json!({"uri": uri, "name": uri})).collect())
        }
        "resources/templates/list" => {
            let template = |uri: &&str| json!({"uriTemplate": uri, "name": uri});
            ("resourceTemplates", TEMPLATES.iter().map(template).collect())
        }
        _ => return None,
    };
    Some(cut(member, &items, &request.params()["cursor"]))
}

fn tool(name: &str, revision: Revision) -> Value {
    let mut tool =
        json!({"name": name, "description": format!("It can {name}."), "inputSchema": {"type": "object"}});
    if revision >= Revision::V2025_03_26 {
        tool["annotations"] = json!({"readOnlyHint": true});
    }
    if revision >= Revision::V2025_06_18 {
        tool["title"] = json!("T");
    }
    if revision >= Revision::V2025_06_18 && name == "echo" {
        tool["outputSchema"] =
            json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    }
    tool
}

/// The page that a cursor leads to. The first cursor is the empty text, which is one (2026-07-28,
/// server/utilities/pagination).
fn cut(member: &str, items: &[Value], cursor: &Value) -> Result<Value, Refusal> {
    let first = match cursor.as_str() {
        None if cursor.is_null() => 0,
        Some("") => 1,
        Some(number) => number.parse().map_err(|_| Refusal::new(-32602, "no such cursor"))?,
        None => return Err(Refusal::new(-32602, "no such cursor")),
    };
    let mut pages = items.chunks(ITEMS_MAX).skip(first);
    let page = pages.next().ok_or_else(|| Refusal::new(-32602, "no such cursor"))?;
    let mut result = json!({member: page});
    if pages.next().is_some() {
        result["nextCursor"] = if first == 0 { json!("") } else { json!((first + 1).to_string()) };
    }
    Ok(result)
}
