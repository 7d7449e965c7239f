//! The folder in which lists are kept: a file for each name, each its owner's alone.
//!
//! Owns the files' bounds: the bytes of one, how many there are, the bytes of all, and their age. A file is there whole or not
//! at all, whoever else writes or is killed meanwhile; nothing is followed that is no file of its own. It touches no file
//! that is not called as ours are. It knows nothing of what stands in them.

use super::name::Name;
use crate::system::private;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The folder.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it if it is not there, and its owner's alone if it was another's as well.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        private::make_folder(path)?;
        private::keep_to_owner(path)?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn file(&self, name: &Name) -> PathBuf {
        self.0.join(format!("{}{END}", name.as_str()))
    }

    /// What is kept under a name, and how long ago it was written. Where there is something else, why it is not used.
    pub(super) fn read(&self, name: &Name) -> Result<Option<(Vec<u8>, Duration)>, &'static str> {
        let file = self.file(name);
        // Asked before it is opened: opening a pipe would wait for somebody to write into it.
        match fs::symlink_metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err("is no regular file"),
            Err(_) => return Err(UNREADABLE),
        }
        let opened = File::open(&file).map_err(|_| UNREADABLE)?;
        let found = opened.metadata().map_err(|_| UNREADABLE)?;
        if !private::is_its_owners_alone(&found) {
            return Err("was open to others");
        }
        let age = age(&found);
        if age > KEPT {
            return Ok(None);
        }
        let mut text = Vec::new();
        opened.take(BYTES_MAX as u64 + 1).read_to_end(&mut text).map_err(|_| UNREADABLE)?;
        match text.len() > BYTES_MAX {
            true => Err("is too large"),
            false => Ok(Some((text, age))),
        }
    }

    /// Puts a text under a name, in the place of what is there, and makes room for it.
    pub(super) fn write(&self, name: &Name, text: &[u8]) -> io::Result<()> {
        let written = private::replace(&self.file(name), |mut opened| opened.write_all(text));
        self.tidy();
        written
    }

    /// Nothing is kept under a name any more.
    pub(super) fn remove(&self, name: &Name) -> io::Result<()> {
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes what is too old and what is too much, the oldest first. Others may do the same meanwhile.
    fn tidy(&self) {
        let Ok(entries) = fs::read_dir(&self.0) else { return };
        let mut kept = Vec::new();
        for entry in entries.take(ENTRIES_MAX).flatten() {
            let is = entry.file_name().to_str().map_or(Is::Foreign, called);
            let Ok(found) = entry.metadata() else { continue };
            match is {
                Is::Foreign => {}
                // Whoever wrote at it was ended.
                Is::Draft if age(&found) > DRAFT_KEPT => drop(fs::remove_file(entry.path())),
                Is::Draft => {}
                Is::Kept => kept.push((age(&found), found.len(), entry.path())),
            }
        }
        kept.sort();
        let mut bytes = 0_u64;
        for (at, (age, length, path)) in kept.into_iter().enumerate() {
            bytes = bytes.saturating_add(length);
            if at >= FILES_MAX || bytes > TOTAL_BYTES_MAX || age > KEPT {
                fs::remove_file(path).ok();
            }
        }
    }
}

/// What a file is by its name.
enum Is {
    Kept,
    Draft,
    Foreign,
}

fn called(name: &str) -> Is {
    let is_ours = |digits: &str| {
        digits.len() == Name::DIGITS
            && digits.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
    };
    match (name.strip_suffix(END), name.strip_prefix('.')) {
        (Some(digits), _) if is_ours(digits) => Is::Kept,
        (_, Some(draft)) if draft.split_once('.').is_some_and(|(digits, _)| is_ours(digits)) => Is::Draft,
        (Some(_) | None, _) => Is::Foreign,
    }
}

/// A clock that was set back makes nothing old.
fn age(found: &Metadata) -> Duration {
    found.modified().ok().and_then(|then| SystemTime::now().duration_since(then).ok()).unwrap_or_default()
}

