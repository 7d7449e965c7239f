//! One connection over Streamable HTTP, from its first frame to its last.
//!
//! Owns the order of its beginning: `initialize`, the session that its answer gives, `notifications/initialized`, the
//! stream of what the server says beside; then every frame is a POST of its own beside the others. Where that is left
//! open, it finds out whether the server is older and speaks HTTP+SSE.

use super::super::carry::Frames;
use super::super::frame::{Frame, Freight};
use super::super::stream::Again;
use super::courier::Courier;
use super::listening::listen;
use super::posting::{self, FAREWELL_MAX};
use super::refusal::{Refusal, is_of_modern_server, may_be_older};
use super::{Spoken, sse};
use crate::wire::fault::CallOutcome;
use crate::wire::id::CallId;
use bytes::Bytes;
use http::StatusCode;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How a connection began.
enum Greeted {
    /// The answer to `initialize` is being heard.
    Begun,
    Refused(Box<Refused>),
    /// It failed, and whoever waited knows.
    Over,
}

/// An `initialize` that was refused; nobody has been told yet.
struct Refused {
    text: Bytes,
    call: CallId,
    status: StatusCode,
    body: Bytes,
}

/// Carries a connection to a server that speaks this and nothing else.
pub(super) async fn carry(courier: &Arc<Courier>, mut frames: Frames) {
    match greet(courier, &mut frames).await {
        Greeted::Begun => post_all(courier, frames).await,
        Greeted::Refused(refused) => refuse(courier, *refused).await,
        Greeted::Over => {}
    }
}

/// The same, or HTTP+SSE if the server knows only that; `spoken` learns which.
pub(super) async fn carry_or_find(courier: &Arc<Courier>, mut frames: Frames, spoken: &Mutex<Spoken>) {
    let refused = match greet(courier, &mut frames).await {
        Greeted::Begun => return post_all(courier, frames).await,
        Greeted::Refused(refused) => refused,
        Greeted::Over => return,
    };
    let is_older = may_be_older(refused.status) && !is_of_modern_server(refused.status, &refused.body);
    if !is_older {
        return refuse(courier, *refused).await;
    }
    let opened = match sse::find(courier).await {
        Ok(opened) => opened,
        // Then it is credentials that it wants, whatever it said before.
        Err(absent) if absent.is_refused() => return absent.end(courier),
        Err(_) => return refuse(courier, *refused).await,
    };
    *spoken.lock() = Spoken::Sse;
    let first = Frame::small(refused.text, Freight::Request(refused.call), Arc::default());
    sse::speak(courier, opened, Some(first), frames).await;
}

/// Sends `initialize`, the first of all frames.
async fn greet(courier: &Arc<Courier>, frames: &mut Frames) -> Greeted {
    let (_, hang_up) = courier.stream().ends();
    let first = async {
        loop {
            let frame = frames.recv().await?;
            if let (false, Some(call)) = (frame.is_withdrawn(), frame.freight.request()) {
                return Some((frame, call));
            }
        }
    };
    let (frame, call) = tokio::select! {
        () = hang_up.cancelled() => return Greeted::Over,
        first = first => match first {
            Some(first) => first,
            None => return Greeted::Over,
        },
    };
    let (text, fate) = (frame.text.clone(), frame.fate.clone());
    let response = tokio::select! {
        () = hang_up.cancelled() => return Greeted::Over,
        response = posting::head(courier, courier.url(), frame, call) => match response {
            Ok(response) => response,
            Err(()) => return Greeted::Over,
        },
    };
    if !response.status.is_success() {
        let (status, body) = posting::refused(response).await;
        return Greeted::Refused(Box::new(Refused { text, call, status, body }));
    }
    if let Err(fault) = courier.take_session(&response) {
        courier.fail(Some(call), fault, CallOutcome::Unknown);
        return Greeted::Over;
    }
    let own = courier.clone();
    courier.spawn(async move {
        let work = posting::answer(&own, call, response);
        posting::within(&own, call, fate.as_deref(), work).await;
    });
    Greeted::Begun
}

/// Tells whoever greeted that it was refused.
async fn refuse(courier: &Arc<Courier>, refused: Refused) {
    let Refused { call, status, body, .. } = refused;
    // First: what is said of a connection first holds, and the same credentials must not be tried at once.
    if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) {
        let refusal = Refusal::new(&posting::circumstances(courier), status, &body);
        courier.give_up(refusal.why, refusal.reason, Again::NotSooner);
    }
    posting::refuse(courier, call, status, body).await;
}

/// Posts what comes, beside each other, until the server is to be let go.
async fn post_all(courier: &Arc<Courier>, mut frames: Frames) {
    let (_, hang_up) = courier.stream().ends();
    let url: Arc<str> = Arc::from(courier.url());
    // Resolves when the last of what must keep its order is there.
    let mut setting = None;
    loop {
        let frame = tokio::select! {
            biased;
            () = hang_up.cancelled() => break,
            frame = frames.recv() => frame,
        };
        let Some(frame) = frame else { break };
        let freight = frame.freight;
        // It can still be taken back until there is a connection for it.
        if frame.is_withdrawn() {
            continue;
        }
        let arrived = freight.request().map(|call| courier.sets_out(call));
        let before = match freight {
            Freight::Setting(_) => std::mem::replace(&mut setting, arrived),
            Freight::Request(_) | Freight::Ping(_) | Freight::Plain | Freight::First | Freight::Cancel(_) => {
                None
            }
        };
        let posting = {
            let (courier, url) = (courier.clone(), url.clone());
            async move {
                if let Some(before) = before {
                    timeout(SETTING_WAIT_MAX, before.cancelled()).await.ok();
                }
                if let Freight::Setting(call) = freight
                    && frame.is_withdrawn()
                {
                    return courier.arrives(call);
                }
                posting::carry(courier, url, frame).await;
            }
        };
        if let Freight::Cancel(_) = freight {
            courier.spawn_last_words(posting);
            continue;
        }
        let mut posted = courier.spawn(posting);
        if freight == Freight::First {
            let begins = async {
                // What a server hears before it, it may refuse (2025-11-25, basic/lifecycle, Initialization).
                timeout(FIRST_WAIT_MAX, &mut posted).await.ok();
                let (begun, listening) = oneshot::channel();
                courier.spawn(listen(courier.clone(), begun));
                // What a server asks in the course of a call while nobody listens, some forget.
                timeout(LISTENING_WAIT_MAX, listening).await.ok();
            };
            tokio::select! {
                () = hang_up.cancelled() => break,
                () = begins => {}
            }
        }
    }
    leave(courier, frames).await;
}

/// What is still said when the server is let go: that nobody waits any more, and that the session is over.
async fn leave(courier: &Arc<Courier>, mut frames: Frames) {
    if courier.stream().given_up().is_some() {
        return;
    }
    while let Ok(frame) = frames.try_recv() {
        if let Freight::Cancel(call) = frame.freight {
            let own = courier.clone();
            courier.spawn_last_words(async move { posting::cancel(&own, own.url(), frame, call).await });
        }
    }
    let farewell = async {
        courier.last_words().await;
        courier.end_session().await;
    };
    timeout(FAREWELL_MAX, farewell).await.ok();
}

/// How long a setting waits for the one before it.
const SETTING_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long the frames behind `notifications/initialized` wait for it.
const FIRST_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long they wait for the stream of what the server says beside: some hold its head back until there is something.
const LISTENING_WAIT_MAX: Duration = Duration::from_secs(1);
