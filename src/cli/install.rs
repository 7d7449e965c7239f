//! `braid install CLIENT`, `braid uninstall CLIENT`: our one entry in a client's own file, and out of it again.
//!
//! Without `--write` it is only shown. What is written leaves every other byte of the file as it was, and what was
//! there is kept beside it. No token is ever written: a client finds it in a variable.

use std::path::{Path, PathBuf};

use super::edited::{self, variable};
use super::exit::Exit;
use super::{Globals, out, source};
use crate::config::app::{App, OwnEntry, Reached};
use crate::config::edit::save::{self, Backup, Found, backup_of};
use crate::config::lasting::{Abode, abode};
use crate::config::own_entry::{self, Left, Standing};
use crate::config::places::{Ground, System};
use crate::config::search::search;
use crate::config::{Auth, Config, file};
use crate::wire::members::quote;

pub(super) struct Options {
    pub(super) client: String,
    pub(super) write: bool,
    /// Instead of the file that holds wherever the user is.
    pub(super) file: Option<PathBuf>,
    pub(super) name: String,
}

/// What the entry says.
pub(super) struct Entry {
    pub(super) config: Option<PathBuf>,
    pub(super) group: Option<String>,
    /// Where a Braid listens that runs by itself.
    pub(super) http: Option<String>,
    pub(super) token_variable: String,
}

pub(super) fn install(options: &Options, entry: &Entry, globals: &Globals) -> Exit {
    let (app, found) = match client(options, globals) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    let (own, hints) = match own_entry_of(app, entry, globals) {
        Ok(own) => own,
        Err(exit) => return exit,
    };
    let path = found.path.display().to_string();
    let standing = match &found.text {
        Some(text) => own_entry::standing(app, text, &options.name, program().as_deref()),
        None => Ok(Standing::None(Vec::new())),
    };
    let had = match standing {
        Ok(Standing::Others) => {
            let text = format!(
                "`{path}` has an entry `{}` that starts something else; choose another name with `--name`",
                options.name
            );
            return out::fail(Exit::BadConfig, &text, globals);
        }
        Ok(standing) => standing,
        Err(error) => return edited::refused(&path, &error, globals),
    };
    let new = match own_entry::installed(app, found.text.as_deref(), &options.name, &own) {
        Ok(new) => new,
        Err(error) => return edited::refused(&path, &error, globals),
    };
    let shown = own_entry::shown(app, &options.name, &own);
    let same = found.text.as_deref() == Some(new.as_str());
    let writes = options.write && !same;
    let copy = backup_wanted(app, &options.name, &found, &had);
    if writes && let Err(error) = save::write(&found, &new, copy) {
        return edited::failed(&error, globals);
    }
    let copied = writes && copy == Backup::Kept && found.text.is_some();
    if globals.json() {
        let done = if same { "there" } else { "installed" };
        let kept =
            if copied { quote(&backup_of(&found.path).display().to_string()) } else { "null".to_owned() };
        let hints: Vec<_> = hints.iter().map(|hint| quote(hint)).collect();
        return out::print(&format!(
            r#"{{"client":{},"file":{},"name":{},"done":"{done}","written":{writes},"kept":{kept},"entry":{},"notes":[{}]}}"#,
            quote(app.name()),
            quote(&path),
            quote(&options.name),
            quote(&shown),
            hints.join(",")
        ));
    }
    let printed = if options.write {
        let text = match (same, copied) {
            (true, _) => format!("{path} has this entry already"),
            (false, true) => {
                format!("wrote {path}; what was there is kept as {}", backup_of(&found.path).display())
            }
            (false, false) => format!("wrote {path}"),
        };
        out::print(&text)
    } else {
        out::say(&format!("for {}, in {path}:", app.title()));
        let printed = out::print(&shown);
        out::say(&format!(
            "nothing was written; `--write` puts it there{}",
            by_command(app, &options.name, entry)
        ));
        printed
    };
    if let Standing::None(others) = &had {
        for other in others {
            out::warn(
                &format!("`{other}` in that file starts Braid as well; one of the two is enough"),
                globals,
            );
        }
    }
    hints.iter().for_each(|hint| out::warn(hint, globals));
    if options.write && !same {
        out::say(&format!("{} reads it when it is started again", app.title()));
    }
    printed
}

/// Whether what is there now is kept. A copy that shows how it was without us is worth more than one that shows an
/// older entry of ours.
fn backup_wanted(app: App, name: &str, found: &Found, standing: &Standing) -> Backup {
    let Some(now) = found.text.as_deref().filter(|_| *standing == Standing::Ours) else {
        return Backup::Kept;
    };
    let copy = save::read(&backup_of(&found.path)).ok().and_then(|copy| copy.text);
    let without_us = copy.is_some_and(|copy| {
        matches!(own_entry::uninstalled(app, now, Some(&copy), name), Ok(Left::Before(_)))
    });
    if without_us { Backup::None } else { Backup::Kept }
}

