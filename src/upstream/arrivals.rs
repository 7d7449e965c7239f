//! What one request hears, in order: what comes before its end, and the end.
//!
//! Owns the bound on what may wait; the place of the end is kept from the start, and takes no memory of its own. It knows
//! nothing of what is said.

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

/// For the one who tells, and for the one who hears. `before_end_max`: as much of what comes before the end may wait.
pub(super) fn arrivals<T>(before_end_max: usize) -> (Teller<T>, Arrivals<T>) {
    let waiting = Waiting { before: VecDeque::new(), end: None, is_told: true, is_heard: true };
    let line = Arc::new(Line { waiting: Mutex::new(waiting), hearer: AtomicWaker::new(), before_end_max });
    (Teller(line.clone()), Arrivals(line))
}

/// Tells one request what there is. Dropped without an end, it has told that there is none.
pub(super) struct Teller<T>(Arc<Line<T>>);

/// Hears it.
pub(super) struct Arrivals<T>(Arc<Line<T>>);

/// What could not be told, given back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Untold<T> {
    /// Too much waits already.
    Full(T),
    /// Nobody hears.
    Deaf(T),
}

struct Line<T> {
    waiting: Mutex<Waiting<T>>,
    hearer: AtomicWaker,
    before_end_max: usize,
}

struct Waiting<T> {
    before: VecDeque<T>,
    end: Option<T>,
    is_told: bool,
    is_heard: bool,
}

impl<T> Teller<T> {
    /// What comes before the end.
    pub(super) fn tell(&self, what: T) -> Result<(), Untold<T>> {
        let mut waiting = self.0.waiting.lock();
        if !waiting.is_heard {
            return Err(Untold::Deaf(what));
        }
        if waiting.before.len() >= self.0.before_end_max {
            return Err(Untold::Full(what));
        }
        waiting.before.push_back(what);
        drop(waiting);
        self.0.hearer.wake();
        Ok(())
    }

    /// The same, however much waits: for what is said once.
    pub(super) fn tell_once(&self, what: T) {
        let mut waiting = self.0.waiting.lock();
        if waiting.is_heard {
            waiting.before.push_back(what);
        }
        drop(waiting);
        self.0.hearer.wake();
    }

    /// The end, after which there is nothing.
    pub(super) fn end(self, what: T) {
        let mut waiting = self.0.waiting.lock();
        if waiting.is_heard {
            waiting.end = Some(what);
        }
        // Its own drop wakes who hears.
    }
}

impl<T> Drop for Teller<T> {
    fn drop(&mut self) {
        self.0.waiting.lock().is_told = false;
        self.0.hearer.wake();
    }
}

impl<T> Arrivals<T> {
    /// What comes next; `None` after the end. Cancel-safe.
    #[cfg(test)]
    pub(super) async fn next(&mut self) -> Option<T> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The same.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        if let Poll::Ready(next) = self.0.next() {
            return Poll::Ready(next);
        }
        self.0.hearer.register(context.waker());
        // It may have come while nobody was registered.
        self.0.next()
    }

    /// Nobody has to be woken until this is asked again.
    pub(super) fn is_here(&mut self) {
        self.0.hearer.take();
    }

    /// What has come by now.
    pub(super) fn now(&mut self) -> Option<T> {
        match self.0.next() {
            Poll::Ready(next) => next,
            Poll::Pending => None,
        }
    }
}

impl<T> Drop for Arrivals<T> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        waiting.is_heard = false;
        let left = (std::mem::take(&mut waiting.before), waiting.end.take());
        drop(waiting);
        // What it holds is given back without anything of ours being held.
        drop(left);
    }
}

impl<T> Line<T> {
    fn next(&self) -> Poll<Option<T>> {
        let mut waiting = self.waiting.lock();
        let next = waiting.before.pop_front().or_else(|| waiting.end.take());
        match (&next, waiting.is_told) {
            (None, true) => Poll::Pending,
            (Some(_), _) | (None, false) => Poll::Ready(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn what_comes_before_the_end_is_heard_before_it_and_in_order() {
        let (teller, mut heard) = arrivals(2);
        assert_eq!(heard.next().now_or_never(), None);
        teller.tell(1).unwrap();
        teller.tell(2).unwrap();
        assert_eq!(teller.tell(3), Err(Untold::Full(3)));
        teller.tell_once(4);
        teller.end(5);
        let all: Vec<_> = std::iter::from_fn(|| heard.next().now_or_never().flatten()).collect();
        assert_eq!(all, [1, 2, 4, 5]);
        assert_eq!(heard.next().now_or_never(), Some(None));
    }

    #[test]
    fn nobody_is_told_who_does_not_hear() {
        let (teller, heard) = arrivals(1);
        drop(heard);
        assert_eq!(teller.tell(1), Err(Untold::Deaf(1)));
        teller.tell_once(2);
        teller.end(3);
    }

    #[test]
    fn what_nobody_heard_is_given_back() {
        let place = Arc::new(());
        let (teller, heard) = arrivals(1);
        teller.tell(place.clone()).unwrap();
        teller.end(place.clone());
        drop(heard);
        assert_eq!(Arc::strong_count(&place), 1);
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_whatever_comes() {
        for ends in [true, false] {
            let (teller, mut heard) = arrivals(1);
            let waits = tokio::spawn(async move { (heard.next().await, heard.next().await) });
            tokio::task::yield_now().await;
            teller.tell("a note").unwrap();
            tokio::task::yield_now().await;
            match ends {
                true => teller.end("the end"),
                false => drop(teller),
            }
            assert_eq!(waits.await.unwrap(), (Some("a note"), ends.then_some("the end")));
        }
    }
}
