//! macOS and the other Unixes without Linux's `/proc`: process groups alone. Untested.
//!
//! Who leaves the group (`setsid`) is not found again: reading another process's environment needs
//! calls that nothing here offers without `unsafe`. The group itself dies whole.

use std::convert::Infallible;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

use super::{Blow, Family, Kin, System};

#[derive(Debug, Clone, Copy)]
pub struct MacOs;

impl System for MacOs {
    type Member = Infallible;

    fn set_apart(command: &mut Command) {
        command.process_group(0);
    }

    fn strike_group(leader: u32, blow: Blow) {
        let signal = match blow {
            Blow::Term => Signal::TERM,
            Blow::Kill => Signal::KILL,
        };
        if let Some(group) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
            // It fails when nobody is left (macOS: also when only the exited leader is), which is what
            // we want.
            let _ = kill_process_group(group, signal);
        }
    }

    fn kin(_: Family<'_>) -> Kin<Infallible> {
        Kin { members: Vec::new(), unclear: false }
    }

    fn strike(member: &Infallible, _: Blow) {
        match *member {}
    }

    fn reap(member: &Infallible) -> bool {
        match *member {}
    }

    fn await_reader_gone() {
        let stdout = std::io::stdout();
        loop {
            // Asked for nothing, poll still reports that the other end is closed.
            let mut place = [PollFd::new(&stdout, PollFlags::empty())];
            match poll(&mut place, None) {
                Ok(_) if place[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) => {
                    return;
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => loop {
                    std::thread::park();
                },
            }
        }
    }

    fn ending_signal(status: ExitStatus) -> Option<i32> {
        status.signal()
    }
}
