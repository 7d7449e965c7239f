//! Everything between a socket and the routes: who may connect, for how long, and what may be asked at all.
//!
//! Owns the listeners, the connections with their deadlines and limits, and the one check that every request
//! passes before any route sees it. It knows nothing of MCP but the names of its headers.
//!
//! Reading order: `Bound` listens, `serve` accepts, `Guard` judges, `Serve` answers, `read_body` reads what a route wants to have.

pub mod bound;

pub mod accept;

mod certificate;

pub(in crate::downstream) mod holders;

mod places;

mod row;

mod silence;

mod hush;

pub mod alarm;

pub mod content;

pub mod serve;

mod connection;

mod turn;

mod paced;

pub mod tls;

pub mod body;

pub mod guard;

pub mod reply;

pub mod cors;

pub mod source;

pub mod token;

mod authority;

mod failures;

mod origin;
