//! What only its user may read: folders and files of ours.
//!
//! Knows where a user's state is kept, and makes what is for its owner alone. What stands in the files is its callers'
//! business.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An absolute folder that a variable of the environment names. A relative one does not count.
pub fn named_folder(variable: impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    variable(name).map(PathBuf::from).filter(|folder| folder.is_absolute())
}

/// Ours in the user's state folder: `$XDG_STATE_HOME/braid`, that is `~/.local/state/braid`.
pub fn state_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| named_folder(&variable, name);
    let state = folder("XDG_STATE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))
        .or_else(|| folder("LOCALAPPDATA"))?;
    Some(state.join("braid"))
}

/// Ours in the user's cache folder: `$XDG_CACHE_HOME/braid`, that is `~/.cache/braid`.
pub fn cache_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| named_folder(&variable, name);
    let cache = folder("XDG_CACHE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))
        .or_else(|| folder("LOCALAPPDATA").map(|local| local.join("cache")))?;
    Some(cache.join("braid"))
}

/// The folder that a file is in.
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Makes a folder and those above it, as far as they are not there: 0700.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Takes a folder of ours away from others: 0700.
pub fn keep_to_owner(folder: &Path) -> io::Result<()> {
    let found = fs::metadata(folder)?;
    if !found.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    #[cfg(unix)]
    if !is_its_owners_alone(&found) {
        let own = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(folder, own)?;
    }
    Ok(())
}

/// Whether nobody but its owner may do anything with it. Windows keeps a user's folders from others by lists of its own.
pub fn is_its_owners_alone(found: &Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::mode(found) & 0o077 == 0;
    #[cfg(not(unix))]
    return found.is_file() || found.is_dir();
}

/// Beside a file, under a name that nobody else has: for what is to be renamed to it once it is whole.
pub fn draft_of(file: &Path) -> io::Result<PathBuf> {
    let mut mark = [0; 8];
    getrandom::fill(&mut mark).map_err(|error| io::Error::other(error.to_string()))?;
    let mut name = OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(format!(".{:016x}", u64::from_ne_bytes(mark)));
    Ok(file.with_file_name(name))
}

/// Makes a file with these bytes, and its folder, if it is not there yet: 0600, whole or not at all. Whether it was made; no
/// file is replaced where the file system knows second names.
pub fn make_once(file: &Path, bytes: &[u8]) -> io::Result<bool> {
    make_folder(folder_of(file))?;
    let draft = draft_of(file)?;
    let mut opened = make_file(&draft)?;
    let written = opened.write_all(bytes).and_then(|()| opened.sync_all()).and_then(|()| {
        // A second name fails where a file is.
        match fs::hard_link(&draft, file) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(_) => fs::rename(&draft, file).map(|()| true),
        }
    });
    fs::remove_file(&draft).ok();
    written
}

/// Puts a file in the place of what is there, be it a link, which is not written through: 0600, whole or not at all.
pub fn replace(file: &Path, write: impl FnOnce(File) -> io::Result<()>) -> io::Result<()> {
    let draft = draft_of(file)?;
    let written = make_file(&draft).and_then(write).and_then(|()| fs::rename(&draft, file));
    if written.is_err() {
        fs::remove_file(&draft).ok();
    }
    written
}

/// Who may do what with it. Windows keeps a user's folders from others by lists of its own.
pub fn mode(found: &Metadata) -> u32 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::mode(found) & 0o7777;
    #[cfg(not(unix))]
    return if found.is_file() || found.is_dir() { 0o600 } else { 0 };
}

/// Makes a file that must not be there yet: 0600.
pub fn make_file(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}
