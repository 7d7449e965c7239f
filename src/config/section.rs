//! A tree held against the schema: every key known, every value of its form and within its bounds.
//!
//! `Section::read` walks one table and reports everything that is wrong with it. What it returns holds checked
//! values only; a key with a mistake is left out, and the run will not start anyway. It knows forms, not
//! meanings: what keys say together is judged by `file`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::codes::Code;
use super::json_value;
use super::problem::{PROBLEMS_MAX, Problem, Source, quoted};
use super::rate::{Rate, RateFlaw};
use super::remote::{self, HeaderFlaw};
use super::schema::{self, Form, Rule, Setting, State};
use super::tree::{Entry, Node, Value};
use super::units;
use super::variables::{Expanded, Fault, Variables};

/// A table whose keys and values are checked.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// The key of the table, to point at; empty for the file itself.
    pub(super) span: Range<usize>,
    values: BTreeMap<&'static str, Checked>,
    sections: BTreeMap<&'static str, Self>,
    named: BTreeMap<&'static str, Vec<(String, Self)>>,
    /// Keys that stand there, fine or not, with the places of their values.
    present: Vec<(&'static Setting, Range<usize>)>,
    /// A key stands there that was probably meant to be `command` or `url`.
    pub(super) reach_misspelt: bool,
}

/// A value of its form, and where it stands.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) span: Range<usize>,
    value: Found,
}

#[derive(Debug)]
enum Found {
    Flag(bool),
    Text(String),
    /// With the place of each.
    Texts(Vec<String>, Vec<Range<usize>>),
    Variables(Vec<(String, String)>),
    /// Each value as JSON, on one line, with the place of its key.
    Values(Vec<(String, String, Range<usize>)>),
    Word(&'static str),
    Number(usize),
    Time(Duration),
    /// `None`: without one.
    Rate(Option<Rate>),
}

impl Section {
    /// Whether the key is written there, with a fine value or not.
    pub(super) fn has(&self, key: &str) -> Option<&Range<usize>> {
        self.present.iter().find(|(present, _)| present.key() == key).map(|(_, span)| span)
    }

    pub(super) fn checked(&self, key: &str) -> Option<&Checked> {
        self.values.get(key)
    }

    pub(super) fn section(&self, key: &str) -> Option<&Self> {
        self.sections.get(key)
    }

    pub(super) fn named(&self, key: &str) -> &[(String, Self)] {
        self.named.get(key).map_or(&[], Vec::as_slice)
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        if let Found::Flag(flag) = self.values.get(key)?.value { Some(flag) } else { None }
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        if let Found::Text(text) = &self.values.get(key)?.value { Some(text) } else { None }
    }

    pub(super) fn texts(&self, key: &str) -> Option<&[String]> {
        if let Found::Texts(texts, _) = &self.values.get(key)?.value { Some(texts) } else { None }
    }

    /// The same, each with its place.
    pub(super) fn placed_texts(&self, key: &str) -> impl Iterator<Item = (&str, &Range<usize>)> {
        let found = match self.values.get(key).map(|checked| &checked.value) {
            Some(Found::Texts(texts, spans)) => (texts.as_slice(), spans.as_slice()),
            Some(
                Found::Flag(_)
                | Found::Text(_)
                | Found::Variables(_)
                | Found::Values(_)
                | Found::Word(_)
                | Found::Number(_)
                | Found::Time(_)
                | Found::Rate(_),
            )
            | None => Default::default(),
        };
        found.0.iter().map(String::as_str).zip(found.1)
    }

    /// Every key that stands there, fine or not, with the place of its value.
    pub(super) fn present(&self) -> &[(&'static Setting, Range<usize>)] {
        &self.present
    }

    /// Names and values: of environment variables, or of headers.
    pub(super) fn variables(&self, key: &str) -> Option<&[(String, String)]> {
        if let Found::Variables(pairs) = &self.values.get(key)?.value { Some(pairs) } else { None }
    }

    /// Names, values as JSON, and where each name stands.
    pub(super) fn values(&self, key: &str) -> Option<&[(String, String, Range<usize>)]> {
        if let Found::Values(values) = &self.values.get(key)?.value { Some(values) } else { None }
    }

    pub(super) fn word(&self, key: &str) -> Option<&'static str> {
        if let Found::Word(word) = self.values.get(key)?.value { Some(word) } else { None }
    }

