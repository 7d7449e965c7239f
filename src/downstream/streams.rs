//! All streams of one session: who listens, and which stream a message goes to.
//!
//! Each message goes to exactly one stream (2025-11-25, basic/transports, multiple connections): what belongs to no
//! request to the newest general stream that is read, else to the answer of a request that is still awaited.

use super::events::{Cursor, Events, Label, Place, Rest};
use super::replay::Replay;
use super::shelf::{Answered, Shelf};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The streams of one session.
#[derive(Debug)]
pub struct Streams {
    shelf: Arc<Shelf>,
    /// Of requests that have an answer.
    answered: Arc<Answered>,
    inner: Mutex<Inner>,
    /// Something has changed on any of them.
    any: Arc<Notify>,
    /// A general stream is read from now on.
    listened: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// Oldest first.
    general: Vec<Arc<Events>>,
    /// Of requests that have no answer yet.
    answers: Vec<Arc<Events>>,
    /// The session is over: a stream that is opened now has ended.
    over: bool,
}

/// What a client finds that comes back for a stream.
#[derive(Debug)]
pub(super) enum Resumed {
    Reads(Cursor),
    /// It has ended, and the client has got all of it.
    Over,
    /// Nothing is kept of it.
    Forgotten,
}

impl Streams {
    pub fn new(replay: &Arc<Replay>) -> Arc<Self> {
        let answered = Arc::default();
        let shelf = Shelf::new(replay, &answered);
        Arc::new(Self {
            shelf,
            answered,
            inner: Mutex::default(),
            any: Arc::default(),
            listened: Notify::new(),
        })
    }

    /// A stream for the answer to what may be a request, read from now on. Nothing but that request's own words goes
    /// there before it is awaited.
    pub(super) fn answer(&self) -> Cursor {
        let mut inner = self.inner.lock();
        inner.next += 1;
        Events::opened(Label::Answer(inner.next), self.shelf.clone(), self.any.clone())
    }

    /// It is one, and its answer takes a while.
    pub(super) fn awaits(&self, events: &Arc<Events>) {
        self.inner.lock().answers.push(events.clone());
        self.any.notify_waiters();
    }

    /// Another general stream. One too many ends the oldest that is read: whoever opened it may be gone without a word,
    /// and is who opens another now.
    pub(super) fn general(&self) -> Cursor {
        let mut inner = self.inner.lock();
        let read: Vec<_> = inner.general.iter().filter(|events| events.is_read()).collect();
        if let [oldest, ..] = read.as_slice()
            && read.len() >= GENERAL_MAX
        {
            oldest.put_down();
        }
        if inner.general.len() >= GENERAL_KEPT_MAX
            && let Some(oldest) = inner.general.iter().position(|events| !events.is_read())
        {
            inner.general.remove(oldest);
        }
        inner.next += 1;
        let cursor = Events::opened(Label::General(inner.next), self.shelf.clone(), self.any.clone());
        match inner.over {
            true => cursor.events().end(),
            false => inner.general.push(cursor.events().clone()),
        }
        drop(inner);
        self.any.notify_waiters();
        self.listened.notify_waiters();
        cursor
    }

    /// Reads on after an event that the client has got.
    pub(super) fn resume(&self, label: Label, after: u64) -> Resumed {
        let all = self.all();
        match all.iter().find(|events| events.label() == label && events.is_resumable()) {
            Some(events) => match events.rest_after(after) {
                Rest::More => {
                    let cursor = events.read(Some(after));
                    self.listened.notify_waiters();
                    Resumed::Reads(cursor)
                }
                Rest::Nothing => Resumed::Over,
                Rest::Lost => Resumed::Forgotten,
            },
            None => Resumed::Forgotten,
        }
    }

    /// Whether the client reads a general stream.
    pub(super) fn listens(&self) -> bool {
        self.inner.lock().general.iter().any(|events| events.is_read())
    }

    /// Whether the client reads anything at all.
    pub(super) fn is_read(&self) -> bool {
        let inner = self.inner.lock();
        inner.general.iter().chain(&inner.answers).any(|events| events.is_read())
    }

