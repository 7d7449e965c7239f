//! Whether a server behind a network is still there: it is asked when nothing was heard of it for a while.
//!
//! Owns the times. It does not ask while a call is open: the call has a clock of its own, and a server that is busy with
//! it may be too busy to answer anything else. When it is in doubt whether there still is a session it asks at once, and
//! only whoever carries the question draws a conclusion.

use super::exchange::Exchange;
use super::frame::Freight;
use super::stream::{Again, Lost, Stream};
use super::subject::words;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Pings after every so long a silence, and gives the connection up when there is no answer. `None`: never.
pub(super) async fn watch(stream: &Arc<Stream>, every: Option<Duration>) {
    let Some(every) = every else { return std::future::pending().await };
    let mut next = stream.heard_at() + every;
    let mut doubts_from = Instant::now();
    loop {
        let doubted = async {
            // In this order: a doubt that comes meanwhile is kept.
            sleep_until(doubts_from).await;
            stream.doubted().await;
        };
        tokio::select! {
            () = sleep_until(next) => {}
            () = doubted => {
                // Every call that is refused renews the time of the last word: this is the only ping that there is.
                ask(stream).await.ok();
                doubts_from = Instant::now() + BETWEEN_DOUBTS;
                continue;
            }
        }
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
        if let Err(fault) = ask(stream).await
            && let Some(why) = lost(&fault)
        {
            stream.give_up(Lost { why: why.into(), reason: Reason::Gone, again: Again::InTime });
        }
    }
}

async fn ask(stream: &Arc<Stream>) -> Result<(), Fault> {
    // 2026-07-28 has no `ping`; what a server is, every one of that revision must say.
    let method = if stream.standing().is_some() { "server/discover" } else { "ping" };
    let exchange = Exchange::ours(stream, Freight::Ping, method, "{}", ANSWER_WAIT_MAX)?;
    exchange.response().await.map(drop)
}

/// What a ping that failed says of its server; nothing if it is there.
///
/// Over HTTP a refusal is a word of somebody who is there, even if it is only that this may not be asked: 401, 403, 405
/// and every other 4xx, and 503. Lost is a server whose answer is another 5xx. That a session is over, which 400 and 404
/// say, or that nothing could be sent, whoever carries the ping sees, and gives the connection up.
fn lost(fault: &Fault) -> Option<String> {
    match fault.reason? {
        Reason::Timeout | Reason::TimeoutMax => {
            Some(format!("did not answer a ping within {}", words(ANSWER_WAIT_MAX)))
        }
        // The carrier gives up by itself, and knows better when to begin anew.
        Reason::Gone if fault.outcome == Some(CallOutcome::NotSent) => None,
        Reason::Gone => Some(fault.text.clone()),
        Reason::Unreachable
        | Reason::Starting
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
/// The shortest time from one ping in doubt to the next.
const BETWEEN_DOUBTS: Duration = Duration::from_secs(1);
/// When it is looked again whether a call is still open.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
