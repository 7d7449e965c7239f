//! What a JSON text says, in few bytes: equal for texts that say the same, however they are spelled.
//!
//! The order of members, white space, escapes and the spelling of numbers do not matter; their order where a key stands
//! twice does. It is a digest and no text: nothing is ever rebuilt from it.

use super::members::{elements, members, string};
use sha2::{Digest, Sha256};

/// Adds what a text says to a digest. The text is JSON, and nested no deeper than whoever read it allowed.
pub fn canon(json: &str, hash: &mut Sha256) {
    let json = json.trim();
    match json.as_bytes().first() {
        Some(b'{') => {
            let mut all = members(json).unwrap_or_default();
            all.sort_by(|one, other| one.key.cmp(&other.key));
            open(hash, b'{', all.len());
            for member in all {
                said(hash, b'k', &member.key);
                canon(member.value, hash);
            }
        }
        Some(b'[') => {
            let all = elements(json).unwrap_or_default();
            open(hash, b'[', all.len());
            for element in all {
                canon(element, hash);
            }
        }
        Some(b'"') => match string(json) {
            Some(text) => said(hash, b's', &text),
            // Half a surrogate pair: as it stands.
            None => said(hash, b'r', json),
        },
        Some(b'-' | b'0'..=b'9') => said(hash, b'n', &number(json)),
        Some(_) | None => said(hash, b'w', json),
    }
}

fn open(hash: &mut Sha256, mark: u8, count: usize) {
    hash.update([mark]);
    hash.update((count as u64).to_be_bytes());
}

fn said(hash: &mut Sha256, mark: u8, text: &str) {
    open(hash, mark, text.len());
    hash.update(text);
}

/// A number as its sign, its digits without zeros around them, and the power of ten that they are multiplied by.
fn number(json: &str) -> String {
    let (sign, rest) = json.strip_prefix('-').map_or(("", json), |rest| ("-", rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Ok(exponent) = exponent.strip_prefix('+').unwrap_or(exponent).parse::<i64>() else {
        return json.to_owned();
    };
    let digits = format!("{whole}{fraction}");
    let short = digits.trim_end_matches('0');
    let power =
        exponent.saturating_sub(fraction.len() as i64).saturating_add((digits.len() - short.len()) as i64);
    match short.trim_start_matches('0') {
        "" => "0".to_owned(),
        short => format!("{sign}{short}e{power}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(json: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        canon(json, &mut hash);
        hash.finalize().into()
    }

    #[test]
    fn the_same_said_otherwise_is_the_same() {
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, "{ \"b\" : [ true,null ],\n\"\\u0061\":1.0 }"),
            ("100", "1e2"),
            ("-0.50", "-5E-1"),
            ("0", "-0.0e7"),
            (r#""a\/b""#, r#""a/\u0062""#),
            ("1e99999999999999999999", "1e99999999999999999999"),
        ] {
            assert_eq!(digest(one), digest(other), "{one} {other}");
        }
    }

    #[test]
    fn what_says_something_else_is_another() {
        let all = [
            "{}",
            "[]",
            "null",
            "0",
            "1",
            "-1",
            "10",
            "0.1",
            "true",
            r#""""#,
            r#""1""#,
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            r#"{"b":1}"#,
            r#"["a",1]"#,
            r#"[["a"],1]"#,
            r#"["a"]"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":"b"}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":2,"a":1}"#,
            "9007199254740993",
            "9007199254740992",
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(digest(one), digest(other), "{one} {other}");
            }
        }
    }
}