pub(super) fn uninstall(options: &Options, globals: &Globals) -> Exit {
    let (app, found) = match client(options, globals) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    let path = found.path.display().to_string();
    let Some(now) = &found.text else {
        return out::fail(
            Exit::BadConfig,
            &format!("there is no `{path}`, so there is no entry to take out"),
            globals,
        );
    };
    match own_entry::standing(app, now, &options.name, program().as_deref()) {
        Ok(Standing::Ours) => {}
        Ok(Standing::Others) => {
            let text = format!("the entry `{}` in `{path}` starts something else and stays", options.name);
            return out::fail(Exit::BadConfig, &text, globals);
        }
        Ok(Standing::None(others)) => {
            let instead = match others.first() {
                Some(other) => format!("; `{other}` starts Braid: `--name {other}` takes it out"),
                None => String::new(),
            };
            let text = format!("`{path}` has no entry `{}`{instead}", options.name);
            return out::fail(Exit::BadConfig, &text, globals);
        }
        Err(error) => return edited::refused(&path, &error, globals),
    }
    let copy = match save::read(&backup_of(&found.path)) {
        Ok(copy) => copy,
        Err(error) => return edited::failed(&error, globals),
    };
    let left = match own_entry::uninstalled(app, now, copy.text.as_deref(), &options.name) {
        Ok(left) => left,
        Err(error) => return edited::refused(&path, &error, globals),
    };
    if options.write {
        let done = match &left {
            Left::Before(text) => save::write(&found, text, Backup::None).and_then(|()| save::remove(&copy)),
            Left::Nothing => save::remove(&found),
            Left::Rest(text) => save::write(&found, text, Backup::None),
        };
        if let Err(error) = done {
            return edited::failed(&error, globals);
        }
    }
    let (word, becomes) = match &left {
        Left::Before(_) => ("restored", "as it was before the entry, byte for byte"),
        Left::Nothing => ("gone", "removed, since it holds nothing but the entry"),
        Left::Rest(_) => ("rest", "without the entry; what else was changed stays"),
    };
    if globals.json() {
        return out::print(&format!(
            r#"{{"client":{},"file":{},"name":{},"done":"{word}","written":{}}}"#,
            quote(app.name()),
            quote(&path),
            quote(&options.name),
            options.write
        ));
    }
    let printed = out::print(&format!("{path}: {becomes}"));
    if !options.write {
        out::say("nothing was written; `--write` does it");
    } else if matches!(left, Left::Rest(_)) && copy.text.is_some() {
        out::say(&format!(
            "the file from before the entry is still there: {}",
            backup_of(&found.path).display()
        ));
    }
    printed
}

/// The client that is meant, and its file.
fn client(options: &Options, globals: &Globals) -> Result<(App, Found), Exit> {
    let Some(app) = App::named(&options.client) else {
        let names: Vec<_> = App::ALL.iter().map(|app| app.name()).collect();
        let text = format!("no client `{}` is known; there are {}", options.client, names.join(", "));
        return Err(out::fail(Exit::Usage, &text, globals));
    };
    if options.name.trim().is_empty() || options.name.chars().any(char::is_control) {
        return Err(out::fail(Exit::Usage, "the entry needs a name without control characters", globals));
    }
    let current = std::env::current_dir().unwrap_or_default();
    let ground = Ground { system: System::here(), env: &variable, current_folder: &current };
    let Some(path) = options.file.clone().or_else(|| ground.own(app)) else {
        let text = format!(
            "no home folder is known, so the file of {} is not either; name it with `--file`",
            app.title()
        );
        return Err(out::fail(Exit::BadConfig, &text, globals));
    };
    let found = save::read(&path).map_err(|error| edited::failed(&error, globals))?;
    Ok((app, found))
}

