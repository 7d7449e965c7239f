//! A way to the servers: which of them are behind it, and what they are called there.
//!
//! Made of the configuration alone, and as cheap to clone as a pointer. What is not behind an entrance cannot be
//! listed, called, read, subscribed to or completed by whoever came by it. It starts nothing and knows no transport.

use super::views::Plans;
use crate::config::Group;
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
}

impl Entrance {
    fn new(label: &str, naming: Naming, looks: impl IntoIterator<Item = Option<Arc<Look>>>) -> Self {
        Self(Arc::new(Behind { label: Arc::from(label), naming, looks: looks.into_iter().collect() }))
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
}

impl Entrances {
    pub(super) fn new(plans: &Plans, groups: &[Group]) -> Self {
        let looks: Vec<Arc<Look>> = {
            let servers = plans.of(Naming::Prefixed).servers();
            // One server without a name in front is all that the client knows.
            let is_alone = |name: &ServerName| servers.len() == 1 && name.name_prefix().is_empty();
            let look = |name: &ServerName| match is_alone(name) {
                true => Look::alone(name),
                false => Look::among_others(name),
            };
            servers.iter().map(|name| Arc::new(look(name))).collect()
        };
        let group = |group: &Group| {
            let servers = plans.of(Naming::Prefixed).servers().iter().zip(&looks);
            let chosen = servers
                .map(|(name, look)| group.servers.iter().any(|key| key == name.key()).then(|| look.clone()));
            (group.name.clone(), Entrance::new(&format!("group {}", group.name), Naming::Prefixed, chosen))
        };
        let bare = plans.of(Naming::Bare).servers().iter().enumerate();
        Self {
            groups: groups.iter().map(group).filter(|(_, entrance)| entrance.leads_anywhere()).collect(),
            bare: bare.map(|(at, name)| (name.key().to_owned(), (at, Arc::new(Look::alone(name))))).collect(),
            count: looks.len(),
            all: Entrance::new("all", Naming::Prefixed, looks.into_iter().map(Some)),
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
        Some(Entrance::new(&format!("server {key}"), Naming::Bare, looks))
    }
}
