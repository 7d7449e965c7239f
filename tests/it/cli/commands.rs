//! Each command of the README against the example configuration.

use super::{EXAMPLE, braid, braid_in, with_example};
use std::fs;

#[test]
fn the_first_command_of_the_readme_prints_the_sum() {
    let said = braid(&["call", "-c", EXAMPLE, "workshop__add", "a=2", "b=3"]).fine();
    assert_eq!(said, "{\"sum\":5}\n");
}

#[test]
fn list_shows_what_clients_see() {
    for (what, name) in [
        (&["list"][..], "workshop__add"),
        (&["list", "tools"], "notes__add"),
        (&["list", "prompts"], "workshop__greet"),
        (&["list", "resources"], "notes+note://welcome"),
        (&["list", "templates"], "notes+note://{id}"),
        (&["list", "servers"], "workshop"),
    ] {
        let said = with_example(what).fine();
        assert!(said.lines().any(|line| line.split(' ').next() == Some(name)), "{what:?} {said}");
    }
    let said = with_example(&["list", "tools", "notes"]).fine();
    assert!(said.lines().all(|line| line.starts_with("notes__")), "{said}");
}

#[test]
fn lists_as_json_hold_what_the_servers_wrote() {
    for what in ["tools", "prompts", "resources", "servers"] {
        let said = with_example(&["--json", "list", what]).fine();
        let list: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert!(!list[what].as_array().unwrap().is_empty(), "{said}");
    }
    let said = with_example(&["list", "templates", "--format", "json"]).fine();
    let list: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(list["resourceTemplates"][0]["server"], "notes");
}

#[test]
fn a_call_takes_its_arguments_in_three_ways() {
    assert_eq!(
        with_example(&["call", "workshop__add", "--args", r#"{"a":2,"b":3}"#]).fine(),
        "{\"sum\":5}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let args = ["call", "workshop__add", "-", "-c", EXAMPLE];
    assert_eq!(braid_in(folder.path(), &args, "{\"a\": 2,\n\"b\": 3}\n", &[]).fine(), "{\"sum\":5}\n");
    let said = braid_in(folder.path(), &args, "[]", &[]).with_code(2);
    assert!(said.err.starts_with("braid: the arguments must be a JSON object"), "{said:?}");
}

#[test]
fn a_call_as_json_is_the_whole_result() {
    let said = with_example(&["--json", "call", "workshop__add", "a=2", "b=3"]).fine();
    let result: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(result["structuredContent"]["sum"], 5);
}

#[test]
fn a_tool_that_fails_or_is_not_there_is_exit_code_5() {
    let said = with_example(&["call", "workshop__fail"]).with_code(5);
    assert!(said.out.starts_with("✗ the tool reports an error\n"), "{said:?}");
    with_example(&["call", "workshop__nothing"]).with_code(5);
}

#[test]
fn a_resource_is_read_and_a_prompt_is_got() {
    let said = with_example(&["read", "notes+note://welcome"]).fine();
    assert_eq!(said, "These notes live in memory and are gone when their server stops.\n");
    let said = with_example(&["prompt", "workshop__greet", "name=Ana"]).fine();
    assert!(said.starts_with("user: Greet Ana"), "{said}");
    with_example(&["read", "nowhere://at/all"]).with_code(5);
    with_example(&["prompt", "workshop__nothing"]).with_code(5);
}

#[test]
fn explain_says_where_a_name_and_a_uri_lead() {
    let said = with_example(&["explain", "notes__add"]).fine();
    assert!(said.starts_with("notes__add\n  leads to the tool `add` of `notes` ("), "{said}");
    let said = with_example(&["explain", "notes+note://welcome"]).fine();
    assert!(said.contains("\n  leads to the resource `note://welcome` of `notes` ("), "{said}");
    with_example(&["explain", "nothing"]).with_code(5);
}

#[test]
fn explain_knows_every_code_that_a_start_may_end_with() {
    for code in ["BRAID-C003", "BRAID-S001", "S004", "s9", "S010", "BRAID-S011", "a1", "H002", "N011", "T012"]
    {
        assert!(braid(&["explain", code]).fine().starts_with("BRAID-"), "{code}");
    }
    let said = braid(&["explain", "BRAID-S999"]).with_code(2);
    assert!(said.err.starts_with("braid: `BRAID-S999` is no code of Braid"), "{said:?}");
}

#[test]
fn check_says_what_each_server_offers() {
    let said = with_example(&["check"]).fine();
    for line in ["config    ✓ ", "notes     ✓ 2025-11-25  stdio  4 tools", "names     ✓ 10 tools"] {
        assert!(said.contains(line), "{said}");
    }
    let offline = "notes     · stdio  not started\nworkshop  · stdio  not started\n";
    assert_eq!(
        with_example(&["check", "--offline"]).fine(),
        format!("config    ✓ {EXAMPLE}  2 servers\n{offline}")
    );
    with_example(&["check", "--strict", "--client", "cursor"]).fine();
    with_example(&["check", "--client", "netscape"]).with_code(2);
}

#[test]
fn the_printed_example_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("braid.toml"), braid(&["config", "example"]).fine()).unwrap();
    let said = braid_in(folder.path(), &["call", "workshop__add", "a=2", "b=3"], "", &[]).fine();
    assert_eq!(said, "{\"sum\":5}\n");
    let said = braid_in(folder.path(), &["config", "path"], "", &[]).fine();
    assert!(said.starts_with("braid.toml   (current folder)\n"), "{said}");
    let said = braid_in(folder.path(), &["config", "show"], "", &[]).fine();
    assert!(said.contains("\n[servers.workshop]\ncommand = "), "{said}");
}

#[test]
fn the_schema_is_json_and_completions_are_a_script() {
    let schema: serde_json::Value = serde_json::from_str(&braid(&["config", "schema"]).fine()).unwrap();
    assert!(schema["properties"]["servers"].is_object());
    assert!(braid(&["completions", "bash"]).fine().starts_with("_braid() {"));
}

#[test]
fn one_server_needs_no_file() {
    let program = env!("CARGO_BIN_EXE_braid");
    let said = braid(&["list", "--json", "--", program, "demo-server", "notes"]).fine();
    assert!(said.contains(r#""own":"add""#), "{said}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let said = braid(&["demo-server", "unknown"]).with_code(2);
    assert_eq!(said.err, "there is no demo server `unknown`; there are: notes, workshop\n");
    braid(&["lits"]).with_code(2);
    braid(&["call"]).with_code(2);
    with_example(&["list", "tools", "nobody"]).with_code(2);
}

#[test]
fn without_a_configuration_every_command_says_how_to_begin() {
    let said = braid(&["list"]).with_code(6);
    assert!(said.err.contains("BRAID-C018"), "{said:?}");
}
