//! A server over Streamable HTTP, and the connections to it that are kept.
//!
//! A connection is driven by whoever uses it, in the same task: no other has to be woken for an answer. One that lies
//! idle is looked at only when it is taken again.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use memchr::memchr;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use crate::bell::{Bell, TURNS_MAX};
use crate::piped::{INITIALIZE, INITIALIZED};
use crate::scan::{self, Digits, Heard, Request};

pub(crate) struct Remote {
    authority: String,
    path: Uri,
    /// What every request says, the session of our own handshake included.
    headers: Mutex<HeaderMap>,
    idle: Mutex<Vec<Wire>>,
    ids: AtomicU64,
}

/// One connection.
pub(crate) struct Wire {
    sender: SendRequest<Full<Bytes>>,
    /// None once it ended.
    driver: Option<Pin<Box<Driver>>>,
    bell: Arc<Bell>,
    /// The bell's.
    waker: Waker,
}

type Driver = Connection<TokioIo<TcpStream>, Full<Bytes>>;

/// A response with the client's id in it.
pub(crate) enum Answer {
    Whole(StatusCode, Bytes),
    Streamed(Box<Through>),
}

/// The body of a response whose beginning is here, while the rest comes.
pub(crate) struct Through {
    beginning: Option<Bytes>,
    body: Incoming,
    /// None once it went back to the others.
    wire: Option<Wire>,
    remote: Arc<Remote>,
}

impl Remote {
    pub(crate) async fn meet(url: &str) -> io::Result<Self> {
        let url: Uri = url.parse().map_err(io::Error::other)?;
        let authority = url.authority().ok_or_else(|| io::Error::other("a URL without a host"))?.to_string();
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(&authority).map_err(io::Error::other)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let path =
            url.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(io::Error::other)?;
        let remote = Self {
            authority,
            path,
            headers: Mutex::new(headers),
            idle: Mutex::default(),
            ids: AtomicU64::new(1),
        };
        remote.greet().await.map_err(|problem| io::Error::other(format!("{url}: {problem}")))?;
        Ok(remote)
    }

    async fn greet(&self) -> io::Result<()> {
        for text in [INITIALIZE, INITIALIZED] {
            let request = self.post(Bytes::from_static(text.as_bytes()), &HeaderMap::new(), 0);
            let (response, mut wire) = self.exchange(request).await?;
            if !response.status().is_success() {
                return Err(io::Error::other(format!(
                    "the handshake is answered with {}",
                    response.status()
                )));
            }
            let (parts, mut body) = response.into_parts();
            while wire.frame(&mut body).await?.is_some() {}
            self.keep(wire);
            let mut headers = self.headers.lock();
            headers.insert(&PROTOCOL, HeaderValue::from_static("2025-11-25"));
            if let Some(session) = parts.headers.get(&SESSION) {
                headers.insert(&SESSION, session.clone());
            }
        }
        Ok(())
    }

    pub(crate) async fn call(
        self: &Arc<Self>,
        text: &Bytes,
        request: &Request,
        prefix: usize,
        headers: &HeaderMap,
    ) -> io::Result<Answer> {
        let client = request.id.as_ref().map_or(&[][..], |id| &text[id.clone()]);
        let digits = Digits::of(self.ids.fetch_add(1, Ordering::Relaxed));
        let mut ours = Vec::with_capacity(text.len() + 20);
        request.rewrite(&mut ours, text, digits.as_bytes(), prefix);

        let (response, mut wire) = self.exchange(self.post(ours.into(), headers, prefix)).await?;
        let (parts, mut body) = response.into_parts();
        let events = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(EVENTS));
        let mut read = Bytes::new();
        let found = loop {
            let Some(more) = wire.frame(&mut body).await? else { break None };
            read = if read.is_empty() { more } else { [&read[..], &more].concat().into() };
            let found = match (events, scan::heard(&read)) {
                (true, _) => response_of_events(&read),
                (false, Heard::Response(id)) => Some((0..read.len(), id)),
                (false, Heard::Notice | Heard::Other | Heard::Unfinished) => None,
            };
            if found.is_some() {
                break found;
            }
        };
        // What is no response to our request is handed on as it is: its status says what it is.
        let (within, id) = found.unwrap_or((0..read.len(), 0..0));
        let client = if id.is_empty() { &[] } else { client };
        let mut theirs = Vec::with_capacity(within.len() + client.len());
        scan::splice(&mut theirs, &read[within], [(id, client)]);

