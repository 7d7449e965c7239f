//! The identity provider whose tokens let clients in, and the judgement of one token.
//!
//! Owns what is known of it, and of tokens that were judged a while ago. A token that is known costs one look into a table;
//! else its claims are held against what is asked of them, and only then is its signature looked at. Nothing of a token is
//! logged or sent anywhere but to the provider itself, and there only if it can be read nowhere else; one is kept by `OwnTokens`
//! alone, where a server is reached with what is made of it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::claims::{LEEWAY_SECONDS, Origin, Rules, Said};
use super::courier::{ANSWER_BYTES_MAX, Courier};
use super::fetched::Fetched;
use super::introspection::{self, Introspection};
use super::jwt::{Flaw, Jwt, Read};
use super::keys::{Keys, Signed};
use super::known::{Known, SIGNED_KEPT, TOLD_KEPT};
use super::metadata::{Metadata, places};
use super::resource::Resource;
use crate::config::{Algorithm, IdentityProvider, KeySource};
use crate::downstream::edge::token::Digest;
use crate::mcp::caller::Scopes;
use crate::mcp::own_token::OwnTokens;

pub use super::courier::Ways;
pub use super::known::Pass;

/// The provider of a run.
pub struct Issuer {
    resource: Resource,
    rules: Rules,
    algorithms: Vec<Algorithm>,
    courier: Courier,
    metadata: Fetched<Metadata>,
    keys: Fetched<Keys>,
    introspection: Option<Introspection>,
    known: Mutex<Known>,
    own_tokens: Arc<OwnTokens>,
    clock: Clock,
}

/// What time it is for those who make tokens.
type Clock = fn() -> SystemTime;

/// Why a token lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It does not count, for this reason.
    Invalid(&'static str),
    /// Nobody can tell at the moment: it may be good. To be asked again after this time.
    Away(Duration),
}

/// Why no provider can be asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IssuerError {
    #[error("`listen.auth` is \"oauth\", and there is no `[listen.oauth]`")]
    NoSettings,
    #[error("`listen.oauth.scopes` cannot be used")]
    Scopes,
    #[error("`listen.oauth.introspection`: `client_id` and `client_secret` cannot be sent")]
    Credentials,
    #[error("`listen.oauth.jwks_file`: `{}` {why}", file.display())]
    KeysFile { file: PathBuf, why: String },
}

impl Issuer {
    /// Fetches nothing yet; but a file of keys is read, so that a mistake in it is seen at the start.
    pub fn new(oauth: &IdentityProvider, ways: Ways) -> Result<Arc<Self>, IssuerError> {
        Self::with_clock(oauth, ways, SystemTime::now)
    }

    /// The same with another clock.
    pub fn with_clock(oauth: &IdentityProvider, ways: Ways, clock: Clock) -> Result<Arc<Self>, IssuerError> {
        // Without them everybody would be let in who is to show some.
        Scopes::of(oauth.scopes.iter().map(String::as_str)).ok_or(IssuerError::Scopes)?;
        let asked = oauth.introspection.as_ref().and_then(|asked| asked.url.as_deref());
        let keys_at = if let KeySource::At(url) = &oauth.keys { Some(url.as_str()) } else { None };
        let courier = Courier::new(ways, [Some(oauth.issuer.as_str()), asked, keys_at].into_iter().flatten());
        let metadata = {
            let (courier, issuer) = (courier.clone(), oauth.issuer.clone());
            let make = move || described(courier.clone(), issuer.clone());
            Fetched::new("what the identity provider says of itself", make)
        };
        if let KeySource::File(file) = &oauth.keys {
            read_keys(file).map_err(|why| IssuerError::KeysFile { file: file.clone(), why })?;
        }
        let keys = {
            let (courier, metadata, source) = (courier.clone(), metadata.clone(), oauth.keys.clone());
            let make = move || keys(courier.clone(), metadata.clone(), source.clone());
            Fetched::new("the keys of the identity provider", make)
        };
        let introspection = match &oauth.introspection {
            Some(settings) => Some(Introspection::new(settings).ok_or(IssuerError::Credentials)?),
            None => None,
        };
        Ok(Arc::new(Self {
            resource: Resource::new(oauth),
            rules: Rules::new(oauth),
            algorithms: oauth.algorithms.clone(),
            courier,
            metadata,
            keys,
            introspection,
            known: Mutex::default(),
            own_tokens: Arc::default(),
            clock,
        }))
    }

