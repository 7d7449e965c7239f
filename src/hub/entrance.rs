//! A way to the servers: which of them are behind it, and what they are called there.
//!
//! A name for the way, as cheap to clone as a pointer, and for each edition of the configuration what is behind it, which is
//! made of that alone. What is not behind an entrance cannot be listed, called, read, subscribed to or completed by whoever came by it; nor is what filters hide of the servers that
//! are. It starts nothing and knows no transport.

use super::edition::Plans;
use crate::config::{Group, ServerConfig};
use crate::routing::access::Door;
use crate::routing::exposure::Exposure;
use crate::routing::look::Look;
use crate::routing::names::ServerName;
use std::collections::HashMap;
use std::sync::Arc;

/// What the servers behind an entrance are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Naming {
    /// As the configuration tells servers apart; the same by every entrance that says so.
    Prefixed,
    /// As the server itself calls things. Only ever for one server alone.
    Bare,
}

/// A way to some of the servers. It stands for whatever is behind it at the time, which an `Edition` says.
#[derive(Debug, Clone)]
pub struct Entrance(Arc<Whither>);

#[derive(Debug)]
struct Whither {
    to: To,
    /// One for each way; what is kept for those who come by one is no other's.
    label: Arc<str>,
}

/// Where a way leads.
#[derive(Debug)]
enum To {
    All,
    Group(Box<str>),
    /// One server alone.
    Server(Box<str>),
}

/// What is behind an entrance.
#[derive(Debug, Clone)]
pub(super) struct Behind {
    naming: Naming,
    /// By place; `None`: the server is not behind it.
    looks: Arc<[Option<Arc<Look>>]>,
    /// What each server's own settings show of it, whether it is behind the entrance or not.
    exposures: Exposures,
}

/// By place.
type Exposures = Arc<[Option<Arc<Exposure>>]>;

impl Entrance {
    fn new(to: To) -> Self {
        let label = match &to {
            To::All => Arc::from("all"),
            To::Group(name) => Arc::from(format!("group {name}")),
            To::Server(key) => Arc::from(format!("server {key}")),
        };
        Self(Arc::new(Whither { to, label }))
    }

    /// To every server.
    pub(super) fn all() -> Self {
        Self::new(To::All)
    }

    pub(super) fn group(name: &str) -> Self {
        Self::new(To::Group(name.into()))
    }

    pub(super) fn server(key: &str) -> Self {
        Self::new(To::Server(key.into()))
    }

    /// What tells it from every other.
    pub fn label(&self) -> &Arc<str> {
        &self.0.label
    }

    /// As rules of `[access]` know it.
    pub(super) fn door(&self) -> Door<'_> {
        match &self.0.to {
            To::All | To::Server(_) => Door::Open,
            To::Group(name) => Door::Group(name),
        }
    }
}

impl Behind {
    fn new(
        naming: Naming,
        looks: impl IntoIterator<Item = Option<Arc<Look>>>,
        exposures: &Exposures,
    ) -> Self {
        Self { naming, looks: looks.into_iter().collect(), exposures: exposures.clone() }
    }

    pub(super) fn naming(&self) -> Naming {
        self.naming
    }

    /// The same where a server is seen so that was seen otherwise, or not at all.
    pub(super) fn seen(self, as_seen: impl Fn(usize, &Arc<Look>) -> Option<Arc<Look>>) -> Self {
        let looks = self.looks.iter().enumerate().map(|(at, look)| as_seen(at, look.as_ref()?));
        Self { looks: looks.collect(), ..self }
    }

    /// Whether there is any server behind it.
    pub(super) fn leads_anywhere(&self) -> bool {
        self.looks.iter().any(Option::is_some)
    }

    /// What is shown of the server at this place. Of one that is not behind the entrance it says what its things are called
    /// where they are shown.
    pub(super) fn exposure(&self, at: usize) -> Option<&Arc<Exposure>> {
        match self.look(at) {
            Some(look) => look.exposure.as_ref(),
            None => self.exposures.get(at)?.as_ref(),
        }
    }

    /// How the server at this place looks from here; `None`: it is not behind this entrance.
    pub(super) fn look(&self, at: usize) -> Option<&Arc<Look>> {
        self.looks.get(at)?.as_ref()
    }
}

/// What is behind each entrance of one edition.
#[derive(Debug)]
pub(super) struct Entrances {
    all: Behind,
    groups: HashMap<String, Behind>,
    /// A server's key, its place, and how it looks where it is alone.
    bare: HashMap<String, (usize, Arc<Look>)>,
    count: usize,
    exposures: Exposures,
}

impl Entrances {
    /// `servers` in the order of the plans'.
    pub(super) fn new(plans: &Plans, servers: &[ServerConfig], groups: &[Group]) -> Self {
        let exposures: Exposures = servers.iter().map(|server| Exposure::new(server, None)).collect();
        let looks: Vec<Arc<Look>> = {
            let servers = plans.of(Naming::Prefixed).servers();
            // One server without a name in front is all that the client knows.
            let is_alone = |name: &ServerName| servers.len() == 1 && name.name_prefix().is_empty();
            let look = |name: &ServerName| match is_alone(name) {
                true => Look::alone(name),
                false => Look::among_others(name),
            };
            let shown = servers.iter().zip(exposures.iter());
            shown.map(|(name, exposure)| Arc::new(look(name).showing(exposure.clone()))).collect()
        };
        let group = |group: &Group| {
            let chosen = servers.iter().zip(&looks).map(|(server, look)| {
                group.servers.contains(&server.key).then(|| match group.filters.are_open() {
                    true => look.clone(),
                    false => Arc::new((**look).clone().showing(Exposure::new(server, Some(group)))),
                })
            });
            (group.name.clone(), Behind::new(Naming::Prefixed, chosen, &exposures))
        };
        let bare = plans.of(Naming::Bare).servers().iter().zip(exposures.iter()).enumerate();
        let bare = bare.map(|(at, (name, exposure))| {
            (name.key().to_owned(), (at, Arc::new(Look::alone(name).showing(exposure.clone()))))
        });
        Self {
            groups: groups.iter().map(group).filter(|(_, behind)| behind.leads_anywhere()).collect(),
            bare: bare.collect(),
            count: looks.len(),
            all: Behind::new(Naming::Prefixed, looks.iter().cloned().map(Some), &exposures),
            exposures,
        }
    }

    /// What is behind an entrance; nothing, if there is no such group or server any more.
    pub(super) fn behind(&self, entrance: &Entrance) -> Behind {
        let found = match &entrance.0.to {
            To::All => Some(self.all.clone()),
            To::Group(name) => self.groups.get(&**name).cloned(),
            To::Server(key) => self.bare.get(&**key).map(|(at, look)| {
                let looks = (0..self.count).map(|other| (other == *at).then(|| look.clone()));
                Behind::new(Naming::Bare, looks, &self.exposures)
            }),
        };
        found.unwrap_or_else(|| Behind::new(Naming::Prefixed, (0..self.count).map(|_| None), &self.exposures))
    }

    pub(super) fn has_group(&self, name: &str) -> bool {
        self.groups.contains_key(name)
    }

    pub(super) fn has_server(&self, key: &str) -> bool {
        self.bare.contains_key(key)
    }
}
