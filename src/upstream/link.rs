//! A server that is ready: its stream, and what it said of itself.

use super::dial::Distance;
use super::errands::Errands;
use super::stream::Stream;
use crate::mcp::capabilities::Capabilities;
use crate::mcp::method::Kind;
use crate::mcp::revision::Revision;
use crate::wire::fault::Fault;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A connection whose server has said what it is.
pub struct Link {
    pub(super) stream: Arc<Stream>,
    pub(super) greeting: Greeting,
    pub(super) took: Duration,
    pub(super) distance: Distance,
    pub(super) edition: u64,
    pub(super) errands: Errands,
}

impl Link {
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Whether a list is known to be what it was. A server with a handshake that says nothing of changes is taken to have
    /// none; one without has agreed to tell of them, or how long a list holds is said with it (2026-07-28,
    /// server/utilities/caching).
    pub fn tells_changes(&self, kind: Kind) -> bool {
        self.errands.listening.as_ref().is_none_or(|listening| listening.tells(kind))
    }

    /// Resolves when a list is worth to be fetched: what changes it from then on is told, if it ever is.
    pub async fn is_listened_to(&self) {
        if let Some(listening) = &self.errands.listening {
            listening.begun().await;
        }
    }

    /// By which edition of its server's setup it was made.
    pub fn edition(&self) -> u64 {
        self.edition
    }

    /// From the start until it was known what the server is.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// What its stream dropped so far.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }
}

/// What a server said of itself when it was asked or greeted, or what is assumed of one that does not say.
#[derive(Debug, Clone)]
pub struct Greeting {
    pub revision: Revision,
    pub capabilities: Capabilities,
    pub instructions: Option<String>,
    /// `serverInfo` as it stands: for people, never for a decision.
    pub info: Option<String>,
}

/// A server as its supervisor last saw it. A link exists only while it is ready.
#[derive(Clone)]
pub enum State {
    Connecting,
    Ready(Arc<Link>),
    /// `retry_at`: when it is started again by itself; `None`: on the next request, if at all.
    Down {
        /// Its last words stand at the end of the text.
        why: Fault,
        last_words: LastWords,
        retry_at: Option<Instant>,
    },
}

/// The last lines that a program wrote to stderr, escaped; empty where there were none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastWords(Arc<str>);

impl LastWords {
    pub(super) fn new(lines: String) -> Self {
        Self(lines.into())
    }

    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }

    /// As they end a sentence about the program.
    pub(super) fn said(&self) -> String {
        if self.0.is_empty() { String::new() } else { format!("{SAID}{}", self.0) }
    }

    /// The sentence without them.
    pub fn without<'a>(&self, sentence: &'a str) -> &'a str {
        let bare = sentence.strip_suffix(&*self.0).and_then(|bare| bare.strip_suffix(SAID));
        bare.unwrap_or(sentence)
    }
}

const SAID: &str = "; its last words on stderr: ";
