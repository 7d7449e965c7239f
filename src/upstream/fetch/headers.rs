//! Headers that a program makes: `headers_command`, for tokens that do not live long.
//!
//! The program is a child like any server, with the same environment and the same guardian, but a short one:
//! its stdout is a JSON object of names and values, and when it has said it, it is gone. What it says is
//! secret and stands in no error.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, MapAccess, Visitor};
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::remote::{HeaderFlaw, judge_header_name, judge_header_value};
use crate::config::{Command, Secret, Stderr};
use crate::upstream::process::{Nursery, Pace, Process, SpawnError, Spawned};

/// What such a program may print.
pub const HEADERS_OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Headers of one object.
pub const HEADERS_MAX: usize = 64;

/// From its start to its end.
pub const HEADERS_WAIT_MAX: Duration = Duration::from_secs(10);

/// What may still be in the pipe when the program has ended and somebody who left it keeps the pipe open.
const REST_WAIT_MAX: Duration = Duration::from_millis(200);

/// Why a `headers_command` gave no headers. Holds nothing of its stdout.
#[derive(Debug, thiserror::Error)]
pub enum HeadersError {
    #[error("`headers_command`: {0}")]
    Spawn(#[from] SpawnError),
    #[error("`headers_command`: `{program}` could not be started")]
    NotStarted { program: String },
    #[error("`headers_command`: `{program}` took longer than {} s", wait.as_secs())]
    Slow { program: String, wait: Duration },
    #[error("`headers_command`: `{program}` printed more than {} KiB", HEADERS_OUTPUT_BYTES_MAX / 1024)]
    TooLarge { program: String },
    /// `status` in words that follow a name; `said` are the last lines of its stderr, escaped.
    #[error("`headers_command`: `{program}` {status}{said}")]
    Failed { program: String, status: String, said: String },
    #[error(
        "`headers_command`: `{program}` must print a JSON object of texts, such as {{\"Authorization\": \"…\"}}; {why}"
    )]
    NoObject { program: String, why: String },
    #[error("`headers_command`: `{program}` printed a header that cannot be sent: {why}")]
    Header { program: String, why: String },
}

/// Runs the program once and reads what it prints. Needs a runtime.
///
/// Dropping the future ends the program and whoever it started, at once.
pub async fn headers_of(
    command: &Command,
    server: &str,
    nursery: &Nursery,
) -> Result<Vec<(String, Secret)>, HeadersError> {
    headers_within(command, server, nursery, HEADERS_WAIT_MAX).await
}

async fn headers_within(
    command: &Command,
    server: &str,
    nursery: &Nursery,
    wait: Duration,
) -> Result<Vec<(String, Secret)>, HeadersError> {
    let program = || command.program.clone();
    let until = Instant::now() + wait;
    let spawned = nursery.spawn(command, server, Stderr::Log).await;
    let Ok(spawned) = spawned else { return Err(HeadersError::NotStarted { program: program() }) };
    let Spawned { process, stdin, stdout } = spawned?;
    drop(stdin);
    let printed = timeout_at(until, printed(stdout, &process)).await;
    let failed = match printed {
        Ok(Ok(text)) => return read(&text).map_err(|why| why.of(program())),
        Ok(Err(Mute::TooLarge)) => HeadersError::TooLarge { program: program() },
        Ok(Err(Mute::Failed(status))) => {
            let tail = process.stderr_tail();
            let said = if tail.is_empty() { tail } else { format!("; its stderr: {tail}") };
            HeadersError::Failed { program: program(), status, said }
        }
        Err(_) => HeadersError::Slow { program: program(), wait },
    };
    process.stop(Pace::NOW).await;
    Err(failed)
}

enum Mute {
    TooLarge,
    Failed(String),
}

/// All that a program prints until it has ended well.
async fn printed(mut stdout: ChildStdout, process: &Process) -> Result<Vec<u8>, Mute> {
    let mut text = Vec::new();
    let ended = tokio::select! {
        biased;
        whole = read_all(&mut stdout, &mut text) => {
            whole?;
            process.ended().await
        }
        ended = process.ended() => {
            // What it wrote is in the pipe, but its end may never come.
            if let Ok(whole) = timeout(REST_WAIT_MAX, read_all(&mut stdout, &mut text)).await {
                whole?;
            }
            ended
        }
    };
    if ended.success { Ok(text) } else { Err(Mute::Failed(ended.status)) }
}

