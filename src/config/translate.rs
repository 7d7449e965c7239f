//! A text of a client's file in the words of `braid.toml`: references stay references, and mean the same.
//!
//! What only the client's own file knows (its folder) becomes plain text, what only a person knows (an input)
//! a variable. It looks up nothing but whether a variable is set, and no value of a variable is in what it makes.

use super::codes::Code;
use super::variables::{
    Dialect, Fault, Variables, closing_brace, dollar_name, input_variable, is_env_name, is_plain_name,
};

/// What a text is made of.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Plain(String),
    Reference(String),
}

/// Defaults inside of defaults inside of defaults.
const DEPTH_MAX: usize = 8;

/// The text as `braid.toml` would write it, or which of its references it cannot.
pub(super) fn text(variables: &Variables<'_>, text: &str) -> Result<String, Vec<Fault>> {
    let mut pieces = Pieces(Vec::new());
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (plain, tail) = rest.split_at(dollar);
        pieces.plain(plain);
        if tail.starts_with("${") {
            let Some(end) = closing_brace(tail) else {
                faults.push(unreadable(tail, "reference without a closing `}`"));
                break;
            };
            let (reference, after) = tail.split_at(end + 1);
            match piece(variables, reference, 0) {
                Ok(Piece::Plain(text)) => pieces.plain(&text),
                Ok(reference) => pieces.0.push(reference),
                Err(fault) => faults.push(fault),
            }
            rest = after;
        } else {
            let name = dollar_name(tail);
            if variables.dialect == Dialect::Dollar && !name.is_empty() {
                // Such a name stays as it is written where it is not set.
                let set = (variables.surroundings.env)(name).is_some();
                let reference = if set { format!("${{{name}}}") } else { format!("${{{name}:-${name}}}") };
                pieces.0.push(Piece::Reference(reference));
                rest = tail.get(1 + name.len()..).unwrap_or_default();
            } else {
                pieces.plain("$");
                rest = tail.get(1..).unwrap_or_default();
            }
        }
    }
    pieces.plain(rest);
    if faults.is_empty() { Ok(pieces.written()) } else { Err(faults) }
}

/// A text that is nothing but itself, as `braid.toml` would write it.
pub fn plain(text: &str) -> String {
    text.replace("${", "$${")
}

/// The reference that an input becomes.
pub(super) fn input(id: &str, default: Option<&str>) -> String {
    let name = input_variable(id);
    default.map_or_else(|| format!("${{{name}}}"), |default| format!("${{{name}:-{}}}", plain(default)))
}

fn piece(variables: &Variables<'_>, reference: &str, depth: usize) -> Result<Piece, Fault> {
    let inner = reference.strip_prefix("${").and_then(|inner| inner.strip_suffix('}')).unwrap_or_default();
    let path = |path: Option<&str>| {
        path.map(|text| Piece::Plain(text.to_owned()))
            .ok_or_else(|| unreadable(reference, "the folder's name is no text"))
    };
    match inner {
        "userHome" | "cwd" | "/" | "pathSeparator" => return Ok(Piece::Reference(reference.to_owned())),
        "workspaceFolder" => return path(variables.folder.to_str()),
        "workspaceFolderBasename" => {
            return path(variables.folder.file_name().and_then(|name| name.to_str()));
        }
        _ => {}
    }
    if let Some(file) = inner.strip_prefix("file:") {
        let whole = variables.path(file);
        let whole = whole.to_str().filter(|whole| !file.is_empty() && !whole.contains(['}', '\0']));
        let whole = whole.ok_or_else(|| unreadable(reference, "`${file:…}` needs a path"))?;
        return Ok(Piece::Reference(format!("${{file:{whole}}}")));
    }
    if let Some(id) = inner.strip_prefix("input:") {
        let default = variables.inputs.get(id).map(String::as_str).filter(|text| !text.contains(['{', '}']));
        return Ok(Piece::Reference(input(id, default)));
    }
    let (named, default) =
        inner.split_once(":-").map_or((inner, None), |(named, default)| (named, Some(default)));
    let known = named.strip_prefix("env:").is_some_and(is_env_name) || is_plain_name(named);
    if !known || depth > DEPTH_MAX {
        return Err(unreadable(reference, "reference that cannot be read"));
    }
    let Some(default) = default.filter(|default| default.contains('$')) else {
        return Ok(Piece::Reference(reference.to_owned()));
    };
    let default = text_to_depth(variables, default, depth + 1)?;
    Ok(Piece::Reference(format!("${{{named}:-{default}}}")))
}

