//! What waits for the one who takes it on, in the order in which it was put there: many fill it, one empties it.
//!
//! Emptied at once and not one by one, so that what waits together takes one lock. It has no bound of its own: whatever is
//! put there holds a place of what bounds it. It knows nothing of what it holds.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use tokio::task::consume_budget;

/// For those who fill it, and for the one who empties it.
pub fn queue<T>() -> (Filler<T>, Queue<T>) {
    let waiting = Waiting { things: VecDeque::new(), is_filled: true, is_emptied: true, taker: None };
    let line = Arc::new(Mutex::new(waiting));
    (Filler(line.clone()), Queue { line, taken: VecDeque::new() })
}

/// Fills it. Dropped, it has said that nothing more comes.
pub struct Filler<T>(Arc<Mutex<Waiting<T>>>);

/// Empties it.
pub struct Queue<T> {
    line: Arc<Mutex<Waiting<T>>>,
    /// What was taken off the line.
    taken: VecDeque<T>,
}

struct Waiting<T> {
    things: VecDeque<T>,
    is_filled: bool,
    is_emptied: bool,
    /// Whom the next thing wakes.
    taker: Option<Waker>,
}

impl<T> Filler<T> {
    /// Gives it back when nobody takes it any more.
    pub fn put(&self, thing: T) -> Result<(), T> {
        let taker = {
            let mut waiting = self.0.lock();
            if !waiting.is_emptied {
                return Err(thing);
            }
            waiting.things.push_back(thing);
            waiting.taker.take()
        };
        if let Some(taker) = taker {
            taker.wake();
        }
        Ok(())
    }
}

impl<T> Drop for Filler<T> {
    fn drop(&mut self) {
        let taker = {
            let mut waiting = self.0.lock();
            waiting.is_filled = false;
            waiting.taker.take()
        };
        if let Some(taker) = taker {
            taker.wake();
        }
    }
}

impl<T> Queue<T> {
    /// The next thing; `None`: nothing more comes. Cancel-safe.
    pub async fn next(&mut self) -> Option<T> {
        // Whoever takes one after the other waits for nothing else between two.
        consume_budget().await;
        if self.taken.is_empty() {
            small(&mut self.taken);
            poll_fn(|context| poll_line(&self.line, &mut self.taken, usize::MAX, context.waker())).await;
        }
        self.taken.pop_front()
    }

    /// The same, if it is there.
    pub fn now(&mut self) -> Option<T> {
        if self.taken.is_empty() {
            std::mem::swap(&mut self.taken, &mut self.line.lock().things);
        }
        self.taken.pop_front()
    }

    /// So many at most of what waits, once there is anything; `all` must be empty, and stays so if nothing more comes.
    /// Cancel-safe. For one who takes in no other way.
    pub async fn all(&mut self, all: &mut VecDeque<T>, max: usize) {
        small(all);
        poll_fn(|context| poll_line(&self.line, all, max, context.waker())).await;
    }
}

/// A crowd that has left keeps no room.
fn small<T>(empty: &mut VecDeque<T>) {
    if empty.capacity() > KEPT_MAX {
        *empty = VecDeque::new();
    }
}

fn poll_line<T>(line: &Mutex<Waiting<T>>, taken: &mut VecDeque<T>, max: usize, taker: &Waker) -> Poll<()> {
    let mut waiting = line.lock();
    match waiting.things.len() {
        0 if waiting.is_filled => {
            waiting.taker = Some(taker.clone());
            return Poll::Pending;
        }
        count if count <= max => std::mem::swap(taken, &mut waiting.things),
        _ => taken.extend(waiting.things.drain(..max)),
    }
    Poll::Ready(())
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        let left = {
            let mut waiting = self.line.lock();
            waiting.is_emptied = false;
            (std::mem::take(&mut waiting.things), waiting.taker.take())
        };
        // What it holds is given back without anything of ours being held.
        drop(left);
    }
}

/// For so many things room is kept while there are none.
const KEPT_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn things_come_in_their_order_however_they_are_taken() {
        let (filler, mut queue) = queue();
        (0..4).for_each(|thing| filler.put(thing).unwrap());
        assert_eq!((queue.next().now_or_never(), queue.now()), (Some(Some(0)), Some(1)));
        filler.put(4).unwrap();
        let rest: Vec<_> = std::iter::from_fn(|| queue.now()).collect();
        assert_eq!((rest.as_slice(), queue.next().now_or_never()), ([2, 3, 4].as_slice(), None));
    }

    #[test]
    fn no_more_are_taken_at_once_than_are_wanted() {
        let (filler, mut queue) = queue();
        let mut all = VecDeque::new();
        assert_eq!(queue.all(&mut all, 2).now_or_never(), None);
        (0..5).for_each(|thing| filler.put(thing).unwrap());
        drop(filler);
        for want in [&[0, 1][..], &[2, 3], &[4], &[], &[]] {
            all.clear();
            assert_eq!(
                (queue.all(&mut all, 2).now_or_never(), all.make_contiguous() as &[_]),
                (Some(()), want)
            );
        }
    }

    #[test]
    fn a_crowd_that_has_left_keeps_no_room() {
        let (filler, mut queue) = queue();
        let mut all = VecDeque::new();
        for _ in 0..2 {
            (0..10 * KEPT_MAX).for_each(|thing| filler.put(thing).unwrap());
            while queue.all(&mut all, KEPT_MAX / 4).now_or_never().is_some() {
                assert!(!all.is_empty());
                all.clear();
            }
            let kept = [all.capacity(), queue.line.lock().things.capacity()];
            assert!(kept.iter().all(|kept| *kept <= KEPT_MAX), "{kept:?}");
            (0..10 * KEPT_MAX).for_each(|thing| filler.put(thing).unwrap());
            while queue.next().now_or_never().is_some() {}
            let kept = [queue.taken.capacity(), queue.line.lock().things.capacity()];
            assert!(kept.iter().all(|kept| *kept <= KEPT_MAX), "{kept:?}");
        }
    }

    #[test]
    fn what_was_put_before_the_end_still_comes() {
        let (filler, mut queue) = queue();
        filler.put(1).unwrap();
        drop(filler);
        assert_eq!(queue.next().now_or_never(), Some(Some(1)));
        assert_eq!((queue.next().now_or_never(), queue.now()), (Some(None), None));
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_a_thing_and_by_the_end() {
        let (filler, mut queue) = queue();
        let waits = tokio::spawn(async move { (queue.next().await, queue.next().await) });
        tokio::task::yield_now().await;
        filler.put(1).unwrap();
        tokio::task::yield_now().await;
        drop(filler);
        assert_eq!(waits.await.unwrap(), (Some(1), None));
    }

    #[test]
    fn what_nobody_takes_is_given_back() {
        let (filler, mut queue) = queue();
        let thing = Arc::new(());
        for _ in 0..3 {
            filler.put(thing.clone()).unwrap();
        }
        assert!(queue.now().is_some() && Arc::strong_count(&thing) == 3);
        drop(queue);
        assert_eq!((Arc::strong_count(&thing), filler.put(thing.clone())), (1, Err(thing)));
    }
}
