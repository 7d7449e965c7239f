//! One member of a JSON file with comments: put in, put anew, taken out.
//!
//! What is new is written as the file is written: its indentation, its line ends, on lines of their own where the
//! file has lines. It knows no client; keys and values are its caller's.

use std::ops::Range;

use super::commas::{Before, Commas, Comments};
use super::{
    EditError, Splice, behind_mark, differ_only_at, indentation, line_end, line_of, says_the_same, spliced,
};
use crate::config::tree::{Entry, Node, Value, from_json};

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Text(String),
    Texts(Vec<String>),
    Flag(bool),
    Object(Vec<(String, Self)>),
}

impl Json {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Whether a value of a file says just this.
    fn is_said_by(&self, node: &Node) -> bool {
        match (self, &node.value) {
            (Self::Text(text), Value::Text(found)) => text == found,
            (Self::Flag(flag), Value::Flag(found)) => flag == found,
            (Self::Texts(texts), Value::List(found)) => {
                let is = |(text, node): (&String, &Node)| node.value == Value::Text(text.clone());
                texts.len() == found.len() && texts.iter().zip(found).all(is)
            }
            (Self::Object(members), Value::Table(found)) => {
                let is = |(member, entry): (&(String, Self), &Entry)| {
                    member.0 == entry.key && member.1.is_said_by(&entry.node)
                };
                members.len() == found.len() && members.iter().zip(found).all(is)
            }
            (Self::Text(_) | Self::Texts(_) | Self::Flag(_) | Self::Object(_), _) => false,
        }
    }

    /// As text; `layout` is `None` for all on one line.
    fn write(&self, layout: Option<Layout<'_>>, depth: usize, text: &mut String) {
        match self {
            Self::Text(said) => text.push_str(&quoted(said)),
            Self::Flag(flag) => text.push_str(if *flag { "true" } else { "false" }),
            Self::Texts(texts) => {
                let items: Vec<_> = texts.iter().map(|said| quoted(said)).collect();
                text.push_str(&format!("[{}]", items.join(", ")));
            }
            Self::Object(members) if members.is_empty() => text.push_str("{}"),
            Self::Object(members) => {
                text.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    match layout {
                        Some(layout) => layout.new_line(depth + 1, text),
                        None if index > 0 => text.push(' '),
                        None => {}
                    }
                    text.push_str(&quoted(key));
                    text.push_str(": ");
                    value.write(layout, depth + 1, text);
                }
                if let Some(layout) = layout {
                    layout.new_line(depth, text);
                }
                text.push('}');
            }
        }
    }
}

/// How a file is laid out.
#[derive(Debug, Clone, Copy)]
struct Layout<'t> {
    line_end: &'t str,
    /// Of the line that the outermost value begins on.
    base: &'t str,
    /// One step further in.
    step: &'t str,
}

impl Layout<'_> {
    fn new_line(self, depth: usize, text: &mut String) {
        text.push_str(self.line_end);
        text.push_str(self.base);
        (0..depth).for_each(|_| text.push_str(self.step));
    }
}

/// A whole new file that says this.
pub fn page(value: &Json) -> String {
    let mut text = String::new();
    value.write(Some(Layout { line_end: "\n", base: "", step: STEP }), 0, &mut text);
    text.push('\n');
    text
}

/// The text with `value` at `path`, whatever stood there before. Objects on the way are made.
///
/// A text that says nothing, but for comments, becomes an object.
pub fn put(text: &str, path: &[&str], value: &Json) -> Result<String, EditError> {
    let (mark, body) = behind_mark(text);
    let root = read(body)?;
    let edited = if root.span.is_empty() {
        let mut object = String::new();
        let layout = Layout { line_end: line_end(body), base: "", step: STEP };
        nested(path, value).write(Some(layout), 0, &mut object);
        let gap = if body.is_empty() || body.ends_with('\n') { "" } else { layout.line_end };
        format!("{body}{gap}{object}{}", layout.line_end)
    } else {
        put_into(body, &root, path, value)?
    };
    let fine = read(&edited).is_ok_and(|new| {
        differ_only_at(&root, &new, path)
            && found(&new, path).is_some_and(|entry| value.is_said_by(&entry.node))
    });
    if fine { Ok(format!("{mark}{edited}")) } else { Err(EditError::Form(path.join("."))) }
}

