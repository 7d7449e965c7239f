//! What a person at a terminal sees while servers start: a line for each, redrawn in place.
//!
//! Which lines there are, and what a terminal must be told to show them, are pure functions of what is known; only `watch`
//! reads a clock and writes. The cursor is never hidden and no mode is changed, so there is nothing to restore but the
//! lines themselves, which go with the last drawing, whatever ends it.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::super::run::Run;
use super::super::{Globals, out};
use super::gather;
use crate::cli::table::{self, Mark, Page, ServerRow};
use crate::config::ServerConfig;
use crate::config::units::duration_text;
use crate::hub::views::Standing;
use crate::mcp::method::Kind;
use crate::upstream::link::State;

/// A server while all of them start.
#[derive(Debug, Clone)]
struct Starting {
    row: ServerRow,
    /// It was neither heard nor has it failed.
    is_awaited: bool,
}

/// Greets the servers and waits until each was heard or has failed; meanwhile a person sees how far they are.
pub(super) async fn watch(run: &Run, globals: &Globals) {
    let greeted = run.greet();
    if !is_seen(globals) {
        return greeted.await;
    }
    let drawing = async {
        let begun = Instant::now();
        let mut region = Region::default();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for tick in 0.. {
            ticks.tick().await;
            // What is fast needs no telling, and would only flash.
            if begun.elapsed() < FIRST_AFTER {
                continue;
            }
            let Some((width, height)) = terminal_size::terminal_size() else { continue };
            let page = Page { columns: Some(width.0), colour: out::stderr_has_color() };
            let frame = frame(&starting(run, begun.elapsed(), tick), page, usize::from(height.0));
            region.show(&frame, width.0);
        }
    };
    tokio::select! {
        () = greeted => {}
        () = drawing => {}
    }
}

/// Whether somebody looks on who can be shown lines that change.
fn is_seen(globals: &Globals) -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let is_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    is_terminal && !is_dumb && !globals.json() && !globals.quiet
}

/// Every server as it is now.
fn starting(run: &Run, elapsed: Duration, tick: usize) -> Vec<Starting> {
    let catalog = run.seat.view().catalog();
    let standings = run.seat.view().watch_standings().borrow().clone();
    let servers = &run.hub.config().servers;
    let reports = run.seat.reports().into_iter();
    let all = reports.filter_map(|report| {
        let settings = servers.get(report.at)?;
        let is_awaited = standings.get(report.at) == Some(&Standing::Awaited);
        let name = report.key.clone();
        let row = match &report.state {
            State::Ready(link) if !is_awaited => {
                let number = |kind| catalog.count(kind, report.at);
                ServerRow {
                    name,
                    transport: report.transport.to_owned(),
                    revision: Some(link.greeting().revision.as_str().to_owned()),
                    took_ms: u64::try_from(link.took().as_millis()).ok(),
                    tools: number(Kind::Tools),
                    prompts: number(Kind::Prompts),
                    resources: number(Kind::Resources),
                    templates: number(Kind::Templates),
                    hidden: super::rows::hidden(&catalog, report.at),
                    ..ServerRow::default()
                }
            }
            State::Ready(_) => waiting(name, "reads its lists", elapsed, settings, tick),
            State::Connecting => waiting(name, "starts", elapsed, settings, tick),
            State::Down { .. } => {
                let failure = gather::failure(&report, settings);
                let note = format!("{} {}", failure.code, failure.message);
                ServerRow { name, mark: Mark::Bad, notes: vec![note], ..ServerRow::default() }
            }
        };
        Some(Starting { row, is_awaited })
    });
    all.collect()
}

