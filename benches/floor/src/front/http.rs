//! Many clients over HTTP: `POST /mcp`, one answer each.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::bell::Quiet;
use crate::{Relay, Upstream, piped, remote, scan};

pub(crate) async fn serve(relay: Arc<Relay>, listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    eprintln!("listening on {}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let relay = relay.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| serve_one(&relay, request));
            // A client that leaves is no news. That it may close its half keeps hyper from reading beside every call
            // whether it has.
            let connection = http1::Builder::new()
                .auto_date_header(false)
                .half_close(true)
                .serve_connection(TokioIo::new(socket), service);
            let _ = Quiet::new(connection).await;
        });
    }
}

async fn serve_one(relay: &Relay, request: Request<Incoming>) -> Result<Response<Pieces>, Infallible> {
    if request.uri().path() != "/mcp" {
        return Ok(empty(StatusCode::NOT_FOUND));
    }
    if request.method() != Method::POST {
        return Ok(empty(StatusCode::METHOD_NOT_ALLOWED));
    }
    let (head, body) = request.into_parts();
    let Some(text) = whole(body).await else { return Ok(empty(StatusCode::BAD_REQUEST)) };
    let Some(request) = scan::request(&text) else { return Ok(empty(StatusCode::BAD_REQUEST)) };
    if request.id.is_none() || !request.has_method {
        return Ok(empty(StatusCode::ACCEPTED));
    }
    let (server, prefix) = relay.pick(&text, &request);
    Ok(match &server.upstream {
        Upstream::Piped(piped) => match piped.call(&text, &request, prefix).await {
            Some(piped::Answer::Small(text)) => json(StatusCode::OK, Pieces::One(text)),
            Some(piped::Answer::Large(texts)) => json(StatusCode::OK, Pieces::Three(texts)),
            None => empty(StatusCode::BAD_GATEWAY),
        },
        Upstream::Remote(remote) => match remote.call(&text, &request, prefix, &head.headers).await {
            Ok(remote::Answer::Whole(status, text)) => json(status, Pieces::One(text)),
            Ok(remote::Answer::Streamed(through)) => json(StatusCode::OK, Pieces::Through(through)),
            Err(problem) => {
                eprintln!("floor: {problem}");
                empty(StatusCode::BAD_GATEWAY)
            }
        },
    })
}

/// Most bodies are one piece, and not copied then.
async fn whole(mut body: Incoming) -> Option<Bytes> {
    let first = body.frame().await?.ok()?.into_data().ok()?;
    if body.is_end_stream() {
        return Some(first);
    }
    let mut text = Vec::from(first);
    while let Some(frame) = body.frame().await {
        text.extend_from_slice(&frame.ok()?.into_data().unwrap_or_default());
    }
    Some(text.into())
}

fn json(status: StatusCode, pieces: Pieces) -> Response<Pieces> {
    let mut response = Response::new(pieces);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response<Pieces> {
    let mut response = Response::new(Pieces::One(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// The body of an answer. A piece that was handed out is empty.
enum Pieces {
    One(Bytes),
    Three([Bytes; 3]),
    Through(Box<remote::Through>),
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let pieces = match self.get_mut() {
            Self::One(piece) => std::slice::from_mut(piece),
            Self::Three(pieces) => pieces,
            Self::Through(through) => return through.poll_frame(context),
        };
        let next = pieces.iter_mut().find(|piece| !piece.is_empty()).map(std::mem::take);
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        let left = match self {
            Self::One(piece) => Some(piece.len() as u64),
            Self::Three(pieces) => Some(pieces.iter().map(|piece| piece.len() as u64).sum()),
            Self::Through(through) => through.left(),
        };
        left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
