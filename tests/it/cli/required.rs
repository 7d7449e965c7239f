//! `required = true`: commands fail when the server cannot start, and say its own sentence.

use super::{Said, braid_in, with_config};

/// One server that works and one whose program does not exist.
fn with_a_missing_server(required: bool, args: &[&str]) -> Said {
    with_config(
        &format!(
            "[servers.workshop]\ncommand = \"${{braid}}\"\nargs = [\"demo-server\", \"workshop\"]\n\
             [servers.lost]\ncommand = \"no-such-program-anywhere\"\nrequired = {required}\n"
        ),
        args,
    )
}

const COMMANDS: [&[&str]; 6] = [
    &["list"],
    &["list", "servers"],
    &["list", "tools", "workshop"],
    &["call", "workshop__add", "a=2", "b=3"],
    &["read", "workshop+workshop://tools/hammer"],
    &["prompt", "workshop__greet", "name=Ana"],
];

#[test]
fn a_required_server_that_cannot_start_fails_every_command() {
    for args in COMMANDS {
        let said = with_a_missing_server(true, args).with_code(4);
        assert!(said.err.starts_with("braid: lost: `no-such-program-anywhere` not found; "), "{said:?}");
        assert!(said.err.ends_with("(BRAID-S001)\n"), "{said:?}");

        let json = [args, &["--json"]].concat();
        let error = with_a_missing_server(true, &json).with_code(4).error();
        assert!(error["message"].as_str().unwrap().starts_with("lost: "), "{error}");
    }
}

#[test]
fn nothing_is_called_while_a_required_server_is_missing() {
    assert_eq!(with_a_missing_server(true, COMMANDS[3]).out, "");
}

#[test]
fn a_server_that_is_not_required_fails_nothing() {
    for args in COMMANDS {
        with_a_missing_server(false, args).with_code(0);
    }
    let said = with_a_missing_server(false, &["list"]);
    assert!(said.err.starts_with("braid: lost: `no-such-program-anywhere` not found; "), "{said:?}");
    assert!(said.out.contains("workshop__add"), "{said:?}");
}

#[test]
fn a_server_that_is_asked_for_must_be_there() {
    with_a_missing_server(false, &["list", "tools", "lost"]).with_code(4);
    with_a_missing_server(false, &["check"]).with_code(4);
}

#[test]
fn the_default_of_required_counts_for_every_server() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[defaults]\nrequired = true\n[servers.lost]\ncommand = \"no-such-program-anywhere\"\n";
    std::fs::write(folder.path().join("braid.toml"), text).unwrap();
    braid_in(folder.path(), &["list"], "", &[]).with_code(4);
}
