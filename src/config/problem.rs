//! What is wrong with a configuration, and how it is told: line, caret, what was expected.
//!
//! A `Problem` is about one place of one source and carries a stable code. A `Report` holds every error of a
//! file, in the order of the file. Nothing here decides what is wrong, and no value of a variable comes here:
//! the source that is drawn has the secrets that stand in it covered (see `cover`).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;
use serde_json::value::RawValue;

use super::codes::Code;

/// The text that problems point into, as it may be shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// In words for people: a path, or `command line`.
    pub origin: String,
    /// Of the same length as what was read, with secrets covered.
    pub text: String,
}

impl Source {
    /// Line and column of a byte, both from 1; columns count characters.
    fn place(&self, byte: usize) -> (usize, usize) {
        let byte = floor_boundary(&self.text, byte);
        let (before, _) = self.text.split_at(byte);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

fn floor_boundary(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is started.
    Error,
    /// Something is left out or looks wrong; the rest works.
    Warning,
}

/// A place in the source and what to say there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Label {
    span: Range<usize>,
    text: String,
}

/// One thing that is wrong. Never holds the value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    pub severity: Severity,
    /// One line, lower case, without a full stop.
    pub message: String,
    /// Where; `None` when the problem is with the file as a whole.
    primary: Option<Label>,
    context: Vec<Label>,
    help: Vec<String>,
    source: Arc<Source>,
}

impl Problem {
    pub fn error(source: &Arc<Source>, code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            primary: None,
            context: Vec::new(),
            help: Vec::new(),
            source: Arc::clone(source),
        }
    }

    pub fn warning(source: &Arc<Source>, code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(source, code, message) }
    }

    /// Points at the mistake; `text` may be empty.
    #[must_use]
    pub fn at(mut self, span: &Range<usize>, text: impl Into<String>) -> Self {
        self.primary = Some(Label { span: span.clone(), text: text.into() });
        self
    }

    /// Points at something that explains the mistake.
    #[must_use]
    pub fn beside(mut self, span: &Range<usize>, text: impl Into<String>) -> Self {
        self.context.push(Label { span: span.clone(), text: text.into() });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Line and column from 1, when the problem has a place.
    pub fn place(&self) -> Option<(usize, usize)> {
        self.primary.as_ref().map(|label| self.source.place(label.span.start))
    }

    /// One line for a log: `braid.toml:3:7: BRAID-C003: server has both …`.
    pub fn line(&self) -> String {
        let origin = &self.source.origin;
        let (code, message) = (self.code, &self.message);
        match self.place() {
            Some((line, column)) => format!("{origin}:{line}:{column}: {code}: {message}"),
            None if origin.is_empty() => format!("{code}: {message}"),
            None => format!("{origin}: {code}: {message}"),
        }
    }

    /// The same with what stands at the place: `mcp.json:3:7: BRAID-C032: server `a` is skipped: expected text`.
    pub fn sentence(&self) -> String {
        let label = self.label();
        if label.is_empty() { self.line() } else { format!("{}: {label}", self.line()) }
    }

    /// What is wrong without where: `env_file` cannot be used: no such file.
    pub fn words(&self) -> String {
        let label = self.label();
        if label.is_empty() { self.message.clone() } else { format!("{}: {label}", self.message) }
    }

    fn label(&self) -> &str {
        self.primary.as_ref().map_or("", |label| label.text.as_str())
    }

    /// Several lines for people, as rustc draws them, without a line break at the end.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(self.message.as_str()).id(self.code.id());
        let mut group = Group::with_title(title);
        let origin = self.source.origin.as_str();
        if let Some(primary) = &self.primary {
            let whole = self.window();
            let window = self.cut(&whole, &primary.span);
            let text = self.source.text.get(window.clone()).unwrap_or_default();
            let shift = |span: &Range<usize>| {
                let start = floor_boundary(text, span.start.saturating_sub(window.start));
                let end = floor_boundary(text, span.end.saturating_sub(window.start));
                start..end.max(start)
            };
            let inside = |label: &&Label| window.start <= label.span.start && label.span.start <= window.end;
            let context = self.context.iter().filter(inside).map(|label| (AnnotationKind::Context, label));
            let annotations = context.chain([(AnnotationKind::Primary, primary)]).map(|(kind, label)| {
                let annotation = kind.span(shift(&label.span));
                if label.text.is_empty() { annotation } else { annotation.label(label.text.as_str()) }
            });
            let (first_line, _) = self.source.place(window.start);
            let mut snippet = Snippet::source(text).line_start(first_line).annotations(annotations);
            if window == whole {
                snippet = snippet.path(origin);
            } else {
                // The column of a line that was cut is not that of the piece.
                let (line, column) = self.source.place(primary.span.start);
                group = group.element(Origin::path(origin).line(line).char_column(column));
            }
            group = group.element(snippet);
        } else if !origin.is_empty() {
            group = group.element(Origin::path(origin));
        }
        group =
            group.elements(self.help.iter().map(|help| Element::from(Level::HELP.message(help.as_str()))));
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }

    /// The bytes from the first line that is labelled to the last, so that a large file costs nothing.
    fn window(&self) -> Range<usize> {
        let text = &self.source.text;
        let labels = || self.primary.iter().chain(&self.context);
        let start = labels().map(|label| label.span.start).min().unwrap_or(0);
        let end = labels().map(|label| label.span.end).max().unwrap_or(0);
        let start = floor_boundary(text, start);
        let end = floor_boundary(text, end).max(start);
        let (before, rest) = text.split_at(start);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let tail = rest.get(end - before.len()..).unwrap_or_default();
        start..tail.find('\n').map_or(text.len(), |newline| end + newline)
    }

    /// A piece around the mistake, when the lines are too long to be drawn: some files are one line.
    fn cut(&self, window: &Range<usize>, primary: &Range<usize>) -> Range<usize> {
        if window.len() <= DRAWN_BYTES_MAX {
            return window.clone();
        }
        let text = &self.source.text;
        let around = DRAWN_BYTES_MAX / 4;
        let start = floor_boundary(text, primary.start.saturating_sub(around)).max(window.start);
        let end = floor_boundary(text, primary.start + around).min(window.end);
        start..end.max(start)
    }

    /// As it stands in the error object of a file that cannot be used.
    pub fn to_json(&self) -> Option<Box<RawValue>> {
        serde_json::value::to_raw_value(&self.to_record()).ok()
    }

    fn order(&self) -> (usize, Code) {
        (self.primary.as_ref().map_or(0, |label| label.span.start), self.code)
    }

    fn to_record(&self) -> Record<'_> {
        let place = self.place();
        Record {
            code: self.code.id(),
            severity: match self.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: &self.message,
            file: &self.source.origin,
            line: place.map(|place| place.0),
            column: place.map(|place| place.1),
            label: Some(self.label()).filter(|text| !text.is_empty()),
            help: &self.help,
        }
    }
}

