//! One line of the log: for people, or as JSON for programs.
//!
//! Pure: what happened goes in, one line comes out, whatever peers have written: whatever would end a line, move a cursor,
//! turn the direction of text or cannot be seen is written out.

use super::printable;
use crate::wire::letters;
use crate::wire::members::quote;
use std::borrow::Cow;
use std::fmt::{Debug, Write};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

/// A value that something happened with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// As JSON writes it.
    Plain(String),
}

/// What happened with what, in the order in which it was said.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// These, and the others for what is not said here.
    pub(super) fn over(mut self, others: &Self) -> Self {
        for (key, value) in &others.0 {
            if self.0.iter().all(|(own, _)| own != key) {
                self.0.push((key, value.clone()));
            }
        }
        self
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(own, _)| *own == key)?;
        Some(self.0.remove(at).1)
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.0.push((field.name(), value));
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no number.
        match value.is_finite() {
            true => self.put(field, Value::Plain(format!("{:.3}", value))),
            false => self.put(field, Value::Text(value.to_string())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }
}

/// What happened.
pub(super) struct Entry {
    /// As `stamp` writes it.
    pub(super) at: String,
    pub(super) level: Level,
    pub(super) fields: Fields,
}

impl Entry {
    pub(super) fn new(at: String, metadata: &Metadata<'_>, fields: Fields) -> Self {
        Self { at, level: *metadata.level(), fields }
    }

    /// For people: when, how grave, which server, what, and with what.
    pub(super) fn text(mut self, colour: bool) -> String {
        let mut line = match colour {
            false => format!("{} {:>5} ", self.at, self.level.as_str()),
            true => format!(
                "\u{1b}[2m{}\u{1b}[0m \u{1b}[{}m{:>5}\u{1b}[0m ",
                self.at,
                hue(self.level),
                self.level.as_str()
            ),
        };
        if let Some(server) = self.fields.take("server") {
            let server = shown(&server);
            match colour {
                false => line.push_str(&server),
                true => write!(line, "\u{1b}[1m{server}\u{1b}[0m").unwrap_or_default(),
            }
            line.push_str("  ");
        }
        // In words the message says it, if there is one.
        let event = self.fields.take("event");
        let message = self.fields.take("message").filter(|message| *message != Value::Text(String::new()));
        if let Some(message) = message.or(event) {
            line.push_str(&shown(&message));
        }
        for (at, (key, value)) in self.fields.0.iter().enumerate() {
            let gap = if at == 0 { "  " } else { " " };
            write!(line, "{gap}{key}={}", quoted(value)).unwrap_or_default();
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }

    /// For programs: one object.
    pub(super) fn json(mut self) -> String {
        let event = self.fields.take("event").unwrap_or_else(|| Value::Text("log".to_owned()));
        let message = self.fields.take("message").unwrap_or_else(|| Value::Text(String::new()));
        let level = self.level.as_str();
        let mut line = format!(
            r#"{{"ts":"{}","level":"{level}","event":{},"msg":{}"#,
            self.at,
            as_json(&event),
            as_json(&message)
        );
        for (key, value) in &self.fields.0 {
            write!(line, ",{}:{}", quote(name(key)), as_json(value)).unwrap_or_default();
        }
        line.push_str("}\n");
        line
    }
}

/// The names that programs find.
fn name(key: &'static str) -> &'static str {
    match key {
        // Those that the object has itself.
        "ts" | "level" | "msg" => "field",
        key => key,
    }
}

fn hue(level: Level) -> &'static str {
    match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        Level::DEBUG => "34",
        Level::TRACE => "35",
    }
}

fn shown(value: &Value) -> Cow<'_, str> {
    let (Value::Text(text) | Value::Plain(text)) = value;
    visible(text)
}

fn visible(text: &str) -> Cow<'_, str> {
    // As it is mostly: then nothing of it has to be looked at closer.
    match text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        true => Cow::Borrowed(text),
        false => printable::line(text),
    }
}

