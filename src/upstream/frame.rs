//! One message on its way to a server, and what it holds until it has left.
//!
//! Owns the places and the room that it takes, and whether its bytes may have left us. Whatever carries it writes it
//! once; it knows no JSON-RPC beyond the id that we gave it.

use super::allowance::Permits;
use super::fetch::Departure;
use crate::wire::fault::CallOutcome;
use crate::wire::id::CallId;
use bytes::Bytes;
use futures::task::AtomicWaker;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use tokio::sync::Notify;

/// The places that a request takes, given back when the last of its frames is written or dropped.
#[derive(Debug, Default)]
pub(super) struct Places {
    _held: Permits,
}

impl Places {
    pub(super) fn new(held: Permits) -> Arc<Self> {
        Arc::new(Self { _held: held })
    }
}

/// What becomes of one request on its way: whether its bytes may have left us, how far its carrier is, and whether anybody
/// still waits for it.
#[derive(Debug, Default)]
pub(super) struct Fate {
    state: AtomicU8,
    signs: AtomicU8,
    /// Who carries it.
    carrier: AtomicWaker,
    /// Who waits for it on its way: seldom anybody.
    watched: OnceLock<Box<Notify>>,
}

impl Fate {
    const QUEUED: u8 = 0;
    const LEFT: u8 = 1;
    const WITHDRAWN: u8 = 2;

    const OVER: u8 = 1;
    const DROPPED: u8 = 1 << 1;
    const WRITTEN: u8 = 1 << 2;
    const ARRIVED: u8 = 1 << 3;
    const NOBODYS: u8 = 1 << 4;
    /// Somebody waits for it on its way, or has.
    const WATCHED: u8 = 1 << 5;
    /// Its carrier waits for its end, or has.
    const CARRIED: u8 = 1 << 6;

    /// That of a request whose answer nobody waits for.
    pub(super) fn of_nobody() -> Self {
        Self { signs: AtomicU8::new(Self::NOBODYS), ..Self::default() }
    }

