//! The table of servers that `braid status` prints and `braid top` draws.
//!
//! Rows in, lines out: pure, whatever the terminal. Where the page is narrow, columns that matter less are left out, the
//! least first; every line fits. Whatever a server wrote passes through `printable` first.

use super::instance::{Server, Status};
use super::printable;
use super::table::{self, Page};

/// By what the rows stand in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// As in the configuration.
    #[default]
    Configured,
    Name,
    Active,
    Calls,
    Errors,
    Slowest,
    Restarts,
}

impl Order {
    /// By the key that chooses it.
    pub(super) fn of(key: u8) -> Option<Self> {
        Some(match key {
            b'o' => Self::Configured,
            b'n' => Self::Name,
            b'a' => Self::Active,
            b'c' => Self::Calls,
            b'e' => Self::Errors,
            b'l' => Self::Slowest,
            b'r' => Self::Restarts,
            _ => return None,
        })
    }

    /// The largest first, and what is equal as in the configuration.
    pub(super) fn sort(self, servers: &mut [&Server]) {
        let slowest = |server: &Server| server.p95_ms.unwrap_or_default();
        match self {
            Self::Configured => {}
            Self::Name => servers.sort_by(|one, other| one.name.cmp(&other.name)),
            Self::Active => {
                servers.sort_by_key(|server| std::cmp::Reverse(server.in_flight + server.waiting))
            }
            Self::Calls => servers.sort_by_key(|server| std::cmp::Reverse(server.calls)),
            Self::Errors => servers.sort_by_key(|server| std::cmp::Reverse(server.errors)),
            Self::Slowest => servers.sort_by(|one, other| slowest(other).total_cmp(&slowest(one))),
            Self::Restarts => servers.sort_by_key(|server| std::cmp::Reverse(server.restarts)),
        }
    }
}

/// A column: its head, whether numbers stand in it, and how soon it is left out; 0 is never.
struct Column {
    head: &'static str,
    right: bool,
    spare: u8,
    cell: fn(&Server) -> String,
}

const COLUMNS: [Column; 12] = [
    Column {
        head: "SERVER",
        right: false,
        spare: 0,
        cell: |server| printable::line(&server.name).into_owned(),
    },
    Column {
        head: "STATE",
        right: false,
        spare: 0,
        cell: |server| printable::line(&server.state).into_owned(),
    },
    Column {
        head: "REVISION",
        right: false,
        spare: 6,
        cell: |server| {
            server.revision.as_deref().map(|it| printable::line(it).into_owned()).unwrap_or_default()
        },
    },
    Column {
        head: "VIA",
        right: false,
        spare: 7,
        cell: |server| printable::line(&server.transport).into_owned(),
    },
    Column { head: "TOOLS", right: true, spare: 4, cell: |server| count(server.tools) },
    Column { head: "ACTIVE", right: true, spare: 1, cell: active },
    Column { head: "CALLS", right: true, spare: 0, cell: |server| count(server.calls) },
    Column { head: "ERRORS", right: true, spare: 0, cell: |server| count(server.errors) },
    Column { head: "P50", right: true, spare: 2, cell: |server| time(server.p50_ms) },
    Column { head: "P95", right: true, spare: 2, cell: |server| time(server.p95_ms) },
    Column { head: "RESTARTS", right: true, spare: 5, cell: |server| count(server.restarts) },
    Column {
        head: "SINCE",
        right: true,
        spare: 3,
        cell: |server| server.since_s.map(ago).unwrap_or_default(),
    },
];

