//! What one request hears, in order: what comes before its end, and the end.
//!
//! Owns the bound on what may wait; the place of the end is kept from the start, and takes no memory of its own. Who hears
//! may be rung as well, to look at something else. Who awaits the end alone may be taken in here, and is
//! given it where it arrives. It knows nothing of what is said.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// For the one who tells, and for the one who hears. `before_end_max`: as much of what comes before the end may wait.
pub(super) fn arrivals<T>(before_end_max: usize) -> (Teller<T>, Arrivals<T>) {
    let waiting = Waiting {
        before: VecDeque::new(),
        end: None,
        is_told: true,
        is_heard: true,
        is_rung: false,
        hearer: None,
        awaiting: None,
    };
    let line = Arc::new(Line { waiting: Mutex::new(waiting), before_end_max });
    (Teller(Some(line.clone())), Arrivals { line, has_ended: false })
}

/// Tells one request what there is. Dropped without an end, it has told that there is none.
pub(super) struct Teller<T>(Option<Arc<Line<T>>>);

/// Hears it.
pub(super) struct Arrivals<T> {
    line: Arc<Line<T>>,
    /// The end was heard: nothing more comes.
    has_ended: bool,
}

/// Somebody who awaits nothing but the end, as long as nothing else comes.
///
/// Called by whoever tells, with nothing of this file's held, but perhaps something of the teller's: `rises` must neither
/// wait nor drop what it is about.
pub trait Awaiting<T>: Send {
    /// What tells it from others of the same owner.
    fn number(&self) -> u64;
    /// The end has come; `None`: there will be none.
    fn ends(self: Box<Self>, end: Option<T>);
    /// Something else has come, and is to be heard.
    fn rises(self: Box<Self>);
}

/// Where somebody can be taken in.
pub struct Berth<T>(Arc<Line<T>>);

impl<T> Berth<T> {
    /// Given back if something has come already.
    pub fn take_in(&self, whoever: Box<dyn Awaiting<T>>) -> Result<(), Box<dyn Awaiting<T>>> {
        let mut waiting = self.0.waiting.lock();
        if waiting.before.is_empty() && waiting.is_told && !waiting.is_rung {
            waiting.awaiting = Some(whoever);
            return Ok(());
        }
        Err(whoever)
    }

    /// Whoever is here, if it is the one that is meant; anybody, if none is said.
    pub fn let_out(&self, number: Option<u64>) -> Option<Box<dyn Awaiting<T>>> {
        let is_meant =
            |awaiting: &mut Box<dyn Awaiting<T>>| number.is_none_or(|number| awaiting.number() == number);
        self.0.waiting.lock().awaiting.take_if(is_meant)
    }

    /// Whoever is here is to be followed from now on.
    pub fn raise(&self) {
        if let Some(whoever) = self.let_out(None) {
            whoever.rises();
        }
    }

    /// One where somebody is, as long as what is returned beside it.
    #[cfg(test)]
    pub fn of(whoever: Box<dyn Awaiting<T>>) -> (Self, impl Send)
    where
        T: Send,
    {
        let (teller, arrivals) = arrivals(1);
        let berth = arrivals.berth();
        berth.take_in(whoever).ok();
        (berth, (teller, arrivals))
    }

    /// Whether nobody is here for sure: who is, keeps the line.
    pub fn is_empty(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

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
    before_end_max: usize,
}

struct Waiting<T> {
    before: VecDeque<T>,
    end: Option<T>,
    is_told: bool,
    is_heard: bool,
    is_rung: bool,
    /// Whom the next thing wakes.
    hearer: Option<Waker>,
    /// Who waits here instead.
    awaiting: Option<Box<dyn Awaiting<T>>>,
}

impl<T> Teller<T> {
    /// What comes before the end.
    pub(super) fn tell(&self, what: T) -> Result<(), Untold<T>> {
        let Some(line) = &self.0 else { return Err(Untold::Deaf(what)) };
        line.say(|waiting| match () {
            () if !waiting.is_heard => Err(Untold::Deaf(what)),
            () if waiting.before.len() >= line.before_end_max => Err(Untold::Full(what)),
            () => {
                waiting.before.push_back(what);
                Ok(())
            }
        })
    }

    /// The same, however much waits: for what is said once.
    pub(super) fn tell_once(&self, what: T) {
        let Some(line) = &self.0 else { return };
        line.say(|waiting| match waiting.is_heard {
            true => {
                waiting.before.push_back(what);
                None
            }
            false => Some(what),
        });
    }

    /// There is something to look at.
    pub(super) fn ring(&self) {
        let Some(line) = &self.0 else { return };
        line.say(|waiting| waiting.is_rung = true);
    }

    /// The end, after which there is nothing.
    pub(super) fn end(mut self, what: T) {
        self.over(Some(what));
    }

    fn over(&mut self, end: Option<T>) {
        // Its drop comes after its end.
        let Some(line) = self.0.take() else { return };
        let mut waiting = line.waiting.lock();
        waiting.is_told = false;
        if let Some(awaiting) = waiting.awaiting.take() {
            drop(waiting);
            return awaiting.ends(end);
        }
        let left = if waiting.is_heard { std::mem::replace(&mut waiting.end, end) } else { end };
        let hearer = waiting.hearer.take();
        drop(waiting);
        if let Some(hearer) = hearer {
            hearer.wake();
        }
        drop(left);
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
        self.look(Some(context.waker()))
    }

