//! Lets a run have its configuration anew: when its file is another, when a signal says so, and when `braid reload` does.
//!
//! Reads it as at the start, or not at all: what is found bad changes nothing, and is remembered until one is taken. One
//! after the other, and each to its end, whoever asked for it. What of it is taken how, the hub decides.

use super::prints::{self, Prints};
use super::run::{Dialer, Run};
use super::source::Origin;
use crate::config::Config;
use crate::config::codes::Code;
use crate::config::file::{Loaded, load_with};
use crate::config::fixed::needs_restart;
use crate::config::problem::Report;
use crate::config::variables::{Purpose, Surroundings};
use crate::downstream::admin::{Refused, Reload, Reloaded, Reloads, Taken};
use crate::hub::Hub;
use crate::system::{Leaving, Signal};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// What one run needs for it.
pub(super) struct Reloader {
    hub: Arc<Hub>,
    dialer: Dialer,
    file: PathBuf,
    started: Config,
    given: Given,
    /// Whose turn it is.
    turn: Semaphore,
    known: Mutex<Known>,
}

/// What the command line says beside the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    pub(super) group: Option<String>,
    pub(super) listen: Vec<String>,
}

#[derive(Default)]
struct Known {
    reloads: Reloads,
    /// The marks of everything that was looked into at the last reading.
    prints: Prints,
}

/// Who wants it.
#[derive(Debug, Clone, Copy)]
enum By {
    Command,
    Signal,
    Change,
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Signal => "signal",
            Self::Change => "change",
        }
    }
}

impl Reloader {
    /// `None`: the run has no file.
    pub(super) fn new(run: &Run, origin: Option<Origin>, given: Given) -> Option<Arc<Self>> {
        let Origin { file, prints } = origin?;
        let started = run.hub.config().clone();
        let known = Known { prints, ..Known::default() };
        let (hub, dialer) = (run.hub.clone(), run.dialer());
        Some(Arc::new(Self {
            hub,
            dialer,
            file,
            started,
            given,
            turn: Semaphore::new(1),
            known: Mutex::new(known),
        }))
    }

    /// Reads it anew whenever its file is another, until the run stops.
    pub(super) fn watch(self: &Arc<Self>) {
        if !self.started.admin.watch_config {
            return;
        }
        let of = Arc::downgrade(self);
        let read = move || of.upgrade().map(|it| it.known.lock().prints.clone()).unwrap_or_default();
        let mut others = match prints::watch(read) {
            Ok(others) => others,
            Err(error) => return tracing::warn!(%error, "nobody watches the configuration file"),
        };
        let (reloader, stopping) = (self.clone(), self.hub.stopping());
        let watched = async move {
            loop {
                let is_unread = reloader.is_unread();
                tokio::select! {
                    told = others.recv() => if told.is_none() { return },
                    () = sleep(AGAIN_AFTER), if is_unread => {}
                }
                Box::pin(reloader.reloaded(By::Change)).await.ok();
            }
        };
        tokio::spawn(stopping.run_until_cancelled_owned(watched));
    }

    /// Whether the file could not even be read: it may be there again without being another.
    fn is_unread(&self) -> bool {
        let known = self.known.lock();
        let last = known.reloads.last.as_ref().and_then(|last| last.as_ref().err());
        last.is_some_and(|last| last.code == Some(Code::Unreadable.id()))
    }

