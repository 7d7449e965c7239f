//! What becomes of a request: an answer now, or an exchange with a server.
//!
//! One look at the catalog decides. A name that nobody has is asked for again once every server was heard:
//! a client may call a tool that it knows from yesterday before the servers are up today.

use super::Hub;
use super::parked::unknown;
use super::seat::{Reached, Seat};
use crate::mcp::method::{Kind, Method};
use crate::mcp::revision::Revision;
use crate::routing::catalog::Catalog;
use crate::routing::cursor::ListDigest;
use crate::routing::look::Look;
use crate::routing::route::{Local, Route, Target, route};
use crate::routing::task_ids::TaskIds;
use crate::upstream::account::Account;
use crate::upstream::allowance::{Held, Permits};
use crate::upstream::budget::Taken;
use crate::upstream::exchange::Exchange;
use crate::upstream::outgoing::{Outgoing, Tasks, bytes_of};
use crate::upstream::server::Begun;
use crate::upstream::tally::{Asked as Counted, End};
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::Id;
use crate::wire::members::quote;
use crate::wire::message::{Message, Span};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
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

impl<'a> Asked<'a> {
    /// The same with another message, if there is one.
    fn in_place_of(self, amended: Option<&'a Message>) -> Self {
        Self { message: amended.unwrap_or(self.message), ..self }
    }
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
    /// The place of the only server that it may go to, if it brings back what that one gave.
    pub only: Option<usize>,
}

