//! References in text: `${NAME}`, `${NAME:-default}`, `${env:NAME}`, `${file:PATH}` and a few fixed ones.
//!
//! Owns their grammar and what they stand for. It reads the environment only through the closure it was
//! given, and no file but those that `${file:…}` names. What a reference stood for never gets into a `Fault`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::codes::Code;
use super::env_file;
use super::translate;

/// What lies outside of the file: given from outside, so that tests decide.
pub struct Surroundings<'a> {
    /// Looks up an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// What `${braid}` stands for: the path of the running program.
    pub program: Option<PathBuf>,
    /// What `${cwd}` stands for: the folder that we were started in.
    pub current_folder: Option<PathBuf>,
    /// Every other file that was looked into, whether it could be read or not.
    pub files: RefCell<Vec<PathBuf>>,
}

impl<'a> Surroundings<'a> {
    /// Those of this process, with the environment as `env` tells it.
    pub fn of_process(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            env,
            program: std::env::current_exe().ok(),
            current_folder: std::env::current_dir().ok(),
            files: RefCell::default(),
        }
    }

    /// A file that what is read depends on.
    pub(super) fn looks_into(&self, path: &Path) {
        self.files.borrow_mut().push(path.to_owned());
    }

    /// The home folder of the user, as the environment tells it.
    pub fn home(&self) -> Option<PathBuf> {
        let home = (self.env)("HOME").or_else(|| (self.env)("USERPROFILE"))?;
        (!home.is_empty()).then(|| PathBuf::from(home))
    }
}

/// Whose references a text has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Those of `braid.toml`.
    Braid,
    /// Those of clients' own files: also `${input:ID}`; no escape.
    Client,
    /// The same, and `$NAME`, which stays as it is when it is not set.
    Dollar,
}

/// What is done with references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// They are replaced by what they stand for.
    Run,
    /// They stay as they are written, and nothing is looked up: for showing a configuration.
    Show,
    /// They stay references, in the words of `braid.toml`: for writing a client's entry into one.
    Import,
}

impl Purpose {
    /// Whether texts still have their references, so that nobody can judge what they will say.
    pub(super) fn keeps_references(self) -> bool {
        match self {
            Self::Run => false,
            Self::Show | Self::Import => true,
        }
    }
}

/// Expands the references of one file.
pub struct Variables<'a> {
    pub surroundings: &'a Surroundings<'a>,
    /// Relative paths start here; `${workspaceFolder}` stands for it.
    pub folder: &'a Path,
    pub dialect: Dialect,
    pub purpose: Purpose,
    /// What `${input:ID}` stands for when the environment has no `MCP_INPUT_<ID>`.
    pub inputs: BTreeMap<String, String>,
}

/// A text without references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    pub text: String,
    /// Some of it came from outside of the file and must not be shown.
    pub from_outside: bool,
}

/// A reference that stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// As it is written, such as `${TOKEN}`.
    pub reference: String,
    pub code: Code,
    pub message: String,
    pub help: Option<String>,
}

/// Longest content of a file that a reference names.
pub const REFERENCED_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Longest text after expansion.
pub const EXPANDED_BYTES_MAX: usize = 1024 * 1024;
/// Defaults inside of defaults inside of defaults.
const DEFAULT_DEPTH_MAX: usize = 8;

