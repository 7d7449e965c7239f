//! What the server offers, as the bytes of its list: built once, before anybody asks.
//!
//! Owns the texts of its tools, each as long as those of real servers are. Knows no ids and no calls.

use bytes::Bytes;
use std::fmt::Write as _;

const ARGUMENTS: &str = r#""inputSchema":{"type":"object","properties":{"tag":{"type":"string","description":"what the answer begins with"},"bytes":{"type":"integer","minimum":0},"ms":{"type":"integer","minimum":0},"notes":{"type":"integer","minimum":0}},"required":["tag"],"additionalProperties":false}"#;

const SUBJECTS: [&str; 8] =
    ["issues", "commits", "pages", "customers", "invoices", "deployments", "calendars", "messages"];

/// `"tools":[…]`, with `work` first and `count` others after it.
pub fn tools(count: usize) -> Bytes {
    let mut text = String::with_capacity(512 * (count + 1));
    text.push_str(r#""tools":[{"name":"work","description":"Answers with the tag, and with filler up to so many bytes.","#);
    text.push_str(ARGUMENTS);
    text.push('}');
    for number in 0..count {
        let subject = SUBJECTS.get(number % SUBJECTS.len()).copied().unwrap_or_default();
        // Writing to a `String` does not fail.
        let _ = write!(
            text,
            r#",{{"name":"t{number}","title":"Search {subject} {number}","description":"Searches the {subject} of workspace {number} and answers with those that match, the newest first.","#,
        );
        text.push_str(ARGUMENTS);
        text.push('}');
    }
    text.push(']');
    Bytes::from(text)
}

/// Whether this is a tool of such a list.
pub fn knows(name: &[u8], count: usize) -> bool {
    name == b"work"
        || name.strip_prefix(b"t").and_then(crate::digits::read).is_some_and(|number| number < count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_as_long_as_real_ones() {
        let (none, hundred) = (tools(0).len(), tools(100).len());
        let each = (hundred - none) / 100;
        assert!((300..=500).contains(&each), "{each}");
    }

    #[test]
    fn the_list_is_json_and_holds_each_tool() {
        let text = format!("{{{}}}", String::from_utf8(tools(11).to_vec()).unwrap());
        let list: serde_json::Map<String, _> = serde_json::from_str(&text).unwrap();
        assert_eq!(list["tools"].as_array().unwrap().len(), 12);
    }

    #[test]
    fn only_its_own_tools_are_known() {
        assert!(knows(b"work", 0) && knows(b"t0", 1) && knows(b"t10", 11));
        assert!(!knows(b"t0", 0) && !knows(b"t11", 11) && !knows(b"t", 11) && !knows(b"", 11));
    }
}
