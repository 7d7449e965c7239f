//! One request of 2026-07-28 on its way through the hub and back, whatever it came by.
//!
//! Owns its guest at the hub, and so its end: dropped, it is cancelled at its server. What comes before the answer goes to
//! whoever reads its notes; the answer waits for them, the call's clocks do not.

use super::answer::{Answer, presented, with_info};
use super::base::Admission;
use super::ladder::{self, Fit, Head, mismatch};
use super::lobby::Lobby;
use super::rounds;
use crate::downstream::login;
use crate::hub::begin::{self, Asked};
use crate::hub::logins::is_about_login;
use crate::hub::parked::{Binding, Event, OpenCall, Resumed, Returning, Taken, unknown};
use crate::hub::seat::Seat;
use crate::mcp::askable::Askable;
use crate::mcp::era;
use crate::mcp::level::Level;
use crate::mcp::method::{Kind, Method};
use crate::mcp::revision::Revision;
use crate::upstream::allowance::Held;
use crate::upstream::allowance::Permits;
use crate::upstream::hearing::Hearing;
use crate::upstream::lookout::Came;
use crate::wire::caps::Caps;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::{Id, Raw};
use crate::wire::lines::one_line;
use crate::wire::message::{Head as Shape, Message, Outcome};
use bytes::Bytes;
use smallvec::smallvec;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Everything that one request needs.
pub(super) struct Call<H> {
    pub(super) lobby: Lobby,
    pub(super) admission: Admission,
    pub(super) fit: Fit,
    pub(super) message: Message,
    pub(super) memory: Held,
    /// What came with it, where something does.
    pub(super) head: Option<H>,
    /// Who reads what comes before the answer.
    pub(super) notes: mpsc::Sender<Bytes>,
}

impl<H: Head> Call<H> {
    /// The answer, whatever happens.
    pub(super) async fn run(self) -> Answer {
        let id = self.fit.id.clone();
        match self.served().await {
            Ok(answer) => answer,
            Err(fault) => Answer::fault(&fault, Some(&id)),
        }
    }

    async fn served(self) -> Result<Answer, Fault> {
        // What comes by a pipe comes without a head.
        let came = if self.head.is_some() { Came::Http } else { Came::Stdio };
        let hearing = Hearing::now(came, Revision::MODERN);
        let turn = self.admission.0.turns.wait(1).await;
        let Self { lobby, admission, fit, message, memory, head, notes } = self;
        let Fit { id, method, level } = fit;
        let base = &admission.0;
        if let (Method::ToolsCall, Some(head)) = (method, &head) {
            refuse_other_arguments(&message, head, &base.seat, base.patience).await?;
        }
        let binding = method.has_rounds().then(|| Binding::new(&base.seat, &message));
        let mut round = Round {
            lobby: &lobby,
            id: &id,
            method,
            level,
            rounds: 0,
            binding: binding.as_ref(),
            notes: &notes,
        };
        let state = message.params().and_then(|params| params.request_state.as_ref());
        let mut turns = smallvec![turn.into()];
        // One that is no text was never given to anybody.
        let handle = state.map(|(_, state)| state.as_ref().map(|state| state.as_str(&message).to_owned()));
        let (message, again, taken) = match (handle, &binding) {
            (None, _) => (message, None, None),
            (Some(_), None) => {
                let text = "`params.requestState` is for tools/call, prompts/get and resources/read";
                return Err(Fault::invalid_params(text));
            }
            (Some(None), Some(_)) => return Err(unknown()),
            (Some(Some(_)), Some(_)) if !lobby.hub.still_admits(&base.seat, method, &message) => {
                return Err(unknown());
            }
            (Some(Some(handle)), Some(binding)) => {
                match round.resumed(&handle, binding, &message, &mut turns).await? {
                    Begun::Before(call) => return round.follow(call).await,
                    Begun::Again { message, rounds, again, taken } => {
                        round.rounds = rounds;
                        (*message, Some(again), Some(taken))
                    }
                }
            }
        };
        let asked = |seat| Asked {
            seat,
            id: &id,
            message: &message,
            hearing,
            revision: Revision::MODERN,
            patience: base.patience,
            turns,
            memory: Some(memory),
            again,
        };
        if let Method::List(_) = method {
            return match lobby.hub.begin(asked(&base.seat)).await {
                begin::Answer::Now(reply) => round.finished(reply, None),
                begin::Answer::List { text, .. } => Ok(Answer::result(with_info(&text, &id, &lobby.info))),
                begin::Answer::Later(_) => Err(Fault::ours(Reason::Internal, "a list is no server's")),
            };
        }
        let guest = base.seat.guest(level);
        if method == Method::Complete {
            // What is asked during it, is asked in the answer to another.
            guest.declare(Revision::MODERN, ladder::capabilities(&message));
        } else {
            guest.introduce(Revision::MODERN, ladder::capabilities(&message));
        }
        let answer = lobby.hub.begin(asked(&guest)).await;
        if let Some(taken) = taken.filter(|_| !was_not_sent(&answer)) {
            taken.spend();
        }
        match answer {
            begin::Answer::Now(reply) => round.finished(reply, Some(&guest)),
            begin::Answer::List { text, .. } => round.finished(Ok(text), None),
            begin::Answer::Later(exchange) => {
                // What it asks is on its way: its text need not wait here for the answer.
                drop(message);
                round.follow(Box::new(OpenCall::new(guest, exchange))).await
            }
        }
    }
}

