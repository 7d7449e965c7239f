//! Our own stdin and stdout, as a door needs them.
//!
//! A pipe and a socket are read and written by the runtime. In anything else one may have to wait for ever, which must
//! hold up neither the runtime nor our exit: that is left to plain threads. Nothing but whole lines of MCP is ever
//! written to stdout.

use super::inbox::{Heard, Inbox};
use crate::system::{Here, Input, Output, System};
use bytes::Bytes;
use smallvec::SmallVec;
use std::io::{IoSlice, Read, Write};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

/// Our stdin, until its end.
pub fn stdin() -> std::io::Result<Inbox> {
    if let Some(input) = Input::stdin() {
        return Ok(Inbox::Stdin(input));
    }
    let (chunks, inbox) = mpsc::channel(CHUNKS_MAX);
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || read(std::io::stdin(), &chunks))?;
    Ok(inbox.into())
}

/// Who writes lines to our stdout, until their sender is gone or nobody reads.
#[derive(Debug)]
pub struct Stdout(Writer);

#[derive(Debug)]
enum Writer {
    Task(JoinHandle<()>),
    Threads { written: oneshot::Receiver<()>, reader_gone: oneshot::Receiver<()> },
}

impl Stdout {
    /// Where to put lines, and who writes them.
    pub fn open() -> std::io::Result<(mpsc::Sender<Bytes>, Self)> {
        let (outbox, lines) = mpsc::channel(LINES_MAX);
        let writer = match Output::stdout() {
            Some(output) => Writer::Task(tokio::spawn(write(output, lines))),
            None => {
                let (tell, written) = oneshot::channel();
                std::thread::Builder::new().name("stdout".to_owned()).spawn(move || {
                    write_waiting(std::io::stdout(), lines);
                    tell.send(()).ok();
                })?;
                Writer::Threads { written, reader_gone: watch_reader() }
            }
        };
        Ok((outbox, Self(writer)))
    }

    /// Resolves when nobody reads it any more: the client is gone, even if we have nothing to tell it. Cancel-safe.
    pub async fn reader_gone(&mut self) {
        let is_told = match &mut self.0 {
            Writer::Task(writer) => writer.await.is_ok(),
            Writer::Threads { reader_gone, .. } => reader_gone.await.is_ok(),
        };
        if !is_told {
            std::future::pending().await
        }
    }

    /// Waits until all that was said is written: so long at most. Its senders must be gone.
    pub async fn finish(self, within: Duration) {
        match self.0 {
            Writer::Task(writer) if writer.is_finished() => {}
            Writer::Task(writer) => {
                timeout(within, writer).await.ok();
            }
            Writer::Threads { written, .. } => {
                timeout(within, written).await.ok();
            }
        }
    }
}

fn watch_reader() -> oneshot::Receiver<()> {
    let (tell, gone) = oneshot::channel();
    let watch = move || {
        Here::await_reader_gone();
        tell.send(()).ok();
    };
    if let Err(error) = std::thread::Builder::new().name("stdout-reader".to_owned()).spawn(watch) {
        tracing::debug!(%error, "that nobody reads stdout is seen only when it is written");
    }
    gone
}

/// Lines that wait together leave together.
async fn write(output: Output, mut lines: mpsc::Receiver<Bytes>) {
    let (mut taken, mut batch) = (Vec::new(), Vec::new());
    loop {
        let count = tokio::select! {
            biased;
            count = lines.recv_many(&mut taken, TAKEN_MAX) => count,
            () = output.reader_gone() => return,
        };
        if count == 0 {
            return;
        }
        gather(&mut lines, &mut taken).await;
        if output.write_all(&mut pieces(&taken, &mut batch)).await.is_err() {
            return;
        }
        taken.clear();
    }
}

/// What comes in the next turns of the runtime goes with what is taken. A client asks for more as soon as it has read
/// anything: whoever writes answers one by one is asked one by one, and his servers are woken for each.
async fn gather(lines: &mut mpsc::Receiver<Bytes>, taken: &mut Vec<Bytes>) {
    for _ in 0..TURNS_MAX {
        let before = taken.len();
        if before == TAKEN_MAX {
            return;
        }
        yield_now().await;
        while taken.len() < TAKEN_MAX
            && let Ok(line) = lines.try_recv()
        {
            taken.push(line);
        }
        if taken.len() == before {
            return;
        }
    }
}

