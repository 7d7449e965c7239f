//! Writing: an accepted message is exactly one line, and is the same message to who reads it.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mcp_braid::wire::lines::{Line, Lines, one_line};
use mcp_braid::wire::message::{Head, Message};
use mcp_braid::wire::splice::Splice;

fuzz_target!(|input: &[u8]| {
    let Ok(message) = Message::parse_server(Bytes::copy_from_slice(input)) else { return };
    let line = check(message.text().clone());
    assert_eq!(line.len(), message.text().len());
    assert_eq!(Message::parse_server(line).expect("the same message").head(), message.head());

    // After an edit as well: an id of ours in the place of the peer's.
    let (Head::Request { id, .. } | Head::Response { id: Some(id), .. }) = message.head() else { return };
    let edited = check(Splice::new(&message).replace(*id, "4711").finish());
    let edited = Message::parse_server(edited).expect("still a message");
    assert_eq!(edited.id().expect("an id").as_str(), "4711");
    assert_eq!(edited.method(), message.method());
});

/// Written as one line, and read back as that one.
fn check(text: Bytes) -> Bytes {
    let line = one_line(text);
    assert!(!line.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
    let mut lines = Lines::new(line.len());
    lines.feed(&line);
    lines.feed(b"\n");
    assert_eq!(lines.next(), Some(Ok(Line::Text(line.clone()))));
    assert_eq!((lines.next(), lines.finish()), (None, None));
    line
}
