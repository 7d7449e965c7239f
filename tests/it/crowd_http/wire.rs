//! A small HTTP client: one connection, one request at a time.

use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that is kept.
pub(crate) struct Line {
    host: SocketAddr,
    stream: TcpStream,
    /// What was read and not taken yet.
    raw: Vec<u8>,
    /// Events that were taken out of their chunks.
    text: Vec<u8>,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) session: Option<String>,
    pub(crate) form: Form,
}

/// How the body comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// So many bytes of JSON, or of nothing.
    Whole(usize),
    Events,
}

impl Line {
    pub(crate) async fn to(host: SocketAddr) -> Self {
        let stream = TcpStream::connect(host).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { host, stream, raw: Vec::new(), text: Vec::new() }
    }

    /// Sends a request and reads the head of its answer.
    pub(crate) async fn ask(&mut self, method: &str, session: Option<&str>, body: &str) -> Head {
        let session =
            session.map(|id| format!("mcp-session-id: {id}\r\nmcp-protocol-version: 2025-11-25\r\n"));
        let accept =
            if method == "GET" { "text/event-stream" } else { "application/json, text/event-stream" };
        let text = format!(
            "{method} /mcp HTTP/1.1\r\nhost: {}\r\naccept: {accept}\r\ncontent-type: application/json\r\n{}content-length: {}\r\n\r\n{body}",
            self.host,
            session.unwrap_or_default(),
            body.len(),
        );
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.head().await
    }

    async fn head(&mut self) -> Head {
        assert!(self.text.is_empty(), "the last answer was read to its end");
        let end = self.until(b"\r\n\r\n").await;
        let head = String::from_utf8(self.raw.drain(..end + 4).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let (mut session, mut length, mut is_events, mut is_chunked) = (None, 0, false, false);
        for line in head.lines().skip(1) {
            let Some((name, value)) = line.split_once(": ") else { continue };
            match name.to_ascii_lowercase().as_str() {
                "mcp-session-id" => session = Some(value.to_owned()),
                "content-length" => length = value.parse().unwrap(),
                "content-type" => is_events = value == "text/event-stream",
                "transfer-encoding" => is_chunked = value == "chunked",
                _ => {}
            }
        }
        assert_eq!(is_events, is_chunked, "{head}");
        Head { status, session, form: if is_events { Form::Events } else { Form::Whole(length) } }
    }

    /// A body of so many bytes; nothing if it is empty.
    pub(crate) async fn whole(&mut self, length: usize) -> Option<Value> {
        while self.raw.len() < length {
            self.read().await;
        }
        let body: Vec<u8> = self.raw.drain(..length).collect();
        (length > 0).then(|| serde_json::from_str(std::str::from_utf8(&body).unwrap()).unwrap())
    }

    /// The next message of a stream; `None` when it has ended.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = find(&self.text, b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                let block = std::str::from_utf8(&block).unwrap();
                let data = block.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
                if !data.is_empty() {
                    return Some(serde_json::from_str(data).unwrap());
                }
                continue;
            }
            let end = self.until(b"\r\n").await;
            let length = std::str::from_utf8(&self.raw[..end]).unwrap();
            let length = usize::from_str_radix(length, 16).unwrap();
            while self.raw.len() < end + 2 + length + 2 {
                self.read().await;
            }
            self.text.extend_from_slice(&self.raw[end + 2..end + 2 + length]);
            self.raw.drain(..end + 2 + length + 2);
            if length == 0 {
                assert!(self.text.is_empty(), "half an event at the end");
                return None;
            }
        }
    }

    /// Where `mark` begins in what was read, when it is there.
    async fn until(&mut self, mark: &[u8]) -> usize {
        loop {
            if let Some(at) = find(&self.raw, mark) {
                return at;
            }
            self.read().await;
        }
    }

    async fn read(&mut self) {
        let count = self.stream.read_buf(&mut self.raw).await.unwrap();
        assert!(count > 0, "the connection ended in the middle: {:?}", String::from_utf8_lossy(&self.raw));
    }
}

fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, mark)
}
