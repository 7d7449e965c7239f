//! One child and its tree.
//!
//! One task owns the child: it alone waits for it, strikes it and reaps it. The leader of the tree is
//! reaped last, so that its number, which is also the number of its group, cannot pass to a stranger
//! while somebody may still be struck by it. Everyone else holds a `Process`, which can only ask.
//! It speaks no MCP, and it decides neither when to start a server nor when to start it again.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::environment::{Cookie, Mark, environment};
use super::guardian::{Guardian, Watched};
use super::journal::Journals;
use super::login_shell::LoginShell;
pub use super::program::SpawnError;
use super::program::{locate, unstarted};
use super::stderr::{Tail, drain};
use crate::config::{self, Command};
use crate::system::{Blow, Exits, Family, Here, Kin, System, widen};

/// What all children of one run share.
#[derive(Debug, Clone)]
pub struct Nursery {
    pub cookie: Arc<Cookie>,
    pub guardian: Arc<Guardian>,
    pub tracker: TaskTracker,
    pub login_shell: LoginShell,
    /// What they write to stderr, by server.
    pub journals: Journals,
    births: Arc<Semaphore>,
    wide: Arc<Semaphore>,
}

impl Nursery {
    pub fn new(cookie: Arc<Cookie>, guardian: Arc<Guardian>, tracker: TaskTracker) -> Self {
        Self {
            cookie,
            guardian,
            tracker,
            login_shell: LoginShell::default(),
            journals: Journals::default(),
            births: Arc::new(Semaphore::new(SPAWNS_AT_ONCE)),
            wide: Arc::new(Semaphore::new(WIDE_PIPES_MAX)),
        }
    }

    /// The same as [`Process::spawn`], away from the runtime, which has clients to answer: a few at a time, as a thread of
    /// its own for each would take more memory than all of them need. One that the system is long in finding holds up
    /// another for a moment only.
    pub async fn spawn(
        &self,
        command: &Command,
        server: &str,
        stderr: config::Stderr,
    ) -> Result<Result<Spawned, SpawnError>, JoinError> {
        let turn = timeout(TURN_WAIT_MAX, self.births.clone().acquire_owned()).await;
        let (command, server, nursery) = (command.clone(), server.to_owned(), self.clone());
        let spawn = move || {
            let _turn = turn;
            Process::spawn(&command, &server, stderr, &nursery)
        };
        tokio::task::spawn_blocking(spawn).await
    }
}

/// A running child, or one that ran. Dropping it ends the whole tree at once, without waiting.
#[derive(Debug)]
pub struct Process {
    server: String,
    id: u32,
    order: watch::Sender<Option<Order>>,
    ended: watch::Receiver<Option<Ended>>,
    tail: Tail,
    /// That its stdout holds more than is usual.
    _wide: Option<OwnedSemaphorePermit>,
}

/// What a spawn gives: the handle, and the two pipes that carry the protocol.
///
/// Whoever holds `stdin` closes it by dropping it, and should do so before `Process::stop`. Whoever reads
/// `stdout` must not wait for its end alone: a process that escaped may keep it open. What the tree wrote
/// is all in the pipe once `Process::ended` resolves.
#[derive(Debug)]
pub struct Spawned {
    pub process: Process,
    pub stdin: ChildStdin,
    pub stdout: ChildStdout,
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// In words that follow a name: `exited with status 3`, `was killed by signal 9`.
    pub status: String,
    /// It exited by itself with status 0.
    pub success: bool,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.status)
    }
}

/// How patiently a tree is ended. Whoever asks more urgently wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From the closed stdin to SIGTERM.
    pub after_eof: Duration,
    /// From SIGTERM to SIGKILL.
    pub after_term: Duration,
}

impl Pace {
    /// One server is stopped while we stay.
    pub const CALM: Self = Self { after_eof: Duration::from_secs(2), after_term: Duration::from_secs(3) };
    /// We leave ourselves, and a client gives us two seconds for everything.
    pub const LEAVING: Self =
        Self { after_eof: Duration::from_millis(700), after_term: Duration::from_millis(800) };
    /// Nobody waits: SIGKILL.
    pub const NOW: Self = Self { after_eof: Duration::ZERO, after_term: Duration::ZERO };
}

