//! What is counted of one server, for whoever looks after it.
//!
//! Counts only rise, and counting a call waits for nobody and takes no memory, but for the first call of a tool and for
//! calls that fail. Every label has a bound: servers are those of the configuration, methods and kinds of errors are
//! words of ours, tools are those that calls were routed to, and no more of them than there is room for. It decides nothing.

use super::histogram::{Histogram, Spread};
use super::lookout::{Lookout, VISIT_SCALE};
use crate::mcp::method::Method;
use crate::wire::fault::{Fault, Reason, brief};
use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// What is asked of a server on behalf of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    Call,
    Prompt,
    Read,
    Complete,
    Other,
}

impl Asked {
    pub const ALL: [Self; 5] = [Self::Call, Self::Prompt, Self::Read, Self::Complete, Self::Other];

    pub fn of(method: Method) -> Self {
        match method {
            Method::ToolsCall => Self::Call,
            Method::PromptsGet => Self::Prompt,
            Method::ResourcesRead => Self::Read,
            Method::Complete => Self::Complete,
            Method::Initialize
            | Method::Initialized
            | Method::Ping
            | Method::List(_)
            | Method::SetLevel
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::Ask(_)
            | Method::Cancelled
            | Method::Progress
            | Method::Log
            | Method::Updated
            | Method::RootsChanged
            | Method::ElicitationComplete
            | Method::ListChanged(_)
            | Method::Discover
            | Method::Listen
            | Method::Acknowledged
            | Method::Task
            | Method::Other => Self::Other,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "tools/call",
            Self::Prompt => "prompts/get",
            Self::Read => "resources/read",
            Self::Complete => "completion/complete",
            Self::Other => "_other",
        }
    }
}

/// How a request of a client's ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Fine,
    /// A result that says of itself that it is an error.
    ToolError,
    /// The server's own error, by its code.
    Error(Option<i64>),
    /// A fault of ours or of what lies between: why, and with which code.
    Fault(Option<Reason>, i32),
    /// Nobody waited for it any longer.
    Cancelled,
}

impl End {
    pub fn of(fault: &Fault) -> Self {
        Self::Fault(fault.reason, fault.code)
    }

    /// In one of a few words; nothing, if all was well.
    pub fn error_type(self) -> Option<&'static str> {
        match self {
            Self::Fine => None,
            Self::ToolError => Some("tool_error"),
            Self::Cancelled => Some("cancelled"),
            Self::Fault(Some(reason), _) => Some(reason.as_str()),
            Self::Fault(None, code) => Some(known(i64::from(code))),
            Self::Error(code) => Some(code.map_or(OTHER, known)),
        }
    }

    pub fn code(self) -> Option<i64> {
        match self {
            Self::Fine | Self::ToolError | Self::Cancelled => None,
            Self::Error(code) => code,
            Self::Fault(_, code) => Some(i64::from(code)),
        }
    }
}

/// A code that somebody has given a meaning; servers may write any other.
fn known(code: i64) -> &'static str {
    match code {
        -32700 => "-32700",
        -32600 => "-32600",
        -32601 => "-32601",
        -32602 => "-32602",
        -32603 => "-32603",
        -32002 => "-32002",
        -32001 => "-32001",
        -32000 => "-32000",
        -32042 => "-32042",
        -32020 => "-32020",
        -32021 => "-32021",
        -32022 => "-32022",
        _ => OTHER,
    }
}

/// Which rate a client was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rated {
    /// Its own, for all servers.
    Client,
    /// The server's.
    Server,
    /// That of one of its tools.
    Tool,
}

impl Rated {
    pub const ALL: [Self; 3] = [Self::Client, Self::Server, Self::Tool];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Tool => "tool",
        }
    }
}

/// Whether a result was there that need not be asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    Hit,
    Miss,
}

impl Recall {
    pub const ALL: [Self; 2] = [Self::Hit, Self::Miss];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}

/// What goes over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    Request,
    Response,
    Notification,
}

impl Piece {
    pub const ALL: [Self; 3] = [Self::Request, Self::Response, Self::Notification];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Notification => "notification",
        }
    }
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    FromServer,
}

impl Way {
    pub const ALL: [Self; 2] = [Self::ToServer, Self::FromServer];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToServer => "to_server",
            Self::FromServer => "from_server",
        }
    }
}

/// What went wrong last, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub at: SystemTime,
    pub text: String,
}

