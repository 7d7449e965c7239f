//! As whom we ask for leave: our name at an authorization server, and what goes with it.
//!
//! Owns the order (2026-07-28, basic/authorization, Client Registration Approaches): what the configuration gives, a document
//! of ours at a URL, what the issuer gave us before, a registration now. A name is one issuer's and goes to no other.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::discovery::Found;
use super::web::{Question, Web, WebError, place};
use crate::config::remote::is_of_this_machine;
use crate::config::{OAuth, Secret};

/// Our name at one issuer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registration {
    pub(super) issuer: String,
    pub(super) client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_secret: Option<String>,
    /// How it was said that the secret is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shown_by: Option<String>,
    /// Where the browser is sent back to, if the name holds for that alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) redirect_uri: Option<String>,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// How leave is to be obtained under the name.
#[derive(Clone, Copy)]
pub(super) enum By<'a> {
    /// A browser that comes back to this place.
    Browser(&'a str),
    /// A browser elsewhere, that does not.
    Device,
    /// Our own secret.
    Ourselves,
}

impl<'a> By<'a> {
    fn comes_back_to(self) -> Option<&'a str> {
        match self {
            Self::Browser(place) => Some(place),
            Self::Device | Self::Ourselves => None,
        }
    }

    /// A program on the user's machine, or one that is there for browsers anywhere.
    fn application_type(self) -> &'static str {
        let is_far = |place: &str| Url::parse(place).is_ok_and(|place| !is_of_this_machine(&place));
        if self.comes_back_to().is_some_and(is_far) { "web" } else { "native" }
    }

    fn grants(self) -> &'static [&'static str] {
        match self {
            Self::Device => &["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
            Self::Browser(_) | Self::Ourselves => &["authorization_code", "refresh_token"],
        }
    }
}

/// What a registration asks for (RFC 7591, 2), and what kind of program asks (2026-07-28, Dynamic Client Registration). It
/// names no rights: an issuer would hold us to them when a server wants more.
#[derive(Serialize)]
struct Request<'a> {
    client_name: &'a str,
    redirect_uris: [&'a str; 1],
    grant_types: &'a [&'a str],
    response_types: [&'a str; 1],
    token_endpoint_auth_method: &'a str,
    application_type: &'a str,
}

#[derive(Deserialize)]
struct Response {
    client_id: String,
    client_secret: Option<String>,
    token_endpoint_auth_method: Option<String>,
}

impl Registration {
    /// What the configuration gives, if it gives a name.
    pub(super) fn of_settings(issuer: &str, oauth: &OAuth) -> Option<Self> {
        let client_secret = oauth.client_secret.as_ref().map(|secret| secret.expose().to_owned());
        let client_id = oauth.client_id.clone()?;
        let issuer = issuer.to_owned();
        Some(Self { issuer, client_id, client_secret, shown_by: None, redirect_uri: None })
    }
}

/// Our name at the issuer that was found. `known`: what issuers gave us before.
pub(super) async fn of(
    web: &Web,
    found: &Found,
    oauth: &OAuth,
    known: &[Registration],
    by: By<'_>,
) -> Result<Registration, WebError> {
    let issuer = found.issuer.clone();
    let bare = |client_id: &str| Registration {
        issuer: issuer.clone(),
        client_id: client_id.to_owned(),
        client_secret: None,
        shown_by: None,
        redirect_uri: None,
    };
    if let Some(registration) = Registration::of_settings(&issuer, oauth) {
        return Ok(registration);
    }
    if let (Some(document), true) =
        (&oauth.client_metadata_url, found.server.client_id_metadata_document_supported)
    {
        return Ok(bare(document));
    }
    let fits = |it: &&Registration| it.issuer == issuer && it.redirect_uri.as_deref() == by.comes_back_to();
    if let Some(registration) = known.iter().find(fits).filter(|_| by.comes_back_to().is_some()) {
        return Ok(registration.clone());
    }
    let Some(endpoint) = &found.server.registration_endpoint else {
        let why = format!(
            "its issuer `{issuer}` registers no clients by itself: register one there, and put its id into `oauth.client_id`"
        );
        return Err(WebError(why));
    };
    let registered = register(web, found, endpoint, by).await?;
    Ok(Registration {
        client_secret: registered.client_secret.filter(|secret| !secret.is_empty()),
        shown_by: registered.token_endpoint_auth_method,
        redirect_uri: by.comes_back_to().map(str::to_owned),
        ..bare(&registered.client_id)
    })
}

async fn register(web: &Web, found: &Found, endpoint: &str, by: By<'_>) -> Result<Response, WebError> {
    let url = web.read(endpoint)?;
    let request = Request {
        client_name: CLIENT_NAME,
        redirect_uris: [by.comes_back_to().unwrap_or(NOWHERE)],
        grant_types: by.grants(),
        response_types: ["code"],
        token_endpoint_auth_method: found.server.wanted_shows(),
        application_type: by.application_type(),
    };
    let body =
        serde_json::to_vec(&request).map_err(|_| WebError("no registration can be written".to_owned()))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let answer =
        web.ask(Question { method: Method::POST, url: &url, headers, body: Bytes::from(body) }).await?;
    if ![StatusCode::OK, StatusCode::CREATED].contains(&answer.status) {
        return Err(WebError(format!(
            "{} registers us not: it answered {}",
            place(&url),
            answer.status.as_u16()
        )));
    }
    let text = std::str::from_utf8(&answer.body).unwrap_or_default();
    let registered = serde_json::from_str::<Response>(text);
    let is_usable = |it: &Response| !it.client_id.is_empty() && it.client_id.len() <= CLIENT_ID_BYTES_MAX;
    registered
        .ok()
        .filter(is_usable)
        .ok_or_else(|| WebError(format!("{} registers us without a usable `client_id`", place(&url))))
}

impl Registration {
    pub(super) fn secret(&self) -> Option<Secret> {
        self.client_secret.as_deref().map(Secret::new)
    }
}

/// A registration must name a place, where nobody comes back too.
const NOWHERE: &str = "http://localhost/callback";
/// What people read where they are asked whether they agree.
const CLIENT_NAME: &str = "Braid";
const CLIENT_ID_BYTES_MAX: usize = 4096;
