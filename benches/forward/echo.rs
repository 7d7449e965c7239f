//! A server in memory that answers as cheaply as an answer can be given.
//!
//! It reads no JSON: it cuts the id out of the text. What a round trip between it and its client costs is what
//! everything costs that is not Braid.

use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use futures::future::{BoxFuture, ready};
use mcp_braid::config::{Command, Config, Reach, ServerConfig};
use mcp_braid::hub::Hub;
use mcp_braid::upstream::dial::{Dial, Dialed};
use mcp_braid::wire::fault::Fault;
use memchr::memchr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio_util::task::TaskTracker;

/// Whether what two sides know of each other is settled by a handshake, or said in each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2025-11-25.
    Handshake,
    /// 2026-07-28.
    Stateless,
}

/// The server. Every tool of it does the same.
#[derive(Clone)]
pub(crate) struct Echo {
    era: Era,
    /// What it says of its tools, as a result.
    tools: Arc<str>,
}

impl Echo {
    /// A server with so many tools.
    pub(crate) fn with(era: Era, tools: usize) -> Self {
        let tools: Vec<_> = (0..tools).map(tool).collect();
        let tools = tools.join(",");
        let tools = match era {
            Era::Handshake => format!(r#"{{"tools":[{tools}]}}"#),
            Era::Stateless => format!(
                r#"{{"resultType":"complete","ttlMs":3600000,"cacheScope":"private","tools":[{tools}],{INFO}}}"#
            ),
        };
        Self { era, tools: Arc::from(tools) }
    }

    /// A hub whose only server it is.
    pub(crate) fn hub(self) -> Arc<Hub> {
        let folder = Path::new("/");
        let mut config = Config::new("a bench", folder);
        config.servers = vec![ServerConfig::new("echo", Reach::Stdio(Command::new("echo", folder)))];
        let dials: Vec<Arc<dyn Dial>> = vec![Arc::new(self)];
        Hub::new(Arc::new(config), dials, "a mark", TaskTracker::new())
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
        answers.extend_from_slice(self.end(rest));
        if rest.starts_with(LIST) {
            answers.extend_from_slice(self.tools.as_bytes());
            answers.extend_from_slice(b"}");
        }
        answers.push(b'\n');
    }

    /// What follows the id in the answer to a request, from what follows its own; but for its list.
    fn end(&self, rest: &[u8]) -> &'static [u8] {
        if rest.starts_with(br#","method":"tools/call""#) {
            match self.era {
                Era::Handshake => RESULT.as_bytes(),
                Era::Stateless => COMPLETE.as_bytes(),
            }
        } else if rest.starts_with(LIST) {
            br#","result":"#
        } else if rest.starts_with(br#","method":"initialize""#) && self.era == Era::Handshake {
            GREETING.as_bytes()
        } else if rest.starts_with(br#","method":"server/discover""#) && self.era == Era::Stateless {
            DISCOVERED.as_bytes()
        } else {
            UNKNOWN.as_bytes()
        }
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

/// A tool of ordinary size.
pub(crate) fn tool(n: usize) -> String {
    format!(
        r#"{{"name":"read_{n}","title":"Read a file","description":"Reads a file of the project and gives its text, or the part of it between two lines.","inputSchema":{{"type":"object","properties":{{"path":{{"type":"string","description":"From the project's folder"}},"first":{{"type":"integer","minimum":1}},"last":{{"type":"integer","minimum":1}}}},"required":["path"]}},"annotations":{{"readOnlyHint":true,"openWorldHint":false}}}}"#
    )
}

const HEAD: &[u8] = br#"{"jsonrpc":"2.0","id":"#;
const LIST: &[u8] = br#","method":"tools/list""#;

const RESULT: &str = r#","result":{"content":[{"type":"text","text":"fn main() -> ExitCode {\n    cli::run()\n}\n"}],"isError":false}}"#;
const COMPLETE: &str = r#","result":{"resultType":"complete","content":[{"type":"text","text":"fn main() -> ExitCode {\n    cli::run()\n}\n"}],"isError":false,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"echo","version":"1"}}}}"#;
const GREETING: &str = r#","result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"echo","version":"1"}}}"#;
const DISCOVERED: &str = r#","result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":3600000,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"echo","version":"1"}}}}"#;
const UNKNOWN: &str = r#","error":{"code":-32601,"message":"unknown"}}"#;
const INFO: &str = r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"echo","version":"1"}}"#;

/// More than all requests in flight take, so that neither side ever waits for room.
const PIPE_BYTES: usize = 1024 * 1024;
