//! Covers secrets in the text of a file before any of it is drawn.
//!
//! An error about one value shows its whole line, and a token may stand on that line. Values of environment
//! variables and headers become `*`, byte for byte, so that spans stay true, and so do words of commands that look like
//! secrets; references such as `${TOKEN}` stay readable, because errors are about them. It owns no judgement of what is wrong.

mod broken;

use std::ops::Range;

pub(super) use broken::broken;

use super::shown;
use super::tree::{Node, Value};
use super::values::is_secret_name;

/// Keys whose tables hold secrets, in any file that we read, and what people write in their place.
const SECRET_TABLES: &[&str] =
    &["env", "envs", "environment", "headers", "header", "http_headers", "oauth", "settings"];
/// Keys that hold a URL, in which a password or a token may stand.
const URLS: &[&str] = &["url", "serverUrl", "httpUrl"];
/// Keys whose tables have names in place of keys; a server may be called `settings`.
const NAMING_TABLES: &[&str] =
    &["servers", "mcpServers", "mcp_servers", "context_servers", "groups", "access"];
/// Arguments of a tool. Elsewhere a table of this name says how servers are run.
const ARGUMENTS: &str = "defaults";

/// The text of a file that could be parsed, with secrets covered.
pub(super) fn by_tree(text: &str, root: &Node) -> String {
    let mut spans = Vec::new();
    secrets_in(text, root, &mut spans);
    let mut bytes = drawable(text);
    for span in spans {
        cover(&mut bytes, text, &span, 0);
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// A text with what may be secret in the URL at `span` covered.
pub(super) fn url(text: &str, span: &Range<usize>) -> String {
    let mut bytes = drawable(text);
    for secret in secrets_of_url(text, span) {
        cover(&mut bytes, text, &secret, 0);
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// User and password, and what follows the path.
fn secrets_of_url(text: &str, span: &Range<usize>) -> Vec<Range<usize>> {
    let Some(url) = text.get(span.clone()) else { return Vec::new() };
    let start = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(start..).unwrap_or_default();
    // A password may hold what ends the host elsewhere, so the last `@` counts.
    let user = rest.rfind('@').map(|end| start..start + end);
    let behind = user.as_ref().map_or(start, |user| user.end);
    let query = url.get(behind..).and_then(|rest| rest.find(['?', '#']));
    let query = query.map(|at| behind + at + 1..url.len());
    let shift = |secret: Range<usize>| span.start + secret.start..span.start + secret.end;
    user.into_iter().chain(query).map(shift).collect()
}

fn secrets_in(text: &str, node: &Node, spans: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Table(entries) => {
            for entry in entries {
                if holds_secrets(&entry.key) {
                    leaves_of(&entry.node, spans);
                } else if URLS.contains(&entry.key.as_str()) {
                    spans.extend(secrets_of_url(text, &entry.node.span));
                } else if entry.key == "tool" {
                    entry.node.entries().iter().for_each(|tool| secrets_of_tool(text, &tool.node, spans));
                } else if NAMING_TABLES.contains(&entry.key.as_str()) {
                    entry.node.entries().iter().for_each(|named| secrets_in(text, &named.node, spans));
                } else {
                    secrets_in(text, &entry.node, spans);
                }
            }
        }
        Value::List(items) => {
            words_of(node, spans);
            items.iter().for_each(|item| secrets_in(text, item, spans));
        }
        Value::Text(_) => words_of(node, spans),
        Value::Integer(_) | Value::Number(_) | Value::Flag(_) | Value::Date | Value::Null => {}
    }
}

/// A table of secrets, or a key that says that it is one: `token`, `api_keys`.
fn holds_secrets(key: &str) -> bool {
    SECRET_TABLES.contains(&key)
        || is_secret_name(key.strip_suffix('s').unwrap_or(key))
        || is_secret_name(key)
}

/// What looks like a secret in a list of words, or in one text of all of them.
fn words_of(node: &Node, spans: &mut Vec<Range<usize>>) {
    let text = |node: &Node| if let Value::Text(text) = &node.value { text.clone() } else { String::new() };
    if let Value::List(items) = &node.value {
        let words: Vec<String> = items.iter().map(text).collect();
        let hidden = items.iter().zip(hides(words.iter().map(String::as_str)));
        spans.extend(hidden.filter(|(_, hidden)| *hidden).map(|(item, _)| item.span.clone()));
    } else if hides(text(node).split_whitespace()).any(|hidden| hidden) {
        spans.push(node.span.clone());
    }
}

/// Of each word, whether some of it is hidden where commands are shown.
fn hides<'a>(words: impl Iterator<Item = &'a str> + Clone) -> impl Iterator<Item = bool> {
    let shown = shown::words(words.clone());
    words.zip(shown).map(|(word, shown)| word != shown).collect::<Vec<_>>().into_iter()
}

fn secrets_of_tool(text: &str, tool: &Node, spans: &mut Vec<Range<usize>>) {
    for arguments in [ARGUMENTS, "default"].iter().filter_map(|key| tool.get(key)) {
        leaves_of(&arguments.node, spans);
    }
    secrets_in(text, tool, spans);
}

fn leaves_of(node: &Node, spans: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Table(entries) => entries.iter().for_each(|entry| leaves_of(&entry.node, spans)),
        Value::List(items) => items.iter().for_each(|item| leaves_of(item, spans)),
        Value::Text(_)
        | Value::Integer(_)
        | Value::Number(_)
        | Value::Flag(_)
        | Value::Date
        | Value::Null => {
            spans.push(node.span.clone());
        }
    }
}

/// A carriage return would be drawn as a sign of its own at the end of each line.
fn drawable(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| if byte == b'\r' { b' ' } else { byte }).collect()
}

