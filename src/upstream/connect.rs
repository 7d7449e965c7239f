//! How a server is greeted: it is asked whether it does without a handshake; if it does not, `initialize`, its answer,
//! `notifications/initialized`.
//!
//! Straight-line code over a stream. It says of the client what it was given and of us what it must:
//! our name, and the mark by which a proxy that meets itself knows it.

use super::clock::Clock;
use super::dial::Distance;
use super::exchange::Exchange;
use super::frame::Freight;
use super::link::Greeting;
use super::probe::{self, Discovered};
use super::standing::Standing;
use super::stderr::escaped;
use super::stream::{Posting, Stream};
use super::subject::{Setting, Subject};
use super::verdict::{Manner, Verdict};
use crate::config::codes::Code;
use crate::config::{Protocol, toml_key};
use crate::mcp::caller::Told;
use crate::mcp::capabilities::Capabilities;
use crate::mcp::revision::Revision;
use crate::wire::fault::{Fault, Reason};
use crate::wire::members::{member, quote, string};
use crate::wire::message::{HOP_KEY, Head, Message, Outcome};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How we introduce ourselves to every server.
#[derive(Debug, Clone)]
pub struct Introduction {
    pub name: Arc<str>,
    pub version: &'static str,
    /// Marks of the proxies that a message has passed on its way here, ours last.
    pub hops: Arc<str>,
}

/// A connection that has just been made, and what is known of its server.
pub(super) struct Greeter<'a> {
    pub(super) stream: &'a Arc<Stream>,
    pub(super) server: &'a Arc<str>,
    pub(super) introduction: &'a Introduction,
    pub(super) protocol: &'a Protocol,
    pub(super) verdict: &'a Verdict,
    pub(super) distance: Distance,
    /// It was found to speak a transport that is older than servers without a handshake.
    pub(super) is_older: bool,
    /// How long all of it may take, and since when.
    pub(super) start: Duration,
    pub(super) born: Instant,
    /// Raised for as long as the server has been asked and nothing of it was heard.
    pub(super) asking: &'a AtomicBool,
}

