//! What a server without a handshake tells beside its answers: one request of ours that stays open.
//!
//! 2026-07-28, basic/patterns/subscriptions. Owns which request is open at the moment, and what the server said that it
//! tells. What a request asks for never changes while it is open, so that another takes its place when clients want to hear
//! of something else: the old one goes when the new one is there, and stays while that is refused for the moment. What the
//! server tells, the ear brings to the `Audience`, as it does without this.

use super::audience::Audience;
use super::exchange::{Exchange, Word};
use super::stream::Stream;
use super::subject::words;
use crate::config::toml_key;
use crate::mcp::caller::ClientId;
use crate::mcp::capabilities::Capabilities;
use crate::mcp::method::{Kind, Method};
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::members::{elements, member, quote, string};
use crate::wire::message::{Head, Message, Outcome};
use futures::FutureExt;
use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// What a connection's server is asked to tell.
pub(super) struct Listening {
    stream: Arc<Stream>,
    audience: Arc<Audience>,
    capabilities: Capabilities,
    /// How long the server may take to say what it will tell.
    patience: Duration,
    /// Rung when clients want to hear of something else.
    rung: Notify,
    said: watch::Sender<Said>,
    /// How often it was looked at what clients want.
    looks: AtomicU64,
}

/// What came of asking the server.
#[derive(Default)]
struct Said {
    /// Anything at all: nothing is waited for any more.
    is_known: bool,
    /// What it tells.
    told: Filter,
    /// Which look at what clients want it follows.
    look: u64,
}

/// Of which lists and resources something is told.
#[derive(Default, Clone, PartialEq, Eq)]
struct Filter {
    /// In the order of `LISTS`.
    lists: [bool; 3],
    resources: BTreeSet<Box<str>>,
}

/// A request that is open.
struct Open {
    exchange: Exchange,
    asked: Filter,
    consent: Consent,
}

/// Whether the server has said that it tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consent {
    Given,
    /// It tells all the same, perhaps.
    Awaited,
}

/// What came of one request.
enum Opened {
    Agreed(Box<Exchange>, Filter),
    /// Nothing was said to it.
    Silent(Box<Exchange>),
    /// Nothing was said to it yet, and something else is wanted by now.
    Overtaken(Box<Exchange>),
    NotNow,
    /// The server knows nothing of it.
    Never,
}

/// What a server says to being asked.
enum Reply {
    Agrees(Filter),
    Refuses,
    KnowsNothing,
}

/// A subscription before the server has agreed to it. Dropped, it is none.
struct Hope<'a> {
    /// `None`: it has come true.
    listening: Option<&'a Listening>,
    client: ClientId,
    uri: &'a str,
}

/// What is waited before the server is asked again.
#[derive(Default)]
struct Pause {
    time: Duration,
    /// When it was over the last time.
    over: Option<Instant>,
}

impl Listening {
    pub(super) fn new(
        stream: Arc<Stream>,
        audience: Arc<Audience>,
        capabilities: Capabilities,
        patience: Duration,
    ) -> Arc<Self> {
        let said = watch::Sender::default();
        Arc::new(Self {
            stream,
            audience,
            capabilities,
            patience,
            rung: Notify::new(),
            said,
            looks: AtomicU64::new(0),
        })
    }

    /// Clients want to hear of something else.
    pub(super) fn ring(&self) {
        self.rung.notify_one();
    }

    /// Whether the server has said that it tells when this list is another.
    pub(super) fn tells(&self, kind: Kind) -> bool {
        self.said.borrow().told.tells(kind)
    }

    /// Resolves when it is known what the server tells, or it has had a moment to say so. No change of a list that is
    /// fetched then is missed, and it need not be fetched again when the word comes.
    pub(super) async fn begun(&self) {
        let mut said = self.said.subscribe();
        timeout(FIRST_WORD_WAIT_MAX, said.wait_for(|said| said.is_known)).await.map(drop).ok();
    }

    /// A client wants to hear of a resource. It does if this returns well; dropped before, it does not.
    pub(super) async fn subscribe(&self, client: ClientId, uri: &str) -> Result<(), Fault> {
        let mut said = self.said.subscribe();
        let hope = || Hope { listening: Some(self), client, uri };
        let Some(hope) = self.audience.subscribe(client, uri, hope)? else { return Ok(()) };
        let agreed = async {
            // What is told at this moment may be about to be told no more: only what follows a look at this wish counts.
            let before = self.looks.load(Ordering::Acquire);
            self.ring();
            let told = said.wait_for(|said| said.look > before).await;
            told.is_ok_and(|said| said.told.resources.contains(uri))
        };
        let agreed = tokio::select! {
            agreed = timeout(self.patience, agreed) => agreed,
            () = self.over() => {
                let text = format!("{}: went away", self.stream.server());
                return Err(self.unknown(Fault::ours(Reason::Gone, text)));
            }
        };
        let server = self.stream.server();
        match agreed {
            Ok(true) => {
                hope.comes_true();
                Ok(())
            }
            Ok(false) => {
                Err(Fault::invalid_params(format!("{server}: does not tell when this resource changes")))
            }
            Err(_) => {
                let (time, key) = (words(self.patience), toml_key(server));
                let text = format!(
                    "{server}: has not said for {time} whether it tells when this resource changes (servers.{key}.timeouts.read)"
                );
                Err(self.unknown(Fault::ours(Reason::Timeout, text)))
            }
        }
    }