/// What a request that brings something back goes on with.
enum Begun {
    Before(Box<OpenCall>),
    /// `rounds`: how often it was sent to pages so far.
    Again {
        message: Box<Message>,
        rounds: usize,
        again: begin::Again,
        taken: Box<Taken>,
    },
}

/// One request and its answer, of as many as a call may take.
struct Round<'a> {
    lobby: &'a Lobby,
    id: &'a Id,
    method: Method,
    /// From which on its client hears the log.
    level: Option<Level>,
    /// How often its client was sent to pages for it.
    rounds: usize,
    binding: Option<&'a Binding>,
    notes: &'a mpsc::Sender<Bytes>,
}

impl Round<'_> {
    async fn resumed(
        &self,
        handle: &str,
        binding: &Binding,
        message: &Message,
        turns: &mut Permits,
    ) -> Result<Begun, Fault> {
        let token = message.wants_progress().map(Raw::new);
        let askable = Askable::read(ladder::capabilities(message), Revision::MODERN);
        let returning = Returning { handle, binding, id: self.id, token, level: self.level, askable, turns };
        let (text, rounds, again, taken) = match self.lobby.hub.resume(returning).await? {
            Resumed::Call(mut call) => {
                rounds::answer(&mut call, message);
                call.refuse_undeclared();
                return Ok(Begun::Before(call));
            }
            Resumed::State { text, again, taken } => (rounds::with_state(message, text), 0, again, taken),
            Resumed::Again { rounds, login, again, taken } => {
                if let Err(fault) = rounds::refuse_declined(message) {
                    taken.spend();
                    return Err(fault);
                }
                let again = match login {
                    // Who agrees to open a page says nothing of what is done there. Nobody else need wait for that.
                    Some(login) => {
                        drop(again);
                        login.settled(LOGIN_AWAITED).await;
                        self.lobby.hub.again()?
                    }
                    None => again,
                };
                (rounds::without_rounds(message), rounds, again, taken)
            }
        };
        let limits = &self.lobby.hub.config().limits;
        let caps = Caps { depth_max: limits.depth_max, elements_max: limits.elements_max };
        Message::parse_client(text, caps)
            .map(|message| Begun::Again { message: Box::new(message), rounds, again, taken: Box::new(taken) })
            .map_err(|bad| bad.fault())
    }

    /// Goes with a call until its end, or until its server wants something.
    async fn follow(&self, mut call: Box<OpenCall>) -> Result<Answer, Fault> {
        let mut gathered: Option<Instant> = None;
        let mut notes = Notes { out: self.notes, held: VecDeque::new() };
        loop {
            if self.binding.is_none() {
                call.refuse_asks();
            }
            let asks = call.asks().next().is_some();
            gathered = asks.then(|| gathered.unwrap_or_else(|| Instant::now() + GATHER));
            // Nobody is asked who has not read what came before.
            let until = gathered.filter(|_| notes.held.is_empty());
            let event = tokio::select! {
                biased;
                () = notes.leave() => continue,
                event = call.next(until.unwrap_or_else(|| Instant::now() + LOOK)) => event,
            };
            match event {
                Event::Note(text) if self.is_heard(&text) => notes.say(one_line(text)),
                Event::Note(_) | Event::Asks => {}
                Event::Done(reply) => {
                    let answer = self.finished(reply, Some(call.guest()));
                    // It holds nothing while its client reads the rest.
                    drop(call);
                    while !notes.held.is_empty() {
                        notes.leave().await;
                    }
                    return answer;
                }
                Event::Nothing if until.is_none() => {}
                Event::Nothing => return self.asked(call),
            }
        }
    }

    /// Whether a note belongs to a request: how far it is, or what its server logs and it wants to hear. What a request
    /// before it asked for may still be on its way (2026-07-28, server/utilities/logging, per-request log level).
    fn is_heard(&self, text: &Bytes) -> bool {
        let Ok(note) = Message::parse_server(text.clone()) else { return false };
        match Method::parse(note.method().unwrap_or_default()) {
            Method::Progress => true,
            Method::Log => {
                let said = note.params().and_then(|params| params.level.as_ref());
                let said = said.and_then(|said| Level::parse(said.as_str(&note)));
                self.level.is_some_and(|wanted| said.is_none_or(|said| said >= wanted))
            }
            Method::Initialize
            | Method::Initialized
            | Method::Ping
            | Method::List(_)
            | Method::ToolsCall
            | Method::PromptsGet
            | Method::ResourcesRead
            | Method::Complete
            | Method::SetLevel
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::Ask(_)
            | Method::Cancelled
            | Method::Updated
            | Method::RootsChanged
            | Method::ElicitationComplete
            | Method::ListChanged(_)
            | Method::Discover
            | Method::Listen
            | Method::Acknowledged
            | Method::Task
            | Method::Other => false,
        }
    }

    /// The answer that asks, while the call waits.
    fn asked(&self, call: Box<OpenCall>) -> Result<Answer, Fault> {
        let requests = rounds::wanted(&call);
        let binding =
            self.binding.cloned().ok_or_else(|| Fault::ours(Reason::Internal, "nobody may be asked"))?;
        let handle = self.lobby.hub.park_call(binding, call)?;
        Ok(Answer::result(rounds::asking(self.id, &self.lobby.info, requests.into_iter(), &handle)))
    }

    /// The last that a server says, as its client reads it.
    fn finished(&self, reply: Result<Bytes, Fault>, guest: Option<&Seat>) -> Result<Answer, Fault> {
        let reply = match reply {
            Err(fault) if is_about_login(&fault) => return self.sent_to_page(fault, guest),
            reply => reply?,
        };
        let response = Message::parse_server(reply).map_err(|bad| bad.fault())?;
        Ok(self.told(&response, guest)?.keeping(response.text()))
    }

    /// A client that can be sent to a page is, where its server wants a login.
    #[cold]
    fn sent_to_page(&self, fault: Fault, guest: Option<&Seat>) -> Result<Answer, Fault> {
        let (Some(binding), Some(guest)) = (self.binding.filter(|_| self.rounds < ROUNDS_MAX), guest) else {
            return Err(fault);
        };
        let page = self.lobby.hub.page_for(&fault, guest, &guest.mail().askable());
        let Some(ticket) = page else { return Err(fault) };
        let request = era::input_request("elicitation/create", &login::elicitation(&ticket, &fault, None));
        let handle = self.lobby.hub.park_again(binding.clone(), self.rounds + 1, Some(ticket))?;
        let requests = std::iter::once(("login".to_owned(), request));
        Ok(Answer::result(rounds::asking(self.id, &self.lobby.info, requests, &handle)))
    }

    fn told(&self, response: &Message, guest: Option<&Seat>) -> Result<Answer, Fault> {
        let Shape::Response { outcome, .. } = response.head() else {
            return presented(response, self.method, &self.lobby.info);
        };
        match outcome {
            Outcome::Error { value, code: Some(URL_REQUIRED), .. } => {
                let askable = guest.map(|guest| guest.mail().askable()).unwrap_or_default();
                let mut pages = era::required_pages(response.str(*value));
                pages.retain(|page| rounds::is_page(page, &askable));
                match self.binding.filter(|_| !pages.is_empty()) {
                    Some(_) if self.rounds >= ROUNDS_MAX => {
                        Err(Fault::ours(Reason::Refused, "its server sends its client to ever more pages"))
                    }
                    Some(binding) => {
                        let handle = self.lobby.hub.park_again(binding.clone(), self.rounds + 1, None)?;
                        let requests =
                            pages.into_iter().zip(1..).map(|(page, at)| (format!("page-{at}"), page));
                        Ok(Answer::result(rounds::asking(self.id, &self.lobby.info, requests, &handle)))
                    }
                    None => presented(response, self.method, &self.lobby.info),
                }
            }
            Outcome::Result { value, places } => {
                let says = places.result_type.as_ref().map(|(_, says)| says.as_str(response));
                match (says == Some("input_required")).then(|| era::input_required(response.str(*value))) {
                    None => presented(response, self.method, &self.lobby.info),
                    Some(None) => Err(unreadable()),
                    Some(Some(asked)) => self.passed(response, &asked, guest),
                }
            }
            Outcome::Error { .. } => presented(response, self.method, &self.lobby.info),
        }
    }

    /// What a server of this revision asks passes, but what it gave to bring back stays here.
    fn passed(
        &self,
        response: &Message,
        asked: &era::InputRequired<'_>,
        guest: Option<&Seat>,
    ) -> Result<Answer, Fault> {
        let (Some(binding), Some(guest)) = (self.binding, guest) else { return Err(unreadable()) };
        rounds::refuse_undeclared(asked, &guest.mail().askable())?;
        let answer = presented(response, self.method, &self.lobby.info)?;
        let Some(state) = asked.state else { return Ok(answer) };
        let handle = self.lobby.hub.park_state(binding.clone(), guest, state)?;
        Ok(Answer::result(rounds::with_handle(&answer.text, &handle).ok_or_else(unreadable)?))
    }
}

