//! Where logins are kept: one file, for its owner alone.
//!
//! Owns its form and its place. A login belongs to a server, to whom it is for, and to the issuer that gave it; looking one up
//! needs the first two, and what is sent goes to the third alone. The file is written whole or not at all, by one program at
//! a time. What stands in it is never shown.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Url;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::challenge::SCOPES_MAX;
use super::discovery::Found;
use super::grant::{Tokens, now};
use super::metadata::Shows;
use super::registration::Registration;
use crate::config::Secret;
use crate::system::private;
use crate::wire::hex::hex;

/// The file. Every use of it blocks.
#[derive(Debug, Clone)]
pub struct Store {
    file: PathBuf,
}

/// What stands in it.
#[derive(Default, Serialize, Deserialize)]
pub struct Kept {
    version: u32,
    #[serde(default)]
    pub(super) logins: Vec<Login>,
    #[serde(default)]
    pub(super) registrations: Vec<Registration>,
}

/// Leave at one server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The server's URL, as it names the server.
    pub(super) server: String,
    /// For whom it is.
    pub(super) principal: String,
    /// For whom tokens are made: the server, or what it says that it is a part of.
    pub(super) resource: String,
    pub(super) token_endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revocation_endpoint: Option<String>,
    pub(super) shows: Shows,
    pub(super) registration: Registration,
    pub(super) access_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<String>,
    /// In seconds since 1970, as is when it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<u64>,
    pub(super) given_at: u64,
    /// What rights it has.
    pub(super) scopes: Vec<String>,
    /// What rights the server asked for since; the next login asks for them too.
    #[serde(default)]
    pub(super) wanted: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("no folder to keep logins in: neither XDG_STATE_HOME nor HOME is set")]
    NoFolder,
    #[error("`{}`: {error}", file.display())]
    Io { file: PathBuf, error: io::Error },
    #[error("`{}` can be read by others (mode {mode:o}); `chmod 600` it, and log in anew if others may have seen it", file.display())]
    Open { file: PathBuf, mode: u32 },
    #[error("`{}` holds no logins, or those of a later version; move it away to begin anew", .0.display())]
    Garbled(PathBuf),
    #[error("`{}` is full: {LOGINS_MAX} logins; `braid logout` ends one", .0.display())]
    Full(PathBuf),
}