    fn unknown(&self, fault: Fault) -> Fault {
        fault.server(&**self.stream.server()).outcome(CallOutcome::Unknown)
    }

    /// Listens until the connection ends.
    pub(super) async fn keep(self: Arc<Self>) {
        tokio::select! {
            () = self.over() => {}
            () = self.listen() => {}
        }
    }

    async fn over(&self) {
        tokio::select! {
            () = self.stream.ended() => {}
            () = self.stream.deaf() => {}
        }
    }

    async fn listen(&self) {
        let mut open: Option<Open> = None;
        let mut pause = Pause::default();
        loop {
            // Before it is looked: whoever wished for something before this is in what is seen.
            self.looks.fetch_add(1, Ordering::AcqRel);
            let wanted = self.wanted();
            if open.as_mut().is_some_and(|open| open.asked == wanted && open.tells()) {
                let told = self.said.borrow().told.clone();
                self.says(told);
                self.hear(&mut open, &mut pause, None).await;
                continue;
            }
            if wanted.is_empty() {
                open = None;
                self.says(Filter::default());
                self.rung.notified().await;
                continue;
            }
            let mut again = None;
            match self.opened(&wanted).await {
                Opened::Agreed(exchange, told) => {
                    self.agreed(open.as_mut(), told);
                    open = Some(Open::new(*exchange, wanted, Consent::Given));
                }
                Opened::Silent(exchange) => {
                    self.says(Filter::default());
                    open = Some(Open::new(*exchange, wanted, Consent::Awaited));
                }
                Opened::Overtaken(exchange) => {
                    // One to which the server has agreed stays until it has agreed to another.
                    if !open.as_mut().is_some_and(Open::tells) {
                        open = Some(Open::new(*exchange, wanted, Consent::Awaited));
                    }
                    continue;
                }
                Opened::NotNow => {
                    let told = self.said.borrow().told.clone();
                    self.says(told);
                    again = Some(pause.again());
                }
                Opened::Never => {
                    open = None;
                    self.says(Filter::default());
                    self.rung.notified().await;
                    continue;
                }
            }
            self.hear(&mut open, &mut pause, again).await;
        }
    }

    /// Hears what comes of the open request until the server is to be asked again: then, or when clients want to hear of
    /// something else.
    async fn hear(&self, open: &mut Option<Open>, pause: &mut Pause, mut again: Option<Instant>) {
        loop {
            let due = async {
                match again {
                    Some(again) => sleep_until(again).await,
                    None => pending().await,
                }
            };
            let has_ended = tokio::select! {
                () = self.ends(open.as_mut()) => true,
                () = due => false,
                () = self.rung.notified() => false,
            };
            if !has_ended {
                return;
            }
            *open = None;
            self.says(Filter::default());
            again = Some(pause.again());
        }
    }

    /// Resolves when nothing more is told. Cancel-safe.
    async fn ends(&self, open: Option<&mut Open>) {
        let Some(open) = open else { return pending().await };
        loop {
            match (open.exchange.word().await, open.consent) {
                (Word::Note(note), Consent::Awaited) => {
                    if let Some(told) = told(&note) {
                        self.agreed(None, told);
                        open.consent = Consent::Given;
                    }
                }
                (Word::Note(_), Consent::Given) => {}
                (Word::End(_), _) => return,
            }
        }
    }

    /// Asks, and waits for what the server says it will tell.
    async fn opened(&self, wanted: &Filter) -> Opened {
        let params = wanted.params();
        let room = timeout(self.patience, self.stream.room(params.len())).await;
        let Ok(room) = room else { return Opened::NotNow };
        let Ok(exchange) = Exchange::open(&self.stream, "subscriptions/listen", &params, room) else {
            return Opened::NotNow;
        };
        let mut exchange = Box::new(exchange);
        tokio::select! {
            biased;
            reply = timeout(self.patience, reply(&mut exchange)) => match reply {
                Ok(Reply::Agrees(told)) => Opened::Agreed(exchange, told),
                Ok(Reply::Refuses) => Opened::NotNow,
                Ok(Reply::KnowsNothing) => Opened::Never,
                Err(_) => Opened::Silent(exchange),
            },
            // That need not wait for a word about this.
            () = self.rung.notified() => Opened::Overtaken(exchange),
        }
    }