    /// A count, or a size in bytes.
    pub(super) fn number(&self, key: &str) -> Option<usize> {
        if let Found::Number(number) = self.values.get(key)?.value { Some(number) } else { None }
    }

    /// Zero means off; only keys for which that is allowed can be zero.
    pub(super) fn time(&self, key: &str) -> Option<Duration> {
        if let Found::Time(time) = self.values.get(key)?.value { Some(time) } else { None }
    }

    /// `Some(None)`: it is written that there is none.
    pub(super) fn rate(&self, key: &str) -> Option<Option<Rate>> {
        if let Found::Rate(rate) = self.values.get(key)?.value { Some(rate) } else { None }
    }
}

/// Holds a file against the schema and collects what is wrong.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Arc<Source>,
    /// The text as it was read, to find references in it.
    pub(super) raw: &'a str,
    pub(super) variables: &'a Variables<'a>,
    pub(super) problems: Vec<Problem>,
    /// In a server that is disabled: its references are checked by nobody.
    pub(super) disabled: bool,
}

/// Whether it is the one value that a section may be written as.
fn is_short(path: &str, node: &Node) -> bool {
    schema::short_form(path).is_some() && matches!(node.value, Value::Text(_))
}

/// Whether a table says that it is not in use: then nothing that it refers to needs to be there.
fn is_disabled(node: &Node) -> bool {
    node.get("enabled").is_some_and(|entry| entry.node.value == Value::Flag(false))
}