    /// Who we are to it.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Where tokens are held that were found good, if a server is reached with what is made of them.
    pub fn own_tokens(&self) -> &Arc<OwnTokens> {
        &self.own_tokens
    }

    /// What a token is good for that was judged a while ago.
    pub fn known(&self, token: &Digest, now: Instant) -> Option<Pass> {
        self.known.lock().get(token, now).cloned()
    }

    /// Whether a token was good a while ago: whoever shows it guesses nothing.
    pub fn was_good(&self, token: &[u8]) -> bool {
        self.known.lock().was_good(&Digest::of(token))
    }

    /// Whether the provider would have to be asked what this token says.
    pub fn is_opaque(&self, token: &[u8]) -> bool {
        matches!(Read::of(token, &self.algorithms), Ok(Read::Opaque))
    }

    /// What a token is good for. Waits for the provider only if its key is not known, or it can be read nowhere else.
    pub async fn judge(&self, token: &[u8], now: impl Fn() -> Instant) -> Result<Pass, Doubt> {
        let judged = self.judged(token, now).await;
        if let Err(Doubt::Invalid(_)) = judged {
            // It may have been good, and was taken back.
            self.known.lock().forget(&Digest::of(token));
            self.own_tokens.withdraw(token);
        }
        judged
    }

    async fn judged(&self, token: &[u8], now: impl Fn() -> Instant) -> Result<Pass, Doubt> {
        let (said, kept) = match Read::of(token, &self.algorithms)? {
            Read::Jwt(jwt) => (self.signed(&jwt).await?, SIGNED_KEPT),
            Read::Opaque => (self.told(token).await?, TOLD_KEPT),
        };
        let now = now();
        let left = (said.until - self.seconds()).max(0.0);
        // One that does not say when it ends holds as long as anything is believed.
        let ends = Duration::try_from_secs_f64(left).ok().and_then(|left| now.checked_add(left));
        let until = ends.map_or(now + kept, |ends| ends.min(now + kept));
        // The leeway is for clocks that differ: it lets somebody in, and is no life of the token's.
        let lives = said.until - LEEWAY_SECONDS - self.seconds();
        let lives = match lives.is_finite() {
            true => now + Duration::from_secs_f64(lives.clamp(0.0, LIFE_MAX.as_secs_f64())),
            false => until,
        };
        let pass = Pass { grant: said.grant, until, ends, lives, doors: said.doors };
        self.known.lock().keep(Digest::of(token), pass.clone(), now);
        Ok(pass)
    }

    /// The claims first: they cost next to nothing, and most of what is made up ends there.
    async fn signed(&self, jwt: &Jwt<'_>) -> Result<Said, Doubt> {
        let origin = Origin::Jwt { is_access_token: jwt.is_access_token };
        let said = self.rules.judge(&jwt.claims, origin, self.seconds())?;
        // Without a key that was ever there nothing can be told, and a token that is refused would be thrown away: whoever
        // shows it is asked to wait. With keys, what they do not know is refused even while the provider is away: else
        // anyone could have us hold requests open by making keys up.
        let away = || Doubt::Away(self.keys.rest().max(RETRY_AFTER_MIN));
        let mut signed = self.keys.now().await.ok_or_else(away)?.signed(jwt);
        if signed == Signed::Unknown {
            signed = self.keys.anew().await.ok_or_else(away)?.signed(jwt);
        }
        match signed {
            Signed::Well => Ok(said),
            Signed::Unknown => Err(Doubt::Invalid("no key of the identity provider has signed it")),
            Signed::Badly => Err(Doubt::Invalid("its signature is wrong")),
        }
    }

