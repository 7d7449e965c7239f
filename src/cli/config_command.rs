//! `braid config example|show|schema|path`: what the configuration could say, says, and where it is.
//!
//! Pure functions that return the text to print. No secret gets into any of them: values of variables are
//! shown only where they are references, such as `${TOKEN}`, and words of commands unless they look like secrets.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::search::Search;
use crate::config::toml_text::{key, list, quoted};
use crate::config::units::{duration_text, size_text};
use crate::config::{
    self, Address, Admin, AdminSocket, Auth, Config, Filters, Grant, IdentityProvider, Instructions,
    KeySource, Listen, LogFormat, OAuth, PathFromShell, Prefix, PrefixMode, Protocol, Rate, Reach, Remote,
    Restart, Secret, ServerConfig, Sharing, Stderr, Timeouts, ToolConfig, Transport, Uris,
};
use crate::wire::members::{elements, members, string};

/// `braid config example`: every option with its default.
pub fn example() -> &'static str {
    config::example::EXAMPLE
}

/// `braid config schema`: the JSON Schema for editors.
pub fn schema() -> String {
    config::json_schema::write()
}

/// `braid config path`: which file is taken, and why.
pub fn path(search: &Search) -> String {
    let mut text = match search.found() {
        Some((path, place)) => format!("{}   ({place})\n\n", path.display()),
        None => "no configuration found\n\n".to_owned(),
    };
    for step in &search.steps {
        let path = step.path.as_ref().map_or_else(String::new, |path| path.display().to_string());
        // The columns are those of the longest words of `Place` and `Outcome`.
        let place = step.place.to_string();
        let outcome = step.outcome.to_string();
        text.push_str(format!("{place:<15} {outcome:<14} {path}").trim_end());
        text.push('\n');
    }
    text
}

/// `braid config show`: a configuration as TOML, with the defaults laid under each server.
///
/// Meant for a configuration that was loaded with `file::load_as_written`: then references are shown as they
/// are written. A value of a variable that is more than a reference is `[redacted]`, and so is a word of a command
/// that looks like a secret.
pub fn show(config: &Config) -> String {
    let mut page = Page { text: format!("# {}\n", config.origin.replace(char::is_control, "?")) };
    page.value("version", "1");
    page.head("identity");
    page.text("name", &config.identity.name);
    page.text("title", config.identity.title.as_deref().unwrap_or_default());
    page.text(
        "instructions",
        match &config.identity.instructions {
            Instructions::Merge => "merge",
            Instructions::None => "none",
            Instructions::Text(text) => text,
        },
    );
    page.size("instructions_budget", config.identity.instructions_bytes_max);
    page.head("names");
    page.text(
        "prefix",
        match config.names.prefix {
            PrefixMode::Always => "always",
            PrefixMode::OnCollision => "on-collision",
            PrefixMode::Never => "never",
        },
    );
    page.text("separator", &config.names.separator);
    page.count("max_length", config.names.length_max);
    page.head("timeouts");
    page.time("first_list", config.first_list);
    page.head("limits");
    limits(&mut page, &config.limits);
    page.head("log");
    page.text("level", &config.log.level);
    page.text(
        "format",
        match config.log.format {
            LogFormat::Auto => "auto",
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        },
    );
    page.text("file", &file(config.log.file.as_deref()));
    page.texts("redact", &config.log.redact);
    page.head("admin");
    admin(&mut page, &config.admin);
    page.head("listen");
    listen(&mut page, &config.listen);
    for server in &config.servers {
        show_server(&mut page, server);
    }
    for group in &config.groups {
        page.head(&format!("groups.{}", key(&group.name)));
        page.texts("servers", &group.servers);
        filters(&mut page, &group.filters);
    }
    for rule in &config.access {
        page.head(&format!("access.{}", key(&rule.name)));
        page.texts("principals", &rule.principals);
        page.texts("scopes", &rule.scopes);
        page.texts("servers", &rule.servers);
        page.texts("groups", &rule.groups);
        filters(&mut page, &rule.filters);
    }
    page.text
}

fn filters(page: &mut Page, filters: &Filters) {
    for (kind, filter) in
        [("tools", &filters.tools), ("prompts", &filters.prompts), ("resources", &filters.resources)]
    {
        page.texts(&format!("{kind}.allow"), &filter.allow);
        page.texts(&format!("{kind}.deny"), &filter.deny);
    }
    page.flag("read_only", filters.read_only);
}

