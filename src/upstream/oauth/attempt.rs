//! One login: from the question whether a server wants one to the leave that it gives.
//!
//! Owns what belongs to this attempt alone and is worth nothing after it: the state, the code's proof, the issuer that was
//! chosen before the browser was sent out. Who opens the browser, and waits for it, is the caller's business.

use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use reqwest::Url;

use super::callback::Callback;
use super::challenge::{Challenge, SCOPES_MAX};
use super::discovery::{self, Found, canonical};
use super::grant::{GrantError, TokenEndpoint};
use super::metadata::OFFLINE_ACCESS;
use super::registration::{self, By, Registration};
use super::store::{Kept, Login};
use super::web::{Question, Web, WebError};
use crate::config::{OAuth, Secret};

/// A login that waits for its person.
pub struct Attempt {
    found: Found,
    registration: Registration,
    redirect_uri: String,
    scopes: Vec<String>,
    state: Secret,
    verifier: Secret,
    url: Url,
}

/// What came of it: to be kept under a server and a principal.
pub struct Granted(pub Login);

/// Why there is no login: a sentence without secrets that goes on after the server's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    #[error("{0}")]
    Web(#[from] WebError),
    #[error(
        "its issuer `{0}` does not say that it binds codes to who asked for them (PKCE, S256); that is not safe, and refused"
    )]
    NoPkce(String),
    #[error(
        "it names the issuer `{now}` now and `{before}` before, and `oauth.client_id` is that one's; if the change is right, name the new one in `oauth.issuer`"
    )]
    Moved { before: String, now: String },
    #[error("its issuer `{issuer}` names no {what}")]
    Lacks { issuer: String, what: &'static str },
    #[error("the answer that the browser brought is not of the issuer `{issuer}`: {why}")]
    OtherIssuer { issuer: String, why: &'static str },
    #[error("the issuer gave no leave: it answered `{0}`")]
    Denied(String),
    #[error("{0}")]
    Grant(String),
}

/// Our own identity provider, as it knows us where people say who they are.
#[derive(Debug, Clone)]
pub struct SignIn {
    pub issuer: String,
    /// What its tokens are made for: ourselves.
    pub resource: String,
    pub scopes: Vec<String>,
    /// What we are called there.
    pub client: OAuth,
    pub ca_file: Option<PathBuf>,
}

/// What is asked for.
pub struct Wanted<'a> {
    pub server: &'a Url,
    pub oauth: &'a OAuth,
    pub challenge: Option<&'a Challenge>,
    /// The login that this one replaces.
    pub before: Option<&'a Login>,
}

impl Wanted<'_> {
    /// Where leave is given, and for which rights it is asked for.
    pub(super) async fn found(&self, web: &Web) -> Result<(Found, Vec<String>), LoginError> {
        let Self { server, oauth, challenge, before } = *self;
        let found = discovery::find(web, server, challenge, oauth.issuer.as_deref()).await?;
        // A name that was given out by hand is one issuer's, and so is its secret.
        let by_hand = before.filter(|_| oauth.client_id.is_some() && oauth.issuer.is_none());
        if let Some(before) = by_hand.filter(|before| before.issuer() != found.issuer) {
            return Err(LoginError::Moved { before: before.issuer().to_owned(), now: found.issuer });
        }
        let also = before.map(Login::wanted_scopes).unwrap_or_default();
        let scopes = scopes(&found, oauth, challenge, &also);
        Ok((found, scopes))
    }
}

/// What a server answers to who shows nothing: whether it lets us in so, and what it says that it wants. Some let everybody say
/// hello and nothing else, so that is asked last.
pub async fn probe(web: &Web, server: &Url) -> Result<(bool, Option<Challenge>), WebError> {
    let mut is_let_in = false;
    for question in QUESTIONS {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Bytes::from_static(question.as_bytes());
        let answer = web.ask(Question { method: Method::POST, url: server, headers, body }).await?;
        is_let_in = answer.status.is_success();
        if answer.status == StatusCode::UNAUTHORIZED {
            return Ok((false, Challenge::of(answer.headers.get_all(&header::WWW_AUTHENTICATE))));
        }
    }
    Ok((is_let_in, None))
}

impl Attempt {
    /// Finds where leave is given, and makes the URL that a person is to open.
    pub async fn begin(
        web: &Web,
        wanted: &Wanted<'_>,
        redirect_uri: &str,
        kept: &Kept,
    ) -> Result<Self, LoginError> {
        let (found, scopes) = wanted.found(web).await?;
        Self::at(web, (found, scopes), wanted.oauth, redirect_uri, &kept.registrations).await
    }

    /// The same where a person is only to say who he is, to us.
    pub async fn sign_in(web: &Web, sign_in: &SignIn, redirect_uri: &str) -> Result<Self, LoginError> {
        let SignIn { issuer, resource, scopes, client, .. } = sign_in;
        let nothing = || WebError(format!("cannot be asked: `{issuer}` says nothing of itself"));
        let server = discovery::of_issuer(web, issuer).await?.ok_or_else(nothing)?;
        let found = Found { resource: resource.clone(), issuer: issuer.clone(), server, scopes: Vec::new() };
        Self::at(web, (found, scopes.clone()), client, redirect_uri, &[]).await
    }

