//! A client's own file as a source: Claude, Cursor, VS Code, Zed, Windsurf, Cline, Codex, Gemini and their kin.
//!
//! The file is told by its shape, not by its name. Nobody wrote it for us, so it is read leniently: what cannot
//! be used is left out with one warning, and the rest works. Only a file without any usable entry is an error.
//! Nothing is ever written to it here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::client::Client;
use super::client_entry::{Beside, EntryReader, is_disabled};
use super::codes::Code;
use super::loaded::Loaded;
use super::problem::{self, Problem, Report, Source, quoted};
use super::section::NAMED_MAX;
use super::strict_json;
use super::tree::{Entry, Node, Value};
use super::variables::{Dialect, Purpose, Surroundings, Variables};
use super::{Config, ServerConfig};

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
    let variables = variables(client, root, &folder, surroundings, purpose);
    let mut reader = reader(raw, source, &variables, client);
    let mut config = Config::new(&source.origin, &folder);
    config.servers = each_server(&mut reader, servers, |_, _, server| server);
    reader.warnings.extend(strict_json::warnings(servers, raw, source));
    let mut problems = reader.warnings;
    if config.servers.is_empty() {
        problems.push(nothing_usable(servers, source));
        return Err(Report::new(source, problems));
    }
    problem::sort(&mut problems);
    Ok(Loaded { config, warnings: problems })
}

/// One entry of a client's file, in the words of `braid.toml`.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) server: ServerConfig,
    pub(super) beside: Beside,
    pub(super) enabled: bool,
}

/// The entries of a client's file that can be written elsewhere, and why the others cannot.
///
/// `within`: where in the file they stand, if not where such files have them. A file without servers has no entries.
pub(super) fn take(
    root: &Node,
    raw: &str,
    source: &Arc<Source>,
    folder: &Path,
    within: &[String],
    surroundings: &Surroundings<'_>,
) -> Result<(Vec<Taken>, Vec<Problem>), Report> {
    let servers = match within.split_first() {
        None => match servers_of(root, source) {
            Ok(servers) => Some(servers),
            Err(problem) if problem.code == Code::UnknownShape => None,
            Err(problem) => return Err(Report::new(source, vec![*problem])),
        },
        Some((first, rest)) => {
            let found = root.get(first);
            found.and_then(|found| rest.iter().try_fold(found, |entry, key| entry.node.get(key)))
        }
    };
    let Some(servers) = servers else { return Ok((Vec::new(), Vec::new())) };
    let client = Client::of(&source.origin, root);
    let variables = variables(client, root, folder, surroundings, Purpose::Import);
    let mut reader = reader(raw, source, &variables, client);
    let taken = each_server(&mut reader, servers, |reader, entry, server| Taken {
        server,
        beside: std::mem::take(&mut reader.beside),
        enabled: !is_disabled(&entry.node),
    });
    let mut problems = reader.warnings;
    problem::sort(&mut problems);
    Ok((taken, problems))
}

fn variables<'v>(
    client: Client,
    root: &Node,
    folder: &'v Path,
    surroundings: &'v Surroundings<'v>,
    purpose: Purpose,
) -> Variables<'v> {
    let dialect = if client == Client::Gemini { Dialect::Dollar } else { Dialect::Client };
    Variables { surroundings, folder, dialect, purpose, inputs: inputs(root) }
}

fn reader<'v>(
    raw: &'v str,
    source: &'v Arc<Source>,
    variables: &'v Variables<'v>,
    client: Client,
) -> EntryReader<'v> {
    EntryReader { raw, source, variables, client, warnings: Vec::new(), beside: Beside::default() }
}

/// What is made of each server that can be used, in the order of the file.
fn each_server<T>(
    reader: &mut EntryReader<'_>,
    servers: &Entry,
    make: impl Fn(&mut EntryReader<'_>, &Entry, ServerConfig) -> T,
) -> Vec<T> {
    let entries = servers.node.entries();
    let last: BTreeMap<&str, usize> =
        entries.iter().enumerate().map(|(index, entry)| (entry.key.as_str(), index)).collect();
    let mut made = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        if last.get(entry.key.as_str()) != Some(&index) {
            let message = format!("{} stands there twice", quoted(&entry.key));
            reader.warn(Code::RepeatedKey, message, &entry.key_span, "the last one counts");
        } else if made.len() == NAMED_MAX {
            reader.warn(
                Code::EntrySkipped,
                "too many servers",
                &entry.key_span,
                format!("at most {NAMED_MAX}"),
            );
            break;
        } else if let Some(server) = reader.server(entry) {
            made.push(make(reader, entry, server));
        }
    }
    made
}

