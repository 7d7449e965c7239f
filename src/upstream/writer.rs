//! The writing half of a byte stream: frames in the order in which they were queued.
//!
//! Owns what is put together to leave together. It knows no JSON-RPC: it is given texts, and it ends when the pipe
//! breaks or the stream hangs up.

use super::aside::Aside;
use super::carry::Frames;
use super::frame::Frame;
use crate::wire::lines::on_one_line;
use bytes::BytesMut;
use std::collections::VecDeque;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

/// Writes frames in order; small ones that wait together leave together.
pub(super) async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut outgoing: Frames,
    ended: CancellationToken,
    hang_up: CancellationToken,
) {
    let mut frames = VecDeque::new();
    let mut batch = BytesMut::new();
    let mut hung_up = Aside::new(hang_up.cancelled());
    loop {
        tokio::select! {
            biased;
            () = &mut hung_up => break,
            () = outgoing.all(&mut frames, FRAMES_MAX) => {}
        }
        if frames.is_empty() {
            break;
        }
        batch.clear();
        // What is in `frames` keeps its places until all of it is written.
        let written = tokio::select! {
            // Mostly it is written at once, and nobody is asked.
            biased;
            written = write_all(&mut writer, &mut batch, &frames) => written,
            () = &mut hung_up => break,
        };
        frames.clear();
        if written.is_err() {
            break;
        }
        if batch.capacity() > BATCH_BYTES_MAX * 4 {
            batch = BytesMut::new();
        }
    }
    writer.shutdown().await.ok();
    ended.cancel();
}

async fn write_all(
    writer: &mut (impl AsyncWrite + Unpin),
    batch: &mut BytesMut,
    frames: &VecDeque<Frame>,
) -> std::io::Result<()> {
    for frame in frames {
        if !frame.leave() {
            continue;
        }
        let text = on_one_line(&frame.text);
        if batch.len() + text.len() > BATCH_BYTES_MAX {
            writer.write_all(batch).await?;
            batch.clear();
        }
        if text.len() > BATCH_BYTES_MAX {
            writer.write_all(&text).await?;
            batch.extend_from_slice(b"\n");
            continue;
        }
        batch.extend_from_slice(&text);
        batch.extend_from_slice(b"\n");
    }
    writer.write_all(batch).await?;
    writer.flush().await
}

/// Frames that leave together, and the bytes up to which they are put together first.
const FRAMES_MAX: usize = 64;
const BATCH_BYTES_MAX: usize = 64 * 1024;
