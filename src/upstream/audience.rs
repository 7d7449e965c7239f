//! The clients of one link, and which of them hears what its server says beside its answers.
//!
//! Owns who is there, what each subscribed to, how much of the log each wants, and for how long each has been asked.
//! It outlives the connections of its link, so that a server that starts again can be told all of it anew. It
//! decides and delivers, and never waits: what finds no place is given back to the reader.

use super::ask::{Ask, Back, Ends, Hold, Slip};
use super::cache::Cache;
use super::changed::Changed;
use super::clock::Standstill;
use super::mail::{Letter, Mail, Note};
use super::memory::{Growing, NoRoom, Part, Room, Share};
use super::stream::Stream;
use super::visible::Visible;
use crate::mcp::askable::Askable;
use crate::mcp::caller::{Caller, ClientId, Company};
use crate::mcp::level::Level;
use crate::mcp::method::Want;
use crate::routing::asking::{completed_in_clients_terms, in_clients_terms, updated_in_clients_terms};
use crate::routing::levels::Levels;
use crate::routing::look::Look;
use crate::routing::owner::{Owner, owner};
use crate::routing::subscriptions::{Added, Removed, Subscriptions};
use crate::wire::fault::{Fault, Reason};
use crate::wire::id::{CallId, Id, MintedMap};
use crate::wire::members::{elements, member, string};
use crate::wire::message::Message;
use crate::wire::splice::splice;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Who listens to one link.
pub struct Audience {
    company: Company,
    /// What its server's words may take of the memory.
    share: Share,
    /// How long a client may take to answer an ask.
    patience: Mutex<Duration>,
    /// What is kept of its server's results, where anything is.
    cache: Option<Arc<Cache>>,
    /// Which lists its server says are others by now: the keeper of the lists listens too.
    changed: Changed,
    state: Mutex<State>,
    /// The level that the server is being told.
    telling: Mutex<Telling>,
    /// Rung when a level was told.
    level_told: Notify,
    /// Apart, because requests are posted under its lock.
    subscriptions: Mutex<Subscriptions>,
}

#[derive(Default)]
struct State {
    members: MintedMap<ClientId, Arc<Member>>,
    levels: Levels,
    /// The level that the server should have.
    wanted: Option<Level>,
    /// Who was sent to which page, on a shared link; the oldest is forgotten first.
    elicited: VecDeque<(Box<str>, ClientId)>,
}

/// How far the connection of the moment was told its level.
#[derive(Default)]
struct Telling {
    connection: u64,
    under_way: bool,
    told: Option<Level>,
}

/// One client on one link.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) client: ClientId,
    /// It is a request without a session: nothing is told or asked but what belongs to it.
    pub(super) is_guest: bool,
    /// Its door serves nobody else.
    pub(super) is_alone: bool,
    pub(super) mail: Arc<Mail>,
    /// How the server looks by the door that the client came by.
    pub(super) look: Arc<Look>,
    visible: Visible,
    pub(super) standstill: Arc<Standstill>,
    /// Places in its mail for this link's notes.
    places: Arc<Semaphore>,
    /// What it may leave unread of what the server says.
    part: Part,
}

impl Member {
    /// The same, with the server looking otherwise.
    fn looking(&self, look: Arc<Look>) -> Self {
        Self {
            client: self.client,
            is_guest: self.is_guest,
            is_alone: self.is_alone,
            mail: self.mail.clone(),
            look,
            visible: self.visible.clone(),
            standstill: self.standstill.clone(),
            places: self.places.clone(),
            part: self.part.clone(),
        }
    }
}

/// A letter that found no place yet, and for whom it is.
pub(super) struct Parcel {
    pub(super) member: Arc<Member>,
    pub(super) letter: Letter,
}

/// An ask as a stream heard it.
pub(super) struct HeardAsk {
    pub(super) id: Id,
    pub(super) want: Want,
    pub(super) message: Message,
    pub(super) place: OwnedSemaphorePermit,
    /// Its text in memory.
    pub(super) room: OwnedSemaphorePermit,
}

/// For whom an ask is, and what it ends with.
pub(super) struct Whose {
    pub(super) member: Arc<Member>,
    pub(super) ends: Ends,
}

