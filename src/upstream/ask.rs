//! A server's request on its way to a client, and its answer on the way back.
//!
//! Owns the server's own id and token, and the place that its answer needs. It is answered once: by the client,
//! by a refusal, or, when it is dropped, by a fault that says so. One that its server has withdrawn is answered
//! by nobody. Which client is asked is decided by the `Audience`; under which id, by the door.

use super::budget::Taken;
use super::clock::Standstill;
use super::frame::Places;
use super::mail::Mail;
use super::memory::Room;
use super::stream::Stream;
use super::subject::words;
use super::task::belonging;
use crate::config::toml_key;
use crate::mcp::caller::ClientId;
use crate::mcp::method::{Want, cancelled};
use crate::wire::fault::{Fault, Reason};
use crate::wire::id::{CallId, Id};
use crate::wire::message::{Head, Message, Span};
use crate::wire::splice::{New, Splice, splice};
use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::smallvec;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

/// What a stream keeps of an open ask, and by which its door finds it again.
pub struct Slip {
    /// The server's own.
    pub(super) id: Id,
    pub(super) ends: Ends,
    pub(super) mail: Arc<Mail>,
    /// By which the server has withdrawn it, so that it must not be answered.
    pub(super) withdrawn: OnceLock<Message>,
    /// It is over at its server, for whatever reason.
    pub(super) over: AtomicBool,
    /// There as long as somebody waits for a person.
    pub(super) hold: Mutex<Option<Hold>>,
}

/// What an ask belongs to, and ends with at the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// Its link serves that client alone.
    Client,
    Call(CallId),
    /// With the last of them: nothing says which of several it came with.
    CallsOf(ClientId),
    /// The same of all requests without a session of one person: each is a client of its own.
    CallsOfOne,
}

impl Slip {
    /// What the client must hear who was asked under this id: the server's own words, if it had any.
    pub fn cancelled(&self, id: &str) -> Bytes {
        let own = self.withdrawn.get();
        let place = own.and_then(|note| note.params()).and_then(|params| params.request_id);
        match (own, place) {
            (Some(note), Some(place)) => {
                Splice::new(note).replace(place, Bytes::copy_from_slice(id.as_bytes())).finish()
            }
            (_, None) | (None, _) => cancelled(id, "the server does not wait for it any longer").into(),
        }
    }

    /// Nobody waits for a person any more: the clocks run again.
    pub(super) fn release(&self) {
        self.hold.lock().take();
    }
}

impl fmt::Debug for Slip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slip({})", self.id)
    }
}

/// A server's request for a client. `message` is the server's own; `edits` put it into the client's terms.
pub struct Ask {
    pub(super) stream: Arc<Stream>,
    pub(super) slip: Arc<Slip>,
    pub(super) want: Want,
    pub(super) message: Message,
    pub(super) edits: Vec<(Span, Bytes)>,
    /// Where its answer goes; nowhere, once it has gone there.
    pub(super) back: Option<Back>,
    pub(super) _room: OwnedSemaphorePermit,
    pub(super) _memory: Room,
    /// How long the client may take, and when that is over.
    pub(super) patience: Duration,
    pub(super) until: Instant,
}

/// Where the answer to an ask goes.
pub(super) enum Back {
    /// To its server. This is its place among what waits to be written there.
    Server(OwnedSemaphorePermit),
    /// To the request that cannot be answered without it, and goes to its server once more; with its room among what waits
    /// to be written there.
    Round { answer: oneshot::Sender<(Bytes, Taken)>, _place: OwnedSemaphorePermit },
}

/// A person is being asked: the clocks of its client's calls at this server stand still until this is dropped.
#[derive(Debug)]
pub(super) struct Hold(Arc<Standstill>);

