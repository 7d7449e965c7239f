//! How spans reach a collector: by the HTTP that reaches servers.
//!
//! So proxies, the system's roots and the wait for a connection are the same, and there is one client in the program. Knows nothing of what
//! it sends. Keeps why the last try failed, in words without secrets.

use super::super::fetch::{Address, Client, Common, Fetch, FetchRequest, read_whole};
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use parking_lot::Mutex;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// Sends to one collector.
#[derive(Clone)]
pub struct Post {
    client: Client,
    why: Arc<Mutex<Option<String>>>,
}

impl Post {
    pub fn new(client: Client) -> Self {
        Self { client, why: Arc::default() }
    }

    /// Why the last try failed, if it did. Said once.
    pub fn why(&self) -> Option<String> {
        self.why.lock().take()
    }

    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let sent = self.client.fetch(FetchRequest {
            method: head.method,
            url: Address::new(&head.uri.to_string()),
            common: Arc::new(Common::new(head.headers)),
            headers: HeaderMap::new(),
            body,
            departure: None,
        });
        let mut response = sent.await.map_err(|error| self.fails(error))?;
        let status = response.status;
        let body =
            read_whole(&mut response.body, ANSWER_BYTES_MAX).await.map_err(|error| self.fails(error))?;
        *self.why.lock() = (!status.is_success()).then(|| format!("it answered with {}", status.as_u16()));
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        if let Some(Ok(after)) = response.headers.get(&RETRY_AFTER).map(HeaderValue::from_bytes) {
            answer.headers_mut().insert(RETRY_AFTER, after);
        }
        Ok(answer)
    }

    fn fails(&self, error: impl std::error::Error + Send + Sync + 'static) -> HttpError {
        *self.why.lock() = Some(error.to_string());
        Box::new(error)
    }
}

impl HttpClient for Post {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.clone().send(request))
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Post")
    }
}

/// A collector says little.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
