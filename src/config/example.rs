//! The example file: every key with its default, made from the schema.
//!
//! `config.example.toml` at the top of the source is this text, and a test keeps it so. Lines that begin with
//! `#` and a key are options to uncomment; `# ` begins prose.

use super::schema::{self, Form, Kind, Setting, State};

/// The example as it is checked in.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");

/// The two servers that run anywhere, because they are in the program itself.
const DEMOS: [&str; 2] = ["notes", "workshop"];
/// A tool whose name shows what stands there.
const TOOL: &str = "some_tool";
/// Who holds a token, and where its token stands.
const HOLDER: &str = "alice";
const HOLDERS_TOKEN: &str = "\"${ALICE_TOKEN}\"";
/// What is shown of remote servers and of groups; the former needs somebody's server and stays a comment.
const REMOTE: &str = "remote";
const REMOTE_URL: &str = "https://mcp.example.com/mcp";
const GROUP: &str = "demo";
const RULE: &str = "everybody";
/// Where comments begin, when the line leaves room.
const COMMENT_COLUMN: usize = 40;

/// Writes the example.
pub fn write() -> String {
    let mut text = String::from(
        "# braid.toml: every option with its default. `#key = …` is an option to uncomment, `# …` is prose.\n\
         # `braid config example` prints this file. As it stands, it runs two demo servers:\n\
         #\n\
         #     braid config example > braid.toml && braid check\n\
         #\n\
         # In texts of servers, tokens, secrets and paths: ${NAME} and ${NAME:-default} are environment variables,\n\
         # ${env:NAME} the same for odd names, ${file:PATH} is the content of a file, ${userHome} your home folder, ${cwd}\n\
         # the folder that Braid was started in, ${braid} Braid itself, and $${ the two characters ${. Relative paths start\n\
         # from this file's folder.\n",
    );
    for setting in schema::children("").filter(|setting| setting.state == State::Here) {
        match setting.form {
            Form::Section => {
                text.push_str(&format!("\n# {}\n[{}]\n", setting.doc, setting.path));
                options(&mut text, setting.path, "");
            }
            Form::Named if setting.path == "groups" => group(&mut text),
            Form::Named if setting.path == "access" => rule(&mut text),
            Form::Named => servers(&mut text),
            Form::Flag
            | Form::Text(_)
            | Form::Texts(_)
            | Form::Variables
            | Form::Headers
            | Form::Values
            | Form::Word(_)
            | Form::Count { .. }
            | Form::Size { .. }
            | Form::Time { .. }
            | Form::Rate => {
                text.push('\n');
                option(&mut text, "", setting, "");
            }
        }
    }
    text
}

fn servers(text: &mut String) {
    for (index, demo) in DEMOS.iter().enumerate() {
        let doc =
            if index == 0 { "the servers, each with a name of your choice" } else { "as short as it gets" };
        text.push_str(&format!("\n# {doc}\n[servers.{demo}]\n"));
        let comment = if index == 0 {
            schema::setting("servers.*.command").map_or("", |setting| setting.doc)
        } else {
            ""
        };
        line(text, "command = \"${braid}\"", comment);
        line(
            text,
            &format!("args = [\"demo-server\", \"{demo}\"]"),
            if index == 0 { "its arguments; no shell is involved" } else { "" },
        );
        if index == 0 {
            options(text, "servers.*", "");
        }
    }
    text.push_str(&format!("\n# a remote server; it has the options of [servers.notes] too, but for those of a program\n#[servers.{REMOTE}]\n"));
    for setting in schema::children("servers.*").filter(|setting| setting.kind() == Kind::Remote) {
        match setting.default {
            Some(_) => option(text, "#", setting, ""),
            None if setting.form == Form::Section => {
                options(text, setting.path, &format!("{}.", setting.key()))
            }
            None => line(text, &format!("#{} = \"{REMOTE_URL}\"", setting.key()), setting.doc),
        }
    }
}

fn group(text: &mut String) {
    let doc = schema::setting("groups").map_or("", |setting| setting.doc);
    text.push_str(&format!("\n# {doc}\n#[groups.{GROUP}]\n"));
    for setting in schema::children("groups.*").filter(|setting| setting.default.is_none()) {
        if setting.form != Form::Section {
            line(text, &format!("#{} = {DEMOS:?}", setting.key()), setting.doc);
        }
    }
    options(text, "groups.*", "");
}

fn rule(text: &mut String) {
    let doc = schema::setting("access").map_or("", |setting| setting.doc);
    text.push_str(&format!("\n# {doc}\n#[access.{RULE}]\n"));
    options(text, "access.*", "");
}

/// The options below a path, with sections inside of it as dotted keys, so that each line stands for itself.
fn options(text: &mut String, path: &str, dotted: &str) {
    let shown = |setting: &&Setting| setting.state == State::Here && setting.kind() != Kind::Remote;
    for setting in schema::children(path).filter(shown) {
        match setting.form {
            Form::Section => options(text, setting.path, &format!("{dotted}{}.", setting.key())),
            Form::Named => {
                let name = if setting.path == "listen.tokens" { HOLDER } else { TOOL };
                options(text, &format!("{}.*", setting.path), &format!("{dotted}{}.{name}.", setting.key()))
            }
            Form::Flag
            | Form::Text(_)
            | Form::Texts(_)
            | Form::Variables
            | Form::Headers
            | Form::Values
            | Form::Word(_)
            | Form::Count { .. }
            | Form::Size { .. }
            | Form::Time { .. }
            | Form::Rate => option(text, "#", setting, dotted),
        }
    }
}