impl Store {
    /// The user's own, which `variable` leads to.
    pub fn of_user(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, StoreError> {
        let folder = private::state_folder(variable).ok_or(StoreError::NoFolder)?;
        Ok(Self::at(folder.join("logins.json")))
    }

    pub fn at(file: PathBuf) -> Self {
        Self { file }
    }

    /// Does what blocks where it harms nobody.
    pub(super) async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.unwrap_or_else(|error| Err(StoreError::Io { file: self.file.clone(), error: error.into() }))
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What is kept now; nothing where there is no file.
    pub fn read(&self) -> Result<Kept, StoreError> {
        let opened = match File::open(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
            opened => opened.map_err(|error| self.io(error))?,
        };
        let found = opened.metadata().map_err(|error| self.io(error))?;
        if !found.is_file() {
            return Err(StoreError::Garbled(self.file.clone()));
        }
        if !private::is_its_owners_alone(&found) {
            return Err(StoreError::Open { file: self.file.clone(), mode: private::mode(&found) });
        }
        let mut text = Vec::new();
        opened.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(|error| self.io(error))?;
        let kept = serde_json::from_str::<Kept>(std::str::from_utf8(&text).unwrap_or_default());
        kept.ok().filter(|kept| kept.version == VERSION).ok_or_else(|| StoreError::Garbled(self.file.clone()))
    }

    /// Changes it, while no other program does.
    pub fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> Result<T, StoreError> {
        private::make_folder(private::folder_of(&self.file)).map_err(|error| self.io(error))?;
        let _lock = self.lock("change")?;
        let mut kept = self.read()?;
        let changed = change(&mut kept);
        if kept.logins.len() > LOGINS_MAX {
            return Err(StoreError::Full(self.file.clone()));
        }
        let surplus = kept.registrations.len().saturating_sub(REGISTRATIONS_MAX);
        kept.registrations.drain(..surplus);
        kept.version = VERSION;
        let text = serde_json::to_vec_pretty(&kept).map_err(|error| self.io(error.into()))?;
        if text.len() as u64 >= FILE_BYTES_MAX {
            return Err(StoreError::Full(self.file.clone()));
        }
        let write = |mut opened: File| opened.write_all(&text).and_then(|()| opened.sync_all());
        private::replace(&self.file, write).map_err(|error| self.io(error))?;
        Ok(changed)
    }

    /// Held while a login is renewed, so that no other program renews it meanwhile: what is renewed twice is worth nothing.
    pub(super) fn renewing(&self, server: &str, principal: &str) -> Result<Lock, StoreError> {
        private::make_folder(private::folder_of(&self.file)).map_err(|error| self.io(error))?;
        let digest = Sha256::new().chain_update(server).chain_update([0]).chain_update(principal).finalize();
        self.lock(&hex(&digest[..8]))
    }

    fn lock(&self, what: &str) -> Result<Lock, StoreError> {
        let mut name = self.file.clone().into_os_string();
        name.push(format!(".{what}.lock"));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = options.open(name).map_err(|error| self.io(error))?;
        // A program that was stopped in the middle must not stop us as well.
        let since = Instant::now();
        loop {
            match opened.try_lock() {
                Ok(()) => return Ok(Lock { _file: opened }),
                Err(TryLockError::Error(error)) => return Err(self.io(error)),
                Err(TryLockError::WouldBlock) if since.elapsed() > LOCK_WAIT_MAX => {
                    return Err(self.io(io::ErrorKind::TimedOut.into()));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_LOOKED_AT_EVERY),
            }
        }
    }

    fn io(&self, error: io::Error) -> StoreError {
        StoreError::Io { file: self.file.clone(), error }
    }
}

/// Both, each once, in their order; at most `SCOPES_MAX`.
pub(super) fn union(one: &[String], other: &[String]) -> Vec<String> {
    let mut all = one.to_vec();
    for scope in other {
        if !all.contains(scope) && all.len() < SCOPES_MAX {
            all.push(scope.clone());
        }
    }
    all
}

/// Nobody else has it until it is dropped, or until we die.
pub(super) struct Lock {
    _file: File,
}

impl Kept {
    /// The login of somebody at a server.
    pub fn login(&self, server: &str, principal: &str) -> Option<&Login> {
        self.logins.iter().find(|login| login.is_of(server, principal))
    }

    /// Keeps it in place of the one before, and our name at its issuer for other servers of the same.
    pub fn keep(&mut self, login: Login) {
        if login.registration.redirect_uri.is_some() {
            let known = &login.registration;
            self.registrations
                .retain(|it| it.issuer != known.issuer || it.redirect_uri != known.redirect_uri);
            self.registrations.push(known.clone());
        }
        self.remove(&login.server.clone(), &login.principal.clone());
        self.logins.push(login);
    }

    /// Takes it out.
    pub fn remove(&mut self, server: &str, principal: &str) -> Option<Login> {
        let at = self.logins.iter().position(|login| login.is_of(server, principal))?;
        Some(self.logins.remove(at))
    }

    pub(super) fn login_mut(&mut self, server: &str, principal: &str) -> Option<&mut Login> {
        self.logins.iter_mut().find(|login| login.is_of(server, principal))
    }
}

impl Login {
    fn is_of(&self, server: &str, principal: &str) -> bool {
        self.server == server && self.principal == principal
    }

    /// One that has no tokens yet. `of`: the server, and for whom; `at`: where tokens are given, and how we show who we are.
    pub(super) fn bare(
        of: (String, String),
        found: &Found,
        registration: Registration,
        at: (String, Shows),
        scopes: Vec<String>,
    ) -> Self {
        Self {
            server: of.0,
            principal: of.1,
            resource: found.resource.clone(),
            token_endpoint: at.0,
            revocation_endpoint: found.server.revocation_endpoint.clone(),
            shows: at.1,
            registration,
            access_token: String::new(),
            refresh_token: None,
            expires_at: None,
            given_at: now(),
            scopes,
            wanted: Vec::new(),
        }
    }

