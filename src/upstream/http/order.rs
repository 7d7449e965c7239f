//! In which order the frames of one connection are posted.
//!
//! Each is a POST of its own beside the others, but for what must keep its order: nothing may be there before
//! `notifications/initialized`, a setting waits for the one before it, a cancel for its request. It takes frames until the
//! server is to be let go; what comes of each, others hear.

use super::super::carry::Frames;
use super::super::frame::{Frame, Freight};
use super::courier::Courier;
use super::listening::listen;
use super::{posting, sse};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Where frames go, and where their answers come from.
#[derive(Clone)]
pub(super) enum Way {
    /// Each to this URL, and its answer on its own response.
    Streamable(Arc<str>),
    /// Each to this endpoint, and all answers on one stream.
    Sse(Arc<str>),
}

/// Posts what comes until the server is to be let go. `first`: a frame that was taken up already.
pub(super) async fn post_all(
    courier: &Arc<Courier>,
    way: Way,
    mut first: Option<Frame>,
    frames: &mut Frames,
) {
    let (_, hang_up) = courier.stream().ends();
    // Resolves when the last of what must keep its order is there.
    let mut setting = None;
    loop {
        let frame = tokio::select! {
            biased;
            () = hang_up.cancelled() => return,
            frame = next(&mut first, frames) => frame,
        };
        let Some(frame) = frame else { return };
        let freight = frame.freight;
        // It can still be taken back until there is a connection for it.
        if frame.is_withdrawn() {
            continue;
        }
        let stands = courier.stream().standing().is_some();
        if let (true, Freight::Cancel(call)) = (stands, freight) {
            courier.drops(call);
            continue;
        }
        let arrived = freight.request().map(|call| courier.sets_out(call));
        let before = match freight {
            Freight::Setting(_) => std::mem::replace(&mut setting, arrived),
            Freight::Request(_)
            | Freight::Ping(_)
            | Freight::Probe(_)
            | Freight::Plain
            | Freight::First
            | Freight::Cancel(_) => None,
        };
        let posting = {
            let (courier, way) = (courier.clone(), way.clone());
            async move {
                if let Some(before) = before {
                    timeout(SETTING_WAIT_MAX, before.cancelled()).await.ok();
                }
                if let Freight::Setting(call) = freight
                    && frame.is_withdrawn()
                {
                    return courier.arrives(call);
                }
                match way {
                    Way::Streamable(url) => posting::carry(courier, url, frame).await,
                    Way::Sse(endpoint) => sse::hand_over(courier, endpoint, frame).await,
                }
            }
        };
        if let Freight::Cancel(_) = freight {
            courier.spawn_last_words(posting);
            continue;
        }
        if let (true, Some(call)) = (stands, freight.request()) {
            let (dropped, own) = (courier.opens(call), courier.clone());
            courier.spawn(async move {
                tokio::select! {
                    biased;
                    () = dropped.cancelled() => {}
                    () = posting => {}
                }
                own.arrives(call);
                own.closes(call);
            });
            continue;
        }
        let mut posted = courier.spawn(posting);
        if freight == Freight::First {
            let begins = async {
                // What a server hears before it, it may refuse (2025-11-25, basic/lifecycle, Initialization).
                timeout(FIRST_WAIT_MAX, &mut posted).await.ok();
                begun(courier, &way).await;
            };
            tokio::select! {
                () = hang_up.cancelled() => return,
                () = begins => {}
            }
        }
    }
}

async fn next(first: &mut Option<Frame>, frames: &mut Frames) -> Option<Frame> {
    match first.take() {
        Some(frame) => Some(frame),
        None => frames.recv().await,
    }
}

/// Listens to what the server says beside its answers, where that is another stream.
async fn begun(courier: &Arc<Courier>, way: &Way) {
    match way {
        Way::Streamable(_) => {
            let (begun, listening) = oneshot::channel();
            courier.spawn(listen(courier.clone(), begun));
            // What a server asks in the course of a call while nobody listens, some forget.
            timeout(LISTENING_WAIT_MAX, listening).await.ok();
        }
        Way::Sse(_) => {}
    }
}

/// How long a setting waits for the one before it.
const SETTING_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long the frames behind `notifications/initialized` wait for it.
const FIRST_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long they wait for the stream of what the server says beside: some hold its head back until there is something.
const LISTENING_WAIT_MAX: Duration = Duration::from_secs(1);
