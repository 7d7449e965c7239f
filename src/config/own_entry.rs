//! Our own entry in a client's file: put in, and taken out so that nothing of it is left.
//!
//! If nothing else was changed meanwhile, what comes back is the text from before, byte for byte: it is recognised by
//! putting the entry into it once more. Otherwise our entry alone goes. Text to text; whose entry it is, is judged
//! before anything is taken out.

use std::path::Path;

use super::app::{App, OwnEntry, Syntax};
use super::edit::json::{self, Json};
use super::edit::{EditError, toml};
use super::tree::{Node, Value};
use super::{file, ourselves, toml_text};

/// What a client's file says under the name of our entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// An entry that starts Braid, or that has a URL.
    Ours,
    /// An entry that starts something else.
    Others,
    /// None; the names of entries that start Braid all the same.
    None(Vec<String>),
}

/// What is left of a file without our entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// The text of before, byte for byte.
    Before(String),
    /// The file holds nothing but our entry, as it is written where there was no file.
    Nothing,
    /// Something else was changed meanwhile and stays.
    Rest(String),
}

/// Looks for our entry.
pub fn standing(app: App, text: &str, name: &str, own: Option<&Path>) -> Result<Standing, EditError> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = tree(app, body)?;
    let entries = root.get(app.table()).map(|entry| entry.node.entries()).unwrap_or_default();
    let named = entries.iter().rev().find(|entry| entry.key == name);
    Ok(match named {
        Some(entry) if has_url(&entry.node) || starts_braid(&entry.node, own) => Standing::Ours,
        Some(_) => Standing::Others,
        None => {
            let ours = entries.iter().filter(|entry| starts_braid(&entry.node, own));
            Standing::None(ours.map(|entry| entry.key.clone()).collect())
        }
    })
}

/// The text with our entry, whatever stood under its name. `old`: `None` for no file.
pub fn installed(app: App, old: Option<&str>, name: &str, entry: &OwnEntry) -> Result<String, EditError> {
    let old = old.unwrap_or_default();
    match entry {
        OwnEntry::Json(json) => json::put(old, &[app.table(), name], json),
        OwnEntry::Toml(lines) => toml::put_section(old, app.table(), name, &section(app, name, lines)),
    }
}

/// The entry alone, as a file would have it.
pub fn shown(app: App, name: &str, entry: &OwnEntry) -> String {
    match entry {
        OwnEntry::Json(json) => {
            let entry = Json::Object(vec![(name.to_owned(), json.clone())]);
            json::page(&Json::Object(vec![(app.table().to_owned(), entry)]))
        }
        OwnEntry::Toml(lines) => section(app, name, lines),
    }
}

/// The text without our entry. `before`: what is kept of the time before, if anything.
pub fn uninstalled(app: App, now: &str, before: Option<&str>, name: &str) -> Result<Left, EditError> {
    let again = |old: Option<&str>| match app.syntax() {
        Syntax::Toml => {
            let section = toml::section(now, app.table(), name)?;
            toml::with_section(old.unwrap_or_default(), app.table(), name, &section).ok()
        }
        Syntax::Json => {
            let path = [app.table(), name];
            let empty = json::put(old.unwrap_or_default(), &path, &Json::Object(Vec::new())).ok()?;
            json::put_written(&empty, &path, json::written(now, &path)?)
        }
    };
    let had_none = |text: &str| matches!(standing(app, text, name, None), Ok(Standing::None(_)));
    if let Some(before) =
        before.filter(|before| had_none(before) && again(Some(before)).as_deref() == Some(now))
    {
        return Ok(Left::Before(before.to_owned()));
    }
    if again(None).as_deref() == Some(now) {
        return Ok(Left::Nothing);
    }
    let rest = match app.syntax() {
        Syntax::Toml => toml::without_section(now, app.table(), name)?,
        Syntax::Json => json::take(now, &[app.table(), name])?,
    };
    Ok(Left::Rest(rest))
}

fn section(app: App, name: &str, lines: &str) -> String {
    format!("[{}.{}]\n{lines}", app.table(), toml_text::key(name))
}

fn tree(app: App, text: &str) -> Result<Node, EditError> {
    let origin = match app.syntax() {
        Syntax::Toml => "config.toml",
        Syntax::Json => "x.json",
    };
    file::parsed(text, origin).map_err(|report| {
        let place = report.problems.first().and_then(super::problem::Problem::place);
        EditError::Syntax { line: place.map_or(1, |place| place.0), why: report.headline().to_owned() }
    })
}

fn has_url(node: &Node) -> bool {
    ["url", "serverUrl", "httpUrl"].iter().any(|key| node.get(key).is_some()) && node.get("command").is_none()
}

