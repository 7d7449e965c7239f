//! Where an HTTP server is, and how a connection to it is made.
//!
//! Owns the URL and the headers that go with everything. Knows neither sessions nor calls.

use super::Failure;
use crate::body::{Body, data};
use crate::events::Events;
use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A URL, and the headers of every request to it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    authority: String,
    path: Uri,
    headers: HeaderMap,
}

impl Endpoint {
    pub fn parse(url: &str, headers: &[String]) -> Result<Self, Failure> {
        let no_url = || Failure::new(format!("`{url}` is no URL of http with a host"));
        let uri: Uri = url.parse().map_err(|_| no_url())?;
        if uri.scheme_str() != Some("http") {
            return Err(no_url());
        }
        let authority = uri.authority().ok_or_else(no_url)?;
        let mut all = HeaderMap::new();
        all.insert(HOST, HeaderValue::from_str(authority.as_str()).map_err(|_| no_url())?);
        for header in headers {
            let (name, value) = parse_header(header)?;
            all.append(name, value);
        }
        let authority = match authority.port() {
            Some(_) => authority.to_string(),
            None => format!("{authority}:80"),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).parse();
        Ok(Self { authority, path: path.map_err(|_| no_url())?, headers: all })
    }

    /// The same server, at what it calls another place.
    pub fn at(&self, reference: &str) -> Result<Self, Failure> {
        let odd = |_| Failure::new(format!("`{reference}` is no place to post to"));
        let uri: Uri = reference.parse().map_err(odd)?;
        if uri.authority().is_some_and(|authority| authority.as_str() != self.authority) {
            return Err(Failure::new(format!("`{reference}` is at another server")));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(odd)?;
        Ok(Self { path, ..self.clone() })
    }

    pub async fn connect(&self) -> Result<SendRequest<Body>, Failure> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends with its sender, or when the server closes it.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// The connection that was kept, or another one if the server has closed it.
    pub async fn connected(&self, kept: Option<SendRequest<Body>>) -> Result<SendRequest<Body>, Failure> {
        if let Some(mut sender) = kept
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        self.connect().await
    }

    /// What goes with everything, and what JSON needs.
    pub fn posting(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers
    }

    /// What goes with everything, and that a stream is wanted.
    pub fn listening(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers
    }

    pub fn request(&self, method: Method, headers: HeaderMap, text: Bytes) -> Request<Body> {
        let mut request = Request::new(Body::Whole(text));
        *request.method_mut() = method;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        request
    }
}

/// Each message of an answer, be it one as JSON or many as events, while `more` says that more are wanted.
pub async fn messages(response: Response<Incoming>, mut more: impl FnMut(&[u8])) -> Result<(), Failure> {
    let kind = response.headers().get(CONTENT_TYPE);
    let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let mut body = response.into_body();
    if !is_stream {
        let text = all(&mut body).await?;
        if !text.is_empty() {
            more(&text);
        }
        return Ok(());
    }
    let mut events = Events::default();
    while let Some(chunk) = data(&mut body).await {
        events.feed(&chunk.map_err(broken)?);
        while let Some(event) = events.next() {
            more(&event.data);
        }
    }
    Ok(())
}

/// A whole body; one chunk is not copied.
pub async fn all(body: &mut Incoming) -> Result<Bytes, Failure> {
    let Some(first) = data(body).await else { return Ok(Bytes::new()) };
    let first = first.map_err(broken)?;
    let Some(second) = data(body).await else { return Ok(first) };
    let mut text = BytesMut::from(first);
    text.extend_from_slice(&second.map_err(broken)?);
    while let Some(chunk) = data(body).await {
        text.extend_from_slice(&chunk.map_err(broken)?);
    }
    Ok(text.freeze())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub fn broken(error: hyper::Error) -> Failure {
    Failure::new(format!("the connection broke: {error}"))
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let odd = || Failure::new(format!("`{text}` is no header, which is `Name: value`"));
    let (name, value) = text.split_once(':').ok_or_else(odd)?;
    let name = name.trim().parse().map_err(|_| odd())?;
    let value = value.trim().parse().map_err(|_| odd())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_whom_to_ask() {
        let endpoint = Endpoint::parse("http://127.0.0.1:80/mcp?a=b", &["X-A:  b ".to_owned()]).unwrap();
        assert_eq!(
            (endpoint.authority.as_str(), endpoint.path.to_string().as_str()),
            ("127.0.0.1:80", "/mcp?a=b")
        );
        assert_eq!(endpoint.headers.get(HOST).unwrap(), "127.0.0.1:80");
        assert_eq!(endpoint.headers.get("x-a").unwrap(), "b");
        assert_eq!(Endpoint::parse("http://a", &[]).unwrap().authority, "a:80");
        assert!(Endpoint::parse("https://a/", &[]).is_err());
        assert!(Endpoint::parse("/mcp", &[]).is_err());
        assert!(Endpoint::parse("http://a/", &["b".to_owned()]).is_err());
    }

    #[test]
    fn a_place_to_post_to_is_at_the_same_server() {
        let endpoint = Endpoint::parse("http://127.0.0.1:81/sse", &[]).unwrap();
        for reference in ["/messages?sessionId=1", "http://127.0.0.1:81/messages?sessionId=1"] {
            assert_eq!(endpoint.at(reference).unwrap().path.to_string(), "/messages?sessionId=1");
        }
        assert!(endpoint.at("http://127.0.0.1:82/messages").is_err());
    }
}
