//! What a request to a server without a handshake may still need before it is answered, for a client with one.
//!
//! Such a server asks nothing: its result says what it wants to know, and the request goes to it once more with the answers
//! (2026-07-28, basic/patterns/mrtr). Owns what must be kept for that, how often it may happen, and the answers of one
//! round. It sends nothing; its exchange does.

use super::allowance::Permits;
use super::ask::{Ask, Back, Ends};
use super::audience::{HeardAsk, Member, Whose};
use super::budget::Taken;
use super::mail::Letter;
use super::stream::Stream;
use crate::mcp::era::{InputRequest, input_required};
use crate::mcp::method::Want;
use crate::mcp::mirror::Mirrors;
use crate::wire::fault::{Fault, Reason};
use crate::wire::hex::hex;
use crate::wire::id::CallId;
use crate::wire::members::{member, members, quote, string};
use crate::wire::message::{Head, Message, Outcome, Span};
use crate::wire::splice::{New, member_first, splice};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// A request as it was sent first, to be sent again.
pub(super) struct Kept {
    text: Bytes,
    mirrored: Vec<(String, String)>,
    rounds: usize,
    /// Its headers were made anew already, or it has none.
    remirrored: bool,
}

/// The questions of one round and what came of them.
pub(super) struct Round {
    /// Raw JSON, as its server wrote it.
    state: Option<Box<str>>,
    /// Whose answer asked for it.
    call: CallId,
    /// Not asked yet.
    asks: VecDeque<Box<Ask>>,
    awaited: FuturesUnordered<Awaited>,
    /// By the server's own keys, raw JSON both.
    answers: Vec<(Box<str>, Option<Bytes>)>,
    room: Permits,
}

/// The answer to one question, with its place; none, if nobody will give one.
struct Awaited {
    at: usize,
    answer: oneshot::Receiver<Answered>,
}

/// An answer, and its room among what waits to be written.
type Answered = (Bytes, Taken);

impl Future for Awaited {
    type Output = (usize, Option<Answered>);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let at = self.at;
        Pin::new(&mut self.answer).poll(context).map(|answer| (at, answer.ok()))
    }
}

/// What a result says of itself.
pub(super) enum Says {
    Complete,
    InputRequired,
    /// The request goes on as a task.
    Task,
    /// What nobody has agreed on.
    Other(String),
}

/// Reads it. What says nothing is complete (2026-07-28, basic/index, ResultType).
pub(super) fn says(response: &Message) -> Says {
    let Head::Response { outcome: Outcome::Result { places, .. }, .. } = response.head() else {
        return Says::Complete;
    };
    match places.result_type.as_ref().map(|(_, says)| says.as_str(response)) {
        None | Some("complete") => Says::Complete,
        Some("input_required") => Says::InputRequired,
        Some("task") => Says::Task,
        Some(other) => Says::Other(other.chars().take(SAID_CHARS_MAX).collect()),
    }
}

impl Kept {
    /// `text`: the request as it was posted. `mirrored`: its headers, if it is a call that has some of its arguments, or may
    /// have.
    #[inline(never)]
    pub(super) fn of(text: &Bytes, mirrored: Option<Vec<(String, String)>>) -> Box<Self> {
        let remirrored = mirrored.is_none();
        Box::new(Self { text: text.clone(), mirrored: mirrored.unwrap_or_default(), rounds: 0, remirrored })
    }