impl Hub {
    /// Decides what becomes of a request, if nothing of that has to be waited for.
    pub fn begin_now<'a>(&self, asked: Asked<'a>) -> AtOnce<'a> {
        let method = Method::parse(asked.message.method().unwrap_or_default());
        if asked.again.is_some() || (matches!(method, Method::List(_)) && !asked.seat.view().is_listed()) {
            return AtOnce::Waits(asked);
        }
        let mut target = match self.route(&asked, method) {
            Route::One(target) => target,
            Route::Local(Local::List(kind)) => return AtOnce::Is(self.page(kind, &asked)),
            Route::Local(_) | Route::Unknown(_) | Route::Refuse(_) => return AtOnce::Waits(asked),
        };
        let seat = asked.seat;
        if seat.view().is_hearsay(target.pass.server()) {
            return AtOnce::Waits(asked);
        }
        let Some(reached) = seat.server(target.pass.server()) else { return AtOnce::Waits(asked) };
        if !seat.is_at(&reached) {
            return AtOnce::Waits(asked);
        }
        let amended = target.amended.take();
        let bytes = bytes_of(amended.as_deref().unwrap_or(asked.message), seat.declared());
        let way = seat.hand(&reached).and_then(|hand| reached.server.way(hand, method, bytes));
        let (Some(place), Some(way)) = (self.place(), way) else { return AtOnce::Waits(asked) };
        let account = match self.account(&asked, reached.server.name().key(), &target) {
            Ok(account) => account,
            Err(fault) => return AtOnce::Is(Answer::Now(Err(fault))),
        };
        let (id, edit) = (asked.id, target.edit.take());
        let asked = asked.in_place_of(amended.as_deref());
        let mut outgoing = self.outgoing(asked, method, (&target, edit), reached.look, place);
        outgoing.account = account;
        AtOnce::Is(begun(id, reached.server.begin_on(way, outgoing)))
    }

    /// Decides what becomes of a request. Total: every request gets exactly one answer.
    pub async fn begin(&self, asked: Asked<'_>) -> Answer {
        let method = Method::parse(asked.message.method().unwrap_or_default());
        if let Method::List(_) = method {
            Box::pin(asked.seat.view().listed(asked.patience)).await;
        }
        let mut routed = self.route(&asked, method);
        if let Route::One(target) = &routed
            && asked.seat.view().is_hearsay(target.pass.server())
        {
            // Lists of another run are for being shown: what they allow and how a tool looks may be otherwise by now.
            routed = match Box::pin(self.route_heard(&asked, method, target.pass.server())).await {
                Ok(routed) => routed,
                Err(why) => return Answer::Now(Err(self.turned_away(&asked, method, why))),
            };
        }
        if let Route::Unknown(_) = routed {
            routed = match Box::pin(self.route_again(&asked, method)).await {
                Ok(routed) => routed,
                Err(why) => return Answer::Now(Err(self.turned_away(&asked, method, why))),
            };
        }
        match routed {
            Route::One(target) => self.send(asked, method, target).await,
            Route::Local(local) => Box::pin(self.local(local, &asked)).await,
            Route::Unknown(fault) | Route::Refuse(fault) => {
                Answer::Now(Err(self.turned_away(&asked, method, fault)))
            }
        }
    }

    /// A request that leads nowhere is written down as well, where calls are.
    fn turned_away(&self, asked: &Asked<'_>, method: Method, fault: Fault) -> Fault {
        if Counted::of(method) == Counted::Other {
            return fault;
        }
        tracing::debug!(
            event = "call",
            server = fault.server.as_deref(),
            method = Counted::of(method).as_str(),
            client = asked.seat.caller().client.0,
            outcome = End::of(&fault).error_type(),
            code = fault.code,
            why = fault.text,
            "not sent"
        );
        let params = asked.message.params();
        let name = params.and_then(|params| params.name.as_ref().or(params.uri.as_ref()));
        let name = name.map(|name| name.as_str(asked.message));
        // Whose name it would be, if that one could be asked.
        let whose = fault.server.as_deref();
        if let Some(server) = self.servers.iter().find(|server| Some(server.name().key()) == whose) {
            server.tally().refuses(&fault);
        }
        let written = Account::open(&self.lookout, asked.seat.caller(), asked.message, whose, name)
            .and_then(|account| account.map_or(Ok(()), |account| account.close(End::of(&fault), 0)));
        written.err().unwrap_or(fault)
    }

    /// Where a request is written down, if it is.
    fn account(
        &self,
        asked: &Asked<'_>,
        server: &str,
        target: &Target,
    ) -> Result<Option<Box<Account>>, Fault> {
        let (caller, own) = (asked.seat.caller(), Some(&**target.pass.own()));
        Account::open(&self.lookout, caller, asked.message, Some(server), own)
    }

    fn route(&self, asked: &Asked<'_>, method: Method) -> Route {
        match method == Method::Task {
            true => self.task(asked).map_or_else(Route::Refuse, Route::One),
            false => asked.seat.view().with_catalog(|catalog| route(catalog, method, asked.message)),
        }
    }

    /// Where a request leads whose name nobody has now, when those were heard who may have it. The fault: the server that
    /// may have it cannot be heard.
    async fn route_again(&self, asked: &Asked<'_>, method: Method) -> Result<Route, Fault> {
        let view = asked.seat.view();
        if !view.is_settled() {
            view.settled(asked.patience).await;
        }
        let routed = self.route(asked, method);
        let (Route::Unknown(_), Some(at)) = (&routed, unheard(asked)) else { return Ok(routed) };
        // It may be a name of a server that has not told us its names: what keeps it from that is the answer.
        self.route_heard(asked, method, at).await
    }

    /// Where a request leads once the server at this place was heard in this run. The fault: it cannot be heard.
    async fn route_heard(&self, asked: &Asked<'_>, method: Method, at: usize) -> Result<Route, Fault> {
        if let Some((reached, key)) = asked.seat.reached(at) {
            reached.server.reach(&key).await?;
        }
        // It is there now. That it failed before says nothing of the lists that are being fetched.
        asked.seat.view().heard(at, Instant::now() + server_patience(self, at)).await;
        Ok(self.route(asked, method))
    }

    /// Sends a request where it leads.
    async fn send(&self, mut asked: Asked<'_>, method: Method, mut target: Target) -> Answer {
        let (place, only) = asked.again.take().map(|Again { place, only }| (place, only)).unzip();
        if only.flatten().is_some_and(|only| only != target.pass.server()) {
            // What it asks for is another's by now.
            return Answer::Now(Err(unknown()));
        }
        let Some((reached, key)) = asked.seat.reached(target.pass.server()) else {
            return Answer::Now(Err(Fault::ours(
                Reason::Internal,
                "the catalog names a server that is not there",
            )));
        };
        let account = match self.account(&asked, reached.server.name().key(), &target) {
            Ok(account) => account,
            Err(fault) => return Answer::Now(Err(fault)),
        };
        if let Err(fault) = asked.seat.visit(&reached).await {
            return Answer::Now(Err(not_sent(account, fault)));
        }
        let Reached { server, look, .. } = reached;
        let Some(place) = place.or_else(|| self.place()) else {
            let text = "too many requests in flight (limits.total_in_flight)";
            let fault = Fault::ours(Reason::Busy, text).outcome(CallOutcome::NotSent);
            return Answer::Now(Err(not_sent(account, fault)));
        };
        let (id, edit, amended) = (asked.id, target.edit.take(), target.amended.take());
        let asked = asked.in_place_of(amended.as_deref());
        let mut outgoing = self.outgoing(asked, method, (&target, edit), look, place);
        outgoing.account = account;
        begun(id, server.begin(&key, outgoing).await)
    }

    /// A request as its server is given it.
    fn outgoing<'a>(
        &self,
        asked: Asked<'a>,
        method: Method,
        (target, edit): (&'a Target, Option<(Span, Bytes)>),
        look: &'a Arc<Look>,
        place: Taken,
    ) -> Outgoing<'a> {
        let mut turns = asked.turns;
        turns.push(place.into());
        Outgoing {
            client: asked.seat.caller().client,
            told: asked.seat.declared(),
            look,
            id: asked.id,
            message: asked.message,
            method,
            pass: &target.pass,
            edit,
            needs_task: target.needs_task,
            mirrors: target.mirrors.as_deref(),
            tasks: self.tasks(asked.seat, target.pass.tool()),
            turns,
            memory: asked.memory,
            account: None,
        }
    }

    /// Where a request about a task leads: to the server of the task and nowhere else.
    fn task(&self, asked: &Asked<'_>) -> Result<Target, Fault> {
        let ids = self.ids(asked.seat).ok_or_else(tasks_needed)?;
        let unknown = || Fault::invalid_params("unknown task");
        let params = asked.message.params();
        let id = params.and_then(|params| params.task_id.as_ref()).ok_or_else(unknown)?;
        let task = ids.read(&asked.seat.caller().principal, id.as_str(asked.message)).ok_or_else(unknown)?;
        let at = self.servers.iter().position(|it| it.name().key() == task.server).ok_or_else(unknown)?;
        asked.seat.reached(at).ok_or_else(unknown)?;
        let admitted = |catalog: &Catalog| catalog.admits_task(at, &task.own, &task.tool);
        let pass = asked.seat.view().with_catalog(admitted).map_err(|_| unknown())?;
        let edit = Some((id.span(), Bytes::from(quote(&task.own))));
        Ok(Target { pass, edit, amended: None, needs_task: false, mirrors: None })
    }

    /// The seals of tasks' ids, if this client knows of tasks.
    fn ids(&self, seat: &Seat) -> Option<&Arc<TaskIds>> {
        self.task_ids.as_ref().filter(|_| seat.mail().askable().tasks)
    }

    /// How tasks of a tool are called toward this client, if it knows of any.
    fn tasks(&self, seat: &Seat, tool: &Arc<str>) -> Option<Tasks> {
        let ids = self.ids(seat)?.clone();
        Some(Tasks { ids, principal: seat.caller().principal.clone(), tool: tool.clone() })
    }

    async fn local(&self, local: Local, asked: &Asked<'_>) -> Answer {
        match local {
            Local::Ping => Answer::Now(Ok(response(asked.id, b"{}"))),
            Local::NoCompletions => Answer::Now(Ok(response(asked.id, br#"{"completion":{"values":[]}}"#))),
            Local::List(kind) => self.page(kind, asked),
            Local::SetLevel(level) => {
                asked.seat.set_level(level).await;
                Answer::Now(Ok(response(asked.id, b"{}")))
            }
        }
    }

    fn page(&self, kind: Kind, asked: &Asked<'_>) -> Answer {
        asked.seat.look_again(kind);
        let catalog = asked.seat.view().catalog();
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

/// What is said of a request that cannot be sent, once that is written down.
fn not_sent(account: Option<Box<Account>>, fault: Fault) -> Fault {
    let written = account.map_or(Ok(()), |account| account.close(End::of(&fault), 0));
    written.err().unwrap_or(fault)
}

/// What became of a request at its server.
fn begun(id: &Id, begun: Result<Begun, Fault>) -> Answer {
    match begun {
        Ok(Begun::Exchange(exchange)) => Answer::Later(exchange),
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
fn unheard(asked: &Asked<'_>) -> Option<usize> {
    let params = asked.message.params()?;
    let name = params.name.as_ref().map(|name| name.as_str(asked.message))?;
    asked.seat.unheard_front(name)
}

/// How long one server's lists may take once it is ready.
fn server_patience(hub: &Hub, at: usize) -> Duration {
    hub.servers().get(at).map(|server| server.settings().timeouts.list).unwrap_or_default()
}

/// A response with this result.
pub fn response(id: &Id, result: &[u8]) -> Bytes {
    let mut text = BytesMut::with_capacity(result.len() + id.as_str().len() + 40);
    text.put_slice(br#"{"jsonrpc":"2.0","id":"#);
    text.put_slice(id.as_str().as_bytes());
    text.put_slice(br#","result":"#);
    text.put_slice(result);
    text.put_u8(b'}');
    text.freeze()
}
