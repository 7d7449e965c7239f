//! The log: on stderr, and never anything that could break a client's stdout.

use super::Globals;
use crate::config::schema::Rule;
use crate::config::{Log, LogFormat};
use clap::ValueEnum;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How the log is written, as the command line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Shape {
    /// Text, in colours on a terminal.
    Auto,
    /// Text without colours.
    Text,
    Json,
}

/// Lines on their way to stderr. A client that does not read our stderr must hold up nothing: what finds no room
/// is dropped.
#[derive(Debug, Clone)]
struct Lines {
    lines: Sender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

/// The log of this process. Dropping it gives what still waits a moment to be written.
pub(super) struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        let until = Instant::now() + LAST_LINES;
        while self.0.load(Ordering::Acquire) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Lines {
    /// A thread of its own writes, since a blocked write may last for ever.
    fn start() -> Self {
        // Counted rather than bounded by itself: then it takes no memory for lines that are not there.
        let (lines, queue) = channel::<Vec<u8>>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = waiting.clone();
        let write = move || {
            for line in queue {
                // A stderr that is gone takes nothing; those who log need not know.
                std::io::stderr().write_all(&line).ok();
                left.fetch_sub(1, Ordering::AcqRel);
            }
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(write).ok();
        Self { lines, waiting }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        if before >= LINES_MAX || self.lines.send(line.to_vec()).is_err() {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Lines that may wait for a reader of stderr, and how long the last of them may take when we leave.
const LINES_MAX: usize = 1024;
const LAST_LINES: Duration = Duration::from_millis(50);

/// Starts the log. What the command line says stands above the configuration. A second call changes nothing.
pub(super) fn start(config: &Log, default_level: Option<&str>, globals: &Globals) -> Running {
    let typed = globals.log_level.as_deref().filter(|_| globals.log_level_is_typed);
    let level = match (typed, globals.quiet, &globals.log_level, default_level) {
        (Some(level), _, _, _) => level,
        (None, true, _, _) => "error",
        (None, false, Some(level), _) => level,
        (None, false, None, Some(level)) => level,
        (None, false, None, None) => &config.level,
    };
    let filter: Targets = level.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let most = filter.iter().map(|(_, level)| level).chain(filter.default_level()).max();
    let shape = globals.log_format.unwrap_or(match config.format {
        LogFormat::Auto => Shape::Auto,
        LogFormat::Text => Shape::Text,
        LogFormat::Json => Shape::Json,
    });
    let colours = super::out::stderr_has_color() && std::io::stderr().is_terminal();
    let lines = Lines::start();
    let running = Running(lines.waiting.clone());
    // A stderr that is gone must not end us: internal errors of the log are not printed either.
    let builder = tracing_subscriber::fmt()
        // It says what nobody need ask the filter for.
        .with_max_level(most.unwrap_or(LevelFilter::TRACE))
        .with_writer(lines)
        .log_internal_errors(false)
        .with_target(false)
        .with_ansi(colours && shape == Shape::Auto);
    match shape {
        Shape::Json => builder.json().flatten_event(true).finish().with(filter).try_init().ok(),
        Shape::Auto | Shape::Text => builder.finish().with(filter).try_init().ok(),
    };
    running
}

/// `--log-level`, by the rule of the file's `log.level`.
pub(super) fn filter(text: &str) -> Result<String, &'static str> {
    Rule::Filter.check(text).map(|()| text.to_owned())
}

/// Stands above the file, and below what is typed.
pub(super) const VARIABLE: &str = "BRAID_LOG";
