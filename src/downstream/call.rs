//! One request of a client on its way through the hub and back.
//!
//! Owns the wait for the answer, and the order of what comes before it. It knows no transport: what it has to say
//! goes to the `Outlet` that it was given.

use super::delivery::{Delivery, fit_response};
use super::login::{self, Invitation};
use super::news::Given;
use super::open::Entry;
use super::outlet::Outlet;
use super::session::ended;
use crate::hub::begin::{self, Answer, AtOnce};
use crate::hub::logins::is_about_login;
use crate::hub::seat::Seat;
use crate::mcp::method::{Kind, Method};
use crate::mcp::revision::Revision;
use crate::routing::asking::URL_REQUIRED;
use crate::upstream::allowance::Held;
use crate::upstream::budget::{Budget, Taken};
use crate::upstream::exchange::{Arrived, Awaiting, Exchange, Step};
use crate::upstream::hearing::Hearing;
use crate::upstream::queue::Filler;
use crate::upstream::tally::Asked;
use crate::wire::fault::{Fault, Reason};
use crate::wire::id::Id;
use crate::wire::lines::one_line;
use crate::wire::message::Message;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use smallvec::smallvec;
use std::sync::Arc;
use tokio::time::Instant;

/// What all requests of one session need of it.
pub(super) struct Client {
    pub(super) seat: Arc<Seat>,
    pub(super) delivery: Arc<Delivery>,
    pub(super) given: Given,
    pub(super) invitation: Invitation,
    /// Requests that have begun; the rest wait their turn.
    pub(super) turns: Arc<Budget>,
    /// Where those go who lay at their exchange and are to be followed; none, where nobody lies there.
    pub(super) risen: Option<Filler<Risen>>,
}

/// What becomes of one that lay at its exchange: a call, and the number by which its door ends it.
pub(super) type Risen = (BoxFuture<'static, Option<Bytes>>, u64);

/// A request at its server for which nothing is to be done before its end. Kept where that arrives.
pub(super) struct Waits {
    pub(super) call: Call,
    pub(super) exchange: Box<Exchange>,
    pub(super) method: Method,
    /// Its place among the open ones, and its id.
    pub(super) entry: Entry,
}

impl Waits {
    fn goes_on(self) -> Risen {
        let Self { call, exchange, method, entry } = self;
        let (number, id) = (entry.number(), entry.id().clone());
        (ended(entry, None, call.follow(exchange, id, method)), number)
    }
}

impl Awaiting<Arrived> for Waits {
    fn number(&self) -> u64 {
        self.entry.number()
    }

    fn ends(mut self: Box<Self>, end: Option<Arrived>) {
        let Some(reply) = self.exchange.concludes(end) else { return self.rises() };
        let Self { call, exchange, method, entry } = *self;
        let (after, number) = (exchange.after(), entry.number());
        let text = call.said(reply, entry.id(), method);
        call.spends(method, &exchange);
        drop(exchange);
        if call.client.delivery.holds(after) {
            // What its server said before the end must not come after it.
            let client = call.client.clone();
            let said = async move {
                call.client.delivery.flush(after, &call.outlet).await;
                drop(entry);
                Some(text)
            };
            return client.rises((said.boxed(), number));
        }
        // Before the answer leaves: the client may use the id again as soon as it has it.
        drop(entry);
        if let Err(text) = call.outlet.try_say(text) {
            call.client.rises((ready(Some(text)).boxed(), number));
        }
    }

    fn rises(self: Box<Self>) {
        let client = self.call.client.clone();
        client.rises(self.goes_on());
    }
}

impl Client {
    /// Somebody is to be followed by the door. On one thread it is there: before it goes, it lets out all who lie anywhere.
    fn rises(&self, risen: Risen) {
        self.risen.as_ref().map(|door| door.put(risen).ok());
    }
}

/// Everything that one request needs of its session.
pub(super) struct Call {
    pub(super) client: Arc<Client>,
    pub(super) revision: Revision,
    /// Where what comes before the answer goes.
    pub(super) outlet: Outlet,
    pub(super) patience: Instant,
    pub(super) hearing: Hearing,
    /// When it was heard, if it is one of those whose time with us is measured.
    pub(super) heard: Option<Instant>,
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

    fn asked<'a>(
        &'a self,
        id: &'a Id,
        message: &'a Message,
        turn: Taken,
        memory: Option<Held>,
    ) -> begin::Asked<'a> {
        begin::Asked {
            seat: &self.client.seat,
            id,
            message,
            hearing: self.hearing,
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
        let text = self.said(reply, &id, method);
        self.spends(method, &exchange);
        text
    }

    /// It leaves us: how long it was here, rather than at its server.
    fn spends(&self, method: Method, exchange: &Exchange) {
        let Some(heard) = self.heard else { return };
        let time = heard.elapsed().saturating_sub(exchange.took());
        self.client.seat.hub().lookout().spends(Asked::of(method), time);
    }

    /// An answer that is there.
    pub(super) fn told(&self, answer: Answer, id: &Id, method: Method) -> Bytes {
        match answer {
            Answer::Now(reply) => self.said(reply.map(one_line), id, method),
            Answer::List { text, kind, edition } => {
                self.client.given.give(kind, edition);
                if kind == Kind::Tools {
                    self.client.invitation.is_due(&self.client.seat);
                }
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
            Err(fault) if is_about_login(&fault) && method.has_rounds() => {
                self.sent_to_page(&fault).unwrap_or(fault).render(Some(id))
            }
            Err(fault) => fault.render(Some(id)),
        }
    }

    /// A client that can be sent to a page is, where its server wants a login (2025-11-25, client/elicitation, URL elicitation
    /// required error); it hears of it when the login is there.
    #[cold]
    fn sent_to_page(&self, fault: &Fault) -> Option<Fault> {
        let seat = &self.client.seat;
        let ticket = seat.hub().page_for(fault, seat, &seat.mail().askable())?;
        let elicitation = login::elicitation(&ticket, fault, Some(ticket.number()));
        Some(
            Fault::plain(URL_REQUIRED as i32, fault.text.clone())
                .data(format!(r#"{{"elicitations":[{elicitation}]}}"#)),
        )
    }
}
