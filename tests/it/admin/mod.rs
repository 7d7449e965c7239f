//! Looking after a run: real runs with real servers, seen through their sockets by the real commands.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "here a panic is how a claim fails")]
#![allow(clippy::disallowed_types, reason = "what is printed as JSON is only looked at")]

mod audited;
mod commands;
pub(crate) mod names;
mod nest;
mod reloads;
mod restarts;
mod routes;
mod secrets;
mod sockets;
