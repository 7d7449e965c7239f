//! One connection over HTTP+SSE (2024-11-05, basic/transports): a stream of events one way, POSTs the other.
//!
//! Owns the stream of events, on which the server says everything, and the place that it names for our messages. When the
//! stream of events ends, so does the connection.

use super::super::carry::Frames;
use super::super::ear::Ear;
use super::super::fetch::{Address, shown};
use super::super::frame::{Frame, Freight, Load};
use super::super::stream::Again;
use super::courier::{Courier, Setback};
use super::events::{EVENT_STREAM, End, Events, Next, Until, is_of_type};
use super::order::{self, Way};
use super::posting::{circumstances, may_be_cancelled, refused, within};
use super::refusal::{Refusal, Request, is_own_error, may_be_older};
use crate::wire::fault::Reason;
use crate::wire::id::CallId;
use bytes::Bytes;
use http::StatusCode;
use reqwest::Url;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A stream of events, and where our messages go.
pub(super) struct Opened {
    endpoint: Address,
    events: Events,
}

/// Why there is no such stream. `why` goes on after the server's name.
pub(super) struct Absent {
    why: String,
    reason: Reason,
    again: Again,
    sign: Sign,
}

/// What the absence of a stream of events says about the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// It does not speak HTTP+SSE.
    Other,
    /// Nothing: it was not reached, is busy or broken.
    None,
    /// Nothing either: it wants other credentials.
    Credentials,
}

impl Absent {
    fn other(why: impl Into<String>) -> Self {
        Self { why: why.into(), reason: Reason::Unreachable, again: Again::InTime, sign: Sign::Other }
    }

    fn unreached(why: impl Into<String>) -> Self {
        Self { sign: Sign::None, ..Self::other(why) }
    }

    fn refused(refusal: Refusal, status: StatusCode) -> Self {
        let (again, sign) = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (Again::NotSooner, Sign::Credentials),
            status if may_be_older(status) => (Again::InTime, Sign::Other),
            _ => (Again::InTime, Sign::None),
        };
        Self { why: refusal.why, reason: refusal.reason, again, sign }
    }

    /// Whether the server wants other credentials.
    pub(super) fn is_refused(&self) -> bool {
        self.sign == Sign::Credentials
    }

    /// The connection is over because of it.
    pub(super) fn end(self, courier: &Courier) {
        courier.give_up(self.why, self.reason, self.again);
    }
}

/// Carries a connection. The error says that the server does not speak this.
pub(super) async fn carry(courier: &Arc<Courier>, frames: Frames) -> Result<(), ()> {
    let (_, hang_up) = courier.stream().ends();
    let opened = tokio::select! {
        () = hang_up.cancelled() => return Ok(()),
        opened = open(courier) => opened,
    };
    match opened {
        Ok(opened) => {
            speak(courier, opened, None, frames).await;
            Ok(())
        }
        Err(absent) => {
            let spoken = match absent.sign {
                Sign::Other => Err(()),
                Sign::None | Sign::Credentials => Ok(()),
            };
            absent.end(courier);
            spoken
        }
    }
}

/// Looks whether the server speaks this.
pub(super) async fn find(courier: &Courier) -> Result<Opened, Absent> {
    let (_, hang_up) = courier.stream().ends();
    tokio::select! {
        () = hang_up.cancelled() => Err(Absent::unreached("was let go")),
        opened = open(courier) => opened,
    }
}

async fn open(courier: &Courier) -> Result<Opened, Absent> {
    let opening = async {
        let response = courier.events(None).await.map_err(|setback| match setback {
            Setback::Fetch(error) => Absent::unreached(error.to_string()),
            Setback::Refused(refusal) | Setback::Renewed(refusal) => {
                Absent::refused(refusal, StatusCode::UNAUTHORIZED)
            }
        })?;
        if !response.status.is_success() {
            let (status, body) = refused(response).await;
            return Err(Absent::refused(Refusal::new(&circumstances(courier), status, &body), status));
        }
        if !is_of_type(&response, EVENT_STREAM) {
            return Err(Absent::other(
                "answered a GET with something else than events: it does not speak HTTP+SSE",
            ));
        }
        let mut events = Events::new(courier.stream(), response);
        loop {
            match events.next().await {
                Next::Event(event) if event.name.as_deref() == Some(b"endpoint") => {
                    let endpoint = endpoint(courier.url().as_str(), &event.data)?;
                    return Ok(Opened { endpoint, events });
                }
                Next::Event(_) | Next::TooLong { .. } | Next::NoRoom { .. } => {}
                Next::End(_) => {
                    return Err(Absent::other("its events ended before they named an `endpoint`"));
                }
            }
        }
    };
    let late = || Absent::other("its events named no `endpoint` in time: it does not speak HTTP+SSE");
    timeout(ENDPOINT_WAIT_MAX, opening).await.unwrap_or_else(|_| Err(late()))
}