fn show_tool(page: &mut Page, name: &str, tool: &ToolConfig) {
    let named = |key: &str| format!("tool.{}.{key}", self::key(name));
    if let Some(time) = tool.call {
        page.time(&named("timeout"), time);
    }
    if let Some(time) = tool.call_max {
        page.time(&named("timeout_max"), time);
    }
    page.rate(&named("rate"), tool.rate);
    if let Some(bytes_max) = tool.result_bytes_max {
        page.size(&named("max_result"), bytes_max);
    }
    page.flag(&named("enabled"), tool.enabled);
    for (key, text) in [("name", &tool.name), ("title", &tool.title), ("description", &tool.description)] {
        page.text(&named(key), text.as_deref().unwrap_or_default());
    }
    let defaults =
        tool.defaults.iter().map(|(name, json)| format!("{} = {}", key(name), toml_of(json.expose())));
    page.table(&named("defaults"), defaults.collect());
    page.texts(&named("hidden"), &tool.hidden);
}

/// A value of JSON as anyone may see it, in TOML: a text only if it is a reference. Numbers keep their digits.
fn toml_of(json: &str) -> String {
    if let Some(all) = members(json) {
        let all = all.iter().map(|member| format!("{} = {}", key(&member.key), toml_of(member.value)));
        return table(all.collect());
    }
    if let Some(all) = elements(json) {
        return format!("[{}]", all.into_iter().map(toml_of).collect::<Vec<_>>().join(", "));
    }
    match string(json) {
        Some(text) => quoted(shown(&Secret::new(text))),
        None => json.to_owned(),
    }
}

fn table(entries: Vec<String>) -> String {
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}

fn admin(page: &mut Page, admin: &Admin) {
    page.text(
        "socket",
        match &admin.socket {
            AdminSocket::Auto => "auto".to_owned(),
            AdminSocket::Off => "off".to_owned(),
            AdminSocket::At(path) => path.display().to_string(),
        }
        .as_str(),
    );
    page.text("http", &admin.http.map(|address| address.to_string()).unwrap_or_default());
    page.value("metrics_tool_label", if admin.labels_tools { "true" } else { "false" });
    page.text("audit", &file(admin.audit.as_deref()));
    page.value("audit_required", if admin.audit_is_required { "true" } else { "false" });
    page.value("watch_config", if admin.watch_config { "true" } else { "false" });
    page.value("catalog_cache", if admin.catalog_cache { "true" } else { "false" });
}

