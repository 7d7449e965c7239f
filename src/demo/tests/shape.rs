//! What the schema of 2025-11-25 demands of each message of a server, written out by hand, and what each older
//! revision has no word for.

use serde_json::Value;

use crate::demo::revision::Revision;

/// Any message that a server sends.
pub(super) fn message(message: &Value, revision: Revision) {
    if let Some(batch) = message.as_array() {
        assert!(revision.batches() && !batch.is_empty());
        return batch.iter().for_each(response);
    }
    assert_eq!(message["jsonrpc"], "2.0");
    let Some(method) = message.get("method") else { return response(message) };
    let params = &message["params"];
    match method.as_str().unwrap() {
        "notifications/resources/list_changed" => only(message, &["jsonrpc", "method"]),
        "notifications/progress" => {
            only(message, &["jsonrpc", "method", "params"]);
            only(params, &["progressToken", "progress", "total", "message"]);
            assert!(params["progressToken"].is_string() || params["progressToken"].is_number());
            assert!(params["progress"].is_number() && params["total"].is_number());
            let worded = revision >= Revision::V2025_03_26;
            assert_eq!(params.get("message").is_some_and(Value::is_string), worded);
        }
        "notifications/cancelled" => assert!(params["requestId"].is_string() && params["reason"].is_string()),
        "elicitation/create" => {
            assert!(revision >= Revision::V2025_06_18);
            only(message, &["jsonrpc", "id", "method", "params"]);
            assert!(message["id"].is_string());
            form(params);
        }
        method => panic!("a server does not send {method}"),
    }
}

/// A result, by the method that it answers.
pub(super) fn result(method: &str, result: &Value, revision: Revision) {
    match method {
        "ping" => only(result, &[]),
        "initialize" => initialized(result, revision),
        "tools/list" => each(result, "tools", |item| tool(item, revision)),
        "tools/call" => called(result, revision),
        "resources/list" => each(result, "resources", |item| resource(item, revision)),
        "resources/templates/list" => each(result, "resourceTemplates", |item| template(item, revision)),
        "resources/read" => each(result, "contents", contents),
        "prompts/list" => each(result, "prompts", |item| prompt(item, revision)),
        "prompts/get" => {
            optional_text(result, "description");
            for message in result["messages"].as_array().unwrap() {
                only(message, &["role", "content"]);
                assert!(["user", "assistant"].contains(&message["role"].as_str().unwrap()));
                block(&message["content"], revision);
            }
        }
        "completion/complete" => {
            only(result, &["completion"]);
            let completion = &result["completion"];
            only(completion, &["values", "total", "hasMore"]);
            let values = completion["values"].as_array().unwrap();
            assert!(values.len() <= 100 && values.iter().all(Value::is_string));
            assert!(completion["total"].is_u64() && completion["hasMore"].is_boolean());
        }
        method => panic!("no result of {method} is known"),
    }
}

fn response(response: &Value) {
    assert_eq!(response["jsonrpc"], "2.0");
    let id = response.get("id");
    assert!(id.is_none_or(|id| id.is_string() || id.is_number()));
    match response.get("error") {
        Some(error) => {
            only(response, &["jsonrpc", "id", "error"]);
            only(error, &["code", "message", "data"]);
            assert!(error["code"].is_i64() && error["message"].is_string());
        }
        None => {
            only(response, &["jsonrpc", "id", "result"]);
            assert!(id.is_some() && response["result"].is_object());
        }
    }
}

fn initialized(result: &Value, revision: Revision) {
    only(result, &["protocolVersion", "capabilities", "serverInfo", "instructions"]);
    assert_eq!(result["protocolVersion"], revision.as_str());
    assert!(result["instructions"].is_string());
    let capabilities = result["capabilities"].as_object().unwrap();
    assert!(capabilities.values().all(Value::is_object));
    assert_eq!(capabilities.contains_key("completions"), revision >= Revision::V2025_03_26);
    let server = &result["serverInfo"];
    only(server, &["name", "title", "version"]);
    text(server, "name");
    text(server, "version");
    titled(server, revision);
}

fn tool(tool: &Value, revision: Revision) {
    only(tool, &["name", "title", "description", "inputSchema", "outputSchema", "annotations"]);
    text(tool, "name");
    text(tool, "description");
    titled(tool, revision);
    assert_eq!(tool["inputSchema"]["type"], "object");
    if let Some(output) = tool.get("outputSchema") {
        assert!(revision >= Revision::V2025_06_18);
        assert_eq!(output["type"], "object");
    }
    assert_eq!(tool.get("annotations").is_some(), revision >= Revision::V2025_03_26);
    if let Some(annotations) = tool["annotations"].as_object() {
        assert!(annotations.values().all(Value::is_boolean));
        assert!(annotations.keys().all(|hint| hint.ends_with("Hint")));
    }
}

