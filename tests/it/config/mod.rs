//! What people see when a configuration is wrong: every broken file and its rendering, side by side.
//!
//! Each file in `broken` must be refused, each in `odd` must load with warnings. What is printed is compared
//! with the snapshot of the same name.

#![expect(clippy::unwrap_used, reason = "a test that panics says so")]

mod listeners;
mod reference;

use std::fs;
use std::path::{Path, PathBuf};

use mcp_braid::config::codes::Code;
use mcp_braid::config::edit::{json, toml};
use mcp_braid::config::file::{self, Loaded};
use mcp_braid::config::import::{self, Origin, Target};
use mcp_braid::config::places::Scope;
use mcp_braid::config::problem::{PROBLEMS_MAX, Problem, Report};
use mcp_braid::config::variables::{Purpose, Surroundings};

/// Stands for everything that is secret in these files and in the environment.
const CANARY: &str = "canary";

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/it/config").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn read(path: &Path) -> Result<Loaded, Report> {
    let env = |name: &str| match name {
        "CANARY" => Some("sk-canary!".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let surroundings =
        Surroundings { env: &env, program: None, current_folder: None, files: Default::default() };
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    file::from_text_with(&text, name, path.parent().unwrap(), &surroundings, Purpose::Run)
}

fn matches_snapshot(path: &Path, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn every_broken_file_says_what_is_wrong_with_it() {
    let files = files("broken");
    assert!(files.len() >= 45);
    for path in files {
        let Err(report) = read(&path) else { panic!("{} is not refused", path.display()) };
        matches_snapshot(&path, &report.render(false));
    }
}

#[test]
fn every_odd_file_loads_with_warnings() {
    for path in files("odd") {
        let loaded = read(&path).unwrap_or_else(|report| panic!("{}", report.render(false)));
        assert!(!loaded.warnings.is_empty(), "{}", path.display());
        let text: Vec<_> = loaded.warnings.iter().map(|warning| warning.render(false)).collect();
        matches_snapshot(&path, &text.join("\n\n"));
    }
}

#[test]
fn no_secret_is_in_any_error_or_warning() {
    let shows_none = |path: &Path, problems: &[Problem]| {
        for problem in problems {
            for shown in [problem.render(true), problem.render(false), problem.line(), format!("{problem:?}")]
            {
                assert!(!shown.contains(CANARY), "{}: {shown}", path.display());
            }
        }
    };
    for path in files("broken") {
        let Err(report) = read(&path) else { continue };
        shows_none(&path, &report.problems);
        assert!(!report.to_json().contains(CANARY), "{}", path.display());
    }
    for path in files("odd") {
        shows_none(&path, &read(&path).unwrap().warnings);
    }
}

#[test]
fn problems_stand_in_the_order_of_the_file() {
    for path in files("broken") {
        let Err(report) = read(&path) else { continue };
        let places: Vec<_> = report.problems.iter().map(Problem::place).collect();
        assert!(places.is_sorted(), "{}: {places:?}", path.display());
    }
}

#[test]
fn every_code_of_the_configuration_has_a_file_that_shows_it() {
    let mut seen: Vec<Code> = Vec::new();
    for path in files("broken") {
        seen.extend(read(&path).unwrap_err().problems.iter().map(|problem| problem.code));
    }
    for path in files("odd") {
        seen.extend(read(&path).unwrap().warnings.iter().map(|problem| problem.code));
    }
    // These two are about files that cannot be read or found, which is tested beside the code.
    seen.extend([Code::Unreadable, Code::NoConfiguration]);
    // And these about values, of which only `check` speaks; they are tested beside it.
    seen.extend([Code::EmptyValue, Code::LiteralSecret, Code::Placeholder, Code::ReadableSecret]);
    for code in Code::ALL.iter().filter(|code| code.id().starts_with("BRAID-C")) {
        assert!(seen.contains(code), "{code}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("braid.toml");
    fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    for path in [folder.path().join("none.toml"), folder.path().to_owned(), binary] {
        let report = file::load(&path, &|_| None).unwrap_err();
        assert_eq!(report.problems[0].code, Code::Unreadable);
        assert!(report.render(false).contains(path.to_str().unwrap()));
    }
}

#[test]
fn a_file_is_read_from_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vars.env"), "A=from file\n").unwrap();
    let path = folder.path().join("braid.toml");
    fs::write(&path, "\u{feff}[servers.a]\ncommand = \"./run\"\nenv_file = \"vars.env\"\n").unwrap();
    let loaded = file::load(&path, &|_| None).unwrap();
    let mcp_braid::config::Reach::Stdio(command) = &loaded.config.servers[0].reach else {
        panic!("a program")
    };
    assert_eq!(Path::new(&command.program), folder.path().join("./run"));
    assert_eq!(command.folder, folder.path());
    assert_eq!(command.env[0].1.expose(), "from file");
}

#[test]
fn a_long_line_is_drawn_in_part_with_its_true_column() {
    let filler = "\"é\": {\"disabled\": true}, ".repeat(40_000);
    let text = format!("{{\"mcpServers\": {{ {filler} \"x\": {{\"command\": \"y\", \"oddity\": 1}} }} }}");
    let loaded = file::from_text(&text, "x.json", Path::new("/"), &|_| None).unwrap();
    let odd = loaded.warnings.last().unwrap();
    let column = text.chars().count() - text.split_once("\"oddity").unwrap().1.chars().count() - 6;
    assert_eq!(odd.place(), Some((1, column)));
    let drawn = odd.render(false);
    assert!(drawn.contains(&format!("x.json:1:{column}")) && drawn.contains("^^^^^^^^ not known"), "{drawn}");
    assert!(drawn.len() < 2_000);
}

#[test]
fn errors_are_shown_before_warnings_when_there_are_too_many() {
    let odd: Vec<_> = (0..100).map(|index| format!("\"s{index}\": {{\"url\": \"x\"}}")).collect();
    let text = format!("{{\"mcpServers\": {{ {} }} }}", odd.join(","));
    let report = file::from_text(&text, "x.json", Path::new("/"), &|_| None).unwrap_err();
    assert_eq!(report.problems.len(), PROBLEMS_MAX);
    assert!(report.problems.iter().any(|problem| problem.code == Code::NoServers));
    assert!(report.render(false).contains("1 error, 100 warnings, the first 50 are shown"));
}

/// A text with something put in place of a piece of it.
fn damaged(text: &str, at: usize, length: usize, piece: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = at % (chars.len() + 1);
    let end = (at + length).min(chars.len());
    chars[..at].iter().copied().chain(piece.chars()).chain(chars[end..].iter().copied()).collect()
}

const CLIENT: &str = r#"{
  // comment
  "inputs": [{"id": "k", "default": "d"}],
  "servers": {
    "a": {"command": "npx", "args": ["-y", "${env:X}", 5], "env": {"T": "${input:k}"}, "timeout": 60000},
    "b": {"type": "http", "url": "https://x", "headers": {"A": "b"}},
  },
}"#;

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_damaged_file_is_read_or_refused_and_never_a_panic(
        at in 0_usize..10_000,
        length in 0_usize..40,
        piece in "[\"'\\[\\]{}=:,.#$\\\\\n\r\\-_a-z0-9é日\u{0}\u{1b}]{0,12}",
    ) {
        let example = fs::read_to_string("config.example.toml").unwrap().replace("\n#", "\n");
        for (origin, text) in [("braid.toml", example.as_str()), ("mcp.json", CLIENT), ("config", CLIENT)] {
            let text = damaged(text, at, length, &piece);
            match file::from_text(&text, origin, Path::new("/f"), &|_| None) {
                Ok(loaded) => loaded.warnings.iter().for_each(|warning| drop(warning.render(true))),
                Err(report) => {
                    proptest::prop_assert!(report.errors() > 0);
                    drop((report.render(true), report.render(false), report.to_json()));
                }
            }
        }
    }

    #[test]
    fn a_damaged_file_is_changed_or_refused_and_never_a_panic(
        at in 0_usize..10_000,
        length in 0_usize..40,
        piece in "[\"'\\[\\]{}=:,.#$\\\\\n\r\\-_a-z0-9é日\u{0}/* ]{0,12}",
    ) {
        let client = damaged(CLIENT, at, length, &piece);
        let path = ["servers", "braid"];
        if let Ok(more) = json::put(&client, &path, &json::Json::Flag(true)) {
            let less = json::take(&more, &path).unwrap();
            // Where there was no table for it, an empty one stays.
            let had = json::written(&client, &["servers"]).is_some();
            proptest::prop_assert!(!had || json::same(&less, &client), "{client:?} {less:?}");
        }
        drop(json::take(&client, &["servers", "a"]));
        let example = damaged(&fs::read_to_string("config.example.toml").unwrap(), at, length, &piece);
        for name in ["notes", "workshop"] {
            drop((toml::without_section(&example, "servers", name), toml::with_enabled(&example, "servers", name, false)));
        }
        drop(toml::without_name(&example, "groups", "servers", "notes"));
        if let Ok(more) = toml::with_section(&example, "servers", "new", "[servers.new]\ncommand = \"x\"\n") {
            let less = toml::without_section(&more, "servers", "new").unwrap();
            proptest::prop_assert_eq!(less.trim_end(), example.trim_end());
        }
        let origin = Origin { app: None, path: "/f/mcp.json".into(), scope: Scope::User, within: Vec::new() };
        let surroundings = Surroundings { env: &|_| None, program: None, current_folder: None, files: Default::default() };
        let target = Target { folder: Path::new("/g"), ports: &[8808] };
        if let Ok(batch) = import::read(&origin, &client, &surroundings, &target) {
            let merged = import::merge(None, batch.servers).unwrap();
            let loaded = file::from_text_with(&merged.text, "braid.toml", Path::new("/g"), &surroundings, Purpose::Show);
            let fine = loaded.is_ok() || merged.added.is_empty();
            proptest::prop_assert!(fine, "{}", merged.text);
        }
    }
}
