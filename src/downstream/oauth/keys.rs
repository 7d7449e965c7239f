//! The keys of an identity provider, and whether one of them has signed a token (RFC 7517, RFC 7518).
//!
//! A key is used in one way only, that of its kind: so nobody can have the text of a public key taken for a shared secret.
//! Pure; where keys come from is not known here.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::jwt::Jwt;
use super::object::Object;
use crate::config::Algorithm;
use crate::wire::members::{elements, member};

/// The keys that a provider signs with.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Key>);

/// A public key.
#[derive(Debug)]
struct Key {
    kid: Option<String>,
    /// What it alone is for, if it says so.
    algorithm: Option<Algorithm>,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed, as the curve's points are written.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// What keys say of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signed {
    /// One of them has signed it.
    Well,
    /// The key that it means is not among them.
    Unknown,
    /// The key that it means has not signed it.
    Badly,
}

impl Keys {
    /// A JWK Set (RFC 7517, 5). Keys of other kinds and for other ends are passed over, as it says there. `None`: it is none.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let all = elements(member(str::from_utf8(text).ok()?, "keys")?)?;
        let keys = all.into_iter().filter_map(|key| Key::read(&Object::read(key.as_bytes())?));
        Some(Self(keys.take(KEYS_MAX).collect()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one of them has signed it. A token that does not say which one is tried with those that it may be.
    pub(super) fn signed(&self, jwt: &Jwt<'_>) -> Signed {
        let is_meant = |key: &&Key| jwt.kid.is_none() || key.kid == jwt.kid;
        let mut fitting =
            self.0.iter().filter(is_meant).filter(|key| key.fits(jwt.algorithm)).take(TRIED_MAX).peekable();
        if fitting.peek().is_none() {
            return Signed::Unknown;
        }
        let is_good = fitting.any(|key| key.has_signed(jwt));
        if is_good { Signed::Well } else { Signed::Badly }
    }
}

impl Key {
    fn read(jwk: &Object) -> Option<Self> {
        let text = |name: &str| jwk.text(name).ok();
        let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(&*text(name)??).ok();
        // RFC 7517, 4.2 and 4.3: one that is for encryption has signed nothing.
        if text("use")?.is_some_and(|usage| usage != "sig") {
            return None;
        }
        let usages = jwk.texts("key_ops").ok()?;
        if usages.is_some_and(|usages| !usages.iter().any(|usage| usage == "verify")) {
            return None;
        }
        let point = |bytes_of_one: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            let is_whole = x.len() == bytes_of_one && y.len() == bytes_of_one;
            is_whole.then(|| [&[UNCOMPRESSED], &*x, &*y].concat())
        };
        let (kind, curve) = (text("kty")??, text("crv")?);
        let shape = match (&*kind, curve.as_deref()) {
            ("RSA", None) => Shape::Rsa { n: without_zeros(bytes("n")?), e: without_zeros(bytes("e")?) },
            ("EC", Some("P-256")) => Shape::P256(point(32)?),
            ("EC", Some("P-384")) => Shape::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Shape::Ed25519(bytes("x").filter(|x| x.len() == 32)?),
            _ => return None,
        };
        // One that is for an algorithm that we do not know is for none of ours.
        let algorithm = text("alg")?.map(|name| Algorithm::of(&name).ok_or(())).transpose().ok()?;
        let key = Self { kid: text("kid")?.map(std::borrow::Cow::into_owned), algorithm, shape };
        let fits_itself = algorithm.is_none_or(|algorithm| key.is_for(algorithm));
        fits_itself.then_some(key)
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.is_for(algorithm) && self.algorithm.is_none_or(|own| own.is_as(algorithm))
    }

    /// Whether it is of the kind that the algorithm takes.
    fn is_for(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{Ed25519, EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match algorithm {
            Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => matches!(self.shape, Shape::Rsa { .. }),
            Es256 => matches!(self.shape, Shape::P256(_)),
            Es384 => matches!(self.shape, Shape::P384(_)),
            EdDsa | Ed25519 => matches!(self.shape, Shape::Ed25519(_)),
        }
    }

    fn has_signed(&self, jwt: &Jwt<'_>) -> bool {
        use Algorithm::{Ed25519, EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let (signed, signature) = (jwt.signed, jwt.signature.as_slice());
        let verified = match (&self.shape, jwt.algorithm) {
            (Shape::Rsa { n, e }, algorithm) => {
                let parameters = match algorithm {
                    Rs256 => &RSA_PKCS1_2048_8192_SHA256,
                    Rs384 => &RSA_PKCS1_2048_8192_SHA384,
                    Rs512 => &RSA_PKCS1_2048_8192_SHA512,
                    Ps256 => &RSA_PSS_2048_8192_SHA256,
                    Ps384 => &RSA_PSS_2048_8192_SHA384,
                    Ps512 => &RSA_PSS_2048_8192_SHA512,
                    Es256 | Es384 | EdDsa | Ed25519 => return false,
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, signed, signature)
            }
            (Shape::P256(point), Es256) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
            }
            (Shape::P384(point), Es384) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(signed, signature)
            }
            (Shape::Ed25519(x), EdDsa | Ed25519) => {
                UnparsedPublicKey::new(&ED25519, x).verify(signed, signature)
            }
            (Shape::P256(_) | Shape::P384(_) | Shape::Ed25519(_), _) => return false,
        };
        verified.is_ok()
    }
}

/// Some write numbers with zeros before them, which are none of theirs (RFC 7518, 6.3.1).
fn without_zeros(mut number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.drain(..zeros);
    number
}

/// How a point of a curve begins that is written whole (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;
/// Keys that are kept of one provider. Large ones have five.
pub(super) const KEYS_MAX: usize = 64;
/// Keys that a token is tried with which does not say whose it is: each costs a signature's check.
const TRIED_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::jwt::Read;
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