fn put_into(text: &str, root: &Node, path: &[&str], value: &Json) -> Result<String, EditError> {
    let mut node = root;
    for (depth, key) in path.iter().enumerate() {
        if !node.is_table() {
            let key = depth.checked_sub(1).and_then(|above| path.get(above)).copied().unwrap_or("{");
            return Err(EditError::Shape { key: key.to_owned(), found: node.kind() });
        }
        match node.get(key) {
            Some(entry) => node = &entry.node,
            None => {
                let rest = path.get(depth + 1..).unwrap_or_default();
                return Ok(with_member(text, root, node, key, &nested(rest, value)));
            }
        }
    }
    // All of the path is there: its value is put anew.
    let lines = text.get(node.span.clone()).is_some_and(|old| old.contains('\n'));
    let step = step(text, root);
    let layout = Layout { line_end: line_end(text), base: indentation(text, node.span.start), step };
    let mut new = String::new();
    value.write((lines || has_lines(text, root)).then_some(layout), 0, &mut new);
    Ok(spliced(text, vec![Splice::new(node.span.clone(), new)]))
}

fn nested(path: &[&str], value: &Json) -> Json {
    path.iter().rev().fold(value.clone(), |inner, key| Json::Object(vec![((*key).to_owned(), inner)]))
}

fn with_member(text: &str, root: &Node, object: &Node, key: &str, value: &Json) -> String {
    let members = members(text, object);
    // An empty object is laid out as the file is, any other as it is itself.
    let lines = match object.entries() {
        [] => has_lines(text, root) || object.span == root.span,
        _ => has_lines(text, object),
    };
    if !lines {
        let mut member = format!("{}: ", quoted(key));
        value.write(None, 0, &mut member);
        return members.with_last(&member, Before::Blank);
    }
    let line_end = line_end(text);
    let closing = indentation(text, object.span.start);
    let inner = match object.entries().last() {
        Some(last)
            if text
                .get(..last.key_span.start)
                .is_some_and(|before| before.trim_end_matches([' ', '\t']).ends_with('\n')) =>
        {
            indentation(text, last.key_span.start).to_owned()
        }
        Some(_) | None => format!("{closing}{}", step(text, root)),
    };
    let mut member = format!("{}: ", quoted(key));
    value.write(Some(Layout { line_end, base: &inner, step: step(text, root) }), 0, &mut member);
    members.with_last(&member, Before::Line { line_end, indentation: &inner, closing })
}

/// The text without what stands at `path`; objects around it stay, empty or not.
pub fn take(text: &str, path: &[&str]) -> Result<String, EditError> {
    let missing = || EditError::Missing(path.join("."));
    let (mark, body) = behind_mark(text);
    let root = read(body)?;
    let (key, around) = path.split_last().ok_or_else(missing)?;
    let object = match around {
        [] => &root,
        _ => &found(&root, around).ok_or_else(missing)?.node,
    };
    // The last of two with one key is the one that counts, and the one before it would count then.
    let index = object.entries().iter().rposition(|entry| entry.key == *key).ok_or_else(missing)?;
    let edited = members(body, object).without(index).ok_or_else(missing)?;
    let fine =
        read(&edited).is_ok_and(|new| differ_only_at(&root, &new, path) && found(&new, path).is_none());
    if fine { Ok(format!("{mark}{edited}")) } else { Err(EditError::Form(path.join("."))) }
}

/// The text of what stands at `path`, as it is written there.
pub fn written<'t>(text: &'t str, path: &[&str]) -> Option<&'t str> {
    let (_, body) = behind_mark(text);
    let root = read(body).ok()?;
    body.get(found(&root, path)?.node.span.clone())
}

/// The text with what is `written` at `path`, where something stands already.
pub fn put_written(text: &str, path: &[&str], written: &str) -> Option<String> {
    let (mark, body) = behind_mark(text);
    let root = read(body).ok()?;
    let place = found(&root, path)?.node.span.clone();
    Some(format!("{mark}{}", spliced(body, vec![Splice::new(place, written)])))
}