async fn read_all(stdout: &mut ChildStdout, text: &mut Vec<u8>) -> Result<(), Mute> {
    loop {
        // A pipe that cannot be read any more has nothing more for us.
        if stdout.read_buf(text).await.unwrap_or_default() == 0 {
            return Ok(());
        }
        if text.len() > HEADERS_OUTPUT_BYTES_MAX {
            return Err(Mute::TooLarge);
        }
    }
}

enum Unusable {
    NoObject(String),
    Header(String),
}

impl Unusable {
    fn of(self, program: String) -> HeadersError {
        match self {
            Self::NoObject(why) => HeadersError::NoObject { program, why },
            Self::Header(why) => HeadersError::Header { program, why },
        }
    }
}

/// The headers of one object. Errors say where, and of what is there no more than a name that is one.
fn read(text: &[u8]) -> Result<Vec<(String, Secret)>, Unusable> {
    let text = std::str::from_utf8(text).map_err(|_| Unusable::NoObject("this is not UTF-8".to_owned()))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = reader.deserialize_map(Object).and_then(|found| reader.end().map(|()| found));
    // What serde says quotes what it found.
    let found = found.map_err(|error| {
        Unusable::NoObject(format!("line {}, column {} is something else", error.line(), error.column()))
    })?;
    if found.len() > HEADERS_MAX {
        return Err(Unusable::Header(format!("there are more than {HEADERS_MAX}")));
    }
    let mut seen: Vec<String> = Vec::new();
    for (number, (name, value)) in found.iter().enumerate() {
        let flaw = match judge_header_name(name) {
            Err(HeaderFlaw::Name) => Some(format!("the name of number {} is none", number + 1)),
            Err(HeaderFlaw::Ours) => Some(format!("`{name}` is set by Braid")),
            Ok(()) => judge_header_value(value.expose()).err().map(|why| format!("`{name}`: {why}")),
        };
        if let Some(flaw) = flaw {
            return Err(Unusable::Header(flaw));
        }
        if seen.contains(&name.to_ascii_lowercase()) {
            return Err(Unusable::Header(format!("`{name}` is there twice")));
        }
        seen.push(name.to_ascii_lowercase());
    }
    Ok(found)
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Vec<(String, Secret)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = Vec::new();
        // One more than there may be is enough to refuse them all, but the text must still be read to its end.
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            if found.len() <= HEADERS_MAX {
                found.push((name, Secret::new(value)));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::upstream::environment::Cookie;
    use crate::upstream::guardian::Guardian;

    fn nursery() -> Nursery {
        let cookie = Arc::new(Cookie::new("1d").unwrap());
        let guardian = Arc::new(Guardian::new(&cookie, None));
        Nursery::new(cookie, guardian, TaskTracker::new())
    }

    /// Runs a script of the shell, and looks for secrets in what went wrong. When it returns, nobody is left.
    async fn run(script: &str) -> Result<Vec<(String, String)>, String> {
        run_for(script, Duration::from_secs(60)).await
    }

    async fn run_for(script: &str, wait: Duration) -> Result<Vec<(String, String)>, String> {
        let mut command = Command::new("sh", Path::new("/"));
        command.args = vec!["-c".to_owned(), script.to_owned()];
        let nursery = nursery();
        let found = headers_within(&command, "test", &nursery, wait).await;
        nursery.tracker.close();
        nursery.tracker.wait().await;
        assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
        match found {
            Ok(found) => Ok(found.into_iter().map(|(name, it)| (name, it.expose().to_owned())).collect()),
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains("s3cret"), "{text}");
                Err(text.strip_prefix("`headers_command`: ").unwrap().to_owned())
            }
        }
    }

    fn headers(of: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        Ok(of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[tokio::test]
    async fn what_a_program_prints_is_headers() {
        let found = run(r#"printf '{"Authorization": "Bearer s3cret",\n "X-B": ""}\n'"#).await;
        assert_eq!(found, headers(&[("Authorization", "Bearer s3cret"), ("X-B", "")]));
        assert_eq!(run("echo '{}'").await, headers(&[]));
    }

    #[tokio::test]
    async fn a_program_has_no_stdin_and_the_environment_of_a_child() {
        // Cargo sets this for its tests; it is on no list.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let script = r#"read line; printf '{"a": "%s", "b": "%s"}' "$CARGO_MANIFEST_DIR" "${PATH:+yes}""#;
        assert_eq!(run(script).await, headers(&[("a", ""), ("b", "yes")]));
    }

    #[tokio::test]
    async fn what_is_no_object_of_texts_is_said_without_it() {
        for text in [
            "s3cret",
            "\"s3cret\"",
            "[\"s3cret\"]",
            "{\"a\": {\"s3cret\": 1}}",
            "{\"a\": 1}",
            "",
            "{} s3cret",
        ] {
            let found = run(&format!("printf '%s' '{text}'")).await.unwrap_err();
            let want =
                "`sh` must print a JSON object of texts, such as {\"Authorization\": \"…\"}; line 1, column ";
            assert!(found.starts_with(want) || found.contains("line 0"), "{found}");
        }
        let found = run("printf '{\"\\377s3cret\": \"\"}'").await.unwrap_err();
        assert!(found.ends_with("; this is not UTF-8"), "{found}");
    }

    #[tokio::test]
    async fn a_header_that_cannot_be_sent_is_named_without_its_value() {
        let start = "`sh` printed a header that cannot be sent: ";
        for (text, why) in [
            (r#"{"x": "1", "a b": "s3cret"}"#, "the name of number 2 is none"),
            (r#"{"Mcp-Session-Id": "s3cret"}"#, "`Mcp-Session-Id` is set by Braid"),
            (r#"{"host": "s3cret"}"#, "`host` is set by Braid"),
            (r#"{"a": "s3cret\nb: c"}"#, "`a`: expected printable ASCII in one line, as HTTP has it"),
            (r#"{"a": "s3cret", "A": "s3cret"}"#, "`A` is there twice"),
        ] {
            let found = run(&format!("cat <<'END'\n{text}\nEND")).await;
            assert_eq!(found, Err(format!("{start}{why}")));
        }
        let many: Vec<String> = (0..=HEADERS_MAX).map(|number| format!("\"h{number}\":\"s3cret\"")).collect();
        let found = run(&format!("echo '{{{}}}'", many.join(","))).await;
        assert_eq!(found, Err(format!("{start}there are more than 64")));
        let found = run(&format!("echo '{{{}}}'", many[1..].join(","))).await;
        assert_eq!(found.unwrap().len(), HEADERS_MAX);
    }

    #[tokio::test]
    async fn a_program_that_fails_is_quoted_by_its_stderr() {
        let found = run("echo '{\"a\": \"s3cret\"}'; echo 'no login' >&2; exit 3").await.unwrap_err();
        assert!(found.starts_with("`sh` exited with status 3; its stderr: "), "{found}");
        assert!(found.contains("no login"), "{found}");
        assert_eq!(run("exit 3").await, Err("`sh` exited with status 3".to_owned()));
        let command = Command::new("no-such-program", Path::new("/"));
        let found = headers_of(&command, "test", &nursery()).await.unwrap_err().to_string();
        assert!(found.starts_with("`headers_command`: `no-such-program` not found; looked in "), "{found}");
    }

    #[tokio::test]
    async fn a_program_that_prints_without_end_is_ended() {
        assert_eq!(run("yes s3cret").await, Err("`sh` printed more than 64 KiB".to_owned()));
        let full = format!(
            "printf '{{\"a\": \"\"}}'; head -c {} /dev/zero | tr '\\0' ' '",
            HEADERS_OUTPUT_BYTES_MAX - 9
        );
        assert_eq!(run(&full).await, headers(&[("a", "")]));
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_ended_with_all_that_it_started() {
        let script = "echo '{\"a\": \"s3cret\"}'; sleep 1000 & exec sleep 1000";
        let found = run_for(script, Duration::from_secs(1)).await;
        assert_eq!(found, Err("`sh` took longer than 1 s".to_owned()));
    }

    #[tokio::test]
    async fn a_dropped_wait_is_an_ended_program() {
        let mut command = Command::new("sh", Path::new("/"));
        command.args = vec!["-c".to_owned(), "sleep 1000".to_owned()];
        let nursery = nursery();
        let waiting = tokio::spawn({
            let nursery = nursery.clone();
            async move { headers_of(&command, "test", &nursery).await.map(drop) }
        });
        while nursery.tracker.is_empty() {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        nursery.tracker.close();
        nursery.tracker.wait().await;
    }
}
