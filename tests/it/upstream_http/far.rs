//! A server whose every answer is given by the test.
//!
//! It keeps the requests in the order in which they came until the test asks for them. In memory it stands in the
//! place of the HTTP client; behind a socket it is hyper on a port of its own.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_braid::upstream::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The server, and what it was asked and has not answered.
pub(super) struct Far {
    pub(super) url: String,
    seen: mpsc::Receiver<Seen>,
    waiting: VecDeque<Seen>,
    memory: Option<Arc<Memory>>,
    /// Ends the socket and every connection of it.
    down: CancellationToken,
}

/// A request.
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    reply: oneshot::Sender<Reply>,
}

enum Reply {
    Http(StatusCode, HeaderMap, Said),
    /// In memory only: no connection.
    NotSent,
    /// In memory only: the connection broke before the head.
    Broken,
}

/// How a server in memory takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    All,
    /// There is no connection yet.
    Nothing,
    /// There is one, and no body is read to its end.
    Heads,
}

/// A body as it comes.
enum Said {
    Whole(Option<Bytes>),
    Stream(mpsc::Receiver<Option<Bytes>>),
}

/// A body that the test goes on with; it ends when this is dropped.
pub(super) struct Events(mpsc::Sender<Option<Bytes>>);

impl Far {
    /// In the place of the HTTP client.
    pub(super) fn in_memory() -> Self {
        let (sender, seen) = mpsc::channel(REQUESTS_MAX);
        let memory = Some(Arc::new(Memory(sender, watch::Sender::new(Takes::All))));
        let url = "http://far.test/mcp".to_owned();
        Self { url, seen, waiting: VecDeque::new(), memory, down: CancellationToken::new() }
    }

    /// Behind a port of this machine.
    pub(super) async fn at_a_port() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(super) async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let (sender, seen) = mpsc::channel(REQUESTS_MAX);
        let down = CancellationToken::new();
        tokio::spawn(serve(listener, sender, down.clone()));
        Self { url, seen, waiting: VecDeque::new(), memory: None, down }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.url.strip_prefix("http://").and_then(|url| url.strip_suffix("/mcp")).unwrap().parse().unwrap()
    }

    pub(super) fn fetch(&self) -> Option<Arc<dyn Fetch>> {
        self.memory.clone().map(|memory| memory as Arc<dyn Fetch>)
    }

    /// From now on, in memory.
    pub(super) fn takes(&self, takes: Takes) {
        self.memory.as_ref().unwrap().1.send_replace(takes);
    }

    /// Closes the port and every connection.
    pub(super) fn go_down(&self) {
        self.down.cancel();
    }

    /// The first request that is so, whatever came before it.
    pub(super) async fn expect(&mut self, what: &str, is: impl Fn(&Seen) -> bool) -> Seen {
        if let Some(at) = self.waiting.iter().position(&is) {
            return self.waiting.remove(at).unwrap();
        }
        loop {
            // On a paused clock it costs nothing to wait.
            let patience = if self.memory.is_some() { PAUSED_WAIT_MAX } else { WAIT_MAX };
            let Ok(Some(seen)) = timeout(patience, self.seen.recv()).await else {
                let waiting: Vec<String> = self.waiting.iter().map(Seen::to_string).collect();
                panic!("{what} did not come, but {waiting:#?}");
            };
            if is(&seen) {
                return seen;
            }
            self.waiting.push_back(seen);
        }
    }

    /// A POST of this JSON-RPC method.
    pub(super) async fn post(&mut self, method: &str) -> Seen {
        let is = |seen: &Seen| seen.method == Method::POST && seen.message()["method"] == method;
        self.expect(&format!("POST {method}"), is).await
    }

    /// A POST of an answer.
    pub(super) async fn reply(&mut self) -> Seen {
        let is = |seen: &Seen| seen.method == Method::POST && seen.message()["method"].is_null();
        self.expect("POST of an answer", is).await
    }

    pub(super) async fn get(&mut self) -> Seen {
        self.expect("GET", |seen| seen.method == Method::GET).await
    }

    pub(super) async fn delete(&mut self) -> Seen {
        self.expect("DELETE", |seen| seen.method == Method::DELETE).await
    }

    /// Everything that came and that nobody asked for.
    pub(super) fn left(&mut self) -> Vec<String> {
        while let Ok(seen) = self.seen.try_recv() {
            self.waiting.push_back(seen);
        }
        self.waiting.iter().map(Seen::to_string).collect()
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.method, self.path, self.body)
    }
}

