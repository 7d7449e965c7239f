//! What the claims of a token must say (RFC 9068, 4; RFC 8725), and whose rights they are.
//!
//! Those of a JWT whose signature is good, and those that a provider tells of a token that is none: both are held against
//! the same rules. Pure; its caller says what time it is.

use super::jwt::Flaw;
use super::object::{Object, Odd};
use super::resource::{Doors, Resource};
use crate::config::IdentityProvider;
use crate::mcp::caller::{Grant, Principal, Scopes};

/// What is asked of all tokens.
#[derive(Debug)]
pub(super) struct Rules {
    issuer: String,
    resource: Resource,
    /// Who else we are to the provider.
    audiences: Vec<String>,
    /// The claim that says whose rights they are.
    principal: String,
}

/// What a token says that counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) grant: Grant,
    /// Seconds since 1970, the leeway included.
    pub(super) until: f64,
    /// Where it may be used.
    pub(super) doors: Doors,
}

/// Where claims come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A JWT. `is_access_token`: its head says that it is one.
    Jwt { is_access_token: bool },
    /// The provider was asked; it need not say again who it is and how long its word holds.
    Told,
}

impl From<Odd> for Flaw {
    fn from(_: Odd) -> Self {
        Self("what it says cannot be read")
    }
}

impl Rules {
    pub(super) fn new(oauth: &IdentityProvider) -> Self {
        Self {
            issuer: oauth.issuer.clone(),
            resource: Resource::new(oauth),
            audiences: oauth.audiences.clone(),
            principal: oauth.principal.clone(),
        }
    }

    /// `now`: seconds since 1970.
    pub(super) fn judge(&self, claims: &Object, origin: Origin, now: f64) -> Result<Said, Flaw> {
        let is_jwt = matches!(origin, Origin::Jwt { .. });
        match claims.text("iss")? {
            Some(issuer) if issuer == self.issuer => {}
            None if !is_jwt => {}
            Some(_) | None => return Err(Flaw("it was made by somebody else")),
        }
        if let Origin::Jwt { is_access_token } = origin {
            is_for_access(claims, is_access_token)?;
        }
        let doors = self.doors(claims)?;
        let until = match claims.seconds("exp")? {
            Some(until) => until + LEEWAY_SECONDS,
            None if !is_jwt => f64::INFINITY,
            None => return Err(Flaw("it does not say how long it holds")),
        };
        if now >= until {
            return Err(Flaw("it has expired"));
        }
        let is_later =
            |name| Ok::<_, Odd>(claims.seconds(name)?.is_some_and(|from| from > now + LEEWAY_SECONDS));
        if is_later("nbf")? || is_later("iat")? {
            return Err(Flaw("it does not hold yet"));
        }
        let scopes = scopes(claims)?;
        let principal = claims.text(&self.principal)?.filter(|name| is_name(name));
        let principal = principal.ok_or(Flaw("it does not say whose it is"))?;
        // Or whoever may write an address into his account is whom he likes (OpenID Connect Core 1.0, 5.1).
        if self.principal == "email" && claims.raw("email_verified") != Some("true") {
            return Err(Flaw("it does not say that its address was verified"));
        }
        Ok(Said { grant: Grant::of(Principal::oauth(&principal), scopes), until, doors })
    }

    /// It must have been made for us (2026-07-28, basic/authorization/security-considerations, token audience binding).
    fn doors(&self, claims: &Object) -> Result<Doors, Flaw> {
        let audiences = claims.texts("aud")?.unwrap_or_default();
        let is_ours = |audience: &str| {
            self.resource.uri() == audience || self.audiences.iter().any(|other| other == audience)
        };
        if audiences.iter().any(|audience| is_ours(audience)) {
            return Ok(Doors::All);
        }
        let doors: Vec<&str> =
            audiences.iter().filter_map(|audience| self.resource.door_at(audience)).collect();
        if doors.is_empty() {
            return Err(Flaw("it was made for somebody else"));
        }
        Ok(Doors::these(doors))
    }
}

