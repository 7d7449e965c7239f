//! How anything that is no answer comes to one client: its mail, as its revision may read it, in order.
//!
//! Lent to the door and to each of its calls: a call lets what its server said before go first, so that nothing
//! overtakes. Nothing is taken out of the mail before there is room for it on the way to the client, and whoever takes
//! says it before another takes the next.

use super::asks::Asks;
use super::outlet::{Outlet, Outlets, Room};
use crate::mcp::fit;
use crate::mcp::method::{Method, Want};
use crate::mcp::revision::Revision;
use crate::upstream::ask::Ask;
use crate::upstream::mail::{Letter, Mail};
use crate::wire::lines::one_line;
use crate::wire::message::{Head, Message, Outcome, Span};
use crate::wire::splice::splice;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// The way to one client.
pub(super) struct Delivery {
    pub(super) mail: Arc<Mail>,
    pub(super) asks: Asks,
    pub(super) outlets: Outlets,
    pub(super) revision: OnceLock<Revision>,
    /// The client has its answer to `initialize`, and has begun to work: nothing is said to it before (2025-11-25,
    /// basic/lifecycle, initialization).
    pub(super) answered: CancellationToken,
    pub(super) begun: CancellationToken,
    pub(super) saying: Saying,
}

/// Whoever says something to the client.
#[derive(Debug, Default)]
pub(super) struct Saying {
    /// Held from taking a letter out until it is said, by the door and by calls on other threads. Never across a wait.
    lock: Mutex<()>,
    /// The client may be spoken to, and that was seen: nobody need ask again.
    may: AtomicBool,
    /// How many letters are said for sure.
    said: AtomicU64,
}

impl Delivery {
    /// Resolves when there is a letter and room for it on the way. Cancel-safe.
    pub(super) async fn ready(&self) -> Room<'_> {
        self.begins().await;
        self.mail.waits().await;
        match self.outlets.room().await {
            Some(room) => room,
            None => std::future::pending().await,
        }
    }

    /// Delivers the oldest letter, if it is still there.
    pub(super) fn deliver(&self, room: Room<'_>) {
        let _saying = self.saying.lock.lock();
        if let Some(text) = self.mail.take().and_then(|letter| self.text(letter)) {
            room.send(text);
        }
        self.saying.said.store(self.mail.taken(), Ordering::Release);
    }

    /// The client works: it may be spoken to, once it has its answer to `initialize`.
    pub(super) fn begin(&self) {
        if !self.may_speak() {
            self.begun.cancel();
        }
    }

    /// Whether the client may be spoken to, as far as that was seen.
    fn may_speak(&self) -> bool {
        self.saying.may.load(Ordering::Acquire)
    }

    /// Resolves when the client may be spoken to.
    async fn begins(&self) {
        if self.may_speak() {
            return;
        }
        self.answered.cancelled().await;
        self.begun.cancelled().await;
        self.saying.may.store(true, Ordering::Release);
    }

    /// Whether something must be said, or waited for, before what comes after the first so many letters.
    pub(super) fn holds(&self, first: u64) -> bool {
        if !self.may_speak() {
            if !self.answered.is_cancelled() || !self.begun.is_cancelled() {
                return true;
            }
            self.saying.may.store(true, Ordering::Release);
        }
        self.is_unsaid(first.min(self.mail.sent()))
    }

    /// Delivers the first so many letters of all, as far as they are there and not delivered yet, ahead of what goes to
    /// this outlet next. Cancel-safe.
    pub(super) async fn flush(&self, first: u64, outlet: &Outlet) {
        self.begins().await;
        // No more than there are by now: a server that never stops talking must not hold up an answer.
        let first = first.min(self.mail.sent());
        while self.is_unsaid(first) {
            // Looked at for each: its reader may leave between two.
            let Some(outlet) = self.outlets.ahead_of(outlet) else { return };
            // Another call may take it out meanwhile.
            let Some(room) = outlet.room().await else { return };
            self.deliver(room);
        }
    }

    /// Whether one of the first so many letters is still in the mail; what was taken out is said by then.
    fn is_unsaid(&self, first: u64) -> bool {
        if first <= self.saying.said.load(Ordering::Acquire) {
            return false;
        }
        let _saying = self.saying.lock.lock();
        self.mail.holds(first)
    }

    /// A note of one call, after the letters that came before it.
    pub(super) async fn note(&self, text: Bytes, after: u64, outlet: &Outlet) {
        self.flush(after, outlet).await;
        if let Some(room) = self.outlets.room_for(outlet).await {
            room.send(one_line(fit_note(text, self.revision())));
        }
    }

    /// An ask that came with a call.
    pub(super) async fn ask(&self, ask: Box<Ask>, after: u64, outlet: &Outlet) {
        self.flush(after, outlet).await;
        let Some(room) = self.outlets.room_for(outlet).await else { return };
        // That it is withdrawn is a letter, and must not be said before it.
        let _saying = self.saying.lock.lock();
        if let Some(text) = self.asked(ask) {
            room.send(text);
        }
    }

    fn text(&self, letter: Letter) -> Option<Bytes> {
        match letter {
            Letter::Note(note) => Some(one_line(fit_note(note.text, self.revision()))),
            Letter::Ask(ask) => self.asked(ask),
            Letter::Withdrawn(slip) => self.asks.withdraw(&slip).map(one_line),
        }
    }

    /// The request for the client; one that its revision cannot read is refused to the server.
    fn asked(&self, ask: Box<Ask>) -> Option<Bytes> {
        // On a link of its own the server speaks the client's revision, and asks as it would without us.
        let revision = if ask.is_of_call() { self.revision() } else { Revision::LATEST };
        let want = ask.want();
        if let Err(fault) = fit::fit_ask(want, ask.params(), revision) {
            ask.refuse(&fault);
            return None;
        }
        self.asks.put(ask).map(|text| one_line(fit_ask(text, want, revision)))
    }

    fn revision(&self) -> Revision {
        self.revision.get().copied().unwrap_or(Revision::LATEST)
    }
}

