//! What a server is told to be: its settings, and how it is reached.
//!
//! Owns what holds at the moment, for all links of one server. Settings may change under a link that stays as it is; a
//! server that is reached otherwise is another edition, and each link that was made of the one before is to be made anew.
//! It restarts nothing: whoever watches over a link does.

use super::dial::Dial;
use crate::config::ServerConfig;
use std::sync::Arc;
use tokio::sync::watch;

/// What holds at one moment.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) settings: Arc<ServerConfig>,
    pub(super) dial: Arc<dyn Dial>,
    /// Rises with each other way to reach it.
    pub(super) edition: u64,
    /// It is in the configuration no more.
    is_removed: bool,
}

/// The one that holds.
pub(super) struct Setups(watch::Sender<Setup>);

/// The same, for one link.
#[derive(Clone)]
pub(super) struct Watched(watch::Receiver<Setup>);

impl Setups {
    pub(super) fn new(settings: Arc<ServerConfig>, dial: Arc<dyn Dial>) -> Self {
        Self(watch::Sender::new(Setup { settings, dial, edition: 0, is_removed: false }))
    }

    pub(super) fn now(&self) -> Setup {
        self.0.borrow().clone()
    }

    pub(super) fn watch(&self) -> Watched {
        Watched(self.0.subscribe())
    }

    /// Other settings, and the links stay.
    pub(super) fn set(&self, settings: Arc<ServerConfig>) {
        self.0.send_modify(|setup| setup.settings = settings);
    }

    /// Another way to reach it.
    pub(super) fn replace(&self, settings: Arc<ServerConfig>, dial: Arc<dyn Dial>) {
        self.0.send_modify(|setup| {
            (setup.settings, setup.dial) = (settings, dial);
            setup.edition += 1;
        });
    }

    pub(super) fn remove(&self) {
        self.0.send_modify(|setup| setup.is_removed = true);
    }

    pub(super) fn is_removed(&self) -> bool {
        self.0.borrow().is_removed
    }
}

impl Watched {
    pub(super) fn now(&self) -> Setup {
        self.0.borrow().clone()
    }

    pub(super) fn is_removed(&self) -> bool {
        self.0.borrow().is_removed
    }

    /// Resolves when the server is reached otherwise than by this edition.
    pub(super) async fn outdates(&self, edition: u64) {
        let mut setups = self.0.clone();
        if setups.wait_for(|setup| setup.edition != edition).await.is_err() {
            // The server itself is gone; whoever owned it says so otherwise.
            std::future::pending().await
        }
    }
}
