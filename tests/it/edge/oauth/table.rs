//! Tokens that are forged, broken, another's, for somebody else or in the wrong place: each is refused, and none is taken for nobody's.

use std::sync::atomic::{AtomicU32, Ordering};

use mcp_braid::config::Listen;
use serde_json::{Value, json};

use super::super::raw::Answer;
use super::provider::{Provider, base64};
use super::{CHALLENGE, Gateway, NAMED, bearer, greeting, ping, undated};

/// What is shown, and whether that counts as a token at all.
struct Row {
    name: String,
    /// Header lines with their ends.
    headers: String,
    query: String,
    is_token: bool,
}

fn row(name: &str, headers: impl Into<String>) -> Row {
    Row { name: name.to_owned(), headers: headers.into(), query: String::new(), is_token: true }
}

/// One that shows no token.
fn none(name: &str, headers: impl Into<String>) -> Row {
    Row { is_token: false, ..row(name, headers) }
}

/// Headers and schemes: where a token stands and how often.
fn places(good: &str) -> Vec<Row> {
    vec![
        none("nothing", ""),
        none("an empty header", "Authorization:\r\n"),
        none("a scheme alone", "Authorization: Bearer\r\n"),
        none("a scheme and blanks", "Authorization: Bearer   \r\n"),
        none("Basic", "Authorization: Basic YW5hOnB3\r\n"),
        none("Digest", "Authorization: Digest username=\"ana\"\r\n"),
        none("DPoP", format!("Authorization: DPoP {good}\r\n")),
        none("Token", format!("Authorization: Token {good}\r\n")),
        none("no scheme", format!("Authorization: {good}\r\n")),
        none("a tab behind the scheme", format!("Authorization: Bearer\t{good}\r\n")),
        none("a cookie", format!("Cookie: access_token={good}; Authorization={good}\r\n")),
        none(
            "a header of a proxy",
            format!("X-Forwarded-Access-Token: {good}\r\nProxy-Authorization: Bearer {good}\r\n"),
        ),
        Row { query: format!("?access_token={good}"), ..none("the query", "") },
        Row {
            query: format!("?access_token={good}"),
            ..none("the query and Basic", "Authorization: Basic YQ==\r\n")
        },
        Row { query: format!("?access_token={good}"), ..row("the query and another", bearer("abc")) },
        row("two that are good", bearer(good).repeat(2)),
        row("a good one before a bad one", bearer(good) + &bearer("abc")),
        row("a bad one before a good one", bearer("abc") + &bearer(good)),
        row("Basic before a good one", format!("Authorization: Basic YQ==\r\n{}", bearer(good))),
        row("a list of two", format!("Authorization: Bearer {good}, Bearer {good}\r\n")),
        row("the scheme twice", format!("Authorization: Bearer Bearer {good}\r\n")),
        row("in quotes", format!("Authorization: Bearer \"{good}\"\r\n")),
    ]
}

