//! The matrix: every client before every server, and everything that they can do for each other.
//!
//! A client and a server are each of one revision and one transport, ten of either. Between them stands a real hub with
//! real doors and dials; both are the test's own, in memory, on the paused clock. Each of the 1600 cells works, or
//! stands in `impossible.txt` and is seen to be refused; anything else fails. With `--nocapture` the whole table is shown.
#![expect(clippy::disallowed_types, reason = "the parties of a test make their own messages")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod client;
mod endpoint;
mod feature;
mod features;
mod house;
mod impossible;
mod pair;
mod server;
mod table;

use endpoint::Endpoint;
use feature::Feature;
use house::House;
use impossible::Impossible;
use pair::Pair;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use table::{Cell, Outcome, Table};
use tokio::runtime::Builder;
use tokio::time::timeout;

/// Waits for what should come soon, on a clock on which waiting costs nothing.
async fn patience<T>(what: impl Future<Output = T>) -> Result<T, ()> {
    timeout(WAIT_MAX, what).await.map_err(drop)
}

/// All cells of one client and one server.
async fn cells(client: Endpoint, server: Endpoint, impossible: &Impossible) -> Vec<Cell> {
    let cell = |feature, outcome| Cell { client, server, feature, outcome };
    let mut pair = match Pair::open(client, server).await {
        Ok(pair) => pair,
        Err(why) => {
            let fails = |feature| cell(feature, Outcome::Fails(format!("they did not meet: {why}")));
            return Feature::ALL.into_iter().map(fails).collect();
        }
    };
    let mut cells = Vec::new();
    for feature in Feature::ALL {
        let outcome = match impossible.holds(client, server, feature) {
            true => pair.refuses(feature).await.map(|()| Outcome::Impossible),
            false => pair.does(feature).await.map(|()| Outcome::Works),
        };
        cells.push(cell(feature, outcome.unwrap_or_else(Outcome::Fails)));
    }
    if let (Some(why), Some(last)) = (pair.close().await, cells.last_mut()) {
        last.outcome = Outcome::Fails(why);
    }
    cells
}

/// Every pair, on as many threads as there are processors, each pair on a clock of its own.
fn all_cells() -> Table {
    let impossible = Arc::new(Impossible::read());
    let next = Arc::new(AtomicUsize::new(0));
    let (done, cells_of) = mpsc::channel();
    for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
        let (impossible, next, done) = (impossible.clone(), next.clone(), done.clone());
        std::thread::spawn(move || {
            while let Some((client, server)) = pair_at(next.fetch_add(1, Ordering::Relaxed)) {
                let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
                let cells = runtime.block_on(cells(client, server, &impossible));
                if done.send(cells).is_err() {
                    return;
                }
            }
        });
    }
    drop(done);
    let mut table = Table::default();
    // A pair that never ends is one that is missing in the table.
    while let Ok(cells) = cells_of.recv_timeout(PAIR_WAIT_MAX) {
        table.extend(cells);
    }
    table
}

fn pair_at(number: usize) -> Option<(Endpoint, Endpoint)> {
    let client = Endpoint::ALL.get(number / Endpoint::ALL.len())?;
    Some((*client, Endpoint::ALL[number % Endpoint::ALL.len()]))
}

#[test]
#[expect(clippy::print_stderr, reason = "the table is for whoever runs the test with --nocapture")]
fn whatever_a_client_and_a_server_have_words_for_works_between_them() {
    let table = all_cells();
    eprintln!("{}", table.render());
    let failures = table.failures();
    assert!(failures.is_empty(), "{} cells fail:\n{}", failures.len(), failures.join("\n"));
}

/// More than anything takes that is not meant to take long.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// In real time, where a pair takes a fraction of a second.
const PAIR_WAIT_MAX: Duration = Duration::from_secs(20);
