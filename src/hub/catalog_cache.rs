//! The last known lists of each server, kept over the end of a run, so that the next one answers at once.
//!
//! Owns whose lists are kept and where; `Memo` is the place of one link's. Kept are lists that cannot differ between clients:
//! those of a link that all clients of a principal share, and those of a run's only client, by what that client is told to
//! the server as. What is kept is shown and nothing more: no request is sent because of it. It starts nothing, and waits
//! for no server.

mod folder;
mod name;
mod seal;
mod sheet;

pub(super) use self::sheet::{Known, Sheet};

use self::folder::{BYTES_MAX, Folder};
use self::name::{Name, Of};
use self::seal::{Mark, Seal};
use crate::config::ServerConfig;
use crate::mcp::caller::Told;
use crate::system::private;
use crate::upstream::server::LinkKey;
use bytes::Bytes;
use parking_lot::Mutex;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

/// Where all lists of a user's runs are kept.
pub struct CatalogCache {
    folder: Folder,
    seal: Seal,
    variable: Box<Variable>,
}

/// Of our environment, by its name.
type Variable = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Why nothing is kept.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("no folder to keep them in: set HOME, or XDG_CACHE_HOME and XDG_STATE_HOME")]
    NoFolder,
    #[error("`{}`: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("`{}` is no key that its owner alone can read; remove it, and a new one is made", .0.display())]
    BadKey(PathBuf),
}

/// Whose lists those of a link are.
pub(super) enum Whose {
    /// All clients' of a principal: what the server is told depends on none of them.
    Everybodys,
    /// The only client's of a run, once it has said what the server is told of it.
    Only(watch::Receiver<Option<Told>>),
    /// One client's among several: kept nowhere, since they may be nobody else's.
    OneOfMany,
}

/// Where the lists of one link are kept.
pub(super) struct Memo {
    cache: Arc<CatalogCache>,
    name: Name,
    server: String,
    /// What is in the file, if it need not be written again soon.
    kept: Mutex<Option<Mark>>,
}

impl CatalogCache {
    /// `variable`: of our environment, which leads to the folders, and tells servers apart that inherit some of it.
    pub fn open(
        variable: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Result<Self, CacheError> {
        let folder = private::cache_folder(&variable).ok_or(CacheError::NoFolder)?.join("lists");
        let key = private::state_folder(&variable).ok_or(CacheError::NoFolder)?.join("catalog-cache.key");
        let seal = Seal::find_or_make(&key)?;
        let folder = Folder::open(&folder).map_err(|error| CacheError::Io { path: folder, error })?;
        Ok(Self { folder, seal, variable: Box::new(variable) })
    }

    /// The place of the lists of a link by which a server is reached as these settings say. Waits until it is known what
    /// the server is told; `None`: they are not kept.
    pub(super) async fn memo(
        self: &Arc<Self>,
        settings: &ServerConfig,
        key: &LinkKey,
        whose: &Whose,
    ) -> Option<Memo> {
        let told = match whose {
            Whose::OneOfMany => return None,
            Whose::Everybodys => None,
            Whose::Only(told) => Some(told.clone().wait_for(Option::is_some).await.ok()?.clone()?),
        };
        let of = Of { settings, principal: key.principal().as_str(), told: told.as_ref() };
        let name = of.name(&self.seal, &self.variable);
        let server = settings.key.clone();
        Some(Memo { cache: self.clone(), name, server, kept: Mutex::new(None) })
    }
}

impl Memo {
    /// What was kept; nothing, if there is nothing that can be used.
    pub(super) async fn read(&self) -> Option<Sheet> {
        let (cache, name) = (self.cache.clone(), self.name.clone());
        let read = spawn_blocking(move || {
            let Some((text, age)) = cache.folder.read(&name)? else { return Ok(None) };
            let (sheet, mark) = Sheet::read(&cache.seal, &name, Bytes::from(text))?;
            Ok::<_, &'static str>(Some((sheet, mark, age)))
        });
        let server = self.server.as_str();
        match read.await.ok()? {
            Ok(None) => None,
            Ok(Some((sheet, mark, age))) => {
                let age_s = age.as_secs();
                tracing::info!(
                    event = "catalog_cache",
                    server,
                    age_s,
                    "its lists are those of the last run until it is heard"
                );
                *self.kept.lock() = (age < RENEWED_AFTER).then_some(mark);
                Some(sheet)
            }
            Err(why) => {
                let file = self.cache.folder.file(&self.name).display().to_string();
                tracing::warn!(
                    event = "catalog_cache",
                    server,
                    file,
                    why,
                    "its kept lists are not used; they are kept anew"
                );
                None
            }
        }
    }

    /// Keeps the lists as they are now. What cannot be written is said and gone without.
    pub(super) async fn write(&self, known: &Known<'_>) {
        let (text, mark) = known.written(&self.cache.seal, &self.name);
        if *self.kept.lock() == Some(mark) {
            return;
        }
        let (cache, name) = (self.cache.clone(), self.name.clone());
        let written = spawn_blocking(move || match text.len() > BYTES_MAX {
            // What was kept is not what it lists any more.
            true => cache
                .folder
                .remove(&name)
                .and_then(|()| Err(io::Error::other("they are too long to be kept"))),
            false => cache.folder.write(&name, &text),
        });
        let Ok(written) = written.await else { return };
        // What could not be written now is not tried again before it is another.
        *self.kept.lock() = Some(mark);
        if let Err(error) = written {
            tracing::warn!(
                event = "catalog_cache",
                server = self.server,
                %error,
                "its lists are not kept for the next start"
            );
        }
    }
}

/// A file is written anew after so long, though nothing in it has changed: its age says when its lists were last seen.
const RENEWED_AFTER: Duration = Duration::from_secs(24 * 3600);
