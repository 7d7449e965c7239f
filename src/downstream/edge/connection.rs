//! One connection, from its first byte to its last: TLS, then requests and answers in turn.
//!
//! Every request passes the guard before the router sees it; nothing else leads to the router.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::accept::{Front, Stop};
use super::bound::{Accepted, Duplex};
use super::paced::Paced;
use super::silence::Stay;
use super::source::Peer;
use super::turn::{Answered, Asked, Turn};

/// Serves one connection until it ends, is put out, or `stop` is said.
pub(super) async fn keep(
    accepted: Accepted,
    tls: Option<TlsAcceptor>,
    front: Arc<Front>,
    stop: Stop,
    stay: Arc<Stay>,
) {
    // On the heap: it is large, and each future around it would hold it once more.
    let served = Box::pin(serve(accepted, tls, front, stop, Arc::clone(&stay)));
    if stay.unless_put_out(served).await.is_none() {
        debug!("silent for longer than all others, and no place was left");
    }
}

async fn serve(accepted: Accepted, tls: Option<TlsAcceptor>, front: Arc<Front>, stop: Stop, stay: Arc<Stay>) {
    let Accepted { stream, peer } = accepted;
    let turn = Turn::opened(Instant::now(), stay);
    let Some(stream) = greet(stream, tls, front.limits.head_within).await else { return };
    let socket = TokioIo::new(Paced::new(stream, Arc::clone(&turn), front.limits.head_within));
    let router = TowerToHyperService::new(front.router.clone());
    let service = service_fn(|request| answer(request, &router, &front, &peer, &turn));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(socket, service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.closing.cancelled() => {
            turn.leave();
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!("{error}");
    }
}

/// The handshake has the time of a head: nothing was said before it either.
async fn greet(
    stream: Box<dyn Duplex>,
    tls: Option<TlsAcceptor>,
    within: Duration,
) -> Option<Box<dyn Duplex>> {
    let Some(tls) = tls else { return Some(stream) };
    let shaken = match timeout(within, tls.accept(stream)).await {
        Ok(shaken) => shaken,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    match shaken {
        Ok(stream) => Some(Box::new(stream)),
        Err(error) => {
            debug!("TLS handshake: {error}");
            None
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    router: &TowerToHyperService<Router>,
    front: &Front,
    peer: &Peer,
    turn: &Arc<Turn>,
) -> Result<Response<Answered<Body>>, Infallible> {
    if !turn.serve() {
        // Nothing of it is done: the connection is about to be dropped.
        return pending().await;
    }
    let (mut head, body) = request.into_parts();
    let body = Asked::new(body, turn);
    let response = match front.guard.judge(&head, peer, Instant::now().into_std()) {
        Err(reply) => {
            debug!(status = reply.status().as_u16(), "refused before any route");
            reply.response().map(Body::from)
        }
        Ok(admitted) => {
            let cors = admitted.cors.clone();
            head.extensions.insert(admitted);
            let mut response = router.call(Request::from_parts(head, Body::new(body))).await?;
            cors.dress(response.headers_mut());
            response
        }
    };
    Ok(response.map(|body| Answered::new(body, turn)))
}

/// How long a connection may wait for its next request, the request's head included.
const IDLE_WITHIN: Duration = Duration::from_secs(75);
/// Of one request; the head with its first line.
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// What is read at once; a head that has not ended by then is too large as well.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests;