/// What comes before the answer, on its way to whoever reads it.
struct Notes<'a> {
    out: &'a mpsc::Sender<Bytes>,
    /// What found no place there yet.
    held: VecDeque<Bytes>,
}

impl Notes<'_> {
    /// Never waits: what a client leaves unread of a call beyond what is held is dropped, as it is at its server.
    fn say(&mut self, text: Bytes) {
        if self.held.len() < HELD_MAX {
            self.held.push_back(text);
        }
    }

    /// One of them leaves, as soon as there is a place for it; never, if there is none to leave. Cancel-safe.
    async fn leave(&mut self) {
        if self.held.is_empty() {
            return std::future::pending().await;
        }
        match self.out.reserve().await {
            Ok(place) => {
                if let Some(text) = self.held.pop_front() {
                    place.send(text);
                }
            }
            // Nobody reads any more.
            Err(_) => self.held.clear(),
        }
    }
}

/// Whether nothing of a request has left, so that the same may be sent again.
fn was_not_sent(answer: &begin::Answer) -> bool {
    match answer {
        begin::Answer::Now(Err(fault)) => fault.outcome == Some(CallOutcome::NotSent),
        begin::Answer::Now(Ok(_)) | begin::Answer::List { .. } | begin::Answer::Later(_) => false,
    }
}

