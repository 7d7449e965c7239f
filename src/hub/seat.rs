//! One client at the hub: its links, its view of the servers, and its mail.
//!
//! A door makes one for its client and lends it to every request. It reaches only the servers behind the entrance that
//! the client came by. When another edition takes the place of the one before, it moves there, with all that the client
//! asked of its servers. Dropping it leaves: servers of its own end, shared ones go on without it. It knows no transport.

use super::catalog_cache::Whose;
use super::edition::Edition;
use super::entrance::Entrance;
use super::outlook::{Outlook, Reached};
use super::views::View;
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
use crate::upstream::server::{Arriving, ServerId};
use crate::upstream::visible::Visible;
use crate::upstream::way::Hand;
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
    outlook: Standpoint,
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
    /// What it has of the servers, if it may outlive an edition. Held while that changes.
    stay: Mutex<Stay>,
}

/// Where a client stands.
enum Standpoint {
    /// For as long as it is there: a request.
    Fixed(Arc<Outlook>),
    /// Until there is another edition.
    Moving(watch::Sender<Arc<Outlook>>),
}

/// What is to be carried from one edition to the next.
#[derive(Default)]
struct Stay {
    /// It has come to its servers.
    is_open: bool,
    /// From which level on it wants their logs, if it has said so.
    level: Option<Level>,
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
    joined: Mutex<SmallVec<[ServerId; 1]>>,
}

impl Visit {
    /// Not where a call of a client with a session goes through, which makes no visits.
    #[inline(never)]
    fn is_at(&self, server: ServerId) -> bool {
        self.joined.lock().contains(&server)
    }
}

impl Seat {
    pub(super) fn new(hub: Arc<Hub>, edition: Arc<Edition>, caller: Caller, entrance: Entrance) -> Self {
        let outlook = Outlook::new(&hub.views, edition, &caller, &entrance);
        let company = if caller.alone { Company::One } else { Company::Many };
        let allowance = hub.allowance(company);
        Self {
            hub,
            caller,
            entrance,
            outlook: Standpoint::Moving(watch::Sender::new(Arc::new(outlook))),
            mail: Arc::default(),
            allowance,
            told: Arc::new(watch::Sender::new(None)),
            declared: OnceLock::new(),
            last: Arc::default(),
            visit: None,
            stay: Mutex::default(),
        }
    }

    /// A place for one request without a session, by the links that this seat keeps. What its client can be asked is said
    /// with `introduce`; `level`: from which on it hears the log of the server that it goes to.
    pub fn guest(&self, level: Option<Level>) -> Self {
        self.guest_at(Standpoint::Fixed(self.outlook()), level)
    }

    /// The same for a request that goes on for as long as its client likes, whatever becomes of the configuration.
    pub fn lasting_guest(&self) -> Arc<Self> {
        let standpoint = Standpoint::Moving(watch::Sender::new(self.outlook()));
        self.hub.seats.enter(&self.hub, self.guest_at(standpoint, None))
    }

    fn guest_at(&self, outlook: Standpoint, level: Option<Level>) -> Self {
        let client = self.hub.next_client();
        let keeper = self.caller.guest_of.unwrap_or(self.caller.client);
        Self {
            hub: self.hub.clone(),
            caller: Caller { client, guest_of: Some(keeper), ..self.caller.clone() },
            entrance: self.entrance.clone(),
            outlook,
            mail: Arc::default(),
            allowance: self.allowance.clone(),
            told: self.told.clone(),
            declared: OnceLock::new(),
            last: self.last.clone(),
            visit: Some(Visit { level: Mutex::new(level), joined: Mutex::default() }),
            stay: Mutex::default(),
        }
    }

    /// A place for guests, beside this client's own and by the same links.
    pub fn keeper(&self) -> Arc<Self> {
        let caller = Caller {
            client: self.hub.next_client(),
            guest_of: Some(self.caller.guest_of.unwrap_or(self.caller.client)),
            ..self.caller.clone()
        };
        self.hub.seat(caller, &self.entrance)
    }

    /// Starts every server that the client does not find running. Programs start at once; the client's own are greeted
    /// when it has introduced itself.
    pub fn open(&self) -> Vec<Fault> {
        let mut stay = self.stay.lock();
        stay.is_open = true;
        let outlook = self.outlook();
        outlook.servers().filter_map(|reached| self.arrive_or_fail(&outlook, &reached).err()).collect()
    }

    /// Comes to a server of an outlook, where nobody waits for one that it cannot come to.
    fn arrive_or_fail(&self, outlook: &Outlook, reached: &Reached<'_>) -> Result<(), Fault> {
        self.arrive(reached).inspect_err(|_| outlook.view.fails(reached.at))
    }