impl Audience {
    pub(super) fn new(company: Company, share: Share, patience: Duration) -> Self {
        Self {
            company,
            share,
            patience: Mutex::new(patience),
            cache: None,
            changed: Changed::default(),
            state: Mutex::default(),
            telling: Mutex::default(),
            level_told: Notify::new(),
            subscriptions: Mutex::default(),
        }
    }

    pub fn changed(&self) -> &Changed {
        &self.changed
    }

    /// The same, with what is kept of its server's results.
    pub(super) fn keeping(self, cache: Option<Arc<Cache>>) -> Self {
        Self { cache, ..self }
    }

    /// Something is not as it was at the server, or may not be: what is kept of its results is no good any more.
    pub(super) fn stales(&self) {
        if let Some(cache) = &self.cache {
            cache.forget();
        }
    }

    /// Room for what the server says to one client, or to us.
    pub(super) fn room(&self, owner: Option<&Member>, bytes: usize) -> Result<Option<Room>, NoRoom> {
        match owner {
            Some(owner) => self.share.take_of(&owner.part, bytes).map(Some),
            None => self.share.take_for_us(bytes),
        }
    }

    /// Room for an answer while it is coming.
    pub(super) fn growing(&self) -> Growing {
        self.share.growing()
    }

    /// A client comes. Like the others that change who listens, this may change the level that the server should have.
    pub(super) fn join(&self, caller: &Caller, mail: Arc<Mail>, look: Arc<Look>, visible: Visible) {
        let client = caller.client;
        let places = Arc::new(Semaphore::new(NOTES_MAX));
        let part = self.share.part(self.company);
        let (is_guest, is_alone) = (caller.guest_of.is_some(), caller.alone);
        let member = Member {
            client,
            is_guest,
            is_alone,
            mail,
            look,
            visible,
            standstill: Arc::default(),
            places,
            part,
        };
        let mut state = self.state.lock();
        state.members.entry(client).or_insert_with(|| Arc::new(member));
        self.relevel(&mut state);
    }

    /// A client sees the server otherwise from now on. What is under way keeps the look that it began with.
    pub(super) fn look_otherwise(&self, client: ClientId, look: &Arc<Look>) {
        let mut state = self.state.lock();
        if let Some(member) = state.members.get_mut(&client)
            && member.look != *look
        {
            *member = Arc::new(member.looking(look.clone()));
        }
    }

    pub(super) fn patient_for(&self, patience: Duration) {
        *self.patience.lock() = patience;
    }

    /// A client has left. `unheard` is called with whatever nobody listens to any more, in one order with what others
    /// subscribe to meanwhile.
    pub(super) fn leave(&self, client: ClientId, unheard: impl FnMut(Box<str>)) {
        {
            let mut subscriptions = self.subscriptions.lock();
            subscriptions.leave(client).into_iter().for_each(unheard);
        }
        let mut state = self.state.lock();
        state.members.remove(&client);
        state.elicited.retain(|(_, who)| *who != client);
        state.levels.leave(client);
        self.relevel(&mut state);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().members.is_empty()
    }

    pub(super) fn member(&self, client: ClientId) -> Option<Arc<Member>> {
        self.state.lock().members.get(&client).cloned()
    }

    pub(super) fn ask_level(&self, client: ClientId, level: Level) {
        let mut state = self.state.lock();
        state.levels.ask(client, level);
        self.relevel(&mut state);
    }

    /// A client wants to hear nothing of the log any more.
    pub(super) fn ask_no_level(&self, client: ClientId) {
        let mut state = self.state.lock();
        state.levels.leave(client);
        self.relevel(&mut state);
    }

    /// From which level on this client asked to hear the log.
    pub(super) fn level_of(&self, client: ClientId) -> Option<Level> {
        self.state.lock().levels.asked_by(client)
    }

    /// A new connection: it was told nothing yet. Returns its number.
    pub(super) fn connected(&self) -> u64 {
        // What the connection before agreed to, this one has not.
        self.subscriptions.lock().doubt_all();
        let mut telling = self.telling.lock();
        *telling = Telling { connection: telling.connection + 1, under_way: false, told: None };
        telling.connection
    }

