//! The tables of `braid check` and `braid list`.
//!
//! Rows in, text out: nothing is printed, measured or looked up here. Whatever comes from a server passes through
//! `printable` first. Colour is put on after the columns are laid out, which therefore know nothing of it.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width};

use super::printable;

/// Where the text is to stand.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Columns of the terminal; `None` where the text goes to a file, and lines may be as long as they are.
    pub columns: Option<u16>,
    /// Whether marks are coloured, in the escape sequences that `anstream` passes on or takes out.
    pub colour: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mark {
    #[default]
    Good,
    Warning,
    Bad,
}

/// A server; or, with no `revision`, anything else that `check` has a word about, such as a server that did not
/// start. Then the first note stands beside the mark.
#[derive(Debug, Clone, Default)]
pub struct ServerRow {
    pub name: String,
    pub mark: Mark,
    /// The negotiated revision; `None` where there was no handshake.
    pub revision: Option<String>,
    pub transport: String,
    pub tools: usize,
    pub prompts: usize,
    pub resources: usize,
    pub templates: usize,
    pub took_ms: Option<u64>,
    /// Each beneath the row, in as many lines as it needs.
    pub notes: Vec<String>,
}

/// A tool, a prompt, a resource or a template.
#[derive(Debug, Clone, Default)]
pub struct ItemRow {
    /// The name or URI that clients see.
    pub exposed: String,
    pub server: String,
    /// What its server calls it.
    pub own: String,
    pub description: String,
}

/// One line per server, its notes beneath. Every line ends with a line end.
pub fn servers(rows: &[ServerRow], page: Page) -> String {
    let facts: Vec<_> = rows.iter().map(Facts::of).collect();
    let widest = |text: fn(&Facts) -> &str| facts.iter().map(|facts| width(text(facts))).max().unwrap_or(0);
    let name = widest(|facts| &facts.name).min(NAME_COLUMNS_MAX);
    let revision = widest(|facts| &facts.revision);
    let transport = widest(|facts| &facts.transport);
    let took = widest(|facts| &facts.took);
    // Beside the mark is what is left of the page, and so are the counts between the columns around them.
    let text = page.columns.map(|columns| columns.saturating_sub(name + 4).max(TEXT_COLUMNS_MIN));
    let others = revision + 2 + transport + 2 + 2 + took;
    let offered = widest(|facts| &facts.offered);
    let offered =
        text.map_or(offered, |text| offered.min(text.saturating_sub(others).max(COUNT_COLUMNS_MIN)));

    let mut lines = Vec::new();
    for (row, facts) in rows.iter().zip(facts) {
        let sign = |line: String| paint(line, row.mark, page);
        let beside = |name: Column, mark: &str, note: &str| {
            let note = printable::text(note).replace('\t', "    ");
            lay_out([name, Column::of(mark, 1, 1), Column::text(note, text)])
        };
        let named = Column::of(&facts.name, name, 2);
        let beneath = match (&row.revision, row.notes.split_first()) {
            (Some(_), _) => {
                let columns = [
                    named,
                    Column::of(MARK_PLACE, 1, 1),
                    Column::of(&facts.revision, revision, 2),
                    Column::of(&facts.transport, transport, 2),
                    Column::of(&facts.offered, offered, 2),
                    Column { right: true, ..Column::of(&facts.took, took, 0) },
                ];
                lines.extend(lay_out(columns).into_iter().map(sign));
                row.notes.as_slice()
            }
            (None, Some((first, rest))) => {
                lines.extend(beside(named, MARK_PLACE, first).into_iter().map(sign));
                rest
            }
            (None, None) => {
                lines.extend(beside(named, MARK_PLACE, "").into_iter().map(sign));
                &[]
            }
        };
        for note in beneath {
            lines.extend(beside(Column::of("", name, 2), "", note));
        }
    }
    ended(lines)
}

