//! One configured server: its links, its limits, and the way into it.
//!
//! Owns a bounded map from `LinkKey` to link: one process for whoever shares it, whatever the concurrency.
//! `begin` is the only way a request reaches a server; it never sends one twice.

use super::account::Account;
use super::allowance::{Permit, Permits};
use super::audience::Audience;
use super::budget::Taken;
use super::cache::{Bearing, Cache, Found};
use super::clock::Clock;
use super::connect::Introduction;
use super::dial::{Dial, Distance};
use super::exchange::Exchange;
use super::frame::{Freight, Places};
use super::gate::{Full, Gate};
use super::link::{LastWords, Link, State};
use super::listening::Listening;
use super::lookout::Lookout;
use super::mail::Mail;
use super::memory::Memory;
use super::outgoing::{Outgoing, Run, Says, addressed, task_lifetime};
use super::process::Pace;
use super::round::Kept;
use super::setup::{Setup, Setups};
use super::shown::{Origin, ResultCap, Shown, Subscribing};
use super::since::Since;
use super::stream::Posting;
use super::subject::{Bound, Setting, Subject, words};
use super::supervise::Supervisor;
use super::tally::{Asked, End, Recall, Tally};
use super::verdict::Verdict;
use super::visible::Visible;
use super::way::{AtHand, Hand, Known, Way};
use crate::config::codes::Code;
use crate::config::{Limits, ServerConfig, Sharing, toml_key};
use crate::mcp::askable::Askable;
use crate::mcp::caller::{Caller, ClientId, Company, Grant, Principal, Scopes, Told};
use crate::mcp::level::Level;
use crate::mcp::method::{Kind, Method};
use crate::mcp::revision::Revision;
use crate::routing::look::Look;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::Raw;
use crate::wire::message::Message;
use bytes::Bytes;
use dashmap::DashMap;
use foldhash::fast::RandomState;
use smallvec::smallvec;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

/// One server of a run, which no other has before or after it: not one that comes later under the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerId(pub u64);

/// Who shares a link.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LinkKey {
    principal: Principal,
    /// What its token must say, where the server is reached with one that is made of it: what a broader one gives serves no
    /// narrower one. `None`: the server is reached with the same whatever it says.
    scopes: Option<Scopes>,
    /// The one client that it serves; `None` when it serves all of the principal's.
    client: Option<ClientId>,
}

/// What all servers of a run have in common.
#[derive(Clone)]
pub struct Surroundings {
    pub limits: Arc<Limits>,
    pub introduction: Introduction,
    /// What may wait, on its way to servers and to clients.
    pub memory: Arc<Memory>,
    /// How many may start at once.
    pub starting: Arc<Semaphore>,
    /// Who looks on.
    pub lookout: Arc<Lookout>,
    pub tracker: TaskTracker,
}

impl LinkKey {
    /// Whose it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether all of its principal's clients are served by it, or all that show such a token.
    pub fn is_shared(&self) -> bool {
        self.client.is_none()
    }

    /// Whether it is reached with what is made of its clients' own tokens.
    pub fn is_by_grant(&self) -> bool {
        self.scopes.is_some()
    }

    /// In whose name it is reached. It holds nothing.
    fn grant(&self) -> Grant {
        Grant::of(self.principal.clone(), self.scopes.clone().unwrap_or_default())
    }
}

/// A client at the door of a server: who it is, where what is said to it goes, and what a server of its own is
/// told of it once it has said so.
#[derive(Clone)]
pub struct Arriving {
    pub caller: Caller,
    pub mail: Arc<Mail>,
    /// How the server looks by that door.
    pub look: Arc<Look>,
    pub visible: Visible,
    pub told: watch::Receiver<Option<Told>>,
}

/// What becomes of a request at its server.
pub enum Begun {
    Exchange(Box<Exchange>),
    /// The answer is known.
    Known(Bytes),
    /// Nothing is left to do: another client of the link has the same from the server.
    Already,
}

/// What came of waiting for a way in.
enum Entered {
    Way(Way),
    /// It needs none.
    Done(Begun),
}

/// A configured server.
pub struct Server {
    id: ServerId,
    key: Arc<str>,
    /// Of the links' keys, and so never another.
    sharing: Sharing,
    /// The same: whether it is reached with what is made of its clients' own tokens.
    is_by_grant: bool,
    setups: Setups,
    surroundings: Surroundings,
    /// Looked into several times for each call, by keys that nobody chooses freely.
    links: DashMap<LinkKey, Slot, RandomState>,
    verdict: Arc<Verdict>,
    gate: Gate,
    /// `None`: none of its results are kept.
    cache: Option<Arc<Cache>>,
    tally: Arc<Tally>,
}

#[derive(Clone)]
struct Slot {
    state: watch::Receiver<State>,
    /// Since when that is so.
    since: Arc<Since>,
    audience: Arc<Audience>,
    wake: Arc<Notify>,
    /// Rung when it is to be begun anew.
    anew: Arc<Notify>,
    stop: Arc<watch::Sender<Option<Pace>>>,
}

