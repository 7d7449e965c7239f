//! Whether a server behind a network is still there: it is asked when nothing was heard of it for a while.
//!
//! Owns the times. It never asks while a call is open: the call has a clock of its own, and a server that is busy with
//! it may be too busy to answer anything else.

use super::exchange::{Exchange, words};
use super::frame::Freight;
use super::stream::{Again, Lost, Stream};
use crate::wire::fault::{Fault, Reason};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Pings after every so long a silence, and gives the connection up when there is no answer. `None`: never.
pub(super) async fn watch(stream: &Arc<Stream>, every: Option<Duration>) {
    let Some(every) = every else { return std::future::pending().await };
    let mut next = stream.heard_at() + every;
    loop {
        sleep_until(next).await;
        let now = Instant::now();
        next = stream.heard_at() + every;
        if next > now {
            continue;
        }
        next = now + every;
        if stream.in_flight() > 0 {
            next = now + every.min(LOOK_AGAIN);
            continue;
        }
        let answer = match Exchange::ours(stream, Freight::Ping, "ping", "{}", ANSWER_WAIT_MAX) {
            Ok(exchange) => exchange.response().await.map(drop),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = answer
            && let Some(why) = lost(&fault)
        {
            stream.give_up(Lost { why: why.into(), reason: Reason::Gone, again: Again::InTime });
        }
    }
}

/// What a ping without an answer says of its server; nothing if there was one, of whatever kind.
fn lost(fault: &Fault) -> Option<String> {
    match fault.reason? {
        Reason::Timeout | Reason::TimeoutMax => {
            Some(format!("did not answer a ping within {}", words(ANSWER_WAIT_MAX)))
        }
        Reason::Gone | Reason::Unreachable => Some(fault.text.clone()),
        Reason::Starting
        | Reason::Busy
        | Reason::Rate
        | Reason::TooLarge
        | Reason::Refused
        | Reason::Loop
        | Reason::Stopping
        | Reason::Internal => None,
    }
}

/// How long a server may take to answer a ping.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(15);
/// When it is looked again whether a call is still open.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
