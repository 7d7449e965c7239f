//! Where the configuration is looked for, and why the one that was found is the one.
//!
//! The first place that has a file is taken; files are never merged. Pure: the environment and the question
//! whether a file is there come in as closures. A file that was named is taken without asking, so that its
//! absence is an error about that file.

use std::fmt;
use std::path::{Path, PathBuf};

use super::codes::Code;
use super::problem::Report;

/// Why a place is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `-c FILE`.
    Option,
    /// `$BRAID_CONFIG`.
    Variable,
    /// `./braid.toml`.
    CurrentFolder,
    /// `$XDG_CONFIG_HOME/braid/config.toml`, that is `~/.config/braid/config.toml`.
    UserFolder,
    /// `/etc/braid/config.toml`.
    System,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Option => "-c FILE",
            Self::Variable => "$BRAID_CONFIG",
            Self::CurrentFolder => "current folder",
            Self::UserFolder => "user's folder",
            Self::System => "system",
        })
    }
}

/// What became of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Taken,
    /// Nothing was named there: no option, no variable, no home folder.
    NotNamed,
    NoFile,
    /// An earlier place was taken.
    NotLookedAt,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taken => "taken",
            Self::NotNamed => "not given",
            Self::NoFile => "no such file",
            Self::NotLookedAt => "not looked at",
        })
    }
}

/// One place of the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub place: Place,
    pub path: Option<PathBuf>,
    pub outcome: Outcome,
}

/// All places in their order, of which at most one is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub steps: Vec<Step>,
}

impl Search {
    /// The file that is taken and why.
    pub fn found(&self) -> Option<(&Path, Place)> {
        let taken = self.steps.iter().find(|step| step.outcome == Outcome::Taken)?;
        taken.path.as_deref().map(|path| (path, taken.place))
    }

    /// What to say when there is none.
    pub fn report(&self) -> Report {
        let looked: Vec<_> = self
            .steps
            .iter()
            .filter_map(|step| step.path.as_ref())
            .map(|path| path.display().to_string())
            .collect();
        let help = format!(
            "looked for {}\nbegin with `braid import --write`, which takes over what your clients have,\nor with `braid config example > braid.toml`; name a file with `-c`, which may be a client's own,\nor run one server without a file: `braid stdio -- npx -y PACKAGE`",
            looked.join(", ")
        );
        Report::of_file("", Code::NoConfiguration, "no configuration found", &help)
    }
}

/// Looks for the configuration: `-c`, $BRAID_CONFIG, ./braid.toml, the user's, the system's.
pub fn search(
    option: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    is_file: &dyn Fn(&Path) -> bool,
) -> Search {
    let named = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The XDG specification has relative paths ignored.
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let user = named("XDG_CONFIG_HOME")
        .and_then(absolute)
        .or_else(|| named("HOME").map(|home| home.join(".config")))
        .or_else(|| named("APPDATA"));
    let places = [
        (Place::Option, option.map(Path::to_owned)),
        (Place::Variable, named("BRAID_CONFIG")),
        (Place::CurrentFolder, Some(PathBuf::from("braid.toml"))),
        (Place::UserFolder, user.map(|folder| folder.join("braid").join("config.toml"))),
        (Place::System, Some(PathBuf::from("/etc/braid/config.toml"))),
    ];
    let mut taken = false;
    let steps =
        places.into_iter().map(|(place, path)| {
            let outcome =
                match (&path, place) {
                    _ if taken => Outcome::NotLookedAt,
                    (None, _) => Outcome::NotNamed,
                    (Some(_), Place::Option | Place::Variable) => Outcome::Taken,
                    (Some(path), Place::CurrentFolder | Place::UserFolder | Place::System) => {
                        if is_file(path) { Outcome::Taken } else { Outcome::NoFile }
                    }
                };
            taken |= outcome == Outcome::Taken;
            Step { place, path, outcome }
        });
    Search { steps: steps.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(option: Option<&str>, env: &[(&str, &str)], files: &[&str]) -> Option<(String, Place)> {
        let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let is_file = |path: &Path| files.iter().any(|file| Path::new(file) == path);
        let search = search(option.map(Path::new), &env, &is_file);
        search.found().map(|(path, place)| (path.display().to_string(), place))
    }

    #[test]
    fn the_first_place_with_a_file_is_taken() {
        let all = [
            "braid.toml",
            "/xdg/braid/config.toml",
            "/home/ana/.config/braid/config.toml",
            "/etc/braid/config.toml",
        ];
        let env = [("HOME", "/home/ana"), ("XDG_CONFIG_HOME", "/xdg")];
        let home = [("HOME", "/home/ana"), ("XDG_CONFIG_HOME", ""), ("BRAID_CONFIG", "")];
        let named = [("HOME", "/home/ana"), ("BRAID_CONFIG", "/b.toml")];
        let is = |path: &str, place| Some((path.to_owned(), place));
        assert_eq!(found(Some("x.json"), &named, &all), is("x.json", Place::Option));
        assert_eq!(found(None, &named, &all), is("/b.toml", Place::Variable));
        assert_eq!(found(None, &env, &all), is("braid.toml", Place::CurrentFolder));
        assert_eq!(found(None, &env, &all[1..]), is("/xdg/braid/config.toml", Place::UserFolder));
        assert_eq!(
            found(None, &home, &all[1..]),
            is("/home/ana/.config/braid/config.toml", Place::UserFolder)
        );
        assert_eq!(
            found(None, &[("XDG_CONFIG_HOME", "rel")], &all[1..]),
            is("/etc/braid/config.toml", Place::System)
        );
        assert_eq!(found(None, &env, &[]), None);
    }

    #[test]
    fn a_named_file_is_taken_even_when_it_is_not_there() {
        assert_eq!(found(Some("none"), &[], &[]), Some(("none".to_owned(), Place::Option)));
    }

    #[test]
    fn without_a_file_the_report_says_where_it_looked_and_how_to_begin() {
        let search = search(None, &|_| None, &|_| false);
        insta::assert_snapshot!(search.report().render(false), @r"
        error[BRAID-C018]: no configuration found
         |
         = help: looked for braid.toml, /etc/braid/config.toml
                 begin with `braid import --write`, which takes over what your clients have,
                 or with `braid config example > braid.toml`; name a file with `-c`, which may be a client's own,
                 or run one server without a file: `braid stdio -- npx -y PACKAGE`

        1 error; `braid explain BRAID-C018` says more
        ");
    }
}
