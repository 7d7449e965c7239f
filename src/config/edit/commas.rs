//! What stands between two brackets with commas between: members of an object, items of a list.
//!
//! Puts one more behind the last, or takes one out, with the comma that belongs to it. Comments and blank lines
//! stay with whom they stand beside. It knows no values: where the elements are, its caller says.

use std::ops::Range;

use super::{Splice, spliced};

/// How comments begin in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comments {
    /// `//` to the end of the line, and `/*` to `*/`.
    Slashes,
    /// `#` to the end of the line.
    Hashes,
}

/// The elements between two brackets.
#[derive(Debug)]
pub struct Commas<'t> {
    pub text: &'t str,
    pub comments: Comments,
    /// From behind the opening bracket to before the closing one.
    pub inside: Range<usize>,
    /// In the order of the text.
    pub elements: Vec<Range<usize>>,
}

/// What is put before a new element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before<'a> {
    /// It stands on a line of its own, that begins so; the closing bracket's line begins so.
    Line { line_end: &'a str, indentation: &'a str, closing: &'a str },
    /// It stands on the line of the others.
    Blank,
}

impl Commas<'_> {
    /// The whole text with `element` behind the last of the elements.
    pub fn with_last(&self, element: &str, before: Before<'_>) -> String {
        let Some(last) = self.elements.last() else { return self.with_only(element, before) };
        let comma = self.comma_behind(self.elements.len() - 1);
        let behind = self.end_of_line(comma.map_or(last.end, |comma| comma + 1));
        let lead = match before {
            Before::Line { line_end, indentation, .. } => format!("{line_end}{indentation}"),
            Before::Blank => " ".to_owned(),
        };
        let mut splices = Vec::new();
        let tail = match comma {
            Some(_) => ",",
            None => {
                splices.push(Splice::new(last.end..last.end, ","));
                ""
            }
        };
        splices.push(Splice::new(behind..behind, format!("{lead}{element}{tail}")));
        spliced(self.text, splices)
    }

    fn with_only(&self, element: &str, before: Before<'_>) -> String {
        let inside = self.text.get(self.inside.clone()).unwrap_or_default();
        let blanks = inside.len() - inside.trim_end().len();
        let (kept, blanks) = inside.split_at(inside.len() - blanks);
        let piece = match before {
            Before::Line { line_end, indentation, closing } => {
                // The closing bracket may have its line already.
                let end = blanks.rfind('\n').map_or_else(
                    || format!("{line_end}{closing}"),
                    |at| format!("{line_end}{}", blanks.get(at + 1..).unwrap_or_default()),
                );
                format!("{kept}{line_end}{indentation}{element}{end}")
            }
            Before::Blank if kept.is_empty() => format!("{blanks}{element}{blanks}"),
            Before::Blank => format!("{kept} {element}{blanks}"),
        };
        spliced(self.text, vec![Splice::new(self.inside.clone(), piece)])
    }

    /// The whole text without the element at `index`; `None` when there is none.
    pub fn without(&self, index: usize) -> Option<String> {
        let element = self.elements.get(index)?;
        let before = self.text.get(self.inside.start..element.start)?;
        let start = self.inside.start + before.trim_end().len();
        let mut splices = Vec::new();
        let Some(comma) = self.comma_behind(index) else {
            let end = self.end_of_line(element.end);
            // It was the last, so the comma before it goes with it.
            match index.checked_sub(1).and_then(|earlier| self.comma_behind(earlier)) {
                Some(comma) if comma + 1 == start => splices.push(Splice::new(comma..end, "")),
                Some(comma) => {
                    splices.push(Splice::new(comma..comma + 1, ""));
                    splices.push(Splice::new(start..end, ""));
                }
                None => splices.push(Splice::new(start..end, "")),
            }
            return Some(spliced(self.text, splices));
        };
        let end = self.end_of_line(comma + 1);
        let rest = self.text.get(end..self.inside.end).unwrap_or_default();
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let others = rest.get(blanks..).unwrap_or_default();
        if others.is_empty() || others.starts_with(['\n', '\r']) {
            splices.push(Splice::new(start..end, ""));
        } else {
            // The line has more to say, and what stands before may be a comment to the end of its own.
            splices.push(Splice::new(element.start..end + blanks, ""));
        }
        Some(spliced(self.text, splices))
    }

    /// Where the comma stands behind an element.
    fn comma_behind(&self, index: usize) -> Option<usize> {
        let start = self.elements.get(index)?.end;
        let end = self.elements.get(index + 1).map_or(self.inside.end, |next| next.start);
        let at = start + self.trivia(start, end, |_| true);
        (self.text.get(at..end)?.starts_with(',')).then_some(at)
    }

    /// Behind the comments that follow on the same line; where it is, if there are none.
    fn end_of_line(&self, start: usize) -> usize {
        let passed = self.trivia(start, self.inside.end, |blank| blank != '\n' && blank != '\r');
        let line = self.text.get(start..start + passed).unwrap_or_default();
        let rest = self.text.get(start + passed..self.inside.end).unwrap_or_default();
        // A comment behind which more follows belongs to what follows.
        let ends = rest.is_empty() || rest.starts_with(['\n', '\r']);
        if ends { start + line.trim_end().len() } else { start }
    }

    /// How many bytes of blanks and comments follow; a blank that is not wanted ends them.
    fn trivia(&self, start: usize, end: usize, wanted: impl Fn(char) -> bool) -> usize {
        let text = self.text.get(start..end).unwrap_or_default();
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let to_line_end = || {
                rest.find('\n').map_or(rest.len(), |newline| {
                    if rest.get(..newline).is_some_and(|line| line.ends_with('\r')) {
                        newline - 1
                    } else {
                        newline
                    }
                })
            };
            at += match (self.comments, rest.chars().next()) {
                (_, Some(blank)) if blank.is_whitespace() && wanted(blank) => blank.len_utf8(),
                (Comments::Slashes, _) if rest.starts_with("//") => to_line_end(),
                (Comments::Slashes, _) if rest.starts_with("/*") => {
                    rest.find("*/").map_or(rest.len(), |end| end + 2)
                }
                (Comments::Hashes, _) if rest.starts_with('#') => to_line_end(),
                _ => return at,
            };
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements of a text are its runs of letters between its first and its last bracket.
    fn commas(text: &str, comments: Comments) -> Commas<'_> {
        let start = text.find(['{', '[']).unwrap() + 1;
        let end = text.rfind(['}', ']']).unwrap();
        let mut elements = Vec::new();
        let mut at = start;
        while at < end {
            let rest = &text[at..end];
            if rest.starts_with("//") || rest.starts_with('#') {
                at += rest.find('\n').unwrap();
            } else if rest.starts_with("/*") {
                at += rest.find("*/").unwrap() + 2;
            } else if rest.starts_with(|c: char| c.is_alphanumeric()) {
                let length = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
                elements.push(at..at + length);
                at += length;
            } else {
                at += rest.chars().next().unwrap().len_utf8();
            }
        }
        Commas { text, comments, inside: start..end, elements }
    }

    const LINE: Before<'_> = Before::Line { line_end: "\n", indentation: "  ", closing: "" };

    #[test]
    fn one_more_stands_behind_the_last_and_its_comment() {
        for (text, more) in [
            ("{\n  a\n}", "{\n  a,\n  new\n}"),
            ("{\n  a,\n}", "{\n  a,\n  new,\n}"),
            ("{\n  a // why\n}", "{\n  a, // why\n  new\n}"),
            ("{\n  a, /* x */ // why\n\n  // end\n}", "{\n  a, /* x */ // why\n  new,\n\n  // end\n}"),
            ("{\n  a /* , */\n}", "{\n  a, /* , */\n  new\n}"),
            ("{}", "{\n  new\n}"),
            ("{ }", "{\n  new\n}"),
            ("{\n}", "{\n  new\n}"),
            ("{\n    }", "{\n  new\n    }"),
            ("{ // none yet\n}", "{ // none yet\n  new\n}"),
            ("{\n  // none yet\n}", "{\n  // none yet\n  new\n}"),
        ] {
            let commas = commas(text, Comments::Slashes);
            assert_eq!(commas.with_last("new", LINE), more, "{text:?}");
        }
        for (text, more) in
            [("[a, b]", "[a, b, new]"), ("[]", "[new]"), ("[a,]", "[a, new,]"), ("[ a ]", "[ a, new ]")]
        {
            assert_eq!(commas(text, Comments::Hashes).with_last("new", Before::Blank), more, "{text:?}");
        }
    }

    #[test]
    fn one_less_takes_its_comma_and_its_own_comment() {
        for (text, index, less) in [
            ("{\n  a,\n  b\n}", 1, "{\n  a\n}"),
            ("{\n  a,\n  b,\n}", 1, "{\n  a,\n}"),
            ("{\n  a, // why\n  b\n}", 1, "{\n  a // why\n}"),
            ("{\n  a, // a,\n  // of b\n  b // c\n}", 1, "{\n  a // a,\n  // of b\n}"),
            ("{\n  // of a\n  a, b\n}", 0, "{\n  // of a\n  b\n}"),
            ("{\n  a,\n  b\n}", 0, "{\n  b\n}"),
            ("{\n  a,\n  b,\n  c\n}", 1, "{\n  a,\n  c\n}"),
            ("{\n  a\n}", 0, "{\n}"),
            ("{ a }", 0, "{ }"),
            ("[a, b]", 1, "[a]"),
            ("[a, b]", 0, "[b]"),
            ("[a, b,]", 1, "[a,]"),
        ] {
            let commas = commas(text, Comments::Slashes);
            assert_eq!(commas.without(index).as_deref(), Some(less), "{text:?}");
        }
        assert_eq!(commas("[a]", Comments::Hashes).without(1), None);
    }

    #[test]
    fn what_was_put_in_comes_out_again() {
        for text in [
            "{\n  a\n}",
            "{\n  a,\n}",
            "{\n  a // x\n}",
            "{\n\n  a /* , */ ,\n\n  // y\n}",
            "{\r\n  a,\r\n  b // x\r\n}",
        ] {
            let first = commas(text, Comments::Slashes);
            let more = first.with_last("new", LINE);
            let second = commas(&more, Comments::Slashes);
            assert_eq!(second.without(first.elements.len()).as_deref(), Some(text), "{more:?}");
        }
    }
}
