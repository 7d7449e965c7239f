//! `docs/configuration.md` and `docs/errors.md`: what the schema and the codes say, as pages.
//!
//! With BRAID_WRITE_DOCS set they are written, else compared.

use mcp_braid::config::Rate;
use mcp_braid::config::codes::Code;
use mcp_braid::config::schema::{Form, SETTINGS, Setting, State};
use mcp_braid::config::units::{duration_text, size_text};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

#[test]
fn the_reference_is_what_the_schema_says() {
    is_page("configuration.md", &configuration());
}

#[test]
fn every_code_has_its_place_in_the_pages() {
    is_page("errors.md", &errors());
}

fn is_page(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("BRAID_WRITE_DOCS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differing = found.lines().zip(text.lines()).find(|(found, made)| found != made);
    assert!(
        found == text,
        "docs/{name} is not what is made of the sources; BRAID_WRITE_DOCS=1 writes it: {differing:?}"
    );
}

fn configuration() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Every key of `braid.toml`, made of the schema that the file is checked by. `braid config example` prints the same as a file, `braid \
         config schema` as a JSON Schema for editors. NAME and TOOL stand for names of yours. Times and sizes are texts with a unit: `\"90s\"`, \
         `\"16MiB\"`.\n",
    );
    let here = || SETTINGS.iter().filter(|setting| setting.state == State::Here);
    let is_group = |setting: &&Setting| matches!(setting.form, Form::Section | Form::Named);
    let alone: Vec<&Setting> = here().filter(|s| !s.path.contains('.') && !is_group(s)).collect();
    table(&mut text, "", &alone);
    for section in here().filter(|setting| matches!(setting.form, Form::Section | Form::Named)) {
        let is_in = |setting: &&Setting| parent(setting) == Some(section.path) && !is_group(setting);
        let keys: Vec<&Setting> = here().filter(is_in).collect();
        if keys.is_empty() {
            continue;
        }
        write!(text, "\n## `[{}]`\n\n{}.\n", named(section.path), capital(section.doc)).unwrap();
        table(&mut text, section.path, &keys);
    }
    text
}

fn parent(setting: &Setting) -> Option<&'static str> {
    setting.path.rsplit_once('.').map(|(parent, _)| parent)
}

fn table(text: &mut String, section: &str, keys: &[&Setting]) {
    text.push_str("\n| key | takes | default | what it is |\n|---|---|---|---|\n");
    for key in keys {
        let name = key.path.strip_prefix(section).unwrap_or(key.path).trim_start_matches('.');
        let default = key.default.map_or_else(String::new, |default| format!("`{default}`"));
        let row = [format!("`{}`", named(name)), takes(key.form), default, key.doc.to_owned()];
        writeln!(text, "| {} |", row.map(|cell| cell.replace('|', "\\|")).join(" | ")).unwrap();
    }
}

fn named(path: &str) -> String {
    let path = path.replace("servers.*.tool.*", "servers.NAME.tool.TOOL");
    path.replace('*', "NAME")
}

fn takes(form: Form) -> String {
    match form {
        Form::Section | Form::Named => "a table".to_owned(),
        Form::Flag => "`true`, `false`".to_owned(),
        Form::Text(_) => "text".to_owned(),
        Form::Texts(_) => "a list of texts".to_owned(),
        Form::Variables | Form::Headers => "a table of texts".to_owned(),
        Form::Values => "a table".to_owned(),
        Form::Word(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
        Form::Count { min, max } => format!("a number, {min} to {max}"),
        Form::Size { min, max } => format!("a size, {} to {}", size_text(min), size_text(max)),
        Form::Rate => format!("a rate, 1 to {} in `s`, `min`, `hour` or `day`, or `\"0\"`", Rate::COUNT_MAX),
        Form::Time { min_ms, max_ms, off } => {
            let time = |ms| duration_text(Duration::from_millis(ms));
            let off = if off { ", or `\"0\"`" } else { "" };
            format!("a time, {} to {}{off}", time(min_ms), time(max_ms))
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn errors() -> String {
    let mut text = String::from(
        "# Codes\n\n\
         What `braid explain CODE` says, of every code. The letter says where to look: C configuration, S starting and losing a server, H HTTP, \
         A authorization, N names, T time, P protocol, L limits.\n\n",
    );
    for code in Code::ALL {
        writeln!(text, "- [{code}](#{}): {}", code.id().to_lowercase(), code.title()).unwrap();
    }
    for code in Code::ALL {
        write!(text, "\n## {code}\n\n**{}.** {}\n", capital(code.title()), code.help()).unwrap();
    }
    text
}
