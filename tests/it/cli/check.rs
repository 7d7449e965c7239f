//! `braid check` with real programs: each way to fail with its own words, and what is known without starting anything.

use super::{Said, braid_in};
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder with this `braid.toml` in it, which is also the home folder.
fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("braid.toml"), config).unwrap();
    folder
}

fn put(folder: &Path, file: &str, text: &str, mode: u32) {
    let file = folder.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
}

fn check(folder: &Path, args: &[&str]) -> Said {
    braid_in(folder, &[&["check"], args].concat(), "", &[("PATH", "/usr/bin:/bin")])
}

fn json(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&check(folder, &[args, &["--json"]].concat()).out).unwrap()
}

const FINE: &str = "[servers.notes]\ncommand = \"${braid}\"\nargs = [\"demo-server\", \"notes\"]\n";

/// A server in Python that lists what `tools` makes.
fn python(tools: &str) -> String {
    format!(
        r##"
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    answer = {{"jsonrpc": "2.0", "id": asked["id"]}}
    if asked["method"] == "initialize":
        answer["result"] = {{"protocolVersion": "2025-11-25", "serverInfo": {{"name": "x", "version": "1"}}, "capabilities": {{"tools": {{}}}}}}
    elif asked["method"] == "tools/list":
        answer["result"] = {{"tools": {tools}}}
    else:
        answer["error"] = {{"code": -32601, "message": "no"}}
    print(json.dumps(answer), flush=True)
"##
    )
}

fn with_python(tools: &str) -> TempDir {
    let code = python(tools);
    folder(&format!("[servers.p]\ncommand = \"python3\"\nargs = [\"-c\", '''{code}''']\n"))
}

#[test]
fn what_is_fine_is_said_with_what_to_do_next() {
    let folder = folder(FINE);
    let said = check(folder.path(), &[]).fine();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "config   ✓ braid.toml  1 server");
    assert!(lines[1].starts_with("notes    ✓ 2025-11-25  stdio  4 tools"), "{said}");
    assert!(lines[2].starts_with("names    ✓ 4 tools, longest name "), "{said}");
    assert_eq!(
        lines[3],
        "clients  · Cursor 4 of 40 ✓, VS Code 4 of 128 ✓, Windsurf 4 of 100 ✓, OpenAI 4 of 128 ✓"
    );
    let file = folder.path().join("braid.toml");
    let next =
        format!("next     · `braid install CLIENT -c {}` shows the entry for your client ", file.display());
    assert!(lines[4].starts_with(&next), "{said}");
    assert_eq!(lines.len(), 5);
    let said = check(folder.path(), &["--client", "vscode"]).fine();
    assert!(said.contains("\nvscode  ✓ VS Code: 4 of 128 tools, names of "), "{said}");
    assert!(said.contains("braid install vscode -c "), "{said}");
    let report = json(folder.path(), &[]);
    assert_eq!((&report["exit"], &report["summary"]), (&Value::from(0), &Value::from("all is well")));
    assert_eq!(report["servers"][0]["state"], "ready");
    assert_eq!(report["findings"], Value::Array(Vec::new()));
}

#[test]
fn a_program_that_is_elsewhere_is_found() {
    let folder = folder("[servers.files]\ncommand = \"a-tool-of-ana\"\n");
    put(folder.path(), ".local/bin/a-tool-of-ana", "#!/bin/sh\n", 0o755);
    let said = check(folder.path(), &[]).with_code(4);
    let file = folder.path().join(".local/bin/a-tool-of-ana");
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[1], "files    ✗ BRAID-S001 `a-tool-of-ana` not found");
    assert_eq!(lines[2].trim(), "looked in /usr/bin:/bin (the short PATH that desktop apps get)");
    assert_eq!(lines[3].trim(), "found: ~/.local/bin/a-tool-of-ana");
    assert_eq!(lines[4].trim(), format!("fix: command = \"{}\"", file.display()));
    assert_eq!(said.err, "exit 4: 1 server could not be started; `braid explain BRAID-S001` says more\n");
    // What it says to write is right as far as it goes.
    fs::write(
        folder.path().join("braid.toml"),
        format!("[servers.files]\ncommand = \"{}\"\n", file.display()),
    )
    .unwrap();
    let report = json(folder.path(), &[]);
    assert_eq!(report["servers"][0]["error"]["code"], "BRAID-S002");
}

