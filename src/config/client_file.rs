//! A client's own file as a source: Claude, Cursor, VS Code, Zed, Windsurf, Cline, Codex, Gemini and their kin.
//!
//! The file is told by its shape, not by its name. Nobody wrote it for us, so it is read leniently: what cannot
//! be used is left out with one warning, and the rest works. Only a file without any usable entry is an error.
//! Nothing is ever written to it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::codes::Code;
use super::file::{Loaded, folder as folder_of, last_of_each, program_path};
use super::problem::{self, Problem, Report, Source, quoted};
use super::section::{NAME_CHARS_MAX, NAMED_MAX, reference_span};
use super::tree::{Entry, Node, Value};
use super::variables::{Dialect, Purpose, Surroundings, Variables, is_env_name};
use super::{Command, Config, Reach, Secret, ServerConfig, env_file};

/// Where the servers of a client's file stand, nearest to the top first. `mcp` is VS Code's older place.
const SHAPES: &[&[&str]] =
    &[&["mcpServers"], &["servers"], &["context_servers"], &["mcp_servers"], &["mcp", "servers"]];

/// Folders that clients keep inside of a project; the project is the folder around them.
const CLIENT_FOLDERS: &[&str] = &[
    ".vscode",
    ".cursor",
    ".roo",
    ".kilocode",
    ".codex",
    ".gemini",
    ".zed",
    ".claude",
    ".windsurf",
    ".cline",
];

/// Keys of an entry that we read.
const USED: &[&str] = &[
    "type",
    "command",
    "args",
    "env",
    "envFile",
    "cwd",
    "disabled",
    "enabled",
    "timeout",
    "required",
    "env_vars",
    "startup_timeout_sec",
    "startup_timeout_ms",
    "tool_timeout_sec",
];

/// Keys that hold the address of a remote server.
const REMOTE: &[&str] = &["httpUrl", "serverUrl", "url"];

/// Keys that are between the client and its user, or that say nothing about how the server runs.
const HARMLESS: &[&str] = &[
    "alwaysAllow",
    "alwaysLoad",
    "autoApprove",
    "description",
    "dev",
    "gallery",
    "icon",
    "metadata",
    "name",
    "protocolEra",
    "roots",
    "source",
    "trust",
    "version",
    "watchPaths",
    "headers",
    "oauth",
    "auth",
];

/// Keys whose meaning would be missed, and what happens instead.
const MISSED: &[(&str, &str)] = &[
    ("disabledTools", "every tool of the server is exposed"),
    ("disabled_tools", "every tool of the server is exposed"),
    ("enabled_tools", "every tool of the server is exposed"),
    ("excludeTools", "every tool of the server is exposed"),
    ("includeTools", "every tool of the server is exposed"),
    ("sandbox", "the server is not run in a sandbox"),
    ("sandboxEnabled", "the server is not run in a sandbox"),
    ("settings", "they are meant for an extension of the client"),
];

/// Names that our own program goes by.
const OWN_NAMES: &[&str] = &["braid", "mcp-braid"];

/// Makes a configuration of a client's file.
pub(super) fn read(
    root: &Node,
    raw: &str,
    source: &Arc<Source>,
    file_folder: &Path,
    surroundings: &Surroundings<'_>,
    purpose: Purpose,
) -> Result<Loaded, Report> {
    let servers = match servers_of(root, source) {
        Ok(servers) => servers,
        Err(problem) => return Err(Report::new(source, vec![*problem])),
    };
    let folder = workspace(file_folder);
    let client = Client::of(&source.origin, root);
    let dialect = if client == Client::Gemini { Dialect::Dollar } else { Dialect::Client };
    let variables = Variables { surroundings, folder: &folder, dialect, purpose, inputs: inputs(root) };
    let mut file = ClientFile { raw, source, variables: &variables, client, warnings: Vec::new() };
    let mut config = Config::new(&source.origin, &folder);
    let entries = servers.node.entries();
    let last: BTreeMap<&str, usize> =
        entries.iter().enumerate().map(|(index, entry)| (entry.key.as_str(), index)).collect();
    for (index, entry) in entries.iter().enumerate() {
        if last.get(entry.key.as_str()) != Some(&index) {
            let message = format!("{} stands there twice", quoted(&entry.key));
            file.warn(Code::RepeatedKey, message, &entry.key_span, "the last one counts");
        } else if config.servers.len() == NAMED_MAX {
            file.warn(
                Code::EntrySkipped,
                "too many servers",
                &entry.key_span,
                format!("at most {NAMED_MAX}"),
            );
            break;
        } else {
            config.servers.extend(file.server(entry));
        }
    }
    let mut problems = file.warnings;
    if config.servers.is_empty() {
        let message =
            if entries.is_empty() { "no server in this file" } else { "no entry of this file can be used" };
        let problem = Problem::error(source, Code::NoServers, message)
            .at(&servers.key_span, "")
            .help("entries with a `command` that are not disabled can be used");
        problems.push(problem);
        return Err(Report::new(source, problems));
    }
    problem::sort(&mut problems);
    Ok(Loaded { config, warnings: problems })
}

