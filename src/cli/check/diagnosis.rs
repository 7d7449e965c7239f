//! Why a program does not start, what explains it, and what to write instead.
//!
//! Looks at the same files in the same environment as the start itself, so it can be asked before one as well. It starts
//! nothing and changes nothing; values of variables get into none of its words.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::arguments::{ENDS, Missing, missing, name_of};
use super::clients::Client;
use super::places::Places;
use super::remedy::{Syntax, install, quoted};
use super::report::{Failure, Finding};
use crate::config::codes::Code;
use crate::config::{Command, Config, PathFromShell, Reach, ServerConfig};
use crate::upstream::environment::{find, unmarked};
use crate::upstream::login_shell::is_short;
use crate::upstream::program::{Lack, SpawnError, foresee};

/// What is around a program, and how it is written down.
pub(super) struct Around<'a> {
    pub(super) config: &'a Config,
    /// The same with its references as they are written.
    pub(super) written: Option<&'a Config>,
    /// Our own variables.
    pub(super) ours: Vec<(OsString, OsString)>,
    pub(super) home: Option<PathBuf>,
    pub(super) places: Places,
    /// Whom the servers are for.
    pub(super) client: Option<&'static Client>,
}

/// One server's program in its surroundings.
struct Case<'a> {
    around: &'a Around<'a>,
    server: &'a ServerConfig,
    command: &'a Command,
    environment: BTreeMap<OsString, OsString>,
}

/// Why the program cannot start, as far as that can be known beforehand. `command`: with the PATH that it gets.
pub(super) fn foreseen(around: &Around<'_>, server: &ServerConfig, command: &Command) -> Option<Failure> {
    let case = Case::new(around, server, command);
    let error = foresee(command, case.path()).err()?;
    let mut failure = Failure::new(error.code(), "");
    case.explain(&error, &mut failure);
    Some(failure)
}

/// Explains a failure that has been.
pub(super) fn explain(
    around: &Around<'_>,
    server: &ServerConfig,
    command: &Command,
    mut failure: Failure,
) -> Failure {
    let case = Case::new(around, server, command);
    if let Err(error) = foresee(command, case.path()) {
        if failure.code != error.code() {
            // What happened is what comes of it.
            failure.facts.push(format!("so {}", failure.message));
            failure.code = error.code();
        }
        case.explain(&error, &mut failure);
        return failure;
    }
    if failure.code == Code::ExitedEarly {
        for Missing { text, help } in missing(command, around.written_command(server)) {
            failure.facts.push(text);
            failure.fixes.push(help);
        }
        case.name_variables(&mut failure);
    } else if failure.code == Code::NoHandshake {
        if RUNNERS.contains(&name_of(&command.program)) {
            let fact = format!(
                "`{}` downloads what it runs, which may take long the first time",
                name_of(&command.program)
            );
            failure.facts.push(fact);
            failure.fixes.push("run the command once by hand".to_owned());
        }
        failure.fixes.push(case.syntax().setting(&server.key, "timeouts.start = \"2m\""));
    }
    failure
}

/// What may be wrong with the command of a program that starts.
pub(super) fn findings(around: &Around<'_>, server: &ServerConfig, command: &Command) -> Vec<Finding> {
    let key = Some(server.key.as_str());
    let missing = missing(command, around.written_command(server))
        .into_iter()
        .map(|argument| Finding::warning(key, Code::ArgumentMissing, argument.text).help(argument.help));
    let hidden = only_in_shell(around, server, command);
    missing.chain(hidden).collect()
}

/// A program that a desktop app's Braid would not find.
fn only_in_shell(around: &Around<'_>, server: &ServerConfig, command: &Command) -> Option<Finding> {
    let case = Case::new(around, server, command);
    let declares_one = command.env.iter().any(|(name, _)| name == "PATH");
    let starts_in_terminal = around.client.is_some_and(|client| !client.is_desktop_app);
    let is_asked = server.path_from_shell != PathFromShell::Never;
    if is_asked || starts_in_terminal || declares_one || case.is_path() {
        return None;
    }
    let file = find(&command.program, case.path(), &command.folder).ok()?;
    let folder = file.parent()?.to_str()?;
    if is_short(folder) {
        return None;
    }
    let text = format!(
        "`{}` is in {}, where a desktop app's Braid does not look",
        command.program,
        around.shown(Path::new(folder))
    );
    Some(Finding::warning(Some(&server.key), Code::OnlyInShell, text).help(case.syntax().command(&file)))
}

