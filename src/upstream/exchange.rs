//! One request in flight at one server.
//!
//! Owns the wait: its deadline, its place in the ledger, and the client's own id and token, which it puts back
//! into everything it yields. Dropping it before its end cancels it at the server. It never retries.

use super::stream::{Arrival, Parting, Posted, Stream};
use super::writer::Places;
use crate::routing::deadline::{Deadline, Expiry};
use crate::routing::uris::UriMap;
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::Id;
use crate::wire::members::requote;
use crate::wire::message::{Head, Message, Outcome, Text};
use crate::wire::splice::Splice;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout_at};

/// What a server does next about one request. Texts are in the client's terms: its ids, tokens, URIs.
#[derive(Debug)]
pub enum Step {
    /// A notification for the client that asked.
    Notify(Bytes),
    /// The server wants something of the client first.
    Ask(Ask),
    /// The end: a whole response for the client, or why there is none.
    Done(Result<Bytes, Fault>),
}

/// What a server wants of the client before it goes on.
///
/// Servers are told that their client can be asked for nothing, so that their asks are refused at the window
/// and none is yielded. The type stands here because every door must say what it does with one.
#[derive(Debug)]
pub enum Ask {}

/// Whose request an exchange is: how the client names it, and how the server's URIs look to it.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) id: Id,
    pub(super) token: Option<Bytes>,
    pub(super) uris: Arc<UriMap>,
}

/// How to speak of a request in an error.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) server: Arc<str>,
    /// The method, and what the server calls what was asked for.
    pub(super) what: String,
    /// The settings behind the two bounds, and their values in words.
    pub(super) idle: (String, String),
    pub(super) total: (String, String),
}

/// One request in flight. Yields any number of notes, then one end, then nothing.
pub struct Exchange {
    stream: Arc<Stream>,
    posted: Posted,
    places: Arc<Places>,
    deadline: Deadline,
    origin: Option<Origin>,
    subject: Subject,
    progress: Option<f64>,
    cancellable: bool,
    over: bool,
    /// What the request holds until its end, however long its server takes to read what is written to it.
    _turns: Vec<OwnedSemaphorePermit>,
}

impl Exchange {
    pub(super) fn new(
        stream: Arc<Stream>,
        posted: Posted,
        places: Arc<Places>,
        deadline: Deadline,
        origin: Option<Origin>,
        subject: Subject,
    ) -> Self {
        Self {
            stream,
            posted,
            places,
            deadline,
            origin,
            subject,
            progress: None,
            cancellable: true,
            over: false,
            _turns: Vec::new(),
        }
    }

    pub(super) fn holding(mut self, turns: Vec<OwnedSemaphorePermit>) -> Self {
        self._turns = turns;
        self
    }

    /// `initialize` is never cancelled (2025-11-25, basic/utilities/cancellation).
    pub(super) fn never_cancelled(mut self) -> Self {
        self.cancellable = false;
        self
    }

    /// What happens next. After `Done` it yields `Done` with a fault of ours.
    pub async fn next(&mut self) -> Step {
        loop {
            match self.arrival().await {
                Arrival::Note(note) => {
                    if let Some(text) = self.note(&note) {
                        return Step::Notify(text);
                    }
                }
                Arrival::Done(response) => return Step::Done(Ok(self.restore(&response))),
                Arrival::Failed(fault) => return Step::Done(Err(fault)),
            }
        }
    }

    /// The server's own response, untouched; for requests that are ours.
    pub(super) async fn response(mut self) -> Result<Message, Fault> {
        loop {
            match self.arrival().await {
                Arrival::Note(_) => {}
                Arrival::Done(response) => return Ok(response),
                Arrival::Failed(fault) => return Err(fault),
            }
        }
    }

