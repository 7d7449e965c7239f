//! Whether it is time to send clients here, for whoever balances load between several of us.
//!
//! Ready means: whoever comes now finds whole lists, and every server that the operator calls required. So we are ready
//! once each server that all clients share was heard or has failed once: a client that came earlier would wait, and
//! would be told later of what it did not find. One that fails is no reason to send clients elsewhere: the others serve,
//! and calls of it are answered with what is wrong. Only `required` says that without this server nobody should come;
//! then we are not ready while it is down, and ready again when it is back. While we stop we are not ready.

use super::Hub;
use super::entrance::Entrance;
use super::views::Standing;
use crate::mcp::caller::{Principal, Scopes};
use crate::upstream::link::State;

/// What there is to wait for, by the servers' keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// We are on our way out.
    pub stopping: bool,
    /// Neither heard nor failed yet.
    pub awaited: Vec<String>,
    /// Required, and not there.
    pub missing: Vec<String>,
}

impl Readiness {
    pub fn is_ready(&self) -> bool {
        !self.stopping && self.awaited.is_empty() && self.missing.is_empty()
    }
}

impl Hub {
    /// How things stand with the links that a principal's network clients share, of servers that it may use. Servers of which each client gets its
    /// own say nothing before there is a client, and do not count.
    pub fn readiness(&self, principal: &Principal) -> Readiness {
        let mut readiness = Readiness { stopping: self.stopping.is_cancelled(), ..Readiness::default() };
        let edition = self.edition();
        let usable = edition.behind(&Entrance::all(), principal, &Scopes::default());
        for (_, server) in edition.servers().iter().enumerate().filter(|(at, _)| usable.look(*at).is_some()) {
            let Some(key) = server.shared_key(principal) else { continue };
            let standing = self.views.standing(server.id(), &key);
            let is_awaited = standing <= Standing::Recalled;
            if is_awaited {
                readiness.awaited.push(server.key().to_owned());
            }
            let is_missing = match server.state(&key) {
                State::Ready(_) => false,
                State::Down { .. } => true,
                // It was there, or should have been.
                State::Connecting => !is_awaited,
            };
            if is_missing && server.settings().required {
                readiness.missing.push(server.key().to_owned());
            }
        }
        readiness
    }
}
