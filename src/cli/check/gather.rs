//! From a run, or from the configuration alone, to a report.
//!
//! Owns what is asked of whom, and in which order findings stand. What it says of a thing is said by those who know the
//! thing: programs, lists, clients.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::run::Run;
use super::clients::{self, Client};
use super::diagnosis::{self, Around};
use super::places::Places;
use super::report::{Failure, Finding, Report, Server, Standing};
use super::{idle, listed};
use crate::config::codes::Code;
use crate::config::units::{duration_text, size_text};
use crate::config::values::{Remark, remarks};
use crate::config::{Command, Config, KeySource, Listen, Reach, Secret, ServerConfig, Tls, toml_key};
use crate::hub;
use crate::mcp::method::Kind;
use crate::upstream::link::{Link, State};
use crate::upstream::login_shell::Surroundings;
use crate::upstream::oauth::shell_word;
use crate::wire::fault::Reason;

/// A run whose servers were heard or have failed.
pub(super) async fn of_run(run: &Run, client: Option<&'static Client>, written: Option<&Config>) -> Report {
    let config = run.hub.config();
    let catalog = run.seat.view().catalog();
    let mut report = of_configuration(config, written);
    let reports = run.seat.reports();
    let places = Places::new(home().as_deref(), shell_path(run, &reports).await.as_deref());
    let ours = std::env::vars_os().collect();
    let around = Around { config, written, ours, home: home(), places, client };
    for found in reports {
        let Some(settings) = config.servers.get(found.at) else { continue };
        let number = |kind| catalog.count(kind, found.at);
        let mut server = Server {
            name: found.key.clone(),
            transport: found.transport.to_owned(),
            tools: number(Kind::Tools),
            prompts: number(Kind::Prompts),
            resources: number(Kind::Resources),
            templates: number(Kind::Templates),
            hidden: super::rows::hidden(&catalog, found.at),
            ..Server::default()
        };
        let command = lent(run, settings).await;
        match &found.state {
            State::Ready(link) => {
                server.state = Standing::Ready;
                server.revision = Some(link.greeting().revision.as_str().to_owned());
                server.took_ms = u64::try_from(link.took().as_millis()).ok();
                server.notes = run.seat.troubles(found.at);
                report.findings.extend(slow(config, settings, link.took()));
                report.findings.extend(long_instructions(config, settings, link));
                if let Some(command) = &command {
                    report.findings.extend(diagnosis::findings(&around, settings, command));
                }
            }
            State::Down { .. } | State::Connecting => {
                let failure = failure(&found, settings);
                let failure = match &command {
                    Some(command) => diagnosis::explain(&around, settings, command, failure),
                    None => of_remote(settings, failure),
                };
                server.state = Standing::Down;
                server.notes.push(failure.message.clone());
                server.error = Some(failure);
            }
        }
        report.servers.push(server);
    }
    report.findings.extend(listed::findings(config, &catalog, client));
    report.findings.extend(idle::findings(run, &catalog));
    let names = listed::numbers(config, &catalog);
    if let Some(client) = client {
        report.findings.extend(client.over(&names));
        report.findings.extend(client.impatience(config));
        report.findings.extend(cut_instructions(run, client).await);
    }
    report.clients = clients::judge(&names, client);
    report.names = Some(names);
    report
}

/// What can be known with nothing started.
pub(super) fn offline(config: &Config, client: Option<&'static Client>, written: Option<&Config>) -> Report {
    let mut report = of_configuration(config, written);
    let places = Places::new(home().as_deref(), None);
    let ours = std::env::vars_os().collect();
    let around = Around { config, written, ours, home: home(), places, client };
    for settings in &config.servers {
        let mut server = Server { name: settings.key.clone(), ..Server::default() };
        let failure = match &settings.reach {
            Reach::Stdio(command) => {
                server.transport = "stdio".to_owned();
                report.findings.extend(diagnosis::findings(&around, settings, command));
                diagnosis::foreseen(&around, settings, command)
            }
            Reach::Http(remote) => {
                server.transport = "http".to_owned();
                let lost = remote.ca_file.as_ref().filter(|file| !file.is_file());
                lost.map(|file| {
                    let message = format!("`ca_file` does not exist: {}", file.display());
                    Failure::new(Code::RemoteUnreachable, message)
                })
            }
        };
        if let Some(failure) = failure {
            server.state = Standing::Down;
            server.notes.push(failure.message.clone());
            server.error = Some(failure);
        }
        report.servers.push(server);
    }
    report
}