    /// Nobody has to be woken until this is asked again.
    pub(super) fn is_here(&mut self) {
        self.line.waiting.lock().hearer = None;
    }

    /// Where whoever hears can be taken in.
    pub(super) fn berth(&self) -> Berth<T> {
        Berth(self.line.clone())
    }

    /// The end was given to whoever hears.
    pub(super) fn is_over(&mut self) {
        self.has_ended = true;
    }

    /// What has come by now.
    pub(super) fn now(&mut self) -> Option<T> {
        loop {
            match self.look(None) {
                Poll::Ready(Next::Told(what)) => return Some(what),
                Poll::Ready(Next::Rung) => {}
                Poll::Ready(Next::Over) | Poll::Pending => return None,
            }
        }
    }

    /// `hearer`: who is woken when there is nothing yet.
    fn look(&mut self, hearer: Option<&Waker>) -> Poll<Next<T>> {
        if self.has_ended {
            return Poll::Ready(Next::Over);
        }
        let mut waiting = self.line.waiting.lock();
        if let Some(what) = waiting.before.pop_front() {
            return Poll::Ready(Next::Told(what));
        }
        if !waiting.is_told {
            self.has_ended = true;
            return Poll::Ready(waiting.end.take().map_or(Next::Over, Next::Told));
        }
        // Only then, so that it is never missed.
        if std::mem::take(&mut waiting.is_rung) {
            return Poll::Ready(Next::Rung);
        }
        if let Some(hearer) = hearer {
            waiting.hearer = Some(hearer.clone());
        }
        Poll::Pending
    }
}

impl<T> Drop for Arrivals<T> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut waiting = self.line.waiting.lock();
        waiting.is_heard = false;
        let left = (std::mem::take(&mut waiting.before), waiting.end.take(), waiting.hearer.take());
        drop(waiting);
        // What it holds is given back without anything of ours being held.
        drop(left);
    }
}

impl<T> Line<T> {
    /// Says something, and wakes whoever waits for it. What is left of it is dropped without anything of ours being held.
    fn say<R>(&self, what: impl FnOnce(&mut Waiting<T>) -> R) -> R {
        let mut waiting = self.waiting.lock();
        let said = what(&mut waiting);
        let (hearer, awaiting) = (waiting.hearer.take(), waiting.awaiting.take());
        drop(waiting);
        if let Some(hearer) = hearer {
            hearer.wake();
        }
        if let Some(awaiting) = awaiting {
            awaiting.rises();
        }
        said
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

    /// Says what becomes of it.
    struct Left(u64, Arc<Mutex<Vec<Option<Option<u32>>>>>);

    impl Awaiting<u32> for Left {
        fn number(&self) -> u64 {
            self.0
        }

        fn ends(self: Box<Self>, end: Option<u32>) {
            self.1.lock().push(Some(end));
        }

        fn rises(self: Box<Self>) {
            self.1.lock().push(None);
        }
    }

    #[test]
    fn who_was_taken_in_is_given_the_end_or_rises() {
        type Tells = fn(Teller<u32>);
        let cases: [(Tells, Option<Option<u32>>); 5] = [
            (|teller| teller.end(1), Some(Some(1))),
            (drop, Some(None)),
            (|teller| teller.tell(2).unwrap(), None),
            (|teller| teller.tell_once(2), None),
            (|teller| teller.ring(), None),
        ];
        for (tells, becomes) in cases {
            let (said, (teller, mut heard)) = (Arc::default(), arrivals(1));
            let berth = heard.berth();
            assert!(berth.take_in(Box::new(Left(7, Arc::clone(&said)))).is_ok() && !berth.is_empty());
            tells(teller);
            assert_eq!(*said.lock(), [becomes]);
            assert!(berth.let_out(None).is_none());
            if becomes.is_some() {
                heard.is_over();
                assert_eq!(heard.next().now_or_never(), Some(Next::Over));
            } else {
                assert!(heard.next().now_or_never().is_some(), "what it rose for");
            }
            drop(heard);
            assert!(berth.is_empty());
        }
    }

    #[test]
    fn nobody_is_taken_in_where_something_has_come() {
        let left = || Box::new(Left(7, Arc::default()));
        let (teller, heard) = arrivals(1);
        teller.tell(1).unwrap();
        assert!(heard.berth().take_in(left()).is_err());
        let (teller, heard) = arrivals(1);
        teller.ring();
        assert!(heard.berth().take_in(left()).is_err());
        let (teller, heard) = arrivals(1);
        teller.end(1);
        assert!(heard.berth().take_in(left()).is_err());
    }

    #[test]
    fn who_was_taken_in_is_let_out_by_number() {
        let (_teller, heard) = arrivals(1);
        let berth = heard.berth();
        berth.take_in(Box::new(Left(7, Arc::default()))).ok().unwrap();
        assert!(berth.let_out(Some(8)).is_none());
        assert_eq!(berth.let_out(Some(7)).map(|left| left.number()), Some(7));
        assert!(berth.let_out(Some(7)).is_none());
    }
}
