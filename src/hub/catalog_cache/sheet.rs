//! One server's lists as they lie in a file.
//!
//! A first line with the form's number and the mark of all that follows; then what the server said of itself and each of its
//! lists, each as one line, in the form of an answer to us. So what is kept is read by the readers of what servers say, and
//! can do no more than a server could. Items stand there byte for byte.

use super::name::Name;
use super::seal::{Mark, Seal};
use crate::hub::views::Whole;
use crate::mcp::capabilities::Capabilities;
use crate::mcp::method::Kind;
use crate::mcp::revision::Revision;
use crate::wire::hex::{hex, unhex};
use crate::wire::members::{elements, member, quote, string};
use crate::wire::message::{Head, Message, Outcome};
use bytes::Bytes;

/// What is to be kept of a server.
pub(in crate::hub) struct Known<'a> {
    pub(in crate::hub) revision: Revision,
    pub(in crate::hub) capabilities: &'a Capabilities,
    pub(in crate::hub) instructions: Option<&'a str>,
    pub(in crate::hub) lists: &'a Whole,
}

/// What was kept.
#[derive(Debug)]
pub(in crate::hub) struct Sheet {
    pub(in crate::hub) revision: Revision,
    pub(in crate::hub) capabilities: Capabilities,
    pub(in crate::hub) instructions: Option<String>,
    /// By `Kind::index`; each is the answer to a question for that list.
    answers: Vec<Message>,
}

