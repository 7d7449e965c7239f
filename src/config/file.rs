//! From a file to a `Config`: reads it, holds it against the schema, lays the defaults under each server.
//!
//! Every error of the file is found in one go, and each has a place. It reads the file itself, the files that
//! it names for variables, and the environment through a closure; it starts nothing and looks for no program.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::codes::Code;
use super::problem::{self, Problem, Report, Severity, Source, quoted};
use super::schema::State;
use super::section::{Reader, Section, shown_path};
use super::tree::{self, Node, SyntaxError};
use super::variables::{Dialect, Purpose, Surroundings, Variables, reason};
use super::{
    Backoff, Command, Config, Identity, Instructions, Limits, Log, LogFormat, Names, Prefix, PrefixMode,
    Reach, Restart, Secret, ServerConfig, Sharing, Stderr, Timeouts, ToolConfig, Uris, client_file, cover,
    env_file, units,
};

/// A configuration that can be used, and what was odd about it.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// In the order of the file.
    pub warnings: Vec<Problem>,
}

/// Longest configuration file. Clients keep other things in theirs, and some grow for years.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads a file: `braid.toml`, or any client's own.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    load_with(path, &Surroundings::of_process(env), Purpose::Run)
}

/// Reads a file with its references left as they are written, so that it can be shown to anyone.
pub fn load_as_written(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    load_with(path, &Surroundings::of_process(env), Purpose::Show)
}

/// Reads a file in given surroundings.
pub fn load_with(path: &Path, surroundings: &Surroundings<'_>, purpose: Purpose) -> Result<Loaded, Report> {
    let origin = path.display().to_string();
    let text = read_text(path).map_err(|why| {
        let help = "`braid config path` says where Braid looks";
        Report::of_file(&origin, Code::Unreadable, format!("configuration {why}"), help)
    })?;
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = whole.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    from_text_with(&text, &origin, &folder, surroundings, purpose)
}

fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {}", reason(&error));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(format!("is larger than {} MiB", FILE_BYTES_MAX / 1024 / 1024));
    }
    String::from_utf8(bytes).map_err(|_| "is not text in UTF-8".to_owned())
}

/// Reads a text as if it stood in the file that `origin` names, in `folder`.
pub fn from_text(
    text: &str,
    origin: &str,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Report> {
    from_text_with(text, origin, folder, &Surroundings::of_process(env), Purpose::Run)
}

/// The same in given surroundings.
pub fn from_text_with(
    text: &str,
    origin: &str,
    folder: &Path,
    surroundings: &Surroundings<'_>,
    purpose: Purpose,
) -> Result<Loaded, Report> {
    // Some editors on Windows begin a file with a mark that is no part of it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if is_toml(text, origin) {
        let (root, errors) = tree::from_toml(text);
        if !errors.is_empty() {
            return Err(syntax_report(text, origin, errors));
        }
        let source = Arc::new(Source { origin: origin.to_owned(), text: cover::by_tree(text, &root) });
        // Codex keeps its servers in TOML; anything else in TOML is ours.
        let codex = root.get("mcp_servers").filter(|entry| entry.node.is_table());
        if codex.is_some() && root.get("servers").is_none() {
            return client_file::read(&root, text, &source, folder, surroundings, purpose);
        }
        let variables =
            Variables { surroundings, folder, dialect: Dialect::Braid, purpose, inputs: BTreeMap::new() };
        return resolve(&root, text, &source, &variables);
    }
    match tree::from_json(text) {
        Ok(root) => {
            let source = Arc::new(Source { origin: origin.to_owned(), text: cover::by_tree(text, &root) });
            client_file::read(&root, text, &source, folder, surroundings, purpose)
        }
        Err(error) => Err(syntax_report(text, origin, vec![error])),
    }
}

/// By the end of its name; a file with another end is JSON when its first sign is one of JSON.
fn is_toml(text: &str, origin: &str) -> bool {
    match Path::new(origin).extension().and_then(|end| end.to_str()) {
        Some(end) if end.eq_ignore_ascii_case("toml") => true,
        Some(end) if end.eq_ignore_ascii_case("json") || end.eq_ignore_ascii_case("jsonc") => false,
        Some(_) | None => !text.trim_start().starts_with(['{', '/']),
    }
}

