//! How often one call allocates on its way through us and back, when everything that is kept between calls is there.
//!
//! Ours is what stands under a function of ours: neither what the HTTP library takes, nor what the client and the server do,
//! both of which are here in memory. `cargo test --test allocations -- --nocapture` says where.

#![expect(clippy::expect_used, reason = "a test may panic")]
#![expect(clippy::print_stderr, reason = "where it allocates is for a person to read")]

#[path = "../benches/forward/course.rs"]
mod course;
#[path = "../benches/forward/echo.rs"]
mod echo;
#[path = "allocations/sites.rs"]
mod sites;

use course::{Asks, By, Course, Plan};
use echo::Era;
use parking_lot::{Mutex, MutexGuard};
use tokio::task::LocalSet;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The profiler is one for the whole program.
static ALONE: Mutex<()> = Mutex::new(());

/// What a request takes at most, by the way on which its client comes.
const STDIO_MAX: f64 = 9.5;
const STDIO_STATELESS_MAX: f64 = 34.5;
const HTTP_MAX: f64 = 12.5;
const HTTP_STATELESS_MAX: f64 = 36.5;
const LIST_MAX: f64 = 3.5;

#[test]
fn a_call_over_stdio_allocates_little() {
    takes_at_most(STDIO_MAX, By::Stdio, Era::Handshake, Asks::Call);
}

#[test]
fn a_call_over_stdio_without_a_handshake_allocates_little() {
    takes_at_most(STDIO_STATELESS_MAX, By::Stdio, Era::Stateless, Asks::Call);
}

#[test]
fn a_call_over_http_allocates_little() {
    takes_at_most(HTTP_MAX, By::Http, Era::Handshake, Asks::Call);
}

#[test]
fn a_call_over_http_without_a_handshake_allocates_little() {
    takes_at_most(HTTP_STATELESS_MAX, By::Http, Era::Stateless, Asks::Call);
}

#[test]
fn a_list_that_is_made_allocates_little() {
    takes_at_most(LIST_MAX, By::Stdio, Era::Handshake, Asks::List(10));
}

/// Both sides are of one era, so that the text passes. The name has a prefix, and progress is wanted.
fn takes_at_most(max: f64, by: By, era: Era, asks: Asks) {
    let _alone: MutexGuard<'_, ()> = ALONE.lock();
    let plan = Plan { by, client: era, server: era, asks };
    let what = format!("{by:?}, {era:?}, {asks:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let local = LocalSet::new();
    let mut course = local.block_on(&runtime, Course::open(plan, BEFORE + COUNTED));
    local.block_on(&runtime, course.run(BEFORE));
    let file = tempfile::NamedTempFile::new().expect("a file");
    let profiler = dhat::Profiler::builder().file_name(file.path()).trim_backtraces(None).build();
    local.block_on(&runtime, course.run(COUNTED));
    drop(profiler);
    let profile = std::fs::read_to_string(file.path()).expect("a profile");
    let sites = sites::ours(&profile);
    let each = sites.iter().map(|site| site.blocks).sum::<u64>() as f64 / COUNTED as f64;
    eprintln!("\n{what}: {each:.2} allocations, at most {max}");
    for site in &sites {
        eprintln!("{}", site.line(COUNTED));
    }
    assert!(each <= max, "{what}: {each:.2} allocations, at most {max}");
}

/// After so many requests there is nothing left to be made once.
const BEFORE: usize = 512;
/// Enough for what happens with every so many requests: a buffer that is full, a block of a queue.
const COUNTED: usize = 256;
