//! A command that is run to its end: what it printed, and how it ended.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
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
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may be gone before it is written to.
        child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let out = thread::spawn(move || read(&mut stdout));
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