impl Reader<'_> {
    /// Reads the table of a section. `path` as in the schema, `at` as in the file.
    pub(super) fn section(&mut self, path: &str, at: &str, key_span: &Range<usize>, node: &Node) -> Section {
        let mut section = Section { span: key_span.clone(), ..Section::default() };
        for entry in node.entries() {
            let child_path = join(path, &entry.key);
            // A name such as `*` in a file must not be taken for the schema's own sign.
            let known = schema::setting(&child_path).filter(|setting| setting.key() != "*");
            let Some(setting) = known else {
                // Finding the nearest key costs more than reading one; nobody looks at that many.
                let suggestion = (self.problems.len() < PROBLEMS_MAX)
                    .then(|| schema::suggestion(path, at, &entry.key))
                    .flatten();
                let reaches = ["did you mean `command`?", "did you mean `url`?"];
                section.reach_misspelt |= suggestion.as_deref().is_some_and(|meant| reaches.contains(&meant));
                self.unknown(path, at, entry, suggestion);
                continue;
            };
            if let State::NotYet(instead) = setting.state {
                self.not_yet(setting, at, entry, instead);
                continue;
            }
            section.present.push((setting, entry.node.span.clone()));
            self.entry(&mut section, setting, &shown_path(at, &entry.key), entry);
        }
        section
    }

    fn entry(&mut self, section: &mut Section, setting: &'static Setting, at: &str, entry: &Entry) {
        let key = setting.key();
        match setting.form {
            Form::Section if entry.node.is_table() => {
                let inner = self.section(setting.path, at, &entry.key_span, &entry.node);
                section.sections.insert(key, inner);
            }
            Form::Section
                if schema::is_list_of_allowed(setting.path) && matches!(entry.node.value, Value::List(_)) =>
            {
                let only = schema::setting(&format!("{}.allow", setting.path));
                let inner = only.map(|only| self.short(only, at, entry));
                section.sections.extend(inner.map(|inner| (key, inner)));
            }
            Form::Named if entry.node.is_table() => {
                let inner = self.named(setting, at, &entry.node);
                section.named.insert(key, inner);
            }
            Form::Section | Form::Named => self.wrong_type(setting, at, &entry.node),
            Form::Flag
            | Form::Text(_)
            | Form::Texts(_)
            | Form::Variables
            | Form::Headers
            | Form::Values
            | Form::Word(_)
            | Form::Count { .. }
            | Form::Size { .. }
            | Form::Time { .. }
            | Form::Rate => {
                if let Some(value) = self.value(setting, at, entry) {
                    section.values.insert(key, Checked { span: entry.node.span.clone(), value });
                }
            }
        }
    }

    fn named(&mut self, setting: &'static Setting, at: &str, node: &Node) -> Vec<(String, Section)> {
        let mut sections = Vec::new();
        for entry in node.entries() {
            let at = shown_path(at, &entry.key);
            let problem = if entry.key.trim().is_empty() || entry.key.chars().any(char::is_control) {
                Some(self.error(Code::BadText, "this name cannot be used").at(
                    &entry.key_span,
                    "expected a name with at least one character, and without control characters",
                ))
            } else if entry.key.chars().count() > NAME_CHARS_MAX {
                Some(
                    self.error(Code::OutOfBounds, "name is too long")
                        .at(&entry.key_span, format!("expected at most {NAME_CHARS_MAX} characters")),
                )
            } else if sections.len() == NAMED_MAX {
                Some(
                    self.error(Code::OutOfBounds, format!("too many entries in `{}`", setting.path))
                        .at(&entry.key_span, format!("expected at most {NAMED_MAX}")),
                )
            } else if !entry.node.is_table() && !is_short(setting.path, &entry.node) {
                let what = match setting.path {
                    "servers" => "a server",
                    "groups" => "a group",
                    "listen.tokens" => "a holder of a token",
                    "access" => "a rule",
                    _ => "a tool",
                };
                let problem = self
                    .error(Code::WrongType, format!("{} is {what} and needs a table", quoted(&entry.key)))
                    .at(&entry.node.span, format!("expected a table, found {}", entry.node.kind()));
                Some(match setting.path {
                    "servers" => problem.help(SERVER_HELP),
                    "groups" => problem.help(GROUP_HELP),
                    "listen.tokens" => problem.help(TOKEN_HELP),
                    "access" => problem.help(ACCESS_HELP),
                    _ => problem,
                })
            } else {
                None
            };
            if let Some(problem) = problem {
                self.problems.push(problem);
                continue;
            }
            let path = format!("{}.*", setting.path);
            let outside = self.disabled;
            self.disabled = outside || is_disabled(&entry.node);
            let section = match schema::short_form(setting.path) {
                Some(only) if is_short(setting.path, &entry.node) => self.short(only, &at, entry),
                Some(_) | None => self.section(&path, &at, &entry.key_span, &entry.node),
            };
            self.disabled = outside;
            sections.push((entry.key.clone(), section));
        }
        sections
    }

    /// A section of which nothing but the value of one key is written.
    fn short(&mut self, only: &'static Setting, at: &str, entry: &Entry) -> Section {
        let mut section = Section { span: entry.key_span.clone(), ..Section::default() };
        section.present.push((only, entry.node.span.clone()));
        self.entry(&mut section, only, at, entry);
        section
    }

    fn value(&mut self, setting: &'static Setting, at: &str, entry: &Entry) -> Option<Found> {
        let node = &entry.node;
        match (setting.form, &node.value) {
            (Form::Flag, Value::Flag(flag)) => Some(Found::Flag(*flag)),
            (Form::Text(rule), Value::Text(text)) => {
                self.text(setting, at, rule, node, text).map(Found::Text)
            }
            (Form::Texts(rule), Value::List(items)) => self.texts(setting, at, rule, items),
            (Form::Variables, Value::Table(entries)) => self.pairs(setting, at, entries),
            (Form::Headers, Value::Table(entries)) => self.headers(setting, at, entries),
            (Form::Values, Value::Table(entries)) => {
                json_value::values(self, setting, at, entries).map(Found::Values)
            }
            (Form::Word(words), Value::Text(text)) => {
                let word = words.iter().find(|word| *word == text);
                if word.is_none() {
                    self.unknown_word(at, words, node, text);
                }
                word.map(|word| Found::Word(word))
            }
            (Form::Count { min, max }, Value::Integer(number)) => {
                let fine = usize::try_from(*number).ok().filter(|number| (min..=max).contains(number));
                if fine.is_none() {
                    self.out_of_bounds(setting, at, node, &min.to_string(), &max.to_string());
                }
                fine.map(Found::Number)
            }
            // Too long for an integer, but a whole number all the same.
            (Form::Count { min, max }, Value::Number(number))
                if number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') =>
            {
                self.out_of_bounds(setting, at, node, &min.to_string(), &max.to_string());
                None
            }
            (Form::Size { min, max }, Value::Text(text)) => {
                let Some(size) = units::size(text) else {
                    self.not_a_size(at, node);
                    return None;
                };
                let fine = (min..=max).contains(&size);
                if !fine {
                    self.out_of_bounds(setting, at, node, &units::size_text(min), &units::size_text(max));
                }
                fine.then_some(Found::Number(size))
            }
            (Form::Time { min_ms, max_ms, off }, Value::Text(text)) => {
                let Some(time) = units::duration(text) else {
                    self.not_a_duration(at, node);
                    return None;
                };
                let (min, max) = (Duration::from_millis(min_ms), Duration::from_millis(max_ms));
                let fine = (off && time.is_zero()) || (min..=max).contains(&time);
                if !fine {
                    self.out_of_bounds(
                        setting,
                        at,
                        node,
                        &units::duration_text(min),
                        &units::duration_text(max),
                    );
                }
                fine.then_some(Found::Time(time))
            }
            (Form::Rate, Value::Text(text)) if text == "0" => Some(Found::Rate(None)),
            (Form::Rate, Value::Text(text)) => match Rate::parse(text) {
                Ok(rate) => Some(Found::Rate(Some(rate))),
                Err(RateFlaw::Form) => {
                    self.not_a_rate(at, node);
                    None
                }
                Err(RateFlaw::Bounds) => {
                    self.out_of_bounds(setting, at, node, "1", &Rate::COUNT_MAX.to_string());
                    None
                }
            },
            (Form::Rate, Value::Integer(_) | Value::Number(_)) => {
                self.not_a_rate(at, node);
                None
            }
            // A bare number is the commonest mistake here, and the unit is what is missing.
            (Form::Time { .. }, Value::Integer(_) | Value::Number(_)) => {
                self.not_a_duration(at, node);
                None
            }
            (Form::Size { .. }, Value::Integer(_) | Value::Number(_)) => {
                self.not_a_size(at, node);
                None
            }
            _ => {
                self.wrong_type(setting, at, node);
                None
            }
        }
    }

    pub(super) fn text(
        &mut self,
        setting: &Setting,
        at: &str,
        rule: Rule,
        node: &Node,
        text: &str,
    ) -> Option<String> {
        let shows = self.disabled || self.variables.purpose.keeps_references();
        if shows && setting.expands() && text.contains("${") {
            return Some(text.to_owned());
        }
        let expanded = if setting.expands() {
            match self.variables.expand(text) {
                Ok(expanded) => expanded,
                Err(faults) => {
                    self.faults(node, faults);
                    return None;
                }
            }
        } else {
            Expanded { text: text.to_owned(), from_outside: false }
        };
        if let Err(expected) = rule.check(&expanded.text) {
            let problem = self
                .error(Code::BadText, format!("the value of `{at}` cannot be used"))
                .at(&node.span, expected);
            let problem = if expanded.from_outside {
                problem.help("the text is meant as it is after its references are replaced")
            } else {
                problem
            };
            self.problems.push(problem);
            return None;
        }
        Some(expanded.text)
    }

    fn texts(&mut self, setting: &Setting, at: &str, rule: Rule, items: &[Node]) -> Option<Found> {
        if items.len() > LIST_MAX {
            let problem = self.error(Code::OutOfBounds, format!("`{at}` has too many items")).at(
                &items.last().map_or(0..0, |item| item.span.clone()),
                format!("expected at most {LIST_MAX}"),
            );
            self.problems.push(problem);
            return None;
        }
        let mut texts = Vec::new();
        for item in items {
            let Value::Text(text) = &item.value else {
                let problem = self
                    .error(Code::WrongType, format!("`{at}` takes a list of texts"))
                    .at(&item.span, format!("expected text in quotes, found {}", item.kind()));
                self.problems.push(problem);
                continue;
            };
            texts.extend(self.text(setting, at, rule, item, text));
        }
        let spans = items.iter().map(|item| item.span.clone()).collect();
        (texts.len() == items.len()).then_some(Found::Texts(texts, spans))
    }

    fn pairs(&mut self, setting: &Setting, at: &str, entries: &[Entry]) -> Option<Found> {
        let mut pairs = Vec::new();
        for entry in entries {
            let name = &entry.key;
            if let Err(expected) = Rule::VariableName.check(name) {
                let problem = self
                    .error(Code::BadText, format!("{} is no name of a variable", quoted(name)))
                    .at(&entry.key_span, expected);
                self.problems.push(problem);
                continue;
            }
            let Value::Text(text) = &entry.node.value else {
                let problem = self
                    .error(Code::WrongType, format!("variable {} needs text", quoted(name)))
                    .at(&entry.node.span, format!("expected text in quotes, found {}", entry.node.kind()));
                self.problems.push(problem);
                continue;
            };
            let value = self.text(setting, at, Rule::Any, &entry.node, text);
            pairs.extend(value.map(|value| (name.clone(), value)));
        }
        (pairs.len() == entries.len()).then_some(Found::Variables(pairs))
    }

    fn headers(&mut self, setting: &Setting, at: &str, entries: &[Entry]) -> Option<Found> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let name = &entry.key;
            let earlier = entries.iter().take(index).find(|earlier| earlier.key.eq_ignore_ascii_case(name));
            let problem = match remote::judge_header_name(name) {
                Err(HeaderFlaw::Name) => self
                    .error(Code::BadText, format!("{} is no name of a header", quoted(name)))
                    .at(&entry.key_span, "expected letters, digits and `-`, as in `X-Api-Key`"),
                Err(HeaderFlaw::Ours) => self
                    .error(Code::OurHeader, format!("the header {} is set by Braid", quoted(name)))
                    .at(&entry.key_span, "it belongs to the transport itself")
                    .help("leave it out"),
                Ok(()) if entries.len() > HEADERS_MAX && index == HEADERS_MAX => self
                    .error(Code::OutOfBounds, format!("`{at}` has too many headers"))
                    .at(&entry.key_span, format!("expected at most {HEADERS_MAX}")),
                Ok(()) => match (earlier, &entry.node.value) {
                    (Some(earlier), _) => self
                        .error(Code::StandsTwice, format!("the header {} stands there twice", quoted(name)))
                        .at(&entry.key_span, "for the second time: case makes no difference")
                        .beside(&earlier.key_span, "for the first time")
                        .help("make one of the two"),
                    (None, Value::Text(text)) => {
                        let at = shown_path(at, name);
                        let value = self.text(setting, &at, Rule::HeaderValue, &entry.node, text);
                        pairs.extend(value.map(|value| (name.clone(), value)));
                        continue;
                    }
                    (None, _) => {
                        self.error(Code::WrongType, format!("header {} needs text", quoted(name))).at(
                            &entry.node.span,
                            format!("expected text in quotes, found {}", entry.node.kind()),
                        )
                    }
                },
            };
            self.problems.push(problem);
        }
        (pairs.len() == entries.len()).then_some(Found::Variables(pairs))
    }

    /// Points at each reference that stands for nothing.
    fn faults(&mut self, node: &Node, faults: Vec<Fault>) {
        for fault in faults {
            let span = reference_span(self.raw, &node.span, &fault.reference);
            let mut problem = self.error(fault.code, fault.message).at(&span, "");
            if let Some(help) = fault.help {
                problem = problem.help(help);
            }
            self.problems.push(problem);
        }
    }

    pub(super) fn error(&self, code: Code, message: impl Into<String>) -> Problem {
        Problem::error(self.source, code, message)
    }

    pub(super) fn warning(&self, code: Code, message: impl Into<String>) -> Problem {
        Problem::warning(self.source, code, message)
    }

    fn unknown(&mut self, path: &str, at: &str, entry: &Entry, suggestion: Option<String>) {
        let message = if at.is_empty() {
            format!("unknown key {}", quoted(&entry.key))
        } else {
            format!("unknown key {} in `[{at}]`", quoted(&entry.key))
        };
        let mut problem = self.error(Code::UnknownKey, message).at(&entry.key_span, "not known here");
        problem = match suggestion {
            Some(suggestion) => problem.help(suggestion),
            None => problem.help(format!("expected {}", known_keys(path))),
        };
        self.problems.push(problem);
    }

    fn not_yet(&mut self, setting: &Setting, at: &str, entry: &Entry, instead: &str) {
        let path = shown_path(at, setting.key());
        let mut problem = self
            .error(Code::NotSupported, format!("`{path}` is not supported yet"))
            .at(&entry.key_span, "known, but this version cannot do it");
        if !instead.is_empty() {
            problem = problem.help(instead);
        }
        self.problems.push(problem);
    }

    fn wrong_type(&mut self, setting: &Setting, at: &str, node: &Node) {
        let problem = self
            .error(Code::WrongType, format!("`{at}` has the wrong type"))
            .at(&node.span, format!("expected {}, found {}", expected(setting), node.kind()));
        let problem = match (setting.path, &node.value) {
            ("servers", _) => problem.help(SERVER_HELP),
            ("groups", _) => problem.help(GROUP_HELP),
            ("listen.tokens", _) => problem.help(TOKEN_HELP),
            ("access", _) => problem.help(ACCESS_HELP),
            (path, Value::List(_)) if schema::shows_some(path) => {
                problem.help(format!("write `{} = {{ allow = [\"…\"], deny = [\"…\"] }}`", setting.key()))
            }
            ("servers.*.headers_command", Value::Text(_)) => problem
                .help("no shell is involved: write the program and each argument as an item of its own"),
            ("servers.*.command", Value::List(_)) => {
                problem.help("put the program into `command` and what follows it into `args`")
            }
            _ => problem,
        };
        self.problems.push(problem);
    }

    fn unknown_word(&mut self, at: &str, words: &[&str], node: &Node, text: &str) {
        let problem = self
            .error(Code::UnknownWord, format!("the value of `{at}` is not known"))
            .at(&node.span, word_list(words));
        let problem = match schema::nearest(text, words.iter().copied()) {
            Some(near) => problem.help(format!("did you mean \"{near}\"?")),
            None => problem,
        };
        self.problems.push(problem);
    }

    fn out_of_bounds(&mut self, setting: &Setting, at: &str, node: &Node, min: &str, max: &str) {
        let off = matches!(setting.form, Form::Time { off: true, .. } | Form::Rate);
        let bounds = if min == max { format!("expected {min}") } else { format!("expected {min} to {max}") };
        let bounds = if off { format!("{bounds}, or \"0\"") } else { bounds };
        let problem = if setting.path == "version" {
            self.error(Code::UnknownVersion, "this version of the format is not known")
                .at(&node.span, "expected 1")
                .help("the file may be meant for a newer Braid")
        } else {
            self.error(Code::OutOfBounds, format!("`{at}` is out of bounds")).at(&node.span, bounds)
        };
        self.problems.push(problem);
    }

    fn not_a_duration(&mut self, at: &str, node: &Node) {
        let problem = self
            .error(Code::BadDuration, format!("`{at}` needs a duration"))
            .at(&node.span, "expected a whole number with ms, s, m or h, such as \"30s\"");
        let problem = if let Value::Integer(number) = node.value {
            problem.help(format!("write \"{number}s\" for seconds or \"{number}ms\" for milliseconds"))
        } else {
            problem
        };
        self.problems.push(problem);
    }

    fn not_a_rate(&mut self, at: &str, node: &Node) {
        let problem = self
            .error(Code::BadRate, format!("`{at}` needs a rate"))
            .at(&node.span, "expected a whole number, / and s, min, hour or day, such as \"60/min\"");
        // What is missing most often is the unit.
        let number = match &node.value {
            Value::Integer(number) => Some(number.to_string()),
            Value::Text(text) => Some(text.clone()),
            Value::Number(_)
            | Value::Flag(_)
            | Value::Date
            | Value::Null
            | Value::List(_)
            | Value::Table(_) => None,
        };
        let number = number
            .filter(|text| (1..=7).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()));
        let problem = match number {
            Some(number) => {
                problem.help(format!("write \"{number}/min\" for so many in a minute, or \"0\" for no limit"))
            }
            None => problem.help("write \"60/min\" for sixty in a minute, or \"0\" for no limit"),
        };
        self.problems.push(problem);
    }

    fn not_a_size(&mut self, at: &str, node: &Node) {
        let problem = self
            .error(Code::BadSize, format!("`{at}` needs a size"))
            .at(&node.span, "expected a whole number with B, KiB, MiB or GiB, such as \"16MiB\"");
        let problem = if let Value::Integer(number) = node.value {
            problem.help(format!("write \"{number}B\" for bytes"))
        } else {
            problem
        };
        self.problems.push(problem);
    }
}

