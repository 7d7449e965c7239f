//! A client's request in its server's terms: our id, our progress token, the server's own names.
//!
//! Knows what is added or taken away for a server that runs tools as tasks. It edits text and sends nothing.

use super::allowance::Held;
use crate::config::Timeouts;
use crate::mcp::caller::{ClientId, Told};
use crate::mcp::method::Method;
use crate::routing::look::Look;
use crate::wire::id::{CallId, Id};
use crate::wire::message::{Head, Message, Span};
use crate::wire::splice::{member_cut, member_first, splice};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// A request on its way to a server: the client's message, and the edits that put it into the server's terms.
#[derive(Debug)]
pub struct Outgoing<'a> {
    pub client: ClientId,
    /// What the client said of itself.
    pub told: Option<&'a Told>,
    /// How the server looks by the door that the client came by.
    pub look: Arc<Look>,
    pub id: &'a Id,
    pub message: &'a Message,
    pub method: Method,
    /// What the server calls what is asked for.
    pub own: &'a str,
    pub edits: Vec<(Span, Bytes)>,
    /// A tool that can only be called as a task.
    pub needs_task: bool,
    /// Turns that the request took on its way here, given back at its end.
    pub turns: Vec<OwnedSemaphorePermit>,
    /// The room of its text in memory, given back when the text is written.
    pub memory: Option<Held>,
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

/// The request in the server's terms: our id, our progress token, its own names.
pub(super) fn addressed(id: CallId, outgoing: Outgoing<'_>, run: Run) -> Bytes {
    let Outgoing { message, method, mut edits, .. } = outgoing;
    let Head::Request { id: client_id, params, .. } = message.head() else { return message.text().clone() };
    let number = id.to_string();
    edits.push((*client_id, Bytes::from(number.clone())));
    if let (Some(asked), Run::Call | Run::Task(_)) = (params.task, &run) {
        edits.push((member_cut(message.text(), asked.start, asked.end), Bytes::new()));
    }
    if let (Run::Task(lifetime), Some(object)) = (run, params.object) {
        let lifetime = lifetime.map(|time| format!(r#""ttl":{}"#, time.as_millis())).unwrap_or_default();
        let (at, member) = member_first(message.text(), object, "\"task\"", &format!("{{{lifetime}}}"));
        edits.push((Span { start: at, end: at }, member));
    }
    match params.meta.as_ref().and_then(|meta| meta.progress_token) {
        Some(token) => edits.push((token, Bytes::from(number))),
        // A sign of life renews the patience: we ask for one where the client did not.
        None if method == Method::ToolsCall => edits.push(message.meta_member("\"progressToken\"", &number)),
        None => {}
    }
    splice(message.text(), &mut edits)
}
