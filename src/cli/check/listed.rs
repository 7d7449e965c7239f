//! What servers list, as clients will meet it: names that had to change, texts that are too long, letters nobody sees.
//!
//! A catalog in, findings and numbers out. What a client takes of it is judged by `clients`.

use super::clients::Client;
use super::odd;
use super::report::{Finding, Largest, Names};
use crate::config::Config;
use crate::config::codes::Code;
use crate::mcp::method::Kind;
use crate::routing::catalog::{Catalog, Entry};
use crate::routing::names::Change;
use crate::wire::members::{member, string};

/// What is said of the servers' lists, in their order.
pub(super) fn findings(config: &Config, catalog: &Catalog, client: Option<&Client>) -> Vec<Finding> {
    let mut found = names(config, catalog);
    for kind in Kind::ALL {
        for entry in catalog.entries(kind) {
            let item = std::str::from_utf8(entry.text()).unwrap_or_default();
            let server = key(config, entry.server);
            let letters = odd::letters_of(item);
            if !letters.is_empty() {
                let text = format!(
                    "the {} `{}` holds characters that nobody sees: {}",
                    noun(kind),
                    brief(&entry.own),
                    odd::named(&letters)
                );
                let help = format!("look at it with `braid list {} {server} --json`", listed(kind));
                found.push(Finding::warning(Some(server), Code::OddCharacters, text).help(help));
            }
            let Some(client) = client.filter(|_| kind == Kind::Tools) else { continue };
            let bytes = member(item, "description").and_then(string).map_or(0, |text| text.len());
            if let Some(max) = client.text_bytes_max.filter(|max| bytes > *max) {
                let text = format!(
                    "the description of `{}` has {bytes} bytes, and {} cuts it at {max}",
                    entry.exposed, client.title
                );
                found.push(Finding::warning(Some(server), Code::DescriptionCut, text));
            }
        }
    }
    found
}

/// Names that are not simply prefix, separator and own name, and URIs that cannot be told apart.
fn names(config: &Config, catalog: &Catalog) -> Vec<Finding> {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        for entry in catalog.entries(kind) {
            let (code, what) = match entry.change {
                Change::None => continue,
                Change::Sanitised => (Code::NamesSanitised, "has characters that some clients refuse"),
                Change::Collided => (Code::NamesCollide, "is the name of something else as well"),
                Change::Duplicate => (Code::NamesCollide, "is the name of another tool of its server"),
                Change::Shortened => (Code::NameCut, "is too long"),
            };
            let text = format!("`{}` {what}: it is `{}`", brief(&entry.own), entry.exposed);
            found.push(Finding::warning(Some(key(config, entry.server)), code, text));
        }
        for entry in catalog.hidden(kind) {
            let text =
                format!("`{}` is an earlier server's as well; it is not listed", brief(&entry.exposed));
            let help = "set `uris = \"prefixed\"`, or another prefix, for one of the two";
            found
                .push(Finding::warning(Some(key(config, entry.server)), Code::NamesCollide, text).help(help));
        }
    }
    found
}

/// The numbers.
pub(super) fn numbers(config: &Config, catalog: &Catalog) -> Names {
    let tools = catalog.entries(Kind::Tools);
    let kinds = [Kind::Tools, Kind::Prompts].into_iter();
    let lengths = kinds.flat_map(|kind| catalog.entries(kind)).map(|entry| entry.exposed.chars().count());
    let mut largest: Vec<&Entry> = tools.iter().collect();
    // Those of one size stay in their order.
    largest.sort_by_key(|entry| std::cmp::Reverse(entry.text().len()));
    Names {
        tools: tools.len(),
        longest_name: lengths.max().unwrap_or(0),
        longest_name_max: config.names.length_max,
        definition_tokens: tokens(tools.iter().map(|entry| entry.text().len()).sum()),
        largest_tools: largest
            .into_iter()
            .take(LARGEST_MAX)
            .map(|entry| Largest {
                name: entry.exposed.to_string(),
                server: key(config, entry.server).to_owned(),
                tokens: tokens(entry.text().len()),
            })
            .collect(),
    }
}

fn tokens(bytes: usize) -> usize {
    bytes / BYTES_PER_TOKEN
}

fn key(config: &Config, at: usize) -> &str {
    config.servers.get(at).map_or("", |server| &server.key)
}

/// A server's own name for something, which may be as long as it likes.
fn brief(own: &str) -> String {
    let name: String = own.chars().take(OWN_CHARS_MAX).collect();
    let end = if name.len() < own.len() { "…" } else { "" };
    format!("{}{end}", name.escape_debug())
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Tools => "tool",
        Kind::Prompts => "prompt",
        Kind::Resources => "resource",
        Kind::Templates => "resource template",
    }
}

/// As `braid list` takes it.
fn listed(kind: Kind) -> &'static str {
    match kind {
        Kind::Tools => "tools",
        Kind::Prompts => "prompts",
        Kind::Resources => "resources",
        Kind::Templates => "templates",
    }
}

/// A rule of thumb for JSON in English.
const BYTES_PER_TOKEN: usize = 4;

/// Tools that are named for their size.
const LARGEST_MAX: usize = 3;

const OWN_CHARS_MAX: usize = 100;
