//! What passes between us and servers, a JSON object a line, for as long as somebody reads.
//!
//! Owns what is remembered of requests until their answers pass, which is bounded. Who reads too slowly is told how many
//! lines he missed. Texts are there only where they were asked for, with what is secret by its name hidden.

use super::object::Object;
use super::redaction::Redaction;
use crate::upstream::tally::Piece;
use crate::upstream::tap::{Glance, Seen, Watching};
use std::collections::VecDeque;
use std::sync::Arc;

/// Which of them are shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    pub(super) server: Option<String>,
    pub(super) method: Option<String>,
    /// With their texts.
    pub(super) payload: bool,
}

/// Lines for one who reads.
pub(super) struct Lines {
    watching: Watching,
    choice: Choice,
    redaction: Redaction,
    /// Requests without an answer so far, oldest first.
    open: VecDeque<Arc<Glance>>,
}

impl Lines {
    pub(super) fn new(watching: Watching, choice: Choice, redaction: Redaction) -> Self {
        Self { watching, choice, redaction, open: VecDeque::new() }
    }

    /// The next line, with its end; nothing, once it is over.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            match self.watching.next().await? {
                Seen::Missed(missed) => return Some(format!("{{\"missed\":{missed}}}\n")),
                Seen::Glance(glance) => {
                    let request = self.request(&glance);
                    if self.is_chosen(&glance, request.as_deref()) {
                        return Some(self.line(&glance, request.as_deref()));
                    }
                }
            }
        }
    }

    /// The request that an answer is to; a request is remembered.
    fn request(&mut self, glance: &Arc<Glance>) -> Option<Arc<Glance>> {
        match glance.piece {
            Piece::Notification => None,
            Piece::Request => {
                if self.open.len() >= OPEN_MAX {
                    self.open.pop_front();
                }
                self.open.push_back(glance.clone());
                None
            }
            Piece::Response => {
                let is_to = |open: &Arc<Glance>| {
                    open.connection == glance.connection && open.way != glance.way && open.id == glance.id
                };
                let at = self.open.iter().position(is_to)?;
                self.open.remove(at)
            }
        }
    }

    fn is_chosen(&self, glance: &Glance, request: Option<&Glance>) -> bool {
        let method = glance.method.as_deref().or_else(|| request?.method.as_deref());
        let Choice { server, method: wanted, .. } = &self.choice;
        server.as_ref().is_none_or(|server| **server == *glance.server)
            && wanted.as_ref().is_none_or(|wanted| Some(wanted.as_str()) == method)
    }

    fn line(&self, glance: &Glance, request: Option<&Glance>) -> String {
        let mut object = Object::new();
        object.time("at", Some(glance.at)).text("server", &glance.server);
        object.number("connection", glance.connection);
        object.text("way", glance.way.as_str()).text("kind", glance.piece.as_str());
        let of = request.unwrap_or(glance);
        for (key, said) in [("method", &of.method), ("item", &of.item), ("id", &glance.id)] {
            if let Some(said) = said {
                object.text(key, said);
            }
        }
        object.number("bytes", glance.bytes);
        if let Some(end) = glance.end {
            object.text("outcome", end.error_type().unwrap_or("ok"));
            if let Some(code) = end.code() {
                object.raw("code", &code.to_string());
            }
        }
        if let Some(request) = request {
            object.ms("took_ms", glance.at.duration_since(request.at).ok());
        }
        // Somebody else may have asked for it.
        let text = glance.text.as_ref().filter(|_| self.choice.payload);
        if let Some(text) = text.and_then(|text| std::str::from_utf8(text).ok()) {
            object.raw("payload", &self.redaction.of(text));
        }
        object.end() + "\n"
    }
}

/// Requests that are remembered until their answers pass.
const OPEN_MAX: usize = 4096;
