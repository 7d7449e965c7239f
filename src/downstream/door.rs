//! The loop of one client whose messages to it go on one stream: requests in, answers and notes out.
//!
//! One task serves the client; each open request is a future in it, or lies where its answer arrives and is known to it, so
//! dropping the door drops every request.
//! It never stops reading while the client reads; a client that does not read stops only itself.

use super::berths::Berths;
use super::call::Risen;
use super::calls::Calls;
use super::inbox::{Came, Inbox};
use super::modern::beside::Beside;
use super::modern::lobby::Lobby;
use super::open::Ids;
use super::outlet::{Outlet, Outlets};
use super::session::{Read, Reply, Session};
use crate::hub::seat::Seat;
use crate::upstream::allowance::Held;
use crate::upstream::aside::Aside;
use crate::upstream::queue::{Queue, queue};
use crate::wire::lines::{Broken, Lines};
use bytes::Bytes;
use futures::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, sleep_until, timeout};

pub use super::inbox::Heard;

/// One client's connection: what comes from it, whole lines to it.
pub struct Door {
    session: Session,
    outbox: mpsc::Sender<Bytes>,
    /// The same, for what belongs to a request.
    outlet: Outlet,
    /// Each may end with something to say.
    calls: Calls<Option<Bytes>>,
    /// Those whose answers come by themselves,
    berths: Berths,
    /// and those of them that are to be followed after all.
    risen: Queue<Risen>,
    /// What was read of the client and not heard yet: nothing, but while it is.
    read: Vec<Result<Read, Broken>>,
    /// How long the client may take to greet us. `None`: as long as it likes.
    greets_within: Option<Duration>,
}

/// Why a door closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The client closed its side, or nobody reads ours.
    Client,
    /// We are stopping.
    Us,
}

impl Door {
    /// The door, its servers and whoever writes what it says are on one thread: what one of them does, none of the others
    /// sees half done, and answers go past the door.
    pub fn new(seat: Arc<Seat>, outbox: mpsc::Sender<Bytes>, identity: &str, behind_itself: bool) -> Self {
        let (rises, risen) = queue();
        let outlets = Outlets::Lines(outbox.clone());
        let session = Session::at_door(seat, outlets, identity, behind_itself, rises);
        Self::of(session, outbox, risen)
    }

    /// The same on many threads, where it follows every request itself.
    pub fn on_threads(
        seat: Arc<Seat>,
        outbox: mpsc::Sender<Bytes>,
        identity: &str,
        behind_itself: bool,
    ) -> Self {
        let outlets = Outlets::Lines(outbox.clone());
        let session = Session::new(seat, outlets, Ids::Unique, identity, behind_itself);
        Self::of(session, outbox, queue().1)
    }

    fn of(session: Session, outbox: mpsc::Sender<Bytes>, risen: Queue<Risen>) -> Self {
        let outlet = Outlet::Lines(Arc::new(outbox.clone()));
        let (calls, berths) = (Calls::new(), Berths::default());
        Self { session, outbox, outlet, calls, berths, risen, read: Vec::new(), greets_within: None }
    }

    /// Requests that stand by themselves may come as well; servers are started when the first of either kind needs them.
    pub fn for_any_era(self, lobby: Lobby) -> Self {
        Self { session: self.session.beside(Beside::new(lobby)), ..self }
    }

    /// A client that says nothing for so long is sent away.
    pub fn expecting(self, greets_within: Duration) -> Self {
        Self { greets_within: Some(greets_within), ..self }
    }

