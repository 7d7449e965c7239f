//! Faults that real peers do not commit on demand, one at a time, beside a server that is well.
//!
//! Each test asks the same: is the fault one server's own, does its client learn what happened, and is nothing
//! left behind?

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![expect(clippy::disallowed_types, reason = "what a client hears is only looked at")]

mod braid;
mod ends;
mod inherited;
mod leaving;
mod mortal;
mod servers;
