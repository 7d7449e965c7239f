//! An identity provider that exchanges tokens, and a server that takes what it makes: two ports of this machine, in the
//! test's own process. Everything that is sent to either is written down.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, Method, Uri, header};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Runs until it is dropped.
pub(super) struct World {
    pub(super) issuer: String,
    pub(super) server: String,
    state: Arc<Mutex<Inside>>,
    _runtime: Runtime,
}

/// What both know.
#[derive(Default)]
pub(super) struct Inside {
    issuer: String,
    server: String,
    /// Tokens of people, opaque ones among them.
    people: BTreeMap<String, Person>,
    /// What was made of them, as long as the server takes it.
    made: BTreeMap<String, Person>,
    minted: u64,
    /// How long what is made lives.
    pub(super) lives: Option<u64>,
    /// What the token endpoint answers in place of a token.
    pub(super) answers: Option<(u16, String)>,
    /// Where it sends whoever asks.
    pub(super) redirects: Option<String>,
    /// Whom the server names as its issuer; `None`: it says nothing.
    pub(super) names: Option<String>,
    /// Each exchange: whose token, and what was made.
    pub(super) exchanges: Vec<(String, String)>,
    /// Each call: the token, whose it is, and what it may do.
    pub(super) calls: Vec<(String, String, String)>,
    /// All that the server was sent, head and body.
    pub(super) seen_by_server: Vec<String>,
    /// All that the issuer was sent.
    pub(super) seen_by_issuer: Vec<String>,
}

#[derive(Clone)]
struct Person {
    sub: String,
    scope: String,
    ends: u64,
}

type Shared = Arc<Mutex<Inside>>;

impl World {
    pub(super) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let state = Shared::default();
        let ports = [(); 2].map(|()| runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap());
        let [issuer, server] =
            ports.each_ref().map(|port| format!("http://127.0.0.1:{}", port.local_addr().unwrap().port()));
        {
            let mut inside = state.lock().unwrap();
            (inside.issuer, inside.server) = (issuer.clone(), server.clone());
        }
        let [identity, far] = ports;
        let routes = Router::new().fallback(ask_issuer).with_state(state.clone());
        runtime.spawn(async move { axum::serve(identity, routes).await });
        let routes = Router::new().fallback(ask_server).with_state(state.clone());
        runtime.spawn(async move { axum::serve(far, routes).await });
        Self { issuer, server, state, _runtime: runtime }
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.state.lock().unwrap()
    }

    /// How many exchanges there were, and how many calls.
    pub(super) fn counts(&self) -> (usize, usize) {
        let inside = self.inside();
        (inside.exchanges.len(), inside.calls.len())
    }

    /// How often the server was asked anything.
    pub(super) fn seen_by_server(&self) -> usize {
        self.inside().seen_by_server.len()
    }

    /// A token of somebody's that only the issuer can read.
    pub(super) fn opaque(&self, sub: &str, scope: &str, seconds: u64) -> String {
        let mut inside = self.inside();
        let token = inside.name("c4nary-opaque");
        inside.gives(&token, sub, scope, seconds);
        token
    }

    /// A token of somebody's, as a JWT.
    pub(super) fn jwt(&self, sub: &str, scope: &str, seconds: u64) -> String {
        let mut inside = self.inside();
        let jti = inside.name("c4nary-jwt");
        let claims = json!({"iss": inside.issuer, "aud": "https://gw.example.com/mcp", "sub": sub, "scope": scope,
            "exp": now() + seconds, "jti": jti});
        let head = base64(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"a"}"#);
        let signed = format!("{head}.{}", base64(claims.to_string()));
        let token = format!("{signed}.{}", base64(key().sign(signed.as_bytes())));
        inside.gives(&token, sub, scope, seconds);
        token
    }

    /// The issuer takes it back.
    pub(super) fn revokes(&self, token: &str) {
        self.inside().people.remove(token);
    }

    /// The server takes nothing any more of what was made.
    pub(super) fn forgets(&self) {
        self.inside().made.clear();
    }
}

impl Inside {
    fn name(&mut self, what: &str) -> String {
        self.minted += 1;
        format!("{what}-{}-{}", self.minted, self.issuer.rsplit(':').next().unwrap_or_default())
    }

    fn gives(&mut self, token: &str, sub: &str, scope: &str, seconds: u64) {
        let person = Person { sub: sub.to_owned(), scope: scope.to_owned(), ends: now() + seconds };
        self.people.insert(token.to_owned(), person);
    }