/// A token that tells an application who has logged in, or that renews others, lets nobody in: those who have them hand
/// them around otherwise. Not all providers mark what theirs are, so this goes by what only the others hold.
fn is_for_access(claims: &Object, is_access_token: bool) -> Result<(), Flaw> {
    let is = |name: &str, words: &[&str]| {
        let kind = claims.text(name)?;
        Ok::<_, Odd>(kind.map(|kind| words.iter().any(|word| kind.eq_ignore_ascii_case(word))))
    };
    // Keycloak says here what each token is, and AWS Cognito there.
    let (kind, usage) = (is("typ", &["Bearer", "JWT", "at+jwt"])?, is("token_use", &["access"])?);
    let says_other = kind == Some(false) || usage == Some(false);
    // OpenID Connect Core 1.0, 2 and 3.3.2.11; Back-Channel Logout 1.0, 2.4.
    let of_a_login = ["at_hash", "c_hash", "s_hash", "events"].iter().any(|name| claims.has(name));
    // Some put it into access tokens as well, and say that they are some.
    let of_a_request = claims.has("nonce") && kind != Some(true);
    if says_other || (!is_access_token && (of_a_login || of_a_request)) {
        return Err(Flaw("it is no access token"));
    }
    Ok(())
}

/// RFC 8693, 4.2: a list with blanks. Microsoft and Okta write `scp`, some of them a true list.
fn scopes(claims: &Object) -> Result<Scopes, Flaw> {
    let claim = if claims.has("scope") { "scope" } else { "scp" };
    let texts = claims.texts(claim)?.unwrap_or_default();
    let names = texts.iter().flat_map(|text| text.split(' ')).filter(|name| !name.is_empty());
    Scopes::of(names).ok_or(Flaw("its scopes cannot be read"))
}