impl Variables<'_> {
    /// The variables of a file, or why it cannot be used.
    pub(super) fn env_file(&self, path: &Path) -> Result<Vec<(String, String)>, String> {
        self.surroundings.looks_into(path);
        env_file::read(path)
    }

    /// Replaces every reference, or says which of them stand for nothing.
    pub fn expand(&self, text: &str) -> Result<Expanded, Vec<Fault>> {
        match self.purpose {
            Purpose::Run => self.expand_to_depth(text, 0),
            Purpose::Show => Ok(Expanded { text: text.to_owned(), from_outside: false }),
            Purpose::Import => translate::text(self, text).map(|text| Expanded { text, from_outside: false }),
        }
    }

    fn expand_to_depth(&self, text: &str, depth: usize) -> Result<Expanded, Vec<Fault>> {
        let mut expanded = Expanded { text: String::new(), from_outside: false };
        let mut faults = Vec::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            let (plain, tail) = rest.split_at(dollar);
            expanded.text.push_str(plain);
            if self.dialect == Dialect::Braid && tail.starts_with("$${") {
                expanded.text.push_str("${");
                rest = tail.get(3..).unwrap_or_default();
            } else if tail.starts_with("${") {
                let Some(end) = closing_brace(tail) else {
                    faults.push(Fault {
                        reference: tail.to_owned(),
                        code: Code::BadReference,
                        message: "reference without a closing `}`".to_owned(),
                        help: self.escape_help(),
                    });
                    break;
                };
                let (reference, after) = tail.split_at(end + 1);
                match self.value(reference, depth) {
                    Ok(value) => {
                        expanded.text.push_str(&value.text);
                        expanded.from_outside |= value.from_outside;
                    }
                    Err(found) => faults.extend(found),
                }
                rest = after;
            } else {
                let name = dollar_name(tail);
                let value = if self.dialect == Dialect::Dollar && !name.is_empty() {
                    (self.surroundings.env)(name)
                } else {
                    None
                };
                let taken = if let Some(value) = value {
                    expanded.text.push_str(&value);
                    expanded.from_outside = true;
                    1 + name.len()
                } else {
                    expanded.text.push('$');
                    1
                };
                rest = tail.get(taken..).unwrap_or_default();
            }
            if expanded.text.len() > EXPANDED_BYTES_MAX {
                return Err(vec![Fault {
                    reference: text.chars().take(40).collect(),
                    code: Code::OutOfBounds,
                    message: "text is longer than 1 MiB after its references are replaced".to_owned(),
                    help: None,
                }]);
            }
        }
        expanded.text.push_str(rest);
        if faults.is_empty() { Ok(expanded) } else { Err(faults) }
    }

    /// What one `${…}` stands for.
    fn value(&self, reference: &str, depth: usize) -> Result<Expanded, Vec<Fault>> {
        let inner =
            reference.strip_prefix("${").and_then(|inner| inner.strip_suffix('}')).unwrap_or_default();
        let found = |value: String| Expanded { text: value, from_outside: true };
        if let Some(path) = inner.strip_prefix("file:") {
            return self.file(reference, path).map(found).map_err(|fault| vec![fault]);
        }
        if let Some(value) = self.fixed(inner) {
            return value.map(found).ok_or_else(|| {
                vec![Fault {
                    reference: reference.to_owned(),
                    code: Code::UnsetVariable,
                    message: format!("`{reference}` is not known here"),
                    help: None,
                }]
            });
        }
        let clients = self.dialect != Dialect::Braid;
        if let Some(id) = inner.strip_prefix("input:").filter(|_| clients) {
            return self.input(reference, id).map(found).map_err(|fault| vec![fault]);
        }
        let (named, default) =
            inner.split_once(":-").map_or((inner, None), |(named, default)| (named, Some(default)));
        let known = named.strip_prefix("env:").filter(|name| is_env_name(name));
        let Some(name) = known.or_else(|| is_plain_name(named).then_some(named)) else {
            return Err(vec![self.unreadable(reference, inner)]);
        };
        match ((self.surroundings.env)(name), default) {
            (Some(value), None) => Ok(found(value)),
            (Some(value), Some(_)) if !value.is_empty() => Ok(found(value)),
            (_, Some(_)) if depth >= DEFAULT_DEPTH_MAX => Err(vec![self.unreadable(reference, inner)]),
            (_, Some(default)) => self.expand_to_depth(default, depth + 1),
            (None, None) => Err(vec![Fault {
                reference: reference.to_owned(),
                code: Code::UnsetVariable,
                message: format!("environment variable `{name}` is not set"),
                help: Some(match self.dialect {
                    Dialect::Braid => format!(
                        "set `{name}` where Braid is started, give a default with `${{{named}:-…}}`, or write `$${{` for a literal `${{`"
                    ),
                    Dialect::Client | Dialect::Dollar => format!("set `{name}` where Braid is started"),
                }),
            }]),
        }
    }

    /// References whose names are ours; the outer `None` means that the name is not fixed.
    fn fixed(&self, inner: &str) -> Option<Option<String>> {
        let path_text = |path: Option<&Path>| path.and_then(Path::to_str).map(str::to_owned);
        let around = self.surroundings;
        match (self.dialect, inner) {
            (_, "userHome") => Some(path_text(around.home().as_deref())),
            (_, "cwd") => Some(path_text(around.current_folder.as_deref())),
            (Dialect::Braid, "braid") => Some(path_text(around.program.as_deref())),
            (_, "workspaceFolder") => Some(path_text(Some(self.folder))),
            (_, "workspaceFolderBasename") => Some(path_text(self.folder.file_name().map(Path::new))),
            (_, "/" | "pathSeparator") => Some(Some(std::path::MAIN_SEPARATOR_STR.to_owned())),
            (Dialect::Braid | Dialect::Client | Dialect::Dollar, _) => None,
        }
    }

    fn file(&self, reference: &str, path: &str) -> Result<String, Fault> {
        let fault = |message: String| Fault {
            reference: reference.to_owned(),
            code: Code::BadFileReference,
            message,
            help: None,
        };
        if path.is_empty() || path.contains('\0') {
            return Err(fault("`${file:…}` needs a path".to_owned()));
        }
        let path = self.path(path);
        self.surroundings.looks_into(&path);
        let content = read_small(&path, REFERENCED_FILE_BYTES_MAX)
            .map_err(|reason| fault(format!("`{}` {reason}", path.display())))?;
        let content = content.strip_suffix('\n').unwrap_or(&content);
        Ok(content.strip_suffix('\r').unwrap_or(content).to_owned())
    }

    /// VS Code asks a person for these; we ask the environment, then take the default of the file.
    fn input(&self, reference: &str, id: &str) -> Result<String, Fault> {
        let name = input_variable(id);
        (self.surroundings.env)(&name).or_else(|| self.inputs.get(id).cloned()).ok_or_else(|| Fault {
            reference: reference.to_owned(),
            code: Code::UnsetVariable,
            message: format!("environment variable `{name}` is not set"),
            help: Some(format!("set `{name}` to what the client would ask for")),
        })
    }

    /// A path as the file writes it: from its folder, and `~/` from the home folder.
    pub fn path(&self, written: &str) -> PathBuf {
        self.folder.join(tilde(written, self.surroundings))
    }

    /// A program with a slash is a path from the file's folder; without, it is looked for in PATH.
    pub fn program(&self, written: &str) -> String {
        let is_path = written.contains('/') || (cfg!(windows) && written.contains('\\'));
        if !is_path || self.stays(written) {
            return written.to_owned();
        }
        // A path that is no text cannot have come from a text, except through the folder's own name.
        self.path(written).to_str().map_or_else(|| written.to_owned(), str::to_owned)
    }

    /// The folder that a child runs in: the file's own unless another is written.
    pub fn folder_of(&self, written: &str) -> PathBuf {
        match written {
            "" | "." => self.folder.to_owned(),
            _ if self.stays(written) => PathBuf::from(written),
            _ => self.path(written),
        }
    }

    /// The path of a file; `None` where none is written.
    pub fn file_of(&self, written: &str) -> Option<PathBuf> {
        let stays = self.stays(written).then(|| PathBuf::from(written));
        (!written.is_empty()).then(|| stays.unwrap_or_else(|| self.path(written)))
    }

    /// Where references stay, a path that begins with a reference stays as it is written.
    fn stays(&self, path: &str) -> bool {
        self.purpose.keeps_references() && path.starts_with("${")
    }

    fn unreadable(&self, reference: &str, inner: &str) -> Fault {
        let help = match inner {
            _ if inner.starts_with("input:") => Some("use `${NAME}` with an environment variable".to_owned()),
            _ => self.escape_help(),
        };
        Fault {
            reference: reference.to_owned(),
            code: Code::BadReference,
            message: "reference that cannot be read".to_owned(),
            help,
        }
    }

    fn escape_help(&self) -> Option<String> {
        (self.dialect == Dialect::Braid).then(|| {
            "known are `${NAME}`, `${NAME:-default}`, `${env:NAME}`, `${file:PATH}`, `${userHome}`, `${cwd}`, `${braid}`; `$${` is a literal `${`"
                .to_owned()
        })
    }
}

