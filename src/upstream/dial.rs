//! How a server's byte stream comes to be.
//!
//! One trait with one method: a window that speaks over a stream is dialled. The supervisor owns what comes
//! back and ends it; tests dial pipes in memory.

use super::process::Process;
use crate::wire::fault::Fault;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// A fresh stream, and the process behind it where there is one.
pub struct Dialed {
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub process: Option<Process>,
}

/// Makes a server's stream anew, each time it is asked.
pub trait Dial: Send + Sync + 'static {
    /// The fault is complete but for the server's name.
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>>;

    /// How the server is reached, in a word for people.
    fn transport(&self) -> &'static str;
}
