//! The body of an answer, as it comes.
//!
//! One that is read to its end gives its connection to the next request; one that is dropped before closes it. What it
//! says, others read.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::address::Origin;
use super::pool::Pool;
use super::reply::{Piece, Rest};
use super::sentence::half_an_answer;
use super::wire::{Broken, Wire};
use super::{BodyError, FetchError, read_in_room};
use crate::wire::amend::ROOM_BYTES;

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

    /// The whole of it, if it has at most `bytes_max` bytes and as long as there is room: `has_room` is asked for that of
    /// all that has come. What is announced is read in one piece, with room of its own around it (`wire::amend`): there may be
    /// blanks before it.
    pub async fn whole(
        mut self,
        bytes_max: usize,
        mut has_room: impl FnMut(usize) -> bool,
    ) -> Result<Bytes, BodyError> {
        let Kind::Direct(direct) = &mut self.0 else { return read_in_room(self, bytes_max, has_room).await };
        let Rest::Length(length) = direct.rest else { return read_in_room(self, bytes_max, has_room).await };
        let length = usize::try_from(length).ok().filter(|length| *length <= bytes_max);
        let length = length.ok_or(BodyError::TooLarge { bytes_max })?;
        let mut whole = direct.begin(length);
        poll_fn(|context| direct.poll_whole(context, length, &mut whole, &mut has_room)).await?;
        if let Kind::Direct(direct) = self.0 {
            direct.leave();
        }
        Ok(whole.freeze())
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
/// Memory is taken for so much of a body that is announced, however much that is, and then for as much as has come.
const AHEAD_BYTES_MAX: usize = 2 * 1024 * 1024;

impl Direct {
    /// A place for a body of this length, and in it what is here.
    fn begin(&mut self, length: usize) -> BytesMut {
        let input = self.wire.input();
        let here = input.split_to(length.min(input.len()));
        let mut whole = BytesMut::with_capacity(length.min(AHEAD_BYTES_MAX) + 2 * ROOM_BYTES);
        whole.resize(ROOM_BYTES, b' ');
        whole.extend_from_slice(&here);
        whole
    }

    /// Ready when all of it is there.
    fn poll_whole(
        &mut self,
        context: &mut Context<'_>,
        length: usize,
        whole: &mut BytesMut,
        has_room: &mut impl FnMut(usize) -> bool,
    ) -> Poll<Result<(), BodyError>> {
        loop {
            let bytes = whole.len() - ROOM_BYTES;
            if !has_room(bytes) {
                return Poll::Ready(Err(BodyError::NoRoom { bytes }));
            }
            if bytes == length {
                return Poll::Ready(Ok(()));
            }
            let why = match ready!(self.wire.poll_rest(context, whole, length - bytes)) {
                Ok(true) => continue,
                Ok(false) => self.wire.closed(),
                Err(broken) => broken,
            };
            return Poll::Ready(Err(half_an_answer(&why, &self.origin.shown).into()));
        }
    }

    /// It was read to its end.
    fn leave(self) {
        let Self { wire, keeps, pool, origin, .. } = self;
        leave(wire, keeps, &pool, &origin);
    }

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
            direct.leave();
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::address::Address;
    use super::super::wire::Socket;
    use super::*;

    #[tokio::test]
    async fn memory_is_taken_for_what_has_come_however_much_is_announced() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        let length = 100 * AHEAD_BYTES_MAX;
        let origin = Address::new("http://h/").place().unwrap().origin.clone();
        let rest = Rest::Length(length as u64);
        let wire = Wire::over(Socket::Plain(ours));
        let mut direct = Direct { wire, rest, keeps: false, pool: Pool::default(), origin };
        let sending = tokio::spawn(async move {
            theirs.write_all(&vec![b'x'; 3 * AHEAD_BYTES_MAX]).await.unwrap();
        });
        let mut whole = direct.begin(length);
        let mut before = 0;
        let mut has_room = |bytes| {
            assert!(bytes <= before + 256 * 1024, "so much is read at once");
            before = bytes;
            true
        };
        let read = poll_fn(|context| {
            let read = direct.poll_whole(context, length, &mut whole, &mut has_room);
            assert!(whole.capacity() <= (AHEAD_BYTES_MAX + 2 * ROOM_BYTES).max(2 * whole.len() + 512 * 1024));
            read
        });
        assert!(matches!(read.await, Err(BodyError::Fetch(_))));
        assert_eq!(whole.len(), 3 * AHEAD_BYTES_MAX + ROOM_BYTES);
        sending.await.unwrap();
    }
}