fn waiting(name: String, what: &str, elapsed: Duration, settings: &ServerConfig, tick: usize) -> ServerRow {
    let sign = SPINNER.get(tick % SPINNER.len()).copied().unwrap_or_default();
    let start = settings.timeouts.start;
    let note = match elapsed > start {
        // What gave no answer is ended before it is given up.
        true => format!("{sign} {what}, for longer than {}", duration_text(start)),
        false => format!("{sign} {what}  {} s of {} s", elapsed.as_secs(), start.as_secs()),
    };
    ServerRow { name, mark: Mark::Note, notes: vec![note], ..ServerRow::default() }
}

/// The lines of one moment, fewer than the terminal has: who is waited for comes before who is there, and who finds no
/// room is counted.
fn frame(servers: &[Starting], page: Page, height: usize) -> Vec<String> {
    // The last line of the terminal is where the cursor stands.
    let room = height.saturating_sub(1).max(1);
    let shown: Vec<&Starting> = if servers.len() <= room {
        servers.iter().collect()
    } else {
        let places = room - 1;
        let awaited = servers.iter().filter(|server| server.is_awaited).count();
        // In the order of the configuration, whoever they are.
        let (mut waiting, mut others) = (places.min(awaited), places.saturating_sub(awaited));
        let mut has_place = |server: &&Starting| {
            let left = if server.is_awaited { &mut waiting } else { &mut others };
            let has = *left > 0;
            *left = left.saturating_sub(1);
            has
        };
        servers.iter().filter(|server| has_place(server)).collect()
    };
    let columns = page.columns.map(|columns| columns.saturating_sub(1));
    let rows: Vec<ServerRow> = shown.iter().map(|server| server.row.clone()).collect();
    let widest = servers.iter().map(|server| table::width(&server.row.name)).max().unwrap_or_default();
    let mut lines = table::one_line_each(&rows, widest, Page { columns, ..page });
    if shown.len() < servers.len() {
        let awaited = servers.iter().filter(|server| server.is_awaited).count();
        let down = servers.iter().filter(|server| !server.is_awaited && server.row.mark == Mark::Bad).count();
        let ready = servers.len() - awaited - down;
        lines.push(format!("{} servers: {ready} ready, {down} failed, {awaited} awaited", servers.len()));
    }
    lines
}

/// The lines that stand on the terminal, the cursor below them.
#[derive(Debug, Default)]
struct Region {
    /// How wide each is.
    widths: Vec<u16>,
}

impl Region {
    fn show(&mut self, lines: &[String], columns: u16) {
        write(&self.redrawn(lines, columns));
    }

    /// What puts these lines in the place of those before: each is overwritten, so that nothing flickers.
    fn redrawn(&mut self, lines: &[String], columns: u16) -> String {
        let mut text = self.up(columns);
        for line in lines {
            text.push_str(line);
            // The rest of what stood there.
            text.push_str("\x1b[K\n");
        }
        text.push_str("\x1b[J");
        self.widths = lines.iter().map(|line| table::width(&plain(line))).collect();
        text
    }

    /// Takes the lines away.
    fn erased(&mut self, columns: u16) -> String {
        if self.widths.is_empty() {
            return String::new();
        }
        let text = self.up(columns) + "\x1b[J";
        self.widths.clear();
        text
    }

    /// To the beginning of the first line. In a terminal that has become narrower each may be several.
    fn up(&self, columns: u16) -> String {
        let columns = columns.max(1);
        let rows: usize = self.widths.iter().map(|width| usize::from(width.div_ceil(columns).max(1))).sum();
        if rows == 0 { "\r".to_owned() } else { format!("\r\x1b[{rows}A") }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let columns = terminal_size::terminal_size().map_or(u16::MAX, |(width, _)| width.0);
        write(&self.erased(columns));
    }
}

/// Without the colour of its mark.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\x1b') {
        text.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    text + rest
}

/// In one piece. Moves of the cursor are no colours, so nobody may take them out.
fn write(text: &str) {
    let mut err = std::io::stderr().lock();
    err.write_all(text.as_bytes()).and_then(|()| err.flush()).ok();
}

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const TICK: Duration = Duration::from_millis(100);
const FIRST_AFTER: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
