//! The log on stderr: its level, and who decides it.

use super::{EXAMPLE, braid, braid_in, with_config};

/// One server that ends before its handshake, which is worth a warning.
const ENDS: &str = "[servers.ends]\ncommand = \"true\"\n";

#[test]
fn a_misspelt_level_is_refused() {
    for args in [&["--log-level", "inof", "list"][..], &["list", "--log-level=info,x=loud"]] {
        let said = braid(args).with_code(2);
        assert!(said.err.contains("expected off, error, warn, info, debug or trace"), "{said:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    braid_in(folder.path(), &["list", "-c", EXAMPLE], "", &[("BRAID_LOG", "inof")]).with_code(2);
}

#[test]
fn a_level_that_is_typed_beats_quiet() {
    let is_logged = |args: &[&str]| with_config(ENDS, args).err.contains(" WARN ");
    assert!(is_logged(&["list", "--log-level", "warn"]));
    assert!(is_logged(&["list", "--log-level", "warn", "-q"]));
    assert!(is_logged(&["-q", "--log-level", "warn", "list"]));
    assert!(!is_logged(&["list", "-q"]));
}

#[test]
fn quiet_beats_a_level_that_is_inherited() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("braid.toml"), ENDS).unwrap();
    let is_logged =
        |args: &[&str]| braid_in(folder.path(), args, "", &[("BRAID_LOG", "warn")]).err.contains(" WARN ");
    assert!(is_logged(&["list"]));
    assert!(!is_logged(&["list", "-q"]));
}

#[test]
fn a_shape_that_is_typed_beats_the_file() {
    let config = format!("{ENDS}[log]\nformat = \"json\"\n");
    // The log has a thread of its own: what the command itself says may come before.
    let is_json = |args: &[&str]| {
        let said = with_config(&config, &[&["list", "--log-level", "warn"], args].concat());
        assert!(said.err.contains("WARN"), "{said:?}");
        said.err.lines().any(|line| line.starts_with('{'))
    };
    assert!(is_json(&[]));
    assert!(!is_json(&["--log-format", "auto"]));
    assert!(!is_json(&["--log-format", "text"]));
}
