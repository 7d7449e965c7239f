//! `braid add`, `remove`, `enable`, `disable`: what becomes of the file, and what is said.

use super::{Said, braid_in};
use std::fs;
use std::path::Path;

fn in_folder(folder: &Path, args: &[&str]) -> Said {
    braid_in(folder, args, "", &[])
}

fn file(folder: &Path) -> String {
    fs::read_to_string(folder.join("braid.toml")).unwrap()
}

const MINE: &str = "# mine\nversion = 1\n\n[servers.notes] # the notes\ncommand = \"${braid}\"\nargs = [\"demo-server\", \"notes\"]\n#env = {}\n\n# behind\n[log]\nlevel = \"warn\"\n";

#[test]
fn a_server_that_was_added_is_served_and_removed_again_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let braid = env!("CARGO_BIN_EXE_braid");
    let args = ["add", "work", "--env", "TOKEN=${HOME}", "--", braid, "demo-server", "workshop"];
    let said = in_folder(folder.path(), &args).fine();
    assert!(said.starts_with("added `work` in ") && said.ends_with("braid.toml\n"), "{said}");
    assert!(file(folder.path()).contains("env = { TOKEN = \"${HOME}\" }"), "{}", file(folder.path()));
    assert_eq!(in_folder(folder.path(), &["call", "work__add", "a=2", "b=3"]).fine(), "{\"sum\":5}\n");

    fs::write(folder.path().join("braid.toml"), MINE).unwrap();
    in_folder(folder.path(), &args).fine();
    in_folder(folder.path(), &["check", "--offline"]).fine();
    let said = in_folder(folder.path(), &["remove", "work"]).with_code(0);
    assert_eq!(file(folder.path()), MINE);
    assert!(said.err.contains("is kept as"), "{said:?}");
    assert!(
        fs::read_to_string(folder.path().join("braid.toml.before-braid")).unwrap().contains("[servers.work]")
    );
}

#[test]
fn a_remote_server_is_added_with_its_headers() {
    let folder = tempfile::tempdir().unwrap();
    let args =
        ["add", "far", "https://mcp.example.com/mcp", "-H", "Authorization: Bearer ${FAR_TOKEN}", "--json"];
    let said = in_folder(folder.path(), &args).fine();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["done"], &said["written"]), (&"added".into(), &true.into()));
    // The variable is not set here; that is said, and nobody is kept from writing.
    assert!(
        said["notes"][0]
            .as_str()
            .unwrap()
            .contains("does not load before this is mended: environment variable `FAR_TOKEN` is not set"),
        "{said}"
    );
    assert_eq!(
        file(folder.path()),
        "[servers.far]\nurl = \"https://mcp.example.com/mcp\"\nheaders = { Authorization = \"Bearer ${FAR_TOKEN}\" }\n"
    );
}

#[test]
fn a_server_is_switched_off_and_on_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{MINE}\n[servers.work]\r\ncommand = \"${{braid}}\" # c\r\nargs = [\"demo-server\", \"workshop\"]\r\n"
    );
    fs::write(folder.path().join("braid.toml"), &text).unwrap();
    assert!(in_folder(folder.path(), &["disable", "work"]).fine().starts_with("disabled `work`"));
    let listed = in_folder(folder.path(), &["list", "tools"]).fine();
    assert!(!listed.contains("work__add") && listed.contains("notes__add"), "{listed}");
    assert!(in_folder(folder.path(), &["disable", "work"]).fine().contains("is disabled already"));
    in_folder(folder.path(), &["enable", "work"]).fine();
    assert_eq!(file(folder.path()), text);
}

#[test]
fn a_dry_run_shows_the_lines_and_writes_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("braid.toml"), MINE).unwrap();
    let said = in_folder(folder.path(), &["disable", "notes", "--dry-run"]).with_code(0);
    assert_eq!(said.out, "+ enabled = false\n");
    let said =
        in_folder(folder.path(), &["add", "x", "--dry-run", "-e", "K=s3cret", "--", "x", "--token"]).fine();
    assert_eq!(
        said,
        "+ [servers.x]\n+ command = \"x\"\n+ args = [\"--token\"]\n+ env = { K = \"******\" }\n+\n"
    );
    assert_eq!(file(folder.path()), MINE);
}

#[test]
fn a_file_that_would_not_load_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("braid.toml"), MINE).unwrap();
    for (args, why) in [
        (&["add", "far", "ftp://x"][..], "BRAID-C010"),
        (&["add", "far", "https://x", "-H", "Host: x"], "BRAID-C027"),
        (&["add", "", "--", "x"], "BRAID-C010"),
        (&["add", "x", "--", ""], "BRAID-C010"),
    ] {
        let said = in_folder(folder.path(), args).with_code(6);
        assert!(said.err.contains(why) && said.err.contains("nothing was written"), "{args:?} {said:?}");
    }
    fs::write(folder.path().join("braid.toml"), format!("{MINE}nonsense = 1\n")).unwrap();
    let said = in_folder(folder.path(), &["add", "x", "--", "y"]).with_code(6);
    assert!(said.err.contains("BRAID-C001"), "{said:?}");
    assert!(file(folder.path()).ends_with("nonsense = 1\n"));
}

#[test]
fn what_cannot_be_done_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("braid.toml"), MINE).unwrap();
    for (args, code, why) in [
        (&["add", "notes", "--", "x"][..], 6, "has a server `notes` already"),
        (&["add", "x"], 2, "expected a URL, or"),
        (&["add", "x", "https://x", "--", "y"], 2, "not both"),
        (&["remove", "note"], 6, "there is no server `note`; there are `notes`"),
        (&["enable", "x"], 6, "there is no server `x`"),
    ] {
        let said = in_folder(folder.path(), args).with_code(code);
        assert!(said.err.contains(why), "{args:?} {said:?}");
    }
    let said = in_folder(folder.path(), &["remove", "x", "--json"]).with_code(6);
    assert!(said.error()["message"].as_str().unwrap().contains("there is no server `x`"));
    assert_eq!(file(folder.path()), MINE);
    fs::write(folder.path().join("mcp.json"), r#"{"mcpServers": {}}"#).unwrap();
    let said = in_folder(folder.path(), &["add", "x", "-c", "mcp.json", "--", "y"]).with_code(6);
    assert!(said.err.contains("client's own file"), "{said:?}");
}

#[test]
fn a_server_leaves_its_groups_and_the_last_one_leaves_an_empty_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{MINE}\n[servers.b]\ncommand = \"x\"\n\n[groups.g]\nservers = [\"notes\", \"b\"]\n");
    fs::write(folder.path().join("braid.toml"), text).unwrap();
    let said = in_folder(folder.path(), &["remove", "b"]).with_code(0);
    assert!(
        said.err.contains("group `g`") && file(folder.path()).contains("servers = [\"notes\"]"),
        "{said:?}"
    );
    // A group of nobody would not load.
    let said = in_folder(folder.path(), &["remove", "notes"]).with_code(6);
    assert!(
        said.err.contains("group `g` has no server") && said.err.contains("nothing was written"),
        "{said:?}"
    );
    fs::write(folder.path().join("braid.toml"), MINE).unwrap();
    in_folder(folder.path(), &["remove", "notes"]).with_code(0);
    assert_eq!(file(folder.path()), "# mine\nversion = 1\n\n# behind\n[log]\nlevel = \"warn\"\n");
}
