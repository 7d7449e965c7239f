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
use std::sync::{Arc, OnceLock};
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// One client's letters. Nothing in it is lost before its client is: only what finds no place is never taken in.
#[derive(Debug, Default)]
pub struct Mail {
    letters: Mutex<Letters>,
    bell: Notify,
    askable: OnceLock<Askable>,
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
        self.askable.get_or_init(|| askable);
    }

    /// Nothing, as long as the client has not said so.
    pub fn askable(&self) -> Askable {
        self.askable.get().cloned().unwrap_or_default()
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
        letters.waiting.push_back(letter);
        drop(letters);
        self.bell.notify_one();
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
        self.letters.lock().waiting.pop_front()
    }

    /// How many letters there are.
    pub fn waiting(&self) -> usize {
        self.letters.lock().waiting.len()
    }

    /// Resolves when there is a letter. Cancel-safe.
    pub async fn waits(&self) {
        while self.waiting() == 0 {
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