    /// The same in a task of its own: it is done to its end, even if nobody waits for it any more.
    fn spawned(self: &Arc<Self>, by: By) -> BoxFuture<'static, Reloaded> {
        let reloader = self.clone();
        let done = tokio::spawn(async move { Box::pin(reloader.reloaded(by)).await });
        Box::pin(async move { done.await.unwrap_or_else(|error| Err(refused(None, error.to_string()))) })
    }

    async fn reloaded(&self, by: By) -> Reloaded {
        let _turn = self.turn.acquire().await;
        let (file, given) = (self.file.clone(), self.given.clone());
        let read = tokio::task::spawn_blocking(move || read(&file, given)).await;
        let done = match read {
            Ok((prints, read)) => {
                self.known.lock().prints = prints;
                match read {
                    Ok(config) => Ok(self.take(config).await),
                    Err(report) => Err(Refused {
                        page: report.render(false),
                        ..refused(report.code(), report.sentence())
                    }),
                }
            }
            Err(error) => Err(refused(None, format!("it cannot be read: {error}"))),
        };
        self.remember(done, by)
    }

    async fn take(&self, loaded: Loaded) -> Taken {
        let Loaded { mut config, warnings } = loaded;
        let needs_restart = needs_restart(&self.started, &config);
        config.exchanges_as(&self.started.listen);
        let changes = self.hub.adopt(config, |server| self.dialer.dial(server)).await;
        if changes.any() {
            warnings.iter().for_each(|warning| tracing::warn!("{}", warning.sentence()));
        }
        Taken { at: SystemTime::now(), changes, needs_restart }
    }

    /// Keeps what came of it, and says it in the log: of one and the same mistake once.
    fn remember(&self, done: Reloaded, by: By) -> Reloaded {
        let mut known = self.known.lock();
        let is_change = matches!(by, By::Change);
        let (by, reloads) = (by.as_str(), &mut known.reloads);
        let [taken, failed] = &mut reloads.counts;
        let done = match done {
            Ok(now) => {
                *taken += 1;
                reloads.taken = Some(now.at);
                let said = now.to_string();
                match (&reloads.last, now.needs_restart.is_empty()) {
                    (Some(Ok(before)), _)
                        if !now.changes.any() && before.needs_restart == now.needs_restart =>
                    {
                        tracing::debug!(event = "reload", by, "the configuration was read anew: {said}");
                    }
                    (_, true) => {
                        tracing::info!(event = "reload", by, "the configuration was read anew: {said}")
                    }
                    (_, false) => {
                        tracing::warn!(event = "reload", by, "the configuration was read anew: {said}")
                    }
                }
                Ok(now)
            }
            Err(mut now) => {
                *failed += 1;
                let before = reloads.last.as_ref().and_then(|last| last.as_ref().err());
                let is_known =
                    before.is_some_and(|before| (&before.text, &before.page) == (&now.text, &now.page));
                if let Some(before) = before {
                    now.since = before.since;
                }
                if !is_known {
                    let (code, why) = (now.code, &now.text);
                    tracing::error!(
                        event = "reload",
                        by,
                        code,
                        why,
                        "the configuration is bad; the one before it holds"
                    );
                }
                Err(now)
            }
        };
        // What changed is not forgotten because the file is looked at once more.
        let says_more = match (&reloads.last, &done) {
            (Some(Ok(before)), Ok(now)) => {
                now.changes.any() || now.needs_restart != before.needs_restart || !is_change
            }
            (None | Some(Err(_)), Ok(_)) | (_, Err(_)) => true,
        };
        if says_more {
            reloads.last = Some(done.clone());
        }
        done
    }

    /// The next signal that is to end the run. A hang-up that is none reads the configuration anew.
    pub(super) async fn or_leaves(reloader: Option<&Arc<Self>>, leaving: &mut Leaving) -> Signal {
        loop {
            let signal = leaving.next().await;
            match (signal, reloader) {
                (Signal::Hangup, Some(reloader)) if !leaving.has_lost_terminal() => {
                    drop(reloader.spawned(By::Signal));
                }
                (Signal::Hangup | Signal::Interrupt | Signal::Terminate, _) => return signal,
            }
        }
    }
}

/// What those who look after a run ask for.
pub(super) struct Asked(pub(super) Arc<Reloader>);

impl Reload for Asked {
    fn reload(&self) -> BoxFuture<'_, Reloaded> {
        self.0.spawned(By::Command)
    }

    fn known(&self) -> Reloads {
        self.0.known.lock().reloads.clone()
    }
}

/// Reads all of it as at the start: what was looked into on the way, and what came of it.
fn read(file: &Path, given: Given) -> (Prints, Result<Loaded, Report>) {
    let prints = Prints::default().and(&[file.to_owned()]);
    let env = |name: &str| std::env::var(name).ok();
    let surroundings = Surroundings::of_process(&env);
    let loaded = load_with(file, &surroundings, Purpose::Run).and_then(|mut loaded| {
        if let Some(group) = &given.group {
            loaded.config.group(group)?;
        }
        loaded.config.listen = loaded.config.listen.with_addresses(&given.listen)?;
        Ok(loaded)
    });
    (prints.and(&surroundings.files.take()), loaded)
}

fn refused(code: Option<&'static str>, text: String) -> Refused {
    let at = SystemTime::now();
    Refused { since: at, at, code, page: text.clone(), text }
}

/// How soon a file that could not be read is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
