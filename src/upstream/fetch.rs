//! One HTTP request to a server, and its answer as it comes.
//!
//! A trait with one method, by which all HTTP to servers goes: its user knows what a request means, who
//! stands behind it knows connections, TLS and proxies. Nothing here knows MCP, repeats a request, or waits
//! for an answer with a deadline: whoever asked drops the future, or the body, and the connection with it.

mod address;
mod body;
mod client;
mod fields;
mod headers;
mod leaving;
mod pool;
mod preamble;
mod proxies;
mod public;
mod reach;
mod reply;
mod sentence;
mod through;
mod trust;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use http::{HeaderMap, Method, StatusCode};

pub use self::address::Address;
pub use self::body::FetchBody;
pub use self::client::Client;
pub use self::fields::Fields;
pub use self::headers::{HEADERS_MAX, HEADERS_OUTPUT_BYTES_MAX, HEADERS_WAIT_MAX, HeadersError, headers_of};
pub use self::preamble::Common;
pub use self::proxies::Proxies;

/// Fetches. Made once for each server, so that its connections are used again.
pub trait Fetch: Send + Sync + 'static {
    /// Resolves with the head of the answer. An answer of any status is an answer; a redirect that may be
    /// followed has been. Nothing is sent twice, but to where a redirect points.
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<FetchResponse, FetchError>>;
}

/// Follows the body of a request on its way out. Dropped when the last of it is written, or will not be.
pub trait Departure: Send + Sync + 'static {
    /// There is a connection, and the body is about to be written to it: `false` if it must not be any more. Asked once.
    fn begins(&self) -> bool;
}

/// A request. Its `Debug` shows neither values of headers nor the query.
pub struct FetchRequest {
    pub method: Method,
    pub url: Address,
    /// What many requests say alike.
    pub common: Arc<Common>,
    /// What this one says, beside that and in its place. Together they are all that is to be sent, but what belongs to the
    /// connection: `Host`, `Content-Length` and the like.
    pub headers: HeaderMap,
    /// Empty: none.
    pub body: Bytes,
    /// Who wants to know how far the body is. A redirect that is followed is nothing new to it.
    pub departure: Option<Box<dyn Departure>>,
}

/// The head of an answer, and its body as it comes. Its `Debug` shows no values of headers.
pub struct FetchResponse {
    pub status: StatusCode,
    pub headers: Fields,
    pub body: FetchBody,
}

/// Why there is no answer, or not all of it: a sentence without secrets, for a person, that begins in lower
/// case and does not name the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nothing of the request can have left: no address, no connection, no TLS, no way through the proxy.
    #[error("{0}")]
    NotSent(String),
    /// It may have left, wholly or in part.
    #[error("{0}")]
    Broken(String),
    /// It was answered that we have no leave, or would have been: nothing of it was applied. Goes on after the server's name.
    /// `wants_login`: a person could change that.
    #[error("{why}")]
    Refused { why: String, wants_login: bool },
}

/// Why a body could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the answer has more than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    /// So many have come, and whoever reads it may not keep them.
    #[error("there is no room for {bytes} bytes")]
    NoRoom { bytes: usize },
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// The whole of a body of at most `bytes_max` bytes. A body of one chunk is not copied.
pub async fn read_whole(
    body: impl Stream<Item = Result<Bytes, FetchError>> + Unpin,
    bytes_max: usize,
) -> Result<Bytes, BodyError> {
    read_in_room(body, bytes_max, |_| true).await
}

