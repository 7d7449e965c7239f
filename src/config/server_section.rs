//! One `[servers.NAME]` to a `ServerConfig`: how it is reached, with which variables, under which name.
//!
//! It reads the file of variables that a server names, and no other. Whether the program is there is found
//! out when it is started: a configuration that was fine yesterday is fine today.

use std::collections::BTreeMap;

use super::codes::Code;
use super::layers::{apply, timeouts, warn_of_patience};
use super::problem::quoted;
use super::remote::{lets_in, travels_readable};
use super::schema::{Kind, Rule};
use super::section::{Checked, Reader, Section};
use super::variables::Purpose;
use super::{
    Auth, CacheConfig, Command, Config, Grant, Listen, OAuth, Prefix, Reach, Remote, Secret, ServerConfig,
    ToolConfig, Transport, Uris, env_file,
};

/// One server with the defaults under it; `None` when it cannot be reached, which has been reported.
pub(super) fn server(
    reader: &mut Reader<'_>,
    key: &str,
    section: &Section,
    base: &ServerConfig,
    base_inherit_env: &[String],
) -> Option<ServerConfig> {
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
    server.allow_anonymous = section.flag("allow_anonymous").unwrap_or(false);
    if let Some(inner) = section.section("timeouts") {
        server.timeouts = timeouts(reader, inner, &base.timeouts);
    }
    if let Some(inner) = section.section("cache") {
        server.cache = cache(inner);
    }
    for (name, inner) in section.named("tool") {
        let config = tool(inner);
        let call = config.call.or(Some(server.timeouts.call));
        let call_max = config.call_max.or(server.timeouts.call_max);
        warn_of_patience(reader, inner, ("timeout", call), ("timeout_max", call_max));
        server.tools.insert(name.clone(), config);
    }
    refuse_equal_names(reader, section);
    server.reach = match reach_of(reader, key, section)? {
        Kind::Remote => Reach::Http(remote(reader, section)?),
        Kind::Program | Kind::Any => {
            let mut command = command(reader, section)?;
            command.inherit_env = section.texts("inherit_env").unwrap_or(base_inherit_env).to_vec();
            Reach::Stdio(command)
        }
    };
    Some(server)
}

fn cache(section: &Section) -> CacheConfig {
    let default = CacheConfig::default();
    let time = |key| section.time(key).filter(|time| !time.is_zero());
    CacheConfig {
        tools: time("tools"),
        resources: time("resources"),
        entries_max: section.number("entries").unwrap_or(default.entries_max),
        bytes_max: section.number("size").unwrap_or(default.bytes_max),
    }
}

fn tool(section: &Section) -> ToolConfig {
    let text = |key| section.text(key).filter(|text| !text.is_empty()).map(str::to_owned);
    let defaults = section.values("defaults").unwrap_or_default().iter();
    ToolConfig {
        call: section.time("timeout"),
        call_max: section.time("timeout_max"),
        rate: section.rate("rate").flatten(),
        result_bytes_max: section.number("max_result"),
        enabled: section.flag("enabled").unwrap_or(true),
        name: text("name"),
        title: text("title"),
        description: text("description"),
        defaults: defaults.map(|(name, json, _)| (name.clone(), Secret::new(json))).collect(),
        hidden: section.texts("hidden").unwrap_or_default().to_vec(),
    }
}

/// Refuses a name that two tools of a server are given: neither could be told which of them it is.
fn refuse_equal_names(reader: &mut Reader<'_>, section: &Section) {
    let mut seen: BTreeMap<&str, &Checked> = BTreeMap::new();
    for (_, tool) in section.named("tool") {
        let written = tool.text("name").filter(|name| !name.is_empty()).zip(tool.checked("name"));
        let Some((name, checked)) = written else { continue };
        if let Some(earlier) = seen.get(name) {
            let problem = reader
                .error(Code::StandsTwice, format!("two tools of a server are to be called {}", quoted(name)))
                .at(&checked.span, "for the second time")
                .beside(&earlier.span, "for the first time")
                .help("give one of them another name");
            reader.problems.push(problem);
        }
        seen.entry(name).or_insert(checked);
    }
}

