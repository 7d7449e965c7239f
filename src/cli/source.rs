//! Where the servers are written down: a file, a client's own file, or the command line itself.
//!
//! Loads it, and says what is wrong in full before anything is started.

use super::exit::Exit;
use super::prints::Prints;
use super::{Globals, Source, config_command, out};
use crate::config::Config;
use crate::config::file::{Loaded, load as load_file, load_as_written, load_with};
use crate::config::problem::{Problem, Report};
use crate::config::search::{Search, search};
use crate::config::variables::{Purpose, Surroundings};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// The configuration, its warnings said on stderr; or the exit code, with everything said.
pub(super) fn load(from: &Source, globals: &Globals) -> Result<Config, Exit> {
    let (config, warnings) = load_with_problems(from, globals)?;
    say(&warnings, globals);
    Ok(config)
}

/// The file that a configuration is from, with what is needed to see that it is another.
pub(super) struct Origin {
    pub(super) file: PathBuf,
    /// Its marks before it was read, and those of everything else that was looked into.
    pub(super) prints: Prints,
}

/// The same as `load`, for a run that may have it anew. `None`: it is not from a file.
pub(super) fn load_to_stay(from: &Source, globals: &Globals) -> Result<(Config, Option<Origin>), Exit> {
    let file = match from.program.is_empty() && from.url.is_none() {
        true => searched(from).found().map(|(path, _)| path.to_owned()),
        false => None,
    };
    let prints = file.as_ref().map(|file| Prints::of(std::slice::from_ref(file))).unwrap_or_default();
    let files = RefCell::new(Vec::from_iter(file.clone()));
    let kept = |path: &Path, env: &dyn Fn(&str) -> Option<String>| {
        let surroundings = Surroundings::of_process(env);
        let loaded = load_with(path, &surroundings, Purpose::Run);
        files.borrow_mut().extend(surroundings.files.take());
        loaded
    };
    let loaded = read(from, kept).map_err(|report| refused(&report, globals))?;
    say(&loaded.warnings, globals);
    let origin = file.map(|file| Origin { file, prints: prints.and(&files.take()) });
    Ok((loaded.config, origin))
}

fn say(warnings: &[Problem], globals: &Globals) {
    if !globals.quiet {
        warnings.iter().for_each(|warning| out::say(&warning.render(out::stderr_has_color())));
    }
}

/// The configuration and its warnings.
pub(super) fn load_with_problems(from: &Source, globals: &Globals) -> Result<(Config, Vec<Problem>), Exit> {
    let Loaded { config, warnings } = read(from, load_file).map_err(|report| refused(&report, globals))?;
    Ok((config, warnings))
}

/// The same configuration with its references as they are written, if it can still be read.
pub(super) fn as_written(from: &Source) -> Option<Config> {
    read(from, load_as_written).ok().map(|loaded| loaded.config)
}

/// Whether there is such a group, if one is asked for.
pub(super) fn within(config: Config, group: Option<&str>, globals: &Globals) -> Result<Config, Exit> {
    match group.map(|name| config.group(name)) {
        None | Some(Ok(_)) => Ok(config),
        Some(Err(report)) => Err(refused(&report, globals)),
    }
}

/// `braid config show`: as it is understood, references as they are written.
pub(super) fn show(from: &Source, globals: &Globals) -> Exit {
    match read(from, load_as_written) {
        Ok(loaded) => out::print(&config_command::show(&loaded.config)),
        Err(report) => refused(&report, globals),
    }
}

/// `braid config path`: which file is read, and why.
pub(super) fn path(from: &Source) -> Exit {
    out::print(&config_command::path(&searched(from)))
}

fn read(
    from: &Source,
    load: impl Fn(&Path, &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report>,
) -> Result<Loaded, Report> {
    if let Some((program, args)) = from.program.split_first() {
        let folder = std::env::current_dir().unwrap_or_default();
        return Ok(Loaded { config: Config::for_command(program, args, &folder), warnings: Vec::new() });
    }
    if let Some(url) = &from.url {
        let folder = std::env::current_dir().unwrap_or_default();
        return Config::for_url(url, &folder).map(|config| Loaded { config, warnings: Vec::new() });
    }
    let search = searched(from);
    match search.found() {
        Some((path, _)) => load(path, &variable),
        None => Err(search.report()),
    }
}

fn searched(from: &Source) -> Search {
    search(from.config.as_deref(), &variable, &|path| path.is_file())
}

/// Says a report in full.
pub(super) fn refused(report: &Report, globals: &Globals) -> Exit {
    match globals.json() {
        true => {
            let data = report.to_json();
            out::say(&out::failure(Exit::BadConfig, report.headline(), None, Some(&data)));
        }
        false => out::say(report.render(out::stderr_has_color()).trim_end()),
    }
    Exit::BadConfig
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
