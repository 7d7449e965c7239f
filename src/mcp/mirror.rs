//! What of a request stands in the head of its POST as well (2026-07-28, basic/transports/streamable-http, request
//! metadata).
//!
//! Owns how a value is written there and read back, and which arguments of a tool its schema wants there. It knows no
//! HTTP: whoever writes or reads the head brings its values.

use super::method::Method;
use crate::wire::members::{Member, elements, member, members, string};
use crate::wire::message::{Params, Text};
use std::borrow::Cow;

/// The name of a header that repeats an argument begins so.
pub const PARAM_PREFIX: &str = "Mcp-Param-";

/// Which member of a request's params stands in `Mcp-Name` as well: how it is called, and its value if it is there. `None`: of
/// this method none does.
pub fn named(method: Method, params: &Params) -> Option<(&'static str, Option<&Text>)> {
    match method {
        Method::ToolsCall | Method::PromptsGet => Some(("params.name", params.name.as_ref())),
        Method::ResourcesRead => Some(("params.uri", params.uri.as_ref())),
        Method::Task => Some(("params.taskId", params.task_id.as_ref())),
        Method::Initialize
        | Method::Initialized
        | Method::Ping
        | Method::List(_)
        | Method::Complete
        | Method::SetLevel
        | Method::Subscribe
        | Method::Unsubscribe
        | Method::Ask(_)
        | Method::Cancelled
        | Method::Progress
        | Method::Log
        | Method::Updated
        | Method::RootsChanged
        | Method::ElicitationComplete
        | Method::ListChanged(_)
        | Method::Discover
        | Method::Listen
        | Method::Acknowledged
        | Method::Other => None,
    }
}

/// A header's value that nobody can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it is no base64 between `=?base64?` and `?=`")]
    Base64,
    #[error("its base64 is no UTF-8")]
    Text,
    #[error("it holds characters that a header must not hold")]
    Characters,
}

/// A value as a header may hold it.
pub fn encode(value: &str) -> Cow<'_, str> {
    let is_padded = value.starts_with(' ') || value.ends_with(' ');
    let is_sentinel = value.starts_with(OPENS) && value.ends_with(CLOSES);
    // A tab may stand in a header, but some of those who pass headers on make a space of it.
    let is_odd = |byte| !is_plain(byte) || byte == b'\t';
    match is_padded || is_sentinel || value.bytes().any(is_odd) {
        true => Cow::Owned(format!("{OPENS}{}{CLOSES}", base64(value.as_bytes()))),
        false => Cow::Borrowed(value),
    }
}

/// What a header's value says.
pub fn decode(value: &str) -> Result<Cow<'_, str>, Unreadable> {
    if !value.bytes().all(is_plain) {
        return Err(Unreadable::Characters);
    }
    if !(value.starts_with(OPENS) && value.ends_with(CLOSES)) {
        return Ok(Cow::Borrowed(value));
    }
    let inner = value.get(OPENS.len()..value.len() - CLOSES.len()).ok_or(Unreadable::Base64)?;
    let bytes = unbase64(inner).ok_or(Unreadable::Base64)?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Unreadable::Text)
}

/// A byte that stands in a header as it is.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t')
}

/// Which arguments of a tool its calls repeat in their head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrors(Vec<Mirror>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mirror {
    /// The whole name, as the schema writes it.
    header: Box<str>,
    /// The members that lead to the argument, from the outermost.
    path: Vec<Box<str>>,
    is_integer: bool,
}

/// Why a tool's annotations are none: over HTTP it must not be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("`x-mcp-header` is no name of a header: {0}")]
    Name(String),
    #[error("`x-mcp-header` is there twice: `{0}`")]
    Twice(String),
    #[error("`x-mcp-header` stands at `{0}`, which is no string, integer or boolean")]
    Kind(String),
    #[error("`x-mcp-header` stands where `properties` alone do not lead")]
    Place,
    #[error("the schema is nested deeper than {DEPTH_MAX}")]
    Depth,
}