impl Process {
    /// Starts a program, without a shell, as the leader of a process group of its own.
    ///
    /// Needs a runtime. Blocks for as long as the system takes to find and load the program. The tasks
    /// that it starts are in the nursery's tracker; they end when the tree has.
    pub fn spawn(
        command: &Command,
        server: &str,
        stderr: config::Stderr,
        nursery: &Nursery,
    ) -> Result<Spawned, SpawnError> {
        let Nursery { cookie, guardian, tracker, wide, journals, .. } = nursery;
        let mark = cookie.mark();
        // Before the child: we may be killed at any moment, and the mark alone leads to it then.
        guardian.stand_by();
        // Before the child, or its exit might be missed.
        let exits = Exits::watch().map_err(|source| other(command, source))?;
        let mut child = start(command, &mark)?;
        let (Some(id), Some(stdin), Some(stdout), Some(errors)) =
            (child.id(), child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(other(command, io::Error::other("it has no pipes")));
        };
        let watched = Some(guardian.watch(id));
        tracing::debug!(event = "spawned", server, pid = id, program = command.program);

        let span = tracing::debug_span!("process", server, pid = id);
        let (tail, gone) = (Tail::default(), CancellationToken::new());
        let kept = (tail.clone(), journals.of_server(server));
        let reader = drain(errors, server.to_owned(), stderr, kept, gone.clone());
        let reader = tracker.spawn(reader.instrument(span.clone()));
        let (order, orders) = watch::channel(None);
        let (tell, ended) = watch::channel(None);
        let reader = Some(reader);
        let owner = Owner { watched, child, mark, exits, orders, reader, gone, struck: Vec::new() };
        tracker.spawn(owner.see_off(tell).instrument(span));

        let wide = wide.clone().try_acquire_owned().ok();
        if wide.is_some() {
            widen(&stdout);
        }
        let process = Self { server: server.to_owned(), id, order, ended, tail, _wide: wide };
        Ok(Spawned { process, stdin, stdout })
    }

    /// The number of the leader, for logs. It may belong to a stranger once the process has ended.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Resolves once the leader is reaped, nothing of its tree is left, and its stderr is read.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(ended)) => ended.clone(),
            // The owner went away with its runtime, and struck the group as it left.
            Ok(None) | Err(_) => Ended::unseen(),
        }
    }

    /// How it ended, if it did.
    pub fn has_ended(&self) -> Option<Ended> {
        self.ended.borrow().clone()
    }

    /// Ends the whole tree, and returns when nothing of it is left.
    ///
    /// Waits `after_eof` for the leader to leave by itself (its stdin should be closed), then sends SIGTERM
    /// to its group, waits `after_term`, then SIGKILL, then looks for who left the group. May be called
    /// often and from several places: the most urgent pace holds for all. It returns in any case
    /// twice `UNKILLABLE_WAIT_MAX` after the SIGKILL, even if the system itself cannot end the process.
    pub async fn stop(&self, pace: Pace) -> Ended {
        let order = self.hurry(pace);
        match timeout_at(order.kill_at + UNKILLABLE_WAIT_MAX * 2, self.ended()).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::error!(event = "unkillable", server = self.server, pid = self.id);
                Ended { status: "did not end after SIGKILL".to_owned(), success: false }
            }
        }
    }

    /// The last lines of its stderr, escaped, for an error message.
    pub fn stderr_tail(&self) -> String {
        self.tail.quote()
    }

    /// All that is kept of its stderr, escaped.
    pub fn stderr_text(&self) -> String {
        self.tail.text()
    }

    /// Orders the end, and says what is ordered now. An order can only become more urgent.
    fn hurry(&self, pace: Pace) -> Order {
        let asked = Order::at(Instant::now(), pace);
        let mut ordered = asked;
        self.order.send_if_modified(|order| {
            ordered = order.map_or(asked, |present| present.sooner(asked));
            order.replace(ordered) != Some(ordered)
        });
        ordered
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.hurry(Pace::NOW);
    }
}

impl Ended {
    fn with(status: std::process::ExitStatus) -> Self {
        let text = match (status.code(), Here::ending_signal(status)) {
            (Some(code), _) => format!("exited with status {code}"),
            (None, Some(signal)) => format!("was killed by signal {signal}"),
            (None, None) => "ended".to_owned(),
        };
        Self { status: text, success: status.success() }
    }

    fn unseen() -> Self {
        Self { status: "was left behind".to_owned(), success: false }
    }
}

/// When to strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    term_at: Instant,
    kill_at: Instant,
}

impl Order {
    fn at(now: Instant, pace: Pace) -> Self {
        let term_at = now + pace.after_eof.min(PACE_MAX);
        Self { term_at, kill_at: term_at + pace.after_term.min(PACE_MAX) }
    }