/// The head, and a line for each server. `chosen`: whose line is marked.
pub(super) fn rows(servers: &[&Server], page: Page, chosen: Option<usize>) -> (String, Vec<String>) {
    let all: Vec<Vec<String>> =
        servers.iter().map(|server| COLUMNS.iter().map(|column| (column.cell)(server)).collect()).collect();
    let mut widths: Vec<usize> = COLUMNS
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells = all.iter().filter_map(|cells| cells.get(at)).map(|cell| usize::from(width(cell)));
            cells.max().unwrap_or(0).max(column.head.len())
        })
        .collect();
    let room = page.columns.map_or(usize::MAX, usize::from);
    let mut shown: Vec<usize> = (0..COLUMNS.len()).collect();
    let taken = |shown: &[usize], widths: &[usize]| {
        shown
            .iter()
            .filter_map(|at| widths.get(*at))
            .map(|width| width + GAP)
            .sum::<usize>()
            .saturating_sub(GAP)
    };
    while taken(&shown, &widths) > room {
        let spare = |at: &&usize| COLUMNS.get(**at).map_or(0, |column| column.spare);
        let Some(least) = shown.iter().max_by_key(spare).filter(|at| spare(at) > 0).copied() else { break };
        shown.retain(|at| *at != least);
    }
    // Whatever is still too wide is the names' to give.
    let over = taken(&shown, &widths).saturating_sub(room);
    if let Some(name) = widths.first_mut() {
        *name = name.saturating_sub(over).max(NAME_COLUMNS_MIN);
    }
    let line = |cells: &dyn Fn(usize) -> String| {
        let mut line = String::new();
        for (place, at) in shown.iter().enumerate() {
            let (Some(column), Some(columns)) = (COLUMNS.get(*at), widths.get(*at)) else { continue };
            let cell = cut(&cells(*at), *columns);
            let blanks = " ".repeat(columns.saturating_sub(usize::from(width(&cell))));
            if place > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            match column.right {
                true => line.push_str(&(blanks + &cell)),
                false => line.push_str(&(cell + &blanks)),
            }
        }
        cut(line.trim_end(), room)
    };
    let head = line(&|at| COLUMNS.get(at).map_or_else(String::new, |column| column.head.to_owned()));
    let lines = servers.iter().zip(&all).enumerate().map(|(at, (server, cells))| {
        let text = line(&|at| cells.get(at).cloned().unwrap_or_default());
        match (page.colour, chosen == Some(at)) {
            (true, true) => format!("\u{1b}[7m{text}\u{1b}[0m"),
            (true, false) => painted(&text, &server.state),
            (false, true) => format!("{text} <"),
            (false, false) => text,
        }
    });
    (head, lines.collect())
}

/// What is to be known of a server beneath its row: why it is not there, or else what went wrong last; and how many asked
/// too often.
pub(super) fn beneath(server: &Server) -> Option<String> {
    let said = [trouble(server), over_rate(server)].into_iter().flatten().collect::<Vec<_>>();
    (!said.is_empty()).then(|| said.join("; "))
}

fn over_rate(server: &Server) -> Option<String> {
    let over = server.over_rate.iter().filter(|(_, count)| **count > 0);
    let over: Vec<_> =
        over.map(|(which, number)| format!("{} {}", count(*number), printable::line(which))).collect();
    (!over.is_empty()).then(|| format!("refused over a rate: {}", over.join(", ")))
}

fn trouble(server: &Server) -> Option<String> {
    let again = server.retry_in_ms.map(|ms| format!("; again in {}", ago((ms / 1000.0).ceil() as u64)));
    if let Some(why) = &server.why {
        return Some(format!("{}{}", printable::line(why), again.unwrap_or_default()));
    }
    let last = server.last_error.as_ref()?;
    let at = last.at.as_deref().and_then(clock).unwrap_or_default();
    Some(format!("last error {at}: {}", printable::line(&last.text)))
}

/// One line about a run.
pub(super) fn title(status: &Status) -> String {
    let about = &status.instance;
    let guests: Vec<String> = status
        .sessions
        .iter()
        .filter(|sessions| sessions.count > 0)
        .map(|sessions| format!("{} {} {}", sessions.count, sessions.transport, sessions.era))
        .collect();
    let guests = match (about.mode.as_str(), guests.is_empty()) {
        ("stdio", _) | (_, true) => String::new(),
        (_, false) => format!("  clients: {}", guests.join(", ")),
    };
    let title = format!(
        "braid {} {}  pid {}  up {}  {}{guests}",
        about.version,
        about.mode,
        about.pid,
        ago(about.uptime_s),
        about.config
    );
    printable::line(&title).into_owned()
}

/// So much of a text as fits, with a sign that there is more.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if usize::from(width(text)) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    for letter in text.chars() {
        let mut longer = kept.clone();
        longer.push(letter);
        if usize::from(width(&longer)) + 1 > columns {
            break;
        }
        kept = longer;
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

fn painted(text: &str, state: &str) -> String {
    let colour = match state {
        "ready" => "32",
        "starting" | "restarting" | "degraded" => "33",
        "failed" | "stopped" => "31",
        _ => "2",
    };
    let state = format!(" {state}");
    match text.split_once(state.as_str()) {
        Some((before, after)) => format!("{before}\u{1b}[{colour}m{state}\u{1b}[0m{after}"),
        None => text.to_owned(),
    }
}

/// Those at work, and those that wait behind them.
fn active(server: &Server) -> String {
    match server.waiting {
        0 => count(server.in_flight),
        waiting => format!("{}+{}", count(server.in_flight), count(waiting)),
    }
}

