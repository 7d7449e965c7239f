//! One message as one POST, and all that comes of it.
//!
//! Owns the wait for one answer: its head, its body or its events, and the requests by which a stream of events is
//! taken up again. Whatever goes wrong is the fault of that one call; nothing is posted twice.

use super::super::ear::Ear;
use super::super::fetch::{Address, BodyError, FetchError, FetchResponse, read_whole};
use super::super::frame::{Fate, Frame, Freight};
use super::super::stream::Again;
use super::courier::{Courier, Outgoing, Setback};
use super::events::{EVENT_STREAM, End, Events, JSON, Mark, Until, is_of_type};
use super::journey::Journey;
use super::refusal::{
    BODY_BYTES_MAX, Refusal, Request, is_no_method, is_of_call, is_own_error, says_no_method,
};
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::CallId;
use bytes::Bytes;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How far a message has come.
pub(super) enum Posted {
    /// The server has taken it, and what belongs to it is being heard.
    Taken,
    /// It was refused; nobody has been told yet.
    Refused(StatusCode, Bytes),
    /// It was taken, and what was said to it is over without an answer; nobody has been told yet.
    Unanswered(Fault),
    /// It failed, and everyone concerned knows.
    Failed,
}

/// Sends a frame, unless it is withdrawn first, and hears all that comes of it. `url`: where it goes.
pub(super) async fn carry(courier: Arc<Courier>, url: Address, mut frame: Frame) {
    match frame.freight {
        Freight::Request(call) | Freight::Setting(call) | Freight::Probe(call) => {
            let fate = frame.fate();
            let outgoing = outgoing(&courier, &url, frame);
            request(courier, outgoing, call, fate).await;
        }
        // Rare, and as large as the others: they need not make every posting larger.
        Freight::Ping(call) => {
            let fate = frame.fate();
            let work = async {
                if let Ok(response) = head(&courier, &url, frame, call, &fate).await {
                    pinged(&courier, call, response).await;
                }
            };
            Box::pin(within(&courier, call, &fate, work)).await;
            fate.arrives();
        }
        Freight::Cancel(_) => Box::pin(cancel(&courier, &url, frame)).await,
        Freight::Plain | Freight::First => {
            let told = async {
                tokio::select! {
                    () = courier.stream().deaf() => {}
                    () = plain(&courier, &url, frame) => {}
                }
            };
            Box::pin(told).await;
        }
    }
}

/// Sends a request, and hears all that comes of it. Most of a call's time is the wait for the head of its answer, so what
/// is there until then is made small.
pub(super) async fn request(courier: Arc<Courier>, outgoing: Outgoing, call: CallId, fate: Arc<Fate>) {
    let work = async {
        let response = courier.sent(outgoing, Some(call)).await;
        fate.arrives();
        match response {
            Ok(mut response) => match at_hand(&courier, &mut response) {
                Some(text) => whole(&courier, call, text).await,
                None => Box::pin(answer(&courier, call, response)).await,
            },
            Err(error) => courier.failed(Some(call), &error),
        }
    };
    within(&courier, call, &fate, work).await;
    fate.arrives();
}

/// A request that is sent and heard by whoever waits for its answer.
pub(super) fn journey(courier: Arc<Courier>, url: &Address, mut frame: Frame, call: CallId) -> Journey {
    let fate = frame.fate();
    let outgoing = outgoing(&courier, url, frame);
    Journey::new(courier, outgoing, call, fate)
}

/// A frame as it goes out; what it held is given back when it is written.
fn outgoing(courier: &Courier, url: &Address, mut frame: Frame) -> Outgoing {
    let mirrored = std::mem::take(&mut frame.mirrored);
    let (text, load) = frame.unload();
    courier.posting(url, text, load, &mirrored)
}

/// The text of a short answer of one message that came with its head.
pub(super) fn at_hand(courier: &Courier, response: &mut FetchResponse) -> Option<Bytes> {
    if !response.status.is_success() || !is_of_type(response, JSON) {
        return None;
    }
    // What is longer takes room while it comes.
    response.body.take_here(courier.stream().message_bytes_max().min(SHORT_BYTES_MAX))
}

/// Hears it.
async fn whole(courier: &Courier, call: CallId, text: Bytes) {
    let mut ear = Ear::of_call(courier.stream().clone(), call);
    ear.hear(text).await.ok();
    answered(courier, call, &ear);
}

