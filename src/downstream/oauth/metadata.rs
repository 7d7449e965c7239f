//! What an identity provider says of itself: where its keys are, and who is asked about tokens that are no JWTs.
//!
//! Owns where that stands (2026-07-28, basic/authorization/authorization-server-discovery) and what of it is believed. Pure.

use reqwest::Url;

use super::object::Object;
use crate::upstream::oauth::well_known::of_issuer;

/// What is used of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) jwks_uri: Option<String>,
    pub(super) introspection_endpoint: Option<String>,
}

/// Where a provider's metadata may stand, in the order in which it is looked for: OAuth's, then OpenID Connect's.
pub(super) fn places(issuer: &str) -> Vec<String> {
    Url::parse(issuer)
        .map(|issuer| of_issuer(&issuer).into_iter().map(String::from).collect())
        .unwrap_or_default()
}

impl Metadata {
    /// What stands at one of these places; an error is a sentence for the log.
    pub(super) fn read(text: &[u8], issuer: &str) -> Result<Self, String> {
        let unreadable = || "its metadata cannot be read".to_owned();
        let object = Object::read(text).ok_or_else(unreadable)?;
        // Or anyone could say that a provider's keys are theirs (RFC 8414, 3.3).
        match object.text("issuer").map_err(|_| unreadable())? {
            Some(said) if said == issuer => {}
            Some(_) => return Err("its metadata name another issuer".to_owned()),
            None => return Err("its metadata name no issuer".to_owned()),
        }
        let url = |name: &str| match object.text(name) {
            Ok(None) => Ok(None),
            Ok(Some(url)) if may_be_asked(&url, issuer) => Ok(Some(url.into_owned())),
            Ok(Some(_)) | Err(_) => Err(format!("the `{name}` of its metadata cannot be used")),
        };
        Ok(Self { jwks_uri: url("jwks_uri")?, introspection_endpoint: url("introspection_endpoint")? })
    }
}

/// Over TLS it is who it says. Without, only where the issuer itself is reached so, which the configuration has allowed.
fn may_be_asked(url: &str, issuer: &str) -> bool {
    let (Ok(url), Ok(issuer)) = (Url::parse(url), Url::parse(issuer)) else { return false };
    let has_user = !url.username().is_empty() || url.password().is_some();
    !has_user && (url.scheme() == "https" || url.origin() == issuer.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_looked_for_where_the_specification_says() {
        assert_eq!(
            places("https://id.example.com"),
            [
                "https://id.example.com/.well-known/oauth-authorization-server",
                "https://id.example.com/.well-known/openid-configuration"
            ]
        );
        assert_eq!(
            places("https://id.example.com:8443/realms/a"),
            [
                "https://id.example.com:8443/.well-known/oauth-authorization-server/realms/a",
                "https://id.example.com:8443/.well-known/openid-configuration/realms/a",
                "https://id.example.com:8443/realms/a/.well-known/openid-configuration"
            ]
        );
        assert_eq!(places("none"), [""; 0]);
    }

    #[test]
    fn only_the_issuers_own_word_counts() {
        let read = |issuer: &str, text: &str| Metadata::read(text.as_bytes(), issuer);
        let text = r#"{"issuer":"https://id.example.com/","jwks_uri":"https://keys.example.net/k"}"#;
        let metadata = read("https://id.example.com/", text).unwrap();
        assert_eq!(metadata.jwks_uri.as_deref(), Some("https://keys.example.net/k"));
        assert_eq!(metadata.introspection_endpoint, None);
        assert_eq!(read("https://id.example.com", text), Err("its metadata name another issuer".to_owned()));
        assert!(
            read("a", "{}").is_err() && read("a", "[]").is_err() && read("a", r#"{"issuer":7}"#).is_err()
        );
        let twice = r#"{"issuer":"https://id.example.com","issuer":"https://id.example.com"}"#;
        assert!(read("https://id.example.com", twice).is_err());
    }

    #[test]
    fn keys_come_over_tls_or_from_where_the_issuer_is() {
        for (issuer, url, may) in [
            ("https://id.example.com", "https://id.example.com/k", true),
            ("https://id.example.com", "https://other.example/k", true),
            ("https://id.example.com", "http://id.example.com/k", false),
            ("https://id.example.com", "file:///etc/passwd", false),
            ("https://id.example.com", "https://a:b@id.example.com/k", false),
            ("https://id.example.com", "k", false),
            ("http://127.0.0.1:9", "http://127.0.0.1:9/k", true),
            ("http://127.0.0.1:9", "http://127.0.0.1:10/k", false),
            ("http://127.0.0.1:9", "http://other.example/k", false),
        ] {
            let text = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{url}"}}"#);
            assert_eq!(Metadata::read(text.as_bytes(), issuer).is_ok(), may, "{issuer} {url}");
        }
    }
}
