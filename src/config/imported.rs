//! One server of a client's file as a section of a `braid.toml`.
//!
//! Owns what is written for it, line by line, and what of that may be shown: values that stand in the client's file
//! itself are secrets until somebody says otherwise. Whether there is a place for it in a file, `import` decides.

use std::path::{Path, PathBuf};

use super::app::App;
use super::client_entry::Beside;
use super::client_file::{Input, Taken};
use super::codes::Code;
use super::file::Loaded;
use super::places::Scope;
use super::problem::{Problem, Report, Severity};
pub use super::shown::HIDDEN;
use super::shown::{self, refers};
use super::variables::{Purpose, Surroundings};
use super::{
    Filter, Reach, Remote, Secret, ServerConfig, Timeouts, Transport, file, remote, toml_text, translate,
    units,
};

/// A client's file, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub app: Option<App>,
    pub path: PathBuf,
    pub scope: Scope,
    /// Where in the file the servers stand, if that is not where they usually do.
    pub within: Vec<String>,
}

/// Where the servers go.
pub struct Target<'a> {
    /// The folder that relative paths of the new file start from.
    pub folder: &'a Path,
    /// What a Braid with that file listens on.
    pub ports: &'a [u16],
}

/// One server as it is written into a `braid.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    pub name: String,
    pub app: Option<App>,
    pub from: PathBuf,
    pub enabled: bool,
    /// What it needs and does not find here, so that it is written as disabled.
    pub lacks: Vec<String>,
    lines: Vec<(&'static str, Item)>,
}

#[derive(Clone, PartialEq, Eq)]
enum Item {
    Text(String),
    Texts(Vec<String>),
    /// Each may be a secret.
    Pairs(Vec<(String, Secret)>),
    Flag(bool),
    Lists(Vec<(&'static str, Vec<String>)>),
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[item]")
    }
}

/// Whether values that stand in the client's file itself are written or hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literals {
    Written,
    Hidden,
}

impl Imported {
    pub(super) fn of(origin: &Origin, folder: &Path, taken: Taken, target: &Target<'_>) -> Self {
        let Taken { server, beside, enabled } = taken;
        let mut lines = match &server.reach {
            Reach::Stdio(_) => program(&server, &beside, origin.scope, folder, target.folder),
            Reach::Http(remote) => remote_lines(remote),
        };
        let mut flag =
            |key, flag: bool, usual: bool| lines.extend((flag != usual).then_some((key, Item::Flag(flag))));
        flag("enabled", enabled, true);
        flag("required", server.required, false);
        lines.extend(timeouts(&server.timeouts));
        lines.extend(tools(&server.filters.tools));
        Self {
            name: server.key,
            app: origin.app,
            from: origin.path.clone(),
            enabled,
            lacks: Vec::new(),
            lines,
        }
    }

    /// Its section, with its header.
    pub fn section(&self, literals: Literals) -> String {
        let client = self.app.map_or_else(String::new, |app| format!("{}, ", app.title()));
        let from = self.from.display().to_string().replace(char::is_control, "?");
        let mut text = format!("# from {client}{from}\n[servers.{}]\n", toml_text::key(&self.name));
        for (key, item) in &self.lines {
            text.push_str(&format!("{key} = {}\n", item.written(key, literals)));
        }
        text
    }

    /// The program and its arguments, for showing, or `None` for a remote server.
    pub fn command(&self) -> Option<Vec<String>> {
        let Some(Item::Text(program)) = self.item("command") else { return None };
        let args = match self.item("args") {
            Some(Item::Texts(args)) => args.as_slice(),
            Some(Item::Text(_) | Item::Pairs(_) | Item::Flag(_) | Item::Lists(_)) | None => &[],
        };
        Some(shown::words(std::iter::once(program.as_str()).chain(args.iter().map(String::as_str))))
    }

    /// The URL, without a query, which may hold a token.
    pub fn url(&self) -> Option<String> {
        let Some(Item::Text(url)) = self.item("url") else { return None };
        Some(Item::Text(url.clone()).shown_text("url", Literals::Hidden))
    }

    /// The folder and the file of variables that it names, for showing.
    pub fn paths(&self) -> Vec<(&'static str, &str)> {
        let named = ["cwd", "env_file"].into_iter().filter_map(|key| match self.item(key) {
            Some(Item::Text(text)) => Some((key, text.as_str())),
            Some(Item::Texts(_) | Item::Pairs(_) | Item::Flag(_) | Item::Lists(_)) | None => None,
        });
        named.collect()
    }

