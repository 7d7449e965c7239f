//! P-11: closing lets finish what is in flight, and `now` does not.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::raw::within;
use super::rig::Rig;

/// Until nobody listens any more: the closing has begun.
async fn closed(rig: &Rig) {
    within(async { while TcpStream::connect(rig.address()).await.is_ok() {} }).await;
}

#[tokio::test]
async fn p11_what_is_in_flight_is_finished_and_nothing_new_begins() {
    let mut rig = Rig::start().await;
    let mut busy = Vec::new();
    for _ in 0..50 {
        let mut raw = rig.connect().await;
        raw.say(rig.request("POST /hold", "Content-Length: 1\r\n", "x")).await;
        rig.hold.entered().await;
        busy.push(raw);
    }
    let mut idle = rig.connect().await;
    assert_eq!(idle.ask(rig.request("GET /who", "", "")).await.status, 200);
    let mut fresh = rig.connect().await;
    rig.stop.closing.cancel();
    assert_eq!((idle.end().await, fresh.end().await), (String::new(), String::new()));
    closed(&rig).await;
    assert!(rig.is_serving(), "who is still served is waited for");
    for mut raw in busy {
        rig.hold.release();
        let answer = raw.answer().await;
        assert_eq!(
            (answer.status, answer.body.as_str(), answer.header("connection")),
            (200, "held", Some("close"))
        );
        assert_eq!(raw.end().await, "");
    }
    rig.ended().await;
}

#[tokio::test]
async fn p11_with_nothing_in_flight_it_ends_at_once() {
    let rig = Rig::start().await;
    let mut idle = Vec::new();
    for line in ["GET /who", "POST /unread", "POST /nothing"] {
        let mut raw = rig.connect().await;
        raw.ask(rig.request(line, "Content-Length: 1\r\n", "x")).await;
        idle.push(raw);
    }
    idle.push(rig.connect().await);
    // The clients do not close: it must not wait for them.
    let start = Instant::now();
    rig.end().await;
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    drop(idle);
}

#[tokio::test]
async fn p11_now_drops_what_is_left() {
    let mut rig = Rig::start().await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut raw = rig.connect().await;
        raw.say(rig.request("GET /endless", "", "")).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 200 "));
        streams.push(raw);
    }
    let mut held = rig.connect().await;
    held.say(rig.request("GET /hold", "", "")).await;
    rig.hold.entered().await;
    rig.stop.closing.cancel();
    closed(&rig).await;
    assert!(rig.is_serving());
    rig.stop.now.cancel();
    rig.ended().await;
    assert_eq!(held.end().await, "");
    for mut raw in streams {
        assert!(!raw.end().await.contains("0\r\n\r\n"), "a stream that was cut off does not look whole");
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request() {
    let rig = Rig::start().await;
    let mut raw = rig.connect().await;
    raw.say(rig.request("GET /hold", "", "")).await;
    rig.hold.entered().await;
    drop(raw);
    // Nothing is in flight any more, or this would wait for ever.
    rig.end().await;
}
