//! `braid check`: start everything, say what each server offers, and what is wrong.
//!
//! Judges what clients would meet: servers that do not start, lists that fail, names that had to change. The exit code is
//! for scripts: 4 when a server cannot be reached, 7 with `--strict` when there are warnings. What is found out and how it
//! is shown stand apart, in the files below.

mod arguments;
mod clients;
mod diagnosis;
mod gather;
mod idle;
mod listed;
mod live;
mod odd;
mod places;
mod remedy;
mod report;
mod rows;
mod screen;

use std::path::Path;

use self::clients::Client;
use self::report::Report;
pub(super) use self::rows::{down, required_down, servers};
use self::screen::Detail;
use super::exit::Exit;
use super::run::Run;
use super::{Globals, Source, log, out, source};
use crate::config::Config;
use crate::config::problem::Problem;

/// What `check` was asked to do.
pub(super) struct Options {
    pub(super) offline: bool,
    pub(super) strict: bool,
    pub(super) client: Option<String>,
    pub(super) verbose: bool,
}

/// What a check goes by.
struct Asked<'a> {
    options: &'a Options,
    client: Option<&'static Client>,
    /// The configuration with its references as they are written.
    written: Option<Config>,
    /// What was odd about the file.
    warnings: Vec<Problem>,
    globals: &'a Globals,
}

pub(super) fn run(from: &Source, options: &Options, globals: &Globals) -> Exit {
    let client = options.client.as_deref().and_then(clients::client);
    if let Some(unknown) = options.client.as_deref().filter(|_| client.is_none()) {
        let text = format!("no client `{unknown}` is known; there are {}", clients::names().join(", "));
        return out::fail(Exit::Usage, &text, globals);
    }
    let (config, warnings) = match source::load_with_problems(from, globals) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let _log = log::start(&config.log, Some("error"), globals);
    if !globals.json() {
        for warning in &warnings {
            out::say(&format!("{}\n", warning.render(out::stderr_has_color())));
        }
    }
    let asked = Asked { options, client, written: source::as_written(from), warnings, globals };
    if options.offline {
        let report = gather::offline(&config, asked.client, asked.written.as_ref());
        return asked.end(report, &config);
    }
    Run::with(config, globals, async |run| {
        live::watch(run, globals).await;
        let report = gather::of_run(run, asked.client, asked.written.as_ref()).await;
        asked.end(report, run.hub.config())
    })
}

impl Asked<'_> {
    /// Says the report, and the exit code with it.
    fn end(&self, mut report: Report, config: &Config) -> Exit {
        report.problems = self.warnings.iter().filter_map(Problem::to_json).collect();
        let (down, warnings) = (report.down(), report.warnings());
        let exit = match (down, self.options.strict && warnings > 0) {
            (0, false) => Exit::Ok,
            (0, true) => Exit::Warnings,
            (_, _) => Exit::Unreachable,
        };
        report.exit = exit.code();
        report.summary = match (down, warnings) {
            (0, 0) if self.options.offline => {
                "nothing is wrong as far as can be known without starting".to_owned()
            }
            (0, 0) => "all is well".to_owned(),
            (0, _) => count(warnings, "warning"),
            (_, _) => format!("{} could not be started", count(down, "server")),
        };
        if down == 0 && !self.options.offline {
            report.next = Some(self.next(config));
        }
        let printed = match self.globals.json() {
            true => out::print(&report.to_json()),
            false => {
                let detail = if self.options.verbose { Detail::All } else { Detail::Usual };
                out::print(&screen::text(&report, detail, out::page()))
            }
        };
        match (printed, exit) {
            (Exit::Ok, Exit::Ok) => Exit::Ok,
            (Exit::Ok, exit) if self.globals.json() => out::fail(exit, &report.summary, self.globals),
            (Exit::Ok, exit) => {
                let first = report.failures().into_keys().next();
                let more =
                    first.map_or_else(String::new, |code| format!("; `braid explain {code}` says more"));
                out::say(&format!("exit {}: {}{more}", exit.code(), report.summary));
                exit
            }
            (failed, _) => failed,
        }
    }

    /// What to do with servers that work.
    fn next(&self, config: &Config) -> String {
        let path = Path::new(&config.origin);
        if !path.is_file() {
            return "`braid stdio` with the same words is the command for a client's entry".to_owned();
        }
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (name, whose) = match self.client.filter(|client| client.is_installed()) {
            Some(client) => (client.name, client.title.to_owned()),
            None => ("CLIENT", "your client (claude-desktop, claude-code, cursor, vscode, …)".to_owned()),
        };
        format!(
            "`braid install {name} -c {}` shows the entry for {whose}; with `--write` it is put there",
            path.display()
        )
    }
}

/// `1 server`, `3 servers`.
pub(super) fn count(number: usize, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}