    /// What this connection must be told now; `None`: nothing, or not before it has answered.
    pub(super) fn next_level(&self, connection: u64) -> Option<Level> {
        let wanted = self.state.lock().wanted?;
        let mut telling = self.telling.lock();
        if telling.connection != connection || telling.under_way || telling.told == Some(wanted) {
            return None;
        }
        (telling.under_way, telling.told) = (true, Some(wanted));
        Some(wanted)
    }

    /// The server agreed: what it must be told next.
    pub(super) fn level_agreed(&self, connection: u64) -> Option<Level> {
        let wanted = self.state.lock().wanted;
        let mut telling = self.telling.lock();
        if telling.connection != connection {
            return None;
        }
        let next = wanted.filter(|wanted| telling.told != Some(*wanted));
        telling.told = next.or(telling.told);
        telling.under_way = next.is_some();
        drop(telling);
        if next.is_none() {
            self.level_told.notify_waiters();
        }
        next
    }

    /// The server did not agree, or did not say: it is told again when somebody asks again.
    pub(super) fn level_failed(&self, connection: u64) {
        let mut telling = self.telling.lock();
        if telling.connection == connection {
            (telling.under_way, telling.told) = (false, None);
        }
        drop(telling);
        self.level_told.notify_waiters();
    }

    /// Resolves when the server has answered to the last level that it was told, or is gone.
    pub(super) async fn level_is_told(&self) {
        loop {
            let told = self.level_told.notified();
            if !self.telling.lock().under_way {
                return;
            }
            told.await;
        }
    }

    fn relevel(&self, state: &mut State) {
        // A guest that did not ask for any wants none of it.
        let listening = state.members.values().filter(|member| !member.is_guest).map(|member| member.client);
        let wanted = state.levels.wanted(self.company, listening);
        state.wanted = wanted.or(state.wanted);
    }

    /// Posts what a connection that has just been made must be subscribed to, in one order with what clients end
    /// meanwhile.
    pub(super) fn subscribe_again<T>(&self, post: impl Fn(&str) -> T) -> Vec<(Box<str>, T)> {
        let subscriptions = self.subscriptions.lock();
        subscriptions.uris().map(|uri| (Box::from(uri), post(uri))).collect()
    }

    /// What clients listen to.
    pub(super) fn subscribed(&self) -> Vec<Box<str>> {
        self.subscriptions.lock().uris().map(Box::from).collect()
    }

    pub(super) fn is_wanted(&self, uri: &str) -> bool {
        self.subscriptions.lock().is_wanted(uri)
    }

    /// Posts a client's `resources/subscribe` unless the server has agreed to the same already. What is decided and
    /// what is posted are in one order, so that no client's last word overtakes another's first.
    pub(super) fn subscribe<T>(
        &self,
        client: ClientId,
        uri: &str,
        post: impl FnOnce() -> T,
    ) -> Result<Option<T>, Fault> {
        let mut subscriptions = self.subscriptions.lock();
        if subscriptions.count_of(client) >= SUBSCRIPTIONS_MAX {
            let text = format!("more than {SUBSCRIPTIONS_MAX} subscriptions at one server");
            return Err(Fault::invalid_params(text));
        }
        if uri.len() > URI_BYTES_MAX {
            return Err(Fault::invalid_params(format!(
                "a URI over {URI_BYTES_MAX} bytes cannot be subscribed to"
            )));
        }
        Ok(match (subscriptions.add(client, uri), self.company) {
            (Added::First, _) | (Added::Joined, Company::One) => Some(post()),
            (Added::Joined, Company::Many) => None,
        })
    }

    /// The same for `resources/unsubscribe`: only when nobody else listens, and be it that the client never did.
    pub(super) fn unsubscribe<T>(&self, client: ClientId, uri: &str, post: impl FnOnce() -> T) -> Option<T> {
        let mut subscriptions = self.subscriptions.lock();
        match subscriptions.remove(client, uri) {
            Removed::Left => None,
            Removed::Unknown if subscriptions.is_wanted(uri) => None,
            Removed::Last | Removed::Unknown => Some(post()),
        }
    }

    /// The server has agreed to a subscription.
    pub(super) fn confirmed(&self, uri: &str) {
        self.subscriptions.lock().confirm(uri);
    }