/// Longest piece of a source that is drawn as it is; drawing costs more than the square of its length.
const DRAWN_BYTES_MAX: usize = 4096;

/// A problem as `--format json` shows it.
#[derive(Serialize)]
struct Record<'a> {
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    help: &'a [String],
}

#[derive(Serialize)]
struct Records<'a> {
    file: &'a str,
    problems: Vec<Record<'a>>,
}

/// Problems as one line of JSON: `[{"code":…,"line":…}]`.
pub fn to_json(problems: &[Problem]) -> String {
    let records: Vec<_> = problems.iter().map(Problem::to_record).collect();
    // Strings and numbers only: serialising them cannot fail.
    serde_json::to_string(&records).unwrap_or_default()
}

/// Everything that is wrong with a configuration that cannot be used. At least one error, in file order.
#[derive(Debug)]
pub struct Report {
    /// At most [`PROBLEMS_MAX`], errors before warnings.
    pub problems: Vec<Problem>,
    errors: usize,
    warnings: usize,
    source: Arc<Source>,
}

/// Problems of one file that are kept and shown; the rest is counted.
pub const PROBLEMS_MAX: usize = 50;

impl Report {
    /// Sorts what was found into the order of the file.
    pub fn new(source: &Arc<Source>, mut problems: Vec<Problem>) -> Self {
        sort(&mut problems);
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        let warnings = problems.len() - errors;
        if problems.len() > PROBLEMS_MAX {
            // Errors are kept before warnings: without them nobody knows why nothing started.
            problems.sort_by_key(|problem| problem.severity);
            problems.truncate(PROBLEMS_MAX);
            sort(&mut problems);
        }
        Self { problems, errors, warnings, source: Arc::clone(source) }
    }

    /// A report about a file that could not even be read.
    pub fn of_file(origin: &str, code: Code, message: impl Into<String>, help: &str) -> Self {
        let source = Arc::new(Source { origin: origin.to_owned(), text: String::new() });
        let problem = Problem::error(&source, code, message);
        let problem = if help.is_empty() { problem } else { problem.help(help) };
        Self::new(&source, vec![problem])
    }

