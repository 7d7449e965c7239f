//! How severe a log message is, mildest first.
//!
//! Owns the eight words of `logging/setLevel` and their order (2025-11-25, server/utilities/logging, log
//! levels; RFC 5424). It knows neither who asked for a level nor what is logged.

/// A severity. More severe is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl Level {
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The level of exactly this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_to_its_level() {
        for level in Level::ALL {
            assert_eq!(Level::parse(level.as_str()), Some(level));
        }
        for name in ["", "warn", "Debug", "info ", "off", "8"] {
            assert_eq!(Level::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_more_severe_level_is_greater() {
        assert!(Level::ALL.is_sorted());
        assert!(Level::Debug < Level::Info && Level::Alert < Level::Emergency);
    }
}
