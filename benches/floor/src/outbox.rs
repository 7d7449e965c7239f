//! What waits to be written to a pipe: many messages, one write.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::unix::pipe;
use tokio::sync::Notify;

/// Whoever puts a message into an empty outbox owes it a [`flush`](Self::flush).
pub(crate) struct Outbox {
    pipe: pipe::Sender,
    waiting: Mutex<Vec<u8>>,
    full: Notify,
}

impl Outbox {
    pub(crate) fn new(end: OwnedFd) -> io::Result<Arc<Self>> {
        let pipe = pipe::Sender::from_owned_fd(end)?;
        let outbox = Arc::new(Self { pipe, waiting: Mutex::default(), full: Notify::new() });
        tokio::spawn(outbox.clone().drain());
        Ok(outbox)
    }

    pub(crate) fn of_stdout() -> io::Result<Arc<Self>> {
        Self::new(io::stdout().as_fd().try_clone_to_owned()?)
    }

    /// `write` appends whole lines. Says whether nothing waited before.
    pub(crate) fn put(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut waiting = self.waiting.lock();
        let first = waiting.is_empty();
        write(&mut waiting);
        first
    }

    /// Writes all that waits, here and now; what the pipe does not take, [`drain`](Self::drain) goes on with.
    pub(crate) fn flush(&self) {
        if !self.write() {
            self.full.notify_one();
        }
    }

    /// Whether all is written.
    fn write(&self) -> bool {
        let mut waiting = self.waiting.lock();
        let mut written = 0;
        while written < waiting.len() {
            match self.pipe.try_write(&waiting[written..]) {
                Ok(bytes) => written += bytes,
                Err(problem) if problem.kind() == io::ErrorKind::WouldBlock => break,
                // Who reads no more, ends; its reader says so.
                Err(_) => written = waiting.len(),
            }
        }
        waiting.drain(..written);
        waiting.is_empty()
    }

    async fn drain(self: Arc<Self>) {
        loop {
            self.full.notified().await;
            while !self.write() {
                if self.pipe.writable().await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A flush that is owed, and is made even where a future is dropped before it could.
pub(crate) struct Owed<'o>(pub(crate) &'o Outbox);

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        self.0.flush();
    }
}
