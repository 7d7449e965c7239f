//! Clients of 2026-07-28, each of whose requests stands by itself: on one stream of lines as plays, and over HTTP.
#![expect(clippy::disallowed_types, reason = "the parties of a test make their own messages")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

pub(crate) mod client;

mod lines;

mod posts;

mod statuses;

mod crowd;

mod handles;

mod listens;
