//! Changes to files that people write: one member more or less, and every other byte as it was.
//!
//! Text to text, for JSON with comments and for TOML. What is to be changed is found by its place in the text, so
//! comments, order, indentation and line ends stay without anybody looking after them. No change is given out
//! before it was read again and found to say what was meant and nothing else. Only `save` touches a file.

pub mod commas;
pub mod json;
pub mod save;
pub mod statements;
pub mod toml;

use std::ops::Range;

use super::cover;
use super::tree::{Node, Value, from_toml};

/// Why a text cannot be changed. No value of the text is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("line {line} cannot be read: {why}")]
    Syntax { line: usize, why: String },
    #[error("`{key}` is {found} and no table of servers")]
    Shape { key: String, found: &'static str },
    #[error("`{0}` is written in a form that cannot be changed safely; change it by hand")]
    Form(String),
    #[error("there is no `{0}`")]
    Missing(String),
    /// In the words of whoever knows what there is instead.
    #[error("{0}")]
    Unknown(String),
}

/// Whether there is more in a text than blanks.
pub fn says_something(text: &str) -> bool {
    !behind_mark(text).1.trim().is_empty()
}

/// A TOML text as anyone may see it: values that may be secret are covered.
pub fn covered(text: &str) -> String {
    cover::by_tree(text, &from_toml(text).0)
}

/// What takes the place of a piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Splice {
    place: Range<usize>,
    text: String,
}

impl Splice {
    fn new(place: Range<usize>, text: impl Into<String>) -> Self {
        Self { place, text: text.into() }
    }
}

/// The text with each piece put in its place; the places must not overlap.
fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|splice| (splice.place.start, splice.place.end));
    let mut result = String::with_capacity(text.len() + 256);
    let mut done = 0;
    for splice in splices {
        result.push_str(text.get(done..splice.place.start).unwrap_or_default());
        result.push_str(&splice.text);
        done = done.max(splice.place.end);
    }
    result.push_str(text.get(done..).unwrap_or_default());
    result
}

/// The mark that some editors on Windows begin a file with, and the text behind it.
fn behind_mark(text: &str) -> (&str, &str) {
    text.split_at(if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 })
}

/// How most lines of the text end.
fn line_end(text: &str) -> &'static str {
    let all = text.matches('\n').count();
    let windows = text.matches("\r\n").count();
    if windows * 2 > all { "\r\n" } else { "\n" }
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

/// Where the line begins that a byte stands in.
fn line_start(text: &str, byte: usize) -> usize {
    text.get(..byte).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// The blanks at the beginning of the line that a byte stands in.
fn indentation(text: &str, byte: usize) -> &str {
    let line = text.get(line_start(text, byte)..byte).unwrap_or_default();
    let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
    line.get(..blanks).unwrap_or_default()
}

/// Whether two trees say the same; where it stands does not matter.
pub(super) fn says_the_same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Table(a), Value::Table(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| a.key == b.key && says_the_same(&a.node, &b.node))
        }
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| says_the_same(a, b))
        }
        (a, b) => a == b,
    }
}

/// Whether two trees say the same but for what stands at `path`, which either may lack. Order counts.
fn differ_only_at(one: &Node, other: &Node, path: &[&str]) -> bool {
    let Some((key, rest)) = path.split_first() else { return true };
    let beside = |node: &Node| -> Vec<(String, Node)> {
        let entries = node.entries().iter().filter(|entry| entry.key != *key);
        entries.map(|entry| (entry.key.clone(), entry.node.clone())).collect()
    };
    let (a, b) = (beside(one), beside(other));
    let same = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && says_the_same(&a.1, &b.1));
    if !same || !one.is_table() || !other.is_table() {
        return false;
    }
    match (one.get(key), other.get(key)) {
        (Some(a), Some(b)) => differ_only_at(&a.node, &b.node, rest),
        // A table that was made for what is new, or went with what is gone.
        (Some(only), None) | (None, Some(only)) => {
            let within = rest.first();
            within.is_none_or(|within| only.node.entries().iter().all(|entry| entry.key == *within))
        }
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::from_json;

    #[test]
    fn pieces_are_put_in_from_the_first_to_the_last() {
        let splices = vec![Splice::new(4..5, "E"), Splice::new(0..0, "<"), Splice::new(2..3, "")];
        assert_eq!(spliced("abcde", splices), "<abdE");
    }

    #[test]
    fn the_commoner_line_end_is_taken() {
        for (text, end) in
            [("", "\n"), ("a\n", "\n"), ("a\r\n", "\r\n"), ("a\r\nb\r\nc\n", "\r\n"), ("a\r\nb\n", "\n")]
        {
            assert_eq!(line_end(text), end, "{text:?}");
        }
    }

    #[test]
    fn a_difference_elsewhere_is_seen() {
        let tree = |text: &str| from_json(text).unwrap();
        let one = tree(r#"{"a": 1, "s": {"x": {"k": [1]}, "y": 2}}"#);
        for (other, same) in [
            (r#"{"a": 1, "s": {"y": 2, "n": 3}}"#, false),
            (r#"{ "a":1,"s":{"x":{"k":[1]},"y":2,"n":3}}"#, true),
            (r#"{"a": 1, "s": {"x": {"k": [2]}, "y": 2, "n": 3}}"#, false),
            (r#"{"a": 2, "s": {"x": {"k": [1]}, "y": 2, "n": 3}}"#, false),
            (r#"{"s": {"x": {"k": [1]}, "y": 2}, "a": 1}"#, true),
            (r#"{"a": 1, "s": {"y": 2, "x": {"k": [1]}}}"#, false),
            (r#"{"a": 1, "s": {"x": {"k": [1]}, "y": 2}, "b": 1}"#, false),
            (r#"{"a": 1}"#, false),
        ] {
            assert_eq!(differ_only_at(&one, &tree(other), &["s", "n"]), same, "{other}");
        }
        assert!(differ_only_at(&tree("{}"), &tree(r#"{"s": {"n": 1}}"#), &["s", "n"]));
        assert!(!differ_only_at(&tree("{}"), &tree(r#"{"s": {"n": 1, "m": 1}}"#), &["s", "n"]));
    }
}