/// The counts of one server.
#[derive(Debug)]
pub struct Tally {
    lookout: Arc<Lookout>,
    moved: [[Moved; Piece::ALL.len()]; Way::ALL.len()],
    /// What went well, of everything but of tools that have a place of their own.
    fine: [Histogram; Asked::ALL.len()],
    tools: RwLock<HashMap<Arc<str>, Histogram, RandomState>>,
    /// All else. Bounded by our words for it and `FAILURES_MAX`.
    failed: Mutex<BTreeMap<Failure, Histogram>>,
    timeouts: [AtomicU64; 2],
    /// How long its connections lasted: a hundredth of it.
    lasted: Histogram,
    restarts: Mutex<BTreeMap<&'static str, u64>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    /// Of those, for which rate.
    over_rate: [AtomicU64; Rated::ALL.len()],
    /// Requests whose results are kept for a time.
    recalls: [AtomicU64; Recall::ALL.len()],
    /// What connections that are over had dropped: answers to nothing, notes, lines that are no message.
    dropped: [AtomicU64; 3],
    trouble: Mutex<Option<Trouble>>,
    /// The revision that it spoke last.
    spoke: Mutex<Option<&'static str>>,
    /// It was to be there once, and was not.
    has_failed: AtomicBool,
}

#[derive(Debug, Default)]
struct Moved {
    messages: AtomicU64,
    bytes: AtomicU64,
}

