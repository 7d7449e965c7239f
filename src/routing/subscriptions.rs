//! Who listens to which resources of one link's server.
//!
//! Owns, by the server's own URI, which clients subscribed and whether the server has agreed. Only the first
//! who comes and the last who goes cause traffic (2025-11-25, server/resources, subscriptions). It sends
//! nothing; its owner bounds it with `count_of`, and passes on what the server answered.

use crate::mcp::caller::ClientId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// The subscriptions of one link. Nothing is kept of a URI or a client once it is left.
#[derive(Debug, Default)]
pub struct Subscriptions {
    by_uri: BTreeMap<Arc<str>, Listeners>,
    by_client: BTreeMap<ClientId, BTreeSet<Arc<str>>>,
}

/// Who listens to one URI. Somebody does.
#[derive(Debug, Default)]
struct Listeners {
    clients: BTreeSet<ClientId>,
    /// The server said yes to one of them.
    confirmed: bool,
}

/// What a new subscription needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The server must be asked: it has not agreed to this URI yet.
    First,
    /// The server has agreed already, and need not hear of it.
    Joined,
}

/// What the end of a subscription needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// Nobody listens any more: the server must be told.
    Last,
    /// Others still listen.
    Left,
    /// There was no such subscription.
    Unknown,
}

impl Subscriptions {
    /// A client wants to hear of a resource. Until the server has agreed, every request for it goes there,
    /// so that nobody is told yes on another's hope.
    pub fn add(&mut self, client: ClientId, uri: &str) -> Added {
        let uri = match self.by_uri.get_key_value(uri) {
            Some((known, _)) => known.clone(),
            None => Arc::from(uri),
        };
        let listeners = self.by_uri.entry(uri.clone()).or_default();
        listeners.clients.insert(client);
        let added = if listeners.confirmed { Added::Joined } else { Added::First };
        self.by_client.entry(client).or_default().insert(uri);
        added
    }

    /// The server agreed to send updates of this resource. Of no account once nobody listens.
    pub fn confirm(&mut self, uri: &str) {
        if let Some(listeners) = self.by_uri.get_mut(uri) {
            listeners.confirmed = true;
        }
    }

    /// The server was started anew, and has agreed to nothing yet: whoever wants to hear of a resource before it has
    /// asks it again.
    pub fn doubt_all(&mut self) {
        self.by_uri.values_mut().for_each(|listeners| listeners.confirmed = false);
    }

    /// The server refused this client's request. The client is out, unless the server had agreed to one for
    /// the same resource before: then updates come, and it hears them.
    pub fn fail(&mut self, client: ClientId, uri: &str) {
        if self.by_uri.get(uri).is_some_and(|listeners| !listeners.confirmed) {
            self.remove(client, uri);
        }
    }

    /// A client does not want to hear of a resource any more. What was never confirmed counts as well: the
    /// server may have agreed meanwhile.
    pub fn remove(&mut self, client: ClientId, uri: &str) -> Removed {
        let Some(own) = self.by_client.get_mut(&client) else { return Removed::Unknown };
        if !own.remove(uri) {
            return Removed::Unknown;
        }
        if own.is_empty() {
            self.by_client.remove(&client);
        }
        self.unlist(client, uri)
    }

    /// A client left. The URIs that nobody listens to any more, in their order: the server must be told.
    pub fn leave(&mut self, client: ClientId) -> Vec<Box<str>> {
        let own = self.by_client.remove(&client).unwrap_or_default();
        let last = own.iter().filter(|uri| self.unlist(client, uri) == Removed::Last);
        last.map(|uri| Box::from(&**uri)).collect()
    }

