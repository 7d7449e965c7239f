//! Sections of a TOML file: one more, one less, a flag in one of them, a name out of a list.
//!
//! For `braid.toml` and for Codex' own file. Whole lines are put in and taken out: a section goes with its comments,
//! those right above its header and those right below its keys, and comments of others stay.

use std::ops::Range;

use super::commas::{Commas, Comments};
use super::statements::{Kind, Statement, statements};
use super::{EditError, Splice, behind_mark, differ_only_at, line_end, line_of, line_start, spliced};
use crate::config::toml_text::key;
use crate::config::tree::{Node, Value, from_toml};

/// The text with a section behind the other sections of the same table.
///
/// `section` is the whole of it with header and line ends of `\n`, and stands apart by a blank line.
pub fn with_section(text: &str, table: &str, name: &str, section: &str) -> Result<String, EditError> {
    let (mark, body) = behind_mark(text);
    let root = read(body)?;
    let found = scanned(body, table)?;
    let behind = found.iter().rev().find(|one| one.path.first().is_some_and(|first| first == table));
    let at = behind.map_or(body.len(), |last| end_of_comments(body, last.lines.end));
    let line_end = line_end(body);
    let mut piece = section.replace('\n', line_end);
    let before = body.get(..at).unwrap_or_default();
    let rest = body.get(at..).unwrap_or_default();
    if !before.is_empty() {
        let apart = if before.ends_with('\n') { line_end.to_owned() } else { line_end.repeat(2) };
        let apart = if blank_line_ends(before) { String::new() } else { apart };
        piece.insert_str(0, &apart);
    }
    if !rest.is_empty() && !rest.trim_start_matches([' ', '\t']).starts_with(['\n', '\r']) {
        piece.push_str(line_end);
    }
    let edited = spliced(body, vec![Splice::new(at..at, piece)]);
    proven(mark, edited, &root, &[table, name], true)
}

/// The text with a section in the place of the one of its name, or behind the others where there is none.
pub fn put_section(text: &str, table: &str, name: &str, section: &str) -> Result<String, EditError> {
    let (mark, body) = behind_mark(text);
    let Some(lines) = section_lines(body, table, name) else {
        return with_section(text, table, name, section);
    };
    let mut piece = section.replace('\n', line_end(body));
    if !body.get(lines.clone()).is_some_and(|old| old.ends_with('\n')) {
        piece.truncate(piece.trim_end().len());
    }
    let edited = spliced(body, vec![Splice::new(lines, piece)]);
    proven(mark, edited, &read(body)?, &[table, name], true)
}

/// The text without a section: its header, its keys, those of the tables inside of it.
pub fn without_section(text: &str, table: &str, name: &str) -> Result<String, EditError> {
    let (mark, body) = behind_mark(text);
    let root = read(body)?;
    let is_there = root.get(table).is_some_and(|entry| entry.node.get(name).is_some());
    let shown = || format!("{table}.{name}");
    if !is_there {
        return Err(EditError::Missing(shown()));
    }
    let found = scanned(body, table)?;
    let own: Vec<&Statement> = found.iter().filter(|one| is_within(one, &[table, name])).collect();
    if own.is_empty() {
        return Err(EditError::Form(table.to_owned()));
    }
    let mut pieces: Vec<Range<usize>> = Vec::new();
    for one in own {
        let start =
            if one.kind == Kind::Header { start_of_comments(body, one.lines.start) } else { one.lines.start };
        match pieces.last_mut() {
            // Between two statements of one section stands nothing that is not its own.
            Some(last)
                if found.iter().all(|other| !(last.end..one.lines.start).contains(&other.lines.start)) =>
            {
                last.end = one.lines.end;
            }
            Some(_) | None => pieces.push(start..one.lines.end),
        }
    }
    let splices = pieces.into_iter().map(|piece| {
        let end = end_of_comments(body, piece.end);
        let before = body.get(..piece.start).unwrap_or_default();
        // One of the two blank lines around it goes as well.
        let start = if blank_line_ends(before) { line_start(before, before.len() - 1) } else { piece.start };
        let start = if before.trim().is_empty() { 0 } else { start };
        let end =
            if start == 0 { end + leading_blank_line(body.get(end..).unwrap_or_default()) } else { end };
        Splice::new(start..end, "")
    });
    let edited = spliced(body, splices.collect());
    proven(mark, edited, &root, &[table, name], false)
}

/// The names that stand in a table; none where the text cannot be read.
pub fn names(text: &str, table: &str) -> Vec<String> {
    let root = read(behind_mark(text).1).ok();
    let entries = root.as_ref().and_then(|root| root.get(table)).map(|entry| entry.node.entries());
    entries.unwrap_or_default().iter().map(|entry| entry.key.clone()).collect()
}

