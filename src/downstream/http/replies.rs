//! The forms of an answer over HTTP: JSON, a stream of events, or a status that says why there is none.

use super::head::Unfit;
use crate::downstream::edge::content::{Content, Response};
use crate::downstream::events::{Cursor, Said};
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::sse::{SsePieces, sse_comment, sse_event, sse_retry};
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// With nothing.
    Plain,
    /// With an id to come back by, that of the event before the first, and when. 2025-11-25 alone: older clients read
    /// the empty event as a message.
    Primed(u64),
}

pub(crate) fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Content::Whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// A message as the whole answer.
pub(crate) fn json(code: StatusCode, text: Bytes) -> Response {
    let mut response = Response::new(Content::Whole(text));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A message as the whole answer to what came with this head, of which only the room is used again.
pub(crate) fn json_in(mut room: HeaderMap, text: Bytes) -> Response {
    room.clear();
    room.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut response = Response::new(Content::Whole(text));
    *response.headers_mut() = room;
    response
}

/// A refusal: the status, and in the body what a person needs to know, as an error without an id.
pub(crate) fn refusal(code: StatusCode, fault: &Fault) -> Response {
    json(code, fault.render(None))
}

pub(crate) fn unfit(unfit: Unfit) -> Response {
    refusal(unfit.status, &Fault::invalid_request(unfit.why))
}

/// Nobody knows this session, or not any more: the client must begin anew.
pub(crate) fn unknown_session() -> Response {
    refusal(
        StatusCode::NOT_FOUND,
        &Fault::invalid_request("no such session; send `initialize` without an id"),
    )
}

/// A session's id would be one that can be guessed.
pub(crate) fn no_randomness() -> Response {
    let fault = Fault::ours(Reason::Internal, "no randomness for a session's id");
    refusal(StatusCode::INTERNAL_SERVER_ERROR, &fault)
}

/// We are on our way out.
pub(crate) fn stopping() -> Response {
    let mut response = refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        &Fault::ours(Reason::Stopping, "Braid is stopping").outcome(CallOutcome::NotSent),
    );
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Too much at the moment.
pub(crate) fn busy(text: String) -> Response {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, &Fault::ours(Reason::Busy, text));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

pub(crate) fn wrong_method(allowed: &'static str) -> Response {
    let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// A stream of what a cursor reads.
pub(crate) struct Stream {
    pub(crate) cursor: Cursor,
    pub(crate) opening: Opening,
    /// It ends then, and the client is told when to come back.
    pub(crate) closing: CancellationToken,
}

impl Stream {
    /// A comment whenever nothing is said for a while.
    pub(crate) fn response(self, keep_alive: Duration) -> Response {
        let mut head = SsePieces::default();
        if let Opening::Primed(before) = self.opening {
            self.cursor.events().is_named();
            sse_retry(head.open(), RETRY_MS);
            sse_event(head.open(), Some(&format!("{}-{before}", self.cursor.events().label())), None, b"");
        }
        if head.is_empty() {
            // Something at once, so that whatever stands between us lets the stream through.
            sse_comment(head.open(), "open");
        }
        let rest = stream::unfold((Some(self), Some(head)), move |(stream, head)| async move {
            let mut stream = stream?;
            if let Some(head) = head {
                return Some((head, (Some(stream), None)));
            }
            let mut out = SsePieces::default();
            let closing = stream.closing.clone();
            tokio::select! {
                biased;
                said = timeout(keep_alive, stream.cursor.next()) => match said {
                    Ok(Some(said)) => stream.write(&mut out, &said),
                    Ok(None) => return None,
                    Err(_) => sse_comment(out.open(), "alive"),
                },
                () = closing.cancelled() => {
                    sse_retry(out.open(), RETRY_MS);
                    sse_comment(out.open(), "stopping");
                    return Some((out, (None, None)));
                }
            }
            Some((out, (Some(stream), None)))
        });
        event_stream(rest)
    }

    fn write(&self, out: &mut SsePieces, said: &Said) {
        let id = format!("{}-{}", self.cursor.events().label(), said.number);
        out.event(Some(&id), Some("message"), &said.text);
    }
}

/// A body of events with the headers that let it through.
pub(crate) fn event_stream(events: impl stream::Stream<Item = SsePieces> + Send + 'static) -> Response {
    let pieces = events.flat_map(|pieces| stream::iter(pieces.into_pieces()).map(Ok::<_, Infallible>));
    let mut response = Response::new(Content::Flowing(Body::from_stream(pieces)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// By which nginx is told to pass a stream on as it comes.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// When a client that lost its stream should come back.
const RETRY_MS: u64 = 1000;
