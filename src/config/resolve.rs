//! From checked sections to a `Config`: the defaults laid under each server, and what keys say together.
//!
//! Every value that comes here has its form and its bounds. What is left to judge is what two values mean
//! beside each other, and each such judgement has a place in the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::access_section::{access, warn_of_anonymous};
use super::codes::Code;
use super::group_section::groups;
use super::layers::{apply, timeouts};
use super::listen_section::listen;
use super::loaded::Loaded;
use super::problem::{self, Report, Severity, Source, quoted};
use super::section::{Reader, Section};
use super::server_section::{exchanges, server};
use super::tree::Node;
use super::variables::Variables;
use super::{
    Admin, AdminSocket, Command, Config, Identity, Instructions, Limits, Log, LogFormat, Names, Prefix,
    PrefixMode, Reach, ServerConfig, Timeouts, units,
};

/// Holds a parsed `braid.toml` against the schema and makes a `Config` of it, or a report of every error.
pub(super) fn resolve(
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
        config.log = log(reader, section);
    }
    if let Some(section) = top.section("admin") {
        config.admin = admin(reader, section);
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
    if let Some(section) = top.section("listen") {
        config.listen = listen(reader, section);
    }
    exchanges(reader, top, &mut config);
    config.groups = groups(reader, top, &config);
    config.access = access(reader, top, &config);
    warn_of_anonymous(reader, top, &config);
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

fn log(reader: &Reader<'_>, section: &Section) -> Log {
    let default = Log::default();
    Log {
        level: section.text("level").map_or(default.level, str::to_owned),
        format: match section.word("format") {
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(_) => LogFormat::Auto,
            None => default.format,
        },
        file: section.text("file").and_then(|text| reader.variables.file_of(text)),
        redact: section.texts("redact").map_or(default.redact, <[String]>::to_vec),
    }
}

fn admin(reader: &Reader<'_>, section: &Section) -> Admin {
    let default = Admin::default();
    let path = |key: &str| section.text(key).and_then(|text| reader.variables.file_of(text));
    Admin {
        socket: match section.text("socket") {
            None | Some("auto" | "") => default.socket,
            Some("off") => AdminSocket::Off,
            Some(_) => path("socket").map_or(AdminSocket::Off, AdminSocket::At),
        },
        http: section.text("http").and_then(|text| text.parse().ok()),
        labels_tools: section.flag("metrics_tool_label").unwrap_or(default.labels_tools),
        audit: path("audit"),
        audit_is_required: section.flag("audit_required").unwrap_or(default.audit_is_required),
        watch_config: section.flag("watch_config").unwrap_or(default.watch_config),
        catalog_cache: section.flag("catalog_cache").unwrap_or(default.catalog_cache),
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
        parked_max: section.number("parked").unwrap_or(default.parked_max),
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
        rate: section.rate("rate").unwrap_or(default.rate),
    };
    // A message that no buffer can hold could never be forwarded.
    at_most(
        reader,
        ("limits", section),
        ("client_message", limits.client_message_bytes_max),
        ("link_buffer", limits.link_bytes_max),
    );
    at_most(
        reader,
        ("limits", section),
        ("list_item", limits.list_item_bytes_max),
        ("list_size", limits.list_bytes_max),
    );
    limits
}

/// Reports a size that is larger than the one that has to hold it, where either is written.
pub(super) fn at_most(
    reader: &mut Reader<'_>,
    (path, section): (&str, &Section),
    small: (&str, usize),
    large: (&str, usize),
) {
    if small.1 <= large.1 {
        return;
    }
    let message = format!("`{path}.{}` is larger than `{path}.{}`", small.0, large.0);
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
