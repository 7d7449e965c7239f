//! One edition of the configuration, as everything that is decided by it: servers, names, entrances.
//!
//! Immutable. A run begins with one, and each time that the configuration is read anew another takes its place; whatever
//! began under one goes on under it. Servers that are the same in both are shared. Places of servers are those of one
//! edition and mean nothing in another: what outlives an edition knows a server by its `ServerId`.

use super::entrance::{Entrances, Naming};
use super::rates::Rates;
use crate::config::{Config, Prefix, ServerConfig};
use crate::routing::names::NamePlan;
use crate::upstream::server::{Server, ServerId};
use std::sync::Arc;

/// Everything that follows from one reading of the configuration.
pub struct Edition {
    /// Rises with each.
    pub(super) number: u64,
    pub(super) config: Arc<Config>,
    /// What each server is told to be; by place.
    pub(super) settings: Vec<Arc<ServerConfig>>,
    /// By place: in the order of the configuration.
    pub(super) servers: Vec<Arc<Server>>,
    pub(super) plans: Plans,
    pub(super) entrances: Entrances,
    /// `None`: every client may ask as often as it likes.
    pub(super) rates: Option<Arc<Rates>>,
}

/// How servers are called, both ways.
#[derive(Debug)]
pub(super) struct Plans {
    prefixed: NamePlan,
    bare: NamePlan,
}

impl Plans {
    fn new(config: &Config) -> Self {
        let named: Vec<_> = config.servers.iter().map(|s| (s.key.as_str(), &s.prefix, s.uris)).collect();
        // Each server as if it were the only one. No two of them are ever shown together.
        let bare: Vec<_> = named.iter().map(|(key, _, uris)| (*key, &Prefix::Bare, *uris)).collect();
        Self { prefixed: NamePlan::new(&config.names, &named), bare: NamePlan::new(&config.names, &bare) }
    }

    pub(super) fn of(&self, naming: Naming) -> &NamePlan {
        match naming {
            Naming::Prefixed => &self.prefixed,
            Naming::Bare => &self.bare,
        }
    }
}

impl Edition {
    /// `servers` and `settings` in the order of the configuration's servers.
    pub(super) fn new(
        number: u64,
        config: Arc<Config>,
        settings: Vec<Arc<ServerConfig>>,
        servers: Vec<Arc<Server>>,
    ) -> Self {
        let plans = Plans::new(&config);
        let entrances = Entrances::new(&plans, &config.servers, &config.groups);
        let rates = Rates::of(&config).map(Arc::new);
        Self { number, config, settings, servers, plans, entrances, rates }
    }

    /// What clients have left of their rates is what they had in the edition before, if the rates are the same.
    pub(super) fn after(self, before: &Self) -> Self {
        let (Some(had), Some(has)) = (&before.rates, &self.rates) else { return self };
        let kept = if had.is_alike(has) { had.clone() } else { has.clone() };
        Self { rates: Some(kept), ..self }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// In the order of the configuration.
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// The place of a server, if it is in this edition.
    pub(super) fn place_of(&self, id: ServerId) -> Option<usize> {
        self.servers.iter().position(|server| server.id() == id)
    }
}

impl std::fmt::Debug for Edition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edition").field("number", &self.number).finish_non_exhaustive()
    }
}
