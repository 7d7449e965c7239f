//! H-14: more connections than there are places.

use super::raw::{Raw, within};
use super::rig::Rig;
use tokio::net::TcpStream;

/// So many connections with a request in flight.
async fn holders(rig: &Rig, count: usize) -> Vec<Raw<TcpStream>> {
    let mut holders = Vec::new();
    for _ in 0..count {
        let mut raw = rig.connect().await;
        raw.say(rig.request("GET /hold", "", "")).await;
        rig.hold.entered().await;
        holders.push(raw);
    }
    holders
}

#[tokio::test]
async fn h14_who_finds_no_place_is_told_so_and_a_place_comes_back() {
    let rig = Rig::with(|listen| listen.limits.connections_max = 3).await;
    let mut held = holders(&rig, 3).await;
    for _ in 0..10 {
        let mut raw = rig.connect().await;
        let answer = raw.ask(rig.request("GET /who", "", "")).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
        assert_eq!(raw.end().await, "", "the connection ends");
    }
    held.pop();
    within(async { while rig.ask("GET /who", "", "").await.status != 200 {} }).await;
    rig.hold.release();
    rig.hold.release();
    for raw in &mut held {
        assert_eq!(raw.answer().await.status, 200, "who has a place keeps it");
    }
    rig.end().await;
}

#[tokio::test]
async fn h14_a_crowd_without_places_holds_up_nobody() {
    let rig = Rig::with(|listen| listen.limits.connections_max = 1).await;
    let mut kept = holders(&rig, 1).await;
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(rig.connect().await);
    }
    for mut raw in crowd {
        let said = raw.end().await;
        assert!(said.starts_with("HTTP/1.1 503 "), "who says nothing is told, however many they are: {said}");
    }
    rig.hold.release();
    assert_eq!(kept[0].answer().await.status, 200);
    assert_eq!(kept[0].ask(rig.request("GET /who", "", "")).await.status, 200);
    rig.end().await;
}

#[tokio::test]
async fn h14_who_is_silent_longest_makes_way() {
    let rig = Rig::with(|listen| listen.limits.connections_max = 3).await;
    let mut held = holders(&rig, 1).await;
    let mut asked = rig.connect().await;
    assert_eq!(asked.ask(rig.request("GET /who", "", "")).await.status, 200);
    let silent = rig.connect().await;
    // Silent since its answer, longer than the one that came after it.
    let (mut first, mut second) = (rig.connect().await, rig.connect().await);
    for mut raw in [asked, silent] {
        assert_eq!(raw.end().await, "");
    }
    for raw in [&mut first, &mut second] {
        assert_eq!(raw.ask(rig.request("GET /who", "", "")).await.status, 200);
    }
    // Three hundred that say nothing shut nobody out, and end nothing that is in flight.
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(rig.connect().await);
    }
    assert_eq!(rig.ask("GET /who", "", "").await.status, 200);
    rig.hold.release();
    assert_eq!(held[0].answer().await.status, 200);
    rig.end().await;
}

#[tokio::test]
async fn loopback_is_no_single_client() {
    let rig = Rig::with(|listen| listen.limits.connections_per_address_max = 1).await;
    let mut all = Vec::new();
    for _ in 0..20 {
        let mut raw = rig.connect().await;
        assert_eq!(raw.ask(rig.request("GET /who", "", "")).await.status, 200);
        all.push(raw);
    }
    rig.end().await;
}
