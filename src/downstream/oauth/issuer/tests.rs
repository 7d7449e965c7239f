//! A provider in memory, on the paused clock: what it is asked for, how often, and what becomes of its tokens.

use super::*;
use crate::config::{Introspection as Asked, Secret};
use crate::downstream::oauth::resource::Doors;
use crate::mcp::caller::Principal;
use crate::upstream::fetch::{Fetch, FetchBody, FetchError, FetchRequest, FetchResponse, Fields};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::{Method, StatusCode};
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::collections::HashMap;
use tokio::time::{advance, sleep};

const NOW: u64 = 1_000_000;
const ISSUER: &str = "https://id.example.com/realms/a";
const RESOURCE: &str = "https://gw.example.com/mcp";
const JWKS: &str = "https://keys.example.net/all";

/// What stands where, and who asked for it.
#[derive(Default)]
struct Provider {
    pages: Mutex<HashMap<String, String>>,
    asked: Mutex<Vec<String>>,
}

impl Provider {
    fn new() -> Arc<Self> {
        let provider = Arc::new(Self::default());
        provider.says(
            "https://id.example.com/.well-known/openid-configuration/realms/a",
            &format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{JWKS}","introspection_endpoint":"https://id.example.com/ask"}}"#),
        );
        provider
    }

    fn says(&self, url: &str, text: &str) {
        self.pages.lock().insert(url.to_owned(), text.to_owned());
    }