/// What the name of every file ends with.
const END: &str = ".lists";
const UNREADABLE: &str = "cannot be read";
/// The longest file.
pub(super) const BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many files there may be, and the bytes of all.
const FILES_MAX: usize = 256;
const TOTAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Lists that nobody has seen for so long are not shown any more.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a file may take to be written.
const DRAFT_KEPT: Duration = Duration::from_secs(3600);
/// Entries of the folder that are looked at.
const ENTRIES_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, Reach, ServerConfig};
    use crate::hub::catalog_cache::name::Of;
    use crate::hub::catalog_cache::seal::Seal;

    fn name(key: &str) -> Name {
        let settings = ServerConfig::new(key, Reach::Stdio(Command::new("x", Path::new("/"))));
        Of { settings: &settings, principal: "local", told: None }.name(&Seal::of(1), &|_| None)
    }

    fn folder() -> (tempfile::TempDir, Folder) {
        let above = tempfile::tempdir().unwrap();
        let folder = Folder::open(&above.path().join("braid/lists")).unwrap();
        (above, folder)
    }

    fn count(folder: &Folder) -> usize {
        fs::read_dir(&folder.0).unwrap().count()
    }

    fn set_age(folder: &Folder, path: &Path, age: Duration) {
        let file = File::options().write(true).open(folder.0.join(path)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn what_is_written_is_read_and_replaced() {
        let (_above, folder) = folder();
        let a = name("a");
        assert_eq!(folder.read(&a), Ok(None));
        folder.write(&a, b"one").unwrap();
        folder.write(&a, b"two").unwrap();
        assert_eq!(folder.read(&a).unwrap().unwrap().0, b"two");
        assert_eq!((folder.read(&name("b")), count(&folder)), (Ok(None), 1));
        folder.remove(&a).unwrap();
        folder.remove(&a).unwrap();
        assert_eq!(folder.read(&a), Ok(None));
    }

    #[test]
    fn a_file_has_a_largest_size_and_an_end() {
        let (_above, folder) = folder();
        let a = name("a");
        folder.write(&a, &vec![b'x'; BYTES_MAX]).unwrap();
        assert_eq!(folder.read(&a).unwrap().unwrap().0.len(), BYTES_MAX);
        folder.write(&a, &vec![b'x'; BYTES_MAX + 1]).unwrap();
        assert_eq!(folder.read(&a), Err("is too large"));
        folder.write(&a, b"x").unwrap();
        set_age(&folder, &folder.file(&a), KEPT - Duration::from_secs(60));
        assert!(folder.read(&a).unwrap().is_some());
        set_age(&folder, &folder.file(&a), KEPT + Duration::from_secs(60));
        assert_eq!(folder.read(&a), Ok(None));
    }

    #[test]
    fn the_oldest_make_room_and_what_is_not_ours_is_left_alone() {
        let (_above, folder) = folder();
        for foreign in ["note.lists", "README", ".hidden", &format!("{}.lists.bak", name("a").as_str())] {
            fs::write(folder.0.join(foreign), "x").unwrap();
            set_age(&folder, Path::new(foreign), KEPT * 2);
        }
        for number in 0..FILES_MAX {
            let name = name(&number.to_string());
            folder.write(&name, b"x").unwrap();
            set_age(&folder, &folder.file(&name), Duration::from_secs(10_000 - number as u64));
        }
        assert_eq!(count(&folder), 4 + FILES_MAX);
        folder.write(&name("new"), b"x").unwrap();
        assert_eq!(count(&folder), 4 + FILES_MAX);
        assert_eq!(folder.read(&name("0")), Ok(None));
        assert!(folder.read(&name("1")).unwrap().is_some() && folder.read(&name("new")).unwrap().is_some());
    }

    #[test]
    fn all_files_together_have_a_largest_size() {
        let (_above, folder) = folder();
        let large = vec![b'x'; BYTES_MAX];
        let fit = TOTAL_BYTES_MAX as usize / BYTES_MAX;
        for number in 0..fit {
            let name = name(&number.to_string());
            folder.write(&name, &large).unwrap();
            set_age(&folder, &folder.file(&name), Duration::from_secs(10_000 - number as u64));
        }
        assert_eq!(count(&folder), fit);
        folder.write(&name("new"), b"x").unwrap();
        assert_eq!((count(&folder), folder.read(&name("0"))), (fit, Ok(None)));
    }

    #[test]
    fn old_files_and_drafts_are_removed() {
        let (_above, folder) = folder();
        folder.write(&name("a"), b"x").unwrap();
        set_age(&folder, &folder.file(&name("a")), KEPT + Duration::from_secs(60));
        let [old, new] = [(), ()].map(|()| private::draft_of(&folder.file(&name("b"))).unwrap());
        for draft in [&old, &new] {
            private::make_file(&folder.0.join(draft)).unwrap();
        }
        set_age(&folder, Path::new(&old), DRAFT_KEPT + Duration::from_secs(60));
        folder.write(&name("c"), b"x").unwrap();
        let there = |path: &Path| folder.0.join(path).exists();
        assert!(!there(&folder.file(&name("a"))) && !there(Path::new(&old)) && there(Path::new(&new)));
    }

    #[cfg(unix)]
    #[test]
    fn folder_and_files_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (above, folder) = folder();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        folder.write(&name("a"), b"x").unwrap();
        assert_eq!((mode(&folder.0), mode(&folder.file(&name("a")))), (0o700, 0o600));
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
        Folder::open(&above.path().join("braid/lists")).unwrap();
        assert_eq!(mode(&folder.0), 0o700);
        fs::set_permissions(folder.file(&name("a")), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(folder.read(&name("a")), Err("was open to others"));
        folder.write(&name("a"), b"y").unwrap();
        assert_eq!(mode(&folder.file(&name("a"))), 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_a_folder_and_a_pipe_are_no_files_of_ours() {
        let (above, folder) = folder();
        let a = folder.file(&name("a"));
        let elsewhere = above.path().join("elsewhere");
        private::make_file(&elsewhere).unwrap().write_all(b"x").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &a).unwrap();
        assert_eq!(folder.read(&name("a")), Err("is no regular file"));
        folder.write(&name("a"), b"y").unwrap();
        assert_eq!(fs::read(&elsewhere).unwrap(), b"x");
        assert_eq!(folder.read(&name("a")).unwrap().unwrap().0, b"y");
        fs::remove_file(&a).unwrap();
        fs::create_dir(&a).unwrap();
        assert_eq!(folder.read(&name("a")), Err("is no regular file"));
        assert!(folder.write(&name("a"), b"y").is_err());
        assert_eq!(count(&folder), 1);
        let pipe = std::process::Command::new("mkfifo").arg(folder.file(&name("b"))).status().unwrap();
        assert!(pipe.success());
        assert_eq!(folder.read(&name("b")), Err("is no regular file"));
    }
}
