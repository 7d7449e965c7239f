//! The arguments of `braid call` and `braid prompt`: `key=value` words, or one JSON object, to JSON text.
//!
//! What is valid JSON is sent as it was written, digit by digit; all else is a string. A tool's schema settles what
//! is open: where it wants a string, `12` is one. Nothing is checked against the schema: that is the server's part.
#![expect(clippy::disallowed_types, reason = "schemas are looked into here and never sent on")]

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ArgumentError {
    #[error("`{0}` is not `key=value`")]
    NoEquals(String),
    #[error("`{0}` has no key before its `=`")]
    NoKey(String),
    #[error("`{0}` is given twice")]
    Twice(String),
    #[error("the arguments are not JSON: {0}")]
    NotJson(String),
    #[error("the arguments must be a JSON object, such as `{{\"key\": 1}}`")]
    NotObject,
}

/// The words of `braid call` as the text of one JSON object on one line, its members in the order of the words.
///
/// `schema_json` is the tool's `inputSchema`, where it is known. A schema that cannot be read says nothing.
pub fn object(pairs: &[String], schema_json: Option<&str>) -> Result<String, ArgumentError> {
    let schema: Value = schema_json.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    join(pairs, |key, value| {
        let Some(json) = json(value) else { return quoted(value) };
        let property = schema.get("properties").and_then(|properties| properties.get(key));
        let kinds = property.map(|property| Kinds::of(property, &schema)).unwrap_or_default();
        if kinds.want_string_for(json) { quoted(value) } else { on_one_line(json) }
    })
}

/// The words of `braid prompt`: the arguments of prompts are strings, all of them (2025-11-25, server/prompts).
pub fn strings(pairs: &[String]) -> Result<String, ArgumentError> {
    join(pairs, |_, value| quoted(value))
}

/// `--args JSON`, or what stood on stdin, checked and put on one line.
pub fn verbatim(text: &str) -> Result<String, ArgumentError> {
    match serde_json::from_str::<&RawValue>(text) {
        Err(error) => Err(ArgumentError::NotJson(error.to_string())),
        Ok(json) if json.get().starts_with('{') => Ok(on_one_line(json.get())),
        Ok(_) => Err(ArgumentError::NotObject),
    }
}

fn join(pairs: &[String], value_text: impl Fn(&str, &str) -> String) -> Result<String, ArgumentError> {
    let mut keys = BTreeSet::new();
    let mut members = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let (key, value) = pair.split_once('=').ok_or_else(|| ArgumentError::NoEquals(pair.clone()))?;
        if key.is_empty() {
            return Err(ArgumentError::NoKey(pair.clone()));
        }
        if !keys.insert(key) {
            return Err(ArgumentError::Twice(key.to_owned()));
        }
        members.push(format!("{}:{}", quoted(key), value_text(key, value)));
    }
    Ok(format!("{{{}}}", members.join(",")))
}

/// `value` without the space around it, where it is JSON.
fn json(value: &str) -> Option<&str> {
    serde_json::from_str::<&RawValue>(value).ok().map(RawValue::get)
}

