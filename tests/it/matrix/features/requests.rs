//! What is asked and answered: calls, lists, reads, prompts and completions.

use super::is;
use crate::matrix::endpoint::Revision;
use crate::matrix::pair::Pair;
use serde_json::{Value, json};

/// A result in all the kinds of content that both know, and its link as the client can follow it.
pub(super) async fn call(pair: &mut Pair) -> Result<(), String> {
    let params = json!({"name": "files__echo", "arguments": {"text": "é \"1.0\""}});
    let result = pair.client.ask("tools/call", params).await?;
    pair.server.did("called echo").await?;
    is(result["content"][0]["text"] == "é \"1.0\"", || format!("no echo: {result}"))?;
    let both = pair.server.endpoint().revision.min(pair.client.endpoint.revision);
    if both >= Revision::V2025_06_18 {
        let link = |part: &Value| part["type"] == "resource_link" && part["uri"] == "files+demo://a";
        let content = result["content"].as_array();
        let has_link = content.is_some_and(|content| content.iter().any(link));
        let has_structure = result["structuredContent"] == json!({"text": "é \"1.0\""});
        is(has_link && has_structure, || format!("less than there was: {result}"))?;
    }
    let unknown = pair.client.answer_to("tools/call", json!({"name": "files__none"})).await?;
    is(unknown["error"]["code"] == -32602, || format!("an unknown tool: {unknown}"))
}

/// All four lists, over all pages of both sides, with both servers in them and each name in its form.
pub(super) async fn list(pair: &mut Pair) -> Result<(), String> {
    let tools = listed(pair, "tools/list", "tools", "name").await?;
    let names = |list: &[&str], fronts: [&str; 2]| -> Vec<String> {
        fronts.iter().flat_map(|front| list.iter().map(move |name| format!("{front}{name}"))).collect()
    };
    let all =
        ["echo", "steps", "chatty", "slow", "silent", "mortal", "form", "page", "sample", "roots", "login"];
    is(tools == names(&all, ["files__", "other__"]), || format!("other tools: {tools:?}"))?;
    let prompts = listed(pair, "prompts/list", "prompts", "name").await?;
    let all = ["greet", "praise", "part"];
    is(prompts == names(&all, ["files__", "other__"]), || format!("other prompts: {prompts:?}"))?;
    let resources = listed(pair, "resources/list", "resources", "uri").await?;
    let all = ["demo://a", "demo://b", "demo://c"];
    is(resources == names(&all, ["files+", "other+"]), || format!("other resources: {resources:?}"))?;
    let templates = listed(pair, "resources/templates/list", "resourceTemplates", "uriTemplate").await?;
    let all = ["demo://{id}", "demo://{id}/more"];
    is(templates == names(&all, ["files+", "other+"]), || format!("other templates: {templates:?}"))
}

/// One member of every item of a list.
pub(super) async fn listed(
    pair: &mut Pair,
    method: &str,
    member: &str,
    key: &str,
) -> Result<Vec<String>, String> {
    let (mut all, mut params) = (Vec::new(), json!({}));
    for _ in 0..PAGES_MAX {
        let page = pair.client.ask(method, params).await?;
        let items = page[member].as_array().ok_or_else(|| format!("no list: {page}"))?;
        all.extend(items.iter().map(|item| item[key].as_str().unwrap_or_default().to_owned()));
        if page["nextCursor"].is_null() {
            return Ok(all);
        }
        params = json!({"cursor": page["nextCursor"]});
    }
    Err(format!("{method} never ends"))
}

pub(super) async fn read(pair: &mut Pair) -> Result<(), String> {
    let result = pair.client.ask("resources/read", json!({"uri": "files+demo://b"})).await?;
    let content = &result["contents"][0];
    let is_it = content["uri"] == "files+demo://b" && content["text"] == "of demo://b";
    is(is_it, || format!("another resource: {result}"))?;
    // 2025-11-25 and 2026-07-28, server/resources, error handling: what is not there has another code.
    let none = pair.client.answer_to("resources/read", json!({"uri": "files+demo://none"})).await?;
    let code = none["error"]["code"].as_i64();
    let is_code = match pair.client.endpoint.is_modern() {
        true => code == Some(-32602),
        false => matches!(code, Some(-32002 | -32602)),
    };
    is(is_code, || format!("a resource that is not there: {none}"))
}

pub(super) async fn prompt(pair: &mut Pair) -> Result<(), String> {
    let params = json!({"name": "files__greet", "arguments": {"who": "Ada"}});
    let result = pair.client.ask("prompts/get", params).await?;
    let content = &result["messages"][0]["content"];
    is(content["text"] == "hello Ada", || format!("another prompt: {result}"))
}

/// About a prompt and about a template, each by the client's name for it.
pub(super) async fn completion(pair: &mut Pair) -> Result<(), String> {
    let argument = json!({"name": "who", "value": "a"});
    for (about, says) in [
        (json!({"type": "ref/prompt", "name": "files__greet"}), "a of greet"),
        (json!({"type": "ref/resource", "uri": "files+demo://{id}"}), "a of demo://{id}"),
    ] {
        let result =
            pair.client.ask("completion/complete", json!({"ref": about, "argument": argument})).await?;
        is(result["completion"]["values"] == json!([says]), || format!("not {says}: {result}"))?;
    }
    Ok(())
}

const PAGES_MAX: usize = 16;
