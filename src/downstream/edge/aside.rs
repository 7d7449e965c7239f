//! A future beside another that is polled often: it is looked at only when it was woken itself.
//!
//! What may end a connection from outside hardly ever does, and asking each time costs more than much of what the
//! connection does.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// On the heap, because it stays when what is beside it moves.
pub(super) struct Aside<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    /// As the future knows the bell.
    ring: Waker,
    /// Whom the bell wakes.
    wakes: Option<Waker>,
}

struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl<F: Future> Aside<F> {
    pub(super) fn new(future: F) -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { future: Box::pin(future), ring: Waker::from(bell.clone()), bell, wakes: None }
    }
}

impl<F: Future> Future for Aside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let is_known = this.wakes.as_ref().is_some_and(|wakes| wakes.will_wake(cx.waker()));
        if is_known && !this.bell.rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        // Before it is looked at: who rings from now on wakes us again.
        this.bell.task.register(cx.waker());
        this.wakes = Some(cx.waker().clone());
        if !this.bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        this.future.as_mut().poll(&mut Context::from_waker(&this.ring))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::poll_fn;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn it_is_looked_at_only_when_it_was_woken() {
        let (looks, notify) = (Cell::new(0), Notify::new());
        let mut inner = Box::pin(notify.notified());
        let mut aside = Aside::new(poll_fn(|cx| {
            looks.set(looks.get() + 1);
            inner.as_mut().poll(cx)
        }));
        for _ in 0..5 {
            assert!(poll_fn(|cx| Poll::Ready(Pin::new(&mut aside).poll(cx))).await.is_pending());
        }
        assert_eq!(looks.get(), 1);
        notify.notify_one();
        aside.await;
        assert_eq!(looks.get(), 2);
    }

    #[tokio::test]
    async fn whoever_asks_last_is_woken() {
        let notify = Arc::new(Notify::new());
        let inner = notify.clone();
        let mut aside = Aside::new(async move { inner.notified().await });
        assert!(poll_fn(|cx| Poll::Ready(Pin::new(&mut aside).poll(cx))).await.is_pending());
        let other = tokio::spawn(aside);
        tokio::task::yield_now().await;
        notify.notify_one();
        other.await.unwrap();
    }
}
