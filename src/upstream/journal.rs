//! The last lines that each server wrote to stderr, for whoever asks what it said.
//!
//! Owns a ring of lines for each server of the configuration, whatever became of the programs that wrote them, and hands
//! new lines to those who follow. Nobody who follows is waited for. Lines come escaped, and stay so.

use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::broadcast;

/// The rings of all servers, by their keys.
#[derive(Debug, Clone, Default)]
pub struct Journals(Arc<Mutex<BTreeMap<String, Arc<Journal>>>>);

/// The ring of one server.
#[derive(Debug, Default)]
pub struct Journal(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    /// There only while somebody follows.
    live: Option<broadcast::Sender<Arc<Line>>>,
}

/// One line, escaped.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub at: SystemTime,
    pub text: String,
}

/// New lines as they come.
pub type Following = broadcast::Receiver<Arc<Line>>;

impl Journals {
    /// That of a server, which must be one of the configuration: there are as many rings as that has servers.
    pub fn of_server(&self, server: &str) -> Arc<Journal> {
        self.0.lock().entry(server.to_owned()).or_default().clone()
    }
}

impl Journal {
    pub(super) fn keep(&self, text: &str) {
        let line = Arc::new(Line { at: SystemTime::now(), text: text.to_owned() });
        let mut kept = self.0.lock();
        kept.bytes += line.text.len();
        kept.lines.push_back(line.clone());
        while kept.lines.len() > LINES_MAX || kept.bytes > BYTES_MAX {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.text.len();
        }
        // The last who followed has gone.
        if kept.live.as_ref().is_some_and(|live| live.send(line).is_err()) {
            kept.live = None;
        }
    }

    /// What is kept, oldest first.
    pub fn lines(&self) -> Vec<Arc<Line>> {
        self.0.lock().lines.iter().cloned().collect()
    }

    /// The same, and what comes after it: no line is missing in between, and none is there twice.
    pub fn follow(&self) -> (Vec<Arc<Line>>, Following) {
        let mut kept = self.0.lock();
        let following = kept.live.get_or_insert_with(|| broadcast::channel(WAITING_MAX).0).subscribe();
        (kept.lines.iter().cloned().collect(), following)
    }
}

/// Lines kept of one server, and their bytes.
pub const LINES_MAX: usize = 200;
pub const BYTES_MAX: usize = 256 * 1024;
/// Lines that wait for one who follows.
const WAITING_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::broadcast::error::TryRecvError;

    #[test]
    fn the_last_lines_are_kept_within_both_bounds() {
        let journal = Journal::default();
        for number in 0..LINES_MAX + 50 {
            journal.keep(&format!("line {number}"));
        }
        let lines = journal.lines();
        assert_eq!((lines.len(), lines[0].text.as_str()), (LINES_MAX, "line 50"));
        for _ in 0..LINES_MAX {
            journal.keep(&"x".repeat(8 * 1024));
        }
        assert_eq!(journal.lines().len(), BYTES_MAX / (8 * 1024));
        assert!(journal.0.lock().bytes <= BYTES_MAX);
    }

    #[test]
    fn who_follows_misses_nothing_or_is_told() {
        let journal = Journal::default();
        journal.keep("before");
        let (kept, mut following) = journal.follow();
        assert_eq!(kept[0].text, "before");
        journal.keep("after");
        assert_eq!(following.try_recv().unwrap().text, "after");
        (0..WAITING_MAX + 3).for_each(|_| journal.keep("more"));
        assert!(matches!(following.try_recv(), Err(TryRecvError::Lagged(3))));
        drop(following);
        journal.keep("to nobody");
        assert!(journal.0.lock().live.is_none());
    }
}