/// Syntax errors that are looked at; a file that is no TOML at all has one in each line.
const SYNTAX_ERRORS_MAX: usize = 200;

fn syntax_report(text: &str, origin: &str, errors: Vec<SyntaxError>) -> Report {
    let source = Arc::new(Source { origin: origin.to_owned(), text: cover::by_lines(text) });
    // What follows a mistake on its line is mostly about the mistake; of two at one place the last is inmost.
    let mut by_line: BTreeMap<usize, SyntaxError> = BTreeMap::new();
    for error in errors.into_iter().take(SYNTAX_ERRORS_MAX) {
        let line = text.bytes().take(error.span.start).filter(|byte| *byte == b'\n').count();
        if by_line.get(&line).is_none_or(|kept| error.span.start <= kept.span.start) {
            by_line.insert(line, error);
        }
    }
    let problems = by_line.into_values().map(|error| {
        let what = text.get(error.span.clone()).unwrap_or_default();
        if error.message == "duplicate key" {
            return Problem::error(&source, Code::Syntax, format!("{} stands there twice", quoted(what)))
                .at(&error.span, "for the second time")
                .help("make one of the two");
        }
        let problem = Problem::error(&source, Code::Syntax, "the file cannot be parsed");
        // The parser takes a bare word for a number that begins oddly.
        if error.message.starts_with("invalid float") && what.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return problem.at(&error.span, "text needs quotes");
        }
        let problem = problem.at(&error.span, error.message);
        if error.span.start == 0 && text.starts_with('{') && is_toml(text, origin) {
            return problem.help("this looks like JSON: give the file a name that ends in `.json`");
        }
        problem
    });
    Report::new(&source, problems.collect())
}

fn resolve(
    root: &Node,
    raw: &str,
    source: &Arc<Source>,
    variables: &Variables<'_>,
) -> Result<Loaded, Report> {
    let mut reader = Reader { source, raw, variables, problems: Vec::new(), disabled: false };
    let top = reader.section("", "", &(0..0), root);
    let config = config(&mut reader, &top);
    let mut problems = reader.problems;
    problem::sort(&mut problems);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Report::new(source, problems));
    }
    Ok(Loaded { config, warnings: problems })
}

fn config(reader: &mut Reader<'_>, top: &Section) -> Config {
    let mut config = Config::new(&reader.source.origin, reader.variables.folder);
    if let Some(section) = top.section("identity") {
        config.identity = identity(section);
    }
    if let Some(section) = top.section("names") {
        config.names = names(section);
    }
    if let Some(section) = top.section("log") {
        config.log = log(section);
    }
    if let Some(section) = top.section("limits") {
        config.limits = limits(reader, section);
    }
    let base_timeouts = top.section("timeouts").map_or_else(Timeouts::default, |section| {
        if let Some(time) = section.time("first_list") {
            config.first_list = time;
        }
        timeouts(reader, section, &Timeouts::default())
    });
    let mut base = ServerConfig::new("", Reach::Stdio(Command::new("", reader.variables.folder)));
    base.timeouts = base_timeouts;
    let mut base_inherit_env = Vec::new();
    if let Some(section) = top.section("defaults") {
        apply(reader, section, &mut base);
        base_inherit_env = section.texts("inherit_env").unwrap_or_default().to_vec();
    }
    for (key, section) in top.named("servers") {
        let server = server(reader, key, section, &base, &base_inherit_env);
        config.servers.extend(server.filter(|_| section.flag("enabled") != Some(false)));
    }
    warn_of_names(reader, top, &config);
    if config.servers.is_empty()
        && reader.problems.iter().all(|problem| problem.severity == Severity::Warning)
    {
        let all_disabled = !top.named("servers").is_empty();
        let message = if all_disabled { "every server is disabled" } else { "no server is configured" };
        let problem = reader.error(Code::NoServers, message);
        reader.problems.push(if all_disabled {
            problem.help("remove `enabled = false` from one of them")
        } else {
            problem.help("begin with `braid config example > braid.toml`, or with\n[servers.notes]\ncommand = \"${braid}\"\nargs = [\"demo-server\", \"notes\"]")
        });
    }
    config
}