    /// Another edition has taken the place of the one before: the client comes to servers that are new, sees others as they
    /// look now, and leaves those that are not behind its entrance any more. One edition after the other.
    pub(super) fn moves(&self, edition: &Arc<Edition>) {
        let Standpoint::Moving(place) = &self.outlook else { return };
        let stay = self.stay.lock();
        let before = place.borrow().clone();
        if before.edition.number >= edition.number {
            return;
        }
        let now = Outlook::new(&self.hub.views, edition.clone(), &self.caller, &self.entrance);
        for reached in now.servers() {
            match before.same(reached.server.id()) {
                Some(known) if known.look == reached.look => {}
                Some(_) => reached.server.look_otherwise(&self.caller, reached.look),
                None if !stay.is_open => {}
                None => match self.arrive_or_fail(&now, &reached) {
                    // What the client said of the log holds for whoever comes later, too. Nobody waits for it.
                    Ok(()) => drop(stay.level.map(|level| reached.server.set_level(&self.caller, level))),
                    Err(fault) => tracing::warn!(why = fault.text, "not started"),
                },
            }
        }
        let now = Arc::new(now);
        place.send_replace(now.clone());
        for gone in before.servers().filter(|gone| now.same(gone.server.id()).is_none()) {
            if stay.is_open || self.is_at(&gone) {
                gone.server.leave(&self.caller);
            }
        }
    }

    /// What the client sees now.
    pub(super) fn outlook(&self) -> Arc<Outlook> {
        match &self.outlook {
            Standpoint::Fixed(outlook) => outlook.clone(),
            Standpoint::Moving(place) => place.borrow().clone(),
        }
    }

    /// Comes to a server, and starts it if it does not run.
    fn arrive(&self, Reached { server, look, .. }: &Reached<'_>) -> Result<(), Fault> {
        let arriving = Arriving {
            caller: self.caller.clone(),
            mail: self.mail.clone(),
            look: (*look).clone(),
            visible: self.visible(server.id(), look),
            told: self.told.subscribe(),
        };
        let watched = server.open(&arriving)?;
        let whose = match (watched.key.is_shared(), self.caller.alone) {
            // Who shows another token may see others.
            _ if watched.key.is_by_grant() => Whose::OneOfMany,
            (true, _) => Whose::Everybodys,
            (false, true) => Whose::Only(self.told.subscribe()),
            (false, false) => Whose::OneOfMany,
        };
        self.hub.follow(server, watched, whose);
        Ok(())
    }

    /// What of a server's resources the client may hear of: what it may read, whatever edition holds by then.
    fn visible(&self, id: ServerId, look: &Look) -> Visible {
        let admits = move |outlook: &Outlook, own: &str| {
            let Some(reached) = outlook.same(id) else { return false };
            let admits = || outlook.view.with_catalog(|catalog| catalog.admits(reached.at, own).is_ok());
            !reached.look.filters_resources() || admits()
        };
        match &self.outlook {
            Standpoint::Fixed(_) if !look.filters_resources() => Visible::default(),
            Standpoint::Fixed(outlook) => {
                let outlook = outlook.clone();
                Visible::by(move |own| admits(&outlook, own))
            }
            Standpoint::Moving(place) => {
                let place = place.subscribe();
                Visible::by(move |own| {
                    let outlook = place.borrow().clone();
                    admits(&outlook, own)
                })
            }
        }
    }

    /// A guest comes to the server that its request is for; who has a session is there already.
    pub(super) async fn visit(&self, reached: &Reached<'_>) -> Result<(), Fault> {
        let Some(visit) = &self.visit else { return Ok(()) };
        if visit.is_at(reached.server.id()) {
            return Ok(());
        }
        self.arrive(reached)?;
        visit.joined.lock().push(reached.server.id());
        let level = *visit.level.lock();
        if let Some(level) = level {
            timeout(LEVEL, reached.server.set_level(&self.caller, level)).await.ok();
        }
        Ok(())
    }

    /// Whether it has come to a server already.
    pub(super) fn is_at(&self, reached: &Reached<'_>) -> bool {
        self.visit.as_ref().is_none_or(|visit| visit.is_at(reached.server.id()))
    }

    /// The server that a guest's request went to.
    pub(super) fn visited(&self) -> Option<ServerId> {
        self.visit.as_ref()?.joined.lock().first().copied()
    }

