//! Bodies of answers, and bodies of requests read whole.
//!
//! Owns what of an answer was not sent yet. An `Outbox` is a stream's: what is put there before its reader comes is one chunk.

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What an answer's body is.
#[derive(Debug)]
pub enum Body {
    /// Its length stands in the head.
    Whole(Bytes),
    /// It comes in chunks, though here in one.
    Events(Bytes),
    /// A stream that ends with its client.
    Stream(Arc<Outbox>),
}

/// What a stream will say, bounded by [`OUTBOX_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    text: BytesMut,
    reader: Option<Waker>,
}

impl Outbox {
    /// `false`: there is no room, because nobody reads.
    pub fn put(&self, text: &[u8]) -> bool {
        let mut state = self.lock();
        if state.text.len() + text.len() > OUTBOX_BYTES_MAX {
            return false;
        }
        state.text.extend_from_slice(text);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        true
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Bytes> {
        let mut state = self.lock();
        if state.text.is_empty() {
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(mem::take(&mut state.text).freeze())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(text) | Self::Events(text) => {
                let text = mem::take(text);
                Poll::Ready((!text.is_empty()).then(|| Ok(Frame::data(text))))
            }
            Self::Stream(outbox) => outbox.poll(context).map(|text| Some(Ok(Frame::data(text)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(text) | Self::Events(text) => text.is_empty(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(text) => SizeHint::with_exact(text.len() as u64),
            Self::Events(_) | Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// A request's body. `None`: it broke off, or it is too long.
pub async fn whole(mut body: Incoming) -> Option<Bytes> {
    let first = data(&mut body).await?.ok()?;
    if body.is_end_stream() {
        return Some(first);
    }
    let mut all = BytesMut::from(first);
    while let Some(more) = data(&mut body).await {
        all.extend_from_slice(&more.ok()?);
        if all.len() > BODY_BYTES_MAX {
            return None;
        }
    }
    Some(all.freeze())
}

/// The next data of a body; `None` at its end.
pub async fn data(body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

const OUTBOX_BYTES_MAX: usize = 256 << 20;
const BODY_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_one_chunk_and_its_reader_is_woken() {
        let outbox = Outbox::default();
        let context = Context::from_waker(Waker::noop());
        assert_eq!(outbox.poll(&context), Poll::Pending);
        assert!(outbox.lock().reader.is_some());
        assert!(outbox.put(b"a") && outbox.put(b"b"));
        assert!(outbox.lock().reader.is_none());
        assert_eq!(outbox.poll(&context), Poll::Ready(Bytes::from_static(b"ab")));
        assert_eq!(outbox.poll(&context), Poll::Pending);
    }

    #[test]
    fn what_nobody_reads_is_bounded() {
        let outbox = Outbox::default();
        let text = vec![0; OUTBOX_BYTES_MAX / 2 + 1];
        assert!(outbox.put(&text));
        assert!(!outbox.put(&text));
    }
}
