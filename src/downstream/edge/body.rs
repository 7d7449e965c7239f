//! A request's body, read whole: within a size, a time, a rate, and the memory that there is.
//!
//! Memory is taken before bytes are kept, in steps, so that a length that was only announced takes nothing from
//! others. The body that is refused is left unread; the connection hears its sender out.

use smallvec::SmallVec;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::alarm::Alarm;
use super::content::{Content, Response};
use crate::wire::fault::{Fault, Reason};

/// A body, and the memory that it was given, piece by piece; to be kept as long as the bytes are.
#[derive(Debug)]
pub struct Whole<R> {
    pub bytes: Bytes,
    pub memory: SmallVec<[R; 1]>,
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It has, or says that it has, more than `max` bytes.
    TooLarge {
        max: usize,
    },
    TooSlow,
    /// Too much is in memory already.
    NoRoom,
    /// The client went away, or its chunks are none.
    Broken,
}

/// Reads a body of at most `bytes_max` within `within`, and no slower than a kibibyte a second. `buffer` gives
/// leave to keep so many bytes, or does not. `alarm`: what it waits by.
pub async fn read_body<R>(
    mut body: impl http_body::Body<Data = Bytes> + Unpin,
    bytes_max: usize,
    within: Duration,
    alarm: &Alarm,
    buffer: impl Fn(usize) -> Option<R>,
) -> Result<Whole<R>, Unread> {
    let announced = body.size_hint();
    if announced.lower() > bytes_max as u64 {
        return Err(Unread::TooLarge { max: bytes_max });
    }
    let size = announced.exact().map_or(bytes_max, |size| size as usize);
    let mut room = Room { buffer, size, taken: 0, memory: SmallVec::new() };
    let mut bytes: Vec<u8> = Vec::new();
    room.make(size.min(STEP_BYTES))?;
    // Since when it is waited for.
    let mut start = None;
    loop {
        let paced = SETTLE_WITHIN + Duration::from_secs((bytes.len() / RATE_BYTES_MIN) as u64);
        let frame = poll_fn(|cx| match Pin::new(&mut body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
            Poll::Pending => {
                let start = *start.get_or_insert_with(Instant::now);
                alarm.poll(cx, start + within.min(paced)).map(|()| Err(Unread::TooSlow))
            }
        });
        let frame = frame.await?;
        let data = match frame {
            None => break,
            Some(Err(_)) => return Err(Unread::Broken),
            Some(Ok(frame)) => frame.into_data(),
        };
        // What is no data are trailers, which nobody asked for.
        let Ok(data) = data else { continue };
        if data.len() > bytes_max - bytes.len() {
            return Err(Unread::TooLarge { max: bytes_max });
        }
        if announced.exact() == Some(data.len() as u64) && data.len() <= SHORT_BYTES {
            return Ok(Whole { bytes: short(&data), memory: room.memory });
        }
        room.make(bytes.len() + data.len())?;
        bytes.reserve_exact(room.taken - bytes.len());
        bytes.extend_from_slice(&data);
        if body.is_end_stream() {
            break;
        }
    }
    Ok(Whole { bytes: bytes.into(), memory: room.memory })
}

/// The memory that one body was given.
struct Room<F, R> {
    buffer: F,
    /// How large the body is or may become.
    size: usize,
    taken: usize,
    memory: SmallVec<[R; 1]>,
}

impl<R, F: Fn(usize) -> Option<R>> Room<F, R> {
    /// Room for `needed` bytes in all; at least doubled each time, so there are few steps.
    fn make(&mut self, needed: usize) -> Result<(), Unread> {
        if needed > self.taken {
            let step = (needed - self.taken).max(self.taken.max(STEP_BYTES).min(self.size - self.taken));
            self.memory.push((self.buffer)(step).ok_or(Unread::NoRoom)?);
            self.taken += step;
        }
        Ok(())
    }
}

/// A copy of what came at once, as what was read would keep all that was read with it. In one piece with the count of those
/// who hold it, so that who holds a part of it takes no more.
fn short(data: &[u8]) -> Bytes {
    Bytes::from_owner(SmallVec::<[u8; SHORT_BYTES]>::from_slice(data))
}

impl Unread {
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }

    pub fn fault(self) -> Fault {
        match self {
            Self::TooLarge { max } => Fault::ours(
                Reason::TooLarge,
                format!("the message has more than {max} bytes; nothing of it was sent on"),
            ),
            Self::TooSlow => {
                Fault::ours(Reason::Timeout, "the message did not come in time; nothing of it was sent on")
            }
            Self::NoRoom => Fault::ours(
                Reason::Busy,
                "too much is waiting in memory (limits.buffered); nothing was sent on, try again in a second",
            ),
            Self::Broken => Fault::invalid_request("the message did not come whole"),
        }
    }

    /// With the fault as its body.
    pub fn response(self) -> Response {
        let mut response = Response::new(Content::Whole(self.fault().render(None)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self == Self::NoRoom {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The least that memory is asked for, unless the body is smaller.
const STEP_BYTES: usize = 64 * 1024;
/// What is short enough to take the room of all that are: less than the least that memory is counted in.
const SHORT_BYTES: usize = 512;
/// What a body must bring each second, after it has settled.
const RATE_BYTES_MIN: usize = 1024;
const SETTLE_WITHIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
