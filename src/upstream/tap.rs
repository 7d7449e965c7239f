//! What goes between us and servers, for whoever wants to see it pass.
//!
//! Owns a bounded line of glances, there only while somebody looks. Nobody who looks is waited for: who is too slow is
//! told how many he missed. A glance holds names and sizes; the text is copied only for those who ask for it, and not
//! where it is long. Nothing of it goes back into any message.

use super::tally::{End, Piece, Way};
use crate::wire::fault::brief;
use crate::wire::message::{Head, Message, Outcome};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Where glances go.
#[derive(Debug, Default)]
pub struct Tap {
    watchers: AtomicUsize,
    readers: AtomicUsize,
    line: Mutex<Option<broadcast::Sender<Arc<Glance>>>>,
}

/// One message as it passed.
#[derive(Debug)]
pub struct Glance {
    pub at: SystemTime,
    pub server: Arc<str>,
    /// The number of its connection among all of the run.
    pub connection: u64,
    pub way: Way,
    pub piece: Piece,
    /// Of a request or a notification.
    pub method: Option<Box<str>>,
    /// What the server calls the tool, the prompt, the resource.
    pub item: Option<Box<str>>,
    /// As JSON; a peer's may be cut.
    pub id: Option<Box<str>>,
    /// The id of the request that it takes back.
    pub cancels: Option<Box<str>>,
    pub bytes: usize,
    /// How it ended, if it is an answer.
    pub end: Option<End>,
    /// The whole text, if somebody reads it and it is not too long.
    pub text: Option<Bytes>,
}

/// What one who looks sees next.
#[derive(Debug)]
pub enum Seen {
    Glance(Arc<Glance>),
    /// So many passed unseen.
    Missed(u64),
}

/// Somebody looks as long as this is there.
#[derive(Debug)]
pub struct Watching {
    lookout: Arc<super::lookout::Lookout>,
    line: broadcast::Receiver<Arc<Glance>>,
    reads: bool,
}