/// Between the tokens of JSON a line end is a space, and inside of them there is none.
fn on_one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The types that a property may have, as far as its schema says so plainly. Empty: nothing is known.
#[derive(Default)]
struct Kinds(BTreeSet<&'static str>);

impl Kinds {
    fn of(property: &Value, root: &Value) -> Self {
        let mut kinds = Self::default();
        kinds.gather(property, root, HOPS_MAX);
        kinds
    }

    /// Follows the words in which generators say "this, or null": `anyOf`, `oneOf`, and references to definitions.
    fn gather(&mut self, schema: &Value, root: &Value, hops: usize) {
        let Some(hops) = hops.checked_sub(1) else { return };
        match &schema["type"] {
            Value::String(kind) => self.0.extend(kind_named(kind)),
            Value::Array(kinds) => {
                self.0.extend(kinds.iter().filter_map(Value::as_str).filter_map(kind_named));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
        }
        let values = schema["enum"].as_array().into_iter().flatten();
        self.0.extend(values.chain(schema.get("const")).map(kind_of));
        for choices in ["anyOf", "oneOf"] {
            for choice in schema[choices].as_array().into_iter().flatten().take(CHOICES_MAX) {
                self.gather(choice, root, hops);
            }
        }
        if let Some(pointer) = schema["$ref"].as_str().and_then(|target| target.strip_prefix('#'))
            && let Some(target) = root.pointer(pointer)
        {
            self.gather(target, root, hops);
        }
    }

    /// Whether `json` is to be a string, though it could be taken for something else.
    fn want_string_for(&self, json: &str) -> bool {
        let kind = match json.as_bytes().first() {
            Some(b'"') => STRING,
            Some(b'{') => OBJECT,
            Some(b'[') => ARRAY,
            Some(b't' | b'f') => BOOLEAN,
            Some(b'n') => NULL,
            _ => NUMBER,
        };
        self.0.contains(STRING) && !self.0.contains(kind)
    }
}

fn kind_named(name: &str) -> Option<&'static str> {
    // An integer is a number here: 1.5 for an integer is a mistake to report, not a string.
    let name = if name == "integer" { NUMBER } else { name };
    [STRING, NUMBER, BOOLEAN, NULL, OBJECT, ARRAY].into_iter().find(|kind| *kind == name)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => NULL,
        Value::Bool(_) => BOOLEAN,
        Value::Number(_) => NUMBER,
        Value::String(_) => STRING,
        Value::Array(_) => ARRAY,
        Value::Object(_) => OBJECT,
    }
}

const STRING: &str = "string";
const NUMBER: &str = "number";
const BOOLEAN: &str = "boolean";
const NULL: &str = "null";
const OBJECT: &str = "object";
const ARRAY: &str = "array";

/// Deepest nesting of choices and references that is followed; a definition may refer to itself.
const HOPS_MAX: usize = 4;

