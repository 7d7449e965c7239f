//! Who asks, and what a server is told about it.
//!
//! A `Caller` is made by a door and lent to every request; which era or transport it came by is the
//! door's own affair. `Told` is the other half: what a window may say of the client to its server.

use super::own_token::OwnToken;
use super::revision::Revision;
use crate::config::listen::{SCOPES_MAX, is_scope};
use std::sync::Arc;

/// Whose rights a request has. Nothing minted for one principal works for another.
///
/// What stands before the first `:` is its kind, and names that others choose stand behind one only: so no name of one
/// kind is that of another, whatever is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal(Arc<str>);

/// What says who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownBy {
    /// The machine: whoever started us.
    Machine,
    /// A token that this run knows.
    Token,
    /// The identity provider.
    Provider,
    Certificate,
    Nothing,
}

impl Principal {
    /// What tells it from others.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The person at this machine, who started us.
    pub fn local() -> Self {
        Self(Arc::from("local"))
    }

    /// Whoever holds the token of `listen.token_file`. There is one such token, so all who hold it are one.
    pub fn bearer() -> Self {
        Self(Arc::from("bearer"))
    }

    /// Whoever holds the token of this name.
    pub fn token(name: &str) -> Self {
        Self(["token:", name].concat().into())
    }

    /// Whom a token of the identity provider names. One provider is asked in a run, so its names are unique.
    pub fn oauth(name: &str) -> Self {
        Self(["oauth:", name].concat().into())
    }

    /// Whether a token of the identity provider names it.
    pub fn is_of_provider(&self) -> bool {
        self.0.starts_with("oauth:")
    }

    /// Whom a client's certificate names.
    pub fn certificate(name: &str) -> Self {
        Self(["cert:", name].concat().into())
    }

    /// Whoever reaches us, where no token is asked for.
    pub fn anonymous() -> Self {
        Self(Arc::from("anonymous"))
    }

    /// How we know who it is.
    pub fn known_by(&self) -> KnownBy {
        match self.0.split_once(':').map_or(&*self.0, |(kind, _)| kind) {
            "local" => KnownBy::Machine,
            "bearer" | "token" => KnownBy::Token,
            "oauth" => KnownBy::Provider,
            "cert" => KnownBy::Certificate,
            _ => KnownBy::Nothing,
        }
    }

    /// Whether nobody knows who it is.
    pub fn is_anonymous(&self) -> bool {
        *self.0 == *"anonymous"
    }
}

/// What a token says that its bearer may do: a set of names, sorted, each once. Cheap to clone; most hold none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Scopes(Option<Arc<[Box<str>]>>);

impl Scopes {
    /// The set of these names. `None`: one of them is none (RFC 6749, 3.3), or there are more than `SCOPES_MAX`.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut set: Vec<Box<str>> = Vec::new();
        for name in names {
            if !is_scope(name) {
                return None;
            }
            if let Err(at) = set.binary_search_by(|known| (**known).cmp(name)) {
                if set.len() == SCOPES_MAX {
                    return None;
                }
                set.insert(at, Box::from(name));
            }
        }
        Some(Self((!set.is_empty()).then(|| set.into())))
    }

    /// In the order of their letters.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|set| set.iter()).map(|name| &**name)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_some_and(|set| set.binary_search_by(|known| (**known).cmp(name)).is_ok())
    }

    /// Whether each of the others is among them.
    pub fn has_all(&self, others: &Self) -> bool {
        others.iter().all(|name| self.has(name))
    }
}

/// In whose name a request comes, and what was granted there. What was begun under one grant is unknown under another:
/// who lost a right, or shows a token that never had it, does not find it in what was begun with a better one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    pub principal: Principal,
    pub scopes: Scopes,
    /// Holds the token that proved it, where a server is reached with what is made of it. It makes no grant another.
    pub own_token: OwnToken,
}

impl Grant {
    /// One in which nothing is named but who it is.
    pub fn plain(principal: Principal) -> Self {
        Self::of(principal, Scopes::default())
    }

    /// One of which nothing is held.
    pub fn of(principal: Principal, scopes: Scopes) -> Self {
        Self { principal, scopes, own_token: OwnToken::default() }
    }

    /// The same, holding nothing.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self::of(self.principal.clone(), self.scopes.clone())
    }

    /// A client of it, at a door where others come too.
    pub fn caller(&self, client: ClientId) -> Caller {
        let Self { principal, scopes, .. } = self.clone();
        Caller { principal, scopes, client, alone: false, guest_of: None }
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
    /// What its token says that it may do.
    pub scopes: Scopes,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::listen::SCOPE_CHARS_MAX;
    use std::collections::BTreeSet;

    #[test]
    fn s01_no_name_of_one_kind_is_that_of_another() {
        let names =
            ["local", "bearer", "anonymous", "", "ana", "token:ana", "oauth:ana", "cert:ana", "token:", ":"];
        let mut seen = BTreeSet::new();
        let kinds: [fn(&str) -> Principal; 3] = [Principal::token, Principal::oauth, Principal::certificate];
        let named = names.iter().flat_map(|name| kinds.iter().map(move |kind| kind(name)));
        let all = [Principal::local(), Principal::bearer(), Principal::anonymous()].into_iter().chain(named);
        for principal in all {
            assert!(seen.insert(principal.as_str().to_owned()), "{principal:?} stands for two");
        }
        assert_eq!(seen.len(), 3 + 3 * names.len());
    }

    #[test]
    fn scopes_are_a_sorted_set_with_bounds() {
        let scopes = Scopes::of(["write", "read", "write", "https://a.example/x"]).unwrap();
        assert_eq!(scopes.iter().collect::<Vec<_>>(), ["https://a.example/x", "read", "write"]);
        assert!(scopes.has("read") && !scopes.has("rea") && !scopes.is_empty());
        assert_eq!(scopes, Scopes::of(["read", "https://a.example/x", "write"]).unwrap());
        let of = |names: &[&str]| Scopes::of(names.iter().copied()).unwrap();
        assert!(scopes.has_all(&of(&["read", "write"])) && !scopes.has_all(&of(&["read", "admin"])));
        assert!(scopes.has_all(&Scopes::default()) && Scopes::default().has_all(&of(&[])));
        assert_eq!(Scopes::of([]), Some(Scopes::default()));
        for bad in ["", "a b", "a\"b", "a\\b", "ä", "\n", &"x".repeat(SCOPE_CHARS_MAX + 1)] {
            assert_eq!(Scopes::of(["read", bad]), None, "{bad:?}");
        }
        let many: Vec<String> = (0..=SCOPES_MAX).map(|number| number.to_string()).collect();
        assert!(Scopes::of(many[1..].iter().map(String::as_str)).is_some());
        assert_eq!(Scopes::of(many.iter().map(String::as_str)), None);
        let again = many[1..].iter().chain(&many[1..]).map(String::as_str);
        assert_eq!(Scopes::of(again).unwrap().iter().count(), SCOPES_MAX);
    }
}