/// The entry, and what its user must know.
fn own_entry_of(app: App, entry: &Entry, globals: &Globals) -> Result<(OwnEntry, Vec<String>), Exit> {
    let mut hints = Vec::new();
    let reached = match &entry.http {
        Some(url) => {
            Config::for_url(url, Path::new(".")).map_err(|report| source::refused(&report, globals))?;
            let config = configuration(entry.config.as_deref(), globals)?.map(|(config, _)| config);
            // Of an identity provider the client gets its token by itself.
            let open = config.as_ref().is_some_and(|config| config.listen.auth != Auth::Token);
            let token_variable = (!open).then(|| entry.token_variable.clone());
            if let Some(name) = &token_variable {
                let listen = config.map(|config| config.listen);
                let file = listen.and_then(|listen| listen.token_file).map_or_else(
                    || "the file that `braid serve` names at its start".to_owned(),
                    |file| file.display().to_string(),
                );
                hints.push(format!("set {name} where {} is started: to the token in {file}", app.title()));
            }
            Reached::Url { url: url.clone(), token_variable }
        }
        None => {
            let Some((config, path)) = configuration(entry.config.as_deref(), globals)? else {
                let report = search(None, &variable, &|path| path.is_file()).report();
                return Err(source::refused(&report, globals));
            };
            let config = source::within(config, entry.group.as_deref(), globals)?;
            drop(config);
            let whole = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
            let Some(program) = program().map(whole) else {
                return Err(out::fail(
                    Exit::Unexpected,
                    "where this program is, the system does not say",
                    globals,
                ));
            };
            let path = whole(path);
            let (program, mut args, hint) = lasting(program);
            hints.extend(hint);
            let (Some(program), Some(path)) = (program.to_str(), path.to_str()) else {
                return Err(out::fail(
                    Exit::BadConfig,
                    "a path that is no text cannot be written down",
                    globals,
                ));
            };
            args.extend(["stdio".to_owned(), "-c".to_owned(), path.to_owned()]);
            args.extend(entry.group.iter().flat_map(|group| ["--group".to_owned(), group.clone()]));
            Reached::Program { program: program.to_owned(), args }
        }
    };
    match app.entry(&reached) {
        Ok(own) => Ok((own, hints)),
        Err(why) => Err(out::fail(Exit::Usage, &why.to_string(), globals)),
    }
}

/// The configuration that the entry leads to, as it is written, and where it is; `None` where there is none.
fn configuration(named: Option<&Path>, globals: &Globals) -> Result<Option<(Config, PathBuf)>, Exit> {
    let search = search(named, &variable, &|path| path.is_file());
    let Some((path, _)) = search.found() else { return Ok(None) };
    match file::load_as_written(path, &variable) {
        Ok(loaded) => Ok(Some((loaded.config, path.to_owned()))),
        Err(report) => Err(source::refused(&report, globals)),
    }
}

/// Where this program is: by the name that a person would use, where that leads here.
fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let real = std::fs::canonicalize(&own).unwrap_or_else(|_| own.clone());
    let name = own.file_name()?;
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut named =
        std::env::split_paths(&folders).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    let found = named.find(|path| std::fs::canonicalize(path).is_ok_and(|path| path == real));
    Some(found.unwrap_or(own))
}

/// The program and the words with which we can be started tomorrow, and what the user must know of that.
fn lasting(program: PathBuf) -> (PathBuf, Vec<String>, Option<String>) {
    let shown = program.display();
    let hint = match abode(&program, &temporary_folders(), &|path| path.exists()) {
        Abode::Lasting => return (program, Vec::new(), None),
        Abode::Cached(runner) => {
            let (name, words) = runner.words();
            let hint = format!(
                "this Braid lies in a cache of `{name}`, which may empty it, so the entry has `{name}` start it; to have it for good: `{}`, then `braid install` once more",
                runner.installs()
            );
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            return (PathBuf::from(name), words, Some(hint));
        }
        Abode::Temporary => format!(
            "`{shown}` is among temporary files, and the entry starts nothing when it goes; put the program where it stays, then `braid install` once more"
        ),
        Abode::Build => format!(
            "`{shown}` is where cargo builds, and the entry starts nothing after `cargo clean`; `cargo install --path . --locked` puts it where it stays, then `braid install` once more"
        ),
    };
    (program, Vec::new(), Some(hint))
}

/// What the system empties by itself, by each name that a path may have. A `TMPDIR` that is empty or `/` would hold everything.
fn temporary_folders() -> Vec<PathBuf> {
    let named = std::env::temp_dir();
    let real = std::fs::canonicalize(&named).ok();
    let is_one = |folder: &PathBuf| folder.is_absolute() && folder.parent().is_some();
    real.into_iter().chain([named]).filter(is_one).collect()
}

/// The client's own command that does the same, where it has one.
fn by_command(app: App, name: &str, entry: &Entry) -> String {
    match app {
        App::ClaudeCode if entry.http.is_none() => {
            format!(
                "; so does `claude mcp add --scope user {name} -- …`; `--file .mcp.json` is for one project"
            )
        }
        App::Cursor => "; `--file .cursor/mcp.json` is for one project".to_owned(),
        App::VsCode => "; `--file .vscode/mcp.json` is for one project".to_owned(),
        App::ClaudeCode
        | App::ClaudeDesktop
        | App::Zed
        | App::Windsurf
        | App::Cline
        | App::Roo
        | App::Codex
        | App::Gemini => String::new(),
    }
}
