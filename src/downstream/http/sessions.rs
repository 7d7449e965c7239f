//! The sessions of all clients over HTTP, by ids that nobody can guess.
//!
//! Owns who may have how many. An id is looked up by a hash whose key nobody knows, and compared whole in the same time
//! whatever it is compared with, so how long a look-up takes says nothing about ids. An unknown id costs nothing but the
//! look-up; a new session never ends another's.

use super::live::Live;
use crate::mcp::caller::{Grant, Principal};
use crate::wire::hex::hex;
use crate::wire::same::is_same;
use dashmap::DashMap;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What names a session toward its client: 256 random bits. Never logged, never compared as text.
pub(crate) struct SessionId {
    text: String,
    key: SessionKey,
}

/// An id as it is looked up.
#[derive(Clone, Copy)]
pub(crate) struct SessionKey([u8; ID_BYTES]);

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    live: DashMap<SessionKey, Arc<Live>>,
    seats: Arc<Mutex<Seats>>,
    max: usize,
    per_principal_max: usize,
}

#[derive(Debug, Default)]
struct Seats {
    all: usize,
    by_principal: HashMap<Principal, usize>,
}

/// A place among the sessions, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    seats: Arc<Mutex<Seats>>,
    principal: Principal,
}

impl SessionId {
    /// `None` without randomness: better no session than one that can be guessed.
    pub(crate) fn new() -> Option<Self> {
        let mut bytes = [0; ID_BYTES / 2];
        getrandom::fill(&mut bytes).ok()?;
        let text = hex(&bytes);
        Some(Self { key: SessionKey::of(&text)?, text })
    }

    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }
}

impl SessionKey {
    /// `None`: it is no id of ours.
    pub(crate) fn of(id: &str) -> Option<Self> {
        id.as_bytes().try_into().ok().map(Self)
    }
}

/// In the same time, however alike they are.
impl PartialEq for SessionKey {
    fn eq(&self, other: &Self) -> bool {
        is_same(&self.0, &other.0)
    }
}

impl Eq for SessionKey {}

/// By its first digits: those that we make differ there, and the rest is compared.
impl Hash for SessionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0[..HASHED_BYTES]);
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[session]")
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[session]")
    }
}

impl Sessions {
    /// How many there may be, of all principals and of one.
    pub fn new(max: usize, per_principal_max: usize) -> Self {
        Self { live: DashMap::new(), seats: Arc::default(), max, per_principal_max }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    /// A place for a new session of this principal; the text says which setting has no more.
    pub(crate) fn admit(&self, principal: &Principal) -> Result<Admission, &'static str> {
        let mut seats = self.seats.lock();
        if seats.all >= self.max {
            return Err("limits.sessions");
        }
        let own = seats.by_principal.get(principal).copied().unwrap_or_default();
        if own >= self.per_principal_max {
            return Err("limits.sessions_per_principal");
        }
        seats.all += 1;
        seats.by_principal.insert(principal.clone(), own + 1);
        Ok(Admission { seats: self.seats.clone(), principal: principal.clone() })
    }

    pub(crate) fn enter(&self, key: SessionKey, live: Arc<Live>) {
        self.live.insert(key, live);
    }

    /// The session with this id, if it is of this grant and was begun at this door. All else is unknown, alike.
    pub(crate) fn find(&self, id: &str, grant: &Grant, door: &str) -> Option<Arc<Live>> {
        let live = self.live.get(&SessionKey::of(id)?)?.clone();
        (live.grant() == grant && live.door() == door && !live.is_over()).then_some(live)
    }

    pub(crate) fn leave(&self, key: &SessionKey) {
        self.live.remove(key);
    }

    /// Whether there is none, and every place was given back.
    pub(crate) fn is_empty(&self) -> bool {
        let seats = self.seats.lock();
        self.live.is_empty() && seats.all == 0 && seats.by_principal.is_empty()
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut seats = self.seats.lock();
        seats.all -= 1;
        if let Some(own) = seats.by_principal.get_mut(&self.principal) {
            *own -= 1;
            if *own == 0 {
                seats.by_principal.remove(&self.principal);
            }
        }
    }
}

/// An id in hexadecimal digits.
const ID_BYTES: usize = 64;
const HASHED_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn s02_an_id_is_found_by_all_of_it_and_by_nothing_else() {
        let id = SessionId::new().unwrap();
        let mut keys = HashSet::from([id.key()]);
        assert!(keys.contains(&SessionKey::of(id.expose()).unwrap()));
        for at in 0..ID_BYTES {
            let mut other = id.expose().to_owned();
            let digit = if other.as_bytes()[at] == b'0' { "1" } else { "0" };
            other.replace_range(at..=at, digit);
            assert!(keys.insert(SessionKey::of(&other).unwrap()), "{at}");
        }
        for none in ["", &id.expose()[1..], &format!("{}0", id.expose())] {
            assert!(SessionKey::of(none).is_none());
        }
        assert!(!format!("{id:?} {:?}", id.key()).contains(&id.expose()[..4]));
    }
}
