//! Linux: process groups, and `/proc` to find who left one.
//!
//! A child leads a process group of its own. Who calls `setsid` leaves the group, but still carries the
//! mark in its environment, and as long as its parents live they lead to it. It escapes only if it
//! leaves the group, drops the mark *and* is orphaned before we look. We do not become a subreaper:
//! orphans go to init, which reaps them. Where we are init ourselves, only those that were found here are
//! waited for, one by one, so that nothing of tokio's is ever reaped behind its back.

use std::collections::HashSet;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, pidfd_open,
    pidfd_send_signal, waitid, waitpid,
};
use tokio::process::Command;

use super::{Blow, Family, Kin, MARK_VARIABLE, System};

#[derive(Debug, Clone, Copy)]
pub struct Linux;

impl System for Linux {
    type Member = OwnedFd;

    fn set_apart(command: &mut Command) {
        command.process_group(0);
    }

    fn strike_group(leader: u32, blow: Blow) {
        if let Some(group) = pid(leader) {
            // It fails when nobody is left, which is what we want.
            let _ = kill_process_group(group, signal(blow));
        }
    }

    fn kin(family: Family<'_>) -> Kin<OwnedFd> {
        let Some(everyone) = everyone() else {
            return Kin { members: Vec::new(), unclear: true };
        };
        let mut kin = Kin { members: Vec::new(), unclear: false };
        let mut related: HashSet<u32> = HashSet::new();
        let (leader, since) = match family {
            Family::Tree { leader, .. } => {
                related.insert(leader);
                // Nobody of its family is older than the leader: of most processes the first line is enough.
                let since = everyone.iter().find(|one| one.pid == leader).map_or(0, |one| one.started);
                (Some(leader), since)
            }
            Family::Run { .. } => (None, 0),
        };
        for one in everyone.iter().filter(|one| one.started >= since && Some(one.pid) != leader) {
            if Some(one.group) == leader {
                related.insert(one.pid);
                continue;
            }
            match mark_of(one) {
                Mark::Read(environment) if carries(&environment, family) => {
                    related.insert(one.pid);
                }
                Mark::Read(_) => {}
                Mark::Unclear => kin.unclear = true,
            }
        }
        // Descendants: as often as one more is found. Numbers may have wrapped, so order does not help.
        loop {
            let before = related.len();
            for one in everyone.iter().filter(|one| one.started >= since) {
                if related.contains(&one.parent) {
                    related.insert(one.pid);
                }
            }
            if related.len() == before {
                break;
            }
        }
        let ourselves = std::process::id();
        for one in everyone.iter().filter(|one| related.contains(&one.pid)) {
            if Some(one.pid) == leader || one.pid == ourselves {
                continue;
            }
            if one.ended {
                // We did not spawn it, or it would be the leader of its own tree: it was adopted, and
                // nobody else will ever wait for it.
                if let Some(pid) = pid(one.pid).filter(|_| one.parent == ourselves) {
                    let _ = waitpid(Some(pid), WaitOptions::NOHANG);
                }
                continue;
            }
            if kin.members.len() == MEMBERS_MAX {
                break;
            }
            // Between the listing and now its number may have passed to a stranger. Hold it first, then
            // look whether it is still the one that was seen.
            if let Some(held) = pid(one.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
                && Stat::of(one.pid).is_some_and(|now| now.started == one.started && !now.ended)
            {
                kin.members.push(held);
            }
        }
        kin
    }

    fn strike(member: &OwnedFd, blow: Blow) {
        let _ = pidfd_send_signal(member, signal(blow));
    }

    fn reap(member: &OwnedFd) -> bool {
        // It fails for whoever has another parent.
        let waited = waitid(WaitId::PidFd(member.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        !matches!(waited, Ok(None))
    }

    fn await_reader_gone() {
        super::reader::await_gone();
    }

    fn ending_signal(status: ExitStatus) -> Option<i32> {
        status.signal()
    }
}

/// What `/proc/PID/stat` says of one process.
#[derive(Debug)]
struct Stat {
    pid: u32,
    parent: u32,
    group: u32,
    /// It has exited and waits to be reaped.
    ended: bool,
    /// A thread of the kernel: it has no environment.
    kernel: bool,
    /// In ticks since the boot.
    started: u64,
}

enum Mark {
    Read(Vec<u8>),
    /// Alive, and without any environment: either it has none, or it is just becoming another program.
    Unclear,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// proc_pid_stat(5). The second field is the program's own name and may hold anything, so counting
    /// starts after the last `)`.
    fn parse(pid: u32, line: &[u8]) -> Option<Self> {
        const KERNEL_THREAD: u32 = 0x0020_0000;
        let name_end = line.iter().rposition(|&byte| byte == b')')?;
        let mut fields = std::str::from_utf8(line.get(name_end + 1..)?).ok()?.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let flags: u32 = fields.nth(3)?.parse().ok()?;
        let started = fields.nth(12)?.parse().ok()?;
        Some(Self {
            pid,
            parent,
            group,
            ended: matches!(state, "Z" | "X"),
            kernel: flags & KERNEL_THREAD != 0,
            started,
        })
    }
}

/// `None` when we are out of descriptors, say, so that nobody can be seen.
fn everyone() -> Option<Vec<Stat>> {
    let numbers =
        fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Some(numbers.filter_map(Stat::of).filter(|one| !one.kernel).collect())
}

fn mark_of(one: &Stat) -> Mark {
    if one.ended {
        return Mark::Read(Vec::new());
    }
    match fs::read(format!("/proc/{}/environ", one.pid)) {
        Ok(environment) if environment.is_empty() => Mark::Unclear,
        Ok(environment) => Mark::Read(environment),
        // Another user's, or gone.
        Err(_) => Mark::Read(Vec::new()),
    }
}

/// Whether an environment carries a mark of the family: one of the words of `BRAID_RUN`.
fn carries(environment: &[u8], family: Family<'_>) -> bool {
    let words = environment
        .split(|&byte| byte == 0)
        .filter_map(|variable| variable.strip_prefix(MARK_VARIABLE.as_bytes())?.strip_prefix(b"="))
        .flat_map(|value| value.split(|&byte| byte == b','));
    let mut words = words;
    match family {
        Family::Tree { mark, .. } => words.any(|word| word == mark.as_bytes()),
        Family::Run { run } => words
            .any(|word| word.strip_prefix(run.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'.'))),
    }
}

fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

fn signal(blow: Blow) -> Signal {
    match blow {
        Blow::Term => Signal::TERM,
        Blow::Kill => Signal::KILL,
    }
}

/// Members held at once, a descriptor each. The rest is found by the next look.
const MEMBERS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_named_like_a_stat_line_is_read_right() {
        let line = b"42 (a) R 1 1 (x) S 7 9 9 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        let stat = Stat::parse(42, line).unwrap();
        assert_eq!((stat.parent, stat.group, stat.ended, stat.started), (7, 9, false, 12345));
        for cut in 0..line.len() {
            let _ = Stat::parse(42, &line[..cut]);
        }
    }

    #[test]
    fn a_mark_is_a_whole_word_of_its_own_variable() {
        let environment = b"PATH=/bin\0BRAID_RUN=aa.1,bb.12\0X=cc.1\0";
        let tree = |mark| carries(environment, Family::Tree { leader: 1, mark });
        assert!(tree("aa.1") && tree("bb.12"));
        assert!(!tree("bb.1") && !tree("cc.1") && !tree("aa"));
        let run = |run| carries(environment, Family::Run { run });
        assert!(run("aa") && run("bb"));
        assert!(!run("a") && !run("cc") && !run("aa.1"));
    }
}
