//! The command line of the generator.

use std::path::PathBuf;

/// Calls tools, checks each answer, and prints one JSON object of what it measured.
#[derive(clap::Parser, Debug)]
#[command(name = "load", args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: Run,
}

#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Opens sessions that do nothing, and says what they cost in memory.
    Idle(Idle),
    /// Starts a server and says how long it takes to be ready.
    Start(Start),
}

#[derive(clap::Args, Debug, Clone)]
pub struct Run {
    #[command(flatten)]
    pub target: Target,
    #[arg(long, value_enum, default_value_t = Era::Legacy)]
    pub era: Era,
    /// How many clients; over stdio as many processes.
    #[arg(long, default_value_t = 1)]
    pub sessions: usize,
    /// How many calls are open at once, of all sessions together.
    #[arg(long, default_value_t = 1)]
    pub in_flight: usize,
    /// How many calls are measured.
    #[arg(long, conflicts_with = "seconds", required_unless_present = "seconds")]
    pub calls: Option<u64>,
    /// How long calls begin.
    #[arg(long)]
    pub seconds: Option<f64>,
    /// How many calls come before those that are measured.
    #[arg(long, default_value_t = 0)]
    pub warmup: u64,
    /// Calls per second, of all sessions together; without it, each answer is followed by a call.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Whom to call, one after the other.
    #[arg(long = "tool", default_value = "work")]
    pub tools: Vec<String>,
    #[arg(long, value_enum, default_value_t = Ask::Call)]
    pub method: Ask,
    /// How long the text of an answer is to be.
    #[arg(long, default_value_t = 0)]
    pub bytes: usize,
    /// How long the tool is to wait.
    #[arg(long, default_value_t = 0)]
    pub ms: u64,
    /// How many notes of progress a call is to send.
    #[arg(long, default_value_t = 0)]
    pub notes: u64,
    /// `Name: value`, sent with every request over HTTP.
    #[arg(long = "header")]
    pub headers: Vec<String>,
    /// Whose CPU time and memory count, with all that descends from it.
    #[arg(long = "pid")]
    pub pids: Vec<u32>,
    /// Processes called so do not count, nor what descends from them.
    #[arg(long = "exclude")]
    pub excluded: Vec<String>,
    /// After so many seconds an answer is lost.
    #[arg(long, default_value_t = 30.0)]
    pub patience: f64,
    /// More than one only if one cannot ask fast enough.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
}

#[derive(clap::Args, Debug, Clone)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// The URL of Streamable HTTP.
    #[arg(long, value_name = "URL")]
    pub http: Option<String>,
    /// The URL of the stream of HTTP+SSE.
    #[arg(long, value_name = "URL")]
    pub sse: Option<String>,
    /// A command line; quotes hold words together, nothing else is special.
    #[arg(long, value_name = "COMMAND LINE")]
    pub stdio: Option<String>,
}

#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// With a handshake: 2025-11-25, over HTTP+SSE 2024-11-05.
    Legacy,
    /// 2026-07-28.
    Modern,
}

#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    #[value(name = "tools/call")]
    Call,
    #[value(name = "tools/list")]
    List,
}

#[derive(clap::Args, Debug)]
pub struct Idle {
    #[arg(long, value_name = "URL")]
    pub http: String,
    #[arg(long)]
    pub sessions: usize,
    #[arg(long = "pid", required = true)]
    pub pids: Vec<u32>,
    #[arg(long = "exclude")]
    pub excluded: Vec<String>,
    /// How long the sessions lie still before the memory is read.
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,
    /// Each session also opens its stream, on a connection of its own.
    #[arg(long)]
    pub listen: bool,
    #[arg(long = "header")]
    pub headers: Vec<String>,
    #[arg(long, default_value_t = 30.0)]
    pub patience: f64,
}

#[derive(clap::Args, Debug)]
pub struct Start {
    #[arg(long, value_name = "COMMAND LINE")]
    pub stdio: String,
    /// The list is complete when it has at least so many tools.
    #[arg(long, default_value_t = 1)]
    pub tools: usize,
    #[arg(long, default_value_t = 30.0)]
    pub patience: f64,
    /// Where the server is started.
    #[arg(long)]
    pub directory: Option<PathBuf>,
}