fn servers_of<'t>(root: &'t Node, source: &Arc<Source>) -> Result<&'t Entry, Box<Problem>> {
    for shape in SHAPES {
        let mut node = root;
        let mut found = None;
        for key in *shape {
            found = node.get(key);
            let Some(entry) = found else { break };
            node = &entry.node;
        }
        let Some(entry) = found else { continue };
        if entry.node.is_table() {
            return Ok(entry);
        }
        let label = format!("expected an object with one member per server, found {}", entry.node.kind());
        let problem =
            Problem::error(source, Code::WrongType, format!("{} has the wrong type", quoted(&entry.key)));
        return Err(Box::new(problem.at(&entry.node.span, label)));
    }
    let problem = Problem::error(source, Code::UnknownShape, "no servers in this file")
        .help("expected `mcpServers`, `servers`, `context_servers` or `mcp_servers`, as clients write them")
        .help("Braid's own format is TOML, in a file whose name ends in `.toml`");
    Err(Box::new(problem))
}

/// The folder that a client would call its workspace.
fn workspace(file_folder: &Path) -> PathBuf {
    let name = file_folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let around = file_folder.parent().filter(|_| CLIENT_FOLDERS.contains(&name));
    around.unwrap_or(file_folder).to_owned()
}

/// What VS Code's `inputs` give without asking.
fn inputs(root: &Node) -> BTreeMap<String, String> {
    let text = |node: &Node, key: &str| {
        let Value::Text(text) = &node.get(key)?.node.value else { return None };
        Some(text.clone())
    };
    let Some(Value::List(inputs)) = root.get("inputs").map(|entry| &entry.node.value) else {
        return BTreeMap::new();
    };
    inputs.iter().filter_map(|input| text(input, "id").zip(text(input, "default"))).collect()
}

/// Whose file it is, as far as that changes what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// `timeout` is in milliseconds.
    Claude,
    /// `timeout` is in milliseconds; `$NAME` is a reference.
    Gemini,
    /// `timeout` is in seconds.
    Cline,
    Other,
}

impl Client {
    fn of(origin: &str, root: &Node) -> Self {
        let path = Path::new(origin);
        let name = |path: Option<&Path>| {
            path.and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default().to_owned()
        };
        match (name(path.parent()).as_str(), name(Some(path)).as_str()) {
            (_, "cline_mcp_settings.json" | "mcp_settings.json") | (".roo" | ".kilocode", _) => Self::Cline,
            (_, ".mcp.json" | ".claude.json" | "managed-mcp.json") => Self::Claude,
            (".gemini", _) => Self::Gemini,
            // Zed's file has this name as well, but another shape.
            (_, "settings.json") if root.get("mcpServers").is_some() => Self::Gemini,
            _ => Self::Other,
        }
    }
}

struct ClientFile<'a> {
    raw: &'a str,
    source: &'a Arc<Source>,
    variables: &'a Variables<'a>,
    client: Client,
    warnings: Vec<Problem>,
}

/// Why an entry is left out: the warning has been made.
struct Skipped;