/// What was heard was all that comes: without an answer the call fails.
pub(super) fn answered(courier: &Courier, call: CallId, ear: &Ear) {
    if !ear.has_answer() {
        courier.fail(Some(call), no_answer_in_it(courier), CallOutcome::Unknown);
    }
}

fn no_answer_in_it(courier: &Courier) -> Fault {
    courier.fault(Reason::Internal, "answered with a body that holds no answer to the call")
}

/// Says that nobody waits for a call any more: not before the call is there, as far as can be known, and even if we leave.
pub(super) async fn cancel(courier: &Courier, url: &Address, frame: Frame) {
    may_be_cancelled(courier, &frame).await;
    let too_late = async {
        courier.stream().deaf().await;
        sleep(FAREWELL_MAX).await;
    };
    tokio::select! {
        () = plain(courier, url, frame) => {}
        () = too_late => {}
    }
}

/// Resolves when a cancel does not overtake its call, as far as can be known, or when we leave.
pub(super) async fn may_be_cancelled(courier: &Courier, cancel: &Frame) {
    let Some(call) = &cancel.follows else { return };
    let (_, hang_up) = courier.stream().ends();
    let written = async {
        timeout(WRITING_WAIT_MAX, call.written()).await.ok();
        sleep(START).await;
    };
    tokio::select! {
        () = call.arrived() => {}
        () = written => {}
        () = hang_up.cancelled() => {}
    }
}

/// Sends a frame that asks for nothing.
async fn plain(courier: &Courier, url: &Address, frame: Frame) {
    // Until the server has said that it has it: so many of them wait for that, and a cancelled call keeps its place.
    let _places = frame.places.clone();
    let (text, load) = frame.unload();
    let sent = async {
        match courier.say(url, text, load).await {
            Ok(response) if response.status.is_success() => {}
            Ok(response) => {
                let (status, body) = refused(response).await;
                if status == StatusCode::NOT_FOUND && says_no_method(&body) {
                    // It is there, and so is the session: only this means nothing to it.
                    return tracing::debug!(server = %courier.stream().server(), "a message was not understood");
                }
                let refusal = Refusal::new(&circumstances(courier), status, &body);
                if status == StatusCode::BAD_REQUEST && courier.has_session() {
                    courier.stream().doubt();
                }
                courier.refused(None, &refusal);
            }
            Err(error) => courier.failed(None, &error),
        }
    };
    if timeout(PLAIN_WAIT_MAX, sent).await.is_err() {
        tracing::warn!(server = %courier.stream().server(), "a message was not taken in time");
    }
}

/// Sends a request and waits until its answer begins; what it held is given back when it is written.
pub(super) async fn head(
    courier: &Courier,
    url: &Address,
    frame: Frame,
    call: CallId,
    fate: &Fate,
) -> Result<FetchResponse, ()> {
    let response = courier.sent(outgoing(courier, url, frame), Some(call)).await;
    fate.arrives();
    response.map_err(|error| courier.failed(Some(call), &error))
}

/// Does the work of a request until it is done, the stream is closed, or nobody has waited for an answer for a while.
pub(super) async fn within(courier: &Courier, call: CallId, fate: &Fate, work: impl Future<Output = ()>) {
    let unwanted = async {
        if !fate.is_nobodys() {
            // The end of the stream is that of every request on it.
            fate.ended().await;
        }
        // What seldom takes time need not make every posting larger.
        Box::pin(lingers(courier, call, fate)).await;
    };
    tokio::select! {
        biased;
        () = unwanted => {}
        () = work => {}
    }
}

/// Resolves when a request that nobody waits for is not of use any more.
async fn lingers(courier: &Courier, call: CallId, fate: &Fate) {
    let enough = async {
        if fate.is_nobodys() {
            return sleep(ORDER_WAIT_MAX).await;
        }
        if fate.is_withdrawn() {
            return;
        }
        if courier.stream().awaits(call) {
            // Its answer names a task that is to be cancelled; but a server need not answer at all.
            sleep(ORDER_WAIT_MAX).await;
        }
        let Some(_place) = courier.lingers() else { return };
        sleep(LINGER).await;
    };
    tokio::select! {
        biased;
        () = courier.stream().deaf() => {}
        // The word for that comes by the queue, after the end.
        () = fate.dropped() => {}
        () = enough => {}
    }
}

