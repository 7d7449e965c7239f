//! What a server and an authorization server say of themselves, and whether it may be believed.
//!
//! Pure. Members that we do not use are passed over; nothing of it is sent on.

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::challenge::{SCOPES_MAX, is_scope};

/// What a protected resource says of itself (RFC 9728, 2).
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct ResourceMetadata {
    pub(super) resource: Option<String>,
    #[serde(default)]
    pub(super) authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// What an authorization server says of itself (RFC 8414, 2; OpenID Connect Discovery, 3).
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct ServerMetadata {
    #[serde(default)]
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Option<String>,
    pub(super) token_endpoint: Option<String>,
    pub(super) registration_endpoint: Option<String>,
    pub(super) revocation_endpoint: Option<String>,
    pub(super) device_authorization_endpoint: Option<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(super) client_id_metadata_document_supported: bool,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// How we show at the token endpoint who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shows {
    /// By nothing but our name.
    None,
    /// By a secret in a header.
    Basic,
    /// By a secret in the body.
    Post,
}

impl ResourceMetadata {
    /// Whether it is about the server at this URL: the same origin, and its path or one above it. A server that says that it is
    /// another one would have our token made for that (RFC 9728, 3.3).
    pub(super) fn is_of(&self, server: &Url) -> bool {
        let Some(named) = self.resource.as_deref().and_then(|named| Url::parse(named).ok()) else {
            return false;
        };
        let (above, path) = (named.path().trim_end_matches('/'), server.path());
        let rest = path.strip_prefix(above);
        named.origin() == server.origin()
            && named.fragment().is_none()
            && named.username().is_empty()
            && named.password().is_none()
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    pub(super) fn scopes(&self) -> Vec<String> {
        fit(&self.scopes_supported)
    }
}

impl ServerMetadata {
    /// Of a server of 2025-03-26 that says nothing: its places are agreed on (2025-03-26, basic/authorization, 2.3.3).
    pub(super) fn agreed_on(root: &Url) -> Self {
        let at = |path: &str| root.join(path).ok().map(String::from);
        Self {
            issuer: root.origin().ascii_serialization(),
            authorization_endpoint: at("/authorize"),
            token_endpoint: at("/token"),
            registration_endpoint: at("/register"),
            code_challenge_methods_supported: Some(vec![S256.to_owned()]),
            ..Self::default()
        }
    }

    /// Whether a login there is proof against whoever reads the code on its way. Who does not say so is refused (2026-07-28,
    /// basic/authorization, Authorization Code Protection).
    pub(super) fn has_pkce(&self) -> bool {
        self.code_challenge_methods_supported
            .as_ref()
            .is_some_and(|methods| methods.iter().any(|it| it == S256))
    }

    /// Whether it gives what outlives us for the asking.
    pub(super) fn offers_offline_access(&self) -> bool {
        self.scopes_supported.iter().any(|scope| scope == OFFLINE_ACCESS)
    }

    /// How a client shows who it is: as it was told when it was registered, else as the server takes it.
    pub(super) fn shows(&self, registered: Option<&str>, has_secret: bool) -> Shows {
        if !has_secret {
            return Shows::None;
        }
        let takes = |method: &str| {
            self.token_endpoint_auth_methods_supported
                .as_ref()
                .is_none_or(|methods| methods.iter().any(|known| known == method))
        };
        match registered {
            Some("client_secret_post") => Shows::Post,
            Some("client_secret_basic") => Shows::Basic,
            Some("none") => Shows::None,
            Some(_) | None if takes("client_secret_basic") => Shows::Basic,
            Some(_) | None if takes("client_secret_post") => Shows::Post,
            Some(_) | None => Shows::Basic,
        }
    }

    /// What a client that registers itself asks to show: nothing, if that is allowed.
    pub(super) fn wanted_shows(&self) -> &'static str {
        let Some(methods) = &self.token_endpoint_auth_methods_supported else { return "none" };
        let takes = |method: &&str| methods.iter().any(|known| known == method);
        ["none", "client_secret_basic", "client_secret_post"].into_iter().find(takes).unwrap_or("none")
    }
}

fn fit(scopes: &[String]) -> Vec<String> {
    scopes.iter().filter(|scope| is_scope(scope)).take(SCOPES_MAX).cloned().collect()
}

const S256: &str = "S256";
pub(super) const OFFLINE_ACCESS: &str = "offline_access";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_speaks_for_itself_and_what_is_below() {
        let is_of = |named: &str, server: &str| {
            let said = ResourceMetadata { resource: Some(named.to_owned()), ..ResourceMetadata::default() };
            said.is_of(&Url::parse(server).unwrap())
        };
        for (named, server) in [
            ("https://x/mcp", "https://x/mcp"),
            ("https://x/mcp", "https://x/mcp/"),
            ("https://x/mcp/", "https://x/mcp"),
            ("https://x", "https://x/mcp"),
            ("https://x/", "https://x/a/b?c=d"),
            ("https://X:443/a", "https://x/a/b"),
        ] {
            assert!(is_of(named, server), "{named} {server}");
        }
        for (named, server) in [
            ("https://x/mcp", "https://x/mcpb"),
            ("https://x/mcp", "https://x/"),
            ("https://y/mcp", "https://x/mcp"),
            ("http://x/mcp", "https://x/mcp"),
            ("https://x:8/mcp", "https://x/mcp"),
            ("https://x/mcp#a", "https://x/mcp"),
            ("https://u@x/mcp", "https://x/mcp"),
            ("/mcp", "https://x/mcp"),
            ("", "https://x/mcp"),
        ] {
            assert!(!is_of(named, server), "{named} {server}");
        }
        assert!(!ResourceMetadata::default().is_of(&Url::parse("https://x").unwrap()));
    }

    #[test]
    fn who_does_not_say_that_codes_are_bound_is_refused() {
        let of = |text: &str| serde_json::from_str::<ServerMetadata>(text).unwrap().has_pkce();
        assert!(of(r#"{"code_challenge_methods_supported":["plain","S256"]}"#));
        assert!(!of(r#"{"code_challenge_methods_supported":["plain"]}"#));
        assert!(!of(r#"{"code_challenge_methods_supported":[]}"#));
        assert!(!of("{}"));
    }

    #[test]
    fn a_secret_is_shown_as_the_server_takes_it() {
        let of = |text: &str| serde_json::from_str::<ServerMetadata>(text).unwrap();
        let posts = of(r#"{"token_endpoint_auth_methods_supported":["client_secret_post","none"]}"#);
        assert_eq!(posts.shows(None, true), Shows::Post);
        assert_eq!(posts.shows(Some("client_secret_basic"), true), Shows::Basic);
        assert_eq!(posts.shows(None, false), Shows::None);
        assert_eq!(posts.wanted_shows(), "none");
        assert_eq!(of("{}").shows(None, true), Shows::Basic);
        let basic = of(r#"{"token_endpoint_auth_methods_supported":["client_secret_basic"]}"#);
        assert_eq!((basic.wanted_shows(), of("{}").wanted_shows()), ("client_secret_basic", "none"));
    }
}