/// It stands in the audit, and is looked up in tables.
fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// How far clocks may be apart.
pub(super) const LEEWAY_SECONDS: f64 = 30.0;
/// Longest name of a principal. OpenID Connect allows a `sub` of 255 (Core 1.0, 2).
const NAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: f64 = 1_000_000.0;
    const JWT: Origin = Origin::Jwt { is_access_token: false };

    fn rules() -> Rules {
        let oauth = IdentityProvider::new("https://id.example.com", "https://gw.example.com/mcp");
        Rules::new(&IdentityProvider { audiences: vec!["api://braid".to_owned()], ..oauth })
    }

    /// Of a good token, with these members more, or without them where they are empty.
    fn judged(origin: Origin, change: &[(&str, &str)]) -> Result<Said, &'static str> {
        let mut members = vec![
            ("iss", r#""https://id.example.com""#),
            ("aud", r#""https://gw.example.com/mcp""#),
            ("exp", "1000060"),
            ("sub", r#""ana""#),
        ];
        for (name, value) in change {
            members.retain(|(known, _)| known != name);
            members.push((name, value));
        }
        members.retain(|(_, value)| !value.is_empty());
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let object = Object::read(format!("{{{}}}", members.join(",")).as_bytes()).unwrap();
        rules().judge(&object, origin, NOW).map_err(|flaw| flaw.0)
    }

    #[test]
    fn a_good_token_says_whose_it_is_and_what_for() {
        let said = judged(JWT, &[("scope", r#""read write""#)]).unwrap();
        assert_eq!(said.grant.principal, Principal::oauth("ana"));
        assert_eq!(said.grant.scopes, Scopes::of(["read", "write"]).unwrap());
        assert_eq!((said.until, said.doors), (1_000_060.0 + LEEWAY_SECONDS, Doors::All));
        for scp in [r#""read write""#, r#"["read","write"]"#] {
            assert_eq!(judged(JWT, &[("scp", scp)]).unwrap().grant.scopes, said.grant.scopes);
        }
    }

    #[test]
    fn h06_a_token_of_another_or_for_another_is_none() {
        for (name, value) in [
            ("iss", ""),
            ("iss", r#""https://id.example.com/""#),
            ("iss", r#""https://ID.example.com""#),
            ("iss", r#""https://evil.example""#),
        ] {
            assert_eq!(judged(JWT, &[(name, value)]), Err("it was made by somebody else"), "{value}");
        }
        for aud in [
            "",
            "[]",
            r#""https://gw.example.com""#,
            r#""https://gw.example.com/mcp/""#,
            r#""https://gw.example.com/mcp?x""#,
            r#""https://gw.example.com/other""#,
            r#""https://gw.example.com/mcp/a/b""#,
            r#""http://gw.example.com/mcp""#,
            r#"["https://evil.example","account"]"#,
        ] {
            assert_eq!(judged(JWT, &[("aud", aud)]), Err("it was made for somebody else"), "{aud}");
        }
        for odd in
            ["7", "null", r#"["https://gw.example.com/mcp",7]"#, r#"{"a":"https://gw.example.com/mcp"}"#]
        {
            assert_eq!(judged(JWT, &[("aud", odd)]), Err("what it says cannot be read"), "{odd}");
        }
        for aud in [r#""api://braid""#, r#"["account","https://gw.example.com/mcp"]"#] {
            assert_eq!(judged(JWT, &[("aud", aud)]).unwrap().doors, Doors::All, "{aud}");
        }
        let one = judged(JWT, &[("aud", r#""https://gw.example.com/mcp/dev""#)]).unwrap().doors;
        assert!(one.open("/mcp/dev") && !one.open("/mcp") && !one.open("/mcp/other"));
    }

    #[test]
    fn h06_a_token_holds_in_its_time_and_a_little_beside_it() {
        let at = |name: &str, seconds: f64| judged(JWT, &[(name, &seconds.to_string())]).map(drop);
        assert_eq!(at("exp", NOW - LEEWAY_SECONDS + 1.0), Ok(()));
        assert_eq!(at("exp", NOW - LEEWAY_SECONDS), Err("it has expired"));
        for name in ["nbf", "iat"] {
            assert_eq!(at(name, NOW + LEEWAY_SECONDS), Ok(()));
            assert_eq!(at(name, NOW + LEEWAY_SECONDS + 1.0), Err("it does not hold yet"));
        }
        assert_eq!(judged(JWT, &[("exp", "")]), Err("it does not say how long it holds"));
        for odd in [r#""1000060""#, "-1", "1e99", "null", "true"] {
            assert_eq!(judged(JWT, &[("exp", odd)]), Err("what it says cannot be read"), "{odd}");
        }
    }

    #[test]
    fn h06_tokens_for_other_ends_are_none() {
        const OTHER: Result<(), &str> = Err("it is no access token");
        let is = |origin, change: &[(&str, &str)]| judged(origin, change).map(drop);
        for (name, value) in [
            ("at_hash", r#""x""#),
            ("c_hash", r#""x""#),
            ("nonce", r#""x""#),
            ("events", "{}"),
            ("typ", r#""ID""#),
            ("typ", r#""Refresh""#),
            ("token_use", r#""id""#),
        ] {
            assert_eq!(is(JWT, &[(name, value)]), OTHER, "{name}");
        }
        assert_eq!(is(JWT, &[("nonce", r#""x""#), ("typ", r#""Bearer""#)]), Ok(()));
        assert_eq!(is(Origin::Jwt { is_access_token: true }, &[("nonce", r#""x""#)]), Ok(()));
        assert_eq!(is(Origin::Jwt { is_access_token: true }, &[("typ", r#""ID""#)]), OTHER);
        assert_eq!(is(JWT, &[("token_use", r#""access""#)]), Ok(()));
    }

    #[test]
    fn a_token_that_does_not_say_whose_it_is_is_none() {
        let long = format!("\"{}\"", "x".repeat(NAME_BYTES_MAX + 1));
        for sub in ["", r#""""#, r#""a\nb""#, &long] {
            assert_eq!(judged(JWT, &[("sub", sub)]), Err("it does not say whose it is"), "{sub}");
        }
        assert_eq!(judged(JWT, &[("sub", "7")]), Err("what it says cannot be read"));
        let scope = r#""a\"b""#;
        assert_eq!(judged(JWT, &[("scope", scope)]), Err("its scopes cannot be read"));
    }

    #[test]
    fn an_address_that_nobody_verified_names_nobody() {
        let oauth = IdentityProvider::new("https://id.example.com", "https://gw.example.com/mcp");
        let rules = Rules::new(&IdentityProvider { principal: "email".to_owned(), ..oauth });
        let judged = |more: &str| {
            let text = format!(
                r#"{{"iss":"https://id.example.com","aud":"https://gw.example.com/mcp","exp":1000060,"sub":"7","email":"ana@x.example"{more}}}"#
            );
            rules.judge(&Object::read(text.as_bytes()).unwrap(), JWT, NOW).map(|said| said.grant.principal)
        };
        assert_eq!(judged(r#","email_verified":true"#), Ok(Principal::oauth("ana@x.example")));
        let flaw = Err(Flaw("it does not say that its address was verified"));
        assert_eq!(judged(""), flaw);
        for not in ["false", "null", "0", r#""true""#] {
            assert_eq!(judged(&format!(r#","email_verified":{not}"#)), flaw, "{not}");
        }
    }

    #[test]
    fn a_provider_that_is_asked_need_not_say_who_it_is() {
        let said = judged(Origin::Told, &[("iss", ""), ("exp", "")]).unwrap();
        assert_eq!(said.until, f64::INFINITY);
        assert!(judged(Origin::Told, &[("iss", r#""https://evil.example""#)]).is_err());
        assert!(judged(Origin::Told, &[("aud", "")]).is_err(), "for whom it is it must say");
    }
}