impl ClientFile<'_> {
    fn warn(
        &mut self,
        code: Code,
        message: impl Into<String>,
        span: &Range<usize>,
        label: impl Into<String>,
    ) {
        self.warnings.push(Problem::warning(self.source, code, message).at(span, label));
    }

    fn skip<T>(
        &mut self,
        entry: &Entry,
        span: &Range<usize>,
        label: impl Into<String>,
    ) -> Result<T, Skipped> {
        self.warn(Code::EntrySkipped, format!("server {} is skipped", quoted(&entry.key)), span, label);
        Err(Skipped)
    }

    fn server(&mut self, entry: &Entry) -> Option<ServerConfig> {
        let node = &entry.node;
        let flag = |key: &str| node.get(key).map(|entry| &entry.node.value);
        if flag("disabled") == Some(&Value::Flag(true)) || flag("enabled") == Some(&Value::Flag(false)) {
            return None;
        }
        self.used_server(entry).ok()
    }

    fn used_server(&mut self, entry: &Entry) -> Result<ServerConfig, Skipped> {
        let node = &entry.node;
        if !node.is_table() {
            return self.skip(entry, &node.span, format!("expected an object, found {}", node.kind()));
        }
        let odd = entry.key.trim().is_empty() || entry.key.chars().any(char::is_control);
        if odd || entry.key.chars().count() > NAME_CHARS_MAX {
            return self.skip(entry, &entry.key_span, "this name cannot be used");
        }
        if let Some(address) = remote(node) {
            let message = format!("server {} is skipped", quoted(&entry.key));
            self.warn(Code::RemoteSkipped, message, &address.key_span, "remote server, not supported yet");
            return Err(Skipped);
        }
        let command = self.command(entry)?;
        if self.is_ourselves(&command) {
            let message = format!("server {} is skipped", quoted(&entry.key));
            self.warn(Code::LoopSkipped, message, &entry.key_span, "it starts Braid itself: a loop");
            return Err(Skipped);
        }
        let mut server = ServerConfig::new(&entry.key, Reach::Stdio(command));
        server.required = node.get("required").is_some_and(|found| found.node.value == Value::Flag(true));
        self.apply_timeouts(entry, &mut server);
        self.warn_of_keys(entry);
        Ok(server)
    }

    fn command(&mut self, entry: &Entry) -> Result<Command, Skipped> {
        // Zed's older files have the program as `path` of an object `command`, with `args` and `env` beside it.
        let (holder, written) = match entry.node.get("command") {
            Some(command) if command.node.is_table() => (&command.node, command.node.get("path")),
            command => (&entry.node, command),
        };
        let Some(written) = written else {
            return self.skip(entry, &entry.key_span, "it has no `command`");
        };
        let program = self.text(entry, &written.node)?;
        if program.trim().is_empty() {
            return self.skip(entry, &written.node.span, "expected the name or the path of a program");
        }
        let mut args = Vec::new();
        if let Some(found) = present(holder, "args") {
            let Value::List(items) = &found.node.value else {
                let label = format!("expected a list of texts, found {}", found.node.kind());
                return self.skip(entry, &found.node.span, label);
            };
            for item in items {
                args.push(self.text(entry, item)?);
            }
        }
        let cwd = match present(&entry.node, "cwd") {
            Some(found) => self.text(entry, &found.node)?,
            None => String::new(),
        };
        let env = self.environment(entry, holder)?;
        Ok(Command {
            program: program_path(&program, self.variables),
            args,
            env: env.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
            folder: folder_of(&cwd, self.variables),
            inherit_env: self.inherited(entry),
        })
    }

    fn environment(&mut self, entry: &Entry, holder: &Node) -> Result<Vec<(String, String)>, Skipped> {
        let mut pairs = Vec::new();
        if let Some(found) = present(&entry.node, "envFile") {
            let path = self.text(entry, &found.node)?;
            if self.variables.purpose == Purpose::Run {
                match env_file::read(&self.variables.path(&path)) {
                    Ok(read) => pairs = read,
                    Err(why) => return self.skip(entry, &found.node.span, format!("the file {why}")),
                }
            }
        }
        let Some(found) = present(holder, "env") else { return Ok(pairs) };
        if !found.node.is_table() {
            let label = format!("expected an object of texts, found {}", found.node.kind());
            return self.skip(entry, &found.node.span, label);
        }
        for variable in found.node.entries() {
            if !is_env_name(&variable.key) {
                return self.skip(entry, &variable.key_span, "expected the name of a variable");
            }
            // VS Code unsets a variable with null; children get none of ours that is not declared.
            if variable.node.value != Value::Null {
                let value = self.text(entry, &variable.node)?;
                pairs.push((variable.key.clone(), value));
            }
        }
        Ok(last_of_each(pairs))
    }

    /// Codex names variables of its own environment that the server gets as well.
    fn inherited(&self, entry: &Entry) -> Vec<String> {
        let Some(Value::List(items)) = entry.node.get("env_vars").map(|found| &found.node.value) else {
            return Vec::new();
        };
        let names =
            items.iter().filter_map(|item| match &item.get("name").map_or(item, |name| &name.node).value {
                Value::Text(name) if is_env_name(name) => Some(name.clone()),
                Value::Text(_)
                | Value::Integer(_)
                | Value::Number(_)
                | Value::Flag(_)
                | Value::Date
                | Value::Null
                | Value::List(_)
                | Value::Table(_) => None,
            });
        names.collect()
    }

    /// Text without references. Numbers and flags count as text, because clients take them as such.
    fn text(&mut self, entry: &Entry, node: &Node) -> Result<String, Skipped> {
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Number(number) => number.clone(),
            Value::Flag(flag) => flag.to_string(),
            Value::Date | Value::Null | Value::List(_) | Value::Table(_) => {
                return self.skip(entry, &node.span, format!("expected text, found {}", node.kind()));
            }
        };
        match self.variables.expand(&text) {
            Ok(expanded) if expanded.text.contains('\0') => {
                self.skip(entry, &node.span, "expected text without NUL")
            }
            Ok(expanded) => Ok(expanded.text),
            Err(faults) => {
                for fault in faults {
                    let span = reference_span(self.raw, &node.span, &fault.reference);
                    let message = format!("server {} is skipped", quoted(&entry.key));
                    let problem = Problem::warning(self.source, fault.code, message).at(&span, fault.message);
                    let problem = match fault.help {
                        Some(help) => problem.help(help),
                        None => problem,
                    };
                    self.warnings.push(problem);
                }
                Err(Skipped)
            }
        }
    }

    /// Whether the command serves the client's file again through another Braid.
    fn is_ourselves(&self, command: &Command) -> bool {
        let path = Path::new(&command.program);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.strip_suffix(".exe").unwrap_or(name);
        let own = OWN_NAMES.contains(&name) || self.variables.surroundings.program.as_deref() == Some(path);
        // With a server of its own on the command line it is a bridge to that and no loop.
        let bridge =
            command.args.iter().any(|arg| arg == "--" || arg == "--url" || arg.starts_with("--url="));
        own && !bridge && (command.args.is_empty() || command.args.iter().any(|arg| arg == "stdio"))
    }

    /// Takes over how long the client would wait, where the unit of the number is certain.
    fn apply_timeouts(&mut self, entry: &Entry, server: &mut ServerConfig) {
        let ms = |node: &Node, unit_ms: f64| match &node.value {
            Value::Integer(number) => u32::try_from(*number).ok().map(|number| f64::from(number) * unit_ms),
            Value::Number(number) => number.parse::<f64>().ok().map(|number| number * unit_ms),
            Value::Text(_)
            | Value::Flag(_)
            | Value::Date
            | Value::Null
            | Value::List(_)
            | Value::Table(_) => None,
        };
        for (key, unit_ms) in [
            ("startup_timeout_ms", Some(1.0)),
            ("startup_timeout_sec", Some(1_000.0)),
            ("tool_timeout_sec", Some(1_000.0)),
            ("timeout", None),
        ] {
            let Some(found) = present(&entry.node, key) else { continue };
            let message = format!("{} of server {} is ignored", quoted(key), quoted(&entry.key));
            let Some(unit_ms) = unit_ms.or_else(|| self.timeout_unit_ms(&entry.node, &found.node)) else {
                self.warn(
                    Code::KeyIgnored,
                    message,
                    &found.node.span,
                    "seconds or milliseconds? that is not certain here",
                );
                continue;
            };
            let time = ms(&found.node, unit_ms).filter(|ms| (TIMEOUT_MS_MIN..=TIMEOUT_MS_MAX).contains(ms));
            let Some(time) = time.map(|ms| Duration::from_secs_f64(ms / 1_000.0)) else {
                self.warn(
                    Code::KeyIgnored,
                    message,
                    &found.node.span,
                    "expected a number that makes 100 ms to 24 h",
                );
                continue;
            };
            if key.starts_with("startup") {
                server.timeouts.start = time;
            } else {
                server.timeouts.call = time;
                server.timeouts.call_max = server.timeouts.call_max.map(|max| max.max(time));
            }
        }
    }

    /// Milliseconds in one unit of `timeout`; `None` when it could be either.
    fn timeout_unit_ms(&self, entry: &Node, timeout: &Node) -> Option<f64> {
        let number = if let Value::Integer(number) = timeout.value { Some(number) } else { None };
        // Nobody who counts in seconds allows more than an hour.
        if number.is_some_and(|number| number > 3_600) {
            return Some(1.0);
        }
        let clines = ["autoApprove", "alwaysAllow", "watchPaths"];
        match self.client {
            Client::Claude | Client::Gemini => Some(1.0),
            Client::Cline => Some(1_000.0),
            Client::Other => clines.iter().any(|key| entry.get(key).is_some()).then_some(1_000.0),
        }
    }

    fn warn_of_keys(&mut self, entry: &Entry) {
        for key in entry.node.entries() {
            let name = key.key.as_str();
            let missed = MISSED.iter().find(|(missed, _)| *missed == name).map(|(_, instead)| *instead);
            let instead = match missed {
                _ if REMOTE.contains(&name) => "the entry has a `command`, which is used",
                _ if USED.contains(&name) || HARMLESS.contains(&name) => continue,
                _ if is_empty(&key.node) => continue,
                Some(instead) => instead,
                None => "not known",
            };
            let message = format!("{} of server {} is ignored", quoted(name), quoted(&entry.key));
            self.warn(Code::KeyIgnored, message, &key.key_span, instead);
        }
    }
}

