//! Configurations that lead back to themselves: the loop is said, and nobody starts itself without end.

use super::{Said, braid_in};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A server that is Braid with this file. Its start is a line in `starts`, and its answers stand in `answers`.
fn leads_to(file: &str) -> String {
    let braid = env!("CARGO_BIN_EXE_braid");
    format!(
        "[servers.back]\ncommand = \"sh\"\n\
         args = [\"-c\", \"echo started >> starts; '{braid}' stdio -c {file} | tee -a answers\"]\n"
    )
}

fn listed(folder: &Path, server: &[&str]) -> Said {
    let before = Instant::now();
    let said = braid_in(folder, &[&["list", "tools"], server, &["-c", "a.toml"]].concat(), "", &[]);
    assert!(before.elapsed() < SOON, "{said:?}");
    said
}

fn lines(folder: &Path, file: &str) -> Vec<String> {
    fs::read_to_string(folder.join(file)).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_proxy_behind_itself_is_a_loop_and_starts_no_third() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), leads_to("a.toml")).unwrap();
    listed(folder.path(), &["back"]).with_code(4);
    let answers = lines(folder.path(), "answers");
    assert!(answers.iter().all(|answer| answer.contains(r#""code":1005,"#)), "{answers:?}");
    // Each one started is one that answered, to what it is asked before the handshake and to that: none of them started
    // another.
    let starts = lines(folder.path(), "starts").len();
    assert!((starts..=2 * starts).contains(&answers.len()), "{starts} starts, {answers:?}");
}

#[test]
fn a_loop_over_two_files_ends_where_it_closes() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), leads_to("b.toml")).unwrap();
    fs::write(folder.path().join("b.toml"), leads_to("a.toml")).unwrap();
    // The proxy in the middle is well and offers nothing; the one behind it says the loop.
    listed(folder.path(), &[]);
    let answers = lines(folder.path(), "answers");
    assert!(answers.iter().any(|answer| answer.contains(r#""code":1005,"#)), "{answers:?}");
    assert!(lines(folder.path(), "starts").len() <= 1 + RESTARTS_MAX, "{answers:?}");
}

/// Shorter than any patience of the configuration: nothing waited in vain.
const SOON: Duration = Duration::from_secs(20);

/// What the one in the middle may try again while its own client looks at it, on however busy a machine.
const RESTARTS_MAX: usize = 8;
