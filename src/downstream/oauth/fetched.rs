//! Something of an identity provider that is fetched when it is needed, and kept: its metadata, its keys.
//!
//! One fetch runs at a time, whoever needs it, and in a task of its own: who leaves does not end it for others. One begins
//! at most every ten seconds, so that no flood of made-up tokens becomes one of requests. What was fetched stays while the
//! provider cannot be reached, but not for ever: whoever has withdrawn a key must be believed in the end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, Shared};
use futures::{Future, FutureExt};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

/// Cheap to clone; all clones are one.
pub(super) struct Fetched<T>(Arc<Inner<T>>);

struct Inner<T> {
    /// For the log.
    what: &'static str,
    make: Make<T>,
    state: Mutex<State<T>>,
}

type Make<T> = Box<dyn Fn() -> BoxFuture<'static, Result<T, String>> + Send + Sync>;

struct State<T> {
    last: Option<(Arc<T>, Instant)>,
    /// When the last fetch began.
    begun: Option<Instant>,
    flight: Option<Shared<BoxFuture<'static, ()>>>,
    /// Why the last one failed, so that the same is said once.
    why: Option<String>,
}

impl<T: Send + Sync + 'static> Fetched<T> {
    pub(super) fn new<F>(what: &'static str, make: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
    {
        let make: Make<T> = Box::new(move || make().boxed());
        let state = State { last: None, begun: None, flight: None, why: None };
        Self(Arc::new(Inner { what, make, state: Mutex::new(state) }))
    }

    /// What was fetched last. Where that is some time ago it is fetched anew beside.
    pub(super) fn kept(&self) -> Option<Arc<T>> {
        let (last, at) = self.0.state.lock().last.clone()?;
        let age = at.elapsed();
        if age >= FRESH_FOR {
            self.begin();
        }
        (age < KEPT_FOR).then_some(last)
    }

    /// What is fetched now; what was fetched last, where that cannot be or was tried a moment ago.
    pub(super) async fn anew(&self) -> Option<Arc<T>> {
        if let Some(flight) = self.begin() {
            // It goes on without who waits: what it brings is there for the next.
            timeout(WAIT_MAX, flight).await.ok();
        }
        self.kept()
    }

    /// What is kept, or what is fetched now.
    pub(super) async fn now(&self) -> Option<Arc<T>> {
        match self.kept() {
            Some(kept) => Some(kept),
            None => self.anew().await,
        }
    }

    /// How long until another fetch may begin.
    pub(super) fn rest(&self) -> Duration {
        let begun = self.0.state.lock().begun;
        begun.map_or(Duration::ZERO, |begun| EVERY.saturating_sub(begun.elapsed()))
    }

    /// The fetch that runs, or one that begins. `None`: one has begun too short a time ago.
    fn begin(&self) -> Option<Shared<BoxFuture<'static, ()>>> {
        let mut state = self.0.state.lock();
        if let Some(flight) = state.flight.as_ref().filter(|flight| flight.peek().is_none()) {
            return Some(flight.clone());
        }
        if state.begun.is_some_and(|begun| begun.elapsed() < EVERY) {
            return None;
        }
        state.begun = Some(Instant::now());
        let task = tokio::spawn(self.clone().fetch());
        let flight = async move { task.await.unwrap_or_default() }.boxed().shared();
        state.flight = Some(flight.clone());
        Some(flight)
    }

    async fn fetch(self) {
        let made = (self.0.make)().await;
        let mut state = self.0.state.lock();
        match made {
            Ok(made) => {
                state.last = Some((Arc::new(made), Instant::now()));
                state.why = None;
            }
            Err(why) if state.why.as_ref() == Some(&why) => {}
            Err(why) => {
                tracing::warn!(event = "oauth", why, "{} cannot be fetched", self.0.what);
                state.why = Some(why);
            }
        }
    }
}

impl<T> Clone for Fetched<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Fetched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fetched({})", self.0.what)
    }
}

/// How long a request waits for one. Metadata may be looked for at several places, one after the other.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Between two beginnings.
const EVERY: Duration = Duration::from_secs(10);
/// Older than this it is fetched anew when it is needed, beside.
const FRESH_FOR: Duration = Duration::from_secs(15 * 60);
/// Older than this it counts no more.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::time::{advance, sleep};

    /// Takes a second; says how often it was asked, and fails when told to.
    fn counting(fails: Arc<Mutex<bool>>) -> (Fetched<usize>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counts = asked.clone();
        let fetched = Fetched::new("a number", move || {
            let (number, fails) = (counts.fetch_add(1, Ordering::SeqCst) + 1, fails.clone());
            async move {
                sleep(Duration::from_secs(1)).await;
                if *fails.lock() { Err("it is away".to_owned()) } else { Ok(number) }
            }
        });
        (fetched, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_need_it_are_one_fetch() {
        let (fetched, asked) = counting(Arc::default());
        let many = futures::future::join_all((0..100).map(|_| fetched.now())).await;
        assert!(many.iter().all(|one| one.as_deref() == Some(&1)));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(fetched.now().await.as_deref(), Some(&1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_does_not_end_it_for_others() {
        let (fetched, asked) = counting(Arc::default());
        assert!(fetched.now().now_or_never().is_none(), "it has begun, and is dropped");
        assert_eq!(fetched.now().await.as_deref(), Some(&1));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn h06_one_begins_at_most_every_ten_seconds() {
        let (fetched, asked) = counting(Arc::default());
        let start = Instant::now();
        for _ in 0..100 {
            assert!(fetched.anew().await.is_some());
            advance(Duration::from_millis(500)).await;
            let begun = asked.load(Ordering::SeqCst) as u32;
            assert!((begun - 1) * EVERY <= start.elapsed(), "{begun} in {:?}", start.elapsed());
        }
        assert!(asked.load(Ordering::SeqCst) >= 5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_fetched_stays_while_the_provider_is_away_and_not_for_ever() {
        let fails = Arc::new(Mutex::new(false));
        let (fetched, asked) = counting(fails.clone());
        assert_eq!(fetched.now().await.as_deref(), Some(&1));
        *fails.lock() = true;
        advance(FRESH_FOR).await;
        assert_eq!(fetched.now().await.as_deref(), Some(&1), "nobody waits for what is beside");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        advance(KEPT_FOR - FRESH_FOR - Duration::from_secs(3)).await;
        assert_eq!(fetched.now().await.as_deref(), Some(&1));
        sleep(EVERY).await;
        assert_eq!(fetched.now().await, None);
        assert!(fetched.rest() > Duration::ZERO && fetched.rest() <= EVERY);
        *fails.lock() = false;
        sleep(EVERY).await;
        assert!(fetched.now().await.is_some(), "and is there again with it");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_and_it_goes_on() {
        let fetched = Fetched::new("something slow", || async {
            sleep(WAIT_MAX * 2).await;
            Ok(7)
        });
        let start = Instant::now();
        assert_eq!((fetched.now().await, start.elapsed()), (None, WAIT_MAX));
        sleep(WAIT_MAX * 2).await;
        assert_eq!(fetched.kept().as_deref(), Some(&7));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_panics_is_one_that_failed() {
        let fetched: Fetched<()> = Fetched::new("nothing", || async {
            assert!(Instant::now().elapsed() > EVERY, "never");
            Ok(())
        });
        assert_eq!(fetched.now().await, None);
        sleep(EVERY).await;
        assert_eq!(fetched.now().await, None);
    }
}
