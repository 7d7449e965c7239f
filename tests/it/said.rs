//! A command that is run to its end: what it printed, and how it ended.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// No command of a test takes longer, on however busy a machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

impl Said {
    /// Of a command that reads this on stdin.
    pub(crate) fn of(command: &mut Command, input: &str) -> Self {
        Self::of_dialog(command, input, None)
    }

    /// The same, and its stdin ends not before it has printed a line with `last` in it, however long that takes it.
    pub(crate) fn of_answered(command: &mut Command, input: &str, last: &str) -> Self {
        Self::of_dialog(command, input, Some(last.to_owned()))
    }

    fn of_dialog(command: &mut Command, input: &str, last: Option<String>) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may be gone before it is written to.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).ok();
        let mut stdin = last.is_some().then_some(stdin);
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let out = thread::spawn(move || {
            let (mut stdout, mut text) = (BufReader::new(stdout), String::new());
            while let Some(last) = last.as_ref().filter(|_| stdin.is_some()) {
                let mut line = String::new();
                if stdout.read_line(&mut line).unwrap() == 0 || line.contains(last) {
                    stdin.take();
                }
                text.push_str(&line);
            }
            text + &read(&mut stdout)
        });
        let err = thread::spawn(move || read(&mut stderr));
        let limit = Instant::now() + PATIENCE;
        while !(out.is_finished() && err.is_finished()) {
            if Instant::now() > limit {
                child.kill().unwrap();
                panic!("{command:?} does not end");
            }
            thread::park_timeout(Duration::from_millis(5));
        }
        let code = child.wait().unwrap().code().unwrap_or(-1);
        Self { out: out.join().unwrap(), err: err.join().unwrap(), code }
    }

    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// All that there is to read.
pub(crate) fn read(from: &mut impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}
