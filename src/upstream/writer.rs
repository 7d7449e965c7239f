//! The writing half of a stream: frames in the order in which they were queued.
//!
//! Owns what a frame holds until it is written, and whether its bytes may have left. It knows no JSON-RPC: it is
//! given texts, and it ends when the pipe breaks or the stream hangs up.

use crate::wire::fault::CallOutcome;
use crate::wire::lines::one_line;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

/// The places that a request takes, given back when the last of its frames is written or dropped.
#[derive(Debug, Default)]
pub(super) struct Places {
    _held: Vec<OwnedSemaphorePermit>,
}

impl Places {
    pub(super) fn new(held: Vec<OwnedSemaphorePermit>) -> Arc<Self> {
        Arc::new(Self { _held: held })
    }
}

/// Whether a request's bytes may have left us.
#[derive(Debug, Default)]
pub(super) struct Fate(AtomicU8);

impl Fate {
    const QUEUED: u8 = 0;
    const LEFT: u8 = 1;
    const WITHDRAWN: u8 = 2;

    /// The writer takes the frame up; `false` if it was withdrawn.
    fn leave(&self) -> bool {
        self.0.compare_exchange(Self::QUEUED, Self::LEFT, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Takes back what the writer has not taken up; `false` if it is too late.
    pub(super) fn withdraw(&self) -> bool {
        self.0.compare_exchange(Self::QUEUED, Self::WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Its server may have seen it.
    pub(super) fn has_left(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::LEFT
    }

    /// What may be said of the call if it fails now.
    pub(super) fn outcome(&self) -> CallOutcome {
        match self.0.load(Ordering::Acquire) {
            Self::LEFT => CallOutcome::Unknown,
            _ => CallOutcome::NotSent,
        }
    }
}

pub(super) struct Frame {
    pub(super) text: Bytes,
    pub(super) fate: Option<Arc<Fate>>,
    pub(super) _places: Arc<Places>,
    /// What bounds the queue: given back when the frame is written.
    pub(super) _room: Vec<OwnedSemaphorePermit>,
}

impl Frame {
    /// A frame that is not taken back and takes no room of its own.
    pub(super) fn small(text: Bytes, places: Arc<Places>) -> Self {
        Self { text, fate: None, _places: places, _room: Vec::new() }
    }
}

/// Writes frames in order; small ones that wait together leave together.
pub(super) async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut outgoing: mpsc::UnboundedReceiver<Frame>,
    ended: CancellationToken,
    hang_up: CancellationToken,
) {
    let mut frames = Vec::new();
    let mut batch = BytesMut::new();
    loop {
        let count = tokio::select! {
            count = outgoing.recv_many(&mut frames, FRAMES_MAX) => count,
            () = hang_up.cancelled() => break,
        };
        if count == 0 {
            break;
        }
        batch.clear();
        // What is in `frames` keeps its places until all of it is written.
        let written = tokio::select! {
            written = write_all(&mut writer, &mut batch, &frames) => written,
            () = hang_up.cancelled() => break,
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
    frames: &[Frame],
) -> std::io::Result<()> {
    for frame in frames {
        if frame.fate.as_ref().is_some_and(|fate| !fate.leave()) {
            continue;
        }
        let text = one_line(frame.text.clone());
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
