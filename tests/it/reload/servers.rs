//! What becomes of servers: who is touched, who is not, and what their calls hear.

use super::{Filed, answer, denies, names, reach, tools};
use crate::http::house::{call, settled, wait};
use crate::http::server::Server;
use mcp_braid::config::Sharing;
use mcp_braid::hub::adopt::{Changes, RETIRE_GRACE};
use mcp_braid::mcp::caller::Principal;
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn c02_only_servers_that_changed_are_touched() {
    let [stays, goes, changes, comes] = ["slow", "echo", "echo", "echo"].map(|tool| Server::new(&[tool]));
    let mut filed = Filed::new(&[("stays", &stays), ("goes", &goes), ("changes", &changes)]);
    let client = filed.house.client().await;
    let call = client.post(call(1, "stays__slow", json!({})));
    let open = stays.hear_method("tools/call").await;
    assert_eq!(tools(&client).await, ["stays__slow", "goes__echo", "changes__echo"]);
    filed.removes("goes");
    filed.adds("comes", &comes);
    filed.of("changes").reach = reach("another");
    let done = filed.is_read().await;
    let expected = Changes {
        added: names(&["comes"]),
        removed: names(&["goes"]),
        restarted: names(&["changes"]),
        unchanged: names(&["stays"]),
        ..Changes::default()
    };
    assert_eq!(done, expected);
    wait(Duration::from_millis(500)).await;
    assert_eq!([&stays, &goes, &changes, &comes].map(Server::lives), [1, 1, 2, 1]);
    assert_eq!([&stays, &goes, &changes, &comes].map(Server::living), [1, 0, 1, 1]);
    assert_eq!(tools(&client).await, ["stays__slow", "changes__echo", "comes__echo"]);
    for tool in ["changes__echo", "comes__echo"] {
        assert_eq!(answer(&client, tool).await["result"]["structuredContent"], json!({"a": 1}));
    }
    assert_eq!(answer(&client, "goes__echo").await["error"]["code"], -32602);
    stays.answer(&open, json!({"content": []})).await;
    assert!(call.await.unwrap().text().await.contains("\"result\""));
}

#[tokio::test(start_paused = true)]
async fn what_is_the_same_changes_nothing() {
    let server = Server::new(&["echo"]);
    let filed = Filed::new(&[("s", &server)]);
    let client = filed.house.client().await;
    let before = filed.house.hub.edition();
    assert!(!filed.is_read().await.any());
    assert!(std::sync::Arc::ptr_eq(&before, &filed.house.hub.edition()));
    assert_eq!((tools(&client).await, server.lives()), (names(&["s__echo"]), 1));
}

