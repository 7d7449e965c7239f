//! What was asked of one client and is not answered yet.
//!
//! Owns the ids that we mint for the client. Each ask leaves once: by the client's answer, when its server withdraws
//! it, or when the client was silent for too long. A second answer finds nothing. Dropping it refuses what is open.

use crate::mcp::method::cancelled;
use crate::routing::ledger::Ledger;
use crate::upstream::ask::{Ask, Slip};
use crate::upstream::mail::Mail;
use crate::wire::fault::{Fault, Reason};
use crate::wire::message::Message;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// The asks that one client has not answered. Those that it has not been sent yet are in its mail, and their time runs
/// as well.
#[derive(Clone)]
pub(super) struct Asks {
    open: Arc<Mutex<Ledger<Box<Ask>>>>,
    mail: Arc<Mail>,
}

impl Asks {
    pub(super) fn new(mail: Arc<Mail>) -> Self {
        Self { open: Arc::default(), mail }
    }

    /// Opens an ask and returns its request for the client; nothing if nobody waits for its answer any more.
    pub(super) fn put(&self, ask: Box<Ask>) -> Option<Bytes> {
        let mut open = self.open.lock();
        if ask.is_over() {
            return None;
        }
        self.mail.ring();
        let id = open.open(ask);
        open.get(id).map(|ask| ask.text(&id.to_string()))
    }

    /// Takes the client's answer to its server. An answer to nothing open is dropped.
    #[inline(never)]
    pub(super) fn answer(&self, id: &str, response: &Message) {
        let open = self.open.lock().close_as_written(id);
        match open {
            Some(ask) => ask.answer(response),
            None => tracing::debug!("an answer from the client to no open request; dropped"),
        }
    }

    /// The client's answer is there and cannot be read.
    pub(super) fn spoil(&self, id: &str, why: &str) {
        let open = self.open.lock().close_as_written(id);
        if let Some(ask) = open {
            ask.refuse(&Fault::ours(
                Reason::Refused,
                format!("the client's answer cannot be passed on: {why}"),
            ));
        }
    }

    /// The client tells how far it is with an ask, by the token that it got: the ask's id.
    pub(super) fn progress(&self, token: &str, note: &Message) {
        if let Some(ask) = self.open.lock().get_as_written(token) {
            ask.progress(note);
        }
    }

    /// Nobody waits for the answer any more: what the client must hear, if it was asked.
    pub(super) fn withdraw(&self, slip: &Arc<Slip>) -> Option<Bytes> {
        let mut open = self.open.lock();
        let id = open.entries().find(|(_, ask)| Arc::ptr_eq(ask.slip(), slip)).map(|(id, _)| id)?;
        let closed = open.close(id);
        drop(open);
        // Refused at its server, unless that is who has withdrawn it.
        drop(closed);
        Some(slip.cancelled(&id.to_string()))
    }

    /// Resolves when the client has been silent for too long about some asks: what it must hear. Cancel-safe.
    pub(super) async fn expired(&self) -> Vec<Bytes> {
        loop {
            let open = self.open.lock().entries().map(|(_, ask)| ask.until()).min();
            match open.into_iter().chain(self.mail.due()).min() {
                None => self.mail.asked().await,
                Some(at) => {
                    if timeout_at(at, self.mail.asked()).await.is_err() {
                        return self.give_up();
                    }
                }
            }
        }
    }

    fn give_up(&self) -> Vec<Bytes> {
        let now = Instant::now();
        // What it was never sent it need not hear of.
        self.mail.overdue(now).into_iter().for_each(Ask::expire);
        let mut open = self.open.lock();
        let due: Vec<_> = open.entries().filter(|(_, ask)| ask.until() <= now).map(|(id, _)| id).collect();
        let due: Vec<_> = due.into_iter().filter_map(|id| Some((id.to_string(), open.close(id)?))).collect();
        drop(open);
        due.into_iter()
            .map(|(id, ask)| {
                ask.expire();
                cancelled(id, "it took too long to answer").into()
            })
            .collect()
    }
}