fn identity(section: &Section) -> Identity {
    let default = Identity::default();
    Identity {
        name: section.text("name").map_or(default.name, str::to_owned),
        title: section.text("title").filter(|title| !title.is_empty()).map(str::to_owned),
        instructions: match section.text("instructions") {
            None | Some("merge") => Instructions::Merge,
            Some("none") => Instructions::None,
            Some(text) => Instructions::Text(text.to_owned()),
        },
        instructions_bytes_max: section
            .number("instructions_budget")
            .unwrap_or(default.instructions_bytes_max),
    }
}

fn names(section: &Section) -> Names {
    let default = Names::default();
    Names {
        prefix: match section.word("prefix") {
            Some("on-collision") => PrefixMode::OnCollision,
            Some("never") => PrefixMode::Never,
            Some(_) => PrefixMode::Always,
            None => default.prefix,
        },
        separator: section.text("separator").map_or(default.separator, str::to_owned),
        length_max: section.number("max_length").unwrap_or(default.length_max),
    }
}

fn log(section: &Section) -> Log {
    let default = Log::default();
    Log {
        level: section.text("level").map_or(default.level, str::to_owned),
        format: match section.word("format") {
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(_) => LogFormat::Auto,
            None => default.format,
        },
    }
}

fn limits(reader: &mut Reader<'_>, section: &Section) -> Limits {
    let default = Limits::default();
    let limits = Limits {
        client_message_bytes_max: section
            .number("client_message")
            .unwrap_or(default.client_message_bytes_max),
        server_message_bytes_max: section
            .number("server_message")
            .unwrap_or(default.server_message_bytes_max),
        depth_max: section.number("depth").unwrap_or(default.depth_max),
        elements_max: section.number("elements").unwrap_or(default.elements_max),
        id_bytes_max: section.number("id").unwrap_or(default.id_bytes_max),
        session_in_flight_max: section.number("session_in_flight").unwrap_or(default.session_in_flight_max),
        session_waiting_max: section.number("session_waiting").unwrap_or(default.session_waiting_max),
        total_in_flight_max: section.number("total_in_flight").unwrap_or(default.total_in_flight_max),
        buffered_bytes_max: section.number("buffered").unwrap_or(default.buffered_bytes_max),
        link_bytes_max: section.number("link_buffer").unwrap_or(default.link_bytes_max),
        starting_max: section.number("starting").unwrap_or(default.starting_max),
        list_pages_max: section.number("list_pages").unwrap_or(default.list_pages_max),
        list_items_max: section.number("list_items").unwrap_or(default.list_items_max),
        list_item_bytes_max: section.number("list_item").unwrap_or(default.list_item_bytes_max),
        list_bytes_max: section.number("list_size").unwrap_or(default.list_bytes_max),
        page_items_max: section.number("page_items").unwrap_or(default.page_items_max),
        links_max: section.number("links").unwrap_or(default.links_max),
        batch_max: section.number("batch").unwrap_or(default.batch_max),
    };
    // A message that no buffer can hold could never be forwarded.
    at_most(
        reader,
        section,
        ("client_message", limits.client_message_bytes_max),
        ("link_buffer", limits.link_bytes_max),
    );
    at_most(reader, section, ("list_item", limits.list_item_bytes_max), ("list_size", limits.list_bytes_max));
    limits
}

/// Reports a size that is larger than the one that has to hold it, where either is written.
fn at_most(reader: &mut Reader<'_>, section: &Section, small: (&str, usize), large: (&str, usize)) {
    if small.1 <= large.1 {
        return;
    }
    let message = format!("`limits.{}` is larger than `limits.{}`", small.0, large.0);
    let mut problem = reader.error(Code::Contradiction, message);
    match (section.checked(small.0), section.checked(large.0)) {
        (Some(small), Some(large)) => {
            problem = problem.at(&small.span, "larger than").beside(&large.span, "this");
        }
        (Some(small), None) => {
            problem =
                problem.at(&small.span, format!("`{}` is {} by default", large.0, units::size_text(large.1)));
        }
        (None, Some(large)) => {
            problem =
                problem.at(&large.span, format!("`{}` is {} by default", small.0, units::size_text(small.1)));
        }
        (None, None) => {}
    }
    reader.problems.push(problem);
}

