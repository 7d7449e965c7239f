//! One request again and again: `instructions CASE REQUESTS`.
//!
//! On one thread, in memory, with one request in flight: so whoever counts its instructions counts the same each time. What
//! is made once before the first is the same for any number of requests.
#![forbid(unsafe_code)]

#[path = "../../forward/course.rs"]
mod course;
#[path = "../../forward/echo.rs"]
mod echo;

use course::{Asks, By, Course, Plan};
use echo::Era;
use tokio::task::LocalSet;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let case = arguments.next().expect("a case");
    let requests: usize = arguments.next().and_then(|count| count.parse().ok()).expect("how many requests");
    let plan = plan(&case).expect("a case that is known");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let local = LocalSet::new();
    let mut course = local.block_on(&runtime, Course::open(plan, REQUESTS_MAX));
    local.block_on(&runtime, course.run(requests));
}

fn plan(case: &str) -> Option<Plan> {
    use Era::{Handshake, Stateless};
    let (by, client, server, asks) = match case {
        "handshake-handshake" => (By::Stdio, Handshake, Handshake, Asks::Call),
        "stateless-stateless" => (By::Stdio, Stateless, Stateless, Asks::Call),
        "handshake-stateless" => (By::Stdio, Handshake, Stateless, Asks::Call),
        "stateless-handshake" => (By::Stdio, Stateless, Handshake, Asks::Call),
        "http-handshake" => (By::Http, Handshake, Handshake, Asks::Call),
        "http-stateless" => (By::Http, Stateless, Stateless, Asks::Call),
        "list" => (By::Stdio, Handshake, Handshake, Asks::List(TOOLS)),
        _ => return None,
    };
    Some(Plan { by, client, server, asks })
}

/// All that may be asked for: what is written for them costs the same whatever is.
const REQUESTS_MAX: usize = 10_000;
/// How many tools are listed.
const TOOLS: usize = 100;
