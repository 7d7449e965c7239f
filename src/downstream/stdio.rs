//! Our own stdin and stdout, as a door needs them.
//!
//! Plain threads: a blocking read or write may last for ever and must hold up neither the runtime nor our
//! exit. Nothing but whole lines of MCP is ever written to stdout.

use super::door::Heard;
use crate::system::{Here, System};
use bytes::Bytes;
use std::io::{Read, Write};
use tokio::sync::mpsc;

/// Reads stdin in chunks until its end.
pub fn stdin() -> std::io::Result<mpsc::Receiver<Heard>> {
    let (chunks, inbox) = mpsc::channel(CHUNKS_MAX);
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || read(std::io::stdin(), &chunks))?;
    Ok(inbox)
}

/// Writes lines to stdout until the sender is gone or nobody reads.
pub fn stdout() -> std::io::Result<(mpsc::Sender<Bytes>, std::thread::JoinHandle<()>)> {
    let (outbox, lines) = mpsc::channel(LINES_MAX);
    let writer = std::thread::Builder::new()
        .name("stdout".to_owned())
        .spawn(move || write(std::io::stdout(), lines))?;
    Ok((outbox, writer))
}

/// Resolves when nobody reads our stdout any more: the client is gone, even if we have nothing to tell it.
pub async fn reader_gone() {
    let (gone, heard) = tokio::sync::oneshot::channel();
    let watch = std::thread::Builder::new().name("stdout-reader".to_owned()).spawn(move || {
        Here::await_reader_gone();
        gone.send(()).ok();
    });
    match watch {
        Ok(_) => heard.await.unwrap_or_default(),
        Err(_) => std::future::pending().await,
    }
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

fn write(mut output: impl Write, mut lines: mpsc::Receiver<Bytes>) {
    let mut batch = Vec::new();
    while let Some(line) = lines.blocking_recv() {
        batch.clear();
        batch.extend_from_slice(&line);
        batch.push(b'\n');
        // Lines that wait together leave together.
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
const BATCH_BYTES_MAX: usize = 64 * 1024;