/// In quotes, if it would not be one word without or something of it is written out. In quotes a backslash is two: what is
/// written out is told from what stood there.
fn quoted(value: &Value) -> String {
    let (Value::Text(text) | Value::Plain(text)) = value;
    let ends_word =
        |letter: char| letter.is_whitespace() || letter == '"' || letter == '=' || letters::is_hidden(letter);
    match !text.is_empty() && !text.contains(ends_word) {
        true => visible(text).into_owned(),
        false => format!("\"{}\"", visible(&text.replace('\\', "\\\\").replace('"', "\\\""))),
    }
}

fn as_json(value: &Value) -> String {
    let text = match value {
        Value::Plain(plain) => return plain.clone(),
        Value::Text(text) => quote(text),
    };
    // What is seen in other ways than it is written is written out: the object is the same.
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letters::is_hidden(letter) {
            true => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                write!(safe, "\\u{unit:04x}").unwrap_or_default();
            }),
            false => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn entry(fields: &[(&'static str, Value)]) -> Entry {
        Entry { at: "T".to_owned(), level: Level::INFO, fields: Fields(fields.to_vec()) }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn a_line_says_when_how_grave_who_and_what() {
        let said = [
            ("event", text("ready")),
            ("server", text("github")),
            ("message", text("ready")),
            ("revision", text("2025-11-25")),
            ("took", text("8 s")),
            ("tools", Value::Plain("26".to_owned())),
        ];
        assert_eq!(
            entry(&said).text(false),
            "T  INFO github  ready  revision=2025-11-25 took=\"8 s\" tools=26\n"
        );
        assert_eq!(
            entry(&said).json(),
            "{\"ts\":\"T\",\"level\":\"INFO\",\"event\":\"ready\",\"msg\":\"ready\",\"server\":\"github\",\"revision\":\"2025-11-25\",\"took\":\"8 s\",\"tools\":26}\n"
        );
    }

    #[test]
    fn c06_hostile_words_stay_one_line() {
        for hostile in [
            "a\nb",
            "\u{1b}[2J",
            "\r",
            "\u{85}\u{9b}",
            "\u{202e}x\u{2066}",
            "\u{e0041}",
            "\"",
            "\\",
            "\u{2028}",
            "\0",
        ] {
            let said = [("server", text(hostile)), ("message", text(hostile)), ("tool", text(hostile))];
            let (line, json) = (entry(&said).text(false), entry(&said).json());
            for line in [&line, &json] {
                assert_eq!(line.matches('\n').count(), 1, "{line:?}");
                let hidden = line.trim_end_matches('\n').chars().find(|letter| letters::is_hidden(*letter));
                assert_eq!(hidden, None, "{line:?}");
            }
            let object: BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
            assert_eq!((object["server"].as_str(), object["tool"].as_str()), (hostile, hostile));
        }
    }

    #[test]
    fn what_is_written_out_is_told_from_what_stood_there() {
        for (said, expected) in [
            ("word", "word"),
            (r"C:\new", r"C:\new"),
            (r"C:\new folder", r#""C:\\new folder""#),
            ("a\nb", r#""a b""#),
            (r"a\nb c", r#""a\\nb c""#),
            (r#"\" x=1"#, r#""\\\" x=1""#),
            ("\u{1b}[2J", r#""\u{1b}[2J""#),
            ("", r#""""#),
        ] {
            let line = entry(&[("message", text("m")), ("path", text(said))]).text(false);
            assert_eq!(line, format!("T  INFO m  path={expected}\n"));
        }
    }

    #[test]
    fn what_is_said_here_stands_over_what_was_said_around_it() {
        let around = Fields(vec![("server", text("outer")), ("pid", Value::Plain("7".to_owned()))]);
        let fields = Fields(vec![("server", text("inner"))]).over(&around);
        assert_eq!(fields.0, [("server", text("inner")), ("pid", Value::Plain("7".to_owned()))]);
    }
}
