//! FLOOR 1. What MCP words mean. Pure: it neither waits nor reads a clock.

pub mod instructions;
pub mod revision;
