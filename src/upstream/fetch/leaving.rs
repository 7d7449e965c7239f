//! The body of a request, as it leaves.
//!
//! One piece, which holds its departure until the connection has written the last of it. It knows nothing of what it
//! bears.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::Departure;

/// A body that has not left.
pub(super) struct Leaving {
    body: Bytes,
    departure: Option<Box<dyn Departure>>,
}

/// It must not be sent any more.
#[derive(Debug, thiserror::Error)]
#[error("it was taken back")]
pub(super) struct TakenBack;

/// What is being written, and who is told of its end.
pub(super) struct Written {
    body: Bytes,
    _departure: Option<Box<dyn Departure>>,
}

impl Leaving {
    pub(super) fn new(body: Bytes, departure: Option<Box<dyn Departure>>) -> Self {
        Self { body, departure }
    }
}

impl Body for Leaving {
    type Data = Written;
    type Error = TakenBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Written>, TakenBack>>> {
        let departure = self.departure.take();
        if self.body.is_empty() {
            return Poll::Ready(None);
        }
        let body = std::mem::take(&mut self.body);
        if departure.as_ref().is_some_and(|departure| !departure.begins()) {
            return Poll::Ready(Some(Err(TakenBack)));
        }
        Poll::Ready(Some(Ok(Frame::data(Written { body, _departure: departure }))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.len() as u64)
    }
}

impl Buf for Written {
    fn remaining(&self) -> usize {
        self.body.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.body
    }

    fn advance(&mut self, count: usize) {
        self.body.advance(count);
    }
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl From<Written> for Bytes {
    fn from(written: Written) -> Self {
        Self::from_owner(written)
    }
}
