//! H-14: heads that come slowly, are too large, or could be read in two ways.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::raw::{Raw, within};
use super::rig::Rig;

const HEAD_WITHIN: Duration = Duration::from_millis(300);

async fn hasty() -> Rig {
    Rig::with(|listen| listen.limits.head_within = HEAD_WITHIN).await
}

/// Sends a byte now and then until nobody takes it, and says when the server closed, and with what words.
async fn drip(stream: TcpStream) -> (Duration, String) {
    let start = Instant::now();
    let (mut read, mut write) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while write.write_all(b"x").await.is_ok() {
            sleep(HEAD_WITHIN / 10).await;
        }
    });
    let mut said = Vec::new();
    within(read.read_to_end(&mut said)).await.ok();
    let taken = start.elapsed();
    within(dripping).await.unwrap();
    (taken, String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn h14_a_head_that_drips_is_not_waited_for() {
    let rig = hasty().await;
    let mut raw = rig.connect().await;
    raw.say("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
    let (taken, said) = drip(raw.into_stream()).await;
    assert!(taken >= HEAD_WITHIN / 2 && taken < HEAD_WITHIN * 10, "{taken:?}");
    assert_eq!(said, "");
    rig.end().await;
}

#[tokio::test]
async fn h14_a_client_that_says_nothing_is_not_waited_for() {
    let rig = hasty().await;
    let start = Instant::now();
    assert_eq!(rig.connect().await.end().await, "");
    assert!(start.elapsed() >= HEAD_WITHIN / 2 && start.elapsed() < HEAD_WITHIN * 10);
    rig.end().await;
}

#[tokio::test]
async fn h14_a_later_head_that_drips_is_not_waited_for_either() {
    let rig = hasty().await;
    let mut raw = rig.connect().await;
    assert_eq!(raw.ask(rig.request("GET /healthz", "", "")).await.status, 200);
    let (taken, said) = drip(raw.into_stream()).await;
    assert!(taken < HEAD_WITHIN * 10 && said.is_empty(), "{taken:?} {said}");
    rig.end().await;
}

#[tokio::test]
async fn a_kept_connection_may_wait_longer_for_its_next_request() {
    let rig = hasty().await;
    let mut raw = rig.connect().await;
    for _ in 0..2 {
        assert_eq!(raw.ask(rig.request("GET /healthz", "", "")).await.status, 200);
        // Nothing to wait for but time itself: what is shown is that nothing happens in it.
        sleep(HEAD_WITHIN * 2).await;
    }
    assert_eq!(raw.ask(rig.request("POST /mcp", "Content-Length: 2\r\n", "ab")).await.body, "read 2");
    rig.end().await;
}

#[tokio::test]
async fn h14_slow_heads_hold_up_nobody() {
    let rig = hasty().await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut raw = rig.connect().await;
        raw.say("GET / HTTP/1.1\r\nX").await;
        slow.push(raw);
    }
    assert_eq!(rig.ask("GET /who", "", "").await.status, 200);
    for mut raw in slow {
        assert_eq!(raw.end().await, "");
    }
    rig.end().await;
}

#[tokio::test]
async fn h14_a_head_has_64_headers_and_16_kib() {
    let rig = Rig::start().await;
    let headers = |count: usize| "X-Many: a\r\n".repeat(count - 2);
    let bytes = |count: usize| format!("X-Long: {}\r\n", "a".repeat(count));
    assert_eq!(rig.ask("GET /who", &headers(64), "").await.status, 200);
    assert_eq!(rig.ask("GET /who", &bytes(16_000), "").await.status, 200);
    let long = format!("GET /who?{}", "a".repeat(16_500));
    for (line, more) in [
        ("GET /who", headers(65)),
        ("GET /who", headers(1000)),
        ("GET /who", bytes(16_500)),
        ("GET /who", bytes(40_000)),
        (&long, String::new()),
    ] {
        let mut raw = rig.connect().await;
        let answer = raw.ask(rig.request(line, &more, "")).await;
        assert_eq!(answer.status, 431, "{answer:?}");
        assert_eq!(raw.end().await, "", "the connection ends");
    }
    rig.end().await;
}

#[tokio::test]
async fn h14_a_head_without_end_is_cut_off_and_told_so() {
    let rig = Rig::start().await;
    for bomb in ["X-Long: ", "X-Many: a\r\n"] {
        let (mut read, mut write) = rig.connect().await.into_stream().into_split();
        let sending = tokio::spawn(async move {
            write.write_all(b"GET /who HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
            let (mut sent, bomb) = (0, bomb.repeat(8192));
            while sent < 64 * 1024 * 1024 && write.write_all(bomb.as_bytes()).await.is_ok() {
                sent += bomb.len();
            }
            sent
        });
        let mut said = Vec::new();
        within(read.read_to_end(&mut said)).await.ok();
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
        let sent = within(sending).await.unwrap();
        assert!(sent < 64 * 1024 * 1024, "it was read to the end");
    }
    rig.end().await;
}

#[tokio::test]
async fn requests_in_one_breath_are_answered_in_their_order() {
    let rig = Rig::start().await;
    let mut raw = rig.connect().await;
    let breath = [
        rig.request("POST /mcp", "Content-Length: 3\r\n", "abc"),
        rig.request("GET /healthz", "", ""),
        rig.request("POST /mcp", "Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\n\r\n"),
        rig.request("GET /nothing", "", ""),
        "GET /who HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
        rig.request("GET /who", "", ""),
    ];
    raw.say(breath.concat()).await;
    let mut answers = Vec::new();
    for _ in &breath {
        let answer = raw.answer().await;
        answers.push((answer.status, answer.body));
    }
    let wanted =
        [(200, "read 3"), (200, "ok"), (200, "read 2"), (404, ""), (403, ""), (200, "Principal(\"bearer\")")];
    assert_eq!(answers, wanted.map(|(status, body)| (status, body.to_owned())));
    rig.end().await;
}

#[tokio::test]
async fn http_1_0_is_answered_and_let_go() {
    let rig = Rig::start().await;
    for (more, status) in [("Host: localhost\r\n", 200), ("", 403), ("Host: evil.example\r\n", 403)] {
        let mut raw = rig.connect().await;
        let answer = raw.ask(format!("GET /healthz HTTP/1.0\r\n{more}\r\n")).await;
        assert_eq!(answer.status, status, "{more}");
        assert_eq!(raw.end().await, "", "the connection ends");
    }
    let mut raw = rig.connect().await;
    for _ in 0..2 {
        let kept = "GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(raw.ask(kept).await.status, 200);
    }
    rig.end().await;
}

/// The first answer's status, and how many answers came in all before the connection ended.
async fn answers(rig: &Rig, said: &[u8]) -> (Option<u16>, usize) {
    let mut raw: Raw<TcpStream> = rig.connect().await;
    raw.try_say(said).await.ok();
    raw.finish().await;
    let Some(first) = raw.try_answer().await else { return (None, 0) };
    let mut count = 1;
    while raw.try_answer().await.is_some() {
        count += 1;
    }
    (Some(first.status), count)
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused() {
    let rig = Rig::start().await;
    let smuggled = rig.request("GET /who", "", "");
    for more in [
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 4\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: 3 3\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length : 3\r\n",
        " Content-Length: 3\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: chunked\r\n\tx\r\n",
        "X-Null: a\0b\r\n",
        "X-Return: a\rb\r\n",
        "Content-Length: 3\rX: y\r\n",
        "X\u{e9}: a\r\n",
        "no colon\r\n",
    ] {
        let said = rig.request("POST /mcp", more, &format!("0\r\n\r\n{smuggled}"));
        assert_eq!(answers(&rig, said.as_bytes()).await, (Some(400), 1), "{more:?}");
    }
    rig.end().await;
}

#[tokio::test]
async fn a_length_beside_chunks_ends_the_connection() {
    let rig = Rig::start().await;
    let smuggled = rig.request("GET /who", "", "");
    for more in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\nContent-Length: 7\r\n",
    ] {
        // RFC 9112, 6.1: chunks win, and what comes behind them is never taken for a request.
        let mut raw = rig.connect().await;
        let answer = raw.ask(rig.request("POST /mcp", more, &format!("1\r\na\r\n0\r\n\r\n{smuggled}"))).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "read 1"), "{more:?}");
        assert_eq!(raw.end().await, "", "{more:?}");
    }
    rig.end().await;
}

#[tokio::test]
async fn what_is_no_http_is_sent_away() {
    let rig = Rig::start().await;
    for said in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/3.0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n",
        b"G\0T / HTTP/1.1\r\n\r\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n",
        b"GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\xff\xff\xff\xff\xff\xff\r\n\r\n",
    ] {
        let (status, count) = answers(&rig, said).await;
        assert!(matches!(status, None | Some(400 | 505)) && count <= 1, "{said:?}: {status:?} {count}");
    }
    for silent in [&b""[..], b"\r\n", b"\r\n\r\n\r\n"] {
        assert_eq!(answers(&rig, silent).await.1, 0, "{silent:?}");
    }
    assert_eq!(rig.ask("GET /who", "", "").await.status, 200);
    rig.end().await;
}
