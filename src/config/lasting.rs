//! Whether our own program lies where it will be tomorrow: what package runners fetch for one run, builds and temporary files do not stay.
//!
//! Judged by its path alone; what is at a path it asks through the closure that it is given. It starts nothing and writes nothing.

use std::path::{Path, PathBuf};

/// Where a program lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abode {
    Lasting,
    /// In the cache of a runner, which fetches it anew whenever it is asked for.
    Cached(Runner),
    /// In a folder that the system empties.
    Temporary,
    /// Where cargo builds.
    Build,
}

/// What fetches a package for one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    Npx,
    Pnpm,
    Bun,
    Uv,
    Pipx,
}

/// Where the program lies. `temporary`: the folders that the system empties; `exists`: whether something is at a path.
pub fn abode(program: &Path, temporary: &[PathBuf], exists: &dyn Fn(&Path) -> bool) -> Abode {
    if let Some(runner) = Runner::ALL.into_iter().find(|runner| runner.keeps(program)) {
        return Abode::Cached(runner);
    }
    let is_built =
        |folder: &Path| [".cargo-lock", ".fingerprint"].iter().any(|name| exists(&folder.join(name)));
    if program.parent().is_some_and(is_built) {
        return Abode::Build;
    }
    match temporary.iter().any(|folder| program.starts_with(folder)) {
        true => Abode::Temporary,
        false => Abode::Lasting,
    }
}

impl Runner {
    pub const ALL: [Self; 5] = [Self::Npx, Self::Pnpm, Self::Bun, Self::Uv, Self::Pipx];

