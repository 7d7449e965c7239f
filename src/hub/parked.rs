//! What waits for a client that was asked something in the answer to its request, until it asks again
//! (2026-07-28, basic/patterns/mrtr).
//!
//! Owns a bounded table from handles that nobody can guess to what they stand for: a call that is open at its server, or
//! what a server gave its client to bring back. A handle works once, for the principal, the door and the request that it
//! was made for, and not for long. A call that waits here is watched on: whoever comes back gets what has happened
//! since. One that nobody comes back for is dropped, and so cancelled at its server.

use super::Hub;
use super::begin::Again;
use super::seat::Seat;
use crate::mcp::askable::Askable;
use crate::mcp::caller::{Company, Principal, Scopes};
use crate::mcp::level::Level;
use crate::upstream::allowance::Held;
use crate::upstream::allowance::Permits;
use crate::upstream::ask::Ask;
use crate::upstream::exchange::{Exchange, Step};
use crate::upstream::mail::Letter;
use crate::upstream::oauth::Ticket;
use crate::upstream::server::ServerId;
use crate::wire::canon::canon;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::hex::hex;
use crate::wire::id::{Id, Raw};
use crate::wire::keeping::keeping;
use crate::wire::members::member;
use crate::wire::message::{Head, Message};
use crate::wire::splice::splice;
use bytes::Bytes;
use futures::future::{Either, select};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

/// All that waits.
#[derive(Debug)]
pub struct Parked {
    max: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    kept: HashMap<Key, Entry>,
    /// The same by age, oldest first, and what was taken out and may be put back.
    ages: BTreeMap<u64, Age>,
    /// How many of them each principal has.
    shares: HashMap<Principal, usize>,
    next: u64,
    /// Somebody waits for the time of the oldest.
    is_swept: bool,
}

/// A place in the table.
#[derive(Debug)]
struct Age {
    key: Key,
    until: Instant,
    whose: Principal,
}

/// The digest of a handle: how long a look-up takes says nothing about handles.
type Key = [u8; 32];

#[derive(Debug)]
struct Entry {
    binding: Binding,
    kept: Kept,
    age: u64,
    until: Instant,
}

/// For whom and for which request a handle works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    principal: Principal,
    scopes: Scopes,
    /// Whether others come by that door.
    company: Company,
    door: Arc<str>,
    request: [u8; 32],
}

/// What a handle stands for.
#[derive(Debug)]
enum Kept {
    /// Whoever watches the call gives it back when asked to.
    Call(oneshot::Sender<oneshot::Sender<Box<OpenCall>>>),
    State {
        text: Bytes,
        /// The server that gave it, and that alone may have it back.
        server: ServerId,
        _room: Held,
    },
    /// `rounds`: how often it was made before. `login`: what is awaited first.
    Again { rounds: usize, login: Option<Ticket> },
}

/// What somebody who comes back finds.
pub enum Resumed {
    /// The call that waited.
    Call(Box<OpenCall>),
    /// A JSON string of a server's, as it stood: the request goes to that one again with this.
    State { text: Bytes, taken: Taken, again: Again },
    /// The request is to be made again as if it were the first time.
    Again { rounds: usize, login: Option<Ticket>, taken: Taken, again: Again },
}

/// What was taken out for a request that is not sent yet. Dropped before that, it is where it was, and the same request
/// finds it once more.
pub struct Taken {
    parked: Arc<Parked>,
    entry: Option<(Key, Entry)>,
}

/// A call that is open at its server, for a client without a session.
pub struct OpenCall {
    guest: Seat,
    exchange: Box<Exchange>,
    asks: Vec<(String, Box<Ask>)>,
    /// How many were asked so far.
    asked: usize,
    ended: Option<End>,
}

/// The end of a call.
struct End {
    reply: Result<Bytes, Fault>,
    /// How many letters come before it.
    after: u64,
}

/// What happens next with it.
pub enum Event {
    /// Something for the client beside the answer.
    Note(Bytes),
    /// The server wants something first, or does not want it any longer.
    Asks,
    Done(Result<Bytes, Fault>),
    /// Nothing, in time.
    Nothing,
}

