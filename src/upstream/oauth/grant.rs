//! The requests at a token endpoint, and what their answers give.
//!
//! Made and read by the `oauth2` crate, sent by `Web`. Each says for whom the token is (RFC 8707). What fails is said without
//! what was sent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::future::BoxFuture;
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    TokenResponse, TokenUrl,
};
use reqwest::Url;

use super::challenge::is_scope;
use super::metadata::Shows;
use super::registration::Registration;
use super::web::{Question, Web, WebError};
use crate::config::Secret;

/// Where tokens are made, and as whom we ask.
pub(super) struct TokenEndpoint<'a> {
    pub(super) web: &'a Web,
    pub(super) url: &'a str,
    pub(super) registration: &'a Registration,
    pub(super) shows: Shows,
    pub(super) resource: &'a str,
}

/// What was given.
#[derive(Clone)]
pub(super) struct Tokens {
    pub(super) access: Secret,
    pub(super) refresh: Option<Secret>,
    /// In seconds of the clock that all programs share. `None`: it was not said.
    pub(super) expires_at: Option<u64>,
    /// What rights it has, where that is other than what was asked for.
    pub(super) scopes: Option<Vec<String>>,
}

/// Why nothing was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum GrantError {
    /// What we had is worth nothing any more: a person must log in.
    #[error("{0}")]
    Refused(String),
    /// It may be otherwise in a while.
    #[error("{0}")]
    Failed(String),
}

type Endpoint = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

impl TokenEndpoint<'_> {
    /// Against the code that the browser brought.
    pub(super) async fn of_code(
        &self,
        code: Secret,
        verifier: String,
        redirect_uri: &str,
    ) -> Result<Tokens, GrantError> {
        let redirect = RedirectUrl::new(redirect_uri.to_owned());
        let (client, to) = self.client()?;
        let client = client.set_redirect_uri(redirect.map_err(|_| unusable())?);
        let request = client
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier))
            .add_extra_param("resource", self.resource);
        read(request.request_async(&Sender { web: self.web, to: &to }).await)
    }

    /// Against what was given for that.
    pub(super) async fn of_refresh(&self, refresh: &Secret) -> Result<Tokens, GrantError> {
        let (client, to) = self.client()?;
        let token = RefreshToken::new(refresh.expose().to_owned());
        let request = client.exchange_refresh_token(&token).add_extra_param("resource", self.resource);
        read(request.request_async(&Sender { web: self.web, to: &to }).await)
    }

    /// Against our own secret.
    pub(super) async fn of_ourselves(&self, scopes: &[String]) -> Result<Tokens, GrantError> {
        let (client, to) = self.client()?;
        let scopes = scopes.iter().cloned().map(Scope::new);
        let request = client
            .exchange_client_credentials()
            .add_scopes(scopes)
            .add_extra_param("resource", self.resource);
        read(request.request_async(&Sender { web: self.web, to: &to }).await)
    }

    fn client(&self) -> Result<(Endpoint, Url), GrantError> {
        let url = self.web.read(self.url).map_err(|error| GrantError::Failed(error.to_string()))?;
        let client = BasicClient::new(ClientId::new(self.registration.client_id.clone()));
        let client = client.set_token_uri(TokenUrl::from_url(url.clone()));
        let client = match (self.registration.secret(), self.shows) {
            (Some(secret), Shows::Basic | Shows::Post) => {
                client.set_client_secret(ClientSecret::new(secret.expose().to_owned()))
            }
            (Some(_) | None, _) => client,
        };
        let client = client.set_auth_type(match self.shows {
            Shows::Basic => AuthType::BasicAuth,
            Shows::None | Shows::Post => AuthType::RequestBody,
        });
        Ok((client, url))
    }
}

/// Carries the crate's requests to one place.
pub(super) struct Sender<'a> {
    pub(super) web: &'a Web,
    pub(super) to: &'a Url,
}

impl<'c> AsyncHttpClient<'c> for Sender<'_> {
    type Error = WebError;
    type Future = BoxFuture<'c, Result<HttpResponse, WebError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let mut headers = head.headers;
            for value in headers.values_mut() {
                value.set_sensitive(true);
            }
            let question = Question { method: head.method, url: self.to, headers, body: Bytes::from(body) };
            let answer = self.web.ask(question).await?;
            let mut response = HttpResponse::new(answer.body.to_vec());
            *response.status_mut() = answer.status;
            for value in answer.headers.get_all(&http::header::CONTENT_TYPE).take(1) {
                if let Ok(value) = http::HeaderValue::from_bytes(value) {
                    response.headers_mut().insert(http::header::CONTENT_TYPE, value);
                }
            }
            Ok(response)
        })
    }
}

fn read(
    answered: Result<BasicTokenResponse, RequestTokenError<WebError, BasicErrorResponse>>,
) -> Result<Tokens, GrantError> {
    let given = answered.map_err(|error| match error {
        RequestTokenError::ServerResponse(response) => refused(&response),
        RequestTokenError::Request(error) => GrantError::Failed(error.to_string()),
        RequestTokenError::Parse(..) => GrantError::Failed("the token endpoint answered no token".to_owned()),
        RequestTokenError::Other(_) => {
            GrantError::Failed("the token endpoint answered neither a token nor an error".to_owned())
        }
    })?;
    tokens(&given)
}

/// What an answer gives, if it can be used.
pub(super) fn tokens(given: &BasicTokenResponse) -> Result<Tokens, GrantError> {
    let token = given.access_token().secret();
    if !is_sendable(token) {
        return Err(GrantError::Failed("the token endpoint gave a token that cannot be sent".to_owned()));
    }
    let now = now();
    let scopes = given
        .scopes()
        .map(|scopes| scopes.iter().map(|scope| scope.to_string()).filter(|scope| is_scope(scope)).collect());
    Ok(Tokens {
        access: Secret::new(token.as_str()),
        refresh: given.refresh_token().map(|token| Secret::new(token.secret().as_str())),
        expires_at: given.expires_in().map(|lives: Duration| now.saturating_add(lives.as_secs())),
        scopes,
    })
}

/// Whether it can go into a header (RFC 6750, 2.1).
pub(super) fn is_sendable(token: &str) -> bool {
    (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The word of an error, within our sentence.
pub(super) fn word(error: &str) -> String {
    let word: String = error.chars().take(ERROR_CHARS_MAX).collect();
    word.escape_debug().to_string()
}

/// The error's own word is one of a list, or short; what it describes may repeat what it was sent.
fn refused(response: &BasicErrorResponse) -> GrantError {
    let why = format!("the token endpoint answered `{}`", word(response.error().as_ref()));
    match response.error() {
        BasicErrorResponseType::InvalidGrant
        | BasicErrorResponseType::InvalidClient
        | BasicErrorResponseType::UnauthorizedClient => GrantError::Refused(why),
        BasicErrorResponseType::InvalidRequest
        | BasicErrorResponseType::InvalidScope
        | BasicErrorResponseType::UnsupportedGrantType
        | BasicErrorResponseType::Extension(_) => GrantError::Failed(why),
    }
}

fn unusable() -> GrantError {
    GrantError::Failed("no request for a token can be made".to_owned())
}

/// The clock that a token's end is written down by, in seconds.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A longer token fits into no head of a request.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
const ERROR_CHARS_MAX: usize = 60;
