//! A token for a server, made of the one that its caller showed us (RFC 8693).
//!
//! One for each server, whoever calls. Owns to whom a caller's token is shown: to the token endpoint of the issuer that the
//! configuration names, which says itself where that is, and to nobody else. No server has a say in it: one that names
//! another issuer is refused, and nothing is sent at all. What is given is an access token or nothing; what would outlive the
//! caller's own token is not kept.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use reqwest::Url;
use serde::Deserialize;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use super::super::echo::repeats;
use super::basic::basic;
use super::challenge::is_scope;
use super::discovery::{self, Found, canonical};
use super::grant::{GrantError, Tokens, is_sendable, now, word};
use super::metadata::Shows;
use super::registration::Registration;
use super::store::Login;
use super::web::{Question, Web, WebError, place};
use crate::config::{OAuth, Secret};
use crate::mcp::own_token::{OwnTokens, Wanted};
use crate::wire::percent::form_encoded;

/// Has tokens made for one server.
pub struct Exchanger {
    url: Url,
    oauth: OAuth,
    ca_file: Option<PathBuf>,
    web: OnceCell<Web>,
    found: Mutex<Option<(Instant, Arc<Place>)>>,
    /// One at a time looks.
    looks: Semaphore,
    own_tokens: Arc<OwnTokens>,
    _wanted: Wanted,
}

/// Where tokens are made for the server.
struct Place {
    found: Found,
    endpoint: Url,
    registration: Registration,
    shows: Shows,
    /// What rights the server asked for when nobody showed it anything.
    wanted: Vec<String>,
}

/// What an issuer answers (RFC 8693, 2.2.1). Members stand there once.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    issued_token_type: Option<String>,
    token_type: String,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    scope: Option<String>,
}

