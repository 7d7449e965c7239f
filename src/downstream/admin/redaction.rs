//! What of a message is shown to nobody: values of members whose names say that they are secret.
//!
//! Works on the text: everything else stays as it is written, member by member. What is no JSON is not shown at all.

use crate::wire::members::{elements, members};

/// Names whose values are hidden.
#[derive(Debug, Clone)]
pub(super) struct Redaction(Vec<Pattern>);

/// The parts between the stars of a pattern, in lower case.
#[derive(Debug, Clone)]
struct Pattern(Vec<String>);

impl Redaction {
    /// `*` in a name stands for any letters. The case of letters does not matter.
    pub(super) fn new(names: &[String]) -> Self {
        Self(
            names
                .iter()
                .map(|name| Pattern(name.to_lowercase().split('*').map(str::to_owned).collect()))
                .collect(),
        )
    }

    /// A JSON object or array with the values of these members hidden, however deep.
    pub(super) fn of(&self, json: &str) -> String {
        let mut shown = String::with_capacity(json.len());
        let is_nested = matches!(json.trim_start().as_bytes().first(), Some(b'{' | b'['));
        match is_nested.then(|| self.write(json, DEPTH_MAX, &mut shown)).flatten() {
            Some(()) => shown,
            None => HIDDEN.to_owned(),
        }
    }

    fn write(&self, json: &str, depth: usize, shown: &mut String) -> Option<()> {
        let json = json.trim();
        match json.as_bytes().first()? {
            b'{' | b'[' if depth == 0 => shown.push_str(HIDDEN),
            b'{' => {
                shown.push('{');
                for (at, member) in members(json)?.iter().enumerate() {
                    if at > 0 {
                        shown.push(',');
                    }
                    shown.push_str(member.key_raw);
                    shown.push(':');
                    match self.hides(&member.key) {
                        true => shown.push_str(HIDDEN),
                        false => self.write(member.value, depth - 1, shown)?,
                    }
                }
                shown.push('}');
            }
            b'[' => {
                shown.push('[');
                for (at, element) in elements(json)?.iter().enumerate() {
                    if at > 0 {
                        shown.push(',');
                    }
                    self.write(element, depth - 1, shown)?;
                }
                shown.push(']');
            }
            _ => shown.push_str(json),
        }
        Some(())
    }

    fn hides(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        if OURS.contains(&name.as_str()) {
            return false;
        }
        self.0.iter().any(|pattern| pattern.is_of(&name))
    }
}

impl Pattern {
    fn is_of(&self, name: &str) -> bool {
        let [first, rest @ ..] = self.0.as_slice() else { return false };
        let [between @ .., last] = rest else { return name == first };
        let Some(mut left) = name.strip_prefix(first.as_str()) else { return false };
        for part in between {
            let Some((_, after)) = left.split_once(part.as_str()) else { return false };
            left = after;
        }
        left.ends_with(last.as_str())
    }
}

/// Words of MCP that sound like a secret, and name none.
const OURS: [&str; 2] = ["progresstoken", "maxtokens"];
/// In place of a value.
const HIDDEN: &str = "\"[redacted]\"";
/// What lies deeper is hidden.
const DEPTH_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Log;

    fn redaction() -> Redaction {
        Redaction::new(&Log::default().redact)
    }

    #[test]
    fn what_is_named_like_a_secret_is_hidden_however_deep() {
        assert_eq!(
            redaction().of(
                r#"{"a":1.50,"Authorization":"x","b":[{"my_token_2":{"x":1}},{"apiKey":"x","API_KEY":1}],"key":"k","tok\u0065n":2}"#
            ),
            r#"{"a":1.50,"Authorization":"[redacted]","b":[{"my_token_2":"[redacted]"},{"apiKey":"[redacted]","API_KEY":"[redacted]"}],"key":"k","tok\u0065n":"[redacted]"}"#
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_shown() {
        for text in ["{", "x{", r#"{"a":}"#] {
            assert!(!redaction().of(&format!("{text}s3cret")).contains("s3cret"), "{text}");
        }
        let deep = format!("{}\"s3cret\"{}", "[".repeat(100), "]".repeat(100));
        assert!(!redaction().of(&deep).contains("s3cret"));
    }

    #[test]
    fn a_star_is_any_letters() {
        let is_of = |pattern: &str, name: &str| {
            !Redaction::new(&[pattern.to_owned()]).of(&format!(r#"{{"{name}":7}}"#)).contains('7')
        };
        for (pattern, name) in
            [("a", "A"), ("*", ""), ("a*", "ab"), ("*b", "ab"), ("a*c*e", "abcde"), ("a**b", "ab")]
        {
            assert!(is_of(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a*", "ba"), ("*b", "bc"), ("a*a", "a"), ("", "a")] {
            assert!(!is_of(pattern, name), "{pattern} {name}");
        }
    }
}
