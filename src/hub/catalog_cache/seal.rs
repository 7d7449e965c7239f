//! The key that names and seals what is kept.
//!
//! 512 random bits in the user's state folder, made once. Files are called and sealed by it, so that whoever gets hold of the
//! cache folder alone can neither try out what a server's configuration says, secrets included, nor make a file that is
//! taken for one of ours. It never leaves its file and our memory.

use super::CacheError;
use crate::system::private;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The key.
pub(super) struct Seal([u8; KEY_BYTES]);

/// What the key makes of a text.
pub(super) type Mark = [u8; 32];

/// A text on its way to its mark: parts that cannot be taken for others.
pub(super) struct Sealing(Hmac<Sha256>);

impl Seal {
    #[cfg(test)]
    pub(super) fn of(byte: u8) -> Self {
        Self([byte; KEY_BYTES])
    }

    /// Reads the key, or makes one where there is no file.
    pub(super) fn find_or_make(file: &Path) -> Result<Self, CacheError> {
        let io = |error| CacheError::Io { path: file.to_owned(), error };
        match fs::symlink_metadata(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(file).map_err(io)?,
            Err(error) => return Err(io(error)),
            Ok(_) => {}
        }
        // Another run may have been faster; what is in the file is what holds.
        read(file).map_err(io)?.ok_or_else(|| CacheError::BadKey(file.to_owned()))
    }

    /// Begins a mark; `purpose` keeps those of one kind apart from those of every other.
    pub(super) fn begin(&self, purpose: &str) -> Sealing {
        let mut sealing = Sealing(<Hmac<Sha256> as KeyInit>::new(&self.0.into()));
        sealing.part(purpose.as_bytes());
        sealing
    }
}

impl Sealing {
    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    pub(super) fn end(self) -> Mark {
        self.0.finalize().into_bytes().into()
    }

    /// Whether this is the mark. In constant time: how long it takes says nothing of how near a guess is.
    pub(super) fn is(self, mark: &[u8]) -> bool {
        self.0.verify_slice(mark).is_ok()
    }
}

/// `None`: it is no key, or not its owner's alone.
fn read(file: &Path) -> io::Result<Option<Seal>> {
    // Asked before it is opened: opening a pipe would wait for somebody to write into it.
    if !fs::symlink_metadata(file)?.is_file() {
        return Ok(None);
    }
    let opened = File::open(file)?;
    if !private::is_its_owners_alone(&opened.metadata()?) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    opened.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes.try_into().ok().map(Seal))
}

/// The file is there whole or not at all, and nobody's file is replaced.
fn make(file: &Path) -> io::Result<()> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    private::make_once(file, &key).map(drop)
}

const KEY_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_key_is_made_once_and_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("braid/key");
        let mark = |seal: Seal| seal.begin("x").end();
        let made = mark(Seal::find_or_make(&file).unwrap());
        assert_eq!(mark(Seal::find_or_make(&file).unwrap()), made);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
            assert!(matches!(Seal::find_or_make(&file), Err(CacheError::BadKey(_))));
        }
    }

    #[test]
    fn what_is_no_key_is_not_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        for bytes in [0, KEY_BYTES - 1, KEY_BYTES + 1, 1 << 20] {
            fs::remove_file(&file).ok();
            private::make_file(&file).unwrap().write_all(&vec![7; bytes]).unwrap();
            assert!(matches!(Seal::find_or_make(&file), Err(CacheError::BadKey(_))), "{bytes}");
        }
        assert!(matches!(Seal::find_or_make(folder.path()), Err(CacheError::BadKey(_))));
    }

    #[test]
    fn parts_and_purposes_cannot_be_taken_for_others() {
        let mark = |purpose: &str, parts: &[&str]| {
            let mut sealing = Seal::of(1).begin(purpose);
            parts.iter().for_each(|part| sealing.part(part.as_bytes()));
            sealing.end()
        };
        let all = [
            mark("a", &["b", "c"]),
            mark("a", &["bc"]),
            mark("a", &["bc", ""]),
            mark("a", &["c", "b"]),
            mark("ab", &["c"]),
        ];
        let apart: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(apart.len(), all.len());
    }
}
