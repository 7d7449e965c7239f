//! HTTP/1.1 as bytes: what a client library would not let us say, and what came back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One answer, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// A connection that is read answer by answer.
pub(super) struct Raw<S> {
    stream: S,
    read: Vec<u8>,
    /// The answer to `HEAD` says how long a body would be, and has none.
    bodiless: bool,
}

impl Raw<TcpStream> {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self::over(within(TcpStream::connect(address)).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(super) fn over(stream: S) -> Self {
        Self { stream, read: Vec::new(), bodiless: false }
    }

    /// Says it and waits for one answer.
    pub(super) async fn ask(&mut self, text: impl AsRef<[u8]>) -> Answer {
        self.bodiless = text.as_ref().starts_with(b"HEAD ");
        self.say(text).await;
        self.answer().await
    }

    pub(super) async fn say(&mut self, text: impl AsRef<[u8]>) {
        within(self.stream.write_all(text.as_ref())).await.unwrap();
    }

    /// Both halves, for who speaks and listens at once.
    pub(super) fn into_stream(self) -> S {
        self.stream
    }

    /// As `say`, to a server that may have gone away meanwhile.
    pub(super) async fn try_say(&mut self, text: impl AsRef<[u8]>) -> io::Result<()> {
        within(self.stream.write_all(text.as_ref())).await
    }

    /// Says that nothing more will be said.
    pub(super) async fn finish(&mut self) {
        within(self.stream.shutdown()).await.unwrap();
    }

    pub(super) async fn answer(&mut self) -> Answer {
        self.try_answer().await.expect("an answer before the end")
    }

    /// `None`: the connection ended before an answer began.
    pub(super) async fn try_answer(&mut self) -> Option<Answer> {
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break self.read.drain(..end + 4).collect::<Vec<u8>>();
            }
            if !self.more().await {
                assert!(self.read.is_empty(), "half a head: {:?}", String::from_utf8_lossy(&self.read));
                return None;
            }
        };
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: String::new() };
        let body = if self.bodiless || status == 204 || status == 100 {
            Vec::new()
        } else if let Some(length) = answer.header("content-length") {
            self.exactly(length.parse().unwrap()).await
        } else if answer.header("transfer-encoding") == Some("chunked") {
            self.chunks().await
        } else {
            while self.more().await {}
            std::mem::take(&mut self.read)
        };
        answer.body = String::from_utf8(body).unwrap();
        Some(answer)
    }

    /// Reads the head of an answer whose body has no end yet.
    pub(super) async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                return String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
            }
            assert!(self.more().await, "an end before the head's");
        }
    }

    /// Waits until the server closes, and says what it had to say until then.
    pub(super) async fn end(&mut self) -> String {
        while self.more().await {}
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = loop {
                if let Some(end) = self.read.windows(2).position(|two| two == b"\r\n") {
                    let line: Vec<u8> = self.read.drain(..end + 2).collect();
                    break usize::from_str_radix(str::from_utf8(&line).unwrap().trim(), 16).unwrap();
                }
                assert!(self.more().await, "an end within a chunk");
            };
            body.extend(self.exactly(size).await);
            self.exactly(2).await;
            if size == 0 {
                return body;
            }
        }
    }

    async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert!(self.more().await, "an end before the body's");
        }
        self.read.drain(..count).collect()
    }

    /// `false` at the end, however it came.
    async fn more(&mut self) -> bool {
        within(self.stream.read_buf(&mut self.read)).await.is_ok_and(|count| count > 0)
    }
}

impl Answer {
    /// `None` also where it stands more than once.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(one, _)| one == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }
}

/// Nothing here takes long; what does has failed.
pub(super) async fn within<F: Future>(what: F) -> F::Output {
    timeout(Duration::from_secs(20), what).await.expect("in time")
}