/// Lines with their ends. Small ones are put together in `batch`, a large one is not copied.
fn pieces<'a>(lines: &'a [Bytes], batch: &'a mut Vec<u8>) -> SmallVec<[IoSlice<'a>; 4]> {
    batch.clear();
    for line in lines {
        if line.len() < LENT_BYTES_MIN {
            batch.extend_from_slice(line);
        }
        batch.push(b'\n');
    }
    let mut rest: &[u8] = batch;
    let mut small = 0;
    let mut pieces = SmallVec::new();
    for line in lines {
        if line.len() < LENT_BYTES_MIN {
            small += line.len() + 1;
            continue;
        }
        let (before, behind) = rest.split_at(small);
        pieces.extend([before, line].map(IoSlice::new));
        // Its end is the first that comes behind it.
        (rest, small) = (behind, 1);
    }
    pieces.push(IoSlice::new(rest));
    pieces
}

fn read(mut input: impl Read, chunks: &mpsc::Sender<Heard>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let chunk = Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default());
                if chunks.blocking_send(Heard::Chunk(chunk)).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// The same, where one has to wait.
fn write_waiting(mut output: impl Write, mut lines: mpsc::Receiver<Bytes>) {
    let mut batch = Vec::new();
    while let Some(line) = lines.blocking_recv() {
        batch.clear();
        batch.extend_from_slice(&line);
        batch.push(b'\n');
        while batch.len() < BATCH_BYTES_MAX
            && let Ok(line) = lines.try_recv()
        {
            batch.extend_from_slice(&line);
            batch.push(b'\n');
        }
        if output.write_all(&batch).and_then(|()| output.flush()).is_err() {
            return;
        }
        if batch.capacity() > BATCH_BYTES_MAX * 4 {
            batch = Vec::new();
        }
    }
}

const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that may wait for the door, and lines that may wait for the client.
const CHUNKS_MAX: usize = 4;
const LINES_MAX: usize = 64;
/// Lines that are taken at once to be written.
const TAKEN_MAX: usize = 32;
/// Turns of the runtime that lines which were taken wait for others, as long as each brings any.
const TURNS_MAX: usize = 2;
/// A line from here on is written from where it is.
const LENT_BYTES_MIN: usize = 4 * 1024;
const BATCH_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn what_is_long_is_written_from_where_it_is() {
        let (long, short) = (Bytes::from(vec![b'x'; LENT_BYTES_MIN]), Bytes::from_static(b"short"));
        for mask in 0_u32..32 {
            let lines: Vec<Bytes> =
                (0..5).map(|at| if mask >> at & 1 == 1 { long.clone() } else { short.clone() }).collect();
            let mut batch = b"what was there".to_vec();
            let pieces = pieces(&lines, &mut batch);
            let lent = pieces.iter().filter(|piece| piece.as_ptr() == long.as_ptr()).count();
            assert_eq!(lent, mask.count_ones() as usize);
            let said: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
            let want: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
            assert!(said == want, "{mask:b}");
        }
    }

    #[tokio::test]
    async fn lines_that_come_one_by_one_leave_together() {
        let (outbox, mut lines) = mpsc::channel(LINES_MAX);
        let line = |at: usize| Bytes::from(vec![b'x'; at]);
        let says = tokio::spawn(async move {
            for at in 2..TURNS_MAX + 4 {
                outbox.send(line(at)).await.unwrap();
                yield_now().await;
            }
        });
        let mut taken = vec![line(1)];
        gather(&mut lines, &mut taken).await;
        let want: Vec<_> = (1..=1 + TURNS_MAX).map(line).collect();
        assert_eq!(taken, want, "in their order, and no longer than that");
        says.await.unwrap();
    }

    #[test]
    fn a_line_alone_waits_for_one_turn() {
        let (_outbox, mut lines) = mpsc::channel(LINES_MAX);
        let mut taken = vec![Bytes::from_static(b"{}")];
        let mut gathers = Box::pin(gather(&mut lines, &mut taken));
        assert_eq!((&mut gathers).now_or_never(), None);
        assert_eq!((&mut gathers).now_or_never(), Some(()));
    }

    #[test]
    fn a_crowd_of_lines_is_taken_in_parts() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (outbox, mut lines) = mpsc::channel(LINES_MAX);
        (0..LINES_MAX).for_each(|_| outbox.try_send(Bytes::from_static(b"{}")).unwrap());
        let mut taken = Vec::new();
        runtime.block_on(gather(&mut lines, &mut taken));
        assert_eq!((taken.len(), lines.len()), (TAKEN_MAX, LINES_MAX - TAKEN_MAX));
        assert_eq!(
            gather(&mut lines, &mut taken).now_or_never(),
            Some(()),
            "who has all that fits waits for nobody"
        );
    }

    #[test]
    fn what_is_put_together_keeps_little_memory() {
        let lines = vec![Bytes::from(vec![b'x'; LENT_BYTES_MIN - 1]); TAKEN_MAX];
        let mut batch = Vec::new();
        assert_eq!(pieces(&lines, &mut batch).len(), 1);
        assert!(batch.capacity() <= TAKEN_MAX * LENT_BYTES_MIN * 2, "{}", batch.capacity());
    }
}
