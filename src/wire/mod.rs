//! GROUND FLOOR. Bytes to messages and back. Knows JSON-RPC, and which members are ever looked at.
//!
//! A message is its text plus spans into it: what nobody edits is copied byte for byte, so unknown
//! members, their order and every digit survive. Everything here is pure: bytes in, bytes out, no
//! waiting and no clock. What a peer sends is refused with a reason or accepted; it never panics.

pub mod message;

mod skim;

mod cursor;

pub mod flaw;

pub mod batch;

pub mod caps;

pub mod splice;

pub mod amend;

pub mod members;

pub mod prefix;

pub mod canon;

pub mod hex;

pub mod same;

pub mod letters;

pub mod percent;

pub mod id;

pub mod fault;

pub mod lines;

pub mod keeping;

pub mod sse;

pub mod glimpse;
