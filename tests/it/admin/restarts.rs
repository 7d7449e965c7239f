//! What becomes of calls at a server that is restarted, because somebody asked for it or because it was not there, and what
//! is said of it meanwhile.

use super::names::watched;
use crate::http::house::{House, call, settled, wait};
use crate::http::server::Server;
use mcp_braid::config::Sharing;
use mcp_braid::hub::survey::Condition;
use mcp_braid::mcp::caller::Principal;
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn who_is_in_flight_has_a_moment_and_who_comes_waits_for_the_next() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let client = house.client().await;
    let first = client.post(call(1, "s__slow", json!({})));
    let heard = server.hear_method("tools/call").await;
    assert_eq!(house.hub.edition().servers()[0].restart(), 1);
    settled().await;
    let second = client.post(call(2, "s__slow", json!({})));
    settled().await;
    assert_eq!(server.lives(), 1, "the first is not over");
    server.answer(&heard, json!({"content": []})).await;
    assert!(first.await.unwrap().text().await.contains("\"content\":[]"));
    let again = server.hear_method("tools/call").await;
    assert_eq!((again.life, server.lives()), (1, 2));
    server.answer(&again, json!({"content": []})).await;
    assert!(second.await.unwrap().text().await.contains("\"content\":[]"));
}

#[tokio::test(start_paused = true)]
async fn who_takes_longer_is_told_that_it_may_have_run() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let client = house.client().await;
    let first = client.post(call(1, "s__slow", json!({})));
    server.hear_method("tools/call").await;
    house.hub.edition().servers()[0].restart();
    wait(Duration::from_millis(1900)).await;
    assert_eq!(server.lives(), 1);
    wait(Duration::from_millis(200)).await;
    let text = first.await.unwrap().text().await;
    assert!(text.contains("s: is being restarted, as it was asked to be"), "{text}");
    assert!(text.contains(r#""outcome":"unknown""#), "{text}");
    assert_eq!(server.lives(), 2, "and there is no pause");
    let counts = house.hub.survey().servers[0].counts.clone();
    assert_eq!((counts.errors(), counts.restarts), (1, vec![("asked", 1)]));
}

#[tokio::test(start_paused = true)]
async fn it_may_be_asked_for_twice_in_a_row() {
    let server = Server::new(&["echo"]);
    let house = House::shared(&server);
    let client = house.client().await;
    for lives in 2..5 {
        house.hub.edition().servers()[0].restart();
        settled().await;
        let answer = client.post(call(1, "s__echo", json!({"a": 1}))).await.unwrap().text().await;
        assert!(answer.contains("\"result\""), "{answer}");
        assert_eq!(server.lives(), lives);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_still_being_greeted_is_begun_anew_too() {
    let server = Server::new(&["echo"]);
    server.reserves_greetings(true);
    let house = House::shared(&server);
    let somebody = Principal::anonymous();
    house.hub.warm(&somebody);
    server.hear_method("initialize").await;
    assert_eq!(house.hub.edition().servers()[0].restart(), 1);
    let again = server.hear_method("initialize").await;
    assert_eq!((again.life, server.living()), (1, 1), "the first is over");
    server.reserves_greetings(false);
    house.hub.edition().servers()[0].restart();
    settled().await;
    assert_eq!((server.lives(), server.living()), (3, 1));
    let survey = house.hub.survey();
    assert!(survey.servers[0].condition.is_up());
    assert_eq!(survey.servers[0].counts.restarts, [("asked", 2)]);
}

#[tokio::test(start_paused = true)]
async fn one_that_never_came_is_not_being_restarted_and_nobody_waits_for_it() {
    let server = Server::new(&["echo"]);
    server.reserves_greetings(true);
    let house = House::shared(&server);
    let hub = &house.hub;
    hub.warm(&Principal::anonymous());
    server.hear_method("initialize").await;
    let first = hub.survey();
    assert_eq!((first.servers[0].condition, first.awaited().count()), (Condition::Starting, 1));
    while server.lives() < 2 {
        wait(Duration::from_secs(1)).await;
    }
    let second = hub.survey();
    assert_eq!((second.servers[0].condition, second.awaited().count()), (Condition::Starting, 0));
    assert!(second.is_ready(), "it is not required");
    assert_eq!(
        second.servers[0].counts.timeouts,
        [0, 0],
        "no client asked for the greeting that took too long"
    );
}

#[tokio::test(start_paused = true)]
async fn a_required_one_that_does_not_come_back_is_missing() {
    let server = Server::new(&["echo"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| config.servers[0].required = true);
    let hub = &house.hub;
    let somebody = Principal::anonymous();
    hub.warm(&somebody);
    settled().await;
    assert!(hub.survey().is_ready() && hub.readiness(&somebody).is_ready());
    server.reserves_greetings(true);
    hub.edition().servers()[0].restart();
    let greeting = server.hear_method("initialize").await;
    let survey = hub.survey();
    assert_eq!(survey.servers[0].condition, Condition::Restarting);
    assert_eq!((survey.missing().collect::<Vec<_>>(), survey.is_ready()), (vec!["s"], false));
    assert_eq!(hub.readiness(&somebody).missing, ["s"]);
    let result = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "m", "version": "1"}});
    server.answer(&greeting, result).await;
    settled().await;
    assert!(hub.survey().is_ready() && hub.readiness(&somebody).is_ready());
}

#[tokio::test(start_paused = true)]
async fn no_series_ends_because_its_server_is_away() {
    let server = Server::new(&["echo"]);
    let house = House::shared(&server);
    let client = house.client().await;
    client.post(call(1, "s__echo", json!({}))).await.unwrap().text().await;
    let watched = watched(&house);
    let series = || {
        let metrics = watched.metrics();
        let of_calls =
            metrics.lines().filter(|line| line.starts_with("mcp_client_operation_duration_seconds_count"));
        of_calls.map(str::to_owned).collect::<Vec<_>>()
    };
    let there = series();
    assert!(there.len() == 1 && there[0].contains("mcp_protocol_version=\"2025-11-25\""), "{there:?}");
    server.reserves_greetings(true);
    house.hub.edition().servers()[0].restart();
    server.hear_method("initialize").await;
    assert!(!house.hub.survey().servers[0].condition.is_up());
    assert_eq!(series(), there);
}