/// Whether a name stands in a table.
pub fn has(text: &str, table: &str, name: &str) -> bool {
    names(text, table).iter().any(|known| known == name)
}

/// A section as it is written, with line ends of `\n`; `None` when other sections stand within it.
pub fn section(text: &str, table: &str, name: &str) -> Option<String> {
    let (_, body) = behind_mark(text);
    let lines = section_lines(body, table, name)?;
    body.get(lines).map(|text| text.replace("\r\n", "\n"))
}

/// Where a section stands with all that is inside of it, if it begins with its header and nothing else is within.
fn section_lines(body: &str, table: &str, name: &str) -> Option<Range<usize>> {
    let found = statements(body)?;
    let path = [table, name];
    let first = found.iter().position(|one| is_within(one, &path))?;
    let last = found.iter().rposition(|one| is_within(one, &path))?;
    let whole = found.get(first..=last)?;
    let header = whole.first().filter(|one| one.kind == Kind::Header && one.path == path)?;
    let lines = header.lines.start..whole.last()?.lines.end;
    whole.iter().all(|one| is_within(one, &path)).then_some(lines)
}

/// The text with `enabled` of a section as it is wanted; `None` when it is so already.
pub fn with_enabled(text: &str, table: &str, name: &str, enabled: bool) -> Result<Option<String>, EditError> {
    let (mark, body) = behind_mark(text);
    let root = read(body)?;
    let missing = || EditError::Missing(format!("{table}.{name}"));
    let section = &root.get(table).and_then(|entry| entry.node.get(name)).ok_or_else(missing)?.node;
    let written = section.get("enabled").map(|entry| &entry.node);
    let now = written.is_none_or(|node| node.value != Value::Flag(false));
    if now == enabled {
        return Ok(None);
    }
    let value = if enabled { "true" } else { "false" };
    let found = scanned(body, table)?;
    let path = [table, name, "enabled"];
    let own = found.iter().find(|one| one.path == path);
    let splice = match (own, written) {
        (Some(one), Some(_))
            if enabled && !body.get(one.span.end..one.lines.end).is_some_and(|rest| rest.contains('#')) =>
        {
            Splice::new(one.lines.clone(), "")
        }
        (_, Some(node)) => Splice::new(node.span.clone(), value),
        (_, None) => new_flag(body, &found, section, [table, name], value)
            .ok_or_else(|| EditError::Form(name.to_owned()))?,
    };
    let edited = spliced(body, vec![splice]);
    let fine = read(&edited).is_ok_and(|new| {
        let section = new.get(table).and_then(|entry| entry.node.get(name));
        let flag = section.and_then(|entry| entry.node.get("enabled")).map(|entry| &entry.node.value);
        differ_only_at(&root, &new, &path) && (flag != Some(&Value::Flag(false))) == enabled
    });
    if fine { Ok(Some(format!("{mark}{edited}"))) } else { Err(EditError::Form(name.to_owned())) }
}

/// `enabled` below the last key of the section itself, in the form of the others.
fn new_flag(body: &str, found: &[Statement], section: &Node, path: [&str; 2], value: &str) -> Option<Splice> {
    let inside = |one: &&Statement| is_within(one, &path) && one.path.len() > 2;
    let header = found.iter().rposition(|one| one.kind == Kind::Header && one.path == path);
    if let Some(header) = header {
        let pairs = found.get(header + 1..)?.iter().take_while(|one| one.kind != Kind::Header);
        let last = pairs.last().or_else(|| found.get(header))?;
        return Some(line_below(body, last, &format!("enabled = {value}")));
    }
    if let Some(last) = found.iter().rev().find(|one| inside(one) && one.kind != Kind::Header) {
        let Kind::Pair { above, .. } = last.kind else { return None };
        let keys: Vec<String> = path.iter().chain(&["enabled"]).skip(above).map(|name| key(name)).collect();
        return Some(line_below(body, last, &format!("{} = {value}", keys.join("."))));
    }
    // `x = { command = "…" }`
    let braces = body.get(section.span.clone())?;
    if !braces.starts_with('{') {
        return None;
    }
    let elements = section.entries().iter().map(|entry| entry.key_span.start..entry.node.span.end).collect();
    let inside = section.span.start + 1..section.span.end - 1;
    let commas = Commas { text: body, comments: Comments::Hashes, inside, elements };
    let whole = commas.with_last(&format!("enabled = {value}"), super::commas::Before::Blank);
    Some(Splice::new(0..body.len(), whole))
}

