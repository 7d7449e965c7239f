//! HTTP+SSE of 2024-11-05: a stream at `/sse`, and posts that are answered on it.
//!
//! Owns which stream is whose. A stream that its client closes is forgotten at the next post to it.

use super::http::{EVENT, EVENT_END, Front, events, status};
use super::server::Outcome;
use crate::body::{Body, Outbox, whole};
use crate::digits;
use bytes::BytesMut;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::time::sleep;

/// The streams that are open, by the number in the URL that their clients post to.
#[derive(Debug, Default)]
pub struct Streams {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    count: u64,
    outboxes: HashMap<u64, Weak<Outbox>>,
}

impl Streams {
    fn open(&self) -> (u64, Arc<Outbox>) {
        let outbox = Arc::new(Outbox::default());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.count += 1;
        let number = open.count;
        open.outboxes.insert(number, Arc::downgrade(&outbox));
        (number, outbox)
    }

    fn find(&self, number: u64) -> Option<Arc<Outbox>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let outbox = open.outboxes.get(&number).and_then(Weak::upgrade);
        if outbox.is_none() {
            open.outboxes.remove(&number);
        }
        outbox
    }
}

/// Opens a stream, which first says where to post.
pub(super) fn open(front: &Front) -> Response<Body> {
    let (number, outbox) = front.streams.open();
    outbox.put(format!("event: endpoint\ndata: {POST_PATH}?{QUERY}{number}\n\n").as_bytes());
    events(Body::Stream(outbox))
}

/// Takes a message; its answer comes on the stream, often before the post is answered.
pub(super) async fn post(front: &Arc<Front>, request: Request<Incoming>) -> Response<Body> {
    let number = request.uri().query().and_then(|query| query.strip_prefix(QUERY));
    let number = number.and_then(|number| digits::read(number.as_bytes()));
    let Some(outbox) = number.and_then(|number| front.streams.find(number)) else {
        return status(StatusCode::NOT_FOUND);
    };
    let Some(text) = whole(request.into_body()).await else { return status(StatusCode::BAD_REQUEST) };
    let mut out = BytesMut::new();
    if let Outcome::Said { after, .. } = front.server.answer(&text, &mut out, EVENT, EVENT_END) {
        if !after.is_zero() {
            tokio::spawn(async move {
                sleep(after).await;
                outbox.put(&out);
            });
        } else if !outbox.put(&out) {
            return status(StatusCode::SERVICE_UNAVAILABLE);
        }
    }
    status(StatusCode::ACCEPTED)
}

pub(super) const POST_PATH: &str = "/messages";
const QUERY: &str = "sessionId=";
