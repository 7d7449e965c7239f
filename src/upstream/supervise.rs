//! The life of one link: start, greet, watch, end, wait, again.
//!
//! One task per link owns its process and its stream from the first to the last. It starts at most as many
//! at once as it has slots for, ends a tree before it starts the next, and never gives up for good.

use super::audience::Audience;
use super::connect::{Greeter, Introduction};
use super::dial::{Dial, Distance};
use super::errands::Errands;
use super::link::{Greeting, LastWords, Link, State};
use super::listening::Listening;
use super::ping;
use super::process::{Pace, Process};
use super::server::REMOVED;
use super::setup::{Setup, Watched};
use super::since::Since;
use super::stream::{Again, Stream};
use super::tally::Tally;
use super::verdict::{Manner, Verdict};
use crate::config::codes::Code;
use crate::config::{Limits, Protocol, Restart, ServerConfig};
use crate::mcp::caller::{Grant, Told};
use crate::routing::backoff::Backoff;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use futures::FutureExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::task::TaskTracker;

/// Everything that one link's task needs. Its state is the only thing that others see.
pub(super) struct Supervisor {
    pub(super) server: Arc<str>,
    /// What the server is told to be, as this life of the link has it.
    pub(super) settings: Arc<ServerConfig>,
    pub(super) dial: Arc<dyn Dial>,
    /// In whose name the server is reached.
    pub(super) whose: Grant,
    pub(super) edition: u64,
    /// What it is told to be by now.
    pub(super) setups: Watched,
    pub(super) limits: Arc<Limits>,
    pub(super) introduction: Introduction,
    /// What the server is told of its client; empty until the client has said it.
    pub(super) told: watch::Receiver<Option<Told>>,
    /// Whether the server does without a handshake, as far as it is known.
    pub(super) verdict: Arc<Verdict>,
    pub(super) starting: Arc<Semaphore>,
    pub(super) audience: Arc<Audience>,
    pub(super) tracker: TaskTracker,
    pub(super) tally: Arc<Tally>,
    pub(super) state: watch::Sender<State>,
    /// Since when that is so.
    pub(super) since: Arc<Since>,
    /// Rung when it is to be begun anew.
    pub(super) anew: Arc<Notify>,
    /// Rung by a request that finds the server stopped.
    pub(super) wake: Arc<Notify>,
    /// Filled once: the link must end, at this pace.
    pub(super) stop: watch::Receiver<Option<Pace>>,
}

/// How one life of a link ended.
struct End {
    why: Fault,
    last_words: LastWords,
    /// Since when it was healthy, if it ever was.
    since: Option<Instant>,
    /// It left by itself and said that all was well.
    content: bool,
    again: Again,
}

/// What was begun without a pause, so that it does not go on like that for ever.
#[derive(Default)]
struct Haste {
    /// The connection before.
    before: bool,
    /// One that was to be greeted otherwise; it has not been ready since.
    otherwise: bool,
}

impl Supervisor {
    pub(super) async fn run(mut self) {
        let mut backoff = self.backoff();
        let mut haste = Haste::default();
        loop {
            self.becomes(State::Connecting);
            let before = self.settings.backoff.clone();
            if self.looks_up() {
                // What was found of the one before says nothing of this one.
                self.verdict.forgets();
                haste = Haste::default();
            }
            if self.settings.backoff != before {
                backoff = self.backoff();
            }
            let end = self.live().await;
            if self.stop.borrow().is_some() {
                let why = self.stopped().why.outcome(CallOutcome::NotSent);
                let last_words = LastWords::default();
                self.becomes(State::Down { why, last_words, retry_at: None });
                return;
            }
            let again = match self.settings.restart {
                Restart::Always => true,
                Restart::OnFailure => !end.content,
                Restart::Never => false,
            } && end.again != Again::WhenNeeded;
            // One that is greeted otherwise is still being started.
            if (again || matches!(end.again, Again::Otherwise | Again::Asked)) && haste.permits(&end) {
                self.tally.restarts(cause(&end));
                tracing::info!(event = "restart", server = %self.server, why = end.why.text, "connected anew");
                continue;
            }
            let pause = backoff.failed(Instant::now().into_std(), end.since.map(Instant::into_std), jitter());
            let retry_at = again.then(|| Instant::now() + pause);
            let parked = backoff.parked();
            let why = end.why.text.replace('\n', " | ");
            let code = end.why.explain.map(Code::id);
            let retry = again.then(|| format!("{:.1}s", pause.as_secs_f64()));
            tracing::warn!(event = "down", server = %self.server, code, why, retry = retry.as_deref(), parked, "down");
            // What a program said last is for those who may read its log.
            self.tally.is_troubled(end.last_words.without(&end.why.text));
            self.tally.is_missed();
            let cause = cause(&end);
            // A ring from before is no reason to start it again.
            self.wake.notified().now_or_never();
            self.becomes(State::Down { why: end.why, last_words: end.last_words, retry_at });
            let is_woken = match (again, self.dial.distance()) {
                (false, _) => self.settings.restart != Restart::Never,
                // What is wrong may be the network between, and who needs it may know that first.
                (true, Distance::Far) => end.again != Again::NotSooner,
                (true, Distance::Near) => false,
            };
            let soonest = match (again, end.again) {
                (true, _) | (_, Again::WhenNeeded) => Instant::now() + WOKEN_AFTER,
                (false, _) => Instant::now(),
            };
            let woken = async {
                self.wake.notified().await;
                sleep_until(soonest).await;
            };
            tokio::select! {
                () = sleep_until(retry_at.unwrap_or_else(Instant::now)), if again => {}
                () = woken, if is_woken => {}
                () = self.anew.notified() => {}
                () = self.setups.outdates(self.edition) => {}
                _ = asked_to_stop(&mut self.stop) => continue,
            }
            self.tally.restarts(cause);
        }
    }

