//! What clients may ask, when that is written otherwise.

use super::{Filed, answer, denies};
use crate::http::server::Server;
use mcp_braid::config::Rate;
use serde_json::Value;

fn rate(text: &str) -> Option<Rate> {
    Some(Rate::parse(text).unwrap())
}

fn reason(answer: &Value) -> &Value {
    &answer["error"]["data"]["reason"]
}

#[tokio::test(start_paused = true)]
async fn what_is_used_of_a_rate_is_used_under_the_next_edition_too() {
    let server = Server::new(&["echo", "two"]);
    let mut filed = Filed::new(&[("s", &server)]);
    filed.of("s").rate = rate("2/min");
    filed.is_read().await;
    let client = filed.house.client().await;
    for _ in 0..2 {
        assert_eq!(reason(&answer(&client, "s__echo").await), &Value::Null);
    }
    assert_eq!(reason(&answer(&client, "s__echo").await), "rate");
    // Something else changes: nobody gets more for it.
    filed.of("s").filters.tools = denies(&["two"]);
    filed.is_read().await;
    assert_eq!(reason(&answer(&client, "s__echo").await), "rate");
    // Another rate is another start, whoever it is of.
    filed.of("s").rate = None;
    filed.config.limits.rate = rate("1/min");
    let changes = filed.is_read().await;
    assert_eq!((changes.adjusted, changes.others), (vec!["s".to_owned()], true));
    assert_eq!(reason(&answer(&client, "s__echo").await), &Value::Null);
    assert_eq!(reason(&answer(&client, "s__echo").await), "rate");
    filed.config.limits.rate = None;
    filed.is_read().await;
    assert_eq!(reason(&answer(&client, "s__echo").await), &Value::Null);
}
