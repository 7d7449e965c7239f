//! What one client sees of one edition: the servers behind its entrance, and the view of what they list.
//!
//! Immutable but for what was found on the way to the servers. A request takes the one of the moment at which it begins
//! and keeps it to its end, so that everything that is decided of it is of one edition.

use super::edition::Edition;
use super::entrance::{Behind, Entrance, Naming};
use super::views::{Place, Sight, View, Views};
use crate::config::ServerConfig;
use crate::mcp::caller::Caller;
use crate::mcp::method::Kind;
use crate::routing::catalog::Catalog;
use crate::routing::look::Look;
use crate::upstream::server::{LinkKey, Server, ServerId};
use crate::upstream::way::{Hand, Known};
use parking_lot::Mutex;
use std::sync::Arc;

/// What there is for a client.
pub(super) struct Outlook {
    pub(super) edition: Arc<Edition>,
    pub(super) behind: Behind,
    pub(super) view: Arc<View>,
    /// The links as the client's last requests found them, by the place of their server.
    known: Mutex<Vec<Option<Arc<Known>>>>,
}

/// A server behind a client's entrance.
pub(super) struct Reached<'a> {
    pub(super) at: usize,
    pub(super) server: &'a Arc<Server>,
    pub(super) look: &'a Arc<Look>,
    pub(super) settings: &'a Arc<ServerConfig>,
}

impl Outlook {
    pub(super) fn new(views: &Views, edition: Arc<Edition>, caller: &Caller, entrance: &Entrance) -> Self {
        let behind = edition.behind(entrance, &caller.principal, &caller.scopes);
        Self::of(views, edition, caller, behind)
    }

    /// The same where this is behind the entrance.
    pub(super) fn of(views: &Views, edition: Arc<Edition>, caller: &Caller, behind: Behind) -> Self {
        let view = views.of(&edition, sight(&edition, caller, &behind));
        Self { edition, behind, view, known: Mutex::default() }
    }

    /// Whether the client may be told that there is the server at this place: it may use something of it, as far as is known.
    pub(super) fn mentions(&self, Reached { at, look, .. }: &Reached<'_>) -> bool {
        let is_in_part = look.exposure.as_ref().is_some_and(|exposure| exposure.is_given_in_part());
        let lists_any = |catalog: &Catalog| Kind::ALL.into_iter().any(|kind| catalog.count(kind, *at) > 0);
        !is_in_part || self.view.with_catalog(lists_any)
    }

    /// The servers behind the client's entrance, in the order of the configuration.
    pub(super) fn servers(&self) -> impl Iterator<Item = Reached<'_>> {
        (0..self.edition.servers.len()).filter_map(|at| self.server(at))
    }

    /// The server at this place, if it is behind the client's entrance. There is no other way from a request to a server.
    pub(super) fn server(&self, at: usize) -> Option<Reached<'_>> {
        let (server, look) = (self.edition.servers.get(at)?, self.behind.look(at)?);
        Some(Reached { at, server, look, settings: self.edition.settings.get(at)? })
    }

    /// The same server, if it is behind the client's entrance.
    pub(super) fn same(&self, id: ServerId) -> Option<Reached<'_>> {
        self.server(self.edition.place_of(id)?)
    }

    /// The server at this place and the client's link to it.
    pub(super) fn reached(&self, at: usize, caller: &Caller) -> Option<(Reached<'_>, LinkKey)> {
        let reached = self.server(at)?;
        let key = reached.server.link_key(caller);
        Some((reached, key))
    }

    /// The link to a server, if it is ready: as it is known from the client's last request.
    pub(super) fn hand(&self, Reached { at, server, .. }: &Reached<'_>, caller: &Caller) -> Option<Hand> {
        let mut known = self.known.lock();
        if let Some(Some(known)) = known.get(*at)
            && known.is_good()
        {
            return Some(Hand::Known(known.clone()));
        }
        self.found(&mut known, *at, server, caller)
    }

    /// The same as it is now, remembered for the next.
    #[inline(never)]
    fn found(
        &self,
        known: &mut Vec<Option<Arc<Known>>>,
        at: usize,
        server: &Server,
        caller: &Caller,
    ) -> Option<Hand> {
        let found = server.known(&server.link_key(caller), caller.client).map(Arc::new);
        if known.len() <= at {
            known.resize(self.edition.servers.len(), None);
        }
        if let Some(place) = known.get_mut(at) {
            place.clone_from(&found);
        }
        found.map(Hand::Known)
    }

    /// What the names of the server at this place begin with.
    pub(super) fn front(&self, at: usize) -> String {
        let plan = self.edition.plans.of(self.behind.naming());
        match plan.servers().get(at).map(|name| name.name_prefix()) {
            None | Some("") => String::new(),
            Some(prefix) => format!("{prefix}{}", plan.separator()),
        }
    }

    /// The server that a name must belong to by its front, if that server's lists were never heard.
    pub(super) fn unheard_front(&self, name: &str) -> Option<usize> {
        let is_sole = self.servers().nth(1).is_none();
        let unheard = self.servers().filter(|reached| !self.view.is_heard(reached.at));
        let mut fronts = unheard.map(|reached| (reached.at, self.front(reached.at)));
        // Without a front it can only be the name of a server that is alone.
        let is_of = |front: &str| if front.is_empty() { is_sole } else { name.starts_with(front) };
        fronts.find(|(_, front)| is_of(front)).map(|(at, _)| at)
    }
}

/// What a caller sees of what is behind an entrance.
///
/// Names by it are those of the entrance to all. Where they depend on lists, so on those of servers that are not behind
/// it, as far as they are known: what one client's own server lists is known to nobody else.
fn sight(edition: &Edition, caller: &Caller, behind: &Behind) -> Sight {
    let naming = behind.naming();
    let heeds_others = match naming {
        Naming::Prefixed => edition.plans.of(naming).compares_lists(),
        Naming::Bare => false,
    };
    let places = edition.servers.iter().enumerate().map(|(at, server)| {
        let key = server.link_key(caller);
        match behind.look(at) {
            Some(_) => Place::Shown(key),
            None if heeds_others && key.is_shared() => Place::Named(key),
            None => Place::Absent,
        }
    });
    let exposures = (0..edition.servers.len()).map(|at| behind.exposure(at).cloned());
    Sight {
        edition: edition.number,
        whose: caller.principal.clone(),
        naming,
        places: places.collect(),
        exposures: exposures.collect(),
    }
}
