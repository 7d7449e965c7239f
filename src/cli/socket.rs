//! How a command asks a run of ours: one request over its socket, one answer.
//!
//! Speaks as little HTTP as that takes, without keeping a connection: what comes after the head is the answer, to the end
//! of the stream. It waits for a silent run, and not for long.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

#[cfg(unix)]
use std::os::unix::net::UnixStream as Stream;

/// An answer, as far as it is read.
pub(super) struct Answer {
    pub(super) code: u16,
    body: Box<dyn BufRead>,
}

impl Answer {
    /// All of it.
    pub(super) fn text(self) -> io::Result<String> {
        let mut text = String::new();
        self.body.take(BODY_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    }

    /// The next line of one that comes by and by; nothing after the last.
    pub(super) fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let read = self.body.by_ref().take(BODY_BYTES_MAX).read_until(b'\n', &mut line)?;
        Ok((read > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned()))
    }
}

/// Asks the run behind a socket. `target`: the path, and what is asked of it.
pub(super) fn ask(socket: &Path, method: &str, target: &str) -> io::Result<Answer> {
    asked(socket, method, target, Some(WAIT_MAX))
}

/// The same, and what comes may take any time.
pub(super) fn follow(socket: &Path, target: &str) -> io::Result<Answer> {
    asked(socket, "GET", target, None)
}

#[cfg(unix)]
fn asked(socket: &Path, method: &str, target: &str, wait: Option<Duration>) -> io::Result<Answer> {
    let mut stream = Stream::connect(socket)?;
    stream.set_read_timeout(wait)?;
    stream.set_write_timeout(Some(WAIT_MAX))?;
    write!(stream, "{method} {target} HTTP/1.0\r\nContent-Length: 0\r\n\r\n")?;
    let mut body = BufReader::new(stream);
    let (mut line, mut code, mut left) = (String::new(), None, HEAD_BYTES_MAX);
    while line != "\r\n" {
        line.clear();
        let read = body.by_ref().take(left).read_line(&mut line)?;
        left = left.saturating_sub(read as u64);
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it did not answer"));
        }
        code = code.or_else(|| line.split(' ').nth(1).and_then(|code| code.parse().ok()));
    }
    let code = code.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its answer cannot be read"))?;
    Ok(Answer { code, body: Box::new(body) })
}

#[cfg(not(unix))]
fn asked(_: &Path, _: &str, _: &str, _: Option<Duration>) -> io::Result<Answer> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets"))
}

const WAIT_MAX: Duration = Duration::from_secs(5);
const HEAD_BYTES_MAX: u64 = 16 * 1024;
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
