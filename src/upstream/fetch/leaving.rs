//! The body of a request, as it leaves.
//!
//! One piece, which holds its departure until the connection has written the last of it. It knows nothing of what it
//! bears.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
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
struct Written {
    body: Bytes,
    _departure: Box<dyn Departure>,
}

impl Leaving {
    pub(super) fn new(body: Bytes, departure: Box<dyn Departure>) -> Self {
        Self { body, departure: Some(departure) }
    }
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = TakenBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TakenBack>>> {
        let Some(departure) = self.departure.take() else { return Poll::Ready(None) };
        if !departure.begins() {
            return Poll::Ready(Some(Err(TakenBack)));
        }
        let body = std::mem::take(&mut self.body);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(Written { body, _departure: departure })))))
    }

    fn is_end_stream(&self) -> bool {
        self.departure.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.len() as u64)
    }
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}
