//! Our stdin and stdout, whatever they are: all that was asked is answered, and the end is heard.

use super::braid::PATIENCE;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// More than are taken at once.
const PINGS: usize = 1000;

fn questions() -> String {
    let pings = (1..=PINGS).map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
    pings.map(|line| line + "\n").collect()
}

fn braid(folder: &Path, stdin: Stdio, stdout: Stdio) -> Child {
    let config = folder.join("braid.toml");
    let program = env!("CARGO_BIN_EXE_braid");
    let server = format!("[servers.notes]\ncommand = {program:?}\nargs = [\"demo-server\", \"notes\"]\n");
    std::fs::write(&config, server).unwrap();
    let mut braid = Command::new(program);
    braid.args(["stdio", "-c"]).arg(&config).stdin(stdin).stdout(stdout).stderr(Stdio::null());
    braid.spawn().unwrap()
}

/// Runs with these ends, of which nobody else holds any; `ask` gets the whole of what is to be asked, and hangs up.
fn answers_all(stdin: Stdio, stdout: Stdio, ask: impl FnOnce(String) + Send + 'static, heard: impl Read) {
    let folder = tempfile::tempdir().unwrap();
    let mut child = braid(folder.path(), stdin, stdout);
    let asks = std::thread::spawn(move || ask(questions()));
    let ids = BufReader::new(heard).lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        line["id"].as_u64().unwrap()
    });
    let mut ids: Vec<u64> = ids.collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=PINGS as u64).collect::<Vec<_>>());
    asks.join().unwrap();
    let since = Instant::now();
    while child.try_wait().unwrap().is_none_or(|status| !status.success()) {
        assert!(since.elapsed() < PATIENCE, "it does not exit");
        std::thread::yield_now();
    }
}

fn write_to(mut end: impl Write + Send + 'static) -> impl FnOnce(String) + Send + 'static {
    move |text| end.write_all(text.as_bytes()).unwrap()
}

#[test]
fn pipes() {
    let ((stdin, asks), (heard, stdout)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    answers_all(stdin.into(), stdout.into(), write_to(asks), heard);
}

/// As a client that runs on Node.js has it.
#[test]
fn two_sockets() {
    let ((stdin, asks), (heard, stdout)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    answers_all(OwnedFd::from(stdin).into(), OwnedFd::from(stdout).into(), write_to(asks), heard);
}

/// As a listener of the system's own has it; its client says that it has no more to say, and reads on.
#[test]
fn one_socket() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let again = OwnedFd::from(ours.try_clone().unwrap());
    let mut asks = theirs.try_clone().unwrap();
    let ask = move |text: String| {
        asks.write_all(text.as_bytes()).unwrap();
        asks.shutdown(std::net::Shutdown::Write).unwrap();
    };
    answers_all(OwnedFd::from(ours).into(), again.into(), ask, theirs);
}

#[test]
fn a_file_and_a_pipe() {
    let mut asked = tempfile::NamedTempFile::new().unwrap();
    asked.write_all(questions().as_bytes()).unwrap();
    let (heard, stdout) = std::io::pipe().unwrap();
    answers_all(File::open(asked.path()).unwrap().into(), stdout.into(), |_| (), heard);
}

#[test]
fn a_fifo_and_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // Neither end can be opened without the other, but both at once.
    let both = File::options().read(true).write(true).open(&fifo).unwrap();
    let stdin = File::open(&fifo).unwrap();
    let asks = File::options().write(true).open(&fifo).unwrap();
    drop(both);
    let (heard, stdout) = std::io::pipe().unwrap();
    answers_all(stdin.into(), stdout.into(), write_to(asks), heard);
}

/// Whoever shares an end with us may wait in it as before.
#[test]
fn what_others_share_stays_as_it_was() {
    let ((stdin, mut asks), (heard, stdout)) = (UnixStream::pair().unwrap(), std::io::pipe().unwrap());
    let (shared_in, shared_out) = (stdin.try_clone().unwrap(), stdout.try_clone().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut child = braid(folder.path(), OwnedFd::from(stdin).into(), stdout.into());
    asks.write_all(questions().as_bytes()).unwrap();
    let mut line = String::new();
    let mut heard = BufReader::new(heard);
    heard.read_line(&mut line).unwrap();
    assert!(line.contains("result"), "{line}");
    for end in [shared_in.as_raw_fd(), shared_out.as_raw_fd()] {
        let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{end}")).unwrap();
        let flags = about.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let never_waits = u32::from_str_radix(flags.trim(), 8).unwrap() & 0o4000 != 0;
        assert!(!never_waits, "{about}");
    }
    drop((shared_in, asks));
    assert!(child.wait().unwrap().success());
}
