//! What a person at a terminal is asked before something is written.
//!
//! Asked on stderr and answered on stdin, so that stdout stays the result. Nobody is asked where either is no
//! terminal: a script says beforehand what it wants.

use std::io::{BufRead, IsTerminal, Read, Write};

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Whether there is somebody to ask.
pub(super) fn is_possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether somebody says yes; everything else is no.
pub(super) fn yes(question: &str) -> bool {
    let answer = line(&format!("{question} [y/N] ")).unwrap_or_default();
    matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes")
}

/// What somebody answers; `None` for nothing.
pub(super) fn line(prompt: &str) -> Option<String> {
    let mut err = anstream::stderr().lock();
    write!(err, "{prompt}").and_then(|()| err.flush()).ok()?;
    let mut answer = String::new();
    std::io::stdin().lock().take(ANSWER_BYTES_MAX).read_line(&mut answer).ok()?;
    let answer = answer.trim();
    (!answer.is_empty()).then(|| answer.to_owned())
}
