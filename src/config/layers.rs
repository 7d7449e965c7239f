//! What `[timeouts]` and `[defaults]` lay under each server, and a server's own words over them.
//!
//! A layer says something or nothing; what it does not say holds as it was. Values are checked, so that only
//! what two of them say together can be wrong.

use std::time::Duration;

use super::codes::Code;
use super::section::{Reader, Section};
use super::{Backoff, PathFromShell, Protocol, Restart, ServerConfig, Sharing, Stderr, Timeouts, units};

/// The timeouts that a section gives, over those that hold so far.
pub(super) fn timeouts(reader: &mut Reader<'_>, section: &Section, base: &Timeouts) -> Timeouts {
    let timeouts = Timeouts {
        start: section.time("start").unwrap_or(base.start),
        list: section.time("list").unwrap_or(base.list),
        call: section.time("call").unwrap_or(base.call),
        call_max: section.time("call_max").map_or(base.call_max, off),
        read: section.time("read").unwrap_or(base.read),
        ask: section.time("ask").unwrap_or(base.ask),
        ping: section.time("ping").map_or(base.ping, off),
    };
    warn_of_patience(reader, section, ("call", Some(timeouts.call)), ("call_max", timeouts.call_max));
    timeouts
}

/// Warns when the silence that is allowed is longer than the call as a whole may take.
pub(super) fn warn_of_patience(
    reader: &mut Reader<'_>,
    section: &Section,
    silence: (&str, Option<Duration>),
    whole: (&str, Option<Duration>),
) {
    let (Some(silence_max), Some(whole_max)) = (silence.1, whole.1) else { return };
    let Some(written) = section.checked(silence.0).or_else(|| section.checked(whole.0)) else { return };
    if silence_max > whole_max {
        let message = format!("`{}` is longer than `{}` and cannot be reached", silence.0, whole.0);
        let label = format!("`{}` ends a call after {}", whole.0, units::duration_text(whole_max));
        let problem = reader.warning(Code::NoEffect, message).at(&written.span, label);
        reader.problems.push(problem.help(format!("raise `{}` as well", whole.0)));
    }
}

fn off(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}

/// Lays what `[defaults]` or a server's own section says over what holds so far.
pub(super) fn apply(reader: &mut Reader<'_>, section: &Section, server: &mut ServerConfig) {
    if let Some(required) = section.flag("required") {
        server.required = required;
    }
    match section.word("restart") {
        Some("on-failure") => server.restart = Restart::OnFailure,
        Some("always") => server.restart = Restart::Always,
        Some("never") => server.restart = Restart::Never,
        Some(_) | None => {}
    }
    match section.word("stderr") {
        Some("log") => server.stderr = Stderr::Log,
        Some("inherit") => server.stderr = Stderr::Inherit,
        Some("drop") => server.stderr = Stderr::Drop,
        Some(_) | None => {}
    }
    match section.word("path_from_shell") {
        Some("auto") => server.path_from_shell = PathFromShell::Auto,
        Some("always") => server.path_from_shell = PathFromShell::Always,
        Some("never") => server.path_from_shell = PathFromShell::Never,
        Some(_) | None => {}
    }
    match section.word("sharing") {
        Some("auto") => server.sharing = Sharing::Auto,
        Some("shared") => server.sharing = Sharing::Shared,
        Some("session") => server.sharing = Sharing::Session,
        Some(_) | None => {}
    }
    match section.word("protocol") {
        Some("auto") => server.protocol = Protocol::Auto,
        Some("handshake") => server.protocol = Protocol::Handshake,
        Some(revision) => server.protocol = Protocol::Revision(revision.to_owned()),
        None => {}
    }
    server.filters = std::mem::take(&mut server.filters).under(section);
    server.in_flight_max = section.number("concurrency").unwrap_or(server.in_flight_max);
    server.waiting_max = section.number("queue").unwrap_or(server.waiting_max);
    server.rate = section.rate("rate").unwrap_or(server.rate);
    if let Some(bytes_max) = section.number("max_result") {
        server.result_bytes_max = (bytes_max > 0).then_some(bytes_max);
    }
    if let Some(inner) = section.section("restart_backoff") {
        let base = &server.backoff;
        let backoff = Backoff {
            min: inner.time("min").unwrap_or(base.min),
            max: inner.time("max").unwrap_or(base.max),
            reset_after: inner.time("reset_after").unwrap_or(base.reset_after),
        };
        let written = inner.checked("min").or_else(|| inner.checked("max"));
        if let Some(written) = written.filter(|_| backoff.min > backoff.max) {
            let (min, max) = (units::duration_text(backoff.min), units::duration_text(backoff.max));
            let problem = reader
                .error(Code::Contradiction, "`restart_backoff.min` is longer than `restart_backoff.max`")
                .at(&written.span, format!("`min` is {min} and `max` is {max}"));
            reader.problems.push(problem);
        }
        server.backoff = backoff;
    }
}
