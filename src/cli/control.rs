//! `braid reload` and `braid restart`: the two things that a run can be asked to do.
//!
//! Asks, and shows what comes of it. What changes is the run's affair.

use super::exit::Exit;
use super::instance::{self, Which};
use super::socket::{Answer, ask};
use super::{Globals, out, printable};
use crate::wire::members::{member, string};
use crate::wire::percent::encoded;
use serde::Deserialize;

/// What came of `braid reload`, as the run says it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reloaded {
    text: String,
    /// All that is wrong, in full.
    page: Option<String>,
    added: Vec<String>,
    removed: Vec<String>,
    restarted: Vec<String>,
    changed: Vec<String>,
    unchanged: Vec<String>,
    others_changed: bool,
    needs_restart: Vec<String>,
}

/// `braid reload`.
pub(super) fn reload(which: &Which, globals: &Globals) -> Exit {
    let answer = match answered(which, "/reload", globals) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    let code = answer.code;
    if code != 200 && code != 422 {
        return refused(answer, globals);
    }
    let text = answer.text().unwrap_or_default();
    let Ok(reloaded) = serde_json::from_str::<Reloaded>(&text) else {
        return out::fail(Exit::Unexpected, "its answer cannot be read", globals);
    };
    match (code, globals.json()) {
        (200, true) => out::print(text.trim_end()),
        (200, false) => out::print(&printable::text(&reloaded.page())),
        (_, true) => {
            out::say(&out::failure(Exit::BadConfig, &reloaded.text, None, Some(text.trim_end())));
            Exit::BadConfig
        }
        (_, false) => {
            let page = reloaded.page.as_deref().unwrap_or(&reloaded.text);
            out::say(printable::text(page).trim_end());
            out::say("nothing was changed; the run goes on with the configuration of before");
            Exit::BadConfig
        }
    }
}

impl Reloaded {
    /// A line for each kind of change.
    fn page(&self) -> String {
        let Self { added, removed, restarted, changed, unchanged, .. } = self;
        let lists = [("added", added), ("removed", removed), ("restarted", restarted), ("changed", changed)];
        let mut lines: Vec<String> = lists
            .into_iter()
            .chain([("unchanged", unchanged)])
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what:<10} {}", names.join(", ")))
            .collect();
        if self.others_changed {
            lines.push("changed    names, groups or other settings for all servers".to_owned());
        }
        if !self.others_changed && lists.iter().all(|(_, names)| names.is_empty()) {
            lines.insert(0, "nothing changed".to_owned());
        }
        if !self.needs_restart.is_empty() {
            lines.push(format!("needs a restart of Braid: {}", self.needs_restart.join(", ")));
        }
        lines.join("\n")
    }
}

/// `braid restart SERVER`.
pub(super) fn restart(which: &Which, server: &str, globals: &Globals) -> Exit {
    asked(which, &format!("/restart/{}", encoded(server)), globals)
}

fn answered(which: &Which, target: &str, globals: &Globals) -> Result<Answer, Exit> {
    let instance = instance::one(which, globals)?;
    ask(&instance.socket, "POST", target).map_err(|error| {
        let text = format!("the run of pid {} does not answer: {error}", instance.status.instance.pid);
        out::fail(Exit::Unreachable, &text, globals)
    })
}

fn asked(which: &Which, target: &str, globals: &Globals) -> Exit {
    let answer = match answered(which, target, globals) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    if answer.code != 200 {
        return refused(answer, globals);
    }
    let text = answer.text().unwrap_or_default();
    match globals.json() {
        true => out::print(text.trim_end()),
        false => out::print(&printable::text(&sentence(&text))),
    }
}

/// Says why a run does not do what it was asked.
pub(super) fn refused(answer: Answer, globals: &Globals) -> Exit {
    let exit = match answer.code {
        404 => Exit::Usage,
        422 => Exit::BadConfig,
        _ => Exit::Unexpected,
    };
    let text = answer.text().unwrap_or_default();
    out::fail(exit, &sentence(&text), globals)
}

fn sentence(answer: &str) -> String {
    let said = member(answer.trim_end(), "text").and_then(string);
    said.map_or_else(|| "its answer cannot be read".to_owned(), |said| said.into_owned())
}
