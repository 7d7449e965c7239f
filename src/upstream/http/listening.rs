//! The stream of what a server says beside its answers (2025-11-25, basic/transports, Listening for Messages).
//!
//! One GET at a time, for as long as its connection lasts. A server need not have such a stream; one that had it and
//! lost it is asked again, ever more slowly.

use super::super::ear::Ear;
use super::super::fetch::FetchError;
use super::super::stream::Again;
use super::courier::{Courier, Setback};
use super::events::{EVENT_STREAM, End, Events, Mark, Until, is_of_type};
use super::posting::{circumstances, passes};
use super::refusal::Refusal;
use crate::mcp::method::Kind;
use crate::wire::fault::Reason;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep};

/// Listens until the connection ends, or for as long as there is anything to listen to. `begun` is dropped when the
/// first request for it has its answer, whatever that is.
pub(super) async fn listen(courier: Arc<Courier>, begun: oneshot::Sender<()>) {
    let (_, hang_up) = courier.stream().ends();
    let gaps = Notify::new();
    tokio::select! {
        () = hang_up.cancelled() => {}
        () = courier.stream().deaf() => {}
        () = listened(&courier, begun, &gaps) => {}
        () = look_again(&courier, &gaps) => {}
    }
}

/// After a gap in what was heard all lists may be others: they are fetched, and whoever has the same hears nothing.
async fn look_again(courier: &Courier, gaps: &Notify) {
    loop {
        gaps.notified().await;
        for kind in Kind::ALL {
            courier.stream().audience().changed().raise(kind);
        }
        sleep(BETWEEN_LOOKS).await;
    }
}

async fn listened(courier: &Courier, begun: oneshot::Sender<()>, gaps: &Notify) {
    let mut ear = Ear::new(courier.stream().clone());
    let mut begun = Some(begun);
    let (mut mark, mut failures, mut was_open) = (Mark::default(), 0, false);
    loop {
        let answer = courier.events(mark.last_id.as_ref()).await;
        drop(begun.take());
        match answer {
            Ok(response) if response.status.is_success() && is_of_type(&response, EVENT_STREAM) => {
                if was_open {
                    gaps.notify_one();
                }
                was_open = true;
                let since = Instant::now();
                let mut events = Events::new(courier.stream(), response);
                match events.hear(&mut ear, Until::End).await {
                    End::Closed | End::Broken(_) => {}
                    End::Noise => {
                        let why = "there was too much on its stream that is no message";
                        return courier.give_up(why, Reason::Gone, Again::InTime);
                    }
                }
                mark = events.mark(mark);
                // One on which nothing happened for a while is quiet, and no failure.
                let went = events.begun() || since.elapsed() >= STEADY;
                failures = if went { 0 } else { failures + 1 };
            }
            // Of one that never had such a stream this only says that.
            Ok(response) if response.status == StatusCode::NOT_FOUND && was_open && courier.has_session() => {
                return courier.refused(None, &Refusal::new(&circumstances(courier), response.status, &[]));
            }
            // A server that was restarted may say no more than this of a session that it does not know.
            Ok(response)
                if response.status == StatusCode::BAD_REQUEST && was_open && courier.has_session() =>
            {
                let why = "answered 400 to its own session; it is begun anew";
                return courier.give_up(why, Reason::Gone, Again::AtOnce);
            }
            // One that had such a stream may have it again, when it has noticed that ours is over.
            Ok(response) if passes(response.status) || was_open && !is_none(response.status) => failures += 1,
            Ok(response) => {
                let (server, status) = (courier.stream().server(), response.status.as_u16());
                tracing::debug!(%server, status, "it has no stream beside its answers");
                return;
            }
            // Nothing is at risk: a call that is open may still get its answer, and then this is tried again.
            Err(error @ Setback::Fetch(FetchError::NotSent(_)))
                if was_open && courier.stream().in_flight() == 0 =>
            {
                return courier.failed(None, &error);
            }
            Err(_) => failures += 1,
        }
        sleep(mark.pause().max(backoff(failures))).await;
    }
}

/// Whether a status says that there is no such stream.
fn is_none(status: StatusCode) -> bool {
    [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status)
}

/// The pause after so many failures in a row: it doubles up to the longest.
fn backoff(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        failures => PAUSE_MIN.saturating_mul(1 << (failures - 1).min(16)).min(PAUSE_MAX),
    }
}

/// A response that lasted this long was worth asking for.
const STEADY: Duration = Duration::from_secs(10);
/// The shortest time from one look at all lists to the next.
const BETWEEN_LOOKS: Duration = Duration::from_secs(60);
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_the_longest() {
        let pauses: Vec<u64> = (0..9).map(|failures| backoff(failures).as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff(u32::MAX), PAUSE_MAX);
    }
}
