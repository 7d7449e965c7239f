//! What a child finds in its environment, and the mark by which it is found.
//!
//! A child's environment is built from nothing: a short list of our own variables, the names that its
//! configuration inherits, what it declares, and the mark. So one server never sees what was meant for
//! another, nor our own secrets. Nothing is started here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config::Command;
use crate::system::{Blow, Family, Here, MARK_VARIABLE, System};
use crate::wire::hex::hex;

/// This run's mark in the environment of every child, by which stray descendants are found.
///
/// 128 random bits, and a number per child. No secret: whoever may read it may also signal the process.
#[derive(Debug)]
pub struct Cookie {
    run: String,
    /// What is run: the same for every run of the same servers, so that a run knows itself behind itself.
    identity: String,
    /// The marks that we carry ourselves, when we are a child of another run. They are handed on, so that
    /// the outer run still finds our children when we are gone.
    inherited: Option<String>,
    spawned: AtomicU64,
}

/// One child's mark: unique in this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    word: String,
    value: String,
}

impl Cookie {
    /// `identity` is made of hexadecimal digits. Fails when the system has no random bits.
    pub fn new(identity: &str) -> io::Result<Self> {
        let mut bits = [0_u8; 16];
        getrandom::fill(&mut bits).map_err(|error| io::Error::other(error.to_string()))?;
        let run = hex(&bits);
        let inherited = std::env::var(MARK_VARIABLE)
            .ok()
            .filter(|marks| !marks.is_empty() && marks.len() <= INHERITED_BYTES_MAX)
            .filter(|marks| marks.bytes().all(|b| b.is_ascii_hexdigit() || b == b'.' || b == b','));
        Ok(Self { run, identity: identity.to_owned(), inherited, spawned: AtomicU64::new(0) })
    }

    /// The identities of the runs that we are a descendant of, outermost first.
    pub fn outer(&self) -> impl Iterator<Item = &str> {
        let marks = self.inherited.as_deref().unwrap_or_default().split(',');
        marks.filter_map(|mark| mark.split('.').nth(2))
    }

    /// The run itself, as it begins the mark of each of its children.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The mark of one more child.
    pub fn mark(&self) -> Mark {
        let number = self.spawned.fetch_add(1, Ordering::Relaxed) + 1;
        let word = format!("{}.{number}.{}", self.run, self.identity);
        let value = match &self.inherited {
            Some(outer) => format!("{outer},{word}"),
            None => word.clone(),
        };
        Mark { word, value }
    }

    /// Ends at once whatever of this run is left, and says how many that were. The last thing before we
    /// leave; until then each child's own stop looks after its tree.
    pub async fn sweep(&self) -> usize {
        let mut found = 0;
        for _ in 0..SWEEPS_MAX {
            let run = self.run.clone();
            let look = move || Here::kin(Family::Run { run: &run });
            let Ok(kin) = tokio::task::spawn_blocking(look).await else { break };
            if kin.members.is_empty() {
                break;
            }
            found = found.max(kin.members.len());
            kin.members.iter().for_each(|member| Here::strike(member, Blow::Kill));
            tokio::time::sleep(SWEEP_PAUSE).await;
        }
        found
    }
}

impl Mark {
    /// The word that only this child and its descendants carry.
    pub fn word(&self) -> &str {
        &self.word
    }
}

/// The whole environment of one child, from `ours`.
pub fn environment(
    command: &Command,
    mark: &Mark,
    ours: impl IntoIterator<Item = (OsString, OsString)>,
) -> BTreeMap<OsString, OsString> {
    let mut environment = unmarked(command, ours);
    environment.insert(MARK_VARIABLE.into(), (&mark.value).into());
    environment
}

/// The same before it is a child's of this run: what a program would find.
pub fn unmarked(
    command: &Command,
    ours: impl IntoIterator<Item = (OsString, OsString)>,
) -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<OsString, OsString> = ours
        .into_iter()
        .filter(|(name, value)| match name.to_str() {
            // Whoever names a variable gets it as it is.
            Some(name) if command.inherit_env.iter().any(|inherited| is_same_name(inherited, name)) => true,
            // A shell hands its functions on in variables; a program that takes one for text may run it.
            Some(name) => is_common(name) && !value.as_encoded_bytes().starts_with(b"()"),
            None => false,
        })
        .collect();
    for (name, value) in &command.env {
        if cfg!(windows) {
            environment.retain(|inherited, _| !inherited.to_str().is_some_and(|it| is_same_name(it, name)));
        }
        environment.insert(name.into(), value.expose().into());
    }
    environment
}

/// Where a program is, looked up as the child itself would: in its own PATH, from its own folder.
///
/// `Err` holds the file that has the right name but may not be run, if there is one.
pub fn find(program: &str, path: &OsStr, folder: &Path) -> Result<PathBuf, Option<PathBuf>> {
    let mut forbidden = None;
    let named_by_path = program.contains(std::path::is_separator);
    let places = if named_by_path { vec![folder.to_owned()] } else { std::env::split_paths(path).collect() };
    // `join` lets an absolute program stand for itself. An empty entry of PATH means the current folder
    // to a shell; that is a trap rather than a wish, so it is left out.
    for place in places.iter().filter(|place| named_by_path || !place.as_os_str().is_empty()) {
        for file in spellings(&folder.join(place).join(program)) {
            if !file.is_file() {
                continue;
            }
            if may_run(&file) {
                return Ok(file);
            }
            forbidden.get_or_insert(file);
        }
    }
    Err(forbidden)
}

#[cfg(unix)]
fn spellings(file: &Path) -> Vec<PathBuf> {
    vec![file.to_owned()]
}

