//! Streamable HTTP: each call in flight has a connection of its own.
//!
//! Owns the connection of a slot and its one open call; sessions are only lent to it. A connection on which an answer did not
//! come is given up with it.

use super::args::{Era, Run};
use super::asking;
use super::book::{Book, Entry};
use super::endpoint::{Endpoint, all, broken, messages};
use super::patience::Patience;
use super::plan::{Plan, Turn};
use super::shared::Shared;
use super::{Failure, args};
use crate::body::Body;
use crate::json::Walk;
use crate::words::{METHOD_HEADER, MODERN, NAME_HEADER, SESSION_HEADER, VERSION_HEADER};
use bytes::{Bytes, BytesMut};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// A session, as the headers of its requests: one set for each tool.
#[derive(Debug, Clone)]
pub struct Session {
    number: u64,
    heads: Vec<HeaderMap>,
}

/// One call at a time.
#[derive(Debug)]
pub struct Slot {
    shared: Arc<Shared>,
    endpoint: Arc<Endpoint>,
    /// Those that it calls for, one after the other.
    sessions: Vec<Session>,
    sender: Option<SendRequest<Body>>,
    book: Book,
    turn: usize,
}

impl Session {
    /// Greets the server if there is a handshake.
    pub async fn open(shared: &Shared, endpoint: &Endpoint, run: &Run, number: u64) -> Result<Self, Failure> {
        let head = match run.era {
            Era::Modern => {
                let mut head = endpoint.posting();
                head.insert(VERSION_HEADER, HeaderValue::from_static(MODERN));
                head.insert(METHOD_HEADER, HeaderValue::from_static(method(run.method)));
                head
            }
            Era::Legacy => {
                let mut sender = endpoint.connect().await?;
                let greeted = timeout(shared.patience, greet(&mut sender, endpoint)).await;
                greeted.map_err(|_| Failure::new("`initialize` was not answered"))??
            }
        };
        let heads = shared.asking.templates().iter().map(|template| {
            let mut head = head.clone();
            if let (Era::Modern, Some(name)) = (run.era, &template.name) {
                let odd = |_| Failure::new(format!("`{name}` cannot stand in a header"));
                head.insert(NAME_HEADER, HeaderValue::from_str(name).map_err(odd)?);
            }
            Ok(head)
        });
        Ok(Self { number, heads: heads.collect::<Result<_, Failure>>()? })
    }
}

impl Slot {
    pub fn new(shared: Arc<Shared>, endpoint: Arc<Endpoint>, sessions: Vec<Session>, number: usize) -> Self {
        let book = Book::new(number, 1);
        Self { shared, endpoint, sessions, sender: None, book, turn: number }
    }

    /// Calls until the plan is over, or the server is silent for longer than patience lasts.
    pub async fn run(mut self, plan: Arc<Plan>) -> Self {
        let mut patience = Patience::new(&self.shared);
        let mut heard = Instant::now();
        while let Turn::Due(due) = plan.turn().await {
            let now = Instant::now();
            if self.shared.is_lost(due, now) {
                self.shared.tally().lost(1);
                continue;
            }
            let Some(id) = self.book.open(Entry { due, sent: now }) else { break };
            let outcome = patience.lasts(self.call(id)).await;
            self.turn += 1;
            if self.book.close(id).is_none() {
                heard = Instant::now();
                continue;
            }
            self.sender = None;
            self.shared.tally().lost(1);
            if heard.elapsed() >= self.shared.patience {
                break;
            }
            if let Some(Err(_)) = outcome {
                sleep(FAILED_PAUSE).await;
            }
        }
        self
    }

    async fn call(&mut self, id: u64) -> Result<(), Failure> {
        let Self { shared, endpoint, sessions, sender: kept, book, turn } = self;
        let session = sessions.get(*turn % sessions.len().max(1));
        let Some(Session { number, heads }) = session else { return Ok(()) };
        let mut text = BytesMut::with_capacity(TEXT_BYTES);
        if let Some(template) = shared.asking.template(*turn) {
            template.put(&mut text, *number, id);
        }
        let mut sender = endpoint.connected(kept.take()).await?;
        let head = heads.get(*turn % heads.len().max(1)).cloned().unwrap_or_default();
        let request = endpoint.request(Method::POST, head, text.freeze());
        let response = sender.send_request(request).await.map_err(broken)?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let text = all(&mut response.into_body()).await?;
            book.close(id);
            shared.tally().wrong(&format!("the status is {status}"), &text);
        } else {
            messages(response, |message| {
                let now = Instant::now();
                shared.judge.hear(*number, message, now, book, &mut shared.tally());
            })
            .await?;
        }
        *kept = Some(sender);
        Ok(())
    }
}

/// Says `initialize` and `notifications/initialized`; the headers of what follows.
pub async fn greet(sender: &mut SendRequest<Body>, endpoint: &Endpoint) -> Result<HeaderMap, Failure> {
    let text = asking::initialize(asking::newest());
    sender.ready().await.map_err(broken)?;
    let request = endpoint.request(Method::POST, endpoint.posting(), text);
    let response = sender.send_request(request).await.map_err(broken)?;
    if response.status() != StatusCode::OK {
        return Err(Failure::new(format!("`initialize` was answered with {}", response.status())));
    }
    let session = response.headers().get(SESSION_HEADER).cloned();
    let mut revision = None;
    messages(response, |message| revision = revision.take().or_else(|| agreed(message))).await?;
    let revision = revision.ok_or_else(|| Failure::new("`initialize` was not answered with a revision"))?;
    let mut head = endpoint.posting();
    head.insert(VERSION_HEADER, revision);
    if let Some(session) = session {
        head.insert(SESSION_HEADER, session);
    }
    sender.ready().await.map_err(broken)?;
    let request = endpoint.request(Method::POST, head.clone(), asking::initialized());
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    all(&mut response.into_body()).await?;
    if !status.is_success() {
        return Err(Failure::new(format!("`notifications/initialized` was answered with {status}")));
    }
    Ok(head)
}

/// The revision that an answer to `initialize` names.
fn agreed(message: &[u8]) -> Option<HeaderValue> {
    let mut revision = None;
    Walk::new(message).object(|walk, name| {
        if name != b"result" {
            walk.value()?;
            return Some(());
        }
        walk.object(|walk, name| {
            let value = walk.value()?;
            if name == b"protocolVersion" {
                revision = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
            }
            Some(())
        })
    })?;
    HeaderValue::from_bytes(&Bytes::copy_from_slice(revision?)).ok()
}

fn method(ask: args::Ask) -> &'static str {
    match ask {
        args::Ask::Call => "tools/call",
        args::Ask::List => "tools/list",
    }
}

/// Most requests have room in it.
const TEXT_BYTES: usize = 512;
/// Before a server that cannot be reached is called again.
const FAILED_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_is_found_where_it_stands() {
        let text =
            br#"{"result":{"serverInfo":{"protocolVersion":"no"},"protocolVersion":"2025-03-26"},"id":0}"#;
        assert_eq!(agreed(text).unwrap(), "2025-03-26");
        assert_eq!(agreed(br#"{"id":0,"error":{}}"#), None);
    }
}
