//! FLOOR 1. What MCP words mean. Pure: it neither waits nor reads a clock.
//!
//! Reading order: the methods, the levels of logs, the revisions and what each knows, who asks, and by which token, what is offered,
//! what a client can be asked, what the eras say differently, what is left of a result that is too long, what stands in a request's head as well.

pub mod method;

pub mod level;

pub mod revision;

pub mod caller;

pub mod own_token;

pub mod capabilities;

pub mod askable;

pub mod fit;

pub mod era;

pub mod cut;

pub mod mirror;

pub mod instructions;
