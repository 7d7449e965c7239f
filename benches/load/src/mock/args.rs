//! The command line of the mock.

use std::net::SocketAddr;

/// A very fast MCP server with one tool, `work`, or as many as you like.
#[derive(clap::Parser, Debug, Clone)]
#[command(name = "mock")]
pub struct Args {
    #[arg(value_enum)]
    pub transport: Transport,
    /// Where `http` and `sse` listen; port 0 is any.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How many tools there are beside `work`: `t0`, `t1` and so on.
    #[arg(long, default_value_t = 0)]
    pub tools: usize,
    /// What the server says it is called.
    #[arg(long, default_value = "mock")]
    pub name: String,
    /// How long it does nothing before it starts.
    #[arg(long, default_value_t = 0)]
    pub start_ms: u64,
    /// Reads and never answers.
    #[arg(long)]
    pub hang: bool,
    /// Knows no `server/discover`.
    #[arg(long)]
    pub legacy_only: bool,
}

#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Lines on stdin and stdout.
    Stdio,
    /// Streamable HTTP at `/mcp`.
    Http,
    /// HTTP+SSE of 2024-11-05 at `/sse`.
    Sse,
}
