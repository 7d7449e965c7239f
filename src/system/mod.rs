//! What an operating system does its own way, behind one trait.
//!
//! Owns how a child gets a family of its own, how that family is struck, and how its stray members
//! are found; one file per system, and `Here` is the one we run on. It decides nothing: when to
//! strike, and whom, is its caller's business. Only Linux is tested; the others are written with what
//! the standard library and tokio offer, and say so.

mod companion;
#[cfg(unix)]
mod descriptors;
mod ends;
mod exits;
mod leaving;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod macos;
mod pipes;
pub mod private;
#[cfg(unix)]
mod reader;
#[cfg(windows)]
mod windows;

use std::path::PathBuf;

use tokio::process::Command;

pub use self::companion::{Companion, Ear};
pub use self::ends::{Input, Output};
pub use self::exits::Exits;
pub use self::leaving::{Leaving, Signal, leaving};
pub use self::pipes::widen;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub use self::linux::Linux as Here;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
pub use self::macos::MacOs as Here;
#[cfg(windows)]
pub use self::windows::Windows as Here;

/// The environment variable that carries the run's mark (see `upstream::environment::Cookie`).
pub const MARK_VARIABLE: &str = "BRAID_RUN";

/// Marks every descriptor that we were started with, but the first three, so that no child of ours gets it.
///
/// What we open ourselves is marked by the standard library; call this before anything is started.
pub fn keep_descriptors() {
    #[cfg(unix)]
    close_fds::set_fds_cloexec(3, &[]);
}

/// How hard a process is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// SIGTERM: it may still tidy up.
    Term,
    /// SIGKILL: it may not.
    Kill,
}

/// Whom we look for.
#[derive(Debug, Clone, Copy)]
pub enum Family<'a> {
    /// The tree of one child: its process group, whoever carries its mark, and all their descendants.
    ///
    /// The leader must not be reaped yet: that alone keeps its number, and so the group's, from being
    /// given to a stranger.
    Tree { leader: u32, mark: &'a str },
    /// Whoever carries a mark of this run.
    Run { run: &'a str },
    /// What a run left behind that has ended: whoever carries its mark, whoever is in one of its groups, and
    /// all their descendants.
    Left { run: &'a str, groups: &'a [Group] },
}

/// A process group, recognised even when nobody keeps its number from being given to a stranger.
///
/// Both times are those of `System::born`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    pub leader: u32,
    /// When the leader was born. Another process of that number leads another group.
    pub born: u64,
    /// Until when the number was surely kept. With the leader gone, who came later may be of another group.
    pub kept: u64,
}

/// What a look around found. Processes that have ended and wait to be reaped are not in it.
#[derive(Debug)]
pub struct Kin<K> {
    pub members: Vec<K>,
    /// Only of what is left of a run: the groups that somebody of them is in or leads, kept until this look. As
    /// long as it takes to strike them at once, their numbers cannot come round.
    pub groups: Vec<Group>,
    /// Someone was between two programs and could not be read: look again.
    pub unclear: bool,
}

/// What each operating system does its own way. All of it is quick, but `kin` reads a file per
/// process, so call it off the runtime.
pub trait System {
    /// A process that was found, held so that a blow cannot hit whoever gets its number next.
    type Member: Send + 'static;

    /// Gives the child a family of its own, so that it can be struck as a whole.
    fn set_apart(command: &mut Command);

    /// Strikes the leader's whole group, so that who forks at this moment is struck too. The leader must not be
    /// reaped yet (see `Family::Tree`), or the group just found (see `Kin::groups`).
    fn strike_group(leader: u32, blow: Blow);

    /// When a process was born, in a unit of the system's own; 0 where the system does not tell. `None` when
    /// there is no such process.
    fn born(process: u32) -> Option<u64>;

    /// Now, in the unit of `born`.
    fn now() -> u64;

    /// Who of the family is alive, the leader of a tree aside. Empty where the system cannot tell.
    ///
    /// Who has ended and became our own child by adoption, as happens to the first process of a
    /// container, is reaped on the way.
    fn kin(family: Family<'_>) -> Kin<Self::Member>;

    /// Strikes one process that `kin` found.
    fn strike(member: &Self::Member, blow: Blow);

    /// Reaps one process that `kin` found and that was struck, if we adopted it. False: it is ours now
    /// and has not quite ended.
    fn reap(member: &Self::Member) -> bool;

    /// The programs that can be the guardian of a run, the smallest first. None where a guardian could not find anybody.
    fn guardians() -> Vec<PathBuf>;

    /// Gives our process a name of its own among the others, where that can be done.
    fn be_called(name: &str);

    /// Returns when nobody reads our stdout any more, even if we have nothing to write. Blocks its thread until
    /// then, which is for ever where the system cannot tell or stdout is no pipe.
    fn await_reader_gone();

    /// How many descriptors we may have at once: files, pipes and sockets together. `None`: as many as there is room.
    fn descriptors_max() -> Option<usize>;

    /// The programs that open a page in the user's browser, each with its first arguments; the first that can be started is
    /// taken.
    fn openers() -> &'static [&'static [&'static str]];

    /// The signal that ended a process, where the system has signals.
    fn ending_signal(status: std::process::ExitStatus) -> Option<i32>;
}
