//! The token of one server, as its requests wear it: taken from the store, renewed before its end, once for all who wait.
//!
//! Owns that a token is renewed by one at a time, in this program and among all of the user's; that what was refused is not
//! shown again; and what is kept of what a server asked for. It never asks a person.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Url;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use super::challenge::Challenge;
use super::discovery::{self, canonical};
use super::grant::{GrantError, TokenEndpoint, now};
use super::of_late::OfLate;
use super::registration::{self, By};
use super::store::{EVERYBODY, Kept, Login, Store, StoreError, union};
use super::web::Web;
use crate::config::{Grant, OAuth, Secret, toml_key};

/// Keeps the token of one server for one principal.
pub struct Keeper {
    /// Its key, for people.
    server: String,
    url: Url,
    principal: String,
    oauth: OAuth,
    ca_file: Option<PathBuf>,
    store: Option<Store>,
    web: OnceCell<Web>,
    held: Mutex<Held>,
    of_late: OfLate,
    /// One at a time looks or renews.
    turn: Semaphore,
}

/// A token to be shown. Its `Debug` does not.
#[derive(Clone)]
pub struct Bearer(Arc<Shown>);

struct Shown {
    login: Login,
    /// The server has answered something else than that it wants another.
    is_accepted: AtomicBool,
}

enum Held {
    /// Nobody has looked yet.
    Unknown,
    /// There is no login.
    Nothing,
    Login {
        bearer: Bearer,
        renewed_at: Option<Instant>,
    },
}

/// What can be done about a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// There is another token by now.
    Another,
    /// A person must log in; the sentence says how.
    Login(String),
    /// It may be otherwise in a while.
    Failed(String),
}

impl Remedy {
    /// For a person; it goes on after the server's name.
    pub fn sentence(self) -> String {
        match self {
            Self::Login(why) | Self::Failed(why) => why,
            Self::Another => "refuses what it is shown".to_owned(),
        }
    }
}

impl Bearer {
    /// What goes behind `Bearer `.
    pub fn token(&self) -> Secret {
        self.0.login.token()
    }

    pub(super) fn of(login: Login) -> Self {
        Self(Arc::new(Shown { login, is_accepted: AtomicBool::new(false) }))
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.0.login.is_fresh()
    }

    /// Whether it has not ended yet, be its end near.
    pub(super) fn holds(&self) -> bool {
        self.0.login.expires_at().is_none_or(|at| now() < at)
    }

    pub(super) fn scopes(&self) -> &[String] {
        self.0.login.scopes()
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.0.is_accepted.load(Ordering::Relaxed)
    }

    /// The server has taken it.
    pub fn accepted(&self) {
        self.0.is_accepted.store(true, Ordering::Relaxed);
    }

    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.login.access_token == other.0.login.access_token
    }
}

impl Keeper {
    /// For a server at a URL that was judged. `store`: where logins are, if the user has such a place.
    pub fn new(
        server: &str,
        url: &Url,
        principal: &str,
        oauth: OAuth,
        (ca_file, store): (Option<PathBuf>, Option<Store>),
    ) -> Self {
        Self {
            server: server.to_owned(),
            url: url.clone(),
            principal: principal.to_owned(),
            oauth,
            ca_file,
            store,
            web: OnceCell::new(),
            held: Mutex::new(Held::Unknown),
            of_late: OfLate::default(),
            turn: Semaphore::new(1),
        }
    }

    /// The same, over this web.
    #[must_use]
    pub fn over(self, web: Web) -> Self {
        Self { web: OnceCell::new_with(Some(web)), ..self }
    }

    /// The token to be shown, if it is at hand: nothing has to be waited for then.
    pub fn at_hand(&self) -> Option<Option<Bearer>> {
        match &*self.held.lock() {
            Held::Unknown => None,
            Held::Nothing => Some(None),
            Held::Login { bearer, .. } => bearer.is_fresh().then(|| Some(bearer.clone())),
        }
    }

    /// The token to be shown, renewed if its end is near. `None`: there is no login. The error goes on after the server's name.
    pub async fn bearer(&self) -> Result<Option<Bearer>, Remedy> {
        if let Some(known) = self.at_hand() {
            return Ok(known);
        }
        let _turn = self.turn.acquire().await;
        if let Some(known) = self.at_hand() {
            return Ok(known);
        }
        let kept = self.read().await.map_err(Remedy::Failed)?;
        let (login, is_new) = self.settled(kept).await?;
        Ok(self.hold(login, is_new))
    }

    /// What the server may have been shown, and nobody else may read.
    pub fn secrets(&self) -> Vec<Secret> {
        self.of_late.secrets()
    }