impl Greeter<'_> {
    /// Settles how the server is spoken to. The faults say what went wrong, not which server. `told`: what it is told of its
    /// client, once that has said it.
    pub(super) async fn greet(&self, told: &mut watch::Receiver<Option<Told>>) -> Result<Greeting, Fault> {
        let asks = match (self.protocol, self.is_older) {
            (_, true) | (Protocol::Handshake, false) => false,
            (Protocol::Revision(revision), false) => is_stateless(revision),
            (Protocol::Auto, false) => self.verdict.known() != Some(Manner::Handshake),
        };
        if asks {
            return self.ask(told).await;
        }
        let greeting = self.handshake(told).await?;
        self.verdict.confirms();
        Ok(greeting)
    }

    /// Asks whether it does without a handshake, and does as it says.
    async fn ask(&self, told: &mut watch::Receiver<Option<Told>>) -> Result<Greeting, Fault> {
        for _ in 0..QUESTIONS_MAX {
            if let Some(greeting) = self.ask_once(told).await? {
                return Ok(greeting);
            }
        }
        Err(refused(format!("does not take revision {}, and says that it speaks it", Revision::MODERN)))
    }

    /// `None`: it is to be asked again.
    async fn ask_once(&self, told: &mut watch::Receiver<Option<Told>>) -> Result<Option<Greeting>, Fault> {
        // Of a client that has not said who it is yet, nothing is declared.
        let known = told.borrow().as_ref().map(|told| told.capabilities.clone());
        let standing = Standing::new(self.introduction, known.unwrap_or_else(|| Arc::from("{}")));
        let patience = self.patience(self.born);
        let mut asked = probe::ask(self.stream, &standing, patience)?;
        self.asking.store(true, Ordering::Release);
        let answered = match self.silence() {
            Some(silence) => timeout(silence, asked.answer()).await,
            None => Ok(asked.answer().await),
        };
        let Ok(answer) = answered else { return self.greet_as_well(asked, told).await };
        match self.read(&answer?) {
            Discovered::Stateless(greeting) => self.stands(*greeting, told).await.map(Some),
            Discovered::Again => Ok(None),
            Discovered::Foreign(said) => Err(foreign(&said)),
            Discovered::Handshake => match self.protocol {
                Protocol::Auto | Protocol::Handshake => self.found(self.handshake(told).await).map(Some),
                Protocol::Revision(_) => {
                    let key = toml_key(self.server);
                    let text =
                        format!("does not speak revision {} (servers.{key}.protocol)", Revision::MODERN);
                    Err(refused(text))
                }
            },
        }
    }

    /// How long it may leave the question unanswered before it is greeted as well.
    fn silence(&self) -> Option<Duration> {
        match (self.distance, self.protocol) {
            // That nothing comes says nothing of a server behind a network.
            (Distance::Far, _) => None,
            // Whoever wrote that it does without does not want it greeted.
            (Distance::Near, Protocol::Revision(_)) => None,
            (Distance::Near, Protocol::Auto | Protocol::Handshake) => Some(SILENCE),
        }
    }

    /// Greets a server that has not answered yet. A program that is loading answers both in their order; one that ignores
    /// what it does not know, the second.
    async fn greet_as_well(
        &self,
        mut asked: Exchange,
        told: &mut watch::Receiver<Option<Told>>,
    ) -> Result<Option<Greeting>, Fault> {
        let mut told_first = told.clone();
        let mut handshake = Box::pin(self.handshake(&mut told_first));
        let (answer, fault) = tokio::select! {
            biased;
            answer = asked.answer() => (answer, None),
            greeted = &mut handshake => match greeted {
                Ok(greeting) => return self.found(Ok(greeting)).map(Some),
                // One that does without may refuse this sooner than it has looked what it is.
                Err(fault) => (asked.answer().await, Some(fault)),
            },
        };
        match (answer.map(|answer| self.read(&answer)), fault) {
            (Ok(Discovered::Stateless(greeting)), _) => self.stands(*greeting, told).await.map(Some),
            (Ok(Discovered::Again), _) => Ok(None),
            (Ok(Discovered::Foreign(said)), _) => Err(foreign(&said)),
            (Ok(Discovered::Handshake) | Err(_), Some(fault)) => Err(fault),
            (Ok(Discovered::Handshake) | Err(_), None) => self.found(handshake.await).map(Some),
        }
    }

    /// What came of a greeting that was not known to be right.
    fn found(&self, greeted: Result<Greeting, Fault>) -> Result<Greeting, Fault> {
        greeted.inspect(|_| self.verdict.finds(Manner::Handshake))
    }

    fn read(&self, answer: &Message) -> Discovered {
        self.asking.store(false, Ordering::Release);
        match self.stream.is_found_stateless() {
            true => probe::read_of_stateless(answer),
            false => probe::read(answer),
        }
    }

    /// It does: each request says what a handshake would have said.
    async fn stands(
        &self,
        greeting: Greeting,
        told: &mut watch::Receiver<Option<Told>>,
    ) -> Result<Greeting, Fault> {
        self.verdict.finds(Manner::Stateless);
        let told = said(told).await;
        self.stream.stand(greeting.revision, Standing::new(self.introduction, told.capabilities));
        Ok(greeting)
    }

    async fn handshake(&self, told: &mut watch::Receiver<Option<Told>>) -> Result<Greeting, Fault> {
        let early = told.borrow().is_some();
        let told = said(told).await;
        // The time that a program has to start does not run while we wait for our own client.
        let since = if early { self.born } else { Instant::now() };
        let revision = match self.protocol {
            Protocol::Revision(revision) => Revision::negotiate(revision),
            Protocol::Auto | Protocol::Handshake => told.revision.min(Revision::LATEST),
        };
        self.initialize(revision, &told.capabilities, self.patience(since)).await
    }

    fn patience(&self, since: Instant) -> Duration {
        self.start.saturating_sub(since.elapsed()).max(PATIENCE_MIN)
    }

    async fn initialize(
        &self,
        revision: Revision,
        capabilities: &str,
        patience: Duration,
    ) -> Result<Greeting, Fault> {
        let Self { stream, introduction, .. } = *self;
        let request = |id| {
            Bytes::from(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"initialize","params":{{"protocolVersion":"{}","capabilities":{},"clientInfo":{{"name":{},"version":{}}},"_meta":{{"{HOP_KEY}":{}}}}}}}"#,
                revision.as_str(),
                capabilities,
                quote(&introduction.name),
                quote(introduction.version),
                quote(&introduction.hops),
            ))
        };
        let clock = Clock::plain(patience);
        let posted = stream.post(Posting::ours(Freight::Request, clock.next()), request)?;
        let subject = Subject::ours("initialize", Setting::Start, self.start);
        let exchange =
            Exchange::new(stream.clone(), posted, Arc::default(), clock, None, subject).never_cancelled();
        let response = exchange.response().await?;
        self.asking.store(false, Ordering::Release);
        let Head::Response { outcome, .. } = response.head() else {
            return Err(refused("the answer to initialize is no response"));
        };
        let result = match outcome {
            Outcome::Result { value, .. } => response.str(*value),
            Outcome::Error { value, code, .. } => {
                let error = response.str(*value);
                let said = member(error, "message").and_then(string).unwrap_or_default();
                let said = stream.quoted(&said, SAID_CHARS_MAX);
                let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
                let fault = refused(format!("refused initialize: {said}{code}"));
                return Err(fault.explained(Code::HandshakeRefused));
            }
        };
        let greeting = read(result)?;
        stream.agree(greeting.revision);
        Ok(greeting)
    }
}

