//! A socket that is not waited for without end.
//!
//! A head must come in time and be whole in time, a write must get on, and whoever is still sending when we have answered is heard
//! out for a moment before the socket is closed: else the system would throw our answer away with what it
//! could not deliver to us.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::alarm::Alarm;
use super::bound::Duplex;
use super::turn::Turn;

pub(super) struct Paced {
    stream: Box<dyn Duplex>,
    turn: Arc<Turn>,
    alarm_of_reads: Alarm,
    alarm_of_writes: Alarm,
    /// Since when a write does not get on.
    stalled: Option<Instant>,
    lingering: Option<Lingering>,
}

/// Our side is closed; what still comes is thrown away.
struct Lingering {
    until: Instant,
    left: usize,
}

impl Paced {
    pub(super) fn new(stream: Box<dyn Duplex>, turn: Arc<Turn>) -> Self {
        Self {
            stream,
            turn,
            alarm_of_reads: Alarm::default(),
            alarm_of_writes: Alarm::default(),
            stalled: None,
            lingering: None,
        }
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let since = *self.stalled.get_or_insert_with(Instant::now);
        self.alarm_of_writes.poll(cx, since + WRITE_WITHIN).map(|()| Err(overdue()))
    }

    /// Reads and forgets, until the client has closed as well or was heard long enough.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let lingering = self.lingering.get_or_insert_with(|| Lingering {
            until: Instant::now() + LINGER_WITHIN,
            left: LINGER_BYTES_MAX,
        });
        let mut scrap = [0; 4096];
        while lingering.left > 0 {
            let mut scrap = ReadBuf::new(&mut scrap);
            match Pin::new(&mut self.stream).poll_read(cx, &mut scrap) {
                Poll::Ready(Ok(())) if !scrap.filled().is_empty() => {
                    lingering.left = lingering.left.saturating_sub(scrap.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return self.alarm_of_reads.poll(cx, lingering.until).map(Ok),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if polled.is_ready() {
            if buffer.filled().len() > before {
                this.turn.heard();
            }
            return polled;
        }
        match this.turn.head_until() {
            Some(until) => this.alarm_of_reads.poll(cx, until).map(|()| Err(overdue())),
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready()
            && let Some(until) = self.turn.flushed()
            // hyper need not read before something comes; when it rings, it does.
            && self.alarm_of_reads.poll(cx, until).is_ready()
        {
            cx.waker().wake_by_ref();
        }
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.watch(cx, shut))?;
            if !self.turn.is_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        self.linger(cx)
    }
}

fn overdue() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

/// A write that gets on by no byte in this time is to a client that is gone.
const WRITE_WITHIN: Duration = Duration::from_secs(60);
/// How long, and how much, we hear out whoever is still sending after our last word.
const LINGER_WITHIN: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;