/// The same, as long as there is room: `has_room` is asked for that of all that has come, before the last of it is kept.
pub async fn read_in_room(
    mut body: impl Stream<Item = Result<Bytes, FetchError>> + Unpin,
    bytes_max: usize,
    mut has_room: impl FnMut(usize) -> bool,
) -> Result<Bytes, BodyError> {
    let (mut first, mut joined) = (Bytes::new(), BytesMut::new());
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        let held = first.len().max(joined.len());
        if chunk.len() > bytes_max.saturating_sub(held) {
            return Err(BodyError::TooLarge { bytes_max });
        }
        let bytes = held + chunk.len();
        if !has_room(bytes) {
            return Err(BodyError::NoRoom { bytes });
        }
        if held == 0 {
            first = chunk;
        } else if !chunk.is_empty() {
            if joined.is_empty() {
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(&chunk);
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

/// A URL as it may be shown: without user, password, query and fragment.
pub fn shown(url: &str) -> &str {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return "a URL that is none" };
    match rest.split('/').next().unwrap_or_default().rsplit_once('@') {
        // Who has a user in it loses the scheme too: what is shown is a part of what came.
        Some((user, _)) => url.get(scheme.len() + 3 + user.len() + 1..).unwrap_or_default(),
        None => url,
    }
}

/// What is waited for a connection, TLS and a proxy's consent included.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);

/// Redirects that one request follows.
pub const REDIRECTS_MAX: usize = 3;

impl FetchRequest {
    /// What it says, but for what belongs to the connection.
    pub fn all_headers(&self) -> HeaderMap {
        self.common.with(&self.headers)
    }
}

impl fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.common.headers().keys().chain(self.headers.keys());
        let headers: Vec<&str> = names.map(http::HeaderName::as_str).collect();
        write!(f, "FetchRequest({} {:?}, {headers:?}, {} bytes)", self.method, self.url, self.body.len())
    }
}

impl fmt::Debug for FetchResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FetchResponse({}, {:?})", self.status, self.headers)
    }
}

#[cfg(test)]
mod tests {
    use futures::stream::{self, BoxStream};
    use http::HeaderValue;

    use super::*;

    fn body(chunks: &[&'static str]) -> BoxStream<'static, Result<Bytes, FetchError>> {
        stream::iter(chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect::<Vec<_>>())
            .boxed()
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_end_or_its_bound() {
        assert_eq!(read_whole(body(&[]), 0).await, Ok(Bytes::new()));
        assert_eq!(read_whole(body(&["", "ab", "", "cde", "f"]), 6).await, Ok("abcdef".into()));
        assert_eq!(read_whole(body(&["abc", "def"]), 5).await, Err(BodyError::TooLarge { bytes_max: 5 }));
        assert_eq!(read_whole(body(&["abcdef"]), 5).await, Err(BodyError::TooLarge { bytes_max: 5 }));
    }

    #[tokio::test]
    async fn a_body_of_one_chunk_is_not_copied() {
        let text = "{\"one\":1}";
        assert_eq!(read_whole(body(&[text, ""]), 99).await.unwrap().as_ptr(), text.as_ptr());
    }

    #[tokio::test]
    async fn a_body_that_breaks_is_none() {
        let broken = FetchError::Broken("it broke".to_owned());
        let chunks = vec![Ok(Bytes::from_static(b"ab")), Err(broken.clone())];
        assert_eq!(read_whole(stream::iter(chunks).boxed(), 9).await, Err(BodyError::Fetch(broken)));
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        assert_eq!(shown("https://h:1/mcp?key=s3cret#s3cret"), "https://h:1/mcp");
        assert_eq!(shown("https://u:s3cret@h/a@b"), "h/a@b");
        assert_eq!(shown("https://h"), "https://h");
        assert_eq!(shown("s3cret"), "a URL that is none");
    }

    #[test]
    fn nothing_that_is_shown_holds_a_value() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer s3cret"));
        let url = Address::new("http://h/mcp?s3cret");
        let body = FetchBody::empty();
        let response = FetchResponse { status: StatusCode::OK, headers: headers.clone().into(), body };
        let request = FetchRequest {
            method: Method::POST,
            url,
            common: Arc::default(),
            headers,
            body: Bytes::from_static(b"s3cret"),
            departure: None,
        };
        assert_eq!(format!("{request:?}"), r#"FetchRequest(POST http://h/mcp, ["authorization"], 6 bytes)"#);
        assert_eq!(format!("{response:?}"), r#"FetchResponse(200 OK, ["authorization"])"#);
    }
}
