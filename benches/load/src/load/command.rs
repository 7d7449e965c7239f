//! A server as a child process of ours, spoken to over its stdin and stdout.
//!
//! Owns the child until it is gone. A command line is split at spaces; quotes hold words together.

use super::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Its stderr is ours.
pub fn spawn(line: &str, directory: Option<&Path>) -> Result<Child, Failure> {
    let words = words(line)?;
    let (program, arguments) =
        words.split_first().ok_or_else(|| Failure::new("the command line is empty"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    command.spawn().map_err(|error| Failure::new(format!("`{program}` cannot be started: {error}")))
}

/// Both ends of a child; they are there, because it was spawned so.
pub fn ends(child: &mut Child) -> Result<(ChildStdin, ChildStdout), Failure> {
    let ends = child.stdin.take().zip(child.stdout.take());
    ends.ok_or_else(|| Failure::new("the server has no stdin or no stdout"))
}

/// Ends a child whose stdin was closed: waits, asks it, and kills it.
pub async fn end(mut child: Child) {
    if timeout(LEAVE_MAX, child.wait()).await.is_ok() {
        return;
    }
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
        let _ = kill_process(pid, Signal::TERM);
    }
    if timeout(TERM_MAX, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

fn words(line: &str) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t' | '\n') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(Failure::new(format!("a quote in `{line}` is not closed")));
    }
    words.extend(word);
    Ok(words)
}

const LEAVE_MAX: Duration = Duration::from_secs(5);
const TERM_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        let line = r#" mock  stdio --name 'a "b" c' --x="d e" '' "#;
        assert_eq!(words(line).unwrap(), ["mock", "stdio", "--name", r#"a "b" c"#, "--x=d e", ""]);
        assert!(words("a 'b").is_err());
        assert!(words(" ").unwrap().is_empty());
    }
}
