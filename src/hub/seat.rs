//! One client at the hub: its links, its view of the servers, and its mail.
//!
//! A door makes one for its client and lends it to every request. Dropping it leaves: servers of its own end,
//! shared ones go on without it. It knows no transport.

use super::Hub;
use super::views::View;
use crate::mcp::askable::Askable;
use crate::mcp::caller::{Caller, Told};
use crate::mcp::level::Level;
use crate::mcp::revision::Revision;
use crate::upstream::mail::Mail;
use crate::upstream::server::{Arriving, Watched};
use crate::wire::fault::Fault;
use bytes::Bytes;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// A client's place at the hub, from its first byte to its last.
pub struct Seat {
    hub: Arc<Hub>,
    caller: Caller,
    view: Arc<View>,
    mail: Arc<Mail>,
    told: watch::Sender<Option<Told>>,
}

impl Seat {
    pub(super) fn new(hub: Arc<Hub>, caller: Caller) -> Self {
        let keys = hub.servers().iter().map(|server| server.link_key(&caller)).collect();
        let view = hub.views.of(keys);
        Self { hub, caller, view, mail: Arc::default(), told: watch::Sender::new(None) }
    }

    /// Starts every server that the client does not find running. Programs start at once; the client's own are greeted
    /// when it has introduced itself.
    pub fn open(&self) -> Vec<Fault> {
        let (caller, mail, told) = (self.caller.clone(), self.mail.clone(), self.told.subscribe());
        let arriving = Arriving { caller, mail, told };
        let mut faults = Vec::new();
        for (at, server) in self.hub.servers().iter().enumerate() {
            match server.open(&arriving) {
                Ok(Watched { was_open: true, .. }) => {}
                Ok(watched) => self.hub.follow(at, watched),
                Err(fault) => {
                    self.view.fails(at);
                    faults.push(fault);
                }
            }
        }
        faults
    }

    /// The client has said which revision it speaks and what it can be asked: a `capabilities` object as it wrote it.
    pub fn introduce(&self, revision: Revision, capabilities: &str) {
        let askable = Askable::read(capabilities, revision);
        let capabilities = Arc::from(askable.told(capabilities));
        self.mail.introduce(askable);
        self.told.send_replace(Some(Told { revision, capabilities }));
    }

    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    pub fn mail(&self) -> &Arc<Mail> {
        &self.mail
    }

    /// From which level on the client wants the servers' logs. Waits for the servers to agree, but not long: what they do
    /// at once with a call would else still go by the level before.
    pub(super) async fn set_level(&self, level: Level) {
        let told: Vec<_> =
            self.hub.servers().iter().map(|server| server.set_level(&self.caller, level)).collect();
        timeout(LEVEL, join_all(told)).await.ok();
    }

    /// The client's roots are others by now: its own servers hear it, if they were told of roots at all.
    pub fn roots_changed(&self, note: &Bytes) {
        if !self.mail.askable().roots {
            return;
        }
        for server in self.hub.servers() {
            server.pass(&self.caller, note);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        for server in self.hub.servers() {
            server.leave(&self.caller);
        }
        self.mail.close();
    }
}

/// How long a client waits for its servers to agree to a level.
const LEVEL: Duration = Duration::from_secs(2);