/// Most choices looked at in one place.
const CHOICES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn parsed(word: &str, property: &str) -> String {
        let schema = format!(
            r##"{{"type":"object","properties":{{"x":{property}}},"$defs":{{"Name":{{"type":"string"}},"Loop":{{"$ref":"#/$defs/Loop"}}}}}}"##
        );
        object(&words(&[word]), Some(&schema)).unwrap()
    }

    #[test]
    fn what_is_json_is_sent_as_it_was_written() {
        for (word, json) in [
            ("x=12", r#"{"x":12}"#),
            ("x=1.50e+2", r#"{"x":1.50e+2}"#),
            ("x=12345678901234567890123", r#"{"x":12345678901234567890123}"#),
            ("x=true", r#"{"x":true}"#),
            ("x=null", r#"{"x":null}"#),
            (r#"x={"b": 1,"a":[2]}"#, r#"{"x":{"b": 1,"a":[2]}}"#),
            (r#"x="quoted \u00e9""#, r#"{"x":"quoted \u00e9"}"#),
            ("x=[1,\n2]", r#"{"x":[1, 2]}"#),
        ] {
            assert_eq!(object(&words(&[word]), None).unwrap(), json);
        }
    }

    #[test]
    fn all_else_is_a_string() {
        for (word, json) in [
            ("x=hello", r#"{"x":"hello"}"#),
            ("x=", r#"{"x":""}"#),
            ("x=a=b", r#"{"x":"a=b"}"#),
            ("x=012", r#"{"x":"012"}"#),
            ("x=NaN", r#"{"x":"NaN"}"#),
            ("x={a:1}", r#"{"x":"{a:1}"}"#),
            ("x=say \"hi\"\n", r#"{"x":"say \"hi\"\n"}"#),
            ("x=2024-01-01", r#"{"x":"2024-01-01"}"#),
            (r#"a"b=c"#, r#"{"a\"b":"c"}"#),
        ] {
            assert_eq!(object(&words(&[word]), None).unwrap(), json);
        }
    }

    #[test]
    fn where_the_schema_wants_a_string_it_gets_one() {
        for property in [
            r#"{"type":"string"}"#,
            r#"{"type":["string","null"]}"#,
            r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
            r#"{"oneOf":[{"anyOf":[{"type":"string"}]}]}"#,
            r#"{"enum":["12","13"]}"#,
            r#"{"const":"12"}"#,
            r##"{"$ref":"#/$defs/Name"}"##,
            r##"{"anyOf":[{"$ref":"#/$defs/Name"},{"type":"null"}]}"##,
        ] {
            assert_eq!(parsed("x=12", property), r#"{"x":"12"}"#, "{property}");
            assert_eq!(parsed("x=true", property), r#"{"x":"true"}"#, "{property}");
            assert_eq!(parsed(r#"x="a""#, property), r#"{"x":"a"}"#, "{property}");
        }
        assert_eq!(parsed("x=null", r#"{"type":["string","null"]}"#), r#"{"x":null}"#);
        assert_eq!(parsed("x=null", r#"{"type":"string"}"#), r#"{"x":"null"}"#);
        assert_eq!(parsed("x=12", r#"{"type":["string","integer"]}"#), r#"{"x":12}"#);
    }

    #[test]
    fn a_schema_that_says_nothing_changes_nothing() {
        for property in [
            r#"{"type":"integer"}"#,
            "{}",
            "true",
            "7",
            r#"{"type":7}"#,
            r#"{"anyOf":{}}"#,
            r##"{"$ref":"#/$defs/Loop"}"##,
            r##"{"$ref":"#/nowhere"}"##,
            r#"{"$ref":"https://example.com/schema"}"#,
        ] {
            assert_eq!(parsed("x=12", property), r#"{"x":12}"#, "{property}");
        }
        for schema in ["", "[]", "null", r#"{"properties":[]}"#, r#"{"properties":{"y":{"type":"string"}}}"#]
        {
            assert_eq!(object(&words(&["x=12"]), Some(schema)).unwrap(), r#"{"x":12}"#);
        }
    }

    #[test]
    fn members_stand_in_the_order_of_the_words() {
        assert_eq!(object(&words(&["b=1", "a=2"]), None).unwrap(), r#"{"b":1,"a":2}"#);
        assert_eq!(object(&[], None).unwrap(), "{}");
    }

    #[test]
    fn a_word_that_is_no_pair_is_named() {
        for (word, error) in
            [("hello", "`hello` is not `key=value`"), ("=1", "`=1` has no key before its `=`")]
        {
            assert_eq!(object(&words(&[word]), None).unwrap_err().to_string(), error);
        }
        let twice = object(&words(&["a=1", "b=2", "a=1"]), None);
        assert_eq!(twice.unwrap_err().to_string(), "`a` is given twice");
    }

    #[test]
    fn the_arguments_of_prompts_are_strings() {
        assert_eq!(strings(&words(&["days=7", "x={}"])).unwrap(), r#"{"days":"7","x":"{}"}"#);
    }

    #[test]
    fn an_object_given_whole_stays_whole_on_one_line() {
        assert_eq!(
            verbatim("\n{\n \"b\": 1.0,\r\n \"a\": \"x\\ny\"\n}\n").unwrap(),
            r#"{  "b": 1.0,   "a": "x\ny" }"#
        );
        assert_eq!(verbatim("[1]"), Err(ArgumentError::NotObject));
        assert!(verbatim("{").unwrap_err().to_string().starts_with("the arguments are not JSON: "));
        assert!(verbatim("{} {}").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_pair_is_one_object_on_one_line(key in "[^=]{1,8}", value in ".{0,20}|[0-9eE.+-]{1,9}|[\\[\\]{}\",:0 \n]{1,9}") {
            let pairs = [format!("{key}={value}")];
            let schema = r#"{"properties":{"a":{"type":"string"}}}"#;
            for text in [object(&pairs, None), object(&pairs, Some(schema)), strings(&pairs)] {
                let text = text.unwrap();
                assert!(!text.contains('\n'));
                // Not to a tree: 1e999 is JSON, and no number type holds it.
                let object: BTreeMap<String, &RawValue> = serde_json::from_str(&text).unwrap();
                assert!(object.contains_key(&key));
            }
        }
    }
}
