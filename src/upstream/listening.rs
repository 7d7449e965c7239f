//! What a server without a handshake tells beside its answers: one request of ours that stays open.
//!
//! 2026-07-28, basic/patterns/subscriptions. Owns which request is open at the moment. What it asks for never changes while
//! it is open, so that another takes its place when clients want to hear of something else: the new one is there before
//! the old one goes. What the server tells, the ear brings to the `Audience`, as it does without this.

use super::audience::Audience;
use super::exchange::{Exchange, Word};
use super::stream::Stream;
use crate::mcp::capabilities::Capabilities;
use crate::mcp::method::Kind;
use crate::wire::members::{elements, member, quote, string};
use crate::wire::message::{Head, Message, Outcome};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

/// What a connection's server is asked to tell.
pub(super) struct Listening {
    stream: Arc<Stream>,
    audience: Arc<Audience>,
    capabilities: Capabilities,
    /// How long the server may take to say what it will tell.
    patience: Duration,
    /// Rung when clients want to hear of something else.
    rung: Notify,
    /// The resources that it agreed to tell of.
    honoured: watch::Sender<HashSet<Box<str>>>,
}

impl Listening {
    pub(super) fn new(
        stream: Arc<Stream>,
        audience: Arc<Audience>,
        capabilities: Capabilities,
        patience: Duration,
    ) -> Arc<Self> {
        let honoured = watch::Sender::new(HashSet::new());
        Arc::new(Self { stream, audience, capabilities, patience, rung: Notify::new(), honoured })
    }

    /// Clients want to hear of something else.
    pub(super) fn ring(&self) {
        self.rung.notify_one();
    }

    /// Resolves when the server tells of this resource, or has had time enough to say that it does.
    pub(super) async fn honours(&self, uri: &str) {
        let mut honoured = self.honoured.subscribe();
        timeout(HONOUR_WAIT_MAX, honoured.wait_for(|uris| uris.contains(uri))).await.map(drop).ok();
    }

    /// Listens until the connection ends.
    pub(super) async fn keep(self: Arc<Self>) {
        tokio::select! {
            () = self.stream.ended() => {}
            () = self.stream.deaf() => {}
            () = self.listen() => {}
        }
    }

    async fn listen(&self) {
        let mut open: Option<Box<Exchange>> = None;
        let mut pause = PAUSE_MIN;
        loop {
            let Some(params) = self.wanted() else {
                drop(open.take());
                self.rung.notified().await;
                continue;
            };
            let old = open.take();
            match self.opened(&params).await {
                Opened::Open(exchange) => {
                    open = Some(exchange);
                    pause = PAUSE_MIN;
                }
                Opened::Never => {
                    drop(old);
                    self.rung.notified().await;
                    continue;
                }
                Opened::NotNow => {}
            }
            drop(old);
            let ended = async {
                if let Some(exchange) = &mut open {
                    while let Word::Note(_) = exchange.word().await {}
                }
            };
            tokio::select! {
                () = ended => {
                    open = None;
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                    // What happened in between nobody told.
                    for kind in Kind::ALL {
                        self.audience.changed().raise(kind);
                    }
                }
                () = self.rung.notified() => {}
            }
        }
    }

    /// Asks, and waits for what the server says it will tell.
    async fn opened(&self, params: &str) -> Opened {
        let Ok(mut exchange) = Exchange::open(&self.stream, "subscriptions/listen", params) else {
            return Opened::NotNow;
        };
        let word = tokio::select! {
            biased;
            word = timeout(self.patience, exchange.word()) => word.ok(),
            () = self.rung.notified() => {
                // Something else is wanted already: that need not wait for a word about this.
                self.rung.notify_one();
                None
            }
        };
        match word {
            Some(Word::Note(note)) => self.acknowledged(&note),
            Some(Word::End(Ok(answer))) => {
                let is_unknown = matches!(
                    answer.head(),
                    Head::Response { outcome: Outcome::Error { code: Some(METHOD_NOT_FOUND), .. }, .. }
                );
                return if is_unknown { Opened::Never } else { Opened::NotNow };
            }
            Some(Word::End(Err(_))) => return Opened::NotNow,
            // It tells all the same, perhaps.
            None => {}
        }
        Opened::Open(Box::new(exchange))
    }

    fn acknowledged(&self, note: &Message) {
        let params = note.params().and_then(|params| params.object).map(|object| note.str(object));
        let honoured = params
            .and_then(|params| member(params, "notifications"))
            .and_then(|told| member(told, "resourceSubscriptions"))
            .and_then(elements)
            .unwrap_or_default();
        let honoured: HashSet<Box<str>> =
            honoured.iter().filter_map(|uri| string(uri)).map(|uri| Box::from(&*uri)).collect();
        for uri in &honoured {
            self.audience.confirmed(uri);
        }
        self.honoured.send_replace(honoured);
    }

    /// What there is to hear of; `None`: nothing.
    fn wanted(&self) -> Option<String> {
        let names = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];
        let changes = names.iter().zip(self.capabilities.changes).filter(|(_, tells)| *tells);
        let mut wanted: Vec<String> = changes.map(|(name, _)| format!(r#""{name}":true"#)).collect();
        let uris = match self.capabilities.subscribe {
            true => self.audience.subscribed(),
            false => Vec::new(),
        };
        if !uris.is_empty() {
            let uris: Vec<String> = uris.iter().map(|uri| quote(uri)).collect();
            wanted.push(format!(r#""resourceSubscriptions":[{}]"#, uris.join(",")));
        }
        (!wanted.is_empty()).then(|| format!(r#"{{"notifications":{{{}}}}}"#, wanted.join(",")))
    }
}

/// What came of asking.
enum Opened {
    Open(Box<Exchange>),
    NotNow,
    /// It knows nothing of it.
    Never,
}

const METHOD_NOT_FOUND: i64 = -32601;
/// How long a client waits for the server to agree.
const HONOUR_WAIT_MAX: Duration = Duration::from_secs(2);
/// Between the end of one and the next.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
