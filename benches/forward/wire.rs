//! Forwarding one call as text: parse, replace id, name and token, against the same through a tree.
#![expect(clippy::disallowed_types, reason = "the tree is what we compare with")]
#![expect(clippy::expect_used, reason = "a bench that cannot run may fail loudly")]
#![expect(clippy::print_stderr, reason = "a bench speaks to a person")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use mcp_braid::wire::message::{Caps, Head, Message};
use mcp_braid::wire::splice::Splice;
use serde_json::Value;

/// How many times faster than a tree the splice is at least, at 4 KiB.
const RATIO_MIN: f64 = 2.5;

const SIZES: [(&str, usize); 4] =
    [("0.5 KiB", 512), ("4 KiB", 4 * 1024), ("64 KiB", 64 * 1024), ("1 MiB", 1024 * 1024)];

/// The criterion groups of the wire.
pub(crate) fn groups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forward one call");
    for (name, bytes) in SIZES {
        let text = call(bytes);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new("splice", name), &text, |bencher, text| {
            bencher.iter(|| spliced(black_box(text)));
        });
        group.bench_with_input(BenchmarkId::new("tree", name), &text, |bencher, text| {
            bencher.iter(|| through_a_tree(black_box(text)));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("parse");
    for (name, text) in [("a call", CALL), ("a call without a handshake", STATELESS_CALL)] {
        let text = Bytes::from_static(text.as_bytes());
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                Message::parse_client(black_box(&text).clone(), Caps::default()).expect("a message")
            });
        });
    }
    for (name, text) in [("an answer", ANSWER), ("an answer without a handshake", STATELESS_ANSWER)] {
        let text = Bytes::from_static(text.as_bytes());
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| Message::parse_server(black_box(&text).clone()).expect("a message"));
        });
    }
    group.finish();
}

/// Panics unless the splice is [`RATIO_MIN`] times as fast as the tree at 4 KiB.
///
/// The median of the ratios of many short rounds, each of which runs both, so that a noisy machine slows
/// both alike.
pub(crate) fn assert_ratio() {
    const ROUNDS: usize = 61;
    let text = call(4 * 1024);
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let tree = timed(|| through_a_tree(black_box(&text)));
            let splice = timed(|| spliced(black_box(&text)));
            tree.as_secs_f64() / splice.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ROUNDS / 2];
    eprintln!("splice against tree at 4 KiB: {median:.1} times as fast (at least {RATIO_MIN})");
    assert!(median >= RATIO_MIN, "splice is only {median:.2} times as fast as a tree at 4 KiB");
}

fn timed(mut once: impl FnMut() -> Bytes) -> Duration {
    const TIMES: usize = 100;
    let start = Instant::now();
    for _ in 0..TIMES {
        black_box(once());
    }
    start.elapsed()
}

/// As a link does it: the checks of a client's message included.
fn spliced(text: &Bytes) -> Bytes {
    let message = Message::parse_client(text.clone(), Caps::default()).expect("a message");
    let Head::Request { id, params, .. } = message.head() else { panic!("not a request") };
    let name = params.name.as_ref().expect("a name").span();
    let token = params.meta.as_ref().and_then(|meta| meta.progress_token).expect("a token");
    Splice::new(&message).replace(*id, "4711").replace(name, "\"read\"").replace(token, "4711").finish()
}

/// The same edits through a tree. It checks less: neither repeated members nor the number of values.
fn through_a_tree(text: &Bytes) -> Bytes {
    let text = std::str::from_utf8(text).expect("UTF-8");
    let mut tree: Value = serde_json::from_str(text).expect("JSON");
    tree["id"] = 4711.into();
    tree["params"]["name"] = "read".into();
    tree["params"]["_meta"]["progressToken"] = 4711.into();
    serde_json::to_vec(&tree).expect("JSON").into()
}

/// A tools/call of about this size: records of short strings and numbers, and a text with escapes, as
/// editors and searches send them.
fn call(bytes: usize) -> Bytes {
    let mut records = String::new();
    let mut line = 0;
    while records.len() + 200 < bytes {
        line += 1;
        if line > 1 {
            records.push(',');
        }
        records.push_str(&format!(
            r#"{{"path":"src/routing/route_{line}.rs","line":{line},"score":0.{line}25,"text":"fn route(catalog: &Catalog) -> Route {{\n\tmatch \"name\" …\n}}","tags":["code",null,true]}}"#
        ));
    }
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":"a-7f3c","method":"tools/call","params":{{"_meta":{{"progressToken":"t-1"}},"name":"files__read","arguments":{{"records":[{records}]}}}}}}"#
    ))
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo__read_0","arguments":{"path":"src/main.rs"},"_meta":{"progressToken":1}}}"#;
const STATELESS_CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo__read_0","arguments":{"path":"src/main.rs"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{},"progressToken":1}}}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"fn main() -> ExitCode {\n    cli::run()\n}\n"}],"isError":false}}"#;
const STATELESS_ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[{"type":"text","text":"fn main() -> ExitCode {\n    cli::run()\n}\n"}],"isError":false,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"echo","version":"1"}}}}"#;