impl Slot {
    fn at_hand(&self, state: &State, client: ClientId) -> Option<AtHand> {
        match state {
            State::Ready(link) => Some(AtHand::new(link.clone(), self.audience.clone(), client)),
            State::Connecting | State::Down { .. } => None,
        }
    }
}

/// A link as its owner in the hub sees it.
pub struct Watched {
    pub key: LinkKey,
    pub state: watch::Receiver<State>,
    pub audience: Arc<Audience>,
    /// It was there before; somebody follows it already.
    pub was_open: bool,
}

impl Server {
    pub fn new(
        id: ServerId,
        settings: Arc<ServerConfig>,
        surroundings: Surroundings,
        dial: Arc<dyn Dial>,
    ) -> Self {
        Self {
            id,
            key: Arc::from(settings.key.as_str()),
            sharing: settings.sharing,
            is_by_grant: settings.is_reached_by_grant(),
            gate: Gate::new(settings.in_flight_max, settings.waiting_max),
            cache: Cache::of(&settings.cache),
            setups: Setups::new(settings, dial),
            links: DashMap::with_hasher(RandomState::default()),
            verdict: Arc::default(),
            tally: Arc::new(Tally::new(&surroundings.lookout)),
            surroundings,
        }
    }

    pub fn id(&self) -> ServerId {
        self.id
    }

    /// Its key in the configuration.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Other settings, which leave its processes and connections as they are: they hold for whatever begins from now on. How
    /// it is reached, and who shares it, must be the same.
    pub fn set(&self, settings: Arc<ServerConfig>) {
        self.gate.resize(settings.in_flight_max, settings.waiting_max, &self.surroundings.tracker);
        for slot in &self.links {
            slot.audience.patient_for(settings.timeouts.ask);
        }
        self.setups.set(settings);
    }

    /// It is reached otherwise from now on: every link is begun anew, as after [`restart`](Self::restart), and its clients
    /// stay. Who shares it must be the same.
    pub fn replace(&self, settings: Arc<ServerConfig>, dial: Arc<dyn Dial>) {
        self.set(settings.clone());
        self.setups.replace(settings, dial);
    }

    /// It is in the configuration no more: nobody is let in who is not there already. What is in flight goes on until it is
    /// [`stop`](Self::stop)ped.
    pub fn retire(&self) {
        self.setups.remove();
    }

    /// Whether nothing is in flight there, of clients or of ours.
    pub fn is_quiet(&self) -> bool {
        let idle = |slot: &Slot| match &*slot.state.borrow() {
            State::Ready(link) => link.stream.in_flight() == 0,
            State::Connecting | State::Down { .. } => true,
        };
        self.gate.crowd() == (0, 0) && self.links.iter().all(|slot| idle(&slot))
    }

    /// Whether nothing of it is left.
    pub fn has_ended(&self) -> bool {
        self.links.iter().all(|slot| slot.state.has_changed().is_err())
    }

    /// How the server looks to a client from now on, by the door that it came by.
    pub fn look_otherwise(&self, caller: &Caller, look: &Arc<Look>) {
        if let Some(slot) = self.links.get(&self.link_key(caller)).map(|slot| slot.clone()) {
            slot.audience.look_otherwise(caller.client, look);
        }
    }

    /// What is counted of it.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Requests that have a place there, and those that wait for one.
    pub fn crowd(&self) -> (usize, usize) {
        self.gate.crowd()
    }

    /// Each of its links as it is now, and since when it is so.
    pub fn links(&self) -> Vec<(LinkKey, State, SystemTime)> {
        let links = self.links.iter().filter(|slot| slot.stop.borrow().is_none());
        links.map(|slot| (slot.key().clone(), slot.state.borrow().clone(), slot.since.get())).collect()
    }

    /// Begins every link anew, and says how many there are. What is in flight has a moment to end; who comes meanwhile waits
    /// for the server that is started.
    pub fn restart(&self) -> usize {
        let links = self.links.iter().filter(|slot| slot.stop.borrow().is_none());
        links.map(|slot| slot.anew.notify_one()).count()
    }

    /// There is another login than before. Links that are down begin at once; those that are up show it from now on.
    pub fn has_login(&self) {
        self.setups.now().dial.looks_again();
        for slot in self.links.iter() {
            if matches!(*slot.state.borrow(), State::Down { .. }) {
                slot.anew.notify_one();
            }
        }
    }

    pub fn settings(&self) -> Arc<ServerConfig> {
        self.setups.now().settings
    }

    /// The same, and the edition of the way by which it is reached: it rises with each [`replace`](Self::replace).
    pub fn settings_and_edition(&self) -> (Arc<ServerConfig>, u64) {
        let Setup { settings, edition, .. } = self.setups.now();
        (settings, edition)
    }