fn text_to_depth(variables: &Variables<'_>, default: &str, depth: usize) -> Result<String, Fault> {
    let deep = default.match_indices("${").count() > DEPTH_MAX;
    if deep || depth > DEPTH_MAX {
        return Err(unreadable(default, "reference that cannot be read"));
    }
    text(variables, default).map_err(|faults| {
        faults.into_iter().next().unwrap_or_else(|| unreadable(default, "reference that cannot be read"))
    })
}

fn unreadable(reference: &str, message: &str) -> Fault {
    Fault {
        reference: reference.to_owned(),
        code: Code::BadReference,
        message: message.to_owned(),
        help: None,
    }
}

struct Pieces(Vec<Piece>);

impl Pieces {
    fn plain(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Plain(before)) => before.push_str(text),
            Some(Piece::Reference(_)) | None if text.is_empty() => {}
            Some(Piece::Reference(_)) | None => self.0.push(Piece::Plain(text.to_owned())),
        }
    }

    fn written(&self) -> String {
        let mut written = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => written.push_str(&plain(text)),
                Piece::Reference(reference) => {
                    // `$` before a reference would make it plain text.
                    let signs = written.len() - written.trim_end_matches('$').len();
                    if signs > 0 {
                        written.truncate(written.len() - signs);
                        written.push_str(&format!("${{_DOLLAR:-{}}}", "$".repeat(signs)));
                    }
                    written.push_str(reference);
                }
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::variables::{Purpose, Surroundings};
    use std::collections::BTreeMap;
    use std::path::Path;

    fn env(name: &str) -> Option<String> {
        let value = match name {
            "A" => "a",
            "HOME" => "/home/ana",
            "MCP_INPUT_KEY" => "asked",
            "ProgramFiles(x86)" => "p",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn with<T>(dialect: Dialect, folder: &str, f: impl FnOnce(&Variables<'_>) -> T) -> T {
        let surroundings = Surroundings {
            env: &env,
            program: None,
            current_folder: Some("/cwd".into()),
            files: Default::default(),
        };
        let inputs = BTreeMap::from([("region".to_owned(), "eu".to_owned())]);
        f(&Variables {
            surroundings: &surroundings,
            folder: Path::new(folder),
            dialect,
            purpose: Purpose::Run,
            inputs,
        })
    }

    fn translated(dialect: Dialect, written: &str) -> String {
        with(dialect, "/p", |variables| text(variables, written)).unwrap()
    }

    #[test]
    fn references_stay_references() {
        for (written, ours) in [
            ("plain $5 $A", "plain $5 $A"),
            ("Bearer ${A}", "Bearer ${A}"),
            ("${env:A}${NO:-d}", "${env:A}${NO:-d}"),
            ("${workspaceFolder}/x ${workspaceFolderBasename}", "/p/x p"),
            ("${userHome}${/}x", "${userHome}${/}x"),
            ("${input:api-key}", "${MCP_INPUT_API_KEY}"),
            ("${input:region}", "${MCP_INPUT_REGION:-eu}"),
            ("${file:token}", "${file:/p/token}"),
            ("${NO:-${workspaceFolder}}", "${NO:-/p}"),
            ("$${A}", "${_DOLLAR:-$}${A}"),
            ("$$${A}", "${_DOLLAR:-$$}${A}"),
        ] {
            assert_eq!(translated(Dialect::Client, written), ours, "{written}");
        }
        assert_eq!(translated(Dialect::Dollar, "$A-$NO-${A}-$1"), "${A}-${NO:-$NO}-${A}-$1");
    }

    #[test]
    fn what_braid_has_no_word_for_is_said() {
        for written in ["${command:x}", "${A", "${}", "${NO:-${command:x}}"] {
            assert!(with(Dialect::Client, "/p", |variables| text(variables, written)).is_err(), "{written}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        #[test]
        fn a_translated_text_says_the_same(
            written in "([a$ ]|\\$\\{A\\}|\\$\\{env:A\\}|\\$\\{NO:-b\\$\\}|\\$A|\\$NO|\\$\\{workspaceFolder\\}|\\$\\{userHome\\}|\\$\\{NO:-\\$\\{A\\}\\}){0,8}",
            odd in proptest::bool::ANY,
            dollar in proptest::bool::ANY,
        ) {
            let dialect = if dollar { Dialect::Dollar } else { Dialect::Client };
            // A folder may be called anything.
            let folder = if odd { "/p${A}$" } else { "/p" };
            let (said, ours) = with(dialect, folder, |variables| (variables.expand(&written), text(variables, &written)));
            let (Ok(said), Ok(ours)) = (said, ours) else { return Ok(()) };
            let again = with(Dialect::Braid, "/elsewhere", |variables| variables.expand(&ours)).unwrap();
            proptest::prop_assert_eq!(again.text, said.text, "{} became {}", written, ours);
        }
    }
}
