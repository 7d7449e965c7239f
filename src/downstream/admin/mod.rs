//! The door of those who look after a run: what it is doing, and the two things that can be asked of it.
//!
//! It is no door of MCP: nobody who comes by it is a client, and no call begins here. It reads the hub's survey, and
//! changes nothing but what `reload` and `restart` say. Over the socket, which is its owner's alone, comes everything;
//! over HTTP what can only be read.
//!
//! Reading order: `place` says where the socket is, `open` listens, `routes` answers, the others write the answers.

pub mod place;

pub mod open;

mod routes;

mod house;

mod object;

mod reloaded;

mod status;

mod metrics;

mod tap;

mod redaction;

mod journal;

pub use self::house::{About, Guests, House, Present, Refused, Reload, Reloaded, Reloads, Taken};
