//! `braid import`: a file of each client, and what Braid serves of it before and after.

use super::{Said, braid_in};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A file of each client as people have it, and where it is below a home that is also that of its settings.
const CLIENTS: [(&str, &str, &str); 10] = [
    ("claude-desktop", "Claude/claude_desktop_config.json", include_str!("clients/claude-desktop.json")),
    ("claude-code", ".claude.json", include_str!("clients/claude-code.json")),
    ("cursor", ".cursor/mcp.json", include_str!("clients/cursor.json")),
    ("vscode", "Code/User/mcp.json", include_str!("clients/vscode.json")),
    ("zed", "zed/settings.json", include_str!("clients/zed.json")),
    ("windsurf", ".codeium/windsurf/mcp_config.json", include_str!("clients/windsurf.json")),
    (
        "cline",
        "Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        include_str!("clients/cline.json"),
    ),
    (
        "roo",
        "Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
        include_str!("clients/roo.json"),
    ),
    ("codex", ".codex/config.toml", include_str!("clients/codex.toml")),
    ("gemini", ".gemini/settings.json", include_str!("clients/gemini.json")),
];

const VARIABLES: [(&str, &str); 3] = [("DEMO", "notes"), ("CANARY", "canary"), ("MCP_INPUT_KEY", "canary")];

fn in_home(home: &Path, args: &[&str]) -> Said {
    braid_in(home, args, "", &VARIABLES)
}

/// A home with the file of one client in its place.
fn home(place: &str, text: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(place);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(
        &file,
        text.replace("BRAID\"", &format!("{}\"", env!("CARGO_BIN_EXE_braid")))
            .replace("BRAID}", &format!("{}}}", env!("CARGO_BIN_EXE_braid"))),
    )
    .unwrap();
    // A copy of the program under another name is another program.
    fs::create_dir_all(home.path().join("bin")).unwrap();
    fs::hard_link(env!("CARGO_BIN_EXE_braid"), home.path().join("bin/server"))
        .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_braid"), home.path().join("bin/server")).map(drop))
        .unwrap();
    fs::write(home.path().join("vars.env"), "FROM_FILE=1\n").unwrap();
    home
}

#[test]
fn what_is_served_of_each_clients_file_is_served_of_what_was_imported() {
    for (client, place, text) in CLIENTS {
        let home = home(place, text);
        let theirs = in_home(home.path(), &["list", "tools", "--json", "-c", place, "-q"]).with_code(0);
        let said = in_home(home.path(), &["import", client, "--write", "--yes"]).with_code(0);
        assert!(said.out.is_empty(), "{said:?}");
        let ours = in_home(home.path(), &["list", "tools", "--json"]).fine();
        assert_eq!(
            ours,
            theirs.out,
            "{client}: {}",
            fs::read_to_string(home.path().join("braid.toml")).unwrap()
        );
        assert!(ours.matches("\"server\"").count() >= 10, "{client}: {ours}");
        let file = home.path().join("braid.toml");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{client}");
        // What variables hold is in no file.
        assert!(!fs::read_to_string(&file).unwrap().contains("canary"), "{client}");
        assert!(!said.err.contains("canary") && !said.err.contains("s3cret"), "{said:?}");
        // A second time there is nothing to do.
        let before = fs::read_to_string(&file).unwrap();
        let again = in_home(home.path(), &["import", client, "--write", "--yes"]).with_code(0);
        assert!(again.err.contains("nothing to add"), "{again:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
    }
}

#[test]
fn without_an_argument_every_client_is_looked_at() {
    let home = home(CLIENTS[0].1, CLIENTS[0].2);
    for (_, place, text) in [CLIENTS[2], CLIENTS[8]] {
        let file = home.path().join(place);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text.replace("BRAID\"", &format!("{}\"", env!("CARGO_BIN_EXE_braid")))).unwrap();
    }
    let said = in_home(home.path(), &["import"]).with_code(0);
    for word in [
        "Claude Desktop ",
        "Cursor ",
        "Codex ",
        "not there: Claude Code, VS Code, Zed",
        "(called `notes` there; that name is taken)",
    ] {
        assert!(said.err.contains(word), "{word}: {said:?}");
    }
    assert!(said.out.contains("[servers.notes]") && said.out.contains("[servers.notes_codex]"), "{said:?}");
    // The same server of another client is the same server.
    assert_eq!(said.out.matches("[servers.work").count(), 1, "{said:?}");
    assert!(
        said.err.contains("`work` of") && said.err.contains("is there already as `My Workshop`"),
        "{said:?}"
    );
    assert!(!home.path().join("braid.toml").exists());
    let nowhere = tempfile::tempdir().unwrap();
    let said = in_home(nowhere.path(), &["import"]).with_code(6);
    assert!(said.err.contains("no file of any client"), "{said:?}");
    let said = in_home(nowhere.path(), &["import", "zed"]).with_code(6);
    assert!(said.err.contains("zed/settings.json"), "{said:?}");
}

