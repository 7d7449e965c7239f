//! Login shells that tell their PATH, and those that do not: each is asked once, and none holds anybody up.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use mcp_braid::config::{Command, PathFromShell, Secret};
use mcp_braid::upstream::login_shell::{
    LoginShell, SHELL_OUTPUT_BYTES_MAX, ShellError, Surroundings, ask, is_short,
};

use super::{soon, unguarded};

/// Long enough on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn around(shell: &str) -> Surroundings {
    Surroundings {
        path: "/usr/bin:/bin".into(),
        shell: Some(shell.into()),
        in_terminal: false,
        on_desktop: true,
    }
}

/// A shell that is this script. It gets `-l -i -c` and what it is to run.
fn fake(folder: &Path, script: &str) -> String {
    let file = folder.join("shell");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file.display().to_string()
}

async fn told(script: &str) -> Result<String, ShellError> {
    let folder = tempfile::tempdir().unwrap();
    let nursery = unguarded();
    let path = soon(ask(&around(&fake(folder.path(), script)), &nursery, PATIENCE)).await;
    nursery.tracker.close();
    soon(nursery.tracker.wait()).await;
    path
}

#[tokio::test]
async fn a_shell_tells_its_path_whatever_else_it_prints() {
    for script in [
        "PATH=/from/shell:/usr/bin:/bin; export PATH; eval \"$4\"",
        "echo Welcome back; PATH=/from/shell:/usr/bin:/bin; export PATH; eval \"$4\"; echo bye",
        "printf '\\033[2J$ '; set -v; PATH=/from/shell:/usr/bin:/bin; export PATH; eval \"$4\"",
        "echo BRAID-PATH-BEGINS; echo BRAID-PATH-ENDS; export PATH=/from/shell:/usr/bin:/bin; eval \"$4\"",
        // Somebody whom it started keeps its stdout.
        "export PATH=/from/shell:/usr/bin:/bin; sleep 600 & eval \"$4\"",
        "export PATH=/from/shell:/usr/bin:/bin; eval \"$4\"; exit 3",
    ] {
        assert_eq!(told(script).await.unwrap(), "/from/shell:/usr/bin:/bin", "{script}");
    }
}

#[tokio::test]
async fn it_is_asked_as_somebody_who_logs_in_and_reads_nothing_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let script = format!(
        "printf '%s|' \"$#\" \"$1\" \"$2\" \"$3\" \"$4\" > '{0}'; cat >> '{0}'; env | cut -d= -f1 >> '{0}'; eval \"$4\"",
        notes.display()
    );
    told(&script).await.unwrap();
    let notes = fs::read_to_string(notes).unwrap();
    let first = "4|-l|-i|-c|echo BRAID-PATH-BEGINS; printenv PATH; echo BRAID-PATH-ENDS|";
    assert!(notes.starts_with(first), "{notes}");
    assert!(!notes.contains("CARGO"), "{notes}");
}

#[tokio::test]
async fn in_a_terminal_it_is_not_asked_for_a_session_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let shell =
        fake(folder.path(), "test \"$1 $2\" = '-l -c' && export PATH=/x:/bin:/usr/bin && eval \"$3\"");
    let around = Surroundings { in_terminal: true, ..around(&shell) };
    assert_eq!(soon(ask(&around, &unguarded(), PATIENCE)).await.unwrap(), "/x:/bin:/usr/bin");
}

#[tokio::test]
async fn a_shell_that_tells_nothing_is_said_to() {
    for script in [
        "exit 0",
        "exit 1",
        "echo /usr/bin",
        "echo BRAID-PATH-BEGINS; echo; echo BRAID-PATH-ENDS",
        "kill -9 $$",
    ] {
        assert!(matches!(told(script).await, Err(ShellError::Mute { .. })), "{script}");
    }
    let none = soon(ask(&around("/no/such/shell"), &unguarded(), PATIENCE)).await;
    assert!(matches!(none, Err(ShellError::Spawn(_))), "{none:?}");
}

#[tokio::test]
async fn what_it_prints_has_a_bound() {
    let script = format!("head -c {} /dev/zero | tr '\\0' x; sleep 600", SHELL_OUTPUT_BYTES_MAX + 1);
    assert!(matches!(told(&script).await, Err(ShellError::TooLarge { .. })));
}

#[tokio::test]
async fn a_shell_that_hangs_is_ended_with_whomever_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let shell = fake(folder.path(), "trap '' TERM; sleep 600 & wait");
    let nursery = unguarded();
    let asked = soon(ask(&around(&shell), &nursery, Duration::from_millis(300))).await;
    assert!(matches!(asked, Err(ShellError::Slow { .. })), "{asked:?}");
    assert_eq!(nursery.cookie.sweep().await, 0, "nobody of it is left");
}

#[tokio::test]
async fn a_real_shell_reads_what_its_user_wrote() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".bash_profile"), "echo noise\nexport PATH=/of/ana:$PATH\n").unwrap();
    let bash = Path::new("/bin/bash");
    if !bash.exists() {
        return;
    }
    // The home folder is ours to give only through the shell.
    let shell = fake(folder.path(), &format!("HOME='{}' exec /bin/bash \"$@\"", folder.path().display()));
    let around = Surroundings { in_terminal: true, ..around(&shell) };
    let path = soon(ask(&around, &unguarded(), PATIENCE)).await.unwrap();
    assert!(path.starts_with("/of/ana:"), "{path}");
}

#[tokio::test]
async fn a_command_gets_the_shells_folders_before_ours_unless_it_has_a_path() {
    let nursery = unguarded();
    let command = Command::new("x", Path::new("/"));
    let shell = LoginShell::default();
    assert_eq!(soon(shell.lend(&command, PathFromShell::Never, &nursery)).await, command);
    // No test is started by a desktop app.
    let is_desktop = Surroundings::of_process().wants(PathFromShell::Auto);
    if !is_desktop {
        assert_eq!(soon(shell.lend(&command, PathFromShell::Auto, &nursery)).await, command);
    }
    let own = Command { env: vec![("PATH".into(), Secret::new("/mine"))], ..command };
    assert_eq!(soon(shell.lend(&own, PathFromShell::Always, &nursery)).await, own);
}

#[test]
fn a_shell_is_asked_where_a_desktop_app_left_the_path_short() {
    let short = around("/bin/sh");
    assert!(short.wants(PathFromShell::Auto));
    for not in [
        Surroundings { path: "/home/ana/.local/bin:/usr/bin".into(), ..short.clone() },
        Surroundings { in_terminal: true, ..short.clone() },
        Surroundings { on_desktop: false, ..short },
    ] {
        assert!(!not.wants(PathFromShell::Auto), "{not:?}");
        assert!(not.wants(PathFromShell::Always) && !not.wants(PathFromShell::Never));
    }
    assert!(is_short("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"));
    assert!(!is_short("/usr/bin:/opt/homebrew/bin"));
}
