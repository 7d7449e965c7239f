//! The revisions of MCP, oldest first.
//!
//! Owns their names, their order and what is negotiated. All but the last begin with `initialize`; the last has no
//! handshake and no session: each of its requests says by itself what it needs to say. It is never the outcome of a
//! negotiation.

use std::fmt;

/// A protocol revision. Later is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    /// Without `initialize`.
    V2026_07_28,
}

impl Revision {
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];

    /// Those that are agreed on in `initialize`.
    pub const GREETED: [Self; 4] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25];

    /// The latest that is agreed on in `initialize`.
    pub const LATEST: Self = Self::V2025_11_25;

    /// The one whose requests stand by themselves.
    pub const MODERN: Self = Self::V2026_07_28;

    /// The revision of exactly this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// What we answer to a client that asks for `asked`: the same if we know it, else our latest
    /// (2025-11-25, basic/lifecycle, Version Negotiation).
    ///
    /// A client that asks for 2026-07-28 this way gets our latest too: that revision has no `initialize`,
    /// so to agree on it here would be a lie.
    pub fn negotiate(asked: &str) -> Self {
        Self::parse(asked).filter(|revision| !revision.is_modern()).unwrap_or(Self::LATEST)
    }

    /// Whether its requests stand by themselves.
    pub fn is_modern(self) -> bool {
        self >= Self::MODERN
    }

    /// Whether several messages may come as one JSON array. Only 2025-03-26 has batches.
    pub fn batches(self) -> bool {
        self == Self::V2025_03_26
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_to_its_revision() {
        for revision in Revision::ALL {
            assert_eq!(Revision::parse(revision.as_str()), Some(revision));
            assert_eq!(revision.to_string(), revision.as_str());
        }
        assert_eq!(Revision::parse(" 2025-11-25"), None);
        assert_eq!(Revision::parse(""), None);
    }

    #[test]
    fn a_later_revision_is_greater() {
        assert!(Revision::ALL.is_sorted());
        assert_eq!(Revision::GREETED.into_iter().max(), Some(Revision::LATEST));
        assert_eq!(
            Revision::ALL.into_iter().filter(|it| it.is_modern()).collect::<Vec<_>>(),
            [Revision::MODERN]
        );
    }

    #[test]
    fn a_known_revision_is_agreed_on_and_any_other_ask_gets_our_latest() {
        assert_eq!(Revision::negotiate("2024-11-05"), Revision::V2024_11_05);
        assert_eq!(Revision::negotiate("2025-06-18"), Revision::V2025_06_18);
        assert_eq!(Revision::negotiate("2026-07-28"), Revision::V2025_11_25);
        assert_eq!(Revision::negotiate("1.0"), Revision::V2025_11_25);
    }

    #[test]
    fn only_one_revision_has_batches() {
        let with: Vec<_> = Revision::ALL.into_iter().filter(|revision| revision.batches()).collect();
        assert_eq!(with, [Revision::V2025_03_26]);
    }
}