impl Around<'_> {
    fn written_command(&self, server: &ServerConfig) -> Option<&Command> {
        let written = self.written?.servers.iter().find(|written| written.key == server.key)?;
        match &written.reach {
            Reach::Stdio(command) => Some(command),
            Reach::Http(_) => None,
        }
    }

    /// A path with `~` for the home folder.
    fn shown(&self, path: &Path) -> String {
        let inside = self.home.as_deref().and_then(|home| path.strip_prefix(home).ok());
        match inside {
            Some(inside) => Path::new("~").join(inside).display().to_string(),
            None => path.display().to_string(),
        }
    }

    /// The folders of a PATH, each once, as many as fit into a line.
    fn shown_path(&self, path: &OsStr) -> String {
        let mut folders: Vec<String> = Vec::new();
        for folder in std::env::split_paths(path).filter(|folder| !folder.as_os_str().is_empty()) {
            let shown = self.shown(&folder);
            if !folders.contains(&shown) {
                folders.push(shown);
            }
        }
        let mut text = String::new();
        for (at, folder) in folders.iter().enumerate() {
            if at > 0 && text.len() + folder.len() > PATH_CHARS_MAX {
                return format!("{text}:… ({} folders)", folders.len());
            }
            text.push_str(if at > 0 { ":" } else { "" });
            text.push_str(folder);
        }
        if text.is_empty() { "an empty PATH".to_owned() } else { text }
    }
}

impl<'a> Case<'a> {
    fn new(around: &'a Around<'_>, server: &'a ServerConfig, command: &'a Command) -> Self {
        let environment = unmarked(command, around.ours.iter().cloned());
        Self { around, server, command, environment }
    }

    /// That of the program.
    fn path(&self) -> &OsStr {
        self.environment.get(OsStr::new("PATH")).map_or_else(|| OsStr::new(""), OsString::as_os_str)
    }

    fn syntax(&self) -> Syntax {
        Syntax::of(self.around.config)
    }

    fn is_path(&self) -> bool {
        self.command.program.contains(std::path::is_separator)
    }

    /// Says what happened, what explains it, and what to do.
    fn explain(&self, error: &SpawnError, failure: &mut Failure) {
        failure.message = error.to_string();
        match error {
            SpawnError::NotFound { program, .. } => {
                failure.message = format!("`{program}` not found");
                self.search(program, failure);
            }
            SpawnError::NoSuchFile { file } => {
                self.say_where_paths_start(file, failure);
                let name = name_of(&self.command.program);
                if find(name, self.path(), &self.command.folder).is_ok() {
                    failure.facts.push(format!("`{name}` is in PATH"));
                    failure.fixes.push(self.syntax().command(Path::new(name)));
                }
            }
            SpawnError::NotPermitted { file, .. } => {
                failure.fixes.push(format!("chmod +x {}", quoted(file)));
                failure.fixes.extend(self.by_interpreter(file));
            }
            SpawnError::IsFolder { folder } => {
                let fix = self.syntax().command(&folder.join("…"));
                failure.fixes.push(format!("name the program in it: {fix}"));
            }
            SpawnError::Folder { folder } => {
                self.say_where_paths_start(folder, failure);
                failure.fixes.push(format!("mkdir {}", quoted(folder)));
                failure.fixes.push("another `cwd`".to_owned());
            }
            SpawnError::NoFolder { .. } => failure.fixes.push("another `cwd`".to_owned()),
            SpawnError::Interpreter { file, lack } => self.explain_lack(file, lack, failure),
            SpawnError::NoProgram { file } => {
                failure.fixes.push("a first line such as `#!/bin/sh`, if it is a script".to_owned());
                failure.fixes.extend(self.by_interpreter(file));
            }
            SpawnError::Other { .. } => {}
        }
    }

    fn explain_lack(&self, file: &Path, lack: &Lack, failure: &mut Failure) {
        match lack {
            Lack::InPath { name, .. } => {
                failure.message =
                    format!("`{}` is there, but `{name}`, which runs it, is not", file.display());
                self.say_where_was_looked(failure);
                let found = self.around.places.find(name);
                self.say_found(&found, failure);
                match found.first().and_then(|file| file.parent()) {
                    Some(folder) => {
                        failure.fixes.push(self.syntax().path_with(folder));
                        failure.fixes.extend(self.asks_shell(name));
                    }
                    None => failure.fixes.push(install(name)),
                }
            }
            Lack::Interpreter { interpreter } => {
                let name = interpreter.file_name().and_then(OsStr::to_str).unwrap_or_default();
                match find(name, self.path(), &self.command.folder) {
                    Ok(there) => {
                        failure.facts.push(format!("`{name}` is {}", there.display()));
                        failure.fixes.push(format!("`#!{}` as its first line", there.display()));
                        failure.fixes.push(self.syntax().runs(&there, file));
                    }
                    Err(_) => failure.fixes.push(install(name)),
                }
            }
            Lack::CarriageReturn { .. } => {
                failure.fixes.push(format!("sed -i 's/\\r$//' {}", quoted(file)));
                failure.fixes.extend(self.by_interpreter(file));
            }
            Lack::Loader => {}
        }
    }

