//! Who asks, and what a server is told about it.
//!
//! A `Caller` is made by a door and lent to every request; which era or transport it came by is the
//! door's own affair. `Told` is the other half: what a window may say of the client to its server.

use super::revision::Revision;
use std::sync::Arc;

/// Whose rights a request has. Nothing minted for one principal works for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// What tells it from others.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The person at this machine, who started us.
    pub fn local() -> Self {
        Self(Arc::from("local"))
    }

    /// Whoever holds the token. There is one token, so all who hold it are one.
    pub fn bearer() -> Self {
        Self(Arc::from("bearer"))
    }

    /// Whoever reaches us, where no token is asked for.
    pub fn anonymous() -> Self {
        Self(Arc::from("anonymous"))
    }
}

/// One client among all that we serve. Unique for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// Whom a link serves, now and later; it never changes in the life of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// One client, to which everything belongs that the server says.
    One,
    /// All clients of a principal, however many there are at the moment.
    Many,
}

/// Who asks: one per client, borrowed per request.
#[derive(Debug, Clone)]
pub struct Caller {
    pub principal: Principal,
    pub client: ClientId,
    /// Its door serves nobody else.
    pub alone: bool,
    /// Whose guest it is: a request without a session uses the links of whoever keeps them for all that come by its door.
    pub guest_of: Option<ClientId>,
}

impl Caller {
    /// The client whom it counts as: for who has no session, whoever keeps the links for all that come by its door.
    pub fn keeper(&self) -> ClientId {
        self.guest_of.unwrap_or(self.client)
    }

    /// Who listens on a link that is kept for this caller rather than for all of its principal.
    pub fn company(&self) -> Company {
        match self.guest_of {
            Some(_) => Company::Many,
            None => Company::One,
        }
    }
}

/// What a server is told about the client behind us at the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The revision that the client speaks, so that a server behaves as it would without us.
    pub revision: Revision,
    /// A JSON object: what the client declared, as far as we can carry it.
    pub capabilities: Arc<str>,
}
