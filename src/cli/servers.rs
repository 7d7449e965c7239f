//! `braid add`, `remove`, `enable`, `disable`: one server of a `braid.toml` more, less, on or off.
//!
//! Everything else in the file stays as it is, comments included. Nothing is started.

use std::path::PathBuf;

use super::edited::{self, Edited};
use super::exit::Exit;
use super::{Globals, argv, out};
use crate::config::edit::save::{Backup, backup_of};
use crate::config::edit::toml;
use crate::config::edit::{EditError, covered};
use crate::config::toml_text;

/// What is to be added.
pub(super) struct New {
    pub(super) name: String,
    pub(super) url: Option<String>,
    pub(super) program: Vec<String>,
    pub(super) env: Vec<String>,
    pub(super) headers: Vec<String>,
}

/// Which file, and whether it is written.
pub(super) struct How {
    pub(super) config: Option<PathBuf>,
    pub(super) dry_run: bool,
}

pub(super) fn add(new: &New, how: &How, globals: &Globals) -> Exit {
    let section = match section(new) {
        Ok(section) => section,
        Err(why) => return out::fail(Exit::Usage, &why, globals),
    };
    let edited = match Edited::open(how.config.as_deref(), globals) {
        Ok(edited) => edited,
        Err(exit) => return exit,
    };
    if toml::has(edited.text(), "servers", &new.name) {
        let text = format!(
            "`{}` has a server `{}` already; choose another name, or `braid remove {}` first",
            edited.path(),
            new.name,
            argv::line(&[&new.name])
        );
        return out::fail(Exit::BadConfig, &text, globals);
    }
    let changed = toml::with_section(edited.text(), "servers", &new.name, &section);
    finish(
        &edited,
        changed,
        &Done { server: &new.name, word: "added", copy: Backup::None, notes: Vec::new() },
        how,
        globals,
    )
}

pub(super) fn remove(name: &str, how: &How, globals: &Globals) -> Exit {
    let edited = match Edited::open(how.config.as_deref(), globals) {
        Ok(edited) => edited,
        Err(exit) => return exit,
    };
    let mut notes = Vec::new();
    let changed = known(&edited, name)
        .and_then(|()| toml::without_name(edited.text(), "groups", "servers", name))
        .and_then(|(text, groups)| {
            notes.extend(
                groups.iter().map(|group| format!("it was in the group `{group}` and is not any more")),
            );
            toml::without_section(&text, "servers", name)
        });
    finish(&edited, changed, &Done { server: name, word: "removed", copy: Backup::Kept, notes }, how, globals)
}

pub(super) fn enable(name: &str, enabled: bool, how: &How, globals: &Globals) -> Exit {
    let edited = match Edited::open(how.config.as_deref(), globals) {
        Ok(edited) => edited,
        Err(exit) => return exit,
    };
    let word = if enabled { "enabled" } else { "disabled" };
    let changed =
        known(&edited, name).and_then(|()| toml::with_enabled(edited.text(), "servers", name, enabled));
    let changed = changed.map(|text| text.unwrap_or_else(|| edited.text().to_owned()));
    finish(
        &edited,
        changed,
        &Done { server: name, word, copy: Backup::None, notes: Vec::new() },
        how,
        globals,
    )
}