    fn sooner(self, other: Self) -> Self {
        Self { term_at: self.term_at.min(other.term_at), kill_at: self.kill_at.min(other.kill_at) }
    }
}

type Member = <Here as System>::Member;

/// The one task that may touch the child.
#[derive(Debug)]
struct Owner {
    /// Given up before the child is reaped, here and when the owner is dropped: so it stands before `child`.
    watched: Option<Watched>,
    /// Its `id` is there exactly as long as its number cannot pass to a stranger: tokio forgets it when it
    /// reaps.
    child: Child,
    mark: Mark,
    exits: Exits,
    orders: watch::Receiver<Option<Order>>,
    reader: Option<JoinHandle<()>>,
    gone: CancellationToken,
    /// Whom the last blow was for, beside the group.
    struck: Vec<Member>,
}

impl Owner {
    async fn see_off(mut self, tell: watch::Sender<Option<Ended>>) {
        self.until_exit().await;
        self.end_the_rest().await;
        self.watched = None;
        let ended = match self.child.wait().await {
            Ok(status) => Ended::with(status),
            Err(error) => Ended { status: format!("ended unseen: {error}"), success: false },
        };
        self.gone.cancel();
        if let Some(reader) = self.reader.take() {
            let _ = reader.await;
        }
        tracing::debug!(event = "ended", status = ended.status);
        let _ = tell.send(Some(ended));
    }

    /// Until the leader has exited, by itself or struck down as ordered. It is not reaped then.
    async fn until_exit(&mut self) {
        let mut last = None;
        loop {
            let order = *self.orders.borrow_and_update();
            let next = match (order, last) {
                (_, Some(Blow::Kill)) | (None, _) => None,
                (Some(order), Some(Blow::Term)) => Some((order.kill_at, Blow::Kill)),
                // Who asks for both at once wants the second.
                (Some(order), None) if order.kill_at <= order.term_at => Some((order.kill_at, Blow::Kill)),
                (Some(order), None) => Some((order.term_at, Blow::Term)),
            };
            // The last order was given when the handle was dropped; there will be no other.
            let is_held = self.orders.has_changed().is_ok();
            tokio::select! {
                biased;
                () = self.exits.of(&mut self.child) => return,
                _ = self.orders.changed(), if is_held => {}
                () = sleep_until(next.map_or_else(Instant::now, |(at, _)| at)), if next.is_some() => {
                    if let Some((_, blow)) = next {
                        self.strike(blow).await;
                        last = Some(blow);
                    }
                }
            }
        }
    }

