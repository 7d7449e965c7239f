//! The `braid.toml` that a command changes: found, held against what Braid would load, written all at once.
//!
//! A text that would not load is never written. What only this moment lacks, such as a variable that is not set
//! here, is said and does not keep anybody from writing.

use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::{Globals, out, source};
use crate::config::Config;
use crate::config::codes::Code;
use crate::config::edit::EditError;
use crate::config::edit::save::{self, Backup, Found, SaveError};
use crate::config::file::{from_text_with, is_clients};
use crate::config::problem::{Report, Severity};
use crate::config::search::search;
use crate::config::variables::{Purpose, Surroundings};
use crate::wire::members::quote;

/// The file, whether it is there or not.
pub(super) struct Edited {
    pub(super) found: Found,
}

/// Where servers are written: a file that was named, the one that Braid reads, or `braid.toml` in this folder.
pub(super) fn target(named: Option<&Path>) -> PathBuf {
    let search = search(named, &variable, &|path| path.is_file());
    search.found().map_or_else(|| PathBuf::from("braid.toml"), |(path, _)| path.to_owned())
}

impl Edited {
    /// Reads the file; the exit code, with everything said, where it cannot be changed.
    pub(super) fn open(named: Option<&Path>, globals: &Globals) -> Result<Self, Exit> {
        let path = target(named);
        let found = save::read(&path).map_err(|error| failed(&error, globals))?;
        let shown = path.display().to_string();
        if is_clients(found.text.as_deref().unwrap_or_default(), &shown) {
            let text = format!(
                "`{shown}` is a client's own file, which Braid reads and does not write; name a braid.toml instead"
            );
            return Err(out::fail(Exit::BadConfig, &text, globals));
        }
        Ok(Self { found })
    }

    pub(super) fn path(&self) -> String {
        self.found.path.display().to_string()
    }

    /// The text that is there; nothing for no file.
    pub(super) fn text(&self) -> &str {
        self.found.text.as_deref().unwrap_or_default()
    }

    /// Holds a new text against what Braid would load, and gives what it needs beyond the old one and does
    /// not find at this moment.
    pub(super) fn judge(&self, text: &str, globals: &Globals) -> Result<Vec<String>, Exit> {
        match self.load(text, Purpose::Show) {
            Ok(_) => {}
            Err(report) if lacks_servers_only(&report) => {}
            Err(report) => {
                let exit = source::refused(&report, globals);
                let text = format!("nothing was written: `{}` would not load", self.path());
                out::say_unless_json(&text, globals);
                return Err(exit);
            }
        }
        // What was missing before is nobody's news.
        let before = self.missing(self.text());
        let mut missing = self.missing(text);
        missing.retain(|what| !before.contains(what));
        Ok(missing)
    }

    /// What a text needs and does not find at this moment, each once.
    fn missing(&self, text: &str) -> Vec<String> {
        let problems = self.load(text, Purpose::Run).map_or_else(|report| report.problems, |_| Vec::new());
        let mut missing: Vec<String> = Vec::new();
        for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
            let said = problem.words();
            if problem.code != Code::NoServers && !missing.contains(&said) {
                missing.push(said);
            }
        }
        missing
    }

    /// The configuration as it is now, references as they are written; `None` when it does not load.
    pub(super) fn config(&self) -> Option<Config> {
        self.load(self.text(), Purpose::Show).ok().map(|loaded| loaded.config)
    }

    fn load(&self, text: &str, purpose: Purpose) -> Result<crate::config::file::Loaded, Report> {
        let folder = self.found.path.parent().unwrap_or_else(|| Path::new("."));
        from_text_with(text, &self.path(), folder, &Surroundings::of_process(&variable), purpose)
    }

    /// Writes a text that was judged.
    pub(super) fn write(&self, text: &str, copy: Backup, globals: &Globals) -> Result<(), Exit> {
        save::write(&self.found, text, copy).map_err(|error| failed(&error, globals))
    }
}

/// Whether nothing is wrong but that no server is there yet, or any more. That is said of the file as a whole; a group
/// without servers has a place.
fn lacks_servers_only(report: &Report) -> bool {
    let mut errors = report.problems.iter().filter(|problem| problem.severity == Severity::Error);
    errors.all(|problem| problem.code == Code::NoServers && problem.place().is_none())
}

/// Says why a file could not be read or written.
pub(super) fn failed(error: &SaveError, globals: &Globals) -> Exit {
    let exit = match error {
        SaveError::Unreadable { .. } | SaveError::NoFile(_) | SaveError::LeadsNowhere(_) => Exit::BadConfig,
        SaveError::Io { .. } | SaveError::Changed(_) => Exit::Unexpected,
    };
    out::fail(exit, &error.to_string(), globals)
}

/// Says why a text could not be changed.
pub(super) fn refused(path: &str, error: &EditError, globals: &Globals) -> Exit {
    out::fail(Exit::BadConfig, &format!("`{path}`: {error}; nothing was written"), globals)
}

/// The one shape of what these commands did, as JSON.
pub(super) fn outcome(path: &str, server: &str, done: &str, written: bool, notes: &[String]) -> String {
    let notes: Vec<_> = notes.iter().map(|note| quote(note)).collect();
    format!(
        r#"{{"file":{},"server":{},"done":"{done}","written":{written},"notes":[{}]}}"#,
        quote(path),
        quote(server),
        notes.join(",")
    )
}

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
