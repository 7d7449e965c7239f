//! Where the browser comes back to: a place on this machine, for one login.
//!
//! Owns a listener for as long as somebody logs in, and how what a browser brings is read. Who waits for one answer takes that
//! with the state that was given out, and answers everything else with a short refusal. It is asked by browsers, so it looks at
//! `Host`, and says nothing that a page could use.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::future::{BoxFuture, FutureExt, ready};
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use reqwest::Url;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::page::page;
use crate::config::{OAuth, Secret};
use crate::wire::same::is_same;

/// Listens on this machine for the browser of one login.
pub struct Ear {
    listeners: Vec<TcpListener>,
    port: u16,
}

/// At which port a browser comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    Any,
    /// An issuer that knows us knows where the browser comes back to.
    Rather(u16),
    /// The issuer knows no other.
    Only(u16),
}

impl Port {
    /// `before`: that of the login which is replaced.
    pub fn of(oauth: &OAuth, before: impl FnOnce() -> Option<u16>) -> Self {
        match oauth.callback_port {
            0 => before().map_or(Self::Any, Self::Rather),
            port => Self::Only(port),
        }
    }
}

/// Who answers the browser.
pub trait Answers: Send + Sync + 'static {
    /// `port`: on which it asks.
    fn answer(self: Arc<Self>, request: Request<Incoming>, port: u16) -> BoxFuture<'static, Response<Body>>;
}

/// What the browser brought.
pub struct Callback {
    pub(super) code: Option<Secret>,
    pub(super) issuer: Option<String>,
    /// The authorization server's own word for why there is no code.
    pub(super) error: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    #[error("cannot listen on 127.0.0.1:{port}: {error}")]
    Bind { port: u16, error: io::Error },
    #[error("nobody came back from the browser within {} minutes", COMES_WITHIN.as_secs() / 60)]
    Late,
}

impl Ear {
    /// Listens on this machine, within a runtime.
    pub fn bind(port: Port) -> Result<Self, CallbackError> {
        match port {
            Port::Any => Self::at(0),
            Port::Rather(port) => Self::at(port).or_else(|_| Self::at(0)),
            Port::Only(port) => Self::at(port),
        }
    }

    /// `port`: 0 is any free one. By both of the machine's addresses, where it has both: a browser may take
    /// either for `localhost`.
    fn at(port: u16) -> Result<Self, CallbackError> {
        let mut tries = if port == 0 { BIND_TRIES_MAX } else { 1 };
        loop {
            tries -= 1;
            let bind = |error| CallbackError::Bind { port, error };
            let first = listener(Ipv4Addr::LOCALHOST.into(), port).map_err(bind)?;
            let port = first.local_addr().map_err(bind)?.port();
            match listener(Ipv6Addr::LOCALHOST.into(), port) {
                Ok(second) => return Ok(Self { listeners: vec![first, second], port }),
                // Somebody else has it, and would be asked in our place.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    if tries == 0 {
                        return Err(CallbackError::Bind { port, error });
                    }
                }
                Err(_) => return Ok(Self { listeners: vec![first], port }),
            }
        }
    }

    /// Where the browser is to come (2026-07-28, basic/authorization, Communication Security: `localhost`, or https).
    pub fn redirect_uri(&self) -> String {
        format!("{}{PATH}", self.origin())
    }

    /// What all of its pages begin with.
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the browser that brings this state.
    pub async fn hear(self, state: &Secret) -> Result<Callback, CallbackError> {
        let (brings, brought) = oneshot::channel();
        let asked = Arc::new(Asked { state: state.clone(), brings: Mutex::new(Some(brings)) });
        let _serving = self.serve(&asked);
        let callback = timeout(COMES_WITHIN, brought).await;
        // The answer is on its way to the browser.
        tokio::time::sleep(ANSWER_LEAVES_WITHIN).await;
        callback.ok().and_then(Result::ok).ok_or(CallbackError::Late)
    }

    /// Has browsers answered until it is dropped.
    fn serve(self, answers: &Arc<impl Answers>) -> JoinSet<()> {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut listening = JoinSet::new();
        for listener in self.listeners {
            listening.spawn(accept(listener, (answers.clone(), self.port), places.clone()));
        }
        listening
    }

    /// Has browsers answered until this is over, and a moment longer; not longer than a person may take.
    pub async fn serve_until(self, answers: &Arc<impl Answers>, over: impl Future<Output = ()>) {
        let _serving = self.serve(answers);
        timeout(COMES_WITHIN, over).await.ok();
        tokio::time::sleep(ANSWER_LEAVES_WITHIN).await;
    }
}