    fn has_keys(&self, names: &[&str]) {
        let keys: Vec<_> = names.iter().map(|name| jwk(name)).collect();
        self.says(JWKS, &format!(r#"{{"keys":[{}]}}"#, keys.join(",")));
    }

    fn is_away(&self) {
        self.pages.lock().clear();
    }

    fn asked(&self, url: &str) -> usize {
        self.asked.lock().iter().filter(|asked| *asked == url).count()
    }
}

impl Fetch for Arc<Provider> {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<FetchResponse, FetchError>> {
        let url = request.url.as_str().to_owned();
        let page = self.pages.lock().get(&url).cloned();
        if request.method == Method::POST {
            let form = String::from_utf8(request.body.to_vec()).unwrap();
            assert!(form.ends_with("&token_type_hint=access_token"), "{form}");
            assert!(request.headers.contains_key("authorization"));
        }
        self.asked.lock().push(url);
        async move {
            sleep(Duration::from_millis(100)).await;
            let Some(page) = page else { return Err(FetchError::NotSent("it is away".to_owned())) };
            let body = futures::stream::iter([Ok(Bytes::from(page))]).boxed();
            let body = FetchBody::from(body);
            Ok(FetchResponse { status: StatusCode::OK, headers: Fields::default(), body })
        }
        .boxed()
    }
}

/// The key of this name.
fn pair(name: &str) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[name.as_bytes()[0]; 32]).unwrap()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn jwk(name: &str) -> String {
    let x = base64(pair(name).public_key());
    format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{name}"}}"#)
}

fn token(key: &str, sub: &str, exp: u64) -> Vec<u8> {
    let head = base64(format!(r#"{{"alg":"EdDSA","kid":"{key}","typ":"at+jwt"}}"#));
    let claims =
        format!(r#"{{"iss":"{ISSUER}","aud":"{RESOURCE}","exp":{exp},"sub":"{sub}","scope":"read"}}"#);
    let signed = format!("{head}.{}", base64(claims));
    format!("{signed}.{}", base64(pair(key).sign(signed.as_bytes()))).into_bytes()
}

fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// What others name is asked for by one who says so.
fn ways(provider: &Arc<Provider>) -> Ways {
    Ways { named: Arc::new(provider.clone()), others: Arc::new(Others(provider.clone())) }
}

struct Others(Arc<Provider>);

impl Fetch for Others {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<FetchResponse, FetchError>> {
        self.0.asked.lock().push("within bounds".to_owned());
        self.0.fetch(request)
    }
}

fn issuer(provider: &Arc<Provider>, change: impl FnOnce(&mut IdentityProvider)) -> Arc<Issuer> {
    let mut oauth = IdentityProvider::new(ISSUER, RESOURCE);
    change(&mut oauth);
    Issuer::with_clock(&oauth, ways(provider), clock).unwrap()
}

async fn judged(issuer: &Issuer, token: &[u8]) -> Result<String, Doubt> {
    let pass = issuer.judge(token, Instant::now).await?;
    Ok(pass.grant.principal.as_str().to_owned())
}

const NO_KEY: Doubt = Doubt::Invalid("no key of the identity provider has signed it");

#[tokio::test(start_paused = true)]
async fn keys_are_found_by_the_issuers_metadata_and_kept() {
    let provider = Provider::new();
    provider.has_keys(&["a"]);
    let issuer = issuer(&provider, |_| {});
    let now = Instant::now();
    let token = token("a", "ana", NOW + 60);
    assert_eq!(issuer.known(&Digest::of(&token), now), None);
    let pass = issuer.judge(&token, || now).await.unwrap();
    assert_eq!(pass.grant.principal, Principal::oauth("ana"));
    assert!(pass.grant.scopes.has("read") && pass.doors == Doors::All);
    assert_eq!(pass.until, now + Duration::from_secs(90), "the token's end, and the leeway");
    assert_eq!(issuer.known(&Digest::of(&token), now), Some(pass));
    assert_eq!(issuer.known(&Digest::of(&token), now + Duration::from_secs(90)), None);
    assert_eq!(judged(&issuer, &self::token("a", "bob", NOW + 60)).await.unwrap(), "oauth:bob");
    let asked = provider.asked.lock().clone();
    let expected = [
        "https://id.example.com/.well-known/oauth-authorization-server/realms/a",
        "https://id.example.com/.well-known/openid-configuration/realms/a",
        "within bounds",
        JWKS,
    ];
    assert_eq!(asked, expected);
    let long = issuer.judge(&self::token("a", "ana", NOW + 100_000), || now).await.unwrap();
    assert_eq!(long.until, now + SIGNED_KEPT, "a key may be withdrawn");
}

#[tokio::test(start_paused = true)]
async fn h06_an_unknown_key_is_looked_for_at_most_every_ten_seconds() {
    let provider = Provider::new();
    provider.has_keys(&["a"]);
    let issuer = issuer(&provider, |_| {});
    judged(&issuer, &token("a", "ana", NOW + 60)).await.unwrap();
    provider.has_keys(&["b"]);
    for _ in 0..1_000 {
        assert_eq!(judged(&issuer, &token("x", "eve", NOW + 60)).await, Err(NO_KEY));
    }
    assert_eq!(provider.asked(JWKS), 1, "it was fetched a moment ago");
    advance(Duration::from_secs(10)).await;
    let many = (0..100).map(|_| async { judged(&issuer, &token("b", "bob", NOW + 60)).await });
    assert!(futures::future::join_all(many).await.iter().all(|one| one.as_deref() == Ok("oauth:bob")));
    assert_eq!(provider.asked(JWKS), 2, "one for all of them");
    assert_eq!(judged(&issuer, &token("a", "ana", NOW + 60)).await, Err(NO_KEY), "it was withdrawn");
}

#[tokio::test(start_paused = true)]
async fn while_the_provider_is_away_known_keys_stay() {
    let provider = Provider::new();
    provider.has_keys(&["a"]);
    let issuer = issuer(&provider, |_| {});
    judged(&issuer, &token("a", "ana", NOW + 60)).await.unwrap();
    provider.is_away();
    advance(Duration::from_secs(3600)).await;
    assert_eq!(judged(&issuer, &token("a", "bob", NOW + 60)).await.unwrap(), "oauth:bob");
    sleep(Duration::from_secs(20)).await;
    assert_eq!(judged(&issuer, &token("b", "eve", NOW + 60)).await, Err(NO_KEY));
    advance(Duration::from_secs(24 * 3600)).await;
    assert!(matches!(judged(&issuer, &token("a", "bob", NOW + 60)).await, Err(Doubt::Away(_))));
}

#[tokio::test(start_paused = true)]
async fn without_a_key_that_was_ever_there_nothing_can_be_told() {
    let provider = Provider::new();
    let issuer = issuer(&provider, |_| {});
    let good = token("a", "ana", NOW + 60);
    let Err(Doubt::Away(after)) = judged(&issuer, &good).await else { panic!("it has no keys") };
    assert!((Duration::from_secs(1)..=Duration::from_secs(10)).contains(&after), "{after:?}");
    let expired = token("a", "ana", NOW - 60);
    assert_eq!(judged(&issuer, &expired).await, Err(Doubt::Invalid("it has expired")), "that can be told");
    provider.has_keys(&["a"]);
    sleep(after).await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(judged(&issuer, &good).await.unwrap(), "oauth:ana");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_set_of_keys_is_none() {
    let provider = Provider::new();
    for text in ["", "{}", "[]", &format!(r#"{{"keys":[],"pad":"{}"}}"#, "x".repeat(ANSWER_BYTES_MAX))] {
        provider.says(JWKS, text);
        let issuer = issuer(&provider, |_| {});
        let said = judged(&issuer, &token("a", "ana", NOW + 60)).await;
        assert!(matches!(said, Err(Doubt::Away(_))), "{} bytes", text.len());
    }
    provider.has_keys(&[]);
    assert_eq!(judged(&issuer(&provider, |_| {}), &token("a", "ana", NOW + 60)).await, Err(NO_KEY));
}

#[tokio::test(start_paused = true)]
async fn keys_may_be_where_the_configuration_says() {
    let provider = Provider::new();
    provider.is_away();
    provider.says("https://other.example/keys", &format!(r#"{{"keys":[{}]}}"#, jwk("a")));
    let at = issuer(&provider, |oauth| oauth.keys = KeySource::At("https://other.example/keys".to_owned()));
    assert_eq!(judged(&at, &token("a", "ana", NOW + 60)).await.unwrap(), "oauth:ana");
    assert_eq!(provider.asked.lock().len(), 1, "nobody else is asked");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, format!(r#"{{"keys":[{}]}}"#, jwk("b"))).unwrap();
    let filed = issuer(&provider, |oauth| oauth.keys = KeySource::File(file.clone()));
    assert_eq!(judged(&filed, &token("b", "ana", NOW + 60)).await.unwrap(), "oauth:ana");
    for (text, why) in [("{}", "holds no key"), (r#"{"keys":[]}"#, "holds no key")] {
        std::fs::write(&file, text).unwrap();
        let oauth = IdentityProvider {
            keys: KeySource::File(file.clone()),
            ..IdentityProvider::new(ISSUER, RESOURCE)
        };
        let error = Issuer::new(&oauth, ways(&provider)).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_no_jwt_is_asked_about_and_known_for_a_moment() {
    const ASK: &str = "https://id.example.com/ask";
    let provider = Provider::new();
    let told = |more: &str| format!(r#"{{"active":true,"sub":"ana","aud":"{RESOURCE}"{more}}}"#);
    let asks = |oauth: &mut IdentityProvider| {
        let client_secret = Secret::new("s");
        oauth.introspection = Some(Asked { url: None, client_id: "braid".to_owned(), client_secret });
    };
    let asking = issuer(&provider, asks);
    let now = Instant::now();
    provider.says(ASK, &told(r#","exp":1000005"#));
    let pass = asking.judge(b"opaque", || now).await.unwrap();
    assert_eq!(pass.until, now + TOLD_KEPT);
    assert!(asking.known(&Digest::of(b"opaque"), now).is_some());
    assert_eq!(provider.asked(ASK), 1);
    for (said, expected) in [
        (r#"{"active":false}"#.to_owned(), "it is not in force"),
        (r#"{"active":true,"sub":"ana"}"#.to_owned(), "it was made for somebody else"),
        (told("").replace("/mcp", "/other"), "it was made for somebody else"),
        (told(r#","iss":"https://evil.example""#), "it was made by somebody else"),
        (told(r#","exp":900000"#), "it has expired"),
        (told("").replace("ana", ""), "it does not say whose it is"),
        (told(r#","token_type":"refresh_token""#), "it is no access token"),
    ] {
        provider.says(ASK, &said);
        assert_eq!(judged(&asking, b"other").await, Err(Doubt::Invalid(expected)), "{said}");
    }
    provider.says(ASK, "no JSON");
    assert!(matches!(judged(&asking, b"other").await, Err(Doubt::Away(_))));
    let without = issuer(&provider, |_| {});
    assert!(matches!(judged(&without, b"opaque").await, Err(Doubt::Invalid(_))));
    let asked = provider.asked(ASK);
    assert!(matches!(judged(&asking, &token("a", "ana", NOW + 60)).await, Err(Doubt::Away(_))));
    assert_eq!(provider.asked(ASK), asked, "a JWT is never asked about");
}

#[tokio::test(start_paused = true)]
async fn h06_it_is_known_when_a_token_ends_whenever_it_is_asked_about_again() {
    let provider = Provider::new();
    provider.has_keys(&["a"]);
    let issuer = issuer(&provider, |oauth| {
        let client_secret = Secret::new("s3cret");
        oauth.introspection = Some(Asked { url: None, client_id: "braid".to_owned(), client_secret });
    });
    let now = Instant::now();
    let ends = async |token: &[u8]| {
        let pass = issuer.judge(token, || now).await.unwrap();
        assert!(pass.until <= now + SIGNED_KEPT && pass.ends.is_none_or(|ends| pass.until <= ends));
        assert_eq!(issuer.known(&Digest::of(token), now).unwrap().ends, pass.ends);
        pass.ends.map(|ends| (ends - now).as_secs())
    };
    assert_eq!(ends(&token("a", "ana", NOW + 7200)).await, Some(7230), "with the leeway");
    assert_eq!(ends(&token("a", "ana", NOW - 10)).await, Some(20));
    assert_eq!(ends(&token("a", "ana", 99_999_999_999)).await.map(drop), Some(()));
    for (exp, expected) in [(format!(r#","exp":{}"#, NOW + 900), Some(930)), (String::new(), None)] {
        let said = format!(r#"{{"active":true,"aud":"{RESOURCE}","sub":"ana","scope":"read"{exp}}}"#);
        provider.says("https://id.example.com/ask", &said);
        assert_eq!(ends(format!("opaque{exp}").replace(['"', ','], "-").as_bytes()).await, expected);
    }
}
