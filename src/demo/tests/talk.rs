//! A client of a `Server`, with a clock that only it moves.
//!
//! Whatever the server says is held against the shapes of 2025-11-25, and against what the session's revision
//! does not know yet.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::shape;
use crate::demo::notes::Notes;
use crate::demo::offer::Offer;
use crate::demo::revision::Revision;
use crate::demo::server::Server;
use crate::demo::workshop::Workshop;

pub(super) struct Talk {
    server: Server,
    revision: Revision,
    now: Instant,
    ids: u64,
}

impl Talk {
    pub(super) fn notes(revision: Revision) -> Self {
        Self::begin(Box::new(Notes::seeded()), revision, json!({}))
    }

    pub(super) fn workshop(revision: Revision, capabilities: Value) -> Self {
        Self::begin(Box::new(Workshop), revision, capabilities)
    }

    /// Before any handshake.
    pub(super) fn stranger() -> Self {
        Self::silent(Box::new(Workshop), Revision::V2025_11_25)
    }

    pub(super) fn stranger_to_notes() -> Self {
        Self::silent(Box::new(Notes::seeded()), Revision::V2025_11_25)
    }

    fn silent(offer: Box<dyn Offer>, revision: Revision) -> Self {
        Self { server: Server::new(offer), revision, now: Instant::now(), ids: 0 }
    }

    fn begin(offer: Box<dyn Offer>, revision: Revision, capabilities: Value) -> Self {
        let mut talk = Self::silent(offer, revision);
        let hello = json!({
            "protocolVersion": revision.as_str(),
            "capabilities": capabilities,
            "clientInfo": { "name": "talk", "version": "0" },
        });
        talk.ask("initialize", hello).unwrap();
        assert!(talk.hear(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).is_empty());
        talk
    }

    /// Says one line as it stands.
    pub(super) fn hear(&mut self, line: &str) -> Vec<Value> {
        self.hear_bytes(line.as_bytes())
    }

    pub(super) fn hear_bytes(&mut self, line: &[u8]) -> Vec<Value> {
        self.server.receive(line, self.now);
        self.pass(Duration::ZERO)
    }

    /// Lets time go by.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<Value> {
        self.now += time;
        self.server.advance(self.now);
        self.server
            .take_outbox()
            .iter()
            .map(|line| {
                assert!(!line.contains('\n'));
                serde_json::from_str(line).unwrap()
            })
            .inspect(|message| shape::message(message, self.revision))
            .collect()
    }

    /// How long until the server has something to do by itself.
    pub(super) fn due(&self) -> Option<Duration> {
        self.server.due().map(|due| due - self.now)
    }

    /// Says a request and hears everything up to now. Gives the id too.
    pub(super) fn request(&mut self, method: &str, params: Value) -> (u64, Vec<Value>) {
        self.ids += 1;
        let line = json!({ "jsonrpc": "2.0", "id": self.ids, "method": method, "params": params });
        (self.ids, self.hear(&line.to_string()))
    }

    /// A request that is answered at once: its result or its error, which is the last thing heard.
    pub(super) fn ask(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let (id, mut heard) = self.request(method, params);
        let mut answer = heard.pop().unwrap();
        assert_eq!(answer["id"], id);
        match answer.get_mut("error") {
            Some(error) => Err(error.take()),
            None => {
                let result = answer["result"].take();
                shape::result(method, &result, self.revision);
                Ok(result)
            }
        }
    }

    /// A tool's result.
    pub(super) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments })).unwrap()
    }

    /// The sentence of a tool's failure.
    pub(super) fn failure(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }
}