#[test]
fn every_command_is_shown_as_it_would_run_and_no_value_is() {
    let home = home(
        ".mcp.json",
        r#"{"mcpServers": {
            "a": {"command": "sh", "args": ["-c", "echo 'hi there' > /tmp/x; exec y"], "env": {"API_TOKEN": "s3cret", "B": "${CANARY}"}, "cwd": "sub"},
            "b": {"type": "http", "url": "https://mcp.example.com/mcp?key=s3cret", "headers": {"Authorization": "Bearer s3cret"}},
            "c": {"type": "ws", "url": "wss://x"},
            "d": {"command": "npx", "args": ["-y", "mcp-braid", "stdio"]},
            "e": {"command": "x", "disabledTools": ["rm", "mv"]}
        }}"#,
    );
    let said = in_home(home.path(), &["import", ".mcp.json"]).with_code(0);
    for words in [
        r"sh -c 'echo '\''hi there'\'' > /tmp/x; exec y'",
        "variables: API_TOKEN, B",
        "headers: Authorization",
        "https://mcp.example.com/mcp?[redacted]",
        "server `c` is skipped",
        "server `d` is skipped: it starts Braid itself: a loop",
        "a: the value of API_TOKEN stands in the client's file",
        "b: the value of Authorization",
        "values that stand in the clients' files are shown as [redacted]",
        "nothing was written",
    ] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    assert!(!said.err.contains("s3cret") && !said.out.contains("s3cret"), "{said:?}");
    assert!(said.out.contains("env = { API_TOKEN = \"[redacted]\", B = \"${CANARY}\" }"), "{said:?}");
    assert!(said.out.contains("tools = { deny = [\"rm\", \"mv\"] }"), "{said:?}");
    let said = in_home(home.path(), &["import", ".mcp.json", "--json"]).with_code(0);
    let said: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(said["servers"][0]["command"][0], "sh");
    assert_eq!(said["servers"][0]["env"][0], "API_TOKEN");
    assert_eq!(said["servers"][1]["secrets"][0], "Authorization");
    assert_eq!(said["problems"][1]["code"], "BRAID-C033");
    assert!(!said.to_string().contains("s3cret"), "{said}");
    in_home(home.path(), &["import", ".mcp.json", "--write", "--yes"]).with_code(0);
    let text = fs::read_to_string(home.path().join("braid.toml")).unwrap();
    assert!(text.contains("API_TOKEN = \"s3cret\"") && text.contains("?key=s3cret"), "{text}");
}

#[test]
fn a_server_that_lacks_a_variable_is_written_as_disabled() {
    let home = home(CLIENTS[1].1, CLIENTS[1].2);
    let said = braid_in(home.path(), &["import", "claude-code", "--write", "--yes"], "", &[]).with_code(0);
    assert!(
        said.err.contains("notes: written as disabled") && said.err.contains("`DEMO` is not set"),
        "{said:?}"
    );
    let listed = braid_in(home.path(), &["list", "tools"], "", &[]).fine();
    assert!(listed.contains("work__add") && !listed.contains("notes__"), "{listed}");
    // With the variables it is enabled, and is what it would have been.
    in_home(home.path(), &["enable", "notes"]).fine();
    assert!(in_home(home.path(), &["list", "tools"]).fine().contains("notes__add"));
}

