//! Letters that a person does not see and a model reads, in what servers list.
//!
//! Pure: an item's text in, what is odd about it out. Joiners are not odd: ordinary letters and pictures are made with
//! them. It changes nothing, as text passes through Braid as it is.
#![expect(clippy::disallowed_types, reason = "an item is looked into here and never sent on")]

use std::collections::BTreeSet;

use serde_json::Value;

/// The odd letters of an item, each once, in their order. An item that is no JSON has none.
pub(super) fn letters_of(item: &str) -> BTreeSet<char> {
    let mut found = BTreeSet::new();
    // An escape is seven bits as well, so nothing else can be odd.
    if item.is_ascii() && !item.contains("\\u") {
        return found;
    }
    if let Ok(item) = serde_json::from_str(item) {
        gather(&item, &mut found);
    }
    found
}

fn gather(value: &Value, found: &mut BTreeSet<char>) {
    match value {
        Value::String(text) => found.extend(text.chars().filter(|letter| is_odd(*letter))),
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        Value::Object(members) => {
            for (key, value) in members {
                found.extend(key.chars().filter(|letter| is_odd(*letter)));
                gather(value, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Controls but for ends of lines and tabs, marks of direction, what has no width, and the alphabet of tags.
fn is_odd(letter: char) -> bool {
    match letter {
        '\n' | '\r' | '\t' => false,
        '\u{61c}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}' => true,
        '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => letter.is_control(),
    }
}

/// `U+202E, U+E0041 and 12 more`.
pub(super) fn named(letters: &BTreeSet<char>) -> String {
    let names: Vec<String> =
        letters.iter().take(NAMED_MAX).map(|letter| format!("U+{:04X}", u32::from(*letter))).collect();
    match letters.len().saturating_sub(NAMED_MAX) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Letters that are named one by one.
const NAMED_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(item: &str) -> String {
        named(&letters_of(item))
    }

    #[test]
    fn what_nobody_sees_is_found_wherever_it_stands() {
        for (item, expected) in [
            (r#"{"name":"a","description":"plain é ✓ \n\t \u00e9 \u2028"}"#, ""),
            (r#"{"name":"a\u001b[31m"}"#, "U+001B"),
            ("{\"description\":\"x\u{202e}y\u{e0041}\u{e0042}\"}", "U+202E, U+E0041, U+E0042"),
            (r#"{"inputSchema":{"properties":{"a":{"description":"\u200b"}}}}"#, "U+200B"),
            (r#"{"inputSchema":{"properties":{"a\u2066":{"enum":["\udb40\udc41"]}}}}"#, "U+2066, U+E0041"),
            ("{\"description\":\"👩\u{200d}👩 \u{200c}\"}", ""),
            (
                "{\"description\":\"\u{e0041}\u{e0042}\u{e0043}\u{e0044}\u{e0045}\u{e0046}\"}",
                "U+E0041, U+E0042, U+E0043, U+E0044 and 2 more",
            ),
            (r#"{"a":"\ud800"}"#, ""),
            ("é", ""),
        ] {
            assert_eq!(said(item), expected, "{item}");
        }
    }
}
