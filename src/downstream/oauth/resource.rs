//! Who we are to clients and to an identity provider: our own URI, those of our doors, and what we tell of them.
//!
//! RFC 9728 and 2026-07-28, basic/authorization/authorization-server-discovery: a client that is refused learns from
//! `WWW-Authenticate` where the metadata of the door stands that it asked, and from that where to get a token. What the
//! metadata calls the resource must be what the client has asked (RFC 9728, 3.3), so each door has metadata of its own.
//! Pure: nothing here knows which doors there are, so that nobody learns it without a token.

use std::sync::Arc;

use http::HeaderValue;

use crate::config::IdentityProvider;
use crate::mcp::caller::Scopes;
use crate::wire::members::quote;

/// What we are called, and what that is told with.
#[derive(Debug, Clone)]
pub struct Resource {
    /// The door to everything, as its clients call it.
    uri: String,
    /// Scheme, host and port.
    origin: String,
    /// What stands before our own paths where a proxy adds it. `None`: the URI does not end in our path, and doors have none
    /// of their own.
    prefix: Option<String>,
    issuer: String,
    needed: Scopes,
}

/// Where a token may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doors {
    All,
    /// Only there: it was made for them by name.
    These(Arc<[Box<str>]>),
}

/// Why a request is refused, in the words of RFC 6750, 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It brings no token.
    NoToken,
    InvalidToken,
    InsufficientScope,
}

impl Doors {
    pub(super) fn these<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self::These(paths.into_iter().map(Box::from).collect())
    }

    /// Whether a token may be used for a request to this path.
    pub fn open(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(doors) => doors.iter().any(|door| **door == *whose(path)),
        }
    }
}

impl Resource {
    pub fn new(oauth: &IdentityProvider) -> Self {
        let uri = oauth.resource.clone();
        let begin = uri.find("://").map_or(0, |at| at + 3);
        let end = uri.get(begin..).and_then(|rest| rest.find('/')).map_or(uri.len(), |at| begin + at);
        let (origin, path) = uri.split_at_checked(end).unwrap_or((&uri, ""));
        let prefix = path.strip_suffix(ALL).map(str::to_owned);
        let needed = Scopes::of(oauth.scopes.iter().map(String::as_str)).unwrap_or_default();
        Self { origin: origin.to_owned(), prefix, issuer: oauth.issuer.clone(), needed, uri }
    }

    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// What every token must be good for.
    pub fn needed(&self) -> &Scopes {
        &self.needed
    }