    /// The server has agreed to these subscriptions and to no others.
    pub(super) fn agreed(&self, uris: &BTreeSet<Box<str>>) {
        let mut subscriptions = self.subscriptions.lock();
        subscriptions.doubt_all();
        uris.iter().for_each(|uri| subscriptions.confirm(uri));
    }

    /// The server has refused a client's `resources/subscribe`, or it never got there.
    pub(super) fn refused(&self, client: ClientId, uri: &str) {
        self.subscriptions.lock().fail(client, uri);
    }

    pub(super) fn company(&self) -> Company {
        self.company
    }

    /// Whether the link serves one client alone, so that what its server says is that client's.
    pub(super) fn is_own(&self) -> bool {
        self.company == Company::One
    }

    /// A log message, for everyone who wants it at its level.
    pub(super) fn logged(&self, note: &Message) -> Result<Vec<Parcel>, NoRoom> {
        let level = note.params().and_then(|params| params.level.as_ref());
        let level = level.and_then(|level| Level::parse(level.as_str(note)));
        let state = self.state.lock();
        let admitted = |member: &&Arc<Member>| {
            (!member.is_guest || state.levels.asked_by(member.client).is_some())
                && state.levels.admits(member.client, self.company, level)
        };
        let mut admitted = state.members.values().filter(admitted).peekable();
        if admitted.peek().is_none() {
            return Ok(Vec::new());
        }
        // All have the same text, and its room once.
        let text = self.share.keep(note.text().clone())?;
        whoever_has_room(admitted.map(|member| parcel(member, text.clone())))
    }

    /// `notifications/resources/updated`, for everyone who subscribed to it or to what it is part of. On a link of
    /// its own a client hears of whatever its server tells, as it would without us. Nobody hears of what he may not read.
    pub(super) fn updated(&self, note: &Message) -> Result<Vec<Parcel>, NoRoom> {
        let Some(uri) = note.params().and_then(|params| params.uri.as_ref()) else { return Ok(Vec::new()) };
        let mut said = Said::new(|look| {
            self.share.keep(splice(note.text(), &mut updated_in_clients_terms(note, &look.uris)))
        });
        let whose = self.subscriptions.lock().whose(uri.as_str(note));
        let members: Vec<Arc<Member>> = match self.company {
            Company::One => {
                // What a request without a session alone listens to is not the session's beside it.
                let is_told = |member: &&Arc<Member>| {
                    whose.contains(&member.client) || (!member.is_guest && whose.is_empty())
                };
                self.state.lock().members.values().filter(is_told).cloned().collect()
            }
            Company::Many => {
                let state = self.state.lock();
                whose.iter().filter_map(|client| state.members.get(client).cloned()).collect()
            }
        };
        let mut news = Vec::new();
        for member in members.iter().filter(|member| member.visible.admits(uri.as_str(note))) {
            let text = said.to(member)?;
            if !member.mail.has(&text) {
                news.push(parcel(member, text));
            }
        }
        whoever_has_room(news)
    }

    /// `notifications/elicitation/complete`, for the client that was sent to that page.
    pub(super) fn completed(&self, note: &Message) -> Result<Vec<Parcel>, NoRoom> {
        let mut said = Said::new(|look| {
            self.share.keep(splice(note.text(), &mut completed_in_clients_terms(note, &look.uris)))
        });
        let state = self.state.lock();
        let members: Vec<&Arc<Member>> = match self.company {
            Company::One => state.members.values().filter(|member| !member.is_guest).collect(),
            Company::Many => {
                let Some(id) = elicitation_id(note) else { return Ok(Vec::new()) };
                let whose =
                    state.elicited.iter().rev().find(|(known, _)| **known == *id).map(|(_, client)| client);
                whose.and_then(|client| state.members.get(client)).into_iter().collect()
            }
        };
        members.into_iter().map(|member| parcel(member, said.to(member)?)).collect()
    }