const SERVER_HELP: &str =
    "write `[servers.NAME]` on a line of its own, and the keys of the server, such as `command`, below it";

const TOKEN_HELP: &str = "write `tokens.NAME = \"${NAME_TOKEN}\"`, or `tokens.NAME = { token = \"${NAME_TOKEN}\", scopes = [\"read\"] }`";

const GROUP_HELP: &str = "write `[groups.NAME]` on a line of its own, and `servers = [\"…\"]` below it";

const ACCESS_HELP: &str =
    "write `[access.NAME]` on a line of its own, and `principals = [\"…\"]` and `servers = [\"…\"]` below it";

/// Items of one list: arguments of a program, names of variables.
pub(super) const LIST_MAX: usize = 1024;
/// Headers that a server is sent with every request.
pub(super) const HEADERS_MAX: usize = 64;
/// Arguments that a tool's calls are given.
pub(super) const VALUES_MAX: usize = 64;
/// Sections with names of the user's choice in one table: servers, tools of a server.
pub(super) const NAMED_MAX: usize = 512;
/// Longest name that the user may choose.
pub(super) const NAME_CHARS_MAX: usize = 128;

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A path as the file would write it: names with odd characters in quotes.
pub(super) fn shown_path(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare { join(path, key) } else { join(path, &format!("\"{key}\"")) }
}