/// What failed, of which tool if that has a place of its own, and how.
type Failure = (Asked, Option<Arc<str>>, &'static str);

/// Requests of one sort that ended in one way.
#[derive(Debug, Clone)]
pub struct Ended {
    pub asked: Asked,
    /// `None`: no tool, or one that has no place of its own.
    pub tool: Option<Arc<str>>,
    /// `None`: all was well.
    pub error: Option<&'static str>,
    pub spread: Spread,
}

/// The counts of one moment.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    pub ended: Vec<Ended>,
    /// Messages and bytes.
    pub moved: Vec<(Way, Piece, u64, u64)>,
    /// For silence, and in all.
    pub timeouts: [u64; 2],
    /// How long its connections lasted; to be multiplied by `lookout::VISIT_SCALE`.
    pub lasted: Spread,
    /// By why.
    pub restarts: Vec<(&'static str, u64)>,
    /// Requests that did not get as far as the server, by why.
    pub refused: Vec<(&'static str, u64)>,
    /// Of those, requests of clients over a rate, by which.
    pub over_rate: [u64; Rated::ALL.len()],
    /// Requests whose results are kept for a time: those that were answered with one, and those that were not.
    pub recalls: [u64; Recall::ALL.len()],
    /// Answers to nothing, notes, lines that are no message: of connections that are over.
    pub dropped: [u64; 3],
    pub trouble: Option<Trouble>,
    /// The revision that it spoke last; `None`: it was never there.
    pub spoke: Option<&'static str>,
    /// It was to be there once, and was not.
    pub has_failed: bool,
}

impl Counts {
    /// Requests that ended, however.
    pub fn calls(&self) -> u64 {
        self.ended.iter().map(|ended| ended.spread.count()).sum()
    }

    /// Those of them that did not end well; whoever stopped waiting is none of them.
    pub fn errors(&self) -> u64 {
        let failed = self.ended.iter().filter(|ended| ended.error.is_some_and(|error| error != CANCELLED));
        failed.map(|ended| ended.spread.count()).sum()
    }

    pub fn cancelled(&self) -> u64 {
        let cancelled = self.ended.iter().filter(|ended| ended.error == Some(CANCELLED));
        cancelled.map(|ended| ended.spread.count()).sum()
    }

    /// How long they took, but for those that nobody waited for.
    pub fn spread(&self) -> Spread {
        let mut all = Spread::default();
        let waited = self.ended.iter().filter(|ended| ended.error != Some(CANCELLED));
        waited.for_each(|ended| all.add(&ended.spread));
        all
    }

    pub fn restarted(&self) -> u64 {
        self.restarts.iter().map(|(_, count)| count).sum()
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let failures = self.failed.get_mut().keys().filter(|(_, tool, _)| tool.is_some()).count();
        self.lookout.gives_labels(self.tools.get_mut().len() + failures);
    }
}

impl Tally {
    pub fn new(lookout: &Arc<Lookout>) -> Self {
        Self {
            lookout: lookout.clone(),
            moved: Default::default(),
            fine: Default::default(),
            tools: RwLock::default(),
            failed: Mutex::default(),
            timeouts: Default::default(),
            lasted: Histogram::default(),
            restarts: Mutex::default(),
            refused: Mutex::default(),
            over_rate: Default::default(),
            recalls: Default::default(),
            dropped: Default::default(),
            trouble: Mutex::default(),
            spoke: Mutex::default(),
            has_failed: AtomicBool::default(),
        }
    }

    pub(super) fn lookout(&self) -> &Arc<Lookout> {
        &self.lookout
    }

    /// A message of so many bytes goes over a connection.
    pub(super) fn moves(&self, way: Way, piece: Piece, bytes: usize) {
        let moved = self.moved.get(way as usize).and_then(|pieces| pieces.get(piece as usize));
        if let Some(moved) = moved {
            moved.messages.fetch_add(1, Ordering::Relaxed);
            moved.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// A client's request is over. `own`: what its server calls what was asked for.
    pub(super) fn ended(&self, asked: Asked, own: Option<&Arc<str>>, took: Duration, end: End) {
        let tool = own.filter(|_| asked == Asked::Call && self.lookout.labels_tools());
        match end.error_type() {
            None => match tool {
                Some(tool) if self.records(tool, took) => {}
                Some(_) | None => {
                    if let Some(fine) = self.fine.get(asked as usize) {
                        fine.record(took);
                    }
                }
            },
            Some(error) => self.fails(asked, tool, error, took),
        }
    }

    /// Counts a tool's call at its own place; not, if there is none for it.
    fn records(&self, tool: &Arc<str>, took: Duration) -> bool {
        if let Some(histogram) = self.tools.read().get(tool) {
            histogram.record(took);
            return true;
        }
        self.records_elsewhere(tool, took)
    }

    /// The same of one that has no place yet.
    #[inline(never)]
    fn records_elsewhere(&self, tool: &Arc<str>, took: Duration) -> bool {
        // Who has none for good does not hold up those who look.
        if !self.lookout.has_label() {
            return false;
        }
        let mut tools = self.tools.write();
        if !tools.contains_key(tool) && !self.lookout.takes_label() {
            return false;
        }
        tools.entry(tool.clone()).or_default().record(took);
        true
    }

    #[inline(never)]
    fn fails(&self, asked: Asked, tool: Option<&Arc<str>>, error: &'static str, took: Duration) {
        let mut failed = self.failed.lock();
        let own = (asked, tool.cloned(), error);
        let has_place = tool.is_none()
            || failed.contains_key(&own)
            || (failed.len() < FAILURES_MAX && self.lookout.takes_label());
        let failure = if has_place { own } else { (asked, None, error) };
        failed.entry(failure).or_default().record(took);
    }

    pub(super) fn timed_out(&self, in_all: bool) {
        let [silence, all] = &self.timeouts;
        if in_all { all } else { silence }.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection is over that was ready for so long.
    pub(super) fn lasted(&self, time: Duration) {
        self.lasted.record(time / VISIT_SCALE);
    }

    /// It is there.
    pub(super) fn speaks(&self, revision: &'static str) {
        *self.spoke.lock() = Some(revision);
    }

    /// It is not there, and should be.
    pub(super) fn is_missed(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// It is begun anew.
    pub(super) fn restarts(&self, why: &'static str) {
        *self.restarts.lock().entry(why).or_default() += 1;
    }

    /// A request did not get as far as the server.
    pub fn refuses(&self, fault: &Fault) {
        let why = fault.reason.map_or("invalid", Reason::as_str);
        *self.refused.lock().entry(why).or_default() += 1;
    }

    /// A client asked more often than it may.
    pub fn over_rate(&self, rated: Rated, fault: &Fault) {
        self.refuses(fault);
        if let Some(count) = self.over_rate.get(rated as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request whose result may be kept was looked up.
    pub(super) fn recalls(&self, recall: Recall) {
        if let Some(count) = self.recalls.get(recall as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn had_dropped(&self, dropped: [u64; 3]) {
        for (sum, more) in self.dropped.iter().zip(dropped) {
            sum.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Something went wrong that whoever looks should know of.
    pub(super) fn is_troubled(&self, text: &str) {
        let text = brief(text, TROUBLE_CHARS_MAX).to_owned();
        *self.trouble.lock() = Some(Trouble { at: SystemTime::now(), text });
    }

    pub fn read(&self) -> Counts {
        let mut ended = Vec::new();
        let mut add = |asked, tool, error, histogram: &Histogram| {
            let spread = histogram.read();
            if spread.count() > 0 {
                ended.push(Ended { asked, tool, error, spread });
            }
        };
        for (asked, histogram) in Asked::ALL.into_iter().zip(&self.fine) {
            add(asked, None, None, histogram);
        }
        for (tool, histogram) in &*self.tools.read() {
            add(Asked::Call, Some(tool.clone()), None, histogram);
        }
        for ((asked, tool, error), histogram) in &*self.failed.lock() {
            add(*asked, tool.clone(), Some(*error), histogram);
        }
        ended.sort_by(|one, other| {
            (one.asked, &one.tool, one.error).cmp(&(other.asked, &other.tool, other.error))
        });
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let moved = Way::ALL.into_iter().zip(&self.moved).flat_map(|(way, pieces)| {
            let pieces = Piece::ALL.into_iter().zip(pieces);
            pieces.map(move |(piece, moved)| (way, piece, load(&moved.messages), load(&moved.bytes)))
        });
        Counts {
            moved: moved.collect(),
            timeouts: self.timeouts.each_ref().map(load),
            lasted: self.lasted.read(),
            restarts: self.restarts.lock().iter().map(|(why, count)| (*why, *count)).collect(),
            refused: self.refused.lock().iter().map(|(why, count)| (*why, *count)).collect(),
            over_rate: self.over_rate.each_ref().map(load),
            recalls: self.recalls.each_ref().map(load),
            dropped: self.dropped.each_ref().map(load),
            trouble: self.trouble.lock().clone(),
            spoke: *self.spoke.lock(),
            has_failed: self.has_failed.load(Ordering::Relaxed),
            ended,
        }
    }
}

/// A label for all that has none of its own.
pub const OTHER: &str = "_other";
const CANCELLED: &str = "cancelled";
/// Sorts of failures of one server that have a place for their tool.
const FAILURES_MAX: usize = 256;
/// Of the last error; it may quote what a server wrote.
const TROUBLE_CHARS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn own(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn each_end_is_counted_once() {
        let tally = Tally::new(&Lookout::new(true));
        let add = own("add");
        tally.ended(Asked::Call, Some(&add), MS, End::Fine);
        tally.ended(Asked::Call, Some(&add), MS, End::ToolError);
        tally.ended(Asked::Call, Some(&add), MS, End::Cancelled);
        tally.ended(Asked::Read, Some(&own("file:///x")), MS, End::Error(Some(-32002)));
        tally.ended(Asked::Read, Some(&own("file:///y")), MS, End::Fault(Some(Reason::Timeout), 1001));
        let counts = tally.read();
        assert_eq!((counts.calls(), counts.errors(), counts.cancelled()), (5, 3, 1));
        assert_eq!(counts.spread().count(), 4);
        let labels: Vec<_> = counts.ended.iter().map(|it| (it.asked, it.tool.as_deref(), it.error)).collect();
        assert_eq!(
            labels,
            [
                (Asked::Call, Some("add"), None),
                (Asked::Call, Some("add"), Some("cancelled")),
                (Asked::Call, Some("add"), Some("tool_error")),
                (Asked::Read, None, Some("-32002")),
                (Asked::Read, None, Some("timeout")),
            ]
        );
    }

    #[test]
    fn c09_tools_without_end_take_no_more_places_than_there_are() {
        let lookout = Lookout::new(true);
        let (one, other) = (Tally::new(&lookout), Tally::new(&lookout));
        let end = |n: i64| match n % 3 {
            0 => End::Fine,
            1 => End::Error(Some(n)),
            _ => End::ToolError,
        };
        for n in 0..1_000_000 {
            let tally = if n % 2 == 0 { &one } else { &other };
            tally.ended(Asked::Call, Some(&own(&format!("tool{n}"))), MS, end(n));
        }
        let (one, other) = (one.read(), other.read());
        assert_eq!(one.calls() + other.calls(), 1_000_000);
        let named = one.ended.iter().chain(&other.ended).filter(|ended| ended.tool.is_some());
        assert_eq!(named.count(), super::super::lookout::LABELS_MAX);
        assert!(one.ended.iter().filter(|ended| ended.tool.is_none()).count() <= 3);
    }

    #[test]
    fn what_a_server_took_of_the_labels_is_free_when_it_is_gone() {
        let lookout = Lookout::new(true);
        for _ in 0..2 {
            let tally = Tally::new(&lookout);
            for number in 0..super::super::lookout::LABELS_MAX {
                // Failures have a bound of their own.
                let end = if number < 8 { End::ToolError } else { End::Fine };
                tally.ended(Asked::Call, Some(&own(&number.to_string())), MS, end);
            }
            assert!(!lookout.takes_label());
        }
        assert!(lookout.takes_label());
    }

    #[test]
    fn without_the_label_no_tool_is_named() {
        let tally = Tally::new(&Lookout::new(false));
        tally.ended(Asked::Call, Some(&own("add")), MS, End::Fine);
        tally.ended(Asked::Call, Some(&own("add")), MS, End::ToolError);
        assert!(tally.read().ended.iter().all(|ended| ended.tool.is_none()));
    }

    #[test]
    fn a_code_that_nobody_knows_makes_no_label() {
        for code in (-40_000..40_000).chain([i64::MIN, i64::MAX]) {
            let word = End::Error(Some(code)).error_type().unwrap();
            assert!(word == OTHER || word == code.to_string());
        }
        assert_eq!(End::Error(None).error_type(), Some(OTHER));
    }
}
