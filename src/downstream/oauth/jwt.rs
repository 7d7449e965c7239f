//! A JSON Web Token as it is shown: a head, claims, a signature (RFC 7515, 7.1; RFC 8725).
//!
//! Reads and believes nothing: of the head it takes which key is meant and how it was used, and no key. What the token
//! brings itself, by value or by a URL (`jwk`, `jku`, `x5c`, `x5u`), is not looked at. Pure.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::object::Object;
use crate::config::Algorithm;

/// A token whose signature nobody has looked at.
#[derive(Debug)]
pub(super) struct Jwt<'a> {
    pub(super) algorithm: Algorithm,
    /// Which of the keys it means.
    pub(super) kid: Option<String>,
    /// It says of itself that it is an access token (RFC 9068, 2.1).
    pub(super) is_access_token: bool,
    pub(super) claims: Object,
    /// What was signed.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
}

/// Why a token does not count, in words for whoever shows it. Nothing of the token is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flaw(pub(super) &'static str);

/// What a token is.
#[derive(Debug)]
pub(super) enum Read<'a> {
    Jwt(Box<Jwt<'a>>),
    /// No JWT: only its provider knows what it says.
    Opaque,
}

impl<'a> Read<'a> {
    /// `allowed`: by which algorithms a signature may be made.
    pub(super) fn of(token: &'a [u8], allowed: &[Algorithm]) -> Result<Self, Flaw> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Flaw("it is too long"));
        }
        // Nor is anybody asked about it (RFC 6750, 2.1).
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err(Flaw("it holds what no token holds"));
        }
        let parts: Vec<&[u8]> = token.splitn(4, |byte| *byte == b'.').collect();
        let &[head, claims, signature] = parts.as_slice() else { return Ok(Self::Opaque) };
        let decoded = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        // Whoever makes tokens without a form may use points too.
        let Some(text) = decoded(head).filter(|text| text.trim_ascii_start().starts_with(b"{")) else {
            return Ok(Self::Opaque);
        };
        let unreadable = Flaw("it cannot be read");
        let fields = Object::read(&text).ok_or(unreadable)?;
        let signature = decoded(signature).filter(|signature| !signature.is_empty()).ok_or(unreadable)?;
        let claims = decoded(claims).as_deref().and_then(Object::read).ok_or(unreadable)?;
        let signed = token.get(..token.len() - parts[2].len() - 1).ok_or(unreadable)?;
        let name = fields.text("alg").map_err(|_| unreadable)?.ok_or(unreadable)?;
        let algorithm = Algorithm::of(&name).filter(|algorithm| allowed.contains(algorithm));
        let algorithm = algorithm.ok_or(Flaw("it is signed in a way that is not accepted"))?;
        // Whoever does not know what they mean must refuse it (RFC 7515, 4.1.11); we know none.
        if fields.has("crit") || fields.has("b64") || fields.has("zip") || fields.has("enc") {
            return Err(Flaw("it asks for more than is understood here"));
        }
        let kid = fields.text("kid").map_err(|_| unreadable)?;
        if kid.as_ref().is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
            return Err(unreadable);
        }
        let kid = kid.map(std::borrow::Cow::into_owned);
        let kind = fields
            .text("typ")
            .map_err(|_| unreadable)?
            .map_or_else(|| "jwt".to_owned(), |kind| kind.to_ascii_lowercase());
        let is_access_token = match kind.strip_prefix("application/").unwrap_or(&kind) {
            "at+jwt" => true,
            "jwt" => false,
            _ => return Err(Flaw("it is no access token")),
        };
        Ok(Self::Jwt(Box::new(Jwt { algorithm, kid, is_access_token, claims, signed, signature })))
    }
}

