//! One edition of the configuration, as everything that is decided by it: servers, names, entrances.
//!
//! Immutable. A run begins with one, and each time that the configuration is read anew another takes its place; whatever
//! began under one goes on under it. Servers that are the same in both are shared. Places of servers are those of one
//! edition and mean nothing in another: what outlives an edition knows a server by its `ServerId`.

use super::entrance::{Behind, Entrance, Entrances, Naming};
use super::rates::Rates;
use crate::config::{Config, Prefix, ServerConfig};
use crate::mcp::caller::{Principal, Scopes};
use crate::routing::access::{Access, Door, Rights, Share};
use crate::routing::exposure::Exposure;
use crate::routing::names::NamePlan;
use crate::upstream::server::{Server, ServerId};
use parking_lot::Mutex;
use std::collections::HashMap;
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
    /// `None`: whoever is let in may use everything.
    access: Option<Access>,
    /// What is behind an entrance for those who have these rights, as it was made for the first of them.
    ruled: Mutex<HashMap<(Arc<str>, Rights), Behind>>,
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
        let (access, ruled) = (Access::of(&config), Mutex::default());
        Self { number, config, settings, servers, plans, entrances, access, ruled, rates }
    }

    /// What is behind an entrance for whoever comes by it.
    pub(super) fn behind(&self, entrance: &Entrance, principal: &Principal, scopes: &Scopes) -> Behind {
        match self.rights(principal, scopes) {
            None => self.entrances.behind(entrance),
            Some((access, rights)) => self.behind_for(entrance, access, rights),
        }
    }

    /// What rules give somebody; `None`: everything.
    pub(super) fn rights(&self, principal: &Principal, scopes: &Scopes) -> Option<(&Access, Rights)> {
        let access = self.access.as_ref()?;
        Some((access, access.rights(principal, scopes)?))
    }

    /// What is behind an entrance by these rights.
    fn behind_for(&self, entrance: &Entrance, access: &Access, rights: Rights) -> Behind {
        let whose = (entrance.label().clone(), rights);
        let mut ruled = self.ruled.lock();
        if let Some(known) = ruled.get(&whose) {
            return known.clone();
        }
        let behind = self.ruled(entrance, access, &whose.1);
        // Beyond that each has its own, and no client waits for it to be made for another.
        if ruled.len() < RULED_MAX {
            ruled.insert(whose, behind.clone());
        }
        behind
    }

    /// What is behind an entrance where `access` gives these rights.
    pub(super) fn ruled(&self, entrance: &Entrance, access: &Access, rights: &Rights) -> Behind {
        let door = entrance.door();
        let group = match door {
            Door::Open => None,
            Door::Group(name) => self.config.groups.iter().find(|group| group.name == name),
        };
        self.entrances.behind(entrance).seen(|at, look| {
            let server = self.settings.get(at)?;
            match access.share(rights, door, server)? {
                Share::All => Some(look.clone()),
                share @ Share::Part(_) => {
                    let exposure = Exposure::given(server, group, &share);
                    Some(Arc::new((**look).clone().showing(exposure)))
                }
            }
        })
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

/// For how many pairs of an entrance and rights what is behind it is kept, so that those who share them need not have it made
/// anew. There are as many as rules that meet in somebody, which are few unless it is somebody's aim that there be many.
const RULED_MAX: usize = 1024;

impl std::fmt::Debug for Edition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edition").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AccessRule, Command, Reach};
    use std::path::Path;

    #[test]
    fn what_is_kept_for_rights_has_a_bound_and_those_beyond_it_are_served_too() {
        let mut config = Config::new("a test", Path::new("/"));
        let command = Command::new("x", Path::new("/"));
        config.servers = vec![ServerConfig::new("s", Reach::Stdio(command))];
        // Each set of scopes has rights of its own.
        let names: Vec<String> = (0..11).map(|bit| format!("s{bit}")).collect();
        config.access = names
            .iter()
            .map(|name| AccessRule { scopes: vec![name.clone()], ..AccessRule::new(name) })
            .collect();
        let settings = config.servers.iter().cloned().map(Arc::new).collect();
        let edition = Edition::new(0, Arc::new(config), settings, Vec::new());
        let principal = Principal::oauth("ana");
        for bits in 0..1_u32 << names.len() {
            let set = names.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
            let scopes = Scopes::of(set.map(|(_, name)| name.as_str())).unwrap();
            let behind = edition.behind(&Entrance::all(), &principal, &scopes);
            assert_eq!(behind.leads_anywhere(), bits > 0);
        }
        assert_eq!(edition.ruled.lock().len(), RULED_MAX);
    }
}
