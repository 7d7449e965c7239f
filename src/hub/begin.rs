//! What becomes of a request: an answer now, or an exchange with a server.
//!
//! One look at the catalog decides. A name that nobody has is asked for again once every server was heard:
//! a client may call a tool that it knows from yesterday before the servers are up today.

use super::Hub;
use super::outlook::{Outlook, Reached};
use super::parked::unknown;
use super::rates::{Excess, Rates};
use super::seat::Seat;
use crate::mcp::method::{Kind, Method};
use crate::mcp::revision::Revision;
use crate::routing::catalog::Catalog;
use crate::routing::cursor::ListDigest;
use crate::routing::route::{Local, Route, Target, route};
use crate::routing::task_ids::TaskIds;
use crate::upstream::account::{Account, Leads};
use crate::upstream::allowance::{Held, Permits};
use crate::upstream::budget::Taken;
use crate::upstream::exchange::Exchange;
use crate::upstream::hearing::Hearing;
use crate::upstream::outgoing::{Outgoing, Tasks, bytes_of};
use crate::upstream::server::{Begun, Server, ServerId};
use crate::upstream::tally::{Asked as Counted, End};
use crate::wire::fault::{Fault, Reason};
use crate::wire::id::Id;
use crate::wire::members::quote;
use crate::wire::message::{Message, Span};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;
use tokio::time::Instant;

/// What the hub makes of a request.
pub enum Answer {
    /// A whole response, or a fault for its door to render.
    Now(Result<Bytes, Fault>),
    /// A page of a list, and which edition of it the client now knows.
    List {
        text: Bytes,
        kind: Kind,
        edition: ListDigest,
    },
    Later(Box<Exchange>),
}

/// A request as its door hands it over.
pub struct Asked<'a> {
    pub seat: &'a Seat,
    pub id: &'a Id,
    pub message: &'a Message,
    pub hearing: Hearing,
    /// What the client's lists may hold.
    pub revision: Revision,
    /// Until when a list waits for servers that were not heard yet.
    pub patience: Instant,
    /// The turns it took on its way here, given back at its end.
    pub turns: Permits,
    /// The room of its text in memory.
    pub memory: Option<Held>,
    /// It comes back with what it was given.
    pub again: Option<Again>,
}

/// What becomes of a request at once.
pub enum AtOnce<'a> {
    Is(Answer),
    /// Something must be waited for: it is as it was.
    Waits(Asked<'a>),
}

/// A request that was here before.
pub struct Again {
    /// Its place among all requests in flight.
    pub place: Taken,
    /// The only server that it may go to, if it brings back what that one gave.
    pub only: Option<ServerId>,
}