#[test]
fn a_script_says_yes_beforehand_or_nothing_is_written() {
    let home = home(CLIENTS[0].1, CLIENTS[0].2);
    for args in [&["import", "--write"][..], &["import", "--write", "--json"]] {
        let said = braid_in(home.path(), args, "y\n", &VARIABLES).with_code(2);
        assert!(said.err.contains("--yes"), "{said:?}");
    }
    assert!(!home.path().join("braid.toml").exists());
}

/// Braid at a terminal whose user types this, and what the terminal shows.
fn at_a_terminal(home: &Path, args: &[&str], typed: &str) -> Said {
    let script = home.join("terminal.py");
    fs::write(&script, TERMINAL).unwrap();
    let mut command = Command::new("python3");
    command.arg(&script).arg(typed).arg(env!("CARGO_BIN_EXE_braid")).args(args);
    command.env_remove("BRAID_CONFIG").env("HOME", home).env("XDG_CONFIG_HOME", home).current_dir(home);
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    Said { out, err: String::new(), code: output.status.code().unwrap_or(-1) }
}

const TERMINAL: &str = r#"
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[2], sys.argv[2:])
os.write(terminal, sys.argv[1].encode())
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    os.write(1, piece)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

#[test]
fn somebody_at_a_terminal_is_asked() {
    let (_, place, text) = CLIENTS[3];
    let home = home(place, text);
    let file = home.path().join("braid.toml");
    for no in ["\n\n", "\nn\n", "\nyellow\n"] {
        let said = at_a_terminal(home.path(), &["import", "vscode", "--write"], no).with_code(0);
        assert!(said.out.contains("Which demo [notes]: ") && said.out.contains("[y/N]"), "{said:?}");
        assert!(said.out.contains("nothing was written") && !file.exists(), "{said:?}");
    }
    // What was asked for is in the file; a password was not asked for.
    let said = at_a_terminal(home.path(), &["import", "vscode", "--write"], "workshop\ny\n").with_code(0);
    assert!(!said.out.contains("Key of the notes"), "{said:?}");
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("args = [\"demo-server\", \"workshop\"]") && text.contains("\"${MCP_INPUT_KEY}\""),
        "{text}"
    );
}

#[test]
fn a_file_that_is_there_keeps_what_it_has() {
    let home = home(CLIENTS[2].1, CLIENTS[2].2);
    let mine = "# mine\r\n[servers.notes] # kept\r\ncommand = \"x\"\r\n\r\n# the log\r\n[log]\r\nlevel = \"warn\" # quiet\r\n";
    let file = home.path().join("own.toml");
    fs::write(&file, mine).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let said =
        in_home(home.path(), &["import", "cursor", "--to", "own.toml", "--write", "--yes"]).with_code(0);
    assert!(said.err.contains("own.toml.before-braid"), "{said:?}");
    let text = fs::read_to_string(&file).unwrap();
    let (head, tail) = mine.split_once("\r\n# the log").unwrap();
    assert!(text.starts_with(head) && text.ends_with(&format!("\r\n# the log{tail}")), "{text:?}");
    assert!(
        text.contains("[servers.notes_cursor]\r\n") && !text.replace("\r\n", "").contains('\n'),
        "{text:?}"
    );
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    let copy = home.path().join("own.toml.before-braid");
    assert_eq!(fs::read_to_string(&copy).unwrap(), mine);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_cannot_be_imported_is_said_with_what_to_do() {
    let home = home("own.json", r#"{"mcpServers": {"a": {"command": "braid", "args": ["stdio"]}}}"#);
    let said = in_home(home.path(), &["import", "own.json", "--write", "--yes"]).with_code(6);
    assert!(said.err.contains("a loop") && said.err.contains("no server was found"), "{said:?}");
    assert!(!home.path().join("braid.toml").exists());
    let said = in_home(home.path(), &["import", "netscape"]).with_code(2);
    assert!(said.err.contains("neither a file nor one of claude-desktop"), "{said:?}");
    fs::write(home.path().join("broken.json"), "{\"mcpServers\": {").unwrap();
    let said = in_home(home.path(), &["import", "broken.json"]).with_code(6);
    assert!(said.err.contains("BRAID-C012"), "{said:?}");
    let said = in_home(home.path(), &["import", "own.json", "--to", "own.json"]).with_code(6);
    assert!(said.err.contains("client's own file"), "{said:?}");
    in_home(home.path(), &["import", "--yes"]).with_code(2);
}