/// One line per item: its name, its server where the name does not begin with that, and as much of the description
/// as there is room for; where there is hardly any, the description has a line of its own.
pub fn items(rows: &[ItemRow], page: Page) -> String {
    let name = rows.iter().map(|row| width(&printable::line(&row.exposed))).max().unwrap_or(0);
    let server = match rows.iter().all(|row| row.exposed.starts_with(&row.server)) {
        true => None,
        false => rows.iter().map(|row| width(&printable::line(&row.server))).max(),
    };
    let taken = name + 2 + server.map_or(0, |server| server + 2);
    let room = page.columns.map(|columns| columns.saturating_sub(taken));
    let crowded = room.is_some_and(|room| room < TEXT_COLUMNS_MIN);

    let mut lines = Vec::new();
    for row in rows {
        let name = Column::of(&printable::line(&row.exposed), name, 2);
        let server = server.map(|width| Column::of(&printable::line(&row.server), width, 2));
        let named = std::iter::once(name).chain(server);
        let described = described(row);
        if crowded {
            lines.extend(cut(named));
            if !described.is_empty() {
                let room = page.columns.map(|columns| columns.saturating_sub(4));
                lines.extend(cut([Column::of("", 2, 2), Column::text(described, room)]));
            }
        } else {
            lines.extend(cut(named.chain([Column::text(described, room)])));
        }
    }
    ended(lines)
}

impl Mark {
    pub fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Warning => "!",
            Self::Bad => "✗",
        }
    }

    fn painted(self) -> &'static str {
        match self {
            Self::Good => "\u{1b}[32m✓\u{1b}[0m",
            Self::Warning => "\u{1b}[33m!\u{1b}[0m",
            Self::Bad => "\u{1b}[31m✗\u{1b}[0m",
        }
    }
}

/// The words of a row, before their columns are known.
struct Facts {
    name: String,
    revision: String,
    transport: String,
    offered: String,
    took: String,
}

impl Facts {
    fn of(row: &ServerRow) -> Self {
        let name = printable::line(&row.name).into_owned();
        let Some(revision) = &row.revision else {
            // Its words stand beside the mark, and must not widen columns that it has no part in.
            let none = String::new;
            return Self { name, revision: none(), transport: none(), offered: none(), took: none() };
        };
        Self {
            name,
            revision: printable::line(revision).into_owned(),
            transport: printable::line(&row.transport).into_owned(),
            offered: offered(row),
            took: row.took_ms.map(took).unwrap_or_default(),
        }
    }
}

struct Column {
    text: String,
    /// What it wraps at; `None` is as wide as the text.
    width: Option<u16>,
    /// Columns free on its right.
    gap: u16,
    right: bool,
}

impl Column {
    fn of(text: &str, width: u16, gap: u16) -> Self {
        Self { text: text.to_owned(), width: Some(width), gap, right: false }
    }

    /// The last one of a line.
    fn text(text: String, width: Option<u16>) -> Self {
        Self { text, width, gap: 0, right: false }
    }
}

fn lay_out(columns: impl IntoIterator<Item = Column>) -> Vec<String> {
    wrapped(columns, None)
}

/// On one line, with `…` for what does not fit.
fn cut(columns: impl IntoIterator<Item = Column>) -> Vec<String> {
    wrapped(columns, Some(1))
}

