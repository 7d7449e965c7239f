//! FLOOR 4. The corridor between doors and windows.
//!
//! The hub knows the catalog and the servers, and for each request decides: an answer now, or an exchange.
//! It names no transport and no era; doors and windows do.

pub mod hub;

pub mod begin;

pub mod lists;
