//! What one connection of a server is told on behalf of all who listen to it: a level of the log, subscriptions.
//!
//! Owns nothing but the way: what is wanted, the `Audience` knows. A request is on its way when its function returns,
//! ahead of any call that its client makes later; its answer is awaited beside. One level at a time, so that a server
//! that does not read is not told without end.

use super::audience::Audience;
use super::exchange::Exchange;
use super::frame::Freight;
use super::listening::Listening;
use super::stream::Stream;
use crate::mcp::level::Level;
use crate::wire::fault::Fault;
use crate::wire::members::quote;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// The errands to one connection.
#[derive(Clone)]
pub(super) struct Errands {
    pub(super) stream: Arc<Stream>,
    pub(super) audience: Arc<Audience>,
    /// How long an answer may take.
    pub(super) patience: Duration,
    pub(super) tracker: TaskTracker,
    /// The server has a log that can be set.
    pub(super) logs: bool,
    /// Which of its link's connections it is.
    pub(super) connection: u64,
    /// Where there is no handshake: what takes the place of all this.
    pub(super) listening: Option<Arc<Listening>>,
}

impl Errands {
    /// Tells the level that is wanted, if that is another than was told, and once more if it is another by then.
    pub(super) fn level(&self) {
        if !self.logs {
            return;
        }
        let Some(level) = self.audience.next_level(self.connection) else { return };
        let (errands, mut told) = (self.clone(), self.tell(level));
        self.tracker.spawn(async move {
            loop {
                let agreed = match told {
                    Ok(exchange) => exchange.response().await.is_ok_and(|answer| answer.is_result()),
                    Err(_) => false,
                };
                if !agreed {
                    return errands.audience.level_failed(errands.connection);
                }
                let Some(next) = errands.audience.level_agreed(errands.connection) else { return };
                told = errands.tell(next);
            }
        });
    }

    fn tell(&self, level: Level) -> Result<Exchange, Fault> {
        let params = format!(r#"{{"level":"{}"}}"#, level.as_str());
        Exchange::ours(&self.stream, Freight::Setting, "logging/setLevel", &params, self.patience)
    }

    /// Subscribes to all that its clients subscribed to before it was started again.
    pub(super) fn subscribe_again(&self) {
        if let Some(listening) = &self.listening {
            self.tracker.spawn(listening.clone().keep());
            return;
        }
        let asked = self.audience.subscribe_again(|uri| self.resource("resources/subscribe", uri));
        if asked.is_empty() {
            return;
        }
        let audience = self.audience.clone();
        self.tracker.spawn(async move {
            for (uri, exchange) in asked {
                let Ok(exchange) = exchange else { return };
                if exchange.response().await.is_ok_and(|answer| answer.is_result()) {
                    audience.confirmed(&uri);
                }
            }
        });
    }

    /// Nobody listens to it any more.
    pub(super) fn unsubscribe(&self, uri: &str) {
        if let Some(listening) = &self.listening {
            return listening.ring();
        }
        if let Ok(exchange) = self.resource("resources/unsubscribe", uri) {
            self.tracker.spawn(async move { exchange.response().await.ok() });
        }
    }

    fn resource(&self, method: &str, uri: &str) -> Result<Exchange, Fault> {
        let params = format!(r#"{{"uri":{}}}"#, quote(uri));
        Exchange::ours(&self.stream, Freight::Setting, method, &params, self.patience)
    }
}