/// A leading `~/` is the home folder, as in a shell; anything else stays.
fn tilde(path: &str, surroundings: &Surroundings<'_>) -> PathBuf {
    let inside = path.strip_prefix("~/");
    inside.zip(surroundings.home()).map_or_else(|| PathBuf::from(path), |(inside, home)| home.join(inside))
}

/// Reads a small text file, or says in a few words why it cannot be used.
pub(super) fn read_small(path: &Path, bytes_max: u64) -> Result<String, String> {
    // Reading a terminal, a pipe or our own stdin would wait for ever or eat the client's messages.
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err("is not a regular file".to_owned()),
        Ok(_) => {}
        Err(error) => return Err(format!("cannot be read: {}", reason(&error))),
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {}", reason(&error)))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > bytes_max) {
        return Err(format!("is larger than {} KiB", bytes_max / 1024));
    }
    String::from_utf8(bytes).map_err(|_| "is not text in UTF-8".to_owned())
}

/// The reason of a failed read, without the system's number.
pub(super) fn reason(error: &std::io::Error) -> String {
    let kind = error.kind();
    if kind == std::io::ErrorKind::NotFound {
        return "no such file".to_owned();
    }
    kind.to_string()
}

/// The `}` that closes the `${` that the text starts with; those of inner references are passed over.
pub(super) fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        if c == '{' && previous == '$' {
            open += 1;
        } else if c == '}' {
            open = open.saturating_sub(1);
            if open == 0 {
                return Some(at);
            }
        }
        previous = c;
    }
    None
}