/// Where a reference stands in the text of a value; the whole value when it is written with escapes.
pub(super) fn reference_span(raw: &str, span: &Range<usize>, reference: &str) -> Range<usize> {
    let found = raw.get(span.clone()).and_then(|value| value.find(reference));
    found.map_or_else(|| span.clone(), |at| span.start + at..span.start + at + reference.len())
}

fn known_keys(path: &str) -> String {
    let keys: Vec<_> = schema::children(path)
        .filter(|setting| setting.state == State::Here)
        .map(|setting| format!("`{}`", setting.key()))
        .collect();
    match keys.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => keys.join(""),
    }
}

fn word_list(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("expected {} or {last}", rest.join(", ")),
        _ => format!("expected {}", quoted.join("")),
    }
}

fn expected(setting: &Setting) -> String {
    match setting.form {
        Form::Section | Form::Named => "a table".to_owned(),
        Form::Flag => "true or false".to_owned(),
        Form::Text(_) => "text in quotes".to_owned(),
        Form::Texts(_) => "a list of texts, such as [\"a\", \"b\"]".to_owned(),
        Form::Values => "a table of values, such as { key = 1 }".to_owned(),
        Form::Variables | Form::Headers => "a table of texts, such as { NAME = \"value\" }".to_owned(),
        Form::Word(words) => word_list(words).trim_start_matches("expected ").to_owned(),
        Form::Count { .. } => "a whole number".to_owned(),
        Form::Size { .. } => "a size such as \"16MiB\"".to_owned(),
        Form::Time { .. } => "a duration such as \"30s\"".to_owned(),
        Form::Rate => "a rate such as \"60/min\"".to_owned(),
    }
}
