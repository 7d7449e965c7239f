//! A call that runs as a task: it is asked how it is until it is done, and then for its result.
//!
//! For a tool that can only be called so, in front of a client that knows no tasks (2025-11-25,
//! basic/utilities/tasks). Owns the requests of ours that this takes. Its time in all, its cancelling and its
//! progress are those of the exchange that it belongs to.

use super::exchange::Exchange;
use super::frame::Freight;
use super::memory::Room;
use super::stream::Stream;
use crate::wire::fault::Fault;
use crate::wire::members::{member, quote, string};
use crate::wire::message::{Head, Message, Outcome, Span};
use crate::wire::splice::{New, member_first};
use futures::future::{BoxFuture, OptionFuture};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A task at a server.
pub(super) struct TaskCall {
    stream: Arc<Stream>,
    id: Box<str>,
    /// How long its server wants to be left alone between two questions.
    pause: Duration,
    next: Instant,
    /// How long one question may take.
    patience: Duration,
    question: Option<Exchange>,
    result: Option<Exchange>,
}

/// What a task does next.
pub(super) enum TaskStep {
    /// Its server knows of it: a sign of life.
    Lives,
    /// The answer to the call, as its server wrote it.
    Done(Box<Message>),
    Failed(Box<Fault>),
}

/// What a task hears.
enum Heard {
    Result(Result<Message, Fault>),
    Answer(Result<Message, Fault>),
    Time,
}

/// How far a task is.
enum Status {
    Working,
    /// For an answer: its questions come to whoever asks for the result.
    Waiting,
    /// So that there is a result.
    Ended,
    /// Its server did not say.
    Unsaid,
}

impl TaskCall {
    /// Begins with what a server said when it made the task.
    pub(super) fn new(stream: Arc<Stream>, created: &str, patience: Duration) -> Option<Self> {
        let id = task_id(created)?;
        let pause = pause(member(created, "task")?);
        let next = Instant::now() + pause;
        Some(Self { stream, id, pause, next, patience, question: None, result: None })
    }

    /// What happens next. Cancel-safe: what was asked stays asked. In a box, because what it asks are exchanges too.
    pub(super) fn step(&mut self) -> BoxFuture<'_, TaskStep> {
        Box::pin(self.follow())
    }

    async fn follow(&mut self) -> TaskStep {
        loop {
            let answer = match self.answer().await {
                Heard::Result(answer) => return ended(answer),
                Heard::Time => {
                    match self.ask("tasks/get", self.patience) {
                        Ok(question) => self.question = Some(question),
                        Err(fault) => return TaskStep::Failed(fault),
                    }
                    continue;
                }
                Heard::Answer(answer) => answer,
            };
            self.question = None;
            // A question without an answer is no sign of life, and no end either.
            let said = answer.ok().map(|answer| status(&answer));
            let (status, pause) = said.unwrap_or((Status::Unsaid, None));
            self.pause = pause.unwrap_or(self.pause);
            self.next = Instant::now() + self.pause;
            if let (Status::Waiting | Status::Ended, None) = (&status, &self.result) {
                match self.ask("tasks/result", RESULT_PATIENCE) {
                    Ok(exchange) => self.result = Some(exchange),
                    Err(fault) => return TaskStep::Failed(fault),
                }
            }
            match status {
                Status::Working | Status::Waiting => return TaskStep::Lives,
                // One that is done does not live on while its result does not come.
                Status::Ended | Status::Unsaid => {}
            }
        }
    }

    /// The room of the result that came.
    pub(super) fn room(&mut self) -> Option<Room> {
        self.result.as_mut().and_then(Exchange::room)
    }

    /// What comes first: the result, the answer to a question, or the time to ask another.
    async fn answer(&mut self) -> Heard {
        let (question, result, next) = (self.question.as_mut(), self.result.as_mut(), self.next);
        let asked = question.is_some();
        let question = OptionFuture::from(question.map(Exchange::answer));
        let result = OptionFuture::from(result.map(Exchange::answer));
        tokio::select! {
            biased;
            Some(answer) = result => Heard::Result(answer),
            Some(answer) = question => Heard::Answer(answer),
            () = sleep_until(next), if !asked => Heard::Time,
        }
    }

    fn ask(&self, method: &str, patience: Duration) -> Result<Exchange, Box<Fault>> {
        let params = task_params(&self.id);
        Exchange::ours(&self.stream, Freight::Request, method, &params, patience).map_err(Box::new)
    }
}