fn line_below(body: &str, last: &Statement, line: &str) -> Splice {
    let at = last.lines.end;
    let line_end = line_end(body);
    let indentation = super::indentation(body, last.span.start);
    let ended = body.get(..at).is_some_and(|before| before.ends_with('\n'));
    let piece = if ended {
        format!("{indentation}{line}{line_end}")
    } else {
        format!("{line_end}{indentation}{line}")
    };
    Splice::new(at..at, piece)
}

/// The text without a name in each list `lists.*.list`; and in which of them it stood.
pub fn without_name(
    text: &str,
    lists: &str,
    list: &str,
    name: &str,
) -> Result<(String, Vec<String>), EditError> {
    let (mark, body) = behind_mark(text);
    let mut edited = body.to_owned();
    let mut left = Vec::new();
    loop {
        let root = read(&edited)?;
        let groups = root.get(lists).map(|entry| entry.node.entries()).unwrap_or_default();
        let found = groups.iter().find_map(|group| {
            let found = &group.node.get(list)?.node;
            let Value::List(items) = &found.value else { return None };
            let index = items.iter().position(|item| item.value == Value::Text(name.to_owned()))?;
            Some((group.key.clone(), found.span.clone(), items, index))
        });
        let Some((group, span, items, index)) = found else { break };
        let commas = Commas {
            text: &edited,
            comments: Comments::Hashes,
            inside: span.start + 1..span.end.saturating_sub(1),
            elements: items.iter().map(|item| item.span.clone()).collect(),
        };
        let shown = || EditError::Form(format!("{lists}.{group}.{list}"));
        let less = commas.without(index).filter(|less| less.len() < edited.len()).ok_or_else(shown)?;
        let new = read(&less).map_err(|_| shown())?;
        if !differ_only_at(&root, &new, &[lists, &group, list]) {
            return Err(shown());
        }
        if !left.contains(&group) {
            left.push(group);
        }
        edited = less;
    }
    Ok((format!("{mark}{edited}"), left))
}

/// Gives the new text out if it says what it should.
fn proven(
    mark: &str,
    edited: String,
    old: &Node,
    path: &[&str; 2],
    there: bool,
) -> Result<String, EditError> {
    let fine = read(&edited).is_ok_and(|new| {
        let found = new.get(path[0]).and_then(|entry| entry.node.get(path[1]));
        differ_only_at(old, &new, path) && found.is_some() == there
    });
    if fine { Ok(format!("{mark}{edited}")) } else { Err(EditError::Form(path[0].to_owned())) }
}

fn read(text: &str) -> Result<Node, EditError> {
    let (root, errors) = from_toml(text);
    match errors.into_iter().next() {
        None => Ok(root),
        Some(error) => Err(EditError::Syntax { line: line_of(text, error.span.start), why: error.message }),
    }
}

fn scanned(text: &str, what: &str) -> Result<Vec<Statement>, EditError> {
    statements(text).ok_or_else(|| EditError::Form(what.to_owned()))
}

fn is_within(one: &Statement, path: &[&str; 2]) -> bool {
    one.path.len() >= 2 && one.path.iter().zip(path).all(|(own, wanted)| own == wanted)
}

/// Behind the comment lines that follow at once; they belong to what stands above them.
fn end_of_comments(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let mut comments = 0;
    for line in rest.split_inclusive('\n') {
        if !line.trim_start().starts_with('#') {
            // Comments right above a header belong to it.
            let header = line.trim_start().starts_with('[');
            return if header { start } else { start + comments };
        }
        comments += line.len();
    }
    start + comments
}

/// Where the comment lines begin that stand right above; unless they stand right below something else.
fn start_of_comments(text: &str, end: usize) -> usize {
    let mut start = end;
    while start > 0 {
        let above = line_start(text, start - 1);
        let line = text.get(above..start).unwrap_or_default().trim();
        match line {
            "" => return start,
            _ if line.starts_with('#') => start = above,
            _ => return end,
        }
    }
    // At the top of a file stands what is about all of it.
    end
}

fn blank_line_ends(text: &str) -> bool {
    let Some(body) = text.strip_suffix('\n') else { return false };
    text.get(line_start(text, body.len())..).is_some_and(|line| line.trim().is_empty())
}

