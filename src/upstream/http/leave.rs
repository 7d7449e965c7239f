//! Requests that show a login.
//!
//! Owns that each wears the token that holds when it leaves, and what follows when the server wants another: the request was
//! not applied then (RFC 9110, 15.5.2), so it goes once more with another token, if there is one. What a login is, and how
//! another token is had, `oauth` knows. Where there is none, requests pass as they are.

use super::super::echo::repeats;
use super::super::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};
use super::super::oauth::{Bearer, Challenge, Remedy, TokenSource};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::sync::Arc;

/// The way to a server for whoever may have a login there.
pub(super) struct Leave {
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) source: TokenSource,
}

impl Fetch for Leave {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<FetchResponse, FetchError>> {
        match self.source.at_hand() {
            Some(None) => self.fetch.fetch(request),
            known => Box::pin(shown(self.fetch.clone(), self.source.clone(), known.flatten(), request)),
        }
    }
}

/// Sends a request with a login, once more if the first is refused and there is another.
async fn shown(
    fetch: Arc<dyn Fetch>,
    source: TokenSource,
    known: Option<Bearer>,
    mut request: FetchRequest,
) -> Result<FetchResponse, FetchError> {
    let mut bearer = match known {
        Some(bearer) => Some(bearer),
        None => source.bearer().await.map_err(denied)?,
    };
    for tries_left in (0..TRIES_MAX).rev() {
        let again = (tries_left > 0 && request.body.len() <= AGAIN_BYTES_MAX).then(|| copy(&request));
        wear(&mut request.headers, bearer.as_ref())?;
        let response = fetch.fetch(request).await?;
        let remedy = match response.status {
            StatusCode::UNAUTHORIZED if tries_left == 0 => break,
            StatusCode::UNAUTHORIZED => source.refused(bearer.as_ref()).await,
            StatusCode::FORBIDDEN => match challenge(&response).filter(|challenge| challenge.is_for_scope) {
                Some(challenge) => source.lacks(bearer.as_ref(), &unrepeated(challenge, &source)).await,
                None => return Ok(response),
            },
            _ => {
                if let Some(bearer) = &bearer {
                    bearer.accepted();
                }
                return Ok(response);
            }
        };
        let another = match remedy {
            remedy @ (Remedy::Login(_) | Remedy::Failed(_)) => return Err(denied(remedy)),
            Remedy::Another => source.bearer().await.map_err(denied)?,
        };
        match again {
            Some(again) => (request, bearer) = (again, another),
            None => return Err(denied(Remedy::Failed(TOO_LONG.to_owned()))),
        }
    }
    Err(denied(Remedy::Login("refuses each token that it is shown".to_owned())))
}

fn denied(remedy: Remedy) -> FetchError {
    let wants_login = matches!(remedy, Remedy::Login(_));
    FetchError::Refused { why: remedy.sentence(), wants_login }
}

/// The same without rights that repeat what the server was shown: they are quoted, and kept.
fn unrepeated(challenge: Challenge, source: &TokenSource) -> Challenge {
    match repeats(&challenge.scopes.join(" "), &source.secrets()) {
        true => Challenge { scopes: Vec::new(), ..challenge },
        false => challenge,
    }
}

fn challenge(response: &FetchResponse) -> Option<Challenge> {
    Challenge::of(response.headers.get_all(&header::WWW_AUTHENTICATE))
}

/// The same to be sent again. Who waits to hear that it is written has heard it.
fn copy(request: &FetchRequest) -> FetchRequest {
    FetchRequest {
        method: request.method.clone(),
        url: request.url.clone(),
        common: request.common.clone(),
        headers: request.headers.clone(),
        body: Bytes::clone(&request.body),
        departure: None,
    }
}

fn wear(headers: &mut HeaderMap, bearer: Option<&Bearer>) -> Result<(), FetchError> {
    let Some(bearer) = bearer else { return Ok(()) };
    let unusable = |_| denied(Remedy::Login("has a login that cannot be sent; log in anew".to_owned()));
    let mut value = HeaderValue::try_from(format!("Bearer {}", bearer.token().expose())).map_err(unusable)?;
    value.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, value);
    Ok(())
}

/// How often a request is sent: a token that has ended, and one that lacks a right, may come after each other.
const TRIES_MAX: usize = 3;
/// The next request is shown the other token at once.
const TOO_LONG: &str = "wanted another token, and the request is too long to be sent again with it; it was not applied, try again";
/// A longer request is not kept to be sent again.
const AGAIN_BYTES_MAX: usize = 64 * 1024;
