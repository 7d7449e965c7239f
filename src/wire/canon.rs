//! What a JSON text says, in few bytes: equal for texts that say the same, however they are spelled.
//!
//! The order of members, white space, escapes and the spelling of numbers do not matter; their order where a key stands
//! twice does. It is a digest and no text: nothing is ever rebuilt from it.

use super::members::string;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// Adds what a text says to a digest, in one pass. The text is JSON, and nested no deeper than whoever read it allowed.
pub fn canon(json: &str, hash: &mut Sha256) {
    Reader { text: json, at: 0 }.value(hash);
}

/// How far a text is read. Of a text that is no JSON something is read, to its end at most.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, hash: &mut Sha256) {
        match self.next() {
            Some(b'{') => self.object(hash),
            Some(b'[') => {
                self.at += 1;
                hash.update(b"[");
                while let Some(first) = self.next().filter(|first| *first != b']') {
                    if first == b',' {
                        self.at += 1;
                    } else {
                        self.value(hash);
                    }
                }
                self.at += 1;
                hash.update(b"]");
            }
            Some(b'"') => {
                let (mark, text) = says(self.string());
                said(hash, mark, &text);
            }
            Some(b'-' | b'0'..=b'9') => said(hash, b'n', &number(self.word())),
            Some(_) | None => said(hash, b'w', self.word()),
        }
    }

    /// The members in the order of their keys; of one that stands twice both, in their own order.
    fn object(&mut self, hash: &mut Sha256) {
        self.at += 1;
        let mut all = Vec::new();
        while let Some(first) = self.next().filter(|first| *first != b'}') {
            if first != b'"' {
                self.at += 1;
                continue;
            }
            let key = says(self.string());
            if self.next() == Some(b':') {
                self.at += 1;
            }
            let mut value = Sha256::new();
            self.value(&mut value);
            all.push((key, <[u8; 32]>::from(value.finalize())));
        }
        self.at += 1;
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        hash.update(b"{");
        for ((mark, key), value) in all {
            said(hash, mark, &key);
            hash.update(value);
        }
        hash.update(b"}");
    }

    /// The first byte of what comes next.
    fn next(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let white = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += white;
        rest.get(white).copied()
    }

    /// The string that starts here, as it stands.
    fn string(&mut self) -> &'a str {
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        while let Some(found) = bytes.get(end..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
            end += found;
            if bytes.get(end) == Some(&b'"') {
                return self.until(end + 1);
            }
            // What is escaped ends nothing.
            end += 2;
        }
        self.until(bytes.len())
    }

    /// The number or word that starts here.
    fn word(&mut self) -> &'a str {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
        // One byte at least, so that every text has an end.
        let length = rest.iter().skip(1).position(ends).map_or(rest.len(), |length| length + 1);
        self.until(self.at + length)
    }

    fn until(&mut self, end: usize) -> &'a str {
        let found = self.text.get(self.at..end).unwrap_or_default();
        self.at = end;
        found
    }
}

/// What a string says, and by which mark it is told from what is no Unicode text: half a surrogate pair is as it stands.
fn says(raw: &str) -> (u8, Cow<'_, str>) {
    match string(raw) {
        Some(text) => (b's', text),
        None => (b'r', Cow::Borrowed(raw)),
    }
}

fn said(hash: &mut Sha256, mark: u8, text: &str) {
    hash.update([mark]);
    hash.update((text.len() as u64).to_be_bytes());
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
            (" [ 1 , [ ] , { } ] ", "[1,[],{}]"),
            (r#"{"\ud800":{"b":"}","a":"\""}}"#, r#"{ "\ud800" : { "a" : "\u0022", "b" : "\u007d" } }"#),
        ] {
            assert_eq!(digest(one), digest(other), "{one} {other}");
        }
    }

    #[test]
    fn each_byte_is_read_once_however_deep_it_stands() {
        let deep = |inner: &str| format!("{}{inner}{}", "{\"a\":[".repeat(60), "]}".repeat(60));
        let long = format!("\"{}\"", "x".repeat(1 << 20));
        assert_ne!(digest(&deep(&long)), digest(&deep("\"x\"")));
        assert_eq!(digest(&deep(&long)), digest(&deep(&format!(" {long} "))));
    }

    #[test]
    fn what_is_no_json_is_read_to_its_end() {
        for text in [
            "", "{", "[", "[,", "{1}", "\"", "\"\\", "[}", "{]", "}", "]", ":", "{\"a\"", "{\"a\":", "nul",
            "é",
        ] {
            digest(text);
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
            r#"{"\ud800":1}"#,
            r#"{"\\ud800":1}"#,
            r#"{"\"\\ud800\"":1}"#,
            r#""\ud800""#,
            r#""\\ud800""#,
            "[[]]",
            "[[],[]]",
            "[{}]",
            r#"{"a":{}}"#,
            r#"{"a":[]}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":{"b":2},"c":1}"#,
            r#"{"a":{"b":2,"c":1}}"#,
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(digest(one), digest(other), "{one} {other}");
            }
        }
    }
}