#[test]
fn the_last_words_of_a_program_are_shown_and_steer_nothing() {
    let script = "echo first >&2; printf 'key\\033[2J \\342\\200\\256missing\\n' >&2; exit 3";
    let folder = folder(&format!(
        "[servers.s]\ncommand = \"sh\"\nargs = [\"-c\", \"\"\"{}\"\"\"]\n",
        script.replace('\\', "\\\\")
    ));
    let said = check(folder.path(), &[]).with_code(4);
    let expected = "s        ✗ BRAID-S002 it exited with status 3\n           its last words on stderr:\n             first\n             key\\u{1b}[2J \\u{202e}missing\n";
    assert!(said.out.contains(expected), "{}", said.out);
    let report = json(folder.path(), &[]);
    let error = &report["servers"][0]["error"];
    assert_eq!(error["code"], "BRAID-S002");
    assert_eq!(error["stderr"], serde_json::json!(["first", "key\\u{1b}[2J \\u{202e}missing"]));
    assert_eq!(report["servers"][0]["notes"], serde_json::json!(["it exited with status 3"]));
}

#[test]
fn each_way_not_to_start_has_its_code() {
    for (server, code) in [
        ("command = \"./none\"", "BRAID-S001"),
        ("command = \"./plain.sh\"", "BRAID-S004"),
        ("command = \"./inner\"", "BRAID-S004"),
        ("command = \"sh\"\ncwd = \"gone\"", "BRAID-S009"),
        ("command = \"sh\"\ncwd = \"plain.sh\"", "BRAID-S009"),
        ("command = \"./lost\"", "BRAID-S010"),
        ("command = \"./windows\"", "BRAID-S010"),
        ("command = \"./env\"", "BRAID-S010"),
        ("command = \"./text\"", "BRAID-S011"),
        ("command = \"sh\"\nargs = [\"-c\", \"exit 1\"]", "BRAID-S002"),
        ("command = \"sh\"\nargs = [\"-c\", \"sleep 600\"]\ntimeouts.start = \"300ms\"", "BRAID-S003"),
        (
            "command = \"sh\"\nargs = [\"-c\", \"read x; echo; cat\"]\ntimeouts.start = \"300ms\"",
            "BRAID-S003",
        ),
        ("url = \"http://127.0.0.1:1/mcp\"", "BRAID-H001"),
    ] {
        let folder = folder(&format!("[servers.s]\n{server}\n"));
        put(folder.path(), "plain.sh", "#!/bin/sh\n", 0o644);
        put(folder.path(), "inner/x", "", 0o644);
        put(folder.path(), "lost", "#!/no/such/interpreter\n", 0o755);
        put(folder.path(), "windows", "#!/bin/sh\r\n", 0o755);
        put(folder.path(), "env", "#!/usr/bin/env no-such-interpreter\n", 0o755);
        put(folder.path(), "text", "exit 0\n", 0o755);
        let report = json(folder.path(), &[]);
        assert_eq!(report["servers"][0]["error"]["code"], code, "{server}\n{report}");
        assert_eq!(report["exit"], 4);
        // What can be known without starting is known.
        let offline = json(folder.path(), &["--offline"]);
        let foreseen = ["BRAID-S001", "BRAID-S004", "BRAID-S009", "BRAID-S010"].contains(&code);
        assert_eq!(offline["servers"][0]["error"]["code"] == code, foreseen, "{server}\n{offline}");
        assert_eq!(offline["exit"], if foreseen { 4 } else { 0 });
    }
}

