//! Where servers come from, as the command line says it: a URL, a group of a file, and what is refused of both.

use super::{braid, command_in, with_config};
use crate::said::Said;
use std::fs;

const CONFIG: &str = "[servers.notes]\ncommand = \"${braid}\"\nargs = [\"demo-server\", \"notes\"]\n\
                      [servers.workshop]\ncommand = \"${braid}\"\nargs = [\"demo-server\", \"workshop\"]\n\
                      [groups.workbench]\nservers = [\"workshop\"]\n";

#[test]
fn a_url_is_a_source_of_one_server_without_a_prefix() {
    let shown = braid(&["config", "show", "--url", "https://mcp.example.com/mcp?key=s3cret"]).fine();
    for line in
        ["[servers.\"mcp.example.com\"]", "url = \"https://mcp.example.com/mcp?[redacted]\"", "prefix = \"\""]
    {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
}

#[test]
fn a_url_that_cannot_be_used_is_a_wrong_configuration() {
    for url in ["ftp://x", "mcp.example.com", "https://ana:s3cret@x", "https://x/#s3cret", ""] {
        for command in [&["stdio"][..], &["check"], &["list"], &["call", "x"], &["explain", "x"]] {
            let said = braid(&[command, &["--url", url]].concat()).with_code(6);
            assert!(said.err.contains("error[BRAID-C010]: no URL of a server"), "{said:?}");
            assert!(said.out.is_empty() && !said.err.contains("s3cret"), "{said:?}");
        }
    }
}

#[test]
fn a_source_is_given_once() {
    for rest in [&["-c", "x.toml"][..], &["--", "x"]] {
        braid(&[&["list", "--url", "https://x"], rest].concat()).with_code(2);
    }
}

#[test]
fn a_group_has_its_servers_alone() {
    let folder = tempfile::tempdir().unwrap();
    // The list is whole, however long its servers take.
    let config = format!("{CONFIG}[timeouts]\nfirst_list = \"10m\"\n");
    fs::write(folder.path().join("braid.toml"), config).unwrap();
    let input = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/list"}
"#;
    let served = |args: &[&str]| {
        Said::of_answered(&mut command_in(folder.path(), args, &[]), input, "\"id\":2").with_code(0)
    };
    let whole = served(&["stdio"]);
    assert!(whole.out.contains("notes__") && whole.out.contains("workshop__"), "{whole:?}");
    let group = served(&["stdio", "--group", "workbench"]);
    assert!(!group.out.contains("notes__") && group.out.contains("workshop__"), "{group:?}");
    assert!(!group.err.contains(" notes  "), "a server of no group is not started: {group:?}");
}

#[test]
fn an_unknown_group_is_a_wrong_configuration() {
    let said = with_config(CONFIG, &["stdio", "--group", "workbanch"]).with_code(6);
    assert!(said.out.is_empty() && said.err.contains("did you mean `workbench`?"), "{said:?}");
    let said = with_config(CONFIG, &["stdio", "--group", "x", "--json"]).with_code(6);
    assert_eq!(said.error()["data"]["problems"][0]["code"], "BRAID-C026");
}

#[test]
fn an_unsafe_listener_is_refused_by_every_command() {
    let config = format!("{CONFIG}[listen]\nhttp = [\"0.0.0.0:8808\"]\n");
    for command in ["stdio", "check", "list"] {
        let said = with_config(&config, &[command]).with_code(6);
        assert!(said.err.contains("error[BRAID-C024]") && said.err.contains("braid.toml:10:9"), "{said:?}");
    }
}