/// Covers a span of `text`, which starts at `shift` in the bytes; quotes, brackets and references stay.
fn cover(bytes: &mut [u8], text: &str, span: &Range<usize>, shift: usize) {
    let Some(value) = text.get(span.clone()) else { return };
    let mut kept_until = 0;
    for (at, c) in value.char_indices() {
        if at < kept_until {
            continue;
        }
        let rest = value.get(at..).unwrap_or_default();
        if rest.starts_with("${") {
            kept_until = rest.find('}').map_or(at + 2, |end| at + end + 1);
            cover_default(bytes, rest, span.start + shift + at);
        } else if !c.is_whitespace() && !matches!(c, '"' | '\'' | '{' | '}' | '[' | ']' | ',') {
            let from = span.start + shift + at;
            if let Some(bytes) = bytes.get_mut(from..from + c.len_utf8()) {
                bytes.fill(b'*');
            }
        }
    }
}

/// A default is written out in the file, so it may be the secret itself.
fn cover_default(bytes: &mut [u8], reference: &str, start: usize) {
    let end = reference.find('}').unwrap_or(reference.len());
    let Some(from) = reference.get(..end).and_then(|inner| inner.find(":-")) else { return };
    if let Some(bytes) = bytes.get_mut(start + from + 2..start + end) {
        bytes.fill(b'*');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    #[test]
    fn values_of_variables_are_covered_and_all_spans_hold() {
        let text =
            "[servers.a]\ncommand = \"npx\"\nenv = { A = \"sk-é1\", B = \"x${TOKEN}y${D:-def}\", C = 5 }\n";
        let (root, _) = tree::from_toml(text);
        let covered = by_tree(text, &root);
        assert_eq!(
            covered,
            "[servers.a]\ncommand = \"npx\"\nenv = { A = \"******\", B = \"*${TOKEN}*${D:-***}\", C = * }\n"
        );
        assert_eq!(covered.len(), text.len());
    }

    #[test]
    fn headers_and_tables_of_their_own_are_covered() {
        let text = "[servers.a.env]\nA = \"s\"\n[servers.a.headers]\nB = \"t\"\n";
        let (root, _) = tree::from_toml(text);
        assert_eq!(by_tree(text, &root), "[servers.a.env]\nA = \"*\"\n[servers.a.headers]\nB = \"*\"\n");
    }

    #[test]
    fn arguments_of_tools_are_covered_and_defaults_of_servers_are_not() {
        let text = "[defaults]\nstderr = \"log\"\n[servers.a.tool.t]\ndefaults = { key = \"s3\", n = [7] }\n[servers.a.tool.u.defaults]\nkey = \"${K}s3\"\n";
        let covered = "[defaults]\nstderr = \"log\"\n[servers.a.tool.t]\ndefaults = { key = \"**\", n = [*] }\n[servers.a.tool.u.defaults]\nkey = \"${K}**\"\n";
        let (root, errors) = tree::from_toml(text);
        assert_eq!(errors, []);
        assert_eq!(by_tree(text, &root), covered);
        assert_eq!(broken(text), covered);
    }

    #[test]
    fn words_of_commands_that_look_like_secrets_are_covered() {
        let text = "[servers.a]\nargs = [\"--token\", \"s3cretword\", \"x\", 5, \"--key=${K}\", \"--api-key=s3cretword\"]\nheaders_command = \"print --token s3cretword\"\n";
        let (root, _) = tree::from_toml(text);
        let covered = by_tree(text, &root);
        assert!(!covered.contains("s3cretword") && covered.len() == text.len(), "{covered}");
        assert!(!broken(text).contains("s3cretword"), "{}", broken(text));
        assert!(covered.contains("[\"--token\", \"**********\", \"x\", 5, \"--key=${K}\","), "{covered}");
    }

    #[test]
    fn what_is_written_in_place_of_a_key_of_secrets_is_covered() {
        for line in [
            "token = \"s3cret\"",
            "tokens = [\"s3cret\"]",
            "api_key = \"s3cret\"",
            "envs = { A = \"s3cret\" }",
        ] {
            let text = format!("[servers.a]\n{line}\n");
            let (root, _) = tree::from_toml(&text);
            assert_eq!(by_tree(&text, &root), text.replace("s3cret", "******"));
        }
        let text = "[servers.token]\ncommand = \"x\"\n[groups.token]\nservers = [\"token\"]\n";
        let (root, _) = tree::from_toml(text);
        assert_eq!(by_tree(text, &root), text);
    }

    #[test]
    fn passwords_and_queries_of_urls_are_covered() {
        for (url, covered) in [
            ("https://x/mcp", "https://x/mcp"),
            ("https://ana:s3/c?r@x/mcp?a=b#c", "https://**********@x/mcp?*****"),
            ("https://x/?k=${K}&l=m", "https://x/?**${K}****"),
            ("s3cret@x?y", "******@x?*"),
        ] {
            let text = format!("[servers.a]\nurl = \"{url}\"\nargs = []\n");
            let (root, _) = tree::from_toml(&text);
            assert_eq!(by_tree(&text, &root), text.replace(url, covered));
        }
    }
}
