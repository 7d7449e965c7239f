//! What the texts of clients hold in memory, and for how long.

use super::house::{House, settled};
use super::server::Server;
use bytes::Bytes;
use mcp_braid::hub::begin::{Answer, Asked};
use mcp_braid::mcp::caller::{Caller, Principal};
use mcp_braid::mcp::revision::Revision;
use mcp_braid::wire::id::Id;
use mcp_braid::wire::message::{Caps, Message};
use std::sync::Arc;
use tokio::time::Instant;

/// A text that somebody counts.
struct Counted {
    text: String,
    _count: Arc<()>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_keeps_nothing_of_a_text_that_was_sent_on() {
    let server = Server::new(&["slow"]);
    let house = House::shared(&server);
    let caller = Caller { principal: Principal::anonymous(), client: house.hub.next_client(), alone: false };
    let seat = house.hub.seat(caller, &house.hub.entrance_all());
    assert!(seat.open().is_empty());
    let count = Arc::new(());
    let text = super::house::call(7, "s__slow", serde_json::json!({})).to_string();
    let text = Bytes::from_owner(Counted { text, _count: count.clone() });
    let message = Message::parse_client(text, Caps { depth_max: 64, elements_max: 1000 }).unwrap();
    let asked = Asked {
        seat: &seat,
        id: &Id::parse(Bytes::from_static(b"7")).unwrap(),
        message: &message,
        revision: Revision::LATEST,
        patience: Instant::now() + std::time::Duration::from_secs(1),
        turns: Vec::new(),
        memory: None,
    };
    let Answer::Later(exchange) = house.hub.begin(asked).await else { panic!("it is sent on") };
    drop(message);
    server.hear_method("tools/call").await;
    settled().await;
    assert_eq!(Arc::strong_count(&count), 1);
    drop(exchange);
}
