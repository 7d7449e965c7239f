//! Every way out: within two seconds on a machine of one's own, with nothing left behind.

use super::braid::{Braid, marked, survivors, zombies};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// Two servers, one of which will not go by itself and has children of its own.
const STUBBORN: &str = "[servers.evil]\ncommand = \"python3\"\nargs = [\"{evil}\", \"--ignore-eof\", \"--ignore-term\", \"--fork\"]\n\
     [servers.notes]\ncommand = \"${braid}\"\nargs = [\"demo-server\", \"notes\"]\n";

/// What it may take when the machine has other things to do.
const BUSY: Duration = Duration::from_secs(10);

fn leaves(how: impl FnOnce(&mut Braid), code: i32) {
    let (mut braid, _) = Braid::greeted(STUBBORN);
    braid.until("both servers", |braid| braid.tools().iter().any(|name| name == "evil__echo"));
    let open = braid.call("evil__slow", r#"{"ms":60000}"#);
    let runs = marked(braid.id());
    braid.until("two servers and two children of one", |_| survivors(&runs).len() >= 4);
    how(&mut braid);
    let (status, took) = braid.exited();
    assert_eq!(status.code(), Some(code), "stderr:\n{}", braid.stderr());
    assert!(took < BUSY, "took {took:?}");
    assert_eq!(survivors(&runs), Vec::<u32>::new());
    let _ = open;
}

fn signal(braid: &Braid, signal: Signal) {
    kill_process(Pid::from_raw(braid.id() as i32).unwrap(), signal).unwrap();
}

#[test]
fn when_stdin_ends() {
    leaves(Braid::close_stdin, 0);
}

#[test]
fn on_sigterm() {
    leaves(|braid| signal(braid, Signal::TERM), 0);
}

#[test]
fn on_sigint() {
    leaves(|braid| signal(braid, Signal::INT), 130);
}

#[test]
fn when_nobody_reads_stdout() {
    let (read, write) = std::io::pipe().unwrap();
    let mut braid = Braid::start_with(STUBBORN, write.into());
    braid.ask("ping", "{}");
    drop(read);
    let (status, took) = braid.exited();
    assert_eq!(status.code(), Some(0), "stderr:\n{}", braid.stderr());
    assert!(took < BUSY, "took {took:?}");
}

#[test]
fn nothing_is_left_after_many_lives() {
    let lives = std::env::var("BRAID_TEST_CYCLES").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let config = "[servers.fork]\ncommand = \"python3\"\nargs = [\"{evil}\", \"--fork\"]\n\
                  [servers.notes]\ncommand = \"${braid}\"\nargs = [\"demo-server\", \"notes\"]\n";
    for life in 0..lives {
        let (mut braid, _) = Braid::greeted(config);
        if life % 2 == 0 {
            braid.others_are_well();
        }
        assert_eq!(zombies(braid.id()), 0);
        braid.leave();
    }
}