impl Tap {
    /// Whether anybody looks.
    pub(super) fn is_on(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// A message passes. `text`: its own, in the server's terms.
    pub(super) fn passes(&self, server: &Arc<str>, connection: u64, way: Way, message: &Message) {
        let reads = self.readers.load(Ordering::Relaxed) > 0;
        let glance = Glance::of(server, connection, way, message, reads);
        if let Some(line) = &*self.line.lock() {
            line.send(Arc::new(glance)).ok();
        }
    }
}

impl super::lookout::Lookout {
    /// Looks from now on; `reads`: at the texts as well. `None`: as many as may look do already.
    pub fn watch(self: &Arc<Self>, reads: bool) -> Option<Watching> {
        let tap = self.tap();
        let one_more = |watchers: usize| (watchers < WATCHERS_MAX).then_some(watchers + 1);
        tap.watchers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        if reads {
            tap.readers.fetch_add(1, Ordering::Relaxed);
        }
        let line = tap.line.lock().get_or_insert_with(|| broadcast::channel(GLANCES_MAX).0).subscribe();
        Some(Watching { lookout: self.clone(), line, reads })
    }
}

impl Watching {
    /// What passes next; nothing any more, once it is over. Cancel-safe.
    pub async fn next(&mut self) -> Option<Seen> {
        match self.line.recv().await {
            Ok(glance) => Some(Seen::Glance(glance)),
            Err(RecvError::Lagged(missed)) => Some(Seen::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let tap = self.lookout.tap();
        if self.reads {
            tap.readers.fetch_sub(1, Ordering::Relaxed);
        }
        // The last of them takes what still waits with him.
        let mut line = tap.line.lock();
        if tap.watchers.fetch_sub(1, Ordering::Relaxed) == 1 {
            line.take();
        }
    }
}

impl Glance {
    fn of(server: &Arc<str>, connection: u64, way: Way, message: &Message, reads: bool) -> Self {
        let text = message.text();
        let short = |said: &str| Box::from(brief(said, WORD_CHARS_MAX));
        let id = message.id().map(|id| short(id.as_str()));
        let params = message.params();
        let name = params.and_then(|params| params.name.as_ref().or(params.uri.as_ref()));
        let cancelled = params.filter(|_| message.method() == Some("notifications/cancelled"));
        let cancels = cancelled.and_then(|params| params.request_id).map(|id| short(message.str(id)));
        let (piece, id, end) = match message.head() {
            Head::Request { .. } => (Piece::Request, id, None),
            Head::Notification { .. } => (Piece::Notification, None, None),
            Head::Response { id, outcome } => {
                let end = match outcome {
                    Outcome::Result { places, .. } if places.is_error => End::ToolError,
                    Outcome::Result { .. } => End::Fine,
                    Outcome::Error { code, .. } => End::Error(*code),
                };
                (Piece::Response, id.map(|id| short(message.str(id))), Some(end))
            }
        };
        Self {
            at: SystemTime::now(),
            server: server.clone(),
            connection,
            way,
            piece,
            method: message.method().map(short),
            item: name.map(|name| short(name.as_str(message))),
            id,
            cancels,
            bytes: text.len(),
            end,
            // A copy: the text itself may be a piece of much more.
            text: (reads && text.len() <= TEXT_BYTES_MAX).then(|| Bytes::copy_from_slice(text)),
        }
    }
}

/// Glances that wait for who is slow.
pub const GLANCES_MAX: usize = 512;
/// The longest text that is shown.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Who may look at once.
pub const WATCHERS_MAX: usize = 8;
const WORD_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::super::lookout::Lookout;
    use super::*;

    fn message(text: String) -> Message {
        Message::parse_server(text.into()).unwrap()
    }

    fn call(id: usize) -> Message {
        message(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"add","arguments":{{"t":"s3cret"}}}}}}"#
        ))
    }

    #[tokio::test]
    async fn who_is_slow_is_told_how_many_passed_unseen() {
        let lookout = Lookout::new(true);
        assert!(!lookout.tap().is_on());
        let server = Arc::from("s");
        let mut watching = lookout.watch(false).unwrap();
        assert!(lookout.tap().is_on());
        for id in 0..GLANCES_MAX + 7 {
            lookout.tap().passes(&server, 1, Way::ToServer, &call(id));
        }
        assert!(matches!(watching.next().await, Some(Seen::Missed(7))));
        let Some(Seen::Glance(glance)) = watching.next().await else { panic!("a glance") };
        assert_eq!((glance.id.as_deref(), glance.item.as_deref()), (Some("7"), Some("add")));
        assert!(glance.text.is_none(), "nobody asked for it");
        drop(watching);
        assert!(!lookout.tap().is_on() && lookout.tap().line.lock().is_none());
    }

    #[tokio::test]
    async fn texts_are_for_those_who_read_and_not_too_long() {
        let lookout = Lookout::new(true);
        let server = Arc::from("s");
        let mut reading = lookout.watch(true).unwrap();
        lookout.tap().passes(&server, 1, Way::ToServer, &call(1));
        let long = "x".repeat(TEXT_BYTES_MAX);
        let note = format!(r#"{{"jsonrpc":"2.0","method":"m","params":{{"uri":"{long}"}}}}"#);
        lookout.tap().passes(&server, 1, Way::FromServer, &message(note));
        let Some(Seen::Glance(first)) = reading.next().await else { panic!("a glance") };
        assert_eq!(first.text.as_ref(), Some(call(1).text()));
        let Some(Seen::Glance(second)) = reading.next().await else { panic!("a glance") };
        assert!(second.text.is_none());
        assert_eq!(second.item.as_ref().unwrap().len(), WORD_CHARS_MAX);
    }

    #[tokio::test]
    async fn no_more_look_than_may() {
        let lookout = Lookout::new(true);
        let all: Vec<_> = (0..WATCHERS_MAX).map(|_| lookout.watch(true).unwrap()).collect();
        assert!(lookout.watch(false).is_none());
        drop(all);
        assert!(lookout.watch(false).is_some());
    }
}