    fn backoff(&self) -> Backoff {
        let backoff = &self.settings.backoff;
        Backoff::new(backoff.min, backoff.max, backoff.reset_after)
    }

    /// Takes what holds by now for the life that begins. Whether the server is reached otherwise.
    fn looks_up(&mut self) -> bool {
        let Setup { settings, dial, edition, .. } = self.setups.now();
        let is_another = edition != self.edition;
        (self.settings, self.dial, self.edition) = (settings, dial, edition);
        is_another
    }

    fn becomes(&self, state: State) {
        self.since.set();
        self.state.send_replace(state);
    }

    /// From a start to the end of what it started: nothing of it is left when this returns.
    async fn live(&mut self) -> End {
        let mut stop = self.stop.clone();
        let slot = tokio::select! {
            // First, so that nothing is started only to be ended.
            biased;
            _ = asked_to_stop(&mut stop) => return self.stopped(),
            slot = self.starting.clone().acquire_owned() => slot.ok(),
        };
        // Whoever asked for a new one before gets it.
        self.anew.notified().now_or_never();
        let born = Instant::now();
        let stopped = async {
            match self.dial.distance() {
                // A program that is being started is there in a moment, and must be ended as it should.
                Distance::Near => std::future::pending().await,
                // A program that makes headers may take its time, and ends with the dial.
                Distance::Far => asked_to_stop(&mut stop).await,
            }
        };
        let anew = async {
            match self.dial.distance() {
                Distance::Near => std::future::pending().await,
                Distance::Far => self.anew.notified().await,
            }
        };
        let dialed = tokio::select! {
            biased;
            dialed = self.dial.dial_for(&self.whose) => dialed,
            _ = stopped => return self.stopped(),
            () = anew => return self.asked_anew(None),
        };
        let dialed = match dialed {
            Ok(dialed) => dialed,
            Err(fault) => {
                let needs_caller =
                    fault.explain == Some(Code::LoginNeeded) && self.settings.is_reached_by_grant();
                let again = if needs_caller { Again::WhenNeeded } else { Again::InTime };
                return End { again, ..End::of(self.named(self.explained(fault, Code::NotStarted)), None) };
            }
        };
        tracing::debug!(server = %self.server, transport = self.dial.transport(), "started");
        let (audience, limits) = (self.audience.clone(), self.limits.clone());
        let counted = (&self.tally, &self.tracker);
        let stream = Stream::start(&self.server, dialed.carry, audience, &limits, counted);
        // A slot is for the first moments of a program, when it loads; a handshake may take its time.
        let first = stream.clone();
        self.tracker.spawn(async move {
            timeout(SLOT_HELD_MAX, first.heard()).await.ok();
            drop(slot);
        });
        let (end, pace) = self.serve(&stream, dialed.process.as_ref(), born).await;
        stream.hang_up();
        let end = match dialed.process {
            Some(process) => self.bury(&stream, &process, end, pace).await,
            None => end,
        };
        stream.close(&end.why);
        end
    }

