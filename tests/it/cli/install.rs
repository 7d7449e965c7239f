//! `braid install` and `uninstall`: each client's own file, with our entry and without it again.

use super::{Said, braid_in};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn in_folder(folder: &Path, args: &[&str]) -> Said {
    braid_in(folder, args, "", &[])
}

/// Where each client has its file, below a home folder that is also that of its settings.
const CLIENTS: [(&str, &str); 10] = [
    ("claude-desktop", "Claude/claude_desktop_config.json"),
    ("claude-code", ".claude.json"),
    ("cursor", ".cursor/mcp.json"),
    ("vscode", "Code/User/mcp.json"),
    ("zed", "zed/settings.json"),
    ("windsurf", ".codeium/windsurf/mcp_config.json"),
    ("cline", "Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"),
    ("roo", "Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"),
    ("codex", ".codex/config.toml"),
    ("gemini", ".gemini/settings.json"),
];

/// A home with the demo servers in its `braid.toml`.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(
        home.path().join("braid.toml"),
        "[servers.notes]\ncommand = \"${braid}\"\nargs = [\"demo-server\", \"notes\"]\n",
    )
    .unwrap();
    home
}

/// What somebody may have in the file of each client.
fn example(client: &str) -> String {
    let servers = match client {
        "codex" => return "# mine\r\nmodel = \"o9\"\r\n\r\n[mcp_servers.docs] # docs\r\ncommand = \"npx\"\r\n#cwd = \".\"\r\n\r\n[tui]\r\n# none".to_owned(),
        "vscode" => "servers",
        "zed" => "context_servers",
        _ => "mcpServers",
    };
    format!(
        "// mine\n{{\n\t\"theme\": \"dark\", // night\n\t\"{servers}\": {{\n\t\t\"docs\": {{ \"command\": \"npx\", \"args\": [\"docs\"] }}, // the docs\n\t}},\n\t/* end */\n}}"
    )
}

#[test]
fn the_entry_starts_braid_and_goes_again_byte_for_byte() {
    for (client, place) in CLIENTS {
        for before in [Some(example(client)), Some(String::new()), None] {
            let home = home();
            let file = home.path().join(place);
            if let Some(before) = &before {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, before).unwrap();
            }
            let said = in_folder(home.path(), &["install", client, "--write"]).with_code(0);
            assert!(said.out.starts_with(&format!("wrote {}", real(&file).display())), "{said:?}");
            // The client's own file as a source: what else stands in it is there, and our entry leads nowhere.
            let now = fs::read_to_string(&file).unwrap();
            let (program, args) = entry(client, &now);
            assert_eq!(real(Path::new(&program)), real(Path::new(env!("CARGO_BIN_EXE_braid"))), "{now}");
            assert_eq!(answer(&program, &args), Some("notes__add".to_owned()), "{client}: {now}");
            let again = in_folder(home.path(), &["install", client, "--write"]).with_code(0);
            assert!(again.out.contains("has this entry already"), "{again:?}");

            let said = in_folder(home.path(), &["uninstall", client]).with_code(0);
            assert!(said.err.contains("nothing was written"), "{said:?}");
            assert_eq!(fs::read_to_string(&file).unwrap(), now);
            in_folder(home.path(), &["uninstall", client, "--write"]).fine();
            assert_eq!(fs::read_to_string(&file).ok(), before, "{client}");
            let beside =
                fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
            let ours =
                beside.filter(|name| name != "braid.toml" && Some(name.as_os_str()) != file.file_name());
            assert_eq!(ours.count(), 0, "{client} leaves something behind");
        }
    }
}

fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap()
}

/// The program and the arguments of our entry.
fn entry(client: &str, text: &str) -> (String, Vec<String>) {
    let words = |value: &serde_json::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    if client == "codex" {
        let table: toml::Table = text.parse().unwrap();
        let entry = &table["mcp_servers"]["braid"];
        let args = entry["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned());
        return (entry["command"].as_str().unwrap().to_owned(), args.collect());
    }
    let options = jsonc_parser::ParseOptions::default();
    let value: serde_json::Value = jsonc_parser::parse_to_serde_value(text, &options).unwrap();
    let servers =
        ["mcpServers", "servers", "context_servers"].into_iter().find_map(|key| value.get(key)).unwrap();
    (servers["braid"]["command"].as_str().unwrap().to_owned(), words(&servers["braid"]["args"]))
}

/// Starts what the entry says as a client would, and gives the first tool that it offers.
fn answer(program: &str, args: &[String]) -> Option<String> {
    use std::io::Write;
    let mut child = Command::new(program)
        .args(args)
        .current_dir("/")
        .env_remove("BRAID_RUN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let asked = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#,
        "\n",
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        "\n",
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
        "\n"
    );
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(asked.as_bytes()).unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let tool = lines.find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        line["result"]["tools"][0]["name"].as_str().map(str::to_owned)
    });
    drop(stdin);
    child.wait().unwrap();
    tool
}