fn wrapped(columns: impl IntoIterator<Item = Column>, lines_max: Option<usize>) -> Vec<String> {
    let columns: Vec<_> = columns.into_iter().collect();
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let mut row = Row::from(columns.iter().map(|column| Cell::new(&column.text)));
    if let Some(lines_max) = lines_max {
        row.max_height(lines_max);
    }
    table.add_row(row);
    for (drawn, column) in table.column_iter_mut().zip(columns) {
        drawn.set_padding((0, column.gap));
        if let Some(width) = column.width {
            drawn.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width.saturating_add(column.gap))));
        }
        if column.right {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn paint(line: String, mark: Mark, page: Page) -> String {
    line.replace(MARK_PLACE, if page.colour { mark.painted() } else { mark.sign() }).replace(GLUE, " ")
}

fn ended(lines: Vec<String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

/// `26 tools 1 prompt`: what there is, and no zeros.
fn offered(row: &ServerRow) -> String {
    let counts = [
        (row.tools, "tool"),
        (row.prompts, "prompt"),
        (row.resources, "resource"),
        (row.templates, "template"),
    ];
    let words: Vec<_> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| format!("{count}{GLUE}{noun}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if words.is_empty() { "offers nothing".to_owned() } else { words.join(" ") }
}

fn took(ms: u64) -> String {
    if ms < 10_000 { format!("{ms} ms") } else { format!("{} s", ms / 1000) }
}

/// The first line of the description, after its own name where the exposed one does not end with that.
fn described(row: &ItemRow) -> String {
    let first = row.description.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let first = printable::line(first);
    if row.exposed.ends_with(&row.own) {
        return first.into_owned();
    }
    format!("({}) {first}", printable::line(&row.own)).trim_end().to_owned()
}

/// Columns that the text takes on a terminal. The table knows how wide letters are.
pub(super) fn width(text: &str) -> u16 {
    let mut table = Table::new();
    table.add_row([text]);
    table.column_max_content_widths().first().copied().unwrap_or(0)
}

/// Stands for the mark until its line is laid out: one column wide, and nothing that `printable` lets through.
const MARK_PLACE: &str = "\u{1}";

/// Stands for a space that no line is broken at, on the same terms.
const GLUE: &str = "\u{2}";

/// Widest name column of `servers`; a longer name goes on below.
const NAME_COLUMNS_MAX: u16 = 24;

/// Narrowest column for sentences, even where the terminal is narrower.
const TEXT_COLUMNS_MIN: u16 = 24;

/// Narrowest column for `26 tools 2 prompts`.
const COUNT_COLUMNS_MIN: u16 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Page = Page { columns: Some(80), colour: false };

    fn github() -> ServerRow {
        ServerRow {
            name: "github".to_owned(),
            revision: Some("2025-11-25".to_owned()),
            transport: "stdio".to_owned(),
            tools: 26,
            prompts: 1,
            took_ms: Some(812),
            ..ServerRow::default()
        }
    }

    fn rows() -> Vec<ServerRow> {
        let path = "/home/ana/.config/braid/config.toml  3 servers";
        let note = "BRAID-N004 name cut: linear__update_project_milestone_with_relations_and_labels → linear__update_project_milestone_with_3fa91c";
        vec![
            ServerRow { name: "config".to_owned(), notes: vec![path.to_owned()], ..ServerRow::default() },
            github(),
            ServerRow {
                name: "linear".to_owned(),
                mark: Mark::Warning,
                revision: Some("2026-07-28".to_owned()),
                transport: "http".to_owned(),
                tools: 31,
                took_ms: Some(12_340),
                notes: vec![note.to_owned()],
                ..ServerRow::default()
            },
            ServerRow {
                name: "files".to_owned(),
                mark: Mark::Bad,
                notes: vec![
                    "BRAID-S001 `uvx` not found".to_owned(),
                    "looked in /usr/bin:/bin\nfix: command = …".to_owned(),
                ],
                ..ServerRow::default()
            },
        ]
    }

    fn shows(text: &str, lines: &[&str]) {
        let expected: String = lines.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn servers_stand_in_columns_with_their_notes_beneath() {
        shows(
            &servers(&rows(), PAGE),
            &[
                "config  ✓ /home/ana/.config/braid/config.toml  3 servers",
                "github  ✓ 2025-11-25  stdio  26 tools 1 prompt  812 ms",
                "linear  ! 2026-07-28  http   31 tools             12 s",
                "          BRAID-N004 name cut:",
                "          linear__update_project_milestone_with_relations_and_labels →",
                "          linear__update_project_milestone_with_3fa91c",
                "files   ✗ BRAID-S001 `uvx` not found",
                "          looked in /usr/bin:/bin",
                "          fix: command = …",
            ],
        );
    }

    #[test]
    fn without_a_terminal_lines_are_not_broken() {
        let text = servers(&rows(), Page { columns: None, colour: false });
        assert_eq!(text.lines().count(), 7);
        assert!(text.contains("and_labels → linear__update_project_milestone_with_3fa91c\n"));
    }

    #[test]
    fn counts_go_on_below_where_the_page_ends() {
        let row = ServerRow {
            prompts: 12,
            resources: 130,
            templates: 17,
            name: "a-server-with-a-name".to_owned(),
            ..github()
        };
        shows(
            &servers(&[row, ServerRow { tools: 0, prompts: 0, ..github() }], PAGE),
            &[
                "a-server-with-a-name  ✓ 2025-11-25  stdio  26 tools 12 prompts            812 ms",
                "                                           130 resources 17 templates",
                "github                ✓ 2025-11-25  stdio  offers nothing                 812 ms",
            ],
        );
    }

    #[test]
    fn no_line_is_wider_than_the_page() {
        let long = "word ".repeat(60) + &"x".repeat(200);
        let row = ServerRow { name: "名".repeat(40), notes: vec![long.clone(), long.clone()], ..github() };
        let failed = ServerRow { revision: None, ..row.clone() };
        let item = ItemRow { description: long, ..item("files__read", "files", "read", "") };
        for columns in [70, 80, 200] {
            let page = Page { columns: Some(columns), colour: false };
            let text =
                servers(&[row.clone(), failed.clone()], page) + &items(std::slice::from_ref(&item), page);
            assert!(text.lines().all(|line| width(line) <= columns), "{text}");
        }
    }

    #[test]
    fn colour_changes_nothing_but_the_marks() {
        let painted = servers(&rows(), Page { colour: true, ..PAGE });
        assert_eq!(painted.matches("\u{1b}[3").count(), rows().len());
        let signs = [Mark::Good, Mark::Warning, Mark::Bad];
        let plain = signs.iter().fold(painted, |text, mark| text.replace(mark.painted(), mark.sign()));
        assert_eq!(plain, servers(&rows(), PAGE));
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let bad = "\u{1b}[2J\u{1}\t\u{9b}";
        let row = ServerRow {
            name: bad.to_owned(),
            revision: Some(bad.to_owned()),
            transport: bad.to_owned(),
            notes: vec![bad.to_owned()],
            ..github()
        };
        let text = servers(&[row], PAGE) + &items(&[item(bad, bad, bad, bad), item("x", bad, bad, "")], PAGE);
        assert!(text.chars().all(|letter| !letter.is_control() || letter == '\n'), "{text:?}");
    }

    fn item(exposed: &str, server: &str, own: &str, description: &str) -> ItemRow {
        ItemRow {
            exposed: exposed.to_owned(),
            server: server.to_owned(),
            own: own.to_owned(),
            description: description.to_owned(),
        }
    }

    #[test]
    fn items_have_as_much_description_as_fits() {
        let rows = [
            item(
                "github__create_issue",
                "github",
                "create_issue",
                "\n  Creates an issue in a repository that one may write to, with labels.\nMore.",
            ),
            item("github__me", "github", "get_me", "Who am I?"),
            item("github__none", "github", "none", ""),
        ];
        shows(
            &items(&rows, PAGE),
            &[
                "github__create_issue  Creates an issue in a repository that one may write to,…",
                "github__me            (get_me) Who am I?",
                "github__none",
            ],
        );
    }

    #[test]
    fn the_server_is_named_where_the_name_does_not_say_it() {
        let rows = [
            item("note://welcome", "notes", "note://welcome", "Welcome"),
            item("workshop+workshop://tools/hammer", "workshop", "workshop://tools/hammer", ""),
        ];
        shows(
            &items(&rows, PAGE),
            &[
                "note://welcome                    notes     Welcome",
                "workshop+workshop://tools/hammer  workshop",
            ],
        );
    }

    #[test]
    fn a_long_name_leaves_the_description_a_line_of_its_own() {
        let name = format!("files__{}", "x".repeat(60));
        let rows = [item(&name, "files", "x", "Reads a file."), item("files__read", "files", "read", "")];
        shows(
            &items(&rows, PAGE),
            &[
                "files__xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                "    Reads a file.",
                "files__read",
            ],
        );
    }

    #[test]
    fn no_rows_are_no_text() {
        assert_eq!(servers(&[], PAGE), "");
        assert_eq!(items(&[], PAGE), "");
    }
}