impl Seen {
    pub(super) fn message(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(super) fn id(&self) -> Value {
        self.message()["id"].clone()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Answers with a status, headers and a body.
    /// Resolves when Braid does not wait for an answer any more.
    pub(super) async fn let_go(mut self) {
        timeout(WAIT_MAX, self.reply.closed()).await.expect("it is still waited for");
    }

    pub(super) fn answer(self, status: u16, headers: &[(&str, &str)], body: &str) {
        let body = (!body.is_empty()).then(|| Bytes::copy_from_slice(body.as_bytes()));
        self.send(Reply::Http(StatusCode::from_u16(status).unwrap(), map(headers), Said::Whole(body)));
    }

    /// Answers 200 with JSON.
    pub(super) fn json(self, body: &Value) {
        self.answer(200, &[("content-type", "application/json")], &body.to_string());
    }

    /// Answers the request in it with this result.
    pub(super) fn result(self, result: Value) {
        let id = self.id();
        self.json(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
    }

    pub(super) fn accepted(self) {
        self.answer(202, &[], "");
    }

    /// Answers with a stream of events that has begun.
    pub(super) fn events(self) -> Events {
        self.begins("text/event-stream")
    }

    /// Answers with a body of this type that has begun.
    pub(super) fn begins(self, content_type: &str) -> Events {
        let (sender, receiver) = mpsc::channel(REQUESTS_MAX);
        let headers = map(&[("content-type", content_type)]);
        self.send(Reply::Http(StatusCode::OK, headers, Said::Stream(receiver)));
        Events(sender)
    }

    /// In memory: there was no connection.
    pub(super) fn was_not_sent(self) {
        self.send(Reply::NotSent);
    }

    /// In memory: the connection broke before there was an answer.
    pub(super) fn breaks(self) {
        self.send(Reply::Broken);
    }

    fn send(self, reply: Reply) {
        self.reply.send(reply).ok();
    }
}

impl Events {
    /// One event with this message.
    pub(super) async fn say(&self, message: &Value) {
        self.raw(&format!("data: {message}\n\n")).await;
    }

    /// The same with an id.
    pub(super) async fn say_as(&self, id: &str, message: &Value) {
        self.raw(&format!("id: {id}\ndata: {message}\n\n")).await;
    }

    pub(super) async fn raw(&self, text: &str) {
        self.0.send(Some(Bytes::copy_from_slice(text.as_bytes()))).await.ok();
    }

    /// The connection breaks.
    pub(super) async fn breaks(self) {
        self.0.send(None).await.ok();
    }

    /// Resolves when Braid has let go of it.
    pub(super) async fn is_left(&self) {
        timeout(WAIT_MAX, self.0.closed()).await.expect("it is still read");
    }

    /// Keeps it open until Braid lets go of it.
    pub(super) fn keep(self) {
        tokio::spawn(async move { self.0.closed().await });
    }

    pub(super) fn is_read(&self) -> bool {
        !self.0.is_closed()
    }
}

fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    headers.iter().map(header).collect()
}

/// Stands in the place of the HTTP client.
struct Memory(mpsc::Sender<Seen>, watch::Sender<Takes>);

impl Fetch for Memory {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<FetchResponse, FetchError>> {
        let (reply, replied) = oneshot::channel();
        let path = request.url.as_str().split_once("test").map(|(_, path)| path.to_owned()).unwrap();
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        let headers = request.all_headers();
        let seen = Seen { method: request.method, path, headers, body, reply };
        let (sender, mut takes) = (self.0.clone(), self.1.subscribe());
        let departure = request.departure;
        async move {
            let broken = || FetchError::Broken("far.test closed the connection".to_owned());
            takes.wait_for(|takes| *takes != Takes::Nothing).await.map_err(|_| broken())?;
            if departure.as_ref().is_some_and(|departure| !departure.begins()) {
                return Err(broken());
            }
            takes.wait_for(|takes| *takes == Takes::All).await.map_err(|_| broken())?;
            drop(departure);
            sender.send(seen).await.map_err(|_| broken())?;
            match replied.await {
                Ok(Reply::Http(status, headers, said)) => {
                    let body = futures::stream::unfold(said, async |mut said| {
                        let next = poll_fn(|cx| said.poll(cx)).await?;
                        let broken = || FetchError::Broken("far.test broke off".to_owned());
                        Some((next.map_err(|_| broken()), said))
                    });
                    Ok(FetchResponse { status, headers: headers.into(), body: body.boxed().into() })
                }
                Ok(Reply::NotSent) => Err(FetchError::NotSent("far.test refuses connections".to_owned())),
                Ok(Reply::Broken) | Err(_) => Err(broken()),
            }
        }
        .boxed()
    }
}

/// The connection breaks here.
#[derive(Debug)]
struct Break;

impl std::fmt::Display for Break {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("as the test wants it")
    }
}

impl std::error::Error for Break {}

impl Said {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Break>>> {
        match self {
            Self::Whole(body) => Poll::Ready(body.take().map(Ok)),
            Self::Stream(receiver) => receiver.poll_recv(cx).map(|next| next.map(|next| next.ok_or(Break))),
        }
    }
}

impl Body for Said {
    type Data = Bytes;
    type Error = Break;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Break>>> {
        self.poll(cx).map(|next| next.map(|next| next.map(Frame::data)))
    }
}

async fn serve(listener: TcpListener, sender: mpsc::Sender<Seen>, down: CancellationToken) {
    loop {
        let (socket, _) = tokio::select! {
            socket = listener.accept() => socket.unwrap(),
            () = down.cancelled() => return,
        };
        let (sender, down) = (sender.clone(), down.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| serve_one(request, sender.clone()));
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            tokio::select! {
                _ = connection => {}
                () = down.cancelled() => {}
            }
        });
    }
}

async fn serve_one(
    request: http::Request<Incoming>,
    sender: mpsc::Sender<Seen>,
) -> Result<http::Response<Said>, Break> {
    let (parts, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {
        body.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
    }
    let (reply, replied) = oneshot::channel();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let body = String::from_utf8(body).unwrap();
    let seen = Seen { method: parts.method, path, headers: parts.headers, body, reply };
    sender.send(seen).await.map_err(|_| Break)?;
    match replied.await {
        Ok(Reply::Http(status, headers, said)) => {
            let mut response = http::Response::new(said);
            (*response.status_mut(), *response.headers_mut()) = (status, headers);
            Ok(response)
        }
        Ok(Reply::NotSent | Reply::Broken) | Err(_) => Err(Break),
    }
}

const REQUESTS_MAX: usize = 1024;
/// What takes longer will not come.
const WAIT_MAX: Duration = Duration::from_secs(20);
const PAUSED_WAIT_MAX: Duration = Duration::from_secs(4000);
