//! Which tools of a server a client's own file lets be used, in the words of several clients.
//!
//! Names are taken as they are written. A value that is no list of names says nothing here; whoever reads the entry warns of
//! it.

use super::Filter;
use super::tree::{Entry, Node, Value};

/// Lists of tools that alone are shown, and of those that are not: Gemini's, Codex', and what Cline and others write.
const ALLOWING: &[&str] = &["includeTools", "enabled_tools"];
const DENYING: &[&str] = &["excludeTools", "disabledTools", "disabled_tools"];

/// The filter that an entry writes down.
pub(super) fn filter(entry: &Node) -> Filter {
    let mut filter = Filter::default();
    for key in ALLOWING {
        if let Some(names) = entry.get(key).and_then(names) {
            filter.allow = names;
        }
    }
    for key in DENYING {
        filter.deny.extend(entry.get(key).and_then(names).into_iter().flatten());
    }
    filter
}

/// Whether a key of an entry is such a list, and taken as it is.
pub(super) fn is_used(key: &Entry) -> bool {
    ALLOWING.iter().chain(DENYING).any(|known| *known == key.key) && names(key).is_some()
}

fn names(key: &Entry) -> Option<Vec<String>> {
    let Value::List(items) = &key.node.value else { return None };
    let name = |item: &Node| match &item.value {
        // Gemini lets arguments follow in brackets.
        Value::Text(text) => Some(text.split('(').next().unwrap_or_default().to_owned()),
        Value::Integer(_)
        | Value::Number(_)
        | Value::Flag(_)
        | Value::Date
        | Value::Null
        | Value::List(_)
        | Value::Table(_) => None,
    };
    let names: Vec<String> = items.iter().filter_map(name).collect();
    (names.len() == items.len()).then_some(names)
}

#[cfg(test)]
mod tests {
    use crate::config::codes::Code;
    use crate::config::file::from_text;
    use std::path::Path;

    #[test]
    fn lists_of_tools_are_heeded_in_the_words_of_each_client() {
        for (written, allow, deny) in [
            (r#""includeTools": ["a", "b(x)"]"#, &["a", "b"][..], &[][..]),
            (r#""includeTools": ["a"], "excludeTools": ["b"]"#, &["a"], &["b"]),
            (r#""enabled_tools": []"#, &[], &[]),
            (r#""disabledTools": ["a"], "disabled_tools": ["b"]"#, &["*"], &["a", "b"]),
        ] {
            let text = format!(r#"{{"mcpServers": {{"s": {{"command": "x", {written}}}}}}}"#);
            let loaded = from_text(&text, "mcp.json", Path::new("/f"), &|_| None).unwrap();
            assert_eq!(loaded.warnings, [], "{written}");
            let tools = &loaded.config.servers[0].filters.tools;
            assert_eq!(
                (&tools.allow[..], &tools.deny[..]),
                (&owned(allow)[..], &owned(deny)[..]),
                "{written}"
            );
        }
    }

    #[test]
    fn what_is_no_list_of_names_is_warned_of() {
        for value in ["true", "\"a\"", "[1]", "{}"] {
            let text = format!(r#"{{"mcpServers": {{"s": {{"command": "x", "excludeTools": {value}}}}}}}"#);
            let loaded = from_text(&text, "mcp.json", Path::new("/f"), &|_| None).unwrap();
            let codes: Vec<Code> = loaded.warnings.iter().map(|warning| warning.code).collect();
            let expected = if value == "{}" { vec![] } else { vec![Code::KeyIgnored] };
            assert_eq!(codes, expected, "{value}");
            assert!(loaded.config.servers[0].filters.are_open());
        }
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }
}
