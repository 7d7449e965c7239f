//! Whose tokens let clients in, and what is asked of them: `[listen.oauth]`, resolved.
//!
//! Plain data, and the words in which the file writes it. It fetches nothing and judges no token.

use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Url;

use super::Secret;

/// What is asked of the tokens of an identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    /// The provider, exactly as its tokens name it.
    pub issuer: String,
    /// Our own URI, for which tokens must have been made: that of the door to everything.
    pub resource: String,
    /// What tokens may be made for besides.
    pub audiences: Vec<String>,
    /// What every token must be good for.
    pub scopes: Vec<String>,
    /// By which a signature may be made. Never empty.
    pub algorithms: Vec<Algorithm>,
    pub keys: KeySource,
    /// The claim that names the principal.
    pub principal: String,
    /// How the provider is asked about tokens that are no JWTs. `None`: there are none.
    pub introspection: Option<Introspection>,
    /// What we are called where people say who they are. `None`: we cannot ask them.
    pub client: Option<ProviderClient>,
    /// Whom it is trusted to be who it says, besides those whom the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// What the provider knows us as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderClient {
    pub id: String,
    pub secret: Option<Secret>,
}

/// Where the provider's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Where its metadata say.
    Named,
    At(String),
    /// A JWK Set.
    File(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspection {
    /// `None`: where the provider's metadata say.
    pub url: Option<String>,
    pub client_id: String,
    pub client_secret: Secret,
}

/// How a token may be signed: with a private key always. A secret that we shared with its maker would make us one too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
    /// The same as `EdDsa` with its curve in the name (RFC 9864).
    Ed25519,
}

impl Algorithm {
    pub const ALL: &'static [Self] = &[
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Ed25519,
    ];

    /// What is accepted unless others are named.
    pub const USUAL: &'static [Self] = &[
        Self::Rs256,
        Self::Rs512,
        Self::Ps256,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Ed25519,
    ];

    /// As tokens write it (RFC 7518, 3.1).
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// Case makes a difference.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }

    /// Whether a key for the one is one for the other.
    pub fn is_as(self, other: Self) -> bool {
        let plain = |algorithm| if algorithm == Self::Ed25519 { Self::EdDsa } else { algorithm };
        plain(self) == plain(other)
    }
}

impl IdentityProvider {
    /// The defaults, for a provider and for us.
    pub fn new(issuer: &str, resource: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            resource: resource.to_owned(),
            audiences: Vec::new(),
            scopes: Vec::new(),
            algorithms: Algorithm::USUAL.to_vec(),
            keys: KeySource::Named,
            principal: "sub".to_owned(),
            introspection: None,
            client: None,
            ca_file: None,
        }
    }
}

/// What an issuer, a resource and the places that a provider names must look like. They are compared letter by letter, so
/// they must be written as URLs are that nobody has to read twice.
pub(super) fn judge_url(text: &str) -> Result<(), &'static str> {
    let Ok(url) = Url::parse(text) else { return Err("expected a URL such as \"https://id.example.com\"") };
    if text.len() > URL_BYTES_MAX
        || !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
    {
        return Err("expected a URL of at most 2048 visible ASCII characters");
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("expected a URL without a user and without `#`");
    }
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_here = host.parse().map_or(host == "localhost", |ip: IpAddr| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here => Ok(()),
        _ => Err("expected `https://`: what comes in clear text could be anybody's"),
    }
}

/// The same of one that names somebody, and so has no query (RFC 8414, 2; RFC 8707, 2).
pub(super) fn judge_identifier(text: &str) -> Result<(), &'static str> {
    judge_url(text)?;
    if text.contains('?') { Err("expected a URL without a query") } else { Ok(()) }
}

pub(super) fn judge_algorithm(text: &str) -> Result<(), &'static str> {
    match Algorithm::of(text) {
        Some(_) => Ok(()),
        None if text.starts_with("HS") => Err("a shared secret would let whoever can check tokens make them"),
        None if text.eq_ignore_ascii_case("none") => Err("a token without a signature is anybody's"),
        None => Err("expected RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA or Ed25519"),
    }
}

/// The name of a claim.
pub(super) fn judge_claim(text: &str) -> Result<(), &'static str> {
    if (1..=128).contains(&text.len()) && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err("expected the name of a claim, such as \"sub\" or \"email\"")
    }
}

const URL_BYTES_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h06_no_secret_is_shared_with_who_signs() {
        for name in ["none", "None", "HS256", "HS384", "HS512", "ES256K", "RSA1_5", "rs256", "", "ES512"] {
            assert!(judge_algorithm(name).is_err() && Algorithm::of(name).is_none(), "{name}");
        }
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::of(algorithm.name()), Some(*algorithm));
            assert_eq!(judge_algorithm(algorithm.name()), Ok(()));
        }
        assert!(Algorithm::Ed25519.is_as(Algorithm::EdDsa) && !Algorithm::Rs256.is_as(Algorithm::Ps256));
    }

    #[test]
    fn a_provider_is_reached_over_tls_or_on_this_machine() {
        for fine in [
            "https://id.example.com",
            "https://id.example.com:8443/a/",
            "http://127.0.0.1:9",
            "http://localhost:9/a",
            "http://[::1]:9",
        ] {
            assert_eq!(judge_identifier(fine), Ok(()), "{fine}");
        }
        for bad in [
            "",
            "id.example.com",
            "http://id.example.com",
            "http://localhost.example.com",
            "ftp://x",
            "https://a@x",
            "https://a:b@x",
            "https://x#y",
            "https://x?y",
            "https://x/\"",
            "https://x/ä",
            "https://x y",
            "file:///x",
        ] {
            assert!(judge_identifier(bad).is_err(), "{bad}");
        }
        assert_eq!(judge_url("https://x/keys?p=1"), Ok(()));
        assert!(judge_url(&format!("https://x/{}", "a".repeat(URL_BYTES_MAX))).is_err());
    }
}
