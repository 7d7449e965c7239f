//! What clients see and hear of it: one note for what changed, and everything that they had asked for.

use super::{Filed, Never, TOOLS_CHANGED, denies, heard, names, reach, tools};
use crate::http::house::{call, group, settled, wait};
use crate::http::server::Server;
use futures::future::join;
use serde_json::json;
use std::time::Duration;

const A_WHILE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn each_client_hears_once_of_what_it_sees_otherwise() {
    let [files, notes, mail] = ["read", "write", "send"].map(|tool| Server::new(&[tool]));
    let mut filed = Filed::new(&[("files", &files), ("notes", &notes)]);
    filed.config.groups = vec![group("some", &["files"])];
    filed.is_read().await;
    let all = filed.house.client().await;
    let some = { crate::http::house::Client { path: "/mcp/some", ..filed.house.stranger() } }.begun().await;
    let (mut all_hear, mut some_hear) = join(all.listen(), some.listen()).await;
    assert_eq!(tools(&all).await, ["files__read", "notes__write"]);
    assert_eq!(tools(&some).await, ["files__read"]);
    // Three changes in one, of which the group sees none.
    filed.adds("mail", &mail);
    filed.of("notes").reach = reach("another");
    notes.offer(&["write", "erase"]);
    filed.config.identity.instructions_bytes_max = 7;
    filed.is_read().await;
    wait(A_WHILE).await;
    assert_eq!(heard(&mut all_hear).await, [TOOLS_CHANGED]);
    assert_eq!(heard(&mut some_hear).await, names(&[]));
    assert_eq!(tools(&all).await, ["files__read", "notes__write", "notes__erase", "mail__send"]);
    // Of what is as it was, nobody hears.
    filed.of("notes").reach = reach("one");
    filed.is_read().await;
    wait(A_WHILE).await;
    assert_eq!((heard(&mut all_hear).await, heard(&mut some_hear).await), (names(&[]), names(&[])));
    // A group is swapped as the whole is.
    filed.config.groups = vec![group("some", &["files", "mail"])];
    filed.is_read().await;
    wait(A_WHILE).await;
    assert_eq!(
        (heard(&mut all_hear).await, heard(&mut some_hear).await),
        (names(&[]), names(&[TOOLS_CHANGED]))
    );
    assert_eq!(tools(&some).await, ["files__read", "mail__send"]);
}

#[tokio::test(start_paused = true)]
async fn news_that_come_soon_after_others_are_told_all_the_same() {
    let server = Server::new(&["one", "two", "three"]);
    let mut filed = Filed::new(&[("s", &server)]);
    let client = filed.house.client().await;
    let mut events = client.listen().await;
    assert_eq!(tools(&client).await.len(), 3);
    filed.of("s").filters.tools = denies(&["one"]);
    filed.is_read().await;
    assert_eq!(heard(&mut events).await, [TOOLS_CHANGED]);
    assert_eq!(tools(&client).await, ["s__two", "s__three"]);
    // Within the time that lies between two notes.
    wait(Duration::from_millis(100)).await;
    filed.of("s").filters.tools = denies(&["one", "two"]);
    filed.is_read().await;
    assert_eq!(heard(&mut events).await, names(&[]));
    wait(Duration::from_millis(150)).await;
    assert_eq!(heard(&mut events).await, [TOOLS_CHANGED]);
    assert_eq!(tools(&client).await, ["s__three"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_comes_holds_the_news_up_for_a_while_only() {
    let server = Server::new(&["one", "two"]);
    let mut filed = Filed::new(&[("s", &server)]);
    let client = filed.house.client().await;
    let mut events = client.listen().await;
    assert_eq!(tools(&client).await.len(), 2);
    filed.adds_any("silent", std::sync::Arc::new(Never));
    filed.of("s").filters.tools = denies(&["one"]);
    filed.is_read().await;
    // What is hidden cannot be called from that moment on.
    let hidden = client.post(call(1, "s__one", json!({})));
    wait(filed.config.first_list + Duration::from_millis(1)).await;
    assert_eq!(heard(&mut events).await, [TOOLS_CHANGED]);
    assert!(hidden.await.unwrap().text().await.contains(r#""code":-32602"#));
    server.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn a_door_that_is_gone_leads_nowhere() {
    let server = Server::new(&["echo"]);
    let mut filed = Filed::new(&[("s", &server)]);
    filed.config.groups = vec![group("some", &["s"])];
    filed.is_read().await;
    let client = { crate::http::house::Client { path: "/mcp/some", ..filed.house.stranger() } }.begun().await;
    assert_eq!(tools(&client).await, ["s__echo"]);
    filed.config.groups.clear();
    filed.is_read().await;
    let reply = client.post(call(1, "s__echo", json!({}))).await.unwrap();
    assert_eq!(reply.status, 404);
    assert_eq!(server.lives(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_wants_of_the_log_holds_for_servers_that_come_later() {
    let (server, replaced, added) = (Server::new(&["echo"]), Server::new(&["echo"]), Server::new(&["echo"]));
    let mut filed = Filed::new(&[("s", &server)]);
    let client = filed.house.client().await;
    let set =
        json!({"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel", "params": {"level": "warning"}});
    let set = client.post(set);
    let told = server.hear_method("logging/setLevel").await;
    server.answer(&told, json!({})).await;
    set.await.unwrap();
    filed.of("s").reach = reach("another");
    filed.dials("s", &replaced);
    filed.adds("added", &added);
    filed.is_read().await;
    wait(Duration::from_secs(1)).await;
    for other in [&replaced, &added] {
        let told = other.hear_method("logging/setLevel").await;
        assert_eq!(told.message["params"]["level"], "warning");
        other.answer(&told, json!({})).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_at_once_come_one_after_the_other_for_every_client() {
    let servers: Vec<Server> = (0..3).map(|_| Server::new(&["echo"])).collect();
    let mut filed = Filed::new(&[("a", &servers[0])]);
    let clients = [filed.house.client().await, filed.house.client().await];
    filed.adds("b", &servers[1]);
    let first = filed.config.clone();
    filed.adds("c", &servers[2]);
    filed.removes("b");
    let hub = filed.house.hub.clone();
    for config in [first, filed.config.clone()] {
        hub.adopt(config, |wanted| filed.dial(wanted)).await;
    }
    settled().await;
    wait(A_WHILE).await;
    for client in &clients {
        assert_eq!(tools(client).await, ["a__echo", "c__echo"]);
    }
    assert_eq!(servers.iter().map(Server::living).collect::<Vec<_>>(), [1, 0, 1]);
}