/// Who comes back: under which id and token its request goes on, and what it holds meanwhile.
pub struct Returning<'a> {
    pub handle: &'a str,
    pub binding: &'a Binding,
    pub id: &'a Id,
    pub token: Option<Raw>,
    /// From which level on it hears the log.
    pub level: Option<Level>,
    /// What it can be asked.
    pub askable: Askable,
    /// The turns that it took on its way here. They are left to it if it has to be made again.
    pub turns: &'a mut Permits,
}

impl Binding {
    /// What this request is, and whose. Its arguments may be spelled otherwise the next time.
    pub fn new(seat: &Seat, request: &Message) -> Self {
        let params = request.params();
        let mut hash = Sha256::new();
        let said = [
            request.method(),
            params.and_then(|params| params.name.as_ref()).map(|name| name.as_str(request)),
            params.and_then(|params| params.uri.as_ref()).map(|uri| uri.as_str(request)),
        ];
        for text in said {
            hash.update(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
            hash.update(text.unwrap_or_default());
        }
        let object = params.and_then(|params| params.object).map(|span| request.str(span));
        canon(object.and_then(|object| member(object, "arguments")).unwrap_or("{}"), &mut hash);
        Self {
            principal: seat.caller().principal.clone(),
            scopes: seat.caller().scopes.clone(),
            company: if seat.caller().alone { Company::One } else { Company::Many },
            door: seat.door().clone(),
            request: hash.finalize().into(),
        }
    }
}

impl OpenCall {
    pub fn new(guest: Seat, exchange: Box<Exchange>) -> Self {
        Self { guest, exchange, asks: Vec::new(), asked: 0, ended: None }
    }

    pub fn guest(&self) -> &Seat {
        &self.guest
    }

    /// What the server wants, each under a key that stays the same.
    pub fn asks(&self) -> impl Iterator<Item = (&str, &Ask)> {
        self.asks.iter().map(|(key, ask)| (key.as_str(), &**ask))
    }

    /// Takes out what is to be answered, if it is still asked.
    pub fn take_ask(&mut self, key: &str) -> Option<Box<Ask>> {
        let at = self.asks.iter().position(|(own, _)| own == key)?;
        Some(self.asks.remove(at).1)
    }

    /// What may not be asked of who is there now is refused.
    pub fn refuse_undeclared(&mut self) {
        let askable = self.guest.mail().askable();
        for (key, ask) in std::mem::take(&mut self.asks) {
            match refusal(&askable, &ask) {
                Some(fault) => ask.refuse(&fault),
                None => self.asks.push((key, ask)),
            }
        }
    }

    /// Nobody can be asked in the answer to this request.
    pub fn refuse_asks(&mut self) {
        for (_, ask) in self.asks.drain(..) {
            let text = "method not found: the request that this belongs to is answered without asking back";
            ask.refuse(&Fault::plain(METHOD_NOT_FOUND, text));
        }
    }

    /// What happens next, until this moment. Cancel-safe. After `Done` it is `Done` no more.
    ///
    /// Time is looked at first: a server that never stops sending notes must not outlast it.
    pub async fn next(&mut self, until: Instant) -> Event {
        let mail = self.guest.mail().clone();
        if self.asks.is_empty()
            && let Some(End { reply, .. }) = self.ended.take_if(|end| !mail.holds(end.after))
        {
            return Event::Done(reply);
        }
        let due = self.asks.iter().map(|(_, ask)| ask.until()).min();
        let until = due.unwrap_or(until).min(until);
        if until <= Instant::now() {
            self.exchange.goes_on_beside();
            return self.expire();
        }
        let is_open = self.ended.is_none();
        let event = tokio::select! {
            // In this order: what waits in the mail was said before what comes with the call by now.
            biased;
            () = mail.waits() => match mail.take() {
                Some(Letter::Note(note)) => Event::Note(note.text),
                Some(Letter::Ask(ask)) => self.is_asked(ask),
                Some(Letter::Withdrawn(slip)) => {
                    self.asks.retain(|(_, ask)| !Arc::ptr_eq(ask.slip(), &slip));
                    Event::Asks
                }
                None => Event::Asks,
            },
            step = self.exchange.next(), if is_open => match step {
                Step::Notify(text) => Event::Note(text),
                Step::Ask(ask) => self.is_asked(ask),
                Step::Done(reply) => {
                    // One that another request of the same person waits for is still to be answered.
                    self.asks.retain(|(_, ask)| !ask.is_over());
                    // What was said before the end may have come by mail in the same moment: that is looked at first.
                    self.ended = Some(End { reply, after: self.exchange.after() });
                    Event::Asks
                }
            },
            () = sleep_until(until) => self.expire(),
        };
        // Whoever is told this may be busy with it for long.
        self.exchange.goes_on_beside();
        event
    }

