//! A server that wants a login, and its issuer: both on one port of this machine, in the test's own process.
//!
//! It does what the specification demands of both, counts what it is asked, and can be told to do otherwise.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Runs until it is dropped.
pub(super) struct Issuer {
    pub(super) base: String,
    world: Arc<Mutex<World>>,
    _runtime: Runtime,
}

/// What it knows and what it does.
#[derive(Default)]
pub(super) struct World {
    base: String,
    /// How long a token lives.
    pub(super) lives: Option<u64>,
    /// What a call needs beyond a token.
    pub(super) needs: BTreeSet<String>,
    /// Changes what its metadata says.
    pub(super) says: BTreeMap<&'static str, Value>,
    /// What it calls itself where the browser comes back; `None`: its name.
    pub(super) iss: Option<String>,
    /// Refreshes are refused.
    pub(super) refuses: bool,
    /// Nobody gets a token, for reasons of its own.
    pub(super) fails: bool,
    clients: BTreeSet<String>,
    codes: BTreeMap<String, Code>,
    tokens: BTreeMap<String, Token>,
    refreshes: BTreeMap<String, BTreeSet<String>>,
    minted: u64,
    /// How often each place was asked.
    pub(super) asked: BTreeMap<&'static str, u64>,
    /// Every token that it gave, and all else that nobody may read.
    pub(super) secrets: Vec<String>,
    /// What was called, by which token.
    pub(super) calls: Vec<(String, String)>,
    /// Headers that came with requests to the server.
    pub(super) headers: BTreeSet<String>,
    /// Texts that did not hold what they must.
    pub(super) faults: Vec<String>,
}

struct Code {
    client: String,
    redirect: String,
    challenge: String,
    scopes: BTreeSet<String>,
}

struct Token {
    ends: Option<Instant>,
    scopes: BTreeSet<String>,
}

type Shared = Arc<Mutex<World>>;

impl Issuer {
    pub(super) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let base = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let world = Arc::new(Mutex::new(World { base: base.clone(), ..World::default() }));
        let routes = Router::new()
            .route("/.well-known/oauth-protected-resource/mcp", get(resource))
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/register", post(register))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/device", post(device))
            .route("/revoke", post(revoke))
            .route("/mcp", post(mcp))
            .with_state(world.clone());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { base, world, _runtime: runtime }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// How often a place was asked.
    pub(super) fn asked(&self, place: &str) -> u64 {
        self.world().asked.get(place).copied().unwrap_or(0)
    }

    /// Whatever it gave is worth nothing any more, refreshes aside.
    pub(super) fn forgets_tokens(&self) {
        self.world().tokens.clear();
    }
}

impl World {
    fn counts(&mut self, place: &'static str) {
        *self.asked.entry(place).or_default() += 1;
    }

    fn mints(&mut self, what: &str) -> String {
        self.minted += 1;
        let text =
            format!("{what}-c4nary-{}-{}", self.minted, self.base.rsplit(':').next().unwrap_or_default());
        self.secrets.push(text.clone());
        text
    }

    fn gives(&mut self, scopes: BTreeSet<String>) -> Value {
        let (access, refresh) = (self.mints("access"), self.mints("refresh"));
        let ends = self.lives.map(|lives| Instant::now() + Duration::from_secs(lives));
        let scope: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let mut given = json!({
            "access_token": access, "token_type": "Bearer", "refresh_token": refresh, "scope": scope.join(" ")
        });
        if let Some(lives) = self.lives {
            given["expires_in"] = lives.into();
        }
        self.tokens.insert(access, Token { ends, scopes: scopes.clone() });
        self.refreshes.insert(refresh, scopes);
        given
    }
}

fn answer(status: u16, value: &Value) -> Response {
    let body = Body::from(value.to_string());
    Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
}

async fn resource(State(world): State<Shared>) -> Response {
    let mut world = world.lock().unwrap();
    world.counts("resource");
    let base = world.base.clone();
    let mut said = json!({"resource": format!("{base}/mcp"), "authorization_servers": [base], "scopes_supported": ["mcp"]});
    for key in ["resource", "authorization_servers"] {
        if let Some(other) = world.says.get(key) {
            said[key] = other.clone();
        }
    }
    answer(200, &said)
}

