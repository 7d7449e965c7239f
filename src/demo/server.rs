//! An MCP server without pipes or clock: lines and times in, lines out.
//!
//! Owns the handshake, the calls that are still open, and the revision of the session; what there is to call is an
//! `Offer`'s. It serves only what it declares, and it answers each request once, unless the client cancelled it.

use std::time::Instant;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::countdown::{Countdown, Step};
use super::fault::{Fault, quoted};
use super::message::{Id, Incoming, Reading};
use super::offer::{Arguments, Call, Conclude, Offer, Outcome, Refusal, Target};
use super::params::{
    CallParams, CancelParams, CompleteParams, InitializeParams, ListParams, PromptParams, ReadParams,
    Reference, params,
};
use super::replies::{Place, Replies};
use super::result::ToolResult;
use super::revision::Revision;

pub(super) struct Server {
    offer: Box<dyn Offer>,
    /// Set by `initialize`, once.
    session: Option<Session>,
    open: Vec<Open>,
    asks_minted: u64,
    replies: Replies,
}

#[derive(Clone, Copy)]
struct Session {
    revision: Revision,
    /// The client can show a form, and the revision knows how to ask for one.
    takes_forms: bool,
}

/// A request that is not answered yet.
struct Open {
    id: Id,
    place: Place,
    wait: Wait,
}

enum Wait {
    Countdown(Countdown),
    Ask { ask: Id, conclude: Conclude },
}

enum Reply {
    Now(Value),
    Later(Wait),
}

/// The requests that a session serves. `ping` and `initialize` need none.
#[derive(Clone, Copy)]
enum Method {
    ListTools,
    CallTool,
    ListResources,
    ListTemplates,
    ReadResource,
    ListPrompts,
    GetPrompt,
    Complete,
}

impl Server {
    pub(super) fn new(offer: Box<dyn Offer>) -> Self {
        Self { offer, session: None, open: Vec::new(), asks_minted: 0, replies: Replies::default() }
    }

