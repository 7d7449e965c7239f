//! What trees of processes cost: their CPU time and their memory, as `/proc` says.
//!
//! Owns how `/proc` is read. CPU time is that of each thread in nanoseconds; where threads ended meanwhile, the ticks of their
//! process say more, and count. A process that came and went between two readings is not seen.

use super::Failure;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// Which trees count.
#[derive(Debug, Clone)]
pub struct Trees {
    roots: Vec<u32>,
    excluded: Vec<String>,
}

/// One reading.
#[derive(Debug, Default)]
pub struct Reading {
    processes: HashMap<u32, Usage>,
    pub rss_kib: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Usage {
    /// By thread.
    nanos: HashMap<u32, u64>,
    ticks: u64,
}

/// What `/proc/PID/stat` says.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    parent: u32,
    ticks: u64,
}

impl Trees {
    pub fn new(roots: Vec<u32>, excluded: Vec<String>) -> Self {
        Self { roots, excluded }
    }

    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// Reads all of them now. Fails if a root is not there.
    pub fn read(&self) -> Result<Reading, Failure> {
        let stats = stats()?;
        if let Some(absent) = self.roots.iter().find(|root| !stats.contains_key(root)) {
            return Err(Failure::new(format!("process `{absent}` is not there")));
        }
        let mut reading = Reading::default();
        for pid in members(&stats, &self.roots, &self.excluded) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            reading.rss_kib += rss_kib(&status).unwrap_or(0);
            let ticks = stats.get(&pid).map_or(0, |stat| stat.ticks);
            reading.processes.insert(pid, Usage { nanos: threads(pid), ticks });
        }
        Ok(reading)
    }
}

impl Reading {
    /// Of this process, without what descends from it.
    pub fn own() -> Result<Self, Failure> {
        let pid = std::process::id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let ticks = parse_stat(&stat).map_or(0, |stat| stat.ticks);
        let usage = Usage { nanos: threads(pid), ticks };
        Ok(Self { processes: HashMap::from([(pid, usage)]), rss_kib: 0 })
    }

    /// The CPU time between two readings.
    pub fn nanos_since(&self, before: &Self, tick_nanos: u64) -> u64 {
        let nothing = Usage::default();
        let used = self.processes.iter().map(|(pid, after)| {
            let before = before.processes.get(pid).unwrap_or(&nothing);
            after.nanos_since(before, tick_nanos)
        });
        used.sum()
    }
}

impl Usage {
    fn nanos_since(&self, before: &Self, tick_nanos: u64) -> u64 {
        let of_thread = |(thread, after): (&u32, &u64)| {
            after.saturating_sub(before.nanos.get(thread).copied().unwrap_or(0))
        };
        let nanos: u64 = self.nanos.iter().map(of_thread).sum();
        let ticks = self.ticks.saturating_sub(before.ticks) * tick_nanos;
        // Ticks are rounded: user and system, before and after.
        if ticks > nanos + 3 * tick_nanos { ticks } else { nanos }
    }
}

/// How long a tick of `/proc` is.
pub fn tick_nanos() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)
}

/// The roots and what descends from them, without what is excluded and what descends from that.
fn members(stats: &HashMap<u32, Stat>, roots: &[u32], excluded: &[String]) -> HashSet<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, stat) in stats {
        children.entry(stat.parent).or_default().push(*pid);
    }
    let mut found = HashSet::new();
    let mut open = roots.to_vec();
    while let Some(pid) = open.pop() {
        let Some(stat) = stats.get(&pid) else { continue };
        let is_excluded = excluded.iter().any(|name| is_called(&stat.name, name));
        if is_excluded || !found.insert(pid) {
            continue;
        }
        open.extend(children.get(&pid).into_iter().flatten());
    }
    found
}

/// The kernel keeps 15 bytes of a name.
fn is_called(kept: &str, name: &str) -> bool {
    kept.as_bytes() == name.as_bytes().get(..NAME_BYTES_MAX).unwrap_or(name.as_bytes())
}

fn stats() -> Result<HashMap<u32, Stat>, Failure> {
    let numbers = numbers(Path::new("/proc"));
    if numbers.is_empty() {
        return Err(Failure::new("`/proc` has no processes"));
    }
    // Whoever is gone meanwhile has none.
    let stat = |pid: u32| Some((pid, parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?));
    Ok(numbers.into_iter().filter_map(stat).collect())
}