#[test]
fn what_was_changed_meanwhile_stays() {
    for (client, place) in CLIENTS {
        let home = home();
        let file = home.path().join(place);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, example(client)).unwrap();
        in_folder(home.path(), &["install", client, "--write"]).with_code(0);
        let changed = fs::read_to_string(&file).unwrap().replace("npx", "uvx");
        fs::write(&file, changed).unwrap();
        let said = in_folder(home.path(), &["uninstall", client, "--write"]).with_code(0);
        assert!(said.err.contains(".before-braid"), "{said:?}");
        let left = fs::read_to_string(&file).unwrap();
        assert_eq!(left.trim_end(), example(client).replace("npx", "uvx").trim_end(), "{client}");
    }
}

#[test]
fn an_entry_that_was_there_is_kept_in_the_copy_and_not_put_back() {
    let home = home();
    let (file, copy) = (home.path().join("mcp.json"), home.path().join("mcp.json.before-braid"));
    let old = r#"{"mcpServers": {"braid": {"command": "braid", "args": ["stdio"]}}}"#;
    fs::write(&file, old).unwrap();
    in_folder(home.path(), &["install", "cursor", "--file", "mcp.json", "--write"]).with_code(0);
    assert_eq!(fs::read_to_string(&copy).unwrap(), old);
    in_folder(home.path(), &["uninstall", "cursor", "--file", "mcp.json", "--write"]).with_code(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), r#"{"mcpServers": {}}"#);
    assert_eq!(fs::read_to_string(&copy).unwrap(), old);
    // A copy of the time without us outlives a second entry.
    let before = "{\n  \"mcpServers\": {}\n}\n";
    fs::write(&file, before).unwrap();
    for config in ["braid.toml", "./braid.toml", "other.toml"] {
        fs::copy(home.path().join("braid.toml"), home.path().join("other.toml")).unwrap();
        in_folder(home.path(), &["install", "cursor", "--file", "mcp.json", "--write", "-c", config])
            .with_code(0);
        assert_eq!(fs::read_to_string(&copy).unwrap(), before);
    }
    in_folder(home.path(), &["uninstall", "cursor", "--file", "mcp.json", "--write"]).fine();
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
}

#[test]
fn without_write_the_entry_is_shown_and_nothing_written() {
    let home = home();
    let said = in_folder(home.path(), &["install", "claude-desktop"]).with_code(0);
    let shown: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let entry = &shown["mcpServers"]["braid"];
    assert!(Path::new(entry["command"].as_str().unwrap()).is_absolute(), "{shown}");
    assert!(Path::new(entry["args"][2].as_str().unwrap()).is_absolute(), "{shown}");
    assert!(said.err.contains("claude_desktop_config.json") && said.err.contains("--write"), "{said:?}");
    assert!(!home.path().join("Claude").exists());
    let said = in_folder(home.path(), &["install", "codex", "--name", "my braid", "--json"]).fine();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["done"], &said["written"]), (&"installed".into(), &false.into()));
    assert!(said["entry"].as_str().unwrap().starts_with("[mcp_servers.\"my braid\"]\ncommand = "), "{said}");
}

#[test]
fn an_entry_for_a_listening_braid_names_the_tokens_variable() {
    let home = home();
    let url = "http://127.0.0.1:8808/mcp";
    let said = in_folder(home.path(), &["install", "cursor", "--http", url]).with_code(0);
    let shown: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(shown["mcpServers"]["braid"]["url"], url);
    assert_eq!(shown["mcpServers"]["braid"]["headers"]["Authorization"], "Bearer ${env:BRAID_TOKEN}");
    assert!(said.err.contains("set BRAID_TOKEN"), "{said:?}");
    let said = in_folder(home.path(), &["install", "codex", "--http", url, "--token-env", "T"]).with_code(0);
    assert_eq!(said.out, format!("[mcp_servers.braid]\nurl = \"{url}\"\nbearer_token_env_var = \"T\"\n"));
    for (client, why) in [("claude-desktop", "no remote servers"), ("zed", "no variables")] {
        let said = in_folder(home.path(), &["install", client, "--http", url]).with_code(2);
        assert!(said.err.contains(why), "{said:?}");
    }
    in_folder(home.path(), &["install", "cursor", "--http", "ftp://x"]).with_code(6);
    in_folder(home.path(), &["install", "cursor", "--http", url, "--token-env", "a b"]).with_code(2);
    // Where nobody is asked for a token there is none to send.
    fs::write(home.path().join("open.toml"), "[listen]\nauth = \"none\"\n[servers.a]\ncommand = \"x\"\n")
        .unwrap();
    let said = in_folder(home.path(), &["install", "zed", "--http", url, "-c", "open.toml"]).with_code(0);
    assert!(!said.out.contains("headers") && said.out.contains(url), "{said:?}");
}

