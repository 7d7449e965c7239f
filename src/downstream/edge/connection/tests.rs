//! One connection over a pipe in memory, where minutes pass at once.

use super::super::guard::Guard;
use super::super::places::Places;
use super::super::silence::Silence;
use super::*;
use crate::config::{Auth, Listen, ListenLimits};
use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

const HEAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// The client's end of a connection whose pipe holds so many bytes.
fn connected(pipe_bytes: usize) -> (DuplexStream, JoinHandle<()>, Stop) {
    let listen = Listen { auth: Auth::None, ..Listen::default() };
    let guard = Guard::new(&listen, &[], None).unwrap();
    let router = Router::new()
        .route("/", get(async || "x".repeat(100)))
        .route("/slow", get(async || tokio::time::sleep(IDLE_WITHIN * 10).await));
    let limits = ListenLimits { head_within: HEAD_WITHIN, ..ListenLimits::default() };
    let (client, server) = duplex(pipe_bytes);
    let accepted = Accepted { stream: Box::new(server), peer: Peer::Unix };
    let stop = Stop::default();
    let front = Arc::new(Front { guard, router, limits });
    let place = Places::new(1, 1).take(None).unwrap();
    let stay = Arc::new(Silence::new(1).enter(place));
    (client, tokio::spawn(keep(accepted, None, front, stop.clone(), stay)), stop)
}

/// Reads one answer of `/`.
async fn answered(client: &mut DuplexStream) {
    let mut read = Vec::new();
    while !read.ends_with(&[b'x'; 100]) {
        assert!(client.read_buf(&mut read).await.unwrap() > 0, "{}", String::from_utf8_lossy(&read));
    }
}

/// When the server closes, counted from `start`.
async fn closes(client: &mut DuplexStream, start: Instant) -> Duration {
    assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    start.elapsed()
}

/// Timers tick in milliseconds, and round up.
fn about(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) <= Duration::from_millis(5)
}

#[tokio::test(start_paused = true)]
async fn h14_a_head_has_its_time_from_the_connection_on() {
    for said in [&b""[..], b"GET"] {
        let start = Instant::now();
        let (mut client, kept, _stop) = connected(1 << 16);
        tokio::time::sleep(HEAD_WITHIN / 2).await;
        client.write_all(said).await.unwrap();
        let closed = closes(&mut client, start).await;
        assert!(about(closed, HEAD_WITHIN), "{closed:?}");
        kept.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn h14_a_later_head_has_its_time_from_its_first_byte_on() {
    let (mut client, kept, _stop) = connected(1 << 16);
    for _ in 0..3 {
        client.write_all(HEAD).await.unwrap();
        answered(&mut client).await;
        tokio::time::sleep(HEAD_WITHIN * 5).await;
    }
    let start = Instant::now();
    client.write_all(b"G").await.unwrap();
    let closed = closes(&mut client, start).await;
    assert!(about(closed, HEAD_WITHIN), "{closed:?}");
    kept.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_requests_ends_after_its_idle_time() {
    let (mut client, kept, _stop) = connected(1 << 16);
    client.write_all(HEAD).await.unwrap();
    answered(&mut client).await;
    let start = Instant::now();
    let closed = closes(&mut client, start).await;
    assert!(about(closed, IDLE_WITHIN), "{closed:?}");
    kept.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_deadline_of_heads_holds_while_a_request_is_served() {
    let (mut client, kept, _stop) = connected(1 << 16);
    client.write_all(b"GET /slow HTTP/1.1\r\n\r\n").await.unwrap();
    let mut status = [0; 12];
    client.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    drop(client);
    kept.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_its_answer_is_let_go() {
    let start = Instant::now();
    let (mut client, kept, _stop) = connected(32);
    client.write_all(HEAD).await.unwrap();
    kept.await.unwrap();
    assert!(about(start.elapsed(), Duration::from_secs(60)), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn p11_a_head_that_has_begun_may_still_end() {
    let (mut client, kept, stop) = connected(1 << 16);
    client.write_all(&HEAD[..5]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.closing.cancel();
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.write_all(&HEAD[5..]).await.unwrap();
    answered(&mut client).await;
    assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    kept.await.unwrap();
}