fn timeouts(reader: &mut Reader<'_>, section: &Section, base: &Timeouts) -> Timeouts {
    let timeouts = Timeouts {
        start: section.time("start").unwrap_or(base.start),
        list: section.time("list").unwrap_or(base.list),
        call: section.time("call").unwrap_or(base.call),
        call_max: section.time("call_max").map_or(base.call_max, off),
        read: section.time("read").unwrap_or(base.read),
    };
    warn_of_patience(reader, section, ("call", Some(timeouts.call)), ("call_max", timeouts.call_max));
    timeouts
}

/// Warns when the silence that is allowed is longer than the call as a whole may take.
fn warn_of_patience(
    reader: &mut Reader<'_>,
    section: &Section,
    silence: (&str, Option<Duration>),
    whole: (&str, Option<Duration>),
) {
    let (Some(silence_max), Some(whole_max)) = (silence.1, whole.1) else { return };
    let Some(written) = section.checked(silence.0).or_else(|| section.checked(whole.0)) else { return };
    if silence_max > whole_max {
        let message = format!("`{}` is longer than `{}` and cannot be reached", silence.0, whole.0);
        let label = format!("`{}` ends a call after {}", whole.0, units::duration_text(whole_max));
        let problem = reader.warning(Code::NoEffect, message).at(&written.span, label);
        reader.problems.push(problem.help(format!("raise `{}` as well", whole.0)));
    }
}

fn off(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}

/// Lays what `[defaults]` or a server's own section says over what holds so far.
fn apply(reader: &mut Reader<'_>, section: &Section, server: &mut ServerConfig) {
    if let Some(required) = section.flag("required") {
        server.required = required;
    }
    match section.word("restart") {
        Some("on-failure") => server.restart = Restart::OnFailure,
        Some("always") => server.restart = Restart::Always,
        Some("never") => server.restart = Restart::Never,
        Some(_) | None => {}
    }
    match section.word("stderr") {
        Some("log") => server.stderr = Stderr::Log,
        Some("inherit") => server.stderr = Stderr::Inherit,
        Some("drop") => server.stderr = Stderr::Drop,
        Some(_) | None => {}
    }
    match section.word("sharing") {
        Some("auto") => server.sharing = Sharing::Auto,
        Some("shared") => server.sharing = Sharing::Shared,
        Some("session") => server.sharing = Sharing::Session,
        Some(_) | None => {}
    }
    server.in_flight_max = section.number("concurrency").unwrap_or(server.in_flight_max);
    server.waiting_max = section.number("queue").unwrap_or(server.waiting_max);
    if let Some(inner) = section.section("restart_backoff") {
        let base = &server.backoff;
        let backoff = Backoff {
            min: inner.time("min").unwrap_or(base.min),
            max: inner.time("max").unwrap_or(base.max),
            reset_after: inner.time("reset_after").unwrap_or(base.reset_after),
        };
        let written = inner.checked("min").or_else(|| inner.checked("max"));
        if let Some(written) = written.filter(|_| backoff.min > backoff.max) {
            let (min, max) = (units::duration_text(backoff.min), units::duration_text(backoff.max));
            let problem = reader
                .error(Code::Contradiction, "`restart_backoff.min` is longer than `restart_backoff.max`")
                .at(&written.span, format!("`min` is {min} and `max` is {max}"));
            reader.problems.push(problem);
        }
        server.backoff = backoff;
    }
}

/// One server with the defaults under it; `None` when it cannot be reached, which has been reported.
fn server(
    reader: &mut Reader<'_>,
    key: &str,
    section: &Section,
    base: &ServerConfig,
    base_inherit_env: &[String],
) -> Option<ServerConfig> {
    judge_reach(reader, key, section);
    let mut server = ServerConfig { key: key.to_owned(), ..base.clone() };
    apply(reader, section, &mut server);
    server.title = section.text("title").filter(|title| !title.is_empty()).map(str::to_owned);
    server.prefix = match section.text("prefix") {
        None | Some("auto") => Prefix::Key,
        Some("") => Prefix::Bare,
        Some(text) => Prefix::Text(text.to_owned()),
    };
    server.uris = match section.word("uris") {
        Some("raw") => Uris::Raw,
        Some(_) | None => Uris::Prefixed,
    };
    if let Some(inner) = section.section("timeouts") {
        server.timeouts = timeouts(reader, inner, &base.timeouts);
    }
    for (tool, inner) in section.named("tool") {
        let config = ToolConfig { call: inner.time("timeout"), call_max: inner.time("timeout_max") };
        let call = config.call.or(Some(server.timeouts.call));
        let call_max = config.call_max.or(server.timeouts.call_max);
        warn_of_patience(reader, inner, ("timeout", call), ("timeout_max", call_max));
        server.tools.insert(tool.clone(), config);
    }
    let mut command = command(reader, section)?;
    command.inherit_env = section.texts("inherit_env").unwrap_or(base_inherit_env).to_vec();
    server.reach = Reach::Stdio(command);
    Some(server)
}

