//! `braid explain CODE`: the long help of a code, offline.
//!
//! Pure: a word in, a text out. Whether the word is a code or a name is for the caller to decide, with
//! `Code::named`.

use crate::config::codes::Code;
use crate::config::schema;

/// The long help of a code, with a line break at the end.
pub fn explain(code: Code) -> String {
    format!("{code}: {}\n\n{}\n", code.title(), code.help())
}

/// What to say when a word looks like a code and is none.
pub fn unknown(word: &str) -> String {
    let known = schema::nearest(word, Code::ALL.iter().map(|code| code.id()));
    let nearest = known.map_or_else(String::new, |id| format!("; did you mean {id}?"));
    format!("`{}` is no code of Braid{nearest}\n", word.escape_debug())
}

/// All codes with their titles, one in a line.
pub fn list() -> String {
    Code::ALL.iter().map(|code| format!("{code}  {}\n", code.title())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_explained() {
        let text = explain(Code::CommandAndUrl);
        assert!(text.starts_with("BRAID-C003: server has both `command` and `url`\n\nA server is either"));
        assert!(text.ends_with("two servers with two names.\n"));
    }

    #[test]
    fn a_word_that_is_no_code_gets_the_nearest() {
        assert_eq!(unknown("BRAID-S0O1"), "`BRAID-S0O1` is no code of Braid; did you mean BRAID-S001?\n");
        assert_eq!(unknown("\u{1b}x"), "`\\u{1b}x` is no code of Braid\n");
    }

    #[test]
    fn all_codes_are_listed() {
        assert_eq!(list().lines().count(), Code::ALL.len());
    }
}
