//! Servers at a URL: what we send them, what we make of what they answer, and how a lost one comes back.
//!
//! A `Far` is a server that the test answers for, request by request: in memory under a paused clock, or behind a real
//! socket. Around it stand a real hub and the doors of real clients.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "here a panic is how a claim fails")]
#![expect(clippy::disallowed_types, reason = "the parties of a test make their own messages")]

mod cut;
mod far;
mod healing;
mod older;
mod sdk;
mod stage;
mod stateless;
mod streamable;
