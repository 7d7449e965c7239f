//! What ten servers with a thousand tools each cost: their catalog, their names, their list, and a look at it.
#![expect(clippy::expect_used, reason = "a bench that cannot run may fail loudly")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use mcp_braid::config::{Names, Prefix, Uris};
use mcp_braid::mcp::method::{Kind, Method};
use mcp_braid::mcp::revision::Revision;
use mcp_braid::routing::catalog::{Catalog, Offer};
use mcp_braid::routing::item::Item;
use mcp_braid::routing::names::NamePlan;
use mcp_braid::routing::route::{Route, route};
use mcp_braid::routing::uris::UriMap;
use mcp_braid::wire::message::{Caps, Message};

use super::core::tool;

const SERVERS: usize = 10;
const TOOLS: usize = 1000;
/// As `limits.page_items` is when nobody sets it.
const PAGE_ITEMS: usize = 1000;

/// The criterion groups of the catalog.
pub(crate) fn groups(criterion: &mut Criterion) {
    let keys: Vec<String> = (0..SERVERS).map(|n| format!("server-{n}")).collect();
    let named: Vec<_> = keys.iter().map(|key| (key.as_str(), &Prefix::Key, Uris::Prefixed)).collect();
    let plan = NamePlan::new(&Names::default(), &named);
    let offers = vec![offer(); SERVERS];
    let merge = || Catalog::merge(&plan, &offers, PAGE_ITEMS);
    let first = |catalog: &Catalog, revision| {
        catalog.page(Kind::Tools, None, revision, Instant::now()).expect("a first page")
    };

    let mut group = criterion.benchmark_group("catalog of 10 000 tools");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements((SERVERS * TOOLS) as u64));
    group.bench_function("parse", |bencher| bencher.iter(offer));
    group.bench_function("merge", |bencher| bencher.iter(merge));
    let owned: Vec<Vec<String>> = vec![(0..TOOLS).map(|n| format!("read_{n}")).collect(); SERVERS];
    let owned: Vec<Vec<&str>> = owned.iter().map(|own| own.iter().map(String::as_str).collect()).collect();
    group.bench_function("names", |bencher| bencher.iter(|| plan.expose(black_box(&owned))));
    for revision in [Revision::LATEST, Revision::MODERN] {
        group.bench_function(format!("render for {revision}"), |bencher| {
            bencher.iter_batched(
                merge,
                |catalog| (first(&catalog, revision), catalog),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("among 10 000 tools");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    let catalog = merge();
    for revision in [Revision::LATEST, Revision::MODERN] {
        first(&catalog, revision);
        group.bench_function(format!("a page again for {revision}"), |bencher| {
            bencher.iter(|| first(black_box(&catalog), revision));
        });
    }
    for (name, text) in [
        (
            "route a tool",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"server-7__read_77"}}"#,
        ),
        (
            "route a URI",
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"server-7+file:///src/main.rs"}}"#,
        ),
    ] {
        let message = Message::parse_client(Bytes::from_static(text.as_bytes()), Caps::default());
        let message = message.expect("a message");
        let method = Method::parse(message.method().expect("a method"));
        assert!(matches!(route(&catalog, method, &message), Route::One(_)), "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| route(&catalog, method, black_box(&message))));
    }
    let map = UriMap::new(plan.servers().first().expect("a server"));
    let exposed = map.expose("file:///src/main.rs").into_owned();
    group.bench_function("a URI there and back", |bencher| {
        bencher.iter(|| {
            let there = map.expose(black_box("file:///src/main.rs"));
            let back = map.own(black_box(&exposed));
            black_box((there, back)).1.is_some()
        });
    });
    group.finish();
}

/// One server with so many tools.
fn offer() -> Offer {
    let items = (0..TOOLS).map(|n| Item::parse(Kind::Tools, tool(n).into()).expect("a tool")).collect();
    let mut offer = Offer::default();
    offer.lists[Kind::Tools.index()] = Arc::new(items);
    offer
}
