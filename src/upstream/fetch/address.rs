//! Where a request goes, read once for all requests that go there.
//!
//! Owns what follows from a URL alone: the connections that may be used, the request line, `Host`. It may be none that a
//! request can go to; that is said when one is to. Nothing here connects.

use std::fmt;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use reqwest::Url;
use rustls::pki_types::ServerName;

use super::{FetchError, shown};
use crate::config::Secret;
use crate::upstream::stderr::escaped;

/// An absolute URL, `http` or `https`. Cheap to copy. Its `Debug` shows no query.
#[derive(Clone)]
pub struct Address(Arc<Written>);

struct Written {
    text: String,
    place: Result<Place, FetchError>,
}

/// A URL that a request can go to.
pub(super) struct Place {
    pub(super) url: Url,
    /// What stands in the request line: the path, and the query.
    pub(super) path: PathAndQuery,
    pub(super) host: HeaderValue,
    pub(super) origin: Arc<Origin>,
}

/// To whom a connection leads.
#[derive(Debug)]
pub(super) struct Origin {
    /// Scheme, host and port, without a path that says anything.
    pub(super) uri: Uri,
    /// Whose certificate is wanted; `None`: there is no TLS.
    pub(super) name: Option<ServerName<'static>>,
    /// Host and port, for a person.
    pub(super) shown: String,
}

impl Address {
    pub fn new(url: &str) -> Self {
        Self(Arc::new(Written { text: url.to_owned(), place: Place::read(url) }))
    }

    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// What of it may let somebody in: values of its query, as they are written and as they are meant, and parts of its path
    /// that are too long to be the name of anything.
    pub fn secrets(&self) -> Vec<Secret> {
        let Ok(place) = &self.0.place else { return Vec::new() };
        let written = place.url.query().unwrap_or_default().split('&');
        let written = written.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let parts = place.url.path().split('/').filter(|part| part.len() >= SECRET_PART_BYTES_MIN);
        let meant = place.url.query_pairs().map(|(_, value)| Secret::new(value.into_owned()));
        written.chain(parts).map(Secret::new).chain(meant).collect()
    }

    pub(super) fn place(&self) -> Result<&Place, FetchError> {
        self.0.place.as_ref().map_err(FetchError::clone)
    }
}

impl From<&Url> for Address {
    fn from(url: &Url) -> Self {
        Self(Arc::new(Written { text: url.as_str().to_owned(), place: Place::of(url.clone()) }))
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        let url = |address: &Self| address.0.place.as_ref().ok().map(|place| place.url.clone());
        Arc::ptr_eq(&self.0, &other.0) || url(self) == url(other)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(shown(&self.0.text))
    }
}

impl Place {
    fn read(text: &str) -> Result<Self, FetchError> {
        let url = Url::parse(text)
            .map_err(|error| FetchError::NotSent(format!("the URL cannot be used: {error}")))?;
        Self::of(url)
    }

    fn of(mut url: Url) -> Result<Self, FetchError> {
        let unusable =
            |why: &str| FetchError::NotSent(format!("the request cannot be made: {}", escaped(why)));
        let is_secure = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(unusable("its URL is neither `http` nor `https`")),
        };
        url.set_fragment(None);
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let path = PathAndQuery::try_from(path).map_err(|error| unusable(&error.to_string()))?;
        let host = url.host_str().unwrap_or_default();
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let origin = format!("{}://{authority}/", url.scheme());
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = is_secure.then(|| ServerName::try_from(bare.to_owned())).transpose();
        let origin = Origin {
            uri: origin.parse().map_err(|error: http::uri::InvalidUri| unusable(&error.to_string()))?,
            name: name.map_err(|error| unusable(&error.to_string()))?,
            shown: super::sentence::place(&url),
        };
        let host = HeaderValue::try_from(authority).map_err(|error| unusable(&error.to_string()))?;
        Ok(Self { url, path, host, origin: Arc::new(origin) })
    }
}

impl Origin {
    /// That of the scheme where none is written.
    pub(super) fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or_else(|| if self.name.is_some() { 443 } else { 80 })
    }
}

/// No name of anything in a path is so long.
const SECRET_PART_BYTES_MIN: usize = 16;

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.name.is_some() == other.name.is_some() && self.shown == other.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> (String, String, String) {
        let address = Address::new(url);
        let place = address.place().unwrap();
        (place.path.to_string(), place.host.to_str().unwrap().to_owned(), place.origin.shown.clone())
    }

    #[test]
    fn a_url_is_taken_apart_once() {
        let apart = |path: &str, host: &str, shown: &str| (path.into(), host.into(), shown.into());
        assert_eq!(of("http://h.test/mcp?a=b#c"), apart("/mcp?a=b", "h.test", "h.test:80"));
        assert_eq!(of("https://H.test:443"), apart("/", "h.test", "h.test:443"));
        assert_eq!(of("https://[::1]:8/a/../b"), apart("/b", "[::1]:8", "[::1]:8"));
        let name = |url: &str| Address::new(url).place().unwrap().origin.name.clone();
        assert_eq!(name("https://[::1]:8/"), Some(ServerName::IpAddress("::1".try_into().unwrap())));
        assert_eq!(name("http://h.test/"), None);
    }

    #[test]
    fn what_lets_in_is_in_the_query_or_a_long_part_of_the_path() {
        let secrets = Address::new("http://h/mcp/0123456789abcdef/x?k=a%2Fb&alone#c").secrets();
        let secrets: Vec<&str> = secrets.iter().map(Secret::expose).collect();
        assert_eq!(secrets, ["a%2Fb", "alone", "0123456789abcdef", "a/b", ""]);
        assert!(Address::new("none").secrets().is_empty());
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let is_one = |one: &str, other: &str| {
            let (one, other) = (Address::new(one), Address::new(other));
            one.place().unwrap().origin == other.place().unwrap().origin
        };
        assert!(is_one("http://h/a", "http://H:80/b?c"));
        assert!(!is_one("http://h/a", "http://h:81/a"));
        assert!(!is_one("http://h:443/a", "https://h:443/a"));
        assert!(!is_one("http://h/a", "http://g/a"));
    }

    #[test]
    fn what_is_no_place_is_said_when_somebody_wants_to_go_there() {
        for none in ["", "h", "http://", "ftp://h/", "file:///h"] {
            assert!(matches!(Address::new(none).place(), Err(FetchError::NotSent(_))), "{none}");
            assert_eq!(Address::new(none).as_str(), none);
        }
    }
}