/// What we accept as a client's number, in milliseconds: as for the timeouts of `braid.toml`.
const TIMEOUT_MS_MIN: f64 = 100.0;
const TIMEOUT_MS_MAX: f64 = 24.0 * 3_600_000.0;

/// The key when it says something: `null` is the same as nothing.
fn present<'t>(node: &'t Node, key: &str) -> Option<&'t Entry> {
    node.get(key).filter(|entry| entry.node.value != Value::Null)
}

fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Flag(false) => true,
        Value::List(items) => items.is_empty(),
        Value::Table(entries) => entries.is_empty(),
        Value::Text(_) | Value::Integer(_) | Value::Number(_) | Value::Flag(true) | Value::Date => false,
    }
}

/// What makes an entry remote: an address without a command, or a `type` that says so.
fn remote(node: &Node) -> Option<&Entry> {
    let address = REMOTE.iter().find_map(|key| present(node, key));
    let kind = present(node, "type").filter(|kind| {
        let Value::Text(kind) = &kind.node.value else { return false };
        matches!(
            kind.as_str(),
            "http" | "sse" | "streamable-http" | "streamableHttp" | "streamable_http" | "ws"
        )
    });
    match (kind, address) {
        (Some(kind), address) => Some(address.unwrap_or(kind)),
        (None, address) => address.filter(|_| present(node, "command").is_none()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Restart;
    use crate::config::file::{from_text, from_text_with};

    fn env(name: &str) -> Option<String> {
        let value = match name {
            "TOKEN" => "s3cret",
            "HOME" => "/home/ana",
            "MCP_INPUT_KEY" => "asked",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn read_as(origin: &str, folder: &str, text: &str) -> Loaded {
        from_text(text, origin, Path::new(folder), &env)
            .unwrap_or_else(|report| panic!("{}", report.render(false)))
    }

    fn command(server: &ServerConfig) -> &Command {
        let Reach::Stdio(command) = &server.reach;
        command
    }

    fn keys(loaded: &Loaded) -> Vec<&str> {
        loaded.config.servers.iter().map(|server| server.key.as_str()).collect()
    }

    fn codes(loaded: &Loaded) -> Vec<Code> {
        loaded.warnings.iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn every_shape_is_read() {
        for (origin, text) in [
            (
                "claude_desktop_config.json",
                r#"{"mcpServers": {"a": {"command": "x", "args": ["y"], "env": {"K": "v"}}}}"#,
            ),
            (
                ".mcp.json",
                r#"{"mcpServers": {"a": {"type": "stdio", "command": "x", "args": ["y"], "env": {"K": "v"}}}}"#,
            ),
            (
                "mcp.json",
                r#"{"servers": {"a": {"type": "stdio", "command": "x", "args": ["y"], "env": {"K": "v"}, "gallery": true}}, "inputs": []}"#,
            ),
            (
                "settings.json",
                "// VS Code, older\n{\"mcp\": {\"servers\": {\"a\": {\"command\": \"x\", \"args\": [\"y\"], \"env\": {\"K\": \"v\"},},},},}",
            ),
            (
                "settings.json",
                r#"{"context_servers": {"a": {"source": "custom", "command": "x", "args": ["y"], "env": {"K": "v"}}}}"#,
            ),
            (
                "settings.json",
                r#"{"context_servers": {"a": {"command": {"path": "x", "args": ["y"], "env": {"K": "v"}}}}}"#,
            ),
            (
                "config.toml",
                "model = \"o9\"\n[mcp_servers.a]\ncommand = \"x\"\nargs = [\"y\"]\nenv = { K = \"v\" }\n",
            ),
            ("config", r#"  {"mcpServers": {"a": {"command": "x", "args": ["y"], "env": {"K": "v"}}}}"#),
        ] {
            let loaded = read_as(origin, "/f", text);
            assert_eq!(loaded.warnings, [], "{text}");
            assert_eq!(keys(&loaded), ["a"], "{text}");
            let run = command(&loaded.config.servers[0]);
            assert_eq!(
                (run.program.as_str(), run.args.as_slice()),
                ("x", ["y".to_owned()].as_slice()),
                "{text}"
            );
            assert_eq!(run.env, [("K".to_owned(), Secret::new("v"))], "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_left_out_with_a_warning_each() {
        let loaded = read_as(
            "mcp.json",
            "/f",
            r#"{"mcpServers": {
                "u": {"url": "https://x/mcp", "headers": {"Authorization": "Bearer s3cret"}},
                "h": {"httpUrl": "https://x/mcp"},
                "w": {"serverUrl": "https://x/mcp"},
                "t": {"type": "sse", "url": "https://x"},
                "d": {"disabled": true, "command": "x"},
                "e": {"enabled": false, "url": "x"},
                "n": {"args": []},
                "v": {"command": "x", "env": {"A": "${NO}"}},
                "s": "x",
                "b": {"command": "/usr/bin/braid", "args": ["stdio", "-c", "x"]},
                "bridge": {"command": "braid", "args": ["stdio", "--", "npx", "x"]},
                "demo": {"command": "braid", "args": ["demo-server", "notes"]},
                "ok": {"command": "x", "surprise": 1, "disabledTools": ["a"], "autoApprove": [], "sandboxEnabled": false}
            }}"#,
        );
        assert_eq!(keys(&loaded), ["bridge", "demo", "ok"]);
        assert_eq!(
            codes(&loaded),
            [
                Code::RemoteSkipped,
                Code::RemoteSkipped,
                Code::RemoteSkipped,
                Code::RemoteSkipped,
                Code::EntrySkipped,
                Code::UnsetVariable,
                Code::EntrySkipped,
                Code::LoopSkipped,
                Code::KeyIgnored,
                Code::KeyIgnored,
            ]
        );
    }

    #[test]
    fn clients_references_are_replaced() {
        let text = r#"{"inputs": [{"id": "region", "type": "promptString", "default": "eu"}], "servers": {"a": {
            "command": "${workspaceFolder}/run", "args": ["${input:key}", "${input:region}", "${userHome}", "$TOKEN"],
            "env": {"A": "${env:TOKEN}", "B": "${NO:-d}", "C": null, "D": 5, "E": true}
        }}}"#;
        let loaded = read_as("mcp.json", "/project/.vscode", text);
        let run = command(&loaded.config.servers[0]);
        assert_eq!(loaded.config.folder, Path::new("/project"));
        assert_eq!(run.program, "/project/run");
        assert_eq!(run.folder, Path::new("/project"));
        assert_eq!(run.args, ["asked", "eu", "/home/ana", "$TOKEN"]);
        let env: Vec<_> = run.env.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(env, [("A", "s3cret"), ("B", "d"), ("D", "5"), ("E", "true")]);
    }

    #[test]
    fn a_bare_dollar_is_a_reference_for_gemini_alone() {
        let text = r#"{"mcpServers": {"a": {"command": "x", "args": ["$TOKEN", "$NO", "${TOKEN}"]}}}"#;
        let loaded = read_as("/home/ana/.gemini/settings.json", "/home/ana/.gemini", text);
        assert_eq!(command(&loaded.config.servers[0]).args, ["s3cret", "$NO", "s3cret"]);
        let loaded = read_as("/home/ana/.cursor/mcp.json", "/home/ana/.cursor", text);
        assert_eq!(command(&loaded.config.servers[0]).args, ["$TOKEN", "$NO", "s3cret"]);
    }

    #[test]
    fn a_timeout_is_taken_over_where_its_unit_is_certain() {
        let call = |origin: &str, entry: &str| {
            let loaded =
                read_as(origin, "/f", &format!(r#"{{"mcpServers": {{"a": {{"command": "x", {entry}}}}}}}"#));
            (loaded.warnings.is_empty(), loaded.config.servers[0].timeouts.call.as_millis())
        };
        assert_eq!(call(".mcp.json", r#""timeout": 5000"#), (true, 5_000));
        assert_eq!(call(".mcp.json", r#""timeout": 2000"#), (true, 2_000));
        assert_eq!(call("mcp.json", r#""timeout": 600000"#), (true, 600_000));
        assert_eq!(call("cline_mcp_settings.json", r#""timeout": 300"#), (true, 300_000));
        assert_eq!(call("mcp.json", r#""timeout": 300, "alwaysAllow": []"#), (true, 300_000));
        assert_eq!(call("mcp.json", r#""timeout": 300"#), (false, 120_000));
        assert_eq!(call(".mcp.json", r#""timeout": 5"#), (false, 120_000));
        assert_eq!(call("mcp.json", r#""timeout": 99999999999"#), (false, 120_000));
        assert_eq!(call("mcp.json", r#""timeout": "5m""#), (false, 120_000));
    }

    #[test]
    fn codex_has_its_own_words() {
        let loaded = read_as(
            "config.toml",
            "/home/ana/.codex",
            "[mcp_servers.a]\ncommand = \"x\"\nstartup_timeout_sec = 20.5\ntool_timeout_sec = 3600\nrequired = true\nenv_vars = [\"A\", { name = \"B\" }]\nenabled_tools = [\"t\"]\n",
        );
        let server = &loaded.config.servers[0];
        assert_eq!(server.timeouts.start, Duration::from_millis(20_500));
        assert_eq!(server.timeouts.call, Duration::from_secs(3_600));
        assert_eq!(server.timeouts.call_max, Some(Duration::from_secs(3_600)));
        assert!(server.required);
        assert_eq!(server.restart, Restart::OnFailure);
        assert_eq!(command(server).inherit_env, ["A", "B"]);
        assert_eq!(codes(&loaded), [Code::KeyIgnored]);
    }

    #[test]
    fn the_last_of_two_entries_with_one_name_counts() {
        let loaded =
            read_as("mcp.json", "/f", r#"{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}"#);
        assert_eq!(command(&loaded.config.servers[0]).program, "y");
        assert_eq!(codes(&loaded), [Code::RepeatedKey]);
    }

    #[test]
    fn a_client_file_can_be_shown_without_its_secrets() {
        let surroundings = Surroundings { env: &env, program: None, current_folder: None };
        let text = r#"{"mcpServers": {"a": {"command": "x", "args": ["${NO}"], "env": {"A": "${TOKEN}"}, "envFile": "none"}}}"#;
        let loaded = from_text_with(text, "mcp.json", Path::new("/f"), &surroundings, Purpose::Show).unwrap();
        let run = command(&loaded.config.servers[0]);
        assert_eq!((run.args[0].as_str(), run.env[0].1.expose()), ("${NO}", "${TOKEN}"));
    }
}
