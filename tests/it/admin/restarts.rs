//! What becomes of calls at a server that is restarted because somebody asked for it.

use crate::http::house::{House, call, settled, wait};
use crate::http::server::Server;
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
