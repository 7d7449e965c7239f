//! A pattern of a filter, and whether it matches a name or a URI.
//!
//! What its signs stand for says `config::pattern`: all but two stand for themselves, so that a URI template and the brackets
//! of an address need no escapes.

use super::template::closed_braces;
use crate::config::pattern::{matches, may_begin};

/// One pattern. Two are equal if they are written alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob(Box<str>);

impl Glob {
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `text` is such as the pattern says.
    pub fn matches(&self, text: &str) -> bool {
        matches(&self.0, text)
    }

    /// Whether it matches any text that begins so.
    pub fn may_begin(&self, beginning: &str) -> bool {
        may_begin(&self.0, beginning)
    }

    /// The same of texts that end with a URI.
    pub fn may_begin_uri(&self, beginning: &str) -> bool {
        may_begin(&self.0, beginning)
            || closed_braces(&self.0).is_some_and(|as_any_text| may_begin(&as_any_text, beginning))
    }

    /// Whether the whole is such as the pattern says, of a URI, or of a template: an expression in braces matches itself, and whatever it may expand to.
    pub fn matches_uri(&self, uri: &str) -> bool {
        matches(&self.0, uri) || closed_braces(&self.0).is_some_and(|as_any_text| matches(&as_any_text, uri))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks_stand_for_others_and_all_else_for_itself() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "anything/at all"),
            ("delete_*", "delete_"),
            ("delete_*", "delete_repo"),
            ("*_repo", "delete_repo"),
            ("*et*po", "delete_repo"),
            ("get_?", "get_é"),
            ("?b*?d", "abcd"),
            ("a**b", "ab"),
            ("*a?c*", "xxabcx"),
            ("note://{id}", "note://{id}"),
            ("http://[::1]/*", "http://[::1]/x"),
            ("x?y=1", "x?y=1"),
            ("*aab", "aaab"),
            ("*ab*ab", "abab"),
        ] {
            assert!(Glob::new(pattern).matches(text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("delete_*", "Delete_repo"),
            ("delete_*", "undelete_repo"),
            ("get_?", "get_"),
            ("get_?", "get_ab"),
            ("*ab*ab", "ab"),
            ("a*a", "a"),
            ("", "a"),
            ("[ab]", "a"),
            ("{a,b}", "a"),
            ("file:///srv/*", "file:///srv"),
        ] {
            assert!(!Glob::new(pattern).matches(text), "{pattern} {text}");
        }
    }

    #[test]
    fn an_expression_of_a_template_matches_itself_and_what_it_expands_to() {
        for (pattern, uri, matches) in [
            ("note://{id}", "note://{id}", true),
            ("note://{id}", "note://7", true),
            ("note://{id}", "note://{other}", true),
            ("note://{id}/x", "note://7/x", true),
            ("note://{id}/x", "note://7/y", false),
            ("note://{id", "note://7", false),
            ("note://*/{a}/{b}", "note://1/2/3", true),
        ] {
            assert_eq!(Glob::new(pattern).matches_uri(uri), matches, "{pattern} {uri}");
        }
    }

    #[test]
    fn a_beginning_is_matched_if_any_text_that_begins_so_is() {
        for (pattern, beginning, may) in [
            ("token:*", "token:", true),
            ("token:ci", "token:", true),
            ("token", "token:", false),
            ("*:ci", "token:", true),
            ("to*", "token:", true),
            ("?oken?x", "token:", true),
            ("oauth:*", "token:", false),
            ("*a", "b", true),
            ("", "", true),
            ("", "a", false),
            ("git*/get_*", "github/", true),
            ("*/get_*", "github/", true),
            ("gitlab/*", "github/", false),
            ("git", "github/", false),
        ] {
            assert_eq!(Glob::new(pattern).may_begin(beginning), may, "{pattern} {beginning}");
        }
    }

    /// Slow, and plainly right.
    fn model(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => {
                model(rest, text) || text.split_first().is_some_and(|(_, text)| model(pattern, text))
            }
            (['?', rest @ ..], [_, text @ ..]) => model(rest, text),
            ([wanted, rest @ ..], [found, text @ ..]) => wanted == found && model(rest, text),
            ([], [_, ..]) | ([_, ..], []) => false,
        }
    }

    proptest! {
        #[test]
        fn what_it_matches_may_begin_as_it_does(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}", cut in 0_usize..11) {
            let glob = Glob::new(&pattern);
            if glob.matches(&text) {
                prop_assert!(glob.may_begin(&text[..cut.min(text.len())]));
            }
        }

        #[test]
        fn it_matches_what_the_model_does(pattern in "[ab*?é]{0,8}", text in "[abé]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Glob::new(&pattern).matches(&text), model(&chars(&pattern), &chars(&text)));
        }
    }
}
