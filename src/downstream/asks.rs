//! What was asked of one client and is not answered yet.
//!
//! Owns the ids that we mint for the client. Each ask leaves once: by the client's answer, when its server withdraws
//! it, or when the client was silent for too long. A second answer finds nothing. Dropping it refuses what is open.

use crate::routing::ledger::Ledger;
use crate::upstream::ask::{Ask, Slip};
use crate::wire::fault::{Fault, Reason};
use crate::wire::message::Message;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// The asks that one client has not answered.
#[derive(Clone, Default)]
pub(super) struct Asks(Arc<Table>);

#[derive(Default)]
struct Table {
    open: Mutex<Ledger<Open>>,
    /// Rung when there is another to wait for.
    bell: Notify,
}

struct Open {
    ask: Box<Ask>,
    until: Instant,
}

impl Asks {
    /// Opens an ask and returns its request for the client; nothing if nobody waits for its answer any more.
    pub(super) fn put(&self, ask: Box<Ask>) -> Option<Bytes> {
        let until = Instant::now() + ask.patience();
        let mut open = self.0.open.lock();
        if ask.is_over() {
            return None;
        }
        let id = open.open(Open { ask, until });
        let text = open.get(id).map(|open| open.ask.text(&id.to_string()));
        self.0.bell.notify_one();
        text
    }

    /// Takes the client's answer to its server. An answer to nothing open is dropped.
    pub(super) fn answer(&self, id: &str, response: &Message) {
        let open = self.0.open.lock().close_as_written(id);
        match open {
            Some(open) => open.ask.answer(response),
            None => tracing::debug!("an answer from the client to no open request; dropped"),
        }
    }

    /// The client tells how far it is with an ask, by the token that it got: the ask's id.
    pub(super) fn progress(&self, token: &str, note: &Message) {
        if let Some(open) = self.0.open.lock().get_as_written(token) {
            open.ask.progress(note);
        }
    }

    /// Nobody waits for the answer any more: what the client must hear, if it was asked.
    pub(super) fn withdraw(&self, slip: &Arc<Slip>) -> Option<Bytes> {
        let mut open = self.0.open.lock();
        let id = open.entries().find(|(_, open)| Arc::ptr_eq(open.ask.slip(), slip)).map(|(id, _)| id)?;
        let closed = open.close(id);
        drop(open);
        // Refused at its server, unless that is who has withdrawn it.
        drop(closed);
        Some(cancelled(&id.to_string(), "the server does not wait for it any longer"))
    }

    /// Resolves when the client has been silent for too long about some asks: what it must hear. Cancel-safe.
    pub(super) async fn expired(&self) -> Vec<Bytes> {
        loop {
            let next = self.0.open.lock().entries().map(|(_, open)| open.until).min();
            match next {
                None => self.0.bell.notified().await,
                Some(at) => {
                    if timeout_at(at, self.0.bell.notified()).await.is_err() {
                        return self.give_up();
                    }
                }
            }
        }
    }

    fn give_up(&self) -> Vec<Bytes> {
        let now = Instant::now();
        let mut open = self.0.open.lock();
        let due: Vec<_> = open.entries().filter(|(_, open)| open.until <= now).map(|(id, _)| id).collect();
        let due: Vec<_> = due.into_iter().filter_map(|id| Some((id.to_string(), open.close(id)?))).collect();
        drop(open);
        due.into_iter()
            .map(|(id, Open { ask, .. })| {
                let text = format!("{}: the client did not answer in time ({})", ask.server(), ask.setting());
                ask.refuse(&Fault::ours(Reason::Timeout, text));
                cancelled(&id, "it took too long to answer")
            })
            .collect()
    }
}

fn cancelled(id: &str, why: &str) -> Bytes {
    let text = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"{why}"}}}}"#
    );
    text.into()
}
