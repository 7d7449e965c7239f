//! What else a URI may mean to a server that does not take it letter by letter.
//!
//! A filter must not be got round by another spelling: by escapes, by `..`, by the case of a scheme, by a query that a
//! server ignores. Owns the spellings that are looked at. It decides nothing, and what is sent is never one of these.

use super::uris::scheme;
use crate::wire::percent;

/// The spellings that a URI or a template has beside its own, each once: without escapes, in lower case as far as case
/// says nothing, without steps up and down. Two where it is not clear whether what follows the slashes is a host.
pub(super) fn spellings(uri: &str) -> Vec<String> {
    let decoded = decoded(uri);
    let mut found: Vec<String> = Vec::new();
    let alone = without_machine(&decoded);
    let ways = [(&decoded, Host::First), (&decoded, Host::None)].into_iter();
    for (text, host) in ways.chain(alone.as_ref().map(|alone| (alone, Host::None))) {
        let spelt = spelt(text, host);
        if spelt != uri && !found.contains(&spelt) {
            found.push(spelt);
        }
    }
    found
}

/// Whether what a URI leads to depends on who reads it: it steps up or down, and where its steps end is hidden in escapes,
/// or the steps come behind what ends a path for some.
pub(super) fn is_devious(uri: &str) -> bool {
    const ENDS: [char; 4] = ['/', '\\', '?', '#'];
    let decoded = decoded(uri);
    let steps = |text: &str| text.split(ENDS).any(|step| step == "." || step == "..");
    let ends = |text: &str| text.matches(ENDS).count();
    let tail = decoded.get(bare(&decoded).len()..).unwrap_or_default();
    steps(&decoded) && (ends(&decoded) != ends(uri) || steps(tail))
}

/// What is left of a spelling for a server that looks neither at a fragment nor at a query.
pub(super) fn bare(spelling: &str) -> &str {
    spelling.split(['?', '#']).next().unwrap_or_default()
}

/// Whether the first thing behind `//` names a host.
#[derive(Clone, Copy)]
enum Host {
    First,
    None,
}

/// A `file:` URI without the name of a machine, which many do not look at.
fn without_machine(uri: &str) -> Option<String> {
    let uri = uri.replace('\\', "/");
    let scheme = scheme(&uri).filter(|scheme| scheme.eq_ignore_ascii_case("file"))?;
    let inner = uri.get(scheme.len() + 1..)?.strip_prefix("//")?;
    let (machine, path) = inner.split_once('/')?;
    (!machine.is_empty()).then(|| format!("file:///{path}"))
}

fn spelt(uri: &str, host: Host) -> String {
    let uri = uri.replace('\\', "/");
    let Some(scheme) = scheme(&uri) else { return walked(&uri) };
    let rest = uri.get(scheme.len() + 1..).unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    let (rest, tail) = rest.split_at(bare(rest).len());
    let Some(path) = rest.strip_prefix('/') else { return format!("{scheme}:{rest}{tail}") };
    let inner = path.strip_prefix('/').unwrap_or(path);
    if scheme == "file" {
        // One root, however many slashes there are.
        return format!("{scheme}:///{}{tail}", walked(inner.trim_start_matches('/')));
    }
    let (host, path) = match host {
        Host::First => inner.split_once('/').map_or((inner, None), |(host, path)| (host, Some(path))),
        Host::None => ("", Some(inner)),
    };
    match (host, path) {
        ("", Some(path)) => format!("{scheme}://{}{tail}", walked(path)),
        (host, Some(path)) => format!("{scheme}://{}/{}{tail}", host.to_ascii_lowercase(), walked(path)),
        (host, None) => format!("{scheme}://{}{tail}", host.to_ascii_lowercase()),
    }
}

/// A path without `.`, `..` and empty steps.
fn walked(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    let end = if path.ends_with('/') && !steps.is_empty() { "/" } else { "" };
    steps.join("/") + end
}

/// Without escapes, and without those that then appear.
fn decoded(uri: &str) -> String {
    let mut text = uri.to_owned();
    for _ in 0..DECODINGS_MAX {
        if !text.contains('%') {
            break;
        }
        let once = percent::decoded(&text);
        if once == text {
            break;
        }
        text = once;
    }
    text
}

/// How often escapes of escapes are undone.
const DECODINGS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_looked_at_in_every_spelling_that_a_server_may_take_for_the_same() {
        for (uri, expected) in [
            ("file:///etc/passwd", &[][..]),
            ("FILE:///etc/passwd", &["file:///etc/passwd"]),
            ("file:/etc/passwd", &["file:///etc/passwd"]),
            ("file://localhost/etc/passwd", &["file:///localhost/etc/passwd", "file:///etc/passwd"]),
            ("file://LOCALHOST/etc/passwd", &["file:///LOCALHOST/etc/passwd", "file:///etc/passwd"]),
            ("file://127.0.0.1/etc/passwd", &["file:///127.0.0.1/etc/passwd", "file:///etc/passwd"]),
            ("file://x%2F/etc/passwd", &["file:///x/etc/passwd", "file:///etc/passwd"]),
            ("file:////etc//passwd", &["file:///etc/passwd"]),
            ("file:///srv/../etc/./passwd", &["file:///etc/passwd"]),
            ("file:///srv/%2e%2E/etc/passwd", &["file:///etc/passwd"]),
            ("file:///srv/%252e%252e/etc/passwd", &["file:///etc/passwd"]),
            ("file:///srv\\..\\etc\\passwd", &["file:///etc/passwd"]),
            ("file:///../../etc/passwd", &["file:///etc/passwd"]),
            ("note://pub/../secret", &["note://pub/secret", "note://secret"]),
            ("note://Pub/x", &["note://pub/x"]),
            ("note://{id}", &[]),
            ("note://{+path}", &[]),
            ("urn:isbn:1", &[]),
            ("a/../b", &["b"]),
            ("x://a/100%", &[]),
            ("x://a/b/", &[]),
            ("x://h/a?q=/z", &[]),
        ] {
            let mut found = spellings(uri);
            // Where a host is kept as it is written, that is the spelling that it had.
            found.retain(|spelling| spelling != uri);
            assert_eq!(found, expected, "{uri}");
        }
        assert_eq!(bare("x://a?b#c"), "x://a");
    }

    #[test]
    fn steps_whose_end_is_a_matter_of_opinion_are_known() {
        for devious in [
            "file:///h/a%2Fb/../secret/k",
            "file:///pub/a%2Fb/../../etc/passwd",
            "file:///pub/a%5cb/../../etc/passwd",
            "file:///pub/x%3F/../../etc/passwd",
            "file:///pub/x%253F/../../etc/passwd",
            "file:///pub/x%23/%2e%2e/../etc/passwd",
            "file:///pub/x?/../../etc/passwd",
            "note://pub#/../secret",
        ] {
            assert!(is_devious(devious), "{devious}");
        }
        for plain in [
            "file:///srv/../etc/./passwd",
            "file:///srv/%2e%2E/etc/passwd",
            "file:///srv\\..\\etc",
            "file:///a%2Fb",
            "x://h/a?q=1.5&r=..x",
            "note://{+path}",
        ] {
            assert!(!is_devious(plain), "{plain}");
        }
    }

    #[test]
    fn escapes_of_escapes_end() {
        let deep = format!("x://%{}41", "25".repeat(DECODINGS_MAX + 3));
        assert!(spellings(&deep).iter().all(|spelling| spelling.contains('%')));
    }
}
