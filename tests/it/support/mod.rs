//! The transcript harness: scripted clients and servers around a real hub and real doors.
//!
//! Pipes are in memory and the clock is paused, so that a timeout of half an hour costs no time and a run is
//! the same each time. A script names only lines that are said and heard; what a line of it may be stands in
//! `script`.

pub(crate) mod client;
mod panics;
mod pattern;
pub(crate) mod script;
pub(crate) mod server;
mod stage;

pub(crate) use stage::play;