/// A server has `command`; with `url` instead it cannot be reached yet, and with both it is not clear what it is.
fn judge_reach(reader: &mut Reader<'_>, key: &str, section: &Section) {
    let url = section.refused.iter().find(|(setting, _, _)| setting.key() == "url");
    let problem = match (section.has("command"), url) {
        (Some(command), Some((_, _, url))) => reader
            .error(Code::CommandAndUrl, "server has both `command` and `url`")
            .at(url, "makes it a remote server")
            .beside(&section.span, "in this server")
            .beside(command, "makes it a stdio server")
            .help("remove one of the two, or split it into two servers; `url` is not supported yet"),
        (None, Some((setting, url_key, _))) => {
            let problem = reader
                .error(
                    Code::NotSupported,
                    format!("`{}.url` is not supported yet", shown_path("servers", key)),
                )
                .at(url_key, "known, but this version cannot do it");
            match setting.state {
                State::NotYet(instead) => problem.help(instead),
                State::Here => problem,
            }
        }
        (None, None) if section.command_misspelt => return,
        (None, None) => reader
            .error(Code::MissingKey, format!("server {} has no `command`", quoted(key)))
            .at(&section.span, "expected `command` in this server"),
        (Some(_), None) => return,
    };
    reader.problems.push(problem);
}

fn command(reader: &mut Reader<'_>, section: &Section) -> Option<Command> {
    let variables = reader.variables;
    let program = section.text("command");
    let env = environment(reader, section);
    let program = program?;
    if let Some(checked) = section.checked("command") {
        let words = program.split_whitespace().count();
        if words > 1 && !program.contains(['/', '\\']) {
            let problem = reader
                .warning(Code::BadText, "`command` looks like a whole command line")
                .at(&checked.span, "no shell is involved: this is the name of one program")
                .help("put what follows the program's name into `args`");
            reader.problems.push(problem);
        }
    }
    Some(Command {
        program: program_path(program, variables),
        args: section.texts("args").unwrap_or_default().to_vec(),
        env: env.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        folder: folder(section.text("cwd").unwrap_or_default(), variables),
        inherit_env: Vec::new(),
    })
}

/// Those of the file under those that are written out, each name once.
fn environment(reader: &mut Reader<'_>, section: &Section) -> Vec<(String, String)> {
    let own = section.variables("env").unwrap_or_default();
    let mut pairs: Vec<(String, String)> = Vec::new();
    // A disabled server needs none of its files, and what is only shown is not looked up.
    let looks_up = section.flag("enabled") != Some(false) && reader.variables.purpose == Purpose::Run;
    let named = section.text("env_file").filter(|path| !path.is_empty()).zip(section.checked("env_file"));
    if let Some((path, checked)) = named.filter(|_| looks_up) {
        let path = reader.variables.path(path);
        match env_file::read(&path) {
            Ok(found) => pairs = found,
            Err(why) => {
                let problem = reader
                    .error(Code::BadEnvFile, "`env_file` cannot be used")
                    .at(&checked.span, format!("the file {why}"));
                let problem = problem.help(format!("the path is {}", quoted(&path.display().to_string())));
                reader.problems.push(problem);
            }
        }
    }
    for (name, value) in own {
        pairs.push((name.clone(), value.clone()));
    }
    last_of_each(pairs)
}

/// Each name once, with its last value, in the order in which names first appear.
pub(super) fn last_of_each(pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<(String, String)> = Vec::new();
    for (name, value) in pairs {
        let place = *places.entry(name.clone()).or_insert(kept.len());
        match kept.get_mut(place) {
            Some(pair) => pair.1 = value,
            None => kept.push((name, value)),
        }
    }
    kept
}

