//! From a server to its authorization server.
//!
//! Owns the order in which is looked (2026-07-28, basic/authorization/authorization-server-discovery): what the challenge
//! names, the well-known places of the server, and for a server of 2025-03-26, that says nothing of itself, its own root. What is
//! found is believed only for the server and the issuer that it is about.

use http::StatusCode;
use reqwest::Url;
use serde::de::DeserializeOwned;

use super::challenge::Challenge;
use super::metadata::{ResourceMetadata, ServerMetadata};
use super::web::{Answer, Web, WebError, place};
use super::well_known;

/// Where leave is given.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// For whom a token is made (RFC 8707).
    pub(super) resource: String,
    /// Who makes it; the same text as in its metadata.
    pub(super) issuer: String,
    pub(super) server: ServerMetadata,
    /// What rights the server knows, if it says so.
    pub(super) scopes: Vec<String>,
}

/// Looks. `issuer`: the only one that is trusted, if the configuration names one.
pub(super) async fn find(
    web: &Web,
    server: &Url,
    challenge: Option<&Challenge>,
    issuer: Option<&str>,
) -> Result<Found, WebError> {
    let said = resource(web, server, challenge).await?;
    let (resource, scopes, issuers) = match said {
        Some(said) => {
            let resource = said.resource.clone().unwrap_or_default();
            (resource, said.scopes(), said.authorization_servers)
        }
        None => (canonical(server), Vec::new(), Vec::new()),
    };
    let chosen = match issuer {
        Some(issuer) if issuers.is_empty() || issuers.iter().any(|named| named == issuer) => Some(issuer),
        Some(issuer) => {
            return Err(WebError(format!("does not name the issuer `{issuer}` of the configuration")));
        }
        None => issuers.first().map(String::as_str),
    };
    let Some(chosen) = chosen else {
        let server = of_root(web, server).await?;
        return Ok(Found { resource, issuer: server.issuer.clone(), server, scopes });
    };
    let server = of_issuer(web, chosen).await?;
    let server =
        server.ok_or_else(|| WebError(format!("its issuer `{}` says nothing of itself", brief(chosen))))?;
    Ok(Found { resource, issuer: chosen.to_owned(), server, scopes })
}

/// What the server says of itself, if it does.
async fn resource(
    web: &Web,
    server: &Url,
    challenge: Option<&Challenge>,
) -> Result<Option<ResourceMetadata>, WebError> {
    let named = challenge.and_then(|challenge| challenge.resource_metadata.as_deref());
    let named = named.map(|named| web.read(named)).transpose()?;
    let guessed = well_known::of_resource(server);
    for url in named.iter().chain(guessed.iter().filter(|url| named.as_ref() != Some(url))) {
        let answer = web.get(url).await?;
        let Some(said) = document::<ResourceMetadata>(&answer) else { continue };
        if said.is_of(server) {
            return Ok(Some(said));
        }
        if said.resource.is_some() {
            let other = said.resource.as_deref().map(brief).unwrap_or_default();
            return Err(WebError(format!("says at {} that it is another one: `{other}`", place(url))));
        }
    }
    Ok(None)
}

/// What an issuer says of itself, where it may be.
pub(super) async fn of_issuer(web: &Web, issuer: &str) -> Result<Option<ServerMetadata>, WebError> {
    let url = web.read(issuer)?;
    for url in well_known::of_issuer(&url) {
        let answer = web.get(&url).await?;
        let Some(said) = document::<ServerMetadata>(&answer) else { continue };
        // The very text: what is only alike is another one (RFC 8414, 3.3).
        if said.issuer != issuer {
            let other = brief(&said.issuer);
            return Err(WebError(format!(
                "names the issuer `{}`, which says that it is `{other}`",
                brief(issuer)
            )));
        }
        return Ok(Some(said));
    }
    Ok(None)
}

/// A server of 2025-03-26 is its own authorization server, at its root.
async fn of_root(web: &Web, server: &Url) -> Result<ServerMetadata, WebError> {
    let mut root = server.clone();
    root.set_path("");
    root.set_query(None);
    for url in well_known::of_issuer(&root) {
        let answer = web.get(&url).await?;
        let Some(said) = document::<ServerMetadata>(&answer) else { continue };
        let is_of_root = Url::parse(&said.issuer).is_ok_and(|issuer| issuer == root);
        if !is_of_root {
            let other = brief(&said.issuer);
            return Err(WebError(format!("is its own issuer, and says that it is `{other}`")));
        }
        return Ok(said);
    }
    Ok(ServerMetadata::agreed_on(&root))
}

/// The JSON of an answer, if it is one.
fn document<T: DeserializeOwned>(answer: &Answer) -> Option<T> {
    if answer.status != StatusCode::OK {
        return None;
    }
    serde_json::from_str(std::str::from_utf8(&answer.body).ok()?).ok()
}

/// A server's URL as it names the server: without a query and a slash at the end (2026-07-28, basic/authorization, Canonical
/// Server URI).
pub fn canonical(server: &Url) -> String {
    let mut url = server.clone();
    url.set_query(None);
    url.set_fragment(None);
    let text = url.as_str();
    text.strip_suffix('/').unwrap_or(text).to_owned()
}

/// What a server says, within our sentence.
fn brief(said: &str) -> String {
    said.chars().take(SAID_CHARS_MAX).collect::<String>().escape_debug().to_string()
}

const SAID_CHARS_MAX: usize = 200;
