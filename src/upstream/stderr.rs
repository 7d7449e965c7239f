//! What a child writes to stderr: always read, kept a little, logged a line at a time.
//!
//! Owns the reading end of the pipe and the last of its text. A child never waits for us here: whatever
//! arrives is taken at once, and what is too long or too much is cut. It holds nobody up either: it ends
//! with the child's tree, even when a stranger keeps the pipe open. Text is text: never an error in itself.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::journal::Journal;
use crate::config::Stderr;
use crate::wire::letters::is_hidden;

/// The last text of one child's stderr, shared by who reads it and who quotes it.
#[derive(Debug, Clone, Default)]
pub struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    /// The last lines, escaped, for an error message: at most `QUOTE_LINES_MAX` lines and about
    /// `QUOTE_BYTES_MAX` bytes, without blank lines, joined by newlines. Empty if there were none.
    pub fn quote(&self) -> String {
        let bytes = {
            let mut kept = self.0.lock();
            let kept = kept.make_contiguous();
            kept.get(kept.len().saturating_sub(QUOTE_BYTES_MAX)..).unwrap_or_default().to_vec()
        };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<String> =
            text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(escaped).collect();
        lines.get(lines.len().saturating_sub(QUOTE_LINES_MAX)..).unwrap_or_default().join("\n")
    }

    /// Everything that is kept, escaped, a line per line.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().make_contiguous().to_vec();
        String::from_utf8_lossy(&bytes).lines().map(escaped).collect::<Vec<_>>().join("\n")
    }

    fn keep(&self, bytes: &[u8]) {
        let bytes = bytes.get(bytes.len().saturating_sub(KEPT_BYTES_MAX)..).unwrap_or(bytes);
        let mut kept = self.0.lock();
        let over = (kept.len() + bytes.len()).saturating_sub(KEPT_BYTES_MAX).min(kept.len());
        kept.drain(..over);
        kept.extend(bytes);
    }
}

/// Reads a child's stderr to its end, or until its tree is `gone` and what was in the pipe is read.
pub async fn drain(
    mut pipe: impl AsyncRead + Unpin,
    server: String,
    mut stderr: Stderr,
    (tail, journal): (Tail, Arc<Journal>),
    gone: CancellationToken,
) {
    let mut lines = Lines::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut is_gone = false;
    loop {
        let read = if is_gone {
            // Nobody of the tree is left to write. What is in the pipe comes without waiting; who still
            // holds the other end is no child of ours.
            timeout(REST_WAIT_MAX, pipe.read(&mut chunk)).await.ok()
        } else {
            gone.run_until_cancelled(pipe.read(&mut chunk)).await
        };
        match read {
            None if is_gone => break,
            None => is_gone = true,
            Some(Ok(0) | Err(_)) => break,
            Some(Ok(count)) => {
                let bytes = chunk.get(..count).unwrap_or_default();
                tail.keep(bytes);
                lines.take(bytes);
                pass_on(&mut lines, &server, &journal, &mut stderr).await;
            }
        }
    }
    lines.end();
    pass_on(&mut lines, &server, &journal, &mut stderr).await;
}

async fn pass_on(lines: &mut Lines, server: &str, journal: &Journal, stderr: &mut Stderr) {
    for line in lines.ready.drain(..) {
        journal.keep(&line);
        match *stderr {
            Stderr::Log => tracing::info!(event = "stderr", server, "{line}"),
            Stderr::Drop => {}
            Stderr::Inherit => {
                // Our own stderr may be a pipe that nobody reads. Its stillness is not the child's fault.
                let write = async {
                    let mut ours = tokio::io::stderr();
                    ours.write_all(line.as_bytes()).await?;
                    ours.write_all(b"\n").await?;
                    ours.flush().await
                };
                // Once is enough to know: each further try would leave one more thread waiting.
                if timeout(INHERIT_WAIT_MAX, write).await.is_err() {
                    *stderr = Stderr::Drop;
                }
            }
        }
    }
}

/// Cuts bytes into lines, wherever the chunks end.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    /// Bytes of the present line that were left out.
    cut: usize,
    ready: Vec<String>,
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((text, after)) =
            memchr::memchr(b'\n', rest).and_then(|end| Some((rest.get(..end)?, rest.get(end + 1..)?)))
        {
            self.add(text);
            self.end();
            rest = after;
        }
        self.add(rest);
    }

    fn add(&mut self, text: &[u8]) {
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len()).min(text.len());
        self.line.extend_from_slice(text.get(..room).unwrap_or_default());
        self.cut += text.len() - room;
    }

    /// Ends the present line; a blank one is nothing.
    fn end(&mut self) {
        let cut = std::mem::take(&mut self.cut);
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end();
        if !text.is_empty() {
            let mut line = escaped(text);
            if cut > 0 {
                let _ = write!(line, "… ({cut} bytes more)");
            }
            self.ready.push(line);
        }
        self.line.clear();
    }
}