    /// Who gave it.
    pub fn issuer(&self) -> &str {
        &self.registration.issuer
    }

    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// What the next login asks for beside what the server wants then: if it wanted more than there is, that and all that
    /// there is.
    pub fn wanted_scopes(&self) -> Vec<String> {
        match self.wanted.is_empty() {
            true => Vec::new(),
            false => union(&self.scopes, &self.wanted),
        }
    }

    /// The port of this machine to which its issuer sends browsers.
    pub fn callback_port(&self) -> Option<u16> {
        Url::parse(self.registration.redirect_uri.as_deref()?).ok()?.port()
    }

    /// In seconds since 1970.
    /// Whether it is the very one: it was neither renewed nor replaced.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.access_token, &self.refresh_token) == (&other.access_token, &other.refresh_token)
    }

    pub fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }

    /// Whether it can be used without a person: it is good for a while, or can be renewed.
    pub fn is_alive(&self) -> bool {
        self.is_fresh() || self.refresh_token.is_some()
    }

    /// Whether its token is good for a while yet.
    pub(super) fn is_fresh(&self) -> bool {
        let Some(at) = self.expires_at else { return !self.access_token.is_empty() };
        let margin = MARGIN_SECONDS.min(at.saturating_sub(self.given_at) / 4);
        !self.access_token.is_empty() && now().saturating_add(margin) < at
    }

    /// The same with other tokens.
    pub(super) fn renewed(&self, tokens: Tokens) -> Self {
        let mut login = self.clone();
        login.access_token = tokens.access.expose().to_owned();
        // Who gives no other leaves us the one we have (RFC 6749, 6).
        if let Some(refresh) = tokens.refresh {
            login.refresh_token = Some(refresh.expose().to_owned());
        }
        login.expires_at = tokens.expires_at;
        login.given_at = now();
        if let Some(scopes) = tokens.scopes {
            login.scopes = scopes;
        }
        login
    }

    pub(super) fn token(&self) -> Secret {
        Secret::new(self.access_token.as_str())
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("server", &self.server)
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}