/// Whether a server is a program or remote; with both it is not clear what it is, and `None`, as with neither.
fn reach_of(reader: &mut Reader<'_>, key: &str, section: &Section) -> Option<Kind> {
    let problem = match (section.has("command"), section.has("url")) {
        (Some(_), None) => {
            refuse_others(reader, section, Kind::Remote, "`command` makes it a server that Braid starts");
            return Some(Kind::Program);
        }
        (None, Some(_)) => {
            refuse_others(reader, section, Kind::Program, "`url` makes it a remote server");
            return Some(Kind::Remote);
        }
        (Some(command), Some(url)) => reader
            .error(Code::CommandAndUrl, "server has both `command` and `url`")
            .at(url, "makes it a remote server")
            .beside(&section.span, "in this server")
            .beside(command, "makes it a stdio server")
            .help("remove one of the two, or split it into two servers"),
        (None, None) if section.reach_misspelt => return None,
        (None, None) => reader
            .error(Code::MissingKey, format!("server {} has neither `command` nor `url`", quoted(key)))
            .at(&section.span, "expected `command` or `url` in this server"),
    };
    reader.problems.push(problem);
    None
}

/// Refuses each key that belongs to the other kind of server.
fn refuse_others(reader: &mut Reader<'_>, section: &Section, other: Kind, why: &str) {
    for (setting, span) in section.present().iter().filter(|(setting, _)| setting.kind() == other) {
        let belongs = match other {
            Kind::Remote => "it belongs to a server with `url`",
            Kind::Program | Kind::Any => "it belongs to a server with `command`",
        };
        let instead = match setting.key() {
            "env" | "env_file" | "inherit_env" => {
                "a remote server has variables of its own; what it must be told goes into `headers`"
            }
            "args" => "what the server must be told goes into `url` or `headers`",
            "headers" | "headers_command" | "oauth" => {
                "what the program must be told goes into `env` or `args`"
            }
            "ca_file" => "where the program knows such a variable, set `env = { SSL_CERT_FILE = \"…\" }`",
            _ => "remove it",
        };
        let problem = reader
            .error(Code::OtherKind, format!("`{}` has no meaning for this server", setting.key()))
            .at(span, belongs)
            .beside(&section.span, why)
            .help(instead);
        reader.problems.push(problem);
    }
}

fn remote(reader: &mut Reader<'_>, section: &Section) -> Option<Remote> {
    let variables = reader.variables;
    let headers = section.variables("headers").unwrap_or_default();
    let remote = Remote {
        url: section.text("url")?.to_owned(),
        is_referred: is_referred(reader, section),
        transport: match section.word("transport") {
            Some("http") => Transport::Http,
            Some("sse") => Transport::Sse,
            Some(_) | None => Transport::Auto,
        },
        headers: headers.iter().map(|(name, value)| (name.clone(), Secret::new(value))).collect(),
        headers_command: headers_command(reader, section),
        ca_file: section.text("ca_file").and_then(|text| variables.file_of(text)),
        oauth: oauth(reader, section).map(Box::new),
    };
    warn_of_readable_token(reader, section, &remote);
    Some(remote)
}

/// How a login is obtained. Whoever writes a header for that has one already.
fn oauth(reader: &mut Reader<'_>, section: &Section) -> Option<OAuth> {
    let is_authorization = |(name, _): &(String, String)| name.eq_ignore_ascii_case("authorization");
    let has_header = section.variables("headers").is_some_and(|headers| headers.iter().any(is_authorization));
    let Some(inner) = section.section("oauth") else { return (!has_header).then(OAuth::default) };
    if inner.flag("enabled") == Some(false) {
        return None;
    }
    let text = |key| inner.text(key).filter(|text| !text.is_empty()).map(str::to_owned);
    let oauth = OAuth {
        grant: match inner.word("grant") {
            Some("client_credentials") => Grant::Client,
            Some("token_exchange") => Grant::Exchange,
            Some(_) | None => Grant::Code,
        },
        client_id: text("client_id"),
        client_secret: text("client_secret").map(Secret::new),
        client_metadata_url: text("client_metadata_url"),
        scopes: inner.texts("scopes").unwrap_or_default().to_vec(),
        issuer: text("issuer"),
        issuer_ca_file: None,
        audience: text("audience"),
        is_per_principal: inner.flag("per_principal").unwrap_or(false),
        callback_port: inner.number("callback_port").and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
    };
    let span = |key: &str| inner.checked(key).map(|checked| checked.span.clone()).unwrap_or_default();
    if has_header {
        let (sent, said) = (section.checked("headers"), section.checked("oauth"));
        let spans =
            sent.zip(said).map(|(sent, said)| (sent.span.clone(), said.span.clone())).unwrap_or_default();
        let problem = reader
            .error(Code::BadText, "`oauth` and a header `Authorization` exclude each other")
            .at(&spans.1, "a login is sent in that header")
            .beside(&spans.0, "which is written here");
        reader.problems.push(problem);
    }
    let has_secret = oauth.client_id.is_some() && oauth.client_secret.is_some();
    let of_machine = match oauth.grant {
        Grant::Code => None,
        Grant::Client => Some("client_credentials"),
        Grant::Exchange => Some("token_exchange"),
    };
    if let (Some(grant), false) = (of_machine, has_secret) {
        let problem = reader
            .error(Code::MissingKey, format!("`{grant}` needs `client_id` and `client_secret`"))
            .at(&span("grant"), "nobody is asked, so the secret must be ours");
        reader.problems.push(problem);
    }
    if oauth.audience.is_some() && oauth.grant != Grant::Exchange {
        let problem = reader
            .warning(Code::NoEffect, "`oauth.audience` is not used")
            .at(&span("audience"), "only `grant = \"token_exchange\"` tells it to an issuer");
        reader.problems.push(problem);
    }
    // An exchange has that of the configuration's own provider, if none is named.
    if oauth.client_secret.is_some() && oauth.issuer.is_none() && oauth.grant != Grant::Exchange {
        let problem = reader
            .error(Code::MissingKey, "`oauth.client_secret` needs `oauth.issuer`")
            .at(&span("client_secret"), "without it the server would say to whom the secret is shown");
        reader.problems.push(problem);
    }
    if oauth.client_secret.is_some() && oauth.client_id.is_none() {
        let problem = reader
            .error(Code::MissingKey, "`client_secret` needs `client_id`")
            .at(&span("client_secret"), "whose secret it is");
        reader.problems.push(problem);
    }
    Some(oauth)
}

