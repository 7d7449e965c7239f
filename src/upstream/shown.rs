//! A server's answer as the client reads it that asked: under its id, in its terms, no longer than it may be, on one line.
//!
//! Knows whose request it is and how the server looks to it. It edits text, waits for nothing and keeps nothing.

use super::audience::Member;
use super::outgoing::Tasks;
use super::round::{self, Says};
use super::subject::Setting;
use super::tally::Asked;
use crate::mcp::caller::ClientId;
use crate::mcp::cut::{self, Cap};
use crate::mcp::era;
use crate::routing::asking::{
    URL_REQUIRED, input_in_clients_terms, required_in_clients_terms, task_in_clients_terms,
};
use crate::routing::look::Look;
use crate::wire::id::{Id, Raw};
use crate::wire::lines::one_line;
use crate::wire::members::requote;
use crate::wire::message::{Head, Message, Outcome, Span, Text};
use crate::wire::splice::{New, Splice};
use bytes::Bytes;
use std::sync::Arc;

/// Whose request an exchange is: how the client names it, and how the server looks to it.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) id: Id,
    /// `None`: it has left.
    pub(super) owner: Option<Arc<Member>>,
    pub(super) token: Option<Raw>,
    pub(super) look: Arc<Look>,
    pub(super) subscribing: Option<Subscribing>,
    /// What is asked, as it is counted.
    pub(super) asked: Asked,
    /// How a task is called toward the client, where it may take one for an answer.
    pub(super) tasks: Option<Tasks>,
    /// The client has no handshake either: what its server says of a result is for it.
    pub(super) stands: bool,
    /// What of its result is passed on; `None`: all.
    pub(super) cap: Option<ResultCap>,
}

/// How long a result may be, and whether its tool's own setting says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResultCap {
    pub(super) bytes_max: usize,
    pub(super) of_tool: bool,
}

/// A subscription that becomes one when the server agrees.
#[derive(Debug)]
pub(super) struct Subscribing {
    pub(super) client: ClientId,
    /// In the server's terms.
    pub(super) uri: Box<str>,
}

/// How an answer is shown.
pub(super) struct Shown<'a> {
    pub(super) origin: &'a Origin,
    pub(super) server: &'a Arc<str>,
    /// What the server calls what was asked for.
    pub(super) own: Option<&'a Arc<str>>,
    /// The server does without a handshake.
    pub(super) is_stateless: bool,
}

impl Shown<'_> {
    /// The whole answer.
    pub(super) fn text(&self, response: Box<Message>) -> Bytes {
        self.restore(self.within_cap(response))
    }

    /// A result that is no longer than it may be, with a word where something is missing.
    fn within_cap(&self, response: Box<Message>) -> Box<Message> {
        match self.origin.cap {
            Some(cap) if response.text().len() > cap.bytes_max => match self.cut(&response, cap) {
                Some(cut) => Box::new(cut),
                None => response,
            },
            Some(_) | None => response,
        }
    }

    #[cold]
    fn cut(&self, response: &Message, cap: ResultCap) -> Option<Message> {
        let Head::Response { outcome: Outcome::Result { value, .. }, .. } = response.head() else {
            return None;
        };
        if !matches!(round::says(response), Says::Complete) {
            return None;
        }
        let own = self.own.filter(|_| cap.of_tool);
        let setting = if own.is_some() { Setting::ToolResult } else { Setting::Result };
        let setting = setting.name(self.server, own.map(|own| &**own));
        let limit = Cap { bytes_max: cap.bytes_max, setting: &setting };
        let result = response.str(*value);
        let cut = match self.origin.asked {
            Asked::Call => cut::called(result, limit),
            Asked::Read => cut::read(result, limit),
            Asked::Prompt | Asked::Complete | Asked::Other => None,
        }?;
        tracing::debug!(event = "cut", server = %self.server, bytes = result.len(), left = cut.len(), setting);
        Message::parse_server(Splice::new(response).replace(*value, cut).finish()).ok()
    }

    /// The response under the client's id, URIs in its terms, without what only a client without a handshake reads, and on
    /// one line.
    fn restore(&self, response: Box<Message>) -> Bytes {
        let is_foreign = !self.origin.stands && self.is_stateless;
        let is_on_one_line = response.is_on_one_line();
        let text = match is_foreign.then(|| bared(&response)).flatten() {
            Some(bare) => self.in_clients_terms(Box::new(bare)),
            None => self.in_clients_terms(response),
        };
        // What is put into it is on one line as well.
        if is_on_one_line { text } else { one_line(text) }
    }

    fn in_clients_terms(&self, response: Box<Message>) -> Bytes {
        let Head::Response { id: Some(id), outcome } = response.head() else {
            return response.text().clone();
        };
        // Most answers name nothing, and are ends.
        let is_plain = match outcome {
            Outcome::Result { places, .. } => {
                let is_end = matches!(round::says(&response), Says::Complete);
                is_end && places.uris.is_empty() && self.origin.tasks.is_none()
            }
            Outcome::Error { code, uri, .. } => uri.is_none() && *code != Some(URL_REQUIRED),
        };
        match is_plain {
            true => {
                let id = *id;
                response.replaced(id, self.origin.id.as_bytes())
            }
            false => self.with_all_in_clients_terms(*id, response),
        }
    }

    /// The same of one that names something, or is no end.
    #[inline(never)]
    fn with_all_in_clients_terms(&self, id: Span, response: Box<Message>) -> Bytes {
        let origin = self.origin;
        let Head::Response { outcome, .. } = response.head() else {
            return response.text().clone();
        };
        let mut splice = Splice::new(&response);
        let places: &[Text] = match outcome {
            Outcome::Result { places, .. } => &places.uris,
            Outcome::Error { uri, .. } => uri.as_slice(),
        };
        if let Outcome::Error { value, code: Some(URL_REQUIRED), .. } = outcome {
            let Look { uris, label, .. } = &*origin.look;
            for (span, text) in required_in_clients_terms(&response, *value, uris, label.as_deref()) {
                splice = splice.replace(span, text);
            }
        }
        if let (Outcome::Result { value, .. }, Some(tasks)) = (outcome, &origin.tasks) {
            for (span, text) in
                task_in_clients_terms(&response, *value, &origin.look, |own| tasks.expose(self.server, own))
            {
                splice = splice.replace(span, text);
            }
        } else if let (Outcome::Result { value, .. }, Says::InputRequired) = (outcome, round::says(&response))
        {
            let Look { uris, label, .. } = &*origin.look;
            for (span, text) in input_in_clients_terms(&response, *value, uris, label.as_deref()) {
                splice = splice.replace(span, text);
            }
        }
        for place in places {
            let own = place.as_str(&response);
            let exposed = origin.look.uris.expose(own);
            if exposed != own {
                splice = splice.replace(place.span(), requote(response.str(place.span()), own, &exposed));
            }
        }
        if splice.count() == 0 {
            drop(splice);
            return response.replaced(id, origin.id.as_bytes());
        }
        splice.replace(id, New::Lent(origin.id.as_bytes())).finish()
    }
}

/// The answer of a server without a handshake as one with a handshake would have written it; `None`: it is so already.
fn bared(response: &Message) -> Option<Message> {
    let Head::Response { outcome: Outcome::Result { value, .. }, .. } = response.head() else {
        return None;
    };
    let bare = era::bared(response.str(*value))?;
    Message::parse_server(Splice::new(response).replace(*value, bare).finish()).ok()
}
