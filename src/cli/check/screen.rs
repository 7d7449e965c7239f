//! A report on a terminal, or in a file that somebody reads.
//!
//! Pure: a report and a page in, text out. One line for a server that is fine; beneath it, what there is to say. Whatever
//! peers wrote passes through `table`, which lets nothing steer the terminal.

use super::count;
use super::report::{Failure, Finding, Names, Report, Server, Severity, Standing, Verdict};
use crate::cli::table::{self, Mark, Page, ServerRow};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Usual,
    /// Everything that was found.
    All,
}

/// The whole of it but for the last line, which is `summary`. Ends with a line end.
pub(super) fn text(report: &Report, detail: Detail, page: Page) -> String {
    let mut rows = vec![config_row(report)];
    let mut explained: Vec<(&Failure, &str)> = Vec::new();
    for server in &report.servers {
        let mut row = server_row(server, report, detail);
        if let Some(failure) = &server.error {
            // One program that is missing may be that of many servers.
            match explained.iter().find(|(other, _)| detail == Detail::Usual && other.is_like(failure)) {
                Some((_, name)) => {
                    row.notes.splice(1..failure_lines(failure).len(), [format!("as for {name} above")]);
                }
                None => explained.push((failure, &server.name)),
            }
        }
        rows.push(row);
    }
    if let Some(names) = &report.names {
        rows.push(names_row(names, report, detail));
        rows.extend(clients_row(report, detail));
    }
    if let Some(next) = &report.next {
        rows.push(ServerRow {
            name: "next".to_owned(),
            mark: Mark::Note,
            notes: warned(report).into_iter().chain([next.clone()]).collect(),
            ..ServerRow::default()
        });
    }
    table::servers(&rows, page)
}

/// That not all is well, though everything works.
fn warned(report: &Report) -> Option<String> {
    let warnings = report.warnings();
    (warnings > 0).then(|| format!("everything works, with {}", count(warnings, "warning")))
}

fn config_row(report: &Report) -> ServerRow {
    let found = of_subject(report, None, |finding| {
        !finding.code.id().starts_with(OF_NAMES) && !is_of_client(finding)
    });
    let mut notes = vec![format!("{}  {}", report.config, count(report.servers.len(), "server"))];
    let is_odd =
        !report.problems.is_empty() || found.iter().any(|finding| finding.severity == Severity::Warning);
    if !report.problems.is_empty() {
        notes.push(format!("{} above", count(report.problems.len(), "warning")));
    }
    notes.extend(found.into_iter().flat_map(lines_of));
    let mark = if is_odd { Mark::Warning } else { Mark::Good };
    ServerRow { name: "config".to_owned(), mark, notes, ..ServerRow::default() }
}

fn server_row(server: &Server, report: &Report, detail: Detail) -> ServerRow {
    let found = of_subject(report, Some(&server.name), |_| true);
    let mut row = ServerRow {
        name: server.name.clone(),
        transport: server.transport.clone(),
        tools: server.tools,
        prompts: server.prompts,
        resources: server.resources,
        templates: server.templates,
        hidden: server.hidden,
        took_ms: server.took_ms,
        ..ServerRow::default()
    };
    let is_warned = found.iter().any(|finding| finding.severity == Severity::Warning);
    match (server.state, &server.error) {
        (Standing::Ready, _) => {
            row.revision.clone_from(&server.revision);
            row.notes.clone_from(&server.notes);
            row.mark = if is_warned || !server.notes.is_empty() { Mark::Warning } else { Mark::Good };
        }
        (Standing::Down, Some(failure)) => {
            row.mark = Mark::Bad;
            row.notes = failure_lines(failure);
        }
        (Standing::Down, None) => row.mark = Mark::Bad,
        (Standing::Unchecked, _) => {
            row.mark = if is_warned { Mark::Warning } else { Mark::Note };
            row.notes = vec![format!("{}  not started", server.transport)];
        }
    }
    row.notes.extend(shown(found, detail));
    row
}

/// The code and the sentence, what explains it, what to do, and the program's own words.
fn failure_lines(failure: &Failure) -> Vec<String> {
    let mut lines = vec![format!("{} {}", failure.code, failure.message)];
    lines.extend(failure.facts.iter().cloned());
    for (at, fix) in failure.fixes.iter().enumerate() {
        lines.push(format!("{}{fix}", if at == 0 { "fix: " } else { " or: " }));
    }
    if !failure.stderr.is_empty() {
        lines.push("its last words on stderr:".to_owned());
        lines.extend(failure.stderr.iter().map(|line| format!("  {line}")));
    }
    lines
}

