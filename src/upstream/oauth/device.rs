//! A login in a browser of another machine (RFC 8628).
//!
//! Owns a code that a person types into a page there, and the wait until that is done. Nothing comes back to this machine, so
//! no place has to be open on it.

use std::time::Duration;

use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::{
    AuthType, ClientId, ClientSecret, DeviceAuthorizationUrl, ErrorResponseType, RequestTokenError, Scope,
    StandardDeviceAuthorizationResponse, StandardErrorResponse, TokenUrl,
};
use reqwest::Url;

use super::attempt::{Granted, LoginError, Wanted};
use super::discovery::{Found, canonical};
use super::grant::{Sender, tokens};
use super::metadata::Shows;
use super::registration::{self, By, Registration};
use super::store::{Kept, Login};
use super::web::{Web, WebError};

/// A login that waits for its person.
pub struct Device {
    found: Found,
    registration: Registration,
    shows: Shows,
    scopes: Vec<String>,
    at: Url,
    tokens_at: Url,
    asked: StandardDeviceAuthorizationResponse,
}

impl Device {
    /// Finds where leave is given, and gets a code.
    pub async fn begin(web: &Web, wanted: &Wanted<'_>, kept: &Kept) -> Result<Self, LoginError> {
        let (found, scopes) = wanted.found(web).await?;
        let lacks = |what| LoginError::Lacks { issuer: found.issuer.clone(), what };
        let at = found.server.device_authorization_endpoint.as_deref();
        let at = web.read(at.ok_or_else(|| lacks("place for logins on other machines"))?)?;
        let tokens_at = found.server.token_endpoint.as_deref();
        let tokens_at = web.read(tokens_at.ok_or_else(|| lacks("place where tokens are given"))?)?;
        let registration =
            registration::of(web, &found, wanted.oauth, &kept.registrations, By::Device).await?;
        let shows =
            found.server.shows(registration.shown_by.as_deref(), registration.client_secret.is_some());
        let client = client(&registration, shows)
            .set_device_authorization_url(DeviceAuthorizationUrl::from_url(at.clone()));
        let request = client
            .exchange_device_code()
            .add_scopes(scopes.iter().cloned().map(Scope::new))
            .add_extra_param("resource", found.resource.clone());
        let asked = request.request_async(&Sender { web, to: &at }).await.map_err(|error| said(&error))?;
        Ok(Self { found, registration, shows, scopes, at, tokens_at, asked })
    }

    /// Where the person goes, with the code in it if the issuer has such a page.
    pub fn page(&self) -> &str {
        match self.asked.verification_uri_complete() {
            Some(complete) => complete.secret(),
            None => self.asked.verification_uri(),
        }
    }

    /// What the person types there, or compares.
    pub fn code(&self) -> &str {
        self.asked.user_code().secret()
    }

    /// What rights are asked for.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Waits until the person has agreed, for a server by this name and for this principal.
    pub async fn finish(self, web: &Web, server: &Url, principal: &str) -> Result<Granted, LoginError> {
        let client = client(&self.registration, self.shows)
            .set_device_authorization_url(DeviceAuthorizationUrl::from_url(self.at))
            .set_token_uri(TokenUrl::from_url(self.tokens_at.clone()));
        let request = client
            .exchange_device_access_token(&self.asked)
            .add_extra_param("resource", self.found.resource.clone());
        let wait = self.asked.expires_in().min(WAIT_MAX);
        let sender = Sender { web, to: &self.tokens_at };
        let given: BasicTokenResponse = request
            .request_async(&sender, tokio::time::sleep, Some(wait))
            .await
            .map_err(|error| said(&error))?;
        let tokens = tokens(&given).map_err(|error| LoginError::Grant(error.to_string()))?;
        let (of, at) = ((canonical(server), principal.to_owned()), (self.tokens_at.to_string(), self.shows));
        let bare = Login::bare(of, &self.found, self.registration, at, self.scopes);
        Ok(Granted(bare.renewed(tokens)))
    }
}

fn client(registration: &Registration, shows: Shows) -> BasicClient {
    let client = BasicClient::new(ClientId::new(registration.client_id.clone()));
    let client = client.set_auth_type(match shows {
        Shows::Basic => AuthType::BasicAuth,
        Shows::None | Shows::Post => AuthType::RequestBody,
    });
    match registration.secret() {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
        None => client,
    }
}

/// The error's own word is one of a list, or short; what it describes may repeat what it was sent.
fn said<T>(error: &RequestTokenError<WebError, StandardErrorResponse<T>>) -> LoginError
where
    T: ErrorResponseType + AsRef<str> + std::fmt::Display + 'static,
{
    match error {
        RequestTokenError::Request(error) => LoginError::Web(error.clone()),
        RequestTokenError::ServerResponse(response) => {
            let word: String = response.error().as_ref().chars().take(ERROR_CHARS_MAX).collect();
            LoginError::Denied(word.escape_debug().to_string())
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            LoginError::Grant("its issuer answered neither with a code nor with an error".to_owned())
        }
    }
}

/// No code is waited for longer.
const WAIT_MAX: Duration = Duration::from_secs(900);
const ERROR_CHARS_MAX: usize = 60;
