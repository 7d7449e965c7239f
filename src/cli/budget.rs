//! What clients and models allow: how long a name may be, how many tools they take.
//!
//! Facts about clients, as they were known when this was written; a client may change them with any release.

use super::check::count;
use crate::mcp::method::Kind;
use crate::routing::catalog::Catalog;

/// One client's limits.
pub(super) struct Client {
    name: &'static str,
    /// Longest exposed name, if our entry is called `braid`.
    name_chars_max: usize,
    tools_max: Option<usize>,
}

/// One client's verdict.
pub(super) struct Verdict {
    client: &'static Client,
    tools: usize,
    longest: usize,
    pub(super) over: bool,
}

/// `mcp__braid__` before a name of 64 leaves 52; Cursor counts entry and tool name together, below 60.
const CLIENTS: [Client; 7] = [
    Client { name: "claude-desktop", name_chars_max: 64, tools_max: None },
    Client { name: "claude-code", name_chars_max: 52, tools_max: None },
    Client { name: "cursor", name_chars_max: 54, tools_max: Some(40) },
    Client { name: "vscode", name_chars_max: 64, tools_max: Some(128) },
    Client { name: "windsurf", name_chars_max: 64, tools_max: Some(100) },
    Client { name: "gemini", name_chars_max: 63, tools_max: None },
    Client { name: "openai", name_chars_max: 64, tools_max: Some(128) },
];

pub(super) fn client(name: &str) -> Option<&'static Client> {
    CLIENTS.iter().find(|client| client.name == name)
}

pub(super) fn names() -> Vec<&'static str> {
    CLIENTS.iter().map(|client| client.name).collect()
}

/// Every client's verdict, or one's.
pub(super) fn judge(catalog: &Catalog, only: Option<&str>) -> Vec<Verdict> {
    let (tools, longest) = (catalog.entries(Kind::Tools).len(), longest(catalog));
    let asked = CLIENTS.iter().filter(|client| only.is_none_or(|only| client.name == only));
    asked
        .map(|client| {
            let over = longest > client.name_chars_max || client.tools_max.is_some_and(|max| tools > max);
            // Without a question there is no answer to be wrong about: only the asked client can be over.
            Verdict { client, tools, longest, over: over && only.is_some() }
        })
        .collect()
}

/// Characters of the longest exposed name of a tool or a prompt.
pub(super) fn longest(catalog: &Catalog) -> usize {
    let kinds = [Kind::Tools, Kind::Prompts].into_iter();
    kinds.flat_map(|kind| catalog.entries(kind)).map(|entry| entry.exposed.chars().count()).max().unwrap_or(0)
}

/// The last lines of `check`.
pub(super) fn text(catalog: &Catalog, verdicts: &[Verdict], length_max: usize) -> String {
    let tools = catalog.entries(Kind::Tools);
    let bytes: usize = tools.iter().map(|entry| entry.text().len()).sum();
    let mut line = format!(
        "names   ✓ {}, longest name {} of {length_max}; about {} tokens of definitions\n",
        count(tools.len(), "tool"),
        longest(catalog),
        thousands(bytes / BYTES_PER_TOKEN),
    );
    for Verdict { client, tools, longest, .. } in verdicts {
        let wrong_name = *longest > client.name_chars_max;
        let wrong_count = client.tools_max.is_some_and(|max| *tools > max);
        if !(wrong_name || wrong_count || verdicts.len() == 1) {
            continue;
        }
        let sign = if wrong_name || wrong_count { '!' } else { '✓' };
        let tools_max = client.tools_max.map_or_else(String::new, |max| format!(", {tools} of {max} tools"));
        line.push_str(&format!(
            "        {sign} {}: names of {longest} of {} characters{tools_max}\n",
            client.name, client.name_chars_max
        ));
    }
    line
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// A rule of thumb for JSON in English.
const BYTES_PER_TOKEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn every_client_is_found_by_its_name() {
        assert!(names().into_iter().all(|name| client(name).is_some()));
        assert!(client("netscape").is_none());
    }
}
