//! Where a door hears its client: what somebody hands on, or our own stdin.
//!
//! Bytes go straight into the door's lines. It decides nothing about what it hears.

use crate::system::Input;
use crate::upstream::allowance::Held;
use crate::wire::lines::Lines;
use bytes::Bytes;
use tokio::sync::mpsc;

/// What comes from a client.
#[derive(Debug)]
pub enum Heard {
    /// Bytes of a stream of lines, wherever they were cut.
    Chunk(Bytes),
    /// A whole text, and its room in memory if it has taken any.
    Text(Bytes, Option<Held>),
}

/// Where it comes from.
#[derive(Debug)]
pub enum Inbox {
    Handed(mpsc::Receiver<Heard>),
    Stdin(Input),
}

/// What has come.
#[derive(Debug)]
pub(super) enum Came {
    /// Bytes, which are in the lines.
    Bytes,
    Text(Bytes, Option<Held>),
    /// Nothing comes any more.
    End,
}

impl Inbox {
    /// Waits until something comes. Cancel-safe.
    pub(super) async fn next(&mut self, lines: &mut Lines) -> Came {
        match self {
            Self::Handed(heard) => match heard.recv().await {
                Some(Heard::Chunk(chunk)) => {
                    lines.feed(&chunk);
                    Came::Bytes
                }
                Some(Heard::Text(text, memory)) => Came::Text(text, memory),
                None => Came::End,
            },
            Self::Stdin(input) => match input.read(lines.buffer()).await {
                Ok(count) if count > 0 => Came::Bytes,
                Ok(_) | Err(_) => Came::End,
            },
        }
    }
}

impl From<mpsc::Receiver<Heard>> for Inbox {
    fn from(heard: mpsc::Receiver<Heard>) -> Self {
        Self::Handed(heard)
    }
}
