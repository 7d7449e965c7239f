//! What `check` has found out: plain data, of which the screen and the JSON are two views.
//!
//! Its fields are the members of `check --json`, in this order; they keep their names and meanings. Nothing is looked up,
//! measured or drawn here. Texts of peers stand in it as they were said.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::config::codes::Code;

/// Everything.
#[derive(Debug, Default, Serialize)]
pub(in crate::cli) struct Report {
    /// Where the configuration came from.
    pub(super) config: String,
    /// The exit code that scripts get.
    pub(super) exit: u8,
    /// The outcome in one line.
    pub(super) summary: String,
    /// What to do next, where all is well.
    pub(super) next: Option<String>,
    pub(super) servers: Vec<Server>,
    pub(super) findings: Vec<Finding>,
    /// What is odd about the file itself, as in the error object of a file that cannot be used.
    pub(super) problems: Vec<Box<RawValue>>,
    /// `None`: nothing was started.
    #[serde(flatten)]
    pub(super) names: Option<Names>,
    pub(super) clients: Vec<Verdict>,
}

/// One configured server.
#[derive(Debug, Default, Serialize)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) state: Standing,
    pub(super) transport: String,
    pub(super) revision: Option<String>,
    pub(super) took_ms: Option<u64>,
    pub(super) tools: usize,
    pub(super) prompts: usize,
    pub(super) resources: usize,
    pub(super) templates: usize,
    /// What it lists and no client sees.
    pub(super) hidden: usize,
    /// What is wrong, a sentence each.
    pub(super) notes: Vec<String>,
    pub(super) error: Option<Failure>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Standing {
    Ready,
    /// It could not be started or reached.
    Down,
    /// Nothing was started.
    #[default]
    Unchecked,
}

/// Why a server is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    #[serde(serialize_with = "id")]
    pub(super) code: Code,
    pub(super) message: String,
    /// What explains it.
    pub(super) facts: Vec<String>,
    /// What would help, any of it.
    pub(super) fixes: Vec<String>,
    /// The last lines that the program wrote.
    pub(super) stderr: Vec<String>,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), facts: Vec::new(), fixes: Vec::new(), stderr: Vec::new() }
    }

    /// Whether what explains one explains the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let is_silent = self.stderr.is_empty() && other.stderr.is_empty() && !self.facts.is_empty();
        is_silent && self.code == other.code && self.message == other.message && self.facts == other.facts
    }
}

/// Something that a person should know though it fails nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Finding {
    #[serde(serialize_with = "id")]
    pub(super) code: Code,
    pub(super) severity: Severity,
    /// Whose it is; `None`: of the configuration, or of all servers together.
    pub(super) server: Option<String>,
    pub(super) text: String,
    pub(super) help: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// `--strict` fails for it.
    Warning,
    /// Good to know.
    Note,
}

impl Finding {
    pub(super) fn warning(server: Option<&str>, code: Code, text: impl Into<String>) -> Self {
        let server = server.map(str::to_owned);
        Self { code, severity: Severity::Warning, server, text: text.into(), help: None }
    }

    pub(super) fn note(server: Option<&str>, code: Code, text: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::warning(server, code, text) }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// What clients get to see, in numbers.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Names {
    pub(super) tools: usize,
    /// Characters of the longest exposed name of a tool or a prompt, and what `names.max_length` allows.
    pub(super) longest_name: usize,
    pub(super) longest_name_max: usize,
    /// What all definitions of tools cost a model, roughly.
    pub(super) definition_tokens: usize,
    pub(super) largest_tools: Vec<Largest>,
}

/// A tool whose definition is among the largest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Largest {
    pub(super) name: String,
    pub(super) server: String,
    pub(super) tokens: usize,
}

/// What one client makes of all this.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Verdict {
    /// As `--client` takes it.
    pub(super) client: &'static str,
    #[serde(skip)]
    pub(super) title: &'static str,
    /// It takes all that there is.
    pub(super) fits: bool,
    pub(super) tools_max: Option<usize>,
    pub(super) longest_name_max: usize,
    /// Where it cuts descriptions and instructions, and what it takes of one result.
    pub(super) text_bytes_max: Option<usize>,
    pub(super) result_tokens_max: Option<usize>,
    #[serde(skip)]
    pub(super) names_fit: bool,
    #[serde(skip)]
    pub(super) tools_fit: bool,
}

impl Report {
    /// Servers that could not be started or reached.
    pub(super) fn down(&self) -> usize {
        self.servers.iter().filter(|server| server.state == Standing::Down).count()
    }

    /// What `--strict` fails for.
    pub(super) fn warnings(&self) -> usize {
        let findings = self.findings.iter().filter(|finding| finding.severity == Severity::Warning).count();
        let troubled = self.servers.iter().filter(|server| server.state == Standing::Ready);
        findings + self.problems.len() + troubled.map(|server| server.notes.len()).sum::<usize>()
    }

    /// How often each code of a failure stands there.
    pub(super) fn failures(&self) -> BTreeMap<Code, usize> {
        let mut codes = BTreeMap::new();
        for failure in self.servers.iter().filter_map(|server| server.error.as_ref()) {
            *codes.entry(failure.code).or_default() += 1;
        }
        codes
    }

    /// On one line.
    pub(super) fn to_json(&self) -> String {
        // Texts and numbers only: serialising them cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn id<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.id())
}
