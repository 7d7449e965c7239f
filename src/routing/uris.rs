//! How one server's resource URIs and URI templates look to a client, and back.
//!
//! Structural: an exposed URI says by itself whose it is, so no list is needed to route one. A prefix is
//! literal text before any `{`, so a template stays one (RFC 6570) and what it expands to leads back.
//! Schemes are compared without case, as RFC 3986 §3.1 says and as clients that normalise URIs need.
//! Nothing else is normalised: own to exposed and back gives the same bytes.

use std::borrow::Cow;
use std::sync::Arc;

use super::names::ServerName;

/// The mapping of one server. Total on both sides: no text is an error. By default it changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UriMap {
    /// `None`: everything stays as it is.
    prefix: Option<Box<str>>,
}

impl UriMap {
    pub fn new(server: &ServerName) -> Self {
        Self { prefix: server.uri_prefix().map(Box::from) }
    }

    /// A server's own URI or template as its clients see it: `demo://x` as `everything+demo://x`.
    ///
    /// `http` and `https` stay, since a client may fetch them itself. `ui` and `skill` keep their scheme,
    /// since clients go by it, and get the prefix as their first segment. A text without a scheme stays.
    pub fn expose<'a>(&self, own: &'a str) -> Cow<'a, str> {
        let (Some(prefix), Some(colon)) = (&self.prefix, scheme_length(own)) else {
            return Cow::Borrowed(own);
        };
        let (scheme, rest) = own.split_at(colon);
        match Rule::of(scheme) {
            Rule::Stays => Cow::Borrowed(own),
            Rule::Scheme => Cow::Owned(format!("{prefix}+{own}")),
            Rule::Segment => {
                let (slashes, path) = rest.split_at(slashes_end(rest));
                Cow::Owned(format!("{scheme}{slashes}{prefix}/{path}"))
            }
        }
    }

    /// The id that a server gave to something which ends elsewhere (`elicitationId`), as its clients see it: two
    /// servers may use the same one. There is no way back, since such an id is never sent to a server.
    pub fn expose_id<'a>(&self, id: &'a str) -> Cow<'a, str> {
        match &self.prefix {
            Some(prefix) => Cow::Owned(format!("{prefix}:{id}")),
            None => Cow::Borrowed(id),
        }
    }

    /// The server's own form of an exposed URI or template. `None`: it does not carry this server's prefix.
    pub fn own<'a>(&self, exposed: &'a str) -> Option<Cow<'a, str>> {
        let prefix = self.prefix.as_deref()?;
        let carried = Carried::of(exposed)?;
        carried.prefix.eq_ignore_ascii_case(prefix).then_some(carried.own)
    }
}

/// The server whose prefix an exposed URI carries, as its index. At most one, since prefixes are distinct.
///
/// It is not asked whether that server knows the URI. A server without a prefix may list a URI that looks
/// like another server's; such a one belongs to the owner of the prefix.
pub fn claimant(servers: &[Arc<ServerName>], exposed: &str) -> Option<usize> {
    let carried = Carried::of(exposed)?;
    servers.iter().position(|server| {
        server.uri_prefix().is_some_and(|prefix| prefix.eq_ignore_ascii_case(carried.prefix))
    })
}

/// The scheme of a URI or a template, as it is written.
pub fn scheme(uri: &str) -> Option<&str> {
    scheme_length(uri).and_then(|length| uri.get(..length))
}

/// Where a scheme's URIs take a prefix.
#[derive(Clone, Copy)]
enum Rule {
    /// Before the scheme.
    Scheme,
    /// As the first segment of what follows the scheme.
    Segment,
    /// Nowhere.
    Stays,
}

impl Rule {
    fn of(scheme: &str) -> Self {
        let is = |name: &&str| scheme.eq_ignore_ascii_case(name);
        if ["http", "https"].iter().any(is) {
            Self::Stays
        } else if ["ui", "skill"].iter().any(is) {
            Self::Segment
        } else {
            Self::Scheme
        }
    }
}

/// A text taken apart at the place where a prefix would be.
struct Carried<'a> {
    /// Whatever stands there; it need not be a prefix that exists.
    prefix: &'a str,
    own: Cow<'a, str>,
}

