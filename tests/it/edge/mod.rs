//! What stands between a socket and the routes, over real sockets and in raw bytes.
//!
//! A minimal router stands for the real one; `gate::check` takes any address, so that its tables hold for any server.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod bodies;
mod gate;
mod heads;
mod limits;
#[expect(clippy::disallowed_types, reason = "a provider that we did not write reads trees")]
mod oauth;
mod raw;
mod rig;
mod secure;
mod stop;
#[cfg(unix)]
mod unix;
