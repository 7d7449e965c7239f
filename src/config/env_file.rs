//! Files of lines `NAME=value`, as `env_file` names them.
//!
//! Owns their grammar: comments, `export`, quotes. References are not expanded in them. An error names the
//! line and never its content, because the content is secret.

use std::collections::BTreeMap;
use std::path::Path;

use super::variables::{is_env_name, read_small};

/// Longest file of variables.
pub const ENV_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Reads the variables of a file in its order, or says in a few words why it cannot be used.
pub(super) fn read(path: &Path) -> Result<Vec<(String, String)>, String> {
    let text = read_small(path, ENV_FILE_BYTES_MAX)?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut pairs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |what: &str| Err(format!("has {what} in line {}", index + 1));
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else { return fault("no `=`") };
        let name = name.trim();
        if !is_env_name(name) || name.contains(char::is_whitespace) {
            return fault("no name of a variable");
        }
        let Some(value) = unquoted(value.trim()) else { return fault("a quote that does not close") };
        if value.contains('\0') {
            return fault("a NUL character");
        }
        pairs.push((name.to_owned(), value));
    }
    Ok(pairs)
}

/// The value without its quotes and without a comment behind it. `None`: a quote does not close.
fn unquoted(value: &str) -> Option<String> {
    if let Some(inner) = value.strip_prefix('\'') {
        let (inner, rest) = inner.split_once('\'')?;
        return is_comment(rest).then(|| inner.to_owned());
    }
    let Some(inner) = value.strip_prefix('"') else {
        let end = value.find(" #").unwrap_or(value.len());
        return value.get(..end).map(|plain| plain.trim_end().to_owned());
    };
    let mut text = String::new();
    let mut chars = inner.chars();
    loop {
        match chars.next()? {
            '"' => return is_comment(chars.as_str()).then_some(text),
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                c @ ('"' | '\\' | '$') => text.push(c),
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

fn is_comment(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

/// Each name once, with its last value, in the order in which names first appear.
pub(super) fn last_of_each(pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<(String, String)> = Vec::new();
    for (name, value) in pairs {
        let place = *places.entry(name.clone()).or_insert(kept.len());
        match kept.get_mut(place) {
            Some(pair) => pair.1 = value,
            None => kept.push((name, value)),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_and_values() {
        let text = "\u{feff}# comment\n\nA=1\n export B = two words \nC='a # b'\nD=\"x\\n\\\"y\\\" \\d\" # c\nE=\nF=a#b # c\nG=${A}\r\nH=a=b\n";
        let pairs = parse(text).unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("A", "1"),
                ("B", "two words"),
                ("C", "a # b"),
                ("D", "x\n\"y\" \\d"),
                ("E", ""),
                ("F", "a#b"),
                ("G", "${A}"),
                ("H", "a=b"),
            ]
        );
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_alone() {
        for (text, said) in [
            ("A=1\nsecret\n", "has no `=` in line 2"),
            ("=secret\n", "has no name of a variable in line 1"),
            ("A B=secret\n", "has no name of a variable in line 1"),
            ("A='secret\n", "has a quote that does not close in line 1"),
            ("A=\"secret\\\"\n", "has a quote that does not close in line 1"),
            ("A=\"secret\" more\n", "has a quote that does not close in line 1"),
            ("A=sec\0ret\n", "has a NUL character in line 1"),
        ] {
            assert_eq!(parse(text), Err(said.to_owned()));
        }
    }
}
