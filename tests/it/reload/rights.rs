//! Rights that are others after the file was read anew, for clients that are there.

use super::{Filed, TOOLS_CHANGED, answer, heard, names, tools};
use crate::http::house::{call, settled, wait};
use crate::http::server::Server;
use crate::modern::client::Client as Alone;
use mcp_braid::config::AccessRule;
use serde_json::json;
use std::time::Duration;

const A_WHILE: Duration = Duration::from_secs(5);

fn rule(servers: &[&str]) -> Vec<AccessRule> {
    vec![AccessRule { servers: names(servers), principals: names(&["anonymous"]), ..AccessRule::new("r") }]
}

#[tokio::test(start_paused = true)]
async fn who_loses_a_right_hears_of_it_and_cannot_use_it_and_who_gets_it_back_can() {
    let [files, notes] = ["echo", "write"].map(|tool| Server::new(&[tool]));
    let mut filed = Filed::new(&[("files", &files), ("notes", &notes)]);
    let client = filed.house.client().await;
    let mut hears = client.listen().await;
    assert_eq!(tools(&client).await, ["files__echo", "notes__write"]);
    filed.config.access = rule(&["files"]);
    assert!(filed.is_read().await.others);
    // What it may not use it cannot call from that moment on, though it was not told yet.
    let nobodys = answer(&client, "nobody__write").await["error"].to_string();
    let said = answer(&client, "notes__write").await["error"].to_string();
    assert_eq!(said, nobodys.replace("nobody__write", "notes__write"));
    wait(A_WHILE).await;
    assert_eq!(heard(&mut hears).await, [TOOLS_CHANGED]);
    assert_eq!(tools(&client).await, ["files__echo"]);
    assert!(answer(&client, "files__echo").await["result"].is_object());
    notes.is_silent().await;
    // It may use nothing, and is there all the same.
    filed.config.access = vec![AccessRule { principals: names(&["bearer"]), ..AccessRule::new("r") }];
    filed.is_read().await;
    wait(A_WHILE).await;
    assert_eq!(heard(&mut hears).await, [TOOLS_CHANGED]);
    assert_eq!(tools(&client).await, names(&[]));
    filed.config.access.clear();
    filed.is_read().await;
    wait(A_WHILE).await;
    assert_eq!(heard(&mut hears).await, [TOOLS_CHANGED]);
    assert_eq!(tools(&client).await, ["files__echo", "notes__write"]);
    let written = client.post(call(1, "notes__write", json!({})));
    let asked = notes.hear_method("tools/call").await;
    notes.answer(&asked, json!({"content": []})).await;
    assert!(written.await.unwrap().json().await["result"].is_object());
    // A rule that gives the same as before is no news.
    filed.config.access = rule(&["*"]);
    filed.is_read().await;
    wait(A_WHILE).await;
    assert_eq!(heard(&mut hears).await, names(&[]));
}

#[tokio::test(start_paused = true)]
async fn who_lost_a_right_does_not_come_back_to_what_it_began_with_it() {
    let server = Server::new(&["slow"]);
    let mut filed = Filed::new(&[("s", &server)]);
    let client = Alone::of(&filed.house);
    let reply = client.post("tools/call", json!({"name": "s__slow", "arguments": {}}));
    server.hear_method("tools/call").await;
    server.ask(0, 70).await;
    let answer = reply.await.unwrap().json().await;
    let handle = answer["result"]["requestState"].as_str().unwrap().to_owned();
    let back = |handle: &str| {
        json!({"arguments": {}, "requestState": handle,
            "inputResponses": {"ask-1": {"action": "accept", "content": {}}}})
    };
    filed.config.access = rule(&["none"]);
    filed.is_read().await;
    settled().await;
    let never = "0".repeat(64);
    assert_eq!(client.call("s__slow", back(&handle)).await, client.call("s__slow", back(&never)).await);
    server.is_silent().await;
    filed.config.access = rule(&["s"]);
    filed.is_read().await;
    settled().await;
    let mut more = back(&handle);
    more["name"] = "s__slow".into();
    let reply = client.post("tools/call", more);
    assert_eq!(server.hear().await.message["id"], 70);
    drop(reply);
}
