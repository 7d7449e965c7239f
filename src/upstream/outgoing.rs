//! A client's request in its server's terms: our id, our progress token, the server's own names.
//!
//! Knows what is added or taken away for a server that runs tools as tasks. It edits text and sends nothing.

use super::account::Account;
use super::allowance::{Held, Permits};
use super::standing::Standing;
use crate::config::{ServerConfig, Timeouts};
use crate::mcp::caller::{ClientId, Principal, Told};
use crate::mcp::era;
use crate::mcp::level::Level;
use crate::mcp::method::Method;
use crate::mcp::mirror::Mirrors;
use crate::routing::exposure::Pass;
use crate::routing::look::Look;
use crate::routing::task_ids::TaskIds;
use crate::wire::id::{CallId, Id};
use crate::wire::message::{HOP_KEY, Head, Message, Span};
use crate::wire::splice::{New, member_cut, member_first, splice};
use bytes::Bytes;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// A request on its way to a server: the client's message, and the edit that puts it into the server's terms.
#[derive(Debug)]
pub struct Outgoing<'a> {
    pub client: ClientId,
    /// Who it is a guest of, or itself.
    pub keeper: ClientId,
    /// What the client said of itself.
    pub told: Option<&'a Told>,
    /// How the server looks by the door that the client came by.
    pub look: &'a Arc<Look>,
    /// Those of the server, as they were when the request began.
    pub settings: &'a ServerConfig,
    pub id: &'a Id,
    pub message: &'a Message,
    pub method: Method,
    /// What the server calls what is asked for, and that it is shown to who asks: without that nothing is sent.
    pub pass: &'a Pass,
    pub edit: Option<(Span, Bytes)>,
    /// A tool that can only be called as a task.
    pub needs_task: bool,
    /// A tool that says that it changes nothing.
    pub reads_only: bool,
    /// How its tasks are called toward the client; `None`: it takes none.
    pub tasks: Option<Tasks>,
    /// Which arguments of a tool stand in headers as well, where there are any.
    pub mirrors: Option<&'a Mirrors>,
    /// Turns that the request took on its way here, given back at its end.
    pub turns: Permits,
    /// The room of its text in memory, given back when the text is written.
    pub memory: Option<Held>,
    /// Where it is written down, if it is.
    pub account: Option<Box<Account>>,
}

impl Outgoing<'_> {
    /// How long it may become on its way: what the client said of itself may go with it.
    pub(super) fn bytes(&self) -> usize {
        bytes_of(self.message, self.told)
    }
}

/// The same of a request that is still to become one.
pub fn bytes_of(message: &Message, told: Option<&Told>) -> usize {
    message.text().len() + told.map(|told| told.capabilities.len()).unwrap_or_default()
}

/// What tasks of a tool are called toward the clients of one principal.
#[derive(Debug, Clone)]
pub struct Tasks {
    pub ids: Arc<TaskIds>,
    pub principal: Principal,
    pub tool: Arc<str>,
}

impl Tasks {
    pub(super) fn expose(&self, server: &str, own: &str) -> String {
        self.ids.expose(&self.principal, server, &self.tool, own)
    }
}

/// For how long a server should keep a task: a call in all, and a person's answer. `None`: as long as it likes.
pub(super) fn task_lifetime(timeouts: &Timeouts) -> Option<Duration> {
    timeouts.call_max.map(|max| max + timeouts.ask)
}

/// How a server is to run a request.
pub(super) enum Run {
    /// It knows no tasks.
    AsWritten,
    /// Not as a task, whatever the client wrote: we offer it none, and it would not know what to do with one.
    Call,
    /// As a task that is kept for so long.
    Task(Option<Duration>),
}

/// What a server without a handshake is told with one request.
pub(super) struct Says<'a> {
    pub(super) standing: &'a Standing,
    /// From which level on the client hears its log.
    pub(super) level: Option<Level>,
}