    pub fn transport(&self) -> &'static str {
        self.setups.now().dial.transport()
    }

    /// Which link serves a caller.
    pub fn link_key(&self, caller: &Caller) -> LinkKey {
        let own = self.sharing.is_per_client(caller.alone);
        LinkKey {
            principal: caller.principal.clone(),
            scopes: self.is_by_grant.then(|| caller.scopes.clone()),
            client: own.then_some(caller.keeper()),
        }
    }

    /// Starts the link that serves a client, or finds it, and lets the client listen there. The process starts at once.
    /// A server of its own is greeted when the client has said who it is; a shared one at once, because what it is
    /// told depends on no client.
    pub fn open(&self, arriving: &Arriving) -> Result<Watched, Fault> {
        let Arriving { caller, mail, look, visible, told } = arriving;
        let join = |audience: &Audience| audience.join(caller, mail.clone(), look.clone(), visible.clone());
        self.enter(self.link_key(caller), caller.company(), told, join)
    }

    /// Starts the link that all of a principal's clients share, before the first of them is there, or finds it. `None`:
    /// each client gets one of its own, when it comes.
    pub fn warm(&self, principal: &Principal) -> Option<Result<Watched, Fault>> {
        let key = self.shared_key(principal)?;
        Some(self.enter(key, Company::Many, &watch::Sender::new(None).subscribe(), |_| {}))
    }

    /// The link that a principal's network clients share; `None`: each has one of its own, or each token.
    pub fn shared_key(&self, principal: &Principal) -> Option<LinkKey> {
        let is_shared = !self.sharing.is_per_client(false) && !self.is_by_grant;
        is_shared.then(|| LinkKey { principal: principal.clone(), scopes: None, client: None })
    }

    /// Finds a link or starts it, and lets whoever comes join it.
    fn enter(
        &self,
        key: LinkKey,
        own: Company,
        told: &watch::Receiver<Option<Told>>,
        join: impl FnOnce(&Audience),
    ) -> Result<Watched, Fault> {
        if self.setups.is_removed() {
            return Err(self.is_gone());
        }
        if let Some(fault) = self.has_no_token(&key) {
            return Err(fault);
        }
        let is_there = self.links.get(&key).is_some_and(|slot| slot.stop.borrow().is_none());
        let room = is_there || self.has_room();
        // The entry is locked while it is made and joined: two openers cannot start two processes, and nobody ends one
        // as unused that somebody is about to use.
        let entry = self.links.entry(key.clone());
        let (slot, was_open) = match &entry {
            dashmap::Entry::Occupied(found) if found.get().stop.borrow().is_none() => {
                (found.get().clone(), true)
            }
            dashmap::Entry::Vacant(_) if !room => {
                let text = format!("{}: too many links (limits.links)", self.key);
                return Err(self.ours(Reason::Busy, text));
            }
            // One that ends is none: nobody who comes now is served by it.
            dashmap::Entry::Occupied(_) | dashmap::Entry::Vacant(_) => (self.start(&key, own, told), false),
        };
        join(&slot.audience);
        let entry = entry.insert(slot.clone());
        drop(entry);
        if self.setups.is_removed() {
            // Between the look above and now: whoever ends all links may have passed already.
            slot.stop.send_if_modified(|stop| stop.replace(Pace::CALM).is_none());
        }
        if let State::Ready(link) = &*slot.state.borrow() {
            link.errands.level();
        }
        Ok(Watched { key, state: slot.state, audience: slot.audience, was_open })
    }

    /// Whether another link may be made. Links that have ended count no more, and a shared one that nobody uses any
    /// longer makes room for another.
    fn has_room(&self) -> bool {
        self.links.retain(|_, slot| slot.state.has_changed().is_ok());
        if self.links.len() < self.surroundings.limits.links_max {
            return true;
        }
        let unused = |slot: &Slot| slot.audience.is_empty() && slot.stop.borrow().is_none();
        let unused = self.links.iter().find(|slot| unused(slot));
        unused.is_some_and(|slot| slot.stop.send_if_modified(|stop| stop.replace(Pace::CALM).is_none()))
    }

    /// Lets a list be looked at again that was to be kept until now, unless its server says when it is another.
    pub fn look_again(&self, key: &LinkKey, kind: Kind) {
        let Some(slot) = self.links.get(key).map(|slot| slot.clone()) else { return };
        if let State::Ready(link) = &*slot.state.borrow()
            && !link.tells_changes(kind)
        {
            slot.audience.changed().raise(kind);
        }
    }

    /// Somebody who shows a token wants to see what this server has. Where it is reached with what is made of that, a link which
    /// had nothing at hand begins: nobody calls what he cannot see.
    pub fn is_looked_for(&self, key: &LinkKey) {
        if !self.is_by_grant {
            return;
        }
        if let Some(slot) = self.links.get(key)
            && matches!(*slot.state.borrow(), State::Down { retry_at: None, .. })
        {
            slot.wake.notify_one();
        }
    }

    /// Whether a link with this key is another than the one with this audience by now.
    pub fn has_another(&self, key: &LinkKey, audience: &Arc<Audience>) -> bool {
        self.links.get(key).is_some_and(|slot| !Arc::ptr_eq(&slot.audience, audience))
    }

    /// A client has left: its own link ends, a shared one stays for the next, told only what others still want.
    pub fn leave(&self, caller: &Caller) {
        let key = self.link_key(caller);
        let Some(slot) = self.links.get(&key).map(|slot| slot.clone()) else { return };
        let link = match &*slot.state.borrow() {
            State::Ready(link) if !slot.audience.is_own() || caller.guest_of.is_some() => Some(link.clone()),
            State::Ready(_) | State::Connecting | State::Down { .. } => None,
        };
        slot.audience.leave(caller.client, |uri| {
            if let Some(link) = &link {
                link.errands.unsubscribe(&uri);
            }
        });
        if let Some(link) = link {
            link.errands.level();
        }
        drop(slot);
        // Locked while it is looked at: somebody may come meanwhile.
        if let Some(slot) = self.links.get(&key)
            && (!key.is_shared() || key.is_by_grant())
            && slot.audience.is_empty()
        {
            slot.stop.send_if_modified(|stop| stop.replace(Pace::CALM).is_none());
        }
    }

    /// A client wants the log from this level on. The server is told when this returns; it has answered when what is
    /// returned resolves. One that is not ready is told when it is.
    pub fn set_level(&self, caller: &Caller, level: Level) -> impl Future<Output = ()> + use<> {
        let slot = self.links.get(&self.link_key(caller)).map(|slot| slot.clone());
        if let Some(slot) = &slot {
            slot.audience.ask_level(caller.client, level);
            if let State::Ready(link) = &*slot.state.borrow() {
                link.errands.level();
            }
        }
        async move {
            if let Some(slot) = slot {
                slot.audience.level_is_told().await;
            }
        }
    }

    /// A client without a session wants nothing of the log any more. Nobody waits for the server to agree: what it says
    /// until then is not passed on.
    pub fn unset_level(&self, caller: &Caller) {
        let Some(slot) = self.links.get(&self.link_key(caller)).map(|slot| slot.clone()) else { return };
        slot.audience.ask_no_level(caller.client);
        if let State::Ready(link) = &*slot.state.borrow() {
            link.errands.level();
        }
    }

    /// A notification of a client's for its own server. One that many share hears nothing of it: it would take one
    /// client's word for all.
    pub fn pass(&self, caller: &Caller, text: &Bytes) {
        let slot = self.links.get(&self.link_key(caller)).map(|slot| slot.clone());
        if let Some(slot) = slot.filter(|slot| slot.audience.is_own())
            && let State::Ready(link) = &*slot.state.borrow()
            && link.stream.standing().is_none()
        {
            link.stream.pass(text.clone());
        }
    }

    fn start(&self, key: &LinkKey, own: Company, told: &watch::Receiver<Option<Told>>) -> Slot {
        let (company, told) = match key.is_shared() {
            false => (own, told.clone()),
            true => {
                let told = Told { revision: Revision::LATEST, capabilities: Arc::from(Askable::SHARED) };
                (Company::Many, watch::channel(Some(told)).1)
            }
        };
        let (state, states) = watch::channel(State::Connecting);
        let (stop, stops) = watch::channel(None);
        let Setup { settings, dial, edition, .. } = self.setups.now();
        let audience = Audience::new(company, self.surroundings.memory.share(), settings.timeouts.ask);
        let audience = Arc::new(audience.keeping(self.cache.clone()));
        let (wake, anew, since) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Since::now()));
        let supervisor = Supervisor {
            server: self.key.clone(),
            settings,
            setups: self.setups.watch(),
            limits: self.surroundings.limits.clone(),
            dial,
            whose: key.grant(),
            edition,
            introduction: self.surroundings.introduction.clone(),
            told,
            verdict: self.verdict.clone(),
            starting: self.surroundings.starting.clone(),
            audience: audience.clone(),
            tracker: self.surroundings.tracker.clone(),
            tally: self.tally.clone(),
            state,
            since: since.clone(),
            wake: wake.clone(),
            anew: anew.clone(),
            stop: stops,
        };
        self.surroundings.tracker.spawn(supervisor.run());
        Slot { state: states, since, audience, wake, anew, stop: Arc::new(stop) }
    }

    /// Tells every link to end; their tasks do it, and the tracker knows when they are done.
    pub fn stop(&self, pace: Pace) {
        for slot in &self.links {
            slot.stop.send_replace(Some(pace));
        }
    }

    /// Sends a client's request. The faults are about this server and say whether anything may have left.
    pub async fn begin(&self, key: &LinkKey, mut outgoing: Outgoing<'_>) -> Result<Begun, Fault> {
        let hand = self.at_hand(key, outgoing.client).map(Hand::Once);
        let way = match hand.and_then(|hand| self.way(hand, outgoing.method, outgoing.bytes())) {
            Some(way) => way,
            // What seldom happens has a place of its own: every request in flight is as large as all that may become of it.
            None => match Box::pin(self.way_in_time(key, &outgoing)).await {
                Ok(Entered::Way(way)) => way,
                Ok(Entered::Done(begun)) => {
                    if let Some(account) = outgoing.account.take() {
                        account.close(End::Fine, 0)?;
                    }
                    return Ok(begun);
                }
                Err(fault) => return Err(self.refuses(fault, outgoing.account.take(), outgoing.method)),
            },
        };
        self.begin_on(way, outgoing)
    }

    /// A request does not get as far as the server.
    fn refuses(&self, fault: Fault, account: Option<Box<Account>>, method: Method) -> Fault {
        self.tally.refuses(&fault);
        // Else it is the client's affair.
        if fault.reason.is_some() {
            self.tally.is_troubled(&fault.text);
        }
        tracing::debug!(
            event = "call",
            server = %self.key,
            method = Asked::of(method).as_str(),
            outcome = End::of(&fault).error_type(),
            code = fault.code,
            why = fault.text,
            "not sent"
        );
        let written = account.map_or(Ok(()), |account| account.close(End::of(&fault), 0));
        written.err().unwrap_or(fault)
    }

    /// The way in for a request of so many bytes, if nothing on it has to be waited for.
    pub fn way(&self, hand: Hand, method: Method, bytes: usize) -> Option<Way> {
        if is_answered_otherwise(&hand.link, method) {
            return None;
        }
        let place = self.gate.try_enter()?;
        let room = hand.link.stream.room_now(bytes)?;
        Some(Way { hand, place, room })
    }

    async fn way_in_time(&self, key: &LinkKey, outgoing: &Outgoing<'_>) -> Result<Entered, Fault> {
        let at_hand = match self.at_hand(key, outgoing.client) {
            Some(found) => found,
            None => {
                let link = self.ready(key).await?;
                let audience = self.links.get(key).map(|slot| slot.audience.clone());
                let audience = audience.ok_or_else(|| self.is_not_running())?;
                AtHand::new(link, audience, outgoing.client)
            }
        };
        let AtHand { link, audience, .. } = &at_hand;
        if let (Some(listening), true) =
            (&link.errands.listening, matches!(outgoing.method, Method::Subscribe | Method::Unsubscribe))
        {
            return self.listens(audience, listening, link, outgoing).await.map(Entered::Done);
        }
        if outgoing.method == Method::Task && link.stream.standing().is_none() {
            return Err(Fault::invalid_params("unknown task"));
        }
        let patience = bounds(outgoing.settings, outgoing.method, outgoing.pass.own()).idle.time;
        let place = match self.gate.try_enter() {
            Some(place) => place,
            None => self.place(outgoing.client, patience).await?,
        };
        let bytes = outgoing.bytes();
        let room = match link.stream.room_now(bytes) {
            Some(room) => room,
            None => self.room(link, bytes, patience).await?,
        };
        Ok(Entered::Way(Way { hand: Hand::Once(at_hand), place, room }))
    }

    /// Sends a request whose way is free.
    pub fn begin_on(&self, way: Way, mut outgoing: Outgoing<'_>) -> Result<Begun, Fault> {
        let Way { hand, place, room } = way;
        let AtHand { link, audience, member } = &*hand;
        let (turns, memory) = (std::mem::take(&mut outgoing.turns), outgoing.memory.take());
        let mut account = outgoing.account.take();
        let (client, method, own) = (outgoing.client, outgoing.method, outgoing.pass.own());
        let bounds = bounds(outgoing.settings, method, own);
        let (idle, total) = (bounds.idle.time, bounds.whole.1);
        let owner = member.clone();
        let origin = Origin {
            id: outgoing.id.clone(),
            owner: owner.clone(),
            // A copy: the text itself is not needed once it is written.
            token: outgoing.message.wants_progress().map(Raw::new),
            look: outgoing.look.clone(),
            tasks: outgoing.tasks.take().filter(|_| matches!(method, Method::ToolsCall | Method::Task)),
            stands: outgoing.told.is_some_and(|told| told.revision.is_modern()),
            subscribing: (method == Method::Subscribe).then(|| Subscribing { client, uri: (**own).into() }),
            asked: Asked::of(method),
            cap: bounds.cap,
        };
        let is_stateless = link.stream.standing().is_some();
        let bearing = match &self.cache {
            None => None,
            Some(cache) => match self.recall(cache, link, &outgoing) {
                Ok(bearing) => bearing,
                Err(response) => {
                    let text = Shown { origin: &origin, server: &self.key, own: Some(own), is_stateless }
                        .text(response);
                    return self.recalled(text, account, method);
                }
            },
        };
        let subject = bounds.subject(outgoing.message.method().unwrap_or_default(), own);
        let clock = Clock::start(idle, total, owner.as_ref().map(|owner| owner.standstill.clone()));
        let places = Places::new(smallvec![place.into()]);
        let run = match (link.greeting.capabilities.task_calls, outgoing.needs_task) {
            (false, _) => Run::AsWritten,
            (true, false) => Run::Call,
            (true, true) => Run::Task(task_lifetime(&outgoing.settings.timeouts)),
        };
        let says = link.stream.standing().map(|standing| Says { standing, level: audience.level_of(client) });
        // What may have to be sent again, with answers or with other headers, stays in memory until it is answered.
        let may_mirror = method == Method::ToolsCall && self.mirrors(link);
        let keeps = says.is_some() && (may_mirror || (method.has_rounds() && !origin.stands));
        let (mut held, mut leaving) = (turns, Permits::new());
        leaving.push(room.into());
        if let Some(memory) = memory {
            if keeps { &mut held } else { &mut leaving }.push(Permit::Room(memory));
        }
        let mirrored = self.mirrored(link, &outgoing);
        let mirrored_again = (keeps && may_mirror).then(|| mirrored.clone());
        let mut kept = None;
        let posting = Posting {
            places: places.clone(),
            room: leaving,
            owner,
            is_task: matches!(run, Run::Task(_)),
            stays: false,
            look_at: clock.next(),
            mirrored,
            freight: match method {
                Method::Subscribe | Method::Unsubscribe | Method::SetLevel => Freight::Setting,
                Method::Initialize
                | Method::Initialized
                | Method::Ping
                | Method::List(_)
                | Method::ToolsCall
                | Method::PromptsGet
                | Method::ResourcesRead
                | Method::Complete
                | Method::Cancelled
                | Method::Progress
                | Method::ListChanged(_)
                | Method::Log
                | Method::Updated
                | Method::Ask(_)
                | Method::RootsChanged
                | Method::ElicitationComplete
                | Method::Discover
                | Method::Listen
                | Method::Acknowledged
                | Method::Task
                | Method::Other => Freight::Request,
            },
        };
        let post = || {
            link.stream.post(posting, |id| {
                let text = addressed(id, &mut outgoing, run, says);
                kept = keeps.then(|| Kept::of(&text, mirrored_again));
                text
            })
        };
        let posted = match method {
            Method::Subscribe => match audience.subscribe(client, own, post) {
                Ok(posted) => posted,
                Err(fault) => return Err(self.refuses(fault, account, method)),
            },
            Method::Unsubscribe => audience.unsubscribe(client, own, post),
            Method::Initialize
            | Method::Initialized
            | Method::Ping
            | Method::List(_)
            | Method::ToolsCall
            | Method::PromptsGet
            | Method::ResourcesRead
            | Method::Complete
            | Method::Cancelled
            | Method::Progress
            | Method::ListChanged(_)
            | Method::SetLevel
            | Method::Log
            | Method::Updated
            | Method::Ask(_)
            | Method::RootsChanged
            | Method::ElicitationComplete
            | Method::Discover
            | Method::Listen
            | Method::Acknowledged
            | Method::Task
            | Method::Other => Some(post()),
        };
        let Some(posted) = posted else {
            if let Some(account) = account {
                account.close(End::Fine, 0)?;
            }
            return Ok(Begun::Already);
        };
        if let (Err(_), Method::Subscribe) = (&posted, method) {
            audience.refused(client, own);
        }
        let posted = match posted {
            Ok(posted) => posted,
            Err(fault) => return Err(self.refuses(fault, account, method)),
        };
        if let Some(account) = &mut account {
            account.leaves(link, posted.id);
        }
        let stream = link.stream.clone();
        let mut exchange = Box::new(Exchange::new(stream, posted, places, clock, Some(origin), subject));
        exchange.is_written_down(account);
        exchange.bears(bearing);
        exchange.hold(held);
        exchange.keep(kept);
        Ok(Begun::Exchange(exchange))
    }

    /// What a request is to what is kept of the server's results. The error is the answer, if that is kept.
    fn recall(
        &self,
        cache: &Arc<Cache>,
        link: &Link,
        outgoing: &Outgoing<'_>,
    ) -> Result<Option<Bearing>, Box<Message>> {
        if outgoing.method == Method::ToolsCall && !outgoing.reads_only {
            return Ok(Some(Bearing::Writes(cache.writes())));
        }
        let is_stateless = link.stream.standing().is_some();
        match cache.find(link.stream.number(), is_stateless, outgoing) {
            Some(Found::Hit(text)) => match Message::parse_server(text) {
                Ok(response) => {
                    self.tally.recalls(Recall::Hit);
                    Err(Box::new(response))
                }
                Err(_) => Ok(None),
            },
            Some(Found::Miss(asking)) => {
                self.tally.recalls(Recall::Miss);
                Ok(Some(Bearing::Asks(Box::new(asking))))
            }
            None => Ok(None),
        }
    }

    /// A request that is answered with what is known. It is none of the server's.
    fn recalled(&self, text: Bytes, account: Option<Box<Account>>, method: Method) -> Result<Begun, Fault> {
        tracing::debug!(
            event = "call",
            server = %self.key,
            method = Asked::of(method).as_str(),
            outcome = "ok",
            "answered with what is kept"
        );
        if let Some(account) = account {
            account.close(End::Fine, text.len())?;
        }
        Ok(Begun::Known(text))
    }

    /// A subscription to a server without a handshake: what is wanted of it in all is another from now on.
    async fn listens(
        &self,
        audience: &Audience,
        listening: &Listening,
        link: &Link,
        outgoing: &Outgoing<'_>,
    ) -> Result<Begun, Fault> {
        let (client, uri) = (outgoing.client, outgoing.pass.own());
        if !link.greeting.capabilities.subscribe {
            return Err(Fault::method_not_found(outgoing.message.method().unwrap_or_default()));
        }
        if outgoing.method == Method::Unsubscribe {
            if audience.unsubscribe(client, uri, || ()).is_some() {
                listening.ring();
            }
            return Ok(Begun::Already);
        }
        listening.subscribe(client, uri).await.map(|()| Begun::Already)
    }

    /// What of a call stands in headers as well: what the tool's schema says, where there are headers.
    fn mirrored(&self, link: &Link, outgoing: &Outgoing<'_>) -> Vec<(String, String)> {
        let Some(mirrors) = outgoing.mirrors.filter(|_| self.mirrors(link)) else { return Vec::new() };
        let params = outgoing.message.params().and_then(|params| params.object);
        params.map(|params| mirrors.headers(outgoing.message.str(params))).unwrap_or_default()
    }

    /// Whether arguments are said again in headers on this link, where a tool's schema wants that.
    pub fn mirrors(&self, link: &Link) -> bool {
        link.stream.standing().is_some() && link.distance == Distance::Far
    }

    /// The same of a link that is yet to be made, if it spoke this revision.
    pub fn mirrors_in(&self, revision: Revision) -> bool {
        revision.is_modern() && self.setups.now().dial.distance() == Distance::Far
    }

    /// A request of our own on a link, answered in the server's own terms. `params` is a JSON object.
    pub async fn ask(&self, link: &Link, method: &str, params: &str) -> Result<Message, Fault> {
        Exchange::ours(&link.stream, Freight::Request, method, params, self.settings().timeouts.list)?
            .response()
            .await
    }

    /// Whether requests can be sent, or why not. Waits while the link is being made.
    pub async fn reach(&self, key: &LinkKey) -> Result<(), Fault> {
        self.ready(key).await.map(drop)
    }

    /// The link once it is ready or down; for those who only want to know.
    pub async fn greeted(&self, key: &LinkKey) -> Option<Arc<Link>> {
        let mut state = self.links.get(key).map(|slot| slot.state.clone())?;
        let settled = state.wait_for(|state| !matches!(state, State::Connecting)).await.ok()?;
        match &*settled {
            State::Ready(link) => Some(link.clone()),
            State::Connecting | State::Down { .. } => None,
        }
    }

    pub fn state(&self, key: &LinkKey) -> State {
        if let Some(why) = self.has_no_token(key) {
            return State::Down { why, last_words: LastWords::default(), retry_at: None };
        }
        self.links.get(key).map_or(State::Connecting, |slot| slot.state.borrow().clone())
    }

    /// The link and who listens to it, if it is ready.
    pub fn at_hand(&self, key: &LinkKey, client: ClientId) -> Option<AtHand> {
        let slot = self.links.get(key)?;
        let state = slot.state.borrow();
        slot.at_hand(&state, client)
    }

    /// The same, for a client that keeps it.
    pub fn known(&self, key: &LinkKey, client: ClientId) -> Option<Known> {
        let slot = self.links.get(key)?;
        let mut state = slot.state.clone();
        let at_hand = slot.at_hand(&state.borrow_and_update(), client);
        // One that is not there yet may come.
        Some(Known::new(at_hand.filter(|at_hand| at_hand.member.is_some())?, state))
    }

    fn is_gone(&self) -> Fault {
        self.ours(Reason::Gone, format!("{}: {REMOVED}", self.key))
    }

    /// Why nothing is even begun for whoever has no token of the identity provider, where one is needed.
    fn has_no_token(&self, key: &LinkKey) -> Option<Fault> {
        if !key.is_by_grant() || key.principal.is_of_provider() {
            return None;
        }
        let text = format!(
            "{}: is reached with a token that is made of the caller's own (servers.{}.oauth.grant), and `{}` has none of the identity provider",
            self.key,
            toml_key(&self.key),
            key.principal.as_str().escape_debug()
        );
        Some(self.ours(Reason::Unreachable, text).explained(Code::LoginNeeded))
    }

    fn is_not_running(&self) -> Fault {
        self.ours(Reason::Unreachable, format!("{}: is not running", self.key))
    }

    /// The link once it is ready. Waits while it is being made, and for no longer than a start may take.
    async fn ready(&self, key: &LinkKey) -> Result<Arc<Link>, Fault> {
        let slot = self.links.get(key).map(|slot| slot.clone());
        let no_link = || self.has_no_token(key).unwrap_or_else(|| self.is_not_running());
        let slot = slot.ok_or_else(no_link)?;
        let mut state = slot.state;
        let Setup { settings, dial, .. } = self.setups.now();
        let until = Instant::now() + settings.timeouts.start;
        let mut woken = false;
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Ready(link) => return Ok(link),
                State::Down { why, retry_at: None, .. } if !woken && slot.stop.borrow().is_none() => {
                    // It left by itself and is started again now that somebody needs it.
                    slot.wake.notify_one();
                    woken = true;
                    if settings.restart == crate::config::Restart::Never {
                        return Err(self.down(&why, None));
                    }
                }
                State::Down { why, retry_at, .. } => {
                    if dial.distance() == Distance::Far {
                        // Whoever needs it may be the first to find that it is there again.
                        slot.wake.notify_one();
                    }
                    return Err(self.down(&why, retry_at));
                }
                State::Connecting => {}
            }
            match timeout_at(until, state.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) if self.setups.is_removed() => return Err(self.is_gone()),
                Ok(Err(_)) => {
                    return Err(self.ours(Reason::Stopping, format!("{}: Braid is stopping", self.key)));
                }
                Err(_) => {
                    let time = words(settings.timeouts.start);
                    let setting = Setting::Start.name(&self.key, None);
                    let text = format!("{}: is still starting after {time} ({setting})", self.key);
                    return Err(self.ours(Reason::Starting, text));
                }
            }
        }
    }

    fn down(&self, why: &Fault, retry_at: Option<Instant>) -> Fault {
        let again = match retry_at.map(|at| at.saturating_duration_since(Instant::now())) {
            Some(pause) => {
                let pause = words(pause.max(Duration::from_secs(1)));
                match self.setups.now().dial.distance() {
                    Distance::Near => format!("; it is started again in {pause}"),
                    Distance::Far => format!("; it is tried again within {pause}"),
                }
            }
            None => String::new(),
        };
        let mut fault = self.ours(why.reason.unwrap_or(Reason::Gone), format!("{}{again}", why.text));
        fault.code = why.code;
        fault.explain = why.explain;
        fault
    }

    /// A place among those in flight when it is the client's turn.
    async fn place(&self, client: ClientId, patience: Duration) -> Result<Taken, Fault> {
        match timeout(patience, self.gate.enter(client)).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(Full)) => Err(self.busy()),
            Err(_) => Err(self.no_place(patience, &format!("servers.{}.concurrency", toml_key(&self.key)))),
        }
    }

    /// Room for a text in the queue of what is on its way.
    async fn room(&self, link: &Link, bytes: usize, patience: Duration) -> Result<Taken, Fault> {
        match timeout(patience, link.stream.room(bytes)).await {
            Ok(room) => Ok(room),
            Err(_) => Err(self.no_place(patience, "limits.link_buffer")),
        }
    }

    fn busy(&self) -> Fault {
        let (busy, queue) = (self.settings().in_flight_max, self.settings().waiting_max);
        let (name, key) = (&self.key, toml_key(&self.key));
        let text = format!(
            "{name}: {busy} requests in flight (servers.{key}.concurrency) and {queue} waiting (servers.{key}.queue)"
        );
        self.ours(Reason::Busy, text)
    }

    fn no_place(&self, patience: Duration, setting: &str) -> Fault {
        let text =
            format!("{}: no place for another request within {} ({setting})", self.key, words(patience));
        self.ours(Reason::Busy, text)
    }

    fn ours(&self, reason: Reason, text: String) -> Fault {
        Fault::ours(reason, text).server(&*self.key).outcome(CallOutcome::NotSent)
    }
}

