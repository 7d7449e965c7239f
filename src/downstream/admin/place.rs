//! Where the sockets of runs are: one for each, in a folder that only its user may enter.
//!
//! Knows the folder, the names in it, and which of them are left over from runs that were killed. It serves nothing and
//! asks nothing.

use crate::system::private;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// `$XDG_RUNTIME_DIR/braid`; else `braid/run` in the user's state folder. A relative folder does not count.
pub fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    match private::named_folder(&variable, "XDG_RUNTIME_DIR") {
        Some(runtime) => Some(runtime.join("braid")),
        None => Some(private::state_folder(variable)?.join("run")),
    }
}

/// Makes the folder, if it is not there, and sees that nobody else may enter it.
pub fn make(folder: &Path) -> io::Result<()> {
    private::make_folder(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if !is_ours(folder) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
        }
        let mode = std::fs::metadata(folder)?.permissions().mode();
        if mode & 0o077 != 0 {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        }
    }
    Ok(())
}

/// Whether it is there and our user's: what lies in another's may be anything. So may be where another's link leads, be it
/// to a folder of ours.
#[cfg(unix)]
pub fn is_ours(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let own = rustix::process::geteuid().as_raw();
    let is_own_name = std::fs::symlink_metadata(folder).is_ok_and(|found| found.uid() == own);
    is_own_name && std::fs::metadata(folder).is_ok_and(|found| found.is_dir() && found.uid() == own)
}

#[cfg(not(unix))]
pub fn is_ours(folder: &Path) -> bool {
    folder.is_dir()
}

/// The socket of a run. `attempt`: how often that of the same number was taken by another, as where several systems of
/// processes share a folder.
pub fn socket(folder: &Path, pid: u32, attempt: u32) -> PathBuf {
    folder.join(match attempt {
        0 => format!("{pid}.sock"),
        _ => format!("{pid}-{attempt}.sock"),
    })
}

/// All that are there, whether anybody answers or not: the first of them by name.
pub fn sockets(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "sock")).take(SOCKETS_MAX).collect();
    found.sort();
    found
}

/// Removes those that nobody answers on any more. Blocks for as long as the system takes to say so.
#[cfg(unix)]
pub fn sweep(folder: &Path) {
    for path in sockets(folder) {
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if std::os::unix::net::UnixStream::connect(&path).is_err_and(|error| refused(&error)) {
            std::fs::remove_file(&path).ok();
        }
    }
}

#[cfg(not(unix))]
pub fn sweep(_: &Path) {}

/// Runs of one user that are looked at.
pub const SOCKETS_MAX: usize = 256;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    fn found(set: &[(&str, &str)]) -> Option<PathBuf> {
        folder(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)))
    }

    #[test]
    fn the_runtime_folder_is_taken_and_else_the_state_folder() {
        let both = [("XDG_RUNTIME_DIR", "/run/user/7"), ("HOME", "/home/ana")];
        assert_eq!(found(&both).unwrap(), Path::new("/run/user/7/braid"));
        assert_eq!(found(&both[1..]).unwrap(), Path::new("/home/ana/.local/state/braid/run"));
        let state = [("XDG_STATE_HOME", "/s"), ("XDG_RUNTIME_DIR", "relative")];
        assert_eq!(found(&state).unwrap(), Path::new("/s/braid/run"));
        assert_eq!(found(&[]), None);
    }

    #[test]
    fn a_link_of_another_user_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (real, link) = (home.path().join("real"), home.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(is_ours(&link), "a link of ours is followed");
        // Only the superuser gives away what is its own.
        if std::os::unix::fs::lchown(&link, Some(12345), None).is_ok() {
            assert!(!is_ours(&link));
            assert_eq!(make(&link).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
            assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o755);
        }
    }

    #[test]
    fn what_was_left_over_is_swept_and_what_answers_stays() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/braid");
        make(&folder).unwrap();
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        let live = UnixListener::bind(socket(&folder, 1, 0)).unwrap();
        drop(UnixListener::bind(socket(&folder, 2, 1)).unwrap());
        std::fs::write(folder.join("else"), "").unwrap();
        assert_eq!(sockets(&folder), [folder.join("1.sock"), folder.join("2-1.sock")]);
        sweep(&folder);
        assert_eq!(sockets(&folder), [folder.join("1.sock")]);
        assert!(folder.join("else").exists());
        drop(live);
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        make(&folder).unwrap();
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