/// The id of the task in a result that says that one was made.
pub(super) fn task_id(created: &str) -> Option<Box<str>> {
    let id = member(member(created, "task")?, "taskId").and_then(string)?;
    (id.len() <= TASK_ID_BYTES_MAX).then(|| id.into_owned().into_boxed_str())
}

/// What a request about a task says.
pub(super) fn task_params(id: &str) -> String {
    format!(r#"{{"taskId":{}}}"#, quote(id))
}

/// The task that a message says it belongs to.
pub(super) fn related_task(message: &Message) -> Option<Box<str>> {
    let meta = message.params().and_then(|params| params.meta.as_ref())?;
    let id = member(member(message.str(meta.object), RELATED_TASK)?, "taskId").and_then(string)?;
    Some(id.into_owned().into_boxed_str())
}

/// The edit that lets an answer belong to the task that its question belonged to: a client that knows no tasks does
/// not say so, and its server may ask for it (2025-11-25, basic/utilities/tasks, associating task-related messages).
pub(super) fn belonging(ask: &Message, response: &Message) -> Option<(Span, New<'static>)> {
    let asked = ask.params().and_then(|params| params.meta.as_ref())?;
    let task = member(ask.str(asked.object), RELATED_TASK)?;
    let Head::Response { outcome: Outcome::Result { value, .. }, .. } = response.head() else { return None };
    let result = response.str(*value);
    let key = quote(RELATED_TASK);
    let (object, key, value) = match member(result, "_meta") {
        None if result.starts_with('{') => (*value, quote("_meta"), format!("{{{key}:{task}}}")),
        Some(meta) if meta.starts_with('{') && member(meta, RELATED_TASK).is_none() => {
            let whole = Span { start: 0, end: response.text().len() as u32 };
            (Span::of(response.str(whole), meta)?, key, task.to_owned())
        }
        None | Some(_) => return None,
    };
    let (at, text) = member_first(response.text(), object, &[&key, ":", &value]);
    Some((Span { start: at, end: at }, text))
}

/// The `_meta` key by which a message belongs to a task.
const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

fn ended(answer: Result<Message, Fault>) -> TaskStep {
    match answer {
        Ok(response) => TaskStep::Done(Box::new(response)),
        Err(fault) => TaskStep::Failed(Box::new(fault)),
    }
}

/// What an answer to `tasks/get` says. One that is an error is no status: its result says what became of it.
fn status(answer: &Message) -> (Status, Option<Duration>) {
    let Head::Response { outcome: Outcome::Result { value, .. }, .. } = answer.head() else {
        return (Status::Ended, None);
    };
    let task = answer.str(*value);
    let status = match member(task, "status").and_then(string).as_deref() {
        Some("working") => Status::Working,
        Some("input_required") => Status::Waiting,
        Some(_) | None => Status::Ended,
    };
    (status, member(task, "pollInterval").map(|_| pause(task)))
}

fn pause(task: &str) -> Duration {
    let asked = member(task, "pollInterval").and_then(|raw| raw.parse::<f64>().ok()).filter(|ms| *ms >= 0.0);
    let asked = asked.map(|ms| Duration::from_millis(ms.min(1e9) as u64));
    asked.unwrap_or(PAUSE).clamp(PAUSE_MIN, PAUSE_MAX)
}

/// Between two questions, when the server does not say.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// However long a server wants to be left alone: longer looks like silence.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The result of a task that goes on comes when it is over; how long that may take, the call decides.
const RESULT_PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);
const TASK_ID_BYTES_MAX: usize = 4096;
