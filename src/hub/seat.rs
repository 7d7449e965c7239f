//! One client at the hub: its links, its view of the servers, and its mail.
//!
//! A door makes one for its client and lends it to every request. It reaches only the servers behind the entrance that
//! the client came by. Dropping it leaves: servers of its own end, shared ones go on without it. It knows no transport.

use super::catalog_cache::Whose;
use super::entrance::{Entrance, Naming};
use super::views::{Place, Sight, View};
use super::{Hub, Report};
use crate::config::Instructions;
use crate::mcp::askable::Askable;
use crate::mcp::caller::{Caller, Company, Told};
use crate::mcp::instructions::{self, Speaker};
use crate::mcp::level::Level;
use crate::mcp::method::Kind;
use crate::mcp::revision::Revision;
use crate::routing::look::Look;
use crate::upstream::allowance::Allowance;
use crate::upstream::mail::Mail;
use crate::upstream::server::{Arriving, LinkKey, Server};
use crate::upstream::shown::Shown;
use crate::upstream::way::{Hand, Known};
use crate::wire::fault::Fault;
use bytes::Bytes;
use futures::future::join_all;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// A client's place at the hub, from its first byte to its last.
pub struct Seat {
    hub: Arc<Hub>,
    caller: Caller,
    entrance: Entrance,
    view: Arc<View>,
    mail: Arc<Mail>,
    allowance: Allowance,
    /// What servers of its own are told of it.
    told: Arc<watch::Sender<Option<Told>>>,
    /// What it said of itself.
    declared: OnceLock<Told>,
    /// What was declared last, by whichever guest.
    last: Arc<Mutex<Option<Declared>>>,
    /// There for as long as one request is.
    visit: Option<Visit>,
    /// The links as its last requests found them, by the place of their server.
    known: Mutex<Vec<Option<Arc<Known>>>>,
}

/// What a client declared, and what that says.
#[derive(Clone)]
struct Declared {
    text: Arc<str>,
    askable: Askable,
    told: Told,
}

/// What a guest has of the servers.
struct Visit {
    /// From which level on it wants their logs; `None`: nothing of them.
    level: Mutex<Option<Level>>,
    /// At which servers it is.
    joined: Mutex<SmallVec<[usize; 1]>>,
}

/// A server behind a client's entrance.
pub(super) struct Reached<'a> {
    pub(super) at: usize,
    pub(super) server: &'a Arc<Server>,
    pub(super) look: &'a Arc<Look>,
}

impl Seat {
    pub(super) fn new(hub: Arc<Hub>, caller: Caller, entrance: Entrance) -> Self {
        let view = hub.views.of(sight(&hub, &caller, &entrance));
        let company = if caller.alone { Company::One } else { Company::Many };
        let allowance = hub.allowance(company);
        let (mail, told) = (Arc::default(), Arc::new(watch::Sender::new(None)));
        let declared = OnceLock::new();
        let last = Arc::default();
        Self {
            hub,
            caller,
            entrance,
            view,
            mail,
            allowance,
            told,
            declared,
            last,
            visit: None,
            known: Mutex::default(),
        }
    }

    /// A place for one request without a session, by the links that this seat keeps. What its client can be asked is said
    /// with `introduce`; `level`: from which on it hears the log of the server that it goes to.
    pub fn guest(&self, level: Option<Level>) -> Self {
        let client = self.hub.next_client();
        let keeper = self.caller.guest_of.unwrap_or(self.caller.client);
        Self {
            hub: self.hub.clone(),
            caller: Caller { client, guest_of: Some(keeper), ..self.caller.clone() },
            entrance: self.entrance.clone(),
            view: self.view.clone(),
            mail: Arc::default(),
            allowance: self.allowance.clone(),
            told: self.told.clone(),
            declared: OnceLock::new(),
            last: self.last.clone(),
            visit: Some(Visit { level: Mutex::new(level), joined: Mutex::default() }),
            known: Mutex::default(),
        }
    }

