//! A server, its issuer and others in memory, on the paused clock: what is shown to whom, how often, and what comes of it.

use super::super::web::Web;
use super::*;
use crate::config::{self, OAuth, Secret};
use crate::mcp::caller::{Principal, Scopes};
use crate::mcp::own_token::{OwnToken, OwnTokens};
use crate::upstream::fetch::{Fetch, FetchBody, FetchError, FetchRequest, FetchResponse, Fields};
use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, StreamExt};
use http::{StatusCode, header};
use reqwest::Url;
use std::collections::BTreeMap;
use tokio::time::{advance, sleep};

const SERVER: &str = "https://far.example.com/mcp";
const ISSUER: &str = "https://id.example.com/realms/a";
const ENDPOINT: &str = "https://id.example.com/token";
const ABOUT_ISSUER: &str = "https://id.example.com/.well-known/oauth-authorization-server/realms/a";
const ABOUT_SERVER: &str = "https://far.example.com/.well-known/oauth-protected-resource/mcp";

/// What stands where, and what was sent.
#[derive(Default)]
struct World {
    pages: Mutex<BTreeMap<String, (u16, String)>>,
    /// Every request: its place, its head and its body.
    seen: Mutex<Vec<(String, String, String)>>,
    /// What the token endpoint gives next, each once, and then tokens that are numbered.
    answers: Mutex<Vec<(u16, String)>>,
    made: Mutex<usize>,
}

impl World {
    fn new() -> Arc<Self> {
        let world = Arc::new(Self::default());
        world.says(ABOUT_ISSUER, &format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"{ENDPOINT}"}}"#));
        world
    }

    fn says(&self, url: &str, text: &str) {
        self.pages.lock().insert(url.to_owned(), (200, text.to_owned()));
    }

    fn answers(&self, status: u16, text: &str) {
        self.answers.lock().push((status, text.to_owned()));
    }

    /// What was sent to the token endpoint.
    fn forms(&self) -> Vec<String> {
        let seen = self.seen.lock();
        seen.iter().filter(|(url, ..)| url == ENDPOINT).map(|(.., body)| body.clone()).collect()
    }

    /// The subject tokens that it was shown.
    fn shown(&self) -> Vec<String> {
        let field = |form: &String| {
            let field = form.split('&').find_map(|field| field.strip_prefix("subject_token="));
            field.unwrap_or_default().to_owned()
        };
        self.forms().iter().map(field).collect()
    }

    fn answer(&self, url: &str) -> (u16, String) {
        if url == ENDPOINT {
            let mut answers = self.answers.lock();
            if !answers.is_empty() {
                return answers.remove(0);
            }
            let mut made = self.made.lock();
            *made += 1;
            let text = format!(
                r#"{{"access_token":"made-{made}","issued_token_type":"{}","token_type":"Bearer"}}"#,
                "urn:ietf:params:oauth:token-type:access_token"
            );
            return (200, text);
        }
        if url == SERVER {
            return (401, String::new());
        }
        self.pages.lock().get(url).cloned().unwrap_or((404, String::new()))
    }
}

struct Way(Arc<World>);

impl Fetch for Way {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<FetchResponse, FetchError>> {
        let world = self.0.clone();
        let url = request.url.as_str().to_owned();
        let head = request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        let body = String::from_utf8_lossy(&request.body).into_owned();
        world.seen.lock().push((url.clone(), head.collect(), body));
        async move {
            sleep(Duration::from_millis(100)).await;
            let (status, text) = world.answer(&url);
            if status == 0 {
                return Err(FetchError::NotSent("it is away".to_owned()));
            }
            if status == 1 {
                return std::future::pending().await;
            }
            let body = FetchBody::from(futures::stream::iter([Ok(Bytes::from(text))]).boxed());
            let status = StatusCode::from_u16(status).unwrap();
            Ok(FetchResponse { status, headers: Fields::default(), body })
        }
        .boxed()
    }
}