    /// Greets the server and watches over it until it is gone, or must go.
    async fn serve(&mut self, stream: &Arc<Stream>, process: Option<&Process>, born: Instant) -> (End, Pace) {
        let mut stop = self.stop.clone();
        let (asking, anew) = (AtomicBool::new(false), self.anew.clone());
        let (setups, edition) = (self.setups.clone(), self.edition);
        let greeted = tokio::select! {
            // What went wrong with the greeting says more than that it ended.
            biased;
            greeted = self.greet(stream, born, &asking) => greeted,
            () = gone(stream, process) => Err(self.lost(stream, unanswered(&asking))),
            () = anew.notified() => return (self.asked_anew(None), Pace::CALM),
            () = setups.outdates(edition) => return (self.outdated(None), Pace::CALM),
            pace = asked_to_stop(&mut stop) => return (self.stopped(), pace),
        };
        let greeting = match greeted {
            Ok(greeting) => greeting,
            Err(fault) => {
                let again = self.not_greeted(stream, &fault, &asking);
                let why = self.named(self.explained(fault, Code::BadAnswer));
                return (End { again, ..End::of(why, None) }, Pace::CALM);
            }
        };
        let since = Instant::now();
        let (revision, took) = (greeting.revision.as_str(), since.duration_since(born));
        tracing::info!(event = "ready", server = %self.server, revision, took_ms = took.as_millis() as u64, "ready");
        let errands = Errands {
            stream: stream.clone(),
            audience: self.audience.clone(),
            patience: self.settings.timeouts.list,
            tracker: self.tracker.clone(),
            logs: greeting.capabilities.logging && !greeting.revision.is_modern(),
            connection: self.audience.connected(),
            listening: greeting.revision.is_modern().then(|| {
                let (audience, told) = (self.audience.clone(), greeting.capabilities.clone());
                Listening::new(stream.clone(), audience, told, self.settings.timeouts.read)
            }),
        };
        // What its clients asked of the connection before, ahead of their calls.
        errands.level();
        errands.subscribe_again();
        let (stream_kept, distance) = (stream.clone(), self.dial.distance());
        let errands_kept = errands.clone();
        let link =
            Arc::new(Link { stream: stream_kept, greeting, took, distance, edition, errands: errands_kept });
        self.tally.speaks(revision);
        self.becomes(State::Ready(link));
        // A level that was asked for in between found no link to be told to.
        errands.level();
        let ended = tokio::select! {
            () = gone(stream, process) => {
                let why = self.lost(stream, "went away");
                (End { again: again(stream), ..End::of(why, Some(since)) }, Pace::CALM)
            }
            () = self.watch(stream) => {
                let why = self.lost(stream, "is not watched any more");
                (End { again: again(stream), ..End::of(why, Some(since)) }, Pace::CALM)
            }
            () = self.anew.notified() => {
                // Who comes from now on waits for the one that is started.
                self.becomes(State::Connecting);
                tokio::select! {
                    () = finished(stream) => {}
                    _ = asked_to_stop(&mut stop) => {}
                }
                (self.asked_anew(Some(since)), Pace::CALM)
            }
            () = setups.outdates(edition) => {
                self.becomes(State::Connecting);
                tokio::select! {
                    () = finished(stream) => {}
                    _ = asked_to_stop(&mut stop) => {}
                }
                (self.outdated(Some(since)), Pace::CALM)
            }
            pace = asked_to_stop(&mut stop) => (self.stopped(), pace),
        };
        self.tally.lasted(since.elapsed());
        ended
    }

    /// The server was asked or greeted in vain: what that says of it, and when it is begun anew.
    fn not_greeted(&self, stream: &Stream, why: &Fault, asking: &AtomicBool) -> Again {
        let again = again(stream);
        match (asking.load(Ordering::Acquire), self.dial.distance()) {
            (false, Distance::Near | Distance::Far) => self.verdict.doubts(),
            (true, Distance::Far) => {
                if let Some(Reason::Timeout | Reason::TimeoutMax | Reason::Internal) = why.reason {
                    self.verdict.suspects();
                }
            }
            (true, Distance::Near) => {
                // Some cannot bear a question before `initialize`: it is begun with that.
                self.verdict.suspects();
                let is_greeted = self.verdict.known() == Some(Manner::Handshake);
                if is_greeted && self.settings.protocol == Protocol::Auto {
                    return Again::Otherwise;
                }
            }
        }
        again
    }