fn read(text: &str) -> Result<Node, EditError> {
    from_json(text)
        .map_err(|error| EditError::Syntax { line: line_of(text, error.span.start), why: error.message })
}

fn found<'t>(root: &'t Node, path: &[&str]) -> Option<&'t Entry> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(root.get(first)?, |entry, key| entry.node.get(key))
}

fn members<'t>(text: &'t str, object: &Node) -> Commas<'t> {
    let elements =
        object.entries().iter().map(|entry| Range { start: entry.key_span.start, end: entry.node.span.end });
    Commas {
        text,
        comments: Comments::Slashes,
        inside: object.span.start + 1..object.span.end.saturating_sub(1),
        elements: elements.collect(),
    }
}

fn has_lines(text: &str, node: &Node) -> bool {
    text.get(node.span.clone()).is_some_and(|text| text.contains('\n'))
}

/// One step of the file's indentation: that of the first member that has a line of its own.
fn step<'t>(text: &'t str, root: &Node) -> &'t str {
    let outer = indentation(text, root.span.start);
    let steps = root.entries().iter().filter_map(|entry| {
        let before = text.get(..entry.key_span.start)?;
        before.trim_end_matches([' ', '\t']).ends_with('\n').then_some(())?;
        indentation(text, entry.key_span.start).strip_prefix(outer).filter(|step| !step.is_empty())
    });
    steps.into_iter().next().unwrap_or(STEP)
}

fn quoted(text: &str) -> String {
    crate::wire::members::quote(text)
}

/// Where the file does not say otherwise.
const STEP: &str = "  ";

