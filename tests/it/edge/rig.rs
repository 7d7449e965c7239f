//! An edge on a port of its own, with a router that says who came and what it read.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::Request;
use mcp_braid::config::{Address, Auth, Listen, Tls};
use mcp_braid::downstream::edge::accept::{Front, Stop, serve};
use mcp_braid::downstream::edge::alarm::Alarm;
use mcp_braid::downstream::edge::body::read_body;
use mcp_braid::downstream::edge::bound::Bound;
use mcp_braid::downstream::edge::guard::{Admitted, Guard};
use mcp_braid::downstream::edge::token::Token;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::raw::{Answer, Raw, within};

pub(super) struct Rig {
    pub(super) addresses: Vec<Address>,
    pub(super) token: String,
    pub(super) token_file: String,
    pub(super) stop: Stop,
    pub(super) hold: Hold,
    served: JoinHandle<()>,
    _home: TempDir,
}

/// What `/hold` waits for.
#[derive(Clone)]
pub(super) struct Hold {
    entered: Arc<Semaphore>,
    leave: Arc<Semaphore>,
}

/// What the routes read a body with.
#[derive(Clone)]
struct Bounds {
    within: Duration,
    memory: Arc<Semaphore>,
    hold: Hold,
}

pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;
/// What all bodies together may take.
pub(super) const MEMORY_BYTES: usize = 512 * 1024;

impl Rig {
    /// With a token, on a port of loopback, and no TLS.
    pub(super) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Listen)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut listen = Listen { addresses: vec![loopback()], ..Listen::default() };
        change(&mut listen);
        let token = Token::find_or_make(Some(&home.path().join("token")), |_| None).unwrap();
        let bound = Bound::bind(&listen.addresses, listen.tls.as_ref()).await.unwrap();
        let addresses = bound.addresses();
        let given = (listen.auth == Auth::Token).then_some(&token);
        let guard = Guard::new(&listen, &addresses, given).unwrap();
        let hold = Hold { entered: Arc::new(Semaphore::new(0)), leave: Arc::new(Semaphore::new(0)) };
        let front = Front { guard, router: router(&listen, hold.clone()), limits: listen.limits.clone() };
        let stop = Stop::default();
        let served = tokio::spawn(serve(bound, front, stop.clone()));
        Self {
            addresses,
            token: token.value().expose().to_owned(),
            token_file: token.file().display().to_string(),
            stop,
            hold,
            served,
            _home: home,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        let tcp = |address: &Address| match address {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        };
        self.addresses.iter().find_map(tcp).unwrap()
    }

    pub(super) async fn connect(&self) -> Raw<TcpStream> {
        Raw::connect(self.address()).await
    }

    /// A whole request with the right `Host` and the token. `line` without the version, `more` with its line ends.
    pub(super) fn request(&self, line: &str, more: &str, body: &str) -> String {
        let (address, token) = (self.address(), &self.token);
        format!("{line} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{more}\r\n{body}")
    }

    /// One request on a connection of its own.
    pub(super) async fn ask(&self, line: &str, more: &str, body: &str) -> Answer {
        self.connect().await.ask(self.request(line, more, body)).await
    }

    /// Ends it, and sees that nothing is left.
    pub(super) async fn end(self) {
        self.stop.closing.cancel();
        within(self.served).await.unwrap();
    }

    pub(super) async fn ended(&mut self) {
        within(&mut self.served).await.unwrap();
    }

    pub(super) fn is_serving(&self) -> bool {
        !self.served.is_finished()
    }
}

impl Hold {
    /// Waits until a request has reached `/hold`.
    pub(super) async fn entered(&self) {
        within(self.entered.acquire()).await.unwrap().forget();
    }

    /// Lets one of them go on.
    pub(super) fn release(&self) {
        self.leave.add_permits(1);
    }
}

pub(super) fn loopback() -> Address {
    Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// A certificate for `localhost` and 127.0.0.1 that is its own authority, and its key.
pub(super) fn tls() -> Tls {
    Tls { cert: file("localhost.pem"), key: file("localhost.key"), clients: None }
}

pub(super) fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/edge").join(name)
}

fn router(listen: &Listen, hold: Hold) -> Router {
    let memory = Arc::new(Semaphore::new(MEMORY_BYTES));
    Router::new()
        .route("/mcp", any(read))
        .route("/who", get(who))
        .route("/unread", any(async || "unread"))
        .route("/hold", any(held))
        .route("/endless", get(endless))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(async || "ready"))
        .with_state(Bounds { within: listen.limits.body_within, memory, hold })
}

async fn read(State(bounds): State<Bounds>, request: Request<Body>) -> Response {
    let memory = |bytes| bounds.memory.clone().try_acquire_many_owned(u32::try_from(bytes).unwrap()).ok();
    match read_body(request.into_body(), BODY_BYTES_MAX, bounds.within, &Alarm::default(), memory).await {
        Ok(whole) => format!("read {}", whole.bytes.len()).into_response(),
        Err(unread) => unread.response().into_response(),
    }
}

async fn who(Extension(admitted): Extension<Admitted>) -> String {
    format!("{:?}", admitted.principal)
}

async fn held(State(bounds): State<Bounds>) -> &'static str {
    bounds.hold.entered.add_permits(1);
    bounds.hold.leave.acquire().await.unwrap().forget();
    "held"
}

/// A stream that nobody ends.
async fn endless() -> Body {
    struct Endless(bool);
    impl http_body::Body for Endless {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
            if std::mem::replace(&mut self.0, true) {
                std::task::Poll::Pending
            } else {
                std::task::Poll::Ready(Some(Ok(http_body::Frame::data(": first\n\n".into()))))
            }
        }
    }
    Body::new(Endless(false))
}