    /// Looks whether a server is still there whose end would not be seen.
    async fn watch(&self, stream: &Arc<Stream>) {
        match self.dial.distance() {
            Distance::Near => std::future::pending().await,
            Distance::Far => ping::watch(stream, self.settings.timeouts.ping).await,
        }
    }

    async fn greet(
        &mut self,
        stream: &Arc<Stream>,
        born: Instant,
        asking: &AtomicBool,
    ) -> Result<Greeting, Fault> {
        let greeter = Greeter {
            stream,
            server: &self.server,
            introduction: &self.introduction,
            protocol: &self.settings.protocol,
            verdict: &self.verdict,
            distance: self.dial.distance(),
            is_older: self.dial.is_older(),
            start: self.settings.timeouts.start,
            born,
            asking,
        };
        greeter.greet(&mut self.told).await
    }

    /// Ends the process and everything it started; the sentence learns how it ended and its last words.
    async fn bury(&mut self, stream: &Arc<Stream>, process: &Process, mut end: End, pace: Pace) -> End {
        if self.stop.borrow().is_some() {
            stream.close(&end.why);
            self.hurry(process, pace).await;
            return end;
        }
        if end.again == Again::Asked {
            stream.close(&end.why);
            self.hurry(process, pace).await;
            return end;
        }
        // A program that closed its stdout is about to exit: how, says more than that it is gone.
        let ended = timeout(LAST_WORDS, process.ended()).await;
        end.last_words = LastWords::new(process.stderr_tail());
        match ended {
            // Of one that we gave up on, our own reason says more.
            Ok(ended) if stream.given_up().is_none() && end.why.reason == Some(Reason::Gone) => {
                end.content = ended.success && end.since.is_some();
                end.why.text = format!("{}: it {ended}{}", self.server, end.last_words.said());
            }
            Ok(_) | Err(_) => end.why.text.push_str(&end.last_words.said()),
        }
        stream.close(&end.why);
        let mut stop = self.stop.clone();
        let hurry = tokio::select! {
            _ = process.stop(pace) => return end,
            hurry = asked_to_stop(&mut stop) => hurry,
        };
        self.hurry(process, hurry).await;
        end
    }

    /// Ends the process at a pace that may become another while it ends: its client left, and then we do.
    async fn hurry(&self, process: &Process, pace: Pace) {
        let (mut stop, mut pace) = (self.stop.clone(), pace);
        stop.mark_unchanged();
        if let Some(asked) = *stop.borrow() {
            pace = asked;
        }
        loop {
            let changed = tokio::select! {
                _ = process.stop(pace) => return,
                changed = stop.changed() => changed,
            };
            if changed.is_err() {
                // Nobody is left who could ask for anything else.
                process.stop(pace).await;
                return;
            }
            pace = stop.borrow().unwrap_or(pace);
        }
    }

    fn lost(&self, stream: &Stream, what: &str) -> Fault {
        let fault = match stream.given_up() {
            Some(lost) => Fault::ours(lost.reason, lost.why.clone()),
            None => Fault::ours(Reason::Gone, what),
        };
        self.named(fault)
    }

    fn named(&self, mut fault: Fault) -> Fault {
        let name = format!("{}: ", self.server);
        if !fault.text.starts_with(&name) {
            fault.text = format!("{}: {}", self.server, fault.text);
        }
        fault.server(&*self.server).outcome(CallOutcome::NotSent)
    }

    fn stopped(&self) -> End {
        let (reason, what) = match self.setups.is_removed() {
            true => (Reason::Gone, REMOVED),
            false => (Reason::Stopping, "Braid is stopping"),
        };
        let why = Fault::ours(reason, format!("{}: {what}", self.server)).server(&*self.server);
        End { content: true, ..End::of(why, None) }
    }

    /// Somebody asked for a new one. `since` when this one was healthy, if it ever was.
    fn asked_anew(&self, since: Option<Instant>) -> End {
        let why = self.named(Fault::ours(Reason::Gone, "is being restarted, as it was asked to be"));
        End { again: Again::Asked, ..End::of(why, since) }
    }

    /// It is reached otherwise from now on.
    fn outdated(&self, since: Option<Instant>) -> End {
        let why =
            self.named(Fault::ours(Reason::Gone, "is being started anew, as the configuration has it now"));
        End { again: Again::Asked, ..End::of(why, since) }
    }

