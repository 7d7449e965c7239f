//! How a connection to a server comes to be.
//!
//! One trait: a server is dialled anew for each connection. The supervisor owns what comes back and ends it; tests
//! dial pipes in memory.

use super::carry::Carry;
use super::pipe::Pipe;
use super::process::Process;
use crate::mcp::caller::Grant;
use crate::wire::fault::Fault;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// A fresh connection, and the process behind it where there is one.
pub struct Dialed {
    pub(super) carry: Box<dyn Carry>,
    pub(super) process: Option<Process>,
}

impl Dialed {
    /// A server that writes and reads one message per line.
    pub fn piped(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self::carried(Pipe { reader: Box::new(reader), writer: Box::new(writer) })
    }

    pub(super) fn carried(carry: impl Carry + 'static) -> Self {
        Self { carry: Box::new(carry), process: None }
    }

    /// The same, with the process that is behind it.
    #[must_use]
    pub(super) fn of(mut self, process: Process) -> Self {
        self.process = Some(process);
        self
    }
}

/// Makes a connection to a server anew, each time it is asked.
pub trait Dial: Send + Sync + 'static {
    /// The fault is complete but for the server's name.
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>>;

    /// The same for a link in this name, where it matters whose: another one's credentials are none of its own.
    fn dial_for(&self, _: &Grant) -> BoxFuture<'_, Result<Dialed, Fault>> {
        self.dial()
    }

    /// What is shown to the server may be another by now: a login.
    fn looks_again(&self) {}

    /// How the server is reached, in a word for people.
    fn transport(&self) -> &'static str;

    /// Whether the way to it is found to be one that only servers with a handshake speak.
    fn is_older(&self) -> bool {
        false
    }

    /// Where the server is: what is far may be lost without a word.
    fn distance(&self) -> Distance {
        Distance::Near
    }
}

/// Whether the end of a server is seen at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// On this machine, at the other end of a pipe.
    Near,
    /// Behind a network.
    Far,
}
