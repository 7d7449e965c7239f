//! One entry of a client's file to a `ServerConfig`, or a warning why not.
//!
//! Knows the keys that clients write: which are used, which say nothing to us, and which would be missed. Each
//! of the last kind is warned of by name.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use super::client_tools;
use super::codes::Code;
use super::problem::{Problem, Source, quoted};
use super::remote::{
    HeaderFlaw, judge_header_name, judge_header_value, judge_url, lets_in, travels_readable,
};
use super::section::{HEADERS_MAX, NAME_CHARS_MAX, reference_span};
use super::tree::{Entry, Node, Value};
use super::variables::{Purpose, Variables, is_env_name, is_plain_name};
use super::{Command, Reach, Remote, Secret, ServerConfig, Transport, env_file, ourselves};

/// Keys of any entry that we read.
pub(super) const USED: &[&str] = &[
    "type",
    "disabled",
    "enabled",
    "timeout",
    "required",
    "startup_timeout_sec",
    "startup_timeout_ms",
    "tool_timeout_sec",
];

/// Keys of an entry that starts a program.
pub(super) const OF_PROGRAMS: &[&str] = &["command", "args", "env", "envFile", "cwd", "env_vars"];

/// Keys that hold the address of a remote server, and what else remote entries have.
pub(super) const ADDRESSES: &[&str] = &["httpUrl", "serverUrl", "url"];
pub(super) const OF_REMOTES: &[&str] =
    &["headers", "http_headers", "env_http_headers", "bearer_token_env_var", "headersHelper"];
/// How a client logs in for its user, which we cannot.
const LOGINS: &[&str] = &["oauth", "auth"];

/// Keys that are between the client and its user, or that say nothing about how the server runs.
pub(super) const HARMLESS: &[&str] = &[
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
];

/// Keys whose meaning would be missed, and what happens instead.
const MISSED: &[(&str, &str)] = &[
    ("sandbox", "the server is not run in a sandbox"),
    ("sandboxEnabled", "the server is not run in a sandbox"),
    ("settings", "they are meant for an extension of the client"),
];

/// Reads the entries of one file and collects what is odd about them.
pub(super) struct EntryReader<'a> {
    pub(super) raw: &'a str,
    pub(super) source: &'a Arc<Source>,
    pub(super) variables: &'a Variables<'a>,
    pub(super) client: Client,
    pub(super) warnings: Vec<Problem>,
    /// What the entry that was read last says beyond its `ServerConfig`.
    pub(super) beside: Beside,
}

/// What an entry says that a `ServerConfig` has no place for, because it is done with when that is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Beside {
    pub(super) env_file: Option<String>,
    /// The folder, where one is written.
    pub(super) cwd: Option<String>,
}

/// Whether the client leaves the entry alone.
pub(super) fn is_disabled(node: &Node) -> bool {
    let flag = |key: &str| node.get(key).map(|entry| &entry.node.value);
    flag("disabled") == Some(&Value::Flag(true)) || flag("enabled") == Some(&Value::Flag(false))
}

/// Why an entry is left out: the warning has been made.
struct Skipped;