fn starts_braid(node: &Node, own: Option<&Path>) -> bool {
    let text = |node: &Node| match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(_)
        | Value::Number(_)
        | Value::Flag(_)
        | Value::Date
        | Value::Null
        | Value::List(_)
        | Value::Table(_) => None,
    };
    let Some(program) = node.get("command").and_then(|entry| text(&entry.node)) else { return false };
    let args: Vec<String> = match node.get("args").map(|entry| &entry.node.value) {
        Some(Value::List(items)) => items.iter().filter_map(text).collect(),
        Some(_) | None => Vec::new(),
    };
    ourselves::starts_braid(&program, &args, own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::app::Reached;

    fn entry(app: App) -> OwnEntry {
        let args = vec!["stdio".to_owned(), "-c".to_owned(), "/b.toml".to_owned()];
        app.entry(&Reached::Program { program: "/usr/bin/braid".to_owned(), args }).unwrap()
    }

    /// Files that people have, in the form of each client.
    fn files(app: App) -> Vec<String> {
        if app == App::Codex {
            let mut files: Vec<String> = [
                "",
                "\n",
                "model = \"o9\"",
                "# mine\nmodel = \"o9\" # the best\n\n[mcp_servers.docs]\ncommand = \"npx\"\nargs = [\n\t\"-y\", # yes\n\t\"docs\",\n]\n#cwd = \".\"\n\n# end\n[tui]\n# none\n",
                "mcp_servers.docs.command = \"npx\"\n",
                "[mcp_servers]\ndocs = { command = \"npx\" }\n",
            ]
            .map(str::to_owned)
            .to_vec();
            files.extend(files.clone().iter().map(|text| text.replace('\n', "\r\n")));
            files.extend(files.clone().iter().map(|text| format!("\u{feff}{text}")));
            return files;
        }
        let table = app.table();
        let mut files: Vec<String> = [
            "",
            "\n",
            "// nothing yet\n",
            "{}",
            "{}\n",
            "{ }",
            "{\n}\n",
            "{\"TABLE\":{}}",
            "{\"TABLE\":{\"a\":{\"command\":\"x\"}},\"z\":[1,2]}",
            "{\n  \"TABLE\": {}\n}",
            "{\n\t\"theme\": \"dark\", // night\n\t\"TABLE\": {\n\t\t// the first\n\t\t\"a\": { \"command\": \"x\" }, // a\n\t\t/* b, } */\n\t\t\"b\": {\n\t\t\t\"command\": \"y\",\n\t\t},\n\t},\n}\n",
            "{\n    \"TABLE\": {\n        \"a\": {}\n    },\n    \"z\": null // last\n}",
            "/* top */ {\n  \"z\": \"TABLE\"\n  // end\n}\n// behind\n",
        ]
        .map(|text| text.replace("TABLE", table))
        .to_vec();
        files.extend(files.clone().iter().map(|text| text.replace('\n', "\r\n")));
        files.extend(files.clone().iter().map(|text| format!("\u{feff}{text}")));
        files
    }

    #[test]
    fn what_was_there_before_comes_back_byte_for_byte() {
        for app in App::ALL {
            for before in files(app) {
                let now = installed(app, Some(&before), "braid", &entry(app))
                    .unwrap_or_else(|why| panic!("{before:?}: {why}"));
                assert_eq!(standing(app, &now, "braid", None), Ok(Standing::Ours));
                let left = uninstalled(app, &now, Some(&before), "braid").unwrap();
                assert_eq!(left, Left::Before(before.clone()), "{}: {now:?}", app.name());
                // Put in once more it is as it was.
                assert_eq!(
                    installed(app, Some(&now), "braid", &entry(app)).as_ref(),
                    Ok(&now),
                    "{}: {before:?}",
                    app.name()
                );
            }
            let now = installed(app, None, "braid", &entry(app)).unwrap();
            assert_eq!(uninstalled(app, &now, None, "braid"), Ok(Left::Nothing));
            assert_eq!(now.trim(), shown(app, "braid", &entry(app)).trim());
        }
    }

    #[test]
    fn what_was_changed_meanwhile_stays() {
        for app in App::ALL {
            for before in
                files(app).into_iter().filter(|before| before.contains("docs") || before.contains("\"x\""))
            {
                let now = installed(app, Some(&before), "braid", &entry(app)).unwrap();
                let (old, new) = if app == App::Codex { ("npx", "uvx") } else { ("\"x\"", "\"changed\"") };
                let changed = now.replace(old, new);
                let left = uninstalled(app, &changed, Some(&before), "braid").unwrap();
                let Left::Rest(rest) = left else { panic!("{left:?}") };
                assert_eq!(rest.trim_end(), before.replace(old, new).trim_end(), "{}", app.name());
            }
        }
    }

    #[test]
    fn an_entry_that_was_changed_by_its_user_goes_as_well() {
        let before = "{\n  \"mcpServers\": {\n    \"a\": {}\n  }\n}\n";
        let now = installed(App::Cursor, Some(before), "braid", &entry(App::Cursor)).unwrap();
        let changed = now.replace("\"-c\"", "\"--group\", \"g\", \"-c\"");
        assert_eq!(
            uninstalled(App::Cursor, &changed, Some(before), "braid"),
            Ok(Left::Before(before.to_owned()))
        );
    }

    #[test]
    fn an_older_entry_of_ours_in_the_copy_does_not_come_back() {
        let old = "{\"mcpServers\": {\"braid\": {\"command\": \"braid\"}}}";
        let now = installed(App::Cursor, Some(old), "braid", &entry(App::Cursor)).unwrap();
        let left = uninstalled(App::Cursor, &now, Some(old), "braid").unwrap();
        assert_eq!(left, Left::Rest("{\"mcpServers\": {}}".to_owned()));
    }

    #[test]
    fn another_programs_entry_is_not_ours() {
        let text = r#"{"mcpServers": {"braid": {"command": "npx", "args": ["x"]}, "mine": {"command": "/opt/braid", "args": ["stdio"]}, "far": {"url": "http://x"}}}"#;
        let of = |name: &str| standing(App::Cursor, text, name, None).unwrap();
        assert_eq!(of("braid"), Standing::Others);
        assert_eq!((of("mine"), of("far")), (Standing::Ours, Standing::Ours));
        assert_eq!(of("none"), Standing::None(vec!["mine".to_owned()]));
        assert!(matches!(
            standing(App::Codex, "a = \n", "braid", None),
            Err(EditError::Syntax { line: 1, .. })
        ));
    }
}