fn count(number: u64) -> String {
    match number {
        0..100_000 => number.to_string(),
        100_000..10_000_000 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}

fn time(ms: Option<f64>) -> String {
    match ms {
        None => String::new(),
        Some(ms) if ms <= 1.0 => "<1ms".to_owned(),
        Some(ms) if ms < 1000.0 => format!("{ms:.0}ms"),
        Some(ms) if ms < 60_000.0 => format!("{:.1}s", ms / 1000.0),
        Some(ms) => format!("{:.0}m", ms / 60_000.0),
    }
}

/// Columns that a text takes on a terminal.
fn width(text: &str) -> u16 {
    if text.is_empty() { 0 } else { table::width(text) }
}

/// So many seconds, in one unit.
pub(super) fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The time of day of a moment.
pub(super) fn clock(stamp: &str) -> Option<&str> {
    stamp.get(11..19)
}

const GAP: usize = 2;
const NAME_COLUMNS_MIN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn server(json: &str) -> Server {
        serde_json::from_str(json).unwrap()
    }

    fn servers() -> Vec<Server> {
        vec![
            server(
                r#"{"name":"github","state":"ready","revision":"2025-11-25","transport":"stdio","tools":26,"in_flight":2,"waiting":3,"calls":123456,"errors":7,"p50_ms":812.4,"p95_ms":2400.0,"restarts":1,"since_s":93}"#,
            ),
            server(
                r#"{"name":"a server with a long name","state":"failed","transport":"http","why":"gone\u001b[2J: no answer","retry_in_ms":1500.0,"calls":3,"errors":3,"p50_ms":0.2,"since_s":200000}"#,
            ),
            server(
                r#"{"name":"notes","state":"idle","transport":"stdio","last_error":{"at":"2026-11-28T23:59:01.000Z","text":"x\ny"}}"#,
            ),
        ]
    }

    fn drawn(columns: Option<u16>, chosen: Option<usize>) -> Vec<String> {
        let servers = servers();
        let (head, lines) =
            rows(&servers.iter().collect::<Vec<_>>(), Page { columns, colour: false }, chosen);
        std::iter::once(head).chain(lines).collect()
    }

    #[test]
    fn a_wide_page_has_every_column() {
        assert_eq!(
            drawn(None, None),
            [
                "SERVER                     STATE   REVISION    VIA    TOOLS  ACTIVE  CALLS  ERRORS    P50   P95  RESTARTS  SINCE",
                "github                     ready   2025-11-25  stdio     26     2+3   123k       7  812ms  2.4s         1     1m",
                "a server with a long name  failed              http       0       0      3       3   <1ms               0     2d",
                "notes                      idle                stdio      0       0      0       0                      0",
            ]
        );
    }

    #[test]
    fn a_narrow_page_loses_what_matters_least_and_never_its_width() {
        let eighty = drawn(Some(80), None);
        assert_eq!(eighty[0], "SERVER                     STATE   ACTIVE  CALLS  ERRORS    P50   P95  SINCE");
        for columns in [20, 40, 60, 80, 100, 132] {
            for line in drawn(Some(columns), Some(1)) {
                assert!(width(line.trim_end_matches(" <")) <= columns, "{columns}: {line}");
            }
        }
        assert!(drawn(Some(40), None)[1].starts_with("github"));
    }

    #[test]
    fn what_is_wrong_is_said_beneath_on_one_line() {
        let servers = servers();
        assert_eq!(beneath(&servers[0]), None);
        assert_eq!(beneath(&servers[1]).unwrap(), "gone\\u{1b}[2J: no answer; again in 2s");
        assert_eq!(beneath(&servers[2]).unwrap(), "last error 23:59:01: x y");
        let over = r#"{"name":"n","state":"ready","transport":"stdio","over_rate":{"client":0,"server":40,"tool":3}}"#;
        assert_eq!(beneath(&server(over)).unwrap(), "refused over a rate: 40 server, 3 tool");
    }

    #[test]
    fn rows_stand_in_the_order_that_is_asked_for() {
        let servers = servers();
        for (key, first) in [(b'n', 1), (b'c', 0), (b'e', 0), (b'l', 0), (b'r', 0), (b'o', 0)] {
            let mut all: Vec<&Server> = servers.iter().collect();
            Order::of(key).unwrap().sort(&mut all);
            assert_eq!(all[0].name, servers[first].name, "{}", char::from(key));
        }
        assert_eq!(Order::of(b'x'), None);
    }
}
