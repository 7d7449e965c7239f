//! Whether a URI may be an expansion of a URI template (RFC 6570).
//!
//! Only the literal parts are compared: what stands in braces matches anything. That is enough to ask who
//! owns a URI, and it takes one pass, whatever a server or a client writes.

/// Whether the literal parts of `template` occur in `uri` in their order, the first at its beginning and the
/// last at its end.
pub fn matches(template: &str, uri: &str) -> bool {
    let Some((first, mut rest)) = template.split_once('{') else { return template == uri };
    let Some(mut uri) = uri.strip_prefix(first) else { return false };
    loop {
        // A brace that is never closed is no expression.
        let Some((_, after)) = rest.split_once('}') else { return false };
        match after.split_once('{') {
            None => return uri.ends_with(after),
            Some((literal, next)) => {
                let Some(found) = memchr::memmem::find(uri.as_bytes(), literal.as_bytes()) else {
                    return false;
                };
                uri = uri.get(found + literal.len()..).unwrap_or_default();
                rest = next;
            }
        }
    }
}

/// A text with `*` for each expression in braces; `None`: it has none.
pub(super) fn closed_braces(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((_, after)) = behind.split_once('}') else { break };
        out.push_str(before);
        out.push('*');
        rest = after;
    }
    (rest.len() < text.len()).then(|| out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_parts_decide() {
        for (template, uri) in [
            ("note://{id}", "note://7"),
            ("note://{id}", "note://"),
            ("project://{name}/status", "project://braid/status"),
            ("a{b}c{d}e", "a-c-c-e"),
            ("demo://{+path}", "demo://a/b/c"),
            ("plain://x", "plain://x"),
        ] {
            assert!(matches(template, uri), "{template} {uri}");
        }
        for (template, uri) in [
            ("note://{id}", "notes://7"),
            ("project://{name}/status", "project://braid/state"),
            ("a{b}c{d}e", "a-e"),
            ("a{b", "ab"),
            ("plain://x", "plain://xy"),
        ] {
            assert!(!matches(template, uri), "{template} {uri}");
        }
    }
}
