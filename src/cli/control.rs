//! `braid reload` and `braid restart`: the two things that a run can be asked to do.

use super::exit::Exit;
use super::instance::{self, Which};
use super::socket::{Answer, ask, encoded};
use super::{Globals, out, printable};
use crate::wire::members::{member, string};

/// `braid reload`.
pub(super) fn reload(which: &Which, globals: &Globals) -> Exit {
    asked(which, "/reload", globals)
}

/// `braid restart SERVER`.
pub(super) fn restart(which: &Which, server: &str, globals: &Globals) -> Exit {
    asked(which, &format!("/restart/{}", encoded(server)), globals)
}

fn asked(which: &Which, target: &str, globals: &Globals) -> Exit {
    let instance = match instance::one(which, globals) {
        Ok(instance) => instance,
        Err(exit) => return exit,
    };
    let answer = match ask(&instance.socket, "POST", target) {
        Ok(answer) => answer,
        Err(error) => {
            let text = format!("the run of pid {} does not answer: {error}", instance.status.instance.pid);
            return out::fail(Exit::Unreachable, &text, globals);
        }
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
