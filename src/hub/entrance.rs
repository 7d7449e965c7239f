//! A way to the servers: which of them are behind it, and what they are called there.
//!
//! Made of the configuration alone, and as cheap to clone as a pointer. What is not behind an entrance cannot be
//! listed, called, read, subscribed to or completed by whoever came by it; nor is what filters hide of the servers that
//! are. It starts nothing and knows no transport.

use super::views::Plans;
use crate::config::{Group, ServerConfig};
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

/// Some of the servers under one naming.
#[derive(Debug, Clone)]
pub struct Entrance(Arc<Behind>);

#[derive(Debug)]
struct Behind {
    /// One for each way; what is kept for those who come by one is no other's.
    label: Arc<str>,
    naming: Naming,
    /// By place; `None`: the server is not behind it.
    looks: Vec<Option<Arc<Look>>>,
    /// What each server's own settings show of it, whether it is behind the entrance or not.
    exposures: Exposures,
}

/// By place.
type Exposures = Arc<[Option<Arc<Exposure>>]>;

impl Entrance {
    fn new(
        label: &str,
        naming: Naming,
        looks: impl IntoIterator<Item = Option<Arc<Look>>>,
        exposures: &Exposures,
    ) -> Self {
        let (label, looks, exposures) = (Arc::from(label), looks.into_iter().collect(), exposures.clone());
        Self(Arc::new(Behind { label, naming, looks, exposures }))
    }

    /// What tells it from every other.
    pub fn label(&self) -> &Arc<str> {
        &self.0.label
    }

    pub fn naming(&self) -> Naming {
        self.0.naming
    }

    /// Whether there is any server behind it.
    fn leads_anywhere(&self) -> bool {
        self.0.looks.iter().any(Option::is_some)
    }

    /// What is shown of the server at this place. Of one that is not behind the entrance it says what its things are called
    /// where they are shown.
    pub(super) fn exposure(&self, at: usize) -> Option<&Arc<Exposure>> {
        match self.look(at) {
            Some(look) => look.exposure.as_ref(),
            None => self.0.exposures.get(at)?.as_ref(),
        }
    }

    /// How the server at this place looks from here; `None`: it is not behind this entrance.
    pub(super) fn look(&self, at: usize) -> Option<&Arc<Look>> {
        self.0.looks.get(at)?.as_ref()
    }
}

/// All entrances of a run.
#[derive(Debug)]
pub(super) struct Entrances {
    all: Entrance,
    groups: HashMap<String, Entrance>,
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
            let label = format!("group {}", group.name);
            (group.name.clone(), Entrance::new(&label, Naming::Prefixed, chosen, &exposures))
        };
        let bare = plans.of(Naming::Bare).servers().iter().zip(exposures.iter()).enumerate();
        let bare = bare.map(|(at, (name, exposure))| {
            (name.key().to_owned(), (at, Arc::new(Look::alone(name).showing(exposure.clone()))))
        });
        Self {
            groups: groups.iter().map(group).filter(|(_, entrance)| entrance.leads_anywhere()).collect(),
            bare: bare.collect(),
            count: looks.len(),
            all: Entrance::new("all", Naming::Prefixed, looks.iter().cloned().map(Some), &exposures),
            exposures,
        }
    }

    pub(super) fn all(&self) -> Entrance {
        self.all.clone()
    }

    pub(super) fn group(&self, name: &str) -> Option<Entrance> {
        self.groups.get(name).cloned()
    }

    pub(super) fn server(&self, key: &str) -> Option<Entrance> {
        let (at, look) = self.bare.get(key)?;
        let looks = (0..self.count).map(|other| (other == *at).then(|| look.clone()));
        Some(Entrance::new(&format!("server {key}"), Naming::Bare, looks, &self.exposures))
    }
}
