//! A server that is a program of this machine: its stdin and stdout are the stream.

use super::dial::{Dial, Dialed};
use super::process::{Nursery, Spawned};
use crate::config::{Command, PathFromShell, Stderr};
use crate::wire::fault::{Fault, Reason};
use futures::FutureExt;
use futures::future::BoxFuture;

/// Starts the program anew each time it is dialled.
pub struct StdioDial {
    pub server: String,
    pub command: Command,
    pub stderr: Stderr,
    pub path_from_shell: PathFromShell,
    pub nursery: Nursery,
}

impl Dial for StdioDial {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        async move {
            let Self { nursery, path_from_shell, .. } = self;
            let command = nursery.login_shell.lend(&self.command, *path_from_shell, nursery).await;
            match nursery.spawn(&command, &self.server, self.stderr).await {
                Ok(Ok(Spawned { process, stdin, stdout })) => Ok(Dialed::piped(stdout, stdin).of(process)),
                Ok(Err(error)) => {
                    let text = format!("{}: {error} ({})", self.server, error.code());
                    Err(Fault::ours(Reason::Unreachable, text).explained(error.code()))
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