/// A path that need not be there.
fn file(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

fn listen(page: &mut Page, listen: &Listen) {
    let path =
        |path: &Option<PathBuf>| path.as_ref().map_or_else(String::new, |path| path.display().to_string());
    let addresses: Vec<_> = listen.addresses.iter().map(Address::to_string).collect();
    page.texts("http", &addresses);
    page.text(
        "auth",
        match listen.auth {
            Auth::Token => "token",
            Auth::OAuth => "oauth",
            Auth::None => "none",
        },
    );
    page.text("token_file", &path(&listen.token_file));
    for holder in &listen.tokens {
        let named = |key: &str| format!("tokens.{}.{key}", self::key(&holder.name));
        page.text(&named("token"), shown(&holder.token));
        page.texts(&named("scopes"), &holder.scopes);
    }
    if let Some(oauth) = &listen.oauth {
        show_provider(page, oauth);
    }
    page.texts("allowed_hosts", &listen.hosts);
    page.texts("allowed_origins", &listen.origins);
    page.text("trusted_proxy", listen.trusted_proxy.as_deref().unwrap_or_default());
    page.text("public_url", listen.public_url.as_deref().unwrap_or_default());
    let tls = listen.tls.as_ref();
    page.text("tls.cert", &path(&tls.map(|tls| tls.cert.clone())));
    page.text("tls.key", &path(&tls.map(|tls| tls.key.clone())));
    let clients = tls.and_then(|tls| tls.clients.as_ref());
    page.text("tls.client_ca", &path(&clients.map(|clients| clients.ca.clone())));
    let is_optional = clients.is_some_and(|clients| !clients.are_required);
    page.text("tls.client_auth", if is_optional { "optional" } else { "required" });
    page.flag("legacy_sse", listen.legacy_sse);
    page.time("stream_after", listen.stream_after);
    page.time("keep_alive", listen.keep_alive);
    page.time("session_idle", listen.session_idle);
    page.time("grace", listen.grace);
    let limits = &listen.limits;
    page.count("limits.connections", limits.connections_max);
    page.count("limits.connections_per_address", limits.connections_per_address_max);
    page.count("limits.sessions", limits.sessions_max);
    page.count("limits.sessions_per_principal", limits.sessions_per_principal_max);
    page.count("limits.replay_events", limits.replay_events_max);
    page.size("limits.replay_size", limits.replay_bytes_max);
    page.time("limits.replay_kept", limits.replay_kept);
    page.size("limits.replay_total", limits.replay_total_bytes_max);
    page.time("limits.head_within", limits.head_within);
    page.time("limits.body_within", limits.body_within);
}

fn show_provider(page: &mut Page, oauth: &IdentityProvider) {
    page.text("oauth.issuer", &oauth.issuer);
    page.text("oauth.resource", &oauth.resource);
    page.texts("oauth.audiences", &oauth.audiences);
    page.texts("oauth.scopes", &oauth.scopes);
    let algorithms: Vec<_> = oauth.algorithms.iter().map(|one| one.name().to_owned()).collect();
    page.texts("oauth.algorithms", &algorithms);
    let (uri, keys) = match &oauth.keys {
        KeySource::Named => ("", None),
        KeySource::At(uri) => (uri.as_str(), None),
        KeySource::File(path) => ("", Some(path.as_path())),
    };
    page.text("oauth.jwks_uri", uri);
    page.text("oauth.jwks_file", &file(keys));
    page.text("oauth.ca_file", &file(oauth.ca_file.as_deref()));
    page.text("oauth.principal", &oauth.principal);
    if let Some(client) = &oauth.client {
        page.text("oauth.client_id", &client.id);
        page.text("oauth.client_secret", client.secret.as_ref().map_or("", |secret| shown(secret)));
    }
    if let Some(asked) = &oauth.introspection {
        page.text("oauth.introspection.url", asked.url.as_deref().unwrap_or_default());
        page.text("oauth.introspection.client_id", &asked.client_id);
        page.text("oauth.introspection.client_secret", shown(&asked.client_secret));
    }
}

fn show_remote(page: &mut Page, remote: &Remote) {
    page.text("url", &shown_url(remote));
    page.text(
        "transport",
        match remote.transport {
            Transport::Auto => "auto",
            Transport::Http => "http",
            Transport::Sse => "sse",
        },
    );
    page.pairs("headers", &remote.headers);
    let command = remote.headers_command.iter();
    let words: Vec<String> =
        command.flat_map(|command| std::iter::once(&command.program).chain(&command.args).cloned()).collect();
    page.words("headers_command", &words);
    let ca_file = remote.ca_file.as_ref().map_or_else(String::new, |path| path.display().to_string());
    page.text("ca_file", &ca_file);
    show_oauth(page, remote.oauth.as_deref());
}

/// What none is said of is as by default, but where a header stands in its place.
fn show_oauth(page: &mut Page, oauth: Option<&OAuth>) {
    let Some(oauth) = oauth else { return page.flag("oauth.enabled", false) };
    page.flag("oauth.enabled", true);
    page.text(
        "oauth.grant",
        match oauth.grant {
            Grant::Code => "code",
            Grant::Client => "client_credentials",
            Grant::Exchange => "token_exchange",
        },
    );
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    page.text("oauth.client_id", &text(&oauth.client_id));
    page.text("oauth.client_secret", oauth.client_secret.as_ref().map(shown).unwrap_or_default());
    page.text("oauth.client_metadata_url", &text(&oauth.client_metadata_url));
    page.words("oauth.scopes", &oauth.scopes);
    page.text("oauth.issuer", &text(&oauth.issuer));
    page.text("oauth.audience", &text(&oauth.audience));
    page.flag("oauth.per_principal", oauth.is_per_principal);
    page.count("oauth.callback_port", usize::from(oauth.callback_port));
}

/// A query may hold a token.
fn shown_url(remote: &Remote) -> String {
    if remote.url.contains('?') { format!("{}?[redacted]", remote.shown()) } else { remote.url.clone() }
}

fn limits(page: &mut Page, limits: &config::Limits) {
    page.size("client_message", limits.client_message_bytes_max);
    page.size("server_message", limits.server_message_bytes_max);
    page.count("depth", limits.depth_max);
    page.count("elements", limits.elements_max);
    page.size("id", limits.id_bytes_max);
    page.count("session_in_flight", limits.session_in_flight_max);
    page.count("session_waiting", limits.session_waiting_max);
    page.count("total_in_flight", limits.total_in_flight_max);
    page.count("parked", limits.parked_max);
    page.size("buffered", limits.buffered_bytes_max);
    page.size("link_buffer", limits.link_bytes_max);
    page.count("starting", limits.starting_max);
    page.count("list_pages", limits.list_pages_max);
    page.count("list_items", limits.list_items_max);
    page.size("list_item", limits.list_item_bytes_max);
    page.size("list_size", limits.list_bytes_max);
    page.count("page_items", limits.page_items_max);
    page.count("links", limits.links_max);
    page.count("batch", limits.batch_max);
    page.rate("rate", limits.rate);
}

fn show_server(page: &mut Page, server: &ServerConfig) {
    page.head(&format!("servers.{}", key(&server.key)));
    match &server.reach {
        Reach::Stdio(command) => {
            page.text("command", &command.program);
            page.words("args", &command.args);
            page.pairs("env", &command.env);
            page.text("cwd", &command.folder.display().to_string());
            page.texts("inherit_env", &command.inherit_env);
            page.text(
                "stderr",
                match server.stderr {
                    Stderr::Log => "log",
                    Stderr::Inherit => "inherit",
                    Stderr::Drop => "drop",
                },
            );
        }
        Reach::Http(remote) => show_remote(page, remote),
    }
    page.text(
        "path_from_shell",
        match server.path_from_shell {
            PathFromShell::Auto => "auto",
            PathFromShell::Always => "always",
            PathFromShell::Never => "never",
        },
    );
    page.text("title", server.title.as_deref().unwrap_or_default());
    page.text(
        "prefix",
        match &server.prefix {
            Prefix::Key => "auto",
            Prefix::Text(text) => text,
            Prefix::Bare => "",
        },
    );
    page.text(
        "uris",
        match server.uris {
            Uris::Prefixed => "prefixed",
            Uris::Raw => "raw",
        },
    );
    page.text(
        "sharing",
        match server.sharing {
            Sharing::Auto => "auto",
            Sharing::Shared => "shared",
            Sharing::Session => "session",
        },
    );
    page.text(
        "protocol",
        match &server.protocol {
            Protocol::Auto => "auto",
            Protocol::Handshake => "handshake",
            Protocol::Revision(revision) => revision,
        },
    );
    page.flag("required", server.required);
    if let Reach::Http(_) = server.reach {
        page.flag("allow_anonymous", server.allow_anonymous);
    }
    page.text(
        "restart",
        match server.restart {
            Restart::OnFailure => "on-failure",
            Restart::Always => "always",
            Restart::Never => "never",
        },
    );
    page.time("restart_backoff.min", server.backoff.min);
    page.time("restart_backoff.max", server.backoff.max);
    page.time("restart_backoff.reset_after", server.backoff.reset_after);
    page.count("concurrency", server.in_flight_max);
    page.count("queue", server.waiting_max);
    page.rate("rate", server.rate);
    page.size("max_result", server.result_bytes_max.unwrap_or(0));
    page.time("cache.tools", server.cache.tools.unwrap_or(Duration::ZERO));
    page.time("cache.resources", server.cache.resources.unwrap_or(Duration::ZERO));
    page.count("cache.entries", server.cache.entries_max);
    page.size("cache.size", server.cache.bytes_max);
    filters(page, &server.filters);
    timeouts(page, &server.timeouts);
    for (name, tool) in &server.tools {
        show_tool(page, name, tool);
    }
}

fn timeouts(page: &mut Page, timeouts: &Timeouts) {
    page.time("timeouts.start", timeouts.start);
    page.time("timeouts.list", timeouts.list);
    page.time("timeouts.call", timeouts.call);
    page.time("timeouts.call_max", timeouts.call_max.unwrap_or(Duration::ZERO));
    page.time("timeouts.read", timeouts.read);
    page.time("timeouts.ask", timeouts.ask);
    page.time("timeouts.ping", timeouts.ping.unwrap_or(Duration::ZERO));
}

/// A value of a variable as anyone may see it.
fn shown(value: &Secret) -> &str {
    let text = value.expose();
    let reference = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    // A default is part of the reference and may be the secret itself.
    let harmless = reference.is_some_and(|inner| !inner.contains(['{', '}']) && !inner.contains(":-"));
    if harmless || text.is_empty() { text } else { "[redacted]" }
}

/// TOML as it grows.
struct Page {
    text: String,
}

impl Page {
    fn head(&mut self, path: &str) {
        self.text.push_str(&format!("\n[{path}]\n"));
    }

    fn value(&mut self, key: &str, toml: &str) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.text, "{key} = {toml}");
    }

    fn text(&mut self, key: &str, text: &str) {
        self.value(key, &quoted(text));
    }

    fn texts(&mut self, key: &str, texts: &[String]) {
        self.value(key, &list(texts));
    }

    /// Of a command; what looks like a secret is hidden.
    fn words(&mut self, key: &str, words: &[String]) {
        self.texts(key, &config::shown::words(words.iter().map(String::as_str)));
    }

    fn pairs(&mut self, key: &str, pairs: &[(String, Secret)]) {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{} = {}", self::key(name), quoted(shown(value))))
            .collect();
        self.table(key, pairs);
    }

    fn table(&mut self, key: &str, entries: Vec<String>) {
        self.value(key, &table(entries));
    }

    fn flag(&mut self, key: &str, flag: bool) {
        self.value(key, if flag { "true" } else { "false" });
    }

    fn count(&mut self, key: &str, count: usize) {
        self.value(key, &count.to_string());
    }

    fn size(&mut self, key: &str, bytes: usize) {
        self.text(key, &size_text(bytes));
    }

    fn time(&mut self, key: &str, time: Duration) {
        self.text(key, &duration_text(time));
    }

    fn rate(&mut self, key: &str, rate: Option<Rate>) {
        self.text(key, &rate.map_or_else(|| "0".to_owned(), |rate| rate.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::from_text_with;
    use crate::config::schema::{Form, SETTINGS, State};
    use crate::config::search;
    use crate::config::variables::{Purpose, Surroundings};
    use std::path::Path;

    fn read(text: &str, purpose: Purpose) -> Config {
        let surroundings =
            Surroundings { env: &|_| None, program: None, current_folder: None, files: Default::default() };
        match from_text_with(text, "braid.toml", Path::new("/f"), &surroundings, purpose) {
            Ok(loaded) => loaded.config,
            Err(report) => panic!("{}\n{text}", report.render(false)),
        }
    }

    const ODD: &str = r#"
        [identity]
        name = "mine"
        instructions = "a \"text\"\nof \\ two lines\u0007"
        [names]
        prefix = "on-collision"
        max_length = 60
        [timeouts]
        first_list = "0"
        call_max = "0"
        [limits]
        list_size = "9MB"
        rate = "600/min"
        [log]
        format = "json"
        [listen]
        http = ["[::1]:0", "unix:run/b.sock", "0.0.0.0:1"]
        token_file = "${HOME}/token"
        auth = "oauth"
        oauth.issuer = "https://id.example.com"
        oauth.resource = "https://mcp.example.com/mcp"
        oauth.audiences = ["a", "b"]
        oauth.scopes = ["read"]
        oauth.algorithms = ["ES256"]
        oauth.jwks_file = "${HOME}/keys.json"
        oauth.ca_file = "provider.pem"
        oauth.principal = "email"
        oauth.client_id = "braid-pages"
        oauth.client_secret = "${S}"
        oauth.introspection = { client_id = "braid", client_secret = "${S}" }
        tokens = { alice = "${ALICE}", "b@c.d" = { token = "${B}", scopes = ["read", "x:y"] } }
        allowed_hosts = ["mcp.example.com"]
        allowed_origins = ["https://app.example.com"]
        trusted_proxy = "10.0.0.0/8"
        public_url = "https://mcp.example.com"
        tls = { cert = "c.pem", key = "/k.pem", client_ca = "ca.pem", client_auth = "optional" }
        legacy_sse = false
        stream_after = "0"
        limits.replay_kept = "0"
        [defaults]
        resources = { deny = ["file:///etc/*"] }
        rate = "60/min"
        [groups.one]
        servers = ["linear"]
        tools = { allow = ["linear/*", "*"], deny = ["*/delete_*"] }
        read_only = true
        [access."the readers"]
        principals = ["token:alice", "oauth:*"]
        scopes = ["read"]
        servers = ["lin*"]
        groups = ["one"]
        tools = ["linear/get_*"]
        read_only = true
        [access.all]
        [servers.linear]
        allow_anonymous = true
        url = "${PLACE}/mcp"
        transport = "sse"
        headers = { Authorization = "${TOKEN}" }
        headers_command = ["bin/token", "-v"]
        ca_file = "ca.pem"
        timeouts.ping = "0"
        [servers.far]
        url = "https://far.example.com"
        [servers.far.oauth]
        grant = "client_credentials"
        client_id = "me"
        client_secret = "${TOKEN}"
        client_metadata_url = "https://me.example.com/me.json"
        scopes = ["read", "write"]
        issuer = "https://id.example.com"
        callback_port = 4321
        per_principal = true
        [servers."Brave Search"]
        command = "bin/é"
        args = ["${NO}", "$${x}", ""]
        env = { A = "${TOKEN}", "B b" = "" }
        cwd = "sub"
        prefix = ""
        uris = "raw"
        sharing = "session"
        protocol = "2025-06-18"
        restart = "always"
        stderr = "drop"
        path_from_shell = "always"
        timeouts.call = "90s"
        tools = { allow = [], deny = ["*\\x"] }
        read_only = true
        tool."a.b".timeout = "1m1ms"
        tool."a.b".enabled = false
        tool.c.name = "d é"
        rate = "0"
        tool.c.rate = "1/day"
        max_result = "64KiB"
        cache = { tools = "5s", entries = 7, size = "1MiB" }
        tool.c.max_result = "0B"
        tool.c.title = "T"
        tool.c.description = "one\ntwo"
        tool.c.hidden = ["a", "b b"]
        tool.c.defaults = { a = "${A}", "b b" = [1.50, { c = true, d = -1 }], e = "" }
    "#;

    #[test]
    fn what_is_shown_reads_as_the_same_configuration() {
        let config = read(ODD, Purpose::Show);
        assert_eq!(read(&show(&config), Purpose::Show), config);
    }

    #[test]
    fn every_option_is_shown() {
        let text = show(&read(&format!("{ODD}\ntool.x.timeout_max = \"1h\""), Purpose::Show));
        for setting in SETTINGS.iter().filter(|setting| setting.state == State::Here) {
            // Laid under each server, or gone after reading.
            let hidden = setting.path.starts_with("defaults.")
                || ["servers.*.enabled", "servers.*.env_file"].contains(&setting.path);
            if !hidden && !matches!(setting.form, Form::Section | Form::Named) {
                assert!(text.contains(&format!("{} = ", setting.key())), "{} is not shown", setting.path);
            }
        }
    }

    #[test]
    fn values_of_variables_are_not_shown() {
        let text = "[servers.a]\ncommand = \"x\"\nenv = { A = \"s3cret\", B = \"${T}\", C = \"${T:-s3cret}\", D = \"${T}s3cret${U}\" }\n";
        let shown = show(&read(text, Purpose::Show));
        assert!(!shown.contains("s3cret"));
        assert!(
            shown.contains(r#"env = { A = "[redacted]", B = "${T}", C = "[redacted]", D = "[redacted]" }"#)
        );
    }

    #[test]
    fn words_that_look_like_secrets_are_not_shown() {
        let text = "[servers.a]\ncommand = \"x\"\nargs = [\"--token\", \"s3cretword\", \"--key=${K}\", \"-v\"]\n[servers.b]\nurl = \"https://x/mcp\"\nheaders_command = [\"y\", \"--password=s3cretword\"]\n";
        let shown = show(&read(text, Purpose::Show));
        assert!(!shown.contains("s3cretword"));
        assert!(shown.contains(r#"args = ["--token", "[redacted]", "--key=${K}", "-v"]"#), "{shown}");
        assert!(shown.contains(r#"headers_command = ["y", "--password=[redacted]"]"#), "{shown}");
    }

    #[test]
    fn the_path_is_shown_with_its_reason() {
        let env = |name: &str| (name == "HOME").then(|| "/home/ana".to_owned());
        let found = search::search(None, &env, &|path| path.starts_with("/home/ana"));
        insta::assert_snapshot!(path(&found), @r"
        /home/ana/.config/braid/config.toml   (user's folder)

        -c FILE         not given
        $BRAID_CONFIG   not given
        current folder  no such file   braid.toml
        user's folder   taken          /home/ana/.config/braid/config.toml
        system          not looked at  /etc/braid/config.toml
        ");
        let none = search::search(None, &|_| None, &|_| false);
        assert!(path(&none).starts_with("no configuration found\n"));
    }
}