/// One server of a run, and the people who came.
struct Rig {
    world: Arc<World>,
    own_tokens: Arc<OwnTokens>,
    exchanger: Arc<Exchanger>,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut OAuth)) -> Self {
        let mut oauth = OAuth {
            grant: config::Grant::Exchange,
            client_id: Some("gate way".to_owned()),
            client_secret: Some(Secret::new("s3cret-of-ours")),
            issuer: Some(ISSUER.to_owned()),
            ..OAuth::default()
        };
        change(&mut oauth);
        let (world, own_tokens, url) =
            (World::new(), Arc::<OwnTokens>::default(), Url::parse(SERVER).unwrap());
        let issuer = oauth.issuer.as_deref().and_then(|issuer| Url::parse(issuer).ok());
        let way = || Arc::new(Way(world.clone()));
        let web = Web::over(way(), way(), &url, issuer.as_ref());
        let exchanger = Arc::new(Exchanger::new(&url, oauth, None, own_tokens.clone()).over(web));
        Self { world, own_tokens, exchanger }
    }

    /// Somebody has shown a token that lives for so long.
    fn shows(&self, grant: &Grant, token: &str, seconds: u64) -> OwnToken {
        let now = Instant::now().into_std();
        self.own_tokens.keep(grant, token.as_bytes(), now + Duration::from_secs(seconds), now)
    }

    fn of(&self, grant: &Grant) -> Arc<Exchanged> {
        Arc::new(Exchanged::new("far", grant.bare(), self.exchanger.clone()))
    }
}

fn grant(name: &str, scopes: &[&str]) -> Grant {
    Grant::of(Principal::oauth(name), Scopes::of(scopes.iter().copied()).unwrap())
}

fn token(made: Result<Bearer, Remedy>) -> String {
    made.unwrap().token().expose().to_owned()
}

