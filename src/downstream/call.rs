//! One request of a client on its way through the hub and back.
//!
//! Owns the wait for the answer, and the order of what comes before it. It knows no transport: what it has to say
//! goes to the `Outlet` that it was given.

use super::delivery::{Delivery, fit_response};
use super::news::Given;
use super::outlet::Outlet;
use crate::hub::begin::{Answer, Asked, AtOnce};
use crate::hub::seat::Seat;
use crate::mcp::method::Method;
use crate::mcp::revision::Revision;
use crate::upstream::allowance::Held;
use crate::upstream::budget::{Budget, Taken};
use crate::upstream::exchange::{Exchange, Step};
use crate::wire::fault::{Fault, Reason};
use crate::wire::id::Id;
use crate::wire::lines::one_line;
use crate::wire::message::Message;
use bytes::Bytes;
use smallvec::smallvec;
use std::sync::Arc;
use tokio::time::Instant;

/// What all requests of one session need of it.
pub(super) struct Client {
    pub(super) seat: Arc<Seat>,
    pub(super) delivery: Arc<Delivery>,
    pub(super) given: Given,
    /// Requests that have begun; the rest wait their turn.
    pub(super) turns: Arc<Budget>,
}

/// Everything that one request needs of its session.
pub(super) struct Call {
    pub(super) client: Arc<Client>,
    pub(super) revision: Revision,
    /// Where what comes before the answer goes.
    pub(super) outlet: Outlet,
    pub(super) patience: Instant,
}

impl Call {
    /// What becomes of the request, if that can be said at once; else the room of its text comes back.
    pub(super) fn begin_now(&self, id: &Id, message: &Message, memory: Held) -> Result<Answer, Option<Held>> {
        let Some(turn) = self.client.turns.take(1) else { return Err(Some(memory)) };
        match self.client.seat.hub().begin_now(self.asked(id, message, turn, Some(memory))) {
            AtOnce::Is(answer) => Ok(answer),
            AtOnce::Waits(asked) => Err(asked.memory),
        }
    }

    /// The answer, whatever happens: one line.
    pub(super) async fn run(self, id: Id, message: Message, memory: Option<Held>) -> Bytes {
        let turn = self.client.turns.wait(1).await;
        let answer = self.client.seat.hub().begin(self.asked(&id, &message, turn, memory)).await;
        let method = Method::parse(message.method().unwrap_or_default());
        // What it asks is on its way: its text need not wait here for the answer.
        drop(message);
        match answer {
            Answer::Later(exchange) => self.follow(exchange, id, method).await,
            Answer::Now(_) | Answer::List { .. } => self.told(answer, &id, method),
        }
    }

    fn asked<'a>(&'a self, id: &'a Id, message: &'a Message, turn: Taken, memory: Option<Held>) -> Asked<'a> {
        Asked {
            seat: &self.client.seat,
            id,
            message,
            revision: self.revision,
            patience: self.patience,
            turns: smallvec![turn.into()],
            memory,
            again: None,
        }
    }

    /// The answer of a request that is at its server: one line. What seldom happens meanwhile has a place of its own: for
    /// most of a call's time this is all that is kept of it.
    pub(super) async fn follow(self, mut exchange: Box<Exchange>, id: Id, method: Method) -> Bytes {
        let reply = loop {
            match exchange.next().await {
                Step::Notify(note) => {
                    Box::pin(self.client.delivery.note(note, exchange.after(), &self.outlet)).await;
                }
                Step::Ask(ask) => {
                    Box::pin(self.client.delivery.ask(ask, exchange.after(), &self.outlet)).await;
                }
                Step::Done(reply) => break reply,
            }
        };
        // What its server said before the end must not come after it.
        if self.client.delivery.holds(exchange.after()) {
            Box::pin(self.client.delivery.flush(exchange.after(), &self.outlet)).await;
        }
        self.said(reply, &id, method)
    }

    /// An answer that is there.
    pub(super) fn told(&self, answer: Answer, id: &Id, method: Method) -> Bytes {
        match answer {
            Answer::Now(reply) => self.said(reply.map(one_line), id, method),
            Answer::List { text, kind, edition } => {
                self.client.given.give(kind, edition);
                text
            }
            Answer::Later(_) => {
                self.said(Err(Fault::ours(Reason::Internal, "the answer is not there yet")), id, method)
            }
        }
    }

    /// How the end of a request is said, whose text is on one line.
    fn said(&self, reply: Result<Bytes, Fault>, id: &Id, method: Method) -> Bytes {
        match reply {
            Ok(text) => fit_response(text, method, self.revision),
            Err(fault) => fault.render(Some(id)),
        }
    }
}