    /// Who hears of an update of this resource, each once and sorted: whoever listens to it or to one of
    /// which it is a sub-resource (2025-11-25, schema, ResourceUpdatedNotificationParams).
    ///
    /// A sub-resource's URI continues the other's at a boundary: after its final `/`, or with `/`, `?` or `#`.
    ///
    /// Goes from the longest beginning of `updated` that may be there to the shortest, and skips what has less in
    /// common. That takes at most one look-up per URI and two per byte of `updated`, whichever is less; with
    /// ordinary URIs, about as many as it has segments.
    pub fn whose(&self, updated: &str) -> Vec<ClientId> {
        let mut found = BTreeSet::new();
        let mut upto = Bound::Included(updated);
        while let Some((uri, listeners)) = self.by_uri.range::<str, _>((Bound::Unbounded, upto)).next_back() {
            match updated.strip_prefix(&**uri) {
                Some(rest) => {
                    if continues(uri, rest) {
                        found.extend(&listeners.clients);
                    }
                    upto = Bound::Excluded(uri);
                }
                // No beginning of `updated` that is longer than what the two share stands before this one.
                None => upto = Bound::Included(shared(updated, uri)),
            }
        }
        found.into_iter().collect()
    }

    /// Whether anyone listens to exactly this URI.
    pub fn is_wanted(&self, uri: &str) -> bool {
        self.by_uri.contains_key(uri)
    }

    /// Every URI that anyone listens to, sorted: what a fresh connection of the server must be asked for.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.by_uri.keys().map(|uri| &**uri)
    }

    /// How many resources a client listens to.
    pub fn count_of(&self, client: ClientId) -> usize {
        self.by_client.get(&client).map_or(0, BTreeSet::len)
    }

    fn unlist(&mut self, client: ClientId, uri: &str) -> Removed {
        let Some(listeners) = self.by_uri.get_mut(uri) else { return Removed::Unknown };
        listeners.clients.remove(&client);
        if !listeners.clients.is_empty() {
            return Removed::Left;
        }
        self.by_uri.remove(uri);
        Removed::Last
    }
}

/// Whether `uri` followed by `rest` is `uri` itself or a sub-resource of it.
fn continues(uri: &str, rest: &str) -> bool {
    rest.is_empty() || uri.ends_with('/') || rest.starts_with(['/', '?', '#'])
}

