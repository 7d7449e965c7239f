//! One life of a server: a process, a session, or whatever is between two deaths of one that knows neither.
//!
//! Owns what is open in it: requests, its own questions, and who listens.

use super::Outlet;
use super::desk::Desk;
use super::request::{Request, unfit};
use crate::matrix::endpoint::{Revision, Transport};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub(super) struct Life {
    pub(super) desk: Arc<Desk>,
    pub(super) session: String,
    pub(super) over: CancellationToken,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// What its client said that it can do; null before the handshake.
    pub(super) capabilities: Value,
    pub(super) is_initialized: bool,
    pub(super) level: Option<String>,
    pub(super) subscribed: BTreeSet<String>,
    /// Its client was sent to a page before it may call.
    pub(super) is_sent: bool,
    /// Every id of a request that ever came.
    ids: BTreeSet<String>,
    open: BTreeMap<String, CancellationToken>,
    asked: u64,
    asks: BTreeMap<u64, oneshot::Sender<Value>>,
    /// Where what belongs to no request goes.
    beside: Option<Outlet>,
    pub(super) listens: BTreeMap<String, Listen>,
}

/// A `subscriptions/listen` that is open.
pub(super) struct Listen {
    pub(super) id: Value,
    pub(super) wants: Value,
    pub(super) outlet: Outlet,
}

impl Life {
    pub(super) fn new(desk: Arc<Desk>, session: String) -> Arc<Self> {
        Arc::new(Self { desk, session, over: CancellationToken::new(), state: Mutex::default() })
    }

    pub(super) fn revision(&self) -> Revision {
        self.desk.endpoint.revision
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    pub(super) fn end(&self) {
        self.over.cancel();
        let mut state = self.state.lock();
        (state.beside, state.listens) = (None, BTreeMap::new());
    }

    /// What belongs to no request goes there from now on.
    pub(super) fn listens_beside(&self, outlet: Outlet) {
        self.state.lock().beside = Some(outlet);
        self.desk.ring();
    }

    /// A message from Braid. What belongs to it goes to the outlet.
    pub(super) fn hear(self: &Arc<Self>, message: Value, outlet: Outlet) {
        match (message["method"].as_str(), message.get("id")) {
            (Some(method), None) => self.note(method, &message["params"]),
            (Some(_), Some(_)) => self.request(message, outlet),
            (None, Some(_)) => self.answered(&message),
            (None, None) => self.desk.fault(format!("no message: {message}")),
        }
    }

    fn request(self: &Arc<Self>, message: Value, outlet: Outlet) {
        if let Some(why) = unfit(self, &message) {
            self.desk.fault(format!("{why}: {message}"));
        }
        let id = message["id"].to_string();
        let cancelled = CancellationToken::new();
        {
            let mut state = self.state.lock();
            if !state.ids.insert(id.clone()) {
                self.desk.fault(format!("an id that was used before: {message}"));
            }
            state.open.insert(id.clone(), cancelled.clone());
        }
        let life = self.clone();
        tokio::spawn(async move {
            let request = Request { life: &life, message: &message, outlet: &outlet };
            tokio::select! {
                biased;
                () = life.over.cancelled() => {}
                () = cancelled.cancelled() => request.is_cancelled(),
                () = life.is_left(&outlet) => request.is_cancelled(),
                answer = request.served() => {
                    outlet.send(answer).await.ok();
                }
            }
            life.state.lock().open.remove(&id);
        });
    }

    /// Resolves when nobody reads the answer any more, where that cancels a request (2026-07-28,
    /// basic/transports/streamable-http, cancellation).
    async fn is_left(&self, outlet: &Outlet) {
        match (self.revision(), self.desk.endpoint.transport) {
            (Revision::V2026_07_28, Transport::Http) => outlet.closed().await,
            _ => pending().await,
        }
    }

    fn note(&self, method: &str, params: &Value) {
        let mut state = self.state.lock();
        match method {
            "notifications/initialized" if !self.revision().is_modern() => state.is_initialized = true,
            "notifications/cancelled" if self.may_be_cancelled_by_word() => {
                // Of a request that has just been answered it says nothing.
                if let Some(cancelled) = state.open.get(&params["requestId"].to_string()) {
                    cancelled.cancel();
                } else if !state.ids.contains(&params["requestId"].to_string()) {
                    self.desk.fault(format!("a cancel of a request that never came: {params}"));
                }
            }
            _ => self.desk.fault(format!("{method} {params}")),
        }
    }

    fn may_be_cancelled_by_word(&self) -> bool {
        !self.revision().is_modern() || self.desk.endpoint.transport == Transport::Stdio
    }

    /// An answer to a question of its own.
    fn answered(&self, message: &Value) {
        let ask = message["id"].as_u64().and_then(|id| self.state.lock().asks.remove(&id));
        match ask {
            Some(ask) => drop(ask.send(message.clone())),
            None => self.desk.fault(format!("an answer to nothing: {message}")),
        }
    }

    /// Asks its client, beside what it says of a request.
    pub(super) async fn ask(&self, method: &str, params: Option<Value>, outlet: &Outlet) -> Value {
        let (answer, answered) = oneshot::channel();
        let mut ask = json!({"jsonrpc": "2.0", "method": method});
        {
            let mut state = self.state.lock();
            state.asked += 1;
            ask["id"] = json!(state.asked);
            let id = state.asked;
            state.asks.insert(id, answer);
        }
        if let Some(params) = params {
            ask["params"] = params;
        }
        outlet.send(ask).await.ok();
        answered.await.unwrap_or_default()
    }

    pub(super) async fn says_beside(&self, message: Value) {
        let beside = self.state.lock().beside.clone();
        if let Some(beside) = beside {
            beside.send(message).await.ok();
        }
    }

    /// Says something that belongs to no request; whether anybody is there to hear of it.
    pub(super) fn tells(&self, topic: &str, method: &str, params: &Value) -> bool {
        let state = self.state.lock();
        let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        if !self.revision().is_modern() {
            let is_wanted = !topic.contains(':') || state.subscribed.contains(topic);
            let beside = state.beside.as_ref().filter(|_| is_wanted && state.is_initialized);
            return beside.is_some_and(|beside| beside.try_send(message).is_ok());
        }
        let mut is_told = false;
        for listen in state.listens.values() {
            let uris = listen.wants["resourceSubscriptions"].as_array();
            let names = uris.is_some_and(|uris| uris.iter().any(|uri| uri == topic));
            if names || listen.wants[topic] == true {
                let mut message = message.clone();
                message["params"]["_meta"] = json!({SUBSCRIPTION_ID: listen.id});
                is_told |= listen.outlet.try_send(message).is_ok();
            }
        }
        is_told
    }

    /// Whether any open `subscriptions/listen` names a resource.
    pub(super) fn is_listened_to_for(&self, uri: &Value) -> bool {
        let state = self.state.lock();
        let mut wanted = state.listens.values().filter_map(|it| it.wants["resourceSubscriptions"].as_array());
        wanted.any(|uris| uris.contains(uri))
    }
}

pub(super) const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
