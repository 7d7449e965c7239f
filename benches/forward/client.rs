//! A client that asks as cheaply as a client can: it writes its calls and counts the lines that come back.

use bytes::{Buf, Bytes, BytesMut};
use mcp_braid::downstream::door::Heard;
use memchr::memchr_iter;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

/// A client at one end of something that takes its lines and gives it others.
pub(crate) struct Client {
    pub(crate) line: Line,
    /// What it calls the tool.
    pub(crate) tool: &'static str,
    /// What each request says beside that, as members of its params.
    pub(crate) says: &'static str,
    pub(crate) next_id: u64,
}

/// What a client talks through.
pub(crate) enum Line {
    Pipe(DuplexStream, BytesMut),
    Door(mpsc::Sender<Heard>, mpsc::Receiver<Bytes>),
}

impl Client {
    /// So many calls to their ends, so many of them at a time.
    pub(crate) async fn calls(&mut self, calls: u64, in_flight: u64) {
        let (mut begun, mut over) = (0, 0);
        let mut room = in_flight;
        while over < calls {
            let more = room.min(calls - begun);
            if more > 0 {
                let requests = self.requests(more);
                self.line.send(requests).await;
                begun += more;
            }
            room = self.line.answers().await;
            over += room;
        }
    }

    fn requests(&mut self, count: u64) -> Bytes {
        use std::io::Write as _;
        let mut text = Vec::with_capacity((128 + self.says.len()) * count as usize);
        for _ in 0..count {
            self.next_id += 1;
            let Self { next_id, tool, says, .. } = self;
            writeln!(
                text,
                r#"{{"jsonrpc":"2.0","id":{next_id},"method":"tools/call","params":{{{says}"name":"{tool}","arguments":{{"path":"src/main.rs"}}}}}}"#,
            )
            .ok();
        }
        text.into()
    }
}

impl Line {
    pub(crate) async fn send(&mut self, lines: Bytes) {
        match self {
            Self::Pipe(pipe, _) => pipe.write_all(&lines).await.expect("a pipe that is read"),
            Self::Door(inbox, _) => inbox.send(Heard::Chunk(lines)).await.expect("a door that is open"),
        }
    }

    /// Waits for at least one line, and counts those that are there.
    pub(crate) async fn answers(&mut self) -> u64 {
        match self {
            Self::Pipe(pipe, arrived) => loop {
                let count = pipe.read_buf(arrived).await.expect("a pipe that is written");
                assert!(count > 0, "the server hung up");
                let lines = memchr_iter(b'\n', arrived).count();
                if lines > 0 {
                    // The rest of a line has no newline in it, and begins after the last one.
                    let end = arrived.iter().rposition(|byte| *byte == b'\n').unwrap_or_default();
                    arrived.advance(end + 1);
                    return lines as u64;
                }
            },
            Self::Door(_, outbox) => {
                let mut lines = Vec::with_capacity(LINES_MAX);
                outbox.recv_many(&mut lines, LINES_MAX).await as u64
            }
        }
    }
}

/// More than a door ever has ready at once.
const LINES_MAX: usize = 64;