/// What it answers else (RFC 6749, 5.2).
#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Exchanger {
    /// For a server at a URL that was judged. `own_tokens`: where the tokens of callers are.
    pub fn new(url: &Url, oauth: OAuth, ca_file: Option<PathBuf>, own_tokens: Arc<OwnTokens>) -> Self {
        let (web, found, wanted) = (OnceCell::new(), Mutex::default(), own_tokens.want());
        let looks = Semaphore::new(1);
        Self { url: url.clone(), oauth, ca_file, web, found, looks, own_tokens, _wanted: wanted }
    }

    /// The same, over this web.
    #[must_use]
    pub fn over(self, web: Web) -> Self {
        Self { web: OnceCell::new_with(Some(web)), ..self }
    }

    pub(super) fn own_tokens(&self) -> &OwnTokens {
        &self.own_tokens
    }

    /// Whether rights are asked for that the configuration says, whatever the server wants.
    pub(super) fn has_own_scopes(&self) -> bool {
        !self.oauth.scopes.is_empty()
    }

    /// Shows a caller's token to the issuer. `also`: rights that the server wants beside those that it names itself.
    pub(super) async fn exchange(&self, subject: &Secret, also: &[String]) -> Result<Login, GrantError> {
        let made = self.exchanged(subject, also).await;
        // What an issuer says may repeat what it was sent.
        let sent = [Some(subject), self.oauth.client_secret.as_ref()];
        let sent: Vec<Secret> = sent.into_iter().flatten().cloned().collect();
        made.map_err(|error| match error {
            GrantError::Refused(why) if repeats(&why, &sent) => GrantError::Refused(UNSAYABLE.to_owned()),
            GrantError::Failed(why) if repeats(&why, &sent) => GrantError::Failed(UNSAYABLE.to_owned()),
            error @ (GrantError::Refused(_) | GrantError::Failed(_)) => error,
        })
    }

    async fn exchanged(&self, subject: &Secret, also: &[String]) -> Result<Login, GrantError> {
        let place = self.place().await?;
        let scopes = match (self.oauth.scopes.as_slice(), also) {
            ([], []) => place.wanted.clone(),
            ([], also) => also.to_vec(),
            (ours, _) => ours.to_vec(),
        };
        let (headers, body) = self.request(&place, subject, &scopes)?;
        let web = self.web().await.map_err(failed)?;
        let question = Question { method: Method::POST, url: &place.endpoint, headers, body };
        let answer = web.ask(question).await.map_err(|error| {
            // It may be elsewhere by now.
            *self.found.lock() = None;
            failed(error)
        })?;
        let given = read(answer.status, &answer.body)?;
        let of = (canonical(&self.url), String::new());
        let at = (place.endpoint.to_string(), place.shows);
        Ok(Login::bare(of, &place.found, place.registration.clone(), at, scopes).renewed(given))
    }

    fn request(
        &self,
        place: &Place,
        subject: &Secret,
        scopes: &[String],
    ) -> Result<(HeaderMap, Bytes), GrantError> {
        let Place { registration, shows, .. } = place;
        let secret = registration.secret().unwrap_or_else(|| Secret::new(""));
        let scope = scopes.join(" ");
        let mut fields = vec![
            ("grant_type", EXCHANGE),
            ("subject_token", subject.expose()),
            ("subject_token_type", ACCESS_TOKEN),
            ("requested_token_type", ACCESS_TOKEN),
            ("resource", place.found.resource.as_str()),
        ];
        fields.extend(self.oauth.audience.as_deref().map(|audience| ("audience", audience)));
        fields.extend((!scope.is_empty()).then_some(("scope", scope.as_str())));
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        match shows {
            Shows::Basic => {
                let nothing = || GrantError::Failed("no request can be made".to_owned());
                let value = basic(&registration.client_id, &secret).ok_or_else(nothing)?;
                headers.insert(header::AUTHORIZATION, value);
            }
            Shows::Post => {
                let client_id = registration.client_id.as_str();
                fields.extend([("client_id", client_id), ("client_secret", secret.expose())]);
            }
            Shows::None => fields.push(("client_id", registration.client_id.as_str())),
        }
        Ok((headers, Bytes::from(form(&fields))))
    }

    fn known(&self) -> Option<Arc<Place>> {
        let known = self.found.lock().clone();
        known.filter(|(at, _)| at.elapsed() < FOUND_KEPT).map(|(_, place)| place)
    }

    /// Where tokens are made, as it was found a while ago or is found now. Nothing of a caller is sent for that.
    async fn place(&self) -> Result<Arc<Place>, GrantError> {
        if let Some(place) = self.known() {
            return Ok(place);
        }
        // Once for all who wait.
        let _looking = self.looks.acquire().await;
        if let Some(place) = self.known() {
            return Ok(place);
        }
        let issuer = self.oauth.issuer.as_deref();
        let issuer =
            issuer.ok_or_else(|| GrantError::Failed("the configuration names no issuer".to_owned()))?;
        let web = self.web().await.map_err(failed)?;
        let (_, challenge) = super::attempt::probe(web, &self.url).await.map_err(failed)?;
        let mut found =
            discovery::find(web, &self.url, challenge.as_ref(), Some(issuer)).await.map_err(failed)?;
        // Nobody is asked whether he agrees: a token is made for this server, and for nothing above it that it says to be.
        if !is_same_place(&found.resource, &self.url) {
            found.resource = canonical(&self.url);
        }
        let endpoint = found.server.token_endpoint.as_deref();
        let endpoint = endpoint
            .ok_or_else(|| GrantError::Failed("its issuer names no token endpoint".to_owned()))
            .and_then(|endpoint| web.read(endpoint).map_err(failed))?;
        self.judge(issuer, &found, &endpoint)?;
        let registration = Registration::of_settings(&found.issuer, &self.oauth);
        let registration = registration.ok_or_else(|| {
            GrantError::Failed("the configuration names no client of its issuer".to_owned())
        })?;
        let shows = found.server.shows(None, registration.client_secret.is_some());
        let wanted = challenge.map(|challenge| challenge.scopes).unwrap_or_default();
        let place = Arc::new(Place { found, endpoint, registration, shows, wanted });
        *self.found.lock() = Some((Instant::now(), place.clone()));
        Ok(place)
    }

    /// Whether a caller's token may be shown there: to whom the configuration names, and not to the server itself unless
    /// they are one by that very configuration.
    fn judge(&self, issuer: &str, found: &Found, endpoint: &Url) -> Result<(), GrantError> {
        let is_of_server = endpoint.origin() == self.url.origin();
        let is_one = Url::parse(issuer).is_ok_and(|issuer| issuer.origin() == self.url.origin());
        if found.issuer == issuer && (!is_of_server || is_one) {
            return Ok(());
        }
        Err(GrantError::Failed(format!(
            "tokens are made at {}, which is not its issuer's: nothing was shown there",
            place(endpoint)
        )))
    }

    async fn web(&self) -> Result<&Web, WebError> {
        let make = || Web::begin(&self.url, self.oauth.issuer.as_deref(), self.ca_file.as_deref());
        self.web.get_or_try_init(make).await
    }
}