    /// A place for guests, beside this client's own and by the same links.
    pub fn keeper(&self) -> Self {
        let caller = Caller {
            client: self.hub.next_client(),
            guest_of: Some(self.caller.guest_of.unwrap_or(self.caller.client)),
            ..self.caller.clone()
        };
        Self::new(self.hub.clone(), caller, self.entrance.clone())
    }

    /// Starts every server that the client does not find running. Programs start at once; the client's own are greeted
    /// when it has introduced itself.
    pub fn open(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for reached in self.servers() {
            let at = reached.at;
            if let Err(fault) = self.arrive(&reached) {
                self.view.fails(at);
                faults.push(fault);
            }
        }
        faults
    }

    /// Comes to a server, and starts it if it does not run.
    fn arrive(&self, Reached { at, server, look }: &Reached<'_>) -> Result<(), Fault> {
        let arriving = Arriving {
            caller: self.caller.clone(),
            mail: self.mail.clone(),
            look: (*look).clone(),
            shown: self.shown(*at, look),
            told: self.told.subscribe(),
        };
        let watched = server.open(&arriving)?;
        let whose = match (watched.key.is_shared(), self.caller.alone) {
            (true, _) => Whose::Everybodys,
            (false, true) => Whose::Only(self.told.subscribe()),
            (false, false) => Whose::OneOfMany,
        };
        self.hub.follow(*at, watched, whose);
        Ok(())
    }

    /// What of a server's resources the client may hear of: what it may read.
    fn shown(&self, at: usize, look: &Look) -> Shown {
        if !look.filters_resources() {
            return Shown::default();
        }
        let view = self.view.clone();
        Shown::by(move |own| view.with_catalog(|catalog| catalog.admits(at, own).is_ok()))
    }

    /// A guest comes to the server that its request is for; who has a session is there already.
    pub(super) async fn visit(&self, reached: &Reached<'_>) -> Result<(), Fault> {
        let Some(Visit { level, joined }) = &self.visit else { return Ok(()) };
        if joined.lock().contains(&reached.at) {
            return Ok(());
        }
        self.arrive(reached)?;
        joined.lock().push(reached.at);
        let level = *level.lock();
        if let Some(level) = level {
            timeout(LEVEL, reached.server.set_level(&self.caller, level)).await.ok();
        }
        Ok(())
    }

    /// Whether it has come to a server already.
    pub(super) fn is_at(&self, reached: &Reached<'_>) -> bool {
        self.visit.as_ref().is_none_or(|visit| visit.joined.lock().contains(&reached.at))
    }

    /// The server that a guest's request went to.
    pub(super) fn visited(&self) -> Option<usize> {
        self.visit.as_ref()?.joined.lock().first().copied()
    }

    /// The client of a guest is there again, with another request: what that says of it counts from now on.
    pub(super) async fn returns(&self, level: Option<Level>, askable: Askable) {
        self.mail.introduce_anew(askable);
        let Some(visit) = &self.visit else { return };
        if std::mem::replace(&mut *visit.level.lock(), level) == level {
            return;
        }
        let joined = visit.joined.lock().clone();
        for Reached { server, .. } in self.servers().filter(|reached| joined.contains(&reached.at)) {
            match level {
                Some(level) => drop(timeout(LEVEL, server.set_level(&self.caller, level)).await),
                None => server.unset_level(&self.caller),
            }
        }
    }

    /// The client has said which revision it speaks and what it can be asked: a `capabilities` object as it wrote it.
    pub fn introduce(&self, revision: Revision, capabilities: &str) {
        let Declared { askable, told, .. } = self.read(revision, capabilities);
        self.mail.introduce(askable);
        self.declared.get_or_init(|| told.clone());
        if self.visit.is_none() {
            self.told.send_replace(Some(told));
        }
    }

    /// The same of a request in whose answer nothing can be asked.
    pub fn declare(&self, revision: Revision, capabilities: &str) {
        let Declared { told, .. } = self.read(revision, capabilities);
        self.declared.get_or_init(|| told);
    }

