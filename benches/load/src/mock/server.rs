//! What the server says to what it hears: a text in, a text out, at once or after a while.
//!
//! Owns what is offered. It neither reads nor writes nor waits; each transport does that in its own way.

use super::args::Args;
use super::hearing::{Heard, Work};
use super::offer;
use crate::digits;
use crate::words::{HANDSHAKE, META_SERVER, MODERN};
use bytes::{BufMut, Bytes, BytesMut};
use std::time::Duration;

/// Pure: the same text has the same answer.
#[derive(Debug)]
pub struct Server {
    name: String,
    tools: Bytes,
    tool_count: usize,
    is_mute: bool,
    is_legacy: bool,
}

/// What comes of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was no request, or the server is mute.
    Silence,
    /// `messages` texts were appended.
    Said { after: Duration, messages: u64, kind: Kind },
}

/// What a transport may want to know of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Result,
    /// The answer to `initialize`.
    Greeting,
    /// The method is unknown.
    Unknown,
    Error,
}

impl Server {
    pub fn new(args: &Args) -> Self {
        Self {
            name: args.name.clone(),
            tools: offer::tools(args.tools),
            tool_count: args.tools,
            is_mute: args.hang,
            is_legacy: args.legacy_only,
        }
    }

    /// Reads, and never says anything.
    pub fn is_mute(&self) -> bool {
        self.is_mute
    }

    /// Has never heard of requests without a handshake.
    pub fn is_legacy(&self) -> bool {
        self.is_legacy
    }

