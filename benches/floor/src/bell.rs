//! A waker that a task can be deaf to while it runs.
//!
//! The halves of hyper wake each other when one has something for the other. Where both are polled by one task, that
//! task is running already, and being woken costs it another turn, perhaps on another thread.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

#[derive(Default)]
pub(crate) struct Bell {
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

impl Bell {
    /// From now on it does not wake `task`, but remembers that it rang.
    pub(crate) fn enter(&self, task: &Waker) {
        let mut kept = self.task.lock();
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(task)) {
            *kept = Some(task.clone());
        }
        self.hush();
    }

    /// For whoever is about to look at all that it could ring for.
    pub(crate) fn hush(&self) {
        self.state.store(INSIDE, Ordering::SeqCst);
    }

    /// Whether it rang meanwhile. From now on it wakes.
    pub(crate) fn leave(&self) -> bool {
        self.state.swap(AWAY, Ordering::SeqCst) == RUNG
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let rung = self.state.compare_exchange(INSIDE, RUNG, Ordering::SeqCst, Ordering::SeqCst);
        if rung == Err(AWAY) {
            let task = self.task.lock().clone();
            task.inspect(Waker::wake_by_ref);
        }
    }
}

/// A future that is polled again at once where it woke itself.
pub(crate) struct Quiet<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<F: Future> Quiet<F> {
    pub(crate) fn new(future: F) -> Self {
        let bell = Arc::new(Bell::default());
        Self { future: Box::pin(future), waker: bell.clone().into(), bell }
    }
}

impl<F: Future> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, bell, waker } = self.get_mut();
        let mut inside = Context::from_waker(waker);
        bell.enter(context.waker());
        for _ in 0..TURNS_MAX {
            if let Poll::Ready(output) = future.as_mut().poll(&mut inside) {
                return Poll::Ready(output);
            }
            if !bell.leave() {
                return Poll::Pending;
            }
            bell.hush();
        }
        // Others want their turn.
        bell.leave();
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// How often something is polled at once before others have their turn.
pub(crate) const TURNS_MAX: usize = 4;

/// Nobody is there to hear it; somebody is; it rang meanwhile.
const AWAY: u8 = 0;
const INSIDE: u8 = 1;
const RUNG: u8 = 2;
