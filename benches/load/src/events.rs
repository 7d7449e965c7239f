//! Server-sent events as they are read: bytes in any chunks become names and data.
//!
//! Owns what is not an event yet. Lines end with a newline, with or without a return before it; a return alone ends nothing,
//! because neither the mock nor Braid writes one. Ids and times to wait are passed over.

use bytes::{Bytes, BytesMut};

/// An event with data. An empty name is `message`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: Bytes,
    pub data: Bytes,
}

/// The decoder.
#[derive(Debug, Default)]
pub struct Events {
    buffer: BytesMut,
    /// How far there is no end of a line.
    scanned: usize,
    event: Event,
}

impl Events {
    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next event, or `None` until more is fed.
    #[expect(clippy::should_implement_trait, reason = "it is no iterator: after None there may be more")]
    pub fn next(&mut self) -> Option<Event> {
        loop {
            let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(found) = memchr::memchr(b'\n', fresh) else {
                self.scanned = self.buffer.len();
                return None;
            };
            let line = self.buffer.split_to(self.scanned + found + 1).freeze();
            self.scanned = 0;
            let end = if line.ends_with(b"\r\n") { line.len() - 2 } else { line.len() - 1 };
            if end == 0 {
                let event = std::mem::take(&mut self.event);
                if event.data.is_empty() {
                    continue;
                }
                return Some(event);
            }
            self.field(&line.slice(..end));
        }
    }

    fn field(&mut self, line: &Bytes) {
        let Some(colon) = memchr::memchr(b':', line) else { return };
        let start = colon + 1 + usize::from(line.get(colon + 1) == Some(&b' '));
        let value = line.slice(start..);
        match line.get(..colon).unwrap_or_default() {
            b"data" if self.event.data.is_empty() => self.event.data = value,
            b"data" => {
                let mut joined = BytesMut::from(&*self.event.data);
                joined.extend_from_slice(b"\n");
                joined.extend_from_slice(&value);
                self.event.data = joined.freeze();
            }
            b"event" => self.event.name = value,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = ": hello\r\nid: 1\ndata:\n\nevent: endpoint\r\ndata: /a?b\r\n\r\nid:2\ndata:{\"a\":\ndata: 1}\n\ndata: x";

    fn read(chunks: impl Iterator<Item = Vec<u8>>) -> Vec<(String, String)> {
        let mut events = Events::default();
        let mut read = Vec::new();
        for chunk in chunks {
            events.feed(&chunk);
            while let Some(event) = events.next() {
                let [name, data] =
                    [event.name, event.data].map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
                read.push((name, data));
            }
        }
        read
    }

    #[test]
    fn chunks_do_not_matter_and_events_without_data_are_none() {
        let expected = [("endpoint", "/a?b"), ("", "{\"a\":\n1}")];
        let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        for size in 1..=TEXT.len() {
            assert_eq!(read(TEXT.as_bytes().chunks(size).map(<[u8]>::to_vec)), expected, "{size}");
        }
    }
}