    /// Room on the stream that the next message which belongs to no request goes to. Cancel-safe.
    pub(super) async fn place(&self) -> Place {
        loop {
            let any = self.any.notified();
            tokio::pin!(any);
            any.as_mut().enable();
            if let Some(place) = self.inner.lock().place() {
                return place;
            }
            any.await;
        }
    }

    /// Room on the same stream, if there is any now.
    pub(super) fn try_place(&self) -> Option<Place> {
        self.inner.lock().place()
    }

    /// Room on the newest general stream that is read; `None` when the client reads none. Cancel-safe.
    pub(super) async fn general_place(&self) -> Option<Place> {
        loop {
            let any = self.any.notified();
            tokio::pin!(any);
            any.as_mut().enable();
            if !self.listens() {
                return None;
            }
            if let Some(place) = self.try_general_place() {
                return Some(place);
            }
            any.await;
        }
    }

    /// The same, if there is any now.
    pub(super) fn try_general_place(&self) -> Option<Place> {
        self.inner.lock().general_place()
    }

    /// Resolves when the client reads a general stream. Cancel-safe.
    pub(super) async fn listening(&self) {
        loop {
            let listened = self.listened.notified();
            tokio::pin!(listened);
            listened.as_mut().enable();
            if self.listens() {
                return;
            }
            listened.await;
        }
    }

    /// The events of this stream get ids from now on, by which the client may come back, even if its request has its
    /// answer already.
    pub(super) fn keep(&self, events: &Arc<Events>) {
        let inner = self.inner.lock();
        events.becomes_resumable();
        let answered = self.answered.all();
        let mut all = inner.general.iter().chain(&inner.answers).chain(&answered);
        if !inner.over && !all.any(|other| Arc::ptr_eq(other, events)) {
            self.answered.push(events.clone());
        }
    }

    /// The request has its answer, or needs none. It is kept if the client may come back for it.
    pub(super) fn settle(&self, events: &Arc<Events>) {
        let mut inner = self.inner.lock();
        inner.answers.retain(|other| !Arc::ptr_eq(other, events));
        if !inner.over && events.is_resumable() {
            self.answered.push(events.clone());
        }
    }

    /// Forgets streams that nobody has read for long and that no request needs.
    pub(super) fn sweep(&self, now: Instant) {
        let kept = self.shelf.bounds().kept;
        let is_fresh = |events: &Arc<Events>| events.left().is_none_or(|left| left + kept > now);
        self.inner.lock().general.retain(is_fresh);
        let stale: Vec<_> = self.answered.all().into_iter().filter(|events| !is_fresh(events)).collect();
        self.answered.forget(&stale);
    }

    /// Ends all of them, and whatever is opened from now on: the session is over.
    pub(super) fn end(&self) {
        let ended = Inner { over: true, ..Inner::default() };
        let inner = std::mem::replace(&mut *self.inner.lock(), ended);
        let answered = self.answered.all();
        self.answered.forget(&answered);
        inner.answers.iter().for_each(|events| events.cut_off());
        for events in inner.general.iter().chain(&answered) {
            events.end();
        }
    }

    fn all(&self) -> Vec<Arc<Events>> {
        let inner = self.inner.lock();
        inner.general.iter().chain(&inner.answers).cloned().chain(self.answered.all()).collect()
    }
}

impl Inner {
    fn general_place(&self) -> Option<Place> {
        let newest = self.general.iter().rev().find(|events| events.is_read())?;
        newest.try_place()
    }

    fn place(&self) -> Option<Place> {
        if self.general.iter().any(|events| events.is_read()) {
            return self.general_place();
        }
        let newest = self.answers.iter().rev().find(|events| events.is_read() && !events.is_ending())?;
        newest.try_place()
    }
}

/// General streams that a client may read at once, and those that are kept besides.
const GENERAL_MAX: usize = 4;
const GENERAL_KEPT_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ListenLimits;
    use futures::FutureExt;

    #[test]
    fn a_stream_that_is_opened_after_the_end_has_ended() {
        let streams = Streams::new(&Arc::new(Replay::new(&ListenLimits::default())));
        let mut before = streams.general();
        assert!(before.next().now_or_never().is_none());
        streams.end();
        let mut after = streams.general();
        assert!(matches!(before.next().now_or_never(), Some(None)));
        assert!(matches!(after.next().now_or_never(), Some(None)));
    }
}