    /// The asks whose time is over have no answer; or nothing has happened, if there are none.
    fn expire(&mut self) -> Event {
        let now = Instant::now();
        let late: Vec<_> = self.asks.extract_if(.., |(_, ask)| ask.until() <= now).collect();
        if late.is_empty() {
            return Event::Nothing;
        }
        late.into_iter().for_each(|(_, ask)| ask.expire());
        Event::Asks
    }

    fn is_asked(&mut self, ask: Box<Ask>) -> Event {
        // It may have been on its way while another request was there, which declared more.
        match refusal(&self.guest.mail().askable(), &ask) {
            Some(fault) => ask.refuse(&fault),
            None if ask.is_over() => {}
            None => {
                self.asked += 1;
                self.asks.push((format!("ask-{}", self.asked), ask));
            }
        }
        Event::Asks
    }

    /// Gives it back to whoever comes for it until this moment; it is over if nobody does.
    async fn watch(mut self: Box<Self>, back: oneshot::Receiver<oneshot::Sender<Box<Self>>>, until: Instant) {
        let wanted = match select(back, pin!(self.wait(until))).await {
            Either::Left((wanted, _)) => wanted.ok(),
            Either::Right(((), _)) => None,
        };
        if let Some(wanted) = wanted {
            wanted.send(self).ok();
        }
    }

    /// Lets happen what happens. What the server says beside its answer is for nobody: the request that it belonged to
    /// has its answer. Cancel-safe.
    async fn wait(&mut self, until: Instant) {
        loop {
            match self.next(until).await {
                Event::Note(_) | Event::Asks => {}
                Event::Done(reply) => {
                    self.ended = Some(End { reply, after: 0 });
                    return sleep_until(until).await;
                }
                Event::Nothing => return,
            }
        }
    }
}

impl Hub {
    /// Lets a call wait for its client, and says by which handle it is found. The fault: there is no place, and the
    /// call is cancelled.
    pub fn park_call(&self, binding: Binding, mut call: Box<OpenCall>) -> Result<String, Fault> {
        call.exchange.step_aside();
        let (asking, asked) = oneshot::channel();
        let (handle, key, until) = self.parked.enter(binding, Kept::Call(asking))?;
        let parked = self.parked.clone();
        let watched = async move {
            call.watch(asked, until).await;
            parked.forget(&key);
        };
        self.tracker.spawn(self.stopping.clone().run_until_cancelled_owned(watched));
        Ok(handle)
    }

    /// The same for what nobody watches: it is forgotten in its time, whether or not anybody comes.
    fn park_still(&self, binding: Binding, kept: Kept) -> Result<String, Fault> {
        let (handle, ..) = self.parked.enter(binding, kept)?;
        if self.parked.begins_to_sweep() {
            let swept = self.parked.clone().sweep_on();
            self.tracker.spawn(self.stopping.clone().run_until_cancelled_owned(swept));
        }
        Ok(handle)
    }

    /// The same for what a server gave its client, a guest, to bring back: a JSON string as it stands.
    pub fn park_state(&self, binding: Binding, guest: &Seat, state: &str) -> Result<String, Fault> {
        let server = guest.visited().ok_or_else(unknown)?;
        // What waits no longer gives its room back first.
        self.parked.sweep();
        let Some(room) = guest.allowance().request(state.len()) else { return Err(full("limits.buffered")) };
        let text = Bytes::copy_from_slice(state.as_bytes());
        self.park_still(binding, Kept::State { text, server, _room: room })
    }

