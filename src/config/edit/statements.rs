//! The lines of a TOML file as what they say: headers, pairs, and whose key each of them is.
//!
//! For a text that a parser has read already; this only finds where its statements begin and end, and owns no
//! value. A line that it does not understand makes it give up rather than guess.

use std::ops::Range;

use crate::config::tree::{Value, from_toml};

/// One header or one pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// From the top of the file.
    pub path: Vec<String>,
    pub kind: Kind,
    /// From the beginning of its first line to behind the end of its last.
    pub lines: Range<usize>,
    /// From its first sign to its last, without indentation and comment.
    pub span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `[a.b]`, or `[[a.b]]`.
    Header,
    /// `a.b = …`: how much of its path stands in the header above it, and where its value is.
    Pair { above: usize, value: Range<usize> },
}

/// The statements of a text in their order; `None` when a line is not understood.
pub fn statements(text: &str) -> Option<Vec<Statement>> {
    let mut found = Vec::new();
    let mut header: Vec<String> = Vec::new();
    let mut scan = Scan { text, at: 0 };
    loop {
        scan.blanks();
        let start = scan.at;
        let lines_start = super::line_start(text, start);
        match scan.rest().chars().next() {
            None => return Some(found),
            Some('\n' | '\r') => {
                scan.at += 1;
                continue;
            }
            Some('#') => {
                scan.comment();
                continue;
            }
            Some('[') => {
                let double = scan.rest().starts_with("[[");
                scan.at += if double { 2 } else { 1 };
                header = scan.key()?;
                scan.takes(if double { "]]" } else { "]" })?;
                let span = start..scan.at;
                let lines = lines_start..scan.line_behind()?;
                found.push(Statement { path: header.clone(), kind: Kind::Header, lines, span });
            }
            Some(_) => {
                let key = scan.key()?;
                scan.takes("=")?;
                scan.blanks();
                let value = scan.value()?;
                let path: Vec<String> = header.iter().chain(&key).cloned().collect();
                let span = start..value.end;
                let lines = lines_start..scan.line_behind()?;
                found.push(Statement { path, kind: Kind::Pair { above: header.len(), value }, lines, span });
            }
        }
    }
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn comment(&mut self) {
        let rest = self.rest();
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    fn takes(&mut self, sign: &str) -> Option<()> {
        self.blanks();
        self.rest().starts_with(sign).then(|| self.at += sign.len())
    }

    /// Behind the end of the line, where nothing but a comment may stand any more.
    fn line_behind(&mut self) -> Option<usize> {
        self.blanks();
        if self.rest().starts_with('#') {
            self.comment();
        }
        if self.rest().starts_with("\r\n") {
            self.at += 2;
        } else if self.rest().starts_with('\n') {
            self.at += 1;
        } else if !self.rest().is_empty() {
            return None;
        }
        Some(self.at)
    }

    /// The parts of a key, with what their escapes stand for.
    fn key(&mut self) -> Option<Vec<String>> {
        let mut parts = Vec::new();
        loop {
            self.blanks();
            let start = self.at;
            if self.rest().starts_with(['"', '\'']) {
                self.string()?;
                parts.push(said(self.text.get(start..self.at)?)?);
            } else {
                let bare = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
                let length = self.rest().find(|c| !bare(c)).unwrap_or_else(|| self.rest().len());
                self.at += length;
                let part = self.text.get(start..self.at).filter(|part| !part.is_empty())?;
                parts.push(part.to_owned());
            }
            self.blanks();
            if self.takes(".").is_none() {
                return Some(parts);
            }
        }
    }

    fn string(&mut self) -> Option<()> {
        let rest = self.rest();
        let (quote, escapes) = match rest.chars().next()? {
            '"' => ("\"", true),
            _ => ("'", false),
        };
        let triple = quote.repeat(3);
        let long = rest.starts_with(&triple);
        let end = if long { triple.as_str() } else { quote };
        self.at += end.len();
        loop {
            let rest = self.rest();
            if escapes && rest.starts_with('\\') {
                self.at += 1 + rest.chars().nth(1)?.len_utf8();
            } else if rest.starts_with(end) {
                self.at += end.len();
                // Up to two more of them may belong to what the text says.
                while long && self.rest().starts_with(quote) {
                    self.at += 1;
                }
                return Some(());
            } else {
                let sign = rest.chars().next()?;
                if sign == '\n' && !long {
                    return None;
                }
                self.at += sign.len_utf8();
            }
        }
    }

    /// From the first to the last sign of a value.
    fn value(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut open = 0_usize;
        loop {
            let rest = self.rest();
            match rest.chars().next() {
                Some('"' | '\'') => self.string()?,
                Some('[' | '{') => {
                    open += 1;
                    self.at += 1;
                }
                Some(']' | '}') => {
                    open = open.checked_sub(1)?;
                    self.at += 1;
                }
                Some('#') if open > 0 => self.comment(),
                Some('#' | '\n' | '\r') | None if open == 0 => {
                    let value = self.text.get(start..self.at)?.trim_end();
                    self.at = start + value.len();
                    return (!value.is_empty()).then_some(start..self.at);
                }
                Some(sign) => self.at += sign.len_utf8(),
                None => return None,
            }
        }
    }
}

/// What a quoted key says.
fn said(quoted: &str) -> Option<String> {
    let (root, errors) = from_toml(&format!("k = {quoted}"));
    let Value::Text(text) = &root.get("k").filter(|_| errors.is_empty())?.node.value else { return None };
    Some(text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# top\na = 1 # one\n\n[servers.x]\ncommand = \"a # b\"\nargs = [ # list\n  \"]\", '''\n[no]\n''',\n]\n  env = { A = \"}\" }\r\ntool.\"t.u\".timeout = \"1s\"\n[[ other . 'q' ]] # header\nk = \"\"\"x\"\"\"\"\"\nlast = 1979-05-27";

    #[test]
    fn every_statement_is_found_with_its_path_and_its_lines() {
        let found = statements(TEXT).unwrap();
        let shown: Vec<_> = found.iter().map(|one| (one.path.join("/"), &TEXT[one.span.clone()])).collect();
        let shown: Vec<_> = shown.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        assert_eq!(
            shown,
            [
                ("a", "a = 1"),
                ("servers/x", "[servers.x]"),
                ("servers/x/command", "command = \"a # b\""),
                ("servers/x/args", "args = [ # list\n  \"]\", '''\n[no]\n''',\n]"),
                ("servers/x/env", "env = { A = \"}\" }"),
                ("servers/x/tool/t.u/timeout", "tool.\"t.u\".timeout = \"1s\""),
                ("other/q", "[[ other . 'q' ]]"),
                ("other/q/k", "k = \"\"\"x\"\"\"\"\""),
                ("other/q/last", "last = 1979-05-27"),
            ]
        );
        assert_eq!(&TEXT[found[0].lines.clone()], "a = 1 # one\n");
        assert_eq!(&TEXT[found[4].lines.clone()], "  env = { A = \"}\" }\r\n");
        let Kind::Pair { above, value } = &found[5].kind else { panic!("a pair") };
        assert_eq!((*above, &TEXT[value.clone()]), (2, "\"1s\""));
    }

    #[test]
    fn what_is_not_understood_is_given_up() {
        for text in ["a", "a = ", "[a", "a = [1", "a = \"x", "a = 'x\ny'", "= 1", "[a] b = 1", "a = 1]"] {
            assert_eq!(statements(text), None, "{text:?}");
        }
        assert_eq!(statements(""), Some(Vec::new()));
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_text_is_read_or_given_up(text in "[a-c=\\[\\]{}\"'#.\\\\ \n,1é]{0,40}") {
            if let Some(found) = statements(&text) {
                proptest::prop_assert!(found.windows(2).all(|pair| pair[0].lines.end <= pair[1].lines.start));
            }
        }

        #[test]
        fn what_a_parser_reads_is_read_here(text in "([ab]\\.?[cd]? ?= ?(1|\"x\"|\\[1, 2\\]|'#')( #x)?\n|\\[[ef]\\]\n|#y\n|\n){0,12}") {
            let (_, errors) = from_toml(&text);
            if errors.is_empty() {
                proptest::prop_assert!(statements(&text).is_some(), "{text:?}");
            }
        }
    }
}
