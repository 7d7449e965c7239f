//! macOS and the other Unixes without Linux's `/proc`: process groups alone. Untested.
//!
//! Who leaves the group (`setsid`) is not found again: reading another process's environment needs
//! calls that nothing here offers without `unsafe`. The group itself dies whole.

use std::convert::Infallible;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

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
        super::reader::await_gone();
    }

    fn ending_signal(status: ExitStatus) -> Option<i32> {
        status.signal()
    }
}
