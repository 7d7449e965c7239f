//! A client that calls as fast as it is answered, or at a rate, and checks every answer.
//!
//! In reading order: when calls are due, what is asked, what is open, what an answer is worth, what was measured; then a file
//! for each transport, and the commands. What is due is never put off because an answer is late: at a rate, latency counts
//! from the time a call was due.

pub mod args;

pub mod plan;

pub mod asking;
pub mod book;
pub mod verdict;

pub mod processes;
pub mod report;
pub mod tally;

pub mod command;
pub mod endpoint;
pub mod http;
pub mod patience;
pub mod shared;
pub mod sse;
pub mod stdio;

pub mod idle;
pub mod measure;
pub mod start;

use args::{Args, Command};
use std::fmt;
use std::io::{self, Write as _};

/// Why there is no figure.
#[derive(Debug)]
pub struct Failure(pub String);

impl Failure {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Measures, and prints one JSON object.
pub fn run(args: Args) -> Result<(), Failure> {
    let mut runtime = match args.run.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(threads);
            runtime
        }
    };
    let runtime = runtime.enable_all().build()?;
    let report = runtime.block_on(async {
        match args.command {
            None => render(&measure::run(args.run).await?),
            Some(Command::Idle(args)) => render(&idle::run(args).await?),
            Some(Command::Start(args)) => render(&start::run(args).await?),
        }
    })?;
    writeln!(io::stdout(), "{report}")?;
    Ok(())
}

fn render(report: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(report).map_err(|error| Failure::new(error.to_string()))
}
