//! H-14: bodies that are too large, too slow, too many, or not read at all.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use super::raw::within;
use super::rig::{BODY_BYTES_MAX, MEMORY_BYTES, Rig};

fn length(bytes: usize) -> String {
    format!("Content-Length: {bytes}\r\n")
}

#[tokio::test]
async fn a_body_is_read_whole_however_it_comes() {
    let rig = Rig::start().await;
    for bytes in [0, 1, 63 * 1024, 65 * 1024, BODY_BYTES_MAX] {
        let answer = rig.ask("POST /mcp", &length(bytes), &"x".repeat(bytes)).await;
        assert_eq!(answer.body, format!("read {bytes}"));
    }
    let chunks = "3\r\nabc\r\n".repeat(1000) + "0\r\nX-Trailer: a\r\n\r\n";
    assert_eq!(rig.ask("POST /mcp", "Transfer-Encoding: chunked\r\n", &chunks).await.body, "read 3000");
    rig.end().await;
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_before_it_is_sent() {
    let rig = Rig::start().await;
    for more in ["", "Expect: 100-continue\r\n"] {
        let more = length(BODY_BYTES_MAX + 1) + more;
        let answer = rig.ask("POST /mcp", &more, "").await;
        assert_eq!(answer.status, 413, "{answer:?}");
        assert!(answer.body.contains(r#""code":1004"#) && !answer.body.contains(r#""id""#), "{answer:?}");
    }
    let mut raw = rig.connect().await;
    let patient = rig.request("POST /mcp", "Content-Length: 2\r\nExpect: 100-continue\r\n", "");
    assert_eq!(raw.ask(patient).await.status, 100);
    assert_eq!(raw.ask("ab").await.body, "read 2");
    rig.end().await;
}

#[tokio::test]
async fn who_sends_too_much_still_hears_why() {
    let rig = Rig::start().await;
    let much = BODY_BYTES_MAX * 8;
    for (path, more, status) in [
        ("POST /mcp", length(much), 413),
        ("POST /mcp", "Transfer-Encoding: chunked\r\n".to_owned(), 413),
        ("POST /unread", length(much), 200),
        ("POST /nothing", length(much), 404),
    ] {
        let half = "x".repeat(much / 2);
        let begin = if more.starts_with('T') { format!("{much:x}\r\n{half}") } else { half.clone() };
        let (mut read, mut write) = rig.connect().await.into_stream().into_split();
        within(write.write_all(rig.request(path, &more, &begin).as_bytes())).await.unwrap();
        let mut said = Vec::new();
        within(read.read_to_end(&mut said)).await.unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {more}: {said}");
        // It was answered, and may go on: a reset could reach it before it has looked at the answer.
        for piece in half.as_bytes().chunks(64 * 1024) {
            within(write.write_all(piece)).await.unwrap();
        }
    }
    assert_eq!(rig.ask("GET /who", "", "").await.status, 200);
    rig.end().await;
}

#[tokio::test]
async fn a_small_body_that_nobody_reads_does_not_end_the_connection() {
    let rig = Rig::start().await;
    let mut raw = rig.connect().await;
    for _ in 0..3 {
        let answer = raw.ask(rig.request("POST /unread", &length(100), &"x".repeat(100))).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "unread"));
    }
    assert_eq!(raw.ask(rig.request("GET /who", "", "")).await.status, 200);
    rig.end().await;
}

#[tokio::test]
async fn h14_a_body_that_drips_is_not_waited_for() {
    let limit = Duration::from_millis(300);
    let rig = Rig::with(|listen| listen.limits.body_within = limit).await;
    let (mut read, mut write) = rig.connect().await.into_stream().into_split();
    let head = rig.request("POST /mcp", &length(1000), "");
    let start = Instant::now();
    let dripping = tokio::spawn(async move {
        write.write_all(head.as_bytes()).await.unwrap();
        while write.write_all(b"x").await.is_ok() {
            sleep(limit / 10).await;
        }
    });
    let mut said = vec![0; 12];
    within(read.read_exact(&mut said)).await.unwrap();
    assert_eq!(String::from_utf8(said).unwrap(), "HTTP/1.1 408");
    assert!(start.elapsed() >= limit / 2 && start.elapsed() < limit * 10);
    within(read.read_to_end(&mut Vec::new())).await.ok();
    within(dripping).await.unwrap();
    rig.end().await;
}

#[tokio::test]
async fn without_memory_a_body_is_refused_and_later_read() {
    let rig = Rig::start().await;
    let (most, rest) = ("x".repeat(BODY_BYTES_MAX - 1), "x");
    let mut holders = Vec::new();
    for _ in 0..MEMORY_BYTES / BODY_BYTES_MAX {
        let mut raw = rig.connect().await;
        raw.say(rig.request("POST /mcp", &length(BODY_BYTES_MAX), &most)).await;
        holders.push(raw);
    }
    let full = within(async {
        loop {
            let answer = rig.ask("POST /mcp", &length(1), "x").await;
            if answer.status != 200 {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((full.status, full.header("retry-after")), (503, Some("1")), "{full:?}");
    assert!(full.body.contains(r#""reason":"busy""#), "{full:?}");
    for mut raw in holders {
        assert_eq!(raw.ask(rest).await.status, 200);
    }
    assert_eq!(rig.ask("POST /mcp", &length(1), "x").await.status, 200);
    rig.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_body_leaves_nothing() {
    let rig = Rig::start().await;
    for body in ["", "x", "ffffffffffffffffff\r\n", "3\r\nabcd\r\n", "-1\r\n", "x\r\n"] {
        let mut raw = rig.connect().await;
        raw.say(rig.request("POST /mcp", "Transfer-Encoding: chunked\r\n", body)).await;
        raw.finish().await;
        let said = raw.end().await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{body:?}: {said}");
    }
    rig.end().await;
}
