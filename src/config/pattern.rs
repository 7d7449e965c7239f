//! Patterns that a person writes: `*` stands for any text, be it none, `?` for one character, all else for itself.
//!
//! Pure. Letters are compared as they are. It takes time in proportion to the text, but for a part with `?`, which is tried
//! at each of its places.

/// Whether the whole of `text` is such as the pattern says.
pub fn matches(pattern: &str, text: &str) -> bool {
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

/// Whether any text that begins so is such as the pattern says.
pub fn may_begin(pattern: &str, beginning: &str) -> bool {
    let mut wanted = pattern.chars();
    for found in beginning.chars() {
        match wanted.next() {
            // It stands for all the rest, and what is to follow may follow.
            Some('*') => return true,
            Some(one) if one == '?' || one == found => {}
            Some(_) | None => return false,
        }
    }
    true
}
