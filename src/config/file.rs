//! From a file to a `Config`: which format it is, what is wrong with it, and who reads it.
//!
//! `section` holds `braid.toml` against the schema and `resolve` makes a `Config` of it; `client_file` reads
//! everybody else's. This is the only place that reads the configuration file itself. It starts nothing.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codes::Code;
pub use super::loaded::Loaded;
use super::problem::{Problem, Report, Source, quoted};
use super::resolve::resolve;
use super::tree::{self, Node, SyntaxError};
use super::variables::{Dialect, Purpose, Surroundings, Variables, reason};
use super::{client_file, cover};

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

pub(super) fn read_text(path: &Path) -> Result<String, String> {
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
    let root = parsed(text, origin)?;
    let source = Arc::new(Source { origin: origin.to_owned(), text: cover::by_tree(text, &root) });
    if is_toml(text, origin) {
        // Codex keeps its servers in TOML; anything else in TOML is ours.
        let codex = root.get("mcp_servers").filter(|entry| entry.node.is_table());
        if codex.is_some() && root.get("servers").is_none() {
            return client_file::read(&root, text, &source, folder, surroundings, purpose);
        }
        let variables =
            Variables { surroundings, folder, dialect: Dialect::Braid, purpose, inputs: BTreeMap::new() };
        return resolve(&root, text, &source, &variables);
    }
    client_file::read(&root, text, &source, folder, surroundings, purpose)
}

/// Whether a text is a client's own file, which Braid reads but does not keep its servers in.
pub fn is_clients(text: &str, origin: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let has = |root: &Node, key: &str| root.get(key).is_some_and(|entry| entry.node.is_table());
    !is_toml(text, origin)
        || parsed(text, origin).is_ok_and(|root| has(&root, "mcp_servers") && !has(&root, "servers"))
}

/// The tree of a text in whichever format it is, or a report of what cannot be parsed. No mark stands before it.
pub(super) fn parsed(text: &str, origin: &str) -> Result<Node, Report> {
    if is_toml(text, origin) {
        let (root, errors) = tree::from_toml(text);
        return if errors.is_empty() { Ok(root) } else { Err(syntax_report(text, origin, errors)) };
    }
    tree::from_json(text).map_err(|error| syntax_report(text, origin, vec![error]))
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
    let source = Arc::new(Source { origin: origin.to_owned(), text: cover::broken(text) });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::State;
    use crate::config::schema::{Form, SETTINGS, Setting};
    use crate::config::section::{LIST_MAX, NAMED_MAX};
    use crate::config::{AdminSocket, Command, Prefix, Reach, Restart, Secret, ServerConfig};
    use std::time::Duration;

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
        let Reach::Stdio(command) = &server.reach else { panic!("a program") };
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
        let report = read("nam = 1\n[servers.a]\ncommand = 5\nurl = \"https://x\"\n[timeouts]\ncall = 5\n")
            .unwrap_err();
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
        let surroundings =
            Surroundings { env: &env, program: None, current_folder: None, files: Default::default() };
        let text = "[servers.a]\ncommand = \"${TOKEN}/x\"\nargs = [\"${NO}\"]\ncwd = \"${HOME}/x\"\nenv = { A = \"${TOKEN}\" }\n";
        let loaded =
            from_text_with(text, "braid.toml", Path::new("/f"), &surroundings, Purpose::Show).unwrap();
        let run = command(&loaded.config.servers[0]);
        assert_eq!((run.program.as_str(), run.args[0].as_str()), ("${TOKEN}/x", "${NO}"));
        assert_eq!(run.folder, Path::new("${HOME}/x"));
    }

    #[test]
    fn those_who_look_after_us_are_met_where_the_file_says() {
        let with =
            |text: &str| read(&format!("{text}\n[servers.a]\ncommand = \"x\"\n")).map(|loaded| loaded.config);
        let config = with("[admin]\nsocket = \"${HOME}/s\"\nhttp = \"[::1]:9\"\naudit = \"a\"\n[log]\nfile = \"~/l\"\nredact = []").unwrap();
        assert_eq!(config.admin.socket, AdminSocket::At("/home/ana/s".into()));
        assert_eq!(config.admin.http, Some("[::1]:9".parse().unwrap()));
        assert_eq!(config.admin.audit.as_deref(), Some(Path::new("/etc/braid/a")));
        assert_eq!(config.log.file.as_deref(), Some(Path::new("/home/ana/l")));
        assert_eq!(config.log.redact, Vec::<String>::new());
        assert_eq!(with("[admin]\nsocket = \"off\"").unwrap().admin.socket, AdminSocket::Off);
        for text in ["\"auto\"", "\"\""] {
            assert_eq!(with(&format!("[admin]\nsocket = {text}")).unwrap().admin.socket, AdminSocket::Auto);
        }
        for http in ["localhost:9", "127.0.0.1", ":9", "http://127.0.0.1:9"] {
            let report = with(&format!("[admin]\nhttp = \"{http}\"")).unwrap_err();
            assert_eq!(report.problems[0].code, Code::BadText, "{http}");
        }
    }

    /// Whether the reader calls the value out of bounds.
    fn refused(setting: &Setting, value: &str) -> bool {
        let path = setting.path.replace("servers.*", "servers.a").replace("tool.*", "tool.t");
        let reach =
            if path.starts_with("servers.a.oauth") { "url = \"https://x\"" } else { "command = \"x\"" };
        let text = format!("servers.a.{reach}\n{path} = {value}\n");
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
                | Form::Headers
                | Form::Values
                | Form::Word(_)
                | Form::Rate => continue,
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
