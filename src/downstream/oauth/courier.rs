//! Requests to an identity provider, each bounded in time and in what may come back.
//!
//! Goes only where it is told to. What the configuration names may be anywhere; where the provider alone says that something
//! is, only the public network is asked. A redirect is followed within one origin only (`upstream::fetch`). An error is a
//! sentence for the log, without secrets.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Url;
use tokio::time::timeout;

use crate::upstream::fetch::{Address, Client, Common, Fetch, FetchError, FetchRequest, Proxies, read_whole};

/// Fetches of one provider.
#[derive(Clone)]
pub(super) struct Courier {
    ways: Ways,
    /// Of what the configuration names.
    origins: Arc<[String]>,
    common: Arc<Common>,
}

/// By which requests go.
#[derive(Clone)]
pub struct Ways {
    /// To what the configuration names.
    pub named: Arc<dyn Fetch>,
    /// To what others name: within the bounds of the public network.
    pub others: Arc<dyn Fetch>,
}

impl Ways {
    /// Straight, or through proxies. `ca_file`: who is trusted besides those whom the system trusts, in PEM; it is read now, which
    /// blocks for some milliseconds.
    pub fn new(
        ca_file: Option<&Path>,
        proxies: impl Fn() -> Result<Proxies, FetchError>,
    ) -> Result<Self, FetchError> {
        let named = Arc::new(Client::new(ca_file, proxies()?)?);
        Ok(Self { named, others: Arc::new(Client::to_public(ca_file, proxies()?)?) })
    }
}

impl Courier {
    /// `named`: the URLs that the configuration names.
    pub(super) fn new<'a>(ways: Ways, named: impl IntoIterator<Item = &'a str>) -> Self {
        let accept = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let origins = named.into_iter().filter_map(origin).collect();
        Self { ways, origins, common: Arc::new(Common::new(accept)) }
    }

    pub(super) async fn get(&self, url: &str) -> Result<Bytes, String> {
        self.send(Method::GET, url, HeaderMap::new(), Bytes::new()).await
    }

    /// Posts a form in somebody's name.
    pub(super) async fn post(&self, url: &str, name: HeaderValue, form: String) -> Result<Bytes, String> {
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, name), (CONTENT_TYPE, form_type)]);
        self.send(Method::POST, url, headers, form.into()).await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, String> {
        let is_named = origin(url).is_some_and(|origin| self.origins.contains(&origin));
        let fetch = if is_named { &self.ways.named } else { &self.ways.others };
        let (url, common) = (Address::new(url), self.common.clone());
        let request = FetchRequest { method, url, common, headers, body, departure: None };
        let answered = async {
            let mut response = fetch.fetch(request).await.map_err(|error| error.to_string())?;
            if response.status != StatusCode::OK {
                return Err(format!("it answered with {}", response.status.as_u16()));
            }
            read_whole(&mut response.body, ANSWER_BYTES_MAX).await.map_err(|error| error.to_string())
        };
        match timeout(ANSWER_WAIT_MAX, answered).await {
            Ok(answered) => answered,
            Err(_) => Err(format!("no answer within {} s", ANSWER_WAIT_MAX.as_secs())),
        }
    }
}

/// Scheme, host and port.
fn origin(url: &str) -> Option<String> {
    Url::parse(url).ok().map(|url| url.origin().ascii_serialization())
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Courier")
    }
}

/// From the request to the last byte of its answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
/// Longest metadata, key set or word about a token.
pub(super) const ANSWER_BYTES_MAX: usize = 256 * 1024;
