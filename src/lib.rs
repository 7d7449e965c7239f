//! Braid: many MCP servers behind one. A message router that forwards text.
//!
//! Read in this order: six floors, each of which knows only those below it, and plain data beside them.

pub mod config;

pub mod wire;

pub mod mcp;

pub mod routing;

pub mod upstream;

pub mod hub;

pub mod downstream;

pub mod cli;
pub mod demo;
pub mod system;
