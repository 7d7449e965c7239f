//! One `[servers.NAME]` to a `ServerConfig`: how it is reached, with which variables, under which name.
//!
//! It reads the file of variables that a server names, and no other. Whether the program is there is found
//! out when it is started: a configuration that was fine yesterday is fine today.

use super::codes::Code;
use super::layers::{apply, timeouts, warn_of_patience};
use super::problem::quoted;
use super::schema::State;
use super::section::{Reader, Section, shown_path};
use super::variables::Purpose;
use super::{Command, Prefix, Reach, Secret, ServerConfig, ToolConfig, Uris, env_file};

/// One server with the defaults under it; `None` when it cannot be reached, which has been reported.
pub(super) fn server(
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
        program: variables.program(program),
        args: section.texts("args").unwrap_or_default().to_vec(),
        env: env.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        folder: variables.folder_of(section.text("cwd").unwrap_or_default()),
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
    env_file::last_of_each(pairs)
}