fn listener(ip: IpAddr, port: u16) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(SocketAddr::from((ip, port)))?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

impl Callback {
    /// What a query brings, and for which state.
    pub fn read(query: &str) -> Option<(Secret, Self)> {
        let url = Url::parse(&format!("http://localhost/?{query}")).ok()?;
        let only = |wanted: &str| {
            let mut values =
                url.query_pairs().filter(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
            let first = values.next();
            // What stands there twice means two things.
            match values.next() {
                Some(_) => Err(()),
                None => Ok(first),
            }
        };
        let state = Secret::new(only("state").ok()??);
        let (code, issuer, error) = (only("code").ok()?, only("iss").ok()?, only("error").ok()?);
        if code.is_none() == error.is_none() {
            return None;
        }
        Some((state, Self { code: code.map(Secret::new), issuer, error }))
    }
}

/// What is waited for.
struct Asked {
    state: Secret,
    brings: Mutex<Option<oneshot::Sender<Callback>>>,
}

async fn accept(listener: TcpListener, (answers, port): (Arc<impl Answers>, u16), places: Arc<Semaphore>) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ANSWER_LEAVES_WITHIN).await;
            continue;
        };
        let answers = answers.clone();
        open.spawn(async move {
            timeout(CONNECTION_LIVES, serve(stream, answers, port)).await.ok();
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, answers: Arc<impl Answers>, port: u16) {
    let answer = service_fn(move |request: Request<Incoming>| {
        answers.clone().answer(request, port).map(Ok::<_, Infallible>)
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_COMES_WITHIN)
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX);
    server.serve_connection(TokioIo::new(stream), answer).await.ok();
}

/// Whether it asks for this machine at this port: a page elsewhere must not reach us by a name of its own.
pub fn is_here<B>(request: &Request<B>, port: u16) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    host.and_then(|host| host.strip_suffix(&format!(":{port}")))
        .is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host))
}

impl Answers for Asked {
    fn answer(self: Arc<Self>, request: Request<Incoming>, port: u16) -> BoxFuture<'static, Response<Body>> {
        ready(self.said(&request, port)).boxed()
    }
}

impl Asked {
    fn said<B>(&self, request: &Request<B>, port: u16) -> Response<Body> {
        let say = |status, text: &str| page(status, &format!("<p>{text}</p>"));
        if request.method() != Method::GET || request.uri().path() != PATH || !is_here(request, port) {
            return say(StatusCode::NOT_FOUND, "There is nothing here.");
        }
        let brought = Callback::read(request.uri().query().unwrap_or_default());
        let is_ours = |state: &Secret| is_same(state.expose().as_bytes(), self.state.expose().as_bytes());
        let Some((_, callback)) = brought.filter(|(state, _)| is_ours(state)) else {
            return say(StatusCode::BAD_REQUEST, "This does not belong to the login that Braid waits for.");
        };
        let failed = callback.code.is_none();
        let Some(brings) = self.brings.lock().take() else {
            return say(StatusCode::BAD_REQUEST, "This login is over.");
        };
        brings.send(callback).ok();
        match failed {
            true => say(StatusCode::OK, "There is no login. Braid says why; this page can be closed."),
            false => say(StatusCode::OK, "Braid has got what it needs. This page can be closed."),
        }
    }
}