/// What the configuration says by itself.
fn of_configuration(config: &Config, written: Option<&Config>) -> Report {
    let mut report = Report { config: config.origin.clone(), ..Report::default() };
    let remarks = written.map(|written| remarks(config, written)).unwrap_or_default();
    let told = written.map(|written| told(&written.listen)).unwrap_or_default();
    let has_secret = !told.is_empty() || remarks.iter().any(|remark| remark.code == Code::LiteralSecret);
    report.findings.extend(told.into_iter().map(|key| {
        let text = format!("`listen.{key}` is written out");
        Finding::warning(None, Code::LiteralSecret, text).help("write `${file:PATH}` or `${NAME}` instead")
    }));
    report.findings.extend(remarks.into_iter().map(|remark| {
        let Remark { code, server, key, text, help } = remark;
        Finding::warning(Some(&server), code, format!("`{key}` {text}")).help(help)
    }));
    report.findings.extend(others_may_read(config).filter(|_| has_secret));
    for (name, file) in files_of(&config.listen) {
        if !file.is_file() {
            let text = format!("`listen.{name}` does not exist: {}", file.display());
            let help = "`braid serve` needs it";
            report.findings.push(Finding::warning(None, Code::Unreadable, text).help(help));
        }
    }
    report
}

/// The keys of secrets that stand in the file themselves.
fn told(listen: &Listen) -> Vec<String> {
    let is_told = |secret: &Secret| !secret.expose().contains("${");
    let tokens = listen.tokens.iter().filter(|holder| is_told(&holder.token));
    let asked = listen.oauth.as_ref().and_then(|oauth| oauth.introspection.as_ref());
    let asked = asked.filter(|asked| is_told(&asked.client_secret));
    tokens
        .map(|holder| format!("tokens.{}", toml_key(&holder.name)))
        .chain(asked.map(|_| "oauth.introspection.client_secret".to_owned()))
        .collect()
}

/// The files that must be there before anybody listens.
fn files_of(listen: &Listen) -> Vec<(&'static str, &Path)> {
    let mut files: Vec<(_, &Path)> = Vec::new();
    if let Some(Tls { cert, key, clients }) = &listen.tls {
        files.extend([("tls.cert", cert.as_path()), ("tls.key", key)]);
        files.extend(clients.iter().map(|clients| ("tls.client_ca", clients.ca.as_path())));
    }
    if let Some(KeySource::File(file)) = listen.oauth.as_ref().map(|oauth| &oauth.keys) {
        files.push(("oauth.jwks_file", file));
    }
    let trusted = listen.oauth.as_ref().and_then(|oauth| oauth.ca_file.as_deref());
    files.extend(trusted.map(|file| ("oauth.ca_file", file)));
    files
}

/// That the file can be read by others than its owner.
#[cfg(unix)]
fn others_may_read(config: &Config) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let mode =
        std::fs::metadata(&config.origin).ok().filter(std::fs::Metadata::is_file)?.permissions().mode();
    (mode & 0o044 != 0).then(|| {
        let text = format!("{} holds a secret, and others may read it", config.origin);
        Finding::warning(None, Code::ReadableSecret, text).help(format!("chmod 600 {}", config.origin))
    })
}

#[cfg(not(unix))]
fn others_may_read(_: &Config) -> Option<Finding> {
    None
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from)
}

/// The PATH of the login shell, where that may be what a program is missing.
async fn shell_path(run: &Run, reports: &[hub::Report]) -> Option<String> {
    let wanted = [Code::ProgramNotFound, Code::InterpreterNotFound, Code::ExitedEarly];
    let is_wanted = reports.iter().any(|report| match &report.state {
        State::Down { why, .. } => why.explain.is_some_and(|code| wanted.contains(&code)),
        State::Ready(_) | State::Connecting => false,
    });
    if !is_wanted || !cfg!(unix) {
        return None;
    }
    let shell = &run.nursery.login_shell;
    shell.path(&Surroundings::of_process(), &run.nursery).await.map(str::to_owned)
}

/// The program of a server with the PATH that it is started with.
async fn lent(run: &Run, settings: &ServerConfig) -> Option<Command> {
    match &settings.reach {
        Reach::Stdio(command) => {
            let shell = &run.nursery.login_shell;
            Some(shell.lend(command, settings.path_from_shell, &run.nursery).await)
        }
        Reach::Http(_) => None,
    }
}

/// Why a server is not there, as its supervisor says it.
pub(super) fn failure(found: &hub::Report, settings: &ServerConfig) -> Failure {
    let State::Down { why, last_words, .. } = &found.state else {
        let key = toml_key(&settings.key);
        let start = duration_text(settings.timeouts.start);
        let text = format!("is still starting (servers.{key}.timeouts.start is {start})");
        return Failure::new(Code::NoHandshake, text);
    };
    let lost = if why.reason == Some(Reason::Gone) { Code::ServerGone } else { Code::ServerUnreachable };
    let code = why.explain.unwrap_or(lost);
    let sentence = last_words.without(&why.text);
    let sentence =
        sentence.strip_prefix(&*found.key).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(sentence);
    let sentence = sentence.strip_suffix(&format!(" ({code})")).unwrap_or(sentence);
    let stderr = last_words.lines().map(str::to_owned).collect();
    Failure { stderr, ..Failure::new(code, sentence) }
}

