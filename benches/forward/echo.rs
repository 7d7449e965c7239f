//! A server in memory that answers as cheaply as an answer can be given, and a client that asks as cheaply.
//!
//! Neither reads JSON: the server cuts the id out of the text, the client counts lines. What a round trip
//! between them costs is what everything costs that is not Braid.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures::future::{BoxFuture, ready};
use mcp_braid::downstream::door::Heard;
use mcp_braid::upstream::dial::{Dial, Dialed};
use mcp_braid::wire::fault::Fault;
use memchr::{memchr, memchr_iter};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::sync::mpsc;

/// The server. Every tool of it does the same.
#[derive(Clone)]
pub(crate) struct Echo {
    /// As the text of an array.
    tools: Arc<str>,
}

impl Echo {
    /// A server with so many tools.
    pub(crate) fn with(tools: usize) -> Self {
        let tools: Vec<_> = (0..tools).map(tool).collect();
        Self { tools: Arc::from(format!("[{}]", tools.join(","))) }
    }

    /// Starts the server, and returns the other end of its pipe.
    pub(crate) fn start(&self) -> DuplexStream {
        let (ours, theirs) = duplex(PIPE_BYTES);
        tokio::spawn(self.clone().serve(theirs));
        ours
    }

    async fn serve(self, mut pipe: DuplexStream) {
        let (mut arrived, mut answers) = (BytesMut::new(), Vec::new());
        while pipe.read_buf(&mut arrived).await.is_ok_and(|count| count > 0) {
            while let Some(end) = memchr(b'\n', &arrived) {
                self.answer(&arrived[..end], &mut answers);
                arrived.advance(end + 1);
            }
            if pipe.write_all(&answers).await.is_err() {
                return;
            }
            answers.clear();
        }
    }

    fn answer(&self, line: &[u8], answers: &mut Vec<u8>) {
        // Whoever asks here begins its requests so; all else is a notification.
        let Some(rest) = line.strip_prefix(HEAD) else { return };
        let Some(comma) = memchr(b',', rest) else { return };
        let (id, rest) = rest.split_at(comma);
        answers.extend_from_slice(HEAD);
        answers.extend_from_slice(id);
        answers.extend_from_slice(br#","result":"#);
        if rest.starts_with(br#","method":"tools/call""#) {
            answers.extend_from_slice(RESULT);
        } else if rest.starts_with(br#","method":"tools/list""#) {
            answers.extend_from_slice(br#"{"tools":"#);
            answers.extend_from_slice(self.tools.as_bytes());
            answers.push(b'}');
        } else {
            answers.extend_from_slice(GREETING);
        }
        answers.extend_from_slice(b"}\n");
    }
}

impl Dial for Echo {
    fn dial(&self) -> BoxFuture<'_, Result<Dialed, Fault>> {
        let (reader, writer) = split(self.start());
        let dialed = Dialed::piped(reader, writer);
        Box::pin(ready(Ok(dialed)))
    }

    fn transport(&self) -> &'static str {
        "memory"
    }
}

/// A client at one end of something that takes its lines and gives it others.
pub(crate) struct Client {
    pub(crate) line: Line,
    /// What it calls the tool.
    pub(crate) tool: &'static str,
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
        let mut text = Vec::with_capacity(128 * count as usize);
        for _ in 0..count {
            self.next_id += 1;
            let request = (self.next_id, self.tool);
            writeln!(
                text,
                r#"{{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"{}","arguments":{{"path":"src/main.rs"}}}}}}"#,
                request.0, request.1
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

/// A tool of ordinary size.
pub(crate) fn tool(n: usize) -> String {
    format!(
        r#"{{"name":"read_{n}","title":"Read a file","description":"Reads a file of the project and gives its text, or the part of it between two lines.","inputSchema":{{"type":"object","properties":{{"path":{{"type":"string","description":"From the project's folder"}},"first":{{"type":"integer","minimum":1}},"last":{{"type":"integer","minimum":1}}}},"required":["path"]}},"annotations":{{"readOnlyHint":true,"openWorldHint":false}}}}"#
    )
}

const HEAD: &[u8] = br#"{"jsonrpc":"2.0","id":"#;

const RESULT: &[u8] =
    br#"{"content":[{"type":"text","text":"fn main() -> ExitCode {\n    cli::run()\n}\n"}],"isError":false}"#;

const GREETING: &[u8] = br#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"echo","version":"1"}}"#;

/// More than all requests in flight take, so that neither side ever waits for room.
const PIPE_BYTES: usize = 1024 * 1024;

const LINES_MAX: usize = 64;
