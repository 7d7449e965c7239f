//! What ARCHITECTURE.md promises, as tests: arrows point down, pure floors stay pure, absences are absent.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. A floor may name what stands before it in this list.
const FLOORS: [&str; 8] = ["wire", "mcp", "routing", "upstream", "hub", "downstream", "cli", "main"];
/// Plain things beside the ground floor: anyone may name them, and they name nothing above `wire`.
const BESIDE: [&str; 3] = ["config", "system", "demo"];
/// Floors that neither wait nor read a clock.
const PURE: [&str; 3] = ["wire", "mcp", "routing"];

#[test]
fn every_arrow_points_down() {
    for file in sources() {
        let above: Vec<&str> = match FLOORS.iter().position(|floor| *floor == file.floor) {
            Some(own) => FLOORS.iter().skip(own + 1).copied().collect(),
            None => FLOORS.iter().skip(1).copied().collect(),
        };
        for floor in
            above.iter().chain(["demo"].iter().filter(|_| file.floor != "cli" && file.floor != "demo"))
        {
            file.must_not_say(&[&format!("crate::{floor}"), &format!("super::super::{floor}")]);
        }
    }
}

#[test]
fn pure_floors_neither_wait_nor_read_a_clock() {
    for file in sources().into_iter().filter(|file| PURE.contains(&file.floor.as_str())) {
        file.must_not_say(&[
            "tokio",
            "async ",
            ".await",
            "Instant::now",
            "SystemTime",
            "std::net",
            "std::process",
            "std::fs",
        ]);
    }
}

#[test]
fn eras_and_minted_ids_stay_where_they_belong() {
    for file in sources() {
        match file.floor.as_str() {
            "hub" | "routing" => file.must_not_say(&["Era"]),
            "downstream" => file.must_not_say(&["CallId"]),
            "upstream" => file.must_not_say(&["Session"]),
            _ => {}
        }
    }
}

#[test]
fn trees_are_built_only_at_the_rim() {
    for file in sources() {
        let allowed = ["cli", "demo", "config"].contains(&file.floor.as_str());
        if !allowed {
            file.must_not_say(&["serde_json::Value", "Value::Object", "json!("]);
        }
    }
}

#[test]
fn nothing_is_global() {
    for file in sources() {
        for line in file.code.lines().map(str::trim_start) {
            let found = line.starts_with("static ")
                || line.starts_with("pub static ")
                || line.starts_with("thread_local!");
            // It has to be: that is how the language knows whom to ask.
            let is_allocator = file.path.ends_with("src/main.rs") && line.starts_with("static ALLOCATOR: ");
            assert!(!found || is_allocator, "{} has global state: {line}", file.path.display());
        }
    }
}

#[test]
fn every_file_opens_with_what_it_is() {
    for file in sources() {
        assert!(file.text.starts_with("//!"), "{} has no module doc", file.path.display());
        let name = file.path.file_stem().unwrap().to_str().unwrap();
        assert!(
            !["utils", "util", "helpers", "common", "types", "misc"].contains(&name),
            "{} is not a noun",
            file.path.display()
        );
    }
}

#[test]
fn only_doors_and_the_demo_touch_stdout() {
    for file in sources() {
        let may = file.path.ends_with("downstream/stdio.rs")
            || ["cli", "demo", "system"].contains(&file.floor.as_str());
        if !may {
            file.must_not_say(&["println!", "print!(", "io::stdout"]);
        }
    }
}

#[test]
fn the_top_level_is_as_it_is_written_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "config.example.toml",
        "deny.toml",
        "clippy.toml",
        "rustfmt.toml",
        "src",
        "tests",
        "benches",
        "fuzz",
        ".ci/run",
    ] {
        assert!(root.join(name).exists(), "{name} is missing");
    }
}

struct Source {
    path: PathBuf,
    floor: String,
    text: String,
    /// Without comments and without the tests at its end.
    code: String,
}

impl Source {
    fn must_not_say(&self, words: &[&str]) {
        for word in words {
            assert!(!self.code.contains(word), "{} ({}) says {word}", self.path.display(), self.floor);
        }
    }
}

fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![src.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.ends_with("lib.rs")
                || path.extension().is_none_or(|end| end != "rs")
                || path.ends_with("tests.rs")
            {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let first = path.strip_prefix(&src).unwrap().components().next().unwrap();
            let floor = Path::new(first.as_os_str()).file_stem().unwrap().to_str().unwrap();
            // Both programs stand where all is put together.
            let floor = if floor == "guardian" { "main" } else { floor }.to_owned();
            let known = FLOORS.contains(&floor.as_str()) || BESIDE.contains(&floor.as_str());
            assert!(known, "{} stands on no floor", path.display());
            let body = text.split("\n#[cfg(test)]\n").next().unwrap();
            let code =
                body.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n");
            found.push(Source { path, floor, text, code });
        }
    }
    assert!(found.len() > 40, "the sources are not where they should be");
    found
}