fn nothing_usable(servers: &Entry, source: &Arc<Source>) -> Problem {
    let none = servers.node.entries().is_empty();
    let message = if none { "no server in this file" } else { "no entry of this file can be used" };
    Problem::error(source, Code::NoServers, message)
        .at(&servers.key_span, "")
        .help("entries with a `command` or a `url` that are not disabled can be used")
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
pub(super) fn workspace(file_folder: &Path) -> PathBuf {
    let name = file_folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let around = file_folder.parent().filter(|_| CLIENT_FOLDERS.contains(&name));
    around.unwrap_or(file_folder).to_owned()
}

/// What VS Code's `inputs` give without asking.
fn inputs(root: &Node) -> BTreeMap<String, String> {
    let given = asked(root).into_iter();
    given.filter_map(|input| input.default.map(|default| (input.id, default))).collect()
}

/// Something that VS Code asks its user for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub id: String,
    pub description: Option<String>,
    pub default: Option<String>,
    /// What is answered is a secret.
    pub password: bool,
}

/// The `inputs` of a file, whether anything refers to them or not.
pub(super) fn asked(root: &Node) -> Vec<Input> {
    let text = |node: &Node, key: &str| {
        let Value::Text(text) = &node.get(key)?.node.value else { return None };
        Some(text.clone())
    };
    let Some(Value::List(inputs)) = root.get("inputs").map(|entry| &entry.node.value) else {
        return Vec::new();
    };
    let input = |node: &Node| {
        let password = node.get("password").is_some_and(|found| found.node.value == Value::Flag(true));
        Some(Input {
            id: text(node, "id")?,
            description: text(node, "description"),
            default: text(node, "default"),
            password,
        })
    };
    inputs.iter().filter_map(input).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Restart;
    use crate::config::file::{from_text, from_text_with};
    use crate::config::{Command, Reach, Remote, Secret, Transport};
    use std::time::Duration;

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
        let Reach::Stdio(command) = &server.reach else { panic!("a program") };
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
                "h": {"type": "ws", "url": "wss://x/mcp"},
                "w": {"url": "unix:///run/x#/mcp"},
                "t": {"type": "http"},
                "p": {"url": "https://u:s3cret@x"},
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
        assert_eq!(keys(&loaded), ["u", "bridge", "demo", "ok"]);
        assert_eq!(
            codes(&loaded),
            [
                Code::RemoteSkipped,
                Code::RemoteSkipped,
                Code::EntrySkipped,
                Code::EntrySkipped,
                Code::EntrySkipped,
                Code::UnsetVariable,
                Code::EntrySkipped,
                Code::LoopSkipped,
                Code::KeyIgnored,
            ]
        );
    }

    fn remote(loaded: &Loaded) -> &Remote {
        let Reach::Http(remote) = &loaded.config.servers[0].reach else { panic!("a remote server") };
        remote
    }

    #[test]
    fn every_way_to_write_a_remote_server_is_read() {
        let gemini = "/home/ana/.gemini/settings.json";
        for (origin, keys, transport) in [
            ("mcp.json", r#""url": "https://x/mcp""#, Transport::Auto),
            ("mcp_config.json", r#""serverUrl": "https://x/mcp""#, Transport::Auto),
            ("mcp.json", r#""type": "http", "url": "https://x/mcp""#, Transport::Auto),
            (".mcp.json", r#""type": "http", "url": "https://x/mcp""#, Transport::Http),
            (".mcp.json", r#""type": "sse", "url": "https://x/mcp""#, Transport::Sse),
            ("mcp.json", r#""type": "streamable-http", "url": "https://x/mcp""#, Transport::Http),
            (
                "cline_mcp_settings.json",
                r#""type": "streamableHttp", "url": "https://x/mcp""#,
                Transport::Http,
            ),
            (gemini, r#""httpUrl": "https://x/mcp""#, Transport::Http),
            (gemini, r#""url": "https://x/mcp""#, Transport::Sse),
            (gemini, r#""url": "https://x/mcp", "type": "http""#, Transport::Http),
            ("mcp.json", r#""type": "http", "command": null, "url": "https://x/mcp""#, Transport::Auto),
        ] {
            let loaded = read_as(origin, "/f", &format!(r#"{{"mcpServers": {{"a": {{{keys}}}}}}}"#));
            assert_eq!(loaded.warnings, [], "{keys}");
            let expected = Remote { transport, ..Remote::new("https://x/mcp") };
            assert_eq!(remote(&loaded), &expected, "{origin} {keys}");
        }
    }

    #[test]
    fn clients_headers_are_sent_except_the_transports_own() {
        let loaded = read_as(
            ".mcp.json",
            "/f",
            r#"{"mcpServers": {"a": {"type": "http", "url": "https://${NO:-x}/mcp", "headersHelper": "get it", "timeout": 5000,
                "headers": {"Authorization": "Bearer ${TOKEN}", "X-Count": 5, "Accept": "*/*", "x-count": 6, "B": null},
                "oauth": {"clientId": "c"}, "args": ["y"], "env": {}}}}"#,
        );
        let secret = |name: &str, value: &str| (name.to_owned(), Secret::new(value));
        let found = remote(&loaded);
        assert_eq!(found.url, "https://x/mcp");
        assert_eq!(found.headers, [secret("Authorization", "Bearer s3cret"), secret("x-count", "6")]);
        let helper = Command {
            args: vec!["-c".to_owned(), "get it".to_owned()],
            ..Command::new("sh", Path::new("/f"))
        };
        assert_eq!(found.headers_command, Some(helper));
        assert_eq!(loaded.config.servers[0].timeouts.call, Duration::from_secs(5));
        assert_eq!(codes(&loaded), [Code::KeyIgnored, Code::KeyIgnored, Code::KeyIgnored]);
    }

    #[test]
    fn codex_names_the_variables_of_its_headers() {
        let text = "[mcp_servers.a]\nurl = \"https://x/mcp\"\nbearer_token_env_var = \"TOKEN\"\nhttp_headers = { X = \"1\" }\nenv_http_headers = { Y = \"HOME\" }\n";
        let loaded = read_as("config.toml", "/f", text);
        let headers: Vec<_> =
            remote(&loaded).headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(headers, [("Authorization", "Bearer s3cret"), ("X", "1"), ("Y", "/home/ana")]);
        assert_eq!(loaded.warnings, []);
        let surroundings =
            Surroundings { env: &env, program: None, current_folder: None, files: Default::default() };
        let shown =
            from_text_with(text, "config.toml", Path::new("/f"), &surroundings, Purpose::Show).unwrap();
        let values: Vec<_> = remote(&shown).headers.iter().map(|(_, value)| value.expose()).collect();
        assert_eq!(values, ["Bearer ${TOKEN}", "1", "${HOME}"]);
    }

    #[test]
    fn a_remote_entry_that_cannot_be_sent_is_left_out() {
        for (entry, code) in [
            (r#""url": "https://x", "headers": {"A B": "c"}"#, Code::EntrySkipped),
            (r#""url": "https://x", "headers": {"A": "c\r\nD: e"}"#, Code::EntrySkipped),
            (r#""url": "https://x", "headers": ["A"]"#, Code::EntrySkipped),
            (r#""url": "https://x", "headers": {"A": "${NO}"}"#, Code::UnsetVariable),
            (r#""url": "https://x", "bearer_token_env_var": "NO""#, Code::UnsetVariable),
            (r#""url": "https://x", "type": "stdin""#, Code::RemoteSkipped),
            (r#""url": 5"#, Code::EntrySkipped),
            (r#""url": "ftp://x""#, Code::RemoteSkipped),
        ] {
            let loaded = read_as(
                "mcp.json",
                "/f",
                &format!(r#"{{"mcpServers": {{"a": {{{entry}}}, "ok": {{"url": "https://y"}}}}}}"#),
            );
            assert_eq!((keys(&loaded), codes(&loaded)), (vec!["ok"], vec![code]), "{entry}");
        }
        let loaded = read_as(
            "mcp.json",
            "/f",
            r#"{"mcpServers": {"a": {"url": "http://x", "headers": {"Authorization": "t"}}}}"#,
        );
        assert_eq!((keys(&loaded), codes(&loaded)), (vec!["a"], vec![Code::PlainToken]));
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
        assert_eq!(server.filters.tools.allow, ["t"]);
        assert_eq!(codes(&loaded), []);
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
        let surroundings =
            Surroundings { env: &env, program: None, current_folder: None, files: Default::default() };
        let text = r#"{"mcpServers": {"a": {"command": "x", "args": ["${NO}"], "env": {"A": "${TOKEN}"}, "envFile": "none"}}}"#;
        let loaded = from_text_with(text, "mcp.json", Path::new("/f"), &surroundings, Purpose::Show).unwrap();
        let run = command(&loaded.config.servers[0]);
        assert_eq!((run.args[0].as_str(), run.env[0].1.expose()), ("${NO}", "${TOKEN}"));
    }
}