/// A response as a client of `revision` may read it; the latest takes every response as it is.
pub(super) fn fit_response(text: Bytes, method: Method, revision: Revision) -> Bytes {
    if revision >= Revision::LATEST {
        return text;
    }
    let Ok(message) = Message::parse_server(text.clone()) else { return text };
    let Head::Response { outcome: Outcome::Result { value, .. }, .. } = message.head() else { return text };
    replaced(&message, *value, fit::fit_result(method, message.str(*value), revision))
}

fn fit_ask(text: Bytes, want: Want, revision: Revision) -> Bytes {
    fit_params(text, revision, |_, params| fit::fit_ask(want, params, revision).ok().flatten())
}

fn fit_note(text: Bytes, revision: Revision) -> Bytes {
    fit_params(text, revision, |method, params| fit::fit_note(method, params, revision))
}

/// A request or note whose method and params `fit` is given; the latest revision takes every one as it is.
fn fit_params(text: Bytes, revision: Revision, fit: impl Fn(&str, &str) -> Option<String>) -> Bytes {
    if revision >= Revision::LATEST {
        return text;
    }
    let Ok(message) = Message::parse_server(text.clone()) else { return text };
    let Some(params) = message.params().and_then(|params| params.object) else { return text };
    let fitted = fit(message.method().unwrap_or_default(), message.str(params));
    replaced(&message, params, fitted)
}

fn replaced(message: &Message, place: Span, fitted: Option<String>) -> Bytes {
    match fitted {
        Some(fitted) => splice(message.text(), &mut [(place, Bytes::from(fitted))]),
        None => message.text().clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    const ROUNDS: u64 = 2000;
    const LETTERS: u64 = 8;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_two_threads_deliver_is_in_order_and_said_before_an_answer() {
        let mail: Arc<Mail> = Arc::default();
        let (sender, mut client) = mpsc::channel(64);
        let delivery = Arc::new(Delivery {
            mail: mail.clone(),
            asks: Asks::new(mail.clone()),
            outlets: Outlets::Lines(sender.clone()),
            revision: OnceLock::new(),
            answered: CancellationToken::new(),
            begun: CancellationToken::new(),
            saying: Saying::default(),
        });
        delivery.answered.cancel();
        delivery.begun.cancel();
        let door = delivery.clone();
        let door = tokio::spawn(async move {
            loop {
                let room = door.ready().await;
                door.deliver(room);
            }
        });
        let mut next = 0;
        for round in 0..ROUNDS {
            for number in 0..LETTERS {
                mail.put_note((round * LETTERS + number).to_string().into());
            }
            delivery.flush(mail.sent(), &Outlet::Lines(Arc::new(sender.clone()))).await;
            for _ in 0..LETTERS {
                let said = client.try_recv().expect("said before an answer would be");
                assert_eq!(said.trim_ascii_end(), next.to_string().as_bytes());
                next += 1;
            }
        }
        door.abort();
    }
}
