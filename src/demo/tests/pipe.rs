//! `run` over real readers and writers: how it begins and ends.

use std::io::{Error, ErrorKind, Read, Write};
use std::process::ExitCode;

use crate::demo::{LINE_BYTES_MAX, NAMES, run};

const HELLO: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"#,
    r#""clientInfo":{"name":"pipe","version":"0"}}}"#,
    "\n",
);

#[test]
fn each_server_answers_and_ends_with_its_input() {
    for name in NAMES {
        let mut output = Vec::new();
        assert_eq!(run(name, HELLO.as_bytes(), &mut output), ExitCode::SUCCESS);
        let output = String::from_utf8(output).unwrap();
        assert_eq!(output.lines().count(), 1);
        assert!(output.ends_with('\n') && output.contains(&format!("\"name\":\"{name}\"")));
    }
}

#[test]
fn a_server_that_is_not_there_is_a_usage_error() {
    let mut output = Vec::new();
    assert_eq!(run("library", HELLO.as_bytes(), &mut output), ExitCode::from(2));
    assert!(output.is_empty());
}

#[test]
fn a_countdown_runs_by_the_clock() {
    let call = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"countdown","#,
        r#""arguments":{"steps":2,"delay_ms":1},"_meta":{"progressToken":"t"}}}"#,
        "\n",
    );
    // The input ends only when the answer was seen.
    let (seen, end) = std::sync::mpsc::channel::<()>();
    let input = [HELLO, call].concat();
    let input = std::io::Cursor::new(input).chain(Until(end));
    let mut output = Seen { text: String::new(), wanted: "counted down", seen: Some(seen) };
    assert_eq!(run("workshop", input, &mut output), ExitCode::SUCCESS);
    let progress = output.text.matches("notifications/progress").count();
    assert_eq!(progress, 2);
}

#[test]
fn a_broken_output_ends_quietly() {
    assert_eq!(run("notes", std::io::Cursor::new(HELLO.repeat(3)), Broken), ExitCode::SUCCESS);
}

#[test]
fn a_broken_input_ends_quietly() {
    let mut output = Vec::new();
    assert_eq!(run("notes", HELLO.as_bytes().chain(Broken), &mut output), ExitCode::SUCCESS);
    assert!(!output.is_empty());
}

#[test]
fn a_line_over_the_bound_is_refused_and_the_next_is_heard() {
    let long = std::io::repeat(b'x').take(LINE_BYTES_MAX as u64 + 1);
    let input = long.chain(&b"\n"[..]).chain(HELLO.as_bytes());
    let mut output = Vec::new();
    run("notes", input, &mut output);
    let output = String::from_utf8(output).unwrap();
    let lines: Vec<_> = output.lines().collect();
    assert!(lines[0].contains("-32600") && !lines[0].contains("\"id\""));
    assert!(lines[1].contains("protocolVersion"));
}

/// Both ends of a pipe whose other end is gone.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(Error::from(ErrorKind::ConnectionReset))
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(Error::from(ErrorKind::BrokenPipe))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An input that ends when its other end is dropped.
struct Until(std::sync::mpsc::Receiver<()>);

impl Read for Until {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        let _ = self.0.recv();
        Ok(0)
    }
}

/// An output that lets go of `seen` once `wanted` was written.
struct Seen {
    text: String,
    wanted: &'static str,
    seen: Option<std::sync::mpsc::Sender<()>>,
}

impl Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.text.push_str(std::str::from_utf8(bytes).unwrap());
        if self.text.contains(self.wanted) {
            self.seen = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
