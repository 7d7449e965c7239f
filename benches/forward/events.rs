//! What the events of a stream cost, read and written.
#![expect(clippy::expect_used, reason = "a bench that cannot run may fail loudly")]

use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput};
use mcp_braid::wire::sse::{SseDecoder, SsePieces, sse_event};

/// How many events are read or written at a time.
const EVENTS: usize = 100;
const SIZES: [(&str, usize); 3] = [("0.2 KiB", 200), ("4 KiB", 4 * 1024), ("64 KiB", 64 * 1024)];
/// What a network hands over at once.
const CHUNK_BYTES: usize = 1448;

/// The criterion groups of events.
pub(crate) fn groups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("100 events");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    for (name, bytes) in SIZES {
        let data = data(bytes);
        let stream = stream(&data);
        assert_eq!(read(&stream), EVENTS, "every event is read");
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_with_input(BenchmarkId::new("read", name), &stream, |bencher, stream| {
            bencher.iter(|| read(black_box(stream)));
        });
        group.bench_with_input(BenchmarkId::new("write", name), &data, |bencher, data| {
            bencher.iter(|| written(black_box(data)));
        });
    }
    group.finish();
}

fn read(stream: &[u8]) -> usize {
    let mut decoder = SseDecoder::new(1024 * 1024);
    let mut events = 0;
    for chunk in stream.chunks(CHUNK_BYTES) {
        decoder.feed(chunk);
        while let Some(event) = decoder.next() {
            black_box(event.expect("an event within its bound"));
            events += 1;
        }
    }
    events
}

/// Each by itself, as a client that reads gets them.
fn written(data: &Bytes) -> usize {
    let events = (0..EVENTS).map(|number| {
        let mut out = SsePieces::default();
        out.event(Some(&format!("a-{number}")), Some("message"), data);
        out.into_pieces().len()
    });
    events.sum()
}

fn stream(data: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    for number in 0..EVENTS {
        sse_event(&mut out, Some(&format!("a-{number}")), Some("message"), data);
    }
    out.freeze()
}

fn data(bytes: usize) -> Bytes {
    let text = "x".repeat(bytes);
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#
    ))
}
