//! Servers of clients' own files, on their way into a `braid.toml`.
//!
//! Takes out of a file what can be written elsewhere, and puts those into a `braid.toml` that are not there yet, each as
//! the section that `imported` makes of it. It reads and writes no file, and starts nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use super::client_file::Input;
pub use super::imported::{HIDDEN, Imported, Literals, Origin, Target};

use super::codes::Code;
use super::edit::{self, EditError};
use super::places::Scope;
use super::problem::{Problem, Report, Source};
use super::tree::{self, Node, Value};
use super::variables::{Purpose, Surroundings};
use super::{Reach, client_file, cover, file, ourselves};

/// What came out of one file.
#[derive(Debug, Default)]
pub struct Batch {
    pub servers: Vec<Imported>,
    /// Why others are left out, and what is lost of those that are not.
    pub problems: Vec<Problem>,
    /// What a person may answer now, so that no variable needs to be set for it.
    pub inputs: Vec<Input>,
}

/// Whether a file that nobody knows the place of is a project's: it is where clients look in one, and not at home.
pub fn scope_of(path: &Path, home: Option<&Path>) -> Scope {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let project = client_file::workspace(folder);
    let named = path.file_name().is_some_and(|name| name == ".mcp.json");
    if (named || project != folder) && home != Some(project.as_path()) { Scope::Project } else { Scope::User }
}

/// Reads a client's file.
pub fn read(
    origin: &Origin,
    text: &str,
    surroundings: &Surroundings<'_>,
    target: &Target<'_>,
) -> Result<Batch, Report> {
    let shown = origin.path.display().to_string();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = file::parsed(text, &shown)?;
    let source = Arc::new(Source { origin: shown, text: cover::by_tree(text, &root) });
    let file_folder = origin.path.parent().unwrap_or_else(|| Path::new("."));
    let folder = match origin.within.get(1) {
        Some(project) => PathBuf::from(project),
        None => client_file::workspace(file_folder),
    };
    let (taken, problems) = client_file::take(&root, text, &source, &folder, &origin.within, surroundings)?;
    let mut batch = Batch { problems, ..Batch::default() };
    for one in taken {
        match &one.server.reach {
            Reach::Http(remote) if ourselves::leads_to_braid(&remote.url, target.ports) => {
                let message =
                    format!("server `{}` is skipped: it is a door of Braid itself: a loop", one.server.key);
                batch.problems.push(Problem::warning(&source, Code::LoopSkipped, message));
            }
            Reach::Http(_) | Reach::Stdio(_) => {
                let server = Imported::of(origin, &folder, one, target);
                match server.load(surroundings, target.folder, Purpose::Show) {
                    Ok(_) => batch.servers.push(server),
                    // Clients take what `braid.toml` does not, and one of theirs keeps nobody from the others.
                    Err(report) => {
                        let message = format!("server `{}` is skipped: {}", server.name, report.headline());
                        batch.problems.push(Problem::warning(&source, Code::EntrySkipped, message));
                    }
                }
            }
        }
    }
    let asked = client_file::asked(&root).into_iter();
    batch.inputs = asked.filter(|input| batch.servers.iter().any(|server| server.asks(input))).collect();
    Ok(batch)
}

/// What becomes of a file that servers are put into.
#[derive(Debug)]
pub struct Merged {
    pub text: String,
    /// In the order in which they stand there now, and what the client called each.
    pub added: Vec<(Imported, String)>,
    /// Those that are there already, and the names that they have there.
    pub there: Vec<(Imported, String)>,
}

/// How a new file begins.
pub const HEAD: &str = "# The servers of Braid. `braid config example` prints every option.\nversion = 1\n";

/// A text with those of the servers that are not there yet; `None` for no file.
///
/// Nothing that is there is changed. A server that is reached in the same way is there; another one of the same name
/// is left as it is, and the new one gets its client's name behind its own.
pub fn merge(old: Option<&str>, servers: Vec<Imported>) -> Result<Merged, EditError> {
    let mut merged = Merged { text: old.unwrap_or(HEAD).to_owned(), added: Vec::new(), there: Vec::new() };
    let mut there = reached(&merged.text);
    for mut server in servers {
        let section = server.section(Literals::Written);
        let Some((_, node)) = reached(&section).pop() else { continue };
        if let Some((name, _)) = there.iter().find(|(_, other)| is_reached_alike(&node, other)) {
            merged.there.push((server, name.clone()));
            continue;
        }
        let called = server.name.clone();
        let taken = |name: &str| there.iter().any(|(other, _)| other == name);
        if taken(&called) {
            let behind = server.app.map(|app| format!("{called}_{}", app.name()));
            let numbered = (2..=NUMBER_MAX).map(|number| format!("{called}_{number}"));
            let free = behind.into_iter().chain(numbered).find(|name| !taken(name));
            server.name = free.ok_or_else(|| EditError::Form(called.clone()))?;
        }
        merged.text = edit::toml::with_section(
            &merged.text,
            "servers",
            &server.name,
            &server.section(Literals::Written),
        )?;
        there.push((server.name.clone(), node));
        merged.added.push((server, called));
    }
    Ok(merged)
}

/// Servers of one name that are told apart by a number.
const NUMBER_MAX: usize = 1_000;

/// The servers of a text by their names.
fn reached(text: &str) -> Vec<(String, Node)> {
    let (root, _) = tree::from_toml(text.strip_prefix('\u{feff}').unwrap_or(text));
    let servers = root.get("servers").map(|entry| entry.node.entries()).unwrap_or_default();
    servers.iter().map(|entry| (entry.key.clone(), entry.node.clone())).collect()
}

/// What makes a server another one; everything else is how it is treated.
const REACH: [&str; 9] =
    ["command", "args", "env", "env_file", "cwd", "inherit_env", "url", "headers", "headers_command"];

fn is_reached_alike(one: &Node, other: &Node) -> bool {
    let said = |node: &Node, key: &str| -> Option<Node> {
        let node = node.get(key)?.node.clone();
        let empty = match &node.value {
            Value::List(items) => items.is_empty(),
            Value::Table(entries) => entries.is_empty(),
            Value::Text(text) => text.is_empty(),
            Value::Integer(_) | Value::Number(_) | Value::Flag(_) | Value::Date | Value::Null => false,
        };
        (!empty).then_some(node)
    };
    REACH.iter().all(|key| match (said(one, key), said(other, key)) {
        (Some(one), Some(other)) => edit::says_the_same(&one, &other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    })
}

#[cfg(test)]
mod tests;