    /// What was known is looked up again: somebody may have logged in since.
    pub fn forget(&self) {
        *self.held.lock() = Held::Unknown;
    }

    /// The server has refused what was shown, `None` if nothing was.
    pub async fn refused(&self, shown: Option<&Bearer>) -> Remedy {
        let _turn = self.turn.acquire().await;
        let (held, renewed_at) = match &*self.held.lock() {
            Held::Unknown | Held::Nothing => (None, None),
            Held::Login { bearer, renewed_at } => (Some(bearer.clone()), *renewed_at),
        };
        if let Some(held) = &held
            && shown.is_none_or(|shown| !shown.is_same(held))
        {
            return Remedy::Another;
        }
        let kept = match self.read().await {
            Ok(kept) => kept,
            Err(why) => return Remedy::Failed(why),
        };
        if let Some(kept) = &kept
            && shown.is_none_or(|shown| shown.0.login.access_token != kept.access_token)
            && kept.is_fresh()
        {
            self.hold(Some(kept.clone()), false);
            return Remedy::Another;
        }
        // What was made a moment ago and is refused all the same would be refused again.
        let is_new = held.as_ref().is_some_and(|held| !held.is_accepted());
        if is_new && renewed_at.is_some_and(|at| at.elapsed() < BETWEEN_RENEWALS) {
            return Remedy::Login(self.must_log_in("refuses the token that was made for it"));
        }
        match self.renewed(kept, shown).await {
            Ok(Some(login)) => {
                self.hold(Some(login), true);
                Remedy::Another
            }
            Ok(None) => Remedy::Login(self.must_log_in("wants a login")),
            Err(remedy) => remedy,
        }
    }

    /// The server wants more rights than the token has. They are asked for at the next login; a machine's own token is
    /// made anew with them at once.
    pub async fn lacks(&self, shown: Option<&Bearer>, challenge: &Challenge) -> Remedy {
        let _turn = self.turn.acquire().await;
        let wanted = challenge.scopes.clone();
        if self.oauth.grant == Grant::Client {
            let had = shown.map(|shown| shown.0.login.scopes.clone()).unwrap_or_default();
            let is_new = wanted.iter().any(|scope| !had.contains(scope));
            if !is_new {
                return Remedy::Failed("wants rights that its issuer does not give us".to_owned());
            }
            let all = union(&had, &wanted);
            return match self.of_ourselves(&all).await {
                Ok(login) => {
                    self.hold(Some(login), true);
                    Remedy::Another
                }
                Err(error) => Remedy::Failed(error.to_string()),
            };
        }
        let (server, principal) = (canonical(&self.url), self.principal.clone());
        let rights = wanted.join(" ");
        let noted = self.stored(move |store| {
            // As a rule the call before has noted it, and the file is as it should be.
            let is_news = |login: &Login| union(&login.wanted, &wanted) != login.wanted;
            if !store.read()?.login(&server, &principal).is_some_and(is_news) {
                return Ok(());
            }
            store.change(|kept| {
                if let Some(login) = kept.login_mut(&server, &principal) {
                    login.wanted = union(&login.wanted, &wanted);
                }
            })
        });
        if let Err(why) = noted.await {
            return Remedy::Failed(why);
        }
        let what = match rights.as_str() {
            "" => "wants more rights than its login has".to_owned(),
            rights => format!("wants rights that its login does not have ({rights})"),
        };
        Remedy::Login(self.must_log_in(&what))
    }

    /// The sentence for a person.
    fn must_log_in(&self, why: &str) -> String {
        match self.oauth.grant {
            Grant::Code if self.principal != EVERYBODY => {
                let (server, whose) = (shell_word(&self.server), shell_word(&self.principal));
                format!("{why}; `braid login {server} --as {whose}` gives it one")
            }
            Grant::Code => format!("{why}; run `braid login {}`", shell_word(&self.server)),
            Grant::Client | Grant::Exchange => {
                format!("{why}; look at servers.{}.oauth", toml_key(&self.server))
            }
        }
    }

    /// `is_new`: it was made a moment ago.
    fn hold(&self, login: Option<Login>, is_new: bool) -> Option<Bearer> {
        let bearer = login.map(Bearer::of);
        let renewed_at = is_new.then(Instant::now);
        if let Some(bearer) = &bearer {
            self.of_late.add(bearer);
        }
        *self.held.lock() = match &bearer {
            Some(bearer) => Held::Login { bearer: bearer.clone(), renewed_at },
            None => Held::Nothing,
        };
        bearer
    }