/// Why the head of a call does not fit its arguments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the header `{0}` is missing, and `params.arguments` has its value")]
    Missing(Box<str>),
    #[error("the header `{0}` does not match `params.arguments`")]
    Different(Box<str>),
    #[error("the header `{0}` cannot be read: {1}")]
    Unreadable(Box<str>, Unreadable),
    #[error("the header `{0}` is there more than once")]
    Repeated(Box<str>),
}

/// A header as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    Nothing,
    Once(&'a str),
    /// It is no text at all.
    Odd,
    Repeated,
}

impl Mirrors {
    /// Of a tool as its server lists it; `None`: it wants none.
    pub fn read(tool: &str) -> Result<Option<Self>, Invalid> {
        // Most tools have none, and need no second look.
        if !tool.contains(ANNOTATION) && !tool.contains("\\u") {
            return Ok(None);
        }
        let Some(schema) = member(tool, "inputSchema") else { return Ok(None) };
        let mut found = Self(Vec::new());
        found.schema(schema, &mut Path::Reachable(Vec::new()), 0)?;
        Ok((!found.0.is_empty()).then_some(found))
    }

    /// The headers of a call with these params, names and values. What has no value has no header.
    pub fn headers(&self, params: &str) -> Vec<(String, String)> {
        let said = self.0.iter().filter_map(|mirror| {
            Some((mirror.header.to_string(), encode(&mirror.value(params)?.said).into_owned()))
        });
        said.collect()
    }

    /// Whether the head of a call with these params says what they do. Other headers of the kind are nobody's here.
    pub fn check<'a>(&self, params: &str, header: impl Fn(&str) -> Found<'a>) -> Result<(), Mismatch> {
        for mirror in &self.0 {
            let name = || mirror.header.clone();
            let head = match header(&mirror.header) {
                Found::Nothing => None,
                Found::Once(value) => Some(decode(value).map_err(|why| Mismatch::Unreadable(name(), why))?),
                Found::Odd => return Err(Mismatch::Unreadable(name(), Unreadable::Characters)),
                Found::Repeated => return Err(Mismatch::Repeated(name())),
            };
            match (mirror.value(params), head) {
                (None, None) => {}
                (Some(_), None) => return Err(Mismatch::Missing(name())),
                (Some(value), Some(head)) if value.is(&head, mirror.is_integer) => {}
                (_, Some(_)) => return Err(Mismatch::Different(name())),
            }
        }
        Ok(())
    }

    /// One schema, however it is reached, and all within.
    fn schema(&mut self, schema: &str, path: &mut Path, depth: usize) -> Result<(), Invalid> {
        if depth > DEPTH_MAX {
            return Err(Invalid::Depth);
        }
        // What is no object (true, false, a list by mistake) has no members.
        let Some(all) = members(schema) else { return Ok(()) };
        for Member { key, value, .. } in &all {
            match key.as_ref() {
                ANNOTATION => self.annotate(value, schema, path)?,
                "properties" => {
                    for property in members(value).unwrap_or_default() {
                        path.within(&property.key, |path| self.schema(property.value, path, depth + 1))?;
                    }
                }
                "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                    for named in members(value).unwrap_or_default() {
                        self.schema(named.value, &mut Path::Elsewhere, depth + 1)?;
                    }
                }
                // What stands there is no schema.
                "default" | "const" | "enum" | "examples" | "required" => {}
                _ => {
                    self.schema(value, &mut Path::Elsewhere, depth + 1)?;
                    for each in elements(value).unwrap_or_default() {
                        self.schema(each, &mut Path::Elsewhere, depth + 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn annotate(&mut self, name: &str, schema: &str, path: &Path) -> Result<(), Invalid> {
        let brief = || name.chars().take(NAME_CHARS_SHOWN).collect::<String>();
        let said = string(name).filter(|said| !said.is_empty() && said.bytes().all(is_tchar));
        let Some(said) = said else { return Err(Invalid::Name(brief())) };
        let path = match path {
            Path::Reachable(path) if !path.is_empty() => path.clone(),
            Path::Reachable(_) | Path::Elsewhere => return Err(Invalid::Place),
        };
        let header = format!("{PARAM_PREFIX}{said}");
        if self.0.iter().any(|mirror| mirror.header.eq_ignore_ascii_case(&header)) {
            return Err(Invalid::Twice(said.into_owned()));
        }
        let Some(is_integer) = primitive(schema) else { return Err(Invalid::Kind(path.join("."))) };
        self.0.push(Mirror { header: header.into(), path, is_integer });
        Ok(())
    }
}

/// How a schema is reached from that of all arguments.
enum Path {
    /// Through `properties` alone, by these names.
    Reachable(Vec<Box<str>>),
    Elsewhere,
}

impl Path {
    fn within<T>(&mut self, name: &str, visit: impl FnOnce(&mut Self) -> T) -> T {
        match self {
            Self::Reachable(path) => {
                path.push(name.into());
                let visited = visit(self);
                if let Self::Reachable(path) = self {
                    path.pop();
                }
                visited
            }
            Self::Elsewhere => visit(self),
        }
    }
}

/// Whether a schema's values are integers, of those that have one plain text; `None`: they are others, or nothing says.
fn primitive(schema: &str) -> Option<bool> {
    let kind = member(schema, "type")?;
    let kinds = match kind.starts_with('[') {
        true => elements(kind)?,
        false => vec![kind],
    };
    let kinds: Vec<_> = kinds.into_iter().filter_map(string).filter(|kind| kind != "null").collect();
    match kinds.as_slice() {
        [only] if only == "integer" => Some(true),
        [only] if only == "string" || only == "boolean" => Some(false),
        [] | [_] | [_, _, ..] => None,
    }
}

/// What an argument says, as a header would.
struct Value<'a> {
    said: Cow<'a, str>,
    is_number: bool,
}

impl Value<'_> {
    /// Whether a header says the same; of integers, whether it is the same number.
    fn is(&self, head: &str, is_integer: bool) -> bool {
        let same_number = || match (integer(head), integer(&self.said)) {
            (Some(head), Some(said)) => head == said,
            (None, _) | (_, None) => false,
        };
        self.said == head || (is_integer && self.is_number && same_number())
    }
}

impl Mirror {
    /// The argument, if it is there and has one plain text.
    fn value<'a>(&self, params: &'a str) -> Option<Value<'a>> {
        let arguments = member(params, "arguments")?;
        let value = self.path.iter().try_fold(arguments, |object, key| member(object, key))?;
        match value.as_bytes().first()? {
            b'"' => Some(Value { said: string(value)?, is_number: false }),
            b't' | b'f' => Some(Value { said: Cow::Borrowed(value), is_number: false }),
            b'-' | b'0'..=b'9' => {
                let said = integer(value).map_or(Cow::Borrowed(value), |whole| Cow::Owned(whole.to_string()));
                Some(Value { said, is_number: true })
            }
            _ => None,
        }
    }
}

