//! One timer for a deadline that moves with every request.
//!
//! It is set where something waits and kept for the next. One that rings before its time, because the deadline has moved
//! on meanwhile, is set anew then: so waits that end in time move nothing but a number.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

/// For whoever waits for a deadline, one after the other.
#[derive(Debug, Default)]
pub struct Alarm(Mutex<Option<Set>>);

#[derive(Debug)]
struct Set {
    sleep: Pin<Box<Sleep>>,
    /// Whom it wakes.
    wakes: Waker,
}

impl Alarm {
    /// Ready when this instant has come. Until then it wakes whoever asked last.
    pub fn poll(&self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let mut set = self.0.lock();
        let set = set.get_or_insert_with(|| Set {
            sleep: Box::pin(sleep_until(deadline)),
            wakes: Waker::noop().clone(),
        });
        if set.sleep.deadline() > deadline {
            set.sleep.as_mut().reset(deadline);
        } else if set.wakes.will_wake(cx.waker()) && !set.sleep.is_elapsed() {
            return Poll::Pending;
        }
        while set.sleep.as_mut().poll(cx).is_ready() {
            if set.sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            set.sleep.as_mut().reset(deadline);
        }
        set.wakes.clone_from(cx.waker());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    const STEP: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_its_deadline_wherever_that_moved_to() {
        let (alarm, start) = (Alarm::default(), Instant::now());
        for steps in [1, 2, 5, 3, 4, 4] {
            let deadline = Instant::now() + STEP * steps;
            // Looked at before, for other deadlines.
            for other in [deadline + STEP, deadline, deadline + STEP * 2, deadline - STEP / 2] {
                assert!(poll_fn(|cx| Poll::Ready(alarm.poll(cx, other))).await.is_pending());
            }
            poll_fn(|cx| alarm.poll(cx, deadline)).await;
            assert!(Instant::now() - deadline < Duration::from_millis(5));
        }
        assert!(start.elapsed() >= STEP * 19);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_on_sets_no_timer_anew() {
        let alarm = Alarm::default();
        let start = Instant::now();
        for moved in 0..100 {
            let deadline = start + STEP + Duration::from_millis(moved);
            assert!(poll_fn(|cx| Poll::Ready(alarm.poll(cx, deadline))).await.is_pending());
            assert_eq!(alarm.0.lock().as_ref().unwrap().sleep.deadline(), start + STEP);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_whoever_asked_last() {
        let alarm = Alarm::default();
        let deadline = Instant::now() + STEP;
        assert!(poll_fn(|cx| Poll::Ready(alarm.poll(cx, deadline))).await.is_pending());
        let other = tokio::spawn(async move { poll_fn(|cx| alarm.poll(cx, deadline)).await });
        other.await.unwrap();
        assert!(Instant::now() >= deadline);
    }
}