impl Hold {
    pub(super) fn new(standstill: &Arc<Standstill>) -> Self {
        standstill.begin();
        Self(standstill.clone())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Ask {
    pub fn want(&self) -> Want {
        self.want
    }

    pub fn slip(&self) -> &Arc<Slip> {
        &self.slip
    }

    /// It came over a link that several clients share, and ends with what caused it.
    pub fn is_of_call(&self) -> bool {
        self.slip.ends != Ends::Client
    }

    /// Who asks, for people.
    pub fn server(&self) -> &str {
        self.stream.server()
    }

    /// Its params as the server wrote them, a JSON object; empty if there are none.
    pub fn params(&self) -> &str {
        let params = self.message.params().and_then(|params| params.object);
        params.map(|params| self.message.str(params)).unwrap_or_default()
    }

    /// When the client must have answered, whether or not it was asked by then.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Refuses it because that time is over.
    pub fn expire(self: Box<Self>) {
        let server = self.server();
        let (time, key) = (words(self.patience), toml_key(server));
        let text = format!("{server}: the client did not answer within {time} (servers.{key}.timeouts.ask)");
        self.refuse(&Fault::ours(Reason::Timeout, text));
    }

    /// Nobody waits for an answer any more.
    pub fn is_over(&self) -> bool {
        self.slip.over.load(Ordering::Acquire)
    }

    /// The request in the client's terms under this id, which is its progress token as well if it has one.
    pub fn text(&self, id: &str) -> Bytes {
        let Head::Request { id: own, params, .. } = self.message.head() else { return Bytes::new() };
        let id = Bytes::copy_from_slice(id.as_bytes());
        let mut edits = self.edits.clone();
        edits.push((*own, id.clone()));
        if let Some(token) = self.token(params.meta.as_ref().and_then(|meta| meta.progress_token)) {
            edits.push((token, id));
        }
        splice(self.message.text(), &mut edits)
    }

    /// The client's answer, under the server's own id; a result or an error, as it wrote it.
    pub fn answer(mut self, response: &Message) {
        let Head::Response { id: Some(id), .. } = response.head() else { return };
        let mut edits = vec![(*id, New::Lent(self.slip.id.as_bytes()))];
        edits.extend(belonging(&self.message, response));
        let text = splice(response.text(), &mut edits);
        self.finish(text);
    }

    /// Answers in the client's stead.
    pub fn refuse(mut self, fault: &Fault) {
        let text = fault.render(Some(&self.slip.id));
        self.finish(text);
    }

    /// The client's progress with this ask, under the server's own token. Dropped if the server gave none, or when
    /// too much waits to be written.
    pub fn progress(&self, note: &Message) {
        let params = self.message.params();
        let own = params.and_then(|params| params.meta.as_ref()).and_then(|meta| meta.progress_token);
        let token = note.params().and_then(|params| params.progress_token);
        // A server without a handshake hears nothing beside requests.
        let is_heard = matches!(self.back, Some(Back::Server(_)));
        if let (Some(own), Some(token), true) = (self.token(own), token, is_heard) {
            let text = Splice::new(note).replace(token, self.message.slice(own)).finish();
            self.stream.pass(text);
        }
    }

    /// Null asks for no progress.
    fn token(&self, span: Option<Span>) -> Option<Span> {
        span.filter(|span| self.message.str(*span) != "null")
    }

    fn finish(&mut self, text: Bytes) {
        self.slip.release();
        let Some(back) = self.back.take() else { return };
        self.stream.asks().leave(&self.slip);
        if self.slip.withdrawn.get().is_some() {
            return;
        }
        let place = match back {
            Back::Server(place) => place,
            Back::Round { answer, .. } => {
                // Without room there is no answer, which ends the round.
                if let Some(room) = self.stream.room_now(text.len()) {
                    answer.send((text, room)).ok();
                }
                return;
            }
        };
        match self.stream.room_now(text.len()) {
            Some(room) => self.stream.reply(text, Places::new(smallvec![place.into(), room.into()])),
            None => {
                let fault = Fault::ours(Reason::Busy, "too much waits to be read by this server");
                self.stream.reply(fault.render(Some(&self.slip.id)), Places::new(smallvec![place.into()]));
            }
        }
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        if self.back.is_some() {
            let text = "the client has left, or the call that this belonged to is over";
            let fault = Fault::ours(Reason::Gone, text).render(Some(&self.slip.id));
            self.finish(fault);
        }
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ask({:?}, {})", self.want, self.slip.id)
    }
}