    /// How many errors there are, shown or not.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Several paragraphs for people, with a last line that counts. Ends with a line break.
    pub fn render(&self, color: bool) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            text.push_str(&problem.render(color));
            text.push_str("\n\n");
        }
        if !self.source.origin.is_empty() {
            text.push_str(&format!("{}: ", self.source.origin));
        }
        text.push_str(&counted(self.errors, "error"));
        if self.warnings > 0 {
            text.push_str(&format!(", {}", counted(self.warnings, "warning")));
        }
        if self.errors + self.warnings > PROBLEMS_MAX {
            text.push_str(&format!(", the first {PROBLEMS_MAX} are shown"));
        }
        if let Some(first) = self.first() {
            text.push_str(&format!("; `braid explain {}` says more", first.code));
        }
        text.push('\n');
        text
    }

    /// The code of the first error.
    pub fn code(&self) -> Option<&'static str> {
        self.first().map(|problem| problem.code.id())
    }

    /// What the first error says, and where, in one line.
    pub fn sentence(&self) -> String {
        self.first().map_or_else(|| self.headline().to_owned(), Problem::sentence)
    }

    fn first(&self) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.severity == Severity::Error)
    }

    /// What the first error says, in one line and without its place.
    pub fn headline(&self) -> &str {
        self.first().map_or("the configuration cannot be used", |problem| problem.message.as_str())
    }

    /// One line of JSON: `{"file":…,"problems":[{"code":…,"line":…}]}`.
    pub fn to_json(&self) -> String {
        let problems = self.problems.iter().map(Problem::to_record).collect();
        let records = Records { file: &self.source.origin, problems };
        // Strings and numbers only: serialising them cannot fail.
        serde_json::to_string(&records).unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

/// Into the order of the file; problems at one place by their code.
pub(super) fn sort(problems: &mut [Problem]) {
    problems.sort_by_key(Problem::order);
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A key as it may stand in a message: in backticks, shortened, control characters made visible.
pub(super) fn quoted(key: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    let mut text = String::from("`");
    for (count, c) in key.chars().enumerate() {
        if count == SHOWN_CHARS {
            text.push('…');
            break;
        }
        if c.is_control() { text.extend(c.escape_default()) } else { text.push(c) }
    }
    text.push('`');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Arc<Source> {
        Arc::new(Source { origin: "braid.toml".to_owned(), text: text.to_owned() })
    }

    #[test]
    fn a_problem_points_with_several_labels() {
        let source = source("[servers.github]\ncommand = \"npx\"\nurl = \"https://x/mcp\"\n");
        let problem = Problem::error(&source, Code::CommandAndUrl, "server has both `command` and `url`")
            .at(&(39..54), "makes it a remote server")
            .beside(&(9..15), "in this server")
            .beside(&(17..24), "makes it a stdio server")
            .help("remove one of the two");
        insta::assert_snapshot!(problem.render(false), @r#"
        error[BRAID-C003]: server has both `command` and `url`
         --> braid.toml:3:7
          |
        1 | [servers.github]
          |          ------ in this server
        2 | command = "npx"
          | ------- makes it a stdio server
        3 | url = "https://x/mcp"
          |       ^^^^^^^^^^^^^^^ makes it a remote server
          |
          = help: remove one of the two
        "#);
        assert_eq!(problem.line(), "braid.toml:3:7: BRAID-C003: server has both `command` and `url`");
    }

    #[test]
    fn line_numbers_hold_in_the_middle_of_a_file() {
        let source = source("\n\n\na = 1\nb = é\n\n");
        let problem = Problem::warning(&source, Code::NoEffect, "x").at(&(13..15), "here");
        assert!(problem.render(false).contains("braid.toml:5:5"), "{}", problem.render(false));
        assert!(problem.render(false).contains("5 | b = é"));
    }

    #[test]
    fn spans_beyond_the_text_or_inside_a_character_are_no_panic() {
        let source = source("é\né");
        for start in 0..8 {
            for end in 0..8 {
                let problem = Problem::error(&source, Code::Syntax, "x")
                    .at(&(start..end), "y")
                    .beside(&(end..start), "z");
                problem.render(false);
                problem.render(true);
                problem.line();
            }
        }
    }

    #[test]
    fn a_report_is_in_the_order_of_the_file() {
        let source = source("a\nb\n");
        let report = Report::new(
            &source,
            vec![
                Problem::error(&source, Code::UnknownKey, "second").at(&(2..3), ""),
                Problem::warning(&source, Code::NoEffect, "first").at(&(0..1), ""),
            ],
        );
        assert_eq!(report.problems[0].message, "first");
        assert!(
            report
                .render(false)
                .ends_with("braid.toml: 1 error, 1 warning; `braid explain BRAID-C001` says more\n")
        );
        assert_eq!(
            report.to_json(),
            r#"{"file":"braid.toml","problems":[{"code":"BRAID-C021","severity":"warning","message":"first","file":"braid.toml","line":1,"column":1},{"code":"BRAID-C001","severity":"error","message":"second","file":"braid.toml","line":2,"column":1}]}"#
        );
    }

    #[test]
    fn a_key_in_a_message_is_short_and_has_no_control_characters() {
        assert_eq!(quoted("a\u{1b}[31mb\n"), "`a\\u{1b}[31mb\\n`");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 63);
    }
}
