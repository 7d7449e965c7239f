//! Connections that wait for the next request.
//!
//! Those used last are taken first. None waits for ever: which has waited too long is seen when one is taken, and by a
//! sweeper that is there as long as any waits. It makes none, and sends nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::address::Origin;
use super::wire::Wire;

/// Those of one client. To copy it is to share it.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    /// In the order in which they came.
    idle: VecDeque<Idle>,
    is_swept: bool,
}

struct Idle {
    wire: Wire,
    origin: Arc<Origin>,
    until: Instant,
}

impl Pool {
    /// One to this origin, if one waits that can be used, as far as is known.
    pub(super) fn take(&self, origin: &Arc<Origin>) -> Option<Wire> {
        loop {
            let Idle { mut wire, until, .. } = self.0.lock().take(origin)?;
            if until > Instant::now() && wire.is_quiet() {
                return Some(wire);
            }
        }
    }

    /// It waits from now on, unless something is left on it.
    pub(super) fn put(&self, mut wire: Wire, origin: &Arc<Origin>) {
        if !wire.settle() {
            return;
        }
        let until = Instant::now() + IDLE_CONNECTION_KEPT;
        let mut shelf = self.0.lock();
        // What is too much is closed when nothing is held.
        let _oldest = if shelf.idle.len() < IDLE_CONNECTIONS_MAX { None } else { shelf.idle.pop_front() };
        shelf.idle.push_back(Idle { wire, origin: origin.clone(), until });
        if !shelf.is_swept
            && let Ok(runtime) = Handle::try_current()
        {
            shelf.is_swept = true;
            runtime.spawn(sweep(Arc::downgrade(&self.0)));
        }
        drop(shelf);
    }
}

#[cfg(test)]
impl Pool {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.lock().idle.len()
    }
}

impl Shelf {
    fn take(&mut self, origin: &Arc<Origin>) -> Option<Idle> {
        let is_there = |idle: &Idle| Arc::ptr_eq(&idle.origin, origin) || idle.origin == *origin;
        match self.idle.back() {
            Some(last) if is_there(last) => self.idle.pop_back(),
            Some(_) => self.idle.iter().rposition(is_there).and_then(|at| self.idle.remove(at)),
            None => None,
        }
    }

    /// Takes out what has waited too long, and says when to look again.
    fn sweep(&mut self) -> (Vec<Idle>, Option<Instant>) {
        let now = Instant::now();
        let old = self.idle.iter().take_while(|idle| idle.until <= now).count();
        let old = self.idle.drain(..old).collect();
        let next = self.idle.front().map(|idle| idle.until);
        self.is_swept = next.is_some();
        (old, next)
    }
}

/// Closes what has waited too long, until none waits.
async fn sweep(shelf: Weak<Mutex<Shelf>>) {
    loop {
        let Some(kept) = shelf.upgrade() else { return };
        let (old, next) = kept.lock().sweep();
        drop((old, kept));
        let Some(next) = next else { return };
        sleep_until(next).await;
    }
}

/// Connections of one server that wait for the next request: as many as it has calls at a time, as a rule. With fewer,
/// those who come beside many others connect anew each time.
pub(super) const IDLE_CONNECTIONS_MAX: usize = 64;

/// How long one waits. Less than the five seconds after which the common servers close theirs: a request that
/// meets the close half-way has an outcome that nobody knows.
pub(super) const IDLE_CONNECTION_KEPT: Duration = Duration::from_secs(4);