fn leading_blank_line(text: &str) -> usize {
    let line = text.split_inclusive('\n').next().unwrap_or_default();
    if line.trim().is_empty() { line.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "[servers.new]\ncommand = \"x\"\n";

    const FILE: &str = "# all of it\nversion = 1\n\n# first\n[servers.a]\ncommand = \"a\" # is a\n#env = {}\n#cwd = \".\"\n\n# second\n[servers.b]\ncommand = \"b\"\n\n[servers.b.tool.t]\ntimeout = \"1s\"\n\n# [servers.later]\n\n# the log\n[log]\n#level = \"info\"\n";

    #[test]
    fn a_new_section_stands_behind_its_like() {
        assert_eq!(
            with_section(FILE, "servers", "new", NEW).unwrap(),
            FILE.replace("timeout = \"1s\"\n", "timeout = \"1s\"\n\n[servers.new]\ncommand = \"x\"\n")
        );
        for (text, more) in [
            ("", "[servers.new]\ncommand = \"x\"\n"),
            ("version = 1", "version = 1\n\n[servers.new]\ncommand = \"x\"\n"),
            ("[log]\n#level = \"info\"\n", "[log]\n#level = \"info\"\n\n[servers.new]\ncommand = \"x\"\n"),
            (
                "[servers.a]\ncommand = \"a\"\n#env = {}\n",
                "[servers.a]\ncommand = \"a\"\n#env = {}\n\n[servers.new]\ncommand = \"x\"\n",
            ),
            (
                "[servers.a]\ncommand = \"a\"\n# log\n[log]\n",
                "[servers.a]\ncommand = \"a\"\n\n[servers.new]\ncommand = \"x\"\n\n# log\n[log]\n",
            ),
            ("\u{feff}version = 1\r\n", "\u{feff}version = 1\r\n\r\n[servers.new]\r\ncommand = \"x\"\r\n"),
            ("servers.a.command = \"a\"\n", "servers.a.command = \"a\"\n\n[servers.new]\ncommand = \"x\"\n"),
        ] {
            assert_eq!(with_section(text, "servers", "new", NEW).as_deref(), Ok(more), "{text:?}");
        }
    }

    #[test]
    fn a_section_goes_with_what_is_its_own() {
        assert_eq!(
            without_section(FILE, "servers", "a").unwrap(),
            FILE.replace("# first\n[servers.a]\ncommand = \"a\" # is a\n#env = {}\n#cwd = \".\"\n\n", "")
        );
        assert_eq!(
            without_section(FILE, "servers", "b").unwrap(),
            FILE.replace(
                "# second\n[servers.b]\ncommand = \"b\"\n\n[servers.b.tool.t]\ntimeout = \"1s\"\n\n",
                ""
            )
        );
        for (text, less) in [
            ("servers.a.command = \"a\"\nservers.b.command = \"b\"\n", "servers.b.command = \"b\"\n"),
            (
                "[servers]\na = { command = \"a\" }\nb = { command = \"b\" } # b\n",
                "[servers]\nb = { command = \"b\" } # b\n",
            ),
            (
                "[servers.b]\ncommand = \"b\"\n\n[servers.a]\ncommand = \"a\"",
                "[servers.b]\ncommand = \"b\"\n",
            ),
            ("[servers.a]\ncommand = \"a\"\n\n[log]\n", "[log]\n"),
            (
                "[servers.a]\r\ncommand = \"a\"\r\n\r\n[log]\r\n\r\n[servers.a.timeouts]\r\ncall = \"1s\"\r\n",
                "[log]\r\n",
            ),
            ("[servers.\"a\"]\ncommand = \"\"\"\n[servers.b]\n\"\"\"\n", ""),
        ] {
            assert_eq!(without_section(text, "servers", "a").as_deref(), Ok(less), "{text:?}");
        }
    }

    #[test]
    fn what_was_put_in_comes_out_again() {
        for text in [
            FILE,
            "version = 1\n",
            "[log]\n#level = \"info\"\n",
            "version = 1\r\n\r\n[servers.a]\r\ncommand = \"a\"\r\n",
            "",
        ] {
            let more = with_section(text, "servers", "new", NEW).unwrap();
            assert_eq!(without_section(&more, "servers", "new").as_deref(), Ok(text), "{more:?}");
        }
    }

    #[test]
    fn what_cannot_be_changed_is_said_and_not_tried() {
        let inline = "servers = { a = { command = \"a\" } }\n";
        assert_eq!(with_section(inline, "servers", "new", NEW), Err(EditError::Form("servers".to_owned())));
        assert_eq!(without_section(inline, "servers", "a"), Err(EditError::Form("servers".to_owned())));
        assert_eq!(without_section("", "servers", "a"), Err(EditError::Missing("servers.a".to_owned())));
        assert!(matches!(
            with_section("a = 1\nb = \n", "servers", "new", NEW),
            Err(EditError::Syntax { line: 2, .. })
        ));
        assert_eq!(
            with_section("[servers.new]\n", "servers", "new", NEW),
            Err(EditError::Form("servers".to_owned()))
        );
    }

    #[test]
    fn a_server_is_switched_off_and_on_in_the_form_of_its_file() {
        for (on, off) in [
            (
                "[servers.a]\ncommand = \"a\" # x\n\n[log]\n",
                "[servers.a]\ncommand = \"a\" # x\nenabled = false\n\n[log]\n",
            ),
            ("[servers.a]\r\n  command = \"a\"", "[servers.a]\r\n  command = \"a\"\r\n  enabled = false"),
            (
                "[servers.a]\ncommand = \"a\"\n[servers.a.timeouts]\ncall = \"1s\"\n",
                "[servers.a]\ncommand = \"a\"\nenabled = false\n[servers.a.timeouts]\ncall = \"1s\"\n",
            ),
            ("servers.a.command = \"a\"\n", "servers.a.command = \"a\"\nservers.a.enabled = false\n"),
            ("[servers]\na.command = \"a\"\n", "[servers]\na.command = \"a\"\na.enabled = false\n"),
        ] {
            assert_eq!(with_enabled(on, "servers", "a", false).unwrap().as_deref(), Some(off), "{on:?}");
            assert_eq!(with_enabled(off, "servers", "a", false), Ok(None), "{off:?}");
            assert_eq!(with_enabled(on, "servers", "a", true), Ok(None), "{on:?}");
            // With no line end behind the last line one is not put there.
            let back = with_enabled(off, "servers", "a", true).unwrap().unwrap();
            assert_eq!(back.trim_end(), on.trim_end(), "{off:?}");
        }
        for (from, to, on) in [
            (
                "[servers]\na = { command = \"a\" }\n",
                "[servers]\na = { command = \"a\", enabled = false }\n",
                false,
            ),
            ("[servers.a]\nenabled = true\n", "[servers.a]\nenabled = false\n", false),
            ("[servers.a]\nenabled = false # for now\n", "[servers.a]\nenabled = true # for now\n", true),
        ] {
            assert_eq!(with_enabled(from, "servers", "a", on).unwrap().as_deref(), Some(to), "{from:?}");
        }
        assert_eq!(with_enabled("", "servers", "a", true), Err(EditError::Missing("servers.a".to_owned())));
    }

    #[test]
    fn a_section_is_put_anew_in_its_place() {
        for (text, more) in [
            (
                "[servers.new]\ncommand = \"old\"\n# mine\n[log]\n",
                "[servers.new]\ncommand = \"x\"\n# mine\n[log]\n",
            ),
            ("a = 1\r\n[servers.new]\r\nurl = \"y\"", "a = 1\r\n[servers.new]\r\ncommand = \"x\""),
            ("a = 1\n", "a = 1\n\n[servers.new]\ncommand = \"x\"\n"),
        ] {
            assert_eq!(put_section(text, "servers", "new", NEW).as_deref(), Ok(more), "{text:?}");
            assert_eq!(put_section(more, "servers", "new", NEW).as_deref(), Ok(more), "{text:?}");
        }
    }

    #[test]
    fn a_name_leaves_every_list_that_has_it() {
        let text = "[groups.g]\nservers = [\"a\", \"b\"] # two\n[groups.h]\nservers = [\n  \"b\",\n  \"a\", # last\n]\n[groups.i]\nservers = [\"b\"]\n";
        let less = "[groups.g]\nservers = [\"b\"] # two\n[groups.h]\nservers = [\n  \"b\",\n]\n[groups.i]\nservers = [\"b\"]\n";
        let left = vec!["g".to_owned(), "h".to_owned()];
        assert_eq!(without_name(text, "groups", "servers", "a"), Ok((less.to_owned(), left)));
        assert_eq!(without_name(less, "groups", "servers", "a"), Ok((less.to_owned(), Vec::new())));
    }

    #[test]
    fn the_example_file_takes_and_gives_back() {
        let text = crate::config::example::EXAMPLE;
        let more = with_section(text, "servers", "new", NEW).unwrap();
        assert_eq!(without_section(&more, "servers", "new").as_deref(), Ok(text));
        let less = without_section(text, "servers", "workshop").unwrap();
        assert!(less.contains("#tool.some_tool.timeout_max") && less.contains("#[servers.remote]"), "{less}");
        let off = with_enabled(text, "servers", "workshop", false).unwrap().unwrap();
        assert_eq!(with_enabled(&off, "servers", "workshop", true).unwrap().as_deref(), Some(text));
    }
}