    async fn told(&self, token: &[u8]) -> Result<Said, Doubt> {
        let Some(introspection) = &self.introspection else {
            return Err(Doubt::Invalid("it is none of the identity provider's"));
        };
        let away = || Doubt::Away(self.metadata.rest().max(RETRY_AFTER_MIN));
        let url = match &introspection.url {
            Some(url) => url.clone(),
            None => {
                let metadata = self.metadata.now().await.ok_or_else(away)?;
                metadata.introspection_endpoint.clone().ok_or_else(away)?
            }
        };
        let told = introspection.ask(&self.courier, &url, token).await;
        let told = told.map_err(|why| {
            tracing::warn!(
                event = "oauth",
                why,
                "the identity provider does not say what a token is good for"
            );
            Doubt::Away(RETRY_AFTER_MIN)
        })?;
        let claims = introspection::told(&told).map_err(|flaw| match flaw {
            Some(flaw) => flaw.into(),
            None => {
                tracing::warn!(event = "oauth", "what the identity provider says of a token cannot be read");
                Doubt::Away(RETRY_AFTER_MIN)
            }
        })?;
        Ok(self.rules.judge(&claims, Origin::Told, self.seconds())?)
    }

    /// Since 1970.
    fn seconds(&self) -> f64 {
        (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }
}

impl From<Flaw> for Doubt {
    fn from(flaw: Flaw) -> Self {
        Self::Invalid(flaw.0)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("resource", &self.resource).finish_non_exhaustive()
    }
}

/// The provider's metadata, from the first place where there are some.
async fn described(courier: Courier, issuer: String) -> Result<Metadata, String> {
    let mut first_why = None;
    for place in places(&issuer) {
        let read = match courier.get(&place).await {
            Ok(text) => Metadata::read(&text, &issuer),
            Err(why) => Err(why),
        };
        match read {
            Ok(metadata) => return Ok(metadata),
            Err(why) => first_why = first_why.or_else(|| Some(format!("{place}: {why}"))),
        }
    }
    Err(first_why.unwrap_or_else(|| "there is no place for it".to_owned()))
}

async fn keys(courier: Courier, metadata: Fetched<Metadata>, source: KeySource) -> Result<Keys, String> {
    let url = match source {
        KeySource::File(file) => {
            let read = tokio::task::spawn_blocking(move || read_keys(&file)).await;
            return read.unwrap_or_else(|_| Err("the file was not read".to_owned()));
        }
        KeySource::At(url) => url,
        KeySource::Named => {
            let metadata = metadata.now().await.ok_or("it does not say where they are")?;
            metadata.jwks_uri.clone().ok_or("its metadata name no `jwks_uri`")?
        }
    };
    let text = courier.get(&url).await?;
    let keys = Keys::read(&text).ok_or("that is no set of keys")?;
    tracing::debug!(event = "oauth", keys = keys.len(), "keys of the identity provider");
    Ok(keys)
}

fn read_keys(file: &std::path::Path) -> Result<Keys, String> {
    use std::io::Read as _;
    let mut text = Vec::new();
    let opened = std::fs::File::open(file).map_err(|error| format!("cannot be read: {error}"))?;
    let limit = ANSWER_BYTES_MAX as u64;
    opened.take(limit + 1).read_to_end(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > limit {
        return Err(format!("has more than {limit} bytes"));
    }
    Keys::read(&text).filter(|keys| keys.len() > 0).ok_or_else(|| "holds no key that can be used".to_owned())
}

/// A token that says that it lives for longer is taken to live for so long.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Nobody is told to come back sooner.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