/// `npx` is `npx.cmd` on Windows. Untested.
#[cfg(windows)]
fn spellings(file: &Path) -> Vec<PathBuf> {
    let extensions = std::env::var("PATHEXT").unwrap_or_else(|_| ".COM;.EXE;.BAT;.CMD".to_owned());
    let with = |extension: &str| PathBuf::from(format!("{}{extension}", file.display()));
    let named = file.extension().is_some().then(|| file.to_owned());
    named.into_iter().chain(extensions.split(';').filter(|it| !it.is_empty()).map(with)).collect()
}

#[cfg(unix)]
fn may_run(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(windows)]
fn may_run(_: &Path) -> bool {
    true
}

fn is_common(name: &str) -> bool {
    COMMON.iter().any(|common| is_same_name(common, name)) || (cfg!(unix) && name.starts_with("LC_"))
}

fn is_same_name(one: &str, other: &str) -> bool {
    if cfg!(windows) { one.eq_ignore_ascii_case(other) } else { one == other }
}

/// Marks of outer runs that are handed on; more would mean that we run inside ourselves without end.
const INHERITED_BYTES_MAX: usize = 1024;

/// Looks around before giving up on processes that appear faster than they are struck.
const SWEEPS_MAX: usize = 100;
const SWEEP_PAUSE: Duration = Duration::from_millis(5);

/// What every child gets of ours, if we have it. On the way to the network there is often a proxy and a
/// certificate of the company's own, without which nothing works; they are places, not secrets.
#[cfg(unix)]
const COMMON: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "TZ",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
];

/// The same for Windows, where programs do not start without some of these. Untested.
#[cfg(windows)]
const COMMON: &[&str] = &[
    "PATH",
    "PATHEXT",
    "COMSPEC",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "TEMP",
    "TMP",
    "USERNAME",
    "USERPROFILE",
    "HOMEDRIVE",
    "HOMEPATH",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "PROGRAMFILES(X86)",
    "PROCESSOR_ARCHITECTURE",
    "NUMBER_OF_PROCESSORS",
    "LANG",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
];

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn command() -> Command {
        Command { program: "x".into(), args: vec![], env: vec![], folder: "/".into(), inherit_env: vec![] }
    }

    fn child_sees(command: &Command, ours: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        let ours = ours.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let cookie =
            Cookie { run: "ab".into(), identity: "1d".into(), inherited: None, spawned: AtomicU64::new(6) };
        environment(command, &cookie.mark(), ours).into_iter().collect()
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        of.iter().map(|&(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn a_child_sees_the_short_list_and_its_mark_and_nothing_else() {
        let ours = [
            ("HOME", "/h"),
            ("LC_ALL", "C"),
            ("https_proxy", "p"),
            ("OPENAI_API_KEY", "secret"),
            ("BRAID_CONFIG", "/x"),
            ("PATHOLOGY", "1"),
            ("TERM", "() { evil; }"),
        ];
        let sees = pairs(&[("BRAID_RUN", "ab.7.1d"), ("HOME", "/h"), ("LC_ALL", "C"), ("https_proxy", "p")]);
        assert_eq!(child_sees(&command(), &ours), sees);
    }

    #[test]
    fn inherited_names_are_added_and_declared_values_win_but_not_over_the_mark() {
        let mut command = command();
        command.inherit_env = vec!["EDITOR".into(), "ABSENT".into()];
        command.env = vec![("HOME".into(), Secret::new("/mine")), (MARK_VARIABLE.into(), Secret::new("no"))];
        let ours = [("HOME", "/h"), ("EDITOR", "vi"), ("PAGER", "less")];
        assert_eq!(
            child_sees(&command, &ours),
            pairs(&[("BRAID_RUN", "ab.7.1d"), ("EDITOR", "vi"), ("HOME", "/mine")])
        );
    }

    #[test]
    fn a_run_inside_a_run_carries_both_marks() {
        let cookie = Cookie {
            run: "cd".into(),
            identity: "1d".into(),
            inherited: Some("ab.1.0e".into()),
            spawned: AtomicU64::new(0),
        };
        let mark = cookie.mark();
        assert_eq!((mark.word(), mark.value.as_str()), ("cd.1.1d", "ab.1.0e,cd.1.1d"));
        assert_eq!(cookie.outer().collect::<Vec<_>>(), ["0e"]);
    }

    #[test]
    fn no_two_runs_are_alike() {
        let (one, other) = (Cookie::new("1d").unwrap(), Cookie::new("1d").unwrap());
        assert_eq!(one.run().len(), 32);
        assert_ne!(one.run(), other.run());
    }

    #[test]
    fn a_program_is_looked_up_in_the_path_of_the_child() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let put = |name: &str, mode| {
            let file = here.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            file
        };
        let (a, b) = (put("a/tool", 0o755), put("b/tool", 0o755));
        let plain = put("a/plain", 0o644);
        let path = |names: &[&str]| std::env::join_paths(names.iter().map(|name| here.join(name))).unwrap();

        assert_eq!(find("tool", &path(&["none", "b", "a"]), here), Ok(b.clone()));
        assert_eq!(find("a/tool", &path(&["b"]), here), Ok(a.clone()));
        assert_eq!(find("./a/tool", OsStr::new(""), here).unwrap().canonicalize().unwrap(), a);
        assert_eq!(find(b.to_str().unwrap(), OsStr::new(""), here), Ok(b));
        assert_eq!(find("tool", OsStr::new("a"), here), Ok(a), "relative to the child's folder");
        assert_eq!(find("plain", &path(&["a"]), here), Err(Some(plain)));
        assert_eq!(find("tool", OsStr::new(""), &here.join("a")), Err(None));
        assert_eq!(find("a", &path(&["."]), here), Err(None), "a folder is no program");
    }
}
