//! Real programs that are asked whether they do without a handshake, and cannot bear it.

use super::braid_in;
use std::fs;
use std::path::Path;

/// A program that is the demo server unless its first line is that question: then it does this.
fn asked(folder: &Path, does: &str) {
    let braid = env!("CARGO_BIN_EXE_braid");
    let program = format!(
        "read -r line\necho started >> starts\ncase \"$line\" in *server/discover*) {does};; esac\n{{ printf '%s\\n' \"$line\"; cat; }} | '{braid}' demo-server notes\n"
    );
    fs::write(folder.join("server.sh"), program).unwrap();
    fs::write(folder.join("braid.toml"), "[servers.s]\ncommand = \"sh\"\nargs = [\"server.sh\"]\n").unwrap();
}

fn starts(folder: &Path) -> usize {
    fs::read_to_string(folder.join("starts")).unwrap().lines().count()
}

#[test]
fn a_program_that_ends_when_it_is_asked_is_started_once_more() {
    let folder = tempfile::tempdir().unwrap();
    asked(folder.path(), "exit 3");
    let said = braid_in(folder.path(), &["list", "tools", "-c", "braid.toml"], "", &[]);
    assert!(said.fine().contains("s__add"), "it is greeted then");
    assert_eq!(starts(folder.path()), 2);
}

#[test]
fn a_program_that_is_not_asked_is_started_once() {
    let folder = tempfile::tempdir().unwrap();
    asked(folder.path(), "exit 3");
    let config = folder.path().join("braid.toml");
    let text = fs::read_to_string(&config).unwrap() + "protocol = \"handshake\"\n";
    fs::write(&config, text).unwrap();
    braid_in(folder.path(), &["list", "tools", "-c", "braid.toml"], "", &[]).fine();
    assert_eq!(starts(folder.path()), 1);
}

#[test]
fn a_program_that_must_do_without_a_handshake_and_does_not_says_so() {
    let folder = tempfile::tempdir().unwrap();
    asked(folder.path(), ":");
    let config = folder.path().join("braid.toml");
    let text = fs::read_to_string(&config).unwrap() + "protocol = \"2026-07-28\"\n";
    fs::write(&config, text).unwrap();
    let said = braid_in(folder.path(), &["check", "-c", "braid.toml"], "", &[]);
    assert!(said.out.contains("does not speak revision 2026-07-28 (servers.s.protocol)"), "{said:?}");
}
