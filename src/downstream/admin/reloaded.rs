//! What came of reading the configuration anew, as an object and in sentences.
//!
//! `braid reload`, `braid status` and the log say the same of it. Names are those of the configuration.

use super::house::{Refused, Reloaded, Taken};
use super::object::{Object, array};
use crate::hub::adopt::Changes;
use crate::upstream::stderr::escaped;
use crate::wire::members::quote;
use std::fmt;

/// The whole object, on one line.
pub(super) fn reloaded(done: &Reloaded) -> String {
    let mut object = Object::new();
    object.flag("ok", done.is_ok());
    match done {
        Ok(taken) => {
            let Taken { at, changes, needs_restart } = taken;
            let Changes { added, removed, restarted, adjusted, unchanged, others } = changes;
            object.time("at", Some(*at)).text("text", &escaped(&taken.to_string()));
            let lists = [("added", added), ("removed", removed), ("restarted", restarted)];
            for (key, names) in lists.into_iter().chain([("changed", adjusted), ("unchanged", unchanged)]) {
                object.raw(key, &array(names.iter().map(|name| quote(name))));
            }
            object.flag("others_changed", *others);
            object.raw("needs_restart", &array(needs_restart.iter().map(|key| quote(key))));
        }
        Err(Refused { since, at, code, text, page }) => {
            object.time("at", Some(*at)).time("since", Some(*since));
            object.maybe("code", *code).text("text", &escaped(text)).text("page", page);
        }
    }
    object.end()
}

impl fmt::Display for Taken {
    /// On one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Changes { added, removed, restarted, adjusted, unchanged, others } = &self.changes;
        let mut parts = Vec::new();
        let lists = [("added", added), ("removed", removed), ("restarted", restarted), ("changed", adjusted)];
        for (what, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
            parts.push(format!("{what} {}", names.join(", ")));
        }
        if *others {
            parts.push("names, groups or other settings for all servers".to_owned());
        }
        if parts.is_empty() {
            parts.push("nothing changed".to_owned());
        }
        parts.push(format!("{} unchanged", unchanged.len()));
        if !self.needs_restart.is_empty() {
            parts.push(format!("needs a restart of Braid: {}", self.needs_restart.join(", ")));
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn what_changed_is_said_in_one_line() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let changes = Changes {
            added: names(&["a", "b"]),
            restarted: names(&["c"]),
            unchanged: names(&["d"]),
            ..Changes::default()
        };
        let taken = Taken { at: SystemTime::UNIX_EPOCH, changes, needs_restart: vec!["listen.http"] };
        assert_eq!(
            taken.to_string(),
            "added a, b; restarted c; 1 unchanged; needs a restart of Braid: listen.http"
        );
        let nothing = Taken { changes: Changes::default(), needs_restart: Vec::new(), ..taken };
        assert_eq!(nothing.to_string(), "nothing changed; 0 unchanged");
    }
}
