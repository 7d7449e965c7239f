//! Braid as a resource server: whose tokens let in, what everybody else is told, and what nobody gets.

mod provider;
mod table;

use std::net::SocketAddr;

use mcp_braid::config::{
    Address, Auth, IdentityProvider, Introspection, Listen, NamedToken, Secret, Sharing,
};
use mcp_braid::downstream::edge::accept::{self, Stop};
use mcp_braid::downstream::edge::bound::Bound;
use mcp_braid::downstream::edge::guard::Guard;
use mcp_braid::downstream::http::routes::Routes;
use mcp_braid::downstream::oauth::Issuer;
use mcp_braid::downstream::oauth::issuer::Ways;
use mcp_braid::upstream::fetch::Proxies;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use self::provider::Provider;
use super::raw::{Answer, Raw, within};
use super::rig::loopback;
use crate::http::house::House;
use crate::http::server::Server;

const RESOURCE: &str = "https://gw.example.com/mcp";
/// What is asked of a client that brings nothing.
const CHALLENGE: &str =
    "resource_metadata=\"https://gw.example.com/.well-known/oauth-protected-resource/mcp\", scope=\"read\"";
const NAMED: &str = "a-token-of-a-holder-with-a-name-0123456789";

/// Braid, with tokens of a provider, on a port of its own.
struct Gateway {
    address: SocketAddr,
    stop: Stop,
    served: JoinHandle<()>,
    house: House,
}

impl Gateway {
    async fn start(provider: &Provider) -> Self {
        Self::with(provider, |_| {}).await
    }

    async fn with(provider: &Provider, change: impl FnOnce(&mut Listen)) -> Self {
        let mut oauth = IdentityProvider::new(&provider.issuer, RESOURCE);
        oauth.scopes = vec!["read".to_owned()];
        let tokens =
            vec![NamedToken { name: "ci".to_owned(), token: Secret::new(NAMED), scopes: Vec::new() }];
        let mut listen = Listen {
            addresses: vec![loopback()],
            auth: Auth::OAuth,
            oauth: Some(oauth),
            tokens,
            ..Listen::default()
        };
        change(&mut listen);
        let house = House::new(&[("s", &Server::new(&["echo"]))], Sharing::Shared, |config| {
            config.listen = listen.clone();
        });
        let oauth = listen.oauth.as_ref().unwrap();
        let ways = Ways::new(oauth.ca_file.as_deref(), || Proxies::of(std::iter::empty())).unwrap();
        let issuer = Issuer::new(oauth, ways).unwrap();
        let bound = Bound::bind(&listen.addresses, None).await.unwrap();
        let addresses = bound.addresses();
        let guard = Guard::with_issuer(&listen, &addresses, None, Some(issuer)).unwrap();
        let router = Routes::new(house.front.clone());
        let front = accept::Front { guard, router, limits: listen.limits.clone() };
        let stop = Stop::default();
        let served = tokio::spawn(accept::serve(bound, front, stop.clone()));
        let Address::Tcp(address) = addresses[0] else { panic!("no TCP") };
        Self { address, stop, served, house }
    }

    /// One request on a connection of its own. `more`: headers with their line ends.
    async fn ask(&self, line: &str, more: &str, body: &str) -> Answer {
        let (address, length) = (self.address, body.len());
        let text =
            format!("{line} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n{more}\r\n{body}");
        Raw::connect(address).await.ask(text).await
    }

    /// A message, posted to a door.
    async fn post(&self, door: &str, more: &str, message: &Value) -> Answer {
        let accept = "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n";
        self.ask(&format!("POST {door}"), &format!("{accept}{more}"), &message.to_string()).await
    }

    async fn greet(&self, door: &str, token: &str) -> Answer {
        self.post(door, &bearer(token), &greeting()).await
    }

    async fn end(self) {
        self.stop.closing.cancel();
        self.stop.now.cancel();
        within(self.served).await.unwrap();
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn greeting() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}})
}

fn ping() -> Value {
    json!({"jsonrpc": "2.0", "id": 2, "method": "ping"})
}

fn of_session(id: &str, token: &str) -> String {
    format!("{}Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n", bearer(token))
}

#[tokio::test]
async fn tokens_of_the_provider_let_in_however_they_are_signed() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    for (alg, kid) in [("ES256", "ec"), ("EdDSA", "ed"), ("RS256", "rsa"), ("PS256", "rsa")] {
        for head in [
            json!({"alg": alg, "kid": kid, "typ": "at+jwt"}),
            json!({"alg": alg, "kid": kid, "typ": "JWT"}),
            json!({"alg": alg}),
        ] {
            let token = provider.keys.token(&head, &provider.claims("ana"));
            let answer = gateway.greet("/mcp", &token).await;
            assert_eq!(answer.status, 200, "{head}: {answer:?}");
            assert!(answer.header("mcp-session-id").is_some());
        }
    }
    assert_eq!((provider.asked("/keys"), provider.asked("/.well-known/oauth-authorization-server")), (1, 1));
    assert_eq!(gateway.greet("/mcp", NAMED).await.status, 200, "and so does one with a name");
    gateway.end().await;
}

