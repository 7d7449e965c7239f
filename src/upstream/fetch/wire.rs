//! One connection to a server, straight to it.
//!
//! It is moved by whoever uses it, in the same task, so that nobody has to be woken to hand an answer over; one that
//! nobody uses is looked at when it is taken again. Owns that a request is written to it once, and what has been read of it;
//! what stands in an answer, `reply` reads.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Departure;
use super::reply::{Garbled, Head, Heads};

/// A connection with no request on it, or with one.
pub(super) struct Wire {
    socket: Socket,
    /// What was read, and is not used yet.
    input: BytesMut,
    /// How much room there is made for what is read next.
    room: usize,
    /// The head of the request, and how much of it is written.
    head: Vec<u8>,
    written: usize,
    /// Its body, as long as not all of it is written.
    body: Option<Leaving>,
    is_flushed: bool,
    /// Why nothing more can be written. There may be an answer all the same.
    stuck: Option<io::Error>,
}

/// What it goes over.
pub(super) enum Socket {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// The body of a request, none where nothing is said, and who follows it until the last of it is written.
#[derive(Default)]
pub(super) struct Leaving {
    pub(super) body: Bytes,
    pub(super) departure: Option<Box<dyn Departure>>,
    /// It may leave.
    begun: bool,
}

/// What became of a request that got no answer.
pub(super) enum Unanswered {
    /// Nothing of it was sent: the connection had ended.
    Back(Leaving),
    Broken(Broken),
}

/// Why there is no answer, or no more of it.
#[derive(Debug)]
pub(super) enum Broken {
    /// It was taken back before it was written.
    TakenBack,
    /// The server ended the connection.
    Closed,
    Garbled(Garbled),
    Failed(io::Error),
}

impl Leaving {
    pub(super) fn new(body: Bytes, departure: Option<Box<dyn Departure>>) -> Self {
        Self { body, departure, begun: false }
    }

    /// Whether it may be written; asked once of who follows it.
    fn begins(&mut self) -> bool {
        self.begun = self.begun || self.departure.as_ref().is_none_or(|departure| departure.begins());
        self.begun
    }
}

impl Wire {
    pub(super) fn over(socket: Socket) -> Self {
        let (input, head) = (BytesMut::new(), Vec::new());
        Self { socket, input, room: READ_BYTES, head, written: 0, body: None, is_flushed: true, stuck: None }
    }

    /// Whether nothing has come that nobody asked for, the end of the connection say, as far as is known.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.make_room();
        match &self.socket {
            Socket::Plain(socket) => {
                let read = socket.try_read_buf(&mut self.input);
                read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            }
            Socket::Secure(_) => self.poll_read(&mut Context::from_waker(Waker::noop())).is_pending(),
        }
    }

    /// Whether the request is not all there yet, and may still come to be.
    pub(super) fn is_writing(&self) -> bool {
        !self.is_flushed && self.stuck.is_none()
    }