    /// Where a program is that PATH does not lead to.
    fn search(&self, program: &str, failure: &mut Failure) {
        self.say_where_was_looked(failure);
        let found = self.around.places.find(program);
        self.say_found(&found, failure);
        if let Some(file) = found.first() {
            let there = Command { program: file.display().to_string(), ..self.command.clone() };
            // What runs it may lie beside it, and be looked for in PATH.
            match (foresee(&there, self.path()), file.parent()) {
                (Err(SpawnError::Interpreter { .. }), Some(folder)) => {
                    failure.fixes.push(self.syntax().path_with(folder));
                }
                (Ok(_) | Err(_), _) => failure.fixes.push(self.syntax().command(file)),
            }
            failure.fixes.extend(self.asks_shell(program));
            return;
        }
        if program.split_whitespace().nth(1).is_some() {
            failure.facts.push("no shell is involved: `command` is the name of one program".to_owned());
            failure.fixes.push("put what follows the program's name into `args`".to_owned());
            return;
        }
        let mut others = OTHER_NAMES.iter().filter(|(name, _)| *name == program).map(|(_, other)| *other);
        let there = |other: &&str| find(other, self.path(), &self.command.folder).is_ok();
        match others.find(there) {
            Some(other) => {
                failure.facts.push(format!("`{other}` is there"));
                failure.fixes.push(self.syntax().command(Path::new(other)));
            }
            None => failure.fixes.push(install(program)),
        }
    }

    fn say_where_was_looked(&self, failure: &mut Failure) {
        let path = self.path();
        let is_short = path.to_str().is_some_and(is_short) && !path.is_empty();
        let why = if is_short { " (the short PATH that desktop apps get)" } else { "" };
        failure.facts.push(format!("looked in {}{why}", self.around.shown_path(path)));
    }

    fn say_found(&self, found: &[PathBuf], failure: &mut Failure) {
        if !found.is_empty() {
            let files: Vec<String> = found.iter().map(|file| self.around.shown(file)).collect();
            failure.facts.push(format!("found: {}", files.join(", ")));
        }
    }

    fn say_where_paths_start(&self, path: &Path, failure: &mut Failure) {
        let folder = &self.around.config.folder;
        if path.starts_with(folder) && self.syntax() != Syntax::CommandLine {
            let fact = format!(
                "relative paths start from {}, the folder of the configuration",
                self.around.shown(folder)
            );
            failure.facts.push(fact);
        }
    }

    /// Variables that the program asks for on stderr, that we have, and that it does not get.
    fn name_variables(&self, failure: &mut Failure) {
        let mut names: Vec<&str> = Vec::new();
        for word in failure.stderr.iter().flat_map(|line| line.split(|c: char| !is_of_name(c))) {
            let is_variable = word.len() >= 4 && word.contains('_') && !word.starts_with('_');
            let is_ours = || self.around.ours.iter().any(|(name, _)| name == word);
            let is_theirs = self.environment.contains_key(OsStr::new(word));
            if is_variable && !is_theirs && !names.contains(&word) && is_ours() {
                names.push(word);
            }
        }
        let mut fixes = Vec::new();
        for name in names.iter().take(VARIABLES_MAX) {
            failure.facts.push(format!(
                "`{name}` is set where Braid runs; a server gets only the variables that its entry declares"
            ));
            fixes.push(self.syntax().variable(name));
        }
        failure.fixes.extend(fixes);
    }

    fn by_interpreter(&self, script: &Path) -> Option<String> {
        let end = script.extension()?.to_str()?;
        let (_, interpreter) = ENDS.iter().find(|(known, _)| *known == end)?;
        find(interpreter, self.path(), &self.command.folder).ok()?;
        Some(self.syntax().runs(Path::new(interpreter), script))
    }

    /// That the login shell is asked, if it knows the program.
    fn asks_shell(&self, program: &str) -> Option<String> {
        let knows = self.around.places.shell_finds(program);
        let may = self.syntax() == Syntax::Own && self.server.path_from_shell != PathFromShell::Always;
        (knows && may).then(|| self.syntax().setting(&self.server.key, "path_from_shell = \"always\""))
    }
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_'
}

/// Programs that fetch what they run.
const RUNNERS: [&str; 7] = ["npx", "uvx", "bunx", "pnpx", "pipx", "docker", "podman"];

const OTHER_NAMES: [(&str, &str); 5] =
    [("python", "python3"), ("python3", "python"), ("node", "nodejs"), ("pip", "pip3"), ("docker", "podman")];

/// As much of a PATH is shown.
const PATH_CHARS_MAX: usize = 60;
const VARIABLES_MAX: usize = 3;
#[cfg(test)]
#[cfg(unix)]
mod tests;
