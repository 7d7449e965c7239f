//! What is asked: requests as bytes, put together from pieces that are made once.
//!
//! Owns the tag of each call. Sends nothing.

use super::args::{Ask, Era, Run};
use crate::digits;
use crate::words::{HANDSHAKE, META_CAPABILITIES, META_CLIENT, META_VERSION, MODERN};
use bytes::{BufMut, Bytes, BytesMut};

/// A request for each tool, all but its id.
#[derive(Debug)]
pub struct Asking {
    templates: Vec<Template>,
}

/// A request in pieces: between them stand its id, its tag and its token.
#[derive(Debug)]
pub struct Template {
    /// What stands in `Mcp-Name`, if anything does.
    pub name: Option<String>,
    /// After the id.
    method: Bytes,
    /// After the tag; `None`: there is none.
    arguments: Option<Bytes>,
    /// After the token; `None`: there is none.
    end: Option<Bytes>,
}

impl Asking {
    pub fn new(run: &Run) -> Self {
        let templates = match run.method {
            Ask::Call => run.tools.iter().map(|tool| Template::call(run, tool)).collect(),
            Ask::List => vec![Template::list(run.era)],
        };
        Self { templates }
    }

    /// One after the other, as `turn` goes up.
    pub fn template(&self, turn: usize) -> Option<&Template> {
        self.templates.get(turn % self.templates.len().max(1))
    }

    pub fn templates(&self) -> &[Template] {
        &self.templates
    }
}

