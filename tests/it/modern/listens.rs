//! Listening over HTTP.

use super::client::{Client, message};
use crate::http::house::{House, settled, wait};
use crate::http::server::Server;
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_listener_hears_until_it_does_not_read_any_more() {
    let server = Server::new(&["echo"]);
    let house = House::shared(&server);
    let client = Client::of(&house);
    client.call("s__echo", json!({})).await;
    let listen = |filter| client.post("subscriptions/listen", json!({"notifications": filter}));
    let mut tools = listen(json!({"toolsListChanged": true})).await.unwrap().events();
    let mut prompts = listen(json!({"promptsListChanged": true})).await.unwrap().events();
    for events in [&mut tools, &mut prompts] {
        let first = message(events).await;
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "i");
    }
    server.offer(&["echo", "more"]);
    server.say(0, json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})).await;
    let news = message(&mut tools).await;
    assert_eq!(news["method"], "notifications/tools/list_changed");
    assert_eq!(news["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "i");
    wait(Duration::from_secs(1)).await;
    prompts.is_silent().await;
    drop(tools);
    settled().await;
    assert!(!house.front.is_empty());
    // We stop: the last word, and nothing waits for who listens.
    house.front.close();
    let last = message(&mut prompts).await;
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!("i"), &json!("complete")));
    assert_eq!(last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "i");
    prompts.ends().await;
    settled().await;
    assert!(house.front.is_empty());
}

#[tokio::test(start_paused = true)]
async fn as_many_may_listen_as_there_are_places() {
    let server = Server::new(&["echo"]);
    let client = Client::of(&House::shared(&server));
    let mut all = Vec::new();
    for _ in 0..1024 {
        let mut events =
            client.post("subscriptions/listen", json!({"notifications": {}})).await.unwrap().events();
        message(&mut events).await;
        all.push(events);
    }
    let reply = client.post("subscriptions/listen", json!({"notifications": {}})).await.unwrap();
    assert_eq!(reply.json().await["error"]["data"]["reason"], "busy");
    assert_eq!(client.call("s__echo", json!({})).await.0, 200);
    all.pop();
    settled().await;
    client.post("subscriptions/listen", json!({"notifications": {}})).await.unwrap().events();
}