#[test]
fn the_log_says_the_same_code() {
    let folder = folder("[servers.s]\ncommand = \"sh\"\nargs = [\"-c\", \"exit 1\"]\n");
    let args = ["list", "--log-level", "warn", "--log-format", "json"];
    let said = braid_in(folder.path(), &args, "", &[("PATH", "/usr/bin:/bin")]);
    let line = said.err.lines().find(|line| line.contains("\"down\"")).unwrap_or_default();
    let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{said:?}"));
    assert_eq!((&event["server"], &event["code"]), (&Value::from("s"), &Value::from("BRAID-S002")), "{line}");
}

#[test]
fn offline_starts_nothing() {
    let folder = folder(
        "[servers.s]\ncommand = \"sh\"\nargs = [\"-c\", \"echo > started\"]\n[servers.r]\nurl = \"http://127.0.0.1:1/mcp\"\nca_file = \"none.pem\"\n",
    );
    let said = check(folder.path(), &["--offline"]).with_code(4);
    assert!(said.out.contains("\ns       · stdio  not started\n"), "{}", said.out);
    assert!(said.out.contains("\nr       ✗ BRAID-H001 `ca_file` does not exist: "), "{}", said.out);
    assert!(!folder.path().join("started").exists());
}

#[test]
fn secrets_are_named_and_never_shown() {
    let folder = folder(&format!(
        "{FINE}env = {{ GITHUB_TOKEN = \"ghp_0123456789abcdefghij\", OTHER = \"${{EMPTY}}\", A_KEY = \"YOUR_API_KEY\" }}\n"
    ));
    fs::set_permissions(folder.path().join("braid.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = braid_in(folder.path(), &["check"], "", &[("EMPTY", "")]).fine();
    for line in [
        "config   ! braid.toml  1 server\n",
        "BRAID-C045 braid.toml holds a secret, and others may read it\n",
        "BRAID-C043 `servers.notes.env.GITHUB_TOKEN` looks like a secret that is written out\n",
        "BRAID-C042 `servers.notes.env.OTHER` is empty: what it refers to is set to nothing\n",
        "BRAID-C044 `servers.notes.env.A_KEY` is still a placeholder\n",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert!(!said.contains("ghp_"), "{said}");
    let said = braid_in(folder.path(), &["check", "--strict", "--json"], "", &[("EMPTY", "")]).with_code(7);
    assert!(!format!("{said:?}").contains("ghp_") && said.out.contains("BRAID-C043"), "{said:?}");
    fs::set_permissions(folder.path().join("braid.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!check(folder.path(), &["--offline"]).out.contains("BRAID-C045"));
}

#[test]
fn a_clients_file_is_explained_where_the_client_would_refuse_it() {
    let folder = tempfile::tempdir().unwrap();
    let braid = env!("CARGO_BIN_EXE_braid");
    let text = format!(
        "{{\"mcpServers\": {{\"notes\": {{\"command\": \"{braid}\", \"args\": [\"demo-server\", \"notes\"]}},}}}}"
    );
    fs::write(folder.path().join("claude_desktop_config.json"), text).unwrap();
    let said = check(folder.path(), &["-c", "claude_desktop_config.json"]).with_code(0);
    assert!(said.err.starts_with("warning[BRAID-C041]: a comma stands behind the last entry\n"), "{said:?}");
    assert!(said.out.contains("\n           1 warning above\n"), "{said:?}");
    let report = json(folder.path(), &["-c", "claude_desktop_config.json"]);
    assert_eq!(report["problems"][0]["code"], "BRAID-C041");
    check(folder.path(), &["-c", "claude_desktop_config.json", "--strict"]).with_code(7);
}

#[test]
fn letters_that_nobody_sees_are_reported() {
    let folder = with_python(
        r#"[{"name": "t", "description": "adds\u202e\U000e0041", "inputSchema": {"type": "object"}}]"#,
    );
    let said = check(folder.path(), &[]).fine();
    assert!(
        said.contains("BRAID-N011 the tool `t` holds characters that nobody sees: U+202E, U+E0041\n"),
        "{said}"
    );
}

#[test]
fn one_client_is_judged_by_all_its_limits() {
    let folder = with_python(
        r#"[{"name": "t%d" % n, "description": "x" * (3000 if n == 7 else 3), "inputSchema": {"type": "object"}} for n in range(41)]"#,
    );
    check(folder.path(), &["--strict"]).fine();
    let said = check(folder.path(), &["--client", "cursor", "--strict"]).with_code(7);
    assert!(said.out.contains("\ncursor  ! Cursor: 41 of 40 tools, names of "), "{said:?}");
    assert!(said.out.contains("BRAID-N014 41 tools, and Cursor takes 40\n"), "{said:?}");
    assert!(said.out.contains("\n          largest: p__t7 7"), "{said:?}");
    assert_eq!(said.err, "exit 7: 1 warning\n");
    let said = check(folder.path(), &["--client", "claude-code", "--strict"]).with_code(7);
    assert!(
        said.out.contains(
            "BRAID-N012 the description of `p__t7` has 3000 bytes, and Claude Code cuts it at 2048\n"
        ),
        "{said:?}"
    );
    assert!(
        said.out.contains("BRAID-T012 Claude Code gives a call up after 1m, before Braid does"),
        "{said:?}"
    );
}

#[test]
fn a_shells_path_leads_to_programs() {
    let folder = folder(
        "[servers.s]\ncommand = \"braid-of-ana\"\nargs = [\"demo-server\", \"notes\"]\npath_from_shell = \"always\"\n",
    );
    put(
        folder.path(),
        "shell",
        &format!(
            "#!/bin/sh\necho welcome\nexport PATH='{}':$PATH\nwhile [ \"$1\" != -c ]; do shift; done\neval \"$2\"\n",
            folder.path().join("own").display()
        ),
        0o755,
    );
    fs::create_dir(folder.path().join("own")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_braid"), folder.path().join("own/braid-of-ana")).unwrap();
    let shell = folder.path().join("shell").display().to_string();
    let list =
        |shell: &str| braid_in(folder.path(), &["list"], "", &[("SHELL", shell), ("PATH", "/usr/bin:/bin")]);
    assert!(list(&shell).fine().contains("s__add"));
    // A shell that tells nothing leaves PATH as it was.
    let said = list("/bin/false");
    assert!(
        said.err.contains("s: `braid-of-ana` not found; looked in /usr/bin:/bin (BRAID-S001)"),
        "{said:?}"
    );
    let config = folder.path().join("braid.toml");
    let text = fs::read_to_string(&config).unwrap().replace("always", "never");
    fs::write(&config, text).unwrap();
    let said =
        braid_in(folder.path(), &["check"], "", &[("SHELL", &shell), ("PATH", "/usr/bin:/bin")]).with_code(4);
    assert!(said.out.contains("found: ~/own/braid-of-ana"), "{said:?}");
    assert!(said.out.contains(" or: servers.s.path_from_shell = \"always\""), "{said:?}");
}

#[test]
fn an_interrupt_ends_it_with_130_and_everything_that_it_started() {
    let folder =
        folder("[servers.s]\ncommand = \"sh\"\nargs = [\"-c\", \"echo $$ > started; exec sleep 600\"]\n");
    let mut child = Command::new(env!("CARGO_BIN_EXE_braid"))
        .arg("check")
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let limit = Instant::now() + Duration::from_secs(30);
    let started = folder.path().join("started");
    let number = loop {
        let text = fs::read_to_string(&started).unwrap_or_default();
        if let Ok(number) = text.trim().parse::<i32>() {
            break number;
        }
        assert!(Instant::now() < limit, "the server does not start");
        std::thread::park_timeout(Duration::from_millis(5));
    };
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "", "what was not found out is not said");
    let server = rustix::process::Pid::from_raw(number).unwrap();
    assert!(rustix::process::test_kill_process(server).is_err(), "the server is left");
}
