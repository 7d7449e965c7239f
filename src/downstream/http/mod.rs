//! Clients over Streamable HTTP: 2025-03-26, 2025-06-18 and 2025-11-25.
//!
//! A session has the same `Session` behind it as a line of stdin has; what is here is how its messages come and go:
//! each request is answered where it was asked, the rest goes to streams that may be read again.

pub mod endpoint;

pub mod sessions;

pub(crate) mod term;

pub(super) mod live;

pub mod routes;

pub(super) mod head;

pub(super) mod replies;