#[test]
fn what_cannot_be_done_is_said_with_what_to_do() {
    let home = home();
    let file = home.path().join("mcp.json");
    let install = |args: &[&str]| {
        in_folder(home.path(), &[&["install", "cursor", "--file", "mcp.json"], args].concat())
    };
    let uninstall = || in_folder(home.path(), &["uninstall", "cursor", "--file", "mcp.json", "--write"]);
    let said = uninstall().with_code(6);
    assert!(said.err.contains("there is no"), "{said:?}");
    fs::write(
        &file,
        r#"{"mcpServers": {"braid": {"command": "npx"}, "mine": {"command": "braid", "args": ["stdio"]}}}"#,
    )
    .unwrap();
    assert!(install(&["--write"]).with_code(6).err.contains("--name"));
    assert!(uninstall().with_code(6).err.contains("starts something else"));
    let said = install(&["--name", "other"]).with_code(0);
    assert!(said.err.contains("`mine` in that file starts Braid as well"), "{said:?}");
    fs::write(&file, r#"{"mcpServers": {"mine": {"command": "braid", "args": ["stdio"]}}}"#).unwrap();
    assert!(uninstall().with_code(6).err.contains("--name mine"));
    fs::write(&file, "{\n\"mcpServers\": [\n").unwrap();
    let said = install(&["--write"]).with_code(6);
    assert!(said.err.contains("line ") && said.err.contains("nothing was written"), "{said:?}");
    fs::write(&file, r#"{"mcpServers": []}"#).unwrap();
    assert!(install(&["--write"]).with_code(6).err.contains("a list"));
    in_folder(home.path(), &["install", "netscape"]).with_code(2);
    in_folder(home.path(), &["install", "cursor", "--group", "none"]).with_code(6);
    let elsewhere = tempfile::tempdir().unwrap();
    let said = in_folder(elsewhere.path(), &["install", "cursor"]).with_code(6);
    assert!(said.err.contains("BRAID-C018"), "{said:?}");
}

/// However often and wherever it is killed, the file is the old one or the new one.
#[cfg(unix)]
#[test]
fn a_write_that_is_killed_leaves_no_torn_file() {
    use std::os::unix::fs::PermissionsExt;
    let home = home();
    let file = home.path().join(".cursor/mcp.json");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let filler = format!("{{\n  \"filler\": \"{}\"\n}}\n", "x".repeat(2_000_000));
    let install = |kill_after: Option<u64>| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_braid"))
            .args(["install", "cursor", "--write"])
            .current_dir(home.path())
            .env("HOME", home.path())
            .env_remove("BRAID_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if let Some(micros) = kill_after {
            std::thread::park_timeout(std::time::Duration::from_micros(micros));
            child.kill().unwrap();
        }
        child.wait().unwrap();
    };
    fs::write(&file, &filler).unwrap();
    install(None);
    let whole = fs::read_to_string(&file).unwrap();
    assert!(whole.contains("\"braid\""));
    let kills = std::env::var("BRAID_TEST_TORN").map_or(KILLS, |kills| kills.parse().unwrap());
    for kill in 0..kills {
        fs::write(&file, &filler).unwrap();
        install(Some(kill % KILLS * 1_000 + kill / KILLS * 37 % 1_000));
        let found = fs::read_to_string(&file).unwrap();
        assert!(found == filler || found == whole, "kill {kill}: {} bytes", found.len());
        for entry in fs::read_dir(file.parent().unwrap()).unwrap() {
            let entry = entry.unwrap();
            let wide = entry.metadata().unwrap().permissions().mode() & 0o077 != 0;
            assert!(!wide || entry.path() == file, "{} can be read by others", entry.path().display());
        }
    }
}

/// At a millisecond each, they are spread over the time that one takes.
const KILLS: u64 = 40;

/// Our program at this place below a folder that lasts, and a home beside it.
fn placed(below: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = folder.path().join(below);
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::hard_link(env!("CARGO_BIN_EXE_braid"), &program).unwrap();
    let home = home();
    fs::copy(home.path().join("braid.toml"), folder.path().join("braid.toml")).unwrap();
    (folder, program)
}

/// Temporary files are elsewhere.
fn run(program: &Path, folder: &Path, args: &[&str]) -> Said {
    run_with(program, folder, Path::new("/nowhere"), args)
}

fn run_with(program: &Path, folder: &Path, temporary: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(program);
    command.env_remove("BRAID_CONFIG").env_remove("BRAID_RUN").env("TMPDIR", temporary);
    command.env("PATH", program.parent().unwrap()).env("HOME", folder).env("XDG_CONFIG_HOME", folder);
    Said::of(command.args(args).current_dir(folder), "")
}

#[test]
fn a14_what_a_runner_fetched_is_started_through_it_and_known_as_ours() {
    for (place, words, installs) in [
        (
            ".npm/_npx/3f2a/node_modules/mcp-braid-linux-x64/bin/braid",
            &["npx", "-y", "mcp-braid"][..],
            "npm install -g mcp-braid",
        ),
        (".cache/uv/archive-v0/d9fK/bin/braid", &["uvx", "mcp-braid"], "uv tool install mcp-braid"),
        (".cache/pipx/0f3/bin/braid", &["pipx", "run", "mcp-braid"], "pipx install mcp-braid"),
    ] {
        let (folder, program) = placed(place);
        for client in ["claude-desktop", "codex"] {
            let said = run(&program, folder.path(), &["install", client, "--write", "--json"]).with_code(0);
            let said: serde_json::Value = serde_json::from_str(&said.out).unwrap();
            let notes = said["notes"].as_array().unwrap();
            assert!(notes.len() == 1 && notes[0].as_str().unwrap().contains(installs), "{said}");
            let file = PathBuf::from(said["file"].as_str().unwrap());
            let (command, args) = entry(client, &fs::read_to_string(&file).unwrap());
            let config = real(folder.path()).join("braid.toml");
            let stdio = ["stdio", "-c", config.to_str().unwrap()];
            assert_eq!(
                (vec![command.as_str()], args),
                (
                    vec![words[0]],
                    [&words[1..], &stdio].concat().iter().map(|word| (*word).to_owned()).collect()
                )
            );
            // Ours by any Braid, wherever that lies: nothing is put in twice, served to itself, or left behind.
            for program in [program.as_path(), Path::new(env!("CARGO_BIN_EXE_braid"))] {
                let listed = run(program, folder.path(), &["import", file.to_str().unwrap()]);
                assert!(!listed.out.contains("mcp-braid"), "{listed:?}");
                let looked =
                    run(program, folder.path(), &["check", "--offline", "-c", file.to_str().unwrap()]);
                assert!(looked.err.contains("it starts Braid itself"), "{looked:?}");
            }
            let again = run(&program, folder.path(), &["install", client, "--write"]).with_code(0);
            assert!(again.out.contains("has this entry already"), "{again:?}");
            run(Path::new(env!("CARGO_BIN_EXE_braid")), folder.path(), &["uninstall", client, "--write"])
                .with_code(0);
            assert!(!file.exists(), "{client}");
        }
    }
}

#[test]
fn a_program_that_will_not_stay_is_warned_of() {
    let (folder, program) = placed("bin/braid");
    let shown = ["install", "cursor"];
    let said = run(&program, folder.path(), &shown).with_code(0);
    assert!(said.out.contains(program.to_str().unwrap()) && !said.err.contains("stays"), "{said:?}");
    let built = run(Path::new(env!("CARGO_BIN_EXE_braid")), folder.path(), &shown).with_code(0);
    assert!(built.err.contains("is where cargo builds"), "{built:?}");
    assert!(built.err.contains("`cargo install --path . --locked` puts it where it stays"), "{built:?}");
    // A link that somebody made on purpose stays.
    let link = folder.path().join("links/braid");
    fs::create_dir(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_braid"), &link).unwrap();
    let linked = run(&link, folder.path(), &shown).with_code(0);
    assert!(linked.out.contains("links/braid") && !linked.err.contains("stays"), "{linked:?}");
    // Where a link leads to counts as well.
    let other = folder.path().join("other");
    std::os::unix::fs::symlink(folder.path(), &other).unwrap();
    for temporary in [folder.path(), &other] {
        let said = run_with(&program, folder.path(), temporary, &shown).with_code(0);
        assert!(said.err.contains("is among temporary files"), "{said:?}");
    }
    for everything in ["", "/"] {
        let said = run_with(&program, folder.path(), Path::new(everything), &shown).with_code(0);
        assert!(!said.err.contains("temporary"), "{said:?}");
    }
}
