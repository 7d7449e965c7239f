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
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, pidfd_open,
    pidfd_send_signal, waitid, waitpid,
};
use tokio::process::Command;

use super::{Blow, Family, Group, Kin, MARK_VARIABLE, System};

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

    fn born(process: u32) -> Option<u64> {
        Stat::of(process).map(|one| one.started)
    }

    fn now() -> u64 {
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        ticks(&uptime).unwrap_or_default()
    }

    fn kin(family: Family<'_>) -> Kin<OwnedFd> {
        let now = Self::now();
        let mut kin = Kin { members: Vec::new(), groups: Vec::new(), unclear: false };
        let Some(everyone) = everyone() else {
            kin.unclear = true;
            return kin;
        };
        let mut related: HashSet<u32> = HashSet::new();
        let (leader, since) = match family {
            Family::Tree { leader, .. } => {
                related.insert(leader);
                // Nobody of its family is older than the leader: of most processes the first line is enough.
                let since = everyone.iter().find(|one| one.pid == leader).map_or(0, |one| one.started);
                (Some(leader), since)
            }
            Family::Run { .. } | Family::Left { .. } => (None, 0),
        };
        for one in everyone.iter().filter(|one| one.started >= since && Some(one.pid) != leader) {
            if is_in_group(one, family, &everyone) {
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
        if let Family::Left { groups, .. } = family {
            let others = everyone.iter().filter(|one| related.contains(&one.pid) && one.pid != ourselves);
            kin.groups = groups_of(others, groups, &everyone, now);
        }
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

    fn guardians() -> Vec<PathBuf> {
        // The last is the program that runs, even if its file was replaced or removed since.
        guardian_beside().into_iter().chain([PathBuf::from(OWN_PROGRAM)]).collect()
    }

    fn be_called(name: &str) {
        // A name is for people; without it nothing is lost.
        let _ = fs::write("/proc/self/comm", name);
    }

    fn await_reader_gone() {
        super::reader::await_gone();
    }

    fn descriptors_max() -> Option<usize> {
        super::descriptors::max()
    }

    fn openers() -> &'static [&'static [&'static str]] {
        &[&["xdg-open"], &["gio", "open"], &["wslview"]]
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

/// Whether one process is of the family by its group alone.
fn is_in_group(one: &Stat, family: Family<'_>, everyone: &[Stat]) -> bool {
    match family {
        Family::Tree { leader, .. } => one.group == leader,
        Family::Run { .. } => false,
        Family::Left { groups, .. } => group_of(one, groups, everyone).is_some(),
    }
}

/// Which of these groups one process is in.
fn group_of(one: &Stat, groups: &[Group], everyone: &[Stat]) -> Option<Group> {
    let group = groups.iter().find(|group| group.leader == one.group)?;
    let is_in = match everyone.iter().find(|it| it.pid == group.leader) {
        Some(leader) => leader.started == group.born,
        // As long as anybody was in the group its number was kept. Who came after that may be of a stranger's,
        // whose leader has left again.
        None => one.started <= group.kept.saturating_add(ROUND_MIN),
    };
    is_in.then_some(*group)
}

/// The groups that these are in or lead, and that were there at `now`.
fn groups_of<'a>(
    related: impl Iterator<Item = &'a Stat>,
    known: &[Group],
    everyone: &[Stat],
    now: u64,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for one in related {
        let group = match one.pid == one.group {
            true => Some(Group { leader: one.pid, born: one.started, kept: now }),
            false => group_of(one, known, everyone).map(|group| Group { kept: now, ..group }),
        };
        groups.extend(group.filter(|group| groups.iter().all(|found| found.leader != group.leader)));
    }
    groups
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
        Family::Run { run } | Family::Left { run, .. } => words
            .any(|word| word.strip_prefix(run.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'.'))),
    }
}

/// The seconds of proc_uptime(5), which have two digits behind the point, in the ticks of proc_pid_stat(5), of
/// which every Linux shows a hundred in a second.
fn ticks(uptime: &str) -> Option<u64> {
    let (seconds, hundredths) = uptime.split_ascii_whitespace().next()?.split_once('.')?;
    let hundredths = hundredths.get(..2)?.parse::<u64>().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(100)?.checked_add(hundredths)
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

/// The guardian's own program, if it is where ours is and as much our owner's: whoever may write that folder and not our
/// program must not have another run for us. Not beside a program that has replaced the one that runs.
fn guardian_beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let (runs, there) = (fs::metadata(OWN_PROGRAM).ok()?, fs::metadata(&own).ok()?);
    let beside = own.with_file_name(GUARDIAN_FILE);
    let about = fs::symlink_metadata(&beside).ok()?;
    let is_ours = about.is_file() && about.uid() == runs.uid() && about.mode() & !runs.mode() & 0o022 == 0;
    (is_ours && (runs.dev(), runs.ino()) == (there.dev(), there.ino())).then_some(beside)
}

const OWN_PROGRAM: &str = "/proc/self/exe";
/// As the guardian's own program is called, beside ours.
const GUARDIAN_FILE: &str = "braid-guardian";

/// In ticks, a tenth of a second: in less the numbers of processes do not come round.
const ROUND_MIN: u64 = 10;

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

    #[test]
    fn who_we_are_was_born_before_now() {
        let born = Linux::born(std::process::id()).unwrap();
        assert!(born > 0 && born <= Linux::now(), "{born}, {}", Linux::now());
        assert_eq!(ticks("350735.47 234388.90\n"), Some(35_073_547));
        for broken in ["", "1", "1.", "1.2", "x.20", "99999999999999999999.00"] {
            assert_eq!(ticks(broken), None, "{broken}");
        }
    }

    fn at(pid: u32, group: u32, started: u64) -> Stat {
        Stat { pid, parent: 1, group, ended: false, kernel: false, started }
    }

    #[test]
    fn a_group_whose_number_a_stranger_has_is_not_the_one_that_is_meant() {
        let groups = [Group { leader: 7, born: 100, kept: 200 }];
        let is_in = |one: &Stat, everyone: &[Stat]| group_of(one, &groups, everyone).is_some();
        let (member, late) = (at(8, 7, 150), at(9, 7, 250));
        let leader = [at(7, 7, 100)];
        assert!(is_in(&leader[0], &leader) && is_in(&member, &leader) && is_in(&late, &leader));
        let stranger = [at(7, 7, 150)];
        assert!(!is_in(&stranger[0], &stranger) && !is_in(&member, &stranger));
        assert!(is_in(&member, &[]) && is_in(&at(9, 7, 210), &[]) && !is_in(&late, &[]));
        assert!(!is_in(&at(8, 6, 150), &leader));
    }

    #[test]
    fn a_group_is_known_by_its_leader_and_kept_by_whoever_is_in_it() {
        let known = [Group { leader: 7, born: 100, kept: 200 }, Group { leader: 6, born: 90, kept: 200 }];
        let everyone = [at(8, 7, 150), at(9, 7, 160), at(20, 20, 170), at(21, 20, 180), at(22, 5, 180)];
        let found = groups_of(everyone.iter(), &known, &everyone, 300);
        let [first, second] = [Group { kept: 300, ..known[0] }, Group { leader: 20, born: 170, kept: 300 }];
        assert_eq!(found, [first, second], "nobody is in 6, and 5 is led by a stranger");
    }
}