    /// An ask on its way to whom it is for.
    pub(super) fn asked(
        &self,
        stream: &Arc<Stream>,
        heard: HeardAsk,
        whose: Result<Whose, Fault>,
    ) -> Result<Parcel, Box<Fault>> {
        let HeardAsk { id, want, message, place, room } = heard;
        let Whose { member, ends } = whose?;
        if let Some(fault) = member.mail.askable().refusal(&message) {
            return Err(Box::new(fault));
        }
        if let (Want::Elicitation, false, Some(id)) = (want, self.is_own(), elicitation_id(&message)) {
            self.remember(id, member.client);
        }
        let Ok(memory) = self.share.take_of(&member.part, message.text().len()) else {
            let text = "too much that servers say is waiting in memory (limits.buffered)";
            return Err(Box::new(Fault::ours(Reason::Busy, text)));
        };
        // Who has no session comes back with an answer when it likes, whatever is asked.
        let person = matches!(want, Want::Elicitation | Want::Sampling) || member.is_guest;
        let slip = Slip {
            id,
            ends,
            mail: member.mail.clone(),
            withdrawn: OnceLock::new(),
            over: AtomicBool::new(false),
            hold: Mutex::new(person.then(|| Hold::new(&member.standstill))),
        };
        let patience = *self.patience.lock();
        let ask = Ask {
            stream: stream.clone(),
            slip: Arc::new(slip),
            want,
            edits: in_clients_terms(&message, want, &member.look.uris, member.look.label.as_deref()),
            message,
            back: Some(Back::Server(place)),
            _room: room,
            _memory: memory,
            patience,
            until: Instant::now() + patience,
        };
        Ok(Parcel { member, letter: Letter::Ask(Box::new(ask)) })
    }

    /// Whose an ask is. `open`: whose calls are in flight on the link.
    ///
    /// On a link of its own every ask is that client's. On a shared one it is whose calls alone are open; where that
    /// is nobody or several it is refused and never guessed (2025-11-25 has no member that says whose it is). Requests
    /// without a session of a client that is alone are one client's.
    pub(super) fn whose(&self, open: impl Iterator<Item = (CallId, ClientId)>) -> Result<Whose, Fault> {
        let nobody = || Fault::invalid_params("the client that this is for has left");
        let state = self.state.lock();
        let open: Vec<_> = open.collect();
        // One person made all of them, each with a request of its own, and is asked whichever it is: so in the newest whose
        // answer can ask. Those that were cancelled a moment ago have left, and were the same person's.
        let here = || open.iter().filter_map(|(call, client)| Some((*call, state.members.get(client)?)));
        if here().all(|(_, member)| member.is_guest && member.is_alone)
            && let Some((call, member)) =
                here().max_by_key(|(call, member)| (member.mail.askable() != Askable::default(), *call))
        {
            let ends = if open.len() == 1 { Ends::Call(call) } else { Ends::CallsOfOne };
            return Ok(Whose { member: member.clone(), ends });
        }
        if self.is_own() {
            let member =
                state.members.values().find(|member| !member.is_guest).cloned().ok_or_else(nobody)?;
            return Ok(Whose { member, ends: Ends::Client });
        }
        let mut sole = None;
        let mut count = 0_usize;
        let clients = open.into_iter().map(|(call, client)| {
            sole = Some(call);
            count += 1;
            client
        });
        let member = match owner(clients) {
            Owner::One(client) => state.members.get(&client).cloned().ok_or_else(nobody)?,
            Owner::Nobody => {
                return Err(Fault::invalid_params(
                    "no call is open that this could belong to, and this server is shared (sharing = \"session\" gives each client its own)",
                ));
            }
            Owner::Several => {
                return Err(Fault::invalid_params(
                    "calls of several clients are open and nothing says to which this belongs (sharing = \"session\" gives each client its own server)",
                ));
            }
        };
        let ends = match sole {
            Some(call) if count == 1 => Ends::Call(call),
            Some(_) | None => Ends::CallsOf(member.client),
        };
        Ok(Whose { member, ends })
    }

    /// An error sends a client to pages first.
    pub(super) fn required(&self, error: &str, client: ClientId) {
        if self.is_own() {
            return;
        }
        let pages = member(error, "data").and_then(|data| member(data, "elicitations")).and_then(elements);
        for page in pages.unwrap_or_default() {
            if let Some(id) = member(page, "elicitationId").and_then(string).filter(|id| fits(id)) {
                self.remember(id.into_owned().into_boxed_str(), client);
            }
        }
    }