impl Known<'_> {
    /// The text of the file of this name, and its mark: equal for equal texts.
    pub(super) fn written(&self, seal: &Seal, name: &Name) -> (Vec<u8>, Mark) {
        let mut body = Vec::new();
        let instructions =
            self.instructions.map(|text| format!(r#","instructions":{}"#, quote(text))).unwrap_or_default();
        let (revision, capabilities) = (self.revision.as_str(), self.capabilities.written());
        let said =
            format!(r#"{{"protocolVersion":"{revision}","capabilities":{capabilities}{instructions}}}"#);
        body.extend_from_slice(answer(0, &said).as_bytes());
        for (kind, list) in Kind::ALL.into_iter().zip(self.lists) {
            let (before, after) = (format!(r#"{{"{}":["#, kind.member()), "]}");
            let whole = answer(kind.index() + 1, &format!("{before}{after}"));
            let (before, after) = whole.split_at(whole.len() - after.len() - END.len());
            body.extend_from_slice(before.as_bytes());
            for (at, item) in list.iter().enumerate() {
                if at > 0 {
                    body.push(b',');
                }
                body.extend_from_slice(item.text());
            }
            body.extend_from_slice(after.as_bytes());
        }
        let mark = sealed(seal, name, &body).end();
        let mut text = format!("{FORM} {}\n", hex(&mark)).into_bytes();
        text.append(&mut body);
        (text, mark)
    }
}

impl Sheet {
    /// Reads the text of the file of this name. Where it is not one of ours, why.
    pub(super) fn read(seal: &Seal, name: &Name, text: Bytes) -> Result<(Self, Mark), &'static str> {
        let end = memchr::memchr(b'\n', &text).ok_or(DAMAGED)?;
        let first = text.get(..end).and_then(|first| std::str::from_utf8(first).ok()).ok_or(DAMAGED)?;
        let (form, mark) = first.rsplit_once(' ').ok_or(DAMAGED)?;
        if form != FORM {
            return Err("is of another version of Braid");
        }
        let mark: Mark = unhex(mark).and_then(|mark| mark.try_into().ok()).ok_or(DAMAGED)?;
        let body = text.slice(end + 1..);
        if !sealed(seal, name, &body).is(&mark) {
            return Err("is damaged, or not written by Braid for this server");
        }
        let mut lines = body.split(|byte| *byte == b'\n');
        let mut next = || {
            let line = body.slice_ref(lines.next().ok_or(DAMAGED)?);
            Message::parse_server(line).map_err(|_| DAMAGED)
        };
        let said = next()?;
        let answers = Kind::ALL.map(|_| next()).into_iter().collect::<Result<Vec<_>, _>>()?;
        let said = result(&said).ok_or(DAMAGED)?;
        let text = |key| member(said, key).and_then(string);
        let sheet = Self {
            revision: text("protocolVersion").and_then(|name| Revision::parse(&name)).ok_or(DAMAGED)?,
            capabilities: member(said, "capabilities").map(Capabilities::read).ok_or(DAMAGED)?,
            instructions: text("instructions").map(std::borrow::Cow::into_owned),
            answers,
        };
        match Kind::ALL.into_iter().all(|kind| sheet.list(kind).is_some()) {
            true => Ok((sheet, mark)),
            false => Err(DAMAGED),
        }
    }

    /// The items of a list, each as its server wrote it.
    pub(in crate::hub) fn items(&self, kind: Kind) -> Vec<&str> {
        self.list(kind).unwrap_or_default()
    }

    fn list(&self, kind: Kind) -> Option<Vec<&str>> {
        let result = self.answers.get(kind.index()).and_then(result)?;
        member(result, kind.member()).and_then(elements)
    }
}

fn sealed(seal: &Seal, name: &Name, body: &[u8]) -> super::seal::Sealing {
    let mut sealing = seal.begin(FORM);
    sealing.part(name.as_str().as_bytes());
    sealing.part(body);
    sealing
}

fn answer(id: usize, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}{END}"#)
}

fn result(answer: &Message) -> Option<&str> {
    match answer.head() {
        Head::Response { outcome: Outcome::Result { value, .. }, .. } => Some(answer.str(*value)),
        Head::Response { .. } | Head::Request { .. } | Head::Notification { .. } => None,
    }
}

/// What stands behind a result.
const END: &str = "}\n";
/// What a file begins with. Another form has another number.
const FORM: &str = "braid-lists 1";
const DAMAGED: &str = "is damaged";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::item::Item;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn name(digit: &str) -> Name {
        use super::super::name::Of;
        use crate::config::{Command, Reach, ServerConfig};
        let command = Command::new(digit, std::path::Path::new("/"));
        let settings = ServerConfig::new("a", Reach::Stdio(command));
        Of { settings: &settings, principal: "local", told: None }.name(&Seal::of(1), &|_| None)
    }

    fn lists(tools: &[&str]) -> Whole {
        let tools = tools
            .iter()
            .map(|text| Item::parse(Kind::Tools, Bytes::copy_from_slice(text.as_bytes())).unwrap());
        [Arc::new(tools.collect()), Arc::default(), Arc::default(), Arc::default()]
    }

    fn written(tools: &[&str], instructions: Option<&str>) -> Vec<u8> {
        let capabilities = Capabilities { tools: true, ..Capabilities::default() };
        let lists = lists(tools);
        let known = Known {
            revision: Revision::V2025_06_18,
            capabilities: &capabilities,
            instructions,
            lists: &lists,
        };
        known.written(&Seal::of(1), &name("a")).0
    }

    fn read(text: Vec<u8>) -> Result<Sheet, &'static str> {
        Sheet::read(&Seal::of(1), &name("a"), Bytes::from(text)).map(|(sheet, _)| sheet)
    }

    #[test]
    fn what_is_written_is_read_byte_for_byte() {
        let tools = [
            r#"{ "name" : "a\u005fb", "x":1.0000000000000000001,"x":2 }"#,
            r#"{"name":"é","x":"\ud800","inputSchema":{"type":"object"}}"#,
        ];
        let said = "Ask \"twice\".\nThen go.";
        let sheet = read(written(&tools, Some(said))).unwrap();
        assert_eq!(sheet.items(Kind::Tools), tools);
        assert!(sheet.items(Kind::Prompts).is_empty() && sheet.items(Kind::Templates).is_empty());
        assert_eq!((sheet.revision, sheet.instructions.as_deref()), (Revision::V2025_06_18, Some(said)));
        assert_eq!(sheet.capabilities, Capabilities { tools: true, ..Capabilities::default() });
        assert_eq!(read(written(&[], None)).unwrap().instructions, None);
    }

    #[test]
    fn a_file_of_another_form_name_or_key_is_none_of_ours() {
        let text = written(&[r#"{"name":"a"}"#], None);
        let other = String::from_utf8(text.clone()).unwrap().replacen("lists 1", "lists 2", 1);
        assert_eq!(read(other.into_bytes()).unwrap_err(), "is of another version of Braid");
        let foreign = "is damaged, or not written by Braid for this server";
        let bytes = Bytes::from(text);
        assert_eq!(Sheet::read(&Seal::of(2), &name("a"), bytes.clone()).unwrap_err(), foreign);
        assert_eq!(Sheet::read(&Seal::of(1), &name("b"), bytes).unwrap_err(), foreign);
    }

    #[test]
    fn what_was_sealed_and_is_no_sheet_is_refused() {
        let lists = |tools: &str| {
            let other =
                r#"{"jsonrpc":"2.0","id":2,"result":{"prompts":[],"resources":[],"resourceTemplates":[]}}"#;
            format!("{tools}\n{other}\n{other}\n{other}\n")
        };
        let said = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{}}}"#;
        let tools = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}]}}"#;
        let sealed = |body: &str| {
            let mark = sealed(&Seal::of(1), &name("a"), body.as_bytes()).end();
            read(format!("{FORM} {}\n{body}", hex(&mark)).into_bytes())
        };
        assert_eq!(
            sealed(&format!("{said}\n{}", lists(tools))).unwrap().items(Kind::Tools),
            [r#"{"name":"a"}"#]
        );
        for body in [
            String::new(),
            said.to_owned(),
            format!("{said}\n{tools}"),
            format!("{tools}\n{}", lists(tools)),
            format!("{said}\n{}", lists("{")),
            format!("{said}\n{}", lists(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#)),
            format!("{said}\n{}", lists(r#"{"jsonrpc":"2.0","id":1,"result":{"tools":{}}}"#)),
            format!("{}\n{}", said.replace("2025-11-25", "1999-01-01"), lists(tools)),
        ] {
            assert_eq!(sealed(&body).unwrap_err(), DAMAGED, "{body}");
        }
    }

    proptest! {
        #[test]
        fn a_file_with_any_byte_changed_or_cut_off_is_refused(at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let text = written(&[r#"{"name":"a"}"#], Some("x"));
            let mut changed = text.clone();
            changed[at.index(text.len())] ^= 1 << bit;
            prop_assert!(read(changed).is_err());
            prop_assert!(read(text[..at.index(text.len())].to_vec()).is_err());
        }

        #[test]
        fn nothing_in_a_file_panics(text in prop::collection::vec(any::<u8>(), 1..200), behind in any::<bool>()) {
            let mut all = if behind { written(&[], None) } else { format!("{FORM} ").into_bytes() };
            all.extend(text);
            prop_assert!(read(all).is_err());
        }
    }
}
