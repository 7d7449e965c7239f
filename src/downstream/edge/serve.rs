//! What is behind the guard: whatever answers the requests that passed it.

use std::error::Error;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http::request::Parts;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::alarm::Alarm;
use super::content::{Content, Response};
use super::guard::Admitted;

/// The body of a request.
pub trait Asking:
    http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static
{
}

impl<B> Asking for B where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static
{
}

/// Answers requests that were let in.
pub trait Serve: Send + Sync + 'static {
    /// `alarm`: the connection's own; one request at a time waits by it.
    fn serve<'a, B: Asking>(
        &'a self,
        who: Admitted,
        head: Parts,
        body: B,
        alarm: &'a Alarm,
    ) -> impl Future<Output = Response> + Send;
}

/// Its routes find `Admitted` in the extensions.
impl Serve for Router {
    async fn serve<'a, B: Asking>(
        &'a self,
        who: Admitted,
        mut head: Parts,
        body: B,
        _: &'a Alarm,
    ) -> Response {
        head.extensions.insert(who);
        let request = Request::from_parts(head, Body::new(body));
        let Ok(response) = TowerToHyperService::new(self.clone()).call(request).await;
        response.map(Content::Flowing)
    }
}