/// Servers that are reached with a token made of the caller's own: it takes callers who show one, and an issuer that the
/// configuration names. By default that is the one that made the caller's.
pub(super) fn exchanges(reader: &mut Reader<'_>, top: &Section, config: &mut Config) {
    let Config { listen, servers, .. } = config;
    for server in servers.iter_mut().filter(|server| server.is_reached_by_grant()) {
        let key = server.key.clone();
        let Reach::Http(Remote { oauth: Some(oauth), .. }) = &mut server.reach else { continue };
        if listen.auth == Auth::OAuth {
            if let Some(provider) = &listen.oauth {
                let issuer = oauth.issuer.get_or_insert_with(|| provider.issuer.clone());
                if *issuer == provider.issuer {
                    oauth.issuer_ca_file = provider.ca_file.clone();
                }
            }
            continue;
        }
        let section = top.named("servers").iter().find(|(known, _)| *known == key);
        let grant = section.and_then(|(_, section)| section.section("oauth")?.checked("grant"));
        let auth = top.section("listen").and_then(|listen| listen.checked("auth"));
        let problem = reader
            .error(Code::MissingKey, "`token_exchange` needs `listen.auth = \"oauth\"`")
            .at(&grant.map(|it| it.span.clone()).unwrap_or_default(), "a token of the caller's is exchanged");
        let problem = match auth {
            Some(auth) => problem.beside(&auth.span, "here nobody shows one that an issuer would know"),
            None => problem,
        };
        reader.problems.push(problem.help(EXCHANGE_HELP));
    }
}

impl Config {
    /// Until a restart clients show tokens of the provider that a run began with: those are exchanged there, whatever the file
    /// calls the clients' provider by now.
    pub fn exchanges_as(&mut self, running: &Listen) {
        let (Some(was), Some(is)) = (&running.oauth, &self.listen.oauth) else { return };
        for server in self.servers.iter_mut().filter(|server| server.is_reached_by_grant()) {
            if let Reach::Http(Remote { oauth: Some(oauth), .. }) = &mut server.reach
                && oauth.issuer.as_ref() == Some(&is.issuer)
            {
                (oauth.issuer, oauth.issuer_ca_file) = (Some(was.issuer.clone()), was.ca_file.clone());
            }
        }
    }
}

const EXCHANGE_HELP: &str = "clients then show tokens of an identity provider:\n[listen]\nauth = \"oauth\"\n[listen.oauth]\nissuer = \"https://id.example.com\"\nresource = \"https://mcp.example.com/mcp\"";

/// Whether the URL was made of references, which are replaced by now.
fn is_referred(reader: &Reader<'_>, section: &Section) -> bool {
    let written = section.checked("url").and_then(|url| reader.raw.get(url.span.clone())).unwrap_or_default();
    written.contains("${") && section.text("url").is_some_and(|url| !url.contains("${"))
}

