//! The listener of both HTTP transports, and Streamable HTTP at `/mcp`.
//!
//! Owns the accept loop and which path is whose. A task for each connection, all on one thread.

use super::server::{Kind, Outcome, Server};
use super::sse;
use crate::body::{Body, Outbox, whole};
use crate::words::{METHOD_HEADER, MODERN, NAME_HEADER, SESSION_HEADER, VERSION_HEADER};
use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// What all connections share.
#[derive(Debug)]
pub struct Front {
    pub server: Server,
    pub streams: sse::Streams,
    sessions: AtomicU64,
}

/// Listens, says on stderr where, and serves for ever.
pub fn serve(server: Server, listen: SocketAddr) -> io::Result<()> {
    let front = Arc::new(Front { server, streams: sse::Streams::default(), sessions: AtomicU64::new(0) });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        writeln!(io::stderr(), "listening on {}", listener.local_addr()?)?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(connection(front.clone(), stream));
                }
                // No descriptor is left, or the client is gone already.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    })
}

async fn connection(front: Arc<Front>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(route(&front, request).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    // What ends a connection is its client's business.
    let _ = http.pipeline_flush(true).serve_connection(TokioIo::new(stream), service).await;
}

async fn route(front: &Arc<Front>, request: Request<Incoming>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/mcp") => post(front, request).await,
        (&Method::GET, "/mcp") => listen(&request),
        (&Method::DELETE, "/mcp") => status(StatusCode::OK),
        (_, "/mcp") => not_allowed(),
        (&Method::GET, "/sse") => sse::open(front),
        (&Method::POST, sse::POST_PATH) => sse::post(front, request).await,
        _ => status(StatusCode::NOT_FOUND),
    }
}

async fn post(front: &Front, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Some(text) = whole(body).await else { return status(StatusCode::BAD_REQUEST) };
    if front.server.is_mute() {
        return future::pending().await;
    }
    let is_modern = head.headers.get(VERSION_HEADER).is_some_and(|version| version == MODERN);
    if is_modern && !front.server.is_legacy() && !is_mirrored(&head.headers) {
        return json(StatusCode::BAD_REQUEST, Bytes::from_static(MISMATCH));
    }
    let mut out = BytesMut::new();
    let Outcome::Said { after, messages, kind } = front.server.answer(&text, &mut out, EVENT, EVENT_END)
    else {
        return status(StatusCode::ACCEPTED);
    };
    if !after.is_zero() {
        sleep(after).await;
    }
    if messages > 1 {
        return events(Body::Events(out.freeze()));
    }
    let text = out.freeze().slice(EVENT.len()..);
    let text = text.slice(..text.len() - EVENT_END.len());
    match kind {
        Kind::Result | Kind::Error => json(StatusCode::OK, text),
        // 2026-07-28, basic/transports/streamable-http; an older server says that it has no such session.
        Kind::Unknown if is_modern && front.server.is_legacy() => json(StatusCode::BAD_REQUEST, text),
        Kind::Unknown if is_modern => json(StatusCode::NOT_FOUND, text),
        Kind::Unknown => json(StatusCode::OK, text),
        Kind::Greeting => greeting(front, text),
    }
}

fn greeting(front: &Front, text: Bytes) -> Response<Body> {
    let mut response = json(StatusCode::OK, text);
    let number = front.sessions.fetch_add(1, Ordering::Relaxed);
    if let Ok(id) = HeaderValue::try_from(format!("session-{number}")) {
        response.headers_mut().insert(SESSION_HEADER, id);
    }
    response
}

/// Whether the head says what 2026-07-28 wants it to say. That it is the same as in the body is not checked.
fn is_mirrored(headers: &HeaderMap) -> bool {
    match headers.get(METHOD_HEADER) {
        None => false,
        Some(method) => method != "tools/call" || headers.contains_key(NAME_HEADER),
    }
}

/// A stream on which nothing is ever said.
fn listen(request: &Request<Incoming>) -> Response<Body> {
    if !request.headers().contains_key(SESSION_HEADER) {
        return not_allowed();
    }
    let outbox = Arc::new(Outbox::default());
    outbox.put(b":\n\n");
    events(Body::Stream(outbox))
}

pub(super) fn events(body: Body) -> Response<Body> {
    typed(StatusCode::OK, "text/event-stream", body)
}

fn json(status: StatusCode, text: Bytes) -> Response<Body> {
    typed(status, "application/json", Body::Whole(text))
}

fn typed(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

pub(super) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn not_allowed() -> Response<Body> {
    let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
    response
}

pub(super) const EVENT: &[u8] = b"event: message\ndata: ";
pub(super) const EVENT_END: &[u8] = b"\n\n";
const MISMATCH: &[u8] =
    br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"the head lacks what the body says"}}"#;
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);
