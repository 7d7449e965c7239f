//! What is answered before any route is asked.
//!
//! A refusal for where a request comes from says nothing at all: who reads it is a page that must not learn anything.
//! A refusal for want of the token is for people, and says what to do.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::cors::{Asked, Cors};
use crate::downstream::oauth::resource::{Refusal, Resource};
use crate::wire::fault::{Fault, Reason};

/// What is answered before any route is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub why: Why,
    pub cors: Cors,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A browser asks for leave, and has it.
    Preflight(Asked),
    /// `Host` is missing, repeated, at odds with the URI, or none of ours.
    Host,
    /// `Origin` is repeated, unreadable or not allowed.
    Origin,
    /// No bearer token. `file`: where its own people find it.
    TokenMissing { file: Option<String> },
    /// A token, but not ours.
    TokenWrong { file: Option<String> },
    /// No token of the identity provider that counts. `challenge`: where to get one.
    Unproven { challenge: Option<HeaderValue>, why: &'static str, refusal: Refusal },
    /// One that counts, and is not good for enough.
    Insufficient { challenge: Option<HeaderValue>, needed: String },
    /// One that may count: the identity provider is away.
    Unjudged { retry_after: Duration },
    /// Too many failures of this source.
    Throttled { retry_after: Duration },
}

impl Why {
    pub(super) fn unproven(resource: &Resource, path: &str, refusal: Refusal, why: &'static str) -> Self {
        Self::Unproven { challenge: resource.challenge(path, refusal), why, refusal }
    }

    pub(super) fn insufficient(resource: &Resource, path: &str) -> Self {
        let needed: Vec<&str> = resource.needed().iter().collect();
        let challenge = resource.challenge(path, Refusal::InsufficientScope);
        Self::Insufficient { challenge, needed: needed.join(" ") }
    }
}

impl Reply {
    pub fn response(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        match &self.why {
            Why::Preflight(asked) => {
                self.cors.dress_preflight(asked, headers);
                headers.insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE, OPTIONS"));
                return response;
            }
            Why::Host | Why::Origin => return response,
            Why::TokenMissing { .. } => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Why::TokenWrong { .. } => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
            }
            Why::Unproven { challenge, .. } | Why::Insufficient { challenge, .. } => {
                let challenge = challenge.clone().unwrap_or(HeaderValue::from_static("Bearer"));
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            Why::Throttled { retry_after } | Why::Unjudged { retry_after } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds(*retry_after)));
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.cors.dress(headers);
        response
    }

    pub fn status(&self) -> StatusCode {
        match &self.why {
            Why::Preflight(_) => StatusCode::NO_CONTENT,
            Why::Host | Why::Origin | Why::Insufficient { .. } => StatusCode::FORBIDDEN,
            Why::TokenMissing { .. } | Why::TokenWrong { .. } | Why::Unproven { .. } => {
                StatusCode::UNAUTHORIZED
            }
            Why::Unjudged { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Why::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn body(&self) -> Bytes {
        let (reason, text) = match &self.why {
            Why::Preflight(_) | Why::Host | Why::Origin => return Bytes::new(),
            Why::TokenMissing { file } => {
                (Reason::Refused, format!("no bearer token; {}", where_to_find(file)))
            }
            Why::TokenWrong { file } => {
                (Reason::Refused, format!("the bearer token is wrong; {}", where_to_find(file)))
            }
            Why::Unproven { refusal: Refusal::NoToken, .. } => {
                let text = "no bearer token; `WWW-Authenticate` says where to get one, and it is sent as `Authorization: Bearer TOKEN`";
                (Reason::Refused, text.to_owned())
            }
            Why::Unproven { why, .. } => (Reason::Refused, format!("the bearer token does not count: {why}")),
            Why::Insufficient { needed, .. } => {
                (Reason::Refused, format!("the bearer token is not good for all that is needed: {needed}"))
            }
            Why::Unjudged { retry_after } => {
                let seconds = seconds(*retry_after);
                let text = format!(
                    "the identity provider cannot be asked about the bearer token; try again in {seconds} s"
                );
                (Reason::Unreachable, text)
            }
            Why::Throttled { retry_after } => {
                let seconds = seconds(*retry_after);
                (
                    Reason::Rate,
                    format!("too many requests without the right bearer token; try again in {seconds} s"),
                )
            }
        };
        Fault::ours(reason, text).render(None)
    }
}

fn where_to_find(file: &Option<String>) -> String {
    match file {
        Some(file) => format!("the token is in `{file}`: send it as `Authorization: Bearer TOKEN`"),
        None => "send it as `Authorization: Bearer TOKEN`".to_owned(),
    }
}

/// Whole seconds, rounded up: who comes back then finds the door open.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