impl Hub {
    /// Decides what becomes of a request, if nothing of that has to be waited for.
    pub fn begin_now<'a>(&self, asked: Asked<'a>) -> AtOnce<'a> {
        let method = Method::parse(asked.message.method().unwrap_or_default());
        let outlook = asked.seat.outlook();
        if asked.again.is_some() || (matches!(method, Method::List(_)) && !outlook.view.is_listed()) {
            return AtOnce::Waits(asked);
        }
        let mut target = match self.route(&outlook, &asked, method) {
            Route::One(target) => target,
            Route::Local(Local::List(kind)) => return AtOnce::Is(self.page(kind, &outlook, &asked)),
            Route::Local(_) | Route::Unknown(_) | Route::Refuse(_) => return AtOnce::Waits(asked),
        };
        let seat = asked.seat;
        if outlook.view.is_hearsay(target.pass.server()) {
            return AtOnce::Waits(asked);
        }
        let Some(reached) = outlook.server(target.pass.server()) else { return AtOnce::Waits(asked) };
        if !seat.is_at(&reached) {
            return AtOnce::Waits(asked);
        }
        let amended = target.amended.take();
        let message = amended.as_deref().unwrap_or(asked.message);
        let bytes = bytes_of(message, seat.declared());
        let way = seat.hand(&outlook, &reached).and_then(|hand| reached.server.way(hand, method, bytes));
        let (Some(place), Some(way)) = (self.place(), way) else { return AtOnce::Waits(asked) };
        if let Some(rates) = &outlook.edition.rates
            && let Err(fault) = self.keeps_to(rates, &asked, method, &target, &reached)
        {
            return AtOnce::Is(Answer::Now(Err(*fault)));
        }
        let (id, heard, edit) = (asked.id, (asked.hearing, asked.message), target.edit.take());
        let mut outgoing = self.outgoing(asked, method, (&target, edit), &reached, place);
        outgoing.message = message;
        match self.account(seat, heard, reached.server.key(), &target) {
            Ok(account) => outgoing.account = account,
            Err(fault) => return AtOnce::Is(Answer::Now(Err(fault))),
        }
        AtOnce::Is(begun(id, reached.server.begin_on(way, outgoing)))
    }

    /// Decides what becomes of a request. Total: every request gets exactly one answer.
    pub async fn begin(&self, asked: Asked<'_>) -> Answer {
        let method = Method::parse(asked.message.method().unwrap_or_default());
        let outlook = asked.seat.outlook();
        if let Method::List(_) = method {
            Box::pin(outlook.view.listed(asked.patience)).await;
        }
        let mut routed = self.route(&outlook, &asked, method);
        if let Route::One(target) = &routed
            && outlook.view.is_hearsay(target.pass.server())
        {
            // Lists of another run are for being shown: what they allow and how a tool looks may be otherwise by now.
            routed = match Box::pin(self.route_heard(&outlook, &asked, method, target.pass.server())).await {
                Ok(routed) => routed,
                Err(why) => return Answer::Now(Err(self.turned_away(&outlook, &asked, method, why))),
            };
        }
        if let Route::Unknown(_) = routed {
            routed = match Box::pin(self.route_again(&outlook, &asked, method)).await {
                Ok(routed) => routed,
                Err(why) => return Answer::Now(Err(self.turned_away(&outlook, &asked, method, why))),
            };
        }
        match routed {
            Route::One(target) => self.send(&outlook, asked, method, target).await,
            Route::Local(local) => Box::pin(self.local(local, &outlook, &asked)).await,
            Route::Unknown(fault) | Route::Refuse(fault) => {
                Answer::Now(Err(self.turned_away(&outlook, &asked, method, fault)))
            }
        }
    }

    /// A request that leads nowhere is written down as well, where calls are.
    fn turned_away(&self, outlook: &Outlook, asked: &Asked<'_>, method: Method, fault: Fault) -> Fault {
        if Counted::of(method) == Counted::Other {
            return fault;
        }
        let params = asked.message.params();
        let name = params.and_then(|params| params.name.as_ref().or(params.uri.as_ref()));
        let name = name.map(|name| name.as_str(asked.message));
        // Whose name it would be, if that one could be asked.
        let whose = fault.server.as_deref();
        let servers = outlook.edition.servers();
        if let Some(server) = servers.iter().find(|server| Some(server.key()) == whose) {
            server.tally().refuses(&fault);
        }
        // It is said beside the fault, which goes on.
        let whose = fault.server.clone();
        self.unsent(asked, method, Leads { server: whose.as_deref(), item: name, is_found: false }, fault)
    }

    /// What is said of a request that is not sent, once that is logged and written down.
    fn unsent(&self, asked: &Asked<'_>, method: Method, leads: Leads<'_>, fault: Fault) -> Fault {
        tracing::debug!(
            event = "call",
            server = leads.server,
            method = Counted::of(method).as_str(),
            client = asked.seat.caller().client.0,
            outcome = End::of(&fault).error_type(),
            code = fault.code,
            why = fault.text,
            "not sent"
        );
        match Account::open(&self.lookout, asked.seat.caller(), asked.hearing, asked.message, leads) {
            Ok(account) => not_sent(account, fault),
            Err(fault) => fault,
        }
    }

    /// Whether a client keeps to its rates with one more request. The fault of one too many is counted, logged and written
    /// down; nobody waits, and nothing is started for it.
    fn keeps_to(
        &self,
        rates: &Rates,
        asked: &Asked<'_>,
        method: Method,
        target: &Target,
        reached: &Reached<'_>,
    ) -> Result<(), Box<Fault>> {
        let (caller, own) = (asked.seat.caller(), target.pass.own());
        match rates.count(caller, Counted::of(method), reached.at, own, Instant::now()) {
            Ok(()) => Ok(()),
            Err(excess) => Err(Box::new(self.held_back(asked, method, target, reached.server, &excess))),
        }
    }

    #[cold]
    fn held_back(
        &self,
        asked: &Asked<'_>,
        method: Method,
        target: &Target,
        server: &Server,
        excess: &Excess,
    ) -> Fault {
        let (key, own) = (server.key(), target.pass.own());
        let fault = excess.fault(key, own);
        server.tally().over_rate(excess.rated, &fault);
        self.unsent(asked, method, Leads { server: Some(key), item: Some(own), is_found: true }, fault)
    }

    /// Where a request is written down, if it is.
    #[inline]
    fn account(
        &self,
        seat: &Seat,
        (hearing, message): (Hearing, &Message),
        server: &str,
        target: &Target,
    ) -> Result<Option<Box<Account>>, Fault> {
        let leads = Leads { server: Some(server), item: Some(target.pass.own()), is_found: true };
        Account::open(&self.lookout, seat.caller(), hearing, message, leads)
    }

    fn route(&self, outlook: &Outlook, asked: &Asked<'_>, method: Method) -> Route {
        match method == Method::Task {
            true => self.task(outlook, asked).map_or_else(Route::Refuse, Route::One),
            false => outlook.view.with_catalog(|catalog| route(catalog, method, asked.message)),
        }
    }

    /// Where a request leads whose name nobody has now, when those were heard who may have it. The fault: the server that
    /// may have it cannot be heard.
    async fn route_again(
        &self,
        outlook: &Outlook,
        asked: &Asked<'_>,
        method: Method,
    ) -> Result<Route, Fault> {
        let view = &outlook.view;
        if !view.is_settled() {
            view.settled(asked.patience).await;
        }
        let routed = self.route(outlook, asked, method);
        let (Route::Unknown(_), Some(at)) = (&routed, unheard(outlook, asked)) else { return Ok(routed) };
        // It may be a name of a server that has not told us its names: what keeps it from that is the answer.
        self.route_heard(outlook, asked, method, at).await
    }

    /// Where a request leads once the server at this place was heard in this run. The fault: it cannot be heard.
    async fn route_heard(
        &self,
        outlook: &Outlook,
        asked: &Asked<'_>,
        method: Method,
        at: usize,
    ) -> Result<Route, Fault> {
        if let Some((reached, key)) = outlook.reached(at, asked.seat.caller()) {
            reached.server.reach(&key).await?;
            // It is there now. That it failed before says nothing of the lists that are being fetched.
            outlook.view.heard(at, Instant::now() + reached.settings.timeouts.list).await;
        }
        Ok(self.route(outlook, asked, method))
    }

    /// Sends a request where it leads.
    async fn send(
        &self,
        outlook: &Outlook,
        mut asked: Asked<'_>,
        method: Method,
        mut target: Target,
    ) -> Answer {
        // What comes back with an answer goes on with a call that was counted.
        if let (Some(rates), None) = (&outlook.edition.rates, &asked.again)
            && let Some(reached) = outlook.server(target.pass.server())
            && let Err(fault) = self.keeps_to(rates, &asked, method, &target, &reached)
        {
            return Answer::Now(Err(*fault));
        }
        let (place, only) = asked.again.take().map(|Again { place, only }| (place, only)).unzip();
        let reached = outlook.reached(target.pass.server(), asked.seat.caller());
        let Some((reached, key)) = reached else {
            return Answer::Now(Err(Fault::ours(
                Reason::Internal,
                "the catalog names a server that is not there",
            )));
        };
        if only.flatten().is_some_and(|only| only != reached.server.id()) {
            // What it asks for is another's by now.
            return Answer::Now(Err(unknown()));
        }
        let heard = (asked.hearing, asked.message);
        let account = match self.account(asked.seat, heard, reached.server.key(), &target) {
            Ok(account) => account,
            Err(fault) => return Answer::Now(Err(fault)),
        };
        if let Err(fault) = asked.seat.visit(&reached).await {
            return Answer::Now(Err(not_sent(account, fault)));
        }
        let place = match place.map_or_else(|| self.place_or_busy(), Ok) {
            Ok(place) => place,
            Err(fault) => return Answer::Now(Err(not_sent(account, fault))),
        };
        let (id, edit, amended) = (asked.id, target.edit.take(), target.amended.take());
        let message = amended.as_deref().unwrap_or(asked.message);
        let mut outgoing = self.outgoing(asked, method, (&target, edit), &reached, place);
        outgoing.message = message;
        outgoing.account = account;
        begun(id, reached.server.begin(&key, outgoing).await)
    }

    /// A request as its server is given it.
    fn outgoing<'a>(
        &self,
        asked: Asked<'a>,
        method: Method,
        (target, edit): (&'a Target, Option<(Span, Bytes)>),
        reached: &Reached<'a>,
        place: Taken,
    ) -> Outgoing<'a> {
        let mut turns = asked.turns;
        turns.push(place.into());
        Outgoing {
            client: asked.seat.caller().client,
            keeper: asked.seat.caller().keeper(),
            told: asked.seat.declared(),
            look: reached.look,
            settings: reached.settings,
            id: asked.id,
            message: asked.message,
            method,
            pass: &target.pass,
            edit,
            needs_task: target.needs_task,
            reads_only: target.reads_only,
            mirrors: target.mirrors.as_deref(),
            tasks: self.tasks(asked.seat, target.pass.tool()),
            turns,
            memory: asked.memory,
            account: None,
        }
    }

    /// Where a request about a task leads: to the server of the task and nowhere else.
    fn task(&self, outlook: &Outlook, asked: &Asked<'_>) -> Result<Target, Fault> {
        let ids = self.ids(asked.seat).ok_or_else(tasks_needed)?;
        let unknown = || Fault::invalid_params("unknown task");
        let params = asked.message.params();
        let id = params.and_then(|params| params.task_id.as_ref()).ok_or_else(unknown)?;
        let task = ids.read(&asked.seat.caller().principal, id.as_str(asked.message)).ok_or_else(unknown)?;
        let at = outlook.edition.servers().iter().position(|it| it.key() == task.server);
        let at = at.ok_or_else(unknown)?;
        outlook.server(at).ok_or_else(unknown)?;
        let admitted = |catalog: &Catalog| catalog.admits_task(at, &task.own, &task.tool);
        let pass = outlook.view.with_catalog(admitted).map_err(|_| unknown())?;
        let edit = Some((id.span(), Bytes::from(quote(&task.own))));
        Ok(Target { pass, edit, amended: None, needs_task: false, reads_only: false, mirrors: None })
    }

    /// Whether whoever comes back for what it began may still begin it: it may have lost the right since, or shows a token
    /// that never had it.
    pub fn still_admits(&self, seat: &Seat, method: Method, message: &Message) -> bool {
        let (outlook, caller) = (seat.outlook(), seat.caller());
        if outlook.edition.rights(&caller.principal, &caller.scopes).is_none() {
            return true;
        }
        match outlook.view.with_catalog(|catalog| route(catalog, method, message)) {
            Route::One(target) => outlook.server(target.pass.server()).is_some(),
            Route::Local(_) | Route::Unknown(_) | Route::Refuse(_) => false,
        }
    }

    /// The seals of tasks' ids, if this client knows of tasks.
    fn ids(&self, seat: &Seat) -> Option<&Arc<TaskIds>> {
        // Only who says what it is with each request knows of any.
        let stands = seat.declared().is_some_and(|told| told.revision.is_modern());
        self.task_ids.as_ref().filter(|_| stands && knows_tasks(seat))
    }

    /// How tasks of a tool are called toward this client, if it knows of any.
    fn tasks(&self, seat: &Seat, tool: &Arc<str>) -> Option<Tasks> {
        let ids = self.ids(seat)?.clone();
        Some(Tasks { ids, principal: seat.caller().principal.clone(), tool: tool.clone() })
    }

    async fn local(&self, local: Local, outlook: &Outlook, asked: &Asked<'_>) -> Answer {
        match local {
            Local::Ping => Answer::Now(Ok(response(asked.id, b"{}"))),
            Local::NoCompletions => Answer::Now(Ok(response(asked.id, br#"{"completion":{"values":[]}}"#))),
            Local::List(kind) => self.page(kind, outlook, asked),
            Local::SetLevel(level) => {
                asked.seat.set_level(level).await;
                Answer::Now(Ok(response(asked.id, b"{}")))
            }
        }
    }

    fn page(&self, kind: Kind, outlook: &Outlook, asked: &Asked<'_>) -> Answer {
        asked.seat.look_again(outlook, kind);
        let catalog = outlook.view.catalog();
        let params = asked.message.params();
        let cursor =
            params.and_then(|params| params.cursor.as_ref()).map(|cursor| cursor.as_str(asked.message));
        match catalog.page(kind, cursor, asked.revision, Instant::now().into_std()) {
            Ok(page) => {
                Answer::List { text: response(asked.id, &page), kind, edition: *catalog.digest(kind) }
            }
            Err(_) => {
                let text = "`params.cursor` is none of ours, or the list has changed since";
                Answer::Now(Err(Fault::invalid_params(text)))
            }
        }
    }
}

/// Whether its client has said that it knows of tasks. Not where most calls go through: few could say so.
#[inline(never)]
fn knows_tasks(seat: &Seat) -> bool {
    seat.mail().askable().tasks
}

/// What is said of a request that cannot be sent, once that is written down.
fn not_sent(account: Option<Box<Account>>, fault: Fault) -> Fault {
    let written = account.map_or(Ok(()), |account| account.close(End::of(&fault), 0));
    written.err().unwrap_or(fault)
}

/// What became of a request at its server.
fn begun(id: &Id, begun: Result<Begun, Fault>) -> Answer {
    match begun {
        Ok(Begun::Exchange(exchange)) => Answer::Later(exchange),
        Ok(Begun::Known(text)) => Answer::Now(Ok(text)),
        Ok(Begun::Already) => Answer::Now(Ok(response(id, b"{}"))),
        Err(fault) => Answer::Now(Err(fault)),
    }
}

/// MissingRequiredClientCapability (2026-07-28).
const MISSING_CAPABILITY: i32 = -32021;
const TASKS_NEEDED: &str = r#"{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}"#;

/// The fault of whoever asks about tasks without having declared that it knows of any.
pub fn tasks_needed() -> Fault {
    let text =
        "the request needs the extension io.modelcontextprotocol/tasks, which the client did not declare";
    Fault::plain(MISSING_CAPABILITY, text).data(TASKS_NEEDED)
}

/// The server whose names begin as the asked one does, if its lists were never heard.
fn unheard(outlook: &Outlook, asked: &Asked<'_>) -> Option<usize> {
    let params = asked.message.params()?;
    let name = params.name.as_ref().map(|name| name.as_str(asked.message))?;
    outlook.unheard_front(name)
}

/// A response with this result.
pub fn response(id: &Id, result: &[u8]) -> Bytes {
    let mut text = BytesMut::with_capacity(result.len() + id.as_bytes().len() + 40);
    text.put_slice(br#"{"jsonrpc":"2.0","id":"#);
    text.put_slice(id.as_bytes());
    text.put_slice(br#","result":"#);
    text.put_slice(result);
    text.put_u8(b'}');
    text.freeze()
}
