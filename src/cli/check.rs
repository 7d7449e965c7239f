//! `braid check`: start everything, say what each server offers, and what is wrong.
//!
//! Judges what clients would meet: servers that do not start, lists that fail, names that had to change. The
//! exit code is for scripts: 4 when a server cannot be reached, 7 with `--strict` when there are warnings.

use super::exit::Exit;
use super::run::Run;
use super::table::{self, Mark, ServerRow};
use super::{Globals, Source, budget, idle, log, out, printable, source};
use crate::hub::Report;
use crate::mcp::method::Kind;
use crate::routing::catalog::Catalog;
use crate::routing::names::Change;
use crate::upstream::link::State;
use crate::wire::members::quote;

/// What `check` was asked to do.
pub(super) struct Options {
    pub(super) offline: bool,
    pub(super) strict: bool,
    pub(super) client: Option<String>,
}

/// What there is to say about one subject.
pub(super) struct Finding {
    pub(super) code: &'static str,
    pub(super) text: String,
}

pub(super) fn run(from: &Source, options: &Options, globals: &Globals) -> Exit {
    if let Some(unknown) = options.client.as_deref().filter(|name| budget::client(name).is_none()) {
        let text = format!("no client `{unknown}` is known; there are {}", budget::names().join(", "));
        return out::fail(Exit::Usage, &text, globals);
    }
    let (config, warnings) = match source::load_with_warnings(from, globals) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let _log = log::start(&config.log, Some("error"), globals);
    for warning in &warnings {
        out::say(warning);
    }
    let headline = format!("config  ✓ {}  {}", config.origin, count(config.servers.len(), "server"));
    if !globals.json() && out::print(&headline) != Exit::Ok {
        return Exit::Unexpected;
    }
    if options.offline {
        return if options.strict && !warnings.is_empty() { Exit::Warnings } else { Exit::Ok };
    }
    Run::with(config, globals, async |run| checked(run, options, warnings.len(), globals).await)
}

async fn checked(run: &Run, options: &Options, mut warnings: usize, globals: &Globals) -> Exit {
    run.greet_watched().await;
    let catalog = run.seat.view().catalog();
    let rows = rows_of(run, None);
    let down = rows.iter().filter(|row| row.mark == Mark::Bad).count();
    let mut findings = findings(run, &catalog);
    findings.extend(idle::findings(run, &catalog));
    warnings += findings.len() + rows.iter().filter(|row| row.mark == Mark::Warning).count();
    let budgets = budget::judge(&catalog, options.client.as_deref());
    warnings += budgets.iter().filter(|line| line.over).count();
    let printed = match globals.json() {
        true => out::print(&json(run, &catalog, &rows, &findings)),
        false => {
            let mut text = table::servers(&rows, out::page());
            for Finding { code, text: said } in &findings {
                let about = if idle::is_about(code) { "filters" } else { "names" };
                text.push_str(&format!("{about:7} ! {code} {}\n", printable::line(said)));
            }
            text.push_str(&budget::text(&catalog, &budgets, run.hub.config().names.length_max));
            out::print(&text)
        }
    };
    match (printed, down, options.strict && warnings > 0) {
        (Exit::Ok, 0, false) => Exit::Ok,
        (Exit::Ok, 0, true) => out::fail(Exit::Warnings, &count(warnings, "warning"), globals),
        (Exit::Ok, _, _) => {
            let text = format!("{} could not be started", count(down, "server"));
            out::fail(Exit::Unreachable, &text, globals)
        }
        (exit, _, _) => exit,
    }
}

/// `braid list servers`. A server that is down has its reason in its row.
pub(super) fn servers(run: &Run, server: Option<&str>, globals: &Globals) -> Exit {
    let rows = rows_of(run, server);
    let printed = match globals.json() {
        true => out::print(&json(run, &run.seat.view().catalog(), &rows, &[])),
        false => out::print(&table::servers(&rows, out::page())),
    };
    match required_down(run) {
        Some(why) if printed == Exit::Ok => out::fail(Exit::Unreachable, &why, globals),
        Some(_) | None => printed,
    }
}

/// Why servers are down, a sentence each, and whether that one is required.
pub(super) fn down(run: &Run, server: Option<&str>) -> Vec<(String, bool)> {
    let reports = run.seat.reports().into_iter();
    // Without a required server the command fails, whichever server it asks about.
    let asked = reports.filter(|report| report.required || server.is_none_or(|server| report.key == server));
    asked
        .filter_map(|report| {
            let must_be = report.required || server.is_some();
            sentence(report).map(|why| (why, must_be))
        })
        .collect()
}

/// Why the command cannot do what it is for: required servers that are not there after all the waiting.
pub(super) fn required_down(run: &Run) -> Option<String> {
    let reports = run.seat.reports().into_iter().filter(|report| report.required);
    let sentences: Vec<String> = reports.filter_map(sentence).collect();
    (!sentences.is_empty()).then(|| sentences.join("\n"))
}

