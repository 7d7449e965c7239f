//! Real processes: trees that must end, and the pipes to them.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "here a panic is how a claim fails")]

#[cfg(target_os = "linux")]
mod children;
#[cfg(target_os = "linux")]
mod evil;
#[cfg(target_os = "linux")]
mod guarded;
#[cfg(target_os = "linux")]
mod killed;
mod leaving;
#[cfg(target_os = "linux")]
mod login_shell;
#[cfg(target_os = "linux")]
mod nest;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mcp_braid::upstream::environment::Cookie;
use mcp_braid::upstream::guardian::Guardian;
use mcp_braid::upstream::process::Nursery;
use tokio_util::task::TaskTracker;

/// A run of its own, whose guardian is this program.
fn nursery(guardian: impl IntoIterator<Item = PathBuf>) -> Nursery {
    let cookie = Arc::new(Cookie::new("1d").unwrap());
    let guardian = Arc::new(Guardian::new(&cookie, guardian));
    Nursery::new(cookie, guardian, TaskTracker::new())
}

/// The same without one: what ends as it should needs none.
fn unguarded() -> Nursery {
    nursery(None)
}

/// What takes longer than this will not come.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it takes too long")
}

/// Runs a test again in a process of its own, and says whether this is that process.
fn is_alone(test: &str) -> bool {
    stderr_alone(test).is_none()
}

/// Runs a test again in a process of its own, and gives what that wrote to stderr. `None`: this is it.
fn stderr_alone(test: &str) -> Option<String> {
    const VARIABLE: &str = "BRAID_TEST_ALONE";
    if std::env::var(VARIABLE).is_ok_and(|alone| alone == test) {
        return None;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(VARIABLE, test)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
    Some(err.into_owned())
}
