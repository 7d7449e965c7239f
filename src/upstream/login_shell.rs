//! The PATH of the user's login shell, for a Braid that a desktop app has started with a short one.
//!
//! Asks once in a run, at most: the shell is a child like any other, with the environment of a child, no input and an
//! end. Nothing that anybody wrote stands in its command line. What it prints beside the answer, as start files do, is
//! passed over. Nothing here decides whether PATH is wanted from it.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::process::{Nursery, Pace, Process, SpawnError, Spawned};
use crate::config::{Command, PathFromShell, Secret, Stderr};

/// From the start of the shell to its answer.
pub const SHELL_WAIT_MAX: Duration = Duration::from_secs(5);

/// What it may print until then.
pub const SHELL_OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Why a shell told no PATH. A sentence about it.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    #[error("the login shell could not be started: {0}")]
    Spawn(#[from] SpawnError),
    #[error("the login shell could not be started")]
    NotStarted,
    #[error("the login shell `{shell}` did not tell its PATH within {} s", wait.as_secs())]
    Slow { shell: String, wait: Duration },
    #[error("the login shell `{shell}` printed more than {} KiB", SHELL_OUTPUT_BYTES_MAX / 1024)]
    TooLarge { shell: String },
    #[error("the login shell `{shell}` told no PATH")]
    Mute { shell: String },
}

/// What the login shell of a run has said, once it was asked.
#[derive(Debug, Clone, Default)]
pub struct LoginShell(Arc<OnceCell<Option<String>>>);

impl LoginShell {
    /// The command with that PATH before ours, if it is to have it and declares none of its own.
    pub async fn lend(&self, command: &Command, wish: PathFromShell, nursery: &Nursery) -> Command {
        let around = Surroundings::of_process();
        let mut lent = command.clone();
        let declares_one = command.env.iter().any(|(name, _)| name == PATH);
        if declares_one || !around.wants(wish) {
            return lent;
        }
        if let Some(path) = self.path(&around, nursery).await {
            lent.env.push((PATH.to_owned(), Secret::new(joined(path, &around.path))));
        }
        lent
    }

    /// That PATH, asked for once in a run. `None`: it told none, which has been logged.
    pub async fn path(&self, around: &Surroundings, nursery: &Nursery) -> Option<&str> {
        let asked = self.0.get_or_init(|| async {
            match ask(around, nursery, SHELL_WAIT_MAX).await {
                Ok(path) => Some(path),
                Err(why) => {
                    tracing::warn!(why = %why, "programs are looked for in Braid's own PATH (path_from_shell)");
                    None
                }
            }
        });
        asked.await.as_deref()
    }
}

/// What decides whether a shell is asked, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// Our own PATH.
    pub path: String,
    pub shell: Option<String>,
    /// We were started in a terminal, whose shell has made our PATH what it is.
    pub in_terminal: bool,
    /// Of somebody's desktop, rather than a service.
    pub on_desktop: bool,
}

impl Surroundings {
    pub fn of_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            path: variable(PATH).unwrap_or_default(),
            shell: variable("SHELL"),
            // It can be opened as long as there is one, whatever our own ends are.
            in_terminal: cfg!(unix) && std::fs::File::open("/dev/tty").is_ok(),
            on_desktop: DESKTOP.iter().any(|name| variable(name).is_some()),
        }
    }

    /// Whether a shell is worth to be asked.
    pub fn wants(&self, wish: PathFromShell) -> bool {
        match wish {
            PathFromShell::Never => false,
            PathFromShell::Always => cfg!(unix),
            PathFromShell::Auto => cfg!(unix) && self.on_desktop && !self.in_terminal && is_short(&self.path),
        }
    }
}

/// Whether a PATH has the folders of the system and no others, as desktop apps are given it.
pub fn is_short(path: &str) -> bool {
    std::env::split_paths(path).all(|folder| SYSTEM_FOLDERS.iter().any(|known| folder == Path::new(known)))
}

