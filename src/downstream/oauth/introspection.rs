//! Tokens that only their provider can read: it is asked what they say (RFC 7662).
//!
//! So many are asked about at once, and whoever finds no place waits for one. What the provider says is judged as the
//! claims of a JWT are.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::Semaphore;

use super::courier::Courier;
use super::jwt::Flaw;
use super::object::{Object, Odd};
use crate::config::Introspection as Settings;
use crate::upstream::oauth::basic;
use crate::wire::percent::form_encoded;

/// How a provider is asked.
#[derive(Debug)]
pub(super) struct Introspection {
    /// `None`: where its metadata say.
    pub(super) url: Option<String>,
    name: HeaderValue,
    places: Arc<Semaphore>,
}

impl Introspection {
    /// `None`: name and secret cannot be sent.
    pub(super) fn new(settings: &Settings) -> Option<Self> {
        let name = basic(&settings.client_id, &settings.client_secret)?;
        let places = Arc::new(Semaphore::new(ASKED_MAX));
        Some(Self { url: settings.url.clone(), name, places })
    }

    /// What the provider says of a token. An error is a sentence for the log.
    pub(super) async fn ask(&self, courier: &Courier, url: &str, token: &[u8]) -> Result<Bytes, String> {
        let Ok(_place) = self.places.acquire().await else { return Err("we are stopping".to_owned()) };
        let token = String::from_utf8_lossy(token);
        let form = format!("token={}&token_type_hint=access_token", form_encoded(&token));
        courier.post(url, self.name.clone(), form).await
    }
}

/// The claims of a token that counts at all. `Err(None)`: what was said cannot be read, and so nothing is known of it.
pub(super) fn told(text: &[u8]) -> Result<Object, Option<Flaw>> {
    let object = Object::read(text).ok_or(None)?;
    match object.raw("active") {
        Some("true") => {}
        Some("false") => return Err(Some(Flaw("it is not in force"))),
        Some(_) | None => return Err(None),
    }
    let is_other = |name: &str, words: &[&str]| {
        let kind = object.text(name)?;
        Ok::<_, Odd>(kind.is_some_and(|kind| !words.iter().any(|word| kind.eq_ignore_ascii_case(word))))
    };
    let unread = |_| Some(Flaw::from(Odd));
    // Some name what it is for, and Keycloak what it is.
    if is_other("token_type", &["Bearer", "access_token"]).map_err(unread)?
        || is_other("typ", &["Bearer", "JWT", "at+jwt"]).map_err(unread)?
    {
        return Err(Some(Flaw("it is no access token")));
    }
    Ok(object)
}

/// Tokens that are asked about at once.
const ASKED_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    #[test]
    fn a_name_is_sent_as_it_must_be_and_never_shown() {
        let settings =
            Settings { url: None, client_id: "a b".to_owned(), client_secret: Secret::new("s:3/é") };
        let asking = Introspection::new(&settings).unwrap();
        let sent = format!("Basic {}", BASE64_STANDARD.encode("a+b:s%3A3%2F%C3%A9"));
        assert_eq!(asking.name.to_str().unwrap(), sent);
        assert!(
            !format!("{asking:?} {settings:?}").contains("s:3") && !format!("{asking:?}").contains(&sent)
        );
    }

    #[test]
    fn only_what_is_in_force_has_claims() {
        let told = |text: &str| told(text.as_bytes()).map(drop).map_err(|flaw| flaw.map(|flaw| flaw.0));
        assert_eq!(told(r#"{"active":true,"sub":"a"}"#), Ok(()));
        assert_eq!(told(r#"{"active":true,"token_type":"bearer","typ":"Bearer"}"#), Ok(()));
        assert_eq!(told(r#"{"active":false}"#), Err(Some("it is not in force")));
        for odd in
            ["", "[]", "{}", r#"{"active":"true"}"#, r#"{"active":1}"#, r#"{"active":true,"active":true}"#]
        {
            assert_eq!(told(odd), Err(None), "{odd}");
        }
        assert_eq!(
            told(r#"{"active":true,"token_type":"refresh_token"}"#),
            Err(Some("it is no access token"))
        );
        assert_eq!(told(r#"{"active":true,"typ":"Refresh"}"#), Err(Some("it is no access token")));
        assert_eq!(told(r#"{"active":true,"typ":7}"#), Err(Some("what it says cannot be read")));
    }
}