fn called(result: &Value, revision: Revision) {
    only(result, &["content", "isError", "structuredContent"]);
    result["content"].as_array().unwrap().iter().for_each(|item| block(item, revision));
    assert!(result.get("isError").is_none_or(Value::is_boolean));
    if let Some(structured) = result.get("structuredContent") {
        assert!(revision >= Revision::V2025_06_18);
        assert!(structured.is_object());
        let same = result["content"].as_array().unwrap().iter().any(|block| {
            let text = block["text"].as_str().unwrap_or_default();
            serde_json::from_str::<Value>(text).is_ok_and(|value| value == *structured)
        });
        assert!(same, "structured content stands as text too");
    }
}

fn block(block: &Value, revision: Revision) {
    match block["type"].as_str().unwrap() {
        "text" => {
            only(block, &["type", "text"]);
            text(block, "text");
        }
        "image" => {
            only(block, &["type", "data", "mimeType"]);
            text(block, "mimeType");
            base64(&block["data"]);
        }
        "resource" => contents(&block["resource"]),
        "resource_link" => {
            assert!(revision >= Revision::V2025_06_18);
            let mut link = block.clone();
            link.as_object_mut().unwrap().remove("type");
            resource(&link, revision);
        }
        kind => panic!("no block is a {kind}"),
    }
}

fn resource(resource: &Value, revision: Revision) {
    only(resource, &["uri", "name", "title", "mimeType", "size"]);
    text(resource, "uri");
    text(resource, "name");
    titled(resource, revision);
    optional_text(resource, "mimeType");
    assert!(resource.get("size").is_none_or(Value::is_u64));
}

fn template(template: &Value, revision: Revision) {
    only(template, &["uriTemplate", "name", "title", "mimeType"]);
    text(template, "uriTemplate");
    text(template, "name");
    titled(template, revision);
}

fn contents(contents: &Value) {
    text(contents, "uri");
    optional_text(contents, "mimeType");
    match contents.get("blob") {
        Some(blob) => {
            only(contents, &["uri", "mimeType", "blob"]);
            base64(blob);
        }
        None => {
            only(contents, &["uri", "mimeType", "text"]);
            text(contents, "text");
        }
    }
}

fn prompt(prompt: &Value, revision: Revision) {
    only(prompt, &["name", "title", "description", "arguments"]);
    text(prompt, "name");
    titled(prompt, revision);
    for argument in prompt["arguments"].as_array().unwrap() {
        only(argument, &["name", "description", "required"]);
        text(argument, "name");
        assert!(argument["required"].is_boolean());
    }
}

/// The restricted schema of forms, in the words that 2025-06-18 and 2025-11-25 share.
fn form(params: &Value) {
    only(params, &["message", "requestedSchema"]);
    text(params, "message");
    let schema = &params["requestedSchema"];
    only(schema, &["type", "properties", "required"]);
    assert_eq!(schema["type"], "object");
    for property in schema["properties"].as_object().unwrap().values() {
        let kind = property["type"].as_str().unwrap();
        only(
            property,
            match kind {
                "string" if property.get("enum").is_some() => &["type", "title", "enum"],
                "string" => &["type", "title", "minLength", "maxLength"],
                "integer" => &["type", "title", "minimum", "maximum", "default"],
                "boolean" => &["type", "title", "default"],
                kind => panic!("no field of a form is a {kind}"),
            },
        );
    }
    let required = schema["required"].as_array().unwrap();
    assert!(required.iter().all(|name| schema["properties"].get(name.as_str().unwrap()).is_some()));
}

fn each(result: &Value, member: &str, check: impl Fn(&Value)) {
    only(result, &[member]);
    result[member].as_array().unwrap().iter().for_each(check);
}

/// `title` is of 2025-06-18 and later, and everything here has one.
fn titled(thing: &Value, revision: Revision) {
    assert_eq!(
        thing.get("title").is_some_and(Value::is_string),
        revision >= Revision::V2025_06_18,
        "{thing}"
    );
}

fn text(thing: &Value, member: &str) {
    assert!(thing[member].is_string(), "`{member}` of {thing}");
}

fn optional_text(thing: &Value, member: &str) {
    assert!(thing.get(member).is_none_or(Value::is_string), "`{member}` of {thing}");
}

fn base64(data: &Value) {
    let data = data.as_str().unwrap();
    assert!(data.len().is_multiple_of(4) && !data.is_empty());
    let letters = data.trim_end_matches('=');
    assert!(letters.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte)));
}

fn only(thing: &Value, members: &[&str]) {
    for member in thing.as_object().unwrap().keys() {
        assert!(members.contains(&member.as_str()), "`{member}` does not belong in {thing}");
    }
}