/// Hears the answer to a request, whatever form it takes.
pub(super) async fn answer(courier: &Courier, call: CallId, response: FetchResponse) {
    match taken(courier, call, response).await {
        Posted::Taken | Posted::Failed => {}
        Posted::Refused(status, body) => refuse(courier, call, status, body).await,
        Posted::Unanswered(fault) => courier.fail(Some(call), fault, CallOutcome::Unknown),
    }
}

/// Hears the answer to a ping. Nothing is wrong with one but its session: a server that was restarted may say no more
/// than 400 of a session that it does not know. One that knows no ping says that of this very request, and lives.
async fn pinged(courier: &Courier, call: CallId, response: FetchResponse) {
    match taken(courier, call, response).await {
        Posted::Taken | Posted::Failed => {}
        Posted::Refused(StatusCode::BAD_REQUEST, body)
            if courier.has_session() && !is_no_method(&body, call) =>
        {
            let why = "answered 400 to a ping in its own session; it is begun anew";
            courier.give_up(why, Reason::Gone, Again::AtOnce);
        }
        Posted::Refused(status, body) => refuse(courier, call, status, body).await,
        Posted::Unanswered(fault) => courier.fail(Some(call), fault, CallOutcome::Unknown),
    }
}

/// Hears the answer to a request, but that there is none is given back.
pub(super) async fn taken(courier: &Courier, call: CallId, response: FetchResponse) -> Posted {
    let status = response.status;
    if !status.is_success() {
        let (status, body) = refused(response).await;
        return Posted::Refused(status, body);
    }
    let mut ear = Ear::of_call(courier.stream().clone(), call);
    if is_of_type(&response, EVENT_STREAM) {
        return stream(courier, call, response, &mut ear).await;
    }
    if !is_of_type(&response, JSON) {
        let why = format!("answered {} without an answer: {}", status.as_u16(), type_of(&response));
        return Posted::Unanswered(courier.fault(Reason::Internal, &why));
    }
    let mut room = courier.stream().audience().growing();
    let has_room = |bytes| room.reach(bytes).is_ok();
    match response.body.whole(courier.stream().message_bytes_max(), has_room).await {
        Ok(body) => {
            // It takes room for good as soon as it is known whose it is.
            drop(room);
            ear.hear(body).await.ok();
            if !ear.has_answer() {
                return Posted::Unanswered(no_answer_in_it(courier));
            }
            Posted::Taken
        }
        Err(BodyError::TooLarge { bytes_max }) => {
            let why = format!("the answer has more than {bytes_max} bytes (limits.server_message)");
            courier.fail(Some(call), courier.fault(Reason::TooLarge, &why), CallOutcome::Unknown);
            Posted::Failed
        }
        Err(BodyError::NoRoom { bytes }) => {
            drop(room);
            ear.no_room(bytes);
            Posted::Failed
        }
        Err(BodyError::Fetch(
            FetchError::NotSent(why) | FetchError::Broken(why) | FetchError::Refused { why, .. },
        )) => {
            courier.fail(Some(call), courier.fault(Reason::Gone, &why), CallOutcome::Unknown);
            Posted::Failed
        }
    }
}

/// The server's own error, or a fault that says what it answered.
pub(super) async fn refuse(courier: &Courier, call: CallId, status: StatusCode, body: Bytes) {
    let credentials = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
    let session = status == StatusCode::NOT_FOUND && courier.has_session();
    if status == StatusCode::BAD_REQUEST && courier.has_session() && !is_of_call(&body, call) {
        // A server that was restarted may say no more than this of a session that it does not know.
        courier.stream().doubt();
    }
    let is_own = !credentials && if session { is_no_method(&body, call) } else { is_own_error(&body, call) };
    if is_own {
        let mut ear = Ear::of_call(courier.stream().clone(), call);
        ear.hear(body).await.ok();
        return;
    }
    courier.refused(Some(call), &Refusal::new(&circumstances(courier), status, &body));
}

