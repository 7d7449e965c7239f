//! The requests that one door follows: whichever rings is polled, in the order in which they rang.
//!
//! Each has a place and a bell, which are used again by the next, so that a call takes nothing for them. It knows nothing
//! of what they say at their end.

use futures::future::BoxFuture;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

pub(super) struct Calls<T> {
    places: Vec<Place<T>>,
    free: Vec<usize>,
    /// Who rang, taken off the line at once, and who is new.
    turn: VecDeque<usize>,
    line: Arc<Line>,
}

struct Place<T> {
    call: Option<BoxFuture<'static, T>>,
    /// By which it can be ended.
    number: Option<u64>,
    bell: Arc<Bell>,
    /// The same.
    waker: Waker,
}

/// Rings for a place. One that is kept for longer than a call rings for the next, which does no harm.
struct Bell {
    place: usize,
    has_rung: AtomicBool,
    line: Arc<Line>,
}

/// Who rang, each once, and whom that wakes.
#[derive(Default)]
struct Line {
    rung: Mutex<VecDeque<usize>>,
    door: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.has_rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let is_first = {
            let mut rung = self.line.rung.lock();
            rung.push_back(self.place);
            rung.len() == 1
        };
        // The first of those who wait to be looked at has woken the door, or it is looking.
        if is_first {
            self.line.door.wake();
        }
    }
}