    /// The command that fetches and starts us, before our own arguments. By its name: that is how it is found in each version of itself.
    pub fn words(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Npx => ("npx", &["-y", "mcp-braid"]),
            Self::Pnpm => ("pnpm", &["dlx", "mcp-braid"]),
            Self::Bun => ("bunx", &["mcp-braid"]),
            Self::Uv => ("uvx", &["mcp-braid"]),
            Self::Pipx => ("pipx", &["run", "mcp-braid"]),
        }
    }

    /// The command that installs us for good.
    pub fn installs(self) -> &'static str {
        match self {
            Self::Npx => "npm install -g mcp-braid",
            Self::Pnpm => "pnpm add -g mcp-braid",
            Self::Bun => "bun add -g mcp-braid",
            Self::Uv => "uv tool install mcp-braid",
            Self::Pipx => "pipx install mcp-braid",
        }
    }

    /// Whether a path is in its cache, wherever that is.
    fn keeps(self, program: &Path) -> bool {
        let names: Vec<_> = program.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let has = |is_it: &dyn Fn(&str) -> bool| names.iter().any(|name| is_it(name));
        let has_pair =
            |first: &str, second: &str| names.windows(2).any(|pair| pair[0] == first && pair[1] == second);
        match self {
            Self::Npx => has(&|name| name == "_npx"),
            Self::Pnpm => has_pair("pnpm", "dlx"),
            Self::Bun => {
                names.windows(2).any(|pair| pair[0].starts_with("bunx-") && pair[1] == "node_modules")
            }
            // What `uv tool install` makes lies beside its cache, in `tools`. Below the cache's folder each environment has
            // one of its own, with its programs in it.
            Self::Uv => names.windows(4).any(|parts| {
                let number = ["archive-v", "environments-v", "builds-v"]
                    .iter()
                    .find_map(|kind| parts[0].strip_prefix(kind));
                let is_one = number.is_some_and(|number| number.parse::<u16>().is_ok());
                is_one && matches!(&*parts[2], "bin" | "Scripts")
            }),
            // Its `venvs` stay.
            Self::Pipx => {
                has_pair(".cache", "pipx") || has_pair("pipx", ".cache") || has_pair("Caches", "pipx")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ourselves;

    fn of(path: &str) -> Abode {
        let temporary = [PathBuf::from("/tmp"), PathBuf::from("/var/folders/x")];
        let there =
            ["/src/braid/target/debug/.fingerprint", "/built/x86_64-unknown-linux-gnu/release/.cargo-lock"];
        abode(Path::new(path), &temporary, &|path| there.iter().any(|there| path == Path::new(there)))
    }

    #[test]
    fn what_a_runner_fetched_is_in_its_cache() {
        for (path, runner) in [
            ("/home/ana/.npm/_npx/3f2a/node_modules/mcp-braid-linux-x64/bin/braid", Runner::Npx),
            ("/tmp/npm-cache/_npx/3f2a/node_modules/mcp-braid-linux-x64/bin/braid", Runner::Npx),
            (
                "/home/ana/.cache/pnpm/dlx/5e/18f/node_modules/.pnpm/mcp-braid-linux-x64@0.1.0/node_modules/mcp-braid-linux-x64/bin/braid",
                Runner::Pnpm,
            ),
            ("/tmp/bunx-1000-mcp-braid@latest/node_modules/mcp-braid-linux-x64/bin/braid", Runner::Bun),
            ("/home/ana/.cache/uv/archive-v0/d9fK/bin/braid", Runner::Uv),
            ("/home/ana/.cache/uv/environments-v2/mcp-braid-1f/bin/braid", Runner::Uv),
            ("/elsewhere/archive-v12/d9fK/bin/braid", Runner::Uv),
            ("/home/ana/.cache/pipx/0f3/bin/braid", Runner::Pipx),
            ("/home/ana/.local/pipx/.cache/0f3/bin/braid", Runner::Pipx),
            ("/Users/ana/Library/Caches/pipx/0f3/bin/braid", Runner::Pipx),
        ] {
            assert_eq!(of(path), Abode::Cached(runner), "{path}");
        }
    }

    #[test]
    fn what_was_installed_stays_and_builds_and_temporary_files_do_not() {
        for path in [
            "/usr/bin/braid",
            "/home/ana/.cargo/bin/braid",
            "/home/ana/.local/bin/braid",
            "/home/ana/.local/share/uv/tools/mcp-braid/bin/braid",
            "/home/ana/.local/share/pipx/venvs/mcp-braid/bin/braid",
            "/usr/lib/node_modules/mcp-braid/node_modules/mcp-braid-linux-x64/bin/braid",
            "/home/ana/project/node_modules/mcp-braid-linux-x64/bin/braid",
            "/home/ana/archive-v2b/x/bin/braid",
            "/home/ana/archive-v/x/bin/braid",
            "/srv/archive-v2/braid",
            "/opt/builds-v3/bin/braid",
            "/srv/bunx-tools/bin/braid",
            "/home/ana/target/release/braid",
            "/tmpfiles/braid",
        ] {
            assert_eq!(of(path), Abode::Lasting, "{path}");
        }
        assert_eq!(of("/tmp/x/braid"), Abode::Temporary);
        assert_eq!(of("/var/folders/x/T/braid"), Abode::Temporary);
        assert_eq!(of("/src/braid/target/debug/braid"), Abode::Build);
        assert_eq!(of("/built/x86_64-unknown-linux-gnu/release/braid"), Abode::Build);
    }

    #[test]
    fn what_each_runner_is_told_starts_braid_and_is_no_server_of_its_own() {
        for runner in Runner::ALL {
            let (program, words) = runner.words();
            let args = |more: &[&str]| {
                [words, more].concat().iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()
            };
            let serves = |more: &[&str]| ourselves::starts_braid(program, &args(more), None);
            assert!(serves(&["stdio", "-c", "/home/ana/braid.toml"]), "{runner:?}");
            assert!(serves(&["stdio", "-c", "/home/ana/braid.toml", "--group", "g"]), "{runner:?}");
            assert!(!serves(&["stdio", "--", "npx", "x"]), "a bridge to another server: {runner:?}");
            assert!(!serves(&["demo-server", "notes"]), "{runner:?}");
        }
    }
}