    /// Answers a message: `out` has each text between `before` and `behind`, notes first.
    pub fn answer(&self, text: &[u8], out: &mut BytesMut, before: &[u8], behind: &[u8]) -> Outcome {
        if self.is_mute {
            return Outcome::Silence;
        }
        let Some(heard) = Heard::read(text) else {
            out.put_slice(before);
            out.put_slice(
                br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"this is no message"}}"#,
            );
            out.put_slice(behind);
            return said(Kind::Error);
        };
        if heard.id.is_empty() || heard.method.is_empty() {
            return Outcome::Silence;
        }
        if heard.method == b"tools/call" && offer::knows(heard.name, self.tool_count) {
            return work(&heard, out, before, behind);
        }
        out.put_slice(before);
        let kind = self.reply(&heard, out);
        out.put_slice(behind);
        said(kind)
    }

    fn reply(&self, heard: &Heard<'_>, out: &mut BytesMut) -> Kind {
        out.put_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.put_slice(heard.id);
        match heard.method {
            b"tools/list" => {
                out.put_slice(if heard.is_modern { CACHED } else { RESULT });
                out.put_slice(&self.tools);
                out.put_slice(b"}}");
                Kind::Result
            }
            b"initialize" => {
                self.greet(heard, out);
                Kind::Greeting
            }
            b"server/discover" if !self.is_legacy => {
                self.discover(out);
                Kind::Result
            }
            b"ping" => {
                out.put_slice(br#","result":{}}"#);
                Kind::Result
            }
            b"tools/call" => {
                out.put_slice(br#","error":{"code":-32602,"message":"unknown tool"}}"#);
                Kind::Error
            }
            _ => {
                out.put_slice(br#","error":{"code":-32601,"message":"unknown method"}}"#);
                Kind::Unknown
            }
        }
    }

    fn greet(&self, heard: &Heard<'_>, out: &mut BytesMut) {
        let newest = HANDSHAKE.first().copied().unwrap_or_default();
        let asked = HANDSHAKE.into_iter().find(|revision| revision.as_bytes() == heard.revision);
        out.put_slice(br#","result":{"protocolVersion":""#);
        out.put_slice(asked.unwrap_or(newest).as_bytes());
        out.put_slice(br#"","capabilities":{"tools":{}},"serverInfo":"#);
        self.introduce(out);
        out.put_slice(b"}}");
    }

    fn discover(&self, out: &mut BytesMut) {
        out.put_slice(CACHED);
        out.put_slice(br#""supportedVersions":[""#);
        out.put_slice(MODERN.as_bytes());
        out.put_slice(br#""],"capabilities":{"tools":{}},"_meta":{""#);
        out.put_slice(META_SERVER.as_bytes());
        out.put_slice(b"\":");
        self.introduce(out);
        out.put_slice(b"}}}");
    }

    fn introduce(&self, out: &mut BytesMut) {
        out.put_slice(br#"{"name":""#);
        out.put_slice(self.name.as_bytes());
        out.put_slice(br#"","version":"1.0.0"}"#);
    }
}

fn said(kind: Kind) -> Outcome {
    Outcome::Said { after: Duration::ZERO, messages: 1, kind }
}

/// The notes of a call and its result.
fn work(heard: &Heard<'_>, out: &mut BytesMut, before: &[u8], behind: &[u8]) -> Outcome {
    let Work { tag, bytes, ms, notes } = heard.work;
    let notes = if heard.token.is_empty() { 0 } else { notes.min(NOTES_MAX) };
    for number in 1..=notes {
        out.put_slice(before);
        out.put_slice(br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"#);
        out.put_slice(heard.token);
        out.put_slice(br#","progress":"#);
        digits::put(out, number);
        out.put_slice(br#","total":"#);
        digits::put(out, notes);
        out.put_slice(b"}}");
        out.put_slice(behind);
    }
    let filler = bytes.min(BYTES_MAX).saturating_sub(tag.len());
    out.reserve(tag.len() + filler + 160 + before.len() + behind.len());
    out.put_slice(before);
    out.put_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.put_slice(heard.id);
    out.put_slice(if heard.is_modern { COMPLETE } else { RESULT });
    out.put_slice(br#""content":[{"type":"text","text":""#);
    out.put_slice(tag);
    out.put_bytes(b'x', filler);
    out.put_slice(br#""}]}}"#);
    out.put_slice(behind);
    Outcome::Said { after: Duration::from_millis(ms), messages: notes + 1, kind: Kind::Result }
}

const RESULT: &[u8] = br#","result":{"#;
const COMPLETE: &[u8] = br#","result":{"resultType":"complete","#;
const CACHED: &[u8] = br#","result":{"resultType":"complete","ttlMs":60000,"cacheScope":"public","#;

/// More of either is not given, whoever asks.
const BYTES_MAX: usize = 64 << 20;
const NOTES_MAX: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::args::Transport;
    use serde::de::IgnoredAny;
    use std::collections::HashMap;

    fn server(args: impl FnOnce(&mut Args)) -> Server {
        let mut all = Args {
            transport: Transport::Stdio,
            listen: ([127, 0, 0, 1], 0).into(),
            tools: 2,
            name: "m".to_owned(),
            start_ms: 0,
            hang: false,
            legacy_only: false,
        };
        args(&mut all);
        Server::new(&all)
    }

    fn hear(server: &Server, text: &str) -> (Outcome, String) {
        let mut out = BytesMut::new();
        let outcome = server.answer(text.as_bytes(), &mut out, b"<", b">");
        (outcome, String::from_utf8(out.to_vec()).unwrap())
    }

    #[test]
    fn a_call_has_its_notes_its_id_and_its_length() {
        let text = r#"{"jsonrpc":"2.0","id":"1.0","method":"tools/call","params":{"name":"t1","arguments":{"tag":"ab","bytes":5,"ms":7,"notes":2},"_meta":{"progressToken":"p"}}}"#;
        let (outcome, said) = hear(&server(|_| {}), text);
        assert_eq!(
            outcome,
            Outcome::Said { after: Duration::from_millis(7), messages: 3, kind: Kind::Result }
        );
        assert_eq!(
            said,
            concat!(
                r#"<{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1,"total":2}}>"#,
                r#"<{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":2,"total":2}}>"#,
                r#"<{"jsonrpc":"2.0","id":"1.0","result":{"content":[{"type":"text","text":"abxxx"}]}}>"#,
            )
        );
    }

    #[test]
    fn notes_without_a_token_are_not_sent() {
        let text =
            r#"{"id":1,"method":"tools/call","params":{"name":"work","arguments":{"tag":"a","notes":2}}}"#;
        let (_, said) = hear(&server(|_| {}), text);
        assert_eq!(said, r#"<{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a"}]}}>"#);
    }

    #[test]
    fn whoever_says_its_revision_is_told_that_this_is_all() {
        let text = r#"{"id":1,"method":"tools/call","params":{"name":"work","arguments":{"tag":"a"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let (_, said) = hear(&server(|_| {}), text);
        assert!(said.contains(r#""resultType":"complete","content""#), "{said}");
    }

    #[test]
    fn the_newest_revision_with_a_handshake_is_offered() {
        for (asked, agreed) in
            [("2025-03-26", "2025-03-26"), ("2026-07-28", "2025-11-25"), ("1", "2025-11-25")]
        {
            let text =
                format!(r#"{{"id":0,"method":"initialize","params":{{"protocolVersion":"{asked}"}}}}"#);
            let (outcome, said) = hear(&server(|_| {}), &text);
            assert_eq!(outcome, super::said(Kind::Greeting));
            assert!(said.contains(&format!(r#""protocolVersion":"{agreed}""#)), "{said}");
        }
    }

    #[test]
    fn an_old_server_knows_no_discover_and_a_mute_one_nothing() {
        let text = r#"{"id":0,"method":"server/discover","params":{}}"#;
        assert!(hear(&server(|_| {}), text).1.contains("supportedVersions"));
        let (outcome, said) = hear(&server(|args| args.legacy_only = true), text);
        assert_eq!(outcome, super::said(Kind::Unknown));
        assert!(said.contains("-32601"), "{said}");
        assert_eq!(hear(&server(|args| args.hang = true), text), (Outcome::Silence, String::new()));
    }

    #[test]
    fn only_requests_are_answered() {
        for text in [r#"{"method":"notifications/initialized"}"#, r#"{"id":1,"result":{}}"#] {
            assert_eq!(hear(&server(|_| {}), text), (Outcome::Silence, String::new()));
        }
    }

    #[test]
    fn every_answer_is_json() {
        for method in ["initialize", "tools/list", "server/discover", "ping", "nothing", "tools/call"] {
            for meta in ["", r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#] {
                let text = format!(r#"{{"id":3,"method":"{method}","params":{{{meta}}}}}"#);
                let (_, said) = hear(&server(|_| {}), &text);
                let said = said.trim_matches(['<', '>']);
                let answer: HashMap<String, IgnoredAny> = serde_json::from_str(said).unwrap();
                assert!(answer.contains_key("id"));
            }
        }
    }
}
