//! Everything between a socket and the routes: who may connect, for how long, and what may be asked at all.
//!
//! Owns the listeners, the connections with their deadlines and limits, and the one check that every request
//! passes before any route sees it. It knows nothing of MCP but the names of its headers.

pub mod guard;

pub mod reply;

pub mod cors;

pub mod source;

pub mod token;

mod authority;

mod failures;

mod origin;
