//! Who wants to hear which log messages of one link.
//!
//! Owns what each client of the link asked for with `logging/setLevel`, from which follows what the server
//! is told: a server knows one level per connection, so it gets the lowest, and the rest is left out here.
//! It sends nothing, and holds at most one entry per client of the link: how many those are is the owner's
//! bound.

use crate::mcp::caller::{ClientId, Company};
use crate::mcp::level::Level;
use std::collections::BTreeMap;

/// The levels that the clients of one link asked for. For an own and a shared link alike: which of the two
/// it is, is said with each question as [`Company`].
#[derive(Debug, Default)]
pub struct Levels {
    asked: BTreeMap<ClientId, Level>,
    /// Stays when the last one who asked has left: the server cannot be told to forget a level.
    ever_asked: bool,
}

impl Levels {
    /// A client asks for a level, or for another than before.
    pub fn ask(&mut self, client: ClientId, level: Level) {
        self.asked.insert(client, level);
        self.ever_asked = true;
    }

    pub fn asked_by(&self, client: ClientId) -> Option<Level> {
        self.asked.get(&client).copied()
    }

    pub fn leave(&mut self, client: ClientId) {
        self.asked.remove(&client);
    }

    /// The level that the server should have: the lowest that anyone asked for. Of those who listen on a shared link,
    /// who never asked counts for what it hears, so that another's `error` does not silence it (S-09), not even after
    /// that other has left. `None`: it may keep the one that it has; if nobody ever asked, that is its own choice
    /// (2025-11-25, server/utilities/logging, setting log level).
    pub fn wanted(&self, company: Company, listening: impl IntoIterator<Item = ClientId>) -> Option<Level> {
        let is_silent = |client: ClientId| !self.asked.contains_key(&client);
        let unasked = company == Company::Many && self.ever_asked && listening.into_iter().any(is_silent);
        self.asked.values().copied().chain(unasked.then_some(UNASKED)).min()
    }

    /// Whether a message of this level goes to the client. `level` is `None` for a word that no revision
    /// knows; such a message is left to the client.
    ///
    /// Who asked hears its level and what is more severe. Who never asked hears everything on a link of its
    /// own. On a shared one it hears everything until someone asks, and from then on `info` and above: the
    /// `debug` that another asked for is not its own.
    pub fn admits(&self, client: ClientId, company: Company, level: Option<Level>) -> bool {
        let Some(level) = level else { return true };
        match (self.asked.get(&client), company) {
            (Some(asked), Company::One | Company::Many) => level >= *asked,
            (None, Company::One) => true,
            (None, Company::Many) => !self.ever_asked || level >= UNASKED,
        }
    }
}

/// What a client hears of a shared server whose level another has set.
const UNASKED: Level = Level::Info;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: ClientId = ClientId(1);
    const B: ClientId = ClientId(2);

    #[test]
    fn the_server_gets_the_lowest_that_anyone_asked_for() {
        let mut levels = Levels::default();
        assert_eq!(levels.wanted(Company::Many, [A, B]), None);
        levels.ask(A, Level::Warning);
        levels.ask(B, Level::Error);
        assert_eq!(levels.wanted(Company::Many, [A, B]), Some(Level::Warning));
        levels.ask(B, Level::Debug);
        assert_eq!(levels.wanted(Company::Many, [A, B]), Some(Level::Debug));
        levels.leave(B);
        assert_eq!(levels.wanted(Company::Many, [A]), Some(Level::Warning));
        levels.leave(A);
        assert_eq!(levels.wanted(Company::Many, []), None);
    }

    #[test]
    fn who_never_asked_is_silenced_by_nobody() {
        let mut levels = Levels::default();
        levels.ask(A, Level::Error);
        assert_eq!(levels.wanted(Company::Many, [A, B]), Some(Level::Info));
        assert_eq!(levels.wanted(Company::One, [A]), Some(Level::Error));
        levels.leave(A);
        assert_eq!(levels.wanted(Company::Many, [B]), Some(Level::Info));
    }

    #[test]
    fn anothers_debug_does_not_flood_who_never_asked() {
        let mut levels = Levels::default();
        assert!(levels.admits(B, Company::Many, Some(Level::Debug)));
        levels.ask(A, Level::Debug);
        assert!(levels.admits(A, Company::Many, Some(Level::Debug)));
        assert!(!levels.admits(B, Company::Many, Some(Level::Debug)));
        assert!(levels.admits(B, Company::Many, Some(Level::Info)));
        assert!(levels.admits(B, Company::Many, None));
        levels.leave(A);
        assert!(!levels.admits(B, Company::Many, Some(Level::Debug)), "the server still says it");
    }

    #[test]
    fn who_is_alone_hears_what_it_asked_for_and_everything_before() {
        let mut levels = Levels::default();
        assert!(levels.admits(A, Company::One, Some(Level::Debug)));
        levels.ask(A, Level::Error);
        assert!(!levels.admits(A, Company::One, Some(Level::Warning)));
        assert!(levels.admits(A, Company::One, Some(Level::Error)));
        assert!(levels.admits(A, Company::One, None));
    }

    proptest! {
        /// Whatever is asked in whatever order, everyone hears what it may hear, and nothing that it did not ask for.
        #[test]
        fn the_server_always_says_enough(
            ops in prop::collection::vec((0_u64..4, prop::option::weighted(0.8, 0_usize..8)), 0..64),
        ) {
            let (mut levels, mut model) = (Levels::default(), std::collections::HashMap::new());
            for (client, op) in ops {
                let client = ClientId(client);
                match op {
                    Some(level) => {
                        model.insert(client, Level::ALL[level]);
                        levels.ask(client, Level::ALL[level]);
                    }
                    None => {
                        model.remove(&client);
                        levels.leave(client);
                    }
                }
                let server = levels.wanted(Company::Many, (0..4).map(ClientId));
                for level in Level::ALL {
                    for client in (0..4).map(ClientId) {
                        let hears = levels.admits(client, Company::Many, Some(level));
                        prop_assert_eq!(hears && model.contains_key(&client), model.get(&client).is_some_and(|asked| level >= *asked));
                        prop_assert!(!hears || server.is_none_or(|server| level >= server), "it must be said to be heard");
                    }
                }
            }
        }
    }
}