    /// Whether it was sent before, and answered with a question.
    pub(super) fn has_run(&self) -> bool {
        self.rounds > 0
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    pub(super) fn mirrored(&self) -> Vec<(String, String)> {
        self.mirrored.clone()
    }

    /// Another round begins; `false`: there were too many.
    pub(super) fn begins(&mut self) -> bool {
        self.rounds += 1;
        self.rounds <= ROUNDS_MAX
    }

    /// Whether its headers may be made anew, which is so once.
    pub(super) fn remirrors(&mut self) -> bool {
        !std::mem::replace(&mut self.remirrored, true)
    }

    /// The headers are those that the tool wants as it is listed now. `tool`: its text; `false`: none of its arguments can
    /// stand in any.
    pub(super) fn mirror(&mut self, tool: &str) -> bool {
        let Ok(mirrors) = Mirrors::read(tool) else { return false };
        let Ok(message) = Message::parse_server(self.text.clone()) else { return false };
        let params = message.params().and_then(|params| params.object).map(|params| message.str(params));
        self.mirrored = mirrors.zip(params).map(|(it, params)| it.headers(params)).unwrap_or_default();
        true
    }

    /// What the tool is called that it calls.
    pub(super) fn name(&self) -> Option<String> {
        let message = Message::parse_server(self.text.clone()).ok()?;
        message.params()?.name.as_ref().map(|name| name.as_str(&message).to_owned())
    }

    /// The request under another id, with what came of a round.
    pub(super) fn again(&self, id: CallId, round: Option<&Round>) -> Bytes {
        let Ok(message) = Message::parse_server(self.text.clone()) else { return self.text.clone() };
        let Head::Request { id: own, params, .. } = message.head() else { return self.text.clone() };
        let number = id.to_string();
        let mut edits = vec![(*own, New::from(&*number))];
        edits.extend(
            params
                .meta
                .as_ref()
                .and_then(|meta| meta.progress_token)
                .map(|token| (token, New::from(&*number))),
        );
        if let Some(object) = params.object {
            let said = round.map(|round| [round.responses(), round.state()]).into_iter().flatten();
            for (key, value) in said.flatten() {
                let (at, text) = member_first(message.text(), object, &[key, ":", &value]);
                edits.push((Span { start: at, end: at }, text));
            }
        }
        splice(message.text(), &mut edits)
    }
}

impl Round {
    /// Makes questions for the client of what a result asks for. They are open from now on.
    pub(super) fn of(
        stream: &Arc<Stream>,
        owner: &Arc<Member>,
        call: CallId,
        response: &Message,
    ) -> Result<Self, Fault> {
        let Head::Response { outcome: Outcome::Result { value, .. }, .. } = response.head() else {
            return Err(unreadable());
        };
        let asked = input_required(response.str(*value)).ok_or_else(unreadable)?;
        let mut round = Self {
            state: asked.state.map(Box::from),
            call,
            asks: VecDeque::new(),
            awaited: FuturesUnordered::new(),
            answers: Vec::new(),
            room: Permits::new(),
        };
        for request in &asked.requests {
            if let Err(fault) = round.ask(stream, owner, request) {
                round.end(stream);
                return Err(fault);
            }
        }
        Ok(round)
    }

    fn ask(
        &mut self,
        stream: &Arc<Stream>,
        owner: &Arc<Member>,
        request: &InputRequest<'_>,
    ) -> Result<(), Fault> {
        let at = self.answers.len();
        let text = question(at, request);
        let busy = || Fault::ours(Reason::Busy, "too much is asked and not answered yet");
        let (place, room) = stream.asks().place(text.len()).ok_or_else(busy)?;
        let message = Message::parse_server(text.into()).map_err(|_| unreadable())?;
        let id = message.id().ok_or_else(unreadable)?;
        let heard = HeardAsk { id, want: request.want, message, place, room };
        let whose = Whose { member: owner.clone(), ends: Ends::Call(self.call) };
        let refused = |fault: Box<Fault>| Fault::ours(Reason::Refused, fault.text);
        let parcel = stream.audience().asked(stream, heard, Ok(whose)).map_err(refused)?;
        let Letter::Ask(mut ask) = parcel.letter else { return Err(unreadable()) };
        let (answer, answered) = oneshot::channel();
        if let Some(Back::Server(place)) = ask.back.take() {
            ask.back = Some(Back::Round { answer, _place: place });
        }
        stream.asks().enter(ask.slip());
        self.asks.push_back(ask);
        self.answers.push((request.key.into(), None));
        self.awaited.push(Awaited { at, answer: answered });
        Ok(())
    }

    /// The next question that was not put yet.
    pub(super) fn next_ask(&mut self) -> Option<Box<Ask>> {
        self.asks.pop_front()
    }

