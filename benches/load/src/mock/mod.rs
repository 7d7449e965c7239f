//! An MCP server that costs next to nothing, so that what is measured in front of it is not the server.
//!
//! In reading order: what was heard, what is offered, what is said; then a file for each transport. One process, one thread
//! that serves, no state but the sessions of HTTP+SSE. It believes what it is told: ids of sessions are not checked.

pub mod args;
pub mod hearing;
pub mod offer;
pub mod server;

pub mod delays;
pub mod stdio;

pub mod http;
pub mod sse;

use args::{Args, Transport};
use server::Server;
use std::io;
use std::time::Duration;

/// Serves until the client is gone, or for ever.
pub fn run(args: Args) -> io::Result<()> {
    std::thread::sleep(Duration::from_millis(args.start_ms));
    let server = Server::new(&args);
    match args.transport {
        Transport::Stdio => stdio::serve(&server),
        Transport::Http | Transport::Sse => http::serve(server, args.listen),
    }
}
