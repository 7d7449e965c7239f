//! One connection, from its first byte to its last: TLS, then requests and answers in turn.
//!
//! Every request passes the guard before anything that serves sees it; nothing else leads there.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{Either, pending, ready};
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::accept::{Front, Stop};
use super::alarm::Alarm;
use super::bound::{Accepted, Duplex};
use super::certificate;
use super::content::{Content, Response};
use super::cors::Cors;
use super::guard::{Inquiry, Judged, Shown};
use super::paced::Paced;
use super::reply::Reply;
use super::serve::Serve;
use super::silence::Stay;
use super::source::Peer;
use super::turn::{Answered, Asked, Turn, Within};
use crate::mcp::caller::Principal;
use crate::upstream::aside::Aside;

/// Serves one connection until it ends, is put out, or `stop` is said.
pub(super) async fn keep<S: Serve>(
    accepted: Accepted,
    tls: Option<TlsAcceptor>,
    front: Arc<Front<S>>,
    stop: Stop,
    stay: Arc<Stay>,
) {
    let (now, own) = (stop.now.clone(), Arc::clone(&stay));
    let ending = Aside::new(async move {
        tokio::select! {
            () = now.cancelled() => {}
            () = own.put_out() => debug!("silent for longer than all others, and no place was left"),
        }
    });
    // On the heap: it is large, and each future around it would hold it once more.
    let served = Box::pin(serve(accepted, tls, front, stop, stay));
    tokio::select! {
        biased;
        () = ending => {}
        () = served => {}
    }
}

async fn serve<S: Serve>(
    accepted: Accepted,
    tls: Option<TlsAcceptor>,
    front: Arc<Front<S>>,
    stop: Stop,
    stay: Arc<Stay>,
) {
    let Accepted { stream, peer } = accepted;
    let within = Within { head: front.limits.head_within, idle: IDLE_WITHIN };
    let turn = Turn::opened(Instant::now(), within, stay);
    let Some((stream, certificate)) = greet(stream, tls, within.head).await else { return };
    let socket = TokioIo::new(Paced::new(stream, Arc::clone(&turn)));
    let shown = Mutex::new(Shown::of(certificate));
    let visit = Visit { front: &front, peer, turn: &turn, shown, alarm: Alarm::default() };
    let service = service_fn(|request| visit.answer(request));
    let connection = http1::Builder::new()
        // The socket knows as well when a head is late, and sets no timer for each.
        .header_read_timeout(None)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(socket, service);
    let mut connection = pin!(connection);
    let mut closing = Some(Aside::new(stop.closing.cancelled()));
    let waker = Waker::from(Arc::clone(&turn.hush));
    let ended = poll_fn(|cx| {
        if closing.as_mut().is_some_and(|closing| Pin::new(closing).poll(cx).is_ready()) {
            closing = None;
            turn.leave();
            connection.as_mut().graceful_shutdown();
        }
        turn.hush.is_of(cx);
        connection.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await;
    if let Err(error) = ended {
        debug!("{error}");
    }
}

/// What is said from then on, and in whose name where a certificate says that. The handshake has the time of a head: nothing
/// was said before it either.
async fn greet(
    stream: Box<dyn Duplex>,
    tls: Option<TlsAcceptor>,
    within: Duration,
) -> Option<(Box<dyn Duplex>, Option<Principal>)> {
    let Some(tls) = tls else { return Some((stream, None)) };
    let shaken = match timeout(within, tls.accept(stream)).await {
        Ok(shaken) => shaken,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    match shaken {
        Ok(stream) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let name = shown.and_then(|certificate| certificate::name(certificate));
            Some((Box::new(stream), name.map(|name| Principal::certificate(&name))))
        }
        Err(error) => {
            debug!("TLS handshake: {error}");
            None
        }
    }
}

/// What the requests of one connection have in common.
struct Visit<'a, S> {
    front: &'a Front<S>,
    peer: Peer,
    turn: &'a Arc<Turn>,
    /// What let the last of them in.
    shown: Mutex<Shown>,
    alarm: Alarm,
}

impl<S: Serve> Visit<'_, S> {
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<http::Response<Answered<Content>>, Infallible>> {
        let (head, body) = request.into_parts();
        let judged = self.judged(&head);
        let body = Asked::new(body, self.turn);
        let (cors, answered) = match judged {
            Some(Ok(Judged::LetIn(admitted))) => {
                let cors = admitted.cors.clone();
                (cors, Either::Left(self.front.router.serve(admitted, head, body, &self.alarm)))
            }
            // On the heap: it is seldom needed, and large.
            Some(Ok(Judged::Asks(inquiry))) => {
                (Cors::Off, Either::Right(Either::Right(self.inquired(inquiry, head, body).boxed())))
            }
            Some(Ok(Judged::Refused(reply))) => {
                (Cors::Off, Either::Right(Either::Left(ready(refused(&reply)))))
            }
            Some(Err(response)) => (Cors::Off, Either::Right(Either::Left(ready(response)))),
            // Nothing of it is done: the connection is about to be dropped.
            None => (Cors::Off, Either::Right(Either::Right(pending().boxed()))),
        };
        answered.map(move |mut response| {
            cors.dress(response.headers_mut());
            Ok(response.map(|body| Answered::new(body, self.turn)))
        })
    }

    /// The answer to a request whose token had to be asked about.
    async fn inquired(&self, inquiry: Box<Inquiry>, head: Parts, body: Asked<Incoming>) -> Response {
        match self.front.guard.inquire(inquiry, &self.shown, std::time::Instant::now).await {
            Ok(admitted) => {
                let cors = admitted.cors.clone();
                let mut response = self.front.router.serve(admitted, head, body, &self.alarm).await;
                cors.dress(response.headers_mut());
                response
            }
            Err(reply) => refused(&reply),
        }
    }

    /// What becomes of a request before anything that serves sees it. `None`: nothing.
    fn judged(&self, head: &Parts) -> Option<Result<Judged, Response>> {
        if !self.turn.serve() {
            return None;
        }
        if head.headers.len() > HEADERS_MAX {
            return Some(Err(too_many_headers()));
        }
        let guard = &self.front.guard;
        Some(Ok(guard.judge_next(&mut self.shown.lock(), head, &self.peer, std::time::Instant::now)))
    }
}

fn refused(reply: &Reply) -> Response {
    debug!(status = reply.status().as_u16(), "refused before any route");
    reply.response().map(Content::Whole)
}

/// As hyper says it of a head that is too large, and as it ends then.
fn too_many_headers() -> Response {
    let mut response = Response::new(Content::Whole(Bytes::new()));
    *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// How long a connection may wait for its next request, the request's head included.
const IDLE_WITHIN: Duration = Duration::from_secs(75);
/// Of one request; the head with its first line. hyper would set aside a place for each header if it was told of the first.
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// What is read at once; a head that has not ended by then is too large as well.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests;
