//! A pair of byte streams as what carries a connection: one message per line.
//!
//! Owns its two ends until their tasks have them, and knows nothing of what they belong to.

use super::carry::{Carry, Frames};
use super::reader::Reader;
use super::stream::Stream;
use super::writer::write;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::TaskTracker;

/// What a server writes and what it reads.
pub(super) struct Pipe {
    pub(super) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) writer: Box<dyn AsyncWrite + Send + Unpin>,
}

impl Carry for Pipe {
    fn start(self: Box<Self>, stream: &Arc<Stream>, frames: Frames, tracker: &TaskTracker) {
        let (ended, hang_up) = stream.ends();
        tracker.spawn(write(self.writer, frames, ended, hang_up));
        tracker.spawn(Reader::new(stream.clone()).run(self.reader));
    }
}