/// Whether what a server calls itself is where it is, however it ends the path.
fn is_same_place(resource: &str, server: &Url) -> bool {
    let bare = |url: &Url| url.path().trim_end_matches('/').to_owned();
    let named = Url::parse(resource).ok();
    named.is_some_and(|named| {
        named.origin() == server.origin() && bare(&named) == bare(server) && named.query() == server.query()
    })
}

/// What an answer gives.
fn read(status: StatusCode, body: &[u8]) -> Result<Tokens, GrantError> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    if status != StatusCode::OK {
        let Ok(Refused { error }) = serde_json::from_str(text) else {
            let why = format!("the token endpoint answered {} and no error of OAuth", status.as_u16());
            return Err(GrantError::Failed(why));
        };
        let why = format!("the token endpoint answered `{}`", word(&error));
        // RFC 8693, 2.2.2: a token that is not taken is an invalid request. Some say what a code would be.
        return Err(match error.as_str() {
            "invalid_request" | "invalid_grant" => GrantError::Refused(why),
            _ => GrantError::Failed(why),
        });
    }
    let no_token = |why: &str| GrantError::Failed(format!("the token endpoint {why}"));
    let given: Given = serde_json::from_str(text).map_err(|_| no_token("answered no token"))?;
    let is_access = given.issued_token_type.as_deref().is_none_or(|kind| [ACCESS_TOKEN, JWT].contains(&kind));
    if !is_access || !given.token_type.eq_ignore_ascii_case("bearer") {
        return Err(no_token("gave something else than a token for requests"));
    }
    if !is_sendable(&given.access_token) {
        return Err(no_token("gave a token that cannot be sent"));
    }
    let scopes = given.scope.map(|scopes| {
        let scopes = scopes.split(' ').filter(|scope| is_scope(scope)).take(SCOPES_MAX);
        scopes.map(str::to_owned).collect()
    });
    let expires_at = given.expires_in.map(|lives| now().saturating_add(lives));
    // What makes others is not kept: it would outlive what it was made of.
    Ok(Tokens { access: Secret::new(given.access_token), refresh: None, expires_at, scopes })
}

fn failed(error: WebError) -> GrantError {
    GrantError::Failed(error.to_string())
}

/// As a form is sent (WHATWG URL, application/x-www-form-urlencoded).
fn form(fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}={}", form_encoded(value)));
    fields.collect::<Vec<_>>().join("&")
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const UNSAYABLE: &str = "the token endpoint answered in words that repeat what it was sent";
/// How long it is believed where tokens are made.
const FOUND_KEPT: Duration = Duration::from_secs(10 * 60);
/// Rights of one token that are looked at.
const SCOPES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h07_a_token_is_made_for_the_server_and_for_nothing_above_it() {
        let server = Url::parse("https://far.test/a/mcp").unwrap();
        for same in ["https://far.test/a/mcp", "https://far.test/a/mcp/", "https://FAR.test:443/a/mcp"] {
            assert!(is_same_place(same, &server), "{same}");
        }
        let others = [
            "https://far.test",
            "https://far.test/a",
            "https://far.test/a/mcp?b",
            "https://b.test/a/mcp",
            "x",
        ];
        for other in others {
            assert!(!is_same_place(other, &server), "{other}");
        }
    }
}
