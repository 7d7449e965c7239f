//! One connection to a server, straight to it.
//!
//! It is moved by whoever uses it, in the same task, so that nobody has to be woken to hand an answer over; one that
//! nobody uses is looked at when it is taken again. Owns that a request goes over it once; who is at its other end, and how
//! it was reached, others know.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::bell::Bell;
use super::leaving::Leaving;

/// A connection with no request on it, or with one.
pub(super) struct Wire {
    sender: SendRequest<Leaving>,
    /// Moves it; `None` once it has ended.
    mover: Option<Pin<Box<Mover>>>,
    bell: Arc<Bell>,
    /// The rope of the bell.
    rope: Waker,
}

type Mover = Connection<TokioIo<Socket>, Leaving>;

/// What it goes over.
pub(super) enum Socket {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// What became of a request that got no answer.
pub(super) enum Unanswered {
    /// Nothing of it was sent.
    Back(Box<Request<Leaving>>),
    Broken(hyper::Error),
}

impl Wire {
    pub(super) async fn over(socket: Socket) -> Result<Self, hyper::Error> {
        let (sender, mover) = handshake(TokioIo::new(socket)).await?;
        let bell = Arc::new(Bell::default());
        let rope = Waker::from(bell.clone());
        Ok(Self { sender, mover: Some(Box::pin(mover)), bell, rope })
    }

    /// Whether a request can be sent, as far as can be known without waiting.
    pub(super) fn is_ready(&mut self) -> bool {
        if !self.sender.is_ready() {
            self.bell.look();
            self.advance();
            self.bell.leave();
        }
        self.mover.is_some() && self.sender.is_ready()
    }

    /// Sends a request, and waits for the head of its answer. An end of the connection that has come before is noticed before
    /// anything is written.
    pub(super) async fn send(&mut self, request: Request<Leaving>) -> Result<Response<Incoming>, Unanswered> {
        let mut sent = pin!(self.sender.try_send_request(request));
        let (mover, bell, rope) = (&mut self.mover, &*self.bell, &self.rope);
        let answered =
            poll_fn(|context| turns(mover, bell, rope, context, |context| sent.as_mut().poll(context))).await;
        answered.map_err(|mut error| match error.take_message() {
            Some(request) => Unanswered::Back(Box::new(request)),
            None => Unanswered::Broken(error.into_error()),
        })
    }

    /// Moves it until there is something for whoever uses it.
    pub(super) fn turn<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        turns(&mut self.mover, &self.bell, &self.rope, context, poll)
    }

    /// Nobody uses it any more; `None`: it has ended.
    pub(super) fn rest(self) -> Option<Self> {
        self.bell.forget();
        self.mover.is_some().then_some(self)
    }

    fn advance(&mut self) {
        advance(&mut self.mover, &mut Context::from_waker(&self.rope));
    }
}

fn advance(mover: &mut Option<Pin<Box<Mover>>>, context: &mut Context<'_>) {
    // What went wrong, whoever waits for the answer or its body is told.
    if mover.as_mut().is_some_and(|mover| mover.as_mut().poll(context).is_ready()) {
        *mover = None;
    }
}

fn turns<T>(
    mover: &mut Option<Pin<Box<Mover>>>,
    bell: &Bell,
    rope: &Waker,
    context: &mut Context<'_>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let mut inside = Context::from_waker(rope);
    bell.tend(context.waker());
    for _ in 0..TURNS_MAX {
        if let Poll::Ready(found) = poll(&mut inside) {
            bell.leave();
            return Poll::Ready(found);
        }
        // What it has rung for until now, the connection is about to look at.
        bell.look();
        advance(mover, &mut inside);
        if !bell.leave() {
            return Poll::Pending;
        }
        bell.look();
    }
    // There is always something; others want their turn.
    bell.leave();
    context.waker().wake_by_ref();
    Poll::Pending
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

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Secure(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

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

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Secure(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Secure(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Secure(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}

/// How often in a row a connection is moved before others have their turn.
const TURNS_MAX: u32 = 32;
