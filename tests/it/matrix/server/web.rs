//! A server over HTTP, in the place of the HTTP client: HTTP+SSE, Streamable HTTP with a session, and without.

use super::desk::Desk;
use super::life::Life;
use crate::matrix::endpoint::{Revision, Transport};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use mcp_braid::upstream::fetch::{Fetch, FetchBody, FetchError, FetchRequest, FetchResponse, Fields};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;

pub(super) struct Web(pub(super) Arc<Desk>);

/// A request, read.
struct Post {
    path: String,
    headers: HeaderMap,
    message: Value,
}

impl Fetch for Web {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<FetchResponse, FetchError>> {
        let desk = self.0.clone();
        async move {
            if desk.is_down() {
                return Err(FetchError::NotSent("nobody is there".to_owned()));
            }
            if request.departure.as_ref().is_some_and(|departure| !departure.begins()) {
                return Err(FetchError::Broken("it was withdrawn".to_owned()));
            }
            let headers = request.all_headers();
            drop(request.departure);
            let path =
                request.url.as_str().split_once(".test").map(|(_, path)| path.to_owned()).unwrap_or_default();
            let body = std::str::from_utf8(&request.body).unwrap_or_default();
            let message = serde_json::from_str(body).unwrap_or_default();
            let post = Post { path, headers, message };
            let (revision, transport) = (desk.endpoint.revision, desk.endpoint.transport);
            match (request.method, transport, revision.is_modern()) {
                (Method::GET, Transport::Sse, _) => Ok(opens_pipe(&desk)),
                (Method::POST, Transport::Sse, _) => Ok(to_pipe(&desk, post)),
                (Method::POST, _, true) => stands(&desk, post).await,
                (Method::POST, _, false) => in_session(&desk, post).await,
                (Method::GET, Transport::Http, false) => Ok(listens(&desk, &post)),
                (Method::DELETE, Transport::Http, false) => Ok(ends(&desk, &post)),
                (_, _, _) => {
                    desk.fault(format!("{} to a server that knows only POST", post.path));
                    Ok(status(405))
                }
            }
        }
        .boxed()
    }
}

/// HTTP+SSE: a stream of events, which says first where messages go.
fn opens_pipe(desk: &Arc<Desk>) -> FetchResponse {
    let life = desk.begin();
    let (outlet, said) = mpsc::channel(MESSAGES_MAX);
    let first = format!("event: endpoint\ndata: /messages?s={}\n\n", life.session);
    let gone = outlet.clone();
    life.listens_beside(outlet);
    let own = life.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = gone.closed() => own.end(),
            () = own.over.cancelled() => {}
        }
    });
    events(Bytes::from(first), life, said)
}

/// HTTP+SSE: a message, whose answer comes with the events.
fn to_pipe(desk: &Arc<Desk>, post: Post) -> FetchResponse {
    let Some(session) = post.path.strip_prefix("/messages?s=") else { return status(405) };
    match desk.session(session) {
        Some(life) => {
            is_posted(desk, &post.headers);
            let (outlet, said) = mpsc::channel(MESSAGES_MAX);
            tokio::spawn(forwards(life.clone(), said));
            life.hear(post.message, outlet);
            status(202)
        }
        None => status(404),
    }
}

/// Streamable HTTP up to 2025-11-25.
async fn in_session(desk: &Arc<Desk>, post: Post) -> Result<FetchResponse, FetchError> {
    is_posted(desk, &post.headers);
    let life = match (header(&post.headers, "mcp-session-id"), &post.message["method"]) {
        (None, method) if method == "initialize" => desk.begin(),
        (None, _) => {
            let error = json!({"code": -32000, "message": "no session"});
            return Ok(json(400, &json!({"jsonrpc": "2.0", "id": null, "error": error})));
        }
        (Some(id), _) => {
            let Some(life) = desk.session(id) else { return Ok(status(404)) };
            is_of_session(desk, &post.headers);
            life
        }
    };
    let mut response = answered(&life, post.message).await?;
    let mut headers = HeaderMap::new();
    if let Some(kind) = response.headers.get(&CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_bytes(kind).unwrap());
    }
    if let Ok(session) = HeaderValue::from_str(&life.session) {
        headers.insert("mcp-session-id", session);
    }
    response.headers = headers.into();
    Ok(response)
}

/// The stream of what belongs to no request.
fn listens(desk: &Arc<Desk>, post: &Post) -> FetchResponse {
    let Some(life) = header(&post.headers, "mcp-session-id").and_then(|id| desk.session(id)) else {
        return status(404);
    };
    is_of_session(desk, &post.headers);
    let (outlet, said) = mpsc::channel(MESSAGES_MAX);
    life.listens_beside(outlet);
    events(Bytes::from_static(b": open\n\n"), life, said)
}

fn ends(desk: &Arc<Desk>, post: &Post) -> FetchResponse {
    match header(&post.headers, "mcp-session-id").and_then(|id| desk.session(id)) {
        Some(life) => {
            life.end();
            status(200)
        }
        None => status(404),
    }
}

