//! What waits for one client beside its calls: what its servers tell it, and what they ask of it.
//!
//! Owns one queue in the order of arrival, and what the client said that it can be asked. The readers of all its
//! servers put letters in and never wait; its door takes them out. Notes are bounded by their places, one bound
//! per server, so that one server cannot crowd out another; asks are bounded by the places of their link.

use super::ask::{Ask, Slip};
use crate::mcp::askable::Askable;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

/// One client's letters. Nothing in it is lost before its client is: only what finds no place is never taken in.
#[derive(Debug, Default)]
pub struct Mail {
    letters: Mutex<Letters>,
    /// How many were put in so far, and taken out. Changed under their lock.
    sent: AtomicU64,
    taken: AtomicU64,
    bell: Notify,
    asked: Notify,
    askable: Mutex<Option<Askable>>,
}

#[derive(Debug, Default)]
struct Letters {
    waiting: VecDeque<Letter>,
    /// The client has left.
    closed: bool,
}

/// Something for a client that is no answer to a request of its own.
#[derive(Debug)]
pub enum Letter {
    Note(Note),
    Ask(Box<Ask>),
    /// The ask is no longer open: its server has withdrawn it, or is gone.
    Withdrawn(Arc<Slip>),
}

/// A notification in the client's terms.
#[derive(Debug)]
pub struct Note {
    pub text: Bytes,
    /// Its place among those of one server that wait for this client.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

impl Mail {
    /// The client has said what it can be asked. Only the first time counts, as only one `initialize` does.
    pub fn introduce(&self, askable: Askable) {
        self.askable.lock().get_or_insert(askable);
    }

    /// It says so anew, and what it said before counts no more: each request without a session does.
    pub fn introduce_anew(&self, askable: Askable) {
        *self.askable.lock() = Some(askable);
    }

    /// Nothing, as long as the client has not said so.
    pub fn askable(&self) -> Askable {
        self.askable.lock().clone().unwrap_or_default()
    }

    pub(super) fn put(&self, letter: Letter) {
        if let Letter::Withdrawn(slip) = &letter {
            // At once, however long the client does not read that it need not answer.
            slip.release();
        }
        let mut letters = self.letters.lock();
        if letters.closed {
            // An ask is refused where it is dropped, and that must not be under this lock.
            drop(letters);
            drop(letter);
            return;
        }
        self.sent.fetch_add(1, Ordering::Release);
        let is_ask = matches!(letter, Letter::Ask(_));
        letters.waiting.push_back(letter);
        drop(letters);
        self.bell.notify_one();
        if is_ask {
            self.asked.notify_one();
        }
    }

    /// A word of our own for the client.
    pub fn tell(&self, text: Bytes) {
        self.put(Letter::Note(Note { text, place: None }));
    }

    /// A note as one of its servers puts it in.
    #[cfg(test)]
    pub fn put_note(&self, text: Bytes) {
        self.put(Letter::Note(Note { text, place: None }));
    }

    /// The client has left: what waits for it, and what comes later, is dropped, asks refused. Without this none of
    /// it would be: a letter knows the mail that it is in.
    pub fn close(&self) {
        let mut letters = self.letters.lock();
        letters.closed = true;
        let waiting = std::mem::take(&mut letters.waiting);
        drop(letters);
        drop(waiting);
    }

    /// Takes the oldest letter out.
    pub fn take(&self) -> Option<Letter> {
        let mut letters = self.letters.lock();
        let letter = letters.waiting.pop_front()?;
        self.taken.fetch_add(1, Ordering::Release);
        Some(letter)
    }

    /// How many letters were put in so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// How many were taken out so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// Whether one of the first so many is still in it.
    pub fn holds(&self, first: u64) -> bool {
        let letters = self.letters.lock();
        self.taken() < first && !letters.waiting.is_empty()
    }

    /// Until when the first of its asks must be answered.
    pub fn due(&self) -> Option<Instant> {
        let letters = self.letters.lock();
        let asks = letters.waiting.iter().filter_map(|letter| match letter {
            Letter::Ask(ask) => Some(ask.until()),
            Letter::Note(_) | Letter::Withdrawn(_) => None,
        });
        asks.min()
    }

    /// There is an ask to watch that did not come by mail.
    pub fn ring(&self) {
        self.asked.notify_one();
    }

    /// Resolves when there was an ask since. Cancel-safe.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Takes out the asks whose time is over.
    pub fn overdue(&self, now: Instant) -> Vec<Box<Ask>> {
        let mut letters = self.letters.lock();
        let mut due = Vec::new();
        for letter in &mut letters.waiting {
            let slip = match letter {
                Letter::Ask(ask) if ask.until() <= now => ask.slip().clone(),
                Letter::Ask(_) | Letter::Note(_) | Letter::Withdrawn(_) => continue,
            };
            // Something keeps its place, so that those behind it are still counted right.
            if let Letter::Ask(ask) = std::mem::replace(letter, Letter::Withdrawn(slip)) {
                due.push(ask);
            }
        }
        due
    }

    /// Resolves when there is a letter. Cancel-safe.
    pub async fn waits(&self) {
        while !self.holds(u64::MAX) {
            self.bell.notified().await;
        }
    }

    /// A note of the same words waits already: the client learns nothing from another.
    pub(super) fn has(&self, text: &[u8]) -> bool {
        let same = |letter: &Letter| match letter {
            Letter::Note(note) => note.text == text,
            Letter::Ask(_) | Letter::Withdrawn(_) => false,
        };
        self.letters.lock().waiting.iter().any(same)
    }
}
