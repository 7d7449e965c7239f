//! Windows: the tree below a process, as `taskkill` sees it. Untested.
//!
//! A Job Object with kill-on-close would also hold what was re-parented, but making one needs `unsafe`
//! or one more crate, and there is no machine here to try it on. So a descendant whose parent has ended
//! survives us, as it does with most programs on Windows. For the same reason there is no guardian: when
//! we are ended from outside, what we started is not.

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use tokio::process::Command;

use super::{Blow, Family, Kin, System};

#[derive(Debug, Clone, Copy)]
pub struct Windows;

impl System for Windows {
    type Member = Infallible;

    fn set_apart(command: &mut Command) {
        // Its own group keeps our console's Ctrl-C away from it; and no window opens.
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
    }

    fn strike_group(leader: u32, blow: Blow) {
        // A console program cannot be asked to end from outside; only the closed stdin asks.
        if blow == Blow::Term {
            return;
        }
        let root = std::env::var_os("SystemRoot").map_or_else(|| PathBuf::from(r"C:\Windows"), PathBuf::from);
        let _ = std::process::Command::new(root.join("System32").join("taskkill.exe"))
            .args(["/F", "/T", "/PID", &leader.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Waited for, or the leader would be gone before its tree is looked up.
            .status();
    }

    fn born(_: u32) -> Option<u64> {
        Some(0)
    }

    fn now() -> u64 {
        0
    }

    fn kin(_: Family<'_>) -> Kin<Infallible> {
        Kin { members: Vec::new(), groups: Vec::new(), unclear: false }
    }

    fn strike(member: &Infallible, _: Blow) {
        match *member {}
    }

    fn reap(member: &Infallible) -> bool {
        match *member {}
    }

    fn guardians() -> Vec<PathBuf> {
        Vec::new()
    }

    fn be_called(_: &str) {}

    fn await_reader_gone() {
        // The next write fails; until then nothing tells.
        loop {
            std::thread::park();
        }
    }

    fn descriptors_max() -> Option<usize> {
        None
    }

    fn openers() -> &'static [&'static [&'static str]] {
        &[&["rundll32.exe", "url.dll,FileProtocolHandler"]]
    }

    fn ending_signal(_: ExitStatus) -> Option<i32> {
        None
    }
}
