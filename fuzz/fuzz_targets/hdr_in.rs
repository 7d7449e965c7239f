//! Heads of requests: nothing that stands in one breaks us, and whom the guard lets in may come.
//!
//! What the guard admits is compared with what must be so of every request that is admitted, written here once
//! more and without its parsers. Then the same head goes to the routes, with a session that is really there: the
//! answer is never a fault of ours.
#![no_main]

use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use libfuzzer_sys::fuzz_target;
use mcp_braid::config::{Address, Auth, Config, Listen};
use mcp_braid::downstream::edge::alarm::Alarm;
use mcp_braid::downstream::edge::content::Response;
use mcp_braid::downstream::edge::cors::Cors;
use mcp_braid::downstream::edge::guard::{Admitted, Guard};
use mcp_braid::downstream::edge::serve::Serve;
use mcp_braid::downstream::edge::source::Peer;
use mcp_braid::downstream::edge::token::Token;
use mcp_braid::downstream::http::endpoint::Front;
use mcp_braid::downstream::http::routes::Routes;
use mcp_braid::hub::Hub;
use mcp_braid::mcp::caller::Principal;
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::TaskTracker;

const TOKEN: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS, Method::HEAD];

const BODIES: [&str; 3] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    "no JSON",
];

static HOUSE: LazyLock<House> = LazyLock::new(House::new);

struct House {
    /// With a token, and without.
    guards: [Guard; 2],
    peers: [Peer; 3],
    runtime: Runtime,
    routes: Routes,
    session: Mutex<String>,
}

// The first byte chooses guard and peer, the second one method and body; then the target and the headers, a line each.
// The word SESSION in a line is the id of a session that is there.
fuzz_target!(|input: &[u8]| {
    let [who, what, rest @ ..] = input else { return };
    let house = &*HOUSE;
    let session = house.session.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut lines = rest.split(|byte| *byte == b'\n').map(|line| with_session(line, &session));
    let Some(uri) = lines.next().and_then(|line| Uri::try_from(line).ok()) else { return };
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let mut request = Request::new(Body::from(BODIES[usize::from(*what) / 8 % BODIES.len()]));
    *request.method_mut() = METHODS[usize::from(*what) % METHODS.len()].clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;

    let (head, body) = request.into_parts();
    let with_token = who % 2 == 0;
    let peer = &house.peers[usize::from(who / 2) % house.peers.len()];
    match house.guards[usize::from(!with_token)].judge(&head, peer, Instant::now()) {
        Ok(admitted) => {
            assert_eq!(&admitted.peer, peer);
            assert!(*peer == Peer::Unix || one_of_ours(&head.headers), "a stranger's host: {head:?}");
            assert!(no_strange_origin(&head.headers), "a stranger's page: {head:?}");
            let healthy = matches!(head.uri.path(), "/healthz" | "/readyz");
            assert!(!with_token || healthy || has_the_token(&head.headers), "without the token: {head:?}");
        }
        Err(reply) => {
            let response = reply.response();
            assert!(response.status().is_client_error() || response.status() == 204, "{response:?}");
            assert!(!String::from_utf8_lossy(response.body()).contains(TOKEN));
        }
    }
    house.serve(Request::from_parts(head, body));
});

impl House {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("braid-fuzz-{}", std::process::id()));
        let file = folder.join("token");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&file, TOKEN).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let token = Token::find_or_make(Some(&file), |_| None).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let end: SocketAddr = "127.0.0.1:8808".parse().unwrap();
        let listen = Listen {
            hosts: vec!["mcp.test".to_owned()],
            origins: vec!["https://app.test".to_owned()],
            trusted_proxy: Some("10.0.0.0/8".to_owned()),
            ..Listen::default()
        };
        let open = Listen { auth: Auth::None, ..listen.clone() };
        let bound = [Address::Tcp(end)];
        let guards =
            [Guard::new(&listen, &bound, Some(&token)).unwrap(), Guard::new(&open, &bound, None).unwrap()];
        let far: SocketAddr = "10.1.2.3:4".parse().unwrap();
        let peers = [Peer::tcp(end, end), Peer::tcp(far, end), Peer::Unix];

        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let routes = {
            let _inside = runtime.enter();
            let config = Config::new("a house", Path::new("/"));
            let hub = Hub::new(Arc::new(config), Vec::new(), "", TaskTracker::new());
            let front = Front::new(hub, open, "a mark", false, Principal::anonymous());
            Routes::new(front)
        };
        let house = Self { guards, peers, runtime, routes, session: Mutex::default() };
        house.greet();
        house
    }

    fn serve(&self, request: Request<Body>) {
        let ends = request.method() == Method::DELETE;
        let shown = format!("{request:?}");
        let response = self.answer(request);
        let status = response.status();
        assert!(!status.is_server_error(), "{status} for {shown}");
        drop(response);
        if ends && status.is_success() {
            self.greet();
        }
    }

    fn answer(&self, request: Request<Body>) -> Response {
        let admitted = Admitted { principal: Principal::anonymous(), scopes: Default::default(), ends: None, own_token: Default::default(), peer: Peer::Unix, cors: Cors::Off };
        let ((head, body), alarm) = (request.into_parts(), Alarm::default());
        self.runtime.block_on(async {
            let answer = self.routes.serve(admitted, head, body, &alarm);
            tokio::time::timeout(Duration::from_secs(20), answer).await.expect("there is no answer")
        })
    }

    /// Begins a session.
    fn greet(&self) {
        let request = Request::post("/mcp")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(Body::from(
                r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#,
            ));
        let response = self.answer(request.unwrap());
        let session = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }
}

fn with_session(line: &[u8], session: &str) -> Vec<u8> {
    const WORD: &[u8] = b"SESSION";
    match line.windows(WORD.len()).position(|word| word == WORD) {
        Some(at) => [&line[..at], session.as_bytes(), &line[at + WORD.len()..]].concat(),
        None => line.to_owned(),
    }
}

/// The only value of a header, as text.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    let [value] = values[..] else { return None };
    value.to_str().ok().map(str::to_ascii_lowercase)
}

/// Without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

fn is_loopback(host: &str) -> bool {
    let six = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let six = six.and_then(|host| host.parse::<Ipv6Addr>().ok());
    host == "localhost"
        || host == "127.0.0.1"
        || six.is_some_and(|ip| ip.is_loopback() || ip.to_canonical().is_loopback())
}

fn one_of_ours(headers: &HeaderMap) -> bool {
    only(headers, header::HOST)
        .is_some_and(|host| host_of(&host) == "mcp.test" || is_loopback(host_of(&host)))
}

fn no_strange_origin(headers: &HeaderMap) -> bool {
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let origin = only(headers, header::ORIGIN).unwrap_or_default();
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let ours = scheme == "https" && matches!(authority, "app.test" | "app.test:443");
    ours || (matches!(scheme, "http" | "https") && is_loopback(host_of(authority)))
}

fn has_the_token(headers: &HeaderMap) -> bool {
    let values: Vec<_> = headers.get_all(header::AUTHORIZATION).iter().collect();
    let [value] = values[..] else { return false };
    let value = value.as_bytes();
    value.len() > 7
        && value[..7].eq_ignore_ascii_case(b"bearer ")
        && value[7..].trim_ascii() == TOKEN.as_bytes()
}
