//! HTTP+SSE of 2024-11-05: a session's answers all come on one stream, its calls are posts.
//!
//! Owns the stream of a session, read by a task of its own, and for each call in flight a connection to post on. Whoever posts
//! waits until the reader has closed its call.

use super::Failure;
use super::asking;
use super::book::{Book, Entry, slot_of};
use super::endpoint::{Endpoint, all, broken};
use super::patience::Patience;
use super::plan::{Plan, Turn};
use super::shared::Shared;
use super::verdict::Verdict;
use crate::body::{Body, data};
use crate::events::{Event, Events};
use crate::words::OLDEST;
use bytes::{Bytes, BytesMut};
use hyper::Method;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// A session that is being read.
#[derive(Debug)]
pub struct Session {
    reader: JoinHandle<()>,
    /// The connection of its stream ends with this.
    _stream: SendRequest<Body>,
}

/// What the reader of a session and its slots share.
#[derive(Debug)]
struct State {
    shared: Arc<Shared>,
    number: u64,
    endpoint: Endpoint,
    book: Mutex<Book>,
    closed: Vec<Notify>,
    is_gone: AtomicBool,
}

/// One call at a time.
#[derive(Debug)]
pub struct Slot {
    state: Arc<State>,
    sender: Option<SendRequest<Body>>,
    turn: usize,
}

/// A stream that is read event by event.
struct Stream {
    body: Incoming,
    events: Events,
}

impl Session {
    /// Opens the stream, greets the server, and makes a slot for each call that may be open.
    pub async fn open(
        shared: Arc<Shared>,
        endpoint: &Endpoint,
        number: u64,
        in_flight: usize,
    ) -> Result<(Self, Vec<Slot>), Failure> {
        let patience = shared.patience;
        let opening = greet(endpoint);
        let greeted = timeout(patience, opening).await;
        let (sender, stream, endpoint) =
            greeted.map_err(|_| Failure::new("`initialize` was not answered"))??;
        let state = Arc::new(State {
            shared,
            number,
            endpoint,
            book: Mutex::new(Book::new(0, in_flight)),
            closed: std::iter::repeat_with(Notify::new).take(in_flight).collect(),
            is_gone: AtomicBool::new(false),
        });
        let reader = tokio::spawn(read(state.clone(), stream));
        let slots = (0..in_flight).map(|turn| Slot { state: state.clone(), sender: None, turn }).collect();
        Ok((Self { reader, _stream: sender }, slots))
    }

    pub fn close(self) {
        self.reader.abort();
    }
}

impl Slot {
    /// Calls until the plan is over, or the server is silent for longer than patience lasts.
    pub async fn run(mut self, plan: Arc<Plan>) -> Self {
        let mut patience = Patience::new(&self.state.shared);
        let mut heard = Instant::now();
        while let Turn::Due(due) = plan.turn().await {
            let now = Instant::now();
            let shared = self.state.shared.clone();
            if shared.is_lost(due, now) {
                shared.tally().lost(1);
                continue;
            }
            let Some(id) = self.state.book().open(Entry { due, sent: now }) else { break };
            let outcome = patience.lasts(self.call(id)).await;
            self.turn += 1;
            if self.state.book().close(id).is_none() {
                heard = Instant::now();
                continue;
            }
            self.sender = None;
            shared.tally().lost(1);
            if self.state.has_ended() || heard.elapsed() >= shared.patience {
                break;
            }
            if let Some(Err(_)) = outcome {
                sleep(FAILED_PAUSE).await;
            }
        }
        self
    }

    async fn call(&mut self, id: u64) -> Result<(), Failure> {
        let State { shared, number, endpoint, .. } = &*self.state;
        let mut text = BytesMut::with_capacity(TEXT_BYTES);
        if let Some(template) = shared.asking.template(self.turn) {
            template.put(&mut text, *number, id);
        }
        let mut sender = endpoint.connected(self.sender.take()).await?;
        post(&mut sender, endpoint, text.freeze()).await?;
        self.sender = Some(sender);
        let closed = self.state.closed.get(slot_of(id));
        while self.state.book().is_open(id) && !self.state.has_ended() {
            match closed {
                Some(closed) => closed.notified().await,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

impl State {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    fn hear(&self, event: &Event, now: Instant) {
        let verdict =
            self.shared.judge.hear(self.number, &event.data, now, &mut self.book(), &mut self.shared.tally());
        match verdict {
            Verdict::Closed(id) => {
                if let Some(closed) = self.closed.get(slot_of(id)) {
                    closed.notify_one();
                }
            }
            Verdict::Reply(reply) => {
                let endpoint = self.endpoint.clone();
                tokio::spawn(async move { post(&mut endpoint.connect().await?, &endpoint, reply).await });
            }
            Verdict::Nothing => {}
        }
    }
}

async fn read(state: Arc<State>, mut stream: Stream) {
    loop {
        let chunk = data(&mut stream.body).await;
        let now = Instant::now();
        let Some(Ok(chunk)) = chunk else { break };
        stream.events.feed(&chunk);
        while let Some(event) = stream.events.next() {
            state.hear(&event, now);
        }
    }
    state.is_gone.store(true, Ordering::Relaxed);
    for closed in &state.closed {
        closed.notify_one();
    }
}

/// Opens a stream, learns where to post, and greets the server.
async fn greet(endpoint: &Endpoint) -> Result<(SendRequest<Body>, Stream, Endpoint), Failure> {
    let mut sender = endpoint.connect().await?;
    let request = endpoint.request(Method::GET, endpoint.listening(), Bytes::new());
    let response = sender.send_request(request).await.map_err(broken)?;
    if !response.status().is_success() {
        return Err(Failure::new(format!("the stream was answered with {}", response.status())));
    }
    let mut stream = Stream { body: response.into_body(), events: Events::default() };
    let place = stream.wait(|event| event.name == "endpoint").await?;
    let place =
        std::str::from_utf8(&place.data).map_err(|_| Failure::new("the place to post to is no text"))?;
    let endpoint = endpoint.at(place)?;
    let mut posting = endpoint.connect().await?;
    post(&mut posting, &endpoint, asking::initialize(OLDEST)).await?;
    let answer = format!("\"id\":{}", asking::GREETING_ID);
    stream.wait(|event| memchr::memmem::find(&event.data, answer.as_bytes()).is_some()).await?;
    post(&mut posting, &endpoint, asking::initialized()).await?;
    Ok((sender, stream, endpoint))
}

async fn post(sender: &mut SendRequest<Body>, endpoint: &Endpoint, text: Bytes) -> Result<(), Failure> {
    sender.ready().await.map_err(broken)?;
    let request = endpoint.request(Method::POST, endpoint.posting(), text);
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    all(&mut response.into_body()).await?;
    if !status.is_success() {
        return Err(Failure::new(format!("a post was answered with {status}")));
    }
    Ok(())
}

impl Stream {
    async fn wait(&mut self, is_it: impl Fn(&Event) -> bool) -> Result<Event, Failure> {
        loop {
            while let Some(event) = self.events.next() {
                if is_it(&event) {
                    return Ok(event);
                }
            }
            let chunk = data(&mut self.body).await;
            let chunk = chunk.ok_or_else(|| Failure::new("the stream ended before it said anything"))?;
            self.events.feed(&chunk.map_err(broken)?);
        }
    }
}

/// Most requests have room in it.
const TEXT_BYTES: usize = 512;
/// Before a server that cannot be reached is called again.
const FAILED_PAUSE: Duration = Duration::from_millis(10);