/// Whether a request is answered otherwise than by being sent as it is.
fn is_answered_otherwise(link: &Link, method: Method) -> bool {
    let is_subscription = matches!(method, Method::Subscribe | Method::Unsubscribe);
    (is_subscription && link.errands.listening.is_some())
        || (method == Method::Task && link.stream.standing().is_none())
}

/// How long a request may take, and its result be.
fn bounds(settings: &ServerConfig, method: Method, own: &str) -> Bounds {
    let timeouts = &settings.timeouts;
    let whole = (Setting::CallMax, timeouts.call_max);
    if method != Method::ToolsCall {
        let idle = Bound { setting: Setting::Read, time: timeouts.read };
        let cap = settings.result_bytes_max.filter(|_| method == Method::ResourcesRead);
        return Bounds { idle, whole, cap: cap.map(|bytes_max| ResultCap { bytes_max, of_tool: false }) };
    }
    let tool = settings.tools.get(own);
    let idle = match tool.and_then(|tool| tool.call) {
        Some(time) => Bound { setting: Setting::ToolCall, time },
        None => Bound { setting: Setting::Call, time: timeouts.call },
    };
    let whole = match tool.and_then(|tool| tool.call_max) {
        Some(max) => (Setting::ToolCallMax, Some(max)),
        None => whole,
    };
    let own_cap = tool.and_then(|tool| tool.result_bytes_max);
    let cap = own_cap.or(settings.result_bytes_max).filter(|bytes_max| *bytes_max > 0);
    let cap = cap.map(|bytes_max| ResultCap { bytes_max, of_tool: own_cap.is_some() });
    Bounds { idle, whole, cap }
}

/// The silence allowed and the time in all, each with the setting behind it.
struct Bounds {
    idle: Bound,
    whole: (Setting, Option<Duration>),
    /// Where longer results are cut.
    cap: Option<ResultCap>,
}

impl Bounds {
    fn subject(self, method: &str, own: &Arc<str>) -> Subject {
        let (setting, time) = self.whole;
        let whole = Bound { setting, time: time.unwrap_or_default() };
        Subject::new(method, Some(own), self.idle, whole)
    }
}

/// Why there is no server any more.
pub(super) const REMOVED: &str = "is in the configuration no more (it was read anew)";
