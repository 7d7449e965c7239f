//! A very fast MCP server, to stand behind what is measured.

use braid_load::mock::{self, args::Args};
use clap::Parser as _;

fn main() -> std::io::Result<()> {
    mock::run(Args::parse())
}
