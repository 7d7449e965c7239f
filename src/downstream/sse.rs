//! Clients of 2024-11-05 over HTTP+SSE: one stream of events to the client, and a place to post to.
//!
//! The stream is a door like stdin and stdout: what is posted goes in, and whatever comes out goes to the one stream.
//! The session ends with its stream.

use super::door::{Door, Heard};
use super::edge::alarm::Alarm;
use super::edge::content::Response;
use super::http::endpoint::Front;
use super::http::head;
use super::http::replies;
use super::http::sessions::{SessionId, SessionKey};
use super::http::term::Term;
use crate::mcp::caller::Grant;
use crate::upstream::allowance::Allowance;
use crate::wire::fault::{Fault, Reason};
use crate::wire::sse::{SsePieces, sse_comment, sse_event};
use axum::body::Body;
use bytes::Bytes;
use dashmap::DashMap;
use futures::stream;
use http::{Method, Request, StatusCode};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The open streams, by the ids that their clients post with.
#[derive(Debug, Default)]
pub struct Pipes(DashMap<SessionKey, Pipe>);

impl Pipes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The way into one door.
#[derive(Debug, Clone)]
struct Pipe {
    inbox: mpsc::Sender<Heard>,
    /// Whose it is.
    grant: Grant,
    /// How long its stream lasts: as the session's, which ends with it, by the last token that was shown for it.
    term: Term,
    allowance: Allowance,
}

/// Leaves the table when the stream is dropped.
struct Listening {
    front: Arc<Front>,
    key: SessionKey,
    lines: mpsc::Receiver<Bytes>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.front.pipes.0.remove(&self.key);
    }
}

impl Front {
    /// Opens a stream. Its first event says where to post.
    pub(crate) fn open_pipe(self: &Arc<Self>, grant: Grant, term: Term, request: &Request<Body>) -> Response {
        if request.method() != Method::GET {
            return replies::wrong_method("GET");
        }
        if self.is_closing() {
            return replies::stopping();
        }
        if let Err(unfit) = head::fit_get(request.headers()) {
            return replies::unfit(unfit);
        }
        let admission = match self.sessions.admit(&grant.principal) {
            Ok(admission) => admission,
            Err(setting) => return replies::busy(format!("too many sessions ({setting})")),
        };
        let Some(id) = SessionId::new() else { return replies::no_randomness() };
        let caller = grant.caller(self.hub.next_client());
        let (outbox, lines) = mpsc::channel(LINES_MAX);
        let (inbox, heard) = mpsc::channel(POSTED_MAX);
        let seat = self.seat(caller, &self.hub.entrance_all());
        let allowance = seat.allowance().clone();
        let door = Door::on_threads(seat, outbox, &self.identity, self.behind_itself);
        self.pipes.0.insert(id.key(), Pipe { inbox, grant, term: term.clone(), allowance });
        self.tracker.spawn(async move {
            door.expecting(BEGIN).serve(heard).await;
            drop(admission);
        });
        let mut head = SsePieces::default();
        let place = format!("/messages?sessionId={}", id.expose());
        sse_event(head.open(), None, Some("endpoint"), place.as_bytes());
        let listening = Listening { front: self.clone(), key: id.key(), lines };
        let keep_alive = self.listen.keep_alive;
        let rest = stream::unfold((listening, Some(head)), move |(mut listening, head)| async move {
            if let Some(head) = head {
                return Some((head, (listening, None)));
            }
            let mut out = SsePieces::default();
            match timeout(keep_alive, listening.lines.recv()).await {
                Ok(Some(line)) => out.event(None, Some("message"), &line),
                Ok(None) => return None,
                Err(_) => sse_comment(out.open(), "alive"),
            }
            Some((out, (listening, None)))
        });
        term.bounds(replies::event_stream(rest))
    }

    /// Takes a message in. The answer comes on the stream.
    pub(crate) async fn post_to_pipe(
        &self,
        grant: Grant,
        ends: Option<Instant>,
        request: Request<Body>,
    ) -> Response {
        if self.is_closing() {
            return replies::stopping();
        }
        let query = request.uri().query().unwrap_or_default();
        let id = query.split('&').find_map(|pair| pair.strip_prefix("sessionId="));
        let pipe =
            id.and_then(SessionKey::of).and_then(|key| self.pipes.0.get(&key).map(|pipe| pipe.clone()));
        let Some(pipe) = pipe.filter(|pipe| pipe.grant == grant) else {
            return replies::unknown_session();
        };
        pipe.term.extend(ends);
        if let Err(unfit) = head::fit_json(request.headers()) {
            return replies::unfit(unfit);
        }
        let posting = match self.read(request.into_body(), &pipe.allowance, &Alarm::default()).await {
            Ok(posting) => posting,
            Err(refusal) => return *refusal,
        };
        match timeout(POST_WITHIN, pipe.inbox.send(Heard::Text(posting.text, posting.memory))).await {
            Ok(Ok(())) => replies::status(StatusCode::ACCEPTED),
            Ok(Err(_)) => replies::unknown_session(),
            Err(_) => replies::refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                &Fault::ours(Reason::Busy, "this client does not read what it asked for"),
            ),
        }
    }
}

/// Lines that may wait for a client, and messages that may wait for its door.
const LINES_MAX: usize = 64;
const POSTED_MAX: usize = 4;
/// How long a client may take to say who it is.
const BEGIN: Duration = Duration::from_secs(30);
/// How long a message waits for a door that waits for its client.
const POST_WITHIN: Duration = Duration::from_secs(10);