impl EntryReader<'_> {
    pub(super) fn warn(
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

    /// The server of an entry; `None` when it is disabled or skipped, which has been said. What is to be written
    /// elsewhere is not left out for being disabled.
    pub(super) fn server(&mut self, entry: &Entry) -> Option<ServerConfig> {
        self.beside = Beside::default();
        if is_disabled(&entry.node) && self.variables.purpose != Purpose::Import {
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
        let reach = match address(node) {
            Some(address) => Reach::Http(self.remote(entry, address)?),
            None => Reach::Stdio(self.foreign_command(entry)?),
        };
        let mut server = ServerConfig::new(&entry.key, reach);
        server.required = node.get("required").is_some_and(|found| found.node.value == Value::Flag(true));
        self.apply_timeouts(entry, &mut server);
        server.filters.tools = client_tools::filter(node);
        self.warn_of_keys(entry, &server.reach);
        Ok(server)
    }

    fn skip_remote<T>(
        &mut self,
        entry: &Entry,
        span: &Range<usize>,
        label: impl Into<String>,
    ) -> Result<T, Skipped> {
        self.warn(Code::RemoteSkipped, format!("server {} is skipped", quoted(&entry.key)), span, label);
        Err(Skipped)
    }

    fn remote(&mut self, entry: &Entry, address: &Entry) -> Result<Remote, Skipped> {
        let Some(transport) = self.transport(&entry.node, address) else {
            let span = entry.node.get("type").map_or(&address.key_span, |kind| &kind.node.span);
            return self.skip_remote(entry, span, "only Streamable HTTP and SSE can be spoken");
        };
        if !ADDRESSES.contains(&address.key.as_str()) {
            return self.skip(entry, &address.key_span, "it has no `url`");
        }
        let url = self.text(entry, &address.node)?;
        if !self.is_for_show(&url) {
            match judge_url(&url) {
                Ok(()) => {}
                Err(expected) if url.contains("://") && !url.to_ascii_lowercase().starts_with("http") => {
                    return self.skip_remote(entry, &address.node.span, expected);
                }
                Err(expected) => return self.skip(entry, &address.node.span, expected),
            }
        }
        let remote = Remote {
            is_referred: !matches!(&address.node.value, Value::Text(written) if *written == url),
            transport,
            headers: self.headers(entry)?,
            headers_command: self.headers_helper(entry)?,
            ..Remote::new(&url)
        };
        let has_header = remote.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let remote = Remote { oauth: remote.oauth.filter(|_| !has_header), ..remote };
        if travels_readable(&remote.url) && remote.headers.iter().any(|(name, _)| lets_in(name)) {
            let message =
                format!("the token for {} is sent over plain HTTP to another machine", quoted(&entry.key));
            self.warn(Code::PlainToken, message, &address.node.span, "whoever is on the way can read it");
        }
        Ok(remote)
    }

    /// What `type` says wins; without it, what the client would try. `None`: something else.
    fn transport(&self, node: &Node, address: &Entry) -> Option<Transport> {
        let Some(kind) = present(node, "type") else {
            return Some(match (address.key.as_str(), self.client) {
                ("httpUrl", _) => Transport::Http,
                // Gemini tells its two kinds apart by the key alone.
                ("url", Client::Gemini) => Transport::Sse,
                (_, Client::Claude | Client::Gemini | Client::Cline | Client::Other) => Transport::Auto,
            });
        };
        let Value::Text(kind) = &kind.node.value else { return None };
        match (kind.as_str(), self.client) {
            // VS Code falls back to SSE where `http` finds no Streamable HTTP.
            ("http", Client::Other) => Some(Transport::Auto),
            ("http" | "streamable-http" | "streamableHttp" | "streamable_http", _) => Some(Transport::Http),
            ("sse", _) => Some(Transport::Sse),
            // Some write what they mean by the other keys alone.
            ("remote" | "", _) => Some(Transport::Auto),
            _ => None,
        }
    }

    fn headers(&mut self, entry: &Entry) -> Result<Vec<(String, Secret)>, Skipped> {
        let mut headers: Vec<(String, Secret)> = Vec::new();
        if let Some(found) = present(&entry.node, "bearer_token_env_var") {
            let variable = self.text(entry, &found.node)?;
            let token = self.variable(entry, found, &variable)?;
            self.header(entry, found, "Authorization", format!("Bearer {token}"), &mut headers)?;
        }
        for key in ["headers", "http_headers", "env_http_headers"] {
            let Some(found) = present(&entry.node, key) else { continue };
            if !found.node.is_table() {
                let label = format!("expected an object of texts, found {}", found.node.kind());
                return self.skip(entry, &found.node.span, label);
            }
            for header in found.node.entries().iter().filter(|header| header.node.value != Value::Null) {
                let text = self.text(entry, &header.node)?;
                let value = match key {
                    "env_http_headers" => self.variable(entry, header, &text)?,
                    _ => text,
                };
                self.header(entry, header, &header.key, value, &mut headers)?;
            }
        }
        Ok(headers)
    }

    /// One header; the last of a name counts, and one of the transport's own is left out.
    fn header(
        &mut self,
        entry: &Entry,
        written: &Entry,
        name: &str,
        value: String,
        headers: &mut Vec<(String, Secret)>,
    ) -> Result<(), Skipped> {
        match judge_header_name(name) {
            Ok(()) => {}
            Err(HeaderFlaw::Name) => {
                return self.skip(entry, &written.key_span, "expected the name of a header");
            }
            Err(HeaderFlaw::Ours) => {
                let message = format!("header {} of server {} is ignored", quoted(name), quoted(&entry.key));
                self.warn(Code::KeyIgnored, message, &written.key_span, "Braid sets it itself");
                return Ok(());
            }
        }
        if let Err(expected) = judge_header_value(&value) {
            return self.skip(entry, &written.node.span, expected);
        }
        if headers.len() == HEADERS_MAX {
            return self.skip(entry, &written.key_span, format!("expected at most {HEADERS_MAX} headers"));
        }
        headers.retain(|(earlier, _)| !earlier.eq_ignore_ascii_case(name));
        headers.push((name.to_owned(), Secret::new(value)));
        Ok(())
    }

    /// What a variable holds that the file names, as Codex does; only a reference to it for showing.
    fn variable(&mut self, entry: &Entry, written: &Entry, name: &str) -> Result<String, Skipped> {
        if self.variables.purpose.keeps_references() {
            let plain = is_plain_name(name);
            return Ok(if plain { format!("${{{name}}}") } else { format!("${{env:{name}}}") });
        }
        match (self.variables.surroundings.env)(name) {
            Some(value) => Ok(value),
            None => {
                let message = format!("server {} is skipped", quoted(&entry.key));
                let label = format!("environment variable {} is not set", quoted(name));
                self.warn(Code::UnsetVariable, message, &written.node.span, label);
                Err(Skipped)
            }
        }
    }

    /// Claude Code runs its helper in a shell, so the shell is our program.
    fn headers_helper(&mut self, entry: &Entry) -> Result<Option<Command>, Skipped> {
        let Some(found) = present(&entry.node, "headersHelper") else { return Ok(None) };
        let line = self.text(entry, &found.node)?;
        let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        let args = vec![option.to_owned(), line];
        Ok(Some(Command { args, ..Command::new(shell, self.variables.folder) }))
    }

    fn is_for_show(&self, text: &str) -> bool {
        match self.variables.purpose {
            Purpose::Run => false,
            Purpose::Show => text.contains('$'),
            Purpose::Import => text.contains("${"),
        }
    }

    /// The command of an entry, unless it is ourselves.
    fn foreign_command(&mut self, entry: &Entry) -> Result<Command, Skipped> {
        let command = self.command(entry)?;
        if self.is_ourselves(&command) {
            let message = format!("server {} is skipped", quoted(&entry.key));
            self.warn(Code::LoopSkipped, message, &entry.key_span, "it starts Braid itself: a loop");
            return Err(Skipped);
        }
        Ok(command)
    }

    fn command(&mut self, entry: &Entry) -> Result<Command, Skipped> {
        // Zed's older files have the program as `path` of an object `command`, with `args` and `env` beside it.
        let (holder, written) = match entry.node.get("command") {
            Some(command) if command.node.is_table() => (&command.node, command.node.get("path")),
            command => (&entry.node, command),
        };
        let Some(written) = written else {
            return self.skip(entry, &entry.key_span, "it has neither `command` nor `url`");
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
            Some(found) => {
                let cwd = self.text(entry, &found.node)?;
                self.beside.cwd = self.variables.folder_of(&cwd).to_str().map(str::to_owned);
                cwd
            }
            None => String::new(),
        };
        let env = self.environment(entry, holder)?;
        Ok(Command {
            program: self.variables.program(&program),
            args,
            env: env.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
            folder: self.variables.folder_of(&cwd),
            inherit_env: self.inherited(entry),
        })
    }

    fn environment(&mut self, entry: &Entry, holder: &Node) -> Result<Vec<(String, String)>, Skipped> {
        let mut pairs = Vec::new();
        if let Some(found) = present(&entry.node, "envFile") {
            let path = self.text(entry, &found.node)?;
            match self.variables.purpose {
                Purpose::Run => match self.variables.env_file(&self.variables.path(&path)) {
                    Ok(read) => pairs = read,
                    Err(why) => return self.skip(entry, &found.node.span, format!("the file {why}")),
                },
                Purpose::Show => {}
                Purpose::Import => {
                    let path = self.variables.file_of(&path);
                    self.beside.env_file = path.and_then(|path| path.to_str().map(str::to_owned));
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
        Ok(env_file::last_of_each(pairs))
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
        let own = self.variables.surroundings.program.as_deref();
        ourselves::starts_braid(&command.program, &command.args, own)
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

    fn warn_of_keys(&mut self, entry: &Entry, reach: &Reach) {
        for key in entry.node.entries() {
            let name = key.key.as_str();
            let missed = MISSED.iter().find(|(missed, _)| *missed == name).map(|(_, instead)| *instead);
            let remote = matches!(reach, Reach::Http(_));
            let of_remotes = ADDRESSES.contains(&name) || OF_REMOTES.contains(&name);
            let of_either = of_remotes || OF_PROGRAMS.contains(&name) || LOGINS.contains(&name);
            let instead = match missed {
                _ if USED.contains(&name) || HARMLESS.contains(&name) => continue,
                _ if is_empty(&key.node) || client_tools::is_used(key) => continue,
                _ if remote && LOGINS.contains(&name) => {
                    "Braid cannot log in; a token may stand in `headers`"
                }
                _ if remote && OF_PROGRAMS.contains(&name) => "the server is remote and not started",
                _ if !remote && ADDRESSES.contains(&name) => "the entry has a `command`, which is used",
                _ if !remote && OF_REMOTES.contains(&name) => {
                    "the entry has a `command`, which is not sent headers"
                }
                _ if of_either => continue,
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
fn address(node: &Node) -> Option<&Entry> {
    let address = ADDRESSES.iter().find_map(|key| present(node, key));
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
