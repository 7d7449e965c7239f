//! A server that is a program of this machine: its stdin and stdout are the stream.

use super::dial::{Dial, Dialed};
use super::environment::Cookie;
use super::process::{Process, Spawned};
use crate::config::{Command, Stderr};
use crate::wire::fault::{Fault, Reason};
use futures::FutureExt;
use futures::future::BoxFuture;
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
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        let (command, server, stderr) = (self.command.clone(), self.server.clone(), self.stderr);
        let (cookie, tracker) = (self.cookie.clone(), self.tracker.clone());
        // To find and load a program may take a while, and the runtime has clients to answer.
        let spawn = move || Process::spawn(&command, &server, stderr, &cookie, &tracker);
        async move {
            match tokio::task::spawn_blocking(spawn).await {
                Ok(Ok(Spawned { process, stdin, stdout })) => {
                    Ok(Dialed { reader: Box::new(stdout), writer: Box::new(stdin), process: Some(process) })
                }
                Ok(Err(error)) => {
                    let text = format!("{}: {error} ({})", self.server, error.code());
                    Err(Fault::ours(Reason::Unreachable, text))
                }
                Err(_) => Err(Fault::ours(Reason::Internal, "could not be started")),
            }
        }
        .boxed()
    }

    fn transport(&self) -> &'static str {
        "stdio"
    }
}