fn names_row(names: &Names, report: &Report, detail: Detail) -> ServerRow {
    let found =
        of_subject(report, None, |finding| finding.code.id().starts_with(OF_NAMES) && !is_of_client(finding));
    let is_warned = found.iter().any(|finding| finding.severity == Severity::Warning);
    let mut notes = vec![format!(
        "{}, longest name {} of {}; about {} tokens of definitions",
        count(names.tools, "tool"),
        names.longest_name,
        names.longest_name_max,
        thousands(names.definition_tokens),
    )];
    if (detail == Detail::All || report.clients.len() == 1) && !names.largest_tools.is_empty() {
        let largest: Vec<String> = names
            .largest_tools
            .iter()
            .map(|tool| format!("{} {}", tool.name, thousands(tool.tokens)))
            .collect();
        notes.push(format!("largest: {}", largest.join(", ")));
    }
    notes.extend(found.into_iter().flat_map(lines_of));
    let mark = if is_warned { Mark::Warning } else { Mark::Good };
    ServerRow { name: "names".to_owned(), mark, notes, ..ServerRow::default() }
}

/// One client's verdict with all that is behind it, or a few words for each that has a limit of its own.
fn clients_row(report: &Report, detail: Detail) -> Option<ServerRow> {
    let tools = report.names.as_ref()?.tools;
    if let [verdict] = report.clients.as_slice() {
        let found = of_subject(report, None, is_of_client);
        let is_warned = !verdict.fits || found.iter().any(|finding| finding.severity == Severity::Warning);
        let mut notes = vec![verdict_line(verdict, report)];
        notes.extend(found.into_iter().flat_map(lines_of));
        let mark = if is_warned { Mark::Warning } else { Mark::Good };
        return Some(ServerRow { name: verdict.client.to_owned(), mark, notes, ..ServerRow::default() });
    }
    let speaks = |verdict: &&Verdict| !verdict.fits || verdict.tools_max.is_some() || detail == Detail::All;
    let words: Vec<String> = report
        .clients
        .iter()
        .filter(speaks)
        .map(|verdict| {
            let names = if verdict.names_fit { "" } else { " long names!" };
            match (verdict.tools_max, verdict.tools_fit) {
                (Some(max), fits) => {
                    format!("{} {tools} of {max}{}{names}", verdict.title, if fits { " ✓" } else { "!" })
                }
                (None, _) if verdict.names_fit => format!("{} ✓", verdict.title),
                (None, _) => format!("{}{names}", verdict.title),
            }
        })
        .collect();
    let notes = vec![words.join(", ")];
    (!words.is_empty()).then(|| ServerRow {
        name: "clients".to_owned(),
        mark: Mark::Note,
        notes,
        ..ServerRow::default()
    })
}

fn verdict_line(verdict: &Verdict, report: &Report) -> String {
    let (tools, longest) = report.names.as_ref().map_or((0, 0), |names| (names.tools, names.longest_name));
    let tools = match verdict.tools_max {
        Some(max) => format!("{tools} of {max} tools"),
        None => count(tools, "tool"),
    };
    let results = verdict.result_tokens_max.map(|max| format!(", results up to {} tokens", thousands(max)));
    let max = verdict.longest_name_max;
    let results = results.unwrap_or_default();
    format!("{}: {tools}, names of {longest} of {max} characters{results}", verdict.title)
}

/// What is about one server, or about none.
fn of_subject<'a>(
    report: &'a Report,
    server: Option<&str>,
    is_wanted: impl Fn(&Finding) -> bool,
) -> Vec<&'a Finding> {
    let found = report.findings.iter().filter(|finding| finding.server.as_deref() == server);
    found.filter(|finding| is_wanted(finding)).collect()
}

/// As many findings as help, warnings first.
fn shown(mut found: Vec<&Finding>, detail: Detail) -> Vec<String> {
    found.sort_by_key(|finding| finding.severity);
    let left = found.len().saturating_sub(FINDINGS_MAX);
    let is_cut = detail == Detail::Usual && left > 1;
    if is_cut {
        found.truncate(FINDINGS_MAX);
    }
    let mut lines: Vec<String> = found.into_iter().flat_map(lines_of).collect();
    if is_cut {
        lines.push(format!("and {left} more: `braid check --verbose`"));
    }
    lines
}

fn lines_of(finding: &Finding) -> Vec<String> {
    let first = format!("{} {}", finding.code, finding.text);
    let help = finding.help.as_ref().map(|help| format!("help: {help}"));
    std::iter::once(first).chain(help).collect()
}

/// Whether a finding is about what one client does.
fn is_of_client(finding: &Finding) -> bool {
    use crate::config::codes::Code;
    [Code::NameTooLong, Code::TooManyTools, Code::ClientImpatient, Code::DescriptionCut]
        .contains(&finding.code)
        && finding.server.is_none()
}

/// `11,400`.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// The beginning of codes that are about names.
const OF_NAMES: &str = "BRAID-N";

/// Findings of one server that are shown; of two more both are.
const FINDINGS_MAX: usize = 4;

#[cfg(test)]
mod tests;
