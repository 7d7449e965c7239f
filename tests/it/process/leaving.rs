//! The signals that ask us to leave. They are for the whole process, so each test has one of its own.

use mcp_braid::system::{Leaving, Signal, leaving};
use rustix::process::{getpid, kill_process};

use super::{is_alone, soon};

fn raise(signal: rustix::process::Signal) {
    kill_process(getpid(), signal).unwrap();
}

#[tokio::test]
async fn every_signal_that_asks_us_to_leave_is_heard_one_after_another() {
    if !is_alone("process::leaving::every_signal_that_asks_us_to_leave_is_heard_one_after_another") {
        return;
    }
    let mut watch = Leaving::watch().unwrap();
    for (raised, heard, exit) in [
        (rustix::process::Signal::TERM, Signal::Terminate, 0),
        (rustix::process::Signal::INT, Signal::Interrupt, 130),
        (rustix::process::Signal::HUP, Signal::Hangup, 0),
        (rustix::process::Signal::TERM, Signal::Terminate, 0),
    ] {
        raise(raised);
        assert_eq!(soon(watch.next()).await, heard);
        assert_eq!(heard.exit_code(), exit);
    }
}

#[tokio::test]
async fn the_first_signal_resolves_leaving() {
    if !is_alone("process::leaving::the_first_signal_resolves_leaving") {
        return;
    }
    let mut left = Box::pin(leaving());
    // Once polled it listens.
    assert!(futures::poll!(&mut left).is_pending());
    raise(rustix::process::Signal::INT);
    assert_eq!(soon(left).await, Signal::Interrupt);
}