    /// The client of a guest is there again, with another request: what that says of it counts from now on.
    pub(super) async fn returns(&self, level: Option<Level>, askable: Askable) {
        self.mail.introduce_anew(askable);
        let Some(visit) = &self.visit else { return };
        if std::mem::replace(&mut *visit.level.lock(), level) == level {
            return;
        }
        let (joined, outlook) = (visit.joined.lock().clone(), self.outlook());
        for Reached { server, .. } in outlook.servers().filter(|it| joined.contains(&it.server.id())) {
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

    /// By which it came.
    pub fn entrance(&self) -> &Entrance {
        &self.entrance
    }

    /// What tells the entrance that it came by from every other.
    pub fn door(&self) -> &Arc<str> {
        self.entrance.label()
    }

    /// What its servers list, as it sees them now.
    pub fn view(&self) -> Arc<View> {
        self.outlook().view.clone()
    }

    /// The same, and each that takes its place.
    pub(crate) fn watch_view(&self) -> Watch {
        Watch(match &self.outlook {
            Standpoint::Fixed(outlook) => watch::Sender::new(outlook.clone()).subscribe(),
            Standpoint::Moving(place) => place.subscribe(),
        })
    }

    pub fn mail(&self) -> &Arc<Mail> {
        &self.mail
    }

    /// What its requests may take of the memory.
    pub fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// Lets every list of a kind be looked at again that was to be kept until now. What is known is served meanwhile.
    pub(super) fn look_again(&self, outlook: &Outlook, kind: Kind) {
        for Reached { server, .. } in outlook.servers() {
            let key = server.link_key(&self.caller);
            server.is_looked_for(&key);
            if self.hub.views.is_doubtful(server.id(), &key, kind) {
                server.look_again(&key, kind);
            }
        }
    }

    /// The link to a server behind the client's entrance, if it is ready. A guest, which has one request, keeps none.
    pub(super) fn hand(&self, outlook: &Outlook, reached: &Reached<'_>) -> Option<Hand> {
        match self.visit.is_some() {
            true => {
                let server = reached.server;
                server.at_hand(&server.link_key(&self.caller), self.caller.client).map(Hand::Once)
            }
            false => outlook.hand(reached, &self.caller),
        }
    }

    /// The servers' instructions, merged, as far as they are known within `patience`.
    pub async fn instructions(&self, patience: Duration) -> Option<String> {
        let outlook = self.outlook();
        let identity = &outlook.edition.config.identity;
        match &identity.instructions {
            Instructions::None => None,
            Instructions::Text(text) => Some(text.clone()),
            Instructions::Merge => {
                let until = Instant::now() + patience;
                let links = join_all(outlook.servers().map(|Reached { server, .. }| {
                    let key = server.link_key(&self.caller);
                    async move { timeout_at(until, server.greeted(&key)).await.ok().flatten() }
                }))
                .await;
                let recalled =
                    outlook.servers().zip(&links).map(|(Reached { server, .. }, link)| match link {
                        Some(_) => None,
                        // What it said to another run, if it was kept: who is greeted is told once.
                        None => {
                            let key = server.link_key(&self.caller);
                            self.hub.views.recalled(server.id(), &key)?.instructions
                        }
                    });
                let recalled: Vec<Option<Arc<str>>> = recalled.collect();
                let fronts: Vec<String> =
                    outlook.servers().map(|reached| outlook.front(reached.at)).collect();
                let speakers: Vec<Speaker<'_>> = outlook
                    .servers()
                    .zip(&links)
                    .zip(&recalled)
                    .zip(&fronts)
                    .filter(|(((reached, _), _), _)| outlook.mentions(reached))
                    .map(|(((Reached { settings, .. }, link), recalled), front)| Speaker {
                        key: &settings.key,
                        front,
                        title: settings.title.as_deref().unwrap_or_default(),
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

    /// The state of each server behind the entrance, in the order of the configuration.
    pub fn reports(&self) -> Vec<Report> {
        self.hub.reports(&self.caller, &self.entrance)
    }

    /// What is wrong with a server's lists, a sentence each.
    pub fn troubles(&self, at: usize) -> Vec<String> {
        let outlook = self.outlook();
        let reached = outlook.reached(at, &self.caller);
        reached.map(|(it, key)| self.hub.views.troubles(it.server.id(), &key)).unwrap_or_default()
    }

    /// From which level on the client wants the servers' logs. Waits for the servers to agree, but not long: what they do
    /// at once with a call would else still go by the level before.
    pub(super) async fn set_level(&self, level: Level) {
        let told: Vec<_> = {
            let mut stay = self.stay.lock();
            stay.level = Some(level);
            let outlook = self.outlook();
            outlook.servers().map(|Reached { server, .. }| server.set_level(&self.caller, level)).collect()
        };
        timeout(LEVEL, join_all(told)).await.ok();
    }

    /// The client's roots are others by now: its own servers hear it, if they were told of roots at all.
    pub fn roots_changed(&self, note: &Bytes) {
        if !self.mail.askable().roots {
            return;
        }
        for Reached { server, .. } in self.outlook().servers() {
            server.pass(&self.caller, note);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let joined = self.visit.as_ref().map(|visit| std::mem::take(&mut *visit.joined.lock()));
        for Reached { server, .. } in self.outlook().servers() {
            if joined.as_ref().is_none_or(|joined| joined.contains(&server.id())) {
                server.leave(&self.caller);
            }
        }
        self.mail.close();
        if let Standpoint::Moving(_) = self.outlook {
            self.hub.seats.leave(self.caller.client);
        }
    }
}

/// The view of a client, whichever it is at the time.
pub(crate) struct Watch(watch::Receiver<Arc<Outlook>>);

impl Watch {
    /// The view of this moment; what is not [`changed`](Self::changed) is known.
    pub(crate) fn take(&mut self) -> Arc<View> {
        self.0.borrow_and_update().view.clone()
    }

    /// Resolves when there is another. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// How long a client's first list waits for servers that were not heard yet.
    pub(crate) fn patience(&self) -> Duration {
        self.0.borrow().edition.config.first_list
    }
}

/// How long a client waits for its servers to agree to a level.
const LEVEL: Duration = Duration::from_secs(2);