/// Asks the shell. Dropping the future ends it and whoever it started.
pub async fn ask(around: &Surroundings, nursery: &Nursery, wait: Duration) -> Result<String, ShellError> {
    let shell = around.shell.clone().unwrap_or_else(|| "/bin/sh".to_owned());
    let until = Instant::now() + wait;
    let mut command = Command::new(&shell, Path::new("/"));
    // An interactive shell reads the file in which most people set their PATH. In a terminal it would want to have that
    // for itself, and stop where it cannot.
    let options: &[&str] = if around.in_terminal { &["-l", "-c"] } else { &["-l", "-i", "-c"] };
    command.args = options.iter().chain([&SCRIPT]).map(|&word| word.to_owned()).collect();
    let spawned = nursery.spawn(&command, "login shell", Stderr::Drop).await;
    let Spawned { process, stdin, mut stdout } = spawned.map_err(|_| ShellError::NotStarted)??;
    drop(stdin);
    let told = timeout_at(until, told(&mut stdout, &process)).await;
    process.stop(Pace::NOW).await;
    match told {
        Ok(Ok(text)) => answer(&text).ok_or(ShellError::Mute { shell }),
        Ok(Err(TooLarge)) => Err(ShellError::TooLarge { shell }),
        Err(_) => Err(ShellError::Slow { shell, wait }),
    }
}

struct TooLarge;

/// What it prints until its answer is whole, or nothing more comes.
async fn told(stdout: &mut ChildStdout, process: &Process) -> Result<String, TooLarge> {
    let mut bytes = Vec::new();
    let mut is_over = false;
    loop {
        let read = tokio::select! {
            biased;
            read = stdout.read_buf(&mut bytes) => read.unwrap_or_default(),
            _ = process.ended(), if !is_over => {
                is_over = true;
                continue;
            }
            // Somebody whom it started may keep its stdout open.
            () = tokio::time::sleep(REST_WAIT_MAX), if is_over => 0,
        };
        let text = String::from_utf8_lossy(&bytes);
        if read == 0 || answer(&text).is_some() {
            return Ok(text.into_owned());
        }
        if bytes.len() > SHELL_OUTPUT_BYTES_MAX {
            return Err(TooLarge);
        }
    }
}

/// What stands between the two marks; the last of them, as what is read before may echo the command.
fn answer(text: &str) -> Option<String> {
    let (before, _) = text.rsplit_once(END)?;
    let (_, path) = before.rsplit_once(BEGIN)?;
    let path = path.trim_matches(['\r', '\n']);
    let is_one = path.contains('/') && !path.contains(char::is_control);
    is_one.then(|| path.to_owned())
}

/// Those of the shell first, and then ours that it does not have.
fn joined(shell: &str, ours: &str) -> String {
    let theirs: Vec<_> = std::env::split_paths(shell).collect();
    let more = std::env::split_paths(ours).filter(|folder| !theirs.contains(folder));
    let all = theirs.iter().cloned().chain(more);
    let joined = std::env::join_paths(all).map(OsString::into_string);
    joined.ok().and_then(Result::ok).unwrap_or_else(|| shell.to_owned())
}

const PATH: &str = "PATH";

/// Understood alike by every shell that somebody may log in with: three commands, and no sign that any of them treats
/// in its own way.
const SCRIPT: &str = "echo BRAID-PATH-BEGINS; printenv PATH; echo BRAID-PATH-ENDS";
const BEGIN: &str = "BRAID-PATH-BEGINS";
const END: &str = "BRAID-PATH-ENDS";

/// What may still be in the pipe when the shell has ended.
const REST_WAIT_MAX: Duration = Duration::from_millis(200);

/// Variables that programs of a desktop have, and those of a service do not.
const DESKTOP: [&str; 4] = ["DISPLAY", "WAYLAND_DISPLAY", "XDG_CURRENT_DESKTOP", "__CFBundleIdentifier"];

/// What a system itself puts into PATH.
const SYSTEM_FOLDERS: [&str; 9] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/games",
    "/usr/local/games",
    "/snap/bin",
];