/// What the client has said of itself, once it has.
async fn said(told: &mut watch::Receiver<Option<Told>>) -> Told {
    let told = told.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
    match told {
        Some(told) => told,
        // The client left before it said who it is; the stop is on its way.
        None => std::future::pending().await,
    }
}

fn is_stateless(revision: &str) -> bool {
    Revision::parse(revision).is_some_and(Revision::is_modern)
}

fn foreign(said: &str) -> Fault {
    let ours = Revision::ALL.map(Revision::as_str).join(", ");
    refused(format!("speaks revision `{}`; we speak {ours}", brief(said))).explained(Code::UnknownRevision)
}

fn read(result: &str) -> Result<Greeting, Fault> {
    let text = |key| member(result, key).and_then(string);
    let offered = text("protocolVersion").unwrap_or_default();
    // One that has no handshake is never the outcome of one.
    let Some(revision) = Revision::parse(&offered).filter(|revision| !revision.is_modern()) else {
        return Err(foreign(&offered));
    };
    Ok(Greeting {
        revision,
        capabilities: member(result, "capabilities").map(Capabilities::read).unwrap_or_default(),
        instructions: text("instructions").map(std::borrow::Cow::into_owned),
        info: member(result, "serverInfo").map(str::to_owned),
    })
}

/// What a server says, within our sentence: on one line, and not for ever.
fn brief(said: &str) -> String {
    escaped(&said.chars().take(SAID_CHARS_MAX).collect::<String>())
}

const SAID_CHARS_MAX: usize = 500;
/// How often a server is asked that wants to be asked again.
const QUESTIONS_MAX: usize = 2;
/// How long a program may leave the question unanswered before it is greeted as well: some ignore what they do not know.
const SILENCE: Duration = Duration::from_secs(2);
/// A program that took all its time to load is still given this to answer.
const PATIENCE_MIN: Duration = Duration::from_millis(1);

fn refused(why: impl Into<String>) -> Fault {
    Fault::ours(Reason::Unreachable, why)
}
