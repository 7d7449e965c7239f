//! The file in which every call is written down: who asked what of which server, and how it ended.
//!
//! Owns the file, opened for appending; one that others may read or write is for its owner alone from then on, and a pipe
//! is none. A line is handed to the system before anybody
//! hears of the outcome, so that a kill at any moment leaves no outcome without its line; a machine that loses its power
//! may lose the last of them. What cannot be written is counted and said once; whether calls go on then is the
//! operator's choice. Arguments are never in it: their SHA-256 is.

use super::stamp::stamp;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// The file of a run.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    is_required: bool,
    written: AtomicU64,
    lost: AtomicU64,
    sink: Mutex<Sink>,
}

#[derive(Debug)]
struct Sink {
    file: File,
    /// The file as the system knows it, where it does.
    identity: Option<(u64, u64)>,
    /// When it was looked whether the file is still at its place.
    looked: Instant,
    /// Lines that could not be written since the last that could.
    lost: u64,
    /// The last line may have been written in part.
    is_torn: bool,
}

impl Audit {
    /// `is_required`: no call goes on without its line.
    pub fn open(path: &Path, is_required: bool) -> io::Result<Self> {
        let file = opened(path)?;
        let identity = identity(&file.metadata()?);
        let sink = Sink { file, identity, looked: Instant::now(), lost: 0, is_torn: false };
        let (written, lost) = Default::default();
        Ok(Self { path: path.to_owned(), is_required, written, lost, sink: Mutex::new(sink) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lines that were written, and those that could not be.
    pub fn counts(&self) -> (u64, u64) {
        (self.written.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }

    /// Whether a call may begin. Not, where every call must be written down and the last could not be: unless that has
    /// passed, which is tried.
    pub(super) fn admits(&self) -> Result<(), Fault> {
        if !self.is_required {
            return Ok(());
        }
        let mut sink = self.sink.lock();
        match sink.lost == 0 || self.resumes(&mut sink).is_ok() {
            true => Ok(()),
            false => Err(self.fault().outcome(CallOutcome::NotSent)),
        }
    }

    /// Writes a line, which has no line end. The fault: it could not be written, and must be.
    pub(super) fn write(&self, line: &str) -> Result<(), Fault> {
        let mut sink = self.sink.lock();
        self.returns_to_place(&mut sink);
        let resumed = match sink.lost {
            0 => Ok(()),
            _ => self.resumes(&mut sink),
        };
        match resumed.and_then(|()| sink.put(line)) {
            Ok(()) => {
                self.written.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                sink.lost += 1;
                if sink.lost == 1 {
                    tracing::error!(event = "audit", path = %self.path.display(), %error, "calls are not written down");
                }
                if self.is_required { Err(self.fault().outcome(CallOutcome::Unknown)) } else { Ok(()) }
            }
        }
    }

    /// Says in the file that lines are missing, which shows whether it can be written to again.
    fn resumes(&self, sink: &mut Sink) -> io::Result<()> {
        let line =
            format!(r#"{{"time":"{}","event":"resumed","lost":{}}}"#, stamp(SystemTime::now()), sink.lost);
        sink.put(&line)?;
        tracing::warn!(event = "audit", lost = sink.lost, "calls are written down again");
        sink.lost = 0;
        Ok(())
    }

    /// Whoever keeps old lines away moves the file: then there is another at its place.
    fn returns_to_place(&self, sink: &mut Sink) {
        if sink.looked.elapsed() < LOOK {
            return;
        }
        sink.looked = Instant::now();
        let there = std::fs::metadata(&self.path).ok().map(|found| identity(&found));
        if there == Some(sink.identity) {
            return;
        }
        if let Ok(file) = opened(&self.path) {
            sink.identity = file.metadata().ok().and_then(|found| identity(&found));
            sink.file = file;
        }
    }

    fn fault(&self) -> Fault {
        let text =
            format!("the call cannot be written down in `{}` (admin.audit_required)", self.path.display());
        Fault::ours(Reason::Refused, text)
    }
}

impl Sink {
    /// In one piece, so that lines of several of us in one file do not mix.
    fn put(&mut self, line: &str) -> io::Result<()> {
        let whole = format!("{}{line}\n", if self.is_torn { "\n" } else { "" });
        self.is_torn = true;
        self.file.write_all(whole.as_bytes())?;
        self.is_torn = false;
        Ok(())
    }
}

#[cfg(unix)]
fn opened(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
    // Opening a pipe would wait for its reader.
    if let Ok(found) = std::fs::metadata(path)
        && !found.is_file()
        && !found.file_type().is_char_device()
    {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file; name another"));
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    keep_private(&file, path)?;
    Ok(file)
}

/// Takes a file from everybody but its owner.
#[cfg(unix)]
fn keep_private(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let found = file.metadata()?;
    if !found.is_file() || found.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(|error| {
        let text =
            format!("others may read or write it, and that cannot be changed ({error}); say `chmod 600`");
        io::Error::new(error.kind(), text)
    })?;
    tracing::warn!(event = "audit", path = %path.display(), "others could read or write the file; it is for its owner alone now");
    Ok(())
}

#[cfg(not(unix))]
fn opened(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(unix)]
fn identity(found: &std::fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> Option<(u64, u64)> {
    None
}

/// How often it is looked whether the file is still at its place.
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn lines_are_appended_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        Audit::open(&path, false).unwrap().write("1").unwrap();
        Audit::open(&path, false).unwrap().write("2").unwrap();
        assert_eq!(read(&path), "1\n2\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_could_read_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        std::fs::write(&path, "0\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        Audit::open(&path, false).unwrap().write("1").unwrap();
        assert_eq!(read(&path), "0\n1\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (said, answer) = std::sync::mpsc::channel();
        std::thread::spawn(move || said.send(Audit::open(&pipe, false).map(drop)));
        let refused = answer.recv_timeout(Duration::from_secs(20)).expect("it does not wait").unwrap_err();
        assert_eq!(refused.to_string(), "it is no regular file; name another");
        assert!(Audit::open(folder.path(), false).is_err());
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("audit"), folder.path().join("old"));
        let audit = Audit::open(&path, false).unwrap();
        audit.write("1").unwrap();
        std::fs::rename(&path, &old).unwrap();
        audit.sink.lock().looked = Instant::now().checked_sub(LOOK).unwrap();
        audit.write("2").unwrap();
        assert_eq!((read(&old), read(&path)), ("1\n".to_owned(), "2\n".to_owned()));
    }

    /// As on a full disk.
    fn full(is_required: bool) -> Audit {
        Audit::open(Path::new("/dev/full"), is_required).unwrap()
    }

    #[test]
    fn c07_what_cannot_be_written_is_counted_and_calls_go_on() {
        let audit = full(false);
        assert!(audit.admits().is_ok() && audit.write("1").is_ok() && audit.write("2").is_ok());
        assert_eq!(audit.counts(), (0, 2));
        assert!(audit.admits().is_ok());
    }

    #[test]
    fn c07_where_every_call_must_be_written_down_none_goes_on_without() {
        let audit = full(true);
        assert!(audit.admits().is_ok(), "nothing is known of it yet");
        assert_eq!(audit.write("1").unwrap_err().outcome, Some(CallOutcome::Unknown));
        let refused = audit.admits().unwrap_err();
        assert_eq!(refused.outcome, Some(CallOutcome::NotSent));
        assert_eq!(refused.text, "the call cannot be written down in `/dev/full` (admin.audit_required)");
    }

    #[test]
    fn what_is_missing_is_said_where_it_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let audit = full(true);
        audit.write("1").unwrap_err();
        audit.sink.lock().file = opened(&path).unwrap();
        audit.admits().unwrap();
        audit.write("2").unwrap();
        let text = read(&path);
        // The line before it may have been written in part.
        let lines: Vec<&str> = text.trim_start().lines().collect();
        assert!(lines[0].ends_with(r#""event":"resumed","lost":1}"#) && lines[1] == "2", "{text}");
    }
}
