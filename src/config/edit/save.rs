//! A file that somebody else reads as well: read whole, replaced whole.
//!
//! What is written goes into a draft beside the file, which then takes its name: whoever looks, and whatever ends
//! us, finds the old file or the new one. A file that was not there is for its owner alone, as is a copy of what
//! was; a file that is there keeps its owner and its permissions, and a link stays a link. It knows nothing of what stands in it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::file::read_text;
use crate::system::private::{self, folder_of, make_folder};

/// Why a file was not changed. Nothing of its text is in it.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("`{}` {why}", file.display())]
    Unreadable { file: PathBuf, why: String },
    #[error("`{}` cannot be written: {error}; it is as it was", file.display())]
    Io { file: PathBuf, error: io::Error },
    #[error("`{}` has changed meanwhile; nothing was written, run the command again", .0.display())]
    Changed(PathBuf),
    #[error("`{}` is no regular file", .0.display())]
    NoFile(PathBuf),
    #[error(
        "`{}` is a link to a file that is not there; nothing was written, make that file or take the link away",
        .0.display()
    )]
    LeadsNowhere(PathBuf),
}

/// A file as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it really is, with links followed.
    pub path: PathBuf,
    /// `None`: there is no such file.
    pub text: Option<String>,
}

/// Whether what was there is kept in a copy beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backup {
    Kept,
    /// There is one already, or none is wanted.
    None,
}

/// Reads a file that may not be there.
pub fn read(path: &Path) -> Result<Found, SaveError> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = fs::canonicalize(&whole).unwrap_or(whole);
    match fs::metadata(&path) {
        // A new file would take the place of the link.
        Err(_) if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) => {
            return Err(SaveError::LeadsNowhere(path));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found { path, text: None }),
        Ok(found) if !found.is_file() => return Err(SaveError::NoFile(path)),
        Ok(_) | Err(_) => {}
    }
    match read_text(&path) {
        Ok(text) => Ok(Found { path, text: Some(text) }),
        Err(why) => Err(SaveError::Unreadable { file: path, why }),
    }
}

/// Replaces what was found by `text`, unless somebody else has been there meanwhile.
pub fn write(found: &Found, text: &str, backup: Backup) -> Result<(), SaveError> {
    let file = &found.path;
    let io = |error| SaveError::Io { file: file.clone(), error };
    if read(file)? != *found {
        return Err(SaveError::Changed(file.clone()));
    }
    let folder = folder_of(file);
    make_folder(folder).map_err(io)?;
    if let Some(old) = found.text.as_deref().filter(|_| backup == Backup::Kept) {
        replace(&backup_of(file), old, None).map_err(io)?;
    }
    replace(file, text, fs::metadata(file).ok().as_ref()).map_err(io)
}

/// Takes a file away again that was not there before.
pub fn remove(found: &Found) -> Result<(), SaveError> {
    if read(&found.path)? != *found {
        return Err(SaveError::Changed(found.path.clone()));
    }
    fs::remove_file(&found.path).map_err(|error| SaveError::Io { file: found.path.clone(), error })
}

/// Where the copy of a file is kept.
pub fn backup_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".before-braid");
    file.with_file_name(name)
}

/// The text under the file's name, all at once.
fn replace(file: &Path, text: &str, like: Option<&fs::Metadata>) -> io::Result<()> {
    let folder = folder_of(file);
    let draft = private::draft_of(file)?;
    let written = write_draft(&draft, text, like).and_then(|()| fs::rename(&draft, file));
    if written.is_err() {
        fs::remove_file(&draft).ok();
    }
    written?;
    // The name lasts when the folder does; not every system lets one ask.
    File::open(folder).and_then(|folder| folder.sync_all()).ok();
    Ok(())
}

fn write_draft(draft: &Path, text: &str, like: Option<&fs::Metadata>) -> io::Result<()> {
    let mut opened = private::make_file(draft)?;
    opened.write_all(text.as_bytes())?;
    // Whatever ends us here leaves a draft that its owner alone may read: it is opened to others right before it is renamed.
    opened.sync_all()?;
    if let Some(like) = like {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
            // Who may not give a file away may still be in its group.
            let given = fchown(&opened, Some(like.uid()), Some(like.gid()))
                .or_else(|_| fchown(&opened, None, Some(like.gid())));
            opened.set_permissions(fs::Permissions::from_mode(mode_of(like.mode(), given.is_ok())))?;
        }
        #[cfg(not(unix))]
        opened.set_permissions(like.permissions())?;
    }
    Ok(())
}

/// What a file may be used for that is to be like another. `is_given`: it has the other's group; what that group may, ours
/// may not.
#[cfg(unix)]
fn mode_of(like: u32, is_given: bool) -> u32 {
    if is_given { like } else { like & 0o700 }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_and_its_folder_are_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b/f.json");
        let found = read(&file).unwrap();
        assert_eq!(found.text, None);
        write(&found, "new", Backup::Kept).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(
            (mode(&file), mode(file.parent().unwrap()), mode(&folder.path().join("a"))),
            (0o600, 0o700, 0o700)
        );
        assert_eq!(names(file.parent().unwrap()), ["f.json"]);
        remove(&read(&file).unwrap()).unwrap();
        assert!(!file.exists());
    }

    #[test]
    fn a_file_keeps_its_permissions_and_what_was_is_kept_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.json");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        write(&read(&file).unwrap(), "new", Backup::Kept).unwrap();
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), mode(&file)), ("new", 0o640));
        let copy = backup_of(&file);
        assert_eq!((fs::read_to_string(&copy).unwrap().as_str(), mode(&copy)), ("old", 0o600));
        assert_eq!(names(folder.path()), ["f.json", "f.json.before-braid"]);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&read(&link).unwrap(), "new", Backup::None).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn a_link_that_leads_nowhere_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link.json");
        std::os::unix::fs::symlink(folder.path().join("gone.json"), &link).unwrap();
        assert!(matches!(read(&link), Err(SaveError::LeadsNowhere(path)) if path == link));
        let found = Found { path: link.clone(), text: None };
        assert!(matches!(write(&found, "new", Backup::None), Err(SaveError::LeadsNowhere(_))));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(folder.path()), ["link.json"]);
    }

    #[test]
    fn what_a_group_may_another_may_not() {
        assert_eq!((mode_of(0o664, true), mode_of(0o664, false)), (0o664, 0o600));
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.json");
        let found = read(&file).unwrap();
        fs::write(&file, "theirs").unwrap();
        assert!(matches!(write(&found, "ours", Backup::None), Err(SaveError::Changed(_))));
        assert!(matches!(remove(&Found { text: Some("x".to_owned()), ..found }), Err(SaveError::Changed(_))));
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
    }

    #[test]
    fn what_cannot_be_read_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(folder.path()), Err(SaveError::NoFile(_))));
        let file = folder.path().join("f.json");
        fs::write(&file, [0xff]).unwrap();
        assert!(matches!(read(&file), Err(SaveError::Unreadable { .. })));
    }
}
