//! Where metadata is looked for: the well-known places, in the order in which they are tried.
//!
//! Pure (RFC 9728, 3.1; RFC 8414, 3.1; 2026-07-28, basic/authorization/authorization-server-discovery).

use reqwest::Url;

/// Where a server's own metadata may be, where it did not say: under its path, then at the root.
pub(super) fn of_resource(server: &Url) -> Vec<Url> {
    let path = path_of(server);
    let mut places = vec![at(server, &format!("{RESOURCE}{path}"))];
    if !path.is_empty() {
        places.push(at(server, RESOURCE));
    }
    places
}

/// Where an issuer's metadata may be.
pub fn of_issuer(issuer: &Url) -> Vec<Url> {
    let path = path_of(issuer);
    match path.as_str() {
        "" => vec![at(issuer, AUTHORIZATION_SERVER), at(issuer, OPENID)],
        path => vec![
            at(issuer, &format!("{AUTHORIZATION_SERVER}{path}")),
            at(issuer, &format!("{OPENID}{path}")),
            at(issuer, &format!("{path}{OPENID}")),
        ],
    }
}

/// The path, without the slash at its end.
fn path_of(url: &Url) -> String {
    url.path().trim_end_matches('/').to_owned()
}

fn at(url: &Url, path: &str) -> Url {
    let mut place = url.clone();
    place.set_query(None);
    place.set_fragment(None);
    place.set_path(path);
    place
}

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(places: &[Url]) -> Vec<&str> {
        places.iter().map(Url::as_str).collect()
    }

    #[test]
    fn a_server_is_looked_for_under_its_path_and_at_the_root() {
        let of = |url: &str| of_resource(&Url::parse(url).unwrap());
        let root = "https://x:1/.well-known/oauth-protected-resource";
        assert_eq!(texts(&of("https://x:1/a/mcp?b=c")), [&format!("{root}/a/mcp"), root]);
        assert_eq!(texts(&of("https://x:1/mcp/")), [&format!("{root}/mcp"), root]);
        assert_eq!(texts(&of("https://x:1")), [root]);
    }

    #[test]
    fn an_issuer_is_looked_for_in_the_order_of_the_specification() {
        let of = |url: &str| of_issuer(&Url::parse(url).unwrap());
        assert_eq!(
            texts(&of("https://x/")),
            [
                "https://x/.well-known/oauth-authorization-server",
                "https://x/.well-known/openid-configuration"
            ]
        );
        assert_eq!(
            texts(&of("https://x/t/1")),
            [
                "https://x/.well-known/oauth-authorization-server/t/1",
                "https://x/.well-known/openid-configuration/t/1",
                "https://x/t/1/.well-known/openid-configuration",
            ]
        );
    }
}
