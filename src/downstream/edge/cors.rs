//! What a page of another origin may read and send.
//!
//! Off unless origins are listed, and then for these alone: a page of loopback may send requests, but reads an answer only
//! if its origin is listed. Never `*`, never credentials.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What an answer says of CORS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cors {
    /// No origin is listed.
    Off,
    /// Origins are listed, and this request is of none of them; a cache must know that it depends.
    Unlisted,
    /// The page of this origin may read the answer.
    Listed(HeaderValue),
}

impl Cors {
    /// Adds what any answer needs.
    pub fn dress(&self, headers: &mut HeaderMap) {
        match self {
            Self::Off => return,
            Self::Unlisted => {}
            Self::Listed(origin) => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
            }
        }
        headers.append(VARY, HeaderValue::from_static("origin"));
    }

    /// Adds what the answer to a preflight needs.
    pub(super) fn dress_preflight(&self, asked: &Asked, headers: &mut HeaderMap) {
        self.dress(headers);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.headers.clone());
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        if asked.network == Network::Private {
            headers.insert("access-control-allow-private-network", HeaderValue::from_static("true"));
        }
    }
}

/// What a preflight asks leave for, as far as the answer depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    headers: HeaderValue,
    network: Network,
}

/// Where a page would reach from where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    /// A page of the public web asks before it reaches into a private network.
    Private,
    Same,
}

impl Asked {
    pub(super) fn of(head: &HeaderMap) -> Self {
        let private = head.get("access-control-request-private-network").is_some_and(|value| value == "true");
        let network = if private { Network::Private } else { Network::Same };
        Self { headers: allowed_headers(head), network }
    }
}

/// 2026-07-28, basic/transports: an argument of a tool may travel as `Mcp-Param-NAME`, so their names are
/// known only to who asks.
fn allowed_headers(asked: &HeaderMap) -> HeaderValue {
    let mut names = ALLOWED.to_owned();
    let wanted = asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|value| value.to_str().ok());
    for name in wanted.flat_map(|value| value.split(',')).take(PARAMS_MAX) {
        let Ok(name) = HeaderName::from_bytes(name.trim().as_bytes()) else { continue };
        if name.as_str().starts_with("mcp-param-") {
            names.push_str(", ");
            names.push_str(name.as_str());
        }
    }
    HeaderValue::try_from(names).unwrap_or_else(|_| HeaderValue::from_static(ALLOWED))
}

const ALLOWED: &str = "accept, authorization, content-type, last-event-id, mcp-method, mcp-name, mcp-protocol-version, mcp-session-id";
const EXPOSED: &str = "mcp-protocol-version, mcp-session-id, retry-after, www-authenticate";
/// Names in one preflight that are looked at.
const PARAMS_MAX: usize = 64;
