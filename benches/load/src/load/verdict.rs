//! What an incoming message is worth.
//!
//! Owns nothing but how an answer is read: in one walk, and no further than to what decides. Counts go into the tally, open
//! calls are in the book.

use super::args::{Ask, Run};
use super::asking;
use super::book::Book;
use super::tally::Tally;
use crate::digits;
use crate::json::Walk;
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What every answer must be.
#[derive(Debug)]
pub struct Judge {
    ask: Ask,
    bytes: usize,
    notes: u64,
    /// How long a list is without its id; 0 until one was seen.
    list: AtomicUsize,
}

/// What is to be done about a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It closed this call, rightly or wrongly.
    Closed(u64),
    /// The server asks; this is the answer.
    Reply(Bytes),
    Nothing,
}

/// What of a message matters here, as it stands.
#[derive(Debug, Default)]
struct Seen<'a> {
    id: &'a [u8],
    method: &'a [u8],
    token: &'a [u8],
    text: Option<&'a [u8]>,
    has_result: bool,
    is_whole: bool,
}

impl Judge {
    pub fn new(run: &Run) -> Self {
        Self { ask: run.method, bytes: run.bytes, notes: run.notes, list: AtomicUsize::new(0) }
    }

    /// Counts a message that came at `now`.
    pub fn hear(
        &self,
        session: u64,
        message: &[u8],
        now: Instant,
        book: &mut Book,
        tally: &mut Tally,
    ) -> Verdict {
        let seen = Seen::read(message, self.ask);
        if !seen.method.is_empty() {
            return self.told(&seen, message, book, tally);
        }
        let Some(id) = digits::read(seen.id).filter(|_| seen.is_whole) else {
            tally.wrong("this is no answer", message);
            return Verdict::Nothing;
        };
        let Some(entry) = book.close(id) else {
            tally.wrong("nothing of this id is open", message);
            return Verdict::Nothing;
        };
        if self.is_right(&seen, session, id, message) {
            tally.right(now.saturating_duration_since(entry.due), message.len());
        } else {
            tally.wrong("this is no right answer", message);
        }
        Verdict::Closed(id)
    }

    fn is_right(&self, seen: &Seen<'_>, session: u64, id: u64, message: &[u8]) -> bool {
        match self.ask {
            Ask::Call => seen.text.is_some_and(|text| {
                let tag = asking::tag_of(text, session, id);
                tag.is_some_and(|tag| text.len() == tag.max(self.bytes))
            }),
            Ask::List => {
                let length = message.len() - digits::count(id);
                let first = self.list.compare_exchange(0, length, Ordering::Relaxed, Ordering::Relaxed);
                seen.has_result && first.is_ok_or_is(length)
            }
        }
    }

    /// A note or an ask.
    fn told(&self, seen: &Seen<'_>, message: &[u8], book: &Book, tally: &mut Tally) -> Verdict {
        if !seen.id.is_empty() {
            return Verdict::Reply(reply(seen));
        }
        if seen.method == b"notifications/progress" {
            let is_open = digits::read(seen.token).is_some_and(|token| book.is_open(token));
            if is_open && self.notes > 0 {
                tally.note();
            } else {
                tally.wrong("no call of this token is open", message);
            }
        }
        Verdict::Nothing
    }
}

/// The answer to what a server asks: it is alive, and can nothing.
fn reply(seen: &Seen<'_>) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.put_slice(seen.id);
    out.put_slice(match seen.method {
        b"ping" => br#","result":{}}"#,
        _ => br#","error":{"code":-32601,"message":"unknown method"}}"#,
    });
    out.freeze()
}

impl<'a> Seen<'a> {
    fn read(message: &'a [u8], ask: Ask) -> Self {
        let mut seen = Self::default();
        // When all is known, the rest is not walked over.
        let mut is_known = false;
        let walked = Walk::new(message).object(|walk, name| {
            match name {
                b"id" => seen.id = walk.value()?,
                b"method" => seen.method = walk.string()?,
                b"params" if walk.peek() == Some(b'{') => seen.params(walk)?,
                b"result" => {
                    seen.has_result = true;
                    let is_enough = !seen.id.is_empty() && seen.method.is_empty();
                    if ask == Ask::List && is_enough {
                        is_known = true;
                        return None;
                    }
                    seen.result(walk)?;
                    if seen.text.is_some() && is_enough {
                        is_known = true;
                        return None;
                    }
                }
                _ => {
                    walk.value()?;
                }
            }
            Some(())
        });
        seen.is_whole = is_known || walked.is_some();
        seen
    }

    fn params(&mut self, walk: &mut Walk<'a>) -> Option<()> {
        walk.object(|walk, name| {
            let value = walk.value()?;
            if name == b"progressToken" {
                self.token = value;
            }
            Some(())
        })
    }

