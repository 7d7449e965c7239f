//! Looks whether the files that the configuration was read from are others by now.
//!
//! A thread of its own asks the system for their marks once a second: the ones of whatever the path leads to, through
//! every link, so that it does not matter whether a file was written, renamed over, deleted and made again, or its
//! folder swapped. It reads no configuration; it tells when it is time to.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;

/// What tells one state of some files from another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Prints(BTreeMap<PathBuf, Option<Print>>);

/// Of one file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Print {
    mark: Mark,
    /// Of what is in it, if it was written so lately that the next writing may leave the same mark.
    content: Option<[u8; 32]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    length: u64,
    modified: Option<SystemTime>,
    /// Device, inode, and the time of the inode's last change.
    place: (u64, u64, i64, i64),
}

impl Prints {
    /// Of what is there now.
    pub(super) fn of(files: &[PathBuf]) -> Self {
        Self(files.iter().map(|file| (file.clone(), Print::of(file))).collect())
    }

    /// The same, and of other files as they are now.
    pub(super) fn and(mut self, files: &[PathBuf]) -> Self {
        for file in files {
            self.0.entry(file.clone()).or_insert_with(|| Print::of(file));
        }
        self
    }

    fn again(&self) -> Self {
        Self(self.0.keys().map(|file| (file.clone(), Print::of(file))).collect())
    }

    /// Whether one of them is not there.
    fn lacks_any(&self) -> bool {
        self.0.values().any(Option::is_none)
    }
}

impl Print {
    fn of(file: &Path) -> Option<Self> {
        let found = std::fs::metadata(file).ok()?;
        let mark = Mark::of(&found);
        let age = mark.modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        let is_young = age.is_none_or(|age| age < YOUNG);
        Some(Self { content: if is_young && found.is_file() { digest(file) } else { None }, mark })
    }

    /// Whether it is the same file with the same in it. What is not young any more has no digest, and its mark says all.
    fn is_same(&self, other: &Self) -> bool {
        self.mark == other.mark
            && (self.content.is_none() || other.content.is_none() || self.content == other.content)
    }
}

impl Mark {
    #[cfg(unix)]
    fn of(found: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let place = (found.dev(), found.ino(), found.ctime(), found.ctime_nsec());
        Self { length: found.len(), modified: found.modified().ok(), place }
    }

    #[cfg(not(unix))]
    fn of(found: &Metadata) -> Self {
        Self { length: found.len(), modified: found.modified().ok(), place: (0, 0, 0, 0) }
    }
}