    /// Serves the client until either side is done.
    pub async fn serve(mut self, inbox: impl Into<Inbox>) -> Closed {
        let mut inbox = inbox.into();
        let seat = self.session.seat().clone();
        let limits = &seat.hub().config().limits;
        let stopping = seat.hub().stopping();
        let mut lines = Lines::new(limits.client_message_bytes_max);
        let mut news = Aside::new(self.session.news().into_next());
        let (outbox, delivery) = (self.outbox.clone(), self.session.delivery().clone());
        let waiting_max = 2 * (limits.session_in_flight_max + limits.session_waiting_max);
        let mut ready = Aside::new(delivery.ready());
        let mut expired = Aside::new(delivery.asks.expired());
        // Made once and not each time, and seldom looked at: what has come is heard in many turns of the loop.
        let (mut stopped, mut gone) = (Aside::new(stopping.cancelled()), Aside::new(outbox.closed()));
        let mut silent = Aside::new(greets_by(self.greets_within.map(|within| Instant::now() + within)));
        loop {
            tokio::select! {
                // In this order: what a call has to say was said before what waits in the mail by now.
                biased;
                () = &mut stopped => {
                    self.drain(LEAVE).await;
                    return Closed::Us;
                }
                () = &mut gone => return Closed::Client,
                Some((call, number)) = self.risen.next() => self.calls.push(call, Some(number)),
                said = self.calls.next() => {
                    self.say(said);
                    self.say_the_rest();
                }
                // A client that sends and never reads is not read either, from some point on.
                came = inbox.next(&mut lines), if self.calls.len() < waiting_max => match came {
                    Came::Bytes => {
                        while lines.together(&mut self.read, |line| self.session.read_line(line)) {
                            if self.hears_what_was_read().is_err() {
                                return Closed::Client;
                            }
                        }
                    }
                    Came::Text(text, memory) => self.hear(self.session.read(text), memory),
                    Came::End => {
                        if let Some(line) = lines.finish() {
                            self.hear(self.session.read_line(line), None);
                        }
                        self.drain(DRAIN).await;
                        return Closed::Client;
                    }
                },
                (note, heard) = &mut news => {
                    // A client that does not read gets the news when it reads again.
                    if note.texts().all(|text| outbox.try_send(text).is_ok()) {
                        heard.told(&note);
                    }
                    news.set(heard.into_next());
                }
                room = &mut ready => {
                    // What came to a call in the meantime came before.
                    self.say_the_rest();
                    delivery.deliver(room);
                    ready.set(delivery.ready());
                }
                () = &mut silent, if self.session.agreed().is_none() => return Closed::Client,
                texts = &mut expired => {
                    texts.into_iter().for_each(|text| self.send(text));
                    expired.set(delivery.asks.expired());
                }
            }
        }
    }

    /// One side hung up: what is about to be answered still may be.
    async fn drain(&mut self, within: Duration) {
        self.berths.rise();
        self.follow_risen();
        let answered = async {
            while self.calls.len() > 0 {
                let said = self.calls.next().await;
                self.say(said);
            }
        };
        timeout(within, answered).await.ok();
    }

    fn hears_what_was_read(&mut self) -> Result<(), Broken> {
        let mut read = std::mem::take(&mut self.read);
        for line in read.drain(..) {
            self.hear(line?, None);
        }
        self.read = read;
        Ok(())
    }

    fn hear(&mut self, read: Read, memory: Option<Held>) {
        match self.session.hear_read(read, memory, &self.outlet) {
            Reply::Nothing => {}
            Reply::Now(text) | Reply::Refused(text) => self.send(text),
            Reply::Later { call, number, .. } => self.calls.push(call, number),
            Reply::Lies(berth) => self.berths.push(berth, self.session.in_flight()),
            Reply::Ends(number) => self.ends(number),
        }
    }

    /// Ends the request with this number, wherever it is.
    fn ends(&mut self, number: u64) {
        // It may have risen a moment ago.
        self.follow_risen();
        if !self.berths.end(number) {
            self.calls.end(number);
        }
    }

    /// Follows those who have risen by now.
    fn follow_risen(&mut self) {
        while let Some((call, number)) = self.risen.now() {
            self.calls.push(call, Some(number));
        }
    }

    /// What the calls have to say that ended by now.
    fn say_the_rest(&mut self) {
        self.follow_risen();
        while let Some(said) = self.calls.now() {
            self.say(said);
        }
    }

    /// What a call ended with, if with anything.
    fn say(&mut self, said: Option<Bytes>) {
        if let Some(text) = said {
            self.send(text);
        }
    }

    /// Sends now, or beside the calls when the client is slow to read: the door itself never waits for it.
    fn send(&mut self, text: Bytes) {
        if let Err(TrySendError::Full(text)) = self.outbox.try_send(text) {
            let outbox = self.outbox.clone();
            let sent = async move {
                outbox.send(text).await.ok();
                None
            };
            self.calls.push(sent.boxed(), None);
        }
    }
}

/// Resolves when a client must have greeted us.
async fn greets_by(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// How long a client that hung up may still be answered.
const DRAIN: Duration = Duration::from_millis(150);
/// How long requests may take to end with their servers, when we leave.
const LEAVE: Duration = Duration::from_secs(2);