    /// When `advance` has something to do next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.open
            .iter()
            .filter_map(|open| match &open.wait {
                Wait::Countdown(countdown) => Some(countdown.due()),
                Wait::Ask { .. } => None,
            })
            .min()
    }

    /// The messages to write now, in order, none with a line end.
    pub(super) fn take_outbox(&mut self) -> Vec<String> {
        self.replies.take_outbox()
    }

    pub(super) fn refuse_long_line(&mut self, line_bytes_max: usize) {
        let fault = Fault::invalid_request(format!("a line is longer than {line_bytes_max} bytes"));
        self.replies.say(error(None, &fault));
    }

    pub(super) fn receive(&mut self, line: &[u8], now: Instant) {
        match Reading::parse(line) {
            Ok(Reading::One(message)) => self.message(message, Place::Alone, now),
            Ok(Reading::Many(messages)) => self.batch(&messages, now),
            Err(fault) => self.replies.say(error(None, &fault)),
        }
    }

    /// Counts every step whose time has come.
    pub(super) fn advance(&mut self, now: Instant) {
        let with_message = self.session.is_some_and(|session| session.revision.progress_has_message());
        for mut open in std::mem::take(&mut self.open) {
            let Wait::Countdown(countdown) = &mut open.wait else {
                self.open.push(open);
                continue;
            };
            let finished = loop {
                match countdown.step(now) {
                    Step::NotYet => break None,
                    Step::Counted => {
                        if let Some(progress) = countdown.progress(with_message) {
                            self.replies.say(progress);
                        }
                    }
                    Step::Finished => break Some(ToolResult::text(countdown.sentence())),
                }
            };
            match finished {
                Some(result) => self.conclude(&open, result),
                None => self.open.push(open),
            }
        }
    }

    fn batch(&mut self, messages: &[&RawValue], now: Instant) {
        let fault = match self.session {
            Some(session) if session.revision.batches() => match messages.len() {
                0 => Some("a batch must not be empty".to_owned()),
                1..=BATCH_MAX => None,
                _ => Some(format!("a batch is longer than {BATCH_MAX} messages")),
            },
            Some(_) | None => Some("batches are of revision 2025-03-26, after `initialize`".to_owned()),
        };
        if let Some(fault) = fault {
            return self.replies.say(error(None, &Fault::invalid_request(fault)));
        }
        let place = self.replies.open_batch();
        for message in messages {
            self.message(message, place, now);
        }
        self.replies.settle(place);
    }

    fn message(&mut self, message: &RawValue, place: Place, now: Instant) {
        match Incoming::parse(message) {
            Ok(Incoming::Request { id, method, params }) => {
                self.replies.reserve(place);
                match self.request(&id, &method, params, now) {
                    Ok(Reply::Now(value)) => self.replies.fill(place, result(&id, &value)),
                    Ok(Reply::Later(wait)) => self.open.push(Open { id, place, wait }),
                    Err(fault) => self.replies.fill(place, error(Some(&id), &fault)),
                }
            }
            Ok(Incoming::Notice { method, params }) if method == "notifications/cancelled" => {
                self.cancel(params);
            }
            // `notifications/initialized` changes nothing here, and what we do not know is to be ignored.
            Ok(Incoming::Notice { .. }) => {}
            Ok(Incoming::Answer { id, outcome }) => self.answered(&id, outcome),
            Err(unreadable) => {
                self.replies.reserve(place);
                self.replies.fill(place, error(unreadable.id.as_ref(), &unreadable.fault));
            }
        }
    }

    fn request(
        &mut self,
        id: &Id,
        method: &str,
        raw: Option<&RawValue>,
        now: Instant,
    ) -> Result<Reply, Fault> {
        match method {
            "ping" => return Ok(Reply::Now(json!({}))),
            "initialize" => return self.initialize(raw).map(Reply::Now),
            _ => {}
        }
        // First whether there is such a method at all: that is what a client of a later era probes for.
        let method = Method::parse(method).ok_or_else(|| Fault::unknown_method(method))?;
        let session = self.session.ok_or_else(|| Fault::invalid_request("`initialize` must come first"))?;
        let revision = session.revision;
        let now = match method {
            Method::CallTool => return self.call(id, raw, session, now),
            Method::ListTools => list(raw, "tools", self.offer.tools(), |tool| revision.tool(tool))?,
            Method::ListResources => {
                list(raw, "resources", self.offer.resources(), |resource| revision.titled(resource))?
            }
            Method::ListTemplates => {
                let templates = self.offer.templates();
                list(raw, "resourceTemplates", templates, |template| revision.titled(template))?
            }
            Method::ListPrompts => {
                list(raw, "prompts", self.offer.prompts(), |prompt| revision.titled(prompt))?
            }
            Method::ReadResource => {
                let ReadParams { uri } = params(raw)?;
                let contents = self.offer.read(&uri).ok_or_else(|| Fault::unknown_resource(&uri))?;
                json!({ "contents": [contents] })
            }
            Method::GetPrompt => {
                let PromptParams { name, arguments } = params(raw)?;
                self.offer.prompt(&name, &arguments.unwrap_or_default())?
            }
            Method::Complete => self.complete(&params(raw)?)?,
        };
        Ok(Reply::Now(now))
    }

    fn initialize(&mut self, raw: Option<&RawValue>) -> Result<Value, Fault> {
        let InitializeParams { protocol_version, capabilities } = params(raw)?;
        if self.session.is_some() {
            return Err(Fault::invalid_request("`initialize` came before"));
        }
        let revision = Revision::negotiate(&protocol_version);
        let takes_forms = revision.elicits() && shows_forms(&capabilities["elicitation"]);
        self.session = Some(Session { revision, takes_forms });

        let resources = match self.offer.resources_change() {
            true => json!({ "listChanged": true }),
            false => json!({}),
        };
        let mut capabilities = json!({ "tools": {}, "resources": resources, "prompts": {} });
        if revision.declares_completions() {
            capabilities["completions"] = json!({});
        }
        let server = json!({
            "name": self.offer.name(),
            "title": self.offer.title(),
            "version": env!("CARGO_PKG_VERSION"),
        });
        Ok(json!({
            "protocolVersion": revision.as_str(),
            "capabilities": capabilities,
            "serverInfo": revision.titled(server),
            "instructions": self.offer.instructions(),
        }))
    }

    fn call(
        &mut self,
        id: &Id,
        raw: Option<&RawValue>,
        session: Session,
        now: Instant,
    ) -> Result<Reply, Fault> {
        let CallParams { name, arguments, meta } = params(raw)?;
        let token = match meta.and_then(|meta| meta.progress_token) {
            None => None,
            Some(token) => Some(
                Id::parse(token)
                    .ok_or_else(|| Fault::invalid_params("`progressToken` must be a string or an integer"))?,
            ),
        };
        if self.open.iter().any(|open| open.id == *id) {
            return Err(Fault::invalid_request("this `id` is still in use"));
        }
        let call = Call {
            tool: &name,
            arguments: Arguments::parse(arguments)?,
            client_takes_forms: session.takes_forms,
        };
        let result = match self.offer.call(&call) {
            Err(Refusal::UnknownTool) => {
                return Err(Fault::invalid_params(format!("there is no tool {}", quoted(&name))));
            }
            Err(Refusal::Failed(sentence)) => ToolResult::failure(sentence),
            Ok(Outcome::Done(result)) => result,
            Ok(Outcome::Changed(result)) => {
                self.replies.say(CHANGED.to_owned());
                result
            }
            Ok(Outcome::Countdown { .. } | Outcome::Ask { .. }) if self.open.len() >= OPEN_MAX => {
                ToolResult::failure(format!("{OPEN_MAX} calls are open already; wait for one of them"))
            }
            Ok(Outcome::Countdown { steps, delay }) => {
                return Ok(Reply::Later(Wait::Countdown(Countdown::new(token, steps, delay, now))));
            }
            Ok(Outcome::Ask { message, form, conclude }) => {
                let ask = self.ask(&json!({ "message": message, "requestedSchema": form }));
                return Ok(Reply::Later(Wait::Ask { ask, conclude }));
            }
        };
        Ok(Reply::Now(result.value(session.revision)))
    }

    fn complete(&self, wanted: &CompleteParams) -> Result<Value, Fault> {
        let target = match &wanted.reference {
            Reference::Prompt { name } => Target::Prompt(name),
            Reference::Resource { uri } => Target::Template(uri),
        };
        let mut values = self.offer.candidates(target, &wanted.argument.name)?;
        values.retain(|value| value.starts_with(&wanted.argument.value));
        let total = values.len();
        values.truncate(COMPLETIONS_MAX);
        let has_more = values.len() < total;
        Ok(json!({ "completion": { "values": values, "total": total, "hasMore": has_more } }))
    }

    /// Sends a form to the client. Our ids have a shape of their own, only to be easy to see in a log.
    fn ask(&mut self, params: &Value) -> Id {
        self.asks_minted += 1;
        let ask = Id::Text(format!("ask-{}", self.asks_minted));
        self.replies.say(format!(
            r#"{{"jsonrpc":"2.0","id":{ask},"method":"elicitation/create","params":{params}}}"#
        ));
        ask
    }

    fn answered(&mut self, id: &Id, outcome: Result<&RawValue, &RawValue>) {
        let ours = |open: &Open| matches!(&open.wait, Wait::Ask { ask, .. } if ask == id);
        // An answer to nothing of ours, or a late one, is nobody's.
        let Some(place) = self.open.iter().position(ours) else { return };
        let open = self.open.swap_remove(place);
        let Wait::Ask { conclude, .. } = open.wait else { return };
        let answer = match outcome {
            Ok(result) => serde_json::from_str(result.get()).map_err(|error| error.to_string()),
            Err(error) => Err(error_message(error)),
        };
        let result = conclude(answer);
        self.conclude(&open, result);
    }

    /// 2025-11-25, basic/utilities/cancellation: a cancelled request is not answered, an unknown one is ignored.
    fn cancel(&mut self, raw: Option<&RawValue>) {
        let Ok(CancelParams { request_id }) = params(raw) else { return };
        let Some(id) = Id::parse(request_id) else { return };
        let Some(place) = self.open.iter().position(|open| open.id == id) else { return };
        let open = self.open.swap_remove(place);
        self.replies.settle(open.place);
        if let Wait::Ask { ask, .. } = open.wait {
            self.replies.say(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{ask},"reason":"the call was cancelled"}}}}"#
            ));
        }
    }

    fn conclude(&mut self, open: &Open, outcome: ToolResult) {
        let revision = self.session.map_or(Revision::V2025_11_25, |session| session.revision);
        self.replies.fill(open.place, result(&open.id, &outcome.value(revision)));
    }
}