    fn remember(&self, id: Box<str>, client: ClientId) {
        let mut state = self.state.lock();
        state.elicited.retain(|(known, _)| *known != id);
        if state.elicited.len() >= ELICITED_MAX {
            state.elicited.pop_front();
        }
        state.elicited.push_back((id, client));
    }
}

impl Member {
    /// Puts a letter into the client's mail; a note that finds no place is dropped.
    pub(super) fn mail(self: &Arc<Self>, letter: Letter) {
        Parcel { member: self.clone(), letter }.mail().ok();
    }
}

impl Parcel {
    /// Puts the letter into its client's mail; gives it back if the client has too many notes of this link already.
    pub(super) fn mail(mut self) -> Result<(), Box<Self>> {
        if let Letter::Note(note) = &mut self.letter {
            let Ok(place) = self.member.places.clone().try_acquire_owned() else {
                return Err(Box::new(self));
            };
            note.place = Some(place);
        }
        self.member.mail.put(self.letter);
        Ok(())
    }
}

/// A note in the terms of each door that somebody listens at.
struct Said<F> {
    say: F,
    /// One for each look: as many as there are ways to name a server.
    texts: Vec<(Arc<Look>, Bytes)>,
}

impl<F: Fn(&Look) -> Result<Bytes, NoRoom>> Said<F> {
    fn new(say: F) -> Self {
        Self { say, texts: Vec::new() }
    }

    fn to(&mut self, member: &Member) -> Result<Bytes, NoRoom> {
        if let Some((_, text)) = self.texts.iter().find(|(look, _)| Arc::ptr_eq(look, &member.look)) {
            return Ok(text.clone());
        }
        let text = (self.say)(&member.look)?;
        self.texts.push((member.look.clone(), text.clone()));
        Ok(text)
    }
}

fn parcel(member: &Arc<Member>, text: Bytes) -> Result<Parcel, NoRoom> {
    let text = member.part.keep(text)?;
    Ok(Parcel { member: member.clone(), letter: Letter::Note(Note { text, place: None }) })
}

/// A client that does not read keeps nothing from the others; no room: none of them has any.
fn whoever_has_room(
    parcels: impl IntoIterator<Item = Result<Parcel, NoRoom>>,
) -> Result<Vec<Parcel>, NoRoom> {
    let mut crowded = false;
    let parcels: Vec<_> =
        parcels.into_iter().filter_map(|parcel| parcel.inspect_err(|NoRoom| crowded = true).ok()).collect();
    if crowded && parcels.is_empty() { Err(NoRoom) } else { Ok(parcels) }
}

fn elicitation_id(message: &Message) -> Option<Box<str>> {
    let params = message.params().and_then(|params| params.object)?;
    let id = member(message.str(params), "elicitationId").and_then(string)?;
    fits(&id).then(|| id.into_owned().into_boxed_str())
}

fn fits(id: &str) -> bool {
    id.len() <= ELICITATION_ID_BYTES_MAX
}

/// Notes of one link that may wait for one client beside its calls.
const NOTES_MAX: usize = 64;
/// Subscriptions that one client may have at one server.
const SUBSCRIPTIONS_MAX: usize = 1024;
/// The longest URI that is kept for a client.
const URI_BYTES_MAX: usize = 8 * 1024;
/// Pages of a shared link that are waited for.
const ELICITED_MAX: usize = 256;
const ELICITATION_ID_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::memory::Memory;

    #[test]
    fn of_the_pages_of_a_shared_link_the_oldest_is_forgotten_first() {
        let audience = Audience::new(Company::Many, Memory::new(0).share(), Duration::ZERO);
        for page in 0..=ELICITED_MAX {
            audience.remember(page.to_string().into(), ClientId(1));
        }
        // One that is used again is another's from now on.
        audience.remember("7".into(), ClientId(2));
        let elicited = &audience.state.lock().elicited;
        let whose = |page: &str| elicited.iter().find(|(id, _)| &**id == page).map(|(_, client)| *client);
        assert_eq!((elicited.len(), whose("0")), (ELICITED_MAX, None));
        assert_eq!((whose("1"), whose("7")), (Some(ClientId(1)), Some(ClientId(2))));
    }
}