    fn exchange(&mut self, form: &BTreeMap<String, String>) -> Response {
        let of = |key: &str| form.get(key).map(String::as_str).unwrap_or_default();
        let wanted = [
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("resource", &format!("{}/mcp", self.server)),
        ];
        if wanted.iter().any(|(key, value)| of(key) != *value) || form.contains_key("actor_token") {
            return answer(400, &json!({"error": "invalid_target"}));
        }
        let Some(person) = self.people.get(of("subject_token")).filter(|person| now() < person.ends) else {
            let why = format!("nobody has {}", of("subject_token"));
            return answer(400, &json!({"error": "invalid_request", "error_description": why}));
        };
        let person = Person { ends: self.lives.map_or(u64::MAX, |lives| now() + lives), ..person.clone() };
        let made = self.name("made");
        self.exchanges.push((of("subject_token").to_owned(), made.clone()));
        let mut given = json!({"access_token": made, "token_type": "Bearer", "scope": person.scope,
            "refresh_token": "never-kept-c4nary",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"});
        if let Some(lives) = self.lives {
            given["expires_in"] = lives.into();
        }
        self.made.insert(made, person);
        answer(200, &given)
    }
}

async fn ask_issuer(
    State(state): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    // Time for others to come meanwhile.
    tokio::time::sleep(Duration::from_millis(30)).await;
    let mut inside = state.lock().unwrap();
    inside.seen_by_issuer.push(format!("{method} {uri}\n{headers:?}\n{body}"));
    let at = |path: &str| format!("{}{path}", inside.issuer);
    let is_gateway = headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value == "Basic Z2F0ZXdheTpzM2NyZXQtb2Ytb3Vycw==");
    match uri.path() {
        "/.well-known/oauth-authorization-server" => answer(
            200,
            &json!({"issuer": inside.issuer, "jwks_uri": at("/jwks"), "token_endpoint": at("/token"),
                "introspection_endpoint": at("/introspect"),
                "token_endpoint_auth_methods_supported": ["client_secret_basic"]}),
        ),
        "/jwks" => {
            let x = base64(key().public_key());
            answer(200, &json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": x}]}))
        }
        "/introspect" => {
            let token = pairs(&body).remove("token").unwrap_or_default();
            match inside.people.get(&token).filter(|person| now() < person.ends) {
                Some(Person { sub, scope, ends }) => answer(
                    200,
                    &json!({"active": true, "sub": sub, "scope": scope, "exp": ends, "aud": "https://gw.example.com/mcp"}),
                ),
                None => answer(200, &json!({"active": false})),
            }
        }
        "/token" if !is_gateway => answer(401, &json!({"error": "invalid_client"})),
        "/token" => {
            if let Some(place) = &inside.redirects {
                let response = Response::builder().status(307).header(header::LOCATION, place);
                return response.body(Body::empty()).unwrap();
            }
            if let Some((status, text)) = &inside.answers {
                return Response::builder().status(*status).body(Body::from(text.clone())).unwrap();
            }
            let form = pairs(&body);
            match form.get("grant_type").map(String::as_str) {
                Some("urn:ietf:params:oauth:grant-type:token-exchange") => inside.exchange(&form),
                _ => answer(400, &json!({"error": "unsupported_grant_type"})),
            }
        }
        _ => answer(404, &json!({})),
    }
}

async fn ask_server(
    State(state): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inside = state.lock().unwrap();
    let text = String::from_utf8_lossy(&body).into_owned();
    inside.seen_by_server.push(format!("{method} {uri}\n{headers:?}\n{text}"));
    if uri.path().starts_with("/.well-known/oauth-protected-resource") {
        return match &inside.names {
            Some(issuer) => answer(
                200,
                &json!({"resource": format!("{}/mcp", inside.server), "authorization_servers": [issuer]}),
            ),
            None => answer(404, &json!({})),
        };
    }
    if uri.path() != "/mcp" || method != Method::POST {
        return Response::builder().status(405).body(Body::empty()).unwrap();
    }
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let shown = shown.strip_prefix("Bearer ").unwrap_or_default().to_owned();
    let Some(person) = inside.made.get(&shown).filter(|person| now() < person.ends).cloned() else {
        let wants = "Bearer scope=\"mcp\"";
        return Response::builder()
            .status(401)
            .header(header::WWW_AUTHENTICATE, wants)
            .body(Body::empty())
            .unwrap();
    };
    let asked: Value = serde_json::from_str(&text).unwrap_or_default();
    let id = asked["id"].clone();
    let result = match asked["method"].as_str().unwrap_or_default() {
        "initialize" => json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": "far", "version": "1"}}),
        "tools/list" => json!({"tools": [{"name": "who", "inputSchema": {"type": "object"}}]}),
        "tools/call" => {
            inside.calls.push((shown, person.sub.clone(), person.scope.clone()));
            json!({"content": [{"type": "text", "text": format!("{} for {}", person.sub, person.scope)}]})
        }
        "ping" => json!({}),
        _ if id.is_null() => return Response::builder().status(202).body(Body::empty()).unwrap(),
        _ => {
            let error = json!({"code": -32601, "message": "no"});
            return answer(200, &json!({"jsonrpc": "2.0", "id": id, "error": error}));
        }
    };
    answer(200, &json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn answer(status: u16, value: &Value) -> Response {
    let body = Body::from(value.to_string());
    Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
}

fn pairs(form: &str) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://x/?{form}")).unwrap();
    url.query_pairs().into_owned().collect()
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