async fn metadata(State(world): State<Shared>) -> Response {
    let mut world = world.lock().unwrap();
    world.counts("metadata");
    let at = |path: &str| format!("{}{path}", world.base);
    let mut said = json!({
        "issuer": world.base,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "registration_endpoint": at("/register"),
        "revocation_endpoint": at("/revoke"),
        "device_authorization_endpoint": at("/device"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": true,
    });
    for (key, other) in &world.says {
        if other.is_null() {
            said.as_object_mut().unwrap().remove(*key);
        } else {
            said[*key] = other.clone();
        }
    }
    answer(200, &said)
}

async fn register(State(world): State<Shared>, body: Bytes) -> Response {
    let mut world = world.lock().unwrap();
    world.counts("register");
    let asked: Value = serde_json::from_str(std::str::from_utf8(&body).unwrap()).unwrap();
    if asked["application_type"] != "native" || asked["redirect_uris"].as_array().map(Vec::len) != Some(1) {
        world.faults.push(format!("a registration says {asked}"));
    }
    let client = format!("client-{}", world.clients.len() + 1);
    world.clients.insert(client.clone());
    answer(201, &json!({"client_id": client, "token_endpoint_auth_method": "none"}))
}

/// The person agrees at once.
async fn authorize(State(world): State<Shared>, uri: http::Uri) -> Response {
    let asked = pairs(uri.query().unwrap_or_default());
    let mut world = world.lock().unwrap();
    world.counts("authorize");
    let of = |key: &str| asked.get(key).cloned().unwrap_or_default();
    let resource = format!("{}/mcp", world.base);
    if of("response_type") != "code" || of("code_challenge_method") != "S256" || of("resource") != resource {
        world.faults.push(format!("a login is asked for with {asked:?}"));
    }
    if !world.clients.contains(&of("client_id")) {
        world.faults.push(format!("nobody knows the client {}", of("client_id")));
    }
    let code = world.mints("code");
    let scopes = of("scope").split_whitespace().map(str::to_owned).collect();
    let given = Code {
        client: of("client_id"),
        redirect: of("redirect_uri"),
        challenge: of("code_challenge"),
        scopes,
    };
    world.codes.insert(code.clone(), given);
    let iss = world.iss.clone().unwrap_or_else(|| world.base.clone());
    let iss = if iss.is_empty() { String::new() } else { format!("&iss={iss}") };
    let back = format!("{}?code={code}&state={}{iss}", of("redirect_uri"), of("state"));
    Response::builder().status(302).header(header::LOCATION, back).body(Body::empty()).unwrap()
}

async fn token(State(world): State<Shared>, headers: HeaderMap, body: String) -> Response {
    // Time for others to come meanwhile.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut world = world.lock().unwrap();
    let asked = pairs(&body);
    let of = |key: &str| asked.get(key).cloned().unwrap_or_default();
    let resource = format!("{}/mcp", world.base);
    if of("resource") != resource {
        world.faults.push(format!("a token is asked for `{}`", of("resource")));
    }
    if world.fails {
        return answer(500, &json!({}));
    }
    let no = || answer(400, &json!({"error": "invalid_grant", "error_description": format!("no {body}")}));
    match of("grant_type").as_str() {
        "authorization_code" => {
            world.counts("code");
            let Some(code) = world.codes.remove(&of("code")) else { return no() };
            let proof = base64url(&Sha256::digest(of("code_verifier")));
            if (proof, of("redirect_uri"), of("client_id")) != (code.challenge, code.redirect, code.client) {
                return no();
            }
            let given = world.gives(code.scopes);
            answer(200, &given)
        }
        "refresh_token" => {
            world.counts("refresh");
            if world.refuses {
                return no();
            }
            // Each works once.
            let Some(scopes) = world.refreshes.remove(&of("refresh_token")) else { return no() };
            let given = world.gives(scopes);
            answer(200, &given)
        }
        "urn:ietf:params:oauth:grant-type:device_code" => {
            world.counts("device token");
            if world.asked["device token"] < 2 {
                return answer(400, &json!({"error": "authorization_pending"}));
            }
            match world.codes.remove(&of("device_code")) {
                Some(code) => {
                    let given = world.gives(code.scopes);
                    answer(200, &given)
                }
                None => answer(400, &json!({"error": "expired_token"})),
            }
        }
        "client_credentials" => {
            world.counts("machine");
            // RFC 6749, 2.3.1: `machine:s3cret`.
            let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            if shown != Some("Basic bWFjaGluZTpzM2NyZXQ=") {
                return answer(401, &json!({"error": "invalid_client"}));
            }
            let given = world.gives(of("scope").split_whitespace().map(str::to_owned).collect());
            answer(200, &given)
        }
        _ => answer(400, &json!({"error": "unsupported_grant_type"})),
    }
}

/// The person agrees between the first question and the second.
async fn device(State(world): State<Shared>, body: String) -> Response {
    let mut world = world.lock().unwrap();
    world.counts("device");
    let asked = pairs(&body);
    let of = |key: &str| asked.get(key).cloned().unwrap_or_default();
    if of("resource") != format!("{}/mcp", world.base) || !world.clients.contains(&of("client_id")) {
        world.faults.push(format!("a code is asked for with {asked:?}"));
    }
    let code = world.mints("device");
    let scopes = of("scope").split_whitespace().map(str::to_owned).collect();
    let given = Code { client: of("client_id"), redirect: String::new(), challenge: String::new(), scopes };
    world.codes.insert(code.clone(), given);
    let page =
        world.says.get("verification_uri").cloned().unwrap_or_else(|| json!(format!("{}/page", world.base)));
    answer(
        200,
        &json!({"device_code": code, "user_code": "WDJB-MJHT", "verification_uri": page, "expires_in": 600, "interval": 1}),
    )
}

async fn revoke(State(world): State<Shared>, body: String) -> Response {
    let mut world = world.lock().unwrap();
    world.counts("revoke");
    let token = pairs(&body).remove("token").unwrap_or_default();
    world.tokens.remove(&token);
    world.refreshes.remove(&token);
    answer(200, &json!({}))
}

async fn mcp(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let mut world = world.lock().unwrap();
    world.counts("mcp");
    world.headers.extend(headers.keys().map(ToString::to_string));
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let shown = shown.strip_prefix("Bearer ").unwrap_or_default().to_owned();
    let asked: Value = serde_json::from_str(std::str::from_utf8(&body).unwrap()).unwrap();
    let metadata = format!("resource_metadata=\"{}/.well-known/oauth-protected-resource/mcp\"", world.base);
    let refuses = |status: u16, words: &str| {
        let says = format!("Bearer {metadata}{words}");
        let body = Body::from("no");
        Response::builder().status(status).header(header::WWW_AUTHENTICATE, says).body(body).unwrap()
    };
    let scopes = match world.tokens.get(&shown) {
        Some(token) if token.ends.is_none_or(|ends| Instant::now() < ends) => token.scopes.clone(),
        Some(_) | None => {
            world.counts("unauthorized");
            return refuses(401, ", scope=\"mcp\"");
        }
    };
    let (id, method) = (asked["id"].clone(), asked["method"].as_str().unwrap_or_default());
    if method == "tools/call" && !world.needs.is_subset(&scopes) {
        let all: Vec<&str> = world.needs.iter().map(String::as_str).collect();
        return refuses(403, &format!(", error=\"insufficient_scope\", scope=\"{}\"", all.join(" ")));
    }
    let result = match method {
        "initialize" => json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": "far", "version": "1"}}),
        "tools/list" => json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}),
        "tools/call" => {
            let said = asked["params"]["arguments"]["text"].as_str().unwrap_or_default().to_owned();
            world.calls.push((said.clone(), shown));
            json!({"content": [{"type": "text", "text": said}]})
        }
        "ping" => json!({}),
        _ if id.is_null() => {
            return Response::builder().status(StatusCode::ACCEPTED).body(Body::empty()).unwrap();
        }
        _ => {
            return answer(
                200,
                &json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no"}}),
            );
        }
    };
    answer(200, &json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn pairs(form: &str) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://x/?{form}")).unwrap();
    url.query_pairs().into_owned().collect()
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..=group.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}
