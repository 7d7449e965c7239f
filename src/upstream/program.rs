//! The program of a command: where it is, and why it cannot be started.
//!
//! Looks at files and changes nothing. What only the system can judge, it judges when the program is started; what is
//! known of a failure beforehand and afterwards is told apart here, because each has another remedy.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::environment::find;
use crate::config::Command;
use crate::config::codes::Code;

/// Why a program cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No folder of PATH has it.
    #[error("`{program}` not found; looked in {looked_in}")]
    NotFound { program: String, looked_in: String },
    /// It is named by a path, and there is nothing.
    #[error("`{}` does not exist", file.display())]
    NoSuchFile { file: PathBuf },
    #[error("`{}` may not be run: {why}", file.display())]
    NotPermitted { file: PathBuf, why: &'static str },
    #[error("`{}` is a folder and no program", folder.display())]
    IsFolder { folder: PathBuf },
    #[error("the folder `{}` does not exist", folder.display())]
    Folder { folder: PathBuf },
    #[error("`{}`, in which it is to run, is no folder", folder.display())]
    NoFolder { folder: PathBuf },
    /// A script that nothing can read out.
    #[error("`{}` cannot be run: {lack}", file.display())]
    Interpreter { file: PathBuf, lack: Lack },
    #[error("`{}` is no program for this machine, and no script: its first line does not begin with `#!`", file.display())]
    NoProgram { file: PathBuf },
    #[error("`{program}` could not be started: {source}")]
    Other { program: String, source: io::Error },
}

/// What a script, or the system that is to run it, goes without.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    #[error("its first line names `{}`, which does not exist", interpreter.display())]
    Interpreter { interpreter: PathBuf },
    /// `#!/usr/bin/env node`.
    #[error("its first line asks for `{name}`, which is not found; looked in {looked_in}")]
    InPath { name: String, looked_in: String },
    #[error("its first line ends as lines of Windows do, so that the system looks for `{name}\\r`")]
    CarriageReturn { name: String },
    #[error("the system's loader for it is missing; is it for another system or another C library?")]
    Loader,
}

impl SpawnError {
    /// The stable code that `explain` knows.
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } | Self::NoSuchFile { .. } => Code::ProgramNotFound,
            Self::NotPermitted { .. } | Self::IsFolder { .. } => Code::NotPermitted,
            Self::Folder { .. } | Self::NoFolder { .. } => Code::FolderNotFound,
            Self::Interpreter { .. } => Code::InterpreterNotFound,
            Self::NoProgram { .. } | Self::Other { .. } => Code::NotStarted,
        }
    }

    /// Trying again may help: the system was short of something, rather than the configuration wrong.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotFound { .. }
            | Self::NoSuchFile { .. }
            | Self::NotPermitted { .. }
            | Self::IsFolder { .. }
            | Self::Folder { .. }
            | Self::NoFolder { .. }
            | Self::Interpreter { .. }
            | Self::NoProgram { .. } => false,
            Self::Other { .. } => true,
        }
    }
}

/// The file that a command would start with this PATH, in its folder.
pub fn locate(command: &Command, path: &OsStr) -> Result<PathBuf, SpawnError> {
    let folder = &command.folder;
    if !folder.is_dir() {
        let folder = folder.clone();
        return Err(match folder.exists() {
            true => SpawnError::NoFolder { folder },
            false => SpawnError::Folder { folder },
        });
    }
    let named_by_path = command.program.contains(std::path::is_separator);
    match find(&command.program, path, folder) {
        Ok(file) => Ok(file),
        Err(Some(file)) => Err(SpawnError::NotPermitted { file: plain(&file), why: "it is not executable" }),
        Err(None) if named_by_path => {
            let file = plain(&folder.join(&command.program));
            Err(match file.is_dir() {
                true => SpawnError::IsFolder { folder: file },
                false => SpawnError::NoSuchFile { file },
            })
        }
        Err(None) => {
            Err(SpawnError::NotFound { program: command.program.clone(), looked_in: looked_in(path) })
        }
    }
}

/// The same, and what can be known beforehand of whether the system will run it: a script that asks for an interpreter
/// which nobody has starts well, and ends at once.
pub fn foresee(command: &Command, path: &OsStr) -> Result<PathBuf, SpawnError> {
    let file = locate(command, path)?;
    match lack(&file, path, &command.folder) {
        Some(lack) => Err(SpawnError::Interpreter { file, lack }),
        None => Ok(file),
    }
}

/// Why the system did not start a file that is there and may be run.
pub(super) fn unstarted(command: &Command, path: &OsStr, file: PathBuf, source: io::Error) -> SpawnError {
    let kind = source.kind();
    if kind == io::ErrorKind::PermissionDenied {
        SpawnError::NotPermitted { file, why: "the system does not permit it" }
    } else if kind == io::ErrorKind::NotFound {
        let lack = lack(&file, path, &command.folder).unwrap_or(Lack::Loader);
        SpawnError::Interpreter { file, lack }
    } else if cfg!(unix) && source.raw_os_error() == Some(NO_PROGRAM) {
        // The standard library has no stable name for ENOEXEC.
        SpawnError::NoProgram { file }
    } else {
        SpawnError::Other { program: command.program.clone(), source }
    }
}

