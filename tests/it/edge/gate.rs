//! H-03, H-04, H-05, H-16: tables of who may come in, row by row over a socket of its own.

use std::net::SocketAddr;

use mcp_braid::config::{Auth, Listen};

use super::raw::{Answer, Raw};
use super::rig::Rig;

/// What is said, line by line with `|` between them, and what comes back: the status, and lines of the head that must be
/// there, or must not if they begin with `!`. `{port}`, `{token}` are filled in.
pub(super) type Row<'a> = (&'a str, u16, &'a [&'a str]);

/// Checks each row on a connection of its own. `address` is any server's.
pub(super) async fn check(address: SocketAddr, token: &str, rows: &[Row<'_>]) {
    for (said, status, lines) in rows {
        let answer = say(address, token, said).await;
        assert_eq!(answer.status, *status, "{said}: {answer:?}");
        let head: Vec<String> =
            answer.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        for line in *lines {
            let (line, wanted) = line.strip_prefix('!').map_or((*line, true), |line| (line, false));
            let there = head.iter().any(|one| one.starts_with(line));
            assert_eq!(there, wanted, "{said}: `{line}` in {head:?}");
        }
        if answer.status == 403 {
            assert_eq!(answer.body, "", "{said}");
            assert!(!head.iter().any(|line| line.starts_with("access-control")), "{said}: {head:?}");
        }
    }
}

async fn say(address: SocketAddr, token: &str, said: &str) -> Answer {
    let said = said.replace("{port}", &address.port().to_string()).replace("{token}", token);
    let (first, rest) = said.split_once('|').unwrap_or((&said, ""));
    let mut text = format!("{first} HTTP/1.1\r\n");
    for line in rest.split('|').filter(|line| !line.is_empty()) {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    Raw::connect(address).await.ask(text).await
}

/// The same value of a header, refused on every kind of request.
async fn refused_everywhere(rig: &Rig, line: &str) {
    for first in [
        "GET /healthz",
        "GET /readyz",
        "POST /mcp",
        "GET /mcp",
        "DELETE /mcp",
        "GET /sse",
        "GET /nothing",
        "OPTIONS /mcp",
        "OPTIONS *",
        "PUT /mcp",
    ] {
        for more in ["", "|Authorization: Bearer {token}"] {
            check(rig.address(), &rig.token, &[(&format!("{first}|{line}{more}"), 403, &[])]).await;
        }
    }
}

fn listed(listen: &mut Listen) {
    listen.hosts = ["braid.lan", "mcp.example.com:443", "fd00::1"].map(str::to_owned).into();
    listen.origins = ["https://app.example.com", "http://localhost:6274", "chrome-extension://abcdef"]
        .map(str::to_owned)
        .into();
}

#[tokio::test]
async fn h04_a_host_is_ours_or_refused() {
    let rig = Rig::start().await;
    for host in [
        "localhost",
        "localhost:{port}",
        "LocalHost:{port}",
        "127.0.0.1",
        "127.0.0.1:{port}",
        "[::1]",
        "[::1]:{port}",
        "[0:0:0:0:0:0:0:1]:{port}",
        "  localhost  ",
    ] {
        let row = format!("GET /healthz|Host: {host}");
        check(rig.address(), &rig.token, &[(&row, 200, &["!access-control", "!vary"])]).await;
    }
    for host in [
        "evil.example",
        "evil.example:{port}",
        "localhost.evil.example:{port}",
        "127.0.0.1.evil.example",
        "evil.example.localhost",
        "localhost:1",
        "127.0.0.1:1",
        "[::1]:1",
        "localhost:80",
        "0.0.0.0:{port}",
        "127.0.0.2:{port}",
        "127.1:{port}",
        "2130706433:{port}",
        "0x7f000001:{port}",
        "0177.0.0.1:{port}",
        "localhost.:{port}",
        "[::ffff:127.0.0.1]:{port}",
        "[::]:{port}",
        "[::1%25lo]:{port}",
        "::1",
        "192.168.0.1:{port}",
        "",
        "user@localhost",
        "localhost:{port}@evil.example",
        "localhost, evil.example",
        "localhost localhost",
        "localhost/",
        "localhost:",
        "localhost:+{port}",
        "localhost:0{port}",
        "localhost:{port}:{port}",
        "localhost:65536",
        "http://localhost:{port}",
        "null",
        "*",
        "löcalhost",
        "localhost%00",
        "braid.lan",
        "localhost|Host: localhost",
        "localhost|Host: evil.example",
        "evil.example|Host: localhost",
    ] {
        let row = format!("GET /healthz|Host: {host}");
        check(rig.address(), &rig.token, &[(&row, 403, &[])]).await;
    }
    check(rig.address(), &rig.token, &[("GET /healthz", 403, &[])]).await;
    rig.end().await;
}

#[tokio::test]
async fn h04_an_absolute_uri_agrees_with_its_host() {
    let rig = Rig::start().await;
    let ok: &[(&str, u16, &[&str])] = &[
        ("GET http://localhost:{port}/healthz|Host: localhost:{port}", 200, &[]),
        ("GET http://LOCALHOST:{port}/healthz|Host: localhost:{port}", 200, &[]),
        ("GET http://localhost/healthz|Host: localhost", 200, &[]),
        ("GET http://[::1]:{port}/healthz|Host: [0:0:0:0:0:0:0:1]:{port}", 200, &[]),
        ("GET http://evil.example/healthz|Host: localhost", 403, &[]),
        ("GET http://localhost:{port}/healthz|Host: evil.example", 403, &[]),
        ("GET http://evil.example:{port}/healthz|Host: evil.example:{port}", 403, &[]),
        ("GET http://127.0.0.1:{port}/healthz|Host: localhost:{port}", 403, &[]),
        ("GET http://localhost:{port}/healthz|Host: localhost", 403, &[]),
        ("GET http://localhost:{port}/healthz", 403, &[]),
        ("GET http://user@localhost:{port}/healthz|Host: localhost:{port}", 403, &[]),
        ("GET ftp://localhost:{port}/healthz|Host: localhost:{port}", 403, &[]),
        ("CONNECT evil.example:443|Host: localhost:{port}|Authorization: Bearer {token}", 403, &[]),
        ("CONNECT localhost:{port}|Host: localhost:{port}|Authorization: Bearer {token}", 404, &[]),
        ("OPTIONS *|Host: localhost:{port}|Authorization: Bearer {token}", 404, &[]),
    ];
    check(rig.address(), &rig.token, ok).await;
    rig.end().await;
}

#[tokio::test]
async fn h04_an_origin_is_loopbacks_or_refused() {
    let rig = Rig::start().await;
    for origin in [
        "http://localhost:3000",
        "http://localhost",
        "https://localhost:{port}",
        "http://127.0.0.1:{port}",
        "http://[::1]:5173",
        "HTTP://LOCALHOST:1",
    ] {
        let row = format!("GET /healthz|Host: localhost|Origin: {origin}");
        check(rig.address(), &rig.token, &[(&row, 200, &["!access-control", "!vary"])]).await;
    }
    for origin in [
        "null",
        "",
        "http://evil.example",
        "http://evil.example:{port}",
        "https://localhost.evil.example",
        "http://127.0.0.2",
        "http://0.0.0.0:{port}",
        "file://",
        "http://localhost/",
        "http://localhost:3000/x",
        "localhost:3000",
        "http://",
        "*",
        "http://localhost http://evil.example",
        "http://localhost, http://localhost",
        "http://user@localhost",
        "http://localhost:99999",
        "ws://localhost",
        "tauri://localhost",
        "chrome-extension://abcdef",
        "https://app.example.com",
        "http://löcalhost",
        "http://localhost|Origin: http://localhost",
        "http://localhost|Origin: null",
        "http://evil.example|Origin: http://localhost",
    ] {
        let row = format!("GET /healthz|Host: localhost|Origin: {origin}");
        check(rig.address(), &rig.token, &[(&row, 403, &[])]).await;
    }
    rig.end().await;
}

#[tokio::test]
async fn h04_every_route_is_guarded() {
    let rig = Rig::with(listed).await;
    for line in [
        "Host: evil.example:{port}",
        "X-Host: localhost",
        "Host: localhost|Host: localhost",
        "Host: localhost|Origin: null",
        "Host: localhost|Origin: https://evil.example",
        "Host: localhost|Origin: https://evil.example|Access-Control-Request-Method: POST",
        "Host: localhost|Origin: https://app.example.com|Origin: https://app.example.com",
        "Host: evil.example|Origin: https://app.example.com|Access-Control-Request-Method: POST",
    ] {
        refused_everywhere(&rig, line).await;
    }
    rig.end().await;
}

#[tokio::test]
async fn listed_hosts_and_origins_are_let_in_and_no_others() {
    let rig = Rig::with(listed).await;
    check(
        rig.address(),
        &rig.token,
        &[
            ("GET /healthz|Host: braid.lan", 200, &["vary: origin", "!access-control"]),
            ("GET /healthz|Host: BRAID.lan:1234", 200, &[]),
            ("GET /healthz|Host: mcp.example.com:443", 200, &[]),
            ("GET /healthz|Host: [fd00::1]:9", 200, &[]),
            ("GET /healthz|Host: mcp.example.com", 403, &[]),
            ("GET /healthz|Host: mcp.example.com:80", 403, &[]),
            ("GET /healthz|Host: a.braid.lan", 403, &[]),
            (
                "GET /healthz|Host: localhost|Origin: https://app.example.com:443",
                200,
                &["access-control-allow-origin: https://app.example.com:443"],
            ),
            ("GET /healthz|Host: localhost|Origin: http://app.example.com", 403, &[]),
            ("GET /healthz|Host: localhost|Origin: https://app.example.com:8443", 403, &[]),
            ("GET /healthz|Host: localhost|Origin: https://a.app.example.com", 403, &[]),
            (
                "GET /healthz|Host: localhost|Origin: chrome-extension://abcdef",
                200,
                &["access-control-allow-origin: chrome-extension://abcdef"],
            ),
            ("GET /healthz|Host: localhost|Origin: chrome-extension://other", 403, &[]),
        ],
    )
    .await;
    rig.end().await;
}

#[tokio::test]
async fn h05_only_a_listed_origin_reads_an_answer() {
    let rig = Rig::with(listed).await;
    const LEAVE: &[&str] = &[
        "access-control-allow-origin: https://app.example.com",
        "access-control-expose-headers: mcp-protocol-version, mcp-session-id",
        "vary: origin",
        "!access-control-allow-credentials",
        "!access-control-allow-methods",
    ];
    const NONE: &[&str] = &["!access-control", "vary: origin"];
    const PREFLIGHT: &[&str] = &[
        "access-control-allow-origin: https://app.example.com",
        "access-control-allow-methods: GET, POST, DELETE",
        "access-control-allow-headers: accept, authorization, content-type, last-event-id, mcp-method, mcp-name, mcp-protocol-version, mcp-session-id",
        "access-control-max-age: 600",
        "vary: origin",
        "!access-control-allow-credentials",
        "!access-control-allow-private-network",
        "!content-type",
    ];
    let from = |origin: &str, more: &str| format!("|Host: localhost|Origin: {origin}{more}");
    let (app, page) = (from("https://app.example.com", ""), from("http://localhost:3000", ""));
    let asks = "|Access-Control-Request-Method: POST";
    let token = "|Authorization: Bearer {token}";
    check(
        rig.address(),
        &rig.token,
        &[
            (&format!("GET /who{app}{token}"), 200, LEAVE),
            (&format!("GET /healthz{app}"), 200, LEAVE),
            (&format!("GET /nothing{app}{token}"), 404, LEAVE),
            (&format!("GET /who{app}"), 401, LEAVE),
            (&format!("OPTIONS /who{app}"), 401, LEAVE),
            (&format!("OPTIONS /who{app}{token}"), 405, LEAVE),
            (&format!("GET /who{page}{token}"), 200, NONE),
            (&format!("GET /who{}{token}", from("http://localhost:6274", "")), 200, &["access-control-allow-origin: http://localhost:6274"]),
            (&format!("GET /who|Host: localhost{token}"), 200, NONE),
            (&format!("OPTIONS /mcp{app}{asks}"), 204, PREFLIGHT),
            (&format!("OPTIONS /healthz{app}{asks}"), 204, PREFLIGHT),
            (&format!("OPTIONS /nothing{app}{asks}"), 204, PREFLIGHT),
            (&format!("OPTIONS /mcp{app}|Access-Control-Request-Method: PUT"), 204, PREFLIGHT),
            (
                &format!("OPTIONS /mcp{app}{asks}|Access-Control-Request-Headers: x-evil, mcp-param-city, MCP-PARAM-Zip, mcp-param-\u{1}"),
                400,
                &[],
            ),
            (
                &format!("OPTIONS /mcp{app}{asks}|Access-Control-Request-Headers: x-evil, mcp-param-city, MCP-PARAM-Zip, mcp-param-(x)"),
                204,
                &["access-control-allow-headers: accept, authorization, content-type, last-event-id, mcp-method, mcp-name, mcp-protocol-version, mcp-session-id, mcp-param-city, mcp-param-zip"],
            ),
            (&format!("OPTIONS /mcp{app}{asks}|Access-Control-Request-Private-Network: true"), 204, &["access-control-allow-private-network: true"]),
            (&format!("OPTIONS /mcp{page}{asks}"), 403, &[]),
            (&format!("OPTIONS /mcp{}{asks}", from("null", "")), 403, &[]),
            (&format!("OPTIONS /mcp|Host: localhost{asks}"), 401, NONE),
        ],
    )
    .await;
    let rows = say(rig.address(), &rig.token, &format!("OPTIONS /mcp{app}{asks}")).await;
    assert!(!rows.headers.iter().any(|(_, value)| value.contains('*')), "{rows:?}");
    rig.end().await;
    let off = Rig::start().await;
    check(off.address(), &off.token, &[(&format!("OPTIONS /mcp{page}{asks}"), 403, &[])]).await;
    off.end().await;
}

#[tokio::test]
async fn h03_a_token_is_shown_in_one_way_only() {
    const WRONG: &str = "www-authenticate: Bearer error=\"invalid_token\"";
    let rows: &[(&str, u16, &[&str])] = &[
        ("GET /who|Authorization: Bearer {token}", 200, &["!www-authenticate"]),
        ("GET /who|authorization: bearer {token}", 200, &[]),
        ("GET /who|AUTHORIZATION: BEARER {token}", 200, &[]),
        ("GET /who|Authorization: Bearer   {token}  ", 200, &[]),
        ("GET /healthz", 200, &[]),
        ("GET /readyz", 200, &[]),
        ("HEAD /healthz", 200, &[]),
        ("GET /healthz|Authorization: Bearer wrong", 200, &[]),
        (
            "GET /who",
            401,
            &[
                "www-authenticate: Bearer",
                "!www-authenticate: Bearer error",
                "content-type: application/json",
            ],
        ),
        ("GET /nothing", 401, &[]),
        ("POST /healthz", 401, &[]),
        ("GET /healthz/", 401, &[]),
        ("GET //healthz", 401, &[]),
        ("GET /healthz/../who", 401, &[]),
        ("GET /Healthz", 401, &[]),
        ("GET /who?token={token}", 401, &["!www-authenticate: Bearer error"]),
        ("GET /who?access_token={token}", 401, &[]),
        ("GET /who?authorization=Bearer%20{token}", 401, &[]),
        ("GET /who|Cookie: token={token}", 401, &[]),
        ("GET /who|X-Api-Key: {token}", 401, &[]),
        ("GET /who|Proxy-Authorization: Bearer {token}", 401, &[]),
        ("GET /who|Authorization: {token}", 401, &["!www-authenticate: Bearer error"]),
        ("GET /who|Authorization: Bearer", 401, &["!www-authenticate: Bearer error"]),
        ("GET /who|Authorization: Bearer{token}", 401, &["!www-authenticate: Bearer error"]),
        ("GET /who|Authorization: Bearer\t{token}", 401, &["!www-authenticate: Bearer error"]),
        ("GET /who|Authorization: Basic {token}", 401, &["!www-authenticate: Bearer error"]),
        ("GET /who|Authorization: Token {token}", 401, &[]),
        ("GET /who|Authorization: Bearer x{token}", 401, &[WRONG]),
        ("GET /who|Authorization: Bearer {token}x", 401, &[WRONG]),
        ("GET /who|Authorization: Bearer {token},{token}", 401, &[WRONG]),
        ("GET /who|Authorization: Bearer {token} {token}", 401, &[WRONG]),
        ("GET /who|Authorization: Bearer Bearer {token}", 401, &[WRONG]),
        ("GET /who|Authorization: Bearer \"{token}\"", 401, &[WRONG]),
        ("GET /who|Authorization: Bearer ä", 401, &[WRONG]),
        ("GET /who|Authorization: Bearer {token}|Authorization: Bearer {token}", 401, &[WRONG]),
        ("GET /who|Authorization: Bearer {token}|Authorization: Bearer wrong", 401, &[WRONG]),
        ("GET /who|Authorization: Bearer wrong|Authorization: Bearer {token}", 401, &[WRONG]),
    ];
    // A source has ten failures a minute; so each row gets a guard that knows of none.
    for (said, status, lines) in rows {
        let rig = Rig::start().await;
        let said = format!("{said}|Host: localhost");
        check(rig.address(), &rig.token, &[(&said, *status, *lines)]).await;
        rig.end().await;
    }
}

#[tokio::test]
async fn who_comes_has_the_rights_of_what_it_shows() {
    let rig = Rig::start().await;
    assert_eq!(rig.ask("GET /who", "", "").await.body, "Principal(\"bearer\")");
    rig.end().await;
    let open = Rig::with(|listen| listen.auth = Auth::None).await;
    for line in ["GET /who|Host: localhost", "GET /who|Host: localhost|Authorization: Bearer whatever"] {
        assert_eq!(say(open.address(), "", line).await.body, "Principal(\"anonymous\")", "{line}");
    }
    check(
        open.address(),
        "",
        &[("GET /who|Host: evil.example", 403, &[]), ("GET /who|Host: localhost|Origin: null", 403, &[])],
    )
    .await;
    open.end().await;
}

#[tokio::test]
async fn a_refusal_says_where_the_token_is_and_never_the_token() {
    let rig = Rig::start().await;
    for line in ["GET /who|Host: localhost", "GET /who|Host: localhost|Authorization: Bearer {token}x"] {
        let answer = say(rig.address(), &rig.token, line).await;
        let body = &answer.body;
        assert!(body.starts_with(r#"{"jsonrpc":"2.0","error":{"code":1005,"#), "{body}");
        assert!(body.contains(&rig.token_file) && body.contains("Authorization: Bearer"), "{body}");
        assert!(!body.contains(&rig.token) && !body.contains(r#""id""#), "{body}");
    }
    rig.end().await;
}

#[tokio::test]
async fn h16_ten_failures_a_minute_and_the_right_token_is_served_all_along() {
    let rig = Rig::start().await;
    for number in 0..10 {
        let line = if number % 2 == 0 {
            "GET /who|Host: localhost"
        } else {
            "GET /who|Host: localhost|Authorization: Bearer no"
        };
        check(rig.address(), &rig.token, &[(line, 401, &["!retry-after"])]).await;
    }
    for _ in 0..5 {
        let line = "GET /who|Host: localhost|Authorization: Bearer no";
        let answer = say(rig.address(), &rig.token, line).await;
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!(answer.status == 429 && (1..=60).contains(&wait), "{answer:?}");
        assert!(answer.body.contains(r#""reason":"rate""#), "{answer:?}");
        assert_eq!(rig.ask("GET /who", "", "").await.status, 200);
    }
    check(
        rig.address(),
        &rig.token,
        &[("GET /healthz|Host: localhost", 200, &[]), ("GET /who|Host: evil.example", 403, &[])],
    )
    .await;
    rig.end().await;
}
