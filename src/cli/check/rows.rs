//! Servers as `braid list servers` shows them, and why some are not there.
//!
//! What every command that waits for servers says of those that did not come. It judges nothing.

use super::super::exit::Exit;
use super::super::run::Run;
use super::super::table::{self, Mark, ServerRow};
use super::super::{Globals, out};
use crate::hub::Report;
use crate::mcp::method::Kind;
use crate::routing::catalog::Catalog;
use crate::upstream::link::State;
use crate::wire::members::quote;

/// `braid list servers`. A server that is down has its reason in its row.
pub(in crate::cli) fn servers(run: &Run, server: Option<&str>, globals: &Globals) -> Exit {
    let rows = rows_of(run, server);
    let printed = match globals.json() {
        true => out::print(&json(run, &rows)),
        false => out::print(&table::servers(&rows, out::page())),
    };
    match required_down(run) {
        Some(why) if printed == Exit::Ok => out::fail(Exit::Unreachable, &why, globals),
        Some(_) | None => printed,
    }
}

/// Why servers are down, a sentence each, and whether that one is required.
pub(in crate::cli) fn down(run: &Run, server: Option<&str>) -> Vec<(String, bool)> {
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
pub(in crate::cli) fn required_down(run: &Run) -> Option<String> {
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
            let number = |kind| catalog.count(kind, report.at);
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
pub(super) fn hidden(catalog: &Catalog, server: usize) -> usize {
    let all = Kind::ALL.into_iter().flat_map(|kind| catalog.withheld(kind));
    all.filter(|item| item.server == server).count()
}

fn json(run: &Run, rows: &[ServerRow]) -> String {
    let servers: Vec<String> = rows
        .iter()
        .map(|row| {
            let state = match row.mark {
                Mark::Good | Mark::Warning | Mark::Note => "ready",
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
    format!(r#"{{"config":{},"servers":[{}]}}"#, quote(&run.hub.config().origin), servers.join(","))
}