/// What a script goes without, as far as its first line says. `None`: nothing, or it is no script.
fn lack(file: &Path, path: &OsStr, folder: &Path) -> Option<Lack> {
    if cfg!(windows) {
        return None;
    }
    let first = first_line(file)?;
    let line = first.strip_prefix("#!")?;
    let ends_in_return = line.ends_with('\r');
    let mut words = line.split_whitespace();
    let interpreter = Path::new(words.next()?);
    // The name as far as it is one, for a sentence.
    let last = words.clone().last();
    if ends_in_return {
        let name = last.unwrap_or_else(|| interpreter.to_str().unwrap_or_default());
        return Some(Lack::CarriageReturn { name: name.to_owned() });
    }
    // A relative one starts from the folder that the script runs in.
    if !folder.join(interpreter).exists() {
        return Some(Lack::Interpreter { interpreter: interpreter.to_owned() });
    }
    if interpreter.file_name() != Some(OsStr::new("env")) {
        return None;
    }
    // `env -S node --flag`, `env A=b node`.
    let name = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    match find(name, path, folder) {
        Ok(_) => None,
        Err(_) => Some(Lack::InPath { name: name.to_owned(), looked_in: looked_in(path) }),
    }
}

/// Without its line feed. `None` if it is longer than the system reads, or no text.
fn first_line(file: &Path) -> Option<String> {
    let mut head = Vec::new();
    File::open(file).ok()?.take(FIRST_LINE_BYTES_MAX).read_to_end(&mut head).ok()?;
    let end = memchr::memchr(b'\n', &head).unwrap_or(head.len());
    head.truncate(end);
    String::from_utf8(head).ok()
}

/// Without the `.` that a relative path leaves within it.
fn plain(file: &Path) -> PathBuf {
    file.components().collect()
}

fn looked_in(path: &OsStr) -> String {
    if path.is_empty() { "an empty PATH".to_owned() } else { path.to_string_lossy().into_owned() }
}

/// As much of a script's first line is read; Linux reads as much.
const FIRST_LINE_BYTES_MAX: u64 = 256;

/// ENOEXEC, the same on every Unix.
const NO_PROGRAM: i32 = 8;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What is said of a script with this first line, where `here` is PATH.
    fn said(first: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let file = here.join("tool");
        std::fs::write(&file, first).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let command = Command::new("tool", here);
        let foreseen = foresee(&command, here.as_os_str()).err().map(|error| error.to_string());
        foreseen.map(|said| said.replace(here.to_str().unwrap(), "HERE"))
    }

    #[test]
    fn a_script_says_what_it_goes_without() {
        for (first, lack) in [
            ("#!/no/such/python\n", "its first line names `/no/such/python`, which does not exist"),
            ("#! /no/such/python -u\n", "its first line names `/no/such/python`, which does not exist"),
            (
                "#!/usr/bin/env no-such-node\n",
                "its first line asks for `no-such-node`, which is not found; looked in HERE",
            ),
            (
                "#!/usr/bin/env -S no-such-node --flag\n",
                "its first line asks for `no-such-node`, which is not found; looked in HERE",
            ),
            (
                "#!/bin/sh\r\n",
                "its first line ends as lines of Windows do, so that the system looks for `/bin/sh\\r`",
            ),
            (
                "#!/usr/bin/env node\r\n",
                "its first line ends as lines of Windows do, so that the system looks for `node\\r`",
            ),
        ] {
            assert_eq!(said(first).unwrap(), format!("`HERE/tool` cannot be run: {lack}"), "{first:?}");
        }
    }

    #[test]
    fn of_what_may_run_nothing_is_said() {
        for first in ["", "\u{7f}ELF", "#!/bin/sh\n", "#!/bin/sh", "#!\n", "#!/usr/bin/env tool\n", "echo\n"]
        {
            assert_eq!(said(first), None, "{first:?}");
        }
        assert_eq!(said(&format!("#!/{}\n", "x".repeat(300))).map(|said| said.len() > 200), Some(true));
    }

    #[test]
    fn what_is_not_there_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        std::fs::write(here.join("plain"), "").unwrap();
        std::fs::create_dir(here.join("inner")).unwrap();
        let said = |program: &str, folder: &Path| {
            let error = locate(&Command::new(program, folder), OsStr::new("/a:/b")).unwrap_err();
            (error.code().id(), error.to_string().replace(here.to_str().unwrap(), "HERE"))
        };
        for (program, code, text) in [
            ("tool", "BRAID-S001", "`tool` not found; looked in /a:/b"),
            ("./tool", "BRAID-S001", "`HERE/tool` does not exist"),
            ("./plain", "BRAID-S004", "`HERE/plain` may not be run: it is not executable"),
            ("./inner", "BRAID-S004", "`HERE/inner` is a folder and no program"),
        ] {
            assert_eq!(said(program, here), (code, text.to_owned()));
        }
        let (code, text) = said("tool", &here.join("gone"));
        assert_eq!((code, text.as_str()), ("BRAID-S009", "the folder `HERE/gone` does not exist"));
        let (code, text) = said("tool", &here.join("plain"));
        assert_eq!(
            (code, text.as_str()),
            ("BRAID-S009", "`HERE/plain`, in which it is to run, is no folder")
        );
    }
}