    async fn at(
        web: &Web,
        (found, scopes): (Found, Vec<String>),
        oauth: &OAuth,
        redirect_uri: &str,
        known: &[Registration],
    ) -> Result<Self, LoginError> {
        if !found.server.has_pkce() {
            return Err(LoginError::NoPkce(found.issuer));
        }
        let lacks = |what| LoginError::Lacks { issuer: found.issuer.clone(), what };
        let endpoint = found.server.authorization_endpoint.as_deref();
        let endpoint = web.read(endpoint.ok_or_else(|| lacks("place where people log in"))?)?;
        web.read(
            found.server.token_endpoint.as_deref().ok_or_else(|| lacks("place where tokens are given"))?,
        )?;
        let registration = registration::of(web, &found, oauth, known, By::Browser(redirect_uri)).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let unusable = |_| WebError("cannot be asked: its place where people log in is unusable".to_owned());
        let redirect = RedirectUrl::new(redirect_uri.to_owned()).map_err(unusable)?;
        let client = BasicClient::new(ClientId::new(registration.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(endpoint))
            .set_redirect_uri(redirect);
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge)
            .add_extra_param("resource", &found.resource)
            .url();
        let (state, verifier) =
            (Secret::new(state.secret().as_str()), Secret::new(verifier.secret().as_str()));
        Ok(Self { found, registration, redirect_uri: redirect_uri.to_owned(), scopes, state, verifier, url })
    }

    /// What a person is to open: https, or http on this machine.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Who will ask the person.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// What the browser must bring back.
    pub fn state(&self) -> &Secret {
        &self.state
    }

    /// Where the browser comes back to.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// As whom we ask.
    pub(super) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// What rights are asked for.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Changes what the browser brought into tokens, for a server by this name and for this principal.
    pub async fn finish(
        self,
        web: &Web,
        callback: Callback,
        server: &Url,
        principal: &str,
    ) -> Result<Granted, LoginError> {
        let Self { found, registration, redirect_uri, scopes, verifier, .. } = self;
        // Before anything of it is believed, an error included (2026-07-28, basic/authorization, Authorization Response
        // Issuer Validation; RFC 9207, 2.4).
        let is_promised = found.server.authorization_response_iss_parameter_supported;
        let other = |why| LoginError::OtherIssuer { issuer: found.issuer.clone(), why };
        match callback.issuer.as_deref() {
            Some(issuer) if issuer != found.issuer => return Err(other("it names another")),
            None if is_promised => return Err(other("it names none, and this issuer always names itself")),
            Some(_) | None => {}
        }
        let Some(code) = callback.code else {
            let word: String = callback.error.unwrap_or_default().chars().take(ERROR_CHARS_MAX).collect();
            return Err(LoginError::Denied(word.escape_debug().to_string()));
        };
        let shows =
            found.server.shows(registration.shown_by.as_deref(), registration.client_secret.is_some());
        let token_endpoint = found.server.token_endpoint.clone().unwrap_or_default();
        let endpoint = TokenEndpoint {
            web,
            url: &token_endpoint,
            registration: &registration,
            shows,
            resource: &found.resource,
        };
        let tokens = endpoint.of_code(code, verifier.expose().to_owned(), &redirect_uri).await;
        let tokens = tokens.map_err(|error: GrantError| LoginError::Grant(error.to_string()))?;
        let of = (canonical(server), principal.to_owned());
        let bare = Login::bare(of, &found, registration.clone(), (token_endpoint.clone(), shows), scopes);
        Ok(Granted(bare.renewed(tokens)))
    }
}

/// Which rights are asked for: those of the configuration, else those that the server wants now, else all that it knows
/// (2026-07-28, basic/authorization, Scope Selection Strategy); and what outlives us, where that is for the asking.
fn scopes(found: &Found, oauth: &OAuth, challenge: Option<&Challenge>, also: &[String]) -> Vec<String> {
    let named = challenge.map(|challenge| challenge.scopes.clone()).unwrap_or_default();
    let mut wanted = match (&oauth.scopes, named) {
        (configured, _) if !configured.is_empty() => configured.clone(),
        (_, named) if !named.is_empty() => named,
        _ if also.is_empty() => found.scopes.clone(),
        _ => Vec::new(),
    };
    let offline = OFFLINE_ACCESS.to_owned();
    let offline = Some(&offline).filter(|_| found.server.offers_offline_access());
    for scope in also.iter().chain(offline) {
        if !wanted.contains(scope) && wanted.len() < SCOPES_MAX {
            wanted.push(scope.clone());
        }
    }
    wanted
}

/// What servers of any revision answer, one way or another.
const QUESTIONS: [&str; 2] = [
    r#"{"jsonrpc":"2.0","id":"login","method":"tools/list","params":{}}"#,
    r#"{"jsonrpc":"2.0","id":"login","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"braid","version":"0"}}}"#,
];
const ERROR_CHARS_MAX: usize = 60;
