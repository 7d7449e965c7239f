//! A future beside another that is polled often: it is looked at only when it was woken itself.
//!
//! What may end a connection from outside hardly ever does, and asking each time costs more than much of what the
//! connection does. It knows nothing of what it is beside.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

/// On the heap, because it stays when what is beside it moves.
pub struct Aside<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    /// As the future knows the bell.
    ring: Waker,
    /// Whom the bell wakes.
    wakes: Waker,
}

struct Bell {
    rung: AtomicBool,
    /// It stays, however often it rings: one that was taken might be missed by a ring that comes at the same time.
    task: Mutex<Waker>,
}

impl<F: Future> Aside<F> {
    pub fn new(future: F) -> Self {
        let nobody = Waker::noop();
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: Mutex::new(nobody.clone()) });
        let ring = Waker::from(bell.clone());
        Self { future: Box::pin(future), bell, ring, wakes: nobody.clone() }
    }

    /// Another takes the place of one that has ended.
    pub fn set(&mut self, future: F) {
        self.future.set(future);
        self.bell.rung.store(true, Ordering::Release);
    }
}

impl<F: Future> Future for Aside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if !this.wakes.will_wake(cx.waker()) {
            this.wakes.clone_from(cx.waker());
            // Before it is looked at: who rings from now on wakes this one.
            this.bell.task.lock().clone_from(cx.waker());
        }
        if !this.bell.rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        this.bell.rung.swap(false, Ordering::AcqRel);
        this.future.as_mut().poll(&mut Context::from_waker(&this.ring))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let task = self.task.lock().clone();
        task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;
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

    #[tokio::test]
    async fn it_rings_as_often_as_there_is_a_reason_to() {
        let (looks, notify) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (count, news) = (looks.clone(), notify.clone());
        let aside = Aside::new(async move {
            loop {
                news.notified().await;
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let other = tokio::spawn(aside);
        for look in 0..5 {
            while looks.load(Ordering::Relaxed) < look {
                tokio::task::yield_now().await;
            }
            notify.notify_one();
        }
        other.abort();
    }
}
