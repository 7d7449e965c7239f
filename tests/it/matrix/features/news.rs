//! What a server says beside its answers: that its lists changed, and that a resource did.

use super::is;
use super::requests::listed;
use crate::matrix::pair::Pair;
use serde_json::{Value, json};

/// A client that has listed is told, and finds what is new.
pub(super) async fn list_changed(pair: &mut Pair) -> Result<(), String> {
    listed(pair, "tools/list", "tools", "name").await?;
    let listens = match pair.client.endpoint.is_modern() {
        true => Some(listens(pair, json!({"toolsListChanged": true})).await?),
        false => None,
    };
    pair.server.grows().await?;
    let is_news = |message: &Value| message["method"] == "notifications/tools/list_changed";
    pair.client.hears("the news of a list", is_news).await?;
    let tools = listed(pair, "tools/list", "tools", "name").await?;
    is(tools.contains(&"files__fresh".to_owned()), || format!("nothing is new: {tools:?}"))?;
    match listens {
        Some(id) => pair.client.cancels(id).await,
        None => Ok(()),
    }
}

/// A client that has subscribed is told by its own URI, until it does not want to be told.
pub(super) async fn updated(pair: &mut Pair) -> Result<(), String> {
    let is_modern = pair.client.endpoint.is_modern();
    let listens = match is_modern {
        true => Some(listens(pair, json!({"resourceSubscriptions": ["files+demo://a"]})).await?),
        false => {
            pair.client.ask("resources/subscribe", json!({"uri": "files+demo://a"})).await?;
            None
        }
    };
    pair.server.did("subscribed demo://a").await?;
    pair.server.touches("demo://a").await?;
    let is_news = |message: &Value| message["method"] == "notifications/resources/updated";
    let news = pair.client.hears("the news of a resource", is_news).await?;
    is(news["params"]["uri"] == "files+demo://a", || format!("of another resource: {news}"))?;
    match listens {
        Some(id) => pair.client.cancels(id).await?,
        None => {
            pair.client.ask("resources/unsubscribe", json!({"uri": "files+demo://a"})).await?;
        }
    }
    pair.server.did("unsubscribed demo://a").await
}

/// Listens to all of this, and hears first that it is heard of (2026-07-28, basic/patterns/subscriptions).
async fn listens(pair: &mut Pair, wants: Value) -> Result<u64, String> {
    let id = pair.client.begin("subscriptions/listen", json!({"notifications": wants})).await?;
    let first = |message: &Value| {
        message["id"] == id || message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == id
    };
    let first = pair.client.hears("what is listened to", first).await?;
    let is_all = first["method"] == "notifications/subscriptions/acknowledged"
        && first["params"]["notifications"] == wants;
    is(is_all, || format!("not listened to as wanted: {first}"))?;
    Ok(id)
}
