//! The body of an answer, as it comes.
//!
//! One that is read to its end gives its connection to the next request; one that is dropped before closes it. What it
//! says, others read.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;
use http_body::Body;
use hyper::body::Incoming;

use super::FetchError;
use super::address::Origin;
use super::pool::Pool;
use super::sentence::half_an_answer;
use super::wire::Wire;

/// Ends after its first error. Not unpacked: no encoding is asked for. Dropping it before its end closes the connection.
pub struct FetchBody(Kind);

enum Kind {
    Direct(Direct),
    Other(BoxStream<'static, Result<Bytes, FetchError>>),
    Over,
}

/// One that comes over a connection of ours.
struct Direct {
    incoming: Incoming,
    wire: Wire,
    pool: Pool,
    origin: Arc<Origin>,
}

impl FetchBody {
    /// None.
    pub fn empty() -> Self {
        Self(Kind::Over)
    }

    pub(super) fn over(incoming: Incoming, wire: Wire, pool: &Pool, origin: &Arc<Origin>) -> Self {
        let (pool, origin) = (pool.clone(), origin.clone());
        let mut body = Self(Kind::Direct(Direct { incoming, wire, pool, origin }));
        body.settle();
        body
    }

    /// Gives the connection back if all that was said is here.
    fn settle(&mut self) {
        let Kind::Direct(Direct { incoming, .. }) = &self.0 else { return };
        if incoming.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Kind::Direct(Direct { wire, pool, origin, .. }) = std::mem::replace(&mut self.0, Kind::Over) {
            pool.put(wire, &origin);
        }
    }
}

impl Stream for FetchBody {
    type Item = Result<Bytes, FetchError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Direct { incoming, wire, origin, .. } = match &mut self.0 {
                Kind::Direct(direct) => direct,
                Kind::Other(stream) => return stream.as_mut().poll_next(context),
                Kind::Over => return Poll::Ready(None),
            };
            match ready!(wire.turn(context, |context| Pin::new(&mut *incoming).poll_frame(context))) {
                Some(Ok(frame)) => {
                    // What is said after the body is of no use here.
                    let Ok(chunk) = frame.into_data() else { continue };
                    self.settle();
                    return Poll::Ready(Some(Ok(chunk)));
                }
                Some(Err(error)) => {
                    let error = half_an_answer(&error, &origin.shown);
                    self.0 = Kind::Over;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.end();
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl From<BoxStream<'static, Result<Bytes, FetchError>>> for FetchBody {
    fn from(stream: BoxStream<'static, Result<Bytes, FetchError>>) -> Self {
        Self(Kind::Other(stream))
    }
}

impl fmt::Debug for FetchBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FetchBody")
    }
}
