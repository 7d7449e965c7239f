//! Arguments of a program that lead nowhere: scripts, files and folders that are not there.
//!
//! Looks whether files exist. What an argument is, is a matter of likelihood; what it is called is said as it is written,
//! since a reference in it may stand for something that nobody should read.

use std::ffi::OsStr;
use std::path::Path;

use crate::config::Command;

/// An argument that leads nowhere.
pub(super) struct Missing {
    pub(super) text: String,
    pub(super) help: String,
}

/// Scripts that an interpreter is to run, and folders and files that are named whole, as far as they are not there.
/// `written`: the same command as it is written.
pub(super) fn missing(command: &Command, written: Option<&Command>) -> Vec<Missing> {
    let mut found = Vec::new();
    let name = name_of(&command.program);
    let mut script_is_next = INTERPRETERS.iter().any(|known| {
        let rest = name.strip_prefix(known);
        rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
    });
    let mut before = "";
    for (at, argument) in command.args.iter().enumerate() {
        let follows_option = before.starts_with('-');
        let shown = written.and_then(|written| written.args.get(at)).unwrap_or(argument);
        before = argument;
        // What is run stands there itself, or is no file.
        script_is_next &= !["-c", "-e", "-m", "--eval", "--print", "-p"].contains(&argument.as_str());
        if argument.starts_with('-') || argument.chars().count() > ARGUMENT_CHARS_MAX {
            continue;
        }
        if argument.starts_with("~/") && !follows_option {
            found.push(Missing {
                text: format!("the argument `{shown}` is passed on as it is: no shell replaces `~`"),
                help: "write `${userHome}` in place of `~`".to_owned(),
            });
            continue;
        }
        let path = Path::new(argument);
        let is_script =
            script_is_next && ENDS.iter().any(|(end, _)| path.extension() == Some(OsStr::new(end)));
        // What follows an option may be a file that is to be made, or no file at all.
        let is_whole = path.is_absolute() && path.components().count() > 2 && !follows_option;
        script_is_next = false;
        let file = command.folder.join(path);
        if !(is_script || is_whole) || file.exists() {
            continue;
        }
        let folder = command.folder.display();
        let text = match path.is_absolute() {
            true => format!("the argument `{shown}` names a file or folder that does not exist"),
            false => format!("`{shown}` does not exist in {folder}, where the program runs"),
        };
        let help = match path.is_absolute() {
            true => "correct the path".to_owned(),
            false => "write the whole path, or set `cwd`".to_owned(),
        };
        found.push(Missing { text, help });
    }
    found.truncate(MISSING_MAX);
    found
}

/// The name of a program without its folder.
pub(super) fn name_of(program: &str) -> &str {
    Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or(program)
}

const INTERPRETERS: [&str; 15] = [
    "python", "node", "nodejs", "deno", "bun", "tsx", "ts-node", "ruby", "perl", "php", "sh", "bash", "zsh",
    "pwsh", "Rscript",
];

/// Ends of scripts, and what runs them.
pub(super) const ENDS: [(&str, &str); 12] = [
    ("py", "python3"),
    ("js", "node"),
    ("mjs", "node"),
    ("cjs", "node"),
    ("ts", "tsx"),
    ("sh", "sh"),
    ("rb", "ruby"),
    ("pl", "perl"),
    ("php", "php"),
    ("zsh", "zsh"),
    ("ps1", "pwsh"),
    ("R", "Rscript"),
];

pub(super) const MISSING_MAX: usize = 4;
/// A longer argument is no path.
const ARGUMENT_CHARS_MAX: usize = 1024;
