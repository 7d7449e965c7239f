//! A parsed file, whatever it was written in: values that know where they stand.
//!
//! TOML and JSON with comments become the same tree, so that one reader serves both. Every node keeps its
//! byte span in the text it was read from. A tree judges nothing: it does not know one key from another.

use std::ops::Range;

use jsonc_parser::{CollectOptions, ParseOptions, ast};
use toml::de::{DeTable, DeValue};

/// A value and the bytes it stands in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

/// What a file can say.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    /// Any other number, as it is written.
    Number(String),
    Flag(bool),
    /// TOML's dates and times; nothing of ours takes one.
    Date,
    Null,
    List(Vec<Node>),
    /// In the order of the file.
    Table(Vec<Entry>),
}

/// One `key = value` or `"key": value`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

/// Where a text is no TOML or no JSON, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) span: Range<usize>,
    pub(super) message: String,
}

impl Node {
    /// The entries of a table; none for anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        if let Value::Table(entries) = &self.value { entries } else { &[] }
    }

    /// The last entry with this key, which is the one that counts.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().rev().find(|entry| entry.key == key)
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.value, Value::Table(_))
    }

    /// The type in words for people, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "text",
            Value::Integer(_) => "a number",
            Value::Number(_) => "a fraction",
            Value::Flag(_) => "true or false",
            Value::Date => "a date or time",
            Value::Null => "null",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// Reads TOML. What could be read comes back even when there are errors.
pub(super) fn from_toml(text: &str) -> (Node, Vec<SyntaxError>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let span = table.span();
    let node = Node { span, value: toml_table(table.get_ref()) };
    let errors = errors
        .into_iter()
        .map(|error| SyntaxError {
            // Some errors are about the whole document.
            span: error.span().unwrap_or(0..0),
            message: error.message().to_owned(),
        })
        .collect();
    (node, errors)
}

fn toml_table(table: &DeTable<'_>) -> Value {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().clone().into_owned(),
            key_span: key.span(),
            node: toml_node(value.span(), value.get_ref()),
        })
        .collect();
    // The parser sorts by key; the order of the file is the order of every list we make.
    entries.sort_by_key(|entry| entry.key_span.start);
    Value::Table(entries)
}

fn toml_node(span: Range<usize>, value: &DeValue<'_>) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or_else(|_| Value::Number(integer.as_str().to_owned()), Value::Integer),
        DeValue::Float(float) => Value::Number(float.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(array) => {
            Value::List(array.iter().map(|item| toml_node(item.span(), item.get_ref())).collect())
        }
        DeValue::Table(table) => toml_table(table),
    };
    Node { span, value }
}

/// Reads JSON as clients' editors write it: comments and trailing commas are fine, other liberties are not.
pub(super) fn from_json(text: &str) -> Result<Node, SyntaxError> {
    from_json_with(text, Liberties { comments: true, trailing_commas: true })
}

/// What may stand in a text that is JSON otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Liberties {
    pub(super) comments: bool,
    pub(super) trailing_commas: bool,
}

/// The same, with these liberties and no others.
pub(super) fn from_json_with(text: &str, liberties: Liberties) -> Result<Node, SyntaxError> {
    let options = ParseOptions {
        allow_comments: liberties.comments,
        allow_trailing_commas: liberties.trailing_commas,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    match jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &options) {
        Ok(parsed) => Ok(parsed
            .value
            .map_or(Node { span: 0..0, value: Value::Table(Vec::new()) }, |value| json_node(&value))),
        Err(error) => {
            let range = error.range();
            let message = error.kind().to_string();
            Err(SyntaxError { span: range.start..range.end, message: lower_first(&message) })
        }
    }
}

fn json_node(value: &ast::Value<'_>) -> Node {
    let (range, value) = match value {
        ast::Value::StringLit(text) => (text.range, Value::Text(text.value.clone().into_owned())),
        ast::Value::NumberLit(number) => {
            let value =
                number.value.parse().map_or_else(|_| Value::Number(number.value.to_owned()), Value::Integer);
            (number.range, value)
        }
        ast::Value::BooleanLit(flag) => (flag.range, Value::Flag(flag.value)),
        ast::Value::NullKeyword(null) => (null.range, Value::Null),
        ast::Value::Array(array) => {
            (array.range, Value::List(array.elements.iter().map(json_node).collect()))
        }
        ast::Value::Object(object) => {
            let entries = object.properties.iter().map(|property| {
                let key_range = match &property.name {
                    ast::ObjectPropName::String(name) => name.range,
                    ast::ObjectPropName::Word(name) => name.range,
                };
                Entry {
                    key: property.name.as_str().to_owned(),
                    key_span: key_range.start..key_range.end,
                    node: json_node(&property.value),
                }
            });
            (object.range, Value::Table(entries.collect()))
        }
    };
    Node { span: range.start..range.end, value }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_tables_keep_the_order_of_the_file() {
        let (node, errors) = from_toml("[servers.zed]\n[servers.alpha]\n[servers.Mid]\n");
        assert_eq!(errors, []);
        let servers = &node.get("servers").unwrap().node;
        let keys: Vec<_> = servers.entries().iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["zed", "alpha", "Mid"]);
    }

    #[test]
    fn spans_are_those_of_the_text() {
        let text = "a = 1\nb = \"é\"\n";
        let (node, _) = from_toml(text);
        let b = node.get("b").unwrap();
        assert_eq!(&text[b.key_span.clone()], "b");
        assert_eq!(&text[b.node.span.clone()], "\"é\"");

        let text = "// é\n{\"b\": [1, \"x\"],}";
        let node = from_json(text).unwrap();
        let b = node.get("b").unwrap();
        assert_eq!(&text[b.key_span.clone()], "\"b\"");
        assert_eq!(&text[b.node.span.clone()], "[1, \"x\"]");
    }

    #[test]
    fn several_syntax_errors_come_at_once() {
        let (_, errors) = from_toml("a = \nb = 1\nc = ]\n");
        assert!(errors.len() >= 2, "{errors:?}");
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        let deep = format!("a = {}", "[".repeat(100_000));
        assert!(!from_toml(&deep).1.is_empty());
        let deep = format!("a{} = 1", ".a".repeat(100_000));
        assert!(!from_toml(&deep).1.is_empty());
        assert!(from_json(&"[".repeat(100_000)).is_err());
        assert!(from_json(&"{\"a\":".repeat(100_000)).is_err());
    }

    #[test]
    fn an_empty_json_text_is_an_empty_table() {
        assert!(from_json("  // nothing\n").unwrap().entries().is_empty());
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        let node = from_json(r#"{"a": 1, "a": 2}"#).unwrap();
        assert_eq!(node.get("a").unwrap().node.value, Value::Integer(2));
    }
}
