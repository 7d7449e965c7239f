//! Rates: who asks too often hears so at once, is counted to the one, and harms nobody.

use crate::admin::names::watched;
use crate::http::house::{Client, House, call, wait};
use crate::http::server::Server;
use crate::modern::client::Client as Stateless;
use mcp_braid::config::{Rate, Sharing, ToolConfig};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

fn rate(text: &str) -> Option<Rate> {
    Some(Rate::parse(text).unwrap())
}

/// Two servers that answer at once, the first with a rate.
fn house(text: &str) -> House {
    let (server, other) = (Server::new(&["echo"]), Server::new(&["echo"]));
    House::new(&[("s", &server), ("o", &other)], Sharing::Shared, |config| {
        config.servers[0].rate = rate(text);
    })
}

/// The number of this series.
fn counted(house: &House, series: &str) -> u64 {
    let metrics = watched(house).metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("{series}: {metrics}")).trim().parse().unwrap()
}

async fn asked(client: &Client, tool: &str) -> Value {
    client.post(call(1, tool, json!({}))).await.unwrap().json().await
}

#[tokio::test(start_paused = true)]
async fn a_client_at_a_hundred_calls_a_second_gets_its_rate_and_not_one_more() {
    let house = house("60/min");
    let (runaway, calm) = (house.client().await, house.client().await);
    let (begun, mut fine, mut refused) = (Instant::now(), 0_u64, 0_u64);
    for n in 0..6000 {
        let at = begun.elapsed();
        let answer = asked(&runaway, "s__echo").await;
        assert_eq!(begun.elapsed(), at, "nobody waits");
        let error = &answer["error"];
        if error.is_null() {
            fine += 1;
        } else {
            assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(1003), &json!("rate")));
            let retry = error["data"]["retry_after_ms"].as_u64().unwrap();
            assert_eq!(retry, 1000 - u64::try_from(at.as_millis()).unwrap() % 1000, "{n}");
            refused += 1;
        }
        if n % 100 == 0 {
            assert!(asked(&calm, "s__echo").await["error"].is_null(), "another client");
            assert!(asked(&runaway, "o__echo").await["error"].is_null(), "another server");
        }
        wait(Duration::from_millis(10)).await;
    }
    // Sixty that it had, and fifty-nine that came anew within the minute.
    assert_eq!((fine, refused), (119, 5881));
    assert_eq!(counted(&house, r#"braid_rate_limited_total{server="s",limit="server"}"#), refused);
    assert_eq!(counted(&house, r#"braid_rejected_total{server="s",reason="rate"}"#), refused);
    for none in [
        r#"braid_rate_limited_total{server="s",limit="client"}"#,
        r#"braid_rate_limited_total{server="s",limit="tool"}"#,
        r#"braid_rate_limited_total{server="o",limit="server"}"#,
    ] {
        assert_eq!(counted(&house, none), 0, "{none}");
    }
    let counts = &house.hub.survey().servers[0].counts;
    assert_eq!(
        (counts.calls(), counts.errors()),
        (fine + 60, 0),
        "what was refused is no call of the server's"
    );
    assert!(watched(&house).status().contains(r#""over_rate":{"client":0,"server":5881,"tool":0}"#));
    assert!(counts.trouble.is_none(), "it is not in trouble for it");
}

#[tokio::test(start_paused = true)]
async fn clients_without_a_session_have_one_rate_for_each_principal_and_door() {
    let server = Server::new(&["echo"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| config.limits.rate = rate("2/min"));
    let one = Stateless::of(&house);
    let ask = async |client: &Stateless| {
        let params = json!({"name": "s__echo", "arguments": {}});
        client.post("tools/call", params).await.unwrap().json().await
    };
    for _ in 0..2 {
        assert_eq!(ask(&one).await["result"]["resultType"], "complete");
    }
    let error = ask(&one).await["error"].clone();
    assert_eq!(
        (&error["code"], &error["data"]),
        (
            &json!(1003),
            &json!({"source": "braid", "reason": "rate", "outcome": "not_sent", "code": "BRAID-L003", "retry_after_ms": 30_000})
        )
    );
    assert!(ask(&Stateless::of(&house)).await["error"].is_object(), "nothing tells it from the first");
    let other = Stateless { principal: mcp_braid::mcp::caller::Principal::bearer(), ..one.clone() };
    assert!(ask(&other).await["error"].is_null(), "another principal");
    assert!(asked(&house.client().await, "s__echo").await["error"].is_null(), "who has a session");
    wait(Duration::from_secs(30)).await;
    assert!(ask(&one).await["error"].is_null());
    assert_eq!(counted(&house, r#"braid_rate_limited_total{server="s",limit="client"}"#), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_read_and_got_counts_and_a_tools_rate_is_for_its_calls() {
    let server = Server::new(&["echo", "other"]);
    let house = House::new(&[("s", &server)], Sharing::Shared, |config| {
        let tool = ToolConfig { rate: rate("1/hour"), ..ToolConfig::default() };
        config.servers[0].tools.insert("echo".to_owned(), tool);
        config.servers[0].rate = rate("2/min");
    });
    let client = house.client().await;
    assert!(asked(&client, "s__echo").await["error"].is_null());
    let refused = asked(&client, "s__echo").await;
    assert_eq!(refused["error"]["data"]["retry_after_ms"], 3_600_000);
    let read = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "resources/read", "params": {"uri": "s+x://y"}});
    let reading = client.post(read(2));
    let heard = server.hear_method("resources/read").await;
    server.answer(&heard, json!({"contents": []})).await;
    assert!(reading.await.unwrap().json().await["error"].is_null());
    let refused = client.post(read(3)).await.unwrap().json().await;
    assert_eq!(refused["error"]["data"]["retry_after_ms"], 30_000);
    server.is_silent().await;
    assert_eq!(counted(&house, r#"braid_rate_limited_total{server="s",limit="tool"}"#), 1);
    assert_eq!(counted(&house, r#"braid_rate_limited_total{server="s",limit="server"}"#), 1);
}