#[tokio::test]
async fn who_brings_no_token_learns_where_to_get_one() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    let host = "https://gw.example.com/.well-known/oauth-protected-resource";
    for _ in 0..4 {
        for (door, own) in [
            ("/mcp", "/mcp"),
            ("/mcp/dev", "/mcp/dev"),
            ("/servers/s/mcp", "/servers/s/mcp"),
            ("/other", "/mcp"),
        ] {
            let answer = gateway.post(door, "", &greeting()).await;
            let challenge = format!("Bearer resource_metadata=\"{host}{own}\", scope=\"read\"");
            assert_eq!(
                (answer.status, answer.header("www-authenticate")),
                (401, Some(&*challenge)),
                "{door}"
            );
        }
    }
    for (place, resource) in [
        ("", "/mcp"),
        ("/mcp", "/mcp"),
        ("/mcp/dev", "/mcp/dev"),
        ("/servers/s/mcp", "/servers/s/mcp"),
        ("/sse", "/sse"),
    ] {
        let path = format!("/.well-known/oauth-protected-resource{place}");
        for line in [format!("GET {path}"), format!("GET {path}?access_token=x")] {
            let answer = gateway.ask(&line, "", "").await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (200, Some("application/json")),
                "{line}"
            );
            let metadata: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(metadata["resource"], format!("https://gw.example.com{resource}"));
            assert_eq!(metadata["authorization_servers"], json!([provider.issuer]));
            assert_eq!(metadata["scopes_supported"], json!(["read"]));
            assert_eq!(metadata["bearer_methods_supported"], json!(["header"]));
        }
    }
    assert_eq!(gateway.ask("GET /.well-known/oauth-protected-resource/nothing", "", "").await.status, 404);
    for line in ["POST /.well-known/oauth-protected-resource", "GET /.well-known/openid-configuration"] {
        assert_eq!(gateway.ask(line, "", "").await.status, 401, "{line}");
    }
    let evil = "GET /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    assert_eq!(Raw::connect(gateway.address).await.ask(evil).await.status, 403);
    assert_eq!(provider.asked("/keys"), 0, "nobody was asked about anything");
    gateway.end().await;
}

#[tokio::test]
async fn a_token_that_is_not_good_for_enough_is_told_what_is_needed() {
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, |listen| {
        listen.oauth.as_mut().unwrap().scopes = vec!["write".to_owned(), "read".to_owned()];
    })
    .await;
    let head = json!({"alg": "ES256", "kid": "ec"});
    let mut claims = provider.claims("ana");
    let mut connection = Raw::connect(gateway.address).await;
    for _ in 0..12 {
        let token = provider.keys.token(&head, &claims);
        let text = format!("GET /mcp HTTP/1.1\r\nHost: {}\r\n{}\r\n", gateway.address, bearer(&token));
        let answer = connection.ask(text).await;
        let challenge = format!(
            "Bearer error=\"insufficient_scope\", resource_metadata=\"{}\", scope=\"read write\"",
            "https://gw.example.com/.well-known/oauth-protected-resource/mcp"
        );
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (403, Some(&*challenge)),
            "{answer:?}"
        );
        assert!(answer.body.contains("read write"), "{answer:?}");
    }
    claims["scope"] = json!("write other read");
    assert_eq!(gateway.greet("/mcp", &provider.keys.token(&head, &claims)).await.status, 200);
    gateway.end().await;
}