/// The request in the server's terms: our id, our progress token, its own names. `says`: what stands in it for want of a
/// handshake.
pub(super) fn addressed(id: CallId, outgoing: &mut Outgoing<'_>, run: Run, says: Option<Says<'_>>) -> Bytes {
    let Outgoing { message, method, told, .. } = *outgoing;
    let edit = outgoing.edit.take();
    let stands = told.is_some_and(|told| told.revision.is_modern());
    let Head::Request { id: client_id, params, .. } = message.head() else { return message.text().clone() };
    let mut number = itoa::Buffer::new();
    let number = number.format(id.0);
    let is_stateless = says.is_some();
    // In the order of most texts: there is nothing to sort then.
    let mut edits = Edits::new();
    put(&mut edits, *client_id, New::from(number));
    if let Some(asked) = params.task.filter(|_| stands || says.is_some() || !matches!(run, Run::AsWritten)) {
        put(&mut edits, member_cut(message.text(), asked.start, asked.end), New::from(""));
    }
    if let (Run::Task(lifetime), Some(object)) = (run, params.object) {
        let lifetime = lifetime.map(|time| format!(r#""ttl":{}"#, time.as_millis())).unwrap_or_default();
        let (at, member) = member_first(message.text(), object, &["\"task\":{", &lifetime, "}"]);
        put(&mut edits, Span { start: at, end: at }, member);
    }
    let token = params.meta.as_ref().and_then(|meta| meta.progress_token);
    // A sign of life renews the patience: we ask for one where the client did not.
    let wanted = (token.is_some() || method == Method::ToolsCall).then_some(number);
    let unstated = || {
        let more = wanted.map(|number| format!(r#""{TOKEN_KEY}":{number}"#)).unwrap_or_default();
        let keys: &[&str] = if wanted.is_some() { &[TOKEN_KEY] } else { &[] };
        era::unstated(message, &more, keys)
    };
    let stated = if let Some(Says { standing, level }) = says {
        let capabilities = told.map(|told| &*told.capabilities);
        let first = standing.of(message, capabilities, level, wanted);
        let keys: &[&str] = if wanted.is_some() { &[HOP_KEY, TOKEN_KEY] } else { &[HOP_KEY] };
        Some(era::restated(message, &first, keys))
    } else if let Some(edit) = params.meta.as_ref().is_some_and(era::stands).then(unstated).flatten() {
        Some(edit)
    } else if let Some(token) = token {
        Some((token, New::from(number)))
    } else {
        wanted.map(|number| message.meta_member("\"progressToken\"", number))
    };
    if let Some((span, new)) = stated {
        put(&mut edits, span, new);
    }
    if let Some((span, own)) = edit {
        put(&mut edits, span, New::Own(own));
    }
    let is_retry = params.request_state.is_some() || params.input_responses.is_some();
    let text = splice(message.text(), &mut edits);
    // Only between two who know what it is does it mean anything.
    if is_retry && !(stands && is_stateless) { without_retry(text) } else { text }
}

/// One more edit. In one place, as there are several ways to it.
#[inline(never)]
fn put<'a>(edits: &mut Edits<'a>, span: Span, new: New<'a>) {
    edits.push((span, new));
}

/// A request without what makes it another try of one before it.
#[cold]
fn without_retry(mut text: Bytes) -> Bytes {
    // One after the other: two members side by side share a comma.
    for _ in 0..RETRY_MEMBERS {
        let Ok(message) = Message::parse_server(text.clone()) else { return text };
        let Some(params) = message.params() else { return text };
        let state = params.request_state.as_ref().map(|(member, _)| *member);
        let Some(member) = state.or_else(|| params.input_responses.map(|(member, _)| member)) else {
            return text;
        };
        let cut = member_cut(message.text(), member.start, member.end);
        text = splice(message.text(), &mut [(cut, Bytes::new())]);
    }
    text
}

const TOKEN_KEY: &str = "progressToken";
/// No more edits than fit without a place on the heap, as a rule.
type Edits<'a> = SmallVec<[(Span, New<'a>); 4]>;

/// `requestState` and `inputResponses`.
const RETRY_MEMBERS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_a_request_another_try_is_cut_whatever_it_says() {
        for state in [r#""s""#, "7", "null", r#""\ud800""#, r#"{"a":[]}"#] {
            let text = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"inputResponses":{{}},"requestState":{state},"name":"x"}}}}"#
            );
            assert_eq!(
                without_retry(Bytes::from(text)),
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":"x"}}"#,
                "{state}"
            );
        }
    }
}
