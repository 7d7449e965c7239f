//! What one request hears, in order: what comes before its end, and the end.
//!
//! Owns the bound on what may wait; the place of the end is kept from the start, and takes no memory of its own. Who hears
//! may be rung as well, to look at something else. It knows nothing of what is said.

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

/// For the one who tells, and for the one who hears. `before_end_max`: as much of what comes before the end may wait.
pub(super) fn arrivals<T>(before_end_max: usize) -> (Teller<T>, Arrivals<T>) {
    let waiting =
        Waiting { before: VecDeque::new(), end: None, is_told: true, is_heard: true, is_rung: false };
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

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    Told(T),
    /// Nothing is told, and there is something to look at.
    Rung,
    /// Nothing will be told any more.
    Over,
}

#[cfg(test)]
impl<T> Next<T> {
    pub(super) fn told(self) -> Option<T> {
        match self {
            Self::Told(what) => Some(what),
            Self::Rung | Self::Over => None,
        }
    }
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
    is_rung: bool,
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

    /// There is something to look at.
    pub(super) fn ring(&self) {
        self.0.waiting.lock().is_rung = true;
        self.0.hearer.wake();
    }

    /// The end, after which there is nothing.
    pub(super) fn end(self, what: T) {
        self.over(Some(what));
    }

    fn over(&self, end: Option<T>) {
        let mut waiting = self.0.waiting.lock();
        // Its drop comes after its end.
        if !std::mem::replace(&mut waiting.is_told, false) {
            return;
        }
        if waiting.is_heard {
            waiting.end = end;
        }
        drop(waiting);
        self.0.hearer.wake();
    }
}

impl<T> Drop for Teller<T> {
    fn drop(&mut self) {
        self.over(None);
    }
}

impl<T> Arrivals<T> {
    /// What comes next. Cancel-safe.
    #[cfg(test)]
    pub(super) async fn next(&mut self) -> Next<T> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The same.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next<T>> {
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
        loop {
            match self.0.next() {
                Poll::Ready(Next::Told(what)) => return Some(what),
                Poll::Ready(Next::Rung) => {}
                Poll::Ready(Next::Over) | Poll::Pending => return None,
            }
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
    fn next(&self) -> Poll<Next<T>> {
        let mut waiting = self.waiting.lock();
        let next = waiting.before.pop_front().or_else(|| waiting.end.take());
        match (next, waiting.is_told) {
            (Some(what), _) => Poll::Ready(Next::Told(what)),
            (None, false) => Poll::Ready(Next::Over),
            // Only then, so that it is never missed.
            (None, true) if std::mem::take(&mut waiting.is_rung) => Poll::Ready(Next::Rung),
            (None, true) => Poll::Pending,
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
        let all: Vec<_> = std::iter::from_fn(|| heard.now()).collect();
        assert_eq!(all, [1, 2, 4, 5]);
        assert_eq!(heard.next().now_or_never(), Some(Next::Over));
    }

    #[tokio::test]
    async fn who_is_rung_looks_once_nothing_more_is_told() {
        let (teller, mut heard) = arrivals(1);
        let waits = tokio::spawn(async move { (heard.next().await, heard) });
        tokio::task::yield_now().await;
        teller.ring();
        let (next, mut heard) = waits.await.unwrap();
        assert_eq!((next, heard.next().now_or_never()), (Next::Rung, None));
        teller.ring();
        teller.tell(1).unwrap();
        assert_eq!(heard.next().now_or_never(), Some(Next::Told(1)));
        assert_eq!((heard.next().now_or_never(), heard.next().now_or_never()), (Some(Next::Rung), None));
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
            let end = if ends { Next::Told("the end") } else { Next::Over };
            assert_eq!(waits.await.unwrap(), (Next::Told("a note"), end));
        }
    }
}