    /// The text of the first content.
    fn result(&mut self, walk: &mut Walk<'a>) -> Option<()> {
        if walk.peek() != Some(b'{') {
            walk.value()?;
            return Some(());
        }
        walk.object(|walk, name| {
            if name != b"content" || walk.peek() != Some(b'[') {
                walk.value()?;
                return Some(());
            }
            let mut is_first = true;
            walk.array(|walk| {
                if !is_first || walk.peek() != Some(b'{') {
                    walk.value()?;
                    return Some(());
                }
                is_first = false;
                walk.object(|walk, name| {
                    if name == b"text" && walk.peek() == Some(b'"') {
                        self.text = Some(walk.string()?);
                    } else {
                        walk.value()?;
                    }
                    Some(())
                })
            })
        })
    }
}

/// Whether what stood there before was nothing, or the same.
trait FirstOrSame {
    fn is_ok_or_is(&self, length: usize) -> bool;
}

impl FirstOrSame for Result<usize, usize> {
    fn is_ok_or_is(&self, length: usize) -> bool {
        match self {
            Ok(_) => true,
            Err(before) => *before == length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::asking::tests::run;
    use super::super::book::Entry;
    use super::*;

    /// Two calls are open in session 3, of the ids 65536 and 65537.
    fn hear(line: &str, messages: &[&str]) -> (Tally, Vec<Verdict>) {
        let now = Instant::now();
        let (judge, mut book, mut tally) = (Judge::new(&run(line)), Book::new(0, 2), Tally::default());
        while book.open(Entry { due: now, sent: now }).is_some() {}
        let hear = |message: &&str| judge.hear(3, message.as_bytes(), now, &mut book, &mut tally);
        let verdicts = messages.iter().map(hear).collect();
        (tally, verdicts)
    }

    fn answer(id: &str, text: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#)
    }

    fn counts(line: &str, messages: &[&str]) -> (u64, u64, u64) {
        let (tally, _) = hear(line, messages);
        (tally.calls, tally.wrong, tally.notes)
    }

    #[test]
    fn a_right_answer_counts_once() {
        let right = answer("65536", "#3.65536#");
        assert_eq!(counts("", &[&right]), (1, 0, 0));
        assert_eq!(counts("", &[&right, &right]), (1, 1, 0));
        let other = r##"{"result":{"isError":false,"content":[{"text":"#3.65537#","type":"text"}],"resultType":"complete"},"id":65537,"jsonrpc":"2.0"}"##;
        let (tally, verdicts) = hear("", &[&right, other]);
        assert_eq!((tally.calls, tally.wrong), (2, 0));
        assert_eq!(verdicts, [Verdict::Closed(65_536), Verdict::Closed(65_537)]);
    }

    #[test]
    fn what_is_not_its_own_is_wrong() {
        for odd in [
            answer("65536", "#3.65537#"),
            answer("65536", "#2.65536#"),
            answer("65536", "#3.65536#x"),
            answer("65536", ""),
            answer("\"65536\"", "#3.65536#"),
            answer("65538", "#3.65538#"),
            answer("131072", "#3.131072#"),
            r#"{"jsonrpc":"2.0","id":65536,"error":{"code":1,"message":"no"}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":65536,"result":{"content":[]}}"#.to_owned(),
            answer("65536", "#3.65536#").replace("]}}", ""),
            "nothing".to_owned(),
        ] {
            assert_eq!(counts("", &[&odd]), (0, 1, 0), "{odd}");
        }
        let text = format!("#3.65536#{}", "x".repeat(11));
        assert_eq!(counts("--bytes 20", &[&answer("65536", &text)]), (1, 0, 0));
        assert_eq!(counts("--bytes 21", &[&answer("65536", &text)]), (0, 1, 0));
    }

    #[test]
    fn notes_are_counted_while_their_call_is_open() {
        let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":65536,"progress":1}}"#;
        let right = answer("65536", "#3.65536#");
        assert_eq!(counts("--notes 1", &[note, &right]), (1, 0, 1));
        assert_eq!(counts("--notes 1", &[&right, note]), (1, 1, 0));
        assert_eq!(counts("", &[note]), (0, 1, 0));
        assert_eq!(counts("--notes 1", &[&note.replace("65536", "\"65536\"")]), (0, 1, 0));
    }

    #[test]
    fn lists_are_of_one_length() {
        let list = |id: &str, tools: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[{tools}]}}}}"#)
        };
        let line = "--method tools/list";
        assert_eq!(counts(line, &[&list("65536", "1"), &list("65537", "2")]), (2, 0, 0));
        assert_eq!(counts(line, &[&list("65536", "1"), &list("65537", "12")]), (1, 1, 0));
        let error = r#"{"jsonrpc":"2.0","id":65536,"error":{}}"#;
        assert_eq!(counts(line, &[error]), (0, 1, 0));
    }

    #[test]
    fn asks_are_answered_and_other_words_passed_over() {
        let (tally, verdicts) = hear(
            "",
            &[
                r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
            ],
        );
        let pong = Bytes::from_static(br#"{"jsonrpc":"2.0","id":"a","result":{}}"#);
        assert_eq!(verdicts, [Verdict::Reply(pong), Verdict::Nothing]);
        assert_eq!((tally.calls, tally.wrong), (0, 0));
    }
}