    /// With the leader gone, the rest of its tree. When a stop was ordered they have a moment to follow
    /// it; else it crashed, and nobody is left whom they serve.
    async fn end_the_rest(&mut self) {
        let start = Instant::now();
        let mut is_asked = false;
        let mut unclear_looks = 0;
        let mut pause = PAUSE_MIN;
        loop {
            let kin = self.kin().await;
            if kin.members.is_empty() {
                // Somebody else's process may have no environment for good.
                if !kin.unclear || unclear_looks == UNCLEAR_LOOKS_MAX {
                    break;
                }
                unclear_looks += 1;
            }
            let now = Instant::now();
            let order = *self.orders.borrow();
            let kill_at = order.map_or(start, |order| order.kill_at.min(start + FOLLOW_WAIT_MAX));
            if now >= kill_at + UNKILLABLE_WAIT_MAX {
                tracing::error!(event = "unkillable", left = kin.members.len());
                break;
            }
            if now >= kill_at {
                self.strike_all(kin.members, Blow::Kill);
            } else if !is_asked && !kin.members.is_empty() {
                is_asked = true;
                self.strike_all(kin.members, Blow::Term);
            }
            // Nobody tells us when a grandchild ends, so we look again, soon at first.
            let wait = if now < kill_at { pause.min(kill_at - now) } else { pause };
            sleep(wait).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        // Who has just been struck may take a moment to become what can be reaped.
        for _ in 0..REAPS_MAX {
            self.struck.retain(|member| !Here::reap(member));
            if self.struck.is_empty() {
                break;
            }
            sleep(PAUSE_MIN).await;
        }
        // Where the system cannot list them, this is what ends them; elsewhere it hits nobody.
        self.strike_group(Blow::Kill);
    }

    /// Strikes the group. Before the last blow, who has left the group is looked up, while the leader
    /// still leads to them.
    async fn strike(&mut self, blow: Blow) {
        tracing::debug!(event = "struck", ?blow);
        match blow {
            Blow::Term => self.strike_group(Blow::Term),
            Blow::Kill => {
                let kin = self.kin().await;
                self.strike_all(kin.members, Blow::Kill);
                let _ = self.child.start_kill();
            }
        }
    }

    fn strike_all(&mut self, members: Vec<Member>, blow: Blow) {
        self.strike_group(blow);
        members.iter().for_each(|member| Here::strike(member, blow));
        for before in std::mem::replace(&mut self.struck, members) {
            Here::reap(&before);
        }
    }

    fn strike_group(&self, blow: Blow) {
        if let Some(leader) = self.child.id() {
            Here::strike_group(leader, blow);
        }
    }

    /// Who else is there. It reads a file per process, so off the runtime.
    async fn kin(&self) -> Kin<Member> {
        let nobody = Kin { members: Vec::new(), groups: Vec::new(), unclear: false };
        let Some(leader) = self.child.id() else { return nobody };
        let mark = self.mark.word().to_owned();
        let look = move || Here::kin(Family::Tree { leader, mark: &mark });
        tokio::task::spawn_blocking(look).await.unwrap_or(nobody)
    }
}

/// The owner's task ends early only with its runtime; then at least nobody is left running.
impl Drop for Owner {
    fn drop(&mut self) {
        self.strike_group(Blow::Kill);
    }
}

fn start(command: &Command, mark: &Mark) -> Result<Child, SpawnError> {
    let environment = environment(command, mark, std::env::vars_os());
    let path = environment.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    let file = locate(command, &path)?;
    let mut child = tokio::process::Command::new(&file);
    child
        .args(&command.args)
        .current_dir(&command.folder)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // For the case that the runtime goes before the owner. It reaches the leader only.
        .kill_on_drop(true);
    Here::set_apart(&mut child);
    child.spawn().map_err(|source| unstarted(command, &path, file, source))
}

fn other(command: &Command, source: io::Error) -> SpawnError {
    SpawnError::Other { program: command.program.clone(), source }
}

/// What we wait for the system to end a process that got its SIGKILL.
pub const UNKILLABLE_WAIT_MAX: Duration = Duration::from_secs(2);

/// The longest step of a stop, whatever was asked for.
pub const PACE_MAX: Duration = Duration::from_secs(60 * 60);

/// Programs that are started at once, and how long one waits for its turn.
const SPAWNS_AT_ONCE: usize = 2;
/// Pipes of programs that hold more than is usual. The system bounds what all pipes of a user hold, and beyond that bound
/// gives those of any program little.
const WIDE_PIPES_MAX: usize = 64;
const TURN_WAIT_MAX: Duration = Duration::from_millis(100);

/// What the rest of a tree gets to follow its leader, within a stop.
const FOLLOW_WAIT_MAX: Duration = Duration::from_secs(1);

/// Looks at who is between two programs, which lasts microseconds on an idle machine and may last many
/// milliseconds on a busy one. With the pauses between them they take a third of a second at most.
const UNCLEAR_LOOKS_MAX: usize = 10;

/// Looks at who is about to end.
const REAPS_MAX: usize = 25;

const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(50);

#[cfg(all(test, unix))]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_program_that_is_long_in_starting_holds_up_others_for_a_moment() {
        let cookie = Arc::new(Cookie::new("1d").unwrap());
        let guardian = Arc::new(Guardian::new(&cookie, None));
        let nursery = Nursery::new(cookie, guardian, TaskTracker::new());
        let command = Command::new("true", Path::new("/"));
        let run = async || {
            let begun = Instant::now();
            let spawned = nursery.spawn(&command, "test", config::Stderr::Log).await.unwrap().unwrap();
            (spawned, begun.elapsed())
        };
        let (_one, waited) = run().await;
        assert!(waited < TURN_WAIT_MAX, "nobody else is there");
        let turns = nursery.births.clone().acquire_many_owned(SPAWNS_AT_ONCE as u32).await.unwrap();
        let (_other, waited) = run().await;
        assert!(waited >= TURN_WAIT_MAX, "the others are still at it");
        drop(turns);
        assert_eq!(nursery.births.available_permits(), SPAWNS_AT_ONCE, "each turn is given back");
        assert_eq!(nursery.wide.available_permits(), WIDE_PIPES_MAX - 2, "as long as they are there");
        drop((_one, _other));
        assert_eq!(nursery.wide.available_permits(), WIDE_PIPES_MAX);
    }
}