    /// What a `capabilities` object says. Who has no session says the same with each request, as a rule: the last is
    /// remembered for all guests of one keeper.
    fn read(&self, revision: Revision, capabilities: &str) -> Declared {
        let declared = || {
            let askable = Askable::read(capabilities, revision);
            let told = Told { revision, capabilities: Arc::from(askable.told(capabilities)) };
            Declared { text: Arc::from(capabilities), askable, told }
        };
        if self.visit.is_none() {
            return declared();
        }
        let mut last = self.last.lock();
        if let Some(known) = last.as_ref()
            && *known.text == *capabilities
            && known.told.revision == revision
        {
            return known.clone();
        }
        last.insert(declared()).clone()
    }

    /// What it said of itself; nothing, as long as it has not.
    pub(super) fn declared(&self) -> Option<&Told> {
        self.declared.get()
    }

    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What tells the entrance that it came by from every other.
    pub fn door(&self) -> &Arc<str> {
        self.entrance.label()
    }

    pub fn view(&self) -> &View {
        &self.view
    }

    pub fn mail(&self) -> &Arc<Mail> {
        &self.mail
    }

    /// What its requests may take of the memory.
    pub fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// The servers behind the client's entrance, in the order of the configuration.
    fn servers(&self) -> impl Iterator<Item = Reached<'_>> {
        let all = self.hub.servers.iter().enumerate();
        all.filter_map(|(at, server)| Some(Reached { at, server, look: self.entrance.look(at)? }))
    }

    /// Lets every list of a kind be looked at again that was to be kept until now. What is known is served meanwhile.
    pub(super) fn look_again(&self, kind: Kind) {
        for Reached { at, server, .. } in self.servers() {
            let key = server.link_key(&self.caller);
            if self.hub.views.is_doubtful(at, &key, kind) {
                server.look_again(&key, kind);
            }
        }
    }

    /// The link to a server behind the client's entrance, if it is ready. A guest, which has one request, keeps none.
    pub(super) fn hand(&self, Reached { at, server, .. }: &Reached<'_>) -> Option<Hand> {
        let client = self.caller.client;
        if self.visit.is_some() {
            return server.at_hand(&server.link_key(&self.caller), client).map(Hand::Once);
        }
        let mut known = self.known.lock();
        if let Some(Some(known)) = known.get(*at)
            && known.is_good()
        {
            return Some(Hand::Known(known.clone()));
        }
        let found = server.known(&server.link_key(&self.caller), client).map(Arc::new);
        if known.len() <= *at {
            known.resize(self.hub.servers.len(), None);
        }
        if let Some(place) = known.get_mut(*at) {
            place.clone_from(&found);
        }
        found.map(Hand::Known)
    }

    /// The server at this place, if it is behind the client's entrance.
    pub(super) fn server(&self, at: usize) -> Option<Reached<'_>> {
        let (server, look) = (self.hub.servers.get(at)?, self.entrance.look(at)?);
        Some(Reached { at, server, look })
    }

    /// The server at this place and the client's link to it; `None` if it is not behind the client's entrance. There is
    /// no other way from a request to a server.
    pub(super) fn reached(&self, at: usize) -> Option<(Reached<'_>, LinkKey)> {
        let reached = self.server(at)?;
        let key = reached.server.link_key(&self.caller);
        Some((reached, key))
    }

    /// The servers' instructions, merged, as far as they are known within `patience`.
    pub async fn instructions(&self, patience: Duration) -> Option<String> {
        let identity = &self.hub.config.identity;
        match &identity.instructions {
            Instructions::None => None,
            Instructions::Text(text) => Some(text.clone()),
            Instructions::Merge => {
                let until = Instant::now() + patience;
                let links = join_all(self.servers().map(|Reached { server, .. }| {
                    let key = server.link_key(&self.caller);
                    async move { timeout_at(until, server.greeted(&key)).await.ok().flatten() }
                }))
                .await;
                let recalled =
                    self.servers().zip(&links).map(|(Reached { at, server, .. }, link)| match link {
                        Some(_) => None,
                        // What it said to another run, if it was kept: who is greeted is told once.
                        None => self.hub.views.recalled(at, &server.link_key(&self.caller))?.instructions,
                    });
                let recalled: Vec<Option<Arc<str>>> = recalled.collect();
                let fronts: Vec<String> = self.servers().map(|reached| self.front(reached.at)).collect();
                let speakers: Vec<Speaker<'_>> = self
                    .servers()
                    .zip(&links)
                    .zip(&recalled)
                    .zip(&fronts)
                    .map(|(((Reached { server, .. }, link), recalled), front)| Speaker {
                        key: server.name().key(),
                        front,
                        title: server.settings().title.as_deref().unwrap_or_default(),
                        instructions: match link {
                            Some(link) => link.greeting().instructions.as_deref(),
                            None => recalled.as_deref(),
                        },
                    })
                    .collect();
                instructions::merge(&speakers, identity.instructions_bytes_max)
            }
        }
    }

    /// What the names of the server at this place begin with.
    fn front(&self, at: usize) -> String {
        let plan = self.hub.views.plans().of(self.entrance.naming());
        match plan.servers().get(at).map(|name| name.name_prefix()) {
            None | Some("") => String::new(),
            Some(prefix) => format!("{prefix}{}", plan.separator()),
        }
    }

    /// The server that a name must belong to by its front, if that server's lists were never heard.
    pub(super) fn unheard_front(&self, name: &str) -> Option<usize> {
        let is_sole = self.servers().nth(1).is_none();
        let unheard = self.servers().filter(|reached| !self.view.is_heard(reached.at));
        let mut fronts = unheard.map(|reached| (reached.at, self.front(reached.at)));
        // Without a front it can only be the name of a server that is alone.
        let is_of = |front: &str| if front.is_empty() { is_sole } else { name.starts_with(front) };
        fronts.find(|(_, front)| is_of(front)).map(|(at, _)| at)
    }

    /// The state of each server behind the entrance, in the order of the configuration.
    pub fn reports(&self) -> Vec<Report> {
        self.hub.reports(&self.caller, &self.entrance)
    }

    /// What is wrong with a server's lists, a sentence each.
    pub fn troubles(&self, at: usize) -> Vec<String> {
        self.reached(at).map(|(_, key)| self.hub.views.troubles(at, &key)).unwrap_or_default()
    }

    /// From which level on the client wants the servers' logs. Waits for the servers to agree, but not long: what they do
    /// at once with a call would else still go by the level before.
    pub(super) async fn set_level(&self, level: Level) {
        let told: Vec<_> =
            self.servers().map(|Reached { server, .. }| server.set_level(&self.caller, level)).collect();
        timeout(LEVEL, join_all(told)).await.ok();
    }

    /// The client's roots are others by now: its own servers hear it, if they were told of roots at all.
    pub fn roots_changed(&self, note: &Bytes) {
        if !self.mail.askable().roots {
            return;
        }
        for Reached { server, .. } in self.servers() {
            server.pass(&self.caller, note);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let joined = self.visit.as_ref().map(|visit| std::mem::take(&mut *visit.joined.lock()));
        for Reached { at, server, .. } in self.servers() {
            if joined.as_ref().is_none_or(|joined| joined.contains(&at)) {
                server.leave(&self.caller);
            }
        }
        self.mail.close();
    }
}

/// What a caller sees by an entrance.
///
/// Names by it are those of the entrance to all. Where they depend on lists, so on those of servers that are not behind
/// it, as far as they are known: what one client's own server lists is known to nobody else.
pub(super) fn sight(hub: &Hub, caller: &Caller, entrance: &Entrance) -> Sight {
    let naming = entrance.naming();
    let heeds_others = match naming {
        Naming::Prefixed => hub.views.plans().of(naming).compares_lists(),
        Naming::Bare => false,
    };
    let places = hub.servers.iter().enumerate().map(|(at, server)| {
        let key = server.link_key(caller);
        match entrance.look(at) {
            Some(_) => Place::Shown(key),
            None if heeds_others && key.is_shared() => Place::Named(key),
            None => Place::Absent,
        }
    });
    let exposures = (0..hub.servers.len()).map(|at| entrance.exposure(at).cloned());
    Sight { naming, places: places.collect(), exposures: exposures.collect() }
}

/// How long a client waits for its servers to agree to a level.
const LEVEL: Duration = Duration::from_secs(2);
