//! macOS and the other Unixes without Linux's `/proc`: process groups alone. Untested.
//!
//! Who leaves the group (`setsid`) is not found again: reading another process's environment needs
//! calls that nothing here offers without `unsafe`. The group itself dies whole.

use std::convert::Infallible;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Command;

use super::{Blow, Family, Group, Kin, System};

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

    fn born(_: u32) -> Option<u64> {
        Some(0)
    }

    fn now() -> u64 {
        0
    }

    fn kin(family: Family<'_>) -> Kin<Infallible> {
        let groups = match family {
            // When a leader was born cannot be asked. Its number was kept until the run ended, a moment ago, and
            // the numbers of a whole system do not come round in that time.
            Family::Left { groups, .. } => groups.iter().filter(|group| is_there(group)).copied().collect(),
            Family::Tree { .. } | Family::Run { .. } => Vec::new(),
        };
        Kin { members: Vec::new(), groups, unclear: false }
    }

    fn strike(member: &Infallible, _: Blow) {
        match *member {}
    }

    fn reap(member: &Infallible) -> bool {
        match *member {}
    }

    fn guardians() -> Vec<PathBuf> {
        // A path that cannot be told cannot be started either, which is said then.
        vec![std::env::current_exe().unwrap_or_default()]
    }

    fn be_called(_: &str) {}

    fn await_reader_gone() {
        super::reader::await_gone();
    }

    fn descriptors_max() -> Option<usize> {
        super::descriptors::max()
    }

    fn openers() -> &'static [&'static [&'static str]] {
        &[&["/usr/bin/open"]]
    }

    fn ending_signal(status: ExitStatus) -> Option<i32> {
        status.signal()
    }
}

fn is_there(group: &Group) -> bool {
    let leader = i32::try_from(group.leader).ok().and_then(Pid::from_raw);
    leader.is_some_and(|leader| test_kill_process_group(leader).is_ok())
}
