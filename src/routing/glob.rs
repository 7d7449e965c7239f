//! A pattern of a filter, and whether it matches a name or a URI.
//!
//! `*` stands for any text, be it none, and `?` for one character; all else stands for itself, so that a URI template and
//! the brackets of an address need no escapes. Letters are compared as they are. It takes time in proportion to the text,
//! but for a part with `?`, which is tried at each of its places.

use super::template::closed_braces;

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

    /// The same of a URI, or of a template: an expression in braces matches itself, and whatever it may expand to.
    pub fn matches_uri(&self, uri: &str) -> bool {
        matches(&self.0, uri) || closed_braces(&self.0).is_some_and(|as_any_text| matches(&as_any_text, uri))
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return at_start(pattern, text).is_some_and(str::is_empty);
    };
    let Some(mut text) = at_start(first, text) else { return false };
    let mut parts = rest.split('*');
    // What stands behind the last `*` is to be the end; each part before it may stand where it comes first.
    let Some(last) = parts.next_back() else { return false };
    for part in parts {
        let Some(behind) = after_first(part, text) else { return false };
        text = behind;
    }
    at_end(last, text)
}

/// What follows the part, if the text begins with it.
fn at_start<'a>(part: &str, text: &'a str) -> Option<&'a str> {
    let mut rest = text.chars();
    for wanted in part.chars() {
        let found = rest.next()?;
        if wanted != '?' && wanted != found {
            return None;
        }
    }
    Some(rest.as_str())
}

fn at_end(part: &str, text: &str) -> bool {
    let mut rest = text.chars();
    part.chars().rev().all(|wanted| rest.next_back().is_some_and(|found| wanted == '?' || wanted == found))
}

/// What follows the first place where the part stands. Parts take equally many characters wherever they stand, so that
/// no later place leaves more.
fn after_first<'a>(part: &str, text: &'a str) -> Option<&'a str> {
    if !part.contains('?') {
        let at = memchr::memmem::find(text.as_bytes(), part.as_bytes())?;
        return text.get(at + part.len()..);
    }
    let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    starts.filter_map(|at| text.get(at..)).find_map(|rest| at_start(part, rest))
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
        fn it_matches_what_the_model_does(pattern in "[ab*?é]{0,8}", text in "[abé]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Glob::new(&pattern).matches(&text), model(&chars(&pattern), &chars(&text)));
        }
    }
}
