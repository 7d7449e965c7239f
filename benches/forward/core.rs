//! What Braid costs between a client and a server that cost next to nothing.
//!
//! One thread is client, Braid and server, over pipes in memory, so that time is work and not waiting for
//! another thread. Beside a call through the hub, and one through a door and the hub, stands the same call
//! of the same client to the same server without us.
#![expect(clippy::expect_used, reason = "a bench that cannot run may fail loudly")]
#![expect(clippy::print_stderr, reason = "a bench speaks to a person")]

mod client;
mod echo;
mod through;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use criterion::async_executor::AsyncExecutor;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use mcp_braid::config::{Names, Prefix, Uris};
use mcp_braid::mcp::method::Kind;
use mcp_braid::mcp::revision::Revision;
use mcp_braid::routing::catalog::{Catalog, Offer};
use mcp_braid::routing::item::Item;
use mcp_braid::routing::names::NamePlan;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use client::{Client, Line};
pub(crate) use echo::tool;
use echo::{Echo, Era};
use through::{Request, Through, door};

/// How many calls are on their way at a time.
const IN_FLIGHT: [u64; 3] = [1, 8, 64];

/// The criterion groups of the core.
pub(crate) fn groups(criterion: &mut Criterion) {
    let mut bench = Bench::new();
    let mut group = criterion.benchmark_group("one call");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(1));
    for in_flight in IN_FLIGHT {
        for way in Way::ALL {
            group.bench_function(BenchmarkId::new(way.name(), in_flight), |bencher| {
                bencher.iter_custom(|calls| bench.timed(way, calls, in_flight));
            });
        }
    }
    group.finish();

    let mut group = criterion.benchmark_group("tools/list of 1000 tools");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let (plan, offers) = thousand();
    let merge = || Catalog::merge(&plan, &offers, TOOLS);
    let page = |catalog: &Catalog| {
        catalog.page(Kind::Tools, None, Revision::LATEST, Instant::now()).expect("a first page")
    };
    group.bench_function("merge", |bencher| bencher.iter(merge));
    group.bench_function("first render", |bencher| {
        bencher.iter_batched(merge, |catalog| (page(&catalog), catalog), BatchSize::SmallInput);
    });
    let catalog = merge();
    group.bench_function("cached page", |bencher| bencher.iter(|| page(black_box(&catalog))));
    let through = (&bench.thread).block_on(Through::open(Echo::with(Era::Handshake, TOOLS)));
    let list = Request::new(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    group.bench_function("cached page through the hub", |bencher| {
        bencher.to_async(&bench.thread).iter(|| through.ask(&list));
    });
    group.finish();
}

/// Prints calls per second of each way, and what is on top of the direct one: how many times its work, and
/// how many microseconds. Next to a server that does next to nothing, the microseconds say more.
///
/// Medians of many short rounds, each of which goes every way.
pub(crate) fn table() {
    const ROUNDS: usize = 21;
    let mut bench = Bench::new();
    let clock = if thread_time().is_some() { "CPU time" } else { "time" };
    eprintln!("\ncalls per second of {clock} of one thread that is client, Braid and server");
    eprintln!(
        "in flight    direct         through the hub                through a door and the hub     both without a handshake"
    );
    for in_flight in IN_FLIGHT {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| Way::ALL.map(|way| bench.work(way, in_flight))).collect();
        let median = |of: &dyn Fn(&[f64; 4]) -> f64| {
            let mut all: Vec<_> = rounds.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all[ROUNDS / 2]
        };
        let mut line = format!("{in_flight:9} {:9.0}", 1.0 / median(&|work| work[0]));
        for way in [1, 2, 3] {
            let rate = 1.0 / median(&|work| work[way]);
            let ratio = median(&|work| work[way] / work[0]);
            let more = 1e6 * median(&|work| work[way] - work[0]);
            line += &format!("   {rate:9.0} ({ratio:4.1} ×, {more:+.1} µs)");
        }
        eprintln!("{line}");
    }
}

/// How a call gets to the server.
#[derive(Clone, Copy)]
enum Way {
    Direct,
    Hub,
    Door,
    /// The same, and neither client nor server has a handshake.
    Stateless,
}

impl Way {
    const ALL: [Self; 4] = [Self::Direct, Self::Hub, Self::Door, Self::Stateless];

    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Hub => "hub",
            Self::Door => "door",
            Self::Stateless => "door without a handshake",
        }
    }

    /// Calls enough for a round.
    fn calls(self) -> u64 {
        match self {
            Self::Direct => 20_000,
            Self::Hub | Self::Door | Self::Stateless => 2_000,
        }
    }
}

/// The one thread. A door is served on the thread of its client, hence the local tasks.
struct Thread {
    runtime: Runtime,
    local: LocalSet,
}

impl Thread {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self { runtime: runtime.expect("a runtime"), local: LocalSet::new() }
    }
}

impl AsyncExecutor for &Thread {
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.local.block_on(&self.runtime, future)
    }
}

/// Every way, ready to be gone.
struct Bench {
    thread: Thread,
    direct: Client,
    hub: Through,
    call: Request,
    door: Client,
    stateless: Client,
}

impl Bench {
    fn new() -> Self {
        let thread = Thread::new();
        let (direct, hub, door, stateless) = (&thread).block_on(async {
            let pipe = Line::Pipe(Echo::with(Era::Handshake, 1).start(), BytesMut::new());
            let direct = Client { line: pipe, tool: "read_0", says: "", next_id: 0 };
            let hub = Through::open(Echo::with(Era::Handshake, 1)).await;
            let door_of = async |era| door(era, era).await;
            (direct, hub, door_of(Era::Handshake).await, door_of(Era::Stateless).await)
        });
        // What a door would have read already.
        let call = Request::new(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo__read_0","arguments":{"path":"src/main.rs"}}}"#,
        );
        Self { thread, direct, hub, call, door, stateless }
    }

    fn timed(&mut self, way: Way, calls: u64, in_flight: u64) -> Duration {
        let (thread, begun) = (&self.thread, Instant::now());
        match way {
            Way::Direct => thread.block_on(self.direct.calls(calls, in_flight)),
            Way::Hub => thread.block_on(self.hub.calls(&self.call, calls, in_flight)),
            Way::Door => thread.block_on(self.door.calls(calls, in_flight)),
            Way::Stateless => thread.block_on(self.stateless.calls(calls, in_flight)),
        }
        begun.elapsed()
    }

    /// Seconds of work per call, over a round of them.
    fn work(&mut self, way: Way, in_flight: u64) -> f64 {
        let before = thread_time();
        let elapsed = self.timed(way, way.calls(), in_flight);
        let work = thread_time().zip(before).map_or(elapsed, |(after, before)| after - before);
        work.as_secs_f64() / way.calls() as f64
    }
}

/// How long this thread has had a processor to itself, where the system tells.
fn thread_time() -> Option<Duration> {
    // Linux brings the number up to date when the thread gives way.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// One server with so many tools, as a catalog is made of it.
fn thousand() -> (NamePlan, Vec<Offer>) {
    let plan = NamePlan::new(&Names::default(), &[("echo", &Prefix::Key, Uris::Prefixed)]);
    let items = (0..TOOLS).map(|n| Item::parse(Kind::Tools, tool(n).into()).expect("a tool")).collect();
    let mut offer = Offer::default();
    offer.lists[Kind::Tools.index()] = Arc::new(items);
    (plan, vec![offer])
}

const TOOLS: usize = 1000;