    async fn arrival(&mut self) -> Arrival {
        if self.over {
            return Arrival::Failed(Fault::ours(Reason::Internal, "the request is over already"));
        }
        let arrival = loop {
            // Looked at first: a server that never stops sending notes must not outlast its time in all.
            match self.deadline.expired(Instant::now().into_std()) {
                Some(Expiry::Total) => break self.give_up(Expiry::Total).await,
                Some(Expiry::Idle) | None => {}
            }
            let at = self.deadline.next();
            if let Ok(arrival) = timeout_at(Instant::from_std(at), recv(&mut self.posted.arrivals)).await {
                break arrival;
            }
            if let Some(expiry) = self.deadline.expired(Instant::now().into_std()) {
                break self.give_up(expiry).await;
            }
        };
        match arrival {
            Arrival::Note(_) => self.deadline.renew(Instant::now().into_std()),
            Arrival::Done(_) | Arrival::Failed(_) => self.over = true,
        }
        arrival
    }

    /// The fault of a bound that ran out; or the answer, if it came in the same moment.
    async fn give_up(&mut self, expiry: Expiry) -> Arrival {
        let Subject { server, what, idle, total } = &self.subject;
        let (text, reason, why) = match expiry {
            Expiry::Idle => {
                let (setting, time) = idle;
                (
                    format!("no answer to {what} for {time} ({setting})"),
                    Reason::Timeout,
                    "no sign of life in time",
                )
            }
            Expiry::Total => {
                let (setting, time) = total;
                (
                    format!("{what} took longer than {time} ({setting})"),
                    Reason::TimeoutMax,
                    "took too long in all",
                )
            }
        };
        let (end, outcome) = match self.end(why) {
            Parting::Told => ("; the call was cancelled there", CallOutcome::Unknown),
            Parting::TakenBack => ("; it was never sent", CallOutcome::NotSent),
            Parting::Forgotten => ("", CallOutcome::Unknown),
            Parting::Over => loop {
                match recv(&mut self.posted.arrivals).await {
                    Arrival::Note(_) => {}
                    end @ (Arrival::Done(_) | Arrival::Failed(_)) => return end,
                }
            },
        };
        let fault = Fault::ours(reason, format!("{server}: {text}{end}"));
        Arrival::Failed(fault.server(&**server).outcome(outcome))
    }

    /// Leaves the ledger, and tells the server if it may know of the request.
    fn end(&self, why: &str) -> Parting {
        match self.cancellable {
            true => self.stream.cancel(self.posted.id, &self.places, why),
            false => self.stream.forget(self.posted.id),
        }
    }

    /// A progress note in the client's terms; `None` if it gave no token, or the note does not move forward
    /// (2025-11-25, basic/utilities/progress: the value must increase).
    fn note(&mut self, note: &Message) -> Option<Bytes> {
        let token = self.origin.as_ref()?.token.clone()?;
        let params = note.params()?;
        let progress = params.progress.and_then(|span| note.str(span).parse::<f64>().ok());
        if let (Some(now), Some(before)) = (progress, self.progress)
            && now <= before
        {
            return None;
        }
        self.progress = progress.or(self.progress);
        Some(Splice::new(note).replace(params.progress_token?, token).finish())
    }

    /// The response under the client's id, URIs in its terms.
    fn restore(&self, response: &Message) -> Bytes {
        let (Some(origin), Head::Response { id: Some(id), outcome }) = (&self.origin, response.head()) else {
            return response.text().clone();
        };
        let mut splice = Splice::new(response).replace(*id, origin.id.bytes());
        let places: &[Text] = match outcome {
            Outcome::Result { places, .. } => &places.uris,
            Outcome::Error { uri, .. } => uri.as_slice(),
        };
        for place in places {
            let own = place.as_str(response);
            let exposed = origin.uris.expose(own);
            if exposed != own {
                splice = splice.replace(place.span(), requote(response.str(place.span()), own, &exposed));
            }
        }
        splice.finish()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.over {
            self.end("the client does not wait any longer");
        }
    }
}

async fn recv(arrivals: &mut mpsc::Receiver<Arrival>) -> Arrival {
    arrivals
        .recv()
        .await
        .unwrap_or_else(|| Arrival::Failed(Fault::ours(Reason::Internal, "nobody will answer")))
}

/// A time as people write it: `120 s`, `1.5 s`, `250 ms`.
pub(super) fn words(time: Duration) -> String {
    match time.as_millis() {
        ms if ms < 1000 => format!("{ms} ms"),
        ms if ms % 1000 == 0 => format!("{} s", ms / 1000),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}
