//! How a client arrives.

pub(crate) mod http;
pub(crate) mod stdio;