    /// Writes the rest of the request; whoever answered before it was there may still read it.
    pub(super) async fn finish(&mut self) {
        poll_fn(|context| {
            self.write(context);
            if self.is_writing() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Makes it ready for the next request, if one may follow.
    pub(super) fn settle(&mut self) -> bool {
        let is_idle = self.body.is_none() && self.is_flushed && self.stuck.is_none() && self.input.is_empty();
        if is_idle && self.room > READ_BYTES {
            (self.input, self.room) = (BytesMut::new(), READ_BYTES);
        }
        is_idle
    }

    /// Takes a request, which is written while its answer is awaited; `head` writes that of it. `false`: it was taken back.
    pub(super) fn take_up(&mut self, head: impl FnOnce(&mut Vec<u8>), mut leaving: Leaving) -> bool {
        if !leaving.begins() {
            return false;
        }
        self.head.clear();
        head(&mut self.head);
        (self.written, self.body, self.is_flushed) = (0, Some(leaving), false);
        true
    }

    /// Sends what it took, and waits for the head of the answer.
    pub(super) async fn answer(&mut self, mut heads: Heads) -> Result<Head, Unanswered> {
        poll_fn(|context| {
            self.write(context);
            // Under TLS nobody knows how much of what could not be written was.
            if self.written == 0
                && let Socket::Plain(_) = self.socket
                && let Some(error) = self.stuck.take_if(|error| is_end(error))
                && let Some(leaving) = self.body.take()
            {
                self.stuck = Some(error);
                return Poll::Ready(Err(Unanswered::Back(leaving)));
            }
            loop {
                if !self.input.is_empty() {
                    match heads.take(&mut self.input) {
                        Ok(Some(head)) => return Poll::Ready(Ok(head)),
                        Ok(None) => {}
                        Err(flaw) => return Poll::Ready(Err(Unanswered::Broken(Broken::Garbled(flaw)))),
                    }
                }
                match self.poll_read(context) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(Unanswered::Broken(self.closed()))),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Err(Unanswered::Broken(Broken::Failed(error))));
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// What was read of the answer's body, and is not used yet.
    pub(super) fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Reads more of the answer, and goes on writing the request if it is not there yet. `false`: nothing more comes.
    pub(super) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Broken>> {
        self.write(context);
        self.poll_read(context).map(|read| read.map(|count| count > 0).map_err(Broken::Failed))
    }

    /// The same of a body of which so much is still to come: it is read to where it stays, and nothing beyond it. `false`:
    /// nothing more comes.
    pub(super) fn poll_rest(
        &mut self,
        context: &mut Context<'_>,
        into: &mut BytesMut,
        left: usize,
    ) -> Poll<Result<bool, Broken>> {
        self.write(context);
        let room = into.capacity() - into.len();
        if room < left.min(READ_BYTES_MAX) {
            into.reserve(left.min(into.len()));
        }
        let mut into = into.limit(left.min(READ_BYTES_MAX));
        let read = pin!(self.socket.read_buf(&mut into)).poll(context);
        read.map(|read| read.map(|count| count > 0).map_err(Broken::Failed))
    }

    /// Why nothing more comes where there should be more.
    pub(super) fn closed(&mut self) -> Broken {
        self.stuck.take().map_or(Broken::Closed, Broken::Failed)
    }

    /// What is read next goes where there is room left, and that is found again once nobody has the last of it.
    fn make_room(&mut self) {
        if self.input.capacity() - self.input.len() < READ_BYTES_MIN {
            self.input.reserve(self.room);
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.make_room();
        let read = pin!(self.socket.read_buf(&mut self.input)).poll(context);
        if self.input.len() == self.input.capacity() {
            // There is much of it.
            self.room = READ_BYTES_MAX.min(self.room * 2);
        }
        read
    }

    /// Writes as much as there is and as can be.
    fn write(&mut self, context: &mut Context<'_>) {
        if self.is_flushed || self.stuck.is_some() {
            return;
        }
        if let Poll::Ready(Err(error)) = self.poll_write(context) {
            self.stuck = Some(error);
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(leaving) = &mut self.body {
            let head = &self.head[self.written.min(self.head.len())..];
            let pieces = [io::IoSlice::new(head), io::IoSlice::new(&leaving.body)];
            let left = head.len();
            let count = match Pin::new(&mut self.socket).poll_write_vectored(context, &pieces) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            self.written = self.written.saturating_add(count);
            leaving.body.advance(count.saturating_sub(left));
            if self.written >= self.head.len() && leaving.body.is_empty() {
                // Whoever follows it is told.
                self.body = None;
            }
        }
        if Pin::new(&mut self.socket).poll_flush(context)?.is_pending() {
            return Poll::Pending;
        }
        self.is_flushed = true;
        Poll::Ready(Ok(()))
    }
}

/// Whether it says that the connection had ended.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    [BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected].contains(&error.kind())
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, into),
            Self::Secure(socket) => Pin::new(socket).poll_read(context, into),
        }
    }
}

impl Socket {
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(context, pieces),
            Self::Secure(socket) => Pin::new(socket).poll_write_vectored(context, pieces),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // What was written to it is written.
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Secure(socket) => Pin::new(socket).poll_flush(context),
        }
    }
}

/// How much is read at once: little, as long as little comes.
const READ_BYTES: usize = 8 * 1024;
const READ_BYTES_MAX: usize = 256 * 1024;
/// Where less room is left, more is made.
const READ_BYTES_MIN: usize = 1024;
