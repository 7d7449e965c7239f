//! Streams that wait for news, and end with the token by which they were opened.
//!
//! Owns which streams those are. A call that was let in is let finish: it has a deadline of its own, and what it may do was
//! decided when it came. Whoever only listens could go on for ever, so each of its streams ends when its token does; its client comes
//! back with another, or is told that it needs one.

use crate::downstream::edge::content::{Content, Response};
use axum::body::Body;
use futures::StreamExt;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use std::future::pending;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

/// Until when a stream may be read. All clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Term(Arc<Mutex<Option<Instant>>>);

impl Term {
    /// `ends`: when the token ends that was shown, if it does.
    pub(crate) fn new(ends: Option<std::time::Instant>) -> Self {
        Self(Arc::new(Mutex::new(ends.map(Instant::from_std))))
    }

    /// Another token of the same grant was shown for what the stream belongs to.
    pub(crate) fn extend(&self, ends: Option<std::time::Instant>) {
        let mut until = self.0.lock();
        *until = match (*until, ends.map(Instant::from_std)) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (None, _) | (_, None) => None,
        };
    }

    /// An answer that flows no longer than that, if it is a stream of events.
    pub(crate) fn bounds(&self, answer: Response) -> Response {
        if answer.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != EVENTS) {
            return answer;
        }
        let over = self.clone().over();
        answer.map(|content| match content {
            Content::Flowing(body) => {
                Content::Flowing(Body::from_stream(body.into_data_stream().take_until(Box::pin(over))))
            }
            whole @ Content::Whole(_) => whole,
        })
    }

    async fn over(self) {
        loop {
            let until = *self.0.lock();
            match until {
                Some(until) if until <= Instant::now() => return,
                // It may be later by then.
                Some(until) => sleep_until(until).await,
                None => pending().await,
            }
        }
    }
}

/// Whether a request opens a stream on which nothing of its own is awaited. What it says of itself is what is done: a head that
/// does not fit its body is refused (2026-07-28, basic/transports/streamable-http, Server Validation).
pub(super) fn listens(head: &Parts) -> bool {
    head.method == Method::GET || (head.method == Method::POST && is_listen(&head.headers))
}

fn is_listen(headers: &HeaderMap) -> bool {
    headers.get(METHOD).is_some_and(|method| method.as_bytes().trim_ascii() == LISTEN)
}

const EVENTS: &str = "text/event-stream";
const METHOD: &str = "mcp-method";
const LISTEN: &[u8] = b"subscriptions/listen";