    /// The carrier writes the frame; `false` if it was withdrawn.
    fn leave(&self) -> bool {
        self.state.compare_exchange(Self::QUEUED, Self::LEFT, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Takes back what the carrier has not begun to write; `false` if it is too late.
    pub(super) fn withdraw(&self) -> bool {
        self.state
            .compare_exchange(Self::QUEUED, Self::WITHDRAWN, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// It was taken back.
    pub(super) fn is_withdrawn(&self) -> bool {
        self.state.load(Ordering::Acquire) == Self::WITHDRAWN
    }

    /// Its server may have seen it.
    pub(super) fn has_left(&self) -> bool {
        self.state.load(Ordering::Acquire) == Self::LEFT
    }

    /// Nobody waits for an answer any more, or it has come.
    pub(super) fn end(&self) {
        self.tell_carrier(Self::OVER);
    }

    /// The same, and its carrier lets go of it: where that is how it is cancelled.
    pub(super) fn let_go(&self) {
        self.tell_carrier(Self::OVER | Self::DROPPED);
    }

    /// Nobody has ever waited for its answer.
    pub(super) fn is_nobodys(&self) -> bool {
        self.has(Self::NOBODYS)
    }

    /// Resolves after its end; for the one who carries it.
    pub(super) async fn ended(&self) {
        self.carries_until(Self::OVER).await;
    }

    /// Resolves when its carrier is to let go of it, which may be some time after its end; for the same one.
    pub(super) async fn dropped(&self) {
        self.carries_until(Self::DROPPED).await;
    }

    async fn carries_until(&self, sign: u8) {
        poll_fn(|context| {
            if self.sign(Self::CARRIED) & sign != 0 {
                return Poll::Ready(());
            }
            self.carrier.register(context.waker());
            // It may have come while nobody was registered.
            if self.has(sign) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Its answer has begun, or there will be none.
    pub(super) fn arrives(&self) {
        self.tell(Self::ARRIVED);
    }

    /// Resolves when the server has it for sure, or will not get it.
    pub(super) async fn arrived(&self) {
        self.seen(Self::ARRIVED).await;
    }

    /// Resolves when nothing more of it will be written.
    pub(super) async fn written(&self) {
        self.seen(Self::WRITTEN).await;
    }

    async fn seen(&self, sign: u8) {
        loop {
            let watched = self.watched.get_or_init(Box::default).notified();
            if self.sign(Self::WATCHED) & sign != 0 {
                return;
            }
            watched.await;
        }
    }

    fn is_written(&self) {
        self.tell(Self::WRITTEN);
    }

    /// Tells it to its carrier, if that waits for it: one that writes lines never does.
    fn tell_carrier(&self, sign: u8) {
        if self.sign(sign) & Self::CARRIED != 0 {
            self.carrier.wake();
        }
    }

    /// Tells it to those who wait, as nobody does as a rule.
    fn tell(&self, sign: u8) {
        if self.sign(sign) & Self::WATCHED != 0 {
            // Whoever has said so has made it before.
            if let Some(watched) = self.watched.get() {
                watched.notify_waiters();
            }
        }
    }

    /// Gives back the signs that there were.
    fn sign(&self, sign: u8) -> u8 {
        self.signs.fetch_or(sign, Ordering::AcqRel)
    }

    fn has(&self, sign: u8) -> bool {
        self.signs.load(Ordering::Acquire) & sign != 0
    }

    /// What may be said of the call if it fails now.
    pub(super) fn outcome(&self) -> CallOutcome {
        match self.state.load(Ordering::Acquire) {
            Self::LEFT => CallOutcome::Unknown,
            _ => CallOutcome::NotSent,
        }
    }
}

/// What a message is to whoever carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freight {
    /// A request with an id of ours: its server owes an answer.
    Request(CallId),
    /// The same, and of several the last word must be the last: a level of the log, a subscription.
    Setting(CallId),
    /// The same, and it only asks whether the server is there.
    Ping(CallId),
    /// The same, and it asks whether the server does without a handshake: the first of all frames.
    Probe(CallId),
    /// A notification, or an answer to the server.
    Plain,
    /// The same, and nothing after it may be there before it.
    First,
    /// The cancelling of this request, which must not be there before it.
    Cancel(CallId),
}

impl Freight {
    /// The request that it is, if it is one.
    pub(super) fn request(self) -> Option<CallId> {
        match self {
            Self::Request(call) | Self::Setting(call) | Self::Ping(call) | Self::Probe(call) => Some(call),
            Self::Plain | Self::First | Self::Cancel(_) => None,
        }
    }
}

pub(super) struct Frame {
    pub(super) text: Bytes,
    pub(super) freight: Freight,
    /// What of its text stands in headers as well, where its carrier has any.
    pub(super) mirrored: Vec<(String, String)>,
    pub(super) fate: Option<Arc<Fate>>,
    /// Of a cancel: the fate of what it cancels.
    pub(super) follows: Option<Arc<Fate>>,
    pub(super) places: Arc<Places>,
    /// What bounds the queue: given back when the frame is written.
    pub(super) room: Permits,
}

/// What a frame holds beside its text: given back when that is written, or will not be.
pub(super) struct Load {
    fate: Option<Arc<Fate>>,
    _places: Arc<Places>,
    _room: Permits,
}

impl Frame {
    /// A frame that is not taken back and takes no room of its own.
    pub(super) fn small(text: Bytes, freight: Freight, places: Arc<Places>) -> Self {
        Self { text, freight, mirrored: Vec::new(), fate: None, follows: None, places, room: Permits::new() }
    }

    /// Begins to write it, once; `false` if it was withdrawn.
    pub(super) fn leave(&self) -> bool {
        self.fate.as_ref().is_none_or(|fate| fate.leave())
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        self.fate.as_ref().is_some_and(|fate| fate.is_withdrawn())
    }

    /// The fate of a request.
    pub(super) fn fate(&mut self) -> Arc<Fate> {
        self.fate.get_or_insert_with(|| Arc::new(Fate::of_nobody())).clone()
    }

    /// Its text, and what is held for it.
    pub(super) fn unload(self) -> (Bytes, Load) {
        let Self { text, fate, places, room, .. } = self;
        (text, Load { fate, _places: places, _room: room })
    }
}

impl Load {
    /// Nothing is held, and nobody is told.
    pub(super) fn nothing() -> Self {
        Self { fate: None, _places: Arc::default(), _room: Permits::new() }
    }
}

impl Departure for Load {
    fn begins(&self) -> bool {
        self.fate.as_ref().is_none_or(|fate| fate.leave())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(fate) = &self.fate {
            fate.is_written();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    /// There is one of each for every request, and for just 80 bytes the allocator takes its slow path each time.
    #[test]
    fn what_each_request_has_is_small() {
        let shared = 2 * size_of::<usize>();
        assert!(size_of::<Fate>() + shared <= 64, "{}", size_of::<Fate>());
        assert!(size_of::<Places>() + shared <= 72, "{}", size_of::<Places>());
    }

    #[tokio::test]
    async fn who_waits_for_a_request_on_its_way_is_told_how_far_it_is() {
        let fate = Arc::new(Fate::default());
        assert!(fate.written().now_or_never().is_none() && fate.arrived().now_or_never().is_none());
        let watching = fate.clone();
        let watches = tokio::spawn(async move { tokio::join!(watching.written(), watching.arrived()) });
        tokio::task::yield_now().await;
        let frame =
            Frame { fate: Some(fate.clone()), ..Frame::small(Bytes::new(), Freight::Plain, Arc::default()) };
        drop(frame.unload());
        assert!(fate.written().now_or_never().is_some() && fate.arrived().now_or_never().is_none());
        fate.arrives();
        watches.await.unwrap();
        assert!(fate.arrived().now_or_never().is_some(), "and whoever asks later");
    }

    #[tokio::test]
    async fn who_carries_a_request_is_told_of_its_end_and_then_that_it_is_dropped() {
        let fate = Arc::new(Fate::default());
        assert!(fate.ended().now_or_never().is_none() && fate.dropped().now_or_never().is_none());
        let carried = fate.clone();
        let mut carries = tokio::spawn(async move {
            carried.ended().await;
            carried.dropped().await;
        });
        tokio::task::yield_now().await;
        fate.end();
        tokio::task::yield_now().await;
        assert!((&mut carries).now_or_never().is_none(), "the word for that comes later");
        fate.let_go();
        carries.await.unwrap();
        assert!(fate.ended().now_or_never().is_some() && fate.dropped().now_or_never().is_some());
    }
}