/// A program with a slash is a path from the file's folder; without, it is looked for in PATH.
pub(super) fn program_path(program: &str, variables: &Variables<'_>) -> String {
    let is_path = program.contains('/') || (cfg!(windows) && program.contains('\\'));
    if !is_path || stays(program, variables) {
        return program.to_owned();
    }
    let path = variables.path(program);
    // A path that is no text cannot have come from a text, except through the folder's own name.
    path.to_str().map_or_else(|| program.to_owned(), str::to_owned)
}

/// The folder of a child: as written, from the file's folder.
pub(super) fn folder(cwd: &str, variables: &Variables<'_>) -> PathBuf {
    match cwd {
        "" | "." => variables.folder.to_owned(),
        cwd if stays(cwd, variables) => PathBuf::from(cwd),
        cwd => variables.path(cwd),
    }
}

/// For showing, a path that begins with a reference stays as it is written.
fn stays(path: &str, variables: &Variables<'_>) -> bool {
    variables.purpose == Purpose::Show && path.starts_with("${")
}

/// Warns of servers whose names are alike, and of those that leave no room for the names of tools.
fn warn_of_names(reader: &mut Reader<'_>, top: &Section, config: &Config) {
    let span = |key: &str| {
        let section = top.named("servers").iter().find(|(named, _)| named == key);
        section.map_or(0..0, |(_, section)| section.span.clone())
    };
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for server in &config.servers {
        let prefix = match &server.prefix {
            Prefix::Key => &server.key,
            Prefix::Text(text) => text,
            Prefix::Bare => continue,
        };
        let alike: String = prefix
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        if let Some(first) = seen.get(&alike) {
            let message =
                format!("servers {} and {} would have the same prefix", quoted(first), quoted(&server.key));
            let problem = reader
                .warning(Code::NamesCollide, message)
                .at(&span(&server.key), "told apart by a hash")
                .beside(&span(first), "")
                .help("set `prefix` for one of them");
            reader.problems.push(problem);
        } else {
            seen.insert(alike, &server.key);
        }
        let taken = prefix.chars().count() + config.names.separator.len();
        let left = config.names.length_max.saturating_sub(taken);
        if left < ROOM_CHARS_MIN && config.names.prefix != PrefixMode::Never {
            let message = format!("the prefix of {} leaves {left} characters for names", quoted(&server.key));
            let problem = reader
                .warning(Code::NameCut, message)
                .at(&span(&server.key), format!("names have at most {} characters", config.names.length_max))
                .help("set a shorter `prefix` for it, or raise `names.max_length`");
            reader.problems.push(problem);
        }
    }
}

