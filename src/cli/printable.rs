//! A peer's text on somebody's terminal.
//!
//! What a server says may hold escape sequences that move the cursor, change the title or answer for the user,
//! marks that turn the order of letters around, and letters that only a model sees. Here they become visible
//! instead. Nothing else is touched.

use crate::wire::letters::is_hidden;
use std::borrow::Cow;

/// Text of several lines: line feeds and tabs stay, a carriage return before a line feed goes.
pub fn text(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| is_hidden(letter) && !matches!(letter, '\n' | '\t'))
}

/// The same on one line: whatever ends or indents a line becomes a space.
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace("\r\n", " ").replace(['\n', '\t'], " ");
    Cow::Owned(escaped(&spaced, is_hidden).into_owned())
}

fn escaped(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n");
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if hidden(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_sequence_is_seen_and_not_obeyed() {
        assert_eq!(text("a\u{1b}]0;title\u{7}b"), r"a\u{1b}]0;title\u{7}b");
        assert_eq!(text("\u{9b}31m\u{7f}\0"), r"\u{9b}31m\u{7f}\u{0}");
        assert_eq!(text("\u{202e}txt.exe"), r"\u{202e}txt.exe");
    }

    #[test]
    fn marks_without_a_shape_are_seen() {
        for mark in ['\u{61c}', '\u{200e}', '\u{200f}', '\u{e0000}', '\u{e0041}', '\u{e007f}'] {
            assert_eq!(text(&format!("a{mark}b")), format!("a{}b", mark.escape_unicode()));
        }
        // Joiners are part of ordinary letters and pictures.
        assert!(matches!(text("\u{200d}\u{200c}"), Cow::Borrowed(_)));
    }

    #[test]
    fn lines_and_tabs_stay() {
        assert_eq!(text("a\n\tb\r\nc\rd"), "a\n\tb\nc\\rd");
        assert!(matches!(text("é\n✓ \u{1f9f6}"), Cow::Borrowed(_)));
    }

    #[test]
    fn on_one_line_there_is_one_line() {
        assert_eq!(line("a\nb\r\nc\td\re\u{2028}"), "a b c d\\re\\u{2028}");
    }
}