    /// Names of variables, or of headers.
    pub fn names(&self, key: &str) -> Vec<&str> {
        self.pairs(key).iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The program that makes further headers, for showing.
    pub fn headers_command(&self) -> Option<Vec<String>> {
        match self.item("headers_command") {
            Some(Item::Texts(words)) => Some(shown::words(words.iter().map(String::as_str))),
            Some(Item::Text(_) | Item::Pairs(_) | Item::Flag(_) | Item::Lists(_)) | None => None,
        }
    }

    /// Names of variables and headers whose values stand in the client's file and look like secrets.
    pub fn secrets(&self) -> Vec<&str> {
        let pairs = self.pairs("env").iter().chain(self.pairs("headers"));
        let literal = pairs.filter(|(name, value)| {
            let text = value.expose();
            is_telltale(name) && !text.is_empty() && !has_reference(text)
        });
        literal.map(|(name, _)| name.as_str()).collect()
    }

    /// Whether some value would be hidden.
    pub fn has_literals(&self) -> bool {
        self.section(Literals::Written) != self.section(Literals::Hidden)
    }

    fn item(&self, key: &str) -> Option<&Item> {
        self.lines.iter().find(|(own, _)| *own == key).map(|(_, item)| item)
    }

    fn pairs(&self, key: &str) -> &[(String, Secret)] {
        match self.item(key) {
            Some(Item::Pairs(pairs)) => pairs,
            Some(Item::Text(_) | Item::Texts(_) | Item::Flag(_) | Item::Lists(_)) | None => &[],
        }
    }

    pub(super) fn asks(&self, input: &Input) -> bool {
        let reference = translate::input(&input.id, usable_default(input));
        let mut found = false;
        self.clone().each_text(|text| found |= text.contains(&reference));
        found
    }

    /// Puts what a person answered in the place of the variable that would stand for it.
    pub fn answer(&mut self, input: &Input, answer: &str) {
        let reference = translate::input(&input.id, usable_default(input));
        self.each_text(|text| *text = text.replace(&reference, &translate::plain(answer)));
    }

    /// Switches it off if it could not be loaded now: one variable that is not set would keep all of the file from
    /// loading, where a client would leave out one server.
    pub fn spare(&mut self, surroundings: &Surroundings<'_>, folder: &Path) {
        if !self.enabled {
            return;
        }
        let problems = self
            .load(surroundings, folder, Purpose::Run)
            .map_or_else(|report| report.problems, |_| Vec::new());
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
        self.lacks = errors.filter(|problem| needs_something(problem.code)).map(Problem::words).collect();
        if !self.lacks.is_empty() {
            self.enabled = false;
            self.lines.push(("enabled", Item::Flag(false)));
        }
    }

    /// Its section as a file of its own; one that is switched off is looked at as if it were not.
    pub(super) fn load(
        &self,
        surroundings: &Surroundings<'_>,
        folder: &Path,
        purpose: Purpose,
    ) -> Result<Loaded, Report> {
        let lines = self.lines.iter().filter(|(key, _)| *key != "enabled").cloned().collect();
        let section = Self { lines, ..self.clone() }.section(Literals::Written);
        file::from_text_with(&section, "braid.toml", folder, surroundings, purpose)
    }

    fn each_text(&mut self, mut change: impl FnMut(&mut String)) {
        for (_, item) in &mut self.lines {
            match item {
                Item::Text(text) => change(text),
                Item::Texts(texts) => texts.iter_mut().for_each(&mut change),
                Item::Pairs(pairs) => pairs.iter_mut().for_each(|(_, value)| {
                    let mut text = value.expose().to_owned();
                    change(&mut text);
                    *value = Secret::new(text);
                }),
                Item::Flag(_) | Item::Lists(_) => {}
            }
        }
    }
}

impl Item {
    fn written(&self, key: &str, literals: Literals) -> String {
        match self {
            Self::Text(_) => toml_text::quoted(&self.shown_text(key, literals)),
            Self::Texts(texts) => match literals {
                Literals::Written => toml_text::list(texts),
                Literals::Hidden => toml_text::list(&shown::words(texts.iter().map(String::as_str))),
            },
            Self::Pairs(pairs) => {
                let shown = pairs.iter().map(|(name, value)| {
                    let hidden =
                        literals == Literals::Hidden && !refers(value.expose()) && !value.expose().is_empty();
                    (name, if hidden { HIDDEN } else { value.expose() })
                });
                toml_text::table(&shown.collect::<Vec<_>>())
            }
            Self::Flag(flag) => flag.to_string(),
            Self::Lists(lists) => {
                let lists: Vec<_> =
                    lists.iter().map(|(key, texts)| format!("{key} = {}", toml_text::list(texts))).collect();
                format!("{{ {} }}", lists.join(", "))
            }
        }
    }