    /// The server has agreed to tell. What happened to a list since it was fetched and before that, nobody told, unless a
    /// request is still open by which it would have been.
    fn agreed(&self, before: Option<&mut Open>, told: Filter) {
        let before = before.is_some_and(Open::tells).then(|| self.said.borrow().told.clone());
        let before = before.unwrap_or_default();
        for kind in Kind::ALL.into_iter().filter(|kind| told.tells(*kind) && !before.tells(*kind)) {
            self.audience.stales();
            self.audience.changed().raise(kind);
        }
        self.says(told);
    }

    fn says(&self, told: Filter) {
        self.audience.agreed(&told.resources);
        let look = self.looks.load(Ordering::Acquire);
        self.said.send_replace(Said { is_known: true, told, look });
    }

    /// What there is to hear of.
    fn wanted(&self) -> Filter {
        let resources = match self.capabilities.subscribe {
            true => self.audience.subscribed(),
            false => Vec::new(),
        };
        Filter { lists: self.capabilities.changes, resources: resources.into_iter().collect() }
    }
}

impl Filter {
    fn is_empty(&self) -> bool {
        self.lists == [false; 3] && self.resources.is_empty()
    }

    /// Of templates is told with the resources.
    fn tells(&self, kind: Kind) -> bool {
        let [tools, prompts, resources] = self.lists;
        match kind {
            Kind::Tools => tools,
            Kind::Prompts => prompts,
            Kind::Resources | Kind::Templates => resources,
        }
    }

    fn params(&self) -> String {
        let lists = LISTS.iter().zip(self.lists).filter(|(_, wanted)| *wanted);
        let mut wanted: Vec<String> = lists.map(|(name, _)| format!(r#""{name}":true"#)).collect();
        if !self.resources.is_empty() {
            let uris: Vec<String> = self.resources.iter().map(|uri| quote(uri)).collect();
            wanted.push(format!(r#""{RESOURCES}":[{}]"#, uris.join(",")));
        }
        format!(r#"{{"notifications":{{{}}}}}"#, wanted.join(","))
    }

    fn read(filter: &str) -> Self {
        let resources = member(filter, RESOURCES).and_then(elements).unwrap_or_default();
        Self {
            lists: LISTS.map(|name| member(filter, name) == Some("true")),
            resources: resources.iter().filter_map(|uri| string(uri)).map(|uri| Box::from(&*uri)).collect(),
        }
    }
}

impl Open {
    fn new(exchange: Exchange, asked: Filter, consent: Consent) -> Self {
        Self { exchange, asked, consent }
    }

    /// Whether all that it asked for, as far as the server has agreed, is told by it at this moment.
    fn tells(&mut self) -> bool {
        while let Some(word) = self.exchange.word().now_or_never() {
            match word {
                Word::Note(_) => {}
                Word::End(_) => return false,
            }
        }
        self.consent == Consent::Given
    }
}

impl Hope<'_> {
    fn comes_true(mut self) {
        self.listening = None;
    }
}

impl Pause {
    /// When to ask again. It takes longer from time to time, until all was well for a while.
    fn again(&mut self) -> Instant {
        let now = Instant::now();
        self.time = match self.over {
            Some(over) if now < over + STEADY => (self.time * 2).min(PAUSE_MAX),
            Some(_) | None => PAUSE_MIN,
        };
        *self.over.insert(now + self.time)
    }
}

impl Drop for Hope<'_> {
    fn drop(&mut self) {
        let Some(listening) = self.listening else { return };
        listening.audience.refused(self.client, self.uri);
        if !listening.audience.is_wanted(self.uri) {
            listening.ring();
        }
    }
}

async fn reply(exchange: &mut Exchange) -> Reply {
    loop {
        match exchange.word().await {
            Word::Note(note) => {
                if let Some(told) = told(&note) {
                    return Reply::Agrees(told);
                }
            }
            Word::End(Ok(answer)) => {
                let knows_nothing = matches!(
                    answer.head(),
                    Head::Response { outcome: Outcome::Error { code: Some(METHOD_NOT_FOUND), .. }, .. }
                );
                return if knows_nothing { Reply::KnowsNothing } else { Reply::Refuses };
            }
            Word::End(Err(_)) => return Reply::Refuses,
        }
    }
}

/// What the server says that it tells; `None`: that is not what it says.
fn told(note: &Message) -> Option<Filter> {
    (Method::parse(note.method()?) == Method::Acknowledged).then(|| {
        let params = note.params().and_then(|params| params.object).map(|object| note.str(object));
        params.and_then(|params| member(params, "notifications")).map(Filter::read).unwrap_or_default()
    })
}

const LISTS: [&str; 3] = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];
const RESOURCES: &str = "resourceSubscriptions";
const METHOD_NOT_FOUND: i64 = -32601;
/// How long the first lists wait for the server to say what it tells.
const FIRST_WORD_WAIT_MAX: Duration = Duration::from_millis(500);
/// Between the end of one and the next.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// What stood this long is worth to be asked for again soon.
const STEADY: Duration = Duration::from_secs(10);