/// Text of a stranger's, made safe for one line of a log or a terminal: whatever moves the cursor, ends
/// the line, turns the reading direction or cannot be seen is written out.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) {
            let _ = write!(safe, "{}", character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    safe
}

fn is_unsafe(character: char) -> bool {
    match character {
        '\t' => false,
        '\u{feff}' => true,
        _ => is_hidden(character),
    }
}

/// Longest line that is logged; the rest of it is counted.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// Text kept per child.
pub const KEPT_BYTES_MAX: usize = 64 * 1024;

/// What an error message quotes of it.
pub const QUOTE_LINES_MAX: usize = 10;
pub const QUOTE_BYTES_MAX: usize = 2 * 1024;

/// Read at once.
const CHUNK_BYTES: usize = 4 * 1024;

const REST_WAIT_MAX: Duration = Duration::from_millis(20);
const INHERIT_WAIT_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        chunks.iter().for_each(|chunk| lines.take(chunk));
        lines.end();
        lines.ready
    }

    #[test]
    fn whatever_moves_a_cursor_is_written_out() {
        assert_eq!(escaped("a\u{1b}[31mb\tc\rd\u{85}\u{202e}e\u{e0041}é"), {
            "a\\u{1b}[31mb\tc\\u{d}d\\u{85}\\u{202e}e\\u{e0041}é"
        });
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_is_whole() {
        let long = [vec![b'x'; LINE_BYTES_MAX + 5], b"\nnext\r\n\n".to_vec()].concat();
        let cut = format!("{}… (5 bytes more)", "x".repeat(LINE_BYTES_MAX));
        assert_eq!(lines(&[&long]), [cut, "next".to_owned()]);
    }

    #[test]
    fn bytes_that_are_no_text_are_still_a_line() {
        assert_eq!(lines(&[b"a\xff\xfeb"]), ["a\u{fffd}\u{fffd}b"]);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_for_every_chunking(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            size in 1_usize..40,
        ) {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(lines(&chunks), lines(&[&bytes]));
        }
    }

    #[test]
    fn the_last_of_much_text_is_kept_and_a_little_of_it_is_quoted() {
        let tail = Tail::default();
        for number in 0..100_000 {
            tail.keep(format!("line {number}\n").as_bytes());
        }
        assert!(tail.0.lock().len() <= KEPT_BYTES_MAX);
        let quote = tail.quote();
        assert_eq!(quote.lines().count(), QUOTE_LINES_MAX);
        assert!(quote.ends_with("line 99998\nline 99999"));
        tail.keep(&vec![b'y'; KEPT_BYTES_MAX * 2]);
        assert_eq!(tail.0.lock().len(), KEPT_BYTES_MAX);
    }

    /// What a log gets of these bytes.
    async fn logged(bytes: &[u8], stderr: Stderr) -> String {
        let log: Arc<Mutex<Vec<u8>>> = Arc::default();
        let sink = Arc::clone(&log);
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(move || Sink(Arc::clone(&sink)))
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        drain(bytes, "notes".into(), stderr, Default::default(), CancellationToken::new()).await;
        drop(guard);
        String::from_utf8(log.lock().clone()).unwrap()
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn c06_one_line_of_stderr_is_one_line_of_the_log() {
        let text = "one\r\n\n\u{1b}]0;title\u{7} two\u{85}half".as_bytes();
        assert_eq!(
            logged(text, Stderr::Log).await,
            " INFO one event=\"stderr\" server=\"notes\"\n \
             INFO \\u{1b}]0;title\\u{7} two\\u{85}half event=\"stderr\" server=\"notes\"\n"
        );
        assert_eq!(logged(text, Stderr::Drop).await, "");
    }

    #[tokio::test]
    async fn a_stranger_who_holds_the_pipe_does_not_hold_us() {
        let (mut theirs, ours) = tokio::io::duplex(1024);
        let (tail, gone) = (Tail::default(), CancellationToken::new());
        theirs.write_all(b"last words").await.unwrap();
        gone.cancel();
        drain(ours, "s".into(), Stderr::Log, (tail.clone(), Arc::default()), gone).await;
        assert_eq!(tail.quote(), "last words");
        drop(theirs);
    }
}