fn headers_command(reader: &mut Reader<'_>, section: &Section) -> Option<Command> {
    let variables = reader.variables;
    let (program, args) = section.texts("headers_command")?.split_first()?;
    if let Err(expected) = Rule::Program.check(program) {
        let span = section.placed_texts("headers_command").next().map(|(_, span)| span.clone());
        let problem = reader
            .error(Code::BadText, "the program of `headers_command` cannot be used")
            .at(&span.unwrap_or_default(), expected);
        reader.problems.push(problem);
        return None;
    }
    let program = variables.program(program);
    Some(Command { args: args.to_vec(), ..Command::new(&program, variables.folder) })
}

fn warn_of_readable_token(reader: &mut Reader<'_>, section: &Section, remote: &Remote) {
    let telltale = remote.headers.iter().any(|(name, _)| lets_in(name));
    let is_made = remote.oauth.as_ref().is_some_and(|oauth| oauth.grant != Grant::Code);
    let sent = match (telltale, remote.headers_command.is_some(), is_made) {
        (true, ..) => section.checked("headers").map(|sent| sent.span.clone()),
        (_, true, _) => section.checked("headers_command").map(|sent| sent.span.clone()),
        (.., true) => section.section("oauth").map(|sent| sent.span.clone()),
        (false, false, false) => None,
    };
    let (Some(url), Some(sent)) = (section.checked("url"), sent) else { return };
    if travels_readable(&remote.url) {
        let problem = reader
            .warning(Code::PlainToken, "a token is sent over plain HTTP to another machine")
            .at(&url.span, "whoever is on the way can read it")
            .beside(&sent, "what is sent")
            .help("use `https://` if the server has it");
        reader.problems.push(problem);
    }
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
        match reader.variables.env_file(&path) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_needs_callers_who_show_tokens_and_an_issuer_of_the_file() {
        let read = |listen: &str, oauth: &str| {
            let text = format!(
                "[listen]\n{listen}\n[servers.far]\nurl = \"https://far.example.com/mcp\"\n[servers.far.oauth]\ngrant = \"token_exchange\"\n{oauth}\n"
            );
            crate::config::file::from_text(&text, "braid.toml", std::path::Path::new("/"), &|_| None)
        };
        let provider = "auth = \"oauth\"\noauth = { issuer = \"https://id.example.com\", resource = \"https://gw.example.com/mcp\" }";
        let ours = "client_id = \"gateway\"\nclient_secret = \"s\"";
        let issuer = |oauth: &str| {
            let config = read(provider, oauth).unwrap().config;
            assert!(config.servers[0].is_reached_by_grant() && config.servers[0].holds_credential());
            let Reach::Http(remote) = &config.servers[0].reach else { panic!("it has a URL") };
            remote.oauth.as_ref().unwrap().issuer.clone().unwrap()
        };
        assert_eq!(issuer(ours), "https://id.example.com");
        assert_eq!(issuer(&format!("{ours}\nissuer = \"https://b.example.com\"")), "https://b.example.com");
        let mut moved = read(&provider.replace("id.example.com", "new.example.com"), ours).unwrap().config;
        moved.exchanges_as(&read(provider, ours).unwrap().config.listen);
        let Reach::Http(remote) = &moved.servers[0].reach else { panic!("it has a URL") };
        let shown_to = remote.oauth.as_ref().unwrap().issuer.as_deref();
        assert_eq!(shown_to, Some("https://id.example.com"), "whose tokens clients show until a restart");
        let private = provider.replace("resource", "ca_file = \"company.pem\", resource");
        let trusted = |oauth: &str| {
            let config = read(&private, oauth).unwrap().config;
            let Reach::Http(remote) = &config.servers[0].reach else { panic!("it has a URL") };
            remote.oauth.as_ref().unwrap().issuer_ca_file.clone()
        };
        assert_eq!(trusted(ours), Some("/company.pem".into()));
        assert_eq!(trusted(&format!("{ours}\nissuer = \"https://b.example.com\"")), None);
        for (listen, oauth, said) in [
            ("", ours, "needs `listen.auth = \"oauth\"`"),
            ("auth = \"none\"", ours, "needs `listen.auth = \"oauth\"`"),
            ("auth = \"token\"", ours, "needs `listen.auth = \"oauth\"`"),
            (provider, "", "`token_exchange` needs `client_id` and `client_secret`"),
            (provider, "client_id = \"gateway\"", "`token_exchange` needs `client_id` and `client_secret`"),
            (provider, &format!("{ours}\nissuer = \"http://id.example.net\""), "https://"),
        ] {
            let report = read(listen, oauth).err().unwrap().to_string();
            assert!(report.contains(said), "{listen} {oauth}: {report}");
        }
    }
}