#[tokio::test]
async fn a_token_for_one_door_opens_no_other() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    let mut claims = provider.claims("ana");
    claims["aud"] = json!("https://gw.example.com/servers/s/mcp");
    let token = provider.keys.token(&json!({"alg": "ES256", "kid": "ec"}), &claims);
    let mut connection = Raw::connect(gateway.address).await;
    for (door, status) in [("/servers/s/mcp", 400), ("/mcp", 401), ("/servers/s/mcp", 400), ("/mcp/dev", 401)]
    {
        // On one connection, so that what let the last one in is remembered.
        let text = format!("DELETE {door} HTTP/1.1\r\nHost: {}\r\n{}\r\n", gateway.address, bearer(&token));
        let answer = connection.ask(text).await;
        assert_eq!(answer.status, status, "{door} {answer:?}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn s01_a_session_is_its_principals_and_its_scopes() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    let head = json!({"alg": "ES256", "kid": "ec"});
    let token = |sub: &str, scope: &str| {
        let mut claims = provider.claims(sub);
        claims["scope"] = json!(scope);
        provider.keys.token(&head, &claims)
    };
    let begun = gateway.greet("/mcp", &token("ana", "read write")).await;
    let session = begun.header("mcp-session-id").unwrap().to_owned();
    let ask = async |id: &str, token: &str| gateway.post("/mcp", &of_session(id, token), &ping()).await;
    assert_eq!(ask(&session, &token("ana", "read write")).await.status, 200);
    assert_eq!(ask(&session, &token("ana", "write read")).await.status, 200, "another token of the same");
    let unknown = ask(&"0".repeat(64), &token("bob", "read")).await;
    assert_eq!(unknown.status, 404);
    // Another principal, one of the same name by another way, fewer rights, more rights.
    for other in
        [token("bob", "read write"), NAMED.to_owned(), token("ana", "read"), token("ana", "read write x")]
    {
        assert_eq!(undated(ask(&session, &other).await), undated(unknown.clone()));
        let answer = gateway.ask("DELETE /mcp", &of_session(&session, &other), "").await;
        assert_eq!(
            undated(answer),
            undated(gateway.ask("DELETE /mcp", &of_session(&"0".repeat(64), &other), "").await)
        );
    }
    assert_eq!(ask(&session, &token("ana", "read write")).await.status, 200, "it is as it was");
    gateway.end().await;
}

fn undated(mut answer: Answer) -> Answer {
    answer.headers.retain(|(name, _)| name != "date");
    answer
}

#[tokio::test]
async fn a_token_that_is_no_jwt_is_asked_about_and_guessing_is_not() {
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, |listen| {
        let client_secret = Secret::new("s");
        let asked = Introspection { url: None, client_id: "braid".to_owned(), client_secret };
        listen.oauth.as_mut().unwrap().introspection = Some(asked);
    })
    .await;
    for _ in 0..3 {
        assert_eq!(gateway.greet("/mcp", "opaque-of-ana").await.status, 200);
    }
    assert_eq!(provider.asked("/introspect"), 1);
    let mut statuses = Vec::new();
    for number in 0..15 {
        statuses.push(gateway.greet("/mcp", &format!("guess-{number}")).await.status);
    }
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 5]].concat());
    assert_eq!(provider.asked("/introspect"), 11, "h16: who guesses has nobody asked");
    assert_eq!(gateway.greet("/mcp", "opaque-of-ana").await.status, 200, "the right one is served all along");
    let good = provider.keys.token(&json!({"alg": "ES256"}), &provider.claims("bob"));
    assert_eq!(gateway.greet("/mcp", &good).await.status, 200, "and so is one that can be read here");
    gateway.end().await;
}

#[tokio::test]
async fn while_the_provider_is_away_clients_are_asked_to_wait() {
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, |listen| {
        listen.oauth.as_mut().unwrap().issuer = "http://127.0.0.1:1".to_owned();
    })
    .await;
    let mut claims = provider.claims("ana");
    claims["iss"] = json!("http://127.0.0.1:1");
    let token = provider.keys.token(&json!({"alg": "ES256"}), &claims);
    for _ in 0..12 {
        let answer = gateway.greet("/mcp", &token).await;
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!(answer.status == 503 && (1..=10).contains(&wait), "{answer:?}");
    }
    assert_eq!(gateway.greet("/mcp", NAMED).await.status, 200, "a token that we know ourselves needs nobody");
    gateway.end().await;
}

#[tokio::test]
async fn a_provider_with_a_certificate_of_its_own_is_asked_if_that_is_named() {
    let provider = Provider::start_secure().await;
    let opaque = "opaque-of-ana";
    let asks = |oauth: &mut IdentityProvider| {
        let client_secret = Secret::new("s");
        oauth.introspection = Some(Introspection { url: None, client_id: "braid".to_owned(), client_secret });
    };
    for ca_file in [None, Some("localhost.pem")] {
        let gateway = Gateway::with(&provider, |listen| {
            let oauth = listen.oauth.as_mut().unwrap();
            asks(oauth);
            oauth.ca_file = ca_file.map(crate::edge::rig::file);
        })
        .await;
        let token = provider.keys.token(&json!({"alg": "ES256", "kid": "ec"}), &provider.claims("ana"));
        let expected = if ca_file.is_some() { 200 } else { 503 };
        for token in [&token, opaque] {
            assert_eq!(gateway.greet("/mcp", token).await.status, expected, "{ca_file:?}");
        }
        gateway.end().await;
    }
    let asked =
        ["/.well-known/oauth-authorization-server", "/keys", "/introspect"].map(|it| provider.asked(it));
    assert_eq!(asked, [1, 1, 1], "by who trusts it alone");
}
