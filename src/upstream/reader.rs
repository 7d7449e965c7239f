//! The reading half of a byte stream: lines, for an ear.
//!
//! One task per stream. Owns the bytes that are not a line yet. What it cannot read it skips, and gives the stream up
//! when there is too much of that.

use super::aside::Aside;
use super::ear::{Ear, OnlyNoise};
use super::stream::{Lost, Stream};
use crate::wire::lines::{Line, Lines};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What the reading task keeps from line to line.
pub(super) struct Reader {
    stream: Arc<Stream>,
    lines: Lines,
    ear: Ear,
}

impl Reader {
    pub(super) fn new(stream: Arc<Stream>) -> Self {
        Self { lines: Lines::roomy(stream.message_bytes_max()), ear: Ear::new(stream.clone()), stream }
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
            while let Some(line) = self.lines.next() {
                let heard = match line {
                    Ok(line) => self.line(line).await,
                    Err(_) => return stream.give_up(Lost::broken("its line on stdout did not end")),
                };
                if heard.is_err() {
                    let why = "there was too much on its stdout that is no message";
                    return stream.give_up(Lost::broken(why));
                }
            }
        }
        if let Some(Line::Text(text)) = self.lines.finish() {
            self.ear.last(text).await;
        }
    }

    async fn line(&mut self, line: Line) -> Result<(), OnlyNoise> {
        match line {
            Line::Text(text) => self.ear.hear(text).await,
            Line::TooLong { id, bytes, response } => {
                self.ear.overlong(id, bytes, response);
                Ok(())
            }
        }
    }
}

/// Nothing more comes once this is dropped.
struct End(Arc<Stream>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.at_end();
    }
}