        if !events && !body.is_end_stream() {
            let beginning = Some(theirs.into());
            let through = Through { beginning, body, wire: Some(wire), remote: self.clone() };
            return Ok(Answer::Streamed(Box::new(through)));
        }
        while wire.frame(&mut body).await?.is_some() {}
        self.keep(wire);
        Ok(Answer::Whole(parts.status, theirs.into()))
    }

    fn post(&self, text: Bytes, from: &HeaderMap, prefix: usize) -> hyper::Request<Full<Bytes>> {
        let mut request = hyper::Request::new(Full::new(text));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        let headers = request.headers_mut();
        *headers = self.headers.lock().clone();
        // What the revision without a handshake says in its head is the client's to say.
        if from.get(&PROTOCOL).is_some_and(|revision| revision == MODERN) {
            headers.remove(&SESSION);
            for name in [&PROTOCOL, &METHOD] {
                if let Some(value) = from.get(name) {
                    headers.insert(name, value.clone());
                }
            }
            let name = from.get(&NAME).map(|name| name.as_bytes().get(prefix..).unwrap_or_default());
            if let Some(Ok(name)) = name.map(HeaderValue::from_bytes) {
                headers.insert(&NAME, name);
            }
        }
        request
    }

    /// Sends on a connection that is kept, or on a new one, and waits for the response's head.
    async fn exchange(&self, request: hyper::Request<Full<Bytes>>) -> io::Result<(Response<Incoming>, Wire)> {
        let mut wire = self.wire().await?;
        let mut sent = pin!(wire.sender.send_request(request));
        let response = poll_fn(|context| wire.turn(context, |_, context| sent.as_mut().poll(context))).await;
        Ok((response.map_err(io::Error::other)?, wire))
    }

    async fn wire(&self) -> io::Result<Wire> {
        loop {
            let kept = self.idle.lock().pop();
            let Some(mut wire) = kept else { break };
            if wire.ready().await {
                return Ok(wire);
            }
        }
        let socket = TcpStream::connect(&self.authority).await?;
        socket.set_nodelay(true)?;
        // Requests are short: head and body are one piece.
        let (sender, driver) =
            Builder::new().writev(false).handshake(TokioIo::new(socket)).await.map_err(io::Error::other)?;
        let bell = Arc::new(Bell::default());
        let mut wire = Wire { sender, driver: Some(Box::pin(driver)), waker: bell.clone().into(), bell };
        if wire.ready().await { Ok(wire) } else { Err(io::Error::other("the connection is closed at once")) }
    }

    fn keep(&self, wire: Wire) {
        if wire.driver.is_some() {
            self.idle.lock().push(wire);
        }
    }
}

impl Wire {
    /// Whether the next request may be sent.
    async fn ready(&mut self) -> bool {
        let ready = poll_fn(|context| self.turn(context, SendRequest::poll_ready)).await;
        ready.is_ok() && self.driver.is_some()
    }

    /// The next piece of the body.
    async fn frame(&mut self, body: &mut Incoming) -> io::Result<Option<Bytes>> {
        poll_fn(|context| self.poll_frame(body, context)).await
    }

    fn poll_frame(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        self.turn(context, |_, context| Pin::new(&mut *body).poll_frame(context)).map(data_of)
    }

    /// Polls what the connection is used for, and the connection where that is not there yet.
    fn turn<T>(
        &mut self,
        context: &mut Context<'_>,
        mut poll: impl FnMut(&mut SendRequest<Full<Bytes>>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut inside = Context::from_waker(&self.waker);
        self.bell.enter(context.waker());
        for _ in 0..TURNS_MAX {
            if let Poll::Ready(found) = poll(&mut self.sender, &mut inside) {
                self.bell.leave();
                return Poll::Ready(found);
            }
            // Whatever was rung for until now, the connection is about to look at.
            self.bell.hush();
            if let Some(driver) = &mut self.driver
                && driver.as_mut().poll(&mut inside).is_ready()
            {
                self.driver = None;
            }
            if let Poll::Ready(found) = poll(&mut self.sender, &mut inside) {
                self.bell.leave();
                return Poll::Ready(found);
            }
            if !self.bell.leave() {
                return Poll::Pending;
            }
            self.bell.hush();
        }
        // Somebody moves it all the time; others want their turn.
        self.bell.leave();
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Through {
    pub(crate) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(beginning) = self.beginning.take() {
            return Poll::Ready(Some(Ok(Frame::data(beginning))));
        }
        let Some(wire) = &mut self.wire else { return Poll::Ready(None) };
        let frame = ready!(wire.poll_frame(&mut self.body, context));
        // At its end the connection is the next request's. Nobody asks for more where the length is known.
        if (self.body.is_end_stream() || matches!(frame, Ok(None)))
            && let Some(wire) = self.wire.take()
        {
            self.remote.keep(wire);
        }
        Poll::Ready(frame.transpose().map(|frame| frame.map(Frame::data)))
    }

    /// How much is still to come, if the server said it.
    pub(crate) fn left(&self) -> Option<u64> {
        let beginning = self.beginning.as_ref().map_or(0, Bytes::len) as u64;
        self.body.size_hint().exact().map(|body| body + beginning)
    }
}

/// Nobody sends trailers here; an empty piece in their place harms nobody.
fn data_of(frame: Option<hyper::Result<Frame<Bytes>>>) -> io::Result<Option<Bytes>> {
    let frame = frame.transpose().map_err(io::Error::other)?;
    Ok(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// The event whose data is a response: where the data stands, and in there the id.
fn response_of_events(events: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let mut at = 0;
    loop {
        let end = at + memchr(b'\n', &events[at..])?;
        let data = events[at..end].strip_prefix(b"data:".as_slice());
        if let Some(Heard::Response(id)) = data.map(scan::heard) {
            return Some((at + 5..end, id));
        }
        at = end + 1;
    }
}

const EVENTS: &[u8] = b"text/event-stream";
const MODERN: &str = "2026-07-28";
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
