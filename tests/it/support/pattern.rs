//! What a script expects to be heard, and what it says: text with a few marks in it.
//!
//! In what is heard, `*` stands for any text and `$name` for a JSON number or string, the same one wherever
//! the name stands again. In what is said, `$name` is what was heard for it, `\xHH` is a byte and `\{text*N}` is
//! the text N times. No JSON has `\x`, `\{`, `\$` or `\*`; the last two are the plain characters.

use std::collections::HashMap;

/// What each `$name` was heard to be.
pub(crate) type Names = HashMap<String, String>;

/// Text with marks, as it may be heard.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Any,
    Name(String),
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let mut step = first.len_utf8();
            let mark = match first {
                '\\' if rest.starts_with("\\*") || rest.starts_with("\\$") => {
                    plain.push_str(&rest[1..2]);
                    step = 2;
                    None
                }
                '*' => Some(Piece::Any),
                '$' if !name(&rest[1..]).is_empty() => {
                    step += name(&rest[1..]).len();
                    Some(Piece::Name(name(&rest[1..]).to_owned()))
                }
                _ => {
                    plain.push(first);
                    None
                }
            };
            if let Some(mark) = mark {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(mark);
            }
            rest = &rest[step..];
        }
        pieces.push(Piece::Text(plain));
        Self(pieces)
    }

    /// The names after a match; `None` when it does not match.
    pub(crate) fn matched(&self, heard: &str, names: &Names) -> Option<Names> {
        matched(&self.0, heard, names.clone())
    }
}

fn matched(pieces: &[Piece], heard: &str, mut names: Names) -> Option<Names> {
    let Some((first, pieces)) = pieces.split_first() else { return heard.is_empty().then_some(names) };
    match first {
        Piece::Text(text) => matched(pieces, heard.strip_prefix(text.as_str())?, names),
        Piece::Any => match pieces {
            [Piece::Text(last)] => heard.ends_with(last.as_str()).then_some(names),
            [Piece::Text(next), ..] => {
                let mut ends = heard.match_indices(next.as_str());
                ends.find_map(|(end, _)| matched(pieces, &heard[end..], names.clone()))
            }
            // A text, empty or not, stands behind every mark.
            _ => None,
        },
        Piece::Name(name) => {
            let value = scalar(heard)?;
            let known = names.entry(name.clone()).or_insert_with(|| value.to_owned());
            if known != value {
                return None;
            }
            matched(pieces, &heard[value.len()..], names)
        }
    }
}

/// The JSON number or string that a text begins with.
fn scalar(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let end = if bytes.first() == Some(&b'"') {
        let mut at = 1;
        while *bytes.get(at)? != b'"' {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        at + 1
    } else {
        bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count()
    };
    (end > 0).then(|| &text[..end])
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    &text[..end]
}

/// What a script says, its marks replaced.
pub(crate) fn said(text: &str, names: &Names) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let mut step = first.len_utf8();
        match first {
            '\\' if rest.starts_with("\\\\") => {
                out.extend_from_slice(b"\\\\");
                step = 2;
            }
            '\\' if rest.starts_with("\\$") => {
                out.push(b'$');
                step = 2;
            }
            '\\' if rest.starts_with("\\x") => {
                let byte = rest.get(2..4).and_then(|hex| u8::from_str_radix(hex, 16).ok());
                out.push(byte.ok_or("`\\x` without two hexadecimal digits")?);
                step = 4;
            }
            '\\' if rest.starts_with("\\{") => {
                let (text, count, length) = repeated(rest).ok_or("`\\{` without `*N}`")?;
                out.extend(said(text, names)?.repeat(count));
                step = length;
            }
            '$' if !name(&rest[1..]).is_empty() => {
                let name = name(&rest[1..]);
                let value = names.get(name).ok_or_else(|| format!("nothing was heard for `${name}`"))?;
                out.extend_from_slice(value.as_bytes());
                step += name.len();
            }
            _ => out.extend_from_slice(&rest.as_bytes()[..step]),
        }
        rest = &rest[step..];
    }
    Ok(out)
}

/// `\{text*N}` at the beginning: the text, the number, and how long it is.
fn repeated(rest: &str) -> Option<(&str, usize, usize)> {
    rest.match_indices('*').find_map(|(star, _)| {
        let digits = rest[star + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let end = star + 1 + digits;
        let count = rest[star + 1..end].parse().ok()?;
        rest[end..].starts_with('}').then(|| (&rest[2..star], count, end + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(pattern: &str, heard: &str) -> Option<Vec<(String, String)>> {
        let mut names: Vec<_> = Pattern::parse(pattern).matched(heard, &Names::new())?.into_iter().collect();
        names.sort();
        Some(names)
    }

    #[test]
    fn a_name_is_one_number_or_string_wherever_it_stands() {
        let one = Some(vec![("1".to_owned(), "7".to_owned())]);
        assert_eq!(hear(r#"{"id":$1,"t":$1}"#, r#"{"id":7,"t":7}"#), one);
        assert_eq!(hear(r#"{"id":$1,"t":$1}"#, r#"{"id":7,"t":8}"#), None);
        assert_eq!(hear(r#"{"id":$1}"#, r#"{"id":{}}"#), None);
        let text = Some(vec![("a".to_owned(), r#""x\"}""#.to_owned())]);
        assert_eq!(hear(r#"{"id":$a}"#, r#"{"id":"x\"}"}"#), text);
    }

    #[test]
    fn a_star_is_any_text_and_all_else_is_exact() {
        assert_eq!(hear(r#"{"a":*,"b":1}"#, r#"{"a":{"x":[1]},"b":1}"#), Some(vec![]));
        assert_eq!(hear(r#"{"a":*}"#, r#"{"a":1} "#), None);
        assert_eq!(hear(r"files__\*", "files__*"), Some(vec![]));
        assert_eq!(hear(r"files__\*", "files__x"), None);
    }

    #[test]
    fn marks_in_what_is_said_become_bytes() {
        let names = Names::from([("1".to_owned(), "7".to_owned())]);
        assert_eq!(said(r#"[$1,\$1,"\n\\x41",\xff]"#, &names).unwrap(), b"[7,$1,\"\\n\\\\x41\",\xff]");
        assert_eq!(said(r"<\{a$1,*3}>", &names).unwrap(), b"<a7,a7,a7,>");
        assert!(said("$2", &names).is_err());
    }
}