impl<T> Calls<T> {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), turn: VecDeque::new(), line: Arc::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// `number`: by which it can be ended.
    pub(super) fn push(&mut self, call: BoxFuture<'static, T>, number: Option<u64>) {
        let free = self.free.pop();
        match free.and_then(|at| self.places.get_mut(at)) {
            Some(place) => {
                (place.call, place.number) = (Some(call), number);
                self.turn.push_back(place.bell.place);
            }
            None => {
                let (place, line) = (self.places.len(), self.line.clone());
                let bell = Arc::new(Bell { place, has_rung: AtomicBool::new(false), line });
                self.turn.push_back(place);
                self.places.push(Place { call: Some(call), number, waker: bell.clone().into(), bell });
            }
        }
    }

    /// Ends the one with this number, if it is there: it says nothing.
    pub(super) fn end(&mut self, number: u64) {
        let is_it = |place: &Place<T>| place.call.is_some() && place.number == Some(number);
        let Some(at) = self.places.iter().position(is_it) else { return };
        let ended = self.places.get_mut(at).and_then(|place| place.call.take());
        self.free.push(at);
        drop(ended);
    }

    /// What the next of them ends with; waits for ever where there is none. Cancel-safe.
    pub(super) async fn next(&mut self) -> T {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same, of those that end now.
    pub(super) fn now(&mut self) -> Option<T> {
        self.ended().or_else(|| self.hears().then(|| self.ended()).flatten())
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<T> {
        for _ in 0..TURNS_MAX {
            if let Some(said) = self.ended() {
                return Poll::Ready(said);
            }
            self.line.door.register(context.waker());
            // Who rang before that has woken nobody.
            if !self.hears() {
                return Poll::Pending;
            }
        }
        // Who rings all the time must not keep all else of the door from its turn.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether anybody rang meanwhile. Those before must have had their turn.
    fn hears(&mut self) -> bool {
        std::mem::swap(&mut self.turn, &mut self.line.rung.lock());
        !self.turn.is_empty()
    }

    /// Polls those whose turn it is, until one ends.
    fn ended(&mut self) -> Option<T> {
        while let Some(at) = self.turn.pop_front() {
            let Some(Place { call, bell, waker, .. }) = self.places.get_mut(at) else { continue };
            // Who rings from now on is polled once more.
            bell.has_rung.swap(false, Ordering::AcqRel);
            let Some(future) = call else { continue };
            if let Poll::Ready(said) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                *call = None;
                self.free.push(at);
                return Some(said);
            }
        }
        None
    }
}

/// How often those that ring are polled before all else has its turn.
const TURNS_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use tokio::sync::oneshot;

    /// Calls that end with what they are told.
    fn told<const N: usize>(calls: &mut Calls<u32>) -> [oneshot::Sender<u32>; N] {
        std::array::from_fn(|_| {
            let (tell, told) = oneshot::channel();
            calls.push(told.map(|told| told.unwrap_or_default()).boxed(), None);
            tell
        })
    }

    #[test]
    fn they_end_in_the_order_in_which_they_rang() {
        let mut calls = Calls::new();
        for _ in 0..3 {
            let [one, two, three] = told(&mut calls);
            assert_eq!((calls.next().now_or_never(), calls.len()), (None, 3));
            three.send(3).unwrap();
            one.send(1).unwrap();
            assert_eq!((calls.next().now_or_never(), calls.now()), (Some(3), Some(1)));
            assert_eq!((calls.now(), calls.len()), (None, 1));
            two.send(2).unwrap();
            assert_eq!((calls.now(), calls.len()), (Some(2), 0));
        }
        assert_eq!(calls.places.len(), 3, "places are used again");
    }

    #[test]
    fn whoever_is_new_is_polled_without_ringing() {
        let mut calls = Calls::new();
        assert_eq!(calls.next().now_or_never(), None);
        calls.push(async { 1 }.boxed(), None);
        assert_eq!(calls.now(), Some(1));
    }

    #[test]
    fn a_bell_that_was_kept_harms_nobody() {
        let mut calls = Calls::new();
        let kept = Arc::new(Mutex::new(None));
        let keeps = kept.clone();
        let keep = move |context: &mut Context<'_>| {
            *keeps.lock() = Some(context.waker().clone());
            Poll::Ready(())
        };
        calls.push(poll_fn(keep).boxed(), None);
        assert_eq!(calls.now(), Some(()));
        let ring = || kept.lock().as_ref().unwrap().wake_by_ref();
        ring();
        assert_eq!(calls.now(), None, "nobody is there");
        calls.push(std::future::pending().boxed(), None);
        ring();
        assert_eq!((calls.now(), calls.len()), (None, 1), "the next is there, and has nothing to say");
    }

    #[test]
    fn who_rings_all_the_time_leaves_others_their_turn() {
        let mut calls: Calls<()> = Calls::new();
        let rings = |context: &mut Context<'_>| {
            context.waker().wake_by_ref();
            Poll::Pending
        };
        calls.push(poll_fn(rings).boxed(), None);
        assert_eq!(calls.next().now_or_never(), None);
        assert_eq!(calls.now(), None);
    }

    #[test]
    fn one_that_is_ended_says_nothing_and_leaves_its_place() {
        let mut calls = Calls::new();
        let [first, other] = told(&mut calls);
        let (tell, told) = oneshot::channel();
        calls.push(told.map(|told: Result<u32, _>| told.unwrap_or_default()).boxed(), Some(7));
        assert_eq!(calls.now(), None);
        calls.end(8);
        assert!(!tell.is_closed());
        calls.end(7);
        calls.end(7);
        assert!(tell.is_closed() && calls.len() == 2);
        calls.push(std::future::ready(3).boxed(), Some(9));
        other.send(2).unwrap();
        assert_eq!((calls.now(), calls.now(), calls.now()), (Some(3), Some(2), None));
        first.send(1).unwrap();
        assert_eq!((calls.now(), calls.len(), calls.places.len()), (Some(1), 0, 3));
    }

    #[test]
    fn all_that_wait_are_dropped_with_it() {
        let mut calls = Calls::new();
        let [tell] = told(&mut calls);
        drop(calls);
        assert!(tell.is_closed());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_rings_from_another_thread_is_heard() {
        let mut calls = Calls::new();
        for _ in 0..500 {
            let tells: [_; 8] = told(&mut calls);
            let telling = tokio::spawn(async move {
                for (number, tell) in (1..).zip(tells) {
                    tell.send(number).unwrap();
                }
            });
            let mut sum = 0;
            for _ in 0..8 {
                sum += calls.next().await;
            }
            assert_eq!(sum, 36);
            telling.await.unwrap();
        }
    }
}
