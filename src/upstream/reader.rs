//! The reading half of a byte stream: lines, for an ear.
//!
//! One task per stream. Owns the bytes that are not a line yet. What it cannot read it skips, and gives the stream up
//! when there is too much of that.

use super::aside::Aside;
use super::ear::{Ear, OnlyNoise, Read};
use super::stream::{Lost, Stream};
use crate::wire::lines::{Broken, Line, Lines};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What the reading task keeps from line to line.
pub(super) struct Reader {
    stream: Arc<Stream>,
    lines: Lines,
    /// What was read and not heard yet.
    read: Vec<Result<Read, Broken>>,
    ear: Ear,
}

impl Reader {
    pub(super) fn new(stream: Arc<Stream>) -> Self {
        let lines = Lines::roomy(stream.message_bytes_max());
        Self { lines, read: Vec::new(), ear: Ear::new(stream.clone()), stream }
    }

    /// Reads until the end of the pipe, or until there is no sense in reading on.
    pub(super) async fn run(mut self, mut pipe: impl AsyncRead + Unpin) {
        let stream = self.stream.clone();
        // However this ends, nothing more is heard.
        let _end = End(stream.clone());
        let mut deaf = Aside::new(stream.deaf());
        loop {
            let read = tokio::select! {
                biased;
                () = &mut deaf => return,
                read = pipe.read_buf(self.lines.buffer()) => read,
            };
            match read {
                Ok(count) if count > 0 => stream.comes(),
                Ok(_) | Err(_) => break,
            }
            while self.lines.together(&mut self.read, Ear::read_line) {
                if let Err(why) = self.hears_what_was_read().await {
                    return stream.give_up(Lost::broken(why));
                }
            }
        }
        if let Some(Line::Text(text)) = self.lines.finish() {
            self.ear.last(text).await;
        }
    }

    /// The error: why there is no sense in reading on.
    async fn hears_what_was_read(&mut self) -> Result<(), &'static str> {
        for line in self.read.drain(..) {
            let read = line.map_err(|_| "its line on stdout did not end")?;
            let heard = self.ear.hear_read(read).await;
            heard.map_err(|OnlyNoise| "there was too much on its stdout that is no message")?;
        }
        Ok(())
    }
}

/// Nothing more comes once this is dropped.
struct End(Arc<Stream>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.at_end();
    }
}