/// Whether two texts say the same, whatever they look like.
pub fn same(one: &str, other: &str) -> bool {
    let (one, other) = (behind_mark(one).1, behind_mark(other).1);
    read(one).is_ok_and(|one| read(other).is_ok_and(|other| says_the_same(&one, &other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Json {
        Json::Object(vec![
            ("command".to_owned(), Json::text("/b")),
            ("args".to_owned(), Json::Texts(vec!["stdio".to_owned(), "-c".to_owned()])),
        ])
    }

    const PATH: &[&str] = &["mcpServers", "braid"];

    #[test]
    fn a_member_is_written_as_the_file_is() {
        for (text, more) in [
            (
                "",
                "{\n  \"mcpServers\": {\n    \"braid\": {\n      \"command\": \"/b\",\n      \"args\": [\"stdio\", \"-c\"]\n    }\n  }\n}\n",
            ),
            (
                "{}",
                "{\n  \"mcpServers\": {\n    \"braid\": {\n      \"command\": \"/b\",\n      \"args\": [\"stdio\", \"-c\"]\n    }\n  }\n}",
            ),
            (
                "{\n\t\"mcpServers\": {\n\t\t\"a\": {}\n\t}\n}\n",
                "{\n\t\"mcpServers\": {\n\t\t\"a\": {},\n\t\t\"braid\": {\n\t\t\t\"command\": \"/b\",\n\t\t\t\"args\": [\"stdio\", \"-c\"]\n\t\t}\n\t}\n}\n",
            ),
            (
                "// mine\r\n{\r\n    \"x\": 1, // one\r\n    \"mcpServers\": {},\r\n}",
                "// mine\r\n{\r\n    \"x\": 1, // one\r\n    \"mcpServers\": {\r\n        \"braid\": {\r\n            \"command\": \"/b\",\r\n            \"args\": [\"stdio\", \"-c\"]\r\n        }\r\n    },\r\n}",
            ),
            (
                "{\"mcpServers\":{\"a\":{}},\"z\":1}",
                "{\"mcpServers\":{\"a\":{}, \"braid\": {\"command\": \"/b\", \"args\": [\"stdio\", \"-c\"]}},\"z\":1}",
            ),
            (
                "\u{feff}{\n  \"z\": 1 // last\n}\n",
                "\u{feff}{\n  \"z\": 1, // last\n  \"mcpServers\": {\n    \"braid\": {\n      \"command\": \"/b\",\n      \"args\": [\"stdio\", \"-c\"]\n    }\n  }\n}\n",
            ),
            (
                "// nothing yet",
                "// nothing yet\n{\n  \"mcpServers\": {\n    \"braid\": {\n      \"command\": \"/b\",\n      \"args\": [\"stdio\", \"-c\"]\n    }\n  }\n}\n",
            ),
        ] {
            assert_eq!(put(text, PATH, &entry()).as_deref(), Ok(more), "{text:?}");
        }
    }

    #[test]
    fn what_is_there_is_put_anew_in_its_place() {
        let text = "{\n  \"mcpServers\": {\n    // ours\n    \"braid\": {\"command\": \"old\"}, // yes\n    \"b\": {}\n  }\n}\n";
        let more = "{\n  \"mcpServers\": {\n    // ours\n    \"braid\": {\n      \"command\": \"/b\",\n      \"args\": [\"stdio\", \"-c\"]\n    }, // yes\n    \"b\": {}\n  }\n}\n";
        assert_eq!(put(text, PATH, &entry()).as_deref(), Ok(more));
    }

    #[test]
    fn what_was_put_in_comes_out_and_nothing_else() {
        for text in [
            "{\n  \"mcpServers\": {\n    \"a\": {\"command\": \"x\"} // first\n  }\n}\n",
            "{\n  \"mcpServers\": {\n    \"a\": {},\n  },\n}\n",
            "{\"mcpServers\": {\"a\": {}}}",
            "\u{feff}// top\r\n{\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {} /* , */\r\n\t}\r\n}",
            "{\n  \"mcpServers\": {\n  }\n}\n",
        ] {
            let more = put(text, PATH, &entry()).unwrap();
            assert_eq!(take(&more, PATH).as_deref(), Ok(text), "{more}");
        }
    }

    #[test]
    fn what_cannot_be_changed_is_said_and_not_tried() {
        assert_eq!(
            put("{\"mcpServers\": []}", PATH, &entry()),
            Err(EditError::Shape { key: "mcpServers".to_owned(), found: "a list" })
        );
        assert!(matches!(put("{\n\"a\" 1}", PATH, &entry()), Err(EditError::Syntax { line: 2, .. })));
        assert!(matches!(put("[]", PATH, &entry()), Err(EditError::Shape { .. })));
        assert_eq!(take("{}", PATH), Err(EditError::Missing("mcpServers.braid".to_owned())));
        // Two with one key: without the last the one before it would count.
        let twice = "{\"mcpServers\": {\"braid\": {}, \"braid\": {}}}";
        assert!(matches!(take(twice, PATH), Err(EditError::Form(_))));
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_object_keeps_its_bytes(
            seed in proptest::collection::vec((0_usize..9, "[a-z]{1,4}"), 0..8),
            lines in proptest::bool::ANY,
            trailing in proptest::bool::ANY,
        ) {
            let gap = if lines { "\n    " } else { " " };
            let mut keys: Vec<String> = Vec::new();
            for (kind, key) in seed {
                let key = format!("{key}{}", keys.len());
                let comment = if lines && kind % 3 == 0 { " // c, }" } else { "" };
                keys.push(format!("\"{key}\": {}@{comment}", ["1", "\"x,}\"", "[1, 2]", "{\"k\": null}"][kind % 4]));
            }
            let mut inside = String::new();
            for (index, member) in keys.iter().enumerate() {
                let comma = if index + 1 < keys.len() || trailing { "," } else { "" };
                inside.push_str(gap);
                inside.push_str(&member.replace('@', comma));
            }
            let end = if lines { "\n  " } else { "" };
            let text = format!("{{{}\"mcpServers\": {{{inside}{end}}}\n}}\n", if lines { "\n  " } else { "" });
            let more = put(&text, PATH, &entry()).unwrap();
            let less = take(&more, PATH).unwrap();
            if keys.is_empty() {
                proptest::prop_assert!(same(&less, &text));
            } else {
                proptest::prop_assert_eq!(less, text);
            }
        }
    }
}
