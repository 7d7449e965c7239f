//! What a guardian does: it listens until the end, and if that came without a farewell, ends what is left.
//!
//! It runs in a process of its own (see `guardian`), without a runtime. It never strikes while the line is open,
//! and whoever it strikes was recognised first: by the run's mark, by its group, or by its parents. So it misses
//! who has cleared its environment if Braid was killed between starting that tree and telling of its group, and
//! the leader was gone before the first look.

use std::fmt;
use std::io::{BufRead, Read};
use std::time::{Duration, Instant};

use crate::system::{Blow, Family, Group, Here, System};

/// What a guardian is told, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Whose guardian it is: the run, as it begins every mark.
    Run(String),
    /// A child was started.
    Took(Group),
    /// Nothing is left of a child's group, and its number is about to be free.
    Buried(u32),
    /// The run ends in order, and has looked for itself whether anybody is left.
    Farewell,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => writeln!(f, "run {run}"),
            Self::Took(group) => writeln!(f, "took {} {}", group.leader, group.born),
            Self::Buried(leader) => writeln!(f, "buried {leader}"),
            Self::Farewell => writeln!(f, "farewell"),
        }
    }
}

impl Word {
    /// `None` for what is no whole line of ours.
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.strip_suffix('\n')?.split(' ');
        let word = match parts.next()? {
            "run" => {
                let run = parts.next()?;
                let is_run = run.len() == RUN_DIGITS && run.bytes().all(|byte| byte.is_ascii_hexdigit());
                Self::Run(is_run.then(|| run.to_owned())?)
            }
            "took" => {
                let (leader, born) = (leader(parts.next()?)?, parts.next()?.parse().ok()?);
                Self::Took(Group { leader, born, kept: 0 })
            }
            "buried" => Self::Buried(leader(parts.next()?)?),
            "farewell" => Self::Farewell,
            _ => return None,
        };
        parts.next().is_none().then_some(word)
    }
}

/// Groups 0 and 1 mean something else to a system, and are never a child's.
fn leader(number: &str) -> Option<u32> {
    number.parse().ok().filter(|leader| *leader > 1)
}

/// What a run left behind.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    run: String,
    groups: Vec<Group>,
}

/// The whole life of a guardian. Returns when nothing is left of the run, or nothing more can be done.
pub fn keep(line: impl BufRead) {
    if let Some(mut left) = listen(line) {
        left.end();
    }
}

/// Listens to the end of the line. `None` when there is nothing to do then.
fn listen(mut line: impl BufRead) -> Option<Left> {
    let (mut run, mut groups, mut is_farewell) = (None, Vec::<Group>::new(), false);
    let mut said = Vec::new();
    loop {
        said.clear();
        match line.by_ref().take(WORD_BYTES_MAX).read_until(b'\n', &mut said) {
            Ok(0) => break,
            Ok(_) => {}
            // A line that is broken off has ended too.
            Err(_) => break,
        }
        match std::str::from_utf8(&said).ok().and_then(Word::parse) {
            Some(Word::Run(name)) => run = Some(name),
            Some(Word::Took(group)) => {
                groups.retain(|known| known.leader != group.leader);
                // More are still found by their marks.
                if groups.len() < GROUPS_MAX {
                    groups.push(group);
                }
            }
            Some(Word::Buried(leader)) => groups.retain(|known| known.leader != leader),
            Some(Word::Farewell) => is_farewell = true,
            None => {}
        }
    }
    let left = Left { run: run?, groups };
    (!is_farewell || !left.groups.is_empty()).then_some(left)
}

impl Left {
    /// Strikes whoever is found, until nobody is.
    fn end(&mut self) {
        // Until now Braid kept their numbers, as their parent.
        self.groups.iter_mut().for_each(|group| group.kept = Here::now());
        let start = Instant::now();
        let (mut looks_in_vain, mut pause) = (0, PAUSE_MIN);
        while start.elapsed() < END_MAX {
            let kin = Here::kin(Family::Left { run: &self.run, groups: &self.groups });
            // First as a whole, so that who forks in the middle of this is struck too.
            kin.groups.iter().for_each(|group| Here::strike_group(group.leader, Blow::Kill));
            kin.members.iter().for_each(|member| Here::strike(member, Blow::Kill));
            if kin.members.is_empty() {
                looks_in_vain += 1;
                // Somebody may have been born behind our back, or be between two programs.
                if looks_in_vain >= if kin.unclear { UNCLEAR_LOOKS_MAX } else { LOOKS_IN_VAIN } {
                    return;
                }
            } else {
                (looks_in_vain, pause) = (0, PAUSE_MIN);
            }
            self.groups.retain(|known| kin.groups.iter().all(|found| found.leader != known.leader));
            self.groups.extend(kin.groups);
            self.groups.truncate(GROUPS_MAX);
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// As `Cookie` makes them.
const RUN_DIGITS: usize = 32;

const WORD_BYTES_MAX: u64 = 64;
const GROUPS_MAX: usize = 4096;

/// Looks that must find nobody before we believe it.
const LOOKS_IN_VAIN: usize = 3;
/// The same while somebody has no environment, which a stranger may have for good. A third of a second.
const UNCLEAR_LOOKS_MAX: usize = 10;

/// How long it is tried to end what the system itself may not be able to end.
const END_MAX: Duration = Duration::from_secs(10);

const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "0123456789abcdef0123456789abcdef";

    fn group(leader: u32) -> Group {
        Group { leader, born: 5, kept: 0 }
    }

    fn heard(words: &[Word]) -> Option<Left> {
        let text: String = words.iter().map(Word::to_string).collect();
        listen(text.as_bytes())
    }

    #[test]
    fn a_word_is_heard_as_it_was_said_and_half_a_word_is_none() {
        for word in [Word::Run(RUN.into()), Word::Took(group(70)), Word::Buried(70), Word::Farewell] {
            let line = word.to_string();
            assert!(line.len() as u64 <= WORD_BYTES_MAX);
            assert_eq!(Word::parse(&line).as_ref(), Some(&word));
            for cut in 0..line.len() {
                assert_eq!(Word::parse(&line[..cut]), None, "{}", &line[..cut]);
            }
        }
        for wrong in
            ["took 1 5\n", "took 0 5\n", "took -7 5\n", "buried 1\n", "run \n", "run aa\n", "farewell 1\n"]
        {
            assert_eq!(Word::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_was_not_buried_is_left() {
        let run = || Word::Run(RUN.into());
        let words = [run(), Word::Took(group(70)), Word::Took(group(71)), Word::Buried(70)];
        assert_eq!(heard(&words), Some(Left { run: RUN.into(), groups: vec![group(71)] }));
        assert_eq!(heard(&[run()]), Some(Left { run: RUN.into(), groups: vec![] }));
    }

    #[test]
    fn after_a_farewell_only_what_was_not_buried_is_left() {
        let run = || Word::Run(RUN.into());
        assert_eq!(heard(&[run(), Word::Took(group(70)), Word::Buried(70), Word::Farewell]), None);
        let left = Left { run: RUN.into(), groups: vec![group(70)] };
        assert_eq!(heard(&[run(), Word::Took(group(70)), Word::Farewell]), Some(left));
    }

    #[test]
    fn who_was_never_told_whose_guardian_it_is_does_nothing() {
        assert_eq!(heard(&[Word::Took(group(70))]), None);
        assert_eq!(listen(&b"\xff\xff\n"[..]), None);
        assert_eq!(listen(&b"x".repeat(1 << 20)[..]), None);
    }
}
