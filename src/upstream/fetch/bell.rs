//! What a connection rings when there is something to do for it.
//!
//! Whoever uses a connection moves it as well, so what its halves have for each other need wake nobody: the one whom
//! it would wake is at it. It rings for him only while he is elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Wake, Waker};

use futures::task::AtomicWaker;

#[derive(Default)]
pub(super) struct Bell {
    state: AtomicU8,
    user: AtomicWaker,
}

impl Bell {
    /// Somebody is at it.
    const TENDED: u8 = 1;
    /// It has rung since he last looked.
    const RUNG: u8 = 2;

    /// Somebody is at it from now on, and looks at all there is. `user` wakes him once he has left.
    pub(super) fn tend(&self, user: &Waker) {
        self.user.register(user);
        self.state.store(Self::TENDED, Ordering::SeqCst);
    }

    /// He looks again.
    pub(super) fn look(&self) {
        self.state.store(Self::TENDED, Ordering::SeqCst);
    }

    /// He leaves; `true` if it has rung since he looked.
    pub(super) fn leave(&self) -> bool {
        self.state.swap(0, Ordering::SeqCst) & Self::RUNG != 0
    }

    /// Nobody uses the connection any more.
    pub(super) fn forget(&self) {
        self.user.take();
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.fetch_or(Self::RUNG, Ordering::SeqCst) & Self::TENDED == 0 {
            self.user.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(AtomicU8);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn it_rings_for_one_who_is_elsewhere_and_is_heard_by_one_who_is_there() {
        let (bell, count) = (Arc::new(Bell::default()), Arc::new(Count::default()));
        let (rope, user) = (Waker::from(bell.clone()), Waker::from(count.clone()));
        let woken = || count.0.load(Ordering::SeqCst);
        bell.tend(&user);
        assert!(!bell.leave());
        rope.wake_by_ref();
        assert_eq!(woken(), 1);

        bell.tend(&user);
        rope.wake_by_ref();
        assert!(bell.leave(), "it rang meanwhile");
        bell.tend(&user);
        rope.wake_by_ref();
        bell.look();
        assert!(!bell.leave(), "he has looked since");
        assert_eq!(woken(), 1);

        bell.forget();
        rope.wake();
        assert_eq!(woken(), 1, "there is nobody");
    }
}