    /// The same for a request that is to be made again. `rounds`: how often it was made already; `login`: what is awaited
    /// before.
    pub fn park_again(
        &self,
        binding: Binding,
        rounds: usize,
        login: Option<Ticket>,
    ) -> Result<String, Fault> {
        self.park_still(binding, Kept::Again { rounds, login })
    }

    /// What a handle stands for, once. Nothing is sent anywhere before it is found.
    pub async fn resume(&self, returning: Returning<'_>) -> Result<Resumed, Fault> {
        let Returning { handle, binding, id, token, level, askable, turns } = returning;
        let place = self.place_or_busy()?;
        let (key, entry) = self.parked.take(handle, binding).ok_or_else(unknown)?;
        let taken = |entry| Taken { parked: self.parked.clone(), entry: Some((key, entry)) };
        match entry.kept {
            Kept::State { ref text, server, .. } => {
                let (text, again) = (text.clone(), Again { place, only: Some(server) });
                Ok(Resumed::State { text, taken: taken(entry), again })
            }
            Kept::Again { rounds, ref login } => {
                let (login, again) = (login.clone(), Again { place, only: None });
                Ok(Resumed::Again { rounds, login, taken: taken(entry), again })
            }
            Kept::Call(asking) => {
                let (back, call) = oneshot::channel();
                asking.send(back).map_err(|_| unknown())?;
                let mut call = call.await.map_err(|_| unknown())?;
                let turns = turns.drain(..).chain([place.into()]).collect();
                call.exchange.goes_on(id, token, turns);
                call.guest.returns(level, askable).await;
                if let Some(End { reply: Ok(text), .. }) = &mut call.ended {
                    *text = under(text, id);
                }
                Ok(Resumed::Call(call))
            }
        }
    }

    /// A place for a request that gave its own away while it waited for a person.
    pub fn again(&self) -> Result<Again, Fault> {
        Ok(Again { place: self.place_or_busy()?, only: None })
    }

    /// What waits for clients at the moment.
    pub fn parked(&self) -> usize {
        self.parked.table.lock().kept.len()
    }
}

impl Parked {
    pub(super) fn new(max: usize) -> Self {
        Self { max, table: Mutex::default() }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.table.lock().kept.len()
    }

    fn enter(&self, binding: Binding, kept: Kept) -> Result<(String, Key, Instant), Fault> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|_| Fault::ours(Reason::Internal, "no randomness for a handle of what waits"))?;
        let handle = hex(&bytes);
        let (key, now) = (key(&handle), Instant::now());
        let until = now + KEPT;
        self.sweep();
        let mut table = self.table.lock();
        let share_max = match binding.company {
            Company::One => self.max,
            Company::Many => self.max.div_ceil(PARTS),
        };
        if table.ages.len() >= self.max || table.share(&binding.principal) >= share_max {
            return Err(full("limits.parked"));
        }
        let age = table.grow(Age { key, until, whose: binding.principal.clone() });
        table.kept.insert(key, Entry { binding, kept, age, until });
        Ok((handle, key, until))
    }

    /// Forgets whose time is over.
    fn sweep(&self) {
        let expired = self.table.lock().expired(Instant::now());
        // A call is cancelled where it is dropped, and that must not be under this lock.
        drop(expired);
    }

    /// Whether nobody sweeps yet; whoever asks does from now on.
    fn begins_to_sweep(&self) -> bool {
        !std::mem::replace(&mut self.table.lock().is_swept, true)
    }

    /// Sweeps until nothing is left.
    async fn sweep_on(self: Arc<Self>) {
        loop {
            self.sweep();
            let next = {
                let mut table = self.table.lock();
                let next = table.ages.first_key_value().map(|(_, oldest)| oldest.until);
                table.is_swept = next.is_some();
                next
            };
            let Some(next) = next else { return };
            sleep_until(next).await;
        }
    }

    /// Takes out what a handle stands for. A call is gone with that; what else there is keeps its place.
    fn take(&self, handle: &str, binding: &Binding) -> Option<(Key, Entry)> {
        self.sweep();
        let key = key(handle);
        let mut table = self.table.lock();
        let found = table.kept.get(&key)?;
        // Who shows it to the wrong door has not used it.
        if found.binding != *binding || found.until <= Instant::now() {
            return None;
        }
        let entry = match found.kept {
            Kept::Call(_) => table.remove(&key),
            Kept::State { .. } | Kept::Again { .. } => table.kept.remove(&key),
        };
        entry.map(|entry| (key, entry))
    }

    /// Gives what was taken out its place back; it is forgotten if its time is over.
    fn put_back(&self, key: Key, entry: Entry) {
        let mut table = self.table.lock();
        let late = match table.ages.contains_key(&entry.age) {
            true => table.kept.insert(key, entry),
            false => Some(entry),
        };
        drop(table);
        drop(late);
    }

    /// What was taken out does not come back.
    fn spend(&self, entry: &Entry) {
        self.table.lock().shrink(entry.age);
    }

    fn forget(&self, key: &Key) {
        let gone = self.table.lock().remove(key);
        drop(gone);
    }
}