    /// The fault of a start with the code of what it is about, unless whoever found it knew better. `otherwise`: where
    /// nothing else follows from it.
    fn explained(&self, fault: Fault, otherwise: Code) -> Fault {
        if fault.explain.is_some() {
            return fault;
        }
        let code = match (fault.reason, self.dial.distance()) {
            (Some(Reason::Timeout | Reason::TimeoutMax), _) => Code::NoHandshake,
            (Some(Reason::Gone), Distance::Near) => Code::ExitedEarly,
            (Some(Reason::Gone | Reason::Unreachable), Distance::Far) => Code::RemoteUnreachable,
            (Some(Reason::Busy | Reason::Rate), Distance::Far) => Code::RemoteRefused,
            (Some(Reason::TooLarge), _) => Code::TooLarge,
            (Some(Reason::Loop), _) => Code::LoopFound,
            (Some(Reason::Stopping), _) => Code::Stopping,
            (Some(Reason::Internal), Distance::Near) => Code::Internal,
            (Some(_) | None, _) => otherwise,
        };
        fault.explained(code)
    }
}

impl End {
    /// Nothing else is known of it.
    fn of(why: Fault, since: Option<Instant>) -> Self {
        Self { why, last_words: LastWords::default(), since, content: false, again: Again::InTime }
    }
}

impl Haste {
    /// Whether the next may begin without a pause: only the connection is over, and not the server, or it is to be greeted
    /// otherwise. Whoever tried that in vain takes its time.
    fn permits(&mut self, end: &End) -> bool {
        let permits = match end.again {
            Again::AtOnce => end.since.is_some_and(|since| !self.before || since.elapsed() >= STEADY),
            Again::Otherwise => !self.otherwise,
            Again::Asked => true,
            Again::InTime | Again::NotSooner | Again::WhenNeeded => false,
        };
        self.before = permits;
        self.otherwise = end.since.is_none() && (self.otherwise || end.again == Again::Otherwise);
        permits
    }
}

/// In a word, why a server is begun anew.
fn cause(end: &End) -> &'static str {
    match (end.again, end.why.reason) {
        (Again::Asked, _) => "asked",
        (_, Some(reason)) => reason.as_str(),
        (_, None) => "refused",
    }
}

/// Resolves when nothing is in flight, or had its time.
async fn finished(stream: &Stream) {
    let until = Instant::now() + RESTART_GRACE;
    while stream.in_flight() > 0 && Instant::now() < until {
        sleep(RESTART_LOOK).await;
    }
}

/// What a server ended before.
fn unanswered(asking: &AtomicBool) -> &'static str {
    match asking.load(Ordering::Acquire) {
        true => "ended before it answered server/discover",
        false => "ended before it answered initialize",
    }
}

fn again(stream: &Stream) -> Again {
    stream.given_up().map_or(Again::InTime, |lost| lost.again)
}

/// Resolves when the link must end: at which pace. Its owner going away means now.
async fn asked_to_stop(stop: &mut watch::Receiver<Option<Pace>>) -> Pace {
    stop.wait_for(Option::is_some).await.ok().and_then(|pace| *pace).unwrap_or(Pace::NOW)
}

async fn gone(stream: &Stream, process: Option<&Process>) {
    match process {
        None => stream.ended().await,
        Some(process) => tokio::select! {
            () = stream.ended() => {}
            // A child of its may hold the pipe open; what the leader still wrote is read meanwhile.
            _ = process.ended() => { timeout(LAST_WORDS, stream.ended()).await.ok(); }
        },
    }
}

fn jitter() -> u32 {
    let mut bytes = [0; 4];
    // Without randomness the pause is the longest: late, never wrong.
    getrandom::fill(&mut bytes).map_or(u32::MAX, |()| u32::from_ne_bytes(bytes))
}

/// How long a start keeps its slot when nothing is heard.
const SLOT_HELD_MAX: Duration = Duration::from_secs(1);
/// How long a program that hung up has to tell us how it ended.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// How soon after its end a server that is needed is reached for again.
const WOKEN_AFTER: Duration = Duration::from_secs(2);
/// How long calls may take to end before a server that is to be restarted is ended with them.
const RESTART_GRACE: Duration = Duration::from_secs(2);
const RESTART_LOOK: Duration = Duration::from_millis(20);
/// A connection that lasted this long was worth to be made at once.
const STEADY: Duration = Duration::from_secs(10);
