//! A message as the server hears it: the few members that it acts on, found in one walk over the text.
//!
//! Everything is as it stood in the text, ids and tokens above all. It neither answers nor judges.

use crate::digits;
use crate::json::Walk;
use crate::words::META_VERSION;

/// What of a message matters here. An empty `id` is a notification.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard<'a> {
    /// A number or a string with its quotes.
    pub id: &'a [u8],
    pub method: &'a [u8],
    /// The tool's.
    pub name: &'a [u8],
    pub work: Work<'a>,
    /// As it stands, with quotes if it has them; empty: none.
    pub token: &'a [u8],
    /// What `initialize` asks for.
    pub revision: &'a [u8],
    /// The request says its revision itself.
    pub is_modern: bool,
}

/// The arguments of a tool.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Work<'a> {
    /// Without quotes.
    pub tag: &'a [u8],
    pub bytes: usize,
    pub ms: u64,
    pub notes: u64,
}

impl<'a> Heard<'a> {
    /// `None`: this is no JSON object.
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let mut heard = Self::default();
        Walk::new(text).object(|walk, name| {
            match name {
                b"id" => heard.id = walk.value()?,
                b"method" => heard.method = walk.string()?,
                b"params" if walk.peek() == Some(b'{') => heard.params(walk)?,
                _ => {
                    walk.value()?;
                }
            }
            Some(())
        })?;
        Some(heard)
    }

    fn params(&mut self, walk: &mut Walk<'a>) -> Option<()> {
        walk.object(|walk, name| {
            match name {
                b"name" if walk.peek() == Some(b'"') => self.name = walk.string()?,
                b"protocolVersion" if walk.peek() == Some(b'"') => self.revision = walk.string()?,
                b"arguments" if walk.peek() == Some(b'{') => self.work.read(walk)?,
                b"_meta" if walk.peek() == Some(b'{') => self.meta(walk)?,
                _ => {
                    walk.value()?;
                }
            }
            Some(())
        })
    }

    fn meta(&mut self, walk: &mut Walk<'a>) -> Option<()> {
        walk.object(|walk, name| {
            let value = walk.value()?;
            if name == b"progressToken" {
                self.token = value;
            } else if name == META_VERSION.as_bytes() {
                self.is_modern = true;
            }
            Some(())
        })
    }
}

impl<'a> Work<'a> {
    fn read(&mut self, walk: &mut Walk<'a>) -> Option<()> {
        walk.object(|walk, name| {
            match name {
                b"tag" if walk.peek() == Some(b'"') => self.tag = walk.string()?,
                b"bytes" => self.bytes = number(walk)?.try_into().unwrap_or(usize::MAX),
                b"ms" => self.ms = number(walk)?,
                b"notes" => self.notes = number(walk)?,
                _ => {
                    walk.value()?;
                }
            }
            Some(())
        })
    }
}

/// What is no number counts as none.
fn number(walk: &mut Walk<'_>) -> Option<u64> {
    Some(digits::read(walk.value()?).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_heard_in_any_order() {
        let expected = Heard {
            id: b"\"a\\\"b\"",
            method: b"tools/call",
            name: b"t1",
            work: Work { tag: b"x.1", bytes: 64, ms: 2, notes: 3 },
            token: b"7",
            revision: b"",
            is_modern: true,
        };
        for text in [
            r#"{"jsonrpc":"2.0","id":"a\"b","method":"tools/call","params":{"name":"t1","arguments":{"tag":"x.1","bytes":64,"ms":2,"notes":3},"_meta":{"progressToken":7,"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
            r#"{"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":7},"arguments":{"notes":3,"other":{"tag":1},"ms":2,"bytes":64,"tag":"x.1"},"name":"t1"},"method":"tools/call","id":"a\"b"}"#,
        ] {
            assert_eq!(Heard::read(text.as_bytes()).as_ref(), Some(&expected));
        }
    }

    #[test]
    fn what_is_odd_is_no_call() {
        assert_eq!(Heard::read(b"[]"), None);
        assert_eq!(Heard::read(br#"{"method":1}"#), None);
        let odd = br#"{"method":"x","params":[{"name":"y"}]}"#;
        assert_eq!(Heard::read(odd), Some(Heard { method: b"x", ..Heard::default() }));
    }
}
