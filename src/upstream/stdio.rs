//! A server that is a program of this machine: its stdin and stdout are the stream.

use super::dial::{Dial, Dialed};
use super::environment::Cookie;
use super::process::{Process, Spawned};
use crate::config::{Command, Stderr};
use crate::wire::fault::{Fault, Reason};
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// Starts the program anew each time it is dialled.
pub struct StdioDial {
    pub server: String,
    pub command: Command,
    pub stderr: Stderr,
    pub cookie: Arc<Cookie>,
    pub tracker: TaskTracker,
}

impl Dial for StdioDial {
    fn dial(&self) -> Result<Dialed, Fault> {
        let spawned = Process::spawn(&self.command, &self.server, self.stderr, &self.cookie, &self.tracker);
        match spawned {
            Ok(Spawned { process, stdin, stdout }) => {
                Ok(Dialed { reader: Box::new(stdout), writer: Box::new(stdin), process: Some(process) })
            }
            Err(error) => {
                let text = format!("{}: {error} ({})", self.server, error.code());
                Err(Fault::ours(Reason::Unreachable, text))
            }
        }
    }

    fn transport(&self) -> &'static str {
        "stdio"
    }
}
