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
    /// A client asks for a level, or for another than before. `Some`: what the server must be told now,
    /// because the lowest is another than before.
    pub fn ask(&mut self, client: ClientId, level: Level) -> Option<Level> {
        let before = self.told();
        self.asked.insert(client, level);
        self.ever_asked = true;
        self.told().filter(|now| before != Some(*now))
    }

    /// A client left. `Some`: what the server must be told now; `None`: the lowest is the same, or nobody is
    /// left who asked, and there is no way to take a level back.
    pub fn leave(&mut self, client: ClientId) -> Option<Level> {
        let before = self.told();
        self.asked.remove(&client)?;
        self.told().filter(|now| before != Some(*now))
    }

    /// What a fresh connection of the server must be told: the lowest that anyone asks for. `None`: nobody
    /// asks, and the server decides (2025-11-25, server/utilities/logging, setting log level).
    pub fn told(&self) -> Option<Level> {
        self.asked.values().min().copied()
    }

    /// Whether the client asked for a level.
    pub fn has_asked(&self, client: ClientId) -> bool {
        self.asked.contains_key(&client)
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
pub const UNASKED: Level = Level::Info;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: ClientId = ClientId(1);
    const B: ClientId = ClientId(2);

    #[test]
    fn a_server_is_told_the_lowest_and_only_when_it_is_another() {
        let mut levels = Levels::default();
        assert_eq!(levels.told(), None);
        assert_eq!(levels.ask(A, Level::Warning), Some(Level::Warning));
        assert_eq!(levels.ask(A, Level::Warning), None);
        assert_eq!(levels.ask(B, Level::Error), None);
        assert_eq!(levels.ask(B, Level::Debug), Some(Level::Debug));
        assert_eq!(levels.told(), Some(Level::Debug));
        assert_eq!(levels.ask(B, Level::Emergency), Some(Level::Warning));
        assert_eq!(levels.leave(B), None);
    }

    #[test]
    fn a_level_goes_with_who_asked_for_it() {
        let mut levels = Levels::default();
        levels.ask(A, Level::Debug);
        levels.ask(B, Level::Error);
        assert_eq!(levels.leave(A), Some(Level::Error));
        assert_eq!(levels.leave(A), None);
        assert_eq!(levels.leave(B), None);
        assert_eq!(levels.told(), None);
        // It may be another connection by now, so that the server is told again.
        assert_eq!(levels.ask(A, Level::Error), Some(Level::Error));
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
        /// Whatever is asked in whatever order, the server was last told what those who ask need.
        #[test]
        fn the_server_always_knows_the_lowest(
            ops in prop::collection::vec((0_u64..4, prop::option::weighted(0.8, 0_usize..8)), 0..64),
        ) {
            let (mut levels, mut model) = (Levels::default(), std::collections::HashMap::new());
            let mut server = None;
            for (client, op) in ops {
                let client = ClientId(client);
                let told = match op {
                    Some(level) => {
                        model.insert(client, Level::ALL[level]);
                        levels.ask(client, Level::ALL[level])
                    }
                    None => {
                        model.remove(&client);
                        levels.leave(client)
                    }
                };
                server = told.or(server);
                let lowest = model.values().min().copied();
                prop_assert_eq!(levels.told(), lowest);
                prop_assert!(lowest.is_none() || server == lowest);
                for level in Level::ALL {
                    for (client, asked) in &model {
                        prop_assert_eq!(levels.admits(*client, Company::Many, Some(level)), level >= *asked);
                    }
                }
            }
        }
    }
}
