//! FLOOR 3. Windows: the only place that knows how a server is reached.
//!
//! A `Server` owns its links; a link is a stream after its handshake; an `Exchange` is one request in flight
//! on it. Ids minted here never leave this floor. It returns exchanges and knows nothing of who asked.

pub mod server;

pub mod oauth;
pub mod outgoing;

mod setup;

pub mod supervise;

pub mod connect;

pub mod way;

mod verdict;

mod standing;

mod probe;

pub mod link;

pub mod exchange;

mod shown;

mod cache;

mod subject;

mod arrivals;

mod round;

mod gate;

pub mod memory;

pub mod budget;

pub mod allowance;

mod clock;

mod errands;

mod listening;

mod task;

pub mod stream;

mod echo;

mod frame;

mod carry;

mod ear;

mod pipe;

mod ping;

pub mod aside;

mod overseer;

pub mod queue;

mod reader;

mod writer;

pub mod audience;

pub mod ask;

mod open_asks;

pub mod mail;

pub mod visible;

pub mod changed;

pub mod dial;

pub mod stdio;

pub mod http;

pub mod fetch;

pub mod login_shell;

pub mod process;

pub mod program;

pub mod guardian;

pub mod vigil;

pub mod stderr;

pub mod environment;

pub mod lookout;

pub mod tally;

pub mod histogram;

pub mod tap;

pub mod journal;

pub mod audit;

pub mod account;

pub mod hearing;

#[cfg(feature = "otel")]
pub mod trace;

pub mod stamp;

mod since;
