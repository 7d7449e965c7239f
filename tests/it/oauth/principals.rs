//! Several clients of one gateway: whose login is shown, and that nothing of a client reaches the server.

use super::home::Home;
use super::issuer::Issuer;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

const ALICE: &str = "alices-token-that-only-this-test-knows";
const BOB: &str = "bobs-token-that-only-this-test-knows-too";

/// `braid serve`, for as long as it lives.
struct Gateway {
    child: Child,
    port: u16,
}

impl Gateway {
    fn of(home: &Home) -> Self {
        let mut child = home.command(&["serve"]).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on http") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "it does not listen");
        }
        let port = line.split("127.0.0.1:").nth(1).unwrap();
        let port = port.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
        // What it says from then on is read, so that it never waits.
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
        Self { child, port }
    }

    /// One POST of a client: the session that the answer gives, and the answer.
    fn post(&self, headers: &str, message: &Value) -> (String, Value) {
        let body = message.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAccept: application/json, text/event-stream\r\n\
             Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let answer = text.lines().find_map(|line| {
            let line = line.strip_prefix("data: ").unwrap_or(line);
            serde_json::from_str::<Value>(line).ok().filter(|value| value["jsonrpc"] == "2.0")
        });
        (field("mcp-session-id").unwrap_or_default(), answer.unwrap_or_default())
    }

    /// A call of whoever shows this token, and sends these headers besides.
    fn call(&self, token: &str, more: &str) -> Value {
        let mut headers = format!("Authorization: Bearer {token}\r\n{more}");
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}});
        let (session, answer) = self.post(&headers, &hello);
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18", "{answer}");
        write!(headers, "Mcp-Session-Id: {session}\r\n").unwrap();
        self.post(&headers, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        self.post(&headers, &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}));
        let call = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {
            "name": "far__echo", "arguments": {"text": token}}});
        self.post(&headers, &call).1
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn home(issuer: &Issuer, oauth: &str) -> Home {
    let home = Home::before(issuer, "");
    let config = format!(
        "[listen]\nhttp = [\"127.0.0.1:0\"]\ntokens = {{ alice = \"{ALICE}\", bob = \"{BOB}\" }}\n\n\
         [servers.far]\nurl = \"{}/mcp\"\noauth = {{ {oauth} }}\n",
        issuer.base
    );
    std::fs::write(home.folder.path().join("braid.toml"), config).unwrap();
    home
}

#[test]
fn s03_where_each_has_a_login_of_his_own_nobody_acts_with_anothers() {
    let issuer = Issuer::start();
    let home = home(&issuer, "per_principal = true");
    assert_eq!(home.login(&[]).code, 2, "whose is it to be?");
    assert_eq!(home.login(&["--as", "token:alice"]).code, 0);
    let gateway = Gateway::of(&home);
    assert_eq!(gateway.call(ALICE, "")["result"]["content"][0]["text"], ALICE);
    let refused = gateway.call(BOB, "");
    assert!(refused["error"]["message"].as_str().unwrap().contains("braid login far"), "{refused}");
    assert_eq!(home.login(&["--as", "token:bob"]).code, 0);
    let gateway = Gateway::of(&home);
    gateway.call(ALICE, "");
    assert_eq!(gateway.call(BOB, "")["result"]["content"][0]["text"], BOB);
    let world = issuer.world();
    let shown_for = |who: &str| {
        let calls = world.calls.iter().filter(|(text, _)| text == who);
        calls.map(|(_, token)| token.clone()).collect::<std::collections::BTreeSet<_>>()
    };
    let (alices, bobs) = (shown_for(ALICE), shown_for(BOB));
    assert_eq!((alices.len(), bobs.len()), (1, 1));
    assert_ne!(alices, bobs);
}

#[test]
fn h07_none_of_a_hundred_headers_of_a_client_reaches_a_server() {
    let issuer = Issuer::start();
    let home = home(&issuer, "enabled = true");
    assert_eq!(home.login(&[]).code, 0);
    let named = [
        "Cookie",
        "Proxy-Authorization",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "Forwarded",
        "Via",
        "X-Real-Ip",
        "X-Api-Key",
        "X-Auth-Token",
        "X-Access-Token",
        "X-Upstream-Authorization",
        "X-Original-Authorization",
        "X-Amz-Security-Token",
        "X-Goog-Api-Key",
        "Api-Key",
        "Authentication",
        "Www-Authenticate",
        "Set-Cookie",
        "X-Csrf-Token",
        "Traceparent",
        "Tracestate",
        "Baggage",
        "X-Request-Id",
        "X-Correlation-Id",
        "X-B3-Traceid",
        "Referer",
        "From",
        "Dnt",
        "X-Mcp-Anything",
        "X-Http-Method-Override",
        "X-Rewrite-Url",
        "Front-End-Https",
        "True-Client-Ip",
        "Cf-Connecting-Ip",
        "X-Client-Cert",
        "Ssl-Client-Cert",
        "Dpop",
        "Signature",
        "Signature-Input",
        "Digest",
        "Range",
        "If-Match",
        "Max-Forwards",
        "Pragma",
        "Cache-Control",
        "Save-Data",
        "Priority",
        "Sec-Gpc",
        "X-User",
    ];
    let invented: Vec<String> = (0..50).map(|number| format!("X-Client-{number}")).collect();
    let all: Vec<&str> = named.into_iter().chain(invented.iter().map(String::as_str)).collect();
    assert_eq!(all.len(), 100);
    let gateway = Gateway::of(&home);
    // In the bounds of one request's head.
    for some in all.chunks(25) {
        let mut headers = String::new();
        for name in some {
            write!(headers, "{name}: c4nary-of-a-client\r\n").unwrap();
        }
        let answer = gateway.call(ALICE, &headers);
        assert_eq!(answer["result"]["content"][0]["text"], ALICE, "{answer}");
    }
    let world = issuer.world();
    let theirs = ["host", "accept", "content-type", "content-length", "authorization", "user-agent"];
    let protocols = |name: &&String| !name.starts_with("mcp-") && !theirs.contains(&name.as_str());
    assert_eq!(world.headers.iter().filter(protocols).collect::<Vec<_>>(), Vec::<&String>::new());
    for (_, shown) in &world.calls {
        assert!(shown.starts_with("access-c4nary"), "not the client's: {shown}");
    }
}