    /// What is kept, as it can be shown: renewed if its end is near.
    async fn settled(&self, kept: Option<Login>) -> Result<(Option<Login>, bool), Remedy> {
        match kept {
            Some(login) if login.is_fresh() => Ok((Some(login), false)),
            kept => self.renewed(kept, None).await.map(|login| (login, true)),
        }
    }

    /// Another token than `refused`: whoever else renews it meanwhile is waited for, and what he got is taken.
    async fn renewed(&self, kept: Option<Login>, refused: Option<&Bearer>) -> Result<Option<Login>, Remedy> {
        if self.oauth.grant == Grant::Client {
            let scopes =
                refused.map_or_else(|| self.oauth.scopes.clone(), |refused| refused.0.login.scopes.clone());
            let made = self.of_ourselves(&scopes).await;
            return made.map(Some).map_err(|error| Remedy::Failed(error.to_string()));
        }
        let Some(_) = kept else { return Ok(None) };
        let (server, principal) = (canonical(&self.url), self.principal.clone());
        let waits = self.stored(move |store| store.renewing(&server, &principal));
        let _lock = waits.await.map_err(Remedy::Failed)?;
        let Some(login) = self.read().await.map_err(Remedy::Failed)? else { return Ok(None) };
        if login.is_fresh()
            && refused.is_none_or(|refused| refused.0.login.access_token != login.access_token)
        {
            return Ok(Some(login));
        }
        let Some(refresh) = login.refresh_token.as_deref().map(Secret::new) else {
            return Err(Remedy::Login(self.must_log_in("has ended its login")));
        };
        let web = self.web().await.map_err(Remedy::Failed)?;
        let endpoint = TokenEndpoint {
            web,
            url: &login.token_endpoint,
            registration: &login.registration,
            shows: login.shows,
            resource: &login.resource,
        };
        let renewed = match endpoint.of_refresh(&refresh).await {
            Ok(tokens) => login.clone().renewed(tokens),
            Err(GrantError::Refused(why)) => {
                tracing::warn!(server = self.server, why, "its login cannot be renewed");
                let dead = Login { refresh_token: None, access_token: String::new(), ..login.clone() };
                if let Some(other) = self.keep(dead, login).await.map_err(Remedy::Failed)?
                    && other.is_fresh()
                {
                    return Ok(Some(other));
                }
                return Err(Remedy::Login(self.must_log_in("has ended its login")));
            }
            // It is good for a moment yet.
            Err(GrantError::Failed(_))
                if refused.is_none() && login.expires_at.is_some_and(|at| now() < at) =>
            {
                return Ok(Some(login));
            }
            Err(GrantError::Failed(why)) => {
                return Err(Remedy::Failed(format!("its login could not be renewed: {why}")));
            }
        };
        if let Some(other) = self.keep(renewed.clone(), login).await.map_err(Remedy::Failed)?
            && other.is_fresh()
        {
            return Ok(Some(other));
        }
        tracing::info!(server = self.server, "its login is renewed");
        Ok(Some(renewed))
    }

    /// A machine's own token: nobody logs in, and nothing is kept.
    async fn of_ourselves(&self, scopes: &[String]) -> Result<Login, GrantError> {
        let failed = |error: super::web::WebError| GrantError::Failed(error.to_string());
        let web = self.web().await.map_err(GrantError::Failed)?;
        let (_, challenge) = super::attempt::probe(web, &self.url).await.map_err(failed)?;
        let found = discovery::find(web, &self.url, challenge.as_ref(), self.oauth.issuer.as_deref()).await;
        let found = found.map_err(failed)?;
        let named = challenge.map(|challenge| challenge.scopes).unwrap_or_default();
        let scopes = if scopes.is_empty() { named } else { scopes.to_vec() };
        let registration =
            registration::of(web, &found, &self.oauth, &[], By::Ourselves).await.map_err(failed)?;
        let url = found.server.token_endpoint.clone();
        let url = url.ok_or_else(|| GrantError::Failed("its issuer names no token endpoint".to_owned()))?;
        let shows = found.server.shows(None, registration.client_secret.is_some());
        let resource = &found.resource;
        let endpoint = TokenEndpoint { web, url: &url, registration: &registration, shows, resource };
        let tokens = endpoint.of_ourselves(&scopes).await?;
        let of = (canonical(&self.url), self.principal.clone());
        let bare = Login::bare(of, &found, registration.clone(), (url.clone(), shows), scopes);
        Ok(bare.renewed(tokens))
    }