impl Template {
    fn call(run: &Run, tool: &str) -> Self {
        let method = format!(
            r#","method":"tools/call","params":{{"name":{},"arguments":{{"tag":""#,
            serde_json::to_string(tool).unwrap_or_default()
        );
        let arguments = format!(r#"","bytes":{},"ms":{},"notes":{}}}"#, run.bytes, run.ms, run.notes);
        let mut meta = String::new();
        if run.era == Era::Modern {
            meta.push_str(&modern_meta());
        }
        let (arguments, end) = match (run.notes, run.era) {
            (0, Era::Legacy) => (format!("{arguments}}}}}"), None),
            (0, Era::Modern) => (format!(r#"{arguments},"_meta":{{{meta}}}}}}}"#), None),
            (_, Era::Legacy) => {
                (format!(r#"{arguments},"_meta":{{"progressToken":"#), Some("}}}".to_owned()))
            }
            (_, Era::Modern) => {
                (format!(r#"{arguments},"_meta":{{"progressToken":"#), Some(format!(",{meta}}}}}}}")))
            }
        };
        Self {
            name: Some(tool.to_owned()),
            method: Bytes::from(method),
            arguments: Some(Bytes::from(arguments)),
            end: end.map(Bytes::from),
        }
    }

    fn list(era: Era) -> Self {
        let params = match era {
            Era::Legacy => String::new(),
            Era::Modern => format!(r#""_meta":{{{}}}"#, modern_meta()),
        };
        let method = format!(r#","method":"tools/list","params":{{{params}}}}}"#);
        Self { name: None, method: Bytes::from(method), arguments: None, end: None }
    }

    /// Appends the request.
    pub fn put(&self, out: &mut BytesMut, session: u64, id: u64) {
        out.put_slice(br#"{"jsonrpc":"2.0","id":"#);
        digits::put(out, id);
        out.put_slice(&self.method);
        if let Some(arguments) = &self.arguments {
            put_tag(out, session, id);
            out.put_slice(arguments);
        }
        if let Some(end) = &self.end {
            digits::put(out, id);
            out.put_slice(end);
        }
    }
}

/// How long the tag is with which a text begins, if it is that of this call.
pub fn tag_of(text: &[u8], session: u64, id: u64) -> Option<usize> {
    let inner = text.strip_prefix(b"#")?;
    let dot = memchr::memchr(b'.', inner.get(..DIGITS_MAX.min(inner.len()))?)?;
    let rest = inner.get(dot + 1..)?;
    let end = memchr::memchr(b'#', rest.get(..DIGITS_MAX.min(rest.len()))?)?;
    let said = (digits::read(inner.get(..dot)?)?, digits::read(rest.get(..end)?)?);
    (said == (session, id)).then_some(dot + end + 3)
}

fn put_tag(out: &mut BytesMut, session: u64, id: u64) {
    out.put_u8(b'#');
    digits::put(out, session);
    out.put_u8(b'.');
    digits::put(out, id);
    out.put_u8(b'#');
}

/// The first request of a session with a handshake.
pub fn initialize(revision: &str) -> Bytes {
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":{GREETING_ID},"method":"initialize","params":{{"protocolVersion":"{revision}","capabilities":{{}},"clientInfo":{CLIENT}}}}}"#
    );
    Bytes::from(text)
}

/// What follows its answer.
pub fn initialized() -> Bytes {
    Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
}

/// The revision that is asked for where nothing speaks against it.
pub fn newest() -> &'static str {
    HANDSHAKE.first().copied().unwrap_or_default()
}

fn modern_meta() -> String {
    format!(r#""{META_VERSION}":"{MODERN}","{META_CAPABILITIES}":{{}},"{META_CLIENT}":{CLIENT}"#)
}

/// Lower than any id of a call.
pub const GREETING_ID: u64 = 0;
const CLIENT: &str = r#"{"name":"load","version":"1.0.0"}"#;
/// Of a number of 64 bits, and what ends it.
const DIGITS_MAX: usize = 21;

#[cfg(test)]
pub mod tests {
    use super::*;
    use clap::Parser as _;
    use serde::de::IgnoredAny;
    use std::collections::HashMap;

    pub fn run(line: &str) -> Run {
        let words = "load --stdio x --calls 1".split(' ').chain(line.split_whitespace());
        super::super::args::Args::parse_from(words).run
    }

    fn text(line: &str, turn: usize) -> String {
        let mut out = BytesMut::new();
        Asking::new(&run(line)).template(turn).unwrap().put(&mut out, 3, 65_536);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_call_says_what_it_wants() {
        assert_eq!(
            text("--tool a --tool b --bytes 5 --ms 6", 3),
            r##"{"jsonrpc":"2.0","id":65536,"method":"tools/call","params":{"name":"b","arguments":{"tag":"#3.65536#","bytes":5,"ms":6,"notes":0}}}"##
        );
        assert_eq!(
            text("--notes 2", 0),
            r##"{"jsonrpc":"2.0","id":65536,"method":"tools/call","params":{"name":"work","arguments":{"tag":"#3.65536#","bytes":0,"ms":0,"notes":2},"_meta":{"progressToken":65536}}}"##
        );
        assert_eq!(
            text("--method tools/list", 7),
            r#"{"jsonrpc":"2.0","id":65536,"method":"tools/list","params":{}}"#
        );
    }

    #[test]
    fn every_request_is_json_and_a_modern_one_says_its_revision() {
        for line in ["--notes 1", "--notes 0", "--method tools/list"] {
            for era in ["legacy", "modern"] {
                let text = text(&format!("--era {era} {line}"), 0);
                let members: HashMap<String, IgnoredAny> = serde_json::from_str(&text).unwrap();
                assert_eq!(members.len(), 4);
                assert_eq!(text.contains(META_VERSION), era == "modern");
            }
        }
    }

    #[test]
    fn only_its_own_tag_is_its_own() {
        let mut out = BytesMut::new();
        put_tag(&mut out, 12, u64::MAX);
        let length = out.len();
        assert_eq!(tag_of(&out, 12, u64::MAX), Some(length));
        out.put_slice(b"xxxx#");
        assert_eq!(tag_of(&out, 12, u64::MAX), Some(length));
        for odd in
            ["#1.65536#", "#12.6553#", "#12.655360#", "12.65536#", "#12.65536", "#.65536#", "#12#", "", "#"]
        {
            assert_eq!(tag_of(odd.as_bytes(), 12, 65_536), None, "{odd}");
        }
    }
}
