//! Framing: whatever a peer writes and however it arrives, the same lines come out.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mcp_braid::wire::lines::{Broken, Line, Lines};

// The first byte is the cap, the second one how many sizes of chunks follow; the rest is the stream.
fuzz_target!(|input: &[u8]| {
    let [cap, count, rest @ ..] = input else { return };
    let (sizes, stream) = rest.split_at(usize::from(*count % 8).min(rest.len()));
    let line_bytes_max = usize::from(*cap);

    let whole = frame([stream], line_bytes_max);
    assert_eq!(frame(stream.chunks(1), line_bytes_max), whole);
    assert_eq!(frame(cut(stream, sizes), line_bytes_max), whole);

    for line in &whole {
        match line {
            Ok(Line::Text(text)) => {
                assert!(!text.is_empty() && !text.contains(&b'\n') && text.len() <= line_bytes_max);
            }
            Ok(Line::TooLong { bytes, .. }) => assert!(*bytes > line_bytes_max as u64),
            Err(broken) => panic!("no input here is that long: {broken}"),
        }
    }
    assert!(whole.len() <= stream.iter().filter(|byte| **byte == b'\n').count() + 1);
});

/// Even chunks are fed, odd ones read into the buffer, as both kinds of owner do.
fn frame<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, line_bytes_max: usize) -> Vec<Result<Line, Broken>> {
    let mut lines = Lines::new(line_bytes_max);
    let mut out = Vec::new();
    for (turn, chunk) in chunks.into_iter().enumerate() {
        if turn % 2 == 0 {
            lines.feed(chunk);
        } else {
            lines.buffer().extend_from_slice(chunk);
        }
        while let Some(line) = lines.next() {
            out.push(line);
        }
    }
    out.extend(lines.finish().map(Ok));
    // The bytes of a line stay its own when the buffer is used again.
    for line in &mut out {
        if let Ok(Line::Text(text)) = line {
            *text = Bytes::copy_from_slice(text);
        }
    }
    out
}

fn cut<'a>(mut stream: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle().take(stream.len()) {
        let (head, tail) = stream.split_at(usize::from(*size % 32).min(stream.len()));
        chunks.push(head);
        stream = tail;
    }
    chunks.push(stream);
    chunks
}