fn digest(file: &Path) -> Option<[u8; 32]> {
    let mut bytes = Vec::new();
    std::fs::File::open(file).ok()?.take(DIGESTED_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(Sha256::digest(&bytes).into())
}

/// Waits for files to become others, and then until they stay as they are.
#[derive(Debug)]
pub(super) struct Settling {
    known: Prints,
    /// Since when they are as they are now, if that is other than what is known; and when that began.
    under_way: Option<(Prints, Instant, Instant)>,
}

impl Settling {
    pub(super) fn new(known: Prints) -> Self {
        Self { known, under_way: None }
    }

    /// Heeds these files from now on. Of one that it did not know, what was seen when it was read counts.
    fn heeds(&mut self, read: &Prints) {
        if !self.known.0.keys().eq(read.0.keys()) {
            let before = std::mem::take(&mut self.known.0);
            let known = read.0.iter();
            let known = known.map(|(file, print)| (file.clone(), before.get(file).unwrap_or(print).clone()));
            self.known.0 = known.collect();
            self.under_way = None;
        }
    }

    /// One look. `true`: they are others, and have been for long enough to be read.
    pub(super) fn look(&mut self, now: Instant, seen: Prints) -> bool {
        if is_same(&seen, &self.known) {
            // Also what was written and taken back.
            self.known = seen;
            self.under_way = None;
            return false;
        }
        let (since, began) = match &self.under_way {
            Some((before, since, began)) if is_same(before, &seen) => (*since, *began),
            Some((_, _, began)) => (now, *began),
            None => (now, now),
        };
        let rest = if seen.lacks_any() { GONE_FOR } else { SETTLED_AFTER };
        if now.duration_since(since) >= rest || now.duration_since(began) >= SETTLED_WITHIN {
            self.known = seen;
            self.under_way = None;
            return true;
        }
        self.under_way = Some((seen, since, began));
        false
    }

    /// When to look again.
    fn pause(&self) -> Duration {
        if self.under_way.is_some() { LOOK_WHILE_WRITTEN } else { LOOK_EVERY }
    }
}

fn is_same(one: &Prints, other: &Prints) -> bool {
    one.0.len() == other.0.len()
        && one.0.values().zip(other.0.values()).all(|pair| match pair {
            (Some(one), Some(other)) => one.is_same(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        })
}

/// Looks until nobody listens any more. `read`: the files, as they were when they were read the last time.
pub(super) fn watch(read: impl Fn() -> Prints + Send + 'static) -> std::io::Result<mpsc::Receiver<()>> {
    // One that is under way and one that is wanted.
    let (others, told) = mpsc::channel(1);
    let look = move || {
        let mut settling = Settling::new(read());
        while !others.is_closed() {
            std::thread::sleep(settling.pause());
            settling.heeds(&read());
            let seen = settling.known.again();
            if settling.look(Instant::now(), seen) && others.blocking_send(()).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("config".to_owned()).stack_size(STACK_BYTES).spawn(look)?;
    Ok(told)
}

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The same while they are being written.
const LOOK_WHILE_WRITTEN: Duration = Duration::from_millis(50);
/// For how long they must have stayed as they are to be read: several writings are one change.
pub(super) const SETTLED_AFTER: Duration = Duration::from_millis(250);
/// The same for one that is gone, which is made anew at once, as a rule.
pub(super) const GONE_FOR: Duration = Duration::from_secs(2);
/// They are read after so long even if they do not stay as they are.
pub(super) const SETTLED_WITHIN: Duration = Duration::from_secs(5);
/// Clocks of files may not tell two writings apart that are as near as this.
const YOUNG: Duration = Duration::from_secs(2);
const DIGESTED_BYTES_MAX: u64 = 16 * 1024 * 1024;
const STACK_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Moments of one test.
    fn clock() -> impl Fn(u64) -> Instant {
        let start = Instant::now();
        move |ms| start + Duration::from_millis(ms)
    }

    struct Place {
        _folder: tempfile::TempDir,
        file: PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("braid.toml");
            fs::write(&file, "one").unwrap();
            Self { file, _folder: folder }
        }

        fn prints(&self) -> Prints {
            Prints::of(std::slice::from_ref(&self.file))
        }
    }

    #[test]
    fn several_writings_are_one_change() {
        let (place, at) = (Place::new(), clock());
        let mut settling = Settling::new(place.prints());
        assert!(!settling.look(at(0), place.prints()));
        fs::write(&place.file, "two").unwrap();
        assert!(!settling.look(at(1000), place.prints()));
        fs::write(&place.file, "three").unwrap();
        assert!(!settling.look(at(1200), place.prints()));
        assert!(!settling.look(at(1449), place.prints()));
        assert!(settling.look(at(1450), place.prints()));
        assert!(!settling.look(at(1500), place.prints()));
    }

    #[test]
    fn a_file_that_never_rests_is_read_all_the_same() {
        let (place, at) = (Place::new(), clock());
        let mut settling = Settling::new(place.prints());
        let mut read = 0;
        for step in 0u64..=60 {
            fs::write(&place.file, format!("{step}")).unwrap();
            read += usize::from(settling.look(at(step * 100), place.prints()));
        }
        assert_eq!(read, 1);
    }

    #[test]
    fn one_of_the_same_length_that_was_renamed_over_is_another() {
        let place = Place::new();
        let before = place.prints();
        let other = place.file.with_extension("new");
        fs::write(&other, "eno").unwrap();
        fs::rename(&other, &place.file).unwrap();
        assert!(!is_same(&before, &place.prints()));
    }

    #[test]
    fn a_file_that_is_gone_for_a_moment_is_not_missed() {
        let (place, at) = (Place::new(), clock());
        let mut settling = Settling::new(place.prints());
        fs::remove_file(&place.file).unwrap();
        assert!(!settling.look(at(0), place.prints()));
        assert!(!settling.look(at(1900), place.prints()));
        fs::write(&place.file, "one").unwrap();
        assert!(!settling.look(at(1950), place.prints()));
        assert!(settling.look(at(2200), place.prints()));
        fs::remove_file(&place.file).unwrap();
        assert!(!settling.look(at(3000), place.prints()));
        assert!(settling.look(at(5000), place.prints()));
    }

    #[test]
    fn of_a_file_that_was_read_since_what_was_read_counts() {
        let (place, at) = (Place::new(), clock());
        let other = place.file.with_extension("key");
        fs::write(&other, "one").unwrap();
        let mut settling = Settling::new(place.prints());
        let read = place.prints().and(std::slice::from_ref(&other));
        fs::write(&other, "two").unwrap();
        settling.heeds(&read);
        assert!(!settling.look(at(0), settling.known.again()));
        assert!(settling.look(at(250), settling.known.again()));
        settling.heeds(&place.prints());
        assert!(!settling.look(at(300), place.prints()));
    }

    #[cfg(unix)]
    #[test]
    fn what_links_lead_to_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "b"] {
            fs::create_dir(path(name)).unwrap();
            fs::write(path(name).join("braid.toml"), name).unwrap();
        }
        std::os::unix::fs::symlink("a", path("data")).unwrap();
        std::os::unix::fs::symlink("data/braid.toml", path("braid.toml")).unwrap();
        let before = Prints::of(&[path("braid.toml")]);
        std::os::unix::fs::symlink("b", path("data.new")).unwrap();
        fs::rename(path("data.new"), path("data")).unwrap();
        assert!(!is_same(&before, &Prints::of(&[path("braid.toml")])));
    }
}
