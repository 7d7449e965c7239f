//! FLOOR 5. Doors: the only place that knows how a client arrived.
//!
//! A door reads a client's messages, hands its requests to the hub and carries what comes back. Ids that we
//! mint for a client never leave this floor; ids of servers never reach it.

pub mod door;

pub mod inbox;

mod calls;

pub mod session;

mod call;

pub mod open;

mod introduction;

pub mod outlet;

mod berths;

pub mod events;

pub mod streams;

pub mod replay;

mod shelf;

mod delivery;

mod asks;

mod news;

pub mod stdio;

pub mod http;

pub mod modern;

pub mod sse;

pub mod edge;

pub mod oauth;

pub mod login;

pub mod admin;
