//! How a call ends otherwise than with its server's answer.

use super::is;
use crate::matrix::endpoint::Transport;
use crate::matrix::pair::Pair;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// Its server learns it, and the client hears no answer.
pub(super) async fn cancel(pair: &mut Pair) -> Result<(), String> {
    let id = pair.client.begin("tools/call", json!({"name": "files__slow"})).await?;
    pair.server.did("called slow").await?;
    pair.client.cancels(id).await?;
    pair.server.did("cancelled slow").await?;
    works_again(pair).await?;
    // Nothing says that two requests without a session are one client's. What a shared server asks without saying within
    // which call is nobody's for as long as it may mean the one that was cancelled.
    let (client, server) = (pair.client.endpoint, pair.server.endpoint());
    if client.is_modern() && client.transport == Transport::Http && server.transport != Transport::Http {
        sleep(IN_DOUBT).await;
    }
    Ok(())
}

/// The client is told whose time is over, and the server that nobody waits.
pub(super) async fn timeout(pair: &mut Pair) -> Result<(), String> {
    let answer = pair.client.answer_to("tools/call", json!({"name": "files__silent"})).await?;
    is_ours(&answer, "timeout")?;
    pair.server.did("cancelled silent").await?;
    works_again(pair).await?;
    // What is asked of a server that says nothing for long is asked in its own words, and nobody is lost over it.
    sleep(SILENCE).await;
    works_again(pair).await
}

/// The client is told at once, and the server is there again when it can be.
pub(super) async fn death(pair: &mut Pair) -> Result<(), String> {
    let answer = pair.client.answer_to("tools/call", json!({"name": "files__mortal"})).await?;
    is_ours(&answer, "gone")?;
    pair.server.rises();
    for _ in 0..TRIES_MAX {
        if works_again(pair).await.is_ok() {
            return Ok(());
        }
        sleep(BETWEEN_TRIES).await;
    }
    works_again(pair).await
}

/// An error of Braid's own, in words that every revision has.
fn is_ours(answer: &Value, reason: &str) -> Result<(), String> {
    let data = &answer["error"]["data"];
    let is_it = data["source"] == "braid" && data["server"] == "files" && data["reason"] == reason;
    is(is_it && data["outcome"] == "unknown", || format!("no {reason}: {answer}"))
}

async fn works_again(pair: &mut Pair) -> Result<(), String> {
    let params = json!({"name": "files__echo", "arguments": {"text": "again"}});
    let result = pair.client.ask("tools/call", params).await?;
    is(result["content"][0]["text"] == "again", || format!("no echo: {result}"))
}

/// A cancelled call may still have asked something for so long.
const IN_DOUBT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(300);
const TRIES_MAX: usize = 8;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
