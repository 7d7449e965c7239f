//! A response that is a stream of events, on its way to an ear.
//!
//! Owns the decoder of one response, and what must be known to go on after it: the last event's id, the pause that the
//! server asked for. It asks for nothing by itself.

use super::super::ear::Ear;
use super::super::fetch::{FetchBody, FetchError, FetchResponse};
use super::super::memory::Growing;
use super::super::stream::Stream;
use crate::wire::sse::{SseDecoder, SseEvent};
use bytes::Bytes;
use futures::StreamExt;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use memchr::memchr;
use std::sync::Arc;
use std::time::Duration;

/// One response's events.
pub(super) struct Events {
    stream: Arc<Stream>,
    body: FetchBody,
    decoder: SseDecoder,
    /// The room of an event that has not come whole.
    room: Option<Growing>,
    begun: bool,
}

/// Where a stream of events stood when its response ended.
#[derive(Debug, Default)]
pub(super) struct Mark {
    /// What cannot be said in a header cannot be resumed from.
    pub(super) last_id: Option<HeaderValue>,
    pub(super) retry: Option<Duration>,
}

/// Why a response yields no more events.
pub(super) enum End {
    /// The server ended it.
    Closed,
    Broken(String),
    /// What came was too little protocol to go on.
    Noise,
}

/// How long a response is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Until the call that it belongs to has its answer, or the end.
    Answer,
    End,
}

/// The next of a response.
pub(super) enum Next {
    Event(SseEvent),
    TooLong {
        id: Option<Bytes>,
        bytes: u64,
        response: bool,
    },
    /// There was no room for an event of so many bytes and more. The response is dropped.
    NoRoom {
        bytes: usize,
    },
    End(End),
}

impl Events {
    /// All that is said beside calls: one event at a time on a link, which takes room when it is there.
    pub(super) fn new(stream: &Arc<Stream>, response: FetchResponse) -> Self {
        let decoder = SseDecoder::new(stream.message_bytes_max());
        Self { stream: stream.clone(), body: response.body, decoder, room: None, begun: false }
    }

    /// What is said on the response to one of many calls: its events take room as they grow.
    pub(super) fn of_call(stream: &Arc<Stream>, response: FetchResponse) -> Self {
        Self { room: Some(stream.audience().growing()), ..Self::new(stream, response) }
    }

    /// Cancel-safe.
    pub(super) async fn next(&mut self) -> Next {
        loop {
            if let Some(event) = self.decoder.next() {
                self.begun = true;
                // Whoever hears it takes room for it at once.
                self.room.iter_mut().for_each(Growing::give_back);
                return match event {
                    Ok(event) => Next::Event(event),
                    Err(over) => Next::TooLong { id: over.id, bytes: over.bytes, response: over.response },
                };
            }
            match self.body.next().await {
                Some(Ok(chunk)) => {
                    self.stream.comes();
                    let bytes = self.decoder.held() + chunk.len();
                    if self.room.as_mut().is_some_and(|room| room.reach(bytes).is_err()) {
                        self.let_go();
                        return Next::NoRoom { bytes };
                    }
                    self.decoder.feed(&chunk);
                }
                Some(Err(
                    FetchError::NotSent(why) | FetchError::Broken(why) | FetchError::Refused { why, .. },
                )) => {
                    return Next::End(End::Broken(why));
                }
                None => return Next::End(End::Closed),
            }
        }
    }

    /// Everything that comes, for an ear.
    pub(super) async fn hear(&mut self, ear: &mut Ear, until: Until) -> End {
        loop {
            match self.next().await {
                Next::Event(event) if is_message(&event) => {
                    if ear.hear(event.data).await.is_err() {
                        return End::Noise;
                    }
                }
                // An event without data only gives an id; others are for others.
                Next::Event(_) => {}
                Next::TooLong { id, bytes, response } => ear.overlong(id, bytes, response),
                Next::NoRoom { bytes } => ear.no_room(bytes),
                Next::End(end) => return end,
            }
            if until == Until::Answer && ear.has_answer() {
                return End::Closed;
            }
        }
    }

    /// Whether there is nothing more to hear.
    pub(super) fn are_over(&self) -> bool {
        self.body.is_over() && self.decoder.held() == 0
    }

    /// Drops the response and what was kept of it.
    fn let_go(&mut self) {
        self.body = FetchBody::empty();
        self.decoder = SseDecoder::new(self.stream.message_bytes_max());
        self.room = None;
    }

    /// Whether it said anything at all.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// What stands now, over what stood before it.
    pub(super) fn mark(&self, before: Mark) -> Mark {
        let last_id = match self.decoder.last_id() {
            Some(id) => HeaderValue::from_bytes(id.as_bytes()).ok(),
            None if self.decoder.id_is_taken_back() => None,
            None => before.last_id,
        };
        let retry = self.decoder.retry_ms().map(Duration::from_millis).or(before.retry);
        Mark { last_id, retry }
    }
}

impl Mark {
    /// How long to wait before the next request (2025-11-25, basic/transports: `retry` must be respected).
    pub(super) fn pause(&self) -> Duration {
        self.retry.unwrap_or(RETRY).clamp(RETRY_MIN, RETRY_MAX)
    }
}

/// A message, as far as an event's name says.
pub(super) fn is_message(event: &SseEvent) -> bool {
    !event.data.is_empty() && event.name.as_ref().is_none_or(|name| name == "message")
}

/// Whether an answer is of this type, whatever its parameters.
pub(super) fn is_of_type(response: &FetchResponse, wanted: &str) -> bool {
    let Some(value) = response.headers.get(&CONTENT_TYPE) else { return false };
    let end = memchr(b';', value).unwrap_or(value.len());
    value[..end].trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())
}

pub(super) const JSON: &str = "application/json";
pub(super) const EVENT_STREAM: &str = "text/event-stream";

const RETRY: Duration = Duration::from_secs(1);
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(60);