/// Half of what the head of a request may be.
pub(super) const TOKEN_BYTES_MAX: usize = 8 * 1024;
const KID_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Algorithm] = Algorithm::ALL;

    fn token(head: &str, claims: &str) -> String {
        let [head, claims, signature] =
            [head.as_bytes(), claims.as_bytes(), b"signed"].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        format!("{head}.{claims}.{signature}")
    }

    fn flaw(token: &str, allowed: &[Algorithm]) -> Option<&'static str> {
        Read::of(token.as_bytes(), allowed).err().map(|flaw| flaw.0)
    }

    #[test]
    fn a_token_is_read_and_its_own_keys_are_not() {
        let head = r#"{"alg":"ES256","kid":"k","typ":"at+JWT","jwk":{"kty":"oct"},"jku":"https://evil.example","x5u":"x","x5c":[]}"#;
        let token = token(head, r#"{"sub":"ana"}"#);
        let Ok(Read::Jwt(jwt)) = Read::of(token.as_bytes(), ALL) else { panic!("it is one") };
        assert_eq!((jwt.algorithm, jwt.kid.as_deref()), (Algorithm::Es256, Some("k")));
        assert!(jwt.is_access_token && jwt.signature == b"signed");
        assert_eq!(jwt.signed, token.rsplit_once('.').unwrap().0.as_bytes());
        assert_eq!(jwt.claims.text("sub"), Ok(Some("ana".into())));
    }

    #[test]
    fn what_is_no_jwt_is_its_providers_affair() {
        for opaque in ["abc", "", "a.b", "a.b.c", "a.b.c.d", "a.b.c.d.e", "e30.e30", "MTIz.e30.c2ln"] {
            assert!(matches!(Read::of(opaque.as_bytes(), ALL), Ok(Read::Opaque)), "{opaque}");
        }
    }

    #[test]
    fn what_looks_like_one_and_is_odd_is_refused() {
        const NONE: Option<&str> = Some("it is signed in a way that is not accepted");
        const UNREAD: Option<&str> = Some("it cannot be read");
        for (head, expected) in [
            (r#"{"alg":"none"}"#, NONE),
            (r#"{"alg":"None"}"#, NONE),
            (r#"{"alg":"HS256"}"#, NONE),
            (r#"{"alg":"es256"}"#, NONE),
            (r#"{"alg":"RS256"}"#, NONE),
            (r#"{"alg":["ES256"]}"#, UNREAD),
            ("{}", UNREAD),
            (r#"{"alg":"ES256","alg":"none"}"#, UNREAD),
            (r#"{"alg":"ES256","kid":7}"#, UNREAD),
            (r#"{"alg":"ES256","crit":["exp"]}"#, Some("it asks for more than is understood here")),
            (r#"{"alg":"ES256","b64":false}"#, Some("it asks for more than is understood here")),
            (r#"{"alg":"ES256","typ":"dpop+jwt"}"#, Some("it is no access token")),
            (r#"{"alg":"ES256","typ":"logout+jwt"}"#, Some("it is no access token")),
            (r#"{"alg":"ES256","typ":1}"#, UNREAD),
        ] {
            assert_eq!(flaw(&token(head, "{}"), &[Algorithm::Es256]), expected, "{head}");
        }
        let long_kid = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(KID_BYTES_MAX + 1));
        assert_eq!(flaw(&token(&long_kid, "{}"), ALL), UNREAD);
        let good = token(r#"{"alg":"ES256"}"#, "{}");
        assert_eq!(flaw(&good, ALL), None);
        let (before, _) = good.rsplit_once('.').unwrap();
        for broken in [format!("{before}."), format!("{before}.===="), format!("{good}="), format!("{good}!")]
        {
            assert_eq!(flaw(&broken, ALL), UNREAD, "{broken}");
        }
        assert_eq!(flaw(&token(r#"{"alg":"ES256"}"#, r#"{"a":1,"a":2}"#), ALL), UNREAD);
        let long = token(r#"{"alg":"ES256"}"#, &format!(r#"{{"a":"{}"}}"#, "x".repeat(TOKEN_BYTES_MAX)));
        assert_eq!(flaw(&long, ALL), Some("it is too long"));
        for odd in [format!("{good}, Bearer {good}"), "a b".to_owned(), "\u{e4}".to_owned()] {
            assert_eq!(flaw(&odd, ALL), Some("it holds what no token holds"), "{odd}");
        }
    }
}