    fn shown_text(&self, key: &str, literals: Literals) -> String {
        let Self::Text(text) = self else { return String::new() };
        match text.split_once('?') {
            Some((place, query)) if key == "url" && literals == Literals::Hidden && !query.is_empty() => {
                format!("{place}?{HIDDEN}")
            }
            Some(_) | None => text.clone(),
        }
    }
}

fn program(
    server: &ServerConfig,
    beside: &Beside,
    scope: Scope,
    folder: &Path,
    target: &Path,
) -> Vec<(&'static str, Item)> {
    let Reach::Stdio(command) = &server.reach else { return Vec::new() };
    let mut lines = vec![("command", Item::Text(tidy(&command.program)))];
    lines.extend((!command.args.is_empty()).then(|| ("args", Item::Texts(command.args.clone()))));
    lines.extend((!command.env.is_empty()).then(|| ("env", Item::Pairs(command.env.clone()))));
    lines.extend(beside.env_file.iter().map(|path| ("env_file", Item::Text(tidy(path)))));
    // Wherever a user's own file is, clients do not start servers there; in a project they do.
    let project = folder.to_str().filter(|_| scope == Scope::Project).map(str::to_owned);
    let cwd = beside.cwd.clone().or(project).filter(|cwd| Path::new(cwd) != target);
    lines.extend(cwd.map(|cwd| ("cwd", Item::Text(tidy(&cwd)))));
    lines.extend(
        (!command.inherit_env.is_empty()).then(|| ("inherit_env", Item::Texts(command.inherit_env.clone()))),
    );
    lines
}

fn remote_lines(remote: &Remote) -> Vec<(&'static str, Item)> {
    let mut lines = vec![("url", Item::Text(remote.url.clone()))];
    let transport = match remote.transport {
        Transport::Auto => None,
        Transport::Http => Some("http"),
        Transport::Sse => Some("sse"),
    };
    lines.extend(transport.map(|word| ("transport", Item::Text(word.to_owned()))));
    lines.extend((!remote.headers.is_empty()).then(|| ("headers", Item::Pairs(remote.headers.clone()))));
    let command = remote.headers_command.as_ref();
    lines.extend(command.map(|command| {
        let words = std::iter::once(&command.program).chain(&command.args).cloned();
        ("headers_command", Item::Texts(words.collect()))
    }));
    lines
}

fn timeouts(timeouts: &Timeouts) -> Vec<(&'static str, Item)> {
    let usual = Timeouts::default();
    let text = |time| Item::Text(units::duration_text(time));
    let mut lines = Vec::new();
    lines.extend((timeouts.start != usual.start).then(|| ("timeouts.start", text(timeouts.start))));
    lines.extend((timeouts.call != usual.call).then(|| ("timeouts.call", text(timeouts.call))));
    let longest = timeouts.call_max.filter(|_| timeouts.call_max != usual.call_max);
    lines.extend(longest.map(|time| ("timeouts.call_max", text(time))));
    lines
}

/// The line that says which tools are exposed; `None` when all are.
fn tools(filter: &Filter) -> Option<(&'static str, Item)> {
    let all = Filter::default();
    let lists = [("allow", &filter.allow, &all.allow), ("deny", &filter.deny, &all.deny)].into_iter();
    let lists: Vec<_> = lists
        .filter(|(_, names, usual)| names != usual)
        .map(|(key, names, _)| (key, names.clone()))
        .collect();
    (!lists.is_empty()).then_some(("tools", Item::Lists(lists)))
}

/// A path without parts that say nothing.
fn tidy(path: &str) -> String {
    if path.contains("/./") { path.replace("/./", "/") } else { path.to_owned() }
}

fn usable_default(input: &Input) -> Option<&str> {
    input.default.as_deref().filter(|text| !text.contains(['{', '}']))
}

fn has_reference(value: &str) -> bool {
    value.replace("$${", "").contains("${")
}

/// Whether it is something around the file that is wrong, and not the file.
fn needs_something(code: Code) -> bool {
    matches!(code, Code::UnsetVariable | Code::BadFileReference | Code::BadEnvFile)
}

fn is_telltale(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    remote::lets_in(&name)
        || ["credential", "passwd", "pwd", "dsn", "private"].iter().any(|part| name.contains(part))
}