/// With less room than this behind the prefix most names of tools are cut.
const ROOM_CHARS_MIN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::{Form, SETTINGS, Setting};
    use crate::config::section::{LIST_MAX, NAMED_MAX};

    fn env(name: &str) -> Option<String> {
        match name {
            "TOKEN" => Some("s3cret".to_owned()),
            "HOME" => Some("/home/ana".to_owned()),
            _ => None,
        }
    }

    fn read(text: &str) -> Result<Loaded, Report> {
        from_text(text, "braid.toml", Path::new("/etc/braid"), &env)
    }

    fn command(server: &ServerConfig) -> &Command {
        let Reach::Stdio(command) = &server.reach;
        command
    }

    #[test]
    fn a_server_has_the_defaults_and_its_own_words() {
        let loaded = read(
            r#"
            [timeouts]
            call = "1m"
            [defaults]
            queue = 7
            inherit_env = ["A"]
            restart = "always"
            restart_backoff.min = "2s"
            [servers.zed]
            command = "bin/zed"
            args = ["--token", "${TOKEN}"]
            env = { T = "x${TOKEN}" }
            cwd = "~/work"
            timeouts.read = "5s"
            restart = "never"
            tool."a b".timeout = "2m"
            [servers.alpha]
            command = "npx"
            prefix = ""
            inherit_env = []
            restart_backoff.max = "9s"
            "#,
        )
        .unwrap();
        assert_eq!(loaded.warnings, []);
        let [zed, alpha] = loaded.config.servers.as_slice() else { panic!("two servers") };
        assert_eq!((zed.key.as_str(), alpha.key.as_str()), ("zed", "alpha"));
        let run = command(zed);
        assert_eq!(run.program, "/etc/braid/bin/zed");
        assert_eq!(run.args, ["--token", "s3cret"]);
        assert_eq!(run.env, [("T".to_owned(), Secret::new("xs3cret"))]);
        assert_eq!(run.folder, Path::new("/home/ana/work"));
        assert_eq!(run.inherit_env, ["A"]);
        assert_eq!(zed.timeouts.call, Duration::from_secs(60));
        assert_eq!(zed.timeouts.read, Duration::from_secs(5));
        assert_eq!(alpha.timeouts.read, Duration::from_secs(30));
        assert_eq!((zed.restart, alpha.restart), (Restart::Never, Restart::Always));
        assert_eq!((zed.waiting_max, alpha.waiting_max), (7, 7));
        assert_eq!(alpha.backoff.min, Duration::from_secs(2));
        assert_eq!(alpha.backoff.max, Duration::from_secs(9));
        assert_eq!(zed.tools["a b"].call, Some(Duration::from_secs(120)));
        assert_eq!(alpha.prefix, Prefix::Bare);
        assert_eq!(command(alpha).program, "npx");
        assert_eq!(command(alpha).folder, Path::new("/etc/braid"));
        assert!(command(alpha).inherit_env.is_empty());
    }

    #[test]
    fn variables_of_a_file_lie_under_those_written_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vars"), "A=file\nB=file\n").unwrap();
        let text = "[servers.a]\ncommand = \"x\"\nenv_file = \"vars\"\nenv = { C = \"own\", A = \"own\" }\n";
        let loaded = from_text(text, "braid.toml", folder.path(), &env).unwrap();
        let pairs: Vec<_> = command(&loaded.config.servers[0])
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        assert_eq!(pairs, [("A", "own"), ("B", "file"), ("C", "own")]);
    }

    #[test]
    fn nothing_of_a_disabled_server_needs_to_be_there() {
        let loaded = read(
            "[servers.a]\ncommand = \"x\"\n[servers.b]\nenabled = false\ncommand = \"${NO}\"\nenv_file = \"none\"\nenv = { A = \"${NO}\" }\n",
        )
        .unwrap();
        assert_eq!(loaded.config.servers.len(), 1);
    }

    #[test]
    fn zero_is_no_maximum() {
        let loaded = read("[timeouts]\ncall_max = \"0\"\nfirst_list = \"0\"\n[servers.a]\ncommand = \"x\"\n[servers.b]\ncommand = \"x\"\ntimeouts.call_max = \"3m\"\n").unwrap();
        assert_eq!(loaded.config.first_list, Duration::ZERO);
        assert_eq!(loaded.config.servers[0].timeouts.call_max, None);
        assert_eq!(loaded.config.servers[1].timeouts.call_max, Some(Duration::from_secs(180)));
    }

    #[test]
    fn every_error_comes_at_once_in_the_order_of_the_file() {
        let report =
            read("nam = 1\n[servers.a]\ncommand = 5\nurl = \"x\"\n[timeouts]\ncall = 5\n").unwrap_err();
        let codes: Vec<_> = report.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, [Code::UnknownKey, Code::WrongType, Code::CommandAndUrl, Code::BadDuration]);
    }

    #[test]
    fn what_a_variable_holds_is_in_no_error() {
        let text = "[servers.a]\ncommand = \"${TOKEN}\"\nprefix = \"${TOKEN}é\"\nargs = [\"${TOKEN}\", 5]\nenv = { A = \"${TOKEN}\", B = \"s3cret\", C = 5 }\nsharing = \"x\"\n";
        let report = read(text).unwrap_err();
        for shown in [report.render(true), report.render(false), report.to_json(), format!("{report:?}")] {
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn a_file_for_showing_has_its_references_and_no_values() {
        let surroundings = Surroundings { env: &env, program: None, current_folder: None };
        let text = "[servers.a]\ncommand = \"${TOKEN}/x\"\nargs = [\"${NO}\"]\ncwd = \"${HOME}/x\"\nenv = { A = \"${TOKEN}\" }\n";
        let loaded =
            from_text_with(text, "braid.toml", Path::new("/f"), &surroundings, Purpose::Show).unwrap();
        let run = command(&loaded.config.servers[0]);
        assert_eq!((run.program.as_str(), run.args[0].as_str()), ("${TOKEN}/x", "${NO}"));
        assert_eq!(run.folder, Path::new("${HOME}/x"));
    }

    /// Whether the reader calls the value out of bounds.
    fn refused(setting: &Setting, value: &str) -> bool {
        let path = setting.path.replace("servers.*", "servers.a").replace("tool.*", "tool.t");
        let text = format!("servers.a.command = \"x\"\n{path} = {value}\n");
        let problems = read(&text).map_or_else(|report| report.problems, |loaded| loaded.warnings);
        let bounds = [Code::OutOfBounds, Code::UnknownVersion];
        let (bound, other): (Vec<_>, Vec<_>) =
            problems.iter().partition(|problem| bounds.contains(&problem.code));
        // What the key says together with others is not the question here.
        assert!(
            other.iter().all(|problem| matches!(problem.code, Code::Contradiction | Code::NoEffect)),
            "{text}{other:?}"
        );
        !bound.is_empty()
    }

    #[test]
    fn every_number_is_taken_up_to_its_bounds_and_not_beyond() {
        for setting in SETTINGS.iter().filter(|setting| setting.state == State::Here) {
            let (inside, outside) = match setting.form {
                Form::Count { min, max } => {
                    let below = i64::try_from(min).unwrap() - 1;
                    (vec![min.to_string(), max.to_string()], vec![below.to_string(), (max + 1).to_string()])
                }
                Form::Size { min, max } => {
                    let text = |bytes: usize| format!("\"{bytes}B\"");
                    let below = min.checked_sub(1).map(text);
                    (vec![text(min), text(max)], below.into_iter().chain([text(max + 1)]).collect())
                }
                Form::Time { min_ms, max_ms, off } => {
                    let text = |ms: u64| format!("\"{ms}ms\"");
                    let zero = "\"0\"".to_owned();
                    let below = (min_ms > 1).then(|| text(min_ms - 1));
                    let mut inside = vec![text(min_ms), text(max_ms)];
                    let mut outside: Vec<_> = below.into_iter().chain([text(max_ms + 1)]).collect();
                    if off {
                        inside.push(zero)
                    } else {
                        outside.push(zero)
                    }
                    (inside, outside)
                }
                Form::Section
                | Form::Named
                | Form::Flag
                | Form::Text(_)
                | Form::Texts(_)
                | Form::Variables
                | Form::Word(_) => continue,
            };
            for value in inside {
                assert!(!refused(setting, &value), "{} = {value}", setting.path);
            }
            for value in outside {
                assert!(refused(setting, &value), "{} = {value}", setting.path);
            }
        }
    }

    #[test]
    fn lists_and_servers_are_bounded() {
        let args =
            |count: usize| format!("[servers.a]\ncommand = \"x\"\nargs = [{}]\n", "\"y\",".repeat(count));
        assert!(read(&args(LIST_MAX)).is_ok());
        assert_eq!(read(&args(LIST_MAX + 1)).unwrap_err().problems[0].code, Code::OutOfBounds);
        let servers = |count: usize| {
            (0..count).map(|index| format!("[servers.s{index}]\ncommand = \"x\"\n")).collect::<String>()
        };
        assert_eq!(read(&servers(NAMED_MAX)).unwrap().config.servers.len(), NAMED_MAX);
        assert_eq!(read(&servers(NAMED_MAX + 1)).unwrap_err().problems[0].code, Code::OutOfBounds);
        let entries: String =
            (0..=NAMED_MAX).map(|index| format!("\"s{index}\": {{\"command\": \"x\"}},")).collect();
        let text = format!("{{\"servers\": {{{entries}}}}}");
        let loaded = from_text(&text, "mcp.json", Path::new("/"), &env).unwrap();
        assert_eq!(loaded.config.servers.len(), NAMED_MAX);
        assert_eq!(loaded.warnings[0].code, Code::EntrySkipped);
    }

    #[test]
    fn a_file_has_a_largest_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("braid.toml");
        let bytes_max = usize::try_from(FILE_BYTES_MAX).unwrap();
        std::fs::write(&path, vec![b'#'; bytes_max + 1]).unwrap();
        let report = load(&path, &env).unwrap_err();
        assert_eq!(report.problems[0].code, Code::Unreadable);
        assert!(report.problems[0].message.contains("larger than 16 MiB"));
        std::fs::write(&path, vec![b'#'; bytes_max]).unwrap();
        assert_eq!(load(&path, &env).unwrap_err().problems[0].code, Code::NoServers);
    }
}
