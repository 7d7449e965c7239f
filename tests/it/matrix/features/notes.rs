//! What a server says of a request before it answers it: progress and logs.

use super::is;
use crate::matrix::endpoint::Revision;
use crate::matrix::pair::Pair;
use serde_json::{Value, json};

/// Both steps with the client's own token, before the answer.
pub(super) async fn progress(pair: &mut Pair) -> Result<(), String> {
    let params = json!({"name": "files__steps", "_meta": {"progressToken": "t-1"}});
    let id = pair.client.begin("tools/call", params).await?;
    for step in 1..=2 {
        let note = pair.client.hears("progress", is_note_or(id)).await?;
        let params = &note["params"];
        let is_step = note["method"] == "notifications/progress"
            && params["progressToken"] == "t-1"
            && params["progress"] == step;
        is(is_step, || format!("no step {step}: {note}"))?;
        let both = pair.server.endpoint().revision.min(pair.client.endpoint.revision);
        let has_message = params["message"] == "on the way";
        is(both < Revision::V2025_03_26 || has_message, || format!("without its message: {note}"))?;
    }
    pair.client.answered(id).await.map(drop)
}

/// What is important enough, and nothing milder; nothing at all where nobody asked for it.
pub(super) async fn log(pair: &mut Pair) -> Result<(), String> {
    let mut params = json!({"name": "files__chatty"});
    let id = match pair.client.endpoint.is_modern() {
        true => {
            params["_meta"]["io.modelcontextprotocol/logLevel"] = json!("notice");
            pair.client.begin("tools/call", params).await?
        }
        false => {
            pair.client.ask("logging/setLevel", json!({"level": "notice"})).await?;
            pair.client.begin("tools/call", params).await?
        }
    };
    let note = pair.client.hears("a log", is_note_or(id)).await?;
    let params = &note["params"];
    let is_log = note["method"] == "notifications/message"
        && params["level"] == "warning"
        && params["data"] == "take care";
    is(is_log, || format!("no warning: {note}"))?;
    let answer = pair.client.answered(id).await?;
    is(answer["result"]["content"][0]["text"] == "said", || format!("no answer: {answer}"))?;
    if pair.client.endpoint.is_modern() {
        // 2026-07-28, server/utilities/logging: a request that names no level gets none.
        let id = pair.client.begin("tools/call", json!({"name": "files__chatty"})).await?;
        let next = pair.client.hears("an answer", is_note_or(id)).await?;
        is(next["id"] == id, || format!("was not asked for: {next}"))?;
    }
    Ok(())
}

/// What is said of a request before its answer, or the answer.
fn is_note_or(id: u64) -> impl Fn(&Value) -> bool {
    move |message| !message["method"].is_null() || message["id"] == id
}