    /// Keeps what came of `before`. What it returns stands there instead: somebody has logged in anew meanwhile.
    async fn keep(&self, login: Login, before: Login) -> Result<Option<Login>, String> {
        self.stored(move |store| {
            store.change(|kept| match kept.login_mut(&login.server.clone(), &login.principal.clone()) {
                // Somebody who logged out meanwhile has logged out.
                None => None,
                Some(place) if !place.is_same(&before) => Some(place.clone()),
                Some(place) => {
                    *place = Login { wanted: std::mem::take(&mut place.wanted), ..login };
                    None
                }
            })
        })
        .await
    }

    async fn read(&self) -> Result<Option<Login>, String> {
        if self.store.is_none() {
            return Ok(None);
        }
        let (server, principal) = (canonical(&self.url), self.principal.clone());
        self.stored(move |store| store.read().map(|kept: Kept| kept.login(&server, &principal).cloned()))
            .await
    }

    /// Does what blocks where it harms nobody.
    async fn stored<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, String> {
        let store = self.store.as_ref().ok_or_else(|| StoreError::NoFolder.to_string())?;
        store.apart(work).await.map_err(|error| format!("its login cannot be read: {error}"))
    }

    async fn web(&self) -> Result<&Web, String> {
        let make = || Web::begin(&self.url, self.oauth.issuer.as_deref(), self.ca_file.as_deref());
        let made = self.web.get_or_try_init(make).await;
        made.map_err(|error| error.to_string())
    }
}

/// A server's key as it can be typed.
pub fn shell_word(key: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !key.is_empty() && key.bytes().all(is_plain) {
        key.to_owned()
    } else {
        format!("'{}'", key.replace('\'', "'\\''"))
    }
}

/// The shortest time from one renewal to the next, where a server refuses what was made.
pub(super) const BETWEEN_RENEWALS: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::super::of_late::OF_LATE_MAX;
    use super::*;
    use serde_json::json;

    #[test]
    fn c05_what_was_shown_of_late_stays_a_secret() {
        let (url, oauth) = (Url::parse("https://far.test/mcp").unwrap(), OAuth::default());
        let keeper = Keeper::new("far", &url, EVERYBODY, oauth, (None, None));
        assert!(keeper.secrets().is_empty());
        let login = |token: String| {
            let text = json!({"server": "x", "principal": EVERYBODY, "resource": "x", "token_endpoint": "x", "shows": "none",
                "registration": {"issuer": "x", "client_id": "x"}, "access_token": token, "expires_at": 1, "given_at": 0, "scopes": []});
            serde_json::from_str::<Login>(&text.to_string()).unwrap()
        };
        for number in 0..=OF_LATE_MAX {
            keeper.hold(Some(login(number.to_string())), true);
        }
        keeper.hold(Some(login("2".to_owned())), false);
        keeper.forget();
        keeper.hold(None, false);
        let known: Vec<_> = keeper.secrets().iter().map(|token| token.expose().to_owned()).collect();
        assert_eq!(known, ["1", "3", "4", "2"], "one that has ended, and is replaced, too");
    }

    #[tokio::test]
    async fn a_renewal_does_not_undo_a_login_that_was_made_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let (url, oauth) = (Url::parse("https://far.test/mcp").unwrap(), OAuth::default());
        let store = Store::at(folder.path().join("logins.json"));
        let keeper = Keeper::new("far", &url, EVERYBODY, oauth, (None, Some(store.clone())));
        let login = |token: &str| {
            let text = json!({"server": canonical(&url), "principal": EVERYBODY, "resource": "x", "token_endpoint": "x", "shows": "none",
                "registration": {"issuer": "x", "client_id": "x"}, "access_token": token, "refresh_token": token, "given_at": 0, "scopes": []});
            serde_json::from_str::<Login>(&text.to_string()).unwrap()
        };
        let kept = || {
            let kept = store.read().unwrap();
            kept.login(&canonical(&url), EVERYBODY).map(|login| login.access_token.clone())
        };
        assert!(keeper.keep(login("renewed"), login("first")).await.unwrap().is_none());
        assert_eq!(kept(), None, "who logged out meanwhile has logged out");
        store.change(|all| all.keep(login("first"))).unwrap();
        assert!(keeper.keep(login("renewed"), login("first")).await.unwrap().is_none());
        assert_eq!(kept().as_deref(), Some("renewed"));
        store.change(|all| all.keep(login("anew"))).unwrap();
        let other = keeper.keep(login("late"), login("renewed")).await.unwrap().unwrap();
        assert_eq!((other.access_token.as_str(), kept().as_deref()), ("anew", Some("anew")));
    }
}
