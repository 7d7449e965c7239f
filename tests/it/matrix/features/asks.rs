//! What a server asks a client within a call.

use super::is;
use crate::matrix::client::answers::{NAME, PAGE, ROOT, SAMPLE};
use crate::matrix::endpoint::Revision;
use crate::matrix::pair::Pair;
use serde_json::{Value, json};

/// The question names its server; the answer arrives there.
pub(super) async fn form(pair: &mut Pair) -> Result<(), String> {
    let question = asked(pair, "form", "elicitation/create", NAME).await?;
    let params = &question["params"];
    let names = params["message"] == "[files] Who?";
    let is_form = params["requestedSchema"]["properties"]["name"]["type"] == "string";
    is(names && is_form, || format!("another question: {question}"))
}

pub(super) async fn page(pair: &mut Pair) -> Result<(), String> {
    let question = asked(pair, "page", "elicitation/create", PAGE).await?;
    let params = &question["params"];
    // Only 2025-11-25 has an id for it, and must have one (schema, ElicitRequestURLParams).
    let is_named = params["elicitationId"].is_string();
    let has_id = is_named == (pair.client.endpoint.revision == Revision::V2025_11_25);
    let is_page = params["mode"] == "url"
        && params["url"] == "https://example.com/a?b=c"
        && params["message"] == "[files] Look.";
    is(is_page && has_id, || format!("another question: {question}"))?;
    match pair.server.endpoint().revision == Revision::V2025_11_25 {
        true => required(pair).await,
        false => Ok(()),
    }
}

/// An error of 2025-11-25 that sends its client to a page. Later there is no such code, so it comes as a question.
async fn required(pair: &mut Pair) -> Result<(), String> {
    let again = match pair.client.endpoint.is_modern() {
        true => asked(pair, "login", "elicitation/create", "in").await?["params"].clone(),
        false => {
            let answer = pair.client.answer_to("tools/call", json!({"name": "files__login"})).await?;
            is(answer["error"]["code"] == -32042, || format!("not sent to a page: {answer}"))?;
            let result = pair.client.ask("tools/call", json!({"name": "files__login"})).await?;
            is(result["content"][0]["text"] == "in", || format!("refused again: {result}"))?;
            answer["error"]["data"]["elicitations"][0].clone()
        }
    };
    let is_page = again["mode"] == "url"
        && again["url"] == "https://example.com/a?b=c"
        && again["message"] == "[files] Look."
        && again["elicitationId"].is_string() != pair.client.endpoint.is_modern();
    is(is_page, || format!("another page: {again}"))
}

pub(super) async fn sampling(pair: &mut Pair) -> Result<(), String> {
    let question = asked(pair, "sample", "sampling/createMessage", SAMPLE).await?;
    let params = &question["params"];
    let is_it = params["messages"][0]["content"]["text"] == "6 * 7?" && params["maxTokens"] == 10;
    is(is_it, || format!("another question: {question}"))
}

pub(super) async fn roots(pair: &mut Pair) -> Result<(), String> {
    asked(pair, "roots", "roots/list", ROOT).await.map(drop)
}

/// Calls a tool that asks one thing, and gives the question. The call is answered with the answer.
async fn asked(pair: &mut Pair, tool: &str, method: &str, says: &str) -> Result<Value, String> {
    let result = pair.client.ask("tools/call", json!({"name": format!("files__{tool}")})).await?;
    let said = result["content"][0]["text"] == says && result["isError"] != true;
    is(said, || format!("the server was answered otherwise: {result}"))?;
    let mut questions = pair.client.questions();
    match (questions.pop(), questions.is_empty()) {
        (Some(question), true) if question["method"] == method => Ok(question),
        (last, _) => Err(format!("not asked once: {last:?} {questions:?}")),
    }
}

/// Calls the same; it is answered that it cannot be, and nobody was asked.
pub(super) async fn is_refused(pair: &mut Pair, tool: &str) -> Result<(), String> {
    let answer = pair.client.answer_to("tools/call", json!({"name": format!("files__{tool}")})).await?;
    let questions = pair.client.questions();
    is(questions.is_empty(), || format!("was asked all the same: {questions:?}"))?;
    let is_refusal = answer["result"]["isError"] == true || answer["error"].is_object();
    is(is_refusal, || format!("stands in impossible.txt and works: {answer}"))
}