fn why(made: Result<Bearer, Remedy>) -> String {
    made.err().unwrap().sentence()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_asked_for_in_the_words_of_the_specification() {
    let rig = Rig::with(|oauth| oauth.audience = Some("far-client".to_owned()));
    rig.world
        .says(ABOUT_SERVER, &format!(r#"{{"resource":"{SERVER}","authorization_servers":["{ISSUER}"]}}"#));
    let ana = grant("ana", &["mcp"]);
    let _here = rig.shows(&ana, "c4nary+of/ana=", 600);
    assert_eq!(token(rig.of(&ana).bearer().await), "made-1");
    let forms = rig.world.forms();
    assert_eq!(
        forms,
        ["grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
          &subject_token=c4nary%2Bof%2Fana%3D\
          &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
          &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
          &resource=https%3A%2F%2Ffar.example.com%2Fmcp&audience=far-client"]
    );
    let seen = rig.world.seen.lock();
    let (.., head, _) = seen.iter().find(|(url, ..)| url == ENDPOINT).unwrap();
    // `gate+way:s3cret-of-ours`.
    assert!(head.contains("authorization: Basic Z2F0ZSt3YXk6czNjcmV0LW9mLW91cnM="), "{head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
    let elsewhere = seen.iter().filter(|(url, ..)| url != ENDPOINT);
    for (url, head, body) in elsewhere {
        assert!(
            !format!("{head}{body}").contains("c4nary") && !head.contains("authorization"),
            "{url}: {head}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s03_two_people_and_two_rights_have_a_token_each() {
    let rig = Rig::new();
    let grants =
        [grant("ana", &["read", "write"]), grant("ana", &["read"]), grant("bob", &["read", "write"])];
    let _here: Vec<OwnToken> =
        grants.iter().zip(["broad", "narrow", "bobs"]).map(|(it, token)| rig.shows(it, token, 600)).collect();
    for (number, grant) in grants.iter().enumerate() {
        assert_eq!(token(rig.of(grant).bearer().await), format!("made-{}", number + 1));
    }
    assert_eq!(rig.world.shown(), ["broad", "narrow", "bobs"]);
    // Who has shown nothing, or with other rights only, gets nothing, and nothing is sent.
    let none = why(rig.of(&grant("ana", &[])).bearer().await);
    assert!(none.contains("none is at hand that holds"), "{none}");
    assert_eq!(rig.world.shown().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_at_once_ask_once() {
    let rig = Rig::new();
    let ana = grant("ana", &[]);
    let _here = rig.shows(&ana, "anas", 600);
    let exchanged = rig.of(&ana);
    let all = join_all((0..100).map(|_| exchanged.bearer())).await;
    assert!(all.into_iter().all(|made| token(made) == "made-1"));
    assert_eq!(rig.world.shown().len(), 1);
    // The server takes it, and later wants another: all who were refused get the same.
    let shown = exchanged.at_hand().unwrap();
    shown.accepted();
    let all = join_all((0..100).map(|_| exchanged.refused(&shown))).await;
    assert!(all.into_iter().all(|remedy| remedy == Remedy::Another));
    assert_eq!((token(exchanged.bearer().await).as_str(), rig.world.shown().len()), ("made-2", 2));
}

#[tokio::test(start_paused = true)]
async fn who_calls_and_leaves_has_the_issuer_asked_once() {
    let rig = Rig::new();
    let ana = grant("ana", &[]);
    let _here = rig.shows(&ana, "anas", 600);
    let exchanged = rig.of(&ana);
    for _ in 0..100 {
        let asking = exchanged.bearer();
        assert!(tokio::time::timeout(Duration::from_millis(1), asking).await.is_err());
    }
    assert_eq!(token(exchanged.bearer().await), "made-1");
    assert_eq!((rig.world.shown().len(), rig.world.seen.lock().len()), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_what_was_made_for_it_has_no_hundred_made() {
    let rig = Rig::new();
    let ana = grant("ana", &[]);
    let _here = rig.shows(&ana, "anas", 600);
    let exchanged = rig.of(&ana);
    for _ in 0..100 {
        let Ok(shown) = exchanged.bearer().await else { continue };
        assert!(matches!(exchanged.refused(&shown).await, Remedy::Failed(_)));
    }
    assert_eq!(rig.world.shown().len(), 1);
    advance(BETWEEN_TRIES).await;
    assert_eq!(token(exchanged.bearer().await), "made-2");
}

#[tokio::test(start_paused = true)]
async fn it_is_worn_no_longer_than_what_it_was_made_of_lives() {
    let rig = Rig::new();
    let ana = grant("ana", &[]);
    let here = rig.shows(&ana, "first", 60);
    let exchanged = rig.of(&ana);
    exchanged.bearer().await.unwrap();
    advance(Duration::from_secs(59)).await;
    assert!(exchanged.at_hand().is_some());
    advance(Duration::from_secs(1)).await;
    assert!(exchanged.at_hand().is_none());
    let ended = exchanged.bearer().await.err().unwrap();
    assert!(matches!(&ended, Remedy::Login(why) if why.contains("call with a fresh one")), "{ended:?}");
    assert_eq!(rig.world.shown(), ["first"], "what has ended is shown to nobody");
    // Of two that live, that is taken which lives for longer.
    let _later = [rig.shows(&ana, "short", 10), rig.shows(&ana, "long", 100)];
    assert_eq!(token(exchanged.bearer().await), "made-2");
    assert_eq!(rig.world.shown(), ["first", "long"]);
    drop((here, _later));
    assert!(exchanged.at_hand().is_none(), "nobody is there any more");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_issuer_does_not_take_gives_way_to_another() {
    let rig = Rig::new();
    let ana = grant("ana", &[]);
    let _here = [rig.shows(&ana, "revoked", 600), rig.shows(&ana, "good", 60)];
    rig.world.answers(400, r#"{"error":"invalid_request"}"#);
    let exchanged = rig.of(&ana);
    assert_eq!(token(exchanged.bearer().await), "made-1");
    assert_eq!(rig.world.shown(), ["revoked", "good"]);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_gives_nothing_is_not_asked_again_at_once() {
    let rig = Rig::new();
    let ana = grant("ana", &[]);
    let _here = rig.shows(&ana, "anas", 600);
    rig.world.answers(400, r#"{"error":"invalid_grant","error_description":"no anas here"}"#);
    let exchanged = rig.of(&ana);
    let all = join_all((0..100).map(|_| exchanged.bearer())).await;
    for made in all {
        let why = why(made);
        assert!(why.contains("`invalid_grant`") && why.contains("servers.far.oauth"), "{why}");
    }
    assert_eq!(rig.world.shown().len(), 1);
    // Another token may be taken at once.
    let _fresh = rig.shows(&ana, "fresh", 900);
    assert_eq!(token(exchanged.bearer().await), "made-1");
    assert_eq!(rig.world.shown(), ["anas", "fresh"]);
}

#[tokio::test(start_paused = true)]
async fn whatever_an_issuer_answers_becomes_a_sentence_without_secrets() {
    let good = |more: &str| format!(r#"{{"access_token":"x","token_type":"Bearer"{more}}}"#);
    let long = format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, "x".repeat(20_000));
    for (status, text, said) in [
        (400, r#"{"error":"invalid_target"}"#, "`invalid_target`"),
        (401, r#"{"error":"invalid_client"}"#, "`invalid_client`"),
        (400, r#"{"error":"c4nary-of-ana is no token"}"#, "repeat what it was sent"),
        (400, r#"{"error":"s3cret-of-ours is wrong"}"#, "repeat what it was sent"),
        (400, r#"{"error":"\u001b[2J\n<b>"}"#, r"`\u{1b}[2J\n<b>`"),
        (503, "<html>c4nary-of-ana</html>", "answered 503"),
        (302, "", "answered 302"),
        (200, "", "answered no token"),
        (200, r#"{"access_token":"c4nary-of-ana"}"#, "answered no token"),
        (200, r#"["c4nary-of-ana"]"#, "answered no token"),
        (200, r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#, "answered no token"),
        (200, r#"{"access_token":"a","token_type":"N_A"}"#, "something else"),
        (200, r#"{"access_token":"a","token_type":"DPoP"}"#, "something else"),
        (200, r#"{"access_token":"a b","token_type":"Bearer"}"#, "cannot be sent"),
        (200, r#"{"access_token":"","token_type":"Bearer"}"#, "cannot be sent"),
        (200, &long, "cannot be sent"),
        (
            200,
            &good(r#","issued_token_type":"urn:ietf:params:oauth:token-type:refresh_token""#),
            "something else",
        ),
        (200, &"x".repeat(300 * 1024), "262144 bytes"),
        (0, "", "it is away"),
        (1, "", "5 s"),
    ] {
        let rig = Rig::new();
        let ana = grant("ana", &[]);
        let _here = rig.shows(&ana, "c4nary-of-ana", 600);
        rig.world.answers(status, text);
        let exchanged = rig.of(&ana);
        let why = why(exchanged.bearer().await);
        assert!(why.contains(said), "{status} {text:.80}: {why}");
        assert!(!why.contains("c4nary") && !why.contains("s3cret") && why.len() < 300, "{why}");
        // It was a bad moment.
        advance(BETWEEN_TRIES).await;
        assert_eq!(token(exchanged.bearer().await), "made-1");
    }
}

#[tokio::test(start_paused = true)]
async fn h07_h11_only_the_issuer_of_the_configuration_is_shown_a_callers_token() {
    let about =
        |issuer: &str, endpoint: &str| format!(r#"{{"issuer":"{issuer}","token_endpoint":"{endpoint}"}}"#);
    let evil = "https://evil.example.net";
    let of_server =
        |issuer: &str| format!(r#"{{"resource":"{SERVER}","authorization_servers":["{issuer}"]}}"#);
    for (url, text, said) in [
        // The server names another, which would gladly make tokens.
        (ABOUT_SERVER, of_server(evil), "does not name the issuer"),
        (ABOUT_SERVER, r#"{"resource":"https://evil.example.net/mcp"}"#.to_owned(), "another one"),
        // What answers for the issuer is another, or has tokens made by the server.
        (ABOUT_ISSUER, about(evil, ENDPOINT), "says that it is"),
        (ABOUT_ISSUER, about(ISSUER, "https://far.example.com/token"), "nothing was shown"),
        (ABOUT_ISSUER, about(ISSUER, "http://id.example.net/token"), "not https"),
        (ABOUT_ISSUER, about(ISSUER, "https://u:p@id.example.com/token"), "a user in it"),
        (ABOUT_ISSUER, format!(r#"{{"issuer":"{ISSUER}"}}"#), "no token endpoint"),
    ] {
        let rig = Rig::new();
        rig.world.says(&format!("{evil}/.well-known/oauth-authorization-server"), &about(evil, evil));
        rig.world.says(url, &text);
        let ana = grant("ana", &[]);
        let _here = rig.shows(&ana, "c4nary-of-ana", 600);
        let why = why(rig.of(&ana).bearer().await);
        assert!(why.contains(said), "{text}: {why}");
        let seen = rig.world.seen.lock();
        assert!(seen.iter().all(|(_, head, body)| !format!("{head}{body}").contains("c4nary")), "{text}");
        assert!(seen.iter().all(|(url, ..)| !url.contains("evil")), "{text}");
    }
    // Without one in the configuration there is none.
    let rig = Rig::with(|oauth| oauth.issuer = None);
    let ana = grant("ana", &[]);
    let _here = rig.shows(&ana, "c4nary-of-ana", 600);
    assert!(why(rig.of(&ana).bearer().await).contains("names no issuer"));
    assert_eq!(rig.world.seen.lock().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_its_own_issuer_by_the_configuration_makes_its_tokens() {
    let rig = Rig::with(|oauth| oauth.issuer = Some("https://far.example.com".to_owned()));
    let place = "https://far.example.com/.well-known/oauth-authorization-server";
    rig.world.says(
        place,
        r#"{"issuer":"https://far.example.com","token_endpoint":"https://far.example.com/token"}"#,
    );
    rig.world.says(
        "https://far.example.com/token",
        r#"{"access_token":"own","token_type":"bearer","refresh_token":"never kept"}"#,
    );
    let ana = grant("ana", &[]);
    let _here = rig.shows(&ana, "anas", 600);
    assert_eq!(token(rig.of(&ana).bearer().await), "own");
}

#[tokio::test(start_paused = true)]
async fn more_rights_are_asked_for_once_and_never_against_the_configuration() {
    let wants = |scopes: &[&str]| {
        let value = format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", scopes.join(" "));
        let mut headers = http::HeaderMap::new();
        headers.insert(header::WWW_AUTHENTICATE, value.parse().unwrap());
        let values: Vec<&[u8]> =
            headers.get_all(header::WWW_AUTHENTICATE).iter().map(|value| value.as_bytes()).collect();
        Challenge::of(values).unwrap()
    };
    let rig = Rig::new();
    let ana = grant("ana", &[]);
    let _here = rig.shows(&ana, "anas", 600);
    let exchanged = rig.of(&ana);
    let shown = exchanged.bearer().await.unwrap();
    assert_eq!(exchanged.lacks(&shown, &wants(&["write"])).await, Remedy::Another);
    assert!(rig.world.forms()[1].ends_with("&scope=write"), "{:?}", rig.world.forms());
    let shown = exchanged.bearer().await.unwrap();
    assert!(matches!(exchanged.lacks(&shown, &wants(&["write"])).await, Remedy::Failed(_)));
    // What the issuer does not give leaves what there was.
    rig.world.answers(400, r#"{"error":"invalid_scope"}"#);
    for _ in 0..100 {
        let remedy = exchanged.lacks(&shown, &wants(&["admin"])).await;
        assert!(matches!(&remedy, Remedy::Failed(why) if why.contains("(admin)")), "{remedy:?}");
    }
    assert_eq!((rig.world.forms().len(), token(exchanged.bearer().await).as_str()), (3, "made-2"));
    let rig = Rig::with(|oauth| oauth.scopes = vec!["read".to_owned()]);
    let _here = rig.shows(&ana, "anas", 600);
    let exchanged = rig.of(&ana);
    let shown = exchanged.bearer().await.unwrap();
    assert!(matches!(exchanged.lacks(&shown, &wants(&["write"])).await, Remedy::Failed(_)));
    assert_eq!(rig.world.forms().len(), 1);
}