    /// The path of the door that this URI names, if it can be one of ours.
    pub(super) fn door_at<'u>(&self, uri: &'u str) -> Option<&'u str> {
        let path = uri.strip_prefix(&*self.origin)?.strip_prefix(self.prefix.as_deref()?)?;
        is_door(path).then_some(path)
    }

    /// What a request to this path is told that is refused.
    pub fn challenge(&self, path: &str, refusal: Refusal) -> Option<HeaderValue> {
        let error = match refusal {
            // RFC 6750, 3.1: who brought nothing made no mistake.
            Refusal::NoToken => "",
            Refusal::InvalidToken => "error=\"invalid_token\", ",
            Refusal::InsufficientScope => "error=\"insufficient_scope\", ",
        };
        let scopes: Vec<&str> = self.needed.iter().collect();
        // All that are needed, at once (2026-07-28, basic/authorization, scope challenge handling).
        let scope = match scopes.is_empty() {
            true => String::new(),
            false => format!(", scope=\"{}\"", scopes.join(" ")),
        };
        let url = self.metadata_url(path);
        HeaderValue::try_from(format!("Bearer {error}resource_metadata=\"{url}\"{scope}")).ok()
    }

    /// Where the metadata stands of the door that a path belongs to: between host and path (RFC 9728, 3.1).
    fn metadata_url(&self, path: &str) -> String {
        let path = match (&self.prefix, whose(path)) {
            (Some(prefix), door) if is_door(door) => format!("{prefix}{door}"),
            (Some(_) | None, _) => self.uri.get(self.origin.len()..).unwrap_or_default().to_owned(),
        };
        format!("{}{WELL_KNOWN}{}", self.origin, path.trim_end_matches('/'))
    }

    /// The metadata that stands at this path. `None`: none does.
    ///
    /// `scopes_supported` is what each token must be good for, and not what rules of `[access]` ask for besides. It is meant to be
    /// the least that is needed, and clients ask for all of it where no challenge names any (2026-07-28, basic/authorization, Scope
    /// Selection Strategy; security best practices, Scope Minimization): many providers then refuse the whole login of somebody
    /// who may not have one of them. Everybody may read it, and what somebody may not use is nobody's business: for the same
    /// reason no call is answered with the scope that it would take, for that would say that there is such a tool.
    pub fn metadata(&self, path: &str) -> Option<String> {
        let whose = path.strip_prefix(WELL_KNOWN)?;
        let own = self.uri.get(self.origin.len()..).unwrap_or_default();
        let resource = if whose.is_empty() || whose == "/" || whose == own || whose == ALL {
            self.uri.clone()
        } else {
            let prefix = self.prefix.as_deref()?;
            // A proxy may leave out here what it leaves out elsewhere.
            let door = whose.strip_prefix(prefix).filter(|door| is_door(door)).unwrap_or(whose);
            is_door(door).then(|| format!("{}{prefix}{door}", self.origin))?
        };
        let scopes: Vec<String> = self.needed.iter().map(quote).collect();
        let scopes = match scopes.is_empty() {
            true => String::new(),
            false => format!(r#","scopes_supported":[{}]"#, scopes.join(",")),
        };
        let (resource, issuer) = (quote(&resource), quote(&self.issuer));
        Some(format!(
            r#"{{"resource":{resource},"authorization_servers":[{issuer}]{scopes},"bearer_methods_supported":["header"]}}"#
        ))
    }
}

/// Whether metadata is asked for: everybody may have that, or nobody could ever get a token.
pub fn is_metadata(path: &str) -> bool {
    path.strip_prefix(WELL_KNOWN).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The door that a path belongs to. What is posted to a client's stream of 2024-11-05 belongs to where that was opened.
fn whose(path: &str) -> &str {
    if path == "/messages" { "/sse" } else { path }
}

/// Whether it can be the path of a door. It stands in a header, between quotes.
fn is_door(path: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@".contains(&byte))
    };
    let group = path.strip_prefix("/mcp/");
    let server = path.strip_prefix("/servers/").and_then(|rest| rest.strip_suffix(ALL));
    path == ALL || path == "/sse" || group.is_some_and(is_name) || server.is_some_and(is_name)
}