/// Where our messages go: relative or absolute, but at the same origin, because the configured headers go with them.
fn endpoint(url: &str, said: &[u8]) -> Result<Address, Absent> {
    let said = std::str::from_utf8(said).ok().map(str::trim).filter(|said| said.len() <= ENDPOINT_BYTES_MAX);
    let base = Url::parse(url).map_err(|_| Absent::other("has a URL that is none"))?;
    let endpoint = said.and_then(|said| base.join(said).ok());
    let endpoint = endpoint.ok_or_else(|| Absent::other("named an `endpoint` that is no URL"))?;
    if endpoint.origin() != base.origin() {
        let other = shown(endpoint.as_str()).escape_debug().to_string();
        return Err(Absent::other(format!("named an `endpoint` at another origin: {other}")));
    }
    Ok(Address::from(&endpoint))
}

/// Says what comes and hears, until either side lets go. `first`: a frame that was taken up already.
pub(super) async fn speak(courier: &Arc<Courier>, opened: Opened, first: Option<Frame>, mut frames: Frames) {
    let Opened { endpoint, events } = opened;
    courier.spawn(hear(courier.clone(), events));
    order::post_all(courier, Way::Sse(endpoint), first, &mut frames).await;
}

/// Posts one message. Its answer, if it asks for one, comes with the events.
pub(super) async fn hand_over(courier: Arc<Courier>, endpoint: Address, mut frame: Frame) {
    match frame.freight {
        Freight::Request(call) | Freight::Setting(call) | Freight::Ping(call) | Freight::Probe(call) => {
            let fate = frame.fate();
            let work = posted(&courier, &endpoint, Some(call), frame.unload());
            within(&courier, call, &fate, work).await;
            fate.arrives();
        }
        Freight::Cancel(_) => {
            may_be_cancelled(&courier, &frame).await;
            told(&courier, &endpoint, frame).await;
        }
        Freight::Plain | Freight::First => told(&courier, &endpoint, frame).await,
    }
}

/// Posts what asks for nothing.
async fn told(courier: &Courier, endpoint: &Address, frame: Frame) {
    // Until the server has said that it has it: so many of them wait for that, and a cancelled call keeps its place.
    let _places = frame.places.clone();
    let message = frame.unload();
    tokio::select! {
        () = courier.stream().deaf() => {}
        () = posted(courier, endpoint, None, message) => {}
    }
}

/// Posts a text and waits until the server has taken it.
async fn posted(courier: &Courier, endpoint: &Address, call: Option<CallId>, (text, load): (Bytes, Load)) {
    let posted = async {
        let posted = match call {
            Some(_) => courier.sent(courier.posting(endpoint, text, load, &[]), call).await,
            None => courier.say(endpoint, text, load).await,
        };
        match posted {
            Ok(response) if response.status.is_success() => {}
            Ok(response) => {
                let (status, body) = refused(response).await;
                if let Some(call) = call.filter(|call| is_own_error(&body, *call)) {
                    let mut ear = Ear::of_call(courier.stream().clone(), call);
                    ear.hear(body).await.ok();
                    return;
                }
                // The session is in the URL.
                let request = Request { in_session: true, ..circumstances(courier) };
                courier.refused(call, &Refusal::new(&request, status, &body));
            }
            Err(error) => courier.failed(call, &error),
        }
    };
    if timeout(POST_WAIT_MAX, posted).await.is_err() {
        tracing::warn!(server = %courier.stream().server(), "a message was not taken in time");
    }
}

/// Hears all that the server says. The end of its events is the end of the connection.
async fn hear(courier: Arc<Courier>, mut events: Events) {
    let (_, hang_up) = courier.stream().ends();
    let mut ear = Ear::new(courier.stream().clone());
    let end = tokio::select! {
        () = hang_up.cancelled() => return,
        () = courier.stream().deaf() => return,
        end = events.hear(&mut ear, Until::End) => end,
    };
    let why = match end {
        End::Closed => "ended its stream of events".to_owned(),
        End::Broken(why) => why,
        End::Noise => "there was too much on its stream that is no message".to_owned(),
    };
    courier.give_up(why, Reason::Gone, Again::InTime);
}

/// How long a server may take to name the place for our messages.
const ENDPOINT_WAIT_MAX: Duration = Duration::from_secs(10);
const ENDPOINT_BYTES_MAX: usize = 8 * 1024;
/// How long a server may take to take a message.
const POST_WAIT_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: &str) -> Result<String, String> {
        let endpoint = endpoint("http://h:1/a/sse?x=1", said.as_bytes());
        endpoint.map(|url| url.as_str().to_owned()).map_err(|absent| absent.why)
    }

    #[test]
    fn an_endpoint_may_be_relative_or_absolute() {
        assert_eq!(of("/messages?s=1").unwrap(), "http://h:1/messages?s=1");
        assert_eq!(of("messages").unwrap(), "http://h:1/a/messages");
        assert_eq!(of("?s=1\n").unwrap(), "http://h:1/a/sse?s=1");
        assert_eq!(of("http://h:1/m").unwrap(), "http://h:1/m");
    }

    #[test]
    fn an_endpoint_at_another_origin_is_refused() {
        for other in ["http://h:2/m", "https://h:1/m", "http://g:1/m", "//g:1/m?key=s3cret", "file:///m"] {
            let why = of(other).unwrap_err();
            assert!(why.starts_with("named an `endpoint` at another origin"), "{why}");
            assert!(!why.contains("s3cret"), "{why}");
        }
        assert_eq!(of("http://[").unwrap_err(), "named an `endpoint` that is no URL");
        assert!(of(&"x".repeat(ENDPOINT_BYTES_MAX + 1)).is_err());
    }
}
