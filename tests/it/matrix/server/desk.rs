//! What outlives the lives of a server: what it is, what it heard, and what was wrong with that.

use super::life::Life;
use crate::matrix::endpoint::Endpoint;
use crate::matrix::patience;
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Notify;

pub(super) struct Desk {
    pub(super) name: &'static str,
    pub(super) endpoint: Endpoint,
    state: Mutex<State>,
    /// Rung when anything happened.
    rung: Notify,
}

#[derive(Default)]
struct State {
    lives: Vec<Arc<Life>>,
    born: usize,
    journal: Vec<String>,
    was_called: bool,
    faults: Vec<String>,
    is_grown: bool,
    is_down: bool,
}

impl Desk {
    pub(super) fn new(name: &'static str, endpoint: Endpoint) -> Self {
        Self { name, endpoint, state: Mutex::default(), rung: Notify::new() }
    }

    /// A new life; its number is the id of its session.
    pub(super) fn begin(self: &Arc<Self>) -> Arc<Life> {
        let mut state = self.state.lock();
        state.born += 1;
        let life = Life::new(self.clone(), format!("{}-{}", self.name, state.born));
        state.lives.retain(|life| !life.is_over());
        state.lives.push(life.clone());
        life
    }

    /// The one life of a server that keeps nothing of whoever asks.
    pub(super) fn only(self: &Arc<Self>) -> Arc<Life> {
        let living = self.state.lock().lives.iter().find(|life| !life.is_over()).cloned();
        living.unwrap_or_else(|| self.begin())
    }

    pub(super) fn session(&self, id: &str) -> Option<Arc<Life>> {
        self.state.lock().lives.iter().find(|life| life.session == id && !life.is_over()).cloned()
    }

    /// Writes down what somebody may wait for.
    pub(super) fn note(&self, what: String) {
        let mut state = self.state.lock();
        state.was_called |= what.starts_with("called");
        state.journal.push(what);
        drop(state);
        self.ring();
    }

    /// Something happened that somebody may wait for.
    pub(super) fn ring(&self) {
        self.rung.notify_waiters();
    }

    pub(super) fn fault(&self, what: String) {
        self.state.lock().faults.push(format!("`{}` was told wrongly: {what}", self.name));
    }

    pub(super) fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().faults)
    }

    pub(super) fn was_called(&self) -> bool {
        self.state.lock().was_called
    }

    pub(super) fn is_grown(&self) -> bool {
        self.state.lock().is_grown
    }

    pub(super) fn grow(&self) {
        self.state.lock().is_grown = true;
    }

    pub(super) fn is_down(&self) -> bool {
        self.state.lock().is_down
    }

    /// Dies in the middle of everything, and is not there until it rises.
    pub(super) fn die(&self) {
        let lives = {
            let mut state = self.state.lock();
            state.is_down = true;
            std::mem::take(&mut state.lives)
        };
        for life in lives {
            life.end();
        }
    }

    pub(super) fn rise(&self) {
        self.state.lock().is_down = false;
    }

    pub(super) async fn did(&self, what: &str) -> Result<(), String> {
        let done = || {
            let mut state = self.state.lock();
            let at = state.journal.iter().position(|done| done == what);
            at.map(|at| state.journal.remove(at)).is_some()
        };
        let is_done = self.until(done).await;
        let journal = || self.state.lock().journal.join(", ");
        is_done.map_err(|()| format!("`{}` never {what}, but {}", self.name, journal()))
    }

    /// Says something that belongs to no request to everyone who wants to hear of it: `topic` is a member of the filter
    /// of 2026-07-28, or a resource.
    pub(super) async fn tells(&self, topic: &str, method: &str, params: &Value) -> Result<(), String> {
        let told = || {
            let lives = self.state.lock().lives.clone();
            let told = lives.iter().filter(|life| life.tells(topic, method, params)).count();
            told > 0
        };
        let is_told = self.until(told).await;
        is_told.map_err(|()| format!("nobody listens to `{}` for {method} {params}", self.name))
    }

    /// Waits until it is so.
    async fn until(&self, is: impl Fn() -> bool) -> Result<(), ()> {
        let waited = async {
            loop {
                let rung = self.rung.notified();
                if is() {
                    return;
                }
                rung.await;
            }
        };
        patience(waited).await
    }
}