fn threads(pid: u32) -> HashMap<u32, u64> {
    let nanos = |thread: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()?;
        Some((thread, parse_schedstat(&text)?))
    };
    numbers(Path::new(&format!("/proc/{pid}/task"))).into_iter().filter_map(nanos).collect()
}

/// The entries of a directory that are numbers.
fn numbers(directory: &Path) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// proc(5): the name stands in parentheses and may hold anything, so what follows is counted from the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let (start, end) = (text.find('(')?, text.rfind(')')?);
    let name = text.get(start + 1..end)?.to_owned();
    let mut fields = text.get(end + 1..)?.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let user: u64 = fields.nth(9)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Stat { name, parent, ticks: user + system })
}

/// The first number is the time on a CPU, in nanoseconds.
fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

fn rss_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

const NAME_BYTES_MAX: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let text = "71 (a) b (c) S 7 71 71 0 -1 4194304 100 0 0 0 25 5 1 2 20 0 3 0 999 1 2\n";
        let stat = Stat { name: "a) b (c".to_owned(), parent: 7, ticks: 30 };
        assert_eq!(parse_stat(text), Some(stat));
        assert_eq!(parse_stat("71 (a S"), None);
    }

    #[test]
    fn other_files_are_read_by_their_first_number() {
        assert_eq!(parse_schedstat("123456 78 9\n"), Some(123_456));
        assert_eq!(rss_kib("Name:\tx\nVmRSS:\t    1234 kB\nThreads: 1\n"), Some(1234));
        assert_eq!(rss_kib("Name:\tkthread\n"), None);
    }

    fn tree(entries: &[(u32, u32, &str)]) -> HashMap<u32, Stat> {
        let stat = |name: &str, parent| Stat { name: name.to_owned(), parent, ticks: 0 };
        entries.iter().map(|(pid, parent, name)| (*pid, stat(name, *parent))).collect()
    }

    #[test]
    fn what_is_excluded_is_left_out_with_what_descends_from_it() {
        let stats = tree(&[
            (1, 0, "init"),
            (2, 1, "braid"),
            (3, 2, "a-name-of-16-by"),
            (4, 3, "x"),
            (5, 2, "y"),
            (6, 1, "z"),
        ]);
        let found = |roots: &[u32], excluded: &[&str]| {
            let excluded: Vec<String> = excluded.iter().map(|name| (*name).to_owned()).collect();
            let mut found: Vec<u32> = members(&stats, roots, &excluded).into_iter().collect();
            found.sort_unstable();
            found
        };
        assert_eq!(found(&[2], &[]), [2, 3, 4, 5]);
        assert_eq!(found(&[2, 3, 6], &[]), [2, 3, 4, 5, 6]);
        assert_eq!(found(&[2], &["a-name-of-16-bytes"]), [2, 5]);
        assert_eq!(found(&[2], &["braid"]), [] as [u32; 0]);
    }

    #[test]
    fn threads_count_in_nanoseconds_unless_some_have_ended() {
        let usage = |nanos: &[(u32, u64)], ticks| Usage { nanos: nanos.iter().copied().collect(), ticks };
        let before = usage(&[(1, 100), (2, 50)], 10);
        assert_eq!(usage(&[(1, 400), (3, 7)], 11).nanos_since(&before, 1000), 307);
        assert_eq!(usage(&[(1, 400)], 20).nanos_since(&before, 1000), 10_000);
    }

    #[test]
    fn our_own_work_is_seen() {
        let trees = Trees::new(vec![std::process::id()], Vec::new());
        let before = trees.read().unwrap();
        let start = std::time::Instant::now();
        let mut sum = 0_u64;
        while start.elapsed().as_millis() < 20 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let after = trees.read().unwrap();
        assert!(after.nanos_since(&before, tick_nanos()) > 1_000_000);
        assert!(Reading::own().unwrap().nanos_since(&before, tick_nanos()) > 1_000_000);
        assert!(after.rss_kib > 0);
        assert!(Trees::new(vec![u32::MAX], Vec::new()).read().is_err());
    }
}
