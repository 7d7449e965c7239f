//! The log: on stderr, and never anything that could break a client's stdout.

use super::Globals;
use crate::config::{Log, LogFormat};
use clap::ValueEnum;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// How the log is written, as the command line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Shape {
    Auto,
    Text,
    Json,
}

/// Starts the log. What the command line says stands above the configuration. A second call changes nothing.
pub(super) fn start(config: &Log, default_level: Option<&str>, globals: &Globals) {
    let level = match (&globals.log_level, globals.quiet, default_level) {
        (_, true, _) => "error",
        (Some(level), false, _) => level,
        (None, false, Some(level)) => level,
        (None, false, None) => &config.level,
    };
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let json = match globals.log_format {
        Some(Shape::Json) => true,
        Some(Shape::Text) => false,
        Some(Shape::Auto) | None => config.format == LogFormat::Json,
    };
    // A stderr that is gone must not end us: internal errors of the log are not printed either.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .with_target(false)
        .with_ansi(super::out::stderr_has_color() && std::io::stderr().is_terminal());
    match json {
        true => builder.json().flatten_event(true).try_init().ok(),
        false => builder.try_init().ok(),
    };
}