impl<'a> Carried<'a> {
    fn of(exposed: &'a str) -> Option<Self> {
        let (scheme, rest) = exposed.split_at(scheme_length(exposed)?);
        match Rule::of(scheme) {
            Rule::Stays => None,
            Rule::Scheme => {
                let (prefix, _) = scheme.split_once('+')?;
                let own = exposed.get(prefix.len() + 1..)?;
                Some(Self { prefix, own: Cow::Borrowed(own) })
            }
            Rule::Segment => {
                let (slashes, path) = rest.split_at(slashes_end(rest));
                let (prefix, path) = path.split_once('/')?;
                Some(Self { prefix, own: Cow::Owned(format!("{scheme}{slashes}{path}")) })
            }
        }
    }
}

/// Bytes before the colon that ends the scheme. A template's expressions may stand in a scheme, and what
/// is inside their braces ends nothing.
fn scheme_length(text: &str) -> Option<usize> {
    let mut in_braces = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => in_braces = true,
            b'}' => in_braces = false,
            b':' if !in_braces => return Some(at),
            b'/' | b'?' | b'#' if !in_braces => return None,
            _ => {}
        }
    }
    None
}

/// The end of the colon and the slashes, two at most, that `rest` begins with.
fn slashes_end(rest: &str) -> usize {
    ["://", ":/", ":"].iter().find(|start| rest.starts_with(**start)).map_or(0, |start| start.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{Names, Prefix, Uris};
    use crate::routing::names::NamePlan;

    fn map(prefix: &str) -> UriMap {
        UriMap { prefix: Some(Box::from(prefix)) }
    }

    fn servers(keys: &[&str]) -> Vec<Arc<ServerName>> {
        let keys: Vec<_> = keys.iter().map(|key| (*key, &Prefix::Key, Uris::Prefixed)).collect();
        NamePlan::new(&Names::default(), &keys).servers().to_vec()
    }

    #[test]
    fn each_kind_of_uri_has_its_place_for_the_prefix() {
        let map = map("everything");
        for (own, exposed) in [
            ("demo://x", "everything+demo://x"),
            ("demo://a+b/c", "everything+demo://a+b/c"),
            ("git+ssh://x", "everything+git+ssh://x"),
            ("everything+demo://x", "everything+everything+demo://x"),
            ("file:///a%20b", "everything+file:///a%20b"),
            ("urn:isbn:1", "everything+urn:isbn:1"),
            ("C:\\a", "everything+C:\\a"),
            (":x", "everything+:x"),
            ("ui://widget/a.html", "ui://everything/widget/a.html"),
            ("ui://everything/a", "ui://everything/everything/a"),
            ("ui://", "ui://everything/"),
            ("ui:///x", "ui://everything//x"),
            ("ui:/x", "ui:/everything/x"),
            ("ui:x", "ui:everything/x"),
            ("ui:", "ui:everything/"),
            ("UI://x", "UI://everything/x"),
            ("skill://pdf/SKILL.md", "skill://everything/pdf/SKILL.md"),
            ("ui+x://a", "everything+ui+x://a"),
        ] {
            assert_eq!(map.expose(own), exposed);
            assert_eq!(map.own(exposed).as_deref(), Some(own));
        }
    }

    #[test]
    fn a_template_keeps_its_expressions_and_gets_literal_text_before_them() {
        let map = map("everything");
        for (own, exposed) in [
            ("demo://{id}", "everything+demo://{id}"),
            ("{scheme}://x", "everything+{scheme}://x"),
            ("{+scheme}:x", "everything+{+scheme}:x"),
            ("{a:3}:x", "everything+{a:3}:x"),
            ("ui{x}://y", "everything+ui{x}://y"),
            ("ui://{page}", "ui://everything/{page}"),
            ("ui:{/page}", "ui:everything/{/page}"),
        ] {
            assert_eq!(map.expose(own), exposed);
            assert_eq!(map.own(exposed).as_deref(), Some(own));
        }
    }

    #[test]
    fn what_a_client_may_fetch_itself_and_what_has_no_scheme_stays() {
        let map = map("everything");
        for own in [
            "https://host/x",
            "HTTP://host",
            "http:",
            "",
            "x",
            "a/b:c",
            "?a:b",
            "#a:b",
            "{a:3}",
            "{+path}",
            "everything+x",
            "{a:b",
        ] {
            assert!(matches!(map.expose(own), Cow::Borrowed(same) if same == own), "{own}");
            assert_eq!(map.own(own), None, "{own}");
        }
    }

    #[test]
    fn an_expanded_template_leads_back_even_to_a_web_address() {
        assert_eq!(map("a").own("a+https://host/x").as_deref(), Some("https://host/x"));
    }

    #[test]
    fn a_client_that_changes_the_case_of_a_scheme_is_understood() {
        let map = map("everything");
        assert_eq!(map.own("Everything+Demo://X").as_deref(), Some("Demo://X"));
        assert_eq!(map.own("Ui://EVERYTHING/X").as_deref(), Some("Ui://X"));
        assert_eq!(claimant(&servers(&["Everything", "b"]), "EVERYTHING+demo://x"), Some(0));
    }

    #[test]
    fn without_a_prefix_nothing_is_touched() {
        let map = UriMap { prefix: None };
        assert_eq!(map.expose("demo://x"), "demo://x");
        assert_eq!(map.own("everything+demo://x"), None);
    }

    #[test]
    fn equal_ids_of_two_servers_are_told_apart() {
        assert_eq!(map("a").expose_id("7"), "a:7");
        assert_ne!(map("a").expose_id("7"), map("b").expose_id("7"));
        assert_eq!(UriMap { prefix: None }.expose_id("7"), "7");
    }

    #[test]
    fn the_prefix_alone_says_whose_a_uri_is() {
        let servers = servers(&["a", "a-b", "my_files", "ui", "http"]);
        for (exposed, index) in [
            ("a+x://", Some(0)),
            ("a-b+x://", Some(1)),
            ("a+a-b+x://", Some(0)),
            ("my-files+file:///x", Some(2)),
            ("ui+demo://x", Some(3)),
            ("ui://ui/x", Some(3)),
            ("http+demo://x", Some(4)),
            ("skill://a/b", Some(0)),
            ("http://a/b", None),
            ("ui://c/b", None),
            ("ui://a", None),
            ("c+x://", None),
            ("a+x", None),
            ("", None),
        ] {
            assert_eq!(claimant(&servers, exposed), index, "{exposed}");
        }
    }

    fn own_uri() -> impl Strategy<Value = String> {
        let scheme = prop_oneof![
            3 => "(demo|file|UI|ui|skill|http|HTTPS|urn|a|a-b|a\\+demo|b\\+a\\+x|)",
            1 => "(\\{\\+?s(:3)?\\}|ui\\{x\\}|\\{a:b|x\\})",
            1 => "[a-bA-B+:/?#{}.-]{0,6}",
        ];
        let rest = prop_oneof![
            3 => "(:|://|:/|:///|)(a|a-b|b|A)?(/|)[a-c+:{}%/?#]{0,8}",
            1 => "\\PC{0,16}",
            1 => any::<String>(),
        ];
        (scheme, rest).prop_map(|(scheme, rest)| scheme + &rest)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_text_comes_back_as_it_was(own in own_uri(), which in 0_usize..4) {
            let servers = servers(&["a", "A_b", "demo", "ui"]);
            let map = UriMap::new(&servers[which]);
            let exposed = map.expose(&own);
            match map.own(&exposed) {
                Some(back) => {
                    prop_assert_eq!(back.as_ref(), own.as_str());
                    prop_assert_eq!(claimant(&servers, &exposed), Some(which));
                }
                None => {
                    prop_assert_eq!(exposed.as_ref(), own.as_str());
                    prop_assert_eq!(claimant(&servers, &exposed), None);
                }
            }
        }

        #[test]
        fn no_two_servers_texts_meet_unless_they_stay(one in own_uri(), two in own_uri()) {
            let (a, b) = (map("a"), map("a-b"));
            let (one_exposed, two_exposed) = (a.expose(&one), b.expose(&two));
            if one_exposed == two_exposed {
                prop_assert_eq!(one_exposed.as_ref(), one.as_str());
                prop_assert_eq!(two_exposed.as_ref(), two.as_str());
            }
        }

        #[test]
        fn any_text_from_a_client_is_harmless(exposed in own_uri()) {
            let servers = servers(&["a", "a-b"]);
            let claimed = claimant(&servers, &exposed);
            for (index, server) in servers.iter().enumerate() {
                prop_assert_eq!(UriMap::new(server).own(&exposed).is_some(), claimed == Some(index));
            }
        }
    }
}
