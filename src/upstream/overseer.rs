//! Rings whoever waits on a stream when its time may be over: one timer for all requests that are open there.
//!
//! Owns when it is to look next. Most requests have their answer long before, and cost it nothing; one whose time has
//! been put off meanwhile is rung as well, and says when to look again. It ends no request: whoever waits decides.

use super::stream::Stream;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Looks after the requests of a stream until that is gone. `sooner`: rung when something is to be looked at before all
/// else, or nothing ever again.
pub(super) async fn oversee(stream: Weak<Stream>, sooner: Arc<Notify>) {
    let mut next = None;
    loop {
        match next {
            Some(at) => tokio::select! {
                () = sooner.notified() => {}
                () = sleep_until(at) => {}
            },
            None => sooner.notified().await,
        }
        let Some(stream) = stream.upgrade() else { return };
        if stream.is_deaf() {
            return;
        }
        let now = Instant::now();
        // Those that follow one another closely are looked at together.
        let (at, open) = stream.ring_overdue(now);
        let apart = APART_MIN.max(PER_REQUEST * u32::try_from(open).unwrap_or(u32::MAX));
        next = at.map(|at| at.max(now + apart.min(APART_MAX)));
    }
}

/// A timer's own grain, and more where there is more to look through: a hundredth of the time at most is spent on that.
const APART_MIN: Duration = Duration::from_millis(1);
const PER_REQUEST: Duration = Duration::from_micros(2);
const APART_MAX: Duration = Duration::from_millis(100);