fn option(text: &mut String, mark: &str, setting: &Setting, dotted: &str) {
    // `command` and `args` are written out for the demo servers.
    let default = match setting.path {
        "servers.*.args" => None,
        "listen.tokens.*.token" => Some(HOLDERS_TOKEN),
        _ => setting.default,
    };
    let Some(default) = default else { return };
    line(text, &format!("{mark}{dotted}{} = {default}", setting.key()), setting.doc);
}

fn line(text: &mut String, code: &str, comment: &str) {
    if comment.is_empty() {
        text.push_str(&format!("{code}\n"));
    } else {
        text.push_str(&format!("{code:COMMENT_COLUMN$} # {comment}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::{Loaded, from_text_with};
    use crate::config::variables::{Purpose, Surroundings};
    use crate::config::{AccessRule, Command, Config, Group, Reach, Remote, ServerConfig, ToolConfig};
    use std::path::{Path, PathBuf};

    const ALICE_TOKEN: &str = "a-token-that-only-this-test-knows";

    fn read(text: &str) -> Loaded {
        let surroundings = Surroundings {
            env: &|name| (name == "ALICE_TOKEN").then(|| ALICE_TOKEN.to_owned()),
            program: Some(PathBuf::from("/opt/braid")),
            current_folder: None,
            files: Default::default(),
        };
        from_text_with(text, "braid.toml", Path::new("/f"), &surroundings, Purpose::Run)
            .unwrap_or_else(|report| panic!("{}", report.render(false)))
    }

    fn demo(name: &str) -> ServerConfig {
        let args = vec!["demo-server".to_owned(), name.to_owned()];
        let command = Command { args, ..Command::new("/opt/braid", Path::new("/f")) };
        ServerConfig::new(name, Reach::Stdio(command))
    }

    #[test]
    fn the_file_is_what_the_schema_writes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
        if std::env::var_os("BRAID_WRITE_EXAMPLE").is_some() {
            std::fs::write(&path, write()).unwrap();
        }
        let file = std::fs::read_to_string(&path).unwrap();
        assert!(file == write(), "run this test with BRAID_WRITE_EXAMPLE=1 to write the example anew");
    }

    #[test]
    fn as_it_stands_it_is_the_defaults_and_two_demo_servers() {
        let loaded = read(EXAMPLE);
        assert_eq!(loaded.warnings, []);
        let mut expected = Config::new("braid.toml", Path::new("/f"));
        expected.servers = vec![demo("notes"), demo("workshop")];
        assert_eq!(loaded.config, expected);
    }

    /// The example with each option uncommented.
    fn uncommented() -> String {
        let lines = EXAMPLE.lines().map(|line| {
            line.strip_prefix('#')
                .filter(|rest| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()))
                .unwrap_or(line)
        });
        lines.map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn with_every_option_uncommented_it_says_the_same() {
        let loaded = read(&uncommented());
        assert_eq!(loaded.warnings, []);
        let mut config = loaded.config;
        // A tool that is named has an entry; what the entry says is what holds without it.
        let tools = std::mem::take(&mut config.servers[0].tools);
        assert_eq!(tools[TOOL].call, Some(config.servers[0].timeouts.call));
        assert_eq!(tools[TOOL].call_max, config.servers[0].timeouts.call_max);
        assert_eq!(
            tools[TOOL],
            ToolConfig {
                call: tools[TOOL].call,
                call_max: tools[TOOL].call_max,
                result_bytes_max: Some(0),
                ..ToolConfig::default()
            }
        );
        // So it is with a remote server and a group.
        let remote = config.servers.pop().unwrap();
        assert_eq!(remote, ServerConfig::new(REMOTE, Reach::Http(Remote::new(REMOTE_URL))));
        let group = config.groups.pop().unwrap();
        assert_eq!(group, Group::new(GROUP, DEMOS.map(str::to_owned).to_vec()));
        let holder = config.listen.tokens.pop().unwrap();
        assert_eq!((holder.name.as_str(), holder.token.expose()), (HOLDER, ALICE_TOKEN));
        assert_eq!(holder.scopes, Vec::<String>::new());
        assert_eq!(config.access.pop().unwrap(), AccessRule::new(RULE));
        assert_eq!(config, read(EXAMPLE).config);
    }

    #[test]
    fn every_option_stands_in_it_with_a_comment() {
        let mut options = 0;
        for setting in schema::SETTINGS.iter().filter(|setting| setting.state == State::Here) {
            if matches!(setting.form, Form::Section | Form::Named) {
                continue;
            }
            options += 1;
            // From the section that has a header down to the key.
            let below = setting.path.replace("tool.*", &format!("tool.{TOOL}"));
            let below = below.replace("tokens.*", &format!("tokens.{HOLDER}"));
            let below = below
                .strip_prefix("servers.*.")
                .or_else(|| below.strip_prefix("groups.*."))
                .or_else(|| below.strip_prefix("access.*."))
                .or_else(|| below.split_once('.').map(|(_, key)| key))
                .unwrap_or(&below)
                .to_owned();
            let found = EXAMPLE.lines().find(|line| {
                let line = line.trim_start_matches('#');
                line.starts_with(&format!("{below} = ")) && line.contains(" # ")
            });
            assert!(found.is_some(), "{} is missing", setting.path);
        }
        assert!(options > 60);
    }

    #[test]
    fn its_lines_are_not_too_long() {
        for line in EXAMPLE.lines() {
            assert!(line.chars().count() <= 130, "{line}");
        }
    }
}