/// The whole number that a JSON number is, however it is spelled; `None`: it is none, or one that JavaScript does not
/// know exactly.
fn integer(number: &str) -> Option<i64> {
    let is_number = number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    if let Ok(whole) = number.parse::<i64>() {
        return (whole.unsigned_abs() <= SAFE_MAX).then_some(whole);
    }
    let float = number.parse::<f64>().ok().filter(|_| is_number)?;
    (float.fract() == 0.0 && float.abs() <= SAFE_MAX as f64).then_some(float as i64)
}

/// RFC 9110, tokens.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 4648, section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS.as_bytes().get((bits >> (18 - 6 * at) & 63) as usize).copied();
            text.push(if at > group.len() { '=' } else { char::from(letter.unwrap_or(b'=')) });
        }
    }
    text
}

/// The bytes of exactly what `base64` would write.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let letters = text.trim_end_matches('=');
    if text.len() - letters.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for letter in letters.bytes() {
        bits = bits << 6 | LETTERS.bytes().position(|known| known == letter)? as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    // What is left over says nothing: two spellings of one value would be two values to whoever compares text.
    (bits == 0).then_some(bytes)
}

const ANNOTATION: &str = "x-mcp-header";
const OPENS: &str = "=?base64?";
const CLOSES: &str = "?=";
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// How deep a schema is looked into.
const DEPTH_MAX: usize = 64;
/// The largest integer that JavaScript knows exactly.
const SAFE_MAX: u64 = (1 << 53) - 1;
/// A server's text within our sentence is no longer than this.
const NAME_CHARS_SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn the_table_of_the_specification_holds_both_ways() {
        for (value, header) in [
            ("us-west1", "us-west1"),
            ("", ""),
            ("a b  c", "a b  c"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("=?BASE64?x?=", "=?BASE64?x?="),
            ("\t", "=?base64?CQ==?="),
        ] {
            assert_eq!(encode(value), header);
            assert_eq!(decode(header).unwrap(), value);
        }
    }

    #[test]
    fn what_is_no_value_is_not_read() {
        for (header, why) in [
            ("=?base64?SGVsbG8?=", Unreadable::Base64),
            ("=?base64?SGVs!G8=?=", Unreadable::Base64),
            ("=?base64?SGVsbG9=?=", Unreadable::Base64),
            ("=?base64?====?=", Unreadable::Base64),
            ("=?base64?=", Unreadable::Base64),
            ("=?base64?/w==?=", Unreadable::Text),
            ("a\u{7f}", Unreadable::Characters),
            ("ä", Unreadable::Characters),
        ] {
            assert_eq!(decode(header), Err(why), "{header}");
        }
        assert_eq!(decode("SGVsbG8=").unwrap(), "SGVsbG8=");
        assert_eq!(decode("a\tb").unwrap(), "a\tb");
        assert_eq!(decode("=?base64??=").unwrap(), "");
    }

    fn tool(properties: &str) -> String {
        format!(r#"{{"name":"t","inputSchema":{{"type":"object","properties":{properties}}}}}"#)
    }

    fn read(properties: &str) -> Result<Option<Mirrors>, Invalid> {
        Mirrors::read(&tool(properties))
    }

    const NESTED: &str = r#"{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"},"deep":{"type":"object","properties":{"flag":{"type":["boolean","null"],"x-mcp-header":"Flag"}}},"x-mcp-header":{"type":"object"}}"#;

    fn headers(arguments: &str) -> Vec<(String, String)> {
        read(NESTED).unwrap().unwrap().headers(&format!(r#"{{"name":"t","arguments":{arguments}}}"#))
    }

    #[test]
    fn arguments_are_repeated_as_plain_text() {
        let pairs = |all: &[(&str, &str)]| {
            all.iter()
                .map(|(name, value)| (format!("Mcp-Param-{name}"), (*value).to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            headers(r#"{"region":"us-\u0077est1","n":42.0,"deep":{"flag":false}}"#),
            pairs(&[("Region", "us-west1"), ("N", "42"), ("Flag", "false")])
        );
        assert_eq!(headers(r#"{"region":null,"deep":{"flag":null}}"#), []);
        assert_eq!(
            headers(r#"{"region":" ä","n":-7,"deep":1}"#),
            pairs(&[("Region", "=?base64?IMOk?="), ("N", "-7")])
        );
        assert_eq!(headers("{}"), []);
        assert_eq!(read(NESTED).unwrap().unwrap().headers(r#"{"name":"t"}"#), []);
    }

    #[test]
    fn a_tool_without_annotations_wants_none() {
        assert_eq!(Mirrors::read(r#"{"name":"x-mcp-header"}"#), Ok(None));
        assert_eq!(read(r#"{"a":{"type":"string","default":{"x-mcp-header":"A"}}}"#), Ok(None));
        assert_eq!(read(r#"{"x-mcp-header":{"type":"string"}}"#), Ok(None));
    }

    #[test]
    fn annotations_that_are_none_are_refused() {
        for name in ["\"\"", "\"a b\"", "\"a\\r\\n\"", "\"a:b\"", "\"ä\"", "7", "null"] {
            let found = read(&format!(r#"{{"a":{{"type":"string","x-mcp-header":{name}}}}}"#));
            assert!(matches!(found, Err(Invalid::Name(_))), "{name}");
        }
        for kind in [r#""number""#, r#""object""#, r#""array""#, r#""null""#, r#"["string","integer"]"#, "7"]
        {
            let found = read(&format!(r#"{{"a":{{"type":{kind},"x-mcp-header":"A"}}}}"#));
            assert_eq!(found, Err(Invalid::Kind("a".to_owned())), "{kind}");
        }
        assert_eq!(read(r#"{"a":{"x-mcp-header":"A"}}"#), Err(Invalid::Kind("a".to_owned())));
        assert_eq!(
            read(r#"{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}"#),
            Err(Invalid::Twice("a".to_owned()))
        );
    }

    #[test]
    fn annotations_elsewhere_are_refused() {
        let one = r#"{"type":"string","x-mcp-header":"A"}"#;
        for within in [
            format!(r#"{{"a":{{"type":"array","items":{one}}}}}"#),
            format!(r#"{{"a":{{"anyOf":[{{"type":"null"}},{one}]}}}}"#),
            format!(r#"{{"a":{{"not":{one}}}}}"#),
            format!(r#"{{"a":{{"if":{{"properties":{{"b":{one}}}}}}}}}"#),
            format!(r#"{{"a":{{"$defs":{{"b":{one}}}}}}}"#),
            format!(r#"{{"a":{{"additionalProperties":{one}}}}}"#),
        ] {
            assert_eq!(read(&within), Err(Invalid::Place), "{within}");
        }
        assert_eq!(
            Mirrors::read(r#"{"inputSchema":{"type":"string","x-mcp-header":"A"}}"#),
            Err(Invalid::Place)
        );
        let deep = format!("{}{}{}", r#"{"a":{"items":"#.repeat(80), one, "}}".repeat(80));
        assert_eq!(read(&deep), Err(Invalid::Depth));
    }

    fn checked(arguments: &str, head: &[(&str, &str)]) -> Result<(), Mismatch> {
        let head: HashMap<String, &str> =
            head.iter().map(|(name, value)| (format!("Mcp-Param-{name}"), *value)).collect();
        let header = |name: &str| head.get(name).map_or(Found::Nothing, |value| Found::Once(value));
        read(NESTED).unwrap().unwrap().check(&format!(r#"{{"arguments":{arguments}}}"#), header)
    }

    #[test]
    fn a_head_must_say_what_the_arguments_do() {
        for (arguments, head) in [
            ("{}", &[][..]),
            (r#"{"region":null}"#, &[]),
            (r#"{"region":"ä"}"#, &[("Region", "=?base64?w6Q=?=")]),
            (r#"{"region":""}"#, &[("Region", "")]),
            (r#"{"n":42}"#, &[("N", "42.0")]),
            (r#"{"n":4.2e1}"#, &[("N", "42")]),
            (r#"{"deep":{"flag":true}}"#, &[("Flag", "true"), ("Other", "1")]),
        ] {
            assert_eq!(checked(arguments, head), Ok(()), "{arguments}");
        }
        let name = |name: &str| Box::from(format!("Mcp-Param-{name}"));
        for (arguments, head, why) in [
            (r#"{"region":"a"}"#, &[][..], Mismatch::Missing(name("Region"))),
            (r#"{"region":"a"}"#, &[("Region", "A")], Mismatch::Different(name("Region"))),
            (r#"{"region":"42"}"#, &[("Region", "42.0")], Mismatch::Different(name("Region"))),
            (r#"{"region":null}"#, &[("Region", "a")], Mismatch::Different(name("Region"))),
            (r#"{"n":42}"#, &[("N", "43")], Mismatch::Different(name("N"))),
            (r#"{"n":42}"#, &[("N", "inf")], Mismatch::Different(name("N"))),
            (r#"{"deep":{"flag":true}}"#, &[("Flag", "True")], Mismatch::Different(name("Flag"))),
            (
                r#"{"region":"a"}"#,
                &[("Region", "=?base64?YQ?=")],
                Mismatch::Unreadable(name("Region"), Unreadable::Base64),
            ),
        ] {
            assert_eq!(checked(arguments, head), Err(why), "{arguments}");
        }
        let repeated = |_: &str| Found::Repeated;
        let mirrors = read(NESTED).unwrap().unwrap();
        assert_eq!(mirrors.check("{}", repeated), Err(Mismatch::Repeated(name("Region"))));
    }
}
