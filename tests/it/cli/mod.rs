//! The real binary as people and scripts use it: what each command prints, where, and its exit code.
//!
//! Every run has a folder of its own, nothing of our surroundings that could lead it elsewhere, and an end.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_types, reason = "what is printed as JSON is only looked at")]

mod access;
mod check;
mod commands;
mod failures;
mod filters;
#[cfg(unix)]
mod import;
mod install;
mod log;
mod loops;
mod printed;
mod probed;
mod required;
mod servers;
mod sources;

use crate::said::Said;
use std::fs;
use std::path::Path;
use std::process::Command;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");

impl Said {
    /// It ended well, and said nothing beside its result.
    #[track_caller]
    fn fine(self) -> String {
        assert!(self.code == 0 && self.err.is_empty(), "{self:?}");
        self.out
    }

    /// The one object on stderr.
    #[track_caller]
    fn error(&self) -> serde_json::Value {
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        let object: serde_json::Value = serde_json::from_str(&self.err).unwrap();
        assert_eq!(object["exit"], self.code, "{self:?}");
        assert!(object["error"]["message"].is_string(), "{self:?}");
        assert_eq!(object.as_object().unwrap().len(), 2, "{self:?}");
        object["error"].clone()
    }
}

fn braid(args: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    braid_in(folder.path(), args, "", &[])
}

/// The same with the demo servers of the example.
fn with_example(args: &[&str]) -> Said {
    let source = ["-c", EXAMPLE];
    braid(&[args, &source].concat())
}

/// The same with this `braid.toml`.
fn with_config(config: &str, args: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("braid.toml"), config).unwrap();
    braid_in(folder.path(), args, "", &[])
}

fn braid_in(folder: &Path, args: &[&str], input: &str, variables: &[(&str, &str)]) -> Said {
    Said::of(&mut command_in(folder, args, variables), input)
}

fn command_in(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_braid"));
    for ours in [
        "BRAID_CONFIG",
        "BRAID_LOG",
        "BRAID_RUN",
        "CLICOLOR_FORCE",
        "NO_COLOR",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
    ] {
        command.env_remove(ours);
    }
    command
        .args(args)
        .current_dir(folder)
        // Or our own configuration would be found.
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder)
        .envs(variables.iter().copied());
    command
}
