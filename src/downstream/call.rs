//! One request of a client on its way through the hub and back.
//!
//! Owns the wait for the answer, and the order of what comes before it. It knows no transport: what it has to say
//! goes to the `Outlet` that it was given.

use super::delivery::{Delivery, fit_response};
use super::news::Given;
use super::outlet::Outlet;
use crate::hub::begin::{Answer, Asked};
use crate::hub::seat::Seat;
use crate::mcp::method::Method;
use crate::mcp::revision::Revision;
use crate::upstream::allowance::Held;
use crate::upstream::exchange::Step;
use crate::wire::fault::{Fault, Reason};
use crate::wire::id::Id;
use crate::wire::lines::one_line;
use crate::wire::message::Message;
use bytes::Bytes;
use smallvec::smallvec;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Everything that one request needs of its session.
pub(super) struct Call {
    pub(super) seat: Arc<Seat>,
    pub(super) revision: Revision,
    pub(super) turns: Arc<Semaphore>,
    pub(super) delivery: Arc<Delivery>,
    /// Where what comes before the answer goes.
    pub(super) outlet: Outlet,
    pub(super) given: Given,
    pub(super) patience: Instant,
    pub(super) memory: Held,
}

impl Call {
    /// The answer, whatever happens: one line.
    pub(super) async fn run(self, id: Id, message: Message) -> Bytes {
        let Ok(turn) = self.turns.clone().acquire_owned().await else {
            return Fault::ours(Reason::Stopping, "Braid is stopping").render(Some(&id));
        };
        let asked = Asked {
            seat: &self.seat,
            id: &id,
            message: &message,
            revision: self.revision,
            patience: self.patience,
            turns: smallvec![turn],
            memory: Some(self.memory),
            again: None,
        };
        let answer = self.seat.hub().begin(asked).await;
        let method = Method::parse(message.method().unwrap_or_default());
        // What it asks is on its way: its text need not wait here for the answer.
        drop(message);
        let reply = match answer {
            Answer::Now(reply) => reply,
            Answer::List { text, kind, edition } => {
                self.given.give(kind, edition);
                return text;
            }
            Answer::Later(mut exchange) => loop {
                match exchange.next().await {
                    Step::Notify(note) => self.delivery.note(note, exchange.after(), &self.outlet).await,
                    Step::Ask(ask) => self.delivery.ask(ask, exchange.after(), &self.outlet).await,
                    Step::Done(reply) => {
                        // What its server said before the end must not come after it.
                        self.delivery.flush(exchange.after(), &self.outlet).await;
                        break reply;
                    }
                }
            },
        };
        match reply {
            Ok(text) => one_line(fit_response(text, method, self.revision)),
            Err(fault) => fault.render(Some(&id)),
        }
    }
}
