//! Results that are kept: for whom, and how they are counted.

use crate::admin::names::watched;
use crate::http::house::{Client, House, call};
use crate::http::server::Server;
use crate::modern::client::Client as Stateless;
use mcp_braid::config::Sharing;
use mcp_braid::mcp::caller::Principal;
use serde_json::{Value, json};
use std::time::Duration;

fn house(server: &Server, sharing: Sharing) -> House {
    House::new(&[("s", server)], sharing, |config| {
        config.servers[0].cache.tools = Some(Duration::from_secs(60))
    })
}

fn recalls(house: &House) -> [u64; 2] {
    let metrics = watched(house).metrics();
    ["hit", "miss"].map(|result| {
        let series = format!(r#"braid_cache_requests_total{{server="s",result="{result}"}} "#);
        metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
    })
}

/// The answer that the server gives to a call, or that is there without it.
async fn asked(client: &Client, server: &Server, fresh: Option<(usize, Value)>) -> Value {
    let asked = client.post(call(7, "s__ro_look", json!({"a": 1})));
    match fresh {
        Some((life, result)) => {
            let heard = server.hear_method("tools/call").await;
            assert_eq!(heard.life, life);
            server.answer(&heard, result).await;
        }
        None => server.is_silent().await,
    }
    let answer = asked.await.unwrap().json().await;
    assert_eq!(answer["id"], 7);
    answer["result"].clone()
}

#[tokio::test(start_paused = true)]
async fn no_principal_is_given_what_another_was_told() {
    let server = Server::new(&["ro_look"]);
    let house = house(&server, Sharing::Shared);
    let one = house.client().await;
    let two = house.client().await;
    let other = Client { principal: Principal::bearer(), ..house.stranger() }.begun().await;
    assert_eq!(asked(&one, &server, Some((0, json!({"n": 1})))).await, json!({"n": 1}));
    assert_eq!(asked(&two, &server, None).await, json!({"n": 1}), "the same principal at the same server");
    assert_eq!(asked(&other, &server, Some((1, json!({"n": 2})))).await, json!({"n": 2}));
    assert_eq!(asked(&other, &server, None).await, json!({"n": 2}));
    assert_eq!(asked(&one, &server, None).await, json!({"n": 1}));
    assert_eq!(recalls(&house), [3, 2]);
    let calls = house.hub.survey().servers[0].counts.calls();
    assert_eq!(calls, 2, "what is known is no call of the server's");
    assert!(watched(&house).status().contains(r#""cache":{"hit":3,"miss":2}"#));
}

#[tokio::test(start_paused = true)]
async fn no_client_is_given_what_anothers_own_server_said() {
    let server = Server::new(&["ro_look"]);
    let house = house(&server, Sharing::Session);
    let (one, two) = (house.client().await, house.client().await);
    let first = asked(&one, &server, Some((0, json!({"n": 1})))).await;
    assert_eq!(first, json!({"n": 1}));
    assert_eq!(asked(&two, &server, Some((1, json!({"n": 2})))).await, json!({"n": 2}));
    assert_eq!(asked(&one, &server, None).await, json!({"n": 1}));
    assert_eq!(recalls(&house), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_session_is_given_it_as_well() {
    let server = Server::new(&["ro_look"]);
    let house = house(&server, Sharing::Shared);
    let client = Stateless::of(&house);
    let ask = || client.post("tools/call", json!({"name": "s__ro_look", "arguments": {}}));
    let first = ask();
    let heard = server.hear_method("tools/call").await;
    server.answer(&heard, json!({"content": []})).await;
    let first = first.await.unwrap().json().await;
    assert_eq!(first["result"]["resultType"], "complete");
    assert_eq!(ask().await.unwrap().json().await, first);
    let other = Stateless { principal: Principal::bearer(), ..client.clone() };
    let asked = other.post("tools/call", json!({"name": "s__ro_look", "arguments": {}}));
    let heard = server.hear_method("tools/call").await;
    server.answer(&heard, json!({"content": [], "n": 2})).await;
    assert_eq!(asked.await.unwrap().json().await["result"]["n"], 2);
    assert_eq!(recalls(&house), [1, 2]);
}
