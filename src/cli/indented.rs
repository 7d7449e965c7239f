//! JSON on several lines, for people.
//!
//! Works on the text: members keep their order, numbers their digits, and depth costs no stack. Space outside of
//! strings is all that changes.

/// `json` must be JSON; anything else comes out as some text, never as a panic. No line end at the end.
pub fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut depth: usize = 0;
    let mut place = Place::Outside;
    // An opening bracket waits for what comes next: an empty pair stays on its line.
    let mut opened = false;
    for letter in json.chars() {
        match place {
            Place::InString => {
                text.push(letter);
                place = match letter {
                    '"' => Place::Outside,
                    '\\' => Place::Escaped,
                    _ => Place::InString,
                };
                continue;
            }
            Place::Escaped => {
                text.push(letter);
                place = Place::InString;
                continue;
            }
            Place::Outside if matches!(letter, ' ' | '\t' | '\n' | '\r') => continue,
            Place::Outside => {}
        }
        let closes = matches!(letter, '}' | ']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        if opened != closes {
            begin_line(&mut text, depth, closes);
        }
        opened = matches!(letter, '{' | '[');
        match letter {
            ',' => {
                text.push(',');
                begin_line(&mut text, depth, false);
            }
            ':' => text.push_str(": "),
            _ => text.push(letter),
        }
        if opened {
            depth += 1;
        }
        if letter == '"' {
            place = Place::InString;
        }
    }
    text
}

#[derive(Clone, Copy)]
enum Place {
    Outside,
    InString,
    Escaped,
}

/// Deeper than `DEPTH_MAX` everything stays on one line, so that hostile depth cannot multiply the text.
fn begin_line(text: &mut String, depth: usize, closes: bool) {
    // A closing bracket stands one level further out than the line that it ends.
    if depth + usize::from(closes) > DEPTH_MAX {
        return;
    }
    text.push('\n');
    (0..depth).for_each(|_| text.push_str("  "));
}

/// Most levels that get lines of their own.
const DEPTH_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_digits() {
        let json = r#"{"z":1.50,"a":[12345678901234567890123,-0e5],"s":"a{,:\"\\","e":{},"n":[ ]}"#;
        let lines = [
            "{",
            "  \"z\": 1.50,",
            "  \"a\": [",
            "    12345678901234567890123,",
            "    -0e5",
            "  ],",
            "  \"s\": \"a{,:\\\"\\\\\",",
            "  \"e\": {},",
            "  \"n\": []",
            "}",
        ];
        assert_eq!(indented(json), lines.join("\n"));
        assert_eq!(indented(&indented(json)), lines.join("\n"));
    }

    #[test]
    fn a_plain_value_stays_as_it_is() {
        for json in ["1", "\"a b\"", "null", "[]", "{}", ""] {
            assert_eq!(indented(json), json);
        }
    }

    #[test]
    fn depth_neither_overflows_nor_multiplies() {
        let deep = 100_000;
        let text = indented(&format!("{}{}", "[".repeat(deep), "]".repeat(deep)));
        assert!(text.len() < 2 * deep + 10_000);
        assert_eq!(text.matches(['[', ']']).count(), 2 * deep);
    }

    #[test]
    fn what_is_no_json_is_no_panic() {
        for text in ["]]]}", "{[\"", "\"\\", "},{", ":::"] {
            indented(text);
        }
    }
}
