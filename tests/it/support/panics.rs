//! Counts the panics on this thread: tokio keeps those of tasks to itself, and a play must not.
//!
//! A play runs on one thread, so that plays beside it do not disturb its count.

use std::cell::Cell;
use std::panic::{set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// From now on panics are counted, and reported as before.
pub(crate) fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let report = take_hook();
        set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            report(panic);
        }));
    });
}

/// How many there were on this thread.
pub(crate) fn count() -> u64 {
    PANICS.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_task_is_counted() {
        watch();
        let before = count();
        let ended = tokio::spawn(async { panic!("a claim of this very test") }).await;
        assert!(ended.is_err_and(|error| error.is_panic()));
        assert_eq!(count(), before + 1);
    }
}
