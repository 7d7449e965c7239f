//! H-14: more connections than there are places.

use super::raw::within;
use super::rig::Rig;

#[tokio::test]
async fn h14_who_finds_no_place_is_told_so_and_a_place_comes_back() {
    let rig = Rig::with(|listen| listen.limits.connections_max = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut raw = rig.connect().await;
        assert_eq!(raw.ask(rig.request("GET /who", "", "")).await.status, 200);
        held.push(raw);
    }
    for _ in 0..10 {
        let mut raw = rig.connect().await;
        let answer = raw.ask(rig.request("GET /who", "", "")).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
        assert_eq!(raw.end().await, "", "the connection ends");
    }
    for raw in &mut held {
        assert_eq!(raw.ask(rig.request("GET /who", "", "")).await.status, 200, "who has a place keeps it");
    }
    held.pop();
    within(async { while rig.ask("GET /who", "", "").await.status != 200 {} }).await;
    rig.end().await;
}

#[tokio::test]
async fn h14_a_crowd_without_places_holds_up_nobody() {
    let rig = Rig::with(|listen| listen.limits.connections_max = 1).await;
    let mut kept = rig.connect().await;
    assert_eq!(kept.ask(rig.request("GET /who", "", "")).await.status, 200);
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(rig.connect().await);
    }
    assert_eq!(kept.ask(rig.request("GET /who", "", "")).await.status, 200);
    for mut raw in crowd {
        let said = raw.end().await;
        assert!(said.starts_with("HTTP/1.1 503 "), "who says nothing is told, however many they are: {said}");
    }
    assert_eq!(kept.ask(rig.request("GET /who", "", "")).await.status, 200);
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