const VERSION: u32 = 1;
/// How long another program may hold the file, or renew a login.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(15);
const LOCK_LOOKED_AT_EVERY: Duration = Duration::from_millis(20);
/// For whom a login is that all share whom we serve.
pub const EVERYBODY: &str = "*";
/// Logins that one user has.
const LOGINS_MAX: usize = 1024;
/// Names that issuers gave us; the oldest is forgotten first.
const REGISTRATIONS_MAX: usize = 256;
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// A token is renewed so long before its end, or a quarter of its life if that is less.
const MARGIN_SECONDS: u64 = 30;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn login(server: &str, principal: &str) -> Login {
        Login {
            server: server.to_owned(),
            principal: principal.to_owned(),
            resource: server.to_owned(),
            token_endpoint: "https://id/token".to_owned(),
            revocation_endpoint: None,
            shows: Shows::None,
            registration: Registration {
                issuer: "https://id".to_owned(),
                client_id: "c".to_owned(),
                client_secret: None,
                shown_by: None,
                redirect_uri: Some("http://localhost:1/callback".to_owned()),
            },
            access_token: "s3cret-access".to_owned(),
            refresh_token: Some("s3cret-refresh".to_owned()),
            expires_at: None,
            given_at: 1_700_000_000,
            scopes: Vec::new(),
            wanted: Vec::new(),
        }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let home = tempfile::tempdir().unwrap();
        let store = Store::at(home.path().join("braid/logins.json"));
        (home, store)
    }

    #[test]
    fn h11_a_login_is_its_servers_and_its_principals_alone() {
        let (_home, store) = store();
        assert!(store.read().unwrap().login("https://a", "local").is_none());
        for (server, principal) in [("https://a", "local"), ("https://b", "local"), ("https://a", "oauth:x")]
        {
            store.change(|kept| kept.keep(login(server, principal))).unwrap();
        }
        let kept = store.read().unwrap();
        assert_eq!(kept.login("https://a", "local"), Some(&login("https://a", "local")));
        assert!(kept.login("https://a/", "local").is_none() && kept.login("https://b", "oauth:x").is_none());
        assert_eq!((kept.logins.len(), kept.registrations.len()), (3, 1));
        let removed = store.change(|kept| kept.remove("https://a", "local")).unwrap();
        assert!(removed.is_some());
        let kept = store.read().unwrap();
        assert!(kept.login("https://a", "local").is_none() && kept.login("https://a", "oauth:x").is_some());
    }

    #[test]
    fn the_file_is_its_owners_alone_and_what_others_could_read_is_refused() {
        let (_home, store) = store();
        store.change(|kept| kept.keep(login("https://a", "local"))).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(store.file()), 0o600);
        assert_eq!(mode(private::folder_of(store.file())), 0o700);
        fs::set_permissions(store.file(), fs::Permissions::from_mode(0o640)).unwrap();
        let error = store.read().map(drop).unwrap_err().to_string();
        assert!(error.contains("can be read by others (mode 640)"), "{error}");
        assert!(store.change(|_| ()).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_left_as_it_is() {
        let (_home, store) = store();
        private::make_folder(private::folder_of(store.file())).unwrap();
        for text in ["", "{", "[]", r#"{"version":2,"logins":[]}"#, r#"{"logins":[]}"#] {
            fs::write(store.file(), text).unwrap();
            fs::set_permissions(store.file(), fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(store.change(|_| ()), Err(StoreError::Garbled(_))), "{text}");
            assert_eq!(fs::read_to_string(store.file()).unwrap(), text);
        }
    }

    #[test]
    fn a_link_is_replaced_and_not_written_through() {
        let (home, store) = store();
        private::make_folder(private::folder_of(store.file())).unwrap();
        let elsewhere = home.path().join("elsewhere");
        private::make_file(&elsewhere).unwrap().write_all(br#"{"version":1}"#).unwrap();
        std::os::unix::fs::symlink(&elsewhere, store.file()).unwrap();
        store.change(|kept| kept.keep(login("https://a", "local"))).unwrap();
        assert_eq!(fs::read(&elsewhere).unwrap(), br#"{"version":1}"#);
        assert!(!fs::symlink_metadata(store.file()).unwrap().is_symlink());
    }

    #[test]
    fn many_that_change_it_at_once_lose_nothing() {
        let (_home, store) = store();
        std::thread::scope(|scope| {
            for number in 0..16 {
                let store = &store;
                scope.spawn(move || {
                    store.change(|kept| kept.keep(login(&format!("https://{number}"), "local"))).unwrap();
                });
            }
        });
        assert_eq!(store.read().unwrap().logins.len(), 16);
    }

    #[test]
    fn there_is_a_largest_number_and_the_rest_stays() {
        let (_home, store) = store();
        let fill = |kept: &mut Kept, to: usize| {
            let all = (0..to).map(|number| Login { server: number.to_string(), ..login("", "local") });
            kept.logins = all.collect();
        };
        store.change(|kept| fill(kept, LOGINS_MAX)).unwrap();
        assert!(matches!(store.change(|kept| fill(kept, LOGINS_MAX + 1)), Err(StoreError::Full(_))));
        assert_eq!(store.read().unwrap().logins.len(), LOGINS_MAX);
    }

    #[test]
    fn a_token_is_renewed_before_its_end() {
        let of = |lives: u64, since: u64| {
            let given_at = now() - since;
            Login { given_at, expires_at: Some(given_at + lives), ..login("", "") }.is_fresh()
        };
        assert!(of(3600, 0) && of(3600, 3500) && !of(3600, 3575) && !of(3600, 4000));
        assert!(of(8, 0) && of(8, 4) && !of(8, 7));
        assert!(login("", "").is_fresh());
        let ended = Login { expires_at: Some(1), ..login("", "") };
        assert!(ended.is_alive() && !Login { refresh_token: None, ..ended }.is_alive());
    }

    #[test]
    fn a_login_is_never_shown() {
        assert!(
            !format!("{:?} {:?}", login("https://a", "b"), login("", "").registration).contains("s3cret")
        );
    }
}