fn unreadable() -> Fault {
    Fault::ours(Reason::Internal, "its server asks for something in a way that nobody can read")
}

/// The head of a call must say what its arguments do, as the tool's schema wants it.
async fn refuse_other_arguments(
    message: &Message,
    head: &impl Head,
    seat: &Seat,
    patience: Instant,
) -> Result<(), Fault> {
    let params = message.params();
    let Some(name) = params.and_then(|params| params.name.as_ref()).map(|name| name.as_str(message)) else {
        return Ok(());
    };
    let wanted = || {
        let catalog = seat.view().catalog();
        let mut owned = catalog.owned(Kind::Tools, name);
        let tool =
            catalog.exposed(Kind::Tools, name).or_else(|| owned.next().filter(|_| owned.next().is_none()))?;
        Some(tool.mirrors.clone())
    };
    let mut found = wanted();
    if found.is_none() && !seat.view().is_settled() {
        seat.view().settled(patience).await;
        found = wanted();
    }
    let Some(Some(mirrors)) = found else { return Ok(()) };
    let object = params.and_then(|params| params.object).map(|span| message.str(span)).unwrap_or("{}");
    mirrors
        .check(object, |name| head.header(&name.to_ascii_lowercase()))
        .map_err(|why| mismatch(why.to_string()))
}

/// 2025-11-25, URLElicitationRequired.
const URL_REQUIRED: i64 = -32042;
/// How often one request may send its client to pages.
const ROUNDS_MAX: usize = 10;
/// How long a request waits for a login before its client is asked once more: clients give up at 60 s.
const LOGIN_AWAITED: Duration = Duration::from_secs(45);
/// How long more may be asked in one answer.
const GATHER: Duration = Duration::from_millis(20);
/// Notes of one call that are held while those before them are not read.
const HELD_MAX: usize = 32;
/// How often a call without an end is looked at: its own clock decides.
const LOOK: Duration = Duration::from_secs(3600);