/// Hears a stream of events until the call has its answer, taking the stream up again where that is possible.
async fn stream(courier: &Courier, call: CallId, response: FetchResponse, ear: &mut Ear) -> Posted {
    let mut events = Events::of_call(courier.stream(), response);
    let mut mark = Mark::default();
    let mut failures = 0;
    loop {
        let end = events.hear(ear, Until::Answer).await;
        if ear.has_answer() {
            if !events.are_over() {
                drain(events, ear).await;
            }
            return Posted::Taken;
        }
        mark = events.mark(mark);
        if events.begun() {
            failures = 0;
        }
        if let End::Noise = end {
            let why = "answered with too much that is no message";
            return Posted::Unanswered(courier.fault(Reason::Gone, why));
        }
        events = match (resumed(courier, &mark, &mut failures).await, end) {
            (Resumed::Goes(response), _) => Events::of_call(courier.stream(), response),
            (Resumed::Never, End::Broken(why)) => {
                courier.fail(Some(call), courier.fault(Reason::Gone, &why), CallOutcome::Unknown);
                return Posted::Failed;
            }
            (Resumed::Never, End::Closed | End::Noise) => {
                let why = "the answer ended before it was there";
                return Posted::Unanswered(courier.fault(Reason::Gone, why));
            }
        };
    }
}

/// Whether a stream of events goes on.
enum Resumed {
    Goes(FetchResponse),
    Never,
}

/// Asks for the rest of a stream of events, until it is there or will not be.
async fn resumed(courier: &Courier, mark: &Mark, failures: &mut u32) -> Resumed {
    // Without a session there is nothing to go on with.
    let last_id = mark.last_id.as_ref().filter(|_| courier.stream().standing().is_none());
    let Some(last_id) = last_id else { return Resumed::Never };
    while *failures < RESUMES_MAX {
        sleep(mark.pause()).await;
        match courier.events(Some(last_id)).await {
            Ok(response) if response.status.is_success() && is_of_type(&response, EVENT_STREAM) => {
                return Resumed::Goes(response);
            }
            Ok(response) if passes(response.status) => *failures += 1,
            // What became of the session, the next request will tell.
            Ok(_) => return Resumed::Never,
            Err(Setback::Fetch(FetchError::NotSent(_))) => *failures += REFUSED_COUNTS,
            Err(_) => *failures += 1,
        }
    }
    Resumed::Never
}

/// Reads on after the answer: a response that is read to its end leaves its connection for the next.
async fn drain(mut events: Events, ear: &mut Ear) {
    timeout(DRAIN_MAX, events.hear(ear, Until::End)).await.ok();
}

/// A refusal's status and the beginning of its body.
pub(super) async fn refused(response: FetchResponse) -> (StatusCode, Bytes) {
    let body = timeout(BODY_WAIT_MAX, read_whole(response.body, BODY_BYTES_MAX)).await;
    (response.status, body.ok().and_then(Result::ok).unwrap_or_default())
}

pub(super) fn circumstances(courier: &Courier) -> Request<'_> {
    Request {
        server: courier.stream().server(),
        credentials: courier.credentials(),
        in_session: courier.has_session(),
        sent: courier.secrets(),
    }
}

/// Whether the same request may be answered otherwise a moment later.
pub(super) fn passes(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

fn type_of(response: &FetchResponse) -> String {
    match response.headers.text(&http::header::CONTENT_TYPE) {
        Some(value) => format!("its body is `{}`", value.chars().take(TYPE_CHARS_MAX).collect::<String>()),
        None => "it has no body that could be one".to_owned(),
    }
}

/// How long a response is still heard whose call was cancelled: what it asked meanwhile must be refused.
const LINGER: Duration = Duration::from_secs(5);
/// The same for a request of ours whose answer nobody waits for.
const ORDER_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a server may take to say that it has what asks for nothing.
const PLAIN_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a server may take to hear that we leave.
pub(super) const FAREWELL_MAX: Duration = Duration::from_secs(1);
/// How long a cancel waits for its request to be written. One that nobody waits for lingers less: it is dropped before.
const WRITING_WAIT_MAX: Duration = Duration::from_secs(10);
/// The start that a request has before its cancel when it is written and there is no sign that it is there.
const START: Duration = Duration::from_millis(100);
/// How long a refusal's body is waited for.
const BODY_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a response is read after the answer.
const DRAIN_MAX: Duration = Duration::from_secs(1);
/// Requests in a row for the rest of one stream of events that may fail.
const RESUMES_MAX: u32 = 32;
/// As how many of them one counts that could not even be sent: nobody may be there any more, and somebody waits.
const REFUSED_COUNTS: u32 = 16;
/// A longer answer is counted as it comes.
const SHORT_BYTES_MAX: usize = 32 * 1024;
const TYPE_CHARS_MAX: usize = 100;
