//! `braid tap` and `braid logs`: lines of a run as they come, until the reader or the run is gone.

use super::exit::Exit;
use super::instance::{self, Which};
use super::socket::{Answer, follow};
use super::{Globals, board, control, out, printable};
use crate::wire::percent::encoded;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io;

/// What passes, of which server and method, and whether with its texts.
pub(super) struct Tapped<'a> {
    pub(super) server: Option<&'a str>,
    pub(super) method: Option<&'a str>,
    pub(super) payload: bool,
}

/// `braid tap`.
pub(super) fn tap(which: &Which, tapped: &Tapped<'_>, globals: &Globals) -> Exit {
    let mut asked: Vec<String> = Vec::new();
    asked.extend(tapped.server.map(|server| format!("server={}", encoded(server))));
    asked.extend(tapped.method.map(|method| format!("method={}", encoded(method))));
    asked.extend(tapped.payload.then(|| "payload".to_owned()));
    lines(which, &format!("/tap?{}", asked.join("&")), globals, passed)
}

/// `braid logs SERVER`.
pub(super) fn logs(which: &Which, server: &str, follows: bool, globals: &Globals) -> Exit {
    let follow = if follows { "?follow" } else { "" };
    lines(which, &format!("/logs/{}{follow}", encoded(server)), globals, |line| {
        let line: Logged = serde_json::from_str(line).ok()?;
        Some(match line.missed {
            Some(missed) => format!("({missed} lines missed: they came faster than they were read)"),
            None => printable::line(&line.text).into_owned(),
        })
    })
}

fn lines(which: &Which, target: &str, globals: &Globals, shown: impl Fn(&str) -> Option<String>) -> Exit {
    let instance = match instance::one(which, globals) {
        Ok(instance) => instance,
        Err(exit) => return exit,
    };
    let unread = |error: io::Error| {
        let text = format!("the run of pid {} does not answer: {error}", instance.status.instance.pid);
        out::fail(Exit::Unreachable, &text, globals)
    };
    let mut answer: Answer = match follow(&instance.socket, target) {
        Ok(answer) if answer.code == 200 => answer,
        Ok(answer) => return control::refused(answer, globals),
        Err(error) => return unread(error),
    };
    loop {
        match answer.line() {
            Ok(None) => return Exit::Ok,
            Err(error) => return unread(error),
            Ok(Some(line)) => {
                let line = match globals.json() {
                    true => Some(line),
                    false => shown(&line),
                };
                // Whoever reads it may have gone: then there is nothing left to do.
                if !line.is_none_or(|line| out::print_on(&line)) {
                    return Exit::Ok;
                }
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Logged {
    text: String,
    missed: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Passed {
    at: String,
    server: String,
    way: String,
    kind: String,
    method: Option<String>,
    item: Option<String>,
    id: Option<String>,
    bytes: u64,
    outcome: Option<String>,
    code: Option<i64>,
    took_ms: Option<f64>,
    payload: Option<Box<RawValue>>,
    missed: Option<u64>,
}

/// A message on one line: when, which way, what, how long, how large. Its text on the next.
fn passed(line: &str) -> Option<String> {
    let passed: Passed = serde_json::from_str(line).ok()?;
    if let Some(missed) = passed.missed {
        return Some(format!("({missed} messages missed: they came faster than they were read)"));
    }
    let at = passed.at.get(11..23).unwrap_or_default();
    let arrow = if passed.way == "to_server" { "→" } else { "←" };
    let mut words = vec![at.to_owned(), arrow.to_owned(), passed.server.clone()];
    words
        .extend(passed.method.clone().or_else(|| (passed.kind == "response").then(|| "response".to_owned())));
    words.extend(passed.item.clone());
    words.extend(passed.id.as_ref().map(|id| format!("#{}", id.trim_matches('"'))));
    let ended = passed.outcome.as_ref().filter(|outcome| *outcome != "ok");
    words.extend(ended.map(|outcome| match passed.code {
        Some(code) if code.to_string() != *outcome => format!("{outcome} ({code})"),
        Some(_) | None => outcome.clone(),
    }));
    words.extend(passed.took_ms.map(|ms| match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => board::ago((ms / 1000.0) as u64),
    }));
    words.push(size(passed.bytes));
    let text = printable::line(&words.join(" ")).into_owned();
    Some(match &passed.payload {
        Some(payload) => format!("{text}\n  {}", printable::line(payload.get())),
        None => text,
    })
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(
            passed(
                r#"{"at":"2026-11-28T23:59:01.123Z","server":"git\u001bhub","connection":1,"way":"to_server","kind":"request","method":"tools/call","item":"create\nissue","id":"41","bytes":1229}"#
            )
            .unwrap(),
            "23:59:01.123 → git\\u{1b}hub tools/call create issue #41 1.2 KB"
        );
        assert_eq!(
            passed(
                r#"{"at":"2026-11-28T23:59:01.123Z","server":"s","way":"from_server","kind":"response","method":"tools/call","id":"41","bytes":9,"outcome":"tool_error","took_ms":812.4,"payload":{"a":1}}"#
            )
            .unwrap(),
            "23:59:01.123 ← s tools/call #41 tool_error 812 ms 9 B\n  {\"a\":1}"
        );
        assert!(passed(r#"{"missed":7}"#).unwrap().starts_with("(7 messages missed"));
        assert_eq!(passed("no json"), None);
    }
}
