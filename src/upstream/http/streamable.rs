//! One connection over Streamable HTTP, from its first frame to its last.
//!
//! Owns its beginning and its end: the question whether the server does without a handshake; `initialize`, and the session
//! that its answer gives; what is said when the server is let go. What is between, `order` posts. Where that is left open, it finds out whether the server is older and speaks
//! HTTP+SSE.

use super::super::carry::Frames;
use super::super::ear::Ear;
use super::super::frame::{Frame, Freight};
use super::super::stream::Again;
use super::courier::Courier;
use super::order::{self, Way};
use super::posting::{self, FAREWELL_MAX, Posted};
use super::refusal::{Refusal, is_of_modern_server, may_be_older};
use super::{Spoken, sse};
use crate::wire::fault::CallOutcome;
use crate::wire::id::CallId;
use bytes::Bytes;
use http::StatusCode;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::time::timeout;

/// How a connection began.
enum Greeted {
    /// The answer to `initialize` is being heard.
    Begun,
    /// There is none: this is the first of requests that each stand by themselves.
    Stateless(Frame),
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
        Greeted::Begun => post_all(courier, None, frames).await,
        Greeted::Stateless(first) => post_all(courier, Some(first), frames).await,
        Greeted::Refused(refused) => refuse(courier, *refused).await,
        Greeted::Over => {}
    }
}

/// The same, or HTTP+SSE if the server knows only that; `spoken` learns which.
pub(super) async fn carry_or_find(courier: &Arc<Courier>, mut frames: Frames, spoken: &Mutex<Spoken>) {
    let refused = match greet(courier, &mut frames).await {
        Greeted::Begun => return post_all(courier, None, frames).await,
        Greeted::Stateless(first) => return post_all(courier, Some(first), frames).await,
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

/// The first request that is not withdrawn; `None`: the server is to be let go.
async fn first(courier: &Courier, frames: &mut Frames) -> Option<(Frame, CallId)> {
    let (_, hang_up) = courier.stream().ends();
    let first = async {
        loop {
            let frame = frames.next().await?;
            if let (false, Some(call)) = (frame.is_withdrawn(), frame.freight.request()) {
                return Some((frame, call));
            }
        }
    };
    tokio::select! {
        () = hang_up.cancelled() => None,
        first = first => first,
    }
}

/// Asks whether the server does without a handshake, if that is wanted, and sends `initialize` if it does not.
async fn greet(courier: &Arc<Courier>, frames: &mut Frames) -> Greeted {
    let (_, hang_up) = courier.stream().ends();
    let Some((mut frame, mut call)) = first(courier, frames).await else { return Greeted::Over };
    while let Freight::Probe(_) = frame.freight {
        let asked = ask(courier, frame, call);
        tokio::select! {
            () = hang_up.cancelled() => return Greeted::Over,
            () = asked => {}
        }
        let Some(next) = first(courier, frames).await else { return Greeted::Over };
        (frame, call) = next;
    }
    if courier.stream().standing().is_some() {
        return Greeted::Stateless(frame);
    }
    let (text, fate) = (frame.text.clone(), frame.fate());
    let response = tokio::select! {
        () = hang_up.cancelled() => return Greeted::Over,
        response = posting::head(courier, courier.url(), frame, call, &fate) => match response {
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
        posting::within(&own, call, &fate, work).await;
    });
    Greeted::Begun
}

/// Asks, and lets what comes of it be heard: an answer, or what the status says in place of one (2026-07-28,
/// basic/transports/streamable-http, Backward Compatibility).
async fn ask(courier: &Arc<Courier>, mut frame: Frame, call: CallId) {
    let fate = frame.fate();
    let Ok(response) = posting::head(courier, courier.url(), frame, call, &fate).await else { return };
    let status = response.status;
    if status.is_success() {
        let own = courier.clone();
        courier.spawn(async move {
            let work = async {
                match posting::taken(&own, call, response).await {
                    Posted::Taken | Posted::Failed => {}
                    Posted::Refused(status, body) => posting::refuse(&own, call, status, body).await,
                    // Some say yes to whatever they do not know.
                    Posted::Unanswered(_) => know_nothing(&own, call, status).await,
                }
            };
            posting::within(&own, call, &fate, work).await;
        });
        return;
    }
    let (status, body) = posting::refused(response).await;
    if is_of_credentials(status) || posting::passes(status) || status.is_server_error() {
        // Whatever its body is: it may be of what stands before the server.
        heed_credentials(courier, status, &body);
        let refusal = Refusal::new(&posting::circumstances(courier), status, &body);
        return courier.refused(Some(call), &refusal);
    }
    if is_of_modern_server(status, &body) {
        courier.stream().find_stateless();
        return posting::refuse(courier, call, status, body).await;
    }
    // Whatever its body is, it knows nothing of the question.
    know_nothing(courier, call, status).await;
}

/// Lets it be heard that the server knows nothing of the question.
async fn know_nothing(courier: &Courier, call: CallId, status: StatusCode) {
    let text =
        format!(r#"{{"jsonrpc":"2.0","id":{call},"error":{{"code":-32601,"message":"answered {status}"}}}}"#);
    Ear::of_call(courier.stream().clone(), call).hear(text.into()).await.ok();
}

/// Tells whoever greeted that it was refused.
async fn refuse(courier: &Arc<Courier>, refused: Refused) {
    let Refused { call, status, body, .. } = refused;
    heed_credentials(courier, status, &body);
    posting::refuse(courier, call, status, body).await;
}

/// Before anybody is told: what is said of a connection first holds, and the same credentials must not be tried at once.
fn heed_credentials(courier: &Courier, status: StatusCode, body: &Bytes) {
    if is_of_credentials(status) {
        let refusal = Refusal::new(&posting::circumstances(courier), status, body);
        courier.give_up(refusal.why, refusal.reason, Again::NotSooner);
    }
}

fn is_of_credentials(status: StatusCode) -> bool {
    [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status)
}

/// Posts what comes until the server is to be let go, and takes leave.
async fn post_all(courier: &Arc<Courier>, first: Option<Frame>, mut frames: Frames) {
    let way = Way::Streamable(courier.url().clone());
    order::post_all(courier, way, first, &mut frames).await;
    leave(courier, frames).await;
}

/// What is still said when the server is let go: that nobody waits any more, and that the session is over.
async fn leave(courier: &Arc<Courier>, mut frames: Frames) {
    if courier.stream().given_up().is_some() {
        return;
    }
    while let Some(frame) = frames.now() {
        if let (Freight::Cancel(_), None) = (frame.freight, courier.stream().standing()) {
            let own = courier.clone();
            courier.spawn_last_words(async move { posting::cancel(&own, own.url(), frame).await });
        }
    }
    let farewell = async {
        courier.last_words().await;
        courier.end_session().await;
    };
    timeout(FAREWELL_MAX, farewell).await.ok();
}