/// Signatures and the text that they are of.
fn signatures(provider: &Provider, good: &str) -> Vec<Row> {
    let (keys, claims) = (&provider.keys, provider.claims("ana"));
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts.as_slice() else { panic!("three parts") };
    let of = |head: Value| keys.token(&head, &claims);
    let unsigned =
        |alg: &str| format!("{}.{}.", base64(json!({"alg": alg}).to_string()), base64(claims.to_string()));
    let other = keys.token(&json!({"alg": "ES256", "kid": "ec"}), &provider.claims("bob"));
    let others_signature = other.rsplit_once('.').unwrap().1;
    let ps_as_rs = keys.token(&json!({"alg": "PS256", "kid": "rsa"}), &claims);
    let ps_signature = ps_as_rs.rsplit_once('.').unwrap().1;
    let rs = of(json!({"alg": "RS256", "kid": "rsa"}));
    let rs_text = rs.rsplit_once('.').unwrap().0;
    let ed_text = of(json!({"alg": "EdDSA", "kid": "ed"}));
    let ed_text = ed_text.rsplit_once('.').unwrap().0;
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "own"});
    let foreign = |head: Value| keys.signed_by_another(&head, &claims);
    let mut rows = vec![
        row("no algorithm", bearer(&unsigned("none"))),
        row("no algorithm, in capitals", bearer(&unsigned("NONE"))),
        row("no algorithm, and a signature", bearer(&(unsigned("none") + signature))),
        row("an algorithm without a signature", bearer(&unsigned("ES256"))),
        row("an algorithm that nobody knows", bearer(&of(json!({"alg": "XS256", "kid": "ec"})))),
        row("an algorithm in small letters", bearer(&of(json!({"alg": "es256", "kid": "ec"})))),
        row("no word of the algorithm", bearer(&of(json!({"kid": "ec"})))),
        row("another algorithm than its key's", bearer(&of(json!({"alg": "ES384", "kid": "ec"})))),
        row("another kind of key", bearer(&of(json!({"alg": "ES256", "kid": "ed"})))),
        row("a key for encryption", bearer(&of(json!({"alg": "RS256", "kid": "enc"})))),
        row("a key that nobody has", bearer(&of(json!({"alg": "ES256", "kid": "gone"})))),
        row("a key that is a path", bearer(&of(json!({"alg": "ES256", "kid": "../../../dev/null"})))),
        row("a key that is a number", bearer(&of(json!({"alg": "ES256", "kid": 1})))),
        row("signed by another", bearer(&foreign(json!({"alg": "ES256", "kid": "ec"})))),
        row("signed by another, without its name", bearer(&foreign(json!({"alg": "ES256"})))),
        row("its own key in it", bearer(&foreign(json!({"alg": "ES256", "jwk": jwk})))),
        row(
            "its own key in it, by name",
            bearer(&foreign(json!({"alg": "ES256", "kid": "own", "jwk": jwk}))),
        ),
        row(
            "a URL of its own key",
            bearer(&foreign(
                json!({"alg": "ES256", "kid": "own", "jku": format!("{}/evil", provider.issuer)}),
            )),
        ),
        row(
            "a URL of its own certificate",
            bearer(&foreign(
                json!({"alg": "ES256", "kid": "own", "x5u": format!("{}/evil", provider.issuer)}),
            )),
        ),
        row("its own certificate", bearer(&foreign(json!({"alg": "ES256", "kid": "ec", "x5c": ["AA"]})))),
        row(
            "other claims under a signature",
            bearer(&format!("{head}.{}.{signature}", base64(provider.claims("eve").to_string()))),
        ),
        row(
            "another head over a signature",
            bearer(&format!("{}.{body}.{signature}", base64(json!({"alg": "ES256"}).to_string()))),
        ),
        row("the signature of another token", bearer(&format!("{head}.{body}.{others_signature}"))),
        row("a signature of zeros", bearer(&format!("{head}.{body}.{}", base64([0; 64])))),
        row("half a signature", bearer(&format!("{head}.{body}.{}", &signature[..43]))),
        row("a signature and more", bearer(&format!("{good}AAAA"))),
        row("a signature in the wrong way", bearer(&format!("{rs_text}.{ps_signature}"))),
        row("a signature of another kind", bearer(&format!("{ed_text}.{signature}"))),
        row("cut in the middle", bearer(&good[..good.len() / 2])),
        row("without its end", bearer(&format!("{head}.{body}"))),
        row("with a part more", bearer(&format!("{good}.{signature}"))),
        row("encrypted", bearer(&format!("{head}..{body}.{body}.{signature}"))),
        row("padded", bearer(&format!("{good}=="))),
        row("in another alphabet", bearer(&format!("{head}.{body}.+/{}", &signature[2..]))),
        row(
            "too long",
            bearer(&keys.token(&json!({"alg": "ES256", "kid": "ec", "pad": "x".repeat(8192)}), &claims)),
        ),
        row("it asks for more", bearer(&of(json!({"alg": "ES256", "kid": "ec", "crit": ["exp"]})))),
        row("its claims are not encoded", bearer(&of(json!({"alg": "ES256", "kid": "ec", "b64": false})))),
        row(
            "the algorithm twice",
            bearer(&keys.token_of(r#"{"alg":"none","alg":"ES256","kid":"ec"}"#, &claims.to_string())),
        ),
        row("it proves a key", bearer(&of(json!({"alg": "ES256", "kid": "ec", "typ": "dpop+jwt"})))),
        row("its kind is a number", bearer(&of(json!({"alg": "ES256", "kid": "ec", "typ": 7})))),
        row("one of ours with a letter more", bearer(&format!("{NAMED}x"))),
        row("one of ours with a letter less", bearer(&NAMED[..NAMED.len() - 1])),
        row("the name of a holder", bearer("ci")),
        row("nothing that is a token", bearer("abc")),
        row("three points", bearer("...")),
    ];
    // Whoever checks a shared secret's signature with what everybody can read lets everybody in.
    for (number, secret) in keys.public_texts().iter().enumerate() {
        let text = format!("{}.{body}", base64(json!({"alg": "HS256", "kid": "ec"}).to_string()));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        let token = format!("{text}.{}", base64(ring::hmac::sign(&key, text.as_bytes())));
        rows.push(row(&format!("a public key as a secret, {number}"), bearer(&token)));
    }
    rows
}

/// Claims, all of them well signed.
fn claims(provider: &Provider) -> Vec<Row> {
    let good = provider.claims("ana");
    let now = good["iat"].as_u64().unwrap();
    let issuer = &provider.issuer;
    let changes = [
        ("another issuer", "iss", json!("https://evil.example")),
        ("nearly the issuer", "iss", json!(format!("{issuer}/"))),
        ("no issuer", "iss", Value::Null),
        ("several issuers", "iss", json!([issuer])),
        ("for somebody else", "aud", json!("https://other.example/mcp")),
        ("for nobody", "aud", Value::Null),
        ("for none of a list", "aud", json!([])),
        ("for the machine", "aud", json!("https://gw.example.com")),
        ("for us in capitals", "aud", json!("HTTPS://GW.EXAMPLE.COM/MCP")),
        ("for us and a slash", "aud", json!("https://gw.example.com/mcp/")),
        ("for another door", "aud", json!("https://gw.example.com/mcp/dev")),
        ("for an object", "aud", json!({"https://gw.example.com/mcp": true})),
        ("expired", "exp", json!(now - 60)),
        ("long expired", "exp", json!(0)),
        ("for ever", "exp", Value::Null),
        ("an end in words", "exp", json!((now + 300).to_string())),
        ("an end before all time", "exp", json!(-1)),
        ("an end that no clock holds", "exp", json!(1e300)),
        ("not yet", "nbf", json!(now + 3600)),
        ("made tomorrow", "iat", json!(now + 86_400)),
        ("nobody's", "sub", Value::Null),
        ("a name without a letter", "sub", json!("")),
        ("a name that is a number", "sub", json!(7)),
        ("a name of two lines", "sub", json!("ana\nbob")),
        ("a name without end", "sub", json!("a".repeat(256))),
        ("scopes that are none", "scope", json!("re\"ad")),
        ("scopes that are a number", "scope", json!(7)),
        ("of a login, by its hash", "at_hash", json!("x")),
        ("of a login, by its nonce", "nonce", json!("x")),
        ("of a login, as Keycloak says", "typ", json!("ID")),
        ("one that renews others", "typ", json!("Refresh")),
        ("of a login, as Cognito says", "token_use", json!("id")),
        ("of a logout", "events", json!({})),
    ];
    let head = json!({"alg": "ES256", "kid": "ec"});
    let changed = changes.into_iter().map(|(name, claim, value)| {
        let mut claims = good.clone();
        let members = claims.as_object_mut().unwrap();
        if value.is_null() {
            members.remove(claim);
        } else {
            members.insert(claim.to_owned(), value);
        }
        row(name, bearer(&provider.keys.token(&head, &claims)))
    });
    let text = good.to_string();
    let twice = |more: &str| {
        let claims = format!("{{{more},{}", text.strip_prefix('{').unwrap());
        bearer(&provider.keys.token_of(&head.to_string(), &claims))
    };
    let odd = [
        row("the name twice", twice(r#""sub":"admin""#)),
        row("the issuer twice, once in disguise", twice(r#""\u0069ss":"https://evil.example""#)),
        row("claims in a list", bearer(&provider.keys.token_of(&head.to_string(), &format!("[{text}]")))),
        row(
            "claims that end too soon",
            bearer(&provider.keys.token_of(&head.to_string(), &text[..text.len() - 1])),
        ),
        row("no claims", bearer(&provider.keys.token_of(&head.to_string(), ""))),
    ];
    changed.chain(odd).collect()
}

/// Each request is another source's, or the eleventh would be told to wait.
async fn ask(gateway: &Gateway, door: &str, headers: &str, message: &Value) -> Answer {
    static SOURCE: AtomicU32 = AtomicU32::new(1);
    let source = std::net::Ipv4Addr::from(0xcb00_7100 + SOURCE.fetch_add(1, Ordering::Relaxed));
    gateway.post(door, &format!("X-Forwarded-For: {source}\r\n{headers}"), message).await
}

#[tokio::test]
async fn h06_s01_none_of_sixty_forged_and_broken_tokens_lets_in() {
    let provider = Provider::start().await;
    let behind = |listen: &mut Listen| listen.trusted_proxy = Some("127.0.0.1".to_owned());
    let gateway = Gateway::with(&provider, behind).await;
    let good = provider.keys.token(&json!({"alg": "ES256", "kid": "ec"}), &provider.claims("ana"));
    let begun = ask(&gateway, "/mcp", &bearer(&good), &greeting()).await;
    let session = begun.header("mcp-session-id").unwrap().to_owned();
    let rows: Vec<Row> =
        [places(&good), signatures(&provider, &good), claims(&provider)].into_iter().flatten().collect();
    assert!(rows.len() >= 60, "{}", rows.len());
    for Row { name, headers, query, is_token } in rows {
        let door = format!("/mcp{query}");
        let error = if is_token { "error=\"invalid_token\", " } else { "" };
        let challenge = format!("Bearer {error}{CHALLENGE}");
        let answer = ask(&gateway, &door, &headers, &greeting()).await;
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (401, Some(&*challenge)),
            "{name}: {answer:?}"
        );
        assert!(!answer.body.contains(&good) && answer.header("mcp-session-id").is_none(), "{name}");
        // Over a session that is another's, it is as over one that never was.
        let of = |id: &str| format!("{headers}Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
        let others = ask(&gateway, &door, &of(&session), &ping()).await;
        let unknown = ask(&gateway, &door, &of(&"0".repeat(64)), &ping()).await;
        assert_eq!(undated(others), undated(unknown), "{name}");
    }
    let of_session = super::of_session(&session, &good);
    assert_eq!(ask(&gateway, "/mcp", &of_session, &ping()).await.status, 200);
    assert_eq!(gateway.house.front.present().guests[0].count, 1, "nobody else began anything");
    assert_eq!(provider.asked("/evil"), 0, "no token says where keys are");
    assert_eq!(provider.asked("/keys"), 1, "and none has them fetched more than once in ten seconds");
    gateway.end().await;
}