impl Table {
    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.kept.remove(key)?;
        self.shrink(entry.age);
        Some(entry)
    }

    fn share(&self, whose: &Principal) -> usize {
        self.shares.get(whose).copied().unwrap_or_default()
    }

    fn grow(&mut self, age: Age) -> u64 {
        *self.shares.entry(age.whose.clone()).or_default() += 1;
        let at = self.next;
        self.next += 1;
        self.ages.insert(at, age);
        at
    }

    fn shrink(&mut self, at: u64) -> Option<Age> {
        let age = self.ages.remove(&at)?;
        if let Some(share) = self.shares.get_mut(&age.whose) {
            *share -= 1;
            if *share == 0 {
                self.shares.remove(&age.whose);
            }
        }
        Some(age)
    }

    /// Takes out whose time is over: all are kept for as long, so the oldest are the first. To be dropped without the lock.
    fn expired(&mut self, now: Instant) -> Vec<Entry> {
        let mut gone = Vec::new();
        while let Some((at, _)) = self.ages.first_key_value().filter(|(_, oldest)| oldest.until <= now) {
            let at = *at;
            gone.extend(self.shrink(at).and_then(|age| self.kept.remove(&age.key)));
        }
        gone
    }
}

impl Taken {
    /// The request is on its way with it, or will never be.
    pub fn spend(mut self) {
        if let Some((_, entry)) = self.entry.take() {
            self.parked.spend(&entry);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some((key, entry)) = self.entry.take() {
            self.parked.put_back(key, entry);
        }
    }
}

impl std::fmt::Debug for OpenCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenCall({} asks)", self.asks.len())
    }
}

/// Why a client cannot be asked this.
fn refusal(askable: &Askable, ask: &Ask) -> Option<Fault> {
    // Its id is for nobody.
    match Message::parse_server(ask.text("0")) {
        Ok(asked) => askable.refusal(&asked),
        Err(bad) => Some(bad.fault()),
    }
}

/// A response under another id.
fn under(response: &Bytes, id: &Id) -> Bytes {
    match Message::parse_server(response.clone()).as_ref().map(|response| (response, response.head())) {
        Ok((response, Head::Response { id: Some(own), .. })) => {
            // The room of the one is for both.
            keeping(splice(response.text(), &mut [(*own, id.as_str())]), response.text().clone())
        }
        Ok((_, Head::Response { .. } | Head::Request { .. } | Head::Notification { .. })) | Err(_) => {
            response.clone()
        }
    }
}

fn key(handle: &str) -> Key {
    Sha256::digest(handle.as_bytes()).into()
}

/// The fault of a handle that is none. All alike: who guesses learns nothing.
pub fn unknown() -> Fault {
    Fault::invalid_params(
        "`params.requestState` is none that waits for this request: it was used already, is too old, or belongs to another; make the request again without it",
    )
}

fn full(setting: &str) -> Fault {
    let text = format!("too much waits for answers of clients ({setting}); what was asked was cancelled");
    Fault::ours(Reason::Busy, text).outcome(CallOutcome::Unknown)
}

/// How long a client may take to come back.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// Into how many parts the table is divided among many; whoever is not alone has one of them at most.
const PARTS: usize = 4;
const METHOD_NOT_FOUND: i32 = -32601;
