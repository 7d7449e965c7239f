//! C-09: however many names clients invent, there is no series more for it.

use crate::http::house::{House, settled, wait};
use crate::http::server::Server;
use mcp_braid::downstream::admin::House as Watched;
use mcp_braid::downstream::admin::{About, Present};
use mcp_braid::upstream::journal::Journals;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// As many names; `BRAID_TEST_NAMES=1000000` for all that is promised.
fn names() -> u64 {
    std::env::var("BRAID_TEST_NAMES").ok().and_then(|names| names.parse().ok()).unwrap_or(5_000)
}

pub(crate) fn watched(house: &House) -> Watched {
    let about = About {
        pid: 7,
        version: "0",
        mode: "serve",
        config: "a house".to_owned(),
        config_file: None,
        started: SystemTime::UNIX_EPOCH,
        listening: Vec::new(),
        socket: None,
    };
    Watched::new(house.hub.clone(), about, Journals::default(), Arc::new(Present::default), None)
}

#[tokio::test(start_paused = true)]
async fn c09_names_of_clients_make_no_series() {
    let server = Server::new(&["echo"]);
    let house = House::shared(&server);
    let client = house.client().await;
    let call = |name: String| json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {}}});
    client.post(call("s__echo".to_owned())).await.unwrap();
    let watched = watched(&house);
    let series = || watched.metrics().lines().filter(|line| !line.starts_with('#')).count();
    let before = series();
    for n in 0..names() {
        let name = format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        client.post(call(name)).await.unwrap();
    }
    assert_eq!(series(), before);
    // But for what of durations there is by tool, and by how they ended.
    let metrics = watched.metrics();
    let plain = metrics.lines().filter(|line| !line.starts_with('#') && !line.contains("_seconds"));
    assert!(plain.count() <= 50 + 40);
    assert!(metrics.ends_with("# EOF\n"));
}

#[tokio::test(start_paused = true)]
async fn what_a_server_calls_its_tools_stays_within_its_line() {
    let hostile = "a\"b\\c\nd\u{1b}";
    let server = Server::new(&[hostile]);
    let house = House::shared(&server);
    let client = house.client().await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": hostile, "arguments": {}}});
    let asked = client.post(call);
    let heard = server.hear_method("tools/call").await;
    server.answer(&heard, json!({"content": []})).await;
    asked.await.unwrap();
    let metrics = watched(&house).metrics();
    let line = metrics.lines().find(|line| line.contains("duration_seconds_count")).unwrap();
    assert!(line.contains(r#"gen_ai_tool_name="a\"b\\c\\u{a}d\\u{1b}""#), "{line}");
    assert!(line.ends_with("} 1"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn how_long_calls_and_clients_are_with_us_is_measured() {
    let server = Server::new(&["echo"]);
    let house = House::shared(&server);
    let client = house.client().await;
    for id in 0..32 {
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "s__echo", "arguments": {}}});
        client.post(call).await.unwrap();
    }
    wait(Duration::from_secs(40)).await;
    client.delete().await.unwrap();
    drop(client);
    settled().await;
    let metrics = watched(&house).metrics();
    let has = |line: &str| assert!(metrics.lines().any(|written| written == line), "{line}\n{metrics}");
    has(r#"braid_overhead_seconds_count{mcp_method_name="tools/call"} 2"#);
    has(r#"braid_overhead_seconds_bucket{le="0.00001",mcp_method_name="tools/call"} 2"#);
    has(r#"mcp_server_session_duration_seconds_count{transport="http"} 1"#);
    has(r#"mcp_server_session_duration_seconds_bucket{le="20.0",transport="http"} 0"#);
    has(r#"mcp_server_session_duration_seconds_bucket{le="50.0",transport="http"} 1"#);
}
