//! In which order the frames of one connection are posted.
//!
//! Each is a POST of its own beside the others, but for what must keep its order: nothing may be there before
//! `notifications/initialized`, a setting waits for the one before it, a cancel for its request. It takes frames until the
//! server is to be let go; what comes of each, others hear.

use super::super::carry::Frames;
use super::super::fetch::Address;
use super::super::frame::{Fate, Frame, Freight};
use super::courier::Courier;
use super::listening::listen;
use super::{posting, sse};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Where frames go, and where their answers come from.
#[derive(Clone)]
pub(super) enum Way {
    /// Each to this URL, and its answer on its own response.
    Streamable(Address),
    /// Each to this endpoint, and all answers on one stream.
    Sse(Address),
}

/// Posts what comes until the server is to be let go. `first`: a frame that was taken up already.
pub(super) async fn post_all(
    courier: &Arc<Courier>,
    way: Way,
    mut first: Option<Frame>,
    frames: &mut Frames,
) {
    let (_, hang_up) = courier.stream().ends();
    let mut hung_up = pin!(hang_up.cancelled());
    if courier.stream().standing().is_some() {
        goes_express(courier, &way);
    }
    // The last of what must keep its order.
    let mut setting: Option<Arc<Fate>> = None;
    loop {
        let frame = tokio::select! {
            biased;
            () = &mut hung_up => return,
            frame = next(&mut first, frames) => frame,
        };
        let Some(mut frame) = frame else { return };
        // It can still be taken back until there is a connection for it.
        if frame.is_withdrawn() {
            continue;
        }
        let (courier, way) = (courier.clone(), way.clone());
        match frame.freight {
            Freight::Request(_) | Freight::Ping(_) | Freight::Probe(_) | Freight::Plain => {
                courier.clone().spawn(post(courier, way, frame));
            }
            Freight::Setting(_) => {
                let before = setting.replace(frame.fate());
                courier.clone().spawn(async move {
                    if let Some(before) = before {
                        timeout(SETTING_WAIT_MAX, before.arrived()).await.ok();
                    }
                    match frame.is_withdrawn() {
                        true => frame.fate().arrives(),
                        false => post(courier, way, frame).await,
                    }
                });
            }
            Freight::Cancel(_) if courier.stream().standing().is_some() => {
                if let Some(fate) = &frame.follows {
                    fate.let_go();
                }
            }
            Freight::Cancel(_) => courier.clone().spawn_last_words(post(courier, way, frame)),
            Freight::First => {
                let mut posted = courier.spawn(post(courier.clone(), way.clone(), frame));
                let begins = async {
                    // What a server hears before it, it may refuse (2025-11-25, basic/lifecycle, Initialization).
                    timeout(FIRST_WAIT_MAX, &mut posted).await.ok();
                    begun(&courier, &way).await;
                };
                tokio::select! {
                    () = &mut hung_up => return,
                    () = begins => {}
                }
                goes_express(&courier, &way);
            }
        }
    }
}

/// There is nothing any more that a request would have to wait for.
fn goes_express(courier: &Arc<Courier>, way: &Way) {
    if let Way::Streamable(_) = way {
        let own = Arc::downgrade(courier);
        courier.stream().goes_express(own);
    }
}

/// Posts one frame, and hears what comes of it.
async fn post(courier: Arc<Courier>, way: Way, frame: Frame) {
    match way {
        Way::Streamable(url) => posting::carry(courier, url, frame).await,
        Way::Sse(endpoint) => sse::hand_over(courier, endpoint, frame).await,
    }
}

async fn next(first: &mut Option<Frame>, frames: &mut Frames) -> Option<Frame> {
    match first.take() {
        Some(frame) => Some(frame),
        None => frames.next().await,
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
