//! FLOOR 2. What is decided without waiting. Pure: it neither waits nor reads a clock.

pub mod names;
pub mod uris;
