//! Events: however a stream arrives the same events come out, and they are those that another decoder finds.
//!
//! Where `sse-stream` is another matter than the standard (HTML, 9.2.6 "interpreting an event stream"), or we
//! have a bound that neither has, this target follows the standard:
//!
//! - It gives every block, ours only what has data ("if the data buffer is an empty string … return"). Its
//!   blocks without data still say ids and retries.
//! - It gives an empty name and `message` as they are written; both are the default type.
//! - It ends at the first byte that is not UTF-8. The standard decodes with replacement, and ours hands the bytes
//!   on for whoever reads the message to refuse. So it is asked only up to its error.
//! - It tells of a retry with its block; the standard sets the time when the line is read. So these are compared
//!   when the last block is whole.
//! - It has no bounds: a name is cut, an id that is too long is none. Nor is one that is not UTF-8, which could
//!   not be sent back as it came.
#![no_main]

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use libfuzzer_sys::fuzz_target;
use mcp_braid::wire::sse::{
    EVENT_ID_BYTES_MAX, EVENT_NAME_BYTES_MAX, EventTooLong, SseDecoder, SseEvent, sse_event,
};
use sse_stream::SseByteStream;

#[derive(Debug, PartialEq)]
struct Seen {
    told: Vec<Result<SseEvent, EventTooLong>>,
    last_id: Option<String>,
    retry_ms: Option<u64>,
}

// The first byte is the bound, the second one how many sizes of chunks follow; the rest is the stream.
fuzz_target!(|input: &[u8]| {
    let [bound, count, rest @ ..] = input else { return };
    let (sizes, stream) = rest.split_at(usize::from(*count % 8).min(rest.len()));

    let whole = decode([stream], usize::MAX);
    assert_eq!(decode(stream.chunks(1), usize::MAX), whole);
    assert_eq!(decode(cut(stream, sizes), usize::MAX), whole);
    against_the_oracle(stream, &whole);
    against_the_oracle(&[stream, b"\n\n"].concat(), &decode([stream, b"\n\n"], usize::MAX));

    let event_bytes_max = usize::from(*bound);
    let bounded = decode([stream], event_bytes_max);
    assert_eq!(decode(stream.chunks(1), event_bytes_max), bounded);
    assert_eq!(decode(cut(stream, sizes), event_bytes_max), bounded);
    assert_eq!((&bounded.last_id, bounded.retry_ms), (&whole.last_id, whole.retry_ms));
    assert_eq!(bounded.told.len(), whole.told.len());
    for (bounded, whole) in bounded.told.iter().zip(&whole.told) {
        let whole = whole.as_ref().expect("without a bound nothing is too long");
        match bounded {
            Ok(event) => assert!(event == whole && event.data.len() <= event_bytes_max),
            Err(long) => assert!(long.bytes == whole.data.len() as u64 && whole.data.len() > event_bytes_max),
        }
    }

    for event in whole.told.iter().flatten() {
        let Some(name) = event.name.as_deref().map(std::str::from_utf8).transpose().ok() else { continue };
        let mut out = BytesMut::new();
        sse_event(&mut out, whole.last_id.as_deref(), name, &event.data);
        let again = decode([out.as_ref()], usize::MAX);
        assert_eq!(again.told, [Ok(event.clone())]);
        assert_eq!(again.last_id, whole.last_id);
    }
});

fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, event_bytes_max: usize) -> Seen {
    let mut decoder = SseDecoder::new(event_bytes_max);
    let mut told = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk);
        while let Some(event) = decoder.next() {
            told.push(event);
        }
    }
    Seen { told, last_id: decoder.last_id().map(str::to_owned), retry_ms: decoder.retry_ms() }
}

fn against_the_oracle(stream: &[u8], ours: &Seen) {
    let chunks = [Ok::<_, std::io::Error>(Bytes::copy_from_slice(stream))];
    let blocks: Vec<_> =
        futures::executor::block_on(SseByteStream::new(futures::stream::iter(chunks)).collect());
    let mut theirs = Seen { told: Vec::new(), last_id: None, retry_ms: None };
    let mut whole = true;
    for block in blocks {
        let Ok(block) = block else {
            whole = false;
            break;
        };
        if let Some(id) = block.id {
            theirs.last_id = Some(id).filter(|id| !id.is_empty() && id.len() <= EVENT_ID_BYTES_MAX);
        }
        theirs.retry_ms = block.retry.or(theirs.retry_ms);
        if let Some(data) = block.data {
            let name = block.event.filter(|name| !name.is_empty()).map(Bytes::from);
            let name = name.map(|name| name.slice(..name.len().min(EVENT_NAME_BYTES_MAX)));
            let name = name.filter(|name| name != "message");
            theirs.told.push(Ok(SseEvent { name, data: data.into() }));
        }
    }
    if !whole {
        assert_eq!(ours.told.get(..theirs.told.len()), Some(&theirs.told[..]));
        return;
    }
    assert_eq!((&ours.told, &ours.last_id), (&theirs.told, &theirs.last_id));
    if stream.ends_with(b"\n\n") {
        assert_eq!(ours.retry_ms, theirs.retry_ms);
    }
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