/// The door to everything.
const ALL: &str = "/mcp";
/// RFC 9728, 3.
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(uri: &str, scopes: &[&str]) -> Resource {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Resource::new(&IdentityProvider {
            scopes,
            ..IdentityProvider::new("https://id.example.com/realms/a", uri)
        })
    }

    fn named(resource: &Resource, path: &str) -> Option<String> {
        let metadata = resource.metadata(path)?;
        let rest = metadata.strip_prefix(r#"{"resource":""#)?;
        rest.split_once('"').map(|(uri, _)| uri.to_owned())
    }

    #[test]
    fn metadata_say_who_we_are_and_who_makes_tokens() {
        let with = resource("https://gw.example.com/mcp", &["write", "read"]);
        assert_eq!(
            with.metadata(WELL_KNOWN).unwrap(),
            r#"{"resource":"https://gw.example.com/mcp","authorization_servers":["https://id.example.com/realms/a"],"scopes_supported":["read","write"],"bearer_methods_supported":["header"]}"#
        );
        let without = resource("https://gw.example.com/mcp", &[]);
        assert!(!without.metadata(WELL_KNOWN).unwrap().contains("scopes"));
    }

    #[test]
    fn each_door_has_metadata_where_its_challenge_says() {
        for (uri, prefix) in
            [("https://gw.example.com/mcp", ""), ("https://gw.example.com/a/braid/mcp", "/a/braid")]
        {
            let resource = resource(uri, &[]);
            for door in ["/mcp", "/mcp/dev", "/servers/Brave%20Search/mcp", "/sse"] {
                let challenge = resource.challenge(door, Refusal::NoToken).unwrap();
                let url = format!("https://gw.example.com{WELL_KNOWN}{prefix}{door}");
                assert_eq!(challenge, format!("Bearer resource_metadata=\"{url}\""));
                let named = |path: &str| named(&resource, path);
                let uri = format!("https://gw.example.com{prefix}{door}");
                assert_eq!(named(&format!("{WELL_KNOWN}{prefix}{door}")), Some(uri.clone()));
                assert_eq!(named(&format!("{WELL_KNOWN}{door}")), Some(uri.clone()), "a proxy cuts it");
                assert_eq!(resource.door_at(&uri), Some(door));
            }
            assert_eq!(named(&resource, WELL_KNOWN), Some(uri.to_owned()));
            let messages = resource.challenge("/messages", Refusal::NoToken).unwrap();
            assert!(messages.to_str().unwrap().ends_with("/sse\""));
        }
    }

    #[test]
    fn other_paths_have_no_metadata_and_point_to_ours() {
        let resource = resource("https://gw.example.com/mcp", &[]);
        for path in ["/", "/other", "/mcp/", "/mcp/a/b", "/servers/a", "/mcp/a\"b", "/mcp/ä", "/healthz"] {
            assert_eq!(resource.metadata(&format!("{WELL_KNOWN}{path}")).is_some(), path == "/", "{path}");
            let challenge = resource.challenge(path, Refusal::NoToken).unwrap();
            let all = format!("Bearer resource_metadata=\"https://gw.example.com{WELL_KNOWN}/mcp\"");
            assert_eq!(challenge, all, "{path}");
        }
        for path in ["/mcp", "/.well-known/oauth-protected-resourceful", "/.well-known/openid-configuration"]
        {
            assert_eq!(resource.metadata(path), None);
            assert!(!is_metadata(path));
        }
        assert!(is_metadata(WELL_KNOWN) && is_metadata(&format!("{WELL_KNOWN}/mcp")));
    }

    #[test]
    fn a_resource_that_does_not_end_in_our_path_is_all_there_is() {
        let resource = resource("https://gw.example.com/tools", &[]);
        assert_eq!(
            named(&resource, &format!("{WELL_KNOWN}/tools")).as_deref(),
            Some("https://gw.example.com/tools")
        );
        assert_eq!(
            named(&resource, &format!("{WELL_KNOWN}/mcp")).as_deref(),
            Some("https://gw.example.com/tools")
        );
        assert_eq!(named(&resource, &format!("{WELL_KNOWN}/mcp/dev")), None);
        assert_eq!(resource.door_at("https://gw.example.com/mcp/dev"), None);
        let challenge = resource.challenge("/mcp/dev", Refusal::NoToken).unwrap();
        assert_eq!(
            challenge,
            format!("Bearer resource_metadata=\"https://gw.example.com{WELL_KNOWN}/tools\"")
        );
    }

    #[test]
    fn a_challenge_says_what_is_wrong_and_all_that_is_needed() {
        let resource = resource("https://gw.example.com/mcp", &["write", "read"]);
        let said = |refusal| resource.challenge("/mcp", refusal).unwrap().to_str().unwrap().to_owned();
        let rest =
            format!("resource_metadata=\"https://gw.example.com{WELL_KNOWN}/mcp\", scope=\"read write\"");
        assert_eq!(said(Refusal::NoToken), format!("Bearer {rest}"));
        assert_eq!(said(Refusal::InvalidToken), format!("Bearer error=\"invalid_token\", {rest}"));
        assert_eq!(said(Refusal::InsufficientScope), format!("Bearer error=\"insufficient_scope\", {rest}"));
    }
}
