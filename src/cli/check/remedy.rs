//! How a remedy is written where the server is written down: in `braid.toml`, in a client's file, on the command line.
//!
//! Words in, a line to copy out. Nothing is looked up but whether the configuration is a file.

use std::ffi::OsStr;
use std::path::Path;

use crate::config::{Config, toml_key};

/// How a remedy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// `braid.toml`.
    Own,
    /// A client's file.
    Client,
    /// Behind `--`.
    CommandLine,
}

impl Syntax {
    pub(super) fn of(config: &Config) -> Self {
        let path = Path::new(&config.origin);
        // Codex keeps its servers in TOML, too.
        let is_codex = path.parent().is_some_and(|folder| folder.ends_with(".codex"));
        match path.extension().and_then(OsStr::to_str) {
            None if !path.is_file() => Self::CommandLine,
            Some(end) if end.eq_ignore_ascii_case("toml") && !is_codex => Self::Own,
            Some(_) | None => Self::Client,
        }
    }

    /// `command = "…"`.
    pub(super) fn command(self, program: &Path) -> String {
        let program = format!("{:?}", program.display().to_string());
        match self {
            Self::Own => format!("command = {program}"),
            Self::Client => format!("\"command\": {program}"),
            Self::CommandLine => format!("-- {}", program.trim_matches('"')),
        }
    }

    /// A script as an argument of what can run it.
    pub(super) fn runs(self, interpreter: &Path, script: &Path) -> String {
        let (program, script) = (self.command(interpreter), script.display().to_string());
        match self {
            Self::Own => format!("{program}, args = [{script:?}, …]"),
            Self::Client => format!("{program}, \"args\": [{script:?}, …]"),
            Self::CommandLine => format!("{program} {script}"),
        }
    }

    /// A PATH with this folder before it.
    pub(super) fn path_with(self, folder: &Path) -> String {
        let folder = folder.display();
        match self {
            Self::Own => format!("env = {{ PATH = \"{folder}:${{PATH}}\" }}"),
            Self::Client => format!("\"env\": {{ \"PATH\": \"{folder}:${{PATH}}\" }}"),
            Self::CommandLine => format!("PATH={folder}:$PATH"),
        }
    }

    /// A variable of ours, handed on.
    pub(super) fn variable(self, name: &str) -> String {
        match self {
            Self::Own => format!("env = {{ {name} = \"${{{name}}}\" }}"),
            Self::Client => format!("\"env\": {{ \"{name}\": \"${{{name}}}\" }}"),
            Self::CommandLine => "a `braid.toml` in which the server has `env`".to_owned(),
        }
    }

    /// A setting of a server, which only our own file has.
    pub(super) fn setting(self, server: &str, setting: &str) -> String {
        match self {
            Self::Own => format!("servers.{}.{setting}", toml_key(server)),
            Self::Client | Self::CommandLine => format!("a `braid.toml` with `{setting}`"),
        }
    }
}

/// What a missing program comes with.
pub(super) fn install(program: &str) -> String {
    match COMES_WITH.iter().find(|(name, _)| *name == program) {
        Some((_, with)) => format!("install {with}, which `{program}` comes with"),
        None => format!("install `{program}`, or write the whole path"),
    }
}

/// A path for a shell.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

const COMES_WITH: [(&str, &str); 13] = [
    ("npx", "Node.js"),
    ("npm", "Node.js"),
    ("node", "Node.js"),
    ("uvx", "uv"),
    ("uv", "uv"),
    ("python", "Python"),
    ("python3", "Python"),
    ("pip", "Python"),
    ("bunx", "Bun"),
    ("bun", "Bun"),
    ("deno", "Deno"),
    ("docker", "Docker"),
    ("go", "Go"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_comes_with_is_known() {
        assert_eq!(install("uvx"), "install uv, which `uvx` comes with");
        assert_eq!(install("x"), "install `x`, or write the whole path");
    }

    #[test]
    fn a_path_can_be_copied_into_a_shell() {
        assert_eq!(quoted(Path::new("/a/b-c.py")), "/a/b-c.py");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