/// A server that is not there is named with those that are.
fn known(edited: &Edited, name: &str) -> Result<(), EditError> {
    if toml::has(edited.text(), "servers", name) {
        return Ok(());
    }
    let names = toml::names(edited.text(), "servers");
    let there = match names.as_slice() {
        [] => "there is no server".to_owned(),
        names => format!(
            "there are {}",
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    Err(EditError::Unknown(format!("there is no server `{name}`; {there}")))
}

struct Done<'a> {
    server: &'a str,
    word: &'a str,
    copy: Backup,
    notes: Vec<String>,
}

/// Judges the new text, writes it unless it is only to be shown, and says what was done.
fn finish(
    edited: &Edited,
    changed: Result<String, EditError>,
    done: &Done<'_>,
    how: &How,
    globals: &Globals,
) -> Exit {
    let path = edited.path();
    let text = match changed {
        Ok(text) => text,
        Err(error) => return edited::refused(&path, &error, globals),
    };
    let same = edited.found.text.as_deref() == Some(text.as_str());
    let missing = match edited.judge(&text, globals) {
        Ok(missing) => missing,
        Err(exit) => return exit,
    };
    let writes = !how.dry_run && !same;
    let copied = writes && done.copy == Backup::Kept;
    if writes && let Err(exit) = edited.write(&text, done.copy, globals) {
        return exit;
    }
    let mut notes = done.notes.clone();
    notes.extend(missing.iter().map(|what| format!("the file does not load before this is mended: {what}")));
    if copied {
        notes.push(format!("the file of before is kept as `{}`", backup_of(&edited.found.path).display()));
    }
    if globals.json() {
        return out::print(&edited::outcome(&path, done.server, done.word, writes, &notes));
    }
    let (server, word) = (done.server, done.word);
    let printed = if how.dry_run {
        out::print(&changed_lines(&covered(edited.text()), &covered(&text)))
    } else if same {
        out::print(&format!("`{server}` is {word} already in {path}"))
    } else {
        out::print(&format!("{word} `{server}` in {path}"))
    };
    notes.iter().for_each(|note| out::warn(note, globals));
    printed
}

/// The lines that go and the lines that come, each with its sign.
fn changed_lines(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let most = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count().min(most);
    let mut text = String::new();
    for (sign, lines) in [('-', &old), ('+', &new)] {
        for line in lines.get(head..lines.len() - tail).unwrap_or_default() {
            text.push_str(format!("{sign} {line}").trim_end());
            text.push('\n');
        }
    }
    text
}

fn section(new: &New) -> Result<String, String> {
    let mut lines = format!("[servers.{}]\n", toml_text::key(&new.name));
    match (&new.url, new.program.split_first()) {
        (Some(_), Some(_)) => return Err("a server is a URL or a command behind `--`, not both".to_owned()),
        (None, None) => {
            return Err(
                "expected a URL, or `--` and a command: braid add files -- npx -y some-package".to_owned()
            );
        }
        (Some(url), None) => {
            if !new.env.is_empty() {
                return Err(
                    "a remote server has variables of its own; what it must be told goes into `--header`"
                        .to_owned(),
                );
            }
            lines.push_str(&format!("url = {}\n", toml_text::quoted(url)));
        }
        (None, Some((program, args))) => {
            if !new.headers.is_empty() {
                return Err("a program is sent no headers; what it must be told goes into `--env`".to_owned());
            }
            lines.push_str(&format!("command = {}\n", toml_text::quoted(program)));
            if !args.is_empty() {
                lines.push_str(&format!("args = {}\n", toml_text::list(args)));
            }
        }
    }
    let env = pairs(&new.env, '=', "NAME=value")?;
    let headers = pairs(&new.headers, ':', "Name: value")?;
    for (key, pairs) in [("env", env), ("headers", headers)] {
        if !pairs.is_empty() {
            lines.push_str(&format!("{key} = {}\n", toml_text::table(&pairs)));
        }
    }
    Ok(lines)
}

/// Names and values; a value may be a secret, so no error shows one.
fn pairs<'w>(words: &'w [String], between: char, form: &str) -> Result<Vec<(&'w str, &'w str)>, String> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let pair = word.split_once(between).map(|(name, value)| (name.trim(), value));
        let Some((name, value)) = pair.filter(|(name, _)| !name.is_empty()) else {
            return Err(format!("value {} is not `{form}`", index + 1));
        };
        if pairs.iter().any(|(earlier, _)| *earlier == name) {
            return Err(format!("`{name}` is given twice"));
        }
        pairs.push((name, if between == ':' { value.trim() } else { value }));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(url: Option<&str>, program: &[&str], env: &[&str], headers: &[&str]) -> New {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        New {
            name: "a b".to_owned(),
            url: url.map(str::to_owned),
            program: owned(program),
            env: owned(env),
            headers: owned(headers),
        }
    }

    #[test]
    fn a_section_says_what_was_typed() {
        assert_eq!(
            section(&new(None, &["npx", "-y", "x y"], &["A=b=c", "T=${T}"], &[])).unwrap(),
            "[servers.\"a b\"]\ncommand = \"npx\"\nargs = [\"-y\", \"x y\"]\nenv = { A = \"b=c\", T = \"${T}\" }\n"
        );
        assert_eq!(
            section(&new(Some("https://x/mcp"), &[], &[], &["Authorization: Bearer ${T}"])).unwrap(),
            "[servers.\"a b\"]\nurl = \"https://x/mcp\"\nheaders = { Authorization = \"Bearer ${T}\" }\n"
        );
    }

    #[test]
    fn what_was_typed_wrongly_is_said_without_its_value() {
        for (new, why) in [
            (new(None, &[], &[], &[]), "expected a URL, or"),
            (new(Some("https://x"), &["npx"], &[], &[]), "not both"),
            (new(None, &["npx"], &["s3cret"], &[]), "value 1 is not `NAME=value`"),
            (new(None, &["npx"], &["=s3cret"], &[]), "value 1 is not `NAME=value`"),
            (new(None, &["npx"], &["A=s3cret", "A=s3cret"], &[]), "`A` is given twice"),
            (new(Some("https://x"), &[], &[], &["s3cret"]), "value 1 is not `Name: value`"),
            (new(Some("https://x"), &[], &["A=s3cret"], &[]), "`--header`"),
            (new(None, &["npx"], &[], &["A: s3cret"]), "`--env`"),
        ] {
            let said = section(&new).unwrap_err();
            assert!(said.contains(why) && !said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn only_lines_that_change_are_shown() {
        assert_eq!(changed_lines("a\nb\nc\n", "a\nx\nc\n"), "- b\n+ x\n");
        assert_eq!(changed_lines("a\na\n", "a\na\na\n"), "+ a\n");
        assert_eq!(changed_lines("a\n", "a\n"), "");
    }
}
