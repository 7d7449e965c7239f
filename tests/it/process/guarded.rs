//! The guardian itself: whom it strikes, whom it never does, and what becomes of a run without it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use mcp_braid::config::{self, Stderr};
use mcp_braid::system::{Here, System};
use mcp_braid::upstream::environment::Cookie;
use mcp_braid::upstream::process::{Nursery, Pace, Process};
use rustix::process::Signal;

use super::nest::{is_alive, signal, until};
use super::{nursery, soon};

/// The name of a run that is nobody else's: tests run beside each other.
fn run() -> String {
    Cookie::new("1d").unwrap().run().to_owned()
}

fn braid() -> Option<PathBuf> {
    Some(PathBuf::from(env!("CARGO_BIN_EXE_braid")))
}

/// Somebody with a group of its own, who is no concern of anybody's unless it is told.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Self {
        Self::marked("")
    }

    fn marked(mark: &str) -> Self {
        Self(Command::new("sleep").arg("1000").env("BRAID_RUN", mark).process_group(0).spawn().unwrap())
    }

    fn id(&self) -> u32 {
        self.0.id()
    }

    fn born(&self) -> u64 {
        Here::born(self.id()).unwrap()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A guardian that is told this, and then nothing more. Returns when it has done what it does.
fn guarded(said: &str) {
    let mut guardian = Command::new(braid().unwrap())
        .arg("guardian")
        .env_remove("BRAID_RUN")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    guardian.stdin.take().unwrap().write_all(said.as_bytes()).unwrap();
    assert!(guardian.wait().unwrap().success());
}

#[test]
fn a_stranger_with_the_number_of_a_group_is_not_struck() {
    let stranger = Sleeper::new();
    let (id, other) = (stranger.id(), stranger.born() - 1);
    guarded(&format!("run {}\ntook {id} {other}\n", run()));
    assert!(is_alive(id));
}

#[test]
fn the_group_that_was_meant_is_struck() {
    let meant = Sleeper::new();
    guarded(&format!("run {}\ntook {} {}\n", run(), meant.id(), meant.born()));
    assert!(!is_alive(meant.id()));
}

#[test]
fn a_group_that_was_buried_is_not_struck() {
    let stranger = Sleeper::new();
    let (id, born) = (stranger.id(), stranger.born());
    guarded(&format!("run {}\ntook {id} {born}\nburied {id}\n", run()));
    assert!(is_alive(id));
}

#[test]
fn whoever_carries_the_mark_of_the_run_is_struck_and_nobody_else() {
    let run = run();
    let ours = Sleeper::marked(&format!("0e.1.1d,{run}.7.1d"));
    let marks = ["0e.1.1d".to_owned(), String::new(), format!("1d.1.{run}")];
    let others: Vec<Sleeper> = marks.iter().map(|mark| Sleeper::marked(mark)).collect();
    // They have become their program.
    until("all have a mark", || {
        others.iter().chain([&ours]).all(|one| !super::nest::read(one.id(), "environ").is_empty())
    });
    guarded(&format!("run {run}\n"));
    assert!(!is_alive(ours.id()));
    assert!(others.iter().all(|other| is_alive(other.id())));
}

/// What stands by, as the system names it.
fn stands_by(nursery: &Nursery) -> Option<PathBuf> {
    let guardian = nursery.guardian.id()?;
    until("it is itself", || super::nest::read(guardian, "comm") == b"guardian\n");
    std::fs::read_link(format!("/proc/{guardian}/exe")).ok()
}

#[test]
fn the_small_program_stands_by_where_it_is() {
    let own = PathBuf::from(env!("CARGO_BIN_EXE_braid-guardian"));
    let nursery = nursery([own.clone()]);
    nursery.guardian.stand_by();
    assert_eq!(stands_by(&nursery).unwrap(), own.canonicalize().unwrap());
    nursery.guardian.dismiss();
    // It is no program for people, and none for a Braid of another version.
    for words in [&[][..], &["guardian", "0.0.0"], &["guardian", env!("CARGO_PKG_VERSION"), "more"]] {
        let status = Command::new(&own).args(words).stdin(Stdio::null()).status().unwrap();
        assert!(!status.success(), "{words:?}");
    }
}

#[test]
fn where_a_program_does_not_start_or_last_the_next_stands_by() {
    let folder = tempfile::tempdir().unwrap();
    let (absent, text) = (folder.path().join("absent"), folder.path().join("text"));
    std::fs::write(&text, "no program").unwrap();
    for first in [absent, text, PathBuf::from("/bin/false")] {
        let nursery = nursery(std::iter::once(first.clone()).chain(braid()));
        nursery.guardian.stand_by();
        let own = braid().unwrap().canonicalize().unwrap();
        until("another stands by", || {
            let guardian = nursery.guardian.id();
            guardian
                .is_some_and(|id| std::fs::read_link(format!("/proc/{id}/exe")).is_ok_and(|exe| exe == own))
        });
        nursery.guardian.dismiss();
    }
}

#[test]
fn after_a_farewell_nobody_is_struck() {
    let run = run();
    let marked = Sleeper::marked(&format!("{run}.7.1d"));
    guarded(&format!("run {run}\nfarewell\n"));
    assert!(is_alive(marked.id()));
}

#[test]
fn the_rest_of_a_group_is_struck_although_its_leader_is_reaped() {
    let leader = Command::new("sh")
        .args(["-c", "exec 2>&-; env -i sleep 1000 >&- & echo $!; read line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let (id, born) = (leader.id(), Here::born(leader.id()).unwrap());
    let said = leader.wait_with_output().unwrap().stdout;
    let member: u32 = String::from_utf8(said).unwrap().trim().parse().unwrap();
    assert!(is_alive(member) && !is_alive(id));
    guarded(&format!("run {}\ntook {id} {born}\n", run()));
    until("it has ended", || !is_alive(member));
}

fn sh(script: &str) -> config::Command {
    config::Command {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![],
        folder: "/".into(),
        inherit_env: vec![],
    }
}

async fn stopped(nursery: Nursery, process: Process) {
    soon(process.stop(Pace::NOW)).await;
    drop(process);
    nursery.tracker.close();
    soon(nursery.tracker.wait()).await;
    nursery.guardian.dismiss();
}

#[tokio::test]
async fn without_a_guardian_servers_run_all_the_same() {
    for program in [None, Some(PathBuf::from("/no/such/program"))] {
        let nursery = nursery(program);
        let spawned = Process::spawn(&sh("cat"), "test", Stderr::Log, &nursery).unwrap();
        assert_eq!(nursery.guardian.id(), None);
        assert_eq!(spawned.process.has_ended(), None);
        stopped(nursery, spawned.process).await;
    }
}

#[tokio::test]
async fn a_guardian_is_there_as_soon_as_a_child_is_and_no_sooner() {
    let nursery = nursery(braid());
    assert_eq!(nursery.guardian.id(), None);
    let spawned = Process::spawn(&sh("cat"), "test", Stderr::Log, &nursery).unwrap();
    let guardian = nursery.guardian.id().unwrap();
    let other = Process::spawn(&sh("cat"), "test", Stderr::Log, &nursery).unwrap();
    assert_eq!(nursery.guardian.id(), Some(guardian), "one is enough");
    drop(other);
    stopped(nursery, spawned.process).await;
    until("it has gone", || !is_alive(guardian));
}

#[tokio::test]
async fn a_guardian_is_started_again_only_so_often() {
    let nursery = nursery(braid());
    let spawned = Process::spawn(&sh("cat"), "test", Stderr::Log, &nursery).unwrap();
    let mut starts = 1;
    while let Some(guardian) = nursery.guardian.id() {
        signal(guardian, Signal::KILL);
        until("it is noticed", || nursery.guardian.id() != Some(guardian));
        // It is gone, and the next one follows unless there is none.
        until("the next one is there", || nursery.guardian.id().is_some() || starts == 16);
        starts += 1;
        assert!(starts < 100, "there is no end to it");
    }
    assert_eq!(starts - 1, 16);
    assert_eq!(spawned.process.has_ended(), None);
    stopped(nursery, spawned.process).await;
}

#[tokio::test]
async fn a_guardian_that_does_not_listen_holds_nobody_up_and_is_replaced() {
    let nursery = nursery(braid());
    let spawned = Process::spawn(&sh("cat"), "test", Stderr::Log, &nursery).unwrap();
    let deaf = nursery.guardian.id().unwrap();
    signal(deaf, Signal::STOP);
    // As many groups as it takes to fill its line.
    let leader = Sleeper::new();
    for _ in 0..10_000 {
        drop(nursery.guardian.watch(leader.id()));
    }
    until("another one stands by", || nursery.guardian.id().is_some_and(|guardian| guardian != deaf));
    // The deaf one did not take that for our end.
    assert!(is_alive(leader.id()));
    assert_eq!(spawned.process.has_ended(), None);
    stopped(nursery, spawned.process).await;
}

#[test]
fn a_run_that_is_dropped_is_ended_by_its_guardian() {
    let nursery = nursery(braid());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // It says its number once it is out of the group.
    let script = "trap '' TERM; setsid sh -c 'echo $$; exec >&-; sleep 1000; true' & wait";
    let (stray, guardian) = runtime.block_on(async {
        use tokio::io::{AsyncBufReadExt, BufReader};
        let spawned = Process::spawn(&sh(script), "test", Stderr::Log, &nursery).unwrap();
        let mut line = String::new();
        soon(BufReader::new(spawned.stdout).read_line(&mut line)).await.unwrap();
        (line.trim().parse().unwrap(), nursery.guardian.id().unwrap())
    });
    drop(runtime);
    assert!(is_alive(stray));
    drop(nursery);
    until("the stray has ended", || !is_alive(stray));
    until("the guardian has ended", || !is_alive(guardian));
}
