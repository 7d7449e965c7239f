//! Limits for agents that run away, over HTTP and with the real binary; over pipes they are plays.
#![expect(clippy::disallowed_types, reason = "the parties of a test make their own messages")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod caches;
mod rates;
mod runaway;