/// What two texts have in common from their beginning.
fn shared<'a>(one: &'a str, two: &str) -> &'a str {
    let ends = one.char_indices().zip(two.chars()).find(|((_, a), b)| a != b);
    let end = ends.map_or_else(|| one.len().min(two.len()), |((at, _), _)| at);
    one.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const A: ClientId = ClientId(1);
    const B: ClientId = ClientId(2);

    #[test]
    fn only_the_first_and_the_last_reach_the_server() {
        let mut table = Subscriptions::default();
        assert_eq!(table.add(A, "x:1"), Added::First);
        table.confirm("x:1");
        assert_eq!(table.add(B, "x:1"), Added::Joined);
        assert_eq!(table.add(B, "x:1"), Added::Joined);
        assert_eq!(table.count_of(B), 1);
        assert_eq!(table.remove(A, "x:1"), Removed::Left);
        assert_eq!(table.remove(A, "x:1"), Removed::Unknown);
        assert_eq!(table.remove(B, "x:1"), Removed::Last);
        assert!(!table.is_wanted("x:1"));
        assert_eq!(table.add(B, "x:1"), Added::First, "what was agreed is over");
    }

    #[test]
    fn nobody_joins_what_the_server_has_not_agreed_to() {
        let mut table = Subscriptions::default();
        assert_eq!((table.add(A, "x:1"), table.add(B, "x:1")), (Added::First, Added::First));
        table.fail(A, "x:1");
        assert_eq!(table.whose("x:1"), [B]);
        table.confirm("x:1");
        table.fail(B, "x:1");
        assert_eq!(table.whose("x:1"), [B], "the server agreed before it refused");
    }

    #[test]
    fn a_refusal_of_the_only_one_leaves_nothing() {
        let mut table = Subscriptions::default();
        table.add(A, "x:1");
        table.fail(A, "x:1");
        table.confirm("x:1");
        assert_eq!((table.uris().count(), table.count_of(A)), (0, 0));
        assert_eq!(table.add(B, "x:1"), Added::First);
    }

    #[test]
    fn who_leaves_takes_what_only_it_listened_to() {
        let mut table = Subscriptions::default();
        for uri in ["x:2", "x:1", "x:3"] {
            table.add(A, uri);
        }
        table.add(B, "x:3");
        assert_eq!(table.leave(A), [Box::from("x:1"), Box::from("x:2")]);
        assert_eq!(table.leave(A), []);
        assert_eq!(table.uris().collect::<Vec<_>>(), ["x:3"]);
    }

    #[test]
    fn an_update_of_a_sub_resource_is_for_who_listens_to_the_whole() {
        for (subscribed, updated, heard) in [
            ("file:///a", "file:///a", true),
            ("file:///a", "file:///a/b", true),
            ("file:///a/", "file:///a/b", true),
            ("file:///a", "file:///a?b", true),
            ("file:///a", "file:///a#b", true),
            ("file:///", "file:///a/b", true),
            ("file:///a", "file:///ab", false),
            ("file:///a/", "file:///a", false),
            ("file:///a/b", "file:///a", false),
            ("", "file:///a", false),
        ] {
            let mut table = Subscriptions::default();
            table.add(A, subscribed);
            assert_eq!(!table.whose(updated).is_empty(), heard, "{subscribed} {updated}");
        }
    }

    /// Slow, and plainly right.
    #[derive(Default)]
    struct Model(HashMap<String, (Vec<ClientId>, bool)>);

    impl Model {
        fn whose(&self, updated: &str) -> Vec<ClientId> {
            let hears = |uri: &str| {
                updated.strip_prefix(uri).is_some_and(|rest| {
                    rest.is_empty() || uri.ends_with('/') || rest.starts_with(['/', '?', '#'])
                })
            };
            let mut found: Vec<_> = self
                .0
                .iter()
                .filter(|(uri, _)| hears(uri))
                .flat_map(|(_, (clients, _))| clients)
                .copied()
                .collect();
            found.sort();
            found.dedup();
            found
        }

        fn remove(&mut self, client: ClientId, uri: &str) -> Removed {
            let Some((clients, _)) = self.0.get_mut(uri) else { return Removed::Unknown };
            let Some(at) = clients.iter().position(|other| *other == client) else { return Removed::Unknown };
            clients.remove(at);
            if !clients.is_empty() {
                return Removed::Left;
            }
            self.0.remove(uri);
            Removed::Last
        }
    }

    proptest! {
        #[test]
        fn it_behaves_as_the_model_does(
            ops in prop::collection::vec((0_u8..6, 0_u64..3, "[ab!é]{0,2}([/?#!][ab!é]{0,2}){0,3}"), 0..120),
        ) {
            let (mut table, mut model) = (Subscriptions::default(), Model::default());
            for (op, client, uri) in ops {
                let client = ClientId(client);
                match op {
                    0 | 1 => {
                        let (clients, confirmed) = model.0.entry(uri.clone()).or_default();
                        if !clients.contains(&client) {
                            clients.push(client);
                        }
                        let added = if *confirmed { Added::Joined } else { Added::First };
                        prop_assert_eq!(table.add(client, &uri), added);
                    }
                    2 => {
                        if let Some((_, confirmed)) = model.0.get_mut(&uri) {
                            *confirmed = true;
                        }
                        table.confirm(&uri);
                    }
                    3 => {
                        if model.0.get(&uri).is_some_and(|(_, confirmed)| !confirmed) {
                            model.remove(client, &uri);
                        }
                        table.fail(client, &uri);
                    }
                    4 => prop_assert_eq!(table.remove(client, &uri), model.remove(client, &uri)),
                    _ => {
                        let mut uris: Vec<String> = model.0.keys().cloned().collect();
                        uris.sort();
                        uris.retain(|uri| model.remove(client, uri) == Removed::Last);
                        let left: Vec<String> = table.leave(client).into_iter().map(String::from).collect();
                        prop_assert_eq!(left, uris);
                    }
                }
                prop_assert_eq!(table.whose(&uri), model.whose(&uri));
                let longer = format!("{uri}/b#a");
                prop_assert_eq!(table.whose(&longer), model.whose(&longer));
                prop_assert_eq!(table.is_wanted(&uri), model.0.contains_key(&uri));
                let mut uris: Vec<&str> = model.0.keys().map(String::as_str).collect();
                uris.sort_unstable();
                prop_assert_eq!(table.uris().collect::<Vec<_>>(), uris);
                let of_client = model.0.values().filter(|(clients, _)| clients.contains(&client)).count();
                prop_assert_eq!(table.count_of(client), of_client);
            }
        }
    }
}
