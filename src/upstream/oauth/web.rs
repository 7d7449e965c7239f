//! How places are asked that a server named: with care.
//!
//! Owns where such a request may go and how much may come of it. What the configuration names is reached wherever it lies;
//! everything else only over TLS and on the public network. Where the server itself is on this machine, others on it are as
//! well. Nothing of a client, and no header of the configuration, goes along.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::super::fetch::{
    Address, BodyError, Client, Common, Fetch, FetchError, FetchRequest, Fields, Proxies, shown,
};
use crate::config::remote::{is_misspelt, is_of_this_machine};

/// Asks on behalf of one server.
#[derive(Clone)]
pub struct Web {
    /// By which the configuration's own places are reached.
    near: Arc<dyn Fetch>,
    /// By which others are.
    far: Arc<dyn Fetch>,
    /// What the configuration names.
    named: Arc<[String]>,
    /// The server is on this machine.
    is_here: bool,
}

/// An answer, whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Fields,
    pub(super) body: Bytes,
}

/// What is sent.
pub(super) struct Question<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer: a sentence without secrets that goes on after a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WebError(pub(super) String);

impl Web {
    /// For a server at this URL. `issuer`: the one that the configuration names, if it does. Reads the system's roots, which
    /// blocks for some milliseconds.
    pub fn new(server: &Url, issuer: Option<&Url>, ca_file: Option<&Path>) -> Result<Self, WebError> {
        let proxies = || Proxies::of(std::env::vars_os());
        let client = || Client::new(ca_file, proxies()?);
        let public = || Client::to_public(ca_file, proxies()?);
        let said = |error: FetchError| WebError(error.to_string());
        Ok(Self::over(Arc::new(client().map_err(said)?), Arc::new(public().map_err(said)?), server, issuer))
    }

    /// The same, where that blocks nobody. An issuer that is no URL is as none.
    pub async fn begin(server: &Url, issuer: Option<&str>, ca_file: Option<&Path>) -> Result<Self, WebError> {
        let (server, ca_file) = (server.clone(), ca_file.map(Path::to_owned));
        let issuer = issuer.and_then(|issuer| Url::parse(issuer).ok());
        let made = spawn_blocking(move || Self::new(&server, issuer.as_ref(), ca_file.as_deref())).await;
        made.unwrap_or_else(|_| Err(WebError("no HTTP client could be made".to_owned())))
    }

    /// The same, over these.
    pub fn over(near: Arc<dyn Fetch>, far: Arc<dyn Fetch>, server: &Url, issuer: Option<&Url>) -> Self {
        let named = std::iter::once(server).chain(issuer).map(origin).collect();
        Self { near, far, named, is_here: is_of_this_machine(server) }
    }

    /// Whether a place that was named may be asked, or opened in a browser.
    pub(super) fn judge(&self, url: &Url) -> Result<(), WebError> {
        let no = |why: &str| Err(WebError(format!("{} {why}", place(url))));
        if url.as_str().len() > URL_BYTES_MAX {
            return no("is longer than any URL that is followed");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return no("has a user in it, which is not followed");
        }
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.is_near(url) => Ok(()),
            "http" => no("is not https, and the configuration does not name it"),
            _ => no("is no https URL"),
        }
    }

    /// What a server named, as a place that may be asked.
    pub(super) fn read(&self, text: &str) -> Result<Url, WebError> {
        let url = match text.len() {
            ..=URL_BYTES_MAX if !is_misspelt(text) => Url::parse(text).ok().filter(Url::has_host),
            _ => None,
        };
        let url = url.ok_or_else(|| WebError("what the server names is no URL".to_owned()))?;
        self.judge(&url)?;
        Ok(url)
    }

    /// Whether it is reached as the configuration's own places are.
    fn is_near(&self, url: &Url) -> bool {
        self.named.contains(&origin(url)) || (self.is_here && is_of_this_machine(url))
    }

    pub(super) async fn get(&self, url: &Url) -> Result<Answer, WebError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        self.ask(Question { method: Method::GET, url, headers, body: Bytes::new() }).await
    }

    /// Asks once. Redirects are followed within one origin, three at most.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Answer, WebError> {
        let Question { method, url, mut headers, body } = question;
        self.judge(url)?;
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(PROGRAM));
        let fetch = if self.is_near(url) { &self.near } else { &self.far };
        let common = Arc::new(Common::new(HeaderMap::new()));
        let request =
            FetchRequest { method, url: Address::from(url), common, headers, body, departure: None };
        let answered = async {
            let response = fetch.fetch(request).await.map_err(|error| WebError(error.to_string()))?;
            let body = response.body.whole(BODY_BYTES_MAX, |_| true).await;
            let body = body.map_err(|error| match error {
                BodyError::Fetch(error) => WebError(error.to_string()),
                BodyError::TooLarge { .. } | BodyError::NoRoom { .. } => {
                    WebError(format!("{} answers with more than {BODY_BYTES_MAX} bytes", place(url)))
                }
            })?;
            Ok(Answer { status: response.status, headers: response.headers, body })
        };
        let late =
            |_| WebError(format!("{} did not answer within {} s", place(url), ANSWER_WAIT_MAX.as_secs()));
        timeout(ANSWER_WAIT_MAX, answered).await.map_err(late)?
    }
}

/// Scheme, host and port.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// A URL in a sentence: without what may be a secret, and not for ever.
pub(super) fn place(url: &Url) -> String {
    let shown = shown(url.as_str());
    shown.chars().take(PLACE_CHARS_MAX).collect()
}

/// What one answer may hold, and how long it may take.
const BODY_BYTES_MAX: usize = 256 * 1024;
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
const URL_BYTES_MAX: usize = 8 * 1024;
const PLACE_CHARS_MAX: usize = 200;
const PROGRAM: &str = concat!("braid/", env!("CARGO_PKG_VERSION"));