/// Streamable HTTP of 2026-07-28: every request stands by itself, and says in its head what it is.
async fn stands(desk: &Arc<Desk>, post: Post) -> Result<FetchResponse, FetchError> {
    is_posted(desk, &post.headers);
    if let Some(name) = mismatch(&post) {
        desk.fault(format!("`{name}` does not match {}", post.message));
        let error = json!({"code": -32020, "message": name});
        return Ok(json(400, &json!({"jsonrpc": "2.0", "id": post.message["id"], "error": error})));
    }
    answered(&desk.only(), post.message).await
}

/// A header that does not say what the body does (2026-07-28, basic/transports/streamable-http, server validation).
fn mismatch(post: &Post) -> Option<&'static str> {
    let params = &post.message["params"];
    let version = &params["_meta"]["io.modelcontextprotocol/protocolVersion"];
    let name = match post.message["method"].as_str() {
        Some("tools/call" | "prompts/get") => params["name"].as_str(),
        Some("resources/read") => params["uri"].as_str(),
        Some(_) | None => None,
    };
    let pairs = [
        ("mcp-protocol-version", version.as_str()),
        ("mcp-method", post.message["method"].as_str()),
        ("mcp-name", name),
        ("mcp-session-id", None),
    ];
    pairs.into_iter().find(|(key, says)| header(&post.headers, key) != *says).map(|(key, _)| key)
}

/// A request is answered with JSON if its answer comes first, else with events; anything else is only taken.
async fn answered(life: &Arc<Life>, message: Value) -> Result<FetchResponse, FetchError> {
    let (outlet, mut said) = mpsc::channel(MESSAGES_MAX);
    let is_request = message["method"].is_string() && !message["id"].is_null();
    let is_quiet = SILENT.iter().any(|name| message["params"]["name"] == *name);
    life.hear(message, outlet);
    if !is_request {
        return Ok(status(202));
    }
    // Who works for long begins to answer at once.
    if is_quiet {
        return Ok(events(Bytes::from_static(b": wait\n\n"), life.clone(), said));
    }
    let first = tokio::select! {
        biased;
        () = life.over.cancelled() => None,
        first = said.recv() => first,
    };
    let Some(first) = first else { return Err(FetchError::Broken("it died".to_owned())) };
    if first["method"].is_string() {
        return Ok(events(Bytes::from(event(&first)), life.clone(), said));
    }
    let is_modern = life.revision().is_modern();
    Ok(match first["error"]["code"].as_i64() {
        Some(-32601) if is_modern => json(404, &first),
        Some(-32021) if is_modern => json(400, &first),
        _ => json(200, &first),
    })
}

/// What every POST says of itself.
fn is_posted(desk: &Desk, headers: &HeaderMap) {
    let accepts = header(headers, "accept").unwrap_or_default();
    let is_json = header(headers, "content-type") == Some("application/json");
    if !(is_json && accepts.contains("application/json") && accepts.contains("text/event-stream")) {
        desk.fault(format!("a POST with the head {headers:?}"));
    }
}

/// What is said of the revision in a session (2025-06-18, basic/transports, protocol version header).
fn is_of_session(desk: &Desk, headers: &HeaderMap) {
    let revision = desk.endpoint.revision;
    let said = header(headers, "mcp-protocol-version");
    if revision >= Revision::V2025_06_18 && said != Some(revision.as_str()) {
        desk.fault(format!("the revision {said:?} in the head"));
    }
}

/// What belongs to a request goes on the one stream that there is.
async fn forwards(life: Arc<Life>, mut said: mpsc::Receiver<Value>) {
    while let Some(message) = said.recv().await {
        life.says_beside(message).await;
    }
}

/// A body of events that goes on until nobody speaks any more, or breaks when the life is over.
fn events(first: Bytes, life: Arc<Life>, said: mpsc::Receiver<Value>) -> FetchResponse {
    let first = stream::once(async { Ok(first) });
    let rest = stream::unfold(Some((life, said)), async |open| {
        let (life, mut said) = open?;
        tokio::select! {
            biased;
            () = life.over.cancelled() => Some((Err(FetchError::Broken("it died".to_owned())), None)),
            message = said.recv() => Some((Ok(Bytes::from(event(&message?))), Some((life, said)))),
        }
    });
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
    FetchResponse { status: StatusCode::OK, headers: headers.into(), body: first.chain(rest).boxed().into() }
}

fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}

fn json(code: u16, body: &Value) -> FetchResponse {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let body = Bytes::from(body.to_string());
    let status = StatusCode::from_u16(code).unwrap();
    FetchResponse { status, headers: headers.into(), body: stream::once(async { Ok(body) }).boxed().into() }
}

fn status(code: u16) -> FetchResponse {
    let status = StatusCode::from_u16(code).unwrap();
    FetchResponse { status, headers: Fields::default(), body: FetchBody::empty() }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Tools that say nothing for long.
const SILENT: [&str; 3] = ["slow", "silent", "mortal"];
const MESSAGES_MAX: usize = 1024;