    fn base64(bytes: &[u8]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    fn ec(more: &str) -> (EcdsaKeyPair, String) {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref().to_vec();
        let (x, y) = (base64(&point[1..33]), base64(&point[33..]));
        (pair, format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"{more}}}"#))
    }

    fn set(keys: &[&str]) -> Keys {
        Keys::read(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).unwrap()
    }

    fn signed(pair: &EcdsaKeyPair, head: &str) -> String {
        let text = format!("{}.{}", base64(head.as_bytes()), base64(b"{}"));
        let signature = pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", base64(signature.as_ref()))
    }

    fn says(keys: &Keys, token: &str) -> Signed {
        let Ok(Read::Jwt(jwt)) = Read::of(token.as_bytes(), Algorithm::ALL) else { panic!("{token}") };
        keys.signed(&jwt)
    }

    #[test]
    fn the_key_that_is_meant_must_have_signed() {
        let ((ours, jwk), (others, other)) =
            (ec(r#","kid":"a""#), ec(r#","kid":"b","use":"sig","alg":"ES256""#));
        let keys = set(&[&jwk, &other]);
        assert_eq!(says(&keys, &signed(&ours, r#"{"alg":"ES256","kid":"a"}"#)), Signed::Well);
        assert_eq!(says(&keys, &signed(&ours, r#"{"alg":"ES256","kid":"b"}"#)), Signed::Badly);
        assert_eq!(says(&keys, &signed(&ours, r#"{"alg":"ES256","kid":"c"}"#)), Signed::Unknown);
        assert_eq!(says(&keys, &signed(&others, r#"{"alg":"ES256"}"#)), Signed::Well, "either may be meant");
        assert_eq!(says(&keys, &signed(&ec("").0, r#"{"alg":"ES256"}"#)), Signed::Badly);
        for other in ["RS256", "ES384", "EdDSA", "PS256"] {
            let token = signed(&ours, &format!(r#"{{"alg":"{other}","kid":"a"}}"#));
            assert_eq!(says(&keys, &token), Signed::Unknown, "{other}: no key of its kind");
        }
    }

    #[test]
    fn a_key_of_one_kind_says_nothing_in_the_way_of_another() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let x = base64(pair.public_key().as_ref());
        let keys = set(&[&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"e"}}"#)]);
        let sign = |head: &str| {
            let text = format!("{}.{}", base64(head.as_bytes()), base64(b"{}"));
            format!("{text}.{}", base64(pair.sign(text.as_bytes()).as_ref()))
        };
        assert_eq!(says(&keys, &sign(r#"{"alg":"EdDSA","kid":"e"}"#)), Signed::Well);
        assert_eq!(says(&keys, &sign(r#"{"alg":"Ed25519","kid":"e"}"#)), Signed::Well);
        assert_eq!(says(&keys, &sign(r#"{"alg":"ES256","kid":"e"}"#)), Signed::Unknown);
        assert_eq!(says(&keys, &sign(r#"{"alg":"RS256","kid":"e"}"#)), Signed::Unknown);
    }

    #[test]
    fn keys_for_other_ends_and_of_other_kinds_are_passed_over() {
        let (_, fine) = ec("");
        for other in [
            ec(r#","use":"enc""#).1,
            ec(r#","key_ops":["sign"]"#).1,
            ec(r#","alg":"RS256""#).1,
            ec(r#","alg":"HS256""#).1,
            ec(r#","kid":7"#).1,
            ec(r#","kty":"EC""#).1,
            fine.replace("P-256", "P-384"),
            fine.replace("P-256", "secp256k1"),
            fine.replace("\"EC\"", "\"oct\""),
            fine.replace("\"EC\"", "\"RSA\""),
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#.to_owned(),
            r#"{"kty":"RSA","n":"AQAB"}"#.to_owned(),
            "7".to_owned(),
        ] {
            assert_eq!(set(&[&other, &fine]).len(), 1, "{other}");
        }
        assert_eq!(set(&[&ec(r#","key_ops":["verify"]"#).1]).len(), 1);
        for none in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
            assert!(Keys::read(none.as_bytes()).is_none(), "{none}");
        }
        let many: Vec<&str> = std::iter::repeat_n(fine.as_str(), KEYS_MAX + 1).collect();
        assert_eq!(set(&many).len(), KEYS_MAX);
    }
}