/// Why a server is not there, unless it is.
fn sentence(report: Report) -> Option<String> {
    match report.state {
        State::Down { why, .. } => Some(why.text),
        State::Connecting => Some(format!("{}: is still starting", report.key)),
        State::Ready(_) => None,
    }
}

fn rows_of(run: &Run, server: Option<&str>) -> Vec<ServerRow> {
    let catalog = run.seat.view().catalog();
    let reports = run.seat.reports().into_iter();
    let reports = reports.filter(|report| server.is_none_or(|server| report.key == server));
    reports
        .map(|report| {
            let number =
                |kind| catalog.entries(kind).iter().filter(|entry| entry.server == report.at).count();
            let mut row = ServerRow {
                name: report.key,
                transport: report.transport.to_owned(),
                tools: number(Kind::Tools),
                prompts: number(Kind::Prompts),
                resources: number(Kind::Resources),
                templates: number(Kind::Templates),
                hidden: hidden(&catalog, report.at),
                ..ServerRow::default()
            };
            match report.state {
                State::Ready(link) => {
                    row.revision = Some(link.greeting().revision.as_str().to_owned());
                    row.took_ms = u64::try_from(link.took().as_millis()).ok();
                    row.notes = run.seat.troubles(report.at);
                    row.mark = if row.notes.is_empty() { Mark::Good } else { Mark::Warning };
                }
                State::Down { why, .. } => {
                    row.mark = Mark::Bad;
                    row.notes.push(why.text);
                }
                State::Connecting => {
                    row.mark = Mark::Bad;
                    row.notes.push("is still starting".to_owned());
                }
            }
            row
        })
        .collect()
}

/// How much of what a server lists clients do not see.
fn hidden(catalog: &Catalog, server: usize) -> usize {
    let all = Kind::ALL.into_iter().flat_map(|kind| catalog.withheld(kind));
    all.filter(|item| item.server == server).count()
}

/// Names that are not simply prefix, separator and own name, and URIs that cannot be told apart.
fn findings(run: &Run, catalog: &Catalog) -> Vec<Finding> {
    let mut findings = Vec::new();
    for kind in Kind::ALL {
        for entry in catalog.entries(kind) {
            let (code, what) = match entry.change {
                Change::None => continue,
                Change::Sanitised => ("BRAID-N001", "has characters that some clients refuse"),
                Change::Collided => ("BRAID-N002", "is the name of something else as well"),
                Change::Duplicate => ("BRAID-N002", "is the name of another tool of its server"),
                Change::Shortened => ("BRAID-N004", "is too long"),
            };
            let text = format!("`{}` {what}: it is `{}`", entry.own.escape_debug(), entry.exposed);
            findings.push(Finding { code, text });
        }
        for entry in catalog.hidden(kind) {
            let key = run.hub.config().servers.get(entry.server).map_or("", |server| &server.key);
            let text = format!(
                "`{}` of `{key}` is an earlier server's as well; it is not listed",
                entry.exposed.escape_debug()
            );
            findings.push(Finding { code: "BRAID-N002", text });
        }
    }
    findings
}

fn json(run: &Run, catalog: &Catalog, rows: &[ServerRow], findings: &[Finding]) -> String {
    let servers: Vec<String> = rows
        .iter()
        .map(|row| {
            let state = match row.mark {
                Mark::Good | Mark::Warning => "ready",
                Mark::Bad => "down",
            };
            let revision = row.revision.as_deref().map_or_else(|| "null".to_owned(), quote);
            let took = row.took_ms.map_or_else(|| "null".to_owned(), |took| took.to_string());
            let notes: Vec<String> = row.notes.iter().map(|note| quote(note)).collect();
            format!(
                r#"{{"name":{},"state":"{state}","transport":{},"revision":{revision},"took_ms":{took},"tools":{},"prompts":{},"resources":{},"templates":{},"hidden":{},"notes":[{}]}}"#,
                quote(&row.name),
                quote(&row.transport),
                row.tools,
                row.prompts,
                row.resources,
                row.templates,
                row.hidden,
                notes.join(",")
            )
        })
        .collect();
    let findings: Vec<String> =
        findings.iter().map(|f| format!(r#"{{"code":"{}","text":{}}}"#, f.code, quote(&f.text))).collect();
    format!(
        r#"{{"config":{},"servers":[{}],"findings":[{}],"tools":{},"longest_name":{}}}"#,
        quote(&run.hub.config().origin),
        servers.join(","),
        findings.join(","),
        catalog.entries(Kind::Tools).len(),
        budget::longest(catalog),
    )
}

/// `1 server`, `3 servers`.
pub(super) fn count(number: usize, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}
