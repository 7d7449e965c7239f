//! What measures Braid: a server that costs next to nothing, and a client that keeps the books.
//!
//! `mock` is the server, `load` the client; the rest is what both say and how they read it. Nothing here is part of Braid, and
//! nothing here is built on it: whoever measures must not share the faults of what is measured.

pub mod digits;
pub mod json;
pub mod words;

pub mod body;
pub mod events;

pub mod mock;

pub mod load;
