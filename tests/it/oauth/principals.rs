//! Several clients of one gateway: whose login is shown, and that nothing of a client reaches the server.

use super::gateway::{ALICE, BOB, Gateway, home};
use super::issuer::Issuer;
use std::fmt::Write as _;

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