/// What may help with a server at a URL.
fn of_remote(settings: &ServerConfig, mut failure: Failure) -> Failure {
    let Reach::Http(remote) = &settings.reach else { return failure };
    failure.facts.push(format!("at {}", remote.shown()));
    let key = toml_key(&settings.key);
    let has_token = !remote.headers.is_empty() || remote.headers_command.is_some();
    let fixes = [
        (Code::CredentialsRefused, has_token, format!("another token in servers.{key}.headers")),
        (
            Code::CredentialsRefused,
            !has_token,
            format!("servers.{key}.headers = {{ Authorization = \"Bearer ${{file:PATH}}\" }}"),
        ),
        (
            Code::LoginNeeded,
            !settings.is_reached_by_grant(),
            format!("braid login {}", shell_word(&settings.key)),
        ),
        (
            Code::LoginNeeded,
            true,
            "braid serve, for clients with a token of the identity provider".to_owned(),
        ),
        (Code::RemoteRefused, true, "the path of the MCP endpoint in `url`: often /mcp or /sse".to_owned()),
        (Code::NoHandshake, true, format!("servers.{key}.timeouts.start = \"1m\"")),
    ];
    let fits = |(code, fits, _): &(Code, bool, String)| *code == failure.code && *fits;
    let fix = fixes.into_iter().find(fits).map(|(_, _, fix)| fix);
    failure.fixes.extend(fix);
    failure
}

/// A server that nearly was too late, or comes after the first list.
fn slow(config: &Config, settings: &ServerConfig, took: Duration) -> Option<Finding> {
    let key = Some(settings.key.as_str());
    let start = settings.timeouts.start;
    let shown = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    if took > start.mul_f64(SLOW_SHARE) {
        let name = format!("servers.{}.timeouts.start", toml_key(&settings.key));
        let text = format!("took {} of the {} that it may ({name})", shown(took), shown(start));
        return Some(Finding::warning(key, Code::StartSlow, text).help(format!("a longer `{name}`")));
    }
    (took > config.first_list).then(|| {
        let first = duration_text(config.first_list);
        let text = format!(
            "took {}: the first list is answered without it (timeouts.first_list is {first})",
            shown(took)
        );
        Finding::note(key, Code::ListLate, text)
    })
}

/// Instructions of one server that do not fit in what is left for all.
fn long_instructions(config: &Config, settings: &ServerConfig, link: &Link) -> Option<Finding> {
    let bytes = link.greeting().instructions.as_deref().map_or(0, str::len);
    let max = config.identity.instructions_bytes_max;
    let merges = config.identity.instructions == crate::config::Instructions::Merge;
    (merges && bytes > max).then(|| {
        let text = format!(
            "its instructions have {bytes} bytes; those of all servers are cut to {} (identity.instructions_budget)",
            size_text(max)
        );
        Finding::note(Some(&settings.key), Code::DescriptionCut, text)
    })
}

/// Merged instructions that the client cuts.
async fn cut_instructions(run: &Run, client: &Client) -> Option<Finding> {
    let max = client.text_bytes_max?;
    let bytes = run.seat.instructions(Duration::ZERO).await?.len();
    (bytes > max).then(|| {
        let text = format!("the instructions have {bytes} bytes, and {} cuts them at {max}", client.title);
        let help = format!("identity.instructions_budget = \"{}\"", size_text(max));
        Finding::warning(None, Code::DescriptionCut, text).help(help)
    })
}

/// From this part of `timeouts.start` on a start is slow.
const SLOW_SHARE: f64 = 2.0 / 3.0;

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_start_is_slow_by_what_it_may_take() {
        let config = Config::new("x", Path::new("/"));
        let reach = Reach::Stdio(Command::new("x", Path::new("/")));
        let settings = ServerConfig::new("my server", reach);
        let said = |ms| {
            let found = slow(&config, &settings, Duration::from_millis(ms))?;
            Some(format!("{} {}", found.code, found.text))
        };
        assert_eq!(said(4_000), None);
        let late = "BRAID-T003 took 4.1 s: the first list is answered without it (timeouts.first_list is 4s)";
        assert_eq!(said(4_100).as_deref(), Some(late));
        let slow = "BRAID-T011 took 25.0 s of the 30.0 s that it may (servers.\"my server\".timeouts.start)";
        assert_eq!(said(25_000).as_deref(), Some(slow));
    }
}