#[tokio::test(start_paused = true)]
async fn settings_that_need_no_restart_are_taken_without_one() {
    let server = Server::new(&["echo", "slow"]);
    let mut filed = Filed::new(&[("s", &server)]);
    let client = filed.house.client().await;
    assert_eq!(tools(&client).await, ["s__echo", "s__slow"]);
    let entry = filed.of("s");
    entry.filters.tools = denies(&["ec*"]);
    entry.timeouts.call = Duration::from_secs(5);
    filed.config.names.separator = "-".to_owned();
    let done = filed.is_read().await;
    assert_eq!((done.adjusted, done.others), (names(&["s"]), true));
    assert_eq!(tools(&client).await, ["s-slow"]);
    assert!(answer(&client, "s-echo").await["error"].is_object());
    let slow = client.post(call(1, "s-slow", json!({})));
    server.hear_method("tools/call").await;
    wait(Duration::from_secs(6)).await;
    let text = slow.await.unwrap().text().await;
    assert!(text.contains("for 5 s (servers.s.timeouts.call)"), "{text}");
    assert_eq!(server.lives(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_keeps_the_settings_that_it_began_with() {
    let server = Server::new(&["slow"]);
    let mut filed = Filed::new(&[("s", &server)]);
    let client = filed.house.client().await;
    let slow = client.post(call(1, "s__slow", json!({})));
    let open = server.hear_method("tools/call").await;
    let entry = filed.of("s");
    entry.timeouts.call = Duration::from_secs(5);
    entry.filters.tools = denies(&["*"]);
    filed.is_read().await;
    wait(Duration::from_secs(60)).await;
    server.answer(&open, json!({"content": [], "structuredContent": {"late": true}})).await;
    let text = slow.await.unwrap().text().await;
    assert!(text.contains("\"late\":true"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_lets_its_calls_end() {
    let (server, other) = (Server::new(&["slow"]), Server::new(&["echo"]));
    let mut filed = Filed::new(&[("s", &server), ("o", &other)]);
    let client = filed.house.client().await;
    let [quick, slow] = [1, 2].map(|id| client.post(call(id, "s__slow", json!({}))));
    let heard = server.hear_method("tools/call").await;
    server.hear_method("tools/call").await;
    filed.removes("s");
    filed.is_read().await;
    wait(RETIRE_GRACE / 2).await;
    let is_first = heard.message["id"].clone();
    server.answer(&heard, json!({"content": []})).await;
    settled().await;
    assert_eq!(server.living(), 1, "one call is open: {is_first}");
    wait(RETIRE_GRACE).await;
    assert_eq!(server.living(), 0);
    let texts = [quick.await.unwrap().text().await, slow.await.unwrap().text().await];
    let failed: Vec<_> = texts.iter().filter(|text| text.contains("\"error\"")).collect();
    assert_eq!(failed.len(), 1, "{texts:?}");
    assert!(failed[0].contains("s: is in the configuration no more"), "{failed:?}");
    assert!(failed[0].contains(r#""outcome":"unknown""#), "{failed:?}");
    assert_eq!(tools(&client).await, ["o__echo"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_again_under_the_same_name_is_another() {
    let (first, second, other) = (Server::new(&["slow"]), Server::new(&["echo"]), Server::new(&["echo"]));
    let mut filed = Filed::new(&[("s", &first), ("o", &other)]);
    let client = filed.house.client().await;
    let slow = client.post(call(1, "s__slow", json!({})));
    let open = first.hear_method("tools/call").await;
    filed.removes("s");
    filed.is_read().await;
    filed.adds("s", &second);
    assert_eq!(filed.is_read().await.added, names(&["s"]));
    // While the one before still works on its call.
    assert_eq!(tools(&client).await, ["o__echo", "s__echo"]);
    assert_eq!(answer(&client, "s__echo").await["result"]["structuredContent"], json!({"a": 1}));
    assert_eq!((first.living(), second.lives()), (1, 1));
    let counts = &filed.house.hub.survey().servers[1].counts;
    assert_eq!(counts.calls(), 1, "nothing of the one before is counted");
    first.answer(&open, json!({"content": []})).await;
    assert!(slow.await.unwrap().text().await.contains("\"result\""));
    wait(Duration::from_secs(1)).await;
    assert_eq!(first.living(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_calls_a_server_that_is_replaced_reaches_the_new_one() {
    let (before, now) = (Server::new(&["slow"]), Server::new(&["slow"]));
    let mut filed = Filed::new(&[("s", &before)]);
    let client = filed.house.client().await;
    let first = client.post(call(1, "s__slow", json!({})));
    before.hear_method("tools/call").await;
    filed.of("s").reach = reach("another");
    filed.dials("s", &now);
    filed.is_read().await;
    let second = client.post(call(2, "s__slow", json!({})));
    settled().await;
    assert_eq!((before.living(), now.lives()), (1, 0), "the first call has a moment");
    wait(Duration::from_millis(2100)).await;
    let text = first.await.unwrap().text().await;
    assert!(text.contains("s: is being started anew, as the configuration has it now"), "{text}");
    let heard = now.hear_method("tools/call").await;
    now.answer(&heard, json!({"content": []})).await;
    assert!(second.await.unwrap().text().await.contains("\"result\""));
    assert_eq!((before.living(), now.living()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_twice_while_it_starts_is_reached_as_it_is_last() {
    let servers: Vec<Server> = (0..4).map(|_| Server::new(&["echo"])).collect();
    let mut filed = Filed::new(&[("s", &servers[0])]);
    let client = filed.house.client().await;
    for (argument, server) in ["b", "c", "d"].iter().zip(&servers[1..]) {
        filed.of("s").reach = reach(argument);
        filed.dials("s", server);
        filed.is_read().await;
    }
    wait(Duration::from_secs(3)).await;
    assert_eq!(answer(&client, "s__echo").await["result"]["structuredContent"], json!({"a": 1}));
    let living: Vec<usize> = servers.iter().map(Server::living).collect();
    assert_eq!(living, [0, 0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn who_shares_a_server_may_become_another() {
    let server = Server::new(&["echo"]);
    let mut filed = Filed::new(&[("s", &server)]);
    let clients = [filed.house.client().await, filed.house.client().await];
    assert_eq!(server.living(), 1);
    filed.of("s").sharing = Sharing::Session;
    assert_eq!(filed.is_read().await.restarted, names(&["s"]));
    wait(Duration::from_secs(1)).await;
    assert_eq!((server.lives(), server.living()), (3, 2), "one for each, and none for all");
    for client in &clients {
        assert_eq!(answer(client, "s__echo").await["result"]["structuredContent"], json!({"a": 1}));
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_more_is_there_at_once_and_one_less_when_it_is_free() {
    let server = Server::new(&["slow"]);
    let mut filed = Filed::new(&[("s", &server)]);
    filed.of("s").in_flight_max = 1;
    filed.is_read().await;
    let client = filed.house.client().await;
    let calls: Vec<_> = (1..=3).map(|id| client.post(call(id, "s__slow", json!({})))).collect();
    let first = server.hear_method("tools/call").await;
    server.is_silent().await;
    filed.of("s").in_flight_max = 2;
    filed.is_read().await;
    let second = server.hear_method("tools/call").await;
    server.is_silent().await;
    filed.of("s").in_flight_max = 1;
    filed.is_read().await;
    server.answer(&first, json!({"content": []})).await;
    server.is_silent().await;
    server.answer(&second, json!({"content": []})).await;
    let third = server.hear_method("tools/call").await;
    server.answer(&third, json!({"content": []})).await;
    for call in calls {
        assert!(call.await.unwrap().text().await.contains("\"result\""));
    }
    assert_eq!(filed.house.hub.survey().servers[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_servers_that_went_when_we_stop() {
    let (server, other) = (Server::new(&["slow"]), Server::new(&["echo"]));
    let mut filed = Filed::new(&[("s", &server), ("o", &other)]);
    let client = filed.house.client().await;
    let _open = client.post(call(1, "s__slow", json!({})));
    server.hear_method("tools/call").await;
    filed.removes("s");
    filed.is_read().await;
    assert!(filed.house.hub.readiness(&Principal::anonymous()).is_ready());
    filed.house.hub.stop(mcp_braid::upstream::process::Pace::NOW, Duration::from_secs(1)).await;
    settled().await;
    assert_eq!((server.living(), other.living()), (0, 0));
}
