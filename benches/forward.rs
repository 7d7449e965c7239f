//! What forwarding costs.

#[path = "forward/catalog.rs"]
mod catalog;
#[path = "forward/core.rs"]
mod core;
#[path = "forward/events.rs"]
mod events;
#[path = "forward/sessions.rs"]
mod sessions;
#[path = "forward/wire.rs"]
mod wire;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    wire::groups(&mut criterion);
    events::groups(&mut criterion);
    catalog::groups(&mut criterion);
    sessions::groups(&mut criterion);
    core::groups(&mut criterion);
    criterion.final_summary();
    // Ratios only mean something in an optimised build, and `cargo test` runs this one too.
    if std::env::args().any(|argument| argument == "--bench") {
        core::table();
        wire::assert_ratio();
    }
}
