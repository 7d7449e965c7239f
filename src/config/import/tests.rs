use super::*;
use crate::config::Command;
use crate::config::ServerConfig;
use crate::config::app::App;

fn env(name: &str) -> Option<String> {
    let value = match name {
        "TOKEN" => "s3cret",
        "HOME" => "/home/ana",
        _ => return None,
    };
    Some(value.to_owned())
}

fn surroundings() -> Surroundings<'static> {
    Surroundings {
        env: &env,
        program: Some("/opt/own".into()),
        current_folder: Some("/cwd".into()),
        files: Default::default(),
    }
}

const FOLDER: &str = "/home/ana/.config/braid";

fn batch_of(app: Option<App>, path: &str, scope: Scope, text: &str) -> Batch {
    let origin = Origin { app, path: path.into(), scope, within: Vec::new() };
    let target = Target { folder: Path::new(FOLDER), ports: &[8808] };
    read(&origin, text, &surroundings(), &target).unwrap_or_else(|report| panic!("{}", report.render(false)))
}

fn batch(path: &str, text: &str) -> Batch {
    batch_of(None, path, Scope::User, text)
}

fn written(path: &str, scope: Scope, text: &str) -> String {
    let batch = batch_of(None, path, scope, text);
    let merged = merge(Some(""), batch.servers).unwrap();
    merged.text
}

#[test]
fn an_entry_becomes_a_section() {
    let text = r#"{"mcpServers": {
        "Git Hub": {"command": "npx", "args": ["-y", "x"], "env": {"TOKEN": "${TOKEN}", "B": "1"}, "timeout": 90000, "envFile": "v.env"},
        "off": {"disabled": true, "command": "./bin/x"},
        "far": {"type": "sse", "url": "https://x/mcp?k=v", "headers": {"Authorization": "Bearer ${TOKEN}"}}
    }}"#;
    assert_eq!(
        written("/home/ana/.cursor/mcp.json", Scope::User, text),
        r#"# from /home/ana/.cursor/mcp.json
[servers."Git Hub"]
command = "npx"
args = ["-y", "x"]
env = { TOKEN = "${TOKEN}", B = "1" }
env_file = "/home/ana/v.env"
timeouts.call = "90s"

# from /home/ana/.cursor/mcp.json
[servers.off]
command = "/home/ana/bin/x"
enabled = false

# from /home/ana/.cursor/mcp.json
[servers.far]
url = "https://x/mcp?k=v"
transport = "sse"
headers = { Authorization = "Bearer ${TOKEN}" }
"#
        .replace("90s", "1m30s")
    );
}

#[test]
fn a_projects_servers_stay_in_their_folder() {
    let text = r#"{"mcpServers": {"a": {"command": "x"}, "b": {"command": "x", "cwd": "sub"}, "c": {"command": "x", "cwd": "/home/ana/.config/braid"}}}"#;
    let project = written("/p/.cursor/mcp.json", Scope::Project, text);
    let folders: Vec<_> = project.lines().filter(|line| line.starts_with("cwd")).collect();
    assert_eq!(folders, ["cwd = \"/p\"", "cwd = \"/p/sub\""]);
    let user = written("/home/ana/.cursor/mcp.json", Scope::User, text);
    let folders: Vec<_> = user.lines().filter(|line| line.starts_with("cwd")).collect();
    assert_eq!(folders, ["cwd = \"/home/ana/sub\""]);
}

