//! The body of an answer, as it comes.
//!
//! One that is read to its end gives its connection to the next request; one that is dropped before closes it. What it
//! says, others read.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::FetchError;
use super::address::Origin;
use super::pool::Pool;
use super::reply::{Piece, Rest};
use super::sentence::half_an_answer;
use super::wire::{Broken, Wire};

/// Ends after its first error. Not unpacked: no encoding is asked for. Dropping it before its end closes the connection.
pub struct FetchBody(Kind);

enum Kind {
    /// The last of it, if that is not empty.
    Here(Bytes),
    Direct(Box<Direct>),
    Other(BoxStream<'static, Result<Bytes, FetchError>>),
}

/// One that comes over a connection of ours.
struct Direct {
    wire: Wire,
    rest: Rest,
    keeps: bool,
    pool: Pool,
    origin: Arc<Origin>,
}

impl FetchBody {
    /// None.
    pub fn empty() -> Self {
        Self(Kind::Here(Bytes::new()))
    }

    /// Whether its end was read.
    pub fn is_over(&self) -> bool {
        matches!(&self.0, Kind::Here(last) if last.is_empty())
    }

    /// All of it, if it is here and has at most `bytes_max` bytes, and one at least.
    pub fn take_here(&mut self, bytes_max: usize) -> Option<Bytes> {
        match &mut self.0 {
            Kind::Here(body) if (1..=bytes_max).contains(&body.len()) => Some(std::mem::take(body)),
            Kind::Here(_) | Kind::Direct(_) | Kind::Other(_) => None,
        }
    }

    /// What comes over a connection; `keeps`: which takes another request when that is over.
    pub(super) fn over(
        mut wire: Wire,
        mut rest: Rest,
        keeps: bool,
        pool: &Pool,
        origin: &Arc<Origin>,
    ) -> Self {
        // A short one is here with its head, as a rule.
        let here = match rest {
            Rest::Length(length) if wire.input().len() as u64 >= length => rest.take(wire.input()),
            Rest::Length(_) | Rest::Chunks(_) | Rest::All => Ok(Piece::None),
        };
        match here {
            Ok(Piece::None) | Err(_) => {
                let (pool, origin) = (pool.clone(), origin.clone());
                Self(Kind::Direct(Box::new(Direct { wire, rest, keeps, pool, origin })))
            }
            Ok(here) => {
                leave(wire, keeps, pool, origin);
                Self(Kind::Here(if let Piece::Data(here) = here { here } else { Bytes::new() }))
            }
        }
    }
}

/// Its answer is read: another request may follow, or it is closed. A request that is not all there yet is written to its
/// end beside us, for so long at most: its server has answered it and may go on reading.
fn leave(mut wire: Wire, keeps: bool, pool: &Pool, origin: &Arc<Origin>) {
    if wire.is_writing()
        && let Ok(runtime) = Handle::try_current()
    {
        let (pool, origin) = (pool.clone(), origin.clone());
        runtime.spawn(async move {
            if timeout(REST_WITHIN, wire.finish()).await.is_ok() && keeps {
                pool.put(wire, &origin);
            }
        });
    } else if keeps {
        pool.put(wire, origin);
    }
}

/// How long the rest of a request may take that is answered already.
const REST_WITHIN: Duration = Duration::from_secs(30);

impl Direct {
    /// The next piece, out of what is here or else of what comes; `None` at its end.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        loop {
            match self.rest.take(self.wire.input()).map_err(Broken::Garbled)? {
                Piece::Data(data) => return Poll::Ready(Ok(Some(data))),
                Piece::End => return Poll::Ready(Ok(None)),
                Piece::None => {}
            }
            if !ready!(self.wire.poll_more(context))? {
                let whole = self.rest.may_end();
                return Poll::Ready(if whole { Ok(None) } else { Err(self.wire.closed()) });
            }
        }
    }
}

impl Stream for FetchBody {
    type Item = Result<Bytes, FetchError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let direct = match &mut self.0 {
            Kind::Here(last) => {
                let last = std::mem::take(last);
                return Poll::Ready(if last.is_empty() { None } else { Some(Ok(last)) });
            }
            Kind::Other(stream) => return stream.as_mut().poll_next(context),
            Kind::Direct(direct) => direct,
        };
        let (next, is_over) = match ready!(direct.poll(context)) {
            Ok(Some(data)) => (Some(Ok(data)), direct.rest.is_over(direct.wire.input())),
            Ok(None) => (None, true),
            Err(broken) => {
                direct.keeps = false;
                (Some(Err(half_an_answer(&broken, &direct.origin.shown))), true)
            }
        };
        if is_over && let Kind::Direct(direct) = std::mem::replace(&mut self.0, Kind::Here(Bytes::new())) {
            let Direct { wire, keeps, pool, origin, .. } = *direct;
            leave(wire, keeps, &pool, &origin);
        }
        Poll::Ready(next)
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
