//! What passes between us and servers, a JSON object a line, for as long as somebody reads.
//!
//! Owns what is remembered of requests until their answers pass, which is bounded: words, and never a text. Who reads too slowly is told how many
//! lines he missed. Texts are there only where they were asked for, with what is secret by its name hidden.

use super::object::Object;
use super::redaction::Redaction;
use crate::upstream::tally::{Piece, Way};
use crate::upstream::tap::{Glance, Seen, Watching};
use std::collections::VecDeque;
use std::time::SystemTime;

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
    open: VecDeque<Open>,
}

/// What the line of an answer says of its request.
struct Open {
    at: SystemTime,
    connection: u64,
    way: Way,
    id: Option<Box<str>>,
    method: Option<Box<str>>,
    item: Option<Box<str>>,
}

impl Open {
    fn of(glance: &Glance) -> Self {
        let (id, method, item) = (glance.id.clone(), glance.method.clone(), glance.item.clone());
        Self { at: glance.at, connection: glance.connection, way: glance.way, id, method, item }
    }
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
                    if self.is_chosen(&glance, request.as_ref()) {
                        return Some(self.line(&glance, request.as_ref()));
                    }
                }
            }
        }
    }

    /// The request that an answer is to; a request is remembered, and forgotten when it is taken back.
    fn request(&mut self, glance: &Glance) -> Option<Open> {
        match glance.piece {
            Piece::Notification => {
                if glance.cancels.is_some() {
                    self.taken_out(|open| open.way == glance.way && open.id == glance.cancels, glance);
                }
                None
            }
            Piece::Request => {
                if self.open.len() >= OPEN_MAX {
                    self.open.pop_front();
                }
                self.open.push_back(Open::of(glance));
                None
            }
            Piece::Response => self.taken_out(|open| open.way != glance.way && open.id == glance.id, glance),
        }
    }

    /// The first such request of the same connection.
    fn taken_out(&mut self, is_such: impl Fn(&Open) -> bool, glance: &Glance) -> Option<Open> {
        let at = self.open.iter().position(|open| open.connection == glance.connection && is_such(open))?;
        self.open.remove(at)
    }

    fn is_chosen(&self, glance: &Glance, request: Option<&Open>) -> bool {
        let method = glance.method.as_deref().or_else(|| request?.method.as_deref());
        let Choice { server, method: wanted, .. } = &self.choice;
        server.as_ref().is_none_or(|server| **server == *glance.server)
            && wanted.as_ref().is_none_or(|wanted| Some(wanted.as_str()) == method)
    }

    fn line(&self, glance: &Glance, request: Option<&Open>) -> String {
        let mut object = Object::new();
        object.time("at", Some(glance.at)).text("server", &glance.server);
        object.number("connection", glance.connection);
        object.text("way", glance.way.as_str()).text("kind", glance.piece.as_str());
        let (method, item) =
            request.map_or((&glance.method, &glance.item), |request| (&request.method, &request.item));
        for (key, said) in [("method", method), ("item", item), ("id", &glance.id)] {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::lookout::Lookout;
    use bytes::Bytes;
    use std::sync::Arc;

    fn glance(piece: Piece, way: Way, id: &str) -> Glance {
        Glance {
            at: SystemTime::UNIX_EPOCH,
            server: Arc::from("s"),
            connection: 1,
            way,
            piece,
            method: Some("m".into()),
            item: None,
            id: Some(id.into()),
            cancels: None,
            bytes: 1,
            end: None,
            text: Some(Bytes::from_static(b"{}")),
        }
    }

    fn lines() -> Lines {
        let watching = Lookout::new(true).watch(true).unwrap();
        Lines::new(watching, Choice::default(), Redaction::new(&[]))
    }

    #[test]
    fn a_request_that_is_taken_back_is_forgotten() {
        let mut lines = lines();
        for id in ["1", "2"] {
            lines.request(&glance(Piece::Request, Way::ToServer, id));
        }
        // The other side's request of the same id is another.
        for (way, left) in [(Way::FromServer, 2), (Way::ToServer, 1)] {
            let cancels = Some("1".into());
            lines.request(&Glance { cancels, ..glance(Piece::Notification, way, "1") });
            assert_eq!(lines.open.len(), left);
        }
        let to = lines.request(&glance(Piece::Response, Way::FromServer, "2"));
        assert_eq!((to.unwrap().method.as_deref(), lines.open.len()), (Some("m"), 0));
    }

    #[test]
    fn the_oldest_of_too_many_is_forgotten_first() {
        let mut lines = lines();
        for id in 0..=OPEN_MAX {
            lines.request(&glance(Piece::Request, Way::ToServer, &id.to_string()));
        }
        assert_eq!((lines.open.len(), lines.open[0].id.as_deref()), (OPEN_MAX, Some("1")));
    }
}