pub(super) fn dollar_name(text: &str) -> &str {
    let after = text.strip_prefix('$').unwrap_or_default();
    let length = after.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let name = after.get(..length).unwrap_or_default();
    if name.starts_with(|c: char| c.is_ascii_digit()) { "" } else { name }
}

/// The variable that stands for an input that a person would be asked for.
pub(super) fn input_variable(id: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("MCP_INPUT_{}", id.chars().map(upper).collect::<String>())
}

pub(super) fn is_plain_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Windows has `ProgramFiles(x86)`; what no system allows is `=` and NUL.
pub(super) fn is_env_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        let value = match name {
            "A" => "a",
            "EMPTY" => "",
            "HOME" => "/home/ana",
            "odd name(x)" => "odd",
            "TRICK" => "${A}",
            "MCP_INPUT_API_KEY" => "asked",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn expand_as(dialect: Dialect, purpose: Purpose, text: &str) -> Result<String, Vec<Fault>> {
        let surroundings = Surroundings {
            env: &env,
            program: Some(PathBuf::from("/bin/braid")),
            current_folder: Some(PathBuf::from("/started/here")),
            files: RefCell::default(),
        };
        let folder = std::env::temp_dir();
        let inputs = BTreeMap::from([("region".to_owned(), "eu".to_owned())]);
        let variables = Variables { surroundings: &surroundings, folder: &folder, dialect, purpose, inputs };
        variables.expand(text).map(|expanded| expanded.text)
    }

    fn expand(text: &str) -> Result<String, Vec<Fault>> {
        expand_as(Dialect::Braid, Purpose::Run, text)
    }

    #[test]
    fn references_are_replaced() {
        for (text, expected) in [
            ("", ""),
            ("plain $ $A $$ {} }", "plain $ $A $$ {} }"),
            ("${A}", "a"),
            ("x${A}y${A}z", "xayaz"),
            ("${env:A}", "a"),
            ("${env:odd name(x)}", "odd"),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("${NO:-d e}", "d e"),
            ("${NO:-}", ""),
            ("${env:NO:-d}", "d"),
            ("${A:-d}", "a"),
            ("${NO:-${A}}", "a"),
            ("${NO:-${ALSO_NO:-x}}y", "xy"),
            ("${NO:-a:-b}", "a:-b"),
            ("${userHome}/x", "/home/ana/x"),
            ("${cwd}", "/started/here"),
            ("${braid}", "/bin/braid"),
            ("${/}", std::path::MAIN_SEPARATOR_STR),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("é${A}é", "éaé"),
            // What a variable holds is taken as it is.
            ("${TRICK}", "${A}"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn every_unset_variable_of_a_text_is_named() {
        let faults = expand("${NO} ${A} ${env:ALSO}").unwrap_err();
        let references: Vec<_> = faults.iter().map(|fault| fault.reference.as_str()).collect();
        assert_eq!(references, ["${NO}", "${env:ALSO}"]);
        assert!(faults.iter().all(|fault| fault.code == Code::UnsetVariable));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "${",
            "${}",
            "${A",
            "${ A}",
            "${1A}",
            "${A-b}",
            "${A:b}",
            "${env:}",
            "${env:a=b}",
            "${file:}",
            "${input:x}",
            "${NO:-${}}",
            "${é}",
        ] {
            assert!(expand(text).is_err(), "{text}");
        }
    }

    #[test]
    fn defaults_nest_only_so_deep() {
        let deep = format!("{}x{}", "${NO:-".repeat(9), "}".repeat(9));
        assert!(expand(&deep).is_err());
        let fine = format!("{}x{}", "${NO:-".repeat(8), "}".repeat(8));
        assert_eq!(expand(&fine).as_deref(), Ok("x"));
    }

    #[test]
    fn a_text_that_grows_without_end_is_refused() {
        let long = |name: &str| (name == "L").then(|| "x".repeat(600 * 1024));
        let surroundings =
            Surroundings { env: &long, program: None, current_folder: None, files: RefCell::default() };
        let variables = Variables {
            surroundings: &surroundings,
            folder: Path::new("/"),
            dialect: Dialect::Braid,
            purpose: Purpose::Run,
            inputs: BTreeMap::new(),
        };
        assert!(variables.expand("${L}").is_ok());
        assert_eq!(variables.expand("${L}${L}").unwrap_err()[0].code, Code::OutOfBounds);
    }

    #[test]
    fn a_file_stands_for_its_content_without_the_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let surroundings =
            Surroundings { env: &env, program: None, current_folder: None, files: RefCell::default() };
        let variables = Variables {
            surroundings: &surroundings,
            folder: folder.path(),
            dialect: Dialect::Braid,
            purpose: Purpose::Run,
            inputs: BTreeMap::new(),
        };
        let bytes_max = usize::try_from(REFERENCED_FILE_BYTES_MAX).unwrap();
        std::fs::write(folder.path().join("token"), "s3cret\r\n").unwrap();
        std::fs::write(folder.path().join("two"), "a\n\n").unwrap();
        std::fs::write(folder.path().join("full"), "x".repeat(bytes_max)).unwrap();
        std::fs::write(folder.path().join("large"), "x".repeat(bytes_max + 1)).unwrap();
        std::fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
        let text = |reference: &str| variables.expand(reference).map(|expanded| expanded.text);
        assert_eq!(text("<${file:token}>").as_deref(), Ok("<s3cret>"));
        assert_eq!(text("${file:two}").as_deref(), Ok("a\n"));
        assert_eq!(text("${file:full}").unwrap().len(), bytes_max);
        for (name, why) in [
            ("large", "is larger than 64 KiB"),
            ("binary", "is not text in UTF-8"),
            ("missing", "no such file"),
            (".", "is not a regular file"),
            ("/dev/zero", "is not a regular file"),
        ] {
            let faults = text(&format!("${{file:{name}}}")).unwrap_err();
            assert_eq!(faults[0].code, Code::BadFileReference);
            assert!(faults[0].message.contains(why), "{name}: {}", faults[0].message);
        }
    }

    #[test]
    fn clients_references_are_known_in_clients_files() {
        let client = |text: &str| expand_as(Dialect::Client, Purpose::Run, text);
        assert_eq!(client("${input:api-key} ${input:region}").as_deref(), Ok("asked eu"));
        assert_eq!(client("${/}").as_deref(), Ok(std::path::MAIN_SEPARATOR_STR));
        assert!(client("${workspaceFolder}").is_ok());
        assert_eq!(client("$A $${A}").as_deref(), Ok("$A $a"));
        assert_eq!(
            client("${input:other}").unwrap_err()[0].message,
            "environment variable `MCP_INPUT_OTHER` is not set"
        );
        assert_eq!(expand_as(Dialect::Dollar, Purpose::Run, "$A $NO $1 $").as_deref(), Ok("a $NO $1 $"));
    }

    #[test]
    fn nothing_is_replaced_for_showing() {
        assert_eq!(
            expand_as(Dialect::Braid, Purpose::Show, "${A} ${NO} $${").as_deref(),
            Ok("${A} ${NO} $${")
        );
    }
}
