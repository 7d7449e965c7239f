//! The log: on stderr or in a file, and never anything that could break a client's stdout.
//!
//! Owns the thread that writes it. What a line looks like, `log_line` says.

use super::Globals;
use super::log_line::{Entry, Fields};
use crate::config::schema::Rule;
use crate::config::{Log, LogFormat};
use crate::upstream::stamp::stamp;
use clap::ValueEnum;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant, SystemTime};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
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
    /// A thread of its own writes, since a blocked write may last for ever. `file`: instead of stderr.
    fn start(mut file: Option<File>) -> Self {
        // Counted rather than bounded by itself: then it takes no memory for lines that are not there.
        let (lines, queue) = channel::<Vec<u8>>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = waiting.clone();
        let write = move || {
            for line in queue {
                // A stderr that is gone takes nothing; those who log need not know.
                match &mut file {
                    Some(file) => file.write_all(&line).ok(),
                    None => std::io::stderr().write_all(&line).ok(),
                };
                left.fetch_sub(1, Ordering::AcqRel);
            }
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(write).ok();
        Self { lines, waiting }
    }

    /// Whether a line would be taken now. One that would not need not be made.
    fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Acquire) < LINES_MAX
    }

    fn write(&self, line: String) {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        if before >= LINES_MAX || self.lines.send(line.into_bytes()).is_err() {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Makes a line of whatever happens.
struct Writer {
    lines: Lines,
    shape: Shape,
    colours: bool,
    /// The least that anybody wants to hear of.
    most: LevelFilter,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Writer {
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !self.lines.has_room() {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        // The nearest first: what it says stands over what is said around it.
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Fields>() {
                fields = fields.over(around);
            }
        }
        let entry = Entry::new(stamp(SystemTime::now()), event.metadata(), fields);
        self.lines.write(match self.shape {
            Shape::Json => entry.json(),
            Shape::Auto | Shape::Text => entry.text(self.colours),
        });
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
    let file = config.file.as_deref().and_then(|path| match opened(path) {
        Ok(file) => Some(file),
        Err(error) => {
            super::out::say(&format!(
                "braid: `{}` (log.file): {error}; the log goes to stderr",
                path.display()
            ));
            None
        }
    });
    let is_terminal = file.is_none() && super::out::stderr_has_color() && std::io::stderr().is_terminal();
    let lines = Lines::start(file);
    let running = Running(lines.waiting.clone());
    let most = most.unwrap_or(LevelFilter::TRACE);
    let writer = Writer { lines, shape, colours: is_terminal && shape == Shape::Auto, most };
    tracing_subscriber::registry().with(filter).with(writer).try_init().ok();
    running
}

/// For appending, readable by its owner alone where we make it.
fn opened(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// `--log-level`, by the rule of the file's `log.level`.
pub(super) fn filter(text: &str) -> Result<String, &'static str> {
    Rule::Filter.check(text).map(|()| text.to_owned())
}

/// Stands above the file, and below what is typed.
pub(super) const VARIABLE: &str = "BRAID_LOG";
