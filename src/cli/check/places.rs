//! Where programs usually are, beside the folders of PATH.
//!
//! Looks at folders and runs nothing. Each list of folders and each folder that is read has a bound.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::upstream::environment::find;

/// Where a program might be that PATH does not lead to.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    /// What the login shell has for PATH, where it was asked.
    pub(super) of_shell: Vec<PathBuf>,
    pub(super) usual: Vec<PathBuf>,
}

impl Places {
    /// Those of a user with this home folder. `shell`: the PATH of the login shell.
    pub(super) fn new(home: Option<&Path>, shell: Option<&str>) -> Self {
        let of_shell = shell.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
        Self { of_shell, usual: usual(home) }
    }

    /// The files of that name that may be run, those that the shell would find first.
    pub(super) fn find(&self, program: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in self.of_shell.iter().chain(&self.usual) {
            if let Ok(file) = find(program, folder.as_os_str(), Path::new("/"))
                && !found.contains(&file)
                && found.len() < FOUND_MAX
            {
                found.push(file);
            }
        }
        found
    }

    /// Whether the login shell would find it.
    pub(super) fn shell_finds(&self, program: &str) -> bool {
        self.of_shell.iter().any(|folder| find(program, folder.as_os_str(), Path::new("/")).is_ok())
    }
}

fn usual(home: Option<&Path>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(home) = home {
        folders.extend(IN_HOME.iter().map(|folder| home.join(folder)));
        for (above, below) in VERSIONS {
            // The newest version first.
            folders.extend(versions(&home.join(above)).into_iter().map(|version| version.join(below)));
        }
        folders.extend(npm_prefix(home).map(|prefix| prefix.join("bin")));
    }
    folders.extend(ELSEWHERE.iter().map(PathBuf::from));
    folders
}

/// The folders of a version manager, the newest version first.
fn versions(above: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(above) else { return Vec::new() };
    let entries = entries.take(ENTRIES_MAX).filter_map(Result::ok);
    let mut found: Vec<_> = entries.map(|entry| (numbers(&entry.file_name()), entry.path())).collect();
    found.sort_by(|(one, _), (other, _)| other.cmp(one));
    found.into_iter().map(|(_, path)| path).take(VERSIONS_MAX).collect()
}

/// `v20.1.0` as numbers, so that 20 comes after 9.
fn numbers(name: &OsStr) -> Vec<u64> {
    let name = name.to_string_lossy();
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Where npm puts what is installed for all, if its settings say so.
fn npm_prefix(home: &Path) -> Option<PathBuf> {
    let file = home.join(".npmrc");
    let length = fs::metadata(&file).ok().filter(fs::Metadata::is_file)?.len();
    let text = if length <= SETTINGS_BYTES_MAX { fs::read_to_string(file).ok()? } else { return None };
    let value = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "prefix").then(|| value.trim().to_owned())
    })?;
    let value = value.replace("${HOME}", &home.to_string_lossy());
    let inside = value.strip_prefix("~/").map(|inside| home.join(inside));
    Some(inside.unwrap_or_else(|| PathBuf::from(value))).filter(|prefix| prefix.is_absolute())
}

const IN_HOME: [&str; 22] = [
    ".local/bin",
    "bin",
    ".cargo/bin",
    ".volta/bin",
    ".asdf/shims",
    ".local/share/mise/shims",
    ".bun/bin",
    ".deno/bin",
    "go/bin",
    ".pyenv/shims",
    ".pyenv/bin",
    ".rye/shims",
    ".rbenv/shims",
    ".npm-global/bin",
    ".npm-packages/bin",
    ".local/share/pnpm",
    "Library/pnpm",
    ".dotnet/tools",
    ".nix-profile/bin",
    "miniconda3/bin",
    "anaconda3/bin",
    ".docker/bin",
];

/// A folder with one folder for each version, and what is below each.
const VERSIONS: [(&str, &str); 5] = [
    (".nvm/versions/node", "bin"),
    (".local/share/fnm/node-versions", "installation/bin"),
    (".fnm/node-versions", "installation/bin"),
    (".nodenv/versions", "bin"),
    ("Library/Application Support/fnm/node-versions", "installation/bin"),
];

const ELSEWHERE: [&str; 11] = [
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/home/linuxbrew/.linuxbrew/bin",
    "/opt/local/bin",
    "/usr/bin",
    "/bin",
    "/snap/bin",
    "/usr/local/go/bin",
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
    "/Applications/Docker.app/Contents/Resources/bin",
];

/// Files of one name that are said.
const FOUND_MAX: usize = 3;
/// Folders of one version manager that are read, and of which the newest are looked into.
const ENTRIES_MAX: usize = 256;
const VERSIONS_MAX: usize = 16;
const SETTINGS_BYTES_MAX: u64 = 64 * 1024;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn put(home: &Path, file: &str) -> PathBuf {
        let file = home.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    #[test]
    fn a_program_is_found_where_its_installer_puts_it() {
        for file in [
            ".local/bin/a-tool",
            ".cargo/bin/a-tool",
            ".nvm/versions/node/v9.1.0/bin/a-tool",
            ".local/share/fnm/node-versions/v22.1.0/installation/bin/a-tool",
            ".volta/bin/a-tool",
            ".asdf/shims/a-tool",
            ".local/share/mise/shims/a-tool",
            ".bun/bin/a-tool",
            "go/bin/a-tool",
            ".pyenv/shims/a-tool",
        ] {
            let home = tempfile::tempdir().unwrap();
            let put = put(home.path(), file);
            assert_eq!(Places::new(Some(home.path()), None).find("a-tool"), [put], "{file}");
        }
    }

    #[test]
    fn the_newest_version_comes_first_and_the_shells_own_before_all() {
        let home = tempfile::tempdir().unwrap();
        let old = put(home.path(), ".nvm/versions/node/v9.11.2/bin/a-tool");
        let new = put(home.path(), ".nvm/versions/node/v20.1.0/bin/a-tool");
        let own = put(home.path(), "own/a-tool");
        let shell = home.path().join("own").display().to_string();
        let places = Places::new(Some(home.path()), Some(&shell));
        assert_eq!(places.find("a-tool"), [own, new, old]);
        assert!(places.shell_finds("a-tool") && !places.shell_finds("b-tool"));
    }

    #[test]
    fn npms_own_settings_are_asked() {
        let home = tempfile::tempdir().unwrap();
        let tool = put(home.path(), "mine/bin/a-tool");
        for line in
            ["prefix=~/mine", "a=b\nprefix = ${HOME}/mine", &format!("prefix={}/mine", home.path().display())]
        {
            fs::write(home.path().join(".npmrc"), line).unwrap();
            assert_eq!(Places::new(Some(home.path()), None).find("a-tool"), [tool.as_path()], "{line}");
        }
        fs::write(home.path().join(".npmrc"), "prefix=mine").unwrap();
        assert!(Places::new(Some(home.path()), None).find("a-tool").is_empty(), "from where would it be?");
    }

    #[test]
    fn no_more_than_a_few_are_said() {
        let home = tempfile::tempdir().unwrap();
        for version in 0..40 {
            put(home.path(), &format!(".nvm/versions/node/v{version}.0.0/bin/a-tool"));
        }
        assert_eq!(Places::new(Some(home.path()), None).find("a-tool").len(), FOUND_MAX);
    }
}
