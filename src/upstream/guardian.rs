//! The guardian of a run, seen from the run: who ends our children when we cannot.
//!
//! A companion process that is told which groups we have, and is there before the first of them. It acts only
//! when it hears the end of the line without a farewell (see `vigil`). Here it is started, told, started again
//! when somebody ended it, and dismissed. Without one everything works but that; it strikes nobody itself.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::environment::Cookie;
use super::vigil::Word;
use crate::system::{Companion, Ear, Group, Here, System};

/// One for each run. Dropping it ends the run: what is left of it then, the guardian ends.
#[derive(Debug)]
pub struct Guardian(Arc<Post>);

/// One group that the guardian knows. Dropped before its leader is reaped, since from then on its number may be
/// a stranger's.
#[derive(Debug)]
pub struct Watched {
    post: Arc<Post>,
    leader: u32,
}

#[derive(Debug)]
struct Post {
    run: String,
    programs: Vec<PathBuf>,
    watch: Mutex<Watch>,
    /// A guardian was reaped.
    reaped: Condvar,
}

#[derive(Debug, Default)]
struct Watch {
    guardian: Option<Companion>,
    /// One has ended or was dismissed, and is being waited for.
    leaving: bool,
    /// Every living group, for whoever comes next.
    groups: BTreeMap<u32, Group>,
    starts: usize,
    /// Which program is started, and when that was done last: one that does not last is not tried again where there is
    /// another.
    program: usize,
    started: Option<Instant>,
    /// It was said that there is none.
    is_missed: bool,
    /// Nobody is started any more.
    over: bool,
}

impl Guardian {
    /// Nothing is started yet. `programs` become one when they are told to, and the first that does is taken; without one,
    /// nothing is ever started.
    pub fn new(cookie: &Cookie, programs: impl IntoIterator<Item = PathBuf>) -> Self {
        let (run, watch, reaped) = (cookie.run().to_owned(), Mutex::default(), Condvar::new());
        Self(Arc::new(Post { run, programs: programs.into_iter().collect(), watch, reaped }))
    }

    /// Sees to it that a guardian is there, which takes the start of a process the first time. To be called
    /// before each child is started. If there can be none, that is logged once.
    pub fn stand_by(&self) {
        let mut watch = self.0.watch.lock();
        if watch.guardian.is_none() && !watch.over {
            self.0.start(&mut watch);
        }
    }

    /// Tells of a child that was just started, and leads a group.
    pub fn watch(&self, leader: u32) -> Watched {
        let watched = Watched { post: self.0.clone(), leader };
        // One that is not there is found by its mark alone.
        let Some(born) = Here::born(leader) else { return watched };
        let group = Group { leader, born, kept: 0 };
        let mut watch = self.0.watch.lock();
        watch.groups.insert(leader, group);
        watch.tell(&Word::Took(group));
        watched
    }

    /// The process that stands by, for tests and logs.
    pub fn id(&self) -> Option<u32> {
        self.0.watch.lock().guardian.as_ref().map(Companion::id)
    }

    /// Bids farewell when everything has been ended, and waits until the guardian has gone too, but not long.
    /// Blocks. A group that was not buried is still ended by it.
    pub fn dismiss(&self) {
        let mut watch = self.0.watch.lock();
        watch.tell(&Word::Farewell);
        watch.hang_up();
        let until = Instant::now() + DISMISS_MAX;
        while watch.guardian.is_some() || watch.leaving {
            if self.0.reaped.wait_until(&mut watch, until).timed_out() {
                tracing::debug!("the guardian has not gone yet");
                return;
            }
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.0.watch.lock().hang_up();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut watch = self.post.watch.lock();
        if watch.groups.remove(&self.leader).is_some() {
            watch.tell(&Word::Buried(self.leader));
        }
    }
}

impl Post {
    fn start(self: &Arc<Self>, watch: &mut Watch) {
        if self.programs.is_empty() || watch.starts == STARTS_MAX {
            return;
        }
        let words = std::iter::once(Word::Run(self.run.clone()))
            .chain(watch.groups.values().map(|group| Word::Took(*group)));
        let said: String = words.map(|word| word.to_string()).collect();
        watch.started = Some(Instant::now());
        match self.begin(watch, &said).and_then(|guardian| self.attend(guardian)) {
            Ok(guardian) => {
                tracing::debug!(event = "guarded", pid = guardian.id());
                watch.starts += 1;
                watch.guardian = Some(guardian);
                if watch.starts == STARTS_MAX {
                    tracing::warn!("the guardian was started {STARTS_MAX} times; it will not be again");
                }
            }
            Err(error) if !watch.is_missed => {
                watch.is_missed = true;
                let why = error.to_string();
                tracing::warn!(why, "no guardian: if Braid is killed, its servers may be left behind");
            }
            Err(error) => tracing::debug!(why = error.to_string(), "no guardian"),
        }
    }

    /// The first program that can be started.
    fn begin(&self, watch: &mut Watch, said: &str) -> io::Result<Companion> {
        loop {
            let program = self.programs.get(watch.program).ok_or(io::ErrorKind::NotFound)?;
            match Companion::start(program, [WORD, VERSION], said) {
                Err(error) if watch.program + 1 < self.programs.len() => {
                    tracing::debug!(program = %program.display(), %error, "not started as the guardian");
                    watch.program += 1;
                }
                started => return started,
            }
        }
    }

    /// A guardian that somebody waits for, on a thread of its own: it must be reaped whatever a runtime does.
    fn attend(self: &Arc<Self>, mut guardian: Companion) -> io::Result<Companion> {
        let (post, ear) = (self.clone(), guardian.ear());
        let thread = std::thread::Builder::new().name("guardian".to_owned());
        match thread.spawn(move || post.await_end(ear)) {
            Ok(_) => Ok(guardian),
            Err(error) => {
                guardian.kill();
                guardian.wait();
                Err(error)
            }
        }
    }

    /// Waits for the end of one guardian, reaps it, and starts the next if the run goes on.
    fn await_end(self: Arc<Self>, ear: Ear) {
        ear.until_gone();
        let mut watch = self.watch.lock();
        let Some(mut guardian) = watch.guardian.take() else { return };
        watch.leaving = true;
        drop(watch);
        guardian.wait();
        let mut watch = self.watch.lock();
        watch.leaving = false;
        self.reaped.notify_all();
        if !watch.over && watch.guardian.is_none() {
            tracing::debug!("the guardian has ended");
            let has_lasted = watch.started.is_none_or(|started| started.elapsed() > LASTS_MIN);
            if !has_lasted && watch.program + 1 < self.programs.len() {
                watch.program += 1;
            }
            self.start(&mut watch);
        }
    }
}

impl Watch {
    fn tell(&mut self, word: &Word) {
        let Some(guardian) = &mut self.guardian else { return };
        if guardian.tell(&word.to_string()).is_err() {
            // It may have heard half of it, or take us for dead when we hang up. The next one is told everything.
            guardian.kill();
        }
    }

    fn hang_up(&mut self) {
        self.over = true;
        if let Some(guardian) = &self.guardian {
            guardian.hang_up();
        }
    }
}

/// The argument with which our own program becomes a guardian.
pub const WORD: &str = "guardian";

/// What it is told with that: one of another version would not know what it hears.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One that has ended sooner may not be able to stand by at all.
const LASTS_MIN: Duration = Duration::from_secs(1);

/// Starts in one run. Somebody who ends every one of them wants none.
const STARTS_MAX: usize = 16;

/// What a guardian gets to leave when it has nothing to do, which takes it a millisecond.
const DISMISS_MAX: Duration = Duration::from_millis(100);
