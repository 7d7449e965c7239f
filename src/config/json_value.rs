//! Values of a file that end in messages: TOML as JSON.
//!
//! A number keeps its digits, a text has its references replaced, a table its order. What JSON has no word for (a date,
//! infinity) is refused where it stands. It knows nothing of what the values are for.

use std::ops::Range;

use super::codes::Code;
use super::problem::quoted;
use super::schema::{Rule, Setting};
use super::section::{Reader, VALUES_MAX, shown_path};
use super::tree::{Entry, Node, Value};
use crate::wire::members::{elements, quote};

/// A name, its value as JSON, and where the name stands.
type Named = (String, String, Range<usize>);

/// The values of a table, each as JSON on one line; `None` when one of them is none, which has been reported.
pub(super) fn values(
    reader: &mut Reader<'_>,
    setting: &Setting,
    at: &str,
    entries: &[Entry],
) -> Option<Vec<Named>> {
    if let Some(entry) = entries.get(VALUES_MAX) {
        let problem = reader
            .error(Code::OutOfBounds, format!("`{at}` has too many values"))
            .at(&entry.key_span, format!("expected at most {VALUES_MAX}"));
        reader.problems.push(problem);
        return None;
    }
    let mut values = Vec::new();
    for entry in entries {
        let value = json(reader, setting, &shown_path(at, &entry.key), &entry.node);
        values.extend(value.map(|value| (entry.key.clone(), value, entry.key_span.clone())));
    }
    (values.len() == entries.len()).then_some(values)
}

/// One value. Tables and lists in it are no deeper than the parser of the file allows.
fn json(reader: &mut Reader<'_>, setting: &Setting, at: &str, node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => reader.text(setting, at, Rule::Any, node, text).map(|text| quote(&text)),
        Value::Integer(number) => Some(number.to_string()),
        Value::Number(number) => {
            let number = number.trim_start_matches('+').replace('_', "");
            if is_number(&number) { Some(number) } else { refuse(reader, at, node) }
        }
        Value::Flag(flag) => Some(flag.to_string()),
        Value::Null => Some("null".to_owned()),
        Value::Date => refuse(reader, at, node),
        Value::List(items) => {
            let values: Vec<String> =
                items.iter().filter_map(|item| json(reader, setting, at, item)).collect();
            (values.len() == items.len()).then(|| format!("[{}]", values.join(",")))
        }
        Value::Table(entries) => {
            let mut members = Vec::new();
            for entry in entries {
                let value = json(reader, setting, &shown_path(at, &entry.key), &entry.node);
                members.extend(value.map(|value| format!("{}:{value}", quote(&entry.key))));
            }
            (members.len() == entries.len()).then(|| format!("{{{}}}", members.join(",")))
        }
    }
}

/// Whether a number of TOML is one of JSON as well, as it stands.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && elements(&format!("[{text}]")).is_some()
}

fn refuse(reader: &mut Reader<'_>, at: &str, node: &Node) -> Option<String> {
    let problem = reader
        .error(Code::WrongType, format!("the value of {} cannot be said in JSON", quoted(at)))
        .at(&node.span, "expected text, a number, true or false, a list or a table");
    reader.problems.push(problem);
    None
}

#[cfg(test)]
mod tests {
    use super::VALUES_MAX;
    use crate::config::codes::Code;
    use crate::config::file::from_text;
    use std::path::Path;

    fn defaults(toml: &str) -> Result<String, Vec<Code>> {
        let text = format!("[servers.a]\ncommand = \"x\"\n[servers.a.tool.t]\ndefaults = {{ k = {toml} }}\n");
        let env = |name: &str| (name == "TOKEN").then(|| "s3\"cret".to_owned());
        let loaded = from_text(&text, "braid.toml", Path::new("/f"), &env);
        let config = loaded
            .map_err(|report| report.problems.iter().map(|problem| problem.code).collect::<Vec<_>>())?;
        Ok(config.config.servers[0].tools["t"].defaults[0].1.expose().to_owned())
    }

    #[test]
    fn each_value_is_json_with_its_digits_and_its_order() {
        for (toml, json) in [
            ("\"a\\nb\"", r#""a\nb""#),
            ("\"x${TOKEN}\"", r#""xs3\"cret""#),
            ("12", "12"),
            ("0x1F", "31"),
            ("1_000", "1000"),
            ("+1_0.50", "10.50"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("1e6", "1e6"),
            ("-0.0", "-0.0"),
            ("true", "true"),
            ("[1, \"a\", [2.50]]", r#"[1,"a",[2.50]]"#),
            ("{ b = 1, \"a b\" = [] }", r#"{"b":1,"a b":[]}"#),
        ] {
            assert_eq!(defaults(toml).as_deref(), Ok(json), "{toml}");
        }
    }

    #[test]
    fn what_json_has_no_word_for_is_refused() {
        for toml in ["inf", "nan", "-inf", "1979-05-27", "[1, inf]", "{ a = nan }"] {
            assert_eq!(defaults(toml), Err(vec![Code::WrongType]), "{toml}");
        }
        assert_eq!(defaults("\"${NO}\""), Err(vec![Code::UnsetVariable]));
    }

    #[test]
    fn a_tool_is_given_so_many_arguments_and_no_more() {
        let read = |count: usize| {
            let values: String = (0..count).map(|n| format!("k{n} = 1\n")).collect();
            let text = format!("[servers.a]\ncommand = \"x\"\n[servers.a.tool.t.defaults]\n{values}");
            from_text(&text, "braid.toml", Path::new("/f"), &|_| None)
        };
        assert!(read(VALUES_MAX).is_ok());
        assert_eq!(read(VALUES_MAX + 1).unwrap_err().problems[0].code, Code::OutOfBounds);
    }
}
