//! Values as TOML writes them, each on one line.
//!
//! Text to text. What a terminal would obey or hide is written as an escape, so that a file shows what it says.

use crate::wire::letters::is_hidden;

/// Text as a string.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_hidden(c) && u32::from(c) > 0xffff => {
                quoted.push_str(&format!("\\U{:08X}", u32::from(c)))
            }
            c if is_hidden(c) => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A name as a key: bare where it may be, else in quotes.
pub fn key(name: &str) -> String {
    let bare = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare { name.to_owned() } else { quoted(name) }
}

/// Texts as a list.
pub fn list<T: AsRef<str>>(texts: &[T]) -> String {
    let items: Vec<_> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// Names and texts as a table.
pub fn table<N: AsRef<str>, T: AsRef<str>>(pairs: &[(N, T)]) -> String {
    if pairs.is_empty() {
        return "{}".to_owned();
    }
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, text)| format!("{} = {}", key(name.as_ref()), quoted(text.as_ref())))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::{Value, from_toml};

    #[test]
    fn a_setting_is_named_as_a_file_may_write_it() {
        for (name, expected) in [
            ("git-hub_1", "git-hub_1"),
            ("my files", r#""my files""#),
            ("", r#""""#),
            ("a\u{1b}\0", r#""a\u001B\u0000""#),
        ] {
            assert_eq!(crate::config::toml_key(name), expected);
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        #[test]
        fn what_is_written_reads_as_it_was(name in ".{0,8}", text in "(\\PC|[\u{0}-\u{20}\u{7f}\"\\\\'\u{202e}\u{2066}\u{e0041}]){0,20}") {
            let line = format!("{} = {}", key(&name), table(&[(&name, &text)]));
            let (root, errors) = from_toml(&line);
            proptest::prop_assert_eq!(errors, []);
            let found = root.get(&name).unwrap().node.get(&name).unwrap();
            proptest::prop_assert_eq!(&found.node.value, &Value::Text(text.clone()));
            let (root, _) = from_toml(&format!("k = {}", list(&[text.clone(), text.clone()])));
            let hidden = line.chars().any(is_hidden);
            proptest::prop_assert!(!hidden, "{line:?}");
            let Value::List(items) = &root.get("k").unwrap().node.value else { panic!("a list") };
            proptest::prop_assert!(items.iter().all(|item| item.value == Value::Text(text.clone())));
        }
    }
}
