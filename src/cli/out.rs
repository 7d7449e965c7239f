//! What commands print: results on stdout, errors on stderr, coloured only where that is wanted.
//!
//! A reader that goes away (`braid list | head`) is no error. Nothing here is used while stdout carries MCP.

use super::exit::Exit;
use super::table::Page;
use super::{Color, Globals, printable};
use crate::wire::members::{member, quote, string};
use std::io::{IsTerminal, Write};

/// Sets, once, whether colours are written.
pub(super) fn choose_color(color: Color) {
    let choice = match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// Whether stderr takes colours.
pub(super) fn stderr_has_color() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// Whether stdout takes colours.
pub(super) fn stdout_has_color() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// Prints a result. `text` ends with its own newline, or gets one.
pub(super) fn print(text: &str) -> Exit {
    let mut out = anstream::stdout().lock();
    let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Ok(()) => Exit::Ok,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(_) => Exit::Unexpected,
    }
}

/// Prints one more line of a result that comes by and by; whether anybody reads it.
pub(super) fn print_on(line: &str) -> bool {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
}

/// Says something beside the result.
pub(super) fn say(text: &str) {
    writeln!(anstream::stderr().lock(), "{text}").ok();
}

/// Where tables go.
pub(super) fn page() -> Page {
    let columns = match std::io::stdout().is_terminal() {
        true => terminal_size::terminal_size().map(|(width, _)| width.0),
        false => None,
    };
    Page { columns, colour: stdout_has_color() }
}

/// Says what went wrong, and ends with this code. Peers may have written the text.
pub(super) fn fail(exit: Exit, text: &str, globals: &Globals) -> Exit {
    match globals.json() {
        true => say(&failure(exit, text, None, None)),
        false => say(&format!("braid: {}", printable::text(text))),
    }
    exit
}

/// Says something beside the result, unless the result is for a program.
pub(super) fn say_unless_json(text: &str, globals: &Globals) {
    if !globals.json() {
        say(&format!("braid: {}", printable::text(text)));
    }
}

/// The same as [`fail`] for the error object of a response, of which scripts get the code and the data as well.
pub(super) fn fail_with(exit: Exit, error: &str, globals: &Globals) -> Exit {
    let said = member(error, "message").and_then(string).unwrap_or_default();
    let code = member(error, "code");
    match globals.json() {
        true => say(&failure(exit, &said, code, member(error, "data"))),
        false => {
            let code = printable::line(code.unwrap_or("no code"));
            say(&format!("braid: {} ({code})", printable::text(&said)));
        }
    }
    exit
}

/// The one shape that errors have as JSON: one object on the last line of stderr. `code` and `data` are JSON.
pub(super) fn failure(exit: Exit, message: &str, code: Option<&str>, data: Option<&str>) -> String {
    let code = code.map(|code| format!(r#","code":{code}"#)).unwrap_or_default();
    let data = data.map(|data| format!(r#","data":{data}"#)).unwrap_or_default();
    format!(r#"{{"error":{{"message":{}{code}{data}}},"exit":{}}}"#, quote(message), exit.code())
}

/// Says what a person should know though the command goes on.
pub(super) fn warn(text: &str, globals: &Globals) {
    match globals.json() {
        true => say(&format!(r#"{{"warning":{{"message":{}}}}}"#, quote(text))),
        false => say(&format!("braid: {}", printable::text(text))),
    }
}
