//! Keeps a connection from waking itself for what it has at hand already.
//!
//! hyper reads a body on the task that takes it, and wakes that task when it was taken, although there is nothing left to
//! do. The task would be scheduled and looked at once more for every request.

use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::{self, ThreadId};

use parking_lot::Mutex;

/// Wakes the task of one connection, but for what it does not want to hear of.
#[derive(Debug)]
pub(super) struct Hush(Mutex<State>);

#[derive(Debug)]
struct State {
    task: Waker,
    /// On which thread something is done quietly just now.
    quiet_on: Option<ThreadId>,
    /// It would have woken the task.
    woke: bool,
}

impl Hush {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { task: Waker::noop().clone(), quiet_on: None, woke: false })))
    }

    /// It wakes this task from now on.
    pub(super) fn is_of(&self, cx: &Context<'_>) {
        self.0.lock().task.clone_from(cx.waker());
    }

    /// Does something that takes no time; whether it would have woken the task. Who wakes it from elsewhere meanwhile, does.
    pub(super) fn quietly<T>(&self, done: impl FnOnce() -> T) -> (T, bool) {
        self.0.lock().quiet_on = Some(thread::current().id());
        let done = done();
        let mut state = self.0.lock();
        state.quiet_on = None;
        (done, std::mem::take(&mut state.woke))
    }
}

impl Wake for Hush {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.0.lock();
        if state.quiet_on.is_some_and(|quiet| quiet == thread::current().id()) {
            state.woke = true;
            return;
        }
        let task = state.task.clone();
        drop(state);
        task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_is_done_quietly_wakes_nobody_and_others_do() {
        let (hush, count) = (Hush::new(), Arc::new(Count::default()));
        let (task, waker) = (Waker::from(count.clone()), Waker::from(hush.clone()));
        hush.is_of(&Context::from_waker(&task));
        waker.wake_by_ref();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        let ((), woke) = hush.quietly(|| waker.wake_by_ref());
        assert!(woke && count.0.load(Ordering::Relaxed) == 1);
        let elsewhere = waker.clone();
        let ((), woke) = hush.quietly(|| thread::spawn(move || elsewhere.wake()).join().unwrap());
        assert!(!woke && count.0.load(Ordering::Relaxed) == 2);
        let ((), woke) = hush.quietly(|| {});
        waker.wake();
        assert!(!woke && count.0.load(Ordering::Relaxed) == 3);
    }
}