/// A file of each client, with what it can say.
const FILES: [(&str, &str); 10] = [
    (
        "/home/ana/.config/Claude/claude_desktop_config.json",
        r#"{"globalShortcut": "", "mcpServers": {"fs": {"command": "npx", "args": ["-y", "fs", "/home/ana/my docs"], "env": {"LOG": "debug"}}}}"#,
    ),
    (
        "/p/.mcp.json",
        r#"{"mcpServers": {"a": {"type": "stdio", "command": "npx", "args": ["${NO:-d}"], "env": {"T": "${TOKEN}"}, "timeout": 5000},
            "b": {"type": "http", "url": "https://${NO:-x}/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}, "headersHelper": "get it"}}}"#,
    ),
    (
        "/p/.cursor/mcp.json",
        r#"{"mcpServers": {"a": {"command": "${workspaceFolder}/run", "args": ["${userHome}", "${env:TOKEN}", "$TOKEN", "$${TOKEN}"]}, "b": {"url": "https://x/sse"}}}"#,
    ),
    (
        "/p/.vscode/mcp.json",
        "// mine\n{\"inputs\": [{\"id\": \"region\", \"type\": \"promptString\", \"default\": \"eu\"}], \"servers\": {\"a\": {\"type\": \"stdio\", \"command\": \"npx\", \"args\": [\"${input:region}\"], \"env\": {\"N\": null, \"K\": 5},},},}",
    ),
    (
        "/home/ana/.config/zed/settings.json",
        r#"{"theme": "One", "context_servers": {"a": {"source": "custom", "command": "npx", "args": ["x"], "env": {"A": "b"}}, "b": {"command": {"path": "x", "args": ["y"]}}, "c": {"url": "https://x", "headers": {"Authorization": "Bearer t"}}}}"#,
    ),
    (
        "/home/ana/.codeium/windsurf/mcp_config.json",
        r#"{"mcpServers": {"a": {"command": "npx", "env": {"T": "${env:TOKEN}"}, "disabledTools": ["x"]}, "b": {"serverUrl": "https://x/mcp"}}}"#,
    ),
    (
        "/home/ana/cline_mcp_settings.json",
        r#"{"mcpServers": {"a": {"command": "npx", "timeout": 3600, "autoApprove": ["x"], "disabled": false}, "b": {"type": "streamableHttp", "url": "https://x/mcp"}}}"#,
    ),
    (
        "/p/.roo/mcp.json",
        r#"{"mcpServers": {"a": {"command": "npx", "cwd": "sub", "alwaysAllow": [], "watchPaths": ["x"]}, "b": {"type": "streamable-http", "url": "https://x/mcp", "headers": {"X": "y"}}}}"#,
    ),
    (
        "/home/ana/.codex/config.toml",
        "model = \"o9\"\n[mcp_servers.a]\ncommand = \"npx\"\nargs = [\"x\"]\nenv_vars = [\"TOKEN\"]\nstartup_timeout_sec = 20\ntool_timeout_sec = 3600\nrequired = true\nenabled_tools = [\"t\"]\n[mcp_servers.a.env]\nA = \"b\"\n[mcp_servers.b]\nurl = \"https://x/mcp\"\nbearer_token_env_var = \"TOKEN\"\nhttp_headers = { X = \"y\" }\nenv_http_headers = { Z = \"HOME\" }\n",
    ),
    (
        "/home/ana/.gemini/settings.json",
        r#"{"mcpServers": {"a": {"command": "./run", "args": ["$TOKEN", "$NO", "${TOKEN}"], "timeout": 600000, "trust": true, "includeTools": ["t"]}, "b": {"httpUrl": "https://x/mcp"}, "c": {"url": "https://x/sse"}}}"#,
    ),
];

#[test]
fn a_server_of_each_client_is_reached_as_its_client_would() {
    for (path, text) in FILES {
        let folder = Path::new(path).parent().unwrap();
        let theirs = file::from_text_with(text, path, folder, &surroundings(), Purpose::Run).unwrap();
        let project = path.starts_with("/p/");
        let ours = written(path, if project { Scope::Project } else { Scope::User }, text);
        let ours =
            file::from_text_with(&ours, "braid.toml", Path::new(FOLDER), &surroundings(), Purpose::Run)
                .unwrap_or_else(|report| panic!("{path}: {}\n{ours}", report.render(false)));
        let same = |mut servers: Vec<ServerConfig>| {
            for server in &mut servers {
                match &mut server.reach {
                    // Where nothing is written, a user's own server runs wherever its client is.
                    Reach::Stdio(command) if !project => command.folder = PathBuf::new(),
                    Reach::Stdio(command) => command.program = command.program.replace("/./", "/"),
                    Reach::Http(remote) => {
                        remote.headers_command.iter_mut().for_each(|command| command.folder = PathBuf::new());
                    }
                }
                if let Reach::Stdio(Command { program, .. }) = &mut server.reach {
                    *program = program.replace("/./", "/");
                }
            }
            servers
        };
        assert_eq!(same(ours.config.servers), same(theirs.config.servers), "{path}");
    }
}

#[test]
fn lists_of_tools_are_carried_over() {
    let batch = batch("/home/ana/.codex/config.toml", FILES[8].1);
    let section = batch.servers[0].section(Literals::Written);
    assert!(section.contains("\ntools = { allow = [\"t\"] }\n"), "{section}");
}

#[test]
fn braid_itself_is_left_out_however_it_is_started() {
    for entry in [
        r#"{"command": "braid", "args": ["stdio"]}"#,
        r#"{"command": "/opt/own", "args": ["stdio", "-c", "x"]}"#,
        r#"{"command": "npx", "args": ["-y", "mcp-braid"]}"#,
        r#"{"command": "uvx", "args": ["mcp-braid", "stdio"]}"#,
        r#"{"command": "cargo", "args": ["run", "--bin", "braid", "--", "stdio"]}"#,
        r#"{"url": "http://127.0.0.1:8808/mcp"}"#,
        r#"{"command": "braid", "args": ["stdio"], "disabled": true}"#,
    ] {
        let batch =
            batch("/x/mcp.json", &format!(r#"{{"mcpServers": {{"a": {entry}, "b": {{"command": "x"}}}}}}"#));
        let names: Vec<_> = batch.servers.iter().map(|server| server.name.as_str()).collect();
        let codes: Vec<_> = batch.problems.iter().map(|problem| problem.code).collect();
        assert_eq!((names, codes), (vec!["b"], vec![Code::LoopSkipped]), "{entry}");
    }
}

#[test]
fn an_entry_that_only_its_client_takes_keeps_nobody_from_the_others() {
    let many = vec!["\"x\""; 1025].join(",");
    let text = format!(
        r#"{{"mcpServers": {{"a": {{"url": "http$s://x"}}, "b": {{"command": "x", "args": [{many}]}}, "c": {{"command": "x"}}}}}}"#
    );
    let batch = batch("/x/mcp.json", &text);
    let names: Vec<_> = batch.servers.iter().map(|server| server.name.as_str()).collect();
    let codes: Vec<_> = batch.problems.iter().map(|problem| problem.code).collect();
    assert_eq!((names, codes), (vec!["c"], vec![Code::EntrySkipped, Code::EntrySkipped]));
}

#[test]
fn no_value_is_shown_that_stands_in_the_clients_file() {
    let text = r#"{"mcpServers": {
        "a": {"command": "x", "args": ["--token", "my-s3cret-word"], "env": {"MIXED": "Bearer s3cret ${TOKEN}", "API_KEY": "s3cret", "LOG": "s3cret", "T": "${TOKEN}", "D_TOKEN": "${NO:-s3cret}", "E": ""}},
        "b": {"url": "https://x/mcp?key=s3cret", "headers": {"Authorization": "Bearer s3cret", "X": "Bearer ${TOKEN}"}}}}"#;
    let batch = batch("/x/mcp.json", text);
    let hidden: String = batch.servers.iter().map(|server| server.section(Literals::Hidden)).collect();
    assert!(!hidden.contains("s3cret") && !format!("{batch:?}").contains("s3cret"), "{hidden}");
    assert!(
        hidden.contains("T = \"${TOKEN}\"")
            && hidden.contains("X = \"Bearer ${TOKEN}\"")
            && hidden.contains("E = \"\""),
        "{hidden}"
    );
    let open: String = batch.servers.iter().map(|server| server.section(Literals::Written)).collect();
    assert_eq!(open.matches("s3cret").count(), 7);
    assert_eq!(batch.servers[0].command().unwrap(), ["x", "--token", "[redacted]"]);
    let secrets: Vec<_> = batch.servers.iter().map(Imported::secrets).collect();
    assert_eq!(secrets, [vec!["API_KEY"], vec!["Authorization"]]);
    assert_eq!(batch.servers[1].url().as_deref(), Some("https://x/mcp?[redacted]"));
}

#[test]
fn what_a_person_answers_takes_the_place_of_its_variable() {
    let text = r#"{"inputs": [{"id": "k", "description": "Key", "password": true}, {"id": "r", "default": "eu"}, {"id": "unused"}],
        "servers": {"a": {"command": "x", "args": ["${input:r}-${input:k}"], "env": {"K": "${input:k}"}}}}"#;
    let mut batch = batch("/x/mcp.json", text);
    let ids: Vec<_> = batch.inputs.iter().map(|input| (input.id.as_str(), input.password)).collect();
    assert_eq!(ids, [("k", true), ("r", false)]);
    let region = batch.inputs[1].clone();
    batch.servers[0].answer(&region, "u${s}");
    let section = batch.servers[0].section(Literals::Written);
    assert!(section.contains(r#"args = ["u$${s}-${MCP_INPUT_K}"]"#), "{section}");
    assert!(section.contains(r#"K = "${MCP_INPUT_K}""#), "{section}");
}

#[test]
fn a_server_that_lacks_something_here_keeps_no_other_from_being_served() {
    let text = r#"{"mcpServers": {"a": {"command": "x", "args": ["${NO}"], "envFile": "none"}, "b": {"command": "x"}, "c": {"command": "${NO}", "disabled": true}}}"#;
    let mut batch = batch("/x/mcp.json", text);
    batch.servers.iter_mut().for_each(|server| server.spare(&surroundings(), Path::new(FOLDER)));
    let lacks: Vec<_> =
        batch.servers.iter().map(|server| (server.enabled, server.lacks.join("; "))).collect();
    let unset = "environment variable `NO` is not set; `env_file` cannot be used: the file cannot be read: no such file";
    assert_eq!(lacks, [(false, unset.to_owned()), (true, String::new()), (false, String::new())]);
    let merged = merge(None, batch.servers).unwrap();
    let loaded =
        file::from_text_with(&merged.text, "braid.toml", Path::new("/f"), &surroundings(), Purpose::Run);
    assert_eq!(loaded.unwrap().config.servers.len(), 1);
    assert_eq!(merged.text.matches("enabled = false").count(), 2);
}

#[test]
fn what_is_there_is_not_written_twice_and_never_over() {
    let one = |command: &str, app| {
        let text = format!(r#"{{"mcpServers": {{"a": {{"command": "{command}"}}}}}}"#);
        batch_of(app, "/x/mcp.json", Scope::User, &text).servers
    };
    let old = "# mine\n[servers.a] # a\ncommand = \"x\"\nargs = []\ntitle = \"A\"\n";
    let merged = merge(Some(old), one("x", None)).unwrap();
    assert_eq!((merged.text.as_str(), merged.added.len(), merged.there[0].1.as_str()), (old, 0, "a"));
    let merged =
        merge(Some(old), [one("y", Some(App::Cursor)), one("z", Some(App::Cursor)), one("y", None)].concat())
            .unwrap();
    let names: Vec<_> =
        merged.added.iter().map(|(server, called)| (server.name.as_str(), called.as_str())).collect();
    assert_eq!(names, [("a_cursor", "a"), ("a_2", "a")]);
    assert_eq!(merged.there[0].1, "a_cursor");
    assert!(merged.text.starts_with(old), "{}", merged.text);
    // A second time everything is there.
    let again = merge(Some(&merged.text), [one("y", Some(App::Zed)), one("z", None)].concat()).unwrap();
    assert_eq!((again.text, again.added.len()), (merged.text, 0));
}

#[test]
fn a_new_file_says_its_version_and_loads() {
    let merged = merge(
        None,
        batch("/home/ana/.cursor/mcp.json", r#"{"mcpServers": {"a": {"command": "x"}}}"#).servers,
    )
    .unwrap();
    assert!(merged.text.starts_with(HEAD), "{}", merged.text);
    let loaded =
        file::from_text_with(&merged.text, "braid.toml", Path::new("/f"), &surroundings(), Purpose::Run)
            .unwrap();
    assert_eq!((loaded.config.servers.len(), loaded.warnings.len()), (1, 0));
}

#[test]
fn claude_codes_own_projects_are_read_where_they_stand() {
    let text =
        r#"{"numStartups": 5, "projects": {"/p": {"mcpServers": {"a": {"command": "./x"}}, "history": []}}}"#;
    let within = ["projects", "/p", "mcpServers"].map(str::to_owned).to_vec();
    let origin = Origin {
        app: Some(App::ClaudeCode),
        path: "/home/ana/.claude.json".into(),
        scope: Scope::Project,
        within,
    };
    let target = Target { folder: Path::new(FOLDER), ports: &[] };
    let batch = read(&origin, text, &surroundings(), &target).unwrap();
    let section = batch.servers[0].section(Literals::Written);
    assert!(section.contains("command = \"/p/x\"\ncwd = \"/p\"\n"), "{section}");
    // The same file has no servers of the user's own.
    let origin = Origin { within: Vec::new(), scope: Scope::User, ..origin };
    assert!(read(&origin, text, &surroundings(), &target).unwrap().servers.is_empty());
}

#[test]
fn a_file_that_cannot_be_parsed_is_a_report() {
    let origin = Origin { app: None, path: "/x/mcp.json".into(), scope: Scope::User, within: Vec::new() };
    let target = Target { folder: Path::new(FOLDER), ports: &[] };
    assert_eq!(read(&origin, "{", &surroundings(), &target).unwrap_err().problems[0].code, Code::Syntax);
    let report = read(&origin, r#"{"mcpServers": []}"#, &surroundings(), &target).unwrap_err();
    assert_eq!(report.problems[0].code, Code::WrongType);
}

#[test]
fn a_projects_file_is_told_from_a_users() {
    let home = Some(Path::new("/home/ana"));
    for (path, scope) in [
        ("/p/.mcp.json", Scope::Project),
        ("/p/.vscode/mcp.json", Scope::Project),
        ("/home/ana/.cursor/mcp.json", Scope::User),
        ("/home/ana/.config/zed/settings.json", Scope::User),
        ("/tmp/x.json", Scope::User),
    ] {
        assert_eq!(scope_of(Path::new(path), home), scope, "{path}");
    }
}