impl Method {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "tools/list" => Self::ListTools,
            "tools/call" => Self::CallTool,
            "resources/list" => Self::ListResources,
            "resources/templates/list" => Self::ListTemplates,
            "resources/read" => Self::ReadResource,
            "prompts/list" => Self::ListPrompts,
            "prompts/get" => Self::GetPrompt,
            "completion/complete" => Self::Complete,
            _ => return None,
        })
    }
}

/// We give out no cursor, so none that comes back is ours.
fn list(
    raw: Option<&RawValue>,
    member: &str,
    items: Vec<Value>,
    worded: impl Fn(Value) -> Value,
) -> Result<Value, Fault> {
    let ListParams { cursor } = params(raw)?;
    match cursor {
        Some(_) => Err(Fault::invalid_params("there is only one page: `cursor` is none of ours")),
        None => Ok(json!({ member: items.into_iter().map(worded).collect::<Vec<_>>() })),
    }
}

/// An empty object means forms: 2025-11-25, client/elicitation, capabilities.
fn shows_forms(elicitation: &Value) -> bool {
    match elicitation.as_object() {
        Some(modes) => modes.contains_key("form") || !modes.contains_key("url"),
        None => false,
    }
}

fn error_message(error: &RawValue) -> String {
    let error: Value = serde_json::from_str(error.get()).unwrap_or_default();
    error["message"].as_str().unwrap_or("an error without a message").to_owned()
}

fn result(id: &Id, value: &Value) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{value}}}"#)
}

/// A message that could not be read has no id to answer to: 2025-11-25 then leaves the member out.
fn error(id: Option<&Id>, fault: &Fault) -> String {
    let fault = fault.value();
    match id {
        Some(id) => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{fault}}}"#),
        None => format!(r#"{{"jsonrpc":"2.0","error":{fault}}}"#),
    }
}

const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}"#;

/// Most calls that wait for time or for a person.
pub(super) const OPEN_MAX: usize = 64;

/// Most messages in one batch.
pub(super) const BATCH_MAX: usize = 100;

/// Most values in one completion: 2025-11-25, server/utilities/completion.
const COMPLETIONS_MAX: usize = 100;
