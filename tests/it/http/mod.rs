//! Clients over HTTP, on the paused clock and without sockets: forms of answers, streams, sessions, asks.
#![expect(clippy::disallowed_types, reason = "the parties of a test make their own messages")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

pub(crate) mod events;
pub(crate) mod house;
pub(crate) mod server;

mod answers;
mod asks;
mod cancels;
mod memory;
mod pipes;
mod replays;
mod sessions;
mod statuses;
mod streams;