    /// Resolves when all questions have their answers; the fault says that one has none. Cancel-safe.
    pub(super) async fn answered(&mut self) -> Result<(), Fault> {
        if self.answers.is_empty() {
            // It only wants to be asked again, but hardly in the same moment.
            tokio::time::sleep(PAUSE).await;
        }
        while let Some((at, text)) = self.awaited.next().await {
            let gone = || Fault::ours(Reason::Gone, "what it asked of the client has no answer");
            let (text, room) = text.ok_or_else(gone)?;
            self.room.push(room.into());
            let response = Message::parse_server(text).map_err(|_| unreadable())?;
            match response.head() {
                Head::Response { outcome: Outcome::Result { value, .. }, .. } => {
                    if let Some((_, answer)) = self.answers.get_mut(at) {
                        *answer = Some(response.slice(*value));
                    }
                }
                Head::Response { outcome: Outcome::Error { value, .. }, .. } => {
                    let error = response.str(*value);
                    let said = member(error, "message").and_then(string).unwrap_or_default();
                    let said: String = said.chars().take(SAID_CHARS_MAX).collect();
                    return Err(Fault::ours(
                        Reason::Refused,
                        format!("what it asked of the client was refused: {said}"),
                    ));
                }
                Head::Request { .. } | Head::Notification { .. } => return Err(unreadable()),
            }
        }
        Ok(())
    }

    /// The room of the answers, for whoever sends them on.
    pub(super) fn room(&mut self) -> Permits {
        std::mem::take(&mut self.room)
    }

    fn responses(&self) -> Option<(&'static str, String)> {
        let answers: Vec<String> = self
            .answers
            .iter()
            .filter_map(|(key, answer)| {
                let answer = std::str::from_utf8(answer.as_ref()?).ok()?;
                Some(format!("{key}:{answer}"))
            })
            .collect();
        (!answers.is_empty()).then(|| ("\"inputResponses\"", format!("{{{}}}", answers.join(","))))
    }

    fn state(&self) -> Option<(&'static str, String)> {
        self.state.as_ref().map(|state| ("\"requestState\"", state.to_string()))
    }

    /// Nobody waits for the answers any more.
    pub(super) fn end(&mut self, stream: &Stream) {
        let call = self.call;
        // Those that were put are withdrawn where they are; those that were not are refused by being dropped.
        stream.asks().end(|ends| ends == Ends::Call(call));
        self.asks.clear();
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({} bytes, {} rounds)", self.text.len(), self.rounds)
    }
}

/// A question as a server with a handshake would ask it. Its id is its place in the round.
fn question(at: usize, request: &InputRequest<'_>) -> String {
    let method = request.method;
    let Some(params) = request.params else {
        return format!(r#"{{"jsonrpc":"2.0","id":{at},"method":{method}}}"#);
    };
    let params = match request.want {
        Want::Elicitation => with_page_id(params),
        Want::Sampling | Want::Roots => params.to_owned(),
    };
    format!(r#"{{"jsonrpc":"2.0","id":{at},"method":{method},"params":{params}}}"#)
}

/// A page that a person is sent to has an id where there is a handshake (2025-11-25, schema, ElicitRequestURLParams).
fn with_page_id(params: &str) -> String {
    let is_page = member(params, "mode").and_then(string).as_deref() == Some("url");
    if !is_page || member(params, "elicitationId").is_some() {
        return params.to_owned();
    }
    let mut bytes = [0; 16];
    // Without randomness ids may meet: nothing that is told later looks for one of these.
    getrandom::fill(&mut bytes).ok();
    let id = hex(&bytes);
    let rest = params.trim_start().strip_prefix('{').unwrap_or("}");
    let comma = if members(params).is_some_and(|all| all.is_empty()) { "" } else { "," };
    format!(r#"{{"elicitationId":{}{comma}{rest}"#, quote(&id))
}

fn unreadable() -> Fault {
    Fault::ours(Reason::Internal, "asks for what nobody can read")
}

/// How often one request may be sent again with answers.
const ROUNDS_MAX: usize = 10;
/// How long a server is left alone that only wants to be asked again.
const PAUSE: Duration = Duration::from_millis(250);
const SAID_CHARS_MAX: usize = 200;