/// Where it comes back to.
pub const PATH: &str = "/callback";
/// How long a person may take; a state is worth nothing after that.
pub(super) const COMES_WITHIN: Duration = Duration::from_secs(600);
const HEAD_COMES_WITHIN: Duration = Duration::from_secs(10);
/// To find where people log in may take its time.
const CONNECTION_LIVES: Duration = Duration::from_secs(60);
const ANSWER_LEAVES_WITHIN: Duration = Duration::from_millis(200);
const CONNECTIONS_MAX: usize = 16;
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Ports that are tried until one is free for both addresses.
const BIND_TRIES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> (Asked, oneshot::Receiver<Callback>) {
        let (brings, brought) = oneshot::channel();
        (Asked { state: Secret::new("st4te"), brings: Mutex::new(Some(brings)) }, brought)
    }

    fn request(method: &str, target: &str, host: Option<&str>) -> Request<()> {
        let mut request = Request::builder().method(method).uri(target);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn h11_only_the_browser_that_was_sent_out_is_heard_and_once() {
        let (asked, mut brought) = asked();
        let fine = "/callback?code=c0de&state=st4te";
        for (method, target, host) in [
            ("POST", fine, Some("localhost:7")),
            ("GET", "/", Some("localhost:7")),
            ("GET", fine, Some("evil.test:7")),
            ("GET", fine, Some("localhost:8")),
            ("GET", fine, Some("localhost")),
            ("GET", fine, None),
            ("GET", "/callback", Some("localhost:7")),
            ("GET", "/callback?code=c0de", Some("localhost:7")),
            ("GET", "/callback?code=c0de&state=", Some("localhost:7")),
            ("GET", "/callback?code=c0de&state=st4tf", Some("localhost:7")),
            ("GET", "/callback?code=c0de&state=st4te&state=st4te", Some("localhost:7")),
            ("GET", "/callback?code=c0de&code=c&state=st4te", Some("localhost:7")),
            ("GET", "/callback?code=c0de&iss=a&iss=b&state=st4te", Some("localhost:7")),
            ("GET", "/callback?code=c0de&error=no&state=st4te", Some("localhost:7")),
            ("GET", "/callback?state=st4te", Some("localhost:7")),
        ] {
            let answer = asked.said(&request(method, target, host), 7);
            assert!(answer.status().is_client_error(), "{method} {target} {host:?}");
            assert!(brought.try_recv().is_err());
        }
        let target = "/callback?code=c0de%20x&state=st4te&iss=https%3A%2F%2Fid";
        let answer = asked.said(&request("GET", target, Some("127.0.0.1:7")), 7);
        assert_eq!(
            (answer.status(), answer.headers()[header::CACHE_CONTROL].as_bytes()),
            (StatusCode::OK, &b"no-store"[..])
        );
        let callback = brought.try_recv().unwrap();
        assert_eq!(callback.code.unwrap().expose(), "c0de x");
        assert_eq!(callback.issuer.as_deref(), Some("https://id"));
        assert_eq!(
            asked.said(&request("GET", fine, Some("localhost:7")), 7).status(),
            StatusCode::BAD_REQUEST
        );
    }

    #[tokio::test]
    async fn it_listens_on_this_machine_alone() {
        let ear = Ear::bind(Port::Any).unwrap();
        assert!(ear.listeners.iter().all(|it| it.local_addr().unwrap().ip().is_loopback()));
        assert_eq!(ear.redirect_uri(), format!("http://localhost:{}/callback", ear.port()));
        assert!(matches!(Ear::bind(Port::Only(ear.port())), Err(CallbackError::Bind { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_come_back_is_not_waited_for_for_ever() {
        let ear = Ear::bind(Port::Any).unwrap();
        assert!(matches!(ear.hear(&Secret::new("x")).await, Err(CallbackError::Late)));
    }
}
